"""Issues that a viewer may see, narrowed by period, category, grid, state and place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, not_, select
from sqlalchemy.orm import Session, aliased

from geo.errors import NotFoundError
from geo.store.grids import ancestors, cells_within, names, of_net
from geo.store.nets import Moment
from geo.store.paging import Key, Order, Page, Statement
from geo.store.shapes import Box, intersects
from geo.tables import Category, Issue, NetCell, NetGrid
from geo.terms import IssueState

NOT_SET_ASIDE = "none"


@dataclass(frozen=True)
class IssueFilter:
    """What a list of issues is narrowed by; None does not narrow.

    Parameters
    ----------
    since, until : date
        First and last day of reporting in the city's zone, both included.
    category : str
        Code of a category with all below it.
    grid : int
        A grid with all below it, by the cells on this net.
    state : str
    set_aside : str
        Why it was set aside; "none" for those that were not.
    bbox : tuple of float
        West, south, east, north in degrees.
    is_open : bool
        Those that are neither closed nor void, or the others.
    """

    since: date | None = None
    until: date | None = None
    category: str | None = None
    grid: int | None = None
    state: str | None = None
    set_aside: str | None = None
    bbox: Box | None = None
    is_open: bool | None = None


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone))


def _below(city: int, category: str) -> Any:
    """Return the codes of a category and of all below it."""
    top = (
        select(Category.category)
        .where(Category.city_id == city, Category.category == category)
        .cte("below", recursive=True)
    )
    child = aliased(Category)
    deeper = (
        select(child.category)
        .join(top, child.parent == top.c.category)
        .where(child.city_id == city)
    )
    return select(top.union(deeper).c.category)


def still_open() -> ColumnElement[bool]:
    """Return the condition of issues that are neither closed nor void."""
    return and_(Issue.closed_at.is_(None), Issue.state != IssueState.VOID)


def _narrowed(at: Moment, narrow: IssueFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if narrow.since is not None:
        conditions.append(Issue.reported_at >= _midnight(narrow.since, at.timezone))
    if narrow.until is not None:
        end = _midnight(narrow.until + timedelta(days=1), at.timezone)
        conditions.append(Issue.reported_at < end)
    if narrow.category is not None:
        conditions.append(Issue.category.in_(_below(at.city_id, narrow.category)))
    if narrow.grid is not None:
        conditions.append(Issue.cell_id.in_(cells_within(at, narrow.grid)))
    if narrow.state is not None:
        conditions.append(Issue.state == narrow.state)
    if narrow.set_aside == NOT_SET_ASIDE:
        conditions.append(Issue.set_aside.is_(None))
    elif narrow.set_aside is not None:
        conditions.append(Issue.set_aside == narrow.set_aside)
    if narrow.is_open is not None:
        still = still_open()
        conditions.append(still if narrow.is_open else not_(still))
    if narrow.bbox is not None:
        conditions.append(intersects(Issue.geom, narrow.bbox))
    return conditions


def _issues(at: Moment, seen: ColumnElement[bool]) -> Statement:
    owner = and_(of_net(NetCell, at), NetCell.cell_id == Issue.cell_id)
    named = and_(of_net(NetGrid, at), NetGrid.grid_id == NetCell.grid_id)
    statement: Statement = (
        select(
            Issue.issue_id.label("issue"),
            Issue.category,
            Category.name.label("category_name"),
            Category.name_en.label("category_name_en"),
            Issue.channel,
            Issue.state,
            Issue.reported_at,
            Issue.closed_at,
            Issue.set_aside,
            Issue.organisation_id.label("organisation"),
            NetCell.grid_id.label("grid"),
            NetGrid.name.label("grid_name"),
            func.ST_X(Issue.geom).label("lon"),
            func.ST_Y(Issue.geom).label("lat"),
        )
        .join(
            Category,
            and_(Category.city_id == Issue.city_id, Category.category == Issue.category),
        )
        .outerjoin(NetCell, owner)
        .outerjoin(NetGrid, named)
        .where(Issue.city_id == at.city_id, seen)
    )
    return statement


def listing(
    session: Session,
    at: Moment,
    narrow: IssueFilter,
    seen: ColumnElement[bool],
    *,
    limit: int = 100,
    after: str | None = None,
) -> Page[dict[str, Any]]:
    """Return a page of issues, the newest first, with the leaf grid of this net that holds each.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    statement = _issues(at, seen).where(*_narrowed(at, narrow))
    order = Order(
        (
            Key(Issue.reported_at, datetime, descending=True),
            Key(Issue.issue_id, int, descending=True),
        ),
        {"list": "issues", "city": at.city_id, "seq": at.seq, **asdict(narrow)},
    )
    return order.fetch(session, statement, limit=limit, after=after)


def one(session: Session, at: Moment, issue: int, seen: ColumnElement[bool]) -> dict[str, Any]:
    """Return one issue with the path of grids that hold it.

    Raises
    ------
    NotFoundError
        If there is no such issue, or the viewer may not know of it.
    """
    statement = _issues(at, seen).where(Issue.issue_id == issue)
    row = session.execute(statement).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no issue {issue} in '{at.slug}'.", issue=issue)
    line = [] if row["grid"] is None else ancestors(session, at, row["grid"])
    named = names(session, at, line)
    return {**row, "path": [named[grid] for grid in line]}
