"""Old data under a new version: from the migration before, and from an earlier commit's schema."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import Engine, make_url, text

from api.commands.opening import bring_up_to_date
from geo import service
from geo.db import migrate, owner_engine, owner_transaction
from geo.errors import KeepingError, SetupError
from geo.keeping import archive, backup, databases, facts, restore, revisions, upgrade
from tests.cities import tiny_dataset
from tests.conftest import MigratedDatabase
from tests.databases import ROOT, Server
from tests.geo.test_migrations import run

pytestmark = pytest.mark.timeout(300)

TRIED = 6
"""How many earlier commits are tried."""

LOAD = """
import sys
from geo import service
from geo.db import migrate, owner_engine, owner_transaction
from tests.cities import tiny_dataset
engine = owner_engine(sys.argv[1])
migrate(engine)
with owner_transaction(engine) as session:
    service.load_dataset(session, tiny_dataset())
engine.dispose()
"""


@pytest.fixture
def own_city(fresh_database: MigratedDatabase) -> MigratedDatabase:
    """A city that is not made up, on the schema of today."""
    with owner_transaction(fresh_database.engine) as session:
        service.load_dataset(session, tiny_dataset())
    return fresh_database


def previous() -> str:
    return revisions.known()[-2]


def one_step_back(engine: Engine) -> None:
    run(engine, command.downgrade, "-1")
    with engine.connect() as connection:
        assert revisions.current(connection) == previous()


def rows_of(engine: Engine) -> dict[str, int]:
    with owner_transaction(engine) as session:
        return facts.rows(session)


def demand_sound(engine: Engine) -> None:
    with engine.connect() as connection:
        assert revisions.current(connection) == revisions.head()
    with owner_transaction(engine) as session:
        checked = facts.checked_cities(session)
    assert checked["tiny"]["ok"], checked
    assert checked["tiny"]["figures"]["cells"] == 40


def test_the_migration_before_is_brought_up_to_date_with_its_data(
    own_city: MigratedDatabase, tmp_path: Path, server: Server
) -> None:
    full = rows_of(own_city.engine)
    one_step_back(own_city.engine)
    kept = rows_of(own_city.engine)
    planned = upgrade.plan(own_city.engine)
    assert (planned.before, planned.after) == (previous(), revisions.head())
    assert planned.own_cities == ["tiny"]
    assert [revision for revision, _ in planned.steps] == [revisions.head()]

    done = upgrade.upgrade(own_city.engine, tmp_path)

    assert done.faults == {}
    assert done.backup is not None
    assert done.backup.manifest.revision == previous()
    after = rows_of(own_city.engine)
    assert {name: after[name] for name in kept if not name.startswith("audit")} == {
        name: count for name, count in kept.items() if not name.startswith("audit")
    }
    assert after.keys() == full.keys()
    demand_sound(own_city.engine)
    assert upgrade.upgrade(own_city.engine, tmp_path).steps == []
    assert len(list(tmp_path.iterdir())) == 1, "a second upgrade does nothing, and no backup"

    # The way back and forth: the backup of the old schema restored under the new program.
    url = make_url(server.owner_url(f"wangge_test_{os.getpid()}_older"))
    restored = restore.restore(url, done.backup.path, work=tmp_path)
    try:
        assert [revision for revision, _ in restored.migrated] == [revisions.head()]
        engine = owner_engine(server.owner_url(restored.database))
        demand_sound(engine)
        engine.dispose()
    finally:
        server.drop(str(url.database))


def git(*order: str) -> bytes | None:
    done = subprocess.run(["git", *order], cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def earlier_commits() -> list[str]:
    """Return the last commits whose newest migration is not the newest of the working tree."""
    folder = "geo/migrations/versions"
    listed = git("log", "--format=%H", "-n", "60", "--", folder)
    if listed is None:
        pytest.skip("this is no git checkout, so there is no earlier commit")
    found = []
    for commit in listed.decode().split():
        files = (git("ls-tree", "--name-only", commit, f"{folder}/") or b"").decode().split()
        newest = max((name for path in files if (name := Path(path).name)[0].isdigit()), default="")
        if newest and not newest.startswith(revisions.head()):
            found.append(commit)
    if not found:
        pytest.skip("no commit of this checkout has an earlier schema (a shallow clone, or none)")
    return found[:TRIED]


def load_with(commit: str, folder: Path, url: str) -> str:
    """Let the program of a commit load the small city; return what went wrong."""
    packed = git("archive", "--format=tar", commit, "geo", "tests/cities.py", "pyproject.toml")
    assert packed is not None
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, url],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def test_the_schema_of_an_earlier_commit_is_brought_up_to_date_with_its_data(
    server: Server, tmp_path: Path
) -> None:
    """The earlier program makes the schema and loads the city; today's program takes over.

    A commit between two steps of a change may not run; then the one before it is taken.
    """
    name = f"wangge_test_{os.getpid()}_earlier"
    reasons = []
    try:
        for commit in earlier_commits():
            server.drop(name)
            server.create(name)
            wrong = load_with(commit, tmp_path / commit[:9], server.owner_url(name))
            if not wrong:
                break
            reasons.append(f"{commit[:9]}: {wrong}")
        else:
            pytest.skip(f"no earlier commit can load its own city: {'; '.join(reasons)}")
        engine = owner_engine(server.owner_url(name))
        with engine.connect() as connection:
            before = revisions.current(connection)
        assert before in revisions.known()[:-1]
        backups = tmp_path / "backups"
        backups.mkdir()
        upgraded = upgrade.upgrade(engine, backups)
        assert upgraded.faults == {}, f"from {commit[:9]} ({before})"
        demand_sound(engine)
        engine.dispose()
    finally:
        server.drop(name)


def test_a_refused_migration_is_taken_back_whole(
    own_city: MigratedDatabase, tmp_path: Path
) -> None:
    one_step_back(own_city.engine)
    before = rows_of(own_city.engine)
    url = own_city.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE alembic_version IN SHARE MODE")  # its last step waits for this
        with pytest.raises(KeepingError, match="as it was before") as caught:
            upgrade.upgrade(own_city.engine, tmp_path)
    [kept] = archive.dated(tmp_path)
    assert str(kept) in caught.value.message
    assert previous() in caught.value.message
    with own_city.engine.connect() as connection:
        assert revisions.current(connection) == previous()
    after = rows_of(own_city.engine)
    assert {**after, "audit": 0, "audit_head": 0} == {**before, "audit": 0, "audit_head": 0}
    assert upgrade.upgrade(own_city.engine, tmp_path / "..").faults == {}
    demand_sound(own_city.engine)


def test_faults_after_an_upgrade_are_told_with_the_way_back(
    own_city: MigratedDatabase, tmp_path: Path
) -> None:
    one_step_back(own_city.engine)
    with own_city.engine.begin() as connection:
        connection.execute(text("UPDATE net SET hash = sha256('another')"))
    done = upgrade.upgrade(own_city.engine, tmp_path)
    assert done.faults == {"tiny": {"net_hash": 1}}
    assert done.backup is not None


def test_an_own_city_is_not_migrated_in_passing(own_city: MigratedDatabase) -> None:
    one_step_back(own_city.engine)
    with pytest.raises(SetupError, match="makes a backup first") as caught:
        bring_up_to_date(own_city.engine)
    assert caught.value.data["command"] == "wangge upgrade"
    with own_city.engine.connect() as connection:
        assert revisions.current(connection) == previous()


def test_a_made_up_city_and_an_empty_database_are(
    fresh_city: MigratedDatabase, fresh_database: MigratedDatabase
) -> None:
    one_step_back(fresh_city.engine)
    bring_up_to_date(fresh_city.engine)
    demand_sound(fresh_city.engine)
    run(fresh_database.engine, command.downgrade, "base")
    bring_up_to_date(fresh_database.engine)
    with fresh_database.engine.connect() as connection:
        assert revisions.current(connection) == revisions.head()


def test_a_later_version_has_been_here(fresh_city: MigratedDatabase, tmp_path: Path) -> None:
    with fresh_city.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for deed in (
        lambda: upgrade.plan(fresh_city.engine),
        lambda: upgrade.upgrade(fresh_city.engine, tmp_path),
        lambda: bring_up_to_date(fresh_city.engine),
    ):
        with pytest.raises(KeepingError, match="later version"):
            deed()
    made = backup.make(fresh_city.engine, tmp_path)  # a backup is always possible
    assert made.manifest.revision == "9999"
    assert made.manifest.cities == {}
    with pytest.raises(KeepingError, match="newer than this program"):
        restore.restore(fresh_city.engine.url, made.path, work=tmp_path, force=True)
    assert databases.beside(fresh_city.engine.url, fresh_city.name) == []


def test_revisions_are_in_order() -> None:
    known = revisions.known()
    assert known == sorted(known)
    assert revisions.missing(None) == revisions.described()
    assert revisions.missing(known[-1]) == []
    assert all(does for _, does in revisions.described())
    assert migrate.__doc__
