"""Cells: the ground around each building or group of them, inside streets, walls and water."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from geo.assembly import Joined, cells_of_groups, grouped
from geo.crs import local_origin, require_metres
from geo.enclosures import NOWHERE, Enclosures, Groups, Tolerances, cut_ground, lines_of, sums
from geo.errors import TopologyError
from geo.terms import BarrierKind

__all__ = ["Cells", "Tolerances", "building_cells"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shapes = NDArray[Any]
Progress = Callable[[str, float], None]

MILLIMETRES: Final = 3
AREAL: Final = (3, 6)
LINEAR: Final = (1, 2, 5)
WATERY: Final = (BarrierKind.RIVER, BarrierKind.WATER)
FINDINGS: Final = ("building", "what", "size_m2", "x", "y", "done")
EXAMPLES: Final = 5
LEFT_OUT: Final = "no cell: less than half of it lies in the areas"
OUTSIDE: Final = "its cell is where most of it stands; the rest lies beyond the border of an area"
LED_AROUND: Final = "a line that ran through it, or a bank, was led around it"
SHARED: Final = "one cell for {count} buildings: they overlap by more than 1 m2"


@dataclass(frozen=True)
class Cells:
    """Cells of ground that together are exactly the areas given.

    Attributes
    ----------
    cells : GeoDataFrame, shape (n,)
        Index 0 .. n-1; columns `area` (label of the area each lies in), `kind` (`building`;
        `block` without a building; `water`, where nobody lives), geometry Polygon: a valid
        coverage.
    cell_of : Series of Int64, shape (m,)
        Cell of each building, indexed like the buildings; NA for those left out.
    findings : DataFrame
        Columns `building`, `what` (`left_out`, `outside`, `led_around`, `shared`), `size_m2`, `x`,
        `y`, `done`: which buildings do not stand as they should, and what was done.
    figures : dict
        `cells`, `building_cells`, `blocks`, `water`, `buildings`, `buildings_left_out`,
        `shared_cells`, `coverage_valid`, `residual_m2` (areas against their cells),
        `buildings_outside` (more of them outside their cells than the tolerances allow) and
        `buildings_outside_m2` (all ground of buildings outside their cells).
    """

    cells: gpd.GeoDataFrame
    cell_of: pd.Series[Any]
    findings: pd.DataFrame
    figures: dict[str, Any]


def building_cells(
    buildings: gpd.GeoSeries,
    areas: gpd.GeoSeries,
    *,
    streets: gpd.GeoSeries | None = None,
    barriers: gpd.GeoDataFrame | None = None,
    walls: gpd.GeoSeries | None = None,
    tolerances: Tolerances | None = None,
    processes: int | None = None,
    progress: Progress = lambda what, share: None,
) -> Cells:
    """Cut the ground of areas into cells around buildings.

    Streets, railways, walls and banks cut each area into enclosures; in an enclosure every place
    belongs to the nearest building (Fleischmann et al. 2020, "Morphological tessellation as a way
    of partitioning space"). Buildings that overlap by more than 1 m2 share a cell; between those
    that touch, their walls are the border. A line that runs through a building is led around it,
    and a building in water stands on its own ground. An enclosure without a building is one cell.

    Parameters
    ----------
    buildings : GeoSeries, shape (m,)
        Valid polygons, projected CRS in metres, unique index.
    areas : GeoSeries, shape (k,)
        A valid coverage (`geo.repair` makes one), same CRS, unique index: grids or blocks.
    streets : GeoSeries, optional
        Centre lines.
    barriers : GeoDataFrame, optional
        Column `kind`: areas that are `river` or `water` become cells of water, all else are lines.
    walls : GeoSeries, optional
        Walls around compounds: lines, or areas whose outline is the wall.
    tolerances : Tolerances, optional
    processes : int, optional
        Default as many as there are cores; 1 starts none.
    progress : callable
        Called with what is being done and the share that is done; what it raises ends the work.

    Returns
    -------
    Cells
        The same for the same input, whatever the number of processes.

    Raises
    ------
    TopologyError
        If a CRS is missing, differs or is not in metres, areas are not a coverage, labels repeat,
        or shapes are missing, invalid or of another type; with the first labels.

    Examples
    --------
    >>> from shapely import box
    >>> ground = gpd.GeoSeries([box(0, 0, 60, 30)], crs=4549)
    >>> houses = gpd.GeoSeries([box(5, 5, 15, 15), box(45, 5, 55, 15)], crs=4549)
    >>> building_cells(houses, ground).cell_of.tolist()
    [0, 1]
    """
    limits = tolerances or Tolerances()
    crs = checked(buildings, areas, (streets, barriers, walls))
    origin = origin_of(areas)
    progress("cut the ground", 0.0)
    groups, group_of = grouped(local(buildings, origin, rounded=True))
    lines, water = _lines_and_water(streets, barriers, walls)
    ground = cut_ground(
        local(areas, origin),
        local(lines, origin, rounded=True),
        local(water, origin, rounded=True),
        groups,
        limits,
    )
    progress("cut the ground", 1.0)
    joined = cells_of_groups(ground, groups, processes, progress)
    cells = gpd.GeoDataFrame(
        {
            "area": areas.index.to_numpy()[ground.area[joined.enclosure]],
            "kind": _kinds(joined, ground),
        },
        geometry=placed(joined.shapes, origin),
        crs=crs,
    )
    cell_of = numbers(joined.group_cell[group_of], buildings.index)
    findings = _findings(joined, ground, groups, buildings, group_of, limits)
    figures = _figures(cells, cell_of, joined, groups, limits)
    whole = shapely.area(local(areas, origin))
    made = sums(ground.area[joined.enclosure], shapely.area(joined.shapes), len(areas))
    figures["residual_m2"] = float(np.abs(whole - made).sum())
    return Cells(cells, cell_of, findings, figures)


def placed(shapes: Shapes, origin: Floats) -> Shapes:
    """Return shapes from near the origin where they belong."""
    return np.asarray(shapely.transform(shapes, lambda xy: xy + origin), dtype=object)


def local(shapes: Any, origin: Floats, *, rounded: bool = False) -> Shapes:
    """Return shapes near the origin, on request in whole millimetres and valid still."""
    given = np.asarray(shapes, dtype=object)
    near = np.asarray(shapely.transform(given, lambda xy: xy - origin), dtype=object)
    if not rounded:
        return near
    whole = np.asarray(shapely.transform(near, lambda xy: np.round(xy, MILLIMETRES)), dtype=object)
    torn = ~shapely.is_valid(whole)
    whole[torn] = shapely.set_precision(near[torn], 10.0**-MILLIMETRES)
    flat = np.isin(shapely.get_type_id(near), AREAL) & ~(shapely.area(whole) > 0)
    whole[flat] = near[flat]
    return whole


def origin_of(areas: gpd.GeoSeries) -> Floats:
    """Return what is taken off coordinates to lose no digits."""
    return np.array(local_origin(tuple(areas.total_bounds)), dtype=float)


def numbers(found: Ints, index: pd.Index[Any]) -> pd.Series[Any]:
    """Return cell numbers as a series in which `NOWHERE` is NA."""
    series = pd.Series(found, index=index, dtype="Int64", name="cell")
    return series.mask(found == NOWHERE)


def _lines_and_water(
    streets: gpd.GeoSeries | None, barriers: gpd.GeoDataFrame | None, walls: gpd.GeoSeries | None
) -> tuple[Shapes, Shapes]:
    lines = [np.empty(0, dtype=object)]
    lines += [lines_of(given.to_numpy()) for given in (streets, walls) if given is not None]
    water = np.empty(0, dtype=object)
    if barriers is not None:
        shapes = barriers.geometry.to_numpy()
        areal = np.isin(shapely.get_type_id(shapes), AREAL)
        wet = barriers["kind"].isin(WATERY).to_numpy() & areal
        water = shapes[wet]
        lines.append(lines_of(shapes[~wet]))
    return np.concatenate(lines), water


def _kinds(joined: Joined, ground: Enclosures) -> NDArray[Any]:
    built = np.zeros(len(joined.shapes), dtype=np.bool_)
    built[joined.group_cell[joined.group_cell >= 0]] = True
    water = ground.water[joined.enclosure]
    return np.where(built, "building", np.where(water, "water", "block"))


def _outside(joined: Joined, groups: Groups, limits: Tolerances) -> tuple[Floats, Any]:
    """Return how much of each group is outside its cell, and where that is too much."""
    whole = sums(groups.group, shapely.area(groups.shapes), groups.count)
    outside = np.maximum(whole - joined.inside_m2, 0.0)
    return outside, (outside > limits.outside(groups)) & (joined.group_cell >= 0)


def _findings(
    joined: Joined,
    ground: Enclosures,
    groups: Groups,
    buildings: gpd.GeoSeries,
    group_of: Ints,
    limits: Tolerances,
) -> pd.DataFrame:
    """Return a row for each group that does not stand as it should, by its first building."""
    outside, over = _outside(joined, groups, limits)
    members = np.bincount(group_of, minlength=groups.count)
    first = np.unique(group_of, return_index=True)[1]
    around = np.zeros(groups.count, dtype=np.bool_)
    around[ground.straddled] = True
    kinds = (
        ("left_out", joined.group_cell == NOWHERE, LEFT_OUT),
        ("outside", over, OUTSIDE),
        ("led_around", around & (joined.group_cell >= 0), LED_AROUND),
        ("shared", members > 1, SHARED),
    )
    rows: list[tuple[Any, ...]] = []
    for what, chosen, done in kinds:
        for group in np.flatnonzero(chosen).tolist():
            label = buildings.index[first[group]]
            place = shapely.centroid(buildings.iloc[first[group]])
            said = done.format(count=members[group])
            rows.append((label, what, float(outside[group]), place.x, place.y, said))
    return pd.DataFrame(rows, columns=list(FINDINGS))


def _figures(
    cells: gpd.GeoDataFrame,
    cell_of: pd.Series[Any],
    joined: Joined,
    groups: Groups,
    limits: Tolerances,
) -> dict[str, Any]:
    outside, over = _outside(joined, groups, limits)
    shapes = cells.geometry.to_numpy()
    sound = bool((shapely.get_type_id(shapes) == AREAL[0]).all() and shapely.is_valid(shapes).all())
    counts = cells["kind"].value_counts()
    return {
        "cells": len(cells),
        "building_cells": int(counts.get("building", 0)),
        "blocks": int(counts.get("block", 0)),
        "water": int(counts.get("water", 0)),
        "buildings": len(cell_of),
        "buildings_left_out": int(cell_of.isna().sum()),
        "shared_cells": int((cell_of.value_counts() > 1).sum()),
        "coverage_valid": sound and bool(shapely.coverage_is_valid(shapes)),
        "buildings_outside": int(over.sum()),
        "buildings_outside_m2": float(outside[joined.group_cell >= 0].sum()),
    }


def checked(
    buildings: gpd.GeoSeries,
    areas: gpd.GeoSeries,
    others: Sequence[gpd.GeoSeries | gpd.GeoDataFrame | None] = (),
) -> pyproj.CRS:
    """Return the common metre CRS of shapes that can be worked on.

    Raises
    ------
    TopologyError
        With the first labels of what cannot.
    """
    crs = require_metres(areas.crs)
    named = {"buildings": buildings, "areas": areas}
    named |= {f"lines {k}": given for k, given in enumerate(others) if given is not None}
    for name, given in named.items():
        if require_metres(given.crs) != crs:
            raise TopologyError(f"The {name} have another CRS than the areas; transform them.")
        shapes = given.geometry.to_numpy()
        allowed = AREAL if name in ("buildings", "areas") else (*AREAL, *LINEAR)
        _refuse(given.index[shapely.is_missing(shapes)], f"{name} without a shape")
        _refuse(given.index[shapely.is_empty(shapes)], f"{name} with an empty shape")
        _refuse(
            given.index[~np.isin(shapely.get_type_id(shapes), allowed)],
            f"{name} of another type of shape",
        )
        _refuse(given.index[~shapely.is_valid(shapes)], f"{name} with an invalid shape, repair it")
    for name, given in (("buildings", buildings), ("areas", areas)):
        _refuse(given.index[given.index.duplicated()], f"{name} with a label that comes twice")
    if len(areas) == 0:
        raise TopologyError("There are no areas to be cut into cells.")
    if not shapely.coverage_is_valid(areas.to_numpy()):
        message = "The areas overlap or their borders do not match: repair them first."
        raise TopologyError(message)
    return crs


def _refuse(labels: pd.Index[Any], what: str) -> None:
    if len(labels):
        message = f"There are {len(labels)} {what}: {few(labels)}."
        raise TopologyError(message, labels=[str(label) for label in labels[:100]])


def few(labels: pd.Index[Any]) -> str:
    """Return the first labels, and how many more there are."""
    more = f" and {len(labels) - EXAMPLES} more" if len(labels) > EXAMPLES else ""
    return ", ".join(map(str, labels[:EXAMPLES])) + more
