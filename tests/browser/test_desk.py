"""What offices hold, in a real browser: the desk of addresses, compounds on map and card."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, serve
from tests.browser.test_office import fits, sign_in
from tests.conftest import MigratedDatabase


@pytest.fixture(scope="module")
def live_server(
    city_template: str, new_database: Callable[[str], MigratedDatabase]
) -> Iterator[str]:
    with serve(new_database(city_template)) as address:
        yield address


def test_a_line_is_found_decided_and_taken_back(new_page: Callable[..., Page]) -> None:
    page = new_page()
    sign_in(page, "planner")
    page.goto("/addresses?city=tiny&lang=zh")
    expect(page.locator("body[data-ready=true]")).to_be_attached()
    page.fill("#lines", "松林路４号2单元301室 张三\n松林路\n东门小卖部")
    page.click("#match")
    counts = page.locator("#counts")
    expect(counts).to_contain_text("已匹配 1")
    expect(counts).to_contain_text("待确认 1")
    expect(page.locator("#results")).not_to_contain_text("张三")
    opened = page.locator(".desk-line.is-open")
    expect(opened).to_contain_text("松林路")
    opened.get_by_role("button", name="就是这里").first.click()
    expect(counts).to_contain_text("已匹配 2")
    page.locator(".desk-line", has_text="东门小卖部").get_by_role("button").first.click()
    expect(page.locator(".desk-line.is-open")).to_contain_text("没有相近的已知地址")
    page.get_by_role("button", name="在地图上指定位置").click()
    page.locator("#net-map, .folium-map").first.click(position={"x": 420, "y": 380})
    expect(counts).to_contain_text("已匹配 3")
    page.get_by_role("button", name="撤回").last.click()
    expect(counts).to_contain_text("已匹配 2")


def test_the_desk_on_a_phone(new_page: Callable[..., Page]) -> None:
    page = new_page(viewport=PHONE, has_touch=True)
    sign_in(page, "worker")
    page.goto("/addresses?city=tiny&lang=en&q=松林路4号")
    expect(page.locator("#results")).to_contain_text("found")
    expect(page.get_by_role("button", name="It is this")).to_have_count(0)
    assert fits(page)


def test_what_the_desk_cannot_take_is_said_with_its_line(new_page: Callable[..., Page]) -> None:
    page = new_page(viewport=PHONE, has_touch=True)
    sign_in(page, "planner")
    page.goto("/addresses?city=tiny&lang=zh")
    expect(page.locator("body[data-ready=true]")).to_be_attached()
    page.fill("#lines", f"松林路\n{'长' * 501}")
    page.click("#match")
    expect(page.locator("#said")).to_contain_text("第 2 行超过 500 个字：“长长长")
    page.fill("#lines", "松林路\n" * 501)
    page.click("#match")
    expect(page.locator("#said")).to_have_text("共 501 行，一次最多 500 行。")
    page.fill("#lines", "松林路4号")
    page.click("#match")
    expect(page.locator("#said")).to_be_hidden()
    expect(page.locator("#counts")).to_be_in_viewport()
    expect(page.locator(".desk-line.is-open")).to_contain_text("松林路4号")


def test_compounds_from_the_table_to_the_card(new_page: Callable[..., Page]) -> None:
    page = new_page()
    sign_in(page, "leader")
    page.goto("/compounds?city=tiny&lang=zh")
    page.get_by_role("link", name="松岭花园").click()
    panel = page.locator("#panel-body")
    expect(panel.locator("h2")).to_have_text("松岭花园")
    expect(panel).to_contain_text("占小区")
    page.get_by_role("button", name="图层").click()
    page.get_by_label("小区与网格关系").check()
    expect(page.locator(".relation-legend")).to_be_visible()
