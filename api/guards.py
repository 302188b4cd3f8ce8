"""What every request passes before and every answer after: host, size, headers, the unexpected."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from api.i18n import marked
from geo.photos import MOST_BYTES
from geo.saying import phrase
from geo.settings import Settings

HSTS = "max-age=31536000"
PERMISSIONS = ", ".join(
    (
        "geolocation=(self)",
        "camera=()",
        "microphone=()",
        "payment=()",
        "usb=()",
        "interest-cohort=()",
    )
)
IMPORTS = re.compile(r"/api/v1/cities/[^/]+/imports(/\d+/parts)?")
"""Addresses that take files: their own limits are by role, so that they look at the size again."""
PHOTOS = re.compile(r"/api/v1/cities/[^/]+/(reports|issues)/[^/]+/photos")
"""Addresses that take one photo each."""
PLACES = re.compile(r"/api/v1/cities/[^/]+/assign")
"""Many points may be sent here."""
MIB = 1024 * 1024
MOST_PLACES_BYTES = 6 * MIB
TOO_LARGE = marked("At most %(most)s bytes are taken.")
_PORT = re.compile(r":\d{1,5}$")


def content_policy(nonce: str, image_hosts: Iterable[str] = ()) -> str:
    """Return the Content-Security-Policy of a page: our own files, and scripts with the nonce.

    Parameters
    ----------
    nonce : str
        Of this answer alone.
    image_hosts : iterable of str
        Origins of a configured tile base map.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'",
            f"style-src 'self' 'nonce-{nonce}'",
            " ".join(("img-src 'self' data: blob:", *image_hosts)),
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "frame-src 'self'",
            "frame-ancestors 'self'",
            "form-action 'self'",
            "base-uri 'none'",
        )
    )


DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""For answers that are no page: opened by themselves they may do nothing."""


def tile_hosts(address: str | None) -> list[str]:
    """Return the origins that a tile address asks; ``{s}`` stands for any first part of a name."""
    if not address:
        return []
    parts = urlsplit(address)
    if not parts.scheme or not parts.netloc:
        return []
    return [f"{parts.scheme}://{parts.netloc.replace('{s}', '*')}"]


def is_own_host(host: str, names: Sequence[str]) -> bool:
    """Return whether a Host header names this server: an address, localhost or a configured name.

    A page elsewhere can make its own name point here (DNS rebinding), but not an address.

    Examples
    --------
    >>> is_own_host("127.0.0.1:8000", []), is_own_host("[::1]", []), is_own_host("evil.example", [])
    (True, True, False)
    """
    name = _PORT.sub("", host.lower()).rstrip(".")
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class Guard:
    """The outermost layer of the application.

    Parameters
    ----------
    app : ASGIApp
        What is guarded.
    settings : Settings
        Names, limits, the tile base map, TLS.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._names = (*settings.host_names, socket.gethostname().lower())
        self._most_bytes = settings.max_body_kib * 1024
        largest = max(settings.import_planner_mib, settings.import_administrator_mib)
        self._most_file_bytes = largest * MIB
        self._tile_hosts = tile_hosts(settings.tile_url)
        self._secure = settings.secure_cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is refused, and complete its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce
        if scope["method"] == "HEAD":  # answered like GET; the server sends the headers alone
            scope = {**scope, "method": "GET"}
            scope["state"]["headers_only"] = True
        request = Request(scope, receive)
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(scope, MutableHeaders(scope=message), nonce)
            await send(message)

        most = self._most(scope)
        refusal = self._refusal(Headers(scope=scope), most)
        if refusal is not None:
            status, code, detail = refusal
            error = errors.RefusedRequestError(detail)
            response = errors.answer(request, error, status=status, code=code)
            await response(scope, receive, send_guarded)
            return
        try:
            await self.app(scope, _limited(receive, most), send_guarded)
        except Exception as error:
            if started:
                raise
            await errors.unexpected(request, error)(scope, receive, send_guarded)

    def _most(self, scope: Scope) -> int:
        if scope["method"] == "POST" and IMPORTS.fullmatch(scope["path"]):
            return self._most_file_bytes
        if scope["method"] == "POST" and PHOTOS.fullmatch(scope["path"]):
            return max(MOST_BYTES, self._most_bytes)
        if scope["method"] == "POST" and PLACES.fullmatch(scope["path"]):
            return max(MOST_PLACES_BYTES, self._most_bytes)
        return self._most_bytes

    def _refusal(self, headers: Headers, most: int) -> tuple[int, str, str] | None:
        if not is_own_host(headers.get("host", ""), self._names):
            return 421, "unknown_host", phrase(marked("This server is not asked under this name."))
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 18:
            return 400, "refused", phrase(marked("The content's length is no number."))
        if int(length) > most:
            return 413, "too_large", phrase(TOO_LARGE, most=most)
        return None

    def _add_headers(self, scope: Scope, headers: MutableHeaders, nonce: str) -> None:
        media_type = headers.get("content-type", "")
        is_page = media_type.startswith("text/html")
        runs = is_page or "javascript" in media_type
        policy = content_policy(nonce, self._tile_hosts) if runs else DATA_POLICY
        headers["Content-Security-Policy"] = policy
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Permissions-Policy"] = PERMISSIONS
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if is_page:
            headers["X-Frame-Options"] = "SAMEORIGIN"
        headers.setdefault("Cache-Control", "no-store")
        if self._secure or scope["scheme"] == "https":
            headers["Strict-Transport-Security"] = HSTS


def _limited(receive: Receive, most_bytes: int) -> Receive:
    """Return `receive` with an end: a body that says no length may still be too long."""
    taken = 0

    async def receive_limited() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > most_bytes:
                raise HTTPException(413, phrase(TOO_LARGE, most=most_bytes))
        return message

    return receive_limited
