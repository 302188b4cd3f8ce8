"""Shops and compounds inspected: kind, day and result by fixed lists, next day; never persons.

The place may answer and appeal. Everybody sees the last inspection of each kind of a shop, with
its answer, until it expires; not while an appeal is open, and not after one was allowed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, false, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from geo.store import audit, rights
from geo.store.firms import JUDGES, main_grid, today
from geo.store.nets import Moment
from geo.store.paging import Key, Order, Page, Statement
from geo.store.shapes import Box, contains_text, intersects
from geo.store.together import places, words
from geo.tables import Compound, Inspection, NetGrid, Shop
from geo.terms import FOREVER, InspectionKind, InspectionResult, RatingAct, ShopKind

VALID: Final = timedelta(days=365)
"""After so long an inspection is not told any more."""
APPEAL: Final = timedelta(days=30)
"""So long after it was held its result can be appealed against."""
EARLIEST: Final = timedelta(days=365)
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH: Final = 9


@dataclass(frozen=True)
class Place:
    """A shop: what it is called on its sign, what kind of place, where (degrees)."""

    name: str
    kind: str
    lon: float
    lat: float
    address: str | None = None


@dataclass(frozen=True)
class Found:
    """What an inspection found: one of a shop or of a compound."""

    kind: str
    held_on: date
    result: str
    next_on: date | None = None
    shop: int | None = None
    compound: int | None = None


# ---- shops ---------------------------------------------------------------------------------------


def open_shop(session: Session, viewer: Viewer, at: Moment, place: Place) -> tuple[int, str]:
    """Enter a shop; return its number and the code of its public card.

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
    if place.kind not in set(ShopKind):
        raise InvalidInputError("There is no such kind of shop.", field="kind", reason="no_choice")
    values = {
        "name": words.title(place.name, "name", 60),
        "kind": place.kind,
        "address": words.perhaps(place.address, "address", 120),
        "code": "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)),
        **places.of_point(session, viewer, at, place.lon, place.lat),
    }
    made = insert(Shop).values(city_id=city_id, **values).returning(Shop.shop_id)
    shop = int(session.execute(made).scalar_one())
    told = {"name": values["name"], "kind": place.kind, "grid": values["grid_id"]}
    audit.append(session, city_id, "shop.opened", f"shop/{shop}", told)
    return shop, str(values["code"])


def close_shop(session: Session, viewer: Viewer, at: Moment, shop: int) -> None:
    """Say that a shop is no more; its card ends, its inspections stay in the book.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer's areas have no such open shop.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    closed = session.execute(
        update(Shop)
        .where(places.seen(Shop, viewer), Shop.shop_id == shop, Shop.closed_on.is_(None))
        .values(closed_on=today(session, at))
        .returning(Shop.shop_id)
    )
    if closed.first() is None:
        raise NotFoundError(f"There is no open shop {shop} in your area.", shop=shop)
    audit.append(session, city_id, "shop.closed", f"shop/{shop}", {})


def listed(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    q: str | None = None,
    kind: str | None = None,
    bbox: Box | None = None,
    limit: int = 100,
    after: str | None = None,
) -> Page[dict[str, Any]]:
    """Return a page of the open shops with their last inspection that the viewer may see.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    last = (
        select(Inspection.shop_id, Inspection.kind, Inspection.held_on, Inspection.result,
               Inspection.next_on)
        .ext(distinct_on(Inspection.shop_id))
        .where(Inspection.city_id == at.city_id, Inspection.shop_id.is_not(None),
               Inspection.withdrawn_at.is_(None), _seen(session, viewer, at))
        .order_by(Inspection.shop_id, Inspection.held_on.desc(), Inspection.inspection_id.desc())
        .subquery()
    )  # fmt: skip
    statement: Statement = (
        select(
            Shop.shop_id.label("shop"), Shop.code, Shop.name, Shop.kind, Shop.address,
            Shop.grid_id.label("grid"), NetGrid.name.label("grid_name"),
            func.ST_X(Shop.geom).label("lon"), func.ST_Y(Shop.geom).label("lat"),
            last.c.kind.label("last_kind"), last.c.held_on.label("last_on"),
            last.c.result.label("last_result"), last.c.next_on,
        )
        .outerjoin(last, last.c.shop_id == Shop.shop_id)
        .outerjoin(NetGrid, and_(NetGrid.city_id == Shop.city_id, NetGrid.to_seq == FOREVER,
                                 NetGrid.grid_id == Shop.grid_id))
        .where(Shop.city_id == at.city_id, Shop.closed_on.is_(None))
    )  # fmt: skip
    if q:
        statement = statement.where(or_(contains_text(Shop.name, q), Shop.code == q.upper(),
                                        contains_text(Shop.address, q)))  # fmt: skip
    if kind is not None:
        statement = statement.where(Shop.kind == kind)
    if bbox is not None:
        statement = statement.where(intersects(Shop.geom, bbox))
    order = Order(
        (Key(Shop.shop_id, int),),
        {"list": "shops", "city": at.city_id, "q": q, "kind": kind, "bbox": bbox},
    )
    return order.fetch(session, statement, limit=limit, after=after)


