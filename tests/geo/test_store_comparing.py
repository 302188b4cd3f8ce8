"""Nets and plans of a stored city compared by their cells, against plain joins and overlays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Database, Viewer
from geo.errors import InvalidInputError, NetNotFoundError, PlanNotFoundError
from geo.store import comparing, drafts, nets
from geo.tables import City, UserAccount
from geo.terms import Role
from tests.cities import METRE_SRID, cell_at
from tests.conftest import MigratedDatabase


@dataclass
class Room:
    """The tiny city, its planner, and a plan of the planner's."""

    migrated: MigratedDatabase
    door: Database
    city: int
    planner: Viewer
    leader: Viewer
    plan: int = 0

    @contextmanager
    def at_work(self, viewer: Viewer | None = None) -> Iterator[Session]:
        with self.door.transaction(viewer or self.planner) as session:
            yield session

    def open(self, **how: Any) -> int:
        with self.at_work() as session:
            at = nets.moment(session, self.city)
            return drafts.open_plan(session, self.planner, at, "方案甲", **how)

    def edit(self, op: str, **args: Any) -> drafts.Applied:
        with self.at_work() as session:
            known = {
                one["grid"]: one["version"]
                for one in drafts.grids(session, self.planner, self.plan)
            }
            return drafts.apply(session, self.planner, self.plan, op, args, known)

    def compare(self, old: str, new: str, **how: Any) -> dict[str, Any]:
        with self.at_work() as session:
            return comparing.compare(session, self.planner, old, new, **how)[1]

    def impact(self) -> dict[str, Any]:
        with self.at_work() as session:
            return comparing.impact(session, self.planner, self.plan)[1]

    def frame(self, statement: str, **asked: Any) -> pd.DataFrame:
        with self.migrated.engine.connect() as connection:
            return pd.read_sql(text(statement), connection, params={"city": self.city, **asked})


@pytest.fixture(scope="module")
def city(city_template: str, new_database: Callable[[str], MigratedDatabase]) -> Iterator[Room]:
    migrated = new_database(city_template)
    door = migrated.application()
    with migrated.engine.connect() as connection:
        number = int(connection.scalar(select(City.city_id)) or 0)
        rows = connection.execute(select(UserAccount.role, UserAccount.user_id))
        users = {row[0]: row[1] for row in rows}
    yield Room(
        migrated, door, number,
        Viewer(Role.PLANNER, number, users["planner"]),
        Viewer(Role.LEADER, number, users["leader"]),
    )  # fmt: skip
    door.close()


@pytest.fixture
def room(city: Room) -> Room:
    return replace(city, plan=city.open())


def at(*places: tuple[int, int]) -> list[int]:
    return [cell_at(*place) for place in places]


HOMES = """
    SELECT c.cell_id, c.area_m2, coalesce(v.value, 0) AS households, n.grid_id
    FROM cell AS c
    JOIN net_cell AS n USING (city_id, cell_id)
    LEFT JOIN cell_value AS v ON v.city_id = c.city_id AND v.cell_id = c.cell_id
        AND v.measure = 'households' AND v.vintage = :vintage
    WHERE c.city_id = :city
"""


def test_a_net_against_itself(city: Room) -> None:
    found = city.compare("net:1", "2026-03-01")
    assert found["old"]["name"] == found["new"]["name"] == "net:1"
    assert found["cells_moved"] == found["moved_area_m2"] == found["moved_households"] == 0
    assert found["same"] == found["units_old"] == found["units_new"] == 8
    assert found["grids"] == []
    assert found["posts"]["items"] == []
    assert found["balance_old"] == found["balance_new"]


