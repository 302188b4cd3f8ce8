"""The benchmarks' arithmetic, their turns, and what they write; no times are asserted."""

from __future__ import annotations

import io
import json
import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
import typer
from pyproj import Transformer
from rich.console import Console
from shapely import MultiPolygon, Polygon, box
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import cities, coverages, frames, harness, results, stands, tiles, topology
from benchmarks.coverages import Size
from benchmarks.harness import CPU, WALL, CannotRunError, Case, DisagreementError, Measure, Outcome
from geo.topojson import encode_topology
from geo.topology import coverage_faults

ROW_KEYS = {"name", "ours", "peers", "ratio", "goal", "unit", "note"}


@pytest.fixture(autouse=True)
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the tidying before each measurement: no time is asserted here."""
    monkeypatch.setattr(harness.gc, "collect", lambda: 0)


def case(**changes: Any) -> Case:
    """Return a case of two contenders that agree."""
    plain: dict[str, Any] = {
        "name": "sum",
        "title": "A sum",
        "ours": lambda: 3,
        "peers": {"slow": lambda: 3},
        "measures": [Measure(WALL, "s", 1.0)],
        "agree": equal,
    }
    return Case(**{**plain, **changes})


def equal(ours: Any, theirs: Any) -> None:
    """Refuse answers that differ."""
    if ours != theirs:
        raise DisagreementError(f"{ours} and {theirs}")


def measured(values: list[float], answer: Any = 0) -> Callable[[], Outcome]:
    """Return a contender that gives one figure after the other."""
    left = iter(values)
    return lambda: Outcome(answer, {"bytes": next(left)})


# ---- turns and arithmetic -----------------------------------------------------------------------


def test_contenders_take_turns_after_one_warm_up() -> None:
    order = list(harness.turns(["a", "b", "c"], 2))
    assert order == [(n, name) for n in (0, 1, 2) for name in "abc"]


def test_every_contender_runs_in_every_round() -> None:
    calls: list[str] = []
    ran = case(ours=lambda: calls.append("o"), peers={"p": lambda: calls.append("p")})
    harness.run(ran, 5)
    assert "".join(calls) == "op" * 6


def test_a_row_is_the_median_without_the_warm_up() -> None:
    ran = case(
        ours=measured([900, 2, 30, 1, 4, 3]),
        peers={"x": measured([0, 12, 12, 12, 12, 99]), "y": measured([0, 9, 7, 9, 9, 8])},
        measures=[Measure("bytes", "B", 2.5)],
    )
    (row,) = harness.run(ran, 5)
    assert (row.name, row.ours, row.peers) == ("sum.bytes", 3, {"x": 12, "y": 9})
    assert row.ratio == 3.0
    assert row.met


@pytest.mark.parametrize(
    ("ours", "peers", "ratio"),
    [(2.0, {"a": 8.0, "b": 5.0}, 2.5), (4.0, {"a": 1.0}, 0.25), (350.0, {"limit": 700.0}, 2.0)],
)
def test_the_ratio_is_the_best_peer_over_ours(
    ours: float, peers: dict[str, float], ratio: float
) -> None:
    assert harness.ratio(ours, peers) == ratio


@pytest.mark.parametrize(("ours", "peers"), [(1.0, {}), (0.0, {"a": 1.0}), (math.nan, {"a": 1.0})])
def test_what_cannot_be_compared_is_refused(ours: float, peers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"peer|compared"):
        harness.ratio(ours, peers)


def test_a_measure_may_look_at_some_peers_or_at_a_limit() -> None:
    figures = {
        "ours": measured([10.0] * 2),
        "peers": {"a": measured([20.0] * 2), "b": measured([30.0] * 2)},
    }
    measures = [
        Measure("bytes", "B", 2.0, peers=("b",), row="beside_b"),
        Measure("bytes", "B", 1.0, peers=("none",), limit=15.0, row="bound"),
    ]
    beside, bound = harness.run(case(**figures, measures=measures), 1)
    assert (beside.name, beside.peers, beside.ratio) == ("sum.beside_b", {"b": 30.0}, 3.0)
    assert (bound.name, bound.peers, bound.ratio) == ("sum.bound", {"limit": 15.0}, 1.5)


def test_a_measure_needs_a_goal() -> None:
    with pytest.raises(ValueError, match="goal"):
        Measure(CPU, "s", 0.0)


def test_answers_that_differ_give_no_figures() -> None:
    with pytest.raises(DisagreementError, match=r"sum: ours and slow differ: 3 and 4"):
        harness.run(case(peers={"slow": lambda: 4}), 5)


def test_answers_are_compared_before_anything_is_measured() -> None:
    calls: list[int] = []

    def late() -> int:
        calls.append(1)
        return 4

    with pytest.raises(DisagreementError):
        harness.run(case(peers={"slow": late}), 5)
    assert len(calls) == 1


def test_times_are_those_of_one_call_and_cpu_counts_children() -> None:
    calls: list[int] = []
    spent = harness.run(
        case(ours=lambda: calls.append(1), peers={"slow": lambda: None}, repeat=3), 2
    )
    assert len(calls) == 9
    assert spent[0].ours > 0


def test_work_of_a_child_that_lives_on_counts() -> None:
    busy = "import sys; sum(range(3_000_000)); print(1, flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        before = harness._cpu_s([])
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in harness._family([os.getpid()])
        assert harness._process_cpu_s(child.pid) > 0
        assert harness._cpu_s([]) >= before
    finally:
        child.communicate()


# ---- the command --------------------------------------------------------------------------------


def test_benchmarks_are_found() -> None:
    assert set(command.discover()) >= {"frames", "reading", "topology"}


def run_command(
    monkeypatch: pytest.MonkeyPatch, cases: dict[str, command.Cases], *words: str
) -> tuple[int, str]:
    """Run the command line with made-up benchmarks."""
    monkeypatch.setattr(command, "discover", lambda: cases)
    app = typer.Typer()
    app.command()(command.main)
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_a_benchmark_that_cannot_run_says_why_and_fails_the_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def without() -> Any:
        raise CannotRunError("there is no PostGIS.")
        yield

    out = tmp_path / "results.json"
    code, said = run_command(
        monkeypatch, {"good": lambda: (one for one in [case()]), "bad": without}, "--out", str(out)
    )
    assert code == 1
    assert "bad cannot run: there is no PostGIS." in said
    assert [row["name"] for row in json.loads(out.read_text())["rows"]] == ["good.sum.wall"]


def test_a_loss_is_shown_and_written_like_a_win(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lost = case(
        ours=measured([30.0] * 6),
        peers={"x": measured([10.0] * 6)},
        measures=[Measure("bytes", "B", 2.0)],
    )
    out = tmp_path / "results.json"
    code, said = run_command(
        monkeypatch, {"made": lambda: (one for one in [lost])}, "--out", str(out)
    )
    (row,) = json.loads(out.read_text())["rows"]
    assert code == 0
    assert "missed" in said
    assert (row["name"], row["ratio"], row["goal"]) == ("made.sum.bytes", 0.333, 2.0)


def test_few_rounds_are_shown_and_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "results.json"
    words = ("--rounds", "2", "--out", str(out))
    code, said = run_command(monkeypatch, {"made": lambda: (one for one in [case()])}, *words)
    assert (code, out.exists()) == (0, False)
    assert "Not written" in said


def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = run_command(monkeypatch, {"made": lambda: (one for one in [case()])}, "mead")
    assert code == 2
    assert "There is no benchmark mead; there are made." in said


def test_a_broken_benchmark_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> Any:
        raise KeyError("on purpose")
        yield

    out = tmp_path / "results.json"
    made = {"broken": broken, "good": lambda: (one for one in [case()])}
    code, said = run_command(monkeypatch, made, "--out", str(out))
    assert code == 1
    assert "on purpose" in said
    assert out.exists()


# ---- what is written ----------------------------------------------------------------------------


def row(name: str, ours: float = 1.0) -> harness.Row:
    """Return a row beside a peer of twice the figure."""
    return harness.Row(name, ours, {"x": 2.0 * ours}, 2.0, 1.5, "s", "a note")


def test_rows_of_other_benchmarks_stay_on_an_equal_machine() -> None:
    on = {"cores": 2, "python": "3.11.7", "versions": {}}
    before = results.document([row("a.one.cpu"), row("b.two.cpu")], on)
    after = results.document([row("a.one.cpu", 3.0)], on, before)
    assert [(r["name"], r["ours"]) for r in after["rows"]] == [
        ("a.one.cpu", 3.0),
        ("b.two.cpu", 1.0),
    ]
    elsewhere = results.document([row("a.one.cpu")], {**on, "cores": 8}, before)
    assert [r["name"] for r in elsewhere["rows"]] == ["a.one.cpu"]


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    made = results.document([row("a.one.cpu", 0.0123456)], results.machine())
    results.write(tmp_path / "r.json", made)
    assert results.read(tmp_path / "r.json") == made
    assert made["rows"][0]["ours"] == 0.01235
    assert results.read(tmp_path / "none.json") is None


def test_the_machine_has_no_name_and_no_path() -> None:
    said = json.dumps(results.machine())
    assert platform.node() not in said
    assert "/" not in said


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0123, "s", "12.3 ms"),
        (2.0, "s", "2 s"),
        (3e-7, "s", "0.3 µs"),
        (234_000, "B", "234 kB"),
        (1_977_600, "B", "1.98 MB"),
        (120, "B", "120 B"),
        (12, "steps", "12 steps"),
    ],
)
def test_values_are_shown_with_fitting_units(value: float, unit: str, shown: str) -> None:
    assert results.shown(value, unit) == shown


def test_the_page_gets_its_table_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{results.BEGIN}old{results.END}\nafter\n", encoding="utf-8")
    made = results.document([row("a.one.cpu")], results.machine())
    results.write_page(page, made)
    results.write_page(page, made)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert text.count("| `a.one.cpu` | 1 s | x 2 s | 2 | 1.5 | reached |") == 1
    assert "old" not in text


def test_a_lost_row_is_red_on_the_terminal() -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    lost = harness.Row("a.one.cpu", 2.0, {"x": 1.0}, 0.5, 1.0, "s", "")
    console.print(results.table([lost]))
    assert "\x1b[31mmissed\x1b[0m" in console.export_text(styles=True)


@pytest.mark.skipif(not results.RESULTS.exists(), reason="no results yet: `make bench` makes them")
def test_the_results_of_the_repository_are_whole() -> None:
    found = results.read(results.RESULTS)
    assert found is not None
    assert set(found["machine"]) == {"cores", "python", "versions"}
    for entry in found["rows"]:
        assert set(entry) == ROW_KEYS
        assert entry["goal"] > 0 and entry["peers"] and entry["unit"]
        best = min(entry["peers"].values())
        assert entry["ratio"] == pytest.approx(best / entry["ours"], rel=0.01)
        assert results.benchmark(entry["name"]) in command.discover()
    page = results.PAGE.read_text(encoding="utf-8")
    shown = re.search(f"{re.escape(results.BEGIN)}(.*){re.escape(results.END)}", page, re.DOTALL)
    assert shown is not None
    assert shown.group(1).strip() == results.markdown(found)


# ---- the benchmarks' own means ------------------------------------------------------------------


def test_the_goals_of_the_frames_are_those_that_were_set() -> None:
    assert frames.GRIDS["grids-2229"] == frames.Goal(wire=8, rendered=2)
    assert frames.GRIDS["grids-6562"] == frames.Goal(wire=10, rendered=2)
    assert frames.Goal(wire=10, rendered=20) == frames.BUILDINGS_GOAL
    assert frames.PAGE_LIMIT_B == 700_000
    assert cities.MADE_UP["grids-2229"].grids[-1] == 2_229
    assert cities.MADE_UP["grids-6562"].grids[-1] == 6_562


@pytest.mark.parametrize("whole", [False, True])
def test_a_made_up_city_is_a_city(whole: bool) -> None:
    city = coverages.city("made-up", Size((2, 5, 20), 400, whole=whole, stations=7))
    city.check()
    assert (city.grids["level"] == 3).sum() == 20
    assert len(city.buildings) == len(city.cells)
    assert len(city.stations) == 7
    assert whole or len(city.cells) == 400
    again = coverages.city("made-up", Size((2, 5, 20), 400, whole=whole, stations=7))
    assert again.cells.geometry.equals(city.cells.geometry)


def test_cells_of_a_made_up_city_are_a_coverage() -> None:
    cells = coverages.voronoi(500, side_m=50.0)
    assert len(cells) == 500
    assert coverage_faults(cells).clean
    assert shapely.area(cells.to_numpy()).mean() == pytest.approx(2_500, rel=0.1)


def test_areas_of_a_topology_are_those_of_its_shapes() -> None:
    outer, hole = box(0, 0, 4, 4), box(1, 1, 2, 2)
    shapes = gpd.GeoDataFrame(
        {"n": ["ring", "hole", "two"]},
        geometry=[
            Polygon(outer.exterior, [hole.exterior]),
            hole,
            MultiPolygon([box(5, 0, 6, 1), box(5, 3, 7, 4)]),
        ],
        crs=4326,
    )
    document = json.loads(encode_topology(shapes, ["n"], tolerance_m=0.0, quantization=1_000_000))
    found = topology.areas_by_name(document)
    assert found == pytest.approx({"ring": 15.0, "hole": 1.0, "two": 3.0}, abs=1e-4)


def test_tiles_are_placed_as_on_every_map() -> None:
    assert tiles.place_at(120.45, 37.63, 12) == tiles.Place(12, 3418, 1585)
    over = tiles.places_over((120.40, 37.60, 120.50, 37.70), 12)
    assert tiles.place_at(120.45, 37.63, 12) in over
    middle = np.array([[120.45 / 360 * tiles.WORLD_M, 4_529_000.0]])
    assert tiles.inside(tiles.Place(12, 3418, 1585), middle).all()


def test_squares_in_two_tiles_count_once() -> None:
    side = tiles.WORLD_M / (1 << 12)
    west = 3418 * side - tiles.WORLD_M / 2
    south = tiles.WORLD_M / 2 - 1586 * side
    to_mercator = Transformer.from_crs(coverages.METRE_SRID, 3857, always_xy=True)
    to_metres = Transformer.from_crs(3857, coverages.METRE_SRID, always_xy=True)
    x, y = (int(v // 500) * 500 for v in to_metres.transform(west + side, south + side / 2))
    square = shapely.transform(
        shapely.box(x, y, x + 500, y + 500),
        lambda xy: np.column_stack(to_mercator.transform(*xy.T)),
    )

    def tile(left: float) -> bytes:
        drawn = shapely.transform(square, lambda xy: (xy - [left, south]) / side * 4096)
        frame = shapely.box(-64, -64, 4160, 4160)
        feature = {
            "geometry": shapely.intersection(drawn, frame),
            "properties": {"n": 17, "size": 500},
        }
        layer = {"name": "density", "features": [feature]}
        encoded: bytes = mapbox_vector_tile.encode([layer])
        return encoded

    both = {
        tiles.Place(12, 3418, 1585): tile(west),
        tiles.Place(12, 3419, 1585): tile(west + side),
    }
    assert tiles.buildings_in_squares(both, coverages.METRE_SRID) == 17


def test_a_folium_page_asks_for_nothing_that_has_no_local_copy() -> None:
    page = frames._explored(_one_square())
    asked = stands._OUTSIDE.findall(page)
    assert len(asked) >= 9
    local = [stands._local(address) for address in asked]
    assert len(set(local)) == len(asked)
    rest = stands._OUTSIDE.sub("", page)
    assert not re.search(r'(?:src|href)="https?:', rest)
    with pytest.raises(CannotRunError, match="of which there is no copy"):
        stands._local("https://elsewhere.example/new.js")


def _one_square() -> Any:
    return gpd.GeoDataFrame({"n": ["one"]}, geometry=[shapely.box(120, 37, 121, 38)], crs=4326)
