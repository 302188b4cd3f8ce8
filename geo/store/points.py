"""Volunteers' service points: place, hours, what is offered, counts by month; nobody is listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import and_, case, false, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, InvalidInputError, NotFoundError, StaleEditError
from geo.rates import LEAST_WORKERS
from geo.store import audit, rights
from geo.store.nets import Moment
from geo.store.rating_rules import today
from geo.store.shapes import contains_text
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
    ConflictError
        If an open point of this name stands there already.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = {
        **_said(session, city_id, point),
        **places.of_point(session, viewer, at, point.lon, point.lat),
    }
    same = select(ServicePoint.point_id).where(
        ServicePoint.city_id == city_id, ServicePoint.closed_on.is_(None),
        ServicePoint.name == values["name"],
        func.ST_Equals(ServicePoint.geom, func.ST_GeomFromEWKT(values["geom"])),
    )  # fmt: skip
    if session.scalar(same) is not None:
        raise ConflictError("A point of this name stands there already.", reason="point_there")
    made = insert(ServicePoint).values(city_id=city_id, **values)
    number = int(session.execute(made.returning(ServicePoint.point_id)).scalar_one())
    told = {"name": values["name"], "offers": values["offers"], "grid": values["grid_id"]}
    audit.append(session, city_id, "service_point.opened", f"service_point/{number}", told)
    return number


def change(
    session: Session, viewer: Viewer, at: Moment, number: int, version: int | None, point: Point
) -> int:
    """Change what is said of a service point; its place stays. Return the version.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer's areas have no such open point.
    StaleEditError
        If it was changed since the `version` that the viewer knows.
    InvalidInputError
        If a value cannot be used.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = _said(session, city_id, point)
    row = _open(session, viewer, number)
    if version is not None and version != row.version:
        raise StaleEditError("The service point was changed since.", version=row.version)
    after = int(row.version) + 1
    _update(session, viewer, number, {**values, "version": after})
    told = {"name": values["name"], "offers": values["offers"]}
    audit.append(session, city_id, "service_point.changed", f"service_point/{number}", told)
    return after


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
    _open(session, viewer, number)
    _update(session, viewer, number, {"closed_on": today(session, at)})
    audit.append(session, city_id, "service_point.closed", f"service_point/{number}", {})


def _open(session: Session, viewer: Viewer, number: int) -> Any:
    row = session.scalars(
        select(ServicePoint)
        .where(
            places.seen(ServicePoint, viewer),
            ServicePoint.point_id == number,
            ServicePoint.closed_on.is_(None),
        )
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no open service point {number} in your area.", point=number)
    return row


def _update(session: Session, viewer: Viewer, number: int, values: dict[str, Any]) -> None:
    session.execute(
        update(ServicePoint)
        .where(places.seen(ServicePoint, viewer), ServicePoint.point_id == number)
        .values(**values)
    )


def count(
    session: Session, viewer: Viewer, at: Moment, number: int, month: date, *, helped: int,
    helpers: int, hours: int,
) -> None:  # fmt: skip
    """Keep how often a point helped in a month, how many helped, and for how many hours.

    Who counts a month again corrects it.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer's areas have no such open point.
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
    _open(session, viewer, number)
    session.execute(
        insert(ServiceMonth)
        .values(city_id=city_id, point_id=number, month=first, **counts)
        .on_conflict_do_update(index_elements=["city_id", "point_id", "month"], set_=counts)
    )
    told = {"month": first.isoformat(), **counts}
    audit.append(session, city_id, "service_point.counted", f"service_point/{number}", told)


def listed(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    q: str | None = None,
    offer: str | None = None,
    point: int | None = None,
) -> list[dict[str, Any]]:
    """Return the open service points with the sums of the last twelve months; open to everybody.

    The twelve months end with the present one; `months` says of how many there are counts. Hours
    of a point where fewer than five helped are somebody's hours: they are told to its own office
    alone. `mine` says whether that is the viewer.
    """
    first = today(session, at).replace(day=1)
    sums = (
        select(
            ServiceMonth.point_id,
            func.sum(ServiceMonth.helped).label("helped"),
            func.sum(ServiceMonth.hours).label("hours"),
            func.count().label("months"),
            func.max(ServiceMonth.month).label("last_month"),
            func.max(ServiceMonth.helpers).label("helpers"),
        )
        .where(
            ServiceMonth.city_id == at.city_id,
            ServiceMonth.month > first.replace(year=first.year - 1),
        )
        .group_by(ServiceMonth.point_id)
        .subquery()
    )
    keeps = viewer.role in rights.TELLING and viewer.city_id == at.city_id
    mine = func.coalesce(places.seen(ServicePoint, viewer), false()) if keeps else false()
    statement = (
        select(
            ServicePoint.point_id.label("point"), ServicePoint.name, ServicePoint.address,
            ServicePoint.opening_hours.label("open_hours"), ServicePoint.offers,
            ServicePoint.organisation_id.label("organisation"),
            Organisation.name.label("organisation_name"), ServicePoint.grid_id.label("grid"),
            NetGrid.name.label("grid_name"), func.ST_X(ServicePoint.geom).label("lon"),
            func.ST_Y(ServicePoint.geom).label("lat"), sums.c.helped,
            case((or_(mine, sums.c.helpers >= LEAST_WORKERS), sums.c.hours)).label("hours"),
            func.coalesce(sums.c.months, 0).label("months"), sums.c.last_month,
            ServicePoint.version, mine.label("mine"),
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
    if q:
        statement = statement.where(or_(contains_text(ServicePoint.name, q),
                                        contains_text(ServicePoint.address, q)))  # fmt: skip
    if offer is not None:
        statement = statement.where(ServicePoint.offers.contains([offer]))
    if point is not None:
        statement = statement.where(ServicePoint.point_id == point)
    return [dict(row._mapping) for row in session.execute(statement)]


def months(session: Session, viewer: Viewer, at: Moment, point: int) -> list[dict[str, Any]]:
    """Return the counts of a point by month to its own office, the latest first, 24 at most."""
    rights.demand(viewer, rights.TELLING)
    rows = session.execute(
        select(ServiceMonth.month, ServiceMonth.helped, ServiceMonth.helpers, ServiceMonth.hours)
        .join(ServicePoint, and_(ServicePoint.city_id == ServiceMonth.city_id,
                                 ServicePoint.point_id == ServiceMonth.point_id))
        .where(places.seen(ServicePoint, viewer), ServiceMonth.point_id == point)
        .order_by(ServiceMonth.month.desc())
        .limit(24)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]
