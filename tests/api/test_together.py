"""Meetings and their topics; lists of campaigns out and in, and bulletins beside a reckoning."""

from __future__ import annotations

import io
from datetime import date
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook, load_workbook
from sqlalchemy import text

from geo.db import owner_transaction
from geo.terms import Role
from tests.api.conftest import DEPARTMENT, HOME, World, login_of
from tests.cities import HOSTILE

API = f"/api/v1/cities/{HOME}"
WISH = {"name": "楼道清理", "goal": "清理楼道堆物", "starts_on": "2026-01-01"}
LINES = 240
KIND = "C0102"
MEETING = {"kind": "talk", "title": "小区路灯", "place": "社区会议室", "grid": 11,
        "held_at": "2026-03-01T19:00:00+08:00"}  # fmt: skip


@pytest.fixture(scope="module")
def community(module_world: World) -> httpx.Client:
    return module_world.signed(login_of(Role.COMMUNITY, HOME))


@pytest.fixture(scope="module")
def keeper(module_world: World) -> httpx.Client:
    return module_world.signed(login_of(Role.ADMINISTRATOR, HOME))


def _campaign(reader: httpx.Client, **more: Any) -> str:
    answer = reader.post(f"{API}/campaigns", json={**WISH, **more})
    assert answer.status_code == 201, answer.text
    return f"{API}/campaigns/{answer.json()['campaign']}"


