"""The city's addresses and the desk that matches texts with them: candidates, decisions, lists.

Imports and the demo write addresses as the owner; at the desk, an administrator or planner keeps
what a text means as an alias. Staff of the city read; strangers do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, and_, delete, func, insert, select, text
from sqlalchemy.orm import Session

from geo import addresses
from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError
from geo.store import audit, loading, office, rights
from geo.store.grids import cells_within, grids_at, of_net
from geo.store.nets import Moment
from geo.store.paging import Key, Order, Page
from geo.store.shapes import contains_text
from geo.tables import SRID, Address, Building, City, NetCell, NetGrid
from geo.terms import Role

MOST_TEXTS: Final = 500
"""Most texts that are matched at once."""
AREA_LEVELS: Final = 2
"""Levels whose names a text may begin with."""

_NEAR: Final = text("SELECT * FROM addresses_near(CAST(:keys AS text[]))")


@dataclass(frozen=True)
class AddressFilter:
    """What a list of addresses is narrowed by; None does not narrow.

    Parameters
    ----------
    q : str
        Part of the text.
    grid : int
        A grid with all below it.
    alias : bool
        Those that somebody decided, or those that were delivered.
    """

    q: str | None = None
    grid: int | None = None
    alias: bool | None = None


def _demand_staff(viewer: Viewer) -> int:
    if viewer.city_id is None or viewer.role is Role.PUBLIC:
        raise ForbiddenError("Addresses are for staff of the city.")
    return viewer.city_id


def area_names(session: Session, city: int) -> tuple[str, ...]:
    """Return what texts may begin with: names of the city and of its upper areas, ever valid."""
    name = session.scalar(select(City.name).where(City.city_id == city)) or ""
    rows = session.scalars(
        select(NetGrid.name)
        .where(NetGrid.city_id == city, NetGrid.level <= AREA_LEVELS)
        .distinct()
        .order_by(NetGrid.name)
    )
    return tuple(filter(None, (name, *rows)))


# ---- the desk ------------------------------------------------------------------------------------


def match(
    session: Session, viewer: Viewer, at: Moment, texts: Sequence[str]
) -> list[dict[str, Any]]:
    """Return what texts mean: state, what of them may be kept, candidates with place and score.

    Raises
    ------
    ForbiddenError
        If the viewer is no staff of the city.
    InvalidInputError
        If there are too many texts.
    """
    city = _demand_staff(viewer)
    if len(texts) > MOST_TEXTS:
        raise InvalidInputError(
            f"At most {MOST_TEXTS} lines at once.", field="lines", reason="too_many"
        )
    within = area_names(session, city)
    read = [addresses.read(one, within=within) for one in texts]
    near = _near(session, [one.key if one.known else "" for one in read])
    matches = [near.get(place, _NOBODY).find(one) for place, one in enumerate(read)]
    wanted = {one.label for match_ in matches for one in match_.candidates}
    told = _told(session, at, Address.address_id.in_(sorted(wanted))) if wanted else {}
    return [
        {
            "text": found.address.text,
            "cut": found.address.cut,
            "state": found.state,
            "candidates": [
                {**told[one.label], "score": one.score}
                for one in found.candidates
                if one.label in told
            ],
        }
        for found in matches
    ]


_NOBODY: Final = addresses.Gazetteer({})


def _near(session: Session, keys: Sequence[str]) -> dict[int, addresses.Gazetteer]:
    """Return the known addresses that are like each key, by its place among the keys."""
    found: dict[int, list[Any]] = {}
    for row in session.execute(_NEAR, {"keys": list(keys)}):
        found.setdefault(row.asked - 1, []).append(row)
    return {place: _gazetteer(rows) for place, rows in found.items()}


def _gazetteer(rows: Sequence[Any]) -> addresses.Gazetteer:
    """Return rows as what texts are compared with; a place is a building, else the address."""
    return addresses.Gazetteer(
        {row.address_id: row.key for row in rows},
        {row.address_id: row.building_id or -row.address_id for row in rows},
        frozenset(row.address_id for row in rows if row.alias),
    )


def known(session: Session, city: int) -> addresses.Gazetteer:
    """Return all addresses of a city: places are building ids, or minus the address's own id."""
    rows = session.execute(
        select(Address.address_id, Address.key, Address.alias, Address.building_id).where(
            Address.city_id == city
        )
    ).all()
    return _gazetteer(rows)


