"""Barriers cut neighbourhood, not ground: between which cells one can walk, where streets cross.

A railway or a wall is a line: cells whose shared border runs along it are no neighbours. A river or
a lake is an area: a border inside it joins nobody, and a cell that lies in it belongs to its grid
without joining what is on its banks. A street that crosses a barrier opens it: a line for `GATE_M`
to either side of the crossing, an area between the places where the street comes ashore, as far as
the ground below the bridge belongs to the same grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.crs import require_metres
from geo.errors import TopologyError
from geo.terms import JOINING_BORDER_M
from geo.topology import (
    SUM_SLACK_M,
    Adjacency,
    adjacency,
    contiguous_parts,
    shared_edges,
    uncrowded,
)

TOUCH_M: Final = 0.2
"""What is nearer than this to a barrier lies on it."""
GATE_M: Final = 6.0
"""How far a crossing opens a line to either side."""
WET_SHARE: Final = 0.9
"""Share of a cell's ground under water from which it is a cell of water."""
TILE_M: Final = 250.0
ALONG_M: Final = 4 * TOUCH_M
"""A shorter stretch on a line is where a border crosses or meets it."""
LEG_M: Final = 1.0
"""How far a street must be seen on a side of a line to lead there."""

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Ways:
    """Which cells of a coverage one can walk between.

    Attributes
    ----------
    cell : ndarray of int, shape (n + d,)
        Position of the cell of each node: the `n` cells themselves, then a node for each piece of a
        street over a cell of water.
    left, right : ndarray of int, shape (m,)
        Nodes that are joined.
    wet : ndarray of bool, shape (n,)
        Cells of water.
    shore, beside : ndarray of int, shape (s,)
        Cells of water and what lies beside each, water or land.
    """

    cell: Ints
    left: Ints
    right: Ints
    wet: Flags
    shore: Ints
    beside: Ints


def ways(cells: gpd.GeoSeries, barriers: gpd.GeoSeries, streets: gpd.GeoSeries) -> Ways:
    """Return which cells one can walk between.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
        A valid coverage, projected CRS in metres.
    barriers : GeoSeries
        Lines and areas of the same CRS; may be empty.
    streets : GeoSeries of LineString
        The network, noded or not, same CRS; may be empty.

    Returns
    -------
    Ways

    Raises
    ------
    TopologyError
        If a CRS is missing, not in metres or another one, or three cells share one edge.
    """
    shapes = cells.to_numpy()
    roads = streets.to_numpy()
    one, two, length, open_m, wet = _measured(cells, barriers, streets)
    dry = ~wet[one] & ~wet[two]
    left, right = _pairs(one, two, open_m, len(shapes))[:2]
    shore, beside = _pairs(one, two, np.where(dry, 0.0, length), len(shapes))[:2]
    cell, over, landing = _bridges(shapes, wet, roads)
    both = wet[shore] & wet[beside]
    away = np.where(wet[shore], beside, shore)
    return Ways(
        cell=cell,
        left=np.concatenate([left, over]),
        right=np.concatenate([right, landing]),
        wet=wet,
        shore=np.concatenate([np.where(wet[shore], shore, beside), beside[both]]),
        beside=np.concatenate([away, shore[both]]),
    )


def open_borders(
    cells: gpd.GeoSeries, barriers: gpd.GeoSeries, streets: gpd.GeoSeries
) -> tuple[Adjacency, Adjacency, Flags]:
    """Return how many metres of border two cells share that nothing closes.

    Parameters
    ----------
    cells, barriers, streets : GeoSeries
        As for `ways`.

    Returns
    -------
    dry : Adjacency
        Pairs of cells of land, and the open length of their border.
    shores : Adjacency
        Pairs of which one at least is a cell of water, and the whole length of their border.
    wet : ndarray of bool, shape (n,)
        Cells of water.

    Raises
    ------
    TopologyError
        As `ways`.
    """
    one, two, length, open_m, wet = _measured(cells, barriers, streets)
    dry = ~wet[one] & ~wet[two]
    size = len(wet)
    shores = _pairs(one, two, np.where(dry, 0.0, length), size)
    return Adjacency(size, *_pairs(one, two, open_m, size)), Adjacency(size, *shores), wet


