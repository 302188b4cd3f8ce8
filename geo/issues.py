"""The life of an issue as one table: what may be done in which state, and by whom."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from geo.errors import IssueActError
from geo.saying import phrase
from geo.terms import IssueAct, IssueState, Relation, Role

__all__ = [
    "DESKS",
    "OPEN",
    "TRANSITIONS",
    "Transition",
    "Who",
    "about_persons",
    "acts_for",
    "relations",
    "rung_above",
    "start_level",
    "transition",
    "way_to",
]

A, S, R = IssueAct, IssueState, Relation

OPEN: Final = frozenset(IssueState) - {S.CLOSED, S.VOID}
"""States of issues that somebody still has to do something about."""
DESKS: Final = frozenset({R.COMMUNITY, R.SUBDISTRICT, R.ADMINISTRATOR})
"""Those who run an issue: the desk of the territory, and the administrator for the whole city."""
_IN_HAND: Final = frozenset({S.DISPATCHED, S.REWORKED, S.POSTPONED})
_BEFORE_DISPATCH: Final = frozenset({S.REPORTED, S.ACCEPTED, S.VERIFIED, S.REGISTERED, S.RETURNED})
_OVER: Final = frozenset({S.CLOSED, S.VOID})
_HANDLERS: Final = frozenset({R.LEAD, R.HOLDER})
_ALL_STAFF: Final = DESKS | {R.WORKER, R.HOLDER, R.LEAD, R.ASSISTING, R.LEADER}
DEPARTMENT: Final = 0
"""The rung above the highest level of the net."""


@dataclass(frozen=True)
class Transition:
    """A row of the table.

    Parameters
    ----------
    act : IssueAct
    begins : frozenset of IssueState
        In which it may be done.
    ends : IssueState, optional
        Where the issue stands afterwards; None leaves it where it is.
    who : frozenset of Relation
        One of these is enough.
    reason : bool
        Whether it must say why.
    clock : str
        What it does to the clock: "start", "pause", "go_on", "stop", or "" for nothing.
    """

    act: IssueAct
    begins: frozenset[IssueState]
    ends: IssueState | None
    who: frozenset[Relation]
    reason: bool = False
    clock: str = ""


def _row(
    act: IssueAct,
    begins: Collection[IssueState],
    ends: IssueState | None,
    who: Collection[Relation],
    *,
    reason: bool = False,
    clock: str = "",
) -> Transition:
    return Transition(act, frozenset(begins), ends, frozenset(who), reason, clock)


TRANSITIONS: Final = (
    _row(A.ACCEPT, {S.REPORTED}, S.ACCEPTED, DESKS | {R.HOLDER}),
    _row(A.VERIFY, {S.ACCEPTED}, S.VERIFIED, DESKS | {R.WORKER, R.HOLDER}),
    _row(A.REGISTER, {S.ACCEPTED, S.VERIFIED}, S.REGISTERED, DESKS | {R.HOLDER}),
    _row(A.DISPATCH, {S.REGISTERED, S.RETURNED}, S.DISPATCHED, DESKS, clock="start"),
    _row(A.JOIN, {S.REGISTERED, S.RETURNED, S.DISPATCHED}, S.DISPATCHED, DESKS, clock="start"),
    _row(A.RETURN, {S.DISPATCHED, S.REWORKED}, S.RETURNED, _HANDLERS, reason=True),
    _row(A.HANDLE, _IN_HAND, S.HANDLED, DESKS | _HANDLERS, clock="stop"),
    _row(A.CHECK, {S.HANDLED}, S.CHECKED, DESKS | {R.WORKER, R.HOLDER}),
    _row(A.REWORK, {S.HANDLED, S.CHECKED}, S.REWORKED, DESKS | {R.WORKER, R.HOLDER}, reason=True),
    _row(A.CLOSE, {S.CHECKED}, S.CLOSED, DESKS),
    _row(A.POSTPONE, {S.DISPATCHED, S.REWORKED}, S.POSTPONED, DESKS, reason=True),
    _row(A.SUSPEND, _IN_HAND, S.SUSPENDED, DESKS, reason=True, clock="pause"),
    _row(A.RESUME, {S.SUSPENDED}, S.DISPATCHED, DESKS, clock="go_on"),
    _row(A.PARK, {S.POSTPONED, S.SUSPENDED}, S.PARKED, DESKS | {R.LEADER}, reason=True,
         clock="pause"),
    _row(A.TAKE_UP, {S.PARKED}, S.DISPATCHED, DESKS | {R.LEADER}, clock="go_on"),
    _row(A.VOID, _BEFORE_DISPATCH, S.VOID, DESKS, reason=True),
    _row(A.SOLVE, {S.REPORTED, S.ACCEPTED, S.VERIFIED, S.REGISTERED}, S.CLOSED,
         DESKS | {R.WORKER, R.HOLDER}),
    _row(A.REOPEN, {S.CLOSED}, S.ACCEPTED, DESKS | {R.REPORTER}, reason=True),
    _row(A.REOPEN, {S.VOID}, S.ACCEPTED, DESKS, reason=True),
    _row(A.ESCALATE, _BEFORE_DISPATCH | _IN_HAND, None, DESKS | {R.HOLDER, R.SYSTEM},
         reason=True),
    _row(A.SUPERVISE, OPEN, None, {R.SUBDISTRICT, R.ADMINISTRATOR, R.LEADER}, reason=True),
    _row(A.RELEASE, OPEN, None, {R.SUBDISTRICT, R.ADMINISTRATOR, R.LEADER}),
    _row(A.NOTE, frozenset(IssueState), None, _ALL_STAFF, reason=True),
    _row(A.RECLASSIFY, _BEFORE_DISPATCH, None, DESKS | {R.HOLDER}, reason=True),
    _row(A.MERGE, OPEN, S.VOID, DESKS),
    _row(A.SPLIT, OPEN, None, DESKS),
    _row(A.SET_ASIDE, frozenset(IssueState), None, DESKS, reason=True),
    _row(A.PUT_BACK, frozenset(IssueState), None, DESKS, reason=True),
    _row(A.ANSWER, {S.CLOSED}, None, {R.REPORTER}),
    _row(A.WARN, OPEN, None, {R.SYSTEM}),
    _row(A.HAND_OVER, frozenset(IssueState), None, {R.SYSTEM}, reason=True),
)  # fmt: skip
"""Everything that can happen to an issue that was reported; what is not here cannot happen."""


@dataclass(frozen=True)
class Who:
    """Who wants to do something, as far as it matters for one issue.

    Parameters
    ----------
    role : Role
    areas : tuple of int
        Grids in which the account acts.
    organisations : tuple of int
        Organisations for which it acts.
    user : int, optional
    """

    role: Role
    areas: tuple[int, ...] = ()
    organisations: tuple[int, ...] = ()
    user: int | None = None


def relations(
    who: Who,
    line: tuple[int, ...],
    desk_level: int,
    lead: int | None,
    assisting: Collection[int] = (),
    reporter: int | None = None,
) -> frozenset[Relation]:
    """Return what somebody is to an issue.

    Parameters
    ----------
    who : Who
    line : tuple of int
        The owner grid's ancestors from the top, itself last.
    desk_level : int
        Level of the grid whose desk is in charge; 1 is the top.
    lead, assisting : int, collection of int
        Organisations that the issue was dispatched to.
    reporter : int, optional
        Account that reported it.

    Notes
    -----
    A desk is in charge of what lies in its areas and is held at its level or below; what was
    escalated past it, it reads and annotates no more than a worker does. The worker of the grid
    holds an issue while the desk in charge is the grid's own and no department has it.

    Examples
    --------
    >>> sorted(relations(Who(Role.COMMUNITY, (11,)), (1, 11, 111), 3, None))
    [<Relation.COMMUNITY: 'community'>]
    >>> sorted(relations(Who(Role.COMMUNITY, (11,)), (1, 11, 111), 1, None))
    []
    """
    found: set[Relation] = set()
    levels = [place for place, grid in enumerate(line, start=1) if grid in who.areas]
    if who.user is not None and who.user == reporter:
        found.add(R.REPORTER)
    if who.role is Role.ADMINISTRATOR:
        found.add(R.ADMINISTRATOR)
    if who.role is Role.LEADER:
        found.add(R.LEADER)
    if who.role is Role.WORKER and levels:
        found.add(R.WORKER)
        if lead is None and min(levels) <= desk_level:
            found.add(R.HOLDER)
    if who.role is Role.COMMUNITY and levels and min(levels) <= desk_level:
        found.add(R.SUBDISTRICT if min(levels) == 1 else R.COMMUNITY)
    if who.role is Role.DEPARTMENT:
        if lead is not None and lead in who.organisations:
            found.add(R.LEAD)
        if set(assisting) & set(who.organisations):
            found.add(R.ASSISTING)
    return frozenset(found)


def transition(
    act: IssueAct, state: IssueState, who: Collection[Relation], reason: str | None = None
) -> Transition:
    """Return the row of the table under which something may be done.

    Raises
    ------
    IssueActError
        If it cannot be done in this state (`reason` "state"), not by them ("who"), or not without
        saying why ("why").
    """
    fits = [row for row in TRANSITIONS if row.act is act and state in row.begins]
    if not fits:
        raise IssueActError(
            phrase("It stands at another step by now: load it again and look what was done."),
            act=act.value, state=state.value, reason="state",
        )  # fmt: skip
    for row in fits:
        if row.who & set(who):
            if row.reason and not (reason or "").strip():
                raise IssueActError(
                    phrase("Say why: this is not done without a reason."),
                    act=act.value, state=state.value, reason="why",
                )  # fmt: skip
            return row
    raise IssueActError(
        phrase("This step is for others to do."),
        act=act.value, state=state.value, reason="who",
    )  # fmt: skip


def acts_for(state: IssueState, who: Collection[Relation]) -> tuple[IssueAct, ...]:
    """Return what somebody may do to an issue in a state, in the order of the table."""
    found = (row.act for row in TRANSITIONS if state in row.begins and row.who & set(who))
    return tuple(dict.fromkeys(found))


_BEFORE: Final = {
    A.DISPATCH: (A.ACCEPT, A.REGISTER),
    A.JOIN: (A.ACCEPT, A.REGISTER),
    A.CLOSE: (A.CHECK,),
}
"""Steps that ask nothing and may be done in one go with the one that they lead to."""


def way_to(act: IssueAct, state: IssueState, who: Collection[Relation]) -> tuple[IssueAct, ...]:
    """Return the steps that lead to an act, itself last; none where they may not do all of them.

    Examples
    --------
    >>> desk = {Relation.COMMUNITY}
    >>> [step.value for step in way_to(IssueAct.DISPATCH, IssueState.REPORTED, desk)]
    ['accept', 'register', 'dispatch']
    >>> way_to(IssueAct.DISPATCH, IssueState.CLOSED, desk)
    ()
    """
    found: list[IssueAct] = []
    for step in (*_BEFORE.get(act, ()), act):
        rows = [row for row in TRANSITIONS if row.act is step and state in row.begins]
        if any(row.who & set(who) for row in rows):
            found.append(step)
            state = rows[0].ends or state
        elif step is act:
            return ()
    return tuple(found)


def start_level(levels: Collection[str], depth: int) -> int:
    """Return the level whose desk an issue begins at: that of the grid workers.

    Parameters
    ----------
    levels : collection of str
        Codes of the city's levels from the top.
    depth : int
        Level of the grid that owns the issue.

    Examples
    --------
    >>> start_level(["subdistrict", "community", "grid", "unit"], 4)
    3
    >>> start_level(["district", "sector"], 2)
    2
    """
    codes = list(levels)
    return min(codes.index("grid") + 1 if "grid" in codes else depth, depth)


def rung_above(level: int) -> int:
    """Return the level that an issue is escalated to; `DEPARTMENT` above the highest.

    Examples
    --------
    >>> [rung_above(level) for level in (3, 2, 1)]
    [2, 1, 0]
    """
    return max(level - 1, DEPARTMENT)


_PERSONS: Final = re.compile(
    r"重点人|重点人员|特殊人群|人员管控|稳控|上访|信访人|精神病|精神障碍|刑满|社区矫正|吸毒|"
    r"涉毒|邪教|流动人口|外来人口|租客|租户|残疾人|低保户|贫困户|空巢|独居|留守|孤寡|老赖|失信|"
    r"少数民族|宗教人士|家庭暴力|未成年人|大龄|信用评分|积分排名|住户信息|居民信息|身份证|"
    r"\bpersons?\b|\bpeople\b|\bresidents? of interest\b|\bpetitioners?\b|\baddicts?\b|"
    r"\bex-?(?:convict|offender)s?\b|\boffenders?\b|\bmigrants?\b|\btenants?\b|"
    r"\bmentally ill\b|\bdisabled\b|\bloners?\b|\bminorit(?:y|ies)\b|\bbelievers?\b|\bscores?\b",
    re.IGNORECASE,
)
"""Words of registers of persons in names of categories."""


def about_persons(name: str) -> str | None:
    """Return the word by which a name of a category is about persons; None if it is not.

    Issues are about things and places; registers of persons are not kept.

    Examples
    --------
    >>> about_persons("重点人员走访")
    '重点人'
    >>> about_persons("暴露垃圾") is None
    True
    """
    found = _PERSONS.search(name)
    return found.group() if found else None
