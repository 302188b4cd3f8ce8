"""Neighbours, parts, unions, faults, colours and label points of coverages, against plain ways."""

from __future__ import annotations

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import TopologyError
from geo.topology import (
    Adjacency,
    adjacency,
    areas_m2,
    boundaries,
    colours,
    contiguous_parts,
    coverage_faults,
    label_points,
    shared_edges,
    torn,
)
from tests.coverages import METRE_SRID, lattice, nearest_labels, voronoi

seeds = st.integers(0, 2**32 - 1)


def series(*shapes: shapely.Geometry) -> gpd.GeoSeries:
    return gpd.GeoSeries(list(shapes), crs=METRE_SRID)


@given(seeds, st.integers(2, 60))
@settings(max_examples=25, deadline=None)
def test_adjacency_is_what_pairwise_intersection_says(seed: int, n: int) -> None:
    cells = voronoi(n, seed=seed)
    found = adjacency(cells)
    lengths = {
        (i, j): shapely.length(shapely.intersection(cells[i].boundary, cells[j].boundary))
        for i, j in itertools.combinations(range(n), 2)
    }
    plain = {pair: length for pair, length in lengths.items() if length >= 0.1}
    assert list(zip(found.left, found.right, strict=True)) == sorted(plain)
    assert np.allclose(found.length_m, [plain[pair] for pair in sorted(plain)], atol=1e-6)


def test_a_short_border_and_a_corner_do_not_join() -> None:
    squares = lattice(2, 2, side_m=100)
    found = adjacency(squares)
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 3),
    ]
    assert found.length_m.tolist() == [100.0] * 4
    for border, joined in ((0.09, 0), (0.1, 1), (0.11, 1)):
        left = shapely.Polygon([(0, 0), (1, 0), (1, border), (0, 1)])
        right = shapely.Polygon([(1, 0), (2, 0), (2, 1), (1, border)])
        assert len(adjacency(series(left, right)).left) == joined


def test_borders_of_many_pieces_and_around_holes_are_added_up() -> None:
    ring = shapely.Polygon(shapely.box(0, 0, 9, 9).exterior, [shapely.box(3, 3, 6, 6).exterior])
    halves = shapely.MultiPolygon([shapely.box(9, 0, 10, 2), shapely.box(9, 5, 10, 9)])
    middle = shapely.box(9, 2, 10, 5)
    outer = shapely.Polygon(
        [(0, 0), (9, 0), (9, 2), (9, 5), (9, 9), (0, 9)], [shapely.box(3, 3, 6, 6).exterior.coords]
    )
    assert outer.equals(ring)
    found = adjacency(series(outer, shapely.box(3, 3, 6, 6), halves, middle))
    pairs = dict(
        zip(
            zip(found.left.tolist(), found.right.tolist(), strict=True), found.length_m, strict=True
        )
    )
    assert pairs == {(0, 1): 12.0, (0, 2): 6.0, (0, 3): 3.0, (2, 3): 2.0}


def test_adjacency_refuses_degrees_and_overlaps() -> None:
    with pytest.raises(TopologyError, match="degrees"):
        adjacency(lattice(2, 1).to_crs(4326))
    squares = lattice(2, 1)
    with pytest.raises(TopologyError, match="same side") as error:
        adjacency(series(*squares, squares[0]))
    assert error.value.data["positions"] == [0, 1, 2]


def test_adjacency_of_nothing_is_empty() -> None:
    found = adjacency(gpd.GeoSeries([], crs=METRE_SRID))
    assert (found.size, len(found.left)) == (0, 0)
    assert len(colours(found)) == 0


def test_edges_have_their_polygon_to_the_left_whatever_the_ring_order() -> None:
    square = shapely.box(0, 0, 1, 1)
    for polygon in (square, square.reverse()):
        edges = shared_edges(np.array([polygon], dtype=object))
        tail, head = edges.xy[edges.tail], edges.xy[edges.head]
        left = (tail + head) / 2 + (head - tail)[:, ::-1] * (-0.1, 0.1)
        assert shapely.contains_xy(square, left).all()
        assert len(edges.single) == 4 and len(edges.crowded) == 0


def test_parts_are_counted_and_the_smaller_ones_listed() -> None:
    cells = lattice(5, 1)
    labels = pd.Series([7, 7, 3, 7, 3], index=[10, 11, 12, 13, 14])
    parts = contiguous_parts(labels, adjacency(cells))
    assert parts.counts.to_dict() == {3: 2, 7: 2}
    assert parts.stray.to_dict("index") == {
        13: {"label": 7, "part": 1},
        14: {"label": 3, "part": 1},
    }
    with pytest.raises(TopologyError):
        contiguous_parts(labels.iloc[:4], adjacency(cells))


