"""A report on a phone travels through four roles to its end, and is opened once more."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from sqlalchemy import text

from tests.browser.conftest import PHONE, serve
from tests.browser.test_office import fits, sign_in
from tests.conftest import MigratedDatabase
from tests.geo.test_photos import CANARY, with_secrets

PAINT = (91, 103, 118)
WORDS = "<img src=x onerror=alert(1)> 路灯不亮"


@pytest.fixture(scope="module")
def database(
    city_template: str, new_database: Callable[[str], MigratedDatabase]
) -> MigratedDatabase:
    return new_database(city_template)


@pytest.fixture(scope="module")
def live_server(database: MigratedDatabase) -> Iterator[str]:
    with serve(database) as address:
        yield address


def middle(database: MigratedDatabase) -> tuple[float, float]:
    """Return a place in the grid of the worker, as lon and lat."""
    with database.engine.connect() as seen:
        lon, lat = seen.execute(
            text(
                "SELECT ST_X(label_point), ST_Y(label_point) FROM net_grid AS g"
                " JOIN area_grant AS a ON a.city_id = g.city_id AND a.grid_id = g.grid_id"
                " JOIN user_account AS u ON u.city_id = a.city_id AND u.user_id = a.user_id"
                " WHERE u.login = 'worker'"
            )
        ).one()
    return float(lon), float(lat)


def open_report(page: Page, at: tuple[float, float]) -> None:
    page.goto(f"/report?lang=zh&lon={at[0]}&lat={at[1]}&z=18")
    expect(page.locator("body[data-ready=true]")).to_be_attached()


def report(page: Page, at: tuple[float, float], photo: Path) -> str:
    """Report a lamp with a photo; return the link that follows it."""
    open_report(page, at)
    page.select_option("#category", "C0101")
    page.fill("#words", WORDS)
    page.set_input_files("#photo", photo)
    expect(page.locator("#photos img")).to_be_visible()
    page.get_by_text("是否愿意接受回访").click()
    page.fill("#phone", "139 0000 0000")
    page.get_by_role("button", name="上报", exact=True).click()
    expect(page.locator(".report-done h1")).to_have_text("谢谢，已送达受理台。")
    expect(page.locator(".report-done")).to_contain_text("照片：已发送 1 张")
    link = page.get_by_role("link", name="查看进度").get_attribute("href")
    assert link
    return link


def cover_plate(page: Page) -> None:
    """Draw over the left half of the photo's middle with the mouse, and take one stroke back."""
    page.locator(".issue-photos").get_by_role("button", name="涂盖", exact=True).click()
    box = page.locator("#brush canvas").bounding_box()
    assert box
    for height in (0.9, 0.5):
        if height == 0.5:
            page.locator("#brush").get_by_role("button", name="撤销", exact=True).click()
        page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * height)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * height, steps=5)
        page.mouse.up()
    page.locator("#brush").get_by_role("button", name="涂盖", exact=True).click()
    expect(page.locator(".issue-photos li")).to_contain_text("已涂盖")


def follow(page: Page, link: str) -> None:
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("body[data-ready=true]")).to_be_attached()


def at_desk(page: Page, code: str) -> None:
    """Find the issue on the desk by the code of the report and open it."""
    page.goto(f"/issues?lang=zh&q={code}")
    expect(page.locator("body[data-ready=true]")).to_be_attached()
    page.locator(".issue-row").click()
    expect(page.locator("#panel-body h2")).to_contain_text("路灯")