def test_a_plan_against_plain_joins(room: Room) -> None:
    moved = at((5, 1), (6, 1), (5, 0))
    room.edit("move", cells=moved, into=212)
    room.edit("merge", grids=[1111, 1112], into=1112)
    found = room.impact()
    assert found == room.compare("net:1", f"plan:{room.plan}") | {
        "balance_old": found["balance_old"], "balance_new": found["balance_new"],
    }  # fmt: skip
    cells = room.frame(HOMES, vintage=found["vintage"]).set_index("cell_id")
    after = cells["grid_id"].replace({1111: 1112})
    after.loc[moved] = 212
    differ = after != cells["grid_id"]
    assert found["cells_moved"] == int(differ.sum())
    assert found["moved_households"] == cells.loc[differ, "households"].sum()
    assert found["moved_area_m2"] == pytest.approx(cells.loc[differ, "area_m2"].sum(), rel=1e-12)
    plain = cells.groupby([cells["grid_id"], after])[["households", "area_m2"]].sum()
    listed = {(row["old"], row["new"]): row for row in found["crosswalk"]}
    assert set(listed) == set(plain.index)
    for pair, row in plain.iterrows():
        assert listed[pair]["households"] == row["households"]
        assert listed[pair]["area_m2"] == pytest.approx(row["area_m2"], rel=1e-12)
    assert found["verdicts"]["old"] == {"kept": 7, "split": 0, "merged": 1, "ended": 0}
    assert found["same"] == 4
    assert [row["grid"] for row in found["grids"]] == [211, 212, 1111, 1112]
    by_grid = cells.groupby(after)["households"].sum()
    for row in found["grids"]:
        if row["new"] is not None:
            assert row["new"]["households"] == by_grid[row["grid"]]
    assert found["grids"][2]["new"] is None


def test_compactness_is_that_of_the_union_of_the_cells(room: Room) -> None:
    room.edit("move", cells=at((5, 1)), into=212)
    found = room.impact()
    shapes = gpd.read_postgis(
        text("SELECT cell_id, geom FROM cell WHERE city_id = :city"),
        room.migrated.engine, geom_col="geom", params={"city": room.city},
    ).set_index("cell_id").to_crs(METRE_SRID)  # fmt: skip
    cells = room.frame(HOMES, vintage=found["vintage"]).set_index("cell_id")
    cells.loc[at((5, 1)), "grid_id"] = 212
    unions = (
        shapes.loc[cells.index]
        .geometry.groupby(cells["grid_id"])
        .agg(lambda parts: parts.union_all())
    )
    unions = gpd.GeoSeries(unions, crs=METRE_SRID)
    expected = 4 * np.pi * unions.area / unions.length**2
    assert found["polsby_popper_new"] == pytest.approx(expected.mean(), rel=1e-6)
    for row in found["grids"]:
        assert row["new"]["polsby_popper"] == pytest.approx(expected[row["grid"]], rel=1e-6)


def test_posts_issues_and_stations_that_change_hands(room: Room) -> None:
    room.edit("merge", grids=[211, 212], into=211)
    room.edit("merge", grids=[1121, 1122], into=1121)
    found = room.impact()
    ended = {211, 212, 213, 1121, 1122} - {211, 213, 1121}
    posts = room.frame(
        "SELECT post_id, grid_id FROM post WHERE city_id = :city AND valid_from <= :day"
        " AND (valid_to IS NULL OR valid_to > :day) AND stand_in_for IS NULL",
        day=found["posts"]["day"],
    )
    expected = {
        row.post_id: "ended" if row.grid_id in ended else "changed"
        for row in posts.itertuples()
        if row.grid_id in ended | {211, 1121}
    }
    assert {row["post"]: row["state"] for row in found["posts"]["items"]} == expected
    assert found["posts"]["ended"] == sum(state == "ended" for state in expected.values())
    waiting = room.frame(
        "SELECT i.issue_id, n.grid_id FROM issue AS i JOIN net_cell AS n USING (city_id, cell_id)"
        " WHERE i.city_id = :city AND i.closed_at IS NULL AND i.state <> 'void'"
        " AND i.set_aside IS NULL"
    )
    assert found["open_issues"] == {
        "total": len(waiting), "moved": int(waiting["grid_id"].isin({212, 1122}).sum()),
    }  # fmt: skip
    with room.at_work(room.leader) as session, pytest.raises(PlanNotFoundError):
        comparing.impact(session, room.leader, room.plan)


