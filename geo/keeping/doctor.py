"""A look at an installation's health: each check says what it found, how bad it is, what to do."""

from __future__ import annotations

import locale
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import available_timezones

import psycopg
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from geo.db import owner_transaction
from geo.errors import WanggeError
from geo.files import jail
from geo.keeping import archive, databases, messages, reach, revisions, upgrade
from geo.keeping.checks import Check, Installation, State
from geo.programs import EXTENSIONS, POSTGIS_MIN, POSTGRESQL_MIN
from geo.store import audit, derived, jobs
from geo.tables import Base

BACKUP_WATCH: Final = timedelta(hours=26)
BACKUP_BAD: Final = timedelta(days=7)
FREE_WATCH_SHARE: Final = 0.15
FREE_BAD_SHARE: Final = 0.05
FREE_BAD_BYTES: Final = 1 << 30
CLOCK_WATCH_S: Final = 2.0
REACH_WATCH_S: Final = 0.5
JOB_WATCH_S: Final = 120.0
JOB_BAD_S: Final = 3600.0
OVERFLOW: Final = 4
"""Connections that the application may open beyond its pool."""

Look = Callable[[Installation, Session], Iterator[Check]]


def examine(installation: Installation) -> list[Check]:
    """Return all checks; one that cannot be made is bad and says why.

    What stands in tables is looked at only when the schema is the one that this program knows.
    """
    found: list[Check] = []
    for name, look in LOOKS.items():
        if name in IN_TABLES and any(c.name == "schema" and c.state != State.GOOD for c in found):
            continue
        try:
            with owner_transaction(installation.engine) as session:
                found += look(installation, session)
        except (SQLAlchemyError, psycopg.Error, OSError, WanggeError) as error:
            words = str(error).partition("\n")[0]
            found.append(Check(name, State.BAD, f"could not be looked at: {words}"))
    return found


def worst(checks: list[Check]) -> State:
    """Return the worst state of all checks."""
    order = list(State)
    return max((check.state for check in checks), key=order.index, default=State.GOOD)


def _server(place: Installation, session: Session) -> Iterator[Check]:
    info = session.connection().dialect.server_version_info or (0,)
    spoken = session.scalar(text("SHOW server_version"))
    good = int(info[0]) >= POSTGRESQL_MIN
    yield Check(
        "PostgreSQL",
        State.GOOD if good else State.BAD,
        str(spoken),
        "" if good else f"Version {POSTGRESQL_MIN} or newer is needed.",
    )
    rows = session.execute(text("SELECT extname, extversion FROM pg_extension"))
    found: dict[str, str] = {row.extname: row.extversion for row in rows}
    absent = [name for name in EXTENSIONS if name not in found]
    numbers = tuple(int(part) for part in found.get("postgis", "0.0").split(".")[:2])
    fits = not absent and numbers >= POSTGIS_MIN
    least = ".".join(map(str, POSTGIS_MIN))
    yield Check(
        "PostGIS",
        State.GOOD if fits else State.BAD,
        found.get("postgis", "missing") + (f"; missing: {', '.join(absent)}" if absent else ""),
        "" if fits else f"PostGIS {least} or newer and {', '.join(EXTENSIONS)} are needed.",
    )


def _durability(place: Installation, session: Session) -> Iterator[Check]:
    names = ("fsync", "full_page_writes", "synchronous_commit")
    rows = session.execute(
        text("SELECT name, setting FROM pg_settings WHERE name = ANY (:names)"),
        {"names": list(names)},
    )
    off = sorted(name for name, setting in rows if setting == "off")
    yield Check(
        "durability",
        State.BAD if off else State.GOOD,
        f"off: {', '.join(off)}" if off else "what is committed is on the disk",
        "A crash of the machine can destroy the database: switch these on." if off else "",
    )


