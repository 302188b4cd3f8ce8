"""The limits in words: squares reckoned by hand, odd shapes, the demo city."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from shapely.affinity import rotate

from geo import grids as topology
from geo.demo import generate
from geo.errors import TopologyError
from geo.limits_text import limits
from tests.cities import METRE_SRID, line, square, tiny_dataset


def _grids(*rows: tuple[int, int, int | None, str, Any]) -> gpd.GeoDataFrame:
    frame = pd.DataFrame(
        [row[:4] for row in rows], columns=["grid_id", "level", "parent_id", "name"]
    )
    return gpd.GeoDataFrame(frame, geometry=[row[4] for row in rows], crs=METRE_SRID)


def _lines(*rows: tuple[str | None, str, Any]) -> gpd.GeoDataFrame:
    frame = pd.DataFrame([row[:2] for row in rows], columns=["name", "kind"])
    return gpd.GeoDataFrame(frame, geometry=[row[2] for row in rows], crs=METRE_SRID)


NOTHING = _lines()
PAIR = (
    (1, 1, None, "东岚街道", square(0, 0, 4, 2)),
    (11, 2, 1, "甲社区", square(0, 0, 2, 2)),
    (12, 2, 1, "乙社区", square(2, 0, 2, 2)),
)


def test_streets_first_then_neighbours_then_the_limits_of_the_city() -> None:
    streets = _lines(
        ("环海大道", "arterial", line((0, 2), (4, 2))), (None, "path", line((0, 0), (4, 0)))
    )
    told = limits(_grids(*PAIR), streets, city="岚屿市")
    assert told.loc[1, "zh"] == "东至乙社区，南至市界，西至市界，北至环海大道"
    assert told.loc[2, "en"] == (
        "East to the city limits; south to the city limits; west to 甲社区; north to 环海大道"
    )
    assert told.loc[0, "zh"].startswith("东至市界")


@pytest.mark.parametrize(
    ("city", "limit"),
    [("梁山县", "县界"), ("东城区", "区界"), ("Cambridge", "辖区边界"), ("", "辖区边界")],
)
def test_the_limits_are_called_after_the_city(city: str, limit: str) -> None:
    assert limits(_grids(*PAIR), NOTHING, city=city).loc[0, "zh"] == "，".join(
        f"{side}至{limit}" for side in "东南西北"
    )


def test_the_two_longest_of_a_side_are_named_and_short_ones_are_not() -> None:
    grid = _grids((1, 1, None, "甲", square(0, 0, 10, 1)))
    north = _lines(
        ("长街", "local", line((0, 1), (6, 1))),
        ("短街", "local", line((6, 1), (9, 1))),
        ("末巷", "path", line((9, 1), (10, 1))),
    )
    assert limits(grid, north).loc[0, "zh"].endswith("北至长街、短街")
    short = _lines(("末巷", "path", line((9, 1), (10, 1))))
    assert limits(grid, short, city="县").loc[0, "zh"].endswith("北至县界")


def test_a_street_of_a_third_of_the_side_goes_before_a_longer_neighbour() -> None:
    grids = _grids((1, 1, None, "甲", square(0, 0, 10, 1)), (2, 1, None, "乙", square(0, 1, 10, 1)))
    part = _lines(("半街", "local", line((0, 1), (4, 1))))
    assert limits(grids, part).loc[0, "zh"].endswith("北至半街、乙")
    less = _lines(("半街", "local", line((0, 1), (3, 1))))
    assert limits(grids, less).loc[0, "zh"].endswith("北至乙、半街")


def test_lines_across_or_away_from_the_border_do_not_limit() -> None:
    grid = _grids((1, 1, None, "甲", square(0, 0)))
    across = _lines(
        ("横街", "arterial", line((0.5, 0.9), (0.5, 3))),
        ("远街", "arterial", line((0, 1.2), (1, 1.2))),
    )
    assert limits(grid, across, city="市").loc[0, "zh"].endswith("北至市界")


def test_a_river_is_named_by_its_bank_and_from_within_and_before_its_promenade() -> None:
    grids = _grids((1, 1, None, "甲", square(0, 0, 4, 2)), (2, 1, None, "乙", square(0, 2, 4, 2)))
    river = square(-1, 1.5, 6, 1.0)
    banks = _lines(("河滨步道", "path", line((0, 2), (4, 2))), ("岚河", "river", river))
    told = limits(grids, banks)
    assert told.loc[0, "zh"].endswith("北至岚河")
    assert "南至岚河" in told.loc[1, "zh"]
    wide = _lines(("大湖", "water", shapely.MultiPolygon([square(-9, -9, 30, 30)])))
    assert limits(grids, wide).loc[0, "zh"].endswith("北至大湖")


def test_lines_in_parts_do_not_run_between_their_parts() -> None:
    grid = _grids((1, 1, None, "甲", square(0, 0, 4, 1)))
    parts = shapely.MultiLineString([line((-2, 1), (-1, 1)), line((5, 1), (6, 1))])
    assert "断街" not in limits(grid, _lines(("断街", "local", parts))).loc[0, "zh"]


def test_a_neighbour_of_another_parent_is_told_with_it() -> None:
    grids = _grids(
        (1, 1, None, "甲社区", square(0, 0, 2, 1)),
        (2, 1, None, "乙社区", square(2, 0, 2, 1)),
        (11, 2, 1, "第1网格", square(0, 0)),
        (12, 2, 1, "第2网格", square(1, 0)),
        (21, 2, 2, "第1网格", square(2, 0)),
    )
    told = limits(grids, NOTHING)
    assert told.loc[2, "zh"].startswith("东至第2网格")
    assert told.loc[3, "zh"].startswith("东至乙社区第1网格")
    assert told.loc[3, "en"].startswith("East to 第1网格 of 乙社区")
    # community 2 is divided on its west alone: beyond its own grid lies the community itself
    assert "西至甲社区第2网格" in told.loc[4, "zh"]


def test_an_undivided_neighbour_is_told_by_the_level_above() -> None:
    grids = _grids(
        (1, 1, None, "甲社区", square(0, 0)),
        (2, 1, None, "乙社区", square(1, 0)),
        (11, 2, 1, "第1网格", square(0, 0)),
    )
    assert limits(grids, NOTHING).loc[2, "zh"].startswith("东至乙社区")


def test_every_side_is_told_whatever_the_shape() -> None:
    triangle = shapely.Polygon([(0, 0), (300, 100), (300, -100)])
    diamond = rotate(square(0, 0), 45)
    ring = square(0, 0, 3, 3).difference(square(1, 1))
    islands = shapely.MultiPolygon([square(5, 5), square(8, 8)])
    for shape in (triangle, diamond, ring, islands, square(0, 0, 0.1, 0.1)):
        words = limits(_grids((1, 1, None, "甲", shape)), NOTHING, city="市").loc[0, "zh"]
        assert words == "东至市界，南至市界，西至市界，北至市界"


def test_holes_are_no_limits() -> None:
    inner = square(1, 1)
    grids = _grids(
        (1, 1, None, "外", square(0, 0, 3, 3).difference(inner)), (2, 1, None, "内", inner)
    )
    told = limits(grids, NOTHING, city="市")
    assert "内" not in told.loc[0, "zh"]
    assert told.loc[1, "zh"] == "东至外，南至外，西至外，北至外"


def test_degrees_and_missing_columns_are_refused() -> None:
    with pytest.raises(TopologyError):
        limits(_grids(*PAIR).to_crs(4326), NOTHING)
    with pytest.raises(TopologyError):
        limits(_grids(*PAIR), NOTHING.to_crs(4326) if len(NOTHING) else _lines(
            ("街", "local", line((0, 0), (1, 0)))
        ).to_crs(4326))  # fmt: skip
    with pytest.raises(TopologyError):
        limits(_grids(*PAIR).drop(columns="name"), NOTHING)


def test_nothing_is_changed_and_no_grids_have_no_limits() -> None:
    grids, lines = _grids(*PAIR), _lines(("街", "local", line((0, 2), (4, 2))))
    before = grids.copy(), lines.copy()
    first, second = limits(grids, lines), limits(grids, lines)
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(grids, before[0])
    pd.testing.assert_frame_equal(lines, before[1])
    assert limits(grids.iloc[:0], lines).empty


def _of(city: Any) -> tuple[gpd.GeoDataFrame, pd.DataFrame]:
    shapes = topology.net_boundaries(city.cells.geometry, city.cells["grid_id"], city.grids)
    grids = gpd.GeoDataFrame(city.grids, geometry=shapes.to_numpy(), crs=city.cells.crs)
    columns = ["name", "kind", "geometry"]
    both = pd.concat([city.streets[columns], city.barriers[columns]], ignore_index=True)
    return grids, limits(grids, gpd.GeoDataFrame(both, crs=city.cells.crs), city=city.name)


def test_the_tiny_city() -> None:
    grids, told = _of(tiny_dataset())
    words = dict(zip(grids["grid_id"], told["zh"], strict=True))
    assert (
        words[121] == "东至松林路，南至市界，西至松岭社区第一网格、松岭社区第二网格，北至滨海铁路"
    )
    assert "北至环海大道" in words[1111]
    assert "南至环海大道" in words[1112]


def test_the_demo_city_names_a_street_on_most_sides() -> None:
    city = generate(1, "small", issues=10)
    grids, told = _of(city)
    streets = set(city.streets["name"]) | set(city.barriers["name"].dropna())
    leaves = told[(grids["level"] == 3).to_numpy()]["zh"]
    sides = [side for words in leaves for side in words.split("，")]
    assert len(sides) == 4 * len(leaves)
    named = [side for side in sides if any(name in streets for name in side[2:].split("、"))]
    assert len(named) > 0.6 * len(sides)


def test_the_limits_of_some_grids_are_those_of_all() -> None:
    streets = _lines(("长街", "local", shapely.LineString([(0, 100), (300, 100)])))
    grids = _grids(*PAIR)
    whole = limits(grids, streets, city="市")
    assert len(whole) > 1
    for label in grids.index:
        pd.testing.assert_frame_equal(
            limits(grids, streets, city="市", of=[label]), whole.loc[[label]]
        )
