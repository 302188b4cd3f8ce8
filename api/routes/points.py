"""Volunteers' service points for programs: where, when, what; counts by month, nobody by name."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep
from api.deps import KeepersDep, SessionDep
from api.errors import responses_for
from api.routes.office import PROTECTED, Line, Number, Wish
from api.schemas import AsOf, Form
from geo import service
from geo.errors import CityNotFoundError, NetNotFoundError, NotFoundError, OutsideCityError
from geo.terms import Offer

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["stations"], dependencies=[KNOWN_FIELDS])

PointPath = Annotated[int, Path(ge=1, le=MOST_ID)]
MonthPath = Annotated[str, Path(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="As 2026-05.")]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class PointItem(Form):
    """A service point; the counts are those of the last twelve months."""

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
    last_month: date | None
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


class MadePoint(Form):
    """The point's number."""

    point: int


class MonthCounts(Wish):
    """How often the point helped in a month, how many helped, for how many hours in all."""

    helped: Count
    helpers: Count
    hours: Count


@router.get("/service-points", responses=responses_for(CityNotFoundError, NetNotFoundError))
def list_service_points(session: SessionDep, asked: AskedDep) -> Points:
    """List the volunteers' service points; open to everybody."""
    at = asked.moment(session)
    found: list[dict[str, Any]] = service.points.listed(session, at)
    return Points(items=[PointItem.model_validate(one) for one in found], as_of=AsOf.of(at))


@router.post(
    "/service-points",
    status_code=201,
    responses=responses_for(*PROTECTED, NetNotFoundError, OutsideCityError),
)
def open_service_point(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: PointWish
) -> MadePoint:
    """Enter a service point.

    Raises
    ------
    OutsideCityError
        If the place lies outside the city: 404.
    """
    at = asked.moment(session)
    return MadePoint(point=service.points.open_point(session, viewer, at, wish.told()))


@router.put(
    "/service-points/{point}",
    status_code=204,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
)
def change_service_point(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, point: PointPath, wish: PointWish
) -> Response:
    """Change what is said of a service point; its place stays.

    Raises
    ------
    NotFoundError
        If the own areas have no such open point: 404.
    """
    service.points.change(session, viewer, asked.moment(session), point, wish.told())
    return Response(status_code=204)


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
