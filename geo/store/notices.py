"""Notices at the doors: what people of a place should know, kept by the community."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, insert, or_, select
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import InvalidInputError, NotFoundError
from geo.store import audit, office, rights
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.tables import NetGrid, Notice
from geo.terms import NoticeKind

LONGEST_TITLE: Final = 80
LONGEST_BODY: Final = 1_000


@dataclass(frozen=True)
class NoticeText:
    """What a notice says and for how long; without an end it lasts until it is withdrawn."""

    kind: str
    title: str
    body: str
    begins_at: datetime
    ends_at: datetime | None = None


def lasting() -> ColumnElement[bool]:
    """Return the condition of notices that are neither over nor withdrawn; those to come are in."""
    lasts = or_(Notice.ends_at.is_(None), Notice.ends_at > func.statement_timestamp())
    return and_(Notice.withdrawn_at.is_(None), lasts)


def _checked(wish: NoticeText) -> dict[str, Any]:
    if wish.kind not in set(NoticeKind):
        raise InvalidInputError(
            f"There is no kind of notice '{wish.kind}'.", field="kind", reason="no_kind"
        )
    body = (wish.body or "").strip()
    if len(body) > LONGEST_BODY or "\x00" in body:
        raise InvalidInputError(
            "The text is too long.", field="body", reason="too_long", most=LONGEST_BODY
        )
    for moment, field in ((wish.begins_at, "begins_at"), (wish.ends_at, "ends_at")):
        if moment is not None and (moment.tzinfo is None or not 1900 <= moment.year <= 2999):
            raise InvalidInputError(
                "A moment lies between 1900 and 2999 and has a zone.", field=field, reason="no_date"
            )
    if wish.ends_at is not None and wish.ends_at <= wish.begins_at:
        raise InvalidInputError("It ends before it begins.", field="ends_at", reason="dates")
    return {
        "kind": wish.kind,
        "title": office.clean(wish.title, "title", LONGEST_TITLE),
        "body": body,
        "begins_at": wish.begins_at,
        "ends_at": wish.ends_at,
    }


def create(session: Session, viewer: Viewer, at: Moment, grid: int, wish: NoticeText) -> int:
    """Put up a notice for a grid and all below it; return its number.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no notices.
    InvalidInputError
        If the grid or a value cannot be used; `field` names it.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    place = office.grid_within_reach(session, viewer, at, grid)
    values = _checked(wish)
    statement = (
        insert(Notice)
        .values(city_id=city_id, grid_id=place.grid_id, author=viewer.user_id, **values)
        .returning(Notice.notice_id)
    )
    notice: int = session.execute(statement).scalar_one()
    _note(session, city_id, "notice.created", notice, values | {"grid": place.grid_id})
    return notice


def _kept(session: Session, viewer: Viewer, notice: int) -> Any:
    city_id = rights.demand(viewer, rights.TELLING)
    found = session.scalars(
        select(Notice)
        .where(
            Notice.city_id == city_id,
            Notice.notice_id == notice,
            Notice.withdrawn_at.is_(None),
            rights.in_reach(Notice, viewer),
        )
        .with_for_update()
    ).one_or_none()
    if found is None:
        raise NotFoundError(f"There is no notice {notice} in your area.", notice=notice)
    return found


def change(session: Session, viewer: Viewer, notice: int, wish: NoticeText) -> None:
    """Change what a notice says.

    Raises
    ------
    NotFoundError
        If the viewer's area has no such notice.
    InvalidInputError
        If a value cannot be used; `field` names it.
    """
    row = _kept(session, viewer, notice)
    values = _checked(wish)
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    _note(session, row.city_id, "notice.changed", notice, values)


def withdraw(session: Session, viewer: Viewer, notice: int) -> None:
    """Take a notice down; it stays in the book.

    Raises
    ------
    NotFoundError
        If the viewer's area has no such notice.
    """
    row = _kept(session, viewer, notice)
    row.withdrawn_at = func.statement_timestamp()
    city_id = row.city_id
    session.flush()
    _note(session, city_id, "notice.withdrawn", notice, {})


def _note(session: Session, city_id: int, action: str, notice: int, what: dict[str, Any]) -> None:
    payload = {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in what.items()
        if key != "body"
    }
    audit.append(session, city_id, action, f"notice/{notice}", payload)


def of_place(
    session: Session, at: Moment, grids: Sequence[int], *, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the notices in force of some grids, those under way first, then by their beginning."""
    begun = Notice.begins_at <= func.statement_timestamp()
    statement = _statement(at, begun).where(lasting(), Notice.grid_id.in_(list(grids)))
    rows = session.execute(statement.order_by(begun.desc(), Notice.begins_at).limit(limit))
    return [dict(row._mapping) for row in rows]


def listing(
    session: Session, viewer: Viewer, at: Moment, *, grid: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Return the notices in force, of a grid and what it belongs to if one is given.

    Communities and departments get those of their areas.
    """
    begun = Notice.begins_at <= func.statement_timestamp()
    statement = _statement(at, begun).where(lasting())
    if viewer.staff and not viewer.city_wide:
        statement = statement.where(rights.in_reach(Notice, viewer))
    if grid is not None:
        statement = statement.where(Notice.grid_id == grid)
    rows = session.execute(
        statement.order_by(begun.desc(), Notice.begins_at, Notice.notice_id).limit(limit)
    )
    return [dict(row._mapping) for row in rows]


def _statement(at: Moment, begun: ColumnElement[bool]) -> Any:
    return (
        select(
            Notice.notice_id.label("notice"),
            Notice.grid_id.label("grid"),
            NetGrid.name.label("grid_name"),
            Notice.kind,
            Notice.title,
            Notice.body,
            Notice.begins_at,
            Notice.ends_at,
            begun.label("begun"),
        )
        .join(NetGrid, and_(NetGrid.city_id == Notice.city_id, NetGrid.grid_id == Notice.grid_id))
        .where(of_net(NetGrid, at), Notice.city_id == at.city_id)
    )
