"""What a route asks for: the transaction, who asks, the city, and values of the address.

A request is one transaction: its session is opened by the first dependency that needs it and
committed before the answer is sent (`scope="function"`): a failed commit is a failed answer.

Dependencies that ask no database are coroutines: each of the others costs a change of threads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Path, Query, Request
from sqlalchemy.orm import Session

from api import auth
from api.errors import NoCityError
from geo import service
from geo.db import Database, Viewer
from geo.errors import CityNotFoundError, ForbiddenError, InvalidInputError, NotSignedInError
from geo.settings import Settings
from geo.signin import Account
from geo.terms import CITY_WIDE, Role

Bbox: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Access:
    """One request's transaction and whom it runs for.

    Parameters
    ----------
    session : Session
        Inside the transaction.
    viewer : Viewer
        What the service and the database decide upon: the account's in its own city, else public.
    account : Account, optional
        Who is signed in, whatever the city.
    city_id : int, optional
        The city of the address.
    """

    session: Session
    viewer: Viewer
    account: Account | None
    city_id: int | None


def viewer_in(account: Account | None, city_id: int | None) -> Viewer:
    """Return the viewer that an account is in a city: a stranger everywhere but at home."""
    if account is None or city_id is None or account.city_id != city_id:
        return Viewer.public(city_id)
    return Viewer(
        role=Role(account.role),
        city_id=city_id,
        user_id=account.user_id,
        areas=account.areas,
        organisations=account.organisations,
    )


Choice: TypeAlias = Callable[[Session, Account | None], int | None]
"""Finds the id of the city that is asked about."""


@contextmanager
def open_access(database: Database, token: str | None, choose: Choice) -> Iterator[Access]:
    """Open the transaction of a request: learn who asks about which city, go on as that viewer.

    Parameters
    ----------
    database : Database
        The application's door.
    token : str, optional
        Of the session cookie.
    choose : callable
        Finds the city; it may read what is open to everybody.

    Raises
    ------
    DatabaseAwayError
        If the database cannot be reached.
    """
    known = token is not None
    with database.sign_in_transaction() if known else database.transaction(Viewer()) as session:
        account = None
        if token is not None:
            account = service.account_of_session(session, auth.token_hash(token))
        city_id = choose(session, account)
        viewer = viewer_in(account, city_id)
        if known or city_id is not None:
            database.enter(session, viewer)
        yield Access(session, viewer, account, city_id)


def get_settings(request: Request) -> Settings:
    """Return the settings that the application was made from."""
    settings: Settings = request.app.state.settings
    return settings


def get_database(request: Request) -> Database:
    """Return the application's door to the database."""
    database: Database = request.app.state.database
    return database


def get_access(request: Request) -> Iterator[Access]:
    """Open the request's transaction in the city of its path, if the path names one."""
    slug = request.path_params.get("city")

    def choose(session: Session, account: Account | None) -> int | None:
        return None if slug is None else service.city_id_of(session, slug)

    with open_access(get_database(request), auth.session_token(request), choose) as access:
        yield access


@contextmanager
def open_page(request: Request, wish: str | None) -> Iterator[tuple[Access, list[dict[str, Any]]]]:
    """Open a page's transaction in the city wished for; else the reader's, the default, the first.

    A demo city comes before others, since who put one there came to look at it.

    Parameters
    ----------
    request : Request
    wish : str, optional
        Short name of a city.

    Yields
    ------
    (Access, list of dict)
        The transaction, and all cities to choose from.

    Raises
    ------
    CityNotFoundError
        If no city has this short name, or there is none at all.
    """
    cities: list[dict[str, Any]] = []

    def choose(session: Session, account: Account | None) -> int:
        cities.extend(service.list_cities(session))
        known = [one["slug"] for one in sorted(cities, key=lambda one: not one["demo"])]
        wishes = (account.city if account else None, get_settings(request).default_city, *known)
        slug = wish or next((one for one in wishes if one in known), None)
        if slug is None:
            raise NoCityError("There is no city in the database yet.")
        return service.city_id_of(session, slug)

    with open_access(get_database(request), auth.session_token(request), choose) as access:
        yield access, cities


AccessDep = Annotated[Access, Depends(get_access, scope="function")]


async def get_session(access: AccessDep) -> Session:
    """Return the session of the request's transaction."""
    return access.session


