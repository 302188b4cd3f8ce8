"""Cells as a valid coverage: shared vertices, and who borders whom along what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.demo.ground import ROUND_M, Ground, node_numbers
from geo.terms import JOINING_BORDER_M

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]

SNAP_M: Final = 0.01


@dataclass(frozen=True)
class Borders:
    """Pairs of neighbouring cells (a < b), the length of their border, and the line it lies on.

    `kind` is the kind of the ground's edge, or "ground" inside a block.
    """

    a: Ints
    b: Ints
    length_m: Floats
    kind: Array


def as_coverage(cells: Array) -> Array:
    """Return `cells` with identical vertices along shared borders, in whole millimetres.

    Parameters
    ----------
    cells : ndarray of Polygon, shape (n,)
        Nearly a coverage: borders agree to `SNAP_M`.

    Returns
    -------
    ndarray of Polygon, shape (n,)

    Raises
    ------
    AssertionError
        If a cell was lost or the result is not a coverage.
    """
    clean = shapely.coverage_clean(cells, snapping_distance=SNAP_M)
    rounded = shapely.transform(clean, lambda points: np.round(points, 3))
    if not (shapely.get_type_id(rounded) == 3).all() or not shapely.is_valid(rounded).all():
        raise AssertionError("cleaning lost or tore a cell")
    if not shapely.coverage_is_valid(rounded):
        raise AssertionError("cells are not a coverage after cleaning")
    return np.asarray(rounded, dtype=object)


def borders_of(cells: Array, cell_block: Ints, ground: Ground) -> Borders:
    """Return the borders of `JOINING_BORDER_M` or more between cells of a valid coverage.

    Parameters
    ----------
    cells : ndarray of Polygon, shape (n,)
        A valid coverage, metres, whole millimetres.
    cell_block : ndarray of int, shape (n,)
        Block of each cell.
    ground : Ground
        Whose edges name the lines between blocks.
    """
    ring, owner = shapely.get_rings(cells, return_index=True)
    points, of_ring = shapely.get_coordinates(ring, return_index=True)
    number = node_numbers(points, ROUND_M)
    inner = of_ring[:-1] == of_ring[1:]
    start, stop = number[:-1][inner], number[1:][inner]
    step = np.hypot(*(points[1:] - points[:-1])[inner].T)
    holder = owner[of_ring[:-1]][inner]
    key = np.minimum(start, stop) * (int(number.max()) + 1) + np.maximum(start, stop)
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order][:-1] == key[order][1:])
    one, other = order[twin], order[twin + 1]
    a = np.minimum(holder[one], holder[other])
    b = np.maximum(holder[one], holder[other])
    pair, inverse = np.unique(a * len(cells) + b, return_inverse=True)
    length = np.asarray(np.bincount(inverse, weights=step[one]), dtype=np.float64)
    long_enough = length >= JOINING_BORDER_M
    first, second = (pair // len(cells))[long_enough], (pair % len(cells))[long_enough]
    kinds = _kinds(cell_block[first], cell_block[second], ground)
    return Borders(first, second, length[long_enough], kinds)


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
