"""Coarse parts: several quick divisions laid over each other make few cells to anneal on.

What many multilevel divisions agree on is one cell; their borders together are the choices. A chain
on these finds a better mix of borders than any of them has, and single cells smooth it afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from geo.partition.graph import Piece, components
from geo.partition.state import Net

Ints = NDArray[np.int64]


def overlaid(piece: Piece, divisions: Sequence[Ints]) -> tuple[Piece, Ints]:
    """Return a piece whose cells are the ground on which all divisions agree.

    Parameters
    ----------
    piece : Piece
        Cells that all may move; what they are today is not kept.
    divisions : sequence of ndarray of int, shape (n,)
        Parts of each cell; they may lie in pieces.

    Returns
    -------
    piece : Piece
        One cell for each connected piece of cells that no division parts; weights and the prices
        of borders are sums.
    node : ndarray of int, shape (n,)
        Its cell for each cell of the given piece.
    """
    net = piece.net
    size = len(net.begin) - 1
    tail, head = np.repeat(np.arange(size), np.diff(net.begin)), net.near
    same = np.ones(len(head), dtype=np.bool_)
    for division in divisions:
        same &= division[tail] == division[head]
    node = components(size, tail[same], head[same])
    count = int(node.max(initial=-1)) + 1
    one, two = node[tail], node[head]
    out = one != two
    price = coo_array((net.price[out], (one[out], two[out])), shape=(count, count)).tocsr()
    price.sum_duplicates()
    price.sort_indices()
    weight = np.zeros((count, net.weight.shape[1]))
    np.add.at(weight, node, net.weight)
    coarse = Net(
        begin=price.indptr.astype(np.int64),
        near=price.indices.astype(np.int64),
        price=price.data.astype(np.float64),
        weight=weight,
        movable=np.ones(count, dtype=np.bool_),
        start=np.full(count, -1, dtype=np.int64),
    )
    return Piece(piece.number, piece.parent, np.arange(count), coarse), node
