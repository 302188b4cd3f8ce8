"""Cells cut in the database: every net, draft, figure and place follows, and nothing else does."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo import service
from geo.db import owner_engine, owner_transaction
from geo.errors import ConflictError, TopologyError
from geo.store import cutting, derived, holding
from geo.tables import Building, Cell, City, Net
from tests.cities import METRE_SRID, cell_at, line, tiny_dataset
from tests.conftest import MigratedDatabase

SQUARE = cell_at(1, 1)
"""Cell 10 of grid 1111, with two buildings."""


@pytest.fixture
def tiny(session: Session) -> Session:
    service.load_dataset(session, tiny_dataset())
    return session


def city_of(session: Session, slug: str = "tiny") -> int:
    return service.city_id_of(session, slug)


def cells_of(session: Session, city: int) -> gpd.GeoSeries:
    """Return the standing cells in metres, by id."""
    rows = session.execute(
        text(
            "SELECT cell_id, ST_AsBinary(geom) FROM cell"
            " WHERE city_id = :city AND retired_by_cut IS NULL ORDER BY cell_id"
        ),
        {"city": city},
    ).all()
    shapes = shapely.from_wkb([bytes(row[1]) for row in rows])
    found = gpd.GeoSeries(shapes, index=[row[0] for row in rows], crs=4326)
    return found.to_crs(METRE_SRID)


def halves(cells: gpd.GeoSeries, *ids: int, share: float = 0.5, along: str = "x") -> Any:
    """Cut cells in two, by a line through them."""
    rows = []
    for cell in ids:
        west, south, east, north = cells[cell].bounds
        low, high = (west, east) if along == "x" else (south, north)
        at = low + share * (high - low)
        for begin, end in ((low - 9, at), (at, high + 9)):
            box = (
                shapely.box(begin, south - 9, end, north + 9)
                if along == "x"
                else shapely.box(west - 9, begin, east + 9, end)
            )
            rows.append((cell, shapely.intersection(cells[cell], box)))
    return gpd.GeoDataFrame(
        {"cell_id": [row[0] for row in rows]}, geometry=[row[1] for row in rows], crs=METRE_SRID
    )


def values_of(session: Session, city: int) -> dict[tuple[str, str], float]:
    rows = session.execute(
        text(
            "SELECT vintage, measure, sum(value) FROM cell_value WHERE city_id = :c GROUP BY 1, 2"
        ),
        {"c": city},
    )
    return {(row[0], row[1]): row[2] for row in rows}


def everything(session: Session, city: int) -> dict[str, list[Any]]:
    """Return every row of a city's tables, the log left out."""
    tables = session.scalars(
        text(
            "SELECT table_name::text FROM information_schema.columns WHERE column_name = 'city_id'"
            " AND table_schema = 'public' AND table_name NOT LIKE 'audit%'"
            " AND table_name <> 'building_household' ORDER BY 1"
        )
    ).all()
    return {
        name: sorted(
            session.scalars(
                text(f"SELECT t::text FROM {name} AS t WHERE city_id = :c"), {"c": city}
            )
        )
        for name in tables
    }


def second_net(session: Session, city: int) -> None:
    """Publish a net in which the square belongs to the grid north of it."""
    session.execute(
        text(
            "INSERT INTO net (city_id, seq, effective_from, hash)"
            " SELECT city_id, 2, effective_from + 31, hash FROM net WHERE city_id = :c"
        ),
        {"c": city},
    )
    session.execute(
        text("UPDATE net_cell SET to_seq = 2 WHERE city_id = :c AND cell_id = :cell"),
        {"c": city, "cell": SQUARE},
    )
    session.execute(
        text(
            "INSERT INTO net_cell (city_id, cell_id, from_seq, grid_id) VALUES (:c, :cell, 2, 1112)"
        ),
        {"c": city, "cell": SQUARE},
    )


