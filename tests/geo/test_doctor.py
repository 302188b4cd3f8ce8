"""The doctor: healthy on a healthy installation, and each of its checks can fail."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from api import serving
from geo.keeping import archive, backup, databases, doctor, reach
from geo.keeping.checks import Check, Installation, State
from tests.conftest import MigratedDatabase
from tests.databases import Server

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def dated_backup(small_city: MigratedDatabase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backup.make(small_city.engine, tmp_path_factory.mktemp("backups")).path


@pytest.fixture
def place(fresh_city: MigratedDatabase, dated_backup: Path, tmp_path: Path) -> Installation:
    """A healthy installation: a backup of today, the browser libraries, no demo accounts."""
    for folder in ("backups", "assets", "tls"):
        (tmp_path / folder).mkdir()
    (tmp_path / "assets" / ".stamp").touch()
    with fresh_city.engine.begin() as connection:
        connection.execute(text("UPDATE user_account SET demo = false"))
        connection.execute(text("UPDATE city SET demo = false"))
    shutil.copy(dated_backup, tmp_path / "backups")
    return Installation(
        engine=fresh_city.engine,
        app_url=fresh_city.app_url,
        pool_size=8,
        backups=tmp_path / "backups",
        data_dir=tmp_path,
        assets=tmp_path / "assets",
        tls=tmp_path / "tls",
    )


def by_name(place: Installation) -> dict[str, Check]:
    return {check.name: check for check in doctor.examine(place)}


MACHINE = {"durability", "disk of the data", "disk of the backups"}
"""What depends on the machine of the tests: their server gives safety away for speed."""


def test_a_healthy_installation_is_called_so(place: Installation) -> None:
    found = by_name(place)
    assert {
        name: c for name, c in found.items() if c.state != State.GOOD and name not in MACHINE
    } == {}
    assert {"PostGIS", "schema", "last backup", "rights of the application", "log"} <= set(found)
    assert {"derived figures", "clock", "time zones", "encoding", "connections"} <= set(found)
    assert all(check.found for check in found.values())


def execute(*statements: str) -> Callable[[Installation], Installation]:
    def damage(place: Installation) -> Installation:
        with place.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        return place

    return damage


def aged(hours: float) -> Callable[[Installation], Installation]:
    """Make the backup's manifest older."""

    def damage(place: Installation) -> Installation:
        [path] = archive.dated(place.backups)
        with archive.work_folder(place.backups) as work:
            manifest, dump = archive.unpack(path, work)
            moment = datetime.now(UTC) - timedelta(hours=hours)
            path.unlink()
            older = replace(manifest, made_at=moment.isoformat(timespec="seconds"))
            archive.write(place.backups / archive.dated_name(moment), older, dump, work)
        return place

    return damage


def without_backups(place: Installation) -> Installation:
    for path in archive.dated(place.backups):
        path.unlink()
    return place


def readable_backups(place: Installation) -> Installation:
    for path in archive.dated(place.backups):
        path.chmod(0o644)
    return place


def half_a_backup(place: Installation) -> Installation:
    [path] = archive.dated(place.backups)
    path.write_bytes(path.read_bytes()[:700])
    return place


def open_key(place: Installation) -> Installation:
    made = serving.local_certificate(place.tls, "127.0.0.1")
    made.key.chmod(0o644)
    return place


def without_libraries(place: Installation) -> Installation:
    (place.assets / ".stamp").unlink()
    return place


OWN_ROWS = "ALTER TABLE audit DISABLE TRIGGER audit_is_final"

