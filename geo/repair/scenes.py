"""Before and after: the ground around one defect, and repaired areas back in the file's own CRS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from geo.errors import TopologyError
from geo.repair.mending import Repair

LEAST_SIDE_M: Final = 4.0


@dataclass(frozen=True)
class Scene:
    """What is to be seen around a defect, in the metre CRS.

    Attributes
    ----------
    before, after : GeoSeries
        The areas near it, cut off at the edge of the picture, indexed by their labels.
    fault : geometry
    bounds : tuple of float
        The picture: west, south, east, north in metres.
    """

    before: gpd.GeoSeries
    after: gpd.GeoSeries
    fault: Any
    bounds: tuple[float, float, float, float]


def scene(repair: Repair, fault: Any, *, margin: float = 0.5) -> Scene:
    """Return the surroundings of a fault before and after the repair.

    Parameters
    ----------
    repair : Repair
    fault : geometry
        From `repair.defects` or `repair.questions`.
    margin : float, default 0.5
        How much is shown around it, as a share of its larger side; at least 2 m.

    Returns
    -------
    Scene

    Raises
    ------
    TopologyError
        If the fault has no place.
    """
    if fault is None or shapely.is_empty(fault):
        raise TopologyError("This defect has no place of its own.")
    west, south, east, north = shapely.bounds(fault).tolist()
    around = max(margin * max(east - west, north - south), LEAST_SIDE_M / 2)
    bounds = (west - around, south - around, east + around, north + around)
    before, after = (_cut(areas, bounds) for areas in (repair.delivered, repair.areas))
    return Scene(before, after, fault, bounds)


def _cut(areas: gpd.GeoSeries, bounds: tuple[float, float, float, float]) -> gpd.GeoSeries:
    shapes = areas.to_numpy()
    near = np.sort(shapely.STRtree(shapes).query(shapely.box(*bounds)))
    valid = shapely.make_valid(shapes[near], method="structure")
    pieces = shapely.clip_by_rect(valid, *bounds)
    seen = ~shapely.is_empty(pieces)
    return gpd.GeoSeries(pieces[seen], index=areas.index[near[seen]], crs=areas.crs)


def carried_back(
    repaired: gpd.GeoSeries, metres: gpd.GeoSeries, source: gpd.GeoSeries
) -> gpd.GeoSeries:
    """Return repaired areas in the CRS of their source, old vertices bit by bit as they came.

    Parameters
    ----------
    repaired : GeoSeries
        `Repair.areas`, in metres.
    metres : GeoSeries, shape (n,)
        What was repaired: `source` in metres, vertex by vertex.
    source : GeoSeries, shape (n,)
        As delivered, any CRS.

    Returns
    -------
    GeoSeries
        Indexed like `repaired`; equal vertices are equal, so a coverage stays one.

    Raises
    ------
    TopologyError
        If `metres` and `source` do not have the same vertices.
    """
    at = _numbers(shapely.get_coordinates(metres.to_numpy()))
    was = shapely.get_coordinates(source.to_numpy())
    if len(at) != len(was):
        raise TopologyError("The areas in metres do not have the vertices of their source.")
    known, first = np.unique(at, return_index=True)
    turn = Transformer.from_crs(metres.crs, source.crs, always_xy=True)

    def back(places: NDArray[np.float64]) -> NDArray[np.float64]:
        wanted = _numbers(places)
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        old = known[place] == wanted
        fresh = np.column_stack(turn.transform(places[:, 0], places[:, 1]))
        fresh[old] = was[first[place[old]]]
        return fresh

    shapes = shapely.transform(repaired.to_numpy(), back)
    return gpd.GeoSeries(shapes, index=repaired.index, crs=source.crs)


def _numbers(places: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.ascontiguousarray(places + 0.0).view(np.complex128).ravel()
