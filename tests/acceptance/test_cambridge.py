"""Cambridge, Massachusetts, from its office's own files: in whole, exact, once, and by command."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from api.cli import app
from geo import service
from geo.boundaries import Delivery, read_delivery
from geo.dataset import CityDataset
from geo.errors import ConflictError, DeliveryError
from geo.findings import Findings
from geo.importing import assemble, digest
from geo.profiles import load_profile
from geo.recipes import Recipe, recipe_from_tables
from geo.repair import repair
from tests.conftest import MigratedDatabase

pytestmark = pytest.mark.acceptance

RECIPE = Path(__file__).resolve().parents[2] / "data" / "boundaries" / "cambridge.toml"
METRE_SRID = 26986
PEOPLE = 118_403
DIRTY = (
    ("neighborhoods", "name"),
    ("dept_fire_engine_districts_DIRTY", "code"),
    ("dept_zipcodes_DIRTY", "code"),
    ("census_blockgroups_2020_DIRTY", "geoid"),
    ("wards_precincts_2010_DIRTY", "code"),
    ("address_blocks_DIRTY", "UNQ_ID"),
    ("dept_street_sweeping_districts_DIRTY", "code"),
)


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "cambridge_ma"


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipe_from_tables(tomllib.loads(RECIPE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def delivery(recipe: Recipe, folder: Path) -> Delivery:
    return read_delivery(recipe, folder)


@pytest.fixture(scope="module")
def imported(recipe: Recipe, delivery: Delivery) -> tuple[CityDataset, Findings]:
    return assemble(recipe, load_profile("intl"), delivery)


@pytest.fixture(scope="module")
def blocks(folder: Path) -> gpd.GeoDataFrame:
    layer = gpd.read_file(folder / "cambridge_admin.gpkg", layer="census_blocks_2020")
    return layer.to_crs(METRE_SRID).set_index("geoid")


def test_the_city_is_whole(imported: tuple[CityDataset, Findings]) -> None:
    city, _ = imported
    city.check()
    assert city.grids["level"].value_counts().to_dict() == {1: 33, 2: 1044}
    assert (len(city.cells), len(city.streets), len(city.stations)) == (1044, 2643, 324)
    assert city.stations["kind"].nunique() == len(city.station_kinds) == 13
    assert city.levels["name_en"].tolist() == ["Census tract", "Census block"]


def test_every_block_is_one_cell_in_the_tract_its_code_begins_with(
    imported: tuple[CityDataset, Findings], blocks: gpd.GeoDataFrame
) -> None:
    city, _ = imported
    grids = city.grids.set_index("grid_id")
    leaf = grids.loc[city.cells["grid_id"]]
    assert set(leaf["code"]) == set(blocks.index)
    tract = grids.loc[leaf["parent_id"], "code"].to_numpy()
    assert (leaf["code"].str[:11].to_numpy() == tract).all()
    delivered = blocks.geometry.loc[leaf["code"]].to_numpy()
    assert shapely.equals_identical(city.cells.geometry.to_numpy(), delivered).all()


def test_cells_are_a_coverage_and_their_areas_add_up(
    imported: tuple[CityDataset, Findings], blocks: gpd.GeoDataFrame
) -> None:
    city, found = imported
    cells = city.cells.geometry.to_numpy()
    assert shapely.coverage_is_valid(cells)
    total, united = shapely.area(cells).sum(), shapely.union_all(cells).area
    assert abs(total - united) <= 1e-9 * united
    assert total == pytest.approx(blocks.area.sum(), rel=1e-12)
    assert found.figures["ground"]["mended_areas"] == 0


def test_people_are_accounted_for_to_the_last(
    imported: tuple[CityDataset, Findings], blocks: gpd.GeoDataFrame, folder: Path
) -> None:
    city, found = imported
    totals = city.cell_values.groupby("measure")["value"].sum().to_dict()
    assert totals == {"households": 47_275, "population": PEOPLE}
    assert totals["households"] == pytest.approx(0.3993 * PEOPLE, abs=21)
    assert all(values["unplaced"] == 0 for values in found.figures["values"].values())
    assert city.vintages["estimated"].tolist() == [True]
    code = city.grids.set_index("grid_id").loc[city.cells["grid_id"], "code"].to_numpy()
    land = blocks["aland_m2"].loc[code].to_numpy()
    counts = city.cell_values.loc[city.cell_values["measure"] == "population"]
    people = counts.set_index("cell_id")["value"].loc[city.cells["cell_id"]].to_numpy()
    assert not people[land == 0].any()
    wards = gpd.read_file(folder / "cambridge_admin.gpkg", layer="wards_subprecincts_pop")
    ward = wards.to_crs(METRE_SRID).union_all()
    assert (people == np.round(people)).all()
    assert not people[~shapely.intersects(city.cells.geometry.to_numpy(), ward)].any()


def test_outlines_of_tracts_are_kept_with_their_residual(
    imported: tuple[CityDataset, Findings], blocks: gpd.GeoDataFrame, folder: Path
) -> None:
    city, found = imported
    tracts = gpd.read_file(folder / "cambridge_admin.gpkg", layer="census_tracts_2020")
    outlines = tracts.to_crs(METRE_SRID).set_index("geoid").geometry
    unions = blocks.dissolve(blocks.index.str[:11]).geometry
    plain = outlines.symmetric_difference(unions.loc[outlines.index]).area
    stated = city.source_grids.set_index("code")["residual_m2"]
    assert stated.sort_index().to_dict() == pytest.approx(plain.sort_index().to_dict(), abs=1e-3)
    assert stated.sum() == pytest.approx(306_868.1, abs=0.1)
    residuals = [entry for entry in found.entries if entry.kind == "residual"]
    assert len(residuals) == 33
    assert sum(entry.size or 0 for entry in residuals) == pytest.approx(stated.sum())
    assert city.source_grids["residual_households"].sum() == pytest.approx(328, abs=1)


def test_water_is_the_ground_without_land(
    imported: tuple[CityDataset, Findings], blocks: gpd.GeoDataFrame
) -> None:
    city, _ = imported
    assert set(city.barriers["kind"]) == {"water"}
    expected = blocks.loc[blocks["aland_m2"] == 0].area.sum()
    assert city.barriers.area.sum() == pytest.approx(expected, rel=1e-9)
    assert 1.1e6 < expected < 1.3e6


def test_streets_meet_in_the_nodes_that_the_office_counts(
    imported: tuple[CityDataset, Findings], folder: Path
) -> None:
    city, found = imported
    nodes = set(city.streets["from_node"]) | set(city.streets["to_node"])
    assert (min(nodes), max(nodes), len(nodes)) == (1, 1871, 1871)
    moved = [entry for entry in found.entries if entry.kind == "end_moved"]
    assert max(entry.size or 0 for entry in moved) < 1.0
    delivered = gpd.read_file(folder / "cambridge_streets.gpkg", layer="centerlines")
    delivered_m = delivered.to_crs(METRE_SRID).length.sum()
    assert found.figures["streets"]["length_m"] == pytest.approx(delivered_m, rel=1e-12)
    assert city.streets.length.sum() == pytest.approx(delivered_m, abs=len(moved))
    assert city.streets["kind"].value_counts().to_dict() == {
        "local": 1726,
        "collector": 633,
        "arterial": 284,
    }


def test_the_same_files_give_the_same_city(
    imported: tuple[CityDataset, Findings], recipe: Recipe, folder: Path
) -> None:
    again, _ = assemble(recipe, load_profile("intl"), read_delivery(recipe, folder))
    assert digest(again) == digest(imported[0])


def test_it_goes_into_the_database_and_the_validator_finds_nothing(
    session: Session, imported: tuple[CityDataset, Findings]
) -> None:
    city, _ = imported
    assert service.import_city(session, city, digest=digest(city))
    report = service.check_city(session, city.slug)
    assert report["ok"], report["faults"]
    assert report["figures"]["cells"] == 1044
    assert report["figures"]["area_m2"] == pytest.approx(city.cells.area.sum(), rel=1e-9)
    kept = session.execute(
        text(
            "SELECT n.name, count(*), sum(g.residual_m2), bool_and(g.grid_id IS NOT NULL)"
            " FROM source_net AS n JOIN source_grid AS g USING (city_id, source_net_id)"
            " GROUP BY n.name"
        )
    ).one()
    assert kept[0] == "cambridge_admin.gpkg:census_tracts_2020"
    assert (kept[1], kept[3]) == (33, True)
    assert kept[2] == pytest.approx(306_868.1, abs=0.1)
    people = session.scalar(text("SELECT sum(value) FROM cell_value WHERE measure = 'population'"))
    assert people == PEOPLE
    levels = session.execute(text("SELECT name, name_en, zoom_min FROM level ORDER BY level"))
    assert [row[1] for row in levels] == ["Census tract", "Census block"]


def test_a_second_import_changes_nothing_and_another_delivery_is_refused(
    session: Session, imported: tuple[CityDataset, Findings]
) -> None:
    city, _ = imported
    assert service.import_city(session, city, digest=digest(city))
    assert not service.import_city(session, city, digest=digest(city))
    with pytest.raises(ConflictError, match="wangge city drop cambridge-ma"):
        service.import_city(session, city, digest="another")
    assert session.scalar(text("SELECT count(*) FROM city")) == 1
    logged = session.scalars(text("SELECT action FROM audit ORDER BY n")).all()
    assert logged == ["city.load", "city.import"]


def test_by_command(fresh_database: MigratedDatabase, folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    environment = {
        "DATABASE_URL": fresh_database.app_url,
        "DATABASE_OWNER_URL": fresh_database.owner_url,
    }

    def run(*options: str) -> dict[str, Any]:
        call = ["import", "city", str(RECIPE), "--files", str(folder), "--json", *options]
        result = CliRunner().invoke(app, call, env=environment, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        said: dict[str, Any] = json.loads(result.stdout)
        return said

    def cities() -> int:
        with fresh_database.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM city")).scalar_one())

    assert run("--dry-run", "--report", str(report))["stored"] is False
    assert cities() == 0
    assert run("--report", str(report))["stored"] is True
    written = json.loads(report.read_text(encoding="utf-8"))
    assert written["levels"] == {"Census tract": 33, "Census block": 1044}
    assert written["counts"]["residual"] == 33
    assert all({"source", "kind", "subject", "done"} <= set(row) for row in written["findings"])
    places = [(row["lon"], row["lat"]) for row in written["findings"] if "lon" in row]
    assert all(-71.17 < lon < -71.06 and 42.35 < lat < 42.41 for lon, lat in places)
    assert run()["stored"] is False
    assert cities() == 1


@pytest.mark.parametrize(("layer", "code"), DIRTY)
def test_official_layers_become_coverages_and_every_change_is_listed(
    folder: Path, layer: str, code: str
) -> None:
    file = folder / "cambridge_admin.gpkg"
    given = gpd.read_file(file, layer=layer).to_crs(METRE_SRID).set_index(code).geometry
    before = given.copy()
    mended = repair(given)
    after = mended.areas.to_numpy()
    assert shapely.coverage_is_valid(after)
    total, united = shapely.area(after).sum(), shapely.union_all(after).area
    assert abs(total - united) <= 1e-9 * united
    change = (mended.changes["gained_m2"] - mended.changes["ceded_m2"]).sum()
    assert total - given.area.sum() == pytest.approx(change, abs=1e-4)
    kinds = {"overlap", "gap", "open_gap", "invalid_ring", "unnoded", "near_miss", "needle"}
    assert set(mended.defects["kind"]) <= kinds
    assert len(mended.defects)
    assert given.equals(before)


def test_contradictions_are_for_people_to_decide(folder: Path) -> None:
    parks = gpd.read_file(folder / "cambridge_admin.gpkg", layer="open_space_DIRTY")
    with pytest.raises(DeliveryError, match=r"would change by 4\d\.\d% .* it overlaps"):
        repair(parks.to_crs(METRE_SRID).geometry)


def test_degrees_come_back_from_the_database_bit_by_bit(
    session: Session, imported: tuple[CityDataset, Findings]
) -> None:
    city, _ = imported
    service.import_city(session, city, digest="any")
    stored = session.execute(text("SELECT ST_AsBinary(geom) FROM cell ORDER BY cell_id")).scalars()
    shapes = shapely.from_wkb([bytes(shape) for shape in stored])
    assert shapely.coverage_is_valid(shapes)
    turn = Transformer.from_crs(METRE_SRID, 4326, always_xy=True)
    expected = shapely.transform(city.cells.geometry.to_numpy(), turn.transform, interleaved=False)
    assert shapely.equals_identical(shapes, expected).all()
