"""A served application on a database with two cities and an account for every role."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from geo import service
from geo.dataset import CityDataset
from geo.db import Database, migrate, owner_engine, owner_transaction
from geo.settings import Settings
from geo.terms import Role
from tests.cities import tiny_dataset
from tests.conftest import MigratedDatabase
from tests.databases import Server, fingerprint

PASSWORD = "eine lange Losung 7"
HOME, AWAY = "home", "away"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Shared by all readers, since making one costs more than a request; nothing here is encrypted."""
DEPARTMENT = 5
GRID_OF = {Role.WORKER: (111,), Role.COMMUNITY: (11,)}
"""Areas of the accounts: a grid of the first community, and that community."""


def login_of(role: Role, city: str) -> str:
    """Return the login of a role's account."""
    return f"{role}.{city}"


def two_cities() -> tuple[CityDataset, CityDataset]:
    """Return two cities with the same ids everywhere; each text of persons tells its city."""
    made = []
    for slug in (HOME, AWAY):
        city = tiny_dataset(slug)
        workers, issues = city.workers.copy(), city.issues.copy()
        workers["name"] = workers["name"] + f" ({slug})"
        issues["channel"] = slug
        made.append(replace(city, workers=workers, issues=issues))
    return made[0], made[1]


def _fill(owner_url: str) -> None:
    engine = owner_engine(owner_url)
    migrate(engine)
    with owner_transaction(engine) as session:
        for dataset in two_cities():
            city_id = service.load_dataset(session, dataset)
            for role in Role:
                if role is Role.PUBLIC:
                    continue
                service.create_account(
                    session,
                    city_id,
                    login=login_of(role, dataset.slug),
                    password=PASSWORD,
                    role=role,
                    display_name=f"{role} ({dataset.slug})",
                    grid_ids=GRID_OF.get(role, ()),
                    organisation_id=DEPARTMENT if role is Role.DEPARTMENT else None,
                )
    engine.dispose()


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of this machine; yield its address."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_level="critical",
        lifespan="off",
        server_header=False,
        timeout_keep_alive=600,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(2_000):
        if server.started:
            break
        thread.join(0.005)
    assert server.started, "the test server did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(5)


@dataclass
class World:
    """The served application and what tests need beside it."""

    migrated: MigratedDatabase
    database: Database
    settings: Settings
    app: FastAPI
    url: str
    _signed: dict[str, httpx.Client] = field(default_factory=dict)
    _opened: list[httpx.Client] = field(default_factory=list)

    def client(self, **headers: str) -> httpx.Client:
        """Return a new reader without an account, closed with the world."""
        opened = httpx.Client(base_url=self.url, timeout=30, headers=headers, verify=PLAIN)
        self._opened.append(opened)
        return opened

    def signed(self, login: str) -> httpx.Client:
        """Return a reader who is signed in, the same for all tests that only read."""
        if login not in self._signed:
            self._signed[login] = self.sign_in(login)
        return self._signed[login]

    def sign_in(self, login: str, password: str = PASSWORD) -> httpx.Client:
        """Return a new reader who has just signed in, with the CSRF token in its headers."""
        client = self.client()
        answer = client.post("/api/v1/session", json={"login": login, "password": password})
        assert answer.status_code == 201, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return client

    def close(self) -> None:
        """Close all readers."""
        for client in self._opened:
            client.close()


@pytest.fixture(scope="session")
def cities_template(server: Server) -> str:
    """Name of a template that holds the two cities."""
    mark = fingerprint("geo/**/*.py", "geo/profile_data/**/*", "tests/cities.py", "tests/api/*.py")
    return server.template("api", mark, lambda name: _fill(server.owner_url(name)))


@pytest.fixture(scope="session")
def world(cities_template: str, new_database: Callable[[str], MigratedDatabase]) -> Iterator[World]:
    """The application, served, on the two cities; tests may read and sign in."""
    migrated = new_database(cities_template)
    yield from _world(migrated, Settings(project_dir="/nowhere", database_url=None))


@pytest.fixture(scope="module")
def module_world(
    cities_template: str, new_database: Callable[[str], MigratedDatabase]
) -> Iterator[World]:
    """The same for the tests of one module, which write in it."""
    migrated = new_database(cities_template)
    yield from _world(migrated, Settings(project_dir="/nowhere", database_url=None))


@pytest.fixture
def own_world(
    cities_template: str, new_database: Callable[[str], MigratedDatabase]
) -> Iterator[World]:
    """The same for one test alone, which may break it."""
    migrated = new_database(cities_template)
    yield from _world(migrated, Settings(project_dir="/nowhere", database_url=None))


def _world(migrated: MigratedDatabase, settings: Settings) -> Iterator[World]:
    database = migrated.application()
    app = create_app(settings, database)
    with serving(app) as url:
        world = World(migrated, database, settings, app, url)
        yield world
        world.close()
    database.close()


@pytest.fixture
def reader(world: World) -> Iterator[httpx.Client]:
    """A reader without an account."""
    with world.client() as client:
        yield client
