"""Files into a city on a real database: prepared, imported, repeated, changed, undone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo import service
from geo.db import owner_transaction
from geo.errors import ConflictError, DeliveryError
from geo.files.facts import Wish
from geo.files.reading import Delivered
from geo.importing.wishes import ImportWish, wish_from_data
from geo.store.importing import changes, deliveries, steps
from geo.store.importing.deliveries import Received
from geo.store.importing.plans import Plan
from geo.tables import Base, Delivery
from geo.terms import DeliveryKind, DeliveryState
from tests.cities import METRE_SRID, point, square
from tests.conftest import MigratedDatabase

CITY = "tiny"


def frame(rows: Sequence[Mapping[str, Any]]) -> gpd.GeoDataFrame:
    """A layer as the reader gives it: degrees, row numbers from 1."""
    shapes = [row["geometry"] for row in rows]
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "geometry"}
    made = gpd.GeoDataFrame(columns, geometry=shapes, crs=METRE_SRID).to_crs(4326)
    made.index = range(1, len(made) + 1)
    return made


class Hands:
    """A reader that hands out a frame, only the columns that are asked for."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.frame = frame(rows)
        self.hands = steps.Hands(lambda path, wish: None, self.read)  # type: ignore[arg-type, return-value]

    def read(self, path: Path, layer: str | None, wish: Wish) -> Delivered:
        names = {file: ours for ours, file in wish.columns.items()}
        kept = self.frame[[*names, "geometry"]].rename(columns=names)
        return Delivered("test", kept)


def wish(kind: DeliveryKind, columns: Sequence[str], **more: Any) -> ImportWish:
    return ImportWish(kind=kind, columns={name: name for name in columns}, **more)


def begun(session: Session, name: str = "a.gpkg") -> Delivery:
    city_id = service.city_id_of(session, CITY)
    file = Received(name, "nowhere", hashlib.sha256(name.encode()).digest(), 1)
    number = deliveries.receive(session, city_id, file, None, look=False)
    row = deliveries.get(session, city_id, number)
    deliveries.change(session, row, state=DeliveryState.UNDERSTOOD.value)
    return row


def prepared(
    session: Session, rows: Sequence[Mapping[str, Any]], wanted: ImportWish, name: str = "a.gpkg"
) -> tuple[Delivery, Plan, steps.Hands]:
    row = begun(session, name)
    hands = Hands(rows).hands
    return row, steps.prepare(session, row, Path(name), wanted, hands), hands


def imported(
    session: Session,
    rows: Sequence[Mapping[str, Any]],
    wanted: ImportWish,
    name: str = "a.gpkg",
    **choice: Any,
) -> tuple[Delivery, dict[str, Any]]:
    row, _, hands = prepared(session, rows, wanted, name)
    return row, steps.perform(session, row, Path(name), hands, choice=choice)


@contextmanager
def owner(database: MigratedDatabase) -> Iterator[Session]:
    with owner_transaction(database.engine) as session:
        yield session


KEPT_OUT = ("audit", "audit_head", "delivery", "delivery_part", "delivery_change", "job")


def everything(session: Session) -> dict[str, list[str]]:
    """All rows of all tables of the city as the database writes them."""
    found = {}
    for table in Base.metadata.sorted_tables:
        if "city_id" in table.columns and table.name not in KEPT_OUT:
            rows = session.scalars(text(f"SELECT x::text FROM {table.name} AS x ORDER BY 1"))
            found[table.name] = list(rows)
    return found


def checked(session: Session) -> Any:
    report = service.check_city(session, CITY)
    assert report["ok"], report["faults"]
    return report


STATIONS = [
    {"name": "新站", "kind": "网格服务站", "address": "甲路1号", "geometry": point(0.2, 0.2)},
    {"name": "松岭第一网格站", "kind": "grid_station", "address": "甲路2号",
     "geometry": point(0.5, 0.8)},
    {"name": "远站", "kind": "grid_station", "address": None, "geometry": point(-5, -5)},
    {"name": "怪站", "kind": "碰碰车", "address": None, "geometry": point(1.5, 1.5)},
]  # fmt: skip
STATION_WISH = wish(DeliveryKind.STATIONS, ("name", "kind", "address"))


