"""Who takes an issue: ordered rules by area, category and time that explain themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, time
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo.saying import phrase
from geo.store.cases.rules import Rules, rules_of
from geo.store.grids import grids_at
from geo.store.nets import Moment


@dataclass(frozen=True)
class Step:
    """A rule that was looked at, whether it holds, and why not."""

    name: str
    holds: bool
    why: str


@dataclass(frozen=True)
class Route:
    """Where an issue goes.

    Parameters
    ----------
    organisation : int or None
        Department that leads; None leaves it to the desk of the territory.
    assisting : tuple of int
    desk_level : int
        Level of the grid whose desk is in charge.
    rule : str
        Name of the rule that decided.
    steps : tuple of Step
        All rules until then, in order.
    """

    organisation: int | None
    assisting: tuple[int, ...]
    desk_level: int
    rule: str
    steps: tuple[Step, ...]

    def row(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


TERRITORY = phrase("territory")
LEAD = phrase("lead of the category")
NOT_OWN_RULES = (TERRITORY, LEAD)
"""What decides where no rule of the city does."""


def explain(
    session: Session, at: Moment, category: str, line: tuple[int, ...], moment: datetime
) -> Route:
    """Return who would take an issue of a category in a grid at a moment, and why.

    Raises
    ------
    InvalidInputError
        If the city has no such category.
    """
    return route(rules_of(session, at.city_id), category, line, moment)


def explain_at(session: Session, at: Moment, category: str, lon: float, lat: float) -> Route:
    """Return who would take an issue of a category at a place (degrees) now, and why.

    Raises
    ------
    OutsideCityError
        If the place lies outside the city.
    InvalidInputError
        If the city has no such category.
    """
    _, up = grids_at(session, at, lon, lat)
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    return explain(session, at, category, tuple(up[::-1]), now)


def route(rules: Rules, category: str, line: tuple[int, ...], moment: datetime) -> Route:
    """Return who takes an issue: the first rule that holds, else the lead, else the territory.

    Parameters
    ----------
    rules : Rules
    category : str
    line : tuple of int
        Grids that hold the place, from the top.
    moment : datetime
        Aware; when it was reported.

    Raises
    ------
    InvalidInputError
        If the city has no such category.
    """
    kind = rules.kind(category)
    start = rules.start(len(line))
    local = moment.astimezone(rules.zone)
    steps: list[Step] = []
    for rule in rules.routing:
        why = _why_not(rule, kind.line, line, local)
        steps.append(Step(rule.name, not why, why or phrase("all conditions hold")))
        if not why:
            level = min(rule.desk_level or start, len(line))
            helping = tuple(rule.assisting or ())
            return Route(rule.organisation_id, helping, level, rule.name, tuple(steps))
    if kind.lead is not None:
        steps.append(Step(LEAD, True, phrase("%(kind)s has a lead", kind=kind.code)))
        return Route(kind.lead, kind.assisting, start, LEAD, tuple(steps))
    steps.append(Step(LEAD, False, phrase("%(kind)s has no lead", kind=kind.code)))
    steps.append(Step(TERRITORY, True, phrase("what nobody owns falls to the territory")))
    return Route(None, (), start, TERRITORY, tuple(steps))


def _why_not(rule: Any, kinds: tuple[str, ...], line: tuple[int, ...], local: datetime) -> str:
    """Return the first condition that does not hold; empty when all do."""
    if rule.grid_id is not None and rule.grid_id not in line:
        return phrase("outside grid %(grid)s", grid=rule.grid_id)
    if rule.category is not None and rule.category not in kinds:
        return phrase("not below %(kind)s", kind=rule.category)
    if rule.weekdays is not None and local.isoweekday() not in rule.weekdays:
        return phrase("on another day of the week")
    if rule.from_time is not None and not _within(local.time(), rule.from_time, rule.to_time):
        begins, ends = f"{rule.from_time:%H:%M}", f"{rule.to_time:%H:%M}"
        return phrase("not between %(begins)s and %(ends)s", begins=begins, ends=ends)
    return ""


def _within(at: time, begins: time, ends: time) -> bool:
    """Say whether a time lies in a stretch of the day, which may pass midnight; its end is out."""
    if begins <= ends:
        return begins <= at < ends
    return at >= begins or at < ends
