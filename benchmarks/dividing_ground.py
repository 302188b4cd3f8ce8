"""Real ground to be divided: counties of Iowa, cells of Cambridge, cells of a Finnish town."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from geo.boundaries import read_delivery
from geo.cells import building_cells
from geo.importing import assemble
from geo.partition import CellGraph, cell_graph
from geo.profiles import load_profile
from geo.recipes import recipe_from_tables
from geo.topology import adjacency

RECIPE = Path(__file__).resolve().parents[1] / "data" / "boundaries" / "cambridge.toml"
IOWA_SRID = 26975
FINLAND_SRID = 3067
AROUND_M = 50.0


def folder() -> Path | None:
    """Return the folder of real data, or None where WANGGE_SHARED does not name it."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    found = Path(os.environ.get("WANGGE_SHARED", beside)) / "data"
    return found if found.is_dir() else None


def iowa(data: Path) -> CellGraph:
    """Return the counties of Iowa with their people, as one parent."""
    counties = gpd.read_parquet(data / "us_units" / "iowa_counties_pop.parquet").to_crs(IOWA_SRID)
    found = adjacency(counties.geometry.reset_index(drop=True))
    people = counties["TOTPOP"].to_numpy(dtype=float)
    return cell_graph(people, found.left, found.right, found.length_m)


def cambridge(data: Path) -> CellGraph:
    """Return the cells of Cambridge, Massachusetts, with their households, in census tracts."""
    recipe = recipe_from_tables(tomllib.loads(RECIPE.read_text(encoding="utf-8")))
    delivery = read_delivery(recipe, data / "cambridge_ma")
    city, _ = assemble(recipe, load_profile("intl"), delivery)
    homes = city.cell_values[city.cell_values["measure"] == "households"]
    weight = city.cells["cell_id"].map(homes.set_index("cell_id")["value"]).fillna(0.0)
    admin = data / "cambridge_ma" / "cambridge_admin.gpkg"
    blocks = gpd.read_file(admin, layer="census_blocks_2020").to_crs(city.metre_srid)
    inside = city.cells.geometry.representative_point()
    block, cell = inside.sindex.query(blocks.geometry, predicate="contains")
    tract = np.full(len(city.cells), "", dtype=object)
    tract[cell] = blocks["tract"].astype(str).to_numpy()[block]
    found = adjacency(city.cells.geometry)
    parent = np.unique(tract.astype(str), return_inverse=True)[1]
    return cell_graph(weight.to_numpy(float), found.left, found.right, found.length_m, parent)


def finnish_town(data: Path) -> CellGraph:
    """Return the cells around the buildings of a small Finnish town, weighted by buildings."""
    path = data / "osm_small" / "fi_small_town.gpkg"
    buildings = gpd.read_file(path, layer="buildings").to_crs(FINLAND_SRID).geometry.make_valid()
    buildings = buildings[buildings.geom_type.isin(["Polygon", "MultiPolygon"])]
    ground = gpd.GeoSeries(
        [shapely.box(*buildings.total_bounds).buffer(AROUND_M)], crs=FINLAND_SRID
    )
    made = building_cells(buildings, ground, processes=1)
    found = adjacency(made.cells.geometry)
    cell = made.cell_of.dropna().to_numpy(dtype=np.int64)
    count = np.bincount(cell, minlength=len(made.cells)).astype(float)
    return cell_graph(count, found.left, found.right, found.length_m)
