"""Sentences keep their pattern through records, frames, JSON and jails, and are said again."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict

import geopandas as gpd
import pandas as pd
import shapely
from shapely import box

from geo.errors import FileRefusedError
from geo.findings import Finding, the_row
from geo.repair import examine
from geo.saying import Said, at, both, in_words, packed, phrase, unpacked

CHINESE = {
    "%(n)s rows left out": "略去 %(n)s 行",
    "%(place)s: %(what)s": "%(place)s：%(what)s",
    "%(one)s %(two)s": "%(one)s%(two)s",
    "row %(n)s": "第 %(n)s 行",
}


def chinese(pattern: str) -> str:
    return CHINESE.get(pattern, pattern)


def test_a_sentence_is_its_english_text() -> None:
    said = at("a.shp", phrase("%(n)s rows left out", n=f"{1200:,}"))
    assert said == "a.shp: 1,200 rows left out"
    assert in_words(said, chinese) == "a.shp：略去 1,200 行"
    assert in_words(both(said, "as it is"), chinese) == "a.shp：略去 1,200 行as it is"


def test_percent_signs_and_slots_of_values_are_themselves() -> None:
    said = phrase("100 % of %(name)s", name="%(n)s rows left out %d")
    assert said == "100 % of %(n)s rows left out %d"
    assert in_words(said, chinese) == said


def test_a_sentence_stays_one_wherever_it_is_carried() -> None:
    said = phrase("%(n)s rows left out", n=3)
    for carried in (
        copy.deepcopy(said),
        str(said),
        asdict(Finding("a", "b", the_row(3), said))["done"],
        pd.Series([said], dtype=object).iloc[0],
        unpacked(json.loads(json.dumps(packed([said]))))[0],
        FileRefusedError("odd", [said]).data["defects"][0],
    ):
        assert isinstance(carried, Said)
        assert in_words(carried, chinese) == "略去 3 行"


def test_packed_data_is_plain_and_said_without_unpacking() -> None:
    data = {"a": [at("b", phrase("%(n)s rows left out", n=2)), 7, None], "say": "a column"}
    plain = json.loads(json.dumps(packed(data)))
    assert plain["say"] == "a column"
    assert in_words(plain, chinese) == {"a": ["b：略去 2 行", 7, None], "say": "a column"}
    assert in_words(data, chinese) == in_words(plain, chinese)


def test_sentences_without_end_are_cut() -> None:
    deep: object = "core"
    for _ in range(500):
        deep = {"say": "%(x)s", "with": {"x": deep}}
    assert isinstance(unpacked(deep), Said)
    assert isinstance(in_words(deep, chinese), str)


def test_what_a_repair_finds_can_be_said() -> None:
    shapes = [
        box(0, 0, 10, 10),
        box(9, 0, 20, 10),
        shapely.from_wkt("POLYGON((0 20,9 29,9 20,0 29,0 20))"),
    ]
    mended = examine(gpd.GeoSeries(shapes, index=["a", "b", "c"], crs=4549))
    assert len(mended.defects)
    assert all(isinstance(one, Said) for one in mended.defects["done"])
