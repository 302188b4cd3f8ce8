"""What stands on the ground: stations, streets, buildings, compounds, and the bodies attached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, func, null, or_, select, text
from sqlalchemy.orm import Session

from geo import sheets
from geo.store.grids import cells_within, of_net, within
from geo.store.nets import Moment
from geo.store.paging import Key, Order, Page, Statement
from geo.store.shapes import DIGITS, Box, contains_text, geojson, intersects
from geo.tables import (
    Building,
    Compound,
    NetCell,
    NetGrid,
    Organisation,
    Station,
    StationKind,
    Street,
    building_household,
)


@dataclass(frozen=True)
class PlaceFilter:
    """What a list of places is narrowed by; None does not narrow.

    Parameters
    ----------
    bbox : tuple of float
        West, south, east, north in degrees; shapes that meet it.
    q : str
        Part of a name; of buildings also the beginning of a code.
    grid : int
        A grid with all below it, by the cells that the places stand on.
    kind : str
        Kind of station, street or organisation.
    stage : str
        Life stage of a station.
    """

    bbox: Box | None = None
    q: str | None = None
    grid: int | None = None
    kind: str | None = None
    stage: str | None = None


def _lonlat(point: Any) -> tuple[ColumnElement[float], ColumnElement[float]]:
    return func.ST_X(point).label("lon"), func.ST_Y(point).label("lat")


def _extent(shape: Any) -> tuple[ColumnElement[float], ...]:
    return (
        func.ST_XMin(shape).label("west"),
        func.ST_YMin(shape).label("south"),
        func.ST_XMax(shape).label("east"),
        func.ST_YMax(shape).label("north"),
    )


def _boxed(page: Page[dict[str, Any]]) -> Page[dict[str, Any]]:
    """Return the page with the four sides of each row as one box and the geometry read."""
    for row in page.items:
        row["bbox"] = [row.pop(side) for side in ("west", "south", "east", "north")]
        if "geometry" in row:
            row["geometry"] = json.loads(row["geometry"])
    return page


def stations(
    session: Session, at: Moment, narrow: PlaceFilter, *, limit: int = 100, after: str | None = None
) -> Page[dict[str, Any]]:
    """Return a page of stations with the leaf grid that each stands in on this net.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    statement: Statement = (
        select(
            Station.station_id.label("station"),
            Station.kind,
            Station.name,
            Station.address,
            Station.opening_hours.label("open_hours"),
            Station.floor_area_m2,
            Station.capacity,
            Station.stage,
            NetCell.grid_id.label("grid"),
            Station.organisation_id.label("organisation"),
            *_lonlat(Station.geom),
        )
        .outerjoin(NetCell, _owner(at, Station.cell_id))
        .where(Station.city_id == at.city_id)
    )
    if narrow.bbox is not None:
        statement = statement.where(intersects(Station.geom, narrow.bbox))
    if narrow.kind is not None:
        statement = statement.where(Station.kind == narrow.kind)
    if narrow.stage is not None:
        statement = statement.where(Station.stage == narrow.stage)
    if narrow.q:
        named = contains_text(Station.name, narrow.q)
        statement = statement.where(or_(named, contains_text(Station.address, narrow.q)))
    if narrow.grid is not None:
        statement = statement.where(Station.cell_id.in_(cells_within(at, narrow.grid)))
    order = Order((Key(Station.station_id, int),), _question("stations", at, narrow))
    return order.fetch(session, statement, limit=limit, after=after)


STATION_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "name": ("名称", "name"),
    "kind": ("类型", "kind"),
    "address": ("地址", "address"),
    "opening_hours": ("开放时间", "opening_hours"),
    "floor_area_m2": ("建筑面积", "floor_area_m2"),
    "capacity": ("容量", "capacity"),
    "stage": ("状态", "stage"),
    "lon": ("经度", "lon"),
    "lat": ("纬度", "lat"),
}
"""Columns of the workbook of stations, as an import understands them: Chinese, English."""
STAGES: Final[Mapping[str, tuple[str, str]]] = {
    "planned": ("规划", "planned"),
    "building": ("在建", "building"),
    "open": ("开放", "open"),
    "closed": ("关闭", "closed"),
}


