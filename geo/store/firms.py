"""Property firms: rated by rules that stand first, from facts, with answer, appeal and expiry.

A rating is of a firm and a compound in a period. The firm is told first; its figures are public
after the answer period, not while an appeal is open, and not for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, false, func, insert, or_, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, InvalidInputError, NotFoundError, StaleEditError
from geo.ratings import (
    FULL,
    Rule,
    dates_of,
    demand_order,
    grade_of,
    points_of,
)
from geo.store import appeals, audit, rating_facts, rating_rules, rights
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.store.rating_facts import Managed
from geo.store.rating_rules import today
from geo.store.shapes import contains_text
from geo.store.together import places, words
from geo.tables import (
    Compound,
    FirmRating,
    Inspection,
    Issue,
    NetCompound,
    NetGrid,
    Organisation,
    RatingEvidence,
    RatingRule,
    RatingStep,
)
from geo.terms import IssueState, RatingAct, RatingState

LATEST: Final = 500
OPEN_ACTS: Final = (RatingAct.ANSWER.value, RatingAct.DECIDE.value)
"""What was said that everybody reads beside public figures: the firm's answer, the decision."""
PREVIEW_DAYS: Final = 366
"""The longest period that a rule is tried on."""


@dataclass(frozen=True)
class Period:
    """What is rated: a compound, by a rule, from the first to the last day."""

    rule: int
    compound: int
    since: date
    until: date


@dataclass(frozen=True)
class Reckoned:
    """What a rule says of a firm and a compound, and the facts it rests on."""

    firm: int
    firm_name: str
    points: int
    grade: str
    cost: dict[str, dict[str, int]]
    facts: list[dict[str, Any]]
    managed_days: int
    days: int


# ---- ratings -------------------------------------------------------------------------------------


def reckon(session: Session, viewer: Viewer, at: Moment, period: Period) -> Reckoned:
    """Return what a rule says of the firm of a compound, without keeping it.

    An issue counts as overdue or sent back only where the firm itself was to solve it. Facts of
    days on which another firm managed the compound do not count.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If there is no such rule, or no firm managed the compound on the last day.
    InvalidInputError
        If part of the compound lies outside the viewer's areas.
    ConflictError
        If the rule did not stand before the period, or the period is not over.
    """
    rights.demand(viewer, rights.TELLING)
    row, rule = rating_rules.one(session, at, period.rule)
    demand_order(row.published_on, row.begins_on, row.ends_on, period.since, period.until,
                 today(session, at))  # fmt: skip
    main_grid(session, viewer, at, period.compound)
    firms = rating_facts.managed(session, at, period.since, period.until, [period.compound])
    if not firms:
        raise NotFoundError(
            "No property firm managed this compound on the last day of the period.",
            compound=period.compound,
        )
    firm = firms[0]
    if firm.days < rule.least_days:
        raise ConflictError(
            f"The firm managed the compound on {firm.days} days of the period;"
            f" the rule asks for {rule.least_days}.",
            reason="too_few_days", value=firm.days, most=rule.least_days,
        )  # fmt: skip
    facts = rating_facts.facts_of(session, at, rule, firms)[firm.compound]
    return _reckoned(rule, firm, facts, period.since, period.until)


def _reckoned(rule: Rule, firm: Managed, facts: list[Any], since: date, until: date) -> Reckoned:
    points, cost = points_of(rule, [one["criterion"] for one in facts])
    days = (until - since).days + 1
    return Reckoned(firm.firm, firm.firm_name, points, grade_of(rule, points), cost, facts,
                    firm.days, days)  # fmt: skip


