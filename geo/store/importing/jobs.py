"""Work on deliveries: one job at a time for each; see `geo.store.jobs`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.errors import ConflictError, NotFoundError
from geo.saying import phrase
from geo.store.jobs import ask_to_cancel
from geo.tables import Job
from geo.terms import JobStep


def queue(
    session: Session,
    city_id: int,
    delivery_id: int,
    step: JobStep,
    args: dict[str, Any] | None = None,
    author_id: int | None = None,
) -> int:
    """Ask for work on a delivery; return the job's number.

    Raises
    ------
    ConflictError
        If work on this delivery is under way.
    """
    values = {
        "city_id": city_id, "delivery_id": delivery_id, "step": step.value, "args": args or {},
        "author_id": author_id,
    }  # fmt: skip
    try:
        with session.begin_nested():
            made = session.execute(insert(Job).values(**values).returning(Job.job_id))
            return int(made.scalar_one())
    except IntegrityError as error:
        raise ConflictError(
            phrase("Work on this delivery is under way; wait for it or cancel it."),
            reason="under_way",
        ) from error


def cancel(session: Session, city_id: int, delivery_id: int) -> None:
    """Ask the worker to leave off; a job that waits is cancelled when it is taken.

    Raises
    ------
    NotFoundError
        If nothing is under way.
    """
    of_delivery = (Job.city_id == city_id, Job.delivery_id == delivery_id)
    if not ask_to_cancel(session, Job, *of_delivery):
        raise NotFoundError("No work on this delivery is under way.")


def latest(session: Session, city_id: int, deliveries: list[int]) -> dict[int, dict[str, Any]]:
    """Return the last job of each delivery as plain data."""
    rows = session.execute(
        select(
            Job.delivery_id, Job.job_id.label("job"), Job.step, Job.state, Job.share, Job.words,
            Job.cancel_asked, Job.attempts, Job.error, Job.created_at, Job.started_at, Job.ended_at,
        )
        .ext(distinct_on(Job.delivery_id))
        .where(Job.city_id == city_id, Job.delivery_id.in_(deliveries))
        .order_by(Job.delivery_id, Job.job_id.desc())
    )  # fmt: skip
    found: dict[int, dict[str, Any]] = {}
    for row in rows.mappings():
        found[row["delivery_id"]] = {key: row[key] for key in row if key != "delivery_id"}
    return found
