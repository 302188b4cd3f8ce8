"""The state of a plan turned, and what was done to it noted; an edit makes an approval lapse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.saying import phrase
from geo.store import audit
from geo.terms import PlanState

WAITING: Final = (PlanState.SUBMITTED.value, PlanState.APPROVED.value)
"""States that an edit ends: what was handed in is not what the plan says any more."""
IN_WORDS: Final = {
    PlanState.DRAFT.value: phrase("draft"),
    PlanState.SUBMITTED.value: phrase("submitted"),
    PlanState.APPROVED.value: phrase("approved"),
    PlanState.PUBLISHED.value: phrase("published"),
    PlanState.WITHDRAWN.value: phrase("withdrawn"),
}
_TURN: Final = text(
    "SELECT turn_plan(CAST(:city AS smallint), :plan, :actor, :target, :content, :seen, :base)"
)


def turn(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    target: PlanState,
    *,
    content: bytes | None = None,
    seen: bytes | None = None,
    base: int | None = None,
) -> None:
    """Turn a plan's state; the database demands the right for it, whoever asks.

    Parameters
    ----------
    content, seen : bytes, optional
        Of an approval: hash of what the plan says, and of that with the ground it was checked on.
    base : int, optional
        Net on which the plan stands from now on.
    """
    session.flush()
    asked = {
        "city": viewer.city_id, "plan": plan_id, "actor": viewer.user_id, "target": target.value,
        "content": content, "seen": seen, "base": base,
    }  # fmt: skip
    session.execute(_TURN, asked)
    session.expire_all()


def lapse(session: Session, viewer: Viewer, plan_id: int, before: str) -> None:
    """Make a plan that waits for approval, or has it, a draft again."""
    turn(session, viewer, plan_id, PlanState.DRAFT)
    note(session, viewer, plan_id, "plan.lapse", {"from": before})


def note(
    session: Session, viewer: Viewer, plan_id: int, action: str, told: Mapping[str, Any]
) -> None:
    """Write to the log of the city what was done to a plan."""
    audit.append(
        session, viewer.city_id or 0, action, f"plan/{plan_id}", told,
        actor_id=viewer.user_id, actor_role=str(viewer.role),
    )  # fmt: skip
