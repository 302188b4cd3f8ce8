"""What the inner loops work on: one piece as arrays, what is wished, a division, its cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Called = TypeVar("Called", bound=Callable[..., Any])

ZERO: Any = np.int64(0)
ONE: Any = np.int64(1)
NONE: Any = np.int64(-1)
"""With a type of their own: a plain number as an argument has a function compiled once more."""


def compiled(function: Called) -> Called:
    """Compile a function once for this machine; its threads run side by side."""
    made: Any = numba.njit(cache=True, nogil=True)(function)
    return cast(Called, made)


class Net(NamedTuple):
    """The cell graph of one parent, as compressed rows.

    Attributes
    ----------
    begin : ndarray of int, shape (n + 1,)
    near : ndarray of int, shape (2 m,)
        Neighbours of cell i are `near[begin[i]:begin[i + 1]]`.
    price : ndarray of float, shape (2 m,)
        What cutting each border costs.
    weight : ndarray of float, shape (n, measures)
    movable : ndarray of bool, shape (n,)
        Cells that may change their part.
    start : ndarray of int, shape (n,)
        Parts that the cells have today, -1 where change counts nothing.
    """

    begin: Ints
    near: Ints
    price: Floats
    weight: Floats
    movable: Flags
    start: Ints


class Aim(NamedTuple):
    """What is wished; see `geo.partition.objective` for the formula."""

    target: Floats
    tolerance: Floats
    share: Floats
    beyond: float
    slope: float
    least: int
    most: int
    budget: float
    change: float


class Course(NamedTuple):
    """How a chain goes: in each step every cell is tried and trees are drawn for each part."""

    steps: int
    sweeps: float
    trees: float
    hot: float
    cold: float


class State(NamedTuple):
    """A division that is being changed, and room to think.

    `held` is number of parts, energy, changed weight, and the energy of the best division so far.
    """

    part: Ints
    load: Floats
    cells: Ints
    held: Floats
    rng: NDArray[np.uint64]
    mark: Ints
    queue: Ints
    up: Ints
    place: Ints
    below: Floats
    size: Ints
    cut: Floats
    heap_key: Floats
    heap_edge: Ints
    heap_from: Ints


@compiled
def drawn(rng: NDArray[np.uint64]) -> float:
    """Draw from [0, 1): xorshift64*."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


def new_state(net: Net, most: int, seed: int) -> State:
    """Return room for a division into at most `most` parts, all cells in part 0."""
    n, measures = net.weight.shape
    edges = len(net.near)
    state = State(
        np.zeros(n, np.int64),
        np.zeros((most, measures), np.float64),
        np.zeros(most, np.int64),
        np.zeros(4, np.float64),
        np.zeros(1, np.uint64),
        np.zeros(n + 1, np.int64),
        np.zeros(n + 1, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros((n, measures), np.float64),
        np.zeros(n, np.int64),
        np.zeros(n, np.float64),
        np.zeros(edges + 1, np.float64),
        np.zeros(edges + 1, np.int64),
        np.zeros(edges + 1, np.int64),
    )
    mixed = (seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF
    mixed ^= mixed >> 29
    mixed = (mixed * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    state.rng[0] = (mixed ^ (mixed >> 32)) | 1
    return state


@compiled
def clear(state: State) -> None:
    """Empty all parts."""
    for a in range(len(state.cells)):
        state.cells[a] = 0
        for j in range(state.load.shape[1]):
            state.load[a, j] = 0.0


@compiled
def add(state: State, a: int, net: Net, v: int, sign: float) -> None:
    """Add the weights of a cell to a part's load, or take them off."""
    for j in range(state.load.shape[1]):
        state.load[a, j] += sign * net.weight[v, j]


@compiled
def cost_of(load: Floats, a: int, plus: Floats, v: int, sign: float, count: int, aim: Aim) -> float:
    """Cost of a part of load `load[a] + sign * plus[v]` and so many cells."""
    if count == 0:
        return 0.0
    if count == 1 and load[a, 0] + sign * plus[v, 0] > aim.target[0]:
        return 0.0
    cost = 0.0
    for j in range(load.shape[1]):
        off = abs((load[a, j] + sign * plus[v, j]) / aim.target[j] - 1.0)
        one = off * off
        if off > aim.tolerance[j] + 1e-12:
            one += aim.beyond + aim.slope * (off - aim.tolerance[j])
        cost += aim.share[j] * one
    return cost


@compiled
def reckon(net: Net, aim: Aim, state: State) -> None:
    """Reckon loads, counts, number of parts, energy and change anew from `part`."""
    clear(state)
    twice = 0.0
    changed = 0.0
    for v in range(len(state.part)):
        a = state.part[v]
        state.cells[a] += 1
        add(state, a, net, v, 1.0)
        if net.start[v] >= 0 and net.start[v] != a:
            changed += net.weight[v, 0]
        for e in range(net.begin[v], net.begin[v + 1]):
            if state.part[net.near[e]] != a:
                twice += net.price[e]
    energy = twice / 2.0
    parts = 0
    for a in range(len(state.cells)):
        parts += state.cells[a] > 0
        energy += cost_of(state.load, a, state.load, a, 0.0, state.cells[a], aim)
    state.held[0] = parts
    state.held[1] = energy + aim.change * changed
    state.held[2] = changed


@compiled
def mend(net: Net, state: State) -> None:
    """Give what hangs apart from the heaviest piece of its part to the neighbour of most border."""
    n = len(state.part)
    piece = np.full(n, -1, np.int64)
    heavy = np.zeros(n, np.float64)
    while True:
        for v in range(n):
            piece[v] = -1
        found = 0
        for root in range(n):
            if piece[root] >= 0:
                continue
            piece[root] = found
            heavy[found] = 0.0
            state.queue[0] = root
            head, tail = 0, 1
            while head < tail:
                v = state.queue[head]
                head += 1
                heavy[found] += net.weight[v, 0] + 1e-9
                for e in range(net.begin[v], net.begin[v + 1]):
                    u = net.near[e]
                    if piece[u] < 0 and state.part[u] == state.part[v]:
                        piece[u] = found
                        state.queue[tail] = u
                        tail += 1
            found += 1
        main = np.full(len(state.cells), -1, np.int64)
        for v in range(n):
            a = state.part[v]
            if main[a] < 0 or heavy[piece[v]] > heavy[main[a]]:
                main[a] = piece[v]
        lost = -1
        for v in range(n):
            if piece[v] != main[state.part[v]] and (lost < 0 or heavy[piece[v]] < heavy[lost]):
                lost = piece[v]
        if lost < 0:
            return
        _give_away(net, state, piece, lost)


@compiled
def _give_away(net: Net, state: State, piece: Ints, lost: int) -> None:
    """Give one piece to the part that it has most border with."""
    border = np.zeros(len(state.cells), np.float64)
    for v in range(len(piece)):
        if piece[v] == lost:
            for e in range(net.begin[v], net.begin[v + 1]):
                if piece[net.near[e]] != lost:
                    border[state.part[net.near[e]]] += net.price[e] + 1e-9
    to = int(np.argmax(border))
    for v in range(len(piece)):
        if piece[v] == lost:
            state.part[v] = to
