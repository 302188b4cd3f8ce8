"""The hierarchy names all its defects; boundaries of a whole net rise from the cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import HierarchyError, TopologyError
from geo.grids import AREA_COLUMNS, boundaries, hierarchy, leaves, net_boundaries, parent_faults
from tests.coverages import lattice, nearest_labels, voronoi


def table(*rows: tuple[int, int, int | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["grid_id", "level", "parent_id"])
    return frame.astype({"parent_id": "Int64"})


def test_ancestors_stand_in_their_columns() -> None:
    grids = table((1, 1, None), (9, 3, 5), (5, 2, 1), (7, 2, 1))
    grids.index = pd.Index([40, 41, 42, 43])
    found = hierarchy(grids)
    assert found.columns.tolist() == list(AREA_COLUMNS)
    assert found.index.tolist() == [40, 41, 42, 43]
    assert found.loc[41, ["area_1", "area_2", "area_3"]].tolist() == [1, 5, 9]
    assert found.loc[43, ["area_1", "area_2"]].tolist() == [1, 7]
    assert found[["area_4", "area_5", "area_6"]].isna().all(axis=None)
    assert found.loc[40, ["area_2", "area_3"]].isna().all()
    assert leaves(grids).tolist() == [False, True, False, True]


def test_six_levels_and_none_at_all() -> None:
    chain = table(*[(n, n, n - 1 if n > 1 else None) for n in range(1, 7)])
    assert hierarchy(chain).iloc[-1].tolist() == [1, 2, 3, 4, 5, 6]
    assert len(hierarchy(chain.iloc[:0])) == 0


def test_all_defects_are_told_at_once() -> None:
    grids = table(
        (1, 1, None),
        (2, 2, 1),
        (2, 2, 1),
        (3, 3, 1),
        (4, 3, 99),
        (5, 2, None),
        (6, 1, 1),
        (7, 7, 3),
        (10, 2, 11),
        (11, 2, 12),
        (12, 2, 10),
        (13, 3, 13),
    )
    with pytest.raises(HierarchyError) as error:
        hierarchy(grids)
    told = "\n".join(error.value.data["defects"])
    for words in (
        "grid 2 stands 2 times",
        "grid 3 of level 3 has parent 1 of level 1, not of 2",
        "grid 4 has parent 99, which is unknown",
        "grid 5 of level 2 has no parent",
        "grid 6 is at the top and has a parent, 1",
        "grid 7 has level 7, which is not 1 to 6",
        "grids [10, 11, 12] are their own ancestors",
        "grids [13] are their own ancestors",
    ):
        assert words in told
    assert all(line in str(error.value) for line in error.value.data["defects"])


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_ancestors_are_found_by_climbing(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, int | None]] = [(1, 1, None)]
    for grid in range(2, n + 1):
        parent, level, _ = rows[rng.integers(len(rows))]
        if level < 6:
            rows.append((grid, level + 1, parent))
    order = rng.permutation(len(rows))
    found = hierarchy(table(*[rows[k] for k in order]))
    parent_of = {grid: parent for grid, _, parent in rows}
    for position, k in enumerate(order):
        path: list[int] = []
        above: int | None = rows[k][0]
        while above is not None:
            path.insert(0, above)
            above = parent_of[above]
        assert found.iloc[position].dropna().tolist() == path


def test_the_boundaries_of_a_net_rise_from_its_cells() -> None:
    cells = lattice(4, 2)
    grid_of_cell = pd.Series([21, 21, 12, 12, 22, 22, 12, 12])
    grids = table((1, 1, None), (11, 2, 1), (12, 2, 1), (21, 3, 11), (22, 3, 11))
    found = net_boundaries(cells, grid_of_cell, grids)
    assert found.index.tolist() == [1, 11, 12, 21, 22]
    assert found.area.tolist() == [80_000, 40_000, 40_000, 20_000, 20_000]
    assert parent_faults(found[[11]], found[[21, 22]], pd.Series([11, 11])).empty


def test_cells_and_leaves_must_fit() -> None:
    grids = table((1, 1, None), (11, 2, 1), (12, 2, 1))
    with pytest.raises(HierarchyError) as error:
        net_boundaries(lattice(3, 1), pd.Series([11, 1, 77]), grids)
    assert error.value.data["defects"] == [
        "cells lie in grid 77, which is unknown",
        "cells lie in grid 1, which has children",
        "grid 12 has neither cells nor children",
    ]


def test_parents_that_are_not_their_children_are_told() -> None:
    cells = voronoi(300)
    grids = nearest_labels(cells, 24)
    children = boundaries(cells, grids)
    parent_of = pd.Series(children.index // 6)
    parents = boundaries(children, parent_of)
    assert parent_faults(parents, children, parent_of).empty
    moved = parents.copy()
    moved[1] = shapely.transform(moved[1], lambda xy: xy + 1e-9)
    assert parent_faults(moved, children, parent_of).empty
    moved[1] = shapely.transform(parents[1], lambda xy: xy + np.array([1e-3, 0.0]))
    moved[2] = shapely.difference(parents[2], parents[2].representative_point().buffer(5))
    moved[99] = shapely.box(0, 0, 10, 10)
    found = parent_faults(moved.drop(3), children, parent_of)
    assert found.index.tolist() == [1, 2, 3, 99]
    assert found.loc[1, "missing_m2"] > 0 and found.loc[1, "excess_m2"] > 0
    assert found.loc[2, "excess_m2"] == pytest.approx(78, abs=1)
    assert found.loc[2, "missing_m2"] == 0
    assert found.loc[3, "reason"] == "has children and no boundary"
    assert found.loc[99, ["missing_m2", "reason"]].tolist() == [100.0, "has no children"]


def test_children_that_overlap_are_measured_all_the_same() -> None:
    children = lattice(2, 1)
    children[0] = children[0].buffer(10, join_style="mitre")
    parents = boundaries(lattice(2, 1), pd.Series([5, 5]))
    found = parent_faults(parents, children, pd.Series([5, 5]))
    assert found.loc[5, "excess_m2"] == pytest.approx(120 * 120 - 100 * 100 - 10 * 100)
    with pytest.raises(TopologyError):
        parent_faults(parents.to_crs(4326), children, pd.Series([5, 5]))
