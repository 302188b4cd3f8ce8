"""The files of the pages agree with each other: words, modules, local assets, no unsafe calls."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api import i18n, statics
from maps import figure_layers, layers
from maps.page import LOCAL_COPIES

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "api" / "static"
TEMPLATES = ROOT / "api" / "templates"
SCRIPTS = sorted((STATIC / "js").rglob("*.js"))
STYLES = sorted((STATIC / "css").glob("*.css"))
WORD = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)+)"')
MARKED = re.compile(r'\b_\(\s*"((?:[^"\\]|\\.)+)"')
IMPORTED = re.compile(
    r"""(?m)(?:^(?:import|export)\b[^;"']*?\bfrom|\bimport\()\s*["']([^"']+)["']"""
)
OUTSIDE = re.compile(r"""["'(](?:https?:)?//[\w.-]+\.\w""")
UNSAFE = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b|\.html\(|"
    r"""setAttribute\(["']on"""
)


def words_of_scripts() -> set[str]:
    return {word for path in SCRIPTS for word in WORD.findall(path.read_text("utf-8"))}


def words_of_templates() -> set[str]:
    return {
        word
        for path in TEMPLATES.glob("*.html")
        for word in MARKED.findall(path.read_text("utf-8"))
    }


def test_every_word_of_the_scripts_is_handed_to_them() -> None:
    sheets = [sheet.read_text("utf-8") for sheet in TEMPLATES.glob("_strings*.html")]
    listed = {word for sheet in sheets for word in MARKED.findall(sheet)}
    assert words_of_scripts() - listed == set()
    assert listed - words_of_scripts() == set()


def test_every_word_has_a_chinese_form_with_the_same_places() -> None:
    found = {str(message.id): message.string for message in i18n.catalogue("zh") if message.id}
    missing = sorted(word for word in words_of_templates() if not found.get(word))
    assert missing == []
    places = re.compile(r"%\(\w+\)s")
    for word in words_of_templates():
        assert sorted(places.findall(word)) == sorted(places.findall(str(found[word]))), word


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_what_it_is_for_and_stays_safe(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("// ")
    assert len(text.splitlines()) <= 400
    assert UNSAFE.findall(text) == []
    assert OUTSIDE.findall(text.replace("http://www.w3.org/2000/svg", "")) == []
    for imported in IMPORTED.findall(text):
        assert (path.parent / imported).is_file(), imported


def test_the_search_for_unsafe_calls_finds_them() -> None:
    for code in ("a.innerHTML = b", "eval(x)", "new Function(x)", "e.setAttribute('onclick', x)"):
        assert UNSAFE.search(code)
    assert OUTSIDE.search("fetch('https://elsewhere.example')")


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_a_style_sheet_asks_nobody(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "url(" not in text
    assert "@import" not in text


def test_colours_stand_in_one_place() -> None:
    for path in STYLES:
        if path.name != "tokens.css":
            assert re.findall(r"#[0-9a-fA-F]{6}\b", path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_are_local_and_without_inline_code(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"""\s(on\w+|style)=["']""", text)
    assert "|safe" not in text
    for script in re.findall(r"<script[^>]*>", text):
        assert "nonce=" in script or 'type="application/json"' in script


def fetched_early(template: str) -> list[str]:
    text = (TEMPLATES / template).read_text("utf-8")
    named = re.findall(r"packs\.script\([^,]+, (\[[^\]]+\])", text)
    names: list[str] = json.loads(named[0])
    return names


def imported_by(script: str) -> set[str]:
    """Return the scripts of pages that a script needs, at any depth, itself left out."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        path = STATIC / "js" / "page" / f"{waiting.pop()}.js"
        for address in IMPORTED.findall(path.read_text("utf-8")):
            name = Path(address).stem
            if address == f"./{name}.js" and name not in found:
                found.add(name)
                waiting.append(name)
    return found


def test_modules_that_are_fetched_early_exist() -> None:
    assert set(fetched_early("net.html")) == imported_by("net")
    for script in ("heat", "reach", "density", "patrol-areas"):
        assert set(fetched_early("figures.html")) <= imported_by(script)
    assert figure_layers.SquaresLayer in layers.PageLayer.__subclasses__()
    for layer in layers.PageLayer.__subclasses__():
        for module in layer.modules:
            assert (STATIC / "js" / module).is_file()


def test_packs_hold_the_styles_in_the_order_of_the_pages() -> None:
    script = (ROOT / "setup" / "pack-pages.mjs").read_text("utf-8")
    for template in ("net", "figures", "patrol", "home", "frame"):
        text = (TEMPLATES / f"{template}.html").read_text("utf-8")
        (pack, listed), *_ = re.findall(r"packs\.styles\(\"(\w+)\", (\[[^\]]+\])", text)
        packed = re.findall(rf"{pack}: \[(.*)\]", script)[0]
        packed = packed.replace("...MAP", re.findall(r"MAP = \[(.*)\]", script)[0])
        own = [name for name in re.findall(r'"css/(\w+)\.css"', packed) if name != "tokens"]
        assert own == json.loads(listed), template


def test_packs_that_are_older_than_their_files_are_not_served(tmp_path: Path) -> None:
    for name in statics.PACKED_FOLDERS:
        (tmp_path / name).mkdir()
    (tmp_path / "js" / "a.js").write_text("1")
    assert not statics.is_packed(tmp_path)
    packs = tmp_path / statics.PACKS
    packs.mkdir(parents=True)
    (packs / "stamp").write_text(f"{statics.stamp_of(tmp_path)}\n")
    assert statics.is_packed(tmp_path)
    (tmp_path / "js" / "a.js").write_text("2")
    assert not statics.is_packed(tmp_path)


def test_the_packs_of_this_folder_bear_the_stamp_that_the_server_reckons() -> None:
    made = STATIC / statics.PACKS / "heat.js"
    if not made.is_file():
        pytest.skip("The pages are not packed; `make assets` packs them.")
    newest = max(path.stat().st_mtime for path in [*SCRIPTS, *STYLES])
    if newest > made.stat().st_mtime:
        pytest.skip("Scripts changed since they were packed; `make assets` packs them.")
    assert statics.is_packed(STATIC)


def test_copies_of_libraries_are_made_from_locked_packages() -> None:
    script = (ROOT / "setup" / "copy-assets.mjs").read_text("utf-8")
    for copy in LOCAL_COPIES.values():
        assert f'"{copy.removeprefix("vendor/")}"' in script
    lock = (ROOT / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert "://" not in lock.replace("https://opencollective", "").replace("https://github.com", "")
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())


def test_libraries_style_sheets_ask_nobody() -> None:
    sheets = sorted((STATIC / "vendor").rglob("*.css"))
    if not sheets:
        pytest.skip("The browser libraries are not copied; `make setup` copies them.")
    for sheet in sheets:
        assert not re.search(r"url\(\s*['\"]?(https?:)?//", sheet.read_text("utf-8"))
