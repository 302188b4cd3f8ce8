"""Cells around buildings beside momepy alone: validity, CPU, memory, and how the time grows."""

from __future__ import annotations

import multiprocessing
import os
import resource
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import geopandas as gpd
import momepy
import numpy as np
import pandas as pd
import shapely

from benchmarks.coverages import CENTRE, METRE_SRID
from benchmarks.harness import Case, DisagreementError, Measure, Outcome
from geo.cells import building_cells

SMALL = 2_000
LARGE = 48_000
COPIES = 14
BLOCK_M = (130.0, 100.0)
LOTS = (4, 3)
CPU_LIMIT_S = 90.0
PEAK_LIMIT_MB = 3_000.0
GROWTH_LIMIT = 1.15
LEAST_SHARE = 0.99
"""Of each building that must lie in its cell for a contender's answer to count."""


@dataclass(frozen=True)
class Town:
    """Buildings, and streets around blocks of twelve."""

    buildings: gpd.GeoSeries
    streets: gpd.GeoSeries
    limit: gpd.GeoSeries

    def copies(self, count: int) -> Town:
        """Return the town that many times, side by side, a street's width apart."""
        west, _, east, _ = self.limit.total_bounds
        steps = np.arange(count) * (east - west + 10.0)
        return Town(*(_shifted(each, steps) for each in self.parts()))

    def parts(self) -> tuple[gpd.GeoSeries, gpd.GeoSeries, gpd.GeoSeries]:
        """Return buildings, streets, limit."""
        return self.buildings, self.streets, self.limit


def _shifted(shapes: gpd.GeoSeries, steps: Any) -> gpd.GeoSeries:
    return gpd.GeoSeries(
        pd.concat([shapes.translate(step, 0) for step in steps], ignore_index=True), crs=shapes.crs
    )


