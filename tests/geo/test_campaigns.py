"""Small projects step by step, and what a bulletin covers."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from geo.campaigns import STEPS, acts_for, period_of
from geo.terms import Period, ProjectAct, ProjectState, Role

OVER = {ProjectState.FINISHED, ProjectState.REJECTED}


def test_every_state_but_the_last_ones_can_be_left_by_somebody() -> None:
    for state in ProjectState:
        acts = {act for role in Role for act in acts_for(state, role, 1, [])}
        assert bool(acts) == (state not in OVER), state
    assert set(STEPS) == set(ProjectAct) - {ProjectAct.PROPOSE}


@pytest.mark.parametrize("role", [Role.WORKER, Role.DEPARTMENT, Role.PLANNER, Role.PUBLIC])
def test_others_do_nothing(role: Role) -> None:
    assert not any(acts_for(state, role, 1, []) for state in ProjectState)


def test_nobody_signs_alone() -> None:
    proposed = [(ProjectAct.PROPOSE, 1)]
    agreed = [*proposed, (ProjectAct.AGREE, 2)]
    for role in Role:
        assert ProjectAct.AGREE not in acts_for(ProjectState.PROPOSED, role, 1, proposed)
        for user in (1, 2):
            assert ProjectAct.APPROVE not in acts_for(ProjectState.AGREED, role, user, agreed)
    assert ProjectAct.APPROVE in acts_for(ProjectState.AGREED, Role.LEADER, 3, agreed)


def test_periods_tile_the_days() -> None:
    for period, lengths in (
        (Period.WEEK, {7}), (Period.MONTH, {28, 29, 30, 31}), (Period.QUARTER, {90, 91, 92}),
    ):  # fmt: skip
        day = date(2023, 12, 25)
        for _ in range(900):
            first, last = period_of(period, day)
            assert first <= day <= last
            assert (last - first).days + 1 in lengths
            assert period_of(period, first) == period_of(period, last) == (first, last)
            assert period_of(period, last + timedelta(days=1))[0] == last + timedelta(days=1)
            day += timedelta(days=1)
