"""Stations as a workbook: in the reader's language, understood when it comes back."""

from __future__ import annotations

import httpx

from geo import sheets
from geo.files.proposing import SUBJECTS
from tests.api.conftest import HOME, two_cities

PATH = f"/api/v1/cities/{HOME}/stations.xlsx"


def test_all_stations_are_in_the_workbook(reader: httpx.Client) -> None:
    answer = reader.get(PATH, params={"lang": "zh"})
    assert answer.status_code == 200
    assert "-stations-" in answer.headers["content-disposition"]
    header, *rows = sheets.read(answer.content)
    assert [one for one in header if one] == [
        "名称",
        "类型",
        "地址",
        "开放时间",
        "建筑面积",
        "容量",
        "状态",
        "经度",
        "纬度",
    ]
    stations = two_cities()[0].stations
    assert [row[0] for row in rows] == stations.sort_values("station_id")["name"].tolist()
    assert {row[6] for row in rows} <= {"规划", "在建", "开放", "关闭"}
    english = sheets.read(reader.get(PATH, params={"lang": "en"}).content)
    assert english[0][0] == "name" and {row[6] for row in english[1:]} == set(stations["stage"])


def test_its_columns_are_those_that_an_import_proposes(reader: httpx.Client) -> None:
    known = {word for words in SUBJECTS["stations"].values() for word in words}
    for language in ("zh", "en"):
        header = sheets.read(reader.get(PATH, params={"lang": language}).content)[0]
        assert set(header) - {None} <= known
