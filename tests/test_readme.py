"""What the README and the guides show and link to exists; their commands are the program's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.cli import COMMANDS
from geo.terms import STAFF, Role

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
GUIDES = sorted((ROOT / "docs").rglob("*.md"))
PICTURE_MOST_BYTES = 150_000
LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [one or two for one, two in LINK.findall(text)]
    local = [target.split("#")[0] for target in targets if "://" not in target]
    missing = [target for target in local if target and not (ROOT / target).exists()]
    assert missing == []
    if page.startswith("README"):
        assert sum(target.endswith(".png") for target in local) >= 2


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_commands_are_targets_of_the_makefile(page: str) -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8")))
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {"run", "test", "help"} <= named
    assert named <= targets


def test_each_picture_is_small_and_shown() -> None:
    shown = {
        name
        for page in (*GUIDES, *(ROOT / page for page in PAGES))
        for name in re.findall(r"images/([\w.-]+\.png)", page.read_text(encoding="utf-8"))
    }
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs/images").glob("*.png")}
    assert set(pictures) == shown
    assert {name for name, size in pictures.items() if size > PICTURE_MOST_BYTES} == set()


def test_the_guides_name_commands_that_exist() -> None:
    told = {
        word
        for page in GUIDES
        for word in re.findall(r"^wangge ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"import", "check", "backup", "restore"} <= told <= set(COMMANDS)


@pytest.mark.parametrize("role", sorted(role.value for role in STAFF - {Role.COMMUNITY}))
def test_each_role_has_its_guide(role: str) -> None:
    assert (ROOT / "docs" / "roles" / f"{role}.md").is_file()
