"""Sign-in, its cookie, and the proof that a request that changes something comes from our page.

The cookie holds 32 random bytes; the database holds their SHA-256. The CSRF token is derived from
them, so that nothing more needs to be stored and a new sign-in has a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import BoundedSemaphore
from typing import ClassVar

from fastapi import Request, Response

from geo import service
from geo.db import Database
from geo.errors import SignInError, TooManyAttemptsError, WanggeError
from geo.settings import Settings
from geo.signin import Account, password_matches

COOKIE = "wangge_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
SIGN_IN_PATHS = frozenset({"/signin", "/api/v1/session"})
TOKEN_BYTES = 32
CSRF_BYTES = 24
COMPARED_AT_ONCE = 2
WAITING_AT_MOST = 8
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_comparing = BoundedSemaphore(COMPARED_AT_ONCE)
_waiting = BoundedSemaphore(COMPARED_AT_ONCE + WAITING_AT_MOST)


class CrossSiteError(WanggeError):
    """A change was asked for from elsewhere, or without the token of the page."""

    code: ClassVar[str] = "cross_site"


def new_token() -> str:
    """Return a new session's token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """Return what the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()


def csrf_token(token: str) -> str:
    """Return a token that pages of this session send with every change.

    It looks different each time, so that the length of compressed pages tells nothing about it.
    """
    mask = secrets.token_bytes(CSRF_BYTES)
    return urlsafe_b64encode(mask + _xor(mask, _csrf_secret(token))).decode()


def csrf_token_fits(token: str, sent: str) -> bool:
    """Return whether a token that was sent with a change is one of this session."""
    try:
        plain = urlsafe_b64decode(sent.encode("ascii"))
    except (ValueError, Base64Error):
        return False
    mask, masked = plain[:CSRF_BYTES], plain[CSRF_BYTES:]
    return len(masked) == CSRF_BYTES and hmac.compare_digest(
        _xor(mask, masked), _csrf_secret(token)
    )


def _csrf_secret(token: str) -> bytes:
    return hmac.new(token.encode(), b"wangge csrf", hashlib.sha256).digest()[:CSRF_BYTES]


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def session_token(request: Request) -> str | None:
    """Return the token of the session cookie, None when there is none or it is no token."""
    value = request.cookies.get(COOKIE, "")
    try:
        return value if len(urlsafe_b64decode(value + "=")) == TOKEN_BYTES else None
    except (Base64Error, ValueError):
        return None


def client_address(request: Request) -> str:
    """Return the network address that the request came from."""
    return request.client.host if request.client else ""


@contextmanager
def _turn() -> Iterator[None]:
    """Let few passwords be compared at once: each takes 46 MiB and a processor for a while."""
    if not _waiting.acquire(blocking=False):
        raise TooManyAttemptsError("Too many people sign in at this moment.", retry_after_s=2)
    try:
        with _comparing:
            yield
    finally:
        _waiting.release()


def sign_in(database: Database, login: str, password: str, address: str, life: timedelta) -> str:
    """Compare a password and return the token of a new session.

    An unknown login, a wrong password and a shut account take the same steps, the same time and
    give the same answer.

    Raises
    ------
    SignInError
        If they do not match an open account.
    TooManyAttemptsError
        If the account or the address has to wait.
    """
    with _turn():
        with database.sign_in_transaction() as session:
            credential = service.admit_sign_in(session, login, address)
        stored = credential.password_hash if credential else None
        matches = password_matches(stored, password)
    token = new_token()
    with database.sign_in_transaction() as session:
        if matches and credential and not credential.disabled:
            service.open_session(session, credential, login, token_hash(token), life)
            return token
        service.refuse_sign_in(session, credential, login, address)
    raise SignInError("Login and password do not match an open account.")


def sign_out(database: Database, token: str | None) -> None:
    """End a session; nothing happens when it is over already."""
    if token is None:
        return
    with database.sign_in_transaction() as session:
        account = service.account_of_session(session, token_hash(token))
        if account:
            service.close_session(session, account, token_hash(token))


def account_of(database: Database, token: str) -> Account | None:
    """Return whose session a token is."""
    with database.sign_in_transaction() as session:
        return service.account_of_session(session, token_hash(token))


def sign_in_by_link(database: Database, link: str, device: str) -> str | None:
    """Use a link that signs in once; return the token of the new session, None if it is over."""
    token = new_token()
    with database.sign_in_transaction() as session:
        went = service.desk.use_link(session, token_hash(link), token_hash(token), device)
    return token if went else None


def set_cookie(
    response: Response, token: str, settings: Settings, life: timedelta | None = None
) -> None:
    """Give the browser its session; it lasts as the settings say unless `life` is given."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(life.total_seconds()) if life else settings.session_hours * 3600,
        path="/",
        secure=settings.secure_cookies,
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response, settings: Settings) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        COOKIE, path="/", secure=settings.secure_cookies, httponly=True, samesite="lax"
    )


async def guard_changes(request: Request) -> None:
    """Refuse a request that would change something and may come from another site.

    Every such request has to come from our origin, as far as the browser says where it comes
    from. One with a session has to bring the session's CSRF token too, in a header or a form.

    Raises
    ------
    CrossSiteError
        If it comes from elsewhere or the token is missing or wrong.
    """
    if request.method in SAFE_METHODS:
        return
    demand_own_origin(request)
    token = session_token(request)
    if token is None or (request.method == "POST" and request.url.path in SIGN_IN_PATHS):
        return
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and request.headers.get("content-type", "").startswith(_FORMS):
        field = (await request.form()).get(CSRF_FIELD)
        sent = field if isinstance(field, str) else None
    if sent is None or not csrf_token_fits(token, sent):
        await request.close()
        raise CrossSiteError("The page is out of date; load it again and repeat.")


def demand_own_origin(request: Request) -> None:
    """Refuse a request that its browser says comes from another origin.

    Raises
    ------
    CrossSiteError
        If `Sec-Fetch-Site` or `Origin` name another origin than ours.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise CrossSiteError("The request comes from another site.")
    origin = request.headers.get("origin")
    if origin is None:
        return
    settings: Settings = request.app.state.settings
    scheme = "https" if settings.secure_cookies else request.url.scheme
    if origin.lower() != f"{scheme}://{request.headers.get('host', '')}".lower():
        raise CrossSiteError("The request comes from another site.")