def card(session: Session, viewer: Viewer, at: Moment, code: str) -> dict[str, Any]:
    """Return a shop by the code on its door, with the last inspection of each kind.

    Raises
    ------
    NotFoundError
        If there is no open shop of this code.
    """
    row = session.execute(
        select(
            Shop.shop_id.label("shop"), Shop.code, Shop.name, Shop.kind, Shop.address,
            func.ST_X(Shop.geom).label("lon"), func.ST_Y(Shop.geom).label("lat"),
        ).where(Shop.city_id == at.city_id, Shop.code == code.upper(), Shop.closed_on.is_(None))
    ).first()  # fmt: skip
    if row is None:
        raise NotFoundError("There is no shop of this code.", code=code)
    found = inspections(session, viewer, at, shop=row.shop)
    if not viewer.staff:
        latest: dict[str, dict[str, Any]] = {}
        for one in found:
            latest.setdefault(one["kind"], one)
        found = list(latest.values())
    return {**row._mapping, "inspections": found}


# ---- inspections ---------------------------------------------------------------------------------


def enter(session: Session, viewer: Viewer, at: Moment, found: Found) -> int:
    """Enter what an inspection found; return its number.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer's areas have no such open shop.
    InvalidInputError
        If a value cannot be used, or the place lies elsewhere.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    day = today(session, at)
    for value, known, field in (
        (found.kind, InspectionKind, "kind"), (found.result, InspectionResult, "result"),
    ):  # fmt: skip
        if value not in set(known):
            raise InvalidInputError(f"There is no such {field}.", field=field, reason="no_choice")
    if not day - EARLIEST <= found.held_on <= day:
        raise InvalidInputError(
            "It was held today, or within the last year.", field="held_on", reason="no_date"
        )
    if found.next_on is not None and not found.held_on < found.next_on < date(2999, 1, 1):
        raise InvalidInputError(
            "The next one comes later.", field="next_on", reason="dates"
        )  # fmt: skip
    values = {
        "kind": found.kind, "held_on": found.held_on, "result": found.result,
        "next_on": found.next_on, "expires_on": found.held_on + VALID,
        "entered_by": viewer.user_id, **_place(session, viewer, at, found),
    }  # fmt: skip
    made = insert(Inspection).values(city_id=city_id, **values)
    number = int(session.execute(made.returning(Inspection.inspection_id)).scalar_one())
    told = {"kind": found.kind, "result": found.result, "held_on": found.held_on.isoformat(),
            "shop": found.shop, "compound": found.compound}  # fmt: skip
    audit.append(session, city_id, "inspection.entered", f"inspection/{number}", told)
    return number


def _place(session: Session, viewer: Viewer, at: Moment, found: Found) -> dict[str, Any]:
    if (found.shop is None) == (found.compound is None):
        raise InvalidInputError(
            "An inspection is of a shop or of a compound.", field="shop", reason="empty"
        )
    if found.compound is not None:
        return {
            "compound_id": found.compound,
            **main_grid(session, viewer, at, found.compound),
        }
    row = session.scalars(
        select(Shop).where(
            places.seen(Shop, viewer), Shop.shop_id == found.shop, Shop.closed_on.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no open shop {found.shop} in your area.", shop=found.shop)
    return {"shop_id": row.shop_id, "grid_id": row.grid_id, **words.areas_of(row)}


def do(
    session: Session, viewer: Viewer, at: Moment, number: int, act: RatingAct, said: str = "",
    *, allowed: bool = False,
) -> None:  # fmt: skip
    """Write down a place's answer or appeal, decide on the appeal, or withdraw what was wrong.

    Parameters
    ----------
    allowed : bool
        Of a decision: the appeal was right, and the inspection is withdrawn.

    Raises
    ------
    NotFoundError
        If the viewer's areas have no such inspection.
    ForbiddenError
        If this is for others.
    ConflictError
        If its time is over, nothing is open, or who entered it would decide.
    """
    row = session.scalars(
        select(Inspection)
        .where(places.seen(Inspection, viewer), Inspection.inspection_id == number)
        .with_for_update()
    ).one_or_none() if viewer.staff and viewer.city_id == at.city_id else None  # fmt: skip
    if row is None or row.withdrawn_at is not None:
        raise NotFoundError(f"There is no inspection {number} in your area.", inspection=number)
    judge = act is RatingAct.DECIDE
    if viewer.role not in (JUDGES if judge else rights.TELLING) or act is RatingAct.TELL:
        raise ForbiddenError("This is for others to do.")
    day = today(session, at)
    kept = words.plain(said, "words", 500)
    if act is RatingAct.ANSWER:
        row.answer = kept
    elif act is RatingAct.APPEAL:
        if row.appealed_on is not None or day > row.held_on + APPEAL:
            raise ConflictError("An appeal is possible once, within 30 days.", reason="appealed")
        row.appealed_on, row.appeal = day, kept
    elif judge:
        if row.appealed_on is None or row.decided_on is not None:
            raise ConflictError("No appeal is open.", reason="no_appeal")
        if row.entered_by == viewer.user_id:
            raise ConflictError("Who entered it does not decide on it.", reason="same_person")
        row.decided_on, row.decision = day, kept
    if act is RatingAct.WITHDRAW or (judge and allowed):
        row.withdrawn_at = func.statement_timestamp()
    session.flush()
    told = {"allowed": allowed} if judge else {}
    audit.append(session, at.city_id, f"inspection.{act.value}", f"inspection/{number}", told)


def inspections(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    shop: int | None = None,
    compound: int | None = None,
    limit: int = 200,
) -> list[dict[str, Any]]:
    """Return inspections, the latest first: those of one's areas, else those that all may see."""
    mine = _mine(viewer, at)
    statement = (
        select(
            Inspection.inspection_id.label("inspection"), Inspection.shop_id.label("shop"),
            Inspection.compound_id.label("compound"), Compound.name.label("compound_name"),
            Shop.name.label("shop_name"), Inspection.kind, Inspection.held_on, Inspection.result,
            Inspection.next_on, Inspection.expires_on, Inspection.answer, Inspection.appealed_on,
            Inspection.decided_on, Inspection.decision,
            (Inspection.withdrawn_at.is_not(None)).label("withdrawn"), Inspection.appeal,
            mine.label("mine"),
        )
        .outerjoin(Shop, and_(Shop.city_id == Inspection.city_id,
                              Shop.shop_id == Inspection.shop_id))
        .outerjoin(Compound, and_(Compound.city_id == Inspection.city_id,
                                  Compound.compound_id == Inspection.compound_id))
        .where(Inspection.city_id == at.city_id, _seen(session, viewer, at))
        .order_by(Inspection.held_on.desc(), Inspection.inspection_id.desc())
        .limit(limit)
    )  # fmt: skip
    if shop is not None:
        statement = statement.where(Inspection.shop_id == shop)
    if compound is not None:
        statement = statement.where(Inspection.compound_id == compound)
    found = [dict(row._mapping) for row in session.execute(statement)]
    for one in found:
        if not one["mine"]:
            one["appeal"] = None
    return found


def _mine(viewer: Viewer, at: Moment) -> ColumnElement[bool]:
    if not viewer.staff or viewer.city_id != at.city_id:
        return false()
    own: ColumnElement[bool] = places.seen(Inspection, viewer)
    return own


def _seen(session: Session, viewer: Viewer, at: Moment) -> ColumnElement[bool]:
    """Return the condition of inspections that the viewer may see."""
    shown = and_(
        Inspection.shop_id.is_not(None),
        Inspection.withdrawn_at.is_(None),
        Inspection.expires_on > today(session, at),
        or_(Inspection.appealed_on.is_(None), Inspection.decided_on.is_not(None)),
    )
    return or_(shown, _mine(viewer, at))
