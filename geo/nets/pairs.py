"""Two nets beside each other: ground that one has alone, borders that match, or nearly do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.nets.overlay import Floats, Ints, Net, Overlay

M_A_KM = 1000.0
SAME_M = 1e-3
"""Borders nearer to each other than this are the same line, written by two hands."""


def pairs(nets: Sequence[Net], laid: Overlay, *, tolerance_m: float) -> pd.DataFrame:
    """Return for each pair of nets how they differ.

    Parameters
    ----------
    nets : sequence of Net
    laid : Overlay
        Of these nets.
    tolerance_m : float

    Returns
    -------
    DataFrame
        `first`, `second`; `common_m2` that both cover, `first_alone_m2`, `second_alone_m2` (gaps
        of the other); `same_border_km` of the first's borders that lie within a millimetre of the
        second's, `near_border_km` within the tolerance and not so near, `other_border_km` beyond
        it; `pieces` of their overlay, `slivers` of them thinner than the tolerance,
        `sliver_m2`.
    """
    borders = borders_of(laid, tolerance_m)
    rows = [
        _pair(laid, one, two, borders, tolerance_m)
        | {"first": nets[one].name, "second": nets[two].name}
        for one, two in combinations(range(len(nets)), 2)
    ]
    names = ["first", "second"]
    frame = pd.DataFrame(rows)
    return frame[names + [name for name in frame.columns if name not in names]]


@dataclass(frozen=True)
class Borders:
    """The borders of a net as lines, with what lies on them and what lies near them."""

    line: Any
    on: Any
    near: Any


def borders_of(laid: Overlay, tolerance_m: float) -> list[Borders]:
    """Return the borders of each net, each once; metres from the overlay's origin."""
    found = []
    for shapes in laid.shapes:
        line = shapely.union_all(shapely.boundary(shapes))
        on, near = (shapely.buffer(line, by, quad_segs=2) for by in (SAME_M, tolerance_m))
        shapely.prepare([on, near])
        found.append(Borders(line, on, near))
    return found


def _pair(
    laid: Overlay, one: int, two: int, borders: Sequence[Borders], tolerance_m: float
) -> dict[str, Any]:
    first, second = laid.owner[one], laid.owner[two]
    has, other = first >= 0, second >= 0
    line = borders[one].line
    same = float(shapely.length(shapely.intersection(line, borders[two].on)))
    near = float(shapely.length(shapely.intersection(line, borders[two].near)))
    piece, widths, there = pieces(laid, first, second)
    sizes = np.bincount(piece, weights=laid.area_m2, minlength=len(widths))
    thin = there & (widths < tolerance_m)
    return {
        "common_m2": fsum(laid.area_m2[has & other]),
        "first_alone_m2": fsum(laid.area_m2[has & ~other]),
        "second_alone_m2": fsum(laid.area_m2[other & ~has]),
        "same_border_km": same / M_A_KM,
        "near_border_km": max(near - same, 0.0) / M_A_KM,
        "other_border_km": max(float(shapely.length(line)) - near, 0.0) / M_A_KM,
        "pieces": int(there.sum()),
        "slivers": int(thin.sum()),
        "sliver_m2": fsum(sizes[thin]),
    }


def pieces(laid: Overlay, first: Ints, second: Ints) -> tuple[Ints, Floats, NDArray[np.bool_]]:
    """Return the connected pieces that two nets have alike.

    Parameters
    ----------
    laid : Overlay
    first, second : ndarray of int, shape (f,)
        The grid of each face in both nets, -1 for none.

    Returns
    -------
    piece : ndarray of int, shape (f,)
        Number of the piece that each face belongs to.
    width_m : ndarray of float, shape (p,)
        Twice the area by the perimeter of each piece.
    there : ndarray of bool, shape (p,)
        Whether either net covers it.
    """
    joined = (first[laid.left] == first[laid.right]) & (second[laid.left] == second[laid.right])
    left, right = laid.left[joined], laid.right[joined]
    shape = (len(laid.faces),) * 2
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=shape)
    count, piece = connected_components(graph, directed=False)
    size = np.bincount(piece, weights=laid.area_m2, minlength=count)
    rim = np.bincount(piece, weights=laid.perimeter_m, minlength=count)
    rim -= 2 * np.bincount(piece[left], weights=laid.length_m[joined], minlength=count)
    there = np.zeros(count, dtype=bool)
    there[piece[(first >= 0) | (second >= 0)]] = True
    return piece.astype(np.int64), 2 * size / np.maximum(rim, np.finfo(float).tiny), there
