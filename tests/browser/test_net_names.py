"""Names of every kind that are made to be run stay text on every page of the net."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from geo import service
from geo.db import owner_transaction
from tests.browser.conftest import serve
from tests.cities import HOSTILE, tiny_dataset
from tests.conftest import MigratedDatabase

PAGES = (
    "/net?city=odd&lang=zh",
    "/net?city=odd&lang=en",
    "/net?city=odd&grid=111",
    "/net/table?city=odd",
    "/maps/net?city=odd&only=grids",
    "/maps/net?city=odd&only=stations",
    "/maps/net?city=odd&only=buildings",
    "/print/net?city=odd&grid=111",
)
CANARY = """
window.ran = [];
window.alert = text => window.ran.push(text);
"""


@pytest.fixture(scope="module")
def odd_city(template: str, new_database: Callable[[str], MigratedDatabase]) -> Iterator[str]:
    """Address of a server whose city has hostile names everywhere."""
    database = new_database(template)
    dataset = tiny_dataset("odd", hostile=True)
    with owner_transaction(database.engine) as session:
        service.load_dataset(session, dataset, demo=True)
    with serve(database) as address:
        yield address


@pytest.fixture
def visitor(chromium: Browser, odd_city: str) -> Iterator[tuple[Page, list[str]]]:
    """A page at the odd city, and what went wrong on it."""
    context = chromium.new_context(base_url=odd_city, viewport={"width": 1440, "height": 900})
    context.add_init_script(CANARY)
    wrong: list[str] = []
    context.on("weberror", lambda found: wrong.append(str(found.error)))
    context.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    context.on(
        "request",
        lambda asked: None if asked.url.startswith(odd_city) else wrong.append(asked.url),
    )
    yield context.new_page(), wrong
    context.close()


def check(page: Page, wrong: list[str]) -> None:
    assert page.evaluate("window.ran") == []
    assert page.locator("img[src=x]").count() == 0
    assert "1337" not in page.locator("body").inner_text()
    assert [text for text in wrong if "Content Security Policy" in text] == []
    assert wrong == []


@pytest.mark.parametrize("address", PAGES)
def test_names_stay_text(visitor: tuple[Page, list[str]], address: str) -> None:
    page, wrong = visitor
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200
    if not address.startswith("/net/table"):
        page.wait_for_selector("[data-ready=true]")
    page.wait_for_timeout(500)
    check(page, wrong)


def test_names_stay_text_where_scripts_write_them(visitor: tuple[Page, list[str]]) -> None:
    page, wrong = visitor
    page.goto("/net?city=odd")
    page.wait_for_selector("body[data-ready=true]")
    items = page.evaluate(
        "async () => (await (await fetch('/api/v1/cities/odd/grids?limit=100')).json()).items"
    )
    assert any(mark in json.dumps(items, ensure_ascii=False) for mark in HOSTILE[:1])
    box = page.locator("#net-map").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for level in "1234":
        page.locator("#net-map").focus()
        page.keyboard.press(level)
        page.mouse.move(*middle)
        page.mouse.click(*middle)
        page.wait_for_timeout(250)
    page.locator("#who-pick").click()
    page.mouse.click(*middle)
    page.wait_for_timeout(400)
    for text in ("{{", "<", "网", "1"):
        page.locator("#search").fill(text)
        page.wait_for_timeout(400)
    page.keyboard.press("Escape")
    page.locator("#net-map").focus()
    page.keyboard.press("c")
    for mark in page.locator(".station-mark").all()[:3]:
        mark.dispatch_event("click")
        page.wait_for_timeout(200)
    shown = page.locator("#panel").inner_text()
    assert any(text in shown for text in HOSTILE)
    check(page, wrong)
