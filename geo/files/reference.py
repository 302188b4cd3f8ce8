"""Which reference system, axis order and datum numbers are in: what is declared meets the numbers.

Bounds are (least x, least y, greatest x, greatest y) in the numbers of the file. A declaration that
the numbers contradict is not believed; where the numbers allow several systems, all are named.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_crs_info
from pyproj.enums import PJType
from pyproj.exceptions import CRSError, ProjError

from geo.crs import CGCS2000_FIRST_MERIDIAN_DEG, CGCS2000_FIRST_SRID, WGS84_SRID
from geo.files.facts import CrsFact, DatumFact, Placed
from geo.saying import both, phrase

CGCS2000_SRID: Final = 4490
WEB_MERCATOR_SRID: Final = 3857
#: Zones whose easting begins with the zone's number: 3 degrees wide (25 .. 45), 6 wide (13 .. 23).
NUMBERED_3_DEG: Final = (25, 45, 4513)
NUMBERED_6_DEG: Final = (13, 23, 4491)
ZONES_3_DEG: Final = 21
CHINA: Final[Placed] = (73.0, 3.0, 136.0, 54.0)
CHINA_NORTHING_M: Final = (300_000.0, 6_100_000.0)
FALSE_EASTING_M: Final = 500_000.0
ZONE_HALF_WIDTH_M: Final = 350_000.0
#: Nobody lives beyond these latitudes in degrees; numbers there are longitudes.
INHABITED_LAT_DEG: Final = (-56.0, 74.0)
NEAR_DEG: Final = 3.0
AREA_SLACK_DEG: Final = 1.0
LEAST_CONFIDENCE: Final = 25

Swapped = bool


def reference(
    declared: str | None,
    bounds: Placed | None,
    *,
    near: tuple[float, float] | None = None,
    degrees_named: bool = False,
) -> tuple[CrsFact, Swapped]:
    """Return the reference system and whether the axes are swapped.

    Parameters
    ----------
    declared : str, optional
        What the file says: "EPSG:4326" or WKT.
    bounds : tuple of float, optional
        Extent in the numbers of the file; None for a layer without shapes.
    near : tuple of float, optional
        Longitude and latitude of the city, to choose between what the numbers allow.
    degrees_named : bool
        The columns are called longitude and latitude.

    Returns
    -------
    tuple of CrsFact and bool
        `reason` is `declared`, `declared_swapped`, `numbers_contradict`, `degrees`, `zone_number`,
        `zone_near`, `web_mercator`, `unknown`, `no_shapes`.
    """
    own = _own(declared)
    if bounds is None:
        fact = _declared(own, declared) if own else None
        return fact or _fact(
            None, declared, False, "no_shapes", phrase("There are no shapes.")
        ), False
    if own is not None:
        return _of_declared(own, declared, bounds, near)
    fact, swapped = _of_numbers(declared, bounds, near, degrees_named=degrees_named)
    return fact, swapped


def _own(declared: str | None) -> CRS | None:
    try:
        return CRS.from_user_input(declared) if declared else None
    except CRSError:
        return None


def crs_of(fact: CrsFact) -> CRS | None:
    """Return the reference system itself; None while it is not known."""
    if fact.srid is not None:
        return CRS.from_epsg(fact.srid)
    return CRS.from_wkt(fact.wkt) if fact.wkt else None


def _fact(
    srid: int | None,
    declared: str | None,
    sure: bool,
    reason: str,
    why: str,
    choices: tuple[int, ...] = (),
) -> CrsFact:
    name = CRS.from_epsg(srid).name if srid else ""
    return CrsFact(srid, declared, sure, reason, why, name, None, choices)


def _declared(own: CRS, declared: str | None, *, reason: str = "declared") -> CrsFact:
    srid = own.to_epsg(LEAST_CONFIDENCE)
    why = phrase("The file says %(name)s.", name=own.name)
    if srid is not None and not _same(own, CRS.from_epsg(srid)):
        srid = None
    if srid == WEB_MERCATOR_SRID:
        long = phrase("Its metres are longer than real ones, so areas are measured elsewhere.")
        why = both(why, long)
    elif own.is_projected and own.axis_info[0].unit_name != "metre":
        why = both(why, phrase("Its unit is the %(unit)s.", unit=own.axis_info[0].unit_name))
    wkt = None if srid else own.to_wkt()
    return CrsFact(srid, declared, True, reason, why, own.name, wkt)


def _same(own: CRS, known: CRS) -> bool:
    """Say whether two systems place the same numbers within a centimetre of each other."""
    area = known.area_of_use
    if area is None or own.is_geographic != known.is_geographic:
        return own.equals(known, ignore_axis_order=True)
    lon, lat = (area.west + area.east) / 2, (area.south + area.north) / 2
    there = Transformer.from_crs(known.geodetic_crs, known, always_xy=True).transform(lon, lat)
    back = Transformer.from_crs(own, own.geodetic_crs, always_xy=True).transform(*there)
    return bool(np.allclose(back, (lon, lat), atol=1e-7))


def _of_declared(
    own: CRS, declared: str | None, bounds: Placed, near: tuple[float, float] | None
) -> tuple[CrsFact, Swapped]:
    turned = _turned(bounds)
    here, there = _lies_well(own, bounds), _lies_well(own, turned)
    if near is not None and here and there:
        here, there = _is_near(own, bounds, near), _is_near(own, turned, near)
        here = here or not there
    if here:
        return _declared(own, declared), False
    if there:
        return _declared(own, declared, reason="declared_swapped"), True
    guess, swapped = _of_numbers(None, bounds, near, degrees_named=False)
    why = phrase(
        "The file says %(name)s, but its numbers (%(numbers)s) cannot be that.",
        name=own.name,
        numbers=_numbers(bounds),
    )
    if guess.srid is not None:
        why = both(why, phrase("They fit %(name)s.", name=guess.name))
    choices = guess.choices or ((guess.srid,) if guess.srid else ())
    return _fact(None, declared, False, "numbers_contradict", why, choices), swapped


def _of_numbers(
    declared: str | None, bounds: Placed, near: tuple[float, float] | None, *, degrees_named: bool
) -> tuple[CrsFact, Swapped]:
    """Work out the system of numbers that nothing is said about."""
    degrees, turned = CRS.from_epsg(WGS84_SRID), _turned(bounds)
    if _is_degrees(bounds) or _is_degrees(turned):
        swapped = not _lies_well(degrees, bounds) or (
            near is not None
            and not _is_near(degrees, bounds, near)
            and _is_near(degrees, turned, near)
        )
        placed = turned if swapped else bounds
        sure = degrees_named or (near is not None and _is_near(degrees, placed, near))
        why = phrase("The numbers (%(numbers)s) are degrees.", numbers=_numbers(bounds))
        return _fact(WGS84_SRID, declared, sure, "degrees", why, (WGS84_SRID,)), swapped
    for swapped, placed in ((False, bounds), (True, turned)):
        fact = _gauss_kruger(declared, placed, near)
        if fact is not None:
            return fact, swapped
    if near is not None and _is_near(CRS.from_epsg(WEB_MERCATOR_SRID), bounds, near):
        why = phrase("Nothing is said; as web mercator the numbers lie at the city.")
        return _fact(WEB_MERCATOR_SRID, declared, True, "web_mercator", why), False
    choices = _systems_at(bounds, near)
    why = phrase(
        "Nothing is said of the reference system; the numbers are %(numbers)s.",
        numbers=_numbers(bounds),
    )
    return _fact(None, declared, False, "unknown", why, choices), False


def _gauss_kruger(
    declared: str | None, bounds: Placed, near: tuple[float, float] | None
) -> CrsFact | None:
    """Return the CGCS2000 zone that eastings and northings of China are in; None if they are not.

    The false easting is 500 km; the millions before it, where there are any, are the zone.
    """
    east, north = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    low, high = CHINA_NORTHING_M
    if not low < bounds[1] <= bounds[3] < high or bounds[2] - bounds[0] > 2 * ZONE_HALF_WIDTH_M:
        return None
    zone, rest = divmod(east, 1_000_000.0)
    if abs(rest - FALSE_EASTING_M) > ZONE_HALF_WIDTH_M:
        return None
    numbered = _numbered_zone(int(zone), near)
    if numbered is not None:
        why = phrase("The eastings begin with %(n)s, the number of a CGCS2000 zone.", n=int(zone))
        return _fact(numbered, declared, True, "zone_number", why, (numbered,))
    if zone != 0:
        return None
    zones = tuple(CGCS2000_FIRST_SRID + number for number in range(ZONES_3_DEG))
    if near is not None and _in(near, CHINA):
        nearest = round((near[0] - CGCS2000_FIRST_MERIDIAN_DEG) / 3)
        srid = zones[min(max(nearest, 0), ZONES_3_DEG - 1)]
        sure = _is_near(CRS.from_epsg(srid), bounds, near)
        why = phrase(
            "Eastings around 500 km without a zone; %(srid)s is the zone of the city.", srid=srid
        )
        return _fact(srid, declared, sure, "zone_near", why, (srid,))
    likely = sorted(zones, key=lambda srid: abs(srid - 4550))
    why = phrase(
        "Eastings around 500 km and northings around %(n)s km are a CGCS2000 "
        "zone (EPSG 4534 .. 4554, 4547 = 114°E .. 4554 = 135°E); the numbers do "
        "not tell which.",
        n=f"{north / 1000:,.0f}",
    )
    return _fact(None, declared, False, "unknown", why, tuple(likely))


def _numbered_zone(zone: int, near: tuple[float, float] | None) -> int | None:
    for first, last, srid in (NUMBERED_3_DEG, NUMBERED_6_DEG):
        if first <= zone <= last:
            meridian = 3 * zone if first == NUMBERED_3_DEG[0] else 6 * zone - 3
            if near is None and first == NUMBERED_6_DEG[0] and zone < 16:
                return None  # web mercator has such numbers as well
            if near is not None and abs(near[0] - meridian) > 2 * NEAR_DEG:
                return None
            return srid + zone - first
    return None


def _systems_at(bounds: Placed, near: tuple[float, float] | None) -> tuple[int, ...]:
    """Return projected systems in use near the city in which the numbers lie there."""
    if near is None:
        return ()
    lon, lat = near
    around = AreaOfInterest(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1)
    known = query_crs_info("EPSG", PJType.PROJECTED_CRS, around)
    found = [int(info.code) for info in known if _is_near(_epsg(int(info.code)), bounds, near)]
    return tuple(found[:10])


def _epsg(srid: int) -> CRS:
    return CRS.from_epsg(srid)


def to_degrees(crs: CRS, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places (n, 2) as longitude and latitude; infinite where that is undefined."""
    turn = Transformer.from_crs(crs, WGS84_SRID, always_xy=True)
    return np.column_stack(turn.transform(places[:, 0], places[:, 1]))


