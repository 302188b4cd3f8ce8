"""A lattice of squares over polygons, compiled: which squares lie in one, which edges cross others.

A square that no edge touches has one answer for all its places. Each other square keeps its own
short list: the edges that touch it, the polygons that meet there, and which of them cover its
`reference`, a place inside that no edge passes through. The polygons that cover any other place of
the square are those, toggled by each edge between the two: so a place is tested against the border
it is near to, never against whole polygons, and polygons may overlap. All decisions are signs of
exact determinants (`geo.predicates`); rounding only decides how many edges are listed in vain.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.predicates import compiled, turn

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

NOBODY: Final = -1
INSIDE: Final = 0
ON_BORDER: Final = 1
IN_SEVERAL: Final = 2
ROUNDING: Final = 1e-15
SLACK: Final = 1e-9
"""Squares are taken to be larger by this share of their side when edges are put into them."""
BLOCK: Final = 8192
"""Places that are looked up together: so many stay near the processor until the second look."""


@compiled
def column(x: float, x0: float, per_m: float, count: int) -> int:
    """Return the column (or row) of a coordinate, the nearest one beyond the lattice."""
    at = (x - x0) * per_m
    if not at > 0.0:
        return 0
    return min(int(at), count - 1)


@compiled
def paired(edges: Floats, owners: Ints) -> tuple[Floats, Ints]:
    """Return each edge once, its lesser end first, with both polygons that have it.

    Parameters
    ----------
    edges : ndarray of float, shape (n, 4)
        x, y of both ends.
    owners : ndarray of int, shape (n,)

    Returns
    -------
    tuple of ndarray, shapes (m, 4) and (m, 2)
        A second polygon of -1 where there is none; an edge that a third one has stands again.
    """
    count = len(edges)
    size = 16
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1, np.int32)
    once, both = np.empty((count, 4)), np.empty((count, 2), np.int32)
    bits = once.view(np.uint64)
    found = 0
    for row in range(count):
        ax, ay, bx, by = edges[row]
        if ax == bx and ay == by:
            continue
        if bx < ax or (bx == ax and by < ay):
            ax, ay, bx, by = bx, by, ax, ay
        once[found] = ax + 0.0, ay + 0.0, bx + 0.0, by + 0.0
        key = np.uint64(0)
        for part in range(4):
            key = (key ^ bits[found, part]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        slot = np.int64(key & np.uint64(size - 1))
        other = slots[slot]
        while other >= 0:
            same = True
            for part in range(4):
                same = same and once[other, part] == once[found, part]
            if same and both[other, 1] < 0 and both[other, 0] != owners[row]:
                both[other, 1] = owners[row]
                break
            slot = (slot + 1) & (size - 1)
            other = slots[slot]
        if other < 0:
            slots[slot] = found
            both[found, 0], both[found, 1] = owners[row], -1
            found += 1
    return once[:found].copy(), both[:found].copy()


@compiled
def _reach(edge: Any, low: float, high: float, slack: float, steep: bool) -> tuple[float, float]:
    """Return least and greatest x of an edge between two heights, a little too wide."""
    ax, ay, bx, by = edge
    least, most = min(ax, bx), max(ax, bx)
    if not steep or ay == by:
        return least, most
    per = (bx - ax) / (by - ay)
    one, two = ax + (low - ay) * per, ax + (high - ay) * per
    slack += ROUNDING * (1.0 + abs(per)) * (abs(ax) + abs(ay) + abs(bx) + abs(by))
    return max(least, min(one, two) - slack), min(most, max(one, two) + slack)


@compiled
def touched(
    edges: Floats, lattice: Floats, window: Ints, counts: Ints, starts: Ints, listed: Ints
) -> int:
    """Count or list, for each square of a window, the edges that touch it.

    Parameters
    ----------
    edges : ndarray of float, shape (m, 4)
    lattice : ndarray of float, shape (5,)
        West, south, side, columns, rows.
    window : ndarray of int, shape (4,)
        First column and row, and those behind the last.
    counts : ndarray of int, shape (columns * rows of the window,)
        Raised by one for each edge where `listed` is empty.
    starts, listed : ndarray of int
        Else the edge is put at the square's next place in `listed`.

    Returns
    -------
    int
        How many edges were counted or listed.
    """
    x0, y0, side = lattice[0], lattice[1], lattice[2]
    columns, rows = int(lattice[3]), int(lattice[4])
    west, south, east, north = window
    wide, slack, total = east - west, SLACK * side, 0
    for row in range(len(edges)):
        edge = edges[row]
        low, high = min(edge[1], edge[3]), max(edge[1], edge[3])
        first = max(column(low - slack, y0, 1.0 / side, rows), south)
        last = min(column(high + slack, y0, 1.0 / side, rows), north - 1)
        steep = last > first or low < y0 + first * side or high > y0 + (last + 1) * side
        for at in range(first, last + 1):
            floor, ceiling = y0 + at * side - slack, y0 + (at + 1) * side + slack
            left, right = _reach(edge, max(low, floor), min(high, ceiling), slack, steep)
            begin = max(column(left - slack, x0, 1.0 / side, columns), west)
            end = min(column(right + slack, x0, 1.0 / side, columns), east - 1)
            for across in range(begin, end + 1):
                square = (at - south) * wide + across - west
                if len(listed):
                    listed[starts[square]] = row
                    starts[square] += 1
                else:
                    counts[square] += 1
                total += 1
    return total


@compiled
def crossings(edges: Floats, lattice: Floats, shift: Floats, window: Ints) -> Any:
    """Return where the edges cross the heights of the references, row by row.

    Returns
    -------
    tuple of ndarray
        Where each row of the window begins; then for each crossing the first column of the window
        whose reference lies beyond it, and the edge. The first column is -1 where an edge passes
        through a reference: then another `shift` is needed.
    """
    x0, y0, side = lattice[0], lattice[1], lattice[2]
    west, south, east, north = window
    begins = np.zeros(north - south + 1, np.int32)
    for row in range(len(edges)):
        first, last = _heights(edges[row], y0, shift[1], side, south, north)
        for at in range(first, last):
            begins[at + 1] += 1
    for at in range(north - south):
        begins[at + 1] += begins[at]
    nexts, total = begins[:-1].copy(), begins[-1]
    beyond, which = np.empty(total, np.int32), np.empty(total, np.int32)
    for row in range(len(edges)):
        edge = edges[row]
        first, last = _heights(edge, y0, shift[1], side, south, north)
        for at in range(first, last):
            height = y0 + (south + at + shift[1]) * side
            found = _first_beyond(edge, height, x0, side, shift[0], west, east)
            if found < 0:
                beyond[:] = -1
                return begins, beyond, which
            beyond[nexts[at]], which[nexts[at]] = found - west, row
            nexts[at] += 1
    return begins, beyond, which


@compiled
def _heights(
    edge: Any, y0: float, shift: float, side: float, south: int, north: int
) -> tuple[int, int]:
    """Return which rows of a window have references whose height an edge crosses.

    An edge crosses a height when one end lies at or below it and the other above. Rows are counted
    from the window's first; the second number is the one behind the last.
    """
    low, high = min(edge[1], edge[3]), max(edge[1], edge[3])
    first = min(max(int(np.floor((low - y0) / side)) - 1, south), north)
    while first < north and y0 + (first + shift) * side < low:
        first += 1
    last = max(min(int(np.floor((high - y0) / side)) + 2, north), first)
    while last > first and y0 + (last - 1 + shift) * side >= high:
        last -= 1
    return first - south, last - south


@compiled
def _first_beyond(
    edge: Any, height: float, x0: float, side: float, shift: float, west: int, east: int
) -> int:
    """Return the first column whose reference lies to the right of an edge; -1 for one on it."""
    ax, ay, bx, by = edge
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    near = ax + (height - ay) / (by - ay) * (bx - ax)
    at = min(max(int(np.floor((near - x0) / side - shift)) + 1, west), east)
    while at > west:
        sign = turn(ax, ay, bx, by, x0 + (at - 1 + shift) * side, height)
        if sign == 0:
            return -1
        if sign > 0:
            break
        at -= 1
    while at < east:
        sign = turn(ax, ay, bx, by, x0 + (at + shift) * side, height)
        if sign == 0:
            return -1
        if sign < 0:
            break
        at += 1
    return at


@compiled
def _toggle(active: Ints, count: int, polygon: int) -> int:
    """Take a polygon out of an ascending list, or put it in; return the list's new length."""
    at = 0
    while at < count and active[at] < polygon:
        at += 1
    if at < count and active[at] == polygon:
        for place in range(at, count - 1):
            active[place] = active[place + 1]
        return count - 1
    for place in range(count, at, -1):
        active[place] = active[place - 1]
    active[at] = polygon
    return count + 1


