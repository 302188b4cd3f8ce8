"""Long work as rows of queues: asked for, taken by one worker, told while it runs, ended with it.

A row is the wish. The end of a job stands in the transaction of its work, so that a crash leaves
either both or none. That transaction holds an advisory lock: the database itself knows when the
worker is gone, and the next one takes the job up at once. A worker that hangs without its
connection being cut loses the job when its lease runs out, and cannot end it any more.

Who may ask is decided where a queue belongs; see `geo.store.importing.jobs`, `geo.store.drafts` and
`geo.store.publishing`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

import psycopg
from sqlalchemy import Engine, Table, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from geo.db import owner_transaction, translated
from geo.errors import DatabaseAwayError, ForbiddenError, WanggeError
from geo.saying import packed, phrase
from geo.tables import Job, PlanTask, Publication, UserAccount
from geo.terms import JobState

CHANNEL: Final = "wangge_job"
"""What the database calls when a job was queued."""
LEASE_S: Final = 60
BEAT_S: Final = 1.0
"""How often a job's lease is renewed and its progress written, seconds."""
LIVE: Final = (JobState.QUEUED.value, JobState.RUNNING.value)
MOST_LOOKED: Final = 50
"""So many jobs that others hold are passed over in one look at a queue."""


class LeftOffError(Exception):
    """Somebody asked to cancel the job, it was given to another worker, or this one must stop."""


@dataclass(frozen=True)
class Hand:
    """A process that does jobs, one at a time.

    Attributes
    ----------
    name : str
        Unlike any other worker's.
    stopping : Event
        Set when it was told to stop; what it works on is given back.
    """

    name: str = field(
        default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    )
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Taken:
    """A job that a worker holds: its row, as it was taken."""

    city_id: int
    number: int
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Queue:
    """A table of jobs and what is done with each.

    Attributes
    ----------
    model : type
        Of `geo.tables`, with the columns of `geo.tables.base.Queued`.
    number : str
        Its column that numbers the jobs.
    lock : int
        First half of the advisory lock of a job in work; the second is its number.
    most_attempts : int
        So often a job is taken up whose worker was lost.
    do : callable
        (session, job, told) -> columns to be written beside its end.
    failed : callable
        (session, job, error) after what was done is undone: what else a failure means.
    """

    model: type[Any]
    number: str
    lock: int
    most_attempts: int
    do: Callable[[Session, Taken, Told], Mapping[str, Any]]
    failed: Callable[[Session, Taken, WanggeError], None] = lambda session, job, error: None

    @property
    def table(self) -> Table:
        """Return the table itself."""
        return cast("Table", self.model.__table__)


class Told:
    """How far a job is: written every second, with the lease; and whether to leave it off."""

    def __init__(self, engine: Engine, queue: Queue, job: Taken, hand: Hand) -> None:
        self._engine = engine
        self._queue = queue
        self._job = job
        self._hand = hand
        self._share = 0.0
        self._words = ""
        self._over = threading.Event()
        self._driver: Any = None
        self.cancelled = False
        self.left_off = False

    def note(self, words: str, share: float) -> None:
        """Take what is being done and how far it is; raise when it is to be left off."""
        self._words, self._share = words, share
        self.demand()

    def demand(self) -> None:
        """Leave the work off when somebody asked for that.

        Raises
        ------
        LeftOffError
        """
        if self.left_off:
            raise LeftOffError

    @contextmanager
    def running(self, session: Session) -> Iterator[None]:
        """Renew the lease as long as the work goes on; end a running statement when asked to.

        It ends before the job's row is written by the work's own transaction: beats would wait for
        that transaction, and it for them.
        """
        self._driver = session.connection().connection.dbapi_connection
        beats = threading.Thread(target=self._beat, name="wangge-beat", daemon=True)
        beats.start()
        try:
            yield
        finally:
            self._over.set()
            beats.join()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            try:
                asked = self._beaten()
            except (WanggeError, DBAPIError):
                continue
            self.cancelled = self.cancelled or asked is True
            if asked is not False or self._hand.stopping.is_set():
                self.left_off = True
                with suppress(psycopg.Error):
                    cast("psycopg.Connection[Any]", self._driver).cancel_safe(timeout=2)

    def _beaten(self) -> bool | None:
        """Renew the lease; return whether to cancel, None when the job is another worker's."""
        table = self._queue.table
        with owner_transaction(self._engine) as session:
            found: bool | None = session.scalar(
                update(table)
                .where(*_held(self._queue, self._job, self._hand))
                .values(
                    share=min(max(self._share, 0.0), 1.0), words=self._words, lease_until=_lease()
                )
                .returning(table.c.cancel_asked)
            )
            return found