def _corners(bounds: Placed) -> NDArray[np.float64]:
    west, south, east, north = bounds
    return np.array([(west, south), (west, north), (east, south), (east, north)])


def _lies_well(crs: CRS, bounds: Placed) -> bool:
    """Say whether numbers lie where the system is made for, and where people live."""
    if crs.is_geographic:
        low, high = INHABITED_LAT_DEG
        return _is_degrees(bounds) and not (bounds[3] < low or bounds[1] > high)
    try:
        places = to_degrees(crs, _corners(bounds))
    except ProjError:
        return False
    area = crs.area_of_use
    if not np.isfinite(places).all():
        return False
    if area is None:
        return bool((np.abs(places) <= (180.0, 90.0)).all())
    least = np.array([area.west, area.south]) - AREA_SLACK_DEG
    most = np.array([area.east, area.north]) + AREA_SLACK_DEG
    middle = places.mean(axis=0)
    return bool((middle >= least).all() and (middle <= most).all()) or area.west > area.east


def _is_near(crs: CRS, bounds: Placed, near: tuple[float, float]) -> bool:
    try:
        places = to_degrees(crs, _corners(bounds))
    except ProjError:
        return False
    if not np.isfinite(places).all():
        return False
    low, high = places.min(axis=0) - NEAR_DEG, places.max(axis=0) + NEAR_DEG
    return bool((low <= near).all() and (high >= near).all() and (high - low).max() < 40)


