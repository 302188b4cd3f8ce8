"""Maps of figures and first pages in a real browser: by role, theme, language and screen."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from api import statics
from geo.service import DEMO_PASSWORD

READY = "body[data-ready=true]"
MAPS = ("/heat", "/stations", "/stations/density", "/staff/map")
PAINT_LOOKS = 50
PAINT_LOOK_MS = 100
FIRST_PAGE_BYTES = 400_000
SCREENS = ((1440, 900), (1280, 720), (820, 1180), (390, 844))


def sign_in(page: Page, login: str) -> None:
    page.goto("/signin?next=/")
    page.fill("[name=login]", login)
    page.fill("[name=password]", DEMO_PASSWORD)
    page.click("form button[type=submit]")
    page.wait_for_load_state()


def open_map(page: Page, path: str) -> None:
    answer = page.goto(path)
    assert answer is not None and answer.status == 200
    page.wait_for_selector(READY)


def painted(page: Page, pane: str = "squares") -> int:
    found: int = page.evaluate(
        """(pane) => {
            let filled = 0;
            for (const canvas of document.querySelectorAll(`.leaflet-${pane}-pane canvas`)) {
                const { width, height } = canvas;
                const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
                for (let i = 3; i < data.length; i += 4) if (data[i] > 40) filled++;
            }
            return filled;
        }""",
        pane,
    )
    return found


def demand_painted(page: Page, pane: str = "squares", least: int = 2_000) -> None:
    """Wait for the canvas, which is painted in a frame after the page is ready."""
    for _ in range(PAINT_LOOKS):
        if painted(page, pane) > least:
            return
        page.wait_for_timeout(PAINT_LOOK_MS)
    raise AssertionError(f"the map stays empty: {painted(page, pane)} pixels")


def file_of(page: Page) -> list[dict[str, str]]:
    address = page.locator("#csv").get_attribute("href")
    answer = page.request.get(str(address))
    assert answer.status == 200
    return list(csv.DictReader(io.StringIO(answer.text().lstrip("\ufeff"))))


def cells_of(page: Page) -> list[list[str]]:
    if page.locator("#table-view").is_hidden():
        page.keyboard.press("t")
    rows: list[list[str]] = page.evaluate(
        "[...document.querySelectorAll('#figures-table tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return rows


@pytest.mark.parametrize("path", MAPS)
def test_a_leader_reads_the_four_maps(page: Page, path: str) -> None:
    sign_in(page, "leader")
    open_map(page, path)
    demand_painted(page)
    expect(page.locator("#legend")).not_to_be_empty()
    expect(page.locator("#panel-body .tile")).not_to_have_count(0)
    expect(page.locator("#panel-body")).to_contain_text("户数口径 2026")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_table_shows_the_file(page: Page) -> None:
    sign_in(page, "leader")
    open_map(page, "/stations")
    rows, items = cells_of(page), file_of(page)
    assert len(rows) == len(items) > 1
    for row, item in zip(rows, items, strict=True):
        assert row[0] == item["name"]
        for place, name in ((2, "households"), (3, "within_500_m"), (5, "within_1000_m")):
            assert float(row[place].replace(",", "")) == float(item[name])


def test_map_table_and_file_of_requests_agree(page: Page) -> None:
    sign_in(page, "leader")
    open_map(page, "/heat?side=1000")
    rows = cells_of(page)
    items = [item for item in file_of(page) if item["shown"] != "uninhabited"]
    words = {"too_few": "太少", "zero": "没有"}
    told = {
        row[1]: (int(row[2].replace(",", "")), float(row[3].replace(",", "")), row[4])
        for row in rows
    }
    assert len(told) == len(items) > 0
    for item in items:
        cases, people, rate = told[f"{item['column']} / {item['row']}"]
        assert (cases, people) == (int(item["cases"]), float(item["households"]))
        if item["shown"] == "rate":
            assert float(rate.replace(",", "")) == float(item["per_1000_households"])
        else:
            assert rate == words[item["shown"]]


def test_months_by_slider_and_address(page: Page) -> None:
    sign_in(page, "leader")
    open_map(page, "/heat?side=1000")
    whole = page.locator("#panel-body .tile b").first.inner_text()
    page.locator("#month").focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"month=2026-01"))
    expect(page.locator("#bars .is-on")).to_have_count(1)
    month = page.locator("#panel-body .tile b").first.inner_text()
    assert int(month.replace(",", "")) < int(whole.replace(",", ""))
    items = file_of(page)
    assert sum(int(item["cases"]) for item in items) == int(month.replace(",", ""))
    page.reload()
    page.wait_for_selector(READY)
    assert page.locator("#panel-body .tile b").first.inner_text() == month
    page.click("#whole")
    expect(page.locator("#panel-body .tile b").first).to_have_text(whole)


def test_what_was_left_out_is_said_on_the_map(page: Page) -> None:
    sign_in(page, "leader")
    open_map(page, "/heat")
    expect(page.locator("#said")).to_contain_text("默认坐标")
    for word in ("太少", "没有诉求", "无人居住"):
        expect(page.locator("#legend")).to_contain_text(word)


def test_a_vacant_grid_has_word_and_sign(page: Page) -> None:
    sign_in(page, "leader")
    open_map(page, "/staff/map")
    expect(page.locator("#legend")).to_contain_text("✕ 空缺")
    expect(page.locator("#panel-body")).to_contain_text("有空缺的网格")
    page.locator("#panel-body .ranked .link").first.click()
    expect(page.locator("#panel-body h2")).not_to_have_text("巡查力量")
    page.locator(".folium-map").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#panel-body h2")).to_have_text("巡查力量")


@pytest.mark.parametrize("screen", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_no_page_scrolls_sideways(
    new_page: Callable[..., Page], screen: tuple[int, int], lang: str
) -> None:
    width, height = screen
    page = new_page(viewport={"width": width, "height": height}, color_scheme="dark")
    sign_in(page, "leader")
    for path in ("/", *MAPS):
        page.goto(f"{path}?lang={lang}")
        if path != "/":
            page.wait_for_selector(READY)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        text = page.inner_text("body")
        assert ("%(" not in text) and ("undefined" not in text) and ("NaN" not in text), path
        assert page.locator("html").get_attribute("lang") == ("en" if lang == "en" else "zh-CN")


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ("leader", ["诉求", "服务站覆盖", "巡查力量", "站点密度"]),
        ("planner", ["规模超出范围", "目标", "街道/乡镇"]),
        ("community", ["今日办理", "到岗率", "户数"]),
        ("department", ["今日办理", "超期"]),
        ("worker", ["附近的未结事项", "第一网格"]),
    ],
)
def test_the_first_page_is_the_role_s_own(page: Page, login: str, words: list[str]) -> None:
    sign_in(page, login)
    if login == "worker":
        page.wait_for_selector(READY)
    for word in words:
        expect(page.locator("body")).to_contain_text(word)


@pytest.mark.parametrize(
    ("login", "path", "requests"),
    [
        ("", "/net", 22),
        ("leader", "/", 4),
        ("leader", "/heat", 16),
        ("leader", "/stations", 16),
        ("planner", "/", 4),
        ("planner", "/staff", 8),
        ("community", "/", 4),
        ("department", "/", 4),
        ("worker", "/patrol", 22),
        ("administrator", "/admin", 8),
    ],
)
def test_a_first_page_asks_for_little(page: Page, login: str, path: str, requests: int) -> None:
    if not statics.is_packed(statics.FOLDER):
        pytest.skip("Scripts changed since they were packed; `make assets` packs them.")
    if login:
        sign_in(page, login)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(path, wait_until="networkidle")
    if path not in ("/", "/staff", "/admin"):
        page.wait_for_selector(READY)
        assert page.evaluate("performance.getEntriesByName('interactive').length") == 1
    assert 0 < sum(sizes) <= FIRST_PAGE_BYTES
    assert len(sizes) <= requests


def test_a_worker_sees_the_zone_on_a_phone(phone: Page) -> None:
    sign_in(phone, "worker")
    phone.wait_for_selector(READY)
    expect(phone).to_have_url(re.compile("/patrol$"))
    demand_painted(phone)
    rows = phone.locator(".near li")
    expect(rows.first).to_be_visible()
    for target in (phone.locator("#locate"), rows.first.locator("button")):
        box = target.bounding_box()
        assert box is not None and box["height"] >= 48
    rows.first.locator("button").click()
    expect(phone.locator(".place-mark.is-on")).to_have_count(1)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_position_is_used_once_and_never_sent(new_page: Callable[..., Page]) -> None:
    page = new_page(
        viewport={"width": 390, "height": 844},
        permissions=["geolocation"],
        geolocation={"latitude": 37.61234, "longitude": 120.45678},
    )
    sign_in(page, "worker")
    page.wait_for_selector(READY)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url + (request.post_data or "")))
    page.click("#locate")
    expect(page.locator("#panel-body")).to_contain_text("自您的位置起")
    assert not [url for url in asked if "37.61" in url or "120.45" in url]
    assert "37.61" not in page.url


def test_strangers_are_asked_to_sign_in(page: Page) -> None:
    for path in (*MAPS, "/patrol"):
        answer = page.request.get(path)
        assert answer.status == 401, path
