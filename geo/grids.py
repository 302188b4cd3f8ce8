"""The grids of a city: hierarchy here; codes and coverage topology from the two rooms beside it.

A net is made of cells that tile the ground; each cell lies in one leaf grid, each grid in one
parent of the level above. So the boundary of a leaf grid is the union of its cells, the boundary of
a parent the union of its children, and neither gap nor overlap can be said. `geo.codes` gives grids
their numbers, `geo.topology` knows borders, neighbours and parts; both are offered here.
"""

from __future__ import annotations

from itertools import chain

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.codes import CodeScheme, allocate_codes, numbering_order
from geo.crs import local_origin, require_metres
from geo.errors import HierarchyError, TopologyError
from geo.saying import phrase
from geo.terms import MAX_LEVELS
from geo.topology import (
    Adjacency,
    CoverageFaults,
    Parts,
    adjacency,
    areas_m2,
    boundaries,
    colours,
    contiguous_parts,
    coverage_faults,
    label_points,
    torn,
)

__all__ = [
    "AREA_COLUMNS",
    "Adjacency",
    "CodeScheme",
    "CoverageFaults",
    "Parts",
    "adjacency",
    "allocate_codes",
    "areas_m2",
    "boundaries",
    "colours",
    "contiguous_parts",
    "coverage_faults",
    "hierarchy",
    "label_points",
    "leaves",
    "net_boundaries",
    "numbering_order",
    "parent_faults",
    "torn",
]

AREA_COLUMNS = tuple(f"area_{level}" for level in range(1, MAX_LEVELS + 1))
BORDER_SLACK_M = 1e-6
"""A parent may differ from its children by this much along its whole border: rounding, no more."""


def hierarchy(grids: pd.DataFrame) -> pd.DataFrame:
    """Return the ancestors of each grid, itself included, by level.

    Parameters
    ----------
    grids : DataFrame, shape (n,)
        Columns grid_id (unique), level (1 = top, up to 6), parent_id (NA at level 1).

    Returns
    -------
    DataFrame, shape (n, 6)
        Columns area_1 .. area_6 (Int64), indexed like `grids`: the grid's ancestor at that level,
        the grid itself at its own, NA below.

    Raises
    ------
    HierarchyError
        If an id stands twice, a level is none, a parent is missing, unknown or not of the level
        directly above, or grids are their own ancestors; `defects` lists every place.
    """
    ids = grids["grid_id"].to_numpy(dtype=np.int64)
    level = grids["level"].to_numpy(dtype=np.int64)
    parent = _parent_positions(ids, grids["parent_id"])
    defects = _hierarchy_defects(ids, level, grids["parent_id"], parent)
    if defects:
        raise HierarchyError(defects)
    ancestors = np.full((len(ids), MAX_LEVELS), -1, dtype=np.int64)
    for number in range(1, MAX_LEVELS + 1):
        rows = np.flatnonzero(level == number)
        if number > 1:
            ancestors[rows] = ancestors[parent[rows]]
        ancestors[rows, number - 1] = ids[rows]
    columns = {
        name: pd.array(np.where(column < 0, 0, column), dtype="Int64")
        for name, column in zip(AREA_COLUMNS, ancestors.T, strict=True)
    }
    frame = pd.DataFrame(columns, index=grids.index)
    return frame.mask(ancestors < 0)


def leaves(grids: pd.DataFrame) -> pd.Series[bool]:
    """Say which grids have no child: these own cells.

    Parameters
    ----------
    grids : DataFrame, shape (n,)
        Columns grid_id, parent_id.

    Returns
    -------
    Series of bool, shape (n,)
        Indexed like `grids`.
    """
    return (~grids["grid_id"].isin(grids["parent_id"].dropna())).rename("leaf")


