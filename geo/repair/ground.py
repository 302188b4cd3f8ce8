"""The ground that delivered areas draw: its smallest faces, whose they are, and who takes each.

All borders of the areas concerned are cut at their crossings; what lies between them are faces. A
face that one area covers is its own, one that several cover is an overlap, one that none covers is
a gap. A repair gives each face to one area, so nothing can be counted twice or be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.repair.account import Shapes, representable
from geo.topology import shared_edges

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROUNDS: Final = 4
NOBODY: Final = -1
FOREIGN: Final = -2
"""Ground of areas that are not concerned, enclosed by some that are."""


@dataclass(frozen=True)
class Ground:
    """Faces, who covers them, and which of them border on each other.

    Attributes
    ----------
    faces : ndarray of Polygon, shape (f,)
    area_m2 : ndarray of float, shape (f,)
    owners : list of tuple of int, length f
        Positions of the areas that cover the face, ascending; `(FOREIGN,)` for ground of others.
    around : list of dict, length f
        Neighbouring face -> length of the common border in metres.
    narrow : ndarray of bool, shape (f,)
        Whether the face is a gap or an overlap narrower than the limit everywhere.
    """

    faces: Shapes
    area_m2: Floats
    owners: list[tuple[int, ...]]
    around: list[dict[int, float]]
    narrow: NDArray[np.bool_]


@dataclass
class Settlement:
    """Who takes each face, and why: `keeper` per face (`NOBODY` for ground left out), `why`."""

    keeper: list[int]
    why: list[str]


def concerned(shapes: Shapes, origin: Floats) -> Ints:
    """Return the positions of areas that do not match, border on a gap, or contain such areas."""
    wrong = ~shapely.is_empty(shapely.coverage_invalid_edges(shapes))
    edges = shared_edges(shapes)
    tree = shapely.STRtree(shapes)
    if len(edges.single):
        ends = np.sort(np.column_stack([edges.tail, edges.head])[edges.single], axis=1)
        lines = shapely.linestrings(edges.xy[np.unique(ends, axis=0)])
        holes = _faces(lines, origin)
        if len(holes):
            empty = np.ones(len(holes), dtype=bool)
            empty[tree.query(shapely.point_on_surface(holes), predicate="intersects")[0]] = False
            wrong[tree.query(holes[empty], predicate="intersects")[1]] = True
    if not wrong.any():
        return np.empty(0, dtype=np.int64)
    wrong[tree.query(shapes[wrong], predicate="within")[1]] = True
    return np.flatnonzero(wrong)


def widened(shapes: Shapes, after: Shapes, chosen: Ints) -> Ints:
    """Return `chosen` and, where a result still does not match, what lies around that place."""
    standing = np.flatnonzero(~shapely.is_empty(after))
    wrong = standing[~shapely.is_empty(shapely.coverage_invalid_edges(after[standing]))]
    around = shapely.STRtree(shapes).query(shapes[wrong], predicate="intersects")[1]
    return np.union1d(chosen, around)


def _faces(lines: Shapes, origin: Floats) -> Shapes:
    """Cut lines at their crossings; return what they enclose."""
    noded = shapely.union_all(lines)
    for _ in range(ROUNDS):
        rounded = representable(noded, origin)
        if shapely.equals_identical(rounded, noded):
            break
        noded = shapely.union_all(shapely.get_parts(rounded))
    return np.asarray(shapely.get_parts(shapely.polygonize(shapely.get_parts(noded))), dtype=object)


def cut(shapes: Shapes, chosen: Ints, narrow_m: float, origin: Floats) -> Ground:
    """Return the faces between the borders of the chosen areas.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
        Valid, metres.
    chosen : ndarray of int
        Areas concerned; the others' ground is not touched.
    narrow_m : float
    origin : ndarray of float, shape (2,)

    Returns
    -------
    Ground
    """
    faces = _faces(shapely.boundary(shapes[chosen]), origin)
    points = shapely.point_on_surface(faces)
    face, cover = shapely.STRtree(shapes).query(points, predicate="intersects")
    among = np.isin(cover, chosen)
    owners: list[tuple[int, ...]] = [()] * len(faces)
    for at in np.unique(face[~among]).tolist():
        owners[at] = (FOREIGN,)
    order = np.lexsort((cover[among], face[among]))
    own_face, own_cover = face[among][order], cover[among][order]
    starts = np.unique(own_face, return_index=True)[1]
    for at, group in zip(
        own_face[starts].tolist(),
        np.split(own_cover, starts[1:]) if len(starts) else [],
        strict=True,
    ):
        owners[at] = tuple(group.tolist())
    contested = np.array([len(who) != 1 for who in owners], dtype=bool)
    narrow = np.zeros(len(faces), dtype=bool)
    narrow[contested] = shapely.is_empty(
        shapely.buffer(faces[contested], -narrow_m / 2, quad_segs=2)
    )
    return Ground(faces, shapely.area(faces), owners, _around(faces), narrow)


def _around(faces: Shapes) -> list[dict[int, float]]:
    edges = shared_edges(faces)
    one, two = edges.owner[edges.left], edges.owner[edges.right]
    delta = edges.xy[edges.tail[edges.left]] - edges.xy[edges.head[edges.left]]
    pairs, inverse = np.unique(np.column_stack([one, two]), axis=0, return_inverse=True)
    length = np.bincount(inverse.ravel(), weights=np.hypot(*delta.T), minlength=len(pairs))
    around: list[dict[int, float]] = [{} for _ in range(len(faces))]
    for (left, right), metres in zip(pairs.tolist(), length.tolist(), strict=True):
        around[left][right] = around[left].get(right, 0.0) + metres
        around[right][left] = around[right].get(left, 0.0) + metres
    return around


def settle(
    ground: Ground, sizes_m2: Floats, decided: Mapping[int, int], tiny: float = 1e-6
) -> Settlement:
    """Give each face to one area.

    In this order: what a person decided; ground that one area covers; an area that lies wholly on
    others keeps its ground, the smaller one first; an overlap goes to the area with the longest
    border to it; a narrow gap likewise, wider ones to nobody.

    Parameters
    ----------
    ground : Ground
    sizes_m2 : ndarray of float, shape (n,)
        Areas of all shapes.
    decided : mapping of int to int
        Face -> position of the area that takes it, or `NOBODY`.
    tiny : float
        Share of an area below which it has no ground of its own.

    Returns
    -------
    Settlement
    """
    count = len(ground.faces)
    result = Settlement([NOBODY] * count, ["left"] * count)
    alone: dict[int, float] = {}
    for face, who in enumerate(ground.owners):
        if face in decided:
            result.keeper[face], result.why[face] = decided[face], "decided"
        elif len(who) == 1:
            result.keeper[face], result.why[face] = who[0], "own"
            alone[who[0]] = alone.get(who[0], 0.0) + float(ground.area_m2[face])
    open_faces = [f for f, who in enumerate(ground.owners) if len(who) > 1 and f not in decided]
    for face in open_faces:
        inside = [a for a in ground.owners[face] if alone.get(a, 0.0) <= tiny * sizes_m2[a]]
        if inside:
            first = min(inside, key=lambda a: (sizes_m2[a], a))
            result.keeper[face], result.why[face] = first, "inside"
    _by_border(ground, result, [f for f in open_faces if result.keeper[f] == NOBODY])
    gaps = [f for f, who in enumerate(ground.owners) if not who and f not in decided]
    _by_border(ground, result, [f for f in gaps if ground.narrow[f]])
    return result


def _by_border(ground: Ground, result: Settlement, waiting: list[int]) -> None:
    """Give faces to the area with the longest border, from those that have one inwards."""
    while waiting:
        chosen = {}
        for face in waiting:
            borders = _borders_of(ground, result, face)
            if borders:
                chosen[face] = max(sorted(borders), key=lambda area: borders[area])
        if not chosen:
            break
        for face, keeper in chosen.items():
            result.keeper[face], result.why[face] = keeper, "border"
        waiting = [face for face in waiting if face not in chosen]
    for face in waiting:
        if ground.owners[face]:
            result.keeper[face], result.why[face] = ground.owners[face][0], "first"


def _borders_of(ground: Ground, result: Settlement, face: int) -> dict[int, float]:
    """Return the areas that may take a face, with the length of their borders to it."""
    may = ground.owners[face]
    borders: dict[int, float] = {}
    for other, metres in ground.around[face].items():
        keeper = result.keeper[other]
        if keeper >= 0 and (not may or keeper in may):
            borders[keeper] = borders.get(keeper, 0.0) + metres
    return borders


def hand_over_fragments(ground: Ground, result: Settlement, parts: Ints, narrow_m: float) -> None:
    """Give narrow strips that an area has left beyond its neighbours to the neighbour around them.

    Parameters
    ----------
    ground, result : Ground and Settlement
        `result` is changed.
    parts : ndarray of int, shape (n,)
        How many parts each area was delivered in: so many it keeps.
    narrow_m : float
    """
    keeper = np.array(result.keeper)
    pairs = [
        (one, two)
        for one, others in enumerate(ground.around)
        for two in others
        if keeper[one] >= 0 and keeper[one] == keeper[two]
    ]
    at = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    size = len(keeper)
    graph = coo_array((np.ones(len(at), dtype=bool), (at[:, 0], at[:, 1])), (size, size))
    part = connected_components(graph, directed=False)[1]
    groups: dict[int, dict[int, list[int]]] = {}
    for face in np.flatnonzero(keeper >= 0).tolist():
        groups.setdefault(int(keeper[face]), {}).setdefault(int(part[face]), []).append(face)
    for area in sorted(groups):
        pieces = sorted(groups[area].values(), key=lambda fs: (-ground.area_m2[fs].sum(), fs))
        for faces in pieces[int(parts[area]) :]:
            _hand_over(ground, result, area, faces, narrow_m)


def _hand_over(
    ground: Ground, result: Settlement, area: int, faces: list[int], narrow_m: float
) -> None:
    whole = shapely.coverage_union_all(ground.faces[faces])
    if any(result.why[face] == "decided" for face in faces):
        return
    if not shapely.is_empty(shapely.buffer(whole, -narrow_m / 2, quad_segs=2)):
        return
    borders: dict[int, float] = {}
    for face in faces:
        for other, metres in ground.around[face].items():
            keeper = result.keeper[other]
            if keeper >= 0 and keeper != area:
                borders[keeper] = borders.get(keeper, 0.0) + metres
    if borders:
        taker = max(sorted(borders), key=lambda one: borders[one])
        for face in faces:
            result.keeper[face], result.why[face] = taker, "fragment"


def built(shapes: Shapes, ground: Ground, result: Settlement, chosen: Ints) -> Shapes:
    """Return the areas, the chosen ones made of the faces that they take."""
    faces: dict[int, list[int]] = {}
    for face, keeper in enumerate(result.keeper):
        if keeper >= 0:
            faces.setdefault(keeper, []).append(face)
    fresh = shapes.copy()
    for row in chosen.tolist():
        own = ground.faces[faces.get(row, [])]
        fresh[row] = own[0] if len(own) == 1 else shapely.coverage_union_all(own)
    return fresh
