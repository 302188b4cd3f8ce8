"""Stations that say where they are by their address alone; households by address."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from geo.store.importing import deliveries, steps
from geo.terms import DeliveryKind
from tests.cities import point
from tests.conftest import MigratedDatabase
from tests.geo.test_store_importing import checked, everything, imported, owner, prepared, wish

ROWS = [
    {"name": "甲站", "kind": "grid_station", "address": "松林路４号2单元", "geometry": None},
    {"name": "乙站", "kind": "grid_station", "address": "松林路", "geometry": None},
    {"name": "丙站", "kind": "grid_station", "address": "天边外", "geometry": None},
    {"name": "丁站", "kind": "grid_station", "address": None, "geometry": None},
    {"name": "戊站", "kind": "grid_station", "address": "松林路6号", "geometry": point(1.5, 1.5)},
]
COLUMNS = ("name", "kind", "address")


def test_an_address_beyond_doubt_is_a_place_and_the_others_wait(
    fresh_city: MigratedDatabase,
) -> None:
    with owner(fresh_city) as session:
        _, plan, _ = prepared(session, ROWS, wish(DeliveryKind.STATIONS, COLUMNS))
        assert plan.rows["name"].tolist() == ["甲站", "戊站"]
        assert [(one["row"], one["state"]) for one in plan.figures["open"]] == [
            (2, "several"), (3, "none"),
        ]  # fmt: skip
        assert {one["building"] for one in plan.figures["open"][0]["candidates"]} >= {4, 6}
        kinds = [one.kind for one in plan.findings.entries]
        assert kinds.count("by_address") == 1 and kinds.count("no_shape") == 1


def test_a_decision_places_the_station_and_undo_takes_it_back(
    fresh_city: MigratedDatabase,
) -> None:
    with owner(fresh_city) as session:
        before = everything(session)
    decided = {"2": 8}
    with owner(fresh_city) as session:
        row, applied = imported(
            session, ROWS, wish(DeliveryKind.STATIONS, COLUMNS, decided=decided, choice=("new",))
        )
        assert applied["new"] == 3
        key = (row.city_id, row.delivery_id)
    with owner(fresh_city) as session:
        checked(session)
        inside = session.scalar(
            text(
                "SELECT ST_Within(s.geom, b.footprint) FROM station AS s"
                " JOIN building AS b ON b.city_id = s.city_id AND b.building_id = 8"
                " WHERE s.name = '乙站'"
            )
        )
        assert inside
        steps.undo(session, deliveries.get(session, *key))
    with owner(fresh_city) as session:
        assert everything(session) == before


def test_households_are_joined_by_address(fresh_city: MigratedDatabase) -> None:
    rows = [
        {"households": 21, "address": "松林路4号3单元101", "geometry": None},
        {"households": 4, "address": "松林路四号", "geometry": None},
        {"households": 9, "address": "松林路", "geometry": None},
    ]
    with owner(fresh_city) as session:
        wanted = wish(DeliveryKind.HOUSEHOLDS, ("households", "address"))
        row, plan, hands = prepared(session, rows, wanted)
        assert plan.figures["match"]["matched"] == {"rows": 2, "households": 25}
        assert plan.figures["match"]["several"] == {"rows": 1, "households": 9}
        steps.perform(session, row, Path("a.gpkg"), hands)
        counted = session.scalar(text("SELECT households FROM building WHERE building_id = 4"))
        assert counted == 25
        checked(session)