def draft(session: Session, city: int) -> None:
    """Begin a draft that gives the square to grid 1112."""
    service.create_demo_accounts(session, "tiny")
    session.execute(
        text(
            "INSERT INTO plan (city_id, plan_id, name, base_seq, author_id)"
            " SELECT city_id, 1, '调整', 1, min(user_id) FROM user_account"
            " WHERE city_id = :c GROUP BY city_id"
        ),
        {"c": city},
    )
    session.execute(
        text(
            "INSERT INTO plan_grid"
            " (city_id, plan_id, grid_id, level, parent_id, name, kind, boundary)"
            " SELECT city_id, 1, grid_id, level, parent_id, name, kind, boundary FROM net_grid"
            " WHERE city_id = :c"
        ),
        {"c": city},
    )
    session.execute(
        text(
            "INSERT INTO plan_cell (city_id, plan_id, cell_id, grid_id) VALUES (:c, 1, :cell, 1112)"
        ),
        {"c": city, "cell": SQUARE},
    )


def test_a_cut_city_is_sound_and_says_what_it_said(tiny: Session) -> None:
    city = city_of(tiny)
    before = values_of(tiny, city)
    boundaries = tiny.scalars(text("SELECT boundary::text FROM net_grid ORDER BY grid_id")).all()
    sums = tiny.execute(text("SELECT * FROM net_value ORDER BY 1, 2, 3, 4, 5")).all()
    ids = [SQUARE, cell_at(0, 0), cell_at(4, 4), cell_at(7, 2)]
    pieces = halves(cells_of(tiny, city), *ids, share=0.37)
    done = cutting.cut(tiny, city, pieces)
    assert done.number == 1
    assert sorted(done.cell_of) == list(range(41, 49))
    report = service.check_city(tiny, "tiny")
    assert report["faults"] == []
    assert report["figures"]["net_1"] == {"grids": 15, "cells": 44}
    assert report["figures"]["area_m2"] == pytest.approx(400_000, rel=1e-9)
    assert values_of(tiny, city) == before
    assert (
        tiny.scalars(text("SELECT boundary::text FROM net_grid ORDER BY grid_id")).all()
        == boundaries
    )
    assert tiny.execute(text("SELECT * FROM net_value ORDER BY 1, 2, 3, 4, 5")).all() == sums
    lineage = tiny.execute(text("SELECT cell_id, count(*) FROM cell_lineage GROUP BY 1"))
    assert {tuple(row) for row in lineage} == {(cell, 2) for cell in ids}
    retired = tiny.scalars(select(Cell.cell_id).where(Cell.retired_by_cut == 1)).all()
    assert sorted(retired) == sorted(ids)


def test_what_stands_in_a_cell_moves_by_its_point(tiny: Session) -> None:
    city = city_of(tiny)
    stood = {row[0]: row[1] for row in tiny.execute(select(Building.building_id, Building.cell_id))}
    pieces = halves(cells_of(tiny, city), SQUARE, cell_at(0, 0), share=0.5, along="y")
    done = cutting.cut(tiny, city, pieces)
    stands = {
        row[0]: row[1] for row in tiny.execute(select(Building.building_id, Building.cell_id))
    }
    for building, cell in stands.items():
        if stood[building] not in (SQUARE, cell_at(0, 0)):
            assert cell == stood[building]
    lower, upper = done.cell_of.iloc[:2]
    own = [building for building, cell in stood.items() if cell == SQUARE]
    assert [stands[building] for building in own] == [lower, upper]
    households = tiny.execute(
        text(
            "SELECT v.value, (SELECT sum(households) FROM building AS b"
            " WHERE b.cell_id = v.cell_id) FROM cell_value AS v"
            " WHERE cell_id IN (:a, :b) AND vintage = '2026' AND measure = 'households'"
        ),
        {"a": int(lower), "b": int(upper)},
    ).all()
    assert len(households) == 2
    assert all(value == counted for value, counted in households)
    assert done.moved["building"] == 3
    assert done.moved["station"] == 1
    assert done.moved["issue"] == tiny.scalar(
        text("SELECT count(*) FROM issue AS i JOIN cell_lineage AS l ON l.piece_id = i.cell_id")
    )
    places = tiny.scalars(text("SELECT cell_id FROM household_place WHERE cell_id > 40"))
    assert {int(lower), int(upper)} <= set(places)


