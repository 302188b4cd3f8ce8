"""Publications asked for and done: a row is the wish, its transaction is the publication itself.

A worker that dies leaves the row as it was, and the next one takes it up again.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any, Final

from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.db import Viewer, owner_transaction
from geo.errors import ConflictError, DatabaseAwayError, StaleEditError, WanggeError
from geo.saying import packed
from geo.store import audit
from geo.store.drafts import rows, states
from geo.store.publishing import handing, settling, turning, writing
from geo.store.publishing.content import content_of
from geo.tables import Publication
from geo.terms import PlanState, PublicationState, Role

MOST_ATTEMPTS: Final = 3

_TAKE: Final = text("""
    UPDATE publication AS p SET attempts = p.attempts + 1
    FROM (
        SELECT city_id, publication_id FROM publication WHERE state = 'queued'
        ORDER BY publication_id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS next
    WHERE p.city_id = next.city_id AND p.publication_id = next.publication_id
    RETURNING p.city_id, p.publication_id, p.attempts
""")
_HOLD: Final = text("""
    SELECT p.city_id, p.plan_id, p.asked_by, p.effective_from, p.content, a.role
    FROM publication AS p
    JOIN user_account AS a ON a.city_id = p.city_id AND a.user_id = p.asked_by
        AND a.disabled_at IS NULL
    WHERE p.city_id = :city AND p.publication_id = :publication AND p.state = 'queued'
    FOR UPDATE OF p
""")
_DONE: Final = text("""
    UPDATE publication SET state = :state, seq = :seq, error = CAST(:error AS jsonb),
        ended_at = clock_timestamp()
    WHERE city_id = :city AND publication_id = :publication AND state = 'queued'
""")
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
        message = "The plan says something else than what you looked at; look again."
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
        message = "The publication of this plan is under way."
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
        message = f"Net {found.seq} cannot be cancelled: only the last one before its date can."
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


def work(engine: Engine) -> bool:
    """Do the next publication that was asked for; say whether there was one."""
    with owner_transaction(engine) as session:
        row = session.execute(_TAKE).one_or_none()
    if row is None:
        return False
    known = {"city": row.city_id, "publication": row.publication_id}
    if row.attempts > MOST_ATTEMPTS:
        _fail(engine, known, {"code": "crashed", "message": "The work broke off; nothing changed."})
        return True
    try:
        with owner_transaction(engine) as session:
            _publish(session, known)
    except DatabaseAwayError:
        raise
    except WanggeError as error:
        _fail(engine, known, {"code": error.code, "message": error.message, **error.data})
    except Exception as error:
        name = type(error).__name__
        told = f"Something unexpected went wrong ({name}); nothing was changed."
        _fail(engine, known, {"code": "unexpected", "message": told})
        raise
    return True


def _publish(session: Session, known: dict[str, Any]) -> None:
    wish = session.execute(_HOLD, known).one_or_none()
    if wish is None:
        return
    viewer = Viewer(Role(wish.role), wish.city_id, wish.asked_by)
    done = writing.publish(session, viewer, wish.plan_id, wish.effective_from, bytes(wish.content))
    state = PublicationState.DONE.value
    session.execute(_DONE, {**known, "state": state, "seq": done.seq, "error": None})


def _fail(engine: Engine, known: dict[str, Any], error: dict[str, Any]) -> None:
    told = json.dumps(packed(error), ensure_ascii=False, default=str)
    state = PublicationState.FAILED.value
    with owner_transaction(engine) as session:
        session.execute(_DONE, {**known, "state": state, "seq": None, "error": told})


def keep_up(engine: Engine) -> bool:
    """Publish what was asked for, begin nets whose day has come, let closed rows follow.

    Returns
    -------
    bool
        Whether there was anything to do; the worker comes back at once then.
    """
    if work(engine):
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
