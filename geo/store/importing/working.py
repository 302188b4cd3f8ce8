"""One job of a delivery done: its step in one transaction; see `geo.store.jobs`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from geo.db import owner_transaction
from geo.errors import DeliveryError, TopologyError, WanggeError
from geo.files import reading
from geo.files.facts import Wish
from geo.files.limits import WEB, Limits
from geo.importing.wishes import wish_from_data
from geo.store.importing import changes, deliveries, steps
from geo.store.jobs import Hand, Queue, Taken, Told, work
from geo.tables import Delivery, Job, UserAccount
from geo.terms import DeliveryState, JobStep

REFUSING: Final = (JobStep.LOOK, JobStep.IMPORT)
"""Steps after which a file that cannot be taken is refused; before, it may be wished otherwise."""
MOST_ATTEMPTS: Final = 2
LOCK: Final = 7211


@dataclass
class Worker:
    """Who works on deliveries: the folder where they lie, and the queue of what is asked of them.

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

    @property
    def hand(self) -> Hand:
        """Return this process as it takes jobs of any queue."""
        return Hand(self.name, self.stopping)

    @property
    def queue(self) -> Queue:
        """Return the jobs of deliveries and what is done with each."""
        return Queue(Job, "job_id", LOCK, MOST_ATTEMPTS, self._do, self._failed)

    def work(self) -> Taken | None:
        """Do the next job of a delivery; return it, None when there is none."""
        return work(self.engine, self.queue, self.hand)

    def _do(self, session: Session, job: Taken, told: Told) -> dict[str, Any]:
        row = deliveries.get(session, job.city_id, job.row["delivery_id"])
        author, args = job.row["author_id"], job.row["args"]
        actor = steps.Actor(author, _role(session, author))
        hands = hands_of(self.limits, told.demand)
        path = partial(steps.path_of, row, self.root)
        step = JobStep(job.row["step"])
        if step is JobStep.LOOK:
            steps.look(session, row, path(), hands)
        elif step is JobStep.PREPARE:
            wish = wish_from_data(args)
            steps.prepare(session, row, path(), wish, hands, told.note, guess=True)
        elif step is JobStep.IMPORT:
            steps.perform(session, row, path(), hands, choice=args, actor=actor, progress=told.note)
            deliveries.throw_away(session, row, self.root, None)
        elif step is JobStep.UNDO:
            steps.undo(session, row, actor=actor, progress=told.note)
        else:
            steps.drop(session, row, self.root)
        return {}

    def _failed(self, session: Session, job: Taken, error: WanggeError) -> None:
        step = JobStep(job.row["step"])
        if step not in REFUSING or not isinstance(error, (DeliveryError, TopologyError)):
            return
        row = deliveries.get(session, job.city_id, job.row["delivery_id"])
        deliveries.refuse(session, row, error)
        if step is JobStep.LOOK:  # nothing can be wished of what cannot be read
            deliveries.throw_away(session, row, self.root, DeliveryState.REFUSED)

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
