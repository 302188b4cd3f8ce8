"""`wangge import stations` and its sisters; the worker, also when it is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.cli import app
from api.commands import import_files
from geo import service
from geo.db import owner_transaction
from geo.errors import DeliveryError, InvalidInputError, NotFoundError
from geo.files import jail
from geo.saying import phrase
from geo.store.importing import deliveries, files, jobs
from geo.terms import DeliveryKind, JobStep
from tests.cities import point, square
from tests.conftest import MigratedDatabase
from tests.geo.test_store_importing import everything, frame

CITY = "tiny"
pytestmark = pytest.mark.timeout(400)
STATIONS = [
    {"名称": "新站", "类型": "网格服务站", "地址": "甲路1号", "geometry": point(0.2, 0.2)},
    {"名称": "松岭第一网格站", "类型": "grid_station", "地址": "甲路2号",
     "geometry": point(0.5, 0.8)},
]  # fmt: skip


@pytest.fixture
def city(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> MigratedDatabase:
    """A city of its own, named in the environment."""
    monkeypatch.setenv("DATABASE_URL", fresh_city.app_url)
    monkeypatch.setenv("DATABASE_OWNER_URL", fresh_city.owner_url)
    monkeypatch.setenv("WANGGE_PROJECT_DIR", str(tmp_path))
    return fresh_city


def rows_of(city: MigratedDatabase) -> dict[str, list[str]]:
    with owner_transaction(city.engine) as session:
        return everything(session)


def call(*words: str) -> Any:
    result = CliRunner().invoke(app, ["import", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(*words: str) -> Any:
    datum = ("--datum", "wgs84") if words[0] == "stations" else ()
    return json.loads(call(*words, *datum, "--json").stdout)


@pytest.fixture
def stations(tmp_path: Path) -> Path:
    path = tmp_path / "站点.geojson"
    frame(STATIONS).to_file(path, driver="GeoJSON")
    return path


def test_a_file_goes_in_and_comes_out_again(city: MigratedDatabase, stations: Path) -> None:
    before = rows_of(city)
    dry = told("stations", str(stations), "--city", CITY, "--dry-run")
    assert dry["stored"] is False and dry["difference"]["new"] == 1
    assert dry["wish"]["columns"] == {"name": "名称", "kind": "类型", "address": "地址"}
    assert told("list", "--city", CITY)["imports"] == []
    done = told("stations", str(stations), "--city", CITY)
    assert done["applied"] == {"new": 1, "changed": 1, "gone": 0}
    assert rows_of(city) != before
    again = told("stations", str(stations), "--city", CITY)
    assert again["applied"] == {"new": 0, "changed": 0, "gone": 0}
    assert again["imported_before"] == done["import"]
    listed = told("list", "--city", CITY)["imports"]
    assert [one["state"] for one in listed] == ["imported", "imported"]
    assert told("undo", str(done["import"]))["rows"] == {"station": 2}
    assert rows_of(city) == before


def test_people_are_told_and_asked(city: MigratedDatabase, stations: Path) -> None:
    before = rows_of(city)
    words = ["import", "stations", f"{stations}:站点", "--city", CITY, "--datum", "wgs84"]
    asked = CliRunner().invoke(app, words, input="n\n")
    assert "beside what stands: 1 new, 1 changed, 0 same, 5 gone" in asked.output
    assert "Nothing was stored: nobody said yes." in asked.output
    assert rows_of(city) == before
    assert [one["state"] for one in told("list", "--city", CITY)["imports"]] == ["dropped"]


def test_a_refused_file_is_listed_with_its_reason(
    city: MigratedDatabase, stations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise DeliveryError([phrase("%(n)s rows left out", n=3)])

    monkeypatch.setattr(import_files.steps, "perform", refused)
    with pytest.raises(DeliveryError):
        call("stations", str(stations), "--city", CITY, "--datum", "wgs84", "--yes")
    listed = told("list", "--city", CITY)["imports"]
    assert [(one["state"], one["refused"]) for one in listed] == [("refused", ["3 rows left out"])]
    assert "refused" in call("list", "--city", CITY).output


def test_wrong_orders_are_refused(city: MigratedDatabase, stations: Path) -> None:
    with pytest.raises(NotFoundError):
        call("stations", "nowhere.shp", "--city", CITY)
    with pytest.raises(InvalidInputError):
        call("stations", str(stations), "--city", CITY, "--map", "身份证=名称")
    with pytest.raises(InvalidInputError):
        call("stations", str(stations), "--city", CITY, "--apply", "everything")


# ---- the worker ----------------------------------------------------------------------------------


@pytest.fixture
def start(city: MigratedDatabase) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start workers; those that still run at the end are ended."""
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", "from api.cli import main; main()", "worker"]
        started.append(subprocess.Popen(words, env=os.environ.copy()))
        return started[-1]

    yield begin
    for process in started:
        process.terminate()
        process.wait(30)


