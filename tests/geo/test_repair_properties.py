"""Coverages damaged by code come back: valid, complete, near the original, accounted for."""

from __future__ import annotations

from collections.abc import Callable
from math import fsum

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geo.repair import Repair, examine
from geo.topology import areas_m2, coverage_faults
from tests.coverages import CORNER, lattice, voronoi

SIDE_M = 600.0
AWAY_M = 0.4

Ring = NDArray[np.float64]
Damage = Callable[[Ring, np.random.Generator], Ring]


def moved_vertex(ring: Ring, rng: np.random.Generator) -> Ring:
    ring[rng.integers(len(ring))] += rng.uniform(-AWAY_M, AWAY_M, 2)
    return ring


def moved_by_millimetres(ring: Ring, rng: np.random.Generator) -> Ring:
    return ring + rng.uniform(-0.003, 0.003, ring.shape)


def dropped_vertex(ring: Ring, rng: np.random.Generator) -> Ring:
    """Leave out a vertex that the shape hardly needs; the neighbour keeps it."""
    back, ahead = np.roll(ring, 1, axis=0) - ring, np.roll(ring, -1, axis=0) - ring
    bend = np.abs(back[:, 0] * ahead[:, 1] - back[:, 1] * ahead[:, 0])
    spare = np.flatnonzero(bend < 1.0)
    return np.delete(ring, rng.choice(spare), axis=0) if len(spare) and len(ring) > 4 else ring


def added_vertex(ring: Ring, rng: np.random.Generator) -> Ring:
    at = rng.integers(1, len(ring))
    middle = ring[at - 1] + (ring[at] - ring[at - 1]) * rng.uniform(0.2, 0.8)
    return np.insert(ring, at, middle, axis=0)


def shifted(ring: Ring, rng: np.random.Generator) -> Ring:
    return ring + rng.uniform(-AWAY_M, AWAY_M, 2)


def swollen(ring: Ring, rng: np.random.Generator) -> Ring:
    middle = ring.mean(axis=0)
    arms = ring - middle
    return middle + arms * (1 + rng.uniform(-1, 1) * AWAY_M / np.hypot(*arms.T).max())


def bow_tie(ring: Ring, rng: np.random.Generator) -> Ring:
    """Let the border run back and cross itself."""
    at = int(rng.integers(1, len(ring)))
    along = ring[at] - ring[at - 1]
    across = np.array([-along[1], along[0]]) / np.hypot(*along) * AWAY_M
    begin = ring[at - 1]
    loop = [begin + along * 0.6, begin + along * 0.6 + across, begin + along * 0.4 - across]
    return np.insert(ring, at, loop, axis=0)


def needle(ring: Ring, rng: np.random.Generator) -> Ring:
    at = int(rng.integers(1, len(ring)))
    middle = (ring[at - 1] + ring[at]) / 2
    return np.insert(ring, at, [middle, middle + rng.uniform(-20, 20, 2), middle], axis=0)


DAMAGES: tuple[Damage, ...] = (
    moved_vertex,
    moved_by_millimetres,
    dropped_vertex,
    added_vertex,
    shifted,
    swollen,
    bow_tie,
    needle,
)


def damaged(
    clean: gpd.GeoSeries, damages: list[tuple[int, int]], seed: int
) -> tuple[gpd.GeoSeries, set[int]]:
    """Return the coverage after damages (which area, which kind), and the areas that were hit."""
    rng = np.random.default_rng(seed)
    shapes = clean.to_numpy().copy()
    hit = set()
    for number, kind in damages:
        row = number % len(shapes)
        hit.add(row)
        ring = DAMAGES[kind](shapely.get_coordinates(shapes[row])[:-1].copy(), rng)
        shapes[row] = shapely.Polygon(ring)
    return gpd.GeoSeries(shapes, index=clean.index, crs=clean.crs), hit


