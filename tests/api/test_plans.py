"""Plans by program: two clients at one draft, what each is told, and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyproj import Transformer
from sqlalchemy import text
from typer.testing import CliRunner

from api.cli import app
from geo.errors import InvalidInputError, StaleEditError
from geo.store.drafts import asking
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.cities import CORNER, METRE_SRID, cell_at
from tests.conftest import MigratedDatabase

BACK = Transformer.from_crs(METRE_SRID, 4326, always_xy=True)
BASE = f"/api/v1/cities/{HOME}/plans"


def versions_of(client: Any, plan: int) -> dict[str, int]:
    """Return the versions of all grids of a plan."""
    listed = client.get(f"{BASE}/{plan}/grids").json()["items"]
    return {str(one["grid"]): one["version"] for one in listed}


def test_two_clients_redraw_one_draft(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    other = own_world.sign_in(login_of(Role.ADMINISTRATOR, HOME))
    made = planner.post(BASE, json={"name": "方案甲"})
    assert made.status_code == 201, made.text
    plan = made.json()["plan"]
    at = f"{BASE}/{plan}"
    assert other.get(at).status_code == 404
    user = other.get("/api/v1/session").json()
    listed = other.get(f"/api/v1/cities/{HOME}/accounts").json()["items"]
    number = next(one["user"] for one in listed if one["role"] == "administrator")
    assert user["role"] == "administrator"
    members = [{"user": number, "rights": ["draw"]}]
    assert planner.patch(at, json={"members": members}).status_code == 204
    seen = versions_of(other, plan)
    cells = [cell_at(5, 1)]
    edit = {"op": "move", "args": {"cells": cells, "into": 212}}
    missing = planner.post(f"{at}/edits", json=edit)
    assert (missing.status_code, missing.json()["code"]) == (428, "version_missing")
    assert set(missing.json()["missing"]) == {"211", "212"}
    done = planner.post(f"{at}/edits", json={**edit, "versions": seen})
    assert done.status_code == 201, done.text
    assert done.json()["touched"] == {"211": 1, "212": 1}
    late = {"op": "rename", "args": {"grid": 212, "name": "二"}, "versions": seen}
    stale = other.post(f"{at}/edits", json=late)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_edit")
    newer = stale.json()["newer"]
    assert newer["212"]["version"] == 1
    again = {**late, "versions": {grid: one["version"] for grid, one in newer.items()}}
    assert other.post(f"{at}/edits", json=again).status_code == 201
    refused = planner.post(f"{at}/undo")
    assert (refused.status_code, refused.json()["by"]) == (409, 2)
    assert other.post(f"{at}/undo").status_code == 201
    assert planner.post(f"{at}/undo").status_code == 201
    assert planner.get(f"{at}/cells").json() == {"grids": {}}
    assert [one["op"] for one in planner.get(f"{at}/edits").json()["items"]] == [
        "move", "rename", "undo", "undo",
    ]  # fmt: skip


def test_a_broken_rule_is_told_with_its_place(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    plan = planner.post(BASE, json={"name": "方案甲"}).json()["plan"]
    at, known = f"{BASE}/{plan}", versions_of(planner, plan)
    cells = [cell_at(3, 2), cell_at(4, 2)]
    edit = {"op": "move", "args": {"cells": cells, "into": 211}, "versions": known}
    told = planner.post(f"{at}/edits", json=edit)
    assert (told.status_code, told.json()["code"]) == (422, "plan_rule")
    fault = told.json()["faults"][0]
    assert (fault["rule"], fault["grid"]) == ("torn", 121)
    for language, words in (("zh", "121 号网格将分成 2 片"), ("en", "The grid 121 would lie in 2")):
        in_words = planner.post(f"{at}/edits", json=edit, headers={"Accept-Language": language})
        assert words in in_words.json()["detail"]
        assert words in in_words.json()["faults"][0]["message"]
    lon, lat = fault["place"]["coordinates"][0][0][:2]
    assert 100 < lon < 140
    assert 20 < lat < 50
    card = planner.get(f"{at}/grids", params={"grid": 121}).json()["items"]
    assert [one["grid"] for one in card] == [121]
    assert card[0]["geometry"]["type"] in ("Polygon", "MultiPolygon")
    sound = planner.get(f"{at}/check").json()
    assert (sound["ok"], sound["faults"], sound["cells"]) == (True, [], 40)
    ended = text("UPDATE plan_grid SET ended = NOT ended WHERE plan_id = :plan AND grid_id = 121")
    with own_world.migrated.engine.begin() as connection:
        connection.execute(ended, {"plan": plan})
    for language, words in (("zh", "121 号网格含有地块，但不在方案中"), ("en", "grid 121 holds")):
        broken = planner.get(f"{at}/check", headers={"Accept-Language": language}).json()
        assert not broken["ok"]
        assert words in broken["faults"][0]
    with own_world.migrated.engine.begin() as connection:
        connection.execute(ended, {"plan": plan})
    wrong = planner.post(f"{at}/edits", json={**edit, "op": "fly"})
    assert wrong.status_code == 422
    went = planner.post(f"{at}/return", json={"to": 0})
    assert went.status_code == 428
    for role in (Role.LEADER, Role.COMMUNITY):
        stranger = own_world.sign_in(login_of(role, HOME))
        assert stranger.post(BASE, json={"name": "x"}).status_code == 403
        assert stranger.post(f"{at}/undo").status_code == 404
    assert planner.delete(at).status_code == 204
    assert planner.get(at).status_code == 404


WRONG: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("edits", {"op": "rename", "args": {"grid": 9, "name": "x"}}, 422, "没有 9 号网格", "grid 9"),
    ("edits", {"op": "move", "args": {"cells": [1], "into": 212, "z": 1}}, 422, "“z”", "no 'z'"),
    ("edits", {"op": "move", "args": {"cells": [10**9], "into": 212}}, 422, "地块", "1000000000"),
    ("edits", {"op": "move", "args": {"cells": [1], "into": 21}}, 422, "下级网格", "further"),
    ("edits", {"op": "rename", "args": {"grid": 211, "name": "x"}}, 428, "版本号", "versions"),
    ("edits", {"op": "split_by_line", "args": {"grid": 211, "line": {"type": "Blob"}}}, 422,
     "LineString", "LineString"),
    ("edits", {"op": "move", "args": {"within": {"type": "Blob"}, "into": 212}}, 422,
     "Polygon", "Polygon"),
    ("undo", {}, 409, "没有可撤销", "no edit of yours"),
    ("return", {"to": 0, "last": 7}, 412, "不是第 7 次", "not 7"),
    ("publish", {"effective_from": "2027-01-01", "content": "0" * 64}, 403, "发布的权限",
     "without the right to publish"),
    ("rebase", {}, 409, "为底", "already"),
    ("comments", {"text": "x", "answers": 9}, 404, "第 9 条意见", "no comment 9"),
    ("locks", {"grids": [9]}, 404, "没有 9 号网格", "no grid 9"),
]  # fmt: skip


def test_what_is_wrong_is_said_in_both_languages(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    at = f"{BASE}/{planner.post(BASE, json={'name': '方案甲'}).json()['plan']}"
    for way, body, status, *words in WRONG:
        for language, word in zip(("zh", "en"), words, strict=True):
            sent = {"Accept-Language": language}
            told = planner.post(f"{at}/{way}", json=body, headers=sent)
            assert told.headers["content-type"] == "application/problem+json"
            assert told.status_code == status, told.text
            assert word in told.json()["detail"], told.text
            chinese = any("\u4e00" <= letter <= "\u9fff" for letter in told.json()["detail"])
            assert chinese == (language == "zh")


def test_the_command_line_redraws_in_the_name_of_an_account(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_city.app_url)
    monkeypatch.setenv("DATABASE_OWNER_URL", fresh_city.owner_url)
    monkeypatch.setenv("WANGGE_PROJECT_DIR", str(tmp_path))

    def type_in(*words: str) -> Any:
        done = CliRunner().invoke(app, ["plan", *words, "--as", "planner", "--json"])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout)

    plan = str(type_in("new", "--name", "方案甲")["plan"])
    assert [one["name"] for one in type_in("list")["plans"]] == ["方案甲"]
    move = json.dumps({"cells": [cell_at(5, 1)], "into": 212})
    with pytest.raises(StaleEditError):
        type_in("edit", plan, "move", "--args", move, "--versions", '{"211": 7, "212": 0}')
    with pytest.raises(InvalidInputError):
        type_in("edit", plan, "move", "--args", "[]")
    assert type_in("edit", plan, "move", "--args", move)["touched"] == {"211": 1, "212": 1}
    assert type_in("check", plan)["ok"]
    assert type_in("undo", plan)["n"] == 2
    assert type_in("show", plan)["cells_changed"] == 0


def test_what_cuts_cells_is_asked_of_the_worker(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    other = own_world.sign_in(login_of(Role.ADMINISTRATOR, HOME))
    made = planner.post(BASE, json={"name": "方案甲"}).json()["plan"]
    at = f"{BASE}/{made}"
    line = {
        "type": "LineString",
        "coordinates": [
            list(BACK.transform(CORNER[0] + x, CORNER[1] + y)) for x, y in ((490, 140), (810, 150))
        ],
    }
    edit = {
        "op": "drag", "args": {"grids": [211, 212], "line": line, "exact": True},
        "versions": {"211": 0, "212": 0},
    }  # fmt: skip
    asked = planner.post(f"{at}/edits", json=edit)
    assert asked.status_code == 202, asked.text
    task = f"{at}/tasks/{asked.json()['task']}"
    assert planner.get(task).json()["state"] == "queued"
    assert other.get(task).status_code == 404
    assert planner.get(f"{at}/tasks/999999").status_code == 404
    assert asking.work(own_world.migrated.engine)
    done = planner.get(task).json()
    assert (done["state"], done["error"], done["answer"]["cut"]) == ("done", None, 1)
    assert done["answer"]["touched"] == {"211": 1, "212": 1}
    back = planner.post(f"{at}/undo")
    assert back.status_code == 202, back.text
    assert asking.work(own_world.migrated.engine)
    assert planner.get(f"{at}/tasks/{back.json()['task']}").json()["answer"]["cut"] == 1
    assert planner.get(f"{at}/cells").json() == {"grids": {}}
    by_cells = {
        **edit,
        "args": {**edit["args"], "exact": False},
        "versions": versions_of(planner, made),
    }
    assert planner.post(f"{at}/edits", json=by_cells).status_code == 201
    wrong = {**edit, "op": "divide", "args": {"grid": 211, "n": 1}}
    assert planner.post(f"{at}/edits", json=wrong).status_code == 422


def test_what_the_worker_could_not_do_is_told_in_the_readers_language(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    at = f"{BASE}/{planner.post(BASE, json={'name': '方案甲'}).json()['plan']}"
    # Who names members only does not give the own right to cut away.
    assert planner.patch(at, json={"members": []}).status_code == 204
    far = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    edit = {
        "op": "split_by_line", "args": {"grid": 213, "line": far, "exact": True},
        "versions": {"213": 0},
    }  # fmt: skip
    task = f"{at}/tasks/{planner.post(f'{at}/edits', json=edit).json()['task']}"
    assert asking.work(own_world.migrated.engine)
    told = {
        language: planner.get(task, headers={"Accept-Language": language}).json()["error"]
        for language in ("zh", "en")
    }
    assert {one["field"] for one in told.values()} == {"line"}
    assert told["en"]["message"].isascii()
    assert told["zh"]["message"] == "这条线没有把网格分开。"


def test_a_range_that_the_scheme_does_not_keep_is_refused_at_once(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    at = f"{BASE}/{planner.post(BASE, json={'name': '方案甲'}).json()['plan']}"
    edit = {"op": "recode", "args": {"grid": 11, "code_range": "nix"}, "versions": {"11": 0}}
    told = planner.post(f"{at}/edits", json=edit).json()
    assert (told["code"], told["field"], told["ranges"]) == (
        "invalid_input", "code_range", ["default"],
    )  # fmt: skip
    assert told["detail"] == "没有编码区段“nix”；可用的有：default。"
