"""Marks and bars that must not be missed: signs of vacancy, months on a phone, names of counts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from api import statics
from tests.browser.test_leader import open_map, sign_in

PICTURES = os.environ.get("WANGGE_TEST_PICTURES")
PHONE = {"width": 390, "height": 844}


def picture(page: Page, name: str) -> None:
    """Keep what the page looks like, where somebody wants to look."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def test_a_vacant_grid_is_marked_however_small_it_is(new_page: Callable[..., Page]) -> None:
    page = new_page()
    sign_in(page, "planner")
    open_map(page, "/staff/map")
    kinds = page.evaluate(
        """async (address) => {
            const { signKind } = await import(address);
            const must = { text: 'x', must: true }, may = { text: 'x' };
            const grids = [[60, must], [20, must], [5, must], [5, may]];
            return grids.map(([width, sign]) => signKind(sign, width, 13));
        }""",
        f"{statics.Assets().base}/js/map/areas-layer.js",
    )
    assert kinds == ["text", "short", "dot", None]
    picture(page, "patrol")


def test_months_are_wide_enough_for_a_thumb(new_page: Callable[..., Page]) -> None:
    page = new_page(viewport=PHONE, has_touch=True)
    sign_in(page, "leader")
    open_map(page, "/heat")
    picture(page, "heat-phone")
    sizes = page.evaluate(
        """() => {
            const bars = document.getElementById('bars').getBoundingClientRect();
            const map = document.querySelector('.leaflet-container').getBoundingClientRect();
            return { bars: bars.width, map: map.height, all: innerHeight };
        }"""
    )
    assert sizes["bars"] >= 340, sizes
    assert sizes["map"] >= 0.4 * sizes["all"], sizes


def test_counts_have_english_names(new_page: Callable[..., Page]) -> None:
    page = new_page(locale="en-GB")
    sign_in(page, "leader")
    open_map(page, "/heat")
    named = page.locator("select option").all_text_contents()
    counts = [one for one in named if re.match(r"(count of|season,) \d{4}-\d\d$", one)]
    assert sorted(counts) == ["count of 2024-11", "count of 2025-11", "season, 2026-07"], named
    assert page.locator("link[rel=icon]").get_attribute("href").startswith("data:image/svg+xml,")  # type: ignore[union-attr]
    picture(page, "heat-en")
