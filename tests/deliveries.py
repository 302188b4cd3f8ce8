"""Files as an office delivers them, small enough to reckon by hand, and the recipe for them.

Two wards of 100 x 200 m side by side, four blocks of 100 x 100 m; the outline of ward A reaches
10 m too far to the east. Written in degrees (EPSG:4326), read back in EPSG:26986::

    A2 | B2      ward A: blocks A1, A2      ward B: blocks B1, B2
    A1 | B1      A1 has no land: a pond
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import geopandas as gpd
import pyogrio
import shapely
from shapely import LineString, MultiLineString, Point, box

from geo.files.deliver import deliver_raw
from geo.files.limits import OPERATOR
from geo.files.reading import Raw, raw_of
from geo.files.sources import open_file

METRE_SRID: Final = 26986
CORNER: Final = (232_000.0, 902_000.0)

RECIPE: Final[dict[str, Any]] = {
    "city": {
        "slug": "smallton",
        "name": "小城",
        "name_en": "Smallton",
        "profile": "intl",
        "timezone": "America/New_York",
        "metre_crs": METRE_SRID,
        "county_code": "25017",
        "effective_from": "2024-01-01",
    },
    "levels": [
        {
            "like": "neighbourhood",
            "title": {"zh": "选区", "en": "Ward"},
            "file": "areas.gpkg",
            "layer": "wards",
            "columns": {"code": "id", "name": "title"},
        },
        {
            "like": "grid",
            "title": {"zh": "街区", "en": "Block"},
            "file": "areas.gpkg",
            "layer": "blocks",
            "columns": {"code": "id", "name": "id", "parent": "id"},
            "rewrite": {
                "parent": [[r"([A-Z])\d+", r"\1"]],
                "name": [[r"[A-Z](\d+)", r"Block \1"]],
            },
        },
    ],
    "values": [
        {
            "measure": "households",
            "vintage": "2024",
            "taken_on": "2024-01-01",
            "name": "Count of 2024",
            "file": "areas.gpkg",
            "layer": "wards",
            "columns": {"value": "homes", "code": "id"},
            "weight": "land",
        }
    ],
    "streets": {
        "file": "streets.gpkg",
        "columns": {"name": "street", "kind": "rank"},
        "kinds": {"1": "arterial"},
        "join_m": 0.5,
    },
    "stations": {
        "file": "stations.geojson",
        "columns": {"kind": "type", "name": "label"},
        "reach_m": 20.0,
        "kinds": [
            {"value": "LIB", "kind": "library"},
            {
                "value": "POOL",
                "kind": "pool",
                "name": {"zh": "泳池", "en": "Pool"},
                "serves": "everyone",
            },
        ],
    },
}


def recipe_tables() -> dict[str, Any]:
    """Return the recipe as TOML gives it, to be changed freely."""
    return copy.deepcopy(RECIPE)


def at(x: float, y: float) -> tuple[float, float]:
    """Return a place in metres from the south-west corner of the city."""
    return CORNER[0] + x, CORNER[1] + y


def area(x: float, y: float, x1: float, y1: float) -> Any:
    """Return a rectangle in metres from the south-west corner of the city."""
    return box(*at(x, y), *at(x1, y1))


def wards() -> gpd.GeoDataFrame:
    columns = {
        "id": ["B", "A"],
        "title": ["East", "West"],
        "homes": [30, 10],
        "mayor": ["Jane Roe", "John Doe"],
    }
    shapes = [area(100, 0, 200, 200), area(0, 0, 110, 200)]
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=METRE_SRID)


def blocks() -> gpd.GeoDataFrame:
    columns = {"id": ["B2", "A1", "A2", "B1"], "land": [5.0, 0.0, 8.0, 5.0], "phone": ["5550"] * 4}
    shapes = [
        area(100, 100, 200, 200),
        area(0, 0, 100, 100),
        area(0, 100, 100, 200),
        area(100, 0, 200, 100),
    ]
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=METRE_SRID)


def streets() -> gpd.GeoDataFrame:
    """A main street in two parts with a slip of 0.3 m between, and a lane over a bridge."""
    shapes = [
        MultiLineString([[at(0, 100), at(100, 100)]]),
        LineString([at(100.3, 100), at(200, 100)]),
        LineString([at(50, 0), at(50, 200)]),
    ]
    columns = {"street": ["Main St", "Main St", None], "rank": [1.0, 1.0, 3.0]}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=METRE_SRID)


def stations() -> gpd.GeoDataFrame:
    """One inside, one on a common corner, one 5 m outside, one 500 m outside."""
    columns = {"type": ["LIB", "POOL", "POOL", "LIB"], "label": ["Main", "Lido", None, "Far"]}
    points = [Point(at(*p)) for p in ((20, 30), (100, 100), (205, 50), (700, 50))]
    return gpd.GeoDataFrame(columns, geometry=points, crs=METRE_SRID)


def write(frame: gpd.GeoDataFrame, path: Path, layer: str | None = None, **options: Any) -> Path:
    """Write a layer in degrees."""
    driver = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".shp": "ESRI Shapefile"}[path.suffix]
    pyogrio.write_dataframe(frame.to_crs(4326), path, layer=layer, driver=driver, **options)
    return path


def deliver(folder: Path, **layers: gpd.GeoDataFrame) -> Path:
    """Write all files of the recipe into `folder`; layers given by name replace the usual ones."""
    write(layers.get("wards", wards()), folder / "areas.gpkg", "wards")
    write(layers.get("blocks", blocks()), folder / "areas.gpkg", "blocks")
    write(layers.get("streets", streets()), folder / "streets.gpkg")
    write(layers.get("stations", stations()), folder / "stations.geojson")
    return folder


def bow_tie(x: float, y: float, side: float) -> Any:
    """Return an area whose ring crosses itself."""
    corners = [at(x, y), at(x + side, y + side), at(x + side, y), at(x, y + side)]
    return shapely.Polygon(corners)


def read_here(
    path: Path, layer: str | None, columns: Mapping[str, str], encoding: str | None
) -> Raw:
    """Read a layer of a recipe without a process of its own: what is read, not the walls."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = folder / "rows.arrow"
        opened = open_file(path, folder, OPERATOR, path.name)
        answer = deliver_raw(opened, layer, columns, encoding, rows, OPERATOR)
        return raw_of(answer, rows, path)
