"""Use cases of accounts: made and shut by the operator, signed in and out by their owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo import signin
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TooManyAttemptsError,
)
from geo.store import accounts, audit, loading
from geo.tables import City
from geo.terms import Role


def create_account(
    session: Session,
    city_id: int,
    *,
    login: str,
    password: str,
    role: Role,
    display_name: str,
    grid_ids: Sequence[int] = (),
    organisation_id: int | None = None,
    worker_id: int | None = None,
    demo: bool = False,
) -> int:
    """Store a local account with the areas it acts in; return its id. For the owner.

    Raises
    ------
    ConflictError
        If the login is taken, in any city.
    InvalidInputError
        If login or password are not accepted, a grid or the organisation is not the city's, or
        the role lacks the areas or the organisation it stands on.
    """
    stored = signin.check_login(login)
    signin.check_password(password, stored)
    if role in (Role.WORKER, Role.COMMUNITY) and not grid_ids:
        raise InvalidInputError(f"The role {role} needs at least one grid.", field="grids")
    if role is Role.DEPARTMENT and organisation_id is None:
        raise InvalidInputError("A department needs its organisation.", field="organisation")
    if missing := accounts.missing_grids(session, city_id, grid_ids):
        raise InvalidInputError(f"No grids of this city: {missing}.", field="grids")
    if organisation_id is not None and not accounts.has_organisation(
        session, city_id, organisation_id
    ):
        raise InvalidInputError(
            f"No organisation of this city: {organisation_id}.", field="organisation"
        )
    if accounts.account_by_login(session, stored):
        raise ConflictError(f"The login '{stored}' is taken.", field="login", login=stored)
    values = {
        "city_id": city_id,
        "login": stored,
        "display_name": display_name,
        "role": role.value,
        "password_hash": signin.hash_password(password),
        "organisation_id": organisation_id,
        "worker_id": worker_id,
        "demo": demo,
    }
    user_id = accounts.insert_account(session, values, grid_ids)
    what = {"login": stored, "role": role.value, "grids": sorted(set(grid_ids)), "demo": demo}
    audit.append(session, city_id, "account.created", f"account/{user_id}", what)
    return user_id


def grids_named(session: Session, city_id: int, words: Sequence[str]) -> list[int]:
    """Return the grids that these words name: codes of the latest net, else ids; for the owner.

    Raises
    ------
    InvalidInputError
        If a word is neither; all such words are listed.
    """
    found = accounts.grids_of_codes(session, city_id, words)
    ids = {word: int(word) for word in words if word not in found and _is_id(word)}
    strange = set(accounts.missing_grids(session, city_id, list(ids.values())))
    found |= {word: grid for word, grid in ids.items() if grid not in strange}
    if missing := [word for word in words if word not in found]:
        listed = ", ".join(missing)
        raise InvalidInputError(f"No codes or ids of this city's grids: {listed}.", field="grid")
    return [found[word] for word in words]


def _is_id(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 18


def list_accounts(session: Session, city_id: int | None = None) -> list[dict[str, Any]]:
    """Return all accounts of a city, or of all cities, without their secrets; for the owner."""
    return accounts.listing(session, city_id)


def set_password(session: Session, login: str, password: str) -> None:
    """Give an account a new password and end its sessions; for the owner.

    An account of the demo is then one like others, since its password is no longer known to all.

    Raises
    ------
    NotFoundError
        If nobody has this login.
    InvalidInputError
        If the password is not accepted.
    """
    city_id, user_id = _account(session, login)
    signin.check_password(password, login)
    hashed = signin.hash_password(password)
    accounts.change_account(session, city_id, user_id, password_hash=hashed, demo=False)
    accounts.end_sessions(session, city_id, user_id)
    audit.append(session, city_id, "account.password_set", f"account/{user_id}", {})


def disable_account(session: Session, login: str) -> None:
    """Shut an account: its sessions are dead from this transaction's end on; for the owner.

    Raises
    ------
    NotFoundError
        If nobody has this login.
    """
    city_id, user_id = _account(session, login)
    accounts.change_account(session, city_id, user_id, disabled_at=func.statement_timestamp())
    accounts.end_sessions(session, city_id, user_id)
    audit.append(session, city_id, "account.disabled", f"account/{user_id}", {})


def enable_account(session: Session, login: str) -> None:
    """Open a shut account again; for the owner.

    Raises
    ------
    NotFoundError
        If nobody has this login.
    """
    city_id, user_id = _account(session, login)
    accounts.change_account(session, city_id, user_id, disabled_at=None)
    audit.append(session, city_id, "account.enabled", f"account/{user_id}", {})


def _account(session: Session, login: str) -> tuple[int, int]:
    found = accounts.account_by_login(session, login)
    if found is None:
        raise NotFoundError(f"Nobody has the login '{login}'.", login=login)
    return found


def admit_sign_in(session: Session, login: str, address: str) -> signin.Credential | None:
    """Count an attempt in advance and return what its password is compared with, if anything.

    Counting first, under the row's lock, is what keeps guesses made at the same moment from all
    passing a check of the past. In a sign-in transaction.

    Raises
    ------
    TooManyAttemptsError
        If the account or the address has to wait; the attempt is not counted then.
    """
    by_address = accounts.failures_of(session, signin.address_key(address))
    _demand_patience(by_address, signin.ADDRESS_PATIENCE)
    key = signin.account_key(login)
    before = accounts.failures_of(session, key)
    _demand_patience(before, signin.ACCOUNT_PATIENCE)
    accounts.note_sign_in(session, key, succeeded=False)
    after = accounts.failures_of(session, key)
    if after and after.count - 1 > (before.count if before else 0):
        others = replace(after, count=after.count - 1)
        _demand_patience(others, signin.ACCOUNT_PATIENCE)
    return accounts.credential_of_login(session, login) if signin.is_login(login) else None


def _demand_patience(failures: accounts.Failures | None, patience: signin.Patience) -> None:
    if failures is None:
        return
    wait_s = patience.wait_s(failures.count, failures.last_at, failures.now)
    if wait_s > 0:
        raise TooManyAttemptsError(
            "Too many sign-ins failed; wait before the next.", retry_after_s=ceil(wait_s)
        )


def open_session(
    session: Session,
    credential: signin.Credential,
    login: str,
    token_hash: bytes,
    life: timedelta,
) -> None:
    """Store a session, forget the account's failures and log it; in a sign-in transaction."""
    accounts.note_sign_in(session, signin.account_key(login), succeeded=True)
    accounts.open_session(session, token_hash, credential.city_id, credential.user_id, life)
    audit.append(
        session,
        credential.city_id,
        "session.opened",
        f"account/{credential.user_id}",
        {},
        actor_id=credential.user_id,
        actor_role=credential.role,
    )


