"""Campaigns: two lists with owners; bulletins that count; small projects signed by several."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from geo.db import owner_transaction
from geo.terms import Role
from tests.api.conftest import AWAY, DEPARTMENT, HOME, PASSWORD, World, login_of

API = f"/api/v1/cities/{HOME}"
WISH = {"name": "飞线充电整治", "goal": "消除楼道飞线充电", "starts_on": "2026-01-01"}


def _reader(world: World, role: Role, city: str = HOME) -> httpx.Client:
    return world.signed(login_of(role, city))


@pytest.fixture(scope="module")
def community(module_world: World) -> httpx.Client:
    return _reader(module_world, Role.COMMUNITY)


@pytest.fixture(scope="module")
def keeper(module_world: World) -> httpx.Client:
    return _reader(module_world, Role.ADMINISTRATOR)


@pytest.fixture(scope="module")
def place(module_world: World) -> tuple[float, float]:
    with owner_transaction(module_world.migrated.engine) as session:
        row = session.execute(
            text("SELECT ST_X(label_point), ST_Y(label_point) FROM net_grid JOIN city"
                 " USING (city_id) WHERE slug = :slug AND grid_id = 1111"), {"slug": HOME},
        ).one()  # fmt: skip
    return float(row[0]), float(row[1])


def _campaign(reader: httpx.Client, **more: Any) -> str:
    answer = reader.post(f"{API}/campaigns", json={**WISH, **more})
    assert answer.status_code == 201, answer.text
    return f"{API}/campaigns/{answer.json()['campaign']}"


def _line(reader: httpx.Client, campaign: str, **wish: Any) -> int:
    answer = reader.post(f"{campaign}/lines", json={"list": "problem", "words": "飞线", **wish})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["n"])


def _tick(reader: httpx.Client, campaign: str, n: int, state: str, **more: Any) -> httpx.Response:
    version = next(
        (one["version"] for one in reader.get(campaign).json()["lines"] if one["n"] == n), 0
    )
    wish = {"version": version, "state": state, **more}
    return reader.patch(f"{campaign}/lines/{n}", json=wish)


def test_lines_are_seen_and_ticked_off_by_territory_and_owner(
    module_world: World, keeper: httpx.Client, community: httpx.Client
) -> None:
    campaign = _campaign(keeper)
    far = _line(keeper, campaign, grid=121)
    mine = _line(community, campaign, grid=111)
    theirs = _line(keeper, campaign, list="measure", words="加装充电棚", of=far, grid=12,
                   organisation=DEPARTMENT)  # fmt: skip
    assert (far, mine, theirs) == (1, 2, 3)
    department = _reader(module_world, Role.DEPARTMENT)
    worker = _reader(module_world, Role.WORKER)

    def seen(reader: httpx.Client) -> set[int]:
        return {one["n"] for one in reader.get(campaign).json()["lines"]}

    assert seen(keeper) == {1, 2, 3}
    assert (seen(community), seen(worker), seen(department)) == ({2}, {2}, {3})
    assert _tick(community, campaign, far, "done").status_code == 404
    assert _tick(worker, campaign, mine, "done").status_code == 403
    assert _tick(department, campaign, theirs, "done").json() == {"version": 1}
    assert _tick(community, campaign, mine, "dropped").status_code == 422
    assert _tick(community, campaign, mine, "done", note="已清理").status_code == 200
    stale = {"version": 0, "state": "open"}
    assert community.patch(f"{campaign}/lines/{mine}", json=stale).status_code == 412
    assert (
        department.patch(
            f"{campaign}/lines/{theirs}", json={"version": 1, "words": "改"}
        ).status_code
        == 403
    )
    assert community.patch(campaign, json={"version": 0, "state": "closed"}).status_code == 404
    assert _reader(module_world, Role.LEADER, AWAY).get(campaign).status_code == 403
    assert keeper.patch(campaign, json={"version": 0, "state": "closed"}).status_code == 200
    late = keeper.post(f"{campaign}/lines", json={"list": "problem", "words": "晚了"})
    assert (late.status_code, late.json()["reason"]) == (422, "closed")
    ticked = _tick(community, campaign, mine, "open")
    assert (ticked.status_code, ticked.json()["reason"]) == (422, "closed")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"words": "重点人员排查"}, "words"),
        ({"words": "联系 13812345678"}, "words"),
        ({"words": "x", "grid": 121}, "grid"),
        ({"words": "x", "list": "measure", "of": 999}, "of"),
        ({"words": "x", "organisation": 999_999}, "organisation"),
    ],
)
def test_lines_that_are_not_taken(
    community: httpx.Client, wish: dict[str, Any], field: str
) -> None:
    campaign = _campaign(community, grid=11)
    answer = community.post(f"{campaign}/lines", json={"list": "problem", **wish})
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    whole = community.post(f"{API}/campaigns", json=WISH)
    assert (whole.status_code, whole.json()["field"]) == (422, "grid")


def test_an_issue_stands_on_a_list_and_says_so(community: httpx.Client) -> None:
    issue = community.get(f"{API}/issues", params={"grid": 11, "limit": 1}).json()["items"][0]
    campaign = _campaign(community, grid=11)
    n = _line(community, campaign, issue=issue["issue"])
    links = community.get(f"{API}/issues/{issue['issue']}/links").json()
    assert (links["campaigns"][-1]["n"], links["campaigns"][-1]["state"]) == (n, "open")
    unseen = {"list": "problem", "words": "x", "issue": 999_999}
    assert community.post(f"{campaign}/lines", json=unseen).status_code == 404


def test_a_bulletin_counts_what_was_found_and_done_by_then(
    module_world: World, keeper: httpx.Client
) -> None:
    campaign = _campaign(keeper, grid=1)
    past = (date.today() - timedelta(days=400)).isoformat()  # noqa: DTZ011 - only long ago
    for words in "甲乙丙丁":
        _line(keeper, campaign, words=words, due_on=past, organisation=DEPARTMENT)
    _line(keeper, campaign, words="措施", list="measure", of=1)
    for n, state in ((1, "done"), (2, "done"), (3, "dropped"), (5, "done")):
        assert _tick(keeper, campaign, n, state, note="-").status_code == 200
    dates = {1: ("2026-02-10", "2026-02-27T16:30Z"), 2: ("2026-03-02", "2026-03-05T01:00Z"),
             3: ("2026-02-01", "2026-03-09T01:00Z"), 4: ("2026-01-05", None),
             5: ("2026-02-10", "2026-04-01T01:00Z")}  # fmt: skip
    number = int(campaign.rpartition("/")[2])
    with owner_transaction(module_world.migrated.engine) as session:
        for n, (found, done) in dates.items():
            session.execute(
                text("UPDATE campaign_item SET created_at = CAST(:found AS timestamptz),"
                     " done_at = CAST(:done AS timestamptz), due_on = CASE WHEN n = 4 THEN"
                     " DATE '2026-02-15' END FROM city AS c WHERE c.slug = :slug"
                     " AND c.city_id = campaign_item.city_id AND campaign_id = :number AND n = :n"),
                {"found": f"{found}T01:00Z", "done": done, "slug": HOME, "number": number, "n": n},
            )  # fmt: skip

    def told(period: str, day: str) -> dict[str, Any]:
        asked = {"period": period, "day": day}
        answer = keeper.get(f"{campaign}/bulletin", params=asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    february, march = told("month", "2026-02-11"), told("month", "2026-03-31")
    assert (february["first"], february["last"]) == ("2026-02-01", "2026-02-28")
    assert february["figures"]["problem"] == {
        "found": 2,
        "done": 1,
        "all": 3,
        "done_all": 1,
        "left": 2,
        "overdue": 1,
    }  # done at 00:30 on the 28th in the city's zone; the second was found in March
    assert march["figures"]["problem"] == {
        "found": 1,
        "done": 1,
        "all": 3,
        "done_all": 2,
        "left": 1,
        "overdue": 1,
    }  # the dropped one counts no more
    assert march["figures"]["measure"]["done_all"] == 0
    quarter = told("quarter", "2026-02-11")
    assert quarter["figures"]["problem"]["done"] == 2
    assert [one["n"] for one in quarter["overdue"]] == [4]
    assert told("week", "2026-03-05")["last"] == "2026-03-08"
    assert told("quarter", "2026-04-02")["figures"]["measure"]["done"] == 1
    page = keeper.get(f"/campaigns/{number}/bulletin",
                      params={"city": HOME, "period": "month", "day": "2026-03-31"})  # fmt: skip
    assert page.status_code == 200
    assert "2026-03-31" in page.text


def test_a_small_project_is_agreed_and_approved_by_others_than_who_proposed_it(
    module_world: World, community: httpx.Client, place: tuple[float, float]
) -> None:
    with owner_transaction(module_world.migrated.engine) as session:
        from geo import service

        city = service.city_id_of(session, HOME)
        service.create_account(
            session, city, login="second.desk", password=PASSWORD, role=Role.COMMUNITY,
            display_name="二", grid_ids=(11,),
        )  # fmt: skip
    second = module_world.sign_in("second.desk")
    leader = _reader(module_world, Role.LEADER)
    wish = {"name": "加装充电棚", "words": "东侧空地", "lon": place[0], "lat": place[1],
            "budget": "48000", "funding": "为民服务资金"}  # fmt: skip
    made = community.post(f"{API}/projects", json=wish)
    assert made.status_code == 201, made.text
    address = f"{API}/projects/{made.json()['project']}"

    def step(reader: httpx.Client, act: str, **more: Any) -> int:
        version = reader.get(address).json()["version"]
        wish = {"version": version, "act": act, **more}
        return reader.post(f"{address}/acts", json=wish).status_code

    assert community.get(address).json()["acts"] == ["reject"]
    assert step(community, "agree") == 403
    assert step(leader, "approve") == 409
    assert step(second, "agree", amount="45000") == 200
    assert step(second, "approve") == 403
    assert step(leader, "send_back") == 422
    assert step(leader, "send_back", reason="先比价") == 200
    assert step(second, "agree") == 200
    assert step(leader, "approve") == 200
    assert step(leader, "start") == 403
    assert step(community, "start") == 200
    assert step(community, "finish") == 422
    assert step(community, "finish", amount="43999.50") == 200
    card = leader.get(address).json()
    assert (card["state"], card["budget"], card["spent"]) == ("finished", "45000.00", "43999.50")
    assert [one["act"] for one in card["steps"]] == [
        "propose", "agree", "send_back", "agree", "approve", "start", "finish",
    ]  # fmt: skip
    assert (card["lon"], card["lat"]) == pytest.approx(place)
    worker = _reader(module_world, Role.WORKER)
    department = _reader(module_world, Role.DEPARTMENT)
    number = made.json()["project"]
    assert number in {one["project"] for one in worker.get(f"{API}/projects").json()["items"]}
    assert department.get(f"{API}/projects").json()["items"] == []
    assert department.get(address).status_code == 404


def test_the_page_keeps_lists_and_escapes_words(community: httpx.Client) -> None:
    page = {"city": HOME}
    token = {"csrf_token": community.headers["X-CSRF-Token"]}
    form = {**token, "do": "campaign.create", "name": "占道经营整治", "goal": "<i>畅通</i>",
            "starts_on": "2026-02-01", "grid": "松岭社区"}  # fmt: skip
    done = community.post("/campaigns", params=page, data=form)
    assert done.status_code == 303, done.text
    number = httpx.URL(done.headers["location"]).params["campaign"]
    line = {**token, "do": "line.add", "campaign": number, "list": "problem", "words": "<b>摊</b>"}
    assert community.post("/campaigns", params=page, data=line).status_code == 303
    tick = {**token, "do": "line.tick", "campaign": number, "n": "1", "version": "0",
            "state": "done"}  # fmt: skip
    assert community.post("/campaigns", params=page, data=tick).status_code == 303
    assert community.post("/campaigns", params=page, data=tick).status_code == 422
    shown = community.get("/campaigns", params={**page, "campaign": number}).text
    assert "&lt;b&gt;摊" in shown
    assert "<b>摊" not in shown
    assert "<i>畅通" not in shown


def test_a_proposal_is_changed_before_anybody_agrees_and_never_signed_alone(
    module_world: World, community: httpx.Client, place: tuple[float, float]
) -> None:
    keeper = _reader(module_world, Role.ADMINISTRATOR)
    leader = _reader(module_world, Role.LEADER)
    wish = {"name": "修补路面", "words": "北门", "lon": place[0], "lat": place[1],
            "budget": "1000", "client_id": str(uuid4())}  # fmt: skip
    made = [community.post(f"{API}/projects", json=wish) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 200]
    address = f"{API}/projects/{made[0].json()['project']}"
    assert [one["act"] for one in community.get(address).json()["steps"]] == ["propose"]
    changed = {"version": 0, "budget": "1200.50", "name": "修补北门路面"}
    assert leader.patch(address, json=changed).status_code == 403
    assert community.patch(address, json={**changed, "lon": 121.9}).status_code == 422
    away = {**changed, "lon": place[0] + 1, "lat": place[1]}
    assert community.patch(address, json=away).status_code == 404
    assert keeper.patch(address, json=changed).json() == {"version": 1}
    assert community.patch(address, json=changed).status_code == 412
    card = keeper.get(address).json()
    assert (card["name"], card["budget"], card["words"]) == ("修补北门路面", "1200.50", "北门")
    for reader in (keeper, community):  # one changed it, the other proposed it
        act = {"version": 1, "act": "agree"}
        assert reader.post(f"{address}/acts", json=act).status_code == 403
    back = {"version": 1, "act": "reject", "reason": "并入改造"}
    assert leader.post(f"{address}/acts", json=back).status_code == 200
    late = community.patch(address, json={**changed, "version": 2})
    assert (late.status_code, late.json()["reason"]) == (409, "state")


def test_nothing_new_comes_to_a_closed_campaign(
    community: httpx.Client, place: tuple[float, float]
) -> None:
    campaign = _campaign(community, grid=11)
    renamed = {"version": 0, "name": "飞线整治二期", "ends_on": "2025-01-01"}
    wrong = community.patch(campaign, json=renamed)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "ends_on")
    assert community.patch(campaign, json={**renamed, "ends_on": None}).status_code == 200
    assert community.get(campaign).json()["name"] == "飞线整治二期"
    assert community.patch(campaign, json={"version": 1, "state": "closed"}).status_code == 200
    number = int(campaign.rpartition("/")[2])
    wish = {"name": "车棚", "words": "东侧", "lon": place[0], "lat": place[1], "budget": "1",
            "campaign": number}  # fmt: skip
    refused = community.post(f"{API}/projects", json=wish)
    assert (refused.status_code, refused.json()["reason"]) == (422, "closed")


@pytest.mark.parametrize("path", ["/meetings", "/campaigns", "/projects"])
def test_pages_narrow_and_lead_nowhere_else(
    module_world: World, community: httpx.Client, path: str
) -> None:
    asked = {"city": HOME, path[1:-1]: "999999"}
    assert community.get(path, params=asked).status_code == 404
    for name, value in (("state", "odd"), ("at", "x"), ("campaign", "x"), ("from", "2026-13-01")):
        code = community.get(path, params={"city": HOME, name: value}).status_code
        assert code in (200, 422), (name, code)
    shown = community.get(path, params={"city": HOME, "state": "", "lines": "late", "at": ""})
    assert shown.status_code == 200
    assert (
        _reader(module_world, Role.COMMUNITY, AWAY).get(path, params={"city": HOME}).status_code
        == 403
    )
