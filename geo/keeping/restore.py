"""Restoring a backup: into a new database beside, compared with its manifest, then put in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from psycopg import errors as pg
from psycopg import sql
from sqlalchemy import URL, Engine, text

from geo.db import migrate, owner_engine, owner_transaction
from geo.errors import KeepingError, SetupError
from geo.keeping import archive, databases, dumping, erasures, facts, revisions
from geo.keeping.archive import Manifest
from geo.store import audit
from geo.store.cases.stones import Stone, erase_again

Step = Callable[[str, float], None]

RESTORED: Final = "backup.restored"
"""Action of the log's row that tells of a restoring."""

ROLES: Final = ("wangge_area", "wangge_city")
GROWTH: Final = 12
"""Room that a restored database may take, in sizes of its compressed dump."""

_BROKEN = text("SELECT count(*) FROM audit_faults(CAST(:city AS smallint))")
_FRESH_KEY = text("INSERT INTO app_secret (name, value) VALUES ('context', gen_random_bytes(32))")


@dataclass
class Restored:
    """What a restoring did.

    Attributes
    ----------
    database : str
        Name under which the restored database is now.
    replaced : str or None
        Name under which the one before it is kept; None when there was none worth keeping.
    migrated : list of (str, str)
        Migrations that were run.
    remarks : list of str
        What a later version of the validator says that the one of the backup did not.
    erased : dict of str to int
        How many contacts, photos, issues' words ... were in the backup although they had been
        erased since, and were erased again.
    dry_run : bool
        Whether the restored database was dropped again.
    """

    manifest: Manifest
    database: str
    replaced: str | None = None
    migrated: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    erased: dict[str, int] = field(default_factory=dict)
    dry_run: bool = False


def restore(
    url: URL,
    path: Path,
    *,
    work: Path,
    force: bool = False,
    erased: Sequence[Stone] = (),
    dry_run: bool = False,
    step: Step = lambda what, share: None,
) -> Restored:
    """Put the database of `url` back to what a backup holds; it is kept under a dated name.

    Until the last step, which is one transaction, nothing in use is changed; a restoring that
    fails leaves nothing behind. What was erased since the backup is erased again, before anybody
    can read it.

    Parameters
    ----------
    url : URL
        Login of the owner and the database whose name the restored one gets.
    path : Path
        The backup.
    work : Path
        Folder in which the dump is unpacked for a while.
    force : bool, default False
        Replace a database that holds something, and throw out the programs that use it.
    erased : sequence of Stone
        What is known to have been erased, beside what the replaced database knows of.
    dry_run : bool, default False
        Restore and compare beside, say what would be erased again, and drop it.

    Raises
    ------
    KeepingError
        If the backup is damaged or too new, what was restored is not what the manifest says, or
        the database may not be replaced.
    SetupError
        If the server or this machine lacks something.
    """
    manifest = archive.read_manifest(path)
    name = url.database or ""
    replaces = _demand_target(url, name, manifest, force=force or dry_run)
    with archive.work_folder(work) as folder:
        step("Comparing the sums of the backup", 0.0)
        _demand_room(folder, manifest)
        manifest, dump = archive.unpack(path, folder)
        fresh = databases.stamped(name, "restore")
        databases.create(url, fresh)
        try:
            done = _filled(url.set(database=fresh), path, manifest, dump, step)
            step("Erasing again", 0.0)
            known = [*erased, *(erasures.of_database(url) if replaces is not None else ())]
            done.erased = _erased(url.set(database=fresh), known)
            if dry_run:
                databases.drop(url, fresh)
                done.database, done.dry_run = name, True
                return done
            step("Putting it in place", 0.0)
            old = databases.stamped(name, "before") if replaces is not None else None
            databases.swap(url, fresh, name, old, end_sessions=force)
        except BaseException:
            databases.drop(url, fresh)
            raise
    done.database, done.replaced = name, old
    if old and replaces is False:
        databases.drop(url, old)
        done.replaced = None
    return done


def _demand_target(url: URL, name: str, manifest: Manifest, *, force: bool) -> bool | None:
    """Refuse what cannot end well; say whether what has the name is worth keeping."""
    if manifest.revision not in revisions.known():
        raise KeepingError(
            f"The backup's schema ({manifest.revision}) is newer than this program "
            f"({revisions.head()}). Install version {manifest.program} or later first."
        )
    if manifest.owner != url.username:
        raise KeepingError(
            f"The backup was made by the login {manifest.owner}, which its rules of access name; "
            f"this database belongs to {url.username}. Restore with the login {manifest.owner}."
        )
    _demand_roles(url)
    if not databases.exists(url, name):
        return None
    if databases.worthless(url, name):
        return False
    if not force:
        raise KeepingError(
            f"The database '{name}' holds cities, or the log of dropped ones. With --force it "
            "is kept under a dated name and the restored one takes its place; or restore under "
            "another name with --database."
        )
    return True


def _demand_roles(url: URL) -> None:
    """Make the roles that the schema's rights name, where a new server has none yet."""
    with databases.connected(url, databases.MAINTENANCE) as connection:
        found = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)]
        ).fetchall()
        absent = sorted(set(ROLES) - {row[0] for row in found})
        try:
            for role in absent:
                statement = sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role))
                connection.execute(statement)
        except pg.InsufficientPrivilege:
            wanted = "; ".join(f"CREATE ROLE {role} NOLOGIN" for role in absent)
            raise SetupError(
                f"The server lacks the roles {', '.join(absent)}.",
                command=f"psql -d postgres -c '{wanted}'",
            ) from None