def _measured(
    cells: gpd.GeoSeries, barriers: gpd.GeoSeries, streets: gpd.GeoSeries
) -> tuple[Ints, Ints, Floats, Floats, Flags]:
    """Return the cells of each shared edge, its length, how much of it is open, and what is wet."""
    crs = require_metres(cells.crs)
    if any(len(other) and require_metres(other.crs) != crs for other in (barriers, streets)):
        raise TopologyError("Cells, barriers and streets have different reference systems.")
    shapes = cells.to_numpy()
    edges = uncrowded(shared_edges(shapes))
    one, two = edges.owner[edges.left], edges.owner[edges.right]
    ends = np.stack([edges.xy[edges.tail[edges.left]], edges.xy[edges.head[edges.left]]], axis=1)
    length = np.hypot(*(ends[:, 0] - ends[:, 1]).T)
    parts = shapely.get_parts(barriers.to_numpy())
    area = shapely.get_dimensions(parts) == 2
    lines, water = parts[~area], _tiled(parts[area])
    roads = streets.to_numpy()
    wet = _wet(shapes, water)
    dry = ~wet[one] & ~wet[two]
    closed = np.zeros(len(one))
    closed[dry] = _closed_by_lines(ends[dry], lines, roads)
    closed[dry] += _closed_by_water(ends[dry], water, roads)
    open_m = np.where(dry, np.maximum(length - closed, 0.0), 0.0)
    return one, two, length, open_m, wet


def parts_of(labels: pd.Series[Any], found: Ways) -> pd.Series[int]:
    """Count the parts of each grid that one cannot walk between inside the grid.

    Water is no part of its own where it lies beside the grid's land; a grid of water alone has as
    many parts as its water.

    Parameters
    ----------
    labels : Series, shape (n,)
        Grid of each cell, in the order of the cells that `found` was made from; rows without a
        label are left out.
    found : Ways

    Returns
    -------
    Series of int
        Number of parts by label, sorted.

    Raises
    ------
    TopologyError
        If the two do not have the same number of cells.
    """
    if len(labels) != len(found.wet):
        message = f"{len(labels)} labels for {len(found.wet)} cells."
        raise TopologyError(message, labels=len(labels), cells=len(found.wet))
    codes, names = pd.factorize(labels, sort=True)
    part = _joined(codes[found.cell], found.left, found.right)[: len(codes)]
    own = codes[found.shore] == codes[found.beside]
    pool = _joined(codes, found.shore[own], found.beside[own])
    has_land = np.zeros(len(codes), dtype=bool)
    has_land[pool[~found.wet]] = True
    alone = found.wet & ~has_land[pool]
    told = pd.DataFrame({"label": codes, "part": np.where(alone, -1 - pool, part)})
    told = told[(codes >= 0) & (~found.wet | alone)].drop_duplicates()
    counts = np.bincount(told["label"], minlength=len(names))
    return pd.Series(counts, index=pd.Index(names, name="label"), name="parts", dtype="int64")


def net_parts(
    cells: gpd.GeoSeries, paths: pd.DataFrame, barriers: gpd.GeoSeries, streets: gpd.GeoSeries
) -> pd.Series[int]:
    """Count the parts of every grid of a net: of its leaves on foot, of those above on the ground.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
        A valid coverage, projected CRS in metres.
    paths : DataFrame, shape (n, 6)
        The grid of each cell at each level from the top, in the order of `cells`; NA below its
        leaf, and where a cell lies in no grid.
    barriers, streets : GeoSeries
        As for `ways`.

    Returns
    -------
    Series of int
        Number of parts by grid.

    Raises
    ------
    TopologyError
        As `ways`.
    """
    neighbours = adjacency(cells)
    leaf = paths.iloc[:, 0]
    for place in range(1, paths.shape[1]):  # a fill of rows of nullable integers costs seconds
        leaf = paths.iloc[:, place].combine_first(leaf)
    leaves = set(leaf.dropna().unique().tolist())
    found = [parts_of(leaf, ways(cells, barriers, streets))]
    for column in paths.columns:
        above = paths[column].where(~paths[column].isin(leaves))
        if above.notna().any():
            found.append(
                contiguous_parts(above.fillna(0), neighbours).counts.drop(0, errors="ignore")
            )
    return pd.concat(found).rename_axis("grid_id").rename("parts").astype("int64")


