"""Reach of stations beside a computation pair by pair."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.coverage import BANDS_M, bands, distance_to_nearest, shares
from geo.errors import TopologyError

SRID = 4549
places = st.lists(
    st.tuples(st.floats(0, 5000, allow_nan=False), st.floats(0, 5000, allow_nan=False)),
    min_size=1,
    max_size=30,
)


def at(points: list[tuple[float, float]]) -> gpd.GeoSeries:
    x, y = zip(*points, strict=True)
    return gpd.GeoSeries.from_xy(x, y, crs=SRID)


@given(places, places)
def test_distance_is_the_least_of_all_pairs(
    homes: list[tuple[float, float]], stations: list[tuple[float, float]]
) -> None:
    found = distance_to_nearest(at(homes), at(stations))
    pairs = np.array(homes)[:, None, :] - np.array(stations)[None, :, :]
    assert np.allclose(found, np.hypot(*np.moveaxis(pairs, 2, 0)).min(axis=1))


def test_without_stations_everything_is_out_of_reach() -> None:
    nowhere = gpd.GeoSeries([], crs=SRID)
    found = distance_to_nearest(at([(0.0, 0.0)]), nowhere)
    assert np.isinf(found).all()
    assert bands(found).tolist() == [len(BANDS_M)]


def test_degrees_and_different_systems_are_refused() -> None:
    metres = at([(0.0, 0.0)])
    with pytest.raises(TopologyError):
        distance_to_nearest(metres.set_crs(4326, allow_override=True), metres)
    with pytest.raises(TopologyError):
        distance_to_nearest(metres, metres.set_crs(32650, allow_override=True))


def test_a_place_at_a_limit_lies_within_it() -> None:
    assert bands(pd.Series([500.0, 500.01, 1000.0, 1000.01])).tolist() == [0, 1, 1, 2]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(1, 3)), max_size=40))
def test_shares_are_cumulative_and_sum_up(rows: list[tuple[int, int, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["weight", "band", "group"])
    found = shares(frame["weight"].astype(float), frame["band"].to_numpy(), frame["group"])
    assert (found["within_500_m"] <= found["within_1000_m"]).all()
    assert (found["within_1000_m"] <= found["total"]).all()
    assert found["total"].sum() == frame["weight"].sum()
    near = frame[frame["band"] == 0].groupby("group")["weight"].sum()
    assert found["within_500_m"].to_dict() == {
        group: float(near.get(group, 0)) for group in found.index
    }
