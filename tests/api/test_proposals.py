"""Proposals by program: asked for, told, cancelled, taken up again, looked at, adopted, undone."""

from __future__ import annotations

import csv
import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import shapely
from sqlalchemy import text

from geo.db import owner_transaction
from geo.store import jobs
from geo.store.drafts import asking
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.api.test_plans import BACK, versions_of
from tests.cities import CORNER, SIDE_M, cell_at, square

BASE = f"/api/v1/cities/{HOME}/plans"
EVENLY: Any = {
    "grids": [111, 112, 121], "measures": [{"measure": "households", "target": 60}], "seed": 3,
}  # fmt: skip
LONGEST_S = 90.0


@pytest.fixture
def planner(module_world: World) -> httpx.Client:
    return module_world.signed(login_of(Role.PLANNER, HOME))


def opened(client: httpx.Client, **more: Any) -> str:
    made = client.post(BASE, json={"name": "方案甲", **more})
    assert made.status_code == 201, made.text
    return f"{BASE}/{made.json()['plan']}"


def asked(client: httpx.Client, at: str, kind: str = "division", **wish: Any) -> str:
    sent = client.post(f"{at}/proposals/{kind}", json=wish or EVENLY)
    assert sent.status_code == 202, sent.text
    return f"{at}/proposals/{sent.json()['proposal']}"


def worked_out(world: World, client: httpx.Client, proposal: str) -> dict[str, Any]:
    assert asking.work(world.migrated.engine)
    card = client.get(proposal).json()
    assert card["state"] == "done", card["error"]
    return dict(card)


def test_grids_are_divided_as_proposed_and_the_edit_can_be_undone(
    module_world: World, planner: httpx.Client
) -> None:
    at = opened(planner)
    before = versions_of(planner, int(at.rpartition("/")[2]))
    proposal = asked(planner, at)
    assert planner.get(proposal).json()["state"] == "queued"
    assert planner.post(f"{at}/proposals/division", json=EVENLY).status_code == 409
    card = worked_out(module_world, planner, proposal)
    figures = card["figures"]
    assert (figures["contiguity_violations"], figures["coverage_valid"]) == (0, True)
    assert figures["area_difference_m2"] < 1e-6 and figures["pieces_under_1_m2"] == 0
    assert figures["units"] == len(card["parts"]) == figures["kept"] + figures["new"]
    assert 0 < figures["within_tolerance"] <= 1 and figures["cut_km"] > 0
    assert all(part["said"] and part["rule"] for part in card["parts"])
    assert card["adoptable"] and card["adopted_by"] is None, card["faults"]
    shapes = planner.get(f"{proposal}/shapes").json()["features"]
    assert len(shapes) == figures["units"]
    ground = shapely.union_all([shapely.geometry.shape(one["geometry"]) for one in shapes])
    assert shapely.is_valid(ground) and ground.area > 0
    # Nothing has changed so far; then one edit does, and takes all of it back again.
    assert planner.get(f"{at}/cells").json() == {"grids": {}}
    done = planner.post(f"{proposal}/adopt")
    assert done.status_code == 201, done.text
    assert done.json()["n"] == 1 and len(done.json()["new"]) == figures["new"]
    assert planner.get(proposal).json()["adopted_by"] == 1
    standing = {one["grid"]: one for one in planner.get(f"{at}/grids").json()["items"]}
    weights = sorted(
        one["households"] for one in standing.values()
        if one["leaf"] and not one["ended"] and one["parent"] in (111, 112, 121)
    )  # fmt: skip
    assert weights == sorted(part["weights"]["households"] for part in card["parts"])
    again = planner.post(f"{proposal}/adopt")
    assert (again.status_code, again.json()["code"]) == (412, "stale_edit")
    assert planner.post(f"{at}/undo").status_code == 201
    assert planner.get(f"{at}/cells").json() == {"grids": {}}
    now = versions_of(planner, int(at.rpartition("/")[2]))
    assert {grid for grid in now if grid in before} == set(before)
    log = module_world.signed(login_of(Role.ADMINISTRATOR, HOME))
    actions = [one["action"] for one in log.get(f"/api/v1/cities/{HOME}/audit").json()["items"]]
    assert {"plan.propose", "plan.edit"} <= set(actions)