def _demand_room(folder: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(folder).free
    if free < manifest.dump_bytes * (1 + GROWTH):
        raise KeepingError(
            f"{folder.parent} has {free / 1e6:,.0f} MB free; restoring this backup may take "
            f"{manifest.dump_bytes * (1 + GROWTH) / 1e6:,.0f} MB."
        )


def _filled(url: URL, path: Path, manifest: Manifest, dump: Path, step: Step) -> Restored:
    """Fill the new database, compare it with the manifest, and bring it up to date."""
    engine = owner_engine(url.render_as_string(hide_password=False))
    try:
        _run_restore(engine, dump, len(manifest.rows), step)
        step("Comparing rows and logs", 0.0)
        _compare_rows(engine, manifest)
        done = Restored(manifest, url.database or "", migrated=revisions.missing(manifest.revision))
        if done.migrated:
            step("Bringing the schema up to date", 0.0)
            migrate(engine)
        step("Checking the cities", 0.0)
        done.remarks = _compare_cities(engine, manifest, step)
        said = {"file": path.name, "sha256": manifest.dump_sha256, "made_at": manifest.made_at}
        with owner_transaction(engine) as session:
            audit.append(session, audit.INSTALLATION, RESTORED, f"backup/{path.name}", said)
        return done
    finally:
        engine.dispose()


def _erased(url: URL, known: Sequence[Stone]) -> dict[str, int]:
    """Erase again what was erased since the backup: the last thing before it is put in place."""
    engine = owner_engine(url.render_as_string(hide_password=False))
    try:
        with owner_transaction(engine) as session:
            return erase_again(session, known)
    finally:
        engine.dispose()


def _run_restore(engine: Engine, dump: Path, tables: int, step: Step) -> None:
    begun: list[str] = []

    def told() -> None:
        begun.append("")
        step("Restoring tables", min(len(begun) / (tables + 1), 1.0))

    with engine.connect() as connection:
        programs = dumping.clients(connection)
    jobs = max(1, min(4, os.cpu_count() or 1))
    step("Restoring tables", 0.0)
    dumping.restore(programs, engine.url, dump, jobs=jobs, told=told)
    with engine.begin() as connection:
        connection.execute(_FRESH_KEY)
        connection.execute(text("ANALYZE"))


def _compare_rows(engine: Engine, manifest: Manifest) -> None:
    with owner_transaction(engine) as session:
        left_out = tuple(manifest.left_out)
        found = {"rows of": facts.rows(session, left_out), "log of city": facts.logs(session)}
        revision = revisions.current(session.connection())
    expected: dict[str, Any] = {"rows of": manifest.rows, "log of city": manifest.logs}
    differ = facts.differences(expected, found)
    if revision != manifest.revision:
        differ.append(f"schema: {manifest.revision} in the backup, {revision} now")
    _demand_same(differ)


def _compare_cities(engine: Engine, manifest: Manifest, step: Step) -> list[str]:
    """Compare the validator's words; return what only its present version says."""
    days = {slug: said["day"] for slug, said in manifest.cities.items()}
    seen: list[str] = []

    def told(slug: str) -> None:
        step("Checking the cities", len(seen) / max(len(days), 1))
        seen.append(slug)

    with owner_transaction(engine) as session:
        found = facts.checked_cities(session, days, told)
        broken = {slug: session.scalar(_BROKEN, {"city": int(slug)}) for slug in manifest.logs}
    differ = [
        f"log of city {city}: {count} rows do not hold" for city, count in broken.items() if count
    ]
    remarks: list[str] = []
    for slug, said in manifest.cities.items():
        now = found.get(slug, {})
        expected = said.get("figures", {})
        differ += facts.differences(expected, now.get("figures", {}), slug)
        faults = _fault_lines(slug, said, now)
        if manifest.revision == revisions.head():
            differ += faults
        else:
            remarks += faults
    _demand_same(differ)
    return remarks


def _fault_lines(slug: str, said: dict[str, Any], now: dict[str, Any]) -> list[str]:
    names = sorted({*said["counts"], *now.get("counts", {})})
    return facts.differences(
        {name: said["counts"].get(name, 0) for name in names},
        {name: now.get("counts", {}).get(name, 0) for name in names},
        f"{slug}, faults of kind",
    )


def _demand_same(differ: list[str]) -> None:
    if differ:
        listed = "\n".join(f"- {line}" for line in differ[:20])
        raise KeepingError(
            f"What was restored is not what the manifest says, so it was dropped:\n{listed}"
        )


def drop_replaced(url: URL) -> list[tuple[str, int]]:
    """Drop the databases that restorings kept or left beside that of `url`; return name and size.

    One that a program uses stays.
    """
    gone: list[tuple[str, int]] = []
    for name, size in databases.beside(url, url.database or ""):
        try:
            databases.drop(url, name, force=False)
        except pg.ObjectInUse:
            continue
        gone.append((name, size))
    return gone
