"""Making a backup: one file of one moment, with what must be true after it is restored."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from geo.db import owner_transaction
from geo.errors import KeepingError
from geo.keeping import archive, dumping, erasures, facts, revisions
from geo.keeping.archive import Manifest
from geo.store import audit

Step = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""

MADE = "backup.made"
"""Action of the log's row that names a backup."""

DUMPING = "Dumping tables"
CHECKING = "Counting and checking"
ROOM_SHARE = 0.6
"""Room that a backup may take, as a share of the database: the dump is compressed."""


@dataclass(frozen=True)
class Backup:
    """A backup that was made, and the older ones that were deleted for it."""

    path: Path
    manifest: Manifest
    pruned: list[Path]

    @property
    def faulty(self) -> list[str]:
        """Cities in which the validator found faults; they are in the backup as they are."""
        return [slug for slug, said in self.manifest.cities.items() if not said["ok"]]


def make(
    engine: Engine,
    target: Path,
    *,
    keep: int | None = None,
    step: Step = lambda what, share: None,
) -> Backup:
    """Write a backup of the whole database as it is at one moment; the program may go on meanwhile.

    The list of what was erased is brought up to date beside it, for whoever restores an older one.

    Parameters
    ----------
    engine : Engine
        Of the owner.
    target : Path
        A folder, which gets a dated file, or the file itself, which must not exist.
    keep : int, optional
        Delete older dated backups of the folder beyond this number, this one included.

    Raises
    ------
    KeepingError
        If the backup would not be whole, there is no room, or the file exists. Nothing is left.
    SetupError
        If this machine has no programs that fit the server.
    """
    moment = datetime.now(UTC)
    folder = target if target.is_dir() else target.parent
    path = target / archive.dated_name(moment) if target.is_dir() else target
    if path.exists():
        raise KeepingError(f"{path} exists already; nothing was overwritten.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise KeepingError(f"Nothing can be written to the folder {folder}.")
    with archive.work_folder(folder) as work:
        dump = work / archive.DUMP
        found = _dump(engine, dump, step)
        with dump.open("rb") as dumped:
            size, digest = archive.sha256_of(dumped)
        manifest = Manifest(
            made_at=moment.isoformat(timespec="seconds"),
            program=version("wangge"),
            left_out=list(facts.LEFT_OUT),
            dump_bytes=size,
            dump_sha256=digest,
            **found,
        )
        archive.write(path, manifest, dump, work)
    _note(engine, path, manifest)
    erasures.keep(engine, folder)
    pruned = archive.prune(folder, max(keep, 1)) if keep is not None else []
    return Backup(path, manifest, pruned)


def _dump(engine: Engine, dump: Path, step: Step) -> dict[str, Any]:
    """Dump one snapshot and, meanwhile, gather from the very same one what the manifest tells."""
    connection = engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )
    with connection, Session(connection) as session:
        revision = revisions.current(connection)
        if revision is None:
            raise KeepingError("The database is empty: there is nothing to back up.")
        facts.demand_full_view(session)
        _demand_room(connection, dump.parent)
        names = facts.tables(session)
        begun: list[str] = []

        def told() -> None:
            begun.append("")
            step(DUMPING, min(len(begun) / len(names), 1.0))

        step(DUMPING, 0.0)
        with dumping.dumping(
            dumping.clients(connection),
            engine.url,
            dump,
            snapshot=str(connection.scalar(text("SELECT pg_export_snapshot()"))),
            left_out=[name for name in facts.LEFT_OUT if name in names],
            told=told,
        ) as wait:
            found = _gathered(session, revision, step)
            wait()
    return {**found, **_server(engine)}


def _gathered(session: Session, revision: str, step: Step) -> dict[str, Any]:
    slugs = facts.slugs(session)
    seen: list[str] = []

    def told(slug: str) -> None:
        step(CHECKING, len(seen) / len(slugs))
        seen.append(slug)

    rows, logs = facts.rows(session), facts.logs(session)
    # The validator knows the newest schema alone: before an upgrade, rows and logs must do.
    cities = facts.checked_cities(session, told=told) if revision == revisions.head() else {}
    return {"revision": revision, "rows": rows, "logs": logs, "cities": cities}


def _server(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT current_setting('server_version'), extversion, current_user,"
                " current_database() FROM pg_extension WHERE extname = 'postgis'"
            )
        ).one()
    return {
        "server": {"postgresql": row[0], "postgis": row[1]},
        "owner": row[2],
        "database": row[3],
    }


def _demand_room(connection: Connection, folder: Path) -> None:
    size = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
    free = shutil.disk_usage(folder).free
    if free < size * ROOM_SHARE:
        raise KeepingError(
            f"{folder.parent} has {free / 1e6:,.0f} MB free, and a backup of this database may "
            f"take {size * ROOM_SHARE / 1e6:,.0f} MB. Make room, or name another folder."
        )


def _note(engine: Engine, path: Path, manifest: Manifest) -> None:
    said = {
        "file": path.name,
        "bytes": manifest.dump_bytes,
        "sha256": manifest.dump_sha256,
        "rows": sum(manifest.rows.values()),
        "revision": manifest.revision,
    }
    with owner_transaction(engine) as session:
        audit.append(session, audit.INSTALLATION, MADE, f"backup/{path.name}", said)