def _disk(place: Installation, session: Session) -> Iterator[Check]:
    size = session.scalar(text("SELECT pg_database_size(current_database())")) or 0
    where = {"disk of the data": place.data_dir, "disk of the backups": place.backups}
    for name, folder in where.items():
        if folder is None:
            continue
        there = next(path for path in (folder, *folder.parents) if path.exists())
        disk = shutil.disk_usage(there)
        share = disk.free / disk.total
        state = State.GOOD
        if share < FREE_WATCH_SHARE or disk.free < 3 * size:
            state = State.WATCH
        if share < FREE_BAD_SHARE or disk.free < max(FREE_BAD_BYTES, size):
            state = State.BAD
        yield Check(
            name,
            state,
            f"{disk.free / 1e9:,.1f} GB free ({share:.0%}); the database has {size / 1e9:,.2f} GB",
            "" if state is State.GOOD else f"Make room on the disk of {there}.",
        )


def _schema(place: Installation, session: Session) -> Iterator[Check]:
    found = upgrade.plan(place.engine)
    if found.steps:
        yield Check(
            "schema", State.BAD, f"{found.before or 'none'}, not {found.after}", "wangge upgrade"
        )
        return
    rows = session.execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
    )
    there = {tuple(row) for row in rows}
    tables = Base.metadata.tables.values()
    absent = [
        f"{table.name}.{column.name}"
        for table in tables
        for column in table.columns
        if (table.name, column.name) not in there
    ]
    yield Check(
        "schema",
        State.BAD if absent else State.GOOD,
        f"{revisions.head()}, but without {', '.join(absent[:3])}" if absent else found.after,
        "Somebody changed tables by hand: restore the last backup." if absent else "",
    )


def _backups(place: Installation, session: Session) -> Iterator[Check]:
    own = bool(upgrade.plan(place.engine).own_cities)
    files = archive.dated(place.backups)
    if not files:
        state = State.BAD if own else State.WATCH
        found = f"none in {place.backups}"
        yield Check("last backup", state, found, "wangge backup; then let a timer do it daily.")
        return
    manifest = archive.read_manifest(files[0])
    age = datetime.now(UTC) - manifest.made
    state = State.GOOD if age < BACKUP_WATCH else State.WATCH if age < BACKUP_BAD else State.BAD
    hours = age.total_seconds() / 3600
    yield Check(
        "last backup",
        state,
        f"{files[0].name}, {hours:,.0f} h old, {manifest.dump_bytes / 1e6:,.1f} MB; "
        f"{len(files)} in the folder",
        "" if state is State.GOOD else "Is the timer running? systemctl list-timers wangge-backup",
    )
    faulty = [slug for slug, said in manifest.cities.items() if not said["ok"]]
    if faulty:
        line = f"the validator had found faults in {', '.join(faulty)}"
        yield Check("content of the backup", State.WATCH, line, f"wangge check --city {faulty[0]}")
    open_to = [path.name for path in files if path.stat().st_mode & 0o077]
    if open_to:
        line = f"{len(open_to)} can be read by other accounts, {open_to[0]} first"
        yield Check("rights of backups", State.BAD, line, f"chmod 600 {place.backups}/*.tar")


def _pool(place: Installation, session: Session) -> Iterator[Check]:
    began = time.monotonic()
    with psycopg.connect(_libpq(make_url(place.app_url)), connect_timeout=5) as connection:
        connection.execute("SELECT 1")
    took_s = time.monotonic() - began
    yield Check(
        "application's login",
        State.GOOD if took_s < REACH_WATCH_S else State.WATCH,
        f"answers in {took_s * 1000:,.0f} ms",
        "" if took_s < REACH_WATCH_S else "The database is slow or far away.",
    )
    most = int(str(session.scalar(text("SHOW max_connections"))))
    kept = int(str(session.scalar(text("SHOW superuser_reserved_connections"))))
    wanted = place.pool_size + OVERFLOW
    fits = wanted + kept + 4 <= most
    yield Check(
        "connections",
        State.GOOD if fits else State.BAD,
        f"{wanted} wanted by the application, {most} allowed by the server",
        "" if fits else "Lower WANGGE_POOL_SIZE, or raise max_connections.",
    )


