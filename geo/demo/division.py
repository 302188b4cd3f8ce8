"""Cut the city into sub-districts, communities, grids and units, each of one piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

DIRECTIONS: Final = 12
#: What a part's households off the wish cost, against border length over the root of the ground.
BALANCE: Final = 5.0
CANDIDATES: Final = 10


@dataclass(frozen=True)
class Pieces:
    """Pieces of ground to be grouped: place, weight, ground, a coarser group, and borders.

    Attributes
    ----------
    place : ndarray, shape (n, 2)
        A point of each piece, metres.
    group_place : ndarray, shape (n, 2)
        A point of the coarser piece (block) it belongs to, so that cuts can follow streets.
    weight : ndarray, shape (n,)
        Households, or what else is to be shared out evenly.
    area_m2 : ndarray, shape (n,)
    a, b : ndarray of int, shape (m,)
        Neighbours.
    cost_m : ndarray, shape (m,)
        What it costs to cut there: length of the border, more inside blocks, less along rivers.
    """

    place: Floats
    group_place: Floats
    weight: Floats
    area_m2: Floats
    a: Ints
    b: Ints
    cost_m: Floats

    def take(self, chosen: Ints) -> Pieces:
        """Return the pieces of these numbers, numbered anew in the order given."""
        new = np.full(len(self.weight), -1, dtype=np.int64)
        new[chosen] = np.arange(len(chosen))
        a, b = new[self.a], new[self.b]
        kept = (a >= 0) & (b >= 0)
        return Pieces(
            self.place[chosen],
            self.group_place[chosen],
            self.weight[chosen],
            self.area_m2[chosen],
            a[kept],
            b[kept],
            self.cost_m[kept],
        )


def divide(pieces: Pieces, parts: int) -> Ints:
    """Group connected pieces into `parts` connected groups of about the same weight.

    Recursive bisection: each cut is the cheapest of many straight sweeps, by the length of the
    border it makes and by how far the weights miss the wish; what a sweep tears off goes back.

    Parameters
    ----------
    pieces : Pieces
        Connected.
    parts : int
        At least 1, at most the number of pieces.

    Returns
    -------
    ndarray of int, shape (n,)
        Part of each piece, 0 .. parts - 1.
    """
    part = np.zeros(len(pieces.weight), dtype=np.int64)
    waiting = [(np.arange(len(part)), parts, 0)]
    while waiting:
        chosen, count, first = waiting.pop()
        part[chosen] = first
        if count <= 1 or len(chosen) < 2:
            continue
        less = count // 2
        own = pieces.take(chosen)
        side = _bisect(own, less / count, count)
        if side is None:
            continue
        waiting.append((chosen[side], less, first))
        waiting.append((chosen[~side], count - less, first + less))
    return part


def _bisect(pieces: Pieces, share: float, parts: int) -> Flags | None:
    """Return which pieces are on the first side of the best cut."""
    total = float(pieces.weight.sum())
    scale = float(np.sqrt(pieces.area_m2.sum()))
    found: list[tuple[float, int, int]] = []
    orders: list[Ints] = []
    for direction in range(2 * DIRECTIONS):
        order = _sweep(pieces, direction)
        score = _scores(pieces, order, share, parts, total, scale)
        best = np.argsort(score, kind="stable")[:2]
        found += [(float(score[i]), len(orders), int(i)) for i in best]
        orders.append(order)
    best_side, best_cost = None, np.inf
    for _, number, cut in sorted(found)[:CANDIDATES]:
        side = np.zeros(len(pieces.weight), dtype=np.bool_)
        side[orders[number][: cut + 1]] = True
        side = _connected(pieces, side)
        if side.all() or not side.any():
            continue
        cost = _cost(pieces, side, share, parts, total, scale)
        if cost < best_cost - 1e-9:
            best_side, best_cost = side, cost
    return best_side


def _sweep(pieces: Pieces, direction: int) -> Ints:
    """Order of the pieces along a direction; the second dozen keeps blocks together."""
    angle = np.pi * (direction % DIRECTIONS) / DIRECTIONS
    towards = np.array([np.cos(angle), np.sin(angle)])
    fine = pieces.place @ towards
    if direction < DIRECTIONS:
        return np.argsort(fine, kind="stable")
    coarse = np.round(pieces.group_place @ towards, 2)
    return np.lexsort((fine, coarse))


def _scores(
    pieces: Pieces, order: Ints, share: float, parts: int, total: float, scale: float
) -> Floats:
    """Cost of cutting after each piece of a sweep."""
    n = len(order)
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    low = np.minimum(rank[pieces.a], rank[pieces.b])
    high = np.maximum(rank[pieces.a], rank[pieces.b])
    opened = np.bincount(low, weights=pieces.cost_m, minlength=n)
    shut = np.bincount(high, weights=pieces.cost_m, minlength=n)
    border = np.cumsum(opened - shut)
    miss = (np.cumsum(pieces.weight[order]) / max(total, 1e-9) - share) * parts
    score: Floats = border / scale + BALANCE * miss**2
    score[-1] = np.inf
    return score


def _cost(
    pieces: Pieces, side: Flags, share: float, parts: int, total: float, scale: float
) -> float:
    border = float(pieces.cost_m[side[pieces.a] != side[pieces.b]].sum())
    miss = (float(pieces.weight[side].sum()) / max(total, 1e-9) - share) * parts
    return border / scale + BALANCE * miss**2


def _connected(pieces: Pieces, side: Flags) -> Flags:
    """Give torn-off bits of either side to the other until both are of one piece."""
    for keep in (True, False, True):
        within = (side[pieces.a] == keep) & (side[pieces.b] == keep)
        labels = components(len(side), pieces.a[within], pieces.b[within])
        mine = side == keep
        if not mine.any():
            return side
        size = np.bincount(labels[mine], weights=1.0 + pieces.weight[mine])
        side = side.copy()
        side[mine & (labels != int(np.argmax(size)))] = not keep
    return side


def components(count: int, a: Ints, b: Ints) -> Ints:
    """Label the connected groups of `count` pieces with neighbours `a`, `b`."""
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(count, count))
    labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def smoothed(pieces: Pieces, part: Ints, rounds: int = 6) -> Ints:
    """Move single pieces over borders where that shortens them and keeps the parts whole.

    Parameters
    ----------
    pieces : Pieces
    part : ndarray of int, shape (n,)
        Connected parts, as from `divide`.
    rounds : int, default 6
        Passes over the pieces at most.

    Returns
    -------
    ndarray of int, shape (n,)
        Connected parts; none is empty.
    """
    part = part.copy()
    near: list[dict[int, float]] = [{} for _ in part]
    for a, b, cost in zip(
        pieces.a.tolist(), pieces.b.tolist(), pieces.cost_m.tolist(), strict=True
    ):
        near[a][b] = near[b][a] = cost
    weight = totals(part, pieces.weight)
    wish = weight.mean()
    scale = float(np.sqrt(pieces.area_m2.sum() / len(weight)))
    for _ in range(rounds):
        moved = False
        for piece in range(len(part)):
            own = int(part[piece])
            to = _better(piece, part, near, weight, wish, scale, float(pieces.weight[piece]))
            if to != own and _dispensable(piece, part, near):
                part[piece] = to
                weight[own] -= pieces.weight[piece]
                weight[to] += pieces.weight[piece]
                moved = True
        if not moved:
            break
    return part


def _better(
    piece: int,
    part: Ints,
    near: list[dict[int, float]],
    weight: Floats,
    wish: float,
    scale: float,
    heavy: float,
) -> int:
    """Return the part that a piece would better belong to: its own, or a neighbour's."""
    own, border = int(part[piece]), dict[int, float]()
    for other, cost in near[piece].items():
        border[int(part[other])] = border.get(int(part[other]), 0.0) + cost
    best, best_gain = own, 0.02
    for to, cost in border.items():
        if to == own:
            continue
        before = (weight[own] - wish) ** 2 + (weight[to] - wish) ** 2
        after = (weight[own] - heavy - wish) ** 2 + (weight[to] + heavy - wish) ** 2
        gain = (cost - border.get(own, 0.0)) / scale + BALANCE * (before - after) / wish**2
        if gain > best_gain:
            best, best_gain = to, gain
    return best


