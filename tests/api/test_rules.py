"""Rules by the API and the page: read by staff, changed by the administrator, at work at once."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import text

from geo.db import owner_transaction
from geo.terms import Role
from tests.api.conftest import DEPARTMENT, HOME, World, login_of

API = f"/api/v1/cities/{HOME}"
KIND = "C0101"
PAGE = {"city": HOME}


@pytest.fixture(scope="module")
def keeper(module_world: World) -> httpx.Client:
    return module_world.signed(login_of(Role.ADMINISTRATOR, HOME))


@pytest.fixture(scope="module")
def worker(module_world: World) -> httpx.Client:
    return module_world.signed(login_of(Role.WORKER, HOME))


def _book(reader: httpx.Client) -> dict[str, Any]:
    answer = reader.get(f"{API}/rules")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _kind(reader: httpx.Client, code: str = KIND) -> dict[str, Any]:
    return next(row for row in _book(reader)["categories"] if row["category"] == code)


def _limit(reader: httpx.Client, step: str = "handle") -> dict[str, Any]:
    found: dict[str, Any] = next(x for x in _kind(reader)["limits"] if x["step"] == step)
    return found


def test_a_limit_is_set_told_to_staff_and_taken_back(
    keeper: httpx.Client, worker: httpx.Client
) -> None:
    before = _limit(worker)
    assert not before["own"]
    address = f"{API}/rules/limits/{KIND}/handle"
    wish = {"amount": 7, "unit": "clock_hours"}
    assert keeper.put(address, json=wish).status_code == 204
    told = {"step": "handle", **wish, "of": KIND, "own": True}
    assert _limit(worker) == told
    assert keeper.delete(address).status_code == 204
    assert keeper.delete(address).status_code == 404
    assert _limit(worker) == before


@pytest.mark.parametrize(
    ("path", "wish", "field"),
    [
        ("limits/Z99/handle", {"amount": 1, "unit": "working_days"}, "category"),
        ("limits/C0101/dance", {"amount": 1, "unit": "working_days"}, "step"),
        ("routing/1", {"name": "x", "grid": 999_999}, "grid"),
        ("routing/1", {"name": "x", "organisation": 999_999}, "organisation"),
        ("routing/1", {"name": "x", "assisting": [DEPARTMENT]}, "organisation"),
        ("routing/1", {"name": "x", "from_time": "08:00"}, "to_time"),
        ("days/2026-03-01", {"working": True, "note": " "}, "note"),
        ("categories/C0101", {"lead": 999_999}, "lead"),
    ],
)
def test_what_the_city_does_not_have_is_refused(
    keeper: httpx.Client, path: str, wish: dict[str, Any], field: str
) -> None:
    answer = keeper.put(f"{API}/rules/{path}", json=wish)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_a_rule_decides_and_says_why_in_the_readers_language(
    keeper: httpx.Client, worker: httpx.Client, module_world: World
) -> None:
    wish = {"name": "花园", "category": KIND, "organisation": DEPARTMENT, "grid": 111}
    assert keeper.put(f"{API}/rules/routing/3", json=wish).status_code == 204
    row = _book(worker)["routing"][0]
    assert (row["n"], row["organisation"], row["grid"]) == (3, DEPARTMENT, 111)
    asked = {"category": KIND, "lon": 0.0, "lat": 0.0}
    with owner_transaction(module_world.migrated.engine) as session:
        lon, lat = session.execute(
            text("SELECT ST_X(label_point), ST_Y(label_point) FROM net_grid JOIN city"
                 " USING (city_id) WHERE slug = :slug AND grid_id = 112"), {"slug": HOME},
        ).one()  # fmt: skip
    found = worker.get(
        f"{API}/routing", params={**asked, "lon": lon, "lat": lat, "lang": "zh"}
    ).json()
    assert found["organisation"] != DEPARTMENT or found["rule"] != "花园"
    assert found["steps"][0] == {"name": "花园", "holds": False, "why": "在网格 111 之外"}
    asked = {**PAGE, "tab": "routing", "try": KIND, "grid": "海棠社区", "lang": "zh"}
    page = worker.get("/issues/rules", params=asked)
    assert page.status_code == 200
    assert "在网格 111 之外" in page.text
    assert keeper.delete(f"{API}/rules/routing/3").status_code == 204
    assert not _book(worker)["routing"]


def test_a_day_and_a_kind_are_kept_and_noted(keeper: httpx.Client, module_world: World) -> None:
    wish = {"working": True, "note": "赶集"}
    assert keeper.put(f"{API}/rules/days/2026-03-01", json=wish).status_code == 204
    assert _book(keeper)["days"] == [{"day": "2026-03-01", **wish}]
    law = {"lead": DEPARTMENT, "legal_basis": "城市道路照明设施管理规定", "shown": "compound"}
    assert keeper.put(f"{API}/rules/categories/{KIND}", json=law).status_code == 204
    kind = _kind(keeper)
    assert {name: kind[name] for name in law} == law
    assert keeper.put(f"{API}/rules/categories/Z99", json=law).status_code == 404
    with owner_transaction(module_world.migrated.engine) as session:
        logged = session.scalars(
            text("SELECT object FROM audit WHERE action = 'issue.rules' ORDER BY n DESC LIMIT 2")
        ).all()
    assert logged == [f"category/{KIND}", "working_calendar/2026-03-01"]


def test_the_page_is_read_by_staff_and_changed_by_the_administrator(
    keeper: httpx.Client, worker: httpx.Client
) -> None:
    seen = worker.get("/issues/rules", params=PAGE)
    assert seen.status_code == 200
    assert 'name="do"' not in seen.text
    form = {
        "csrf_token": keeper.headers["X-CSRF-Token"], "do": "limit.put", "kind": KIND,
        "step": "register", "amount": "2.5", "unit": "working_hours", "key": "register",
    }  # fmt: skip
    done = keeper.post("/issues/rules", params=PAGE, data=form)
    assert done.status_code == 303
    assert _limit(keeper, "register")["amount"] == 2.5
    wrong = keeper.post("/issues/rules", params=PAGE, data={**form, "amount": "0"})
    assert wrong.status_code == 422
    assert 'role="alert"' in wrong.text
    for tab in ("kinds", "routing", "days"):
        found = keeper.get("/issues/rules", params={**PAGE, "tab": tab, "n": "new", "kind": KIND})
        assert found.status_code == 200, tab
        assert 'name="do"' in found.text


def _posted(keeper: httpx.Client, **fields: Any) -> httpx.Response:
    page = keeper.get("/issues/rules", params={**PAGE, "tab": "routing", "n": "new"}).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    key = fields.get("was", "new")
    sent = {"csrf_token": token[1], "do": "routing.put", "key": key, "name": "夜间", **fields}
    address = "/issues/rules?" + urlencode({**PAGE, "tab": "routing"})
    return keeper.post(address, data=sent, follow_redirects=False)


def test_a_rule_is_moved_and_never_takes_anothers_place_unseen(keeper: httpx.Client) -> None:
    assert _posted(keeper, n="701", category="C01").status_code == 303
    assert _posted(keeper, n="702", name="白天").status_code == 303
    refused = _posted(keeper, n="702", name="第三条", category="C01", weekdays=["6", "7"])
    assert refused.status_code == 422
    assert "第 702 位已有规则" in refused.text
    assert '<option value="C01" selected>' in refused.text, "what was chosen stays"
    assert refused.text.count('name="weekdays" value="7" checked') == 1
    assert _posted(keeper, n="702", was="701", name="夜间").status_code == 422
    assert _posted(keeper, n="703", was="701", name="夜间改").status_code == 303
    named = {one["n"]: one["name"] for one in _book(keeper)["routing"]}
    assert (named.get(701), named[702], named[703]) == (None, "白天", "夜间改")
    for n in (702, 703):
        assert keeper.delete(f"{API}/rules/routing/{n}").status_code == 204


def test_who_tries_the_rules_is_told_until_when(worker: httpx.Client) -> None:
    asked = {**PAGE, "tab": "routing", "try": KIND, "grid": "海棠社区"}
    page = worker.get("/issues/rules", params=asked).text
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d 前", page), page[-2000:]
