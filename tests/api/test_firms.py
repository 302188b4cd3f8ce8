"""Property firms from the rule to expiry: told first, public later, answered, appealed, decided."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from geo import service
from geo.db import Viewer
from geo.terms import Role
from tests.api.conftest import HOME, PASSWORD, World, login_of
from tests.api.matrix import learn

CITY = f"/api/v1/cities/{HOME}"
TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()
FIRM, COMPOUND = 3, 1
CONTENT: dict[str, Any] = {
    "criteria": [
        {"code": "reports", "title": "诉求", "source": "issue", "points": 2, "most": 10},
        {"code": "late", "title": "超期", "source": "issue", "points": 4, "most": 20,
         "when": "overdue"},
        {"code": "fire", "title": "消防检查", "source": "inspection", "points": 5, "most": 20,
         "results": ["to_mend", "stopped"]},
    ],
    "grades": [["绿", 95], ["黄", 80], ["红", 0]],
    "answer_days": 7, "appeal_days": 15, "valid_days": 90,
}  # fmt: skip


def days(n: int) -> str:
    return (TODAY + timedelta(days=n)).isoformat()


class House:
    """Readers of a city of this module's own, and a clock that the owner can turn back."""

    def __init__(self, world: World) -> None:
        self.world = world
        keeper = self.signed(Role.ADMINISTRATOR)
        for login, role, more in (
            ("firm", "department", {"organisation": FIRM}),
            ("judge", "leader", {}),
            ("street", "community", {"grids": [1]}),
        ):
            wish = {"login": login, "role": role, "password": PASSWORD, **more}
            answer = keeper.post(f"{CITY}/accounts", json=wish)
            assert answer.status_code == 201, answer.text
        self.firm = world.sign_in("firm")
        self.judge = world.sign_in("judge")
        self.stranger = world.client()
        self.rule = self._rule()

    def signed(self, role: Role) -> httpx.Client:
        return self.world.signed(login_of(role, HOME))

    def own(self, statement: str, **values: Any) -> None:
        with self.world.migrated.engine.begin() as connection:
            connection.execute(text(statement), values)

    def _rule(self) -> int:
        wish = {"title": "物业评价办法", "begins_on": days(1), "content": CONTENT}
        answer = self.signed(Role.ADMINISTRATOR).post(f"{CITY}/rating-rules", json=wish)
        assert answer.status_code == 201, answer.text
        rule = int(answer.json()["rule"])
        # a hundred days pass
        self.own(
            "UPDATE rating_rule SET published_on = :p, begins_on = :b WHERE rule_id = :r",
            p=TODAY - timedelta(days=100), b=TODAY - timedelta(days=99), r=rule,
        )  # fmt: skip
        return rule

    def period(self, since: int, until: int, **more: Any) -> dict[str, Any]:
        return {"rule": self.rule, "compound": COMPOUND, "since": days(since),
                "until": days(until), **more}  # fmt: skip

    def tell(self, since: int, until: int, **more: Any) -> httpx.Response:
        path = f"{CITY}/firm-ratings"
        return self.signed(Role.COMMUNITY).post(path, json=self.period(since, until, **more))

    def act(self, who: httpx.Client, rating: int, act: str, **more: Any) -> httpx.Response:
        wish = {"act": act, "words": "理由", **more}
        return who.post(f"{CITY}/firm-ratings/{rating}/acts", json=wish)

    def later(self, rating: int, by: int) -> None:
        """Let days pass: all dates of a rating lie so much earlier."""
        moved = ", ".join(f"{name} = {name} - :n" for name in (
            "told_on", "answer_until", "appeal_until", "public_from", "expires_on", "since",
            "until"))  # fmt: skip
        self.own(f"UPDATE firm_rating SET {moved} WHERE rating_id = :r", n=by, r=rating)

    def seen(self, who: httpx.Client, rating: int) -> bool:
        rows = who.get(f"{CITY}/firm-ratings").json()["items"]
        listed = rating in {one["rating"] for one in rows}
        shown = who.get(f"{CITY}/firm-ratings/{rating}").status_code
        assert shown == (200 if listed else 404)
        return listed


@pytest.fixture(scope="module")
def house(module_world: World) -> House:
    return House(module_world)