def _dispensable(piece: int, part: Ints, near: list[dict[int, float]]) -> bool:
    """Say whether the rest of a piece's part stays whole, and not empty, without it."""
    own = part[piece]
    beside = [other for other in near[piece] if part[other] == own]
    if not beside:
        return False
    seen, waiting, wanted = {piece, beside[0]}, [beside[0]], set(beside[1:])
    while waiting and wanted:
        for other in near[waiting.pop()]:
            if part[other] == own and other not in seen:
                seen.add(other)
                wanted.discard(other)
                waiting.append(other)
    return not wanted


def totals(group: Ints, values: Floats, count: int = 0) -> Floats:
    """Add up `values` by group; shape (max(count, highest group + 1),)."""
    return np.asarray(np.bincount(group, weights=values, minlength=count), dtype=np.float64)


def shared_out(weight: Floats, total: int, least: int = 1) -> Ints:
    """Share `total` whole things out in proportion to `weight` (largest remainders).

    Parameters
    ----------
    weight : ndarray, shape (n,)
    total : int
        At least n * least.
    least : int
        What each gets at least.

    Returns
    -------
    ndarray of int, shape (n,)
        Adds up to `total`.
    """
    rest = total - least * len(weight)
    wish = np.maximum(weight / max(float(weight.sum()), 1e-9) * total - least, 0.0)
    wish *= rest / max(float(wish.sum()), 1e-9)
    given = np.floor(wish).astype(np.int64)
    short = rest - int(given.sum())
    given[np.argsort(given - wish, kind="stable")[:short]] += 1
    return given + least
