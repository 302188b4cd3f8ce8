"""A real city on the map of the net: Cambridge, Massachusetts, from its office's own files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from geo import service
from geo.boundaries import read_delivery
from geo.db import owner_transaction
from geo.importing import assemble
from geo.profiles import load_profile
from geo.recipes import recipe_from_tables
from tests.acceptance.conftest import shared_data as shared_data
from tests.browser.conftest import serve
from tests.browser.test_net import choose_level, click_grid, open_net, painted
from tests.conftest import MigratedDatabase, copied
from tests.databases import Server

pytestmark = pytest.mark.acceptance

RECIPE = Path(__file__).resolve().parents[2] / "data" / "boundaries" / "cambridge.toml"
QUERY = "city=cambridge-ma"
TRACT = "25017352500"
LIBRARY = "Central Square Branch Library"


@pytest.fixture(scope="module")
def cambridge(server: Server, template: str, shared_data: Path) -> Iterator[MigratedDatabase]:
    """A database with the real city in it."""
    recipe = recipe_from_tables(tomllib.loads(RECIPE.read_text(encoding="utf-8")))
    delivery = read_delivery(recipe, shared_data / "cambridge_ma")
    dataset, _ = assemble(recipe, load_profile("intl"), delivery)
    with copied(server, template) as database:
        with owner_transaction(database.engine) as session:
            service.import_city(session, dataset, digest="any")
        yield database


@pytest.fixture(scope="module")
def live_server(cambridge: MigratedDatabase) -> Iterator[str]:
    with serve(cambridge) as address:
        yield address


def test_the_city_and_its_levels_stand_on_the_map(page: Page) -> None:
    open_net(page, QUERY)
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_contain_text("剑桥")
    for figure in ("1,044", "33", "324", "47,275"):
        expect(panel).to_contain_text(figure)
    assert painted(page) > 5_000
    for word in ("普查区", "普查街区"):
        choose_level(page, word)
        assert painted(page) > 5_000


def test_a_tract_has_its_card(page: Page) -> None:
    open_net(page, QUERY)
    choose_level(page, "普查区")
    click_grid(page)
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_have_text(re.compile(r"Tract \d{4}"))
    expect(panel.locator(".tile").first).to_contain_text("户数")
    expect(panel).to_contain_text("由谁负责")
    expect(page).to_have_url(re.compile(r"grid=\d+"))


@pytest.mark.parametrize(
    ("words", "found"),
    [(TRACT, "Tract 3525"), ("Massachusetts Ave", "Massachusetts Ave"), (LIBRARY, LIBRARY)],
    ids=["code", "street", "station"],
)
def test_it_is_searched_by_code_street_and_station(page: Page, words: str, found: str) -> None:
    open_net(page, QUERY)
    page.locator("#search").fill(words)
    option = page.locator("#search-list [role=option]").first
    expect(option).to_contain_text(found)
    option.click()
    expect(page.locator("#panel")).to_contain_text(found)


def test_who_is_responsible_there(page: Page) -> None:
    open_net(page, QUERY)
    page.get_by_role("button", name="点选地点").click()
    click_grid(page)
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_contain_text("这里归")
    expect(panel).to_contain_text(re.compile(r"Block \d{4}"))
    expect(panel).to_contain_text(re.compile(r"Tract \d{4}"))
    expect(panel).to_contain_text(re.compile(r"\d m|\d 米|米"))
