"""Fixed squares: parents are sums, kinds of nothing told apart, placed without a projection."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.density import (
    LEAST_CASES,
    LEAST_HOUSEHOLDS,
    SQUARE_SIDES_M,
    Shown,
    degrees,
    per_thousand,
    placing,
    shown,
    squares,
)
from geo.errors import InvalidInputError, TopologyError

coordinates = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=50))
def test_a_square_is_four_of_the_side_before(points: list[tuple[float, float]]) -> None:
    xy = np.array(points)
    for small, large in itertools.pairwise(SQUARE_SIDES_M):
        fine, coarse = squares(xy, small), squares(xy, large)
        assert (fine.column // 2 == coarse.column).all()
        assert (fine.row // 2 == coarse.row).all()


@pytest.mark.parametrize("side", [0, 100, 251, -250])
def test_other_sides_are_refused(side: int) -> None:
    with pytest.raises(InvalidInputError):
        squares(np.zeros((1, 2)), side)


@pytest.mark.parametrize(
    ("cases", "households", "told"),
    [
        (0, 0, Shown.UNINHABITED),
        (0, 1, Shown.ZERO),
        (LEAST_CASES - 1, LEAST_HOUSEHOLDS, Shown.TOO_FEW),
        (LEAST_CASES, LEAST_HOUSEHOLDS - 1, Shown.TOO_FEW),
        (9, 0, Shown.TOO_FEW),
        (LEAST_CASES, LEAST_HOUSEHOLDS, Shown.RATE),
    ],
)
def test_what_may_be_said_of_a_square(cases: int, households: int, told: Shown) -> None:
    assert shown(np.array([cases]), np.array([float(households)])).tolist() == [told]


def test_counts_need_no_households() -> None:
    found = shown(np.array([9, 4]), np.array([0.0, 0.0]), least_households=0)
    assert found.tolist() == [Shown.RATE, Shown.TOO_FEW]


def test_a_rate_needs_households() -> None:
    rates = per_thousand(pd.Series([5.0, 5.0]), pd.Series([100.0, 0.0]))
    assert rates[0] == 50.0 and np.isnan(rates[1])


@pytest.mark.parametrize(
    ("corner", "extent_m", "srid"),
    [
        ((514_000, 4_269_000), 8_000, 4549),
        ((440_000, 4_100_000), 100_000, 4549),
        ((327_000, 4_690_000), 30_000, 32619),
        ((385_000, 6_671_000), 60_000, 3067),
        ((300_000, 6_250_000), 60_000, 32756),
    ],
)
def test_placing_is_as_good_as_the_projection(
    corner: tuple[float, float], extent_m: float, srid: int
) -> None:
    west, south = corner
    place = placing((west, south, west + extent_m, south + extent_m), srid)
    steps = np.linspace(0, extent_m, 41)
    x, y = (part.ravel() for part in np.meshgrid(west + steps, south + steps))
    to_metres = pyproj.Transformer.from_crs(4326, srid, always_xy=True)
    back_x, back_y = to_metres.transform(*degrees(place, x, y))
    assert np.hypot(back_x - x, back_y - y).max() < 0.05


def test_placing_wants_metres() -> None:
    with pytest.raises(TopologyError):
        placing((0, 0, 1, 1), 4326)
