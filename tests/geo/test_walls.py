"""The wall in the database: what a transaction may read, and what forging its context gains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from geo import db, service
from geo.db import Database, Viewer, owner_transaction
from geo.tables import Base, Issue, UserAccount, Worker, building_household
from geo.terms import Role
from tests.cities import tiny_dataset
from tests.conftest import MigratedDatabase

PROTECTED = (
    "campaign", "campaign_item", "device", "device_alarm", "device_key", "meeting",
    "meeting_topic", "project_step", "small_project",
    "address", "answer_text", "app_secret", "area_grant", "audit", "audit_head", "cell_value",
    "delivery", "export_sheet", "firm_rating", "inspection", "rating_evidence", "rating_step",
    "delivery_change", "delivery_part", "household_place", "issue", "issue_contact", "issue_event",
    "issue_second", "photo",
    "issue_month", "issue_square", "issue_stale", "issue_year", "job",
    "net_compound", "outbox", "plan", "plan_cell", "plan_comment", "plan_edit", "plan_grid",
    "plan_post", "plan_proposal", "plan_task", "publication", "sign_in_attempt",
    "sign_in_link", "tombstone",
    "user_account", "user_session", "worker",
)  # fmt: skip
READ_BY_ALL = (
    "rating_rule", "service_month", "service_point", "shop",
    "category", "compound_body", "erratum", "grid", "level", "limit_rule", "net_value", "notice",
    "post",
    "routing_rule", "station_kind", "working_calendar",
)  # fmt: skip
"""Policies guard what is written in them."""
WRITTEN = {
    ("shop", "INSERT"), ("shop", "UPDATE"), ("service_point", "INSERT"),
    ("service_point", "UPDATE"), ("inspection", "INSERT"), ("inspection", "UPDATE"),
    ("firm_rating", "INSERT"), ("firm_rating", "UPDATE"), ("service_month", "INSERT"),
    ("service_month", "UPDATE"), ("rating_rule", "INSERT"), ("rating_rule", "UPDATE"),
    ("rating_evidence", "INSERT"), ("rating_step", "INSERT"),
    ("campaign", "INSERT"), ("campaign", "UPDATE"), ("campaign_item", "INSERT"),
    ("campaign_item", "UPDATE"), ("device", "INSERT"), ("device", "UPDATE"),
    ("meeting", "INSERT"), ("meeting", "UPDATE"), ("meeting_topic", "INSERT"),
    ("meeting_topic", "UPDATE"), ("project_step", "INSERT"), ("small_project", "INSERT"),
    ("small_project", "UPDATE"),
    ("address", "DELETE"), ("address", "INSERT"), ("area_grant", "DELETE"),
    ("answer_text", "DELETE"), ("answer_text", "INSERT"), ("answer_text", "UPDATE"),
    ("export_sheet", "DELETE"), ("export_sheet", "INSERT"), ("export_sheet", "UPDATE"),
    ("area_grant", "INSERT"), ("category", "INSERT"), ("category", "UPDATE"),
    ("delivery", "INSERT"), ("erratum", "INSERT"), ("grid", "INSERT"), ("issue", "INSERT"),
    ("issue", "UPDATE"), ("issue_contact", "INSERT"), ("issue_event", "INSERT"),
    ("limit_rule", "DELETE"), ("limit_rule", "INSERT"), ("limit_rule", "UPDATE"),
    ("outbox", "INSERT"), ("photo", "INSERT"), ("photo", "UPDATE"),
    ("routing_rule", "DELETE"), ("routing_rule", "INSERT"),
    ("routing_rule", "UPDATE"), ("working_calendar", "DELETE"), ("working_calendar", "INSERT"),
    ("working_calendar", "UPDATE"), ("job", "INSERT"), ("job", "UPDATE"),
    ("level", "UPDATE"), ("notice", "INSERT"), ("notice", "UPDATE"), ("plan", "DELETE"),
    ("plan", "INSERT"), ("plan", "UPDATE"), ("plan_cell", "DELETE"), ("plan_cell", "INSERT"),
    ("plan_cell", "UPDATE"), ("plan_comment", "INSERT"), ("plan_comment", "UPDATE"),
    ("plan_edit", "INSERT"), ("plan_grid", "INSERT"),
    ("plan_grid", "UPDATE"), ("plan_post", "DELETE"), ("plan_post", "INSERT"),
    ("plan_post", "UPDATE"), ("plan_task", "INSERT"),
    ("plan_task", "UPDATE"), ("publication", "INSERT"),
    ("post", "INSERT"), ("post", "UPDATE"),
    ("sign_in_link", "INSERT"),
    ("station_kind", "INSERT"), ("station_kind", "UPDATE"), ("user_account", "INSERT"),
    ("user_account", "UPDATE"), ("user_session", "UPDATE"), ("worker", "INSERT"),
    ("worker", "UPDATE"),
}  # fmt: skip
VIEWS = {"building_household", "net_relation", "net_silent"}


@pytest.fixture(scope="module")
def cities(
    template: str, new_database: object
) -> Iterator[tuple[MigratedDatabase, Database, dict[str, int]]]:
    """Two tiny cities with accounts, and the application's door to them."""
    migrated: MigratedDatabase = new_database(template)  # type: ignore[operator]
    ids = {}
    with owner_transaction(migrated.engine) as session:
        for slug in ("one", "two"):
            ids[slug] = service.load_dataset(session, tiny_dataset(slug))
            service.create_demo_accounts(session, slug)
    door = migrated.application()
    yield migrated, door, ids
    door.close()


