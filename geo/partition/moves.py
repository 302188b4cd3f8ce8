"""Moves: a single cell into the part beside it, or two parts melted and cut along a new tree."""

from __future__ import annotations

import numpy as np

from geo.partition.state import NONE, ONE, ZERO, Aim, Net, State, add, compiled, cost_of, drawn

SPLIT_SHARE = 0.15


@compiled
def stays_whole(net: Net, state: State, v: int) -> bool:
    """Say whether the rest of a cell's part is of one piece: by its neighbours, else by search."""
    a = state.part[v]
    state.mark[-1] += 2
    wanted = state.mark[-1]
    seen = wanted + 1
    first, open_ = NONE, 0
    for e in range(net.begin[v], net.begin[v + 1]):
        u = net.near[e]
        if state.part[u] == a:
            state.mark[u] = wanted
            open_ += 1
            first = u
    if open_ <= 1:
        return open_ == 1
    state.mark[first] = seen
    open_ -= 1
    state.queue[0] = first
    head, tail = 0, 1
    for radius in range(2):  # within the neighbours first, then the whole part
        head = 0
        while head < tail:
            u = state.queue[head]
            head += 1
            for e in range(net.begin[u], net.begin[u + 1]):
                x = net.near[e]
                if x == v or state.part[x] != a or state.mark[x] == seen:
                    continue
                if state.mark[x] == wanted:
                    open_ -= 1
                    if open_ == 0:
                        return True
                elif radius == 0:
                    continue
                state.mark[x] = seen
                state.queue[tail] = x
                tail += 1
    return False


@compiled
def flip(net: Net, aim: Aim, state: State, v: int, b: int, heat: float) -> bool:
    """Move a cell into a neighbouring part if that is accepted; say whether it was."""
    a = state.part[v]
    if state.cells[a] == 1:
        return False
    change = 0.0
    if net.start[v] >= 0:
        change = net.weight[v, 0] * (int(net.start[v] != b) - int(net.start[v] != a))
        if change > 0.0 and state.held[2] + change > aim.budget:
            return False
    gain = aim.change * change
    for e in range(net.begin[v], net.begin[v + 1]):
        other = state.part[net.near[e]]
        if other == a:
            gain += net.price[e]
        elif other == b:
            gain -= net.price[e]
    gain += cost_of(state.load, a, net.weight, v, -1.0, state.cells[a] - 1, aim)
    gain += cost_of(state.load, b, net.weight, v, 1.0, state.cells[b] + 1, aim)
    gain -= cost_of(state.load, a, net.weight, v, 0.0, state.cells[a], aim)
    gain -= cost_of(state.load, b, net.weight, v, 0.0, state.cells[b], aim)
    if gain > 0.0 and (heat <= 0.0 or drawn(state.rng) >= np.exp(-gain / heat)):
        return False
    if gain >= -1e-12 and heat <= 0.0:
        return False
    if not stays_whole(net, state, v):
        return False
    state.part[v] = b
    add(state, a, net, v, -1.0)
    add(state, b, net, v, 1.0)
    state.cells[a] -= 1
    state.cells[b] += 1
    state.held[1] += gain
    state.held[2] += change
    return True


@compiled
def _push(state: State, size: int, key: float, edge: int, source: int) -> int:
    i = size
    while i > 0:
        above = (i - 1) >> 1
        if state.heap_key[above] <= key:
            break
        state.heap_key[i] = state.heap_key[above]
        state.heap_edge[i] = state.heap_edge[above]
        state.heap_from[i] = state.heap_from[above]
        i = above
    state.heap_key[i] = key
    state.heap_edge[i] = edge
    state.heap_from[i] = source
    return size + 1