def assert_accounted(given_areas: gpd.GeoSeries, found: Repair) -> None:
    after = found.areas.to_numpy()
    assert shapely.coverage_is_valid(after)
    assert coverage_faults(found.areas).edges.empty
    origin = np.floor(shapely.total_bounds(after)[:2])
    near = shapely.transform(after, lambda places: places - origin)
    united = shapely.union_all(near).area
    assert abs(fsum(shapely.area(near)) - united) <= 1e-9 * united
    ledger = found.ledger
    for label, size in found.sizes.iterrows():
        own = ledger[ledger["subject"] == label]
        gained, ceded = own["gained_m2"].tolist(), (-own["ceded_m2"]).tolist()
        assert fsum([size["delivered_m2"], *gained, *ceded]) == size["after_m2"]
    total = fsum([*found.sizes["delivered_m2"], *ledger["gained_m2"], *-ledger["ceded_m2"]])
    assert total == fsum(found.sizes["after_m2"])
    rounding = ledger[ledger["kind"] == "rounding"]
    assert (rounding["gained_m2"] + rounding["ceded_m2"]).max() < 1e-6 or rounding.empty
    measured = areas_m2(found.areas)
    assert np.allclose(found.sizes["after_m2"].loc[measured.index], measured, atol=1e-6, rtol=0)
    before = shapely.make_valid(given_areas.loc[found.areas.index].to_numpy(), method="structure")
    off = shapely.area(shapely.symmetric_difference(after, before))
    assert set(found.areas.index[off > 1e-3]) <= set(ledger["subject"]), "no silent change"


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 50),
    st.integers(3, 25),
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, len(DAMAGES) - 1)), min_size=0, max_size=12
    ),
)
def test_damaged_coverages_come_back(seed: int, n: int, damages: list[tuple[int, int]]) -> None:
    clean = voronoi(n, seed=seed, side_m=SIDE_M, bends=1)
    dirty, hit = damaged(clean, damages, seed)
    found = examine(dirty, gap_m=1.0, largest_change=1.0)
    assert_accounted(dirty, found)
    if len(found.torn):
        return
    assert found.areas.index.tolist() == clean.index.tolist(), "none is lost"
    off = shapely.area(shapely.symmetric_difference(found.areas.to_numpy(), clean.to_numpy()))
    strikes = max((sum(row % n == own for row, _ in damages) for own in hit), default=0)
    bound = 2.0 * AWAY_M * max(strikes, 1) * shapely.length(clean.to_numpy()) + 1.0
    assert (off <= bound).all()
    around = shapely.STRtree(clean.to_numpy()).query(
        clean.to_numpy()[sorted(hit)], predicate="dwithin", distance=2 * AWAY_M * max(strikes, 1)
    )[1]
    far = np.setdiff1d(np.arange(n), around)
    kept = shapely.equals_identical(found.areas.to_numpy()[far], clean.to_numpy()[far])
    assert kept.all(), "areas away from every damage are untouched"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_lattices_of_right_angles_come_back(seed: int, strikes: int) -> None:
    clean = lattice(5, 4, side_m=50.0)
    rng = np.random.default_rng(seed)
    kinds = rng.integers(len(DAMAGES), size=strikes).tolist()
    dirty, _ = damaged(clean, list(zip(rng.integers(20, size=strikes), kinds, strict=True)), seed)
    assert_accounted(dirty, examine(dirty, largest_change=1.0))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_each_damage_is_found_and_named(damage: Damage) -> None:
    clean = voronoi(12, seed=5, side_m=SIDE_M)
    row = int(shapely.STRtree(clean.to_numpy()).nearest(shapely.Point(*CORNER + np.full(2, 300.0))))
    dirty, _ = damaged(clean, [(row, DAMAGES.index(damage))], 8)
    found = examine(dirty, largest_change=1.0)
    assert_accounted(dirty, found)
    kinds = set(found.defects["kind"])
    expected = {
        moved_by_millimetres: {"near_miss", "unnoded"},
        added_vertex: {"unnoded"},
        dropped_vertex: {"unnoded"},
        bow_tie: {"invalid_ring"},
        needle: {"invalid_ring", "needle"},
    }.get(damage, {"overlap", "gap"})
    assert kinds & expected, kinds
    assert not shapely.is_empty(found.defects.geometry.to_numpy()).any(), "each has a place"


def test_the_checks_can_fail() -> None:
    clean = voronoi(6, seed=5, side_m=SIDE_M)
    dirty, _ = damaged(clean, [(1, DAMAGES.index(shifted))], 8)
    found = examine(dirty, largest_change=1.0)
    found.ledger.loc[0, "ceded_m2"] += 1e-6
    with pytest.raises(AssertionError):
        assert_accounted(dirty, found)
