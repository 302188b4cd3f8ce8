"""Grids of a net with their figures: sums over cells by their grids, never spatial joins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Double,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session

from geo.errors import GridNotFoundError, OutsideCityError
from geo.store import limits
from geo.store.nets import HOUSEHOLDS, Moment
from geo.store.paging import Key, Order, Page, Statement
from geo.store.shapes import Box, braced, contains_text, geojson, intersects
from geo.tables import Net, NetCell, NetGrid, NetValue, Vintage
from geo.terms import MAX_LEVELS

AREAS: Final = tuple(getattr(NetGrid, f"area_{level}") for level in range(1, MAX_LEVELS + 1))
"""A grid's ancestors by level, the grid itself at its own level."""

SORTS: Final = (
    "code", "name", "area_m2", "households", "buildings", "cells", "posts", "vacant_posts",
    "stations",
)  # fmt: skip
"""What a list of grids can be ordered by."""

FEW = 100
"""Up to so many grids it pays to look only at what lies in them."""
CHILDREN_SHOWN = 200
"""Most children that a card lists."""


@dataclass(frozen=True)
class GridFilter:
    """What a list of grids is narrowed by; None does not narrow.

    Parameters
    ----------
    level : int
        1 is the top below the city.
    leaf : bool
        Only grids that hold cells themselves.
    parent : int
        Any ancestor.
    q : str
        Part of a name, or the beginning of a code.
    kind : str
        `GridKind`.
    bbox : tuple of float
        West, south, east, north in degrees.
    """

    level: int | None = None
    leaf: bool = False
    parent: int | None = None
    q: str | None = None
    kind: str | None = None
    bbox: Box | None = None


@dataclass(frozen=True)
class Figures:
    """Sums over a grid and all grids below it; posts on the day, stations that are open.

    `buildings` and `households` are None where the city has none delivered, of any grid;
    `households` is None too where it is withheld, as few live there or right beside.
    """

    cells: int = 0
    buildings: int | None = None
    households: int | float | None = None
    posts: int = 0
    vacant_posts: int = 0
    stations: int = 0
    households_withheld: bool = False


def of_net(table: Any, at: Moment) -> ColumnElement[bool]:
    """Return the condition of the runs that a net consists of."""
    own_city: ColumnElement[bool] = table.city_id == at.city_id
    return and_(own_city, table.from_seq <= at.seq, table.to_seq > at.seq)


def within(grid: int, *, itself: bool = True) -> ColumnElement[bool]:
    """Return the condition of `NetGrid` rows that lie in `grid`, at any depth."""
    below: ColumnElement[bool] = literal(grid, BigInteger) == any_(array(AREAS))
    return below if itself else and_(below, NetGrid.grid_id != grid)


def cells_within(at: Moment, grid: int) -> Statement:
    """Return the statement that selects the cells of a grid and of all grids below it."""
    return (
        select(NetCell.cell_id)
        .join(
            NetGrid,
            and_(NetGrid.city_id == NetCell.city_id, NetGrid.grid_id == NetCell.grid_id),
        )
        .where(of_net(NetCell, at), of_net(NetGrid, at), within(grid))
    )


def _is_leaf(at: Moment) -> ColumnElement[bool]:
    own = select(NetCell.cell_id).where(of_net(NetCell, at), NetCell.grid_id == NetGrid.grid_id)
    return own.exists()


