"""`wangge merge-nets`: files of nets in, one net and a crosswalk out; refusals in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from shapely import box
from typer.testing import CliRunner

from api.cli import app
from geo.errors import InvalidInputError, WanggeError

SRID = 4549
CORNER = (540_000.0, 4_165_000.0)


def halves(at: float, low: float = 0.0) -> list[shapely.Geometry]:
    shapes = np.array([box(low, 0, at, 100), box(at, 0, 200, 100)])
    return list(shapely.transform(shapes, lambda xy: np.add(xy, CORNER)))


def written(path: Path, layer: str, shapes: list[shapely.Geometry], **columns: Any) -> None:
    frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=SRID).to_crs(4326)
    frame.to_file(path, layer=layer, driver="GPKG")


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets.gpkg"
    written(path, "fire", halves(100, low=-3.0), code=["F1", "F2"], people=[40, 60])
    written(path, "police", halves(103), code=["P1", "P2"])
    written(path, "city", [shapely.union_all(halves(100))], name=["city"])
    return path


def run(nets: Path, *more: str) -> Any:
    out, table = nets.parent / "units.gpkg", nets.parent / "rows.csv"
    words = ["merge-nets", f"{nets}:fire", f"{nets}:police", "--out", str(out)]
    return CliRunner().invoke(app, [*words, "--crosswalk", str(table), *more])


def test_units_crosswalk_and_account(nets: Path) -> None:
    result = run(nets, "--outline", f"{nets}:city", "--weight", "people", "--json")
    assert result.exit_code == 0, result.exception
    data = json.loads(result.stdout)
    assert (data["units"], data["coverage_valid"], data["contiguity_violations"]) == (2, True, 0)
    assert data["pieces_under_1_m2"] == 0
    assert data["area_difference_m2"] < 1e-6
    assert data["crosswalk_residual_m2"] < 1e-6
    assert (data["weight_of"], data["weight_total"]) == ("fire", 100.0)
    assert [pair["slivers"] for pair in data["pairs"]] == [2]
    assert 0 < data["polsby_popper"] <= 1
    assert data["cpu_s"] > 0
    assert data["peak_mb"] > 0

    units = gpd.read_file(nets.parent / "units.gpkg")
    assert sorted(units["unit"]) == [1, 2]
    assert units["people"].sum() == 100 - data["weight_outside"]
    assert set(units["fire"]) == {"F1", "F2"}
    city = gpd.read_file(nets, layer="city").to_crs(SRID).geometry
    both = units.to_crs(SRID).union_all().symmetric_difference(city.iloc[0])
    assert both.area < 1e-5

    rows = pd.read_csv(nets.parent / "rows.csv")
    assert set(rows["kind"]) == {"unit", "outside"}
    whole = rows.groupby(["net", "grid"])["area_m2"].sum()
    assert whole["fire", "F1"] == pytest.approx(10_300, rel=1e-3)
    assert rows.groupby(["net", "grid"])["share"].sum().tolist() == pytest.approx([1.0] * 4)
    assert rows.loc[rows["kind"] == "outside", "unit"].isna().all()


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".parquet"])
def test_each_place_where_nets_differ_is_reported(nets: Path, ending: str) -> None:
    report = nets.parent / f"places{ending}"
    result = run(nets, "--outline", f"{nets}:city", "--report", str(report), "--json")
    assert result.exit_code == 0, result.exception
    data = json.loads(result.stdout)
    read = gpd.read_parquet if ending == ".parquet" else gpd.read_file
    places = read(report)
    assert places["kind"].value_counts()["sliver"] == data["pairs"][0]["slivers"] == 2
    near = places.loc[places["kind"] == "near_border", "length_m"].sum()
    assert near == pytest.approx(1000 * data["pairs"][0]["near_border_km"])
    assert set(places["kind"]) <= {"gap", "near_border", "other_border", "overlap", "sliver"}
    assert "report" in data


def test_a_vote_decides_whose_border_stays(nets: Path) -> None:
    result = run(nets, "--vote", "police=3", "--tolerance-m", "6")
    assert result.exit_code == 0, result.exception
    units = gpd.read_file(nets.parent / "units.gpkg").to_crs(SRID)
    assert units.total_bounds[0] == pytest.approx(CORNER[0] - 3, abs=1e-6)
    assert units.bounds["maxx"].min() == pytest.approx(CORNER[0] + 103, abs=1e-6)
    assert "2 units of 2 nets" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vote", "police"], "is no NAME=WEIGHT; the nets are fire, police"),
        (["--vote", "police=inf"], "is no NAME=WEIGHT"),
        (["--weight", "dogs"], "No net has a column 'dogs'"),
        (["--datum", "police=mars"], "A datum is one of"),
        (["--crs", "harbour=4549"], "'harbour' is no layer; there are fire, police"),
        (["--crs", "police=zone 40"], "'zone 40' is no EPSG number"),
    ],
)
def test_what_cannot_be_is_refused(nets: Path, words: list[str], said: str) -> None:
    found = run(nets, *words).exception
    assert isinstance(found, InvalidInputError)
    assert said in found.message


def test_counts_are_finite_numbers(nets: Path) -> None:
    written(nets, "odd", halves(100), people=[float("inf"), 1.0])
    out, table = nets.parent / "units.gpkg", nets.parent / "rows.csv"
    words = ["merge-nets", f"{nets}:odd", "--out", str(out), "--crosswalk", str(table)]
    found = CliRunner().invoke(app, [*words, "--weight", "people"]).exception
    assert isinstance(found, InvalidInputError)
    assert "not a count in every row" in found.message


def test_names_of_nets_and_counts_that_are_columns_stand_beside_them(nets: Path) -> None:
    for name in ("unit", "Unit"):
        written(nets.with_name(f"{name}.gpkg"), name, halves(100), unit=[7, 8])
    out, table = nets.parent / "out.csv", nets.parent / "rows.csv"
    words = ["merge-nets", *(str(nets.with_name(f"{name}.gpkg")) for name in ("unit", "Unit"))]
    words += ["--out", str(out), "--crosswalk", str(table), "--weight", "unit"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    columns = ["unit", "area_m2", "unit_sum", "unit (2)", "Unit (3)", "geometry"]
    assert pd.read_csv(out).columns.tolist() == columns
    assert pd.read_csv(out)["unit_sum"].sum() == 15
    assert "unit_sum" in pd.read_csv(table).columns


def test_a_file_without_a_system_and_one_on_another_datum_are_told_about(nets: Path) -> None:
    from geo.datums import from_wgs84

    true = gpd.read_file(nets, layer="police")
    moved = shapely.transform(true.geometry.to_numpy(), lambda xy: from_wgs84(xy, "gcj02"))
    true.set_geometry(moved, crs=4326).to_file(nets, layer="shifted", driver="GPKG")
    bare = gpd.GeoDataFrame({"code": ["B1", "B2"]}, geometry=halves(100))
    with pytest.warns(UserWarning, match="crs"):
        bare.to_file(nets.with_name("bare.gpkg"), layer="bare", driver="GPKG")
    out, table = nets.parent / "units.shp", nets.parent / "rows.csv"
    words = ["merge-nets", f"{nets}:fire", f"{nets}:shifted", str(nets.with_name("bare.gpkg"))]
    words += ["--out", str(out), "--crosswalk", str(table), "--json"]
    silent = CliRunner().invoke(app, words).exception
    assert isinstance(silent, WanggeError)
    assert "EPSG" in silent.message
    result = CliRunner().invoke(app, [*words, "--crs", "bare=4549", "--datum", "shifted=gcj02"])
    assert result.exit_code == 0, result.exception
    data = json.loads(result.stdout)
    assert data["units"] == 2
    assert all("fire" in said for said in data["warnings"]), "the others were told about"
    assert len(gpd.read_file(out)) == 2


def test_nets_of_two_parts_of_the_world_are_refused(nets: Path) -> None:
    far = gpd.GeoDataFrame({"code": ["x"]}, geometry=[box(3, 0, 3.01, 0.01)], crs=4326)
    far.to_file(nets, layer="far", driver="GPKG")
    out, table = nets.parent / "units.gpkg", nets.parent / "rows.csv"
    words = ["merge-nets", f"{nets}:fire", f"{nets}:police", f"{nets}:far"]
    words += ["--out", str(out), "--crosswalk", str(table)]
    found = CliRunner().invoke(app, words).exception
    assert isinstance(found, WanggeError)
    assert "far lies far from the other nets, around 3.0" in found.message
    assert not out.exists()
    assert not table.exists()


def test_targets_are_not_replaced_unasked(nets: Path) -> None:
    (nets.parent / "rows.csv").write_text("mine")
    found = run(nets).exception
    assert isinstance(found, WanggeError)
    assert found.data["field"] == "crosswalk"
    assert (nets.parent / "rows.csv").read_text() == "mine"
    assert not (nets.parent / "units.gpkg").exists()
