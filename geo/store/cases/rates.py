"""Rates of areas, departments, categories and months, on the net of any date, in one statement.

A figure on a net goes by cells: an issue counts for the grid that its cell belongs to on that net.
A rate that rests on fewer than five workers is a person's rate: it is told to the worker and the
own lead, and stands in no export. Nor can it be found as a difference: of the sum above and the
neighbours (`geo.rates.withheld`, the same groups whatever is asked), or of two nets that differ by
little.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import ColumnElement, and_, func, literal, not_, or_, select
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, NetNotFoundError
from geo.grids import AREA_COLUMNS
from geo.profiles import load_profile
from geo.rates import COUNTS, LEAST_WORKERS, reckon, withheld
from geo.store import rights
from geo.store.grids import cells_within, names, of_net
from geo.store.nets import Moment, moment
from geo.tables import Category, Issue, NetCell, NetGrid, Organisation, Post
from geo.terms import IssueState, Role

GROUPS: Final = ("none", "area", "department", "category", "month")
WORKER_ROLE: Final = "worker"
"""Code of the posts that count as workers."""
S = IssueState


@dataclass(frozen=True)
class RateFilter:
    """Which issues rates are of, and how they are grouped.

    Parameters
    ----------
    since, until : date, optional
        First and last day of reporting; default: the twelve months before the day asked about.
    by : str
        One of `GROUPS`.
    level : int
        Of the areas, with `by="area"`.
    grid : int, optional
        With all below it, on this net.
    category : str, optional
        With all below it.
    organisation : int, optional
    moment : datetime, optional
        As of when; default: now.
    export : bool
        For a file: nothing that rests on few workers, whoever asks.
    """

    since: date | None = None
    until: date | None = None
    by: str = "none"
    level: int = 1
    grid: int | None = None
    category: str | None = None
    organisation: int | None = None
    moment: datetime | None = None
    export: bool = False


def conditions(now: Any) -> dict[str, ColumnElement[bool]]:
    """Return what is counted under each name of `COUNTS`, as of a moment."""
    live = Issue.state.not_in([S.SUSPENDED.value, S.PARKED.value])
    valid = Issue.state != S.VOID.value
    closed = Issue.state == S.CLOSED.value
    done_at = func.coalesce(Issue.handled_at, Issue.closed_at)
    done = and_(done_at.is_not(None), done_at <= now)
    in_time = or_(Issue.deadline_at.is_(None), done_at <= Issue.deadline_at)
    should_handle = and_(
        Issue.dispatched_at.is_not(None), valid, or_(done, and_(live, Issue.deadline_at < now))
    )
    should_close = or_(should_handle, closed)
    registered = Issue.registered_at.is_not(None)
    register_in_time = or_(Issue.register_by.is_(None), Issue.registered_at <= Issue.register_by)
    reported = literal(True)
    return {
        "reported": reported,
        "valid": valid,
        "answered": and_(valid, or_(Issue.accepted_at.is_not(None), closed)),
        "registered": registered,
        "registered_on_time": and_(registered, register_in_time),
        "should_dispatch": registered,
        "dispatched_accurately": and_(
            registered, Issue.dispatched_at.is_not(None), Issue.returns == 0
        ),
        "should_handle": should_handle,
        "handled": and_(should_handle, done),
        "handled_on_time": and_(should_handle, done, in_time),
        "overdue": and_(should_handle, not_(func.coalesce(done, False))),
        "postponed": and_(should_handle, Issue.postpones > 0),
        "should_close": should_close,
        "closed": closed,
        "closed_on_time": and_(closed, or_(Issue.on_the_spot, in_time)),
        "reworked": and_(should_close, Issue.reworks > 0),
        "asked": and_(closed, Issue.satisfied.is_not(None)),
        "satisfied": and_(closed, Issue.satisfied.is_(True)),
        "solved": closed,
    }


def rates(session: Session, viewer: Viewer, at: Moment, narrow: RateFilter) -> dict[str, Any]:
    """Return the rates of each group that the viewer may know.

    Returns
    -------
    dict
        `rows`: one for each group: `group`, its name, `workers`, `rates` (None where withheld) and
        `withheld`; `set_aside`: how many issues of the period do not count; `since`, `until`.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    InvalidInputError
        If there is no such group, or the period is empty.
    """
    rows = counts(session, viewer, at, narrow)
    since, until = _period(at, narrow)
    aside = session.scalar(
        select(func.count())
        .select_from(Issue)
        .where(*_of_period(viewer, at, narrow), Issue.set_aside.is_not(None))
    )
    return {
        "by": narrow.by,
        "since": since,
        "until": until,
        "set_aside": int(aside or 0),
        "rows": _told(session, viewer, at, narrow, rows),
    }


def counts(
    session: Session, viewer: Viewer, at: Moment, narrow: RateFilter
) -> list[dict[str, Any]]:
    """Return what the rates are made of, by group; for reckoning, never for telling as it is.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    InvalidInputError
        If there is no such group, or the period is empty.
    """
    if not viewer.staff or viewer.city_id != at.city_id:
        raise ForbiddenError("Rates are for staff of the city.")
    if narrow.by not in GROUPS:
        raise InvalidInputError(f"Rates go by {', '.join(GROUPS)}.", field="by", reason="no_group")
    now = narrow.moment or session.scalar(select(func.clock_timestamp()))
    group = _group(at, narrow)
    counted = [func.count().filter(what).label(name) for name, what in conditions(now).items()]
    statement = select(group.label("group"), *counted).select_from(Issue)
    if narrow.by == "area":
        statement = statement.join(
            NetCell, and_(of_net(NetCell, at), NetCell.cell_id == Issue.cell_id)
        ).join(NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == NetCell.grid_id))
    found = session.execute(
        statement.where(*_of_period(viewer, at, narrow), Issue.set_aside.is_(None))
        .group_by(group)
        .order_by(group)
    )
    return [{"group": row.group, **{name: getattr(row, name) for name in COUNTS}} for row in found]


def _of_period(viewer: Viewer, at: Moment, narrow: RateFilter) -> list[ColumnElement[bool]]:
    since, until = _period(at, narrow)
    zone = ZoneInfo(at.timezone)
    return [
        rights.issues_seen(viewer),
        Issue.city_id == at.city_id,
        Issue.reported_at >= datetime.combine(since, time(), zone),
        Issue.reported_at < datetime.combine(until + timedelta(days=1), time(), zone),
        *_narrowed(at, narrow),
    ]


def _period(at: Moment, narrow: RateFilter) -> tuple[date, date]:
    until = narrow.until or at.day
    since = narrow.since or until - timedelta(days=365)
    if since > until:
        raise InvalidInputError("The period ends before it begins.", field="until", reason="dates")
    return since, until


def _narrowed(at: Moment, narrow: RateFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if narrow.grid is not None:
        found.append(Issue.cell_id.in_(cells_within(at, narrow.grid)))
    if narrow.category is not None:
        found.append(Issue.category.startswith(narrow.category, autoescape=True))
    if narrow.organisation is not None:
        found.append(Issue.organisation_id == narrow.organisation)
    return found


def _group(at: Moment, narrow: RateFilter) -> ColumnElement[Any]:
    if narrow.by == "area":
        if not 1 <= narrow.level <= 6:
            raise InvalidInputError("A level is 1 to 6.", field="level", reason="no_level")
        column: ColumnElement[Any] = getattr(NetGrid, f"area_{narrow.level}")
        return column
    if narrow.by == "department":
        return Issue.organisation_id.expression
    if narrow.by == "category":
        return Issue.category.expression
    if narrow.by == "month":
        return func.to_char(func.timezone(at.timezone, Issue.reported_at), "YYYY-MM")
    return literal("all")


Workers = dict[int | None, set[int]]


def _workers(session: Session, at: Moment, net: Moment | None = None) -> Workers:
    """Return the workers with a post on the day: of each area of a net, of the city under None."""
    net = net or at
    areas = [getattr(NetGrid, name) for name in AREA_COLUMNS]
    rows = session.execute(
        select(Post.worker_id, *areas)
        .outerjoin(NetGrid, and_(of_net(NetGrid, net), NetGrid.grid_id == Post.grid_id))
        .where(
            Post.city_id == at.city_id,
            Post.role == WORKER_ROLE,
            Post.worker_id.is_not(None),
            Post.valid_from <= at.day,
            or_(Post.valid_to.is_(None), Post.valid_to > at.day),
        )
    )
    held: Workers = {None: set()}
    for worker, *line in rows:
        for grid in {None, *line}:
            held.setdefault(grid, set()).add(worker)
    return held


def _told(
    session: Session, viewer: Viewer, at: Moment, narrow: RateFilter, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Name the groups, reckon their rates, and withhold those that are about persons."""
    formulas = load_profile(at.profile).rates
    named = _names(session, at, narrow, [row["group"] for row in rows])
    by_area = narrow.by == "area"
    workers = _workers(session, at)
    territory = None if by_area else _territory(viewer, narrow)
    if by_area:
        silent = _silent(session, at, narrow.level, workers, [row["group"] for row in rows])
    else:
        silent = _silent_alone(session, at, territory, workers)
    told = []
    for row in rows:
        place = row["group"] if by_area else territory
        hidden = place in silent and (narrow.export or not _own(session, viewer, at, place))
        told.append({
            "group": row["group"], **named.get(row["group"], {"name": None, "name_en": None}),
            "workers": len(workers.get(place, ())),
            "withheld": hidden,
            "rates": None if hidden else [one.row() for one in reckon(formulas, row)],
        })  # fmt: skip
    return told


def _silent(
    session: Session, at: Moment, level: int, workers: Workers, rows: list[int | None]
) -> set[int | None]:
    """Return the areas of a level whose rates are told to nobody outside.

    Which they are does not depend on what is asked, so that no two answers tell the difference;
    beside them some more are withheld where those have nothing to count.
    """
    above: dict[int, dict[int, int]] = {}
    grids = session.execute(
        select(NetGrid.grid_id, NetGrid.level, NetGrid.parent_id).where(
            of_net(NetGrid, at), NetGrid.level <= level
        )
    )
    for grid in grids:
        above.setdefault(grid.level, {})[grid.grid_id] = grid.parent_id or 0
    people = {grid: who for grid, who in workers.items() if grid is not None}
    silent: set[int] = set()
    for one in sorted(above):
        silent = withheld(above[one], people, silent)
    parents = above.get(level, {})
    counted = {row: parents[row] for row in rows if row in parents}
    silent |= withheld(counted, people, begin=silent)
    silent |= _shifted(session, at, level, people)
    return {None, *silent}  # what belongs to no area of the level


def _silent_alone(
    session: Session, at: Moment, place: int | None, workers: Workers
) -> set[int | None]:
    """Return the one place asked about if its rates are told to nobody outside, else nothing."""
    if place is None:
        return {None} if len(workers[None]) < LEAST_WORKERS else set()
    level = session.scalar(
        select(NetGrid.level).where(of_net(NetGrid, at), NetGrid.grid_id == place)
    )
    return _silent(session, at, level, workers, []) if level else {place}


