"""Morphological tessellation inside enclosures: the lines between buildings, noded with the rim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import Delaunay

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shapes = NDArray[Any]

STEP_M: Final = 0.01
"""Lines end on a rim at whole steps along its edge: both of its sides find the same places."""
STRAIGHT_M: Final = 0.12
"""How far a line between buildings may depart from the exact one, to have fewer vertices."""
MILLIMETRES: Final = 3
JITTER_M: Final = 0.002
"""Sites move by up to this, so that no four of a rectangle lie on one circle."""
FRAME: Final = 16
FAR: Final = 4.0
ON_RIM_M: Final = 0.002
"""What is nearer to a rim lies on it."""
NOISE_M: Final = 1e-7
CROSSED_M: Final = 0.2
"""A line that runs through a building for longer than this is led around it."""
NOWHERE: Final = -1


@dataclass(frozen=True)
class Enclosure:
    """Ground with two or more groups of buildings on it.

    Attributes
    ----------
    ground : Polygon
        Metres.
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
        What is to be kept apart, a little smaller than the buildings where these nearly touch.
    group : ndarray of int, shape (n,)
        Shapes of one group are not divided from one another.
    spacing_m : ndarray of float, shape (n,)
        Longest distance between two sites on the outline of each shape.
    close : ndarray of Polygon, shape (k,)
        Buildings that nearly touch others, whole, coordinates in whole millimetres; where they
        overlap the ground is that of the first.
    """

    ground: Any
    shapes: Shapes
    group: Ints
    spacing_m: Floats
    close: Shapes


@dataclass(frozen=True)
class Divided:
    """Lines that divide an enclosure, and where they end on its rim.

    Attributes
    ----------
    lines : ndarray of LineString, shape (k,)
        Noded: they meet at their ends only.
    edge : ndarray of float, shape (m, 4)
        Edge of the rim, lesser end first, on which each place lies.
    place : ndarray of float, shape (m, 2)
        Places to be put between the ends of those edges.
    """

    lines: Shapes
    edge: Floats
    place: Floats


def divide_all(enclosures: Sequence[Enclosure]) -> list[Divided]:
    """Divide enclosures; made to be run in a process of its own."""
    return [divide(enclosure) for enclosure in enclosures]


def divide(enclosure: Enclosure) -> Divided:
    """Return the lines between groups of buildings of one enclosure.

    Every place of the ground belongs to the group that is nearest to it (Fleischmann et al. 2020,
    "Morphological tessellation as a way of partitioning space"). Ends of lines on the rim depend
    on the edge they lie on and on nothing else, so that two enclosures with a common rim agree.

    Parameters
    ----------
    enclosure : Enclosure

    Returns
    -------
    Divided
        Without lines where there is one group only.
    """
    shapely.prepare(enclosure.ground)
    lines = _led_around(_between(enclosure), enclosure.close)
    lines = _clipped(lines, enclosure.ground)
    if len(lines) == 0:
        return Divided(lines, np.empty((0, 4)), np.empty((0, 2)))
    rim = rim_edges(shapely.get_rings(enclosure.ground))
    moved, edge, place = _on_steps(lines, rim)
    if shapely.is_simple(_together(moved, rim, edge, place)):
        return Divided(moved, edge, place)
    return _noded(moved, rim)


def rim_edges(rings: Shapes) -> Floats:
    """Return the distinct edges of rings as x, y, x, y with the lesser end first, shape (n, 4)."""
    places, ring = shapely.get_coordinates(rings, return_index=True)
    begins = np.flatnonzero(ring[:-1] == ring[1:])
    tail, head = places[begins], places[begins + 1]
    turned = (tail[:, 0] > head[:, 0]) | ((tail[:, 0] == head[:, 0]) & (tail[:, 1] > head[:, 1]))
    first = np.where(turned[:, None], head, tail)
    last = np.where(turned[:, None], tail, head)
    return np.asarray(np.unique(np.hstack([first, last]), axis=0))


def split_edges(rim: Floats, edge: Floats, place: Floats) -> Shapes:
    """Return the edges of a rim as lines of two points, split at the places on them.

    Parameters
    ----------
    rim : ndarray, shape (n, 4)
        Distinct edges as of `rim_edges`.
    edge : ndarray, shape (m, 4)
        Rows of `rim`, in any order, more than once.
    place : ndarray, shape (m, 2)
        A place on each edge; the same place may come several times.

    Returns
    -------
    ndarray of LineString
    """
    rows = np.unique(np.hstack([edge, place]), axis=0) if len(edge) else np.empty((0, 6))
    number = _positions(rim, rows[:, :4])
    along = np.hypot(*(rows[:, 4:] - rim[number, :2]).T)
    owner = np.concatenate([np.arange(len(rim)), number, np.arange(len(rim))])
    order = np.lexsort(
        (
            np.concatenate([np.full(len(rim), -1.0), along, np.full(len(rim), np.inf)]),
            owner,
        )
    )
    points = np.concatenate([rim[:, :2], rows[:, 4:], rim[:, 2:]])[order]
    owner = owner[order]
    begins = np.flatnonzero(owner[:-1] == owner[1:])
    return np.asarray(
        shapely.linestrings(np.stack([points[begins], points[begins + 1]], axis=1)), dtype=object
    )


def _positions(table: Floats, rows: Floats) -> Ints:
    """Return where in a table each row stands; all rows are in it."""
    _, inverse = np.unique(np.concatenate([table, rows]), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    where = np.empty(int(inverse.max(initial=-1)) + 1, dtype=np.int64)
    where[inverse[: len(table)]] = np.arange(len(table))
    return where[inverse[len(table) :]]


def _between(enclosure: Enclosure) -> Shapes:
    """Return the lines that are as far from one group as from another, simplified."""
    sites, group, origin = _sites(enclosure)
    mesh = Delaunay(sites)
    corners, beside = mesh.simplices, mesh.neighbors
    triangle = np.repeat(np.arange(len(corners)), 3)
    other = beside.ravel()
    one = group[corners[:, [1, 2, 0]].ravel()]
    two = group[corners[:, [2, 0, 1]].ravel()]
    apart = (one != two) & (one != NOWHERE) & (two != NOWHERE) & (triangle < other)
    middle = np.round(_circumcentres(sites[corners]) + origin, MILLIMETRES)
    ends = np.stack([middle[triangle[apart]], middle[other[apart]]], axis=1)
    ends = ends[(ends[:, 0] != ends[:, 1]).any(axis=1)]
    if len(ends) == 0:
        return np.empty(0, dtype=object)
    merged = shapely.line_merge(shapely.multilinestrings(shapely.linestrings(ends)))
    lines = shapely.simplify(shapely.get_parts(merged), STRAIGHT_M)
    return np.asarray(lines[shapely.length(lines) > 0], dtype=object)


def _sites(enclosure: Enclosure) -> tuple[Floats, Ints, Floats]:
    """Return places on the outlines, their groups, and what was taken off the coordinates."""
    dense = shapely.segmentize(enclosure.shapes, enclosure.spacing_m)
    places, owner = shapely.get_coordinates(dense, return_index=True)
    bounds = shapely.bounds(enclosure.ground)
    origin = np.floor(bounds[:2])
    whole = np.round((places - origin) / (2 * JITTER_M)).astype(np.int64)
    _, kept = np.unique(whole, axis=0, return_index=True)
    kept = np.sort(kept)
    moved = np.random.default_rng(0).uniform(-JITTER_M, JITTER_M, (len(kept), 2))
    sites = places[kept] - origin + moved
    low = np.minimum(sites.min(axis=0), bounds[:2] - origin)
    high = np.maximum(sites.max(axis=0), bounds[2:] - origin)
    reach = FAR * float(np.hypot(*(high - low)))
    turn = np.linspace(0.1, 0.1 + 2 * np.pi, FRAME, endpoint=False)
    frame = (low + high) / 2 + reach * np.column_stack([np.cos(turn), np.sin(turn)])
    group = np.concatenate([enclosure.group[owner[kept]], np.full(FRAME, NOWHERE)])
    return np.concatenate([sites, frame]), group, origin


def _circumcentres(triangles: Floats) -> Floats:
    """Return the middle of the circle through the corners of each triangle, shape (n, 3, 2)."""
    a = triangles[:, 0]
    b, c = triangles[:, 1] - a, triangles[:, 2] - a
    bb, cc = (b**2).sum(axis=1), (c**2).sum(axis=1)
    twice = 2.0 * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
    x = (c[:, 1] * bb - b[:, 1] * cc) / twice
    y = (b[:, 0] * cc - c[:, 0] * bb) / twice
    return np.asarray(a + np.column_stack([x, y]), dtype=np.float64)


def _led_around(lines: Shapes, close: Shapes) -> Shapes:
    """Return noded lines in which walls stand for what ran through buildings."""
    if len(lines) == 0 or len(close) == 0:
        return lines
    line, building = shapely.STRtree(close).query(lines, predicate="intersects")
    inside = shapely.length(shapely.intersection(lines[line], close[building]))
    crossed = close[np.bincount(building, inside, minlength=len(close)) > CROSSED_M]
    if len(crossed) == 0:
        return lines
    walls = shapely.boundary(crossed)
    outside = shapely.difference(shapely.multilinestrings(lines), shapely.union_all(crossed))
    pieces = shapely.get_parts(
        shapely.union_all(np.append(walls, outside), grid_size=10.0**-MILLIMETRES)
    )
    middle = shapely.line_interpolate_point(pieces, 0.5, normalized=True)
    at, holder = shapely.STRtree(crossed).query(middle, predicate="intersects")
    deep = shapely.distance(middle[at], walls[holder]) > ON_RIM_M
    at, holder = at[deep], holder[deep]
    owner = _wall_owner(middle, walls)[at]
    dropped = np.unique(at[(owner == NOWHERE) | (holder < owner)])
    return np.asarray(np.delete(pieces, dropped), dtype=object)


def _wall_owner(places: Shapes, walls: Shapes) -> Ints:
    """Return the first of the walls that each place is on, `NOWHERE` for none."""
    owner = np.full(len(places), NOWHERE, dtype=np.int64)
    at, wall = shapely.STRtree(walls).query(places, predicate="dwithin", distance=ON_RIM_M)
    order = np.lexsort((-wall, at))
    owner[at[order]] = wall[order]
    return owner


def _clipped(lines: Shapes, ground: Any) -> Shapes:
    """Return what of the lines lies on the ground, lines through its rim cut there."""
    inside = shapely.contains_properly(ground, lines)
    crossing = ~inside & shapely.intersects(ground, lines)
    parts = shapely.get_parts(shapely.intersection(lines[crossing], ground))
    parts = shapely.get_parts(parts[shapely.get_type_id(parts) != 0])
    parts = parts[shapely.get_type_id(parts) == 1]
    along = shapely.distance(
        shapely.line_interpolate_point(parts, 0.5, normalized=True), shapely.boundary(ground)
    )
    return np.concatenate([lines[inside], parts[along > ON_RIM_M]])


def _on_steps(lines: Shapes, rim: Floats) -> tuple[Shapes, Floats, Floats]:
    """Move the ends of lines on the rim to whole steps; return lines, edges, places."""
    points, owner = shapely.get_coordinates(lines, return_index=True)
    first = np.searchsorted(owner, np.arange(len(lines)))
    last = np.append(first[1:], len(owner)) - 1
    ends = np.concatenate([first, last])
    tree = shapely.STRtree(shapely.linestrings(rim.reshape(-1, 2, 2)))
    at, number = tree.query_nearest(
        shapely.points(points[ends]), max_distance=ON_RIM_M, all_matches=False
    )
    edge = rim[number]
    place, new = _stepped(points[ends[at]], edge)
    points[ends[at]] = place
    moved = _linestrings(points, owner)
    middle = shapely.line_interpolate_point(moved, 0.5, normalized=True)
    along = np.unique(tree.query_nearest(middle, max_distance=NOISE_M)[0])
    fallen = along[shapely.get_num_coordinates(moved[along]) == 2]
    return np.delete(moved, fallen), edge[new], place[new]


def _linestrings(points: Floats, owner: Ints) -> Shapes:
    """Build lines; repeated points are left out, and lines of one point."""
    fresh = np.ones(len(points), dtype=np.bool_)
    fresh[1:] = (points[1:] != points[:-1]).any(axis=1) | (owner[1:] != owner[:-1])
    points, owner = points[fresh], owner[fresh]
    count = np.bincount(owner)
    kept = count[owner] > 1
    _, number = np.unique(owner[kept], return_inverse=True)
    return np.asarray(shapely.linestrings(points[kept], indices=number), dtype=object)


def _stepped(places: Floats, edge: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the nearest whole step on the edge of each place, and which are not its ends."""
    begin, end = edge[:, :2], edge[:, 2:]
    length = np.hypot(*(end - begin).T)
    along = ((places - begin) * (end - begin)).sum(axis=1) / length
    steps = np.round(along / STEP_M)
    place = begin + (steps * STEP_M / length)[:, None] * (end - begin)
    at_begin = steps < 1
    at_end = ~at_begin & (steps > np.floor(length / STEP_M) - 1)
    short = length < 2 * STEP_M
    at_begin = np.where(short, along < length / 2, at_begin)
    at_end = np.where(short, ~at_begin, at_end)
    place = np.where(at_begin[:, None], begin, np.where(at_end[:, None], end, place))
    return place, ~(at_begin | at_end)


