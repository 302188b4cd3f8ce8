"""The limits in words: on the card, in the list, in the file, on paper and at the door."""

from __future__ import annotations

import csv
import io

import httpx

from tests.api.conftest import HOME, World

BASE = f"/api/v1/cities/{HOME}"
WORDS = "东至松林路，南至市界，西至松岭社区第一网格、松岭社区第二网格，北至滨海铁路"


def test_a_card_and_a_list_tell_the_limits_in_both_languages(reader: httpx.Client) -> None:
    card = reader.get(f"{BASE}/grids/121").json()
    assert card["limits"]["zh"] == WORDS
    assert card["limits"]["en"].startswith("East to 松林路; south to the city limits;")
    listed = reader.get(f"{BASE}/grids", params={"level": 3}).json()["items"]
    assert {one["grid"]: one["limits"] for one in listed}[121] == card["limits"]
    assert all(one["limits"]["zh"].count("至") >= 4 for one in listed)


def test_the_file_has_a_column_for_each_language(reader: httpx.Client) -> None:
    text = reader.get(f"{BASE}/grids", params={"f": "csv"}).text.removeprefix("\ufeff")
    rows = {row["grid"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows["121"]["limits_zh"] == WORDS
    assert rows["121"]["limits_en"].startswith("East to")
    assert "limits" not in rows["121"]


def test_paper_table_and_door_tell_the_limits_in_the_reader_s_language(
    reader: httpx.Client,
) -> None:
    code = reader.get(f"{BASE}/grids/121").json()["code"]
    for path in (
        f"/net/table?city={HOME}",
        f"/print/net?city={HOME}&grid=121",
        f"/door/{code}?city={HOME}",
        f"/door/{code}/sheet?city={HOME}",
    ):
        joined = f"{path}{'&' if '?' in path else '?'}"
        assert WORDS in reader.get(f"{joined}lang=zh").text, path
        assert "East to 松林路; south to the city limits" in reader.get(f"{joined}lang=en").text, (
            path
        )


def test_a_city_that_was_not_written_yet_has_none(own_world: World) -> None:
    with own_world.migrated.engine.begin() as owner:
        owner.exec_driver_sql("DELETE FROM net_limit")
    with own_world.client() as client:
        assert client.get(f"{BASE}/grids/121").json()["limits"] is None
        assert client.get(f"/print/net?city={HOME}&grid=121").status_code == 200