def test_figures_follow_counted_households_then_weights_then_ground(tiny: Session) -> None:
    city = city_of(tiny)
    school = cell_at(6, 4)
    tiny.execute(
        text(
            "INSERT INTO cell_value (city_id, vintage, measure, cell_id, value) VALUES"
            " (:c, '2024', 'households', :school, 10), (:c, '2024', 'parking', :school, 0.1),"
            " (:c, '2024', 'parking', :square, 9)"
        ),
        {"c": city, "school": school, "square": SQUARE},
    )
    derive = text("SELECT vintage, measure, value FROM cell_value WHERE cell_id = :cell")
    pieces = halves(cells_of(tiny, city), school, SQUARE, share=0.2)
    pieces["weight"] = [3.0, 1.0, np.nan, np.nan]
    done = cutting.cut(tiny, city, pieces)
    parts = [
        {(v, m): x for v, m, x in tiny.execute(derive, {"cell": int(cell)})}
        for cell in done.cell_of
    ]
    assert [part[("2024", "households")] for part in parts[:2]] == [8.0, 2.0]
    assert parts[0][("2024", "parking")] + parts[1][("2024", "parking")] == 0.1
    assert parts[0][("2024", "parking")] == pytest.approx(0.075)
    assert [part[("2024", "parking")] for part in parts[2:]] == [2.0, 7.0]
    assert parts[3][("2026", "households")] > 0


def test_all_nets_and_all_drafts_take_the_pieces(tiny: Session) -> None:
    city = city_of(tiny)
    second_net(tiny, city)
    draft(tiny, city)
    done = cutting.cut(tiny, city, halves(cells_of(tiny, city), SQUARE))
    runs = tiny.execute(
        text(
            "SELECT cell_id, from_seq, to_seq, grid_id FROM net_cell"
            " WHERE cell_id > 40 ORDER BY 1, 2"
        )
    ).all()
    assert [tuple(row) for row in runs] == [
        (cell, *run) for cell in done.cell_of for run in ((1, 2, 1111), (2, 2147483647, 1112))
    ]
    rows = tiny.execute(text("SELECT cell_id, grid_id FROM plan_cell ORDER BY 1")).all()
    assert [tuple(row) for row in rows] == [(cell, 1112) for cell in done.cell_of]
    stale = set(tiny.scalars(text("SELECT grid_id FROM plan_grid WHERE boundary IS NULL")))
    assert {1112, 111, 11, 1} <= stale
    assert not stale & {2, 21, 211, 212, 213}
    assert "net_hash" not in service.check_city(tiny, "tiny")["counts"]


def test_a_cut_is_undone_to_the_last_row(tiny: Session) -> None:
    city = city_of(tiny)
    second_net(tiny, city)
    draft(tiny, city)
    for net in tiny.scalars(select(Net)):
        cutting._sealed_again(tiny, net)
    derived.refresh_net(tiny, city, METRE_SRID)
    before, faults = everything(tiny, city), service.check_city(tiny, "tiny")["counts"]
    pieces = halves(cells_of(tiny, city), SQUARE, cell_at(5, 1))
    done = cutting.cut(tiny, city, pieces)
    assert everything(tiny, city) != before
    assert cutting.uncut(tiny, city, done.number) == 2
    after = everything(tiny, city)
    touched = {name for name in before if before[name] != after[name]}
    # vertices stay; boundaries of drafts are made on demand, months of moved issues counted again
    assert touched <= {"cell", "plan_grid", "issue_stale"}
    assert len(before["cell"]) == len(after["cell"])
    assert service.check_city(tiny, "tiny")["counts"] == faults
    again = cutting.cut(tiny, city, halves(cells_of(tiny, city), SQUARE))
    assert again.number == 2


def test_what_was_built_upon_a_cut_keeps_it(tiny: Session) -> None:
    city = city_of(tiny)
    with pytest.raises(ConflictError, match="no cut 1"):
        cutting.uncut(tiny, city, 1)
    first = cutting.cut(tiny, city, halves(cells_of(tiny, city), SQUARE))
    piece = int(first.cell_of.iloc[0])
    with tiny.begin_nested() as undo:
        cutting.cut(tiny, city, halves(cells_of(tiny, city), piece, along="y"))
        with pytest.raises(ConflictError, match="cut again"):
            cutting.uncut(tiny, city, 1)
        cutting.uncut(tiny, city, 2)
        undo.rollback()
    with tiny.begin_nested() as undo:
        tiny.execute(text("UPDATE net_cell SET grid_id = 1112 WHERE cell_id = :p"), {"p": piece})
        with pytest.raises(ConflictError, match="different grids"):
            cutting.uncut(tiny, city, 1)
        undo.rollback()
    draft_city = city
    draft(tiny, draft_city)
    tiny.execute(text("UPDATE plan_cell SET cell_id = :p"), {"p": piece})
    with pytest.raises(ConflictError, match="a draft gives"):
        cutting.uncut(tiny, city, 1)


