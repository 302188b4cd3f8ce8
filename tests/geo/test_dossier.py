"""The dossier of a plan: the same bytes again, hostile names harmless, every part as it is told."""

from __future__ import annotations

import hashlib
import html.parser
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo.dossier import Content, Side, bundle, canonical, parts, sections
from geo.dossier.page import page
from tests.cities import HOSTILE, METRE_SRID

BASE = {"code": None, "level": 3, "parent": 21, "kind": "basic", "open_issues": 1}
EVEN = {
    "units": 2, "total": 30, "target": 15.0, "tolerance": 0.2, "least": 10.0, "most": 20.0,
    "mean_deviation": 0.3, "largest_deviation": 0.33, "within": 0, "within_share": 0.0,
}  # fmt: skip


def grid(name: str, households: int, verdict: str = "kept") -> dict[str, Any]:
    return {
        **BASE, "name": name, "verdict": verdict, "area_m2": 1e4, "households": households,
        "polsby_popper": 0.785, "within_500_m": 5, "within_1000_m": 9,
    }  # fmt: skip


def content(name: str = "第一网格", said: str = "请说明") -> Content:
    """Return a plan that gives a strip of 211 to 212."""
    east, north = 540_000.0, 4_165_000.0

    def strip(west: float, width: float) -> shapely.Polygon:
        return shapely.box(east + west, north, east + west + width, north + 100)

    before = gpd.GeoSeries([strip(0, 100), strip(100, 100)], index=[211, 212], crs=METRE_SRID)
    after = gpd.GeoSeries([strip(0, 60), strip(60, 140)], index=[211, 212], crs=METRE_SRID)
    pairs = pd.MultiIndex.from_tuples([(211, 212)], names=["old", "new"])
    row = {
        "old_code": None, "new_code": None, "area_m2": 4e3, "area_share_old": 0.4,
        "area_share_new": 0.286, "households_share_old": 0.4, "households_share_new": 0.2,
    }  # fmt: skip
    impact = {
        "units_old": 2, "units_new": 2, "same": 0, "cells_moved": 4, "moved_households": 8,
        "households": 30, "moved_area_m2": 4e3, "balance_old": EVEN, "balance_new": EVEN,
        "polsby_popper_old": 0.785, "polsby_popper_new": 0.7,
        "reach": {"stations": 1, "stations_moved": 0, "grids_without_station_old": 1,
                  "grids_without_station_new": 1},
        "open_issues": {"total": 3, "moved": 1},
        "posts": {"day": date(2026, 7, 1), "ended": 0, "changed": 1, "items": [
            {"post": 1, "grid": 211, "grid_name": name, "role": "worker", "part_time": False,
             "vacant": True, "state": "changed"}]},
        "grids": [{"grid": 211, "old": grid(name, 10), "new": grid(name, 2)},
                  {"grid": 212, "old": grid("二", 20), "new": grid("二", 28)}],
        "crosswalk": [{"old": 211, "old_name": name, "new": 212, "new_name": "二",
                       "households": 8, **row}],
    }  # fmt: skip
    return Content(
        city="岚屿市",
        card={"plan": 7, "name": name, "state": "draft", "base_seq": 1, "last_edit": 3,
              "rules": {}, "created_at": datetime(2026, 7, 1, tzinfo=UTC)},
        as_of={"day": date(2026, 7, 1), "net": 1, "vintage": "2026", "estimated": False},
        impact=impact,
        before=Side(before, {211: name, 212: "二"}),
        after=Side(after, {211: name, 212: "二"}),
        changed=frozenset({211, 212}),
        moved=gpd.GeoSeries([strip(60, 40)], index=pairs, crs=METRE_SRID),
        limits={211: {"before": {"zh": name, "en": name}, "after": None}},
        comments=[{"comment": 1, "answers": None, "grid": 211, "author": 2, "author_name": name,
                   "at": datetime(2026, 7, 2, tzinfo=UTC), "text": said, "resolved_at": None}],
    )  # fmt: skip


