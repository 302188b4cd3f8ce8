"""The exact optimum of small parents: all connected parts, and the best choice of them by HiGHS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from geo.partition import CellGraph, Wishes
from geo.partition.graph import Piece, pieces

Ints = NDArray[np.int64]
MOST_CELLS: Final = 20


def optimum(graph: CellGraph, wishes: Wishes) -> Ints:
    """Return a division that no other has a lower objective than, proven.

    Parameters
    ----------
    graph : CellGraph
        Connected pieces of at most 20 cells: a piece of n has up to 2 ** n connected parts.
    wishes : Wishes

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    ValueError
        If a piece is larger.
    RuntimeError
        If the solver did not prove an optimum.
    """
    labels = np.empty(graph.size, dtype=np.int64)
    for piece in pieces(graph, wishes.prices(graph)):
        labels[piece.cells] = _best(piece, wishes) + piece.number * graph.size
    return labels


def _best(piece: Piece, wishes: Wishes) -> Ints:
    size = len(piece.cells)
    if size > MOST_CELLS:
        raise ValueError(f"A piece of {size} cells: at most {MOST_CELLS} are solved exactly.")
    near = [piece.net.near[a:b] for a, b in zip(piece.net.begin, piece.net.begin[1:], strict=False)]
    parts = list(connected(near))
    inside = np.array([[part >> k & 1 for k in range(size)] for part in parts], dtype=bool)
    chosen = milp(
        _costs(piece, wishes, inside),
        constraints=LinearConstraint(coo_array(inside.T.astype(float)).tocsc(), 1.0, 1.0),
        integrality=np.ones(len(parts)),
        bounds=Bounds(0.0, 1.0),
        options={"mip_rel_gap": 0.0},
    )
    if not chosen.success:
        raise RuntimeError(f"HiGHS proved nothing: {chosen.message}")
    return np.argmax(inside[chosen.x > 0.5], axis=0).astype(np.int64)


def _costs(piece: Piece, wishes: Wishes, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what each part costs by the formula of `Wishes`, with half of its borders."""
    load = inside.astype(float) @ piece.net.weight
    x, tolerance = np.abs(load / np.array(wishes.target) - 1.0), np.array(wishes.tolerance)
    cost = x**2 + np.where(
        x > tolerance + 1e-12, wishes.beyond + wishes.slope * (x - tolerance), 0.0
    )
    alone = (inside.sum(axis=1) == 1) & (load[:, 0] > wishes.target[0])
    own = np.where(alone, 0.0, cost @ np.array(wishes.share))
    tail = np.repeat(np.arange(len(piece.cells)), np.diff(piece.net.begin))
    leaving = inside[:, tail] & ~inside[:, piece.net.near]
    return np.asarray(own + 0.5 * (leaving @ piece.net.price), dtype=np.float64)


def connected(near: list[Ints]) -> Iterator[int]:
    """Yield each connected set of cells once, as a number whose bits are its cells."""
    around = [sum(1 << int(k) for k in set(one.tolist())) for one in near]
    for root in range(len(near)):
        larger = -1 << (root + 1)
        waiting = [(1 << root, around[root] & larger, larger & ~around[root])]
        while waiting:
            part, border, free = waiting.pop()
            yield part
            while border:
                lowest = border & -border
                border ^= lowest
                found = around[lowest.bit_length() - 1] & free
                waiting.append((part | lowest, border | found, free & ~found))