def issue(house: House, day: int) -> int:
    """Report something in the compound; it lies there since a day."""
    lon, lat = learn(house.world.migrated.engine, HOME).points[1111]
    told = {"category": "E0101", "lon": lon, "lat": lat, "words": "楼道堆物"}
    code = house.stranger.post(f"{CITY}/reports", json=told).json()["code"]
    desk = house.signed(Role.COMMUNITY)
    number = desk.get(f"{CITY}/desk", params={"q": code}).json()["items"][0]["issue"]
    for wish in (
        {"act": "accept"}, {"act": "register"}, {"act": "dispatch", "organisation": FIRM},
    ):  # fmt: skip
        done = desk.post(f"{CITY}/issues/{number}/acts", json=wish)
        assert done.status_code == 200, done.text
    house.own(
        "UPDATE issue SET reported_at = :at, deadline_at = :at + interval '1 day'"
        " WHERE issue_id = :i AND code = :c",
        at=datetime.combine(date.fromisoformat(days(day)), datetime.min.time(),
                            ZoneInfo("Asia/Shanghai")), i=number, c=code,
    )  # fmt: skip
    return int(number)


def test_a_rule_begins_after_it_is_published_and_is_read_by_everybody(house: House) -> None:
    keeper = house.signed(Role.ADMINISTRATOR)
    wish = {"title": "太早", "begins_on": days(0), "content": CONTENT}
    early = keeper.post(f"{CITY}/rating-rules", json=wish)
    assert (early.status_code, early.json()["reason"]) == (422, "published_first")
    rules = house.stranger.get(f"{CITY}/rating-rules").json()["items"]
    assert [one["rule"] for one in rules] == [house.rule]
    assert rules[0]["content"]["grades"] == CONTENT["grades"]
    with pytest.raises(DBAPIError, match="published_first"):
        house.own("UPDATE rating_rule SET begins_on = published_on")


@pytest.mark.parametrize(
    ("since", "until", "reason"),
    [(-120, -60, "before_rule"), (-50, 0, "not_over"), (-50, -60, "period")],
)
def test_nothing_before_the_rule_or_unfinished_is_rated(
    house: House, since: int, until: int, reason: str
) -> None:
    answer = house.tell(since, until)
    assert (answer.status_code, answer.json()["reason"]) == (409, reason)


def test_from_facts_to_public_figures_and_expiry(house: House) -> None:
    fact = issue(house, -40)
    desk = house.signed(Role.COMMUNITY)
    found = {"kind": "fire", "held_on": days(-39), "result": "to_mend", "compound": COMPOUND}
    answer = desk.post(f"{CITY}/inspections", json=found)
    assert answer.status_code == 201, answer.text
    inspection = answer.json()["inspection"]
    path = f"{CITY}/firm-ratings/reckoned"
    reckoned = desk.post(path, json=house.period(-45, -30)).json()
    assert (reckoned["firm"], reckoned["points"], reckoned["grade"]) == (FIRM, 89, "黄")
    facts = {(one["criterion"], one["issue"], one["inspection"]) for one in reckoned["facts"]}
    assert facts == {
        ("reports", fact, None), ("late", fact, None), ("fire", None, inspection),
    }  # fmt: skip
    assert desk.get(f"{CITY}/firm-ratings").json()["items"] == [], "reckoning keeps nothing"

    rating = house.tell(-45, -30).json()["rating"]
    assert (house.tell(-45, -30).status_code, house.seen(house.stranger, rating)) == (409, False)
    assert house.seen(house.firm, rating)
    card = house.firm.get(f"{CITY}/firm-ratings/{rating}").json()
    assert len(card["facts"]) == 3
    assert (card["shown"], card["mine"]) == (False, True)
    assert house.act(house.firm, rating, "answer", words="已整改").status_code == 200
    house.later(rating, 7)
    assert not house.seen(house.stranger, rating), "the last day of the answer period"
    house.later(rating, 1)
    assert house.seen(house.stranger, rating)
    public = house.stranger.get(f"{CITY}/firm-ratings/{rating}").json()
    assert (public["facts"], public["points"], public["grade"]) == ([], 89, "黄")
    assert [(one["act"], one["words"]) for one in public["steps"]] == [("answer", "已整改")]
    assert public["deducted"]["fire"] == {"facts": 1, "points": 5}
    late = house.act(house.firm, rating, "answer")
    assert (late.status_code, late.json()["reason"]) == (409, "over")

    assert house.act(house.firm, rating, "appeal", words="期限有误").status_code == 200
    assert not house.seen(house.stranger, rating), "not while an appeal is open"
    assert house.act(house.firm, rating, "decide").status_code == 403
    assert house.act(house.signed(Role.COMMUNITY), rating, "decide").status_code == 403
    worse = house.act(house.judge, rating, "decide", points=50)
    assert (worse.status_code, worse.json()["field"]) == (422, "points")
    assert house.act(house.judge, rating, "decide", points=96).json() == {"state": "decided"}
    public = house.stranger.get(f"{CITY}/firm-ratings/{rating}").json()
    assert (public["points"], public["grade"]) == (96, "绿")
    assert [one["act"] for one in public["steps"]] == ["answer", "decide"]
    house.later(rating, 90)
    assert not house.seen(house.stranger, rating), "figures expire"
    assert house.seen(house.firm, rating)


