"""`wangge compare`: files in, a crosswalk out; dirty files are refused with the way out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from shapely import box
from typer.testing import CliRunner

from api.cli import app
from api.commands.comparing import write_dossier, write_rows
from geo.errors import DeliveryError, InvalidInputError, WanggeError

STEP = 0.001
WEST, SOUTH = 117.0, 36.6


def square(x: float, y: float, width: float = 1.0, height: float = 1.0) -> Any:
    west, south = WEST + x * STEP, SOUTH + y * STEP
    return box(west, south, west + width * STEP, south + height * STEP)


def file_of(path: Path, rows: dict[str, Any], **columns: list[Any]) -> Path:
    codes = list(rows)
    frame = gpd.GeoDataFrame(
        {"code": codes, **columns}, geometry=[rows[code] for code in codes], crs=4326
    )
    frame.to_file(path, layer="areas")
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    rows = {"a": square(0, 0), "b": square(1, 0), "c": square(2, 0), "=d": square(3, 0)}
    return file_of(tmp_path / "old.gpkg", rows, households=[100, 101, 50, 7])


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Half of b went to a; c and =d were merged."""
    rows = {"a": square(0, 0, 1.5), "b": square(1.5, 0, 0.5), "cd": square(2, 0, 2)}
    return file_of(tmp_path / "new.gpkg", rows, households=[150, 51, 60])


def run(*call: object) -> Any:
    return CliRunner().invoke(app, ["compare", *map(str, call)])


def told(*call: object) -> dict[str, Any]:
    result = run(*call, "--json")
    assert result.exit_code == 0, result.exception or result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def refused(*call: object) -> WanggeError:
    result = run(*call)
    assert isinstance(result.exception, WanggeError), result.output
    return result.exception


def test_a_redraw_by_ground(old: Path, new: Path) -> None:
    found = told(old, new)
    metres = gpd.read_file(old).to_crs(found["metre_srid"]).set_index("code")
    assert (found["units_old"], found["units_new"], found["same"]) == (4, 3, 0)
    assert found["moved_area_m2"] == pytest.approx(metres.area["b"] / 2 + metres.area["=d"], 1e-4)
    assert found["area_old_m2"] == pytest.approx(metres.area.sum(), rel=1e-12)
    assert found["residual_m2"] < 1e-4
    assert found["moved_weight"] is None
    assert found["balance_of"] == "area_m2"
    assert found["verdicts"]["old"] == {"kept": 0, "split": 0, "merged": 3, "ended": 1}
    by_code = told(old, new, "--by", "code")
    assert by_code["verdicts"]["old"]["kept"] == 2
    assert by_code["moved_area_m2"] == pytest.approx(
        metres.area["b"] / 2 + metres.area["c"] + metres.area["=d"], 1e-4
    )


def test_a_weight_in_both_files_and_in_the_old_one_alone(
    old: Path, new: Path, tmp_path: Path
) -> None:
    found = told(old, new, "--weight", "households")
    assert found["moved_weight"] == 50 + 7
    assert found["weight_estimated"] is True
    assert (found["weight_old"], found["weight_new"]) == (258, 261)
    assert found["weight_residual"] == 3
    assert found["weight_residual_largest"] == 3
    assert found["balance_new"]["most"] == 150
    assert found["balance_new_estimated"] is False
    for row in found["old"]:
        parts = [one["weight"] for one in found["crosswalk"] if one["old"] == row["unit"]]
        assert sum(parts) == row["weight"]
        assert all(part == int(part) for part in parts)
    bare = file_of(tmp_path / "bare.gpkg", {"x": square(0, 0, 1.5), "y": square(1.5, 0, 2.5)})
    found = told(old, bare, "--weight", "households")
    assert found["weight_residual"] is None
    assert found["balance_new_estimated"] is True
    assert found["balance_new"]["total"] == 258
    whole = file_of(tmp_path / "whole.gpkg", {"all": square(0, 0, 4)})
    assert told(old, whole, "--weight", "households")["weight_estimated"] is False


def test_a_file_against_itself(old: Path) -> None:
    found = told(old, f"{old}:areas", "--weight", "households")
    assert found["same"] == found["units_old"] == found["units_new"] == 4
    assert (found["moved_area_m2"], found["moved_weight"]) == (0, 0)
    assert (found["outside_old_m2"], found["outside_new_m2"]) == (0, 0)
    assert found["polsby_popper_old"] == found["polsby_popper_new"]


def test_the_crosswalk_as_a_file(old: Path, new: Path, tmp_path: Path) -> None:
    out = tmp_path / "crosswalk.csv"
    found = told(old, new, "--weight", "households", "--out", out)
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found["crosswalk"])
    assert {row["old"] for row in rows if row["old"]} == {"a", "b", "c", "'=d"}
    by_unit: dict[str, float] = {}
    for row in rows:
        by_unit[row["old"]] = by_unit.get(row["old"], 0.0) + float(row["area_m2"])
    for unit in found["old"]:
        name = "'=d" if unit["unit"] == "=d" else unit["unit"]
        assert by_unit[name] == pytest.approx(unit["area_m2"], abs=1e-9 * found["area_old_m2"])
    assert refused(old, new, "--out", out).data["field"] == "out"
    assert "overwrite" in refused(old, new, "--out", out).message
    assert run(old, new, "--out", out, "--overwrite").exit_code == 0
    assert list(tmp_path.glob(".wangge-*")) == []


