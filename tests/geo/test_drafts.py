"""Drafts of the next net: each edit in the database, undone and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Database, Viewer
from geo.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    PlanNotFoundError,
    PlanRuleError,
    PlanStateError,
    StaleEditError,
    VersionMissingError,
)
from geo.store import drafts, nets
from geo.tables import City, UserAccount
from geo.terms import Role
from tests.cities import cell_at
from tests.conftest import MigratedDatabase


@dataclass
class Room:
    """The tiny city, its planner and administrator, and a plan of the planner's."""

    migrated: MigratedDatabase
    door: Database
    city: int
    planner: Viewer
    administrator: Viewer
    plan: int = 0

    @contextmanager
    def at_work(self, viewer: Viewer | None = None) -> Iterator[Session]:
        """One transaction of a member."""
        with self.door.transaction(viewer or self.planner) as session:
            yield session

    def open(self, **how: Any) -> int:
        """Open a plan."""
        with self.at_work() as session:
            return drafts.open_plan(
                session, self.planner, nets.moment(session, self.city), "方案甲", **how
            )

    def versions(self) -> dict[int, int]:
        """Return the versions of all grids."""
        with self.at_work() as session:
            found = drafts.grids(session, self.planner, self.plan)
        return {one["grid"]: one["version"] for one in found}

    def edit(self, op: str, viewer: Viewer | None = None, **args: Any) -> drafts.Applied:
        """Redraw the plan on the versions of now."""
        known = self.versions()
        with self.at_work(viewer) as session:
            return drafts.apply(session, viewer or self.planner, self.plan, op, args, known)

    def undo(self, viewer: Viewer | None = None) -> drafts.Applied:
        """Take the own last edit back."""
        with self.at_work(viewer) as session:
            return drafts.undo(session, viewer or self.planner, self.plan)

    def state(self) -> tuple[dict[int, int], dict[int, tuple[Any, ...]]]:
        """Return cells with their leaves and the facts of the live grids."""
        with self.at_work() as session:
            cells = drafts.state(session, self.planner, self.plan)
            rows = session.execute(
                text(
                    "SELECT grid_id, level, parent_id, name, kind, parts, parts_reason"
                    " FROM plan_grid WHERE plan_id = :plan AND NOT ended"
                ),
                {"plan": self.plan},
            ).all()
        owners = dict(zip(cells["cell_id"].tolist(), cells["grid_id"].tolist(), strict=True))
        return owners, {row[0]: tuple(row[1:]) for row in rows}


@pytest.fixture(scope="module")
def city(city_template: str, new_database: Callable[[str], MigratedDatabase]) -> Iterator[Room]:
    """The tiny city with its accounts, for all tests here: plans do not see each other."""
    migrated = new_database(city_template)
    door = migrated.application()
    with migrated.engine.connect() as connection:
        number = int(connection.scalar(select(City.city_id)) or 0)
        users = {
            row[0]: row[1]
            for row in connection.execute(select(UserAccount.role, UserAccount.user_id))
        }
    yield Room(
        migrated,
        door,
        number,
        Viewer(Role.PLANNER, number, users["planner"]),
        Viewer(Role.ADMINISTRATOR, number, users["administrator"]),
    )
    door.close()


@pytest.fixture
def room(city: Room) -> Room:
    """A plan of the tiny city's net, opened by its planner."""
    return replace(city, plan=city.open())


def at(*places: tuple[int, int]) -> list[int]:
    """Return the cells at places of the lattice."""
    return [cell_at(*place) for place in places]


def test_cells_move_are_read_back_and_undone(room: Room) -> None:
    before = room.state()
    done = room.edit("move", cells=at((5, 1), (6, 1)), into=212)
    assert (done.n, done.cells, done.new) == (1, 2, [])
    assert done.touched == {211: 1, 212: 1}
    owners, facts = room.state()
    assert [owners[cell] for cell in at((5, 1), (6, 1), (7, 1))] == [212, 212, 211]
    assert facts == before[1]
    with room.at_work() as session:
        assert drafts.cells(session, room.planner, room.plan) == {212: at((5, 1), (6, 1))}
    back = room.undo()
    assert (back.n, back.touched) == (2, {211: 2, 212: 2})
    assert room.state() == before
    with room.at_work() as session:
        assert drafts.cells(session, room.planner, room.plan) == {}


