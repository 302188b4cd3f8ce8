"""`wangge divide`: files in, units out; what cannot be divided is said in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapely.affinity

from api import cli
from tests.coverages import lattice

pytestmark = pytest.mark.timeout(600)  # a cold compilation on a busy machine

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str, code: int = 0) -> dict[str, Any]:
        monkeypatch.setattr("sys.argv", ["wangge", "divide", *words, "--json"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code or 0) == code
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        return said

    return call


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """12 x 12 squares of 50 m with two households each, four blocks of 36 and one tower."""
    cells = lattice(12, 12, side_m=50.0)
    households = np.full(144, 2.0)
    households[0] = 60.0
    middle = cells.centroid
    x, y = middle.x.to_numpy(), middle.y.to_numpy()
    block = 2 * (x > x.mean()) + (y > y.mean())
    frame = gpd.GeoDataFrame(
        {"households": households, "block": [f"B{k}" for k in block]},
        geometry=cells.to_numpy(), crs=cells.crs,
    )  # fmt: skip
    path = tmp_path / "cells.gpkg"
    frame.to_file(path, layer="cells", driver="GPKG")
    return path


@pytest.fixture
def strips(town: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a present net of upright strips of the town."""

    def write(edges: list[float], names: list[str]) -> Path:
        cells = gpd.read_file(town)
        west, south, _, north = cells.total_bounds
        shapes = [
            shapely.box(west + 50.0 * left, south, west + 50.0 * right, north)
            for left, right in pairwise(edges)
        ]
        net = gpd.GeoDataFrame({"unit": names}, geometry=shapes, crs=cells.crs)
        net.to_file(tmp_path / "strips.gpkg", driver="GPKG")
        return tmp_path / "strips.gpkg"

    return write


