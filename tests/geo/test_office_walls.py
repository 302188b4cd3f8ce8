"""The second wall of the office: what each role may write, straight into the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from geo import service
from geo.db import Database, Viewer, owner_transaction
from geo.terms import Role
from tests.cities import tiny_dataset
from tests.conftest import MigratedDatabase

ROLES = [role for role in Role if role is not Role.PUBLIC]
REFUSED = r"row-level security|permission denied"


@pytest.fixture(scope="module")
def door(
    template: str, new_database: Callable[[str], MigratedDatabase]
) -> Iterator[tuple[Database, int, int]]:
    """The application's door to two cities with demo accounts, and their ids."""
    migrated = new_database(template)
    with owner_transaction(migrated.engine) as session:
        ids = []
        for slug in ("one", "two"):
            ids.append(service.load_dataset(session, tiny_dataset(slug)))
            service.create_demo_accounts(session, slug)
        session.execute(
            text(
                "INSERT INTO notice (city_id, grid_id, kind, title, body, begins_at, author,"
                " area_1, area_2, withdrawn_at) VALUES (:c, 21, 'water', 'up', '', now(), 1, 2, 21,"
                " NULL), (:c, 21, 'water', 'down', '', now(), 1, 2, 21, now())"
            ),
            {"c": ids[0]},
        )
    database = migrated.application()
    yield database, ids[0], ids[1]
    database.close()


Door = tuple[Database, int, int]


def viewer_of(role: Role, city_id: int) -> Viewer:
    areas = (11,) if role in (Role.COMMUNITY, Role.WORKER) else ()
    return Viewer(role, city_id, 1, areas)


WRITES = {
    "post": "INSERT INTO post (city_id, post_id, grid_id, role, valid_from)"
    " VALUES (:city, :n, 111, 'worker', '2026-01-01')",
    "foreign post": "INSERT INTO post (city_id, post_id, grid_id, role, valid_from, area_2)"
    " VALUES (:city, :n, 121, 'worker', '2026-01-01', 11)",
    "change a post": "UPDATE post SET part_time = true WHERE city_id = :city AND grid_id = 111",
    "worker": "INSERT INTO worker (city_id, worker_id, name) VALUES (:city, :n, 'x')",
    "notice": "INSERT INTO notice (city_id, grid_id, kind, title, body, begins_at, author)"
    " VALUES (:city, 111, 'water', 'x', '', now(), 1)",
    "account": "INSERT INTO user_account (city_id, login, display_name, role, password_hash)"
    " VALUES (:city, 'x' || :n, 'x', 'leader', 'x')",
    "level": "UPDATE level SET name = 'x' WHERE city_id = :city",
    "kind": "INSERT INTO station_kind VALUES (:city, 'x' || :n, 'x', 'x', 'x')",
    "category": "UPDATE category SET name = 'x' WHERE city_id = :city",
    "grant": "INSERT INTO area_grant SELECT city_id, user_id, 213 FROM user_account"
    " WHERE city_id = :city AND role = 'leader'",
}
MAY = {
    Role.ADMINISTRATOR: set(WRITES),
    Role.PLANNER: {"post", "foreign post", "change a post", "worker"},
    Role.COMMUNITY: {"post", "change a post", "notice"},
}
_numbers = iter(range(5_000, 9_000))


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_write(door: Door, role: Role, write: str) -> None:
    database, city, other = door
    for place, allowed in ((city, write in MAY.get(role, ())), (other, False)):
        changed = 0
        try:
            with database.transaction(viewer_of(role, city)) as session:
                values = {"city": place, "n": next(_numbers)}
                used = {key: value for key, value in values.items() if f":{key}" in WRITES[write]}
                changed = session.execute(text(WRITES[write]), used).rowcount  # type: ignore[attr-defined]
                session.rollback()
        except DBAPIError as error:
            assert any(word in str(error) for word in REFUSED.split("|")), error
        assert bool(changed) is allowed, (role, write, place)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM post",
        "UPDATE post SET grid_id = 121",
        "UPDATE post SET area_2 = 11",
        "DELETE FROM notice",
        "UPDATE notice SET author = 2",
        "UPDATE worker SET areas = '{1}'",
        "DELETE FROM worker",
        "UPDATE user_account SET login = 'x'",
        "DELETE FROM user_account",
        "SELECT token_hash FROM user_session",
        "UPDATE user_session SET expires_at = 'infinity'",
        "SELECT * FROM sign_in_link",
        "UPDATE sign_in_link SET used_at = NULL",
        "SELECT * FROM use_sign_in_link('x'::bytea, 'y'::bytea, interval '1 day', 'z')",
        "SELECT * FROM look_at_sign_in_link('x'::bytea)",
        "SELECT may_found('x', 'y'::bytea)",
        "INSERT INTO city (slug) VALUES ('x')",
        "UPDATE level SET code = 'x'",
    ],
)
def test_what_not_even_an_administrator_does_by_hand(door: Door, statement: str) -> None:
    database, city, _ = door
    with (
        pytest.raises(DBAPIError, match=r"permission denied|signing in only"),
        database.transaction(Viewer(Role.ADMINISTRATOR, city, 1)) as session,
    ):
        session.execute(text(statement))


