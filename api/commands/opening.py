"""The database that commands work on: the private one or that of `DATABASE_URL`, up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from api.commands.address import Addresses, addresses
from geo.cluster import Cluster
from geo.db import migrate, owner_engine, owner_transaction
from geo.errors import SetupError
from geo.keeping import upgrade
from geo.settings import Settings
from geo.tables import City, UserAccount

MIGRATING = 7_229_001
"""Advisory lock: one process at a time changes the schema."""


@dataclass(frozen=True)
class Opened:
    """A database that runs and is up to date."""

    engine: Engine
    addresses: Addresses


@contextmanager
def open_database(settings: Settings, say: Callable[[str], None]) -> Iterator[Opened]:
    """Yield the database in use, up to date.

    Raises
    ------
    KeepingError
        If a later version of the program has been there.
    SetupError
        If there is no database to be had; the message says what to do.
    """
    with reach_database(settings, say) as opened:
        bring_up_to_date(opened.engine)
        yield opened


@contextmanager
def reach_database(settings: Settings, say: Callable[[str], None]) -> Iterator[Opened]:
    """Yield the database in use as it is; a private one is started, and the last to leave stops it.

    Raises
    ------
    SetupError
        If there is no database to be had; the message says what to do.
    """
    if settings.database_url:
        found = addresses(settings)
        with open_engine(found.owner) as engine:
            yield Opened(engine, found)
        return
    with Cluster(settings.project_dir).session(say):
        found = addresses(settings)  # known once it runs
        with open_engine(found.owner) as engine:
            yield Opened(engine, found)


@contextmanager
def open_engine(url: str) -> Iterator[Engine]:
    """Yield an engine of the owner, closed at the end."""
    engine = owner_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def demo_accounts(engine: Engine) -> list[tuple[str, str, str]]:
    """Return city, role and login of the enabled accounts whose password everybody knows."""
    account = UserAccount
    statement = (
        select(City.slug, account.role, account.login)
        .join(City, City.city_id == account.city_id)
        .where(account.demo, account.disabled_at.is_(None))
        .order_by(account.user_id)
    )
    with owner_transaction(engine) as session:
        return [(row.slug, row.role, row.login) for row in session.execute(statement)]


def bring_up_to_date(engine: Engine) -> None:
    """Run the migrations that are missing; a city of one's own is not touched without a backup.

    Raises
    ------
    KeepingError
        If a later version of the program has been there.
    SetupError
        If the database cannot be reached or refuses a migration, or if it holds a city that is
        not made up: `wangge upgrade` makes a backup first.
    """
    with alone(engine):
        found = upgrade.plan(engine)
        if found.steps and found.own_cities:
            raise SetupError(
                f"The database has the schema {found.before}, and this version of the program "
                f"needs {found.after}. Upgrading makes a backup first.",
                command="wangge upgrade",
            )
        if found.steps:
            migrate(engine)


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Let one process at a time change the schema; a second one waits for the first.

    Raises
    ------
    SetupError
        If the database cannot be reached or refuses what is done inside.
    """
    where = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as guard:
            guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATING})
            guard.commit()
            try:
                yield
            finally:
                guard.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATING})
                guard.commit()
    except OperationalError as error:
        raise SetupError(f"The database {where} cannot be reached: {_first_line(error)}") from None
    except DBAPIError as error:
        raise SetupError(
            f"The database {where} could not be brought up to date: {_first_line(error)}"
        ) from error


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
