"""Later deliveries against what stands: the same twice is no change; codes, households, places."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Point, Polygon, box

from geo.errors import TopologyError
from geo.matching import VERDICTS, Difference, match_features, match_grids
from tests.coverages import CORNER, METRE_SRID, lattice, voronoi


def frame(shapes: Any, **columns: Any) -> gpd.GeoDataFrame:
    moved = shapely.transform(np.array(shapes, dtype=object), lambda places: places + CORNER)
    return gpd.GeoDataFrame(columns, geometry=moved, crs=METRE_SRID)


def grids(n: int = 12) -> gpd.GeoDataFrame:
    cells = voronoi(n, seed=3)
    columns = {"code": [f"{k:03d}" for k in range(n)], "name": [f"网格{k}" for k in range(n)]}
    return gpd.GeoDataFrame(columns, geometry=cells.to_numpy(), crs=METRE_SRID)


def homes(count: int = 4_000) -> gpd.GeoDataFrame:
    places = np.random.default_rng(1).uniform(0, 2_000, (count, 2))
    return frame(shapely.points(places), households=np.full(count, 3))


def verdicts(found: Difference) -> list[tuple[Any, ...]]:
    rows = found.pairs[["standing", "delivered", "verdict", "how"]]
    return [tuple(row) for row in rows.to_numpy(object).tolist()]


def test_the_same_delivery_changes_nothing() -> None:
    standing = grids()
    found = match_grids(standing, standing.copy(), homes())
    assert found.nothing_changed
    assert found.counts() == {"same": 12, "changed": 0, "new": 0, "gone": 0, "proposed": 0}
    assert found.fields.empty
    assert found.doubtful.empty
    turned = standing.to_crs(4326).to_crs(METRE_SRID).sample(frac=1, random_state=1)
    turned["geometry"] = shapely.reverse(turned.geometry.to_numpy())
    assert match_grids(standing, turned, homes()).nothing_changed, "order, rings and digits aside"
    bare = standing.assign(code=None)
    again = match_grids(standing, bare, homes())
    assert again.nothing_changed
    assert again.counts()["proposed"] == 12


def test_grids_are_proposed_at_eighty_percent_of_households_both_ways() -> None:
    standing = frame([box(0, 0, 100, 100), box(100, 0, 200, 100)], code=["1", "2"], name=["a", "b"])
    delivered = frame([box(0, 0, 90, 100), box(90, 0, 200, 100)], code=["8", "9"], name=["a", "b"])
    dense = np.column_stack([np.arange(0.5, 200), np.full(200, 50)])
    even = frame(shapely.points(dense), households=np.ones(len(dense)))
    found = match_grids(standing, delivered, even)
    assert verdicts(found) == [
        (0, 0, "changed", "households"),
        (1, 1, "changed", "households"),
    ]
    assert found.pairs["share_standing"].tolist() == pytest.approx([0.9, 1.0])
    assert found.pairs["share_delivered"].tolist() == pytest.approx([1.0, 100 / 110])
    assert found.pairs["certainty"].tolist() == pytest.approx([0.9, 100 / 110])
    assert found.pairs["moved"].tolist() == pytest.approx([1000, 1000])
    crowd = even.assign(households=np.where(dense[:, 0] > 90, 20, 1))
    crowded = match_grids(standing, delivered, crowd)
    assert [row[2] for row in verdicts(crowded)] == ["gone", "changed", "new"]
    empty = match_grids(standing, delivered, even.assign(households=0))
    assert [row[3] for row in verdicts(empty)] == ["ground", "ground"], "no households: ground"


def test_a_code_wins_over_the_ground_and_fields_are_told() -> None:
    standing = frame([box(0, 0, 9, 9), box(9, 0, 18, 9)], code=["1", "2"], name=["东", "西"])
    delivered = frame(
        [box(0, 0, 9, 9), box(9, 0, 18, 9), box(18, 0, 27, 9)],
        code=[2, 1, 3],
        name=["东", " 西 ", None],
    )
    found = match_grids(standing, delivered, homes(10))
    assert verdicts(found) == [
        (0, 1, "changed", "code"),
        (1, 0, "changed", "code"),
        (None, 2, "new", ""),
    ]
    told = found.fields.to_numpy(object).tolist()
    assert told == [[0, 1, "name", "东", " 西 "], [1, 0, "name", "西", "东"]]
    assert found.pairs["fields"].tolist() == [("name",), ("name",), ()]
    assert found.pairs["moved"].iloc[0] == pytest.approx(162.0)


def test_a_code_that_occurs_twice_identifies_nothing() -> None:
    standing = frame([box(0, 0, 9, 9), box(9, 0, 18, 9)], code=["1", "1"], name=["a", "b"])
    found = match_features(standing, standing, "areas")
    assert found.doubtful.to_numpy(object).tolist() == [["1", 2, 2]]
    assert [row[2:] for row in verdicts(found)] == [("same", "ground")] * 2
    blank = standing.assign(code=["", None])
    assert match_features(blank, blank, "areas").doubtful.empty


def test_buildings_by_overlap() -> None:
    standing = frame(
        [box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10)], code=None, name=["1", "2", "3"]
    )
    delivered = frame(
        [box(24, 0, 34, 10), box(0, 0, 10, 12), box(60, 0, 70, 10)], code=None, name=["2", "1", "4"]
    )
    found = match_features(standing, delivered, "areas")
    assert verdicts(found) == [
        (0, 1, "changed", "ground"),
        (1, 0, "changed", "ground"),
        (2, None, "gone", ""),
        (None, 2, "new", ""),
    ]
    assert found.pairs["moved"].tolist()[:2] == pytest.approx([20, 80])
    strict = match_features(standing, delivered, "areas", overlap=0.7)
    assert strict.counts() == {"same": 0, "changed": 1, "new": 2, "gone": 2, "proposed": 1}


def test_what_was_written_with_seven_digits_is_the_same() -> None:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rings = [np.column_stack([np.cos(angle), np.sin(angle)]) * 30 + (90 * n, 0) for n in range(9)]
    standing = frame([Polygon(ring) for ring in rings], code=[str(n) for n in range(9)], name="")
    rounded = standing.to_crs(4326)
    rounded.geometry = shapely.set_precision(rounded.geometry, 1e-7, mode="pointwise")
    found = match_features(standing, rounded.to_crs(standing.crs), "areas")
    assert found.counts()["same"] == 9
    assert (found.pairs["moved"] == 0).all()


@pytest.mark.parametrize(
    "other",
    [
        box(0, 0, 20, 10).union(box(20, 4, 20.5, 4.5)),
        box(0, 0, 20.03, 10),
        box(0, 0, 20, 10).difference(box(9, 4.9, 9.2, 5.1)),
    ],
    ids=["a step", "three centimetres", "a shaft"],
)
def test_a_small_change_of_a_building_is_one(other: Polygon) -> None:
    standing = frame([box(0, 0, 20, 10)], code=["1"], name=["a"])
    found = match_features(standing, frame([other], code=["1"], name=["a"]), "areas")
    assert found.counts()["changed"] == 1
    assert found.pairs["moved"].iloc[0] == pytest.approx(other.symmetric_difference(
        box(0, 0, 20, 10)).area)  # fmt: skip


def test_the_same_corners_in_another_order_are_another_shape() -> None:
    one = Polygon([(0, 0), (10, 0), (5, 2), (5, 10)])
    two = Polygon([(0, 0), (5, 2), (10, 0), (5, 10)])
    found = match_features(frame([one], code=["1"], name=["a"]),
                           frame([two], code=["1"], name=["a"]), "areas")  # fmt: skip
    assert found.counts()["changed"] == 1


def test_stations_and_streets_by_name_and_nearness() -> None:
    standing = frame([Point(0, 0), Point(100, 0), Point(300, 0)], name=["驿站", "驿站", "食堂"])
    delivered = frame([Point(104, 3), Point(0, 0), Point(340, 0)], name=["驿站 ", "新驿站", "食堂"])
    found = match_features(standing, delivered, "points", code=None)
    assert verdicts(found) == [
        (0, 1, "changed", "place"),
        (1, 0, "changed", "name and place"),
        (2, None, "gone", ""),
        (None, 2, "new", ""),
    ]
    assert found.pairs["moved"].tolist()[:2] == pytest.approx([0, 5])
    lines = [LineString([(0, 0), (100, 0)]), LineString([(0, 50), (100, 50)])]
    streets = frame(lines, name=["A street", "B street"])
    shifted = frame([LineString([(0, 4), (100, 3)]), lines[1]], name=["a street", "B street"])
    found = match_features(streets, shifted, "lines", code=None)
    assert [row[2:] for row in verdicts(found)] == [
        ("changed", "name and place"),
        ("same", "place"),
    ]
    assert found.pairs["moved"].iloc[0] == pytest.approx(4)
    assert match_features(streets, streets, "lines", code=None).nothing_changed


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["code", None]))
def test_the_order_of_rows_decides_nothing(seed: int, code: str | None) -> None:
    rng = np.random.default_rng(seed)
    squares = lattice(6, 5, side_m=20.0)
    standing = gpd.GeoDataFrame(
        {"code": np.arange(30), "name": "x"}, geometry=squares.to_numpy(), crs=METRE_SRID
    )
    delivered = standing.drop(index=rng.choice(30, 5, replace=False))
    shift = rng.uniform(-6, 6, (len(delivered), 2))
    delivered["geometry"] = [
        shapely.transform(shape, lambda places, by=by: places + by)
        for shape, by in zip(delivered.geometry, shift, strict=True)
    ]
    straight = match_features(standing, delivered, "areas", code=code)
    mixed = match_features(
        standing.sample(frac=1, random_state=seed),
        delivered.sample(frac=1, random_state=seed + 1),
        "areas",
        code=code,
    )
    key = ["standing", "delivered", "verdict", "how"]
    one, two = (
        found.pairs[key].astype(str).sort_values(key).reset_index(drop=True)
        for found in (straight, mixed)
    )
    pd.testing.assert_frame_equal(one, two)
    pairs = straight.pairs
    assert set(pairs["verdict"]) <= set(VERDICTS)
    assert sorted(pairs["standing"].dropna()) == list(range(30)), "each once"
    assert sorted(pairs["delivered"].dropna()) == sorted(delivered.index)
    back = match_features(delivered, standing, "areas", code=code).counts()
    there = straight.counts()
    assert (back["new"], back["gone"]) == (there["gone"], there["new"])


def test_nothing_against_nothing_and_nothing_against_something() -> None:
    some = grids(3)
    none = some.iloc[:0]
    assert match_grids(none, none, homes(5)).nothing_changed
    assert match_grids(none, some, homes(5)).counts()["new"] == 3
    assert match_grids(some, none, homes(5)).counts()["gone"] == 3
    assert match_features(some, none, "areas").counts()["gone"] == 3


def test_what_cannot_be_compared_is_refused() -> None:
    some = grids(3)
    with pytest.raises(TopologyError, match="two reference systems"):
        match_features(some, some.to_crs(4548), "areas")
    with pytest.raises(TopologyError, match="in degrees"):
        match_features(some.to_crs(4326), some, "areas")
    with pytest.raises(TopologyError, match="no column floors"):
        match_features(some, some, "areas", fields=("floors",))
    with pytest.raises(TopologyError, match="households"):
        match_grids(some, some, homes(5).drop(columns="households"))
    with pytest.raises(TopologyError, match="occur twice"):
        match_features(some, pd.concat([some, some]), "areas")