def test_a_link_is_for_phones_of_the_own_area_alone(door: Door) -> None:
    database, city, _ = door
    link = text(
        "INSERT INTO sign_in_link (token_hash, city_id, user_id, created_by, expires_at)"
        " VALUES (sha256(CAST(:n AS text)::bytea), :city, :user, 1, now())"
    )
    with database.transaction(Viewer(Role.ADMINISTRATOR, city, 1)) as session:
        rows = session.execute(text("SELECT role, user_id, worker_id FROM user_account")).all()
        worker = next(row for row in rows if row.role == "worker")
        areas = session.execute(
            text("SELECT areas FROM worker WHERE worker_id = :w"), {"w": worker.worker_id}
        ).scalar_one()
    leader = next(row for row in rows if row.role == "leader")
    outside = next(grid for grid in (21, 11, 12) if grid not in areas)
    inside = next(grid for grid in (21, 11, 12) if grid in areas)
    cases = [
        (Viewer(Role.ADMINISTRATOR, city, 1), worker.user_id, True),
        (Viewer(Role.ADMINISTRATOR, city, 1), leader.user_id, False),
        (Viewer(Role.COMMUNITY, city, 1, (inside,)), worker.user_id, True),
        (Viewer(Role.COMMUNITY, city, 1, (outside,)), worker.user_id, False),
        (Viewer(Role.COMMUNITY, city, 1, (inside,)), leader.user_id, False),
        (Viewer(Role.PLANNER, city, 1), worker.user_id, False),
        (Viewer(Role.WORKER, city, worker.user_id, (inside,)), worker.user_id, False),
    ]
    for viewer, user, allowed in cases:
        try:
            with database.transaction(viewer) as session:
                values = {"n": str(next(_numbers)), "city": city, "user": user}
                session.execute(link, values)
            went = True
        except DBAPIError as error:
            assert "row-level security" in str(error)
            went = False
        assert went is allowed, (viewer.role, user)


def test_strangers_read_notices_in_force_alone(door: Door) -> None:
    database, city, _ = door
    seen = {}
    for viewer in (
        Viewer.public(city),
        Viewer(Role.COMMUNITY, city, 1, (21,)),
        Viewer(Role.COMMUNITY, city, 1, (11,)),
        Viewer(Role.LEADER, city, 1),
    ):
        with database.transaction(viewer) as session:
            titles = session.scalars(text("SELECT title FROM notice WHERE grid_id = 21")).all()
        seen[viewer.role, viewer.areas] = set(titles)
    assert list(seen.values()) == [{"up"}, {"up", "down"}, {"up"}, {"up", "down"}]