@compiled
def _put(local: Ints, count: int, polygon: int) -> int:
    """Put a polygon into an ascending list unless it is there; return the list's new length."""
    for at in range(count):
        if local[at] == polygon:
            return count
    return _toggle(local, count, polygon)


@compiled
def _place_of(local: Ints, count: int, polygon: int) -> int:
    for at in range(count):
        if local[at] == polygon:
            return at
    return count


@compiled
def _grown(array: Ints, least: int) -> Ints:
    """Return an array with room for so many, what it held in front."""
    if len(array) >= least:
        return array
    larger = np.empty(max(least, 2 * len(array)), np.int32)
    larger[: len(array)] = array
    return larger


@compiled
def _leaf(
    active: Ints, inside: int, edges: Ints, owners: Ints, local: Ints, near: Ints, at: int
) -> int:
    """List the polygons that meet in a square; give its edges their polygons' places in that list.

    `near` gets, from `at`, the edge and the places of both its polygons for each edge.
    """
    count = 0
    for place in range(inside):
        count = _put(local, count, active[place])
    for edge in edges:
        count = _put(local, count, owners[edge, 0])
        if owners[edge, 1] >= 0:
            count = _put(local, count, owners[edge, 1])
    for place in range(len(edges)):
        one, two = owners[edges[place]]
        near[at + 3 * place] = edges[place]
        near[at + 3 * place + 1] = _place_of(local, count, one)
        near[at + 3 * place + 2] = _place_of(local, count, two) if two >= 0 else -1
    return count


