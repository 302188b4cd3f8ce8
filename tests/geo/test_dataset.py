"""A dataset's check lists every defect in one message, and a sound city passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geo.dataset import (
    EXAMPLES,
    FRAMES,
    LOAD_ORDER,
    CityDataset,
    dtype_of,
    empty_frame,
    shaped,
)
from geo.errors import DatasetError
from geo.frames import OPTIONAL
from tests.cities import METRE_SRID, tiny_dataset


def defects(city: CityDataset) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        city.check()
    listed: list[str] = caught.value.data["defects"]
    assert all(defect in str(caught.value) for defect in listed)
    return listed


def with_frame(
    city: CityDataset, name: str, change: Callable[[pd.DataFrame], pd.DataFrame | None]
) -> CityDataset:
    frame = getattr(city, name).copy()
    changed = change(frame)
    return replace(city, **{name: frame if changed is None else changed})


def put(row: int, column: str, value: Any) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[row, column] = value

    return change


def test_a_sound_city_passes() -> None:
    tiny_dataset().check()


CHECKED_AT_THE_END = {("organisations", "station_id")}
"""Stations refer to organisations too; the database looks at this reference at the commit."""


def test_every_frame_is_loaded_after_what_it_refers_to() -> None:
    assert sorted(LOAD_ORDER) == sorted(FRAMES)
    for name, shape in FRAMES.items():
        for label, column in shape.columns.items():
            if column.refers_to is not None and (name, label) not in CHECKED_AT_THE_END:
                assert LOAD_ORDER.index(column.refers_to) <= LOAD_ORDER.index(name)
    assert {f.name for f in fields(CityDataset)} >= set(FRAMES)


@pytest.mark.parametrize("name", FRAMES)
def test_empty_frames_have_columns_dtypes_and_crs(name: str) -> None:
    frame = empty_frame(name, METRE_SRID)
    assert list(frame.columns) == list(FRAMES[name].columns)
    assert len(frame) == 0
    for column, kind in FRAMES[name].columns.items():
        assert str(frame[column].dtype) == dtype_of(kind)
    if FRAMES[name].geometry:
        assert isinstance(frame, gpd.GeoDataFrame)
        assert frame.crs.to_epsg() == METRE_SRID


def test_a_city_may_have_empty_frames() -> None:
    city = tiny_dataset()
    barren = {
        name: empty_frame(name, METRE_SRID)
        for name in (
            "posts",
            "workers",
            "stations",
            "issues",
            "streets",
            "barriers",
            "organisations",
            *OPTIONAL,
        )
    }
    replace(city, **barren).check()


def test_shaped_refuses_missing_and_unknown_columns() -> None:
    with pytest.raises(DatasetError, match="serves"):
        shaped("station_kinds", {"kind": [], "name": [], "name_en": []}, METRE_SRID)
    with pytest.raises(DatasetError, match="colour"):
        shaped(
            "station_kinds",
            {"kind": [], "name": [], "name_en": [], "serves": [], "colour": []},
            METRE_SRID,
        )


def test_shaped_drops_a_foreign_index_and_keeps_what_is_missing() -> None:
    frame = shaped(
        "posts",
        {
            "post_id": [1, 2],
            "worker_id": pd.Series([pd.NA, 7], index=[5, 9], dtype="Int64"),
            "grid_id": [3, 3],
            "role": ["worker", "head"],
            "valid_from": [date(2026, 1, 1), date(2026, 2, 1)],
            "valid_to": [pd.NaT, date(2026, 3, 1)],
            "part_time": [True, False],
        },
        METRE_SRID,
    )
    assert frame.index.equals(pd.RangeIndex(2))
    assert frame["worker_id"].isna().tolist() == [True, False]
    assert frame["valid_to"].isna().tolist() == [True, False]


def test_all_defects_stand_in_one_message() -> None:
    city = replace(tiny_dataset(), slug="Not A Slug", timezone="Mars/Olympus")
    city = with_frame(city, "streets", put(0, "kind", "motorway"))
    city = with_frame(city, "buildings", put(0, "households", -1))
    listed = defects(city)
    assert len(listed) == 4
    for part in ("slug", "timezone", "streets.kind", "buildings.households"):
        assert any(part in defect for defect in listed)


def test_a_long_list_is_cut_and_counted() -> None:
    def negate(frame: pd.DataFrame) -> None:
        frame["households"] = -1

    city = with_frame(tiny_dataset(), "buildings", negate)
    (defect,) = defects(city)
    assert defect.endswith(f"and {len(city.buildings) - EXAMPLES} more")


CASES: list[tuple[str, str, Callable[[pd.DataFrame], pd.DataFrame | None], str]] = [
    ("an id twice", "grids", put(1, "grid_id", 1), "grid_id repeats"),
    ("a blank name", "workers", put(0, "name", "  "), "workers.name: blank"),
    ("an id below one", "issues", put(0, "issue_id", 0), "below 1"),
    ("a strange index", "posts", lambda f: f.set_index(f.index + 1), "index"),
    ("a lost column", "cells", lambda f: f.drop(columns="grid_id"), "columns missing [grid_id]"),
    ("a column too many", "vintages", lambda f: f.assign(x=1), "unknown [x]"),
    ("a wrong dtype", "workers", lambda f: f.assign(worker_id=f["worker_id"] + 0.5), "dtype"),
    ("a lost worker", "posts", put(0, "worker_id", 999_999), "posts.worker_id: not in workers"),
    ("a lost grid", "cells", put(0, "grid_id", 999_999), "cells.grid_id: not in grids"),
    ("a lost class", "issues", put(0, "category", "Z99"), "issues.category: not in categories"),
    ("another kind of grid", "grids", put(0, "kind", "odd"), "grids.kind"),
    ("another CRS", "streets", lambda f: f.set_crs(3857, allow_override=True), "CRS"),
    ("an empty shape", "cells", put(0, "geometry", shapely.Polygon()), "cells.geometry: empty"),
    ("a point for a cell", "cells", put(0, "geometry", shapely.Point(1, 1)), "not Polygon"),
    ("ends before it begins", "posts", put(0, "valid_to", pd.Timestamp("2001-01-01")), "end"),
]


@pytest.mark.parametrize(
    ("name", "change", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_defects_of_frames(
    name: str, change: Callable[[pd.DataFrame], pd.DataFrame | None], message: str
) -> None:
    assert any(message in defect for defect in defects(with_frame(tiny_dataset(), name, change)))


def test_hierarchy_and_households() -> None:
    city = tiny_dataset()
    deepest = int(city.grids["level"].max())
    row = int(np.flatnonzero(city.grids["level"] == deepest)[0])
    top = int(city.grids["grid_id"][city.grids["level"] == 1].iloc[0])
    listed = defects(with_frame(city, "grids", put(row, "parent_id", top)))
    assert any("parent is not of the level above" in defect for defect in listed)
    twice = with_frame(city, "grids", lambda f: f.assign(name="同名"))
    assert any("same name" in defect for defect in defects(twice))
    more = with_frame(city, "buildings", put(0, "households", 12_345))
    assert any("households" in defect for defect in defects(more))


def test_ground() -> None:
    city = tiny_dataset()
    first = city.cells.geometry.iloc[0]
    grown = with_frame(city, "cells", put(0, "geometry", first.buffer(1.0, join_style="mitre")))
    assert any("not a coverage" in defect for defect in defects(grown))
    away = with_frame(
        city, "issues", put(0, "geometry", shapely.transform(first.centroid, lambda p: p + 9e4))
    )
    assert any("issues: outside their cell" in defect for defect in defects(away))
    torn = with_frame(city, "streets", lambda f: f.assign(from_node=f["from_node"] + 1_000_000))
    assert any("nodes and places differ" in defect for defect in defects(torn))
    grown.check(geometry=False)


def test_the_base_vintage_is_the_latest_that_is_not_seasonal() -> None:
    city = tiny_dataset()
    assert not city.vintages.set_index("vintage")["seasonal"][city.base_vintage]
    only_seasons = replace(city, vintages=city.vintages.assign(seasonal=True))
    with pytest.raises(DatasetError, match="seasonal"):
        _ = only_seasons.base_vintage


def test_a_body_is_at_one_place_and_a_compound_has_one_firm_at_a_time() -> None:
    city = with_frame(tiny_dataset(), "organisations", put(3, "building_id", 1))
    assert defects(city) == ["organisations: at more than one place: 4"]
    city = with_frame(
        tiny_dataset(), "compound_bodies", put(0, "valid_to", pd.Timestamp(2026, 4, 1))
    )
    assert defects(city) == ["compound_bodies: two at one time: 1"]
    city = with_frame(tiny_dataset(), "compound_bodies", put(0, "valid_to", pd.NaT))
    assert defects(city) == ["compound_bodies: two at one time: 1"]
    city = with_frame(
        tiny_dataset(), "compound_bodies", put(0, "valid_to", pd.Timestamp(2024, 1, 1))
    )
    assert defects(city) == ["compound_bodies: end before they begin: 1"]