def narrowed(at: Moment, narrow: GridFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of the grids of a net that a filter leaves."""
    conditions = [of_net(NetGrid, at)]
    if narrow.level is not None:
        conditions.append(NetGrid.level == narrow.level)
    if narrow.leaf:
        conditions.append(_is_leaf(at))
    if narrow.parent is not None:
        conditions.append(within(narrow.parent, itself=False))
    if narrow.kind is not None:
        conditions.append(NetGrid.kind == narrow.kind)
    if narrow.q:
        begins = NetGrid.code.startswith(narrow.q, autoescape=True)
        conditions.append(or_(contains_text(NetGrid.name, narrow.q), begins))
    if narrow.bbox is not None:
        conditions.append(intersects(NetGrid.boundary, narrow.bbox))
    return conditions


def _sorted(statement: Statement, at: Moment, sort: str) -> tuple[Statement, Key]:
    """Return the statement with what its order needs, and the first key of the order."""
    name, down = sort.removeprefix("-"), sort.startswith("-")
    if name == "code":
        return statement, Key(func.coalesce(NetGrid.code, ""), str, down)
    if name == "name":
        return statement, Key(NetGrid.name, str, down)
    if name == "area_m2":
        return statement, Key(NetGrid.area_m2, float, down)
    kind = Double if name == "households" else BigInteger
    asked = _question(at, None)
    counted = (
        _FIGURES.bindparams(*(bindparam(key, value) for key, value in asked.items()))
        .columns(column("grid_id", BigInteger), column(name, kind))
        .subquery("counted")
    )
    joined = statement.outerjoin(counted, counted.c.grid_id == NetGrid.grid_id)
    number = int if kind is BigInteger else float
    return joined, Key(func.coalesce(counted.c[name], 0), number, down)


_SHOWN: Final = ("grid", "code", "name", "level", "kind", "parent", "colour")
_ITEM: Final = (
    NetGrid.grid_id.label("grid"),
    NetGrid.code,
    NetGrid.name,
    NetGrid.level,
    NetGrid.kind,
    NetGrid.parent_id.label("parent"),
    NetGrid.colour,
    NetGrid.area_m2,
    array(AREAS).label("line"),
    func.ST_XMin(NetGrid.boundary).label("west"),
    func.ST_YMin(NetGrid.boundary).label("south"),
    func.ST_XMax(NetGrid.boundary).label("east"),
    func.ST_YMax(NetGrid.boundary).label("north"),
    func.ST_X(NetGrid.label_point).label("lon"),
    func.ST_Y(NetGrid.label_point).label("lat"),
)


def listing(
    session: Session,
    at: Moment,
    narrow: GridFilter,
    *,
    sort: str = "code",
    limit: int = 100,
    after: str | None = None,
    geometry: bool = False,
) -> Page[dict[str, Any]]:
    """Return a page of a net's grids with path and figures, in three statements.

    Parameters
    ----------
    session : Session
    at : Moment
    narrow : GridFilter
    sort : str
        One of `SORTS`, with a minus before it from the greatest down.
    limit : int
    after : str, optional
        Cursor of the page before.
    geometry : bool
        Add the boundary as GeoJSON.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    columns = list(_ITEM)
    if geometry:
        columns.append(geojson(NetGrid.boundary).label("geometry"))
    statement = select(*columns).where(*narrowed(at, narrow))
    statement, key = _sorted(statement, at, sort)
    question = {**asdict(narrow), "sort": sort, "seq": at.seq, "vintage": at.vintage}
    order = Order((key, Key(NetGrid.grid_id, int)), question)
    page = order.fetch(session, statement, limit=limit, after=after)
    return Page(_items(session, at, page.items), page.next)


def _items(session: Session, at: Moment, rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    """Return rows of `_ITEM` as they are shown, with path and figures."""
    counted = figures(session, at, [row["grid"] for row in rows])
    named = names(session, at, {grid for row in rows for grid in row["line"] if grid is not None})
    told = limits.of_grids(session, at, [row["grid"] for row in rows])
    items = []
    for row in rows:
        item = {key: row[key] for key in _SHOWN}
        item["path"] = [named[grid] for grid in row["line"] if grid in named]
        item |= asdict(counted.get(row["grid"], Figures()))
        item["area_m2"] = round(row["area_m2"], 1)
        item["bbox"] = [row["west"], row["south"], row["east"], row["north"]]
        item["label_point"] = [row["lon"], row["lat"]]
        item["limits"] = told.get(row["grid"])
        if "geometry" in row:
            item["geometry"] = json.loads(row["geometry"])
        items.append(item)
    return items


def names(session: Session, at: Moment, grids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return grid, code, name and level of some grids of a net, by their ids."""
    wanted = cast(literal(braced(sorted(grids)), Text), ARRAY(BigInteger))
    rows = session.execute(
        select(NetGrid.grid_id.label("grid"), NetGrid.code, NetGrid.name, NetGrid.level).where(
            of_net(NetGrid, at), NetGrid.grid_id == any_(wanted)
        )
    )
    return {row["grid"]: dict(row) for row in rows.mappings()}


_FIGURES = text(
    """
    WITH named AS MATERIALIZED (
        SELECT g.grid_id,
               ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6] AS line
        FROM net_grid AS g
        WHERE g.city_id = :city AND g.from_seq <= :seq AND g.to_seq > :seq
          AND (CAST(:few AS bigint[]) IS NULL
               OR ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]
                  && CAST(:few AS bigint[]))
    ), part AS (
        SELECT p.grid_id, count(*) AS posts,
               count(*) FILTER (WHERE p.worker_id IS NULL) AS vacant, 0 AS stations
        FROM post AS p JOIN named AS g ON g.grid_id = p.grid_id
        WHERE p.city_id = :city AND p.valid_from <= :day
          AND (p.valid_to IS NULL OR p.valid_to > :day) AND p.stand_in_for IS NULL
        GROUP BY p.grid_id
        UNION ALL
        SELECT c.grid_id, 0, 0, count(*)
        FROM station AS s
        JOIN net_cell AS c ON c.city_id = s.city_id AND c.cell_id = s.cell_id
        JOIN named AS g ON g.grid_id = c.grid_id
        WHERE s.city_id = :city AND s.stage = 'open' AND c.from_seq <= :seq AND c.to_seq > :seq
        GROUP BY c.grid_id
    ), summed AS (
        SELECT a.grid_id, sum(p.posts) AS posts, sum(p.vacant) AS vacant,
               sum(p.stations) AS stations
        FROM part AS p
        JOIN named AS g ON g.grid_id = p.grid_id
        CROSS JOIN LATERAL unnest(g.line) AS a (grid_id)
        WHERE a.grid_id IS NOT NULL
          AND (CAST(:grids AS bigint[]) IS NULL OR a.grid_id = ANY (CAST(:grids AS bigint[])))
        GROUP BY a.grid_id
    )
    SELECT n.grid_id, n.cells,
           CASE WHEN EXISTS (SELECT FROM building AS b WHERE b.city_id = :city)
                THEN n.buildings END AS buildings,
           CASE WHEN EXISTS (SELECT FROM net_value AS k
                             WHERE k.city_id = :city AND k.seq = :seq AND k.vintage = :vintage
                               AND k.measure = 'households')
                 AND NOT (x.grid_id IS NOT NULL AND v.value IS NULL)
                THEN coalesce(v.value, 0.0) END AS households,
           x.grid_id IS NOT NULL AND v.value IS NULL AS households_withheld,
           coalesce(p.posts, 0)::bigint AS posts, coalesce(p.vacant, 0)::bigint AS vacant_posts,
           coalesce(p.stations, 0)::bigint AS stations
    FROM net_count AS n
    LEFT JOIN net_value AS v
      ON v.city_id = n.city_id AND v.seq = n.seq AND v.vintage = :vintage
     AND v.measure = 'households' AND v.grid_id = n.grid_id
     AND (v.told OR NOT CAST(:shared AS boolean))
    LEFT JOIN net_silent AS x
      ON x.city_id = n.city_id AND x.seq = n.seq AND x.vintage = :vintage
     AND x.measure = 'households' AND x.grid_id = n.grid_id
    LEFT JOIN summed AS p ON p.grid_id = n.grid_id
    WHERE n.city_id = :city AND n.seq = :seq
      AND (CAST(:grids AS bigint[]) IS NULL OR n.grid_id = ANY (CAST(:grids AS bigint[])))
    """
)


def _question(at: Moment, grids: Sequence[int] | None, *, shared: bool = False) -> dict[str, Any]:
    """Return the values that `_FIGURES` asks for; None for all grids of the net."""
    return {
        "shared": shared,
        "city": at.city_id,
        "seq": at.seq,
        "vintage": at.vintage,
        "day": at.day,
        "grids": None if grids is None else braced(grids),
        "few": braced(grids) if grids is not None and len(grids) <= FEW else None,
    }


def figures(
    session: Session, at: Moment, grids: Sequence[int] | None = None, *, shared: bool = False
) -> Mapping[int, Figures]:
    """Return the figures of some grids, or of all grids of a net, by their ids.

    A grid's figures are those of the cells below it on this net; posts are those of the grid and
    of all grids below it on the day; stations are those open now. What is `shared` between all
    viewers, as in a cache, withholds what is not told to everybody.
    """
    if grids is not None and not grids:
        return {}
    rows = session.execute(_FIGURES, _question(at, grids, shared=shared))
    return {
        row.grid_id: Figures(
            row.cells,
            row.buildings,
            None if row.households is None else _whole(row.households),
            row.posts,
            row.vacant_posts,
            row.stations,
            row.households_withheld,
        )
        for row in rows
    }


def _whole(value: float) -> int | float:
    """Return a count as an integer when it is one."""
    return int(value) if value == int(value) else value


def columns(
    session: Session, at: Moment, narrow: GridFilter
) -> tuple[list[int], Mapping[int, Figures]]:
    """Return ids of grids of a net in the order of their codes, and figures for all viewers."""
    ids = session.scalars(
        select(NetGrid.grid_id)
        .where(*narrowed(at, narrow))
        .order_by(func.coalesce(NetGrid.code, ""), NetGrid.grid_id)
    ).all()
    return list(ids), figures(session, at, shared=True)


def card(session: Session, at: Moment, grid: int, *, geometry: bool = False) -> dict[str, Any]:
    """Return one grid as in a list, with its children, its names so far and other vintages.

    Raises
    ------
    GridNotFoundError
        If the net has no such grid.
    """
    wanted = list(_ITEM)
    if geometry:
        wanted.append(geojson(NetGrid.boundary).label("geometry"))
    statement = select(*wanted).where(of_net(NetGrid, at), NetGrid.grid_id == grid)
    row = session.execute(statement).mappings().first()
    if row is None:
        raise _no_grid(at, grid)
    item = _items(session, at, [row])[0]
    return {
        **item,
        "names": _names_so_far(session, at, grid),
        "children": _children(session, at, grid),
        "households_by_vintage": _by_vintage(session, at, grid),
    }


def _names_so_far(session: Session, at: Moment, grid: int) -> list[dict[str, Any]]:
    """Return the names of a grid, each with the first net that has it; cancelled nets have none."""
    first = func.min(Net.seq)
    rows = session.execute(
        select(first.label("from_seq"), NetGrid.name, NetGrid.code)
        .join(
            Net,
            and_(
                Net.city_id == NetGrid.city_id,
                NetGrid.from_seq <= Net.seq,
                Net.seq < NetGrid.to_seq,
                Net.seq <= at.seq,
                Net.cancelled_at.is_(None),
            ),
        )
        .where(NetGrid.city_id == at.city_id, NetGrid.grid_id == grid)
        .group_by(NetGrid.from_seq, NetGrid.name, NetGrid.code)
        .order_by(first)
    )
    return [dict(row) for row in rows.mappings()]


def _children(session: Session, at: Moment, grid: int) -> dict[str, Any]:
    rows = session.execute(
        select(
            NetGrid.grid_id.label("grid"),
            NetGrid.code,
            NetGrid.name,
            NetGrid.level,
            NetGrid.kind,
        )
        .where(of_net(NetGrid, at), NetGrid.parent_id == grid)
        .order_by(func.coalesce(NetGrid.code, ""), NetGrid.grid_id)
    )
    found = [dict(row) for row in rows.mappings()]
    shown = found[:CHILDREN_SHOWN]
    counted = figures(session, at, [row["grid"] for row in shown])
    items = [{**row, **asdict(counted.get(row["grid"], Figures()))} for row in shown]
    return {"count": len(found), "items": items}


def _by_vintage(session: Session, at: Moment, grid: int) -> list[dict[str, Any]]:
    rows = session.execute(
        select(
            Vintage.vintage,
            Vintage.name,
            Vintage.seasonal,
            Vintage.estimated,
            NetValue.value.label("households"),
        )
        .join(
            NetValue,
            and_(NetValue.city_id == Vintage.city_id, NetValue.vintage == Vintage.vintage),
        )
        .where(
            Vintage.city_id == at.city_id,
            NetValue.seq == at.seq,
            NetValue.measure == HOUSEHOLDS,
            NetValue.grid_id == grid,
        )
        .order_by(Vintage.taken_on, Vintage.vintage)
    )
    return [dict(row) for row in rows.mappings()]


_CELL_AT = text(
    """
    SELECT c.cell_id, n.grid_id
    FROM cell AS c
    JOIN net_cell AS n ON n.city_id = c.city_id AND n.cell_id = c.cell_id
    WHERE c.city_id = :city AND c.retired_by_cut IS NULL
      AND ST_Intersects(c.geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))
      AND n.from_seq <= :seq AND n.to_seq > :seq
    ORDER BY c.cell_id LIMIT 1
    """
)


def grids_at(session: Session, at: Moment, lon: float, lat: float) -> tuple[int, list[int]]:
    """Return the cell at a place and the grids that hold it, from the leaf to the top.

    A place on a border belongs to the cell of the smaller number.

    Raises
    ------
    OutsideCityError
        If no cell of the net lies there.
    """
    row = session.execute(
        _CELL_AT, {"city": at.city_id, "seq": at.seq, "lon": lon, "lat": lat}
    ).first()
    if row is None:
        raise OutsideCityError(
            f"({lon}, {lat}) lies outside the grids of '{at.slug}'.", city=at.slug, lon=lon, lat=lat
        )
    return row.cell_id, ancestors(session, at, row.grid_id)[::-1]


def ancestors(session: Session, at: Moment, grid: int) -> list[int]:
    """Return the ids of a grid's ancestors from the top, the grid itself last.

    Raises
    ------
    GridNotFoundError
        If the net has no such grid.
    """
    line = session.scalar(select(array(AREAS)).where(of_net(NetGrid, at), NetGrid.grid_id == grid))
    if line is None:
        raise _no_grid(at, grid)
    return [one for one in line if one is not None]


def _no_grid(at: Moment, grid: int) -> GridNotFoundError:
    return GridNotFoundError(
        f"Net {at.seq} of '{at.slug}' has no grid {grid}.", city=at.slug, seq=at.seq, grid=grid
    )