Cities = tuple[MigratedDatabase, Database, dict[str, int]]


def _count(session: Session, table: str) -> int:
    statement = select(func.count()).select_from(Base.metadata.tables[table])
    return int(session.execute(statement).scalar_one())


def test_a_stranger_reads_nothing_protected(cities: Cities) -> None:
    _, door, _ = cities
    for viewer in (Viewer.public(), Viewer(Role.WORKER), Viewer(Role.LEADER)):
        for table in PROTECTED:
            with door.transaction(viewer) as session:
                try:
                    assert _count(session, table) == 0, (viewer.role, table)
                except DBAPIError as error:
                    assert "permission denied" in str(error)
                    session.rollback()


def test_every_table_with_a_policy_is_listed_here(cities: Cities) -> None:
    migrated, _, _ = cities
    with migrated.engine.connect() as connection:
        forced = connection.scalars(
            text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
        ).all()
    assert sorted(forced) == sorted(PROTECTED + READ_BY_ALL)


def test_the_open_tables_hold_nothing_about_persons(cities: Cities) -> None:
    migrated, _, _ = cities
    with migrated.engine.connect() as connection:
        readable = set(
            connection.scalars(
                text(
                    "SELECT table_name::text FROM information_schema.role_table_grants"
                    " WHERE grantee = 'wangge_area' AND privilege_type = 'SELECT'"
                )
            )
        )
        written = connection.execute(
            text(
                "SELECT table_name::text, privilege_type::text"
                " FROM information_schema.role_table_grants WHERE grantee = ANY (:roles)"
                " UNION SELECT table_name::text, privilege_type::text"
                " FROM information_schema.column_privileges WHERE grantee = ANY (:roles)"
            ),
            {"roles": ["wangge_area", "wangge_city", "wangge_app"]},
        ).all()
    assert {tuple(row) for row in written if row.privilege_type != "SELECT"} == WRITTEN
    persons = {"name_consent", "login", "password_hash", "display_name"}
    for name in readable - set(PROTECTED) - VIEWS:
        assert not persons & set(Base.metadata.tables[name].columns.keys()), name


@pytest.mark.parametrize("role", [Role.PLANNER, Role.LEADER, Role.ADMINISTRATOR])
def test_city_wide_roles_see_their_city_alone(cities: Cities, role: Role) -> None:
    _, door, ids = cities
    with door.transaction(Viewer(role, ids["one"], 1)) as session:
        assert set(session.scalars(select(Issue.city_id))) == {ids["one"]}
        assert set(session.scalars(select(Worker.city_id))) == {ids["one"]}


def test_an_area_sees_its_grids_and_those_below(cities: Cities) -> None:
    _, door, ids = cities
    everything = Viewer(Role.LEADER, ids["one"], 1)
    with door.transaction(everything) as session:
        below_11 = set(session.scalars(select(Issue.issue_id).where(Issue.area_2 == 11)))
        below_111 = set(session.scalars(select(Issue.issue_id).where(Issue.area_3 == 111)))
    assert below_111 < below_11
    for grid, expected in ((11, below_11), (111, below_111), (21, None)):
        with door.transaction(Viewer(Role.COMMUNITY, ids["one"], 1, (grid,))) as session:
            seen = set(session.scalars(select(Issue.issue_id)))
        assert seen == expected if expected is not None else not seen & below_11


