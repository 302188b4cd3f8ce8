"""Alarms of things: signed, once, bounded, at the thing's place, and never about persons."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from geo.db import owner_transaction
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, World, login_of

API = f"/api/v1/cities/{HOME}"
KIND = "C0102"


@pytest.fixture(scope="module")
def keeper(module_world: World) -> httpx.Client:
    return module_world.signed(login_of(Role.ADMINISTRATOR, HOME))


@pytest.fixture(scope="module")
def place(module_world: World) -> tuple[float, float]:
    with owner_transaction(module_world.migrated.engine) as session:
        row = session.execute(
            text("SELECT ST_X(label_point), ST_Y(label_point) FROM net_grid JOIN city"
                 " USING (city_id) WHERE slug = :slug AND grid_id = 1111"), {"slug": HOME},
        ).one()  # fmt: skip
    return float(row[0]), float(row[1])


def _device(keeper: httpx.Client, place: tuple[float, float], **more: Any) -> dict[str, Any]:
    wish = {"name": "东门井盖", "kind": "manhole", "category": KIND}
    wish |= {"lon": place[0], "lat": place[1], **more}
    answer = keeper.post(f"{API}/devices", json=wish)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _send(
    world: World,
    device: Mapping[str, Any],
    alarm: Mapping[str, Any],
    *,
    api: str = API,
    key: str | None = None,
    stamp: int | None = None,
) -> httpx.Response:
    body = json.dumps(alarm).encode()
    at = int(time.time()) if stamp is None else stamp
    secret = bytes.fromhex(key or device["secret"])
    signed = hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    head = {"Wangge-Timestamp": str(at), "Wangge-Signature": f"sha256={signed}"}
    return world.client().post(f"{api}/alarms/{device['code']}", content=body, headers=head)


def test_an_alarm_becomes_an_issue_at_the_things_place_once(
    module_world: World, keeper: httpx.Client, place: tuple[float, float]
) -> None:
    device = _device(keeper, place)
    alarm = {"alarm": "a-1", "value": 35.5, "unit": "°", "words": "井盖倾斜"}
    first = _send(module_world, device, alarm)
    assert first.status_code == 201, first.text
    again = _send(module_world, device, alarm)
    assert (again.status_code, again.json()) == (200, first.json() | {"created": False})
    assert _send(module_world, device, {**alarm, "value": 1}).status_code == 409
    later = _send(module_world, device, {"alarm": "a-2"})
    assert (later.status_code, later.json()["issue"]) == (200, first.json()["issue"])

    case = keeper.get(f"{API}/issues/{first.json()['issue']}/case").json()
    assert (case["channel"], case["category"]) == ("device", KIND)
    assert case["words"] == "东门井盖: 井盖倾斜 35.5°"
    assert (case["lon"], case["lat"]) == pytest.approx(place)
    told = keeper.get(f"{API}/devices/{device['device']}/alarms").json()["items"]
    assert [(one["alarm"], one["issue"]) for one in told] == [
        ("a-2", case["issue"]), ("a-1", case["issue"]),
    ]  # fmt: skip
    done = {"act": "void", "reason": "测试"}
    assert keeper.post(f"{API}/issues/{case['issue']}/acts", json=done).status_code == 200
    new = _send(module_world, device, {"alarm": "a-3"})
    assert new.status_code == 201
    assert new.json()["issue"] != case["issue"]


def test_what_is_not_signed_or_old_is_refused_alike(
    module_world: World, keeper: httpx.Client, place: tuple[float, float]
) -> None:
    device = _device(keeper, place)
    alarm = {"alarm": "b-1"}
    wrong = _send(module_world, device, alarm, key="00" * 32)
    unknown = _send(module_world, {**device, "code": "ABCDEFGHJK"}, alarm)
    away = _send(module_world, device, alarm, api=f"/api/v1/cities/{AWAY}")
    told = {(x.status_code, x.json()["code"], x.json()["detail"]) for x in (wrong, unknown, away)}
    assert len(told) == 1
    assert wrong.status_code == 401
    for off in (-301, 301):
        late = _send(module_world, device, alarm, stamp=int(time.time()) + off)
        assert (late.status_code, late.json()["reason"]) == (401, "stale")
    change = keeper.patch(f"{API}/devices/{device['device']}", json={"new_key": True})
    assert _send(module_world, device, alarm).status_code == 401
    key = change.json()["secret"]
    assert _send(module_world, device, alarm, key=key).status_code == 201
    keeper.patch(f"{API}/devices/{device['device']}", json={"enabled": False})
    assert _send(module_world, device, {"alarm": "b-2"}, key=key).status_code == 401


def test_a_device_that_tells_too_often_waits(
    module_world: World, keeper: httpx.Client, place: tuple[float, float]
) -> None:
    device = _device(keeper, place)
    codes = [_send(module_world, device, {"alarm": f"c-{n}"}).status_code for n in range(62)]
    assert codes == [201, *[200] * 59, 429, 429]


@pytest.mark.parametrize(
    ("alarm", "field"),
    [
        ({"alarm": "d", "words": "联系 13812345678"}, "words"),
        ({"alarm": "d", "words": "11010519491231002X"}, "words"),
        ({"alarm": "d", "who": "x"}, "who"),
        ({"alarm": "d d"}, "alarm"),
        ({"value": 3}, "alarm"),
    ],
)
def test_what_is_personal_or_unknown_is_no_alarm(
    module_world: World,
    keeper: httpx.Client,
    place: tuple[float, float],
    alarm: dict[str, Any],
    field: str,
) -> None:
    answer = _send(module_world, _device(keeper, place), alarm)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_the_list_is_of_things_of_ones_own_areas(
    module_world: World, keeper: httpx.Client, place: tuple[float, float]
) -> None:
    wish = {"kind": "manhole", "category": KIND, "lon": place[0], "lat": place[1]}
    persons = keeper.post(f"{API}/devices", json={**wish, "name": "重点人员家门"})
    assert (persons.status_code, persons.json()["reason"]) == (422, "about_persons")
    face = keeper.post(f"{API}/devices", json={**wish, "name": "x", "kind": "camera"})
    assert face.status_code == 422
    made = _device(keeper, place, name="只看自己")
    worker = module_world.signed(login_of(Role.WORKER, HOME))
    department = module_world.signed(login_of(Role.DEPARTMENT, HOME))
    own = [one["device"] for one in worker.get(f"{API}/devices").json()["items"]]
    assert made["device"] in own
    assert department.get(f"{API}/devices").json()["items"] == []
    gone = department.get(f"{API}/devices/{made['device']}/alarms")
    assert gone.status_code == 404
    page = keeper.get("/issues/devices", params={"city": HOME, "device": made["device"]})
    assert "只看自己" in page.text
    with owner_transaction(module_world.migrated.engine) as session:
        keys = session.scalars(text("SELECT encode(secret, 'hex') FROM device_key")).all()
        logged = session.scalars(text("SELECT payload::text FROM audit")).all()
    assert made["secret"] in keys
    assert not any(key in line for key in keys for line in logged)
    assert not any(key in page.text for key in keys)


def test_the_page_puts_a_thing_on_the_list(
    module_world: World, keeper: httpx.Client, place: tuple[float, float]
) -> None:
    form = {
        "csrf_token": keeper.headers["X-CSRF-Token"], "do": "device.add", "name": "西门积水",
        "kind": "water", "category": KIND, "lon": str(place[0]), "lat": str(place[1]),
    }  # fmt: skip
    done = keeper.post("/issues/devices", params={"city": HOME}, data=form)
    assert done.status_code == 200
    assert f"{API}/alarms/" in done.text
    wrong = keeper.post("/issues/devices", params={"city": HOME}, data={**form, "lon": "0"})
    assert wrong.status_code == 422


def test_what_is_in_alarm_stands_first_and_is_found(
    module_world: World, keeper: httpx.Client, place: tuple[float, float]
) -> None:
    told, quiet = _device(keeper, place, name="南桥积水"), _device(keeper, place, name="北桥积水")
    issue = _send(module_world, told, {"alarm": "bridge"}).json()["issue"]
    items = keeper.get(f"{API}/devices").json()["items"]
    still = {one["device"]: one["open_issue"] for one in items}
    assert (still[told["device"]], still[quiet["device"]]) == (issue, None)
    order = [one["open_issue"] is None for one in items]
    assert order == sorted(order)
    for narrow, shown in (({"state": "telling"}, "南桥积水"), ({"state": "quiet"}, "北桥积水")):
        page = keeper.get("/issues/devices", params={"city": HOME, "q": "桥", **narrow})
        names = [name for name in ("南桥积水", "北桥积水") if f">{name}</a>" in page.text]
        assert (page.status_code, names) == (200, [shown])
    with owner_transaction(module_world.migrated.engine) as session:
        session.execute(text("UPDATE issue SET state = 'closed' WHERE issue_id = :n"), {"n": issue})
    items = keeper.get(f"{API}/devices").json()["items"]
    assert {one["device"]: one["open_issue"] for one in items}[told["device"]] is None
