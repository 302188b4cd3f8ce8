"""Two nets laid on each other, against plain pandas and geopandas; sums that are exact."""

from __future__ import annotations

from math import fsum, pi

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from geo.compare import (
    CROSSWALK,
    balance,
    compare,
    crosswalk,
    overlaps,
    overlay,
    polsby_popper,
    without_overlaps,
)
from geo.errors import TopologyError
from tests.coverages import METRE_SRID, boundaries_of, lattice, nearest_labels, voronoi

LABELS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d"]))
ROWS = st.lists(
    st.tuples(LABELS, LABELS, st.floats(0, 1e6), st.integers(0, 1000)), min_size=1, max_size=40
)


def pieces(*rows: tuple[object, object, float, float]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["old", "new", "area_m2", "weight"])


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_crosswalk_is_what_plain_grouping_gives_in_any_order(rows, random) -> None:
    frame = pieces(*rows)
    table = crosswalk(frame)
    assert tuple(table.columns) == CROSSWALK
    shuffled = list(rows)
    random.shuffle(shuffled)
    pd.testing.assert_frame_equal(table, crosswalk(pieces(*shuffled)))
    plain = frame.fillna("-").groupby(["old", "new"])[["area_m2", "weight"]].agg(list)
    assert len(plain) == len(table)
    for row in table.fillna({"old": "-", "new": "-"}).itertuples():
        listed = plain.loc[(row.old, row.new)]
        assert row.area_m2 == fsum(listed["area_m2"])
        assert row.weight == sum(listed["weight"])
    inside = table[table["new"].notna() & table["old"].notna()]
    assert (inside["weight_share_old"].dropna() <= 1).all()
    for label, part in table[table["old"].notna()].groupby("old"):
        whole = frame[frame["old"] == label]["weight"].sum()
        assert part["weight"].sum() == whole
        if whole:
            assert part["weight_share_old"].sum() == pytest.approx(1)


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_what_moves_and_what_becomes_of_grids(rows) -> None:
    frame = pieces(*rows)
    found = compare(frame)
    inside = frame[frame["old"].notna() & frame["new"].notna()]
    moved = inside[inside["old"] != inside["new"]]
    assert found.moved_weight == moved["weight"].sum()
    assert found.moved_area_m2 == pytest.approx(fsum(moved["area_m2"]))
    assert found.moved_pieces == len(moved)
    assert set(found.old.index) == set(frame["old"].dropna())
    words = found.verdicts()
    assert sum(words["old"].values()) == len(found.old)
    assert sum(words["new"].values()) == len(found.new)
    kept = set(found.old.index) & set(found.new.index)
    assert words["old"]["kept"] == words["new"]["kept"] == len(kept)
    by_ground = compare(frame, by_label=False)
    partners = by_ground.old["partner"].dropna()
    assert partners.is_unique
    for left, right in partners.items():
        assert by_ground.new.loc[right, "partner"] == left
    total = fsum(inside["area_m2"])
    assert 0 <= by_ground.moved_area_m2 <= total * (1 + 1e-12)


def test_a_net_against_itself_moves_nothing_whatever_the_labels() -> None:
    frame = pieces(("a", "x", 5.0, 3), ("b", "y", 7.0, 4))
    found = compare(frame, by_label=False)
    assert (found.moved_area_m2, found.moved_weight, found.same) == (0, 0, 2)
    assert found.verdicts()["old"] == {"kept": 2, "split": 0, "merged": 0, "ended": 0}
    assert compare(frame).moved_weight == 7
    assert compare(frame).same == 2


def test_a_split_a_merger_a_beginning_and_an_end() -> None:
    found = compare(
        pieces(
            ("split", "half 1", 50.0, 60),
            ("split", "half 2", 50.0, 40),
            ("one", "both", 30.0, 30),
            ("two", "both", 30.0, 31),
            ("kept", "kept 2", 90.0, 90),
            ("kept", "half 2", 2.0, 5),
            (None, "fresh", 10.0, 0),
            ("gone", None, 10.0, 9),
        ),
        by_label=False,
    )
    assert found.old["verdict"].to_dict() == {
        "gone": "ended", "kept": "kept", "one": "merged", "split": "split", "two": "merged",
    }  # fmt: skip
    assert found.new["verdict"].to_dict() == {
        "both": "merged", "fresh": "new", "half 1": "split", "half 2": "split", "kept 2": "kept",
    }  # fmt: skip
    assert found.old["partner"].to_dict() == {
        "gone": None, "kept": "kept 2", "one": None, "split": "half 1", "two": "both",
    }  # fmt: skip
    assert found.moved_weight == 40 + 30 + 5


@pytest.mark.parametrize(
    ("share", "verdict"), [(80, "kept"), (79, "ended")], ids=["80 % both ways", "one way"]
)
def test_eighty_percent_both_ways(share: int, verdict: str) -> None:
    found = compare(
        pieces(("a", "x", 1.0, share), ("a", "y", 1.0, 100 - share), ("b", "y", 1.0, 40),
               ("c", "y", 1.0, 40)),
        by_label=False,
    )  # fmt: skip
    assert found.old.loc["a", "verdict"] == verdict