# ---- the worker ----------------------------------------------------------------------------------


def work(engine: Engine, queue: Queue, hand: Hand | None = None) -> Taken | None:
    """Do the next job of a queue; return it, None when none waits. The owner's work.

    Raises
    ------
    DatabaseAwayError
        If the database went away; the job stays where it was.
    Exception
        Whatever was unforeseen, once it is written that the job has failed.
    """
    worker = hand or Hand()
    with owner_transaction(engine) as session:
        job = _take(session, engine, queue, worker)
        if job is None:
            return None
        unforeseen = _worked(session, engine, queue, job, worker)
    if unforeseen is not None:
        raise unforeseen
    return job


def _take(session: Session, engine: Engine, queue: Queue, hand: Hand) -> Taken | None:
    """Take the oldest job that waits, or whose worker is gone; this transaction is its life."""
    table = queue.table
    number = table.c[queue.number]
    waiting = session.execute(
        select(table.c.city_id, number, table.c.lease_until < func.clock_timestamp())
        .where(table.c.state.in_(LIVE))
        .order_by(number)
        .limit(MOST_LOOKED)
    ).all()
    for city_id, one, late in waiting:
        half = one % 2**31
        free = session.scalar(select(func.pg_try_advisory_xact_lock(queue.lock, half)))
        if not free and not late:
            continue
        with owner_transaction(engine) as beside:
            row = beside.execute(
                update(table)
                .where(table.c.city_id == city_id, number == one, table.c.state.in_(LIVE))
                .values(
                    state=JobState.RUNNING.value, worker=hand.name, share=0.0, words="",
                    attempts=table.c.attempts + 1, started_at=func.clock_timestamp(),
                    lease_until=_lease(),
                )
                .returning(*table.c)
            ).one_or_none()  # fmt: skip
        if row is not None:
            return Taken(int(city_id), int(one), dict(row._mapping))
    return None


def _worked(
    session: Session, engine: Engine, queue: Queue, job: Taken, hand: Hand
) -> Exception | None:
    """Do a job and write how it ended; return an error that nobody foresaw."""
    if job.row["cancel_asked"]:
        _end(session, queue, job, hand, JobState.CANCELLED)
        return None
    if job.row["attempts"] > queue.most_attempts:
        message = phrase("The work broke off; nothing was changed.")
        _end(
            session,
            queue,
            job,
            hand,
            JobState.FAILED,
            error={"code": "crashed", "message": message},
        )
        return None
    told = Told(engine, queue, job, hand)
    try:
        with translated(), session.begin_nested():
            with told.running(session):
                more = queue.do(session, job, told)
            told.demand()
            if not _end(session, queue, job, hand, JobState.DONE, **more):
                raise LeftOffError
    except DatabaseAwayError:
        raise
    except Exception as error:
        if isinstance(error, LeftOffError) or told.left_off:
            _leave(session, queue, job, hand, told)
        elif isinstance(error, WanggeError):
            said = {"code": error.code, "message": error.message, **error.data}
            _end(session, queue, job, hand, JobState.FAILED, error=said)
            queue.failed(session, job, error)
        else:
            name = type(error).__name__
            message = phrase(
                "Something unexpected went wrong (%(name)s); nothing was changed.", name=name
            )
            said = {"code": "unexpected", "message": message}
            _end(session, queue, job, hand, JobState.FAILED, error=said)
            return error
    return None


