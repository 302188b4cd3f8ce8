"""A city divided into units: ours beside METIS, KaHIP, GerryChain and spopt, by one formula.

Everybody gets the same graph, both numbers of parts for each connected piece, several starts, and
the same repair: what hangs apart is given away, single cells move as long as the formula falls, and
the best start of each piece stays. Figures are the formula's, so that less is better in all.
Real ground (Iowa, Cambridge, a Finnish town) is read where WANGGE_SHARED names its folder.
"""

from __future__ import annotations

import random
import signal
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from time import process_time
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import dividing_exact as exact
from benchmarks import dividing_ground as ground
from benchmarks.coverages import voronoi
from benchmarks.harness import Case, DisagreementError, Measure, Outcome
from geo.demo import generate
from geo.partition import (
    QUICK,
    CellGraph,
    Wishes,
    balanced_parts,
    cell_graph,
    divide,
    measured,
)
from geo.partition.dividing import THOROUGH, Effort, aim_of, part_range
from geo.partition.graph import Piece, pieces
from geo.partition.kernel import settle
from geo.partition.seeds import bisected
from geo.partition.state import mend, new_state, reckon
from geo.topology import adjacency

SEEDS = (1, 2, 3)
TARGET, TOLERANCE = 106.0, 0.2
STARTS = 10
CITY_PARTS = 60
SMALL_CELLS = 600
SMALL_TARGET = 60.0
CELL_SIDE_M = 55.0
IOWA_PARTS, IOWA_TOLERANCE = 4, 0.02
PIECES = 4
"""Communities of a city that the slow peers divide too."""
PATIENCE_S = 15.0
"""CPU that a slow peer has for an instance; pieces that it did not come to are one part each."""
EXACT_CELLS = 14
EXACT_PARENTS = 6

Ints = NDArray[np.int64]
Cut = Callable[[Piece, int, int], Ints | None]
"""Takes a piece, a number of parts and a seed; parts from 0, or None where it found none."""


def cases() -> Iterator[Case]:
    """Yield the cases: three cities by their communities, one in 60, small towns, real ground."""
    warm()
    for seed in SEEDS:
        graph, wishes = demo(seed), Wishes((TARGET,), (TOLERANCE,))
        yield _case(f"demo_{seed}", graph, wishes, FAST_PEERS)
        if seed == SEEDS[0]:
            yield _case("demo_1_thorough", graph, wishes, FAST_PEERS, effort=THOROUGH)
            yield _part_of(graph, wishes)
    yield _in_sixty(demo(1, whole=True))
    small, wishes = town(SMALL_CELLS), Wishes((SMALL_TARGET,), (TOLERANCE,))
    yield _case("town", small, wishes, ALL_PEERS)
    yield _exactly()
    yield from _real()


def _real() -> Iterator[Case]:
    folder = ground.folder()
    if folder is None:
        return
    iowa = ground.iowa(folder)
    even = Wishes((iowa.total / IOWA_PARTS,), (IOWA_TOLERANCE,))
    strict: dict[str, tuple[Cut, int]] = {
        **FAST_PEERS,
        "KaHIP": (partial(kahip, slack=IOWA_TOLERANCE), 2),
        "GerryChain": (partial(gerrychain, tolerance=IOWA_TOLERANCE), 3),
        "spopt": (partial(spopt, tolerance=IOWA_TOLERANCE), 1),
    }
    yield _case("iowa_in_4", iowa, even, strict, parts=IOWA_PARTS)
    yield _case("cambridge", ground.cambridge(folder), Wishes((400.0,), (TOLERANCE,)), ALL_PEERS)
    yield _case("finnish_town", ground.finnish_town(folder), Wishes((60.0,), (0.2,)), ALL_PEERS)


def warm() -> None:
    """Compile, or read what was compiled, before anybody is measured."""
    line = np.stack([np.arange(5), np.arange(1, 6)], axis=1)
    balanced_parts(np.ones(6), line, np.ones(5), 3)


