"""The page of the net in a real browser: levels, card, search, keyboard, phone, table, print."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import maps.kept
from tests.browser.test_leader import demand_painted

READY = "body[data-ready=true]"
MAP = "#net-map"


def open_net(page: Page, query: str = "city=tiny") -> None:
    answer = page.goto(f"/net?{query}")
    assert answer is not None
    assert answer.status == 200
    page.wait_for_selector(READY)


def choose_level(page: Page, word: str) -> None:
    page.get_by_role("radio", name=word).click()
    page.wait_for_function(
        "async () => (await document.querySelector('.folium-map').frame).layers.net.shown > 0"
    )


def click_grid(page: Page, x: float = 0.5, y: float = 0.5) -> None:
    box = page.locator(MAP).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)


def painted(page: Page) -> int:
    """Count the pixels of the grids' canvas that hold colour."""
    found: int = page.evaluate(
        """() => {
            const canvas = document.querySelector('.leaflet-grids-pane canvas');
            const { width, height } = canvas;
            const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
            let filled = 0;
            for (let i = 3; i < data.length; i += 4) if (data[i] > 40) filled++;
            return filled;
        }"""
    )
    return found


def test_the_page_says_what_city_it_shows(page: Page) -> None:
    open_net(page)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#panel h2")).to_be_visible()
    expect(page.locator("#panel")).to_contain_text("层级")
    demand_painted(page, "grids", 5_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_of_the_page_allows_no_inline_code(page: Page) -> None:
    answer = page.goto("/net?city=tiny")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    page.wait_for_selector(READY)
    scripts = page.locator("script[src]").count()
    assert scripts >= 3
    for index in range(scripts):
        assert page.locator("script[src]").nth(index).evaluate("e => e.nonce") == nonce[1]


def test_levels_switch_by_control_key_and_zoom(page: Page) -> None:
    open_net(page)
    choose_level(page, "街道/乡镇")
    expect(page).to_have_url(re.compile("level=1"))
    page.keyboard.press("Escape")
    page.locator(MAP).focus()
    page.keyboard.press("2")
    expect(page.get_by_role("radio", name="社区/村")).to_have_attribute("aria-checked", "true")
    expect(page).to_have_url(re.compile("level=2"))
    page.keyboard.press("0")
    expect(page.get_by_role("radio", name="自动")).to_have_attribute("aria-checked", "true")
    shown = page.locator("#levels .is-shown")
    near = shown.inner_text()
    for _ in range(6):
        page.locator(".leaflet-control-zoom-out").click()
        page.wait_for_timeout(350)
    expect(shown).not_to_have_text(near)


def test_a_click_opens_the_card_of_a_grid(page: Page) -> None:
    open_net(page)
    choose_level(page, "街道/乡镇")
    click_grid(page, 0.3)
    expect(page.locator("#panel h2")).to_have_text(re.compile("街道"))
    expect(page.locator("#panel .tile").first).to_contain_text("户数")
    expect(page.locator("#panel")).to_contain_text("由谁负责")
    expect(page).to_have_url(re.compile(r"grid=\d+"))
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_contain_text("层级")
    expect(page).not_to_have_url(re.compile(r"grid=\d+"))


def test_the_card_leads_up_and_down(page: Page) -> None:
    open_net(page, "city=tiny&grid=111")
    expect(page.locator("#panel h2")).to_have_text("第一网格")
    expect(page.locator(".crumbs")).to_contain_text("松岭社区")
    page.locator(".crumbs").get_by_role("button", name="松岭社区").click()
    expect(page.locator("#panel h2")).to_have_text("松岭社区")
    page.locator(".tree").get_by_role("button", name="第二网格").click()
    expect(page.locator("#panel h2")).to_have_text("第二网格")


def test_a_vacant_post_is_said_in_words(page: Page) -> None:
    open_net(page)
    found: list[dict[str, Any]] = page.evaluate(
        "async () => (await (await fetch('/api/v1/cities/tiny/grids?limit=100')).json()).items"
    )
    below = {grid["parent"] for grid in found}
    vacant = next(grid for grid in found if grid["vacant_posts"] and grid["grid"] not in below)
    open_net(page, f"city=tiny&grid={vacant['grid']}")
    expect(page.locator("#panel .rows").first).to_contain_text("空缺")


def test_who_is_responsible_here_by_click(page: Page) -> None:
    open_net(page)
    page.get_by_role("button", name="点选地点").click()
    expect(page.locator("#mode")).to_be_visible()
    click_grid(page)
    expect(page.locator("#panel h2")).to_contain_text("这里归")
    expect(page.locator("#mode")).to_be_hidden()
    expect(page.locator(".place-pin")).to_be_visible()
    order = page.locator(".place-pin").evaluate(
        "pin => ['.leaflet-pane:has(> * > .place-pin)', '.leaflet-places-pane'].map("
        "pane => Number(getComputedStyle(document.querySelector(pane)).zIndex))"
    )
    assert order[0] > order[1], "names hide the place"


def test_who_is_responsible_where_i_am(new_page: Callable[..., Page]) -> None:
    page = new_page(permissions=["geolocation"])
    open_net(page)
    city = page.evaluate("async () => (await fetch('/api/v1/cities/tiny')).json()")
    west, south, east, north = city["bbox"]
    page.context.set_geolocation({"longitude": (west + east) / 2, "latitude": (south + north) / 2})
    page.locator("#who-here").click()
    expect(page.locator("#panel h2")).to_contain_text("这里归")
    assert (
        page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    )


def test_a_place_outside_is_said(new_page: Callable[..., Page]) -> None:
    page: Any = new_page(
        permissions=["geolocation"], geolocation={"longitude": 100.0, "latitude": 30.0}
    )
    open_net(page)
    page.locator("#who-here").click()
    expect(page.locator("#panel h2")).to_have_text("这个地点不在本市范围内")
    page.visit.errors[:] = [error for error in page.visit.errors if "404" not in error]


def test_search_by_name_and_code(page: Page) -> None:
    open_net(page)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("海棠")
    option = page.locator("#search-list [role=option]").first
    expect(option).to_contain_text("海棠社区")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("海棠社区")
    code = page.locator(".card-code .figure").inner_text()
    page.locator("#search").fill(code)
    expect(page.locator("#search-list [role=option]").first).to_contain_text("海棠社区")
    page.locator("#search").fill("没有这个地方")
    expect(page.locator("#search-list")).to_contain_text("没有找到")


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    open_net(page)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    seen: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "() => { const e = document.activeElement; return e.id || "
                "e.getAttribute('aria-label') || e.getAttribute('role') || e.tagName; }"
            )
        )
    assert {"search", "net-map", "radio", "who-here", "who-pick", "图层", "打印"} <= seen
    page.locator(MAP).focus()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text(re.compile("街道"))
    first = page.locator("#panel h2").inner_text()
    page.locator(MAP).focus()
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_timeout(300)
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#panel h2")).to_have_text(re.compile("街道"))
    assert first
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_tools_have_names_and_keys(page: Page) -> None:
    open_net(page)
    tools = page.locator("#rail .tool")
    assert tools.count() >= 8
    for index in range(tools.count()):
        tool = tools.nth(index)
        assert tool.get_attribute("aria-label")
        assert tool.get_attribute("aria-keyshortcuts")
        assert len(tool.inner_text().strip()) == 2