def test_a_crosswalk_that_breaks_off_leaves_the_one_before(tmp_path: Path) -> None:
    out = tmp_path / "crosswalk.csv"
    write_rows([{"old": "a", "new": "b"}], out)
    before = out.read_bytes()
    with pytest.raises(KeyError):
        write_rows([{"old": "a", "new": "b"}, {"old": "c"}], out)
    assert out.read_bytes() == before
    files = {"manifest.json": b"{}", "dossier.html": b"<!doctype html>"}
    folder = tmp_path / "dossier"
    assert [one["bytes"] for one in write_dossier(files, folder)] == [15, 2]
    with pytest.raises(TypeError):
        write_dossier({"dossier.html": b"other", "manifest.json": None}, folder)  # type: ignore[dict-item]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert list(tmp_path.rglob(".wangge-*")) == []


def test_ground_outside_is_told(old: Path, tmp_path: Path) -> None:
    shifted = file_of(tmp_path / "s.gpkg", {"a": square(0.5, 0), "far": square(9, 0)})
    found = told(old, shifted, "--weight", "households")
    ended = [row for row in found["crosswalk"] if row["new"] is None]
    assert {row["old"] for row in ended} == {"a", "b", "c", "=d"}
    fresh = [row for row in found["crosswalk"] if row["old"] is None]
    assert [row["new"] for row in fresh if row["area_m2"] > 1] == ["far"]
    assert {row["weight"] for row in fresh} == {0}
    outside = sum(row["area_m2"] for row in ended)
    assert found["outside_old_m2"] == pytest.approx(outside)
    inside = [r for r in found["crosswalk"] if r["old"] is not None and r["new"] is not None]
    sums = sum(row["area_m2"] for row in inside) + outside
    assert sums == pytest.approx(found["area_old_m2"], rel=1e-9)


def test_dirty_files_are_refused_with_the_place_and_the_way_out(
    old: Path, new: Path, tmp_path: Path
) -> None:
    twice = file_of(tmp_path / "t.gpkg", {"a": square(0, 0, 1.2), "b": square(1, 0)})
    error = refused(old, twice)
    assert isinstance(error, DeliveryError)
    assert "a and b both claim" in error.message
    assert "117.001" in error.message
    assert "wangge repair t.gpkg" in error.message
    bow = shapely.Polygon([(WEST, SOUTH), (WEST + STEP, SOUTH + STEP), (WEST + STEP, SOUTH),
                           (WEST, SOUTH + STEP)])  # fmt: skip
    crossed = file_of(tmp_path / "x.geojson", {"a": bow, "b": square(3, 3)})
    assert "Self-intersection" in refused(crossed, new).message
    far = file_of(tmp_path / "far.gpkg", {"a": box(120, 36, 120.1, 36.1)})
    assert "nothing of far.gpkg lies on old.gpkg" in refused(old, far).message
    odd = file_of(tmp_path / "odd.gpkg", {"a": square(0, 0), "b": square(1, 0)},
                  households=["12", "many"])  # fmt: skip
    assert "b says 'many'" in refused(odd, new, "--weight", "households").message
    dots = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(WEST, SOUTH)], crs=4326)
    dots.to_file(tmp_path / "dots.gpkg")
    assert "name a layer" in refused(old, tmp_path / "dots.gpkg").message
    missing = refused(old, new, "--weight", "people")
    assert isinstance(missing, InvalidInputError)
    assert "no column 'people'" in missing.message
    assert refused(old, tmp_path / "none.gpkg").data["field"] == "file"
    assert refused(old, f"{new}:grids").code == "delivery_invalid"
    assert refused(old, new, "--by", "luck").data["field"] == "by"
    assert refused(old, new, "--code", "nr").data["field"] == "code"


def test_a_hair_claimed_twice_is_left_to_the_first(old: Path, tmp_path: Path) -> None:
    hair = file_of(
        tmp_path / "hair.gpkg", {"a": square(0, 0, 2.000001), "b": square(2, 0, 2)}
    )  # some 10 cm2
    found = told(old, hair)
    assert 0 < found["overlap_new_m2"] < 0.1
    for unit in found["old"]:
        parts = [row["area_m2"] for row in found["crosswalk"] if row["old"] == unit["unit"]]
        assert sum(parts) == pytest.approx(unit["area_m2"], abs=1e-9 * found["area_old_m2"])


def test_the_answer_for_people(old: Path, new: Path) -> None:
    said = run(old, new, "--weight", "households").stdout
    assert "4 areas before, 3 after" in said
    assert "57 of 258 households lie in another area (an estimate by ground)" in said
    assert "NEW says 261: +3" in said
    assert "within 20% of" in said


def test_nothing_to_share_is_told_in_words(tmp_path: Path) -> None:
    empty = file_of(tmp_path / "e.gpkg", {"a": square(0, 0), "b": square(1, 0)})
    said = run(empty, empty, "--target", "0").stdout
    assert "2 areas, no area_m2 to share" in said
    assert "None" not in said
