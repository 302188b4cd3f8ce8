"""A new version of the program on old data: backup, migrations, validator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from geo.db import migrate, owner_transaction
from geo.errors import KeepingError
from geo.keeping import backup, facts, revisions
from geo.keeping.backup import Backup
from geo.store import audit

Step = Callable[[str, float], None]

UPGRADED = "schema.upgraded"
"""Action of the log's row that tells of an upgrade."""


@dataclass
class Upgrade:
    """What an upgrade does, or did.

    Attributes
    ----------
    before, after : str or None
        Revisions of the schema.
    steps : list of (str, str)
        Migrations that are missing: revision and what it does.
    own_cities : list of str
        Cities that are not made up: for their sake there is a backup first.
    """

    before: str | None
    after: str
    steps: list[tuple[str, str]]
    own_cities: list[str]
    backup: Backup | None = None
    faults: dict[str, dict[str, int]] = field(default_factory=dict)


def plan(engine: Engine) -> Upgrade:
    """Return what is to be done, doing nothing.

    Raises
    ------
    KeepingError
        If the database was made by a later version of the program.
    """
    with engine.connect() as connection:
        before = revisions.current(connection)
    known = revisions.known()
    if before is not None and before not in known:
        raise KeepingError(
            f"The database has the schema {before}, and this program knows none later than "
            f"{known[-1]}: a later version has been here. Install that version again, or restore a "
            "backup from before it."
        )
    cities: list[str] = []
    if before is not None:
        with owner_transaction(engine) as session:
            cities = facts.own_slugs(session)
    return Upgrade(before, known[-1], revisions.missing(before), cities)


def upgrade(engine: Engine, backups: Path, *, step: Step = lambda what, share: None) -> Upgrade:
    """Back up, migrate and check; nothing is done when the schema is the newest already.

    Raises
    ------
    KeepingError
        If a migration is refused: all of them are taken back together, and the backup stays.
    """
    found = plan(engine)
    if not found.steps:
        return found
    if found.before is not None:
        found.backup = backup.make(engine, backups, step=step)
    step("Bringing the schema up to date", 0.0)
    try:
        migrate(engine)
    except DBAPIError as error:
        words = str(error.orig).strip().partition("\n")[0]
        kept = f" The backup is {found.backup.path}." if found.backup else ""
        raise KeepingError(
            f"A migration was refused: {words}. The database is as it was before, with the schema "
            f"{found.before}.{kept} Go on with the version of the program that you had."
        ) from error
    step("Checking the cities", 0.0)
    with owner_transaction(engine) as session:
        checked = facts.checked_cities(session)
        audit.append(
            session,
            audit.INSTALLATION,
            UPGRADED,
            f"schema/{found.after}",
            {"before": found.before, "backup": found.backup.path.name if found.backup else None},
        )
    found.faults = {slug: said["counts"] for slug, said in checked.items() if not said["ok"]}
    return found