def _is_degrees(bounds: Placed) -> bool:
    return bounds[0] >= -180 and bounds[2] <= 180 and bounds[1] >= -90 and bounds[3] <= 90


def _turned(bounds: Placed) -> Placed:
    return bounds[1], bounds[0], bounds[3], bounds[2]


def _in(place: tuple[float, float], area: Placed) -> bool:
    return area[0] <= place[0] <= area[2] and area[1] <= place[1] <= area[3]


def _numbers(bounds: Placed) -> str:
    return f"{bounds[0]:.6g} .. {bounds[2]:.6g}, {bounds[1]:.6g} .. {bounds[3]:.6g}"


#: Words in the names of coordinate columns that say which datum they are on.
DATUM_WORDS: Final[dict[str, str]] = {
    "bd09": r"(?<![a-z])bd(?![a-z])|bd09|baidu|百度",
    "gcj02": r"gcj|amap|gaode|tencent|高德|腾讯|火星",
    "wgs84": r"wgs|(?<![a-z])gps",
    "cgcs2000": r"cgcs|国家2000|2000国家",
}


def datum_of(
    crs: CrsFact, bbox: Placed | None, headings: Any = (), *, of_osm: bool = False
) -> DatumFact:
    """Return the datum; inside China, degrees labelled EPSG:4326 can be any of three.

    Parameters
    ----------
    crs : CrsFact
    bbox : tuple of float, optional
        West, south, east, north as the file's numbers say.
    headings : iterable of str
        Names of the coordinate columns.
    of_osm : bool
        OpenStreetMap is in WGS 84 everywhere.
    """
    if of_osm:
        return DatumFact("wgs84", True, "osm", phrase("OpenStreetMap is in WGS 84."))
    own = crs_of(crs)
    if own is not None and "2000" in str(own.datum and own.datum.name) and _is_cgcs2000(own):
        return DatumFact(
            "cgcs2000", True, "declared", phrase("%(name)s is on CGCS2000.", name=own.name)
        )
    if bbox is None:
        return DatumFact("wgs84", True, "no_shapes", phrase("There are no shapes."))
    said = " ".join(str(heading).casefold() for heading in headings)
    for name, pattern in DATUM_WORDS.items():
        if re.search(pattern, said):
            why = phrase("The columns are called so (%(said)s).", said=said)
            return DatumFact(name, True, "named", why)  # type: ignore[arg-type]
    middle = ((bbox[0] + bbox[2]) / 2, (bbox[1] + bbox[3]) / 2)
    if not _in(middle, CHINA):
        return DatumFact("wgs84", True, "outside_china", phrase("Only China has shifted maps."))
    if own is not None and own.is_projected and crs.srid != WEB_MERCATOR_SRID:
        return DatumFact(
            "wgs84", True, "declared", phrase("%(name)s comes from surveying.", name=own.name)
        )
    why = phrase(
        "In China such numbers can be WGS 84, GCJ-02 (phones, web maps; 500 m "
        "off) or BD-09 (Baidu); the file does not say. See which lies right on "
        "the streets."
    )
    return DatumFact("wgs84", False, "undecided", why, ("wgs84", "gcj02", "bd09"))


def _is_cgcs2000(own: CRS) -> bool:
    name = own.datum.name.casefold() if own.datum else ""
    return "china" in name or "cgcs" in name
