"""Coverages made up for tests: lattices and Voronoi cells whose borders match vertex by vertex."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

METRE_SRID = 4549
CORNER = (500_000.0, 4_160_000.0)


def lattice(columns: int, rows: int, side_m: float = 100.0) -> gpd.GeoSeries:
    """Return squares, row by row from the south-west."""
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    west, south = CORNER[0] + x.ravel() * side_m, CORNER[1] + y.ravel() * side_m
    return gpd.GeoSeries(shapely.box(west, south, west + side_m, south + side_m), crs=METRE_SRID)


def voronoi(n: int, *, seed: int = 1, side_m: float = 2_000.0, bends: int = 1) -> gpd.GeoSeries:
    """Return `n` cells of a square, each straight border with `2**bends - 1` vertices more."""
    points = np.random.default_rng(seed).uniform(0, side_m, (n, 2)) + CORNER
    square = shapely.box(*CORNER, CORNER[0] + side_m, CORNER[1] + side_m)
    diagram = shapely.voronoi_polygons(shapely.multipoints(points), extend_to=square, ordered=True)
    cells = shapely.get_parts(diagram)
    for _ in range(bends):
        cells = _with_middles(cells)
    return gpd.GeoSeries(cells, crs=METRE_SRID)


def nearest_labels(cells: gpd.GeoSeries, n: int, *, seed: int = 2) -> pd.Series[int]:
    """Return for each cell the nearest of `n` random places, counted from 1."""
    west, south, east, north = cells.total_bounds
    places = np.random.default_rng(seed).uniform((west, south), (east, north), (n, 2))
    middles = shapely.get_coordinates(shapely.centroid(cells.to_numpy()))
    return pd.Series(cKDTree(places).query(middles)[1] + 1, index=cells.index, name="grid_id")


def _with_middles(polygons: NDArray[np.object_]) -> Any:
    """Put a vertex in the middle of each edge: the same number from both sides."""
    xy, ring = shapely.get_coordinates(polygons, return_index=True)
    dense = np.empty((2 * len(xy) - 1, 2))
    dense[::2], dense[1::2] = xy, (xy[:-1] + xy[1:]) / 2
    rings = np.repeat(ring, 2)[:-1]
    kept = np.ones(len(dense), dtype=bool)
    kept[1::2] = ring[:-1] == ring[1:]
    return shapely.polygons(shapely.linearrings(dense[kept], indices=rings[kept]))


def boundaries_of(cells: gpd.GeoSeries, labels: pd.Series[int]) -> gpd.GeoDataFrame:
    """Return the union of the cells of each label, as a plain frame."""
    groups = pd.Series(cells.to_numpy(), index=labels.to_numpy()).groupby(level=0)
    unions = groups.agg(lambda shapes: shapely.coverage_union_all(shapes.to_numpy()))
    return gpd.GeoDataFrame(geometry=unions.to_list(), crs=cells.crs)
