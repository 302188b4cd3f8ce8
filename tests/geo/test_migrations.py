"""The migrations alone make the schema that the models describe, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text

from geo.db import migrate
from tests.conftest import MigratedDatabase

pytestmark = pytest.mark.migrations


def run(engine: Engine, order: Callable[..., object], *args: str) -> None:
    """Run an order of Alembic on an engine."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("geo.migrations")))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        order(config, *args)
        connection.commit()


def test_models_and_migrations_say_the_same(fresh_database: MigratedDatabase) -> None:
    run(fresh_database.engine, command.check)


def test_the_check_can_fail(fresh_database: MigratedDatabase) -> None:
    with fresh_database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE net ADD COLUMN unheard_of integer"))
    with pytest.raises(Exception, match="unheard_of"):
        run(fresh_database.engine, command.check)


def test_migrations_can_be_taken_back_and_repeated(fresh_database: MigratedDatabase) -> None:
    engine = fresh_database.engine
    before = set(inspect(engine).get_table_names())
    run(engine, command.downgrade, "base")
    assert set(inspect(engine).get_table_names()) <= {"spatial_ref_sys", "alembic_version"}
    migrate(engine)
    assert set(inspect(engine).get_table_names()) == before


def test_a_second_migration_does_nothing(fresh_database: MigratedDatabase) -> None:
    migrate(fresh_database.engine)
