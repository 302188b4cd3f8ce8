"""Columns about persons are recognised by heading and by content, and nothing of them leaks."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.errors import DeliveryError
from geo.files import guard
from tests.offered import areas, write

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
MADE_UP_NAMES = [
    "张伟",
    "王秀英",
    "李娜",
    "刘洋",
    "陈静",
    "欧阳修文",
    "赵敏",
    "孙丽",
    "周杰",
    "吴磊",
]
PLACES = [
    "王家庄",
    "张村",
    "李家沟",
    "刘集",
    "陈各庄",
    "阳光花园",
    "和平里",
    "高新区",
    "孙家疃",
    "马路",
]


def identity_number(place: int, birth: str, order: int) -> str:
    """Return a made-up identity number with its check digit."""
    digits = f"{place:06d}{birth}{order:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(digits, WEIGHTS, strict=True))
    return digits + "10X98765432"[total % 11]


@pytest.mark.parametrize(
    ("heading", "about"),
    [
        ("姓名", "name"),
        ("户主姓名", "name"),
        ("联系人", "name"),
        ("网格员", "name"),
        ("身份证号", "identity"),
        ("证件号码", "identity"),
        ("联系电话", "phone"),
        ("手机", "phone"),
        ("重点人员", "person"),
        ("低保", "person"),
        ("低保户数", "person"),
        ("计生", "person"),
        ("残疾", "person"),
        ("信访", "person"),
        ("上访人员", "name"),
        ("出生日期", "person"),
        ("OWNER_NAME", "name"),
        ("ownerName", "name"),
        ("firstName", "name"),
        ("Phone 1", "phone"),
        ("e-mail", "email"),
        ("DOB", "person"),
        ("contact_person", "name"),
        ("sfzh", "identity"),
        ("名称", None),
        ("网格编码", None),
        ("户数", None),
        ("人口", None),
        ("网格员数", None),
        ("业主委员会", None),
        ("name", None),
        ("NAME10", None),
        ("geoid", None),
        ("cell_id", None),
        ("telegraph_hill", None),
        ("page", None),
        ("village", None),
        ("address", None),
        ("值班电话", None),
        ("热线", None),
        ("社区名称", None),
        ("层数", None),
        ("建筑年代", None),
    ],
)
def test_headings(heading: str, about: str | None) -> None:
    found = guard.by_heading(heading)
    if heading == "上访人员":
        assert found is not None
    else:
        assert found == about


@given(
    place=st.sampled_from([110105, 370602, 440305, 650104]),
    birth=st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 12, 31)),
    order=st.integers(0, 999),
)
def test_every_identity_number_is_recognised_and_one_with_a_wrong_digit_is_none(
    place: int, birth: Any, order: int
) -> None:
    number = identity_number(place, birth.strftime("%Y%m%d"), order)
    assert guard.has_identity_number(number)
    assert guard.has_identity_number(f"证号：{number.lower()}。")
    wrong = str((int(number[16]) + 1) % 10)
    assert not guard.has_identity_number(number[:16] + wrong + number[17])
    assert not guard.has_identity_number(number + "1")


def test_long_codes_are_no_identity_numbers() -> None:
    rng = np.random.default_rng(4)
    codes = [f"370602{value:012d}" for value in rng.integers(0, 10**12, 5_000)]
    assert guard.by_content(codes) is None


def test_one_identity_number_among_remarks_is_enough() -> None:
    remarks = ["空置"] * 400 + [f"租客 {identity_number(370602, '19800101', 12)}"]
    assert guard.by_content(remarks) == "identity"


@pytest.mark.parametrize(
    ("values", "about"),
    [
        (["13912345678", "15900001111", "18655556666"], "phone"),
        ([13912345678, 15900001111, 18655556666], "phone"),
        ([13912345678.0, 15900001111.0], "phone"),
        (["0535-6641234", "0535-6645678"], "phone"),
        (["+86 139 1234 5678"], "phone"),
        (["(617) 555-0134", "617-555-0188"], "phone"),
        (["甲 13912345678", "乙"], "phone"),
        (["someone@example.org", None], "email"),
        (MADE_UP_NAMES, "name"),
        (PLACES, None),
        ([f"130102001{n:02d}" for n in range(40)], None),
        (["370602001001", "370602001002"], None),
        (["3号楼", "4号楼", "5号楼"], None),
        ([1, 2, 3.5, None], None),
        (["A1", "B2"], None),
        (["2015-01-01 00:20:09", "2016-02-02 10:00:00"], None),
        (["121.4512345", "37.5123456"], None),
        ([], None),
        ([None, float("nan")], None),
    ],
)
def test_contents(values: list[object], about: str | None) -> None:
    assert guard.by_content(values) == about
    if not all(value is None for value in values):
        assert guard.by_column(pa.array(values, from_pandas=True)) == about


def test_what_is_about_persons_is_said_without_a_value(tmp_path: Path, layer: Any) -> None:
    numbers = [identity_number(370602, f"198{n}0101", n) for n in range(4)]
    frame = areas().assign(
        代号=numbers,
        备注=["李娜 13912345678", "空", "空", "空"],
        重点人员=["是", "否", "是", "否"],
        层数=[3, 4, 5, 6],
    )
    facts = layer(write(frame, tmp_path / "a.gpkg"))
    about = {column.name: column.about_person for column in facts.columns}
    assert about == {
        "code": None,
        "name": None,
        "代号": "identity",
        "备注": "phone",
        "重点人员": "person",
        "层数": None,
    }
    for column in facts.columns:
        assert bool(column.examples) == (column.about_person is None)
    told = str(facts)
    assert not any(number in told for number in numbers)
    assert "13912345678" not in told
    assert "李娜" not in told


def test_what_is_mapped_on_purpose_is_refused_unless_it_may_be_held(
    tmp_path: Path, read: Any
) -> None:
    frame = areas().assign(
        姓名=MADE_UP_NAMES[:4],
        值班电话=["13912345678", "15900001111", "18655556666", "13900001111"],
    )
    path = write(frame, tmp_path / "a.gpkg")
    with pytest.raises(DeliveryError, match="names of people"):
        read(path, columns={"name": "姓名"}, datum="wgs84")
    with pytest.raises(DeliveryError, match="telephone numbers"):
        read(path, columns={"code": "值班电话"}, datum="wgs84")
    wish = {"worker_name": "姓名", "duty_number": "值班电话"}
    assert (
        read(path, columns=wish, datum="wgs84").frame["worker_name"].tolist() == (MADE_UP_NAMES[:4])
    )


def test_persons_far_down_in_a_file_are_found_when_it_is_read(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "a.csv"
    plain = "".join(f"{n},ok\n" for n in range(21_000))
    persons = "".join(f"{n},13{n % 10}{n % 7}{n % 9}{n:04d}99\n" for n in range(2_000))
    path.write_text("code,memo\n" + plain + persons)
    with pytest.raises(DeliveryError, match="'memo' holds telephone numbers") as caught:
        read(path, columns={"code": "code", "name": "memo"})
    assert "1391234" not in caught.value.message


def test_the_guard_says_nothing_of_who_was_found() -> None:
    said = guard.refusal("name", "户主", "name")
    assert said is not None
    assert "take it out of the mapping" in said
