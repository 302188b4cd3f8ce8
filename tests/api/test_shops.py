"""Shops, their inspections and volunteers' service points: places and counts, nobody by name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from geo.tables import Base
from geo.terms import Role
from tests.api.conftest import HOME, PASSWORD, World, login_of
from tests.api.matrix import learn
from tests.api.test_firms import CITY, days


class Street:
    """Readers of a city of this module's own, and one shop."""

    def __init__(self, world: World) -> None:
        self.world, self.stranger = world, world.client()
        self.points = learn(world.migrated.engine, HOME).points
        self.desk, self.keeper = self.signed(Role.COMMUNITY), self.signed(Role.ADMINISTRATOR)
        wish = {"login": "elsewhere", "role": "community", "password": PASSWORD, "grids": [21]}
        assert self.keeper.post(f"{CITY}/accounts", json=wish).status_code == 201
        self.elsewhere = world.sign_in("elsewhere")
        self.shop, self.code = self.open()

    def signed(self, role: Role) -> httpx.Client:
        return self.world.signed(login_of(role, HOME))

    def place(self, grid: int) -> dict[str, float]:
        lon, lat = self.points[grid]
        return {"lon": lon, "lat": lat}

    def open(self, **more: Any) -> tuple[int, str]:
        wish = {"name": "早点铺", "kind": "food", "address": "松林路1号", **self.place(111)}
        answer = self.desk.post(f"{CITY}/shops", json=wish | more)
        assert answer.status_code == 201, answer.text
        return answer.json()["shop"], answer.json()["code"]

    def inspect(self, **more: Any) -> httpx.Response:
        wish = {"kind": "fire", "held_on": days(-2), "result": "to_mend", "next_on": days(20),
                "shop": self.shop}  # fmt: skip
        return self.desk.post(f"{CITY}/inspections", json=wish | more)

    def act(self, who: httpx.Client, number: int, act: str, **more: Any) -> int:
        path = f"{CITY}/inspections/{number}/acts"
        return who.post(path, json={"act": act, "words": "说明", **more}).status_code

    def card(self, who: httpx.Client | None = None) -> list[dict[str, Any]]:
        answer = (who or self.stranger).get(f"{CITY}/shops/{self.code}")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["inspections"])


@pytest.fixture(scope="module")
def street(module_world: World) -> Street:
    return Street(module_world)


def test_everybody_sees_the_last_facts_with_the_answer(street: Street) -> None:
    assert street.inspect(held_on=days(-9), result="stopped").status_code == 201
    number = street.inspect().json()["inspection"]
    other = street.inspect(kind="food", result="passed", next_on=None).json()["inspection"]
    assert street.act(street.desk, number, "answer", words="已更换灭火器") == 204
    shown = {one["kind"]: one for one in street.card()}
    assert set(shown) == {"fire", "food"}
    assert (shown["fire"]["result"], shown["fire"]["answer"]) == ("to_mend", "已更换灭火器")
    assert (shown["food"]["inspection"], shown["fire"]["next_on"]) == (other, days(20))
    assert len(street.card(street.desk)) == 3, "the territory has all of them"
    row = street.stranger.get(f"{CITY}/shops", params={"q": street.code}).json()["items"][0]
    assert (row["shop"], row["last_on"]) == (street.shop, days(-2))
    assert "entered" not in str(row) + str(shown)


def test_an_appeal_hides_it_and_one_that_is_allowed_takes_it_away(street: Street) -> None:
    first, second = (
        street.inspect(kind="gas", held_on=days(-n)).json()["inspection"] for n in (1, 2)
    )
    for number in (first, second):
        assert street.act(street.desk, number, "appeal", words="当日未营业") == 204
        assert street.act(street.desk, number, "appeal") == 409
    assert "gas" not in {one["kind"] for one in street.card()}
    assert street.act(street.desk, first, "decide") == 403
    assert street.act(street.keeper, first, "decide", words="复核成立", allowed=True) == 204
    assert street.act(street.keeper, first, "answer") == 404
    assert street.act(street.keeper, second, "decide", words="维持") == 204
    shown = next(one for one in street.card() if one["kind"] == "gas")
    assert (shown["inspection"], shown["decision"], shown["appeal"]) == (second, "维持", None)
    assert street.act(street.keeper, second, "decide") == 409


def test_facts_expire(street: Street) -> None:
    number = street.inspect(kind="hygiene").json()["inspection"]
    assert "hygiene" in {one["kind"] for one in street.card()}
    with street.world.migrated.engine.begin() as connection:
        connection.execute(
            text("UPDATE inspection SET held_on = held_on - 365, expires_on = expires_on - 365,"
                 " next_on = NULL WHERE inspection_id = :n"), {"n": number + 0},
        )  # fmt: skip
    assert "hygiene" not in {one["kind"] for one in street.card()}
    assert number in {one["inspection"] for one in street.card(street.desk)}


