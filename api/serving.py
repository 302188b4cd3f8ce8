"""Serving: where to listen, with which certificate, and what is never shown beyond this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fastapi import FastAPI

from geo.errors import SetupError

CERTIFICATE_DAYS = 397
RENEW_DAYS = 30
SHUTDOWN_S = 5
BACKLOG = 512


@dataclass(frozen=True)
class Certificate:
    """A TLS certificate with its key, as files in PEM form."""

    cert: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the certificate, as browsers show it."""
        found = x509.load_pem_x509_certificate(self.cert.read_bytes())
        return found.fingerprint(hashes.SHA256()).hex(":").upper()


def is_loopback(host: str) -> bool:
    """Say whether all addresses of `host` belong to this machine alone.

    Raises
    ------
    SetupError
        If the name has no address.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise SetupError(f"The name '{host}' has no address; is HOST spelled right?") from None
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)


def demand_certificate(host: str, certificate: Certificate | None) -> None:
    """Refuse to listen beyond this machine without TLS, and with files that are no certificate.

    Raises
    ------
    SetupError
        With what to do.
    """
    if certificate is None:
        if not is_loopback(host):
            raise SetupError(
                f"{host} can be reached from other machines, so passwords and reports must be "
                "encrypted: give a certificate (--cert FILE --key FILE; with make CERT=, KEY=), or "
                "let a local one be made (--local-certificate; with make LOCAL_CERTIFICATE=1)."
            )
        return
    for path in (certificate.cert, certificate.key):
        if not path.is_file():
            raise SetupError(f"There is no file {path}.")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            certificate.cert, certificate.key
        )
    except (ssl.SSLError, OSError) as error:
        raise SetupError(
            f"{certificate.cert} and {certificate.key} are not a certificate and its key: {error}"
        ) from None


def refuse_demo_city(host: str, *, behind_proxy: bool = False) -> None:
    """Refuse to load a demo city for listening beyond this machine.

    Raises
    ------
    SetupError
        With what to do.
    """
    if behind_proxy or not is_loopback(host):
        raise SetupError(
            f"{_who(host, behind_proxy)} can be reached from other machines, and the passwords of "
            "a demo city are known to everybody. Start without one (--demo none; with make "
            "DEMO=none), or listen on 127.0.0.1."
        )


def refuse_demo_accounts(
    host: str, logins: list[str], cities: Collection[str] = (), *, behind_proxy: bool = False
) -> None:
    """Refuse to listen beyond this machine while accounts with well-known passwords exist.

    A proxy in front lets others in, whatever the address behind it.

    Raises
    ------
    SetupError
        With what to do.
    """
    if logins and (behind_proxy or not is_loopback(host)):
        one = len(logins) == 1
        counted = "1 demo account" if one else f"{len(logins)} demo accounts"
        drop = [f".venv/bin/wangge city drop {city}" for city in sorted(set(cities))]
        raise SetupError(
            f"{_who(host, behind_proxy)} can be reached from other machines, and {counted} with "
            f"{'a password' if one else 'passwords'} that everybody knows "
            f"{'is' if one else 'are'} in the database. Drop the demo city first, then start "
            "without one (--demo none; with make DEMO=none); or listen on 127.0.0.1.",
            command=" && ".join(drop)
            or ".venv/bin/wangge city drop DEMO_CITY   # names: .venv/bin/wangge city list",
        )


def _who(host: str, behind_proxy: bool) -> str:
    return "The proxy" if behind_proxy else host


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`.

    Raises
    ------
    SetupError
        If that place is taken or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SetupError(f"Cannot listen on {host}: {error.strerror or error}") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise SetupError(
            f"Cannot listen on {host}, port {port}: {os.strerror(error.errno or 0).lower()}. "
            "Another program may be there; take another port (--port 8001; with make PORT=8001)."
        ) from None
    return found


def address_of(listening: socket.socket, host: str, certificate: Certificate | None) -> str:
    """Return the address to type into a browser."""
    port = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        shown = socket.gethostname()
    return f"{'https' if certificate else 'http'}://{shown}:{port}/"


class Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self._ready()


def make_server(
    app: FastAPI,
    certificate: Certificate | None = None,
    *,
    behind_proxy: bool = False,
    ready: Callable[[], None] = lambda: None,
) -> Server:
    """Return a server of `app`; run it with the socket from `bind`.

    Behind a proxy of this machine, its word for the caller's address and scheme is taken; nobody
    else's ever is.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=behind_proxy,
        forwarded_allow_ips=["127.0.0.1", "::1"],
        timeout_graceful_shutdown=SHUTDOWN_S,
        ssl_certfile=certificate.cert if certificate else None,
        ssl_keyfile=str(certificate.key) if certificate else None,
    )
    return Server(config, ready)


def local_certificate(folder: Path, host: str) -> Certificate:
    """Return a certificate made on this machine; a new one when the old one ends or lacks `host`.

    Browsers do not know who signed it and ask once; its fingerprint tells whether it is this one.
    """
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    names = sorted({"localhost", "127.0.0.1", "::1", socket.gethostname(), host})
    if made.cert.is_file() and made.key.is_file() and _still_good(made.cert, names):
        return made
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Wangge local certificate")])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    made.key.unlink(missing_ok=True)
    descriptor = os.open(made.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    made.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return made


def _general_names(names: list[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name.encode("idna").decode("ascii")))
    return found


def _still_good(path: Path, names: list[str]) -> bool:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        stated = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    lasting = found.not_valid_after_utc - datetime.now(UTC) > timedelta(days=RENEW_DAYS)
    return lasting and set(_general_names(names)) <= set(stated)
