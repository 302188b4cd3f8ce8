"""Where a line parts cells: along their borders nearby, or by the side that most of a cell lies on.

Every function takes the cells of some grids, a valid coverage in metres, and gives cells back: no
border is drawn here. To cut cells along a line see `geo.cutline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra

from geo.crs import WGS84_SRID, local_origin, require_metres
from geo.cutline import MOST_CORNERS
from geo.errors import InvalidInputError
from geo.saying import phrase
from geo.topology import Edges, adjacency, shared_edges, uncrowded

REACH_M: Final = 30.0
"""A line that ends nearer than this to the border of the ground is prolonged to it."""
BESIDE_M: Final = 0.01
"""How far beside the line one looks for the ground to its left and right."""
ON_LINE_M: Final = 1e-6
BEYOND_M: Final = 0.2
"""How far a line is led beyond the outline: less than what lies on it when cells are cut."""
NEAREST_M: Final = 5.0
"""Least distance at which a border counts as twice as far to go."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def line_of(value: Any, crs: Any) -> shapely.LineString:
    """Return a GeoJSON line in a metre CRS.

    Parameters
    ----------
    value : mapping
        ``{"type": "LineString", "coordinates": [[lon, lat], ...]}``.
    crs : CRS in metres

    Raises
    ------
    InvalidInputError
        If it is no line of 2 to 500 places on the Earth; `field` is `line`.
    """
    wrong = phrase("'line' is a GeoJSON LineString of 2 to %(most)s places.", most=MOST_CORNERS)
    kind = value.get("type") if isinstance(value, Mapping) else None
    places = value.get("coordinates") if kind == "LineString" else None
    if not isinstance(places, list) or not 2 <= len(places) <= MOST_CORNERS:
        raise InvalidInputError(wrong, field="line")
    sound = all(
        isinstance(one, list)
        and len(one) == 2
        and all(isinstance(x, int | float) and not isinstance(x, bool) for x in one)
        for one in places
    )
    if not sound:
        raise InvalidInputError(wrong, field="line")
    degrees = np.array(places, dtype=float)
    if not (np.isfinite(degrees).all() and (np.abs(degrees) <= (180, 90)).all()):
        raise InvalidInputError(wrong, field="line")
    metres = np.column_stack(_forth(require_metres(crs)).transform(*degrees.T))
    if not np.isfinite(metres).all() or len(np.unique(metres, axis=0)) < 2:
        raise InvalidInputError(wrong, field="line")
    line = shapely.LineString(metres)
    if not line.is_simple:
        raise InvalidInputError(phrase("The line crosses itself."), field="line")
    return line


@lru_cache(maxsize=16)
def _forth(crs: CRS) -> Transformer:
    return Transformer.from_crs(WGS84_SRID, crs, always_xy=True)


def reaching(cells: gpd.GeoSeries, line: shapely.LineString) -> shapely.LineString:
    """Return the line, each end that lies inside the cells led out of them by the shortest way.

    Raises
    ------
    InvalidInputError
        If an end lies farther inside than `REACH_M`; `at` is its place in the CRS of the cells.
    """
    ground = shapely.coverage_union_all(cells.to_numpy())
    outline = shapely.boundary(ground)
    xy = shapely.get_coordinates(line)
    walk = [*xy]
    for tip, before, at in ((xy[0], xy[1], 0), (xy[-1], xy[-2], len(xy) + 1)):
        point = shapely.Point(tip)
        if shapely.distance(ground, point) > ON_LINE_M:
            continue
        way = shapely.shortest_line(point, outline)
        if shapely.length(way) > REACH_M:
            message = phrase(
                "The line ends inside the ground, %(length)s m from its edge.",
                length=f"{shapely.length(way):.0f}",
            )
            raise InvalidInputError(message, field="line", at=[float(x) for x in tip])
        edge = shapely.get_coordinates(way)[1]
        ahead = edge - tip if shapely.length(way) > ON_LINE_M else tip - before
        walk.insert(at, _out_of(ground, edge, ahead))
    return shapely.LineString(walk)


