"""A later delivery of buildings: new ones cut inside the cell they stand on, gone ones leave it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.assembly import Joined, cells_of_groups, grouped
from geo.cells import checked, few, local, origin_of, placed
from geo.enclosures import NOWHERE, Enclosures, Groups, homes
from geo.errors import TopologyError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shapes = NDArray[Any]

ON_EDGE_M = 1e-6


@dataclass(frozen=True)
class Renewal:
    """What new buildings do to cells.

    Attributes
    ----------
    pieces : GeoDataFrame, shape (n,)
        Column `cell` (the one that is cut), geometry Polygon; the pieces of a cell make it up.
    piece_of : Series of int
        Piece of each building, new or standing, in a cell that is cut; indexed by building.
    cell_of : Series of Int64
        Cell of each new building whose cell stays whole; NA where it stands in no cell.
    neighbours : GeoSeries
        Cells that stay whole and got vertices where a cut ends on their border, by label. All
        other cells stay as they are, bit by bit.
    """

    pieces: gpd.GeoDataFrame
    piece_of: pd.Series[Any]
    cell_of: pd.Series[Any]
    neighbours: gpd.GeoSeries


def cells_for_new_buildings(
    cells: gpd.GeoSeries,
    buildings: gpd.GeoSeries,
    cell_of: pd.Series[Any],
    new: gpd.GeoSeries,
) -> Renewal:
    """Cut the cells that new buildings stand on, inside their borders alone.

    A new building in a cell without one, or over a standing one, takes the cell as it is. A
    building that is gone leaves its cell: nothing is to be done for it.

    Parameters
    ----------
    cells : GeoSeries, shape (n,)
        A valid coverage, projected CRS in metres, unique index.
    buildings : GeoSeries, shape (m,)
        Those that stand and stay, same CRS.
    cell_of : Series, shape (m,)
        Cell of each, indexed like `buildings`; null for those without.
    new : GeoSeries, shape (k,)
        Same CRS; no label of `buildings`.

    Returns
    -------
    Renewal

    Raises
    ------
    TopologyError
        As `building_cells`; also if a label is both new and standing.
    """
    crs = checked(new, cells)
    both = new.index.intersection(buildings.index)
    if len(both):
        message = f"Buildings are new and standing at once: {few(both)}."
        raise TopologyError(message, buildings=[str(label) for label in both[:100]])
    origin = origin_of(cells)
    near = local(cells, origin)
    labels, shapes, place = _on_their_cells(cells, near, origin, buildings, cell_of, new)
    touched = np.unique(place)
    groups, group_of = grouped(shapes, place)
    home = np.full(groups.count, NOWHERE, dtype=np.int64)
    home[group_of] = np.searchsorted(touched, place)
    dry = np.zeros(len(touched), dtype=np.bool_)
    ground = Enclosures(near[touched], np.arange(len(touched)), dry, home, home[:0])
    joined = _divided(ground, groups)
    cut = np.bincount(joined.enclosure, minlength=len(touched)) > 1
    chosen = cut[joined.enclosure]
    names = cells.index.to_numpy()
    pieces = gpd.GeoDataFrame(
        {"cell": names[touched[joined.enclosure[chosen]]]},
        geometry=placed(joined.shapes[chosen], origin),
        crs=crs,
    )
    cell = joined.group_cell[group_of]
    divided = cut[joined.enclosure[cell]]
    number = np.cumsum(chosen) - 1
    kept = pd.Series(names[place[~divided]], index=labels[~divided], dtype=object)
    return Renewal(
        pieces,
        pd.Series(number[cell[divided]], index=labels[divided], dtype="int64"),
        kept.reindex(new.index[~new.index.isin(labels[divided])]),
        _neighbours(cells, near, origin, np.delete(np.arange(len(cells)), touched[cut]), joined),
    )


def _divided(ground: Enclosures, groups: Groups) -> Joined:
    if len(ground.ground) == 0:
        none = np.empty(0, dtype=np.int64)
        shapes = np.empty(0, dtype=object)
        return Joined(shapes, none, none, np.empty(0), np.empty((0, 4)), np.empty((0, 2)))
    return cells_of_groups(ground, groups, 1, lambda what, share: None)


def _on_their_cells(
    cells: gpd.GeoSeries,
    near: Shapes,
    origin: Floats,
    buildings: gpd.GeoSeries,
    cell_of: pd.Series[Any],
    new: gpd.GeoSeries,
) -> tuple[pd.Index[Any], Shapes, Ints]:
    """Return labels, shapes and cells of the new buildings and of those that stand beside them."""
    fresh = local(new, origin, rounded=True)
    parts, building = shapely.get_parts(fresh, return_index=True)
    at = homes(near, Groups(parts, building, len(fresh), shapely.area(fresh)))[0]
    before = cells.index.get_indexer(pd.Index(cell_of.reindex(buildings.index)))
    beside = (before >= 0) & np.isin(before, at[at >= 0])
    standing = local(buildings[beside], origin, rounded=True)
    labels = buildings.index[beside].append(new.index[at >= 0])
    shapes = np.concatenate([standing, fresh[at >= 0]])
    return labels, shapes, np.concatenate([before[beside], at[at >= 0]]).astype(np.int64)


def _neighbours(
    cells: gpd.GeoSeries, near: Shapes, origin: Floats, whole: Ints, joined: Joined
) -> gpd.GeoSeries:
    """Return the uncut cells that own an edge on which a cut ends, with the new vertices."""
    between: dict[tuple[float, ...], list[tuple[float, ...]]] = {}
    rows = np.unique(np.hstack([joined.edge, joined.place]), axis=0)
    for row in rows.tolist():
        between.setdefault(tuple(row[:4]), []).append(tuple(row[4:]))
    ends = shapely.points(rows[:, 4:])
    found = shapely.STRtree(near[whole]).query(ends, "dwithin", distance=ON_EDGE_M)[1]
    changed, shapes = [], []
    for position in whole[np.unique(found)].tolist():
        given = near[position]
        made = _with_places(given, between)
        if shapely.get_num_coordinates(made) > shapely.get_num_coordinates(given):
            changed.append(position)
            shapes.append(made)
    return gpd.GeoSeries(
        placed(np.array(shapes, dtype=object), origin), index=cells.index[changed], crs=cells.crs
    )


def _with_places(polygon: Any, between: dict[tuple[float, ...], list[tuple[float, ...]]]) -> Any:
    """Return a polygon with places put between the ends of its edges."""

    def ring(points: Any) -> list[tuple[float, ...]]:
        corners = [tuple(point) for point in shapely.get_coordinates(points).tolist()]
        made = corners[:1]
        for tail, head in pairwise(corners):
            low, high = min(tail, head), max(tail, head)
            places = sorted(
                between.get((*low, *high), []),
                key=lambda p: abs(p[0] - low[0]) + abs(p[1] - low[1]),
            )
            made += places if tail == low else places[::-1]
            made.append(head)
        return made

    return shapely.Polygon(ring(polygon.exterior), [ring(hole) for hole in polygon.interiors])
