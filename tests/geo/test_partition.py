"""Dividing: contiguous, exact in number, the same for a seed, near the exact optimum, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.dividing_exact import connected, optimum
from geo.errors import InvalidInputError
from geo.partition import (
    CellGraph,
    Effort,
    Wishes,
    balanced_parts,
    cell_graph,
    divide,
    score,
)
from geo.partition.graph import components, pieces
from geo.partition.overlay import overlaid
from geo.topology import adjacency
from tests.coverages import voronoi

pytestmark = pytest.mark.timeout(600)  # a cold compilation on a busy machine

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def town(n: int, seed: int, parents: int = 1) -> CellGraph:
    """Voronoi cells with households like those of a town: many small, a few towers."""
    cells = voronoi(n, seed=seed)
    found = adjacency(cells)
    rng = np.random.default_rng(seed)
    households = rng.integers(0, 8, n) + np.where(rng.random(n) < 0.05, 60.0, 0.0)
    x = cells.centroid.x.to_numpy()
    band = np.searchsorted(np.quantile(x, np.linspace(0, 1, parents + 1)[1:-1]), x)
    return cell_graph(households, found.left, found.right, found.length_m, band)


def assert_whole(graph: CellGraph, labels: Ints) -> None:
    """Each part lies in one parent, and has no more pieces than the parent makes it have."""
    for label in np.unique(labels):
        mine = labels == label
        assert len(np.unique(graph.parent[mine])) == 1
        inside = mine[graph.left] & mine[graph.right]
        piece = components(graph.size, graph.left[inside], graph.right[inside])
        assert len(np.unique(piece[mine])) == 1


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_so_many_parts_as_asked_and_each_of_one_piece(n: int) -> None:
    graph = town(40, seed=3)
    edges = np.stack([graph.left, graph.right], axis=1)
    labels = balanced_parts(graph.weight[:, 0], edges, graph.length_m, n, seed=5)
    assert sorted(np.unique(labels)) == list(range(n))
    assert_whole(graph, labels)
    assert labels[0] == 0


def test_even_weights_are_cut_evenly() -> None:
    side = 6
    at = np.arange(side * side).reshape(side, side)
    edges = np.concatenate(
        [np.stack([at[:, :-1], at[:, 1:]], -1).reshape(-1, 2),
         np.stack([at[:-1], at[1:]], -1).reshape(-1, 2)]
    )  # fmt: skip
    labels = balanced_parts(np.ones(36), edges, np.full(len(edges), 10.0), 4, seed=1)
    assert np.bincount(labels).tolist() == [9, 9, 9, 9]
    cut = int((labels[edges[:, 0]] != labels[edges[:, 1]]).sum())
    assert cut == 12, "four squares of three by three: no division has a shorter cut"


def test_cells_without_weight_are_cut_by_their_number() -> None:
    edges = np.stack([np.arange(9), np.arange(1, 10)], axis=1)
    labels = balanced_parts(np.zeros(10), edges, np.ones(9), 5)
    assert np.bincount(labels).tolist() == [2, 2, 2, 2, 2]


def test_what_cannot_be_cut_is_refused_with_the_reason() -> None:
    lonely = np.empty((0, 2), dtype=np.int64)
    with pytest.raises(InvalidInputError, match="3 pieces that do not touch"):
        balanced_parts(np.ones(3), lonely, np.empty(0), 2)
    with pytest.raises(InvalidInputError, match="3 cells cannot be cut into 4"):
        balanced_parts(np.ones(3), np.array([[0, 1], [1, 2]]), np.ones(2), 4)
    with pytest.raises(InvalidInputError, match="no number from 0"):
        balanced_parts(np.array([1.0, -1.0]), np.array([[0, 1]]), np.ones(1), 2)


@given(st.integers(0, 10_000), st.integers(8, 60), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_parts_are_whole_and_the_score_is_what_the_formula_says(
    seed: int, n: int, parents: int
) -> None:
    graph = town(n, seed, parents)
    wishes = Wishes(target=(30.0,), tolerance=(0.2,))
    found = divide(graph, wishes, seed=seed, effort=Effort(chains=1, steps=6))
    assert_whole(graph, found.labels)
    assert found.score.objective == pytest.approx(by_hand(graph, found.labels, wishes))
    assert (found.score.units["pieces"] == 1).all()
    assert found.score.units["weight"].sum() == pytest.approx(graph.total)


def by_hand(graph: CellGraph, labels: Ints, wishes: Wishes) -> float:
    """Return the documented formula, written once more and slowly."""
    total = 0.0
    for label in set(labels.tolist()):
        mine = labels == label
        load = float(graph.weight[mine, 0].sum())
        if mine.sum() == 1 and load > wishes.target[0]:
            continue
        x = abs(load / wishes.target[0] - 1.0)
        total += x * x
        if x > wishes.tolerance[0]:
            total += wishes.beyond + wishes.slope * (x - wishes.tolerance[0])
    cut = sum(
        length
        for a, b, length in zip(graph.left, graph.right, graph.length_m, strict=True)
        if labels[a] != labels[b]
    )
    parts = max(graph.total / wishes.target[0], 1.0)
    side = graph.length_m.sum() / (2.0 * np.sqrt(graph.size * parts)) if len(graph.left) else 1.0
    return float(total + wishes.cut_price * cut / side)


def test_the_same_seed_is_the_same_division_on_any_number_of_cores() -> None:
    graph = town(600, seed=2, parents=6)
    wishes = Wishes(target=(60.0,), tolerance=(0.2,))
    one = divide(graph, wishes, seed=7, threads=1)
    many = divide(graph, wishes, seed=7, threads=5)
    other = divide(graph, wishes, seed=8)
    assert (one.labels == many.labels).all()
    assert (one.labels != other.labels).any()


@pytest.mark.parametrize("seed", range(3))
def test_small_parents_come_within_a_hundredth_of_the_exact_optimum(seed: int) -> None:
    graph = town(8, seed=seed)
    wishes = Wishes(target=(graph.total / 2.6,), tolerance=(0.2,))
    exact = min(
        score(graph, np.array(labels), wishes).objective
        for labels in divisions(8, 4)
        if whole(graph, np.array(labels))
    )
    found = divide(graph, wishes, seed=1).score.objective
    assert exact - 1e-9 <= found <= exact * 1.01


@pytest.mark.parametrize(("target", "cells"), [(30.0, 12), (22.0, 13)])
def test_parents_of_a_dozen_cells_come_within_a_hundredth_of_what_highs_proves(
    target: float, cells: int
) -> None:
    graph = town(cells * 4, seed=5, parents=4)
    wishes = Wishes(target=(target,), tolerance=(0.2,))
    proven = score(graph, optimum(graph, wishes), wishes)
    assert (proven.units["pieces"] == 1).all()
    found = divide(graph, wishes, seed=1).score.objective
    assert proven.objective - 1e-9 <= found <= proven.objective * 1.01


def test_connected_parts_are_named_once_each() -> None:
    ring = [np.array([(k - 1) % 6, (k + 1) % 6]) for k in range(6)]
    parts = list(connected(ring))
    assert len(parts) == len(set(parts)) == 6 * 5 + 1


def divisions(n: int, most: int) -> list[tuple[int, ...]]:
    """Return every division of n cells into at most so many parts, each once."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(n):
        found = [
            (*labels, label)
            for labels in found
            for label in range(min(max(labels, default=-1) + 2, most))
        ]
    return found


