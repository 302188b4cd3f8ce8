"""Publications asked for and done: a row is the wish; see `geo.store.jobs`."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.db import Viewer, owner_transaction
from geo.errors import ConflictError, StaleEditError
from geo.saying import phrase
from geo.store import audit, jobs
from geo.store.drafts import rows, states
from geo.store.jobs import Hand, Queue, Taken, Told
from geo.store.publishing import handing, settling, turning, writing
from geo.store.publishing.content import content_of
from geo.tables import Publication
from geo.terms import PlanState, Role

MOST_ATTEMPTS: Final = 3

_CANCEL: Final = text("SELECT cancel_net(CAST(:city AS smallint), :seq, :actor)")


def ask(session: Session, viewer: Viewer, plan_id: int, effective_from: date, content: str) -> int:
    """Ask for the publication of an approved plan; return the number of the wish.

    What can be known at once is said at once; the worker looks again.

    Parameters
    ----------
    content : str
        Hash of the plan that was looked at, in hexadecimal.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError, RebaseNeededError, PostsUnsettledError
        As `geo.store.publishing.writing.publish`.
    InvalidInputError
        If the date cannot be taken.
    StaleEditError
        If the plan says something else than what was looked at.
    ConflictError
        If its publication is under way.
    """
    plan = turning.held(session, viewer, plan_id)
    turning.demand_right(viewer, plan, "publish")
    turning.demand_state(plan, PlanState.APPROVED)
    draft = rows.draft_of(plan)
    now = content_of(session, draft)
    if now.hex() != content.lower():
        message = phrase("The plan says something else than what you looked at; look again.")
        raise StaleEditError(message, newer={}, content=now.hex())
    writing.demand_next(session, plan, effective_from)
    settling.demand_settled(session, draft)
    values = {
        "city_id": plan.city_id, "plan_id": plan_id, "asked_by": viewer.user_id,
        "effective_from": effective_from, "content": now,
    }  # fmt: skip
    try:
        with session.begin_nested():
            made = session.execute(
                insert(Publication).values(**values).returning(Publication.publication_id)
            ).scalar_one()
    except IntegrityError as error:
        message = phrase("The publication of this plan is under way.")
        raise ConflictError(message, reason="under_way") from error
    told = {"effective_from": effective_from.isoformat(), "content": now.hex()}
    states.note(session, viewer, plan_id, "plan.publish", told)
    return int(made)


def cancel(session: Session, viewer: Viewer, plan_id: int) -> int:
    """Cancel the net that a plan became, before its date; return its number.

    The net stays as it was decided, marked as cancelled; its number and codes are not given again.
    The plan is a draft again.

    Raises
    ------
    PlanNotFoundError, ForbiddenError
        If the viewer is no member of the plan, or may not publish.
    PlanStateError
        If the plan is not published.
    ConflictError
        If its net has begun, or is not the last one.
    """
    writing.hold_nets(session, viewer.city_id or 0)
    plan = turning.held(session, viewer, plan_id)
    turning.demand_right(viewer, plan, "publish")
    turning.demand_state(plan, PlanState.PUBLISHED)
    found = session.execute(_NET, {"city": plan.city_id, "plan": plan_id}).one()
    if found.begun or found.later:
        message = phrase(
            "Net %(seq)s cannot be cancelled: only the last one before its date can.", seq=found.seq
        )
        raise ConflictError(message, seq=found.seq, reason="not_the_last_scheduled")
    known = {"city": plan.city_id, "seq": found.seq, "actor": viewer.user_id}
    session.execute(_CANCEL, known)
    session.expire_all()
    audit.append(
        session, viewer.city_id or 0, "net.cancel", f"net/{found.seq}", {"plan": plan_id},
        actor_id=viewer.user_id, actor_role=str(viewer.role),
    )  # fmt: skip
    return int(found.seq)


_NET: Final = text("""
    SELECT n.seq,
        n.effective_from <= (statement_timestamp() AT TIME ZONE c.timezone)::date AS begun,
        EXISTS (SELECT FROM net AS x WHERE x.city_id = n.city_id AND x.seq > n.seq
            AND x.cancelled_at IS NULL) AS later
    FROM net AS n JOIN city AS c ON c.city_id = n.city_id
    WHERE n.city_id = :city AND n.plan_id = :plan AND n.cancelled_at IS NULL
""")


# ---- the worker ----------------------------------------------------------------------------------


def work(engine: Engine, hand: Hand | None = None) -> bool:
    """Do the next publication that was asked for; say whether there was one."""
    return jobs.work(engine, QUEUE, hand) is not None


def _publish(session: Session, job: Taken, told: Told) -> dict[str, Any]:
    row = job.row
    role = jobs.asker(session, job.city_id, row["asked_by"])
    viewer = Viewer(Role(role), job.city_id, row["asked_by"])
    content = bytes(row["content"])
    done = writing.publish(session, viewer, row["plan_id"], row["effective_from"], content)
    return {"seq": done.seq}


QUEUE: Final = Queue(Publication, "publication_id", 7213, MOST_ATTEMPTS, _publish)


def keep_up(engine: Engine, hand: Hand | None = None) -> bool:
    """Publish what was asked for, begin nets whose day has come, let closed rows follow.

    Returns
    -------
    bool
        Whether there was anything to do; the worker comes back at once then.
    """
    if work(engine, hand):
        return True
    with owner_transaction(engine) as session:
        cities = handing.waiting(session)
    for city_id in cities:
        with owner_transaction(engine) as session:
            begun = handing.activate(session, city_id)
        with owner_transaction(engine) as session:
            moved = handing.settle(session, city_id)
        if begun or moved:
            return True
    return False
