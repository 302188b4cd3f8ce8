"""What maps draw: borders of one level as TopoJSON, the ground as vector tiles made by PostGIS."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import pandas as pd
import shapely
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.errors import InvalidInputError
from geo.store.grids import GridFilter, narrowed
from geo.store.nets import Moment
from geo.tables import SRID, NetGrid
from geo.topojson import encode_topology

MOST_ZOOM: Final = 22
EXTENT: Final = 4096
PIXELS: Final = 512
"""Side of a tile in pixels of the screen."""
BUFFER: Final = 64
"""Margin around a tile, units of its extent."""
LATITUDE_LIMIT: Final = 85.051128779806604
WORLD_M: Final = 40_075_016.685578488
"""Side of the Mercator world, metres at the equator."""

SQUARE_SIDES_M: Final = ((9, 2000), (10, 1000), (11, 500), (12, 250), (13, 125))
"""Greatest zoom at which squares of density have this side."""

BUILDINGS_FROM_ZOOM: Final = 13
MOST_BUILDINGS: Final = {13: 500, 14: 1800}
"""Most buildings of a tile, the largest; at other zooms `ALL_BUILDINGS`."""
ALL_BUILDINGS: Final = 6000
LEAST_BUILDING_PX2: Final = 4.0
MOST_PLACES: Final = 300
PLACE_ZOOMS_AHEAD: Final = 2
"""Names of a level come this many zooms before the level itself."""

TOLERANCES_M: Final = {1: 6.0, 2: 6.0, 3: 4.0}
"""Simplification of borders by level; deeper levels `FINEST_M`."""
FINEST_M: Final = 2.0
OVERVIEW_M: Final = 30.0
"""Simplification where a pixel is as wide as this or wider."""
TOPOLOGY_VERSION: Final = "3"
"""Changes whenever the same net would be written in other bytes."""


@dataclass(frozen=True)
class Tile:
    """Address of a tile in the Mercator pyramid.

    Raises
    ------
    InvalidInputError
        If there is no such tile.
    """

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        across = 1 << self.z if 0 <= self.z <= MOST_ZOOM else 0
        if not (0 <= self.x < across and 0 <= self.y < across):
            raise InvalidInputError(f"There is no tile {self.z}/{self.x}/{self.y}.", field="z")

    def box(self, margin: float = 0.0) -> tuple[float, float, float, float]:
        """Return west, south, east, north in degrees; `margin` in sides of the tile."""
        across = 1 << self.z

        def lon(x: float) -> float:
            return min(max(x / across * 360.0 - 180.0, -180.0), 180.0)

        def lat(y: float) -> float:
            turned = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y / across))))
            return min(max(turned, -LATITUDE_LIMIT), LATITUDE_LIMIT)

        return (
            lon(self.x - margin),
            lat(self.y + 1 + margin),
            lon(self.x + 1 + margin),
            lat(self.y - margin),
        )


_TILE = text(
    """
    WITH tile AS MATERIALIZED (
        SELECT ST_TileEnvelope(:z, :x, :y) AS frame
    ), water_drawn AS (
        SELECT b.name,
               ST_AsMVTGeom(ST_Simplify(ST_Transform(b.geom, 3857), :step, true), t.frame,
                            4096, 64, true) AS geom
        FROM tile AS t, barrier AS b
        WHERE b.city_id = :city AND b.kind IN ('river', 'water')
          AND b.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
    ), railway_drawn AS (
        SELECT b.name,
               ST_AsMVTGeom(ST_Simplify(ST_Transform(b.geom, 3857), :step, true), t.frame,
                            4096, 64, true) AS geom
        FROM tile AS t, barrier AS b
        WHERE :z >= 9 AND b.city_id = :city AND b.kind = 'railway'
          AND b.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
    ), wall_drawn AS (
        SELECT ST_AsMVTGeom(ST_Transform(b.geom, 3857), t.frame, 4096, 64, true) AS geom
        FROM tile AS t, barrier AS b
        WHERE :z >= 14 AND b.city_id = :city AND b.kind = 'wall'
          AND b.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
    ), street_drawn AS (
        SELECT s.name, s.kind,
               ST_AsMVTGeom(ST_Simplify(ST_Transform(s.geom, 3857), :step, true), t.frame,
                            4096, 64, true) AS geom
        FROM tile AS t, (
            SELECT name, kind, ST_LineMerge(ST_Collect(geom)) AS geom
            FROM street
            WHERE city_id = :city
              AND geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
              AND CASE kind WHEN 'arterial' THEN :z >= 9 WHEN 'collector' THEN :z >= 12
                            WHEN 'local' THEN :z >= 13 ELSE :z >= 14 END
            GROUP BY name, kind
        ) AS s
    ), compound_drawn AS (
        SELECT c.compound_id, CASE WHEN :z >= 14 THEN c.name END AS name,
               ST_AsMVTGeom(ST_Simplify(ST_Transform(c.geom, 3857), :step, true), t.frame,
                            4096, 64, true) AS geom
        FROM tile AS t, compound AS c
        WHERE :z >= 13 AND c.city_id = :city
          AND c.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
    ), compound_label_drawn AS (
        SELECT c.compound_id, c.name,
               ST_AsMVTGeom(ST_Transform(ST_PointOnSurface(c.geom), 3857), t.frame, 4096, 0, true)
                   AS geom
        FROM tile AS t, compound AS c
        WHERE :z >= 14 AND c.city_id = :city
          AND c.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
    ), building_drawn AS (
        SELECT b.building_id, CASE WHEN :z >= 15 THEN b.use END AS use,
               ST_AsMVTGeom(ST_Transform(b.footprint, 3857), t.frame, 4096, 64, true) AS geom
        FROM tile AS t, (
            SELECT building_id, use, footprint
            FROM building
            WHERE :z >= 13 AND city_id = :city
              AND footprint && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
              AND (ST_Dimension(footprint) < 2 AND :z >= 15 OR ST_Area(footprint) >= :least_area)
            ORDER BY ST_Area(footprint) DESC, building_id
            LIMIT :most_buildings
        ) AS b
    ), density_drawn AS (
        SELECT d.buildings AS n, d.size_m AS size,
               ST_AsMVTGeom(ST_Transform(d.geom, 3857), t.frame, 4096, 64, true) AS geom
        FROM tile AS t, density_square AS d
        WHERE d.city_id = :city AND d.size_m = :square
          AND d.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
    ), place_drawn AS (
        SELECT g.grid_id, g.name, g.level, round(v.value)::bigint AS n,
               EXISTS (
                   SELECT FROM net_cell AS c
                   WHERE c.city_id = g.city_id AND c.grid_id = g.grid_id
                     AND c.from_seq <= :seq AND c.to_seq > :seq
               ) AS leaf,
               row_number() OVER (ORDER BY g.level, v.value DESC NULLS LAST, g.grid_id) AS rank,
               ST_AsMVTGeom(ST_Transform(g.label_point, 3857), t.frame, 4096, 0, true) AS geom
        FROM tile AS t, net_grid AS g
        JOIN level AS l
          ON l.city_id = g.city_id AND l.level = g.level AND l.zoom_min <= :z + :ahead
        LEFT JOIN net_value AS v
          ON v.city_id = g.city_id AND v.seq = :seq AND v.vintage = :vintage
         AND v.measure = 'households' AND v.grid_id = g.grid_id AND v.told
        WHERE g.city_id = :city AND g.from_seq <= :seq AND g.to_seq > :seq
          AND g.boundary && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
          AND ST_X(g.label_point) >= :tile_west AND ST_X(g.label_point) < :tile_east
          AND ST_Y(g.label_point) > :tile_south AND ST_Y(g.label_point) <= :tile_north
        ORDER BY rank LIMIT :most_places
    )
    SELECT coalesce((SELECT ST_AsMVT(l, 'water', 4096, 'geom') FROM water_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'railway', 4096, 'geom') FROM railway_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'wall', 4096, 'geom') FROM wall_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'street', 4096, 'geom') FROM street_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'compound', 4096, 'geom', 'compound_id')
                     FROM compound_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'compound_label', 4096, 'geom', 'compound_id')
                     FROM compound_label_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'density', 4096, 'geom') FROM density_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'building', 4096, 'geom', 'building_id')
                     FROM building_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'place', 4096, 'geom', 'grid_id')
                     FROM place_drawn AS l), '')
    """
)


_ALONE = text(
    "SELECT set_config('max_parallel_workers_per_gather', '0', true),"
    " set_config('jit', 'off', true)"
)
"""A tile is done before a second process has started to help with it."""


def vector_tile(session: Session, at: Moment, tile: Tile) -> bytes:
    """Return a Mapbox Vector Tile of the ground and of the net's names; empty where nothing is.

    Layers: water, railway, wall, street (name, kind), compound and compound_label (name), density
    (n buildings in a square of `size` metres), building (use), place (name, level, n households,
    leaf, rank). Small things are left out from afar, and of many buildings the largest are taken.
    """
    west, south, east, north = tile.box(BUFFER / EXTENT)
    own = tile.box()
    pixel = (own[2] - own[0]) * (own[3] - own[1]) / PIXELS**2
    asked = {
        "z": tile.z, "x": tile.x, "y": tile.y, "city": at.city_id, "seq": at.seq,
        "vintage": at.vintage, "west": west, "south": south, "east": east, "north": north,
        "tile_west": own[0], "tile_south": own[1], "tile_east": own[2], "tile_north": own[3],
        "step": WORLD_M / (1 << tile.z) / EXTENT * (2 if tile.z >= 15 else 4),
        "least_area": LEAST_BUILDING_PX2 * pixel,
        "most_buildings": MOST_BUILDINGS.get(tile.z, ALL_BUILDINGS),
        "square": next((side for zoom, side in SQUARE_SIDES_M if tile.z <= zoom), 0),
        "ahead": PLACE_ZOOMS_AHEAD, "most_places": MOST_PLACES,
    }  # fmt: skip
    session.execute(_ALONE)
    return bytes(session.execute(_TILE, asked).scalar_one())


def topology_key(at: Moment, level: int | None, *, overview: bool = False) -> str:
    """Return what the bytes of a level's topology depend on, for caches and ETags."""
    content = f"{TOPOLOGY_VERSION}/{at.slug}/{at.seq}/{at.net_hash.hex()}/{level}/{overview:d}"
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def topology(session: Session, at: Moment, level: int | None, *, overview: bool = False) -> bytes:
    """Return the borders of one level of a net, or of all leaf grids, as quantised TopoJSON.

    An overview is simplified by `OVERVIEW_M`, for a whole city on one screen.

    The object is named "grids"; properties are g (grid), n (name), c (colour),
    p (parent; null at the top), so that one level's arcs carry the borders of all levels above.
    """
    narrow = GridFilter(level=level, leaf=level is None)
    rows = session.execute(
        select(
            NetGrid.grid_id,
            NetGrid.name,
            NetGrid.colour,
            NetGrid.parent_id,
            func.ST_AsBinary(NetGrid.boundary).label("shape"),
        )
        .where(*narrowed(at, narrow))
        .order_by(NetGrid.grid_id)
    ).all()
    columns: dict[str, Any] = {
        "g": [row.grid_id for row in rows],
        "n": [row.name for row in rows],
        "c": [row.colour for row in rows],
        "p": pd.array([row.parent_id for row in rows], dtype="Int64"),
    }
    shapes = shapely.from_wkb([bytes(row.shape) for row in rows])
    frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=SRID)
    tolerance = FINEST_M if level is None else TOLERANCES_M.get(level, FINEST_M)
    tolerance = max(tolerance, OVERVIEW_M) if overview else tolerance
    return encode_topology(frame, ["g", "n", "c", "p"], tolerance_m=tolerance)