def refuse_sign_in(
    session: Session, credential: signin.Credential | None, login: str, address: str
) -> None:
    """Count a failure at its address and log it without what was typed; in a sign-in transaction.

    A login can be a password typed into the wrong field, so the log has a short hash of it.
    """
    key = signin.address_key(address)
    accounts.note_sign_in(session, key, succeeded=False)
    audit.append(
        session,
        credential.city_id if credential else audit.INSTALLATION,
        "session.refused",
        f"account/{credential.user_id}" if credential else "account",
        {"login_hash": signin.account_key(login).hex()[:16], "address_hash": key.hex()[:16]},
    )


def account_of_session(session: Session, token_hash: bytes) -> signin.Account | None:
    """Return whose session it is, None when it is over, revoked or its account shut."""
    return accounts.account_of_session(session, token_hash)


def close_session(session: Session, account: signin.Account, token_hash: bytes) -> None:
    """End a session and log it; in a sign-in transaction."""
    accounts.close_session(session, token_hash)
    audit.append(
        session,
        account.city_id,
        "session.closed",
        f"account/{account.user_id}",
        {},
        actor_id=account.user_id,
        actor_role=account.role,
    )


# ---- the accounts of a demo city ----

DEMO_PASSWORD = "wangge-demo"  # noqa: S105 - printed at the start, refused beyond loopback
DEMO_NAMES = {
    Role.PLANNER: "演示规划员",
    Role.WORKER: "演示网格员",
    Role.COMMUNITY: "演示社区",
    Role.DEPARTMENT: "演示部门",
    Role.LEADER: "演示领导",
    Role.ADMINISTRATOR: "演示管理员",
}
DEMO_FIRM: Final = "firm"
"""Login of the property firm's account."""


def create_demo_accounts(session: Session, slug: str) -> list[dict[str, str]]:
    """Give a demo city one account of each role; return login, role, password and place of each.

    The worker is a full-time worker of one grid, the community the one above it; where property
    firms are rated, one of them has an account as well, in the role of a department. For the owner;
    the program refuses to serve beyond this machine while such accounts are enabled.

    Raises
    ------
    CityNotFoundError
        If there is no such city.
    """
    city = session.scalar(select(City).where(City.slug == slug))
    if city is None:
        raise CityNotFoundError(f"There is no city '{slug}'.", city=slug)
    place = loading.demo_place(session, city.city_id)
    made: list[dict[str, str]] = []
    wanted = [(role, role.value, name) for role, name in DEMO_NAMES.items()]
    if place.firm:
        wanted.append((Role.DEPARTMENT, DEMO_FIRM, "演示物业公司"))
    for role, named, display_name in wanted:
        needs: dict[str, Any] = {}
        if role is Role.WORKER and place.grid:
            needs = {"grid_ids": [place.grid], "worker_id": place.worker}
        elif role is Role.COMMUNITY and place.community:
            needs = {"grid_ids": [place.community]}
        elif named == DEMO_FIRM:
            needs = {"organisation_id": place.firm}
        elif role is Role.DEPARTMENT and place.department:
            needs = {"organisation_id": place.department}
        if not needs and role in (Role.WORKER, Role.COMMUNITY, Role.DEPARTMENT):
            continue
        login = named if not accounts.account_by_login(session, named) else f"{named}.{slug}"
        create_account(
            session,
            city.city_id,
            login=login,
            password=DEMO_PASSWORD,
            role=role,
            display_name=display_name,
            demo=True,
            **needs,
        )
        made.append({"login": login, "role": role.value, "password": DEMO_PASSWORD})
    return made
