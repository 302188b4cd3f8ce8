"""The life of an issue: every act in every state by everybody, and the table as it is told."""

from __future__ import annotations

import itertools

import pytest

from geo.errors import IssueActError
from geo.issues import (
    OPEN,
    TRANSITIONS,
    Who,
    about_persons,
    acts_for,
    relations,
    rung_above,
    start_level,
    transition,
)
from geo.profiles import load_profile, profile_names
from geo.terms import IssueAct, IssueState, Relation, Role

A, S, R = IssueAct, IssueState, Relation
DESK = {R.COMMUNITY, R.SUBDISTRICT, R.ADMINISTRATOR}
BEFORE = {S.REPORTED, S.ACCEPTED, S.VERIFIED, S.REGISTERED, S.RETURNED}
IN_HAND = {S.DISPATCHED, S.REWORKED, S.POSTPONED}
STILL = set(S) - {S.CLOSED, S.VOID}
LEADING = {R.SUBDISTRICT, R.ADMINISTRATOR, R.LEADER}

EXPECTED: dict[IssueAct, list[tuple[set[IssueState], IssueState | None, set[Relation]]]] = {
    A.REPORT: [],
    A.ACCEPT: [({S.REPORTED}, S.ACCEPTED, DESK | {R.HOLDER})],
    A.VERIFY: [({S.ACCEPTED}, S.VERIFIED, DESK | {R.WORKER, R.HOLDER})],
    A.REGISTER: [({S.ACCEPTED, S.VERIFIED}, S.REGISTERED, DESK | {R.HOLDER})],
    A.DISPATCH: [({S.REGISTERED, S.RETURNED}, S.DISPATCHED, DESK)],
    A.JOIN: [({S.REGISTERED, S.RETURNED, S.DISPATCHED}, S.DISPATCHED, DESK)],
    A.RETURN: [({S.DISPATCHED, S.REWORKED}, S.RETURNED, {R.LEAD, R.HOLDER})],
    A.HANDLE: [(IN_HAND, S.HANDLED, DESK | {R.LEAD, R.HOLDER})],
    A.CHECK: [({S.HANDLED}, S.CHECKED, DESK | {R.WORKER, R.HOLDER})],
    A.REWORK: [({S.HANDLED, S.CHECKED}, S.REWORKED, DESK | {R.WORKER, R.HOLDER})],
    A.CLOSE: [({S.CHECKED}, S.CLOSED, DESK)],
    A.POSTPONE: [({S.DISPATCHED, S.REWORKED}, S.POSTPONED, DESK)],
    A.SUSPEND: [(IN_HAND, S.SUSPENDED, DESK)],
    A.RESUME: [({S.SUSPENDED}, S.DISPATCHED, DESK)],
    A.PARK: [({S.POSTPONED, S.SUSPENDED}, S.PARKED, DESK | {R.LEADER})],
    A.TAKE_UP: [({S.PARKED}, S.DISPATCHED, DESK | {R.LEADER})],
    A.VOID: [(BEFORE, S.VOID, DESK)],
    A.SOLVE: [
        ({S.REPORTED, S.ACCEPTED, S.VERIFIED, S.REGISTERED}, S.CLOSED, DESK | {R.WORKER, R.HOLDER})
    ],
    A.REOPEN: [({S.CLOSED}, S.ACCEPTED, DESK | {R.REPORTER}), ({S.VOID}, S.ACCEPTED, DESK)],
    A.ESCALATE: [(BEFORE | IN_HAND, None, DESK | {R.HOLDER, R.SYSTEM})],
    A.SUPERVISE: [(STILL, None, LEADING)],
    A.RELEASE: [(STILL, None, LEADING)],
    A.NOTE: [
        (set(S), None, DESK | {R.WORKER, R.HOLDER, R.LEAD, R.ASSISTING, R.LEADER}),
    ],
    A.RECLASSIFY: [(BEFORE, None, DESK | {R.HOLDER})],
    A.MERGE: [(STILL, S.VOID, DESK)],
    A.SPLIT: [(STILL, None, DESK)],
    A.SET_ASIDE: [(set(S), None, DESK)],
    A.PUT_BACK: [(set(S), None, DESK)],
    A.ANSWER: [({S.CLOSED}, None, {R.REPORTER})],
    A.WARN: [(STILL, None, {R.SYSTEM})],
    A.HAND_OVER: [(set(S), None, {R.SYSTEM})],
}
"""The life cycle written a second time, by act, as the field tells it."""


@pytest.mark.parametrize("act", list(A))
def test_every_act_in_every_state_by_everybody(act: IssueAct) -> None:
    for state, who in itertools.product(S, R):
        rows = [row for row in EXPECTED[act] if state in row[0] and who in row[2]]
        if rows:
            found = transition(act, state, {who}, "because")
            assert found.ends == rows[0][1], (act, state, who)
            assert act in acts_for(state, {who})
        else:
            with pytest.raises(IssueActError) as refused:
                transition(act, state, {who}, "because")
            known = any(state in row[0] for row in EXPECTED[act])
            assert refused.value.data["reason"] == ("who" if known else "state")
            assert act not in acts_for(state, {who})


def test_nobody_may_do_anything() -> None:
    for act, state in itertools.product(A, S):
        with pytest.raises(IssueActError):
            transition(act, state, set(), "because")
    assert all(not acts_for(state, set()) for state in S)


REASONED = {
    A.RETURN, A.REWORK, A.POSTPONE, A.SUSPEND, A.PARK, A.VOID, A.REOPEN, A.ESCALATE, A.SUPERVISE,
    A.NOTE, A.RECLASSIFY, A.SET_ASIDE, A.PUT_BACK, A.HAND_OVER,
}  # fmt: skip
CLOCK = {
    A.DISPATCH: "start", A.JOIN: "start", A.HANDLE: "stop", A.SUSPEND: "pause", A.PARK: "pause",
    A.RESUME: "go_on", A.TAKE_UP: "go_on",
}  # fmt: skip


