"""Which revision of the schema a database has, and which ones this program knows."""

from __future__ import annotations

from importlib import resources

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text


def current(connection: Connection) -> str | None:
    """Return the revision of a database; None for one without our tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def known() -> list[str]:
    """Return the revisions that this program knows, the oldest first."""
    return [revision for revision, _ in described()]


def head() -> str:
    """Return the revision that this program works with."""
    return known()[-1]


def missing(revision: str | None) -> list[tuple[str, str]]:
    """Return revision and first line of each migration that comes after `revision`."""
    all_of_them = described()
    names = [name for name, _ in all_of_them]
    return all_of_them[names.index(revision) + 1 if revision else 0 :]


def described() -> list[tuple[str, str]]:
    """Return revision and first line of each migration of this program, the oldest first."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("geo.migrations")))
    scripts = ScriptDirectory.from_config(config)
    found = [(script.revision, script.doc) for script in scripts.walk_revisions()]
    return found[::-1]
