"""One job done: its step in one transaction, told while it runs, left off when somebody asks.

The end of the job stands in the same transaction as its work, so that a crash leaves either both or
none. Progress goes over a connection of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import psycopg
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from geo.db import owner_transaction
from geo.errors import DatabaseAwayError, DeliveryError, TopologyError, WanggeError
from geo.files import reading
from geo.files.facts import Wish
from geo.files.limits import WEB, Limits
from geo.importing.wishes import wish_from_data
from geo.saying import phrase
from geo.store.importing import changes, deliveries, jobs, steps
from geo.store.importing.jobs import MOST_ATTEMPTS, Taken
from geo.tables import Delivery, UserAccount
from geo.terms import DeliveryState, JobState, JobStep

REFUSING: Final = (JobStep.LOOK, JobStep.IMPORT)
"""Steps after which a file that cannot be taken is refused; before, it may be wished otherwise."""
BEAT_S: Final = 1.0
"""How often a job's lease is renewed and its progress written, seconds."""


class LeftOffError(Exception):
    """Somebody asked to cancel the job, it was given to another worker, or this one must stop."""


@dataclass
class Worker:
    """A process that does jobs, one at a time.

    Parameters
    ----------
    engine : Engine
        Of the owner.
    root : Path
        Folder of the deliveries.
    name : str
        Unlike any other worker's.
    """

    engine: Engine
    root: Path
    name: str
    limits: Limits = WEB
    stopping: threading.Event = field(default_factory=threading.Event)

    def work(self) -> Taken | None:
        """Do the next job; return it, None when there is none."""
        with owner_transaction(self.engine) as session:
            job = jobs.take(session, self.name)
        if job is None:
            return None
        if job.cancel_asked:
            self._end(job, JobState.CANCELLED, None)
        elif job.attempts > MOST_ATTEMPTS:
            error = {
                "code": "crashed",
                "message": phrase("The work broke off twice; nothing was changed."),
            }
            self._end(job, JobState.FAILED, error)
        else:
            self._do(job)
        return job

    def _do(self, job: Taken) -> None:
        told = _Told(self, job)
        try:
            with owner_transaction(self.engine) as session:
                with told.running(session):
                    self._step(session, job, told)
                told.demand()
                if not jobs.end(session, job, self.name, JobState.DONE):
                    raise LeftOffError
        except Exception as error:
            if isinstance(error, LeftOffError) or told.left_off:
                self._leave(job, told)
                return
            if isinstance(error, DatabaseAwayError) or not isinstance(error, WanggeError):
                unclear = {"code": "unexpected", "message": _named(error)}
                self._end(job, JobState.FAILED, unclear)
                raise
            self._failed(job, error)

    def _leave(self, job: Taken, told: _Told) -> None:
        if told.cancelled:
            self._end(job, JobState.CANCELLED, None)
        elif self.stopping.is_set():
            with owner_transaction(self.engine) as session:
                jobs.give_back(session, job, self.name)

    def _failed(self, job: Taken, error: WanggeError) -> None:
        told = {"code": error.code, "message": error.message, **error.data}
        self._end(job, JobState.FAILED, told)
        if job.step not in REFUSING or not isinstance(error, (DeliveryError, TopologyError)):
            return
        with owner_transaction(self.engine) as session:
            row = deliveries.get(session, job.city_id, job.delivery_id)
            deliveries.refuse(session, row, error)
            if job.step is JobStep.LOOK:  # nothing can be wished of what cannot be read
                deliveries.throw_away(session, row, self.root, DeliveryState.REFUSED)

    def _end(self, job: Taken, state: JobState, error: dict[str, Any] | None) -> None:
        with owner_transaction(self.engine) as session:
            jobs.end(session, job, self.name, state, error)

    def _step(self, session: Session, job: Taken, told: _Told) -> None:
        row = deliveries.get(session, job.city_id, job.delivery_id)
        actor = steps.Actor(job.author_id, _role(session, job.author_id))
        hands = hands_of(self.limits, told.demand)
        path = partial(steps.path_of, row, self.root)
        if job.step is JobStep.LOOK:
            steps.look(session, row, path(), hands)
        elif job.step is JobStep.PREPARE:
            wish = wish_from_data(job.args)
            steps.prepare(session, row, path(), wish, hands, told.note, guess=True)
        elif job.step is JobStep.IMPORT:
            steps.perform(
                session, row, path(), hands, choice=job.args, actor=actor, progress=told.note
            )
            deliveries.throw_away(session, row, self.root, None)
        elif job.step is JobStep.UNDO:
            steps.undo(session, row, actor=actor, progress=told.note)
        else:
            steps.drop(session, row, self.root)

    def sweep(self, keep: timedelta, undo: timedelta) -> None:
        """Delete files that waited too long, and what would undo imports that are too old."""
        with owner_transaction(self.engine) as session:
            for row in deliveries.outdated(session, keep):
                refused = row.state == DeliveryState.REFUSED.value
                end = DeliveryState.REFUSED if refused else DeliveryState.DROPPED
                deliveries.throw_away(session, row, self.root, end)
            for row in deliveries.past_undoing(session, undo):
                changes.forget(session, row.city_id, row.delivery_id)
                deliveries.change(session, row, revision=None)
            known = set(session.scalars(select(Delivery.folder)))
        self._sweep_folders(known)

    def _sweep_folders(self, known: set[Any]) -> None:
        """Delete folders that no delivery names: their request or their transaction broke off."""
        hour_ago = time.time() - 3600
        for folder in self.root.iterdir() if self.root.is_dir() else ():
            if folder.name not in known and folder.stat().st_mtime < hour_ago:
                deliveries.delete_folder(folder)


def hands_of(
    limits: Limits, watch: Callable[[], None] | None = None, *, trusted: bool = False
) -> steps.Hands:
    """Return the reader behind its walls; what it read last is not read a second time.

    Parameters
    ----------
    limits : Limits
    watch : callable, optional
        Called several times a second while a file is read; what it raises ends that.
    trusted : bool, default False
        The operator's own file.
    """
    how: dict[str, Any] = {"limits": limits, "watch": watch, "trusted": trusted}
    kept: list[tuple[Any, Any]] = []

    def read(path: Path, layer: str | None, wish: Wish) -> Any:
        asked = (path, layer, wish)
        if not kept or kept[0][0] != asked:
            kept[:] = [(asked, reading.read(path, layer, wish, **how))]
        return kept[0][1]

    return steps.Hands(lambda path, wish: reading.understand(path, wish, **how), read)


def _role(session: Session, user_id: int | None) -> str | None:
    if user_id is None:
        return None
    return session.scalar(select(UserAccount.role).where(UserAccount.user_id == user_id))


def _named(error: Exception) -> str:
    return phrase(
        "Something unexpected went wrong (%(name)s); nothing was changed.",
        name=type(error).__name__,
    )


class _Told:
    """How far a job is: written every second, with the lease; and whether to leave it off."""

    def __init__(self, worker: Worker, job: Taken) -> None:
        self._worker = worker
        self._job = job
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
                with owner_transaction(self._worker.engine) as session:
                    asked = jobs.beat(
                        session, self._job, self._worker.name, self._share, self._words
                    )
            except (WanggeError, DBAPIError):
                continue
            self.cancelled = self.cancelled or asked is True
            if asked is not False or self._worker.stopping.is_set():
                self.left_off = True
                with suppress(psycopg.Error):
                    cast("psycopg.Connection[Any]", self._driver).cancel_safe(timeout=2)