def demo(seed: int, *, whole: bool = False) -> CellGraph:
    """Return the cells of a demo city, with its communities as parents or as one piece."""
    weight, left, right, length_m, parent = drawn(seed)
    return cell_graph(weight, left, right, length_m, np.zeros_like(parent) if whole else parent)


@cache
def drawn(seed: int) -> tuple[Any, ...]:
    """Return households, borders and communities of a demo city."""
    city = generate(seed)
    homes = city.cell_values
    homes = homes[(homes["measure"] == "households") & (homes["vintage"] == city.base_vintage)]
    weight = city.cells["cell_id"].map(homes.set_index("cell_id")["value"]).fillna(0.0)
    grids = city.grids.set_index("grid_id")
    grid = city.cells["grid_id"].to_numpy()
    for level in range(int(grids["level"].max()), 2, -1):
        deep = grids["level"].reindex(grid).to_numpy() == level
        grid = np.where(deep, grids["parent_id"].reindex(grid).to_numpy(), grid)
    found = adjacency(gpd.GeoSeries(city.cells.geometry.to_numpy(), crs=city.metre_srid))
    parent = pd.factorize(grid)[0].astype(np.int64)
    return weight.to_numpy(float), found.left, found.right, found.length_m, parent


@cache
def town(count: int) -> CellGraph:
    """Return Voronoi cells in six bands, many with few households, some towers."""
    cells = voronoi(count, side_m=CELL_SIDE_M)
    found = adjacency(cells)
    rng = np.random.default_rng(1)
    homes = rng.integers(0, 8, count) + np.where(rng.random(count) < 0.05, 50.0, 0.0)
    x = cells.centroid.x.to_numpy()
    band = np.searchsorted(np.quantile(x, np.linspace(0, 1, 7)[1:-1]), x)
    return cell_graph(homes, found.left, found.right, found.length_m, band)


def _part_of(graph: CellGraph, wishes: Wishes) -> Case:
    """Return the city's smallest communities as a case for those who are slow."""
    size = np.bincount(graph.parent)
    chosen = np.isin(graph.parent, np.argsort(size, kind="stable")[:PIECES])
    place = np.cumsum(chosen) - 1
    inside = chosen[graph.left] & chosen[graph.right]
    part = cell_graph(
        graph.weight[chosen], place[graph.left[inside]], place[graph.right[inside]],
        graph.length_m[inside], graph.parent[chosen],
    )  # fmt: skip
    return _case(f"demo_1_communities_{PIECES}", part, wishes, ALL_PEERS)


def _case(
    name: str,
    graph: CellGraph,
    wishes: Wishes,
    peers: dict[str, tuple[Cut, int]],
    *,
    parts: int | None = None,
    effort: Effort = QUICK,
) -> Case:
    def ours() -> Outcome:
        return _outcome(graph, divide(graph, wishes, parts=parts, effort=effort).labels, wishes)

    def by(cut: Cut, starts: int) -> Callable[[], Outcome]:
        @cache
        def once() -> Outcome:
            began = process_time()
            labels = portfolio(graph, wishes, patient(cut, began), starts, parts=parts)
            return _outcome(graph, labels, wishes, process_time() - began)

        return once

    return Case(
        name=name,
        title="units near a target of households",
        ours=_timed(ours),
        peers={peer: by(cut, starts) for peer, (cut, starts) in peers.items()},
        measures=[
            Measure("objective", "cost", goal=1.0),
            Measure("missed", "%", goal=1.0),
            Measure("cut", "km", goal=1 / 1.03, peers=("METIS", "METIS, 10 starts")),
            Measure("seconds", "s", goal=1 / 3),
        ],
        agree=_adds_up,
        note=f"{graph.size:,} cells in {len(np.unique(graph.parent)):,} parents; missed: units "
        "beyond the tolerance that are not one heavy cell; peers are run once; GerryChain and "
        f"spopt end after {PATIENCE_S:.0f} s, and what they did not come to is one part",
    )