def test_where_nobody_lives_the_ground_decides() -> None:
    found = compare(pieces(("park", "green", 90.0, 0), ("park", "rest", 10.0, 0)), by_label=False)
    assert found.old.loc["park", "verdict"] == "kept"
    assert found.old.loc["park", "partner"] == "green"


@pytest.mark.parametrize("seed", [1, 2])
def test_an_overlay_is_what_geopandas_gives(seed: int) -> None:
    cells = voronoi(300, seed=seed)
    old = boundaries_of(cells, nearest_labels(cells, 12, seed=seed)).geometry
    new = boundaries_of(voronoi(280, seed=seed + 9), nearest_labels(voronoi(280, seed=seed + 9), 9))
    new = new.geometry.translate(300.5, -120.25)
    weight = pd.Series(np.arange(100, 100 + len(old)), index=old.index)
    table, residual_m2 = overlay(old, new, weight)
    plain = gpd.overlay(
        gpd.GeoDataFrame({"a": old.index}, geometry=old.to_numpy(), crs=METRE_SRID),
        gpd.GeoDataFrame({"b": new.index}, geometry=new.to_numpy(), crs=METRE_SRID),
        how="union",
    )
    expected = plain.assign(m2=plain.area).fillna({"a": -1, "b": -1}).groupby(["a", "b"])["m2"]
    expected = expected.sum()
    for row in table.fillna({"old": -1, "new": -1}).itertuples():
        assert row.area_m2 == pytest.approx(expected.loc[(row.old, row.new)], abs=1e-3)
    assert residual_m2 < 1e-5
    for label, part in table[table["old"].notna()].groupby("old"):
        assert fsum(part["area_m2"]) == pytest.approx(old.loc[label].area, rel=1e-9)
        assert part["weight"].sum() == weight.loc[label]
        assert (part["weight"] == part["weight"].round()).all()


def test_nets_of_cells_and_their_polygons_say_the_same() -> None:
    cells = voronoi(400, seed=5)
    one, two = (nearest_labels(cells, 14, seed=seed) for seed in (3, 4))
    by_cells = compare(pieces(*zip(one, two, cells.area, np.zeros(len(cells)), strict=True)))
    old, new = (
        boundaries_of(cells, labels).geometry.set_axis(sorted(labels.unique()))
        for labels in (one, two)
    )
    table, _ = overlay(old, new)
    by_ground = compare(table)
    assert by_ground.moved_area_m2 == pytest.approx(by_cells.moved_area_m2, abs=1e-3)
    joined = by_cells.crosswalk.merge(by_ground.crosswalk, on=["old", "new"], how="outer")
    both = joined.fillna({"area_m2_x": 0, "area_m2_y": 0})
    assert np.abs(both["area_m2_x"] - both["area_m2_y"]).max() < 1e-3


def test_balance() -> None:
    values = pd.Series([80, 100, 121, 0])
    found = balance(values, target=100)
    off = (values - 100).abs() / 100
    assert found["within"] == int((off <= 0.2).sum()) == 2
    assert found["mean_deviation"] == pytest.approx(off.mean())
    assert found["largest_deviation"] == 1.0
    assert balance(values)["target"] == values.mean()
    assert balance([])["within"] is None
    assert balance([0, 0])["within_share"] is None


def test_compactness() -> None:
    circle = shapely.Point(0, 0).buffer(10, quad_segs=400)
    ring = box(0, 0, 10, 10).difference(box(2, 2, 8, 8))
    found = polsby_popper(gpd.GeoSeries([box(0, 0, 4, 4), circle, ring], crs=METRE_SRID))
    assert found.round(6).tolist() == [
        round(pi / 4, 6),
        pytest.approx(1, abs=1e-5),
        round(4 * pi * 64 / 64**2, 6),
    ]


def test_ground_claimed_twice_is_left_to_the_first() -> None:
    shapes = gpd.GeoSeries([box(0, 0, 10, 10), box(8, 0, 20, 10), box(9, 0, 9.5, 10)],
                           index=["a", "b", "c"], crs=METRE_SRID)  # fmt: skip
    found = overlaps(shapes)
    assert found[["first", "second", "area_m2"]].to_numpy().tolist() == [
        ["a", "b", 20.0], ["a", "c", 5.0], ["b", "c", 5.0],
    ]  # fmt: skip
    mended = without_overlaps(shapes, found)
    assert mended.area.tolist() == [100.0, 100.0, 0.0]
    assert overlaps(mended).empty
    assert overlaps(lattice(4, 4)).empty


def test_what_is_refused() -> None:
    with pytest.raises(TopologyError, match="weight"):
        compare(pieces(("a", "b", 1.0, -1)))
    with pytest.raises(TopologyError, match="no column weight"):
        compare(pd.DataFrame({"old": ["a"], "new": ["a"], "area_m2": [1.0]}))
    with pytest.raises(TopologyError, match="degrees"):
        polsby_popper(gpd.GeoSeries([box(0, 0, 1, 1)], crs=4326))
    with pytest.raises(TopologyError, match="twice"):
        twice = gpd.GeoSeries([box(0, 0, 1, 1)] * 2, index=["a", "a"], crs=METRE_SRID)
        overlay(twice, twice)
