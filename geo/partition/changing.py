"""Least change: the present net made better by moving little, and small grids melted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from threading import Event
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.errors import DivisionError, InvalidInputError
from geo.partition.dividing import (
    SEED_BITS,
    Division,
    Effort,
    Progress,
    aim_of,
    chained,
    measured,
    side_by_side,
)
from geo.partition.graph import CellGraph, Piece, pieces
from geo.partition.objective import Wishes, score
from geo.partition.state import new_state, reckon

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CHANGE_PRICE: Final = 0.05
"""What moving one target's worth of weight costs, so that nothing moves for nothing."""
SHARES: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Parts of the allowed change that each piece of ground is tried with; the best mix is taken."""
GENTLE: Final = Effort(chains=1, steps=30, sweeps=6.0, trees=0.0, hot=0.06, cold=0.002)


def changed(
    graph: CellGraph,
    today: Ints,
    wishes: Wishes,
    *,
    max_change: float,
    fixed: Flags | None = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Division, dict[str, Any]]:
    """Make a present division better while little of the weight changes its part.

    Parts keep their number and get no more pieces than they have; cells move over borders one by
    one. Where ground falls into pieces, the change goes where it helps most.

    Parameters
    ----------
    graph : CellGraph
    today : ndarray of int, shape (n,)
        Present part of each cell; -1 where it has none: it joins a part beside it.
    wishes : Wishes
    max_change : float
        Share of the first measure that may be in another part than today, 0 to 1.
    fixed : ndarray of bool, shape (n,), optional
        Cells of parts that stay as they are: nothing leaves them and nothing joins them.
    seed : int, default 0
    names : sequence of str, optional
        Names of the present parts.
    threads, progress
        As for `divide`.

    Returns
    -------
    Division, dict
        The dict has `changed_weight`, `changed_share`, `cells_moved`, `cells_without_part`,
        `within_before`, `objective_before`, `was` (name of each part today).

    Raises
    ------
    DivisionError
        If no cell has a part.
    """
    if not (today >= 0).any():
        raise DivisionError("No cell lies in the present net: is it the net of another place?")
    if not 0.0 <= max_change <= 1.0:
        raise InvalidInputError("The share that may change is 0 to 1.", field="max_change")
    start = joined(graph, today)
    held = np.zeros(graph.size, np.bool_) if fixed is None else fixed
    found = list(pieces(graph, wishes.prices(graph), ~held, start))
    allowed = max_change * graph.total
    over = Event()

    def tried(number: int) -> list[tuple[float, float, Ints]]:
        piece = found[number]
        mine = max_change * float(piece.weight.sum())
        budgets = sorted(
            {min(share * mine, allowed) for share in SHARES} if len(found) > 1 else {allowed}
        )
        return [_gently(piece, wishes, budget, seed, over) for budget in (0.0, *budgets)]

    sizes = [len(piece.cells) for piece in found]
    tell = progress or (lambda step, share: None)
    answers = side_by_side(tried, sizes, threads, over, tell)
    labels = start.copy()
    for number, chosen in enumerate(
        shared_change([answers[k] for k in range(len(found))], allowed)
    ):
        labels[found[number].cells] = answers[number][chosen][2]
    return _told(graph, today, start, labels, wishes, names)


def _told(
    graph: CellGraph,
    today: Ints,
    start: Ints,
    labels: Ints,
    wishes: Wishes,
    names: Sequence[str] | None,
) -> tuple[Division, dict[str, Any]]:
    division = measured(graph, labels, wishes)
    before = score(graph, start, wishes)
    moved = (labels != today) & (today >= 0)
    weight = float(graph.weight[moved, 0].sum())
    first = np.unique(division.labels, return_index=True)[1]
    return division, {
        "changed_weight": weight,
        "changed_share": weight / graph.total if graph.total > 0 else 0.0,
        "cells_moved": int(moved.sum()),
        "cells_without_part": int((today < 0).sum()),
        "within_before": before.good,
        "objective_before": before.objective,
        "was": [str(labels[cell]) if names is None else names[labels[cell]] for cell in first],
    }


def joined(graph: CellGraph, today: Ints) -> Ints:
    """Give cells without a part to a part beside them; pieces of ground without any stay one."""
    start = today.astype(np.int64).copy()
    one = np.concatenate([graph.left, graph.right])
    two = np.concatenate([graph.right, graph.left])
    length = np.tile(graph.length_m, 2)
    while True:
        open_ = (start[one] < 0) & (start[two] >= 0)
        if not open_.any():
            break
        order = np.lexsort((two[open_], -length[open_], one[open_]))
        cell, first = np.unique(one[open_][order], return_index=True)
        start[cell] = start[two[open_][order][first]]
    lost = start < 0
    if lost.any():
        message = (
            f"{int(lost.sum())} cells touch no part of the present net: cells of another place?"
        )
        raise DivisionError(message, cells=np.flatnonzero(lost)[:20].tolist())
    return start


def _gently(
    piece: Piece, wishes: Wishes, budget: float, seed: int, over: Event
) -> tuple[float, float, Ints]:
    """Return energy, changed weight and parts of a piece after changing at most `budget`."""
    names, local = np.unique(piece.net.start, return_inverse=True)
    net = piece.net._replace(start=local.astype(np.int64))
    own = Piece(piece.number, piece.parent, piece.cells, net)
    aim = aim_of(wishes, len(names), len(names), slack=0)._replace(
        budget=float(budget) + 1e-9, change=CHANGE_PRICE / wishes.target[0]
    )
    state = new_state(net, len(names), (seed * 1_000_003 + piece.number) & SEED_BITS)
    state.part[:] = net.start
    reckon(net, aim, state)
    if budget > 0 and len(names) > 1:
        chained(own, aim, state, GENTLE, over)
    return float(state.held[1]), float(state.held[2]), names[state.part]


def shared_change(answers: list[list[tuple[float, float, Ints]]], allowed: float) -> list[int]:
    """Choose an answer for each piece, so that the change together is allowed and helps most.

    Steps along the lower hulls, those of most gain for their change first.
    """
    hulls = [_hull([(change, energy) for energy, change, _ in one]) for one in answers]
    steps = []
    for number, hull in enumerate(hulls):
        for rank, (a, b) in enumerate(pairwise(hull)):
            energy, change = answers[number][a][:2]
            less, more = answers[number][b][:2]
            steps.append(((less - energy) / max(more - change, 1e-12), number, rank, b))
    chosen = [hull[0] for hull in hulls]
    spent = sum(answers[number][one][1] for number, one in enumerate(chosen))
    stopped: set[int] = set()
    for _, number, _, better in sorted(steps):
        more = answers[number][better][1] - answers[number][chosen[number]][1]
        if number in stopped or spent + more > allowed + 1e-6:
            stopped.add(number)
            continue
        chosen[number] = better
        spent += more
    return chosen


def _hull(points: list[tuple[float, float]]) -> list[int]:
    """Return the lower convex hull from the least change on, as positions."""
    order = sorted(range(len(points)), key=lambda k: points[k])
    hull: list[int] = []
    for k in order:
        if hull and points[k][1] >= points[hull[-1]][1]:
            continue
        while len(hull) >= 2:
            (x1, y1), (x2, y2), (x3, y3) = points[hull[-2]], points[hull[-1]], points[k]
            if (y2 - y1) * (x3 - x1) >= (y3 - y1) * (x2 - x1):
                hull.pop()
            else:
                break
        hull.append(k)
    return hull
