"""Desks: what lies on them, what falls due first first; one issue, its history, its reporter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, and_, case, false, func, or_, select, true
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError
from geo.grids import AREA_COLUMNS
from geo.issues import DEPARTMENT, OPEN, acts_for, start_level
from geo.store import audit, rights
from geo.store.cases.acting import line_of, relations_of
from geo.store.cases.foreseeing import foreseen, ways
from geo.store.grids import cells_within, names
from geo.store.nets import Moment
from geo.store.paging import Key, Order, Page, Statement
from geo.store.shapes import Box, contains_text, intersects
from geo.tables import (
    Category,
    Grid,
    Issue,
    IssueContact,
    IssueEvent,
    Level,
    NetGrid,
    Organisation,
)
from geo.terms import FOREVER, IssueAct, IssueState, Role

S = IssueState
_NEW: Final = (S.REPORTED, S.ACCEPTED, S.VERIFIED, S.REGISTERED, S.RETURNED)
_IN_HAND: Final = (S.DISPATCHED, S.REWORKED, S.POSTPONED)
_CLOSED: Final = tuple(state.value for state in IssueState if state not in OPEN)
BOXES: Final = (
    "all", "new", "due_today", "overdue", "to_check", "supervised", "parked", "suspended", "closed",
)  # fmt: skip
ANYWHERE: Final = "closed"
"""The one box of issues that are on no desk any more: those reported last first."""
SECRETS: Final = frozenset({"geom", "secret_hash", "client_key", "content_hash", "city_id"})
"""Columns that no card tells."""


_AT_DESK: Final = case(
    *((Issue.desk_level == level, getattr(Issue, name))
      for level, name in enumerate(AREA_COLUMNS, start=1)),
    else_=Issue.owner_grid,
)  # fmt: skip
"""The grid whose desk is in charge."""


@dataclass(frozen=True)
class DeskFilter:
    """What a desk is narrowed by; None does not narrow.

    Parameters
    ----------
    box : str
        One of `BOXES`; "all" is everything open. With `q` closed issues are found as well.
    since, until : date
        First and last day of reporting in the city's zone.
    category : str
        With all below it.
    grid : int
        With all below it, on this net.
    state : str
    organisation : int
    due_before : datetime
    channel : str
    q : str
        A number, a short code or another platform's number, whole; anything else is sought in the
        words and addresses of what is open.
    held : int
        At whose desk: of the level with this number, or 0 for a department.
    bbox : tuple of float
        West, south, east, north in degrees.
    """

    box: str = "all"
    since: date | None = None
    until: date | None = None
    category: str | None = None
    grid: int | None = None
    state: str | None = None
    organisation: int | None = None
    due_before: datetime | None = None
    channel: str | None = None
    q: str | None = None
    held: int | None = None
    bbox: Box | None = None


_NUMBER: Final = re.compile(r"(?=.*\d)[A-Za-z0-9_./-]+")


_CODE: Final = re.compile(r"[A-Za-z]{8}")
"""A short code may have letters alone, and so may a word."""


def _sought(q: str) -> ColumnElement[bool]:
    """Return the condition of what somebody asks for: one issue anywhere, or words on the desk."""
    asked = q.strip()
    number = int(asked) if asked.isdecimal() and len(asked) < 18 else -1
    one = or_(Issue.code == asked.upper(), Issue.external == asked, Issue.issue_id == number)
    if _NUMBER.fullmatch(asked):
        return one
    words = or_(*(contains_text(column, asked) for column in (Issue.words, Issue.address)))
    return or_(one, and_(_on_desk(), words)) if _CODE.fullmatch(asked) else words


def _anywhere(q: str) -> bool:
    """Say whether what is asked for is found although it is over."""
    return bool(_NUMBER.fullmatch(q.strip()) or _CODE.fullmatch(q.strip()))


def _on_desk() -> ColumnElement[bool]:
    """Return the condition of open issues, in the words of the indices of the desks."""
    return and_(Issue.state.not_in(_CLOSED), Issue.set_aside.is_(None))


def _held(level: int) -> ColumnElement[bool]:
    """Return the condition of issues at the desks of a level, or with departments."""
    if level == DEPARTMENT:
        return Issue.organisation_id.is_not(None)
    return and_(Issue.organisation_id.is_(None), Issue.desk_level == level)


def reach(session: Session, viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition of issues that a viewer may see, naming the levels of its areas.

    It says the same as `rights.issues_seen`; a column for each level lets the database walk the
    desk's own index.
    """
    if viewer.city_id is None or viewer.role is Role.PUBLIC:
        return false()
    own_city: ColumnElement[bool] = Issue.city_id == viewer.city_id
    if viewer.city_wide:
        return own_city
    levels: dict[int, list[int]] = {}
    for row in session.execute(
        select(Grid.grid_id, Grid.level).where(
            Grid.city_id == viewer.city_id, Grid.grid_id.in_(viewer.areas)
        )
    ):
        levels.setdefault(row.level, []).append(row.grid_id)
    columns = [getattr(Issue, f"area_{level}").in_(ids) for level, ids in levels.items()]
    return and_(own_city, or_(*columns, rights.own_cases(viewer)))