CASES: list[tuple[str, State, Callable[[Installation], Installation]]] = [
    ("log", State.BAD,
     execute(OWN_ROWS, "UPDATE audit SET payload = '{}' WHERE city_id = 1 AND n = 1")),
    ("log", State.BAD, execute(OWN_ROWS, "DELETE FROM audit WHERE city_id = 1 AND n = 3")),
    ("demo accounts", State.WATCH, execute("UPDATE user_account SET demo = true")),
    ("derived figures", State.BAD, execute("UPDATE net_count SET cells = cells + 1")),
    ("schema", State.BAD, execute("ALTER TABLE station DROP COLUMN capacity")),
    ("schema", State.BAD, execute("UPDATE alembic_version SET version_num = '0002'")),
    ("schema", State.BAD, execute("UPDATE alembic_version SET version_num = '9999'")),
    ("row-level security", State.BAD, execute("ALTER TABLE issue NO FORCE ROW LEVEL SECURITY")),
    ("row-level security", State.BAD, execute("ALTER TABLE worker DISABLE ROW LEVEL SECURITY")),
    ("time zones", State.BAD, execute("UPDATE city SET timezone = 'Nowhere/None'")),
    ("rights of the application", State.BAD,
     lambda place: replace(place, app_url=place.engine.url.render_as_string(hide_password=False))),
    ("application's login", State.BAD,
     lambda place: replace(place, app_url=place.app_url.replace("wangge_app", "nobody_at_all"))),
    ("connections", State.BAD, lambda place: replace(place, pool_size=200)),
    ("last backup", State.WATCH, aged(30)),
    ("last backup", State.BAD, aged(200)),
    ("last backup", State.BAD, without_backups),
    ("last backup", State.BAD, half_a_backup),
    ("rights of backups", State.BAD, readable_backups),
    ("key of the certificate", State.BAD, open_key),
    ("names of the server", State.BAD, lambda place: replace(place, behind_proxy=True)),
    ("names of the server", State.WATCH, lambda place: replace(place, hosts=("grid.example",))),
    ("browser libraries", State.BAD, without_libraries),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "state", "damage"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)]
)
def test_each_check_can_fail(
    place: Installation,
    name: str,
    state: State,
    damage: Callable[[Installation], Installation],
) -> None:
    found = by_name(damage(place))
    assert found[name].state is state, found[name]
    assert found[name].advice or "could not be looked at" in found[name].found


def test_a_full_disk_and_an_unsafe_server_are_seen(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10 << 20, "total": 10 << 30})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    found = by_name(place)
    assert found["disk of the data"].state is State.BAD
    assert found["disk of the backups"].state is State.BAD
    if "pg.run" not in place.app_url:
        assert found["durability"].state in (State.BAD, State.GOOD)


def test_databases_that_restorings_replaced_are_listed(place: Installation, server: Server) -> None:
    name = databases.stamped(str(place.engine.url.database), "before")
    server.create(name)
    try:
        found = by_name(place)["replaced databases"]
        assert found.state is State.WATCH
        assert name in found.found
    finally:
        server.drop(name)


def test_a_database_that_is_away_is_bad_and_no_trace(place: Installation) -> None:
    place.engine.dispose()
    from geo.db import owner_engine

    url = place.engine.url.set(database="wangge_none_at_all")
    away = replace(place, engine=owner_engine(url.render_as_string(hide_password=False)))
    found = doctor.examine(away)
    assert doctor.worst(found) is State.BAD
    assert "could not be looked at" in found[0].found


@pytest.fixture
def answering() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving_it:
        thread = threading.Thread(target=serving_it.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving_it.server_address[1]}/"
        serving_it.shutdown()
        thread.join()


def states(address: str) -> dict[str, State]:
    return {check.name: check.state for check in reach.answers(address)}


def test_an_address_is_tried(answering: str) -> None:
    assert states(answering) == {"TLS": State.GOOD, "answer": State.GOOD}
    assert states(answering.replace("http:", "https:")) == {
        "TLS": State.GOOD,
        "certificate": State.BAD,
        "answer": State.BAD,
    }
    assert states("ftp://127.0.0.1/")["answer"] is State.BAD
    free = serving.bind("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    assert states(f"http://localhost:{port}")["answer"] is State.BAD


def test_what_is_not_encrypted_beyond_this_machine_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(reach.urllib.request, "urlopen", unreachable)
    found = states("http://grid.example/")
    assert found == {"TLS": State.BAD, "answer": State.BAD}


@pytest.mark.parametrize(
    ("days", "state"), [(90, State.GOOD), (20, State.WATCH), (3, State.BAD), (-1, State.BAD)]
)
def test_a_certificate_that_ends_soon_is_told(days: int, state: State) -> None:
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    assert reach._dated("certificate", ends, "renew").state is state
