"""Quantised TopoJSON of a coverage: each border once, simplified alike on both sides, for maps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from topojson.core.topology import Topology

from geo.crs import WGS84_SRID
from geo.errors import TopologyError

METRES_PER_DEGREE = 111_195.0
"""Along a meridian on the mean sphere; only tolerance and step size depend on it."""
STEPS_PER_TOLERANCE = 5
LEAST_STEP_M = 0.1
STEPS = (1_000, 1_000_000)
"""Fewest and most steps of the lattice along the longer side."""


def encode_topology(
    shapes: gpd.GeoDataFrame,
    properties: Sequence[str] = (),
    *,
    tolerance_m: float,
    quantization: int | None = None,
    name: str = "grids",
) -> bytes:
    """Return the TopoJSON of a coverage, ready for topojson-client's `feature` and `mesh`.

    Shapes are simplified as a coverage (a border is the same from both sides, none crosses
    another), laid on a lattice, and written as shared, delta-encoded arcs. The same input gives
    the same bytes. A shape smaller than a step of the lattice keeps its properties and has the
    geometry type null.

    Parameters
    ----------
    shapes : GeoDataFrame, shape (n,)
        Polygons or multipolygons that form a coverage, EPSG:4326 in (lon, lat), across no date
        line.
    properties : sequence of str
        Columns that become properties; numbers stay numbers, NA becomes null.
    tolerance_m : float
        Edge length in metres of the square whose area is the largest that simplification may take
        from a corner; 0 keeps every vertex. 18 suits a city, 2 single buildings.
    quantization : int, optional
        Steps of the lattice along each side of the extent; by default a step is a fifth of the
        tolerance and at least 0.1 m.
    name : str, default "grids"
        Name of the object in the topology.

    Returns
    -------
    bytes
        UTF-8 JSON.

    Raises
    ------
    TopologyError
        If `shapes` is not in EPSG:4326, a shape is no polygon, or an argument is out of range.

    Notes
    -----
    Format: M. Bostock, C. Metcalf, The TopoJSON Format Specification, 2013.
    """
    polygons = _checked(shapes, tolerance_m, quantization)
    if len(polygons) == 0:
        return _dump(_envelope(name, [], [], None))
    scale = _metres_per_degree(polygons)
    steps = quantization or _steps(shapely.total_bounds(polygons), scale, tolerance_m)
    topology = Topology(
        gpd.GeoDataFrame(geometry=_simplified(polygons, scale, tolerance_m), crs=WGS84_SRID),
        object_name=name,
        prequantize=steps,
        shared_coords=False,
    ).to_dict()
    geometries = topology["objects"][name]["geometries"]
    values = _values(shapes, properties)
    for geometry, row in zip(geometries, values, strict=True):
        geometry.pop("id", None)
        geometry["properties"] = row
    return _dump(_envelope(name, geometries, topology["arcs"], topology))


def _checked(
    shapes: gpd.GeoDataFrame, tolerance_m: float, quantization: int | None
) -> NDArray[np.object_]:
    if shapes.crs is None or shapes.crs.to_epsg() != WGS84_SRID:
        message = "TopoJSON is written in degrees; transform the shapes to EPSG:4326 first."
        raise TopologyError(message, crs=str(shapes.crs))
    if tolerance_m < 0 or (quantization is not None and quantization < 2):
        message = "The tolerance must be 0 or more, the quantization 2 or more."
        raise TopologyError(message, tolerance_m=tolerance_m, quantization=quantization)
    polygons: NDArray[np.object_] = shapes.geometry.to_numpy()
    wrong = ~np.isin(shapely.get_type_id(polygons), (3, 6)) | shapely.is_empty(polygons)
    if wrong.any():
        rows = np.flatnonzero(wrong)
        message = f"{len(rows)} shape(s) are not polygons with ground."
        raise TopologyError(message, rows=rows[:100].tolist())
    return polygons


def _metres_per_degree(polygons: NDArray[np.object_]) -> NDArray[np.float64]:
    south, north = shapely.total_bounds(polygons)[1::2]
    return METRES_PER_DEGREE * np.array([math.cos(math.radians((south + north) / 2)), 1.0])


def _simplified(
    polygons: NDArray[np.object_], scale: NDArray[np.float64], tolerance_m: float
) -> NDArray[np.object_]:
    if tolerance_m == 0:
        return polygons
    flat = shapely.transform(polygons, lambda lonlat: lonlat * scale)
    simple = shapely.coverage_simplify(flat, tolerance_m)
    found: NDArray[np.object_] = shapely.transform(simple, lambda metres: metres / scale)
    return found


def _steps(bounds: NDArray[np.float64], scale: NDArray[np.float64], tolerance_m: float) -> int:
    side_m = float(((bounds[2:] - bounds[:2]) * scale).max())
    step_m = max(tolerance_m / STEPS_PER_TOLERANCE, LEAST_STEP_M)
    return int(np.clip(math.ceil(side_m / step_m), *STEPS))


def _values(shapes: gpd.GeoDataFrame, properties: Sequence[str]) -> list[dict[str, Any]]:
    columns = [
        shapes[column].astype("object").where(shapes[column].notna(), None).tolist()
        for column in properties
    ]
    rows = zip(*columns, strict=True) if columns else [()] * len(shapes)
    return [dict(zip(properties, row, strict=True)) for row in rows]


def _envelope(
    name: str, geometries: list[Any], arcs: list[Any], topology: dict[str, Any] | None
) -> dict[str, Any]:
    collection = {"type": "GeometryCollection", "geometries": geometries}
    envelope: dict[str, Any] = {"type": "Topology", "objects": {name: collection}, "arcs": arcs}
    if topology is not None:
        envelope |= {"bbox": topology["bbox"], "transform": topology["transform"]}
    return envelope


def _dump(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()
