"""Rules for rating property firms: published before they begin, ended, never changed."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, InvalidInputError, NotFoundError
from geo.ratings import Rule, content_of, rule_of
from geo.store import audit, rights
from geo.store.nets import Moment
from geo.store.together import words
from geo.tables import Category, RatingRule


def today(session: Session, at: Moment) -> date:
    """Return the present day in the city's zone, whatever day is asked about."""
    now: datetime = session.scalar(select(func.clock_timestamp()))  # type: ignore[assignment]
    return now.astimezone(ZoneInfo(at.timezone)).date()


def publish(
    session: Session,
    viewer: Viewer,
    at: Moment,
    title: str,
    begins_on: date,
    content: dict[str, Any],
) -> int:
    """Publish a rule today that begins on a later day; it can be ended, never changed.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If it cannot be used, or would begin today or earlier.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    content = content_of(checked(session, at, content))
    day = today(session, at)
    if not day < begins_on < date(2999, 1, 1):
        raise InvalidInputError(
            "A rule begins after the day on which it is published.", field="begins_on",
            reason="published_first",
        )  # fmt: skip
    values = {"title": words.title(title, "title"), "published_on": day, "begins_on": begins_on}
    made = insert(RatingRule).values(city_id=city_id, content=content, **values)
    rule = int(session.scalar(made.returning(RatingRule.rule_id)) or 0)
    told = {"title": values["title"], "begins_on": begins_on.isoformat(), "content": content}
    audit.append(session, city_id, "rating_rule.published", f"rating_rule/{rule}", told)
    return rule


def checked(session: Session, at: Moment, content: dict[str, Any]) -> Rule:
    """Return a rule whose titles name nobody, and whose categories the city has.

    Raises
    ------
    InvalidInputError
        If it cannot be used; `reason` says why.
    """
    rule = rule_of(content)
    for title in (*(one.title for one in rule.criteria), *(title for title, _ in rule.grades)):
        words.title(title, "content", 80)
    wanted = {code for one in rule.criteria for code in one.categories}
    known = set(
        session.scalars(
            select(Category.category).where(
                Category.city_id == at.city_id, Category.category.in_(wanted)
            )
        )
    )
    if wanted - known:
        missing = min(wanted - known)
        raise InvalidInputError(
            f"The city has no category {missing}.", field="content", reason="no_category",
            value=missing,
        )  # fmt: skip
    return rule


def end(session: Session, viewer: Viewer, at: Moment, rule: int, ends_on: date) -> None:
    """End a rule on a day to come; what was rated by it stays.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If there is none.
    InvalidInputError
        If the day has passed.
    ConflictError
        If an end was published before.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    if not today(session, at) < ends_on < date(2999, 1, 1):
        raise InvalidInputError("Say a day to come.", field="ends_on", reason="day_to_come")
    one(session, at, rule)
    ended = session.execute(
        update(RatingRule)
        .where(RatingRule.city_id == city_id, RatingRule.rule_id == rule,
               RatingRule.ends_on.is_(None))
        .values(ends_on=ends_on)
        .returning(RatingRule.rule_id)
    )  # fmt: skip
    if ended.first() is None:
        raise ConflictError("An end of this rule was published before.", reason="end_published")
    audit.append(session, city_id, "rating_rule.ended", f"rating_rule/{rule}",
                 {"ends_on": ends_on.isoformat()})  # fmt: skip


def listed(session: Session, at: Moment) -> list[dict[str, Any]]:
    """Return the rules of a city, the latest first; open to everybody."""
    rows = session.execute(
        select(
            RatingRule.rule_id.label("rule"), RatingRule.title, RatingRule.published_on,
            RatingRule.begins_on, RatingRule.ends_on, RatingRule.content,
        )
        .where(RatingRule.city_id == at.city_id)
        .order_by(RatingRule.begins_on.desc(), RatingRule.rule_id.desc())
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def one(session: Session, at: Moment, rule: int) -> tuple[Any, Rule]:
    """Return a rule's row, and the rule.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    row = session.scalars(
        select(RatingRule).where(RatingRule.city_id == at.city_id, RatingRule.rule_id == rule)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no rule {rule}.", rule=rule)
    return row, rule_of(row.content)


def categories(session: Session, at: Moment) -> list[dict[str, Any]]:
    """Return the city's categories that a rule may name, in the order of the tree."""
    rows = session.execute(
        select(Category.category, Category.parent, Category.name, Category.name_en)
        .where(Category.city_id == at.city_id)
        .order_by(Category.category)
    )
    return [dict(row._mapping) for row in rows]
