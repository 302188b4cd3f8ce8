"""A publication killed at many points: the old net or the new one, never anything between.

Each point is a copy of a city in which the publication of an approved plan was asked for. A worker
takes it in a process of its own; that process, or the whole database server, gets SIGKILL after a
random time. Then every table that a publication writes is compared with what it was before and with
what a publication that nobody disturbed made of it; and the next worker finishes the work.

    python -m proofs.kill --points 200
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import psycopg
import typer
from psycopg import sql
from sqlalchemy import select, text

from geo import service
from geo.cluster import Cluster
from geo.db import Viewer, migrate, owner_engine, owner_transaction
from geo.errors import SetupError
from geo.store import drafts, nets, publishing
from geo.tables import City, UserAccount
from geo.terms import Role
from proofs.claims import Claim, Say
from tests.cities import cell_at, tiny_dataset

POINTS: Final = 200
DATABASE_SHARE: Final = 0.25
"""Part of the points at which the database server is killed, and not the program."""
REACH: Final = 1.25
"""Kills fall between the beginning and this many times the time of an undisturbed publication."""
BACK_S: Final = 60.0
"""In this time the work must have been finished by somebody else."""
READY: Final = "kill_ready"

WRITTEN: Final = (
    ("net", "city_id, seq, plan_id, effective_from, cancelled_at IS NULL, hash"),
    ("net_cell", "*"), ("net_grid", "*"), ("net_exception", "*"), ("grid", "*"), ("grid_code", "*"),
    ("handover", "city_id, seq, kind, object_id, from_grid, to_grid, reason"),
    ("net_count", "*"), ("net_value", "*"), ("net_limit", "*"), ("net_compound", "*"),
    ("plan", "city_id, plan_id, state, base_seq, approved_hash"),
    ("publication", "city_id, publication_id, state IN ('queued', 'running'), seq, error"),
    ("audit", "city_id, n, action, object, payload"),
)  # fmt: skip
"""Tables that a publication writes, without the columns that hold a time."""


def state(url: str) -> dict[str, str]:
    """Return one hash for each table that a publication writes."""
    found: dict[str, str] = {}
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for table, columns in WRITTEN:
            words = sql.SQL(
                "SELECT md5(coalesce(string_agg(r::text, '|' ORDER BY r::text), ''))"
                " FROM (SELECT {} FROM {}) AS r"
            ).format(sql.SQL(columns), sql.Identifier(table))
            row = connection.execute(words).fetchone()
            found[table] = row[0] if row else ""
    return found


def _work(url: str, ready: Connection) -> None:
    """Do what was asked for, in a process that may be killed."""
    engine = owner_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    ready.send("begin")
    publishing.work(engine)
    ready.send("done")


def _prepare(url: str) -> None:
    """Fill a database with a city in which a publication was asked for."""
    engine = owner_engine(url)
    migrate(engine)
    with owner_transaction(engine) as session:
        service.load_dataset(session, tiny_dataset(), demo=True)
        service.create_demo_accounts(session, "tiny")
        city = session.scalar(select(City.city_id)) or 0
        users = {
            row[0]: row[1] for row in session.execute(select(UserAccount.role, UserAccount.user_id))
        }
        planner = Viewer(Role.PLANNER, city, users["planner"])
        second = Viewer(Role.ADMINISTRATOR, city, users["administrator"])
        at = nets.moment(session, city)
        plan = drafts.open_plan(session, planner, at, "方案甲")
        drafts.set_members(session, planner, plan, {second.user_id or 0: ["publish"]})
        wishes: list[tuple[str, dict[str, Any]]] = [
            ("merge", {"grids": [211, 212], "into": 212}),
            ("draw", {"cells": [cell_at(5, 0), cell_at(5, 1)], "parent": 21, "name": "新网格"}),
            ("move", {"cells": [cell_at(3, 2)], "into": 1112}),
            ("rename", {"grid": 1, "name": "东岚新街道"}),
        ]
        for op, args in wishes:
            known = {one["grid"]: one["version"] for one in drafts.grids(session, planner, plan)}
            drafts.apply(session, planner, plan, op, args, known)
        posts = publishing.posts(session, planner, plan)
        going = {one["post"]: one["proposed"] for one in posts}
        publishing.settle_posts(session, planner, plan, going)
        content = str(publishing.submit(session, planner, plan)["content"])
        publishing.approve(session, second, plan, content)
        publishing.ask(session, second, plan, at.day + timedelta(days=3), content)
    engine.dispose()


@contextmanager
def _copied(cluster: Cluster, name: str) -> Iterator[str]:
    """Yield the address of a copy of the prepared city; it is dropped at the end."""
    _say(cluster, "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, READY)
    try:
        yield cluster.url("owner", name)
    finally:
        _say(cluster, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _say(cluster: Cluster, words: str, *names: str) -> None:
    address = cluster.url("owner", "postgres").replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL(words).format(*map(sql.Identifier, names)))


def _server(cluster: Cluster) -> list[int]:
    """Return the processes of the database server of this proof, the first one first."""
    head = cluster.status().pid
    if head is None:
        return []
    found = [head]
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            number = int(entry.name)
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            found += [number] if int(parent) == head else []
    return found


def _kill(process: Any, cluster: Cluster, whole: bool) -> None:
    """End the worker, or the database with all its processes, as a power cut of one of them."""
    dead = _server(cluster) if whole else []
    if not whole:
        process.kill()
    else:
        for pid in dead:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.join(BACK_S)
    if process.is_alive():
        process.kill()
        process.join()
    if whole:
        _again(cluster, dead)


def _again(cluster: Cluster, dead: list[int]) -> None:
    """Start the server again once nothing is left of the one that was killed, and wait for it."""
    until = time.monotonic() + BACK_S
    while time.monotonic() < until and any(Path(f"/proc/{pid}/exe").exists() for pid in dead):
        time.sleep(0.05)
    while time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError, SetupError):
            cluster.start()
            _say(cluster, "ANALYZE pg_class")
            return
        time.sleep(0.2)
    raise AssertionError("the database did not come back")


class _Points:
    """All points of one run, on a private server."""

    def __init__(self, cluster: Cluster, rng: np.random.Generator) -> None:
        self.cluster, self.rng = cluster, rng
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["proofs.kill"])
        self.found: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.old: dict[str, str] = {}
        self.new: dict[str, str] = {}
        self.lasts_s = 0.0

    def undisturbed(self) -> None:
        """Publish twice without a kill: what comes of it is always the same, and lasts so long."""
        for name in ("kill_warm", "kill_clean"):
            with _copied(self.cluster, name) as url:
                self.old = state(url)
                process, ready = self._begin(url)
                began_s = time.monotonic()
                ready.recv()
                self.lasts_s = time.monotonic() - began_s
                process.join()
                after = state(url)
            if self.new and after != self.new:
                raise AssertionError("two publications of one plan differ")
            self.new = after

    def _begin(self, url: str) -> tuple[Any, Connection]:
        ready, far = self.processes.Pipe(duplex=False)
        process = self.processes.Process(target=_work, args=(url, far), daemon=True)
        process.start()
        far.close()
        ready.recv()
        return process, ready

    def point(self, number: int, whole: bool) -> None:
        """Kill once, look, and let the next worker finish."""
        with _copied(self.cluster, f"kill_{number}") as url:
            process, _ = self._begin(url)
            time.sleep(float(self.rng.uniform(0.0, REACH * self.lasts_s)))
            _kill(process, self.cluster, whole)
            began_s = time.monotonic()
            now = state(url)
            kind = "database" if whole else "program"
            told = "old" if now == self.old else "new" if now == self.new else "mixed"
            self.found[f"{kind} {told}"] += 1
            if told == "old":
                self._finish(url, began_s)
                self.found["not finished by the next worker"] += state(url) != self.new
                self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)

    def _finish(self, url: str, began_s: float) -> None:
        """Work as the next worker does: again and again, while the dead one's lock is still held.

        The server notices only at its next word to the program that nobody is there any more.
        """
        engine = owner_engine(url)
        while not publishing.work(engine) and time.monotonic() - began_s < BACK_S:
            time.sleep(0.1)
            if state(url) == self.new:
                break
        engine.dispose()


def run(points: int, say: Say, seed: int = 1) -> list[Claim]:
    """Kill at so many points; return what was found."""
    with tempfile.TemporaryDirectory(prefix="wangge-kill-") as folder:
        cluster = Cluster(Path(folder), "kill")
        with cluster.session():
            say("preparing a city")
            _say(cluster, "CREATE DATABASE {}", READY)
            _prepare(cluster.url("owner", READY))
            all_points = _Points(cluster, np.random.default_rng(seed))
            all_points.undisturbed()
            each = max(1, round(1 / DATABASE_SHARE))
            for number in range(points):
                say(f"point {number + 1} of {points}")
                all_points.point(number, number % each == each - 1)
    return _claims(points, all_points)


def _claims(points: int, done: _Points) -> list[Claim]:
    found = done.found
    mixed = found["program mixed"] + found["database mixed"]
    by = {told: found[f"program {told}"] + found[f"database {told}"] for told in ("old", "new")}
    figure = f"{by['old']} old, {by['new']} new, {mixed} mixed of {points}"
    servers = sum(number for kind, number in found.items() if kind.startswith("database"))
    left = found["not finished by the next worker"]
    return [
        Claim(f"killed at {points} points ({servers} of them the database): the old net or the "
              "new one, never mixed", figure, mixed == 0 and sum(by.values()) == points),
        Claim("the next worker finishes what was left", f"{left} left, slowest "
              f"{done.slowest_s:.1f} s", left == 0 and done.slowest_s < BACK_S),
        Claim("kills fell before and after the end", f"an undisturbed publication lasts "
              f"{done.lasts_s:.2f} s", by["old"] > 0),
    ]  # fmt: skip


def prove(effort: float, say: Say) -> list[Claim]:
    """Kill publications at 200 points, or at a share of them."""
    return run(max(4, round(POINTS * effort)), say)


def main(points: Annotated[int, typer.Option(min=4, help="How often to kill.")] = POINTS) -> None:
    """Kill publications of a tiny city; the exit code is 1 when a claim does not hold."""
    claims = run(points, lambda words: None)
    for claim in claims:
        typer.echo(f"{'held' if claim.held else 'BROKEN'}: {claim.promise}: {claim.figure}")
    raise typer.Exit(0 if all(claim.held for claim in claims) else 1)


if __name__ == "__main__":
    typer.run(main)
