"""Cells around real buildings: a Finnish town, Monaco, Lujiazui, Bubenec, Cambridge's parcels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app
from geo.cells import Cells, building_cells
from geo.renewal import cells_for_new_buildings

pytestmark = pytest.mark.acceptance

ALLOWED_M2 = 0.5
ALLOWED_SHARE = 0.01


def layer(path: Path, name: str, srid: int) -> gpd.GeoDataFrame:
    return gpd.read_file(path, layer=name).to_crs(srid)


def around(buildings: gpd.GeoSeries) -> gpd.GeoSeries:
    """Return one area around all buildings, where no better one was delivered."""
    return gpd.GeoSeries([buildings.union_all().convex_hull.buffer(50)], crs=buildings.crs)


def check(found: Cells, buildings: gpd.GeoSeries, areas: gpd.GeoSeries) -> None:
    """Check everything that is promised, computed by plain overlays."""
    shapes = found.cells.geometry.to_numpy()
    assert (shapely.get_type_id(shapes) == 3).all()
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    assert found.figures["residual_m2"] <= 1e-6 * len(shapes)
    west, south = areas.total_bounds[:2]
    near = areas.translate(-west, -south).union_all()
    made = shapely.union_all(found.cells.translate(-west, -south).to_numpy())
    assert shapely.area(shapely.symmetric_difference(near, made)) <= 1e-6 * len(shapes)
    has = found.cell_of.notna().to_numpy()
    own = shapes[found.cell_of[has].to_numpy(dtype=int)]
    lost = shapely.area(shapely.difference(buildings[has].to_numpy(), own))
    allowed = np.maximum(ALLOWED_M2, ALLOWED_SHARE * buildings[has].area.to_numpy())
    assert int((lost > allowed * 1.05 + 0.1).sum()) <= found.figures["buildings_outside"]
    assert found.figures["buildings_outside_m2"] == pytest.approx(
        lost.sum(), abs=0.5 + 2e-3 * len(lost)
    )


def check_shared(found: Cells, buildings: gpd.GeoSeries) -> None:
    """Parts share a cell exactly when they, or each and a third, overlap by more than 1 m2."""
    shapes = buildings.to_numpy()
    one, two = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    one, two = one[one < two], two[one < two]
    over = shapely.area(shapely.intersection(shapes[one], shapes[two]))
    cell = found.cell_of.to_numpy()
    assert (cell[one[over > 1.01]] == cell[two[over > 1.01]]).all()
    crowded = found.cell_of[found.cell_of.duplicated(keep=False)]
    overlapping = np.unique(np.concatenate([one[over > 0.99], two[over > 0.99]]))
    assert set(crowded.index) <= set(buildings.index[overlapping])


def test_a_finnish_town(shared_data: Path) -> None:
    file = shared_data / "osm_small" / "fi_small_town.gpkg"
    buildings = layer(file, "buildings", 3067).geometry
    areas, streets = around(buildings), layer(file, "streets", 3067).geometry
    found = building_cells(buildings, areas, streets=streets)
    check(found, buildings, areas)
    check_shared(found, buildings)
    assert found.figures["buildings_outside"] == 0
    assert found.figures["buildings_left_out"] == 0
    assert found.figures["building_cells"] == 2170


def test_monaco_and_a_later_delivery(shared_data: Path) -> None:
    file = shared_data / "osm_small" / "monaco.gpkg"
    buildings = layer(file, "buildings", 32632).geometry
    areas, streets = around(buildings), layer(file, "streets", 32632).geometry
    found = building_cells(buildings, areas, streets=streets)
    check(found, buildings, areas)
    assert found.figures["building_cells"] == 966
    assert found.figures["buildings_outside"] == 0
    standing, new = buildings.iloc[::2], buildings.iloc[1::2]
    before = building_cells(standing, areas, streets=streets)
    cells = before.cells.geometry
    renewed = cells_for_new_buildings(cells, standing, before.cell_of, new)
    kept = cells.drop(renewed.pieces["cell"].unique())
    kept.loc[renewed.neighbours.index] = renewed.neighbours.to_numpy()
    after = pd.concat([kept, renewed.pieces.geometry], ignore_index=True)
    assert shapely.coverage_is_valid(after.to_numpy())
    west, south = areas.total_bounds[:2]
    made = renewed.pieces.translate(-west, -south).area.groupby(renewed.pieces["cell"]).sum()
    old = cells.translate(-west, -south).area.loc[made.index]
    assert float(np.abs(made - old).max()) < 1e-6


def test_lujiazui_with_overlapping_parts_and_the_river(shared_data: Path) -> None:
    file = shared_data / "shanghai_lujiazui" / "shanghai_lujiazui.gpkg"
    buildings = layer(file, "buildings", 4549).geometry
    water = layer(file, "water", 4549).assign(kind="river")
    areas = gpd.GeoSeries([shapely.box(*buildings.total_bounds)], crs=4549)
    streets = layer(file, "roads_tile_clipped", 4549).geometry
    found = building_cells(buildings, areas, streets=streets, barriers=water)
    check(found, buildings, areas)
    check_shared(found, buildings)
    assert found.figures["shared_cells"] == 49
    assert found.figures["buildings_outside"] == 0
    wet = found.cells.geometry[found.cells["kind"] == "water"].union_all()
    assert wet.difference(water.union_all().buffer(0.01)).area < 50.0  # an islet
    assert wet.area > 0.9 * water.union_all().intersection(areas[0]).area


def test_bubenec(shared_data: Path) -> None:
    file = shared_data / "prague_bubenec" / "bubenec.gpkg"
    buildings = layer(file, "buildings", 32633).geometry
    areas, streets = around(buildings), layer(file, "streets", 32633).geometry
    found = building_cells(buildings, areas, streets=streets)
    check(found, buildings, areas)
    assert found.figures["building_cells"] == 144
    assert found.figures["buildings_outside_m2"] < 1.0


@pytest.mark.timeout(600)
def test_parcels_of_cambridge_as_buildings_from_the_command_line(
    shared_data: Path, tmp_path: Path
) -> None:
    data: Any = _cells(
        shared_data / "cambridge_ma" / "cambridge_parcels_fy2014.parquet",
        *("--within", f"{shared_data}/cambridge_ma/cambridge_admin.gpkg:census_blocks_2020"),
        *("--streets", f"{shared_data}/cambridge_ma/cambridge_streets.gpkg:centerlines"),
        *("--code", "geoid", "--out", str(tmp_path / "cells.gpkg")),
    )
    assert data["coverage_valid"] is True
    assert data["residual_m2"] <= 1e-6 * data["cells"]
    assert data["areas"] == 1044
    assert data["buildings"] + data["buildings_without_shape"] == 13116
    written = gpd.read_file(tmp_path / "cells.gpkg")
    assert shapely.coverage_is_valid(written.geometry.to_numpy())
    blocks = gpd.read_file(
        shared_data / "cambridge_ma" / "cambridge_admin.gpkg", layer="census_blocks_2020"
    )
    assert set(written["area"]) == set(blocks["geoid"])
    made = written.to_crs(data["metre_srid"]).area.groupby(written["area"]).sum()
    given = blocks.set_index("geoid").to_crs(data["metre_srid"]).area
    assert float(np.abs(made - given).max()) < 1e-4


def test_what_the_command_refuses(shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "prague_bubenec" / "bubenec.gpkg"
    arguments = [f"{file}:buildings", "--within", f"{file}:plots", "--out"]
    wrong = CliRunner().invoke(app, ["cells", *arguments, str(tmp_path / "cells.txt")])
    assert "end in one of" in str(wrong.exception)
    missing = CliRunner().invoke(
        app, ["cells", f"{file}:houses", *arguments[1:], str(tmp_path / "cells.gpkg")]
    )
    assert "no layer is called 'houses'" in str(missing.exception)
    far = shared_data / "us_units" / "iowa_counties_pop.parquet"
    away = CliRunner().invoke(
        app, ["cells", arguments[0], "--within", str(far), "--out", str(tmp_path / "cells.gpkg")]
    )
    assert "none of 144 buildings" in str(away.exception)
    assert list(tmp_path.iterdir()) == []


def _cells(*arguments: Any) -> dict[str, Any]:
    ran = CliRunner().invoke(app, ["cells", *map(str, arguments), "--json"])
    assert ran.exit_code == 0, ran.exception
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer
