"""Two clients at one plan: comments, kept grids, areas, and the events that tell of them."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api import streams
from api.cli import app
from geo import service
from geo.db import owner_transaction
from geo.errors import GridNotFoundError
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.api.test_plans import BASE, versions_of
from tests.cities import cell_at
from tests.conftest import MigratedDatabase

LONGEST_S = 20.0


@pytest.fixture(autouse=True)
def quick_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server find soon who is gone."""
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.2)


class Follower(threading.Thread):
    """A client that follows events; `next` waits for the next one of a name."""

    def __init__(self, client: httpx.Client, url: str, **headers: str) -> None:
        super().__init__(daemon=True)
        self._client, self._url, self._headers = client, url, headers
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.status = 0
        self.ended_at = 0.0

    def run(self) -> None:
        """Read until the server hangs up or the test is over."""
        try:
            with self._client.stream("GET", self._url, headers=self._headers) as answer:
                self.status = answer.status_code
                told: dict[str, Any] = {}
                for line in answer.iter_lines():
                    if not line:
                        if "event" in told:
                            self.events.put(told)
                        told = {}
                    elif not line.startswith(":"):
                        name, _, value = line.partition(": ")
                        told[name] = json.loads(value) if name == "data" else value
        except httpx.TransportError:
            pass
        self.ended_at = time.monotonic()

    def next(self, name: str) -> dict[str, Any]:
        """Return the next event of a name; others are passed over."""
        until = time.monotonic() + LONGEST_S
        while True:
            told = self.events.get(timeout=max(0.01, until - time.monotonic()))
            if told["event"] == name:
                return told


@contextmanager
def following(world: World, login: str, url: str, **headers: str) -> Iterator[Follower]:
    """Follow events as an account, with a connection of its own."""
    client = world.sign_in(login)
    follower = Follower(client, url, **headers)
    follower.start()
    yield follower
    client.close()
    follower.join(LONGEST_S)


def shared_plan(world: World) -> tuple[httpx.Client, httpx.Client, str, int]:
    """Return planner, administrator, address of a plan of both, and the administrator's number."""
    planner = world.sign_in(login_of(Role.PLANNER, HOME))
    other = world.sign_in(login_of(Role.ADMINISTRATOR, HOME))
    at = f"{BASE}/{planner.post(BASE, json={'name': '方案甲'}).json()['plan']}"
    listed = other.get(f"/api/v1/cities/{HOME}/accounts").json()["items"]
    user = next(one["user"] for one in listed if one["role"] == "administrator")
    told = planner.patch(at, json={"members": [{"user": user, "rights": ["draw"]}]})
    assert told.status_code == 204, told.text
    return planner, other, at, user


def move(client: httpx.Client, at: str, **args: Any) -> httpx.Response:
    plan = int(at.rpartition("/")[2])
    wanted = {"cells": [cell_at(5, 1)], "into": 212} | args
    edit = {"op": "move", "args": wanted, "versions": versions_of(client, plan)}
    return client.post(f"{at}/edits", json=edit)


def test_two_members_talk_keep_and_redraw(own_world: World) -> None:
    planner, other, at, user = shared_plan(own_world)
    stranger = own_world.sign_in(login_of(Role.LEADER, HOME))
    said = {"text": "<b>这里？</b>", "grid": 211,
            "place": {"type": "Point", "coordinates": [120.1, 37.2]}}  # fmt: skip
    assert stranger.post(f"{at}/comments", json=said).status_code == 404
    assert planner.post(f"{at}/comments", json=said).json() == {"comment": 1}
    answer = {"text": "好", "answers": 1}
    assert other.post(f"{at}/comments", json=answer).status_code == 201
    assert planner.post(f"{at}/comments", json={**answer, "answers": 9}).status_code == 404
    assert planner.post(f"{at}/comments", json={"text": "x" * 2001}).status_code == 422
    far = {"text": "x", "place": {"type": "Point", "coordinates": [500, 0]}}
    assert planner.post(f"{at}/comments", json=far).status_code == 422
    assert other.patch(f"{at}/comments/1", json={"resolved": True}).status_code == 204
    first = planner.get(f"{at}/comments").json()["items"][0]
    assert (first["text"], first["resolved_by"]) == (said["text"], user)
    assert first["place"] == said["place"]
    kept = other.post(f"{at}/locks", json={"grids": [211]})
    assert (kept.status_code, kept.json()) == (200, {"grids": [211]})
    refused = move(planner, at)
    assert (refused.status_code, refused.json()["code"]) == (423, "grid_locked")
    assert (refused.json()["grid"], refused.json()["locked_by"]) == (211, user)
    listed = planner.get(f"{at}/locks").json()["items"]
    assert [(one["grid"], one["user"]) for one in listed] == [(211, user)]
    assert planner.post(f"{at}/locks", json={"grids": [212]}).status_code == 200
    assert other.post(f"{at}/unlock", json={"grids": [212]}).status_code == 403
    assert planner.post(f"{at}/unlock", json={"grids": [211]}).json() == {"grids": [211]}
    assert move(planner, at).status_code == 201


