"""The made-up neighbourhood: the same rows from the same seed, a true coverage, planted faults."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo import topology
from geo.dataset import FRAMES, CityDataset
from geo.demo import SIZES, Truth, generate, generate_with_truth
from geo.demo.files import FILES, geojson, layers, net_frame, write_boundaries
from geo.demo.fill import Block, fill_blocks
from geo.demo.landuse import Use
from geo.grids import net_boundaries
from geo.profiles import load_profile

City = tuple[CityDataset, Truth]
Told = list[tuple[str, float]]


def fingerprint(city: CityDataset) -> str:
    """Return one hash over all rows of a city, geometry by its bytes."""
    digest = hashlib.sha256(f"{city.slug} {city.name} {city.effective_from}".encode())
    for name, frame in city.frames():
        digest.update(f"{name} {list(frame.columns)} {len(frame)}".encode())
        for column in frame:
            values = frame[column]
            if column == "geometry":
                digest.update(b"".join(shapely.to_wkb(values.to_numpy())))
            else:
                digest.update(pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def told() -> Told:
    return []


@pytest.fixture(scope="module")
def made(told: Told) -> City:
    return generate_with_truth(
        1, "small", processes=1, progress=lambda step, share: told.append((step, share))
    )


@pytest.fixture(scope="module")
def city(made: City) -> CityDataset:
    return made[0]


@pytest.fixture(scope="module")
def truth(made: City) -> Truth:
    return made[1]


def test_the_dataset_has_no_defect(city: CityDataset) -> None:
    city.check()


def test_same_seed_same_rows_with_any_number_of_processes(city: CityDataset) -> None:
    assert fingerprint(generate(1, "small", processes=2)) == fingerprint(city)


def test_another_seed_is_another_city(city: CityDataset) -> None:
    other = generate(2, "small", issues=7, processes=1)
    other.check()
    assert len(other.issues) == 7
    assert fingerprint(other) != fingerprint(city)


def test_counts(city: CityDataset) -> None:
    levels = city.grids["level"].value_counts().to_dict()
    assert {level: levels[level] for level in (1, 2, 3)} == {1: 1, 2: 1, 3: 12}
    assert levels[4] > 30
    assert 1_200 < len(city.buildings) < 1_400
    assert len(city.issues) == SIZES["small"].issues
    assert city.county_code.startswith("99")
    for name, frame in city.frames():
        if name not in ("levels", "source_nets", "source_grids"):
            assert len(frame) > 0, name


def test_other_counts_are_taken() -> None:
    city = generate(5, "small", grids=30, issues=0, processes=1)
    city.check()
    assert (city.grids["level"] == 3).sum() == 30
    assert len(city.issues) == 0
    assert city.slug == "demo-30"
    with pytest.raises(ValueError, match="12"):
        generate(1, grids=5)


def test_progress_goes_forward(made: City, told: Told) -> None:
    steps = list(dict.fromkeys(step for step, _ in told))
    assert steps == ["ground", "buildings", "cells", "net", "rows"]
    for step in steps:
        shares = [share for name, share in told if name == step]
        assert shares == sorted(shares)
        assert shares[0] >= 0.0
        assert shares[-1] == 1.0


def test_cells_are_a_coverage_without_holes_inside_one_outline(city: CityDataset) -> None:
    cells = city.cells.geometry.to_numpy()
    assert shapely.coverage_is_valid(cells)
    outline = shapely.coverage_union_all(cells)
    assert outline.geom_type == "Polygon"
    assert len(outline.interiors) == 0
    assert shapely.area(cells).sum() == pytest.approx(outline.area, abs=1e-3)
    points = shapely.get_coordinates(cells)
    assert np.abs(points - np.round(points, 3)).max() < 1e-9


def test_every_grid_of_every_level_is_one_piece(city: CityDataset) -> None:
    shapes = net_boundaries(city.cells.geometry, city.cells["grid_id"], city.grids)
    assert (shapes.geom_type == "Polygon").all()
    joined = topology.adjacency(city.cells.geometry)
    assert topology.contiguous_parts(city.cells["grid_id"], joined).counts.max() == 1


def test_colours_differ_between_neighbours(city: CityDataset) -> None:
    level = city.grids.set_index("grid_id")["level"]
    parent = city.grids.set_index("grid_id")["parent_id"]
    colour = city.grids.set_index("grid_id")["colour"]
    joined = topology.adjacency(city.cells.geometry)
    at = city.cells["grid_id"]
    assert city.grids["colour"].between(0, 6).all()
    for depth in (4, 3, 2):
        a, b = at.to_numpy()[joined.left], at.to_numpy()[joined.right]
        differ = a != b
        assert (colour.loc[a[differ]].to_numpy() != colour.loc[b[differ]].to_numpy()).all()
        at = at.where(at.map(level) != depth, at.map(parent)).astype("int64")


def test_buildings_stand_in_their_own_cells(city: CityDataset) -> None:
    cells = city.cells.set_index("cell_id").geometry
    own = cells.reindex(city.buildings["cell_id"]).to_numpy()
    buildings = city.buildings.geometry.to_numpy()
    assert shapely.covers(own, buildings).mean() > 0.999
    assert (shapely.area(shapely.difference(buildings, own)) < 1.0).all()
    assert city.buildings["cell_id"].is_unique
    assert not shapely.crosses(buildings, city.streets.geometry.union_all()).any()


def test_a_cell_keeps_the_part_on_which_its_building_stands() -> None:
    ring = np.array([
        (1170.854, 8941.161), (1216.742, 9042.469), (1261.118, 9143.035), (1403.43, 9038.687),
        (1219.855, 9048.502), (1362.117, 8962.747), (1313.605, 8874.634), (1170.854, 8941.161),
    ])  # fmt: skip
    kinds = ("arterial", "local", "local", "path", "path")
    lines = [ring[:3], ring[[0, 6]], ring[[6, 5]], ring[[2, 3]], ring[[5, 4, 3]]]
    edges = np.array([shapely.LineString(line) for line in lines], dtype=object)
    block = Block(5178, shapely.Polygon(ring), edges, kinds, Use.HOUSES)
    filled = fill_blocks([block], 1)
    assert len(filled.buildings) == 68
    inside = shapely.within(filled.buildings, shapely.buffer(filled.cells[filled.building_cell], 1))
    assert inside.all()


def test_households_add_up_and_the_season_differs(city: CityDataset) -> None:
    total = city.cell_values.groupby("vintage")["value"].sum()
    assert total["2026"] == round(12 * 230_000 / 454)
    assert total["2026-S"] != total["2026"]
    wide = city.cell_values.pivot_table(index="cell_id", columns="vintage", values="value")
    assert (wide["2026-S"] > 1.4 * wide["2026"]).sum() > 5
    assert (city.cell_values["value"] >= 0).all()
    homes = city.buildings.loc[city.buildings["use"] == "residential"]
    tower = homes.loc[homes["floors"] >= 16, "households"]
    house = homes.loc[homes["floors"] <= 3, "households"]
    assert tower.between(25, 200).all()
    assert house.max() <= 2


def test_grids_and_units_have_about_the_wished_households(city: CityDataset) -> None:
    net = net_frame(city)
    grids = net.loc[(net["level"] == 3) & (net["kind"] == "basic"), "households"]
    units = net.loc[net["level"] == 4, "households"]
    assert 380 < grids.median() < 640
    assert 80 < units.median() < 120
    top = net.loc[net["level"] == 1, "households"]
    assert top.sum() == grids.sum() + net.loc[net["kind"] == "dedicated", "households"].sum()


def test_streets_are_noded_and_hang_together(city: CityDataset) -> None:
    streets = city.streets
    lines = streets.geometry.to_numpy()
    tree = shapely.STRtree(lines)
    a, b = tree.query(lines, predicate="intersects")
    a, b = a[a < b], b[a < b]
    met = shapely.intersection(lines[a], lines[b])
    ends = shapely.multipoints(
        np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)])
    )
    assert shapely.is_simple(lines).all()
    assert set(shapely.get_dimensions(met)) == {0}
    assert shapely.covered_by(met, ends).all()
    count = int(streets[["from_node", "to_node"]].to_numpy().max()) + 1
    graph = coo_array(
        (np.ones(len(streets)), (streets["from_node"], streets["to_node"])), shape=(count, count)
    )
    _, part = connected_components(graph, directed=False)
    assert len(np.unique(part[streets["from_node"].to_numpy()])) == 1
    assert streets["name"].notna().all()


def test_streets_run_along_borders_of_cells(city: CityDataset) -> None:
    middle = city.streets.geometry.interpolate(0.5, normalized=True).to_numpy()
    cells = city.cells.geometry.to_numpy()
    found = shapely.STRtree(shapely.boundary(cells)).query_nearest(middle, return_distance=True)
    assert found[1].max() < 0.02


def test_names_are_unique_where_they_must_be(city: CityDataset) -> None:
    assert city.buildings["code"].is_unique
    assert city.compounds["name"].is_unique
    assert city.stations["name"].is_unique
    assert city.organisations["name"].is_unique
    assert not city.grids.duplicated(["parent_id", "name"]).any()
    kinds = city.streets.groupby("name")["kind"].nunique()
    assert (kinds == 1).all()


def test_names_of_grids_count_as_their_codes_do(city: CityDataset) -> None:
    net = net_frame(city)
    plain = net.loc[(net["level"] == 3) & (net["kind"] == "basic")]
    assert (plain["name"] == "第" + plain["code"].str[-3:].astype(int).astype(str) + "网格").all()
    assert net["code"].is_unique
    assert net["code"].str.startswith(city.county_code).all()


def test_teams(city: CityDataset) -> None:
    posts = city.posts.loc[city.posts["valid_to"].isna()]
    grids = city.grids.loc[city.grids["level"] == 3, "grid_id"]
    team = posts.loc[posts["grid_id"].isin(grids)].groupby("grid_id").size()
    assert team.reindex(grids).between(3, 5).all()
    assert posts["part_time"].any()
    assert posts["worker_id"].isna().any()
    assert (posts.groupby("worker_id")["grid_id"].nunique() > 2).any()
    roles = {role.code: role.levels for role in load_profile("cn").roles}
    level = city.grids.set_index("grid_id")["level"].map(
        {1: "subdistrict", 2: "community", 3: "grid", 4: "unit"}
    )
    placed = zip(posts["role"], posts["grid_id"], strict=True)
    assert all(level[grid] in roles[role] for role, grid in placed)
    assert city.workers["worker_id"].isin(city.posts["worker_id"]).all()


def test_planted_faults_are_there(city: CityDataset, truth: Truth) -> None:
    issues = city.issues
    lost = issues.loc[issues["set_aside"] == "default_geocode"]
    assert len(lost) == int(len(issues) * 0.025)
    assert set(zip(lost.geometry.x, lost.geometry.y, strict=True)) == {truth.default_point}
    twins = issues.set_index("issue_id").loc[truth.duplicate_of["issue_id"]]
    first = issues.set_index("issue_id").loc[truth.duplicate_of["original_id"]]
    assert (twins["set_aside"] == "duplicate").all()
    assert len(twins) == (issues["set_aside"] == "duplicate").sum() == int(len(issues) * 0.016)
    assert (twins["category"].to_numpy() == first["category"].to_numpy()).all()
    later = pd.Series(twins["reported_at"].array - first["reported_at"].array)
    assert later.between(pd.Timedelta(0), pd.Timedelta(1, "D"), inclusive="neither").all()
    assert twins.geometry.distance(first.geometry, align=False).max() < 40.0
    assert (issues["organisation_id"].isna()).any()
    assert issues["reported_at"].is_monotonic_increasing


def test_hot_spots_are_hotter_than_chance(made: City) -> None:
    city, truth = made
    assert sorted(truth.hot_spots["trend"]) == ["falling", "lasting", "new", "rising"]
    place = np.column_stack([city.issues.geometry.x, city.issues.geometry.y])
    day = city.issues["reported_at"].dt.tz_localize(None)
    for spot in truth.hot_spots.itertuples():
        near = np.hypot(*(place - [spot.x, spot.y]).T) < spot.radius_m * 1.3
        alike = (city.issues["category"] == spot.category) & near
        window = (day >= spot.begins) & (day < spot.ends)
        assert (alike & window).sum() >= spot.issues


def test_walls_have_a_gate_and_compounds_stay_off_the_streets(city: CityDataset) -> None:
    walls = city.barriers.loc[city.barriers["kind"] == "wall"].geometry
    assert len(walls) > 0
    assert not walls.is_closed.any()
    assert not city.compounds.geometry.crosses(city.streets.geometry.union_all()).any()
    firms = city.compound_bodies[city.compound_bodies["role"] == "firm"]
    assert set(firms["compound_id"]) < set(city.compounds["compound_id"])


def test_boundary_files(city: CityDataset, tmp_path: Path) -> None:
    written = write_boundaries(city, tmp_path / "边界")
    assert [path.stem for path in written] == list(FILES)
    for path, (name, layer) in zip(written, layers(city), strict=True):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        assert set(content) == {"type", "features"}
        assert len(content["features"]) == len(layer)
        back = gpd.read_file(path)
        assert back.crs.to_epsg() == 4326
        if name in ("subdistricts", "communities", "grids"):
            assert shapely.coverage_is_valid(back.geometry.to_numpy())
            rings = [f["geometry"]["coordinates"][0] for f in content["features"]]
            assert all(shapely.is_ccw(shapely.linearrings(ring)) for ring in rings)


def test_geojson_says_null_for_what_is_missing(city: CityDataset) -> None:
    top = net_frame(city).query("level == 1").rename(columns={"grid_id": "id"})
    (feature,) = json.loads(geojson(top))["features"]
    assert feature["id"] == 1
    assert feature["properties"]["parent_id"] is None


def test_frames_are_those_of_the_contract(city: CityDataset) -> None:
    for name, frame in city.frames():
        assert list(frame.columns) == list(FRAMES[name].columns)