def test_a_cut_inside_a_cut_is_sound(tiny: Session) -> None:
    city = city_of(tiny)
    for turn, along in enumerate(("x", "y", "x"), start=1):
        cells = cells_of(tiny, city)
        newest = [int(cell) for cell in cells.index[-4:]]
        done = cutting.cut(tiny, city, halves(cells, *newest, along=along, share=0.41))
        assert done.number == turn
    report = service.check_city(tiny, "tiny")
    assert report["faults"] == []
    assert report["figures"]["cells"] == 40 + 3 * 4


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda p: p.iloc[[0, 1, 2]].iloc[:1].reset_index(drop=True), None, ""),
        (lambda p: p.set_geometry(p.translate(0.01, 0)), TopologyError, "do not make up"),
        (lambda p: p.assign(cell_id=999), ConflictError, "do not stand"),
        (lambda p: p.to_crs(4326), TopologyError, "EPSG:4549"),
        (lambda p: p.set_crs(None, allow_override=True), TopologyError, "EPSG:4549"),
    ],
)
def test_a_cut_that_cannot_be_leaves_nothing(
    tiny: Session, damage: Any, error: type[Exception] | None, message: str
) -> None:
    city = city_of(tiny)
    before = everything(tiny, city)
    pieces = damage(halves(cells_of(tiny, city), SQUARE, cell_at(0, 0)))
    if error is None:
        done = cutting.cut(tiny, city, pieces)
        assert (done.number, done.cell_of.tolist()) == (0, [SQUARE])
    else:
        with pytest.raises(error, match=message), tiny.begin_nested():
            cutting.cut(tiny, city, pieces)
    assert everything(tiny, city) == before


def test_a_cell_that_was_cut_is_not_cut_again(tiny: Session) -> None:
    city = city_of(tiny)
    pieces = halves(cells_of(tiny, city), SQUARE)
    cutting.cut(tiny, city, pieces)
    with pytest.raises(ConflictError, match="do not stand in the city, or were cut"):
        cutting.cut(tiny, city, pieces)


def test_another_city_is_not_touched(session: Session) -> None:
    for slug in ("tiny", "other"):
        service.load_dataset(session, tiny_dataset(slug))
    other = city_of(session, "other")
    before = everything(session, other)
    city = city_of(session)
    done = cutting.cut(session, city, halves(cells_of(session, city), SQUARE))
    cutting.uncut(session, city, done.number)
    cutting.cut(session, city, halves(cells_of(session, city), SQUARE))
    assert everything(session, other) == before
    assert service.check_city(session, "other")["ok"]


def test_a_grid_that_a_barrier_parts_inside_its_cell_inherits_its_parts(session: Session) -> None:
    whole = tiny_dataset()
    wall = whole.barriers.iloc[[1]].assign(barrier_id=99, kind="wall")
    wall = wall.set_geometry([line((5, 2.5), (8, 2.5))], crs=METRE_SRID)
    barriers = pd.concat([whole.barriers, wall], ignore_index=True)
    streets = whole.streets[whole.streets["street_id"] != 5].reset_index(drop=True)
    upper = whole.cells["cell_id"].isin([cell_at(column, 3) for column in (5, 6, 7)])
    cells = whole.cells.assign(grid_id=whole.cells["grid_id"].mask(upper, 213))
    service.load_dataset(session, replace(whole, barriers=barriers, streets=streets, cells=cells))
    city = city_of(session)
    ids = [cell_at(column, 2) for column in (5, 6, 7)]
    assert service.check_city(session, "tiny")["exceptions"] == []
    done = cutting.cut(session, city, halves(cells_of(session, city), *ids, along="y"))
    report = service.check_city(session, "tiny")
    assert report["faults"] == []
    assert report["exceptions"] == [{"seq": 1, "grid_id": 212, "parts": 2, "allowed": 2}]
    cutting.uncut(session, city, done.number)
    assert session.scalar(text("SELECT count(*) FROM net_exception")) == 0
    assert service.check_city(session, "tiny")["ok"]