def stations_sheet(session: Session, at: Moment, lang: str) -> bytes:
    """Return all stations of a city as a workbook that comes in again as it went out."""
    column = 0 if lang == "zh" else 1
    rows = session.execute(
        select(Station, StationKind.name, StationKind.name_en, *_lonlat(Station.geom))
        .join(
            StationKind,
            and_(StationKind.city_id == Station.city_id, StationKind.kind == Station.kind),
        )
        .where(Station.city_id == at.city_id)
        .order_by(Station.station_id)
    )
    told = [
        (
            one.name, (name, name_en)[column], one.address, one.opening_hours,
            one.floor_area_m2, one.capacity, STAGES[one.stage][column],
            round(lon, DIGITS), round(lat, DIGITS),
        )
        for one, name, name_en, lon, lat in rows
    ]  # fmt: skip
    header = [names[column] for names in STATION_COLUMNS.values()]
    return sheets.write([sheets.Sheet(("服务站", "Stations")[column], header, told)])


def _owner(at: Moment, cell: Any) -> ColumnElement[bool]:
    """Return the condition that joins a located row to the run of its cell."""
    return and_(of_net(NetCell, at), NetCell.cell_id == cell)


def _question(name: str, at: Moment, narrow: PlaceFilter) -> dict[str, Any]:
    return {"list": name, "city": at.city_id, "seq": at.seq, **asdict(narrow)}


_NEAREST = text(
    """
    SELECT s.station_id AS station, s.kind, s.name, s.address, s.opening_hours AS open_hours,
           s.stage, c.grid_id AS grid, ST_X(s.geom) AS lon, ST_Y(s.geom) AS lat,
           CAST(:grid AS bigint) IS NOT NULL AND s.cell_id IN (
               SELECT n.cell_id
               FROM net_cell AS n JOIN net_grid AS g
                 ON g.city_id = n.city_id AND g.grid_id = n.grid_id
               WHERE n.city_id = :city AND n.from_seq <= :seq AND n.to_seq > :seq
                 AND g.from_seq <= :seq AND g.to_seq > :seq
                 AND :grid IN (g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6)
           ) AS inside,
           round(ST_Distance(s.geom::geography,
                             ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography)::numeric
           )::float8 AS distance_m
    FROM station AS s
    LEFT JOIN net_cell AS c ON c.city_id = s.city_id AND c.cell_id = s.cell_id
      AND c.from_seq <= :seq AND c.to_seq > :seq
    WHERE s.city_id = :city AND s.stage = 'open'
    ORDER BY inside DESC, distance_m, s.station_id
    LIMIT :limit
    """
)


def nearest_stations(
    session: Session,
    at: Moment,
    lon: float,
    lat: float,
    *,
    grid: int | None = None,
    limit: int = 5,
) -> list[dict[str, Any]]:
    """Return the open stations nearest to a place, with the distance in metres on the spheroid.

    Parameters
    ----------
    session : Session
    at : Moment
    lon, lat : float
        Degrees.
    grid : int, optional
        Stations inside this grid come first and are marked.
    limit : int
    """
    asked = {
        "city": at.city_id, "seq": at.seq, "lon": lon, "lat": lat, "grid": grid, "limit": limit,
    }  # fmt: skip
    return [dict(row) for row in session.execute(_NEAREST, asked).mappings()]


