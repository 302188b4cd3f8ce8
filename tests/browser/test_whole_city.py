"""A city's first day, from the empty database to the restored one, as its people live it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text
from typer.testing import CliRunner

from api.cli import app
from geo import service
from geo.db import context_key, owner_transaction
from geo.store import derived
from tests.acceptance.conftest import shared_data as shared_data
from tests.browser.conftest import PHONE, serve
from tests.browser.test_leader import READY, cells_of, file_of, open_map, painted
from tests.conftest import MigratedDatabase, copied
from tests.databases import Server

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

RECIPE = Path(__file__).resolve().parents[2] / "data" / "boundaries" / "cambridge.toml"
SLUG = "cambridge-ma"
METRE_SRID = 26986
TRACTS = 33
PIXELS = 2_000
PAINTING_TRIES = 100
ADMINISTRATOR = ("mayor.office", "harbour lamp on brattle")
LEADER = ("city.manager", "nine bridges over charles")
WORKER = "周小河"
DUTY_NUMBER = "3521 0001"
FILES = (
    "coverage?f=csv&level=2",
    "stations?f=csv&level=1",
    "patrol?f=csv&level=2",
    "requests?f=csv&side=500",
)
REQUESTS = """
    INSERT INTO issue (city_id, issue_id, cell_id, owner_grid, area_1, area_2, category, channel,
                       state, reported_at, geom)
    SELECT c.city_id, row_number() OVER (), c.cell_id, n.grid_id, g.parent_id, n.grid_id,
           (SELECT min(category) FROM category WHERE city_id = c.city_id AND parent IS NOT NULL),
           'phone', 'reported', timestamptz '2026-01-15 12:00Z' + (s.n % 3) * interval '1 month',
           ST_PointOnSurface(c.geom)
    FROM (SELECT *, row_number() OVER (ORDER BY cell_id) AS place FROM cell) AS c
    JOIN net_cell AS n ON n.city_id = c.city_id AND n.cell_id = c.cell_id
    JOIN net_grid AS g ON g.city_id = n.city_id AND g.grid_id = n.grid_id
    CROSS JOIN LATERAL generate_series(1, CASE WHEN c.place % 3 = 0 THEN 7 ELSE 1 END) AS s (n)
    WHERE c.place % 2 = 1
"""
"""Requests of three months, more of them at some places than at others."""


@dataclass
class Office:
    """The machine in the town hall: a database, a server in front of it, files, a terminal."""

    database: MigratedDatabase
    folder: Path
    files: Path
    setup_code: str
    running: ExitStack = field(default_factory=ExitStack)

    def types(self, line: str) -> dict[str, Any]:
        """Run a command as it stands on a page; return what it answers to programs."""
        self.database.engine.dispose()
        words = line.replace("FOLDER", str(self.files)).split()
        assert words.pop(0) == "wangge"
        environment = {
            "DATABASE_URL": self.database.app_url,
            "DATABASE_OWNER_URL": self.database.owner_url,
            "WANGGE_PROJECT_DIR": str(self.folder),
        }
        with chdir(self.folder):
            done = CliRunner().invoke(
                app, [*words, "--json"], env=environment, catch_exceptions=False
            )
        assert done.exit_code == 0, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture(scope="module")
def office(
    server: Server, template: str, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    """An empty database, and beside it the files of the city's own office."""
    folder = tmp_path_factory.mktemp("office")
    shutil.copy(RECIPE, folder / f"{SLUG}.toml")
    with copied(server, template) as database:
        with owner_transaction(database.engine) as session:
            code = service.founding.setup_code(session)
        assert code is not None
        yield Office(database, folder, shared_data / "cambridge_ma", code)


@pytest.fixture(scope="module")
def live_server(office: Office) -> Iterator[str]:
    with office.running:
        yield office.running.enter_context(serve(office.database))


def sees_colour(page: Page) -> None:
    """Wait until the map has been painted."""
    for _ in range(PAINTING_TRIES):
        if painted(page) > PIXELS:
            return
        page.wait_for_timeout(100)
    assert painted(page) > PIXELS


def sign_in(page: Page, login: str, password: str) -> None:
    page.goto("/signin")
    page.fill("[name=login]", login)
    page.fill("[name=password]", password)
    page.click("main button[type=submit]")
    page.wait_for_url(lambda address: "/signin" not in address)