def test_a_grid_that_was_torn_before_stays_a_fault(tiny: Session) -> None:
    city = city_of(tiny)
    tiny.execute(text("UPDATE net_cell SET grid_id = 213 WHERE cell_id = 6"))
    cutting.cut(tiny, city, halves(cells_of(tiny, city), 6))
    assert service.check_city(tiny, "tiny")["counts"]["contiguity"] == 1


def test_the_log_has_one_row_for_a_cut(tiny: Session) -> None:
    city = city_of(tiny)
    rows = text("SELECT action, payload FROM audit WHERE city_id = :c AND action LIKE 'cells.%'")
    cutting.cut(tiny, city, halves(cells_of(tiny, city), SQUARE, cell_at(0, 0)))
    [(action, payload)] = tiny.execute(rows, {"c": city}).all()
    assert action == "cells.cut"
    assert (payload["cut"], payload["cells"], payload["pieces"]) == (1, 2, 4)
    assert len(payload["sha256"]) == 64
    assert payload["nets"]["1"][0] != payload["nets"]["1"][1]


DAMAGE = {
    "cell_run": "DELETE FROM net_cell WHERE cell_id = 41",
    "households_differ": "UPDATE cell_value SET value = value + 1 WHERE cell_id = 41",
    "cell_border": "UPDATE cell SET geom = ST_SetSRID(ST_Translate(geom, 0.00001, 0), 4326)"
    " WHERE cell_id = 41",
    "building_outside": "UPDATE building SET cell_id = 1 WHERE cell_id IN (41, 42)",
    "net_hash": "UPDATE net SET hash = sha256('x'::bytea)",
    "figure_stale": "UPDATE net_count SET cells = cells - 1 WHERE grid_id = 1111",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_validator_finds_damage_to_a_cut_city(tiny: Session, kind: str) -> None:
    city = city_of(tiny)
    cutting.cut(tiny, city, halves(cells_of(tiny, city), SQUARE, along="y"))
    tiny.execute(text(DAMAGE[kind]))
    assert kind in service.check_city(tiny, "tiny")["counts"]


def test_the_second_of_two_cuts_waits_and_so_does_an_edit(fresh_database: MigratedDatabase) -> None:
    engine = fresh_database.engine
    with owner_transaction(engine) as session:
        city = service.load_dataset(session, tiny_dataset())
        cells = cells_of(session, city)
    order: list[str] = []
    cut_done, let_go = threading.Event(), threading.Event()

    def first() -> None:
        with owner_transaction(engine) as session:
            cutting.cut(session, city, halves(cells, SQUARE))
            cut_done.set()
            assert let_go.wait(60)
            order.append("first")

    def second() -> None:
        with owner_transaction(engine) as session:
            cutting.cut(session, city, halves(cells, cell_at(0, 1)))
            order.append("second")

    def edit() -> None:
        with owner_transaction(engine) as session:
            holding.hold_cells(session, city)
            order.append("edit")

    threads = [threading.Thread(target=work) for work in (first, second, edit)]
    threads[0].start()
    assert cut_done.wait(60)
    for thread in threads[1:]:
        thread.start()
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    watcher = owner_engine(fresh_database.owner_url)
    with watcher.connect() as connection:
        until = time.monotonic() + 60
        while connection.scalar(waiting) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert connection.scalar(waiting) == 2
    watcher.dispose()
    assert order == []
    let_go.set()
    for thread in threads:
        thread.join(120)
    assert order[0] == "first"
    assert sorted(order[1:]) == ["edit", "second"]
    with owner_transaction(engine) as session:
        report = service.check_city(session, "tiny")
        assert report["faults"] == []
        assert report["figures"]["cells"] == 42
        assert set(session.scalars(select(Cell.retired_by_cut))) == {None, 1, 2}
        assert session.scalar(select(City.slug).where(City.city_id == city)) == "tiny"


def test_edits_hold_the_cells_together(fresh_database: MigratedDatabase) -> None:
    engine = fresh_database.engine
    with owner_transaction(engine) as one, owner_transaction(engine) as two:
        holding.hold_cells(one, 1)
        holding.hold_cells(two, 1)
        tried = text("SELECT pg_try_advisory_xact_lock(:lock, 1)")
        assert not two.scalar(tried, {"lock": holding.CELLS_LOCK})
        holding.hold_cells(two, 2, exclusive=True)