@given(seeds, st.integers(2, 80), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_parts_are_the_polygons_of_the_union(seed: int, n: int, k: int) -> None:
    cells = voronoi(n, seed=seed)
    labels = pd.Series(np.random.default_rng(seed).integers(0, k, n))
    parts = contiguous_parts(labels, adjacency(cells, least_m=0.0))
    unions = boundaries(cells, labels)
    assert parts.counts.tolist() == shapely.get_num_geometries(unions.to_numpy()).tolist()
    main = labels.drop(parts.stray.index)
    again = contiguous_parts(labels.loc[main.index], adjacency(cells[main.index], least_m=0.0))
    assert (again.counts == 1).all()


def test_inherited_parts_are_allowed_and_no_more() -> None:
    counts = pd.Series({1: 1, 2: 2, 3: 3, 4: 2})
    inherited = pd.Series({2: 2, 3: 2, 9: 5})
    found = torn(counts, inherited)
    assert found.to_dict("index") == {
        3: {"parts": 3, "allowed": 2},
        4: {"parts": 2, "allowed": 1},
    }
    assert torn(counts).index.tolist() == [2, 3, 4]


@given(seeds, st.integers(3, 120), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_boundaries_are_the_union_with_the_cells_own_vertices(seed: int, n: int, k: int) -> None:
    cells = voronoi(n, seed=seed)
    labels = nearest_labels(cells, k, seed=seed)
    unions = boundaries(cells, labels)
    plain = cells.groupby(labels).agg(lambda group: shapely.union_all(group.to_numpy()))
    assert unions.index.tolist() == plain.index.tolist()
    assert shapely.equals(unions.to_numpy(), plain.to_numpy()).all()
    own = {tuple(xy) for xy in shapely.get_coordinates(cells.to_numpy())}
    assert {tuple(xy) for xy in shapely.get_coordinates(unions.to_numpy())} <= own
    assert shapely.coverage_is_valid(unions.to_numpy())
    order = np.random.default_rng(seed).permutation(n)
    shuffled = boundaries(cells.iloc[order], labels.iloc[order])
    assert (
        shapely.to_wkb(shuffled.to_numpy()).tolist() == shapely.to_wkb(unions.to_numpy()).tolist()
    )


def test_boundaries_of_boundaries_are_boundaries_of_cells() -> None:
    cells = voronoi(400)
    grids = nearest_labels(cells, 30)
    parent = grids // 4
    of_grids = boundaries(cells, grids)
    upper = boundaries(of_grids, pd.Series(of_grids.index // 4))
    assert upper.geom_equals_exact(boundaries(cells, parent), 0).all()


def test_boundaries_leave_out_cells_without_label_and_refuse_overlaps() -> None:
    cells = lattice(3, 1)
    labels = pd.Series([1, None, 1], dtype="Int64")
    assert boundaries(cells, labels)[1].area == 20_000
    crossing = series(shapely.box(0, 0, 2, 2), shapely.box(1, -1, 3, 1))
    with pytest.raises(TopologyError, match="overlap"):
        boundaries(crossing, pd.Series(["a", "a"]))
    with pytest.raises(TopologyError, match="degrees"):
        boundaries(cells.to_crs(4326), labels)


@given(seeds, st.integers(3, 150))
@settings(max_examples=15, deadline=None)
def test_a_coverage_has_no_faults(seed: int, n: int) -> None:
    faults = coverage_faults(voronoi(n, seed=seed))
    assert faults.clean
    assert faults.sentences() == []
    assert faults.edges.columns.tolist() == ["cell", "length_m", "x", "y", "geometry"]
    assert faults.gaps.columns.tolist() == ["area_m2", "x", "y", "geometry"]
    assert faults.overlaps.columns.tolist() == ["cell", "other", "area_m2", "x", "y", "geometry"]


@given(seeds, st.integers(0, 199))
@settings(max_examples=20, deadline=None)
def test_a_missing_cell_is_a_gap_unless_it_lies_at_the_outline(seed: int, gone: int) -> None:
    cells = voronoi(200, seed=seed)
    hole = cells[gone]
    square = shapely.union_all(cells.to_numpy())
    inside = not square.boundary.intersects(hole)
    faults = coverage_faults(cells.drop(gone))
    assert len(faults.edges) == len(faults.overlaps) == 0
    assert len(faults.gaps) == int(inside)
    if inside:
        assert faults.gaps["area_m2"].iloc[0] == pytest.approx(hole.area)
        assert hole.contains(shapely.Point(faults.gaps[["x", "y"]].iloc[0]))


@given(seeds, st.integers(0, 199), st.floats(0.01, 30))
@settings(max_examples=20, deadline=None)
def test_a_swollen_cell_overlaps_what_it_covers(seed: int, which: int, by_m: float) -> None:
    cells = voronoi(200, seed=seed)
    cells[which] = cells[which].buffer(by_m, join_style="mitre")
    plain = {
        tuple(sorted((which, other))): ground
        for other in range(200)
        if other != which and (ground := cells[which].intersection(cells[other]).area) > 1e-3
    }
    faults = coverage_faults(cells)
    told = {
        (row.cell, row.other): row.area_m2
        for row in faults.overlaps.itertuples()
        if row.area_m2 > 1e-3
    }
    assert told == pytest.approx(plain, rel=1e-6, abs=1e-6)
    assert which in set(faults.edges["cell"])
    assert not faults.clean


def test_a_sliver_between_two_cells_is_an_edge_and_a_gap() -> None:
    cells = lattice(3, 3)
    middle = shapely.get_coordinates(cells[4])
    middle[middle[:, 0] == middle[:, 0].max(), 0] -= 0.02
    cells[4] = shapely.Polygon(middle)
    faults = coverage_faults(cells, gap_width_m=0.1)
    assert 5 in set(faults.edges["cell"])
    assert faults.gaps["area_m2"].sum() == pytest.approx(2.0)
    assert any("gap of 2.00 m2" in sentence for sentence in faults.sentences())


def test_a_neighbour_without_the_shared_vertex_is_an_edge_fault() -> None:
    left = shapely.box(0, 0, 1, 2)
    upper = shapely.box(1, 1, 2, 2)
    lower = shapely.box(1, 0, 2, 1)
    faults = coverage_faults(series(left, upper, lower))
    assert set(faults.edges["cell"]) == {0, 1, 2}
    assert faults.edges.set_index("cell").loc[0, "length_m"] == pytest.approx(2.0)
    assert len(faults.gaps) == len(faults.overlaps) == 0


def test_a_cell_within_another_and_a_cell_twice_are_overlaps() -> None:
    cells = lattice(2, 2)
    inner = cells[0].buffer(-20, join_style="mitre")
    faults = coverage_faults(series(*cells, inner, cells[3]))
    pairs = faults.overlaps.set_index(["cell", "other"])["area_m2"].to_dict()
    assert pairs == pytest.approx({(0, 4): 3600.0, (3, 5): 10_000.0})


def test_shapes_that_are_none_are_listed_and_the_rest_is_checked() -> None:
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    cells = gpd.GeoSeries(
        [None, shapely.Polygon(), bow, shapely.Point(0, 0), *lattice(3, 3).drop(4)],
        index=[f"c{k}" for k in range(12)],
        crs=METRE_SRID,
    )
    faults = coverage_faults(cells)
    assert faults.shapes["cell"].tolist() == ["c0", "c1", "c3", "c2"]
    assert "Self-intersection" in faults.shapes["reason"].iloc[-1]
    assert len(faults.gaps) == 1
    assert coverage_faults(cells.iloc[:4]).shapes["cell"].tolist() == ["c0", "c1", "c3", "c2"]
    with pytest.raises(TopologyError):
        coverage_faults(cells.iloc[4:].to_crs(4326))


@given(seeds, st.integers(2, 300))
@settings(max_examples=25, deadline=None)
def test_neighbours_have_different_colours_and_all_are_used_evenly(seed: int, n: int) -> None:
    neighbours = adjacency(voronoi(n, seed=seed, bends=0))
    found = colours(neighbours)
    assert found.min() >= 0 and found.max() <= 6
    assert (found[neighbours.left] != found[neighbours.right]).all()
    used = np.bincount(found, minlength=7)
    assert used.max() - used.min() <= max(2, n // 20)


def test_too_few_colours_share_the_shortest_border() -> None:
    left, right = np.array(list(itertools.combinations(range(4), 2))).T
    length = np.array([9.0, 9, 1, 9, 9, 9])
    found = colours(Adjacency(4, left, right, length), 3)
    same = found[left] == found[right]
    assert same.tolist() == [False, False, True, False, False, False]


def test_label_points_stand_well_inside() -> None:
    outline = [(0, 0), (30, 0), (30, 30), (20, 30), (20, 10), (10, 10), (10, 30), (0, 30)]
    islands = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(50, 50, 70, 70)])
    shapes = gpd.GeoSeries([shapely.Polygon(outline), islands], index=["u", "m"], crs=METRE_SRID)
    points = label_points(shapes)
    assert points.index.tolist() == ["u", "m"]
    depth = points.distance(shapes.boundary)
    assert points.within(shapes).all()
    assert depth["u"] > 5.0 and depth["m"] > 9.5
    with pytest.raises(TopologyError, match="no ground"):
        label_points(series(shapely.Polygon()))
    with pytest.raises(TopologyError):
        label_points(shapes.set_crs(4326, allow_override=True))


def test_areas_lose_no_digits_far_from_the_origin() -> None:
    far = gpd.GeoSeries(
        [shapely.box(40_500_000, 4_160_000, 40_500_000.5, 4_160_000.25)], crs=METRE_SRID
    )
    assert areas_m2(far).tolist() == [0.125]
    assert areas_m2(far.iloc[:0]).empty
