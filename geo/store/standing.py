"""What figures are made of: where households stand, the grids of a level, squares in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import and_, func, select, text
from sqlalchemy.orm import Session, aliased

from geo.density import Placing, placing
from geo.errors import InvalidInputError
from geo.store import nets
from geo.store.grids import of_net
from geo.store.nets import HOUSEHOLDS, Moment
from geo.tables import NetGrid, NetValue, StationKind

Row = dict[str, Any]


@dataclass(frozen=True)
class Homes:
    """Where households stand.

    Attributes
    ----------
    grid : ndarray of int, shape (n,)
        Grid of the level asked about; 0 where the ground has none of that level.
    x, y : ndarray of float, shape (n,)
        Metres, the city's metre CRS.
    households : ndarray of float, shape (n,)
        Of the moment's vintage, above 0.
    """

    grid: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    households: NDArray[np.float64]


AREA_OF_LEVEL: Final = """
    coalesce((ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6])
             [CAST(:level AS integer)], 0)"""
"""The ancestor of a grid `g` at the level asked about; 0 where it has none."""

_STANDING: Final = (
    "SELECT " + AREA_OF_LEVEL + " AS grid, p.x, p.y, v.value"  # noqa: S608 (a constant)
    """
    FROM household_place AS p
    JOIN cell_value AS v ON v.city_id = p.city_id AND v.cell_id = p.cell_id
     AND v.vintage = :vintage AND v.measure = 'households' AND v.value > 0
    JOIN net_cell AS c ON c.city_id = p.city_id AND c.cell_id = p.cell_id
     AND c.from_seq <= :seq AND c.to_seq > :seq
    JOIN net_grid AS g ON g.city_id = c.city_id AND g.grid_id = c.grid_id
     AND g.from_seq <= :seq AND g.to_seq > :seq
    WHERE p.city_id = :city
    """
)

_HOMES: Final = text(
    "SELECT string_agg(int8send(h.grid), ''::bytea), string_agg(float8send(h.x), ''::bytea),"  # noqa: S608
    " string_agg(float8send(h.y), ''::bytea), string_agg(float8send(h.value), ''::bytea)"
    " FROM (" + _STANDING + ") AS h"
)
"""Four columns as bytes: a tenth of the time that tens of thousands of rows would take."""

_LIVED_IN: Final = text(
    "SELECT floor(h.x / :side)::bigint, floor(h.y / :side)::bigint, h.grid, sum(h.value)"  # noqa: S608
    " FROM (" + _STANDING + ") AS h GROUP BY 1, 2, 3"
)


def homes(session: Session, at: Moment, level: int) -> Homes:
    """Return where the households of the moment's vintage stand, and in which grid of a level."""
    grid, *columns = session.execute(_HOMES, asked_at(at, level)).one()
    x, y, households = (np.frombuffer(column or b"", ">f8").astype(float) for column in columns)
    return Homes(np.frombuffer(grid or b"", ">i8").astype(np.int64), x, y, households)


def asked_at(at: Moment, level: int) -> Row:
    """Return the values that statements about a moment and a level ask for."""
    return {"city": at.city_id, "seq": at.seq, "vintage": at.vintage, "day": at.day, "level": level}


_STAMP: Final = text(
    """
    SELECT md5(concat_ws('|',
        (SELECT concat(p.xmin, p.ctid) FROM household_place AS p WHERE p.city_id = :city
         ORDER BY p.cell_id LIMIT 1),
        (SELECT concat(v.xmin, v.ctid) FROM net_value AS v WHERE v.city_id = :city AND v.seq = :seq
         ORDER BY v.vintage, v.measure, v.grid_id LIMIT 1),
        (SELECT concat(i.xmin, i.ctid) FROM issue_square AS i WHERE i.city_id = :city
         ORDER BY i.month, i.category, i.set_aside, i.x, i.y LIMIT 1),
        (SELECT string_agg(concat_ws(' ', s.station_id, s.xmin), ',' ORDER BY s.station_id)
         FROM station AS s WHERE s.city_id = :city),
        (SELECT string_agg(concat_ws(' ', k.category, k.xmin), ',' ORDER BY k.category)
         FROM category AS k WHERE k.city_id = :city)))
    """
)


def stamp(session: Session, at: Moment) -> str:
    """Return what the figures of a moment depend on, as a short text that is quick to find.

    Derived rows are always written anew together, so that the version of one row tells of all;
    stations and categories are edited one by one, and each of them counts.
    """
    found = session.scalar(_STAMP, {"city": at.city_id, "seq": at.seq})
    return f"{at.city_id}-{at.net_hash.hex()[:16]}-{at.vintage}-{at.day}-{found}"


