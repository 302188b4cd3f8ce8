"""The desk of addresses over the API: matched, decided, listed, taken back; by right."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from geo.terms import Role
from tests.api.conftest import HOME, World, login_of

BASE = f"/api/v1/cities/{HOME}/addresses"


def test_the_desk_from_text_to_decision_and_back(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))

    def match(*lines: str) -> Any:
        answer = planner.post(f"{BASE}/match", json={"lines": lines})
        assert answer.status_code == 200, answer.text
        return answer.json()

    found = match("松林路4号2单元301室张三", "松林路", "东门小卖部")
    assert found["counts"] == {"matched": 1, "several": 1, "none": 1}
    assert found["items"][0]["cut"] is True
    assert found["items"][0]["candidates"][0]["building"] == 4
    assert "张三" not in str(found)
    made = planner.post(BASE, json={"text": "东门小卖部 王某13800138000", "building": 7})
    assert made.status_code == 201, made.text
    assert made.json()["text"] == "东门小卖部"
    assert match("东门小卖部")["items"][0]["state"] == "matched"
    listed = planner.get(BASE, params={"decided": True}).json()["items"]
    assert [one["text"] for one in listed] == ["东门小卖部"]
    rows = list(
        csv.DictReader(io.StringIO(planner.get(BASE, params={"f": "csv", "q": "松林路"}).text[1:]))
    )
    assert rows and all("松林路" in row["text"] for row in rows)
    place = {"lon": made.json()["lon"], "lat": made.json()["lat"]}
    assert planner.post(BASE, json={"text": "老码头", **place}).status_code == 201
    number = made.json()["address"]
    assert planner.delete(f"{BASE}/{number}").status_code == 204
    assert planner.delete(f"{BASE}/{number}").status_code == 404
    assert planner.get(f"/addresses?city={HOME}&q=松林路4号").status_code == 200


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"text": "老码头"}, 422),
        ({"text": "老码头", "building": 7, "address": 4}, 422),
        ({"text": "老码头", "lon": 120.0}, 422),
        ({"text": "13800138000", "building": 7}, 422),
        ({"text": "老码头", "building": 99999}, 404),
        ({"text": "老码头", "lon": 0.0, "lat": 0.0}, 404),
        ({"text": "老码头", "building": 7, "colour": 1}, 422),
    ],
)
def test_what_cannot_be_decided(world: World, wish: dict[str, Any], status: int) -> None:
    planner = world.sign_in(login_of(Role.PLANNER, HOME))
    assert planner.post(BASE, json=wish).status_code == status


@pytest.mark.parametrize("role", [Role.WORKER, Role.LEADER])
def test_others_match_and_do_not_decide(world: World, role: Role) -> None:
    client = world.sign_in(login_of(role, HOME))
    body = {"lines": ["松林路4号"]}
    assert client.post(f"{BASE}/match", json=body).status_code == 200
    wish = {"text": "老码头", "building": 7}
    assert client.post(BASE, json=wish).status_code == 403
    assert "就是这里" not in client.get(f"/addresses?city={HOME}&lang=zh").text.split("strings")[0]