def test_households_of_a_building_are_for_the_citys_staff(cities: Cities) -> None:
    _, door, ids = cities
    counted = select(func.sum(building_household.c.households))
    with door.transaction(Viewer(Role.WORKER, ids["one"], 1, (111,))) as session:
        assert session.scalar(counted) > 0
        assert set(session.scalars(select(building_household.c.city_id))) == {ids["one"]}
    for viewer in (Viewer.public(ids["one"]), Viewer(Role.WORKER, None, 1, (111,))):
        with door.transaction(viewer) as session:
            assert session.scalar(counted) is None
            session.execute(text("SET LOCAL ROLE wangge_city"))
            assert session.scalar(counted) is None
    with (
        pytest.raises(DBAPIError, match="permission denied"),
        door.transaction(Viewer(Role.LEADER, ids["one"], 1)) as session,
    ):
        session.execute(text("SELECT households FROM building"))


def test_a_department_sees_its_own_cases(cities: Cities) -> None:
    _, door, ids = cities
    with door.transaction(Viewer(Role.LEADER, ids["one"], 1)) as session:
        body = session.scalars(
            select(Issue.organisation_id).where(Issue.organisation_id.is_not(None))
        ).first()
        expected = set(session.scalars(select(Issue.issue_id).where(Issue.organisation_id == body)))
    assert body is not None
    viewer = Viewer(Role.DEPARTMENT, ids["one"], 1, (), (body,))
    with door.transaction(viewer) as session:
        assert set(session.scalars(select(Issue.issue_id))) == expected


def test_an_account_sees_itself_and_the_administrator_all_of_the_city(cities: Cities) -> None:
    migrated, door, ids = cities
    with owner_transaction(migrated.engine) as session:
        mine = session.scalars(
            select(UserAccount.user_id).where(UserAccount.city_id == ids["one"])
        ).all()
    with door.transaction(Viewer(Role.WORKER, ids["one"], mine[0], (111,))) as session:
        assert session.scalars(select(UserAccount.user_id)).all() == [mine[0]]
    with door.transaction(Viewer(Role.ADMINISTRATOR, ids["one"], mine[-1])) as session:
        assert set(session.scalars(select(UserAccount.user_id))) == set(mine)


def _forged(door: Database, session: Session, content: str) -> int:
    session.execute(text("SELECT set_config('wangge.context', :c, true)"), {"c": content})
    return _count(session, "issue")


def test_a_forged_context_gains_nothing(cities: Cities) -> None:
    _, door, ids = cities
    payload = json.dumps(
        {"scope": "city", "city": ids["one"], "user": 1, "role": "leader", "areas": [],
         "organisations": [], "until": 4_000_000_000}
    )  # fmt: skip
    real = db._signed_context(b"another key", Viewer(Role.LEADER, ids["one"], 1), "city")
    for content in (payload, "0" * 64 + payload, real, "", "x" * 200):
        with door.transaction(Viewer.public(ids["one"])) as session:
            session.execute(text("SET LOCAL ROLE wangge_city"))
            assert _forged(door, session, content) == 0


