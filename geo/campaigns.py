"""Campaigns and small projects: who may do which step, and what a bulletin covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from geo.terms import Period, ProjectAct, ProjectState, Role

MONTHS_A_QUARTER: Final = 3
DECEMBER: Final = 12


@dataclass(frozen=True)
class Step:
    """A step of a small project.

    Parameters
    ----------
    begins : frozenset of ProjectState
        States in which it may be done.
    ends : ProjectState
    roles : frozenset of Role
    reason : bool
        Whether it says why.
    another : tuple of ProjectAct
        Steps that somebody else must have done: who proposes does not agree, who agreed does not
        approve.
    """

    begins: frozenset[ProjectState]
    ends: ProjectState
    roles: frozenset[Role]
    reason: bool = False
    another: tuple[ProjectAct, ...] = ()


_DESKS: Final = frozenset({Role.COMMUNITY, Role.ADMINISTRATOR})
_SIGN: Final = frozenset({Role.LEADER, Role.ADMINISTRATOR})
STEPS: Final[Mapping[ProjectAct, Step]] = {
    ProjectAct.AGREE: Step(
        frozenset({ProjectState.PROPOSED}), ProjectState.AGREED, _DESKS,
        another=(ProjectAct.PROPOSE,),
    ),
    ProjectAct.APPROVE: Step(
        frozenset({ProjectState.AGREED}), ProjectState.APPROVED, _SIGN,
        another=(ProjectAct.PROPOSE, ProjectAct.AGREE),
    ),
    ProjectAct.SEND_BACK: Step(
        frozenset({ProjectState.AGREED, ProjectState.APPROVED}), ProjectState.PROPOSED,
        _DESKS | _SIGN, reason=True,
    ),
    ProjectAct.REJECT: Step(
        frozenset({ProjectState.PROPOSED, ProjectState.AGREED}), ProjectState.REJECTED,
        _DESKS | _SIGN, reason=True,
    ),
    ProjectAct.START: Step(
        frozenset({ProjectState.APPROVED}), ProjectState.UNDER_WAY, _DESKS
    ),
    ProjectAct.FINISH: Step(
        frozenset({ProjectState.UNDER_WAY}), ProjectState.FINISHED, _DESKS
    ),
}  # fmt: skip
"""Proposed by a community, agreed by another account of the desk, approved by a leader."""


def acts_for(
    state: ProjectState, role: Role, user: int | None, before: Sequence[tuple[ProjectAct, int]]
) -> tuple[ProjectAct, ...]:
    """Return what somebody may do with a project now.

    Parameters
    ----------
    state : ProjectState
    role : Role
    user : int, optional
        The account that would act.
    before : sequence of (ProjectAct, int)
        Steps since the last proposal, and whose they were.

    Examples
    --------
    >>> acts_for(ProjectState.PROPOSED, Role.COMMUNITY, 2, [(ProjectAct.PROPOSE, 1)])
    (<ProjectAct.AGREE: 'agree'>, <ProjectAct.REJECT: 'reject'>)
    >>> acts_for(ProjectState.PROPOSED, Role.COMMUNITY, 1, [(ProjectAct.PROPOSE, 1)])
    (<ProjectAct.REJECT: 'reject'>,)
    """
    own = {act for act, actor in before if actor == user}
    return tuple(
        act
        for act, step in STEPS.items()
        if state in step.begins and role in step.roles and not own & set(step.another)
    )


def period_of(period: Period, day: date) -> tuple[date, date]:
    """Return the first and the last day of the week, month or quarter that holds a day.

    Examples
    --------
    >>> period_of(Period.WEEK, date(2026, 3, 1))
    (datetime.date(2026, 2, 23), datetime.date(2026, 3, 1))
    >>> period_of(Period.QUARTER, date(2026, 12, 5))
    (datetime.date(2026, 10, 1), datetime.date(2026, 12, 31))
    """
    if period is Period.WEEK:
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=6)
    if period is Period.MONTH:
        begins, ends = day.month, day.month
    else:
        begins = day.month - (day.month - 1) % MONTHS_A_QUARTER
        ends = begins + MONTHS_A_QUARTER - 1
    after = date(day.year + ends // DECEMBER, ends % DECEMBER + 1, 1)
    return date(day.year, begins, 1), after - timedelta(days=1)
