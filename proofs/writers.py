"""Eight writers at one city for a minute, two of them cutting: counted, and looked at afterwards.

Each writer is a member of two drafts and draws in a transaction of its own, as the server and the
worker do: six as the application, two as the owner, who alone cuts cells. What a user is told
otherwise than by a named error of the product counts as a 500.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, Final

import numpy as np
from pyproj import Transformer
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from geo import service
from geo.db import Database, Viewer, context_key, migrate, owner_engine, owner_transaction
from geo.errors import WanggeError
from geo.store import drafts, nets
from geo.tables import City, UserAccount
from geo.terms import Role
from proofs.claims import Claim, Say
from tests import databases
from tests.cities import COLUMNS, CORNER, METRE_SRID, ROWS, SIDE_M, tiny_dataset

SECONDS: Final = 60.0
WRITERS: Final = 8
CUTTERS: Final = 2
REST_S: Final = 2.0
"""What a cutter waits between two cuts: cuts are rare."""
LEAST_RATE: Final = 30.0
STARTING_S: Final = 4.0
"""Until all processes stand and begin at once."""

BACK: Final = Transformer.from_crs(METRE_SRID, 4326, always_xy=True)


@dataclass
class Tally:
    """What writers did, counted together."""

    counts: Counter[str] = field(default_factory=Counter)
    unnamed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, name: str) -> None:
        """Count once."""
        with self.lock:
            self.counts[name] += 1

    def wrong(self, error: Exception) -> None:
        """Keep what no user should ever see."""
        with self.lock:
            self.unnamed.append(f"{type(error).__name__}: {str(error)[:200]}")


class Writer(threading.Thread):
    """One account at work on drafts, at random, until told to stop."""

    def __init__(
        self,
        number: int,
        at_work: Callable[[], Any],
        viewer: Viewer,
        plans: list[int],
        tally: Tally,
        over: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self._rng = np.random.default_rng(number)
        self._cuts = number < CUTTERS
        self._at_work, self._viewer, self._plans = at_work, viewer, plans
        self._tally, self._over = tally, over
        self._cut_after = 0.0

    def run(self) -> None:
        """Write until it is over."""
        while not self._over.is_set():
            plan = int(self._rng.choice(self._plans))
            try:
                self._write(plan)
            except WanggeError as error:
                self._tally.note(f"refused {error.code}")
            except Exception as error:
                self._tally.wrong(error)

    def _write(self, plan: int) -> None:
        with self._at_work() as session:
            grids = drafts.grids(session, self._viewer, plan)
        leaves = [g["grid"] for g in grids if g["leaf"] and not g["ended"] and g["level"] > 1]
        known = {g["grid"]: g["version"] for g in grids}
        if self._cuts and time.monotonic() > self._cut_after:
            self._cut_after = time.monotonic() + REST_S
            with self._at_work() as session:
                self._cut(session, plan, leaves, known)
            self._tally.note("cuts and their undo")
        elif self._rng.random() < 0.3:
            # who may not cut learns that the worker takes a cut back, which counts as refused
            with self._at_work() as session:
                drafts.undo(session, self._viewer, plan)
            self._tally.note("undo")
        else:
            with self._at_work() as session:
                state = drafts.state(session, self._viewer, plan)
            leaf = dict(zip(state["cell_id"].tolist(), state["grid_id"].tolist(), strict=True))
            self._edit(plan, known, leaf)

    def _cut(self, session: Session, plan: int, leaves: list[int], known: dict[int, int]) -> None:
        if self._rng.random() < 0.5 and drafts.undoes_a_cut(session, self._viewer, plan):
            drafts.undo(session, self._viewer, plan)
            return
        middle = self._rng.uniform((0.5, 0.5), (COLUMNS - 0.5, ROWS - 0.5))
        angle = self._rng.uniform(0, np.pi)
        reach = 20 * np.array([np.cos(angle), np.sin(angle)])
        places = np.array([middle - reach, middle, middle + reach]) * SIDE_M + CORNER
        line = np.column_stack(BACK.transform(*places.T)).tolist()
        args = {
            "grid": int(self._rng.choice(leaves)),
            "line": {"type": "LineString", "coordinates": line},
            "exact": True,
        }
        drafts.apply(session, self._viewer, plan, "split_by_line", args, known)

    def _edit(self, plan: int, known: dict[int, int], leaf: dict[int, int]) -> None:
        """Redraw at a place where two grids meet, as one does on a map."""
        whole = [cell for cell in leaf if cell <= COLUMNS * ROWS]
        cell = int(self._rng.choice(whole))
        beside = [cell + step for step in (1, -1, COLUMNS, -COLUMNS) if cell + step in leaf]
        others = [leaf[one] for one in beside if leaf[one] != leaf[cell]]
        grid, other = leaf[cell], int(self._rng.choice(others)) if others else leaf[cell]
        wishes: list[tuple[str, dict[str, Any]]] = [
            ("move", {"cells": [cell], "into": other}),
            ("rename", {"grid": grid, "name": f"名{self._rng.integers(100)}"}),
            ("set_kind", {"grid": grid, "kind": str(self._rng.choice(["basic", "dedicated"]))}),
            ("split", {"grid": grid, "parts": [[cell]]}),
            ("merge", {"grids": sorted({grid, other}), "into": other}),
        ]
        op, args = wishes[int(self._rng.choice(5, p=[0.3, 0.3, 0.2, 0.1, 0.1]))]
        with self._at_work() as session:
            drafts.apply(session, self._viewer, plan, op, args, known)
        self._tally.note(op)


def prove(effort: float = 1.0, say: Say = lambda words: None) -> list[Claim]:
    """Let eight writers work for a minute at full effort."""
    with databases.server() as server:
        name = f"wangge_test_writers_{threading.get_native_id()}"
        server.create(name)
        try:
            return at_once(server.owner_url(name), server.app_url(name), SECONDS * effort, say)
        finally:
            server.drop(name)


def at_once(owner_url: str, app_url: str, seconds: float, say: Say) -> list[Claim]:
    """Let writers work on the tiny city in an empty database; say what came of it.

    They are shared out among as many processes as there are cores, as those of a server are.
    """
    engine = owner_engine(owner_url)
    migrate(engine)
    with owner_transaction(engine) as session:
        service.load_dataset(session, tiny_dataset(), demo=True)
        service.create_demo_accounts(session, "tiny")
    city, viewers, plans = _room(engine)
    benches = min(WRITERS, os.cpu_count() or 1)
    room = Room(owner_url, app_url, viewers, plans, time.time() + STARTING_S, seconds)
    say(f"{WRITERS} writers in {benches} processes for {seconds:.0f} s")
    with ProcessPoolExecutor(benches, mp_context=get_context("spawn")) as pool:
        shares = [range(first, WRITERS, benches) for first in range(benches)]
        done = list(pool.map(_work, [room] * benches, shares))
    tally = Tally()
    for counts, unnamed, _ in done:
        tally.counts.update(counts)
        tally.unnamed.extend(unnamed)
    claims = _claims(engine, city, viewers[0], plans, tally, max(took for *_, took in done))
    engine.dispose()
    return claims


@dataclass(frozen=True)
class Room:
    """Where writers work, as whom, on what, from when (seconds since 1970) and how long."""

    owner_url: str
    app_url: str
    viewers: list[Viewer]
    plans: list[int]
    begin: float
    seconds: float


def _work(room: Room, numbers: Sequence[int]) -> tuple[Counter[str], list[str], float]:
    """Let some of the writers work in this process; return their tally and how long it took."""
    owners = [owner_engine(room.owner_url) for number in numbers if number < CUTTERS]
    door = Database(room.app_url, context_key(owner_engine(room.owner_url)), pool_size=WRITERS)
    tally, over = Tally(), threading.Event()
    writers = []
    for place, number in enumerate(numbers):
        viewer = room.viewers[number % len(room.viewers)]
        bench = owners[place] if number < CUTTERS else None
        writers.append(Writer(number, _door(bench, door, viewer), viewer, room.plans, tally, over))
    time.sleep(max(room.begin - time.time(), 0.0))
    began = time.monotonic()
    for writer in writers:
        writer.start()
    over.wait(room.seconds)
    over.set()
    for writer in writers:
        writer.join(120)
    took = time.monotonic() - began
    door.close()
    for one in owners:
        one.dispose()
    return tally.counts, tally.unnamed, took


def _door(bench: Engine | None, door: Database, viewer: Viewer) -> Callable[[], Any]:
    """Return what opens a transaction: of the owner for cutters, of the application for others."""

    @contextmanager
    def at_work() -> Iterator[Session]:
        with owner_transaction(bench) if bench else door.transaction(viewer) as session:
            yield session

    return at_work


def _room(engine: Engine) -> tuple[int, list[Viewer], list[int]]:
    """Return the city, two accounts, and two plans that both draw and cut on."""
    with owner_transaction(engine) as session:
        city = int(session.execute(select(City.city_id)).scalar_one())
        rows = session.execute(
            select(UserAccount.role, UserAccount.user_id).where(UserAccount.city_id == city)
        ).all()
        users = {row[0]: int(row[1]) for row in rows}
        viewers = [Viewer(role, city, users[role.value])
                   for role in (Role.PLANNER, Role.ADMINISTRATOR)]  # fmt: skip
        members = {viewer.user_id or 0: ["draw", "cut"] for viewer in viewers}
        plans = []
        for _ in range(2):
            moment = nets.moment(session, city)
            plan = drafts.open_plan(session, viewers[0], moment, "方案")
            drafts.set_members(session, viewers[0], plan, members)
            plans.append(plan)
    return city, viewers, plans


def _done(tally: Tally) -> int:
    return sum(n for name, n in tally.counts.items() if not name.startswith("refused"))


def _claims(
    engine: Engine, city: int, viewer: Viewer, plans: list[int], tally: Tally, took: float
) -> list[Claim]:
    faults: list[str] = []
    with owner_transaction(engine) as session:
        for plan in plans:
            faults += drafts.check(session, viewer, plan)["faults"]
        faults += [str(one) for one in service.check_city(session, "tiny")["faults"]]
        cuts = session.scalar(text("SELECT count(*) FROM audit WHERE action = 'cells.cut'"))
        backs = session.scalar(text("SELECT count(*) FROM audit WHERE action = 'cells.uncut'"))
        cells = session.scalar(text("SELECT count(*) FROM cell WHERE retired_by_cut IS NULL"))
    rate = _done(tally) / took
    listed = ", ".join(f"{name} {n:,}" for name, n in sorted(tally.counts.items()))
    deadlocks = [one for one in tally.unnamed if "deadlock" in one.lower()]
    return [
        Claim("no overlap, no gap, no torn or empty grid", f"{len(faults)} faults; {cells} cells"
              f" after {cuts} cuts and {backs} undone {'; '.join(faults[:3])}", not faults),
        Claim("no 500", f"{len(tally.unnamed)} {'; '.join(tally.unnamed[:3])}", not tally.unnamed),
        Claim("no deadlock reaches a user", f"{len(deadlocks)}", not deadlocks),
        Claim(f"{WRITERS} writers, {CUTTERS} of them cutting: at least {LEAST_RATE:g} commits/s",
              f"{rate:.1f}/s in {took:.0f} s ({listed})", rate >= LEAST_RATE),
    ]  # fmt: skip