def own_level(session: Session, viewer: Viewer) -> int | None:
    """Return the level of the highest grid that a viewer acts in; None for the whole city."""
    if viewer.city_wide or not viewer.areas:
        return None
    own = (Grid.city_id == viewer.city_id, Grid.grid_id.in_(viewer.areas))
    level: int | None = session.scalar(select(func.min(Grid.level)).where(*own))
    return level


def desk_levels(session: Session, at: Moment) -> dict[int, dict[str, str]]:
    """Return the levels that have desks, from the top, with their names."""
    rows = session.execute(
        select(Level.level, Level.code, Level.name, Level.name_en)
        .where(Level.city_id == at.city_id)
        .order_by(Level.level)
    ).all()
    deepest = start_level([row.code for row in rows], len(rows))
    return {row.level: dict(row._mapping) for row in rows if row.level <= deepest}


def _today(at: Moment, now: datetime) -> datetime:
    """Return the end of today in the city's zone."""
    zone = ZoneInfo(at.timezone)
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)


def _boxes(at: Moment, now: datetime) -> Mapping[str, ColumnElement[bool]]:
    return {
        "all": true(),
        "new": Issue.state.in_([state.value for state in _NEW]),
        "due_today": and_(Issue.due_at < _today(at, now), Issue.due_at >= now),
        "overdue": and_(
            Issue.state.in_([state.value for state in _IN_HAND]), Issue.deadline_at < now
        ),
        "to_check": Issue.state.in_([S.HANDLED.value, S.CHECKED.value]),
        "supervised": Issue.supervisor_id.is_not(None),
        "parked": Issue.state == S.PARKED.value,
        "suspended": Issue.state == S.SUSPENDED.value,
        "closed": Issue.state.in_(_CLOSED),
    }


def narrowed(at: Moment, narrow: DeskFilter, now: datetime) -> list[ColumnElement[bool]]:
    """Return the conditions of what a desk is narrowed by, the box among them.

    Raises
    ------
    InvalidInputError
        If there is no such box.
    """
    if narrow.box not in BOXES:
        raise InvalidInputError(f"There is no box '{narrow.box}'.", field="box", reason="no_box")
    found = [_boxes(at, now)[narrow.box]]
    zone = ZoneInfo(at.timezone)
    if narrow.since is not None:
        found.append(Issue.reported_at >= datetime.combine(narrow.since, time(), zone))
    if narrow.until is not None:
        after = narrow.until + timedelta(days=1)
        found.append(Issue.reported_at < datetime.combine(after, time(), zone))
    if narrow.category is not None:
        found.append(Issue.category.startswith(narrow.category, autoescape=True))
    if narrow.grid is not None:
        found.append(Issue.cell_id.in_(cells_within(at, narrow.grid)))
    for column, value in (
        (Issue.state, narrow.state),
        (Issue.organisation_id, narrow.organisation),
        (Issue.channel, narrow.channel),
    ):
        if value is not None:
            found.append(column == value)
    if narrow.due_before is not None:
        found.append(Issue.due_at < narrow.due_before)
    if narrow.held is not None:
        found.append(_held(narrow.held))
    if narrow.q is not None:
        found.append(_sought(narrow.q))
    if narrow.bbox is not None:
        found.append(intersects(Issue.geom, narrow.bbox))
    return found


