"""The validator of one net: everything that can be recomputed from geometry is, and compared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import grids as topology
from geo.barriers import net_parts
from geo.errors import HierarchyError
from geo.grids import AREA_COLUMNS, torn

AREA_TOLERANCE_M2 = 1e-3
"""Largest area by which a stored boundary may differ from the union of its cells.

Coordinates in degrees keep about 1e-9 m; over the longest boundary this stays far below.
"""


@dataclass(frozen=True)
class Fault:
    """One contradiction: the check that found it, what it is, where (metre CRS) if anywhere."""

    check: str
    message: str
    place: tuple[float, float] | None = None

    def of(self, subject: str) -> Fault:
        """Return this fault said of `subject`."""
        return replace(self, message=f"{subject}: {self.message}")


@dataclass(frozen=True)
class NetFrames:
    """A net as stored, in the metre CRS.

    Attributes
    ----------
    cells : GeoDataFrame, shape (n,)
        cell_id, geometry (Polygon).
    owners : DataFrame, shape (n, 2)
        cell_id, grid_id of the leaf.
    grids : GeoDataFrame, shape (k,)
        grid_id, level, parent_id, name, kind, code, area_m2, area_1 .. area_6, geometry.
    exceptions : dict of int to int
        Grids allowed to lie in several parts, and in how many.
    barriers, streets : GeoSeries
        What cuts neighbourhood between cells, and what crosses it; may be empty.
    """

    cells: gpd.GeoDataFrame
    owners: pd.DataFrame
    grids: gpd.GeoDataFrame
    exceptions: dict[int, int] = field(default_factory=dict)
    barriers: gpd.GeoSeries = field(default_factory=gpd.GeoSeries)
    streets: gpd.GeoSeries = field(default_factory=gpd.GeoSeries)


def cell_faults(cells: gpd.GeoDataFrame, outline: Any) -> list[Fault]:
    """Say where cells are no coverage of the city's ground.

    Parameters
    ----------
    cells : GeoDataFrame, shape (n,)
        cell_id, geometry; projected CRS in metres.
    outline : shapely geometry
        The city's ground.

    Returns
    -------
    list of Fault
        Empty for a coverage that makes up the outline. Nothing else can be recomputed otherwise.
    """
    found = topology.coverage_faults(cells.set_index("cell_id").geometry)
    gaps = found.gaps[found.gaps.representative_point().within(outline)]
    faults = [Fault("cell_shape", f"cell {r.cell} {r.reason}") for r in found.shapes.itertuples()]
    faults += [
        Fault("cell_border", f"cell {r.cell}: {r.length_m:.3f} m match no neighbour", (r.x, r.y))
        for r in found.edges.itertuples()
    ]
    faults += [
        Fault("cell_gap", f"{r.area_m2:.3f} m2 belong to no cell", (r.x, r.y))
        for r in gaps.itertuples()
    ]
    faults += [
        Fault("cell_overlap", f"cells {r.cell} and {r.other}: {r.area_m2:.3f} m2", (r.x, r.y))
        for r in found.overlaps.itertuples()
    ]
    if faults:
        return faults
    union = shapely.coverage_union_all(cells.geometry.to_numpy())
    rest = shapely.symmetric_difference(union, outline)
    if shapely.area(rest) > AREA_TOLERANCE_M2:
        spot = shapely.point_on_surface(rest)
        message = f"cells and the city's outline differ by {shapely.area(rest):.3f} m2"
        faults.append(Fault("city_outline", message, (spot.x, spot.y)))
    return faults


def net_faults(net: NetFrames) -> tuple[list[Fault], list[dict[str, int]]]:
    """Recompute a net from its cells and compare it with what is stored.

    Parameters
    ----------
    net : NetFrames
        Its cells must be a coverage: see `cell_faults`.

    Returns
    -------
    faults : list of Fault
        Empty for a sound net.
    exceptions : list of dict
        Inherited grids in several parts: grid_id, parts, allowed.
    """
    faults: list[Fault] = []
    if net.grids.empty:
        return faults, []
    path_faults = _path_faults(net.grids)
    if path_faults:
        return faults + path_faults, []
    paths = net.grids.set_index("grid_id")[list(AREA_COLUMNS)]
    known = net.owners["grid_id"].isin(paths.index)
    owners = net.owners.loc[known].merge(net.cells[["cell_id"]].reset_index(), on="cell_id")
    of_cells = paths.loc[owners["grid_id"]].reset_index(drop=True)
    shapes = net.cells.geometry.loc[owners["index"]].reset_index(drop=True)
    faults += _leaf_faults(net.grids, owners)
    faults += _boundary_faults(net.grids, shapes, of_cells)
    apart, exceptions = _contiguity_faults(net, shapes, of_cells)
    return faults + apart, exceptions


def _path_faults(grids: gpd.GeoDataFrame) -> list[Fault]:
    try:
        paths = topology.hierarchy(pd.DataFrame(grids.drop(columns=["geometry", *AREA_COLUMNS])))
    except HierarchyError as error:
        return [Fault("hierarchy", defect) for defect in error.data["defects"]]
    stored = grids[list(AREA_COLUMNS)].fillna(0).to_numpy()
    wrong = (paths[list(AREA_COLUMNS)].fillna(0).to_numpy() != stored).any(axis=1)
    return [
        Fault("grid_areas", f"grid {grid}: its permission columns are not its path")
        for grid in grids.loc[wrong, "grid_id"]
    ]


def _leaf_faults(grids: gpd.GeoDataFrame, owners: pd.DataFrame) -> list[Fault]:
    parents = set(grids["parent_id"].dropna().astype(int))
    owning = set(owners["grid_id"].astype(int))
    leaves = set(grids["grid_id"].astype(int)) - parents
    faults = [Fault("grid_empty", f"grid {grid} has no cell") for grid in sorted(leaves - owning)]
    faults += [
        Fault("cell_above_leaf", f"cells belong to grid {grid}, which has children")
        for grid in sorted(owning & parents)
    ]
    return faults


def _boundary_faults(
    grids: gpd.GeoDataFrame, shapes: gpd.GeoSeries, of_cells: pd.DataFrame
) -> list[Fault]:
    """Compare each stored boundary with the union of its cells, level by level."""
    faults: list[Fault] = []
    for level, stored in grids.groupby("level"):
        labels = of_cells[f"area_{level}"]
        known = labels.notna().to_numpy()
        united = topology.boundaries(
            shapes[known].reset_index(drop=True),
            labels[known].astype("int64").reset_index(drop=True),
        )
        both = stored.set_index("grid_id")
        both = both.loc[both.index.intersection(united.index)]
        again = united.loc[both.index]
        rest = shapely.symmetric_difference(both.geometry.to_numpy(), again.to_numpy())
        differ = np.maximum(shapely.area(rest), np.abs(both["area_m2"] - topology.areas_m2(again)))
        for grid, shape, size in zip(both.index, rest, differ, strict=True):
            if size > AREA_TOLERANCE_M2:
                spot = shapely.point_on_surface(shape) if not shape.is_empty else None
                place = (spot.x, spot.y) if spot is not None and not spot.is_empty else None
                message = f"grid {grid}: boundary and cells differ by {size:.4f} m2"
                faults.append(Fault("grid_boundary", message, place))
    return faults


def _contiguity_faults(
    net: NetFrames, shapes: gpd.GeoSeries, of_cells: pd.DataFrame
) -> tuple[list[Fault], list[dict[str, int]]]:
    """Count parts, those of leaves as one can walk: what more than its allowance is a fault."""
    parts = net_parts(shapes, of_cells, net.barriers, net.streets)
    found = torn(parts, pd.Series(net.exceptions, dtype="int64"))
    inherited = parts[(parts > 1) & ~parts.index.isin(found.index)]
    exceptions = [
        {"grid_id": grid, "parts": number, "allowed": net.exceptions[grid]}
        for grid, number in zip(inherited.index.tolist(), inherited.tolist(), strict=True)
    ]
    faults: list[Fault] = []
    for row in found.itertuples():
        own = (of_cells == row.Index).any(axis=1).to_numpy(dtype=bool, na_value=False)
        spot = shapes[own].iloc[0].representative_point()
        message = f"grid {row.Index} lies in {row.parts} parts, {row.allowed} allowed"
        faults.append(Fault("contiguity", message, (spot.x, spot.y)))
    return faults, exceptions
