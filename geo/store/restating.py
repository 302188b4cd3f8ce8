"""Issues of any period on any net: counted by cell once, then added up by the net's grids.

Months are packed by category: which cells have issues, and how many; years are packed with all
categories together. A trigger marks a month whose issues change; until it is packed again it is
counted row by row, and so are the days of a period that begins or ends within a month. All ways
give what reading every issue gives.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.density import LEAST_HOUSEHOLDS
from geo.errors import ForbiddenError, InvalidInputError
from geo.store import nets, packing
from geo.store.nets import Moment
from geo.store.standing import (
    AREA_OF_LEVEL,
    Row,
    asked_at,
    households_of,
    listed,
    require_level,
    total_row,
    whole,
)
from geo.tables import Category

Ids = NDArray[np.int64]
MOST_DAYS: Final = 3660
DAY: Final = timedelta(days=1)

_STALE = text("SELECT DISTINCT month FROM issue_stale WHERE city_id = :city")
_PACKED = text("""
    SELECT m.cells, m.issues
    FROM issue_month AS m
    JOIN category AS k ON k.city_id = m.city_id AND k.category = m.category
    WHERE m.city_id = :city AND m.month = ANY (CAST(:months AS date[])) AND m.set_aside = ''
        AND (CAST(:category AS text) IS NULL
             OR :category IN (k.category, coalesce(k.parent, k.category)))
""")
_YEARS = text("""
    SELECT extract(year FROM m.month)::integer AS year FROM issue_month AS m
    WHERE m.city_id = :city GROUP BY 1 HAVING bool_and(m.month = ANY (CAST(:months AS date[])))
    INTERSECT SELECT year FROM issue_year WHERE city_id = :city
""")
"""Years all of whose months with issues are asked for."""
_PACKED_YEARS = text("""
    SELECT cells, issues FROM issue_year
    WHERE city_id = :city AND year = ANY (CAST(:years AS smallint[]))
""")
_LEFT_OUT = text("""
    SELECT m.set_aside, sum(m.total)
    FROM issue_month AS m
    JOIN category AS k ON k.city_id = m.city_id AND k.category = m.category
    WHERE m.city_id = :city AND m.month = ANY (:months) AND m.set_aside <> ''
        AND (CAST(:category AS text) IS NULL
             OR :category IN (k.category, coalesce(k.parent, k.category)))
    GROUP BY 1
""")
_ROWS = text("""
    SELECT i.cell_id, coalesce(i.set_aside, ''), count(*)
    FROM issue AS i
    JOIN category AS k ON k.city_id = i.city_id AND k.category = i.category
    WHERE i.city_id = :city
        AND i.reported_at >= CAST(:since AS timestamp) AT TIME ZONE :zone
        AND i.reported_at < CAST(:until AS timestamp) AT TIME ZONE :zone
        AND (CAST(:category AS text) IS NULL
             OR :category IN (k.category, coalesce(k.parent, k.category)))
    GROUP BY 1, 2
""")
_OWNERS = text(
    "SELECT string_agg(int8send(h.cell_id), ''::bytea), string_agg(int8send(h.grid), ''::bytea)"  # noqa: S608
    " FROM (SELECT c.cell_id, "
    + AREA_OF_LEVEL
    + """ AS grid
        FROM net_cell AS c
        JOIN net_grid AS g ON g.city_id = c.city_id AND g.grid_id = c.grid_id
            AND g.from_seq <= :seq AND g.to_seq > :seq
        WHERE c.city_id = :city AND c.from_seq <= :seq AND c.to_seq > :seq) AS h"""
)
_LEAVES = text("""
    SELECT string_agg(int8send(c.cell_id), ''::bytea), string_agg(int8send(c.grid_id), ''::bytea)
    FROM net_cell AS c
    WHERE c.city_id = :city AND c.from_seq <= :seq AND c.to_seq > :seq
""")
_SPAN = text("SELECT min(month), max(month) FROM issue_month WHERE city_id = :city")


class Asking(Protocol):
    """A question on a city that knows its moment: day, net and vintage."""

    @property
    def city(self) -> int:
        """Return the city's id."""

    def moment(self, session: Session) -> Moment:
        """Return the moment that is asked about."""


@dataclass(frozen=True)
class Period:
    """Days that facts are of, both ends included; None: from the first, to the last on record."""

    since: date | None = None
    until: date | None = None


def by_grid(
    session: Session,
    at: Moment,
    level: int | None,
    period: Period,
    category: str | None = None,
) -> tuple[dict[int, int], dict[str, int], tuple[date, date] | None]:
    """Return the issues of a period by the grids of a net, for roles that read the whole city.

    Parameters
    ----------
    at : Moment
        Of the net, whenever the issues were reported.
    level : int or None
        None: leaf grids. 0 stands for ground that has no grid of the level.
    category : str, optional
        A category, or a main one with all below it.

    Returns
    -------
    tuple
        Issues by grid; those set aside by reason; first and last day, None without any issue.

    Raises
    ------
    InvalidInputError
        If the period ends before it begins or is longer than ten years.
    """
    days = _days(session, at, period)
    if days is None:
        return {}, {}, None
    stale = {row[0] for row in session.execute(_STALE, {"city": at.city_id})}
    months, spans = _parts(*days, stale)
    cells, numbers = _of_months(session, at, months, category, {day.year for day in stale})
    asked = {"city": at.city_id, "months": months, "category": category}
    left_out = {row[0]: int(row[1]) for row in session.execute(_LEFT_OUT, asked)}
    for since, until in spans:
        rows = session.execute(
            _ROWS,
            {
                "city": at.city_id, "since": since, "until": until + DAY, "zone": at.timezone,
                "category": category,
            },
        ).all()  # fmt: skip
        own = [(row[0], row[2]) for row in rows if not row[1]]
        cells.append(np.array([cell for cell, _ in own], dtype=np.int64))
        numbers.append(np.array([number for _, number in own], dtype=np.int64))
        for _, reason, number in rows:
            if reason:
                left_out[reason] = left_out.get(reason, 0) + int(number)
    return _added(session, at, level, cells, numbers), left_out, days


