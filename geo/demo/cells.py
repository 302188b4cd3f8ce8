"""Cells as a valid coverage: shared vertices, and who borders whom along what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.demo.ground import METRE_SRID, Ground
from geo.topology import adjacency

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]

SNAP_M: Final = 0.01
CLEANED_AT_ONCE: Final = 120_000
REGION_M: Final = 3_000.0
MENDING_TURNS: Final = 4
MENDED_AROUND_M: Final = 30.0


@dataclass(frozen=True)
class Borders:
    """Pairs of neighbouring cells (a < b), the length of their border, and the line it lies on.

    `kind` is the kind of the ground's edge, or "ground" inside a block.
    """

    a: Ints
    b: Ints
    length_m: Floats
    kind: Array


def as_coverage(cells: Array, cell_block: Ints, ground: Ground) -> Array:
    """Return `cells` with identical vertices along shared borders, in whole millimetres.

    Cleaning takes 6 kB a cell, so a large city is cleaned region by region, and then once more
    where regions meet.

    Parameters
    ----------
    cells : ndarray of Polygon, shape (n,)
        Nearly a coverage: borders agree to `SNAP_M`.
    cell_block : ndarray of int, shape (n,)
        Block of each cell.
    ground : Ground

    Returns
    -------
    ndarray of Polygon, shape (n,)

    Raises
    ------
    AssertionError
        If a cell was lost or the result is not a coverage.
    """
    if len(cells) <= CLEANED_AT_ONCE:
        clean = _cleaned(cells)
    else:
        region, rim = _regions(ground)
        clean = cells.copy()
        for number in range(int(region.max()) + 1):
            chosen = region[cell_block] == number
            clean[chosen] = _cleaned(clean[chosen])
        clean[rim[cell_block]] = _cleaned(clean[rim[cell_block]])
        clean = _mended(clean)
    if not shapely.coverage_is_valid(clean):
        raise AssertionError("cells are not a coverage after cleaning")
    return clean


def _mended(cells: Array) -> Array:
    """Clean once more around the places where regions and their rim do not agree."""
    tree = None
    for _ in range(MENDING_TURNS):
        edges = shapely.coverage_invalid_edges(cells)
        wrong = edges[~shapely.is_empty(edges)]
        if not len(wrong):
            break
        tree = tree or shapely.STRtree(cells)
        near = np.unique(tree.query(wrong, predicate="dwithin", distance=MENDED_AROUND_M)[1])
        cells[near] = _cleaned(cells[near])
    return cells


def _cleaned(cells: Array) -> Array:
    clean = shapely.coverage_clean(cells, snapping_distance=SNAP_M)
    rounded = shapely.transform(clean, lambda points: np.round(points, 3))
    if not (shapely.get_type_id(rounded) == 3).all() or not shapely.is_valid(rounded).all():
        raise AssertionError("cleaning lost or tore a cell")
    return np.asarray(rounded, dtype=object)


def _regions(ground: Ground) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the region (square of `REGION_M`) of each block, and which touch another region."""
    place = shapely.get_coordinates(shapely.centroid(ground.blocks))
    squares = np.floor(place / REGION_M).astype(np.int64)
    region = np.unique(squares, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    inside = (ground.left >= 0) & (ground.right >= 0)
    left, right = ground.left[inside], ground.right[inside]
    apart = region[left] != region[right]
    rim = np.zeros(len(region), dtype=np.bool_)
    rim[left[apart]] = rim[right[apart]] = True
    return region, rim


def borders_of(cells: Array, cell_block: Ints, ground: Ground) -> Borders:
    """Return the joining borders between cells of a valid coverage.

    Parameters
    ----------
    cells : ndarray of Polygon, shape (n,)
        A valid coverage, metres, whole millimetres.
    cell_block : ndarray of int, shape (n,)
        Block of each cell.
    ground : Ground
        Whose edges name the lines between blocks.
    """
    found = adjacency(gpd.GeoSeries(cells, crs=METRE_SRID))
    kinds = _kinds(cell_block[found.left], cell_block[found.right], ground)
    return Borders(found.left, found.right, found.length_m, kinds)


def _kinds(block_a: Ints, block_b: Ints, ground: Ground) -> Array:
    """Kind of line between two blocks (the longest, where several are)."""
    inside = (ground.left >= 0) & (ground.right >= 0)
    left, right, length = ground.left[inside], ground.right[inside], ground.length_m[inside]
    count = len(ground.blocks)
    key = np.minimum(left, right) * count + np.maximum(left, right)
    order = np.lexsort((-length, key))
    keys, first = np.unique(key[order], return_index=True)
    longest = ground.kind[inside][order][first]
    wanted = np.minimum(block_a, block_b) * count + np.maximum(block_a, block_b)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = (keys[at] == wanted) & (block_a != block_b)
    return np.where(found, longest[at], "ground")
