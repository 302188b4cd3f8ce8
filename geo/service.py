"""Use cases: load, call the geometry, save. The one door to the database for pages, API and jobs.

Every function takes the running transaction's session first. Those that read protected rows take
the viewer as well and narrow their statement by `visible`; row-level security in the database is
the second wall behind it.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import ARRAY, ColumnElement, and_, any_, false, func, literal, or_, select, true
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from geo import crs
from geo.dataset import CityDataset
from geo.db import Viewer
from geo.errors import CityNotFoundError, ConflictError, ForbiddenError, InvalidInputError
from geo.profiles import load_profile
from geo.store import (
    addresses,
    audit,
    cases,
    checking,
    comparing,
    cutting,
    desk,
    doors,
    drafts,
    estates,
    firms,
    founding,
    importing,
    kinds,
    loading,
    locating,
    notices,
    office,
    photos,
    points,
    prepared,
    publishing,
    rating_rules,
    reading,
    rights,
    roster,
    shops,
    supervised,
    teams,
)
from geo.store import requests as request_squares
from geo.store.cases import rulebook
from geo.store.four_maps import (
    coverage,
    coverage_squares,
    figures_stamp,
    grid_sizes,
    patrol_areas,
    station_density,
)
from geo.store.grids import SORTS as GRID_SORTS
from geo.store.grids import GridFilter
from geo.store.issues import IssueFilter
from geo.store.kept import Kept
from geo.store.nets import Moment
from geo.store.people import PostFilter
from geo.store.places import PlaceFilter
from geo.store.reading import (
    VALUE_COLUMNS,
    Asked,
    Rows,
    Turn,
    list_cities,
    list_compounds,
    list_grids,
    list_nets,
    list_organisations,
    list_stations,
    list_streets,
    net_topology,
    net_values,
    search_city,
    show_city,
    stations_sheet,
    vector_tile,
)
from geo.store.requests import RequestFilter, Requests
from geo.store.signing import (
    DEMO_PASSWORD,
    account_of_session,
    admit_sign_in,
    close_session,
    create_account,
    create_demo_accounts,
    disable_account,
    enable_account,
    grids_named,
    list_accounts,
    open_session,
    refuse_sign_in,
    set_password,
)
from geo.store.together import bulletins, campaigns, devices, links, lists, meetings, projects
from geo.store.together.places import body_named
from geo.store.together.rows import Made
from geo.tables import Audit, City, Issue, IssueSquare, Net, NetGrid, Plan, UserAccount, Worker
from geo.terms import Role

__all__ = [
    "DEMO_PASSWORD",
    "GRID_SORTS",
    "VALUE_COLUMNS",
    "Asked",
    "GridFilter",
    "IssueFilter",
    "Kept",
    "Made",
    "Moment",
    "PlaceFilter",
    "PostFilter",
    "RequestFilter",
    "Requests",
    "Turn",
    "account_of_session",
    "addresses",
    "admit_sign_in",
    "body_named",
    "bulletins",
    "campaigns",
    "cases",
    "close_session",
    "comparing",
    "coverage",
    "coverage_squares",
    "create_account",
    "create_demo_accounts",
    "cutting",
    "desk",
    "devices",
    "disable_account",
    "doors",
    "drafts",
    "enable_account",
    "estates",
    "figures_stamp",
    "firms",
    "founding",
    "grid_sizes",
    "grids_named",
    "importing",
    "kinds",
    "links",
    "list_accounts",
    "list_cities",
    "list_compounds",
    "list_grids",
    "list_nets",
    "list_organisations",
    "list_stations",
    "list_streets",
    "lists",
    "locating",
    "meetings",
    "net_topology",
    "net_values",
    "notices",
    "office",
    "open_session",
    "patrol_areas",
    "photos",
    "points",
    "prepared",
    "projects",
    "publishing",
    "rating_rules",
    "refuse_sign_in",
    "roster",
    "rulebook",
    "search_city",
    "set_password",
    "shops",
    "show_city",
    "station_density",
    "stations_sheet",
    "supervised",
    "teams",
    "vector_tile",
]
"""Reading that is open to everybody, and the rooms of the office, which demand their rights
themselves; protected reading stands below."""

IMPORTED = "city.import"
"""Action of the log's row that names the delivery a city was read from."""


