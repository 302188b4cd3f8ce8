"""One net out of many: slivers go where the departments agree, old grids stay traceable.

The rules, in this order. Borders nearer to each other than the tolerance leave a sliver between
them; it goes to the neighbour with which most departments, by weight, have it in one grid, so that
the border of least weight vanishes; of equal ones the department named first keeps its border. A
street or barrier that runs along a border outweighs all departments. Neighbours that all
departments have alike are one unit. Units below the least size go the same way. Nothing is moved:
every border of the result is a border of an input, the outline as it came.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.apportion import shared_exactly
from geo.errors import TopologyError
from geo.nets.overlay import Floats, Ints, Net, Overlay, Progress, Shapes, overlay, squares_of
from geo.terms import JOINING_BORDER_M
from geo.topology import shared_edges

LEAST_M2: Final = 1.0
MARGIN: Final = 1.002
"""What is too small is looked for with this margin: another CRS measures a little differently."""
ACCOUNT: Final = {"in_units_m2": "unit", "outside_m2": "outside", "overlap_m2": "overlap"}
COLUMNS: Final = ("unit", "area_m2", "value", "geometry")
"""Columns of the units beside one for each net."""
CROSSWALK: Final = ("net", "grid", "row", "unit", "kind", "area_m2", "share", "value")


@dataclass(frozen=True)
class Merged:
    """The proposal, and where each old grid went.

    Attributes
    ----------
    units : GeoDataFrame, shape (u,)
        `unit` (1, 2, ... from the north-west), `area_m2`, `value` (NaN without values), one column
        for each net with the label of the grid that has most of the unit (None for none), geometry.
    crosswalk : DataFrame
        `net`, `grid`, `row` (of the grid, from 0), `unit`, `kind` (`unit`; `outside` the ground
        that is covered; `overlap` with another grid of its net, which has that ground), `area_m2`,
        `share` of the grid's area, `value`.
    grids : DataFrame
        For each old grid `net`, `grid`, `row`, `area_m2`, `in_units_m2`, `outside_m2`,
        `overlap_m2`, `residual_m2`, `units`.
    laid : Overlay
    unit_of : ndarray of int, shape (f,)
        Unit of each face, -1 outside.
    below : ndarray of int
        Units that stay thinner or smaller than asked, as they have no neighbour.
    """

    units: gpd.GeoDataFrame
    crosswalk: pd.DataFrame
    grids: pd.DataFrame
    laid: Overlay
    unit_of: Ints
    below: Ints

    def figures(self) -> dict[str, Any]:
        """Return the sums: plain numbers, areas in m2."""
        shapes = self.units.geometry.to_numpy()
        near = shapely.transform(shapes, lambda places: places - self.laid.origin)
        sizes, lengths = shapely.area(near), shapely.length(near)
        roundness = 4 * np.pi * sizes / lengths**2
        ground_m2 = float(shapely.area(self.laid.ground))
        union = shapely.coverage_union_all(near)
        beyond = shapely.area(shapely.symmetric_difference(union, self.laid.ground))
        return {
            "units": len(self.units),
            "faces": int(self.laid.inside.sum()),
            "faces_under_1_m2": int((self.laid.area_m2[self.laid.inside] < LEAST_M2).sum()),
            "coverage_valid": bool(
                shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes)
            ),
            "ground_m2": ground_m2,
            "area_difference_m2": abs(fsum(sizes) - ground_m2),
            "outline_difference_m2": float(beyond),
            "pieces_under_1_m2": int((sizes < LEAST_M2).sum()),
            "narrowest_m": float((2 * sizes / lengths).min(initial=np.inf)),
            "contiguity_violations": int((shapely.get_num_geometries(shapes) > 1).sum()),
            "polsby_popper": float(roundness.mean()) if len(shapes) else 0.0,
            "crosswalk_residual_m2": float(self.grids["residual_m2"].abs().max()),
            "untraceable": int((self.grids["units"] == 0).sum()),
            "overlap_m2": fsum(self.grids["overlap_m2"]),
            "outside_m2": fsum(self.grids["outside_m2"]),
        }


def merge_nets(
    nets: Sequence[Net],
    *,
    tolerance_m: float = 5.0,
    outline: gpd.GeoSeries | None = None,
    lines: gpd.GeoSeries | None = None,
    cells: gpd.GeoSeries | None = None,
    least_m2: float = LEAST_M2,
    least_value: float = 0.0,
    progress: Progress | None = None,
) -> Merged:
    """Propose one net out of several.

    Parameters
    ----------
    nets : sequence of Net
        As they came, in one CRS in metres; the order decides between equal votes. The first with
        `counts` says how much of the count each unit has.
    tolerance_m : float, default 5
        No unit has twice its area by its perimeter below this.
    outline : GeoSeries, optional
        What is to be covered, exactly. Default: what any net covers, narrow gaps closed.
    lines : GeoSeries, optional
        Streets and barriers; borders that run along them within the tolerance are laid on them.
    cells : GeoSeries, optional
        Ground that is not to be cut: each cell votes as a whole.
    least_m2, least_value : float
        Units below either are given to their neighbours.
    progress : callable, optional
        Takes what is done and its share, 0 to 1; what it raises ends the work.

    Returns
    -------
    Merged

    Raises
    ------
    TopologyError
        If a width, a size, a vote or a count is negative or no number, names of nets repeat or are
        names of other columns, no net lies within the outline; and as `geo.nets.overlay.overlay`.

    Examples
    --------
    >>> from shapely import box
    >>> fire = gpd.GeoSeries([box(0, 0, 50, 80), box(50, 0, 90, 80)], crs=26986)
    >>> police = gpd.GeoSeries([box(0, 0, 52, 80), box(52, 0, 90, 80)], crs=26986)
    >>> found = merge_nets([Net("fire", fire), Net("police", police)])
    >>> found.units["area_m2"].tolist()
    [4000.0, 3200.0]
    """
    _refuse_odd(nets, tolerance_m=tolerance_m, least_m2=least_m2, least_value=least_value)
    laid = overlay(
        nets, tolerance_m=tolerance_m, outline=outline, lines=lines, cells=cells, progress=progress
    )
    if not (laid.inside & (laid.owner >= 0).any(axis=0)).any():
        raise TopologyError("No net lies within the outline.")
    values = _values(nets, laid)
    if progress is not None:
        progress("settle the slivers", 0.0)
    votes = _Votes(laid, np.array([net.weight for net in nets], dtype=float), values)
    votes.join_blocks()
    narrow_m, small_m2 = MARGIN * tolerance_m, MARGIN * LEAST_M2
    votes.settle(lambda unit: unit.area_m2 < small_m2 or unit.width_m < narrow_m)
    votes.join_alike()
    small_m2 = max(least_m2, small_m2)
    votes.settle(
        lambda unit: unit.area_m2 < small_m2 or unit.value < least_value or unit.width_m < narrow_m
    )
    votes.join_alike()
    if progress is not None:
        progress("draw the units", 0.0)
    units, unit_of = _units(nets, laid, votes, values)
    crosswalk, grids = _crosswalk(nets, laid, unit_of, values)
    width = 2 * shapely.area(units.geometry) / shapely.length(units.geometry)
    small = (units["area_m2"] < max(least_m2, LEAST_M2)) | (width < tolerance_m)
    if values is not None:
        small |= units["value"] < least_value
    return Merged(units, crosswalk, grids, laid, unit_of, np.flatnonzero(small) + 1)


def _refuse_odd(nets: Sequence[Net], **sizes: float) -> None:
    for name, size in sizes.items():
        if not 0.0 <= size < np.inf:
            raise TopologyError(f"{name} is a number from 0.", **{name: size})
    names = [net.name for net in nets]
    if len(set(names)) < len(names) or set(names) & set(COLUMNS):
        message = f"Nets have different names, and none of {', '.join(COLUMNS)}."
        raise TopologyError(message, names=names)
    for net in nets:
        if not 0.0 <= net.weight < np.inf:
            raise TopologyError(f"{net.name}: a vote is a number from 0.", net=net.name)
        if net.counts is not None and not np.isfinite(net.counts.fillna(0).to_numpy(float)).all():
            raise TopologyError(f"{net.name}: a count is no number.", net=net.name)


def _values(nets: Sequence[Net], laid: Overlay) -> Floats | None:
    """Return the count of each face: its grid's, shared by ground, whole where it is whole."""
    for number, net in enumerate(nets):
        if net.counts is None:
            continue
        owner = laid.owner[number]
        at = np.flatnonzero(owner >= 0)
        there, group = np.unique(owner[at], return_inverse=True)
        counts = net.counts.fillna(0).to_numpy(dtype=float)[there]
        if (counts < 0).any():
            raise TopologyError(f"{net.name}: a count is negative.", net=net.name)
        found = np.zeros(len(laid.faces))
        found[at] = shared_exactly(counts, group, laid.area_m2[at])
        return found
    return None


