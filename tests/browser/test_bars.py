"""The bar above each page holds what it offers, on screens of every width."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.test_leader import sign_in

WIDTHS = (1440, 1280, 1200, 1181, 1101, 1024, 901, 820)
OUTSIDE = """() => [...document.querySelectorAll('.bar > *, .bar form > *')]
    .filter(part => part.checkVisibility())
    .map(part => ({ name: part.textContent.trim().slice(0, 20) || part.className,
                    right: part.getBoundingClientRect().right }))
    .filter(part => part.right > innerWidth + 1)
    .map(part => part.name)"""


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_nothing_of_the_bar_lies_outside(new_page: Callable[..., Page], lang: str) -> None:
    page = new_page()
    sign_in(page, "leader")
    for path in ("/", "/net", "/heat", "/stations", "/stations/density", "/staff/map"):
        page.goto(f"{path}?lang={lang}")
        page.wait_for_load_state("networkidle")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(OUTSIDE) == [], (path, width)
