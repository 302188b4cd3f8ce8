"""Which cells a polygon or a brush takes: by their point, or by the larger part of their ground."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.crs import require_metres
from geo.errors import InvalidInputError
from geo.saying import phrase

POINT: Final = "point"
LARGER: Final = "larger"
RULES: Final = (POINT, LARGER)
MOST_VERTICES: Final = 10_000
LEAST_RADIUS_M: Final = 0.5
MOST_RADIUS_M: Final = 1_000.0
AREA: Final = frozenset({"within"})
BRUSH: Final = frozenset({"along", "radius_m"})
FIELDS: Final = AREA | BRUSH | {"by", "of"}
"""What says an area in place of `cells`: a polygon, or a line and a radius; how; of which grids."""
KINDS: Final = {
    "within": ("Polygon", "MultiPolygon"),
    "along": ("LineString", "MultiLineString", "Point"),
}


def swept(cells: gpd.GeoSeries, area: Any, rule: str = POINT) -> NDArray[np.bool_]:
    """Say which cells an area takes.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (n,)
        Projected CRS in metres.
    area : shapely geometry
        Of the same CRS.
    rule : {"point", "larger"}
        `point` takes a cell whose representative point lies in the area; `larger` one of which
        more than half the ground does.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    TopologyError
        If the cells have no CRS in metres.
    InvalidInputError
        If there is no such rule.
    """
    require_metres(cells.crs)
    shapes = cells.to_numpy()
    shapely.prepare(area)
    if rule == POINT:
        inside = shapely.intersects(area, shapely.point_on_surface(shapes))
    elif rule == LARGER:
        common = shapely.area(shapely.intersection(shapes, area))
        inside = common > 0.5 * shapely.area(shapes)
    else:
        raise InvalidInputError(phrase("'by' is point or larger."), field="by")
    return np.asarray(inside, dtype=np.bool_)


def brush(line: Any, radius_m: float) -> Any:
    """Return the ground that a round brush passes over.

    Parameters
    ----------
    line : shapely LineString, MultiLineString or Point
        Its way, projected CRS in metres.
    radius_m : float
        Half its width.

    Raises
    ------
    InvalidInputError
        If the radius is out of reason.
    """
    sound = isinstance(radius_m, int | float) and not isinstance(radius_m, bool)
    if not sound or not LEAST_RADIUS_M <= radius_m <= MOST_RADIUS_M:
        message = phrase(
            "'radius_m' is a number from %(least)s to %(most)s metres.",
            least=LEAST_RADIUS_M,
            most=f"{MOST_RADIUS_M:g}",
        )
        raise InvalidInputError(message, field="radius_m")
    return shapely.buffer(line, float(radius_m))


def drawn(told: Any, field: str) -> Any:
    """Return a shape that came as GeoJSON, in degrees.

    Parameters
    ----------
    told : mapping
        A geometry of GeoJSON.
    field : {"within", "along"}
        What it is for.

    Raises
    ------
    InvalidInputError
        If it is no sound geometry of the kind, or has too many vertices.
    """
    listed = " / ".join(KINDS[field])
    message = phrase(
        "'%(field)s' is %(listed)s of GeoJSON, in degrees.", field=field, listed=listed
    )
    unsound = InvalidInputError(message, field=field)
    if not isinstance(told, Mapping) or told.get("type") not in KINDS[field]:
        raise unsound
    pairs = _pairs(told.get("coordinates"))
    if pairs is None:
        raise unsound
    if pairs > MOST_VERTICES:
        message = phrase(
            "'%(field)s' has more than %(most)s vertices.",
            field=field,
            most=MOST_VERTICES,
        )
        raise InvalidInputError(message, field=field)
    try:
        shape = shapely.geometry.shape(told)
    except (ValueError, TypeError, IndexError, shapely.errors.GEOSException):
        raise unsound from None
    if shape.is_empty or not shape.is_valid:
        raise unsound
    return shape


def _pairs(told: Any) -> int | None:
    """Count the places in nested coordinates; None where there is anything else."""
    waiting, places = [told], 0
    while waiting:
        one = waiting.pop()
        if not isinstance(one, list | tuple) or not one:
            return None
        if not isinstance(one[0], list | tuple):
            if not _is_place(one):
                return None
            places += 1
            if places > MOST_VERTICES:
                return places
            continue
        waiting.extend(one)
    return places


def _is_place(one: Any) -> bool:
    if len(one) not in (2, 3):
        return False
    if any(not isinstance(n, int | float) or isinstance(n, bool) or not math.isfinite(n)
           for n in one):  # fmt: skip
        return False
    return bool(abs(one[0]) <= 180 and abs(one[1]) <= 90)
