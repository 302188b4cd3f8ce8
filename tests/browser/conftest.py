"""A real browser and a real server: pages as people get them, with no way to other hosts."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from api import serving
from api.app import create_app
from geo.settings import Settings
from tests.conftest import MigratedDatabase

HERE = Path(__file__).parent
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
START_S = 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here, and keep it in one process: there is one browser and one server."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@dataclass
class Visit:
    """What happened beside the page itself."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A Chromium of this machine."""
    wanted = (os.environ.get("CHROMIUM"), *PROGRAMS)
    program = next((found for name in wanted if name and (found := shutil.which(name))), None)
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("There is no Chromium on this machine; `make browser` installs it.")
        pytest.skip("There is no Chromium on this machine; `make browser` installs it.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=list(ARGUMENTS), headless=True
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def live_server(small_city: MigratedDatabase) -> Iterator[str]:
    """Address of a server that shows the small demo city, without a slash at its end."""
    with serve(small_city) as address:
        yield address


class serve:  # noqa: N801 - used like a function
    """Serve a database on a free port of this machine, as long as the block lasts."""

    def __init__(self, database: MigratedDatabase) -> None:
        self._database = database.application()
        self._socket = serving.bind("127.0.0.1", 0)
        self._ready = threading.Event()
        settings = Settings(database_url=None)
        app = create_app(settings, self._database)
        self._server = serving.make_server(app, ready=self._ready.set)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> str:
        self._thread.start()
        assert self._ready.wait(START_S), "the server did not start"
        return serving.address_of(self._socket, "127.0.0.1", None).rstrip("/")

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(START_S)
        self._socket.close()
        self._database.close()


@pytest.fixture
def new_page(chromium: Browser, live_server: str) -> Iterator[Callable[..., Page]]:
    """Open pages of chosen size and language; each must end without errors or foreign requests."""
    contexts: list[tuple[BrowserContext, Visit]] = []

    def open_page(**options: Any) -> Page:
        chosen: dict[str, Any] = {"viewport": DESKTOP, "locale": "zh-CN", **options}
        context = chromium.new_context(base_url=live_server, **chosen)
        context.set_default_timeout(15_000)
        visit = Visit()
        own = urlsplit(live_server).netloc

        def gate(route: Route) -> None:
            address = urlsplit(route.request.url)
            if address.scheme in ("data", "blob") or address.netloc == own:
                route.continue_()
            else:
                visit.foreign.append(route.request.url)
                route.abort()

        context.route("**/*", gate)
        context.on("weberror", lambda found: visit.errors.append(str(found.error)))
        context.on(
            "console",
            lambda said: visit.errors.append(said.text) if said.type == "error" else None,
        )
        contexts.append((context, visit))
        page = context.new_page()
        page.visit = visit  # type: ignore[attr-defined]
        return page

    yield open_page
    for context, _ in contexts:
        context.close()
    assert [visit.foreign for _, visit in contexts if visit.foreign] == []
    assert [visit.errors for _, visit in contexts if visit.errors] == []


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page of a desktop in Chinese."""
    return new_page()


@pytest.fixture
def phone(new_page: Callable[..., Page]) -> Page:
    """A page of a phone in Chinese."""
    return new_page(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
