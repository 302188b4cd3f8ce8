"""One side of a comparison: a net, a plan, or the net of a date, with its cells and grids."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import InvalidInputError
from geo.store import nets
from geo.store.drafts import checks, rows
from geo.store.drafts.rows import Draft
from geo.store.nets import Moment
from geo.topology import boundaries

Ids = NDArray[np.int64]

NAMED: Final = re.compile(r"(net|plan):([1-9]\d{0,9})")
MOST: Final = 2**31 - 2

_NET_CELLS = text("""
    SELECT string_agg(int8send(n.cell_id), ''::bytea), string_agg(int8send(n.grid_id), ''::bytea)
    FROM net_cell AS n
    WHERE n.city_id = :city AND n.from_seq <= :seq AND n.to_seq > :seq
""")
_PLAN_CELLS = text("""
    SELECT string_agg(int8send(c.cell_id), ''::bytea),
        string_agg(int8send(coalesce(d.grid_id, n.grid_id, :reserve)), ''::bytea)
    FROM cell AS c
    LEFT JOIN plan_cell AS d ON d.city_id = c.city_id AND d.plan_id = :plan
        AND d.cell_id = c.cell_id
    LEFT JOIN net_cell AS n ON n.city_id = c.city_id AND n.cell_id = c.cell_id
        AND n.from_seq <= :base AND n.to_seq > :base
    WHERE c.city_id = :city AND c.retired_by_cut IS NULL
        AND coalesce(d.grid_id, n.grid_id, :reserve) IS NOT NULL
""")
_RESERVE = text("""
    SELECT grid_id FROM plan_grid WHERE city_id = :city AND plan_id = :plan
        AND kind = 'reserve' AND parent_id IS NULL AND NOT ended ORDER BY grid_id LIMIT 1
""")
_NET_GRIDS = text("""
    SELECT grid_id, level, parent_id, name, kind, code FROM net_grid
    WHERE city_id = :city AND from_seq <= :seq AND to_seq > :seq ORDER BY grid_id
""")
_PLAN_GRIDS = text("""
    SELECT p.grid_id, p.level, p.parent_id, p.name, p.kind, n.code
    FROM plan_grid AS p
    LEFT JOIN net_grid AS n ON n.city_id = p.city_id AND n.grid_id = p.grid_id
        AND n.from_seq <= :base AND n.to_seq > :base
    WHERE p.city_id = :city AND p.plan_id = :plan AND NOT p.ended ORDER BY p.grid_id
""")
_SHAPES = text("""
    SELECT grid_id, ST_AsBinary(boundary) FROM net_grid
    WHERE city_id = :city AND from_seq <= :seq AND to_seq > :seq AND grid_id = ANY (:grids)
    ORDER BY grid_id
""")


@dataclass(frozen=True)
class Side:
    """A net or a plan as its cells say it.

    Attributes
    ----------
    name : str
        As it is asked for: `net:SEQ` or `plan:N`.
    at : Moment
        Of the net; for a plan that of its base, or of today where it was begun empty.
    draft : Draft or None
        The plan.
    version : int or None
        Number of the plan's last edit.
    cells, leaves : ndarray of int, shape (n,)
        Cells in the order of their numbers, and the grid that each lies in.
    grids : DataFrame
        Indexed by grid: level, parent (0 at the top), name, kind, code.
    """

    name: str
    at: Moment
    draft: Draft | None
    version: int | None
    cells: Ids
    leaves: Ids
    grids: pd.DataFrame

    def at_level(self, level: int | None) -> Ids:
        """Return the grid of a level that each cell lies in, 0 in none; None: the leaf grid."""
        if level is None:
            return self.leaves
        known, inverse = self._known
        found = np.array([self._ancestor(grid, level) for grid in known.tolist()], dtype=np.int64)
        return found[inverse] if len(found) else self.leaves

    def _ancestor(self, grid: int, level: int) -> int:
        levels, parents = self._lines
        while grid in levels and levels[grid] > level:
            grid = parents[grid]
        return grid if levels.get(grid) == level else 0

    @cached_property
    def _known(self) -> tuple[Ids, Ids]:
        """The leaf grids, and the place of that of each cell among them."""
        known, inverse = np.unique(self.leaves, return_inverse=True)
        return known, inverse

    @cached_property
    def _lines(self) -> tuple[dict[int, int], dict[int, int]]:
        """The level and the parent of each grid."""
        grids = self.grids.index.tolist()
        levels, parents = (self.grids[name].tolist() for name in ("level", "parent"))
        return dict(zip(grids, levels, strict=True)), dict(zip(grids, parents, strict=True))

    def told(self) -> dict[str, Any]:
        """Return what the side is, as plain values."""
        return {
            "name": self.name,
            "plan": self.draft.plan_id if self.draft else None,
            "version": self.version,
            "seq": self.at.seq if self.draft is None else self.draft.base_seq,
            "effective_from": self.at.effective_from if self.draft is None else None,
        }


def side_of(session: Session, viewer: Viewer, wanted: str, vintage: str | None = None) -> Side:
    """Return the net or plan that a text names: `net:3`, `plan:7`, or a date for the net of it.

    Raises
    ------
    InvalidInputError
        If it names nothing, or there is no such vintage.
    NetNotFoundError
        If the city has no such net, or none on that day.
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    city = viewer.city_id
    if city is None:
        raise InvalidInputError("Nets are compared within a city.", field="old")
    found = NAMED.fullmatch(wanted)
    number = int(found[2]) if found else 0
    if found and number > MOST:
        raise InvalidInputError(f"There is no {wanted}.", field="old")
    if found and found[1] == "plan":
        return plan_side(session, viewer, number, vintage)
    if found:
        return net_side(session, nets.moment_of_net(session, city, number, None, vintage))
    try:
        day = date.fromisoformat(wanted)
    except ValueError:
        message = f"'{wanted}' is no net, plan or date: say net:3, plan:7 or 2026-07-01."
        raise InvalidInputError(message, field="old") from None
    return net_side(session, nets.moment(session, city, day, vintage))


