"""Shops and compounds inspected: kind, day and result by fixed lists, next day; never persons.

The place may answer and appeal. Everybody sees the last inspection of each kind of a shop, with
its answer, until it expires; not while an appeal is open, and not after one was allowed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Subquery, and_, false, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, InvalidInputError, NotFoundError, StaleEditError
from geo.store import appeals, audit, rating_facts, rights
from geo.store.firms import main_grid
from geo.store.nets import Moment
from geo.store.paging import Key, Order, Page, Statement
from geo.store.rating_rules import today
from geo.store.shapes import Box, contains_text, intersects
from geo.store.together import places, words
from geo.tables import Compound, Inspection, NetGrid, Shop
from geo.terms import FOREVER, InspectionKind, InspectionResult, RatingAct, RatingState, ShopKind

VALID: Final = timedelta(days=365)
"""After so long an inspection is not told any more."""
APPEAL: Final = timedelta(days=30)
"""So long after it was entered here its result can be appealed against."""
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
    ConflictError
        If an open shop of this name stands there already.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = {
        **_said(place),
        "code": "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)),
        **places.of_point(session, viewer, at, place.lon, place.lat),
    }
    same = select(Shop.code).where(
        Shop.city_id == city_id, Shop.closed_on.is_(None), Shop.name == values["name"],
        func.ST_Equals(Shop.geom, func.ST_GeomFromEWKT(values["geom"])),
    )  # fmt: skip
    if session.scalar(same) is not None:
        raise ConflictError("A shop of this name stands there already.", reason="shop_there")
    made = insert(Shop).values(city_id=city_id, **values).returning(Shop.shop_id)
    shop = int(session.execute(made).scalar_one())
    told = {"name": values["name"], "kind": place.kind, "grid": values["grid_id"]}
    audit.append(session, city_id, "shop.opened", f"shop/{shop}", told)
    return shop, str(values["code"])


def _said(place: Place) -> dict[str, Any]:
    if place.kind not in set(ShopKind):
        raise InvalidInputError("There is no such kind of shop.", field="kind", reason="no_choice")
    return {
        "name": words.title(place.name, "name", 60),
        "kind": place.kind,
        "address": words.perhaps(place.address, "address", 120),
    }


def change_shop(
    session: Session, viewer: Viewer, at: Moment, shop: int, version: int, place: Place
) -> int:
    """Change what is said of a shop; its place and its code stay. Return the version.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer's areas have no such open shop.
    StaleEditError
        If it was changed since.
    InvalidInputError
        If a value cannot be used.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = _said(place)
    row = _open(session, viewer, shop)
    if row.version != version:
        raise StaleEditError("The shop was changed since.", version=row.version)
    session.execute(
        update(Shop)
        .where(places.seen(Shop, viewer), Shop.shop_id == shop)
        .values(**values, version=version + 1)
    )
    told = {"name": values["name"], "kind": values["kind"]}
    audit.append(session, city_id, "shop.changed", f"shop/{shop}", told)
    return version + 1


