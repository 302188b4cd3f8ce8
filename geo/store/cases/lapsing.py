"""What happens by lapse of time: the desk is warned, and later the issue goes one rung up."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from geo.deadlines import Limit, deadline
from geo.errors import IssueActError
from geo.store.cases.acting import ActWish, act_as_system
from geo.store.cases.rules import rules_of
from geo.tables import Issue
from geo.terms import IssueAct, IssueState, LimitUnit

AT_ONCE: Final = 500
_IN_HAND: Final = tuple(
    state.value for state in (IssueState.DISPATCHED, IssueState.REWORKED, IssueState.POSTPONED)
)


def warn_and_escalate(
    session: Session, city_id: int, now: datetime, *, dry_run: bool = False
) -> dict[str, int]:
    """Warn desks of passed deadlines; escalate what was warned of long enough ago; for the owner.

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
    late = (
        select(Issue.issue_id, Issue.warned_at)
        .where(
            Issue.city_id == city_id,
            Issue.set_aside.is_(None),
            Issue.state.in_(_IN_HAND),
            Issue.due_at < now,
            Issue.deadline_at < now,
        )
        .order_by(Issue.due_at, Issue.issue_id)
    )
    unwarned = session.execute(late.where(Issue.warned_at.is_(None)).limit(AT_ONCE)).all()
    warned = session.execute(
        late.where(Issue.warned_at.is_not(None), Issue.desk_level > 1).limit(AT_ONCE)
    ).all()
    ripe = [one for one in warned if deadline(one.warned_at, grace, rules.calendar) <= now]
    done = {"warned": 0, "escalated": 0}
    for row in unwarned:
        if not dry_run:
            wish = ActWish("the deadline has passed")
            act_as_system(session, city_id, row.issue_id, IssueAct.WARN, wish)
        done["warned"] += 1
    for row in ripe:
        if not dry_run:
            wish = ActWish("warned of, and still not handled")
            try:
                act_as_system(session, city_id, row.issue_id, IssueAct.ESCALATE, wish)
            except IssueActError:  # nobody stands above
                continue
        done["escalated"] += 1
    return done
