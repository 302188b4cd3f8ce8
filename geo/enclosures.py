"""The ground of areas cut by streets, railways, walls and water into enclosures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.tessellation import ON_RIM_M, rim_edges
from geo.topology import adjacency

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Shapes = NDArray[Any]

NOWHERE: Final = -1
ANY_METRES: Final = 32601
"""Lengths are taken in the plane that the caller chose; which one it is does not matter here."""
AREAL: Final = (3, 6)


@dataclass(frozen=True)
class Groups:
    """Buildings that stay together, as polygons.

    Attributes
    ----------
    shapes : ndarray of Polygon, shape (n,)
        Every part of every building.
    group : ndarray of int, shape (n,)
        Group of each part, counted from 0.
    count : int
        Number of groups.
    least_m2 : ndarray of float, shape (count,)
        Ground of the smallest building of each group.
    """

    shapes: Shapes
    group: Ints
    count: int
    least_m2: Floats


@dataclass(frozen=True)
class Tolerances:
    """What is too small to matter.

    Attributes
    ----------
    least_m2 : float
        Smaller enclosures without a building join a neighbour.
    least_width_m : float
        And so do dry ones that are narrower than this on average.
    outside_m2, outside_share : float
        As much of a building, or the greater part of both, may lie outside its cell.
    """

    least_m2: float = 50.0
    least_width_m: float = 3.0
    outside_m2: float = 0.5
    outside_share: float = 0.01

    def outside(self, groups: Groups) -> Floats:
        """Return how much of each group may lie outside its cell: what its smallest may."""
        return np.maximum(self.outside_m2, self.outside_share * groups.least_m2)


@dataclass(frozen=True)
class Enclosures:
    """Ground between the lines; together exactly the areas.

    Attributes
    ----------
    ground : ndarray of Polygon, shape (n,)
        A valid coverage.
    area : ndarray of int, shape (n,)
        Position of the area each lies in.
    water : ndarray of bool, shape (n,)
    home : ndarray of int, shape (groups,)
        Enclosure of each group of buildings, `NOWHERE` for one of which no half is in any area.
    straddled : ndarray of int
        Groups that a line ran through; it was led around them.
    """

    ground: Shapes
    area: Ints
    water: Flags
    home: Ints
    straddled: Ints


@dataclass(frozen=True)
class _Faces:
    shapes: Shapes
    area: Ints
    water: Flags
    solid: Flags


def cut_ground(
    areas: Shapes,
    lines: Shapes,
    water: Shapes,
    groups: Groups,
    tolerances: Tolerances,
) -> Enclosures:
    """Cut areas by lines and by the banks of water.

    A line does not cut a building: where it runs through one, it is led around it. Lines over water
    do not cut the water. Lines that end nowhere cut nothing.

    Parameters
    ----------
    areas : ndarray of Polygon or MultiPolygon, shape (n,)
        A valid coverage, metres near the origin.
    lines : ndarray of LineString or MultiLineString
    water : ndarray of Polygon or MultiPolygon
    groups : Groups
    tolerances : Tolerances

    Returns
    -------
    Enclosures
    """
    rims = shapely.linestrings(
        rim_edges(shapely.get_rings(shapely.get_parts(areas))).reshape(-1, 2, 2)
    )
    wet = shapely.get_parts(shapely.union_all(water)) if len(water) else water
    cuts = _cuts(lines, wet, areas)
    faces = _faces(areas, wet, np.concatenate([rims, cuts]), None)
    straddled = _straddled(faces, groups, tolerances)
    if len(straddled):
        chosen = groups.shapes[np.isin(groups.group, straddled)]
        solid = shapely.get_parts(shapely.union_all(chosen))
        pieces = _led_around(rims, cuts, solid)
        faces = _joined_buildings(_faces(areas, wet, pieces, solid))
    return _without_slivers(faces, groups, tolerances, straddled)


def _cuts(lines: Shapes, wet: Shapes, areas: Shapes) -> Shapes:
    """Return the lines near the areas, not over water, and the banks."""
    near = np.unique(shapely.STRtree(areas).query(lines, predicate="intersects")[0])
    kept = lines[near]
    if len(wet) == 0:
        return np.asarray(kept, dtype=object)
    over = np.unique(shapely.STRtree(wet).query(kept, predicate="intersects")[0])
    whole = np.delete(kept, over)
    dry = shapely.difference(kept[over], shapely.union_all(wet))
    banks = shapely.boundary(wet[np.unique(shapely.STRtree(areas).query(wet, "intersects")[0])])
    return np.concatenate([whole, dry[~shapely.is_empty(dry)], banks])


def _faces(areas: Shapes, wet: Shapes, lines: Shapes, solid: Shapes | None) -> _Faces:
    """Return the pieces of ground between lines, of those that lie in an area."""
    noded = shapely.get_parts(shapely.union_all(lines)) if solid is None else lines
    shapes = shapely.get_parts(shapely.polygonize(noded))
    inner = inner_points(shapes)
    area = holders(areas, inner)
    shapes, inner, area = shapes[area >= 0], inner[area >= 0], area[area >= 0]
    none = np.zeros(len(shapes), dtype=np.bool_)
    built = none if solid is None else holders(solid, inner) >= 0
    flooded = none if len(wet) == 0 else (holders(wet, inner) >= 0) & ~built
    return _Faces(shapes, area, flooded, built)


def inner_points(polygons: Shapes) -> Shapes:
    """Return a point strictly inside each polygon, also where it is hardly wider than a line."""
    points = shapely.point_on_surface(polygons)
    shapely.prepare(polygons)
    rim = np.flatnonzero(~shapely.contains_properly(polygons, points))
    if len(rim):
        radius = shapely.maximum_inscribed_circle(polygons[rim])
        points[rim] = shapely.get_point(radius, 0)
    return np.asarray(points, dtype=object)


def holders(polygons: Shapes, points: Shapes) -> Ints:
    """Return which polygon each point lies in, `NOWHERE` for none; the first of several."""
    found = np.full(len(points), NOWHERE, dtype=np.int64)
    at, number = shapely.STRtree(polygons).query(points, predicate="intersects")
    order = np.lexsort((-number, at))
    found[at[order]] = number[order]
    return found


def shared_with(polygons: Shapes, groups: Groups) -> tuple[Ints, Ints, Floats]:
    """Return triples group, polygon, common ground in m2; sorted, each pair once.

    Parameters
    ----------
    polygons : ndarray of Polygon
        Not overlapping.
    groups : Groups
    """
    # The polygons are asked, not the groups: one of them may be half a city, and is prepared once.
    polygon, part = shapely.STRtree(groups.shapes).query(polygons, predicate="intersects")
    order = np.lexsort((polygon, part))
    part, polygon = part[order], polygon[order]
    common = common_m2(polygons, groups.shapes, polygon, part)
    real = common > 0
    part, polygon, common = part[real], polygon[real], common[real]
    key = groups.group[part] * np.int64(max(len(polygons), 1)) + polygon
    pairs, inverse = np.unique(key, return_inverse=True)
    group, holder = np.divmod(pairs, max(len(polygons), 1))
    return group, holder, sums(inverse, common, len(pairs))


def sums(groups: Ints, values: Floats, count: int) -> Floats:
    """Return the sum of the values of each group, 0 where it has none."""
    return np.bincount(groups, weights=values, minlength=count).astype(np.float64)


def common_m2(left: Shapes, right: Shapes, at: Ints, other: Ints) -> Floats:
    """Return the area that `left[at]` and `right[other]` have in common, pair by pair.

    Most pairs of neighbours touch, or one holds the other: that is told without computing a shape.
    """
    shapely.prepare(left)
    shapely.prepare(right)
    common = np.zeros(len(at))
    waiting = np.arange(len(at))
    for holding, held, outer, inner in ((left, right, at, other), (right, left, other, at)):
        held_m2 = shapely.area(held)
        inside = shapely.covers(holding[outer[waiting]], held[inner[waiting]])
        common[waiting[inside]] = held_m2[inner[waiting[inside]]]
        waiting = waiting[~inside]
    beside = shapely.touches(left[at[waiting]], right[other[waiting]])
    waiting = waiting[~beside]
    common[waiting] = shapely.area(shapely.intersection(left[at[waiting]], right[other[waiting]]))
    return common


def homes(
    polygons: Shapes, groups: Groups, *, least_share: float = 0.5
) -> tuple[Ints, tuple[Ints, Ints, Floats]]:
    """Return the polygon that holds most of each group, and the triples of `shared_with`.

    `NOWHERE` for groups of which less than `least_share` lies in any polygon.
    """
    group, holder, common = triples = shared_with(polygons, groups)
    whole = sums(groups.group, shapely.area(groups.shapes), groups.count)
    inside = sums(group, common, groups.count)
    home = np.full(groups.count, NOWHERE, dtype=np.int64)
    order = np.lexsort((-holder, common, group))
    home[group[order]] = holder[order]
    home[inside < least_share * whole] = NOWHERE
    return home, triples


def _straddled(faces: _Faces, groups: Groups, tolerances: Tolerances) -> Ints:
    """Return the groups that a line runs through, and those that stand in water."""
    home, (group, face, common) = homes(faces.shapes, groups, least_share=0.0)
    allowed = tolerances.outside(groups)
    away = (home[group] != face) & (faces.area[home[group]] == faces.area[face])
    lost = sums(group[away], common[away], groups.count) > allowed
    wet = faces.water[face] & (common > allowed[group])
    lost[group[wet]] = True
    return np.flatnonzero(lost)


def _led_around(rims: Shapes, cuts: Shapes, solid: Shapes) -> Shapes:
    """Return noded lines without those inside buildings, the outlines of these in their place."""
    outlines = shapely.boundary(solid)
    pieces = shapely.get_parts(shapely.union_all(np.concatenate([rims, cuts, outlines])))
    middle = shapely.line_interpolate_point(pieces, 0.5, normalized=True)
    held = holders(solid, middle)
    inside = np.flatnonzero(held >= 0)
    depth = shapely.distance(middle[inside], outlines[held[inside]])
    inside = inside[depth > ON_RIM_M]
    on_rim = shapely.STRtree(rims).query_nearest(middle[inside], max_distance=ON_RIM_M)[0]
    return np.asarray(np.delete(pieces, np.delete(inside, np.unique(on_rim))), dtype=object)


def _joined_buildings(faces: _Faces) -> _Faces:
    """Join the ground under buildings with the dry ground beside it, along the longest border."""
    left, right, length = borders(faces.shapes)
    able = (faces.area[left] == faces.area[right]) & ~faces.water[left] & ~faces.water[right]
    into = absorbed(
        shapely.area(faces.shapes),
        (left[able], right[able], length[able]),
        faces.solid,
    )
    roots, shapes = unions(faces.shapes, into)
    return _Faces(shapes, faces.area[roots], faces.water[roots], faces.solid[roots])


def _without_slivers(
    faces: _Faces, groups: Groups, tolerances: Tolerances, straddled: Ints
) -> Enclosures:
    """Join what is too small or narrow with a neighbour, and say where the groups are at home."""
    home, _ = homes(faces.shapes, groups)
    size = shapely.area(faces.shapes)
    narrow = 2.0 * size < tolerances.least_width_m * shapely.length(faces.shapes)
    needy = (size < tolerances.least_m2) | (narrow & ~faces.water)
    needy[home[home >= 0]] = False
    left, right, length = borders(faces.shapes)
    alike = faces.water[left] == faces.water[right]
    able = faces.area[left] == faces.area[right]
    favour = np.where(alike, 1e6, 0.0)
    into = absorbed(
        size,
        (left[able], right[able], (length + favour)[able]),
        needy,
    )
    roots, shapes = unions(faces.shapes, into)
    place = np.searchsorted(roots, into)
    found = np.where(home >= 0, place[home], NOWHERE)
    return Enclosures(shapes, faces.area[roots], faces.water[roots], found, straddled)


def borders(shapes: Shapes) -> tuple[Ints, Ints, Floats]:
    """Return pairs of polygons of a coverage that border each other, and along how many metres."""
    near = adjacency(gpd.GeoSeries(shapes, crs=ANY_METRES), least_m=0.0)
    return near.left, near.right, near.length_m


def absorbed(
    size_m2: Floats,
    pairs: tuple[Ints, Ints, Floats],
    needy: Flags,
) -> Ints:
    """Return for each piece the piece that it becomes part of: itself where it stands alone.

    The smallest needy piece goes first, into the neighbour with the longest border; needy pieces
    that join are needy still. What has no neighbour stays.

    Parameters
    ----------
    size_m2 : ndarray, shape (n,)
    pairs : tuple of ndarray, shape (m,)
        Pairs of pieces that may join, and how much that is wished: the length of their border.
    needy : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of int, shape (n,)
    """
    parent = np.arange(len(size_m2))
    beside: dict[int, dict[int, float]] = {int(k): {} for k in np.flatnonzero(needy)}
    for a, b, wish in zip(*(each.tolist() for each in pairs), strict=True):
        if needy[a] and a != b:
            beside[a][b] = beside[a].get(b, 0.0) + wish
        if needy[b] and a != b:
            beside[b][a] = beside[b].get(a, 0.0) + wish
    chosen = np.flatnonzero(needy)
    for piece in chosen[np.argsort(size_m2[chosen], kind="stable")].tolist():
        wishes: dict[int, float] = {}
        for other, wish in beside[piece].items():
            root = _root(parent, other)
            if root != piece:
                wishes[root] = wishes.get(root, 0.0) + wish
        if not wishes:
            continue
        keeper = max(wishes, key=lambda root: (wishes[root], -root))
        parent[piece] = keeper
        if needy[keeper]:
            for other, wish in wishes.items():
                beside[keeper][other] = beside[keeper].get(other, 0.0) + wish
    return np.array([_root(parent, k) for k in range(len(parent))], dtype=np.int64)


def _root(parent: Ints, piece: int) -> int:
    while parent[piece] != piece:
        parent[piece] = parent[parent[piece]]
        piece = int(parent[piece])
    return piece


def unions(shapes: Shapes, into: Ints) -> tuple[Ints, Shapes]:
    """Return the labels, sorted, and for each the union of its shapes, which border one another."""
    roots, inverse, count = np.unique(into, return_inverse=True, return_counts=True)
    made = np.empty(len(roots), dtype=object)
    single = count[inverse] == 1
    made[inverse[single]] = shapes[single]
    order = np.argsort(inverse, kind="stable")
    begins = np.searchsorted(inverse[order], np.arange(len(roots) + 1))
    for number in np.flatnonzero(count > 1).tolist():
        chosen = order[begins[number] : begins[number + 1]]
        made[number] = shapely.coverage_union_all(shapes[chosen])
    return roots, made


def lines_of(shapes: Sequence[Any] | Shapes) -> Shapes:
    """Return lines as they are, and the outlines of areas."""
    given = np.asarray(shapes, dtype=object)
    areal = np.isin(shapely.get_type_id(given), AREAL)
    return np.where(areal, shapely.boundary(given), given)
