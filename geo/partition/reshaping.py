"""Parts of a present division reshaped one by one: small ones merged, large ones divided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geo.partition.dividing import QUICK, Effort, Progress, divide
from geo.partition.graph import CellGraph, cell_graph
from geo.partition.objective import Wishes

Ints = NDArray[np.int64]


def melted(
    graph: CellGraph, today: Ints, wishes: Wishes, *, least: float, kept: Sequence[int] = ()
) -> Ints:
    """Merge parts lighter than `least` into the neighbour with which the objective is best.

    Parameters
    ----------
    graph : CellGraph
    today : ndarray of int, shape (n,)
        Present parts, from 0.
    wishes : Wishes
    least : float
        Lightest part that stays, first measure.
    kept : sequence of int
        Parts that neither melt nor grow.

    Returns
    -------
    ndarray of int, shape (n,)
        Present numbers; those of melted parts are gone. A part without neighbours stays.
    """
    labels = today.copy()
    stuck: set[int] = set(kept)
    while True:
        load = np.bincount(labels, weights=graph.weight[:, 0])
        there = np.bincount(labels) > 0
        light = [int(k) for k in np.flatnonzero(there & (load < least)) if int(k) not in stuck]
        if not light:
            return labels
        part = min(light, key=lambda k: (load[k], k))
        one = np.concatenate([graph.left, graph.right])
        two = np.concatenate([graph.right, graph.left])
        across = (labels[one] == part) & (labels[two] != part) & ~np.isin(labels[two], list(kept))
        if not across.any():
            stuck.add(part)
            continue
        border = np.bincount(labels[two[across]], weights=np.tile(graph.length_m, 2)[across])
        near = np.flatnonzero(border > 0)
        off = np.abs((load[near] + load[part]) / wishes.target[0] - 1.0)
        cost = off**2 + wishes.beyond * (off > wishes.tolerance[0])
        cost -= wishes.cut_price * border[near] / wishes.side_m(graph)
        labels[labels == part] = near[int(np.argmin(cost))]


def opened(
    graph: CellGraph,
    today: Ints,
    wishes: Wishes,
    *,
    most: float,
    kept: Sequence[int] = (),
    seed: int = 0,
    effort: Effort = QUICK,
    progress: Progress | None = None,
) -> tuple[Ints, dict[int, int]]:
    """Divide parts heavier than `most` into parts near the target; all others stay as they are.

    Parameters
    ----------
    graph : CellGraph
    today : ndarray of int, shape (n,)
        Present parts, from 0.
    wishes : Wishes
    most : float
        Heaviest part that stays, first measure.
    kept : sequence of int
        Parts that stay, however heavy.

    Returns
    -------
    labels : ndarray of int, shape (n,)
        The heaviest part of a divided one keeps its number, the others have new ones.
    origin : dict of int to int
        The part that each new number came of.
    """
    labels = today.copy()
    load = np.bincount(today, weights=graph.weight[:, 0])
    large = np.flatnonzero(load > most)
    large = large[~np.isin(large, list(kept))]
    cells = np.flatnonzero(np.isin(today, large))
    if not len(cells):
        return labels, {}
    place = np.full(graph.size, -1, dtype=np.int64)
    place[cells] = np.arange(len(cells))
    inside = (place[graph.left] >= 0) & (place[graph.right] >= 0)
    inside &= today[graph.left] == today[graph.right]
    own = cell_graph(
        graph.weight[cells], place[graph.left[inside]], place[graph.right[inside]],
        graph.length_m[inside], today[cells],
    )  # fmt: skip
    found = divide(own, wishes, seed=seed, effort=effort, progress=progress).labels
    number, origin = int(today.max()) + 1, {}
    for part in large.tolist():
        mine = today[cells] == part
        heft = np.bincount(found[mine], weights=own.weight[mine, 0])
        heaviest = int(np.argmax(heft))
        for other in np.unique(found[mine]).tolist():
            if other != heaviest:
                labels[cells[mine & (found == other)]] = number
                origin[number] = part
                number += 1
    return labels, origin
