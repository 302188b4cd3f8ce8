"""Counts of one set of areas shared out over another: an estimate, and said to be one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.crs import require_metres
from geo.errors import TopologyError
from geo.outlines import shared_areas

LEAST_SHARE: Final = 0.01


@dataclass(frozen=True)
class Shares:
    """Counts by cell, and what could not be placed.

    Attributes
    ----------
    values : Series of float, shape (n,)
        Indexed like the cells; with `unplaced` they add up to the sum of the sources.
    unplaced : Series of float
        What sources hold that meet no ground where anything can be; indexed by source.
    """

    values: pd.Series[float]
    unplaced: pd.Series[float]


def apportion(
    sources: gpd.GeoDataFrame,
    cells: gpd.GeoSeries,
    *,
    value: str,
    weight: pd.Series[float] | None = None,
    least_share: float = LEAST_SHARE,
) -> Shares:
    """Share the counts of areas out over cells by the ground they have in common.

    A source's count is spread evenly over its ground, or over what `weight` says of it: with the
    land area of each cell as weight nobody is placed on water. Whole counts stay whole: each source
    is rounded by largest remainder, so that sums are kept to the last person.

    Parameters
    ----------
    sources : GeoDataFrame, shape (k,)
        Valid polygons with a column `value`, projected CRS in metres.
    cells : GeoSeries, shape (n,)
        Valid polygons that do not overlap, same CRS.
    value : str
        Column of `sources`: a count, null counts as 0.
    weight : Series of float, shape (n,), optional
        What a whole cell weighs, in the order of `cells`; default its area in m2.
    least_share : float, default 0.01
        A source with less than this share of its ground in cells is not placed: it lies beside the
        city, and borders that do not quite match must not pull its people in.

    Returns
    -------
    Shares

    Raises
    ------
    TopologyError
        If a CRS is missing, differs or is not in metres, or counts or weights are negative.

    Examples
    --------
    >>> from shapely import box
    >>> ward = gpd.GeoDataFrame({"people": [10]}, geometry=[box(0, 0, 3, 1)], crs=26986)
    >>> blocks = gpd.GeoSeries([box(0, 0, 1, 1), box(1, 0, 3, 1)], crs=26986)
    >>> apportion(ward, blocks, value="people").values.tolist()
    [3.0, 7.0]
    """
    if require_metres(sources.crs) != require_metres(cells.crs):
        raise TopologyError("Sources and cells are in two reference systems; transform one.")
    counts = sources[value].fillna(0).to_numpy(dtype=float)
    areas = cells.area.to_numpy()
    heft = areas if weight is None else weight.fillna(0).to_numpy(dtype=float)
    if (counts < 0).any() or (heft < 0).any():
        raise TopologyError("Counts and weights must not be negative.", value=value)
    at, cell, shared_m2 = shared_areas(sources.geometry.to_numpy(), cells.to_numpy())
    pull = shared_m2 * heft[cell] / areas[cell]
    total = np.bincount(at, weights=pull, minlength=len(counts))
    common = np.bincount(at, weights=shared_m2, minlength=len(counts))
    total[common < least_share * sources.area.to_numpy()] = 0.0
    reached = total[at] > 0
    at, cell, pull = at[reached], cell[reached], pull[reached]
    part = counts[at] * pull / total[at]
    if (counts == np.round(counts)).all():
        part = _whole(at, part, counts)
    values = np.bincount(cell, weights=part, minlength=len(cells))
    left = (total <= 0) & (counts > 0)
    return Shares(
        pd.Series(values, index=cells.index, name=value),
        pd.Series(counts[left], index=sources.index[left], name=value),
    )


def _whole(
    groups: NDArray[np.intp], parts: NDArray[np.float64], sums: NDArray[np.float64]
) -> NDArray[Any]:
    """Round the parts of each group so that they add up to the group's whole sum."""
    whole = np.floor(parts + 1e-9)
    missing = np.round(sums - np.bincount(groups, weights=whole, minlength=len(sums)))
    order = np.lexsort((whole - parts, groups))
    first = np.searchsorted(groups[order], np.arange(len(sums)))
    rank = np.empty(len(parts), dtype=np.int64)
    rank[order] = np.arange(len(parts)) - first[groups[order]]
    return whole + (rank < missing[groups])


def shared_exactly(
    values: NDArray[np.float64], group: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share each value out over the members of its group so that they add up to it exactly.

    Whole values are shared in whole numbers, others in units of their last binary digit, so that
    the sum is the value in any order of adding.

    Parameters
    ----------
    values : ndarray, shape (k,)
        Not negative.
    group : ndarray of int, shape (n,)
        Row of `values` that each member shares; every row has a member.
    weights : ndarray, shape (n,)
        Not negative; where a group has none at all its members share evenly.

    Returns
    -------
    ndarray of float, shape (n,)

    Examples
    --------
    >>> at = np.array([0, 0, 0, 1, 1])
    >>> shared_exactly(np.array([10.0, 0.1]), at, np.array([1.0, 1.0, 0.0, 1.0, 1.0])).tolist()
    [5.0, 5.0, 0.0, 0.05, 0.05]
    """
    total = np.bincount(group, weights=weights, minlength=len(values))
    weights = np.where(total[group] > 0, weights, 1.0)
    total = np.bincount(group, weights=weights, minlength=len(values))
    unit = np.where(values == np.round(values), 1.0, np.spacing(values))
    part = (values / unit)[group] * (weights / total[group])
    whole = np.floor(part + 1e-9)
    missing = values / unit - np.bincount(group, weights=whole, minlength=len(values))
    order = np.lexsort((whole - part, group))
    first = np.searchsorted(group[order], np.arange(len(values)))
    rank = np.empty(len(part), dtype=np.int64)
    rank[order] = np.arange(len(part)) - first[group[order]]
    bearers = np.bincount(group, weights=weights > 0, minlength=len(values))
    few = np.clip(missing, 0.0, bearers)
    whole += (rank < few[group]) & (weights > 0)
    heaviest = np.lexsort((-weights, group))[first]
    whole[heaviest] += missing - few
    return np.asarray(whole * unit[group])