def test_who_made_a_rating_does_not_decide_on_it(house: House) -> None:
    keeper = house.signed(Role.ADMINISTRATOR)
    answer = keeper.post(f"{CITY}/firm-ratings", json=house.period(-20, -15))
    rating = answer.json()["rating"]
    assert house.act(house.firm, rating, "appeal").status_code == 200
    refused = house.act(keeper, rating, "decide")
    assert (refused.status_code, refused.json()["reason"]) == (409, "same_person")
    assert house.act(keeper, rating, "withdraw").json() == {"state": "withdrawn"}
    again = keeper.post(f"{CITY}/firm-ratings", json=house.period(-20, -15))
    assert again.status_code == 201


def test_territories_and_both_walls(house: House) -> None:
    assert house.tell(-20, -15, compound=3).json()["field"] == "compound"
    rating = house.tell(-12, -10).json()["rating"]
    others = (house.signed(Role.WORKER), house.signed(Role.DEPARTMENT))
    assert house.seen(house.signed(Role.WORKER), rating), "the grid lies in it"
    assert not house.seen(others[1], rating)
    assert house.seen(house.world.sign_in("street"), rating)
    with house.world.migrated.engine.connect() as connection:
        city = connection.scalar(text("SELECT city_id FROM city WHERE slug = :s"), {"s": HOME})
    door = house.world.database
    for viewer, expected in (
        (Viewer.public(city), 0), (Viewer(Role.COMMUNITY, city, 1, (12,)), 0),
        (Viewer(Role.DEPARTMENT, city, 1, (), (4,)), 0),
        (Viewer(Role.COMMUNITY, city, 1, (11,)), 1),
        (Viewer(Role.DEPARTMENT, city, 1, (), (FIRM,)), 1), (Viewer(Role.LEADER, city, 1), 1),
    ):  # fmt: skip
        with door.transaction(viewer) as session:
            for table in ("firm_rating", "rating_step"):
                asked = text(f"SELECT count(*) FROM {table} WHERE rating_id = :r")
                assert session.scalar(asked, {"r": rating}) == expected, (viewer, table)
    with door.transaction(Viewer.public(city)) as session:
        moment = service.Asked(city).moment(session)
        rows = service.firms.listed(session, Viewer.public(city), moment)
        assert rating not in {one["rating"] for one in rows}


def test_the_log_knows_and_has_no_words(house: House) -> None:
    rating = house.tell(-9, -8).json()["rating"]
    assert house.act(house.firm, rating, "appeal", words="期限有误").status_code == 200
    rows = house.signed(Role.ADMINISTRATOR).get(f"{CITY}/audit", params={"limit": 200}).json()
    found = {one["action"] for one in rows["items"]}
    assert {"rating_rule.published", "firm_rating.tell", "firm_rating.appeal"} <= found
    assert "期限有误" not in str(rows)


