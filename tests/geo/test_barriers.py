"""Barriers cut neighbourhood: along lines, across water; streets that cross open them."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.barriers import GATE_M, net_parts, parts_of, ways
from geo.errors import TopologyError
from geo.topology import adjacency, contiguous_parts
from tests.coverages import CORNER, METRE_SRID, lattice, nearest_labels, voronoi

Corners = Sequence[tuple[float, float]]
NONE = gpd.GeoSeries([], crs=METRE_SRID)


def line(*corners: tuple[float, float]) -> shapely.LineString:
    """Return a line through places of the lattice; units of 100 m."""
    return shapely.LineString([(CORNER[0] + x * 100, CORNER[1] + y * 100) for x, y in corners])


def ground(x: float, y: float, width: float, height: float) -> shapely.Polygon:
    west, south = CORNER[0] + x * 100, CORNER[1] + y * 100
    return shapely.box(west, south, west + width * 100, south + height * 100)


def series(*shapes: shapely.Geometry) -> gpd.GeoSeries:
    return gpd.GeoSeries(list(shapes), crs=METRE_SRID)


def parts(
    cells: gpd.GeoSeries,
    barriers: Sequence[shapely.Geometry],
    streets: Sequence[shapely.Geometry] = (),
    labels: Sequence[int | None] | None = None,
) -> dict[int, int]:
    of = pd.Series(labels if labels is not None else [1] * len(cells), dtype="Int64")
    return parts_of(of, ways(cells, series(*barriers), series(*streets))).to_dict()


SQUARES = lattice(3, 4)
RAILWAY = line((0, 2), (3, 2))


@pytest.mark.parametrize(
    ("streets", "expected"),
    [
        ([], 2),
        ([line((1.5, 0), (1.5, 4))], 1),
        ([line((1, 0), (1, 4))], 1),
        ([line((1.2, 0), (1.2, 2)), line((1.2, 2), (1.2, 4))], 1),
        ([line((1.2, 0), (1.2, 2)), line((1.7, 2), (1.7, 4))], 2),
        ([line((1.2, 0), (1.2, 2))], 2),
        ([line((1.2, 0), (1.2, 1.99)), line((1.2, 2.01), (1.2, 4))], 2),
        ([line((0, 2), (3, 2))], 2),
        ([line((0, 1.9), (3, 1.9))], 2),
        ([line((0, 1.8), (3, 2.2))], 1),
        ([line((1, 0), (1, 2)), line((0, 2), (1, 2)), line((1, 2), (2, 3))], 1),
    ],
)
def test_a_railway_is_crossed_where_streets_lead_across(
    streets: list[shapely.LineString], expected: int
) -> None:
    assert parts(SQUARES, [RAILWAY], streets) == {1: expected}


def test_a_crossing_opens_the_border_beside_it_and_no_other() -> None:
    near, far = [1, 2, 2] * 4, [2, 2, 1] * 4
    crossing = [line((0.5, 0), (0.5, 4))]
    assert parts(SQUARES, [RAILWAY], crossing, near)[1] == 1
    assert parts(SQUARES, [RAILWAY], crossing, far)[1] == 2


def test_a_wall_is_open_where_it_has_a_gap() -> None:
    assert parts(SQUARES, [line((0, 2), (2.998, 2))]) == {1: 2}
    assert parts(SQUARES, [line((0, 2), (2.99, 2))]) == {1: 1}
    assert parts(SQUARES, [line((0, 2), (1.4, 2)), line((1.45, 2), (3, 2))]) == {1: 1}


def test_a_line_that_borders_meet_at_right_angles_cuts_nothing() -> None:
    assert parts(SQUARES, [line((0, 1.5), (3, 1.5)), line((0.5, 0), (0.5, 4))]) == {1: 1}


def test_a_line_a_little_off_the_border_cuts_and_one_further_off_does_not() -> None:
    assert parts(SQUARES, [line((0, 2.001), (3, 2.001))]) == {1: 2}
    assert parts(SQUARES, [line((0, 2.01), (3, 2.01))]) == {1: 1}


RIVER = ground(0, 1, 3, 1)
BANKS = lattice(3, 3)


@pytest.mark.parametrize(
    ("labels", "streets", "expected"),
    [
        ([1] * 9, [], 2),
        ([1] * 9, [line((1.5, 0.5), (1.5, 2.5))], 1),
        ([1] * 9, [line((1, 0), (1, 3))], 1),
        ([1] * 9, [line((1.5, 0.5), (1.5, 1.5)), line((1.5, 1.5), (1.5, 2.5))], 1),
        ([1] * 9, [line((0, 1), (3, 1))], 2),
        ([1] * 9, [line((1.5, 0.5), (1.5, 1.5))], 2),
        ([1] * 9, [line((0.5, 0.5), (0.5, 1.5), (2.5, 1.5), (2.5, 2.5))], 1),
        ([1, 1, 1, 1, 1, 1, 2, 2, 1], [line((0.5, 0.5), (0.5, 2.5))], 2),
        ([1, 1, 1, 2, 2, 2, 1, 1, 1], [line((1.5, 0.5), (1.5, 2.5))], 2),
        ([1, 1, 1, 1, 2, 1, 1, 1, 1], [line((1.5, 0.5), (1.5, 2.5))], 2),
        ([1, 1, 1, 2, 1, 2, 1, 1, 1], [line((1, 0.5), (1, 2.5))], 1),
        ([1, 1, 1, 1, 1, 1, 2, 2, 2], [], 1),
        ([2, 2, 2, 1, 1, 1, 2, 2, 2], [], 1),
        ([2, 2, 2, 1, 2, 1, 2, 2, 2], [], 2),
        ([1, 1, 2, 2, 2, 1, 2, 2, 2], [], 2),
    ],
)
def test_water_belongs_to_its_grid_and_joins_no_banks_but_by_a_bridge(
    labels: list[int], streets: list[shapely.LineString], expected: int
) -> None:
    assert parts(BANKS, [RIVER], streets, labels)[1] == expected


def test_a_river_of_two_cells_across_is_bridged_as_far_as_the_grid_has_both() -> None:
    cells = lattice(2, 4)
    river, bridge = [ground(0, 1, 2, 2)], [line((0.5, 0.5), (0.5, 3.5))]
    assert parts(cells, river, bridge) == {1: 1}
    assert parts(cells, river, bridge, [1, 1, 1, 1, 2, 2, 1, 1])[1] == 2
    assert parts(cells, river) == {1: 2}


def test_a_border_in_the_middle_of_a_stream_joins_nobody() -> None:
    cells = lattice(1, 2)
    stream = [ground(0, 0.8, 1, 0.4)]
    assert parts(cells, stream) == {1: 2}
    assert parts(cells, stream, [line((0.5, 0.2), (0.5, 1.8))]) == {1: 1}
    assert parts(cells, [ground(0, 0.8, 0.9, 0.4)]) == {1: 1}


def test_a_pond_in_a_cell_cuts_nothing() -> None:
    assert parts(SQUARES, [ground(0.2, 1.2, 0.5, 0.5)]) == {1: 1}


def test_a_long_river_in_many_pieces_is_one_river() -> None:
    cells = lattice(30, 3)
    pieces = [ground(x, 1, 1, 1) for x in range(30)]
    assert parts(cells, pieces) == parts(cells, [ground(0, 1, 30, 1)]) == {1: 2}
    assert parts(cells, pieces, [line((29.5, 0.5), (29.5, 2.5))]) == {1: 1}


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_without_barriers_parts_are_those_of_the_ground(seed: int, n: int, k: int) -> None:
    cells = voronoi(n, seed=seed)
    labels = nearest_labels(cells, k, seed=seed)
    labels.iloc[:: max(2, n // 3)] = 1
    plain = contiguous_parts(labels, adjacency(cells)).counts
    assert parts_of(labels, ways(cells, NONE, NONE)).to_dict() == plain.to_dict()


def test_leaves_are_counted_on_foot_and_those_above_on_the_ground() -> None:
    paths = pd.DataFrame(
        {"area_1": [1] * 12, "area_2": [11] * 6 + [12] * 6, "area_3": [111] * 6 + [None] * 6}
    ).astype("Int64")
    found = net_parts(SQUARES, paths, series(line((0, 1), (3, 1)), line((0, 3), (3, 3))), NONE)
    assert found.to_dict() == {1: 1, 11: 1, 12: 2, 111: 2}


def test_cells_without_a_grid_are_left_out() -> None:
    labels: list[int | None] = [1] * 6 + [None] * 6
    assert parts(SQUARES, [RAILWAY], (), labels) == {1: 1}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(TopologyError, match="reference systems"):
        ways(SQUARES, series(RAILWAY).set_crs(4548, allow_override=True), NONE)
    with pytest.raises(TopologyError, match="11 labels for 12 cells"):
        parts_of(pd.Series(np.ones(11)), ways(SQUARES, NONE, NONE))
    assert GATE_M > 1
