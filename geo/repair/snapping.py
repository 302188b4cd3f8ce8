"""Vertices that nearly meet become one, and borders get the vertices that neighbours have on them.

Only borders that do not match are touched: an edge that two areas share stays as it is, and so do
vertices of one area that are near each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from geo.repair.account import Shapes
from geo.repair.rings import made_valid
from geo.topology import shared_edges

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROUNDS: Final = 4
ON_LINE_M: Final = 1e-6
"""A vertex this near to a border lies on it, also where nothing is to be moved."""


@dataclass(frozen=True)
class Snapped:
    """Shapes after snapping, and where vertices moved and came new.

    Attributes
    ----------
    shapes : ndarray, shape (n,)
    moved : list of tuple
        Position of the shape, place before, distance in metres.
    added : list of tuple
        Position of the shape, place of the vertex that it got.
    """

    shapes: Shapes
    moved: list[tuple[int, tuple[float, float], float]]
    added: list[tuple[int, tuple[float, float]]]


@dataclass(frozen=True)
class _Borders:
    """All vertices of shapes in one array, and which edges no second shape has."""

    parts: Shapes
    part_owner: Ints
    xy: Floats
    ring_ends: Ints
    part_ends: Ints
    vertex: Ints
    places: Floats
    owners: csr_array
    begins: Ints
    tail: Ints
    head: Ints
    edge_owner: Ints
    single: Ints


def snapped(shapes: Shapes, chosen: Ints, snap_m: float, origin: Floats) -> Snapped:
    """Join vertices nearer than `snap_m` and put neighbours' vertices into borders they lie on.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
        Valid, metres.
    chosen : ndarray of int
        Which of them are looked at: those that do not match, and their neighbours.
    snap_m : float
        No vertex moves further in one round; 0 moves none.
    origin : ndarray of float, shape (2,)

    Returns
    -------
    Snapped
        Shapes that were not touched are the same objects.
    """
    moved: list[tuple[int, tuple[float, float], float]] = []
    added: list[tuple[int, tuple[float, float]]] = []
    few = shapes[chosen]
    if len(few) == 0:
        return Snapped(shapes, moved, added)
    for _ in range(ROUNDS):
        before = len(moved), len(added)
        if snap_m > 0:
            few = _joined(few, snap_m, moved, origin)
        few = _noded(few, max(snap_m, ON_LINE_M), added, origin)
        if before == (len(moved), len(added)):
            break
    fresh, rows = shapes.copy(), chosen.tolist()
    fresh[chosen] = few
    return Snapped(
        fresh,
        [(rows[row], place, distance) for row, place, distance in moved],
        [(rows[row], place) for row, place in added],
    )


def _borders(shapes: Shapes) -> _Borders:
    plain = shapely.remove_repeated_points(shapely.orient_polygons(shapes), 0.0)
    edges = shared_edges(plain)
    parts, part_owner = shapely.get_parts(plain, return_index=True)
    _, xy, (ring_ends, part_ends) = shapely.to_ragged_array(parts)
    ring = np.repeat(np.arange(len(ring_ends) - 1), np.diff(ring_ends))
    begins = np.flatnonzero(ring[:-1] == ring[1:])
    vertex = np.empty(len(xy), dtype=np.int64)
    vertex[begins], vertex[begins + 1] = edges.tail, edges.head
    pairs = np.unique(np.column_stack([edges.tail, edges.owner]), axis=0)
    owners = csr_array(
        (np.ones(len(pairs), dtype=np.int64), (pairs[:, 0], pairs[:, 1])),
        shape=(len(edges.xy), len(shapes)),
    )
    return _Borders(
        parts=parts,
        part_owner=part_owner,
        xy=xy,
        ring_ends=ring_ends,
        part_ends=part_ends,
        vertex=vertex,
        places=edges.xy,
        owners=owners,
        begins=begins,
        tail=edges.tail,
        head=edges.head,
        edge_owner=edges.owner,
        single=edges.single,
    )


def _joined(
    shapes: Shapes,
    snap_m: float,
    moved: list[tuple[int, tuple[float, float], float]],
    origin: Floats,
) -> Shapes:
    """Move vertices of different shapes that are near each other to the one most shapes have."""
    at = _borders(shapes)
    ends = np.unique(np.concatenate([at.tail[at.single], at.head[at.single]]))
    if len(ends) == 0:
        return shapes
    near = cKDTree(at.places[ends]).query_pairs(snap_m, output_type="ndarray")
    pairs = ends[near.reshape(-1, 2)]
    common = np.asarray(at.owners[pairs[:, 0]].multiply(at.owners[pairs[:, 1]]).sum(axis=1)).ravel()
    uses = np.asarray(at.owners.sum(axis=1)).ravel()
    pairs = pairs[common < np.minimum(uses[pairs[:, 0]], uses[pairs[:, 1]])]
    if len(pairs) == 0:
        return shapes
    target = _targets(pairs, at.places, uses, snap_m)
    going = np.flatnonzero(target != np.arange(len(target)))
    distance = np.hypot(*(at.places[target[going]] - at.places[going]).T)
    table = at.owners[going].tocoo()
    for row, owner in zip(table.row.tolist(), table.col.tolist(), strict=True):
        x, y = at.places[going[row]].tolist()
        moved.append((int(owner), (x, y), float(distance[row])))
    touched = np.unique(table.col)
    return _rebuilt(shapes, at, touched, at.places[target[at.vertex]], at.ring_ends, origin)


def _targets(pairs: Ints, places: Floats, uses: Ints, snap_m: float) -> Ints:
    """Return for each vertex the one that it becomes: the most used of its group, if near."""
    size = len(places)
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), (size, size))
    among = np.unique(pairs)
    group = connected_components(graph, directed=False)[1][among]
    order = np.lexsort((among, -uses[among], group))
    leads = among[order[np.unique(group[order], return_index=True)[1]]]
    lead = leads[np.unique(group, return_inverse=True)[1]]
    target = np.arange(size)
    near = np.hypot(*(places[lead] - places[among]).T) <= snap_m
    target[among[near]] = lead[near]
    return target


def _noded(
    shapes: Shapes, reach_m: float, added: list[tuple[int, tuple[float, float]]], origin: Floats
) -> Shapes:
    """Put vertices that lie on a neighbour's border into that border."""
    at = _borders(shapes)
    if len(at.single) == 0:
        return shapes
    lines = shapely.linestrings(at.places[np.column_stack([at.tail, at.head])[at.single]])
    ends = np.unique(np.concatenate([at.tail[at.single], at.head[at.single]]))
    points = shapely.points(at.places[ends])
    which, line = shapely.STRtree(lines).query(points, predicate="dwithin", distance=reach_m)
    vertex, edge = ends[which], at.single[line]
    own = at.owners.tocoo()
    foreign = ~np.isin(
        vertex * len(shapes) + at.edge_owner[edge], own.row * np.int64(len(shapes)) + own.col
    )
    along = at.places[at.head[edge]] - at.places[at.tail[edge]]
    offset = at.places[vertex] - at.places[at.tail[edge]]
    share = (along * offset).sum(axis=1) / (along * along).sum(axis=1)
    chosen = np.flatnonzero(foreign & (share > 0) & (share < 1))
    if len(chosen) == 0:
        return shapes
    position, vertex, share = at.begins[edge[chosen]], vertex[chosen], share[chosen]
    order = np.lexsort((share, position))
    position, vertex = position[order], vertex[order]
    xy = np.insert(at.xy, position + 1, at.places[vertex], axis=0)
    ring_ends = at.ring_ends + np.searchsorted(position + 1, at.ring_ends, side="left")
    owners = at.edge_owner[edge[chosen]][order]
    for owner, place in zip(owners.tolist(), at.places[vertex].tolist(), strict=True):
        added.append((int(owner), (place[0], place[1])))
    return _rebuilt(shapes, at, np.unique(owners), xy, ring_ends, origin)


def _rebuilt(
    shapes: Shapes, at: _Borders, touched: Ints, xy: Floats, ring_ends: Ints, origin: Floats
) -> Shapes:
    """Return the shapes with the touched ones made of new coordinates; none may vanish."""
    parts = shapely.from_ragged_array(shapely.GeometryType.POLYGON, xy, (ring_ends, at.part_ends))
    parts = shapely.remove_repeated_points(parts, 0.0)
    first = np.searchsorted(at.part_owner, touched)
    after = np.searchsorted(at.part_owner, touched, side="right")
    fresh = shapes.copy()
    made: list[Any] = [
        parts[begin] if end == begin + 1 else shapely.multipolygons(parts[begin:end])
        for begin, end in zip(first.tolist(), after.tolist(), strict=True)
    ]
    made_array = np.empty(len(made), dtype=object)
    made_array[:] = made
    made_array = made_valid(made_array, origin)
    standing = ~shapely.is_empty(made_array)
    fresh[touched[standing]] = made_array[standing]
    return fresh
