"""Plans opened, given members and rules, deleted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, PlanStateError
from geo.redraw.edits import RESERVE_NAME, text_of
from geo.redraw.rules import Limits
from geo.saying import phrase
from geo.store import audit, rights
from geo.store.drafts import rows
from geo.store.drafts.states import IN_WORDS
from geo.store.nets import Moment
from geo.tables import Grid, Net, Plan, PlanGrid
from geo.terms import GridKind, PlanState, Role

DELETABLE: Final = (PlanState.DRAFT, PlanState.SUBMITTED, PlanState.WITHDRAWN)
RIGHTS: Final = {"draw": "drawers", "cut": "cutters", "publish": "publishers"}
"""What a member may do -> the column that lists who may."""

_FROM_NET = text("""
    INSERT INTO plan_grid (city_id, plan_id, grid_id, level, parent_id, name, kind, parts,
        parts_reason, boundary_from)
    SELECT g.city_id, :plan, g.grid_id, g.level, g.parent_id, g.name, g.kind,
        coalesce(x.parts, 1), x.reason, :seq
    FROM net_grid AS g
    LEFT JOIN net_exception AS x ON x.city_id = g.city_id AND x.grid_id = g.grid_id
        AND x.from_seq <= :seq AND :seq < x.to_seq
    WHERE g.city_id = :city AND g.from_seq <= :seq AND :seq < g.to_seq
""")
_GRIDS_OF_PLAN = text("""
    INSERT INTO plan_grid (city_id, plan_id, grid_id, level, parent_id, name, kind, ended, version,
        boundary, boundary_from, parts, parts_reason, code_range)
    SELECT city_id, :plan, grid_id, level, parent_id, name, kind, ended, version, boundary,
        boundary_from, parts, parts_reason, code_range
    FROM plan_grid WHERE city_id = :city AND plan_id = :other
""")
_CELLS_OF_PLAN = text("""
    INSERT INTO plan_cell (city_id, plan_id, cell_id, grid_id)
    SELECT city_id, :plan, cell_id, grid_id FROM plan_cell
    WHERE city_id = :city AND plan_id = :other
""")
_POSTS_OF_PLAN = text("""
    INSERT INTO plan_post (city_id, plan_id, post_id, to_grid)
    SELECT city_id, :plan, post_id, to_grid FROM plan_post
    WHERE city_id = :city AND plan_id = :other
""")
_KNOWN_USERS = text("""
    SELECT user_id FROM known_users(CAST(:city AS smallint), CAST(:users AS bigint[]))
""")


def open_plan(
    session: Session,
    viewer: Viewer,
    at: Moment,
    name: str,
    *,
    copy_of: int | None = None,
    empty: bool = False,
    rules: Mapping[str, Any] | None = None,
) -> int:
    """Open a draft of the net of a moment, of another plan, or with everything in the reserve.

    No cell is copied: a plan holds only those that differ from its base.

    Returns
    -------
    int
        Number of the plan; the viewer is its author and draws on it.

    Raises
    ------
    ForbiddenError
        If the viewer is no planner or administrator of the city.
    InvalidInputError
        If the name or a rule cannot be used.
    PlanNotFoundError
        If the viewer is a member of no plan `copy_of`.
    """
    city_id = rights.demand(viewer, rights.OFFICE)
    if city_id != at.city_id or viewer.user_id is None:
        raise ForbiddenError(phrase("Plans are opened by an account of the city."))
    line = text_of({"name": name}, "name")
    wished = dict(rules or {})
    Limits.of(wished)
    other = rows.find(session, viewer, copy_of) if copy_of is not None else None
    base = other.base_seq if other else (None if empty else at.seq)
    plan_id = rows.next_number(session, city_id, "plan")
    own = [viewer.user_id]
    session.add(
        Plan(
            city_id=city_id, plan_id=plan_id, name=line, base_seq=base, author_id=viewer.user_id,
            rules=wished or (dict(other.rules) if other else {}), members=own, drawers=own,
            cutters=own if viewer.role is Role.PLANNER else [], publishers=[],
        )
    )  # fmt: skip
    session.flush()
    known = {"city": city_id, "plan": plan_id}
    if other is not None:
        session.execute(_GRIDS_OF_PLAN, {**known, "other": copy_of})
        session.execute(_CELLS_OF_PLAN, {**known, "other": copy_of})
        session.execute(_POSTS_OF_PLAN, {**known, "other": copy_of})
    elif base is not None:
        session.execute(_FROM_NET, {**known, "seq": base})
    else:
        _put_reserve(session, city_id, plan_id)
    _noted(session, viewer, plan_id, "plan.open", {"name": line, "base": base, "copy_of": copy_of})
    return plan_id


def _put_reserve(session: Session, city_id: int, plan_id: int) -> None:
    grid = rows.next_number(session, city_id, "grid")
    session.add(Grid(city_id=city_id, grid_id=grid, level=1))
    session.flush()
    session.add(
        PlanGrid(
            city_id=city_id, plan_id=plan_id, grid_id=grid, level=1, parent_id=None,
            name=RESERVE_NAME, kind=GridKind.RESERVE.value,
        )
    )  # fmt: skip
    session.flush()


def _own(session: Session, viewer: Viewer, plan_id: int) -> Plan:
    """Return a plan of the viewer's own making, locked."""
    plan = rows.find(session, viewer, plan_id)
    if plan.author_id != viewer.user_id:
        raise ForbiddenError(phrase("Only the author of a plan may do that."))
    session.execute(
        select(Plan.plan_id)
        .where(Plan.city_id == plan.city_id, Plan.plan_id == plan_id)
        .with_for_update()
    )
    session.refresh(plan)
    return plan


