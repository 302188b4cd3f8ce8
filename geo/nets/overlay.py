"""Nets laid over each other as they came: faces between all borders, and whose each of them is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.crs import local_origin, require_metres
from geo.errors import TopologyError
from geo.topology import shared_edges

Shapes = NDArray[np.object_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]

NOBODY: Final = -1
ROUNDS: Final = 4
GRID_M: Final = 1e-6
"""Side of the squares of the lattice that crossings are put on."""
ALONG: Final = 4.0
"""A street counts for a border where it runs beside it for so many tolerances at least."""


@dataclass(frozen=True)
class Net:
    """A department's net.

    Attributes
    ----------
    name : str
    areas : GeoSeries
        Polygons, projected CRS in metres, one row per grid; the index names them.
    weight : float, default 1.0
        How much the department's vote counts.
    counts : Series of float, optional
        A count for each grid (residents, households).
    """

    name: str
    areas: gpd.GeoSeries
    weight: float = 1.0
    counts: pd.Series[float] | None = None


@dataclass(frozen=True)
class Overlay:
    """Faces between all borders; metres from `origin`.

    Attributes
    ----------
    faces : ndarray of Polygon, shape (f,)
    area_m2 : ndarray of float, shape (f,)
    perimeter_m : ndarray of float, shape (f,)
    inside : ndarray of bool, shape (f,)
        Within the ground that is to be covered.
    owner : ndarray of int, shape (nets, f)
        Row of the grid that has the face, -1 for none. Of several the smallest has it.
    doubled : ndarray of int, shape (m, 3)
        Net, grid and face where a grid covers a face that another of its own net has.
    block : ndarray of int, shape (f,)
        Cell that the face is a piece of; without cells each face is its own.
    left, right : ndarray of int, shape (e,)
        Neighbouring faces, `left < right`.
    length_m, kept_m : ndarray of float, shape (e,)
        Length of their common border, and of its part on streets and barriers.
    shapes : list of ndarray
        The nets' grids, valid.
    invalid : list of int
        How many rings of each net were mended.
    origin : ndarray of float, shape (2,)
    ground : Polygon or MultiPolygon
        What is to be covered.
    corners : ndarray of float, shape (k, 2)
        Vertices of the outline that was named.
    """

    faces: Shapes
    area_m2: Floats
    perimeter_m: Floats
    inside: NDArray[np.bool_]
    owner: Ints
    doubled: Ints
    block: Ints
    left: Ints
    right: Ints
    length_m: Floats
    kept_m: Floats
    shapes: list[Shapes]
    invalid: list[int]
    origin: Floats
    ground: Any
    corners: Floats


def overlay(
    nets: Sequence[Net],
    *,
    tolerance_m: float,
    outline: gpd.GeoSeries | None = None,
    lines: gpd.GeoSeries | None = None,
    cells: gpd.GeoSeries | None = None,
    progress: Progress | None = None,
) -> Overlay:
    """Return the faces between the borders of all nets.

    Parameters
    ----------
    nets : sequence of Net
        Dirty or not, one CRS in metres.
    tolerance_m : float
        Ground in no net that is narrower than this belongs to the whole where no outline is named;
        streets nearer than this to borders are laid over them.
    outline : GeoSeries, optional
        Polygons: what is to be covered. Default: what any net or cell covers.
    lines : GeoSeries, optional
        Streets and barriers.
    cells : GeoSeries, optional
        Polygons that are not to be cut.
    progress : callable, optional
        Takes what is done and its share, 0 to 1; what it raises ends the work.

    Returns
    -------
    Overlay

    Raises
    ------
    TopologyError
        If a CRS is missing, differs or is not in metres, or there is no ground.
    """
    _demand_metres(nets, outline, lines, cells)
    drawn = _drawn(nets, outline, cells)
    tell = progress or _silent
    tell("cut the borders", 0.0)
    beside = None
    if lines is not None:
        beside = _beside(_near(lines, drawn.origin), drawn.borders(), tolerance_m)
    faces = _faces(drawn, beside)
    tell("ask whose each piece is", 0.0)
    points = shapely.point_on_surface(faces)
    owner, doubled = _owners(drawn.shapes, points)
    block = _cells_of(drawn.cells, points)
    sizes, lengths = shapely.area(faces), shapely.length(faces)
    thin = 2 * sizes / lengths < tolerance_m
    inside = _inside(points, drawn.outline, owner, block, thin)
    left, right, length, kept = _neighbours(faces, beside)
    ground = drawn.outline
    if ground is None:
        ground = shapely.coverage_union_all(faces[inside])
    return Overlay(
        faces=faces,
        area_m2=sizes,
        perimeter_m=lengths,
        inside=inside,
        owner=owner,
        doubled=doubled,
        block=np.arange(len(faces)) if cells is None else block,
        left=left,
        right=right,
        length_m=length,
        kept_m=kept,
        shapes=drawn.shapes,
        invalid=drawn.invalid,
        origin=drawn.origin,
        ground=ground,
        corners=drawn.corners(),
    )


@dataclass(frozen=True)
class _Drawn:
    """All that was drawn, sound and near the origin: what the faces are cut from.

    Attributes
    ----------
    shapes : list of ndarray
        The grids of each net.
    cells : ndarray of Polygon
    outline : Polygon, MultiPolygon or None
    invalid : list of int
        How many grids of each net were mended.
    origin : ndarray of float, shape (2,)
        Metres in the nets' CRS; everything else counts from there.
    """

    shapes: list[Shapes]
    cells: Shapes
    outline: Any
    invalid: list[int]
    origin: Floats

    def borders(self) -> list[Shapes]:
        """Return the lines that cut the ground, net by net."""
        found = [shapely.boundary(each) for each in (*self.shapes, self.cells)]
        if self.outline is not None:
            found.append(np.array([shapely.boundary(self.outline)], dtype=object))
        return found

    def corners(self) -> Floats:
        """Return the vertices of the outline that was named."""
        if self.outline is None:
            return np.empty((0, 2))
        return np.asarray(shapely.get_coordinates(self.outline), dtype=float)

    def vertices(self) -> Floats:
        """Return all vertices that were delivered, the outline's first."""
        grids = shapely.get_coordinates(np.concatenate([*self.shapes, self.cells]))
        return np.vstack([self.corners(), grids])


