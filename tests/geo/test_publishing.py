"""Publications in the database: what is refused, what is handed over, who waits for whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from geo.db import Viewer, owner_transaction
from geo.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NetNotFoundError,
    PlanStateError,
    PostsUnsettledError,
    RebaseConflictError,
    RebaseNeededError,
    StaleEditError,
)
from geo.store import derived, drafts, founding, publishing
from geo.terms import Role
from tests.cities import METRE_SRID
from tests.conftest import MigratedDatabase
from tests.geo.publishing import Office, at

LONGEST_S = 60.0


@pytest.fixture
def office(fresh_city: MigratedDatabase) -> Iterator[Office]:
    """The tiny city of this test alone."""
    made = Office.of(fresh_city)
    yield made
    made.door.close()


def ask(office: Office, words: str, **known: Any) -> Any:
    """Return the rows of a statement."""
    with office.owner() as session:
        return session.execute(text(words), known).all()


def test_what_is_refused_on_the_way(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "rename", grid=211, name="改")
    with pytest.raises(PlanStateError):
        office.publish(plan, office.day(1))
    content = office.submit(plan)
    stranger = replace(office.second, user_id=office.planner.user_id)
    with pytest.raises(ForbiddenError), office.owner() as session:
        publishing.approve(session, stranger, plan, content)
    with office.at_work(office.second) as session:
        publishing.approve(session, office.second, plan, content)
    for wrong in (office.day(-1), date(2026, 1, 1), date(3001, 1, 1)):
        with pytest.raises(InvalidInputError) as told:
            office.publish(plan, wrong)
        assert told.value.data["earliest"] == office.today.isoformat()
    with pytest.raises(ForbiddenError), office.owner() as session:
        publishing.publish(session, office.planner, plan, office.day(1))
    # An edit makes the approval lapse, whoever makes it.
    assert office.edit(plan, "rename", viewer=office.second, grid=212, name="也改").n == 2
    assert office.card(plan)["state"] == "draft"
    with pytest.raises(PlanStateError), office.at_work(office.second) as session:
        publishing.approve(session, office.second, plan, content)
    with office.at_work() as session:
        publishing.withdraw(session, office.planner, plan)
    with pytest.raises(PlanStateError):
        office.edit(plan, "rename", grid=213, name="改")


def test_the_database_turns_no_state_for_who_has_no_right(office: Office) -> None:
    plan = office.open()
    content = bytes.fromhex(office.submit(plan))
    turn = text("SELECT turn_plan(CAST(:c AS smallint), :p, :who, :to, :content, :content, NULL)")
    known = {"c": office.city, "p": plan, "who": office.second.user_id, "content": content}
    outsider = Viewer(Role.LEADER, office.city, 999)
    for viewer, target in (
        (office.planner, "approved"), (outsider, "draft"), (office.second, "published"),
        (office.second, "withdrawn"),
    ):  # fmt: skip
        with pytest.raises(DBAPIError, match="may not make"), office.at_work(viewer) as session:
            session.execute(turn, {**known, "to": target})
    for words in (
        "UPDATE plan SET state = 'approved'", "INSERT INTO net VALUES (1, 9)",
        "UPDATE net_cell SET to_seq = 2", "UPDATE net SET cancelled_at = now()",
    ):  # fmt: skip
        with (
            pytest.raises(DBAPIError, match="permission denied"),
            office.at_work(office.second) as session,
        ):
            session.execute(text(words))


def test_a_plan_changed_behind_the_approval_is_not_published(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "rename", grid=211, name="改")
    office.approve(plan)
    with office.owner() as session:
        session.execute(text("UPDATE plan_grid SET name = 'x' WHERE grid_id = 212"))
    with pytest.raises(PlanStateError) as told:
        office.publish(plan, office.day(1))
    assert told.value.data["reason"] == "lapsed"
    assert ask(office, "SELECT count(*) FROM net")[0][0] == 1


def test_posts_of_a_grid_that_ends_need_a_successor_and_go_over_on_the_day(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "merge", grids=[211, 212], into=212)
    content = office.submit(plan)
    with pytest.raises(PostsUnsettledError) as told, office.at_work(office.second) as session:
        publishing.approve(session, office.second, plan, content)
    assert told.value.data["posts"] == [7]
    with office.at_work() as session:
        assert [(one["post"], one["proposed"]) for one in publishing.posts(
            session, office.planner, plan)] == [(7, 212)]  # fmt: skip
        for wrong in ({1: 212}, {7: 211}, {7: 999}):
            with pytest.raises(InvalidInputError):
                publishing.settle_posts(session, office.planner, plan, wrong)
        publishing.settle_posts(session, office.planner, plan, {7: 212})
    assert office.card(plan)["state"] == "draft", "where posts go is part of what is approved"
    office.approve(plan)
    owners = "SELECT issue_id, owner_grid, state FROM issue ORDER BY 1"
    before = {row[0]: (row[1], row[2]) for row in ask(office, owners)}
    done = office.publish(plan, office.today)
    assert (done.seq, done.ended) == (2, [211])
    assert office.run(211, 2) is None
    # Nothing was handed over yet; the worker does that, once.
    with office.owner() as session:
        begun = publishing.activate(session, office.city)
        assert [one.seq for one in begun] == [2]
        assert publishing.activate(session, office.city) == []
    posts = ask(office, "SELECT post_id, grid_id, valid_from, valid_to FROM post"
                " WHERE worker_id = 5 ORDER BY 1")  # fmt: skip
    assert [(row[1], row[3]) for row in posts] == [(211, office.today), (212, None)]
    assert posts[1][2] == office.today
    after = {row[0]: row[1] for row in ask(office, owners)}
    for issue, (owner, state) in before.items():
        still = owner != 211 or state in ("closed", "void")
        assert after[issue] == (owner if still else 212)
    moved = ask(office, "SELECT object_id FROM handover WHERE kind = 'issue' ORDER BY 1")
    assert (
        {row[0] for row in moved}
        == {issue for issue, (owner, _) in before.items() if after[issue] != owner}
        != set()
    )
    while True:
        with office.owner() as session:
            if not publishing.settle(session, office.city, batch=2):
                break
    assert ask(office, "SELECT settled_at IS NOT NULL FROM net WHERE seq = 2")[0][0]
    assert office.faults() == []


def test_a_vacant_post_ends_and_a_late_one_follows_the_ground(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "end", grid=211, into=212)
    with office.at_work() as session:
        publishing.settle_posts(session, office.planner, plan, {7: None})
    office.approve(plan)
    office.publish(plan, office.day(2))
    with owner_transaction(office.migrated.engine) as session:
        assert publishing.activate(session, office.city) == [], "its day has not come"
        session.execute(
            text("INSERT INTO post (city_id, post_id, worker_id, grid_id, role, valid_from)"
                 " VALUES (:c, 50, 1, 211, 'worker', '2026-02-01')"), {"c": office.city}
        )  # fmt: skip
        session.execute(text("UPDATE net SET effective_from = :day WHERE seq = 2"),
                        {"day": office.today})  # fmt: skip
    assert publishing.keep_up(office.migrated.engine)
    assert not publishing.keep_up(office.migrated.engine) or not publishing.keep_up(
        office.migrated.engine
    )
    found = dict(ask(office, "SELECT post_id, valid_to FROM post WHERE grid_id = 211"))
    assert found[7] == found[50] == office.today
    late = ask(office, "SELECT grid_id FROM post WHERE worker_id = 1 AND valid_from = :day",
               day=office.today)  # fmt: skip
    assert [row[0] for row in late] == [212]
    assert office.faults() == []


def test_a_border_has_the_very_vertices_of_its_cells_and_others_stay(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "move", cells=at((3, 2)), into=1112)
    office.approve(plan)
    done = office.publish(plan, office.day(1))
    assert {11, 12, 111, 121, 1112} == set(done.grids)
    own = ask(
        office, "SELECT ST_AsBinary(c.geom) FROM net_cell AS n JOIN cell AS c USING"
        " (city_id, cell_id) WHERE n.grid_id = 1112 AND n.to_seq > 2",
    )  # fmt: skip
    corners = {tuple(place) for row in own for place in
               shapely.get_coordinates(shapely.from_wkb(bytes(row[0]))).tolist()}  # fmt: skip
    border = shapely.from_wkb(bytes(office.run(1112, 2).boundary))
    assert {tuple(place) for place in shapely.get_coordinates(border).tolist()} <= corners
    assert office.run(212, 2).from_seq == 1
    assert office.faults() == []


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("move", {"cells": at((3, 2)), "into": 1112}),
        ("move", {"cells": at((5, 0), (5, 1)), "into": 212}),
        ("merge", {"grids": [211, 212], "into": 212}),
        ("rename", {"grid": 212, "name": "新名"}),
    ],
)
def test_what_is_kept_of_a_new_net_is_what_would_be_reckoned_anew(
    office: Office, op: str, args: dict[str, Any]
) -> None:
    plan = office.open()
    office.edit(plan, op, **args)
    with office.at_work() as session:
        proposed = {
            post["post"]: post["proposed"]
            for post in publishing.posts(session, office.planner, plan)
        }
        publishing.settle_posts(session, office.planner, plan, proposed)
    office.approve(plan)
    office.publish(plan, office.day(1))
    kept = ("net_count", "net_value", "net_limit", "net_compound")
    words = "SELECT x::text FROM {table} AS x WHERE seq = 2 ORDER BY x::text"
    followed = {table: ask(office, words.format(table=table)) for table in kept}
    assert all(followed.values())
    with office.owner() as session:
        derived.refresh_net(session, office.city, METRE_SRID, 2)
    assert {table: ask(office, words.format(table=table)) for table in kept} == followed


def test_a_grid_with_another_parent_gets_the_parents_digits(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "reparent", grid=213, parent=12)
    office.approve(plan)
    done = office.publish(plan, office.day(1))
    before, after = office.run(213, 1), office.run(213, 2)
    assert after.code.startswith(office.run(12, 2).code)
    assert not before.code.startswith(office.run(12, 2).code)
    assert done.codes == {213: after.code}
    assert after.boundary == before.boundary, "its ground is the same: the border is frozen"
    known = ask(office, "SELECT code FROM grid_code WHERE grid_id = 213 ORDER BY from_seq")
    assert [row[0] for row in known] == [before.code, after.code]
    assert office.faults() == []


def test_a_merge_that_tears_a_grid_is_decided_as_a_whole(office: Office) -> None:
    one, two = office.open("甲"), office.open("乙")
    office.edit(one, "move", cells=at((6, 1), (7, 1)), into=212)
    office.edit(two, "move", cells=at((5, 1), (5, 2)), into=121)
    office.edit(two, "move", cells=at((6, 2), (6, 3), (5, 3)), into=211)
    office.approve(one)
    office.publish(one, office.day(1))
    with pytest.raises(RebaseConflictError) as met:
        office.rebase(two)
    keys = {conflict["key"] for conflict in met.value.data["conflicts"]}
    assert any(key.startswith("whole:") for key in keys), keys
    assert all(conflict["place"] for conflict in met.value.data["conflicts"])
    office.rebase(two, {"*": "theirs"})
    with office.at_work() as session:
        assert drafts.check(session, office.planner, two)["ok"]
    with pytest.raises(ConflictError), office.at_work() as session:
        drafts.return_to(session, office.planner, two, 0, 3)
    with pytest.raises(ConflictError), office.at_work() as session:
        drafts.undo(session, office.planner, two)


def test_an_empty_plan_is_put_on_the_last_net_and_replaces_it(office: Office) -> None:
    plan = office.open(empty=True)
    with office.at_work() as session:
        every = drafts.state(session, office.planner, plan)["cell_id"].tolist()
    office.edit(plan, "draw", cells=every, name="全市")
    done = office.rebase(plan)
    assert done.cells == 40
    with office.at_work() as session:
        posts = [one["post"] for one in publishing.posts(session, office.planner, plan)]
        publishing.settle_posts(session, office.planner, plan, dict.fromkeys(posts))
    office.approve(plan)
    net = office.publish(plan, office.day(1))
    assert len(net.ended) == 15
    assert len(net.grids) == 1
    assert office.faults() == []


def test_an_erratum_stands_beside_the_net(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "rename", grid=212, name="二网格")
    office.approve(plan)
    office.publish(plan, office.day(1))
    before = office.run(211, 1)
    with office.at_work() as session:
        publishing.put_erratum(session, office.planner, 1, 211, "name", "望潮一网格", "错字")
        publishing.put_erratum(session, office.planner, 1, 212, "name", "望潮二网格", "错字")
    with pytest.raises(ForbiddenError), office.at_work(
        Viewer(Role.COMMUNITY, office.city, 1, (21,))
    ) as session:  # fmt: skip
        publishing.put_erratum(
            session, Viewer(Role.COMMUNITY, office.city, 1, (21,)), 1, 211, "name", "x", "y"
        )
    assert office.run(211, 1) == before
    with office.at_work(Viewer.public(office.city)) as session:
        told = {seq: [(one["grid"], one["correct"]) for one in publishing.errata(
            session, office.city, seq)] for seq in (1, 2)}  # fmt: skip
    assert told[1] == [(211, "望潮一网格"), (212, "望潮二网格")]
    assert told[2] == [(211, "望潮一网格")], "the run goes on into net 2; 212 has a new name there"
    with pytest.raises(NetNotFoundError), office.at_work() as session:
        publishing.errata(session, office.city, 3)


def test_a_demo_city_with_published_plans_can_be_dropped(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "rename", grid=212, name="二网格")
    office.approve(plan)
    office.publish(plan, office.day(1))
    with office.at_work(office.second) as session:
        founding.drop_demo(session, office.second, "tiny")
    assert ask(office, "SELECT count(*) FROM net")[0][0] == 0


# ---- two at once ---------------------------------------------------------------------------------


class Other(threading.Thread):
    """Somebody else's transaction."""

    def __init__(self, office: Office, who: Viewer | None, do: Callable[[Any], Any]) -> None:
        super().__init__(daemon=True)
        self._office, self._who, self._do = office, who, do
        self.pid = 0
        self.outcome: Any = None

    def run(self) -> None:
        """Do it; keep what it says."""
        door = self._office.owner() if self._who is None else self._office.at_work(self._who)
        try:
            with door as session:
                self.pid = int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
                self.outcome = self._do(session)
        except Exception as error:
            self.outcome = error

    def waits(self) -> bool:
        """Return whether it waits for another transaction; False once it is over."""
        until = time.monotonic() + LONGEST_S
        asked = text("SELECT count(*) > 0 FROM pg_locks WHERE pid = :pid AND NOT granted")
        with self._office.migrated.engine.connect() as connection:
            while self.is_alive() and time.monotonic() < until:
                if self.pid and connection.execute(asked, {"pid": self.pid}).scalar():
                    return True
                connection.rollback()
                time.sleep(0.02)
        return False