def net_side(session: Session, at: Moment) -> Side:
    """Return the net of a moment."""
    asked = {"city": at.city_id, "seq": at.seq}
    cells, leaves = _columns(session.execute(_NET_CELLS, asked).one())
    grids = _grids(session.execute(_NET_GRIDS, asked).all())
    return Side(f"net:{at.seq}", at, None, None, cells, leaves, grids)


def plan_side(session: Session, viewer: Viewer, plan_id: int, vintage: str | None = None) -> Side:
    """Return a plan that the viewer is a member of.

    Raises
    ------
    PlanNotFoundError
        If there is none.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    at = base_moment(session, draft, vintage)
    reserve = session.scalar(_RESERVE, draft.known()) if draft.base_seq is None else None
    found = session.execute(_PLAN_CELLS, draft.known(reserve=reserve)).one()
    cells, leaves = _columns(found)
    grids = _grids(session.execute(_PLAN_GRIDS, draft.known()).all())
    version = session.scalar(_LAST_EDIT, draft.known())
    return Side(f"plan:{plan_id}", at, draft, version, cells, leaves, grids)


_LAST_EDIT = text("""
    SELECT coalesce(max(n), 0) FROM plan_edit WHERE city_id = :city AND plan_id = :plan
""")


def base_moment(session: Session, draft: Draft, vintage: str | None = None) -> Moment:
    """Return the moment of a plan's base net; of today's where it was begun empty."""
    if draft.base_seq is None:
        return nets.moment(session, draft.city_id, None, vintage)
    return nets.moment_of_net(session, draft.city_id, draft.base_seq, None, vintage)


def _columns(row: Any) -> tuple[Ids, Ids]:
    """Return two columns of bytes as numbers, in the order of the first."""
    cells, grids = (np.frombuffer(one or b"", ">i8").astype(np.int64) for one in row)
    order = np.argsort(cells, kind="stable")
    return cells[order], grids[order]


def _grids(found: Any) -> pd.DataFrame:
    names = ["grid", "level", "parent", "name", "kind", "code"]
    table = pd.DataFrame([tuple(row) for row in found], columns=names)
    table["parent"] = pd.to_numeric(table["parent"]).fillna(0).astype("int64")
    return table.astype({"grid": "int64", "level": "int64"}).set_index("grid")


def shapes(session: Session, side: Side, owners: Ids, grids: Collection[int]) -> gpd.GeoSeries:
    """Return the ground of some grids in the city's metre CRS, by grid.

    Published borders as they are; what a plan redrew is the union of its cells.

    Parameters
    ----------
    side : Side
    owners : ndarray of int, shape (n,)
        Grid of each of the side's cells, of the level asked about.
    grids : collection of int
    """
    wanted = sorted(set(grids))
    srid = side.at.metre_srid
    if side.draft is None:
        return _published(session, side.at, wanted)
    same = _unchanged(session, side, wanted) if side.draft.base_seq is not None else set()
    parts = [_published(session, side.at, sorted(same))] if same else []
    redrawn = [grid for grid in wanted if grid not in same]
    own = np.isin(owners, np.array(redrawn, dtype=np.int64))
    if own.any():
        ground = checks.ground_of(session, side.draft, side.cells[own].tolist(), srid).shapes
        labels = pd.Series(owners[own], index=side.cells[own]).reindex(ground.index)
        parts.append(boundaries(ground, labels))
    if not parts:
        return gpd.GeoSeries([], index=pd.Index([], dtype="int64"), crs=srid)
    return gpd.GeoSeries(pd.concat(parts), crs=srid).sort_index()


def _published(session: Session, at: Moment, grids: list[int]) -> gpd.GeoSeries:
    asked = {"city": at.city_id, "seq": at.seq, "grids": grids}
    found = session.execute(_SHAPES, asked).all()
    ground = shapely.from_wkb([bytes(row[1]) for row in found])
    index = pd.Index([int(row[0]) for row in found], dtype="int64")
    return gpd.GeoSeries(checks.turned(ground, at.metre_srid), index=index, crs=at.metre_srid)


def _unchanged(session: Session, side: Side, grids: list[int]) -> set[int]:
    """Return those grids that hold the very cells that they held in the plan's base net."""
    base = net_side(session, side.at)
    same = set(grids) & set(base.grids.index.tolist())
    level_of = side.grids["level"].to_dict()
    for level in sorted({int(level_of[grid]) for grid in same}):
        here, there = side.at_level(level), base.at_level(level)
        at = np.searchsorted(base.cells, side.cells)
        before = np.where(
            (at < len(base.cells))
            & (base.cells[np.minimum(at, len(base.cells) - 1)] == side.cells),
            there[np.minimum(at, len(base.cells) - 1)],
            0,
        )
        differ = here != before
        same -= set(here[differ].tolist()) | set(before[differ].tolist())
    return same