def _open(session: Session, viewer: Viewer, shop: int | None) -> Any:
    row = session.scalars(
        select(Shop)
        .where(places.seen(Shop, viewer), Shop.shop_id == shop, Shop.closed_on.is_(None))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no open shop {shop} in your area.", shop=shop)
    return row


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
    _open(session, viewer, shop).closed_on = today(session, at)
    session.flush()
    audit.append(session, city_id, "shop.closed", f"shop/{shop}", {})


def listed(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    q: str | None = None,
    kind: str | None = None,
    result: str | None = None,
    due: bool = False,
    mine: bool = False,
    bbox: Box | None = None,
    limit: int = 100,
    after: str | None = None,
) -> Page[dict[str, Any]]:
    """Return a page of the open shops with their last inspection that the viewer may see.

    `next_on` is the soonest over all kinds. With `due` those whose next inspection has come or
    whose appeal is open; with `mine` those of the viewer's own areas.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    last, day = latest(session, viewer, at, Inspection.shop_id), today(session, at)
    own = _of_own_areas(viewer, at)
    statement: Statement = (
        select(
            Shop.shop_id.label("shop"), Shop.code, Shop.name, Shop.kind, Shop.address,
            Shop.grid_id.label("grid"), NetGrid.name.label("grid_name"),
            func.ST_X(Shop.geom).label("lon"), func.ST_Y(Shop.geom).label("lat"),
            last.c.last_kind, last.c.last_on, last.c.last_result, last.c.next_on,
            own.label("mine"), func.coalesce(last.c.appeals, 0).label("appeals"),
        )
        .outerjoin(last, last.c.place == Shop.shop_id)
        .outerjoin(NetGrid, and_(NetGrid.city_id == Shop.city_id, NetGrid.to_seq == FOREVER,
                                 NetGrid.grid_id == Shop.grid_id))
        .where(Shop.city_id == at.city_id, Shop.closed_on.is_(None))
    )  # fmt: skip
    if q:
        statement = statement.where(or_(contains_text(Shop.name, q), Shop.code == q.upper(),
                                        contains_text(Shop.address, q)))  # fmt: skip
    if kind is not None:
        statement = statement.where(Shop.kind == kind)
    if result is not None:
        statement = statement.where(last.c.last_result == result)
    if due:
        statement = statement.where(or_(last.c.next_on <= day, last.c.appeals > 0))
    if mine:
        statement = statement.where(own)
    if bbox is not None:
        statement = statement.where(intersects(Shop.geom, bbox))
    order = Order(
        (Key(Shop.shop_id, int),),
        {"list": "shops", "city": at.city_id, "q": q, "kind": kind, "result": result, "due": due,
         "mine": mine, "bbox": bbox},
    )  # fmt: skip
    return order.fetch(session, statement, limit=limit, after=after)


def latest(session: Session, viewer: Viewer, at: Moment, place: Any) -> Subquery:
    """Return the last inspection of each place that the viewer may see, and what comes next.

    `place` is the column of the place. The columns: `place`, `last_kind`, `last_on`, `last_result`;
    `next_on`, the soonest over the last inspections of each kind; `appeals`, how many are open.
    """
    of_kind = (
        select(place.label("place"), Inspection.inspection_id, Inspection.kind,
               Inspection.held_on, Inspection.result, Inspection.next_on,
               Inspection.appealed_on, Inspection.decided_on)
        .ext(distinct_on(place, Inspection.kind))
        .where(Inspection.city_id == at.city_id, place.is_not(None),
               Inspection.withdrawn_at.is_(None), _seen(session, viewer, at))
        .order_by(place, Inspection.kind, Inspection.held_on.desc(),
                  Inspection.inspection_id.desc())
        .subquery()
    )  # fmt: skip
    by_day = (of_kind.c.held_on.desc(), of_kind.c.inspection_id.desc())

    def first(column: Any) -> Any:
        return func.array_agg(aggregate_order_by(column, *by_day))[1]

    open_one = and_(of_kind.c.appealed_on.is_not(None), of_kind.c.decided_on.is_(None))
    return (
        select(
            of_kind.c.place, first(of_kind.c.kind).label("last_kind"),
            func.max(of_kind.c.held_on).label("last_on"),
            first(of_kind.c.result).label("last_result"),
            func.min(of_kind.c.next_on).label("next_on"),
            func.count().filter(open_one).label("appeals"),
        )
        .group_by(of_kind.c.place)
        .subquery()
    )  # fmt: skip


def _of_own_areas(viewer: Viewer, at: Moment) -> ColumnElement[bool]:
    if not viewer.staff or viewer.city_id != at.city_id:
        return false()
    return func.coalesce(places.seen(Shop, viewer), false())


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
            func.ST_X(Shop.geom).label("lon"), func.ST_Y(Shop.geom).label("lat"), Shop.version,
            _of_own_areas(viewer, at).label("mine"),
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
    ConflictError
        If the same kind with the same result of the same day is entered already.
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
        "appeal_until": day + APPEAL, "entered_by": viewer.user_id,
        **_place(session, viewer, at, found),
    }  # fmt: skip
    made = insert(Inspection).values(city_id=city_id, **values)
    try:
        with session.begin_nested():
            number = int(session.execute(made.returning(Inspection.inspection_id)).scalar_one())
    except IntegrityError as error:
        raise ConflictError("This inspection is entered already.", reason="entered") from error
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
        grid = main_grid(session, viewer, at, found.compound)
        day = found.held_on
        firms = rating_facts.managed(session, at, day, day, [found.compound])
        firm = firms[0].firm if firms else None
        return {"compound_id": found.compound, "organisation_id": firm, **grid}
    row = _open(session, viewer, found.shop)
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
        If the viewer may see no such inspection as one of its own.
    ForbiddenError
        If this is for others.
    ConflictError
        If its time is over, nothing is open, or who entered it would decide.
    """
    row = session.scalars(
        select(Inspection)
        .where(
            places.seen(Inspection, viewer, own_work=True), Inspection.inspection_id == number
        )
        .with_for_update()
    ).one_or_none() if viewer.staff and viewer.city_id == at.city_id else None  # fmt: skip
    if row is None or row.withdrawn_at is not None:
        raise NotFoundError(f"There is no inspection {number} of yours.", inspection=number)
    day, judge = today(session, at), act is RatingAct.DECIDE
    appeals.demand(
        viewer, act, _state(row), organisation=row.organisation_id, made_by=row.entered_by,
        until=row.appeal_until if act is RatingAct.APPEAL else row.expires_on, today=day,
    )  # fmt: skip
    kept = words.plain(said, "words", 500)
    if act is RatingAct.ANSWER:
        row.answer = kept
    elif act is RatingAct.APPEAL:
        row.appealed_on, row.appeal = day, kept
    elif judge:
        row.decided_on, row.decision = day, kept
    if act is RatingAct.WITHDRAW or (judge and allowed):
        row.withdrawn_at = func.statement_timestamp()
    session.flush()
    told = {"allowed": allowed} if judge else {}
    audit.append(session, at.city_id, f"inspection.{act.value}", f"inspection/{number}", told)


def _state(row: Any) -> RatingState:
    if row.decided_on is not None:
        return RatingState.DECIDED
    return RatingState.TOLD if row.appealed_on is None else RatingState.APPEALED


def inspections(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    shop: int | None = None,
    compound: int | None = None,
    limit: int = 200,
) -> list[dict[str, Any]]:
    """Return inspections, the latest first: those of one's areas, else those that all may see.

    `acts` is what the viewer may do about each now.
    """
    mine = _mine(viewer, at)
    statement = (
        select(
            Inspection.inspection_id.label("inspection"), Inspection.shop_id.label("shop"),
            Inspection.compound_id.label("compound"), Compound.name.label("compound_name"),
            Shop.name.label("shop_name"), Inspection.kind, Inspection.held_on, Inspection.result,
            Inspection.organisation_id.label("firm"), Inspection.appeal_until,
            Inspection.next_on, Inspection.expires_on, Inspection.answer, Inspection.appealed_on,
            Inspection.decided_on, Inspection.decision,
            (Inspection.withdrawn_at.is_not(None)).label("withdrawn"), Inspection.appeal,
            mine.label("mine"), Inspection.entered_by,
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
    day, found = today(session, at), []
    for row in session.execute(statement):
        one = dict(row._mapping)
        made_by, one["acts"] = one.pop("entered_by"), []
        if one["mine"] and not one["withdrawn"]:
            one["acts"] = appeals.open_acts(
                viewer, _state(row), organisation=row.firm, made_by=made_by,
                answer_until=row.expires_on, appeal_until=row.appeal_until, today=day,
            )  # fmt: skip
        found.append(one if one["mine"] else {**one, "appeal": None})
    return found


def _mine(viewer: Viewer, at: Moment) -> ColumnElement[bool]:
    if not viewer.staff or viewer.city_id != at.city_id:
        return false()
    return func.coalesce(places.seen(Inspection, viewer, own_work=True), false())


def _seen(session: Session, viewer: Viewer, at: Moment) -> ColumnElement[bool]:
    """Return the condition of inspections that the viewer may see."""
    shown = and_(
        Inspection.shop_id.is_not(None),
        Inspection.withdrawn_at.is_(None),
        Inspection.expires_on > today(session, at),
        or_(Inspection.appealed_on.is_(None), Inspection.decided_on.is_not(None)),
    )
    return or_(shown, _mine(viewer, at))
