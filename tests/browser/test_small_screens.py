"""Pages on a phone and a tablet, in English: nothing sideways, nothing hidden, fingers hit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.test_leader import sign_in

LEAST_PX = 43.5
PAGES = (
    ("", "/net"),
    ("", "/signin"),
    ("", "/start"),
    ("leader", "/"),
    ("leader", "/heat"),
    ("leader", "/stations"),
    ("leader", "/stations/density"),
    ("leader", "/staff/map"),
    ("planner", "/staff"),
    ("worker", "/patrol"),
    ("administrator", "/admin"),
    ("administrator", "/admin?tab=log"),
)
LOOK = """() => {
    const away = ".sr, .skip, [hidden], dialog:not([open]), details:not([open]) > :not(summary)";
    const shown = e => {
        const box = e.getBoundingClientRect();
        return box.width > 0 && box.height > 0 && getComputedStyle(e).visibility !== "hidden"
            && !e.closest(away);
    };
    const named = e => `${e.tagName} ${e.id || e.className} ${e.textContent.trim().slice(0, 20)}`;
    const bar = [...document.querySelectorAll(".bar > *")].filter(shown);
    const over = (a, b) => {
        const [x, y] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
        return Math.min(x.right, y.right) - Math.max(x.left, y.left) > 2
            && Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 2;
    };
    const fingers = ".button, .bar a, .bar button, .levels button, .tool, .panel-actions button, "
        + ".tabs a, .field input, .field select, summary";
    const low = e => e.getBoundingClientRect().height < LEAST;
    return {
        sideways: document.documentElement.scrollWidth - innerWidth,
        outside: bar.filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(named),
        covered: bar.flatMap((a, i) => bar.slice(i + 1).filter(b => over(a, b)).map(named)),
        small: [...document.querySelectorAll(fingers)].filter(shown).filter(low).map(named),
    };
}""".replace("LEAST", str(LEAST_PX))


@pytest.mark.parametrize("screen", [(390, 844), (820, 1180)], ids=["phone", "tablet"])
@pytest.mark.parametrize(("login", "path"), PAGES)
def test_everything_is_there_and_large_enough(
    new_page: Callable[..., Page], screen: tuple[int, int], login: str, path: str
) -> None:
    width, height = screen
    page = new_page(
        viewport={"width": width, "height": height}, has_touch=True, is_mobile=True, locale="en-GB"
    )
    if login:
        sign_in(page, login)
    page.goto(f"{path}{'&' if '?' in path else '?'}lang=en", wait_until="networkidle")
    found: dict[str, Any] = page.evaluate(LOOK)
    assert found == {"sideways": 0, "outside": [], "covered": [], "small": []}
