"""Answers and appeals, the same for a firm's rating and for an inspection: who may, and in time."""

from __future__ import annotations

from datetime import date
from typing import Final

from geo.db import Viewer
from geo.errors import ConflictError, ForbiddenError
from geo.ratings import demand_time
from geo.store import rights
from geo.terms import RatingAct, RatingState, Role

JUDGES: Final = frozenset({Role.ADMINISTRATOR, Role.LEADER})
"""They decide on appeals, never on what they rated or entered themselves."""


def acts_of(viewer: Viewer, organisation: int | None) -> frozenset[RatingAct]:
    """Return what a viewer may do at all about something that concerns an organisation.

    The organisation answers and appeals itself, or the desk writes down what it handed in.
    """
    desk = viewer.role in rights.TELLING
    own = viewer.role is Role.DEPARTMENT and organisation in viewer.organisations
    may = {
        RatingAct.ANSWER: desk or own,
        RatingAct.APPEAL: desk or own,
        RatingAct.DECIDE: viewer.role in JUDGES,
        RatingAct.WITHDRAW: desk,
    }
    return frozenset(act for act, allowed in may.items() if allowed)


def demand(
    viewer: Viewer,
    act: RatingAct,
    state: RatingState,
    *,
    organisation: int | None,
    made_by: int | None,
    until: date,
    today: date,
) -> RatingState:
    """Return where something stands after an act of the viewer.

    Parameters
    ----------
    organisation : int, optional
        Whom it concerns.
    made_by : int, optional
        Who rated or entered it, and does not decide on it.
    until : date
        Last day of an answer or an appeal.

    Raises
    ------
    ForbiddenError
        If this is for others.
    ConflictError
        If it cannot be done in its state, its time is over, or the same person would decide.
    """
    if act not in acts_of(viewer, organisation):
        raise ForbiddenError("This is for others to do.")
    after = demand_time(act, state, until, today)
    if act is RatingAct.DECIDE and made_by is not None and made_by == viewer.user_id:
        raise ConflictError("Who made or entered it does not decide on it.", reason="same_person")
    return after


def open_acts(
    viewer: Viewer,
    state: RatingState,
    *,
    organisation: int | None,
    made_by: int | None,
    answer_until: date,
    appeal_until: date,
    today: date,
) -> list[RatingAct]:
    """Return what the viewer may do now, in the order in which it is offered."""
    found = []
    for act in (RatingAct.DECIDE, RatingAct.ANSWER, RatingAct.APPEAL, RatingAct.WITHDRAW):
        until = answer_until if act is RatingAct.ANSWER else appeal_until
        try:
            demand(viewer, act, state, organisation=organisation, made_by=made_by, until=until,
                   today=today)  # fmt: skip
        except (ConflictError, ForbiddenError):
            continue
        found.append(act)
    return found
