"""Little change, small grids melted, water, compounds, and the rule that binds each part."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geo.errors import DivisionError
from geo.partition import (
    Held,
    Wishes,
    cell_graph,
    changed,
    divide,
    explained,
    melted,
    opened,
    refuse_parts,
    refuse_target,
    score,
)
from geo.partition.changing import shared_change
from geo.partition.ground import areas_of, borders_along, ground_of
from tests.coverages import lattice

pytestmark = pytest.mark.timeout(600)  # a cold compilation on a busy machine

LINE = (np.arange(9), np.arange(1, 10), np.full(9, 10.0))


def test_the_change_goes_where_it_helps_and_stays_allowed() -> None:
    graph = cell_graph(np.ones(10), *LINE)
    today = np.array([0] * 8 + [1] * 2)
    wishes = Wishes((5.0,), (0.1,))
    for allowed, expected in ((0.0, 8), (0.1, 7), (0.25, 6), (1.0, 5)):
        found, said = changed(graph, today, wishes, max_change=allowed)
        assert np.bincount(found.labels).tolist() == [expected, 10 - expected]
        assert said["changed_share"] == pytest.approx((8 - expected) / 10)
    found, said = changed(
        graph, today, wishes, max_change=1.0, fixed=today == 1, names=["west", "east"]
    )
    assert said["changed_share"] == 0.0 and said["was"] == ["west", "east"]


def test_a_step_that_is_too_long_is_not_taken_and_the_rest_is() -> None:
    none = np.array([], dtype=np.int64)
    dear = [(10.0, 0.0, none), (1.0, 6.0, none)]
    cheap = [(10.0, 0.0, none), (4.0, 2.0, none), (3.5, 5.0, none)]
    assert shared_change([dear, cheap], 5.0) == [0, 2]
    assert shared_change([dear, cheap], 8.0) == [1, 1]
    assert shared_change([dear, cheap], 100.0) == [1, 2]


def test_cells_outside_the_net_join_it_and_a_strange_net_is_refused() -> None:
    graph = cell_graph(np.ones(10), *LINE)
    today = np.array([-1] + [0] * 4 + [1] * 5)
    found, said = changed(graph, today, Wishes((5.0,), (0.1,)), max_change=0.0)
    assert said["cells_without_part"] == 1 and found.labels.tolist() == [0] * 5 + [1] * 5
    with pytest.raises(DivisionError, match="another place"):
        changed(graph, np.full(10, -1), Wishes((5.0,), (0.1,)), max_change=0.1)


def test_small_parts_melt_into_the_neighbour_that_they_suit() -> None:
    graph = cell_graph(np.ones(10), *LINE)
    today = np.array([0] * 5 + [1] + [2] * 4)
    after = melted(graph, today, Wishes((5.0,), (0.2,)), least=3.0)
    assert after.tolist() == [0] * 5 + [2] * 5
    lonely = cell_graph(np.ones(3), LINE[0][:1], LINE[1][:1], LINE[2][:1])
    assert melted(lonely, np.array([0, 0, 1]), Wishes((2.0,), (0.2,)), least=2.0)[2] == 1


def test_large_parts_are_opened_and_all_others_stay() -> None:
    graph = cell_graph(np.ones(10), *LINE)
    today = np.array([0] * 2 + [1] * 6 + [2] * 2)
    after, origin = opened(graph, today, Wishes((2.0,), (0.2,)), most=4.0)
    assert after[:2].tolist() == [0, 0] and after[8:].tolist() == [2, 2]
    assert np.bincount(np.unique(after[2:8], return_inverse=True)[1]).tolist() == [2, 2, 2]
    assert 1 in after[2:8] and set(origin) == {3, 4} and set(origin.values()) == {1}
    stays, origin = opened(graph, today, Wishes((2.0,), (0.2,)), most=4.0, kept=[1])
    assert (stays == today).all() and not origin


def test_kept_parts_neither_melt_nor_grow() -> None:
    graph = cell_graph(np.ones(10), *LINE)
    today = np.array([0] * 4 + [1] + [2] * 5)
    assert (melted(graph, today, Wishes((5.0,), (0.2,)), least=3.0, kept=[1]) == today).all()
    after = melted(graph, today, Wishes((5.0,), (0.2,)), least=3.0, kept=[0])
    assert after.tolist() == [0] * 4 + [2] * 6


def test_what_a_present_net_forbids_is_said() -> None:
    graph = cell_graph(np.ones(10), *LINE)
    labels = np.array([0] * 8 + [1] * 2)
    wishes = Wishes((5.0,), (0.1,))
    held = Held(labels == 1)
    why = explained(graph, labels, score(graph, labels, wishes), wishes, held=held)
    assert why["rule"].tolist() == ["little_change", "kept"]
    two = cell_graph(np.stack([np.ones(10), np.arange(10.0)], axis=1), *LINE)
    both = Wishes((5.0, 22.5), (0.1, 0.1))
    half = np.array([0] * 5 + [1] * 5)
    why = explained(two, half, score(two, half, both), both, names=["homes", "minutes"])
    assert why["rule"].tolist() == ["other_measure"] * 2
    assert "minutes is 10, -56% of its target" in why["said"][0]


def test_a_target_beyond_all_cells_is_refused() -> None:
    graph = cell_graph(np.ones(10), *LINE)
    refuse_target(graph, 12.0, 0.2)
    with pytest.raises(DivisionError, match="all cells together have 10"):
        refuse_target(graph, 13.0, 0.2)
    with pytest.raises(DivisionError, match=r"heaviest \(row 10\) has 11"):
        heavy = cell_graph(np.array([1.0] * 9 + [11.0]), *LINE)
        refuse_parts(heavy, 5, 0.2, None, [f"row {k + 1}" for k in range(10)])


def test_borders_along_a_line_are_found_by_half_their_length() -> None:
    cells = lattice(3, 2)
    west, south, _, north = cells.total_bounds
    line = shapely.LineString([(west + 100.5, south), (west + 100.5, (south + north) / 2)])
    pairs = borders_along(cells, gpd.GeoSeries([line], crs=cells.crs))
    assert pairs.tolist() == [[0, 1]]
    outline = gpd.GeoSeries([shapely.box(west, south, west + 100, north)], crs=cells.crs)
    assert borders_along(cells, outline).tolist() == [[0, 1], [3, 4]]
    assert borders_along(cells, outline.iloc[:0]).shape == (0, 2)


def test_each_part_says_which_rule_binds_it() -> None:
    weight = np.array([5.0, 5.0, 30.0, 2.0, 0.0, 0.0, 7.0, 8.0])
    left = np.array([0, 1, 4, 6])
    right = np.array([1, 2, 5, 7])
    graph = cell_graph(weight, left, right, np.full(4, 10.0))
    wishes = Wishes((10.0,), (0.2,))
    found = divide(graph, wishes)
    why = explained(graph, found.labels, found.score, wishes)
    rule = dict(zip(found.labels.tolist(), why["rule"].reindex(found.labels), strict=True))
    told = [rule[label] for label in found.labels.tolist()]
    assert told[:6] == ["within", "within", "alone", "piece_small", "no_weight", "no_weight"]
    assert told[6] == "piece_total", "15 is too much for one part of 10 and too little for two"
    assert why["said"].str.len().min() > 10


def test_even_parts_are_refused_with_the_cell_that_forbids_them() -> None:
    graph = cell_graph(np.array([1.0] * 9 + [11.0]), *LINE)
    refuse_parts(graph, 2, 0.2, None)
    with pytest.raises(DivisionError, match=r"2\.8 times the target of 4") as refused:
        refuse_parts(graph, 5, 0.2, None)
    assert refused.value.data["most_parts"] == 2 and refused.value.data["cell"] == 9
    with pytest.raises(DivisionError, match="make 30"):
        refuse_parts(graph, 3, 0.2, 10.0)
    with pytest.raises(DivisionError, match="No cell has any weight"):
        refuse_parts(cell_graph(np.zeros(10), *LINE), 2, 0.2, None)


def test_water_joins_nobody_and_belongs_to_a_part_beside_it() -> None:
    cells = lattice(5, 3)
    west, south, _, north = cells.total_bounds
    river = shapely.box(west + 200, south - 1, west + 300, north + 1)
    barriers = gpd.GeoSeries([river], crs=cells.crs)
    wet = np.isin(np.arange(15) % 5, [2])
    weight = np.where(wet, 0.0, 1.0)
    ground = ground_of(cells, weight, np.zeros(15, np.int64), barriers=barriers)
    assert (ground.node[wet] == -1).all() and ground.graph.size == 12
    found = divide(ground.graph, Wishes((6.0,), (0.1,)))
    labels = ground.labels(found.labels)
    assert len(found.score.units) == 2 and set(labels.tolist()) == {0, 1}
    assert len(np.unique(labels[np.arange(15) % 5 < 2])) == 1
    assert score(ground.graph, found.labels, Wishes((6.0,), (0.1,))).good == 1.0


def test_compounds_are_one_node_as_far_as_they_touch() -> None:
    cells = lattice(4, 1)
    whole = np.array([7, 7, -1, 7])
    ground = ground_of(cells, np.arange(4.0), np.zeros(4, np.int64), whole=whole)
    assert ground.node.tolist() == [0, 0, 1, 2] and ground.torn == 1
    assert ground.graph.weight[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_a_cell_is_in_the_area_of_a_point_inside_it() -> None:
    cells = lattice(3, 1)
    west, south, _, north = cells.total_bounds
    areas = gpd.GeoSeries(
        [shapely.box(west, south, west + 120, north),
         shapely.box(west + 120, south, west + 200, north)],
        crs=cells.crs,
    )  # fmt: skip
    area, across = areas_of(cells, areas)
    assert area.tolist() == [0, 1, -1] and across.tolist() == [False, True, False]
