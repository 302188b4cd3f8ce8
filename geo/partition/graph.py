"""The graph that is divided: cells with weights, borders with lengths, parents that hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.errors import InvalidInputError
from geo.partition.state import Net

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class CellGraph:
    """Cells to be divided.

    Attributes
    ----------
    weight : ndarray of float, shape (n, measures)
        What is shared out evenly, none below 0; the first measure leads.
    left, right : ndarray of int, shape (m,)
        Neighbours, each pair once. A barrier between two cells is a pair that is not there.
    length_m : ndarray of float, shape (m,)
        Length of each border in metres, above 0.
    parent : ndarray of int, shape (n,)
        Hard borders: parts never reach over two parents. Borders between parents count nothing.
    """

    weight: Floats
    left: Ints
    right: Ints
    length_m: Floats
    parent: Ints

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.weight)

    @property
    def total(self) -> float:
        """Sum of the first measure."""
        return float(self.weight[:, 0].sum())


def cell_graph(
    weight: Floats, left: Ints, right: Ints, length_m: Floats, parent: Ints | None = None
) -> CellGraph:
    """Make a graph of arrays; what is amiss is said.

    Parameters
    ----------
    weight : ndarray, shape (n,) or (n, measures)
    left, right : ndarray of int, shape (m,)
    length_m : ndarray of float, shape (m,)
    parent : ndarray of int, shape (n,), optional
        One parent for all by default. Borders between parents are left out.

    Returns
    -------
    CellGraph

    Raises
    ------
    InvalidInputError
        For weights that are negative or no numbers, lengths not above 0, positions that are not
        there, pairs that repeat.
    """
    heavy = np.array(weight, dtype=np.float64)
    heavy = np.ascontiguousarray(heavy.reshape(len(heavy), -1))
    one, two = np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)
    length = np.asarray(length_m, dtype=np.float64)
    above = np.zeros(len(heavy), np.int64) if parent is None else np.asarray(parent, np.int64)
    if not (np.isfinite(heavy).all() and (heavy >= 0).all()):
        row = int(np.flatnonzero(~(np.isfinite(heavy) & (heavy >= 0)).all(axis=1))[0])
        message = f"The weight of cell {row} is {heavy[row].tolist()}: no number from 0."
        raise InvalidInputError(message, field="weight", cell=row)
    if not (len(one) == len(two) == len(length) and len(above) == len(heavy)):
        raise InvalidInputError("Arrays of one kind differ in length.", field="left")
    if len(one) and (min(one.min(), two.min()) < 0 or max(one.max(), two.max()) >= len(heavy)):
        raise InvalidInputError("A border names a cell that is not there.", field="left")
    if not (np.isfinite(length).all() and (length > 0).all() and (one != two).all()):
        raise InvalidInputError("A border has no length, or one cell on both sides.", field="left")
    key = np.minimum(one, two) * max(len(heavy), 1) + np.maximum(one, two)
    if len(np.unique(key)) != len(key):
        raise InvalidInputError("A pair of neighbours repeats.", field="left")
    inside = above[one] == above[two]
    return CellGraph(heavy, one[inside], two[inside], length[inside], above)


def components(size: int, left: Ints, right: Ints) -> Ints:
    """Return the connected piece of each of `size` cells, numbered by their first cells."""
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(size, size))
    found: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    _, first = np.unique(found, return_index=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[found]


@dataclass(frozen=True)
class Piece:
    """A connected piece of one parent: what one chain of the solver works on.

    Attributes
    ----------
    number : int
    parent : int
    cells : ndarray of int, shape (k,)
        Positions in the graph.
    net : Net
    """

    number: int
    parent: int
    cells: Ints
    net: Net

    @property
    def weight(self) -> Floats:
        """First measure of each cell."""
        return self.net.weight[:, 0]


def pieces(
    graph: CellGraph, prices: Floats, movable: Flags | None = None, start: Ints | None = None
) -> Iterator[Piece]:
    """Yield the connected pieces of all parents, in the order of their first cells.

    Parameters
    ----------
    graph : CellGraph
    prices : ndarray of float, shape (m,)
        What cutting each border costs.
    movable : ndarray of bool, shape (n,), optional
    start : ndarray of int, shape (n,), optional
        Parts today, -1 where there is none.
    """
    piece = components(graph.size, graph.left, graph.right)
    count = int(piece.max(initial=-1)) + 1
    order = np.argsort(piece, kind="stable")
    begins = np.searchsorted(piece[order], np.arange(count + 1))
    local = np.empty(graph.size, dtype=np.int64)
    local[order] = np.arange(graph.size) - begins[piece[order]]
    tail = np.concatenate([graph.left, graph.right])
    head = np.concatenate([graph.right, graph.left])
    price = np.concatenate([prices, prices])
    by_piece = np.lexsort((local[head], local[tail], piece[tail]))
    tail, head, price = tail[by_piece], head[by_piece], price[by_piece]
    ends = np.searchsorted(piece[tail], np.arange(count + 1))
    free = np.ones(graph.size, dtype=np.bool_) if movable is None else movable
    today = np.full(graph.size, -1, dtype=np.int64) if start is None else start
    for number in range(count):
        cells = order[begins[number] : begins[number + 1]]
        span = slice(ends[number], ends[number + 1])
        degree = np.bincount(local[tail[span]], minlength=len(cells))
        net = Net(
            begin=np.concatenate([[0], np.cumsum(degree)]).astype(np.int64),
            near=local[head[span]],
            price=price[span].copy(),
            weight=graph.weight[cells],
            movable=free[cells],
            start=today[cells],
        )
        yield Piece(number, int(graph.parent[cells[0]]), cells, net)