def _told(
    session: Session, at: Moment, condition: ColumnElement[bool]
) -> dict[int, dict[str, Any]]:
    rows = session.execute(_statement(at).where(condition)).mappings()
    return {row["address"]: dict(row) for row in rows}


def _statement(at: Moment) -> Any:
    """Return the statement that selects addresses as they are told, with their leaf grid."""
    return (
        select(
            Address.address_id.label("address"),
            Address.text,
            Address.alias,
            Address.building_id.label("building"),
            Building.name.label("building_name"),
            Building.code.label("building_code"),
            NetCell.grid_id.label("grid"),
            NetGrid.name.label("grid_name"),
            NetGrid.code.label("grid_code"),
            func.ST_X(Address.geom).label("lon"),
            func.ST_Y(Address.geom).label("lat"),
        )
        .outerjoin(
            Building,
            and_(Building.city_id == Address.city_id, Building.building_id == Address.building_id),
        )
        .outerjoin(NetCell, and_(of_net(NetCell, at), NetCell.cell_id == Address.cell_id))
        .outerjoin(NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == NetCell.grid_id))
        .where(Address.city_id == at.city_id)
    )


def decide(
    session: Session,
    viewer: Viewer,
    at: Moment,
    said: str,
    *,
    building: int | None = None,
    address: int | None = None,
    place: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Keep what a text means: a building, the place of another address, or a place on the map.

    A decision replaces the one before. Of the text nothing is kept that names a household.

    Raises
    ------
    ForbiddenError
        If the viewer is neither administrator nor planner.
    InvalidInputError
        If nothing was understood of the text, or not exactly one place is named.
    NotFoundError
        If there is no such building or address.
    OutsideCityError
        If the place lies outside.
    """
    city = rights.demand(viewer, rights.OFFICE)
    read = addresses.read(said, within=area_names(session, city))
    if not read.known:
        raise InvalidInputError(
            "Nothing of this text names a place.", field="text", reason="not_read"
        )
    if sum(one is not None for one in (building, address, place)) != 1:
        raise InvalidInputError(
            "Name one building, one address or one place.", field="building", reason="no_place"
        )
    where = _where(session, at, building, address, place)
    session.execute(
        delete(Address).where(Address.city_id == city, Address.alias, Address.key == read.key)
    )
    number = office.numbers(session, city, Address.address_id)[0]
    values = {"text": read.text, "key": read.key, "alias": True, "author_id": viewer.user_id}
    session.execute(insert(Address).values(city_id=city, address_id=number, **values, **where))
    told = {"text": read.text, "building": where["building_id"]}
    audit.append(session, city, "address.decided", f"address/{number}", told)
    return _told(session, at, Address.address_id == number)[number]


def _where(
    session: Session,
    at: Moment,
    building: int | None,
    address: int | None,
    place: tuple[float, float] | None,
) -> dict[str, Any]:
    if place is not None:
        cell, _ = grids_at(session, at, *place)
        point = func.ST_SetSRID(func.ST_MakePoint(*place), SRID)
        return {"building_id": None, "cell_id": cell, "geom": point}
    if building is not None:
        shape, own = Building.footprint, Building.building_id == building
        row = session.execute(
            select(Building.building_id, Building.cell_id, func.ST_PointOnSurface(shape)).where(
                Building.city_id == at.city_id, own
            )
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no building {building}.", building=building)
    else:
        row = session.execute(
            select(Address.building_id, Address.cell_id, Address.geom).where(
                Address.city_id == at.city_id, Address.address_id == address
            )
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no address {address}.", address=address)
    return {"building_id": row[0], "cell_id": row[1], "geom": row[2]}


def forget(session: Session, viewer: Viewer, address: int) -> None:
    """Take a decision back.

    Raises
    ------
    ForbiddenError
        If the viewer is neither administrator nor planner.
    NotFoundError
        If there is no such alias.
    """
    city = rights.demand(viewer, rights.OFFICE)
    gone = session.scalar(
        delete(Address)
        .where(Address.city_id == city, Address.address_id == address, Address.alias)
        .returning(Address.text)
    )
    if gone is None:
        raise NotFoundError(f"There is no decided address {address}.", address=address)
    audit.append(session, city, "address.forgotten", f"address/{address}", {"text": gone})


def listing(
    session: Session,
    viewer: Viewer,
    at: Moment,
    narrow: AddressFilter,
    *,
    limit: int = 100,
    after: str | None = None,
) -> Page[dict[str, Any]]:
    """Return a page of addresses with building and leaf grid, in the order of their numbers.

    Raises
    ------
    ForbiddenError
        If the viewer is no staff of the city.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    _demand_staff(viewer)
    statement = _statement(at)
    if narrow.q:
        statement = statement.where(contains_text(Address.text, narrow.q))
    if narrow.alias is not None:
        statement = statement.where(Address.alias == narrow.alias)
    if narrow.grid is not None:
        statement = statement.where(Address.cell_id.in_(cells_within(at, narrow.grid)))
    question = {
        "list": "addresses", "city": at.city_id, "seq": at.seq, "q": narrow.q,
        "grid": narrow.grid, "alias": narrow.alias,
    }  # fmt: skip
    order = Order((Key(Address.address_id, int),), question)
    return order.fetch(session, statement, limit=limit, after=after)


def count(session: Session, viewer: Viewer) -> dict[str, int]:
    """Return how many addresses the city has, and how many of them somebody decided."""
    city = _demand_staff(viewer)
    row = session.execute(
        select(func.count(), func.count().filter(Address.alias)).where(Address.city_id == city)
    ).one()
    return {"addresses": row[0], "decided": row[1]}


# ---- for imports, as the owner -------------------------------------------------------------------


def add(
    session: Session, city: int, frame: gpd.GeoDataFrame, within: Sequence[str] | None = None
) -> int:
    """Write addresses that are not known yet; return how many. For the owner.

    Parameters
    ----------
    frame : GeoDataFrame
        Columns `text`, `building_id` (Int64, may be missing), `cell_id`; points in the city's
        metre CRS. Texts are read, so that nothing of a household is kept; those of which nothing
        is understood are left out.
    within : sequence of str, optional
        Names that texts may begin with; default: those of the city and its upper areas.
    """
    names = area_names(session, city) if within is None else tuple(within)
    read = [addresses.read(str(one), within=names) for one in frame["text"]]
    rows = frame.assign(
        text=[one.text for one in read], key=[one.key if one.known else "" for one in read]
    )
    there = {
        (row.key, row.building_id)
        for row in session.execute(
            select(Address.key, Address.building_id).where(Address.city_id == city)
        )
    }
    pairs = [
        (key, None if pd.isna(building) else int(building))
        for key, building in zip(rows["key"], rows["building_id"].astype(object), strict=True)
    ]
    fresh = np.array([bool(key) and (key, one) not in there for key, one in pairs], dtype=bool)
    fresh &= ~rows.assign(one=[str(pair) for pair in pairs]).duplicated("one").to_numpy()
    rows = rows[fresh]
    numbers = office.numbers(session, city, Address.address_id, len(rows))
    rows = rows[["text", "key", "building_id", "cell_id", rows.geometry.name]]
    rows = rows.assign(address_id=list(numbers), alias=False).reset_index(drop=True)
    srid = int(frame.crs.to_epsg())
    loading.copy_frame(session, city, "address", rows, loading.lonlat(srid))
    return len(rows)


def places_of(
    session: Session, city: int, texts: Mapping[Any, str]
) -> tuple[dict[Any, tuple[float, float, int]], dict[Any, addresses.Match]]:
    """Return where texts lie beyond doubt, and what is left to decide. For the owner.

    Returns
    -------
    dict
        Label -> longitude, latitude, cell.
    dict
        Label -> `Match` whose state is `several` or `none`.
    """
    gazetteer, names = known(session, city), area_names(session, city)
    matches = {
        label: gazetteer.find(addresses.read(one, within=names)) for label, one in texts.items()
    }
    sure = {
        label: one.candidates[0].label for label, one in matches.items() if one.state == "matched"
    }
    rows = session.execute(
        select(
            Address.address_id, func.ST_X(Address.geom), func.ST_Y(Address.geom), Address.cell_id
        ).where(Address.city_id == city, Address.address_id.in_(sorted(set(sure.values()))))
    )
    where = {row[0]: (row[1], row[2], row[3]) for row in rows}
    return (
        {label: where[one] for label, one in sure.items()},
        {label: one for label, one in matches.items() if one.state != "matched"},
    )