def test_a_brush_is_tried_before_it_is_used(own_world: World) -> None:
    planner, _, at, _ = shared_plan(own_world)
    grid = planner.get(f"{at}/grids", params={"grid": 211}).json()["items"][0]["geometry"]
    picked = planner.post(f"{at}/pick", json={"within": grid})
    assert picked.json()["grids"] == {
        "211": sorted(cell_at(x, y) for x in (5, 6, 7) for y in (0, 1))
    }
    assert picked.json()["versions"] == {"211": 0}
    assert planner.post(f"{at}/pick", json={}).status_code == 422
    with own_world.migrated.engine.connect() as connection:
        lon, lat = connection.execute(
            text("SELECT ST_X(ST_Centroid(geom)), ST_Y(ST_Centroid(geom)) FROM cell"
                 " WHERE cell_id = :cell LIMIT 1"),
            {"cell": cell_at(5, 1)},
        ).one()  # fmt: skip
    stroke = {"along": {"type": "Point", "coordinates": [lon, lat]}, "radius_m": 5, "into": 212}
    edit = {"op": "move", "args": stroke, "versions": {}}
    missing = planner.post(f"{at}/edits", json=edit)
    assert set(missing.json()["missing"]) == {"211", "212"}
    done = planner.post(f"{at}/edits", json={**edit, "versions": {"211": 0, "212": 0}})
    assert (done.status_code, done.json()["cells"]) == (201, 1)


def test_what_one_does_is_told_to_the_other(own_world: World) -> None:
    planner, _, at, _ = shared_plan(own_world)
    plan = int(at.rpartition("/")[2])
    admin = login_of(Role.ADMINISTRATOR, HOME)
    with (
        following(own_world, admin, f"{at}/events") as news,
        following(own_world, admin, f"/api/v1/cities/{HOME}/events") as city,
    ):
        begun = news.next("plan")["data"]
        assert (begun["plan"], begun["state"], begun["last_edit"]) == (plan, "draft", 0)
        assert news.next("comments")["data"] == {"count": 0, "resolved": 0}
        assert news.next("locks")["data"] == []
        assert city.next("plans")["data"][0]["last_edit"] == 0
        assert city.next("nets")["data"][0]["seq"] == 1
        sent = time.monotonic()
        assert move(planner, at).status_code == 201
        told = news.next("edit")
        assert time.monotonic() - sent < 2
        assert told["id"] == "1"
        assert (told["data"]["op"], told["data"]["touched"]) == ("move", {"211": 1, "212": 1})
        assert city.next("plans")["data"][0]["last_edit"] == 1
        planner.post(f"{at}/comments", json={"text": "看这里"})
        assert news.next("comments")["data"] == {"count": 1, "resolved": 0}
        planner.post(f"{at}/locks", json={"grids": [213]})
        assert [one["grid"] for one in news.next("locks")["data"]] == [213]
        planner.patch(at, json={"name": "方案乙"})
        assert news.next("plan")["data"]["name"] == "方案乙"
        planner.post(f"{at}/undo")
        assert news.next("edit")["data"]["undoes"] == 1
        assert own_world.app.state.streams.streams == 2
        planner.patch(at, json={"members": []})
        news.next("over")
        while city.next("plans")["data"]:
            pass
    waited = time.monotonic() + LONGEST_S
    while own_world.app.state.streams.streams and time.monotonic() < waited:
        time.sleep(0.05)
    assert own_world.app.state.streams.streams == 0
    assert own_world.app.state.streams._task is None