@dataclass
class _Unit:
    area_m2: float
    perimeter_m: float
    value: float
    votes: list[dict[int, float]]
    faces: list[int]
    around: dict[int, list[float]] = field(default_factory=dict)

    @property
    def width_m(self) -> float:
        return 2 * self.area_m2 / self.perimeter_m

    def labels(self) -> tuple[int, ...]:
        """Return the grid of each net that has most of the unit."""
        return tuple(max(sorted(each), key=lambda grid: each[grid]) for each in self.votes)


class _Votes:
    """Units on their way: faces that are joined one by one."""

    def __init__(self, laid: Overlay, weights: Floats, values: Floats | None) -> None:
        self.laid, self.weights = laid, weights
        self.outweighing = float(weights.sum()) + 1.0
        self.units: dict[int, _Unit] = {}
        self.label: dict[int, tuple[int, ...]] = {}
        for face in np.flatnonzero(laid.inside).tolist():
            size = float(laid.area_m2[face])
            self.units[face] = _Unit(
                size,
                float(laid.perimeter_m[face]),
                0.0 if values is None else float(values[face]),
                [{int(grid): size} for grid in laid.owner[:, face]],
                [face],
            )
            self.label[face] = tuple(laid.owner[:, face].tolist())
        borders = zip(
            laid.left.tolist(),
            laid.right.tolist(),
            laid.length_m.tolist(),
            laid.kept_m.tolist(),
            strict=True,
        )
        for one, two, length, kept in borders:
            if one in self.units and two in self.units:
                self.units[one].around[two] = [length, kept]
                self.units[two].around[one] = [length, kept]

    def join(self, one: int, two: int) -> int:
        """Join two units; return the key of the result, that of the one with more neighbours."""
        if len(self.units[one].around) < len(self.units[two].around):
            one, two = two, one
        stays, goes = self.units[one], self.units.pop(two)
        self.label.pop(two)
        shared = stays.around.pop(two, [0.0, 0.0])
        goes.around.pop(one, None)
        stays.area_m2 += goes.area_m2
        stays.perimeter_m += goes.perimeter_m - 2 * shared[0]
        stays.value += goes.value
        stays.faces += goes.faces
        for mine, others in zip(stays.votes, goes.votes, strict=True):
            for grid, size in others.items():
                mine[grid] = mine.get(grid, 0.0) + size
        for other, (length, kept) in goes.around.items():
            border = stays.around.setdefault(other, [0.0, 0.0])
            border[0] += length
            border[1] += kept
            beyond = self.units[other].around
            beyond.pop(two)
            beyond[one] = border
        self.label[one] = stays.labels()
        return one

    def join_blocks(self) -> None:
        """Join the faces of each cell."""
        first: dict[int, int] = {}
        for face in sorted(self.units):
            block = int(self.laid.block[face])
            if block >= 0 and block in first:
                first[block] = self.join(first[block], face)
            elif block >= 0:
                first[block] = face

    def settle(self, unfit: Any) -> None:
        """Give each unit that is unfit to a neighbour, the smallest first."""
        waiting = [(unit.area_m2, key) for key, unit in self.units.items() if unfit(unit)]
        heapq.heapify(waiting)
        while waiting:
            size, key = heapq.heappop(waiting)
            unit = self.units.get(key)
            if unit is None or unit.area_m2 != size or not unfit(unit) or not unit.around:
                continue
            key = self.join(key, self.best(key))
            if unfit(self.units[key]):
                heapq.heappush(waiting, (self.units[key].area_m2, key))

    def best(self, key: int) -> int:
        """Return the neighbour with which the departments agree most."""
        unit, own = self.units[key], self.label[key]
        joining = [other for other, (m, _) in unit.around.items() if m >= JOINING_BORDER_M]

        def agreement(other: int) -> tuple[Any, ...]:
            same = [one == two for one, two in zip(own, self.label[other], strict=True)]
            length, kept = unit.around[other]
            total = float(self.weights[same].sum()) - self.outweighing * kept / (length or 1.0)
            return (total, same, length, -other)

        return max(joining or unit.around, key=agreement)

    def join_alike(self) -> None:
        """Join neighbours that all departments have alike."""
        for start in sorted(self.units):
            key = start
            while key in self.units:
                own = self.label[key]
                alike = [
                    other
                    for other, (length, _) in self.units[key].around.items()
                    if length >= JOINING_BORDER_M and self.label[other] == own
                ]
                if not alike:
                    break
                key = self.join(key, min(alike))


