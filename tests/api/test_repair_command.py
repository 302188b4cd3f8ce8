"""`wangge repair`: a clean file out of a dirty one, the account, refusals with the way out."""

from __future__ import annotations

import csv
import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely import box
from typer.testing import CliRunner

from api.cli import app
from geo.errors import InvalidInputError, WanggeError

STEP = 0.001


def squares(overlap: float = 0.00002) -> gpd.GeoDataFrame:
    """Return three squares of about 100 m; the first reaches over the second by some 2 m."""
    west, south = 117.0, 36.6
    shapes = [
        box(west, south, west + STEP + overlap, south + STEP),
        box(west + STEP, south, west + 2 * STEP, south + STEP),
        box(west, south + STEP, west + STEP, south + 2 * STEP),
    ]
    return gpd.GeoDataFrame(
        {
            "code": ["a", "b", "c"],
            "people": [10, 20, 30],
            "phone": ["13812345678", "13912345678", "13712345678"],
        },
        geometry=shapes,
        crs=4326,
    )


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    path = tmp_path / "dirty.gpkg"
    squares().to_file(path, layer="areas", driver="GPKG")
    return path


def run(*call: object) -> Any:
    return CliRunner().invoke(app, ["repair", *map(str, call)])


def refused(*call: object) -> WanggeError:
    result = run(*call)
    assert isinstance(result.exception, WanggeError), result.output
    return result.exception


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "shp", "fgb", "parquet"])
def test_a_clean_file_comes_out(dirty: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"clean.{ending}"
    result = run(dirty, "--out", out, "--json", "--code", "code", "--weights", "people")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["coverage_valid"] is True
    assert abs(said["area_difference_m2"]) <= 1e-9 * said["area_m2"]
    assert said["features"] == said["areas"] == 3
    assert said["value_before"] == said["value_after"] == 60
    assert said["value_on_changed_ground"] > 0
    total = said["delivered_m2"] + said["gained_m2"] - said["ceded_m2"]
    assert total == pytest.approx(said["area_m2"], abs=1e-6)
    overlap = next(defect for defect in said["defects"] if defect["kind"] == "overlap")
    assert overlap["subject"] == "a and b"
    assert (overlap["lon"], overlap["lat"]) == pytest.approx((117.00101, 36.6005), abs=1e-5)
    clean = gpd.read_parquet(out) if ending == "parquet" else gpd.read_file(out)
    assert clean["code"].tolist() == ["a", "b", "c"]
    assert shapely.coverage_is_valid(clean.geometry.to_numpy())
    old = set(map(tuple, shapely.get_coordinates(squares().geometry.to_numpy()).tolist()))
    new = set(map(tuple, shapely.get_coordinates(clean.geometry.to_numpy()).tolist()))
    assert old - new == set() or len(old - new) <= 2, "vertices that stay are the file's own"
    assert "phone" not in clean.columns
    assert said["columns_left_out"] == ["phone"]


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "shp", "fgb", "parquet", "csv"])
def test_areas_of_one_part_beside_areas_of_several(tmp_path: Path, ending: str) -> None:
    frame, path = squares(0), tmp_path / "islands.gpkg"
    island = box(117.01, 36.61, 117.011, 36.611)
    frame.loc[0, "geometry"] = shapely.MultiPolygon([frame.geometry[0], island])
    frame.to_file(path, driver="GPKG")
    out = tmp_path / f"clean.{ending}"
    result = run(path, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["coverage_valid"] is True


def test_people_are_told_and_the_report_has_all(dirty: Path, tmp_path: Path) -> None:
    report, table = tmp_path / "r.geojson", tmp_path / "r.csv"
    result = run(f"{dirty}:areas", "--out", tmp_path / "clean.gpkg", "--report", report)
    assert result.exit_code == 0, result.output
    assert "overlap 1 and 2" in result.stdout
    assert "Written to" in result.stdout
    assert "Columns about persons left out: phone" in result.stdout
    shapes = gpd.read_file(report)
    assert "overlap" in set(shapes["kind"])
    run(dirty, "--out", tmp_path / "again.gpkg", "--report", table)
    with table.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == shapes["kind"].tolist()
    assert float(rows[0]["lon"]) == pytest.approx(117.001, abs=1e-3)


def test_contradictions_are_asked_and_answers_are_taken(tmp_path: Path) -> None:
    path, out, report = tmp_path / "torn.gpkg", tmp_path / "out.gpkg", tmp_path / "r.csv"
    squares(0.0004).to_file(path, driver="GPKG")
    call = (path, "--out", out, "--code", "code", "--report", report)
    error = refused(*call)
    assert error.code == "delivery_invalid"
    assert "decide: overlap a|b" in error.message
    assert "--decisions" in error.message
    question = error.data["questions"][0]
    assert (question["key"], question["options"]) == ("overlap a|b", ("a", "b"))
    assert not out.exists(), "nothing is half done"
    assert report.exists()
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"overlap a|b": "a"}), encoding="utf-8")
    result = run(*call, "--decisions", answers, "--overwrite", "--json")
    assert result.exit_code == 0, result.output
    clean = gpd.read_file(out)
    assert clean.geometry.iloc[0].equals_exact(squares(0.0004).geometry.iloc[0], 1e-9) or (
        clean.geometry.iloc[0].area > clean.geometry.iloc[1].area
    )
    assert any("as decided" in defect["done"] for defect in json.loads(result.stdout)["defects"])
    wide = run(path, "--out", tmp_path / "wide.gpkg", "--largest-change", 1)
    assert wide.exit_code == 0, wide.output


