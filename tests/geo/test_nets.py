"""Several nets become one: slivers, votes, outlines, streets, cells, the account of grids."""

from __future__ import annotations

from math import fsum

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Polygon, box

from geo.errors import TopologyError
from geo.nets import Merged, Net, differences, fitted, merge_nets, pairs

SRID = 26986
EAST, NORTH = 230_000.0, 900_000.0
TOLERANCE_M = 5.0


def series(*shapes: shapely.Geometry) -> gpd.GeoSeries:
    """Return shapes as a net far from the origin, named a, b, c ..."""
    moved = shapely.transform(np.array(shapes), lambda xy: np.add(xy, (EAST, NORTH)))
    return gpd.GeoSeries(moved, index=[chr(97 + k) for k in range(len(shapes))], crs=SRID)


def halves(at: float, low: float = 0.0, high: float = 100.0) -> gpd.GeoSeries:
    return series(box(0, low, at, high), box(at, low, 200, high))


def stands(found: Merged, tolerance_m: float = TOLERANCE_M) -> None:
    """Check what holds of every proposal."""
    figures = found.figures()
    total = fsum(found.grids["area_m2"])
    assert figures["coverage_valid"]
    assert figures["outline_difference_m2"] < 1e-6
    assert figures["area_difference_m2"] < 1e-6
    assert figures["crosswalk_residual_m2"] < 1e-9 * total
    assert figures["contiguity_violations"] == 0
    if len(found.below) == 0:
        assert figures["pieces_under_1_m2"] == 0
        assert figures["narrowest_m"] >= tolerance_m
    by_grid = found.crosswalk.groupby(["net", "row"])["area_m2"].sum()
    whole = found.grids.set_index(["net", "row"])["area_m2"].reindex(by_grid.index)
    assert np.allclose(by_grid, whole, atol=1e-9 * total)


def test_one_street_drawn_twice_is_one_border_that_of_the_first_net() -> None:
    nets = [Net("fire", halves(100)), Net("police", halves(103))]
    found = merge_nets(nets, tolerance_m=TOLERANCE_M)
    stands(found)
    assert found.units["area_m2"].tolist() == [10_000, 10_000]
    assert found.units[["fire", "police"]].to_numpy().tolist() == [["a", "a"], ["b", "b"]]
    turned = merge_nets(nets[::-1], tolerance_m=TOLERANCE_M)
    assert turned.units["area_m2"].tolist() == [10_300, 9_700]


def test_the_heavier_vote_keeps_its_border() -> None:
    nets = [Net("fire", halves(100)), Net("police", halves(103), weight=2.0)]
    assert merge_nets(nets).units["area_m2"].tolist() == [10_300, 9_700]
    two_against_one = [Net("fire", halves(100)), Net("a", halves(103)), Net("b", halves(103))]
    assert merge_nets(two_against_one).units["area_m2"].tolist() == [10_300, 9_700]


def test_borders_farther_apart_than_the_tolerance_stay() -> None:
    nets = [Net("fire", halves(100)), Net("police", halves(120))]
    found = merge_nets(nets, tolerance_m=TOLERANCE_M)
    stands(found)
    assert sorted(found.units["area_m2"].tolist()) == [2_000, 8_000, 10_000]


def test_the_outline_is_covered_exactly_and_what_is_beyond_is_told() -> None:
    outline = series(box(3, 2, 190, 96))
    found = merge_nets([Net("fire", halves(100)), Net("police", halves(103))], outline=outline)
    stands(found)
    assert found.units["area_m2"].sum() == pytest.approx(187 * 94, abs=1e-6)
    grids = found.grids.set_index(["net", "grid"])
    assert grids.loc[("fire", "a"), "outside_m2"] == pytest.approx(10_000 - 97 * 94, abs=1e-6)
    short = merge_nets([Net("fire", halves(100, high=60))], outline=series(box(0, 0, 200, 100)))
    stands(short)
    assert short.units["fire"].isna().sum() == 1, "ground of no net is a unit of its own"


def test_a_net_that_overlaps_itself_is_answered_and_reported() -> None:
    dirty = series(box(0, 0, 110, 100), box(100, 0, 200, 100))
    found = merge_nets([Net("fire", dirty)])
    stands(found)
    grids = found.grids.set_index("grid")
    assert grids["overlap_m2"].to_dict() == {"a": 1_000.0, "b": 0.0}, "the smaller grid has it"
    assert fsum(found.units["area_m2"]) == 20_000


