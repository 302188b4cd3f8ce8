"""All rooms as each role gets them: whole on every screen, free of errors, and open to everybody.

Nothing sideways, nothing hidden, fingers hit; axe-core's rules, light and dark, keep nobody out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from api.rooms import ROOMS
from geo.service import DEMO_PASSWORD

ROOT: Final = Path(__file__).resolve().parents[2]
AXE: Final = ROOT / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP, TABLET, PHONE = (1440, 900), (820, 1180), (390, 844)
LEAST_PX = 43.5
PATIENCE_MS = 60_000
ELSEWHERE: Final = ("/admin?tab=log", "/staff?tab=notices", "/issues/rules?tab=routing", "/start")
"""Pages behind tabs, and the one by which a city begins."""
VISITS: Final = {
    "": ["/net", "/report", "/firms", "/shops", "/points", "/signin"],
    "administrator": [room.path for room in ROOMS if room.path != "/patrol"] + list(ELSEWHERE),
    "worker": ["/patrol", "/issues"],
    "community": ["/", "/meetings", "/campaigns", "/projects"],
    "department": ["/", "/issues"],
}
"""Who opens which pages; the administrator sees the most of each."""
READS: Final = """(rules) => axe.run(document, { resultTypes: ["violations"], runOnly: rules })
    .then(({ violations }) => violations
        .filter((one) => ["serious", "critical"].includes(one.impact))
        .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.html}`)))"""
ALL_RULES: Final = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST: Final = {"type": "rule", "values": ["color-contrast"]}
LOOK: Final = """() => {
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
        + ".tabs a, .field input:not([type=checkbox]):not([type=radio]), .field select, summary";
    const low = e => e.getBoundingClientRect().height < LEAST;
    const root = document.documentElement;
    return {
        sideways: Math.max(0, root.scrollWidth - root.clientWidth),
        outside: bar.filter(e => e.getBoundingClientRect().right > root.clientWidth + 1).map(named),
        covered: bar.flatMap((a, i) => bar.slice(i + 1).filter(b => over(a, b)).map(named)),
        small: [...document.querySelectorAll(fingers)].filter(shown).filter(low).map(named),
    };
}""".replace("LEAST", str(LEAST_PX))


@pytest.fixture(scope="module")
def axe() -> str:
    """The script that looks for what keeps people out."""
    if not AXE.exists():
        if os.environ.get("CI"):
            pytest.fail("axe-core is not there; `make assets` fetches it.")
        pytest.skip("axe-core is not there; `make assets` fetches it.")
    return AXE.read_text(encoding="utf-8")


def resize(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})


@pytest.mark.parametrize("login", list(VISITS))
def test_all_rooms_are_whole_and_open_to_everybody(
    new_page: Callable[..., Page], axe: str, login: str
) -> None:
    page = new_page(has_touch=True, locale="en-GB", reduced_motion="reduce")
    page.set_default_timeout(PATIENCE_MS)
    failed: list[str] = []
    page.on("response", lambda got: failed.append(got.url) if got.status >= 400 else None)
    if login:
        body = {"login": login, "password": DEMO_PASSWORD}
        assert page.request.post("/api/v1/session", data=body).status == 201
    found: dict[str, Any] = {}
    for path in VISITS[login]:
        page.emulate_media(color_scheme="light")
        resize(page, DESKTOP)
        page.goto(f"{path}{'&' if '?' in path else '?'}lang=en", wait_until="networkidle")
        expect(page.locator(".loading")).to_have_count(0)
        page.evaluate(axe)
        found[f"{path} light"] = page.evaluate(READS, ALL_RULES)
        resize(page, TABLET)
        found[f"{path} tablet"] = page.evaluate(LOOK)
        resize(page, PHONE)
        page.emulate_media(color_scheme="dark")
        found[f"{path} phone"] = page.evaluate(LOOK)
        found[f"{path} dark"] = page.evaluate(READS, CONTRAST)
    whole = {"sideways": 0, "outside": [], "covered": [], "small": []}
    assert {name: one for name, one in found.items() if one not in ([], whole)} == {}
    assert failed == []


def test_every_room_is_two_presses_away_on_a_phone(new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    body = {"login": "community", "password": DEMO_PASSWORD}
    assert page.request.post("/api/v1/session", data=body).status == 201
    page.goto("/issues", wait_until="networkidle")
    menu, opener = page.locator("#menu"), page.locator(".menu-open")
    opener.tap()
    page.get_by_role("link", name="说事会").tap()
    page.wait_for_url("**/meetings?*")
    opener.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.menu-sheet') !== null")
    page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None
    assert page.evaluate("document.activeElement.className") == "menu-open"
    opener.tap()
    page.touchscreen.tap(260, 26)
    assert menu.get_attribute("open") is None, "a press elsewhere closes it"
    opener.tap()
    page.locator(".menu-account button").tap()
    page.wait_for_url(lambda url: "/meetings" not in url)
    assert page.request.get("/api/v1/session").json()["signed_in"] is False
