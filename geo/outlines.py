"""Delivered outlines beside the net's grids: how far they depart, in m2 and in households."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.crs import local_origin, require_metres
from geo.errors import TopologyError

RESIDUALS = (
    "grid_m2",
    "outline_m2",
    "added_m2",
    "lost_m2",
    "outside_m2",
    "residual_m2",
    "added_value",
    "lost_value",
    "residual_value",
)
"""Columns of `residuals`."""


def residuals(
    children: gpd.GeoDataFrame,
    outlines: gpd.GeoSeries,
    *,
    parent: str = "parent_id",
    value: str | None = None,
) -> pd.DataFrame:
    """Measure how far parents made of whole children depart from the outlines they were given.

    A parent in the net is the union of its children. What is delivered as the parent's outline
    seldom runs along them; the difference is stated here and never hidden.

    Parameters
    ----------
    children : GeoDataFrame, shape (n,)
        Polygons that do not overlap (cells, or leaf grids), projected CRS in metres, with the
        column `parent` naming the parent of each; null where there is none.
    outlines : GeoSeries, shape (k,)
        Delivered polygons, indexed by the same parents, same CRS. They may overlap.
    parent : str, default "parent_id"
        Column of `children` that names the parent.
    value : str, optional
        Column of `children` with a count (households, residents), taken as spread evenly over a
        child's area where an outline cuts it.

    Returns
    -------
    DataFrame, shape (k, 9), indexed like `outlines`
        `grid_m2`, `outline_m2`: areas of the children together and of the outline.
        `added_m2`: in the parent, not in the outline. `lost_m2`: in the outline, not in the
        parent; `outside_m2` of it lies in no child at all. `residual_m2` = added + lost, the area
        of the symmetric difference. `added_value`, `lost_value`, `residual_value`: the same in
        `value`; NaN without one.

    Raises
    ------
    TopologyError
        If a CRS is missing, differs or is not in metres, an outline is invalid, a parent has two
        outlines, or a column is missing.

    Examples
    --------
    >>> from shapely import box
    >>> halves = gpd.GeoDataFrame(
    ...     {"parent_id": [1, 2], "households": [10, 20]},
    ...     geometry=[box(0, 0, 2, 2), box(2, 0, 4, 2)],
    ...     crs=26986,
    ... )
    >>> given = gpd.GeoSeries([box(0, 0, 3, 2)], index=[1], crs=26986)
    >>> found = residuals(halves, given, value="households")
    >>> found[["added_m2", "lost_m2", "lost_value"]].to_numpy().tolist()
    [[0.0, 2.0, 10.0]]
    """
    _refuse(children, outlines, parent, value)
    origin = local_origin(children.total_bounds if len(children) else (0.0, 0.0, 0.0, 0.0))
    cells = _shifted(children.geometry.to_numpy(), origin)
    given = _shifted(outlines.to_numpy(), origin)
    cell_m2 = shapely.area(cells)
    count = len(given)
    at, cell, shared_m2 = shared_areas(given, cells)
    own_of = outlines.index.get_indexer(pd.Index(children[parent]))
    own = own_of[cell] == at

    grid_m2 = _sums(own_of[own_of >= 0], cell_m2[own_of >= 0], count)
    outline_m2 = shapely.area(given)
    kept_m2 = _sums(at[own], shared_m2[own], count)
    found: dict[str, NDArray[np.float64]] = {
        "grid_m2": grid_m2,
        "outline_m2": outline_m2,
        "added_m2": _difference(grid_m2, kept_m2),
        "lost_m2": _difference(outline_m2, kept_m2),
        "outside_m2": _difference(outline_m2, _sums(at, shared_m2, count)),
    }
    found["residual_m2"] = found["added_m2"] + found["lost_m2"]
    if value is None:
        nothing = np.full(count, np.nan)
        found |= dict.fromkeys(("added_value", "lost_value", "residual_value"), nothing)
    else:
        counts = children[value].to_numpy(dtype=float)
        share = counts[cell] * shared_m2 / cell_m2[cell]
        whole = _sums(own_of[own_of >= 0], counts[own_of >= 0], count)
        found["added_value"] = _difference(whole, _sums(at[own], share[own], count))
        found["lost_value"] = _sums(at[~own], share[~own], count)
        found["residual_value"] = found["added_value"] + found["lost_value"]
    return pd.DataFrame(found, index=outlines.index, columns=list(RESIDUALS))


def _refuse(
    children: gpd.GeoDataFrame, outlines: gpd.GeoSeries, parent: str, value: str | None
) -> None:
    if require_metres(children.crs) != require_metres(outlines.crs):
        raise TopologyError("Children and outlines are in two reference systems; transform one.")
    for column in (parent, value):
        if column is not None and column not in children.columns:
            raise TopologyError(f"The children have no column '{column}'.", column=column)
    if not outlines.index.is_unique:
        twice = outlines.index[outlines.index.duplicated()].astype(str).tolist()
        raise TopologyError(f"Two outlines for one parent: {twice[:5]}.", parents=twice)
    bad = outlines.index[~shapely.is_valid(outlines.to_numpy())].astype(str).tolist()
    if bad:
        raise TopologyError(f"Outlines of {bad[:5]} are invalid; repair them first.", parents=bad)


def _shifted(shapes: NDArray[Any], origin: tuple[int, int]) -> NDArray[Any]:
    """Return the shapes with `origin` taken off: areas keep their last digits."""
    return np.asarray(
        shapely.transform(shapes, lambda places: places - np.asarray(origin, dtype=float))
    )


def shared_areas(
    given: NDArray[Any], cells: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return which outlines and cells meet, and the ground that they share.

    Parameters
    ----------
    given, cells : ndarray of Polygon or MultiPolygon
        Valid, in metres. A cell that lies wholly inside is measured, not cut.

    Returns
    -------
    tuple of ndarray
        Position in `given`, position in `cells`, shared area in m2; pairs that only touch have 0.
    """
    shapely.prepare(given)
    at, cell = shapely.STRtree(cells).query(given, predicate="intersects")
    inside = shapely.covers(given[at], cells[cell])
    shared = shapely.area(cells[cell])
    cut = ~inside
    shared[cut] = shapely.area(shapely.intersection(given[at[cut]], cells[cell[cut]]))
    return at, cell, shared


def _sums(
    groups: NDArray[np.intp], weights: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    return np.bincount(groups, weights=weights, minlength=count).astype(np.float64)


def _difference(whole: NDArray[np.float64], part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return whole - part where part cannot be more; what rounding leaves over is zero."""
    left = whole - part
    left[left < 1e-9 * np.maximum(whole, 1.0)] = 0.0
    return left