def require_level(session: Session, at: Moment, level: int) -> None:
    """Refuse a level that the city has not.

    Raises
    ------
    InvalidInputError
        Naming the levels that it has.
    """
    known = [row.level for row in nets.levels(session, at.city_id, at.seq)]
    if level not in known:
        raise InvalidInputError(f"The city '{at.slug}' has levels {known}.", field="level")


def require_kinds(session: Session, at: Moment, kinds: Sequence[str]) -> None:
    """Refuse kinds of stations that the city has not.

    Raises
    ------
    InvalidInputError
        Naming the first one.
    """
    known = set(
        session.scalars(select(StationKind.kind).where(StationKind.city_id == at.city_id)).all()
    )
    for kind in kinds:
        if kind not in known:
            raise InvalidInputError(f"There is no kind of station '{kind}'.", field="kind")


def listed(session: Session, at: Moment, level: int) -> list[Row]:
    """Return the grids of a level in the order of their codes, with the names of their parents."""
    parent = aliased(NetGrid)
    above = and_(of_net(parent, at), parent.grid_id == NetGrid.parent_id)
    rows = session.execute(
        select(
            NetGrid.grid_id.label("grid"),
            NetGrid.code,
            NetGrid.name,
            NetGrid.level,
            NetGrid.kind,
            NetGrid.parent_id.label("parent"),
            parent.name.label("parent_name"),
            NetGrid.area_m2,
        )
        .outerjoin(parent, above)
        .where(of_net(NetGrid, at), NetGrid.level == level)
        .order_by(func.coalesce(NetGrid.code, ""), NetGrid.grid_id)
    )
    return [dict(row) for row in rows.mappings()]


def households_of(session: Session, at: Moment, level: int) -> dict[int, float]:
    """Return the households of the grids of a level, by their ids."""
    rows = session.execute(
        select(NetValue.grid_id, NetValue.value)
        .join(
            NetGrid,
            and_(NetGrid.city_id == NetValue.city_id, NetGrid.grid_id == NetValue.grid_id),
        )
        .where(
            of_net(NetGrid, at),
            NetGrid.level == level,
            NetValue.seq == at.seq,
            NetValue.vintage == at.vintage,
            NetValue.measure == HOUSEHOLDS,
        )
    )
    return {row.grid_id: row.value for row in rows}


def whole(value: float) -> int | float:
    """Return a count as an integer when it is one, else with one decimal."""
    rounded = round(float(value), 1)
    return int(rounded) if rounded == int(rounded) else rounded


def rate(part: float, whole: float, times: float = 1.0, digits: int = 4) -> float | None:
    """Return a rate beside its numerator and denominator; None without a denominator."""
    return round(part / whole * times, digits) if whole > 0 else None


def total_row(name: str) -> Row:
    """Return the head of the row that sums up a city; its level is 0."""
    head = {"grid": 0, "code": None, "name": name, "level": 0, "kind": ""}
    return {**head, "parent": None, "parent_name": None}


def lived_in(session: Session, at: Moment, level: int, side_m: int) -> pd.DataFrame:
    """Return column, row, households and the area of most of them, for squares with any."""
    rows = session.execute(_LIVED_IN, {**asked_at(at, level), "side": float(side_m)}).all()
    frame = pd.DataFrame(rows, columns=["column", "row", "area", "households"])
    frame = frame.astype({"column": np.int64, "row": np.int64, "area": np.int64})
    frame = frame.sort_values(["row", "column", "households", "area"])
    return frame.groupby(["row", "column"], as_index=False).agg(
        households=("households", "sum"), area=("area", "last")
    )


@dataclass(frozen=True)
class SquareColumns:
    """Figures of squares in columns: a short answer for many squares.

    Attributes
    ----------
    side_m : int
    placing : Placing
        Where the squares lie in degrees.
    column, row : list of int
        Whole sides east and north of the metre CRS's origin.
    """

    side_m: int
    placing: Placing
    column: list[int]
    row: list[int]


def square_columns(at: Moment, frame: pd.DataFrame, side_m: int) -> SquareColumns:
    """Return place and position of the squares of a frame with `column` and `row`."""
    if len(frame):
        low, high = frame[["column", "row"]].min(), frame[["column", "row"]].max() + 1
        bounds = (*(low * side_m), *(high * side_m))
    else:
        bounds = (500_000.0, 4_000_000.0, 501_000.0, 4_001_000.0)
    west, south, east, north = (float(edge) for edge in bounds)
    return SquareColumns(
        side_m,
        placing((west, south, east, north), at.metre_srid),
        frame["column"].astype(int).tolist(),
        frame["row"].astype(int).tolist(),
    )