def test_each_edit_does_what_its_name_says_and_is_undone(room: Room) -> None:
    before = room.state()
    edits: list[tuple[str, dict[str, Any]]] = [
        ("merge", {"grids": [211, 212], "into": 211}),
        ("split", {"grid": 121, "parts": [at((3, 0), (4, 0), (3, 1), (4, 1))], "names": ["新"]}),
        ("draw", {"cells": at((5, 0), (6, 0)), "parent": 21, "name": "新网格"}),
        ("reparent", {"grid": 112, "parent": 12}),
        ("rename", {"grid": 211, "name": "望潮一"}),
        ("set_kind", {"grid": 211, "kind": "dedicated"}),
        ("end", {"grid": 213, "into": 212}),
        ("end", {"grid": 213}),
        ("release", {"cells": at((5, 0))}),
        ("mark", {"grid": 211, "parts": 2, "reason": "飞地"}),
        ("merge", {"grids": [11, 12], "into": 11}),
        ("split", {"grid": 121, "below": True, "parts": [at((3, 0), (4, 0))]}),
    ]
    for op, args in edits:
        done = room.edit(op, **args)
        assert room.state() != before, op
        with room.at_work() as session:
            report = drafts.check(session, room.planner, room.plan)
        assert report["faults"] == [], (op, report)
        room.undo()
        assert room.state() == before, op
        assert done.touched, op


def test_what_cannot_be_done_is_said(room: Room) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("fly", {}),
        ("move", {"cells": [1]}),
        ("move", {"cells": [1, 1], "into": 211}),
        ("move", {"cells": [999], "into": 211}),
        ("move", {"cells": [1], "into": 21}),
        ("move", {"cells": [1], "into": 211, "speed": 3}),
        ("merge", {"grids": [211, 11], "into": 211}),
        ("merge", {"grids": [211], "into": 211}),
        ("split", {"grid": 211, "parts": [at((0, 0))]}),
        ("split", {"grid": 211, "parts": [at((5, 0))], "keep": 7}),
        ("draw", {"cells": [1], "parent": 121, "name": "x"}),
        ("draw", {"cells": [1], "parent": 11, "name": "\x00"}),
        ("reparent", {"grid": 211, "parent": 11 * 10 + 1}),
        ("set_kind", {"grid": 211, "kind": "reserve"}),
        ("end", {"grid": 21, "into": 211}),
        ("mark", {"grid": 211, "parts": 2}),
    ]
    for op, args in wrong:
        with pytest.raises(InvalidInputError):
            room.edit(op, **args)
    with pytest.raises(ConflictError, match="stands like this"):
        room.edit("rename", grid=211, name="第一网格")


def test_a_split_keeps_the_grid_for_the_part_with_most_households(room: Room) -> None:
    few = at((3, 0))
    done = room.edit("split", grid=121, parts=[few], names=["小块", "其余"])
    owners, facts = room.state()
    assert [owners[cell] for cell in few] == done.new
    assert owners[at((4, 2))[0]] == 121
    assert facts[done.new[0]][:3] == (3, 12, "小块")


