"""Files in through the API: who may, how large, what is told; nothing is stored unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.app import create_app
from geo import service
from geo.db import Viewer, owner_transaction
from geo.files import jail
from geo.settings import Settings
from geo.store.importing.working import Worker
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, World, login_of, serving
from tests.cities import point
from tests.conftest import MigratedDatabase
from tests.geo.test_store_importing import frame

pytestmark = pytest.mark.timeout(400)
BASE = f"/api/v1/cities/{HOME}/imports"
ROWS = [
    {"name": "新站", "kind": "grid_station", "geometry": point(0.2, 0.2)},
    {"name": "松岭第一网格站", "kind": "grid_station", "geometry": point(0.5, 0.8)},
]


@pytest.fixture(scope="module")
def room(
    cities_template: str,
    new_database: Callable[[str], MigratedDatabase],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """The two cities, for the imports of this module alone; small limits."""
    migrated = new_database(cities_template)
    settings = Settings(
        project_dir=tmp_path_factory.mktemp("state"),
        import_planner_mib=1,
        import_administrator_mib=2,
        import_open_files=4,
    )
    database = migrated.application()
    app = create_app(settings, database)
    with serving(app) as url:
        world = World(migrated, database, settings, app, url)
        yield world
        world.close()
    database.close()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("files") / "stations.geojson"
    frame(ROWS).to_file(path, driver="GeoJSON")
    return path.read_bytes()


def of(room: World, role: Role, city: str = HOME) -> httpx.Client:
    return room.signed(login_of(role, city))


def worked(room: World) -> None:
    """Let a worker do all jobs that wait."""
    worker = Worker(room.migrated.engine, room.settings.import_dir, "test")
    while worker.work() is not None:
        pass


def folders(room: World) -> list[Path]:
    root = room.settings.import_dir
    return list(root.iterdir()) if root.is_dir() else []


def stations(room: World) -> list[Any]:
    with owner_transaction(room.migrated.engine) as session:
        return list(session.scalars(text("SELECT x::text FROM station AS x ORDER BY 1")))


@pytest.mark.skipif(jail.missing() is not None, reason=f"no walls here: {jail.missing()}")
def test_a_file_goes_its_way(room: World, content: bytes) -> None:
    planner, before = of(room, Role.PLANNER), stations(room)
    sent = planner.post(BASE, params={"name": "../站点.geojson"}, content=content)
    assert sent.status_code == 201, sent.text
    card = sent.json()
    at = f"{BASE}/{card['delivery']}"
    assert (card["state"], card["job"]["step"], card["job"]["state"]) == (
        "received", "look", "queued",
    )  # fmt: skip
    assert [one.name for folder in folders(room) for one in folder.iterdir()] == ["站点.geojson"]
    assert planner.post(f"{at}/undo").status_code == 409
    worked(room)
    card = planner.get(at).json()
    layer = card["understood"]["layers"][0]
    assert (card["state"], layer["kind"], layer["features"]) == ("understood", "points", 2)
    wish = {"kind": "stations", "columns": {"name": "name", "kind": "kind"}, "datum": "wgs84"}
    assert planner.put(f"{at}/wish", json={**wish, "kind": "cats"}).status_code == 422
    assert planner.put(f"{at}/wish", json={**wish, "columns": {}}).status_code == 422
    assert planner.put(f"{at}/wish", json=wish).status_code == 202
    assert planner.put(f"{at}/wish", json=wish).status_code == 409
    worked(room)
    card = planner.get(at).json()
    assert card["state"] == "prepared", card["job"]
    assert card["report"]["difference"] == {"new": 1, "changed": 0, "same": 1, "gone": 5}
    assert stations(room) == before
    shapes = planner.get(f"{at}/shapes").json()
    assert [one["properties"]["label"] for one in shapes["features"]] == ["新站", "松岭第一网格站"]
    assert planner.get(f"{at}/difference").json()[0]["state"] == "new"
    assert planner.get(f"{at}/defects").json() == []
    assert planner.post(f"{at}/confirm", json={"choice": ["new"]}).status_code == 202
    worked(room)
    card = planner.get(at).json()
    assert (card["state"], card["file_kept"]) == ("imported", False)
    assert card["report"]["applied"] == {"new": 1, "changed": 0, "gone": 0}
    assert not folders(room) and len(stations(room)) == len(before) + 1
    assert planner.post(f"{at}/undo").status_code == 202
    worked(room)
    assert planner.get(at).json()["state"] == "undone"
    assert stations(room) == before
    log = of(room, Role.ADMINISTRATOR).get(f"/api/v1/cities/{HOME}/audit").json()["items"]
    assert {"import.done", "import.undone"} <= {one["action"] for one in log}
    done = next(one for one in log if one["action"] == "import.done")
    assert (done["actor"], done["payload"]["new"]) == (login_of(Role.PLANNER, HOME), 1)


def test_what_is_no_file_of_ours_is_refused(room: World) -> None:
    planner = of(room, Role.PLANNER)
    assert planner.post(BASE, params={"name": "x.shp"}, content=b"").status_code == 422
    assert not folders(room)
    sent = planner.post(BASE, params={"name": "x.geojson"}, content=b"MZ\x00\x00 nonsense")
    at = f"{BASE}/{sent.json()['delivery']}"
    worked(room)
    card = planner.get(at).json()
    assert (card["state"], card["job"]["state"], card["file_kept"]) == ("refused", "failed", False)
    assert card["job"]["error"]["message"]
    assert not folders(room)
    said = {
        language: planner.get(at, headers={"Accept-Language": language}).json()["refused"]
        for language in ("zh", "en")
    }
    assert said["en"][0].startswith("x.geojson: it is none of the formats that are read. What is")
    assert said["zh"][0].startswith("x.geojson：不是可以读取的格式。可以读取的格式：")
    listed = planner.get(BASE, headers={"Accept-Language": "zh"}).json()["items"]
    assert (
        next(one for one in listed if one["delivery"] == card["delivery"])["refused"] == said["zh"]
    )
    problem = planner.post(f"{at}/undo", headers={"Accept-Language": "zh"}).json()
    assert problem["detail"] == f"第 {card['delivery']} 号文件已进到别的步骤，请重新载入页面。"


def test_limits_are_by_role_and_said(room: World) -> None:
    planner, administrator = of(room, Role.PLANNER), of(room, Role.ADMINISTRATOR)
    assert planner.get(f"{BASE}/limits").json()["most_mib"] == 1
    big = b"{" + b" " * (1 << 20)
    refused = planner.post(BASE, params={"name": "x.geojson"}, content=big)
    assert refused.status_code == 413 and "1 MiB" in refused.json()["detail"]
    refused = planner.post(BASE, params={"name": "x.geojson"}, content=iter([big, b"x"]))
    assert refused.status_code == 413
    assert not folders(room)
    taken = administrator.post(BASE, params={"name": "x.geojson"}, content=big)
    assert taken.status_code == 201
    at = f"{BASE}/{taken.json()['delivery']}"
    assert administrator.post(f"{at}/cancel").status_code == 202
    worked(room)
    assert administrator.get(at).json()["job"]["state"] == "cancelled"
    assert administrator.delete(at).status_code == 202
    worked(room)
    assert administrator.get(at).json()["state"] == "dropped"
    assert not folders(room)


def test_too_many_files_wait(room: World, content: bytes) -> None:
    planner = of(room, Role.PLANNER)
    numbers = []
    for _ in range(10):
        sent = planner.post(BASE, params={"name": "a.geojson", "more": True}, content=content)
        if sent.status_code != 201:
            break
        numbers.append(sent.json()["delivery"])
    assert sent.status_code == 429 and "Retry-After" in sent.headers
    assert len(numbers) == 4
    for number in numbers:
        planner.delete(f"{BASE}/{number}")
    worked(room)
    assert not folders(room)


def test_others_see_and_send_nothing(room: World, content: bytes) -> None:
    for role in (Role.WORKER, Role.COMMUNITY, Role.DEPARTMENT, Role.LEADER):
        client = of(room, role)
        assert client.get(BASE).status_code == 403
        sent = client.post(BASE, params={"name": "a.geojson"}, content=content)
        assert sent.status_code == 403
    away = of(room, Role.PLANNER, AWAY)
    assert away.post(BASE, params={"name": "a.geojson"}, content=content).status_code == 403
    assert room.client().post(BASE, params={"name": "a"}, content=content).status_code == 401
    assert not folders(room)


# ---- the second wall -----------------------------------------------------------------------------

WRITES = {
    "delivery": "INSERT INTO delivery (city_id, name, folder, sha256, bytes, author_id)"
    " VALUES (:city, 'x', 'x', '', 1, :user)",
    "job": "INSERT INTO job (city_id, delivery_id, step, author_id)"
    " SELECT city_id, max(delivery_id), 'drop', :user FROM delivery WHERE city_id = :city"
    " GROUP BY city_id",
    "cancel": "UPDATE job SET cancel_asked = true WHERE city_id = :city",
    "state": "UPDATE delivery SET state = 'imported' WHERE city_id = :city",
    "done": "UPDATE job SET state = 'done' WHERE city_id = :city",
    "change": "INSERT INTO delivery_change (city_id, delivery_id, relation)"
    " VALUES (:city, 1, 'cell')",
}


def tried(room: World, viewer: Viewer, statement: str, **values: Any) -> int | None:
    """Return how many rows a statement of a viewer touches; None when it is refused."""
    try:
        with room.database.transaction(viewer) as session:
            found: Any = session.execute(text(statement), values)
            return int(found.rowcount)
    except DBAPIError as error:
        assert "permission denied" in str(error) or "row-level security" in str(error)
        return None


def test_the_database_alone_keeps_others_out(room: World, content: bytes) -> None:
    planner = of(room, Role.PLANNER)
    sent = planner.post(BASE, params={"name": "a.geojson", "more": True}, content=content)
    number = sent.json()["delivery"]
    with owner_transaction(room.migrated.engine) as session:
        home, away = (service.city_id_of(session, slug) for slug in (HOME, AWAY))
        users = session.execute(
            text("SELECT role, user_id FROM user_account WHERE city_id = :c"), {"c": home}
        )
        user = {row.role: row.user_id for row in users}
        session.execute(
            text("INSERT INTO delivery_part VALUES (:c, :d, 'shapes', '{}')"),
            {"c": home, "d": number},
        )
        session.execute(
            text("INSERT INTO delivery_change (city_id, delivery_id, relation)"
                 " VALUES (:c, :d, 'cell')"), {"c": home, "d": number},
        )  # fmt: skip
    for role in (Role.WORKER, Role.COMMUNITY, Role.DEPARTMENT, Role.LEADER, Role.PUBLIC):
        viewer = Viewer(role, home, user.get(role.value), (11,))
        for table in ("delivery", "delivery_part", "job"):
            assert not tried(room, viewer, f"SELECT * FROM {table}"), (role, table)
        for name in ("delivery", "job", "cancel", "state", "done", "change"):
            done = tried(room, viewer, WRITES[name], city=home, user=user.get(role.value))
            assert not done, (role, name)
    office = Viewer(Role.PLANNER, home, user["planner"])
    stranger = Viewer(Role.PLANNER, away, user["planner"])
    assert tried(room, office, "SELECT * FROM delivery_part")
    assert not tried(room, stranger, "SELECT * FROM delivery")
    assert tried(room, office, "SELECT * FROM delivery_change") is None
    assert tried(room, office, WRITES["delivery"], city=home, user=user["planner"]) == 1
    assert tried(room, office, WRITES["delivery"], city=home, user=user["leader"]) is None
    assert tried(room, stranger, WRITES["delivery"], city=home, user=user["planner"]) is None
    for name in ("state", "done", "change"):
        assert tried(room, office, WRITES[name], city=home, user=user["planner"]) is None, name