def test_layers_switch_and_stay_in_the_address(page: Page) -> None:
    open_net(page)
    page.keyboard.press("c")
    before = painted(page)
    page.get_by_label("网格底色").uncheck()
    assert painted(page) < before
    page.get_by_label("服务站").uncheck()
    expect(page.locator(".station-mark, .station-cluster")).to_have_count(0)
    expect(page).to_have_url(re.compile("layers="))
    open_net(page, page.url.split("?")[1])
    expect(page.locator(".station-mark, .station-cluster")).to_have_count(0)


def test_a_whole_city_is_drawn_rough_and_what_is_near_exact(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maps.kept._rendered", maps.kept._rendered.__wrapped__)
    monkeypatch.setattr("maps.views._OVERVIEW_FROM_COUNT", 1)
    monkeypatch.setattr("maps.views.OVERVIEW_PIXEL_M", 0.4)
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    open_net(page)
    assert any("overview=true" in url for url in asked)
    demand_painted(page, "grids", 5_000)
    with page.expect_request(lambda sent: ".topojson" in sent.url and "overview" not in sent.url):
        page.evaluate(
            "document.querySelector('.folium-map').frame.then(({map}) => map.setZoom(19))"
        )
    assert page.evaluate(
        """async () => {
            const { net } = (await document.querySelector('.folium-map').frame).layers;
            const step = net.steps.find((one) => one.level === net.shown);
            const topology = await net.load(net.shown);
            return step.isWhole && topology === net.topologies.get(net.shown);
        }"""
    )


def test_a_view_can_be_sent(page: Page) -> None:
    open_net(page)
    choose_level(page, "社区/村")
    click_grid(page, 0.3)
    expect(page).to_have_url(re.compile(r"grid=\d+"))
    page.locator(".leaflet-control-zoom-in").click()
    page.wait_for_timeout(500)
    expect(page.locator("#panel .card-head")).to_be_visible()
    name = page.locator("#panel h2").inner_text()
    address = page.url
    assert all(f"{key}=" in address for key in ("lat", "lon", "z", "level", "grid"))
    open_net(page, address.split("?")[1])
    expect(page.locator("#panel h2")).to_have_text(name)
    assert page.url == address


def test_the_first_view_fills_the_map_and_whole_steps_follow(page: Page) -> None:
    open_net(page)
    share = page.evaluate(
        """async () => {
            const { map, options } = await document.querySelector('.folium-map').frame;
            const [west, south, east, north] = options.bounds;
            const a = map.latLngToContainerPoint([north, west]);
            const b = map.latLngToContainerPoint([south, east]);
            const { x, y } = map.getSize();
            return Math.max((b.x - a.x) / (x - 24), (b.y - a.y) / (y - 68));
        }"""
    )
    assert 0.84 - 0.01 < share <= 1.0, "a quarter of a step from full at most"
    page.locator(".leaflet-control-zoom-in").click()
    page.locator(".leaflet-control-zoom-out").click()
    expect(page).to_have_url(re.compile(r"[?&]z=\d+(&|$)"))


def test_names_keep_off_the_marks_of_stations(page: Page) -> None:
    open_net(page)
    page.wait_for_function("document.querySelector('.station-icon')")
    page.wait_for_timeout(1500)
    touching = page.evaluate(
        """async () => {
            const { map, layers } = await document.querySelector('.folium-map').frame;
            const sheet = layers.base.names;
            const zoom = Math.round(map.getZoom());
            const marks = layers.stations.places(zoom);
            const index = [...sheet.labelers.labelers.values()].map((one) => one.index);
            const named = index.flatMap((one) => one.tree.all());
            const reach = 8 / layers.base.state.scale;
            const hit = named.filter((box) => marks.some(([x, y]) => box.minX < x + reach
                && box.maxX > x - reach && box.minY < y + reach && box.maxY > y - reach));
            return [marks.length, named.length, hit.length];
        }"""
    )
    marks, names, hit = touching
    assert marks > 0 and names > 0, touching
    assert hit == 0, touching


def test_english_is_complete(new_page: Callable[..., Page]) -> None:
    page = new_page(locale="en-GB")
    open_net(page, "city=tiny&lang=en")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.keyboard.press("c")
    own = page.evaluate(
        """() => [...document.querySelectorAll(
                '#rail, #layers-menu, #legend, .panel-actions, th, h3')]
            .map(e => e.innerText).join(' ')"""
    )
    assert not re.search(r"[\u4e00-\u9fff]", own), own
    page.get_by_role("link", name="中文").click()
    page.wait_for_selector(READY)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_on_a_phone_the_panel_is_a_sheet(phone: Page) -> None:
    open_net(phone)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    body = phone.locator("#panel-body")
    before = body.bounding_box()
    assert before is not None
    phone.locator("#panel-handle").tap()
    phone.wait_for_timeout(400)
    after = body.bounding_box()
    assert after is not None
    assert after["height"] > before["height"]
    for selector in ("#who-here", "#who-pick", "#rail .is-phone"):
        box = phone.locator(selector).first.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 48, selector
    for name in ("in", "out"):
        box = phone.locator(f".leaflet-control-zoom-{name}").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
    bottom = phone.locator("#who-here").bounding_box()
    assert bottom is not None
    assert bottom["y"] > 844 * 0.8


def test_on_a_phone_the_list_is_one_press_away(phone: Page) -> None:
    open_net(phone)
    phone.get_by_role("link", name="表格", exact=True).click()
    expect(phone).to_have_url(re.compile("/net/table"))


def test_the_dark_theme_has_contrast(new_page: Callable[..., Page]) -> None:
    for scheme in ("light", "dark"):
        page = new_page(color_scheme=scheme)
        open_net(page)
        ratios = page.evaluate(
            """() => {
                const tone = text => {
                    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => {
                        const s = v / 255;
                        return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
                    });
                    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                };
                const ground = element => {
                    for (let e = element; e; e = e.parentElement) {
                        const colour = getComputedStyle(e).backgroundColor;
                        if (!/rgba\\(.*, 0\\)|transparent/.test(colour)) return colour;
                    }
                    return 'rgb(255, 255, 255)';
                };
                return [...document.querySelectorAll(
                    '.button, .quiet, h2, h3, td, th, .tool, .chip, .link')]
                    .filter(e => e.offsetParent && e.innerText.trim())
                    .map(e => {
                        const [a, b] = [tone(getComputedStyle(e).color), tone(ground(e))].sort();
                        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                        return [ratio, e.className, e.innerText];
                    });
            }"""
        )
        assert len(ratios) > 20
        assert [row for row in ratios if row[0] < 4.5] == []


def test_the_table_is_the_text_of_the_map(page: Page) -> None:
    page.goto("/net/table?city=tiny&level=3")
    rows = page.locator("tbody tr")
    assert rows.count() == 6
    page.get_by_role("link", name="户数").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("户数")
    figures = [
        int(text.replace(",", "") or 0)
        for text in page.locator("tbody tr td:nth-child(4)").all_inner_texts()
    ]
    assert figures == sorted(figures, reverse=True)
    page.locator("tbody th a").first.click()
    page.wait_for_selector(READY)
    expect(page.locator("#panel h2")).to_be_visible()


def test_the_table_works_without_scripts(new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto("/net/table?city=tiny")
    assert page.locator("tbody tr").count() == 15
    page.goto("/net?city=tiny")
    expect(page.locator("noscript")).to_have_count(2)


def test_a_sheet_of_paper_for_one_grid(page: Page) -> None:
    page.goto("/print/net?city=tiny&grid=111")
    expect(page.locator("h1")).to_have_text("第一网格")
    expect(page.locator(".a4")).to_contain_text("由谁负责")
    page.wait_for_selector(f"{MAP}[data-ready=true]")


def test_one_layer_alone(page: Page) -> None:
    for only in ("grids", "buildings", "stations"):
        page.goto(f"/maps/net?city=tiny&only={only}")
        page.wait_for_selector(f"{MAP}[data-ready=true]")
        page.wait_for_timeout(300)
        names = page.evaluate("performance.getEntriesByType('resource').map(e => e.name).join(' ')")
        assert ("protomaps" in names) == (only == "buildings")
        assert ("markercluster" in names) == (only == "stations")
        assert ("topojson" in names) == (only == "grids")


def test_the_page_is_light(page: Page) -> None:
    sizes: list[float] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda found: sizes.append(found["encodedDataLength"]))
    open_net(page)
    page.wait_for_timeout(500)
    assert 50_000 < sum(sizes) < 700_000


def test_a_base_map_in_gcj02_is_moved_to_meet_our_lines(page: Page) -> None:
    open_net(page)
    moved = page.evaluate(
        """async () => {
            const { toGcj02 } = await import('/static/js/map/datum.js');
            return toGcj02(116.404, 39.915);
        }"""
    )
    published = (116.41024449916938, 39.91640428150164)
    assert moved == [pytest.approx(value, abs=1e-9) for value in published]
    found: dict[str, Any] = page.evaluate(
        """async () => {
            const { map } = await document.querySelector('.folium-map').frame;
            const { rasterLayer } = await import('/static/js/map/raster-layer.js');
            const tiles = '/static/img/icon.svg?{z}/{x}/{y}';
            const place = async datum => {
                const layer = rasterLayer(map, { tiles, datum, attribution: '' }).show();
                await new Promise(done => setTimeout(done, 600));
                const [first] = Object.values(layer.layer._tiles);
                const { x, y, z } = first.coords;
                const at = L.DomUtil.getPosition(first.el).add(map.getPixelOrigin());
                layer.hide();
                return [at.x - x * 256, at.y - y * 256, z];
            };
            return { plain: await place('WGS84'), moved: await place('GCJ02') };
        }"""
    )
    assert found["plain"][:2] == [0, 0]
    metres = [part * 156_543 * 0.79 / 2 ** found["moved"][2] for part in found["moved"][:2]]
    assert 300 < (metres[0] ** 2 + metres[1] ** 2) ** 0.5 < 800