async def get_viewer(access: AccessDep) -> Viewer:
    """Return who asks, as seen from the city of the path."""
    return access.viewer


async def get_account(access: AccessDep) -> Account | None:
    """Return who is signed in."""
    return access.account


async def get_city_id(
    access: AccessDep,
    city: Annotated[str, Path(description="Short name of the city.", max_length=63)],
) -> int:
    """Return the id of the city of the path."""
    if access.city_id is None:
        raise CityNotFoundError(f"There is no city '{city}'.", city=city)
    return access.city_id


def demand(*roles: Role) -> Callable[[Access], Awaitable[Viewer]]:
    """Return a dependency that lets these roles of the city pass, all staff when none is named.

    Raises
    ------
    NotSignedInError
        If nobody is signed in.
    ForbiddenError
        If somebody is, and may not.
    """

    async def demanded(access: AccessDep) -> Viewer:
        viewer = access.viewer
        if viewer.staff and (not roles or viewer.role in roles):
            return viewer
        if access.account is None:
            raise NotSignedInError("Sign in first.")
        raise ForbiddenError("This account may not do that here.")

    return demanded


async def get_as_of(
    as_of: Annotated[
        date | None, Query(description="Date YYYY-MM-DD; default: today in the city's zone.")
    ] = None,
) -> date | None:
    """Return the date that is asked about."""
    return check_day(as_of)


def check_day(day: date | None) -> date | None:
    """Return a date that a calendar in use can hold.

    Raises
    ------
    InvalidInputError
        If it is not between 1900 and 2999.
    """
    if day is not None and not 1900 <= day.year <= 2999:
        raise InvalidInputError("A date lies between 1900 and 2999.", field="as_of")
    return day


async def get_bbox(
    bbox: Annotated[
        str | None,
        Query(
            description="west,south,east,north in degrees (lon, lat; EPSG:4326).",
            max_length=120,
            examples=["120.3,37.5,120.6,37.7"],
        ),
    ] = None,
) -> Bbox | None:
    """Return the rectangle that is asked about, (west, south, east, north) in degrees.

    Raises
    ------
    InvalidInputError
        If it is not four numbers in this order, or leaves the globe.
    """
    return None if bbox is None else parse_bbox(bbox)


def parse_bbox(text: str) -> Bbox:
    """Return ``west,south,east,north`` as four numbers in degrees.

    Raises
    ------
    InvalidInputError
        If it is not four numbers in this order, or leaves the globe.

    Examples
    --------
    >>> parse_bbox("120.3,37.5,120.6,37.7")
    (120.3, 37.5, 120.6, 37.7)
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError("A bbox is west,south,east,north.", field="bbox") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InvalidInputError(
            "A bbox is west,south,east,north in degrees, west below east and south below north.",
            field="bbox",
        )
    return west, south, east, north


SettingsDep = Annotated[Settings, Depends(get_settings)]
DatabaseDep = Annotated[Database, Depends(get_database)]
SessionDep = Annotated[Session, Depends(get_session)]
ViewerDep = Annotated[Viewer, Depends(get_viewer)]
AccountDep = Annotated[Account | None, Depends(get_account)]
CityDep = Annotated[int, Depends(get_city_id)]
"""The city's id; the path holds its short name as ``{city}``."""
StaffDep = Annotated[Viewer, Depends(demand())]
"""Like `ViewerDep`, but only for people who work for the city."""
CityWideDep = Annotated[Viewer, Depends(demand(*CITY_WIDE))]
"""Like `StaffDep`, but only for roles that read the whole city."""
AdministratorDep = Annotated[Viewer, Depends(demand(Role.ADMINISTRATOR))]
OfficeDep = Annotated[Viewer, Depends(demand(Role.ADMINISTRATOR, Role.PLANNER))]
"""They keep workers."""
PostKeepersDep = Annotated[
    Viewer, Depends(demand(Role.ADMINISTRATOR, Role.PLANNER, Role.COMMUNITY))
]
"""They keep posts, communities those of their areas."""
KeepersDep = Annotated[Viewer, Depends(demand(Role.ADMINISTRATOR, Role.COMMUNITY))]
"""They keep notices and phones, communities those of their areas."""
AsOfDep = Annotated[date | None, Depends(get_as_of)]
BboxDep = Annotated[Bbox | None, Depends(get_bbox)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Rows of one page.")]
"""Give it its default in the signature: ``limit: Limit = 100``."""
