"""Volunteers' service points for programs: where, when, what; counts by month, nobody by name."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, Text
from api.deps import KeepersDep, SessionDep, ViewerDep
from api.errors import responses_for
from api.routes.office import PROTECTED, Line, Number, Wish
from api.schemas import AsOf, Form
from geo import service
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    NetNotFoundError,
    NotFoundError,
    OutsideCityError,
    StaleEditError,
)
from geo.terms import Offer

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["stations"], dependencies=[KNOWN_FIELDS])

PointPath = Annotated[int, Path(ge=1, le=MOST_ID)]
MonthPath = Annotated[str, Path(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="As 2026-05.")]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class PointItem(Form):
    """A service point; the counts are those of `months` months of the last twelve.

    Hours of a point where fewer than five helped are told to its own office alone.
    """

    point: int
    name: str
    address: str | None
    open_hours: str | None
    offers: list[Offer]
    organisation: int | None
    organisation_name: str | None
    grid: int
    grid_name: str | None
    helped: int | None
    hours: int | None
    months: int
    last_month: date | None
    version: int
    mine: bool
    lon: float
    lat: float


class Points(Form):
    """All open service points."""

    items: list[PointItem]
    as_of: AsOf


class PointWish(Wish):
    """A service point; its place counts when it is entered."""

    name: Line
    offers: Annotated[list[Offer], Field(min_length=1, max_length=20)]
    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    address: Line | None = None
    open_hours: Line | None = None
    organisation: Number | None = None

    def told(self) -> service.points.Point:
        """Return it as the service takes it."""
        offers = tuple(one.value for one in self.offers)
        return service.points.Point(
            self.name, self.lon, self.lat, offers, self.address, self.open_hours, self.organisation
        )


class MonthCounts(Wish):
    """How often the point helped in a month, how many helped, for how many hours in all."""

    helped: Count
    helpers: Count
    hours: Count


class PointChange(PointWish):
    """What is said of a service point; with `version`, the one that was read."""

    version: Annotated[int, Field(ge=0)] | None = None


class PointVersion(Form):
    """The version after a change."""

    version: int


class MadePoint(Form):
    """The point's number."""

    point: int


@router.get("/service-points", responses=responses_for(CityNotFoundError, NetNotFoundError))
def list_service_points(
    session: SessionDep,
    viewer: ViewerDep,
    asked: AskedDep,
    offer: Offer | None = None,
    q: Annotated[Text | None, Query(description="Part of a name or an address.")] = None,
) -> Points:
    """List the volunteers' service points; open to everybody."""
    at = asked.moment(session)
    wanted = offer.value if offer else None
    found = service.points.listed(session, viewer, at, q=q, offer=wanted)
    return Points(items=[PointItem.model_validate(one) for one in found], as_of=AsOf.of(at))


@router.post(
    "/service-points",
    status_code=201,
    responses=responses_for(*PROTECTED, NetNotFoundError, OutsideCityError, ConflictError),
)
def open_service_point(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: PointWish
) -> MadePoint:
    """Enter a service point.

    Raises
    ------
    OutsideCityError
        If the place lies outside the city: 404.
    ConflictError
        If an open point of this name stands there already: 409.
    """
    at = asked.moment(session)
    return MadePoint(point=service.points.open_point(session, viewer, at, wish.told()))


@router.put(
    "/service-points/{point}",
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, StaleEditError),
)
def change_service_point(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, point: PointPath, wish: PointChange
) -> PointVersion:
    """Change what is said of a service point; its place stays.

    Raises
    ------
    NotFoundError
        If the own areas have no such open point: 404.
    StaleEditError
        If it was changed since the version that was read: 412.
    """
    at = asked.moment(session)
    changed = service.points.change(session, viewer, at, point, wish.version, wish.told())
    return PointVersion(version=changed)


@router.delete(
    "/service-points/{point}",
    status_code=204,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
)
def close_service_point(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, point: PointPath
) -> Response:
    """Say that a service point is no more.

    Raises
    ------
    NotFoundError
        If the own areas have no such open point: 404.
    """
    service.points.close(session, viewer, asked.moment(session), point)
    return Response(status_code=204)


@router.put(
    "/service-points/{point}/months/{month}",
    status_code=204,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
)
def count_service_month(
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    point: PointPath,
    month: MonthPath,
    wish: MonthCounts,
) -> Response:
    """Keep the counts of a month.

    Raises
    ------
    NotFoundError
        If the own areas have no such point: 404.
    """
    at = asked.moment(session)
    service.points.count(
        session, viewer, at, point, date.fromisoformat(f"{month}-01"), **wish.model_dump()
    )
    return Response(status_code=204)
