"""Counts on fixed squares of the metre CRS: too few, none and uninhabited told apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
import pyproj
from numpy.typing import NDArray

from geo.crs import WGS84_SRID, require_metres
from geo.errors import InvalidInputError

SQUARE_SIDES_M = (125, 250, 500, 1000)
"""Sides of the squares; each square of a larger side is exactly four of the side before."""
LEAST_CASES = 5
LEAST_HOUSEHOLDS = 50


class Shown(StrEnum):
    """What a map says of a square."""

    RATE = "rate"
    TOO_FEW = "too_few"
    ZERO = "zero"
    UNINHABITED = "uninhabited"


@dataclass(frozen=True)
class Squares:
    """The square of each point.

    Attributes
    ----------
    column, row : ndarray of int, shape (n,)
        Whole sides east and north of the CRS's own origin: the same for every net, period and
        city extent.
    side_m : int
    """

    column: NDArray[np.int64]
    row: NDArray[np.int64]
    side_m: int


def squares(xy: NDArray[np.float64], side_m: int) -> Squares:
    """Return the square that each point lies in.

    A point on a border belongs to the square east and north of it.

    Parameters
    ----------
    xy : ndarray of float, shape (n, 2)
        Metres, the city's metre CRS.
    side_m : int
        One of `SQUARE_SIDES_M`.

    Returns
    -------
    Squares

    Raises
    ------
    InvalidInputError
        If the side is none of the fixed ones.

    Examples
    --------
    >>> found = squares(np.array([[499.9, 500.0]]), 500)
    >>> found.column.tolist(), found.row.tolist()
    ([0], [1])
    """
    if side_m not in SQUARE_SIDES_M:
        listed = ", ".join(map(str, SQUARE_SIDES_M))
        raise InvalidInputError(f"Squares have a side of {listed} m.", field="side_m")
    place = np.floor(np.asarray(xy, dtype=float) / side_m).astype(np.int64).reshape(-1, 2)
    return Squares(place[:, 0], place[:, 1], side_m)


def shown(
    cases: NDArray[np.int64],
    households: NDArray[np.float64],
    *,
    least_cases: int = LEAST_CASES,
    least_households: float = LEAST_HOUSEHOLDS,
) -> NDArray[np.object_]:
    """Say what may be shown of each square.

    Parameters
    ----------
    cases : ndarray of int, shape (n,)
    households : ndarray of float, shape (n,)
        Of the vintage in force.
    least_cases, least_households
        Below these a rate would be noise, and could single somebody out.

    Returns
    -------
    ndarray of Shown, shape (n,)
        Uninhabited where nobody lives and nothing was reported, zero where people live and nothing
        was reported, too few below either minimum, else a rate.

    Examples
    --------
    >>> shown(np.array([0, 0, 3, 9]), np.array([0.0, 80.0, 80.0, 80.0])).tolist()
    ['uninhabited', 'zero', 'too_few', 'rate']
    """
    few = (cases < least_cases) | (households < least_households)
    found = np.select(
        [(cases == 0) & (households <= 0), cases == 0, few],
        [Shown.UNINHABITED, Shown.ZERO, Shown.TOO_FEW],
        Shown.RATE,
    )
    return found.astype(object)


def per_thousand(cases: pd.Series[float], households: pd.Series[float]) -> pd.Series[float]:
    """Return cases per 1,000 households; NA where nobody lives.

    Parameters
    ----------
    cases, households : Series of float, shape (n,)
        On one index.

    Returns
    -------
    Series of float, shape (n,)
    """
    return (cases / households.where(households > 0)) * 1000.0


@dataclass(frozen=True)
class Placing:
    """Where a metre CRS lies on the globe around one place, as two polynomials of third degree.

    With ``u = (x - x0) / reach_m`` and ``v = (y - y0) / reach_m`` a longitude is the sum of `lon`
    times 1, u, v, uu, uv, vv, uuu, uuv, uvv, vvv; a latitude likewise. A browser draws squares of
    the metre CRS with it, without a projection of its own.

    Attributes
    ----------
    x0, y0 : float
        Middle, metres.
    reach_m : float
        Half the greater extent, metres; at least 1,000.
    lon, lat : tuple of 10 float
        Degrees.
    """

    x0: float
    y0: float
    reach_m: float
    lon: tuple[float, ...]
    lat: tuple[float, ...]


def terms(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ten terms of `Placing`, shape (n, 10), for dimensionless `u` and `v`, shape (n,).

    Examples
    --------
    >>> terms(np.array([2.0]), np.array([3.0])).tolist()
    [[1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 8.0, 12.0, 18.0, 27.0]]
    """
    powers = [u**i * v**j for i, j in _POWERS]
    return np.column_stack(powers)


_POWERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))
_SAMPLES = 7


def placing(bounds_m: tuple[float, float, float, float], metre_srid: int) -> Placing:
    """Return the polynomials that place an extent of a metre CRS on the globe.

    Parameters
    ----------
    bounds_m : tuple of 4 float
        min x, min y, max x, max y in metres.
    metre_srid : int
        EPSG number of the metre CRS.

    Returns
    -------
    Placing
        Off by less than 5 cm within an extent of 100 km.

    Raises
    ------
    TopologyError
        If the CRS is not in metres.

    Examples
    --------
    >>> found = placing((500_000, 4_160_000, 510_000, 4_170_000), 4549)
    >>> round(found.lon[0], 4), round(found.lat[0], 4)
    (120.0566, 37.6171)
    """
    crs = require_metres(metre_srid)
    west, south, east, north = bounds_m
    x0, y0 = (west + east) / 2, (south + north) / 2
    reach = max(east - west, north - south, 2000.0) / 2
    steps = np.cos(np.pi * (np.arange(_SAMPLES) + 0.5) / _SAMPLES)
    u, v = (part.ravel() for part in np.meshgrid(steps, steps))
    to_degrees = pyproj.Transformer.from_crs(crs, WGS84_SRID, always_xy=True)
    lon, lat = to_degrees.transform(x0 + u * reach, y0 + v * reach)
    found, *_ = np.linalg.lstsq(terms(u, v), np.column_stack([lon, lat]), rcond=None)
    return Placing(
        float(x0),
        float(y0),
        float(reach),
        tuple(found[:, 0].round(10).tolist()),
        tuple(found[:, 1].round(10).tolist()),
    )


def degrees(
    place: Placing, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude of places in metres, shape (n,) each, by the polynomials."""
    u = (np.asarray(x, dtype=float) - place.x0) / place.reach_m
    v = (np.asarray(y, dtype=float) - place.y0) / place.reach_m
    parts = terms(u, v)
    return parts @ np.array(place.lon), parts @ np.array(place.lat)
