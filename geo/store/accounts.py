"""Accounts, sign-ins and their sessions: what the operator writes and what signing in may call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, Text, and_, cast, func, insert, select, text, true, update
from sqlalchemy.orm import Session

from geo.signin import Account, Credential
from geo.tables import AreaGrant, City, Grid, NetGrid, Organisation, UserAccount, UserSession
from geo.terms import FOREVER


@dataclass(frozen=True)
class Failures:
    """Failed sign-ins under one key."""

    count: int
    last_at: datetime
    now: datetime


# ---- what the operator writes ------------------------------------------------------------------


def insert_account(session: Session, values: dict[str, Any], grid_ids: Sequence[int]) -> int:
    """Store an account with its areas; return its id."""
    user_id = session.execute(
        insert(UserAccount).values(**values).returning(UserAccount.user_id)
    ).scalar_one()
    if grid_ids:
        rows = [
            {"city_id": values["city_id"], "user_id": user_id, "grid_id": grid}
            for grid in sorted(set(grid_ids))
        ]
        session.execute(insert(AreaGrant), rows)
    return int(user_id)


def account_by_login(session: Session, login: str) -> tuple[int, int] | None:
    """Return (city_id, user_id) of a login, without regard to case."""
    row = session.execute(
        select(UserAccount.city_id, UserAccount.user_id).where(
            func.lower(UserAccount.login) == login.lower()
        )
    ).first()
    return (row.city_id, row.user_id) if row else None


def missing_grids(session: Session, city_id: int, grid_ids: Sequence[int]) -> list[int]:
    """Return those of the ids that are no grid of the city."""
    found = select(Grid.grid_id).where(Grid.city_id == city_id, Grid.grid_id.in_(list(grid_ids)))
    return sorted(set(grid_ids) - set(session.scalars(found)))


def grids_of_codes(session: Session, city_id: int, codes: Sequence[str]) -> dict[str, int]:
    """Return the grids that stand under these codes in the city's latest net."""
    found = select(NetGrid.code, NetGrid.grid_id).where(
        NetGrid.city_id == city_id, NetGrid.to_seq == FOREVER, NetGrid.code.in_(list(codes))
    )
    return {row.code: row.grid_id for row in session.execute(found)}


def has_organisation(session: Session, city_id: int, organisation_id: int) -> bool:
    """Return whether the city has this organisation."""
    key = (Organisation.city_id == city_id, Organisation.organisation_id == organisation_id)
    return session.scalar(select(Organisation.organisation_id).where(*key)) is not None


def listing(session: Session, city_id: int | None) -> list[dict[str, Any]]:
    """Return all accounts of a city, or of all cities, with the grids they act in."""
    grids = (
        select(func.array_agg(func.coalesce(NetGrid.code, cast(AreaGrant.grid_id, Text))))
        .select_from(AreaGrant)
        .outerjoin(
            NetGrid,
            and_(
                NetGrid.city_id == AreaGrant.city_id,
                NetGrid.grid_id == AreaGrant.grid_id,
                NetGrid.to_seq == FOREVER,
            ),
        )
        .where(AreaGrant.city_id == UserAccount.city_id, AreaGrant.user_id == UserAccount.user_id)
        .scalar_subquery()
    )
    statement = (
        select(
            City.slug.label("city"),
            UserAccount.login,
            UserAccount.role,
            UserAccount.display_name.label("name"),
            func.coalesce(grids, cast([], ARRAY(Text))).label("grids"),
            UserAccount.organisation_id.label("organisation"),
            UserAccount.demo,
            UserAccount.disabled_at.is_not(None).label("disabled"),
        )
        .join(City, City.city_id == UserAccount.city_id)
        .where(true() if city_id is None else UserAccount.city_id == city_id)
        .order_by(City.slug, UserAccount.role, UserAccount.login)
    )
    return [dict(row._mapping) for row in session.execute(statement)]


def change_account(session: Session, city_id: int, user_id: int, **values: Any) -> None:
    """Change columns of an account."""
    session.execute(
        update(UserAccount)
        .where(UserAccount.city_id == city_id, UserAccount.user_id == user_id)
        .values(**values)
    )


def end_sessions(session: Session, city_id: int, user_id: int) -> None:
    """Revoke all sessions of an account."""
    session.execute(
        update(UserSession)
        .where(
            UserSession.city_id == city_id,
            UserSession.user_id == user_id,
            UserSession.revoked_at.is_(None),
        )
        .values(revoked_at=func.statement_timestamp())
    )


# ---- what signing in may call -------------------------------------------------------------------


def credential_of_login(session: Session, login: str) -> Credential | None:
    """Return what a sign-in is compared with."""
    row = session.execute(
        text("SELECT * FROM account_of_login(:login)"), {"login": login}
    ).one_or_none()
    return None if row is None else Credential(*row)


def failures_of(session: Session, key: bytes) -> Failures | None:
    """Return the failed sign-ins under a key."""
    row = session.execute(
        text(
            "SELECT failures, last_at, statement_timestamp() "
            "FROM sign_in_failures(ARRAY[CAST(:key AS bytea)])"
        ),
        {"key": key},
    ).one_or_none()
    return None if row is None else Failures(*row)


def note_sign_in(session: Session, key: bytes, *, succeeded: bool) -> None:
    """Count a failure under a key, or forget all of them."""
    session.execute(
        text("SELECT note_sign_in(ARRAY[CAST(:key AS bytea)], :succeeded)"),
        {"key": key, "succeeded": succeeded},
    )


def open_session(
    session: Session, token_hash: bytes, city_id: int, user_id: int, life: timedelta
) -> None:
    """Store a new session under the hash of its token."""
    session.execute(
        text(
            "SELECT open_session(:token, CAST(:city AS smallint), CAST(:account AS bigint),"
            " CAST(:life AS interval))"
        ),
        {"token": token_hash, "city": city_id, "account": user_id, "life": life},
    )


def close_session(session: Session, token_hash: bytes) -> None:
    """Revoke one session."""
    session.execute(text("SELECT close_session(:token)"), {"token": token_hash})


def account_of_session(session: Session, token_hash: bytes) -> Account | None:
    """Return the account of a session that is neither over nor revoked."""
    row = session.execute(
        text("SELECT * FROM account_of_session(:token)"), {"token": token_hash}
    ).one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = dict(row._mapping)
    values["areas"], values["organisations"] = tuple(row.areas), tuple(row.organisations)
    return Account(**values)
