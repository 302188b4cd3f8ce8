"""The worker: waits for jobs, does one after the other, stops when told, never works by halves.

It also publishes plans when that was asked for, and hands over what is open when a net begins; now
and again it counts months anew whose issues changed.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Engine

from geo.errors import DatabaseAwayError, InvalidInputError, KeepingError
from geo.keeping import erasures
from geo.settings import Settings
from geo.store import packing, publishing
from geo.store.cases import do_chores
from geo.store.cases.posting import CLOSED, Post, post_of
from geo.store.drafts import asking
from geo.store.importing.working import Worker
from geo.store.jobs import CHANNEL

log = logging.getLogger("wangge.worker")

IDLE_S = 5.0
"""Longest wait between two looks at the queue, seconds: a call of the database ends it earlier."""
SWEEP_S = 3600.0
CHORES_S = 300.0
"""How often issues are looked after: deadlines, nets that have begun, messages; seconds."""
ERASING = ("contacts", "photos", "words")
"""Chores that leave tombstones."""
AWAY_S = 3.0
STOP_S = 15.0
"""How long a worker that was told to stop may take, seconds."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


def run(engine: Engine, settings: Settings, *, parent: int | None = None) -> None:
    """Do jobs until told to stop by SIGTERM or SIGINT, or until the parent process is gone.

    Parameters
    ----------
    engine : Engine
        Of the owner.
    settings : Settings
    parent : int, optional
        Process that started this one.
    """
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    worker = Worker(engine, settings.import_dir, name, limits=settings.import_limits)

    def stop(number: int, frame: FrameType | None) -> None:
        worker.stopping.set()

    held = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _rounds(worker, settings, parent)
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)


def _rounds(worker: Worker, settings: Settings, parent: int | None) -> None:
    keep = timedelta(days=settings.import_keep_days)
    undo = timedelta(days=settings.import_undo_days)
    swept_s = -SWEEP_S
    cared_s = time.monotonic() - CHORES_S / 2  # after what somebody waits for
    calls = _Calls(worker.engine)
    post = _post(settings)
    while not worker.stopping.is_set():
        if parent is not None and os.getppid() != parent:
            return
        try:
            if time.monotonic() - swept_s > SWEEP_S:
                worker.sweep(keep, undo)
                packing.pack_all(worker.engine)
                swept_s = time.monotonic()
            if time.monotonic() - cared_s > CHORES_S:
                cared_s = time.monotonic()
                folder = settings.import_dir.parent / "outbox"
                done = do_chores(worker.engine, folder, ways=post.ways, senders=post.senders)
                if any(done.get(name) for name in ERASING):
                    _list_erasures(worker.engine, settings)
            if not _worked(worker):
                calls.wait(IDLE_S, worker.stopping)
        except (DatabaseAwayError, psycopg.OperationalError):
            calls.close()
            worker.stopping.wait(AWAY_S)
        except Exception:
            log.exception("a job went wrong in an unforeseen way")
    calls.close()


def _list_erasures(engine: Engine, settings: Settings) -> None:
    """Tell the list beside the backups what was erased, so that no older one brings it back."""
    folder = settings.backup_dir or settings.project_dir / ".wangge" / "backups"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        erasures.keep(engine, folder)
    except (OSError, KeepingError) as error:
        log.error("the list of what was erased could not be written: %s", error)


def _post(settings: Settings) -> Post:
    """Return the ways of messages; while they are set wrongly, all messages wait."""
    try:
        return post_of(settings)
    except InvalidInputError as error:
        log.error("no message leaves: %s", error)
        return CLOSED


def _worked(worker: Worker) -> bool:
    """Do the next thing of any queue; say whether there was one."""
    engine, hand = worker.engine, worker.hand
    return (
        worker.work() is not None or asking.work(engine, hand) or publishing.keep_up(engine, hand)
    )


class _Calls:
    """A connection that hears the database call; without one, time alone ends the wait."""

    def __init__(self, engine: Engine) -> None:
        url = engine.url.set(drivername="postgresql")
        self._address = url.render_as_string(hide_password=False)
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, seconds: float, stopping: threading.Event) -> None:
        """Wait until the database calls, or so many seconds; a second longer at most when told."""
        if self._connection is None:
            self._connection = psycopg.connect(self._address, autocommit=True)
            listen = sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL))
            self._connection.execute(listen)
            return
        until = time.monotonic() + seconds
        while time.monotonic() < until and not stopping.is_set():
            if next(self._connection.notifies(timeout=1.0, stop_after=1), None) is not None:
                return

    def close(self) -> None:
        """Forget the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@contextmanager
def beside() -> Iterator[None]:
    """Keep a worker running in a process of its own; it is started again when it dies."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(over,), name="wangge-worker", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join(STOP_S + 5)


def _keep(over: threading.Event) -> None:
    command = [
        sys.executable, "-c", "from api.cli import main; main()",
        "worker", "--parent", str(os.getpid()),
    ]  # fmt: skip
    pause = FIRST_PAUSE_S
    while not over.is_set():
        began_s = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        while process.poll() is None and not over.wait(0.2):
            pass
        if over.is_set():
            _end(process)
            return
        lasted_s = time.monotonic() - began_s
        pause = FIRST_PAUSE_S if lasted_s > LONGEST_PAUSE_S else min(pause * 2, LONGEST_PAUSE_S)
        over.wait(pause)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
