"""Points and their polygons, beside rational arithmetic: borders, vertices, overlaps, redraws."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, box

from benchmarks.coverages import voronoi
from geo.assignment import CoverageIndex, assign, coverage_index
from geo.errors import TopologyError
from geo.lattice import touched
from geo.predicates import exact_turn, turn

Places = NDArray[np.float64]
RNG_SEED = 7


def first_that_has(polygons: Any, x: float, y: float) -> int:
    """Return the first polygon whose closed ground has a place, in rational numbers."""
    for row, polygon in enumerate(polygons):
        if polygon is not None and _has(polygon, Fraction(x), Fraction(y)):
            return row
    return -1


def _has(polygon: Any, x: Fraction, y: Fraction) -> bool:
    inside = False
    for ring in shapely.get_rings(shapely.get_parts(polygon)):
        corners = [(Fraction(a), Fraction(b)) for a, b in shapely.get_coordinates(ring).tolist()]
        for (ax, ay), (bx, by) in itertools.pairwise(corners):
            side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            on_box = min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by)
            if side == 0 and on_box:
                return True
            if (ay <= y) != (by <= y) and (side > 0) == (by > ay):
                inside = not inside
    return inside


def beside(polygons: Any, count: int, seed: int = RNG_SEED) -> Places:
    """Return places at vertices, on edges, one number beside both, and anywhere."""
    rng = np.random.default_rng(seed)
    there = [polygon for polygon in polygons if polygon is not None]
    corners = shapely.get_coordinates(there)
    at = rng.integers(0, len(corners) - 1, count)
    along = corners[at] + rng.random((count, 1)) * (corners[at + 1] - corners[at])
    far = rng.choice([-1e9, 1e9], along.shape)
    found = [
        corners[at],
        np.nextafter(corners[at], far),
        along,
        np.nextafter(along, far),
        (corners[at] + corners[at + 1]) / 2,
        rng.uniform(corners.min(axis=0), corners.max(axis=0), along.shape),
    ]
    return np.vstack(found)


def agrees(polygons: Any, places: Places, index: CoverageIndex | None = None) -> None:
    """Compare all answers with rational arithmetic."""
    found = (index or coverage_index(polygons)).assign(places)
    expected = [first_that_has(polygons, x, y) for x, y in places.tolist()]
    wrong = np.flatnonzero(found != expected)
    assert [(places[k].tolist(), int(found[k]), expected[k]) for k in wrong[:5]] == []


def squares(across: int) -> NDArray[np.object_]:
    x, y = np.meshgrid(np.arange(across), np.arange(across))
    return np.asarray(shapely.box(x.ravel(), y.ravel(), x.ravel() + 1, y.ravel() + 1))


def circles(count: int) -> NDArray[np.object_]:
    rng = np.random.default_rng(RNG_SEED)
    middles = shapely.points(rng.uniform(0, 10, (count, 2)))
    return np.asarray(shapely.buffer(middles, rng.uniform(0.1, 3, count), quad_segs=3))


def fan(count: int) -> NDArray[np.object_]:
    """Return thin triangles around one place: more polygons in a square than usual."""
    turns = np.linspace(0, 2 * np.pi, count + 1)
    rim = np.column_stack([np.cos(turns), np.sin(turns)])
    return np.array([Polygon([(0, 0), rim[k], rim[k + 1]]) for k in range(count)])


HOLED = np.array(
    [
        box(0, 0, 10, 10).difference(box(2, 2, 3, 3)),
        box(2, 2, 3, 3),
        MultiPolygon([box(20, 0, 21, 1), box(21, 1, 22, 2)]),
    ]
)
NEEDLES = np.array(
    [
        Polygon([(0, 0), (1000, 1e-9), (0, 1e-9)]),
        Polygon([(0, 0), (1000, 0), (1000, 1e-9)]),
    ]
)
TINY = np.array([box(0, 0, 1e-300, 1e-300), box(1e-300, 0, 3e-300, 1e-300)])


@pytest.mark.parametrize(
    "polygons",
    [
        voronoi(60, side_m=100.0).to_numpy(),
        squares(9),
        circles(30),
        np.concatenate([circles(8), circles(8), [None], squares(3)]),
        fan(90),
        np.array([box(0, 0, 10, 10)] * 90 + [box(4, 4, 5, 5)]),
        HOLED,
        NEEDLES,
        TINY,
        np.array([box(1e10, 1e10, 1e10 + 1, 1e10 + 1), box(1e10 + 1, 1e10, 1e10 + 2, 1e10 + 1)]),
    ],
    ids=[
        "cells far from the origin",
        "squares",
        "overlaps",
        "polygons that stand twice, and none",
        "a fan",
        "a pile",
        "holes and parts that touch",
        "needles",
        "numbers next to nothing",
        "large numbers",
    ],
)
def test_equal_to_rational_arithmetic(polygons: Any) -> None:
    agrees(polygons, beside(polygons, 25))


corner = st.tuples(st.integers(-6, 6), st.integers(-6, 6))
shape = st.lists(corner, min_size=3, max_size=6).map(Polygon).filter(lambda one: one.is_valid)
quarters = st.integers(-28, 28).map(lambda number: number / 4)


@settings(deadline=None, max_examples=60)
@given(st.lists(shape, min_size=1, max_size=6), st.lists(st.tuples(quarters, quarters), min_size=1))
def test_any_polygons_and_places(
    polygons: list[Polygon], places: list[tuple[float, float]]
) -> None:
    agrees(np.array(polygons, dtype=object), np.array(places, dtype=float))


coordinate = st.floats(-1e7, 1e7, allow_subnormal=False)
triangle = (
    st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=3)
    .map(Polygon)
    .filter(lambda one: one.is_valid and one.area > 0)
)
nudge = st.integers(-3, 3)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(triangle, min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(0, 1), nudge, nudge), min_size=1, max_size=8),
)
def test_places_some_last_digits_beside_any_edge_or_vertex(
    polygons: list[Polygon], spots: list[tuple[float, int, int]]
) -> None:
    """Each place lies on an edge, or as many numbers beside it as there are nudges."""
    places = []
    for one in polygons:
        corners = shapely.get_coordinates(one)
        for share, *steps in spots:
            for begin, end in itertools.pairwise(corners):
                place = begin + share * (end - begin)
                for axis, step in enumerate(steps):
                    for _ in range(abs(step)):
                        place[axis] = np.nextafter(place[axis], step * np.inf)
                places += [place, begin]
    agrees(np.array(polygons, dtype=object), np.array(places))


def test_a_border_belongs_to_the_first_of_both_sides() -> None:
    left, right = box(0, 0, 2, 2), box(2, 0, 4, 2)
    border = np.array([[2.0, 1.0], [2.0, 0.0], [2.0, 2.0]])
    assert assign(border, [left, right]).tolist() == [0, 0, 0]
    assert assign(border, [right, left]).tolist() == [0, 0, 0]
    assert assign(np.array([[0.0, 1.0], [4.0, 2.0]]), [left, right]).tolist() == [0, 1]


def test_every_place_of_a_city_has_one_polygon_and_strangers_none() -> None:
    city = voronoi(300, side_m=100.0).to_numpy()
    places = np.vstack([beside(city, 300), shapely.get_coordinates(shapely.centroid(city))])
    covered = shapely.intersects(shapely.union_all(city), shapely.points(places))
    exact = assign(places, city) >= 0
    assert (exact == covered)[2400:].all()
    vertices = shapely.get_coordinates(city)
    assert (assign(vertices, city) >= 0).all()
    nowhere = np.array([[0.0, 0.0], [np.nan, 1.0], [np.inf, -np.inf]])
    assert assign(nowhere, city).tolist() == [-1, -1, -1]


def test_what_lies_on_borders_and_in_several_is_said() -> None:
    index = coverage_index([box(0, 0, 2, 2), box(1, 0, 4, 2), box(8, 8, 9, 9)])
    found = index.locate(
        np.array([[0.5, 1], [1.5, 1], [1, 1], [3, 1], [4, 2], [6, 6]], dtype=float)
    )
    assert found.rows.tolist() == [0, 0, 0, 1, 1, -1]
    assert found.on_border.tolist() == [False, False, True, False, True, False]
    assert found.in_several.tolist() == [False, True, False, False, False, False]


def test_an_index_over_nothing_has_no_place() -> None:
    place = np.array([[1.0, 1.0]])
    assert assign(place, []).tolist() == [-1]
    assert assign(place, [None, Polygon()]).tolist() == [-1]
    assert coverage_index([box(0, 0, 1, 1)]).assign(np.empty((0, 2))).tolist() == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "1 polygons are invalid, row 1"),
        (shapely.Point(0, 0), "Row 1 is no polygon"),
    ],
)
def test_what_has_no_inside_is_refused(wrong: Any, said: str) -> None:
    with pytest.raises(TopologyError, match=said) as refused:
        coverage_index([box(5, 5, 6, 6), wrong])
    assert refused.value.data["positions"] == [1]


def test_redraws_are_followed() -> None:
    polygons = squares(12)
    index = coverage_index(polygons, squares_an_edge=2.0)
    rng = np.random.default_rng(RNG_SEED)
    for step in range(8):
        polygons = polygons.copy()
        row = int(rng.integers(0, 144))
        y, x = divmod(row, 12)
        polygons[row] = Polygon([(x, y), (x + 1, y), (x + 0.7, y + 1), (x, y + 1)])
        if step % 3 == 1:
            polygons[row] = None
        if step == 4:
            polygons = np.append(polygons, box(3.3, 3.3, 5.5, 5.7))
        index = index.updated(polygons, [row])
        agrees(polygons, beside(polygons, 6, step), index)
    fresh = coverage_index(polygons)
    places = beside(polygons, 2000)
    assert (index.assign(places) == fresh.assign(places)).all()


def test_a_redraw_touches_its_neighbourhood_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    city = voronoi(2000, side_m=100.0).to_numpy()
    index = coverage_index(city)
    seen: list[int] = []

    def watched(edges: Any, *rest: Any) -> int:
        seen.append(len(edges))
        return int(touched(edges, *rest))

    monkeypatch.setattr("geo.assignment.squares.touched", watched)
    moved = city.copy()
    moved[700] = moved[700].buffer(-5)
    after = index.updated(moved, [700])
    assert max(seen) < len(index.edges) / 50
    places = beside(moved[[700]], 300)
    assert (after.assign(places) == coverage_index(moved).assign(places)).all()
    assert (index.assign(places) == coverage_index(city).assign(places)).all(), "it was changed"


def test_a_redraw_beyond_the_lattice_makes_all_anew_and_rows_may_not_vanish() -> None:
    polygons = squares(3)
    index = coverage_index(polygons)
    wider = np.append(polygons, box(50, 50, 51, 51))
    agrees(wider, beside(wider, 30), index.updated(wider, []))
    with pytest.raises(TopologyError, match="Rows are missing"):
        index.updated(polygons[:-1], [])


def test_a_redraw_asks_only_the_places_it_can_concern() -> None:
    city = voronoi(2000, side_m=100.0).to_numpy()
    index = coverage_index(city)
    west, south, east, north = shapely.total_bounds(city)
    places = np.random.default_rng(RNG_SEED).uniform((west, south), (east, north), (40_000, 2))
    places = np.vstack([places, beside(city[[700]], 200), [[np.nan, 0.0], [0.0, 0.0]]])
    rows = index.assign(places)
    for step in range(6):
        changed = [700 + step, 20 * step]
        city = city.copy()
        city[changed[0]] = city[changed[0]].buffer(-5)
        city[changed[1]] = city[changed[1]].buffer(9)
        before, was = index, rows.copy()
        index, rows, asked = before.reassigned(city, changed, places, rows)
        assert (rows == coverage_index(city).assign(places)).all()
        assert (rows[~asked] == was[~asked]).all()
        assert 0 < asked[:40_000].mean() < 1 / 200


def test_a_redraw_beyond_the_lattice_asks_all_places() -> None:
    polygons = squares(3)
    index = coverage_index(polygons)
    places = np.array([[0.5, 0.5], [50.5, 50.5]])
    wider = np.append(polygons, box(50, 50, 51, 51))
    _, rows, asked = index.reassigned(wider, [], places, index.assign(places))
    assert rows.tolist() == [0, 9]
    assert asked.all()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(shape, min_size=2, max_size=6),
    st.lists(shape, min_size=1, max_size=3),
    st.lists(st.tuples(quarters, quarters), min_size=1),
)
def test_any_redraw_is_what_asking_all_anew_says(
    polygons: list[Polygon], redrawn: list[Polygon], spots: list[tuple[float, float]]
) -> None:
    before, places = np.array(polygons, dtype=object), np.array(spots, dtype=float)
    index = coverage_index(before)
    after = before.copy()
    changed = list(range(min(len(redrawn), len(after))))
    for row, polygon in zip(changed, redrawn, strict=False):
        after[row] = polygon
    followed, rows, _ = index.reassigned(after, changed, places, index.assign(places))
    assert (rows == coverage_index(after).assign(places)).all()
    agrees(after, places, followed)


number = st.floats(allow_nan=False, allow_infinity=False, width=64)


@settings(deadline=None)
@given(st.lists(number, min_size=4, max_size=4), st.floats(-1, 2), st.integers(-2, 2))
def test_the_side_of_a_line_is_exact(ends: list[float], share: float, steps: int) -> None:
    ax, ay, bx, by = (value / 4 for value in ends)
    cx, cy = ax + share * (bx - ax), ay + share * (by - ay)
    for _ in range(abs(steps)):
        cx = float(np.nextafter(cx, np.inf * steps))
    a, b, c, d, e, f = (Fraction(value) for value in (ax, ay, bx, by, cx, cy))
    exact = (a - e) * (d - f) - (b - f) * (c - e)
    sign = (exact > 0) - (exact < 0)
    assert turn(ax, ay, bx, by, cx, cy) == sign
    assert exact_turn(ax, ay, bx, by, cx, cy) == sign
