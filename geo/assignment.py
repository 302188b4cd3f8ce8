"""Points get their polygon: an index over a coverage that answers exactly, and anew where redrawn.

The rule: a place belongs to the first polygon, in the order of the rows, whose closed ground has
it. A border belongs to both its polygons, so a place on a border, or at a vertex of many, goes to
the one that stands first, whichever side it is looked at from; each place of the city has exactly
one. Polygons that overlap are answered by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo import lattice as squares
from geo.errors import TopologyError

Polygons = NDArray[np.object_]
Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

SQUARES_AN_EDGE: Final = 32.0
MOST_SQUARES: Final = 1 << 24
SHIFTS: Final = ((0.3819660112501051, 0.4142135623730950), (0.6180339887498949, 0.5641895835477563))
"""Where in a square its reference lies; the second pair where an edge passes through the first."""
WASTE: Final = 1.0
"""Lists of squares that were replaced are left behind until they are this share of those in use."""
AREAL: Final = (3, 6)


@dataclass(frozen=True)
class Located:
    """Where places lie.

    Attributes
    ----------
    rows : ndarray of int32, shape (n,)
        Row of the polygon, -1 for a place in none.
    on_border : ndarray of bool, shape (n,)
        Whether it lies exactly on an edge or a vertex of a polygon.
    in_several : ndarray of bool, shape (n,)
        Whether it lies inside several polygons that overlap; places on an edge are not counted.
    """

    rows: Ints
    on_border: NDArray[np.bool_]
    in_several: NDArray[np.bool_]


@dataclass(frozen=True)
class CoverageIndex:
    """Squares over polygons, each with its one answer or a short list of edges.

    Made by `coverage_index`; `locate` asks it, `updated` follows a redraw. It holds for any unit
    and any CRS, as long as places and polygons have the same; edges are straight in it.

    Attributes
    ----------
    polygons : ndarray of Polygon or MultiPolygon, shape (k,)
        Valid; a row without a polygon has None and gets no place.
    bounds : ndarray of float, shape (k, 4)
    lattice : ndarray of float, shape (5,)
        West, south, side, columns, rows.
    shift : ndarray of float, shape (2,)
        Where the references lie in their squares.
    codes, leaves, near, owned, edges : ndarray
        As `geo.lattice.swept` returns them; `edges` are the borders themselves.
    used : int
        How many rows of `leaves` are in use.
    """

    polygons: Polygons
    bounds: Floats
    lattice: Floats
    shift: Floats
    codes: Ints
    leaves: Ints
    near: Ints
    owned: Ints
    edges: Floats
    used: int

    def assign(self, places: Floats) -> Ints:
        """Return the row of the first polygon that has each place, -1 for a place in none.

        Parameters
        ----------
        places : ndarray of float, shape (n, 2)
            x and y in the polygons' CRS; a place that is no number lies in none.

        Returns
        -------
        ndarray of int32, shape (n,)
        """
        return self._ask(places, np.empty(0, np.uint8))

    def locate(self, places: Floats) -> Located:
        """Return the same, with which places lie on borders and which in several polygons."""
        kinds = np.zeros(len(places), np.uint8)
        rows = self._ask(places, kinds)
        return Located(rows, kinds == squares.ON_BORDER, kinds == squares.IN_SEVERAL)

    def _ask(self, places: Floats, kinds: NDArray[np.uint8]) -> Ints:
        places = np.ascontiguousarray(places, dtype=np.float64).reshape(-1, 2)
        rows = np.empty(len(places), np.int32)
        most = int((self.leaves[:, 3] - self.leaves[:, 2]).max(initial=0))
        squares.located(
            places,
            self.lattice,
            self.shift,
            self.codes,
            self.leaves,
            self.near,
            self.owned,
            self.edges,
            most,
            rows,
            kinds,
        )
        return rows

    def updated(self, polygons: Any, changed: Any) -> CoverageIndex:
        """Return the index after a redraw; only squares around changed polygons are made anew.

        Parameters
        ----------
        polygons : array-like of Polygon or MultiPolygon, shape (m,), m >= k
            All polygons after the redraw, None for rows that are no more.
        changed : array-like of int
            Rows that differ from before; new ones stand at the end.

        Returns
        -------
        CoverageIndex
            This one is not changed.

        Raises
        ------
        TopologyError
            If a polygon is invalid or none, or rows are missing.
        """
        return self._redrawn(polygons, changed)[0]

    def reassigned(
        self, polygons: Any, changed: Any, places: Floats, rows: Ints
    ) -> tuple[CoverageIndex, Ints, NDArray[np.bool_]]:
        """Follow a redraw: only places near changed polygons are asked again.

        Parameters
        ----------
        polygons, changed
            As for `updated`.
        places : ndarray of float, shape (n, 2)
        rows : ndarray of int32, shape (n,)
            What `assign` said of them before the redraw.

        Returns
        -------
        index : CoverageIndex
        rows : ndarray of int32, shape (n,)
            What `assign` says now, of all places.
        asked : ndarray of bool, shape (n,)
            Which places lay in squares that were made anew: no other can have another row.

        Raises
        ------
        TopologyError
            As `updated`.

        Examples
        --------
        >>> from shapely import box
        >>> places = np.array([[0.5, 0.5], [1.5, 0.5], [90.5, 0.5]])
        >>> net = [box(0, 0, 1, 1), box(1, 0, 2, 1), box(90, 0, 91, 1)]
        >>> index = coverage_index(net)
        >>> moved = [box(0, 0, 1.7, 1), box(1.7, 0, 2, 1), net[2]]
        >>> index, rows, asked = index.reassigned(moved, [0, 1], places, index.assign(places))
        >>> rows.tolist(), asked.tolist()
        ([0, 0, 2], [True, True, False])
        """
        after, windows = self._redrawn(polygons, changed)
        places = np.ascontiguousarray(places, dtype=np.float64).reshape(-1, 2)
        asked = np.ones(len(places), dtype=bool)
        if windows is not None:
            asked = _within(places, self.lattice, windows)
        fresh = rows.astype(np.int32, copy=True)
        fresh[asked] = after.assign(places[asked])
        return after, fresh, asked

    def _redrawn(self, polygons: Any, changed: Any) -> tuple[CoverageIndex, list[Ints] | None]:
        """Return the index after a redraw, and which windows were made anew; None for all."""
        shapes = _shapes(polygons)
        rows = np.unique(np.asarray(changed, dtype=np.int64))
        if len(shapes) < len(self.polygons):
            raise TopologyError("Rows are missing; put None for polygons that are no more.")
        rows = np.union1d(rows, np.arange(len(self.polygons), len(shapes)))
        _refuse(shapes[rows], rows)
        bounds = np.vstack([self.bounds, np.full((len(shapes) - len(self.bounds), 4), np.nan)])
        before, bounds[rows] = bounds[rows], shapely.bounds(shapes[rows])
        windows = _windows(np.vstack([before, bounds[rows]]), self.lattice)
        if windows is None or len(self.leaves) > (1 + WASTE) * self.used + squares.BLOCK:
            return coverage_index(shapes), None
        found: CoverageIndex | None = replace(
            self, polygons=shapes, bounds=bounds, codes=self.codes.copy()
        )
        for window in windows:
            found = found and _with_window(found, window)
        return (coverage_index(shapes), None) if found is None else (found, windows)


def coverage_index(polygons: Any, *, squares_an_edge: float = SQUARES_AN_EDGE) -> CoverageIndex:
    """Return the index over polygons.

    Parameters
    ----------
    polygons : array-like of Polygon or MultiPolygon, shape (k,)
        Valid; None for a row that gets no place. They may overlap: the first row wins.
    squares_an_edge : float, default 32
        Finer squares answer sooner and take longer to make.

    Returns
    -------
    CoverageIndex

    Raises
    ------
    TopologyError
        If a shape is invalid or no polygon; `positions` lists the rows.

    Examples
    --------
    >>> from shapely import box
    >>> halves = coverage_index([box(0, 0, 2, 2), box(2, 0, 4, 2)])
    >>> halves.assign(np.array([[1.0, 1.0], [3.0, 1.0], [2.0, 1.0], [4.0, 2.0], [5.0, 1.0]]))
    array([ 0,  1,  0,  1, -1], dtype=int32)
    """
    shapes = _shapes(polygons)
    _refuse(shapes, np.arange(len(shapes)))
    bounds = np.asarray(shapely.bounds(shapes), dtype=np.float64).reshape(-1, 4)
    edges, owners = _edges(shapes, np.arange(len(shapes)))
    lattice = _lattice(bounds, len(edges), squares_an_edge)
    whole = np.array([0, 0, int(lattice[3]), int(lattice[4])], np.int32)
    for shift in _shifts():
        made = _made(edges, owners, lattice, shift, whole, len(shapes))
        if made is not None:
            codes, leaves, near, owned = made
            return CoverageIndex(
                shapes, bounds, lattice, shift, codes, leaves, near, owned, edges, len(leaves)
            )
    raise TopologyError("No lattice fits: edges pass through every place that was tried.")


def assign(places: Floats, polygons: Any) -> Ints:
    """Return the row of the first polygon that has each place, -1 for a place in none.

    For places asked once; who asks again keeps the `coverage_index`.

    Parameters
    ----------
    places : ndarray of float, shape (n, 2)
    polygons : array-like of Polygon or MultiPolygon, shape (k,)
        In the same CRS.

    Returns
    -------
    ndarray of int32, shape (n,)

    Raises
    ------
    TopologyError
        As `coverage_index`.
    """
    return coverage_index(polygons).assign(places)


def _shapes(polygons: Any) -> Polygons:
    shapes = np.empty(len(polygons), dtype=object)
    shapes[:] = np.asarray(polygons, dtype=object)
    return shapes


def _refuse(shapes: Polygons, rows: NDArray[Any]) -> None:
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    wrong = there & ~np.isin(shapely.get_type_id(shapes), AREAL)
    if wrong.any():
        listed = rows[wrong].tolist()
        raise TopologyError(f"Row {listed[0]} is no polygon.", positions=listed[:100])
    wrong = there & ~shapely.is_valid(shapes)
    if wrong.any():
        listed = rows[wrong].tolist()
        message = f"{len(listed)} polygons are invalid, row {listed[0]} first; mend them before."
        raise TopologyError(message, positions=listed[:100])


def _edges(shapes: Polygons, rows: NDArray[np.int64]) -> tuple[Floats, Ints]:
    """Return the borders of some polygons, each once, and whose they are."""
    parts, part = shapely.get_parts(shapes[rows], return_index=True)
    if len(parts) == 0:
        return np.empty((0, 4)), np.empty((0, 2), np.int32)
    _, places, (ring_ends, part_ends) = shapely.to_ragged_array(parts)
    first = np.ones(len(places), dtype=bool)
    first[ring_ends[1:] - 1] = False
    begins = np.flatnonzero(first)
    vertices = ring_ends[part_ends]
    owner = np.repeat(rows[part], np.diff(vertices)).astype(np.int32)[begins]
    return squares.paired(np.hstack([places[begins, :2], places[begins + 1, :2]]), owner)


def _lattice(bounds: Floats, edges: int, squares_an_edge: float) -> Floats:
    """Return a lattice over all polygons, a little larger than they are."""
    if len(bounds) == 0 or np.isnan(bounds).all():
        return np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    west, south = np.nanmin(bounds[:, :2], axis=0)
    east, north = np.nanmax(bounds[:, 2:], axis=0)
    wide, high = east - west, north - south
    wanted = min(max(squares_an_edge * edges, 1.0), MOST_SQUARES)
    longer = max(wide, high)
    side = max(np.sqrt(wide * high / wanted), longer / wanted, longer * 2.0**-20)
    least = np.abs([west, south, east, north]).max() * 2.0**-40
    side = max(side, least, float(np.finfo(float).tiny) * 2.0**60)
    columns, rows = int(wide / side) + 2, int(high / side) + 2
    return np.array([west - side / 2, south - side / 2, side, columns, rows])


def _shifts() -> list[Floats]:
    return [np.array(shift) for shift in SHIFTS]


def _made(
    edges: Floats, owners: Ints, lattice: Floats, shift: Floats, window: Ints, crowd: int
) -> tuple[Ints, Ints, Ints, Ints] | None:
    """Return a window of the lattice; None where an edge passes through a reference."""
    crossed = squares.crossings(edges, lattice, shift, window)
    if len(crossed[1]) and crossed[1][0] < 0:
        return None
    size = int(window[2] - window[0]) * int(window[3] - window[1])
    starts, nothing = np.zeros(size + 1, np.int32), np.empty(0, np.int32)
    total = squares.touched(edges, lattice, window, starts[1:], nothing, nothing)
    np.cumsum(starts, out=starts)
    listed = np.empty(total, np.int32)
    if total:
        squares.touched(edges, lattice, window, nothing, starts[:-1].copy(), listed)
    return squares.swept(owners, window, starts, listed, crossed, crowd)


def _windows(boxes: Floats, lattice: Floats) -> list[Ints] | None:
    """Return windows around boxes, apart from each other; None where one leaves the lattice."""
    boxes = boxes[~np.isnan(boxes).any(axis=1)]
    x0, y0, side, columns, rows = lattice
    low = np.floor((boxes[:, :2] - (x0, y0)) / side).astype(np.int64) - 1
    high = np.floor((boxes[:, 2:] - (x0, y0)) / side).astype(np.int64) + 2
    outer = (boxes[:, :2] <= (x0, y0)) | (boxes[:, 2:] >= (x0 + columns * side, y0 + rows * side))
    if outer.any():
        return None
    found: list[NDArray[np.int64]] = []
    for one in np.hstack([low.clip(0), np.minimum(high, (int(columns), int(rows)))]):
        grown, apart = one, []
        waiting = found
        while waiting:
            met = [other for other in waiting if _meet(grown, other)]
            apart = [other for other in waiting if not _meet(grown, other)]
            for other in met:
                grown = np.append(
                    np.minimum(grown[:2], other[:2]), np.maximum(grown[2:], other[2:])
                )
            waiting = apart if met else []
        found = [*apart, grown]
    return [window.astype(np.int32) for window in found]


def _within(places: Floats, lattice: Floats, windows: list[Ints]) -> NDArray[np.bool_]:
    """Return which places lie in squares of some windows; each square is found as a query does."""
    x0, y0, side, columns, rows = lattice
    across, above = (places[:, 0] - x0) * (1.0 / side), (places[:, 1] - y0) * (1.0 / side)
    on = (across >= 0) & (above >= 0) & (across < columns) & (above < rows)
    marked = np.zeros((int(rows), int(columns)), dtype=bool)
    for west, south, east, north in windows:
        marked[south:north, west:east] = True
    on[on] = marked[above[on].astype(np.int64), across[on].astype(np.int64)]
    return np.asarray(on)


def _meet(one: NDArray[np.int64], two: NDArray[np.int64]) -> bool:
    return bool((one[:2] < two[2:]).all() and (two[:2] < one[2:]).all())


def _with_window(index: CoverageIndex, window: Ints) -> CoverageIndex | None:
    """Return the index with one window made anew; None where an edge meets a reference there."""
    x0, y0, side, columns, _ = index.lattice
    west, south = np.array([x0, y0]) + (window[:2] - 1) * side
    east, north = np.array([x0, y0]) + (window[2:] + 1) * side
    there = (index.bounds[:, 0] <= east) & (index.bounds[:, 2] >= west)
    there &= (index.bounds[:, 1] <= north) & (index.bounds[:, 3] >= south)
    rows = np.flatnonzero(there)
    edges, owners = _edges(index.polygons, rows)
    made = _made(edges, owners, index.lattice, index.shift, window, len(rows))
    if made is None:
        return None
    codes, leaves, near, owned = made
    codes[codes < squares.NOBODY] -= len(index.leaves)
    near[:, 0] += len(index.edges)
    leaves += np.array([len(index.near)] * 2 + [len(index.owned)] * 2, dtype=np.int32)
    table = index.codes.reshape(-1, int(columns))[window[1] : window[3], window[0] : window[2]]
    used = index.used - int((table < squares.NOBODY).sum()) + len(leaves)
    table[:] = codes.reshape(table.shape)
    return replace(
        index,
        leaves=np.vstack([index.leaves, leaves]),
        near=np.vstack([index.near, near]),
        owned=np.concatenate([index.owned, owned]),
        edges=np.vstack([index.edges, edges]),
        used=used,
    )
