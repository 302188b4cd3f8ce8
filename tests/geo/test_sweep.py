"""What a polygon and a brush take, and what they refuse."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pytest
import shapely

from geo.errors import InvalidInputError
from geo.redraw import sweep

CELLS = gpd.GeoSeries(
    [shapely.box(10 * x, 10 * y, 10 * x + 10, 10 * y + 10) for y in range(3) for x in range(3)],
    crs=4549,
)


def taken(area: Any, rule: str = sweep.POINT) -> list[int]:
    return [place for place, one in enumerate(sweep.swept(CELLS, area, rule)) if one]


def test_a_cell_goes_by_its_point_or_by_its_larger_part() -> None:
    assert taken(shapely.box(0, 0, 20, 10)) == [0, 1]
    thin = shapely.box(0, 4.9, 30, 5.1)
    assert taken(thin) == [0, 1, 2]
    assert taken(thin, sweep.LARGER) == []
    around = shapely.box(0, 0, 16, 10).difference(shapely.box(14, 4, 16, 6))
    assert taken(around, sweep.LARGER) == [0, 1]
    with pytest.raises(InvalidInputError):
        taken(thin, "all")


def test_a_brush_takes_what_lies_within_its_radius() -> None:
    way = shapely.LineString([(5, 5), (25, 5)])
    assert taken(sweep.brush(way, 1)) == [0, 1, 2]
    assert taken(sweep.brush(way, 9.9)) == [0, 1, 2]
    assert taken(sweep.brush(way, 10.1)) == [0, 1, 2, 3, 4, 5]
    assert taken(sweep.brush(shapely.Point(15, 15), 3)) == [4]
    for radius in (0, -1, 1e9, float("nan"), True, "5"):
        with pytest.raises(InvalidInputError):
            sweep.brush(way, radius)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "told",
    [
        None, [], {"type": "Point", "coordinates": [1, 2]}, {"type": "Polygon"},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, "1"], [0, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [999, 1], [0, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [float("nan"), 1], [0, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0]] * 6000]},
        {"type": "Polygon", "coordinates": []},
    ],
)  # fmt: skip
def test_what_is_no_sound_area_is_refused(told: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        sweep.drawn(told, "within")
    assert refused.value.data["field"] == "within"
