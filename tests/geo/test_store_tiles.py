"""Addresses of tiles and keys of borders."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from geo.errors import InvalidInputError
from geo.store.derived import SQUARE_SIZES_M
from geo.store.nets import Moment
from geo.store.tiles import MOST_ZOOM, SQUARE_SIDES_M, WORLD_M, Tile, topology_key

AT = Moment(
    1, "tiny", "cn", 4549, "Asia/Shanghai", date(2026, 1, 1), 1, date(2026, 1, 1), b"h", "2026"
)


@given(st.data(), st.integers(0, MOST_ZOOM))
def test_the_box_of_a_tile_is_its_square_in_mercator(data: st.DataObject, z: int) -> None:
    x, y = (data.draw(st.integers(0, 2**z - 1)) for _ in range(2))
    west, south, east, north = Tile(z, x, y).box()
    turn = Transformer.from_crs(4326, 3857, always_xy=True)
    left, low = turn.transform(west, south)
    right, top = turn.transform(east, north)
    side = WORLD_M / 2**z
    assert right - left == pytest.approx(side, rel=1e-6)
    assert top - low == pytest.approx(side, rel=1e-6)
    assert left == pytest.approx(-WORLD_M / 2 + x * side, abs=0.01)
    assert top == pytest.approx(WORLD_M / 2 - y * side, abs=0.01)


def test_a_margin_widens_the_box_and_stays_on_the_globe() -> None:
    inner, outer = Tile(3, 4, 2).box(), Tile(3, 4, 2).box(0.5)
    assert outer[0] < inner[0]
    assert outer[1] < inner[1]
    assert outer[2] > inner[2]
    assert outer[3] > inner[3]
    assert all(math.isfinite(side) for side in Tile(0, 0, 0).box(1.0))
    assert Tile(0, 0, 0).box(1.0)[::2] == (-180.0, 180.0)


@pytest.mark.parametrize(
    ("z", "x", "y"), [(-1, 0, 0), (23, 0, 0), (2, 4, 0), (2, 0, 4), (2, -1, 0), (0, 0, 1)]
)
def test_other_addresses_are_refused(z: int, x: int, y: int) -> None:
    with pytest.raises(InvalidInputError):
        Tile(z, x, y)


def test_the_key_of_borders_changes_with_what_they_depend_on() -> None:
    keys = {
        topology_key(at, level)
        for at in (AT, replace(AT, slug="other"), replace(AT, seq=2), replace(AT, net_hash=b"i"))
        for level in (1, 2, None)
    }
    assert len(keys) == 12
    assert topology_key(AT, 1, overview=True) not in keys
    assert topology_key(replace(AT, day=date(2027, 1, 1), vintage=None), 1) == topology_key(AT, 1)


def test_every_square_that_tiles_show_is_reckoned() -> None:
    assert {side for _, side in SQUARE_SIDES_M} == set(SQUARE_SIZES_M)
