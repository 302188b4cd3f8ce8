"""Nine nets of Cambridge as they were delivered become one, exactly, and each old grid is found."""

from __future__ import annotations

import json
from math import fsum
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app

pytestmark = pytest.mark.acceptance

SRID = 26986
TOLERANCE_M = 5.0
NETS = [
    "neighborhoods",
    "census_tracts_2020",
    "wards_precincts_pop",
    "dept_police_response_districts",
    "dept_fire_engine_districts_DIRTY",
    "dept_fire_ladder_districts",
    "dept_street_sweeping_districts_DIRTY",
    "dept_zipcodes_DIRTY",
    "census_blockgroups_2020_DIRTY",
]

POLICE = [
    "dept_police_sectors",
    "dept_police_response_districts",
    "dept_police_car_routes",
    "dept_police_walking_routes",
    "dept_police_neighborhood_regions",
    "dept_police_business_regions",
    "dept_fire_engine_districts_DIRTY",
    "dept_street_sweeping_districts_DIRTY",
    "dept_zipcodes_DIRTY",
]
"""Borders that run along each other for a kilometre within what a projection bends."""


def test_borders_that_cross_in_degrees_alone_are_parted(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "cambridge_ma" / "cambridge_admin.gpkg"
    out = tmp_path / "units.gpkg"
    words = ["merge-nets", *[f"{source}:{layer}" for layer in POLICE], "--json"]
    words += ["--outline", f"{source}:city_boundary", "--out", str(out)]
    result = CliRunner().invoke(app, [*words, "--crosswalk", str(tmp_path / "rows.csv")])
    assert result.exit_code == 0, result.exception
    city = gpd.read_file(source, layer="city_boundary").to_crs(SRID).geometry.iloc[0]
    shapes = gpd.read_file(out).to_crs(SRID).geometry.to_numpy()
    assert shapely.area(shapely.symmetric_difference(shapely.union_all(shapes), city)) < 0.05
    assert (2 * shapely.area(shapes) / shapely.length(shapes) >= TOLERANCE_M).all()
    assert (shapely.get_num_geometries(shapes) == 1).all()


def test_nine_nets_become_one(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "cambridge_ma" / "cambridge_admin.gpkg"
    out, table = tmp_path / "units.gpkg", tmp_path / "rows.csv"
    words = ["merge-nets", *[f"{source}:{layer}" for layer in NETS], "--json"]
    words += ["--outline", f"{source}:city_boundary", "--weight", "population"]
    words += ["--out", str(out), "--crosswalk", str(table), "--tolerance-m", str(TOLERANCE_M)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    data = json.loads(result.stdout)
    assert data["faces_under_1_m2"] > 4_000, "they came as slivers"
    assert data["coverage_valid"]
    assert data["contiguity_violations"] == 0
    assert data["cpu_s"] < 30

    units = gpd.read_file(out).to_crs(SRID)
    shapes = units.geometry.to_numpy()
    city = gpd.read_file(source, layer="city_boundary").to_crs(SRID).geometry.iloc[0]
    assert shapely.area(shapely.symmetric_difference(shapely.union_all(shapes), city)) < 0.05
    sizes, rims = shapely.area(shapes), shapely.length(shapes)
    assert abs(fsum(sizes) - city.area) < 1e-9 * city.area
    assert (sizes >= 1).all()
    assert (2 * sizes / rims >= TOLERANCE_M).all()
    assert 400 < len(units) < 700

    rows = pd.read_csv(table)
    for layer in NETS:
        old = gpd.read_file(source, layer=layer).to_crs(data["metre_srid"]).geometry
        mine = rows[rows["net"] == layer]
        sums = mine.groupby("row")["area_m2"].sum().reindex(np.arange(len(old)))
        assert np.allclose(sums, old.area, rtol=0, atol=1e-9 * city.area), layer
        assert (mine[mine["kind"] != "outside"].groupby("row").size() > 0).all()
    kept = rows[(rows["net"] == "wards_precincts_pop") & (rows["kind"] == "unit")]
    assert kept["population"].sum() == units["population"].sum() == data["weight_in_units"]
    assert data["weight_in_units"] + data["weight_outside"] == 118_403
