"""What stands in vector tiles: buildings by number, squares with a number of buildings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import mapbox_vector_tile
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

WORLD_M = 40_075_016.685578488
EXTENT = 4096


@dataclass(frozen=True, order=True)
class Place:
    """A tile of the Mercator pyramid."""

    z: int
    x: int
    y: int


def place_at(lon: float, lat: float, z: int) -> Place:
    """Return the tile of zoom `z` in which a place lies, degrees."""
    across = 1 << z
    y = 0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)
    return Place(z, int((lon + 180.0) / 360.0 * across), int(y * across))


def places_over(box: Iterable[float], z: int) -> list[Place]:
    """Return the tiles of zoom `z` that meet a box: west, south, east, north in degrees."""
    west, south, east, north = box
    first, last = place_at(west, north, z), place_at(east, south, z)
    return [Place(z, x, y) for x in range(first.x, last.x + 1) for y in range(first.y, last.y + 1)]


def inside(place: Place, mercator: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which places of the Mercator plane, metres, shape (n, 2), lie in a tile."""
    side = WORLD_M / (1 << place.z)
    column = np.floor((mercator[:, 0] + WORLD_M / 2) / side)
    row = np.floor((WORLD_M / 2 - mercator[:, 1]) / side)
    found: NDArray[np.bool_] = (column == place.x) & (row == place.y)
    return found


def building_ids(tile: bytes) -> set[int]:
    """Return the numbers of the buildings of a tile."""
    return {int(feature["id"]) for feature in _features(tile, "building")}


def buildings_in_squares(tiles: Mapping[Place, bytes], metre_srid: int) -> int:
    """Return the buildings of all squares in some tiles; a square in two tiles counts once."""
    to_metres = Transformer.from_crs(3857, metre_srid, always_xy=True)
    found: dict[tuple[int, int], int] = {}
    for place, tile in tiles.items():
        side = WORLD_M / (1 << place.z)
        for feature in _features(tile, "density"):
            shape = shapely.geometry.shape(feature["geometry"])
            right, up = shapely.get_coordinates(shapely.point_on_surface(shape))[0] / EXTENT
            east = (place.x + right) * side - WORLD_M / 2
            north = WORLD_M / 2 - (place.y + 1 - up) * side
            size = feature["properties"]["size"]
            x, y = np.floor(np.array(to_metres.transform(east, north)) / size).astype(int)
            found[int(x), int(y)] = int(feature["properties"]["n"])
    return sum(found.values())


def _features(tile: bytes, layer: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = (
        mapbox_vector_tile.decode(tile).get(layer, {}).get("features", [])
    )
    return content
