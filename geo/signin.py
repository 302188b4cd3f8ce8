"""Signing in: which logins and passwords are accepted, how they are compared, what failures cost.

Pure: no database and no clock.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from geo.errors import InvalidInputError

MIN_LENGTH = 10
MAX_LENGTH = 256
LOGIN = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._@+-]{0,62}[a-zA-Z0-9])?")
"""What a login looks like: ASCII alone, so that no two spellings mean one account."""

_HASHER = PasswordHasher(memory_cost=47_104, time_cost=1, parallelism=1)
"""argon2id with 46 MiB and one pass: about 70 ms, so that a morning's sign-ins need no queue."""
_NOBODY = (
    "$argon2id$v=19$m=47104,t=1,p=1$bm9ib2R5LW5vYm9keS0wMA"
    "$7OKmPCkL6ByPP2fz1m0R6W8gcOqdwJcrF5J8ka8GXc0"
)
"""A hash of the same cost that stands in for an account that does not exist."""


def is_login(text: str) -> bool:
    """Return whether a text can be a login at all.

    Examples
    --------
    >>> is_login("planner.longkou"), is_login("admin' --"), is_login("")
    (True, False, False)
    """
    return LOGIN.fullmatch(text) is not None


def check_login(login: str) -> str:
    """Return the login as it is stored, in small letters.

    Raises
    ------
    InvalidInputError
        If it has other characters than ASCII letters, digits and ``._@+-``.
    """
    if not is_login(login):
        raise InvalidInputError(
            "A login has 1 to 64 letters, digits or . _ @ + - and begins and ends with a letter "
            "or digit.",
            field="login",
        )
    return login.lower()


def check_password(password: str, login: str) -> None:
    """Accept a new password or say why not.

    Raises
    ------
    InvalidInputError
        If it is shorter than `MIN_LENGTH`, longer than `MAX_LENGTH`, one character repeated, or
        the login with or without a tail of up to four characters.
    """
    folded, name = password.casefold(), login.casefold()
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        reason = f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters."
    elif len(set(folded)) == 1:
        reason = "A password is not one character repeated."
    elif name in folded and len(folded) - len(name) <= 4:
        reason = "A password is not the login with a few characters more."
    else:
        return
    raise InvalidInputError(reason, field="password")


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, with its salt and cost inside."""
    return _HASHER.hash(password)


def password_matches(stored: str | None, password: str) -> bool:
    """Compare a password with a stored hash; without one the same work is done for nothing.

    Parameters
    ----------
    stored : str or None
        The account's hash, None for an unknown login.
    password : str
        As typed.
    """
    try:
        return _HASHER.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@dataclass(frozen=True)
class Credential:
    """What signing in compares: never leaves the server."""

    city_id: int
    user_id: int
    role: str
    password_hash: str
    disabled: bool


@dataclass(frozen=True)
class Account:
    """Whose session it is."""

    city_id: int
    city: str
    user_id: int
    role: str
    login: str
    display_name: str
    worker_id: int | None
    areas: tuple[int, ...]
    organisations: tuple[int, ...]


@dataclass(frozen=True)
class Patience:
    """How failures under one key hold back the next attempt.

    Parameters
    ----------
    free : int
        Failures without any wait.
    factor : float
        Growth of the wait with each failure beyond; 1.0 for a wait that grows by a second each.
    longest_s : float
        The longest wait, seconds.
    """

    free: int
    factor: float
    longest_s: float

    def wait_s(self, failures: int, last_at: datetime, now: datetime) -> float:
        """Return how long the next attempt has still to wait, in seconds; 0 when it need not."""
        beyond = failures - self.free
        if beyond < 0:
            return 0.0
        span = float(beyond + 1) if self.factor == 1.0 else self.factor ** min(beyond, 30)
        return max(0.0, min(span, self.longest_s) - (now - last_at).total_seconds())


ACCOUNT_PATIENCE = Patience(free=5, factor=2.0, longest_s=300.0)
"""Five guesses, then 1, 2, 4 ... 300 s: under 300 guesses a day, and the owner is back in 5 min."""
ADDRESS_PATIENCE = Patience(free=50, factor=1.0, longest_s=60.0)
"""A whole office may share one address, so an address is held back late and little."""


def account_key(login: str) -> bytes:
    """Return the key under which failures of a login are counted, known or unknown."""
    return hashlib.sha256(b"account:" + login.strip().casefold().encode()).digest()


def address_key(address: str) -> bytes:
    """Return the key of a network address: the /64 of IPv6, since a host has all of it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return hashlib.sha256(b"address:" + address.encode()).digest()
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            parsed = ipaddress.ip_network((int(parsed), 64), strict=False).network_address
        else:
            parsed = parsed.ipv4_mapped
    return hashlib.sha256(b"address:" + parsed.packed).digest()
