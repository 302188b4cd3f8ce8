"""The catalogue is complete, and every reader gets the language that was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from api import i18n
from api.rendering import ROLES
from geo.terms import Role
from tests.api.conftest import World

API = Path(i18n.__file__).parent
TEXTS = {"marked": None, "gettext": None, "_": None, "ngettext": (1, 2)}
CALLED = re.compile(r"""\bt\(\s*(["'`])((?:(?!\1).)*)\1""")
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
HAN = re.compile(r"[一-鿿]")
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:?!]|[,;:?!(][\u4e00-\u9fff]")
SAME_IN_CHINESE = {"m", "km", "km²", "Wangge"}
"""Messages whose Chinese form need not hold a Chinese character."""


def extracted(folder: Path = API) -> dict[str, str]:
    """Return each message with the first place where it stands: pages, code, what geo says."""
    found: dict[str, str] = {}
    rows = extract_from_dir(
        folder,
        method_map=[("templates/**.html", "jinja2"), ("**.py", "python")],
        options_map={"templates/**.html": {"newstyle_gettext": "true", "silent": "false"}},
        keywords=TEXTS,
        comment_tags=(),
    )
    for file, line, message, _, _ in rows:
        for one in (message,) if isinstance(message, str) else message:
            found.setdefault(one, f"{file}:{line}")
    said = extract_from_dir(
        folder.parent / "geo", method_map=[("**.py", "python")], keywords={"phrase": None}
    )
    for file, line, message, _, _ in said:
        found.setdefault(str(message), f"geo/{file}:{line}")
    return found


def faults(catalogue: Catalog, wanted: Iterable[str]) -> list[str]:
    """Return what is wrong with a catalogue, one line each."""
    wanted = set(wanted)
    kept: dict[str, Message] = {str(message.id): message for message in catalogue if message.id}
    told = [f"missing: {message}" for message in sorted(wanted - set(kept))]
    told += [f"used nowhere: {message}" for message in sorted(set(kept) - wanted)]
    for message in kept.values():
        text = str(message.string or "")
        if not text:
            told.append(f"empty: {message.id}")
        elif message.fuzzy:
            told.append(f"fuzzy: {message.id}")
        elif sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(str(message.id))):
            told.append(f"other placeholders: {message.id}")
        elif HALF_WIDTH.search(text):
            told.append(f"half-width punctuation: {message.id}")
        elif (
            not HAN.search(text)
            and message.id not in SAME_IN_CHINESE
            and re.search("[a-z]", PLACEHOLDER.sub("", str(message.id)))
        ):
            told.append(f"no Chinese: {message.id}")
    return told


def test_the_chinese_catalogue_is_complete() -> None:
    assert faults(i18n.catalogue("zh"), extracted()) == []


def test_the_extraction_finds_templates_and_code() -> None:
    found = extracted()
    assert "templates" in found["Sign out"]
    assert found["Nothing is there"].startswith("errors.py")
    assert len(found) > 50


def test_a_faulty_catalogue_is_found() -> None:
    text = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "a %(n)s"
msgstr "甲 %(m)s"

msgid "b"
msgstr ""

#, fuzzy
msgid "c"
msgstr "丙"

msgid "d"
msgstr "d"

msgid "f"
msgstr "\u5df1, \u5df2"
"""
    catalogue = read_po(BytesIO(text.encode()), locale="zh")
    assert faults(catalogue, ["a %(n)s", "b", "c", "e", "f"]) == [
        "missing: e",
        "used nowhere: d",
        "other placeholders: a %(n)s",
        "empty: b",
        "fuzzy: c",
        "no Chinese: d",
        "half-width punctuation: f",
    ]


def test_english_wordings_are_of_messages_that_exist() -> None:
    kept = {str(message.id) for message in i18n.catalogue("en") if message.id}
    assert kept <= set(extracted())


def calls() -> Iterator[tuple[str, str]]:
    """Yield each message that a script asks for, and the script."""
    for path in sorted((API / "static" / "js").rglob("*.js")):
        for _, message in CALLED.findall(path.read_text(encoding="utf-8")):
            yield message, path.name


def test_scripts_ask_for_words_that_pages_bring() -> None:
    """`t("...")` in a script has its line in _strings.html, and the other way round."""
    sheets = sorted((API / "templates").glob("_strings*.html"))
    template = "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    brought = set(re.findall(r'^  "((?:[^"\\]|\\.)*)": _\("\1"', template, re.MULTILINE))
    lines = re.findall(r"^  \".*\":.*$", template, re.MULTILINE)
    assert len(lines) == len(
        re.findall(r'^  "((?:[^"\\]|\\.)*)": _\("\1"', template, re.MULTILINE)
    ), "every line says the message twice"
    asked = {message for message, _ in calls()}
    assert len(asked) > 20
    assert sorted(asked - brought) == []
    assert sorted(brought - asked) == []


KIND_OF_FINDING = re.compile(r"""(?:Finding\(\s*[\w.]+,|\bdefect\()\s*"([a-z_]+)\"""")


def test_what_an_import_finds_has_its_word_on_the_page() -> None:
    """Each kind of finding of geo/repair and of the imports has a word, not its code."""
    geo = API.parent / "geo"
    folders = ("repair", "files", "importing", "store/importing")
    sources = [file for folder in folders for file in (geo / folder).glob("*.py")]
    kinds = {
        kind
        for file in sources
        if file.name not in {"city.py", "hierarchy.py", "outlines.py", "extract.py"}
        for kind in KIND_OF_FINDING.findall(file.read_text(encoding="utf-8"))
    }
    assert {"open_gap", "needle", "crumbs", "no_moment"} <= kinds
    script = (API / "static/js/page/import-steps.js").read_text(encoding="utf-8")
    words = script.split("const FINDINGS = ", 1)[1].split("});", 1)[0]
    told = set(re.findall(r"\b([a-z_]+): t\(", words))
    assert sorted(kinds - told) == []


# ---- which language ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "cookie", "accepted", "language"),
    [
        ({}, {}, None, "zh"),
        ({}, {}, "en", "en"),
        ({}, {}, "en-GB,en;q=0.9", "en"),
        ({}, {}, "zh-CN,en;q=0.9", "zh"),
        ({}, {}, "fr,de;q=0.9", "zh"),
        ({}, {}, "fr, en;q=0.2", "en"),
        ({}, {}, "zh;q=0, en;q=0.1", "en"),
        ({}, {}, ";;;q=,x", "zh"),
        ({}, {"wangge_lang": "en"}, "zh", "en"),
        ({}, {"wangge_lang": "<script>"}, "en", "en"),
        ({"lang": "zh"}, {"wangge_lang": "en"}, "en", "zh"),
        ({"lang": "xx"}, {"wangge_lang": "en"}, "zh", "en"),
    ],
)
def test_the_order_of_wishes(
    query: dict[str, str], cookie: dict[str, str], accepted: str | None, language: str
) -> None:
    assert i18n.language_of(query, cookie, accepted, "zh") == language


def test_an_asked_language_is_remembered(world: World) -> None:
    client = world.client()
    assert '<html lang="zh-CN">' in client.get("/signin").text
    answer = client.get("/signin?lang=en")
    assert '<html lang="en">' in answer.text and "wangge_lang=en" in answer.headers["set-cookie"]
    assert '<html lang="en">' in client.get("/signin").text
    assert '<html lang="zh-CN">' in client.get("/signin?lang=zh").text
    assert '<html lang="zh-CN">' in client.get("/signin?lang=xx").text


def test_every_role_has_a_word() -> None:
    assert set(ROLES) == set(Role)
