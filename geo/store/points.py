"""Volunteers' service points: place, hours, what is offered, counts by month; nobody is listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import InvalidInputError, NotFoundError
from geo.store import audit, rights
from geo.store.firms import today
from geo.store.nets import Moment
from geo.store.together import places, words
from geo.tables import NetGrid, Organisation, ServiceMonth, ServicePoint
from geo.terms import FOREVER, Offer

MOST_POINTS: Final = 2_000
MOST_COUNT: Final = 1_000_000


@dataclass(frozen=True)
class Point:
    """A service point: its name, place (degrees), hours and what it offers."""

    name: str
    lon: float
    lat: float
    offers: tuple[str, ...]
    address: str | None = None
    opening_hours: str | None = None
    organisation: int | None = None


def _said(session: Session, city_id: int, point: Point) -> dict[str, Any]:
    offers = sorted(set(point.offers))
    if not offers or not set(offers) <= set(Offer):
        raise InvalidInputError("Say what is offered.", field="offers", reason="no_choice")
    return {
        "name": words.title(point.name, "name", 60),
        "address": words.perhaps(point.address, "address", 120),
        "opening_hours": words.perhaps(point.opening_hours, "opening_hours", 200),
        "offers": offers,
        "organisation_id": places.body(session, city_id, point.organisation),
    }


def open_point(session: Session, viewer: Viewer, at: Moment, point: Point) -> int:
    """Enter a service point; return its number.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    InvalidInputError
        If a value cannot be used, or the place lies elsewhere.
    OutsideCityError
        If the place lies outside the city.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = {
        **_said(session, city_id, point),
        **places.of_point(session, viewer, at, point.lon, point.lat),
    }
    made = insert(ServicePoint).values(city_id=city_id, **values)
    number = int(session.execute(made.returning(ServicePoint.point_id)).scalar_one())
    told = {"name": values["name"], "offers": values["offers"], "grid": values["grid_id"]}
    audit.append(session, city_id, "service_point.opened", f"service_point/{number}", told)
    return number


def change(session: Session, viewer: Viewer, at: Moment, number: int, point: Point) -> None:
    """Change what is said of a service point; its place stays.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer's areas have no such open point.
    InvalidInputError
        If a value cannot be used.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = _said(session, city_id, point)
    _update(session, viewer, number, values)
    told = {"name": values["name"], "offers": values["offers"]}
    audit.append(session, city_id, "service_point.changed", f"service_point/{number}", told)


def close(session: Session, viewer: Viewer, at: Moment, number: int) -> None:
    """Say that a service point is no more; its counts stay.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer's areas have no such open point.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    _update(session, viewer, number, {"closed_on": today(session, at)})
    audit.append(session, city_id, "service_point.closed", f"service_point/{number}", {})


def _update(session: Session, viewer: Viewer, number: int, values: dict[str, Any]) -> None:
    changed = session.execute(
        update(ServicePoint)
        .where(
            places.seen(ServicePoint, viewer),
            ServicePoint.point_id == number,
            ServicePoint.closed_on.is_(None),
        )
        .values(**values)
        .returning(ServicePoint.point_id)
    )
    if changed.first() is None:
        raise NotFoundError(f"There is no open service point {number} in your area.", point=number)


def count(
    session: Session, viewer: Viewer, at: Moment, number: int, month: date, *, helped: int,
    helpers: int, hours: int,
) -> None:  # fmt: skip
    """Keep how often a point helped in a month, how many helped, and for how many hours.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer's areas have no such point.
    InvalidInputError
        If the month is to come, or a count cannot be used.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    first = month.replace(day=1)
    if not date(2000, 1, 1) <= first <= today(session, at):
        raise InvalidInputError("A month that has begun.", field="month", reason="no_date")
    counts = {"helped": helped, "helpers": helpers, "hours": hours}
    for name, value in counts.items():
        if not 0 <= value <= MOST_COUNT:
            raise InvalidInputError("A count of 0 or more.", field=name, reason="no_number",
                                    value=str(value))  # fmt: skip
    known = session.scalar(
        select(ServicePoint.point_id).where(
            places.seen(ServicePoint, viewer), ServicePoint.point_id == number
        )
    )
    if known is None:
        raise NotFoundError(f"There is no service point {number} in your area.", point=number)
    session.execute(
        insert(ServiceMonth)
        .values(city_id=city_id, point_id=number, month=first, **counts)
        .on_conflict_do_update(index_elements=["city_id", "point_id", "month"], set_=counts)
    )
    told = {"month": first.isoformat(), **counts}
    audit.append(session, city_id, "service_point.counted", f"service_point/{number}", told)


def listed(session: Session, at: Moment) -> list[dict[str, Any]]:
    """Return the open service points with the sums of the last twelve months; open to everybody."""
    day = today(session, at)
    since = day.replace(day=1, year=day.year - 1)
    sums = (
        select(
            ServiceMonth.point_id,
            func.sum(ServiceMonth.helped).label("helped"),
            func.sum(ServiceMonth.hours).label("hours"),
            func.max(ServiceMonth.month).label("last_month"),
        )
        .where(ServiceMonth.city_id == at.city_id, ServiceMonth.month >= since)
        .group_by(ServiceMonth.point_id)
        .subquery()
    )
    rows = session.execute(
        select(
            ServicePoint.point_id.label("point"), ServicePoint.name, ServicePoint.address,
            ServicePoint.opening_hours.label("open_hours"), ServicePoint.offers,
            ServicePoint.organisation_id.label("organisation"),
            Organisation.name.label("organisation_name"), ServicePoint.grid_id.label("grid"),
            NetGrid.name.label("grid_name"), func.ST_X(ServicePoint.geom).label("lon"),
            func.ST_Y(ServicePoint.geom).label("lat"), sums.c.helped, sums.c.hours,
            sums.c.last_month,
        )
        .outerjoin(sums, sums.c.point_id == ServicePoint.point_id)
        .outerjoin(Organisation, and_(
            Organisation.city_id == ServicePoint.city_id,
            Organisation.organisation_id == ServicePoint.organisation_id))
        .outerjoin(NetGrid, and_(NetGrid.city_id == ServicePoint.city_id,
                                 NetGrid.grid_id == ServicePoint.grid_id,
                                 NetGrid.to_seq == FOREVER))
        .where(ServicePoint.city_id == at.city_id, ServicePoint.closed_on.is_(None))
        .order_by(ServicePoint.point_id)
        .limit(MOST_POINTS)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]
