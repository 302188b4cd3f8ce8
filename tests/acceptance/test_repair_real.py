"""Official layers as they were delivered: repaired, accounted for, and the datum they lie in."""

from __future__ import annotations

import json
from math import fsum
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app
from geo.datums import Datum, lies_best, shapes_from_wgs84
from geo.errors import DeliveryError
from geo.matching import match_features
from geo.repair import Repair, examine, repair

pytestmark = pytest.mark.acceptance

METRE_SRID = 26986
SHANGHAI_SRID = 4549
CAMBRIDGE = "cambridge_ma/cambridge_admin.gpkg"
BOSTON = "boston_ma/boston_neighborhoods_DIRTY.geojson"
SHANGHAI = "shanghai_lujiazui/shanghai_lujiazui.gpkg"
PRAGUE = "prague_bubenec/bubenec.gpkg"

LAYERS = [
    (BOSTON, None, METRE_SRID, {"invalid_ring": 4, "gap": 2, "overlap": 2}),
    (CAMBRIDGE, "neighborhoods", METRE_SRID, {"unnoded": 10, "near_miss": 5}),
    (CAMBRIDGE, "dept_fire_engine_districts_DIRTY", METRE_SRID, {"overlap": 4}),
    (CAMBRIDGE, "dept_street_sweeping_districts_DIRTY", METRE_SRID, {"gap": 3, "needle": 1}),
    (CAMBRIDGE, "dept_zipcodes_DIRTY", METRE_SRID, {"overlap": 8, "gap": 6}),
    (CAMBRIDGE, "census_blockgroups_2020_DIRTY", METRE_SRID, {"overlap": 25, "gap": 23}),
    (CAMBRIDGE, "wards_precincts_2010_DIRTY", METRE_SRID, {"overlap": 14, "gap": 12}),
    (CAMBRIDGE, "address_blocks_DIRTY", METRE_SRID, {"overlap": 5}),
    (CAMBRIDGE, "dept_police_response_districts", METRE_SRID, {}),
    (PRAGUE, "plots", 32633, {"gap": 34, "overlap": 29}),
]


def areas(shared_data: Path, file: str, layer: str | None, srid: int) -> gpd.GeoDataFrame:
    named = {} if layer is None else {"layer": layer}
    return gpd.read_file(shared_data / file, **named).to_crs(srid)


def assert_accounted(found: Repair) -> None:
    after = found.areas.to_numpy()
    assert shapely.coverage_is_valid(after)
    origin = np.floor(shapely.total_bounds(after)[:2])
    near = shapely.transform(after, lambda places: places - origin)
    united = shapely.union_all(near).area
    assert abs(fsum(shapely.area(near)) - united) <= 1e-9 * united
    ledger = found.ledger
    for label, size in found.sizes.iterrows():
        own = ledger[ledger["subject"] == label]
        parts = [*own["gained_m2"], *-own["ceded_m2"]]
        assert fsum([size["delivered_m2"], *parts]) == size["after_m2"]
    rounding = ledger[ledger["kind"] == "rounding"]
    assert (rounding["gained_m2"] + rounding["ceded_m2"]).sum() < 1e-6


@pytest.mark.parametrize(("file", "layer", "srid", "expected"), LAYERS)
def test_official_layers_are_repaired_and_the_account_adds_up(
    shared_data: Path, file: str, layer: str | None, srid: int, expected: dict[str, int]
) -> None:
    given = areas(shared_data, file, layer, srid).geometry
    found = repair(given)
    assert_accounted(found)
    counts = found.defects["kind"].value_counts().to_dict()
    assert {kind: counts.get(kind) for kind in expected} == expected
    assert expected or found.defects.empty
    assert len(found.areas) == len(given), "none is lost"
    listed = found.defects.geometry.to_numpy()
    beside = shapely.STRtree(given.to_numpy()).query(listed, predicate="dwithin", distance=0.1)[1]
    away = np.setdiff1d(np.arange(len(given)), beside)
    away = away[shapely.is_valid(given.to_numpy()[away])]
    plain = shapely.force_2d(given.to_numpy()[away])
    assert shapely.equals_identical(found.areas.to_numpy()[away], plain).all(), "bit by bit"
    assert not shapely.is_empty(found.defects.geometry.to_numpy()).any()


def test_precincts_keep_their_people(shared_data: Path) -> None:
    old = areas(shared_data, CAMBRIDGE, "wards_precincts_2010_DIRTY", METRE_SRID)
    found = repair(old.geometry, weights=old["population"])
    figures = found.figures()
    assert figures["value_before"] == figures["value_after"] == old["population"].sum()
    assert figures["value_residual"] == 0
    assert 0 < figures["value_on_changed_ground"] < 10


def test_buildings_on_buildings_are_questions_and_the_rule_answers_the_rest(
    shared_data: Path,
) -> None:
    buildings = areas(shared_data, SHANGHAI, "buildings", SHANGHAI_SRID).geometry
    with pytest.raises(DeliveryError, match="lies wholly on others"):
        repair(buildings)
    asked = examine(buildings)
    assert_accounted(asked)
    assert len(asked.torn) > 100
    assert set(asked.questions["kind"]) <= {"overlap", "gap"}
    answers = dict(zip(asked.questions["key"], asked.questions["proposed"], strict=True))
    settled = examine(buildings, decisions=answers)
    assert_accounted(settled)
    assert len(settled.torn) < len(asked.torn) / 4
    assert len(settled.areas) + len(settled.dropped) >= len(buildings) - len(settled.torn)


@pytest.mark.parametrize("datum", ["wgs84", "gcj02", "bd09"])
def test_lujiazui_lies_right_on_its_streets(shared_data: Path, datum: Datum) -> None:
    streets = gpd.read_file(shared_data / SHANGHAI, layer="roads_tile_clipped").geometry
    buildings = gpd.read_file(shared_data / SHANGHAI, layer="buildings").geometry
    ranking = lies_best(shapes_from_wgs84(buildings, datum), streets)
    assert ranking.index[0] == datum
    assert ranking["certainty"].iloc[0] > 0.95
    assert ranking["misfit"].iloc[0] * 3 < ranking["misfit"].iloc[1]


def test_the_same_buildings_again_are_no_change(shared_data: Path) -> None:
    buildings = areas(shared_data, SHANGHAI, "buildings", SHANGHAI_SRID)
    again = buildings.to_crs(4326).to_crs(SHANGHAI_SRID).sample(frac=1, random_state=1)
    found = match_features(buildings, again, "areas", code="id", fields=("name", "height"))
    assert found.nothing_changed, found.counts()


@pytest.mark.parametrize(
    "named",
    [BOSTON, f"{CAMBRIDGE}:census_blockgroups_2020_DIRTY", f"{CAMBRIDGE}:dept_zipcodes_DIRTY"],
)
def test_the_command_writes_a_coverage(shared_data: Path, tmp_path: Path, named: str) -> None:
    for ending in ("gpkg", "geojson"):
        out = tmp_path / f"clean.{ending}"
        call = ["repair", str(shared_data / named), "--out", str(out), "--json"]
        result: Any = CliRunner().invoke(app, call)
        assert result.exit_code == 0, result.output
        said = json.loads(result.stdout)
        assert said["coverage_valid"] is True
        assert abs(said["area_difference_m2"]) <= 1e-9 * said["area_m2"]
        written = gpd.read_file(out).geometry.to_numpy()
        assert len(written) == said["features"]
        assert shapely.coverage_is_valid(written)