def test_a_report_that_breaks_off_leaves_the_old_one(
    dirty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.csv"
    report.write_text("the one before", encoding="utf-8")
    whole = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        whole(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    call = (dirty, "--out", tmp_path / "clean.gpkg", "--report", report, "--overwrite")
    error = refused(*call)
    assert "No space left" in error.message
    assert error.data["field"] == "report"
    assert report.read_text(encoding="utf-8") == "the one before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dirty.gpkg", "report.csv"]


def test_a_report_may_go_into_a_pipe_but_not_over_the_areas(dirty: Path, tmp_path: Path) -> None:
    pipe, out = tmp_path / "pipe.csv", tmp_path / "clean.geojson"
    os.mkfifo(pipe)
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.append(pipe.read_text("utf-8-sig")))
    listener.start()
    assert run(dirty, "--out", out, "--report", pipe).exit_code == 0
    listener.join(10)
    assert heard and heard[0].startswith("kind,subject")
    assert pipe.is_fifo()
    same = tmp_path / "same.geojson"
    assert "is a file that is read or" in refused(dirty, "--out", same, "--report", same).message
    assert not same.exists()


def test_what_cannot_be_done_is_refused_before_anything_is_written(
    dirty: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there.gpkg"
    there.write_bytes(b"mine")
    assert "exists" in refused(dirty, "--out", there).message
    assert there.read_bytes() == b"mine"
    assert "has to end in" in refused(dirty, "--out", tmp_path / "clean.xyz").message
    assert "is a file that is read" in refused(dirty, "--out", dirty, "--overwrite").message
    nowhere = refused(dirty, "--out", tmp_path / "no" / "clean.gpkg")
    assert isinstance(nowhere, InvalidInputError)
    assert "no column" in refused(dirty, "--out", tmp_path / "a.gpkg", "--code", "x").message
    assert "There is no file" in refused(tmp_path / "x.gpkg", "--out", there).message
    answers = tmp_path / "answers.json"
    answers.write_text("[1]", encoding="utf-8")
    call = (dirty, "--out", tmp_path / "a.gpkg", "--decisions", answers)
    assert "no list of key and answer" in refused(*call).message
    answers.write_text('{"overlap x|y": "x"}', encoding="utf-8")
    assert "answer no question" in refused(*call).message
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "answers.json",
        "dirty.gpkg",
        "there.gpkg",
    ]


def test_rows_without_a_shape_and_heights_are_said(tmp_path: Path) -> None:
    frame = squares(0.0)
    frame["geometry"] = shapely.force_3d(frame.geometry.to_numpy(), 5.0)
    frame.loc[2, "geometry"] = None
    path = tmp_path / "high.gpkg"
    frame.to_file(path, driver="GPKG")
    result = run(path, "--out", tmp_path / "flat.gpkg", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["rows_without_shape"] == [3]
    clean = gpd.read_file(tmp_path / "flat.gpkg")
    assert not clean.geometry.has_z.any()
    assert len(clean) == 2
    assert np.isclose(said["area_m2"], said["delivered_m2"])
