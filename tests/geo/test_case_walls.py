"""Both walls around an issue, each alone: the policies of the database, the conditions above."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, IssueActError, NotFoundError
from geo.store import cases, photos, rights
from geo.store.cases import ActWish, Contact, DeskFilter, RateFilter, retaining
from geo.tables import Issue, Outbox
from geo.terms import IssueAct, IssueState, SetAside
from tests.geo.test_cases import DEPARTMENT, City, city, photo_of

__all__ = ["city"]

A, S = IssueAct, IssueState
SEES: Final = {
    "worker", "community", "subdistrict", "department", "leader", "planner", "administrator",
}  # fmt: skip
"""Who reads an issue of grid 111 that the department leads; not the neighbours, nobody else."""
OTHERS: Final = {"neighbour", "elsewhere", "helper", "public", "stranger"}
REFUSED: Final = ("row-level security", "permission denied")


@pytest.fixture(scope="module")
def full(city: City) -> int:
    """An issue with everything that hangs on one."""
    issue = city.to(S.DISPATCHED, contact=Contact("王", "13800000000"))
    photo_of(city, issue, "one", "navy")
    with city.owning() as session:
        session.execute(
            text("INSERT INTO issue_second (city_id, issue_id, client_key) VALUES (:c, :i, 'k')"),
            {"c": city.city_id, "i": issue},
        )
    return issue


def rows(session: Session, table: str, issue: int) -> int:
    """Count rows of an issue as the database alone shows them; a table without right has none."""
    try:
        with session.begin_nested():
            found = session.scalar(
                text(f"SELECT count(*) FROM {table} WHERE issue_id = :i"), {"i": issue}
            )
    except DBAPIError as error:
        assert "permission denied" in str(error)
        return 0
    return int(found or 0)


def test_everybody_is_asked(city: City) -> None:
    assert set(city.people) == SEES | OTHERS


# ---- the database alone --------------------------------------------------------------------------


@pytest.mark.parametrize("who", sorted(SEES | OTHERS))
def test_what_the_database_shows_of_an_issue(city: City, full: int, who: str) -> None:
    shown = who in SEES
    with city.as_(who) as (session, _):
        seen = {
            table: rows(session, table, full) > 0
            for table in ("issue", "issue_event", "photo", "issue_second", "issue_contact",
                          "outbox")
        }  # fmt: skip
        assert seen == {
            "issue": shown, "issue_event": shown, "photo": shown, "issue_second": shown,
            "issue_contact": who in ("community", "subdistrict"), "outbox": False,
        }  # fmt: skip
        for table in ("tombstone", "outbox"):
            with pytest.raises(DBAPIError, match="permission denied"), session.begin_nested():
                session.execute(text(f"SELECT 1 FROM {table}"))


WRITES: Final = {
    "UPDATE issue SET version = version WHERE issue_id = :i": SEES - {"planner"},
    "UPDATE photo SET covered_at = covered_at WHERE issue_id = :i": {
        "community",
        "subdistrict",
        "administrator",
    },
    (
        "INSERT INTO photo (city_id, issue_id, name, content, thumbnail, width, height, sha256,"
        " handed_sha256) VALUES (:c, :i, 'two', '', '', 1, 1, '', '')"
    ): SEES,
    "UPDATE category SET shown = shown WHERE city_id = :c": {"administrator"},
    "INSERT INTO routing_rule (city_id, n, name) VALUES (:c, 99, 'x')": {"administrator"},
    "INSERT INTO working_calendar (city_id, day, working, note) VALUES (:c, '2026-05-08', true,"
    " 'x')": {"administrator"},
    (
        "INSERT INTO limit_rule (city_id, category, step, amount, unit)"
        " VALUES (:c, 'E01', 'handle', 1, 'clock_hours')"
    ): {"administrator"},
    "INSERT INTO answer_text (city_id, title, body) VALUES (:c, 'x', 'x')": {"administrator"},
    ("INSERT INTO export_sheet (city_id, name, title, columns) VALUES (:c, 'x', 'x', '[]')"): {
        "administrator"
    },
    "UPDATE issue_event SET reason = 'x' WHERE issue_id = :i": set(),
    "DELETE FROM issue_event WHERE issue_id = :i": set(),
    "DELETE FROM issue WHERE issue_id = :i": set(),
    "DELETE FROM issue_contact WHERE issue_id = :i": set(),
    "UPDATE issue SET words = 'x' WHERE issue_id = :i": set(),
    "UPDATE issue SET secret_hash = NULL WHERE issue_id = :i": set(),
    "UPDATE outbox SET state = 'sent' WHERE issue_id = :i": set(),
    (
        "INSERT INTO issue_event (city_id, issue_id, at, act, state, actor_role, actor_id, details)"
        " VALUES (:c, :i, now(), 'report', 'reported', 'leader', 1, '{}')"
    ): set(),
}
"""What each may write into the tables themselves; nobody forges a name or what was said."""


@pytest.mark.parametrize("statement", WRITES)
def test_what_the_database_lets_write(city: City, full: int, statement: str) -> None:
    for who in sorted(SEES | OTHERS):
        changed = 0
        with city.as_(who) as (session, _):
            values = {"c": city.city_id, "i": full}
            used = {key: value for key, value in values.items() if f":{key}" in statement}
            try:
                with session.begin_nested() as point:
                    changed = session.execute(text(statement), used).rowcount  # type: ignore[attr-defined]
                    point.rollback()
            except DBAPIError as error:
                assert any(word in str(error) for word in REFUSED), (who, error)
        assert bool(changed) is (who in WRITES[statement]), who


# ---- the service alone ---------------------------------------------------------------------------


@contextmanager
def lifted(city: City, who: str) -> Iterator[tuple[Session, Viewer]]:
    """Yield a transaction that every policy lets pass, and in whose name it is used."""
    with city.owning() as session:
        point = session.begin_nested()
        yield session, city.people[who]
        point.rollback()


@pytest.mark.parametrize("who", sorted(SEES | OTHERS))
def test_what_the_service_shows_of_an_issue(city: City, full: int, who: str) -> None:
    with lifted(city, who) as (session, viewer):
        at = city.at(session)
        own = select(func.count()).select_from(Issue).where(rights.issues_seen(viewer))
        assert (session.scalar(own.where(Issue.issue_id == full)) == 1) is (who in SEES)
        cities = session.scalars(select(Issue.city_id).where(rights.issues_seen(viewer)).distinct())
        assert set(cities) <= {viewer.city_id}
        reading = (
            lambda: cases.show(session, viewer, at, full),
            lambda: cases.history(session, viewer, full),
            lambda: photos.of_issue(session, viewer, full),
            lambda: photos.seconds(session, viewer, full),
            lambda: cases.act(session, viewer, full, A.NOTE, ActWish(reason="x")),
        )
        for read in reading:
            if who in SEES:
                try:
                    assert read() is not None
                except IssueActError as error:
                    assert (who, error.data["reason"]) == ("planner", "who")
            else:
                with pytest.raises((NotFoundError, ForbiddenError)):
                    read()
        narrow = DeskFilter(q=str(full))
        try:
            found = [row["issue"] for row in cases.desk(session, viewer, at, narrow).items]
        except ForbiddenError:
            found = []
        assert found in ([full], []) if who in SEES else found == []


@pytest.mark.parametrize("who", sorted(SEES | OTHERS))
def test_contacts_are_for_the_desk_of_the_territory(city: City, full: int, who: str) -> None:
    told = "SELECT count(*) FROM audit WHERE action = 'issue.contact_read'"
    with lifted(city, who) as (session, viewer):
        before = session.scalar(text(told))
        if who in ("community", "subdistrict"):
            assert cases.contact(session, viewer, full)["phone"] == "13800000000"
        else:
            with pytest.raises((ForbiddenError, NotFoundError)):
                cases.contact(session, viewer, full)
        after = session.scalar(text(told))
        assert (after != before) is (who in ("community", "subdistrict"))


@pytest.mark.parametrize("who", sorted(SEES | OTHERS))
def test_rates_count_what_one_may_see(city: City, full: int, who: str) -> None:
    narrow = RateFilter(since=date(2000, 1, 1), until=date(2998, 1, 1))
    with lifted(city, who) as (session, viewer):
        own = select(func.count()).select_from(Issue)
        own = own.where(rights.issues_seen(viewer), Issue.set_aside.is_(None))
        try:
            told = cases.counts(session, viewer, city.at(session), narrow)
        except ForbiddenError:
            assert who in ("public", "stranger")
            return
        assert sum(row["reported"] for row in told) == session.scalar(own)


# ---- narrowed rates, and who counts as a worker --------------------------------------------------


def test_rates_are_narrowed_by_kind_body_and_grid(city: City) -> None:
    city.to(S.CLOSED)
    city.report(city.rubbish(category="C0101"))
    leader = city.people["leader"]
    period = RateFilter(since=date(2000, 1, 1), until=date(2998, 1, 1))
    with city.owning() as session:
        at = city.at(session)
        for narrow, condition in (
            (replace(period, category="E01"), Issue.category.like("E01%")),
            (replace(period, category="C0101"), Issue.category == "C0101"),
            (replace(period, organisation=DEPARTMENT), Issue.organisation_id == DEPARTMENT),
            (replace(period, grid=11), Issue.area_2 == 11),
            (replace(period, grid=121), Issue.area_3 == 121),
        ):
            wanted = select(func.count()).select_from(Issue)
            wanted = wanted.where(
                Issue.city_id == city.city_id, Issue.set_aside.is_(None), condition
            )
            told = cases.counts(session, leader, at, narrow)
            assert sum(row["reported"] for row in told) == session.scalar(wanted) > 0, narrow


POST = (
    "INSERT INTO post (city_id, post_id, worker_id, grid_id, role, valid_from, valid_to, area_1,"
    " area_2, area_3) VALUES (:c, :n, :worker, 111, :role, :since, :until, 1, 11, 111)"
)


@pytest.mark.parametrize(
    ("worker", "role", "since", "until", "counts"),
    [
        (2, "worker", date(2026, 1, 1), None, 1), (None, "worker", date(2026, 1, 1), None, 0),
        (2, "grid_chief", date(2026, 1, 1), None, 0),
        (2, "worker", date(2026, 1, 1), date(2026, 2, 1), 0),
        (2, "worker", date(2998, 1, 1), None, 0), (1, "worker", date(2026, 1, 1), None, 0),
    ],
)  # fmt: skip
def test_who_counts_as_a_worker_of_a_grid(
    city: City, worker: int | None, role: str, since: date, until: date | None, counts: int
) -> None:
    city.to(S.CLOSED)
    narrow = RateFilter(by="area", level=3, since=date(2000, 1, 1), until=date(2998, 1, 1))

    def workers(session: Session) -> int:
        found = cases.rates(session, city.people["leader"], city.at(session), narrow)["rows"]
        return int(next(row["workers"] for row in found if row["group"] == 111))

    with city.owning() as session:
        point = session.begin_nested()
        session.execute(text("DELETE FROM post WHERE city_id = :c"), {"c": city.city_id})
        first = {"c": city.city_id, "n": 90_000, "worker": 1, "role": "worker",
                 "since": date(2026, 1, 1), "until": None}  # fmt: skip
        session.execute(text(POST), first)
        assert workers(session) == 1
        session.execute(
            text(POST),
            first | {"n": 90_001, "worker": worker, "role": role, "since": since, "until": until},
        )
        assert workers(session) == 1 + counts
        point.rollback()


# ---- what acts leave behind ----------------------------------------------------------------------


def test_sent_back_to_work_is_counted_and_runs_on(city: City) -> None:
    issue = city.to(S.HANDLED)
    before = city.row(issue)
    city.act("worker", issue, A.REWORK, reason="still there")
    row = city.row(issue)
    assert (row.reworks, row.handled_at, row.due_at) == (1, None, before.deadline_at)
    city.act("department", issue, A.HANDLE)
    assert city.row(issue).handled_at > before.handled_at
    for step, who in ((A.CHECK, "worker"), (A.CLOSE, "community")):
        city.act(who, issue, step)
    assert city.row(issue).due_at.year == 2999, "what is closed waits for nothing"


def test_on_account_after_a_pause_the_clock_stood_still_once(city: City) -> None:
    issue = city.to(S.DISPATCHED)
    city.act("community", issue, A.SUSPEND, reason="rain")
    before = city.row(issue)
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)
    city.act("community", issue, A.PARK, reason="no money", until=tomorrow)
    row = city.row(issue)
    assert (row.suspended_at, row.remaining_s) == (before.suspended_at, before.remaining_s)
    city.act("leader", issue, A.TAKE_UP)
    row = city.row(issue)
    assert (row.suspended_at, row.remaining_s, row.review_on) == (None, None, None)
    assert row.deadline_at >= before.deadline_at


def test_refusals_that_only_the_row_knows(city: City) -> None:
    issue, other = city.to(S.DISPATCHED), city.report().issue
    deadline = city.row(issue).deadline_at
    third = city.report().issue
    city.act("community", third, A.MERGE, into=other)
    with city.owning() as session:
        far = session.scalar(
            select(func.min(Issue.issue_id)).where(
                Issue.city_id == city.city_id, Issue.area_2 == 21
            )
        )
    sooner = deadline - timedelta(minutes=1)
    for act, wish in (
        (A.POSTPONE, {"deadline": sooner, "reason": "x"}),
        (A.MERGE, {"into": third}),
        (A.MERGE, {"into": far}),
        (A.MERGE, {"into": issue}),
        (A.NOTE, {"reason": "x" * 1001}),
        (A.NOTE, {"reason": "x\x00"}),
    ):
        with pytest.raises(InvalidInputError):
            city.act("community", issue, act, **wish)
    with pytest.raises(InvalidInputError):
        city.act("leader", issue, A.SUPERVISE, reason="x", owner=10**9,
                 until=datetime.now(UTC).date() + timedelta(days=3))  # fmt: skip
    with pytest.raises(ForbiddenError):
        city.act("public", issue, A.NOTE, reason="x")
    city.act("community", third, A.PUT_BACK, reason="x")
    assert (city.row(third).duplicate_of, city.row(third).set_aside) == (None, None)


def test_solved_on_the_spot_and_opened_again_is_not_on_the_spot(city: City) -> None:
    issue = city.report().issue
    city.act("worker", issue, A.SOLVE)
    assert city.row(issue).on_the_spot
    city.act("community", issue, A.REOPEN, reason="x")
    assert not city.row(issue).on_the_spot
    assert city.row(issue).reopens == 1


def test_what_is_handled_or_set_aside_is_not_warned_of(city: City) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    late = "UPDATE issue SET deadline_at = :t, due_at = :t, warned_at = :w WHERE issue_id = :i"
    handled, aside, climbs = city.to(S.HANDLED), city.to(S.DISPATCHED), city.to(S.DISPATCHED)
    city.act("community", aside, A.SET_ASIDE, reason="x", aside=SetAside.DUPLICATE)
    with city.owning() as session:
        point = session.begin_nested()
        for one, warned in ((handled, None), (aside, None), (climbs, past - timedelta(days=15))):
            session.execute(text(late), {"t": past, "w": warned, "i": one})
        for dry in (True, False):
            told = cases.warn_and_escalate(session, city.city_id, datetime.now(UTC), dry_run=dry)
            assert told == {"warned": 0, "escalated": 1}
            level = session.scalar(select(Issue.desk_level).where(Issue.issue_id == climbs))
            assert level == (3 if dry else 2)
        point.rollback()


def test_an_erasure_leaves_no_message_no_account_and_ends_its_own_right(city: City) -> None:
    issue = city.report(city.rubbish(words="x"), "worker").issue
    city.act("community", issue, A.ESCALATE, reason="x")
    told = "SELECT count(*) FROM audit WHERE action IN ('issue.erase', 'issue.retain')"
    mails = select(func.count()).select_from(Outbox).where(Outbox.issue_id == issue)
    assert city.row(issue).reporter_id is not None
    with city.owning() as session:
        before = session.scalar(text(told)) or 0
        assert session.scalar(mails) == 1
        retaining.erase(session, city.city_id, issue)
        assert session.scalar(mails) == 0
        assert session.scalar(text(told)) == before + 1
        with pytest.raises(DBAPIError, match="append-only"), session.begin_nested():
            session.execute(
                text("UPDATE issue_event SET reason = 'x' WHERE issue_id = :i"), {"i": issue}
            )
    assert city.row(issue).reporter_id is None
    city.act("community", issue, A.SOLVE)
    city.act("community", issue, A.REOPEN, reason="x")
    with city.owning() as session:
        point = session.begin_nested()
        session.execute(text("UPDATE outbox SET state = 'sent', created_at = now() - interval"
                             " '91 days' WHERE issue_id = :i"), {"i": issue})  # fmt: skip
        done = retaining.retain(session, city.city_id, datetime.now(UTC), dry_run=False)
        assert done["messages"] >= 1
        assert session.scalar(text(told)) == before + 2
        point.rollback()
