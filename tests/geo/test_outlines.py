"""Residuals between parents made of children and the outlines that were delivered for them."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from geo.errors import TopologyError
from geo.outlines import RESIDUALS, residuals

SRID = 26986
FAR = (232_000.0, 900_000.0)


def squares(columns: int, rows: int, *, side: float = 10.0) -> gpd.GeoDataFrame:
    """A lattice of squares away from the origin; parent = 1 in the left half, 2 in the right."""
    x0, y0 = FAR
    shapes, parents = [], []
    for row in range(rows):
        for column in range(columns):
            x, y = x0 + column * side, y0 + row * side
            shapes.append(box(x, y, x + side, y + side))
            parents.append(1 if column < columns // 2 else 2)
    return gpd.GeoDataFrame(
        {"parent_id": parents, "households": np.arange(len(shapes), dtype=float)},
        geometry=shapes,
        crs=SRID,
    )


def outlines(shapes: dict[Any, Any]) -> gpd.GeoSeries:
    return gpd.GeoSeries(list(shapes.values()), index=list(shapes), crs=SRID)


def area(x: float, y: float, x1: float, y1: float) -> Any:
    return box(FAR[0] + x, FAR[1] + y, FAR[0] + x1, FAR[1] + y1)


def test_an_outline_along_the_children_leaves_nothing() -> None:
    cells = squares(4, 2)
    found = residuals(
        cells, outlines({1: area(0, 0, 20, 20), 2: area(20, 0, 40, 20)}), value="households"
    )
    assert list(found.columns) == list(RESIDUALS)
    assert found["grid_m2"].tolist() == [400.0, 400.0]
    assert found["residual_m2"].tolist() == [0.0, 0.0]
    assert found["residual_value"].tolist() == [0.0, 0.0]


def test_what_is_added_lost_and_outside_is_told_apart() -> None:
    cells = squares(4, 2)
    # 5 m into the right half, 4 m short at the left, 3 m beyond all cells at the bottom
    found = residuals(cells, outlines({1: area(4, -3, 25, 20)}), value="households").loc[1]
    assert found["grid_m2"] == 400.0
    assert found["outline_m2"] == pytest.approx(21 * 23)
    assert found["added_m2"] == pytest.approx(4 * 20)
    assert found["lost_m2"] == pytest.approx(5 * 20 + 21 * 3)
    assert found["outside_m2"] == pytest.approx(21 * 3)
    assert found["residual_m2"] == pytest.approx(80 + 100 + 63)
    assert found["added_value"] == pytest.approx(0.4 * (0 + 4))
    assert found["lost_value"] == pytest.approx(0.5 * (2 + 6))
    assert found["residual_value"] == pytest.approx(1.6 + 4.0)


def test_the_residual_is_the_area_of_the_symmetric_difference() -> None:
    cells = squares(6, 3)
    ring = shapely.Point(FAR[0] + 22, FAR[1] + 14).buffer(17)
    found = residuals(cells, outlines({2: ring})).loc[2]
    own = shapely.union_all(cells.loc[cells["parent_id"] == 2].geometry.to_numpy())
    assert found["residual_m2"] == pytest.approx(shapely.symmetric_difference(own, ring).area)
    assert np.isnan(found["residual_value"])


def test_order_and_index_of_the_outlines_are_kept_and_nothing_is_changed() -> None:
    cells = squares(4, 2).set_index(pd.Index(list("hgfedcba")))
    before = cells.copy()
    given_outlines = outlines({2: area(20, 0, 40, 20), 9: area(0, 0, 5, 5), 1: area(0, 0, 20, 20)})
    found = residuals(cells, given_outlines)
    assert found.index.tolist() == [2, 9, 1]
    assert found.loc[9, "grid_m2"] == 0.0
    assert found.loc[9, "lost_m2"] == pytest.approx(25.0)
    pd.testing.assert_frame_equal(cells, before)


def test_children_without_a_parent_count_for_nobody() -> None:
    cells = squares(4, 1)
    cells["parent_id"] = pd.array([1, None, 2, 2], dtype="Int64")
    found = residuals(cells, outlines({1: area(0, 0, 20, 10)}), value="households").loc[1]
    assert (found["grid_m2"], found["lost_m2"], found["outside_m2"]) == (100.0, 100.0, 0.0)
    assert found["lost_value"] == 1.0


def test_no_outline_gives_no_row_and_no_child_gives_everything_outside() -> None:
    assert residuals(squares(2, 1), outlines({})).empty
    found = residuals(squares(2, 1).iloc[:0], outlines({1: area(0, 0, 10, 10)})).loc[1]
    assert (found["grid_m2"], found["outside_m2"]) == (0.0, 100.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c, o: (c.to_crs(4326), o), "degrees"),
        (lambda c, o: (c, o.to_crs(32619)), "two reference systems"),
        (lambda c, o: (c.drop(columns="parent_id"), o), "parent_id"),
        (lambda c, o: (c, pd.concat([o, o])), "Two outlines"),
        (
            lambda c, o: (
                c,
                outlines({1: shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])}),
            ),
            "invalid",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(change: Any, words: str) -> None:
    cells, given_outlines = change(squares(2, 1), outlines({1: area(0, 0, 10, 10)}))
    with pytest.raises(TopologyError, match=words):
        residuals(cells, given_outlines)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-20, 60), st.floats(-20, 40), st.floats(0.1, 50), st.floats(0.1, 50)),
        min_size=2,
        max_size=2,
    )
)
def test_the_sums_balance_for_any_outline(rectangles: list[tuple[float, ...]]) -> None:
    cells = squares(4, 2)
    shapes = [area(x, y, x + width, y + height) for x, y, width, height in rectangles]
    found = residuals(cells, outlines(dict(zip((1, 2), shapes, strict=True))), value="households")
    kept = found["grid_m2"] - found["added_m2"]
    assert np.allclose(kept, found["outline_m2"] - found["lost_m2"], atol=1e-6)
    assert (found["outside_m2"] <= found["lost_m2"] + 1e-6).all()
    assert (found[["added_m2", "lost_m2", "outside_m2", "residual_value"]] >= 0).all(axis=None)
