"""Encodings: GB18030 unless declared and decodable; a lying .cpg is noticed."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from geo.files.encoding import decide, of_text
from tests.offered import areas, collection, write

NAMES = ["友谊街社区居民委员会", "白䌷村", "湖㳇社区", "东里"]


def encoded(encoding: str) -> list[bytes]:
    """Return names in an encoding."""
    return [name.encode(encoding) for name in NAMES]


@pytest.mark.parametrize(
    ("texts", "declared", "used", "reason", "sure"),
    [
        (encoded("gb18030"), None, "GB18030", "undeclared", True),
        (encoded("gb18030"), "UTF-8", "GB18030", "declared_lies", True),
        (encoded("gb18030"), "ISO-8859-1", "GB18030", "declared_lies", True),
        (encoded("gb18030"), "1252", "GB18030", "declared_lies", True),
        (encoded("gb18030"), "GBK", "GB18030", "declared", True),
        (encoded("gb18030"), "nonsense", "GB18030", "declared_lies", True),
        (encoded("utf-8"), "UTF-8", "UTF-8", "declared", True),
        (encoded("utf-8"), None, "UTF-8", "utf8_by_bytes", True),
        (encoded("utf-8"), "936", "UTF-8", "declared_lies", True),
        ([b"Main Street"], None, "GB18030", "plain", True),
        ([b"Main Street"], "UTF-8", "UTF-8", "plain", True),
        (
            ["Málaga".encode("latin-1"), "Köln".encode("latin-1")],
            "ISO-8859-1",
            "ISO-8859-1",
            "declared",
            True,
        ),
        (
            ["Málaga".encode("latin-1"), "Köln".encode("latin-1")],
            None,
            "ISO-8859-1",
            "guessed",
            False,
        ),
        (["東里".encode("big5"), "臺北市".encode("big5")], "950", "BIG5", "declared", True),
        ([name.encode("gb18030")[:-1] for name in NAMES], None, "GB18030", "undeclared", True),
        ([name.encode()[:-1] for name in NAMES], "UTF-8", "UTF-8", "declared", True),
    ],
)
def test_what_bytes_say(
    texts: list[bytes], declared: str | None, used: str, reason: str, sure: bool
) -> None:
    fact = decide(texts, declared)
    assert (fact.used, fact.reason, fact.sure) == (used, reason, sure), fact.why


def test_the_one_word_that_is_valid_in_both_is_read_as_offices_write_it() -> None:
    assert decide(["联通".encode("gbk")], None).used == "GB18030"


@pytest.mark.parametrize("text", ["Museo de Peñón", "é", "東", "Łódź"])
def test_what_is_declared_and_decodes_is_believed_were_it_one_letter(text: str) -> None:
    fact = decide([b"plain", text.encode()], "UTF-8")
    assert (fact.used, fact.reason) == ("UTF-8", "declared"), fact.why


@pytest.mark.parametrize("text", ["东里", "里", "社区"])
def test_a_short_name_in_gbk_is_no_utf8_whatever_is_declared(text: str) -> None:
    fact = decide([text.encode("gb18030")], "UTF-8")
    assert (fact.used, fact.reason) == ("GB18030", "declared_lies"), fact.why


def test_geojson_with_a_single_letter_beyond_ascii_is_what_its_standard_says(
    tmp_path: Path, read: Any, understand: Any
) -> None:
    path = tmp_path / "a.geojson"
    told = json.loads(collection())
    told["features"][0]["properties"]["name"] = "Josée's"
    path.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    assert understand(path).layers[0].encoding.used == "UTF-8"
    assert read(path, columns={"name": "name"}, datum="wgs84").frame["name"].iloc[0] == "Josée's"


def test_a_lying_cpg_is_said_and_the_names_are_right(
    tmp_path: Path, read: Any, understand: Any
) -> None:
    path = write(areas(), tmp_path / "a.shp", encoding="GB18030")
    path.with_suffix(".cpg").write_text("UTF-8")
    found = understand(path)
    assert found.layers[0].encoding.reason == "declared_lies"
    assert "encoding" in {finding.kind for finding in found.findings}
    frame = read(path, columns={"name": "name"}, datum="wgs84").frame
    assert frame["name"].tolist() == ["东里", "西里", "南里", "北里"]


def test_geojson_in_gbk_is_read_and_said(tmp_path: Path, read: Any, understand: Any) -> None:
    path = tmp_path / "a.geojson"
    text = json.dumps(json.loads(collection()), ensure_ascii=False)
    path.write_bytes(text.encode("gb18030"))
    fact = understand(path).layers[0].encoding
    assert (fact.used, fact.reason) == ("GB18030", "undeclared")
    assert read(path, columns={"name": "name"}, datum="wgs84").frame["name"].iloc[0] == "东里"


def test_kml_in_gbk_is_read(tmp_path: Path, read: Any) -> None:
    path = write(areas(), tmp_path / "a.kml")
    text = re.sub("utf-8", "GBK", path.read_text(encoding="utf-8"), flags=re.IGNORECASE)
    path.write_bytes(text.encode("gb18030"))
    assert read(path, columns={"name": "Name"}, datum="wgs84").frame["name"].iloc[0] == "东里"


def test_bytes_that_are_no_utf8_in_a_geopackage_are_read(tmp_path: Path, read: Any) -> None:
    path = write(areas(), tmp_path / "a.gpkg", layer="a")
    with closing(sqlite3.connect(path)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE a SET name = CAST(x'B6ABC0EF' AS TEXT) WHERE fid = 1")
        database.commit()
    frame = read(path, columns={"name": "name"}, datum="wgs84").frame
    assert frame["name"].tolist() == ["东里", "西里", "南里", "北里"]


def test_somebody_may_know_better(tmp_path: Path, read: Any) -> None:
    frame = areas().assign(name=["東里", "西里", "南里", "北里"])
    path = write(frame, tmp_path / "a.shp", encoding="BIG5")
    path.with_suffix(".cpg").unlink()
    found = read(path, columns={"name": "name"}, datum="wgs84", encoding="BIG5").frame
    assert found["name"].tolist() == ["東里", "西里", "南里", "北里"]


@pytest.mark.parametrize(
    ("encoding", "used"),
    [("utf-8", "UTF-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("gb18030", "GB18030")],
)
def test_tables_are_read_in_their_encoding(
    encoding: str, used: str, tmp_path: Path, read: Any
) -> None:
    path = tmp_path / "a.csv"
    lines = "".join(f"{n},{name}\r\n" for n, name in enumerate(NAMES))
    path.write_text(f"代码,名称\r\n{lines}", encoding=encoding)
    assert of_text(path).used == used
    assert read(path, columns={"name": "名称"}).frame["name"].tolist() == NAMES
