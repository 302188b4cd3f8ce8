"""Compounds of one's own areas or work: who manages them, what was inspected and rated last.

This is what an office or a firm looks at to see what is due; strangers see none of it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Subquery, and_, false, func, or_, select, true
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.store import rights, shops
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.store.rating_rules import today
from geo.store.shapes import contains_text
from geo.store.together import places
from geo.tables import (
    Compound,
    CompoundBody,
    FirmRating,
    Inspection,
    NetCompound,
    NetGrid,
    Organisation,
)
from geo.terms import CompoundRole, RatingState, Role

MOST: Final = 1_000


def compounds(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    q: str | None = None,
    compound: int | None = None,
    due: bool = False,
) -> list[dict[str, Any]]:
    """Return compounds that lie wholly in the viewer's areas, or that its firm manages today.

    What is due comes first, then what was never inspected; at most `MOST`. Each is `compound`,
    `name`, `lon`, `lat`, `firm`, `firm_name`, `last_kind`, `last_on`, `last_result`, `next_on`
    (the soonest over all kinds), `due`, `appeals` (open ones), and of the last rating
    `rated_until`, `grade`.
    """
    if not viewer.staff or viewer.city_id != at.city_id:
        return []
    day = today(session, at)
    firm, last = _managed(at, day), shops.latest(session, viewer, at, Inspection.compound_id)
    rated = _rated(viewer)
    is_due = func.coalesce(last.c.next_on <= day, false())
    statement = (
        select(
            Compound.compound_id.label("compound"), Compound.name,
            func.ST_X(func.ST_PointOnSurface(Compound.geom)).label("lon"),
            func.ST_Y(func.ST_PointOnSurface(Compound.geom)).label("lat"),
            firm.c.organisation_id.label("firm"), firm.c.name.label("firm_name"),
            last.c.last_kind, last.c.last_on, last.c.last_result, last.c.next_on,
            is_due.label("due"), func.coalesce(last.c.appeals, 0).label("appeals"),
            rated.c.until.label("rated_until"), rated.c.grade,
        )
        .outerjoin(firm, firm.c.compound_id == Compound.compound_id)
        .outerjoin(last, last.c.place == Compound.compound_id)
        .outerjoin(rated, rated.c.compound_id == Compound.compound_id)
        .where(Compound.city_id == at.city_id, _own(viewer, at, firm))
        .order_by(is_due.desc(), last.c.next_on.nulls_last(), last.c.last_on.nulls_first(),
                  Compound.compound_id)
        .limit(MOST)
    )  # fmt: skip
    if q:
        named = or_(contains_text(Compound.name, q), contains_text(firm.c.name, q))
        statement = statement.where(named)
    if compound is not None:
        statement = statement.where(Compound.compound_id == compound)
    if due:
        statement = statement.where(or_(is_due, last.c.appeals > 0))
    return [dict(row._mapping) for row in session.execute(statement)]


def _own(viewer: Viewer, at: Moment, firm: Subquery) -> ColumnElement[bool]:
    if viewer.city_wide:
        return true()
    if viewer.role is Role.DEPARTMENT:
        managed: ColumnElement[bool] = firm.c.organisation_id.in_(viewer.organisations)
        return managed
    inside = (
        select(NetCompound.compound_id)
        .join(NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == NetCompound.grid_id))
        .where(NetCompound.city_id == at.city_id, NetCompound.seq == at.seq)
        .group_by(NetCompound.compound_id)
        .having(func.bool_and(rights.in_reach(NetGrid, viewer)))
    )
    return Compound.compound_id.in_(inside)


def _managed(at: Moment, day: Any) -> Subquery:
    return (
        select(CompoundBody.compound_id, CompoundBody.organisation_id, Organisation.name)
        .join(Organisation, and_(Organisation.city_id == CompoundBody.city_id,
                                 Organisation.organisation_id == CompoundBody.organisation_id))
        .where(
            CompoundBody.city_id == at.city_id, CompoundBody.role == CompoundRole.FIRM.value,
            CompoundBody.valid_from <= day,
            or_(CompoundBody.valid_to.is_(None), CompoundBody.valid_to > day),
        )
        .subquery()
    )  # fmt: skip


def _rated(viewer: Viewer) -> Subquery:
    return (
        select(FirmRating.compound_id, FirmRating.until, FirmRating.grade)
        .ext(distinct_on(FirmRating.compound_id))
        .where(places.seen(FirmRating, viewer, own_work=True),
               FirmRating.state != RatingState.WITHDRAWN.value)
        .order_by(FirmRating.compound_id, FirmRating.until.desc(), FirmRating.rating_id.desc())
        .subquery()
    )  # fmt: skip