def test_crossed_rings_and_rows_without_ground_do_not_stop_it() -> None:
    dirty = series(Polygon([(0, 0), (100, 100), (100, 0), (0, 100)]), box(100, 0, 200, 100))
    found = merge_nets([Net("fire", dirty), Net("police", halves(100))])
    stands(found)
    assert found.laid.invalid == [1, 0]


def test_a_street_outweighs_all_departments() -> None:
    street = gpd.GeoSeries([LineString([(EAST + 102, NORTH - 20), (EAST + 102, NORTH + 120)])])
    nets = [Net("fire", halves(100)), Net("police", halves(100))]
    found = merge_nets(nets, lines=street.set_crs(SRID), tolerance_m=TOLERANCE_M)
    stands(found)
    assert found.units["area_m2"].tolist() == pytest.approx([10_200, 9_800], abs=25)


def test_cells_are_not_cut() -> None:
    cells = series(*[box(40 * k, 0, 40 * k + 40, 100) for k in range(5)])
    found = merge_nets([Net("fire", halves(100)), Net("police", halves(103))], cells=cells)
    stands(found)
    assert sorted(found.units["area_m2"].tolist()) == [8_000, 12_000]


def test_units_below_the_least_size_go_where_most_agree() -> None:
    three = series(box(0, 0, 100, 100), box(100, 0, 110, 100), box(110, 0, 200, 100))
    nets = [Net("fire", halves(110)), Net("police", three)]
    assert len(merge_nets(nets).units) == 3
    found = merge_nets(nets, least_m2=2_000)
    stands(found)
    assert sorted(found.units["area_m2"].tolist()) == [9_000, 11_000]


def test_counts_stay_whole_and_add_up() -> None:
    people = pd.Series([1000.0, 333.0], index=["a", "b"])
    nets = [Net("fire", halves(100), counts=people), Net("police", halves(130))]
    found = merge_nets(nets)
    assert found.units["value"].sum() == 1333
    assert (found.units["value"] % 1 == 0).all()
    assert merge_nets(nets, least_value=300).units["value"].min() >= 300
    with pytest.raises(TopologyError, match="negative"):
        merge_nets([Net("fire", halves(100), counts=-people)])


def test_pairs_tell_how_two_nets_differ() -> None:
    nets = [Net("fire", halves(100)), Net("police", halves(103, high=90))]
    found = merge_nets(nets)
    row = pairs(nets, found.laid, tolerance_m=TOLERANCE_M).iloc[0]
    assert (row["first"], row["second"]) == ("fire", "police")
    assert row["common_m2"] == 18_000
    assert (row["first_alone_m2"], row["second_alone_m2"]) == (2_000, 0)
    assert row["slivers"] == 1
    assert row["sliver_m2"] == pytest.approx(270)
    assert row["near_border_km"] > 0.09


def test_differences_tell_each_place_and_whose_it_is() -> None:
    dirty = series(box(0, 0, 110, 100), box(100, 0, 180, 100))
    nets = [Net("fire", dirty), Net("police", halves(103))]
    laid = merge_nets(nets, outline=series(box(0, 0, 200, 100))).laid
    found = differences(nets, laid, tolerance_m=TOLERANCE_M)
    assert found.crs == nets[0].areas.crs
    told = found.set_index("kind")
    assert told.loc["overlap", ["first_grid", "second_grid", "area_m2"]].tolist() == [
        "b", "a", 1_000.0,
    ]  # fmt: skip
    assert told.loc["gap", ["first", "area_m2"]].tolist() == ["fire", 2_000.0]
    assert told.loc["sliver", ["first_grid", "second_grid", "area_m2"]].tolist() == [
        "b", "a", 300.0,
    ]  # fmt: skip
    row = pairs(nets, laid, tolerance_m=TOLERANCE_M).iloc[0]
    for kind in ("near_border", "other_border"):
        length = found.loc[found["kind"] == kind, "length_m"].sum()
        assert length == pytest.approx(1000 * row[f"{kind}_km"], abs=1e-6)
    assert found[found["kind"] == "sliver"].within(box(*found.total_bounds)).all()


