"""The rules of a city as its staff read them and its administrators change them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.deadlines import Limit
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError
from geo.saying import phrase
from geo.store import audit, office, rights
from geo.store.cases import ruling
from geo.store.cases.routing import Route, route
from geo.store.cases.rules import MAIN_STEPS, Rules, rules_of
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.tables import Category, LimitRule, NetGrid, Organisation, RoutingRule, WorkingCalendar
from geo.terms import LimitUnit, Shown

LONGEST_LAW: Final = 200
AHEAD: Final = timedelta(days=120)
"""So far the working days of the country are listed."""
Routing = ruling.Route
"""What a rule of who takes what says."""
_NOW: Final = select(func.clock_timestamp())
EVERY: Final = ""
"""Category of a limit that holds for all."""


def book(session: Session, viewer: Viewer, at: Moment) -> dict[str, Any]:
    """Return all rules of a city with what they inherit, for its staff.

    Returns
    -------
    dict
        `steps`; `categories`, each with lead, law, where it is shown and, for each step, the limit
        with the category that says it (`of`, empty: all) and whether it is the city's `own`;
        `routing` in order; `days`, the city's own; `other_days`, those of the next months on which
        the city works at a weekend or rests in the week.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    """
    if not viewer.staff or viewer.city_id != at.city_id:
        raise ForbiddenError("Rules are read by the staff of the city.")
    rules, own = rules_of(session, at.city_id), ruling.listed(session, at.city_id)
    names = _names(session, at, rules)
    steps = steps_of(rules)
    return {
        "steps": steps,
        "categories": _categories(session, rules, own["limits"], steps, names),
        "routing": [_routing(row, names) for row in own["routing"]],
        "days": own["days"],
        "other_days": _other_days(rules, at.day),
    }


def steps_of(rules: Rules) -> list[str]:
    """Return the steps that a limit may be set for, the main ones first."""
    further = {step for _, step in rules.limits} - set(MAIN_STEPS)
    return [*MAIN_STEPS, *sorted(further)]


def grid_called(session: Session, at: Moment, word: str) -> int:
    """Return the grid of a code, or of a name that one grid alone has.

    Raises
    ------
    InvalidInputError
        If there is none, or several have this name.
    """
    wanted = office.clean(word, "grid")
    found = session.scalars(
        select(NetGrid.grid_id)
        .where(of_net(NetGrid, at), or_(NetGrid.code == wanted, NetGrid.name == wanted))
        .limit(2)
    ).all()
    if len(found) == 1:
        return int(found[0])
    if found:
        told = phrase("Several grids are called %(name)s: write the code.", name=wanted)
        raise InvalidInputError(told, field="grid", reason="several_grids", value=wanted)
    told = phrase("No grid is called %(name)s.", name=wanted)
    raise InvalidInputError(told, field="grid", reason="no_grid", value=wanted)


def due(session: Session, at: Moment, category: str) -> dict[str, datetime]:
    """Return until when each main step would have to be done that began now."""
    rules, now = rules_of(session, at.city_id), session.execute(_NOW).scalar_one()
    found = {step: rules.by(category, step, now) for step in MAIN_STEPS}
    return {step: until for step, until in found.items() if until is not None}


def try_route(session: Session, viewer: Viewer, at: Moment, category: str, grid: int) -> Route:
    """Return who would take an issue of a category in a grid now, with the rules looked at.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    InvalidInputError
        If the city has no such category, or the net no such grid.
    """
    if not viewer.staff or viewer.city_id != at.city_id:
        raise ForbiddenError("Rules are read by the staff of the city.")
    areas = [getattr(NetGrid, f"area_{level}") for level in range(1, 7)]
    row = session.execute(
        select(*areas).where(of_net(NetGrid, at), NetGrid.grid_id == grid)
    ).one_or_none()
    if row is None:
        raise InvalidInputError("There is no such grid.", field="grid", reason="no_grid")
    line = tuple(one for one in row if one is not None)
    now = session.execute(_NOW).scalar_one()
    return route(rules_of(session, at.city_id), category, line, now)


# ---- changes, each a row of the log --------------------------------------------------------------


def put_limit(
    session: Session, viewer: Viewer, category: str, step: str, amount: float, unit: LimitUnit
) -> None:
    """Say how long a step may take; what is open keeps the deadline that it has.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If there is no such category or step, or the time is none.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    ruling.put_limit(session, city_id, category, step, Limit(amount, unit))


