"""Databases for tests: a server of their own, templates built by the migrations, quick copies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from geo.cluster import Cluster

ROOT = Path(__file__).resolve().parent.parent
OLD = "1 day"
VACUUM_WAITS = 20
VACUUM_WAIT_S = 0.5


@dataclass(frozen=True)
class Server:
    """A PostGIS server on which tests make and drop databases of their own.

    Parameters
    ----------
    owner_address, app_address : str
        SQLAlchemy addresses; the name of the database in them is replaced.
    admin_address : str, optional
        Login of an administrator, on the private server alone.
    guests : list of str
        Databases to drop at the end, on a server of somebody's own.
    """

    owner_address: str
    app_address: str
    admin_address: str | None = None
    guests: list[str] = field(default_factory=list)

    def owner_url(self, name: str) -> str:
        """Return the address for migrations and loading."""
        return _named(self.owner_address, name)

    def app_url(self, name: str) -> str:
        """Return the address that the application uses."""
        return _named(self.app_address, name)

    def create(self, name: str, template: str = "template1") -> None:
        """Create a database as a copy of another one, which nobody may be connected to."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._say(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop(self, name: str) -> None:
        """Drop a database and everybody in it."""
        order = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        for _ in range(VACUUM_WAITS):
            try:
                self._say(order)
            except psycopg.errors.InsufficientPrivilege:  # the server is vacuuming it
                time.sleep(VACUUM_WAIT_S)
            else:
                return
        self._say(order)

    def exists(self, name: str) -> bool:
        """Say whether there is such a database."""
        with psycopg.connect(self._maintenance(), autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
            return found.rowcount > 0

    def template(self, purpose: str, fingerprint: str, fill: Callable[[str], None]) -> str:
        """Return the name of a template; the first process that asks builds it with `fill`.

        On a server of somebody's own it is built by each process and dropped at its end.
        """
        name = f"wangge_template_{purpose}_{fingerprint}"
        if self.admin_address is None:
            name = f"wangge_test_{purpose}_{os.getpid()}"
            self.guests.append(name)
        with _one_at_a_time(f"template-{purpose}"):
            if not self.exists(name):
                unfinished = f"wangge_unfinished_{purpose}_{os.getpid()}"
                self.drop(unfinished)
                self.create(unfinished)
                fill(unfinished)
                rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                self._say(rename.format(sql.Identifier(unfinished), sql.Identifier(name)))
        return name

    def sweep(self) -> None:
        """Drop what earlier runs left: on the private server, databases of tests a day old."""
        if self.admin_address is None:
            return
        with _one_at_a_time("sweep"):
            with psycopg.connect(_libpq(self.admin_address), autocommit=True) as connection:
                rows = connection.execute(
                    "SELECT datname FROM pg_database,"
                    " pg_stat_file('base/' || oid || '/PG_VERSION', true)"
                    " WHERE datname ~ '^wangge_(test|template|unfinished)_'"
                    " AND modification < now() - %s::interval",
                    [OLD],
                ).fetchall()
            for (name,) in rows:
                self.drop(name)

    def _maintenance(self) -> str:
        if self.admin_address:
            return _libpq(_named(self.owner_address, "postgres"))
        return _libpq(self.owner_address)

    def _say(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._maintenance(), autocommit=True) as connection:
            connection.execute(statement)


def fingerprint(*patterns: str) -> str:
    """Return a short hash over the content of files of the repository, named by patterns."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def server() -> Iterator[Server]:
    """Yield the server for tests: the one of `DATABASE_URL`, else a private one of this folder.

    Databases that exist there already are never touched.
    """
    url = os.environ.get("DATABASE_URL")
    if url:
        found = Server(os.environ.get("DATABASE_OWNER_URL", url), url)
        try:
            yield found
        finally:
            for name in found.guests:
                found.drop(name)
        return
    with Cluster(ROOT, "test", durable=False).session() as cluster:
        yield Server(cluster.url("owner"), cluster.url("app"), cluster.url("admin", "postgres"))


@contextmanager
def _one_at_a_time(what: str) -> Iterator[None]:
    state = ROOT / ".wangge"
    state.mkdir(exist_ok=True)
    with (state / f"test-{what}.lock").open("a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _named(address: str, name: str) -> str:
    url = make_url(address).set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)


def _libpq(address: str) -> str:
    url = make_url(address).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)
