"""Issues from report to close in a real database, in the roles that the application takes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from geo import service
from geo.db import Database, Viewer, owner_transaction
from geo.errors import (
    ForbiddenError,
    InvalidInputError,
    IssueActError,
    NotFoundError,
    OutsideCityError,
    ReportTwiceError,
    StaleEditError,
    TooBusyError,
)
from geo.keeping import messages
from geo.keeping.checks import Installation, State
from geo.settings import Settings
from geo.store import cases, photos
from geo.store.cases import ActWish, Contact, DeskFilter, Report, handing, retaining, sending
from geo.store.holding import hold_cells
from geo.store.nets import Moment
from geo.tables import (
    Audit,
    Category,
    Issue,
    IssueContact,
    IssueEvent,
    IssueSecond,
    Outbox,
    RoutingRule,
    Tombstone,
    WorkingCalendar,
)
from geo.terms import IssueAct, IssueState, MessageKind, Role, SetAside
from tests.cities import point, tiny_dataset
from tests.conftest import MigratedDatabase

A, S = IssueAct, IssueState
DEPARTMENT = 5
OTHER = 3


@dataclass(frozen=True)
class City:
    """A tiny city, the application's door to it, and who acts there."""

    owner: MigratedDatabase
    door: Database
    city_id: int
    people: dict[str, Viewer]

    @contextmanager
    def as_(self, who: str) -> Iterator[tuple[Session, Viewer]]:
        viewer = self.people[who]
        with self.door.transaction(viewer) as session:
            yield session, viewer

    @contextmanager
    def owning(self) -> Iterator[Session]:
        with owner_transaction(self.owner.engine) as session:
            yield session

    def at(self, session: Session) -> Moment:
        return service.Asked(self.city_id).moment(session)

    def report(self, told: Report | None = None, who: str = "public") -> cases.Reported:
        with self.as_(who) as (session, viewer):
            return cases.report(session, viewer, self.at(session), told or self.rubbish())

    def rubbish(self, **more: Any) -> Report:
        lon, lat = self.place(0.5, 0.5)
        return replace(Report("E0101", lon, lat, words="袋装垃圾"), **more)

    def place(self, column: float, row: float) -> tuple[float, float]:
        from geo.store.loading import lonlat

        turned = lonlat(tiny_dataset().metre_srid)([point(column, row)])[0]
        return float(turned.x), float(turned.y)

    def act(self, who: str, issue: int, act: IssueAct, **wish: Any) -> cases.Acted:
        with self.as_(who) as (session, viewer):
            return cases.act(session, viewer, issue, act, ActWish(**wish))

    def row(self, issue: int) -> Any:
        with self.owning() as session:
            return session.execute(
                select(Issue.__table__).where(
                    Issue.city_id == self.city_id, Issue.issue_id == issue
                )
            ).one()

    def acts(self, issue: int) -> list[str]:
        with self.as_("administrator") as (session, viewer):
            return [line["act"] for line in cases.history(session, viewer, issue)]

    def to(self, state: IssueState, **more: Any) -> int:
        """Report an issue and bring it to a state on the straight way."""
        issue = self.report(self.rubbish(**more)).issue
        way = [
            (S.ACCEPTED, "community", A.ACCEPT),
            (S.VERIFIED, "worker", A.VERIFY),
            (S.REGISTERED, "community", A.REGISTER),
            (S.DISPATCHED, "community", A.DISPATCH),
            (S.HANDLED, "department", A.HANDLE),
            (S.CHECKED, "worker", A.CHECK),
            (S.CLOSED, "community", A.CLOSE),
        ]
        for reached, who, act in way:
            if state is S.REPORTED:
                break
            self.act(who, issue, act)
            if reached is state:
                break
        return issue


