"""Publications are forced to meet cuts of cells and edits of other plans; the net stays whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from geo.errors import PlanStateError
from geo.store import drafts, publishing
from tests.conftest import MigratedDatabase
from tests.geo.publishing import Office, at
from tests.geo.test_drafts_cutting import line
from tests.geo.test_publishing import LONGEST_S, Other, ask

ALONG = {"grids": [211, 212], "line": line((5, 1.4), (8, 1.5)), "exact": True}
"""A border through the cells of row 1."""


@pytest.fixture
def office(fresh_city: MigratedDatabase) -> Iterator[Office]:
    """The tiny city of this test alone."""
    made = Office.of(fresh_city)
    yield made
    made.door.close()


def known(office: Office, plan: int) -> dict[int, int]:
    """Return the versions of a plan's grids."""
    with office.at_work() as session:
        return {one["grid"]: one["version"] for one in drafts.grids(session, office.planner, plan)}


def check(office: Office, plan: int) -> None:
    """Recompute a plan from its cells."""
    with office.at_work() as session:
        assert drafts.check(session, office.planner, plan)["faults"] == []


def runs(office: Office) -> list[Any]:
    """Return the published borders of all nets, to the last bit."""
    with office.owner() as session:
        found = text("SELECT grid_id, from_seq, ST_AsBinary(boundary) FROM net_grid ORDER BY 1, 2")
        return [(row[0], row[1], bytes(row[2])) for row in session.execute(found)]


def test_a_cut_waits_for_a_publication_and_cuts_the_new_net_too(office: Office) -> None:
    plan, other = office.open("甲"), office.open("乙")
    office.edit(plan, "move", cells=at((5, 1)), into=212)
    office.approve(plan)
    versions = known(office, other)

    def cut(session: Any) -> Any:
        return drafts.apply(session, office.planner, other, "drag", ALONG, versions)

    with office.owner() as session:
        publishing.publish(session, office.second, plan, office.day(1))
        cutter = Other(office, None, cut)
        cutter.start()
        assert cutter.waits()
    borders = runs(office)
    cutter.join(LONGEST_S)
    assert cutter.outcome.cut == 1, cutter.outcome
    with office.owner() as session:
        pieces = text(
            "SELECT n.grid_id, n.from_seq FROM cell_lineage AS l JOIN net_cell AS n"
            " ON n.cell_id = l.piece_id WHERE l.cell_id = :cell ORDER BY 2, 1"
        )
        found = session.execute(pieces, {"cell": at((5, 1))[0]}).all()
    assert [tuple(row) for row in found] == [(211, 1), (211, 1), (212, 2), (212, 2)]
    assert runs(office) == borders, "published borders are never rebuilt"
    assert office.faults() == []
    check(office, other)


@pytest.mark.parametrize("through", [True, False])
def test_a_publication_waits_for_a_cut(office: Office, through: bool) -> None:
    """Through cells of the plan itself the approval lapses; elsewhere the net has the pieces."""
    plan, other = office.open("甲"), office.open("乙")
    if through:
        office.edit(plan, "move", cells=at((5, 1)), into=212)
    else:
        office.edit(plan, "move", cells=at((3, 2)), into=1112)
    office.approve(plan)
    versions, day = known(office, other), office.day(1)
    with office.owner() as session:
        drafts.apply(session, office.planner, other, "drag", ALONG, versions)
        publisher = Other(office, None, lambda session: publishing.publish(
            session, office.second, plan, day))  # fmt: skip
        publisher.start()
        assert publisher.waits()
    publisher.join(LONGEST_S)
    if through:
        assert isinstance(publisher.outcome, PlanStateError), publisher.outcome
        assert publisher.outcome.data["reason"] == "lapsed"
        assert ask(office, "SELECT count(*) FROM net")[0][0] == 1
    else:
        assert publisher.outcome.seq == 2, publisher.outcome
        assert office.leaf((3, 2), 2) == 1112
    assert office.faults() == []
    for one in (plan, other):
        check(office, one)


def test_a_net_that_begins_waits_for_a_cut_and_hands_over_every_issue(office: Office) -> None:
    plan, other = office.open("甲"), office.open("乙")
    office.edit(plan, "end", grid=211, into=212)
    with office.at_work() as session:
        publishing.settle_posts(session, office.planner, plan, {7: 212})
    office.approve(plan)
    office.publish(plan, office.today)
    versions = known(office, other)
    with office.owner() as session:
        drafts.apply(session, office.planner, other, "drag", ALONG, versions)
        begins = Other(office, None, lambda session: publishing.activate(session, office.city))
        begins.start()
        assert begins.waits()
    begins.join(LONGEST_S)
    assert [one.seq for one in begins.outcome] == [2], begins.outcome
    open_ = "SELECT count(*) FROM issue WHERE state NOT IN ('closed', 'void') AND owner_grid = :g"
    assert ask(office, open_, g=211)[0][0] == 0
    in_pieces = " AND cell_id IN (SELECT piece_id FROM cell_lineage)"
    assert ask(office, open_ + in_pieces, g=212)[0][0] > 0
    assert office.faults() == []


@pytest.mark.parametrize("first", ["edit", "publish"])
def test_an_edit_of_another_plan_and_a_publication_both_stand(office: Office, first: str) -> None:
    plan, other = office.open("甲"), office.open("乙")
    office.edit(plan, "move", cells=at((5, 1)), into=212)
    office.approve(plan)
    versions, day = known(office, other), office.day(1)

    def edit(session: Any) -> Any:
        wish = {"cells": at((5, 1), (6, 1)), "into": 212}
        return drafts.apply(session, office.planner, other, "move", wish, versions)

    def publish(session: Any) -> Any:
        return publishing.publish(session, office.second, plan, day)

    doors = {"edit": (office.planner, edit), "publish": (None, publish)}
    second = doors.pop("publish" if first == "edit" else "edit")
    who, do = doors.pop(first)
    with office.owner() if who is None else office.at_work(who) as session:
        done = do(session)
        meets = Other(office, *second)
        meets.start()
        meets.waits()  # for the log alone, which is one chain
    meets.join(LONGEST_S)
    published, edited = (meets.outcome, done) if first == "edit" else (done, meets.outcome)
    assert (published.seq, edited.cells) == (2, 2)
    assert office.card(other)["base_seq"] == 1
    assert office.rebase(other).cells == 1, "one of the two cells went over with net 2"
    assert office.faults() == []
    check(office, other)


def test_posts_of_a_grid_that_a_later_net_ends_are_not_asked_for_again(office: Office) -> None:
    ending, other = office.open("甲"), office.open("乙")
    office.edit(ending, "merge", grids=[211, 212], into=212)
    with office.at_work() as session:
        publishing.settle_posts(session, office.planner, ending, {7: 212})
    office.approve(ending)
    office.publish(ending, office.day(7))
    office.edit(other, "rename", grid=213, name="改")
    office.rebase(other)
    with office.at_work() as session:
        assert publishing.posts(session, office.planner, other) == []
    assert office.card(other)["unsettled_posts"] == 0
    office.approve(other)
    assert office.publish(other, office.day(14)).seq == 3
    assert office.faults() == []
