"""Real ground divided: counties of Iowa, blocks of Cambridge in tracts, cells of a Finnish town."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app
from geo.boundaries import read_delivery
from geo.importing import assemble
from geo.partition import Wishes, cell_graph, divide
from geo.profiles import load_profile
from geo.recipes import recipe_from_tables
from geo.topology import adjacency

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

RECIPE = Path(__file__).resolve().parents[2] / "data" / "boundaries" / "cambridge.toml"


def command(*words: str) -> dict[str, Any]:
    told = CliRunner().invoke(app, [*words, "--json"])
    assert told.exit_code == 0, told.output
    answer: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return answer


def test_iowa_in_four_comes_out_even_and_in_twenty_is_refused(
    shared_data: Path, tmp_path: Path
) -> None:
    counties = str(shared_data / "us_units" / "iowa_counties_pop.parquet")
    words = ["divide", counties, "--weight", "TOTPOP", "--tolerance", "0.02"]
    said = command(*words, "--parts", "4", "--out", str(tmp_path / "four.gpkg"))
    assert said["units"] == 4 and said["within_tolerance"] == 1.0
    assert said["coverage_valid"] and said["contiguity_violations"] == 0
    units = gpd.read_file(tmp_path / "four.gpkg")
    assert units["TOTPOP"].sum() == 3_046_355 and (units.geom_type == "Polygon").all()
    told = CliRunner().invoke(app, [*words, "--parts", "20", "--out", str(tmp_path / "no.gpkg")])
    assert told.exit_code == 1 and "2.8 times the target" in str(told.exception)


def test_blocks_of_cambridge_are_divided_inside_their_tracts(shared_data: Path) -> None:
    recipe = recipe_from_tables(tomllib.loads(RECIPE.read_text(encoding="utf-8")))
    delivery = read_delivery(recipe, shared_data / "cambridge_ma")
    city, _ = assemble(recipe, load_profile("intl"), delivery)
    homes = city.cell_values[city.cell_values["measure"] == "households"]
    weight = city.cells["cell_id"].map(homes.set_index("cell_id")["value"]).fillna(0.0)
    blocks = gpd.read_file(
        shared_data / "cambridge_ma" / "cambridge_admin.gpkg", layer="census_blocks_2020"
    ).to_crs(city.metre_srid)
    inside = city.cells.geometry.representative_point()
    block, cell = inside.sindex.query(blocks.geometry, predicate="contains")
    tract = np.full(len(city.cells), "", dtype=object)
    tract[cell] = blocks["tract"].astype(str).to_numpy()[block]
    found = adjacency(city.cells.geometry)
    graph = cell_graph(
        weight.to_numpy(float), found.left, found.right, found.length_m,
        np.unique(tract.astype(str), return_inverse=True)[1],
    )  # fmt: skip
    units = divide(graph, Wishes((400.0,), (0.2,)))
    assert (units.score.units["pieces"] == 1).all()
    assert units.score.good >= 0.89


def test_cells_of_a_finnish_town_by_their_buildings(shared_data: Path, tmp_path: Path) -> None:
    town = shared_data / "osm_small" / "fi_small_town.gpkg"
    buildings = gpd.read_file(town, layer="buildings").to_crs(3067)
    ground = shapely.box(*buildings.total_bounds).buffer(50)
    area = gpd.GeoDataFrame({"name": ["town"]}, geometry=[ground], crs=3067)
    area.to_file(tmp_path / "area.gpkg")
    made = command(
        "cells", f"{town}:buildings", "--within", str(tmp_path / "area.gpkg"),
        "--out", str(tmp_path / "cells.gpkg"),
    )  # fmt: skip
    said = command(
        "divide", str(tmp_path / "cells.gpkg"), "--weight", "buildings", "--target", "60",
        "--out", str(tmp_path / "units.gpkg"),
    )  # fmt: skip
    units = gpd.read_file(tmp_path / "units.gpkg")
    cells = gpd.read_file(tmp_path / "cells.gpkg")
    assert said["cells"] == made["cells"] and units["buildings"].sum() == cells["buildings"].sum()
    assert said["within_tolerance"] >= 0.95 and said["coverage_valid"]
    assert said["contiguity_violations"] == 0 and said["area_difference_m2"] < 0.01