def test_a_net_beside_itself_has_all_borders_the_same() -> None:
    nets = [Net("fire", halves(100)), Net("police", halves(100))]
    row = pairs(nets, merge_nets(nets).laid, tolerance_m=TOLERANCE_M).iloc[0]
    assert row["same_border_km"] == pytest.approx(0.7)
    assert row["near_border_km"] == pytest.approx(0, abs=1e-9)
    assert row["other_border_km"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("nets", "wishes", "said"),
    [
        ([Net("a", halves(100)), Net("a", halves(90))], {}, "different names"),
        ([Net("unit", halves(100))], {}, "different names"),
        ([Net("a", halves(100), weight=np.inf)], {}, "a vote is a number"),
        ([Net("a", halves(100), counts=pd.Series([np.inf, 1.0]))], {}, "a count is no number"),
        ([Net("a", halves(100))], {"tolerance_m": np.nan}, "tolerance_m is a number"),
        ([Net("a", halves(100))], {"least_m2": np.inf}, "least_m2 is a number"),
        ([Net("a", halves(100))], {"least_value": -1.0}, "least_value is a number"),
    ],
)
def test_what_is_no_number_or_name_is_refused(
    nets: list[Net], wishes: dict[str, float], said: str
) -> None:
    with pytest.raises(TopologyError, match=said):
        merge_nets(nets, **wishes)  # type: ignore[arg-type]


def test_it_tells_how_far_it_is_and_ends_when_told() -> None:
    heard: list[str] = []
    merge_nets([Net("a", halves(100))], progress=lambda what, _: heard.append(what))
    assert len(heard) == 4

    def stop(what: str, _share: float) -> None:
        if what == "settle the slivers":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        merge_nets([Net("a", halves(100))], progress=stop)


def test_the_same_nets_give_the_same_net_to_the_last_bit() -> None:
    nets = [Net("fire", halves(100)), Net("police", halves(103)), Net("post", halves(98))]
    one, two = merge_nets(nets), merge_nets(nets)
    assert one.units.to_wkb().equals(two.units.to_wkb())
    assert one.crosswalk.equals(two.crosswalk)


def test_nets_without_a_common_system_or_ground_are_refused() -> None:
    with pytest.raises(TopologyError, match="several reference systems"):
        merge_nets(
            [Net("a", halves(100)), Net("b", halves(100).set_crs(4549, allow_override=True))]
        )
    with pytest.raises(TopologyError, match="No net lies within"):
        merge_nets([Net("a", halves(100))], outline=series(box(900, 900, 950, 950)))
    with pytest.raises(TopologyError, match="no ground"):
        merge_nets([Net("a", gpd.GeoSeries([], crs=SRID))])


def test_borders_bent_by_another_system_match_again() -> None:
    left = Polygon([(0, 0), (1, 0), (1, 0.5), (1, 1), (0, 1)])
    right = Polygon([(1, 0), (2, 0), (2, 1), (1, 1), (1 - 1e-7, 0.7), (1 + 1e-7, 0.3)])
    bent = np.array([left, right])
    assert not shapely.coverage_is_valid(bent)
    found = fitted(bent, 1e-9)
    assert shapely.coverage_is_valid(found)
    assert shapely.get_num_geometries(found).tolist() == [1, 1]
    assert shapely.area(found) == pytest.approx([1, 1], abs=1e-6)
    assert fitted(found, 1e-9) is found, "what matches is returned as it is"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=4))
def test_whatever_departments_drew_the_account_adds_up(seeds: list[int]) -> None:
    nets = []
    for number, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        places = np.add(rng.uniform(0, 300, (6, 2)), (EAST, NORTH))
        parts = shapely.voronoi_polygons(shapely.multipoints(places), extend_to=box(0, 0, 1, 1))
        frame = box(EAST, NORTH, EAST + 300 + rng.uniform(-9, 9), NORTH + 300)
        shapes = shapely.intersection(shapely.get_parts(parts), frame)
        shapes = shapely.buffer(shapes, rng.choice([0.0, 0.7]), join_style="mitre")
        nets.append(Net(f"net {number}", gpd.GeoSeries(shapes, crs=SRID)))
    stands(merge_nets(nets, tolerance_m=TOLERANCE_M))
    stands(merge_nets(nets, outline=series(box(0, 0, 290, 290)), tolerance_m=TOLERANCE_M))