def test_rules_are_refused_with_their_place(room: Room) -> None:
    before = room.state()
    with pytest.raises(PlanRuleError) as torn:
        room.edit("move", cells=at((3, 2), (4, 2)), into=211)
    fault = torn.value.data["faults"][0]
    assert (fault["rule"], fault["grid"]) == ("torn", 121)
    assert fault["place"]["type"] in ("Polygon", "MultiPolygon")
    with pytest.raises(PlanRuleError, match="Nothing would be left"):
        room.edit("move", cells=at((5, 4), (6, 4), (7, 4)), into=212)
    with pytest.raises(PlanRuleError, match="2 parts"):
        room.edit("move", cells=at((7, 1)), into=213)
    assert room.state() == before
    room.edit("mark", grid=213, parts=2, reason="飞地")
    room.edit("move", cells=at((7, 1)), into=213)
    with room.at_work() as session:
        report = drafts.check(session, room.planner, room.plan)
    assert report["exceptions"] == [{"grid": 213, "parts": 2, "allowed": 2}]


def test_a_community_is_not_torn_by_what_is_moved_across_its_border(room: Room) -> None:
    """Grid 121 alone is community 12: what crosses the border to it is looked at above, too."""
    with pytest.raises(PlanRuleError) as torn:
        room.edit("draw", cells=at((7, 0)), parent=12, name="飞地")
    assert {fault["grid"] for fault in torn.value.data["faults"]} & {12, 1}


def test_wishes_warn_and_refuse_when_the_plan_says_so(room: Room) -> None:
    rules = {"area_max_m2": 60_000.0, "keep_compounds": True}
    with room.at_work() as session:
        drafts.set_rules(session, room.planner, room.plan, rules=rules)
    done = room.edit("move", cells=at((5, 1)), into=212)
    assert {one["rule"] for one in done.warnings} == {"area_max"}
    done = room.edit("move", cells=at((3, 1)), into=1111)
    assert {one["rule"] for one in done.warnings} >= {"compound_divided"}
    room.undo()
    with room.at_work() as session:
        drafts.set_rules(
            session, room.planner, room.plan, rules={**rules, "refuse": ["compound_divided"]}
        )
    with pytest.raises(PlanRuleError, match="compound"):
        room.edit("move", cells=at((3, 1)), into=1111)
    for wrong in ({"speed": 1}, {"households_min": "x"}, {"refuse": ["torn"]}):
        with pytest.raises(InvalidInputError), room.at_work() as session:
            drafts.set_rules(session, room.planner, room.plan, rules=wrong)


def test_versions_are_asked_for_and_compared(room: Room) -> None:
    old = room.versions()
    room.edit("move", cells=at((5, 1)), into=212)
    with pytest.raises(StaleEditError) as stale, room.at_work() as session:
        drafts.apply(
            session, room.planner, room.plan, "move", {"cells": at((6, 1)), "into": 212}, old
        )
    assert stale.value.data["newer"]["211"]["version"] == 1
    with pytest.raises(VersionMissingError) as missing, room.at_work() as session:
        drafts.apply(
            session, room.planner, room.plan, "move", {"cells": at((6, 1)), "into": 212}, {211: 1}
        )
    assert missing.value.data["missing"]["212"]["version"] == 1


def test_returning_is_an_edit_and_is_undone(room: Room) -> None:
    states = [room.state()]
    for cell in at((5, 1), (6, 1)):
        room.edit("move", cells=[cell], into=212)
        states.append(room.state())
    room.edit("merge", grids=[211, 212], into=212)
    states.append(room.state())
    with room.at_work() as session:
        drafts.return_to(session, room.planner, room.plan, 1, 3)
    assert room.state() == states[1]
    room.undo()
    assert room.state() == states[3]
    with pytest.raises(VersionMissingError), room.at_work() as session:
        drafts.return_to(session, room.planner, room.plan, 0, None)
    with pytest.raises(StaleEditError), room.at_work() as session:
        drafts.return_to(session, room.planner, room.plan, 0, 3)
    with room.at_work() as session:
        drafts.return_to(session, room.planner, room.plan, 0, 5)
    assert room.state() == states[0]


def test_undo_stops_where_others_have_built(room: Room) -> None:
    with room.at_work() as session:
        user = room.administrator.user_id or 0
        drafts.set_members(session, room.planner, room.plan, {user: ["draw"]})
    room.edit("move", cells=at((5, 1)), into=212)
    room.edit("rename", viewer=room.administrator, grid=212, name="二")
    with pytest.raises(ConflictError, match="by edit 2"):
        room.undo()
    room.undo(room.administrator)
    room.undo()
    with pytest.raises(ConflictError, match="no edit of yours"):
        room.undo()