def _together(lines: Shapes, rim: Floats, edge: Floats, place: Floats) -> Any:
    """Return lines and rim as one shape that is simple only where they meet at ends alone."""
    closed = shapely.is_closed(lines)
    halves = [lines[~closed]]
    for ring in lines[closed]:
        points = shapely.get_coordinates(ring)
        middle = len(points) // 2
        halves.append(
            np.array(
                [shapely.LineString(points[: middle + 1]), shapely.LineString(points[middle:])]
            )
        )
    return shapely.multilinestrings(np.concatenate([*halves, split_edges(rim, edge, place)]))


def _noded(lines: Shapes, rim: Floats) -> Divided:
    """Node lines with the rim where moved ends made them cross: places stay where they fall."""
    rim_lines = shapely.linestrings(rim.reshape(-1, 2, 2))
    pieces = shapely.get_parts(shapely.union_all(np.concatenate([lines, rim_lines])))
    tree = shapely.STRtree(rim_lines)
    middle = shapely.line_interpolate_point(pieces, 0.5, normalized=True)
    along = np.unique(tree.query_nearest(middle, max_distance=NOISE_M)[0])
    inner = np.delete(pieces, along)
    ends = shapely.get_coordinates(pieces[along])
    vertices = np.concatenate([rim[:, :2], rim[:, 2:]])
    known = np.isin(_complex(ends), _complex(vertices))
    new = np.unique(ends[~known], axis=0)
    at, number = tree.query_nearest(shapely.points(new), all_matches=False)
    return Divided(inner, rim[number], new[at])


def _complex(points: Floats) -> NDArray[np.complex128]:
    return np.ascontiguousarray(points + 0.0).view(np.complex128).ravel()
