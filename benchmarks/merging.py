"""Nine nets of one city, each a little off, become one; beside an overlay of nets one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from benchmarks.coverages import METRE_SRID, nearest_labels, voronoi
from benchmarks.harness import CPU, Case, DisagreementError, Measure, Outcome
from geo.nets import Net, merge_nets
from geo.topology import boundaries

CELLS = 1_000
CELL_SIDE_M = 130.0
GRIDS = (4, 5, 8, 13, 14, 33, 33, 87, 117)
OFF_M = 1.5
TOLERANCE_M = 5.0
CPU_LIMIT_S = 30.0


def cases() -> Iterator[Case]:
    """Yield the one case."""
    nets = made()

    def ours() -> Outcome:
        found = merge_nets(nets, tolerance_m=TOLERANCE_M)
        return _outcome(found.units.geometry)

    def one_by_one() -> Outcome:
        first, *others = [
            gpd.GeoDataFrame(geometry=net.areas.to_numpy(), crs=METRE_SRID) for net in nets
        ]
        for other in others:
            first = gpd.overlay(first, other, how="union", keep_geom_type=True)
        return _outcome(first.geometry)

    yield Case(
        name="nine_nets",
        title=f"{len(GRIDS)} nets of {sum(GRIDS)} grids, {OFF_M} m off each other",
        ours=ours,
        peers={"overlay": one_by_one},
        measures=[
            Measure(CPU, "s", goal=1.0),
            Measure(CPU, "s", goal=1.0, peers=("none",), limit=CPU_LIMIT_S, row="cpu_limit"),
            Measure("small", "pieces + 1", goal=100.0, row="under_1_m2"),
            Measure("unmatched", "pieces + 1", goal=1.0, row="unmatched"),
        ],
        agree=_same_ground,
        note="overlay: geopandas.overlay, one net after the other, which leaves the slivers in; "
        "unmatched: pieces whose borders do not match their neighbours', plus one",
    )


def made() -> list[Net]:
    """Return nets over the same cells, each bent by its own smooth error."""
    cells = voronoi(CELLS, side_m=CELL_SIDE_M)
    middles = shapely.get_coordinates(shapely.centroid(cells.to_numpy()))
    nets = []
    for number, grids in enumerate(GRIDS):
        areas = boundaries(cells, pd.Series(nearest_labels(middles, grids, seed=number)))
        nets.append(Net(f"net {number}", _bent(areas, number)))
    return nets


def _bent(areas: gpd.GeoSeries, seed: int) -> gpd.GeoSeries:
    turn = np.random.default_rng(seed).uniform(0, 2 * np.pi, 2)

    def moved(places: Any) -> Any:
        return places + OFF_M * np.sin(places[:, ::-1] / 97.0 + turn)

    shapes = shapely.transform(areas.to_numpy(), moved)
    return gpd.GeoSeries(shapes, index=areas.index, crs=areas.crs)


def _outcome(shapes: gpd.GeoSeries) -> Outcome:
    pieces = shapely.get_parts(shapes.to_numpy())
    wrong = ~shapely.is_empty(shapely.coverage_invalid_edges(pieces))
    small = int((shapely.area(pieces) < 1.0).sum())
    figures = {"small": small + 1.0, "unmatched": float(wrong.sum()) + 1.0}
    return Outcome(float(shapely.area(pieces).sum()), figures)


def _same_ground(ours: float, theirs: float) -> None:
    """Both cover what any net covers; ours closes the narrow gaps as well."""
    if abs(ours - theirs) > 1e-3 * theirs:
        raise DisagreementError(f"{ours} and {theirs} m2 are covered")