@compiled
def swept(
    owners: Ints,
    window: Ints,
    starts: Ints,
    listed: Ints,
    crossed: Any,
    crowd: int,
) -> tuple[Ints, Ints, Ints, Ints]:
    """Go along each row of references and say which polygons cover them.

    Parameters
    ----------
    owners : ndarray of int, shape (m, 2)
    window : ndarray of int, shape (4,)
    starts, listed : ndarray of int
        Edges of each square: `listed[starts[k]:starts[k + 1]]`.
    crossed : tuple of ndarray
        Of `crossings`.
    crowd : int
        Number of polygons.

    Returns
    -------
    codes : ndarray of int, shape (squares,)
        The polygon of a square without edges, -1 for none, else -2 minus the number of its leaf.
    leaves : ndarray of int, shape (l, 4)
        Where its edges begin and end, and its polygons.
    near : ndarray of int, shape (k, 3)
        Edge, and the places of its two polygons among the leaf's.
    polygons : ndarray of int
        Twice the polygon's row, plus one where it covers the reference.
    """
    begins, beyond, which = crossed
    wide, high = window[2] - window[0], window[3] - window[1]
    codes = np.empty(wide * high, np.int32)
    leaves, near = np.empty(4096, np.int32), np.empty(3 * len(listed), np.int32)
    polygons = np.empty(4096, np.int32)
    active, local = np.empty(2 * crowd + 2, np.int32), np.empty(2 * crowd + 2, np.int32)
    heads, nexts = np.empty(wide + 1, np.int32), np.empty(len(beyond), np.int32)
    leaf, edge_at, polygon_at = 0, 0, 0
    for row in range(high):
        heads[:] = -1
        for event in range(begins[row], begins[row + 1]):
            nexts[event], heads[beyond[event]] = heads[beyond[event]], event
        inside = 0
        for across in range(wide):
            event = heads[across]
            while event >= 0:
                for side in range(2):
                    if owners[which[event], side] >= 0:
                        inside = _toggle(active, inside, owners[which[event], side])
                event = nexts[event]
            square = row * wide + across
            first, last = starts[square], starts[square + 1]
            if first == last and inside < 2:
                codes[square] = active[0] if inside else NOBODY
                continue
            codes[square] = -2 - leaf
            count = _leaf(active, inside, listed[first:last], owners, local, near, 3 * edge_at)
            leaves, polygons = _grown(leaves, 4 * leaf + 4), _grown(polygons, polygon_at + count)
            leaves[4 * leaf], leaves[4 * leaf + 1] = edge_at, edge_at + last - first
            leaves[4 * leaf + 2], leaves[4 * leaf + 3] = polygon_at, polygon_at + count
            for place in range(count):
                own = _place_of(active, inside, local[place]) < inside
                polygons[polygon_at + place] = 2 * local[place] + own
            leaf, edge_at, polygon_at = leaf + 1, edge_at + last - first, polygon_at + count
    return (
        codes,
        leaves[: 4 * leaf].copy().reshape(-1, 4),
        near.reshape(-1, 3),
        polygons[:polygon_at].copy(),
    )


