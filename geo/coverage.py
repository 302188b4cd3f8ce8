"""Reach of stations: how far households are from the nearest open one, and who is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.spatial import KDTree

from geo.crs import require_metres
from geo.errors import TopologyError

BANDS_M = (500, 1000)
"""Radii that a city is judged by: a quarter of an hour's stroll there and back, and twice that."""


def distance_to_nearest(places: gpd.GeoSeries, stations: gpd.GeoSeries) -> pd.Series[float]:
    """Return how far each place is from the nearest station, as the crow flies.

    Parameters
    ----------
    places : GeoSeries of Point, shape (n,)
        Projected CRS in metres.
    stations : GeoSeries of Point, shape (k,)
        Same CRS.

    Returns
    -------
    Series of float, shape (n,)
        Metres, indexed like `places`; infinite where there is no station at all.

    Raises
    ------
    TopologyError
        If a CRS is missing, not in metres, or differs between the two.

    Examples
    --------
    >>> homes = gpd.GeoSeries.from_xy([0, 300], [0, 400], crs=4549)
    >>> distance_to_nearest(homes, gpd.GeoSeries.from_xy([0], [0], crs=4549)).tolist()
    [0.0, 500.0]
    """
    if require_metres(places.crs) != require_metres(stations.crs):
        raise TopologyError("Places and stations have different reference systems.")
    if len(stations) == 0:
        return pd.Series(np.inf, index=places.index, name="distance_m")
    tree = KDTree(shapely.get_coordinates(stations.to_numpy()))
    distance, _ = tree.query(shapely.get_coordinates(places.to_numpy()))
    return pd.Series(distance, index=places.index, name="distance_m")


def bands(distance_m: pd.Series[float], limits_m: Sequence[float] = BANDS_M) -> NDArray[np.int64]:
    """Return the band of each distance: 0 within the first limit, len(limits) beyond the last.

    Parameters
    ----------
    distance_m : Series of float, shape (n,)
        Metres.
    limits_m : sequence of float, ascending
        Greatest distance of each band; a place exactly at a limit lies within it.

    Returns
    -------
    ndarray of int, shape (n,)

    Examples
    --------
    >>> bands(pd.Series([0.0, 500.0, 500.1, 2000.0])).tolist()
    [0, 0, 1, 2]
    """
    return np.searchsorted(np.asarray(limits_m, dtype=float), distance_m.to_numpy(), side="left")


def shares(
    weights: pd.Series[float],
    band: NDArray[np.int64],
    groups: pd.Series[Any],
    limits_m: Sequence[float] = BANDS_M,
) -> pd.DataFrame:
    """Sum weights by group and say how much of them lies within each limit.

    Parameters
    ----------
    weights : Series of float, shape (n,)
        Households of each place.
    band : ndarray of int, shape (n,)
        As from `bands`.
    groups : Series, shape (n,)
        Grid of each place; rows without a group are left out.
    limits_m : sequence of float
        The limits that `band` was made with.

    Returns
    -------
    DataFrame
        Indexed by group, sorted: `total`, and for each limit `within_<limit>_m`, cumulative.
        Numerators and denominator, never a rate alone.

    Examples
    --------
    >>> found = shares(pd.Series([1.0, 2.0, 4.0]), np.array([0, 1, 2]), pd.Series(["a"] * 3))
    >>> found.loc["a"].tolist()
    [7.0, 1.0, 3.0]
    """
    frame = pd.DataFrame({"total": weights.to_numpy(dtype=float)})
    for number, limit in enumerate(limits_m):
        frame[f"within_{limit:g}_m"] = np.where(band <= number, frame["total"], 0.0)
    return frame.groupby(groups.to_numpy(), sort=True).sum()
