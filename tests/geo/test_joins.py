"""Household counts and their buildings: matched, to be decided, none; the sums add up."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.addresses import Gazetteer, read
from geo.errors import DeliveryError
from geo.joins import NO_BUILDING, STATES, Proposal, propose

BUILDINGS = pd.DataFrame(
    {
        "building_id": [1, 2, 3, 4, 5],
        "code": ["B1", "B2", "B3", None, "B5"],
        "name": ["望潮家园1号楼", "望潮家园2号楼", "海棠小区1号楼", None, None],
    }
)
ADDRESSES = Gazetteer(
    {10: read("松林路12号").key, 11: read("松林路14号").key, 12: read("老供销社").key},
    {10: 4, 11: 5, 12: 4},
    frozenset({12}),
)


def proposed(*rows: dict[str, Any], decided: dict[Any, int] | None = None) -> Proposal:
    return propose(pd.DataFrame(rows), BUILDINGS, ADDRESSES, decided=decided)


@pytest.mark.parametrize(
    ("row", "state", "by", "building"),
    [
        ({"building_code": "B1"}, "matched", "code", 1),
        ({"building_code": " b1 "}, "matched", "code", 1),
        ({"building_code": "B9"}, "none", "", None),
        ({"building_code": "B9", "building_name": "望潮家园1栋"}, "several", "", None),
        ({"building_code": "B1", "building_name": "望潮家园2栋"}, "several", "", None),
        ({"building_code": "B1", "building_name": "望潮家园1栋"}, "matched", "code", 1),
        ({"building_code": "B1", "building_name": "看不懂"}, "matched", "code", 1),
        ({"building_name": "望潮家园1栋"}, "matched", "name", 1),
        ({"compound": "望潮家园", "building_name": "2号楼"}, "matched", "name", 2),
        ({"compound": "望潮家园", "building_name": "望潮家园2号楼"}, "matched", "name", 2),
        ({"building_name": "望潮家园"}, "several", "", None),
        ({"address": "松林路十二号3单元101"}, "matched", "address", 4),
        ({"address": "老供销社"}, "matched", "address", 4),
        ({"address": "松林路13号"}, "none", "", None),
        ({"building_name": "望潮家园1栋", "address": "松林路12号"}, "several", "", None),
        ({"building_name": "", "address": None}, "none", "", None),
    ],
)
def test_one_row(row: dict[str, Any], state: str, by: str, building: int | None) -> None:
    found = proposed({"households": 3, **row}).rows.iloc[0]
    if (row.get("address"), state) == ("松林路13号", "none"):
        assert found["state"] in ("none", "several")
        return
    assert (found["state"], found["by"]) == (state, by)
    assert (None if pd.isna(found["building_id"]) else found["building_id"]) == building


def test_what_is_undecided_counts_for_nothing_and_the_sums_add_up() -> None:
    found = proposed(
        {"households": 10, "building_name": "望潮家园1栋"},
        {"households": "5", "building_name": "望潮家园1号楼2单元"},
        {"households": 7, "building_name": "望潮家园"},
        {"households": 4, "building_name": "天边"},
        {"households": "很多", "building_name": "海棠小区1号楼"},
        {"households": -1, "building_name": "海棠小区1号楼"},
        {"households": 2.5, "building_name": "海棠小区1号楼"},
    )
    assert found.totals() == {
        "matched": {"rows": 2, "households": 15},
        "several": {"rows": 1, "households": 7},
        "none": {"rows": 1, "households": 4},
        "invalid": {"rows": 3, "households": 0},
    }
    assert found.counts().to_dict() == {1: 15}
    assert found.shared == 1
    assert list(found.open_rows().index) == [2, 3]


def test_decisions_go_before_everything() -> None:
    rows = (
        {"households": 7, "building_name": "望潮家园"},
        {"households": 1, "building_code": "B1"},
    )
    found = proposed(*rows, decided={0: 2, 1: NO_BUILDING})
    assert found.counts().to_dict() == {2: 7}
    assert list(found.rows["by"]) == ["decided", "decided"]
    assert found.totals()["none"] == {"rows": 1, "households": 1}
    assert proposed(*rows, decided={"0": 2}).counts().to_dict() == {1: 1, 2: 7}
    with pytest.raises(DeliveryError):
        proposed(*rows, decided={0: 99})


def test_nothing_of_a_household_is_said() -> None:
    found = proposed({"households": 1, "address": "松林路12号3单元101室张三"}).rows.iloc[0]
    assert found["said"] == "松林路12号"


def test_columns_are_needed() -> None:
    with pytest.raises(DeliveryError):
        proposed({"households": 1})
    with pytest.raises(DeliveryError):
        proposed({"building_code": "B1"})


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-5, 300), st.none(), st.text(max_size=4)),
            st.sampled_from(["B1", "B2", "B9", ""]),
            st.sampled_from(["望潮家园1栋", "望潮家园", "海棠小区1号", "x", ""]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_file_adds_up(lines: list[tuple[Any, str, str]]) -> None:
    rows = pd.DataFrame(lines, columns=["households", "building_code", "building_name"])
    found = propose(rows, BUILDINGS, ADDRESSES)
    totals = found.totals()
    assert sum(one["rows"] for one in totals.values()) == len(rows)
    assert set(found.rows["state"]) <= set(STATES)
    assert sum(one["households"] for one in totals.values()) == found.rows["households"].sum()
    assert found.counts().sum() == totals["matched"]["households"]
