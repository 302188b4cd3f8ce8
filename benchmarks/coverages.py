"""Cities made up for benchmarks: round, of Voronoi cells, with as many cells and grids as asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geo.dataset import FRAMES, CityDataset, empty_frame, shaped
from geo.topology import adjacency, boundaries, colours

METRE_SRID = 4549
CENTRE = (540_000.0, 4_165_000.0)
JITTER = 0.8
MARGIN = 1.2
FOOTPRINT = 0.6
"""A building is its cell, shrunk towards the middle to this share of its width."""
POSTS_A_GRID = 3
FIRST_DAY = date(2026, 1, 1)


@dataclass(frozen=True)
class Size:
    """How large a city is.

    Parameters
    ----------
    grids : tuple of int
        Number of grids at each level, top first.
    cells : int
        Cells that the grids of the deepest level are made of.
    grid_side_m : float
        Side of a square as large as such a grid, on average.
    whole : bool
        Then each of these grids becomes one cell, as where nothing finer is known.
    stations : int
    """

    grids: tuple[int, ...]
    cells: int
    grid_side_m: float = 300.0
    whole: bool = False
    stations: int = 0


def voronoi(n: int, *, side_m: float, seed: int = 1) -> gpd.GeoSeries:
    """Return `n` cells of a round city, a valid coverage in EPSG:4549.

    Parameters
    ----------
    n : int
    side_m : float
        Distance between the middles of neighbours, on average.
    seed : int
    """
    across = math.ceil(math.sqrt(n * 4 / math.pi * MARGIN)) + 4
    steps = np.arange(across) - across / 2
    lattice = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    rng = np.random.default_rng(seed)
    points = (lattice + rng.uniform(-JITTER / 2, JITTER / 2, lattice.shape)) * side_m
    nearest = np.argsort(np.hypot(*points.T), kind="stable")[:n]
    diagram = shapely.voronoi_polygons(shapely.multipoints(points + CENTRE), ordered=True)
    return gpd.GeoSeries(shapely.get_parts(diagram)[np.sort(nearest)], crs=METRE_SRID)


def nearest_labels(places: NDArray[np.float64], n: int, *, seed: int = 2) -> NDArray[np.int64]:
    """Return for each place the nearest of `n` of them, counted from 0; each has one at least."""
    chosen = np.random.default_rng(seed).choice(len(places), n, replace=False)
    found: NDArray[np.int64] = cKDTree(places[chosen]).query(places)[1].astype(np.int64)
    return found


def city(slug: str, size: Size, *, seed: int = 1) -> CityDataset:
    """Return a city of that size: grids, cells, buildings, households, posts, stations."""
    leaves = size.grids[-1]
    side_m = size.grid_side_m * math.sqrt(leaves / size.cells)
    fine = voronoi(size.cells, side_m=side_m, seed=seed)
    leaf_of = nearest_labels(_middles(fine), leaves, seed=seed + 1)
    shapes = boundaries(fine, pd.Series(leaf_of))
    grids = _grids(size, shapes, seed)
    leaf_ids = grids.loc[grids["level"] == len(size.grids), "grid_id"].to_numpy()
    if size.whole:
        leaf_part, ground = _parts(shapes)
        cells = _cells(leaf_ids[leaf_part], ground)
    else:
        cells = _cells(leaf_ids[leaf_of], fine.to_numpy())
    buildings = _buildings(cells, seed)
    frames: dict[str, Any] = {name: empty_frame(name, METRE_SRID) for name in FRAMES}
    frames |= {"grids": grids, "cells": cells, "buildings": buildings}
    frames |= _households(buildings) | _workers(leaf_ids) | _stations(cells, size.stations, seed)
    identity: dict[str, Any] = {
        "slug": slug,
        "name": f"{leaves:,}格之城",
        "name_en": f"A city of {leaves:,} grids",
        "profile": "cn",
        "timezone": "Asia/Shanghai",
        "metre_srid": METRE_SRID,
        "county_code": "990199",
        "effective_from": FIRST_DAY,
    }
    return CityDataset(**identity, **frames)


def _middles(shapes: gpd.GeoSeries) -> NDArray[np.float64]:
    found: NDArray[np.float64] = shapely.get_coordinates(shapely.centroid(shapes.to_numpy()))
    return found


def _parts(shapes: gpd.GeoSeries) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    parts, owner = shapely.get_parts(shapes.to_numpy(), return_index=True)
    return owner, parts


def _grids(size: Size, shapes: gpd.GeoSeries, seed: int) -> pd.DataFrame:
    """Return the grids of all levels; ids follow one another from the top level down."""
    places = _middles(shapes)
    first_id = np.cumsum([1, *size.grids])
    parents: list[Any] = [None] * len(size.grids)
    for level in range(len(size.grids) - 1, 0, -1):
        owner = nearest_labels(places, size.grids[level - 1], seed=seed + level)
        parents[level] = owner + first_id[level - 1]
        sums = pd.DataFrame(places).groupby(owner).mean()
        places = sums.to_numpy()
    count = np.array(size.grids)
    ids = np.arange(1, first_id[-1])
    colour = np.zeros(len(ids), dtype=np.int64)
    colour[-count[-1] :] = colours(adjacency(shapes))
    parent = [pd.Series([pd.NA] * count[0], dtype="Int64")]
    parent += [pd.Series(column, dtype="Int64") for column in parents[1:]]
    return shaped(
        "grids",
        {
            "grid_id": ids,
            "level": np.repeat(np.arange(1, len(count) + 1), count),
            "parent_id": pd.concat(parent, ignore_index=True),
            "name": [f"第{number}网格" for number in ids],
            "kind": ["basic"] * len(ids),
            "code": [None] * len(ids),
            "colour": colour,
        },
        METRE_SRID,
    )


def _cells(grid_ids: NDArray[np.int64], shapes: NDArray[np.object_]) -> pd.DataFrame:
    columns = {"cell_id": np.arange(1, len(shapes) + 1), "grid_id": grid_ids, "geometry": shapes}
    return shaped("cells", columns, METRE_SRID)


def _buildings(cells: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    shapes = np.asarray(cells["geometry"], dtype=object)
    middles = shapely.get_coordinates(shapely.point_on_surface(shapes))
    n = len(cells)
    points, owner = shapely.get_coordinates(shapely.get_exterior_ring(shapes), return_index=True)
    shrunk = middles[owner] + FOOTPRINT * (points - middles[owner])
    footprints = shapely.polygons(shapely.linearrings(shrunk, indices=owner))
    sound = shapely.is_valid(footprints) & shapely.covers(shapes, footprints)
    footprints[~sound] = shapely.buffer(shapely.points(middles[~sound]), 3.0, quad_segs=2)
    households = rng.integers(0, 12, n)
    return shaped(
        "buildings",
        {
            "building_id": np.arange(1, n + 1),
            "cell_id": cells["cell_id"],
            "code": [f"B{number:06d}" for number in range(1, n + 1)],
            "name": [f"{number}号楼" for number in range(1, n + 1)],
            "use": ["residential"] * n,
            "floors": rng.integers(1, 19, n),
            "entrances": rng.integers(1, 5, n),
            "households": households,
            "geometry": footprints,
        },
        METRE_SRID,
    )


def _households(buildings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    n = len(buildings)
    values = {
        "cell_id": buildings["cell_id"],
        "vintage": ["2026"] * n,
        "measure": ["households"] * n,
        "value": buildings["households"].astype(float),
    }
    vintage = {
        "vintage": ["2026"],
        "taken_on": [FIRST_DAY],
        "seasonal": [False],
        "estimated": [False],
        "name": ["2026"],
    }
    return {
        "cell_values": shaped("cell_values", values, METRE_SRID),
        "vintages": shaped("vintages", vintage, METRE_SRID),
    }


def _workers(leaf_ids: NDArray[np.int64]) -> dict[str, pd.DataFrame]:
    """Return a team for each leaf grid, every tenth post vacant."""
    n = len(leaf_ids) * POSTS_A_GRID
    numbers = np.arange(1, n + 1)
    workers = {
        "worker_id": numbers,
        "duty_number": [f"W{number:06d}" for number in numbers],
        "name": [f"网格员{number}" for number in numbers],
        "name_consent": numbers % 2 == 0,
    }
    posts = {
        "post_id": numbers,
        "worker_id": pd.Series(numbers, dtype="Int64").mask(numbers % 10 == 0),
        "grid_id": np.repeat(leaf_ids, POSTS_A_GRID),
        "role": ["worker"] * n,
        "valid_from": [FIRST_DAY] * n,
        "valid_to": [None] * n,
        "part_time": numbers % 3 == 0,
    }
    return {
        "workers": shaped("workers", workers, METRE_SRID),
        "posts": shaped("posts", posts, METRE_SRID),
    }


def _stations(cells: pd.DataFrame, n: int, seed: int) -> dict[str, pd.DataFrame]:
    rows = np.random.default_rng(seed).choice(len(cells), n, replace=False)
    chosen = cells.iloc[rows]
    kind = {"kind": ["grid"], "name": ["网格驿站"], "name_en": ["Grid station"], "serves": ["all"]}
    stations = {
        "station_id": np.arange(1, n + 1),
        "kind": ["grid"] * n,
        "name": [f"驿站{number}" for number in range(1, n + 1)],
        "address": [None] * n,
        "opening_hours": [None] * n,
        "floor_area_m2": [None] * n,
        "capacity": [None] * n,
        "stage": ["open"] * n,
        "cell_id": chosen["cell_id"].to_numpy(),
        "organisation_id": [None] * n,
        "geometry": shapely.point_on_surface(np.asarray(chosen["geometry"], dtype=object)),
    }
    return {
        "station_kinds": shaped("station_kinds", kind, METRE_SRID),
        "stations": shaped("stations", stations, METRE_SRID),
    }