def test_rows_without_a_known_kind_are_refused_with_their_texts(
    fresh_city: MigratedDatabase,
) -> None:
    with owner(fresh_city) as session, pytest.raises(DeliveryError) as caught:
        prepared(session, STATIONS[-1:], STATION_WISH)
    assert "say what these are: kind '碰碰车'" in str(caught.value)


def test_stations_are_told_imported_and_taken_back(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        before, report = everything(session), checked(session)
    with owner(fresh_city) as session:
        row, plan, hands = prepared(session, STATIONS, STATION_WISH)
        assert plan.difference.counts() == {"new": 1, "changed": 1, "same": 0, "gone": 5}
        assert plan.unknown == {"kind": {"碰碰车": 1}}
        assert [one.kind for one in plan.findings.entries] == ["no_word", "outside"]
        assert everything(session) == before
        told = deliveries.part(session, row.city_id, row.delivery_id, deliveries.DIFFERENCE)
        assert [(one["state"], one["label"]) for one in told][:2] == [
            ("new", "新站"), ("changed", "松岭第一网格站"),
        ]  # fmt: skip
        assert told[1]["before"] == {"address": "环海大道1号"}
        shapes = deliveries.part(session, row.city_id, row.delivery_id, deliveries.SHAPES)
        assert [one["properties"]["state"] for one in shapes["features"]] == ["new", "changed"]
        key = (row.city_id, row.delivery_id)
    with owner(fresh_city) as session:
        row = deliveries.get(session, *key)
        applied = steps.perform(session, row, Path("a.gpkg"), hands)
        assert applied == {"new": 1, "changed": 1, "gone": 0}
        assert changes.counts(session, row.city_id, row.delivery_id) == {"station": 2}
    with owner(fresh_city) as session:
        checked(session)
        assert everything(session) != before
        kept = session.execute(
            text("SELECT opening_hours, floor_area_m2, address FROM station WHERE station_id = 1")
        ).one()
        assert tuple(kept) == ("Mo-Fr 08:30-17:30", 80.0, "甲路2号")
        row = deliveries.get(session, *key)
        assert steps.undo(session, row) == {"station": 2}
    with owner(fresh_city) as session:
        assert everything(session) == before
        assert checked(session) == report


def test_a_second_time_changes_nothing(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        imported(session, STATIONS, STATION_WISH)
        after = everything(session)
        row, plan, hands = prepared(session, STATIONS, STATION_WISH)
        assert plan.difference.counts() == {"new": 0, "changed": 0, "same": 2, "gone": 5}
        assert row.report is not None and row.report["imported_before"]
        assert steps.perform(session, row, Path("a"), hands) == {"new": 0, "changed": 0, "gone": 0}
        assert everything(session) == after
        assert steps.perform(session, row, Path("a"), hands) == {"new": 0, "changed": 0, "gone": 0}


BUILDINGS = [
    {"code": "B0001", "floors": 9, "households": 50, "geometry": square(0.1, 0.1, 0.5, 0.3)},
    {"code": "N1", "floors": None, "households": 7, "geometry": square(7.1, 4.1, 0.5, 0.5)},
    {"code": None, "floors": 3, "households": 4, "geometry": square(7.7, 4.7, 0.1, 0.1)},
    {"code": "N1", "floors": 3, "households": 4, "geometry": square(6.7, 4.7, 0.1, 0.1)},
]
BUILDING_WISH = wish(DeliveryKind.BUILDINGS, ("code", "floors", "households"))


def test_buildings_keep_the_counts_of_cells_right(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        before = everything(session)
        total = session.scalar(text("SELECT sum(households) FROM building"))
        row, applied = imported(session, BUILDINGS, BUILDING_WISH)
        assert applied == {"new": 2, "changed": 1, "gone": 0}
        checked(session)
        households = session.scalar(text("SELECT households FROM building WHERE code = 'B0001'"))
        assert households == 50
        value = text("SELECT value FROM cell_value WHERE vintage = '2026' AND cell_id = 40"
                     " AND measure = 'households'")  # fmt: skip
        assert session.scalar(value) == 11
        now = session.scalar(text("SELECT sum(households) FROM building"))
        was = next(b for b in before["building"] if ",B0001," in b).split(",")[-2]
        assert total is not None and now == total + 11 + 50 - int(was)
        steps.undo(session, row)
        assert everything(session) == before


def test_buildings_that_are_gone_go_when_chosen(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        before = everything(session)
        wanted = wish(DeliveryKind.BUILDINGS, ("code", "households"))
        row, applied = imported(session, BUILDINGS[:1], wanted, choice=("gone",))
        housed = session.scalar(
            text("SELECT count(DISTINCT building_id) FROM organisation WHERE building_id <> 1")
        )
        assert applied == {"new": 0, "changed": 0, "gone": 47 - housed}
        checked(session)
        assert session.scalar(text("SELECT count(*) FROM building")) == 1 + housed
        steps.undo(session, row)
        assert everything(session) == before


def test_what_builds_on_an_import_keeps_it(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        first, _ = imported(session, STATIONS, STATION_WISH)
        moved = [{**STATIONS[0], "address": "丙路"}]
        second, _ = imported(session, moved, STATION_WISH, "b.gpkg")
        after = everything(session)
        with pytest.raises(ConflictError) as caught, session.begin_nested():
            steps.undo(session, first)
        assert caught.value.data["later"] == second.delivery_id
        assert everything(session) == after
        steps.undo(session, second)
        steps.undo(session, first)


def test_a_city_that_changed_meanwhile_is_looked_at_again(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        row, _, hands = prepared(session, STATIONS, STATION_WISH)
        imported(session, STATIONS[:1], STATION_WISH, "b.gpkg")
        with pytest.raises(ConflictError) as caught:
            steps.perform(session, row, Path("a"), hands)
        assert caught.value.data["reason"] == "city_changed"


def test_streets_meet_the_nodes_that_stand(fresh_city: MigratedDatabase) -> None:
    lines = [
        {"name": "新路", "kind": "residential",
         "geometry": shapely.LineString([point(5, 2), point(5.5, 3)])},
        {"name": "环海大道", "kind": "primary",
         "geometry": shapely.LineString([point(0, 2), point(3, 2)])},
    ]  # fmt: skip
    with owner(fresh_city) as session:
        before = everything(session)
        row, applied = imported(session, lines, wish(DeliveryKind.STREETS, ("name", "kind")))
        assert applied == {"new": 1, "changed": 0, "gone": 0}
        found = session.execute(
            text("SELECT kind, from_node, to_node, length_m FROM street WHERE name = '新路'")
        ).one()
        assert tuple(found[:3]) == ("local", 3, 8)
        assert found[3] == pytest.approx(111.803, abs=0.01)
        checked(session)
        steps.undo(session, row)
        assert everything(session) == before


def test_barriers_and_issues_come_in(fresh_city: MigratedDatabase) -> None:
    water = [{"kind": "河流", "name": "新河", "geometry": square(0, 4.5, 2, 0.1)}]
    cases = [
        {"category": "路灯", "reported_at": "2026-05-01 08:00", "geometry": point(6.4, 4.4)},
        {"category": "E0101", "reported_at": "garbage", "geometry": point(6.4, 4.4)},
    ]
    with owner(fresh_city) as session:
        before = everything(session)
        one, applied = imported(session, water, wish(DeliveryKind.BARRIERS, ("kind", "name")))
        assert applied["new"] == 1
        two, applied = imported(
            session, cases, wish(DeliveryKind.ISSUES, ("category", "reported_at")), "c"
        )
        assert applied == {"new": 1, "changed": 0, "gone": 0}
        checked(session)
        found = session.execute(
            text("SELECT owner_grid, area_1, area_2, area_3, state, channel,"
                 " reported_at AT TIME ZONE 'UTC' FROM issue ORDER BY issue_id DESC LIMIT 1")
        ).one()  # fmt: skip
        assert tuple(found[:6]) == (213, 2, 21, 213, "reported", "import")
        assert found[6].isoformat() == "2026-05-01T00:00:00"
        steps.undo(session, two)
        steps.undo(session, one)
        assert everything(session) == before


CASES = [
    {"no": "S-1", "what": "路灯", "when": "2026年5月1日 8时30分", "done": None,
     "by": None, "state": "处理中", "text": "灯不亮", "geometry": point(6.4, 4.4)},
    {"no": "S-2", "what": "路灯", "when": "2026-05-01T02:00:00Z", "done": None,
     "by": None, "state": None, "text": None, "geometry": point(6.4, 4.4)},
    {"no": "S-3", "what": "E0101", "when": "46143.5", "done": "2026-05-03 10:00",
     "by": "无此部门", "state": None, "text": "回电13905317264", "geometry": point(1.2, 1.2)},
    {"no": "S-4", "what": "E0101", "when": "2026-05-05 10:00", "done": "2026-05-04 10:00",
     "by": None, "state": None, "text": None, "geometry": point(1.4, 1.4)},
    {"no": "S-5", "what": "E0101", "when": "2099-05-05 10:00", "done": None,
     "by": None, "state": None, "text": None, "geometry": point(1.6, 1.4)},
    {"no": "S-1", "what": "路灯", "when": "2026-05-06 10:00", "done": None,
     "by": None, "state": None, "text": None, "geometry": point(6.4, 4.4)},
    {"no": "S-6", "what": "路灯", "when": "昨天", "done": None,
     "by": None, "state": None, "text": None, "geometry": point(6.4, 4.4)},
]  # fmt: skip
CASE_WISH = ImportWish(
    kind=DeliveryKind.ISSUES,
    columns={
        "external": "no", "category": "what", "reported_at": "when", "closed_at": "done",
        "department": "by", "state": "state", "words": "text",
    },
)  # fmt: skip


def cases_of(session: Session) -> list[tuple[Any, ...]]:
    rows = session.execute(
        text("SELECT external, state, set_aside, to_char(reported_at AT TIME ZONE 'UTC',"
             " 'MM-DD HH24:MI'), duplicate_of - issue_id, due_at < '2900-01-01'"
             " FROM issue WHERE external LIKE 'S-%' ORDER BY external")
    )  # fmt: skip
    return [tuple(row) for row in rows]


def select_words(session: Session) -> dict[str, str | None]:
    rows = session.execute(text("SELECT external, words FROM issue WHERE external LIKE 'S-%'"))
    return {row.external: row.words for row in rows}


def test_doubtful_cases_are_set_aside_and_those_that_stand_are_never_changed(
    fresh_city: MigratedDatabase,
) -> None:
    with owner(fresh_city) as session:
        before = everything(session)
        row, plan, hands = prepared(session, CASES, CASE_WISH)
        counts = plan.findings.counts()
        assert counts == {"no_moment": 1, "same_code": 1, "repeat": 1, "impossible_time": 1,
                          "no_department": 1, "about_person": 1}  # fmt: skip
        assert plan.findings.figures["set_aside"] == 3
        assert steps.perform(session, row, Path("a"), hands) == {"new": 5, "changed": 0, "gone": 0}
        assert cases_of(session) == [
            ("S-1", "dispatched", None, "05-01 00:30", None, False),
            ("S-2", "reported", "duplicate", "05-01 02:00", -1, True),
            ("S-3", "closed", None, "05-01 04:00", None, False),
            ("S-4", "closed", "impossible_time", "05-05 02:00", None, False),
            ("S-5", "reported", "impossible_time", "05-05 02:00", None, True),
        ]
        said = select_words(session)
        assert said == {"S-1": "灯不亮", "S-2": None, "S-3": None, "S-4": None, "S-5": None}
        checked(session)
        # What happened here since is kept, whatever the file says the next time.
        session.execute(text("UPDATE issue SET state = 'closed' WHERE external = 'S-2'"))
        _, again, _ = prepared(session, CASES, CASE_WISH, "b")
        assert again.difference.counts() == {"new": 0, "changed": 0, "same": 5, "gone": 0}
        moved = [{**one, "geometry": point(6.6, 4.4), "state": "closed"} for one in CASES]
        _, applied = imported(session, moved, CASE_WISH, "c")
        assert applied["new"] == applied["changed"] == 0
        session.execute(text("UPDATE issue SET state = 'reported' WHERE external = 'S-2'"))
        steps.undo(session, row)
        assert everything(session) == before


def test_words_that_are_erased_are_not_kept_for_undoing(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        row, _ = imported(session, CASES, CASE_WISH)
        city, issue = session.execute(
            text("SELECT city_id, issue_id FROM issue WHERE external = 'S-1'")
        ).one()
        kept = text("SELECT count(*) FROM delivery_change WHERE row_after LIKE '%灯不亮%'")
        assert session.scalar(kept) == 1
        service.cases.erase(session, city, issue)
        assert session.scalar(kept) == 0
        steps.undo(session, row)
        left = session.scalars(text("SELECT external FROM issue WHERE external LIKE 'S-%'")).all()
        assert left == ["S-1"]


def test_numbers_of_another_platform_tell_cases_apart(fresh_city: MigratedDatabase) -> None:
    one = {"no": "S-1", "what": "路灯", "when": "2026-05-01 08:30", "geometry": point(6.4, 4.4)}
    columns = {"external": "no", "category": "what", "reported_at": "when"}
    wanted = ImportWish(kind=DeliveryKind.ISSUES, columns=columns)
    nameless = ImportWish(kind=DeliveryKind.ISSUES, columns={
        name: column for name, column in columns.items() if name != "external"})  # fmt: skip
    with owner(fresh_city) as session:
        assert imported(session, [one], wanted, "a")[1]["new"] == 1
        assert imported(session, [one], nameless, "b")[1]["new"] == 0
        assert imported(session, [{**one, "no": "S-2"}], wanted, "c")[1]["new"] == 1


AREAS = [
    {"社区": "甲社区", "街道": "东街道", "code": "A1", "hh": 30, "geometry": square(0, 0, 2, 2)},
    {"社区": "乙社区", "街道": "东街道", "code": "A2", "hh": 10, "geometry": square(1.99, 0, 2, 2)},
    {"社区": "丙社区", "街道": "西街道", "code": "A3", "hh": 5,
     "geometry": shapely.MultiPolygon([square(4.2, 0, 1, 2), square(6, 0, 1, 1)])},
]  # fmt: skip


def test_boundaries_make_the_first_net_of_a_city(fresh_database: MigratedDatabase) -> None:
    wanted = ImportWish(
        kind=DeliveryKind.BOUNDARIES, level=2,
        columns={"code": "code", "name": "社区", "level_1": "街道", "households": "hh"},
    )  # fmt: skip
    with owner(fresh_database) as session:
        service.create_city(
            session, CITY, name="新城", profile="cn", county_code="990101", lon=120.46, lat=37.6
        )
        before = everything(session)
        row, plan, hands = prepared(session, AREAS, wanted)
        assert plan.difference.counts() == {"new": 3, "changed": 0, "same": 0, "gone": 0}
        assert "overlap" in plan.findings.counts()
        assert everything(session) == before
        applied = steps.perform(session, row, Path("a"), hands)
        assert applied == {"new": 3, "grids": 5, "cells": 4}
        checked(session)
        grids = session.execute(
            text("SELECT level, name, code FROM net_grid ORDER BY level, grid_id")
        ).all()
        assert [tuple(one)[:2] for one in grids] == [
            (1, "东街道"), (1, "西街道"), (2, "甲社区"), (2, "乙社区"), (2, "丙社区"),
        ]  # fmt: skip
        assert [one.code for one in grids[2:]] == ["A1", "A2", "A3"]
        assert session.scalar(text("SELECT sum(value) FROM cell_value")) == 45
        assert session.scalar(text("SELECT count(*) FROM level")) == len(before["level"])
        again, plan, hands = prepared(session, AREAS, wanted, "b")
        assert plan.difference.counts() == {"new": 0, "changed": 0, "same": 3, "gone": 0}
        assert steps.perform(session, again, Path("b"), hands) == {
            "new": 0, "changed": 0, "gone": 0,
        }  # fmt: skip
        assert session.scalar(text("SELECT count(*) FROM plan")) == 0
        later, _, hands = prepared(session, AREAS[:2], wanted, "c")
        with pytest.raises(ConflictError) as caught, session.begin_nested():
            steps.perform(session, later, Path("c"), hands)
        assert caught.value.data["reason"] == "no_author"
        steps.undo(session, row)
        assert everything(session) == before


def test_a_later_delivery_of_boundaries_becomes_a_draft(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        code = session.scalar(text("SELECT code FROM net_grid WHERE grid_id = 212"))
        author = session.scalar(text("SELECT user_id FROM user_account WHERE role = 'planner'"))
    areas = [
        {"code": code, "name": "第二网格", "geometry": square(5, 2, 3, 1)},
        {"code": "NEU", "name": "新网格", "geometry": square(5, 3, 3, 1)},
    ]
    wanted = wish(DeliveryKind.BOUNDARIES, ("code", "name"), level=3)
    with owner(fresh_city) as session:
        before, report = everything(session), checked(session)
        row, plan, hands = prepared(session, areas, wanted)
        assert plan.difference.rows["state"].tolist() == ["changed", "new"]
        actor = steps.Actor(author, "planner")
        applied = steps.perform(session, row, Path("a"), hands, actor=actor)
        assert (applied["new"], applied["cells"]) == (1, 3)
        given = session.execute(
            text("SELECT c.cell_id, g.name, g.parent_id, g.level FROM plan_cell AS c"
                 " JOIN plan_grid AS g USING (city_id, plan_id, grid_id) ORDER BY 1")
        ).all()  # fmt: skip
        assert [tuple(one) for one in given] == [(n, "新网格", 21, 3) for n in (30, 31, 32)]
        assert session.scalar(text("SELECT count(*) FROM plan_grid WHERE ended")) == 0
        assert session.scalar(text("SELECT members FROM plan")) == [author]
        assert checked(session)["figures"] == report["figures"]
        steps.undo(session, row)
        assert everything(session) == before


def test_a_net_that_something_builds_on_stays(fresh_database: MigratedDatabase) -> None:
    wanted = ImportWish(
        kind=DeliveryKind.BOUNDARIES, level=1, columns={"code": "code", "name": "社区"}
    )
    house = [{"code": "H1", "households": 3, "geometry": square(0.1, 0.1, 0.2, 0.2)}]
    with owner(fresh_database) as session:
        service.create_city(
            session, CITY, name="新城", profile="cn", county_code="990101", lon=120.46, lat=37.6
        )
        first, _ = imported(session, AREAS[:1], wanted)
        buildings = wish(DeliveryKind.BUILDINGS, ("code", "households"))
        second, _ = imported(session, house, buildings, "b")
        checked(session)
        with pytest.raises(ConflictError) as caught, session.begin_nested():
            steps.undo(session, first)
        assert caught.value.data["reason"] == "built_on"
        steps.undo(session, second)
        steps.undo(session, first)


def test_new_buildings_cut_the_cells_they_stand_on(fresh_city: MigratedDatabase) -> None:
    houses = [
        {"code": "N1", "households": 7, "geometry": square(7.1, 4.1, 0.2, 0.2)},
        {"code": "N2", "households": 4, "geometry": square(7.6, 4.6, 0.2, 0.2)},
        {"code": "N3", "households": 2, "geometry": square(0.7, 0.7, 0.2, 0.2)},
    ]
    wanted = wish(DeliveryKind.BUILDINGS, ("code", "households"), cut_cells=True)
    with owner(fresh_city) as session:
        before, report = everything(session), checked(session)
        row, applied = imported(session, houses, wanted)
        assert applied["new"] == 3
        checked(session)
        cells = session.scalars(text("SELECT cell_id FROM building WHERE code LIKE 'N_'")).all()
        assert len(set(cells)) == 3 and min(cells) > 40
        steps.undo(session, row)
        assert everything(session) == before
        assert checked(session) == report


def test_households_are_joined_by_code_and_name(fresh_city: MigratedDatabase) -> None:
    counts = [
        {"building_code": "B0001", "building_name": None, "households": 77, "geometry": None},
        {"building_code": "nowhere", "building_name": None, "households": 5, "geometry": None},
        {"building_code": "B0002", "building_name": None, "households": "many", "geometry": None},
    ]
    wanted = wish(DeliveryKind.HOUSEHOLDS, ("building_code", "building_name", "households"))
    with owner(fresh_city) as session:
        before = everything(session)
        row, plan, hands = prepared(session, counts, wanted)
        assert plan.difference.counts() == {"new": 0, "changed": 1, "same": 0, "gone": 0}
        assert [one["row"] for one in plan.figures["open"]] == [2]
        assert plan.figures["match"]["invalid"]["rows"] == 1
        assert steps.perform(session, row, Path("a"), hands) == {"changed": 1}
        checked(session)
        found = session.scalar(text("SELECT households FROM building WHERE code = 'B0001'"))
        assert found == 77
        _, plan, _ = prepared(session, counts, wanted, "b")
        assert plan.difference.counts()["same"] == 1
        decided = wish(DeliveryKind.HOUSEHOLDS, ("building_code", "households"), decided={"2": 3})
        _, plan, _ = prepared(session, counts, decided, "c")
        assert plan.difference.counts() == {"new": 0, "changed": 1, "same": 1, "gone": 0}
        steps.undo(session, row)
        assert everything(session) == before


def test_posts_come_in_by_the_roster(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        code = session.scalar(text("SELECT code FROM net_grid WHERE grid_id = 213"))
        held = session.scalar(text("SELECT code FROM net_grid WHERE grid_id = 111"))
    people = [
        {"grid": code, "role": "网格员", "worker_name": "新来的", "duty_number": "6601234",
         "geometry": None},
        {"grid": held, "role": "网格员", "worker_name": "秦望舒", "duty_number": "W001",
         "geometry": None},
    ]  # fmt: skip
    wanted = wish(DeliveryKind.POSTS, ("grid", "role", "worker_name", "duty_number"))
    with owner(fresh_city) as session:
        before = everything(session)
        row, plan, hands = prepared(session, people, wanted)
        assert plan.difference.counts() == {"new": 1, "changed": 0, "same": 1, "gone": 0}
        assert steps.perform(session, row, Path("a"), hands)["new"] == 1
        checked(session)
        areas = session.execute(
            text("SELECT p.area_1, p.area_3, w.areas FROM post AS p JOIN worker AS w"
                 " USING (city_id, worker_id) WHERE w.name = '新来的'")
        ).one()  # fmt: skip
        assert (areas[0], areas[1], sorted(areas[2])) == (2, 213, [2, 21, 213])
        _, plan, _ = prepared(session, people, wanted, "b")
        assert plan.difference.counts() == {"new": 0, "changed": 0, "same": 2, "gone": 0}
        wrong = [{**people[0], "role": "国王"}]
        bad, plan, hands = prepared(session, wrong, wanted, "c")
        assert plan.figures["rejected"] == 1
        with pytest.raises(DeliveryError):
            steps.perform(session, bad, Path("c"), hands)
        steps.undo(session, row)
        assert everything(session) == before


def test_addresses_name_buildings_and_places(fresh_city: MigratedDatabase) -> None:
    named = [
        {"address": "松林路12号", "alias": "老粮站", "building_code": "B0001", "geometry": None},
        {
            "address": "松林路99号",
            "alias": None,
            "building_code": None,
            "geometry": point(1.5, 1.5),
        },
        {"address": "松林路100号", "alias": None, "building_code": None, "geometry": point(-9, 0)},
    ]
    wanted = wish(DeliveryKind.ADDRESSES, ("address", "alias", "building_code"))
    with owner(fresh_city) as session:
        before = everything(session)
        row, plan, hands = prepared(session, named, wanted)
        new = plan.difference.counts()["new"]
        assert new >= 2 and "unplaced" in plan.findings.counts()
        assert steps.perform(session, row, Path("a"), hands) == {"new": new}
        checked(session)
        _, plan, _ = prepared(session, named, wanted, "b")
        assert plan.difference.counts()["new"] == 0
        steps.undo(session, row)
        assert everything(session) == before


def test_a_wish_is_the_same_as_data() -> None:
    wanted = wish_from_data({"kind": "stations", "columns": {"name": "n"}, "fixed": {"kind": "x"}})
    assert wish_from_data(wanted.as_data()) == wanted
