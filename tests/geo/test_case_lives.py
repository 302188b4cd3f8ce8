"""What happens to an issue more than once, at the same time, or behind everybody's back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import IssueActError, NotFoundError
from geo.store import cases
from geo.store.cases import ActWish, Contact, retaining
from geo.store.cases.reporting import secret_of
from geo.store.cases.stones import erase_again, stones
from geo.store.together import meetings
from geo.tables import Issue, IssueContact, IssueEvent, Outbox
from geo.terms import IssueAct, IssueState, SetAside
from tests.geo.test_cases import DEPARTMENT, City, _everywhere, city

__all__ = ["city"]

A, S = IssueAct, IssueState


@pytest.fixture
def mark() -> str:
    """Words that stand nowhere else."""
    return f"CANARY-{uuid4().hex[:16]}"


def change(city: City, issue: int, **values: Any) -> None:
    with city.owning() as session:
        own = (Issue.city_id == city.city_id, Issue.issue_id == issue)
        session.execute(update(Issue).where(*own).values(**values))


def lapse(city: City, now: datetime | None = None) -> dict[str, int]:
    with city.owning() as session:
        return cases.warn_and_escalate(session, city.city_id, now or datetime.now(UTC))


def topic_of(city: City, said: str = "路灯不亮") -> tuple[int, int]:
    """Enter a meeting with one topic; return their numbers."""
    with city.owning() as session:
        meeting = session.scalar(
            text("INSERT INTO meeting (city_id, kind, title, place, held_at, grid_id, state,"
                 " area_1, area_2) VALUES (:city, 'talk', 'x', 'x', now(), 11, 'held', 1, 11)"
                 " RETURNING meeting_id"), {"city": city.city_id},
        )  # fmt: skip
        session.execute(
            text("INSERT INTO meeting_topic (city_id, meeting_id, n, words)"
                 " VALUES (:city, :meeting, 1, :said)"),
            {"city": city.city_id, "meeting": meeting, "said": said},
        )  # fmt: skip
    return int(meeting or 0), 1


def raised(city: City, meeting: int, n: int) -> int:
    with city.as_("community") as (session, viewer):
        at = city.at(session)
        return meetings.raise_issue(session, viewer, at, meeting, n, category="E0101")


# ---- links and what is kept of reports -----------------------------------------------------------


def test_nobody_reckons_the_link_of_a_topics_issue(city: City) -> None:
    """Numbers of meetings are small: an id made of them alone would be known to everybody."""
    meeting, n = topic_of(city)
    guess = uuid5(NAMESPACE_URL, f"wangge:{city.city_id}:meeting:{meeting}:{n}")
    city.report(city.rubbish(client_id=str(guess)))  # a stranger was there before: nothing is lost
    code = city.row(raised(city, meeting, n)).code
    with city.as_("public") as (session, _), pytest.raises(NotFoundError):
        cases.follow(session, code, secret_of(guess))


def test_what_is_kept_of_a_report_does_not_tell_who_gave_it(city: City) -> None:
    """Two reports of the same words and the same phone number leave nothing that is alike."""
    told = city.rubbish(words=None, contact=Contact(None, "13800000000"))
    kept = [city.row(city.report(told).issue).content_hash for _ in range(2)]
    assert len({bytes(one) for one in kept}) == 2


@pytest.mark.parametrize("act", ["close", "reopen", "note", "dispatch"])
def test_a_stranger_writes_no_other_line_than_that_of_a_report(city: City, act: str) -> None:
    issue = city.report().issue
    line = text(
        "INSERT INTO issue_event (city_id, issue_id, at, act, state, actor_role, details)"
        " VALUES (:city, :issue, now(), :act, 'closed', 'public', '{}')"
    )
    with pytest.raises(DBAPIError, match="row-level security"), city.as_("public") as (session, _):
        session.execute(line, {"city": city.city_id, "issue": issue, "act": act})


@pytest.mark.parametrize(
    "more", ["reporter_id, 1", "organisation_id, 5", "set_aside, 'duplicate'", "split_from, 1"]
)
def test_a_stranger_reports_in_nobodys_name(city: City, more: str) -> None:
    column, value = more.split(", ")
    row = city.row(city.report().issue)
    line = text(
        "INSERT INTO issue (city_id, issue_id, cell_id, owner_grid, category, channel, state,"
        f" reported_at, geom, {column}) SELECT :city, 900000, :cell, :grid, 'E0101', 'report',"
        f" 'reported', now(), ST_SetSRID(ST_MakePoint(0, 0), 4326), {value}"
    )
    told = {"city": city.city_id, "cell": row.cell_id, "grid": row.owner_grid}
    with pytest.raises(DBAPIError, match="row-level security"), city.as_("public") as (session, _):
        session.execute(line, told)


# ---- clocks that begin anew ----------------------------------------------------------------------


def test_a_new_deadline_is_warned_of_anew(city: City) -> None:
    before = datetime.now(UTC) - timedelta(days=15)
    later = datetime.now(UTC) + timedelta(days=30)
    postponed, suspended = city.to(S.DISPATCHED), city.to(S.DISPATCHED)
    for issue in (postponed, suspended):
        change(city, issue, warned_at=before)
    city.act("community", postponed, A.POSTPONE, reason="rain", deadline=later)
    city.act("community", suspended, A.SUSPEND, reason="rain")
    city.act("community", suspended, A.RESUME)
    assert city.row(postponed).warned_at is None
    assert city.row(suspended).warned_at is None


@pytest.mark.parametrize("who", ["community", "public"])
def test_what_is_opened_again_begins_anew_and_lies_on_a_desk(city: City, who: str) -> None:
    made = city.report()
    for step in (A.ACCEPT, A.REGISTER, A.DISPATCH, A.HANDLE, A.CHECK, A.CLOSE):
        city.act("community", made.issue, step)
    change(city, made.issue, warned_at=datetime.now(UTC))
    city.act("community", made.issue, A.SET_ASIDE, reason="x", aside=SetAside.IMPOSSIBLE_TIME)
    if who == "public":
        with city.as_("public") as (session, _):
            assert cases.reopen(session, made.code, made.secret, "still there") == "accepted"
    else:
        city.act("community", made.issue, A.REOPEN, reason="still there")
    row = city.row(made.issue)
    assert (row.state, row.reopens, row.warned_at, row.set_aside) == ("accepted", 1, None, None)
    assert (row.dispatched_at, row.deadline_at, row.closed_at) == (None, None, None)
    with city.owning() as session:
        told = session.scalars(
            select(Outbox.body["act"].astext).where(Outbox.issue_id == made.issue)
        ).all()
    assert told.count("reopen") == 1, "the desk is told, whoever opened it"
    city.act("community", made.issue, A.REGISTER)
    city.act("community", made.issue, A.DISPATCH)
    assert city.row(made.issue).deadline_at is not None


def test_what_was_merged_and_is_opened_again_is_a_case_of_its_own(city: City) -> None:
    one, other = city.report().issue, city.report().issue
    city.act("community", one, A.MERGE, into=other)
    assert city.row(one).set_aside == "duplicate"
    city.act("community", one, A.REOPEN, reason="another one")
    row = city.row(one)
    assert (row.state, row.set_aside, row.duplicate_of) == ("accepted", None, None)


# ---- escalation by lapse of time -----------------------------------------------------------------


@pytest.mark.parametrize("state", [S.REPORTED, S.ACCEPTED, S.VERIFIED])
def test_what_nobody_registers_is_warned_of_and_climbs(city: City, state: IssueState) -> None:
    issue = city.to(state)
    past = datetime.now(UTC) - timedelta(hours=1)
    assert city.row(issue).register_by is not None
    change(city, issue, register_by=past, due_at=past)
    assert lapse(city) == {"warned": 1, "escalated": 0}
    for level in (2, 1):
        change(city, issue, warned_at=past - timedelta(days=15))
        assert lapse(city) == {"warned": 0, "escalated": 1}
        row = city.row(issue)
        assert (row.desk_level, row.state, row.warned_at) == (level, state.value, None)
        assert lapse(city) == {"warned": 1, "escalated": 0}, "each rung is warned"
    change(city, issue, warned_at=past - timedelta(days=15))
    assert lapse(city)["escalated"] == 0, "no department gets what nobody looked at"
    city.act("administrator", issue, A.VOID, reason="test")


def test_what_came_back_and_is_not_sent_again_is_late_by_its_deadline(city: City) -> None:
    issue = city.to(S.DISPATCHED)
    city.act("department", issue, A.RETURN, reason="not ours")
    assert lapse(city) == {"warned": 0, "escalated": 0}
    change(city, issue, deadline_at=datetime.now(UTC) - timedelta(hours=1))
    assert lapse(city) == {"warned": 1, "escalated": 0}
    city.act("administrator", issue, A.VOID, reason="test")


def test_above_the_highest_desk_stands_the_lead_of_the_category(city: City) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    late = {"deadline_at": past, "due_at": past, "warned_at": past - timedelta(days=15)}
    led, unled = city.to(S.REGISTERED), city.to(S.REGISTERED, category="C0101")
    for issue in (led, unled):
        city.act("community", issue, A.DISPATCH, itself=True)
        change(city, issue, desk_level=1, **late)
    assert lapse(city) == {"warned": 0, "escalated": 1}
    row = city.row(led)
    assert (row.organisation_id, row.state, row.deadline_at) == (DEPARTMENT, "dispatched", past)
    assert city.row(unled).organisation_id is None
    for issue in (led, unled):
        city.act("administrator", issue, A.HANDLE)


# ---- what is erased ------------------------------------------------------------------------------


def closed_without_words(city: City, **more: Any) -> cases.Reported:
    made = city.report(city.rubbish(words=None, **more))
    city.act("community", made.issue, A.SOLVE)
    return made


LATER = timedelta(days=4 * 365)


def test_what_is_said_when_opening_again_grows_old_as_well(city: City, mark: str) -> None:
    made = closed_without_words(city)
    with city.as_("public") as (session, _):
        cases.reopen(session, made.code, made.secret, mark)
    city.act("community", made.issue, A.SOLVE)
    with city.owning() as session:
        assert _everywhere(session, mark) == ["issue_event"]
        later = datetime.now(UTC) + LATER
        done = retaining.retain(session, city.city_id, later, dry_run=False)
        assert done["words"] >= 1
        assert _everywhere(session, mark) == []
        assert retaining.retain(session, city.city_id, later)["words"] == 0


def test_what_is_said_after_an_erasure_is_erased_again(city: City, mark: str) -> None:
    made = closed_without_words(city)
    with city.owning() as session:
        retaining.erase(session, city.city_id, made.issue)
        old = {one.object_id: one for one in stones(session) if one.relation == "issue"}
    with city.as_("public") as (session, _):
        cases.reopen(session, made.code, made.secret, mark)
    city.act("community", made.issue, A.SOLVE)
    with city.owning() as session:
        point = session.begin_nested()
        retaining.retain(session, city.city_id, datetime.now(UTC) + LATER, dry_run=False)
        assert _everywhere(session, mark) == []
        point.rollback()
        assert _everywhere(session, mark) == ["issue_event"]
        erase_again(session, [old[made.issue]])
        assert _everywhere(session, mark) == ["issue_event"], "this was said after that stone"
        retaining.erase(session, city.city_id, made.issue)
        assert _everywhere(session, mark) == []
        new = next(one for one in stones(session) if one.object_id == made.issue)
        assert new.erased_at > old[made.issue].erased_at


def test_an_older_state_that_was_erased_once_is_erased_up_to_the_last_stone(
    city: City, mark: str
) -> None:
    issue = closed_without_words(city).issue
    with city.owning() as session:
        retaining.erase(session, city.city_id, issue)
    city.act("community", issue, A.NOTE, reason=mark)
    with city.owning() as session:
        point = session.begin_nested()
        retaining.erase(session, city.city_id, issue)
        last = [one for one in stones(session) if one.object_id == issue]
        point.rollback()
        assert _everywhere(session, mark) == ["issue_event"]
        assert erase_again(session, last)["words"] == 1
        assert _everywhere(session, mark) == []


def test_a_contact_of_what_lies_on_no_desk_is_not_kept_for_ever(city: City, mark: str) -> None:
    issue = city.report(city.rubbish(contact=Contact(mark))).issue
    city.act("community", issue, A.SET_ASIDE, reason="x", aside=SetAside.DEFAULT_GEOCODE)
    with city.owning() as session:
        soon = datetime.now(UTC) + timedelta(days=181)
        retaining.retain(session, city.city_id, soon, dry_run=False)
        kept = select(IssueContact.issue_id).where(IssueContact.issue_id == issue)
        assert session.scalar(kept) is None


def test_a_wish_reaches_the_topic_that_the_issue_came_of(city: City, mark: str) -> None:
    said = f"灯 {mark}"
    issue = raised(city, *topic_of(city, said))
    with city.owning() as session:
        assert set(_everywhere(session, mark)) == {"issue", "meeting_topic"}
        assert retaining.erase(session, city.city_id, issue)["beside"] == 1
        assert _everywhere(session, mark) == []


# ---- two at the same moment ----------------------------------------------------------------------


def waits(future: Future[Any]) -> None:
    """Give the other one time to come as far as the lock, and see that it stands there."""
    sleep(0.3)
    assert not future.done()


def beside(city: City, issue: int, second: Callable[[], Any], first: IssueAct, **wish: Any) -> Any:
    """Do something to an issue, begin something else before that ends; return what came of it."""
    with ThreadPoolExecutor(1) as pool:
        with city.as_("community") as (session, viewer):
            cases.act(session, viewer, issue, first, ActWish(**wish))
            other = pool.submit(second)
            waits(other)
        return other.exception(20) or other.result()


def test_two_desks_do_not_close_the_same_issue_twice(city: City) -> None:
    issue = city.to(S.CHECKED)
    lost = beside(city, issue, lambda: city.act("administrator", issue, A.CLOSE), A.CLOSE)
    assert isinstance(lost, IssueActError)
    assert lost.data["reason"] == "state"
    assert city.acts(issue).count("close") == 1


def test_an_act_and_the_job_that_escalates(city: City) -> None:
    issue, past = city.to(S.DISPATCHED), datetime.now(UTC) - timedelta(hours=1)
    change(city, issue, deadline_at=past, due_at=past, warned_at=past - timedelta(days=15))
    assert beside(city, issue, lambda: lapse(city), A.HANDLE) == {"warned": 0, "escalated": 0}
    assert city.row(issue).desk_level == 3
    assert city.acts(issue)[-1] == "handle"


def test_an_act_and_an_erasure(city: City, mark: str) -> None:
    issue = city.report(city.rubbish(words=mark)).issue

    def erased() -> None:
        with city.owning() as session:
            retaining.erase(session, city.city_id, issue)

    beside(city, issue, erased, A.ACCEPT)
    row = city.row(issue)
    assert (row.state, row.words, row.version) == ("accepted", None, 1)
    with city.owning() as session:
        assert _everywhere(session, mark) == []


def test_an_act_and_a_net_that_begins(city: City) -> None:
    from geo.store.cases import handing

    issue = city.to(S.REGISTERED)
    cell = city.row(issue).cell_id

    def begins(grid: int) -> dict[str, int]:
        with city.owning() as session:
            session.execute(
                text("UPDATE net_cell SET grid_id = :g WHERE city_id = :c AND cell_id = :cell"),
                {"g": grid, "c": city.city_id, "cell": cell},
            )
            return handing.hand_over(session, city.city_id, 1)

    back = city.row(issue).owner_grid
    try:
        assert beside(city, issue, lambda: begins(112), A.DISPATCH, itself=True)["handed"] >= 1
        row = city.row(issue)
        assert (row.owner_grid, row.state) == (112, "dispatched")
        assert city.acts(issue)[-2:] == ["dispatch", "hand_over"]
        with city.owning() as session:
            state = select(IssueEvent.state).where(IssueEvent.issue_id == issue)
            last = session.scalar(state.order_by(IssueEvent.at.desc()).limit(1))
        assert last == "dispatched", "the line says where it stood when it was handed over"
    finally:
        begins(back)


def test_a_resident_and_a_desk_open_the_same_issue_once(city: City) -> None:
    made = closed_without_words(city)

    def opened() -> str:
        public: Viewer = city.people["public"]
        with city.door.transaction(public) as session:
            own: Session = session
            return cases.reopen(own, made.code, made.secret, "still there")

    lost = beside(city, made.issue, opened, A.REOPEN, reason="seen")
    assert isinstance(lost, IssueActError)
    assert city.row(made.issue).reopens == 1
