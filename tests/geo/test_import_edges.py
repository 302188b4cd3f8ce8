"""What an import may not do by halves: cells that cannot be cut, refusals, codes, datums."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import text

from geo.datums import shapes_from_wgs84
from geo.errors import DeliveryError, TopologyError
from geo.importing import datum
from geo.saying import Said, phrase
from geo.store.importing import deliveries, ground, steps, things
from geo.terms import DeliveryKind, DeliveryState
from tests.cities import square
from tests.conftest import MigratedDatabase
from tests.geo.test_store_importing import (
    checked,
    everything,
    imported,
    owner,
    prepared,
    wish,
)

CUT = wish(DeliveryKind.BUILDINGS, ("code",), cut_cells=True)
HOUSES = [
    {"code": "N1", "geometry": square(7.1, 4.1, 0.2, 0.2)},
    {"code": "N2", "geometry": square(7.6, 4.6, 0.2, 0.2)},
    {"code": "N3", "geometry": square(0.7, 0.7, 0.2, 0.2)},
]


def test_a_cell_that_cannot_be_cut_stays_whole_and_is_listed(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pieces of one cell are spoiled: the others are cut, its buildings share it."""
    real = ground.building_cells

    def spoiled(*given: Any, **more: Any) -> Any:
        made = real(*given, **more)
        shapes = made.cells.geometry.to_numpy().copy()
        shapes[0] = shapely.affinity.translate(shapes[0], 0.5, 0)
        return replace(
            made, cells=made.cells.set_geometry(gpd.GeoSeries(shapes, crs=made.cells.crs))
        )

    monkeypatch.setattr(ground, "building_cells", spoiled)
    with owner(fresh_city) as session:
        before = everything(session)
        row, applied = imported(session, HOUSES, CUT)
        assert applied["new"] == 3
        checked(session)
        told = deliveries.part(session, row.city_id, row.delivery_id, "defects")
        uncut = [one for one in told if one["kind"] == "uncut"]
        assert len(uncut) == 1 and uncut[0]["lon"] and uncut[0]["unit"] == "m2"
        assert row.report is not None and row.report["counts"]["uncut"] == 1
        cells = dict(
            session.execute(text("SELECT code, cell_id FROM building WHERE code LIKE 'N_'")).all()
        )
        assert cells["N1"] == cells["N2"] <= 40 < cells["N3"]
        steps.undo(session, row)
        assert everything(session) == before