def test_edits_that_were_missed_are_told_again(own_world: World) -> None:
    planner, _, at, _ = shared_plan(own_world)
    for name in "甲乙丙":
        edit = {"op": "rename", "args": {"grid": 211, "name": name}}
        versions = versions_of(planner, int(at.rpartition("/")[2]))
        assert planner.post(f"{at}/edits", json={**edit, "versions": versions}).status_code == 201

    def numbers(**how: Any) -> list[str]:
        told = planner.get(f"{at}/events", **how)
        assert told.headers["content-type"].startswith("text/event-stream")
        return [line[4:] for line in told.text.splitlines() if line.startswith("id: ")]

    assert numbers(params={"follow": "false"}) == []
    assert numbers(params={"follow": "false", "since": 1}) == ["2", "3"]
    last = {"Last-Event-ID": "2"}
    assert numbers(params={"follow": "false", "since": 0}, headers=last) == ["3"]
    assert numbers(params={"follow": "false", "since": 0}) == ["1", "2", "3"]
    headers = planner.head(f"{at}/events")
    assert (headers.status_code, headers.content) == (200, b"")


def test_a_session_that_ends_hears_nothing_more(own_world: World) -> None:
    planner, _, at, _ = shared_plan(own_world)
    login = login_of(Role.PLANNER, HOME)
    with following(own_world, login, f"{at}/events") as news:
        news.next("locks")
        began = time.monotonic()
        with owner_transaction(own_world.migrated.engine) as session:
            service.disable_account(session, login)
        news.join(LONGEST_S)
        assert news.ended_at - began < 1.0
    assert planner.get(f"{at}/events").status_code == 401


def test_an_account_has_only_so_many_streams(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_OF_ACCOUNT", 1)
    planner, _, at, _ = shared_plan(own_world)
    with following(own_world, login_of(Role.PLANNER, HOME), f"{at}/events") as news:
        news.next("locks")
        refused = planner.get(f"{at}/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
        assert refused.headers["retry-after"]
    waited = time.monotonic() + LONGEST_S
    while own_world.app.state.streams.streams and time.monotonic() < waited:
        time.sleep(0.05)
    assert planner.get(f"{at}/events", params={"follow": "false"}).status_code == 200


def test_streams_outlive_a_connection_that_breaks(own_world: World) -> None:
    planner, _, at, _ = shared_plan(own_world)
    with following(own_world, login_of(Role.ADMINISTRATOR, HOME), f"{at}/events") as news:
        news.next("locks")
        ended: list[Any] = []
        patience = time.monotonic() + 20
        while not ended and time.monotonic() < patience:  # the state was told before it listens
            with own_world.database.engine.begin() as connection:
                ended = connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
                    )
                ).all()
            time.sleep(0.1)
        assert len(ended) == 1, "one connection listens for all streams"
        assert move(planner, at).status_code == 201
        assert news.next("edit")["id"] == "1"


def test_notices_wake_whom_they_concern() -> None:
    def woken(notice: dict[str, Any]) -> list[int]:
        async def asked() -> list[int]:
            hub = streams.Hub(None)  # type: ignore[arg-type]
            kinds = [(1, 7, 3), (1, 8, None), (2, 7, 3)]
            waiting = [streams.Listener(*one) for one in kinds]
            hub._listeners.update(waiting)
            hub._wake(notice)
            return [place for place, one in enumerate(waiting) if one.woken.is_set()]

        return asyncio.run(asked())

    assert woken({"kind": "plan", "city": 1, "plan": 3}) == [0, 1]
    assert woken({"kind": "plan", "city": 1, "plan": 4}) == [1]
    assert woken({"kind": "net", "city": 1, "plan": None}) == [1]
    assert woken({"kind": "account", "city": 1, "user": 7}) == [0]


def test_members_talk_and_keep_grids_on_the_command_line(
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
    assert type_in("comment", plan, "这里？", "--grid", "211") == {"comment": 1}
    assert type_in("comment", plan, "好", "--answers", "1") == {"comment": 2}
    assert type_in("resolve", plan, "1") == {"comment": 1, "resolved": True}
    listed = type_in("comments", plan)["items"]
    assert [(one["text"], one["resolved_name"]) for one in listed] == [
        ("这里？", "演示规划员"), ("好", None),
    ]  # fmt: skip
    assert type_in("lock", plan, "211", "212") == {"grids": [211, 212]}
    assert [one["user_name"] for one in type_in("locks", plan)["items"]] == ["演示规划员"] * 2
    assert type_in("unlock", plan, "211") == {"grids": [211]}
    with pytest.raises(GridNotFoundError):
        type_in("lock", plan, "999999")