@pytest.fixture(scope="module")
def city(template: str, new_database: Any) -> Iterator[City]:
    """A city of its own whose rubbish belongs to a department."""
    migrated: MigratedDatabase = new_database(template)
    with owner_transaction(migrated.engine) as session:
        dataset = replace(tiny_dataset("one"))
        city_id = service.load_dataset(session, dataset)
        other = service.load_dataset(session, tiny_dataset("two"))
        session.execute(
            update(Category)
            .where(Category.city_id == city_id, Category.category == "E01")
            .values(lead_id=DEPARTMENT, shown="exact")
        )
        people = {"public": Viewer.public(city_id)}
        wishes: dict[str, tuple[Role, dict[str, Any]]] = {
            "worker": (Role.WORKER, {"grid_ids": [111], "worker_id": 1}),
            "neighbour": (Role.WORKER, {"grid_ids": [112], "worker_id": 2}),
            "community": (Role.COMMUNITY, {"grid_ids": [11]}),
            "elsewhere": (Role.COMMUNITY, {"grid_ids": [21]}),
            "subdistrict": (Role.COMMUNITY, {"grid_ids": [1]}),
            "department": (Role.DEPARTMENT, {"organisation_id": DEPARTMENT}),
            "helper": (Role.DEPARTMENT, {"organisation_id": OTHER}),
            "leader": (Role.LEADER, {}),
            "planner": (Role.PLANNER, {}),
            "administrator": (Role.ADMINISTRATOR, {}),
        }
        for name, (role, needs) in wishes.items():
            service.create_account(
                session, city_id, login=name, password="correct horse battery", role=role,
                display_name=name, **needs,
            )  # fmt: skip
            user = session.scalar(text("SELECT max(user_id) FROM user_account"))
            people[name] = Viewer(
                role, city_id, user, tuple(needs.get("grid_ids", ())),
                (needs["organisation_id"],) if "organisation_id" in needs else (),
            )  # fmt: skip
        people["stranger"] = Viewer(Role.ADMINISTRATOR, other, 999)
    door = migrated.application()
    yield City(migrated, door, city_id, people)
    door.close()


# ---- reports -------------------------------------------------------------------------------------


def test_a_report_comes_in_exactly_once(city: City) -> None:
    told = city.rubbish(client_id=str(uuid4()))
    first, again = city.report(told), city.report(told)
    assert first.created
    assert not again.created
    assert (first.issue, first.code, first.secret) == (again.issue, again.code, again.secret)
    with pytest.raises(ReportTwiceError):
        city.report(replace(told, words="something else"))
    assert city.acts(first.issue) == ["report"]
    row = city.row(first.issue)
    assert row.state == "reported"
    assert row.owner_grid == 1111 or row.area_3 == 111
    assert row.register_by is not None
    assert row.due_at == row.register_by
    assert first.secret.encode() not in bytes(row.secret_hash)
    assert bytes(row.client_key) != told.client_id.encode()


