"""The card at a door: open, light, in both languages, and no name without consent."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from geo.terms import Role
from tests.api.conftest import AWAY, HOME, World, login_of
from tests.api.matrix import learn

PAGE = {"Accept": "text/html"}


def code_of(world: World, grid: int) -> str:
    item = world.client().get(f"/api/v1/cities/{HOME}/grids/{grid}").json()
    return str(item["code"])


@pytest.mark.parametrize("form", ["", "/sheet"])
def test_a_door_tells_consented_names_alone_to_everybody(world: World, form: str) -> None:
    facts = learn(world.migrated.engine, HOME)
    hidden = {one.name for one in facts.workers.values() if not one.consents}
    shown = {one.name for one in facts.workers.values() if one.consents}
    told: set[str] = set()
    for reader in (world.client(), world.signed(login_of(Role.ADMINISTRATOR, HOME))):
        for grid in (111, 112, 11, 121, 211):
            path = f"/door/{code_of(world, grid)}{form}"
            answer = reader.get(path, params={"city": HOME}, headers=PAGE)
            assert answer.status_code == 200 and len(answer.content) < 100_000
            assert [name for name in hidden if name in answer.text] == []
            assert f"({AWAY})" not in answer.text
            told |= {name for name in shown if name in answer.text}
    assert told


def test_a_door_speaks_both_languages_and_has_a_code_to_scan(world: World) -> None:
    path = f"/door/{code_of(world, 111)}?city={HOME}"
    chinese = world.client(**{"Accept-Language": "zh"}).get(path, headers=PAGE).text
    english = world.client(**{"Accept-Language": "en"}).get(path, headers=PAGE).text
    assert "这里归谁管" in chinese and "Who is responsible here" in english
    sheet = world.client().get(path.replace("?", "/sheet?"), headers=PAGE).text
    assert "<svg" in sheet and f"/door/{code_of(world, 111)}?city={HOME}" in sheet
    assert " style=" not in sheet


def test_an_unknown_code_is_missing(world: World) -> None:
    assert world.client().get("/door/nowhere").status_code == 404
    assert world.client().get("/door/990101?city=nowhere").status_code == 404


def test_notices_count_for_a_place_and_all_below_and_end(own_world: World) -> None:
    world, now = own_world, datetime.now(UTC)
    community = world.sign_in(login_of(Role.COMMUNITY, HOME))
    base = f"/api/v1/cities/{HOME}/notices"

    def put(grid: int, title: str, begins_h: float, ends_h: float | None) -> int:
        ends = (now + timedelta(hours=ends_h)).isoformat() if ends_h is not None else None
        body = {
            "grid": grid, "kind": "water", "title": title, "ends_at": ends,
            "begins_at": (now + timedelta(hours=begins_h)).isoformat(),
        }  # fmt: skip
        answer = community.post(base, json=body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["notice"])

    put(11, "甲 现在停水", -1, 1)
    put(111, "乙 明天停水", 24, 30)
    put(112, "丙 隔壁停水", -1, None)
    put(111, "丁 已经结束", -3, -1)
    down = put(111, "戊 已经撤下", -1, 3)
    assert community.delete(f"{base}/{down}").status_code == 204
    assert community.delete(f"{base}/{down}").status_code == 404
    door = f"/door/{code_of(world, 111)}?city={HOME}"
    text = world.client().get(door, headers=PAGE).text
    assert re.findall("[甲乙丙丁戊] ", text) == ["甲 ", "乙 "]
    seen = world.client().get(base).json()["items"]
    assert {one["title"][0] for one in seen} == set("甲乙丙")
    late = {
        "kind": "power", "title": "改", "begins_at": now.isoformat(),
        "ends_at": (now - timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    assert community.patch(f"{base}/{seen[0]['notice']}", json=late).status_code == 422
    del late["ends_at"]
    assert community.patch(f"{base}/{seen[0]['notice']}", json=late).status_code == 204
