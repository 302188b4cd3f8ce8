"""Acts of a desk: what is foreseen is what happens, several steps at once, many with a conflict."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.api.test_desk_tools import CITY, Desk


@pytest.fixture(scope="module")
def desk(module_world: World) -> Desk:
    return Desk(module_world)


def card(desk: Desk, issue: int, role: Role = Role.COMMUNITY) -> dict[str, Any]:
    answer = desk.signed(role).get(f"{CITY}/issues/{issue}/case")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def made(desk: Desk, **more: Any) -> int:
    return int(desk.issue(desk.report(**more))["issue"])


def foresee(desk: Desk, issues: list[int], act: str, **wish: Any) -> list[dict[str, Any]]:
    answer = desk.signed(Role.COMMUNITY).post(
        f"{CITY}/issues/foreseen", json={"act": act, "issues": issues, **wish}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def together(desk: Desk, issues: list[int], act: str, **wish: Any) -> httpx.Response:
    return desk.signed(Role.COMMUNITY).post(
        f"{CITY}/issues/acts", json={"act": act, "issues": issues, **wish}, timeout=60
    )


def moment(told: str) -> datetime:
    return datetime.fromisoformat(told)


# ---- foreseen ------------------------------------------------------------------------------------


LIFE = (
    ("accept", {}), ("verify", {}), ("register", {}), ("dispatch", {}),
    ("suspend", {"reason": "等料"}), ("resume", {}), ("handle", {}),
    ("rework", {"reason": "不净"}), ("handle", {}), ("check", {}), ("close", {}),
    ("reopen", {"reason": "又满"}), ("escalate", {"reason": "办不了"}),
)  # fmt: skip


def test_what_is_foreseen_is_what_happens(desk: Desk) -> None:
    issue = made(desk)
    for act, wish in LIFE:
        seen = card(desk, issue)
        told = foresee(desk, [issue], act, **wish)[0]
        assert told["ok"], told
        if act in seen["foreseen"]:
            assert seen["foreseen"][act]["organisation"] == told["organisation"]
            assert seen["foreseen"][act]["desk"] == told["desk"]
        assert card(desk, issue)["version"] == seen["version"], "nothing is written"
        assert desk.act(issue, act, **wish).status_code == 200
        now = card(desk, issue)
        assert now["state"] == told["state"]
        sent = now["state"] in {"dispatched", "reworked", "suspended"}
        assert told["organisation"] == (now["organisation_id"] if sent else None)
        if told["organisation"] is None and now["state"] != "closed":
            assert told["desk"] == now["path"][now["desk_level"] - 1]["name"]
        if act in ("dispatch", "resume") and told["due_at"]:
            assert abs(moment(told["due_at"]) - moment(now["due_at"])) < timedelta(minutes=1)


def test_a_deadline_is_foreseen_for_whom_one_chooses(desk: Desk) -> None:
    issue = made(desk)
    body = desk.signed(Role.COMMUNITY).get(f"{CITY}/organisations").json()["items"][0]
    told = foresee(desk, [issue], "dispatch", organisation=body["organisation"], through=True)[0]
    assert told["organisation_name"] == body["name"]
    assert told["through"] == ["accept", "register"]
    assert told["due_at"]
    refused = foresee(desk, [issue], "dispatch", organisation=999_999, through=True)[0]
    assert (refused["ok"], refused["code"]) == (False, "invalid_input")
    assert card(desk, issue)["state"] == "reported"


def test_others_foresee_nothing(desk: Desk) -> None:
    issue = made(desk)
    told = desk.signed(Role.DEPARTMENT).post(
        f"{CITY}/issues/foreseen", json={"act": "note", "reason": "x", "issues": [issue]}
    )
    assert told.json()["items"][0]["code"] == "not_found"
    many = {"act": "note", "issues": list(range(1, 502))}
    answer = desk.signed(Role.COMMUNITY).post(f"{CITY}/issues/foreseen", json=many)
    assert answer.status_code == 422
    assert desk.stranger.post(f"{CITY}/issues/foreseen", json=many).status_code == 401


# ---- several steps at once -----------------------------------------------------------------------


def acts_of(desk: Desk, issue: int) -> list[str]:
    told = desk.signed(Role.COMMUNITY).get(f"{CITY}/issues/{issue}/history").json()["items"]
    return [line["act"] for line in told]


def test_steps_that_ask_nothing_are_done_in_one_go_each_with_its_line(desk: Desk) -> None:
    issue = made(desk)
    seen = card(desk, issue)
    assert "dispatch" not in seen["acts"]
    assert seen["ways"]["dispatch"] == ["accept", "register", "dispatch"]
    assert desk.act(issue, "dispatch").status_code == 409
    told = desk.act(issue, "dispatch", through=True, version=seen["version"], itself=True)
    assert told.json()["state"] == "dispatched", told.text
    assert desk.act(issue, "handle", reason="清").status_code == 200
    assert desk.act(issue, "close", through=True).json()["state"] == "closed"
    assert acts_of(desk, issue) == [
        "report", "accept", "register", "dispatch", "handle", "check", "close",
    ]  # fmt: skip


def test_of_steps_that_cannot_all_be_done_none_is(desk: Desk) -> None:
    issue = made(desk)
    assert desk.act(issue, "dispatch", through=True, organisation=999_999).status_code == 422
    assert card(desk, issue)["state"] == "reported"
    assert acts_of(desk, issue) == ["report"]
    answer = desk.act(issue, "dispatch", Role.WORKER, through=True)
    assert (answer.status_code, answer.json()["reason"]) == (409, "state")
    assert card(desk, issue)["state"] == "reported"


# ---- many, with a conflict -----------------------------------------------------------------------


def test_of_fifty_the_one_that_somebody_changed_is_left_as_it_is(desk: Desk) -> None:
    for number in range(50):
        desk.report(words=f"五十件之 {number}")
    rows = desk.listed(q="五十件之")
    assert len(rows) == 50
    versions = {str(one["issue"]): one["version"] for one in rows}
    issues = [one["issue"] for one in rows]
    quick = issues[17]
    assert desk.act(quick, "reclassify", category="C0101", reason="应为另一类").status_code == 200
    seen = foresee(desk, issues, "dispatch", through=True, versions=versions)
    assert [one["issue"] for one in seen] == issues
    assert [one["issue"] for one in seen if not one["ok"]] == [quick]
    told = together(desk, issues, "dispatch", through=True, versions=versions).json()["items"]
    failed = [one for one in told if not one["ok"]]
    assert [(one["issue"], one["code"]) for one in failed] == [(quick, "stale_edit")]
    assert failed[0]["message"] == "其间有人改动过：请再看一遍再决定。"
    left = card(desk, quick)
    assert (left["state"], left["category"]) == ("reported", "C0101")
    now = {one["issue"]: one for one in desk.listed(q="五十件之")}
    for one in seen:
        if one["ok"]:
            assert now[one["issue"]]["organisation"] == one["organisation"]
            assert now[one["issue"]]["state"] == "dispatched"


@pytest.mark.parametrize(("language", "word"), [("zh", "这一步由别人办理。"), ("en", "others")])
def test_refusals_are_told_in_the_readers_language(desk: Desk, language: str, word: str) -> None:
    issue = made(desk)
    reader = desk.signed(Role.LEADER)
    asked = {"headers": {"Accept-Language": language}}
    one = reader.post(f"{CITY}/issues/{issue}/acts", json={"act": "accept"}, **asked)
    assert (one.status_code, one.json()["code"]) == (409, "issue_act")
    assert word in one.json()["detail"]
    told = {"act": "accept", "issues": [issue]}
    many = reader.post(f"{CITY}/issues/acts", json=told, **asked)
    assert word in many.json()["items"][0]["message"]


def test_two_merges_across_each_other_make_no_ring(desk: Desk) -> None:
    one, two = made(desk), made(desk)
    readers = [desk.world.signed(login_of(Role.COMMUNITY, HOME)) for _ in range(2)]
    begin = threading.Barrier(2)
    told: list[httpx.Response] = []

    def merge(reader: httpx.Client, issue: int, into: int) -> None:
        begin.wait()
        told.append(reader.post(f"{CITY}/issues/{issue}/acts", json={"act": "merge", "into": into}))

    threads = [
        threading.Thread(target=merge, args=args)
        for args in ((readers[0], one, two), (readers[1], two, one))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in told)[0] == 200
    assert sorted(answer.status_code for answer in told)[1] in (409, 422)
    ends = [card(desk, issue)["duplicate_of"] for issue in (one, two)]
    assert sorted(ends, key=str) in ([one, None], [two, None])


def test_nothing_is_merged_into_what_is_void(desk: Desk) -> None:
    gone, issue = made(desk), made(desk)
    assert desk.act(gone, "void", reason="误报").status_code == 200
    answer = desk.act(issue, "merge", into=gone)
    assert (answer.status_code, answer.json()["reason"]) == (422, "no_issue")


# ---- lists, files, paper -------------------------------------------------------------------------


def test_counts_are_narrowed_as_the_list_is(desk: Desk) -> None:
    reader = desk.signed(Role.COMMUNITY)
    desk.report(words="找得到的井盖", category="C0101")
    for asked in ({"category": "C0101"}, {"q": "找得到的"}, {"state": "reported"}, {"held": 3}):
        counts = reader.get(f"{CITY}/desk/counts", params=asked).json()
        for box in ("all", "new", "to_check"):
            listed = desk.listed(**asked, box=box)
            assert counts[box] == len(listed), (asked, box)


def test_words_and_addresses_are_found_and_patterns_mean_themselves(desk: Desk) -> None:
    desk.report(words="路灯 100% 不亮", address="云溪街 8 号")
    assert [one["words"] for one in desk.listed(q="100% 不")] == ["路灯 100% 不亮"]
    assert [one["words"] for one in desk.listed(q="云溪街 8")] == ["路灯 100% 不亮"]
    assert desk.listed(q="1_0% 不") == []


def test_the_list_as_it_stands_is_a_file_of_all_its_rows_and_a_row_of_the_log(desk: Desk) -> None:
    for number in range(3):
        desk.report(words=f"清单里的 {number}")
    days = {"from": "2020-01-01", "to": "2099-12-31"}
    listed = desk.listed(q="清单里的", **days)
    issue = listed[0]["issue"]
    assert desk.act(issue, "solve_on_the_spot").status_code == 200
    asked = {"q": "清单里的", "as_listed": "true", "f": "csv", "box": "new", **days}
    rows = desk.export(name="list", **asked).text.splitlines()
    assert len(rows) == 1 + len(listed) - 1, "what is closed is not on the list"
    assert "清单里的" in rows[1]
    desk.signed(Role.COMMUNITY).get(f"{CITY}/desk", params={"f": "csv", "q": "清单里的"})
    desk.signed(Role.COMMUNITY).get("/print/issues", params={"city": HOME, "q": "清单里的"})
    log = desk.signed(Role.ADMINISTRATOR).get(f"{CITY}/audit").json()["items"]
    sheets = [one["payload"]["sheet"] for one in log if one["action"] == "issue.export"]
    assert {"list", "csv"} <= set(sheets[:4])
    assert "清单里的" not in str(log)


def test_the_sheet_of_an_issue_has_a_drawing_of_its_place(desk: Desk) -> None:
    issue = made(desk, words="<script>alert(1)</script>")
    page = desk.signed(Role.COMMUNITY).get("/print/issue", params={"issue": issue, "city": HOME})
    assert page.status_code == 200
    drawn = page.text[page.text.index("<svg viewBox") : page.text.index("</figure>")]
    assert 'class="place-grid is-own"' in drawn
    assert 'class="place-building"' in drawn
    assert "50 m" in drawn
    assert "<script>alert" not in page.text