def put_day(session: Session, viewer: Viewer, day: date, note: str, *, working: bool) -> None:
    """Say that the city works on a day, or does not.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If the note is empty or too long.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    ruling.put_day(session, city_id, day, note, working=working)


def put_route(session: Session, viewer: Viewer, at: Moment, n: int, told: Routing) -> None:
    """Write the rule that is looked at as the n-th.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If it names something that the city does not have, or no day or time.
    """
    rights.demand(viewer, rights.ADMINISTRATORS)
    ruling.put_route(session, at, n, told)


def place_route(
    session: Session, viewer: Viewer, at: Moment, n: int, wish: Routing, was: int | None
) -> None:
    """Write a rule at a place of the order, one that stood elsewhere or a new one (`was` None).

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If another rule stands there, or as `put_route`.
    NotFoundError
        If the one that is moved is gone.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    here = (RoutingRule.city_id == city_id, RoutingRule.n == n)
    if was != n and session.scalar(select(RoutingRule.name).where(*here)) is not None:
        told = f"Another rule has the place {n}."
        raise InvalidInputError(told, field="n", reason="rule_taken", value=str(n))
    if was is not None and was != n:
        drop_route(session, viewer, was)
    put_route(session, viewer, at, n, wish)


def put_kind(
    session: Session,
    viewer: Viewer,
    category: str,
    *,
    lead: int | None,
    assisting: tuple[int, ...],
    legal_basis: str | None,
    shown: Shown | None,
) -> None:
    """Say who leads a category, by which law, and where it may be shown; None is inherited.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If the city has no such category.
    InvalidInputError
        If there is no such organisation, or the law is too long.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    bodies = {one for one in (lead, *assisting) if one is not None}
    known = session.scalars(
        select(Organisation.organisation_id).where(
            Organisation.city_id == city_id, Organisation.organisation_id.in_(bodies)
        )
    )
    for body in sorted(bodies - set(known)):
        told = f"The city has no organisation {body}."
        raise InvalidInputError(told, field="lead", reason="no_organisation", value=str(body))
    values = {
        "lead_id": lead,
        "assisting": list(assisting) or None,
        "legal_basis": office.optional(legal_basis, "legal_basis", LONGEST_LAW),
        # The database decides by this column what strangers find, so it is never left empty.
        "shown": (shown or _inherited(session, city_id, category)).value,
    }
    found = session.execute(
        update(Category)
        .where(Category.city_id == city_id, Category.category == category)
        .values(**values)
        .returning(Category.category)
    ).all()
    if not found:
        raise NotFoundError(f"There is no category '{category}'.", category=category)
    audit.append(session, city_id, "issue.rules", f"category/{category}", values)


def drop(session: Session, viewer: Viewer, table: ruling.Rule, **key: Any) -> None:
    """Take a rule of the city's own back.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If there is no such rule.
    """
    ruling.drop(session, rights.demand(viewer, rights.ADMINISTRATORS), table, **key)


def drop_limit(session: Session, viewer: Viewer, category: str, step: str) -> None:
    """Take a limit of the city's own back; the country's holds again. Raises as `drop`."""
    drop(session, viewer, LimitRule, category=category, step=step)


def drop_day(session: Session, viewer: Viewer, day: date) -> None:
    """Take a day of the city's own back. Raises as `drop`."""
    drop(session, viewer, WorkingCalendar, day=day)


def drop_route(session: Session, viewer: Viewer, n: int) -> None:
    """Take a rule of who takes what back. Raises as `drop`."""
    drop(session, viewer, RoutingRule, n=n)


# ---- what is told --------------------------------------------------------------------------------


