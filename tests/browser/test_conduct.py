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


def test_a_rule_is_written_in_a_form_and_published_for_good(new_page: Callable[..., Page]) -> None:
    page, later = new_page(), date.today() + timedelta(days=2)  # noqa: DTZ011 - a day to come
    sign_in(page, "administrator")
    page.goto("/firms?city=tiny&lang=zh&rule=new")
    expect(page.locator("#tried table")).to_contain_text("安心物业公司", timeout=30_000)
    page.fill("[name=title]", "物业评价办法")
    page.fill("[name=begins_on]", later.isoformat())
    page.get_by_role("button", name="再加一项").click()
    row = page.locator(".criterion").last
    row.locator("[name$=_title]").fill(NAME)
    row.locator("[name$=_points]").fill("9")
    row.locator("[name$=_most]").fill("5")
    row.locator("[name$=_counts]").select_option("reported")
    expect(row.locator(".of-inspections")).to_be_hidden()
    expect(page.locator("#tried .is-bad")).to_contain_text("第 4 项", timeout=30_000)
    row.locator("[name$=_most]").fill("90")
    row.locator("[name$=_categories]").select_option("E01")
    expect(page.locator("#tried table")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="正式发布").click()
    expect(page.locator("#office")).to_contain_text("正式发布")  # the box is not ticked
    page.check("[name=read]")
    page.get_by_role("button", name="正式发布").click()
    expect(page.locator("[role=status]")).to_contain_text("已保存")
    told = page.locator("details", has_text="物业评价办法")
    expect(told).to_contain_text(f"{later} 起施行")
    expect(told.locator("tbody")).to_contain_text(NAME)
    expect(page.locator("[name=title]")).to_have_count(0)
    page.goto("/firms?city=tiny&lang=zh&rate=new")
    expect(page.locator("[name=compound]")).to_have_count(0)  # no rule has begun
    page.visit.errors.clear()  # type: ignore[attr-defined]  # the browser notes the status 422


def test_a_shop_is_entered_inspected_and_read_by_a_stranger(
    new_page: Callable[..., Page], database: MigratedDatabase
) -> None:
    lon, lat = middle(database)
    page, stranger = new_page(), new_page(viewport=PHONE, has_touch=True)
    sign_in(page, "community")
    page.goto("/shops?city=tiny&lang=zh&shop=new")
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
    expect(stranger.locator("body[data-ready=true]")).to_be_attached(timeout=30_000)
    assert fits(stranger)


def test_a_compound_is_inspected_and_the_result_withdrawn(new_page: Callable[..., Page]) -> None:
    page = new_page()
    sign_in(page, "community")
    page.goto("/inspections?city=tiny&lang=zh")
    page.locator(".places a").first.click()
    page.locator(".office-side [name=kind]").select_option("lifts")
    page.locator(".office-side [name=result]").select_option("stopped")
    page.locator(".office-side form", has=page.locator("[name=held_on]")).locator("button").click()
    card = page.locator(".office-side .topic")
    expect(card).to_contain_text("电梯")
    card.locator("summary").click()
    card.locator("[value=withdraw]").check()
    card.locator("[name=words]").fill("录错了小区")
    card.locator("form button").click()
    expect(page.locator(".office-side .topic")).to_contain_text("已撤回")


def test_a_service_point_is_counted_changed_and_closed(
    new_page: Callable[..., Page], database: MigratedDatabase
) -> None:
    lon, lat = middle(database)
    page = new_page()
    sign_in(page, "community")
    page.goto("/points?city=tiny&lang=zh&point=new")
    page.fill("[name=name]", "爱心驿站")
    page.fill("[name=lon]", str(lon))
    page.fill("[name=lat]", str(lat))
    page.fill("[name=open_hours]", "Mo-Fr 09:00-17:00")
    page.check("[name=offers][value=water]")
    page.get_by_role("button", name="录入服务点").click()
    expect(page.locator(".places")).to_contain_text("爱心驿站")
    expect(page.locator(".places")).to_contain_text("周一至周五 09:00–17:00")
    for name, value in (("helped", "40"), ("helpers", "6"), ("hours", "55")):
        page.fill(f"[name={name}]", value)
    page.locator("form", has=page.locator("[name=helped]")).locator("button").click()
    expect(page.locator(".office-side tbody")).to_contain_text("40")
    expect(page.locator(".places")).to_contain_text("服务 40 次")
    here = page.url
    page.goto("/stations?city=tiny&lang=zh")
    expect(page.locator("body[data-ready=true]")).to_be_attached(timeout=30_000)
    page.get_by_role("button", name="爱心驿站").click()
    expect(page.locator(".station-popup")).to_contain_text("饮水")
    page.goto(here)
    page.get_by_text("修改或关闭").click()
    page.locator("form", has=page.locator("[name=version]")).locator("[name=name]").fill("邻里驿站")
    page.get_by_role("button", name="保存修改").click()
    expect(page.locator(".office-side h2")).to_have_text("邻里驿站")
    page.get_by_text("修改或关闭").click()
    page.get_by_role("button", name="该服务点已撤销").click()
    expect(page.locator(".empty")).to_contain_text("还没有")
