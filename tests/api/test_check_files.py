"""`wangge check FILE`: what a file is and what is wrong with it, without a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
from shapely import Polygon, box
from typer.testing import CliRunner

from api.cli import app
from geo.errors import DeliveryError, InvalidInputError
from tests.offered import areas, write


def checked(*words: str) -> dict[str, Any]:
    """Return the answer of the command."""
    result = CliRunner().invoke(app, ["check", *words, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refusal(*words: str) -> Exception:
    """Return why the command did not answer."""
    result = CliRunner().invoke(app, ["check", *words, "--json"])
    assert result.exception is not None
    return result.exception  # type: ignore[return-value]


def test_a_clean_file(tmp_path: Path) -> None:
    found = checked(str(write(areas(4490), tmp_path / "areas.gpkg")))
    figures = ("features", "invalid", "overlaps", "gaps", "slivers", "coverage_valid")
    assert [found[name] for name in figures] == [4, 0, 0, 0, 0, True]
    assert (found["encoding"], found["crs"], found["datum"]) == ("UTF-8", "EPSG:4490", "cgcs2000")


def test_faults_have_a_place_and_a_size(tmp_path: Path) -> None:
    origin = (500_000, 4_150_000)
    squares = [box(0, 0, 100, 100), box(90, 0, 200, 100), box(200.5, 0, 300, 100)]
    bow = Polygon([(0, 200), (100, 300), (100, 200), (0, 300)])
    frame = gpd.GeoDataFrame({"code": list("ABCD")}, geometry=[*squares, bow], crs=4549)
    frame["geometry"] = frame.translate(*origin)
    found = checked(str(write(frame, tmp_path / "areas.gpkg")))
    assert (found["features"], found["invalid"], found["overlaps"]) == (4, 1, 1)
    assert found["coverage_valid"] is False
    (overlap,) = [d for d in found["layers"][0]["defects"] if d["kind"] == "overlap"]
    assert overlap["size_m2"] == pytest.approx(1000.0, rel=1e-3)
    assert (overlap["lon"], overlap["lat"]) == pytest.approx((120.0, 37.48), abs=0.01)


def test_layers_are_added_up_and_one_can_be_named(tmp_path: Path) -> None:
    path = write(areas(), tmp_path / "areas.gpkg", layer="one")
    write(areas().to_crs(4490), path, layer="two")
    found = checked(str(path))
    assert (found["features"], found["crs"], len(found["layers"])) == (8, None, 2)
    assert checked(f"{path}:two")["crs"] == "EPSG:4490"
    assert isinstance(refusal(f"{path}:three"), DeliveryError)


def test_a_table_has_no_shapes_to_check(tmp_path: Path) -> None:
    path = tmp_path / "户数.csv"
    path.write_text("楼栋编码,户数\n001,24\n", encoding="gb18030")
    found = checked(str(path))
    assert (found["features"], found["encoding"], found["coverage_valid"]) == (1, "GB18030", None)


def test_what_cannot_be_measured_is_not_made_up(tmp_path: Path) -> None:
    path = write(areas(), tmp_path / "areas.shp")
    path.with_suffix(".prj").unlink()
    found = checked(str(path), "--crs", "4326")
    assert found["coverage_valid"] is True
    found = checked(str(path))
    assert found["layers"][0]["crs_sure"] is False


def test_a_file_or_a_city(tmp_path: Path) -> None:
    assert isinstance(refusal(), InvalidInputError)
    assert isinstance(refusal(str(tmp_path / "nix.gpkg")), InvalidInputError)
    path = write(areas(), tmp_path / "areas.gpkg")
    assert isinstance(refusal(str(path), "--datum", "mars"), InvalidInputError)
    assert isinstance(refusal(str(path), "--city", "anhe"), InvalidInputError)