def _inherited(session: Session, city_id: int, category: str) -> Shown:
    rules = rules_of(session, city_id)
    kind = rules.kinds.get(category)
    above = kind.line[1:] if kind else ()
    found = next((rules.kinds[code].shown for code in above if code in rules.kinds), None)
    return found or rules.profile.shown_at(category)


def _categories(
    session: Session,
    rules: Rules,
    own: list[dict[str, Any]],
    steps: list[str],
    names: Mapping[str, Mapping[Any, str]],
) -> list[dict[str, Any]]:
    said = {(row["category"], row["step"]) for row in own}
    rows = session.execute(
        select(Category.category, Category.parent, Category.root, Category.lead_id)
        .where(Category.city_id == rules.city_id)
        .order_by(Category.root, Category.category)
    )
    found = []
    for row in rows:
        kind = rules.kinds[row.category]
        limits = [_limit(rules, kind.line, step, said) for step in steps]
        found.append(
            {
                "category": row.category, "parent": row.parent, "root": row.root,
                "name": kind.name, "name_en": kind.name_en, "lead": kind.lead,
                "lead_name": names["bodies"].get(kind.lead), "own_lead": row.lead_id is not None,
                "assisting": list(kind.assisting),
                "assisting_names": [names["bodies"].get(one, "") for one in kind.assisting],
                "legal_basis": kind.legal_basis, "shown": kind.shown.value,
                "limits": [one for one in limits if one is not None],
            }
        )  # fmt: skip
    return found


def _limit(
    rules: Rules, line: tuple[str, ...], step: str, said: set[tuple[str, str]]
) -> dict[str, Any] | None:
    of = next((code for code in (*line, EVERY) if (code, step) in rules.limits), None)
    if of is None:
        return None
    limit = rules.limits[of, step]
    return {
        "step": step, "amount": limit.amount, "unit": limit.unit.value, "of": of,
        "own": (of, step) in said,
    }  # fmt: skip


def _routing(row: Mapping[str, Any], names: Mapping[str, Mapping[Any, str]]) -> dict[str, Any]:
    bodies, kinds = names["bodies"], names["kinds"]
    helping = row["assisting"] or []
    return {
        "n": row["n"], "name": row["name"], "grid": row["grid_id"],
        "grid_name": names["grids"].get(row["grid_id"]),
        "grid_code": names["codes"].get(row["grid_id"]), "category": row["category"],
        "category_name": kinds.get(row["category"]), "weekdays": row["weekdays"],
        "from_time": row["from_time"], "to_time": row["to_time"],
        "organisation": row["organisation_id"],
        "organisation_name": bodies.get(row["organisation_id"]), "assisting": helping,
        "assisting_names": [bodies.get(one, "") for one in helping],
        "desk_level": row["desk_level"],
    }  # fmt: skip


def _names(session: Session, at: Moment, rules: Rules) -> dict[str, dict[Any, str]]:
    wanted = {row.grid_id for row in rules.routing if row.grid_id is not None}
    bodies = {body for kind in rules.kinds.values() for body in (kind.lead, *kind.assisting)}
    for row in rules.routing:
        bodies |= {row.organisation_id, *(row.assisting or ())}
    grids = session.execute(
        select(NetGrid.grid_id, NetGrid.name, NetGrid.code).where(
            of_net(NetGrid, at), NetGrid.grid_id.in_(wanted)
        )
    ).all()
    named = session.execute(
        select(Organisation.organisation_id, Organisation.name).where(
            Organisation.city_id == at.city_id, Organisation.organisation_id.in_(bodies - {None})
        )
    )
    return {
        "grids": {row.grid_id: row.name for row in grids},
        "codes": {row.grid_id: row.code for row in grids if row.code},
        "bodies": {row.organisation_id: row.name for row in named},
        "kinds": {code: kind.name for code, kind in rules.kinds.items()},
    }


def _other_days(rules: Rules, today: date) -> list[dict[str, Any]]:
    """Return days ahead on which the city works at a weekend or rests in the week."""
    days = (today + timedelta(days=n) for n in range(AHEAD.days))
    return [
        {"day": day, "working": works}
        for day in days
        if (works := rules.calendar.works(day)) != (day.isoweekday() < 6)
    ]
