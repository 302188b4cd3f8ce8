"""Backups are whole, damaged ones refused; restoring changes nothing until its last step."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, Engine, make_url, text

from geo import service
from geo.db import Viewer, context_key, owner_engine, owner_transaction
from geo.errors import KeepingError
from geo.keeping import archive, backup, databases, dumping, facts, restore
from geo.programs import find_clients
from geo.tables import Base
from geo.terms import Role
from tests.conftest import MigratedDatabase
from tests.databases import Server

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kept(
    city_template: str,
    new_database: Callable[[str], MigratedDatabase],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[MigratedDatabase, backup.Backup, dict[str, str]]:
    """A city, its backup, and a digest of every table at that moment."""
    city = new_database(city_template)
    with city.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO user_session (token_hash, city_id, user_id, expires_at)"
                " SELECT sha256('a token'), city_id, user_id, now() + interval '1 day'"
                " FROM user_account LIMIT 1"
            )
        )
    before = digests(city.engine)
    made = backup.make(city.engine, tmp_path_factory.mktemp("backups"))
    return city, made, before


Kept = tuple[MigratedDatabase, backup.Backup, dict[str, str]]


@pytest.fixture
def place(server: Server) -> Iterator[URL]:
    """A name for a restored database that nobody has; gone afterwards with all beside it."""
    url = make_url(server.owner_url(f"wangge_test_{os.getpid()}_kept"))
    name = str(url.database)
    yield url
    for left in (name, *(beside for beside, _ in databases.beside(url, name))):
        server.drop(left)


def digests(engine: Engine) -> dict[str, str]:
    """Return one hash over all rows of each table, whatever their order."""
    with owner_transaction(engine) as session:
        names = [name for name in facts.tables(session) if name not in facts.LEFT_OUT]
        found = {}
        for name in names:
            statement = sql.SQL("SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} t")
            raw = session.connection().connection.dbapi_connection
            assert raw is not None
            row = raw.cursor().execute(statement.format(sql.Identifier(name))).fetchone()
            found[name] = row[0] or ""
        return found


def restored_engine(url: URL, name: str) -> Engine:
    return owner_engine(url.set(database=name).render_as_string(hide_password=False))


def names_of(url: URL) -> set[str]:
    with databases.connected(url, "postgres") as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
    return {row[0] for row in rows if row[0].startswith(str(url.database))}


# ---- there and back ------------------------------------------------------------------------------


def test_what_was_dropped_comes_back_row_by_row(
    kept: Kept, fresh_city: MigratedDatabase, place: URL, tmp_path: Path
) -> None:
    """The whole way: backup, the city dropped, restored in its place, everything equal."""
    made = backup.make(fresh_city.engine, tmp_path / "wangge.tar")
    before, said = digests(fresh_city.engine), made.manifest.cities["tiny"]
    assert said["ok"]
    assert said["figures"]["cells"] == 40
    with owner_transaction(fresh_city.engine) as session:
        service.drop_city(session, "tiny")
    url = fresh_city.engine.url
    fresh_city.engine.dispose()

    done = restore.restore(url, made.path, work=tmp_path, force=True)

    assert done.database == fresh_city.name
    assert done.replaced is not None
    after = digests(fresh_city.engine)
    differ = {name for name in before if before[name] != after[name]}
    assert differ == {"audit", "audit_head"}, "restoring writes its own row to the log, no more"
    with owner_transaction(fresh_city.engine) as session:
        assert facts.checked_cities(session)["tiny"]["figures"] == said["figures"]
        assert facts.checked_cities(session)["tiny"]["ok"]
    fresh_city.engine.dispose()
    gone = restore.drop_replaced(url)
    assert [name for name, _ in gone] == [done.replaced]


def test_all_rows_are_dumped_in_spite_of_forced_security(kept: Kept, server: Server) -> None:
    """What an administrator counts, past all policies, is what the manifest and the dump hold."""
    city, made, _ = kept
    if server.admin_address is None:
        pytest.skip("only the private server of tests has an administrator's login")
    url = make_url(server.admin_address).set(drivername="postgresql", database=city.name)
    counted = {}
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        for name in made.manifest.rows:
            statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
            row = connection.execute(statement).fetchone()
            assert row is not None
            counted[name] = row[0]
    told = dict(made.manifest.rows)
    for name in ("audit", "audit_head"):  # the backup's own row came afterwards
        assert counted.pop(name) - told.pop(name) in (0, 1)
    assert counted == told
    assert counted["issue"] == 36
    assert counted["user_account"] == 6


def test_without_the_right_option_pg_dump_refuses(kept: Kept, tmp_path: Path) -> None:
    """Why row-level security stays on while dumping: off, the forced tables cannot be read."""
    city, _, _ = kept
    with city.engine.connect() as connection:
        bin_dir = dumping.clients(connection)
    url = city.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [str(bin_dir / "pg_dump"), "-Fc", "-f", str(tmp_path / "dump"), url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "row-level security" in done.stderr


def test_the_key_is_new_and_nobody_is_signed_in(
    kept: Kept, place: URL, tmp_path: Path, server: Server
) -> None:
    city, made, _ = kept
    done = restore.restore(place, made.path, work=tmp_path)
    assert done.replaced is None
    engine = restored_engine(place, done.database)
    try:
        key = context_key(engine)
        assert len(key) == 32
        assert key != city.key
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM user_session")) == 0
            held = connection.scalar(
                text("SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'f'")
            )
            assert held is True
            forced = connection.scalar(
                text("SELECT count(*) FROM pg_class WHERE relforcerowsecurity")
            )
        with city.engine.connect() as connection:
            wanted = connection.scalar(
                text("SELECT count(*) FROM pg_class WHERE relforcerowsecurity")
            )
        assert forced == wanted
        again = MigratedDatabase(done.database, "", server.app_url(done.database), key, engine)
        door = again.application()
        with door.transaction(Viewer(Role.LEADER, city_id=1, user_id=1)) as session:
            assert session.scalar(text("SELECT count(*) FROM issue")) == 36
        with door.transaction(Viewer.public(1)) as session:
            assert session.scalar(text("SELECT count(*) FROM issue")) == 0
        door.close()
    finally:
        engine.dispose()


def test_rows_written_meanwhile_are_in_the_next_backup(
    fresh_city: MigratedDatabase, place: URL, tmp_path: Path
) -> None:
    """Counts, validator and dump see one and the same moment."""
    added = []

    def step(what: str, share: float) -> None:
        if what == backup.CHECKING and not added:
            added.append(what)
            with fresh_city.engine.begin() as connection:
                connection.execute(
                    text(
                        "INSERT INTO organisation (city_id, organisation_id, name, kind)"
                        " SELECT city_id, 9000, 'later', kind FROM organisation LIMIT 1"
                    )
                )

    made = backup.make(fresh_city.engine, tmp_path, step=step)
    assert added
    done = restore.restore(place, made.path, work=tmp_path)
    engine = restored_engine(place, done.database)
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT count(*) FROM organisation"))
        later = connection.scalar(text("SELECT count(*) FROM organisation WHERE name = 'later'"))
    engine.dispose()
    assert (found, later) == (made.manifest.rows["organisation"], 0)


# ---- what is in the file -------------------------------------------------------------------------


def test_the_file_is_its_owners_alone_and_can_be_read_without_the_program(
    kept: Kept, tmp_path: Path
) -> None:
    _, made, _ = kept
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]
    with tarfile.open(made.path) as tar:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not in 3.11.2
        tar.extractall(tmp_path, **safely)
    subprocess.run(["sha256sum", "--check", "--strict", archive.SUMS], cwd=tmp_path, check=True)
    told = json.loads((tmp_path / archive.MANIFEST).read_text("utf-8"))
    assert told == asdict(made.manifest)
    assert archive.read_manifest(made.path) == made.manifest


def test_no_secret_is_in_the_dump(kept: Kept, tmp_path: Path) -> None:
    city, made, _ = kept
    _, dump = archive.unpack(made.path, tmp_path)
    with city.engine.connect() as connection:
        bin_dir = dumping.clients(connection)
    said = subprocess.run(
        [str(bin_dir / "pg_restore"), "-f", "-", str(dump)], capture_output=True, check=True
    ).stdout
    assert b"COPY public.issue " in said
    assert city.key.hex().encode() not in said
    assert hashlib.sha256(b"a token").hexdigest().encode() not in said


def test_every_table_with_secrets_is_left_out() -> None:
    """A new table that holds tokens must be named in `LEFT_OUT`.

    The link of a report opens one report and nothing else: it has to outlive a restoring, and a
    hash of 18 random bytes is all that is kept of it.
    """
    holding = {
        table.name
        for table in Base.metadata.tables.values()
        if any("token" in column.name or "secret" in column.name for column in table.columns)
    }
    assert holding
    assert holding - {"issue"} <= set(facts.LEFT_OUT)
    assert {"user_session", "sign_in_link"} <= holding


def test_of_dated_backups_the_newest_are_kept(kept: Kept, tmp_path: Path) -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)
    names = [archive.dated_name(now + timedelta(days=day)) for day in range(5)]
    for name in (*names, "by-hand.tar", "wangge-old.tar"):
        (tmp_path / name).touch()
    gone = archive.prune(tmp_path, 2)
    assert sorted(path.name for path in gone) == names[:3]
    assert {path.name for path in tmp_path.iterdir()} == {
        *names[3:],
        "by-hand.tar",
        "wangge-old.tar",
    }


def test_an_existing_file_is_never_overwritten(kept: Kept) -> None:
    city, made, _ = kept
    before = made.path.read_bytes()
    with pytest.raises(KeepingError, match="exists already"):
        backup.make(city.engine, made.path)
    with archive.work_folder(made.path.parent) as work:
        dump = work / "dump"
        dump.write_bytes(b"x")
        with pytest.raises(KeepingError, match="exists already"):
            archive.write(made.path, replace(made.manifest, dump_bytes=1), dump, work)
    assert made.path.read_bytes() == before


def test_what_a_killed_backup_left_is_swept_and_a_running_one_is_not(tmp_path: Path) -> None:
    left, running = tmp_path / f"{archive.PARTIAL}left", tmp_path / f"{archive.PARTIAL}running"
    for folder in (left, running):
        folder.mkdir()
        (folder / "database.dump").touch()
    held = os.open(running, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with archive.work_folder(tmp_path) as work:
        assert not left.exists()
        assert running.exists()
    assert not work.exists()
    os.close(held)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER POLICY owner ON issue USING (area_1 = 1)",
        "DROP POLICY owner ON worker",
        "CREATE POLICY narrow ON audit AS RESTRICTIVE USING (n > 1)",
    ],
)
def test_a_backup_that_would_lack_rows_is_refused(
    fresh_city: MigratedDatabase, tmp_path: Path, statement: str
) -> None:
    with fresh_city.engine.begin() as connection:
        connection.execute(text(statement))
    with pytest.raises(KeepingError, match="would not be whole"):
        backup.make(fresh_city.engine, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_city_with_faults_is_backed_up_as_it_is(
    fresh_city: MigratedDatabase, place: URL, tmp_path: Path
) -> None:
    with fresh_city.engine.begin() as connection:
        connection.execute(text("UPDATE net SET hash = sha256('another')"))
    made = backup.make(fresh_city.engine, tmp_path)
    assert made.faulty == ["tiny"]
    assert made.manifest.cities["tiny"]["counts"] == {"net_hash": 1}
    done = restore.restore(place, made.path, work=tmp_path)
    assert done.remarks == []


# ---- what is refused -----------------------------------------------------------------------------


def tampered(made: backup.Backup, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Return a backup whose manifest says something else, with right sums."""
    with tarfile.open(made.path) as tar:
        content = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
    told = json.loads(content[archive.MANIFEST])
    change(told)
    content[archive.MANIFEST] = json.dumps(told).encode()
    content[archive.SUMS] = "".join(
        f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n"
        for name in (archive.MANIFEST, archive.DUMP)
    ).encode()
    path = folder / "tampered.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.97])
