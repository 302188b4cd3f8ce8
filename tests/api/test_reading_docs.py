"""The page on the API names every address for reading, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.api.conftest import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
TAGS = {
    "cities", "grids", "issues", "nets", "people", "places", "plans", "search", "stations", "tiles"
}  # fmt: skip


def test_the_page_lists_the_addresses(world: World) -> None:
    listed = set(re.findall(r"^\| `(/api/v1/[^`]*)`", PAGE.read_text(), re.MULTILINE))
    paths = world.app.openapi()["paths"]
    assert listed <= set(paths)
    reading = {
        path for path, ways in paths.items() if TAGS & {*ways.get("get", {}).get("tags", ())}
    }
    assert reading <= listed


def test_every_address_declares_its_errors(world: World) -> None:
    for path, ways in world.app.openapi()["paths"].items():
        if not TAGS & {*ways.get("get", {}).get("tags", ())}:
            continue
        answers = ways["get"]["responses"]
        assert {"200", "422", "500", "503"} <= set(answers), path
        assert ("404" in answers) == ("{city}" in path), path
        for status in ("422", "503"):
            assert "application/problem+json" in answers[status]["content"]
        assert ways["get"]["description"], path
