"""Addresses: what is read, what is never kept, what is matched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.addresses import Address, Gazetteer, read, score_of

WITHIN = ("岚屿市", "东岚街道", "松岭社区")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("松林路12号", "松林路/12//"),
        ("松林路１２号", "松林路/12//"),
        ("松林路 12 号", "松林路/12//"),
        ("松林路十二号", "松林路/12//"),
        ("松林路一百零二号", "松林路/102//"),
        ("松林路一二号", "松林路/12//"),
        ("松林路12", "松林路/12//"),
        ("松林路12号对面", "松林路/12//"),
        ("松林路（东段）12号", "松林路/12//"),
        ("松林路12号-1", "松林路/12-1//"),
        ("松林路12号附1号", "松林路/12-1//"),
        ("松林路12之1号", "松林路/12-1//"),
        ("松林路甲12号", "松林路/12甲//"),
        ("松林路12号甲", "松林路/12甲//"),
        ("松林路12号院5号楼", "松林路/12//5"),
        ("松林路12号5栋", "松林路/12//5"),
        ("松林路12号5幢", "松林路/12//5"),
        ("松林路12号5座", "松林路/12//5"),
        ("松林路12号5#", "松林路/12//5"),
        ("松林路12号5＃楼", "松林路/12//5"),
        ("松林路12号五号楼", "松林路/12//5"),
        ("松林路12号望潮家园5号楼", "松林路/12/望潮家园/5"),
        ("望潮家园5号楼", "//望潮家园/5"),
        ("望潮家园5-2-301", "//望潮家园/5"),
        ("望潮家园二期3栋", "//望潮家园2期/3"),
        ("环海大道88号万达广场A座", "环海大道/88/万达广场/A"),
        ("中山二路8号", "中山2路/8//"),
        ("杏林一巷3号", "杏林1巷/3//"),
        ("柳岸村56号", "/56/柳岸村/"),
        ("虹桥路123弄45号", "虹桥路/123弄//45"),
        ("320国道15号", "320国道/15//"),
        ("新都市场路3号", "新都市场路/3//"),
        ("第一人民医院", "//第一人民医院/"),
        ("山东省岚屿市东岚街道松岭社区松林路12号", "松林路/12//"),
        ("东岚街道松林路12号", "松林路/12//"),
        ("123 Main Street", "main street/123//"),
        ("123 MAIN ST.", "main street/123//"),
        ("123 Main St, Cambridge, MA 02139", "main street/123//"),
        ("Main Street 123", "main street/123//"),
        ("45-47 N Harvard St", "north harvard street/45-47//"),
        ("12 Elm Ave W", "elm avenue west/12//"),
        ("7 St Paul St", "st paul street/7//"),
        ("Hauptstraße 12a, 10115 Berlin", "hauptstrasse/12a//"),
        ("77 Massachusetts Ave Bldg 10", "massachusetts avenue/77//10"),
        ("5 ½ Hill Rd", "hill road/5-half//"),
        ("Broadway", "broadway///"),
    ],
)
def test_one_key_for_all_ways_of_writing(text: str, key: str) -> None:
    assert read(text, within=WITHIN).key == key


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("松林路12号望潮家园5号楼2单元301室", "松林路12号望潮家园5号楼"),
        ("松林路12号5号楼2单元301室 张三", "松林路12号5号楼"),
        ("望潮家园5-2-301", "望潮家园5号楼"),
        ("松林路12-3-301", "松林路12号3号楼"),
        ("松林路12号301室", "松林路12号"),
        ("松林路12号三楼", "松林路12号3号楼"),
        ("松林路12号张三", "松林路12号"),
        ("松林路12号5号楼张三13800138000", "松林路12号5号楼"),
        ("望潮家园5号楼301户王小明", "望潮家园5号楼"),
        ("虹桥路123弄45号601室", "虹桥路123弄45号"),
        ("环海大道88号万达广场A座1201", "环海大道88号万达广场A号楼"),
        ("松林路12号13800138000", "松林路12号"),
        ("东门小卖部 王某", "东门小卖部"),
        ("东门小卖部，王小明13800138000", "东门小卖部"),
        ("松林路12号 望潮家园 5号楼 欧阳小明", "松林路12号望潮家园5号楼"),
        ("岚屿市 东岚街道 松林路 12号 李四", "松林路12号"),
        ("13800138000", ""),
        ("110101199003077758", ""),
        ("123 Main St Apt 4B", "123 Main Street"),
        ("123 Main St #4, John Doe", "123 Main Street"),
        ("Apt 3, 12 Elm Ave", "12 Elm Avenue"),
        ("1 Broadway, Suite 300", "1 Broadway"),
        ("Mannerheimintie 5 B 12", "5b Mannerheimintie"),
        ("617-555-0199", ""),
    ],
)
def test_nothing_of_a_household_is_kept(text: str, kept: str) -> None:
    found = read(text, within=WITHIN)
    assert found.text == kept
    assert found.cut or found.text == "松林路12号3号楼"


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    found = read(text)
    assert len(found.key.split("/")) == 4
    assert len(found.text) <= 2 * 200
    assert not any(len(run) > 6 for run in _runs_of_digits(found.text))


@given(
    st.sampled_from(["松林路", "环海大道", "杏林1巷", "柳溪"]),
    st.integers(1, 999),
    st.sampled_from(["", "望潮家园", "海棠小区"]),
    st.integers(0, 60),
)
def test_what_is_kept_reads_the_same_again(
    street: str, number: int, estate: str, part: int
) -> None:
    first = read(f"{street}{number}号{estate}{f'{part}号楼' if part else ''}3单元502室")
    assert first.cut
    again = read(first.text)
    assert (again.key, again.cut) == (first.key, False)


def _runs_of_digits(text: str) -> list[str]:
    return "".join(one if one.isdigit() else " " for one in text).split()


def test_blank_and_endless_texts_are_no_addresses() -> None:
    assert not read("").known
    assert not read(" \x00 ").known
    assert not read("松" * 201).known
    assert read("松" * 201).cut


KNOWN = {
    1: "松林路12号",
    2: "松林路14号",
    3: "松林路16号望潮家园1号楼",
    4: "松林路16号望潮家园2号楼",
    5: "松林街12号",
    6: "环海大道88号",
    7: "望潮家园1号楼",
}
PLACES = {1: "a", 2: "b", 3: "c", 4: "d", 5: "e", 6: "f", 7: "c"}


@pytest.fixture(scope="module")
def city() -> Gazetteer:
    return Gazetteer({label: read(text).key for label, text in KNOWN.items()}, PLACES)


@pytest.mark.parametrize(
    ("text", "state", "label"),
    [
        ("松林路12号", "matched", 1),
        ("松林路十四号2单元101", "matched", 2),
        ("望潮家园2栋", "matched", 4),
        ("松林路16号2号楼", "matched", 4),
        ("望潮家园1号", "matched", 7),
        ("松林路16号", "several", 3),
        ("松林路", "several", 1),
        ("松琳路12号", "several", 1),
        ("松林路18号", "several", 3),
        ("环海大路88号", "several", 6),
        ("北京路9号", "none", None),
        ("", "none", None),
    ],
)
def test_matching(city: Gazetteer, text: str, state: str, label: int | None) -> None:
    found = city.find(read(text))
    assert found.state == state
    labels = [one.label for one in found.candidates]
    places = [PLACES[one] for one in labels]
    assert PLACES[label] in places if label else not labels
    if state == "matched":
        assert PLACES[labels[0]] == PLACES[label or 0]


def test_a_place_with_two_addresses_is_one_candidate(city: Gazetteer) -> None:
    found = city.find(read("望潮家园1号楼"))
    assert found.state == "matched"
    assert [PLACES[one.label] for one in found.candidates].count("c") == 1


def test_what_somebody_decided_is_the_place() -> None:
    keys = {1: read("松林路12号").key, 2: read("老供销社").key}
    decided = Gazetteer(keys, {1: "a", 2: "b"}, frozenset({2}))
    assert decided.find(read("老供销社")).candidates[0].label == 2
    assert decided.find(read("老供销社")).state == "matched"


def test_scores_fall_with_each_difference() -> None:
    wanted = read("松林路12号望潮家园5号楼")
    scores = [
        score_of(wanted, read(text))
        for text in (
            "松林路12号望潮家园5号楼",
            "松林路12号5号楼",
            "松林路12号望潮家园6号楼",
            "松林路15号望潮家园6号楼",
            "环海大道1号",
        )
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 100.0
    assert scores[-1] < 30.0


def test_a_key_stands_for_its_address() -> None:
    one = read("松林路12号望潮家园5号楼")
    assert Address.of_key(one.key).key == one.key
    assert Address.of_key("").known is False