def units_of(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(path)


def test_units_cover_the_cells_and_add_up(town: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "units.gpkg"
    said = run(
        str(town),
        "--weight",
        "households",
        "--target",
        "24",
        "--within",
        "block",
        "--out",
        str(out),
    )
    units = units_of(out)
    assert list(units["unit"]) == list(range(1, said["units"] + 1))
    assert units["households"].sum() == 2 * 143 + 60 == said["total"]
    assert (units.geom_type == "Polygon").all()
    assert said["contiguity_violations"] == 0 and said["coverage_valid"]
    assert said["area_difference_m2"] < 1e-3 and said["pieces_under_1_m2"] == 0
    assert 0.3 < said["polsby_popper"] < 0.8
    heavy = units[units["households"] == 60]
    assert len(heavy) == 1 and heavy.iloc[0]["cells"] == 1 and heavy.iloc[0]["rule"] == "alone"
    within = (abs(units["households"] / 24 - 1) <= 0.2) | (units["rule"] == "alone")
    assert said["within_tolerance"] == pytest.approx(within.mean())
    assert said["max_deviation"] == pytest.approx(abs(units["households"] / 24 - 1).max())
    assert len(said["explanations"]) == said["units"]
    cells = gpd.read_file(town)
    owner = units.to_crs(cells.crs).sindex.query(
        shapely.point_on_surface(cells.geometry.to_numpy()), predicate="within"
    )[1]
    assert (cells["block"].to_numpy() == units["within"].to_numpy()[owner]).all()


def test_the_same_seed_writes_the_same_units(town: Path, tmp_path: Path, run: Run) -> None:
    outs = [tmp_path / f"{k}.geojson" for k in range(2)]
    for out in outs:
        run(str(town), "--weight", "households", "--target", "24", "--out", str(out), "--seed", "3")
    assert outs[0].read_text(encoding="utf-8") == outs[1].read_text(encoding="utf-8")


def test_a_number_of_units_and_why_it_cannot_be(town: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "units.gpkg"
    said = run(
        str(town),
        "--weight",
        "households",
        "--parts",
        "4",
        "--tolerance",
        "0.05",
        "--out",
        str(out),
    )
    assert said["units"] == 4 and said["within_tolerance"] == 1.0
    refused = run(
        str(town), "--weight", "households", "--parts", "20", "--out", str(tmp_path / "no.gpkg"),
        code=1,
    )["error"]  # fmt: skip
    assert refused["code"] == "cannot_divide"
    assert "3.5 times the target" in refused["message"] and refused["most_parts"] == 6
    assert not (tmp_path / "no.gpkg").exists()


def test_a_barrier_holds_and_areas_of_a_file_hold(town: Path, tmp_path: Path, run: Run) -> None:
    cells = gpd.read_file(town)
    west, south, east, north = cells.total_bounds
    middle = (west + east) / 2
    rail = shapely.LineString([(middle, south - 10), (middle, north + 10)])
    gpd.GeoDataFrame({"kind": ["railway"]}, geometry=[rail], crs=cells.crs).to_file(
        tmp_path / "rail.gpkg"
    )
    halves = [shapely.box(west, south, east, (south + north) / 2)]
    halves.append(shapely.box(west, (south + north) / 2, east, north))
    gpd.GeoDataFrame({"name": ["S", "N"]}, geometry=halves, crs=cells.crs).to_file(
        tmp_path / "halves.gpkg"
    )
    out = tmp_path / "units.gpkg"
    said = run(
        str(town), "--weight", "households", "--target", "40", "--out", str(out),
        "--barriers", str(tmp_path / "rail.gpkg"), "--within", str(tmp_path / "halves.gpkg"),
    )  # fmt: skip
    assert not any("lie across" in line for line in said["warnings"])
    units = units_of(out).to_crs(cells.crs)
    for unit in units.geometry:
        inner = unit.buffer(-1.0)
        assert not inner.intersects(rail)
        assert not inner.intersects(halves[0].intersection(halves[1]))
    assert any("pieces that do not touch" in line for line in said["warnings"])


def test_little_change_stays_below_its_share(town: Path, tmp_path: Path, run: Run) -> None:
    cells = gpd.read_file(town)
    west, south, _, north = cells.total_bounds
    edges = np.array([0.0, 4.0, 6.0, 12.0]) * 50.0 + west
    strips = [shapely.box(left, south, right, north) for left, right in pairwise(edges.tolist())]
    gpd.GeoDataFrame({"unit": ["a", "b", "c"]}, geometry=strips, crs=cells.crs).to_file(
        tmp_path / "net.gpkg"
    )
    out = tmp_path / "units.gpkg"
    words = [
        str(town), "--weight", "households", "--target", "115", "--tolerance", "0.1",
        "--start", str(tmp_path / "net.gpkg"), "--out", str(out), "--overwrite",
    ]  # fmt: skip
    little = run(*words, "--max-change", "0.05")
    assert 0 < little["changed_share"] <= 0.05
    assert little["units"] == 3 and little["contiguity_violations"] == 0
    much = run(*words, "--max-change", "0.5")
    assert much["within_tolerance"] == 1.0 and little["objective"] > much["objective"]
    assert set(units_of(out)["was"]) == {"a", "b", "c"}
    kept = run(*words, "--max-change", "0.5", "--keep", "c")
    units = units_of(out).to_crs(cells.crs).set_index("was")
    assert units.geometry["c"].symmetric_difference(strips[2]).area < 1.0
    assert kept["changed_share"] > 0


def test_compounds_stay_whole_and_several_columns_count(
    town: Path, tmp_path: Path, run: Run
) -> None:
    cells = gpd.read_file(town)
    row = np.arange(144) // 12
    cells["compound"] = [f"c{k}" if k % 3 == 0 else None for k in row]
    cells["summer"] = np.where(row < 6, 6.0, 1.0)
    path = tmp_path / "more.gpkg"
    cells.to_file(path, layer="cells", driver="GPKG")
    out = tmp_path / "units.gpkg"
    said = run(
        str(path), "--weight", "households", "--weight", "summer", "--target", "60",
        "--target", "85", "--whole", "compound", "--out", str(out),
    )  # fmt: skip
    units = units_of(out)
    assert units["summer"].sum() == cells["summer"].sum()
    assert set(said["targets"]) == {"households", "summer"}
    assert [one["weight"] for one in said["measures"]] == ["households", "summer"]
    off = (units["summer"] / 85 - 1).abs()
    assert said["measures"][1]["max_deviation"] == pytest.approx(off.max())
    owner = units.to_crs(cells.crs).sindex.query(
        shapely.point_on_surface(cells.geometry.to_numpy()), predicate="within"
    )[1]
    for name in cells["compound"].dropna().unique():
        assert len(np.unique(owner[(cells["compound"] == name).to_numpy()])) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--weight", "nobody", "--target", "9"], "There is no column 'nobody'"),
        (["--weight", "households"], "Say --target"),
        (["--weight", "households", "--target", "9", "--target", "8"], "one each"),
        (["--weight", "households", "--parts", "4", "--target", "10"], "make 40"),
        (["--weight", "households", "--target", "900"], "all cells together have 346"),
        (["--weight", "households", "--target", "9", "--within", "no.gpkg"], "no such file"),
        (["--weight", "households", "--target", "9", "--whole", "no"], "it has households, block"),
        (["--weight", "households", "--target", "9", "--split-above", "9"], "with --start"),
        (
            ["--weight", "households", "--target", "9", "--tolerance", ".1", "--tolerance", ".2"],
            "2 tolerances",
        ),
    ],
)
def test_odd_wishes_are_refused(
    words: list[str], said: str, town: Path, tmp_path: Path, run: Run
) -> None:
    refused = run(str(town), *words, "--out", str(tmp_path / "no.gpkg"), code=1)["error"]
    assert said in refused["message"] and "\n" not in refused["message"]
    assert not (tmp_path / "no.gpkg").exists()


def test_rows_without_a_count_are_refused_by_their_numbers(
    town: Path, tmp_path: Path, run: Run
) -> None:
    frame = gpd.read_file(town)
    frame.loc[0, "geometry"] = None  # left out, and the numbers of the others stay
    for values, rows, said in (
        ({3: "many", 5: "-2"}, [4, 6], "2 row(s) have no count in 'households': row 4 says 'many'"),
        ({7: np.inf, 9: np.nan, 11: -1.0}, [8, 10, 12], "row 10 is empty"),
        ({9: np.nan}, [10], "--empty-is-zero counts them as 0"),
    ):
        wrong = frame.assign(households=frame["households"].astype(object))
        for row, value in values.items():
            wrong.loc[row, "households"] = value
        if any(isinstance(value, str) for value in values.values()):
            wrong["households"] = wrong["households"].astype(str)
        else:
            wrong["households"] = wrong["households"].astype(float)
        wrong.to_file(tmp_path / "wrong.gpkg", layer="cells", driver="GPKG")
        words = [str(tmp_path / "wrong.gpkg"), "--weight", "households", "--target", "40"]
        words += ["--out", str(tmp_path / "o.gpkg")]
        refused = run(*words, code=1)["error"]
        assert said in refused["message"] and refused["rows"] == rows
    told = run(*words, "--empty-is-zero")
    assert any("'households' is empty in 1 cells" in line for line in told["warnings"])
    assert told["total"] == 2 * 142


def test_layers_that_hold_nothing_and_cells_that_contradict_say_so_in_one_line(
    town: Path, tmp_path: Path, run: Run
) -> None:
    frame = gpd.read_file(town)
    words = ["--weight", "households", "--target", "40", "--out", str(tmp_path / "o.gpkg")]
    frame.iloc[:0].to_file(tmp_path / "bare.gpkg", layer="cells", driver="GPKG")
    refused = run(str(tmp_path / "bare.gpkg"), *words, code=1)["error"]
    assert refused["message"] == "bare.gpkg: 'cells' has no rows."
    refused = run(f"{town}:nothing", *words, code=1)["error"]
    assert "no layer is called 'nothing'" in refused["message"]
    frame.loc[30, "geometry"] = frame.geometry[30].buffer(12.0)
    frame.to_file(tmp_path / "torn.gpkg", layer="cells", driver="GPKG")
    refused = run(str(tmp_path / "torn.gpkg"), *words, code=1)["error"]
    assert "wangge repair" in refused["message"] and "\n" not in refused["message"]
    assert any(line.startswith("31 would change") for line in refused["defects"])


def test_large_units_are_divided_small_ones_merged_and_the_rest_stays(
    town: Path, tmp_path: Path, run: Run, strips: Callable[..., Path]
) -> None:
    net = strips([0, 1, 3, 6, 12], ["sliver", "b", "c", "large"])
    out = tmp_path / "units.gpkg"
    said = run(
        str(town), "--weight", "households", "--target", "70", "--start", str(net),
        "--split-above", "130", "--merge-below", "50", "--keep", "sliver", "--out", str(out),
    )  # fmt: skip
    assert said["merged_units"] == ["b"] and said["split_units"] == ["large"]
    units = units_of(out)
    assert sorted(units["was"]) == ["c + b", "large", "large", "sliver"]
    assert said["changed_share"] == 0.0 and 0.3 < said["reshaped_share"] < 0.4
    cells = gpd.read_file(town).to_crs(units.crs)
    strip = gpd.read_file(net).to_crs(units.crs).set_index("unit").geometry
    kept = units.set_index("was").geometry["sliver"].symmetric_difference(strip["sliver"])
    assert kept.area < 1e-9 and len(cells) == 144


def test_borders_that_are_to_stay_stay(
    town: Path, tmp_path: Path, run: Run, strips: Callable[..., Path]
) -> None:
    net = strips([0, 4, 6, 12], ["a", "b", "c"])
    frame = gpd.read_file(net)
    line = frame.geometry[0].intersection(frame.geometry[1])
    gpd.GeoDataFrame(geometry=[line], crs=frame.crs).to_file(tmp_path / "line.gpkg")
    out = tmp_path / "units.gpkg"
    words = [
        str(town), "--weight", "households", "--target", "115", "--tolerance", "0.1", "--start",
        str(net), "--max-change", "0.5", "--out", str(out), "--overwrite",
    ]  # fmt: skip
    free = run(*words)
    held = run(*words, "--fixed-borders", str(tmp_path / "line.gpkg"))
    assert held["cells_held"] == 24 and held["objective"] > free["objective"]
    units = units_of(out).to_crs(frame.crs).set_index("was").geometry
    shared = units["a"].intersection(units["b"])
    assert line.difference(shared.buffer(0.01)).length < 0.1
    assert "little_change" in held["rules"]
    refused = run(*words, "--fixed-borders", f"{net}", "--keep", "nobody", code=1)["error"]
    assert refused["field"] == "keep"
    far = gpd.GeoDataFrame(geometry=[shapely.affinity.translate(line, 30.0)], crs=frame.crs)
    far.to_file(tmp_path / "far.gpkg")
    refused = run(*words, "--fixed-borders", str(tmp_path / "far.gpkg"), code=1)["error"]
    assert "No border of the present net runs along" in refused["message"]


def test_units_that_were_torn_are_named(
    town: Path, tmp_path: Path, run: Run, strips: Callable[..., Path]
) -> None:
    net = strips([0, 4.5, 8, 12], ["a", "b", "a"])
    said = run(
        str(town), "--weight", "households", "--target", "150", "--start", str(net),
        "--max-change", "0", "--out", str(tmp_path / "units.gpkg"),
    )  # fmt: skip
    assert said["torn_units"] == ["a"] and said["contiguity_violations"] == 1
    assert any("12 cells lie across borders of strips.gpkg" in line for line in said["warnings"])
    assert any("1 units of the present net lie in pieces" in line for line in said["warnings"])
    why = {row["unit"]: row["why"] for row in said["explanations"]}
    assert "in 2 pieces that do not touch" in why[1]


def test_cells_without_any_weight_are_told_loudly(town: Path, tmp_path: Path, run: Run) -> None:
    cells = gpd.read_file(town).assign(households=0)
    path = tmp_path / "bare.gpkg"
    cells.to_file(path, layer="cells", driver="GPKG")
    said = run(
        str(path), "--weight", "households", "--target", "9", "--out", str(tmp_path / "o.gpkg")
    )
    assert said["units"] == 1 and said["rules"] == {"no_weight": 1}
    assert any("no cell has any" in line for line in said["warnings"])


def test_a_weight_named_like_a_column_of_units_keeps_both(
    town: Path, tmp_path: Path, run: Run
) -> None:
    frame = gpd.read_file(town).rename(columns={"households": "unit"})
    frame.to_file(tmp_path / "named.gpkg", driver="GPKG")
    out = tmp_path / "units.gpkg"
    run(str(tmp_path / "named.gpkg"), "--weight", "unit", "--target", "60", "--out", str(out))
    units = units_of(out)
    assert sorted(units["unit"]) == list(range(1, len(units) + 1))
    assert units["unit_sum"].sum() == pytest.approx(frame["unit"].sum())
