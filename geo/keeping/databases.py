"""Databases beside the one in use: made, renamed in one step, listed, dropped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import psycopg
from psycopg import errors as pg
from psycopg import sql
from sqlalchemy import URL

from geo.errors import KeepingError, SetupError
from geo.programs import EXTENSIONS

MAINTENANCE: Final = "postgres"
NAME_MAX_BYTES: Final = 63
STAMP_LENGTH: Final = len("_restore_20260701_023000")
RENAME_TRIES: Final = 5

_SIDE = r"_(before|restore)_[0-9]{8}_[0-9]{6}"


def stamped(name: str, what: str) -> str:
    """Return the name of a database beside `name`, with the present moment in it.

    Raises
    ------
    KeepingError
        If that is too long for a name.
    """
    if len(name.encode()) > NAME_MAX_BYTES - STAMP_LENGTH:
        raise KeepingError(f"The name '{name}' is too long for a dated one beside it.")
    return f"{name}_{what}_{datetime.now(UTC):%Y%m%d_%H%M%S}"


def exists(url: URL, name: str) -> bool:
    """Say whether the server has such a database."""
    with _maintenance(url) as connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        return found.rowcount > 0


def worthless(url: URL, name: str) -> bool:
    """Say whether nothing of ours is in a database: no schema, or no city and no log."""
    with connected(url, name) as connection:
        for table in ("alembic_version", "city", "audit"):
            there = connection.execute("SELECT to_regclass(%s)", [f"public.{table}"]).fetchone()
            if there is None or there[0] is None:
                return True
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM city) OR EXISTS (SELECT FROM audit)"
        ).fetchone()
    return row is not None and not row[0]


def create(url: URL, name: str) -> None:
    """Create an empty database with the extensions.

    Raises
    ------
    SetupError
        If the login may not; `command` is what the server's administrator types.
    """
    try:
        with _maintenance(url) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} ENCODING 'UTF8'").format(sql.Identifier(name))
            )
    except pg.InsufficientPrivilege:
        raise SetupError(
            f"The login {url.username} may not create databases, and a restoring is done in a new "
            "one beside the one in use.",
            command=f"psql -d postgres -c 'ALTER ROLE {url.username} CREATEDB'",
        ) from None
    try:
        with connected(url, name) as connection:
            for extension in EXTENSIONS:
                connection.execute(
                    sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension))
                )
    except pg.InsufficientPrivilege:
        drop(url, name)
        wanted = "; ".join(f"CREATE EXTENSION IF NOT EXISTS {name}" for name in EXTENSIONS)
        raise SetupError(
            f"The login {url.username} may not create extensions: they must be in template1, from "
            "which new databases are made.",
            command=f"psql -d template1 -c '{wanted}'",
        ) from None


def drop(url: URL, name: str, *, force: bool = True) -> None:
    """Drop a database; with `force`, everybody in it is thrown out first."""
    statement = "DROP DATABASE IF EXISTS {} WITH (FORCE)" if force else "DROP DATABASE {}"
    with _maintenance(url) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


def users(url: URL, name: str) -> int:
    """Count the sessions of other programs in a database."""
    with _maintenance(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = %s AND backend_type = 'client backend'",
            [name],
        ).fetchone()
    return int(row[0]) if row else 0


def swap(url: URL, fresh: str, name: str, old: str | None, *, end_sessions: bool) -> None:
    """Give `fresh` the name `name`, and what had it the name `old`: both or neither.

    Parameters
    ----------
    old : str, optional
        None when nothing has the name `name`.
    end_sessions : bool
        Throw out the programs that are in the database.

    Raises
    ------
    KeepingError
        If programs are in the database and stay; nothing was renamed.
    """
    pairs = [(name, old)] if old else []
    pairs.append((fresh, name))
    for tried in range(RENAME_TRIES):
        try:
            with _maintenance(url) as connection, connection.transaction():
                if end_sessions:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = ANY (%s) AND pid <> pg_backend_pid()"
                        " AND usesysid IN (SELECT oid FROM pg_roles WHERE NOT rolsuper)",
                        [[name, fresh]],
                    )
                for before, after in pairs:
                    connection.execute(
                        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                            sql.Identifier(before), sql.Identifier(after)
                        )
                    )
            return
        except pg.ObjectInUse:
            time.sleep(0.2 * tried)
        except pg.InsufficientPrivilege as error:
            raise KeepingError(
                f"The databases could not change names: {error.diag.message_primary}. Stop the "
                "program that serves the database, then try again."
            ) from None
    raise KeepingError(
        f"Programs go on using the database '{name}'. Stop them (systemctl stop wangge, or Ctrl-C "
        "where it serves), then try again."
    )


def beside(url: URL, name: str) -> list[tuple[str, int]]:
    """Return name and size in bytes of the databases that restorings left beside `name`."""
    with _maintenance(url) as connection:
        found = connection.execute(
            "SELECT datname, pg_database_size(oid) FROM pg_database"
            " WHERE starts_with(datname, %s) AND substr(datname, %s) ~ %s ORDER BY datname",
            [name, len(name) + 1, f"^{_SIDE}$"],
        ).fetchall()
    return [(row[0], int(row[1])) for row in found]


@contextlib.contextmanager
def connected(url: URL, name: str) -> Iterator[psycopg.Connection]:
    """Yield a connection to a database of the same server, outside transactions."""
    plain = url.set(drivername="postgresql", database=name)
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as made:
        yield made


def _maintenance(url: URL) -> contextlib.AbstractContextManager[psycopg.Connection]:
    return connected(url, MAINTENANCE)