def set_members(
    session: Session, viewer: Viewer, plan_id: int, members: Mapping[int, Collection[str]]
) -> None:
    """Say who sees a plan, and who of them may draw, cut and publish.

    Its author stays and draws; one who is not named keeps the other rights as well.

    Parameters
    ----------
    members : mapping of int to collection of str
        Account -> some of draw, cut, publish; nothing for who only looks on.

    Raises
    ------
    PlanNotFoundError, ForbiddenError
        If the viewer is no member, or not the author.
    InvalidInputError
        If an account is not of this city, or there is no such right.
    """
    plan = _own(session, viewer, plan_id)
    unknown = {right for rights_of in members.values() for right in rights_of} - set(RIGHTS)
    if unknown or len(members) > 200:
        raise InvalidInputError(
            phrase("A member may draw, cut, publish; 200 members."), field="rights"
        )
    asked = {"city": plan.city_id, "users": sorted(members)}
    strangers = set(members) - set(session.scalars(_KNOWN_USERS, asked))
    if strangers:
        message = phrase("The city has no such account: %(users)s", users=sorted(strangers)[:5])
        raise InvalidInputError(message, field="members")
    plan.members = sorted({plan.author_id, *members})
    for right, column in RIGHTS.items():
        listed = {user for user, rights_of in members.items() if right in rights_of}
        unnamed = plan.author_id not in members and plan.author_id in getattr(plan, column)
        if right == "draw" or unnamed:
            listed.add(plan.author_id)
        setattr(plan, column, sorted(listed))
    session.flush()
    told = {str(user): sorted(rights_of) for user, rights_of in members.items()}
    _noted(session, viewer, plan_id, "plan.members", told)


def set_rules(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    *,
    name: str | None = None,
    rules: Mapping[str, Any] | None = None,
) -> None:
    """Give a draft another name or other rules.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError
        If the viewer is no member or not the author, or the plan is no draft.
    InvalidInputError
        If the name or a rule cannot be used.
    """
    plan = _own(session, viewer, plan_id)
    if plan.state != PlanState.DRAFT:
        raise PlanStateError(
            phrase("The plan is %(state)s.", state=IN_WORDS[plan.state]),
            plan=plan_id,
            state=plan.state,
        )
    if name is not None:
        plan.name = text_of({"name": name}, "name")
    if rules is not None:
        Limits.of(rules)
        plan.rules = dict(rules)
    session.flush()
    _noted(session, viewer, plan_id, "plan.rules", {"name": plan.name, "rules": plan.rules})


def delete(session: Session, viewer: Viewer, plan_id: int) -> None:
    """Delete a plan that was never published, with its log; the city's log keeps that it was.

    Raises
    ------
    PlanNotFoundError, ForbiddenError
        If the viewer is no member, or not the author.
    PlanStateError
        If it is approved or was published.
    """
    plan = _own(session, viewer, plan_id)
    if plan.state not in DELETABLE:
        message = phrase("The plan is %(state)s: it stays.", state=IN_WORDS[plan.state])
        raise PlanStateError(message, plan=plan_id, state=plan.state)
    was = session.scalar(
        select(Net.seq).where(Net.city_id == plan.city_id, Net.plan_id == plan_id).limit(1)
    )
    if was is not None:
        message = phrase(
            "The plan %(plan)s was published as net %(seq)s, which was cancelled: it stays.",
            plan=plan_id,
            seq=was,
        )
        raise PlanStateError(message, plan=plan_id, state=plan.state, seq=was)
    told = {"name": plan.name, "base": plan.base_seq, "state": plan.state}
    session.delete(plan)
    session.flush()
    _noted(session, viewer, plan_id, "plan.delete", told)


def _noted(
    session: Session, viewer: Viewer, plan_id: int, action: str, told: Mapping[str, Any]
) -> None:
    audit.append(
        session, viewer.city_id or 0, action, f"plan/{plan_id}", told,
        actor_id=viewer.user_id, actor_role=str(viewer.role),
    )  # fmt: skip
