"""The office in a real browser: a city begins, people and posts, a phone by its code, a door."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import FilePayload, Page, expect

from geo import service, sheets
from geo.db import owner_transaction
from tests.browser.conftest import PHONE, serve
from tests.conftest import MigratedDatabase

PASSWORD = service.DEMO_PASSWORD
WORKER = "新来的网格员"


@pytest.fixture(scope="module")
def city(
    city_template: str, new_database: Callable[[str], MigratedDatabase]
) -> tuple[MigratedDatabase, str]:
    """The tiny city with demo accounts, for the changes of this module, and the setup code."""
    migrated = new_database(city_template)
    with owner_transaction(migrated.engine) as session:
        service.create_demo_accounts(session, "tiny")
        code = service.founding.setup_code(session)
    assert code is not None
    return migrated, code


@pytest.fixture(scope="module")
def live_server(city: tuple[MigratedDatabase, str]) -> Iterator[str]:
    with serve(city[0]) as address:
        yield address


def sign_in(page: Page, login: str, password: str = PASSWORD) -> None:
    page.goto("/signin")
    page.fill("[name=login]", login)
    page.fill("[name=password]", password)
    page.click("main button[type=submit]")
    page.wait_for_url(lambda address: "/signin" not in address)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_secretary_keeps_people_and_a_phone_signs_in(new_page: Callable[..., Page]) -> None:
    page = new_page()
    sign_in(page, "administrator")
    page.goto("/staff?tab=workers&city=tiny")
    page.fill(".office-side [name=name]", WORKER)
    page.click(".office-side button[type=submit]")
    expect(page.locator("[role=status]")).to_contain_text("人员已录入")
    page.goto("/staff?tab=posts&city=tiny")
    page.click(".team a.button.is-small >> nth=0")
    side = page.locator(".office-side")
    side.locator("[name=worker]").press_sequentially("新来", delay=20)
    option = side.locator("datalist option")
    expect(option).to_have_count(1)
    chosen = option.get_attribute("value") or ""
    assert chosen.endswith(WORKER)
    side.locator("[name=worker]").fill(chosen)
    side.locator("[name=duty_number]").fill("6612 0001")
    side.locator("button[type=submit]").click()
    expect(page.locator("[role=status]")).to_contain_text("岗位已设立")
    expect(page.locator(".office-list")).to_contain_text(WORKER)

    page.goto(f"/staff?tab=workers&city=tiny&worker={chosen.split()[0]}")
    page.locator(".office-side form", has_text="账号").locator("button").first.click()
    expect(page.locator("#phone-code svg")).to_be_visible()
    link = page.locator("#phone-code .code-line").text_content() or ""
    phone = new_page(viewport=PHONE, has_touch=True, is_mobile=True)
    phone.goto(link)
    expect(phone.locator("h1")).to_have_text(WORKER)
    assert fits(phone)
    phone.get_by_role("button", name="在本机登录").click()
    phone.wait_for_url(lambda address: "/phone/" not in address)
    assert (
        phone.evaluate("fetch('/api/v1/session').then(r => r.json()).then(s => s.role)") == "worker"
    )

    page.goto("/staff?tab=phones&city=tiny")
    row = page.locator("tr", has_text=WORKER)
    row.get_by_role("button", name="终止").click()
    expect(page.locator("[role=status]")).to_contain_text("登录已终止")
    assert not phone.evaluate("fetch('/api/v1/session').then(r => r.json()).then(s => s.signed_in)")


def test_a_wrong_form_stays_and_says_where(page: Page) -> None:
    sign_in(page, "community")
    page.goto("/staff?city=tiny&grid=new")
    page.fill(".office-side [name=code]", "nowhere")
    page.click(".office-side button[type=submit]")
    wrong = page.locator(".field.is-wrong [role=alert]")
    expect(wrong).to_contain_text("本辖区目前没有网格")
    expect(page.locator(".office-side [name=code]")).to_have_value("nowhere")
    page.visit.errors.clear()  # type: ignore[attr-defined]  # the browser notes the status 422


def test_a_roster_is_looked_at_and_taken_over(page: Page) -> None:
    sign_in(page, "planner")
    page.goto("/staff?tab=roster&city=tiny")
    code = page.evaluate(
        "fetch('/api/v1/cities/tiny/grids/121').then(r => r.json()).then(g => g.code)"
    )
    header = ["网格编码", "岗位", "姓名"]
    rows = [[code, "网格助理员", "表格来的"], ["1", "网格员", None]]

    def send(content: list[list[str | None]], *, write: bool) -> None:
        made = sheets.write([sheets.Sheet("x", header, content)])
        file: FilePayload = {"name": "r.xlsx", "mimeType": sheets.MEDIA_TYPE, "buffer": made}
        page.set_input_files("[name=file]", files=[file])
        page.locator("[name=write]").set_checked(write)
        page.get_by_role("button", name="读取文件").click()

    send(rows, write=True)
    expect(page.locator(".report")).to_contain_text("有 1 行无法采用")
    expect(page.locator(".report")).to_contain_text("本辖区目前没有网格“1”")
    send(rows[:1], write=True)
    expect(page.locator(".report")).to_contain_text("已写入")


def test_a_notice_goes_up_and_stands_at_the_door(new_page: Callable[..., Page]) -> None:
    page = new_page()
    sign_in(page, "community")
    page.goto("/staff?tab=notices&city=tiny")
    grid = page.evaluate(
        "fetch('/api/v1/session').then(r => r.json()).then(s => s.areas[0])"
        ".then(g => fetch(`/api/v1/cities/tiny/grids/${g}`)).then(r => r.json())"
    )
    page.fill("[name=code]", grid["code"])
    page.fill("[name=title]", "明天停水 <b>八点</b>")
    page.get_by_role("button", name="发布").click()
    expect(page.locator(".office-list")).to_contain_text("明天停水 <b>八点</b>")
    phone = new_page(viewport=PHONE, has_touch=True, is_mobile=True, locale="en")
    answer = phone.goto(f"/door/{grid['code']}?city=tiny")
    assert answer is not None and answer.status == 200
    expect(phone.locator(".door-notice h2")).to_have_text("明天停水 <b>八点</b>")
    assert fits(phone)
    weight = phone.evaluate(
        "performance.getEntriesByType('resource').reduce((n, r) => n + r.encodedBodySize, 0)"
        " + performance.getEntriesByType('navigation')[0].encodedBodySize"
    )
    assert weight < 100_000


@pytest.mark.parametrize("path", ["/staff", "/staff?tab=notices", "/admin", "/admin?tab=kinds"])
def test_pages_of_the_office_fit_a_phone(phone: Page, path: str) -> None:
    sign_in(phone, "administrator")
    phone.goto(path)
    assert fits(phone)


def test_a_city_begins_in_the_guide(page: Page, city: tuple[MigratedDatabase, str]) -> None:
    page.goto("/start")
    page.fill("[name=code]", city[1])
    page.fill("[name=name]", "新城")
    page.fill("[name=slug]", "xincheng")
    page.fill("[name=county_code]", "370681")
    page.locator("#globe").click(position={"x": 560, "y": 100})
    page.locator("#globe").click(position={"x": 300, "y": 150})
    assert page.input_value("[name=lon]") and page.input_value("[name=lat]")
    page.fill("[name=lon]", "120.5")
    page.fill("[name=lat]", "37.6")
    page.get_by_role("button", name="推荐米制坐标系").click()
    expect(page.locator("[name=metre_srid]")).to_have_value("4549")
    page.fill("[name=login]", "first")
    page.fill("[name=password]", "ein neues Losungswort")
    page.get_by_role("button", name="建立城市").click()
    expect(page.locator("h1")).to_contain_text("新城")
    expect(page.locator("main")).to_contain_text("wangge import city xincheng.toml")
    page.goto("/staff")
    expect(page.locator(".empty")).to_contain_text("本市还没有网格")
