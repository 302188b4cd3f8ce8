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
from geo.saying import phrase
from geo.terms import BarrierKind
from geo.topology import Adjacency, Parts, adjacency, contiguous_parts

TORN: Final = "torn"
EMPTY: Final = "empty"
MIXED: Final = "mixed"
LOCKED: Final = "locked"
COMPOUND: Final = "compound_divided"
FEW: Final = "households_min"
MANY: Final = "households_max"
LARGE: Final = "area_max"
OFF_TARGET: Final = "households_target"
CROSSED: Final = "barrier_crossed"
TOLERANCE: Final = 0.1
"""Share of the wished number of households by which a grid may miss it."""
ALWAYS: Final = frozenset({TORN, EMPTY, MIXED, LOCKED})
"""Rules that no plan can switch off."""
WISHED: Final = frozenset({COMPOUND, FEW, MANY, LARGE, OFF_TARGET, CROSSED})
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
    households_target : float, optional
        What a basic leaf grid should have.
    households_tolerance : float, default 0.1
        How far it may be from that, as a share of it: 0.1 is a tenth to either side.
    households_min, households_max, area_max_m2 : float, optional
        Of a basic leaf grid.
    keep_compounds : bool
        Compounds with households lie in one grid.
    keep_barriers : frozenset of str
        Kinds of barriers that no leaf grid lies on both sides of, whatever street crosses them.
    refuse : frozenset of str
        Rules by which an edit is refused; by the others the planner is warned.
    """

    households_target: float | None = None
    households_tolerance: float = TOLERANCE
    households_min: float | None = None
    households_max: float | None = None
    area_max_m2: float | None = None
    keep_compounds: bool = False
    keep_barriers: frozenset[str] = frozenset()
    refuse: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rules: Mapping[str, Any]) -> Limits:
        """Return what stands in a plan.

        Raises
        ------
        InvalidInputError
            If a rule is unknown, no sound value, or contradicts another.
        """
        unknown = sorted(set(rules) - set(cls.__dataclass_fields__))
        if unknown:
            raise InvalidInputError(
                phrase("There is no rule '%(unknown)s'.", unknown=unknown[0]), field="rules"
            )
        given: dict[str, Any] = dict(rules)
        refuse = _some_of(given.pop("refuse", []), WISHED, "refuse")
        barriers = given.pop("keep_barriers", [])
        kinds = frozenset(kind.value for kind in BarrierKind)
        kept = kinds if barriers is True else _some_of(barriers or [], kinds, "keep_barriers")
        keep = given.pop("keep_compounds", False)
        if not isinstance(keep, bool):
            raise InvalidInputError(phrase("'keep_compounds' is true or false."), field="rules")
        for name, value in given.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 <= value < 1e12):
                raise InvalidInputError(
                    phrase("'%(name)s' is a number from 0.", name=name), field="rules"
                )
        plain = {name: value for name, value in given.items() if value is not None}
        made = cls(**plain, keep_compounds=keep, keep_barriers=kept, refuse=refuse)
        made._demand_sense()
        return made

    def _demand_sense(self) -> None:
        least, most, target = self.households_min, self.households_max, self.households_target
        if least is not None and most is not None and least > most:
            raise InvalidInputError(
                phrase("'households_min' is above 'households_max'."), field="rules"
            )
        if target is not None and not (least or 0) <= target <= (target if most is None else most):
            message = phrase(
                "'households_target' lies between 'households_min' and 'households_max'."
            )
            raise InvalidInputError(message, field="rules")
        if self.households_tolerance > 1:
            message = phrase("'households_tolerance' is a share from 0 to 1.")
            raise InvalidInputError(message, field="rules")


def _some_of(value: Any, known: frozenset[str], name: str) -> frozenset[str]:
    if not isinstance(value, list) or not set(map(str, value)) <= known:
        listed = ", ".join(sorted(known))
        raise InvalidInputError(
            phrase("'%(name)s' names some of %(listed)s.", name=name, listed=listed), field="rules"
        )
    return frozenset(value)


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
        message = _in_parts(number, parts, may)
        faults.append(Fault(TORN, number, message, place, {"parts": int(parts), "allowed": may}))
    return faults


def crossing_leaves(
    cells: gpd.GeoSeries,
    after: pd.Series[int],
    before: pd.Series[int],
    leaves: Collection[int],
    barriers: gpd.GeoSeries,
) -> list[Fault]:
    """Return the leaf grids that come to lie on both sides of a barrier, bridges or not.

    Parameters
    ----------
    cells, after, before
        As for `torn_leaves`.
    leaves : collection of int
        The leaves to be looked at.
    barriers : GeoSeries
        Those that no grid crosses, near the cells.

    Returns
    -------
    list of Fault
        With the smaller parts as their place. A grid that crossed as often before may stay so.
    """
    asked = after.where(after.isin(list(leaves)))
    if not len(barriers) or not asked.notna().any():
        return []
    nothing = gpd.GeoSeries([], crs=cells.crs)
    closed, opened = ways(cells, barriers, nothing), ways(cells, nothing, nothing)
    sides, earlier = parts_of(asked, closed), parts_of(before, closed)
    whole = parts_of(asked, opened).to_dict()
    faults = []
    for grid, count in sides.items():
        number = int(str(grid))
        if count <= max(whole[grid], int(earlier.get(grid, 1))):
            continue
        stray = _stray(after.to_numpy() == number, closed)
        place = shapely.coverage_union_all(cells.to_numpy()[stray]) if stray.any() else None
        message = phrase("The grid %(grid)s would lie on both sides of a barrier.", grid=number)
        faults.append(Fault(CROSSED, number, message, place, {"sides": int(count)}))
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
    message = _in_parts(grid, count, allowed)
    return [Fault(TORN, grid, message, place, {"parts": count, "allowed": allowed})]


def _parts_on_ground(cells: gpd.GeoSeries) -> Parts:
    return contiguous_parts(pd.Series(0, index=cells.index), adjacency(cells))


def _in_parts(grid: int, parts: int, allowed: int) -> str:
    return phrase(
        "The grid %(grid)s would lie in %(parts)s parts, with %(allowed)s allowed.",
        grid=grid, parts=parts, allowed=allowed,
    )  # fmt: skip


def _sized(rule: str, grid: int, value: float, limit: float | None) -> str:
    """Return in a sentence that a grid is smaller or larger than wished."""
    told = {"grid": grid, "value": f"{value:g}", "limit": f"{limit:g}"}
    if rule == FEW:
        return phrase(
            "The grid %(grid)s would have %(value)s households, at least %(limit)s are wished.",
            **told,
        )
    if rule == MANY:
        return phrase(
            "The grid %(grid)s would have %(value)s households, at most %(limit)s are wished.",
            **told,
        )
    if rule == LARGE:
        return phrase(
            "The grid %(grid)s would have %(value)s m2, at most %(limit)s are wished.", **told
        )
    return phrase(
        "The grid %(grid)s would have %(value)s households, about %(limit)s are wished.", **told
    )


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
        faults += _off_target(grid, homes, limits)
        for rule, least, most, value in (
            (FEW, limits.households_min, None, homes),
            (MANY, None, limits.households_max, homes),
            (LARGE, None, limits.area_max_m2, area),
        ):
            short = least is not None and value < least
            if not short and (most is None or value <= most):
                continue
            limit = least if short else most
            message = _sized(rule, grid, value, limit)
            faults.append(Fault(rule, grid, message, None, {"value": value, "limit": limit}))
    return faults


def _off_target(grid: int, homes: float, limits: Limits) -> list[Fault]:
    """Return whether a grid misses the wished number of households by more than it may."""
    target = limits.households_target
    if target is None or abs(homes - target) <= target * limits.households_tolerance:
        return []
    message = _sized(OFF_TARGET, grid, homes, target)
    figures = {"value": homes, "target": target, "tolerance": limits.households_tolerance}
    return [Fault(OFF_TARGET, grid, message, None, figures)]


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
            message = phrase(
                "The compound %(compound)s would lie in %(n)s grids.", compound=number, n=now
            )
            faults.append(
                Fault(COMPOUND, grid, message, outlines.get(number),
                      {"compound": number, "grids": sorted(map(int, rows["after"].unique()))})
            )  # fmt: skip
    return faults
