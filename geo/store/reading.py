"""Reading: each use case finds the net of the date and asks one room for rows.

Where rows or columns are protected, the condition under which the viewer may see them comes from
the service as `seen` or `told`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from geo.errors import InvalidInputError, NetNotFoundError
from geo.profiles import load_profile
from geo.store import estates, issues, nets, people, places, plans, search, tiles
from geo.store import grids as grid_rows
from geo.store.estates import CompoundFilter
from geo.store.grids import GridFilter
from geo.store.issues import IssueFilter
from geo.store.kept import Kept
from geo.store.nets import Moment
from geo.store.paging import Page
from geo.store.people import PostFilter
from geo.store.places import PlaceFilter
from geo.store.publishing import errata

Rows = Page[dict[str, Any]]
Condition = ColumnElement[bool]

VALUE_COLUMNS = ("households", "buildings", "posts", "vacant", "stations")
STATIONS_OF_A_CARD = 12
STATIONS_OF_A_PLACE = 5


@dataclass(frozen=True)
class Asked:
    """What every question on a city says: the city, the day, the vintage of the measures.

    Parameters
    ----------
    city : int
    day : date, optional
        Default: today in the city's zone.
    vintage : str, optional
        Default: the latest taken until that day that is not seasonal.
    net : int, optional
        Number of a net to tell figures on, whenever it is in force; default: the day's.
    """

    city: int
    day: date | None = None
    vintage: str | None = None
    net: int | None = None

    def moment(self, session: Session) -> Moment:
        """Return the net in force on that day, or the one that is named.

        Raises
        ------
        NetNotFoundError
            If the city has no net yet on that day, or none of this number.
        InvalidInputError
            If the city has no such vintage.
        """
        if self.net is not None:
            return nets.moment_of_net(session, self.city, self.net, self.day, self.vintage)
        return nets.moment(session, self.city, self.day, self.vintage)


@dataclass(frozen=True)
class Turn:
    """Which page of a list is asked for."""

    limit: int = 100
    after: str | None = None


def list_cities(session: Session) -> list[dict[str, Any]]:
    """Return all cities."""
    return [_city(row) for row in nets.cities(session)]


def _city(row: Any) -> dict[str, Any]:
    return {
        "slug": row.slug,
        "name": row.name,
        "name_en": row.name_en,
        "profile": row.profile,
        "demo": row.demo,
        "bbox": None if row.west is None else [row.west, row.south, row.east, row.north],
    }


def show_city(session: Session, asked: Asked) -> tuple[Moment | None, dict[str, Any]]:
    """Return a city with its levels, nets, vintages, measures and kinds of stations.

    The moment is None before the city's first net begins.
    """
    row = nets.cities(session, asked.city)[0]
    try:
        at: Moment | None = asked.moment(session)
    except NetNotFoundError:
        at = None
    card = {
        **_city(row),
        "timezone": row.timezone,
        "metre_srid": row.metre_srid,
        "centre": None
        if row.west is None
        else [(row.west + row.east) / 2, (row.south + row.north) / 2],
        "levels": _mapped(nets.levels(session, asked.city, at.seq if at else None)),
        "nets": _mapped(nets.nets(session, asked.city)),
        "vintages": _mapped(nets.vintages(session, asked.city)),
        "measures": nets.measures(session, asked.city),
        "station_kinds": _mapped(nets.station_kinds(session, asked.city)),
        "layers": nets.layers(session, asked.city),
        "roles": [
            {"code": code, "name": name, "name_en": name_en}
            for code, (name, name_en) in _roles(row.profile).items()
        ],
    }
    card["net"] = next((net for net in card["nets"] if at and net["seq"] == at.seq), None)
    return at, card


@cache
def _roles(profile: str) -> dict[str, tuple[str, str]]:
    """Return the names of a profile's roles of posts, Chinese and English."""
    return {role.code: (role.name.zh, role.name.en) for role in load_profile(profile).roles}