def test_a_plan_that_moved_on_refuses_a_proposal(
    module_world: World, planner: httpx.Client
) -> None:
    at = opened(planner)
    proposal = asked(planner, at, **{**EVENLY, "grids": [21]})
    worked_out(module_world, planner, proposal)
    known = versions_of(planner, int(at.rpartition("/")[2]))
    move = {"op": "move", "args": {"cells": [cell_at(5, 1)], "into": 212}, "versions": known}
    edited = planner.post(f"{at}/edits", json=move)
    assert edited.status_code == 201, edited.text
    refused = planner.post(f"{proposal}/adopt")
    assert (refused.status_code, refused.json()["code"]) == (412, "stale_edit")
    assert set(refused.json()["newer"]) == {"211", "212"}
    other = module_world.signed(login_of(Role.ADMINISTRATOR, HOME))
    for path in ("", "/shapes", "/crosswalk"):
        assert other.get(f"{proposal}{path}").status_code == 404
    assert other.post(f"{proposal}/adopt").status_code == 404


def test_little_change_keeps_its_word_and_what_is_fixed(
    module_world: World, planner: httpx.Client
) -> None:
    at = opened(planner)
    wish = {
        "grids": [111, 112, 21], "mode": "least_change", "max_change": 0.2, "fixed": [211],
        "measures": [
            {"measure": "households", "target": 90, "tolerance": 0.2},
            {"measure": "households_in_season", "tolerance": 0.4},
        ],
    }  # fmt: skip
    proposal = asked(planner, at, **wish)
    card = worked_out(module_world, planner, proposal)
    assert card["figures"]["changed_share"] <= 0.2
    assert (card["figures"]["new"], card["ended"]) == (0, [])
    fixed = next(part for part in card["parts"] if part["grid"] == 211)
    cells = {cell for part in _parts(module_world, proposal) if part["grid"] == 211
             for cell in part["cells"]}  # fmt: skip
    assert len(cells) == fixed["cells"] == 6
    assert set(fixed["weights"]) == {"households", "households_in_season"}
    small = {**wish, "mode": "merge_small", "least": 1e6, "fixed": []}
    merged = worked_out(module_world, planner, asked(planner, at, **small))
    assert merged["figures"]["ended"] > 0


def _parts(world: World, proposal: str) -> list[dict[str, Any]]:
    number = int(proposal.rpartition("/")[2])
    with owner_transaction(world.migrated.engine) as session:
        found = session.scalar(text("SELECT parts FROM plan_proposal WHERE task_id = :n"),
                               {"n": number})  # fmt: skip
    return list(found["parts"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"measures": [{"measure": "households"}]}, 422),
        ({"parts": 3}, 422),
        ({"mode": "least_change", "parts": 3}, 422),
        ({"grids": [111, 111]}, 422),
        ({"grids": []}, 422),
        ({"measures": [{"measure": "income", "target": 3}]}, 422),
        ({"measures": [{"measure": "households", "target": -1}]}, 422),
        ({"mode": "merge_small"}, 422),
    ],
)
def test_wishes_that_contradict_themselves_are_refused(
    module_world: World, change: dict[str, Any], status: int
) -> None:
    planner = module_world.signed(login_of(Role.PLANNER, HOME))
    at = opened(planner)
    sent = planner.post(f"{at}/proposals/division", json={**EVENLY, **change})
    assert sent.status_code == status, sent.text