def _listed() -> Statement:
    statement: Statement = (
        select(
            Issue.issue_id.label("issue"),
            Issue.code,
            Issue.external,
            Issue.category,
            Category.name.label("category_name"),
            Category.name_en.label("category_name_en"),
            Issue.channel,
            Issue.state,
            Issue.reported_at,
            Issue.due_at,
            Issue.deadline_at,
            Issue.handled_at,
            Issue.closed_at,
            Issue.words,
            Issue.address,
            Issue.organisation_id.label("organisation"),
            Organisation.name.label("organisation_name"),
            Issue.assisting,
            Issue.desk_level,
            Issue.owner_grid.label("grid"),
            NetGrid.name.label("grid_name"),
            Issue.returns,
            Issue.reworks,
            Issue.reopens,
            Issue.supervised_until,
            Issue.warned_at,
            Issue.version,
            _AT_DESK.label("desk_grid"),
            func.ST_X(Issue.geom).label("lon"),
            func.ST_Y(Issue.geom).label("lat"),
        )
        .join(
            Category,
            and_(Category.city_id == Issue.city_id, Category.category == Issue.category),
        )
        .outerjoin(
            Organisation,
            and_(
                Organisation.city_id == Issue.city_id,
                Organisation.organisation_id == Issue.organisation_id,
            ),
        )
        .outerjoin(
            NetGrid,
            and_(
                NetGrid.city_id == Issue.city_id,
                NetGrid.grid_id == Issue.owner_grid,
                NetGrid.to_seq == FOREVER,
            ),
        )
    )
    return statement


def desk(
    session: Session,
    viewer: Viewer,
    at: Moment,
    narrow: DeskFilter,
    *,
    limit: int = 50,
    after: str | None = None,
) -> Page[dict[str, Any]]:
    """Return a page of the open issues on the viewer's desk, what falls due first first.

    Closed ones, those reported last first, are in their own box; a number finds them anywhere.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    InvalidInputError
        If the cursor does not belong to this list, or there is no such box.
    """
    if not viewer.staff or viewer.city_id != at.city_id:
        raise ForbiddenError("Desks are for staff of the city.")
    now: datetime = session.scalar(select(func.clock_timestamp()))  # type: ignore[assignment]
    statement = _listed().where(reach(session, viewer), *narrowed(at, narrow, now))
    closed = narrow.box == ANYWHERE
    if not closed and (narrow.q is None or not _anywhere(narrow.q)):
        statement = statement.where(_on_desk())
    first = Key(Issue.reported_at, datetime, True) if closed else Key(Issue.due_at, datetime)
    order = Order(
        (first, Key(Issue.issue_id, int, closed)),
        {"list": "desk", "city": at.city_id, "seq": at.seq, **asdict(narrow)},
    )
    page = order.fetch(session, statement, limit=limit, after=after)
    desks = names(session, at, {row["desk_grid"] for row in page.items if row["desk_grid"]})
    for row in page.items:
        row["desk_name"] = desks.get(row.pop("desk_grid"), {}).get("name")
    return page


def desk_counts(
    session: Session, viewer: Viewer, at: Moment, narrow: DeskFilter | None = None
) -> dict[str, int]:
    """Return how many issues lie in each box of the viewer's desk, narrowed as its list is.

    `stamp` changes whenever an issue on the desk does.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    """
    if not viewer.staff or viewer.city_id != at.city_id:
        raise ForbiddenError("Desks are for staff of the city.")
    now: datetime = session.scalar(select(func.clock_timestamp()))  # type: ignore[assignment]
    boxes = {name: holds for name, holds in _boxes(at, now).items() if name != ANYWHERE}
    columns = [func.count().filter(condition).label(name) for name, condition in boxes.items()]
    stamp = func.coalesce(func.sum(Issue.version), 0).cast(BigInteger).label("stamp")
    asked = replace(narrow or DeskFilter(), box="all")
    statement = select(*columns, stamp).where(
        reach(session, viewer), _on_desk(), *narrowed(at, asked, now)
    )
    return dict(session.execute(statement).one()._mapping)