def _units(
    nets: Sequence[Net], laid: Overlay, votes: _Votes, values: Floats | None
) -> tuple[gpd.GeoDataFrame, Ints]:
    keys = list(votes.units)
    near = np.empty(len(keys), dtype=object)
    for number, key in enumerate(keys):
        near[number] = shapely.coverage_union_all(laid.faces[votes.units[key].faces])
    near = _without_marks(near, laid.corners)
    middle = shapely.get_coordinates(shapely.centroid(near))
    order = np.lexsort((middle[:, 0], -np.round(middle[:, 1]))).tolist()
    unit_of = np.full(len(laid.faces), -1, dtype=np.int64)
    for number, place in enumerate(order, start=1):
        unit_of[votes.units[keys[place]].faces] = number
    chosen = [votes.units[keys[place]] for place in order]
    nothing = float("nan")
    table: dict[str, Any] = {
        "unit": np.arange(1, len(keys) + 1),
        "area_m2": shapely.area(near[order]),
        "value": [nothing if values is None else fsum(values[unit.faces]) for unit in chosen],
    }
    labels = [votes.label[keys[place]] for place in order]
    for number, net in enumerate(nets):
        names = [str(name) for name in net.areas.index]
        table[net.name] = [names[row[number]] if row[number] >= 0 else None for row in labels]
    back = shapely.transform(near[order], lambda places: places + laid.origin)
    return gpd.GeoDataFrame(table, geometry=back, crs=nets[0].areas.crs), unit_of


