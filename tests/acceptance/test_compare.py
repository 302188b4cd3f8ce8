"""Nets of Cambridge laid on each other from the command line, against plain overlays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from typer.testing import CliRunner

from api.cli import app
from geo.errors import DeliveryError

pytestmark = pytest.mark.acceptance


def admin(shared_data: Path) -> Path:
    return shared_data / "cambridge_ma" / "cambridge_admin.gpkg"


def told(file: Path, old: str, new: str, *more: object) -> dict[str, Any]:
    call = ["compare", f"{file}:{old}", f"{file}:{new}", *map(str, more), "--json"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.exception or result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def adds_up(found: dict[str, Any]) -> None:
    """Each old area is the sum of its rows; so is each new one."""
    for side in ("old", "new"):
        total = found[f"area_{side}_m2"]
        for unit in found[side]:
            rows = [row["area_m2"] for row in found["crosswalk"] if row[side] == unit["unit"]]
            assert abs(sum(rows) - unit["area_m2"]) <= 1e-9 * total
    assert found["residual_m2"] <= 1e-9 * found["area_old_m2"]


def test_tracts_against_neighbourhoods(shared_data: Path) -> None:
    file = admin(shared_data)
    found = told(file, "census_tracts_2020", "neighborhoods")
    adds_up(found)
    assert (found["units_old"], found["units_new"], found["same"]) == (33, 13, 0)
    old, new = (
        gpd.read_file(file, layer=layer).to_crs(found["metre_srid"])
        for layer in ("census_tracts_2020", "neighborhoods")
    )
    assert found["area_old_m2"] == pytest.approx(old.area.sum(), rel=1e-9)
    assert found["area_new_m2"] + found["overlap_new_m2"] == pytest.approx(new.area.sum(), rel=1e-9)
    plain = gpd.overlay(old, new, how="intersection", keep_geom_type=True)
    expected = plain.area.groupby([plain["geoid"], plain["code"].astype(str)]).sum()
    listed = {(row["old"], row["new"]): row["area_m2"] for row in found["crosswalk"]}
    for pair, area_m2 in expected.items():
        apart = abs(listed.get(pair, 0.0) - area_m2)
        assert apart <= found["overlap_new_m2"] + 1e-3
    hulls = 4 * np.pi * new.area / new.length**2
    assert found["polsby_popper_new"] == pytest.approx(hulls.mean(), abs=1e-6)


def test_blocks_nest_in_tracts(shared_data: Path) -> None:
    found = told(admin(shared_data), "census_blocks_2020", "census_tracts_2020")
    adds_up(found)
    inside = [row for row in found["crosswalk"] if row["old"] and row["new"]]
    most = [row for row in inside if row["area_share_old"] > 0.8]  # the two are drawn apart
    assert len(most) == found["verdicts"]["old"]["merged"] == 1037
    assert all(row["old"].startswith(row["new"]) for row in most)
    assert found["verdicts"]["new"]["merged"] == 33


def test_population_of_wards_and_their_parts(shared_data: Path) -> None:
    found = told(
        admin(shared_data), "wards_subprecincts_pop", "wards_precincts_pop",
        "--weight", "population",
    )  # fmt: skip
    adds_up(found)
    assert found["weight_old"] == found["weight_new"] == 118_403
    assert found["weight_residual"] == found["weight_residual_largest"] == 0
    assert found["weight_estimated"] is False
    assert found["same"] == 24
    smaller = [row for row in found["crosswalk"] if row["area_share_new"] not in (None, 1.0)]
    assert found["moved_weight"] == sum(
        row["weight"] for row in smaller
        if row["old"] not in {one["unit"] for one in found["old"] if one["partner"]}
    )  # fmt: skip
    assert found["moved_weight"] > 0


def test_an_estimate_is_said_to_be_one_and_loses_nobody(shared_data: Path) -> None:
    found = told(
        admin(shared_data), "wards_subprecincts_pop", "dept_police_sectors",
        "--weight", "population",
    )  # fmt: skip
    adds_up(found)
    assert found["weight_estimated"] is True
    assert sum(row["weight"] for row in found["crosswalk"]) == 118_403
    assert found["balance_new"]["total"] + found["weight_outside"] == 118_403


def test_a_layer_against_itself(shared_data: Path) -> None:
    found = told(admin(shared_data), "dept_police_walking_routes", "dept_police_walking_routes")
    assert found["same"] == found["units_old"] == 38
    assert found["moved_area_m2"] == 0


@pytest.mark.parametrize(
    "layer",
    ["dept_fire_engine_districts_DIRTY", "dept_zipcodes_DIRTY", "census_blockgroups_2020_DIRTY"],
)
def test_dirty_layers_are_refused(shared_data: Path, layer: str) -> None:
    file = admin(shared_data)
    result = CliRunner().invoke(app, ["compare", f"{file}:neighborhoods", f"{file}:{layer}"])
    assert isinstance(result.exception, DeliveryError)
    assert "both claim" in result.exception.message
