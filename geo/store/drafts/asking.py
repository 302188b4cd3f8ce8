"""Edits that the worker does: asked for by a member, done in that account's name, told afterwards.

Cutting cells changes every net of the city, which the application may not write; dividing a grid
takes long. A row is the wish, and the edit stands in the transaction that says it is done: a worker
that dies leaves the row as it was, and the next one takes it up again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session

from geo.db import Viewer, owner_transaction
from geo.errors import DatabaseAwayError, ForbiddenError, NotFoundError, WanggeError
from geo.redraw.edits import SHAPED, exact, named
from geo.saying import packed, unpacked
from geo.store.drafts import dividing, editing, rows
from geo.store.drafts.editing import UNDO, Applied, Versions
from geo.tables import PlanTask
from geo.terms import Role, TaskState

MOST_ATTEMPTS: Final = 3

_TAKE: Final = text("""
    UPDATE plan_task AS t SET attempts = t.attempts + 1
    FROM (
        SELECT city_id, task_id FROM plan_task WHERE state = 'queued'
        ORDER BY task_id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS next
    WHERE t.city_id = next.city_id AND t.task_id = next.task_id
    RETURNING t.city_id, t.task_id, t.attempts
""")
_HOLD: Final = text("""
    SELECT t.city_id, t.plan_id, t.asked_by, t.op, t.args, t.versions, a.role
    FROM plan_task AS t
    JOIN user_account AS a ON a.city_id = t.city_id AND a.user_id = t.asked_by
        AND a.disabled_at IS NULL
    WHERE t.city_id = :city AND t.task_id = :task AND t.state = 'queued'
    FOR UPDATE OF t
""")
_END: Final = text("""
    UPDATE plan_task SET state = :state, answer = CAST(:answer AS jsonb),
        error = CAST(:error AS jsonb), ended_at = clock_timestamp()
    WHERE city_id = :city AND task_id = :task AND state = 'queued'
""")
_TOLD: Final = text("""
    SELECT task_id AS task, op, state, answer, error, asked_by, asked_at, ended_at
    FROM plan_task WHERE city_id = :city AND plan_id = :plan AND task_id = :task
""")


def for_worker(op: str, args: Mapping[str, Any]) -> bool:
    """Say whether an edit is the worker's: it cuts cells, or divides a grid."""
    return op == dividing.DIVIDE or (op in SHAPED and exact(args))


def ask(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    op: str,
    args: Mapping[str, Any],
    versions: Versions,
) -> int:
    """Ask the worker for an edit, or to take the own last one back; return the wish's number.

    What can be known at once is said at once; the worker looks again.

    Raises
    ------
    PlanNotFoundError, PlanStateError
        If the viewer is a member of no such plan, or it is no draft.
    ForbiddenError
        If the viewer may not draw, or not cut where cells are cut.
    InvalidInputError
        If the edit is no sound one.
    """
    plan = rows.find(session, viewer, plan_id)
    rows.drawn_on(session, viewer, plan_id)
    if op == dividing.DIVIDE:
        dividing.demand(args)
    elif op != UNDO:
        named(op, args)
    if op != dividing.DIVIDE and viewer.user_id not in plan.cutters:
        raise ForbiddenError("You are a member of this plan without the right to cut cells.")
    made = session.execute(
        insert(PlanTask)
        .values(
            city_id=plan.city_id,
            plan_id=plan_id,
            asked_by=viewer.user_id,
            op=op,
            args=dict(args),
            versions={str(grid): number for grid, number in versions.items()},
        )
        .returning(PlanTask.task_id)
    )
    return int(made.scalar_one())


def told(session: Session, viewer: Viewer, plan_id: int, task: int) -> dict[str, Any]:
    """Return what came of an edit that was asked for.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        If the viewer is a member of no such plan, or it has no such task.
    """
    plan = rows.find(session, viewer, plan_id)
    known = {"city": plan.city_id, "plan": plan_id, "task": task}
    found = session.execute(_TOLD, known).one_or_none()
    if found is None:
        raise NotFoundError(f"The plan has no task {task}.", task=task)
    return {**found._mapping, "answer": unpacked(found.answer), "error": unpacked(found.error)}


def work(engine: Engine) -> bool:
    """Do the next edit that was asked for; say whether there was one; the owner's work."""
    with owner_transaction(engine) as session:
        row = session.execute(_TAKE).one_or_none()
    if row is None:
        return False
    known = {"city": row.city_id, "task": row.task_id}
    if row.attempts > MOST_ATTEMPTS:
        _fail(engine, known, {"code": "crashed", "message": "The work broke off; nothing changed."})
        return True
    try:
        with owner_transaction(engine) as session:
            _do(session, known)
    except DatabaseAwayError:
        raise
    except WanggeError as error:
        _fail(engine, known, {"code": error.code, "message": error.message, **error.data})
    except Exception as error:
        name = type(error).__name__
        message = f"Something unexpected went wrong ({name}); nothing was changed."
        _fail(engine, known, {"code": "unexpected", "message": message})
        raise
    return True


def _do(session: Session, known: dict[str, Any]) -> None:
    wish = session.execute(_HOLD, known).one_or_none()
    if wish is None:
        return
    viewer = Viewer(Role(wish.role), wish.city_id, wish.asked_by)
    done = _done(session, viewer, wish)
    answer = json.dumps(packed(asdict(done)), ensure_ascii=False, default=str)
    state = TaskState.DONE.value
    session.execute(_END, {**known, "state": state, "answer": answer, "error": None})


def _done(session: Session, viewer: Viewer, wish: Any) -> Applied:
    versions = {int(grid): int(number) for grid, number in wish.versions.items()}
    if wish.op == UNDO:
        return editing.undo(session, viewer, wish.plan_id)
    if wish.op == dividing.DIVIDE:
        return dividing.divide(session, viewer, wish.plan_id, wish.args, versions)
    return editing.apply(session, viewer, wish.plan_id, wish.op, wish.args, versions)


def _fail(engine: Engine, known: dict[str, Any], error: dict[str, Any]) -> None:
    state = TaskState.FAILED.value
    told = json.dumps(packed(error), ensure_ascii=False, default=str)
    with owner_transaction(engine) as session:
        session.execute(_END, {**known, "state": state, "answer": None, "error": told})
