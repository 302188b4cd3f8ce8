"""Pieces of ground put together: one planar graph of all lines, then whole cells."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.enclosures import (
    NOWHERE,
    Enclosures,
    Groups,
    absorbed,
    borders,
    common_m2,
    holders,
    inner_points,
    shared_with,
    sums,
    unions,
)
from geo.tessellation import Divided, Enclosure, divide_all, rim_edges, split_edges

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shapes = NDArray[Any]
Progress = Callable[[str, float], None]

SHARED_M2: Final = 1.0
"""Parts that overlap by more share a cell."""
CLOSE_M: Final = 1.6
"""Between buildings that are nearer to each other, the walls themselves are the border."""
SHRINKS_M: Final = (0.3, 0.15, 0.05)
"""How far sites stand behind such walls: the first that loses less than `LOST_SHARE` of a shape."""
LOST_SHARE: Final = 0.1
NEAR_M: Final = 9.0
SPACING_M: Final = (1.5, 3.0)
WAVE_M: Final = 0.1
"""How far the line between two rows of sites may swing where they are not close."""
CHUNK: Final = 1_000
"""Buildings handed to a process at a time."""
WORTH_PROCESSES: Final = 4_000
DIVIDE: Final = "divide the ground"


@dataclass(frozen=True)
class Joined:
    """Cells near the origin.

    Attributes
    ----------
    shapes : ndarray of Polygon, shape (n,)
        A valid coverage of the enclosures.
    enclosure : ndarray of int, shape (n,)
    group_cell : ndarray of int, shape (groups,)
        Cell of each group, `NOWHERE` for groups without a home.
    inside_m2 : ndarray of float, shape (groups,)
        How much of each group lies in its cell.
    edge, place : ndarray, shape (m, 4) and (m, 2)
        Edges of the enclosures' rims that got a place between their ends, and that place.
    """

    shapes: Shapes
    enclosure: Ints
    group_cell: Ints
    inside_m2: Floats
    edge: Floats
    place: Floats


@dataclass(frozen=True)
class _Faces:
    shapes: Shapes
    inner: Shapes
    enclosure: Ints


def grouped(shapes: Shapes, apart: Ints | None = None) -> tuple[Groups, Ints]:
    """Put buildings that overlap by more than `SHARED_M2` into one group.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
    apart : ndarray of int, shape (n,), optional
        Buildings with different numbers are never put together.

    Returns
    -------
    tuple
        Groups, and the group of each building.
    """
    left, right = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pair = left < right if apart is None else (left < right) & (apart[left] == apart[right])
    left, right = left[pair], right[pair]
    over = common_m2(shapes, shapes, left, right) > SHARED_M2
    group = _components(len(shapes), left[over], right[over])
    parts, building = shapely.get_parts(shapes, return_index=True)
    least = np.full(int(group.max(initial=-1)) + 1, np.inf)
    np.minimum.at(least, group, shapely.area(shapes))
    return Groups(parts, group[building], len(least), least), group


def _components(count: int, left: Ints, right: Ints) -> Ints:
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def cells_of_groups(
    ground: Enclosures, groups: Groups, processes: int | None, progress: Progress
) -> Joined:
    """Divide each enclosure among the groups that are at home in it.

    Parameters
    ----------
    ground : Enclosures
    groups : Groups
    processes : int, optional
        Default as many as there are cores; few buildings start none.
    progress : callable

    Returns
    -------
    Joined
        In the order of the areas, from the north-west; whatever the number of processes.
    """
    divided = _divided(list(_work(ground, groups)), processes, progress)
    progress("put cells together", 0.0)
    edge = np.concatenate([np.empty((0, 4)), *(each.edge for each in divided)])
    place = np.concatenate([np.empty((0, 2)), *(each.place for each in divided)])
    rim = rim_edges(shapely.get_rings(ground.ground))
    lines = [split_edges(rim, edge, place), *(each.lines for each in divided)]
    shapes = shapely.get_parts(shapely.polygonize(np.concatenate(lines)))
    inner = inner_points(shapes)
    enclosure = holders(ground.ground, inner)
    kept = enclosure >= 0
    faces = _Faces(shapes[kept], inner[kept], enclosure[kept])
    progress("put cells together", 0.3)
    joined = _joined(faces, ground, groups, edge, place)
    progress("put cells together", 1.0)
    return joined


def _several(ground: Enclosures) -> NDArray[np.bool_]:
    at_home = ground.home[ground.home >= 0]
    return np.asarray(np.bincount(at_home, minlength=len(ground.ground)) > 1)


def _work(ground: Enclosures, groups: Groups) -> Iterator[Enclosure]:
    """Yield the enclosures in which several groups stand, with what is needed to divide them."""
    home = ground.home[groups.group]
    chosen = np.flatnonzero((home >= 0) & _several(ground)[home])
    chosen = chosen[np.lexsort((chosen, home[chosen]))]
    shapes, group, home = groups.shapes[chosen], groups.group[chosen], home[chosen]
    gap = _gaps(shapes, group, home)
    sites, behind = _behind_walls(shapes, gap)
    spacing = np.clip(np.sqrt(8 * WAVE_M * (gap + 2 * behind)), *SPACING_M)
    numbers, begins = np.unique(home, return_index=True)
    ends = [*begins[1:].tolist(), len(home)]
    for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends, strict=False):
        rows = np.arange(begin, end)
        close = shapes[rows][gap[rows] < CLOSE_M]
        yield Enclosure(ground.ground[number], sites[rows], group[rows], spacing[rows], close)


def _gaps(shapes: Shapes, group: Ints, home: Ints) -> Floats:
    """Return how far each shape is from the nearest of another group in its enclosure."""
    left, right = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=NEAR_M)
    other = (left < right) & (group[left] != group[right]) & (home[left] == home[right])
    left, right = left[other], right[other]
    apart = shapely.distance(shapes[left], shapes[right])
    gap = np.full(len(shapes), NEAR_M)
    np.minimum.at(gap, left, apart)
    np.minimum.at(gap, right, apart)
    return gap


def _behind_walls(shapes: Shapes, gap: Floats) -> tuple[Shapes, Floats]:
    """Return shapes drawn in where they nearly touch others, and by how much."""
    sites, behind = shapes.copy(), np.zeros(len(shapes))
    waiting = np.flatnonzero(gap < CLOSE_M)
    for shrink_m in SHRINKS_M:
        whole = shapes[waiting]
        drawn = shapely.buffer(whole, -shrink_m, join_style="mitre")
        again = shapely.area(shapely.buffer(drawn, shrink_m, join_style="mitre"))
        kept = again >= (1.0 - LOST_SHARE) * shapely.area(whole)
        sites[waiting[kept]], behind[waiting[kept]] = drawn[kept], shrink_m
        waiting = waiting[~kept]
    return sites, behind


def _divided(work: list[Enclosure], processes: int | None, progress: Progress) -> list[Divided]:
    """Divide all enclosures, in their order, in several processes where that is worth while."""
    chunks = list(_chunks(work))
    cores = min(processes or os.cpu_count() or 1, max(len(chunks), 1))
    found: list[list[Divided]] = [[] for _ in chunks]
    progress(DIVIDE, 0.0)
    if cores == 1 or sum(len(each.shapes) for each in work) < WORTH_PROCESSES:
        for number, chunk in enumerate(chunks):
            found[number] = divide_all(chunk)
            progress(DIVIDE, (number + 1) / len(chunks))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(cores, mp_context=context) as pool:
            waiting = {pool.submit(divide_all, chunk): k for k, chunk in enumerate(chunks)}
            try:
                for count, done in enumerate(as_completed(waiting), 1):
                    found[waiting[done]] = done.result()
                    progress(DIVIDE, count / len(chunks))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [one for each in found for one in each]


def _chunks(work: list[Enclosure]) -> Iterator[list[Enclosure]]:
    chunk: list[Enclosure] = []
    size = 0
    for enclosure in work:
        chunk.append(enclosure)
        size += len(enclosure.shapes)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _joined(
    faces: _Faces, ground: Enclosures, groups: Groups, edge: Floats, place: Floats
) -> Joined:
    """Join the pieces that belong to one group; scraps go to the neighbour they border longest."""
    group, face, common = shared_with(faces.shapes, groups)
    own = ground.home[group] == faces.enclosure[face]
    group, face, common = group[own], face[own], common[own]
    main = np.full(groups.count, NOWHERE, dtype=np.int64)
    order = np.lexsort((-face, common, group))
    main[group[order]] = face[order]
    label = _labels(faces, ground, groups, main, (group, face, common))
    part, into = _parts(faces, label, main)
    roots, shapes = unions(faces.shapes, into[part])
    enclosure = faces.enclosure[np.unique(part, return_index=True)[1][roots]]
    rank, shapes = _in_order(shapes, ground.area[enclosure])
    cell_of_face = rank[np.searchsorted(roots, into[part])]
    cell = np.where(main >= 0, cell_of_face[main], NOWHERE)
    held = cell_of_face[face] == cell[group]
    inside = sums(group[held], common[held], groups.count)
    return Joined(shapes, enclosure[np.argsort(rank)], cell, inside, edge, place)


def _parts(faces: _Faces, label: Ints, main: Ints) -> tuple[Ints, Ints]:
    """Return the connected part that each face belongs to, and what part each part goes into."""
    left, right, length = borders(faces.shapes)
    within = faces.enclosure[left] == faces.enclosure[right]
    left, right, length = left[within], right[within], length[within]
    same = label[left] == label[right]
    part = _components(len(faces.shapes), left[same], right[same])
    first = np.unique(part, return_index=True)[1]
    seeded = np.zeros(len(first), dtype=np.bool_)
    seeded[part[main[main >= 0]]] = True
    of_part = faces.enclosure[first]
    alone = np.bincount(of_part)[of_part] == 1
    size = sums(part, shapely.area(faces.shapes), len(first))
    return part, absorbed(size, (part[left], part[right], length), ~seeded & ~alone)


def _in_order(shapes: Shapes, area: Ints) -> tuple[Ints, Shapes]:
    """Return the new place of each cell, and the cells in normal form at their new places."""
    bounds = shapely.bounds(shapes)
    order = np.lexsort((bounds[:, 1], bounds[:, 0], -bounds[:, 3], area))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank, shapely.normalize(shapes[order])


def _labels(
    faces: _Faces,
    ground: Enclosures,
    groups: Groups,
    main: Ints,
    common: tuple[Ints, Ints, Floats],
) -> Ints:
    """Return the group that each face belongs to: its building, or the nearest of the enclosure."""
    group, face, ground_m2 = common
    label = np.full(len(faces.shapes), NOWHERE, dtype=np.int64)
    mostly = ground_m2 > 0.5 * shapely.area(faces.shapes[face])
    label[face[mostly]] = group[mostly]
    settled = np.flatnonzero(main >= 0)[::-1]
    label[main[settled]] = settled
    waiting = np.flatnonzero((label == NOWHERE) & _several(ground)[faces.enclosure])
    home = ground.home[groups.group]
    at, part = shapely.STRtree(groups.shapes).query_nearest(faces.inner[waiting], all_matches=False)
    fits = home[part] == faces.enclosure[waiting[at]]
    label[waiting[at[fits]]] = groups.group[part[fits]]
    for number in waiting[at[~fits]].tolist():
        near = np.flatnonzero(home == faces.enclosure[number])
        apart = shapely.distance(groups.shapes[near], faces.inner[number])
        label[number] = groups.group[near[int(np.argmin(apart))]]
    return label