def _roles(place: Installation, session: Session) -> Iterator[Check]:
    login = make_url(place.app_url).username or str(session.scalar(text("SELECT current_user")))
    row = session.execute(
        text(
            "SELECT r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb,"
            " EXISTS (SELECT FROM pg_shdepend AS d WHERE d.refobjid = r.oid AND d.deptype = 'o'"
            " AND d.dbid IN (0, (SELECT oid FROM pg_database"
            " WHERE datname = current_database()))),"
            " pg_has_role(r.oid, current_user, 'MEMBER')"
            " FROM pg_roles AS r WHERE r.rolname = :login"
        ),
        {"login": login},
    ).one_or_none()
    if row is None:
        yield Check("rights of the application", State.BAD, f"there is no login {login}")
        return
    names = (
        "is a superuser",
        "passes row-level security by",
        "may make roles",
        "may make databases",
        "owns tables or the database",
        "is the owner or a member of it",
    )
    wrong = [name for name, held in zip(names, row, strict=True) if held]
    yield Check(
        "rights of the application",
        State.BAD if wrong else State.GOOD,
        f"{login} {', '.join(wrong)}" if wrong else f"{login} owns nothing and passes no wall by",
        "Give the application a login of its own: docs/setup.md, DATABASE_OWNER_URL."
        if wrong
        else "",
    )
    bare = list(
        session.scalars(
            text(
                "SELECT c.relname FROM pg_class AS c"
                " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
                " AND EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid)"
                " AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1"
            )
        )
    )
    yield Check(
        "row-level security",
        State.BAD if bare else State.GOOD,
        f"not forced on {', '.join(bare)}" if bare else "forced on every table with a policy",
        "ALTER TABLE ... FORCE ROW LEVEL SECURITY, and find out who took it away." if bare else "",
    )


def _logs(place: Installation, session: Session) -> Iterator[Check]:
    cities = list(session.scalars(text("SELECT city_id FROM audit_head ORDER BY city_id")))
    rows = session.scalar(text("SELECT count(*) FROM audit")) or 0
    broken = {city: len(faults) for city in cities if (faults := audit.faults(session, city))}
    listed = ", ".join(f"{count} in that of city {city}" for city, count in broken.items())
    yield Check(
        "log",
        State.BAD if broken else State.GOOD,
        f"rows that do not hold: {listed}" if broken else f"{rows:,} rows, every link holds",
        "Somebody with rights in the database changed the log. Keep a copy, compare with backups."
        if broken
        else "",
    )


def _demo(place: Installation, session: Session) -> Iterator[Check]:
    count = session.scalar(
        text("SELECT count(*) FROM user_account WHERE demo AND disabled_at IS NULL")
    )
    yield Check(
        "demo accounts",
        State.WATCH if count else State.GOOD,
        f"{count} with a password that everybody knows" if count else "none",
        "They are refused beyond this machine. Before others come: wangge city drop DEMO_CITY"
        if count
        else "",
    )


def _figures(place: Installation, session: Session) -> Iterator[Check]:
    rows = session.execute(text("SELECT city_id, slug FROM city ORDER BY slug")).all()
    stale = {slug: n for city, slug in rows if (n := len(derived.stale(session, city)))}
    listed = ", ".join(f"{count:,} in {slug}" for slug, count in stale.items())
    yield Check(
        "derived figures",
        State.BAD if stale else State.GOOD,
        f"stale: {listed}" if stale else f"follow from the cells in {len(rows)} cities",
        "Maps show wrong numbers; wangge check --city NAME says which." if stale else "",
    )


def _clock(place: Installation, session: Session) -> Iterator[Check]:
    theirs = session.scalar(text("SELECT clock_timestamp()"))
    apart_s = abs((datetime.now(UTC) - theirs).total_seconds()) if theirs else 0.0
    yield Check(
        "clock",
        State.GOOD if apart_s < CLOCK_WATCH_S else State.BAD,
        f"database and program are {apart_s:.1f} s apart",
        "" if apart_s < CLOCK_WATCH_S else "Let both machines set their clocks (timedatectl).",
    )


