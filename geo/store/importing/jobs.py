"""Long work as rows: queued, taken by one worker, told while it runs, taken up again after a crash.

A worker holds a job by a lease that it renews. When it dies the lease runs out, and the next worker
takes the job up again, `MOST_ATTEMPTS` times in all; then it has failed, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.errors import ConflictError, NotFoundError
from geo.saying import packed, phrase
from geo.tables import Job
from geo.terms import JobState, JobStep

CHANNEL: Final = "wangge_job"
"""What the database calls when a job was queued."""
LEASE_S: Final = 60
MOST_ATTEMPTS: Final = 2
LIVE: Final = (JobState.QUEUED.value, JobState.RUNNING.value)

_TAKE: Final = text(
    """
    UPDATE job AS j
    SET state = 'running', worker = :worker, attempts = j.attempts + 1, share = 0, words = '',
        started_at = clock_timestamp(),
        lease_until = clock_timestamp() + make_interval(secs => :lease)
    FROM (
        SELECT city_id, job_id FROM job
        WHERE state = 'queued' OR (state = 'running' AND lease_until < clock_timestamp())
        ORDER BY job_id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS next
    WHERE j.city_id = next.city_id AND j.job_id = next.job_id
    RETURNING j.city_id, j.job_id, j.delivery_id, j.step, j.args, j.attempts, j.cancel_asked,
              j.author_id
    """
)
_BEAT: Final = text(
    """
    UPDATE job
    SET share = :share, words = :words,
        lease_until = clock_timestamp() + make_interval(secs => :lease)
    WHERE city_id = :city AND job_id = :job AND state = 'running' AND worker = :worker
    RETURNING cancel_asked
    """
)


@dataclass(frozen=True)
class Taken:
    """A job that a worker holds."""

    city_id: int
    job_id: int
    delivery_id: int
    step: JobStep
    args: dict[str, Any]
    attempts: int
    cancel_asked: bool
    author_id: int | None


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


def take(session: Session, worker: str) -> Taken | None:
    """Take the oldest job that waits, or whose worker is gone; None when there is none."""
    row = session.execute(_TAKE, {"worker": worker, "lease": LEASE_S}).one_or_none()
    if row is None:
        return None
    values = dict(row._mapping) | {"step": JobStep(row.step)}
    return Taken(**values)


def beat(session: Session, job: Taken, worker: str, share: float, words: str) -> bool | None:
    """Renew the lease and tell how far the work is.

    Returns
    -------
    bool or None
        Whether somebody asked to cancel it; None when the job is no longer this worker's.
    """
    asked = {
        "city": job.city_id, "job": job.job_id, "worker": worker, "lease": LEASE_S,
        "share": min(max(share, 0.0), 1.0), "words": words,
    }  # fmt: skip
    found = session.execute(_BEAT, asked).one_or_none()
    return None if found is None else bool(found.cancel_asked)


def end(
    session: Session,
    job: Taken,
    worker: str,
    state: JobState,
    error: dict[str, Any] | None = None,
) -> bool:
    """Write how a job ended; return whether it was still this worker's."""
    found = session.execute(
        update(Job)
        .where(
            Job.city_id == job.city_id,
            Job.job_id == job.job_id,
            Job.worker == worker,
            Job.state == JobState.RUNNING.value,
        )
        .values(
            state=state.value,
            error=packed(error),
            lease_until=None,
            ended_at=func.clock_timestamp(),
            **({"share": 1.0} if state is JobState.DONE else {}),
        )
        .returning(Job.job_id)
    )
    return found.one_or_none() is not None


def give_back(session: Session, job: Taken, worker: str) -> None:
    """Let another worker take a job up: this one was told to stop."""
    session.execute(
        update(Job)
        .where(Job.city_id == job.city_id, Job.job_id == job.job_id, Job.worker == worker)
        .values(
            state=JobState.QUEUED.value,
            attempts=Job.attempts - 1,
            worker=None,
            lease_until=None,
            share=0.0,
            words="",
        )
    )


def cancel(session: Session, city_id: int, delivery_id: int) -> None:
    """Ask the worker to leave off; a job that waits is cancelled when it is taken.

    Raises
    ------
    NotFoundError
        If nothing is under way.
    """
    found = session.execute(
        update(Job)
        .where(Job.city_id == city_id, Job.delivery_id == delivery_id, Job.state.in_(LIVE))
        .values(cancel_asked=True)
        .returning(Job.job_id)
    ).all()
    if not found:
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


def waiting(session: Session) -> tuple[int, float]:
    """Return how many jobs wait or have lost their worker, and how long the oldest has, seconds."""
    row = session.execute(
        text(
            "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)"
            " FROM job WHERE state = 'queued'"
            " OR (state = 'running' AND lease_until < clock_timestamp())"
        )
    ).one()
    return int(row[0]), float(row[1])