def act(page: Page, word: str, state: str, **fields: str) -> None:
    page.locator("#panel-body .issue-buttons").get_by_role("button", name=word, exact=True).click()
    form = page.locator("#panel-body .issue-act-form")
    for name, value in fields.items():
        control = form.locator(f"[name={name}]")
        if control.evaluate("one => one.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(value)
    if fields:
        form.get_by_role("button", name="确定").click()
    expect(page.locator("#panel-body .chip").first).to_have_text(state)


def test_a_report_travels_to_its_end_and_is_opened_once_more(
    new_page: Callable[..., Page], database: MigratedDatabase, tmp_path: Path
) -> None:
    photo = tmp_path / "lamp.jpg"
    photo.write_bytes(with_secrets("JPEG"))
    resident = new_page(viewport=PHONE, has_touch=True, is_mobile=True, locale="zh-CN")
    link = report(resident, middle(database), photo)
    assert fits(resident)
    code = link.split("/report/")[1].split("?")[0]
    secret = link.split("#")[1]
    assert secret not in link.split("#")[0]

    community, department, worker = new_page(), new_page(), new_page()
    sign_in(community, "community")
    at_desk(community, code)
    expect(community.locator("#panel-body blockquote")).to_have_text(WORDS)
    community.get_by_role("button", name="查看", exact=True).click()
    expect(community.locator("#panel-body .quiet[role=status]")).to_contain_text("139 0000 0000")
    expect(community.locator(".issue-photos li")).to_contain_text("未公开")
    cover_plate(community)
    community.get_by_role("button", name="公开", exact=True).click()
    expect(community.locator(".issue-photos li")).to_contain_text("已公开")
    act(community, "受理", "已受理")
    act(community, "立案", "已立案")
    act(community, "派遣", "处置中", organisation="5")

    sign_in(department, "department")
    at_desk(department, code)
    expect(department.locator("#panel-body")).not_to_contain_text("联系方式")
    act(department, "处置完成", "已处置，待核查", reason="换了灯泡")

    sign_in(worker, "worker")
    at_desk(worker, code)
    act(worker, "核查通过", "已现场核查")
    at_desk(community, code)
    act(community, "结案", "已结案")

    follow(resident, link)
    expect(resident.locator(".follow-state")).to_contain_text("已结案")
    resident.get_by_role("button", name="没有解决").click()
    resident.get_by_label("请说明哪里没有解决").fill("又不亮了")
    resident.get_by_role("button", name="重新打开").click()
    expect(resident.locator(".follow-state")).to_contain_text("已受理")

    community.goto("about:blank")
    at_desk(community, code)
    act(community, "立案", "已立案")
    act(community, "派遣", "处置中", organisation="itself")
    act(community, "处置完成", "已处置，待核查", reason="换了线路")
    act(community, "核查通过", "已现场核查")
    act(community, "结案", "已结案")
    follow(resident, link)
    resident.get_by_role("button", name="解决了").click()
    expect(resident.locator("#report")).to_contain_text("您已评价：解决了")

    with database.engine.connect() as seen:
        acts = seen.execute(
            text(
                "SELECT e.act FROM issue_event AS e JOIN issue USING (city_id, issue_id)"
                " WHERE code = :code ORDER BY e.at, e.event_id"
            ),
            {"code": code},
        ).scalars()
        assert list(acts) == [
            "report", "accept", "register", "dispatch", "handle", "check", "close", "reopen",
            "register", "dispatch", "handle", "check", "close", "answer",
        ]  # fmt: skip
        kept = seen.execute(text("SELECT content, thumbnail FROM photo")).one()
    assert not any(CANARY in bytes(one) for one in kept)
    for one in kept:
        with Image.open(io.BytesIO(bytes(one))) as image:
            under, beside = (image.getpixel((image.width * x // 8, image.height // 2))
                             for x in (3, 7))  # fmt: skip
        assert isinstance(under, tuple)
        assert isinstance(beside, tuple)
        assert max(abs(a - b) for a, b in zip(under, PAINT, strict=True)) < 12
        assert max(abs(a - b) for a, b in zip(beside, PAINT, strict=True)) > 40


def test_what_was_not_answered_is_kept_on_the_phone_and_comes_in_once(
    new_page: Callable[..., Page], database: MigratedDatabase, tmp_path: Path
) -> None:
    page = new_page(viewport=PHONE, has_touch=True, is_mobile=True)
    open_report(page, middle(database))
    page.select_option("#category", "C0102")
    page.fill("#words", "井盖翻了")
    photo = tmp_path / "phone.jpg"
    photo.write_bytes(with_secrets("JPEG"))
    page.set_input_files("#album", photo)
    expect(page.locator("#photos img")).to_be_visible()
    lost = [0]

    def lose(route: object) -> None:
        """Let the report arrive, and lose the answer."""
        route.fetch()  # type: ignore[attr-defined]
        lost[0] += 1
        route.fulfill(status=503, body="{}", content_type="application/json")  # type: ignore[attr-defined]

    page.route("**/reports", lose)
    page.get_by_role("button", name="上报", exact=True).click()
    expect(page.locator(".report-done")).to_contain_text("已保存在本机")
    expect(page.locator("#waiting-list")).to_contain_text("照片 1 张")
    assert fits(page)
    page.unroute("**/reports")
    page.visit.errors.clear()  # type: ignore[attr-defined]
    open_report(page, middle(database))
    expect(page.locator("#mine-list a")).to_have_count(1)
    expect(page.locator("#waiting")).to_be_hidden()
    assert lost == [1]
    with database.engine.connect() as seen:
        told = seen.execute(
            text("SELECT count(DISTINCT i.issue_id), count(p.photo_id) FROM issue AS i"
                 " LEFT JOIN photo AS p USING (city_id, issue_id) WHERE words = '井盖翻了'")
        ).one()  # fmt: skip
    assert tuple(told) == (1, 1)


def test_the_page_opens_without_a_connection(
    new_page: Callable[..., Page], database: MigratedDatabase
) -> None:
    page = new_page(viewport=PHONE, has_touch=True, is_mobile=True)
    at = middle(database)
    open_report(page, at)
    expect(page.locator("body[data-kept=true]")).to_be_attached()
    page.context.set_offline(True)
    open_report(page, at)
    page.select_option("#category", "C0102")
    page.fill("#words", "没有信号")
    page.get_by_role("button", name="上报", exact=True).click()
    expect(page.locator(".report-done")).to_contain_text("已保存在本机")
    page.context.set_offline(False)
    expect(page.locator("#waiting")).to_be_hidden()
    page.visit.errors.clear()  # type: ignore[attr-defined]
    with database.engine.connect() as seen:
        told = seen.scalar(text("SELECT count(*) FROM issue WHERE words = '没有信号'"))
    assert told == 1


def test_reports_do_not_pile_up_where_the_map_opens(
    new_page: Callable[..., Page], database: MigratedDatabase
) -> None:
    page = new_page(viewport=PHONE, has_touch=True, is_mobile=True)
    page.goto("/report?lang=zh")
    expect(page.locator("body[data-ready=true]")).to_be_attached()
    page.select_option("#category", "C0102")
    button = page.get_by_role("button", name="上报", exact=True)
    button.click()
    expect(page.locator("#said")).to_contain_text("在什么位置")
    box = page.locator("#pin").bounding_box()
    assert box
    page.mouse.move(box["x"] + 16, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(box["x"] + 66, box["y"] + 35, steps=3)
    page.mouse.up()
    button.click()
    expect(page.locator(".report-done h1")).to_have_text("谢谢，已送达受理台。")
    page.get_by_role("button", name="再报一件").click()
    expect(page.locator("#category")).to_have_value("")
    button.click()
    expect(page.locator("#said")).to_contain_text("请先选择")


def test_wrong_input_is_said_where_it_stands(
    new_page: Callable[..., Page], database: MigratedDatabase, tmp_path: Path
) -> None:
    page = new_page(viewport=PHONE, has_touch=True, is_mobile=True, locale="en-US")
    lon, lat = middle(database)
    page.goto(f"/report?lang=en&lon={lon + 0.4}&lat={lat}&z=16")
    expect(page.locator("#place")).to_have_text("The place is outside the city. Move the map.")
    page.visit.errors.clear()  # type: ignore[attr-defined]
    page.get_by_role("button", name="Report it").click()
    expect(page.locator("#said")).to_have_text("Choose what is wrong first.")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    page.set_input_files("#photo", broken)
    expect(page.locator("#said")).to_contain_text("The photo could not be read")
    page.goto("/report/AAAAAAAA?lang=en")
    expect(page.locator("#said")).to_contain_text("Nothing is known of this report here")


def test_many_are_done_at_once_and_who_may_not_is_told_why(
    new_page: Callable[..., Page], database: MigratedDatabase
) -> None:
    page = new_page()
    sign_in(page, "community")
    page.goto("/issues?lang=zh")
    expect(page.locator("body[data-ready=true]")).to_be_attached()
    ticks = page.locator(".issue-rows input[type=checkbox]")
    for number in range(min(3, ticks.count())):
        ticks.nth(number).check()
    expect(page.locator("#bulk")).to_contain_text("已选")
    page.locator("#bulk").get_by_role("button", name="结案", exact=True).click()
    expect(page.locator("#bulk .issue-groups")).to_contain_text("✕", timeout=15_000)
    page.locator("#bulk").get_by_role("button", name="确定").click()
    expect(page.locator("#bulk .notice")).to_contain_text("未办成", timeout=15_000)
    page.keyboard.press("j")
    expect(page.locator(".issue-rows li.is-open")).to_have_count(1)
    assert fits(page)


def test_staff_enter_a_call_by_its_address(
    new_page: Callable[..., Page], database: MigratedDatabase
) -> None:
    page = new_page()
    sign_in(page, "community")
    open_report(page, middle(database))
    page.select_option("#channel", "hotline")
    page.fill("#external", "12345-2026-7")
    page.fill("#said-address", "松林路4号2单元301室 张三")
    page.keyboard.press("Tab")
    expect(page.locator("#candidates li").first).to_contain_text("松林路")
    expect(page.locator("#address")).not_to_have_value("张三")
    page.select_option("#category", "E0101")
    page.get_by_role("button", name="上报", exact=True).click()
    expect(page.locator(".report-done h1")).to_be_visible()
    with database.engine.connect() as seen:
        row = seen.execute(
            text("SELECT channel, address FROM issue WHERE external = '12345-2026-7'")
        ).one()
    assert row.channel == "hotline"
    assert "张三" not in (row.address or "")
    assert "301" not in (row.address or "")
