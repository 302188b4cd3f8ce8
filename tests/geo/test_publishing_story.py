"""Two plans begun on one net, published one after the other: read it from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from geo.codes import NumberRange
from geo.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    PlanStateError,
    RebaseConflictError,
    RebaseNeededError,
    StaleEditError,
)
from geo.profiles import Profile, load_profile
from geo.store import drafts, publishing
from geo.store.drafts import checks
from geo.store.publishing import writing
from tests.conftest import MigratedDatabase
from tests.geo.publishing import Office, at


@pytest.fixture
def office(fresh_city: MigratedDatabase) -> Iterator[Office]:
    """The tiny city of this test alone."""
    made = Office.of(fresh_city)
    yield made
    made.door.close()


def test_two_plans_on_one_base_are_published_one_after_the_other(office: Office) -> None:
    # Two plans are opened on the same net, net 1.
    east, south = office.open("东片调整"), office.open("南片调整")
    assert [office.card(plan)["base_seq"] for plan in (east, south)] == [1, 1]

    # The first one gives two cells of grid 211 to grid 212, and renames 212.
    office.edit(east, "move", cells=at((5, 1), (6, 1)), into=212)
    office.edit(east, "rename", grid=212, name="望潮二网格")

    # The second one gives one of these cells to nobody else's but its own new grid, takes another
    # cell that the first plan leaves alone, and renames 212 as well.
    office.edit(south, "draw", cells=at((5, 0), (5, 1)), parent=21, name="新网格")
    office.edit(south, "rename", grid=212, name="海边网格")
    office.edit(south, "move", cells=at((3, 2)), into=1112)

    # The author cannot approve the own plan; the second person can, of what was looked at.
    content = office.submit(east)
    with pytest.raises(ForbiddenError), office.at_work() as session:
        publishing.approve(session, office.planner, east, content)
    with pytest.raises(StaleEditError), office.at_work(office.second) as session:
        publishing.approve(session, office.second, east, "0" * 64)
    with office.at_work(office.second) as session:
        publishing.approve(session, office.second, east, content)

    # The first plan is published for next week: net 2 is there, and not in force.
    first = office.publish(east, office.day(7))
    assert (first.seq, first.cells, first.ended) == (2, 2, [])
    assert office.leaf((5, 1), 1) == 211
    assert office.leaf((5, 1), 2) == 212
    assert office.run(212, 1).name != office.run(212, 2).name == "望潮二网格"
    assert office.run(1111, 2).from_seq == 1, "what did not change has no new run"
    assert office.faults() == []

    # The second plan would take the first one's changes back: it has to be rebased.
    office.approve(south)
    with pytest.raises(RebaseNeededError) as needed:
        office.publish(south, office.day(14))
    assert needed.value.data["last_seq"] == 2

    # Rebased, it meets two conflicts, each with its place; what one side alone changed has none.
    with pytest.raises(RebaseConflictError) as met:
        office.rebase(south)
    conflicts = {one["key"]: one for one in met.value.data["conflicts"]}
    own = next(key for key in conflicts if key.startswith("cells:"))
    assert set(conflicts) == {own, "grid:212:name"}
    assert conflicts[own]["cells"] == at((5, 1))
    assert conflicts[own]["place"]["type"] == "Polygon"
    assert conflicts["grid:212:name"]["mine"] == "海边网格"
    assert conflicts["grid:212:name"]["theirs"] == "望潮二网格"
    assert office.card(south)["state"] == "approved", "nothing was changed by asking"

    # They decide: the cell is theirs, the name is mine. The approval lapses.
    done = office.rebase(south, {own: "theirs", "grid:212:name": "mine"})
    assert (done.base_seq, done.cells) == (2, 2)
    card = office.card(south)
    assert (card["state"], card["base_seq"], card["approved"]) == ("draft", 2, None)
    with pytest.raises(PlanStateError):
        office.publish(south, office.day(14))

    # Approved once more it is published: both plans' changes stand in net 3.
    office.approve(south)
    second = office.publish(south, office.day(14))
    assert second.seq == 3
    new = next(iter(second.codes))
    assert office.run(new, 3).name == "新网格"
    assert office.run(new, 3).code == second.codes[new]
    assert office.leaf((6, 1), 3) == 212, "the first plan's cell, which the second never touched"
    assert office.leaf((5, 1), 3) == 212, "theirs, as was decided"
    assert office.leaf((5, 0), 3) == new
    assert office.leaf((3, 2), 3) == 1112
    assert office.run(212, 3).name == "海边网格"
    assert office.leaf((5, 0), 2) == 211, "past and other nets are never edited"
    assert office.faults() == []

    # The last scheduled net can be cancelled, the one before it cannot.
    with pytest.raises(ConflictError), office.at_work(office.second) as session:
        publishing.cancel(session, office.second, east)
    with office.at_work(office.second) as session:
        assert publishing.cancel(session, office.second, south) == 3
    assert office.card(south)["state"] == "draft"
    assert office.card(south)["last_seq"] == 2
    assert office.run(212, 3).name == "海边网格", "a cancelled net can still be read"
    assert office.faults() == []

    # Published again on another date it is net 4; its grids have the codes that they were given.
    office.edit(south, "rename", grid=211, name="望潮一网格")
    office.approve(south)
    third = office.publish(south, office.day(10))
    assert third.seq == 4
    assert office.run(new, 4).code == second.codes[new]
    assert office.leaf((5, 0), 4) == new
    assert office.faults() == []


def test_a_cancelled_net_is_left_behind(office: Office) -> None:
    plan = office.open("甲")
    office.edit(plan, "move", cells=at((5, 1)), into=212)
    office.approve(plan)
    office.publish(plan, office.day(7))
    with office.at_work(office.second) as session:
        assert publishing.cancel(session, office.second, plan) == 2
    other = office.open("乙")
    office.edit(other, "rename", grid=111, name="改")
    office.approve(other)
    done = office.publish(other, office.day(3))
    assert (done.seq, done.cells) == (3, 1)
    assert [office.leaf((5, 1), seq) for seq in (1, 2, 3)] == [211, 212, 211]
    assert office.run(211, 3).boundary == office.run(211, 1).boundary, "to the last bit"
    assert office.faults() == []
    with office.at_work() as session:
        assert drafts.show(session, office.planner, plan)["state"] == "draft"


def with_villages(name: str) -> Profile:
    """Return a profile whose communities have numbers for villages as well."""
    profile = load_profile(name)
    ranges = (NumberRange("default", 1, 199), NumberRange("villagers", 200, 399))
    return replace(profile, schemes=tuple(
        replace(scheme, segments=tuple(
            replace(one, ranges=ranges) if one.source == "community" else one
            for one in scheme.segments
        ))
        for scheme in profile.schemes
    ))  # fmt: skip


def test_a_code_of_a_cancelled_net_is_left_behind_as_well(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = office.open("甲")
    with pytest.raises(InvalidInputError) as told:
        office.edit(plan, "recode", grid=11, code_range="villagers")
    assert told.value.data["ranges"] == ["default"]
    for module in (checks, writing):
        monkeypatch.setattr(module, "load_profile", with_villages)
    office.edit(plan, "recode", grid=11, code_range="villagers")
    office.approve(plan)
    office.publish(plan, office.day(7))
    with office.at_work(office.second) as session:
        publishing.cancel(session, office.second, plan)
    other = office.open("乙")
    office.edit(other, "rename", grid=213, name="改")
    office.approve(other)
    office.publish(other, office.day(3))
    first, cancelled, last = (office.run(11, seq).code for seq in (1, 2, 3))
    assert cancelled != first
    assert last == first
    assert [office.run(111, seq).code for seq in (1, 3)] == [office.run(111, 1).code] * 2
    assert office.faults() == []


def test_once_the_last_net_is_cancelled_the_one_before_is_the_last(office: Office) -> None:
    one, two = office.open("甲"), office.open("乙")
    office.edit(one, "move", cells=at((5, 1)), into=212)
    office.approve(one)
    office.publish(one, office.day(7))
    office.rebase(two)
    office.edit(two, "rename", grid=213, name="改")
    office.approve(two)
    office.publish(two, office.day(9))
    with pytest.raises(ConflictError), office.at_work(office.second) as session:
        publishing.cancel(session, office.second, one)
    for plan, seq in ((two, 3), (one, 2)):
        with office.at_work(office.second) as session:
            assert publishing.cancel(session, office.second, plan) == seq
    # The plan that stood on a cancelled net is put on the one in force, without its cells.
    assert office.rebase(two).base_seq == 1
    office.approve(two)
    assert office.publish(two, office.day(2)).seq == 4
    assert [office.leaf((5, 1), seq) for seq in (1, 2, 3, 4)] == [211, 212, 212, 211]
    assert office.run(213, 4).name == "改"
    assert office.faults() == []