def tried(
    session: Session, viewer: Viewer, at: Moment, content: dict[str, Any], since: date, until: date
) -> list[dict[str, Any]]:
    """Return what a rule that is being written would say of a period that is over; keep nothing.

    Each firm that managed a compound on the last day, the fewest points first: `compound`,
    `compound_name`, `firm`, `firm_name`, `points`, `grade`, `cost`, `managed_days`, `days`,
    `rated` (false where it managed the compound on too few days).

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If the rule or the period cannot be used.
    """
    rights.demand(viewer, rights.ADMINISTRATORS)
    rule = rating_rules.checked(session, at, content)
    if not (since <= until < today(session, at) and (until - since).days < PREVIEW_DAYS):
        raise InvalidInputError(
            "A period of a year at most that is over.", field="tried_since", reason="tried_period"
        )
    firms = rating_facts.managed(session, at, since, until)
    found = rating_facts.facts_of(session, at, rule, firms)
    wanted = select(Compound.compound_id, Compound.name).where(Compound.city_id == at.city_id)
    names = {row.compound_id: row.name for row in session.execute(wanted)}
    rows = []
    for firm in firms:
        row = _reckoned(rule, firm, found[firm.compound], since, until)
        rows.append({
            "compound": firm.compound, "compound_name": names[firm.compound], "firm": row.firm,
            "firm_name": row.firm_name, "points": row.points, "grade": row.grade, "cost": row.cost,
            "managed_days": row.managed_days, "days": row.days,
            "rated": firm.days >= rule.least_days,
        })  # fmt: skip
    return sorted(rows, key=lambda one: (not one["rated"], one["points"], one["compound"]))


def main_grid(session: Session, viewer: Viewer, at: Moment, compound: int) -> dict[str, Any]:
    """Return the grid that has most of a compound, all of which must be in the viewer's areas."""
    parts = session.execute(
        select(NetCompound.grid_id, rights.in_reach(NetGrid, viewer).label("own"))
        .join(NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == NetCompound.grid_id))
        .where(
            NetCompound.city_id == at.city_id,
            NetCompound.seq == at.seq,
            NetCompound.compound_id == compound,
        )
        .order_by(NetCompound.share_of_compound.desc(), NetCompound.grid_id)
    ).all()
    if not parts or not all(part.own for part in parts):
        raise InvalidInputError(
            "A compound is rated by whose areas hold all of it.", field="compound",
            reason="elsewhere",
        )  # fmt: skip
    return places.of_grid(session, viewer, at, parts[0].grid_id)


def tell(session: Session, viewer: Viewer, at: Moment, period: Period) -> int:
    """Rate the firm of a compound and tell it; return the rating's number.

    From now on it may answer and appeal; everybody sees the figures after the answer period.

    Raises
    ------
    WanggeError
        As `reckon`; and `ConflictError` if this period is rated already (`reason` "rated_already").
    """
    reckoned = reckon(session, viewer, at, period)
    _, rule = rating_rules.one(session, at, period.rule)
    day = today(session, at)
    dates = dates_of(rule, day)
    values = {
        "city_id": at.city_id, "rule_id": period.rule, "organisation_id": reckoned.firm,
        "compound_id": period.compound, "since": period.since, "until": period.until,
        "managed_days": reckoned.managed_days,
        "state": RatingState.TOLD.value, "points": reckoned.points, "grade": reckoned.grade,
        "deducted": reckoned.cost, "told_on": day, "made_by": viewer.user_id,
        "answer_until": dates.answer_until, "appeal_until": dates.appeal_until,
        "public_from": dates.public_from, "expires_on": dates.expires_on,
        **main_grid(session, viewer, at, period.compound),
    }  # fmt: skip
    try:
        with session.begin_nested():
            made = insert(FirmRating).values(**values).returning(FirmRating.rating_id)
            rating = int(session.execute(made).scalar_one())
    except IntegrityError as error:
        raise ConflictError(
            "Part of this period is rated already by this rule.", reason="rated_already"
        ) from error
    if reckoned.facts:
        session.execute(
            insert(RatingEvidence),
            [
                {
                    "city_id": at.city_id, "rating_id": rating, "n": n,
                    "criterion": one["criterion"], "issue_id": one["issue"],
                    "inspection_id": one["inspection"], "happened_on": one["happened_on"],
                    "points": one["points"], "what": one["what"],
                }
                for n, one in enumerate(reckoned.facts, start=1)
            ],
        )  # fmt: skip
    _step(session, viewer, at, rating, RatingAct.TELL, None, reckoned.points)
    told = {"firm": reckoned.firm, "compound": period.compound, "points": reckoned.points,
            "facts": len(reckoned.facts)}  # fmt: skip
    audit.append(session, at.city_id, "firm_rating.tell", f"firm_rating/{rating}", told)
    return rating


