"""The whole made-up city, generated once: its size, its time, and the files kept beside it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

from geo import topology
from geo.dataset import CityDataset
from geo.demo import Truth, generate_with_truth
from geo.demo.files import FILES, layers
from geo.grids import net_boundaries

#: All tests here share one city, so they stay in one process of a parallel run.
pytestmark = [pytest.mark.xdist_group("full demo city"), pytest.mark.timeout(900)]

BOUNDARIES = Path(__file__).parents[2] / "data" / "boundaries"
KEPT_MB = 8
#: Seconds of processor time; twice that on the two processors of the smallest machine is a minute.
CPU_S = 110.0


@dataclass(frozen=True)
class Made:
    """The city, what was planted in it, and the processor time it took."""

    city: CityDataset
    truth: Truth
    cpu_s: float


@pytest.fixture(scope="session")
def made() -> Made:
    before = _cpu_s()
    city, truth = generate_with_truth(1)
    return Made(city, truth, _cpu_s() - before)


def _cpu_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@pytest.fixture(scope="session")
def city(made: Made) -> CityDataset:
    return made.city


def test_it_does_not_take_long(made: Made) -> None:
    assert made.cpu_s < CPU_S


def test_it_has_no_defect(city: CityDataset) -> None:
    city.check()


def test_it_has_the_size_of_longkou(city: CityDataset) -> None:
    levels = city.grids["level"].value_counts().to_dict()
    assert {level: levels[level] for level in (1, 2, 3)} == {1: 5, 2: 39, 3: 454}
    units = city.grids.loc[city.grids["level"] == 4, "parent_id"]
    above = city.grids.set_index("grid_id")["parent_id"]
    assert units.map(above).nunique() == 2
    assert 47_000 <= len(city.buildings) <= 49_000
    assert len(city.cells) >= len(city.buildings)
    assert len(city.issues) == 118_000
    assert len(city.workers) == 800
    total = city.cell_values.groupby("vintage")["value"].sum()
    assert total["2026"] == 230_000
    assert total["2026-S"] > 232_000
    kinds = city.stations["kind"].value_counts()
    assert (kinds["grid_station"], kinds["pioneer_station"]) == (145, 25)
    assert (kinds.reindex(city.station_kinds["kind"]) > 0).all()
    assert (city.barriers["kind"].value_counts()[["river", "railway", "wall"]] > 1).all()


def test_it_lies_on_open_sea_under_a_code_that_is_not_assigned(city: CityDataset) -> None:
    west, south, east, north = city.cells.to_crs(4326).total_bounds
    assert 120.1 < west < 120.2 < east < 120.3
    assert 38.5 < south < 38.6 < north < 38.7
    assert city.county_code.startswith("99")


def test_cells_and_grids(city: CityDataset) -> None:
    cells = city.cells.geometry
    assert shapely.coverage_is_valid(cells.to_numpy())
    outline = shapely.coverage_union_all(cells.to_numpy())
    assert outline.geom_type == "Polygon"
    assert len(outline.interiors) == 0
    shapes = net_boundaries(cells, city.cells["grid_id"], city.grids)
    assert (shapes.geom_type == "Polygon").all()
    joined = topology.adjacency(cells)
    assert topology.contiguous_parts(city.cells["grid_id"], joined).counts.max() == 1
    own = cells.to_numpy()[city.buildings["cell_id"].to_numpy() - 1]
    assert shapely.covers(own, city.buildings.geometry.to_numpy()).mean() > 0.9995


def test_colours(city: CityDataset) -> None:
    table = city.grids.set_index("grid_id")
    joined = topology.adjacency(city.cells.geometry)
    at = city.cells["grid_id"]
    for depth in (4, 3, 2, 1):
        a, b = at.to_numpy()[joined.left], at.to_numpy()[joined.right]
        differ = a != b
        one, other = table["colour"].loc[a[differ]], table["colour"].loc[b[differ]]
        assert (one.to_numpy() != other.to_numpy()).all()
        if depth > 1:
            up = at.map(table["level"]) == depth
            at = at.where(~up, at.map(table["parent_id"])).astype("int64")


def test_grids_have_about_500_households(city: CityDataset) -> None:
    values = city.cell_values.loc[city.cell_values["vintage"] == "2026"]
    table = city.grids.set_index("grid_id")
    grid = values["cell_id"].map(city.cells.set_index("cell_id")["grid_id"])
    unit = grid.map(table["level"]) == 4
    grid = grid.where(~unit, grid.map(table["parent_id"])).astype("int64")
    homes = values.groupby(grid)["value"].sum()
    basic = homes[homes.index.map(table["kind"]) == "basic"]
    assert 480 < basic.median() < 540
    assert (basic.between(300, 800)).mean() > 0.9
    empty = homes[homes.index.map(table["kind"]) == "dedicated"]
    assert (empty == 0).all()
    assert 5 <= len(empty) <= 20


def test_compounds_are_larger_equal_and_smaller_than_grids(city: CityDataset) -> None:
    middle = city.buildings.geometry.centroid
    tree = shapely.STRtree(city.compounds.geometry.to_numpy())
    building, compound = tree.query(middle.to_numpy(), predicate="within")
    grid = city.cells["grid_id"].to_numpy()[city.buildings["cell_id"].to_numpy() - 1]
    pairs = pd.DataFrame({"compound": compound, "grid": grid[building]}).drop_duplicates()
    grids_of = pairs.groupby("compound")["grid"].nunique()
    assert (grids_of > 1).sum() > 20
    assert (grids_of == 1).sum() > 100
    assert pairs.groupby("grid")["compound"].nunique().max() > 2
    assert set(city.compounds["community_type"]) == {"commodity", "old", "resettled", "seasonal"}


def test_every_point_lies_in_its_cell(city: CityDataset) -> None:
    cells = city.cells.geometry.to_numpy()
    for frame in (city.issues, city.stations):
        points = frame.geometry.to_numpy()
        assert shapely.covers(cells[frame["cell_id"].to_numpy() - 1], points).all()


def test_hot_spots_stand_out_in_their_weeks(made: Made) -> None:
    issues = made.city.issues
    place = np.column_stack([issues.geometry.x, issues.geometry.y])
    day = issues["reported_at"].dt.tz_localize(None)
    for spot in made.truth.hot_spots.itertuples():
        near = np.hypot(*(place - [spot.x, spot.y]).T) < spot.radius_m
        alike = (issues["category"] == spot.category) & near & issues["set_aside"].isna()
        inside = (day >= spot.begins) & (day < spot.ends)
        assert (alike & inside).sum() > 200
        if spot.trend in ("new", "rising", "falling"):
            days = (spot.ends - spot.begins).days
            rate, usual = (alike & inside).sum() / days, (alike & ~inside).sum() / (365 - days)
            assert rate > 5 * max(usual, 0.02)


def test_the_kept_files_are_what_the_generator_makes(city: CityDataset) -> None:
    kept = sorted(BOUNDARIES.glob("*.geojson"))
    assert {path.stem for path in kept} >= set(FILES)
    assert sum(path.stat().st_size for path in kept) < KEPT_MB * 1_000_000
    for name, layer in layers(city):
        content = json.loads((BOUNDARIES / f"{name}.geojson").read_text(encoding="utf-8"))
        features: list[dict[str, Any]] = content["features"]
        assert len(features) == len(layer), name
        labels = layer["name"].astype("object").where(layer["name"].notna(), None)
        assert [f["properties"]["name"] for f in features] == labels.tolist(), name
        if "id" in layer:
            assert [f["id"] for f in features] == layer["id"].tolist(), name
        shapes = np.array([shapely.geometry.shape(f["geometry"]) for f in features])
        back = layer.set_geometry(shapes, crs=4326).to_crs(layer.crs).geometry
        for measure in (shapely.area, shapely.length):
            stated, made = measure(back.to_numpy()), measure(layer.geometry.to_numpy())
            np.testing.assert_allclose(stated, made, rtol=1e-3, err_msg=name)
        assert back.distance(layer.geometry, align=False).max() < 0.02, name