def test_a_changed_or_old_context_gains_nothing(
    cities: Cities, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrated, door, ids = cities
    viewer = Viewer(Role.COMMUNITY, ids["one"], 1, (111,))
    signed = db._signed_context(migrated.key, viewer, "area")
    with door.transaction(Viewer.public()) as session:
        assert _forged(door, session, signed) > 0
        assert _forged(door, session, signed.replace("111", "112")) == 0
    with monkeypatch.context() as patched:
        patched.setattr(db, "CONTEXT_LIFE_S", -1)
        old = db._signed_context(migrated.key, viewer, "area")
    with door.transaction(Viewer.public()) as session:
        assert _forged(door, session, old) == 0


def test_taking_the_other_role_gains_nothing(cities: Cities) -> None:
    _, door, ids = cities
    with door.transaction(Viewer(Role.WORKER, ids["one"], 1, (111,))) as session:
        own = _count(session, "issue")
        session.execute(text("SET LOCAL ROLE wangge_city"))
        assert _count(session, "issue") == 0
        session.execute(text("SET LOCAL ROLE wangge_area"))
        assert _count(session, "issue") == own > 0


def test_the_context_ends_with_the_transaction(cities: Cities) -> None:
    migrated, _, ids = cities
    engine = create_engine(migrated.app_url, pool_size=1, max_overflow=0)
    with Session(engine) as session:
        with session.begin():
            db.enter(session, Viewer(Role.LEADER, ids["one"], 1), key=migrated.key)
            assert _count(session, "issue") > 0
        with session.begin(), pytest.raises(DBAPIError, match="permission denied"):
            _count(session, "issue")
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM account_of_login('leader')",
        "SELECT open_session('x'::bytea, 1::smallint, 1::bigint, interval '1 day')",
        "SELECT * FROM account_of_session('x'::bytea)",
        "SELECT note_sign_in(ARRAY['x'::bytea], false)",
        "SELECT value FROM app_secret",
        "SELECT * FROM audit_faults(1::smallint)",
        "INSERT INTO audit_head VALUES (1, 1, 'x')",
        "UPDATE audit SET action = 'nothing'",
        "DELETE FROM audit",
        "UPDATE user_account SET role = 'administrator'",
        "CREATE TABLE mine (x int)",
        "ALTER TABLE issue DISABLE ROW LEVEL SECURITY",
    ],
)
def test_what_the_application_may_never_do(cities: Cities, statement: str) -> None:
    _, door, ids = cities
    with (
        pytest.raises(DBAPIError, match=r"permission denied|signing in only|must be owner"),
        door.transaction(Viewer(Role.LEADER, ids["one"], 1)) as session,
    ):
        session.execute(text(statement))


def test_the_log_names_the_viewer_whatever_is_passed(cities: Cities) -> None:
    migrated, door, ids = cities
    viewer = Viewer(Role.LEADER, ids["one"], 1)
    for city in (ids["one"], ids["two"]):
        with door.transaction(viewer) as session:
            session.execute(
                text("SELECT append_audit(CAST(:c AS smallint), 99, 'planner', 'x', 'y', '{}')"),
                {"c": city},
            )
    with owner_transaction(migrated.engine) as session:
        rows = session.execute(
            text("SELECT city_id, actor_id, actor_role FROM audit WHERE action = 'x'")
        ).all()
        assert {tuple(row) for row in rows} == {(ids["one"], 1, "leader")}


COLUMNS = {
    "at": "at + interval '1 second'",
    "actor_id": "coalesce(actor_id, 0) + 1",
    "actor_role": "'nobody'",
    "action": "action || '.'",
    "object": "object || '.'",
    "payload": """payload || '{"x": 1}'""",
    "prev_hash": "sha256('x'::bytea)",
    "hash": "sha256('x'::bytea)",
    "n": "n + 1000",
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("place", ["min", "max"])
def test_a_changed_row_of_the_log_is_found(cities: Cities, column: str, place: str) -> None:
    migrated, _, ids = cities
    with Session(migrated.engine) as session:
        faults = text("SELECT count(*) FROM audit_faults(CAST(:city AS smallint))")
        city = {"city": ids["two"]}
        assert session.scalar(faults, city) == 0
        session.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_is_final"))
        session.execute(
            text(
                f"UPDATE audit SET {column} = {COLUMNS[column]} WHERE city_id = :city AND n ="
                f" (SELECT {place}(n) FROM audit WHERE city_id = :city)"
            ),
            city,
        )
        assert session.scalar(faults, city) > 0
        session.rollback()


@pytest.mark.parametrize("place", ["min", "max"])
def test_a_deleted_row_of_the_log_is_found(cities: Cities, place: str) -> None:
    migrated, _, ids = cities
    city = {"city": ids["two"]}
    with Session(migrated.engine) as session:
        session.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_is_final"))
        session.execute(
            text(
                "DELETE FROM audit WHERE city_id = :city AND n ="
                f" (SELECT {place}(n) FROM audit WHERE city_id = :city)"
            ),
            city,
        )
        faults = text("SELECT count(*) FROM audit_faults(CAST(:city AS smallint))")
        assert session.scalar(faults, city) > 0
        session.rollback()


def test_a_database_that_is_away_is_named(cities: Cities) -> None:
    migrated, _, _ = cities
    away = Database(migrated.app_url.replace(migrated.name, "no_such_database"), migrated.key)
    with pytest.raises(db.DatabaseAwayError), away.transaction(Viewer.public()):
        pass
    away.close()


def test_viewers_compare_by_value() -> None:
    viewer = Viewer(Role.WORKER, 1, 2, (3,))
    assert replace(viewer, areas=(4,)) != viewer
    assert replace(viewer) == viewer