@pytest.mark.parametrize(
    ("field", "wish"),
    [
        ("held_on", {"held_on": days(1)}),
        ("held_on", {"held_on": days(-400)}),
        ("next_on", {"next_on": days(-5)}),
        ("shop", {"compound": 1}),
        ("shop", {"shop": None}),
        ("compound", {"shop": None, "compound": 3}),
    ],
)
def test_what_is_no_inspection(street: Street, field: str, wish: dict[str, Any]) -> None:
    answer = street.inspect(**wish)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_another_territory_neither_enters_nor_closes(street: Street) -> None:
    path = f"{CITY}/inspections"
    wish = {"kind": "fire", "held_on": days(-1), "result": "passed", "shop": street.shop}
    assert street.elsewhere.post(path, json=wish).status_code == 404
    assert street.elsewhere.delete(f"{CITY}/shops/{street.shop}").status_code == 404
    shop = {"name": "别处小店", "kind": "retail", **street.place(111)}
    answer = street.elsewhere.post(f"{CITY}/shops", json=shop)
    assert (answer.status_code, answer.json()["reason"]) == (422, "elsewhere")
    number = street.inspect(kind="frontage").json()["inspection"]
    assert street.act(street.elsewhere, number, "answer") == 404


def test_a_closed_shop_has_no_card(street: Street) -> None:
    shop, code = street.open(name="要关的店")
    assert street.stranger.get(f"{CITY}/shops/{code}").status_code == 200
    assert street.desk.delete(f"{CITY}/shops/{shop}").status_code == 204
    assert street.stranger.get(f"{CITY}/shops/{code}").status_code == 404
    assert street.desk.delete(f"{CITY}/shops/{shop}").status_code == 404


def test_no_column_is_about_who_keeps_a_shop_or_helps() -> None:
    persons = ("name", "phone", "person", "owner", "keeper", "worker", "volunteer", "identity")
    for table in ("shop", "inspection", "service_point", "service_month"):
        columns = set(Base.metadata.tables[table].columns.keys()) - {"name"}
        assert not [one for one in columns if any(word in one for word in persons)], table


def test_telephone_numbers_are_not_kept(street: Street) -> None:
    wish = {"name": "便民店 13800001234", "kind": "retail", **street.place(111)}
    answer = street.desk.post(f"{CITY}/shops", json=wish)
    assert (answer.status_code, answer.json()["reason"]) == (422, "personal")


def test_service_points_with_their_counts(street: Street) -> None:
    wish = {
        "name": "爱心驿站", "offers": ["water", "rest", "water"],
        "open_hours": "Mo-Fr 09:00-17:00", **street.place(111),
    }  # fmt: skip
    answer = street.desk.post(f"{CITY}/service-points", json=wish)
    assert answer.status_code == 201, answer.text
    point = f"{CITY}/service-points/{answer.json()['point']}"
    again = street.desk.post(f"{CITY}/service-points", json=wish)
    assert (again.status_code, again.json()["reason"]) == (409, "point_there")
    counts = {"helped": 40, "helpers": 6, "hours": 55}
    month = days(0)[:7]
    for told in ({**counts, "helped": 3}, counts):
        assert street.desk.put(f"{point}/months/{month}", json=told).status_code == 204
    assert street.desk.put(f"{point}/months/2999-01", json=counts).status_code == 422
    assert street.elsewhere.put(f"{point}/months/{month}", json=counts).status_code == 404
    few = {**counts, "helpers": 4}
    assert street.desk.put(f"{point}/months/{month}", json=few).status_code == 204
    hours = [
        one.get(f"{CITY}/service-points").json()["items"][0]["hours"]
        for one in (street.stranger, street.elsewhere, street.desk)
    ]
    assert hours == [None, None, 55], "hours of few helpers are somebody's hours"
    assert street.desk.put(f"{point}/months/{month}", json=counts).status_code == 204
    listed = street.stranger.get(f"{CITY}/service-points").json()["items"]
    assert [(one["name"], one["offers"], one["helped"], one["hours"]) for one in listed] == [
        ("爱心驿站", ["rest", "water"], 40, 55)
    ]
    assert "helpers" not in listed[0]
    changed = {**wish, "offers": ["meals"]}
    assert street.elsewhere.put(point, json=changed).status_code == 404
    done = street.desk.put(point, json={**changed, "version": 0})
    assert (done.status_code, done.json()) == (200, {"version": 1})
    late = street.desk.put(point, json={**changed, "name": "别名", "version": 0})
    assert (late.status_code, late.json()["code"]) == (412, "stale_edit")
    assert street.stranger.get(f"{CITY}/service-points").json()["items"][0]["offers"] == ["meals"]
    assert street.desk.delete(point).status_code == 204
    assert street.stranger.get(f"{CITY}/service-points").json()["items"] == []


