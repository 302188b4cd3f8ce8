"""The desk of issues in a real browser: tabs, answer texts, merge and split, files, paper, live."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, serve
from tests.browser.test_office import fits, sign_in
from tests.browser.test_report import middle
from tests.conftest import MigratedDatabase


@pytest.fixture(scope="module")
def database(
    city_template: str, new_database: Callable[[str], MigratedDatabase]
) -> MigratedDatabase:
    return new_database(city_template)


@pytest.fixture(scope="module")
def live_server(database: MigratedDatabase) -> Iterator[str]:
    with serve(database) as address:
        yield address


def report(address: str, database: MigratedDatabase, words: str) -> str:
    """Report exposed rubbish in the worker's grid; return its code."""
    lon, lat = middle(database)
    told: dict[str, Any] = {"category": "E0101", "lon": lon, "lat": lat, "words": words}
    answer = httpx.post(f"{address}/api/v1/cities/tiny/reports", json=told, timeout=20)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["code"])


def at_desk(page: Page, query: str = "") -> None:
    page.goto(f"/issues?city=tiny&lang=zh{query}")
    expect(page.locator("body[data-ready=true]")).to_be_attached(timeout=30_000)


def test_a_text_is_kept_and_put_into_a_reason(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    code = report(live_server, database, "一号")
    keeper = new_page()
    sign_in(keeper, "administrator")
    at_desk(keeper)
    keeper.click("#texts")
    dialog = keeper.locator("#texts-dialog")
    dialog.locator("[name=title]").fill("告知进度")
    dialog.locator("[name=body]").fill("您反映的{category}将在{几日}内处置。")
    dialog.get_by_role("button", name="保存").click()
    expect(dialog.locator(".issue-texts")).to_contain_text("告知进度")
    page = new_page()
    sign_in(page, "community")
    at_desk(page, f"&q={code}")
    page.locator(".issue-row").click()
    page.locator('[data-act="note"]').click()
    page.locator(".issue-act-form").get_by_label("答复文本").last.select_option(label="告知进度")
    reason = page.locator('.issue-act-form [name="reason"]')
    expect(reason).to_have_value(re.compile("^您反映的.+将在【几日】内处置。$"))
    page.keyboard.type("三日")
    expect(reason).to_have_value(re.compile("将在三日内处置。$"))
    page.locator(".issue-act-form").get_by_role("button", name="确定").click()
    expect(page.locator(".issue-history")).to_contain_text("将在三日内处置。")


def test_repeats_are_merged_and_parts_split_off(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    for words in ("先报的", "后报的"):
        report(live_server, database, words)
    page = new_page()
    sign_in(page, "community")
    at_desk(page, "&box=new&category=E0101")
    first, second = (page.locator(".issue-rows li", has_text=one) for one in ("先报的", "后报的"))
    number = first.get_attribute("data-issue")
    for one in (first, second):
        one.locator("input").check()
    page.locator('#bulk [data-act="merge"]').click()
    page.locator('#bulk [name="into"]').select_option(value=number)
    page.locator("#bulk").get_by_role("button", name="确定").click()
    expect(page.locator("#bulk .notice")).to_contain_text("1")
    expect(second).to_have_count(0)
    first.locator(".issue-row").click()
    page.locator('#panel-body [data-act="split"]').click()
    page.get_by_role("button", name="再加一部分").click()
    parts = page.locator(".issue-part")
    parts.nth(0).locator("textarea").fill("拆出的垃圾")
    parts.nth(1).locator("textarea").fill("拆出的路灯")
    parts.nth(1).locator("select").select_option(value="C0101")
    page.locator("#panel-body .issue-act-form").get_by_role("button", name="确定").click()
    expect(page.locator(".issue-rows", has_text="拆出的垃圾")).to_be_visible()
    page.goto("/issues?city=tiny&lang=zh&box=new&category=C0101")
    expect(page.locator(".issue-rows")).to_contain_text("拆出的路灯")


def test_tabs_boxes_and_filters_stand_in_the_address(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    report(live_server, database, "地址栏")
    page = new_page()
    sign_in(page, "community")
    at_desk(page)
    page.get_by_role("tab", name="部门", exact=True).click()
    expect(page).to_have_url(re.compile("held=0"))
    page.get_by_role("tab", name="我的辖区").click()
    page.keyboard.press("4")
    expect(page).to_have_url(re.compile("box=new"))
    page.get_by_text("更多筛选").click()
    page.select_option("#state", "reported")
    expect(page.locator(".issue-rows")).to_contain_text("地址栏")
    page.locator(".issue-rows li", has_text="地址栏").locator(".issue-row").click()
    page.locator("#panel-body").get_by_role("button").filter(has_text="网格").first.click()
    expect(page.locator("#only-grid")).to_be_visible()
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("body[data-ready=true]")).to_be_attached(timeout=30_000)
    expect(page.locator("#state")).to_have_value("reported")
    expect(page.locator("#only-grid")).to_contain_text("网格")
    expect(page.locator(".issue-rows")).to_contain_text("地址栏")


def test_a_desk_hears_of_a_report_without_being_asked(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    page, other = new_page(), new_page()
    sign_in(page, "community")
    at_desk(page, "&box=new")
    code = report(live_server, database, "刚刚报的")
    expect(page.locator(".issue-rows")).to_contain_text("刚刚报的", timeout=15_000)
    row = page.locator(".issue-rows li", has_text="刚刚报的")
    row.locator(".issue-row").click()
    expect(page.locator("#card-stale")).to_be_hidden()
    sign_in(other, "administrator")
    at_desk(other, f"&q={code}")
    other.locator(".issue-row").click()
    other.locator('[data-act="accept"]').click()
    expect(page.locator("#card-stale")).to_be_visible(timeout=15_000)
    page.locator("#card-stale button").click()
    expect(page.locator(".issue-history")).to_contain_text("已受理")


def test_files_and_paper(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    code = report(live_server, database, "<b>要打印的</b>")
    page = new_page()
    sign_in(page, "community")
    at_desk(page, f"&q={code}")
    page.click("#files")
    page.select_option('#files-dialog [name="name"]', "city_management")
    with page.expect_download() as made:
        page.locator("#files-dialog").get_by_role("button", name="下载").click()
    assert made.value.suggested_filename.endswith(".xlsx")
    page.locator(".issue-row").click()
    expect(page.locator("#card-print")).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator("blockquote")).to_have_text("<b>要打印的</b>")
    expect(page.locator(".issue-place .place-grid.is-own")).to_be_visible()
    expect(page.locator(".issue-blanks")).to_contain_text("核查结果")
    page.goto(f"/print/issues?city=tiny&lang=zh&q={code}")
    expect(page.locator(".issue-table tbody tr")).to_have_count(1)
    expect(page.locator(".issue-table")).to_contain_text("<b>要打印的</b>")


def test_the_commonest_acts_are_one_key_and_the_next_issue_opens(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    for words in ("按键一", "按键二"):
        report(live_server, database, words)
    page = new_page()
    sign_in(page, "community")
    at_desk(page, "&box=new&q=按键")
    page.keyboard.press("j")
    card = page.locator("#panel-body")
    expect(card.locator("blockquote")).to_have_text("按键一")
    button = card.locator('[data-act="dispatch_by_rule"]')
    expect(button).to_contain_text(re.compile("→ .+ 前 · 含受理、立案"))
    promised = re.search("→ ([^·]+) ·", button.inner_text())
    page.keyboard.press("d")
    expect(card.locator("blockquote")).to_have_text("按键二")
    expect(card.locator("#act-said")).to_contain_text("已派遣")
    expect(page.locator(".issue-rows li")).to_have_count(1)
    page.keyboard.press("f")
    card.locator(".issue-act-form [name=reason]").fill("当场清了")
    page.keyboard.press("Control+Enter")
    expect(card).to_contain_text("此列表已办完")
    expect(page.locator("body")).to_contain_text("没有符合筛选条件的事件")
    page.goto("/issues?city=tiny&lang=zh&q=按键一")
    assert promised
    expect(page.locator(".issue-who")).to_have_text(promised[1].strip())


def test_what_was_written_is_kept_when_somebody_was_quicker(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    code = report(live_server, database, "两人同办")
    page, other = new_page(), new_page()
    for one, who in ((page, "community"), (other, "administrator")):
        sign_in(one, who)
        at_desk(one, f"&q={code}")
        one.locator(".issue-row").click()
    page.locator('[data-act="note"]').click()
    words = page.locator('.issue-act-form [name="reason"]')
    words.fill("已与物业联系，明早清运")
    other.locator('[data-act="accept"]').click()
    expect(other.locator(".issue-history")).to_contain_text("已受理")
    page.locator(".issue-act-form").get_by_role("button", name="确定").click()
    expect(page.locator("#act-said")).to_contain_text("请")
    expect(page.locator(".issue-history")).to_contain_text("已受理")
    expect(words).to_have_value("已与物业联系，明早清运")
    page.visit.errors.clear()  # type: ignore[attr-defined]  # the browser notes each 412
    page.locator(".issue-act-form").get_by_role("button", name="确定").click()
    expect(page.locator(".issue-history")).to_contain_text("明早清运")


def test_many_are_treated_with_a_look_ahead_that_news_do_not_disturb(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    for number in range(3):
        report(live_server, database, f"成批 {number}")
    page = new_page()
    sign_in(page, "community")
    at_desk(page, "&q=成批")
    page.keyboard.press("*")
    expect(page.locator("#bulk")).to_contain_text("已选 3 件")
    page.keyboard.press("d")
    groups = page.locator("#bulk .issue-groups li")
    expect(groups).to_have_count(1)
    expect(groups).to_contain_text(re.compile("3 → .+ 前"))
    page.keyboard.press("Escape")
    page.locator('#bulk [data-act="void"]').click()
    words = page.locator('#bulk [name="reason"]')
    words.fill("演练数据")
    report(live_server, database, "成批 又来一件")
    expect(page.locator(".issue-rows li")).to_have_count(4, timeout=15_000)
    expect(words).to_have_value("演练数据")
    words.press("Control+Enter")
    expect(page.locator("#bulk .notice")).to_contain_text("已办 3 件")
    expect(page.locator(".issue-rows li")).to_have_count(1)


def test_several_bodies_are_called_and_the_history_names_them(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    code = report(live_server, database, "吹哨")
    page = new_page(locale="en-GB")
    sign_in(page, "community")
    page.goto(f"/issues?city=tiny&lang=en&q={code}")
    page.locator(".issue-row").click()
    page.locator('[data-act="joint_dispatch"]').click()
    form = page.locator(".issue-act-form")
    leads = form.locator("[name=organisation] option")
    first, second = leads.nth(0).inner_text(), leads.nth(1).inner_text()
    expect(form.locator(".issue-foresight")).to_contain_text("✕")
    form.locator(".issue-ticks").get_by_label(second).check()
    expect(form.locator(".issue-foresight")).to_contain_text(f"→ {first}")
    form.get_by_role("button", name="Do it").click()
    line = page.locator(".issue-history li").first
    expect(line).to_contain_text(f"→ {first}")
    expect(line).to_contain_text(second)
    expect(page.locator("#card-holder")).to_have_text(first)


def test_a_deadline_is_one_of_the_city_wherever_the_desk_stands(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    code = report(live_server, database, "时区")
    page = new_page(timezone_id="America/New_York")
    sign_in(page, "community")
    at_desk(page, f"&q={code}")
    page.locator(".issue-row").click()
    page.locator('[data-act="dispatch_by_rule"]').click()
    page.locator('[data-act="postpone"]').click()
    form = page.locator(".issue-act-form")
    form.locator("[name=deadline]").fill("2031-03-05T17:30")
    form.locator("[name=reason]").fill("等材料")
    form.get_by_role("button", name="确定").click()
    expect(page.locator(".issue-facts")).to_contain_text("2031年3月5日 17:30")


def test_a_desk_that_lost_its_news_says_so_and_finds_them_again(
    new_page: Callable[..., Page], live_server: str, database: MigratedDatabase
) -> None:
    page = new_page()
    sign_in(page, "community")
    refused = {"on": True}
    page.route(
        "**/desk/events",
        lambda route: route.fulfill(status=503) if refused["on"] else route.continue_(),
    )
    at_desk(page, "&box=new&q=断线")
    expect(page.locator("#heard")).to_be_visible()
    refused["on"] = False
    expect(page.locator("#heard")).to_be_hidden(timeout=15_000)
    report(live_server, database, "断线之后")
    expect(page.locator(".issue-rows")).to_contain_text("断线之后", timeout=15_000)
    page.visit.errors.clear()  # type: ignore[attr-defined]  # the 503 that was made


@pytest.mark.parametrize("who", ["worker", "department", "leader"])
def test_the_desk_on_a_phone(new_page: Callable[..., Page], who: str) -> None:
    page = new_page(viewport=PHONE, has_touch=True)
    sign_in(page, who)
    page.goto("/issues?city=tiny&lang=en")
    expect(page.locator("body[data-ready=true]")).to_be_attached(timeout=30_000)
    assert fits(page)
    expect(page.locator("#tabs")).to_be_visible(visible=who == "leader")