def test_periods_do_not_overlap_and_an_end_is_published_once(house: House) -> None:
    assert house.tell(-70, -61).status_code == 201
    for since, until in ((-70, -61), (-61, -60), (-80, -70), (-75, -55), (-66, -64)):
        refused = house.tell(since, until)
        assert (refused.status_code, refused.json()["reason"]) == (409, "rated_already")
    assert house.tell(-60, -60).status_code == 201
    keeper = house.signed(Role.ADMINISTRATOR)
    wish = {"title": "另一办法", "begins_on": days(1), "content": CONTENT}
    rule = keeper.post(f"{CITY}/rating-rules", json=wish).json()["rule"]
    path = f"{CITY}/rating-rules/{rule}"
    assert keeper.patch(path, json={"ends_on": days(0)}).status_code == 422
    assert keeper.patch(path, json={"ends_on": days(9)}).status_code == 204
    again = keeper.patch(path, json={"ends_on": days(90)})
    assert (again.status_code, again.json()["reason"]) == (409, "end_published")


def test_what_was_read_is_what_is_answered(house: House) -> None:
    rating = house.tell(-90, -85).json()["rating"]
    path = f"{CITY}/firm-ratings/{rating}"
    card = house.firm.get(path).json()
    assert card["acts"] == ["answer", "appeal"]
    assert house.signed(Role.COMMUNITY).get(path).json()["acts"] == [
        "answer", "appeal", "withdraw",
    ]  # fmt: skip
    assert house.judge.get(path).json()["acts"] == []
    assert house.act(house.firm, rating, "appeal", version=card["version"]).status_code == 200
    assert house.judge.get(path).json()["acts"] == ["decide"]
    late = house.act(house.judge, rating, "decide", version=card["version"])
    assert (late.status_code, late.json()["code"]) == (412, "stale_edit")
    assert house.act(house.judge, rating, "decide", version=card["version"] + 1).status_code == 200


def test_a_fact_that_fell_away_is_told(house: House) -> None:
    desk = house.signed(Role.COMMUNITY)
    found = {"kind": "gas", "held_on": days(-96), "result": "stopped", "compound": COMPOUND}
    inspection = desk.post(f"{CITY}/inspections", json=found).json()["inspection"]
    twice = desk.post(f"{CITY}/inspections", json=found)
    assert (twice.status_code, twice.json()["reason"]) == (409, "entered")
    rating = house.tell(-97, -95).json()["rating"]
    card = f"{CITY}/firm-ratings/{rating}"
    fact = house.firm.get(card).json()["facts"][0]
    assert (fact["what"], fact["inspection"], fact["fallen"]) == ("gas stopped", inspection, False)
    seen = house.firm.get(f"{CITY}/inspections", params={"compound": COMPOUND}).json()["items"]
    own = next(one for one in seen if one["inspection"] == inspection)
    assert (own["acts"], own["appeal_until"]) == (["answer", "appeal"], days(30))
    acts = f"{CITY}/inspections/{inspection}/acts"
    said = {"act": "appeal", "words": "表具当日已更换"}
    other = house.signed(Role.DEPARTMENT)
    assert other.post(acts, json=said).status_code == 404
    assert house.firm.post(acts, json=said).status_code == 204
    assert house.firm.post(acts, json={"act": "decide", "words": "成立"}).status_code == 403
    assert house.firm.get(card).json()["facts"][0]["fallen"]
    allowed = {"act": "decide", "words": "成立", "allowed": True}
    assert house.judge.post(acts, json=allowed).status_code == 204
    assert house.judge.get(card).json()["facts"][0]["fallen"]


def test_the_day_of_the_city_decides_in_the_database_as_well(house: House) -> None:
    rating = house.tell(-94, -93).json()["rating"]
    house.later(rating, 10)
    assert house.seen(house.stranger, rating)
    with house.world.migrated.engine.connect() as connection:
        city = connection.scalar(text("SELECT city_id FROM city WHERE slug = :s"), {"s": HOME})
    asked = text("SELECT count(*) FROM firm_rating WHERE rating_id = :r")
    moved = "UPDATE firm_rating SET public_from = :d WHERE rating_id = :r"
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        house.own("UPDATE city SET timezone = :z WHERE city_id = :c", z=zone, c=city)
        day = datetime.now(ZoneInfo(zone)).date()
        for public_from, expected in ((day, 1), (day + timedelta(days=1), 0)):
            house.own(moved, d=public_from, r=rating)
            with house.world.database.transaction(Viewer.public(city)) as session:
                assert session.scalar(asked, {"r": rating}) == expected, (zone, public_from)
    house.own("UPDATE city SET timezone = 'Asia/Shanghai' WHERE city_id = :c", c=city)