def card(city: MigratedDatabase, number: int) -> dict[str, Any]:
    with owner_transaction(city.engine) as session:
        return deliveries.card(session, service.city_id_of(session, CITY), number)


def wait_for(
    city: MigratedDatabase, number: int, states: tuple[str, ...], seconds: float = 60
) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = card(city, number)
        if found["job"]["state"] in states:
            return found
        time.sleep(0.2)
    raise AssertionError(found["job"])


def ask(city: MigratedDatabase, number: int, step: JobStep, **args: Any) -> None:
    with owner_transaction(city.engine) as session:
        jobs.queue(session, service.city_id_of(session, CITY), number, step, args)


def delivered(city: MigratedDatabase, root: Path) -> int:
    folder = files.new_folder(root)
    path = folder / "buildings.geojson"
    rows = [{"code": f"N{n}", "households": 3, "geometry": square(7.1 + n * 0.1, 4.1, 0.05, 0.05)}
            for n in range(5)]  # fmt: skip
    frame(rows).to_file(path, driver="GeoJSON")
    sha256, size = files.digest(path)
    with owner_transaction(city.engine) as session:
        file = deliveries.Received("buildings.geojson", folder.name, sha256, size)
        return deliveries.receive(session, service.city_id_of(session, CITY), file, None)


WISH = {
    "kind": DeliveryKind.BUILDINGS.value,
    "columns": {"code": "code", "households": "households"},
    "datum": "wgs84",
}


@pytest.mark.skipif(jail.missing() is not None, reason=f"no walls here: {jail.missing()}")
def test_a_worker_killed_in_the_middle_does_nothing_by_halves(
    city: MigratedDatabase,
    start: Callable[[], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    before = rows_of(city)
    number = delivered(city, tmp_path / ".wangge" / "deliveries")
    first = start()
    assert wait_for(city, number, ("done", "failed"))["state"] == "understood"
    ask(city, number, JobStep.PREPARE, **WISH)
    found = wait_for(city, number, ("done", "failed"))
    assert found["state"] == "prepared", found["job"]
    assert found["report"]["difference"]["new"] == 5
    with city.engine.connect() as blocking:  # it cannot finish while this transaction lasts
        blocking.execute(text("LOCK TABLE cell_value IN SHARE MODE"))
        ask(city, number, JobStep.IMPORT)
        wait_for(city, number, ("running",))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"
        for _ in range(300):
            if blocking.scalar(text(waits)):
                break
            time.sleep(0.1)
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert rows_of(city) == before
    assert card(city, number)["state"] == "prepared"
    with owner_transaction(city.engine) as session:
        session.execute(text("UPDATE job SET lease_until = now() WHERE state = 'running'"))
    second = start()
    found = wait_for(city, number, ("done", "failed"))
    assert (found["state"], found["job"]["attempts"]) == ("imported", 2)
    assert not list((tmp_path / ".wangge" / "deliveries").iterdir())
    assert rows_of(city) != before
    ask(city, number, JobStep.UNDO)
    assert wait_for(city, number, ("done", "failed"))["state"] == "undone"
    assert rows_of(city) == before
    second.terminate()
    assert second.wait(30) == 0