def town(count: int, *, seed: int = 1) -> Town:
    """Return a town of that many buildings, askew, every fifth wall to wall with the next."""
    rng = np.random.default_rng(seed)
    blocks = -(-count // (LOTS[0] * LOTS[1]))
    across = int(np.ceil(np.sqrt(blocks * BLOCK_M[1] / BLOCK_M[0])))
    rows = -(-blocks // across)
    lot = np.array(BLOCK_M) / LOTS
    number = np.arange(count)
    block, place = np.divmod(number, LOTS[0] * LOTS[1])
    corner = np.column_stack([block % across, block // across]) * BLOCK_M
    corner = corner + np.column_stack([place % LOTS[0], place // LOTS[0]]) * lot
    low = corner + rng.uniform(5.0, 8.0, (count, 2))
    high = corner + lot - rng.uniform(5.0, 9.0, (count, 2))
    joined = (number % 5 == 0) & (place % LOTS[0] < LOTS[0] - 1) & (number < count - 1)
    high[joined, 0] = low[np.flatnonzero(joined) + 1, 0]
    shapes = shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    size = np.array([across, rows]) * BLOCK_M
    x, y = np.arange(across + 1) * BLOCK_M[0], np.arange(rows + 1) * BLOCK_M[1]
    lines = [[(at, 0.0), (at, size[1])] for at in x] + [[(0.0, at), (size[0], at)] for at in y]
    found = (shapes, shapely.linestrings(lines), np.array([shapely.box(0, 0, *size)]))
    moved = [shapely.transform(each, lambda xy: np.add(xy, CENTRE)) for each in found]
    return Town(*(gpd.GeoSeries(each, crs=METRE_SRID) for each in moved))


def cases() -> Iterator[Case]:
    """Yield the cases: a small town, a large one, and fourteen small ones."""
    small = town(SMALL)
    yield _beside(f"town_{SMALL}", small, {"momepy": _momepy}, limits=False)
    yield _beside(f"city_{LARGE}", town(LARGE), {"momepy": _momepy}, limits=True)
    yield Case(
        name="growth",
        title=f"{COPIES} towns beside each other against one: CPU for each building",
        ours=partial(_growth, small),
        peers={},
        measures=[Measure("growth", "x", goal=1.0, limit=GROWTH_LIMIT, row="cpu")],
        agree=_same_cells,
        note=f"{SMALL:,} and {COPIES * SMALL:,} buildings, one process; 1 is time in proportion",
    )


def _beside(name: str, place: Town, peers: dict[str, Callable[..., Any]], *, limits: bool) -> Case:
    return Case(
        name=name,
        title=f"Cells around {len(place.buildings):,} buildings",
        ours=partial(_alone, _ours, place),
        peers={peer: _once(partial(_alone, call, place), limits) for peer, call in peers.items()},
        measures=[
            Measure("cpu_s", "s", goal=2.0, row="cpu"),
            Measure("peak_mb", "MB", goal=1.0, row="peak"),
            Measure("unmatched", "cells + 1", goal=2.0, row="unmatched"),
            *(
                [
                    Measure("cpu_s", "s", 1.0, peers=("none",), limit=CPU_LIMIT_S, row="cpu_limit"),
                    Measure(
                        "peak_mb", "MB", 1.0, peers=("none",), limit=PEAK_LIMIT_MB, row="peak_limit"
                    ),
                ]
                if limits
                else []
            ),
        ],
        agree=_same_cells,
        note="each in a process of its own, all cores, imports not counted; momepy: "
        "enclosed_tessellation as it comes; peak: all processes at their highest; unmatched: cells "
        "whose borders do not match their neighbours', plus one"
        + ("; momepy runs once and that figure stands in all rounds" if limits else ""),
    )


def _once(call: Callable[[], Outcome], keep: bool) -> Callable[[], Outcome]:
    """Return a call that is made once alone where it takes ten minutes."""
    return cache(call) if keep else call


def _one_process(place: Town) -> gpd.GeoSeries:
    return _ours(place, processes=1)


def _ours(place: Town, processes: int | None = None) -> gpd.GeoSeries:
    found = building_cells(place.buildings, place.limit, streets=place.streets, processes=processes)
    cells = found.cells.geometry.loc[found.cell_of.astype("int64")]
    return gpd.GeoSeries(cells.to_numpy(), index=place.buildings.index, crs=METRE_SRID)


def _momepy(place: Town) -> gpd.GeoSeries:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        enclosures = momepy.enclosures(place.streets, limit=place.limit)
        found = momepy.enclosed_tessellation(place.buildings, enclosures.geometry)
    return found.geometry[found.index >= 0].sort_index()


def _growth(place: Town) -> Outcome:
    one, many = (_alone(_one_process, each) for each in (place, place.copies(COPIES)))
    figures = {"growth": many.figures["cpu_s"] / COPIES / one.figures["cpu_s"]}
    return Outcome(many.answer, figures)


def _alone(call: Callable[[Town], gpd.GeoSeries], place: Town) -> Outcome:
    """Run a contender in a process of its own and return its cells' faults and figures."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_inside, args=(call, place, theirs))
    process.start()
    theirs.close()
    answer, figures = ours.recv()
    process.join()
    return Outcome(answer, figures)


def _inside(call: Callable[[Town], gpd.GeoSeries], place: Town, pipe: Any) -> None:
    before = _spent_s()
    cells = call(place)
    shut_down()
    cpu = _spent_s() - before
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = (own + (os.cpu_count() or 1) * child) / 1024
    pipe.send((_answer(cells, place), {"cpu_s": cpu, "peak_mb": peak, "unmatched": _faulty(cells)}))


def shut_down() -> None:
    """End the processes that momepy's library keeps waiting, so that their time is counted."""
    from joblib.externals.loky import get_reusable_executor  # type: ignore[import-untyped]

    get_reusable_executor().shutdown(wait=True)


def _spent_s() -> float:
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _answer(cells: gpd.GeoSeries, place: Town) -> tuple[int, int]:
    """Return how many buildings have a cell, and how many of them lie in it."""
    own = place.buildings.loc[cells.index]
    held = shapely.area(shapely.intersection(cells.to_numpy(), own.to_numpy()))
    return len(cells), int((held >= LEAST_SHARE * own.area.to_numpy()).sum())


def _faulty(cells: gpd.GeoSeries) -> float:
    wrong = shapely.coverage_invalid_edges(cells.to_numpy())
    return 1.0 + float((~shapely.is_empty(wrong)).sum())


def _same_cells(ours: tuple[int, int], theirs: tuple[int, int]) -> None:
    if ours[0] != theirs[0] or ours[1] < ours[0]:
        raise DisagreementError(f"{ours} and {theirs}: buildings with cells, and in them")
