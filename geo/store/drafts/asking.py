"""Edits that the worker does: asked for by a member, done in that account's name, told afterwards.

Cutting cells changes every net of the city, which the application may not write; dividing a grid
takes long. A row is the wish, and the edit stands in the transaction that says it is done; see
`geo.store.jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, ForbiddenError, NotFoundError
from geo.redraw.edits import SHAPED, exact, named
from geo.saying import phrase, unpacked
from geo.store import jobs
from geo.store.drafts import dividing, editing, proposing, rows, states
from geo.store.drafts.editing import UNDO, Versions
from geo.store.jobs import Hand, Queue, Taken, Told
from geo.tables import PlanTask
from geo.terms import Role

MOST_ATTEMPTS: Final = 3

_TOLD: Final = text("""
    SELECT task_id AS task, op, state, share, words, cancel_asked, answer, error, asked_by,
        asked_at, ended_at
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
    return {
        **found._mapping,
        "answer": None if found.op in proposing.OPS else unpacked(found.answer),
        "error": unpacked(found.error),
        "words": phrase(found.words) if found.words else "",
    }


def cancel(session: Session, viewer: Viewer, plan_id: int, task: int) -> None:
    """Ask the worker to leave a task off, an edit or a proposal; the plan stays as it is.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        If the viewer is a member of no such plan, or it has no such task.
    ForbiddenError
        If the viewer may not draw.
    ConflictError
        If the task has ended.
    """
    plan = rows.find(session, viewer, plan_id)
    if viewer.user_id not in plan.drawers:
        raise ForbiddenError("You are a member of this plan without the right to draw.")
    state = told(session, viewer, plan_id, task)["state"]
    which = (
        PlanTask.city_id == plan.city_id, PlanTask.plan_id == plan_id, PlanTask.task_id == task,
    )  # fmt: skip
    if not jobs.ask_to_cancel(session, PlanTask, *which):
        raise ConflictError(phrase("This task has ended already."), state=state, reason="ended")
    states.note(session, viewer, plan_id, "plan.task_cancel", {"task": task})


# ---- the worker ----------------------------------------------------------------------------------


def work(engine: Engine, hand: Hand | None = None) -> bool:
    """Do the next edit that was asked for; say whether there was one; the owner's work."""
    return jobs.work(engine, QUEUE, hand) is not None


def _do(session: Session, job: Taken, told: Told) -> dict[str, Any]:
    row = job.row
    role = jobs.asker(session, job.city_id, row["asked_by"])
    viewer = Viewer(Role(role), job.city_id, row["asked_by"])
    versions = {int(grid): int(number) for grid, number in row["versions"].items()}
    plan_id, op, args = row["plan_id"], row["op"], row["args"]
    if op in proposing.OPS:
        found = proposing.perform(session, viewer, job.number, plan_id, op, args, told.note)
        return {"answer": jobs.plain(found)}
    if op == proposing.ADOPT:
        done = proposing.adopt(session, viewer, plan_id, int(args["proposal"]))
    elif op == UNDO:
        done = editing.undo(session, viewer, plan_id)
    elif op == dividing.DIVIDE:
        done = dividing.divide(session, viewer, plan_id, args, versions, told.note)
    else:
        done = editing.apply(session, viewer, plan_id, op, args, versions)
    return {"answer": jobs.plain(asdict(done))}


QUEUE: Final = Queue(PlanTask, "task_id", 7212, MOST_ATTEMPTS, _do)
