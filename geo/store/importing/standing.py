"""What stands in a city, as frames that a delivery is compared with, and where places lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.importing.differences import KEY, Identity
from geo.importing.rows import CityFacts
from geo.profiles import load_profile
from geo.store import loading
from geo.tables import (
    SRID,
    Barrier,
    Building,
    Category,
    City,
    Issue,
    Station,
    StationKind,
    Street,
)
from geo.terms import DeliveryKind

REACH_M: Final = 20.0
"""Points up to this far outside all cells are moved to the nearest one."""
ROWS_ASKED: Final = 20_000
AROUND_DEG: Final = 0.015
"""How far the datums of Chinese maps lie apart at most, and some."""

_CELL: Final = text(
    """
    SELECT s.n, c.cell_id
    FROM unnest(CAST(:shapes AS bytea[])) WITH ORDINALITY AS s (shape, n)
    CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_GeomFromWKB(s.shape), 4326) AS place) AS p
    CROSS JOIN LATERAL (
        SELECT cell_id FROM cell
        WHERE city_id = :city AND retired_by_cut IS NULL AND ST_Intersects(geom, p.place)
        ORDER BY cell_id LIMIT 1
    ) AS c
    """
)
_NEAREST: Final = text(
    """
    SELECT s.n, c.cell_id, ST_AsBinary(c.at), c.far
    FROM unnest(CAST(:shapes AS bytea[])) WITH ORDINALITY AS s (shape, n)
    CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_GeomFromWKB(s.shape), 4326) AS place) AS p
    CROSS JOIN LATERAL (
        SELECT cell_id, ST_ClosestPoint(geom, p.place) AS at,
               ST_Distance(geom::geography, p.place::geography) AS far
        FROM cell WHERE city_id = :city AND retired_by_cut IS NULL
        ORDER BY geom <-> p.place LIMIT 1
    ) AS c
    """
)


@dataclass(frozen=True)
class Book:
    """A table whose rows are things at places.

    Attributes
    ----------
    table : type
    key, shape : str
        Columns of its number and of its geometry.
    columns : tuple of str
        What a delivery may say of a row.
    same : Identity
        What tells that two rows are one thing.
    located : bool
        Whether a row stores the cell it stands on.
    """

    table: Any
    key: str
    shape: str
    columns: tuple[str, ...]
    same: Identity
    located: bool = False

    @property
    def name(self) -> str:
        """Name of the table."""
        return str(self.table.__tablename__)


BOOKS: Final[Mapping[DeliveryKind, Book]] = {
    DeliveryKind.BUILDINGS: Book(
        Building,
        "building_id",
        "footprint",
        ("code", "name", "use", "floors", "entrances", "households"),
        Identity("areas", ("code",)),
        located=True,
    ),
    DeliveryKind.STATIONS: Book(
        Station,
        "station_id",
        "geom",
        ("kind", "name", "address", "opening_hours", "floor_area_m2", "capacity", "stage"),
        Identity("points", ("kind", "name"), KEY),
        located=True,
    ),
    DeliveryKind.STREETS: Book(
        Street, "street_id", "geom", ("name", "kind"), Identity("lines", name="name")
    ),
    DeliveryKind.BARRIERS: Book(
        Barrier, "barrier_id", "geom", ("kind", "name"), Identity("lines", name="name")
    ),
    DeliveryKind.ISSUES: Book(
        Issue,
        "issue_id",
        "geom",
        ("category", "channel", "state", "reported_at", "closed_at", "set_aside", "external"),
        Identity("points", ("category", "reported_at"), KEY, reach_m=1000.0, same_place=False),
        located=True,
    ),
}


def facts(session: Session, city: City) -> CityFacts:
    """Return what of a city decides how rows are read."""
    kinds = session.execute(
        select(StationKind.kind, StationKind.name, StationKind.name_en).where(
            StationKind.city_id == city.city_id
        )
    )
    categories = session.execute(
        select(Category.category, Category.name, Category.name_en).where(
            Category.city_id == city.city_id
        )
    )
    profile = load_profile(city.profile)
    roles = [(one.code, one.name.zh, one.name.en) for one in profile.roles]
    words = {"station_kind": _words(kinds), "category": _words(categories), "role": _words(roles)}
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    return CityFacts(city.metre_srid, city.timezone, words, now)


def _words(rows: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for code, name, name_en in rows:
        for word in (code, name, name_en):
            found.setdefault(str(word).casefold(), str(code))
    return found


def middle(session: Session, city: City) -> tuple[float, float]:
    """Return longitude and latitude of the city's own origin."""
    turn = Transformer.from_crs(city.metre_srid, SRID, always_xy=True)
    lon, lat = turn.transform(city.origin_x, city.origin_y)
    return float(lon), float(lat)


