"""Two nets beside each other: ground that one has alone, borders that match, or nearly do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import fsum
from typing import Any

import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.nets.overlay import Floats, Ints, Net, Overlay, Shapes

M_A_KM = 1000.0


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
        of the other); `same_border_km` where borders are the same line, `near_border_km` of the
        first that run within the tolerance of the second and are not the same, `other_border_km`
        beyond it; `pieces` of their overlay, `slivers` of them thinner than the tolerance,
        `sliver_m2`.
    """
    lines = [_line(shapes) for shapes in laid.shapes]
    belts = [shapely.buffer(line, tolerance_m, quad_segs=2) for line in lines]
    for belt in belts:
        shapely.prepare(belt)
    rows = [
        _pair(laid, one, two, lines, belts, tolerance_m)
        | {"first": nets[one].name, "second": nets[two].name}
        for one, two in combinations(range(len(nets)), 2)
    ]
    names = ["first", "second"]
    frame = pd.DataFrame(rows)
    return frame[names + [name for name in frame.columns if name not in names]]


def _line(shapes: Shapes) -> Any:
    return shapely.union_all(shapely.boundary(shapes))


def _pair(
    laid: Overlay, one: int, two: int, lines: list[Any], belts: list[Any], tolerance_m: float
) -> dict[str, Any]:
    first, second = laid.owner[one], laid.owner[two]
    has, other = first >= 0, second >= 0
    differs = [owner[laid.left] != owner[laid.right] for owner in (first, second)]
    rim = laid.perimeter_m - _shared(laid)
    same = fsum(laid.length_m[differs[0] & differs[1]]) + fsum(rim[has & other])
    near = float(shapely.length(shapely.intersection(lines[one], belts[two])))
    sizes, widths = _pieces(laid, first, second)
    thin = widths < tolerance_m
    return {
        "common_m2": fsum(laid.area_m2[has & other]),
        "first_alone_m2": fsum(laid.area_m2[has & ~other]),
        "second_alone_m2": fsum(laid.area_m2[other & ~has]),
        "same_border_km": same / M_A_KM,
        "near_border_km": max(near - same, 0.0) / M_A_KM,
        "other_border_km": max(float(shapely.length(lines[one])) - near, 0.0) / M_A_KM,
        "pieces": len(sizes),
        "slivers": int(thin.sum()),
        "sliver_m2": fsum(sizes[thin]),
    }


def _shared(laid: Overlay) -> Floats:
    """Return how much of its border each face shares; the rest is the rim of everything."""
    shared = np.zeros(len(laid.faces))
    np.add.at(shared, laid.left, laid.length_m)
    np.add.at(shared, laid.right, laid.length_m)
    return shared


def _pieces(laid: Overlay, first: Ints, second: Ints) -> tuple[Any, Any]:
    """Return size and width of each connected piece that two nets have alike."""
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
    return size[there], 2 * size[there] / np.maximum(rim[there], np.finfo(float).tiny)