def _zones(place: Installation, session: Session) -> Iterator[Check]:
    zones = set(session.scalars(text("SELECT DISTINCT timezone FROM city")))
    unknown = sorted(zones - available_timezones())
    theirs_unknown = sorted(
        zones - set(session.scalars(text("SELECT name FROM pg_timezone_names")))
    )
    absent = unknown or theirs_unknown
    yield Check(
        "time zones",
        State.BAD if absent else State.GOOD,
        f"not known: {', '.join(absent)}" if absent else ", ".join(sorted(zones)) or "no city yet",
        "Install the package tzdata." if absent else "",
    )


def _languages(place: Installation, session: Session) -> Iterator[Check]:
    encoding = str(session.scalar(text("SHOW server_encoding")))
    collation = session.scalar(
        text("SELECT datcollate FROM pg_database WHERE datname = current_database()")
    )
    ours = sys.getfilesystemencoding().lower()
    good = encoding == "UTF8" and ours == "utf-8"
    yield Check(
        "encoding",
        State.GOOD if good else State.BAD,
        f"database {encoding}, {collation}; program {ours}, {locale.setlocale(locale.LC_CTYPE)}",
        "" if good else "Both must be UTF-8: set LANG=C.UTF-8; make the database anew.",
    )


def _assets(place: Installation, session: Session) -> Iterator[Check]:
    there = (place.assets / ".stamp").is_file()
    yield Check(
        "browser libraries",
        State.GOOD if there else State.BAD,
        "copied; the server itself needs no browser and no fonts" if there else "missing",
        "" if there else "make setup",
    )


def _replaced(place: Installation, session: Session) -> Iterator[Check]:
    url: URL = place.engine.url
    found = databases.beside(url, url.database or "")
    if found:
        size = sum(size for _, size in found) / 1e9
        yield Check(
            "replaced databases",
            State.WATCH,
            f"{len(found)}, {size:,.2f} GB: {', '.join(name for name, _ in found)}",
            "When nobody misses anything: wangge restore --drop-old",
        )


def _reached(place: Installation, session: Session) -> Iterator[Check]:
    yield from reach.served(place)
    if place.address:
        yield from reach.answers(place.address)


def _jobs(place: Installation, session: Session) -> Iterator[Check]:
    number, oldest_s = jobs.waiting(session)
    late = number > 0 and oldest_s > JOB_WATCH_S
    state = State.GOOD if not late else State.WATCH if oldest_s < JOB_BAD_S else State.BAD
    yield Check(
        "jobs",
        state,
        f"{number} wait, the oldest for {oldest_s / 60:,.0f} min" if number else "none waits",
        "No worker takes them: wangge worker, or systemctl status wangge-worker." if late else "",
    )


def _walls(place: Installation, session: Session) -> Iterator[Check]:
    why = jail.missing()
    yield Check(
        "walls for uploads",
        State.WATCH if why else State.GOOD,
        why or "files from the web are read behind bubblewrap",
        "Until then files are not taken from the web; the command line goes on." if why else "",
    )


def _libpq(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


LOOKS: Final[dict[str, Look]] = {
    "PostgreSQL": _server,
    "durability": _durability,
    "disk": _disk,
    "schema": _schema,
    "last backup": _backups,
    "application's login": _pool,
    "rights of the application": _roles,
    "log": _logs,
    "demo accounts": _demo,
    "names of the server": _reached,
    "derived figures": _figures,
    "jobs": _jobs,
    "messages": messages.leaving,
    "walls for uploads": _walls,
    "clock": _clock,
    "time zones": _zones,
    "encoding": _languages,
    "browser libraries": _assets,
    "replaced databases": _replaced,
}
"""What is looked at, in the order of the table."""

IN_TABLES: Final = frozenset(
    {"log", "jobs", "messages", "demo accounts", "derived figures", "time zones"}
)
"""Those that read tables of the schema."""
