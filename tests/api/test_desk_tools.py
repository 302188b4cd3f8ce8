"""What desks share: answer texts, other platforms' columns and numbers, tabs, live events."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from openpyxl import load_workbook

from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.api.matrix import learn

CITY = f"/api/v1/cities/{HOME}"


class Desk:
    """Readers of one city of this module's own, and a report of theirs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stranger = world.client()
        self.place = learn(world.migrated.engine, HOME).points[111]

    def signed(self, role: Role) -> httpx.Client:
        return self.world.signed(login_of(role, HOME))

    def report(self, **more: Any) -> str:
        lon, lat = self.place
        told = {"category": "E0101", "lon": lon, "lat": lat, "words": "袋装垃圾",
                "client_id": str(uuid4())} | more  # fmt: skip
        answer = self.stranger.post(f"{CITY}/reports", json=told)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["code"])

    def listed(self, role: Role = Role.COMMUNITY, **asked: Any) -> list[dict[str, Any]]:
        answer = self.signed(role).get(f"{CITY}/desk", params={"limit": 1000, **asked})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def issue(self, code: str) -> dict[str, Any]:
        return self.listed(q=code)[0]

    def act(self, issue: int, act: str, role: Role = Role.COMMUNITY, **wish: Any) -> httpx.Response:
        return self.signed(role).post(f"{CITY}/issues/{issue}/acts", json={"act": act, **wish})

    def export(self, role: Role = Role.COMMUNITY, name: str = "p", **asked: Any) -> httpx.Response:
        return self.signed(role).get(f"{CITY}/exports/{name}", params=asked)


@pytest.fixture(scope="module")
def desk(module_world: World) -> Desk:
    return Desk(module_world)


# ---- answer texts --------------------------------------------------------------------------------


def test_a_text_is_kept_filled_and_taken_away(desk: Desk) -> None:
    keeper, path = desk.signed(Role.ADMINISTRATOR), f"{CITY}/answer-texts"
    made = []
    for category, body in (
        ("E01", "{category}由{organisation}于{几日}内处置。"),
        (None, "已收到。"),
    ):
        wish = {"title": "告知", "body": body, "category": category, "act": "note"}
        answer = keeper.post(path, json=wish)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["text"])
    issue = desk.issue(desk.report())["issue"]
    reader = desk.signed(Role.COMMUNITY)
    found = reader.get(f"{CITY}/issues/{issue}/answer-texts").json()["items"]
    assert [one["text"] for one in found] == made, "the nearer category first"
    assert found[0]["filled"].endswith("由【organisation】于【几日】内处置。")
    assert "【category】" not in found[0]["filled"]
    others = reader.get(path, params={"category": "A0101"}).json()["items"]
    assert [one["text"] for one in others] == made[1:]
    changed = {"title": "告知", "body": "{number}"}
    assert keeper.put(f"{path}/{made[0]}", json=changed).status_code == 204
    found = reader.get(f"{CITY}/issues/{issue}/answer-texts").json()["items"]
    assert str(issue) in {one["filled"] for one in found}
    for one in made:
        assert keeper.delete(f"{path}/{one}").status_code == 204
    assert keeper.delete(f"{path}/{made[0]}").status_code == 404
    assert reader.get(path).json()["items"] == []


@pytest.mark.parametrize(
    ("field", "wish"),
    [
        ("body", {"title": "a", "body": "{open"}),
        ("body", {"title": "a", "body": " "}),
        ("title", {"title": " ", "body": "a"}),
        ("category", {"title": "a", "body": "a", "category": "X99"}),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(desk: Desk, field: str, wish: Any) -> None:
    answer = desk.signed(Role.ADMINISTRATOR).post(f"{CITY}/answer-texts", json=wish)
    assert answer.status_code == 422
    assert answer.json()["field"] == field


# ---- other platforms -----------------------------------------------------------------------------


def columns(*fields: str) -> list[dict[str, str]]:
    return [{"title": f"列{name}", "field": name} for name in fields]


def test_issues_go_out_in_another_platforms_columns_with_its_number(desk: Desk) -> None:
    lon, lat = desk.place
    told = {"category": "E0101", "lon": lon, "lat": lat, "words": "=1+1", "address": "@SUM(A1)",
            "channel": "hotline", "external": "12345-99"}  # fmt: skip
    answer = desk.signed(Role.COMMUNITY).post(f"{CITY}/reports", json=told)
    assert answer.status_code == 201, answer.text
    issue = desk.issue("12345-99")["issue"]
    for act, wish in (
        ("accept", {}), ("register", {}), ("dispatch", {"itself": True}),
        ("handle", {"reason": "已清运"}), ("check", {}), ("close", {}),
    ):  # fmt: skip
        assert desk.act(issue, act, **wish).status_code == 200
    wish = {
        "title": "市平台",
        "columns": [
            {"title": "案卷编号", "field": "external"},
            {"title": "状态", "field": "state", "words": {"closed": "已结案"}},
            {"title": "来源", "text": "网格"},
            {"title": "结案", "field": "closed_at", "time": "%Y/%m/%d"},
            *columns("words", "address", "result", "area_1", "lon_gcj02", "on_the_spot"),
        ],
    }
    keeper = desk.signed(Role.ADMINISTRATOR)
    assert keeper.put(f"{CITY}/exports/p", json=wish).status_code == 204
    days = {"from": "2026-01-01", "to": "2026-12-31"}
    assert "12345-99" not in desk.export(f="csv").text, "what is open, unless a period is asked for"
    plain = desk.export(f="csv", **days)
    assert plain.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(plain.text.lstrip("\ufeff"))))
    own = next(row for row in rows if row["案卷编号"] == "12345-99")
    assert (own["状态"], own["来源"], own["列result"]) == ("已结案", "网格", "已清运")
    assert (own["列words"], own["列address"]) == ("'=1+1", "'@SUM(A1)")
    assert own["列on_the_spot"] == "no"
    assert own["结案"].count("/") == 2
    assert float(own["列lon_gcj02"]) != pytest.approx(lon, abs=1e-4)
    book = load_workbook(io.BytesIO(desk.export(f="xlsx", **days).content))
    cells = [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()]
    assert cells[0] == [one["title"] for one in wish["columns"]]
    mine = next(row for row in book.worksheets[0].iter_rows() if row[0].value == "12345-99")
    assert (mine[4].value, mine[4].data_type, mine[4].quotePrefix) == ("=1+1", "s", True)
    log = keeper.get(f"{CITY}/audit").json()["items"]
    exported = [one["payload"] for one in log if one["action"] == "issue.export"]
    assert exported[0]["rows"] == len(rows)
    assert "12345-99" not in json.dumps(exported)
    assert keeper.delete(f"{CITY}/exports/p").status_code == 204
    assert desk.export().status_code == 404


