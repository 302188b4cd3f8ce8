"""Parts as ground: one polygon for each unit, its sums, and what can be measured of all."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.crs import local_origin, require_metres
from geo.errors import TopologyError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SMALL_M2 = 1.0


def unions(shapes: gpd.GeoSeries, labels: Ints) -> gpd.GeoSeries:
    """Return the union of the cells of each unit; no coordinate is computed.

    Parameters
    ----------
    shapes : GeoSeries of Polygon or MultiPolygon, shape (n,)
        A valid coverage, any CRS.
    labels : ndarray of int, shape (n,)
        Unit of each cell, 0 .. k - 1.

    Returns
    -------
    GeoSeries, shape (k,)

    Raises
    ------
    TopologyError
        If the cells of a unit are no coverage.
    """
    order = np.argsort(labels, kind="stable")
    begins = np.searchsorted(labels[order], np.arange(labels.max(initial=-1) + 2))
    sorted_shapes = shapes.to_numpy()[order]
    made = np.empty(len(begins) - 1, dtype=object)
    for unit, (begin, end) in enumerate(pairwise(begins.tolist())):
        try:
            made[unit] = shapely.coverage_union_all(sorted_shapes[begin:end])
        except shapely.errors.GEOSException as error:
            message = f"The cells of unit {unit + 1} are no coverage: mend them first."
            raise TopologyError(message, unit=unit + 1) from error
    return gpd.GeoSeries(shapely.normalize(made), crs=shapes.crs)


def alike(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return polygons as they are, or all as multipolygons where one is: a layer has one kind."""
    if (shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON).all():
        return shapes
    whole = [shapely.multipolygons(shapely.get_parts(shape)) for shape in shapes]
    return np.array(whole, dtype=object)


def measures(units: gpd.GeoSeries, cells: gpd.GeoSeries) -> dict[str, Any]:
    """Return what can be measured of units beside the cells that they are made of.

    Parameters
    ----------
    units, cells : GeoSeries
        Projected CRS in metres.

    Returns
    -------
    dict
        `coverage_valid`; `area_difference_m2` (ground of the units less that of the cells);
        `pieces_under_1_m2` (polygons of units); `units_in_pieces`; `polsby_popper` (mean of
        4 pi area / border ^ 2, 1 for a circle).

    Raises
    ------
    TopologyError
        If there is no CRS in metres.
    """
    require_metres(units.crs)
    origin = np.array(local_origin(tuple(cells.total_bounds)), dtype=float)
    shapes, ground = (
        shapely.transform(one.to_numpy(), lambda xy: xy - origin) for one in (units, cells)
    )
    area = shapely.area(shapes)
    round_ = 4.0 * np.pi * area / np.maximum(shapely.length(shapes), 1e-9) ** 2
    pieces, owner = shapely.get_parts(shapes, return_index=True)
    return {
        "coverage_valid": bool(
            shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes)
        ),
        "area_difference_m2": float(np.abs(area.sum() - shapely.area(ground).sum())),
        "pieces_under_1_m2": int((shapely.area(pieces) < SMALL_M2).sum()),
        "units_in_pieces": int((np.bincount(owner) > 1).sum()),
        "polsby_popper": float(round_.mean()),
        "polsby_popper_each": pd.Series(round_).round(4).tolist(),
    }
