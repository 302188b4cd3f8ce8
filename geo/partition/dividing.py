"""Divide parents into parts near a wished weight: chains side by side, the best one stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Event
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from geo.errors import InvalidInputError
from geo.partition import kernel
from geo.partition.graph import CellGraph, Piece, cell_graph, pieces
from geo.partition.objective import Score, Wishes, score
from geo.partition.overlay import overlaid
from geo.partition.seeds import bisected, loose
from geo.partition.state import Aim, Course, State, mend, new_state, reckon

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[str, float], None]
Answer = TypeVar("Answer")

STEP: Final = "divide"
TRIES_A_CALL: Final = 2_000_000
"""Cells tried between two looks at whether somebody cancelled."""
LONG_CELLS: Final = 400
"""Cells from which one long chain is worth more than several."""
COARSE_CELLS: Final = 100
"""Cells a part from which a division is coarse: the border counts more than single cells."""
SMALL_CELLS: Final = 20_000
"""Cells of a graph below which there is time for more chains."""
MOST_TIMES: Final = 8
TINY_CELLS: Final = 200
"""Cells of a graph that is cooled slowly: half a second then, and often the best there is."""
LAYERS: Final = 16
"""Multilevel divisions that are laid over each other for a coarse one."""
TREE_LAYERS: Final = 4
"""The same of random trees, where METIS is not installed: each of them takes longer."""
MULTILEVEL_PARTS: Final = 8
"""Parts from which a multilevel cut is one of the beginnings."""
SEED_BITS: Final = (1 << 62) - 1


@dataclass(frozen=True)
class Effort:
    """How long to look; the same effort is the same answer, on every machine.

    Attributes
    ----------
    chains : int
        Beginnings of each connected piece.
    steps : int
        Temperatures of a chain.
    sweeps, trees : float
        Tries of each cell and trees of each part at each temperature.
    """

    chains: int = 2
    steps: int = 20
    sweeps: float = 3.0
    trees: float = 1.0
    hot: float = 0.3
    cold: float = 0.003


QUICK: Final = Effort()
THOROUGH: Final = Effort(chains=4, steps=40, trees=1.5)
PATIENT: Final = Effort(steps=100, sweeps=10.0, trees=8.0, hot=0.1, cold=0.001)
COARSE: Final = Effort(chains=1, steps=150, sweeps=20.0, trees=4.0, hot=5.0, cold=0.2)
POLISH: Final = Effort(chains=1, steps=10, sweeps=3.0, trees=0.0, hot=1.0, cold=0.1)
"""The two courses of a coarse division; their temperatures are in mean prices of a border."""


@dataclass(frozen=True)
class Division:
    """A division and what is to be said of it.

    Attributes
    ----------
    labels : ndarray of int, shape (n,)
        Part of each cell, 0 .. k - 1 over all parents, in the order of their first cells.
    score : Score
        Its `units` are indexed like the labels.
    """

    labels: Ints
    score: Score


def divide(
    graph: CellGraph,
    wishes: Wishes,
    *,
    parts: int | None = None,
    seed: int = 0,
    effort: Effort = QUICK,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Division:
    """Divide every parent into contiguous parts near the target.

    Parameters
    ----------
    graph : CellGraph
    wishes : Wishes
    parts : int, optional
        Number of parts over all parents; free without it.
    seed : int, default 0
        Same graph, wishes, effort and seed, same parts, whatever the number of threads.
    effort : Effort
    threads : int, optional
        Default: one for each core.
    progress : callable, optional
        Takes the step and its share, 0 to 1; what it raises ends the work.

    Returns
    -------
    Division

    Raises
    ------
    InvalidInputError
        If so many parts cannot be made.
    """
    if graph.size == 0:
        raise InvalidInputError("There are no cells to divide.", field="cells")
    found = list(pieces(graph, wishes.prices(graph)))
    given = [None] * len(found) if parts is None else shared_parts(found, parts, wishes)
    tell = progress or (lambda step, share: None)
    over = Event()
    times = min(max(SMALL_CELLS // graph.size, 1), MOST_TIMES)
    longer = replace(effort, chains=effort.chains * times)
    if graph.size <= TINY_CELLS and effort == QUICK:
        longer = replace(PATIENT, chains=longer.chains)

    def one(number: int) -> Ints:
        return _solved(found[number], wishes, given[number], seed, longer, over)

    own = side_by_side(one, [len(piece.cells) for piece in found], threads, over, tell)
    labels = np.empty(graph.size, dtype=np.int64)
    for number, piece in enumerate(found):
        labels[piece.cells] = own[number] + number * graph.size
    return measured(graph, labels, wishes)


def measured(graph: CellGraph, labels: Ints, wishes: Wishes) -> Division:
    """Return parts numbered by parents and first cells, measured."""
    key = graph.parent * (labels.max(initial=0) + 1) + labels
    _, first, part = np.unique(key, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.lexsort((first, graph.parent[first]))] = np.arange(len(first))
    numbered = rank[part]
    return Division(numbered, score(graph, numbered, wishes))


def balanced_parts(weights: Floats, edges: Ints, lengths: Floats, n: int, seed: int = 0) -> Ints:
    """Cut a few cells, such as those of one grid, into `n` contiguous parts of even weight.

    Parameters
    ----------
    weights : ndarray of float, shape (k,)
        Households or another count from 0; where all are 0 the cells themselves are counted.
    edges : ndarray of int, shape (m, 2)
        Neighbours, each pair once.
    lengths : ndarray of float, shape (m,)
        Length of each shared border, metres.
    n : int
        Number of parts, from 1 to the number of cells.
    seed : int, default 0
        Same cells and seed, same parts.

    Returns
    -------
    ndarray of int, shape (k,)
        0 .. n - 1, in the order of the parts' first cells.

    Raises
    ------
    InvalidInputError
        If there are fewer cells than parts, or more unconnected pieces.
    """
    heavy = np.asarray(weights, dtype=np.float64)
    heavy = heavy if heavy.any() else np.ones(len(heavy))
    pairs = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    graph = cell_graph(heavy, pairs[:, 0], pairs[:, 1], lengths)
    if not 1 <= n <= graph.size:
        message = f"{graph.size} cells cannot be cut into {n} parts."
        raise InvalidInputError(message, field="parts", cells=graph.size)
    wishes = Wishes(target=(graph.total / n,), tolerance=(0.05,))
    return divide(graph, wishes, parts=n, seed=seed, effort=THOROUGH).labels


def part_range(weight: Floats, target: float, tolerance: float) -> tuple[int, int]:
    """Return the two numbers of parts that come nearest to the target.

    Cells above the target's tolerance count as parts of their own.
    """
    lumps = weight > target * (1.0 + tolerance)
    wished = float(weight[~lumps].sum()) / target
    low = int(lumps.sum()) + int(np.floor(wished))
    high = int(lumps.sum()) + int(np.ceil(wished))
    return min(max(low, 1), len(weight)), min(max(high, 1), len(weight))


def shared_parts(found: list[Piece], parts: int, wishes: Wishes) -> list[int | None]:
    """Share a number of parts out among connected pieces, so that loads come near each other.

    Raises
    ------
    InvalidInputError
        If there are more pieces than parts, or fewer cells.
    """
    sizes = np.array([len(piece.cells) for piece in found])
    if parts < len(found):
        message = f"{parts} parts cannot be made of {len(found)} pieces that do not touch: each "
        message += "is a part at least. Ask for more parts, or open barriers."
        raise InvalidInputError(message, field="parts", least=len(found))
    if parts > sizes.sum():
        message = f"{parts} parts cannot be made of {sizes.sum()} cells."
        raise InvalidInputError(message, field="parts", most=int(sizes.sum()))
    totals = np.array([float(piece.weight.sum()) for piece in found])
    given = np.ones(len(found), dtype=np.int64)
    for _ in range(parts - len(found)):
        room = given < sizes
        ahead = np.where(room, totals / np.sqrt(given * (given + 1.0)), -1.0)
        given[int(np.argmax(ahead))] += 1
    return [int(one) for one in given]


def side_by_side(
    one: Callable[[int], Answer], sizes: list[int], threads: int | None, over: Event, tell: Progress
) -> dict[int, Answer]:
    """Do the pieces in threads, large ones first; the order changes nothing in the answers."""
    own: dict[int, Answer] = {}
    total, done = max(sum(sizes), 1), 0
    order = sorted(range(len(sizes)), key=lambda number: (-sizes[number], number))
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        try:
            tell(STEP, 0.0)
            waiting = {pool.submit(one, number): number for number in order}
            while waiting:
                ready, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in ready:
                    number = waiting.pop(future)
                    own[number] = future.result()
                    done += sizes[number]
                tell(STEP, done / total)
        except BaseException:
            over.set()
            pool.shutdown(cancel_futures=True)
            raise
    return own


def _solved(
    piece: Piece, wishes: Wishes, given: int | None, seed: int, effort: Effort, over: Event
) -> Ints:
    """Return the parts of one connected piece, numbered from 0 with gaps."""
    low, high = part_range(piece.weight, wishes.target[0], wishes.tolerance[0])
    if given is not None:
        low = high = given
    if high == 1 and (given is not None or piece.weight.sum() <= 0):
        return np.zeros(len(piece.cells), dtype=np.int64)
    aim = aim_of(wishes, low, high) if given is None else aim_of(wishes, given, given, slack=0)
    if high > 1 and len(piece.cells) >= COARSE_CELLS * high:
        return _coarse(piece, aim, (low, high), seed, effort, over)
    best, least = np.zeros(len(piece.cells), dtype=np.int64), np.inf
    course = _course(piece, high, effort)
    for chain in range(course.chains):
        mixed = ((seed * 1_000_003 + piece.number) * 64 + chain) & SEED_BITS
        state = _begun(piece, aim, (low, high)[chain % 2], mixed, chain, effort)
        chained(piece, aim, state, course, over)
        if state.held[1] < least:
            best, least = state.part.copy(), float(state.held[1])
    return best


def _course(piece: Piece, parts: int, effort: Effort) -> Effort:
    """Fit an effort to a piece: many parts want one long chain, but several in small pieces."""
    if parts < MULTILEVEL_PARTS:
        return effort
    chains = effort.chains * 2 if len(piece.cells) <= LONG_CELLS else max(effort.chains // 2, 1)
    return replace(effort, chains=chains, steps=effort.steps * 3 // 2)


def _begun(piece: Piece, aim: Aim, parts: int, seed: int, chain: int, effort: Effort) -> State:
    """Return a first division: of random trees, or in every second chain by METIS."""
    state = new_state(piece.net, min(aim.most, len(piece.cells)), seed)
    if parts >= MULTILEVEL_PARTS and chain % 2:
        found = bisected(piece.net, parts, seed)
        if found is not None and _taken(piece, aim, state, found, parts):
            return state
    kernel.plant(piece.net, aim, state, parts)
    return state


def _taken(piece: Piece, aim: Aim, state: State, found: Ints, parts: int) -> bool:
    """Take a division after making its parts whole; say whether it still has so many."""
    state.part[:] = found
    mend(piece.net, state)
    reckon(piece.net, aim, state)
    return int(state.held[0]) == parts


def _coarse(
    piece: Piece, aim: Aim, range_: tuple[int, int], seed: int, effort: Effort, over: Event
) -> Ints:
    """Return the parts of a piece of which each has many cells: a chain on what layers agree on."""
    best, least = np.zeros(len(piece.cells), dtype=np.int64), np.inf
    for chain in range(max(effort.chains // 2, 1)):
        mixed = ((seed * 1_000_003 + piece.number) * 64 + chain) & SEED_BITS
        parts = range_[chain % 2]
        layers = _layers(piece, aim, parts, mixed, over)
        if over.is_set():
            return best
        rough, node = overlaid(piece, layers)
        state = new_state(rough.net, min(aim.most, len(rough.cells)), mixed)
        kernel.plant(rough.net, aim, state, parts)
        chained(rough, aim, state, _scaled(COARSE, rough, effort), over)
        fine = new_state(piece.net, min(aim.most, len(piece.cells)), mixed)
        fine.part[:] = state.part[node]
        reckon(piece.net, aim, fine)
        chained(piece, aim, fine, _scaled(POLISH, piece, effort), over)
        if fine.held[1] < least:
            best, least = fine.part.copy(), float(fine.held[1])
    return best


def _layers(piece: Piece, aim: Aim, parts: int, seed: int, over: Event) -> list[Ints]:
    """Return divisions that differ: by METIS, or of random trees where it is not installed."""
    found: list[Ints] = []
    for number in range(LAYERS):
        if over.is_set():
            break
        layer = loose(piece.net, parts, seed + number, number)
        if layer is None:
            break
        found.append(layer)
    state = new_state(piece.net, min(aim.most, len(piece.cells)), seed)
    while len(found) < TREE_LAYERS and not over.is_set():
        kernel.plant(piece.net, aim, state, parts)
        found.append(state.part.copy())
    return found


def _scaled(course: Effort, piece: Piece, effort: Effort) -> Effort:
    """Return a course whose temperatures are told in mean prices of a piece's borders."""
    price = float(piece.net.price.mean())
    steps = course.steps * effort.steps // QUICK.steps
    return replace(course, steps=steps, hot=course.hot * price, cold=course.cold * price)


def aim_of(wishes: Wishes, low: int, high: int, *, slack: int = 1) -> Aim:
    """Return the wishes as the inner loops take them."""
    return Aim(
        target=np.array(wishes.target, dtype=np.float64),
        tolerance=np.array(wishes.tolerance, dtype=np.float64),
        share=np.array(wishes.share, dtype=np.float64),
        beyond=float(wishes.beyond),
        slope=float(wishes.slope),
        least=max(low - slack, 1),
        most=high + slack,
        budget=np.inf,
        change=0.0,
    )


def chained(piece: Piece, aim: Aim, state: State, effort: Effort, over: Event) -> None:
    """Run one chain, in calls short enough for somebody to cancel between them."""
    course = Course(effort.steps, effort.sweeps, effort.trees, effort.hot, effort.cold)
    best = state.part.copy()
    state.held[3] = state.held[1]
    stride = max(int(TRIES_A_CALL / (len(best) * effort.sweeps)), 1)
    for first in range(0, effort.steps, stride):
        if over.is_set():
            return
        last = min(first + stride, effort.steps)
        kernel.anneal(piece.net, aim, state, best, course, first, last)
    state.part[:] = best
    reckon(piece.net, aim, state)
    kernel.settle(piece.net, aim, state)