def test_an_edit_meets_a_publication(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "rename", grid=211, name="改")
    office.approve(plan)
    with office.at_work() as session:
        known = {one["grid"]: one["version"] for one in drafts.grids(session, office.planner, plan)}

    def edit(session: Any) -> Any:
        args = {"grid": 212, "name": "迟"}
        return drafts.apply(session, office.planner, plan, "rename", args, known)

    with office.owner() as session:
        publishing.publish(session, office.second, plan, office.day(1))
        other = Other(office, office.planner, edit)
        other.start()
        assert other.waits()
    other.join(LONGEST_S)
    assert isinstance(other.outcome, PlanStateError), other.outcome
    assert office.card(plan)["state"] == "published"
    assert office.run(212, 2).name != "迟"
    assert office.faults() == []


def test_a_publication_meets_an_edit(office: Office) -> None:
    plan = office.open()
    office.edit(plan, "rename", grid=211, name="改")
    office.approve(plan)
    day = office.day(1)
    with office.at_work() as session:
        known = {one["grid"]: one["version"] for one in drafts.grids(session, office.planner, plan)}
    with office.at_work() as session:
        args = {"grid": 212, "name": "先"}
        drafts.apply(session, office.planner, plan, "rename", args, known)
        other = Other(office, None, lambda session: publishing.publish(
            session, office.second, plan, day))  # fmt: skip
        other.start()
        assert other.waits()
    other.join(LONGEST_S)
    assert isinstance(other.outcome, PlanStateError), other.outcome
    assert office.card(plan)["state"] == "draft", "the approval lapsed with the edit"
    assert ask(office, "SELECT count(*) FROM net")[0][0] == 1


