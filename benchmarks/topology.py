"""Neighbours, unions, faults and TopoJSON of a coverage, beside the libraries that do the same."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import geopandas as gpd
import libpysal.graph
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from topojson.core.topology import Topology

from benchmarks.coverages import METRE_SRID, nearest_labels, voronoi
from benchmarks.harness import CPU, WALL, Case, DisagreementError, Measure, Outcome
from geo.topojson import encode_topology
from geo.topology import adjacency, boundaries, coverage_faults

CELLS = 48_000
GRIDS = 454
ENCODED_GRIDS = 6_562
CELLS_A_GRID = 30
CELL_SIDE_M = 55.0
FAULTS = 20
FAULT_M = 1.5
TOLERANCE_M = 18.0
LENGTH_SLACK_M = 1e-6
AREA_SLACK_M2 = 1e-3
SHARE_SLACK = 0.03
"""Simplified outlines may differ by this share of the ground they cover."""


def cases() -> Iterator[Case]:
    """Yield the cases; the coverages are made once."""
    cells = voronoi(CELLS, side_m=CELL_SIDE_M)
    yield _neighbours(cells)
    yield _unions(cells)
    yield _faults(cells)
    yield _encoding()


def _neighbours(cells: gpd.GeoSeries) -> Case:
    def ours() -> pd.Series[float]:
        found = adjacency(cells, least_m=0.0)
        return pd.Series(found.length_m, index=[found.left, found.right])

    def contiguity() -> pd.Series[float]:
        graph = libpysal.graph.Graph.build_contiguity(cells, rook=True, by_perimeter=True)
        found = graph.adjacency
        return _pairs(found.index.get_level_values(0), found.index.get_level_values(1), found)

    def spatial_join() -> pd.Series[float]:
        shapes = cells.to_numpy()
        left, right = cells.sindex.query(shapes, predicate="touches")
        once = left < right
        left, right = left[once], right[once]
        lengths = shapely.length(shapely.intersection(shapes[left], shapes[right]))
        return _pairs(left, right, pd.Series(lengths))

    return Case(
        name="adjacency",
        title=f"Which of {CELLS:,} cells share a border, and how long it is",
        ours=ours,
        peers={"libpysal": contiguity, "geopandas": spatial_join},
        measures=[Measure(CPU, "s", goal=5.0), Measure(WALL, "s", goal=5.0)],
        agree=_same_borders,
        note=f"{CELLS:,} cells; pairs and border lengths. libpysal: Graph.build_contiguity by "
        "perimeter; geopandas: touches, then intersection",
    )


def _pairs(left: Any, right: Any, length: pd.Series[float]) -> pd.Series[float]:
    """Return lengths by pair, each pair once; the order of the rows does not matter."""
    found = pd.Series(np.asarray(length, dtype=float), index=[np.asarray(left), np.asarray(right)])
    keep = found.index.get_level_values(0) < found.index.get_level_values(1)
    return found[keep & (found > 0).to_numpy()]


def _same_borders(ours: pd.Series[float], theirs: pd.Series[float]) -> None:
    one, two = ours.sort_index(), theirs.sort_index()
    if not one.index.equals(two.index):
        raise DisagreementError(f"{len(one)} and {len(two)} pairs of neighbours")
    worst = float(np.abs(one.to_numpy() - two.to_numpy()).max())
    if worst > LENGTH_SLACK_M:
        raise DisagreementError(f"a border differs by {worst} m")


def _unions(cells: gpd.GeoSeries) -> Case:
    places = shapely.get_coordinates(shapely.centroid(cells.to_numpy()))
    labels = pd.Series(nearest_labels(places, GRIDS), name="grid")
    frame = gpd.GeoDataFrame({"grid": labels}, geometry=cells)
    return Case(
        name="boundaries",
        title=f"The outline of {GRIDS} grids made of {CELLS:,} cells",
        ours=lambda: boundaries(cells, labels),
        peers={
            "dissolve": lambda: frame.dissolve("grid").geometry,
            "dissolve, coverage": lambda: frame.dissolve("grid", method="coverage").geometry,
        },
        measures=[
            Measure(CPU, "s", goal=5.0, peers=("dissolve",), row="cpu_beside_dissolve"),
            Measure(CPU, "s", goal=1.0),
        ],
        agree=_same_ground,
        note="dissolve of geopandas, by plain union and as a coverage; ours also checks that the "
        "cells do not overlap and puts the rings in normal order",
    )


def _same_ground(ours: gpd.GeoSeries, theirs: gpd.GeoSeries) -> None:
    if not ours.index.equals(theirs.index):
        raise DisagreementError(f"{len(ours)} and {len(theirs)} grids")
    one, two = ours.to_numpy(), theirs.to_numpy()
    differ = shapely.area(shapely.symmetric_difference(one, two)).sum()
    if differ > AREA_SLACK_M2:
        raise DisagreementError(f"{differ} m2 differ")


def _faults(cells: gpd.GeoSeries) -> Case:
    damaged = _damaged(cells)

    def ours() -> NDArray[np.float64]:
        found = coverage_faults(damaged)
        return _sizes(found.overlaps["area_m2"], found.gaps["area_m2"])

    def overlay() -> NDArray[np.float64]:
        shapes = damaged.to_numpy()
        left, right = damaged.sindex.query(shapes, predicate="intersects")
        once = left < right
        shared = shapely.area(shapely.intersection(shapes[left[once]], shapes[right[once]]))
        whole = shapely.union_all(shapes)
        outlines = shapely.polygons(shapely.get_exterior_ring(shapely.get_parts(whole)))
        missing = shapely.difference(shapely.union_all(outlines), whole)
        gaps = shapely.area(shapely.get_parts(missing))
        return _sizes(shared[shared > AREA_SLACK_M2], gaps[gaps > AREA_SLACK_M2])

    return Case(
        name="faults",
        title=f"Every gap and overlap among {CELLS:,} cells",
        ours=ours,
        peers={"overlay": overlay},
        measures=[Measure(CPU, "s", goal=3.0), Measure(WALL, "s", goal=3.0)],
        agree=_same_sizes,
        note=f"{FAULTS} gaps and {FAULTS} overlaps planted; overlay: pairwise intersections and "
        "what its outline has and the union lacks; ours also finds the borders that do not match",
    )


def _damaged(cells: gpd.GeoSeries) -> gpd.GeoSeries:
    """Return the cells with some shrunk and some grown: gaps and overlaps of known number."""
    shapes = cells.to_numpy().copy()
    middle = np.argsort(shapely.distance(shapely.centroid(shapes), cells.union_all().centroid))
    chosen = middle[:: CELLS // (4 * FAULTS)][: 2 * FAULTS]
    shapes[chosen[:FAULTS]] = shapely.buffer(shapes[chosen[:FAULTS]], -FAULT_M)
    shapes[chosen[FAULTS:]] = shapely.buffer(shapes[chosen[FAULTS:]], FAULT_M, join_style="mitre")
    return gpd.GeoSeries(shapes, crs=METRE_SRID)


def _sizes(overlaps: Any, gaps: Any) -> NDArray[np.float64]:
    return np.array([len(overlaps), np.sum(overlaps), len(gaps), np.sum(gaps)], dtype=float)


def _same_sizes(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
    if not np.allclose(ours, theirs, rtol=0, atol=AREA_SLACK_M2):
        names = "overlaps, their m2, gaps, their m2"
        raise DisagreementError(f"{names}: {ours.tolist()} and {theirs.tolist()}")


def _encoding() -> Case:
    fine = voronoi(ENCODED_GRIDS * CELLS_A_GRID, side_m=CELL_SIDE_M)
    places = shapely.get_coordinates(shapely.centroid(fine.to_numpy()))
    outlines = boundaries(fine, pd.Series(nearest_labels(places, ENCODED_GRIDS)))
    frame = gpd.GeoDataFrame(geometry=outlines.to_crs(4326).to_numpy(), crs=4326)
    frame["g"] = np.arange(len(frame))
    frame["n"] = [f"第{number}网格" for number in frame["g"]]

    def library() -> Outcome:
        degrees = TOLERANCE_M / 111_195.0
        made = Topology(frame, object_name="grids", prequantize=100_000, toposimplify=degrees)
        return _encoded(str(made.to_json()).encode())

    return Case(
        name="topojson",
        title=f"{ENCODED_GRIDS:,} grids as simplified TopoJSON",
        ours=lambda: _encoded(encode_topology(frame, ["g", "n"], tolerance_m=TOLERANCE_M)),
        peers={"topojson": library},
        measures=[Measure(CPU, "s", goal=1.0), Measure("bytes", "B", goal=1.0)],
        agree=_same_topology,
        note=f"{TOLERANCE_M:.0f} m; topojson: the library by itself with toposimplify, whose "
        "tolerance is a distance where ours is an area",
    )


def _encoded(document: bytes) -> Outcome:
    return Outcome(json.loads(document), {"bytes": len(document)})


def _same_topology(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    one, two = areas_by_name(ours), areas_by_name(theirs)
    if one.keys() != two.keys():
        raise DisagreementError(f"{len(one)} and {len(two)} grids, or other names")
    total = sum(one.values())
    differ = sum(abs(one[name] - two[name]) for name in one)
    if differ > SHARE_SLACK * total:
        raise DisagreementError(f"{differ / total:.1%} of the ground differs")


def areas_by_name(document: dict[str, Any], name: str = "grids") -> dict[str, float]:
    """Return the area, in square degrees, of each name in a TopoJSON document."""
    scale = np.array(document["transform"]["scale"])
    arcs = [np.cumsum(np.array(arc), axis=0) * scale for arc in document["arcs"]]
    swept = np.array([_swept(arc) for arc in arcs])
    found: dict[str, float] = defaultdict(float)
    for shape in document["objects"][name]["geometries"]:
        polygons = [shape["arcs"]] if shape["type"] == "Polygon" else shape.get("arcs", [])
        ground = 0.0
        for outer, *holes in polygons:
            ground += _ring_area(outer, swept) - sum(_ring_area(hole, swept) for hole in holes)
        found[shape["properties"]["n"]] += ground
    return found


def _ring_area(ring: list[int], swept: NDArray[np.float64]) -> float:
    """Return the area of a ring of arcs; a negative number is an arc run backwards."""
    arcs = np.array(ring)
    return abs(float(np.where(arcs < 0, -1, 1) @ swept[np.where(arcs < 0, ~arcs, arcs)]))


def _swept(arc: NDArray[np.float64]) -> float:
    """Return the signed area between an arc and the origin: those of a ring add up to its own."""
    return float(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(arc.tolist())) / 2)
