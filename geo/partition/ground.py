"""Cells of a coverage as a graph: barriers cut it, water joins nobody, compounds are one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.barriers import open_borders
from geo.partition.graph import CellGraph, cell_graph, components
from geo.topology import Adjacency, adjacency, shared_edges, uncrowded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ALONG_M = 1.0
"""Farthest that a border may lie from a line along which it runs."""


@dataclass(frozen=True)
class Ground:
    """Cells as they are divided.

    Attributes
    ----------
    graph : CellGraph
        Its nodes are cells, or whole compounds; water is none of them.
    node : ndarray of int, shape (n,)
        Node of each cell, -1 for water.
    shores : Adjacency
        Borders of cells of water with any cells, positions of cells.
    parent : ndarray of int, shape (n,)
        Parent of each cell.
    torn : int
        Groups that were to be kept whole and lie in pieces that do not touch.
    """

    graph: CellGraph
    node: Ints
    shores: Adjacency
    parent: Ints
    torn: int

    def labels(self, parts: Ints) -> Ints:
        """Return the part of each cell; water goes to the part beside it with most border.

        Parameters
        ----------
        parts : ndarray of int, shape (nodes,)
            Part of each node.

        Returns
        -------
        ndarray of int, shape (n,)
            Water of a parent without land is a part of its own.
        """
        found = np.where(self.node >= 0, parts[np.maximum(self.node, 0)], -1)
        pairs = np.concatenate(
            [
                np.stack([self.shores.left, self.shores.right], axis=1),
                np.stack([self.shores.right, self.shores.left], axis=1),
            ]
        )
        length = np.tile(self.shores.length_m, 2)
        inside = self.parent[pairs[:, 0]] == self.parent[pairs[:, 1]]
        pairs, length = pairs[inside], length[inside]
        while True:
            open_ = (found[pairs[:, 0]] < 0) & (found[pairs[:, 1]] >= 0)
            if not open_.any():
                break
            water, part = pairs[open_, 0], found[pairs[open_, 1]]
            key, inverse = np.unique(np.stack([water, part], axis=1), axis=0, return_inverse=True)
            border = np.bincount(inverse.ravel(), weights=length[open_])
            order = np.lexsort((key[:, 1], -border, key[:, 0]))
            first = np.unique(key[order, 0], return_index=True)[1]
            found[key[order[first], 0]] = key[order[first], 1]
        lost = np.flatnonzero(found < 0)
        if len(lost):
            own = np.unique(self.parent[lost], return_inverse=True)[1]
            found[lost] = parts.max(initial=-1) + 1 + own
        return found


def ground_of(
    cells: gpd.GeoSeries,
    weight: Floats,
    parent: Ints,
    *,
    barriers: gpd.GeoSeries | None = None,
    streets: gpd.GeoSeries | None = None,
    whole: Ints | None = None,
) -> Ground:
    """Return cells as a graph to be divided.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
        A valid coverage, projected CRS in metres.
    weight : ndarray of float, shape (n,) or (n, measures)
    parent : ndarray of int, shape (n,)
    barriers, streets : GeoSeries, optional
        Same CRS. Streets open barriers where they cross.
    whole : ndarray of int, shape (n,), optional
        Compound of each cell, -1 for none: its cells stay together as far as they touch.

    Returns
    -------
    Ground

    Raises
    ------
    TopologyError
        If a CRS is missing, not in metres or another one, or three cells share one edge.
    InvalidInputError
        For weights below 0.
    """
    none = np.array([], dtype=np.int64)
    if barriers is None or barriers.empty:
        dry = adjacency(cells)
        shores = Adjacency(len(cells), none, none, np.array([], dtype=np.float64))
        wet = np.zeros(len(cells), dtype=np.bool_)
    else:
        roads = gpd.GeoSeries([], crs=cells.crs) if streets is None else streets
        dry, shores, wet = open_borders(cells, barriers, roads)
    heavy = np.asarray(weight, dtype=np.float64).reshape(len(cells), -1)
    wet &= ~(heavy > 0).any(axis=1)  # a houseboat is a home
    inside = parent[dry.left] == parent[dry.right]
    left, right, length = dry.left[inside], dry.right[inside], dry.length_m[inside]
    node, torn = _nodes(len(cells), left, right, parent, whole)
    own = np.full(len(cells), -1, dtype=np.int64)
    kept = np.unique(node[~wet])
    own[~wet] = np.searchsorted(kept, node[~wet])
    count = len(kept)
    a, b = own[left], own[right]
    across = (a != b) & (a >= 0) & (b >= 0)
    key = np.minimum(a, b)[across] * max(count, 1) + np.maximum(a, b)[across]
    pairs, inverse = np.unique(key, return_inverse=True)
    lengths = np.zeros(len(pairs))
    np.add.at(lengths, inverse, length[across])
    loads = np.zeros((count, heavy.shape[1]))
    np.add.at(loads, own[~wet], heavy[~wet])
    above = np.zeros(count, dtype=np.int64)
    above[own[~wet]] = parent[~wet]
    graph = cell_graph(loads, pairs // max(count, 1), pairs % max(count, 1), lengths, above)
    return Ground(graph, own, shores, parent, torn)


def _nodes(
    size: int, left: Ints, right: Ints, parent: Ints, whole: Ints | None
) -> tuple[Ints, int]:
    """Return the node of each cell, and how many compounds lie in several pieces."""
    if whole is None:
        return np.arange(size), 0
    same = (whole[left] == whole[right]) & (whole[left] >= 0)
    node = components(size, left[same], right[same])
    named = whole >= 0
    pieces = np.unique(np.stack([whole[named], parent[named], node[named]], axis=1), axis=0)
    count = np.unique(pieces[:, 0], return_counts=True)[1]
    return node, int((count > 1).sum())


def areas_of(cells: gpd.GeoSeries, areas: gpd.GeoSeries) -> tuple[Ints, Flags]:
    """Return the area in which each cell lies, by a point inside the cell.

    Parameters
    ----------
    cells, areas : GeoSeries
        One CRS.

    Returns
    -------
    area : ndarray of int, shape (n,)
        Position in `areas`, the first of several; -1 outside all.
    across : ndarray of bool, shape (n,)
        Cells of which more than a hundredth lies elsewhere.
    """
    shapes: Any = cells.to_numpy()
    ground: Any = areas.to_numpy()
    found = np.full(len(shapes), -1, dtype=np.int64)
    tree = shapely.STRtree(ground)
    cell, area = tree.query(shapely.point_on_surface(shapes), predicate="intersects")
    order = np.lexsort((area, cell))
    first = np.unique(cell[order], return_index=True)[1]
    found[cell[order[first]]] = area[order[first]]
    within = np.flatnonzero(found >= 0)
    held = shapely.area(shapely.intersection(shapes[within], ground[found[within]]))
    across = np.zeros(len(shapes), dtype=np.bool_)
    across[within] = held < 0.99 * shapely.area(shapes[within])
    return found, across


def borders_along(cells: gpd.GeoSeries, lines: gpd.GeoSeries, *, near_m: float = ALONG_M) -> Ints:
    """Return the pairs of cells whose shared border runs along lines.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
        A valid coverage, projected CRS in metres.
    lines : GeoSeries
        Lines, or areas whose outlines count; same CRS.
    near_m : float, default 1.0
        Farthest that a border may lie from a line.

    Returns
    -------
    ndarray of int, shape (k, 2)
        Positions in `cells`; at least half of each border lies along the lines.
    """
    edges = uncrowded(shared_edges(cells.to_numpy()))
    tail, head = edges.xy[edges.tail[edges.left]], edges.xy[edges.head[edges.left]]
    shapes: Any = lines.to_numpy()
    flat = np.where(shapely.get_dimensions(shapes) == 2, shapely.boundary(shapes), shapes)
    tree = shapely.STRtree(flat)
    along = np.ones(len(tail), dtype=np.bool_)
    for place in (tail, head, (tail + head) / 2.0):
        near = tree.query(shapely.points(place), predicate="dwithin", distance=near_m)[0]
        along &= np.isin(np.arange(len(tail)), near)
    one, two = edges.owner[edges.left], edges.owner[edges.right]
    pair = np.stack([np.minimum(one, two), np.maximum(one, two)], axis=1)
    pairs, inverse = np.unique(pair, axis=0, return_inverse=True)
    length = np.hypot(*(tail - head).T)
    whole = np.bincount(inverse.ravel(), weights=length, minlength=len(pairs))
    part = np.bincount(inverse.ravel(), weights=length * along, minlength=len(pairs))
    return np.asarray(pairs[part >= 0.5 * whole], dtype=np.int64)