def whole(graph: CellGraph, labels: Ints) -> bool:
    kept = labels[graph.left] == labels[graph.right]
    piece = components(graph.size, graph.left[kept], graph.right[kept])
    return len(np.unique(piece)) == len(np.unique(labels))


def test_progress_is_told_and_what_it_raises_ends_the_work() -> None:
    graph = town(800, seed=4, parents=8)
    shares: list[float] = []
    divide(graph, Wishes((60.0,), (0.2,)), progress=lambda step, share: shares.append(share))
    assert shares[0] == 0.0 and shares[-1] == 1.0 and shares == sorted(shares)

    def stop(step: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        divide(graph, Wishes((60.0,), (0.2,)), progress=stop)


@pytest.mark.parametrize("installed", [True, False])
def test_coarse_parts_are_made_of_layers_with_metis_and_without(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setattr("geo.partition.seeds._metis", lambda: None)
    graph = town(1200, seed=6)
    wishes = Wishes(target=(graph.total / 6,), tolerance=(0.1,))
    found = divide(graph, wishes, parts=6, seed=2)
    assert_whole(graph, found.labels)
    assert len(found.score.units) == 6 and found.score.good == 1.0
    assert (found.labels == divide(graph, wishes, parts=6, seed=2).labels).all()


def test_layers_make_cells_of_what_they_agree_on() -> None:
    graph = cell_graph(
        np.arange(6.0), np.arange(5), np.arange(1, 6), np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    )
    piece = next(pieces(graph, graph.length_m))
    layers = [np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 1, 1])]
    rough, node = overlaid(piece, layers)
    assert node.tolist() == [0, 0, 1, 2, 2, 3]
    assert rough.weight.tolist() == [1.0, 2.0, 7.0, 5.0]
    assert rough.net.price.tolist() == [2.0, 2.0, 4.0, 4.0, 16.0, 16.0]
