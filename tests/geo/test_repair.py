"""Delivered areas become a coverage; whatever changed is in the list, and the list adds up."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, box

from geo.errors import DeliveryError, InvalidInputError, TopologyError
from geo.repair import CHANGES, DEFECTS, carried_back, examine, repair, scene

SRID = 26986
X, Y = 232_000.0, 902_000.0


def series(shapes: dict[str, Any]) -> gpd.GeoSeries:
    moved = [shapely.transform(shape, lambda c: c + np.array([X, Y])) for shape in shapes.values()]
    return gpd.GeoSeries(moved, index=list(shapes), crs=SRID)


def balanced(given_areas: gpd.GeoSeries, mended: Any, slack: float = 1e-5) -> bool:
    after = mended.areas.to_numpy()
    change = (mended.changes["gained_m2"] - mended.changes["ceded_m2"]).sum()
    valid = shapely.area(shapely.make_valid(given_areas.to_numpy(), method="structure")).sum()
    return bool(abs(shapely.area(after).sum() - valid - change) < slack)


def test_what_is_clean_comes_back_bit_by_bit() -> None:
    clean = series({"a": box(0, 0, 10, 10), "b": box(10, 0, 20, 10)})
    mended = repair(clean)
    assert shapely.equals_identical(mended.areas.to_numpy(), clean.to_numpy()).all()
    assert mended.defects.empty
    assert mended.changes.empty
    assert list(mended.defects.columns) == list(DEFECTS)
    assert list(mended.changes.columns) == list(CHANGES)


def test_an_overlap_goes_to_one_of_the_two() -> None:
    dirty = series({"a": box(0, 0, 10.1, 10), "b": box(10, 0, 20, 10)})
    mended = repair(dirty)
    assert shapely.coverage_is_valid(mended.areas.to_numpy())
    row = mended.defects.iloc[0]
    assert (row["kind"], row["subject"]) == ("overlap", "a and b")
    assert row["size_m2"] == pytest.approx(1.0)
    assert X + 10 <= row["x"] <= X + 10.1
    assert len(mended.changes) == 1
    assert mended.changes["ceded_m2"].iloc[0] == pytest.approx(1.0)
    assert balanced(dirty, mended)


def test_a_narrow_gap_is_closed_and_a_wide_one_is_left() -> None:
    ring = {
        "south": box(0, 0, 30, 10),
        "north": box(0, 20, 30, 30),
        "west": box(0, 10, 10, 20),
        "east": box(10.5, 10, 30, 20),
    }
    dirty = series(ring)
    mended = repair(dirty, gap_m=1.0)
    assert mended.defects["kind"].tolist() == ["gap"]
    assert mended.defects["done"].iloc[0].startswith("closed: given to west")
    assert mended.defects["sliver"].iloc[0]
    assert mended.areas.area.sum() == pytest.approx(900.0)
    wide = repair(dirty, gap_m=0.1)
    assert "left as it is" in wide.defects["done"].iloc[0]
    assert wide.areas.area.sum() == pytest.approx(895.0)
    assert balanced(dirty, mended)
    assert balanced(dirty, wide)


def test_a_ring_that_crosses_itself_is_made_valid() -> None:
    tie = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    dirty = series({"tie": tie, "b": box(10, 0, 20, 10)})
    mended = repair(dirty)
    assert shapely.is_valid(mended.areas.to_numpy()).all()
    row = mended.defects.iloc[0]
    assert (row["kind"], row["subject"]) == ("invalid_ring", "tie")
    assert "self-intersection" in row["done"]


def test_ends_that_miss_a_vertex_are_noded() -> None:
    dirty = series({"a": box(0, 0, 10, 20), "b": box(10, 0, 20, 10), "c": box(10, 10, 20, 20)})
    assert not shapely.coverage_is_valid(dirty.to_numpy())
    mended = repair(dirty)
    assert shapely.coverage_is_valid(mended.areas.to_numpy())
    assert mended.changes.empty, "no ground changed hands"


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"a": box(0, 0, 10, 10), "b": box(5, 0, 15, 10)}, "would change by"),
        ({"a": box(0, 0, 10, 10), "b": box(0, 0, 10, 10)}, "lies wholly on others"),
        ({"a": box(0, 0, 10, 10), "b": Polygon()}, "b has no ground"),
    ],
)
def test_contradictions_are_refused(shapes: dict[str, Any], words: str) -> None:
    with pytest.raises(DeliveryError, match=words):
        repair(series(shapes))


def test_degrees_are_refused() -> None:
    with pytest.raises(TopologyError):
        repair(series({"a": box(0, 0, 1, 1)}).set_crs(4326, allow_override=True))


def test_nothing_is_changed_in_place() -> None:
    dirty = series({"a": box(0, 0, 10.1, 10), "b": box(10, 0, 20, 10)})
    before = dirty.copy()
    repair(dirty)
    assert shapely.equals_identical(dirty.to_numpy(), before.to_numpy()).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-0.3, 0.3), min_size=24, max_size=24))
def test_shaken_lattices_become_coverages_and_balance(shakes: list[float]) -> None:
    shapes = {}
    steps = iter(shakes)
    for row in range(2):
        for column in range(3):
            x, y = column * 50.0, row * 50.0
            shapes[f"{row}{column}"] = box(
                x + next(steps), y + next(steps), x + 50 + next(steps), y + 50 + next(steps)
            )
    dirty = series(shapes)
    mended = repair(dirty, gap_m=2.0)
    after = mended.areas.to_numpy()
    assert shapely.coverage_is_valid(after)
    united = shapely.union_all(after).area
    assert abs(shapely.area(after).sum() - united) <= 1e-9 * united
    assert balanced(dirty, mended)


def test_decisions_settle_what_is_asked() -> None:
    torn = series({"a": box(0, 0, 12, 10), "b": box(10, 0, 20, 10), "c": box(20, 0, 30, 10)})
    asked = examine(torn)
    assert asked.torn.index.tolist() == ["a"] or asked.torn.index.tolist() == ["b"]
    question = asked.questions.iloc[0]
    assert (question["key"], question["options"]) == ("overlap a|b", ("a", "b"))
    assert question["size_m2"] == pytest.approx(20.0)
    assert shapely.area(question["geometry"]) == pytest.approx(20.0)
    for keeper, sizes in (("a", [120, 80, 100]), ("b", [100, 100, 100])):
        settled = repair(torn, decisions={"overlap a|b": keeper})
        assert settled.areas.area.tolist() == pytest.approx(sizes)
        assert settled.torn.empty
        assert "as decided" in settled.defects.set_index("kind")["done"]["overlap"]
    with pytest.raises(InvalidInputError, match="options are a, b"):
        repair(torn, decisions={"overlap a|b": "c"})
    with pytest.raises(InvalidInputError, match="answer no question"):
        repair(torn, decisions={"overlap a|c": "c"})
    with pytest.raises(InvalidInputError, match="answer no question"):
        repair(torn.iloc[1:], decisions={"overlap a|c": "c"})


def test_gaps_are_decided_too() -> None:
    ring = {
        "south": box(0, 0, 30, 10),
        "north": box(0, 20, 30, 30),
        "west": box(0, 10, 10, 20),
        "east": box(10.5, 10, 30, 20),
    }
    dirty = series(ring)
    key = examine(dirty, largest_change=0.01).questions["key"].iloc[0]
    assert key.startswith("gap 2320")
    assert repair(dirty, decisions={key: "east"}).areas.area["east"] == pytest.approx(200)
    left = repair(dirty, decisions={key: "nobody"})
    assert left.areas.area.sum() == pytest.approx(895)
    assert "as decided: left as it is" in left.defects["done"].iloc[0]


def test_an_area_twice_is_asked_and_dropped_only_by_decision() -> None:
    twice = series({"a": box(0, 0, 10, 10), "b": box(10, 0, 20, 10), "copy": box(10, 0, 20, 10)})
    asked = examine(twice)
    assert set(asked.torn.index) == {"copy"}
    assert asked.defects["kind"].tolist() == ["overlap"]
    assert "lies wholly on others" in asked.torn["said"].iloc[0]
    people = pd.Series([5.0, 7.0, 7.0], index=twice.index)
    settled = repair(twice, decisions={"overlap b|copy": "b"}, weights=people)
    assert settled.dropped == ("copy",)
    assert settled.areas.index.tolist() == ["a", "b"]
    figures = settled.figures()
    assert (figures["value_before"], figures["value_after"]) == (19.0, 12.0)
    assert figures["value_residual"] == 7.0
    assert figures["dropped"] == 1


def test_an_island_is_cut_out_of_the_area_it_lies_in() -> None:
    school = box(40, 40, 50, 50)
    mended = repair(series({"whole": box(0, 0, 100, 100), "school": school}))
    assert mended.areas.area.tolist() == pytest.approx([9900, 100])
    assert "left to school" in mended.defects["done"].iloc[0]
    assert len(shapely.get_rings(mended.areas["whole"])) == 2


def test_labels_that_occur_twice_are_told_apart() -> None:
    dirty = series({"a": box(0, 0, 10.1, 10), "b": box(10, 0, 20, 10), "c": box(20, 0, 30, 10)})
    dirty.index = ["x", "x", "y"]
    mended = repair(dirty)
    assert mended.areas.index.tolist() == ["x", "x", "y"]
    assert mended.defects["subject"].iloc[0] == "x and x (2)"
    assert mended.sizes.index.tolist() == ["x", "x (2)", "y"]


def test_counts_are_accounted_for() -> None:
    dirty = series({"a": box(0, 0, 10.1, 10), "b": box(10, 0, 20, 10)})
    mended = repair(dirty, weights=pd.Series([101.0, 40.0], index=dirty.index))
    assert mended.counted is not None
    assert mended.counted["before"].tolist() == mended.counted["after"].tolist() == [101.0, 40.0]
    assert mended.figures()["value_residual"] == 0
    ceded = mended.counted["on_ceded"]
    assert ceded.max() == pytest.approx(0.4 if ceded["b"] else 1.0)
    with pytest.raises(InvalidInputError):
        repair(dirty, weights=pd.Series([1.0], index=["a"]))


def test_heights_lines_and_several_parts() -> None:
    mixed = shapely.GeometryCollection([box(10, 0, 20, 10), shapely.LineString([(10, 0), (9, 9)])])
    parts = shapely.MultiPolygon([box(20, 0, 30, 10), box(40, 0, 50, 10)])
    given_areas = series({"high": box(0, 0, 10, 10), "mixed": mixed, "parts": parts})
    given_areas["high"] = shapely.force_3d(given_areas["high"], 3.0)
    mended = repair(given_areas)
    assert set(mended.defects["kind"]) == {"height", "mixed"}
    assert not shapely.has_z(mended.areas.to_numpy()).any()
    assert shapely.get_type_id(mended.areas.to_numpy()).tolist() == [3, 3, 6]
    assert mended.areas.area.tolist() == [100, 100, 200]


def test_a_needle_is_taken_off_and_a_narrow_wedge_stays() -> None:
    needle = Polygon([(0, 0), (10, 0), (10, 4.999), (30, 5), (10, 5.001), (10, 10), (0, 10)])
    wedge = Polygon([(0, 20), (10, 20), (10, 24), (12, 25), (10, 26), (10, 30), (0, 30)])
    clean = series({"n": needle, "w": wedge, "o": box(-10, 0, 0, 10.2), "p": box(-10, 10, 0, 30)})
    mended = repair(clean)
    kinds = mended.defects.set_index("kind")["subject"]
    assert kinds["needle"] == "n"
    assert mended.areas["n"].area == pytest.approx(100.0, abs=0.05)
    assert mended.areas["w"].area == pytest.approx(wedge.area, abs=1e-6)
    assert shapely.coverage_is_valid(mended.areas.to_numpy())


def test_an_area_of_nothing_is_refused_and_a_bow_tie_of_sum_zero_is_not() -> None:
    with pytest.raises(DeliveryError, match="line has no ground"):
        repair(series({"line": Polygon([(0, 0), (10, 10), (5, 5)]), "b": box(0, 0, 1, 1)}))
    tie = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    mended = repair(series({"tie": tie}))
    assert mended.areas.area.iloc[0] == pytest.approx(50.0)
    entry = mended.ledger.iloc[0]
    assert (entry["kind"], entry["gained_m2"]) == ("invalid_ring", pytest.approx(50.0))


def test_corners_that_are_no_numbers_are_refused() -> None:
    with np.errstate(invalid="ignore"):
        broken = Polygon([(0, 0), (np.nan, 10), (10, 10)])
        dirty = series({"fine": box(0, 0, 1, 1), "broken": broken})
    with pytest.raises(DeliveryError, match="broken has corners that are no numbers"):
        repair(dirty)


def test_nothing_is_nothing() -> None:
    none = examine(series({"a": box(0, 0, 1, 1)}).iloc[:0])
    assert none.figures()["areas"] == 0
    assert none.defects.empty


def test_the_picture_of_a_defect_shows_before_and_after() -> None:
    dirty = series({"a": box(0, 0, 10.1, 10), "b": box(10, 0, 20, 10), "c": box(500, 0, 510, 10)})
    mended = repair(dirty)
    picture = scene(mended, mended.defects.geometry.iloc[0])
    assert picture.before.index.tolist() == picture.after.index.tolist() == ["a", "b"]
    assert picture.before.area.sum() - picture.after.area.sum() == pytest.approx(1.0)
    assert picture.bounds[0] == pytest.approx(X + 5, abs=0.1)
    with pytest.raises(TopologyError, match="no place"):
        scene(mended, shapely.Point())


def test_repaired_areas_go_back_with_their_old_vertices() -> None:
    dirty = series({"a": box(0, 0, 10.1, 10), "b": box(10, 0, 20, 10), "c": box(0, 10, 20, 30)})
    degrees = dirty.to_crs(4326)
    metres = degrees.to_crs(SRID)
    mended = repair(metres)
    back = carried_back(mended.areas, metres, degrees)
    assert back.crs == 4326
    assert shapely.coverage_is_valid(back.to_numpy())
    old = set(map(tuple, shapely.get_coordinates(degrees.to_numpy()).tolist()))
    new = set(map(tuple, shapely.get_coordinates(back.to_numpy()).tolist()))
    assert len(new & old) >= 8
    with pytest.raises(TopologyError):
        carried_back(mended.areas, metres.iloc[:1], degrees)
