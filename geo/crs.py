"""Reference systems: the metre CRS that decides, its local origin, and degrees refused."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyproj
from numpy.typing import NDArray

from geo.errors import TopologyError

WGS84_SRID = 4326
CGCS2000_FIRST_MERIDIAN_DEG = 75
CGCS2000_LAST_MERIDIAN_DEG = 135
CGCS2000_FIRST_SRID = 4534
"""EPSG code of "CGCS2000 / 3-degree Gauss-Kruger CM 75E"; the next zones follow one by one."""
UTM_NORTH_SRID = 32600
UTM_SOUTH_SRID = 32700
UTM_LATITUDES_DEG = (-80.0, 84.0)

MetreFamily = Literal["cgcs2000", "utm"]


def metre_srid(lon: float, lat: float, family: MetreFamily) -> int:
    """Return the EPSG code of the projected CRS in metres for a city.

    Parameters
    ----------
    lon, lat : float
        Middle of the city, degrees, WGS 84 or CGCS2000.
    family : {"cgcs2000", "utm"}
        "cgcs2000": the 3-degree Gauss-Kruger zone of China (meridians 75 to 135 E, easting without
        zone number), e.g. 4549 at 120 E. "utm": the UTM zone on WGS 84.

    Returns
    -------
    int

    Raises
    ------
    TopologyError
        If the place lies outside the family's zones.

    Examples
    --------
    >>> metre_srid(120.5, 37.6, "cgcs2000")
    4549
    >>> metre_srid(-71.1, 42.4, "utm")
    32619
    """
    if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
        raise TopologyError(f"({lon}, {lat}) is not a place in degrees.", lon=lon, lat=lat)
    if family == "cgcs2000":
        meridian = 3 * int(np.floor(lon / 3 + 0.5))
        if not CGCS2000_FIRST_MERIDIAN_DEG <= meridian <= CGCS2000_LAST_MERIDIAN_DEG or lat <= 0:
            message = f"({lon}, {lat}) lies outside the CGCS2000 zones; use the UTM family."
            raise TopologyError(message, lon=lon, lat=lat, family=family)
        return CGCS2000_FIRST_SRID + (meridian - CGCS2000_FIRST_MERIDIAN_DEG) // 3
    if not UTM_LATITUDES_DEG[0] <= lat <= UTM_LATITUDES_DEG[1]:
        message = f"Latitude {lat} lies outside UTM; name a metre CRS for this city."
        raise TopologyError(message, lon=lon, lat=lat, family=family)
    zone = min(int(np.floor((lon + 180.0) / 6.0)) + 1, 60)
    return (UTM_NORTH_SRID if lat >= 0 else UTM_SOUTH_SRID) + zone


def require_metres(crs: Any) -> pyproj.CRS:
    """Return `crs` when it is projected with axes in metres, else refuse it.

    Parameters
    ----------
    crs : anything that pyproj understands, or None

    Returns
    -------
    pyproj.CRS

    Raises
    ------
    TopologyError
        If there is no CRS, or it is in degrees or in another unit than the metre.
    """
    if crs is None:
        raise TopologyError("The shapes have no CRS; name it before measuring.", crs=None)
    known = pyproj.CRS.from_user_input(crs)
    if not known.is_projected:
        message = f"{known.name} is in degrees; transform to the city's metre CRS first."
        raise TopologyError(message, crs=known.to_string())
    if any(axis.unit_name != "metre" for axis in known.axis_info[:2]):
        message = f"{known.name} is not in metres; transform to the city's metre CRS first."
        raise TopologyError(message, crs=known.to_string())
    return known


def local_origin(
    bounds: NDArray[np.float64] | tuple[float, float, float, float],
) -> tuple[int, int]:
    """Return the whole-metre corner of `bounds` that is nearest to the CRS's own origin.

    Taking it off coordinates within `bounds` and adding it again gives the same floating-point
    numbers, bit by bit: both steps stay within numbers that the format holds exactly.

    Parameters
    ----------
    bounds : array-like of 4 float
        min x, min y, max x, max y in metres.

    Returns
    -------
    tuple of int
        x and y of the origin; 0 on an axis that `bounds` crosses.

    Examples
    --------
    >>> local_origin((500_010.7, -20.5, 501_000.0, 300.0))
    (500010, 0)
    """
    low, high = np.asarray(bounds, dtype=float).reshape(2, 2)
    corner = np.where(low > 0, np.floor(low), np.where(high < 0, np.ceil(high), 0.0))
    return int(corner[0]), int(corner[1])