def worded(at: Moment, posts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return posts with the names of their roles; a role that the profile lacks names itself."""
    known = _roles(at.profile)
    worded = []
    for post in posts:
        name, name_en = known.get(post["role"], (post["role"], post["role"]))
        worded.append({**post, "role_name": name, "role_name_en": name_en})
    return worded


def _mapped(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in rows]


def list_nets(session: Session, city: int) -> list[dict[str, Any]]:
    """Return a city's nets, the newest first."""
    return _mapped(nets.nets(session, city))


def list_grids(
    session: Session,
    asked: Asked,
    narrow: GridFilter,
    turn: Turn,
    *,
    sort: str = "code",
    geometry: bool = False,
) -> tuple[Moment, Rows]:
    """Return a page of the grids of a day's net.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list or there is no such vintage.
    """
    at = asked.moment(session)
    page = grid_rows.listing(
        session, at, narrow, sort=sort, limit=turn.limit, after=turn.after, geometry=geometry
    )
    return at, page


def net_values(
    session: Session, asked: Asked, seq: int, level: int | None
) -> tuple[Moment, dict[int, list[float | None]]]:
    """Return the figures of all grids of a level, or of all leaf grids, by the grids' ids.

    Each row is named by `VALUE_COLUMNS`.

    Raises
    ------
    NetNotFoundError
        If there is no such net.
    InvalidInputError
        If there is no such level or vintage.
    """
    at = _net_with_level(session, asked, seq, level)
    narrow = GridFilter(level=level, leaf=level is None)
    ids, counted = grid_rows.columns(session, at, narrow)
    rows = ((grid, counted.get(grid, grid_rows.Figures())) for grid in ids)
    return at, {
        grid: [row.households, row.buildings, row.posts, row.vacant_posts, row.stations]
        for grid, row in rows
    }


def _net_with_level(session: Session, asked: Asked, seq: int, level: int | None) -> Moment:
    at = nets.moment_of_net(session, asked.city, seq, asked.day, asked.vintage)
    known = [row.level for row in nets.levels(session, asked.city, seq)]
    if level is not None and level not in known:
        raise InvalidInputError(f"The city '{at.slug}' has levels {known}.", field="level")
    return at


def net_topology(
    session: Session,
    asked: Asked,
    seq: int,
    level: int | None,
    kept: Kept,
    *,
    overview: bool = False,
) -> tuple[Moment, str, bytes]:
    """Return the net, and key and compressed TopoJSON of a level's borders, or of all leaf grids'.

    Raises
    ------
    NetNotFoundError
        If there is no such net.
    InvalidInputError
        If there is no such level.
    """
    at = _net_with_level(session, asked, seq, level)
    key = tiles.topology_key(at, level, overview=overview)
    made = kept.zipped(key, lambda: tiles.topology(session, at, level, overview=overview))
    return at, key, made


def vector_tile(session: Session, asked: Asked, seq: int, z: int, x: int, y: int) -> bytes:
    """Return a vector tile of the ground and of a net's names.

    Raises
    ------
    NetNotFoundError
        If there is no such net.
    InvalidInputError
        If there is no such tile.
    """
    tile = tiles.Tile(z, x, y)
    at = nets.moment_of_net(session, asked.city, seq, asked.day, asked.vintage)
    return tiles.vector_tile(session, at, tile)


def list_stations(
    session: Session, asked: Asked, narrow: PlaceFilter, turn: Turn
) -> tuple[Moment, Rows]:
    """Return a page of service stations.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    at = asked.moment(session)
    return at, places.stations(session, at, narrow, limit=turn.limit, after=turn.after)


def stations_sheet(session: Session, asked: Asked, lang: str) -> tuple[Moment, bytes]:
    """Return all stations of a city as a workbook that an import understands.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    """
    at = asked.moment(session)
    return at, places.stations_sheet(session, at, lang)


def list_streets(
    session: Session, asked: Asked, narrow: PlaceFilter, turn: Turn, *, geometry: bool = False
) -> tuple[Moment, Rows]:
    """Return a page of edges of the street network.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    at = asked.moment(session)
    page = places.streets(
        session, at, narrow, limit=turn.limit, after=turn.after, geometry=geometry
    )
    return at, page


def list_compounds(
    session: Session, asked: Asked, narrow: CompoundFilter, turn: Turn, *, geometry: bool = False
) -> tuple[Moment, Rows]:
    """Return a page of compounds.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    at = asked.moment(session)
    page = estates.compounds(
        session, at, narrow, limit=turn.limit, after=turn.after, geometry=geometry
    )
    return at, page


def list_organisations(
    session: Session, asked: Asked, narrow: PlaceFilter, turn: Turn
) -> tuple[Moment, Rows]:
    """Return a page of organisations.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    at = asked.moment(session)
    return at, places.organisations(session, at, narrow, limit=turn.limit, after=turn.after)


def search_city(
    session: Session, asked: Asked, wanted: str, *, limit: int
) -> tuple[Moment, list[dict[str, Any]]]:
    """Return what is named like `wanted`, best first.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    """
    at = asked.moment(session)
    return at, search.search(session, at, wanted, limit=limit)


def show_grid(
    session: Session, asked: Asked, grid: int, seen: Condition, *, geometry: bool
) -> tuple[Moment, dict[str, Any]]:
    """Return the card of a grid: figures, posts in it, open stations in it and near it, errata.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    GridNotFoundError
        If that net has no such grid.
    """
    at = asked.moment(session)
    card = grid_rows.card(session, at, grid, geometry=geometry)
    lon, lat = card["label_point"]
    card["post_count"], card["station_count"] = card["posts"], card["stations"]
    card["posts"] = worded(at, people.posts_of(session, at, [grid], seen))
    card["stations"] = places.nearest_stations(
        session, at, lon, lat, grid=grid, limit=STATIONS_OF_A_CARD
    )
    card["errata"] = errata(session, at.city_id, at.seq, grid)
    return at, card


def who_is_responsible(
    session: Session, asked: Asked, lon: float, lat: float, seen: Condition
) -> tuple[Moment, dict[str, Any]]:
    """Return the grids at a place from the leaf to the top, their posts, the nearest stations.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    OutsideCityError
        If no cell of the city lies there.
    """
    at = asked.moment(session)
    cell, line = grid_rows.grids_at(session, at, lon, lat)
    named = grid_rows.names(session, at, line)
    return at, {
        "lon": lon,
        "lat": lat,
        "cell": cell,
        "grid": named[line[0]],
        "path": [named[grid] for grid in reversed(line)],
        "responsible": worded(at, people.posts_of(session, at, line, seen)),
        "nearest_stations": places.nearest_stations(
            session, at, lon, lat, limit=STATIONS_OF_A_PLACE
        ),
    }


def list_buildings(
    session: Session,
    asked: Asked,
    narrow: PlaceFilter,
    turn: Turn,
    told: Condition,
    *,
    geometry: bool = False,
) -> tuple[Moment, Rows]:
    """Return a page of buildings; `told` says of which the households are.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    at = asked.moment(session)
    page = places.buildings(
        session, at, narrow, told, limit=turn.limit, after=turn.after, geometry=geometry
    )
    return at, page


def list_posts(
    session: Session, asked: Asked, narrow: PostFilter, turn: Turn, seen: Condition
) -> tuple[Moment, Rows]:
    """Return a page of the posts on the day.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    at = asked.moment(session)
    page = people.posts(session, at, narrow, seen, limit=turn.limit, after=turn.after)
    return at, Page(worded(at, page.items), page.next)


def list_workers(
    session: Session,
    asked: Asked,
    turn: Turn,
    seen: Condition,
    areas: Sequence[int] | None,
    q: str | None = None,
) -> tuple[Moment, Rows]:
    """Return a page of workers with their posts on the day; of some areas alone if given.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    at = asked.moment(session)
    page = people.workers(session, at, seen, areas, q=q, limit=turn.limit, after=turn.after)
    return at, Page([{**row, "posts": worded(at, row["posts"])} for row in page.items], page.next)


def list_issues(
    session: Session, asked: Asked, narrow: IssueFilter, turn: Turn, seen: Condition
) -> tuple[Moment, Rows]:
    """Return a page of issues, the newest first.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the cursor does not belong to this list.
    """
    at = asked.moment(session)
    return at, issues.listing(session, at, narrow, seen, limit=turn.limit, after=turn.after)


def show_issue(
    session: Session, asked: Asked, issue: int, seen: Condition
) -> tuple[Moment, dict[str, Any]]:
    """Return one issue.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    NotFoundError
        If there is no such issue, or the viewer may not know of it.
    """
    at = asked.moment(session)
    return at, issues.one(session, at, issue, seen)


def list_plans(session: Session, city: int, turn: Turn, seen: Condition) -> Rows:
    """Return a page of the plans of a city.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    return plans.listing(session, city, seen, limit=turn.limit, after=turn.after)