def the_city_begins(page: Page, office: Office) -> None:
    """The administrator finds an empty program and is led to the guide, and on to the files."""
    page.goto("/")
    expect(page.locator("main")).to_contain_text("还没有城市")
    page.visit.errors.clear()  # type: ignore[attr-defined]  # the browser notes the status 404
    page.get_by_role("link", name="建立城市").click()
    page.fill("[name=code]", office.setup_code)
    page.fill("[name=name]", "剑桥")
    page.fill("[name=name_en]", "Cambridge")
    page.fill("[name=slug]", SLUG)
    page.fill("[name=county_code]", "25017")
    page.locator("[name=profile][value=intl]").check()
    page.fill("[name=lon]", "-71.11")
    page.fill("[name=lat]", "42.375")
    page.get_by_role("button", name="推荐米制坐标系").click()
    expect(page.locator("[name=metre_srid]")).to_have_value("32619")
    page.fill("[name=metre_srid]", str(METRE_SRID))
    page.fill("[name=login]", ADMINISTRATOR[0])
    page.fill("[name=password]", ADMINISTRATOR[1])
    page.get_by_role("button", name="建立城市").click()
    expect(page.locator("h1")).to_contain_text("剑桥")
    lines = "\n".join(page.locator(".steps pre").all_inner_texts()).splitlines()
    assert len(lines) == 3
    for line in lines:
        said = office.types(line)
    assert said["ok"] is True
    page.reload()
    page.get_by_role("link", name="打开地图").click()
    page.wait_for_selector(READY)
    expect(page.locator("#panel")).to_contain_text("1,044")


def accounts_and_posts(page: Page) -> str:
    """The administrator makes accounts and posts; return what the worker's code holds."""
    page.goto(f"/admin?city={SLUG}")
    page.fill(".office-side [name=login]", LEADER[0])
    page.fill(".office-side [name=display_name]", "城市经理")
    page.locator(".office-side [name=role]").select_option("leader")
    page.fill(".office-side [name=password]", LEADER[1])
    page.get_by_role("button", name="建立账号").click()
    expect(page.locator(".office-list")).to_contain_text(LEADER[0])

    page.goto(f"/staff?tab=workers&city={SLUG}")
    page.fill(".office-side [name=name]", WORKER)
    page.click(".office-side button[type=submit]")
    expect(page.locator("[role=status]")).to_contain_text("人员已录入")

    blocks = page.evaluate(
        f"fetch('/api/v1/cities/{SLUG}/grids?level=2&sort=-households&limit=2')"
        ".then(r => r.json()).then(found => found.items)"
    )
    for block, holder in zip(blocks, (WORKER, ""), strict=True):
        page.goto(f"/staff?tab=posts&city={SLUG}&grid=new")
        side = page.locator(".office-side")
        side.locator("[name=code]").fill(block["code"])
        if holder:
            side.locator("[name=worker]").press_sequentially(holder[:2], delay=20)
            expect(side.locator("datalist option")).to_have_count(1)
            chosen = side.locator("datalist option").get_attribute("value") or ""
            side.locator("[name=worker]").fill(chosen)
            side.locator("[name=duty_number]").fill(DUTY_NUMBER)
        side.locator("button[type=submit]").click()
        expect(page.locator("[role=status]")).to_contain_text("岗位已设立")
    expect(page.locator(".office-list")).to_contain_text("空缺")

    page.goto(f"/staff?tab=workers&city={SLUG}&worker={chosen.split()[0]}")
    page.locator(".office-side form", has_text="账号").locator("button").first.click()
    expect(page.locator("#phone-code .qr svg")).to_be_visible()
    return page.locator("#phone-code .code-line").text_content() or ""


def the_worker_sees_the_zone(phone: Page, link: str) -> None:
    """The phone opens what the code holds, is signed in with one tap, and shows the own zone."""
    phone.goto(link)
    expect(phone.locator("h1")).to_have_text(WORKER)
    phone.get_by_role("button", name="在本机登录").click()
    phone.wait_for_selector(READY)
    expect(phone).to_have_url(re.compile("/patrol$"))
    sees_colour(phone)
    expect(phone.locator(".zone-head")).to_contain_text("Block")
    expect(phone.locator("#panel-body")).to_contain_text(DUTY_NUMBER)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def number(text: str) -> float:
    return float(re.sub(r"[^\d.]", "", text))


