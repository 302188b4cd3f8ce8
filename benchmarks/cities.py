"""The cities that pages and questions are measured on, kept in one database between runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager

import geopandas as gpd
from sqlalchemy import Engine, text

from benchmarks import coverages, stands
from benchmarks.coverages import Size
from geo.dataset import CityDataset
from geo.demo import generate

DEMO = "demo"
"""The demo city of 454 grids and about 48,000 buildings; its short name is its own."""

MADE_UP: Mapping[str, Size] = {
    "grids-2229": Size((5, 39, 2_229), 66_870, whole=True),
    "grids-6562": Size((16, 387, 6_562), 196_860, whole=True),
    "cells-6562": Size((16, 387, 6_562), 78_744, stations=2_348),
}
"""Cities by short name: grids drawn whole for maps of grids, of cells for figures."""

MADE_FROM = (
    "benchmarks/cities.py",
    "benchmarks/coverages.py",
    "geo/dataset.py",
    "geo/demo/*.py",
    "geo/migrations/versions/*.py",
    "geo/store/derived.py",
    "geo/store/loading.py",
)
"""Files that decide what lies in the database; when one changes, it is made again."""

# A peer's points lie ready with an index, so that its joins are as quick as such joins can be.
_POINTS = (
    """
    CREATE TABLE benchmark_point AS
    SELECT c.city_id, 'cell' AS kind, 0.0::float8 AS households, ST_PointOnSurface(c.geom) AS place
    FROM cell AS c
    UNION ALL
    SELECT b.city_id, 'building', b.households, ST_PointOnSurface(b.footprint) FROM building AS b
    UNION ALL
    SELECT s.city_id, 'station', 0, s.geom FROM station AS s WHERE s.stage = 'open'
    """,
    "CREATE INDEX benchmark_point_place ON benchmark_point USING gist (place)",
    "GRANT SELECT ON benchmark_point TO wangge_area, wangge_city",
)
_OUTLINES = text(
    """
    SELECT g.grid_id AS g, g.name AS n, g.colour AS c, g.boundary AS geometry
    FROM net_grid AS g JOIN city USING (city_id)
    WHERE city.slug = :slug AND EXISTS (
        SELECT FROM net_cell AS c WHERE c.city_id = g.city_id AND c.grid_id = g.grid_id
    )
    ORDER BY g.grid_id
    """
)
_FOOTPRINTS = text(
    """
    SELECT b.building_id AS b, coalesce(b.name, b.code) AS n, b.use AS u, b.footprint AS geometry
    FROM building AS b JOIN city USING (city_id)
    WHERE city.slug = :slug ORDER BY b.building_id
    """
)


def stand() -> AbstractContextManager[stands.Stand]:
    """Open the database with all cities; see `stands.stand`."""
    return stands.stand("cities", MADE_FROM, _datasets, _prepare)


def outlines(engine: Engine, slug: str) -> gpd.GeoDataFrame:
    """Return the exact leaf grids of a city's first net: g, n, c, geometry in EPSG:4326."""
    return _layer(engine, _OUTLINES, slug)


def footprints(engine: Engine, slug: str) -> gpd.GeoDataFrame:
    """Return the buildings of a city: b, n, u (use), geometry in EPSG:4326."""
    return _layer(engine, _FOOTPRINTS, slug)


def _layer(engine: Engine, statement: object, slug: str) -> gpd.GeoDataFrame:
    with engine.connect() as connection:
        return gpd.read_postgis(
            statement, connection, geom_col="geometry", params={"slug": slug}, crs=4326
        )


def _datasets() -> Iterator[CityDataset]:
    yield generate(issues=0)
    for slug, size in MADE_UP.items():
        yield coverages.city(slug, size)


def _prepare(engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in _POINTS:
            connection.exec_driver_sql(statement)
