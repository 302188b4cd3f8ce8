"""Rebase and difference without a database: three small nets, every kind of conflict once."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import publishing
from geo.errors import InvalidInputError
from geo.profiles import load_profile
from geo.redraw.scene import GridFacts
from tests.cities import METRE_SRID

TREE = {
    1: GridFacts(1, None, "甲街道", "basic"),
    10: GridFacts(2, 1, "一", "basic"),
    11: GridFacts(2, 1, "二", "basic"),
    12: GridFacts(2, 1, "三", "basic"),
}


def cells(**sides: list[int]) -> pd.DataFrame:
    """Return the cells 1, 2, 3 ... with their leaves on each side."""
    frame = pd.DataFrame(sides)
    return frame.set_index(frame.index + 1).rename_axis("cell_id")


def said(facts: GridFacts, **other: object) -> GridFacts:
    """Return facts with something else in them."""
    return GridFacts(**{**facts.__dict__, **other})


def test_what_one_side_alone_changes_is_taken() -> None:
    frame = cells(base=[10, 10, 11], mine=[11, 10, 11], theirs=[10, 12, 11])
    mine = {**TREE, 10: said(TREE[10], name="新名")}
    theirs = {**TREE, 10: said(TREE[10], kind="dedicated")}
    done = publishing.rebase(frame, TREE, mine, theirs, {})
    assert done.conflicts == []
    assert done.owners.tolist() == [11, 12, 11]
    assert (done.grids[10].name, done.grids[10].kind) == ("新名", "dedicated")
    assert done.taken == {10, 12}, "what is otherwise than in my plan: its authors look again"


def test_what_both_change_alike_is_no_conflict() -> None:
    frame = cells(base=[10], mine=[11], theirs=[11])
    both = {**TREE, 11: said(TREE[11], name="同")}
    done = publishing.rebase(frame, TREE, both, both, {})
    assert (done.conflicts, done.owners.tolist(), done.grids[11].name) == ([], [11], "同")


def test_conflicts_of_cells_are_groups_and_are_decided_one_by_one() -> None:
    frame = cells(base=[10, 10, 10], mine=[11, 11, 12], theirs=[12, 12, 11])
    done = publishing.rebase(frame, TREE, TREE, TREE, {})
    assert [(one.key, one.cells) for one in done.conflicts] == [
        ("cells:11:12", (1, 2)), ("cells:12:11", (3,)),
    ]  # fmt: skip
    half = publishing.rebase(frame, TREE, TREE, TREE, {"cells:11:12": "theirs"})
    assert [one.key for one in half.conflicts] == ["cells:12:11"]
    whole = publishing.rebase(frame, TREE, TREE, TREE, {"cells:11:12": "theirs", "*": "mine"})
    assert whole.owners.tolist() == [12, 12, 12]
    assert whole.conflicts == []


def test_a_grid_that_one_side_ends_and_the_other_fills() -> None:
    frame = cells(base=[10, 11], mine=[10, 10], theirs=[12, 11])
    theirs = {grid: facts for grid, facts in TREE.items() if grid != 10}
    done = publishing.rebase(frame, TREE, TREE, theirs, {})
    assert [one.key for one in done.conflicts] == ["grid:10:ended"]
    ended = publishing.rebase(frame, TREE, TREE, theirs, {"grid:10:ended": "theirs"})
    assert ended.grids[10].ended
    assert ended.owners.tolist() == [12, 11], "cells of an ended grid go where theirs has them"
    kept = publishing.rebase(frame, TREE, TREE, theirs, {"grid:10:ended": "mine"})
    assert not kept.grids[10].ended
    assert kept.owners.tolist() == [12, 10]


def test_a_grid_that_they_end_and_nobody_else_touches_ends() -> None:
    frame = cells(base=[10, 11], mine=[10, 11], theirs=[12, 11])
    theirs = {grid: facts for grid, facts in TREE.items() if grid != 10}
    done = publishing.rebase(frame, TREE, TREE, theirs, {})
    assert (done.conflicts, done.grids[10].ended) == ([], True)


def test_a_new_grid_of_either_side_stands() -> None:
    frame = cells(base=[10, 11], mine=[20, 11], theirs=[10, 21])
    mine = {**TREE, 20: GridFacts(2, 1, "我", "basic")}
    theirs = {**TREE, 21: GridFacts(2, 1, "他", "basic")}
    done = publishing.rebase(frame, TREE, mine, theirs, {})
    assert done.conflicts == []
    assert {20, 21} <= set(done.grids)
    assert done.owners.tolist() == [20, 21]
    assert 21 in done.taken


def test_a_broken_grid_is_taken_whole_from_one_side() -> None:
    frame = cells(base=[10, 11, 11], mine=[11, 11, 12], theirs=[10, 10, 11])
    done = publishing.rebase(frame, TREE, TREE, TREE, {}, [11])
    assert [one.key for one in done.conflicts] == ["whole:11"]
    theirs = publishing.rebase(frame, TREE, TREE, TREE, {"whole:11": "theirs"}, [11])
    assert theirs.owners.tolist() == [10, 10, 11]
    with pytest.raises(InvalidInputError):
        publishing.check_choices({"whole:11": "both"})


LEAVES = st.sampled_from([10, 11, 12])
NAMES = st.sampled_from(["一", "二", "三"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(LEAVES, LEAVES, LEAVES), min_size=1, max_size=12),
    st.tuples(NAMES, NAMES, NAMES),
)
def test_all_theirs_is_their_net_and_all_mine_is_my_plan_on_it(
    rows: list[tuple[int, int, int]], names: tuple[str, str, str]
) -> None:
    frame = cells(**{
        side: [row[place] for row in rows] for place, side in enumerate(("base", "mine", "theirs"))
    })  # fmt: skip
    base, mine, theirs = ({**TREE, 10: said(TREE[10], name=name)} for name in names)
    took = publishing.rebase(frame, base, mine, theirs, {"*": "theirs"})
    kept = publishing.rebase(frame, base, mine, theirs, {"*": "mine"})
    for own, at_base, here, there in zip(
        took.owners, frame["base"], frame["mine"], frame["theirs"], strict=True
    ):
        assert own == (there if there != at_base else here)
    for own, at_base, here, there in zip(
        kept.owners, frame["base"], frame["mine"], frame["theirs"], strict=True
    ):
        assert own == (here if here != at_base else there)
    assert took.conflicts == kept.conflicts == []
    assert took.grids[10].name == (names[2] if names[2] != names[0] else names[1])


def tree(rows: list[tuple[int, int, int | None]]) -> pd.DataFrame:
    """Return grids: number, level, parent."""
    frame = pd.DataFrame(rows, columns=["grid_id", "level", "parent_id"])
    frame["name"], frame["kind"] = frame["grid_id"].astype(str), "basic"
    return frame.astype({"parent_id": "Int64"})


OLD = [(1, 1, None), (2, 1, None), (11, 2, 1), (12, 2, 1), (21, 2, 2)]


def test_only_grids_between_which_cells_move_get_other_borders() -> None:
    moved = pd.DataFrame({"cell_id": [5, 6], "source": [11, 11], "target": [12, 12]})
    found = publishing.difference(tree(OLD), tree(OLD), moved)
    assert (found.redrawn, found.written, found.ended) == ([11, 12], [11, 12], [])
    across = pd.DataFrame({"cell_id": [5], "source": [11], "target": [21]})
    assert publishing.difference(tree(OLD), tree(OLD), across).redrawn == [1, 2, 11, 21]


def test_a_name_writes_a_run_and_no_border_a_parent_both() -> None:
    none = pd.DataFrame({"cell_id": [], "source": [], "target": []}, dtype="int64")
    new = tree(OLD)
    new.loc[new["grid_id"] == 11, "name"] = "改"
    found = publishing.difference(tree(OLD), new, none)
    assert (found.redrawn, found.written) == ([], [11])
    moved = tree([*OLD[:2], (11, 2, 2), *OLD[3:]])
    found = publishing.difference(tree(OLD), moved, none)
    assert (found.redrawn, found.written) == ([1, 2], [1, 2, 11])


def test_a_leaf_that_is_divided_keeps_its_border() -> None:
    new = tree([*OLD, (111, 3, 11), (112, 3, 11)])
    moved = pd.DataFrame({"cell_id": [5, 6], "source": [11, 11], "target": [111, 112]})
    found = publishing.difference(tree(OLD), new, moved)
    assert (found.redrawn, found.written) == ([111, 112], [111, 112])


def test_codes_follow_the_parent_and_an_own_one_is_taken_up_again() -> None:
    scheme = next(one for one in load_profile("cn").schemes if one.code == "unit-net")
    levels = ["subdistrict", "community", "grid"]
    facts = [
        (1, 1, None, "990101001"), (11, 2, 1, "990101001001"),
        (12, 2, 1, "990101001002"), (111, 3, 11, "990101001001001"),
        (112, 3, 12, "990101001001002"), (113, 3, 12, None),
    ]  # fmt: skip
    frame = gpd.GeoDataFrame(
        pd.DataFrame(facts, columns=["grid_id", "level", "parent_id", "code"]),
        geometry=[shapely.box(k, 0, k + 1, 1) for k in range(len(facts))],
        crs=METRE_SRID,
    )
    frame["kind"] = "basic"
    frame["parent_id"] = frame["parent_id"].astype("Int64")
    ever = {code: grid for grid, _, _, code in facts if code} | {"990101001002004": 112}
    made = publishing.codes(
        frame, scheme, levels, given={"county": "990101"}, ever=ever, moved={112, 113}
    )
    assert made.tolist() == [
        "990101001", "990101001001", "990101001002", "990101001001001", "990101001002004",
        "990101001002005",
    ]  # fmt: skip


def test_a_level_without_numbers_leaves_the_codes_below_it_alone() -> None:
    scheme = next(one for one in load_profile("cn").schemes if one.code == "evaluation")
    facts = [
        (1, 1, None, "990101001"), (2, 1, None, "990101002"), (11, 2, 1, None), (21, 2, 2, None),
        (111, 3, 11, "99010100101A"), (112, 3, 11, "99010100102A"), (211, 3, 21, "99010100201A"),
    ]  # fmt: skip
    frame = gpd.GeoDataFrame(
        pd.DataFrame(facts, columns=["grid_id", "level", "parent_id", "code"]),
        geometry=[shapely.box(k, 0, k + 1, 1) for k in range(len(facts))],
        crs=METRE_SRID,
    ).assign(kind="basic", type="A")
    frame["parent_id"] = frame["parent_id"].astype("Int64")
    ever = {code: grid for grid, _, _, code in facts if code}
    levels = ["subdistrict", "community", "grid"]

    def made(moved: set[int]) -> list[str]:
        given = {"county": "990101"}
        return publishing.codes(
            frame, scheme, levels, given=given, ever=ever, moved=moved
        ).dropna().tolist()  # fmt: skip

    assert made(set()) == made({112}) == [code for _, _, _, code in facts if code]
    frame.loc[frame["grid_id"] == 11, "parent_id"] = 2
    assert made({11})[2:4] == ["99010100202A", "99010100203A"]
