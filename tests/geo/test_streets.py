"""Street lines become a network: one node at one place, nothing cut, nothing lost."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiLineString

from geo.errors import TopologyError
from geo.streets import network

SRID = 26986
X, Y = 232_000.0, 902_000.0


def lines(*paths: list[tuple[float, float]]) -> gpd.GeoSeries:
    shapes = [LineString([(X + x, Y + y) for x, y in path]) for path in paths]
    return gpd.GeoSeries(shapes, index=[f"s{n}" for n in range(len(paths))], crs=SRID)


def test_ends_at_one_place_are_one_node() -> None:
    found = network(lines([(0, 0), (10, 0)], [(10, 0), (20, 5)], [(10, 0), (10, 9)]))
    assert found.streets["from_node"].tolist() == [1, 2, 2]
    assert found.streets["to_node"].tolist() == [2, 4, 3]
    assert found.moved.empty
    assert found.crossings.empty
    assert list(found.streets.index) == ["s0", "s1", "s2"]


def test_near_ends_move_to_where_most_of_them_are() -> None:
    given_lines = lines([(0, 0), (10, 0)], [(10, 0), (20, 0)], [(10, 0.4), (10, 9)])
    found = network(given_lines, join_m=0.5)
    assert found.streets["from_node"].tolist()[1:] == [found.streets["to_node"].iloc[0]] * 2
    assert found.moved["street"].tolist() == ["s2"]
    assert found.moved["moved_m"].iloc[0] == pytest.approx(0.4)
    assert found.streets.geometry.iloc[2].coords[0] == (X + 10, Y)
    apart = network(given_lines, join_m=0.1)
    assert apart.moved.empty
    assert apart.streets[["from_node", "to_node"]].max().max() == 5
    assert given_lines.iloc[2].coords[0] == (X + 10, Y + 0.4)


def test_crossings_are_named_and_nothing_is_cut() -> None:
    found = network(lines([(0, 5), (10, 5)], [(5, 0), (5, 10)], [(5, 5), (9, 9)]))
    assert len(found.streets) == 3
    pairs = found.crossings[["street", "other"]].to_numpy().tolist()
    assert ["s0", "s1"] in pairs
    assert ["s0", "s2"] in pairs
    row = found.crossings.iloc[0]
    assert (row["x"], row["y"], row["length_m"]) == (X + 5, Y + 5, 0.0)


def test_lines_on_each_other_are_measured() -> None:
    found = network(lines([(0, 0), (10, 0)], [(4, 0), (20, 0)]))
    assert found.crossings["length_m"].tolist() == pytest.approx([6.0], abs=0.01)


def test_a_ring_has_one_node() -> None:
    found = network(lines([(0, 0), (10, 0), (5, 8), (0, 0)]))
    assert found.streets[["from_node", "to_node"]].to_numpy().tolist() == [[1, 1]]


def test_nothing_gives_nothing() -> None:
    found = network(lines())
    assert (len(found.streets), len(found.moved), len(found.crossings)) == (0, 0, 0)


def test_what_is_no_street_is_refused() -> None:
    with pytest.raises(TopologyError, match="degrees"):
        network(lines([(0, 0), (1, 0)]).set_crs(4326, allow_override=True))
    many = gpd.GeoSeries([MultiLineString([[(0, 0), (9, 0)], [(9, 9), (0, 9)]])], crs=SRID)
    with pytest.raises(TopologyError, match="split"):
        network(many)
    with pytest.raises(TopologyError, match="shorter"):
        network(lines([(0, 0), (0.01, 0)]))
    with pytest.raises(TopologyError, match="millimetre"):
        network(lines([(0, 0), (9, 0)]), join_m=0.0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 50), st.floats(0, 50), st.floats(1, 40), st.floats(1, 40)),
        min_size=1,
        max_size=12,
    )
)
def test_a_node_is_one_place_and_a_place_one_node(rows: list[tuple[float, ...]]) -> None:
    found = network(lines(*([(x, y), (x + w, y + h)] for x, y, w, h in rows)), join_m=0.5)
    shapes = found.streets.geometry.to_numpy()
    ends = [*shapely.get_point(shapes, 0), *shapely.get_point(shapes, -1)]
    nodes = np.concatenate([found.streets["from_node"], found.streets["to_node"]])
    pairs = {(node, end.x, end.y) for node, end in zip(nodes, ends, strict=True)}
    assert len(pairs) == len({node for node, *_ in pairs}) == len({(x, y) for _, x, y in pairs})
    assert sorted(set(nodes)) == list(range(1, len(set(nodes)) + 1))
