"""Delivered areas become a coverage; whatever changed is in the list, and the list adds up."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, box

from geo.errors import DeliveryError, TopologyError
from geo.repair import CHANGES, DEFECTS, repair

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
