"""How people reach the server: names, certificates, and whether it answers there."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from geo.keeping.checks import Check, Installation, State

CERTIFICATE_WATCH_DAYS: Final = 21
CERTIFICATE_BAD_DAYS: Final = 5
TIMEOUT_S: Final = 5


def served(place: Installation) -> Iterator[Check]:
    """Look at the settings: nobody's password may cross a network in clear."""
    if place.behind_proxy and not place.hosts:
        yield Check(
            "names of the server",
            State.BAD,
            "behind a proxy, without a name",
            "Set WANGGE_HOSTS to the name that people type; other names are refused.",
        )
    elif place.hosts and not place.behind_proxy:
        yield Check(
            "names of the server",
            State.WATCH,
            f"{', '.join(place.hosts)}, without a proxy",
            "Right when the program has the certificate itself (--cert). Behind a proxy set "
            "WANGGE_BEHIND_PROXY=1: cookies over TLS alone, callers told apart.",
        )
    else:
        found = ", ".join(place.hosts) or "this machine alone, or addresses with a certificate"
        yield Check("names of the server", State.GOOD, found)
    made = place.tls / "cert.pem"
    if made.is_file():
        certificate = x509.load_pem_x509_certificate(made.read_bytes())
        yield _dated("own certificate", certificate.not_valid_after_utc, "Start the server again.")
        yield from _key(place.tls / "key.pem")


def answers(address: str) -> Iterator[Check]:
    """Ask the server where people do, as a stranger who trusts what this machine trusts."""
    parts = urlsplit(address)
    secure = parts.scheme == "https"
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if secure or loopback:
        yield Check("TLS", State.GOOD, "phones may use position and offline work there")
    else:
        yield Check(
            "TLS",
            State.BAD,
            f"{address} is not encrypted",
            "Passwords can be read on the way, and phones refuse position and offline work.",
        )
    if secure and parts.hostname:
        yield _presented(parts.hostname, parts.port or 443)
    asked = f"{parts.scheme}://{parts.netloc}/healthz"
    if parts.scheme not in ("http", "https"):
        yield Check("answer", State.BAD, f"{address} is no web address", "https://NAME/")
        return
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:  # noqa: S310 - checked
            found = f"{asked}: {answer.status}"
    except (OSError, urllib.error.URLError) as error:
        advice = "Does it run? systemctl status wangge; journalctl -u wangge -n 50"
        yield Check("answer", State.BAD, f"{asked}: {error}", advice)
        return
    yield Check("answer", State.GOOD, found)


def _presented(host: str, port: int) -> Check:
    context = ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, port), timeout=TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            presented = connection.getpeercert() or {}
    except (ssl.SSLError, OSError) as error:
        return Check(
            "certificate",
            State.BAD,
            f"not accepted: {error}",
            "Browsers will refuse it as well; see docs/operations.md, TLS.",
        )
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(presented["notAfter"])), UTC)
    return _dated("certificate", ends, "Renew it; is the proxy's renewal running?")


def _dated(name: str, ends: datetime, advice: str) -> Check:
    days = (ends - datetime.now(UTC)).days
    state = State.GOOD
    if days < CERTIFICATE_WATCH_DAYS:
        state = State.BAD if days < CERTIFICATE_BAD_DAYS else State.WATCH
    return Check(
        name,
        state,
        f"valid until {ends:%Y-%m-%d}, {days} days",
        "" if state is State.GOOD else advice,
    )


def _key(path: Path) -> Iterator[Check]:
    if path.is_file() and path.stat().st_mode & 0o077:
        line = f"{path} can be read by other accounts"
        yield Check("key of the certificate", State.BAD, line, f"chmod 600 {path}")
