"""How messages leave the house: by mail, or to another system's address, signed.

Each has a short time and raises `OSError` when it did not go; who calls tries again later.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import smtplib
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from geo.errors import InvalidInputError
from geo.settings import Settings
from geo.store.cases.sending import Sender, Way
from geo.terms import MessageKind

TIME_LIMIT_S: Final = 10.0
SHORTEST_SECRET: Final = 16
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ADDRESS: Final = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")


@dataclass(frozen=True)
class Post:
    """The ways that an operator has named, and what sends on them; without one, a file."""

    ways: Mapping[str, Way] = field(default_factory=dict)
    senders: Mapping[MessageKind, Sender] = field(default_factory=dict)


CLOSED: Final = Post({"*": Way(MessageKind.WEBHOOK, "")})
"""Nothing leaves and everything waits: while the settings are wrong."""


@dataclass(frozen=True)
class Mail:
    """Sends messages by mail.

    Parameters
    ----------
    url : str
        ``smtp://[login:password@]host[:port]`` or ``smtps://...``. Without `smtps` the line is
        encrypted by STARTTLS, save on this machine.
    sender : str
        Address that mails come from.
    """

    url: str = field(repr=False)
    sender: str

    def __call__(self, way: Way, message: Mapping[str, Any]) -> None:
        """Send one message; what is sent again has the same id.

        Raises
        ------
        OSError
            If it did not go.
        """
        mail = EmailMessage()
        try:
            mail["From"], mail["To"] = self.sender, way.address
            mail["Subject"] = f"[Wangge] {message['subject']}"
            domain = self.sender.rpartition("@")[2]
            mail["Message-ID"] = f"<wangge-{message['city']}-{message['message']}@{domain}>"
            mail["Auto-Submitted"] = "auto-generated"
            mail.set_content("".join(f"{name}: {value}\n" for name, value in message.items()))
        except (ValueError, MessageError) as error:
            raise OSError("no mail can be made of this") from error
        with self._line() as line:
            line.send_message(mail)

    def reach(self) -> None:
        """Sign in and send nothing; raises `OSError` when that does not work."""
        with self._line() as line:
            line.noop()

    def _line(self) -> smtplib.SMTP:
        at = urlsplit(self.url)
        host, safe = at.hostname or "", ssl.create_default_context()
        if at.scheme == "smtps":
            line: smtplib.SMTP = smtplib.SMTP_SSL(
                host, at.port or 465, timeout=TIME_LIMIT_S, context=safe
            )
        else:
            line = smtplib.SMTP(host, at.port or 587, timeout=TIME_LIMIT_S)
        try:
            if at.scheme == "smtp" and host not in LOOPBACK:
                line.starttls(context=safe)
            if at.username:
                line.login(unquote(at.username), unquote(at.password or ""))
        except OSError:
            line.close()
            raise
        return line


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a message goes where the operator said, or nowhere."""

    def redirect_request(self, *asked: Any, **more: Any) -> None:
        return None


@dataclass(frozen=True)
class Webhook:
    """Sends messages to another system as JSON, signed with a secret that both know.

    The header ``Wangge-Signature`` is ``sha256=`` and the HMAC of ``Wangge-Timestamp``, a point and
    the body; ``Wangge-Message`` is the same when a message is sent again.
    """

    secret: bytes = field(repr=False)

    def __call__(self, way: Way, message: Mapping[str, Any]) -> None:
        """Send one message.

        Raises
        ------
        OSError
            If the other system did not answer with 2xx in time.
        """
        body = json.dumps(dict(message), ensure_ascii=False).encode()
        stamp = str(int(time.time()))
        signed = hmac.new(self.secret, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(  # noqa: S310 - `post_of` lets https and loopback through
            way.address,
            body,
            {
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": "wangge",
                "Wangge-Message": f"{message['city']}-{message['message']}",
                "Wangge-Timestamp": stamp,
                "Wangge-Signature": f"sha256={signed}",
            },
        )
        direct = urlsplit(way.address).hostname in LOOPBACK
        others = [urllib.request.ProxyHandler({})] if direct else []
        try:
            with urllib.request.build_opener(_Stay, *others).open(request, timeout=TIME_LIMIT_S):
                pass
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"answered {error.code}") from None


def reach_webhook(address: str) -> None:
    """Open a line to a webhook's machine and say nothing; raises `OSError` when none opens."""
    at = urlsplit(address)
    port = at.port or (443 if at.scheme == "https" else 80)
    with socket.create_connection((at.hostname or "", port), TIME_LIMIT_S):
        pass


def post_of(settings: Settings) -> Post:
    """Return the ways that the settings name: the desks' by mail, all others' by webhook.

    Where only one of the two is set, everything goes by it; where none is, into a file.

    Raises
    ------
    InvalidInputError
        If settings contradict each other or lead over an open line; `field` names the setting.
    """
    ways: dict[str, Way] = {}
    senders: dict[MessageKind, Sender] = {}
    if settings.webhook_url:
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        at = _parts("WANGGE_WEBHOOK_URL", settings.webhook_url, ("https", "http"))
        if at.scheme == "http" and at.hostname not in LOOPBACK:
            raise _wrong("WANGGE_WEBHOOK_URL", "is https, or on this machine")
        if at.username or at.password:
            raise _wrong("WANGGE_WEBHOOK_URL", "has no password in it: messages are signed")
        if len(secret) < SHORTEST_SECRET:
            raise _wrong("WANGGE_WEBHOOK_SECRET", f"has {SHORTEST_SECRET} letters or more")
        ways["*"] = Way(MessageKind.WEBHOOK, settings.webhook_url)
        senders[MessageKind.WEBHOOK] = Webhook(secret.encode())
    if settings.smtp_url:
        url = settings.smtp_url.get_secret_value()
        _parts("WANGGE_SMTP_URL", url, ("smtp", "smtps"))
        for name, said in (
            ("WANGGE_MAIL_FROM", settings.mail_from),
            ("WANGGE_MAIL_TO", settings.mail_to),
        ):
            if not _ADDRESS.fullmatch(said or ""):
                raise _wrong(name, "is one mail address")
        ways["desk" if ways else "*"] = Way(MessageKind.EMAIL, settings.mail_to or "")
        senders[MessageKind.EMAIL] = Mail(url, settings.mail_from or "")
    return Post(ways, senders)


def _parts(name: str, url: str, schemes: tuple[str, ...]) -> SplitResult:
    try:
        at = urlsplit(url)
        fits = at.scheme in schemes and bool(at.hostname) and (at.port is None or at.port > 0)
    except ValueError:
        fits = False
    if not fits:
        raise _wrong(name, f"is an address that begins with {' or '.join(schemes)}")
    return at


def _wrong(name: str, must: str) -> InvalidInputError:
    return InvalidInputError(f"{name} {must}.", field=name, reason="setting")