def test_an_empty_plan_is_drawn_from_the_reserve(room: Room) -> None:
    room.plan = room.open(empty=True)
    owners, facts = room.state()
    reserve = next(iter(facts))
    assert set(owners.values()) == {reserve}
    done = room.edit("draw", cells=sorted(owners)[:24], name="南")
    assert set(room.state()[0].values()) == {reserve, *done.new}
    below = room.edit("split", grid=done.new[0], parts=[sorted(owners)[:16]], below=True)
    owners, facts = room.state()
    assert facts[below.new[0]][:2] == (2, done.new[0])
    with room.at_work() as session:
        assert drafts.check(session, room.planner, room.plan)["ok"]
        assert drafts.cells(session, room.planner, room.plan)[below.new[0]] == sorted(owners)[:16]


def test_the_reserve_takes_what_is_given_back_twice(room: Room) -> None:
    first = room.edit("release", cells=at((5, 0)))
    second = room.edit("release", cells=at((6, 0)))
    assert (len(first.new), second.new) == (1, [])
    owners, _ = room.state()
    assert {owners[cell] for cell in at((5, 0), (6, 0))} == set(first.new)


def test_a_plan_begins_with_another(room: Room) -> None:
    room.edit("move", cells=at((5, 1)), into=212)
    there = room.state()
    room.plan = room.open(copy_of=room.plan)
    assert room.state() == there
    with room.at_work() as session:
        drafts.delete(session, room.planner, room.plan)
    with pytest.raises(PlanNotFoundError), room.at_work() as session:
        drafts.show(session, room.planner, room.plan)


def test_only_members_see_only_drawers_draw_and_drafts_alone_are_redrawn(room: Room) -> None:
    other = room.administrator
    with pytest.raises(PlanNotFoundError), room.at_work(other) as session:
        drafts.show(session, other, room.plan)
    with pytest.raises(PlanNotFoundError):
        room.edit("rename", viewer=other, grid=211, name="x")
    with room.at_work() as session:
        drafts.set_members(session, room.planner, room.plan, {other.user_id or 0: []})
    with room.at_work(other) as session:
        assert drafts.show(session, other, room.plan)["name"] == "方案甲"
        with pytest.raises(ForbiddenError):
            drafts.delete(session, other, room.plan)
    with pytest.raises(ForbiddenError):
        room.edit("rename", viewer=other, grid=211, name="x")
    with room.migrated.engine.begin() as connection:
        connection.execute(
            text("UPDATE plan SET state = 'withdrawn' WHERE plan_id = :plan"), {"plan": room.plan}
        )
    with pytest.raises(PlanStateError):
        room.edit("rename", grid=211, name="x")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE plan_grid SET name = 'x' WHERE plan_id = :plan",
        "DELETE FROM plan_cell WHERE plan_id = :plan",
        "UPDATE plan SET name = 'x' WHERE plan_id = :plan",
        "DELETE FROM plan WHERE plan_id = :plan",
    ],
)
def test_the_wall_in_the_database_stops_whom_the_service_forgot(room: Room, statement: str) -> None:
    room.edit("move", cells=at((5, 1)), into=212)
    with room.at_work(room.administrator) as session:
        found = session.execute(text(statement + " RETURNING 1"), {"plan": room.plan}).all()
    assert found == []


def test_a_grid_far_away_does_not_tear_its_new_parent(room: Room) -> None:
    before = room.state()
    with pytest.raises(PlanRuleError) as told:
        room.edit("reparent", grid=111, parent=21)
    faults = [(one["rule"], one["grid"]) for one in told.value.data["faults"]]
    assert faults == [("torn", 2), ("torn", 21)]
    assert room.state() == before
