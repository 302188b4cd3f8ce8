"""Drafts of the next net: each edit in the database, undone and read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Database, Viewer
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


@pytest.fixture
def room(fresh_city: MigratedDatabase) -> Iterator[Room]:
    """A plan of the tiny city's net, opened by its planner."""
    door = fresh_city.application()
    with fresh_city.engine.connect() as connection:
        city = int(connection.scalar(select(City.city_id)) or 0)
        users = {
            row[0]: row[1]
            for row in connection.execute(select(UserAccount.role, UserAccount.user_id))
        }
    made = Room(
        fresh_city,
        door,
        city,
        Viewer(Role.PLANNER, city, users["planner"]),
        Viewer(Role.ADMINISTRATOR, city, users["administrator"]),
    )
    made.plan = made.open()
    yield made
    door.close()


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
