"""`wangge assign`: files of points and areas in, rows out; borders, overlaps, systems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from shapely import Point, Polygon, box
from typer.testing import CliRunner

from api.cli import app
from geo.errors import DeliveryError, InvalidInputError

WEST, SOUTH, SIDE = 540_000.0, 4_165_000.0, 100.0


def written(shapes: Any, path: Path, crs: int = 4549, to: int | None = None) -> Path:
    frame = gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=list(shapes), crs=crs)
    (frame if to is None else frame.to_crs(to)).to_file(path)
    return path


def square(x: float, y: float, across: float = 1.0) -> Any:
    west, south = WEST + x * SIDE, SOUTH + y * SIDE
    return box(west, south, west + across * SIDE, south + SIDE)


def at(x: float, y: float) -> Point:
    return Point(WEST + x * SIDE, SOUTH + y * SIDE)


POINTS = [at(0.5, 0.5), at(1.0, 0.3), at(1.5, 0.5), at(2.0, 1.0), at(3.0, 3.0)]


def run(tmp_path: Path, points: Path, polygons: Path, *more: str) -> tuple[dict[str, Any], Any]:
    out = tmp_path / "rows.csv"
    words = ["assign", str(points), str(polygons), "--out", str(out), "--json", *more]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    data: dict[str, Any] = json.loads(result.stdout)
    return data, pd.read_csv(out)


def test_rows_of_both_files_and_an_account(tmp_path: Path) -> None:
    points = written(POINTS, tmp_path / "points.gpkg")
    areas = written([square(0, 0), square(1, 0)], tmp_path / "areas.gpkg")
    data, rows = run(tmp_path, points, areas)
    assert rows["point"].tolist() == [0, 1, 2, 3, 4]
    assert rows["polygon"].tolist() == [0, 0, 1, 1, -1]
    names = ("points", "polygons", "assigned", "outside", "on_border", "overlaps", "in_several")
    assert [data[name] for name in names] == [5, 2, 4, 1, 2, 0, 0]
    assert data["coverage_valid"] is True
    assert data["as_delivered"] is True
    assert data["crs"] == "EPSG:4549"
    assert data["cpu_s"] > 0
    assert data["peak_mb"] > 0


def test_two_systems_meet_in_one(tmp_path: Path) -> None:
    points = written([POINTS[0], POINTS[2], POINTS[4]], tmp_path / "points.geojson", to=4326)
    areas = written([square(0, 0), square(1, 0)], tmp_path / "areas.gpkg")
    data, rows = run(tmp_path, points, areas)
    assert rows["polygon"].tolist() == [0, 1, -1]
    assert data["as_delivered"] is False


def test_a_datum_of_maps_is_taken_off(tmp_path: Path) -> None:
    """A point of GCJ-02 stands some hundred metres beside its true place."""
    from geo.datums import from_wgs84

    areas = written([square(0, 0), square(1, 0)], tmp_path / "areas.gpkg")
    true = gpd.GeoSeries([at(0.5, 0.5), at(1.5, 0.5)], crs=4549).to_crs(4326)
    moved = from_wgs84(shapely.get_coordinates(true.to_numpy()), "gcj02")
    points = written([Point(*place) for place in moved], tmp_path / "p.geojson", crs=4326)
    _, rows = run(tmp_path, points, areas, "--points-datum", "gcj02")
    assert rows["polygon"].tolist() == [0, 1]
    _, rows = run(tmp_path, points, areas, "--points-datum", "wgs84", "--overwrite")
    assert rows["polygon"].tolist() != [0, 1]


def test_overlaps_are_answered_and_said(tmp_path: Path) -> None:
    points = written(POINTS, tmp_path / "points.gpkg")
    shapes = [square(5, 5), square(0.9, 0, 1.1), square(0, 0, 1.2)]
    data, rows = run(tmp_path, points, written(shapes, tmp_path / "areas.gpkg"))
    assert rows["polygon"].tolist() == [2, 1, 1, 1, -1]
    assert (data["coverage_valid"], data["overlaps"], data["overlapping"]) == (False, 1, [[1, 2]])
    assert data["in_several"] == 1


def test_crossed_rings_are_mended_and_counted(tmp_path: Path) -> None:
    tie = Polygon([at(0, 0), at(1, 1), at(1, 0), at(0, 1)])
    points = written([at(0.25, 0.5), at(0.5, 0.25), at(0.5, 0.75)], tmp_path / "points.gpkg")
    data, rows = run(tmp_path, points, written([tie], tmp_path / "areas.gpkg"))
    assert data["polygons_mended"] == 1
    expected = shapely.intersects(
        shapely.make_valid(tie, method="structure"), np.array([at(0.25, 0.5), at(0.5, 0.25)])
    )
    assert (rows["polygon"][:2] == np.where(expected, 0, -1)).all()


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    points = written(POINTS, tmp_path / "points.gpkg")
    areas = written([square(0, 0), square(1, 0)], tmp_path / "areas.gpkg")
    out = tmp_path / "rows.parquet"
    result = CliRunner().invoke(app, ["assign", str(points), str(areas), "--out", str(out)])
    assert result.exit_code == 0, result.exception
    assert pd.read_parquet(out)["polygon"].tolist() == [0, 0, 1, 1, -1]
    assert "5 points, 2 polygons" in result.output


@pytest.mark.parametrize(
    ("out", "error"),
    [("rows.txt", InvalidInputError), ("points.gpkg", InvalidInputError)],
)
def test_targets_that_cannot_be_are_refused(tmp_path: Path, out: str, error: type) -> None:
    points = written(POINTS, tmp_path / "points.gpkg")
    areas = written([square(0, 0)], tmp_path / "areas.gpkg")
    words = ["assign", str(points), str(areas), "--out", str(tmp_path / out)]
    assert isinstance(CliRunner().invoke(app, words).exception, error)


def test_rows_of_several_points_are_refused_and_of_one_taken(tmp_path: Path) -> None:
    areas = written([square(0, 0), square(1, 0)], tmp_path / "areas.gpkg")
    alone = [shapely.MultiPoint([POINTS[0]]), shapely.MultiPoint([POINTS[2]])]
    _, rows = run(tmp_path, written(alone, tmp_path / "alone.gpkg"), areas)
    assert rows["polygon"].tolist() == [0, 1]
    both = written([shapely.MultiPoint([POINTS[0], POINTS[2]])], tmp_path / "both.gpkg")
    words = ["assign", str(both), str(areas), "--out", str(tmp_path / "no.csv")]
    found = CliRunner().invoke(app, words).exception
    assert isinstance(found, InvalidInputError)
    assert "1 rows of both.gpkg:both hold several points" in found.message


def test_a_file_without_a_system_is_told_about_and_strangers_are_said(tmp_path: Path) -> None:
    areas = written([square(0, 0), square(1, 0)], tmp_path / "areas.gpkg")
    frame = gpd.GeoDataFrame({"n": [0, 1, 2]}, geometry=[POINTS[0], None, POINTS[4]])
    with pytest.warns(UserWarning, match="crs"):
        frame.to_file(tmp_path / "bare.gpkg")
    data, rows = run(tmp_path, tmp_path / "bare.gpkg", areas, "--points-crs", "4549")
    assert rows["polygon"].tolist() == [0, -1, -1]
    assert (data["outside"], data["without_place"]) == (1, 1)
    assert not any("no point lies" in said for said in data["warnings"])
    far = written([Point(3, 0)], tmp_path / "far.gpkg", crs=4326)
    data, _ = run(tmp_path, far, areas, "--overwrite")
    assert data["assigned"] == 0
    assert any("no point lies in any polygon" in said for said in data["warnings"])


def test_areas_are_no_points(tmp_path: Path) -> None:
    areas = written([square(0, 0)], tmp_path / "areas.gpkg")
    words = ["assign", str(areas), str(areas), "--out", str(tmp_path / "rows.csv")]
    assert isinstance(CliRunner().invoke(app, words).exception, DeliveryError)