def _shifted(session: Session, at: Moment, level: int, people: dict[int, set[int]]) -> set[int]:
    """Return the areas of a past net that differ from one of today's by the cells of few workers.

    The difference of the two, reckoned over the same issues, would be a rate of few.
    """
    try:
        now = moment(session, at.city_id)
    except NetNotFoundError:  # the first one is still to come
        return set()
    if now.seq == at.seq:
        return set()
    today = {grid: who for grid, who in _workers(session, at, now).items() if grid is not None}
    then = _cells(session, at, level).rename(columns={"grid": "then"})
    found: set[int] = set()
    for one in range(1, len(AREA_COLUMNS) + 1):
        both = then.merge(_cells(session, now, one).rename(columns={"grid": "now"}), on="cell")
        size = then["then"].value_counts().to_dict()
        after = both["now"].value_counts().to_dict()
        pairs = both.groupby(["then", "now"]).size().reset_index(name="shared")
        for past, present, shared in pairs.itertuples(index=False, name=None):
            was, new = people.get(past, set()), today.get(present, set())
            inside = shared == size[past] < after[present] and len(new - was) < LEAST_WORKERS
            around = shared == after[present] < size[past] and len(was - new) < LEAST_WORKERS
            if inside or around:
                found.add(int(past))
    return found


def _cells(session: Session, at: Moment, level: int) -> pd.DataFrame:
    """Return each cell of a net with its grid of a level."""
    column = getattr(NetGrid, f"area_{level}")
    rows = session.execute(
        select(NetCell.cell_id, column)
        .join(NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == NetCell.grid_id))
        .where(of_net(NetCell, at), column.is_not(None))
    )
    return pd.DataFrame(rows.all(), columns=["cell", "grid"])


def _territory(viewer: Viewer, narrow: RateFilter) -> int | None:
    """Return the area whose workers a figure without areas rests on; None for the whole city."""
    if narrow.grid is not None:
        return narrow.grid
    if viewer.city_wide or not viewer.areas:
        return None
    return viewer.areas[0]


def _own(session: Session, viewer: Viewer, at: Moment, place: int | None) -> bool:
    """Say whether a place is the viewer's own as a worker or as the lead of its workers."""
    if place is None or viewer.role not in (Role.WORKER, Role.COMMUNITY):
        return False
    line = session.execute(
        select(*(getattr(NetGrid, f"area_{level}") for level in range(1, 7))).where(
            of_net(NetGrid, at), NetGrid.grid_id == place
        )
    ).first()
    return line is not None and bool(set(viewer.areas) & set(line))


def _names(
    session: Session, at: Moment, narrow: RateFilter, groups: list[Any]
) -> dict[Any, dict[str, Any]]:
    if narrow.by == "area":
        found = names(session, at, [one for one in groups if one is not None])
        return {key: {"name": one["name"], "name_en": one["name"]} for key, one in found.items()}
    if narrow.by == "department":
        rows = session.execute(
            select(Organisation.organisation_id, Organisation.name).where(
                Organisation.city_id == at.city_id, Organisation.organisation_id.in_(groups)
            )
        )
        return {row[0]: {"name": row[1], "name_en": row[1]} for row in rows}
    if narrow.by == "category":
        kinds = session.execute(
            select(Category.category, Category.name, Category.name_en).where(
                Category.city_id == at.city_id
            )
        )
        return {row[0]: {"name": row[1], "name_en": row[2]} for row in kinds}
    return {one: {"name": one, "name_en": one} for one in groups}
