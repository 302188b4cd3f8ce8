"""What an act would do, before anybody does it: who gets the issue and until when.

An act is tried on a copy of the row by the very code that does it, so that what is foreseen cannot
differ from what happens. Nothing is written, and nothing is locked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, NotFoundError, WanggeError
from geo.issues import DEPARTMENT, transition, way_to
from geo.store import rights
from geo.store.cases.acting import (
    EFFECTS,
    NEVER,
    ActWish,
    Trial,
    demand_few,
    demand_fresh,
    line_of,
    relations_of,
)
from geo.store.cases.rules import Rules, rules_of
from geo.store.grids import names
from geo.store.nets import Moment
from geo.tables import Issue, Organisation
from geo.terms import IssueAct, IssueState, Relation

_WRITING: Final = frozenset({IssueAct.MERGE, IssueAct.SPLIT})
"""Acts that touch other rows as well: they are told by the table alone."""
_OVER: Final = frozenset({IssueState.CLOSED, IssueState.VOID})
_WITH_BODY: Final = frozenset({
    IssueState.DISPATCHED, IssueState.REWORKED, IssueState.POSTPONED, IssueState.SUSPENDED,
    IssueState.PARKED,
})  # fmt: skip
"""States in which the body that it was sent to has it; in all other open ones it is the desk."""
AT_ONCE: Final = (
    IssueAct.ACCEPT, IssueAct.VERIFY, IssueAct.REGISTER, IssueAct.DISPATCH, IssueAct.RETURN,
    IssueAct.HANDLE, IssueAct.CHECK, IssueAct.REWORK, IssueAct.RESUME, IssueAct.TAKE_UP,
    IssueAct.SUSPEND, IssueAct.ESCALATE, IssueAct.REOPEN,
)  # fmt: skip
"""Acts that can be foreseen before anything is filled in."""
_WHY: Final = "-"
"""Stands for the reason that is written later."""


def foresee(
    session: Session,
    viewer: Viewer,
    at: Moment,
    issues: Sequence[int],
    what: IssueAct,
    wish: ActWish | None = None,
) -> list[dict[str, Any]]:
    """Return what an act would make of each issue, in the order asked for.

    Each has `issue` and `ok`; where it can be done, `state`, `due_at` (None: no limit runs, or the
    desk has it at once), `organisation` with `organisation_name` or else the `desk` (name of the
    grid) that gets it, `rule` (by which it was routed), `through` (steps done before it); otherwise
    `code` and `message`.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    InvalidInputError
        If there are too many.
    """
    if viewer.city_id != at.city_id or not viewer.staff:
        raise ForbiddenError("This is for staff of the city.")
    demand_few(issues)
    rows = session.scalars(
        select(Issue).where(rights.issues_seen(viewer), Issue.issue_id.in_(set(issues)))
    )
    known = {row.issue_id: row for row in rows}
    rules, now = rules_of(session, at.city_id), _now(session)
    told = []
    for issue in dict.fromkeys(issues):
        try:
            if issue not in known:
                raise NotFoundError(f"There is no issue {issue} in your reach.", issue=issue)
            done = _tried(session, viewer, rules, known[issue], what, wish or ActWish(), now)
        except WanggeError as error:
            told.append({"issue": issue, "ok": False, **error.data, "code": error.code,
                         "message": error.message})  # fmt: skip
        else:
            told.append({"issue": issue, "ok": True, **done})
    return _named(session, at, told)


def foreseen(
    session: Session, viewer: Viewer, at: Moment, row: Any, acts: Sequence[IssueAct]
) -> dict[str, dict[str, Any]]:
    """Return what each act would make of an issue, without those that need to know more."""
    rules, now = rules_of(session, at.city_id), _now(session)
    told: list[dict[str, Any]] = []
    for what in acts:
        if what not in AT_ONCE:
            continue
        try:
            done = _tried(session, viewer, rules, row, what, ActWish(through=True), now)
        except WanggeError:
            continue
        told.append({"act": what.value, **done})
    return {one.pop("act"): one for one in _named(session, at, told)}


def ways(row: Any, are: frozenset[Relation]) -> dict[str, list[str]]:
    """Return the acts that can be done with the steps before them in one go, and those steps."""
    found = {what: way_to(what, IssueState(row.state), are) for what in IssueAct}
    return {what.value: [one.value for one in way] for what, way in found.items() if len(way) > 1}


def _now(session: Session) -> datetime:
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _tried(
    session: Session, viewer: Viewer, rules: Rules, row: Any, what: IssueAct, wish: ActWish,
    now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """Return what an act would make of a row; raise what the act would."""
    demand_fresh(row, wish)
    are = relations_of(row, viewer)
    way = way_to(what, IssueState(row.state), are) if wish.through else ()
    columns = {one.name: getattr(row, one.name) for one in Issue.__table__.columns}
    copy = SimpleNamespace(**columns)
    details: dict[str, Any] = {}
    for step in way or (what,):
        found = transition(step, IssueState(copy.state), are, wish.reason or _WHY)
        state = found.ends or IssueState(copy.state)
        told = wish if step is what else ActWish()
        case = Trial(session, viewer, rules, copy, step, told, now, state)
        if step in EFFECTS and step not in _WRITING:
            EFFECTS[step](case)
        copy.state, details = case.state.value, case.details
    passed_up = what is IssueAct.ESCALATE and details.get("to") != DEPARTMENT
    sent = copy.state in _WITH_BODY and not passed_up
    return {
        "state": copy.state,
        "due_at": copy.due_at if copy.due_at < NEVER and (sent or copy.due_at > now) else None,
        "organisation": copy.organisation_id if sent else None,
        "assisting": copy.assisting,
        "grid": None if copy.state in _OVER else _holder(copy),
        "rule": details.get("rule"),
        "through": [step.value for step in way[:-1]],
    }


def _holder(row: Any) -> int | None:
    """Return the grid whose desk is in charge."""
    line = line_of(row)
    return line[min(row.desk_level, len(line)) - 1] if line else None


def _named(session: Session, at: Moment, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the names of bodies and grids."""
    bodies = _bodies(session, at, {one.get("organisation") for one in told} - {None})
    grids = names(session, at, {one["grid"] for one in told if one.get("grid")})
    for one in told:
        if "grid" in one:
            grid = grids.get(one.pop("grid"))
            one["organisation_name"] = bodies.get(one["organisation"])
            one["desk"] = grid["name"] if grid and one["organisation"] is None else None
    return told


def _bodies(session: Session, at: Moment, wanted: set[Any]) -> Mapping[int, str]:
    if not wanted:
        return {}
    rows = session.execute(
        select(Organisation.organisation_id, Organisation.name).where(
            Organisation.city_id == at.city_id, Organisation.organisation_id.in_(wanted)
        )
    )
    return {row.organisation_id: row.name for row in rows}