def _exactly() -> Case:
    """Return small parents beside the proven optimum: the ratio may fall to 0.99."""
    graph, wishes = town(EXACT_CELLS * EXACT_PARENTS), Wishes((SMALL_TARGET / 2,), (TOLERANCE,))

    def ours() -> Outcome:
        return _outcome(graph, divide(graph, wishes).labels, wishes)

    @cache
    def proven() -> Outcome:
        began = process_time()
        labels = exact.optimum(graph, wishes)
        return _outcome(graph, labels, wishes, process_time() - began)

    return Case(
        name="small_parents",
        title="parents of a dozen cells beside the proven optimum",
        ours=_timed(ours),
        peers={"HiGHS, proven": proven},
        measures=[Measure("objective", "cost", goal=0.99), Measure("seconds", "s", goal=1.0)],
        agree=_adds_up,
        note=f"{graph.size} cells in {EXACT_PARENTS} parents; nobody can be better than the peer",
    )


def _in_sixty(whole: CellGraph) -> Case:
    wishes = Wishes((whole.total / CITY_PARTS,), (TOLERANCE,))

    def ours() -> Outcome:
        return _outcome(whole, divide(whole, wishes, parts=CITY_PARTS).labels, wishes)

    def by(cut: Cut) -> Callable[[], Outcome]:
        @cache
        def once() -> Outcome:
            began = process_time()
            labels = portfolio(whole, wishes, cut, 1, parts=CITY_PARTS)
            return _outcome(whole, labels, wishes, process_time() - began)

        return once

    return Case(
        name="city_in_60",
        title="one city in sixty parts",
        ours=_timed(ours),
        peers={"METIS": by(metis), "KaHIP": by(kahip)},
        measures=[
            Measure("objective", "cost", goal=1.0),
            Measure("cut", "km", goal=1.0),
            Measure("seconds", "s", goal=1 / 3),
        ],
        agree=_adds_up,
        note="no parents; KaHIP is strong; peers are run once",
    )


def _timed(call: Callable[[], Outcome]) -> Callable[[], Outcome]:
    def run() -> Outcome:
        began = process_time()
        found = call()
        return Outcome(found.answer, {**found.figures, "seconds": process_time() - began})

    return run


def _outcome(graph: CellGraph, labels: Ints, wishes: Wishes, seconds: float = 0.0) -> Outcome:
    found = measured(graph, labels, wishes).score
    if (found.units["pieces"] > 1).any():
        raise DisagreementError("a unit lies in several pieces")
    figures = {
        "objective": found.objective,
        "missed": max(100.0 * (1.0 - found.good), 1e-6),
        "cut": max(found.cut_m / 1000.0, 1e-9),
        "seconds": seconds,
    }
    return Outcome(float(found.units["weight"].sum()), figures)


def _adds_up(ours: float, theirs: float) -> None:
    if abs(ours - theirs) > 1e-6 * max(abs(ours), 1.0):
        raise DisagreementError(f"{ours} and {theirs} households in all units")


def portfolio(
    graph: CellGraph, wishes: Wishes, cut: Cut, starts: int, *, parts: int | None = None
) -> Ints:
    """Return the best of several starts of a method for each piece, repaired like everybody's."""
    labels = np.empty(graph.size, dtype=np.int64)
    for piece in pieces(graph, wishes.prices(graph)):
        low, high = part_range(piece.weight, wishes.target[0], wishes.tolerance[0])
        numbers = {low, high} if parts is None else {parts}
        best, least = np.zeros(len(piece.cells), dtype=np.int64), np.inf
        for number in sorted(numbers):
            for start in range(starts if number > 1 else 1):
                own, cost = repaired(piece, wishes, cut, number, start)
                if cost < least:
                    best, least = own, cost
        labels[piece.cells] = best + piece.number * graph.size
    return labels


def repaired(piece: Piece, wishes: Wishes, cut: Cut, number: int, start: int) -> tuple[Ints, float]:
    """Return one start of a method after the repair, and what it costs."""
    found = cut(piece, number, start) if number > 1 else np.zeros(len(piece.cells), np.int64)
    if found is None:
        return np.zeros(len(piece.cells), np.int64), np.inf
    aim = aim_of(wishes, number, number)
    state = new_state(piece.net, int(found.max()) + 1, start)
    state.part[:] = found
    mend(piece.net, state)
    reckon(piece.net, aim, state)
    settle(piece.net, aim, state)
    return state.part.copy(), float(state.held[1])


