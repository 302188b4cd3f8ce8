"""What the README shows and links to exists, and its commands are the Makefile's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
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
