"""Rules for firms: what can be one, points and grades, the order of dates, the table of acts."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.errors import ConflictError, InvalidInputError
from geo.ratings import (
    FULL,
    STATES,
    dates_of,
    demand_order,
    demand_time,
    grade_of,
    points_of,
    rule_of,
)
from geo.terms import RatingAct, RatingState

LATE = {"code": "late", "title": "超期", "source": "issue", "points": 3, "most": 10,
        "when": "overdue"}  # fmt: skip
FIRE = {"code": "fire", "title": "消防检查", "source": "inspection", "points": 5, "most": 20,
        "kinds": ["fire"], "results": ["to_mend", "stopped"]}  # fmt: skip
RULE: dict[str, Any] = {
    "criteria": [LATE, FIRE], "grades": [["绿", 90], ["黄", 75], ["红", 0]],
    "answer_days": 7, "appeal_days": 15, "valid_days": 180,
}  # fmt: skip
DAY = date(2026, 5, 1)


def test_points_are_taken_off_up_to_the_most_of_each_criterion() -> None:
    rule = rule_of(RULE)
    points, cost = points_of(rule, ["late"] * 9 + ["fire"])
    assert (points, cost["late"], cost["fire"]) == (
        85, {"facts": 9, "points": 10}, {"facts": 1, "points": 5},
    )  # fmt: skip
    assert [grade_of(rule, one) for one in (100, 90, 89, 75, 74, 0)] == list("绿绿黄黄红红")


@given(st.lists(st.sampled_from(["late", "fire"]), max_size=60))
def test_more_facts_never_give_more_points(facts: list[str]) -> None:
    rule = rule_of(RULE)
    all_points = [points_of(rule, facts[:n])[0] for n in range(len(facts) + 1)]
    assert all_points == sorted(all_points, reverse=True)
    assert all(FULL - 30 <= one <= FULL for one in all_points)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("criteria", {"criteria": []}),
        ("criteria", {"criteria": [LATE, LATE]}),
        ("firm_persons", {"criteria": [{**LATE, "title": "独居老人走访"}]}),
        ("criterion_points", {"criteria": [{**LATE, "points": 11}]}),
        ("source", {"criteria": [{**LATE, "source": "word of mouth"}]}),
        ("source", {"criteria": [{**LATE, "when": "whenever"}]}),
        ("source", {"criteria": [{**FIRE, "results": []}]}),
        ("source", {"criteria": [{**FIRE, "results": ["passed"]}]}),
        ("criterion_code", {"criteria": [{**LATE, "code": "a b"}]}),
        ("criterion_title", {"criteria": [{**LATE, "title": ""}]}),
        ("grades", {"grades": [["绿", 75], ["黄", 90], ["红", 0]]}),
        ("grades", {"grades": [["绿", 75], ["红", 10]]}),
        ("rule_days", {"answer_days": 2}),
        ("rule_days", {"appeal_days": 6}),
        ("rule_days", {"valid_days": 400}),
    ],
)
def test_what_is_no_rule(reason: str, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        rule_of(RULE | change)
    assert refused.value.data["reason"] == reason


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        (None, {}),
        ("before_rule", {"since": DAY - timedelta(days=1)}),
        ("before_rule", {"published_on": DAY}),
        ("after_rule", {"ends_on": date(2026, 6, 30)}),
        ("period", {"until": date(2026, 4, 30), "ends_on": None}),
        ("not_over", {"today": date(2026, 6, 30)}),
    ],
)
def test_a_rule_stands_before_what_it_rates(reason: str | None, change: dict[str, Any]) -> None:
    asked: dict[str, Any] = {
        "published_on": date(2026, 4, 1), "begins_on": DAY, "ends_on": None, "since": DAY,
        "until": date(2026, 6, 30), "today": date(2026, 7, 1),
    }  # fmt: skip
    if reason is None:
        demand_order(**asked)
        return
    with pytest.raises(ConflictError) as refused:
        demand_order(**{**asked, **change})
    assert refused.value.data["reason"] == reason


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)))
def test_figures_are_public_after_the_answer_period_and_expire(day: date) -> None:
    dates = dates_of(rule_of(RULE), day)
    assert day < dates.answer_until < dates.public_from < dates.expires_on
    assert dates.answer_until <= dates.appeal_until
    assert (dates.answer_until - day).days == 7


@pytest.mark.parametrize(("act", "state"), list(product(STATES, RatingState)))
def test_every_act_in_every_state(act: RatingAct, state: RatingState) -> None:
    begins, ends = STATES[act]
    if state in begins:
        assert demand_time(act, state, DAY, DAY) is (ends or state)
        late = DAY + timedelta(days=1)
        if act in (RatingAct.ANSWER, RatingAct.APPEAL):
            with pytest.raises(ConflictError, match="until"):
                demand_time(act, state, DAY, late)
        else:
            assert demand_time(act, state, DAY, late) is (ends or state)
    else:
        with pytest.raises(ConflictError, match="cannot be treated"):
            demand_time(act, state, DAY, DAY)
