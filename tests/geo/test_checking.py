"""The validator finds each kind of damage, says where, and finds nothing in a sound city."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo import service
from tests.cities import METRE_SRID, point, tiny_dataset

DAMAGE = {
    "cell_border": "UPDATE cell SET geom = ST_SetSRID(ST_Translate(geom, 0.0001, 0), 4326)"
    " WHERE cell_id = (SELECT min(cell_id) FROM cell)",
    "cell_area": "UPDATE cell SET area_m2 = area_m2 + 0.01"
    " WHERE cell_id = (SELECT min(cell_id) FROM cell)",
    "retired_cell": "UPDATE cell SET retired_by_cut = 1"
    " WHERE cell_id = (SELECT min(cell_id) FROM station)",
    "city_outline": "UPDATE city SET outline = ST_Multi(ST_Buffer(outline, 0.0001))",
    "cell_run": "DELETE FROM net_cell WHERE cell_id = (SELECT min(cell_id) FROM net_cell)",
    "leaf_missing": "DELETE FROM net_grid WHERE grid_id = 1122",
    "hierarchy": "UPDATE net_grid SET parent_id = 1 WHERE grid_id = 1122",
    "grid_areas": "UPDATE net_grid SET area_2 = 12 WHERE grid_id = 1122",
    "grid_boundary": "UPDATE net_grid SET boundary = ST_Multi(ST_Buffer(boundary, -0.0001))"
    " WHERE grid_id = 211",
    "cell_above_leaf": "UPDATE net_cell SET grid_id = 111"
    " WHERE cell_id = (SELECT min(cell_id) FROM net_cell WHERE grid_id = 1111)",
    "code_other_grid": "UPDATE net_grid SET code = code || 'x' WHERE grid_id = 211",
    "net_hash": "UPDATE net_grid SET name = name || '!' WHERE grid_id = 211",
    "building_outside": "UPDATE building SET footprint = ST_Translate(footprint, 0.05, 0)"
    " WHERE building_id = (SELECT min(building_id) FROM building)",
    "station_outside": "UPDATE station SET geom = ST_Translate(geom, 0.05, 0)"
    " WHERE station_id = (SELECT min(station_id) FROM station)",
    "issue_outside": "UPDATE issue SET geom = ST_Translate(geom, 0.05, 0)"
    " WHERE issue_id = (SELECT min(issue_id) FROM issue)",
    "households_differ": "UPDATE building SET households = households + 1"
    " WHERE building_id = (SELECT min(building_id) FROM building)",
    "worker_areas": "UPDATE worker SET areas = '{}'",
    "post_areas": "UPDATE post SET area_1 = NULL WHERE post_id = (SELECT min(post_id) FROM post)",
    "issue_areas": "UPDATE issue SET area_1 = 2 WHERE area_1 = 1",
    "audit_chain": "ALTER TABLE audit DISABLE TRIGGER audit_is_final;"
    "UPDATE audit SET action = 'nothing' WHERE n = 1",
    "figure_stale": "UPDATE net_value SET value = value + 1 WHERE grid_id = 211",
    "net_order": "ALTER TABLE net DISABLE TRIGGER net_follows;"
    "INSERT INTO net (city_id, seq, effective_from, hash)"
    " SELECT city_id, 2, effective_from - 1, hash FROM net",
}


@pytest.fixture
def tiny(session: Session) -> Session:
    service.load_dataset(session, tiny_dataset())
    return session


def _checks(report: dict[str, Any]) -> set[str]:
    return set(report["counts"])


def test_a_sound_city_has_no_fault(tiny: Session) -> None:
    report = service.check_city(tiny, "tiny")
    assert report["faults"] == []
    assert report["ok"]
    assert report["figures"]["net_1"] == {"grids": 15, "cells": 40}
    assert report["figures"]["area_m2"] == pytest.approx(400_000, rel=1e-9)


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_found(tiny: Session, kind: str) -> None:
    for statement in DAMAGE[kind].split(";"):
        tiny.execute(text(statement))
    report = service.check_city(tiny, "tiny")
    assert not report["ok"]
    assert kind in _checks(report)


def test_a_torn_grid_is_a_fault_unless_it_was_inherited(tiny: Session) -> None:
    tear = (
        "UPDATE net_cell SET grid_id = 213 WHERE grid_id = 211 AND cell_id ="
        " (SELECT min(cell_id) FROM net_cell WHERE grid_id = 211)"
    )
    tiny.execute(text(tear))
    report = service.check_city(tiny, "tiny")
    torn = [fault for fault in report["faults"] if fault["check"] == "contiguity"]
    assert "grid 213 lies in 2 parts" in torn[0]["message"]
    lon, lat = torn[0]["place"]
    assert 120 < lon < 121
    assert 37 < lat < 38
    tiny.execute(
        text(
            "INSERT INTO net_exception (city_id, grid_id, from_seq, parts, reason)"
            " SELECT city_id, 213, 1, 2, 'inherited' FROM city"
        )
    )
    report = service.check_city(tiny, "tiny")
    assert "contiguity" not in _checks(report)
    assert report["exceptions"] == [{"seq": 1, "grid_id": 213, "parts": 2, "allowed": 2}]


def test_an_exception_ends_with_its_run(tiny: Session) -> None:
    tear = "UPDATE net_cell SET grid_id = 213 WHERE cell_id = 6"
    tiny.execute(text(tear))
    add = (
        "INSERT INTO net_exception (city_id, grid_id, from_seq, to_seq, parts, reason)"
        " SELECT city_id, 213, :first, :end, 2, 'inherited' FROM city"
    )
    tiny.execute(text(add), {"first": 1, "end": 2})
    assert "contiguity" not in _checks(service.check_city(tiny, "tiny"))
    tiny.execute(
        text(
            "INSERT INTO net (city_id, seq, effective_from, hash)"
            " SELECT city_id, 2, effective_from + 1, hash FROM net"
        )
    )
    torn = [f for f in service.check_city(tiny, "tiny")["faults"] if f["check"] == "contiguity"]
    assert [fault["message"] for fault in torn] == ["net 2: grid 213 lies in 2 parts, 1 allowed"]
    with pytest.raises(Exception, match=r"ex_net_exception_run|pk_net_exception"):
        tiny.execute(text(add), {"first": 1, "end": 3})


def test_a_compound_has_one_firm_at_a_time_and_a_body_one_place(tiny: Session) -> None:
    second = (
        "INSERT INTO compound_body (city_id, compound_id, role, valid_from, organisation_id)"
        " SELECT city_id, 3, 'firm', DATE '2026-05-01', 6 FROM city"
    )
    with pytest.raises(Exception, match="ex_compound_body_dates"), tiny.begin_nested():
        tiny.execute(text(second))
    tiny.execute(text("UPDATE compound_body SET valid_to = '2026-05-01' WHERE compound_id = 3"))
    tiny.execute(text(second))
    with pytest.raises(Exception, match="ck_organisation_place"), tiny.begin_nested():
        tiny.execute(text("UPDATE organisation SET building_id = 1 WHERE grid_id = 1"))


def _railway(session: Session, east: float) -> None:
    """Lay a railway through the middle of grid 1111, over which a path leads at its east end."""
    session.execute(text("DELETE FROM barrier WHERE kind = 'wall'"))
    points = [point(0, 1), point(east, 1)]
    session.execute(
        text(
            "INSERT INTO barrier (city_id, barrier_id, kind, geom) SELECT city_id, 99, 'railway',"
            " ST_Transform(ST_MakeLine(ST_SetSRID(ST_MakePoint(:a, :b), 4549),"
            " ST_SetSRID(ST_MakePoint(:c, :d), 4549)), 4326) FROM city"
        ),
        {"a": points[0].x, "b": points[0].y, "c": points[1].x, "d": points[1].y},
    )


def test_both_sides_of_a_railway_in_one_grid_are_a_fault_without_a_crossing(tiny: Session) -> None:
    _railway(tiny, 3.0)
    report = service.check_city(tiny, "tiny")
    assert report["counts"] == {"contiguity": 1}
    assert "grid 1111 lies in 2 parts, 1 allowed" in report["faults"][0]["message"]


def test_a_level_crossing_joins_both_sides_of_a_railway(tiny: Session) -> None:
    _railway(tiny, 4.0)
    assert service.check_city(tiny, "tiny")["ok"]


def test_a_delivered_grid_on_both_sides_of_a_railway_is_listed(session: Session) -> None:
    city = tiny_dataset()
    rail = city.barriers.iloc[[1]].assign(barrier_id=99)
    rail = rail.set_geometry([shapely.LineString([point(0, 1), point(3, 1)])], crs=METRE_SRID)
    others = city.barriers[city.barriers["kind"] != "wall"]
    barriers = pd.concat([others, rail], ignore_index=True)
    service.load_dataset(session, replace(city, barriers=barriers))
    report = service.check_city(session, "tiny")
    assert report["faults"] == []
    assert report["exceptions"] == [{"seq": 1, "grid_id": 1111, "parts": 2, "allowed": 2}]


def test_two_runs_of_one_cell_cannot_be_stored(tiny: Session) -> None:
    second_run = (
        "INSERT INTO net_cell (city_id, cell_id, from_seq, to_seq, grid_id)"
        " SELECT city_id, cell_id, 2, 3, grid_id FROM net_cell LIMIT 1"
    )
    tiny.execute(
        text(
            "INSERT INTO net (city_id, seq, effective_from, hash)"
            " SELECT city_id, 2, effective_from + 1, hash FROM net"
        )
    )
    with pytest.raises(Exception, match="ex_net_cell_run"):
        tiny.execute(text(second_run))


@pytest.mark.parametrize(("seq", "days"), [(1, 1), (2, 0), (2, -1)])
def test_a_net_out_of_order_cannot_be_stored(tiny: Session, seq: int, days: int) -> None:
    statement = (
        "INSERT INTO net (city_id, seq, effective_from, hash)"
        " SELECT city_id, :seq, effective_from + :days, hash FROM net"
    )
    with pytest.raises(Exception, match=r"does not follow|pk_net"):
        tiny.execute(text(statement), {"seq": seq, "days": days})


def test_a_code_is_never_given_to_another_grid(tiny: Session) -> None:
    again = "INSERT INTO grid_code SELECT city_id, scheme, code, 1, 1 FROM grid_code LIMIT 1"
    with pytest.raises(Exception, match="pk_grid_code"):
        tiny.execute(text(again))
