"""Declared systems meet the numbers: zones, swapped axes, degrees under a metre label, datums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer
from shapely import box

from geo.datums import from_wgs84
from geo.errors import DeliveryError
from geo.files.reference import crs_of, datum_of, reference
from tests.offered import areas, write

YANTAI = (121.40, 37.50, 121.44, 37.51)
HELSINKI = (24.9, 60.1, 25.0, 60.2)
CODES = {"code": "code"}


def numbers(srid: int, place: tuple[float, ...] = YANTAI) -> tuple[float, float, float, float]:
    """Return the bounds of a place in the numbers of a system."""
    bounds = Transformer.from_crs(4326, srid, always_xy=True).transform_bounds(*place)
    return tuple(map(float, bounds))  # type: ignore[return-value]


def turned(bounds: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Return bounds with northings first."""
    return bounds[1], bounds[0], bounds[3], bounds[2]


@pytest.mark.parametrize("srid", [4326, 4490, 4549, 4528, 3857, 32651, 4510])
def test_what_is_declared_and_fits_is_believed(srid: int) -> None:
    fact, swapped = reference(f"EPSG:{srid}", numbers(srid))
    assert (fact.srid, fact.sure, fact.reason, swapped) == (srid, True, "declared", False)
    fact, swapped = reference(CRS.from_epsg(srid).to_wkt("WKT1_ESRI"), numbers(srid))
    assert (fact.srid, fact.sure, swapped) == (srid, True, False)


@pytest.mark.parametrize("srid", [4549, 4528, 32651])
def test_swapped_axes_are_noticed_where_a_system_is_declared(srid: int) -> None:
    fact, swapped = reference(f"EPSG:{srid}", turned(numbers(srid)))
    assert (fact.srid, fact.reason, swapped) == (srid, "declared_swapped", True)


def test_swapped_degrees_are_noticed() -> None:
    assert reference("EPSG:4326", turned(YANTAI))[1]
    assert reference(None, turned(YANTAI))[1]
    boston = (-71.19, 42.22, -70.92, 42.39)
    assert reference("EPSG:4326", turned(boston))[1]
    assert not reference("EPSG:4326", boston)[1]
    assert not reference("EPSG:4326", turned(HELSINKI))[1]
    assert reference("EPSG:4326", turned(HELSINKI), near=(24.95, 60.17))[1]


@pytest.mark.parametrize("zone", [*range(25, 46)])
def test_a_zone_number_before_the_easting_is_the_zone(zone: int) -> None:
    meridian = 3 * zone
    place = (meridian - 0.5, 35.0, meridian + 0.5, 35.5)
    srid = 4513 + zone - 25
    for bounds, is_swapped in ((numbers(srid, place), False), (turned(numbers(srid, place)), True)):
        fact, swapped = reference(None, bounds)
        assert (fact.srid, fact.sure, fact.reason) == (srid, True, "zone_number")
        assert swapped is is_swapped


@pytest.mark.parametrize("srid", range(4547, 4555))
def test_eastings_without_a_zone_ask_unless_the_city_is_known(srid: int) -> None:
    meridian = 114 + 3 * (srid - 4547)
    place = (meridian - 0.2, 37.0, meridian + 0.2, 37.2)
    fact, swapped = reference(None, turned(numbers(srid, place)))
    assert (fact.srid, fact.sure, swapped) == (None, False, True)
    assert srid in fact.choices
    assert "CGCS2000" in fact.why
    fact, swapped = reference(None, numbers(srid, place), near=(meridian + 0.3, 37.1))
    assert (fact.srid, fact.sure, swapped) == (srid, True, False)


def test_a_zone_label_over_numbers_with_a_zone_number_is_not_believed() -> None:
    fact, _ = reference("EPSG:4549", numbers(4528))
    assert (fact.srid, fact.sure, fact.reason) == (None, False, "numbers_contradict")
    assert fact.choices == (4528,)


def test_degrees_under_a_metre_label_are_not_believed() -> None:
    fact, _ = reference("EPSG:3857", YANTAI)
    assert fact.sure
    fact, _ = reference("EPSG:4549", YANTAI)
    assert (fact.sure, fact.reason, fact.choices) == (False, "numbers_contradict", (4326,))


def test_metres_under_a_label_of_degrees_are_not_believed() -> None:
    fact, _ = reference("EPSG:4326", numbers(4528))
    assert (fact.sure, fact.reason, fact.choices) == (False, "numbers_contradict", (4528,))


