"""What all tests share: a server, migrated databases, transactions that leave nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from geo import service
from geo.db import Database, context_key, migrate, owner_engine, owner_transaction
from tests import databases
from tests.cities import tiny_dataset
from tests.databases import Server

_numbers = itertools.count(1)


@dataclass(frozen=True)
class MigratedDatabase:
    """A database with the schema in it, for one test or for a worker's whole session."""

    name: str
    owner_url: str
    app_url: str
    key: bytes
    engine: Engine

    def application(self) -> Database:
        """Return the application's door to it; close it after use."""
        return Database(self.app_url, self.key)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server on which tests make and drop databases."""
    with databases.server() as found:
        found.sweep()
        yield found


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """Name of the template that the migrations built."""

    def fill(name: str) -> None:
        engine = owner_engine(server.owner_url(name))
        migrate(engine)
        engine.dispose()

    return server.template("empty", databases.fingerprint("geo/migrations/**/*.py"), fill)


@contextmanager
def copied(server: Server, template: str) -> Iterator[MigratedDatabase]:
    """Yield a database that is a copy of a template, and drop it."""
    name = f"wangge_test_{os.getpid()}_{next(_numbers)}"
    server.create(name, template)
    engine = owner_engine(server.owner_url(name))
    try:
        yield MigratedDatabase(
            name, server.owner_url(name), server.app_url(name), context_key(engine), engine
        )
    finally:
        engine.dispose()
        server.drop(name)


@pytest.fixture(scope="session")
def new_database(server: Server) -> Iterator[Callable[[str], MigratedDatabase]]:
    """Make a database as a copy of a template; dropped when the session ends."""
    with ExitStack() as made:
        yield lambda template: made.enter_context(copied(server, template))


@pytest.fixture(scope="session")
def shared_database(
    template: str, new_database: Callable[[str], MigratedDatabase]
) -> MigratedDatabase:
    """One empty, migrated database for all tests of this process that leave nothing in it."""
    return new_database(template)


@pytest.fixture
def fresh_database(server: Server, template: str) -> Iterator[MigratedDatabase]:
    """An empty, migrated database for one test that commits."""
    with copied(server, template) as database:
        yield database


@pytest.fixture
def session(shared_database: MigratedDatabase) -> Iterator[Session]:
    """A session of the owner in a transaction that is rolled back; a commit ends a savepoint."""
    with shared_database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        outer.rollback()


@pytest.fixture(scope="session")
def city_template(server: Server) -> str:
    """Name of the template with the small demo city and its accounts in it."""

    def fill(name: str) -> None:
        engine = owner_engine(server.owner_url(name))
        migrate(engine)
        dataset = tiny_dataset()
        with owner_transaction(engine) as session:
            service.load_dataset(session, dataset, demo=True)
            service.create_demo_accounts(session, dataset.slug)
        engine.dispose()

    content = databases.fingerprint("geo/**/*.py", "geo/**/*.toml", "tests/cities.py")
    return server.template("city", content, fill)


@pytest.fixture(scope="session")
def small_city(
    city_template: str, new_database: Callable[[str], MigratedDatabase]
) -> MigratedDatabase:
    """The small demo city, for all tests of this process that change nothing in it."""
    return new_database(city_template)


@pytest.fixture
def fresh_city(server: Server, city_template: str) -> Iterator[MigratedDatabase]:
    """The small demo city for one test that commits."""
    with copied(server, city_template) as database:
        yield database
