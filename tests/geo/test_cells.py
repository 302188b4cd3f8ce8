"""Cells of made-up towns: a valid coverage that is exactly the areas, whatever comes."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Polygon, box

from geo.cells import Cells, Tolerances, building_cells
from geo.errors import TopologyError
from geo.renewal import Renewal, cells_for_new_buildings

SRID = 4549
X, Y = 540_000.0, 4_165_000.0


def series(*shapes: Any) -> gpd.GeoSeries:
    moved = shapely.transform(np.array(shapes, dtype=object), lambda xy: np.add(xy, (X, Y)))
    return gpd.GeoSeries(moved, crs=SRID)


def check(found: Cells, areas: gpd.GeoSeries, buildings: gpd.GeoSeries) -> None:
    """Everything that is promised of cells, computed in another way."""
    shapes = found.cells.geometry
    assert (shapes.geom_type == "Polygon").all()
    assert shapely.coverage_is_valid(shapes.to_numpy())
    assert found.figures["coverage_valid"] is True
    assert found.figures["residual_m2"] <= 1e-6 * len(shapes)
    near = areas.translate(-X, -Y).union_all()
    made = shapely.coverage_union_all(shapes.translate(-X, -Y).to_numpy())
    assert shapely.symmetric_difference(near, made).area <= 1e-6 * len(shapes)
    own = areas.loc[found.cells["area"]].reset_index(drop=True)
    assert shapes.difference(own).area.max() < 1e-3
    inside = found.cell_of.notna()
    cells = shapes.loc[found.cell_of[inside].astype(int)].reset_index(drop=True)
    stands = buildings[inside].reset_index(drop=True)
    lost = stands.difference(cells).area
    allowed = np.maximum(0.55, 0.011 * stands.area)
    listed = found.findings.loc[found.findings["what"] == "outside", "building"]
    partners = found.cell_of[found.cell_of.isin(found.cell_of.reindex(listed))].index
    wrong = buildings.index[inside][lost > allowed]
    assert set(wrong) <= set(listed) | set(partners)


def town(seed: int, count: int, turned: bool) -> tuple[gpd.GeoSeries, gpd.GeoSeries, gpd.GeoSeries]:
    """Blocks, buildings that may touch, overlap and straddle, and streets in all directions."""
    rng = np.random.default_rng(seed)
    side = 40.0 * np.sqrt(count) + 20
    areas = series(box(0, 0, side / 2, side), box(side / 2, 0, side, side))
    low = np.round(rng.uniform(-5, side - 10, (count, 2)), int(rng.integers(0, 4)))
    size = np.round(rng.uniform(2, 25, (count, 2)), int(rng.integers(0, 4)))
    shapes = shapely.box(low[:, 0], low[:, 1], *(low + size).T)
    if turned:
        shapes = np.array(
            [
                shapely.affinity.rotate(shape, angle)
                for shape, angle in zip(shapes, rng.uniform(0, 90, count), strict=True)
            ]
        )
    ends = rng.uniform(-20, side + 20, (6, 2, 2))
    return areas, series(*shapes), series(*shapely.linestrings(ends))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10_000), st.integers(1, 40), st.booleans())
def test_any_town_becomes_a_coverage_of_its_areas(seed: int, count: int, turned: bool) -> None:
    areas, buildings, streets = town(seed, count, turned)
    check(building_cells(buildings, areas, streets=streets), areas, buildings)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 8))
def test_new_buildings_cut_inside_their_cells_alone(seed: int, count: int, fresh: int) -> None:
    areas, buildings, streets = town(seed, count + fresh, True)
    standing, new = buildings.iloc[:count], buildings.iloc[count:]
    before = building_cells(standing, areas, streets=streets)
    cells = before.cells.geometry
    renewed = cells_for_new_buildings(cells, standing, before.cell_of, new)
    after = put_in(cells, renewed)
    assert shapely.coverage_is_valid(after.to_numpy())
    made = renewed.pieces.translate(-X, -Y).area.groupby(renewed.pieces["cell"]).sum()
    old = cells.translate(-X, -Y).area
    assert np.abs(made - old.loc[made.index]).max() < 1e-6 if len(made) else True
    assert set(new.index) == set(renewed.cell_of.index) | (
        set(renewed.piece_of.index) & set(new.index)
    )


def put_in(cells: gpd.GeoSeries, renewed: Renewal) -> gpd.GeoSeries:
    """Return the cells after a renewal."""
    kept = cells.drop(renewed.pieces["cell"].unique())
    kept.loc[renewed.neighbours.index] = renewed.neighbours.to_numpy()
    return gpd.GeoSeries(pd.concat([kept, renewed.pieces.geometry], ignore_index=True), crs=SRID)


def test_streets_walls_and_banks_are_borders() -> None:
    areas = series(box(0, 0, 200, 100))
    houses = series(box(20, 20, 30, 30), box(70, 60, 80, 70), box(130, 20, 140, 30))
    barriers = gpd.GeoDataFrame(
        {"kind": ["river", "railway"]},
        geometry=series(box(170, -10, 190, 110), LineString([(100, -5), (100, 105)])).to_numpy(),
        crs=SRID,
    )
    found = building_cells(
        houses, areas, streets=series(LineString([(50, -5), (50, 105)])), barriers=barriers
    )
    assert found.cells["kind"].tolist() == ["building", "building", "building", "water", "block"]
    area = found.cells.area.loc[found.cell_of.astype(int)].round(3).tolist()
    assert area == [5_000.0, 5_000.0, 7_000.0]
    walled = building_cells(houses, areas, walls=series(box(10, 10, 90, 90)))
    assert sorted(walled.cells.area.round(3))[-1] == 13_600.0


def test_a_street_is_led_around_what_it_runs_through() -> None:
    areas = series(box(0, 0, 100, 100))
    houses = series(box(46, 40, 66, 60), box(10, 10, 20, 20))
    found = building_cells(houses, areas, streets=series(LineString([(50, -5), (50, 105)])))
    assert found.findings["what"].tolist() == ["led_around"]
    own = found.cells.geometry.loc[found.cell_of[0]]
    assert own.covers(houses[0])
    assert own.area == pytest.approx(5_000 + 4 * 20, abs=1e-6)


def test_overlapping_parts_share_a_cell_and_touching_ones_do_not() -> None:
    areas = series(box(0, 0, 100, 40))
    parts = series(box(10, 10, 20, 20), box(19, 10, 30, 20), box(30, 10, 40, 20))
    found = building_cells(parts, areas)
    one, two, three = found.cell_of
    assert one == two != three
    border = found.cells.geometry[one].intersection(found.cells.geometry[three])
    wall = LineString([(X + 30, Y + 10), (X + 30, Y + 20)])
    assert border.buffer(1e-3).covers(wall)
    assert found.figures["shared_cells"] == 1


def test_a_building_in_water_stands_on_its_own_ground() -> None:
    areas = series(box(0, 0, 100, 100))
    water = gpd.GeoDataFrame({"kind": ["water"]}, geometry=series(box(50, -1, 101, 101)), crs=SRID)
    found = building_cells(series(box(70, 70, 80, 80), box(10, 10, 20, 20)), areas, barriers=water)
    cells = found.cells.loc[found.cell_of]
    assert cells["kind"].tolist() == ["building", "building"]
    assert cells.area.round(6).tolist() == [100.0, 5_000.0]


def test_what_lies_beyond_is_listed() -> None:
    areas = series(box(0, 0, 50, 50), box(50, 0, 100, 50))
    houses = series(box(200, 0, 210, 10), box(44, 10, 54, 20), box(-8, 10, 2, 20))
    found = building_cells(houses, areas)
    said = dict(zip(found.findings["building"], found.findings["what"], strict=True))
    assert said == {0: "left_out", 2: "left_out", 1: "outside"}
    assert found.figures["buildings_outside_m2"] == pytest.approx(40.0, abs=1e-6)
    assert found.cells.loc[found.cell_of[1], "area"] == 0


def test_parts_of_a_building_and_courtyards() -> None:
    areas = series(box(0, 0, 100, 100))
    ring = Polygon(box(20, 20, 80, 80).exterior, [box(30, 30, 70, 70).exterior])
    two = MultiPolygon([box(2, 2, 8, 8), box(10, 2, 16, 8)])
    found = building_cells(series(ring, box(45, 45, 55, 55), two), areas)
    check(found, areas, series(ring, box(45, 45, 55, 55), two))
    assert found.figures["building_cells"] == 3
    assert len(found.cells.geometry[found.cell_of[0]].interiors) == 1


def test_slivers_join_and_thin_buildings_keep_their_ground() -> None:
    areas = series(box(0, 0, 100, 100))
    streets = series(LineString([(50, -5), (50, 105)]), LineString([(51.5, -5), (51.5, 105)]))
    wall = box(10, 10, 10.4, 60)
    found = building_cells(series(wall, box(10.4, 10, 30, 60)), areas, streets=streets)
    assert sorted(found.cells["kind"]) == ["block", "building", "building"]
    assert found.cells.geometry[found.cell_of[0]].buffer(1e-3).covers(series(wall)[0])
    kept = building_cells(
        series(wall), areas, streets=streets, tolerances=Tolerances(least_width_m=1.0)
    )
    assert len(kept.cells) == 3


def test_areas_without_buildings_are_cells() -> None:
    areas = series(box(0, 0, 100, 100), box(100, 0, 200, 100))
    found = building_cells(gpd.GeoSeries([], crs=SRID), areas)
    assert found.cells["kind"].tolist() == ["block", "block"]
    assert found.cells["area"].tolist() == [0, 1]


def test_the_number_of_processes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    areas, buildings, streets = town(3, 60, True)
    one = building_cells(buildings, areas, streets=streets, processes=1)
    monkeypatch.setattr("geo.assembly.WORTH_PROCESSES", 1)
    monkeypatch.setattr("geo.assembly.CHUNK", 10)
    two = building_cells(buildings, areas, streets=streets, processes=2)
    assert one.cells.geometry.to_wkb().equals(two.cells.geometry.to_wkb())
    assert one.cell_of.equals(two.cell_of)


def test_raising_in_progress_ends_the_work() -> None:
    class StopError(Exception):
        pass

    def stop(what: str, share: float) -> None:
        if what == "divide the ground":
            raise StopError

    areas, buildings, _ = town(1, 20, False)
    with pytest.raises(StopError):
        building_cells(buildings, areas, progress=stop)


def test_what_cannot_be_worked_on_is_named() -> None:
    areas, houses = series(box(0, 0, 100, 100)), series(box(1, 1, 9, 9))
    bow = series(Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]))
    with pytest.raises(TopologyError, match="invalid shape"):
        building_cells(bow, areas)
    with pytest.raises(TopologyError, match="repair them"):
        building_cells(houses, series(box(0, 0, 60, 100), box(50, 0, 100, 100)))
    with pytest.raises(TopologyError, match="degrees"):
        building_cells(houses.to_crs(4326), areas)
    with pytest.raises(TopologyError, match="comes twice"):
        building_cells(houses.iloc[[0, 0]], areas)
    with pytest.raises(TopologyError, match="another type"):
        building_cells(series(LineString([(0, 0), (1, 1)])), areas)
    found = building_cells(houses, areas)
    with pytest.raises(TopologyError, match="standing at once"):
        cells_for_new_buildings(found.cells.geometry, houses, found.cell_of, houses)


def test_a_new_building_beside_others_and_over_one() -> None:
    areas = series(box(0, 0, 50, 50), box(50, 0, 100, 50), box(100, 0, 150, 50))
    standing = series(box(10, 10, 20, 20), box(60, 10, 70, 20))
    before = building_cells(standing, areas)
    new = series(
        box(30, 30, 40, 40), box(65, 10, 75, 20), box(120, 10, 130, 20), box(300, 0, 310, 9)
    )
    new.index = pd.Index([10, 11, 12, 13])
    renewed = cells_for_new_buildings(before.cells.geometry, standing, before.cell_of, new)
    assert renewed.pieces["cell"].tolist() == [before.cell_of[0]] * 2
    assert set(renewed.piece_of.index) == {0, 10}
    assert renewed.cell_of.loc[11] == before.cell_of[1]
    assert renewed.cell_of.loc[12] == 2
    assert pd.isna(renewed.cell_of.loc[13])
    assert shapely.coverage_is_valid(put_in(before.cells.geometry, renewed).to_numpy())


def test_a_cut_gives_its_ends_to_the_neighbours() -> None:
    areas = series(box(0, 0, 50, 50), box(50, 0, 100, 50))
    standing = series(box(40, 5, 48, 15), box(60, 10, 70, 20))
    before = building_cells(standing, areas)
    new = series(box(40, 35, 48, 45))
    new.index = pd.Index([7])
    renewed = cells_for_new_buildings(before.cells.geometry, standing, before.cell_of, new)
    assert renewed.neighbours.index.tolist() == [before.cell_of[1]]
    assert shapely.coverage_is_valid(put_in(before.cells.geometry, renewed).to_numpy())
