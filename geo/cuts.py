"""Pieces of cells fitted into the stored coverage, so that no neighbour stops matching.

Equal vertices must be equal numbers in the stored degrees. A vertex of a piece that lies on an old
vertex takes that one's stored numbers; one that lies on an old border is put into every ring that
runs along it, those of cells that are not cut included. No old vertex moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.spatial import KDTree

from geo.crs import WGS84_SRID, local_origin, require_metres
from geo.errors import TopologyError

ON_LINE_M: Final = 1e-5
"""What lies nearer than this to a vertex or a border lies on it."""
WHOLE_M2: Final = 1e-6
"""Ground by which the pieces of a cell may miss it."""
ROUNDING_M: Final = 2e-9
"""What a border may be off by the arithmetic, beside `WHOLE_M2`."""
LEAST_PIECE_M2: Final = 0.01
BESIDE_M: Final = 0.001
"""Pieces within this of a border that does not match are those that it is about."""
LISTED: Final = 100

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """Pieces as they are stored.

    Attributes
    ----------
    pieces : ndarray of Polygon, shape (n,)
        EPSG:4326, in the order they were given.
    area_m2 : ndarray of float, shape (n,)
    beside : dict of int to Polygon
        Cells that are not cut and have got vertices, by id; EPSG:4326.
    """

    pieces: Array
    area_m2: Floats
    beside: dict[int, Any]


@dataclass(frozen=True)
class _Vertices:
    """Places with one number each: metres from a local origin, and degrees as stored."""

    metres: Floats
    degrees: Floats
    known: int


@dataclass(frozen=True)
class _Rings:
    """Rings as lists of vertex numbers, ring after ring, each closed."""

    vertex: Ints
    ring: Ints
    polygon: Ints


def fit(cells: gpd.GeoSeries, pieces: gpd.GeoDataFrame) -> Fitted:
    """Fit the pieces of some cells into the coverage that they and their neighbours make.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (k,)
        As stored, EPSG:4326, indexed by cell id: the cells that are cut and all beside them.
    pieces : GeoDataFrame, shape (n,)
        `cell_id` (the old cell) and geometry Polygon, projected CRS in metres.

    Returns
    -------
    Fitted

    Raises
    ------
    TopologyError
        If there is no CRS in metres, pieces do not make up their cells, or the result would be no
        coverage; `defects` lists every place and `cells` the cells that cannot be cut like that.
    """
    crs = require_metres(pieces.crs)
    forth = Transformer.from_crs(WGS84_SRID, crs, always_xy=True)
    back = Transformer.from_crs(crs, WGS84_SRID, always_xy=True)
    old = _turned(cells.to_numpy(), forth)
    origin = np.array(local_origin(tuple(shapely.total_bounds(old))), dtype=float)
    old = shapely.transform(old, lambda xy: xy - origin)
    new = shapely.transform(pieces.geometry.to_numpy(), lambda xy: xy - origin)
    owner = pieces["cell_id"].to_numpy(dtype=np.int64)
    _demand_whole(new, owner, pd.Series(old, index=cells.index), origin)
    vertices, old_rings, new_rings = _numbered(cells.to_numpy(), old, new, origin, back)
    kept = ~np.isin(cells.index.to_numpy(), owner)
    beside = _of(old_rings, np.flatnonzero(kept))
    near = _on_old_borders(vertices, old_rings)
    whole, gained = _noded(_stacked(new_rings, beside), vertices, near)
    shapes = _polygons(whole, vertices.degrees)
    fitted, around = shapes[: len(new)], shapes[len(new) :]
    _demand_coverage(shapes, owner, forth, origin)
    plain = shapely.transform(_turned(fitted, forth), lambda xy: xy - origin)
    names = cells.index.to_numpy()[kept]
    return Fitted(
        pieces=fitted,
        area_m2=shapely.area(plain),
        beside={
            int(names[n - len(new)]): around[n - len(new)] for n in gained.tolist() if n >= len(new)
        },
    )


def _turned(shapes: Array, transformer: Transformer) -> Array:
    return np.asarray(shapely.transform(shapes, transformer.transform, interleaved=False))


def _demand_whole(new: Array, owner: Ints, old: pd.Series[Any], origin: Floats) -> None:
    """Refuse pieces that are no polygons, overlap, or do not make up their cells."""
    unknown = sorted(set(owner.tolist()) - set(old.index))
    defects = [f"cell {cell} is not among the cells" for cell in unknown]
    sound = (shapely.get_type_id(new) == 3) & shapely.is_valid(new)
    sound &= shapely.area(new) >= LEAST_PIECE_M2
    faulty = np.unique(owner[~sound]).tolist()
    defects += [f"a piece of cell {cell} is no sound polygon" for cell in faulty]
    if not defects:
        order = np.argsort(owner, kind="stable")
        names, first = np.unique(owner[order], return_index=True)
        for cell, rows in zip(names.tolist(), np.split(order, first[1:]), strict=True):
            if not _makes_up(new[rows], old[cell]):
                spot = shapely.point_on_surface(old[cell])
                x, y = spot.x + origin[0], spot.y + origin[1]
                defects.append(f"pieces do not make up cell {cell} near ({x:.2f}, {y:.2f})")
                faulty.append(cell)
    if defects:
        raise TopologyError(
            f"{len(defects)} cell(s) cannot be cut: {'; '.join(defects[:3])}",
            defects=defects[:LISTED],
            cells=[] if unknown else faulty,
        )


def _makes_up(pieces: Array, cell: Any) -> bool:
    corner = np.floor(shapely.get_coordinates(cell)[0])
    pieces = shapely.transform(pieces, lambda xy: xy - corner)
    cell = shapely.transform(cell, lambda xy: xy - corner)
    if not shapely.coverage_is_valid(pieces):
        return False
    slack = WHOLE_M2 + ROUNDING_M * shapely.length(cell)
    if abs(shapely.area(pieces).sum() - shapely.area(cell)) > slack:
        return False
    union = shapely.coverage_union_all(pieces)
    return bool(shapely.area(shapely.symmetric_difference(union, cell)) <= slack)


def _numbered(
    degrees: Array, old: Array, new: Array, origin: Floats, back: Transformer
) -> tuple[_Vertices, _Rings, _Rings]:
    """Give each place one number, those of old vertices first, and read all rings as numbers."""
    stored, ring = shapely.get_coordinates(degrees), _ring_owners(old)
    plain = shapely.get_coordinates(old)
    _, first, old_vertex = np.unique(_keys(stored), return_index=True, return_inverse=True)
    known_metres, known_degrees = plain[first], stored[first]
    given = shapely.get_coordinates(new)
    _, begin, inverse = np.unique(_keys(given), return_index=True, return_inverse=True)
    places = given[begin]
    away, nearest = KDTree(known_metres).query(places, distance_upper_bound=ON_LINE_M)
    fresh = ~np.isfinite(away)
    number = np.where(fresh, len(first) + np.cumsum(fresh) - 1, nearest)
    lon, lat = back.transform(*(places[fresh] + origin).T)
    vertices = _Vertices(
        metres=np.concatenate([known_metres, places[fresh]]),
        degrees=np.concatenate([known_degrees, np.column_stack([lon, lat])]),
        known=len(first),
    )
    old_rings = _Rings(old_vertex, *ring)
    new_rings = _without_standing_still(_Rings(number[inverse], *_ring_owners(new)))
    return vertices, old_rings, new_rings


def _keys(xy: Floats) -> Array:
    return np.asarray(np.ascontiguousarray(xy + 0.0).view(np.complex128).ravel())


def _ring_owners(polygons: Array) -> tuple[Ints, Ints]:
    """Return the ring of each coordinate and the polygon of each ring."""
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    return shapely.get_coordinates(rings, return_index=True)[1], polygon


def _without_standing_still(rings: _Rings) -> _Rings:
    """Drop vertices that came to lie on the one before."""
    still = np.zeros(len(rings.vertex), dtype=bool)
    still[1:] = (rings.vertex[1:] == rings.vertex[:-1]) & (rings.ring[1:] == rings.ring[:-1])
    return _Rings(rings.vertex[~still], rings.ring[~still], rings.polygon)


def _of(rings: _Rings, polygons: Ints) -> _Rings:
    """Return the rings of some polygons, numbered anew in their order."""
    wanted = np.isin(rings.polygon, polygons)
    own = wanted[rings.ring]
    renumbered = np.cumsum(wanted) - 1
    return _Rings(
        rings.vertex[own],
        renumbered[rings.ring[own]],
        np.searchsorted(polygons, rings.polygon[wanted]),
    )


def _stacked(one: _Rings, two: _Rings) -> _Rings:
    polygons = int(one.polygon.max()) + 1
    return _Rings(
        np.concatenate([one.vertex, two.vertex]),
        np.concatenate([one.ring, two.ring + len(one.polygon)]),
        np.concatenate([one.polygon, two.polygon + polygons]),
    )


def _segments(rings: _Rings) -> Ints:
    """Return where in the list of vertices a segment begins."""
    return np.flatnonzero(rings.ring[:-1] == rings.ring[1:])


def _on_old_borders(vertices: _Vertices, old: _Rings) -> NDArray[np.bool_]:
    """Say which vertices lie on a border of an old cell: all old ones, and new ones near them."""
    on = np.arange(len(vertices.metres)) < vertices.known
    fresh = np.flatnonzero(~on)
    begins = _segments(old)
    ends = np.stack([vertices.metres[old.vertex[begins + step]] for step in (0, 1)], axis=1)
    tree = shapely.STRtree(shapely.linestrings(ends))
    points = shapely.points(vertices.metres[fresh])
    hit = tree.query(points, predicate="dwithin", distance=ON_LINE_M)[0]
    on[fresh[np.unique(hit)]] = True
    return on


def _noded(rings: _Rings, vertices: _Vertices, near: NDArray[np.bool_]) -> tuple[_Rings, Ints]:
    """Put the vertices that lie on a segment into it; return which polygons have got some."""
    begins = _segments(rings)
    tail, head = rings.vertex[begins], rings.vertex[begins + 1]
    along = near[tail] & near[head]
    begins, tail, head = begins[along], tail[along], head[along]
    lines = shapely.linestrings(np.stack([vertices.metres[tail], vertices.metres[head]], axis=1))
    places = np.flatnonzero(near)
    place, line = shapely.STRtree(lines).query(
        shapely.points(vertices.metres[places]), predicate="dwithin", distance=ON_LINE_M
    )
    vertex = places[place]
    inside = (vertex != tail[line]) & (vertex != head[line])
    vertex, line = vertex[inside], line[inside]
    if len(vertex) == 0:
        return rings, np.array([], dtype=np.int64)
    offset = vertices.metres[vertex] - vertices.metres[tail[line]]
    span = vertices.metres[head[line]] - vertices.metres[tail[line]]
    share = (offset * span).sum(axis=1) / (span * span).sum(axis=1)
    order = np.lexsort((share, begins[line]))
    at = begins[line[order]]
    told = _Rings(
        np.insert(rings.vertex, at + 1, vertex[order]),
        np.insert(rings.ring, at + 1, rings.ring[at]),
        rings.polygon,
    )
    return told, np.unique(rings.polygon[rings.ring[at]])


def _polygons(rings: _Rings, degrees: Floats) -> Array:
    lines = shapely.linearrings(degrees[rings.vertex], indices=rings.ring)
    count = int(rings.polygon.max()) + 1
    first = np.zeros(len(lines), dtype=bool)
    first[np.unique(rings.polygon, return_index=True)[1]] = True
    shells = shapely.polygons(lines[first])
    holes = np.flatnonzero(~first)
    for polygon in np.unique(rings.polygon[holes]):
        own = holes[rings.polygon[holes] == polygon]
        shells[polygon] = shapely.polygons(lines[first][polygon], holes=lines[own])
    if len(shells) != count:
        raise TopologyError("A piece has lost its border.", defects=[])
    return np.asarray(shells)


def _demand_coverage(shapes: Array, owner: Ints, forth: Transformer, origin: Floats) -> None:
    """Refuse a result that is no coverage in the metre CRS; the pieces come first in it."""
    plain = shapely.transform(_turned(shapes, forth), lambda xy: xy - origin)
    sound = shapely.is_valid(plain)
    if sound.all() and shapely.coverage_is_valid(plain):
        return
    wrong = np.where(sound, shapely.Point(), plain)
    if sound.all():
        wrong = shapely.coverage_invalid_edges(plain)
    wrong = wrong[~shapely.is_empty(wrong)]
    spots = shapely.point_on_surface(wrong)
    pieces = shapely.STRtree(plain[: len(owner)])
    beside = pieces.query(spots, predicate="dwithin", distance=BESIDE_M)[1]
    if not len(beside):  # a long border of which a piece touches another part
        beside = pieces.query(wrong, predicate="dwithin", distance=BESIDE_M)[1]
    defects = [f"near ({x:.2f}, {y:.2f})" for x, y in shapely.get_coordinates(spots) + origin]
    message = f"The pieces do not match what lies beside them: {'; '.join(defects[:3])}"
    cells = np.unique(owner[beside]).tolist()
    raise TopologyError(message, defects=defects[:LISTED], cells=cells)