def _out_of(ground: Any, edge: Floats, ahead: Floats) -> Floats:
    """Return a place just outside the ground, as straight ahead from a place on its outline."""
    straight = np.arctan2(ahead[1], ahead[0])
    turns = straight + np.pi / 8 * np.array([0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8])
    places = edge + BEYOND_M * np.column_stack([np.cos(turns), np.sin(turns)])
    outside = np.flatnonzero(~shapely.intersects(ground, shapely.points(places)))
    return np.asarray(places[outside[0]] if len(outside) else edge)


def sides(cells: gpd.GeoSeries, line: shapely.LineString) -> pd.Series[bool]:
    """Say of each cell whether the larger part of it lies to the left of a line.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
    line : LineString
        That reaches the outline of the cells, see `reaching`.

    Returns
    -------
    Series of bool, shape (n,)

    Raises
    ------
    InvalidInputError
        If the line does not part the ground.
    """
    origin = np.array(local_origin(tuple(shapely.total_bounds(cells.to_numpy()))), dtype=float)
    shapes = shapely.transform(cells.to_numpy(), lambda xy: xy - origin)
    way = shapely.transform(line, lambda xy: xy - origin)
    ground = shapely.coverage_union_all(shapes)
    noded = shapely.union_all([shapely.boundary(ground), way])
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    faces = faces[shapely.intersects(ground, shapely.point_on_surface(faces))]
    left = _left(faces, shapely.get_parts(noded), way)
    if left.all() or not left.any():
        raise InvalidInputError(phrase("The line does not part the ground."), field="line")
    leftward = shapely.union_all(faces[left])
    shapely.prepare(leftward)
    on = shapely.intersects(leftward, shapely.point_on_surface(shapes))
    crossed = shapely.intersects(shapes, way)
    part = shapely.area(shapely.intersection(shapes[crossed], leftward))
    on[crossed] = part > shapely.area(shapes[crossed]) / 2
    return pd.Series(on, index=cells.index)


def _left(faces: Any, noded: Any, way: shapely.LineString) -> NDArray[np.bool_]:
    """Say of each face whether most of the line that runs along it has it to the left."""
    xy, part = shapely.get_coordinates(noded, return_index=True)
    begins = np.flatnonzero(part[:-1] == part[1:])
    ends = np.stack([xy[begins], xy[begins + 1]], axis=1)
    places = shapely.points(np.concatenate([ends, ends.mean(axis=1, keepdims=True)], axis=1))
    ends = ends[(shapely.distance(places, way) <= ON_LINE_M).all(axis=1)]
    # a piece of the line may come out in the other direction
    share = shapely.line_locate_point(way, shapely.points(ends))
    turned = share[:, 0] > share[:, 1]
    ends[turned] = ends[turned, ::-1]
    span = ends[:, 1] - ends[:, 0]
    length = np.hypot(*span.T)
    normal = np.column_stack([-span[:, 1], span[:, 0]]) / np.maximum(length, 1e-12)[:, None]
    tally = np.zeros(len(faces))
    tree = shapely.STRtree(faces)
    for sign in (1.0, -1.0):
        beside = shapely.points(ends.mean(axis=1) + sign * BESIDE_M * normal)
        row, face = tree.query(beside, predicate="within")
        np.add.at(tally, face, sign * length[row])
    return tally > 0


def along(cells: gpd.GeoSeries, line: shapely.LineString) -> list[list[int]]:
    """Part cells along the cheapest way on their borders near a line.

    A border costs its length, and more the farther it is from the line.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
        Of one grid, by cell id.
    line : LineString
        That reaches the outline of the cells.

    Returns
    -------
    list of list of int
        The cells of each part, the part with most ground first; ground that the way does not touch
        stays with it.

    Raises
    ------
    InvalidInputError
        If the line does not part the ground, or no border near it does.
    """
    sides(cells, line)  # refuses a line that parts nothing
    edges = uncrowded(shared_edges(cells.to_numpy()))
    way = _way(cells, edges, line)
    one, two = edges.owner[edges.left], edges.owner[edges.right]
    own = np.sort(np.column_stack([edges.tail[edges.left], edges.head[edges.left]]), axis=1)
    size = np.int64(len(edges.xy))
    crossed = np.isin(own[:, 0] * size + own[:, 1], way[:, 0] * size + way[:, 1])
    parts = _components(cells, one[~crossed], two[~crossed])
    return _listed(cells, parts)