@compiled
def _pop(state: State, size: int) -> int:
    """Take the top off by sinking the last one; the caller has read the top."""
    size -= 1
    key, edge, source = state.heap_key[size], state.heap_edge[size], state.heap_from[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and state.heap_key[child + 1] < state.heap_key[child]:
            child += 1
        if state.heap_key[child] >= key:
            break
        state.heap_key[i] = state.heap_key[child]
        state.heap_edge[i] = state.heap_edge[child]
        state.heap_from[i] = state.heap_from[child]
        i = child
    state.heap_key[i] = key
    state.heap_edge[i] = edge
    state.heap_from[i] = source
    return size


@compiled
def _inner_borders(net: Net, state: State, stamp: int, count: int) -> None:
    """Take the borders that lie inside a subtree off its price, where the subtree begins."""
    for i in range(count):
        v = state.queue[i]
        for e in range(net.begin[v], net.begin[v + 1]):
            u = net.near[e]
            if state.mark[u] != stamp or state.place[u] >= i:
                continue
            x, y = i, state.place[u]
            while x != y:  # a parent stands before its children
                if x > y:
                    x = state.up[x]
                else:
                    y = state.up[y]
            state.cut[x] -= 2.0 * net.price[e]


@compiled
def grow_tree(net: Net, state: State, root: int, a: int, b: int, borders: int) -> int:
    """Draw a random spanning tree of parts a and b; return how many cells it has.

    Prim's on random keys, longer borders sooner. `queue` has the cells in order, `up` the place of
    each one's parent in that order, `below` loads, `size` cells and `cut` the price of the border
    of the subtree below each place; without `borders` the price of a cell's own border is left
    there, which is quicker in large trees.
    """
    state.mark[-1] += 2
    stamp = state.mark[-1]
    count, heap = ZERO, ZERO
    v, above = root, NONE
    while True:
        if state.mark[v] != stamp:
            state.mark[v] = stamp
            state.queue[count] = v
            state.place[v] = count
            state.up[count] = above
            for j in range(net.weight.shape[1]):
                state.below[count, j] = net.weight[v, j]
            state.size[count] = 1
            here = count
            border = 0.0
            count += 1
            for e in range(net.begin[v], net.begin[v + 1]):
                u = net.near[e]
                if state.part[u] != a and state.part[u] != b:
                    continue
                border += net.price[e]
                if state.mark[u] != stamp:
                    key = drawn(state.rng) / (net.price[e] + 1e-12)
                    heap = _push(state, heap, key, e, here)
            state.cut[here] = border
        if heap == 0:
            break
        v, above = net.near[state.heap_edge[0]], state.heap_from[0]
        heap = _pop(state, heap)
    if borders > 0:
        _inner_borders(net, state, stamp, count)
    for i in range(count - 1, 0, -1):
        x = state.up[i]
        for j in range(net.weight.shape[1]):
            state.below[x, j] += state.below[i, j]
        state.size[x] += state.size[i]
        state.cut[x] += state.cut[i]
    return int(count)


@compiled
def mark_below(state: State, chosen: int, count: int) -> int:
    """Stamp the cells of a subtree with the returned number."""
    state.mark[-1] += 2
    stamp = state.mark[-1]
    state.mark[state.queue[chosen]] = stamp
    for i in range(chosen + 1, count):
        if state.mark[state.queue[state.up[i]]] == stamp:
            state.mark[state.queue[i]] = stamp
    return int(stamp)


@compiled
def _partner(net: Net, aim: Aim, state: State, v: int) -> int:
    """Return the part to melt with a cell's own: a neighbour, a free number to open it, or -1."""
    a = state.part[v]
    b = a
    for e in range(net.begin[v], net.begin[v + 1]):
        if state.part[net.near[e]] != a:
            b = state.part[net.near[e]]
            if drawn(state.rng) < 0.5:
                break
    if a != b:
        return int(b)
    if int(state.held[0]) < aim.most and drawn(state.rng) < SPLIT_SHARE:
        for free in range(len(state.cells)):
            if state.cells[free] == 0:
                return int(free)
    return -1


@compiled
def _border_between(net: Net, state: State, a: int, b: int, count: int) -> float:
    """Return the price of the border between two parts whose cells stand in the queue."""
    price = 0.0
    for i in range(count):
        x = state.queue[i]
        if state.part[x] == a:
            for e in range(net.begin[x], net.begin[x + 1]):
                if state.part[net.near[e]] == b:
                    price += net.price[e]
    return price


@compiled
def recombine(net: Net, aim: Aim, state: State, heat: float) -> bool:
    """Melt two neighbouring parts, or open one, and cut a new tree where it is best."""
    v = int(drawn(state.rng) * len(state.part))
    a = state.part[v]
    b = _partner(net, aim, state, v)
    if b < 0:
        return False
    count = grow_tree(net, state, v, a, b, ONE)
    old = cost_of(state.load, a, net.weight, v, 0.0, state.cells[a], aim)
    old += cost_of(state.load, b, net.weight, v, 0.0, state.cells[b], aim)
    old += _border_between(net, state, a, b, count)
    best, chosen = np.inf, NONE
    if state.cells[b] > 0 and int(state.held[0]) > aim.least:
        best, chosen = cost_of(state.below, ZERO, net.weight, v, 0.0, count, aim), ZERO
    for i in range(1, count):
        cost = state.cut[i]
        if cost >= best:
            continue
        cost += cost_of(state.below, i, net.weight, v, 0.0, state.size[i], aim)
        cost += cost_of(state.below, ZERO, state.below, i, -1.0, count - state.size[i], aim)
        if cost < best:
            best, chosen = cost, i
    gain = best - old
    if chosen < 0 or (gain > 0.0 and (heat <= 0.0 or drawn(state.rng) >= np.exp(-gain / heat))):
        return False
    if gain == 0.0 and heat <= 0.0:
        return False
    _take(net, state, a, b, chosen, count)
    state.held[1] += gain
    return True


@compiled
def _take(net: Net, state: State, a: int, b: int, chosen: int, count: int) -> None:
    """Give the subtree below `chosen` to `b` and the rest to `a`."""
    parts = int(state.held[0]) - int(state.cells[b] > 0) - int(state.cells[a] > 0)
    lower, upper = (b, a) if chosen > 0 else (a, b)
    stamp = mark_below(state, chosen, count)
    for side in (a, b):
        state.cells[side] = 0
        for j in range(state.load.shape[1]):
            state.load[side, j] = 0.0
    for i in range(count):
        x = state.queue[i]
        to = lower if state.mark[x] == stamp else upper
        state.part[x] = to
        add(state, to, net, x, 1.0)
        state.cells[to] += 1
    state.held[0] = parts + int(state.cells[a] > 0) + int(state.cells[b] > 0)