def test_a_building_without_a_piece_stands_where_its_point_lies(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ground.building_cells

    def lost(*given: Any, **more: Any) -> Any:
        made = real(*given, **more)
        cell_of = made.cell_of.astype("Float64")
        cell_of.iloc[0] = pd.NA
        return replace(made, cell_of=cell_of)

    monkeypatch.setattr(ground, "building_cells", lost)
    with owner(fresh_city) as session:
        imported(session, HOUSES, CUT)
        checked(session)


def test_what_cannot_be_said_to_be_in_the_way_is_raised(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> Any:
        raise TopologyError("The pieces are no coverage.", defects=["near"], cells=[])

    monkeypatch.setattr(ground.cutting, "cut", refused)
    with owner(fresh_city) as session, pytest.raises(TopologyError):
        imported(session, HOUSES, CUT)


def test_a_refused_delivery_says_so_and_may_be_wished_anew(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        row, _, hands = prepared(session, HOUSES, CUT)
        why = phrase("%(n)s rows left out", n=3)
        deliveries.refuse(session, row, DeliveryError([why]))
        assert row.state == DeliveryState.REFUSED.value
        listed = deliveries.listed(session, row.city_id)[0]
        assert listed["state"] == "refused"
        assert listed["refused"] == [{"say": "%(n)s rows left out", "with": {"n": "3"}}]
        steps.prepare(session, row, Path("a.gpkg"), CUT, hands)
        assert row.state == DeliveryState.PREPARED.value
        assert deliveries.listed(session, row.city_id)[0]["refused"] is None


def test_a_new_code_on_the_same_ground_is_a_change(fresh_city: MigratedDatabase) -> None:
    house = {"code": "N1", "name": "一号楼", "geometry": square(7.1, 4.1, 0.2, 0.2)}
    wanted = wish(DeliveryKind.BUILDINGS, ("code", "name"))
    with owner(fresh_city) as session:
        imported(session, [house], wanted)
        _, plan, _ = prepared(session, [house | {"code": "N9"}], wanted, "b.gpkg")
        assert plan.difference.counts()["changed"] == 1
        change = next(one for one in plan.changes if one["state"] == "changed")
        assert change["before"] == {"code": "N1"} and change["after"] == {"code": "N9"}
        _, plan, _ = prepared(session, [house], wish(DeliveryKind.BUILDINGS, ("name",)), "c.gpkg")
        assert plan.difference.counts()["same"] == 1


def test_a_grid_with_a_new_code_is_told_and_makes_no_plan(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        rows = session.execute(
            text(
                "SELECT g.code, g.name, ST_AsBinary(ST_Transform(g.boundary, 4549)) FROM net_grid g"
                " WHERE g.level = (SELECT max(level) FROM net_grid) ORDER BY g.grid_id"
            )
        ).all()
        given = [
            {"code": row[0], "name": row[1], "geometry": shapely.from_wkb(bytes(row[2]))}
            for row in rows
        ]
        given[0]["code"] = "999999999999"
        level = int(session.scalar(text("SELECT max(level) FROM net_grid")) or 0)
        wanted = wish(DeliveryKind.BOUNDARIES, ("code", "name"), level=level)
        row, plan, hands = prepared(session, given, wanted)
        change = next(one for one in plan.changes if one["label"] == rows[0][1])
        assert change["state"] == "changed" and change["after"] == {"code": "999999999999"}
        assert plan.findings.counts()["other_code"] == 1
        applied = steps.perform(session, row, Path("a.gpkg"), hands)
        assert applied == {"new": 0, "changed": 0, "gone": 0}


@pytest.mark.parametrize("level", [2, 3])
def test_the_codes_tell_the_level_of_a_later_delivery(
    fresh_city: MigratedDatabase, level: int
) -> None:
    with owner(fresh_city) as session:
        rows = session.execute(
            text(
                "SELECT code, name, ST_AsBinary(ST_Transform(boundary, 4549)) FROM net_grid"
                f" WHERE level = {level:d} ORDER BY grid_id"
            )
        ).all()
        given = [
            {"code": code, "name": name, "geometry": shapely.from_wkb(bytes(shape))}
            for code, name, shape in rows
        ]
        _, plan, _ = prepared(session, given, wish(DeliveryKind.BOUNDARIES, ("code", "name")))
        assert plan.figures["level"] == level
        assert plan.difference.counts() == {
            "new": 0, "changed": 0, "same": len(given), "gone": 0
        }  # fmt: skip


def test_a_later_delivery_that_contradicts_itself_is_asked(fresh_city: MigratedDatabase) -> None:
    areas = [
        {"code": "A", "name": "甲", "geometry": square(5, 2, 3, 1)},
        {"code": "B", "name": "乙", "geometry": square(6, 2, 3, 1)},
    ]
    wanted = wish(DeliveryKind.BOUNDARIES, ("code", "name"), level=3)
    with owner(fresh_city) as session:
        row, plan, hands = prepared(session, areas, wanted)
        asked = plan.figures["questions"][0]
        assert asked["shape"]
        assert dict(zip(asked["options"], asked["names"], strict=True)) == {"A": "甲", "B": "乙"}
        assert plan.figures["level"] == 3, "nobody knows these codes: the level that was wished"
        assert all(isinstance(one, Said) for one in plan.figures["undecided"])
        with pytest.raises(DeliveryError, match="decide"):
            steps.perform(session, row, Path("a.gpkg"), hands)


def town(seed: int = 4) -> tuple[Any, Any]:
    """Streets every 120 m and buildings between them, in Yantai, degrees on WGS 84."""
    rng = np.random.default_rng(seed)
    step, lat, lon = 0.0012, 37.46, 121.44
    lines = [
        shapely.LineString([(lon + n * step, lat), (lon + n * step, lat + 8 * step)])
        for n in range(9)
    ]
    lines += [
        shapely.LineString([(lon, lat + n * step), (lon + 8 * step, lat + n * step)])
        for n in range(9)
    ]
    houses = [
        shapely.box(x, y, x + 0.0005, y + 0.0004)
        for x, y in (
            (
                lon + (i + 0.15 + 0.3 * rng.random()) * step,
                lat + (j + 0.15 + 0.3 * rng.random()) * step,
            )
            for i in range(8)
            for j in range(8)
        )
    ]
    return np.array(houses, dtype=object), np.array(lines, dtype=object)


@pytest.mark.parametrize("on", ["wgs84", "gcj02", "bd09"])
def test_the_streets_tell_the_datum(on: Any) -> None:
    houses, streets = town()
    asked = datum.guess(shapes_from_wgs84(houses, on), streets)
    assert (asked.proposed, asked.sure) == (on, True)
    assert asked.ranking[0]["datum"] == on
    assert [one["datum"] for one in asked.pictures] == ["wgs84", "gcj02", "bd09"]
    right = next(one for one in asked.pictures if one["datum"] == on)
    assert right["streets"] and len(right["shapes"]) == datum.DRAWN


def test_without_streets_nothing_is_guessed() -> None:
    houses, _ = town()
    asked = datum.guess(houses, np.empty(0, dtype=object))
    assert (asked.proposed, asked.sure, asked.ranking) == ("wgs84", False, [])
    assert len(asked.pictures) == 3
    assert datum.guess(np.array([None], dtype=object), []).pictures == []


def values(session: Any, vintage: str) -> dict[int, float]:
    rows = session.execute(
        text("SELECT cell_id, value FROM cell_value WHERE vintage = :v AND measure = 'households'"),
        {"v": vintage},
    )
    return {int(row[0]): float(row[1]) for row in rows}


def latest(session: Any) -> str:
    wanted = "SELECT vintage FROM vintage WHERE NOT seasonal ORDER BY taken_on DESC LIMIT 1"
    return str(session.scalar(text(wanted)))


def test_a_count_of_a_season_stands_beside_that_of_the_year(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        code, cell, had = session.execute(
            text("SELECT code, cell_id, households FROM building WHERE code IS NOT NULL LIMIT 1")
        ).one()
        before = everything(session)
        base = latest(session)
        of_year = values(session, base)
        rows = [{"building_code": code, "households": had + 30, "geometry": None}]
        wanted = wish(
            DeliveryKind.HOUSEHOLDS, ("building_code", "households"), season=date(2027, 7, 20)
        )
        row, applied = imported(session, rows, wanted)
        assert applied == {"changed": 1}
        checked(session)
        season = values(session, "2027-S")
        assert season[cell] == of_year[cell] + 30
        assert {k: v for k, v in season.items() if k != cell} == {
            k: v for k, v in of_year.items() if k != cell
        }
        assert values(session, base) == of_year
        kept = session.scalar(text("SELECT households FROM building WHERE code = :c"), {"c": code})
        assert kept == had
        steps.undo(session, row)
        assert everything(session) == before


def test_estimates_are_a_count_of_their_own_and_marked(fresh_city: MigratedDatabase) -> None:
    with owner(fresh_city) as session:
        before = everything(session)
        base = latest(session)
        counted = sum(values(session, base).values())
        wanted = wish(DeliveryKind.BUILDINGS, ("code",), estimate=True)
        row, _ = imported(session, HOUSES, wanted)
        checked(session)
        assert row.report is not None and row.report["counts"]["estimated"] == 1
        vintage = session.scalar(
            text(
                "SELECT vintage FROM vintage WHERE estimated AND NOT seasonal"
                " ORDER BY taken_on DESC, vintage DESC LIMIT 1"
            )
        )
        guessed = session.scalar(text("SELECT sum(households) FROM building WHERE code LIKE 'N_'"))
        assert vintage.endswith("-E") and guessed > 0
        assert sum(values(session, vintage).values()) == counted + guessed
        assert sum(values(session, base).values()) == counted
        steps.undo(session, row)
        assert everything(session) == before


def test_what_degrees_make_invalid_is_mended_there() -> None:
    crossed = shapely.from_wkt("POLYGON((0 0, 2 2, 2 0, 0 2, 0 0))")
    given = np.array([crossed, shapely.Point(1, 1), None], dtype=object)
    made = things._sound(lambda shapes: shapes)(given)
    assert made[0].is_valid and made[0].area == 2
    assert made[1:].tolist() == given[1:].tolist()
    assert not given[0].is_valid