def test_two_publications_meet(office: Office) -> None:
    one, two = office.open("甲"), office.open("乙")
    for plan, grid in ((one, 211), (two, 212)):
        office.edit(plan, "rename", grid=grid, name="改")
        office.approve(plan)
    days = office.day(1), office.day(2)
    with office.owner() as session:
        publishing.publish(session, office.second, one, days[0])
        other = Other(office, None, lambda session: publishing.publish(
            session, office.second, two, days[1]))  # fmt: skip
        other.start()
        assert other.waits(), other.outcome
    other.join(LONGEST_S)
    assert isinstance(other.outcome, RebaseNeededError), other.outcome
    assert [row[0] for row in ask(office, "SELECT seq FROM net ORDER BY 1")] == [1, 2]
    assert office.faults() == []


@pytest.mark.parametrize("first", ["edit", "approve"])
def test_an_approval_meets_an_edit(office: Office, first: str) -> None:
    plan = office.open()
    office.edit(plan, "rename", grid=211, name="改")
    content = office.submit(plan)
    with office.at_work() as session:
        known = {one["grid"]: one["version"] for one in drafts.grids(session, office.planner, plan)}

    def edit(session: Any) -> Any:
        args = {"grid": 212, "name": "也改"}
        return drafts.apply(session, office.planner, plan, "rename", args, known)

    def approve(session: Any) -> Any:
        return publishing.approve(session, office.second, plan, content)

    sides = [(office.planner, edit), (office.second, approve)]
    if first == "approve":
        sides.reverse()
    with office.at_work(sides[0][0]) as session:
        sides[0][1](session)
        other = Other(office, *sides[1])
        other.start()
        assert other.waits()
    other.join(LONGEST_S)
    if first == "edit":
        assert isinstance(other.outcome, PlanStateError | StaleEditError), other.outcome
    else:
        assert other.outcome.n == 2, other.outcome
    assert office.card(plan)["state"] == "draft", "nothing unseen was ever approved"
    with pytest.raises(PlanStateError):
        office.publish(plan, office.day(1))
