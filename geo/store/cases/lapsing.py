"""What happens by lapse of time: the desk is warned, and later the issue goes one rung up."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from geo.deadlines import Limit, deadline
from geo.errors import IssueActError
from geo.store.cases.acting import ActWish, act_as_system
from geo.store.cases.rules import rules_of
from geo.tables import Issue
from geo.terms import IssueAct, IssueState, LimitUnit

AT_ONCE: Final = 500
S = IssueState
_IN_HAND: Final = (S.DISPATCHED.value, S.REWORKED.value, S.POSTPONED.value)
_UNREGISTERED: Final = (S.REPORTED.value, S.ACCEPTED.value, S.VERIFIED.value)
_OVER: Final = (S.CLOSED.value, S.VOID.value)


def warn_and_escalate(
    session: Session, city_id: int, now: datetime, *, dry_run: bool = False
) -> dict[str, int]:
    """Warn desks of passed deadlines; escalate what was warned of long enough ago; for the owner.

    Late is what is not handled by its deadline, also while it waits to be dispatched anew, and what
    is not registered in time. Each rung is warned before the next one gets the issue; above the
    highest desk stands the category's lead, for what is registered and was sent to nobody.
    At most `AT_ONCE` of each in one call.

    Parameters
    ----------
    session : Session
    city_id : int
    now : datetime
    dry_run : bool
        Only count.
    """
    rules = rules_of(session, city_id)
    grace = Limit(rules.profile.escalation.after_working_hours, LimitUnit.WORKING_HOURS)
    late = select(Issue.issue_id, Issue.warned_at).where(
        Issue.city_id == city_id,
        Issue.set_aside.is_(None),
        Issue.state.not_in(_OVER),
        Issue.due_at < now,
        _late(now),
    )
    unwarned = session.execute(
        late.where(Issue.warned_at.is_(None)).order_by(Issue.due_at, Issue.issue_id).limit(AT_ONCE)
    ).all()
    led = [kind.code for kind in rules.kinds.values() if kind.lead is not None]
    rung = or_(
        Issue.desk_level > 1,
        and_(
            Issue.desk_level == 1,
            Issue.organisation_id.is_(None),
            Issue.state.not_in(_UNREGISTERED),
            Issue.category.in_(led),
        ),
    )
    warned = session.execute(
        late.where(Issue.warned_at.is_not(None), rung)
        .order_by(Issue.warned_at, Issue.issue_id)
        .limit(AT_ONCE)
    ).all()
    ripe = [one for one in warned if deadline(one.warned_at, grace, rules.calendar) <= now]
    if dry_run:
        return {"warned": len(unwarned), "escalated": len(ripe)}
    done = {"warned": 0, "escalated": 0}
    for rows, act, why, name in (
        (unwarned, IssueAct.WARN, "the deadline has passed", "warned"),
        (ripe, IssueAct.ESCALATE, "warned of, and still not handled", "escalated"),
    ):
        for row in rows:
            try:
                with session.begin_nested():
                    act_as_system(session, city_id, row.issue_id, act, ActWish(why))
            except IssueActError:  # somebody treated it meanwhile
                continue
            done[name] += 1
    return done


def _late(now: datetime) -> ColumnElement[bool]:
    """Return the condition of issues of which a desk is warned."""
    return or_(
        and_(Issue.state.in_((*_IN_HAND, S.RETURNED.value)), Issue.deadline_at < now),
        and_(
            Issue.state.in_(_UNREGISTERED),
            Issue.register_by < now,
            Issue.registered_at.is_(None),
        ),
    )