def test_the_levels_above(room: Room) -> None:
    room.edit("move", cells=at((3, 3)), into=1122)
    found = room.compare("net:1", f"plan:{room.plan}", level=2)
    assert {row["old"] for row in found["crosswalk"]} == {11, 12, 21}
    assert found["cells_moved"] == 1
    assert [row["grid"] for row in found["grids"]] == [11, 12]
    with pytest.raises(InvalidInputError, match="levels"):
        room.compare("net:1", "net:1", level=5)


def test_a_new_name_is_told_though_nothing_moves(room: Room) -> None:
    room.edit("rename", grid=212, name="<script>alert(1)</script>")
    found = room.impact()
    assert found["cells_moved"] == 0
    assert [row["grid"] for row in found["grids"]] == [212]
    assert found["grids"][0]["new"]["name"] == "<script>alert(1)</script>"


def test_an_empty_plan(city: Room) -> None:
    empty = replace(city, plan=city.open(empty=True))
    found = empty.impact()
    assert found["units_new"] == 1
    assert found["verdicts"]["old"]["kept"] == 0
    assert found["polsby_popper_new"] is not None


@pytest.mark.parametrize(
    "wanted", ["net", "net:0", "plan:x", "live", "2026-13-01", "net:9999999999"]
)
def test_what_is_no_side(city: Room, wanted: str) -> None:
    with pytest.raises(InvalidInputError):
        city.compare(wanted, "net:1")


def test_what_is_not_there(city: Room) -> None:
    with pytest.raises(NetNotFoundError):
        city.compare("net:99", "net:1")
    with pytest.raises(PlanNotFoundError):
        city.compare("net:1", "plan:999999")


def test_the_dossier_of_a_plan_is_the_same_bytes_again(room: Room, tmp_path: Path) -> None:
    room.edit("move", cells=at((5, 1), (6, 1)), into=212)
    room.edit("merge", grids=[1111, 1112], into=1112)
    with room.at_work() as session:
        first = drafts.comments.add(session, room.planner, room.plan, "为什么？<b>", grid=212)
        drafts.comments.add(session, room.planner, room.plan, "因为", answers=first)
    made = []
    for _ in range(2):
        with room.at_work() as session:
            made.append(comparing.dossier(session, room.planner, room.plan))
    assert made[0] == made[1]
    facts = json.loads(made[0]["facts.json"])
    assert facts["impact"]["crosswalk"] == room.impact()["crosswalk"]
    assert set(facts["limits"]) == {"211", "212", "1111", "1112"}
    assert facts["limits"]["212"]["after"]["zh"] != facts["limits"]["212"]["before"]["zh"]
    assert facts["limits"]["1111"]["after"] is None
    page = made[0]["dossier.html"].decode()
    assert "为什么？&lt;b&gt;" in page
    assert page.index("为什么") < page.index("因为")
    file = tmp_path / "dossier.gpkg"
    file.write_bytes(made[0]["dossier.gpkg"])
    moved = gpd.read_file(file, layer="moved").set_index(["old", "new"]).to_crs(METRE_SRID)
    assert set(moved.index) == {(211, 212), (1111, 1112)}
    assert moved.area.sum() == pytest.approx(room.impact()["moved_area_m2"], rel=1e-6)
    room.edit("rename", grid=212, name="新名")
    with room.at_work() as session:
        again = comparing.dossier(session, room.planner, room.plan)
    assert again["manifest.json"] != made[0]["manifest.json"]
    with room.at_work(room.leader) as session, pytest.raises(PlanNotFoundError):
        comparing.dossier(session, room.leader, room.plan)
