"""Drafts redrawn along lines: cells moved or cut, every plan follows, undone to the last vertex."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest
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
from pyproj import Transformer
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Viewer, owner_transaction
from geo.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    PlanNotFoundError,
    PlanRuleError,
)
from geo.store import cutting, drafts
from geo.tables import City, UserAccount
from geo.terms import Role
from tests.cities import CORNER, METRE_SRID, SIDE_M
from tests.conftest import MigratedDatabase
from tests.geo.test_drafts import Room, at
from tests.geo.test_drafts_together import Second

BACK = Transformer.from_crs(METRE_SRID, 4326, always_xy=True)


class Workshop(Room):
    """The room as the worker has it: transactions of the owner, for a cut changes every net."""

    @contextmanager
    def at_work(self, viewer: Viewer | None = None) -> Iterator[Session]:
        with owner_transaction(self.migrated.engine) as session:
            yield session


@pytest.fixture
def shop(fresh_city: MigratedDatabase) -> Iterator[Workshop]:
    """The tiny city for one test that cuts it, its planner, and a plan."""
    migrated = fresh_city
    with migrated.engine.connect() as connection:
        number = int(connection.scalar(select(City.city_id)) or 0)
        users = {
            row[0]: row[1]
            for row in connection.execute(select(UserAccount.role, UserAccount.user_id))
        }
    door = migrated.application()
    shop = Workshop(
        migrated,
        door,
        number,
        Viewer(Role.PLANNER, number, users["planner"]),
        Viewer(Role.ADMINISTRATOR, number, users["administrator"]),
    )
    yield replace(shop, plan=shop.open())
    door.close()


def line(*places: tuple[float, float]) -> dict[str, Any]:
    """Return a GeoJSON line through places of the lattice, in units of 100 m."""
    metres = [(CORNER[0] + x * SIDE_M, CORNER[1] + y * SIDE_M) for x, y in places]
    return {
        "type": "LineString",
        "coordinates": [list(BACK.transform(*place)) for place in metres],
    }


def whole(shop: Workshop) -> dict[str, Any]:
    with shop.at_work() as session:
        report = drafts.check(session, shop.planner, shop.plan)
    assert report["faults"] == []
    return report


def ground(shop: Workshop) -> dict[int, bytes]:
    """Return the standing cells as stored."""
    with shop.at_work() as session:
        rows = session.execute(
            text("SELECT cell_id, ST_AsBinary(geom) FROM cell WHERE retired_by_cut IS NULL")
        ).all()
    return {row[0]: bytes(row[1]) for row in rows}


def test_a_grid_is_split_along_the_borders_of_cells_near_a_line(shop: Workshop) -> None:
    before = shop.state()
    done = shop.edit("split_by_line", grid=121, line=line((2.5, 2.2), (4, 1.8), (5.5, 2.3)))
    owners, facts = shop.state()
    assert (done.cut, len(done.new)) == (0, 1)
    south = {owners[cell] for cell in at((3, 0), (4, 0), (3, 1), (4, 1))}
    north = {owners[cell] for cell in at((3, 2), (4, 2), (3, 3), (4, 4))}
    assert south | north == {121, *done.new}
    assert len(south) == len(north) == 1
    assert facts[done.new[0]][1] == 12
    whole(shop)
    shop.undo()
    assert shop.state() == before


def test_a_grid_is_cut_exactly_and_undone_to_the_last_vertex(shop: Workshop) -> None:
    before, stood = shop.state(), ground(shop)
    way = line((2.5, 2.37), (4.13, 1.81), (4.6, 2.42), (5.5, 2.3))
    done = shop.edit("split_by_line", grid=121, line=way, exact=True)
    assert done.cut == 1
    now = ground(shop)
    assert len(now) == len(stood) + 4, "four cells in two pieces each"
    report = whole(shop)
    assert report["cells"] == len(now)
    with shop.at_work() as session:
        assert session.scalar(text("SELECT count(*) FROM cell_lineage")) == 8
    back = shop.undo()
    assert back.cut == 1
    assert shop.state() == before
    assert sorted(ground(shop)) == sorted(stood)
    for cell, shape in ground(shop).items():
        one, two = shapely.from_wkb(shape), shapely.from_wkb(stood[cell])
        assert {tuple(p) for p in shapely.get_coordinates(two)} <= {
            tuple(p) for p in shapely.get_coordinates(one)
        }
    whole(shop)


def test_a_border_is_dragged_by_cells_and_exactly(shop: Workshop) -> None:
    before = shop.state()
    way = line((5, 1.2), (6.4, 1.3), (6.5, 2.8), (8, 2.9))
    done = shop.edit("drag", grids=[212, 211], line=way)
    owners, _ = shop.state()
    assert done.touched == {211: 1, 212: 1}
    assert [owners[cell] for cell in at((5, 1), (6, 2), (7, 2), (5, 2), (7, 3))] == [
        212, 212, 211, 212, 212,
    ]  # fmt: skip
    whole(shop)
    shop.undo()
    assert shop.state() == before
    done = shop.edit("drag", grids=[211, 212], line=way, exact=True)
    with shop.at_work() as session:
        shapes = drafts.outlines(session, shop.planner, shop.plan, [211, 212])
    forth = Transformer.from_crs(4326, METRE_SRID, always_xy=True)
    dragged = shapely.transform(
        shapely.geometry.shape(shapes[211]), forth.transform, interleaved=False
    )
    wished = 100 * 100 * (1.4 * 1.25 + 0.1 * (1.3 + 2.8) / 2 + 1.5 * 2.85)
    assert dragged.area == pytest.approx(wished, abs=5.0), "GeoJSON has seven digits"
    assert done.cut == 1
    whole(shop)


def test_only_who_may_cut_cuts(shop: Workshop) -> None:
    other = shop.administrator.user_id or 0
    with shop.at_work() as session:
        drafts.set_members(session, shop.planner, shop.plan, {other: ["draw"]})
    way = line((2.5, 2.37), (5.5, 2.3))
    stood = ground(shop)
    with pytest.raises(ForbiddenError, match="right to cut"):
        shop.edit("split_by_line", shop.administrator, grid=121, line=way, exact=True)
    shop.edit("split_by_line", shop.administrator, grid=121, line=way)
    assert ground(shop) == stood


UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"line": None}, "LineString"),
    ({"line": {"type": "LineString", "coordinates": [[1, 2]]}}, "LineString"),
    ({"line": {"type": "LineString", "coordinates": [[1, 2], [1, 2]]}}, "LineString"),
    ({"line": {"type": "LineString", "coordinates": [[1, 2], [999, 2]]}}, "LineString"),
    ({"line": {"type": "LineString", "coordinates": [[1, float("nan")], [2, 2]]}}, "LineStr"),
    ({"line": line((0, 0), (2, 1))}, "does not part"),
    ({"line": line((0, 0), (2, 1)), "exact": True}, "does not part"),
    ({"line": line((2.5, 2.37), (4.5, 2.3))}, "ends inside the ground, 50 m"),
    ({"line": line((2.5, 2.9), (4, 2.3), (4, 2.9), (2.9, 2.3))}, "crosses itself"),
    ({"line": line((2.99, 2.37), (3.01, 2.38), (3.012, 2.42), (2.99, 2.42))}, "No border"),
    ({"line": line((2.9, 1.99), (3.1, 2.5), (2.9, 2.51)), "exact": 1}, "'exact' is"),
    ({"line": line((2.9, 2.4), (3.009, 2.5), (2.9, 2.6)), "exact": True}, "smaller|narrow"),
]


def test_a_line_that_cannot_be_used_is_refused(shop: Workshop) -> None:
    before, stood = shop.state(), ground(shop)
    for args, message in UNUSABLE:
        with pytest.raises(InvalidInputError, match=message):
            shop.edit("split_by_line", grid=121, **args)
    assert (shop.state(), ground(shop)) == (before, stood)


def test_a_cut_reaches_other_plans_and_stays_once_they_built_on_it(shop: Workshop) -> None:
    other = replace(shop, plan=shop.open())
    other.edit("move", cells=at((5, 1)), into=212)
    shop.edit("drag", grids=[211, 212], line=line((5, 1.4), (8, 1.5)), exact=True)
    pieces = sorted(set(ground(shop)) - set(range(1, 41)))
    owners, _ = other.state()
    assert sorted(cell for cell in pieces if owners[cell] == 212) == pieces[:2]
    assert whole(other)["cells"] == 43
    first = next(cell for cell in pieces if owners[cell] == 211)
    other.edit("move", cells=[first], into=212)
    back = shop.undo()
    assert back.cut == 0, "the pieces stay, the plan stands as before"
    assert set(shop.state()[0].values()) == set(other.state()[0].values())
    assert sorted(ground(shop))[-6:] == pieces
    assert {shop.state()[0][cell] for cell in pieces} == {211}
    for plan in (shop, other):
        whole(plan)


def test_a_cut_is_undone_after_others_moved_pieces_and_took_it_back(shop: Workshop) -> None:
    other = replace(shop, plan=shop.open())
    stood = ground(shop)
    shop.edit("drag", grids=[211, 212], line=line((5, 1.4), (8, 1.5)), exact=True)
    pieces = sorted(set(ground(shop)) - set(stood))
    other.edit("move", cells=pieces[:2], into=212)
    other.undo()
    assert shop.undo().cut == 1
    assert sorted(ground(shop)) == sorted(stood)
    again = shop.edit("drag", grids=[211, 212], line=line((5, 1.4), (8, 1.5)), exact=True)
    assert again.cut == 2
    assert min(set(ground(shop)) - set(stood)) > max(pieces), "no number is given twice"
    with pytest.raises(ConflictError):
        other.undo()


def test_a_plan_does_not_go_back_to_pieces_that_were_put_together_again(shop: Workshop) -> None:
    """Without its pieces it would not be what it was; where it needs none it goes back."""
    before = shop.state()
    shop.edit("drag", grids=[211, 212], line=line((5, 1.4), (8, 1.5)), exact=True)
    with_pieces = shop.state()
    shop.edit("move", cells=at((7, 4)), into=212)
    with shop.at_work() as session:
        drafts.return_to(session, shop.planner, shop.plan, 1, 2)
    assert shop.state() == with_pieces, "they stand: nothing is in the way"
    with shop.at_work() as session:
        drafts.return_to(session, shop.planner, shop.plan, 2, 3)
        drafts.return_to(session, shop.planner, shop.plan, 0, 4)
    assert set(shop.state()[0]) == set(with_pieces[0]), "going back puts nothing together"
    other = replace(shop, plan=shop.open())
    other.edit("drag", grids=[121, 211], line=line((5, -0.5), (5.4, 1), (5, 2.1)), exact=True)
    assert other.undo().cut == 2
    other.edit("rename", grid=213, name="改")
    stood = other.state()
    with pytest.raises(ConflictError) as told, other.at_work() as session:
        drafts.return_to(session, other.planner, other.plan, 1, 3)
    assert (told.value.data["reason"], told.value.data["by"]) == ("cut_undone", 1)
    assert other.state() == stood
    with other.at_work() as session:
        drafts.return_to(session, other.planner, other.plan, 2, 3)
    for plan in (shop, other):
        whole(plan)
    assert before[1] == shop.state()[1]


def test_the_worker_cuts_for_who_may_not_write_cells(shop: Workshop) -> None:
    door = shop.door
    way = line((5, 1.4), (8, 1.5))
    wish = ("drag", {"grids": [211, 212], "line": way, "exact": True}, {211: 0, 212: 0})
    stood = ground(shop)
    with door.transaction(shop.planner) as session:
        assert drafts.asking.for_worker(*wish[:2])
        task = drafts.asking.ask(session, shop.planner, shop.plan, *wish)
    with pytest.raises(ConflictError, match="by the worker"), door.transaction(shop.planner) as one:
        drafts.apply(one, shop.planner, shop.plan, *wish)
    with pytest.raises(PlanNotFoundError), door.transaction(shop.administrator) as session:
        drafts.asking.told(session, shop.administrator, shop.plan, task)
    assert drafts.asking.work(shop.migrated.engine)
    assert not drafts.asking.work(shop.migrated.engine)
    with door.transaction(shop.planner) as session:
        told = drafts.asking.told(session, shop.planner, shop.plan, task)
        assert (told["state"], told["answer"]["cut"]) == ("done", 1)
        again = drafts.asking.ask(session, shop.planner, shop.plan, *wish)
        assert drafts.undoes_a_cut(session, shop.planner, shop.plan) == 1
        with pytest.raises(ConflictError, match="by the worker"):
            drafts.undo(session, shop.planner, shop.plan)
        back = drafts.asking.ask(session, shop.planner, shop.plan, "undo", {}, {})
    while drafts.asking.work(shop.migrated.engine):
        pass
    with door.transaction(shop.planner) as session:
        stale = drafts.asking.told(session, shop.planner, shop.plan, again)
        assert (stale["state"], stale["error"]["code"]) == ("failed", "conflict"), (
            "it stands like this"
        )
        assert drafts.asking.told(session, shop.planner, shop.plan, back)["answer"]["cut"] == 1
    assert sorted(ground(shop)) == sorted(stood)


def test_a_grid_is_divided_into_even_parts(shop: Workshop) -> None:
    args = {"grid": 121, "n": 3, "names": ["甲", "乙", "丙"]}
    known = shop.versions()
    with shop.at_work() as session:
        assert drafts.asking.for_worker("divide", args)
        done = drafts.divide(session, shop.planner, shop.plan, args, known)
    assert (len(done.new), done.cut) == (2, 0)
    weights = dict.fromkeys((121, *done.new), 0.0)
    with shop.at_work() as session:
        for one in drafts.grids(session, shop.planner, shop.plan):
            weights |= {one["grid"]: one["households"]} if one["grid"] in weights else {}
    total = sum(weights.values())
    assert max(weights.values()) - min(weights.values()) < total / 4
    whole(shop)
    for wrong in ({"n": 1}, {"n": 2, "speed": 1}, {"n": 99}, {"n": 2, "seed": -1}, {"n": True}):
        with pytest.raises(InvalidInputError), shop.at_work() as session:
            drafts.divide(session, shop.planner, shop.plan, {"grid": 121, **wrong}, shop.versions())


def test_a_cut_waits_for_the_edit_of_another_plan_and_takes_it_along(shop: Workshop) -> None:
    other = replace(shop, plan=shop.open())
    known = other.versions()
    way = line((5, 1.4), (8, 1.5))
    with shop.door.transaction(shop.planner) as session:
        wish = ("move", {"cells": at((5, 1)), "into": 212})
        drafts.apply(session, shop.planner, other.plan, *wish, known)
        cutter = Second(shop, ("drag", {"grids": [211, 212], "line": way, "exact": True}), known)
        cutter.start()
        assert cutter.waits(shop)
    cutter.join(60)
    assert cutter.outcome.cut == 1
    pieces = sorted(set(ground(shop)) - set(range(1, 41)))
    assert [other.state()[0][cell] for cell in pieces].count(212) == 2, "both pieces were moved"
    for plan in (shop, other):
        whole(plan)


def test_an_edit_waits_for_the_cut_and_learns_that_its_cell_is_no_more(shop: Workshop) -> None:
    other = replace(shop, plan=shop.open())
    known = shop.versions()
    way = line((5, 1.4), (8, 1.5))
    with shop.at_work() as session:
        wish = {"grids": [211, 212], "line": way, "exact": True}
        drafts.apply(session, shop.planner, shop.plan, "drag", wish, known)
        editor = Second(other, ("move", {"cells": at((5, 1)), "into": 212}), known)
        editor.start()
        assert editor.waits(shop)
    editor.join(60)
    assert isinstance(editor.outcome, InvalidInputError), editor.outcome
    assert editor.outcome.data["cells"] == at((5, 1))
    whole(other)


def test_the_second_of_two_cuts_through_the_same_cells_finds_the_pieces(shop: Workshop) -> None:
    other = replace(shop, plan=shop.open())
    known = shop.versions()
    with shop.at_work() as session:
        wish = {"grids": [211, 212], "line": line((5, 1.4), (8, 1.5)), "exact": True}
        drafts.apply(session, shop.planner, shop.plan, "drag", wish, known)
        wish = {"grid": 211, "line": line((6.5, -0.1), (6.6, 2.1)), "exact": True}
        second = Second(other, ("split_by_line", wish), known)
        second.start()
        assert second.waits(shop)
    second.join(60)
    assert second.outcome.cut == 2
    assert len(ground(shop)) == 40 + 3 + 3, "a whole cell and two pieces of one were parted"
    for plan in (shop, other):
        whole(plan)
    with pytest.raises(ConflictError, match="cut"), shop.at_work() as session:
        cutting.uncut(session, shop.city, 1)


class Cutting(RuleBasedStateMachine):
    """One planner at one draft, cutting, moving and taking back; whole after each step."""

    shop: ClassVar[Workshop]

    @initialize()
    def begin(self) -> None:
        """Open a plan."""
        self.room = replace(self.shop, plan=self.shop.open())
        self.kept: list[Any] = []

    def redraw(self, op: str, **args: Any) -> None:
        """Try an edit; what is refused leaves everything as it was."""
        before = (self.room.state(), ground(self.room))
        try:
            self.room.edit(op, **args)
        except (PlanRuleError, InvalidInputError, ConflictError):
            assert (self.room.state(), ground(self.room)) == before
        else:
            self.kept.append(before[0])

    @rule(
        grid=st.sampled_from([121, 211, 212, 1111]),
        exact=st.booleans(),
        places=st.lists(
            st.tuples(st.floats(-0.5, 8.5), st.floats(-0.5, 5.5)), min_size=2, max_size=4
        ),
    )
    def split(self, grid: int, exact: bool, places: list[tuple[float, float]]) -> None:
        self.redraw("split_by_line", grid=grid, line=line(*sorted(places)), exact=exact)

    @rule(
        pair=st.sampled_from([(211, 212), (212, 213), (121, 211), (1111, 1112)]),
        exact=st.booleans(),
        south=st.floats(0.2, 4.5),
        bend=st.tuples(st.floats(0.5, 7.5), st.floats(0.2, 4.8)),
        north=st.floats(0.2, 4.5),
    )
    def drag(self, pair: Any, exact: bool, south: float, bend: Any, north: float) -> None:
        way = line((-1, south), bend, (9, north))
        self.redraw("drag", grids=list(pair), line=way, exact=exact)

    @rule(share=st.floats(0, 1), into=st.sampled_from([211, 212, 121, 1112]))
    def move(self, share: float, into: int) -> None:
        cells = sorted(self.room.state()[0])
        self.redraw("move", cells=[cells[int(share * (len(cells) - 1))]], into=into)

    @rule()
    def undo(self) -> None:
        if self.kept:
            self.room.undo()
            now, then = self.room.state(), self.kept.pop()
            assert now[1] == then[1]
            assert {cell: leaf for cell, leaf in now[0].items() if cell in then[0]} == then[0]

    @invariant()
    def holds(self) -> None:
        whole(self.room)


def test_any_sequence_of_cuts_edits_and_undos_leaves_a_whole_net(shop: Workshop) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        type("Bound", (Cutting,), {"shop": shop}),
        settings=settings(
            max_examples=2,
            stateful_step_count=6,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
