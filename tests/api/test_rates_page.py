"""The table of rates says what the API says, with its counts."""

from __future__ import annotations

import re
import sys

import pytest

from geo.terms import Role
from tests.api.conftest import HOME, World, login_of

PERIOD = {"from": "2020-01-01", "to": "2026-12-31"}


@pytest.mark.parametrize("by", ["area", "department", "category", "month"])
def test_the_page_says_what_the_api_says(
    world: World, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("geo.rates", "geo.store.cases.rates"):
        monkeypatch.setattr(sys.modules[module], "LEAST_WORKERS", 0)
    leader = world.signed(login_of(Role.LEADER, HOME))
    page = leader.get("/rates", params={"city": HOME, "by": by, "lang": "zh", **PERIOD})
    assert page.status_code == 200
    told = leader.get(f"/api/v1/cities/{HOME}/rates", params={"by": "none", **PERIOD}).json()
    total = told["rows"][0]
    assert total["rates"], "the city has issues in this period"
    row = re.search(r'<tr class="is-total">.*?</tr>', page.text, re.DOTALL)
    assert row
    for rate in total["rates"]:
        assert f"{rate['over']:,} / {rate['of']:,}" in row.group()
        assert rate["name"] in page.text
    heads = re.findall(r'<th scope="col" class="number">([^<]+)</th>', page.text)
    assert heads[:3] == ["响应率", "解决率", "满意率"]


def test_rates_of_few_workers_are_withheld_and_that_is_said(world: World) -> None:
    leader = world.signed(login_of(Role.LEADER, HOME))
    told = leader.get(f"/api/v1/cities/{HOME}/rates", params={"by": "none", **PERIOD}).json()
    assert told["rows"][0]["withheld"]
    page = leader.get("/rates", params={"city": HOME, "lang": "en", **PERIOD})
    assert "fewer than five workers" in page.text
    assert " %</b>" not in page.text


def test_a_period_without_issues_says_so(world: World) -> None:
    leader = world.signed(login_of(Role.LEADER, HOME))
    empty = {"from": "1950-01-01", "to": "1950-12-31"}
    page = leader.get("/rates", params={"city": HOME, "lang": "en", **empty})
    assert "No issue was reported in this period" in page.text
    assert leader.get("/rates", params={"from": "0001-01-01"}).status_code == 422