def test_reports_without_an_id_are_each_their_own(city: City) -> None:
    assert city.report().issue != city.report().issue


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"category": "X99"}, InvalidInputError),
        ({"client_id": "no uuid"}, InvalidInputError),
        ({"channel": "carrier pigeon"}, InvalidInputError),
        ({"channel": "hotline"}, ForbiddenError),
        ({"external": "12"}, ForbiddenError),
        ({"lon": 0.0, "lat": 0.0}, OutsideCityError),
        ({"lon": 999.0}, InvalidInputError),
        ({"words": "x" * 2001}, InvalidInputError),
        ({"words": "a\x00b"}, InvalidInputError),
    ],
)
def test_what_is_no_report(city: City, more: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        city.report(city.rubbish(**more))


def test_staff_enter_a_call_of_yesterday_under_its_number(city: City) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    told = city.rubbish(channel="hotline", external="12345-7", reported_at=yesterday)
    made = city.report(told, "community")
    assert city.row(made.issue).external == "12345-7"
    with pytest.raises(InvalidInputError):
        city.report(replace(told, external=None, reported_at=yesterday + timedelta(days=9)),
                    "community")  # fmt: skip


def test_a_stranger_reads_nothing_of_what_was_reported(city: City) -> None:
    made = city.report(city.rubbish(contact=Contact("李", "13800000000")))
    with city.as_("public") as (session, _):
        for table in (Issue, IssueEvent):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    for table in ("issue_contact", "outbox", "tombstone"):
        with pytest.raises(DBAPIError, match="permission denied"), city.as_("leader") as (s, _):
            s.execute(text(f"SELECT * FROM {table}"))
    with city.as_("community") as (session, viewer):
        assert cases.contact(session, viewer, made.issue)["phone"] == "13800000000"
    for who in ("department", "leader", "administrator", "worker"):
        with pytest.raises(ForbiddenError), city.as_(who) as (session, viewer):
            cases.contact(session, viewer, made.issue)
    with pytest.raises(NotFoundError), city.as_("elsewhere") as (session, viewer):
        cases.contact(session, viewer, made.issue)
    with city.owning() as session:
        read = session.scalars(
            select(Audit.object).where(Audit.action == "issue.contact_read")
        ).all()
        kept = " ".join(map(str, session.scalars(select(Audit.payload))))
    assert read == [f"issue/{made.issue}"]
    assert "13800000000" not in kept


# ---- the way of an issue -------------------------------------------------------------------------


def test_from_report_to_close_through_four_roles_and_once_again(city: City) -> None:
    made = city.report()
    for who, act in (
        ("community", A.ACCEPT), ("worker", A.VERIFY), ("community", A.REGISTER),
        ("community", A.DISPATCH), ("department", A.HANDLE), ("worker", A.CHECK),
        ("community", A.CLOSE),
    ):  # fmt: skip
        city.act(who, made.issue, act)
    with city.as_("public") as (session, _):
        assert cases.follow(session, made.code, made.secret)["state"] == "closed"
        assert cases.reopen(session, made.code, made.secret, "又脏了") == "accepted"
    assert city.acts(made.issue) == [
        "report", "accept", "verify", "register", "dispatch", "handle", "check", "close", "reopen",
    ]  # fmt: skip
    row = city.row(made.issue)
    assert (row.reopens, row.closed_at, row.dispatched_at) == (1, None, None)
    for act in (A.REGISTER, A.DISPATCH):
        city.act("community", made.issue, act)
    assert city.row(made.issue).deadline_at > row.reported_at


def test_acts_are_refused_as_the_table_says(city: City) -> None:
    issue = city.to(S.REGISTERED)
    for who, act, reason in (
        ("worker", A.DISPATCH, "who"), ("community", A.CLOSE, "state"),
        ("community", A.VOID, "why"), ("leader", A.DISPATCH, "who"),
    ):  # fmt: skip
        with pytest.raises(IssueActError) as refused:
            city.act(who, issue, act)
        assert refused.value.data["reason"] == reason
    for who in ("neighbour", "elsewhere", "department", "stranger"):
        with pytest.raises(NotFoundError):
            city.act(who, issue, A.NOTE, reason="hello")
    with pytest.raises(ForbiddenError):
        city.act("public", issue, A.NOTE, reason="hello")
    assert city.acts(issue)[-1] == "register"


def test_every_act_is_in_the_history_and_in_the_log(city: City) -> None:
    issue = city.to(S.CLOSED)
    with city.owning() as session:
        logged = session.scalars(
            select(Audit.action).where(Audit.object == f"issue/{issue}").order_by(Audit.n)
        ).all()
    assert [one.removeprefix("issue.") for one in logged] == city.acts(issue)
    with (
        pytest.raises(DBAPIError, match=r"append-only|permission denied"),
        city.owning() as session,
    ):
        session.execute(update(IssueEvent).values(reason="forged"))


def test_a_version_that_was_overtaken_is_refused(city: City) -> None:
    issue = city.to(S.ACCEPTED)
    seen = city.row(issue).version
    city.act("community", issue, A.VERIFY, version=seen)
    with pytest.raises(StaleEditError):
        city.act("community", issue, A.REGISTER, version=seen)


def test_the_deadline_is_frozen_and_returns_are_counted(city: City) -> None:
    issue = city.to(S.DISPATCHED)
    first = city.row(issue)
    assert first.deadline_at == first.due_at
    assert (first.limit_amount, first.limit_unit) == (4.0, "working_hours")
    city.act("department", issue, A.RETURN, reason="not ours")
    city.act("community", issue, A.DISPATCH, itself=True)
    again = city.row(issue)
    assert (again.deadline_at, again.dispatched_at) == (first.deadline_at, first.dispatched_at)
    assert (again.returns, again.organisation_id) == (1, None)
    city.act("community", issue, A.HANDLE)


def test_a_suspended_clock_stands_still(city: City) -> None:
    issue = city.to(S.DISPATCHED)
    before = city.row(issue)
    city.act("community", issue, A.SUSPEND, reason="rain")
    held = city.row(issue)
    assert held.remaining_s > 0
    assert held.due_at.year == 2999
    with city.owning() as session:  # three days later
        session.execute(
            update(Issue)
            .where(Issue.city_id == city.city_id, Issue.issue_id == issue)
            .values(deadline_at=before.deadline_at - timedelta(days=3))
        )
    city.act("community", issue, A.RESUME)
    after = city.row(issue)
    assert after.deadline_at >= before.deadline_at
    assert (after.suspended_at, after.remaining_s, after.state) == (None, None, "dispatched")


def test_once_postponed_then_on_account(city: City) -> None:
    issue = city.to(S.DISPATCHED)
    later = city.row(issue).deadline_at + timedelta(days=2)
    with pytest.raises(InvalidInputError):
        city.act("community", issue, A.POSTPONE, reason="x", deadline=later - timedelta(days=9))
    city.act("community", issue, A.POSTPONE, reason="parts are missing", deadline=later)
    assert city.row(issue).deadline_at == later
    with pytest.raises(InvalidInputError):
        city.act("community", issue, A.PARK, reason="no budget")
    day = (datetime.now(UTC) + timedelta(days=90)).date()
    city.act("community", issue, A.PARK, reason="no budget", until=day)
    row = city.row(issue)
    assert (row.state, row.review_on) == ("parked", day)
    city.act("community", issue, A.TAKE_UP)
    with pytest.raises(IssueActError):
        city.act("community", issue, A.POSTPONE, reason="x", deadline=later + timedelta(days=999))


def test_solved_on_the_spot_in_one_step(city: City) -> None:
    issue = city.report(who="worker").issue
    city.act("worker", issue, A.SOLVE, reason="picked up")
    row = city.row(issue)
    assert (row.state, row.on_the_spot) == ("closed", True)
    assert row.closed_at is not None
    assert city.acts(issue) == ["report", "solve_on_the_spot"]


def test_a_whistle_calls_several_departments_and_one_leads(city: City) -> None:
    issue = city.to(S.REGISTERED)
    with pytest.raises(InvalidInputError):
        city.act("community", issue, A.JOIN, organisation=DEPARTMENT)
    with pytest.raises(InvalidInputError):
        city.act("community", issue, A.JOIN, organisation=DEPARTMENT, assisting=(77,))
    city.act("community", issue, A.JOIN, organisation=DEPARTMENT, assisting=(OTHER,))
    with city.as_("helper") as (session, viewer):
        card = cases.show(session, viewer, city.at(session), issue)
    assert card["relations"] == ["assisting"]
    assert card["acts"] == ["note"]
    city.act("helper", issue, A.NOTE, reason="we bring the lorry")
    city.act("department", issue, A.HANDLE)


def test_escalation_climbs_the_net_and_ends_at_the_department(city: City) -> None:
    issue = city.report().issue
    city.act("worker", issue, A.ESCALATE, reason="too big")
    assert city.row(issue).desk_level == 2
    with pytest.raises(IssueActError):
        city.act("worker", issue, A.ESCALATE, reason="too big")
    city.act("community", issue, A.ESCALATE, reason="too big")
    with pytest.raises(IssueActError):
        city.act("community", issue, A.ACCEPT)
    city.act("subdistrict", issue, A.ESCALATE, reason="too big")
    row = city.row(issue)
    assert (row.desk_level, row.organisation_id, row.state) == (1, DEPARTMENT, "dispatched")
    assert row.deadline_at is not None
    with pytest.raises(IssueActError):
        city.act("subdistrict", issue, A.ESCALATE, reason="higher")


def test_supervision_has_an_owner_and_a_day(city: City) -> None:
    issue = city.to(S.DISPATCHED)
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    with pytest.raises(IssueActError):
        city.act("community", issue, A.SUPERVISE, reason="x", until=day)
    with pytest.raises(InvalidInputError):
        city.act("leader", issue, A.SUPERVISE, reason="x", until=day, owner=12345)
    city.act("leader", issue, A.SUPERVISE, reason="asked by many", until=day)
    row = city.row(issue)
    assert (row.supervisor_id, row.supervised_until) == (city.people["leader"].user_id, day)
    with city.as_("subdistrict") as (session, viewer):
        assert cases.desk_counts(session, viewer, city.at(session))["supervised"] >= 1
    city.act("leader", issue, A.RELEASE)
    assert city.row(issue).supervisor_id is None


def test_merge_and_split(city: City) -> None:
    kept, repeat = city.to(S.REGISTERED), city.to(S.ACCEPTED)
    with pytest.raises(InvalidInputError):
        city.act("community", repeat, A.MERGE, into=repeat)
    city.act("community", repeat, A.MERGE, into=kept)
    row = city.row(repeat)
    assert (row.duplicate_of, row.set_aside, row.state) == (kept, "duplicate", "void")
    assert city.acts(kept)[-1] == "merge"
    done = city.act(
        "community", kept, A.SPLIT,
        parts=({"category": "C0101", "words": "lamp"}, {"category": "E0101"}),
    )  # fmt: skip
    assert len(done.new) == 2
    first = city.row(done.new[0])
    assert (first.category, first.split_from, first.words) == ("C0101", kept, "lamp")
    assert first.area_3 == row.area_3


def test_set_aside_and_put_back(city: City) -> None:
    issue = city.to(S.ACCEPTED)
    city.act(
        "community", issue, A.SET_ASIDE, reason="default point", aside=SetAside.DEFAULT_GEOCODE
    )
    with city.as_("community") as (session, viewer):
        at = city.at(session)
        on_desk = cases.desk(session, viewer, at, DeskFilter(), limit=1000)
        by_number = cases.desk(session, viewer, at, DeskFilter(q=str(issue)))
    assert issue not in {one["issue"] for one in on_desk.items}
    assert [one["issue"] for one in by_number.items] == [issue]
    city.act("community", issue, A.PUT_BACK, reason="it is right")
    assert city.row(issue).set_aside is None


def test_many_at_once_each_by_itself(city: City) -> None:
    good, bad = city.to(S.REGISTERED), city.to(S.ACCEPTED)
    with city.as_("community") as (session, viewer):
        said = cases.bulk(session, viewer, [bad, good, 999_999], A.DISPATCH)
    assert {one["issue"]: one["ok"] for one in said} == {good: True, bad: False, 999_999: False}
    assert city.row(good).state == "dispatched"
    assert city.row(bad).state == "accepted"
    with pytest.raises(InvalidInputError), city.as_("community") as (session, viewer):
        cases.bulk(session, viewer, range(501), A.DISPATCH)


# ---- rules ---------------------------------------------------------------------------------------


def test_rules_are_ordered_and_explain_themselves(city: City) -> None:
    with city.owning() as session:
        for n, values in enumerate(
            (
                {"name": "nights", "category": "E01", "from_time": "22:00", "to_time": "06:00",
                 "organisation_id": OTHER},
                {"name": "weekends", "weekdays": [6, 7], "organisation_id": OTHER},
                {"name": "the east", "grid_id": 2, "desk_level": 1},
            )
        ):  # fmt: skip
            session.add(RoutingRule(city_id=city.city_id, n=n, **values))
        session.flush()
        at = city.at(session)
        monday = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # 23:00 in the city
        found = cases.explain(session, at, "E0101", (1, 11, 111), monday)
        assert (found.rule, found.organisation) == ("nights", OTHER)
        noon = monday.replace(hour=4)
        found = cases.explain(session, at, "E0101", (1, 11, 111), noon)
        assert found.organisation == DEPARTMENT
        assert [(step.name, step.holds) for step in found.steps] == [
            ("nights", False), ("weekends", False), ("the east", False),
            ("lead of the category", True),
        ]  # fmt: skip
        assert found.steps[2].why == "outside grid 2"
        found = cases.explain(session, at, "C0101", (2, 21, 211), noon)
        assert (found.rule, found.organisation, found.desk_level) == ("the east", None, 1)
        found = cases.explain(session, at, "C0101", (1, 11, 111), noon + timedelta(days=5))
        assert found.rule == "weekends"
        found = cases.explain(session, at, "C0101", (1, 11, 111), noon)
        assert (found.rule, found.organisation, found.desk_level) == ("territory", None, 3)
        session.rollback()


def test_the_citys_own_calendar_and_limits_come_first(city: City) -> None:
    with city.owning() as session:
        begins = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
        before = cases.rules_of(session, city.city_id).by("E0101", "handle", begins)
        session.add(
            WorkingCalendar(city_id=city.city_id, day=begins.date(), working=False, note="flood")
        )
        session.flush()
        after = cases.rules_of(session, city.city_id).by("E0101", "handle", begins)
        assert after is not None
        assert before is not None
        assert after.date() == before.date() + timedelta(days=1)
        session.rollback()


def test_lapse_of_time_warns_first_and_escalates_later(city: City) -> None:
    issue = city.to(S.DISPATCHED)
    now = datetime.now(UTC)

    def late(**values: Any) -> None:
        with city.owning() as session:
            session.execute(
                update(Issue)
                .where(Issue.city_id == city.city_id, Issue.issue_id == issue)
                .values(**values)
            )

    def lapse(*, dry_run: bool = False) -> dict[str, int]:
        with city.owning() as session:
            return cases.warn_and_escalate(session, city.city_id, now, dry_run=dry_run)

    late(deadline_at=now - timedelta(hours=1), due_at=now - timedelta(hours=1))
    assert lapse(dry_run=True)["warned"] == 1
    assert city.row(issue).warned_at is None
    assert lapse() == {"warned": 1, "escalated": 0}
    assert city.row(issue).warned_at is not None
    assert lapse() == {"warned": 0, "escalated": 0}
    late(warned_at=now - timedelta(days=15))
    assert lapse()["escalated"] == 1
    row = city.row(issue)
    assert (row.desk_level, row.state) == (2, "dispatched")
    assert city.acts(issue)[-2:] == ["warn", "escalate"]


# ---- desks, followers, hand-over -----------------------------------------------------------------


def test_desks_show_what_is_theirs_and_falls_due_first(city: City) -> None:
    city.to(S.DISPATCHED), city.to(S.HANDLED)
    for who in ("worker", "community", "subdistrict", "department", "leader", "administrator"):
        with city.as_(who) as (session, viewer):
            at = city.at(session)
            seen, after = [], None
            while True:
                page = cases.desk(session, viewer, at, DeskFilter(), limit=3, after=after)
                seen += [(one["due_at"], one["issue"]) for one in page.items]
                after = page.next
                if after is None:
                    break
            visible = service.visible(Issue, viewer)
            expected = session.execute(
                select(Issue.due_at, Issue.issue_id).where(
                    visible, Issue.state.not_in(["closed", "void"]), Issue.set_aside.is_(None)
                )
            ).all()
            assert seen == sorted(map(tuple, expected)), who
            counts = cases.desk_counts(session, viewer, at)
            assert counts["all"] == len(seen)
            for box, number in counts.items():
                if box == "stamp":
                    continue
                page = cases.desk(session, viewer, at, DeskFilter(box=box), limit=1000)
                assert len(page.items) == number, (who, box)
    with pytest.raises(ForbiddenError), city.as_("public") as (session, viewer):
        cases.desk(session, viewer, city.at(session), DeskFilter())
    with pytest.raises(InvalidInputError), city.as_("leader") as (session, viewer):
        cases.desk(session, viewer, city.at(session), DeskFilter(box="attic"))


def test_a_follower_knows_little_and_nobody_else_anything(city: City) -> None:
    made = city.report(city.rubbish(contact=Contact(phone="13900000000")))
    city.act("community", made.issue, A.NOTE, reason="call back later")
    with city.as_("public") as (session, _):
        told = cases.follow(session, made.code, made.secret)
        for code, secret in ((made.code, "wrong"), ("WRONG234", made.secret), ("", "")):
            with pytest.raises(NotFoundError):
                cases.follow(session, code, secret)
        with pytest.raises(IssueActError):
            cases.answer(session, made.code, made.secret, True)
    assert [line["act"] for line in told["events"]] == ["report"]
    assert "words" not in told
    with (
        pytest.raises(NotFoundError),
        city.door.transaction(Viewer.public(city.people["stranger"].city_id)) as session,
    ):
        cases.follow(session, made.code, made.secret)


def test_satisfied_or_not(city: City) -> None:
    made = city.report()
    city.act("community", made.issue, A.SOLVE)
    with city.as_("public") as (session, _):
        assert cases.follow(session, made.code, made.secret)["may"] == ["answer", "reopen"]
        assert cases.answer(session, made.code, made.secret, True) == "closed"
        with pytest.raises(IssueActError):
            cases.reopen(session, made.code, made.secret, " ")
    assert city.row(made.issue).satisfied is True


def test_near_ones_are_told_where_they_may_be(city: City) -> None:
    hidden, shown = city.report(), city.to(S.ACCEPTED)
    lamp = city.report(city.rubbish(category="C0101")).issue
    city.act("community", lamp, A.ACCEPT)
    with city.as_("public") as (session, _):
        lon, lat = city.place(0.5, 0.5)
        codes = {one["code"] for one in cases.near(session, lon, lat)}
        far = cases.near(session, *city.place(7.5, 4.5))
    assert city.row(shown).code in codes
    assert hidden.code not in codes, "not checked yet"
    assert city.row(lamp).code in codes, "of the profile"
    assert all(one["away_m"] <= 150 for one in far)


def test_issues_follow_a_published_net(city: City) -> None:
    issue = city.to(S.DISPATCHED, contact=Contact("王"))
    over = city.to(S.CLOSED)
    cell = city.row(issue).cell_id
    with city.owning() as session:
        point_ = session.begin_nested()
        session.execute(
            text("UPDATE net_cell SET grid_id = 112 WHERE city_id = :city AND cell_id = :cell"),
            {"city": city.city_id, "cell": cell},
        )
        before = handing.hand_over(session, city.city_id, 1)
        assert before["handed"] >= 1
        assert handing.hand_over(session, city.city_id, 1) == {"handed": 0, "moved": 0}
        row = session.execute(
            select(Issue.owner_grid, Issue.area_3).where(
                Issue.city_id == city.city_id, Issue.issue_id == issue
            )
        ).one()
        assert tuple(row) == (112, 112)
        contact = session.scalar(
            select(IssueContact.area_3).where(
                IssueContact.city_id == city.city_id, IssueContact.issue_id == issue
            )
        )
        assert contact == 112
        last = session.scalars(
            select(IssueEvent.act)
            .where(IssueEvent.city_id == city.city_id, IssueEvent.issue_id == issue)
            .order_by(IssueEvent.at.desc())
        ).first()
        assert last == "hand_over"
        assert handing.follow_closed(session, city.city_id, 1) >= 1
        assert handing.follow_closed(session, city.city_id, 1) == 0
        closed = session.scalar(
            select(Issue.owner_grid).where(Issue.city_id == city.city_id, Issue.issue_id == over)
        )
        assert closed == 112
        point_.rollback()


def test_issues_that_a_publication_moved_get_their_line_of_history(city: City) -> None:
    issue = city.to(S.ACCEPTED)
    with city.owning() as session:
        point_ = session.begin_nested()
        session.execute(
            text(
                "INSERT INTO handover (city_id, seq, kind, object_id, from_grid, to_grid, reason,"
                " applied_at) VALUES (:city, 1, 'issue', :issue, 1111, 1112, 'territory', now())"
            ),
            {"city": city.city_id, "issue": issue},
        )
        for _ in range(2):
            handing.hand_over(session, city.city_id, 1)
        acts = session.execute(
            select(IssueEvent.act, IssueEvent.reason).where(
                IssueEvent.city_id == city.city_id,
                IssueEvent.issue_id == issue,
                IssueEvent.act == "hand_over",
            )
        ).all()
        assert [tuple(one) for one in acts] == [("hand_over", "territory")]
        point_.rollback()


def test_the_workers_chores_do_all_that_is_due(city: City, tmp_path: Path) -> None:
    issue = city.to(S.DISPATCHED)
    past = datetime.now(UTC) - timedelta(hours=2)
    with city.owning() as session:
        session.execute(
            update(Issue)
            .where(Issue.city_id == city.city_id, Issue.issue_id == issue)
            .values(deadline_at=past, due_at=past)
        )
    done = cases.do_chores(city.owner.engine, tmp_path)
    assert done["warned"] >= 1
    assert done["sent"] >= 1
    assert city.acts(issue)[-1] == "warn"
    assert cases.do_chores(city.owner.engine, tmp_path)["warned"] == 0


# ---- messages and erasure ------------------------------------------------------------------------


def test_messages_leave_once_and_name_no_person(city: City, tmp_path: Path) -> None:
    issue = city.to(S.DISPATCHED, words="王小明 在 3 栋", contact=Contact("王小明", "13700000000"))
    with city.owning() as session:
        done = sending.send(session, tmp_path)
        assert done["sent"] > 0
        assert sending.send(session, tmp_path) == {"sent": 0, "failed": 0}
    lines = (tmp_path / "outbox.jsonl").read_text(encoding="utf-8")
    assert f'"issue": {issue}' in lines
    assert "13700000000" not in lines
    assert "王小明" not in lines


def test_a_way_that_fails_is_tried_again_and_given_up(city: City, tmp_path: Path) -> None:
    city.to(S.DISPATCHED)
    tried = []

    def broken(way: sending.Way, message: Any) -> None:
        tried.append(way.address)
        raise OSError("no line")

    way = {"*": sending.Way(MessageKind.WEBHOOK, "https://example.org")}
    with city.owning() as session:
        sending.send(session, tmp_path)
    city.to(S.DISPATCHED)
    with city.owning() as session:
        begun = datetime.now(UTC) + timedelta(minutes=1)
        for turn in range(sending.MOST_ATTEMPTS):
            now = begun + sending.PAUSES[turn]
            sending.send(session, tmp_path, way, {MessageKind.WEBHOOK: broken}, now)
            assert len(tried) == turn + 1
            sending.send(session, tmp_path, way, {MessageKind.WEBHOOK: broken}, now)
            assert len(tried) == turn + 1, "it is left alone for longer each time"
        assert session.scalar(select(func.count()).where(Outbox.state == "failed")) == 1
        assert sending.send(session, tmp_path, way, {}) == {"sent": 0, "failed": 0}
    look = partial(_looked_at, city, tmp_path)
    assert look()["messages"] is State.BAD
    closed = {"webhook_url": "http://127.0.0.1:9/", "webhook_secret": "of many, many letters"}
    assert look(**closed)["messages by webhook"] is State.BAD
    assert look(webhook_url="http://example.org/")["ways of messages"] is State.BAD
    with city.owning() as session:
        session.execute(delete(Outbox))
    assert look() == {"ways of messages": State.GOOD, "messages": State.GOOD}


def _looked_at(city: City, folder: Path, **said: Any) -> dict[str, State]:
    """Return what the doctor says of messages under some settings."""
    engine = city.owner.engine
    place = Installation(
        engine, "", 1, folder, None, folder, folder, settings=Settings.model_validate(said)
    )
    with city.owning() as session:
        return {check.name: check.state for check in messages.leaving(place, session)}


CANARY = "CANARY-4711"


def test_what_is_old_is_erased_everywhere_and_leaves_a_stone(city: City) -> None:
    issue = city.to(S.CLOSED, words=CANARY, address=CANARY, contact=Contact(CANARY, "1", None))
    city.act("community", issue, A.NOTE, reason=CANARY)
    later = datetime.now(UTC) + timedelta(days=4 * 365)
    with city.owning() as session:
        session.begin_nested()
        assert _everywhere(session) != []
        told = retaining.retain(session, city.city_id, later)
        assert told["contacts"] >= 1
        assert told["words"] >= 1
        assert _everywhere(session) != [], "a dry run changes nothing"
        assert retaining.retain(session, city.city_id, later, dry_run=False) == told
        assert _everywhere(session) == []
        stones = session.scalars(
            select(Tombstone.relation).where(Tombstone.object_id == issue)
        ).all()
        assert set(stones) == {"issue", "issue_contact"}
        assert retaining.retain(session, city.city_id, later) == dict.fromkeys(told, 0)
        session.rollback()
    with pytest.raises(InvalidInputError), city.owning() as session:
        retaining.retain(session, city.city_id, later, retaining.Keep(contact_days=366))


def test_one_is_erased_at_the_wish_of_its_reporter(city: City) -> None:
    issue = city.report(city.rubbish(words=CANARY, contact=Contact(CANARY))).issue
    with city.owning() as session:
        retaining.erase(session, city.city_id, issue)
    row = city.row(issue)
    assert (row.words, row.erased_at is None) == (None, False)
    with pytest.raises(NotFoundError), city.owning() as session:
        retaining.erase(session, city.city_id, 10**9)


def photo_of(city: City, issue: int, name: str, color: str, *, released: bool = False) -> str:
    """Add a photo; return the middle of its bytes as the database writes them in text."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(buffer, "PNG")
    with city.as_("community") as (session, viewer):
        photos.add_as_staff(session, viewer, issue, name, buffer.getvalue())
        last = photos.of_issue(session, viewer, issue)[-1]["photo"]
        if released:
            photos.release(session, viewer, issue, last, shown=True)
        return photos.pixels(session, viewer, issue, last)[-90:-10].hex()


def test_photos_go_with_the_contact_and_released_ones_with_the_words(city: City) -> None:
    issue = city.to(S.HANDLED, words=CANARY, contact=Contact(CANARY))
    private = photo_of(city, issue, "private", "navy")
    shown = photo_of(city, issue, "shown", "gold", released=True)
    with city.owning() as session:
        session.execute(insert(IssueSecond).values(city_id=city.city_id, issue_id=issue,
                                                   client_key=f"key {CANARY}"))  # fmt: skip
        later = datetime.now(UTC) + timedelta(days=4 * 365)
        retaining.retain(session, city.city_id, later, dry_run=False)
        assert _everywhere(session, private) == ["photo"], "what is open is kept"
    city.act("worker", issue, A.CHECK)
    city.act("community", issue, A.CLOSE)
    with city.owning() as session:
        soon = datetime.now(UTC) + timedelta(days=181)
        assert retaining.retain(session, city.city_id, soon, dry_run=False)["photos"] == 1
        assert _everywhere(session, private) == []
        assert _everywhere(session, shown) == ["photo"], "a released one stays as long as the words"
        assert "issue_second" in _everywhere(session)
        retaining.retain(session, city.city_id, later, dry_run=False)
        assert _everywhere(session, shown) == []
        assert _everywhere(session) == []
        stones = select(func.count()).where(Tombstone.relation == "photo")
        assert session.scalar(stones) == 2


def test_a_wish_erases_released_photos_as_well(city: City) -> None:
    own = f"own {CANARY} of this wish"
    issue = city.report(city.rubbish(words=own, contact=Contact(own))).issue
    shown = photo_of(city, issue, "shown", "olive", released=True)
    with city.owning() as session:
        assert _everywhere(session, shown) == ["photo"]
        assert "issue_contact" in _everywhere(session, own)
        done = retaining.erase(session, city.city_id, issue)
        assert (done["photos"], done["contacts"], done["words"]) == (1, 1, 1)
        assert _everywhere(session, shown) == []
        assert _everywhere(session, own) == []


def _everywhere(session: Session, canary: str = CANARY) -> list[str]:
    """Return the tables in which the canary sings; bytes are looked through as hexadecimals."""
    tables = session.scalars(
        text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace ="
             " 'public'::regnamespace AND relname <> 'spatial_ref_sys'")
    ).all()  # fmt: skip
    return [
        name
        for name in tables
        if session.scalar(
            text(f'SELECT count(*) FROM "{name}" AS t WHERE t::text LIKE :canary'),
            {"canary": f"%{canary}%"},
        )
    ]


def test_a_report_does_not_wait_for_cells_that_are_being_cut(city: City) -> None:
    with city.owning() as session:
        hold_cells(session, city.city_id, exclusive=True)
        with pytest.raises(TooBusyError) as caught:
            city.report(city.rubbish())
    assert caught.value.data["retry_after_s"] > 0
    assert city.report(city.rubbish()).created