def _days(session: Session, at: Moment, period: Period) -> tuple[date, date] | None:
    since, until = period.since, period.until
    if since is None or until is None:
        first, last = session.execute(_SPAN, {"city": at.city_id}).one()
        marked = [row[0] for row in session.execute(_STALE, {"city": at.city_id})]
        known = [one for one in (first, last, *marked) if one is not None]
        if not known:
            return None
        since = since or min(known)
        until = until or _next(max(known)) - DAY
    if not 0 <= (until - since).days <= MOST_DAYS:
        raise InvalidInputError("A period has 1 day to ten years.", field="from")
    return since, until


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _parts(
    since: date, until: date, stale: Collection[date]
) -> tuple[list[date], list[tuple[date, date]]]:
    """Return the whole months that are packed, and the spans of days that are read row by row.

    Examples
    --------
    >>> _parts(date(2026, 1, 30), date(2026, 3, 31), [])[1]
    [(datetime.date(2026, 1, 30), datetime.date(2026, 1, 31))]
    """
    months: list[date] = []
    spans: list[tuple[date, date]] = []
    month = since.replace(day=1)
    while month <= until:
        first, last = max(month, since), min(_next(month) - DAY, until)
        if month not in stale and first == month and last == _next(month) - DAY:
            months.append(month)
        elif spans and spans[-1][1] + DAY == first:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
        month = _next(month)
    return months, spans


def _of_months(
    session: Session,
    at: Moment,
    months: Sequence[date],
    category: str | None,
    stale_years: set[int],
) -> tuple[list[Ids], list[Ids]]:
    """Return the packed cells of months and how many issues each has; whole years at once."""
    asked = {"city": at.city_id, "months": list(months), "category": category}
    whole_years = set() if category else {*session.scalars(_YEARS, asked)} - stale_years
    found = [
        *session.execute(_PACKED_YEARS, asked | {"years": sorted(whole_years)}),
        *session.execute(
            _PACKED, asked | {"months": [one for one in months if one.year not in whole_years]}
        ),
    ]
    return [packing.numbers(row[0] for row in found)], [packing.counts(row[1] for row in found)]


def _added(
    session: Session, at: Moment, level: int | None, cells: list[Ids], numbers: list[Ids]
) -> dict[int, int]:
    """Add the issues of cells up by the grids that they lie in on the net."""
    asked = asked_at(at, level or 0)
    found = session.execute(_LEAVES if level is None else _OWNERS, asked).one()
    own, grids = (np.frombuffer(one or b"", ">i8").astype(np.int64) for one in found)
    where, counted = np.concatenate(cells), np.concatenate(numbers)
    if not len(where):
        return {}
    names, group = np.unique(grids, return_inverse=True)
    place = np.full(int(max(own.max(initial=0), where.max())) + 1, len(names), dtype=np.int64)
    place[own] = group
    sums = np.bincount(place[where], weights=counted, minlength=len(names) + 1)
    added = {int(grid): round(number) for grid, number in zip(names, sums, strict=False) if number}
    if sums[-1]:
        added[0] = added.get(0, 0) + round(sums[-1])
    return added


def restated(
    session: Session,
    at: Moment,
    level: int,
    period: Period,
    category: str | None,
    city: str,
) -> tuple[tuple[date, date] | None, Row]:
    """Return the issues of a period on the grids of a net, beside their households.

    Parameters
    ----------
    city : str
        Name of the city, for the row of the total.

    Returns
    -------
    tuple
        First and last day of the facts; and `items` (cases, households, per_1000_households),
        `total`, `left_out` by reason.
    """
    cases, left_out, days = by_grid(session, at, level, period, category)
    people = households_of(session, at, level)
    items = []
    for row in listed(session, at, level):
        grid = row["grid"]
        items.append(row | _figures(cases.get(grid, 0), people.get(grid, 0.0)))
    total = _figures(sum(cases.values()), sum(people.values()))
    reasons = {name: left_out.get(name, 0) for name in ("default_geocode", "duplicate")}
    return days, {
        "items": items,
        "total": total_row(city) | total,
        "left_out": reasons | left_out,
    }


def _figures(cases: int, households: float) -> Row:
    rate = None
    if households >= LEAST_HOUSEHOLDS:
        rate = round(cases / households * 1000, 1)
    return {"cases": cases, "households": whole(households), "per_1000_households": rate}


def restate(
    session: Session,
    viewer: Viewer,
    asked: Asking,
    level: int,
    period: Period,
    category: str | None = None,
) -> tuple[Moment, tuple[date, date] | None, Row]:
    """Return the issues of any period on any net, for roles that read the whole city.

    Raises
    ------
    ForbiddenError
        If the viewer may not read the whole city.
    NetNotFoundError
        If there is no such net, or none on that day.
    InvalidInputError
        If there is no such level, category or vintage, or the period cannot be shown.
    """
    if not viewer.city_wide or viewer.city_id != asked.city:
        raise ForbiddenError("Issues of the whole city are for roles that read all of it.")
    at = asked.moment(session)
    require_level(session, at, level)
    wanted = (Category.city_id == at.city_id, Category.category == category)
    if category is not None and session.scalar(select(Category.category).where(*wanted)) is None:
        raise InvalidInputError(f"There is no category '{category}'.", field="category")
    days, found = restated(
        session, at, level, period, category, nets.cities(session, at.city_id)[0].name
    )
    return at, days, found