class Reader(html.parser.HTMLParser):
    """Notes the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(made: bytes) -> Reader:
    reader = Reader()
    reader.feed(made.decode())
    return reader


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_same_plan_gives_the_same_bytes(lang: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = parts(content(), lang)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    second = parts(content(), lang)
    assert first == second
    assert bundle(first) == bundle(second)
    assert first["dossier.html"] != parts(content("另一个"), lang)["dossier.html"]
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
    assert set(first) == {
        "manifest.json", "crosswalk.csv", "dossier.gpkg", "dossier.html", "dossier.pdf",
        "facts.json",
    }  # fmt: skip


def test_the_manifest_names_the_hash_of_each_part() -> None:
    made = parts(content(), "zh")
    manifest = json.loads(made["manifest.json"])
    assert made["manifest.json"] == canonical(manifest)
    listed = {one["name"]: one for one in manifest["parts"]}
    assert set(listed) == set(made) - {"manifest.json"}
    for name, one in listed.items():
        assert one["sha256"] == hashlib.sha256(made[name]).hexdigest()
        assert one["bytes"] == len(made[name])
    assert (manifest["plan"], manifest["last_edit"], manifest["base_seq"]) == (7, 3, 1)
    with zipfile.ZipFile(io.BytesIO(bundle(made))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == made


def test_the_package_holds_what_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "dossier.gpkg"
    file.write_bytes(parts(content(), "zh")["dossier.gpkg"])
    assert [name for name, _ in pyogrio.list_layers(file)] == [
        "before", "after", "moved", "crosswalk",
    ]  # fmt: skip
    after = gpd.read_file(file, layer="after").to_crs(METRE_SRID)
    assert after["grid"].tolist() == [211, 212]
    assert after["households"].tolist() == [2, 28]
    assert after.area.tolist() == pytest.approx([6000, 14000], rel=1e-6)
    moved = gpd.read_file(file, layer="moved").to_crs(METRE_SRID)
    assert moved[["old", "new"]].to_numpy().tolist() == [[211, 212]]
    assert moved.area.sum() == pytest.approx(4000, rel=1e-6)
    assert pyogrio.read_dataframe(file, layer="crosswalk")["households"].tolist() == [8]


HARMLESS = read(page(content(), "zh"))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_texts(name: str) -> None:
    made = parts(content(name, name), "zh")
    found = read(made["dossier.html"])
    assert found.tags == HARMLESS.tags
    assert found.attributes == HARMLESS.attributes
    assert "script" not in found.tags
    assert any(name in words for words in found.words)
    sheet = made["crosswalk.csv"].decode("utf-8-sig")
    if name.startswith(("=", "+", "-", "@")):
        assert f"'{name[0]}" in sheet
    assert made["dossier.pdf"].startswith(b"%PDF-")


@given(st.text(min_size=1, max_size=200))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_makes_a_page_and_a_print(name: str) -> None:
    known = content(
        name.encode("utf-8", "replace").decode(), name.encode("utf-8", "replace").decode()
    )
    assert read(page(known, "en")).tags == read(page(content(), "en")).tags
    from geo.dossier.sheets import paper

    assert paper(known, "en").endswith(b"%%EOF\n")


def test_a_long_comment_and_a_letter_beyond_the_basic_plane_are_printed() -> None:
    made = parts(content("𠮷网格", "长" * 2000), "zh")
    assert made["dossier.pdf"].startswith(b"%PDF-")
    assert "𠮷网格" in made["dossier.html"].decode()


def test_a_plan_that_changes_nothing_says_so() -> None:
    known = content()
    bare = gpd.GeoSeries([], index=pd.Index([], dtype="int64"), crs=METRE_SRID)
    pairs = pd.MultiIndex.from_arrays([[], []], names=["old", "new"])
    empty = Content(
        **{
            **known.__dict__,
            "impact": {**known.impact, "grids": [], "crosswalk": []},
            "before": Side(bare, {}), "after": Side(bare, {}), "changed": frozenset(),
            "moved": gpd.GeoSeries([], index=pairs, crs=METRE_SRID), "limits": {}, "comments": [],
        }
    )  # fmt: skip
    made = parts(empty, "zh")
    assert "没有网格发生变化。" in made["dossier.html"].decode()
    assert len(sections(empty, "zh")) == 7


def test_the_tables_say_what_the_plan_does() -> None:
    tables = {table.title: table for table in sections(content(), "en")}
    assert tables["Grids that change"].rows[0][:4] == (211, None, "第一网格", "kept")
    assert tables["Crosswalk of grids"].rows == (
        ("211 第一网格", "212 二", 8, "4,000.0", "40.0%", "20.0%"),
    )
    assert tables["Comments and answers"].rows[0][4:6] == ("2026-07-02 00:00", "请说明")


def test_posts_of_grids_that_end_say_where_they_go() -> None:
    said = content()
    ended = {"post": 2, "grid": 213, "grid_name": "三", "role": "worker", "role_name": "网格员",
             "role_name_en": "Grid worker", "vacant": False, "state": "ended"}  # fmt: skip
    open_ = {**ended, "settled": False, "to_grid": None, "to_name": None}
    gone = {**ended, "settled": True, "to_grid": None, "to_name": None}
    goes = {**ended, "settled": True, "to_grid": 212, "to_name": "二"}
    kept = said.impact["posts"]["items"]
    posts = {**said.impact["posts"], "items": [*kept, open_, gone, goes]}
    said = replace(said, impact={**said.impact, "posts": posts})
    for lang, role, words in (
        ("zh", "网格员", ["尚未确定", "转为空缺", "212 二"]),
        ("en", "Grid worker", ["not said yet", "becomes vacant", "212 二"]),
    ):
        table = next(one for one in sections(said, lang) if one.columns[0] in ("岗位", "Post"))
        assert [row[5] for row in table.rows] == [None, *words]
        assert [row[1] for row in table.rows] == ["worker", role, role, role]