def _drawn(
    nets: Sequence[Net], outline: gpd.GeoSeries | None, cells: gpd.GeoSeries | None
) -> _Drawn:
    bounds = np.array([net.areas.total_bounds for net in nets if len(net.areas)])
    if len(bounds) == 0 or np.isnan(bounds).all():
        raise TopologyError("The nets have no ground.")
    box = (*np.nanmin(bounds[:, :2], axis=0), *np.nanmax(bounds[:, 2:], axis=0))
    origin = np.array(local_origin(box), dtype=float)
    near = [_near(net.areas, origin) for net in nets]
    return _Drawn(
        shapes=[_sound(each) for each in near],
        cells=np.empty(0, dtype=object) if cells is None else _sound(_near(cells, origin)),
        outline=None if outline is None else shapely.union_all(_sound(_near(outline, origin))),
        invalid=[int((~shapely.is_valid(each)).sum()) for each in near],
        origin=origin,
    )


def _demand_metres(nets: Sequence[Net], *others: gpd.GeoSeries | None) -> None:
    series = [net.areas for net in nets] + [each for each in others if each is not None]
    if not nets or len({str(require_metres(each.crs)) for each in series}) > 1:
        raise TopologyError("The nets are in several reference systems, or there are none.")


def _silent(_what: str, _share: float) -> None:
    """Tell nobody."""


def _near(series: gpd.GeoSeries, origin: Floats) -> Shapes:
    there = shapely.force_2d(series.to_numpy())
    return np.asarray(shapely.transform(there, lambda places: places - origin), dtype=object)


def _sound(shapes: Shapes) -> Shapes:
    """Return shapes with the invalid ones mended; what is no area becomes empty."""
    fresh = shapes.copy()
    fresh[shapely.is_missing(fresh)] = shapely.Polygon()
    wrong = ~shapely.is_valid(fresh)
    fresh[wrong] = shapely.make_valid(fresh[wrong], method="structure", keep_collapsed=False)
    fresh[~np.isin(shapely.get_type_id(fresh), (3, 6))] = shapely.Polygon()
    return fresh


def _faces(drawn: _Drawn, beside: Shapes | None) -> Shapes:
    """Cut lines at their crossings and return what they enclose.

    Crossings are put on a lattice of a thousandth of a millimetre, so that lines which differ by
    their last digits are one, and no two vertices are nearer to each other than any system has
    digits for. Vertices that were delivered are then put back to where they came from.
    """
    lines = np.concatenate(drawn.borders() + ([] if beside is None else [beside]))
    noded = shapely.union_all(lines, grid_size=GRID_M)
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    corners, origin = drawn.vertices(), drawn.origin
    known, first = np.unique(squares_of(corners), return_index=True)
    free = np.ones(len(known), dtype=bool)

    def back(places: Floats) -> Floats:
        found = (places + origin) - origin
        wanted = squares_of(places)
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        same = (known[at] == wanted) & free[at]
        found[same] = corners[first[at[same]]]
        return found

    for _ in range(ROUNDS):
        restored = np.asarray(shapely.transform(faces, back), dtype=object)
        wrong = ~shapely.is_valid(restored)
        wrong |= ~shapely.is_empty(shapely.coverage_invalid_edges(restored))
        if not wrong.any():
            return restored
        free &= ~np.isin(known, squares_of(shapely.get_coordinates(faces[wrong])))
    free[:] = False
    return np.asarray(shapely.transform(faces, back), dtype=object)