def parted(cells: gpd.GeoSeries, line: shapely.LineString) -> list[list[int]]:
    """Part cells by the side of a line that most of each lies on; see `along` for the rest."""
    left = sides(cells, line).to_numpy()
    edges = uncrowded(shared_edges(cells.to_numpy()))
    one, two = edges.owner[edges.left], edges.owner[edges.right]
    same = left[one] == left[two]
    parts = _components(cells, one[same], two[same])
    return _listed(cells, parts)


def _components(cells: gpd.GeoSeries, one: Ints, two: Ints) -> Ints:
    """Return the part of each cell, joined where a border is kept; -1 where nothing was parted."""
    near = adjacency(cells)
    size = np.int64(len(cells))
    kept = np.unique(np.minimum(one, two) * size + np.maximum(one, two))
    good = np.isin(near.left * size + near.right, kept)
    after = _joined(near.left[good], near.right[good], len(cells))
    before = _joined(near.left, near.right, len(cells))
    counts = pd.Series(after).groupby(before).transform("nunique").to_numpy()
    return np.where(counts == 1, -1, after)


def _joined(one: Ints, two: Ints, size: int) -> Ints:
    graph = coo_array((np.ones(len(one), dtype=bool), (one, two)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _listed(cells: gpd.GeoSeries, parts: Ints) -> list[list[int]]:
    area = pd.Series(shapely.area(cells.to_numpy())).groupby(parts).sum()
    if -1 in area.index:
        area = area.drop(-1)
    if len(area) < 2:
        message = phrase(
            "No border of cells near the line parts the ground; cut the cells exactly."
        )
        raise InvalidInputError(message, field="line")
    order = area.sort_values(ascending=False, kind="stable").index.tolist()
    parts = np.where(parts == -1, order[0], parts)
    names = cells.index.to_numpy()
    return [sorted(names[parts == part].tolist()) for part in order]


def _way(cells: gpd.GeoSeries, edges: Edges, line: shapely.LineString) -> Ints:
    """Return the borders, as pairs of vertices, of the cheapest way across the ground."""
    ground = shapely.coverage_union_all(cells.to_numpy())
    inner = np.unique(
        np.sort(np.column_stack([edges.tail[edges.left], edges.head[edges.left]]), axis=1), axis=0
    )
    if len(inner) == 0:
        raise InvalidInputError(
            phrase("The ground is a single cell; cut it exactly."), field="line"
        )
    inside = shapely.get_coordinates(shapely.intersection(line, ground))
    share = shapely.line_locate_point(line, shapely.points(inside))
    gates = inside[[share.argmin(), share.argmax()]]
    scale = max(NEAREST_M, float(np.sqrt(np.median(shapely.area(cells.to_numpy())))) / 4)
    ends = edges.xy[inner]
    length = np.hypot(*(ends[:, 1] - ends[:, 0]).T)
    away = shapely.distance(shapely.points(ends.mean(axis=1)), line)
    cost = length * (1 + (away / scale) ** 2)
    outer = np.intersect1d(np.unique(edges.tail[edges.single]), np.unique(inner))
    size = len(edges.xy)
    legs = [np.hypot(*(edges.xy[outer] - gate).T) for gate in gates]
    legs = [leg * (1 + (leg / scale) ** 2) + 1e-6 for leg in legs]
    tail = np.concatenate([inner[:, 0], inner[:, 1], np.full(len(outer), size), outer])
    head = np.concatenate([inner[:, 1], inner[:, 0], outer, np.full(len(outer), size + 1)])
    graph = coo_array(
        (np.concatenate([cost, cost, *legs]), (tail, head)), shape=(size + 2, size + 2)
    ).tocsr()
    before = dijkstra(graph, indices=size, return_predecessors=True)[1]
    walk = [int(before[size + 1])]
    while walk[-1] >= 0 and walk[-1] != size:
        walk.append(int(before[walk[-1]]))
    walk = walk[:-1]
    if len(walk) < 2:
        message = phrase(
            "No border of cells near the line parts the ground; cut the cells exactly."
        )
        raise InvalidInputError(message, field="line")
    return np.sort(np.column_stack([walk[:-1], walk[1:]]), axis=1).astype(np.int64)
