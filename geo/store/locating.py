"""Many places at once: which grid of a net each of them lies in, by an index that is kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.errors import InvalidInputError
from geo.store.grids import GridFilter, narrowed
from geo.store.nets import Moment
from geo.store.reading import Asked
from geo.tables import NetGrid

MOST_POINTS: Final = 100_000
KEPT: Final = 4
"""Indexes that are kept: of the nets and levels that were asked last."""

_ON_BORDER = text("""
    SELECT DISTINCT ON (p.n) p.n - 1, n.grid_id, g.area_1, g.area_2, g.area_3, g.area_4, g.area_5,
        g.area_6
    FROM unnest(CAST(:lon AS float8[]), CAST(:lat AS float8[]))
        WITH ORDINALITY AS p (lon, lat, n)
    JOIN cell AS c ON c.city_id = :city AND c.retired_by_cut IS NULL
        AND ST_Intersects(c.geom, ST_SetSRID(ST_MakePoint(p.lon, p.lat), 4326))
    JOIN net_cell AS n ON n.city_id = c.city_id AND n.cell_id = c.cell_id
        AND n.from_seq <= :seq AND :seq < n.to_seq
    JOIN net_grid AS g ON g.city_id = n.city_id AND g.grid_id = n.grid_id
        AND g.from_seq <= :seq AND :seq < g.to_seq
    ORDER BY p.n, c.cell_id
""")

_kept: OrderedDict[tuple[int, bytes, int | None], _Indexed] = OrderedDict()
_lock: Final = threading.Lock()


@dataclass(frozen=True)
class _Indexed:
    index: Any
    grids: NDArray[np.int64]
    told: dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Placed:
    """The grids of places.

    Attributes
    ----------
    grids : list of int or None
        In the order of the places; None outside the net.
    on_border : list of int
        Positions of places that lie exactly on a border.
    told : dict of int to dict
        Name, code and level of each grid that is among them.
    """

    grids: list[int | None]
    on_border: list[int]
    told: dict[int, dict[str, Any]]


def assign(
    session: Session, asked: Asked, points: Sequence[tuple[float, float]], level: int | None = None
) -> tuple[Moment, Placed]:
    """Return the grid of each place on the net of a day, or of a net that is named.

    A border belongs to both its grids. A place that lies exactly on one belongs to the cell of the
    smaller number among those around it, as everywhere in the program, and so to that cell's grid.
    Borders are straight in degrees between their vertices, as they were published.

    Parameters
    ----------
    points : sequence of (float, float)
        lon, lat in degrees, WGS 84; nothing of them is stored.
    level : int, optional
        1 is the top; without it the grids that hold cells themselves.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If these are too many places, or the net has no such level.
    """
    if not 1 <= len(points) <= MOST_POINTS:
        raise InvalidInputError(f"Name 1 to {MOST_POINTS} points.", field="points")
    at = asked.moment(session)
    known = _indexed(session, at, level)
    places = np.asarray(points, dtype=np.float64)
    found = known.index.locate(places)
    rows = found.rows.astype(np.int64)
    grids = np.where(rows >= 0, known.grids[np.maximum(rows, 0)], -1)
    border = np.flatnonzero(found.on_border)
    for place, grid in _by_cell(session, at, places[border], level).items():
        grids[border[place]] = grid
    return at, Placed(
        [int(one) if one >= 0 else None for one in grids],
        border.tolist(),
        {int(one): known.told[int(one)] for one in np.unique(grids[grids >= 0])},
    )


def _by_cell(
    session: Session, at: Moment, places: NDArray[np.float64], level: int | None
) -> dict[int, int]:
    """Return the grid of the first cell at each place, by position."""
    if not len(places):
        return {}
    asked = {
        "city": at.city_id, "seq": at.seq, "lon": places[:, 0].tolist(),
        "lat": places[:, 1].tolist(),
    }  # fmt: skip
    listed = session.execute(_ON_BORDER, asked)
    found = {int(row[0]): row[1] if level is None else row[1 + level] for row in listed}
    return {place: int(grid) for place, grid in found.items() if grid is not None}


def _indexed(session: Session, at: Moment, level: int | None) -> _Indexed:
    """Return the index of a net; what a net says never changes while its hash is the same."""
    key = (at.city_id, bytes(at.net_hash), level)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    made = _made(session, at, level)
    with _lock:
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def _made(session: Session, at: Moment, level: int | None) -> _Indexed:
    # compiled code, loaded by whoever asks for places alone
    from geo.assignment import coverage_index

    found = session.execute(
        select(
            NetGrid.grid_id, NetGrid.name, NetGrid.code, NetGrid.level,
            func.ST_AsBinary(NetGrid.boundary),
        )
        .where(*narrowed(at, GridFilter(level=level, leaf=level is None)))
        .order_by(NetGrid.grid_id)
    ).all()  # fmt: skip
    if not found:
        raise InvalidInputError(f"Net {at.seq} has no grids on level {level}.", field="level")
    shapes = shapely.from_wkb([None if row[4] is None else bytes(row[4]) for row in found])
    wrong = ~(shapely.is_missing(shapes) | shapely.is_valid(shapes))
    shapes[wrong] = shapely.make_valid(shapes[wrong], method="structure", keep_collapsed=False)
    told = {int(row[0]): {"name": row[1], "code": row[2], "level": int(row[3])} for row in found}
    return _Indexed(coverage_index(shapes), np.array([row[0] for row in found]), told)