def show(session: Session, viewer: Viewer, at: Moment, issue: int) -> dict[str, Any]:
    """Return all that staff may know of an issue, and what the viewer may do to it now.

    `ways` are acts that can be done with the steps before them in one go; `foreseen` says for each
    act that needs nothing else who would get the issue and until when.

    Raises
    ------
    NotFoundError
        If there is no such issue, or the viewer may not know of it.
    """
    row = session.scalars(
        select(Issue).where(rights.issues_seen(viewer), Issue.issue_id == issue)
    ).one_or_none()
    if row is None or row.city_id != at.city_id:
        raise NotFoundError(f"There is no issue {issue} in '{at.slug}'.", issue=issue)
    place = session.execute(
        select(func.ST_X(Issue.geom), func.ST_Y(Issue.geom)).where(
            Issue.city_id == at.city_id, Issue.issue_id == issue
        )
    ).one()
    line = line_of(row)
    named = names(session, at, line)
    are = relations_of(row, viewer)
    acts, further = acts_for(IssueState(row.state), are), ways(row, are)
    columns = {
        column.name: getattr(row, column.name)
        for column in Issue.__table__.columns
        if column.name not in SECRETS and not column.name.startswith("area_")
    }
    return {
        **columns,
        "issue": row.issue_id,
        "lon": place[0],
        "lat": place[1],
        "path": [named[grid] for grid in line if grid in named],
        "relations": sorted(one.value for one in are),
        "acts": [one.value for one in acts],
        "ways": further,
        "foreseen": foreseen(session, viewer, at, row, [*acts, *map(IssueAct, further)]),
    }


def history(session: Session, viewer: Viewer, issue: int) -> list[dict[str, Any]]:
    """Return the history of an issue, the oldest line first.

    Raises
    ------
    NotFoundError
        If there is no such issue, or the viewer may not know of it.
    """
    known = session.scalar(
        select(Issue.issue_id).where(rights.issues_seen(viewer), Issue.issue_id == issue)
    )
    if known is None:
        raise NotFoundError(f"There is no issue {issue} in your reach.", issue=issue)
    rows = session.execute(
        select(
            IssueEvent.at,
            IssueEvent.act,
            IssueEvent.state,
            IssueEvent.actor_id.label("actor"),
            IssueEvent.actor_role,
            IssueEvent.reason,
            IssueEvent.details,
        )
        .where(IssueEvent.city_id == viewer.city_id, IssueEvent.issue_id == issue)
        .order_by(IssueEvent.at, IssueEvent.event_id)
    )
    return [dict(row._mapping) for row in rows]


def contact(session: Session, viewer: Viewer, issue: int) -> dict[str, Any]:
    """Return how the reporter of an issue is reached; the reading is a row of the log.

    Raises
    ------
    ForbiddenError
        If the viewer is not the desk of the territory.
    NotFoundError
        If nothing is kept, or the issue lies elsewhere.
    """
    if viewer.role is not Role.COMMUNITY or viewer.city_id is None:
        raise ForbiddenError("Contacts are for the desk of the territory alone.")
    row = session.execute(
        select(IssueContact.name, IssueContact.phone, IssueContact.email).where(
            IssueContact.city_id == viewer.city_id,
            IssueContact.issue_id == issue,
            rights.in_reach(IssueContact, viewer),
        )
    ).first()
    if row is None:
        raise NotFoundError(f"No contact is kept of issue {issue}.", issue=issue)
    audit.append(session, viewer.city_id, "issue.contact_read", f"issue/{issue}", {})
    return dict(row._mapping)
