"""Rules that a plan keeps after every edit: no torn or empty grid, compounds whole, sizes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.barriers import Ways, parts_of, ways
from geo.errors import InvalidInputError
from geo.topology import Adjacency, Parts, adjacency, contiguous_parts

TORN: Final = "torn"
EMPTY: Final = "empty"
MIXED: Final = "mixed"
LOCKED: Final = "locked"
COMPOUND: Final = "compound_divided"
FEW: Final = "households_min"
MANY: Final = "households_max"
LARGE: Final = "area_max"
ALWAYS: Final = frozenset({TORN, EMPTY, MIXED, LOCKED})
"""Rules that no plan can switch off."""
WISHED: Final = frozenset({COMPOUND, FEW, MANY, LARGE})
"""Rules that a plan sets; they warn, unless it refuses by them."""


@dataclass(frozen=True)
class Fault:
    """A rule that a grid breaks.

    Attributes
    ----------
    rule : str
    grid : int
    message : str
    place : shapely geometry, optional
        Where, in the city's metre CRS.
    data : mapping
        Figures.
    """

    rule: str
    grid: int
    message: str
    place: Any = None
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Limits:
    """What the author of a plan wishes of its grids.

    Attributes
    ----------
    households_target, households_tolerance : float, optional
        For figures; nothing is refused by them.
    households_min, households_max, area_max_m2 : float, optional
        Of a basic leaf grid.
    keep_compounds : bool
        Compounds with households lie in one grid.
    refuse : frozenset of str
        Rules by which an edit is refused; by the others the planner is warned.
    """

    households_target: float | None = None
    households_tolerance: float | None = None
    households_min: float | None = None
    households_max: float | None = None
    area_max_m2: float | None = None
    keep_compounds: bool = False
    refuse: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rules: Mapping[str, Any]) -> Limits:
        """Return what stands in a plan.

        Raises
        ------
        InvalidInputError
            If a rule is unknown or no sound number; `field` names it.
        """
        unknown = sorted(set(rules) - set(cls.__dataclass_fields__))
        if unknown:
            raise InvalidInputError(f"There is no rule '{unknown[0]}'.", field="rules")
        given: dict[str, Any] = dict(rules)
        refuse = given.pop("refuse", [])
        keep = given.pop("keep_compounds", False)
        if not isinstance(refuse, list) or not set(map(str, refuse)) <= WISHED:
            listed = ", ".join(sorted(WISHED))
            raise InvalidInputError(f"'refuse' names some of {listed}.", field="rules")
        for name, value in given.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 <= value < 1e12):
                raise InvalidInputError(f"'{name}' is a number from 0.", field="rules")
        return cls(**given, keep_compounds=bool(keep), refuse=frozenset(refuse))


def torn_leaves(
    cells: gpd.GeoSeries,
    after: pd.Series[int],
    before: pd.Series[int],
    allowed: Mapping[int, int],
    barriers: gpd.GeoSeries,
    streets: gpd.GeoSeries,
) -> list[Fault]:
    """Return the leaf grids that lie in more parts than they may, as one can walk.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
        All cells of the leaves in question, metre CRS.
    after, before : Series of int, shape (n,)
        Leaf of each cell, in the order of `cells`.
    allowed : mapping of int to int
        Parts that each leaf to be checked may lie in.
    barriers, streets : GeoSeries
        Near the cells.

    Returns
    -------
    list of Fault
        With the smaller parts as their place. A grid that lay in more parts already may stay so.
    """
    asked = after.where(after.isin(list(allowed)))
    if not asked.notna().any():
        return []
    found = ways(cells, barriers, streets)
    counts = parts_of(asked, found)
    counts.index = counts.index.astype("int64")
    over = {grid: n for grid, n in counts.items() if n > allowed[int(str(grid))]}
    if not over:
        return []
    earlier = parts_of(before, found)
    faults = []
    for grid, parts in over.items():
        number = int(str(grid))
        if parts <= earlier.get(number, 0):
            continue
        stray = _stray(after.to_numpy() == number, found)
        place = shapely.coverage_union_all(cells.to_numpy()[stray]) if stray.any() else None
        may = allowed[number]
        message = f"The grid {number} would lie in {parts} parts, with {may} allowed."
        faults.append(Fault(TORN, number, message, place, {"parts": int(parts), "allowed": may}))
    return faults


def _stray(own: Any, found: Ways) -> Any:
    """Say which dry cells of a grid do not lie in its largest part."""
    inside = own[found.cell]
    joined = inside[found.left] & inside[found.right]
    pairs = (found.left[joined], found.right[joined])
    size = len(found.cell)
    graph = coo_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(size, size))
    part = connected_components(graph, directed=False)[1][: len(own)]
    dry = own & ~found.wet
    if not dry.any():
        dry = own
    largest = np.bincount(part[dry]).argmax()
    return dry & (part != largest)


def may_be_torn(
    neighbours: Adjacency,
    inside: Any,
    left: Any,
    gained: Any,
    group: Any,
) -> bool:
    """Say whether a grid may have come apart, from the ground around a change alone.

    Parameters
    ----------
    neighbours : Adjacency of n cells
        The cells that changed hands and those around them.
    inside : ndarray of bool, shape (n,)
        Cells of the grid, after the change.
    left, gained : ndarray of bool, shape (n,)
        Cells that the grid lost and got.
    group : ndarray of int, shape (n,)
        Cells of one number are known to be joined, whatever is seen of them here.

    Returns
    -------
    bool
        False is certain. True asks for a look at the whole grid.
    """
    both = inside[neighbours.left] & inside[neighbours.right]
    one, two = group[neighbours.left[both]], group[neighbours.right[both]]
    size = int(group.max()) + 1 if len(group) else 0
    graph = coo_array((np.ones(len(one), dtype=bool), (one, two)), shape=(size, size))
    part = connected_components(graph, directed=False)[1][group]
    beside = np.zeros(len(inside), dtype=bool)
    beside[neighbours.right[left[neighbours.left]]] = True
    beside[neighbours.left[left[neighbours.right]]] = True
    asked = inside & (beside | gained)
    if not asked.any():
        return False
    parts = np.unique(part[asked])
    if len(parts) > 1:
        return True
    held = inside & (part == parts[0])
    return not (held & ~gained).any()


def torn_whole(now: gpd.GeoSeries, then: gpd.GeoSeries, grid: int, allowed: int) -> list[Fault]:
    """Return whether a grid above the leaves lies in more parts on the ground than it may.

    Parameters
    ----------
    now, then : GeoSeries of Polygon
        The cells of the grid after and before, metre CRS. A grid that lay in as many parts before
        may stay so.
    grid, allowed : int
    """
    parts = _parts_on_ground(now)
    count = int(parts.counts.iloc[0]) if len(parts.counts) else 0
    if count <= allowed:
        return []
    earlier = _parts_on_ground(then).counts
    if len(earlier) and count <= int(earlier.iloc[0]):
        return []
    place = shapely.coverage_union_all(now.loc[parts.stray.index].to_numpy())
    message = f"The grid {grid} would lie in {count} parts, with {allowed} allowed."
    return [Fault(TORN, grid, message, place, {"parts": count, "allowed": allowed})]


def _parts_on_ground(cells: gpd.GeoSeries) -> Parts:
    return contiguous_parts(pd.Series(0, index=cells.index), adjacency(cells))


def sizes(
    households: Mapping[int, float], area_m2: Mapping[int, float], limits: Limits
) -> list[Fault]:
    """Return the grids that are smaller or larger than their plan wishes.

    Parameters
    ----------
    households, area_m2 : mapping of int to float
        Of basic leaf grids.
    limits : Limits
    """
    faults = []
    for grid in sorted(area_m2):
        homes, area = households.get(grid, 0.0), area_m2[grid]
        for rule, least, most, value, unit in (
            (FEW, limits.households_min, None, homes, "households"),
            (MANY, None, limits.households_max, homes, "households"),
            (LARGE, None, limits.area_max_m2, area, "m2"),
        ):
            short = least is not None and value < least
            if not short and (most is None or value <= most):
                continue
            limit = least if short else most
            word = "at least" if short else "at most"
            message = f"The grid {grid} would have {value:g} {unit}, {word} {limit:g} are wished."
            faults.append(Fault(rule, grid, message, None, {"value": value, "limit": limit}))
    return faults


def divided_compounds(
    members: pd.DataFrame, outlines: Mapping[int, Any], changed: Collection[int]
) -> list[Fault]:
    """Return the compounds that an edit spreads over more grids than before.

    Parameters
    ----------
    members : DataFrame
        compound, cell, before, after: the leaf of each cell of each compound near the edit.
    outlines : mapping of int to shapely geometry
        Of the compounds, metre CRS.
    changed : collection of int
        The cells that change hands.
    """
    faults = []
    for compound, rows in members.groupby("compound", sort=True):
        number = int(str(compound))
        if not rows["cell"].isin(list(changed)).any():
            continue
        now, then = rows["after"].nunique(), rows["before"].nunique()
        if now > max(then, 1):
            grid = int(rows["after"].iloc[0])
            message = f"The compound {number} would lie in {now} grids."
            faults.append(
                Fault(COMPOUND, grid, message, outlines.get(number),
                      {"compound": number, "grids": sorted(map(int, rows["after"].unique()))})
            )  # fmt: skip
    return faults
