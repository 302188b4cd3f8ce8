"""Photos of reports: in once and without metadata, private until released, painted for good."""

from __future__ import annotations

import io
from contextlib import ExitStack
from dataclasses import dataclass, replace
from uuid import uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from geo import service
from geo.db import Viewer, owner_transaction
from geo.store import photos
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, World, login_of
from tests.geo.test_photos import CANARY, scene, with_secrets, written

API = f"/api/v1/cities/{HOME}"


@pytest.fixture(scope="module")
def world(module_world: World) -> World:
    return module_world


@dataclass(frozen=True)
class Told:
    """A report that came in, with its place of a grid of the worker."""

    issue: int
    code: str
    secret: str
    place: tuple[float, float]

    @property
    def address(self) -> str:
        return f"{API}/reports/{self.code}"


def tell(world: World, category: str = "C0101") -> Told:
    with world.migrated.engine.connect() as seen:
        row = seen.execute(
            text(
                "SELECT ST_X(label_point), ST_Y(label_point), city_id FROM net_grid"
                " WHERE grid_id = 111 AND city_id = (SELECT city_id FROM city WHERE slug = :slug)"
            ),
            {"slug": HOME},
        ).one()
    lon, lat, city = float(row[0]), float(row[1]), int(row[2])
    with world.database.transaction(Viewer.public(city)) as session:
        at = service.Asked(city).moment(session)
        wish = service.cases.Report(category, lon, lat, "灯不亮", client_id=str(uuid4()))
        made = service.cases.report(session, Viewer.public(city), at, wish)
    return Told(made.issue, made.code, made.secret, (lon, lat))


@pytest.fixture
def told(world: World) -> Told:
    return tell(world)


@pytest.fixture
def desk(world: World) -> httpx.Client:
    return world.sign_in(login_of(Role.COMMUNITY, HOME))


def hand(client: httpx.Client, told: Told, name: str, content: bytes) -> httpx.Response:
    return client.post(
        f"{told.address}/photos",
        params={"name": name},
        content=content,
        headers={"Wangge-Secret": told.secret, "Content-Type": "application/octet-stream"},
    )


def accept(world: World, told: Told, state: str = "accepted") -> None:
    with owner_transaction(world.migrated.engine) as session:
        session.execute(
            text("UPDATE issue SET state = :state WHERE code = :code"),
            {"state": state, "code": told.code},
        )


def test_a_photo_comes_in_once_and_nothing_but_pixels_is_kept(
    world: World, reader: httpx.Client, told: Told, desk: httpx.Client
) -> None:
    first = hand(reader, told, "a1", with_secrets("JPEG"))
    assert first.status_code == 201, first.text
    assert first.json() == {"width": 600, "height": 800, "created": True}
    again = hand(reader, told, "a1", with_secrets("JPEG"))
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert hand(reader, told, "a1", with_secrets("PNG")).status_code == 409
    listed = desk.get(f"{API}/issues/{told.issue}/photos").json()["items"]
    assert [one["released_at"] for one in listed] == [None]
    seen = desk.get(f"{API}/issues/{told.issue}/photos/{listed[0]['photo']}")
    assert seen.headers["content-type"] == "image/jpeg"
    assert CANARY not in seen.content
    with world.migrated.engine.connect() as found:
        kept = found.execute(text("SELECT * FROM photo WHERE issue_id = :n"), {"n": told.issue})
        assert not any(CANARY in bytes(cell) for cell in kept.one() if isinstance(cell, bytes))


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"no photo", 422, "photo_refused"), (b"", 422, None), (bytes(13_000_000), 413, "too_large")],
)
def test_what_is_no_photo_is_refused_and_leaves_nothing(
    reader: httpx.Client, told: Told, desk: httpx.Client, content: bytes, status: int, code: str
) -> None:
    answer = hand(reader, told, "a1", content)
    assert answer.status_code == status
    assert code is None or answer.json()["code"] == code
    assert desk.get(f"{API}/issues/{told.issue}/photos").json()["items"] == []


def test_a_report_takes_four_photos_and_a_closed_one_none(
    world: World, reader: httpx.Client, told: Told
) -> None:
    for number in range(4):
        photo = written(scene(100 + number, 90), "PNG")
        assert hand(reader, told, f"n{number}", photo).status_code == 201
    full = hand(reader, told, "n4", written(scene(99, 90), "PNG"))
    assert full.status_code == 409
    other = tell(world)
    accept(world, other, "closed")
    assert hand(reader, other, "a", written(scene(), "PNG")).status_code == 409


def test_only_who_holds_the_secret_adds_photos(world: World, reader: httpx.Client) -> None:
    told, other = tell(world), tell(world)
    wrong = Told(told.issue, told.code, other.secret, told.place)
    assert hand(reader, wrong, "a1", written(scene(), "PNG")).status_code == 404
    away = reader.post(
        f"/api/v1/cities/{AWAY}/reports/{told.code}/photos",
        params={"name": "a1"},
        content=written(scene(), "PNG"),
        headers={"Wangge-Secret": told.secret},
    )
    assert away.status_code == 404