def _leave(session: Session, queue: Queue, job: Taken, hand: Hand, told: Told) -> None:
    if told.cancelled:
        _end(session, queue, job, hand, JobState.CANCELLED)
    elif hand.stopping.is_set():
        session.execute(
            update(queue.table)
            .where(*_held(queue, job, hand))
            .values(
                state=JobState.QUEUED.value, attempts=queue.table.c.attempts - 1, worker=None,
                lease_until=None, share=0.0, words="",
            )
        )  # fmt: skip


def _end(
    session: Session,
    queue: Queue,
    job: Taken,
    hand: Hand,
    state: JobState,
    error: Mapping[str, Any] | None = None,
    **more: Any,
) -> bool:
    """Write how a job ended; return whether it was still this worker's."""
    values = {"error": plain(error), **more, **({"share": 1.0} if state is JobState.DONE else {})}
    found = session.execute(
        update(queue.table)
        .where(*_held(queue, job, hand))
        .values(
            state=state.value, lease_until=None, ended_at=func.clock_timestamp(), **values
        )
        .returning(queue.table.c.city_id)
    )  # fmt: skip
    return found.one_or_none() is not None


def _held(queue: Queue, job: Taken, hand: Hand) -> tuple[Any, ...]:
    table = queue.table
    return (
        table.c.city_id == job.city_id,
        table.c[queue.number] == job.number,
        table.c.state == JobState.RUNNING.value,
        table.c.worker == hand.name,
    )


def _lease() -> Any:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, LEASE_S)


def plain(data: Any) -> Any:
    """Return what a job says as it is stored: sentences packed, all else plain JSON."""
    if data is None:
        return None
    return json.loads(json.dumps(packed(data), ensure_ascii=False, default=str))


# ---- whoever asked -------------------------------------------------------------------------------


def ask_to_cancel(session: Session, model: type[Any], *which: Any) -> bool:
    """Ask the worker to leave jobs off; one that waits is cancelled when it is taken.

    Parameters
    ----------
    which
        Conditions on the rows of `model`.

    Returns
    -------
    bool
        Whether any is under way.
    """
    changed = update(model).where(*which, model.state.in_(LIVE)).values(cancel_asked=True)
    found = session.execute(changed.returning(model.city_id))
    return bool(found.all())


def asker(session: Session, city_id: int, user_id: int) -> str:
    """Return the role, as it is now, of the account in whose name a job is done.

    Raises
    ------
    ForbiddenError
        If the account is disabled.
    """
    role: str | None = session.scalar(
        select(UserAccount.role).where(
            UserAccount.city_id == city_id,
            UserAccount.user_id == user_id,
            UserAccount.disabled_at.is_(None),
        )
    )
    if role is None:
        raise ForbiddenError(phrase("The account that asked is disabled."))
    return role


def waiting(session: Session) -> tuple[int, float]:
    """Return how many jobs of all queues wait or lost their worker, and the longest wait, s."""
    count, longest_s = 0, 0.0
    for table, since in (
        (Job, Job.created_at), (PlanTask, PlanTask.asked_at), (Publication, Publication.asked_at),
    ):  # fmt: skip
        lost = (table.state == JobState.RUNNING.value) & (
            table.lease_until < func.clock_timestamp()
        )
        age = func.coalesce(func.extract("epoch", func.clock_timestamp() - func.min(since)), 0)
        row = session.execute(
            select(func.count(), age).where((table.state == JobState.QUEUED.value) | lost)
        ).one()
        count, longest_s = count + int(row[0]), max(longest_s, float(row[1]))
    return count, longest_s
