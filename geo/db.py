"""Engines and transactions: each carries one viewer, and the database enforces what it may see.

The application's login owns nothing and has no rights of its own. A transaction takes one of two
roles with ``SET LOCAL ROLE`` (`wangge_area`: rows of some areas; `wangge_city`: a whole city) and a
signed context with ``set_config(..., true)``; both end with the transaction, so that pooled
connections never carry one viewer's rights to the next.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from geo.errors import DatabaseAwayError, TookTooLongError
from geo.terms import CITY_WIDE, STAFF, Role

CONTEXT_LIFE_S = 600
"""How long a signed context is taken by the database, in seconds."""
STATEMENT_S = 30.0
"""Longest time of a statement of the application, in seconds, unless settings say otherwise."""
LISTEN = "LISTEN wangge_events"
"""The channel of the triggers that tell of plans, nets and accounts."""
SIGN_OF_LIFE_S = 30.0
"""After so many seconds of silence the server is asked whether it is still there."""

_ENTER = text(
    "SELECT set_config('role', :role, true), set_config('wangge.context', :context, true)"
)
_ENTER_IN_TIME = text(
    "SELECT set_config('role', :role, true), set_config('wangge.context', :context, true),"
    " set_config('statement_timeout', :longest, true)"
)


@dataclass(frozen=True)
class Viewer:
    """Who asks: what the service and the database decide upon.

    Parameters
    ----------
    role : Role
        For a stranger or a member of another city: `Role.PUBLIC`.
    city_id : int, optional
        The one city whose rows may be seen.
    user_id : int, optional
        The account, when signed in.
    areas : tuple of int
        Grids, of any level, in which an area-bound role acts.
    organisations : tuple of int
        Organisations whose cases a department sees.
    """

    role: Role = Role.PUBLIC
    city_id: int | None = None
    user_id: int | None = None
    areas: tuple[int, ...] = field(default=())
    organisations: tuple[int, ...] = field(default=())

    @classmethod
    def public(cls, city_id: int | None = None) -> Viewer:
        """Return the viewer without an account."""
        return cls(city_id=city_id)

    @property
    def city_wide(self) -> bool:
        """Whether all rows of the city may be read."""
        return self.role in CITY_WIDE

    @property
    def staff(self) -> bool:
        """Whether the viewer works for the city."""
        return self.role in STAFF

    @property
    def database_role(self) -> str:
        """Role that the transaction takes in the database."""
        return "wangge_city" if self.city_wide else "wangge_area"


def _signed_context(key: bytes, viewer: Viewer, scope: str) -> str:
    payload = json.dumps(
        {
            "scope": scope,
            "city": viewer.city_id,
            "user": viewer.user_id,
            "role": str(viewer.role),
            "areas": list(viewer.areas),
            "organisations": list(viewer.organisations),
            "until": int(time.time()) + CONTEXT_LIFE_S,
        },
        separators=(",", ":"),
    )
    return hmac.new(key, payload.encode(), hashlib.sha256).hexdigest() + payload


def owner_engine(url: str) -> Engine:
    """Return an engine of the login that owns the tables, for migrations and the operator."""
    return create_engine(url, pool_size=1, max_overflow=2, pool_pre_ping=True, hide_parameters=True)


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`; does nothing when it is there already."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("geo.migrations")))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def context_key(engine: Engine) -> bytes:
    """Read the key that signs contexts; only the owner can."""
    with engine.connect() as connection:
        value = connection.scalar(text("SELECT value FROM app_secret WHERE name = 'context'"))
    return bytes(value)


@contextmanager
def owner_transaction(engine: Engine) -> Iterator[Session]:
    """One transaction of the owner: loading, checking and keeping, never on behalf of a request."""
    with translated(), Session(engine) as session, session.begin():
        yield session


class Database:
    """The application's door: one engine, and one viewer for each transaction.

    Parameters
    ----------
    url : str
        Login of the application (`wangge_app`), SQLAlchemy form.
    key : bytes
        Key that signs contexts, from `context_key`.
    pool_size : int
        Connections kept open.
    statement_s : float
        Longest time that a statement of a transaction may take, seconds. The owner's transactions
        load and check whole cities and have no such end.
    """

    def __init__(
        self, url: str, key: bytes, *, pool_size: int = 8, statement_s: float = STATEMENT_S
    ) -> None:
        self._key = key
        self._statement_ms = round(statement_s * 1000)
        self.engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=4,
            pool_timeout=2,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 2,
                # A statement prepared once gets one plan for all cities and filters: 50 times
                # slower on the list of 6,562 grids. PgBouncer wants none either.
                "prepare_threshold": None,
            },
        )

    @contextmanager
    def transaction(self, viewer: Viewer) -> Iterator[Session]:
        """Yield a session inside one transaction that sees what `viewer` may see.

        Raises
        ------
        DatabaseAwayError
            If the database cannot be reached.
        """
        with self._transaction(viewer, "city" if viewer.city_wide else "area") as session:
            yield session

    @contextmanager
    def sign_in_transaction(self) -> Iterator[Session]:
        """Yield a session that may call the sign-in functions and read nothing protected.

        Raises
        ------
        DatabaseAwayError
            If the database cannot be reached.
        """
        with self._transaction(Viewer(), "sign_in") as session:
            yield session

    @contextmanager
    def _transaction(self, viewer: Viewer, scope: str) -> Iterator[Session]:
        with translated(), Session(self.engine) as session, session.begin():
            enter(session, viewer, scope=scope, key=self._key, statement_ms=self._statement_ms)
            yield session

    def enter(self, session: Session, viewer: Viewer) -> None:
        """Go on in the running transaction as `viewer`: whoever it was before is forgotten."""
        enter(session, viewer, key=self._key)

    async def notices(self) -> AsyncIterator[str]:
        """Yield what triggers tell of changes, from an own connection; first an empty text.

        That one is told once listening has begun. A notice says where something has changed, never
        what; whoever is woken by it reads with the own rights. Listening needs a connection of its
        own to the server: PgBouncer passes no notices on.

        Raises
        ------
        DatabaseAwayError
            If the database cannot be reached, or goes away.
        """
        url = self.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=2
            ) as connection:
                await connection.execute(LISTEN)
                yield ""
                while True:
                    async for notice in connection.notifies(timeout=SIGN_OF_LIFE_S):
                        yield notice.payload
                    await connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise DatabaseAwayError("The database went away; it is asked again.") from error

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def enter(
    session: Session,
    viewer: Viewer,
    *,
    key: bytes,
    scope: str | None = None,
    statement_ms: int | None = None,
) -> None:
    """Give the running transaction the viewer's role and signed context.

    From then on no statement takes longer than `statement_ms`, if that is given.
    """
    scope = scope or ("city" if viewer.city_wide else "area")
    values = {"role": viewer.database_role, "context": _signed_context(key, viewer, scope)}
    if statement_ms is None:
        session.execute(_ENTER, values)
    else:
        session.execute(_ENTER_IN_TIME, values | {"longest": str(statement_ms)})


@contextmanager
def translated() -> Iterator[None]:
    """Say `DatabaseAwayError` for a database that is away, whatever the driver calls it."""
    try:
        yield
    except (OperationalError, psycopg.OperationalError, PoolTimeoutError) as error:
        if isinstance(getattr(error, "orig", error), psycopg.errors.QueryCanceled):
            raise TookTooLongError("This took too long and was stopped.") from error
        raise DatabaseAwayError("The database cannot be reached; try again shortly.") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseAwayError("The database went away; try again shortly.") from error
        raise
