"""Any sequence of edits and undos leaves a whole net: recomputed from geometry after each step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import shapely
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from geo.errors import ConflictError, InvalidInputError, PlanRuleError
from geo.store import drafts
from tests.cities import COLUMNS, ROWS
from tests.geo.test_drafts import Room, city

__all__ = ["city"]

CELLS = range(1, COLUMNS * ROWS + 1)
NEAR = (0, 1, COLUMNS, COLUMNS + 1, 2)


def blocks() -> st.SearchStrategy[list[int]]:
    """Return some cells that lie near each other."""

    def near(first: int) -> list[int]:
        return [first + step for step in NEAR if first + step in CELLS]

    return (
        st.sampled_from(CELLS)
        .map(near)
        .flatmap(
            lambda cells: st.lists(st.sampled_from(cells), min_size=1, max_size=4, unique=True)
        )
    )


class Redrawing(RuleBasedStateMachine):
    """One planner at one draft of the city."""

    city: ClassVar[Room]

    @initialize()
    def begin(self) -> None:
        """Open a plan."""
        self.room = replace(self.city, plan=self.city.open())
        self.kept: list[Any] = [self.room.state()]

    def redraw(self, op: str, **args: Any) -> None:
        """Try an edit; what is refused leaves everything as it was."""
        try:
            self.room.edit(op, **args)
        except (PlanRuleError, InvalidInputError, ConflictError):
            assert self.room.state() == self.kept[-1]
        else:
            self.kept.append(self.room.state())

    def owner(self, cell: int) -> int:
        """Return the leaf of a cell."""
        return int(self.kept[-1][0][cell])

    @rule(cells=blocks(), beside=st.sampled_from(CELLS))
    def move(self, cells: list[int], beside: int) -> None:
        self.redraw("move", cells=cells, into=self.owner(beside))

    @rule(cells=blocks())
    def move_to_a_neighbour(self, cells: list[int]) -> None:
        beside = [c + s for c in cells for s in (1, -1, COLUMNS, -COLUMNS) if c + s in CELLS]
        others = [self.owner(c) for c in beside if self.owner(c) != self.owner(cells[0])]
        if others:
            self.redraw("move", cells=cells, into=others[0])

    @rule(one=st.sampled_from(CELLS), two=st.sampled_from(CELLS))
    def merge(self, one: int, two: int) -> None:
        grids = sorted({self.owner(one), self.owner(two)})
        self.redraw("merge", grids=grids, into=grids[0])

    @rule(cells=blocks(), below=st.booleans())
    def split(self, cells: list[int], below: bool) -> None:
        grid = self.owner(cells[0])
        part = [cell for cell in cells if self.owner(cell) == grid]
        self.redraw("split", grid=grid, parts=[part], below=below)

    @rule(cells=blocks())
    def draw(self, cells: list[int]) -> None:
        parent = self.kept[-1][1][self.owner(cells[0])][1]
        self.redraw("draw", cells=cells, name="新", **({"parent": parent} if parent else {}))

    @rule(cells=blocks())
    def release(self, cells: list[int]) -> None:
        self.redraw("release", cells=cells)

    @rule(cell=st.sampled_from(CELLS), other=st.sampled_from(CELLS))
    def reparent(self, cell: int, other: int) -> None:
        facts = self.kept[-1][1]
        self.redraw("reparent", grid=self.owner(cell), parent=facts[self.owner(other)][1] or 1)

    @rule(cell=st.sampled_from(CELLS))
    def end(self, cell: int) -> None:
        self.redraw("end", grid=self.owner(cell))

    @rule()
    def undo(self) -> None:
        if len(self.kept) > 1:
            self.room.undo()
            self.kept.pop()
            assert self.room.state() == self.kept[-1]

    @invariant()
    def whole(self) -> None:
        with self.room.at_work() as session:
            report = drafts.check(session, self.room.planner, self.room.plan)
            assert report["faults"] == []
            owners = drafts.state(session, self.room.planner, self.room.plan)
            stored = session.execute(text("SELECT cell_id, ST_AsBinary(geom) FROM cell")).all()
        leaf = dict(zip(owners["cell_id"].tolist(), owners["grid_id"].tolist(), strict=True))
        assert sorted(leaf) == list(CELLS), "every cell lies in one grid"
        ground = {int(row[0]): shapely.from_wkb(bytes(row[1])) for row in stored}
        grids = [
            shapely.coverage_union_all([ground[cell] for cell in leaf if leaf[cell] == grid])
            for grid in sorted(set(leaf.values()))
        ]
        assert shapely.coverage_is_valid(grids)
        whole = shapely.coverage_union_all(list(ground.values()))
        assert shapely.coverage_union_all(grids).equals(whole)


def test_any_sequence_of_edits_leaves_a_whole_net(city: Room) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        type("Bound", (Redrawing,), {"city": city}),
        settings=settings(
            max_examples=3,
            stateful_step_count=8,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
