"""The way of a plan: submitted, approved by a second person, back to a draft, withdrawn."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, PlanRuleError, PlanStateError, StaleEditError
from geo.saying import phrase, unpacked
from geo.store.drafts import rows, states, validating
from geo.store.drafts.rows import Draft, draft_of
from geo.store.holding import hold_cells
from geo.store.publishing import settling
from geo.store.publishing.content import checked_of, content_of
from geo.tables import Plan
from geo.terms import PlanState


def held(session: Session, viewer: Viewer, plan_id: int) -> Plan:
    """Return a plan that the viewer is a member of, held alone: edits of it wait.

    Raises
    ------
    PlanNotFoundError
        If there is none.
    """
    hold_cells(session, viewer.city_id or 0)
    plan = rows.find(session, viewer, plan_id)
    wanted = select(Plan.plan_id).where(Plan.city_id == plan.city_id, Plan.plan_id == plan_id)
    session.execute(wanted.with_for_update())
    session.refresh(plan)
    return plan


def demand_state(plan: Plan, *wanted: PlanState) -> None:
    """Refuse what cannot be done to a plan in its state.

    Raises
    ------
    PlanStateError
    """
    if plan.state not in wanted:
        listed = states.IN_WORDS[wanted[0]]
        for state in wanted[1:]:
            listed = phrase("%(one)s or %(two)s", one=listed, two=states.IN_WORDS[state])
        message = phrase(
            "The plan %(plan)s is %(state)s: this is for one that is %(wanted)s.",
            plan=plan.plan_id, state=states.IN_WORDS[plan.state], wanted=listed,
        )  # fmt: skip
        raise PlanStateError(message, plan=plan.plan_id, state=plan.state)


def demand_right(viewer: Viewer, plan: Plan, right: str) -> None:
    """Refuse a member who lacks a right: `draw` or `publish`.

    Raises
    ------
    ForbiddenError
    """
    listed = plan.drawers if right == "draw" else plan.publishers
    if viewer.user_id not in listed:
        if right == "draw":
            raise ForbiddenError(phrase("You are a member of this plan without the right to draw."))
        message = phrase("You are a member of this plan without the right to publish.")
        raise ForbiddenError(message)


def submit(session: Session, viewer: Viewer, plan_id: int) -> dict[str, Any]:
    """Hand a draft in; return its state and the hash of what it says.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError
        If the viewer is no member, may not draw, or the plan is no draft.
    """
    plan = held(session, viewer, plan_id)
    demand_right(viewer, plan, "draw")
    demand_state(plan, PlanState.DRAFT)
    states.turn(session, viewer, plan_id, PlanState.SUBMITTED)
    content = content_of(session, draft_of(plan)).hex()
    states.note(session, viewer, plan_id, "plan.submit", {"content": content})
    return {"state": plan.state, "content": content}


def approve(session: Session, viewer: Viewer, plan_id: int, seen: str) -> dict[str, Any]:
    """Approve what a plan says, as a second person, after the full validator.

    Parameters
    ----------
    seen : str
        Hash of the content that the viewer looked at, in hexadecimal.

    Raises
    ------
    PlanNotFoundError, PlanStateError
        If the viewer is no member, or the plan was not submitted.
    ForbiddenError
        If the viewer may not publish, or has opened or submitted the plan.
    StaleEditError
        If the plan says something else than what the viewer looked at.
    PlanRuleError
        If the validator finds a fault.
    """
    plan = held(session, viewer, plan_id)
    demand_right(viewer, plan, "publish")
    if viewer.user_id in (plan.author_id, plan.submitted_by):
        raise ForbiddenError(phrase("A plan is approved by a second person, not by its author."))
    demand_state(plan, PlanState.SUBMITTED)
    draft = draft_of(plan)
    content = content_of(session, draft)
    if content.hex() != seen.lower():
        message = phrase("The plan says something else than what you looked at; look again.")
        raise StaleEditError(message, newer={}, content=content.hex())
    demand_sound(session, viewer, plan_id)
    settling.demand_settled(session, draft)
    checked = checked_of(session, draft, content)
    states.turn(session, viewer, plan_id, PlanState.APPROVED, content=content, seen=checked)
    states.note(session, viewer, plan_id, "plan.approve", {"content": content.hex()})
    return {"state": plan.state, "content": content.hex()}


def demand_sound(session: Session, viewer: Viewer, plan_id: int) -> None:
    """Refuse a plan in which the full validator finds a fault.

    Raises
    ------
    PlanRuleError
    """
    report = validating.check(session, viewer, plan_id)
    if not report["ok"]:
        faults = [{"rule": "validator", "message": said} for said in report["faults"][:100]]
        said = report["faults"][0]
        for one in report["faults"][1:3]:
            said = phrase("%(one)s; %(two)s", one=said, two=one)
        raise PlanRuleError(
            phrase("The validator finds faults: %(said)s.", said=said),
            faults=faults,
            plan=plan_id,
        )


def withdraw(session: Session, viewer: Viewer, plan_id: int) -> dict[str, Any]:
    """Take a plan back for good; it can still be copied.

    Raises
    ------
    PlanNotFoundError, ForbiddenError
        If the viewer is no member, or not the author.
    PlanStateError
        If it was published or withdrawn.
    """
    plan = held(session, viewer, plan_id)
    if plan.author_id != viewer.user_id:
        raise ForbiddenError(phrase("Only the author of a plan may do that."))
    demand_state(plan, PlanState.DRAFT, PlanState.SUBMITTED, PlanState.APPROVED)
    before = plan.state
    states.turn(session, viewer, plan_id, PlanState.WITHDRAWN)
    states.note(session, viewer, plan_id, "plan.withdraw", {"from": before})
    return {"state": plan.state}


def card(session: Session, viewer: Viewer, plan_id: int) -> dict[str, Any]:
    """Return where a plan stands on its way: hash of its content, who approved, last net.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    plan = rows.find(session, viewer, plan_id)
    draft: Draft = draft_of(plan)
    last = session.scalar(_LAST, draft.known())
    asked = session.execute(_ASKED, draft.known()).mappings().first()
    return {
        "plan": plan.plan_id, "state": plan.state, "base_seq": plan.base_seq, "last_seq": last,
        "content": content_of(session, draft).hex(),
        "approved": plan.approved_hash.hex() if plan.approved_hash else None,
        "submitted_by": plan.submitted_by, "approved_by": plan.approved_by,
        "approved_at": plan.approved_at,
        "unsettled_posts": len(settling.unsettled(session, draft)),
        "publication": {**asked, "error": unpacked(asked["error"])} if asked else None,
    }  # fmt: skip


_LAST: Final = text("SELECT max(seq) FROM net WHERE city_id = :city AND cancelled_at IS NULL")
_ASKED: Final = text("""
    SELECT publication_id AS publication, state, effective_from, seq, error, asked_by, asked_at,
        ended_at
    FROM publication WHERE city_id = :city AND plan_id = :plan
    ORDER BY publication_id DESC LIMIT 1
""")