def test_the_table_says_of_every_act_whether_it_needs_a_reason_and_what_it_does_to_the_clock() -> (
    None
):
    assert {row.act for row in TRANSITIONS if row.reason} == REASONED
    assert {row.act for row in TRANSITIONS if not row.reason} == set(A) - REASONED - {A.REPORT}
    assert {row.act: row.clock for row in TRANSITIONS if row.clock} == CLOCK


def test_what_needs_a_reason_is_refused_without_one() -> None:
    for row in TRANSITIONS:
        for why in (None, "", "   "):
            state, who = next(iter(row.begins)), set(row.who)
            if row.reason:
                with pytest.raises(IssueActError) as refused:
                    transition(row.act, state, who, why)
                assert refused.value.data["reason"] == "why"
            else:
                assert transition(row.act, state, who, why) is row


def test_every_state_is_reached_and_left() -> None:
    reached, todo = {S.REPORTED}, [S.REPORTED]
    while todo:
        state = todo.pop()
        for row in TRANSITIONS:
            if state in row.begins and row.ends is not None and row.ends not in reached:
                reached.add(row.ends)
                todo.append(row.ends)
    assert reached == set(S)
    for state in S:
        assert any(state in row.begins and row.ends not in (None, state) for row in TRANSITIONS), (
            state
        )
    assert OPEN == STILL


def test_from_every_state_an_issue_can_be_closed() -> None:
    closes = {S.CLOSED}
    for _ in S:
        closes |= {state for row in TRANSITIONS if row.ends in closes for state in row.begins}
    assert closes == set(S)


LINE = (1, 11, 111, 1111)


@pytest.mark.parametrize(
    ("who", "desk", "lead", "expected"),
    [
        (Who(Role.WORKER, (111,)), 3, None, {R.WORKER, R.HOLDER}),
        (Who(Role.WORKER, (111,)), 3, 5, {R.WORKER}),
        (Who(Role.WORKER, (111,)), 2, None, {R.WORKER}),
        (Who(Role.WORKER, (112,)), 3, None, set()),
        (Who(Role.WORKER, (1111,)), 3, None, {R.WORKER}),
        (Who(Role.COMMUNITY, (11,)), 3, None, {R.COMMUNITY}),
        (Who(Role.COMMUNITY, (11,)), 2, 5, {R.COMMUNITY}),
        (Who(Role.COMMUNITY, (11,)), 1, None, set()),
        (Who(Role.COMMUNITY, (1,)), 1, None, {R.SUBDISTRICT}),
        (Who(Role.COMMUNITY, (1, 11)), 3, None, {R.SUBDISTRICT}),
        (Who(Role.COMMUNITY, (2,)), 3, None, set()),
        (Who(Role.DEPARTMENT, (), (5,)), 3, 5, {R.LEAD}),
        (Who(Role.DEPARTMENT, (), (6,)), 3, 5, {R.ASSISTING}),
        (Who(Role.DEPARTMENT, (), (7,)), 3, 5, set()),
        (Who(Role.LEADER), 3, None, {R.LEADER}),
        (Who(Role.ADMINISTRATOR), 1, 5, {R.ADMINISTRATOR}),
        (Who(Role.PLANNER), 3, None, set()),
        (Who(Role.PUBLIC), 3, None, set()),
        (Who(Role.WORKER, (112,), user=9), 3, None, {R.REPORTER}),
    ],
)  # fmt: skip
def test_who_somebody_is(who: Who, desk: int, lead: int | None, expected: set[Relation]) -> None:
    found = relations(who, LINE, desk, lead, assisting=(6,), reporter=9)
    assert found == expected


def test_nobody_is_the_reporter_of_what_a_stranger_reported() -> None:
    for role in Role:
        assert R.REPORTER not in relations(Who(role), LINE, 3, None, reporter=None)


def test_rungs() -> None:
    assert [rung_above(level) for level in (4, 3, 2, 1, 0)] == [3, 2, 1, 0, 0]
    assert start_level(["subdistrict", "community", "grid", "unit"], 3) == 3
    assert start_level(["subdistrict", "community", "grid", "unit"], 2) == 2
    assert start_level(["a", "b"], 2) == 2


@pytest.mark.parametrize(
    "name",
    ["重点人员", "特殊人群走访", "信访人员稳控", "流动人口登记", "独居老人", "精神障碍患者",
     "刑满释放", "Key persons", "Petitioners", "Mentally ill", "Migrants", "Resident scores",
     "人员管控", "稳控", "上访", "精神病", "社区矫正", "吸毒", "涉毒", "邪教", "外来人口", "租客",
     "租户", "残疾人", "低保户", "贫困户", "空巢", "留守", "孤寡", "老赖", "失信", "少数民族",
     "宗教人士", "家庭暴力", "未成年人", "大龄", "信用评分", "积分排名", "住户信息", "居民信息",
     "身份证", "People", "residents of interest", "addicts", "ex-convicts", "offenders", "TENANTS",
     "disabled", "loners", "minorities", "believers"],
)  # fmt: skip
def test_no_category_is_about_persons(name: str) -> None:
    assert about_persons(name)


@pytest.mark.parametrize("profile", profile_names())
def test_shipped_categories_are_about_things_and_places(profile: str) -> None:
    for category in load_profile(profile).categories:
        assert about_persons(category.name.zh) is None, category.name.zh
        assert about_persons(category.name.en) is None, category.name.en