def test_an_export_has_no_more_than_the_own_desk(desk: Desk) -> None:
    days = {"from": "2025-07-01", "to": "2026-06-30", "f": "csv"}
    counted = {}
    for role in (Role.LEADER, Role.COMMUNITY, Role.WORKER, Role.DEPARTMENT):
        text = desk.export(role, "city_management", **days).text
        counted[role] = {row["本平台编号"] for row in csv.DictReader(io.StringIO(text[1:]))}
    assert counted[Role.WORKER] < counted[Role.COMMUNITY] < counted[Role.LEADER]
    assert counted[Role.DEPARTMENT] < counted[Role.LEADER]
    facts = learn(desk.world.migrated.engine, HOME).issues
    for role, area in ((Role.COMMUNITY, 11), (Role.WORKER, 111)):
        assert all(area in facts[int(one)][0] for one in counted[role] if int(one) in facts)


@pytest.mark.parametrize(
    ("reason", "wrong"),
    [
        ("field", [{"title": "a"}]),
        ("field", [{"title": "a", "field": "phone"}]),
        ("field", [{"title": "a", "field": "issue", "text": "b"}]),
        ("titles_twice", [{"title": "a", "text": "b"}, {"title": "a", "text": "c"}]),
        ("time", [{"title": "a", "field": "closed_at", "time": "now"}]),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(desk: Desk, reason: str, wrong: Any) -> None:
    answer = desk.signed(Role.ADMINISTRATOR).put(
        f"{CITY}/exports/q", json={"title": "q", "columns": wrong}
    )
    assert answer.status_code == 422
    assert answer.json()["reason"] == reason


def test_a_period_is_a_year_at_most(desk: Desk) -> None:
    answer = desk.export(name="city_management", **{"from": "2024-01-01", "to": "2026-01-01"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "too_long")


# ---- tabs, closed ones, live ---------------------------------------------------------------------


def test_tabs_part_the_desk_by_who_holds_an_issue(desk: Desk) -> None:
    everything = {one["issue"] for one in desk.listed()}
    parts = {level: {one["issue"] for one in desk.listed(held=level)} for level in range(5)}
    assert set().union(*parts.values()) == everything
    assert sum(map(len, parts.values())) == len(everything)
    for level in (0, 3):
        counted = desk.signed(Role.COMMUNITY).get(f"{CITY}/desk/counts", params={"held": level})
        assert counted.json()["all"] == len(parts[level])


def test_closed_issues_are_found_in_their_box_and_by_number(desk: Desk) -> None:
    code = desk.report()
    issue = desk.issue(code)["issue"]
    assert desk.act(issue, "solve_on_the_spot", reason="已清").status_code == 200
    assert issue not in {one["issue"] for one in desk.listed()}
    closed = desk.listed(box="closed")
    assert closed[0]["issue"] == issue
    assert {one["state"] for one in closed} <= {"closed", "void"}
    assert [one["issue"] for one in desk.listed(q=code)] == [issue]
    first = desk.signed(Role.COMMUNITY).get(f"{CITY}/desk", params={"box": "closed", "limit": 1})
    more = desk.listed(box="closed", limit=1000, after=first.json()["next"])
    assert [one["issue"] for one in closed[1:]] == [one["issue"] for one in more]


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]


def test_a_desk_hears_of_what_happens_on_it_and_nowhere_else(desk: Desk) -> None:
    path = f"{CITY}/desk/events"
    with desk.signed(Role.COMMUNITY).stream("GET", path, params={"follow": "false"}) as answer:
        now = events(answer)
    assert now[0]["all"] == len(desk.listed())
    with desk.signed(Role.COMMUNITY).stream("GET", path, timeout=20) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: {"))
        assert json.loads(next(lines)[6:])["stamp"] == now[0]["stamp"]
        issue = desk.issue(desk.report())["issue"]
        assert json.loads(next(lines)[6:])["all"] == now[0]["all"] + 1
        desk.act(issue, "note", reason="看过")
        assert json.loads(next(lines)[6:])["stamp"] == now[0]["stamp"] + 1
