"""Requests on fixed squares by month, beside the households of the squares; for city-wide roles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, and_, func, literal, select
from sqlalchemy.orm import Session

from geo.density import (
    LEAST_HOUSEHOLDS,
    SQUARE_SIDES_M,
    Shown,
    degrees,
    per_thousand,
    shown,
)
from geo.errors import InvalidInputError
from geo.store import nets
from geo.store.nets import Moment
from geo.store.standing import Row, SquareColumns, listed, lived_in, square_columns, whole
from geo.tables import Category, IssueSquare

MONTHS_SHOWN = 12
"""Months of a map of requests that asks for no period: the latest ones."""
MOST_MONTHS: Final = 120
NAMING_LEVEL = 2
"""Level of the grids that a square is named after, where the city has it."""


@dataclass(frozen=True)
class RequestFilter:
    """Which requests a map counts, and how it shows them.

    Parameters
    ----------
    side_m : int
        One of `SQUARE_SIDES_M`.
    since, until : date, optional
        A day of the first and of the last month; default: the latest twelve months.
    category : str, optional
        Code of a main category.
    per_household : bool
        Per 1,000 households, else counts; counts need no households.
    """

    side_m: int = 250
    since: date | None = None
    until: date | None = None
    category: str | None = None
    per_household: bool = True


@dataclass(frozen=True)
class Requests:
    """Requests by fixed squares and months.

    Attributes
    ----------
    months : list of date
        First days, without gaps.
    squares : SquareColumns
        All squares with households or requests.
    households : list of number
    cases : list of list of int
        One list for each month.
    area : list of int
        Grid that most households of the square belong to; 0 where nobody lives.
    frame : DataFrame
        The same by squares over the whole period: column, row, households, cases,
        per_1000_households (NaN unless shown), shown.
    areas : dict
        Names of the grids of `area`, by their ids.
    left_out : dict
        Requests set aside in the period, by reason.
    categories : list of dict
        Main categories with the cases of the period, whatever category was asked for.
    """

    months: list[date]
    squares: SquareColumns
    households: list[int | float]
    cases: list[list[int]]
    area: list[int]
    frame: pd.DataFrame
    areas: dict[int, str]
    left_out: dict[str, int]
    categories: list[Row]
    filter: RequestFilter = field(default_factory=RequestFilter)

    def rows(self) -> Iterator[Row]:
        """Yield the squares as rows of a table: middle, area, sums over the period."""
        side, frame = self.squares.side_m, self.frame
        middle_x, middle_y = ((frame[name].to_numpy() + 0.5) * side for name in ("column", "row"))
        lon, lat = degrees(self.squares.placing, middle_x, middle_y)
        told = frame["shown"].astype(str).tolist()
        rates = frame["per_1000_households"].tolist()
        for index, (cases, rate) in enumerate(zip(frame["cases"].tolist(), rates, strict=True)):
            yield {
                "column": self.squares.column[index],
                "row": self.squares.row[index],
                "side_m": side,
                "lon": round(float(lon[index]), 6),
                "lat": round(float(lat[index]), 6),
                "area": self.areas.get(self.area[index], ""),
                "households": self.households[index],
                "cases": cases,
                "per_1000_households": None if math.isnan(rate) else rate,
                "shown": told[index],
            }


def requests(
    session: Session, at: Moment, narrow: RequestFilter, seen: ColumnElement[bool]
) -> Requests:
    """Return the requests of a period on fixed squares, with the households of the squares.

    Raises
    ------
    InvalidInputError
        If there is no such side or main category, or the period is too long or ends too early.
    """
    if narrow.side_m not in SQUARE_SIDES_M:
        known = ", ".join(map(str, SQUARE_SIDES_M))
        raise InvalidInputError(f"Squares have a side of {known} m.", field="side")
    own = and_(IssueSquare.city_id == at.city_id, seen)
    kinds = _categories(session, at, narrow.category)
    months = _months(session, own, narrow)
    period = and_(own, IssueSquare.month >= months[0], IssueSquare.month <= months[-1])
    level = min(NAMING_LEVEL, len(nets.levels(session, at.city_id, at.seq)))
    lived = lived_in(session, at, level, narrow.side_m)
    counted = _counted(session, period, narrow)
    frame, cases = _joined(lived, counted, months)
    frame = _told(frame, narrow)
    return Requests(
        months=months,
        squares=square_columns(at, frame, narrow.side_m),
        households=[whole(value) for value in frame["households"]],
        cases=cases,
        area=frame["area"].astype(int).tolist(),
        frame=frame,
        areas={row["grid"]: row["name"] for row in listed(session, at, level)},
        left_out=_left_out(session, period, narrow.category),
        categories=_with_cases(session, period, kinds),
        filter=narrow,
    )


def _categories(session: Session, at: Moment, wanted: str | None) -> list[Row]:
    rows = session.execute(
        select(Category.category, Category.name, Category.name_en)
        .where(Category.city_id == at.city_id, Category.parent.is_(None))
        .order_by(Category.category)
    )
    found = [dict(row) for row in rows.mappings()]
    if wanted is not None and wanted not in {row["category"] for row in found}:
        raise InvalidInputError(f"There is no main category '{wanted}'.", field="category")
    return found


def _month(day: date) -> date:
    return day.replace(day=1)


def _later(month: date, by: int) -> date:
    count = month.year * 12 + month.month - 1 + by
    return date(count // 12, count % 12 + 1, 1)


def _months(session: Session, own: ColumnElement[bool], narrow: RequestFilter) -> list[date]:
    """Return the months asked for; without an end the latest, without a begin twelve of them."""
    last = narrow.until or session.scalar(select(func.max(IssueSquare.month)).where(own))
    end = _month(last or date(2000, 1, 1))
    begin = _month(narrow.since) if narrow.since else _later(end, 1 - MONTHS_SHOWN)
    if narrow.since is None and narrow.until is None:
        first = session.scalar(select(func.min(IssueSquare.month)).where(own))
        begin = max(begin, first or end)
    count = (end.year - begin.year) * 12 + end.month - begin.month + 1
    if not 1 <= count <= MOST_MONTHS:
        raise InvalidInputError(f"A period has 1 to {MOST_MONTHS} months.", field="from")
    return [_later(begin, step) for step in range(count)]


def _counted(session: Session, period: ColumnElement[bool], narrow: RequestFilter) -> pd.DataFrame:
    """Return month, column, row and cases of the squares with any that count."""
    times = literal(float(narrow.side_m // SQUARE_SIDES_M[0]))
    column, row = func.floor(IssueSquare.x / times), func.floor(IssueSquare.y / times)
    statement = (
        select(IssueSquare.month, column, row, func.sum(IssueSquare.issues))
        .where(period, IssueSquare.set_aside == "")
        .group_by(IssueSquare.month, column, row)
    )
    if narrow.category is not None:
        statement = statement.where(IssueSquare.category == narrow.category)
    rows = session.execute(statement).all()
    found = pd.DataFrame(rows, columns=["month", "column", "row", "cases"])
    return found.astype({"column": np.int64, "row": np.int64, "cases": np.int64})


def _joined(
    lived: pd.DataFrame, counted: pd.DataFrame, months: Sequence[date]
) -> tuple[pd.DataFrame, list[list[int]]]:
    """Return all squares by row and column with sums, and the cases of each month."""
    wide = counted.pivot_table(
        index=["row", "column"], columns="month", values="cases", aggfunc="sum", fill_value=0
    ).reindex(columns=list(months), fill_value=0)
    frame = lived.set_index(["row", "column"])
    every = frame.index.union(wide.index, sort=True)
    frame = frame.reindex(every).fillna({"households": 0.0, "area": 0})
    wide = wide.reindex(every, fill_value=0)
    frame["cases"] = wide.sum(axis=1).astype(np.int64)
    cases = [wide[month].astype(int).tolist() for month in months]
    return frame.reset_index(names=["row", "column"]), cases


def _told(frame: pd.DataFrame, narrow: RequestFilter) -> pd.DataFrame:
    """Add what may be shown of each square over the period, and its rate where it may."""
    least = LEAST_HOUSEHOLDS if narrow.per_household else 0
    told = shown(frame["cases"].to_numpy(), frame["households"].to_numpy(), least_households=least)
    rate = per_thousand(frame["cases"].astype(float), frame["households"])
    enough = (told == Shown.RATE) & (frame["households"] >= LEAST_HOUSEHOLDS)
    return frame.assign(shown=told, per_1000_households=rate.where(enough).round(1))


def _left_out(
    session: Session, period: ColumnElement[bool], category: str | None
) -> dict[str, int]:
    statement = (
        select(IssueSquare.set_aside, func.sum(IssueSquare.issues))
        .where(period, IssueSquare.set_aside != "")
        .group_by(IssueSquare.set_aside)
    )
    if category is not None:
        statement = statement.where(IssueSquare.category == category)
    found = {reason: int(number) for reason, number in session.execute(statement)}
    return {reason: found.get(reason, 0) for reason in ("default_geocode", "duplicate")}


def _with_cases(session: Session, period: ColumnElement[bool], kinds: Sequence[Row]) -> list[Row]:
    counted = session.execute(
        select(IssueSquare.category, func.sum(IssueSquare.issues))
        .where(period, IssueSquare.set_aside == "")
        .group_by(IssueSquare.category)
    )
    cases = {category: int(number) for category, number in counted}
    return [row | {"cases": cases.get(row["category"], 0)} for row in kinds]