def _take(
    reader: httpx.Client, campaign: str, content: bytes, *, write: bool = True
) -> dict[str, Any]:
    answer = reader.post(
        f"{campaign}/lists", params={"write": write}, files={"file": ("lists", content)}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _book(**sheets: list[list[Any]]) -> bytes:
    book, out = Workbook(), io.BytesIO()
    book.remove(book.active)
    for title, rows in sheets.items():
        page = book.create_sheet(title)
        for row in rows:
            page.append(row)
    book.save(out)
    return out.getvalue()


def _lines(reader: httpx.Client, campaign: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = reader.get(campaign).json()["lines"]
    return rows


def _meeting(reader: httpx.Client, **more: Any) -> int:
    answer = reader.post(f"{API}/meetings", json={**MEETING, **more})
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
    named = community.post(f"{API}/meetings", json={**MEETING, "title": "重点人员座谈"})
    assert (named.status_code, named.json()["reason"]) == (422, "about_persons")


def test_a_meeting_is_of_its_territory(module_world: World, community: httpx.Client) -> None:
    keeper = module_world.signed(login_of(Role.ADMINISTRATOR, HOME))
    there = _meeting(keeper, grid=12)
    elsewhere = community.post(f"{API}/meetings", json={**MEETING, "grid": 12})
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
    wish = {**MEETING, "client_id": str(uuid4())}
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
    there = {**MEETING, "grid": 12, "client_id": str(uuid4())}
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
    assert (card["title"], card["kind"], card["place"]) == ("停车", "council", MEETING["place"])
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


def test_lists_go_out_and_come_in_unchanged(keeper: httpx.Client) -> None:
    campaign = _campaign(keeper)
    for words in HOSTILE:
        wish = {"list": "problem", "words": words, "grid": 111, "organisation": DEPARTMENT}
        assert keeper.post(f"{campaign}/lines", json=wish).status_code == 201
    wish = {"list": "measure", "words": "逐层清理", "of": 2, "due_on": "2026-05-01"}
    assert keeper.post(f"{campaign}/lines", json=wish).status_code == 201
    before = _lines(keeper, campaign)
    for form in ("xlsx", "csv"):
        out = keeper.get(f"{campaign}/lists", params={"f": form})
        assert out.status_code == 200
        report = _take(keeper, campaign, out.content)
        assert report["rejected"] == []
        assert (report["taken"], report["unchanged"], report["changed"], report["added"]) == (
            True, len(before), 0, 0,
        )  # fmt: skip
    assert _lines(keeper, campaign) == before
    book = load_workbook(io.BytesIO(keeper.get(f"{campaign}/lists").content))
    assert book.sheetnames == ["问题清单", "措施清单"]
    cells = [cell for row in book["问题清单"].iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if isinstance(cell.value, str)} == {"s"}


def test_a_list_from_elsewhere_is_taken_whole_or_not_at_all(community: httpx.Client) -> None:
    campaign = _campaign(community, grid=11)
    head = ["序号", "存在问题", "责任单位", "网格", "整改时限", "完成情况"]
    problems = [
        ["楼道清理问题清单"], head,
        [1, "3号楼楼道堆物", "", "第一网格", date(2026, 5, 1), ""],
        [2, "5号楼堵塞消防通道", None, None, "2026年5月9日", ""],
    ]  # fmt: skip
    measures = [
        ["措施", "针对问题", "状态", "办理情况"],
        ["集中清运", "3号楼楼道堆物", "已销号", "已清"],
    ]
    wrong = [*problems, [3, "电话 13812345678", "", "第九网格", "明天", ""]]
    report = _take(community, campaign, _book(问题清单=wrong, 措施清单=measures))
    assert (report["taken"], report["rows"], report["left_out"]) == (False, 4, ["序号"])
    assert [(row["row"], row["reason"]) for row in report["rejected"]] == [(5, "no_grid")]
    assert _lines(community, campaign) == []
    book = _book(填表说明=[["请逐项填写"]], 问题清单=problems, 措施清单=measures)
    looked = _take(community, campaign, book, write=False)
    assert (looked["taken"], looked["added"]) == (False, 3)
    assert looked["left_out"] == ["填表说明", "序号"]
    assert _lines(community, campaign) == []
    assert _take(community, campaign, book)["added"] == 3
    again = _take(community, campaign, book)
    assert (again["added"], again["unchanged"]) == (0, 3)
    rows = _lines(community, campaign)
    assert [(row["list"], row["words"], row["grid"], row["due_on"], row["of"], row["state"])
            for row in rows] == [
        ("problem", "3号楼楼道堆物", 111, "2026-05-01", None, "open"),
        ("problem", "5号楼堵塞消防通道", 11, "2026-05-09", None, "open"),
        ("measure", "集中清运", 11, None, 1, "done"),
    ]  # fmt: skip
    state = "编号,清单,内容,状态,办理情况\n1,问题清单,3号楼楼道堆物,已销号,清完\n".encode("gb18030")
    assert _take(community, campaign, state)["changed"] == 1
    assert [row["state"] for row in _lines(community, campaign)] == ["done", "open", "done"]
    moved = "编号,清单,内容,网格\n1,问题清单,3号楼楼道堆物,松岭社区\n".encode()
    assert [row["reason"] for row in _take(community, campaign, moved)["rejected"]] == ["line_grid"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04 no workbook", "no_workbook"),
        (b"\xff\xfe\x00\x01", "no_table"),
        ("列,别的\n1,2\n".encode(), "missing_columns"),
        (b"", "missing_columns"),
        (("内容\n" + "x\n" * 2_001).encode(), "too_many_rows"),
    ],
)
def test_files_that_are_no_lists(community: httpx.Client, content: bytes, reason: str) -> None:
    campaign = _campaign(community, grid=11)
    answer = community.post(f"{campaign}/lists", files={"file": ("lists", content)})
    assert (answer.status_code, answer.json()["reason"]) == (422, reason)


def test_rows_elsewhere_or_unknown_are_told_one_by_one(community: httpx.Client) -> None:
    campaign = _campaign(community, grid=11)
    rows = [["清单", "编号", "内容", "网格编码", "责任单位", "状态"],
            ["问题清单", "", "堆物", "海棠社区", "", ""], ["", "", "堆物", "", "", ""],
            ["措施清单", 77, "清运", "", "", ""], ["问题", "", "堆物", "", "无此单位", ""],
            ["问题", "", "堆物", "", "", "差不多"],
            ["问题", "", "重点人员", "", "", ""]]  # fmt: skip
    report = _take(community, campaign, _book(表=rows))
    assert [(row["row"], row["column"], row["reason"]) for row in report["rejected"]] == [
        (2, "grid", "no_grid"), (3, "list", "no_list"), (4, "n", "no_line"),
        (5, "organisation", "no_body"), (6, "state", "no_category"),
        (7, "words", "about_persons"),
    ]  # fmt: skip
    assert all(row["message"] for row in report["rejected"])


def test_a_line_stays_in_its_campaigns_territory(
    keeper: httpx.Client, community: httpx.Client
) -> None:
    there = _campaign(keeper, grid=12)
    wish = {"list": "problem", "words": "堆物"}
    for reader in (keeper, community):
        answer = reader.post(f"{there}/lines", json={**wish, "grid": 111})
        assert (answer.status_code, answer.json()["reason"]) == (422, "outside_campaign")
    once = {**wish, "grid": 121, "client_id": str(uuid4())}
    codes = [keeper.post(f"{there}/lines", json=once).status_code for _ in range(2)]
    assert codes == [201, 200]
    assert [row["n"] for row in _lines(keeper, there)] == [1]


def test_a_line_is_put_off_with_a_reason_alone(community: httpx.Client) -> None:
    campaign = _campaign(community, grid=11)
    wish = {"list": "problem", "words": "堆物", "due_on": "2026-05-01"}
    line = f"{campaign}/lines/{community.post(f'{campaign}/lines', json=wish).json()['n']}"
    later = {"version": 0, "due_on": "2026-06-01"}
    for due in ("2026-06-01", None):
        answer = community.patch(line, json={**later, "due_on": due})
        assert (answer.status_code, answer.json()["reason"]) == (422, "put_off")
    assert community.patch(line, json={**later, "note": "等材料"}).json() == {"version": 1}
    earlier = {"version": 1, "due_on": "2026-05-20", "words": "楼道堆物"}
    assert community.patch(line, json=earlier).json() == {"version": 2}
    row = _lines(community, campaign)[0]
    assert (row["words"], row["due_on"], row["note"]) == ("楼道堆物", "2026-05-20", "等材料")


@pytest.fixture(scope="module")
def many(module_world: World, keeper: httpx.Client) -> str:
    """A campaign with lines found, ticked off, dropped and due on random moments of half a year."""
    campaign = _campaign(keeper)
    rng = np.random.default_rng(11)
    found = pd.Timestamp("2026-01-01T00:00Z") + pd.to_timedelta(
        rng.integers(0, 259_200, LINES), "m"
    )
    ended = found + pd.to_timedelta(rng.integers(0, 86_400, LINES), "m")
    state = rng.choice(["open", "done", "dropped"], LINES, p=[0.4, 0.5, 0.1])
    due = found.date + pd.to_timedelta(rng.integers(0, 60, LINES), "D").to_pytimedelta()
    grids = {111: (1, 11, 111), 121: (1, 12, 121), 211: (2, 21, 211)}
    rows = [
        {
            "campaign": int(campaign.rpartition("/")[2]), "n": n + 1, "slug": HOME,
            "list": str(rng.choice(["problem", "measure"])), "grid": grid,
            "a": grids[grid][0], "b": grids[grid][1], "c": grids[grid][2],
            "body": DEPARTMENT if rng.random() < 0.5 else None,
            "due": due[n] if rng.random() < 0.8 else None, "state": str(state[n]),
            "found": found[n].to_pydatetime(),
            "ended": None if state[n] == "open" else ended[n].to_pydatetime(),
        }
        for n in range(LINES)
        for grid in (int(rng.choice(list(grids))),)
    ]  # fmt: skip
    statement = text(
        "INSERT INTO campaign_item (city_id, campaign_id, n, list, words, grid_id, area_1, area_2,"
        " area_3, organisation_id, due_on, state, note, created_at, done_at)"
        " SELECT city_id, :campaign, :n, :list, '堆物', :grid, :a, :b, :c, :body, :due, :state,"
        " '-', :found, :ended FROM city WHERE slug = :slug"
    )
    with owner_transaction(module_world.migrated.engine) as session:
        session.execute(statement, rows)
    return campaign


def _reckoned(lines: pd.DataFrame, first: str, last: str) -> dict[str, int]:
    """Reckon a period's figures from the list of lines alone, days of the city's zone."""
    found = pd.to_datetime(lines["created_at"], utc=True).dt.tz_convert("Asia/Shanghai")
    ended = pd.to_datetime(lines["done_at"], utc=True).dt.tz_convert("Asia/Shanghai")
    begins = pd.Timestamp(first, tz="Asia/Shanghai")
    ends = pd.Timestamp(last, tz="Asia/Shanghai") + pd.Timedelta(days=1)
    there = (found < ends) & ~(lines["state"].eq("dropped") & (ended < ends))
    done = there & lines["state"].eq("done") & (ended < ends)
    over = pd.to_datetime(lines["due_on"]).dt.tz_localize("Asia/Shanghai") < ends
    return {
        "found": int((there & (found >= begins)).sum()),
        "done": int((done & (ended >= begins)).sum()),
        "all": int(there.sum()),
        "done_all": int(done.sum()),
        "left": int((there & ~done).sum()),
        "overdue": int((there & ~done & over).sum()),
    }


@pytest.mark.parametrize("period", ["week", "month", "quarter"])
def test_bulletins_equal_an_independent_reckoning(
    keeper: httpx.Client, many: str, period: str
) -> None:
    lines = pd.DataFrame(_lines(keeper, many))
    assert len(lines) == LINES
    for day in ("2026-01-15", "2026-03-31", "2026-06-20"):
        told = keeper.get(f"{many}/bulletin", params={"period": period, "day": day}).json()
        dates = (told["first"], told["last"])
        for one, own in lines.groupby("list"):
            assert told["figures"][one] == _reckoned(own, *dates), (one, dates)
        for part, by in (("owners", "organisation"), ("grids", "grid")):
            groups = {
                None if pd.isna(key) else int(key): figures
                for key, own in lines.groupby(by, dropna=False)
                if (figures := _reckoned(own, *dates))["all"]
            }
            figures = {
                row["id"]: {key: row[key] for key in row if key not in ("id", "name", "code")}
                for row in told[part]
            }
            assert figures == groups, (part, dates)
        assert {row["name"] for row in told["grids"]} == {"第一网格"}  # three of one name
        book = keeper.get(f"{many}/bulletin.xlsx", params={"period": period, "day": day})
        table = pd.read_excel(io.BytesIO(book.content), sheet_name="统计", index_col=0)
        for title, one in (("问题清单", "problem"), ("措施清单", "measure")):
            assert table.loc[title].iloc[1:].tolist() == list(told["figures"][one].values())
        whole = _reckoned(lines, *dates)
        for part in ("found", "done", "overdue"):
            assert len(told[part]) == whole[part]