def the_leader_reads_the_map(page: Page, path: str, columns: dict[int, str]) -> None:
    """One map of figures: what it says of the tract that is chosen, its table and its file."""
    open_map(page, f"{path}?city={SLUG}&level=1")
    sees_colour(page)
    listed = page.locator("#panel-body .ranked .link")
    if listed.count():
        listed.first.click()
    else:
        box = page.locator(".folium-map").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 0.45 * box["width"], box["y"] + 0.5 * box["height"])
    expect(page.locator("#panel-body .card-head")).to_be_visible()
    chosen = page.locator("#panel-body h2").inner_text()
    tiles = page.locator("#panel-body .tiles").inner_text()
    rows, items = cells_of(page), file_of(page)
    assert len(rows) == len(items) == TRACTS + 1
    for row, item in zip(rows, items, strict=True):
        assert row[0] == item["name"]
        assert [number(row[place]) for place in columns] == [
            float(item[n]) for n in columns.values()
        ]
    (row,) = (row for row in rows if row[0] == chosen)
    assert [place for place in columns if row[place] not in tiles] == []


def the_leader_reads_the_requests(page: Page) -> None:
    """The map of requests: the square that was clicked, its row and its line in the file."""
    open_map(page, f"/heat?city={SLUG}&side=500")
    sees_colour(page)
    page.locator("#panel-body .ranked .link").first.click()
    square = page.locator("#panel-body .card-code").inner_text()
    found = re.search(r"(-?[\d,]+) / (-?[\d,]+)", square)
    assert found is not None
    place = f"{found[1]} / {found[2]}".replace(",", "")
    tiles = page.locator("#panel-body .tile b").all_inner_texts()
    (row,) = (row for row in cells_of(page) if row[1] == place)
    (item,) = (one for one in file_of(page) if f"{one['column']} / {one['row']}" == place)
    assert row[2:5] == tiles
    figures = ("cases", "households", "per_1000_households")
    assert [number(one) for one in tiles] == [round(float(item[name]), 1) for name in figures]
    total = sum(int(one["cases"]) for one in file_of(page))
    page.keyboard.press("Escape")
    expect(page.locator("#panel-body .tile b").first).to_have_text(f"{total:,}")


def requests_come_in(office: Office) -> None:
    with owner_transaction(office.database.engine) as session:
        session.execute(text(REQUESTS))
        city_id = service.city_id_of(session, SLUG)
        derived.refresh_issue_squares(session, city_id, METRE_SRID)


def what_the_leader_takes_away(address: str) -> list[str]:
    """Sign in and fetch the four files of figures."""
    with httpx.Client(base_url=address, timeout=60) as client:
        login, password = LEADER
        answer = client.post("/api/v1/session", json={"login": login, "password": password})
        assert answer.status_code == 201, answer.text
        files = [client.get(f"/api/v1/cities/{SLUG}/figures/{one}") for one in FILES]
        assert [file.status_code for file in files] == [200] * len(FILES)
        return [file.text for file in files]


def the_city_comes_back(office: Office, address: str) -> None:
    """Everything is kept in one file, lost, and brought back: the validator says the same."""
    figures = what_the_leader_takes_away(address)
    office.running.close()
    before = office.types(f"wangge check --city {SLUG}")
    kept = office.types("wangge backup")
    office.types(f"wangge city drop {SLUG} --yes")
    assert office.types("wangge city list") == {"cities": []}
    office.types(f"wangge restore {kept['file']} --force")
    office.types("wangge restore --drop-old")
    assert office.types(f"wangge check --city {SLUG}") == before
    assert before["ok"] is True
    database = replace(office.database, key=context_key(office.database.engine))
    with serve(database) as again:
        assert what_the_leader_takes_away(again) == figures


def test_the_office_moves_in(
    office: Office, live_server: str, new_page: Callable[..., Page]
) -> None:
    page = new_page()
    the_city_begins(page, office)
    link = accounts_and_posts(page)
    phone = new_page(viewport=PHONE, has_touch=True, is_mobile=True)
    the_worker_sees_the_zone(phone, link)
    requests_come_in(office)

    leader = new_page()
    sign_in(leader, *LEADER)
    expect(leader.locator("main")).to_contain_text("剑桥")
    the_leader_reads_the_map(leader, "/stations", {2: "households", 3: "within_500_m"})
    the_leader_reads_the_map(leader, "/stations/density", {2: "stations", 3: "households"})
    the_leader_reads_the_map(leader, "/staff/map", {5: "vacant", 6: "full_time"})
    the_leader_reads_the_requests(leader)

    for one in (page, phone, leader):  # they would go on asking the server, which stops now
        one.close()
    the_city_comes_back(office, live_server)
