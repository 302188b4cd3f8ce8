"""A second person takes a plan to its net by API alone, as docs/plans.md says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from geo.store import publishing
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.cities import cell_at
from tests.conftest import MigratedDatabase

CITY = f"/api/v1/cities/{HOME}"


def redraw(client: Any, plan: str, op: str, **args: Any) -> None:
    """Redraw a plan on the versions of now."""
    listed = client.get(f"{plan}/grids").json()["items"]
    known = {str(one["grid"]): one["version"] for one in listed}
    done = client.post(f"{plan}/edits", json={"op": op, "args": args, "versions": known})
    assert done.status_code == 201, done.text


def test_a_second_person_does_the_whole_thing_by_api(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    second = own_world.sign_in(login_of(Role.ADMINISTRATOR, HOME))
    accounts = second.get(f"{CITY}/accounts").json()["items"]
    user = next(one["user"] for one in accounts if one["role"] == "administrator")
    plan = f"{CITY}/plans/{planner.post(f'{CITY}/plans', json={'name': '方案'}).json()['plan']}"
    members = {"members": [{"user": user, "rights": ["publish"]}]}
    assert planner.patch(plan, json=members).status_code == 204
    redraw(planner, plan, "merge", grids=[211, 212], into=212)

    # Posts of the grid that ends: what is proposed is taken.
    posts = planner.get(f"{plan}/posts").json()["items"]
    assert [(one["post"], one["proposed"], one["settled"]) for one in posts] == [(7, 212, False)]
    told = planner.put(f"{plan}/posts", json={"posts": [{"post": 7, "to_grid": 212}]})
    assert told.status_code == 204, told.text
    assert planner.post(f"{plan}/submit").json()["state"] == "submitted"

    # The second person looks, approves what was looked at, and asks for the publication.
    standing = second.get(f"{plan}/standing").json()
    assert (standing["state"], standing["unsettled_posts"]) == ("submitted", 0)
    content = standing["content"]
    assert planner.post(f"{plan}/approve", json={"content": content}).status_code == 403
    assert second.post(f"{plan}/approve", json={"content": "0" * 64}).status_code == 412
    assert second.post(f"{plan}/approve", json={"content": content}).status_code == 200
    wish = {"effective_from": "2099-01-01", "content": content}
    past = second.post(f"{plan}/publish", json={**wish, "effective_from": "2020-01-01"})
    assert (past.status_code, past.json()["field"]) == (422, "effective_from")
    asked = second.post(f"{plan}/publish", json=wish)
    assert asked.status_code == 202, asked.text
    again = second.post(f"{plan}/publish", json=wish)
    assert (again.status_code, again.json()["reason"]) == (409, "under_way")
    assert second.get(f"{plan}/standing").json()["publication"]["state"] == "queued"

    # The worker does it; the net is there, and not in force before its day.
    assert publishing.work(own_world.migrated.engine)
    done = second.get(f"{plan}/standing").json()
    assert (done["state"], done["publication"]["state"]) == ("published", "done")
    seq = done["publication"]["seq"]
    nets = {one["seq"]: one for one in second.get(f"{CITY}/nets").json()["items"]}
    assert not nets[seq]["live"]
    assert second.delete(plan).status_code in (403, 409)

    # A plan of the net before has to be rebased; an erratum; a cancelled net.
    wrong = {"grid": 213, "field": "name", "correct": "望潮小学网格", "reason": "错字"}
    assert planner.post(f"{CITY}/nets/1/errata", json=wrong).status_code == 201
    beside = own_world.client().get(f"{CITY}/nets/{seq}/errata").json()["items"]
    assert [one["correct"] for one in beside] == ["望潮小学网格"]
    stranger = own_world.client()
    shown = stranger.get(f"{CITY}/grids/213").json()
    assert [(one["stated"], one["correct"]) for one in shown["errata"]] == [
        (shown["name"], "望潮小学网格")
    ]
    assert stranger.get(f"{CITY}/grids/212").json()["errata"] == []
    told = {one["seq"]: one["errata"] for one in stranger.get(f"{CITY}/nets").json()["items"]}
    assert told == {1: 1, seq: 1}
    assert stranger.get(f"{CITY}/nets/99/errata").json()["code"] == "net_not_found"
    assert second.post(f"{plan}/cancel").json() == {"seq": seq}
    assert second.get(f"{plan}/standing").json()["state"] == "draft"


def test_the_command_line_publishes_in_the_names_of_two(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_city.app_url)
    monkeypatch.setenv("DATABASE_OWNER_URL", fresh_city.owner_url)
    monkeypatch.setenv("WANGGE_PROJECT_DIR", str(tmp_path))

    def type_in(who: str, *words: str) -> Any:
        done = CliRunner().invoke(app, ["plan", *words, "--as", who, "--json"])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout)

    plan = str(type_in("planner", "new", "--name", "方案甲")["plan"])
    with fresh_city.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE plan SET members = members || user_id, publishers = ARRAY[user_id]"
            " FROM user_account WHERE login = 'administrator'"
        )
    move = json.dumps({"cells": [cell_at(5, 1)], "into": 212})
    type_in("planner", "edit", plan, "move", "--args", move)
    assert type_in("planner", "posts", plan) == {"items": []}
    assert type_in("planner", "submit", plan)["state"] == "submitted"
    assert type_in("administrator", "approve", plan)["state"] == "approved"
    done = type_in("administrator", "publish", plan, "--on", "2099-01-01")
    assert (done["seq"], done["cells"], done["begun"]) == (2, 1, [])
    assert type_in("administrator", "activate")["begun"] == []
    assert type_in("administrator", "cancel", plan) == {"seq": 2}
    assert type_in("planner", "withdraw", plan)["state"] == "withdrawn"