def visible(table: type[Any], viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition under which `viewer` may see a row of `table`.

    This is the one place that decides; a table that is not named here is open to everybody.
    """
    if table not in (Issue, IssueSquare, Worker, Plan, UserAccount, Audit):
        return true()
    if viewer.city_id is None:
        return false()
    own_city: ColumnElement[bool] = table.city_id == viewer.city_id
    areas = literal(list(viewer.areas), ARRAY(BigInteger))
    if table is Plan:
        return and_(own_city, any_(Plan.members) == viewer.user_id) if viewer.user_id else false()
    if table is Audit:
        return own_city if viewer.role is Role.ADMINISTRATOR else false()
    if table is UserAccount:
        if viewer.role is Role.ADMINISTRATOR:
            return own_city
        own_row = UserAccount.user_id == viewer.user_id
        return and_(own_city, or_(own_row, _phones(viewer, areas)))
    if viewer.city_wide:
        return own_city
    if table is IssueSquare:
        return false()
    if table is Worker:
        return and_(own_city, or_(Worker.name_consent, Worker.areas.op("&&")(areas)))
    return rights.issues_seen(viewer)


def _phones(viewer: Viewer, areas: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition of accounts of workers whose phones a community signs in."""
    if viewer.role is not Role.COMMUNITY:
        return false()
    near = select(Worker.worker_id).where(
        Worker.city_id == viewer.city_id, Worker.areas.op("&&")(areas)
    )
    return and_(UserAccount.role == Role.WORKER.value, UserAccount.worker_id.in_(near))


def seen_accounts(viewer: Viewer) -> ColumnElement[bool]:
    """Return which accounts the viewer may see."""
    return visible(UserAccount, viewer)


def seen_workers(viewer: Viewer) -> ColumnElement[bool]:
    """Return which workers' names the viewer may see."""
    return visible(Worker, viewer)


def _in_areas(table: type[Any], viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition of rows whose ancestors are among the areas of the viewer."""
    if not viewer.areas:
        return false()
    columns = (getattr(table, f"area_{level}") for level in range(1, 7))
    return or_(*(column.in_(viewer.areas) for column in columns))


# ---- whole cities -------------------------------------------------------------------------------


def load_dataset(
    session: Session,
    dataset: CityDataset,
    *,
    demo: bool = False,
    fill: bool = False,
    progress: loading.Progress = lambda step, share: None,
) -> int:
    """Write a whole city with its first net; return its id. For the owner.

    With `fill`, a city of this short name that has no ground yet is filled.

    Raises
    ------
    ConflictError
        If a city of this short name exists.
    DatasetError
        If the dataset has defects; all are listed.
    """
    city_id = loading.load(session, dataset, demo=demo, fill=fill, progress=progress)
    audit.append(
        session,
        city_id=city_id,
        action="city.load",
        subject=f"city/{dataset.slug}",
        payload=loading.counts(session, city_id),
    )
    return city_id


def import_city(
    session: Session,
    dataset: CityDataset,
    *,
    digest: str,
    progress: loading.Progress = lambda step, share: None,
) -> bool:
    """Write a city that was read from files, unless this very delivery is there already.

    A city that was begun in the guide and has no ground yet is filled.

    Two imports of one city wait for each other. For the owner.

    Parameters
    ----------
    digest : str
        Hash over the whole dataset: it tells one delivery from another, and stands in the log.

    Returns
    -------
    bool
        Whether the city was written; False when nothing had to be changed.

    Raises
    ------
    ConflictError
        If a city of this short name exists from another source or another delivery.
    DatasetError
        If the dataset has defects; all are listed.
    """
    loading.lock(session, dataset.slug)
    if _exists(session, dataset.slug):
        city_id = city_id_of(session, dataset.slug)
        if (audit.latest(session, city_id, IMPORTED) or {}).get("digest") == digest:
            return False
        if not loading.is_empty(session, city_id):
            raise ConflictError(
                f"A city '{dataset.slug}' exists with other contents. Give the recipe another "
                f"slug, or delete the city first: wangge city drop {dataset.slug}",
                slug=dataset.slug,
            )
    city_id = load_dataset(session, dataset, fill=True, progress=progress)
    audit.append(session, city_id, IMPORTED, f"city/{dataset.slug}", {"digest": digest})
    return True


def create_city(
    session: Session,
    slug: str,
    *,
    name: str,
    profile: str,
    county_code: str,
    lon: float,
    lat: float,
    name_en: str | None = None,
    timezone: str | None = None,
    metre_srid: int | None = None,
) -> int:
    """Create an empty city with the levels of its profile; return its id. For the owner.

    Parameters
    ----------
    lon, lat : float
        Middle of the city, degrees: the metre CRS is proposed from it.
    metre_srid : int, optional
        EPSG number of a projected CRS in metres, when the proposed one is not wanted.

    Raises
    ------
    ConflictError
        If the short name is taken.
    InvalidInputError
        If a value cannot be used; `field` names it.
    NotFoundError
        If there is no such profile.
    TopologyError
        If no metre CRS fits the place, or the one named is not in metres.
    """
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,62}", slug):
        message = (
            f"'{slug}' is no short name: use a-z, 0-9 and -, beginning with a letter or digit."
        )
        raise InvalidInputError(message, field="slug")
    if _exists(session, slug):
        raise ConflictError(f"A city '{slug}' exists already; choose another name.", slug=slug)
    country = load_profile(profile)
    zone = timezone or country.timezone
    if zone not in available_timezones():
        raise InvalidInputError(
            f"'{zone}' is no time zone, such as Asia/Shanghai.", field="timezone"
        )
    srid = metre_srid or crs.metre_srid(lon, lat, country.metre_family)
    crs.require_metres(srid)
    city_id = loading.insert_city(
        session,
        country,
        slug=slug,
        name=name,
        name_en=name_en or name,
        timezone=zone,
        metre_srid=srid,
        county_code=county_code,
        middle=(lon, lat),
    )
    audit.append(session, city_id, "city.create", f"city/{slug}", {"metre_srid": srid})
    return city_id


def _exists(session: Session, slug: str) -> bool:
    return session.scalar(select(City.city_id).where(City.slug == slug)) is not None


def drop_city(session: Session, slug: str) -> None:
    """Delete a city with everything in it; its log stays. For the owner.

    Raises
    ------
    CityNotFoundError
        If there is no such city.
    """
    city_id = _city(session, slug).city_id
    audit.append(session, city_id=city_id, action="city.drop", subject=f"city/{slug}", payload={})
    loading.drop(session, slug)


def check_city(session: Session, slug: str, *, day: date | None = None) -> dict[str, Any]:
    """Recompute a city from its geometry; return the validator's report. For the owner.

    Parameters
    ----------
    day : date, optional
        Day whose live net counts; default: today in the city's zone.

    Raises
    ------
    CityNotFoundError
        If there is no such city.
    """
    city = _city(session, slug)
    day = day or datetime.now(ZoneInfo(city.timezone)).date()
    live = session.scalar(
        select(func.max(Net.seq)).where(
            Net.city_id == city.city_id, Net.cancelled_at.is_(None), Net.effective_from <= day
        )
    )
    return checking.check(session, city, live)


def _city(session: Session, slug: str) -> City:
    city = session.scalar(select(City).where(City.slug == slug))
    if city is None:
        raise CityNotFoundError(f"There is no city '{slug}'.", city=slug)
    return city


# ---- the city of an address, signs of life, the log ----------------------------------------------


def city_id_of(session: Session, slug: str) -> int:
    """Return the id of the city with this short name.

    Raises
    ------
    CityNotFoundError
        If there is none.
    """
    found = session.scalar(select(City.city_id).where(City.slug == slug))
    if found is None:
        raise CityNotFoundError(f"There is no city '{slug}'.", city=slug)
    return found


def ping(session: Session) -> None:
    """Ask the database for a sign of life."""
    session.execute(select(1))


def audit_rows(
    session: Session, viewer: Viewer, *, before: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Return the newest rows of the city's log, those below number `before`; for administrators.

    Raises
    ------
    ForbiddenError
        If the viewer does not administer a city.
    """
    if viewer.role is not Role.ADMINISTRATOR or viewer.city_id is None:
        raise ForbiddenError("The log is for administrators of the city.")
    found = audit.rows(session, visible(Audit, viewer), viewer.city_id, before, limit)
    return [dict(row._mapping) for row in found]


# ---- protected reading; what the functions raise is said in geo.store.reading --------------------


def show_grid(
    session: Session, viewer: Viewer, asked: Asked, grid: int, *, geometry: bool = False
) -> tuple[Moment, dict[str, Any]]:
    """Return the card of a grid, with the names of workers that the viewer may see."""
    return reading.show_grid(session, asked, grid, visible(Worker, viewer), geometry=geometry)


def show_door(
    session: Session, viewer: Viewer, city_id: int, grid: int
) -> tuple[Moment, dict[str, Any]]:
    """Return the card at the doors of a grid; names that the viewer may see."""
    return doors.card(session, city_id, grid, visible(Worker, viewer))


def who_is_responsible(
    session: Session, viewer: Viewer, asked: Asked, lon: float, lat: float
) -> tuple[Moment, dict[str, Any]]:
    """Return grids, posts and nearest stations of a place in degrees."""
    return reading.who_is_responsible(session, asked, lon, lat, visible(Worker, viewer))


def list_buildings(
    session: Session,
    viewer: Viewer,
    asked: Asked,
    narrow: PlaceFilter,
    turn: Turn,
    *,
    geometry: bool = False,
) -> tuple[Moment, Rows]:
    """Return a page of buildings; households are told to staff, of their own areas."""
    told = true() if viewer.city_wide else _in_areas(NetGrid, viewer)
    return reading.list_buildings(session, asked, narrow, turn, told, geometry=geometry)


def list_posts(
    session: Session, viewer: Viewer, asked: Asked, narrow: PostFilter, turn: Turn
) -> tuple[Moment, Rows]:
    """Return a page of the posts on the day, with the names that the viewer may see."""
    return reading.list_posts(session, asked, narrow, turn, visible(Worker, viewer))


def list_workers(
    session: Session, viewer: Viewer, asked: Asked, turn: Turn, q: str | None = None
) -> tuple[Moment, Rows]:
    """Return a page of the workers of the viewer's areas; the reading is a row of the log."""
    areas = None if viewer.city_wide else viewer.areas
    at, page = reading.list_workers(session, asked, turn, visible(Worker, viewer), areas, q)
    what = {"rows": len(page.items), "by": "list"}
    audit.append(session, at.city_id, "workers.read", "workers", what)
    return at, page


def list_issues(
    session: Session, viewer: Viewer, asked: Asked, narrow: IssueFilter, turn: Turn
) -> tuple[Moment, Rows]:
    """Return a page of the issues that the viewer may see, the newest first."""
    return reading.list_issues(session, asked, narrow, turn, visible(Issue, viewer))


def map_requests(
    session: Session, viewer: Viewer, asked: Asked, narrow: RequestFilter
) -> tuple[Moment, Requests]:
    """Return requests on fixed squares by month, for roles that read the whole city.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If there is no such side, main category or vintage, or the period cannot be shown.
    """
    at = asked.moment(session)
    return at, request_squares.requests(session, at, narrow, visible(IssueSquare, viewer))


def show_issue(
    session: Session, viewer: Viewer, asked: Asked, issue: int
) -> tuple[Moment, dict[str, Any]]:
    """Return one issue that the viewer may see."""
    return reading.show_issue(session, asked, issue, visible(Issue, viewer))


def list_plans(session: Session, viewer: Viewer, city_id: int, turn: Turn) -> Rows:
    """Return a page of the plans that the viewer is a member of, the newest first."""
    return reading.list_plans(session, city_id, turn, visible(Plan, viewer))
