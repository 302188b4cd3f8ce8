"""The inner loops: a first division by cutting trees, then annealing; compiled, without the GIL.

Everything is arrays of one connected piece. A chain is a function of its seed alone.
"""

from __future__ import annotations

import numpy as np

from geo.partition.moves import flip, grow_tree, mark_below, recombine
from geo.partition.state import (
    NONE,
    ONE,
    ZERO,
    Aim,
    Course,
    Ints,
    Net,
    State,
    add,
    clear,
    compiled,
    drawn,
    reckon,
)

TREES_A_SPLIT = 4
LARGE_TREE = 200
"""Cells from which a first cut is chosen by weight alone: the later steps see to the borders."""


@compiled
def split_for(net: Net, aim: Aim, state: State, a: int, quota: int) -> int:
    """Cut part `a`, meant for `quota` parts, in two; return the quota of the new part 0 if none.

    The new part's cells are stamped, and go to the number that the caller gives them.
    """
    root = NONE
    pick = int(drawn(state.rng) * state.cells[a])
    for v in range(len(state.part)):
        if state.part[v] == a:
            if pick == 0:
                root = v
                break
            pick -= 1
    wish = state.load[a, 0] / quota
    best, chosen_quota, chosen = np.inf, ZERO, NONE
    count = grow_tree(net, state, root, a, a, int(state.cells[a] <= LARGE_TREE))
    for i in range(1, count):
        lower = state.below[i, 0]
        given = min(max(int(lower / max(wish, 1e-12) + 0.5), 1), quota - 1)
        if state.size[i] < given or count - state.size[i] < quota - given:
            continue
        off = (lower - given * wish) / max(wish, 1e-12)
        score = 4.0 * off * off / quota
        if count <= LARGE_TREE:
            score += state.cut[i]
        if score < best:
            best, chosen_quota, chosen = score, given, i
    if chosen < 0:
        return 0
    state.held[3] = best
    mark_below(state, chosen, count)
    return int(chosen_quota)


@compiled
def plant(net: Net, aim: Aim, state: State, parts: int) -> None:
    """Divide the whole parent into `parts` parts by cutting random trees again and again."""
    n = len(state.part)
    clear(state)
    for v in range(n):
        state.part[v] = 0
        add(state, ZERO, net, v, 1.0)
    state.cells[0] = n
    quota = np.zeros(len(state.cells), np.int64)
    quota[0] = parts
    used = ONE
    kept = np.zeros(n, np.bool_)
    for a in range(parts):
        while quota[a] > 1:
            best, given = np.inf, 0
            for _ in range(TREES_A_SPLIT):
                found = split_for(net, aim, state, a, quota[a])
                if found > 0 and state.held[3] < best:
                    best, given = state.held[3], found
                    for v in range(n):
                        kept[v] = state.mark[v] == state.mark[n]
            if given == 0:
                break
            for v in range(n):
                if kept[v] and state.part[v] == a:
                    state.part[v] = used
                    add(state, used, net, v, 1.0)
                    add(state, a, net, v, -1.0)
                    state.cells[used] += 1
                    state.cells[a] -= 1
            quota[used] = given
            quota[a] -= given
            used += 1
    reckon(net, aim, state)


@compiled
def anneal(
    net: Net, aim: Aim, state: State, best: Ints, course: Course, first: int, last: int
) -> None:
    """Do the steps `first` .. `last - 1` of a course; the best that a step ended with is kept.

    Parameters
    ----------
    best : ndarray of int, shape (n,)
        The best division so far; `state.held[3]` has its energy. Both are written.
    """
    n = len(state.part)
    tries = int(n * course.sweeps)
    for step in range(first, last):
        heat = course.hot * (course.cold / course.hot) ** (step / max(course.steps - 1, 1))
        due = course.trees * state.held[0] / max(tries, 1)
        owed = drawn(state.rng)
        for _ in range(tries):
            owed += due
            if owed >= 1.0:
                owed -= 1.0
                recombine(net, aim, state, heat)
            v = int(drawn(state.rng) * n)
            begin = net.begin[v]
            around = net.begin[v + 1] - begin
            if around == 0 or not net.movable[v]:
                continue
            u = net.near[begin + int(drawn(state.rng) * around)]
            b = state.part[u]
            if b != state.part[v] and net.movable[u]:
                flip(net, aim, state, v, b, heat)
        if state.held[1] < state.held[3] - 1e-12:
            state.held[3] = state.held[1]
            for v in range(n):
                best[v] = state.part[v]


@compiled
def settle(net: Net, aim: Aim, state: State) -> None:
    """Move single cells as long as that makes the division better."""
    moved = True
    while moved:
        moved = False
        for v in range(len(state.part)):
            if not net.movable[v]:
                continue
            for e in range(net.begin[v], net.begin[v + 1]):
                u = net.near[e]
                b = state.part[u]
                if b != state.part[v] and net.movable[u] and flip(net, aim, state, v, b, 0.0):
                    moved = True
                    break