@compiled
def _toggle_at(
    x: float,
    y: float,
    rx: float,
    ry: float,
    leaves: Ints,
    leaf: int,
    near: Ints,
    edges: Floats,
    toggled: Any,
) -> bool:
    """Say which polygons of a leaf change between the reference and a place, or have it on an edge.

    `toggled` gets an odd number for each polygon that covers one of the two alone, and 2 more for
    one with the place on an edge. The way from the reference (rx, ry) is straight; where it meets
    a vertex, that counts as lying to its left, for each edge in the same way.
    """
    on_border = False
    for at in range(leaves[leaf, 3] - leaves[leaf, 2]):
        toggled[at] = 0
    for at in range(leaves[leaf, 0], leaves[leaf, 1]):
        edge = near[at, 0]
        ax, ay, bx, by = edges[edge, 0], edges[edge, 1], edges[edge, 2], edges[edge, 3]
        own = turn(ax, ay, bx, by, x, y)
        if own == 0 and ax <= x <= bx and min(ay, by) <= y <= max(ay, by):
            on_border = True
            change = 2
        else:
            change = 0
            if own != turn(ax, ay, bx, by, rx, ry):
                change = (turn(rx, ry, x, y, ax, ay) >= 0) != (turn(rx, ry, x, y, bx, by) >= 0)
        for side in range(1, 3):
            polygon = near[at, side]
            if polygon >= 0 and change == 2:
                toggled[polygon] |= 2
            elif polygon >= 0:
                toggled[polygon] ^= change
    return on_border


@compiled
def located(
    places: Floats,
    lattice: Floats,
    shift: Floats,
    codes: Ints,
    leaves: Ints,
    near: Ints,
    polygons: Ints,
    edges: Floats,
    most: int,
    rows: Ints,
    kinds: Any,
) -> None:
    """Put the first polygon that covers each place into `rows`, -1 where none does.

    `kinds`, unless it is empty, gets `ON_BORDER` for places on an edge, `IN_SEVERAL` for others
    that several polygons cover, else `INSIDE`. `most` is the largest number of polygons of a leaf.
    """
    x0, y0, side, shift_x, shift_y = lattice[0], lattice[1], lattice[2], shift[0], shift[1]
    per_m, columns, up = 1.0 / side, int(lattice[3]), int(lattice[4])
    waiting, toggled = np.empty(BLOCK, np.int64), np.zeros(most + 1, np.uint8)
    for begin in range(0, len(places), BLOCK):
        count = 0
        for at in range(begin, min(begin + BLOCK, len(places))):
            across, above = (places[at, 0] - x0) * per_m, (places[at, 1] - y0) * per_m
            code = NOBODY
            if across >= 0.0 and above >= 0.0 and across < columns and above < up:
                code = codes[int(above) * columns + int(across)]
            rows[at] = code
            waiting[count] = at
            count += code < NOBODY
        for number in range(count):
            at = waiting[number]
            x, y = places[at, 0], places[at, 1]
            rx = x0 + (int((x - x0) * per_m) + shift_x) * side
            ry = y0 + (int((y - y0) * per_m) + shift_y) * side
            leaf = -2 - rows[at]
            on_border = _toggle_at(x, y, rx, ry, leaves, leaf, near, edges, toggled)
            rows[at] = _first(leaves, leaf, polygons, toggled)
            if len(kinds):
                kinds[at] = ON_BORDER if on_border else _kind(leaves, leaf, polygons, toggled)


@compiled
def _first(leaves: Ints, leaf: int, polygons: Ints, toggled: Any) -> int:
    """Return the first polygon of a leaf that covers a place or has it on its border."""
    begin = leaves[leaf, 2]
    for at in range(leaves[leaf, 3] - begin):
        polygon, change = polygons[begin + at], toggled[at]
        if change >= 2 or (polygon + change) & 1:
            return int(polygon >> 1)
    return NOBODY


@compiled
def _kind(leaves: Ints, leaf: int, polygons: Ints, toggled: Any) -> int:
    count, begin = 0, leaves[leaf, 2]
    for at in range(leaves[leaf, 3] - begin):
        count += (polygons[begin + at] + toggled[at]) & 1
    return IN_SEVERAL if count > 1 else INSIDE
