"""Estimates of households: the formula by hand, totals to the last household, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import InvalidInputError
from geo.estimates import CONSTANTS, household_estimates


def frame(*rows: tuple[float, str | None, float | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["footprint_m2", "use", "floors"])


def test_the_formula_by_hand() -> None:
    found = household_estimates(
        frame(
            (660, "residential", 6),  # 3,960 m2 / 110
            (660, "mixed", 6),  # 70 % of it
            (660, None, 6),  # half of it
            (660, "office", 6),
            (20, "residential", 2),  # a shed
            (50, "house", 1),  # a house is a household
            (660, "住宅", None),  # as high as such buildings are
        ),
        profile="cn",
    )
    assert found.tolist() == [36, 25, 18, 0, 0, 1, 36]
    assert found.dtype == "int64"


def test_profiles_differ_and_unknown_ones_are_refused() -> None:
    rows = frame((1_200, "apartments", 5))
    assert household_estimates(rows, profile="intl").tolist() == [50]
    assert household_estimates(rows, profile="cn").tolist() == [55]
    with pytest.raises(InvalidInputError, match="cn, intl"):
        household_estimates(rows, profile="mars")


def test_known_totals_are_kept_to_the_last_household() -> None:
    rows = frame((600, "residential", 6), (600, "residential", 3), (900, "shop", 2)).assign(
        area=["a", "a", "a"]
    )
    totals = pd.Series({"a": 100, "b": 7})
    assert household_estimates(rows, profile="cn", totals=totals).tolist() == [67, 33, 0]
    rows["area"] = ["a", "c", "b"]
    assert household_estimates(rows, profile="cn", totals=totals).tolist() == [100, 16, 0]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(31, 5_000), st.integers(1, 40), st.integers(0, 4)),
        min_size=1,
        max_size=40,
    ),
    st.lists(st.integers(0, 5_000), min_size=5, max_size=5),
)
def test_sums_are_the_totals(rows: list[tuple[float, int, int]], totals: list[int]) -> None:
    buildings = pd.DataFrame(rows, columns=["footprint_m2", "floors", "area"]).assign(use="yes")
    found = household_estimates(buildings, profile="intl", totals=pd.Series(totals))
    sums = found.groupby(buildings["area"]).sum()
    assert sums.tolist() == [totals[number] for number in sums.index]
    assert (found >= 0).all()


@pytest.mark.parametrize(
    "rows",
    [
        frame((-1, "house", 1)),
        frame((np.nan, "house", 1)),
        frame((10, "house", -2)),
        frame((10, "house", "three")),  # type: ignore[arg-type]
    ],
)
def test_numbers_that_cannot_be_are_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(InvalidInputError):
        household_estimates(rows, profile="cn")


def test_constants_say_what_a_household_takes_up() -> None:
    assert set(CONSTANTS) == {"cn", "intl"}
    assert all(100 <= each.gross_m2 <= 140 for each in CONSTANTS.values())
