"""A village becomes a community: its next code comes from another range, those below it follow."""

from __future__ import annotations

import geopandas as gpd
import pytest
import shapely

from geo import publishing
from geo.errors import CodeFormatError, InvalidInputError
from geo.profiles import load_profile
from geo.redraw.edits import redraw
from geo.redraw.scene import Change, GridFacts, Scene, as_rows, inverse, of_rows
from tests.cities import METRE_SRID

DIVISION = next(one for one in load_profile("cn").schemes if one.code == "division")
VILLAGE = GridFacts(2, 1, "松岭村", "basic")


def scene() -> Scene:
    return Scene({1: GridFacts(1, None, "东岚街道", "basic"), 11: VILLAGE}, {}, 3)


def test_the_edit_says_range_name_and_kind_and_is_taken_back() -> None:
    args = {"grid": 11, "code_range": "default", "name": "松岭社区", "kind": "basic"}
    change = redraw("recode", args, scene())
    assert change.grids == {
        11: GridFacts(2, 1, "松岭社区", "basic", code_range="default"),
    }
    assert of_rows(as_rows(change)) == change
    assert inverse(scene(), change) == Change({}, {11: VILLAGE})
    with pytest.raises(InvalidInputError):
        redraw("recode", {"grid": 11}, scene())


def table(code_range: str | None) -> gpd.GeoDataFrame:
    codes = ["990101001000", "990101001201", "990101001001"]
    return gpd.GeoDataFrame(
        {
            "grid_id": [1, 11, 12], "level": [1, 2, 2], "parent_id": [None, 1, 1],
            "kind": "basic", "code": codes, "code_range": [None, code_range, None],
        },
        geometry=[shapely.box(k, 0, k + 1, 1) for k in range(3)], crs=METRE_SRID,
    )  # fmt: skip


def codes_of(code_range: str | None) -> list[str]:
    grids = table(code_range)
    ever = dict(zip(grids["code"], grids["grid_id"], strict=True)) | {"990101001007": 99}
    levels = ["subdistrict", "community", "grid"]
    made = publishing.codes(
        grids, DIVISION, levels, given={"county": "990101"}, ever=ever, moved=()
    )
    return made.tolist()


def test_its_next_code_comes_from_the_range_and_was_never_given_before() -> None:
    assert codes_of(None)[1] == "990101001201"
    assert codes_of("default") == ["990101001000", "990101001008", "990101001001"]
    assert codes_of("villagers")[1] == "990101001201", "it is of this range already"
    with pytest.raises(CodeFormatError, match="no numbers for"):
        codes_of("seaside")
