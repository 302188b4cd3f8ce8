"""The city's own rules for its issues are listed and changed: who takes what, limits, days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, time
from typing import Any, Final

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from geo.deadlines import Limit
from geo.errors import InvalidInputError, NotFoundError
from geo.profiles import load_profile
from geo.store import audit, office
from geo.store.cases.rules import MAIN_STEPS
from geo.store.nets import Moment
from geo.tables import (
    Category,
    City,
    LimitRule,
    NetGrid,
    Organisation,
    RoutingRule,
    WorkingCalendar,
)

MOST_AMOUNT: Final = 10_000
MOST_RULES: Final = 999
Rule = type[RoutingRule] | type[LimitRule] | type[WorkingCalendar]


@dataclass(frozen=True)
class Route:
    """An ordered rule; a condition that is None holds always.

    `weekdays` are 1 (Monday) to 7, the times a stretch of the day in the city's zone that may pass
    midnight. Without an organisation what it fits stays with the desk of the territory.
    """

    name: str
    grid_id: int | None = None
    category: str | None = None
    weekdays: tuple[int, ...] | None = None
    from_time: time | None = None
    to_time: time | None = None
    organisation_id: int | None = None
    assisting: tuple[int, ...] | None = None
    desk_level: int | None = None


def listed(session: Session, city_id: int) -> dict[str, list[dict[str, Any]]]:
    """Return the city's own rules: `routing` in order, `limits`, `days`."""
    asked = {
        "routing": select(RoutingRule.__table__).order_by(RoutingRule.n),
        "limits": select(LimitRule.__table__).order_by(LimitRule.category, LimitRule.step),
        "days": select(WorkingCalendar.__table__).order_by(WorkingCalendar.day),
    }
    return {
        name: [
            {key: value for key, value in row._mapping.items() if key != "city_id"}
            for row in session.execute(wanted.where(wanted.selected_columns.city_id == city_id))
        ]
        for name, wanted in asked.items()
    }


def put_limit(session: Session, city_id: int, category: str, step: str, limit: Limit) -> None:
    """Say how long a step may take for a category and all below it; what is open keeps its own.

    Raises
    ------
    InvalidInputError
        If there is no such category or step, or the time is none.
    """
    _demand(session, Category.category, city_id, category, "category")
    profile = load_profile(
        session.execute(select(City.profile).where(City.city_id == city_id)).scalar_one()
    )
    steps = {*MAIN_STEPS, *(step for _, step in profile.limit_rules())}
    if step not in steps:
        told = f"A step is one of {', '.join(sorted(steps))}."
        raise InvalidInputError(told, field="step", reason="no_step")
    if not 0 < limit.amount <= MOST_AMOUNT:
        told = f"A limit is more than 0 and at most {MOST_AMOUNT}."
        raise InvalidInputError(told, field="amount", reason="range")
    key = {"category": category, "step": step}
    _put(session, city_id, LimitRule, key, {"amount": limit.amount, "unit": limit.unit.value})


def put_day(session: Session, city_id: int, day: date, note: str, *, working: bool) -> None:
    """Say that the city works on a day, or does not, whatever its country does.

    Raises
    ------
    InvalidInputError
        If the note is too long.
    """
    said = {"working": working, "note": office.clean(note, "note")}
    _put(session, city_id, WorkingCalendar, {"day": day}, said)


def put_route(session: Session, at: Moment, n: int, told: Route) -> None:
    """Write the rule that is looked at as the n-th; the first that holds decides.

    Raises
    ------
    InvalidInputError
        If it names something that the city does not have, or no day or time; `field` says what.
    """
    if not 1 <= n <= MOST_RULES:
        raise InvalidInputError(f"Rules are 1 to {MOST_RULES}.", field="n", reason="range")
    if told.category is not None:
        _demand(session, Category.category, at.city_id, told.category, "category")
    for body in (told.organisation_id, *(told.assisting or ())):
        if body is not None:
            _demand(session, Organisation.organisation_id, at.city_id, body, "organisation")
    if told.assisting and told.organisation_id is None:
        raise InvalidInputError("Who assists needs a lead.", field="organisation", reason="lead")
    if told.grid_id is not None:
        live = (NetGrid.from_seq <= at.seq, NetGrid.to_seq > at.seq)
        _demand(session, NetGrid.grid_id, at.city_id, told.grid_id, "grid", *live)
    if told.weekdays is not None and not (told.weekdays and set(told.weekdays) <= set(range(1, 8))):
        raise InvalidInputError("Days are 1 (Monday) to 7.", field="weekdays", reason="range")
    if (told.from_time is None) != (told.to_time is None):
        raise InvalidInputError("A stretch has both ends.", field="to_time", reason="times")
    if told.desk_level is not None and not 1 <= told.desk_level <= 6:
        raise InvalidInputError("A level is 1 to 6.", field="desk_level", reason="range")
    values = asdict(told) | {"name": office.clean(told.name, "name")}
    values["weekdays"] = sorted(set(told.weekdays)) if told.weekdays else None
    values["assisting"] = list(told.assisting) if told.assisting else None
    _put(session, at.city_id, RoutingRule, {"n": n}, values)


def drop(session: Session, city_id: int, table: Rule, **key: Any) -> None:
    """Take a rule back: the country's, the category's lead or the territory decides again.

    Raises
    ------
    NotFoundError
        If there is no such rule.
    """
    if _taken(session, city_id, table, key) is None:
        raise NotFoundError("There is no such rule of the city's own.", **_plain(key))


def _demand(
    session: Session, column: Any, city_id: int, value: object, field: str, *more: Any
) -> None:
    own = column.class_.city_id == city_id
    if session.scalar(select(column).where(own, column == value, *more).limit(1)) is None:
        raise InvalidInputError(f"The city has no {field} '{value}'.", field=field, reason="none")


def _put(
    session: Session, city_id: int, table: Rule, key: dict[str, Any], values: dict[str, Any]
) -> None:
    was = _taken(session, city_id, table, key, told=values)
    session.execute(insert(table).values(city_id=city_id, **key, **values))
    if was is None:
        _note(session, city_id, table, key, {"now": _plain(values)})


def _taken(
    session: Session,
    city_id: int,
    table: Rule,
    key: dict[str, Any],
    told: dict[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Take the row of a key away and note what it said; None if there was none."""
    own = [table.city_id == city_id, *(getattr(table, name) == key[name] for name in key)]
    row = session.execute(delete(table).where(*own).returning(table.__table__)).first()
    if row is None:
        return None
    was = {name: row._mapping[name] for name in row._mapping if name not in {"city_id", *key}}
    more = {"now": _plain(told)} if told is not None else {}
    _note(session, city_id, table, key, {"was": _plain(was), **more})
    return was


def _note(
    session: Session, city_id: int, table: Rule, key: dict[str, Any], what: dict[str, Any]
) -> None:
    named = "/".join(str(one) for one in key.values())
    audit.append(session, city_id, "issue.rules", f"{table.__tablename__}/{named}", what)


def _plain(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them, without what is not said."""
    return {
        name: value.isoformat() if isinstance(value, date | time) else value
        for name, value in said.items()
        if value is not None
    }