def patient(cut: Cut, began: float) -> Cut:
    """Return a method that finds nothing any more when its patience is over."""
    if getattr(cut, "func", cut) not in (gerrychain, spopt):
        return cut

    def ended(number: int, frame: object) -> None:
        raise TimeoutError

    def called(piece: Piece, number: int, start: int) -> Ints | None:
        left = PATIENCE_S - (process_time() - began)
        if left <= 0:
            return None
        before = signal.signal(signal.SIGVTALRM, ended)
        signal.setitimer(signal.ITIMER_VIRTUAL, left)
        try:
            return cut(piece, number, start)
        except TimeoutError:
            return None
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
            signal.signal(signal.SIGVTALRM, before)

    return called


def metis(piece: Piece, number: int, start: int) -> Ints | None:
    """Cut by METIS' recursive bisection."""
    return bisected(piece.net, number, start)


def kahip(piece: Piece, number: int, start: int, *, slack: float = 0.1) -> Ints | None:
    """Cut by KaHIP, strong; `slack` is the share that a part may be heavier than the mean."""
    import kahip as library

    weight = np.maximum(np.rint(piece.weight * 10), 1).astype(int)
    top = float(piece.net.price.max(initial=1e-9))
    price = np.maximum(np.rint(piece.net.price / top * 1000), 1).astype(int)
    _, found = library.kaffpa(
        weight.tolist(), piece.net.begin.tolist(), price.tolist(), piece.net.near.tolist(),
        number, slack, True, start, 2,
    )  # fmt: skip
    return np.asarray(found, dtype=np.int64)


def gerrychain(
    piece: Piece, number: int, start: int, *, tolerance: float = TOLERANCE
) -> Ints | None:
    """Cut by GerryChain's recursive trees."""
    import networkx as nx
    from gerrychain import Graph
    from gerrychain.tree import recursive_tree_part

    random.seed(start)
    graph = nx.Graph()
    graph.add_nodes_from((k, {"homes": weight}) for k, weight in enumerate(piece.weight.tolist()))
    tail = np.repeat(np.arange(len(piece.cells)), np.diff(piece.net.begin))
    graph.add_edges_from(zip(tail.tolist(), piece.net.near.tolist(), strict=True))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = recursive_tree_part(
                Graph.from_networkx(graph),
                range(number),
                float(piece.weight.sum()) / number,
                "homes",
                tolerance,
                0,
            )
    except (RuntimeError, ValueError):  # no cut was found
        return None
    return np.array([found[k] for k in range(len(piece.cells))], dtype=np.int64)


def spopt(piece: Piece, number: int, start: int, *, tolerance: float = TOLERANCE) -> Ints | None:
    """Cut by spopt's max-p with a floor of weight."""
    import libpysal
    from spopt.region import MaxPHeuristic

    begin, near = piece.net.begin.tolist(), piece.net.near.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        beside = {k: near[begin[k] : begin[k + 1]] for k in range(len(piece.cells))}
        around = libpysal.weights.W(beside, silence_warnings=True)
        frame = gpd.GeoDataFrame({"homes": piece.weight, "one": 1.0})
        floor = float(piece.weight.sum()) / number * (1 - tolerance)
        np.random.seed(start)  # noqa: NPY002 (it knows no generator)
        random.seed(start)
        model = MaxPHeuristic(frame, around, ["one"], "homes", floor, 2, 20, 5)
        model.solve()
    labels: Any = getattr(model, "labels_", None)
    return None if labels is None else np.unique(labels, return_inverse=True)[1].astype(np.int64)


FAST_PEERS: dict[str, tuple[Cut, int]] = {"METIS": (metis, 1), "METIS, 10 starts": (metis, STARTS)}
SLOW_PEERS: dict[str, tuple[Cut, int]] = {
    "KaHIP": (kahip, 2),
    "GerryChain": (gerrychain, 3),
    "spopt": (spopt, 1),
}
ALL_PEERS: dict[str, tuple[Cut, int]] = {**FAST_PEERS, **SLOW_PEERS}
