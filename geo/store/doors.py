"""The card at a door: who is responsible for a place, what is announced, the nearest station."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from geo.errors import GridNotFoundError
from geo.store import grids, nets, notices, people, places
from geo.store.nets import Moment
from geo.store.reading import worded
from geo.tables import City, GridCode

STATIONS = 3


def find(session: Session, code: str, slug: str | None = None) -> tuple[int, int]:
    """Return city and grid that a code was ever given to; cities of one's own before a demo.

    Raises
    ------
    GridNotFoundError
        If no city gave it, or not the one that is named.
    """
    statement = (
        select(GridCode.city_id, GridCode.grid_id)
        .join(City, City.city_id == GridCode.city_id)
        .where(GridCode.city_id.in_(select(City.city_id)), GridCode.code == code)
        .order_by(City.demo, GridCode.city_id)
        .limit(1)
    )
    if slug:
        statement = statement.where(City.slug == slug)
    found = session.execute(statement).first()
    if found is None:
        raise GridNotFoundError(f"No grid has the code '{code}'.", code=code)
    return found.city_id, found.grid_id


def card(
    session: Session, city_id: int, grid: int, seen: ColumnElement[bool]
) -> tuple[Moment, dict[str, Any]]:
    """Return what stands at the doors of a grid today.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet.
    GridNotFoundError
        If the net of today has no such grid any more.
    """
    at = nets.moment(session, city_id)
    line = grids.ancestors(session, at, grid)[::-1]
    own = grids.card(session, at, grid)
    lon, lat = own["label_point"]
    named = grids.names(session, at, line)
    return at, {
        "grid": grid,
        "name": own["name"],
        "code": own["code"],
        "limits": own["limits"],
        "path": [named[one] for one in reversed(line)],
        "responsible": [
            {**post, "grid_name": named[post["grid"]]["name"]}
            for post in worded(at, people.posts_of(session, at, line, seen))
        ],
        "stations": places.nearest_stations(session, at, lon, lat, limit=STATIONS),
        "notices": notices.of_place(session, at, line),
    }
