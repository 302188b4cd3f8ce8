"""Accounts as the city's administrators keep them; phones that a secretary signs in by a link."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, InvalidInputError, NotFoundError
from geo.store import accounts, audit, rights, signing
from geo.tables import AreaGrant, NetGrid, SignInLink, UserAccount, UserSession, Worker
from geo.terms import FOREVER, Role

LINK_LIFE: Final = timedelta(minutes=10)
PHONE_LIFE: Final = timedelta(days=90)
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"


def new_password() -> str:
    """Return a password of 16 letters in groups of four, about 79 bits, without look-alikes."""
    letters = [secrets.choice(_LETTERS) for _ in range(16)]
    return "-".join("".join(letters[start : start + 4]) for start in range(0, 16, 4))


def listing(
    session: Session, viewer: Viewer, seen: ColumnElement[bool], *, read: bool = True
) -> list[dict[str, Any]]:
    """Return the accounts that the viewer may see, with their areas and open sessions.

    Reading them is a row of the log.

    Raises
    ------
    ForbiddenError
        If the viewer keeps neither accounts nor phones.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    account = UserAccount
    rows = session.execute(
        select(
            account.user_id.label("user"),
            account.login,
            account.display_name,
            account.role,
            account.worker_id.label("worker"),
            account.demo,
            account.created_at,
            account.disabled_at,
        )
        .where(account.city_id == city_id, seen)
        .order_by(account.disabled_at.is_not(None), account.role, account.login)
    )
    found = [dict(row._mapping) for row in rows]
    users = [row["user"] for row in found]
    counted = session.execute(
        select(UserSession.user_id, func.count(UserSession.session_id))
        .where(_open(city_id), UserSession.user_id.in_(users))
        .group_by(UserSession.user_id)
    )
    open_sessions = {row[0]: row[1] for row in counted}
    areas = _areas(session, city_id, users)
    for row in found:
        row["sessions"] = open_sessions.get(row["user"], 0)
        own = areas.get(row["user"], [])
        row["areas"] = [name for name, _ in own]
        row["area_codes"] = [code for _, code in own]
    if read:
        what = {"rows": len(found)}
        audit.append(session, city_id, "accounts.read", "accounts", what)
    return found


def _open(city_id: int) -> ColumnElement[bool]:
    return and_(
        UserSession.city_id == city_id,
        UserSession.revoked_at.is_(None),
        UserSession.expires_at > func.statement_timestamp(),
    )


def _areas(
    session: Session, city_id: int, users: Sequence[int]
) -> dict[int, list[tuple[str, str]]]:
    """Return names and codes of the grids that accounts were given, by account."""
    rows = session.execute(
        select(AreaGrant.user_id, NetGrid.name, NetGrid.code)
        .join(
            NetGrid,
            and_(NetGrid.city_id == AreaGrant.city_id, NetGrid.grid_id == AreaGrant.grid_id),
        )
        .where(
            AreaGrant.city_id == city_id,
            AreaGrant.user_id.in_(list(users)),
            NetGrid.to_seq == FOREVER,
        )
        .order_by(AreaGrant.user_id, NetGrid.grid_id)
    )
    found: dict[int, list[tuple[str, str]]] = {}
    for row in rows:
        found.setdefault(row.user_id, []).append((row.name, row.code or row.name))
    return found


def _account(session: Session, viewer: Viewer, seen: ColumnElement[bool], user: int) -> Any:
    city_id = rights.demand(viewer, rights.TELLING)
    account = UserAccount
    found = session.execute(
        select(
            account.city_id, account.user_id, account.login, account.role, account.worker_id,
            account.display_name, account.demo, account.disabled_at,
        ).where(account.city_id == city_id, account.user_id == user, seen)
    ).one_or_none()  # fmt: skip
    if found is None:
        raise NotFoundError(f"There is no account {user}.", user=user)
    return found


