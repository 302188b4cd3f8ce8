"""China's datums: GCJ-02 and BD-09 to WGS 84 and back, exactly, and which one a file is in.

WGS 84 and CGCS2000 differ by less than a survey's own error and are taken as one. GCJ-02 moves a
place by up to 640 m with a fixed formula; BD-09 is GCJ-02 moved once more. Both are published as
the step away from WGS 84 only. The way back is solved by fixed-point steps: one step errs by
metres, two by centimetres, five by 1e-8 m; here it steps until nothing moves.

GCJ-02 is in use in mainland China. The rule of the published programs is a rectangle: places
outside `CHINA` are the same in WGS 84 and GCJ-02 and come back untouched. BD-09 has no such rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.errors import DatumError

Datum = Literal["wgs84", "cgcs2000", "gcj02", "bd09"]
Degrees = NDArray[np.float64]

#: Semi-major axis and squared eccentricity of Krasovsky's ellipsoid of 1940, as GCJ-02 has them.
AXIS_M: Final = 6378245.0
ECCENTRICITY_SQUARED: Final = 0.00669342162296594323
CHINA: Final = (72.004, 0.8293, 137.8347, 55.8271)
"""West, south, east, north of the rectangle in which GCJ-02 departs from WGS 84, degrees."""
BAIDU_OFFSET_DEG: Final = (0.0065, 0.006)
BAIDU_WAVE: Final = np.pi * 3000.0 / 180.0

CLOSE_DEG: Final = 3e-14
"""The steps back end when no place moves by more (3e-9 m); a double at 120 degrees has 1.4e-14."""
MOST_STEPS: Final = 30

SAMPLE: Final = 4_000
NEAR_M: Final = 300.0
ALONG_M: Final = 12.0
SQUARE_M: Final = 300.0
DRAWS: Final = 200
BUILDING_M2: Final = 5_000.0
METRES_PER_DEGREE: Final = 111_320.0
CANDIDATES: Final[tuple[Datum, ...]] = ("wgs84", "gcj02", "bd09")


def to_wgs84(lonlat: Degrees, datum: Datum) -> Degrees:
    """Return places of a datum in WGS 84.

    Parameters
    ----------
    lonlat : ndarray of float, shape (n, 2)
        Longitude and latitude in degrees.
    datum : {"wgs84", "cgcs2000", "gcj02", "bd09"}
        The datum that they are in.

    Returns
    -------
    ndarray of float, shape (n, 2)
        Going forward again gives `lonlat` within 1e-8 m; within a micrometre of 105 degrees east,
        where the formula has a kink, within 1e-7 m.

    Raises
    ------
    DatumError
        If the datum is not known or a place is not in degrees.

    Examples
    --------
    >>> to_wgs84(np.array([[121.531541859215, 31.17530398364597]]), "gcj02").round(6).tolist()
    [[121.527211, 31.177428]]
    """
    places = _checked(lonlat)
    if datum in ("wgs84", "cgcs2000"):
        return places
    if datum == "gcj02":
        return _from_gcj02(places)
    if datum == "bd09":
        return _from_gcj02(_solved(places, _gcj02_to_bd09))
    raise DatumError(f"'{datum}' is none of wgs84, cgcs2000, gcj02, bd09.", datum=str(datum))


def from_wgs84(lonlat: Degrees, datum: Datum) -> Degrees:
    """Return places of WGS 84 in another datum; the arguments are those of `to_wgs84`.

    Raises
    ------
    DatumError
        If the datum is not known or a place is not in degrees.
    """
    places = _checked(lonlat)
    if datum in ("wgs84", "cgcs2000"):
        return places
    if datum == "gcj02":
        return _to_gcj02(places)
    if datum == "bd09":
        return _gcj02_to_bd09(_to_gcj02(places))
    raise DatumError(f"'{datum}' is none of wgs84, cgcs2000, gcj02, bd09.", datum=str(datum))


def shapes_to_wgs84(shapes: Any, datum: Datum) -> Any:
    """Return shapes with each vertex taken from `datum` to WGS 84.

    Equal vertices stay equal, so a coverage stays a coverage.

    Parameters
    ----------
    shapes : geometry, array of geometries, GeoSeries
        Longitude and latitude in degrees; heights and measures are kept as they are.
    datum : Datum

    Returns
    -------
    like `shapes`
        A GeoSeries comes back as one with the same index, in EPSG:4326.

    Raises
    ------
    DatumError
        If the datum is not known or a vertex is not in degrees.
    """
    return _each_vertex(shapes, lambda places: to_wgs84(places, datum))


def shapes_from_wgs84(shapes: Any, datum: Datum) -> Any:
    """Return shapes with each vertex taken from WGS 84 to `datum`; as `shapes_to_wgs84`.

    Raises
    ------
    DatumError
        If the datum is not known or a vertex is not in degrees.
    """
    return _each_vertex(shapes, lambda places: from_wgs84(places, datum))


def _each_vertex(shapes: Any, turn: Callable[[Degrees], Degrees]) -> Any:
    if hasattr(shapes, "geometry"):
        moved = shapely.transform(shapes.geometry.to_numpy(), turn)
        fresh = shapes.geometry.copy()
        fresh[:] = moved
        return fresh.set_crs(4326, allow_override=True)
    return shapely.transform(shapes, turn)


def _checked(lonlat: Degrees) -> Degrees:
    places = np.array(lonlat, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 2:
        raise DatumError(f"Places are pairs, not an array of shape {places.shape}.")
    wrong = ~((np.abs(places[:, 0]) <= 180.0) & (np.abs(places[:, 1]) <= 90.0))
    if wrong.any():
        lon, lat = places[wrong][0].tolist()
        message = f"({lon}, {lat}) and {int(wrong.sum()) - 1} others are not in degrees."
        raise DatumError(message, lon=lon, lat=lat)
    return places


def _in_china(places: Degrees) -> NDArray[np.bool_]:
    west, south, east, north = CHINA
    lon, lat = places[:, 0], places[:, 1]
    inside: NDArray[np.bool_] = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    return inside


def _to_gcj02(places: Degrees) -> Degrees:
    return np.where(_in_china(places)[:, None], places + _shift(places), places)


def _from_gcj02(places: Degrees) -> Degrees:
    back = _solved(places, lambda guess: guess + _shift(guess))
    return np.where(_in_china(back)[:, None], back, places)


def _shift(places: Degrees) -> Degrees:
    """Return how far GCJ-02 lies from WGS 84, degrees."""
    x, y = places[:, 0] - 105.0, places[:, 1] - 35.0
    root = np.sqrt(np.abs(x))
    both = 20.0 * np.sin(6.0 * np.pi * x) + 20.0 * np.sin(2.0 * np.pi * x)
    north_m = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north_m += (both + _waves(y, (20.0, 1.0), (40.0, 3.0), (160.0, 12.0), (320.0, 30.0))) * 2 / 3
    east_m = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east_m += (both + _waves(x, (20.0, 1.0), (40.0, 3.0), (150.0, 12.0), (300.0, 30.0))) * 2 / 3
    phi = np.radians(places[:, 1])
    squared = 1.0 - ECCENTRICITY_SQUARED * np.sin(phi) ** 2
    north_radius_m = AXIS_M * (1.0 - ECCENTRICITY_SQUARED) / (squared * np.sqrt(squared))
    east_radius_m = AXIS_M / np.sqrt(squared) * np.maximum(np.cos(phi), 1e-3)
    return np.degrees(np.column_stack([east_m / east_radius_m, north_m / north_radius_m]))


def _waves(along: Degrees, *parts: tuple[float, float]) -> Degrees:
    """Return a sum of sines, each given by its height in metres and half its length in degrees."""
    waves = [height * np.sin(np.pi * along / length) for height, length in parts]
    return np.sum(waves, axis=0)  # type: ignore[no-any-return]


def _gcj02_to_bd09(places: Degrees) -> Degrees:
    x, y = places[:, 0], places[:, 1]
    far = np.hypot(x, y) + 0.00002 * np.sin(BAIDU_WAVE * y)
    turn = np.arctan2(y, x) + 0.000003 * np.cos(BAIDU_WAVE * x)
    return np.column_stack([far * np.cos(turn), far * np.sin(turn)]) + BAIDU_OFFSET_DEG


def _solved(places: Degrees, forward: Callable[[Degrees], Degrees]) -> Degrees:
    """Return the places that `forward` takes to `places`."""
    guess = places.copy()
    for _ in range(MOST_STEPS):
        off = forward(guess) - places
        guess -= off
        if np.abs(off).max(initial=0.0) <= CLOSE_DEG:
            break
    return guess


def lies_best(
    shapes: Any, streets: Any, *, rng: np.random.Generator | None = None, sample: int = SAMPLE
) -> pd.DataFrame:
    """Rank the datums that shapes may be in by how well they then lie on known streets.

    Buildings should not stand on streets; lines and the borders of areas should run along them.
    The misfit is the share of buildings that a street passes through, or the share of outlines
    further than 12 m from every street; shapes without any street within 300 m count as misfits.

    Parameters
    ----------
    shapes : GeoSeries or array of geometries, shape (n,)
        As delivered, longitude and latitude in degrees. Polygons or lines.
    streets : GeoSeries or array of lines
        Known to be in WGS 84, degrees.
    rng : numpy Generator, optional
        Draws squares of ground for the certainty; the default is the same every time.
    sample : int, default 4000
        At most so many shapes are looked at, taken evenly from the whole.

    Returns
    -------
    DataFrame, indexed by `datum`, the best first
        `misfit` (0 to 1), `certainty` (share of the draws of 300 m squares in which this datum is
        the best; for people: below 0.9 look at the map), `shift_m` (how far shapes move),
        `compared` (number of shapes). Outside China the datums are one, and only `wgs84` is
        listed.

    Raises
    ------
    DatumError
        If there are no streets or no shapes that can tell: points cannot.
    """
    given = _plain(shapes)
    known = shapely.get_parts(_plain(streets))
    if (
        len(given) == 0
        or len(known) == 0
        or not np.isin(shapely.get_dimensions(given), (1, 2)).all()
    ):
        raise DatumError("Only lines and areas, laid on streets, tell which datum they are in.")
    given = given[np.unique(np.linspace(0, len(given) - 1, min(sample, len(given))).astype(int))]
    return _ranking(given, known, rng or np.random.default_rng(0))


def _ranking(
    given: NDArray[np.object_], known: NDArray[np.object_], rng: np.random.Generator
) -> pd.DataFrame:
    middle = shapely.get_coordinates(shapely.envelope(shapely.multipoints(_corners(given))))[0]
    scale = METRES_PER_DEGREE * np.array([np.cos(np.radians(middle[1])), 1.0])
    tree = shapely.STRtree(shapely.transform(known, lambda places: (places - middle) * scale))
    laid = {name: _metres(given, name, middle, scale) for name in CANDIDATES}
    as_given = _corners(laid["wgs84"])
    shift_m = {
        name: float(np.hypot(*(_corners(there) - as_given).T).mean())
        for name, there in laid.items()
    }
    if _corners(given).size and not _in_china(_corners(given)).any():
        laid = {"wgs84": laid["wgs84"]}
    measure = _misfit_of(laid["wgs84"])
    misfits = np.column_stack([measure(there, tree) for there in laid.values()])
    certainty = _certainty(misfits, as_given, rng)
    table = pd.DataFrame(
        {
            "misfit": misfits.mean(axis=0),
            "certainty": certainty,
            "shift_m": [shift_m[name] for name in laid],
            "compared": len(given),
        },
        index=pd.Index(list(laid), name="datum"),
    )
    return table.sort_values("misfit", kind="stable")


def _plain(shapes: Any) -> NDArray[np.object_]:
    array = shapes.geometry.to_numpy() if hasattr(shapes, "geometry") else np.asarray(shapes)
    kept = ~(shapely.is_missing(array) | shapely.is_empty(array))
    return np.asarray(shapely.force_2d(array[kept]), dtype=object)


def _corners(shapes: NDArray[np.object_]) -> Degrees:
    return np.asarray(shapely.bounds(shapes)[:, :2], dtype=np.float64)


def _metres(
    shapes: NDArray[np.object_], datum: Datum, middle: Degrees, scale: Degrees
) -> NDArray[np.object_]:
    turned = shapely.transform(shapes, lambda places: (to_wgs84(places, datum) - middle) * scale)
    return np.asarray(turned, dtype=object)


def _misfit_of(
    shapes: NDArray[np.object_],
) -> Callable[[NDArray[np.object_], shapely.STRtree], NDArray[np.float64]]:
    areal = shapely.get_dimensions(shapes) == 2
    if areal.all() and np.median(shapely.area(shapes)) < BUILDING_M2:
        return _stands_on_streets
    return _leaves_streets


def _stands_on_streets(
    shapes: NDArray[np.object_], streets: shapely.STRtree
) -> NDArray[np.float64]:
    """Say of each building whether a street passes through it, or there is none near."""
    cores = shapely.buffer(shapely.make_valid(shapes), -1.0)
    cores = np.where(shapely.is_empty(cores), shapely.centroid(shapes), cores)
    wrong = np.ones(len(shapes))
    wrong[streets.query(shapes, predicate="dwithin", distance=NEAR_M)[0]] = 0.0
    wrong[streets.query(cores, predicate="intersects")[0]] = 1.0
    return wrong


def _leaves_streets(shapes: NDArray[np.object_], streets: shapely.STRtree) -> NDArray[np.float64]:
    """Return of each line or border the share that runs along no street."""
    areal = shapely.get_dimensions(shapes) == 2
    lines = np.where(areal, shapely.boundary(shapes), shapes)
    points, shape = shapely.get_coordinates(
        shapely.segmentize(lines, max_segment_length=2.0 * ALONG_M), return_index=True
    )
    away = np.ones(len(points))
    away[streets.query(shapely.points(points), predicate="dwithin", distance=ALONG_M)[0]] = 0.0
    count = np.bincount(shape, minlength=len(shapes))
    wrong: NDArray[np.float64] = np.bincount(shape, weights=away, minlength=len(shapes)) / count
    return wrong


def _certainty(
    misfits: NDArray[np.float64], places: Degrees, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how often each candidate is the best when squares of ground are drawn anew."""
    squares = np.unique(np.floor(places / SQUARE_M), axis=0, return_inverse=True)[1].ravel()
    count = squares.max() + 1
    sums = np.column_stack(
        [np.bincount(squares, weights=column, minlength=count) for column in misfits.T]
    )
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=DRAWS)
    totals = drawn @ sums
    best = totals == totals.min(axis=1, keepdims=True)
    share: NDArray[np.float64] = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return share
