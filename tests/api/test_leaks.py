"""Pooled connections never carry one viewer's rights to the next, whatever happens in between.

WANGGE_LEAK_TRANSACTIONS sets the number of transactions; the suite runs some thousands.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.app import create_app
from geo import service
from geo.db import Database, Viewer, owner_transaction
from geo.errors import DatabaseAwayError
from geo.tables import Issue
from geo.terms import Role
from tests.api.conftest import AWAY, DEPARTMENT, GRID_OF, HOME, PLAIN, World, login_of, serving

TRANSACTIONS = int(os.environ.get("WANGGE_LEAK_TRANSACTIONS", "3000"))
THREADS = 4
POOL = 2
"""Fewer connections than threads, so that each is handed on at once."""

Seen = frozenset[tuple[int, int]]


class GoneError(Exception):
    """The request behind a transaction ended early."""


def viewers(world: World) -> list[Viewer]:
    with owner_transaction(world.migrated.engine) as session:
        ids = {slug: service.city_id_of(session, slug) for slug in (HOME, AWAY)}
    made = [Viewer.public()]
    for city_id in ids.values():
        made.append(Viewer.public(city_id))
        for role in (Role.LEADER, Role.ADMINISTRATOR, Role.WORKER, Role.COMMUNITY):
            made.append(Viewer(role, city_id, 1, GRID_OF.get(role, ())))
        made.append(Viewer(Role.DEPARTMENT, city_id, 1, (), (DEPARTMENT,)))
    return made


def issues(session: Session) -> Seen:
    """Return what the wall in the database lets through, without any condition of the service."""
    rows = session.execute(text("SELECT city_id, issue_id FROM issue")).all()
    return frozenset((row.city_id, row.issue_id) for row in rows)


def expected(world: World, viewer: Viewer) -> Seen:
    """Return what a viewer may see, worked out by the owner without any policy of the roles."""
    with owner_transaction(world.migrated.engine) as session:
        condition = service.visible(Issue, viewer)
        rows = session.query(Issue.city_id, Issue.issue_id).where(condition).all()
    return frozenset((row.city_id, row.issue_id) for row in rows)


# ---- what may happen in a transaction -----------------------------------------------------------


def reads(session: Session, may: Seen) -> int:
    return len(issues(session) - may)


def divides_by_zero(session: Session, may: Seen) -> int:
    session.execute(text("SELECT 1 / 0"))
    return 0


def is_cancelled(session: Session, may: Seen) -> int:
    leaked = reads(session, may)
    session.execute(text("SET LOCAL statement_timeout = '1ms'"))
    session.execute(text("SELECT pg_sleep(1)"))
    return leaked


def is_left(session: Session, may: Seen) -> int:
    if issues(session) - may:
        return 1
    raise GoneError


def recovers(session: Session, may: Seen) -> int:
    try:
        with session.begin_nested():
            session.execute(text("SELECT 1 / 0"))
    except DBAPIError:
        pass
    return reads(session, may)


def forges(session: Session, may: Seen) -> int:
    session.execute(
        text("SELECT set_config('wangge.context', :forged, true)"),
        {"forged": "0" * 64 + '{"scope":"city","city":1,"until":99999999999}'},
    )
    return len(issues(session))


def takes_the_other_role(session: Session, may: Seen) -> int:
    """Changing the role without a context for it shows nothing of the other scope."""
    session.execute(text("SET LOCAL ROLE wangge_city"))
    return reads(session, may)


def drops_the_line(session: Session, may: Seen) -> int:
    leaked = reads(session, may)
    line = session.connection().connection.dbapi_connection
    assert line is not None
    line.close()
    return leaked


HAPPENINGS: tuple[tuple[int, Callable[[Session, Seen], int]], ...] = (
    (60, reads),
    (8, divides_by_zero),
    (6, is_cancelled),
    (8, is_left),
    (8, recovers),
    (4, forges),
    (4, takes_the_other_role),
    (2, drops_the_line),
)


def bare(database: Database) -> int:
    """Look at a pooled connection as the next viewer would get it: no role, no context."""
    with database.engine.connect() as connection:
        user, context = connection.execute(
            text("SELECT current_user, current_setting('wangge.context', true)")
        ).one()
        connection.rollback()
    return int(user != "wangge_app" or bool(context))


@pytest.fixture
def narrow_door(world: World) -> Iterator[Database]:
    """A door with few connections, closed whatever happens."""
    database = Database(world.migrated.app_url, world.migrated.key, pool_size=POOL)
    yield database
    database.close()


def test_nothing_leaks_from_one_transaction_to_the_next(
    world: World, narrow_door: Database
) -> None:
    database = narrow_door
    known = [(viewer, expected(world, viewer)) for viewer in viewers(world)]
    assert len({may for _, may in known}) >= 9, "viewers differ"
    weights = [weight for weight, _ in HAPPENINGS]

    def run(seed: int) -> Counter[str]:
        rng = random.Random(seed)
        counted: Counter[str] = Counter()
        for _ in range(TRANSACTIONS // THREADS):
            viewer, may = rng.choice(known)
            _, happening = rng.choices(HAPPENINGS, weights)[0]
            counted[happening.__name__] += 1
            try:
                with database.transaction(viewer) as session:
                    counted["leaks"] += happening(session, may)
                    counted["ended"] += 1
            except (DBAPIError, DatabaseAwayError, GoneError) as error:
                counted[type(error).__name__] += 1
            if rng.random() < 0.05:
                counted["leaks"] += bare(database)
        return counted

    with ThreadPoolExecutor(THREADS) as pool:
        counted = sum(pool.map(run, range(THREADS)), Counter[str]())
    assert counted["leaks"] == 0, counted
    for _, happening in HAPPENINGS:
        assert counted[happening.__name__] > 0, counted
    assert counted["ended"] > TRANSACTIONS / 2
    assert (
        counted["GoneError"] > 0 and counted["DataError"] > 0 and counted["DatabaseAwayError"] > 0
    )


def test_a_leak_would_be_counted(world: World, narrow_door: Database) -> None:
    """With a context of the connection instead of the transaction, the same look finds leaks."""
    leader = next(viewer for viewer in viewers(world) if viewer.role is Role.LEADER)
    with narrow_door.transaction(leader) as session:
        session.execute(
            text("SELECT set_config('wangge.context', current_setting('wangge.context'), false)")
        )
    assert bare(narrow_door) == 1


def test_answers_never_carry_another_readers_rows(world: World) -> None:
    """Readers of two cities and strangers ask at once, through few connections."""
    narrow = Database(world.migrated.app_url, world.migrated.key, pool_size=POOL)
    asked = ("/issues?limit=5", "/issues?state=nonsense", "/workers", "/nets/1/levels/leaf/values")
    kept = [
        (slug, role, dict(world.signed(login_of(role, slug)).cookies))
        for slug in (HOME, AWAY)
        for role in (Role.LEADER, Role.WORKER, Role.DEPARTMENT)
    ]
    kept.append((HOME, Role.PUBLIC, {}))

    def ask(seed: int) -> Counter[str]:
        rng = random.Random(seed)
        counted: Counter[str] = Counter()
        for _ in range(max(TRANSACTIONS // 40, 20)):
            slug, role, cookies = rng.choice(kept)
            asked_city, path = rng.choice((HOME, AWAY)), rng.choice(asked)
            with httpx.Client(cookies=cookies, timeout=30, verify=PLAIN) as client:
                answer = client.get(f"{url}/api/v1/cities/{asked_city}{path}")
            counted[str(answer.status_code)] += 1
            foreign = AWAY if asked_city == HOME else HOME
            told = asked_city == slug and role is not Role.PUBLIC
            counted["leaks"] += f'"{foreign}"' in answer.text or f"({foreign})" in answer.text
            counted["leaks"] += '"reported_at"' in answer.text and not told
        return counted

    with serving(create_app(world.settings, narrow)) as url, ThreadPoolExecutor(THREADS) as pool:
        counted = sum(pool.map(ask, range(THREADS)), Counter[str]())
    narrow.close()
    assert counted["leaks"] == 0, counted
    assert {"200", "401", "403", "422"} <= set(counted), counted
    assert not {"500", "503"} & set(counted), counted