def create(
    session: Session,
    viewer: Viewer,
    *,
    login: str,
    display_name: str,
    role: str,
    password: str | None = None,
    grid_ids: Sequence[int] = (),
    organisation_id: int | None = None,
    worker_id: int | None = None,
) -> tuple[int, str]:
    """Make an account; return its number and its password, which is made up when none is given.

    A worker's account acts where the worker's posts are, so it needs no grids.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If a value cannot be used; `field` names it.
    ConflictError
        If the login is taken.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    if role not in set(Role) - {Role.PUBLIC}:
        raise InvalidInputError(f"There is no role '{role}'.", field="role", reason="no_role")
    grids = list(grid_ids)
    if worker_id is not None:
        own = (Worker.city_id == city_id, Worker.worker_id == worker_id)
        held = session.scalar(select(Worker.areas).where(*own))
        if held is None:
            raise InvalidInputError("There is no such worker.", field="worker", reason="no_worker")
        grids = grids or _posts_of(session, city_id, worker_id)
    word = password or new_password()
    try:
        with session.begin_nested():
            user = signing.create_account(
                session,
                city_id,
                login=login,
                password=word,
                role=Role(role),
                display_name=display_name.strip() or login,
                grid_ids=grids,
                organisation_id=organisation_id,
                worker_id=worker_id,
            )
    except IntegrityError as error:
        message = f"The login '{login}' is taken."
        raise ConflictError(message, field="login", reason="login_taken", value=login) from error
    return user, word


def _posts_of(session: Session, city_id: int, worker: int) -> list[int]:
    rows = session.scalars(
        text(
            "SELECT DISTINCT grid_id FROM post WHERE city_id = :city AND worker_id = :worker"
            " AND (valid_to IS NULL OR valid_to > current_date)"
        ),
        {"city": city_id, "worker": worker},
    )
    return list(rows)


def reset_password(
    session: Session, viewer: Viewer, seen: ColumnElement[bool], user: int
) -> tuple[str, str]:
    """Give an account a new password and end its sessions; return login and password.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If the city has no such account.
    """
    rights.demand(viewer, rights.ADMINISTRATORS)
    row = _account(session, viewer, seen, user)
    word = new_password()
    signing.set_password(session, row.login, word)
    return row.login, word


def set_areas(
    session: Session,
    viewer: Viewer,
    seen: ColumnElement[bool],
    user: int,
    grid_ids: Sequence[int],
) -> None:
    """Give an account other grids to act in; it acts there from its next request on.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If the city has no such account.
    ConflictError
        If the account acts in the whole city, for a department, or where its worker's posts are.
    InvalidInputError
        If no grid is given, or one is not the city's.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    row = _account(session, viewer, seen, user)
    if row.role not in (Role.WORKER, Role.COMMUNITY):
        raise ConflictError("This role has no areas of its own.", reason="no_areas")
    if row.role == Role.WORKER and row.worker_id is not None:
        raise ConflictError("The account follows its worker's posts.", reason="by_posts")
    wanted = sorted(set(grid_ids))
    if not wanted:
        raise InvalidInputError("Give at least one grid.", field="grids", reason="empty")
    if missing := accounts.missing_grids(session, city_id, wanted):
        raise InvalidInputError(f"No grids of this city: {missing}.", field="grids")
    own = and_(AreaGrant.city_id == city_id, AreaGrant.user_id == user)
    before = sorted(session.scalars(select(AreaGrant.grid_id).where(own)))
    session.execute(delete(AreaGrant).where(own, AreaGrant.grid_id.not_in(wanted)))
    added = [grid for grid in wanted if grid not in before]
    if added:
        rows = [{"city_id": city_id, "user_id": user, "grid_id": grid} for grid in added]
        session.execute(insert(AreaGrant), rows)
    what = {"grids": wanted, "before": before}
    audit.append(session, city_id, "account.areas_changed", f"account/{user}", what)


def set_disabled(
    session: Session, viewer: Viewer, seen: ColumnElement[bool], user: int, *, disabled: bool
) -> None:
    """Shut an account with all its sessions, or open it again.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If the city has no such account.
    ConflictError
        If it is the viewer's own.
    """
    rights.demand(viewer, rights.ADMINISTRATORS)
    row = _account(session, viewer, seen, user)
    if disabled and user == viewer.user_id:
        raise ConflictError("Nobody shuts the own account.", field="user", reason="own_account")
    if disabled:
        signing.disable_account(session, row.login)
    else:
        signing.enable_account(session, row.login)


# ---- sessions and phones -------------------------------------------------------------------------