def net_boundaries(
    cells: gpd.GeoSeries, grid_of_cell: pd.Series[int], grids: pd.DataFrame
) -> gpd.GeoSeries:
    """Return the boundary of every grid of a net: leaves from cells, parents from children.

    Parameters
    ----------
    cells : GeoSeries, shape (n,)
        A coverage, projected CRS in metres.
    grid_of_cell : Series of int, shape (n,)
        Leaf grid of each cell, in the order of `cells`.
    grids : DataFrame, shape (m,)
        Columns grid_id, level, parent_id of the whole net.

    Returns
    -------
    GeoSeries, shape (m,)
        Polygon or MultiPolygon by grid_id, in the order of `grids`.

    Raises
    ------
    HierarchyError
        If the hierarchy has defects, a cell lies in an unknown grid or in one that has children, or
        a leaf has no cell; `defects` lists every place.
    TopologyError
        If there is no CRS in metres or the cells are not a coverage.
    """
    hierarchy(grids)
    leaf_ids = set(grids.loc[leaves(grids), "grid_id"].tolist())
    filled = set(grid_of_cell.unique().tolist())
    known = set(grids["grid_id"].tolist())
    defects: list[str] = [
        phrase("cells lie in grid %(grid)s, which is unknown", grid=grid)
        for grid in sorted(filled - known)
    ]
    torn_levels = sorted((filled & known) - leaf_ids)
    defects += [
        phrase("cells lie in grid %(grid)s, which has children", grid=grid) for grid in torn_levels
    ]
    defects += [
        phrase("grid %(grid)s has neither cells nor children", grid=grid)
        for grid in sorted(leaf_ids - filled)
    ]
    if defects:
        raise HierarchyError(defects)
    shapes = boundaries(cells, grid_of_cell)
    table = grids.set_index("grid_id")
    for number in range(int(grids["level"].max()), 1, -1):
        children = table.index[table["level"] == number]
        parents = table.loc[children, "parent_id"].astype(np.int64)
        shapes = pd.concat([shapes, boundaries(shapes.loc[children], parents)])
    return gpd.GeoSeries(shapes.loc[grids["grid_id"]], crs=cells.crs).rename_axis("grid_id")


def parent_faults(
    parents: gpd.GeoSeries,
    children: gpd.GeoSeries,
    parent_of: pd.Series[int],
    *,
    slack_m: float = BORDER_SLACK_M,
) -> pd.DataFrame:
    """Return the parents that are not the union of their children.

    Equal rings are equal without measuring; of the others the ground that only one side has is
    measured at a local origin and compared with `slack_m` times the length of the parent's border.

    Parameters
    ----------
    parents : GeoSeries
        Boundaries by grid id, projected CRS in metres.
    children : GeoSeries, shape (n,)
        Boundaries of the level below, same CRS.
    parent_of : Series of int, shape (n,)
        Parent of each child, in the order of `children`.
    slack_m : float, default 1e-6

    Returns
    -------
    DataFrame
        Columns `missing_m2` (of the parent, in no child), `excess_m2` (of children, outside the
        parent), `reason`, indexed by parent; empty when all is well.

    Raises
    ------
    TopologyError
        If the CRS is not in metres or differs between the two.
    """
    if require_metres(parents.crs) != require_metres(children.crs):
        raise TopologyError("Parents and children have different reference systems.")
    unions = _unions(children, parent_of)
    rows: dict[int, tuple[float, float, str]] = {}
    for grid in sorted(set(parents.index) - set(unions.index)):
        rows[grid] = (float(shapely.area(parents[grid])), 0.0, "has no children")
    for grid in sorted(set(unions.index) - set(parents.index)):
        rows[grid] = (0.0, float(shapely.area(unions[grid])), "has children and no boundary")
    both = parents.index.intersection(unions.index)
    stated = shapely.normalize(parents.loc[both].to_numpy())
    united = shapely.normalize(unions.loc[both].to_numpy())
    for position in np.flatnonzero(~shapely.equals_exact(stated, united)):
        missing, excess = _difference(stated[position], united[position])
        if missing + excess > slack_m * shapely.length(stated[position]):
            rows[both[position]] = (missing, excess, "differs from the union of its children")
    columns = ["missing_m2", "excess_m2", "reason"]
    found = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return found.sort_index().rename_axis(parents.index.name)


