"""Cells cut along lines, straight, bent and adversarial: the coverage stays one, nothing moves."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo.cutline import DELTA_M, Cut, cut
from geo.errors import CutRefusedError, InvalidInputError, TopologyError
from geo.redraw import lines
from proofs.memory import exact_area
from proofs.redrawing import claims, redrawn
from tests.coverages import CORNER, METRE_SRID, lattice, voronoi


def after(cells: gpd.GeoSeries, done: Cut) -> gpd.GeoSeries:
    """Return all that stands after a cut."""
    left = cells.drop(done.pieces["cell_id"].unique())
    left.update(gpd.GeoSeries(done.beside, crs=cells.crs))
    return gpd.GeoSeries([*left, *done.pieces.geometry], crs=cells.crs)


def demand_whole(cells: gpd.GeoSeries, done: Cut) -> None:
    now = after(cells, done)
    assert shapely.is_valid(now.to_numpy()).all()
    assert shapely.coverage_is_valid(now.to_numpy())
    old = {tuple(xy) for xy in shapely.get_coordinates(cells.to_numpy())}
    assert old <= {tuple(xy) for xy in shapely.get_coordinates(now.to_numpy())}
    total = sum(map(exact_area, cells), Fraction(0))
    assert abs(sum(map(exact_area, now), Fraction(0)) - total) <= total * Fraction(1, 10**12)
    for cell, rows in done.pieces.groupby("cell_id"):
        off = sum(map(exact_area, rows.geometry), Fraction(0)) - exact_area(cells[cell])
        assert abs(off) <= 1e-6


def way(*places: tuple[float, float]) -> shapely.LineString:
    return shapely.LineString(np.array(places) + CORNER)


def test_a_straight_line_puts_one_vertex_into_each_edge_it_crosses() -> None:
    cells = lattice(3, 3)
    done = cut(cells, way((-10, 140), (310, 160)), [3, 4, 5])
    assert done.pieces["cell_id"].tolist() == [3, 3, 4, 4, 5, 5]
    assert done.beside == {}, "the outer edges have no neighbours, the inner ones only cut cells"
    demand_whole(cells, done)
    done = cut(cells, way((-10, 140), (310, 160)), [4])
    assert done.pieces["cell_id"].tolist() == [4, 4]
    assert sorted(done.beside) == [3, 5]
    assert [len(done.beside[cell].exterior.coords) for cell in (3, 5)] == [6, 6]
    demand_whole(cells, done)


def test_what_is_near_the_line_lies_on_it() -> None:
    cells = lattice(2, 2)
    done = cut(cells, way((100.3, -5), (99.7, 205)))
    assert done.pieces.empty
    assert done.beside == {}
    done = cut(cells, way((0.4, -5), (0.2, 50), (99.8, 99.6), (205, 99.7)))
    assert done.pieces["cell_id"].tolist() == [0, 0]
    corners = {tuple(xy) for piece in done.pieces.geometry for xy in piece.exterior.coords}
    assert len(corners - {tuple(xy) for xy in shapely.get_coordinates(cells[0])}) == 1
    demand_whole(cells, done)


def test_a_polyline_bends_inside_a_cell_and_may_come_back() -> None:
    cells = lattice(3, 1)
    done = cut(cells, way((50, -5), (50, 50), (150, 60), (50, 70), (50, 105)))
    counts = done.pieces["cell_id"].value_counts()
    assert dict(counts) == {0: 3, 1: 2}
    demand_whole(cells, done)


def test_a_line_that_ends_inside_a_cell_does_not_cut_it() -> None:
    cells = lattice(3, 1)
    done = cut(cells, way((-5, 50), (150, 50)))
    assert done.pieces["cell_id"].unique().tolist() == [0]
    assert sorted(done.beside) == [1], "its neighbour has the vertex where the cut ends"
    demand_whole(cells, done)


def test_a_court_is_cut_around() -> None:
    x, y = CORNER
    hole = shapely.box(x + 40, y + 40, x + 60, y + 60)
    cells = gpd.GeoSeries([shapely.box(x, y, x + 100, y + 100) - hole, hole], crs=METRE_SRID)
    done = cut(cells, way((-5, 50), (105, 50)), [0])
    assert done.pieces["cell_id"].tolist() == [0, 0]
    assert sorted(done.beside) == [1]
    demand_whole(cells, done)
    done = cut(cells, way((20, -5), (21, 105)))
    assert shapely.get_num_interior_rings(done.pieces.geometry.to_numpy()).sum() == 1
    demand_whole(cells, done)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (((-5, 50), (105, 50), (50, 70), (50, 20)), "crosses itself"),
        (((-5, 50), (50, 90), (-5, 50.1)), "ends where it begins"),
        (((-5, 0.9), (105, 0.9)), "narrower|smaller"),
        (((-1, 98), (2, 101)), "smaller"),
    ],
)
def test_a_line_that_cannot_cut_is_refused_with_its_place(places: Any, message: str) -> None:
    with pytest.raises(CutRefusedError, match=message) as refused:
        cut(lattice(1, 1), way(*places), least_width_m=1.0)
    (x, y), *_ = refused.value.data["places"]
    assert shapely.dwithin(shapely.Point(x, y), lattice(1, 1)[0], 10)
    with pytest.raises(TopologyError):
        cut(lattice(1, 1).to_crs(4326), way((0, 0), (1, 1)))


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 6),
    st.sampled_from(["anywhere", "vertices", "edge"]),
    st.floats(-1.2, 1.2),
)
@example(7, 2, "edge", 0.5)
@settings(max_examples=40, deadline=None)
def test_any_line_leaves_a_coverage(seed: int, count: int, kind: str, aside: float) -> None:
    rng = np.random.default_rng(seed)
    cells = voronoi(25, seed=seed % 1000, bends=int(rng.integers(0, 3)))
    ring = shapely.get_coordinates(cells[int(rng.integers(len(cells)))])
    if kind == "anywhere":
        places = ring.mean(axis=0) + rng.normal(0, 400, (count, 2))
    elif kind == "vertices":
        places = ring[rng.choice(len(ring), min(count, len(ring)))] + rng.normal(0, 0.4, 2)
    else:
        one, two = ring[0], ring[1]
        along = (two - one) / max(float(np.hypot(*(two - one))), 1e-9)
        normal = np.array([-along[1], along[0]]) * aside
        places = np.array([one - 900 * along, one + normal, two + normal, two + 900 * along])
    if len(np.unique(places, axis=0)) < 2:
        return
    try:
        done = cut(cells, shapely.LineString(places), least_m2=0.0, least_width_m=0.0)
    except CutRefusedError:
        return
    demand_whole(cells, done)


def test_ground_is_parted_along_borders_near_the_line() -> None:
    cells = lattice(6, 4)
    line = lines.reaching(cells, way((-5, 190), (300, 220), (605, 170)))
    south, north = sorted(lines.along(cells, line), key=min)
    assert (south, north) == (list(range(12)), list(range(12, 24)))
    parts = lines.parted(cells, lines.reaching(cells, way((20, 130), (300, 140), (580, 120))))
    assert [len(part) for part in parts] == [18, 6]
    with pytest.raises(InvalidInputError, match="single cell"):
        lines.along(cells[:1], way((-5, 50), (105, 50)))
    with pytest.raises(InvalidInputError, match="ends inside"):
        lines.reaching(cells, way((200, 200), (300, 220)))


def test_ground_that_the_line_does_not_touch_stays_with_the_largest_part() -> None:
    cells = lattice(8, 2).drop([3, 11])
    parts = lines.parted(cells, way((-5, 105), (305, 105)))
    assert [len(part) for part in parts] == [11, 3]


def test_random_redrawing_in_memory_is_always_whole() -> None:
    told, broken = redrawn(11, 60)
    assert broken == []
    assert told["cut (drag)"] + told["cut (split_by_line)"] > 5
    assert claims(told, broken, "60")[0].held
    assert not claims(told, ["torn"], "60")[0].held


def test_the_proof_finds_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut that forgets its neighbours is found."""

    def forgetful(*asked: Any, **how: Any) -> Cut:
        return Cut(cut(*asked, **how).pieces, {})

    monkeypatch.setattr("geo.cutline.cut", forgetful)
    _, broken = redrawn(11, 25)
    assert any("no coverage" in one for one in broken)
    assert DELTA_M == 0.5
    assert pd.Series(broken).str.contains("seed 11").all()
