"""The page of files in a real browser: dropped, looked at on the map, imported, taken back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from api import serving
from api.app import create_app
from geo import service
from geo.db import owner_transaction
from geo.files import jail
from geo.settings import Settings
from geo.store.importing.working import Worker
from tests.browser.conftest import DESKTOP, PHONE, START_S
from tests.cities import point
from tests.conftest import MigratedDatabase
from tests.geo.test_store_importing import frame

WORK_MS = 90_000
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(jail.missing() is not None, reason=f"no walls here: {jail.missing()}"),
]


@pytest.fixture(scope="module")
def database(
    city_template: str, new_database: Callable[[str], MigratedDatabase]
) -> MigratedDatabase:
    """The small demo city, for the imports of this module alone."""
    return new_database(city_template)


@pytest.fixture(scope="module")
def address(database: MigratedDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a worker beside it."""
    settings = Settings(project_dir=tmp_path_factory.mktemp("state"), database_url=None)
    door, listening, ready = database.application(), serving.bind("127.0.0.1", 0), threading.Event()
    server = serving.make_server(create_app(settings, door), ready=ready.set)
    worker, over = Worker(database.engine, settings.import_dir, "test"), threading.Event()

    def work() -> None:
        while not over.is_set():
            if worker.work() is None:
                over.wait(0.2)

    threads = [
        threading.Thread(target=server.run, args=([listening],)),
        threading.Thread(target=work),
    ]
    for thread in threads:
        thread.start()
    assert ready.wait(START_S), "the server did not start"
    yield serving.address_of(listening, "127.0.0.1", None).rstrip("/")
    over.set()
    server.should_exit = True
    for thread in threads:
        thread.join(START_S)
    listening.close()
    door.close()


@pytest.fixture
def open_page(chromium: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open the page as a planner; it must end without errors."""
    opened, errors = [], []

    def enter(language: str = "zh", **options: object) -> Page:
        context = chromium.new_context(base_url=address, **{"viewport": DESKTOP, **options})
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/signin")
        page.fill("[name=login]", "planner")
        page.fill("[name=password]", service.DEMO_PASSWORD)
        page.locator("main [type=submit]").first.click()
        page.wait_for_load_state()
        page.goto(f"/import?city=tiny&lang={language}")
        page.wait_for_selector("body[data-ready]", timeout=WORK_MS)
        return page

    yield enter
    for context in opened:
        context.close()
    assert errors == []


@pytest.fixture
def stations(tmp_path: Path) -> Path:
    path = tmp_path / "站点.geojson"
    rows = [
        {"名称": "新站", "类型": "网格服务站", "姓名": "张三丰", "geometry": point(0.2, 0.2)},
        {"名称": "<b>怪站</b>", "类型": "碰碰车", "姓名": "李四光", "geometry": point(1.5, 1.5)},
    ]
    frame(rows).to_file(path, driver="GeoJSON")
    return path


def stored(database: MigratedDatabase) -> int:
    with owner_transaction(database.engine) as session:
        return int(session.scalar(text("SELECT count(*) FROM station")) or 0)


def test_a_file_is_looked_at_imported_and_taken_back(
    open_page: Callable[..., Page], stations: Path, database: MigratedDatabase
) -> None:
    before, page = stored(database), open_page()
    page.set_input_files("#file", stations)
    expect(page.get_by_text("涉及个人的列已略去：姓名")).to_be_visible(timeout=WORK_MS)
    page.get_by_role("button", name="查看结果").click()
    expect(page.locator("h3", has_text="与现有数据对比")).to_be_visible(timeout=WORK_MS)
    expect(page.locator("h3", has_text="哪一幅与街道吻合？")).to_be_visible()
    assert page.locator(".pictures button").count() == 3
    page.get_by_label("碰碰车").select_option("canteen")
    page.get_by_role("button", name="应用并重新查看").click()
    expect(page.locator(".tile b").first).to_have_text("2", timeout=WORK_MS)
    assert stored(database) == before
    page.get_by_role("button", name="导入", exact=True).click()
    expect(page.get_by_role("button", name="撤回导入")).to_be_visible(timeout=WORK_MS)
    assert stored(database) == before + 2
    page.get_by_role("button", name="撤回导入").click()
    expect(page.get_by_text("此文件已撤回。")).to_be_visible(timeout=WORK_MS)
    assert stored(database) == before


def test_a_file_that_is_not_taken_is_said_as_long_as_nothing_else_is_done(
    open_page: Callable[..., Page], stations: Path, tmp_path: Path
) -> None:
    page, empty = open_page(), tmp_path / "空.geojson"
    empty.write_bytes(b"")
    page.set_input_files("#file", [stations, empty])
    expect(page.get_by_role("button", name="查看结果")).to_be_visible(timeout=WORK_MS)
    page.wait_for_timeout(2_500)  # it asks for news every second
    expect(page.locator("#said")).to_have_text("空.geojson：文件是空的，请重新保存")
    page.get_by_role("button", name="丢弃此文件").click()
    expect(page.get_by_text("此文件已丢弃。")).to_be_visible(timeout=WORK_MS)
    expect(page.locator("#said")).to_be_empty()


def test_the_page_fits_a_phone_in_english(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page("en", viewport=PHONE)
    broken = tmp_path / "broken.gpkg"
    broken.write_bytes(b"SQLite format 3\0 and nothing else")
    page.set_input_files("#file", broken)
    expect(page.get_by_text("This file was refused; nothing was changed.")).to_be_visible(
        timeout=WORK_MS
    )
    expect(page.get_by_text("broken.gpkg: it is damaged or cut off").first).to_be_visible()
    page.goto("/import?city=tiny&lang=zh")
    page.wait_for_selector("body[data-ready]", timeout=WORK_MS)
    expect(page.get_by_text("broken.gpkg：文件已损坏或不完整").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
