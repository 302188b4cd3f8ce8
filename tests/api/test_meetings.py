"""Meetings: topics become issues with a link both ways, and nobody who came is written down."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from geo.db import owner_transaction
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of

API = f"/api/v1/cities/{HOME}"
KIND = "C0102"
WISH = {"kind": "talk", "title": "小区路灯", "place": "社区会议室", "grid": 11,
        "held_at": "2026-03-01T19:00:00+08:00"}  # fmt: skip


@pytest.fixture(scope="module")
def community(module_world: World) -> httpx.Client:
    return module_world.signed(login_of(Role.COMMUNITY, HOME))


def _meeting(reader: httpx.Client, **more: Any) -> int:
    answer = reader.post(f"{API}/meetings", json={**WISH, **more})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["meeting"])


def test_a_topic_becomes_an_issue_once_and_both_know_of_each_other(
    module_world: World, community: httpx.Client
) -> None:
    meeting = _meeting(community)
    address = f"{API}/meetings/{meeting}"
    first = community.post(f"{address}/topics", json={"words": "3号楼北侧路灯不亮"})
    second = community.post(f"{address}/topics", json={"words": "广场舞时间"})
    assert (first.json(), second.json()) == ({"n": 1}, {"n": 2})
    made = community.post(f"{address}/topics/1/issue", json={"category": KIND})
    assert made.status_code == 201, made.text
    again = community.post(f"{address}/topics/1/issue", json={"category": KIND})
    assert (again.status_code, again.json()["issue"]) == (409, made.json()["issue"])
    settled = {"version": 0, "outcome": "晚上九点前结束"}
    assert community.patch(f"{address}/topics/2", json=settled).json() == {"version": 1}
    assert community.patch(f"{address}/topics/2", json=settled).status_code == 412
    other = {"version": 1, "words": "改"}
    assert community.patch(f"{address}/topics/1", json=other).json()["reason"] == "issue_already"

    issue = made.json()["issue"]
    case = community.get(f"{API}/issues/{issue}/case").json()
    assert (case["channel"], case["words"]) == ("meeting", "3号楼北侧路灯不亮")
    links = community.get(f"{API}/issues/{issue}/links").json()
    assert [(one["meeting"], one["n"]) for one in links["meetings"]] == [(meeting, 1)]
    card = community.get(address).json()
    assert [(one["issue"], one["issue_state"], one["outcome"]) for one in card["topics"]] == [
        (issue, "reported", None), (None, None, "晚上九点前结束"),
    ]  # fmt: skip
    listed = community.get(f"{API}/meetings", params={"from": "2026-03-01", "to": "2026-03-01"})
    row = next(one for one in listed.json()["items"] if one["meeting"] == meeting)
    assert (row["topics"], row["issues"], row["closed"], row["unsettled"]) == (2, 1, 0, 0)
    assert row["past"]
    held = community.patch(address, json={"version": 0, "state": "held", "outcome": "两件"})
    assert held.json() == {"version": 1}
    stale = community.patch(address, json={"version": 0, "state": "held"})
    assert stale.status_code == 412
    with owner_transaction(module_world.migrated.engine) as session:
        logged = session.scalars(
            text("SELECT action FROM audit WHERE object = :object ORDER BY n"),
            {"object": f"meeting/{meeting}"},
        ).all()
    assert logged == [
        "meeting.created", "meeting.topic", "meeting.topic", "meeting.issue", "meeting.settled",
        "meeting.changed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words", ["李某 13812345678 说", "身份证 11010519491231002X", "写信 a@example.org", " "]
)
def test_words_with_numbers_of_persons_are_not_kept(community: httpx.Client, words: str) -> None:
    meeting = _meeting(community)
    answer = community.post(f"{API}/meetings/{meeting}/topics", json={"words": words})
    assert (answer.status_code, answer.json()["field"]) == (422, "words")
    named = community.post(f"{API}/meetings", json={**WISH, "title": "重点人员座谈"})
    assert (named.status_code, named.json()["reason"]) == (422, "about_persons")


def test_a_meeting_is_of_its_territory(module_world: World, community: httpx.Client) -> None:
    keeper = module_world.signed(login_of(Role.ADMINISTRATOR, HOME))
    there = _meeting(keeper, grid=12)
    elsewhere = community.post(f"{API}/meetings", json={**WISH, "grid": 12})
    assert (elsewhere.status_code, elsewhere.json()["field"]) == (422, "grid")
    assert community.get(f"{API}/meetings/{there}").status_code == 404
    assert community.patch(f"{API}/meetings/{there}", json={"version": 0}).status_code == 404
    words = {"words": "不该有"}
    assert community.post(f"{API}/meetings/{there}/topics", json=words).status_code == 404
    worker = module_world.signed(login_of(Role.WORKER, HOME))
    department = module_world.signed(login_of(Role.DEPARTMENT, HOME))
    own = _meeting(community, grid=111)
    seen = {one["meeting"] for one in worker.get(f"{API}/meetings").json()["items"]}
    assert own in seen
    assert there not in seen
    assert department.get(f"{API}/meetings").json()["items"] == []


def test_the_page_enters_meetings_and_topics(community: httpx.Client) -> None:
    page = {"city": HOME}
    token = {"csrf_token": community.headers["X-CSRF-Token"]}
    form = {**token, "do": "meeting.create", "kind": "reception", "title": "书记接待日",
            "held_at": "2026-04-01T09:00", "place": "一楼大厅", "grid": "松岭社区"}  # fmt: skip
    done = community.post("/meetings", params=page, data=form)
    assert done.status_code == 303
    meeting = httpx.URL(done.headers["location"]).params["meeting"]
    topic = {**token, "do": "topic.add", "meeting": meeting, "words": "<b>井盖</b>响"}
    assert community.post("/meetings", params=page, data=topic).status_code == 303
    wrong = community.post("/meetings", params=page, data={**topic, "words": "打 13812345678"})
    assert wrong.status_code == 422
    raised = {**token, "do": "topic.issue", "meeting": meeting, "n": "1", "category": KIND}
    assert community.post("/meetings", params=page, data=raised).status_code == 303
    shown = community.get("/meetings", params={**page, "meeting": meeting}).text
    assert "&lt;b&gt;井盖" in shown
    assert "<b>井盖" not in shown


def test_what_is_sent_again_comes_in_once(module_world: World, community: httpx.Client) -> None:
    wish = {**WISH, "client_id": str(uuid4())}
    first = community.post(f"{API}/meetings", json=wish)
    again = community.post(f"{API}/meetings", json=wish)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = community.post(f"{API}/meetings", json={**wish, "title": "别的"})
    assert (other.status_code, other.json()["reason"]) == (409, "sent_already")
    address = f"{API}/meetings/{first.json()['meeting']}"
    topic = {"words": "楼道灯", "client_id": str(uuid4())}
    codes = [community.post(f"{address}/topics", json=topic).status_code for _ in range(3)]
    assert codes == [201, 200, 200]
    assert len(community.get(address).json()["topics"]) == 1
    keeper = module_world.signed(login_of(Role.ADMINISTRATOR, HOME))
    there = {**WISH, "grid": 12, "client_id": str(uuid4())}
    assert keeper.post(f"{API}/meetings", json=there).status_code == 201
    taken = community.post(f"{API}/meetings", json={**there, "grid": 11})
    assert (taken.status_code, taken.json()["reason"]) == (409, "sent_already")


def test_a_meeting_is_mended_and_never_held_before_its_day(community: httpx.Client) -> None:
    address = f"{API}/meetings/{_meeting(community, held_at='2190-03-01T19:00:00+08:00')}"
    early = community.patch(address, json={"version": 0, "state": "held"})
    assert (early.status_code, early.json()["reason"]) == (422, "to_come")
    moved = {"version": 0, "held_at": "2026-02-28T17:30:00Z", "title": "停车", "kind": "council"}
    assert community.patch(address, json=moved).json() == {"version": 1}
    card = community.get(address).json()
    assert (card["title"], card["kind"], card["place"]) == ("停车", "council", WISH["place"])
    day = {"from": "2026-03-01", "to": "2026-03-01", "state": "planned", "kind": "council"}
    rows = community.get(f"{API}/meetings", params=day).json()["items"]
    assert card["meeting"] in {row["meeting"] for row in rows}  # 01:30 of the day in the city
    assert community.patch(address, json={"version": 1, "title": None}).status_code == 422
    assert community.patch(address, json={"version": 1, "state": "cancelled"}).status_code == 200
    off = community.post(f"{address}/topics", json={"words": "晚了"})
    assert (off.status_code, off.json()["reason"]) == (422, "is_off")


def test_half_a_place_and_a_grid_that_ended_are_told(
    module_world: World, community: httpx.Client
) -> None:
    address = f"{API}/meetings/{_meeting(community, grid=1112)}"
    assert community.post(f"{address}/topics", json={"words": "路灯"}).status_code == 201
    half = community.post(f"{address}/topics/1/issue", json={"category": KIND, "lon": 120.0})
    assert (half.status_code, half.json()["reason"]) == (422, "no_place")
    with owner_transaction(module_world.migrated.engine) as session:
        asked = {"m": int(address.rpartition("/")[2])}
        made = "INSERT INTO grid (city_id, grid_id, level) SELECT city_id, 987654, 4 FROM meeting"
        session.execute(text(f"{made} WHERE meeting_id = :m"), asked)
        session.execute(text("UPDATE meeting SET grid_id = 987654 WHERE meeting_id = :m"), asked)
    nowhere = community.post(f"{address}/topics/1/issue", json={"category": KIND})
    assert (nowhere.status_code, nowhere.json()["reason"]) == (422, "grid_ended")
    assert community.get("/meetings", params={"city": HOME}).status_code == 200