def test_feet_are_feet(tmp_path: Path, layer: Any, read: Any) -> None:
    squares = gpd.GeoDataFrame({"code": ["A"]}, geometry=[box(0, 0, 1000, 1000)], crs=26986)
    squares["geometry"] = shapely.transform(
        squares.geometry.to_numpy(), lambda at: at + np.array([232_000, 902_000])
    )
    path = write(squares.to_crs(2249), tmp_path / "feet.shp")
    facts = layer(path)
    assert (facts.crs.srid, facts.crs.sure) == (2249, True)
    assert "foot" in facts.crs.why
    metres = read(path, columns=CODES).frame.to_crs(26986)
    assert metres.area.iloc[0] == pytest.approx(1e6, rel=1e-6)


def test_web_mercator_is_believed_and_measured_elsewhere(tmp_path: Path, layer: Any) -> None:
    facts = layer(write(areas().to_crs(3857), tmp_path / "a.gpkg"))
    assert facts.crs.srid == 3857
    assert "longer than real ones" in facts.crs.why
    assert facts.bbox == pytest.approx(YANTAI, abs=1e-6)


@pytest.mark.parametrize(
    ("srid", "used", "sure", "choices"),
    [
        (4326, "wgs84", False, ("wgs84", "gcj02", "bd09")),
        (3857, "wgs84", False, ("wgs84", "gcj02", "bd09")),
        (4490, "cgcs2000", True, ()),
        (4549, "cgcs2000", True, ()),
        (32651, "wgs84", True, ()),
    ],
)
def test_the_datum_is_asked_for_unless_the_system_tells(
    srid: int, used: str, sure: bool, choices: tuple[str, ...]
) -> None:
    fact, _ = reference(f"EPSG:{srid}", numbers(srid))
    datum = datum_of(fact, YANTAI)
    assert (datum.used, datum.sure, datum.choices) == (used, sure, choices)


def test_outside_china_nothing_is_shifted() -> None:
    fact, _ = reference("EPSG:4326", HELSINKI)
    assert datum_of(fact, HELSINKI).sure


@pytest.mark.parametrize(
    ("headings", "used"),
    [
        (("高德经度", "高德纬度"), "gcj02"),
        (("bd_lng", "bd_lat"), "bd09"),
        (("gps_lon", "gps_lat"), "wgs84"),
    ],
)
def test_columns_say_their_datum(headings: tuple[str, str], used: str) -> None:
    fact, _ = reference(None, YANTAI, degrees_named=True)
    datum = datum_of(fact, YANTAI, headings)
    assert (datum.used, datum.sure) == (used, True)


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_a_shifted_datum_is_taken_back(datum: Any, tmp_path: Path, read: Any) -> None:
    frame = areas()
    true = shapely.get_coordinates(frame.geometry.to_numpy())
    frame["geometry"] = shapely.transform(
        frame.geometry.to_numpy(), lambda places: from_wgs84(places, datum)
    )
    path = write(frame, tmp_path / "a.gpkg")
    with pytest.raises(DeliveryError, match="gcj02 or bd09"):
        read(path, columns=CODES)
    found = read(path, columns=CODES, datum=datum).frame
    back = shapely.get_coordinates(found.geometry.to_numpy())
    assert abs(back - true).max() < 1e-12


def test_swapped_axes_are_turned_when_read(tmp_path: Path, read: Any) -> None:
    frame = areas()
    frame["geometry"] = shapely.transform(frame.geometry.to_numpy(), lambda at: at[:, ::-1])
    path = write(frame, tmp_path / "a.gpkg")
    found = read(path, columns=CODES, datum="wgs84")
    assert found.frame.total_bounds == pytest.approx(YANTAI)
    assert "axes_swapped" in {finding.kind for finding in found.findings}
    kept = read(path, columns=CODES, datum="wgs84", swap_axes=True)
    assert kept.frame.total_bounds == pytest.approx(YANTAI)


def test_a_survey_table_has_northings_first(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "站点.csv"
    east, north = Transformer.from_crs(4326, 4528, always_xy=True).transform(121.4, 37.5)
    path.write_text(f"名称,X坐标,Y坐标\n站一,{north},{east}\n", encoding="gb18030")
    frame = read(path, columns={"name": "名称"}).frame
    assert frame.total_bounds == pytest.approx((121.4, 37.5, 121.4, 37.5), abs=1e-8)


def test_a_system_without_a_number_is_kept(tmp_path: Path) -> None:
    own = CRS.from_proj4("+proj=tmerc +lon_0=121 +x_0=40000 +y_0=-4000000 +ellps=GRS80 +units=m")
    to = Transformer.from_crs(4326, own, always_xy=True)
    bounds = tuple(map(float, to.transform_bounds(*YANTAI)))
    fact, swapped = reference(own.to_wkt(), bounds)  # type: ignore[arg-type]
    assert (fact.srid, fact.sure, swapped) == (None, True, False)
    assert crs_of(fact) is not None