@pytest.mark.parametrize(
    "wish",
    [
        {**EVENLY, "grids": [1]},
        {**EVENLY, "grids": [999]},
        {**EVENLY, "fixed": [211]},
        {"grids": [121], "parts": 39, "measures": [{"measure": "households"}]},
        {**EVENLY, "mode": "least_change", "grids": [213]},
    ],
)
def test_wishes_that_cannot_be_met_fail_with_the_reason(
    module_world: World, planner: httpx.Client, wish: dict[str, Any]
) -> None:
    at = opened(planner)
    proposal = asked(planner, at, **wish)
    assert asking.work(module_world.migrated.engine)
    card = planner.get(proposal).json()
    assert card["state"] == "failed" and card["error"]["message"]
    assert planner.get(f"{proposal}/shapes").status_code == 404
    assert planner.post(f"{proposal}/adopt").status_code == 404


def test_only_members_who_draw_may_ask_and_issues_are_for_the_whole_city(
    module_world: World, planner: httpx.Client
) -> None:
    at = opened(planner)
    desk = module_world.signed(login_of(Role.COMMUNITY, HOME))
    assert desk.post(f"{at}/proposals/division", json=EVENLY).status_code == 404
    listed = module_world.signed(login_of(Role.ADMINISTRATOR, HOME))
    accounts = listed.get(f"/api/v1/cities/{HOME}/accounts").json()["items"]
    number = {one["role"]: one["user"] for one in accounts}
    members = [{"user": number["community"], "rights": ["draw"]},
               {"user": number["leader"], "rights": []}]  # fmt: skip
    assert planner.patch(at, json={"members": members}).status_code == 204
    issues = {**EVENLY, "measures": [*EVENLY["measures"], {"measure": "issues_per_month"}]}
    assert desk.post(f"{at}/proposals/division", json=issues).status_code == 403
    reader = module_world.signed(login_of(Role.LEADER, HOME))
    assert reader.post(f"{at}/proposals/division", json=EVENLY).status_code == 403
    proposal = asked(planner, at, **issues)
    task = f"{at}/tasks/{proposal.rpartition('/')[2]}"
    assert reader.post(f"{task}/cancel").status_code == 403
    card = worked_out(module_world, planner, proposal)
    assert "issues_per_month" in card["parts"][0]["weights"]
    assert reader.get(proposal).status_code == 200
    assert reader.post(f"{proposal}/adopt").status_code == 403
    assert desk.post(f"{proposal}/adopt").status_code == 201


def test_what_waits_is_cancelled_and_an_ended_one_is_not(
    module_world: World, planner: httpx.Client
) -> None:
    at = opened(planner)
    proposal = asked(planner, at)
    task = f"{at}/tasks/{proposal.rpartition('/')[2]}"
    assert planner.post(f"{task}/cancel").status_code == 204
    assert planner.get(proposal).json()["cancel_asked"]
    assert asking.work(module_world.migrated.engine)
    assert planner.get(proposal).json()["state"] == "cancelled"
    assert planner.post(f"{task}/cancel").status_code == 409
    assert planner.post(f"{at}/tasks/999999/cancel").status_code == 404
    worked_out(module_world, planner, asked(planner, at))


# ---- a worker of its own -------------------------------------------------------------------------