def _joined(codes: Ints, left: Ints, right: Ints) -> Ints:
    """Give the nodes that are joined within one label one number."""
    inside = codes[left] == codes[right]
    size = len(codes)
    pairs = (left[inside], right[inside])
    graph = coo_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(size, size))
    groups: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def _pairs(one: Ints, two: Ints, length_m: Floats, size: int) -> tuple[Ints, Ints, Floats]:
    """Return the pairs of cells whose borders add up to enough to join, and these sums."""
    key = np.minimum(one, two) * np.int64(max(size, 1)) + np.maximum(one, two)
    pairs, inverse = np.unique(key, return_inverse=True)
    total = np.bincount(inverse, weights=length_m, minlength=len(pairs))
    joins = total >= JOINING_BORDER_M - SUM_SLACK_M
    left, right = np.divmod(pairs[joins], max(size, 1))
    return left, right, np.asarray(total[joins], dtype=np.float64)


def _tiled(areas: Array) -> Array:
    """Cut large areas into squares, so that what lies in them is found without walking far."""
    if len(areas) == 0:
        return areas
    pieces = []
    for area in shapely.get_parts(shapely.union_all(areas)):
        low = np.floor(np.array(area.bounds[:2]) / TILE_M).astype(int)
        high = np.floor(np.array(area.bounds[2:]) / TILE_M).astype(int)
        for column in range(low[0], high[0] + 1):
            strip = shapely.clip_by_rect(
                area, column * TILE_M, area.bounds[1], (column + 1) * TILE_M, area.bounds[3]
            )
            for row in range(low[1], high[1] + 1):
                x, y = column * TILE_M, row * TILE_M
                pieces.append(shapely.clip_by_rect(strip, x, y, x + TILE_M, y + TILE_M))
    parts = shapely.get_parts(np.array(pieces, dtype=object))
    return np.asarray(parts[shapely.area(parts) > 0])


def _wet(shapes: Array, water: Array) -> Flags:
    if len(water) == 0:
        return np.zeros(len(shapes), dtype=np.bool_)
    cell, piece = shapely.STRtree(water).query(shapes, predicate="intersects")
    under = shapely.area(shapely.intersection(shapes[cell], water[piece]))
    total = np.bincount(cell, weights=under, minlength=len(shapes))
    return np.asarray(total >= WET_SHARE * shapely.area(shapes))


def _closed_by_lines(ends: Floats, lines: Array, streets: Array) -> Floats:
    """Return how many metres of each border run along a line, gates left out."""
    closed = np.zeros(len(ends))
    if len(lines) == 0 or len(ends) == 0:
        return closed
    points, line = shapely.get_coordinates(lines, return_index=True)
    begins = np.flatnonzero(line[:-1] == line[1:])
    pieces = shapely.linestrings(np.stack([points[begins], points[begins + 1]], axis=1))
    piece, edge = _near(pieces, ends)
    if len(edge) == 0:
        return closed
    along = shapely.intersection(
        shapely.linestrings(ends[edge]), shapely.buffer(pieces[piece], TOUCH_M)
    )
    serious = np.unique(line[begins[piece[shapely.length(along) > ALONG_M]]])
    if len(serious) == 0:
        return closed
    kept = np.isin(line[begins[piece]], serious)
    gates = shapely.buffer(_crossings(lines[serious], streets), GATE_M)
    along = shapely.difference(along[kept], shapely.union_all(gates))
    np.add.at(closed, edge[kept], shapely.length(along))
    return closed


def _near(pieces: Array, ends: Floats) -> tuple[Ints, Ints]:
    """Return which pieces of line lie on which borders."""
    low = np.minimum(ends[:, 0], ends[:, 1]) - TOUCH_M
    high = np.maximum(ends[:, 0], ends[:, 1]) + TOUCH_M
    reach = shapely.box(*low.T, *high.T)
    hit = np.unique(shapely.STRtree(reach).query(pieces, predicate="intersects")[1])
    borders = shapely.linestrings(ends[hit])
    piece, border = shapely.STRtree(borders).query(pieces, predicate="dwithin", distance=TOUCH_M)
    return piece, hit[border]


