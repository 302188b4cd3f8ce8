"""The wall in the database around devices, meetings, campaigns and projects; nets are followed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from geo import service
from geo.db import Database, Viewer, owner_transaction
from geo.store.together.following import follow
from geo.store.together.forgetting import forget
from geo.terms import Role
from tests.cities import tiny_dataset
from tests.conftest import MigratedDatabase

DEPARTMENT = 5
POINT = "(SELECT label_point FROM net_grid WHERE city_id = {city} AND grid_id = {grid} LIMIT 1)"
AREAS = {111: (1, 11, 111), 121: (1, 12, 121)}
ROWS = (
    (
        "INSERT INTO meeting (city_id, kind, title, place, held_at, grid_id, state, {areas})"
        " VALUES ({city}, 'talk', 'x', 'x', now(), {grid}, 'held', {in_areas})"
    ),
    (
        "INSERT INTO device (city_id, code, name, kind, category, grid_id, geom, enabled, {areas})"
        " VALUES ({city}, 'C{grid}', 'x', 'lamp', 'C0101', {grid}, {point}, true, {in_areas})"
    ),
    (
        "INSERT INTO small_project (city_id, name, words, grid_id, geom, budget, state,"
        " organisation_id, {areas})"
        " VALUES ({city}, 'x', 'x', {grid}, {point}, 1, 'proposed', {body}, {in_areas})"
    ),
    (
        "INSERT INTO campaign_item (city_id, campaign_id, n, list, words, grid_id, state,"
        " organisation_id, {areas})"
        " SELECT {city}, max(campaign_id), {grid}, 'problem', 'x', {grid}, 'open', {body},"
        " {in_areas} FROM campaign"
    ),
)
TABLES = ("meeting", "device", "small_project", "campaign_item")


@pytest.fixture(scope="module")
def city(template: str, new_database: object) -> Iterator[tuple[MigratedDatabase, Database, int]]:
    """A tiny city with a row of each table in the grids 111 and 121; 121's are a department's."""
    migrated: MigratedDatabase = new_database(template)  # type: ignore[operator]
    with owner_transaction(migrated.engine) as session:
        city_id = service.load_dataset(session, tiny_dataset("one"))
        session.execute(
            text("INSERT INTO campaign (city_id, name, goal, starts_on, state)"
                 " VALUES (:city, 'x', 'x', '2026-01-01', 'open')"), {"city": city_id},
        )  # fmt: skip
        for grid, line in AREAS.items():
            for row in ROWS:
                session.execute(text(_filled(row, city_id, grid, line)))
        session.execute(
            text("INSERT INTO device_key (city_id, device_id, secret)"
                 " SELECT city_id, device_id, 'k'::bytea FROM device")
        )  # fmt: skip
    door = migrated.application()
    yield migrated, door, city_id
    door.close()


def _filled(row: str, city: int, grid: int, line: tuple[int, ...]) -> str:
    return row.format(
        areas="area_1, area_2, area_3", in_areas=", ".join(map(str, line)), city=city, grid=grid,
        point=POINT.format(city=city, grid=grid), body=DEPARTMENT if grid == 121 else "NULL",
    )  # fmt: skip


City = tuple[MigratedDatabase, Database, int]


def _grids(session: Session, table: str) -> list[int]:
    return list(session.scalars(text(f"SELECT grid_id FROM {table} ORDER BY grid_id")))


def test_rows_are_of_their_territory_and_owner(city: City) -> None:
    _, door, city_id = city
    seen = {
        (Role.LEADER, (), ()): ([111, 121],) * 4,
        (Role.COMMUNITY, (11,), ()): ([111],) * 4,
        (Role.WORKER, (121,), ()): ([121],) * 4,
        (Role.DEPARTMENT, (), (DEPARTMENT,)): ([], [], [121], [121]),
        (Role.PUBLIC, (), ()): ([],) * 4,
    }
    for (role, areas, bodies), expected in seen.items():
        with door.transaction(Viewer(role, city_id, 1, areas, bodies)) as session:
            assert tuple(_grids(session, table) for table in TABLES) == expected, role
    with door.transaction(Viewer(Role.LEADER, city_id + 1, 1)) as session:
        assert not any(_grids(session, table) for table in TABLES)


@pytest.mark.parametrize(
    ("role", "areas", "statement"),
    [
        (Role.LEADER, (), "SELECT secret FROM device_key"),
        (Role.ADMINISTRATOR, (), "SELECT secret FROM device_key"),
        (Role.ADMINISTRATOR, (), "SELECT digest FROM device_alarm"),
        (Role.LEADER, (), "SELECT set_device_key(1, 'x'::bytea)"),
        (Role.WORKER, (111,), "SELECT set_device_key(1, 'x'::bytea)"),
        (Role.COMMUNITY, (11,), _filled(ROWS[0], 1, 121, AREAS[121])),
        (Role.WORKER, (111,), _filled(ROWS[0], 1, 111, AREAS[111])),
        (Role.COMMUNITY, (11,), _filled(ROWS[3], 1, 121, AREAS[121])),
        (Role.LEADER, (), _filled(ROWS[2], 1, 111, AREAS[111])),
        (Role.ADMINISTRATOR, (), "UPDATE project_step SET act = 'approve'"),
        (Role.ADMINISTRATOR, (), "DELETE FROM campaign_item"),
        (Role.ADMINISTRATOR, (), ("INSERT INTO device_alarm (city_id, device_id, alarm, at, digest)"
         " VALUES (1, 1, 'x', now(), 'x'::bytea)")),
    ],
)  # fmt: skip
def test_what_nobody_may_do(city: City, role: Role, areas: tuple[int, ...], statement: str) -> None:
    _, door, city_id = city
    with (
        pytest.raises(DBAPIError, match=r"permission denied|row-level security|for administrators"),
        door.transaction(Viewer(role, city_id, 1, areas)) as session,
    ):
        session.execute(text(statement))


def test_updates_reach_no_row_elsewhere(city: City) -> None:
    _, door, city_id = city
    with door.transaction(Viewer(Role.COMMUNITY, city_id, 1, (11,))) as session:
        for table in ("meeting", "small_project", "campaign_item"):
            state = "'held'" if table == "meeting" else "state"
            done = session.execute(text(f"UPDATE {table} SET state = {state} RETURNING grid_id"))
            assert list(done.scalars()) == [111], table
    with door.transaction(Viewer(Role.DEPARTMENT, city_id, 1, (), (DEPARTMENT,))) as session:
        done = session.execute(text("UPDATE campaign_item SET state = 'done' RETURNING grid_id"))
        assert list(done.scalars()) == [121]
        done = session.execute(text("UPDATE small_project SET state = state RETURNING grid_id"))
        assert list(done.scalars()) == []


def test_rows_follow_a_net(city: City) -> None:
    migrated, _, city_id = city
    wrong = "UPDATE {table} SET area_2 = 21, area_1 = 2"
    with owner_transaction(migrated.engine) as session:
        seq = service.Asked(city_id).moment(session).seq
        for table in TABLES:
            session.execute(text(wrong.format(table=table)))
        session.execute(text("UPDATE device SET grid_id = 211"))
        assert follow(session, city_id, seq) == 2 * len(TABLES)
        assert follow(session, city_id, seq) == 0
        for table in TABLES:
            rows = session.execute(text(f"SELECT area_1, area_2 FROM {table} ORDER BY area_2"))
            assert [tuple(row) for row in rows] == [(1, 11), (1, 12)], table
        leaves = session.scalars(text("SELECT area_3 FROM device ORDER BY area_3")).all()
        assert leaves == [111, 121]
        session.rollback()


def test_words_are_erased_where_they_came_from(city: City) -> None:
    migrated, _, city_id = city
    with owner_transaction(migrated.engine) as session:
        issues = session.scalars(text("SELECT issue_id FROM issue ORDER BY 1 LIMIT 2")).all()
        meeting = session.scalar(text("SELECT min(meeting_id) FROM meeting"))
        device = session.scalar(text("SELECT min(device_id) FROM device"))
        for n, issue in enumerate(issues, 1):
            values = {"city": city_id, "meeting": meeting, "device": device, "n": n, "i": issue}
            session.execute(
                text("INSERT INTO meeting_topic (city_id, meeting_id, n, words, outcome, issue_id,"
                     " content_hash) VALUES (:city, :meeting, :n, '路灯', '已答复', :i, '#')"),
                values,
            )  # fmt: skip
            session.execute(
                text("INSERT INTO device_alarm (city_id, device_id, alarm, at, digest, words,"
                     " issue_id) VALUES (:city, :device, :n, now(), ''::bytea, '倾斜', :i)"),
                values | {"n": f"a{n}"},
            )  # fmt: skip
        assert forget(session, city_id) == 0
        erase = text("UPDATE issue SET words = NULL, erased_at = now() WHERE issue_id = :i")
        session.execute(erase, {"i": issues[0]})
        assert forget(session, city_id) == 2
        assert forget(session, city_id) == 0
        kept = session.execute(
            text("SELECT words, outcome, content_hash IS NULL FROM meeting_topic ORDER BY n")
        ).all()
        assert [tuple(row) for row in kept] == [("", None, True), ("路灯", "已答复", False)]
        told = session.scalars(text("SELECT words FROM device_alarm ORDER BY alarm")).all()
        assert told == [None, "倾斜"]
        session.rollback()


def test_shops_and_what_was_found_there_follow_a_net(city: City) -> None:
    migrated, _, city_id = city
    place = (
        "SELECT ST_PointOnSurface(c.geom) FROM cell AS c"
        " JOIN net_cell AS n USING (city_id, cell_id)"
        " JOIN net_grid AS g USING (city_id, grid_id) WHERE g.area_3 = 111 LIMIT 1"
    )
    elsewhere = ":city, 212, 2, 21, 212"
    areas = "city_id, grid_id, area_1, area_2, area_3"
    found = "kind, held_on, result, expires_on"
    rows = [
        f"INSERT INTO {into}, {areas}) SELECT {values}, {elsewhere} {source}"
        for into, values, source in (
            ("shop (code, name, kind, geom", f"'ABCD2345', '面馆', 'food', ({place})", ""),
            ("service_point (name, offers, geom", f"'饮水点', '{{}}', ({place})", ""),
            (
                f"inspection (shop_id, {found}",
                "shop_id, 'food', '2026-01-01', 'passed', '2027-01-01'",
                "FROM shop",
            ),
            (
                f"inspection (compound_id, {found}",
                "compound_id, 'fire', '2026-01-01', 'passed', '2027-01-01'",
                "FROM net_compound WHERE grid_id = 111",
            ),
        )
    ]
    with owner_transaction(migrated.engine) as session:
        seq = service.Asked(city_id).moment(session).seq
        follow(session, city_id, seq)
        for row in rows:
            session.execute(text(row), {"city": city_id})
        assert follow(session, city_id, seq) == len(rows)
        assert follow(session, city_id, seq) == 0
        for table, most in (("shop", 1), ("service_point", 1), ("inspection", 2)):
            found = session.execute(text(f"SELECT grid_id, area_1, area_2 FROM {table}"))
            assert {row[1:] for row in found} == {(1, 11)}, table
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == most
        session.rollback()


def test_a_line_lies_in_its_campaigns_territory(city: City) -> None:
    migrated, door, city_id = city
    begun = text(
        "INSERT INTO campaign (city_id, name, goal, starts_on, state, grid_id, area_1, area_2)"
        " VALUES (:city, 'y', 'y', '2026-01-01', 'open', 12, 1, 12) RETURNING campaign_id"
    )
    with owner_transaction(migrated.engine) as session:
        campaign = session.scalar(begun, {"city": city_id})
    line = text(
        "INSERT INTO campaign_item (city_id, campaign_id, n, list, words, grid_id, state, area_1,"
        " area_2, area_3)"
        " VALUES (:city, :campaign, :n, 'problem', 'x', :grid, 'open', 1, :up, :grid)"
    )
    desk = Viewer(Role.COMMUNITY, city_id, 1, (1,))  # a sub-district's: it holds both
    said = {"city": city_id, "campaign": campaign}
    with pytest.raises(DBAPIError, match="row-level security"), door.transaction(desk) as session:
        session.execute(line, said | {"n": 1, "grid": 111, "up": 11})
    with door.transaction(desk) as session:
        session.execute(line, said | {"n": 1, "grid": 121, "up": 12})
    with owner_transaction(migrated.engine) as session:
        for table in ("campaign_item", "campaign"):
            session.execute(
                text(f"DELETE FROM {table} WHERE campaign_id = :campaign"), {"campaign": campaign}
            )
