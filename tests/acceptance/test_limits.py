"""The limits in words of Cambridge, Massachusetts, against its street map."""

from __future__ import annotations

import tomllib
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from geo import grids as topology
from geo.boundaries import read_delivery
from geo.importing import assemble
from geo.limits_text import limits
from geo.profiles import load_profile
from geo.recipes import recipe_from_tables

pytestmark = pytest.mark.acceptance

RECIPE = Path(__file__).resolve().parents[2] / "data" / "boundaries" / "cambridge.toml"


@pytest.fixture(scope="module")
def told(shared_data: Path) -> pd.DataFrame:
    recipe = recipe_from_tables(tomllib.loads(RECIPE.read_text(encoding="utf-8")))
    delivery = read_delivery(recipe, shared_data / "cambridge_ma")
    city, _ = assemble(recipe, load_profile("intl"), delivery)
    shapes = topology.net_boundaries(city.cells.geometry, city.cells["grid_id"], city.grids)
    grids = gpd.GeoDataFrame(city.grids, geometry=shapes.to_numpy(), crs=city.cells.crs)
    columns = ["name", "kind", "geometry"]
    both = pd.concat([city.streets[columns], city.barriers[columns]], ignore_index=True)
    lines = gpd.GeoDataFrame(both, crs=city.cells.crs)
    return pd.concat([city.grids, limits(grids, lines, city=city.name_en)], axis=1)


def test_blocks_are_bounded_by_real_streets(told: pd.DataFrame) -> None:
    leaves = told[told["level"] == 2]
    sides = [side for words in leaves["en"] for side in words.split("; ")]
    assert len(sides) == 4 * len(leaves)
    streets = [one for one in sides if any(end in one for end in (" St", " Ave", " Rd", " Pl"))]
    assert len(streets) > 0.6 * len(sides)


def test_blocks_that_one_can_look_up_on_a_map(told: pd.DataFrame) -> None:
    words = set(told["zh"])
    assert "东至Ellery St，南至Massachusetts Ave，西至Trowbridge St，北至Harvard St" in words
    assert "东至Pearl St，南至Allston St，西至Magazine St，北至Hamilton St" in words


def test_a_block_of_another_tract_is_told_with_it(told: pd.DataFrame) -> None:
    assert any("Tract 3523 Block 1010" in words for words in told["zh"])
    assert any("Block 1010 of Tract 3523" in words for words in told["en"])