def streets(
    session: Session,
    at: Moment,
    narrow: PlaceFilter,
    *,
    limit: int = 100,
    after: str | None = None,
    geometry: bool = False,
) -> Page[dict[str, Any]]:
    """Return a page of the edges of the street network.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    columns = [
        Street.street_id.label("street"),
        Street.name,
        Street.kind,
        Street.from_node,
        Street.to_node,
        Street.length_m,
        *_extent(Street.geom),
        *([geojson(Street.geom, areal=False).label("geometry")] if geometry else []),
    ]
    statement: Statement = select(*columns).where(Street.city_id == at.city_id)
    if narrow.bbox is not None:
        statement = statement.where(intersects(Street.geom, narrow.bbox))
    if narrow.kind is not None:
        statement = statement.where(Street.kind == narrow.kind)
    if narrow.q:
        statement = statement.where(contains_text(Street.name, narrow.q))
    order = Order((Key(Street.street_id, int),), _question("streets", at, narrow))
    return _boxed(order.fetch(session, statement, limit=limit, after=after))


def buildings(
    session: Session,
    at: Moment,
    narrow: PlaceFilter,
    counted: ColumnElement[bool],
    *,
    limit: int = 100,
    after: str | None = None,
    geometry: bool = False,
) -> Page[dict[str, Any]]:
    """Return a page of buildings; `counted` decides of which the households are told.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    columns = [
        Building.building_id.label("building"),
        Building.code,
        Building.name,
        Building.use,
        Building.floors,
        Building.entrances,
        case((counted, building_household.c.households), else_=null()).label("households"),
        NetCell.grid_id.label("grid"),
        *_lonlat(func.ST_PointOnSurface(Building.footprint)),
        *_extent(Building.footprint),
        *([geojson(Building.footprint).label("geometry")] if geometry else []),
    ]
    statement: Statement = (
        select(*columns)
        .outerjoin(NetCell, _owner(at, Building.cell_id))
        .outerjoin(NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == NetCell.grid_id))
        .outerjoin(
            building_household,
            and_(
                building_household.c.city_id == Building.city_id,
                building_household.c.building_id == Building.building_id,
            ),
        )
        .where(Building.city_id == at.city_id)
    )
    if narrow.bbox is not None:
        statement = statement.where(intersects(Building.footprint, narrow.bbox))
    if narrow.q:
        begins = Building.code.startswith(narrow.q, autoescape=True)
        statement = statement.where(or_(begins, contains_text(Building.name, narrow.q)))
    if narrow.grid is not None:
        statement = statement.where(Building.cell_id.in_(cells_within(at, narrow.grid)))
    order = Order((Key(Building.building_id, int),), _question("buildings", at, narrow))
    return _boxed(order.fetch(session, statement, limit=limit, after=after))


def organisations(
    session: Session, at: Moment, narrow: PlaceFilter, *, limit: int = 100, after: str | None = None
) -> Page[dict[str, Any]]:
    """Return a page of organisations; of a grid those at home in it or in a grid below it.

    A body at a building or a station is in the grid of its cell, one at a compound in the grid in
    which the compound's middle lies.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    statement: Statement = select(
        Organisation.organisation_id.label("organisation"),
        Organisation.name,
        Organisation.kind,
        Organisation.parent_id.label("parent"),
        Organisation.grid_id.label("grid"),
        Organisation.compound_id.label("compound"),
        Organisation.building_id.label("building"),
        Organisation.station_id.label("station"),
    ).where(Organisation.city_id == at.city_id)
    if narrow.kind is not None:
        statement = statement.where(Organisation.kind == narrow.kind)
    if narrow.q:
        statement = statement.where(contains_text(Organisation.name, narrow.q))
    if narrow.grid is not None:
        statement = statement.where(_at_home_in(narrow.grid, at))
    order = Order((Key(Organisation.organisation_id, int),), _question("bodies", at, narrow))
    return order.fetch(session, statement, limit=limit, after=after)


def _at_home_in(grid: int, at: Moment) -> ColumnElement[bool]:
    """Return the condition of bodies whose place lies in a grid or below it."""
    below = select(NetGrid.grid_id).where(of_net(NetGrid, at), within(grid))
    cells = cells_within(at, grid)
    buildings = select(Building.building_id).where(
        Building.city_id == at.city_id, Building.cell_id.in_(cells)
    )
    stations_there = select(Station.station_id).where(
        Station.city_id == at.city_id, Station.cell_id.in_(cells)
    )
    estates = (
        select(Compound.compound_id)
        .join(NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == grid))
        .where(
            Compound.city_id == at.city_id,
            func.ST_Intersects(NetGrid.boundary, func.ST_PointOnSurface(Compound.geom)),
        )
    )
    return or_(
        Organisation.grid_id.in_(below),
        Organisation.building_id.in_(buildings),
        Organisation.station_id.in_(stations_there),
        Organisation.compound_id.in_(estates),
    )