def sessions(
    session: Session, viewer: Viewer, seen: ColumnElement[bool], user: int | None = None
) -> list[dict[str, Any]]:
    """Return the open sessions of the accounts that the viewer may see, the newest first.

    Raises
    ------
    ForbiddenError
        If the viewer keeps neither accounts nor phones.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    statement = (
        select(
            UserSession.session_id.label("session"),
            UserSession.user_id.label("user"),
            UserAccount.login,
            UserAccount.display_name,
            UserSession.created_at,
            UserSession.expires_at,
            UserSession.remembered,
            UserSession.device,
        )
        .join(
            UserAccount,
            and_(
                UserAccount.city_id == UserSession.city_id,
                UserAccount.user_id == UserSession.user_id,
            ),
        )
        .where(_open(city_id), seen)
        .order_by(UserSession.created_at.desc(), UserSession.session_id.desc())
        .limit(500)
    )
    if user is not None:
        statement = statement.where(UserSession.user_id == user)
    return [dict(row._mapping) for row in session.execute(statement)]


def end_session(
    session: Session, viewer: Viewer, seen: ColumnElement[bool], session_id: int
) -> None:
    """End a session of an account that the viewer may see.

    Raises
    ------
    ForbiddenError
        If the viewer keeps neither accounts nor phones.
    NotFoundError
        If there is no such session.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    users = select(UserAccount.user_id).where(UserAccount.city_id == city_id, seen)
    found = session.execute(
        update(UserSession)
        .where(UserSession.session_id == session_id, _open(city_id), UserSession.user_id.in_(users))
        .values(revoked_at=func.statement_timestamp())
        .returning(UserSession.user_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if found is None:
        raise NotFoundError(f"There is no session {session_id}.", session=session_id)
    what = {"session": session_id}
    audit.append(session, city_id, "session.revoked", f"account/{found.user_id}", what)


def create_phone_link(
    session: Session, viewer: Viewer, seen: ColumnElement[bool], user: int, token_hash: bytes
) -> dict[str, Any]:
    """Keep a link that signs a worker's phone in once; return whose it is.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no phones.
    NotFoundError
        If the viewer sees no such account.
    ConflictError
        If it is no worker's, or shut.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    row = _account(session, viewer, seen, user)
    if row.role != Role.WORKER or row.disabled_at is not None:
        raise ConflictError(
            "Only an open account of a worker gets a phone.", field="user", reason="no_phone"
        )
    expires_at = session.execute(select(func.statement_timestamp())).scalar_one() + LINK_LIFE
    session.execute(
        insert(SignInLink).values(
            token_hash=token_hash,
            city_id=city_id,
            user_id=user,
            created_by=viewer.user_id,
            expires_at=expires_at,
        )
    )
    audit.append(session, city_id, "phone_link.created", f"account/{user}", {})
    return {
        "user": user,
        "login": row.login,
        "display_name": row.display_name,
        "expires_at": expires_at,
    }


def look_at_link(session: Session, token_hash: bytes) -> dict[str, Any] | None:
    """Return whom a link signs in, None when it is used, too old or unknown; changes nothing.

    In a sign-in transaction.
    """
    asked = text("SELECT * FROM look_at_sign_in_link(:link)")
    row = session.execute(asked, {"link": token_hash}).one_or_none()
    return dict(row._mapping) if row else None


def use_link(session: Session, link_hash: bytes, token_hash: bytes, device: str) -> bool:
    """Open a remembered session by a link, once; say whether that went. While signing in."""
    row = session.execute(
        text("SELECT * FROM use_sign_in_link(:link, :token, CAST(:life AS interval), :device)"),
        {"link": link_hash, "token": token_hash, "life": PHONE_LIFE, "device": device[:60]},
    ).one_or_none()
    if row is None:
        return False
    audit.append(
        session,
        row.city_id,
        "session.opened",
        f"account/{row.user_id}",
        {"by": "phone_link", "device": device[:60]},
        actor_id=row.user_id,
        actor_role=row.role,
    )
    return True


def device_name(agent: str) -> str:
    """Return a short name of a device from what its browser says of itself.

    Examples
    --------
    >>> device_name("Mozilla/5.0 (Linux; Android 14; M2102) AppleWebKit Chrome/120 Mobile Safari")
    'Android Chrome'
    """
    systems = ("Android", "iPhone", "iPad", "HarmonyOS", "Windows", "Mac OS", "Linux")
    system = next((one for one in systems if one in agent), "")
    marks = {"MicroMessenger": "WeChat", "Edg": "Edge", "Firefox": "Firefox", "Chrome": "Chrome"}
    browser = next((word for mark, word in marks.items() if mark in agent), "")
    browser = browser or ("Safari" if "Safari" in agent else "")
    return " ".join(word for word in (system, browser) if word) or "?"
