"""Cursors: they come back as they went out, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import column

from geo.errors import InvalidInputError
from geo.store.paging import Key, Order

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15)
MOMENTS = st.datetimes(timezones=st.just(UTC))


def order(**question: Any) -> Order:
    keys = (
        Key(column("name"), str),
        Key(column("area"), float, descending=True),
        Key(column("at"), datetime),
        Key(column("id"), int),
    )
    return Order(keys, question)


def bound(condition: Any) -> set[Any]:
    return set(condition.compile().params.values())


@given(TEXT, NUMBERS, MOMENTS, st.integers(-(2**62), 2**62))
def test_values_come_back_exactly(name: str, area: float, at: datetime, number: int) -> None:
    cursor = order(q="x").cursor((name, area, at, number))
    assert cursor.isascii()
    assert bound(order(q="x").behind(cursor)) == {name, area, at, number}


def test_the_first_page_has_no_condition() -> None:
    assert order().behind(None) is None


def test_the_condition_goes_key_by_key() -> None:
    condition = order().behind(order().cursor(("b", 2.0, datetime(2026, 1, 1, tzinfo=UTC), 7)))
    written = str(condition).replace("\n", " ")
    assert written.startswith("name > :name_1 OR name = :name_2 AND area < :area_1 OR ")
    assert written.endswith("AND id > :id_1")


@given(st.text(max_size=80))
def test_no_text_is_taken_for_a_cursor(wrong: str) -> None:
    with pytest.raises(InvalidInputError):
        order().behind(wrong)


def written(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


NOW = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "values",
    [
        ["a", 1.0, NOW],
        ["a", 1.0, NOW, 1, 2],
        ["a", 1.0, NOW, "1"],
        ["a", 1.0, NOW, True],
        ["a", 1.0, NOW, 2**63],
        ["a", "1", NOW, 1],
        ["a", float("nan"), NOW, 1],
        ["a", float("inf"), NOW, 1],
        ["a", None, NOW, 1],
        [1, 1.0, NOW, 1],
        ["\x00", 1.0, NOW, 1],
        ["\ud800", 1.0, NOW, 1],
        ["a" * 1001, 1.0, NOW, 1],
        ["a", 1.0, "2026-01-01T00:00:00", 1],
        ["a", 1.0, "yesterday", 1],
        [["a"], 1.0, NOW, 1],
    ],
)
def test_forged_values_are_refused(values: list[Any]) -> None:
    mark = json.loads(base64.urlsafe_b64decode(order().cursor(()) + "=="))[0]
    good = written([mark, "a", 1.0, NOW, 1])
    assert order().behind(good) is not None, "the mark itself is right"
    with pytest.raises(InvalidInputError) as caught:
        order().behind(written([mark, *values]))
    assert caught.value.data["field"] == "after"


def test_a_cursor_belongs_to_its_question_and_order() -> None:
    values = ("a", 1.0, datetime(2026, 1, 1, tzinfo=UTC), 1)
    cursor = order(q="x").cursor(values)
    for other in (order(q="y"), order(), order(q="x", level=1)):
        with pytest.raises(InvalidInputError):
            other.behind(cursor)
    turned = Order(order().keys[::-1], {"q": "x"})
    with pytest.raises(InvalidInputError):
        turned.behind(cursor)
