"""The command line: answers for people and programs, refusals, and a clean end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from sqlalchemy import select

from api.cli import app, main
from geo import signin
from geo.cluster import Cluster
from geo.db import owner_transaction
from geo.programs import find_binaries
from geo.tables import City, NetGrid, Organisation, UserAccount
from tests.conftest import MigratedDatabase

WANGGE = [sys.executable, "-c", "from api.cli import main; main()"]
ROOT = Path(__file__).resolve().parent.parent.parent
SERVE_S = 60

needs_postgis = pytest.mark.skipif(
    find_binaries() is None, reason="PostgreSQL with PostGIS is not on this machine"
)


def environment(**values: str) -> dict[str, str]:
    """Return this environment without settings of the program, and with `values`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANGGE_", "DATABASE_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), **values}


class Spoken(NamedTuple):
    """What a command answered."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Spoken]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process, which saves loading the program."""

    def run(*args: str, **values: str) -> Spoken:
        for name in os.environ:
            if name.startswith(("WANGGE_", "DATABASE_")):
                monkeypatch.delenv(name)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["wangge", *args])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Spoken(int(left.value.code or 0), said.out, said.err)

    return run


def wangge(*args: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own."""
    return subprocess.run(
        [*WANGGE, *args],
        env=environment(**values),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder with a private database of its own, stopped at the end."""
    folder = tmp_path_factory.mktemp("项目 one")
    yield str(folder)
    Cluster(folder).stop()
    subprocess.run(["rm", "-rf", str(Cluster(folder).data_dir.parent)], check=True)


@pytest.fixture
def database(fresh_database: MigratedDatabase) -> dict[str, str]:
    """Environment that names an empty database of one test."""
    return {
        "DATABASE_URL": fresh_database.app_url,
        "DATABASE_OWNER_URL": fresh_database.owner_url,
    }


def commands(
    group: Any = None, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all commands with their names."""
    found = group or typer.main.get_command(app)
    context = found.context_class(found)
    for name in found.list_commands(context):
        command = found.get_command(context, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*prefix, name))
        else:
            yield (*prefix, name), command


def test_every_command_explains_itself_and_speaks_json() -> None:
    found = dict(commands())
    assert {("db", "up"), ("demo",), ("check",), ("city", "new"), ("serve",)} <= set(found)
    for name, command in found.items():
        assert command.help, name
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options or name in {("run",), ("serve",), ("worker",)}, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), (name, parameter.name)


@needs_postgis
def test_the_database_goes_up_and_down(project: str, here: Command) -> None:
    place = {"WANGGE_PROJECT_DIR": project}
    before = here("db", "status", "--json", **place)
    assert before.returncode == 1
    assert json.loads(before.stdout)["running"] is False
    assert not (Path(project) / ".wangge" / "pg").exists()
    up = json.loads(here("db", "up", "--json", **place).stdout)
    assert up["started"] is True
    again = json.loads(here("db", "up", "--json", **place).stdout)
    assert again["started"] is False
    url = here("db", "url", "--libpq", **place).stdout.strip()
    counted = subprocess.run(
        ["psql", url, "-Atc", "SELECT count(*) FROM city"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert counted.stdout == "0\n", counted.stderr
    listed = here("city", "list", "--json", **place)
    assert json.loads(listed.stdout) == {"cities": []}
    assert here("db", "status", **place).returncode == 0
    assert json.loads(here("db", "down", "--json", **place).stdout)["stopped"] is True
    assert json.loads(here("db", "down", "--json", **place).stdout)["stopped"] is False


def test_a_database_of_ones_own_is_never_started(tmp_path: Path, here: Command) -> None:
    values = {
        "WANGGE_PROJECT_DIR": str(tmp_path),
        "DATABASE_URL": "postgresql://somebody@127.0.0.1:1/nothing",
        "PATH": "/nonexistent",
    }
    for command in ("up", "down", "status"):
        done = here("db", command, "--json", **values)
        assert done.returncode == 1
        assert json.loads(done.stdout)["error"]["code"] == "setup"
    away = here("city", "list", **values)
    assert away.returncode == 1
    assert "cannot be reached" in away.stderr
    assert "Traceback" not in away.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_city_is_made_listed_checked_and_dropped(database: dict[str, str], here: Command) -> None:
    place = ("--county-code", "990101", "--lon", "121.5", "--lat", "31.2")
    made = here("city", "new", "qingshan", "--name", "青山市", *place, **database)
    assert made.returncode == 0, made.stderr
    twice = here("city", "new", "qingshan", "--name", "青山市", *place, "--json", **database)
    assert twice.returncode == 1
    assert json.loads(twice.stdout)["error"]["code"] == "conflict"
    listed = json.loads(here("city", "list", "--json", **database).stdout)["cities"]
    assert [(city["slug"], city["name"]) for city in listed] == [("qingshan", "青山市")]
    checked = here("check", "--city", "qingshan", "--json", **database)
    assert json.loads(checked.stdout)["ok"] is True
    assert here("city", "drop", "qingshan", "--yes", **database).returncode == 0
    gone = here("check", "--city", "qingshan", **database)
    assert gone.returncode == 1
    assert gone.stderr.count("\n") <= 2
    assert "There is no city 'qingshan'" in gone.stderr


def test_a_city_is_not_dropped_without_a_yes(database: dict[str, str]) -> None:
    done = wangge("city", "drop", "demo", **database)
    assert done.returncode == 1
    assert "Aborted" in done.stderr


def test_what_is_unexpected_is_one_line_and_a_log(tmp_path: Path) -> None:
    code = (
        "import sys; import api.commands.database as rooms; from api.cli import main\n"
        "rooms.Settings = lambda: 1 / 0\n"
        "sys.argv = ['wangge', 'db', 'status']\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(WANGGE_PROJECT_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    log = tmp_path / ".wangge" / "log" / "errors.log"
    assert "ZeroDivisionError" in log.read_text(encoding="utf-8")
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://u:secret@h/x", "begins with mysql://"),
        ("secret", "begins with no scheme"),
        ("postgresql://u:secret@h:port/x", "cannot be read"),
    ],
)
def test_an_address_of_another_database_is_refused(
    tmp_path: Path, here: Command, url: str, told: str
) -> None:
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        values = {"DATABASE_URL": "postgresql://u@h/x", name: url}
        done = here("city", "list", WANGGE_PROJECT_DIR=str(tmp_path), **values)
        assert done.returncode == 1
        assert f"{name} {told}" in done.stderr
        assert "postgresql://user:password@host" in done.stderr
        assert "secret" not in done.stderr
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["abc", "65536", "-1", ""])
def test_a_port_that_is_none_is_one_line(tmp_path: Path, here: Command, port: str) -> None:
    done = here("run", f"--port={port}", WANGGE_PROJECT_DIR=str(tmp_path))
    assert done.returncode == 1
    assert f"'{port}' is none" in done.stderr
    assert done.stderr.count("\n") == 1


def test_run_refuses_a_demo_city_for_other_machines(tmp_path: Path, here: Command) -> None:
    place = {"WANGGE_PROJECT_DIR": str(tmp_path)}
    done = here("run", "--host", "0.0.0.0", "--port", "0", "--local-certificate", **place)
    assert done.returncode == 1
    assert "DEMO=none" in done.stderr
    assert not (tmp_path / ".wangge" / "pg").exists()


@pytest.mark.parametrize("command", ["serve", "run"])
def test_beyond_this_machine_tls_is_demanded(command: str, tmp_path: Path, here: Command) -> None:
    values = {"WANGGE_PROJECT_DIR": str(tmp_path)}
    done = here(command, "--host", "0.0.0.0", "--port", "0", **values)
    assert done.returncode == 1
    assert "must be encrypted" in done.stderr
    assert "LOCAL_CERTIFICATE=1" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_beyond_this_machine_demo_accounts_are_refused(
    small_city: MigratedDatabase, tmp_path: Path, here: Command
) -> None:
    done = here(
        *("serve", "--host", "0.0.0.0", "--port", "0", "--local-certificate"),
        DATABASE_URL=small_city.app_url,
        DATABASE_OWNER_URL=small_city.owner_url,
        WANGGE_PROJECT_DIR=str(tmp_path),
    )
    assert done.returncode == 1
    assert "demo accounts" in done.stderr
    assert "wangge city drop" in done.stderr
    assert "DEMO=none" in done.stderr


def test_accounts_of_a_city_are_made_changed_shut_and_listed(
    fresh_city: MigratedDatabase, here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"DATABASE_URL": fresh_city.app_url, "DATABASE_OWNER_URL": fresh_city.owner_url}
    with owner_transaction(fresh_city.engine) as session:
        slug = session.scalars(select(City.slug)).one()
        first, second = session.execute(
            select(NetGrid.grid_id, NetGrid.code).where(NetGrid.code.is_not(None)).limit(2)
        ).all()
        organisation = session.scalars(select(Organisation.organisation_id).limit(1)).one()

    def account(*args: str) -> dict[str, Any]:
        done = here("account", *args, "--json", **values)
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == ("error" in found)
        return found

    def opens(login: str, word: str) -> bool:
        with owner_transaction(fresh_city.engine) as session:
            column = select(UserAccount.password_hash).where(UserAccount.login == login)
            return signin.password_matches(session.scalar(column), word)

    def add(login: str, role: str, *args: str) -> dict[str, Any]:
        who = ("--login", login, "--role", role, "--name", "陈某")
        return account("add", "--city", slug, *who, *args)

    made = add("Chen", "worker", "--grid", first.code, "--grid", str(second.grid_id))
    assert (made["city"], made["login"], made["role"]) == (slug, "chen", "worker")
    assert opens("chen", made["password"])
    assert "error" not in add("bureau", "department", "--organisation", str(organisation))
    for login, role, *wrong in (
        ("chen", "leader"),
        ("li", "worker"),
        ("li", "worker", "--grid", "nowhere"),
        ("li", "department", "--organisation", "999999"),
        ("li", "public"),
    ):
        assert add(login, role, *wrong)["error"]["field"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("一个很长的新密码在此\n"))
    assert "password" not in account("password", "chen", "--password-stdin")
    assert opens("chen", "一个很长的新密码在此")
    assert account("disable", "chen")["disabled"] is True
    listed = {one["login"]: one for one in account("list", "--city", slug)["accounts"]}
    assert "li" not in listed
    assert (listed["chen"]["disabled"], listed["chen"]["demo"]) == (True, False)
    assert sorted(listed["chen"]["grids"]) == sorted([first.code, second.code])
    assert listed["bureau"]["organisation"] == organisation
    assert account("enable", "chen")["disabled"] is False
    assert account("disable", "nobody")["error"]["login"] == "nobody"
    assert "陈某" in here("account", "list", **values).stdout


class Serving:
    """A `run` or `serve` in the background."""

    def __init__(self, log: Path, *args: str, **values: str) -> None:
        self.log = log
        with log.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [*WANGGE, *args], env=environment(**values), cwd=ROOT, stderr=file, stdout=file
            )

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def address(self) -> str:
        """Wait until it serves, and return where."""
        for _ in range(SERVE_S * 10):
            for word in self.said().split():
                if word.startswith(("http://", "https://")):
                    return word
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        pytest.fail(f"it does not serve: {self.said()}")


@needs_postgis
@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_end_stops_what_was_started(
    project: str, tmp_path: Path, order: signal.Signals
) -> None:
    cluster = Cluster(Path(project))
    assert not cluster.status().running
    run = Serving(
        *(tmp_path / "log", "run", "--demo", "none", "--port", "0"), WANGGE_PROJECT_DIR=project
    )
    address = run.address()
    assert cluster.status().running
    with urllib.request.urlopen(f"{address}healthz") as answer:
        assert answer.status == 200
    run.process.send_signal(order)
    assert run.process.wait(30) == 0, run.said()
    assert "Traceback" not in run.said()
    assert not cluster.status().running


@needs_postgis
def test_the_end_leaves_alone_what_ran_before(project: str, tmp_path: Path) -> None:
    here = {"WANGGE_PROJECT_DIR": project}
    wangge("db", "up", **here)
    run = Serving(tmp_path / "log", "run", "--demo", "none", "--port", "0", **here)
    run.address()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 0
    assert Cluster(Path(project)).status().running
    wangge("db", "down", **here)


def test_two_servers_at_one_place_are_told_apart(
    small_city: MigratedDatabase, tmp_path: Path
) -> None:
    values = {"DATABASE_URL": small_city.app_url, "DATABASE_OWNER_URL": small_city.owner_url}
    first = Serving(tmp_path / "log", "serve", "--port", "0", **values)
    try:
        address = first.address()
        assert "password wangge-demo" in first.said()
        with owner_transaction(small_city.engine) as session:
            city = session.scalars(select(City)).one()
            assert f"{city.name} ({city.slug})" in first.said()
        port = address.rstrip("/").rsplit(":", 1)[1]
        second = wangge("serve", "--port", port, **values)
        assert second.returncode == 1
        assert "already in use" in second.stderr
        assert "PORT=" in second.stderr
    finally:
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(30) == 0


def test_the_demo_city_is_loaded_once_and_holds(database: dict[str, str], here: Command) -> None:
    first = here("demo", "--size", "small", "--issues", "200", "--json", **database)
    assert first.returncode == 0, first.stderr
    answer = json.loads(first.stdout)
    assert (answer["slug"], answer["loaded"]) == ("demo-small", True)
    ended = date.fromisoformat(answer["made_with"]["until"])
    assert date.today() - timedelta(1) <= ended <= date.today() + timedelta(1)  # noqa: DTZ011
    second = json.loads(here("demo", "--size", "small", "--json", **database).stdout)
    assert (second["loaded"], second["unmet"]) == (False, {})
    other = here("demo", "--size", "small", "--seed", "7", "--until", "2026-10-01", **database)
    assert f"made with seed 1, size small, until {ended}, issues 200" in other.stdout
    assert "not made again with seed 7, until 2026-10-01" in other.stdout
    assert "wangge city drop demo-small" in other.stdout
    checked = here("check", "--city", "demo-small", **database)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["cells", "a.shp", "--json"], "--within"),
        (["frobnicate", "--json"], "frobnicate"),
        (["check", "a", "b", "--json"], "unexpected extra argument"),
        (["import", "streets", "--json"], "Missing"),
    ],
)
def test_wrong_usage_is_json_for_programs(here: Command, call: list[str], words: str) -> None:
    done = here(*call)
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 2
    assert error["code"] == "usage" and words in error["message"]


def test_an_answer_of_json_ends_well(here: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("code,households\nB1,5\n")
    done = here("check", str(path), "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["features"] == 1