def _crossings(lines: Array, streets: Array) -> Array:
    """Return the places where a street leads from one side of a line to another."""
    if len(streets) == 0:
        return np.array([], dtype=object)
    tree = shapely.STRtree(streets)
    line, street = tree.query(lines, predicate="dwithin", distance=TOUCH_M)
    meets = shapely.get_parts(
        shapely.intersection(streets[street], shapely.buffer(lines[line], TOUCH_M))
    )
    places = np.concatenate(
        [shapely.line_interpolate_point(meets, share, normalized=True) for share in (0, 0.5, 1)]
    )
    _, first = np.unique(np.round(shapely.get_coordinates(places)), axis=0, return_index=True)
    along = shapely.STRtree(lines)
    return np.array(
        [place for place in places[first] if _leads_across(place, along, tree)], dtype=object
    )


def _leads_across(place: Any, lines: shapely.STRtree, streets: shapely.STRtree) -> bool:
    """Say whether streets that meet at a place lead to two sides of the lines there."""
    disc = shapely.buffer(place, GATE_M)
    bars = lines.geometries[lines.query(disc, predicate="intersects")]
    bars = shapely.intersection(shapely.union_all(bars), shapely.buffer(place, GATE_M + 1.0))
    ring = shapely.union_all([shapely.boundary(disc), bars])
    sides = shapely.get_parts(shapely.polygonize(shapely.get_parts(ring)))
    met = streets.query(place, predicate="dwithin", distance=2 * TOUCH_M)
    legs = shapely.get_parts(shapely.intersection(streets.geometries[met], disc))
    legs = legs[shapely.dwithin(legs, place, 2 * TOUCH_M)]
    legs = shapely.difference(shapely.union_all(legs), shapely.buffer(bars, TOUCH_M))
    return int((shapely.length(shapely.intersection(sides, legs)) >= LEG_M).sum()) >= 2


def _closed_by_water(ends: Floats, water: Array, streets: Array) -> Floats:
    """Return how many metres of each border run through water, bridges left out."""
    closed = np.zeros(len(ends))
    if len(water) == 0 or len(ends) == 0:
        return closed
    piece, edge = _near(water, ends)
    inside = shapely.intersection(shapely.linestrings(ends[edge]), water[piece])
    wet = shapely.length(inside) > 0
    edge, inside = edge[wet], inside[wet]
    if len(edge) and len(streets):
        border, street = shapely.STRtree(streets).query(inside, predicate="intersects")
        over = shapely.intersection(inside[border], streets[street])
        gates = shapely.union_all(shapely.buffer(over, GATE_M))
        inside = shapely.difference(inside, gates)
    np.add.at(closed, edge, shapely.length(inside))
    return closed


def _bridges(shapes: Array, wet: Flags, streets: Array) -> tuple[Ints, Ints, Ints]:
    """Return the cell of each node, and pairs of a piece of bridge and what it is joined with."""
    nodes = np.arange(len(shapes))
    none = np.array([], dtype=np.int64)
    if not wet.any() or len(streets) == 0:
        return nodes, none, none
    pools, lands = np.flatnonzero(wet), np.flatnonzero(~wet)
    surface = shapely.get_parts(shapely.coverage_union_all(shapes[pools]))
    open_water = shapely.get_parts(shapely.buffer(surface, -TOUCH_M))
    pool, street = shapely.STRtree(streets).query(open_water, predicate="intersects")
    decks = shapely.get_parts(shapely.intersection(streets[street], open_water[pool]))
    decks = decks[shapely.length(decks) > 0]
    below, deck = shapely.STRtree(decks).query(shapes[pools], predicate="dwithin", distance=TOUCH_M)
    pieces, owner = shapely.get_parts(
        shapely.intersection(decks[deck], shapely.buffer(shapes[pools[below]], TOUCH_M)),
        return_index=True,
    )
    number = len(shapes) + np.arange(len(pieces))
    tree = shapely.STRtree(pieces)
    one, two = tree.query(pieces, predicate="dwithin", distance=TOUCH_M / 10)
    ends = np.concatenate([shapely.get_point(pieces, 0), shapely.get_point(pieces, -1)])
    reach = {"predicate": "dwithin", "distance": 2.5 * TOUCH_M}
    end, land = shapely.STRtree(shapes[lands]).query(ends, **reach)
    over = np.concatenate([number[one[one < two]], np.tile(number, 2)[end]])
    landing = np.concatenate([number[two[one < two]], lands[land]])
    return np.concatenate([nodes, pools[below[owner]]]), over, landing