def test_a_shop_is_entered_once_and_changed_by_one_at_a_time(street: Street) -> None:
    shop, code = street.open(name="两次小店")
    wish = {"name": "两次小店", "kind": "food", **street.place(111)}
    again = street.desk.post(f"{CITY}/shops", json=wish)
    assert (again.status_code, again.json()["reason"]) == (409, "shop_there")
    path, change = f"{CITY}/shops/{shop}", {"name": "改名小店", "kind": "retail", "version": 0}
    assert street.elsewhere.put(path, json=change).status_code == 404
    assert street.desk.put(path, json=change).json() == {"version": 1}
    late = street.desk.put(path, json=change)
    assert (late.status_code, late.json()["code"]) == (412, "stale_edit")
    shown = street.stranger.get(f"{CITY}/shops/{code}").json()
    assert (shown["name"], shown["kind"], shown["mine"]) == ("改名小店", "retail", False)


def test_what_is_due_is_found_by_its_own_kind(street: Street) -> None:
    shop, code = street.open(name="到期小店")
    due = street.inspect(shop=shop, held_on=days(-50), next_on=days(0))
    assert due.status_code == 201
    later = street.inspect(shop=shop, kind="food", held_on=days(-1), next_on=days(90))
    assert later.status_code == 201
    path = f"{CITY}/shops"
    for who, mine in ((street.desk, 1), (street.elsewhere, 0)):
        rows = who.get(path, params={"due": True, "mine": True, "q": code}).json()["items"]
        assert len(rows) == mine, "the older kind is due, though a younger one is not"
    row = street.stranger.get(path, params={"q": code}).json()["items"][0]
    assert (row["last_kind"], row["next_on"], row["mine"]) == ("food", days(0), False)
    assert street.stranger.get(path, params={"result": "passed", "q": code}).json()["items"] == []


def test_an_appeal_is_possible_after_a_late_entry(street: Street) -> None:
    number = street.inspect(kind="food", held_on=days(-200)).json()["inspection"]
    card = next(one for one in street.card(street.desk) if one["inspection"] == number)
    assert (card["appeal_until"], card["expires_on"]) == (days(30), days(165))
    assert street.act(street.desk, number, "appeal", words="当日停业") == 204


@pytest.mark.parametrize(
    ("room", "sent"),
    [
        ("shops", {"do": "shop.open", "name": "", "kind": "food", "lon": "1", "lat": "x"}),
        ("shops", {"do": "place.inspect", "of": "shop", "kind": "fire", "held_on": "gestern"}),
        ("shops", {"do": "place.act", "inspection": "999999", "act": "answer", "words": "x"}),
        ("shops", {"do": "shop.change", "shop": "999999", "version": "0", "name": "x",
                   "kind": "food"}),
        ("inspections", {"do": "place.inspect", "of": "compound", "chosen": "1",
                         "compound": "1", "kind": "fire", "result": "passed",
                         "held_on": "2999-01-01"}),
        ("points", {"do": "point.open", "name": "<b>点</b>", "lon": "1", "lat": "91"}),
        ("points", {"do": "point.count", "chosen": "999999", "month": "x"}),
        ("points", {"do": "point.change", "chosen": "999999", "version": "0", "name": "x",
                    "offers": "water"}),
        ("firms", {"do": "firm.tell", "rule": "1", "compound": "1", "since": "", "until": ""}),
        ("firms", {"do": "firm.reckon", "rule": "999", "compound": "1", "since": "2026-01-01",
                   "until": "2026-01-31"}),
        ("firms", {"do": "firm.act", "chosen": "999999", "version": "0", "act": "answer",
                   "words": "x"}),
        ("firms", {"do": "no.such"}),
    ],
)  # fmt: skip
def test_a_form_that_fails_comes_back(street: Street, room: str, sent: dict[str, str]) -> None:
    own = {"chosen": street.code, "shop": str(street.shop)} if room == "shops" else {}
    answer = street.desk.post(f"/{room}", params={"city": HOME}, data=own | sent)
    assert answer.status_code == 422, answer.text[:500]
    assert "<b>点</b>" not in answer.text


def test_a_rule_that_fails_comes_back_as_it_was_written(street: Street) -> None:
    form = {"do": "firm.rule", "title": "办法", "begins_on": "2998-01-01", "read": "1",
            "c1_title": "<b>超期</b>", "c1_counts": "overdue", "c1_points": "9", "c1_most": "5",
            "g1_title": "绿", "g1_least": "60", "g2_title": "红", "g2_least": "0",
            "answer_days": "7", "appeal_days": "15", "valid_days": "90",
            "least_days": "1"}  # fmt: skip
    for change, told in (
        ({}, "第 1 项"), ({"c1_most": "x"}, "x"), ({"c1_most": "20", "read": ""}, "通读"),
        ({"c1_most": "20", "begins_on": "2020-01-01"}, "之后"),
    ):  # fmt: skip
        answer = street.keeper.post("/firms", params={"city": HOME}, data=form | change)
        assert answer.status_code == 422, answer.text[:500]
        assert "&lt;b&gt;超期&lt;/b&gt;" in answer.text
        assert told in answer.text, change
    path = f"{CITY}/rating-rules"
    assert street.stranger.get(path).json()["items"] == []
