"""Counts shared out over cells: by common ground, whole, and none lost without a word."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from geo.apportion import apportion, shared_exactly
from geo.errors import TopologyError

SRID = 26986


def sources(people: list[float], *shapes: Any) -> gpd.GeoDataFrame:
    index = pd.Index([f"w{n}" for n in range(len(people))])
    return gpd.GeoDataFrame({"people": people}, geometry=list(shapes), index=index, crs=SRID)


def cells(count: int = 4) -> gpd.GeoSeries:
    return gpd.GeoSeries([box(10 * n, 0, 10 * n + 10, 10) for n in range(count)], crs=SRID)


def test_by_area() -> None:
    shares = apportion(sources([40], box(0, 0, 25, 10)), cells(), value="people")
    assert shares.values.tolist() == [16, 16, 8, 0]  # noqa: PD011 - not a frame
    assert shares.unplaced.empty


def test_by_weight_nobody_stands_on_water() -> None:
    weight = pd.Series([0.0, 3.0, 1.0, 0.0])
    shares = apportion(sources([40], box(0, 0, 40, 10)), cells(), value="people", weight=weight)
    assert shares.values.tolist() == [0, 30, 10, 0]  # noqa: PD011 - not a frame


def test_what_meets_no_ground_is_told() -> None:
    wards = sources([7, 5, 0], box(100, 0, 110, 10), box(0, 0, 20, 10), box(200, 0, 210, 10))
    shares = apportion(wards, cells(), value="people")
    assert shares.unplaced.to_dict() == {"w0": 7.0}
    assert shares.values.sum() == 5  # noqa: PD011 - not a frame


def test_a_neighbour_that_overlaps_by_a_sliver_brings_nobody_in() -> None:
    wards = sources([500], box(39.99, 0, 90, 10))
    shares = apportion(wards, cells(), value="people")
    assert shares.unplaced.to_dict() == {"w0": 500.0}
    assert apportion(wards, cells(), value="people", least_share=0.0).unplaced.empty


def test_fractions_stay_fractions() -> None:
    shares = apportion(sources([1.5], box(0, 0, 20, 10)), cells(), value="people")
    assert shares.values.tolist() == [0.75, 0.75, 0, 0]  # noqa: PD011 - not a frame


def test_what_cannot_be_shared_is_refused() -> None:
    wards = sources([4], box(0, 0, 9, 9))
    with pytest.raises(TopologyError, match="negative"):
        apportion(sources([-1], box(0, 0, 9, 9)), cells(), value="people")
    with pytest.raises(TopologyError, match="two reference systems"):
        apportion(wards.to_crs(32619), cells(), value="people")
    with pytest.raises(TopologyError, match="degrees"):
        apportion(wards.to_crs(4326), cells().to_crs(4326), value="people")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=5),
    st.lists(st.floats(0.01, 20), min_size=4, max_size=4),
    st.data(),
)
def test_whole_counts_stay_whole_and_add_up(
    people: list[int], weights: list[float], data: st.DataObject
) -> None:
    shapes = []
    for _ in people:
        x = data.draw(st.floats(0, 35))
        shapes.append(box(x, 0, x + data.draw(st.floats(0.5, 60)), 10))
    wards = sources([float(n) for n in people], *shapes)
    shares = apportion(wards, cells(), value="people", weight=pd.Series(weights))
    values = shares.values.to_numpy()  # noqa: PD011 - not a frame
    assert (values == np.round(values)).all()
    assert (values >= 0).all()
    assert values.sum() + shares.unplaced.sum() == sum(people)
    if shares.unplaced.size:
        return
    one = apportion(wards.iloc[[0]], cells(), value="people", weight=pd.Series(weights))
    meets = cells().intersection(shapes[0]).area.to_numpy() * np.array(weights)
    exact = people[0] * meets / meets.sum()
    got = one.values.to_numpy()  # noqa: PD011 - not a frame
    assert (np.abs(got - exact) < 1 + 1e-6).all()


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 10**6).map(float), st.floats(0, 1e7, width=64)),
            st.lists(st.floats(0, 1e6), min_size=1, max_size=12),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_what_is_shared_exactly_adds_up_in_any_order(
    told: list[tuple[float, list[float]]], seed: int
) -> None:
    values = np.array([value for value, _ in told])
    weights = np.concatenate([np.array(members) for _, members in told])
    group = np.repeat(np.arange(len(told)), [len(members) for _, members in told])
    order = np.random.default_rng(seed).permutation(len(group))
    parts = shared_exactly(values, group[order], weights[order])
    assert (parts >= 0).all()
    for row, value in enumerate(values):
        own = parts[group[order] == row]
        assert sum(own.tolist()) == sum(own[::-1].tolist()) == value
        if value == round(value):
            assert (own == np.round(own)).all()
        heft = weights[order][group[order] == row]
        if heft.sum() > 0:
            assert (own[heft == 0] == 0).all()
            unit = 1.0 if value == round(value) else np.spacing(value) * 64
            assert np.abs(own - value * (heft / heft.sum())).max() <= unit * (1 + 1e-9)