def squares_of(places: Floats) -> Any:
    """Return the squares of the lattice in which places lie."""
    rounded = np.round(places / GRID_M) + 0.0
    return np.ascontiguousarray(rounded).view(np.complex128).ravel()


def _beside(lines: Shapes, borders: list[Shapes], tolerance_m: float) -> Shapes:
    """Return the parts of lines that run beside borders, tied to them at both ends."""
    rims = shapely.get_parts(shapely.union_all(np.concatenate(borders)))
    tree = shapely.STRtree(rims)
    shapes = shapely.get_parts(shapely.line_merge(shapely.union_all(lines)))
    shapes = shapes[np.unique(tree.query(shapes, predicate="dwithin", distance=tolerance_m)[0])]
    if len(shapes) == 0:
        return np.empty(0, dtype=object)
    near = np.unique(tree.query(shapes, predicate="dwithin", distance=tolerance_m)[1])
    belt = shapely.union_all(shapely.buffer(rims[near], tolerance_m, quad_segs=4))
    shapely.prepare(belt)
    parts = shapely.get_parts(shapely.line_merge(shapely.intersection(shapes, belt)))
    parts = shapely.get_parts(parts)
    parts = parts[shapely.length(parts) >= ALONG * tolerance_m]
    ends = np.concatenate([shapely.get_point(parts, 0), shapely.get_point(parts, -1)])
    at = tree.nearest(ends)
    ties = shapely.shortest_line(ends, rims[at])
    return np.concatenate([parts, ties[shapely.length(ties) > 0]])


def _owners(shapes: list[Shapes], points: Shapes) -> tuple[Ints, Ints]:
    """Return which grid of each net has each face, and which others cover it too."""
    owner = np.full((len(shapes), len(points)), NOBODY, dtype=np.int64)
    doubled = [np.empty((0, 3), dtype=np.int64)]
    for net, grids in enumerate(shapes):
        face, grid = shapely.STRtree(grids).query(points, predicate="intersects")
        order = np.lexsort((grid, shapely.area(grids)[grid], face))
        face, grid = face[order], grid[order]
        first = np.ones(len(face), dtype=bool)
        first[1:] = face[1:] != face[:-1]
        owner[net, face[first]] = grid[first]
        more = ~first
        number = np.full(int(more.sum()), net, dtype=np.int64)
        doubled.append(np.column_stack([number, grid[more], face[more]]))
    return owner, np.vstack(doubled)


def _cells_of(cells: Shapes, points: Shapes) -> Ints:
    found = np.full(len(points), NOBODY, dtype=np.int64)
    if len(cells):
        face, cell = shapely.STRtree(cells).query(points, predicate="intersects")
        found[face[::-1]] = cell[::-1]
    return found


def _inside(
    points: Shapes, ground: Any, owner: Ints, block: Ints, thin: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    if ground is None:
        return np.asarray((owner >= 0).any(axis=0) | (block >= 0) | thin)
    shapely.prepare(ground)
    return np.asarray(shapely.intersects(ground, points))


def _neighbours(faces: Shapes, beside: Shapes | None) -> tuple[Ints, Ints, Floats, Floats]:
    """Return which faces share borders, how long these are, and how much lies on kept lines."""
    edges = shared_edges(faces)
    one, two = edges.owner[edges.left], edges.owner[edges.right]
    tail, head = edges.xy[edges.tail[edges.left]], edges.xy[edges.head[edges.left]]
    length = np.hypot(*(head - tail).T)
    kept = np.zeros(len(length))
    if beside is not None and len(beside):
        middle = shapely.points((tail + head) / 2)
        on = shapely.STRtree(beside).query(middle, predicate="dwithin", distance=2 * GRID_M)[0]
        kept[on] = length[on]
    key = np.minimum(one, two) * np.int64(max(len(faces), 1)) + np.maximum(one, two)
    pairs, inverse = np.unique(key, return_inverse=True)
    left, right = np.divmod(pairs, max(len(faces), 1))
    length = np.bincount(inverse, weights=length, minlength=len(pairs)).astype(np.float64)
    kept = np.bincount(inverse, weights=kept, minlength=len(pairs)).astype(np.float64)
    return left, right, length, kept
