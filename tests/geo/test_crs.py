"""Metre systems are chosen rightly, degrees are refused, the local origin loses nothing."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.crs import local_origin, metre_srid, require_metres
from geo.errors import TopologyError


@pytest.mark.parametrize(
    ("lon", "lat", "family", "srid"),
    [
        (120.5, 37.6, "cgcs2000", 4549),
        (116.6, 35.4, "cgcs2000", 4548),
        (73.6, 39.5, "cgcs2000", 4534),
        (135.0, 48.4, "cgcs2000", 4554),
        (-71.1, 42.4, "utm", 32619),
        (151.2, -33.9, "utm", 32756),
        (180.0, 10.0, "utm", 32660),
        (-180.0, 10.0, "utm", 32601),
    ],
)
def test_metre_srid(lon: float, lat: float, family: str, srid: int) -> None:
    assert metre_srid(lon, lat, family) == srid  # type: ignore[arg-type]
    assert require_metres(srid).to_epsg() == srid


@pytest.mark.parametrize("meridian", range(75, 136, 3))
def test_each_cgcs2000_zone_has_its_own_meridian(meridian: int) -> None:
    crs = pyproj.CRS.from_epsg(metre_srid(meridian, 35.0, "cgcs2000"))
    assert crs.coordinate_operation is not None
    parameters = {p.name: p.value for p in crs.coordinate_operation.params}
    assert parameters["Longitude of natural origin"] == meridian
    assert parameters["False easting"] == 500_000


@pytest.mark.parametrize(
    ("lon", "lat", "family"),
    [
        (-71.1, 42.4, "cgcs2000"),
        (120.0, -5.0, "cgcs2000"),
        (10.0, 85.0, "utm"),
        (200.0, 10.0, "utm"),
        (float("nan"), 10.0, "utm"),
    ],
)
def test_places_outside_are_refused(lon: float, lat: float, family: str) -> None:
    with pytest.raises(TopologyError):
        metre_srid(lon, lat, family)  # type: ignore[arg-type]


@pytest.mark.parametrize("crs", [None, 4326, 4490, 2249])
def test_degrees_feet_and_nothing_are_refused(crs: int | None) -> None:
    with pytest.raises(TopologyError):
        require_metres(crs)


@given(
    st.tuples(*[st.floats(-4.6e7, 4.6e7, allow_nan=False)] * 4),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_local_origin_is_taken_off_and_added_without_loss(
    corners: tuple[float, float, float, float], shares: list[float]
) -> None:
    bounds = (
        min(corners[0], corners[2]),
        min(corners[1], corners[3]),
        max(corners[0], corners[2]),
        max(corners[1], corners[3]),
    )
    origin = local_origin(bounds)
    for low, high, corner in zip(bounds[:2], bounds[2:], origin, strict=True):
        values = np.clip(low + np.array(shares) * (high - low), low, high)
        assert ((values - corner) + corner == values).all()
