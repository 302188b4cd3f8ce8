"""Firms, shops and service points in a real browser, kept by offices, read by everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, serve
from tests.browser.test_office import fits, sign_in
from tests.browser.test_report import middle
from tests.conftest import MigratedDatabase

NAME = "<b>早点铺</b>"


@pytest.fixture(scope="module")
def database(
    city_template: str, new_database: Callable[[str], MigratedDatabase]
) -> MigratedDatabase:
    return new_database(city_template)


@pytest.fixture(scope="module")
def live_server(database: MigratedDatabase) -> Iterator[str]:
    with serve(database) as address:
        yield address


def test_a_rule_stands_before_anything_is_rated(new_page: Callable[..., Page]) -> None:
    page, later = new_page(), date.today() + timedelta(days=2)  # noqa: DTZ011 - a day to come
    sign_in(page, "administrator")
    page.goto("/firms?city=tiny&lang=zh")
    rule = page.locator("form", has=page.locator("[name=content]"))
    rule.locator("[name=title]").fill("物业评价办法")
    rule.locator("[name=begins_on]").fill(later.isoformat())
    rule.locator("button").click()
    expect(page.locator("[role=status]")).to_contain_text("已保存")
    expect(page.locator(".office-list")).to_contain_text(f"{later} 起施行")
    tell = page.locator("form", has=page.locator("[name=compound]"))
    tell.locator("[name=since]").fill("2026-03-02")
    tell.locator("[name=until]").fill("2026-03-31")
    tell.locator("button").click()
    expect(page.locator("[role=alert]")).to_contain_text("此前的事项不评价")
    page.visit.errors.clear()  # type: ignore[attr-defined]  # the browser notes the status 422


def test_a_shop_is_entered_inspected_and_read_by_a_stranger(
    new_page: Callable[..., Page], database: MigratedDatabase
) -> None:
    lon, lat = middle(database)
    page, stranger = new_page(), new_page(viewport=PHONE, has_touch=True)
    sign_in(page, "community")
    page.goto("/shops?city=tiny&lang=zh")
    page.fill("[name=name]", NAME)
    page.fill("[name=lon]", str(lon))
    page.fill("[name=lat]", str(lat))
    page.get_by_role("button", name="录入店铺").click()
    expect(page.locator(".office-side h2")).to_have_text(NAME)
    page.locator(".office-side [name=result]").select_option("to_mend")
    page.locator(".office-side form", has=page.locator("[name=held_on]")).locator("button").click()
    expect(page.locator(".office-side .topic")).to_contain_text("限期整改")
    stranger.goto(page.url)
    expect(stranger.locator(".office-side .topic")).to_contain_text("限期整改")
    expect(stranger.locator("form[method=post]")).to_have_count(0)
    assert fits(stranger)


def test_a_service_point_stands_on_the_map_of_stations(
    new_page: Callable[..., Page], database: MigratedDatabase
) -> None:
    lon, lat = middle(database)
    page = new_page()
    sign_in(page, "community")
    page.goto("/points?city=tiny&lang=zh")
    page.fill("[name=name]", "爱心驿站")
    page.fill("[name=lon]", str(lon))
    page.fill("[name=lat]", str(lat))
    page.check("[value=water]")
    page.get_by_role("button", name="录入服务点").click()
    expect(page.locator(".office-list")).to_contain_text("爱心驿站")
    page.goto("/stations?city=tiny&lang=zh")
    expect(page.locator("body[data-ready=true]")).to_be_attached(timeout=30_000)
    page.get_by_role("button", name="爱心驿站").click()
    expect(page.locator(".station-popup")).to_contain_text("饮水")