def test_a_photo_is_private_until_a_desk_releases_it(
    world: World, reader: httpx.Client, told: Told, desk: httpx.Client
) -> None:
    hand(reader, told, "a1", written(scene(), "PNG"))
    accept(world, told)
    with owner_transaction(world.migrated.engine) as session:
        session.execute(text("UPDATE category SET shown = 'exact' WHERE category = 'C0101'"))
    number = desk.get(f"{API}/issues/{told.issue}/photos").json()["items"][0]["photo"]
    shown = f"{told.address}/photos"
    assert reader.get(shown).json() == {"items": []}
    assert reader.get(f"{shown}/{number}").status_code == 404
    worker = world.signed(login_of(Role.WORKER, HOME))
    mine = f"{API}/issues/{told.issue}/photos/{number}"
    assert worker.patch(mine, json={"released": True}).status_code == 403
    assert desk.patch(mine, json={"released": True}).status_code == 204
    assert [one["photo"] for one in reader.get(shown).json()["items"]] == [number]
    assert reader.get(f"{shown}/{number}", params={"thumbnail": True}).status_code == 200
    with owner_transaction(world.migrated.engine) as session:
        session.execute(text("UPDATE category SET shown = 'compound' WHERE category = 'C0101'"))
    assert reader.get(shown).json() == {"items": []}
    assert desk.patch(mine, json={"released": False}).status_code == 204


def test_what_is_painted_over_is_gone_and_the_release_lapses(
    world: World, reader: httpx.Client, told: Told, desk: httpx.Client
) -> None:
    hand(reader, told, "a1", written(scene(), "PNG"))
    number = desk.get(f"{API}/issues/{told.issue}/photos").json()["items"][0]["photo"]
    mine = f"{API}/issues/{told.issue}/photos/{number}"
    desk.patch(mine, json={"released": True})
    stroke = {"points": [[0.1, 0.1], [0.4, 0.4]], "radius": 0.2}
    assert desk.patch(mine, json={"cover": [stroke]}).status_code == 204
    item = desk.get(f"{API}/issues/{told.issue}/photos").json()["items"][0]
    assert item["covered_at"]
    assert item["released_at"] is None
    with Image.open(io.BytesIO(desk.get(mine).content)) as image:
        colour = image.getpixel((160, 120))
    assert isinstance(colour, tuple)
    assert max(colour) < 140
    for wrong in ({"points": [[1.5, 0]], "radius": 0.1}, {"points": [], "radius": 0.1}):
        assert desk.patch(mine, json={"cover": [wrong]}).status_code == 422
    with world.migrated.engine.connect() as seen:
        actions = seen.execute(
            text("SELECT action FROM audit WHERE object = :object ORDER BY n"),
            {"object": f"issue/{told.issue}"},
        ).scalars()
        assert [action for action in actions if action.startswith("photo.")] == [
            "photo.release",
            "photo.cover",
            "photo.read",
        ]


def test_staff_add_photos_of_what_they_see_and_of_nothing_else(world: World, told: Told) -> None:
    worker = world.sign_in(login_of(Role.WORKER, HOME))
    photo = written(scene(), "JPEG")
    address = f"{API}/issues/{told.issue}/photos"
    for status in (201, 200):
        assert worker.post(address, params={"name": "w1"}, content=photo).status_code == status
    other = written(scene(90, 90), "PNG")
    assert worker.post(address, params={"name": "w1"}, content=other).status_code == 409
    with world.migrated.engine.connect() as seen:
        foreign = seen.scalar(
            text(
                "SELECT min(issue_id) FROM issue WHERE NOT 111 = ANY (array_remove(ARRAY[area_1,"
                " area_2, area_3, area_4], NULL)) AND city_id ="
                " (SELECT city_id FROM city WHERE slug = :slug)"
            ),
            {"slug": HOME},
        )
    strange = f"{API}/issues/{foreign}/photos"
    assert worker.post(strange, params={"name": "w1"}, content=photo).status_code == 404
    assert worker.get(strange).status_code == 404


def test_who_sees_the_same_says_so_once(
    world: World, reader: httpx.Client, told: Told, desk: httpx.Client
) -> None:
    say = {"client_id": str(uuid4())}
    assert reader.post(f"{told.address}/seconds", json=say).status_code == 404  # not shown yet
    accept(world, told)
    with owner_transaction(world.migrated.engine) as session:
        session.execute(text("UPDATE category SET shown = 'exact' WHERE category = 'C0101'"))
    lon, lat = told.place
    near = reader.get(f"{API}/nearby", params={"lon": lon, "lat": lat}).json()["items"]
    assert told.code in [one["code"] for one in near]
    for _ in range(2):
        assert reader.post(f"{told.address}/seconds", json=say).json() == {"seconds": 1}
    other = {"client_id": str(uuid4())}
    assert reader.post(f"{told.address}/seconds", json=other).json() == {"seconds": 2}
    assert desk.get(f"{API}/issues/{told.issue}/photos").json()["seconds"] == 2
    assert reader.post(f"{told.address}/seconds", json={"client_id": "short"}).status_code == 422


def test_few_photos_are_decoded_at_once_and_none_for_a_wrong_link(
    world: World, reader: httpx.Client, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "_PATIENCE_S", 0.01)
    with ExitStack() as taken:
        for _ in range(photos.AT_ONCE):
            taken.enter_context(photos._decoding())
        busy = hand(reader, told, "b1", with_secrets("JPEG"))
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "5")
        wrong = replace(told, secret="x" * 24)
        assert hand(reader, wrong, "b1", with_secrets("JPEG")).status_code == 404
    assert hand(reader, told, "b1", with_secrets("JPEG")).status_code == 201