def _step(
    session: Session,
    viewer: Viewer,
    at: Moment,
    rating: int,
    act: RatingAct,
    said: str | None,
    points: int,
) -> None:
    session.execute(
        insert(RatingStep).inline().values(
            city_id=at.city_id, rating_id=rating, act=act.value, words=said,
            actor_id=viewer.user_id, actor_role=viewer.role.value, points=points,
        )
    )  # fmt: skip


def do(
    session: Session,
    viewer: Viewer,
    at: Moment,
    rating: int,
    act: RatingAct,
    said: str,
    points: int | None = None,
    version: int | None = None,
) -> RatingState:
    """Answer, appeal, decide or withdraw; return where the rating stands.

    The firm answers and appeals itself, or the desk writes down what it handed in. Who made a
    rating does not decide on its appeal, and a decision costs the firm no more than before.

    Raises
    ------
    NotFoundError
        If the viewer may see no such rating as one of its own.
    ForbiddenError
        If this is for others.
    ConflictError
        If it cannot be done in its state, its time is over, or the same person would decide.
    StaleEditError
        If something was said since the `version` that the viewer knows.
    InvalidInputError
        If words or points cannot be used.
    """
    row = session.scalars(
        select(FirmRating)
        .where(
            FirmRating.rating_id == rating, places.seen(FirmRating, viewer, own_work=True)
        )
        .with_for_update()
    ).one_or_none() if viewer.staff and viewer.city_id == at.city_id else None  # fmt: skip
    if row is None:
        raise NotFoundError(f"There is no rating {rating} of yours.", rating=rating)
    if version is not None and version != row.version:
        raise StaleEditError("Something was said about this rating since.", version=row.version)
    until = row.answer_until if act is RatingAct.ANSWER else row.appeal_until
    state = appeals.demand(
        viewer, act, RatingState(row.state), organisation=row.organisation_id, until=until,
        made_by=row.made_by, today=today(session, at),
    )  # fmt: skip
    kept = words.plain(said, "words")
    if act is RatingAct.DECIDE:
        _decide(session, at, row, points)
    row.state, row.version = state.value, row.version + 1
    _step(session, viewer, at, rating, act, kept, row.points)
    session.flush()
    audit.append(session, at.city_id, f"firm_rating.{act.value}", f"firm_rating/{rating}",
                 {"state": state.value, "points": row.points})  # fmt: skip
    return state


def _decide(session: Session, at: Moment, row: Any, points: int | None) -> None:
    wanted = row.points if points is None else points
    if not row.points <= wanted <= FULL:
        raise InvalidInputError(
            f"A decision leaves the firm {row.points} to {FULL} points.", field="points",
            reason="points",
        )  # fmt: skip
    _, rule = rating_rules.one(session, at, row.rule_id)
    row.points, row.grade = wanted, grade_of(rule, wanted)


# ---- reading -------------------------------------------------------------------------------------


def shown(day: date) -> ColumnElement[bool]:
    """Return the condition of ratings that everybody may see on a day."""
    return and_(
        FirmRating.state.in_([RatingState.TOLD.value, RatingState.DECIDED.value]),
        FirmRating.public_from <= day,
        FirmRating.expires_on > day,
    )


def listed(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    compound: int | None = None,
    firm: int | None = None,
    rating: int | None = None,
    state: RatingState | None = None,
    grade: str | None = None,
    q: str | None = None,
) -> list[dict[str, Any]]:
    """Return ratings, the latest first: one's own, and those that everybody may see."""
    day = today(session, at)
    mine: ColumnElement[bool] = false()
    if viewer.staff and viewer.city_id == at.city_id:
        mine = func.coalesce(places.seen(FirmRating, viewer, own_work=True), false())
    statement = _listed(day, mine).where(FirmRating.city_id == at.city_id, or_(shown(day), mine))
    if rating is not None:
        statement = statement.where(FirmRating.rating_id == rating)
    if compound is not None:
        statement = statement.where(FirmRating.compound_id == compound)
    if firm is not None:
        statement = statement.where(FirmRating.organisation_id == firm)
    if state is not None:
        statement = statement.where(FirmRating.state == state.value)
    if grade is not None:
        statement = statement.where(FirmRating.grade == grade)
    if q:
        named = or_(contains_text(Organisation.name, q), contains_text(Compound.name, q))
        statement = statement.where(named)
    order = statement.order_by(FirmRating.until.desc(), FirmRating.rating_id.desc()).limit(LATEST)
    return [dict(row._mapping) for row in session.execute(order)]