def _parent_positions(ids: NDArray[np.int64], parent_ids: pd.Series[int]) -> NDArray[np.int64]:
    """Return the row of each parent: -1 where none is named, -2 where the name is unknown."""
    order = np.argsort(ids, kind="stable")
    named = parent_ids.notna().to_numpy()
    wanted = parent_ids.fillna(0).to_numpy(dtype=np.int64)
    place = np.searchsorted(ids[order], wanted)
    place = np.minimum(place, max(len(ids) - 1, 0))
    found = named & (ids[order[place]] == wanted)
    rows: NDArray[np.int64] = np.where(found, order[place], np.where(named, -2, -1))
    return rows


def _hierarchy_defects(
    ids: NDArray[np.int64],
    level: NDArray[np.int64],
    parent_ids: pd.Series[int],
    parent: NDArray[np.int64],
) -> list[str]:
    distinct, count = np.unique(ids, return_counts=True)
    found: list[str] = [
        phrase("grid %(grid)s stands %(n)s times", grid=grid, n=n)
        for grid, n in zip(distinct, count, strict=True)
        if n > 1
    ]
    for row in np.flatnonzero((level < 1) | (level > MAX_LEVELS)):
        found.append(
            phrase("grid %(grid)s has level %(level)s, which is not 1 to %(most)s",
                   grid=ids[row], level=level[row], most=MAX_LEVELS)
        )  # fmt: skip
    for row in np.flatnonzero((level == 1) & (parent != -1)):
        found.append(
            phrase("grid %(grid)s is at the top and has a parent, %(parent)s",
                   grid=ids[row], parent=parent_ids.iloc[row])
        )  # fmt: skip
    for row in np.flatnonzero((level > 1) & (parent == -1)):
        found.append(
            phrase("grid %(grid)s of level %(level)s has no parent",
                   grid=ids[row], level=level[row])
        )  # fmt: skip
    for row in np.flatnonzero(parent == -2):
        if level[row] != 1:
            found.append(
                phrase("grid %(grid)s has parent %(parent)s, which is unknown",
                       grid=ids[row], parent=parent_ids.iloc[row])
            )  # fmt: skip
    known = np.flatnonzero((parent >= 0) & (level > 1))
    for row in known[level[parent[known]] != level[known] - 1]:
        above = parent[row]
        found.append(
            phrase(
                "grid %(grid)s of level %(level)s has parent %(parent)s of level %(above)s, not of"
                " %(wanted)s",
                grid=ids[row], level=level[row], parent=ids[above], above=level[above],
                wanted=level[row] - 1,
            )
        )  # fmt: skip
    rings = _cycles(parent)
    return found + [
        phrase("grids %(grids)s are their own ancestors", grids=ids[ring].tolist())
        for ring in rings
    ]


def _cycles(parent: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Return the rows of each ring of parents."""
    rows = np.flatnonzero(parent >= 0)
    shape = (len(parent), len(parent))
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, parent[rows])), shape=shape)
    _, group = connected_components(graph, directed=True, connection="strong")
    size = np.bincount(group, minlength=1)
    rings = [np.flatnonzero(group == number) for number in np.flatnonzero(size > 1)]
    alone = rows[parent[rows] == rows]
    return list(chain(rings, (np.array([row]) for row in alone)))


def _unions(children: gpd.GeoSeries, parent_of: pd.Series[int]) -> gpd.GeoSeries:
    """Return the union of children by parent, also where they are no coverage."""
    try:
        return boundaries(children, parent_of)
    except TopologyError:
        groups = pd.Series(children.to_numpy(), index=parent_of.to_numpy()).groupby(level=0)
        unions = groups.agg(lambda shapes: shapely.union_all(shapes.to_numpy()))
        return gpd.GeoSeries(unions, crs=children.crs)


def _difference(stated: shapely.Geometry, united: shapely.Geometry) -> tuple[float, float]:
    """Return the square metres that only `stated` and that only `united` has."""
    origin = np.array(local_origin(shapely.bounds(stated)), dtype=float)
    one, two = shapely.transform([stated, united], lambda xy: xy - origin)
    return float(shapely.area(shapely.difference(one, two))), float(
        shapely.area(shapely.difference(two, one))
    )