@pytest.fixture
def worker(module_world: World, tmp_path: Path) -> Iterator[Any]:
    """Start workers as processes; they are ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", "from api.cli import main; main()", "worker"],
            env={
                "PATH": "/usr/bin:/bin",
                "DATABASE_URL": module_world.migrated.owner_url,
                "WANGGE_PROJECT_DIR": str(tmp_path),
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def until(client: httpx.Client, proposal: str, *states: str) -> dict[str, Any]:
    began_s = time.monotonic()
    while time.monotonic() - began_s < LONGEST_S:
        card = client.get(proposal).json()
        if card["state"] in states:
            return dict(card)
        time.sleep(0.1)
    raise AssertionError(card)


def test_one_in_work_is_cancelled_and_a_killed_workers_is_taken_up_again(
    module_world: World, planner: httpx.Client, worker: Any
) -> None:
    at = opened(planner)
    proposal = asked(planner, at)
    with module_world.migrated.engine.connect() as blocking:  # it comes no further than trying
        blocking.execute(text("LOCK TABLE plan_edit IN SHARE MODE"))
        first = worker()
        card = until(planner, proposal, "running")
        task = f"{at}/tasks/{card['proposal']}"
        assert planner.post(f"{task}/cancel").status_code == 204
        assert until(planner, proposal, "cancelled")["error"] is None
        second = asked(planner, at)
        until(planner, second, "running")
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"
        began_s = time.monotonic()
        while not blocking.scalar(text(waits)) and time.monotonic() - began_s < LONGEST_S:
            time.sleep(0.1)
        while not planner.get(second).json()["words"]:  # told with the next sign of life
            assert time.monotonic() - began_s < LONGEST_S
            time.sleep(0.1)
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert planner.get(second).json()["state"] == "running"
    worker()
    card = until(planner, second, "done", "failed")
    assert (card["state"], card["adoptable"]) == ("done", True)
    assert planner.post(f"{second}/adopt").status_code == 201


def test_a_worker_that_hangs_loses_its_job_and_cannot_end_it(
    module_world: World, planner: httpx.Client
) -> None:
    engine = module_world.migrated.engine
    proposal = asked(planner, opened(planner))
    taken: list[str] = []

    def hang(session: Any, job: Any, told: Any) -> dict[str, Any]:
        taken.append("first")
        with owner_transaction(engine) as beside:  # its lease runs out meanwhile
            beside.execute(text("UPDATE plan_task SET lease_until = now() - interval '1 s'"))
        assert jobs.work(engine, asking.QUEUE) is not None
        return {"answer": {}}

    hanging = jobs.Queue(asking.QUEUE.model, "task_id", asking.QUEUE.lock, 3, hang)
    assert jobs.work(engine, hanging) is not None
    card = planner.get(proposal).json()
    assert (taken, card["state"]) == (["first"], "done")
    assert card["figures"]["units"] > 0, "the second one's answer stands"


# ---- nets of departments -------------------------------------------------------------------------


def deliver(world: World) -> list[int]:
    """Let two departments deliver nets whose borders differ by a few metres."""
    fire = [square(0, 0, 3.02, 5), square(3.02, 0, 1.98, 5), square(5, 0, 3, 5)]
    police = [square(0, 0, 3, 5), square(3, 0, 2, 3), square(3, 3, 2, 2), square(5, 0, 3.2, 5)]
    with owner_transaction(world.migrated.engine) as session:
        city = session.scalar(text("SELECT city_id FROM city WHERE slug = :s"), {"s": HOME})
        first = int(session.scalar(text("SELECT coalesce(max(source_net_id), 0) FROM source_net"
                                        " WHERE city_id = :c"), {"c": city}) or 0)  # fmt: skip
        numbers = [first + 1, first + 2]
        for number, name, areas in zip(numbers, ("消防", "=公安"), (fire, police), strict=True):
            session.execute(
                text("INSERT INTO source_net (city_id, source_net_id, name) VALUES (:c, :n, :s)"),
                {"c": city, "n": number, "s": name},
            )
            for place, area in enumerate(areas):
                degrees = shapely.transform(area, BACK.transform, interleaved=False)
                session.execute(
                    text("INSERT INTO source_grid (city_id, source_net_id, code, name, geom)"
                         " VALUES (:c, :n, :code, :s, ST_Multi(ST_GeomFromWKB(:g, 4326)))"),
                    {"c": city, "n": number, "code": f"{number}-{place}", "s": f"{name}{place}",
                     "g": shapely.to_wkb(degrees)},
                )  # fmt: skip
    return numbers


def test_delivered_nets_become_one_in_an_empty_plan(
    module_world: World, planner: httpx.Client
) -> None:
    nets = deliver(module_world)
    listed = planner.get(f"/api/v1/cities/{HOME}/delivered-nets").json()["items"]
    assert [(one["net"], one["grids"]) for one in listed][-2:] == [(nets[0], 3), (nets[1], 4)]
    at = opened(planner, empty=True)
    wish = {"nets": nets, "tolerance_m": 10.0, "keep_barriers": False}
    proposal = asked(planner, at, "net", **wish)
    card = worked_out(module_world, planner, proposal)
    figures = card["figures"]
    assert (figures["units"], figures["cells"], figures["coverage_valid"]) == (4, 40, True)
    assert figures["untraceable"] == 0 and figures["area_difference_m2"] < 1e-6
    sent = planner.get(f"{proposal}/crosswalk")
    assert sent.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(sent.text.removeprefix("\ufeff"))))
    assert {row["net"] for row in rows} == {"消防", "'=公安"}
    for grid in {row["grid"] for row in rows}:
        own = [row for row in rows if row["grid"] == grid]
        assert abs(sum(float(row["share"]) for row in own) - 1.0) < 1e-4
    households = sum(float(row["households"]) for row in rows if row["net"] == "消防")
    assert abs(households - sum(one["weights"]["households"] for one in card["parts"])) < 0.5
    done = planner.post(f"{proposal}/adopt")
    assert done.status_code == 201, done.text
    grids = planner.get(f"{at}/grids").json()["items"]
    assert sorted(one["level"] for one in grids if one["kind"] != "reserve") == [1] * 4
    assert planner.post(f"{at}/undo").status_code == 201
    standing = opened(planner)
    assert planner.post(f"{standing}/proposals/net", json=wish).status_code == 422
    strange = planner.post(f"{at}/proposals/net", json={**wish, "nets": [999]})
    assert strange.status_code == 404
    inside = worked_out(module_world, planner, asked(planner, standing, "net", **wish, grids=[21]))
    assert {part["parent"] for part in inside["parts"]} == {21}


# ---- places --------------------------------------------------------------------------------------


def test_each_place_gets_its_grid_and_borders_have_one_rule(module_world: World) -> None:
    reader = module_world.signed(login_of(Role.COMMUNITY, HOME))
    at = f"/api/v1/cities/{HOME}/assign"
    cases = {
        (5.5, 0.5): 211, (5.5, 2.5): 212, (1.5, 0.5): 1111, (3.5, 2.5): 121, (-9.0, 0.0): None,
    }  # fmt: skip
    points = [
        list(BACK.transform(CORNER[0] + x * SIDE_M, CORNER[1] + y * SIDE_M)) for x, y in cases
    ]
    told = reader.post(at, json={"points": points})
    assert told.status_code == 200, told.text
    assert told.json()["grids"] == list(cases.values())
    assert told.json()["on_border"] == []
    with owner_transaction(module_world.migrated.engine) as session:
        border = session.scalar(text("SELECT ST_AsBinary(g.boundary) FROM net_grid AS g JOIN city"
                                     " AS c USING (city_id) WHERE c.slug = :s AND grid_id = 212"),
                                {"s": HOME})  # fmt: skip
    corners = shapely.get_coordinates(shapely.from_wkb(bytes(border))).tolist()
    found = reader.post(at, json={"points": corners}).json()
    assert found["on_border"] == list(range(len(corners)))
    where = [reader.get(f"/api/v1/cities/{HOME}/where", params={"lon": x, "lat": y}).json()
             for x, y in corners]  # fmt: skip
    assert found["grids"] == [one["grid"]["grid"] for one in where], "one rule in the whole program"
    assert len(set(found["grids"])) > 1
    top = reader.post(at, params={"level": 1}, json={"points": points[:1]}).json()
    assert top["told"][str(top["grids"][0])]["level"] == 1
    assert reader.post(at, params={"net": 99}, json={"points": points}).status_code == 404
    assert reader.post(at, params={"level": 6}, json={"points": points}).status_code == 422
    for wrong in ([], [[200, 0]], [[1, 2, 3]], [[0, 0]] * 100_001):
        assert reader.post(at, json={"points": wrong}).status_code == 422
    assert module_world.client().post(at, json={"points": points}).status_code in (401, 403)