def _listed(day: date, mine: ColumnElement[bool]) -> Any:
    return (
        select(
            FirmRating.rating_id.label("rating"), FirmRating.rule_id.label("rule"),
            RatingRule.title.label("rule_title"), FirmRating.organisation_id.label("firm"),
            Organisation.name.label("firm_name"), FirmRating.compound_id.label("compound"),
            Compound.name.label("compound_name"), FirmRating.since, FirmRating.until,
            FirmRating.managed_days, FirmRating.version,
            FirmRating.state, FirmRating.points, FirmRating.grade, FirmRating.deducted,
            FirmRating.told_on, FirmRating.answer_until, FirmRating.appeal_until,
            FirmRating.public_from, FirmRating.expires_on, shown(day).label("shown"),
            mine.label("mine"), FirmRating.made_by,
            func.ST_X(func.ST_PointOnSurface(Compound.geom)).label("lon"),
            func.ST_Y(func.ST_PointOnSurface(Compound.geom)).label("lat"),
        )
        .join(RatingRule, and_(RatingRule.city_id == FirmRating.city_id,
                               RatingRule.rule_id == FirmRating.rule_id))
        .join(Organisation, and_(Organisation.city_id == FirmRating.city_id,
                                 Organisation.organisation_id == FirmRating.organisation_id))
        .join(Compound, and_(Compound.city_id == FirmRating.city_id,
                             Compound.compound_id == FirmRating.compound_id))
    )  # fmt: skip


def _fallen() -> ColumnElement[bool]:
    """Return the condition of facts that would not count any more."""
    fallen = or_(
        Inspection.withdrawn_at.is_not(None),
        and_(Inspection.appealed_on.is_not(None), Inspection.decided_on.is_(None)),
        Issue.set_aside.is_not(None),
        Issue.state == IssueState.VOID.value,
    )
    return func.coalesce(fallen, false())


def show(session: Session, viewer: Viewer, at: Moment, rating: int) -> dict[str, Any]:
    """Return one rating: to its own people with facts and all that was said, else with answers.

    Raises
    ------
    NotFoundError
        If there is none that the viewer may see.
    """
    rows = listed(session, viewer, at, rating=rating)
    if not rows:
        raise NotFoundError(f"There is no rating {rating}.", rating=rating)
    found = rows[0]
    told = true() if found["mine"] else RatingStep.act.in_(OPEN_ACTS)
    own = and_(RatingEvidence.city_id == at.city_id, RatingEvidence.rating_id == rating)
    facts = session.execute(
        select(
            RatingEvidence.n, RatingEvidence.criterion, RatingEvidence.issue_id.label("issue"),
            RatingEvidence.inspection_id.label("inspection"), RatingEvidence.happened_on,
            RatingEvidence.points, RatingEvidence.what, _fallen().label("fallen"),
        )
        .outerjoin(Inspection, and_(Inspection.city_id == RatingEvidence.city_id,
                                    Inspection.inspection_id == RatingEvidence.inspection_id))
        .outerjoin(Issue, and_(Issue.city_id == RatingEvidence.city_id,
                               Issue.issue_id == RatingEvidence.issue_id))
        .where(own)
        .order_by(RatingEvidence.n)
    )  # fmt: skip
    said = session.execute(
        select(RatingStep.at, RatingStep.act, RatingStep.words, RatingStep.actor_role,
               RatingStep.points)
        .where(RatingStep.city_id == at.city_id, RatingStep.rating_id == rating, told)
        .order_by(RatingStep.step_id)
    )  # fmt: skip
    made_by = found.pop("made_by")
    acts = appeals.open_acts(
        viewer, RatingState(found["state"]), organisation=found["firm"], made_by=made_by,
        answer_until=found["answer_until"], appeal_until=found["appeal_until"],
        today=today(session, at),
    ) if found["mine"] else []  # fmt: skip
    return {
        **found,
        "acts": acts,
        "content": rating_rules.one(session, at, found["rule"])[0].content,
        "facts": [dict(row._mapping) for row in facts] if found["mine"] else [],
        "steps": [dict(row._mapping) for row in said],
    }
