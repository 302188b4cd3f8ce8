"""A first net where nobody has drawn one: cells joined to grids of so many households.

It is a beginning to work on, deterministic and contiguous, and no more than that: who divides a
city in earnest weighs more than households and streets.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.barriers import ways
from geo.enclosures import absorbed
from geo.terms import JOINING_BORDER_M, StreetKind
from geo.topology import Adjacency, adjacency, shared_edges

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ACROSS: Final = {
    StreetKind.LOCAL: 0.3,
    StreetKind.COLLECTOR: 0.1,
    StreetKind.ARTERIAL: 0.03,
}
"""What a metre of border along a street counts when grids are joined; 1 where there is none."""
ACROSS_BARRIER: Final = 0.001
ON_STREET_M: Final = 1.0
FEW: Final = 0.25
"""Grids with less than this share of the households wanted may overfill their neighbour ..."""
OVERFULL: Final = 1.25
"""... up to this."""


@dataclass(frozen=True)
class Sizes:
    """Most households of a grid, and how many times that the levels above may have.

    Attributes
    ----------
    grid : int
    neighbourhood, district : int
        In grids.
    """

    grid: int = 300
    neighbourhood: int = 5
    district: int = 50


def first_net(
    cells: gpd.GeoSeries,
    households: NDArray[Any],
    streets: gpd.GeoDataFrame,
    barriers: gpd.GeoSeries,
    sizes: Sizes,
) -> pd.DataFrame:
    """Join cells into grids, these into neighbourhoods, these into districts.

    The one with fewest households is joined first, to the neighbour with the longest common border
    that leaves both together within the size; borders along streets count less, the more the larger
    the street. Blocks between streets stay whole where they are small enough. One can walk between
    all ground of a grid; water belongs to the ground beside it.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
        A valid coverage, projected CRS in metres.
    households : array-like, shape (n,)
    streets : GeoDataFrame
        Column `kind`; those between blocks.
    barriers : GeoSeries
        Rivers, water, railways; same CRS.
    sizes : Sizes

    Returns
    -------
    DataFrame of int, shape (n, 3)
        Columns `district`, `neighbourhood`, `grid`, numbered from 0, by cell.
    """
    count = np.asarray(households, dtype=np.float64)
    near = adjacency(cells, least_m=0.0)
    weight, on_street = _weights(cells, near, streets)
    roads = gpd.GeoSeries(streets.geometry.to_numpy(), crs=cells.crs)
    open_ways = ways(cells, barriers, roads)
    walked = _among(near, open_ways.left, open_ways.right, len(cells))
    block = _joined(count, near, np.where(walked & ~on_street, near.length_m, 0.0), sizes.grid)
    grid = _joined(count, near, np.where(walked, weight, 0.0), sizes.grid, begin=block)
    real = near.length_m >= JOINING_BORDER_M
    pairs = (near.left[real], near.right[real], near.length_m[real])
    into = absorbed(count, pairs, open_ways.wet)
    grid = _numbered(grid[into])
    net = {"grid": grid}
    below = np.where(walked, weight, ACROSS_BARRIER * near.length_m)
    below[~real] = 0.0
    under = grid
    for level, times in (("neighbourhood", sizes.neighbourhood), ("district", sizes.district)):
        net[level] = under = _joined(count, near, below, sizes.grid * times, begin=under)
    return pd.DataFrame(net, columns=["district", "neighbourhood", "grid"])


def _weights(
    cells: gpd.GeoSeries, near: Adjacency, streets: gpd.GeoDataFrame
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what the border of each pair counts, and whether most of it lies on a street."""
    edges = shared_edges(cells.to_numpy())
    one, two = edges.owner[edges.left], edges.owner[edges.right]
    ends = np.stack([edges.xy[edges.tail[edges.left]], edges.xy[edges.head[edges.left]]], axis=1)
    length = np.hypot(*(ends[:, 0] - ends[:, 1]).T)
    factor = np.ones(len(length))
    if len(streets):
        middle = shapely.points(ends.mean(axis=1))
        tree = shapely.STRtree(streets.geometry.to_numpy())
        at, which = tree.query_nearest(middle, max_distance=ON_STREET_M, all_matches=False)
        kinds = streets["kind"].to_numpy()[which]
        factor[at] = [ACROSS.get(StreetKind(kind), 1.0) for kind in kinds]
    size = np.int64(len(cells))
    key = np.minimum(one, two) * size + np.maximum(one, two)
    wanted = near.left * size + near.right
    place = np.searchsorted(wanted, key)
    weight = np.bincount(place, weights=length * factor, minlength=len(wanted)).astype(np.float64)
    street = np.bincount(place, weights=length * (factor < 1.0), minlength=len(wanted))
    return weight, street > 0.5 * near.length_m


def _among(near: Adjacency, left: Ints, right: Ints, size: int) -> NDArray[np.bool_]:
    """Return which pairs of neighbours stand in another list of pairs."""
    cells = (left < size) & (right < size)
    one, two = left[cells], right[cells]
    key = np.minimum(one, two) * np.int64(size) + np.maximum(one, two)
    return np.isin(near.left * np.int64(size) + near.right, key)


def _joined(
    count: Floats, near: Adjacency, wish: Floats, most: float, begin: Ints | None = None
) -> Ints:
    """Join pieces up to `most`, then let those with few go into neighbours that are nearly full."""
    start = np.arange(len(count)) if begin is None else begin
    whole = _smallest_first(count, near, wish, start, lambda a, b: a + b <= most)
    return _smallest_first(
        count,
        near,
        wish,
        whole,
        lambda a, b: a < FEW * most and a + b <= OVERFULL * most,
    )


def _smallest_first(
    count: Floats,
    near: Adjacency,
    wish: Floats,
    begin: Ints,
    fits: Callable[[float, float], bool],
) -> Ints:
    """Join the smallest piece to the neighbour most wished for that fits, as long as any does."""
    begin = _numbered(begin)
    total = np.bincount(begin, weights=count).tolist()
    beside: list[dict[int, float]] = [{} for _ in total]
    pairs = zip(begin[near.left].tolist(), begin[near.right].tolist(), wish.tolist(), strict=True)
    for one, two, wanted in pairs:
        if one != two and wanted > 0.0:
            beside[one][two] = beside[two][one] = beside[one].get(two, 0.0) + wanted
    parent = list(range(len(total)))
    heap = [(size, piece) for piece, size in enumerate(total)]
    heapq.heapify(heap)
    while heap:
        size, piece = heapq.heappop(heap)
        if parent[piece] != piece or size != total[piece]:
            continue
        able = [other for other in beside[piece] if fits(size, total[other])]
        if not able:
            continue
        keeper = max(able, key=lambda other: (beside[piece][other], -total[other], -other))
        parent[piece] = keeper
        total[keeper] += size
        for other, wanted in beside[piece].items():
            del beside[other][piece]
            if other != keeper:
                both = beside[keeper].get(other, 0.0) + wanted
                beside[keeper][other] = beside[other][keeper] = both
        beside[piece] = {}
        heapq.heappush(heap, (total[keeper], keeper))
    return _numbered(np.array([_root(parent, piece) for piece in begin.tolist()], dtype=np.int64))


def _root(parent: list[int], piece: int) -> int:
    while parent[piece] != piece:
        parent[piece] = parent[parent[piece]]
        piece = parent[piece]
    return piece


def _numbered(labels: Ints) -> Ints:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