def test_a_flipped_bit_is_found(kept: Kept, place: URL, tmp_path: Path, share: float) -> None:
    _, made, _ = kept
    content = bytearray(made.path.read_bytes())
    with tarfile.open(made.path) as tar:
        members = tar.getmembers()
    end = members[-1].offset_data + members[-1].size
    content[int(end * share)] ^= 0x10
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(content)
    before = names_of(place)
    with pytest.raises(KeepingError):
        restore.restore(place, damaged, work=tmp_path)
    assert names_of(place) == before


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_half_a_file_is_found(kept: Kept, place: URL, tmp_path: Path, share: float) -> None:
    _, made, _ = kept
    content = made.path.read_bytes()
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(KeepingError):
        restore.restore(place, damaged, work=tmp_path)
    assert names_of(place) == set()


def set_in(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(told: dict[str, Any]) -> None:
        for name in path[:-1]:
            told = told[name]
        told[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_in("revision", value="9999"), "newer than this program"),
        (set_in("owner", value="somebody"), "made by the login somebody"),
        (set_in("format", value=2), "form 2"),
        (set_in("dump_sha256", value="0" * 64), "damaged"),
        (set_in("rows", "issue", value=37), "rows of issue: 37 in the backup, 36 now"),
        (set_in("cities", "tiny", "figures", "cells", value=41), "tiny cells: 41"),
        (set_in("cities", "tiny", "counts", value={"cell_gap": 2}), "cell_gap: 2 in the backup, 0"),
        (set_in("logs", "1", value=[1, "00"]), "log of city 1"),
        (set_in("cities", "gone",
                value={"day": "2026-01-01", "figures": {"cells": 1}, "counts": {}}),
         "gone cells: 1"),
        (lambda told: told.pop("rows"), "not whole: rows"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_manifest_is_not_put_in_place(
    kept: Kept,
    place: URL,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    words: str,
) -> None:
    _, made, _ = kept
    path = tampered(made, tmp_path, change)
    with pytest.raises(KeepingError, match=words):
        restore.restore(place, path, work=tmp_path)
    assert names_of(place) == set()
    assert [left.name for left in tmp_path.iterdir()] == ["tampered.tar"]


def test_policies_are_restored_when_all_references_are_checked() -> None:
    lines = [
        "; Archive created at 2026-06-15",
        "3456; 1259 16400 TABLE public grid owner",
        "4100; 0 16400 ROW SECURITY public grid owner",
        "4101; 3256 17001 POLICY public grid owner owner",
        "3500; 0 16400 TABLE DATA public grid owner",
        "4000; 2606 16999 FK CONSTRAINT public area_grant fk_area_grant owner",
    ]
    first, last = dumping.turns(lines)
    assert sorted(first + last) == sorted(lines)
    assert last == lines[2:4]
    assert dumping.turns(lines[:2]) == [lines[:2]]


def test_a_database_with_cities_is_not_replaced_without_a_word(
    kept: Kept, fresh_city: MigratedDatabase, tmp_path: Path
) -> None:
    _, made, _ = kept
    before = digests(fresh_city.engine)
    with pytest.raises(KeepingError, match="--force"):
        restore.restore(fresh_city.engine.url, made.path, work=tmp_path)
    assert digests(fresh_city.engine) == before


def test_an_empty_schema_is_replaced_and_not_kept(
    kept: Kept, fresh_database: MigratedDatabase, tmp_path: Path
) -> None:
    _, made, _ = kept
    fresh_database.engine.dispose()
    done = restore.restore(fresh_database.engine.url, made.path, work=tmp_path)
    assert done.replaced is None
    assert names_of(fresh_database.engine.url) >= {fresh_database.name}
    assert databases.beside(fresh_database.engine.url, fresh_database.name) == []


def test_names_are_changed_together_or_not_at_all(
    kept: Kept, server: Server, place: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "RENAME_TRIES", 1)
    name, fresh = str(place.database), databases.stamped(str(place.database), "restore")
    for made in (name, fresh):
        server.create(made)
    old = databases.stamped(name, "before")
    with databases.connected(place, fresh):  # the second renaming cannot be done
        with pytest.raises(KeepingError, match="go on using"):
            databases.swap(place, fresh, name, old, end_sessions=False)
        assert names_of(place) == {name, fresh}
        with pytest.raises(psycopg.OperationalError), databases.connected(place, name) as user:
            databases.swap(place, fresh, name, old, end_sessions=True)
            assert names_of(place) == {name, old}
            user.execute("SELECT 1")


def test_an_interrupted_restoring_leaves_nothing(kept: Kept, place: URL, tmp_path: Path) -> None:
    _, made, _ = kept

    def step(what: str, share: float) -> None:
        if what == "Checking the cities":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore.restore(place, made.path, work=tmp_path, step=step)
    assert names_of(place) == set()
    assert list(tmp_path.iterdir()) == []


def test_programs_that_are_too_old_are_not_taken() -> None:
    assert find_clients(99) is None
    found = find_clients(15)
    assert found is not None
    assert (found / "pg_dump").is_file()