def _without_marks(shapes: Shapes, corners: Floats) -> Shapes:
    """Return units without the vertices that vanished borders left on the named outline.

    An edge of the outline that one unit has alone is as it came again. A straight line in one
    system is not quite straight in another, so marks on it would move the outline there.
    """
    edges = shared_edges(shapes)
    outer = np.zeros(len(edges.xy), dtype=bool)
    outer[edges.tail[edges.single]] = True
    pairs = np.unique(np.column_stack([edges.tail, edges.owner]), axis=0)
    alone = np.bincount(pairs[:, 0], minlength=len(edges.xy)) == 1
    own = np.isin(squares_of(edges.xy), squares_of(corners))
    marks = _numbers(edges.xy[outer & alone & ~own])
    if len(corners) == 0 or len(marks) == 0:
        return shapes
    fresh = shapes.copy()
    for row in np.unique(pairs[np.isin(pairs[:, 0], np.flatnonzero(outer & alone & ~own)), 1]):
        parts = []
        for part in shapely.get_parts(shapes[row]):
            rings = []
            for ring in shapely.get_rings(part):
                places = shapely.get_coordinates(ring)[:-1]
                kept = places[~np.isin(_numbers(places), marks)]
                rings.append(kept if len(kept) > 2 else places)
            parts.append(shapely.Polygon(rings[0], rings[1:]))
        fresh[row] = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    wrong = ~shapely.is_valid(fresh)
    wrong |= ~shapely.is_empty(shapely.coverage_invalid_edges(fresh))
    fresh[wrong] = shapes[wrong]
    return fresh if shapely.coverage_is_valid(fresh) else shapes


def _numbers(places: Floats) -> Any:
    return np.ascontiguousarray(places + 0.0).view(np.complex128).ravel()


def _crosswalk(
    nets: Sequence[Net], laid: Overlay, unit_of: Ints, values: Floats | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return where each old grid's ground went, and its account."""
    size = laid.area_m2
    worth = np.zeros(len(size)) if values is None else values
    rows, sums = [], []
    for number, net in enumerate(nets):
        owner = laid.owner[number]
        at = np.flatnonzero(owner >= 0)
        twice = laid.doubled[laid.doubled[:, 0] == number]
        kind = np.where(unit_of[at] >= 0, "unit", "outside")
        outer = unit_of[twice[:, 2]] < 0
        parts = pd.DataFrame(
            {
                "row": np.concatenate([owner[at], twice[:, 1]]),
                "unit": np.concatenate([unit_of[at], np.where(outer, -1, unit_of[twice[:, 2]])]),
                "kind": np.concatenate([kind, np.where(outer, "outside", "overlap")]),
                "area_m2": np.concatenate([size[at], size[twice[:, 2]]]),
                "value": np.concatenate([worth[at], np.zeros(len(twice))]),
            }
        )
        table = parts.groupby(["row", "kind", "unit"], as_index=False)[["area_m2", "value"]].sum()
        whole = pd.DataFrame({"area_m2": shapely.area(laid.shapes[number])})
        for name, one in ACCOUNT.items():
            part = table[table["kind"] == one].groupby("row")["area_m2"].sum()
            whole[name] = part.reindex(whole.index).fillna(0.0)
        whole["residual_m2"] = whole["area_m2"] - whole.iloc[:, 1:4].sum(axis=1)
        counts = table[table["kind"] != "outside"].groupby("row")["unit"].nunique()
        whole["units"] = counts.reindex(whole.index).fillna(0).astype("int64")
        names = [str(name) for name in net.areas.index]
        table["share"] = table["area_m2"] / whole["area_m2"].to_numpy()[table["row"]]
        table["grid"] = [names[row] for row in table["row"]]
        rows.append(table.assign(net=net.name))
        sums.append(whole.assign(net=net.name, grid=names, row=np.arange(len(whole))))
    crosswalk = pd.concat(rows, ignore_index=True)[list(CROSSWALK)]
    if values is None:
        crosswalk["value"] = np.nan
    return crosswalk, pd.concat(sums, ignore_index=True)