def frame(session: Session, city: City, book: Book, *wanted: Any) -> gpd.GeoDataFrame:
    """Return what stands of a kind, indexed by number, in the city's metre CRS.

    `wanted` are conditions that leave out what a delivery has nothing to do with.
    """
    table = book.table
    own = [getattr(table, name) for name in (book.key, *book.columns)]
    if book.located:
        own.append(table.cell_id)
    rows = session.execute(
        select(*own, func.ST_AsBinary(getattr(table, book.shape)))
        .where(table.city_id == city.city_id, *wanted)
        .order_by(getattr(table, book.key))
    ).all()
    names = [column.key for column in own]
    data = pd.DataFrame([tuple(row)[:-1] for row in rows], columns=names)
    for name in ("reported_at", "closed_at"):
        if name in data:
            data[name] = pd.to_datetime(data[name], utc=True).dt.as_unit("s")
    shapes = in_metres([bytes(row[-1]) for row in rows], city.metre_srid)
    return gpd.GeoDataFrame(data, geometry=shapes, crs=city.metre_srid).set_index(book.key)


def in_metres(binary: list[bytes], srid: int) -> NDArray[np.object_]:
    """Return shapes in degrees as shapes in metres, vertex by vertex."""
    turn = Transformer.from_crs(SRID, srid, always_xy=True)
    shapes = shapely.from_wkb(np.asarray(binary, dtype=object))
    return np.asarray(shapely.transform(shapes, turn.transform, interleaved=False), dtype=object)


def streets_around(
    session: Session, city: City, shapes: NDArray[np.object_]
) -> NDArray[np.object_]:
    """Return the city's streets, degrees, where shapes lie or may lie on another datum."""
    box = shapely.total_bounds(shapes)
    if not np.isfinite(box).all():
        return np.empty(0, dtype=object)
    west, south, east, north = (float(value) for value in box)
    window = func.ST_MakeEnvelope(
        west - AROUND_DEG, south - AROUND_DEG, east + AROUND_DEG, north + AROUND_DEG, SRID
    )
    rows = session.scalars(
        select(func.ST_AsBinary(Street.geom))
        .where(Street.city_id == city.city_id, func.ST_Intersects(Street.geom, window))
        .order_by(Street.street_id)
    )
    return np.asarray(shapely.from_wkb([bytes(row) for row in rows]), dtype=object)


@dataclass(frozen=True)
class Located:
    """Where shapes lie.

    Attributes
    ----------
    cell : array of int
        Cell of each; -1 where there is none within reach.
    moved_m : array of float
        How far each lay outside all cells; 0 inside.
    shapes : array of geometry
        Points within reach are moved to the edge of their cell.
    """

    cell: NDArray[np.int64]
    moved_m: NDArray[np.float64]
    shapes: NDArray[np.object_]


def locate(session: Session, city: City, shapes: NDArray[np.object_]) -> Located:
    """Return in which cell each shape in metres stands: where a point inside it lies.

    Points up to `REACH_M` outside stand in the nearest cell.
    """
    turned = loading.lonlat(city.metre_srid)(shapely.point_on_surface(shapes))
    cell = np.full(len(shapes), -1, dtype=np.int64)
    moved = np.zeros(len(shapes))
    kept = np.asarray(shapes, dtype=object).copy()
    for number, found in _asked(session, _CELL, city, turned, np.arange(len(shapes))):
        cell[number] = found[0]
    outside = np.flatnonzero(cell < 0)
    for number, (found, at, far) in _asked(session, _NEAREST, city, turned, outside):
        moved[number] = far
        if far <= REACH_M and kept[number].geom_type == "Point":
            cell[number] = found
            kept[number] = in_metres([bytes(at)], city.metre_srid)[0]
    return Located(cell, moved, kept)


def _asked(
    session: Session, statement: Any, city: City, points: NDArray[np.object_], which: Any
) -> Any:
    for start in range(0, len(which), ROWS_ASKED):
        chosen = which[start : start + ROWS_ASKED]
        binary = [bytes(one) for one in shapely.to_wkb(points[chosen])]
        asked = {"city": city.city_id, "shapes": binary}
        for row in session.execute(statement, asked):
            yield int(chosen[row[0] - 1]), tuple(row[1:])
