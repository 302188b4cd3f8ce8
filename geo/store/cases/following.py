"""What a resident may know and say of a report: by its code and the secret of its link."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.errors import IssueActError, NotFoundError
from geo.issues import transition
from geo.store import audit
from geo.store.cases import sending
from geo.store.cases.reporting import LONGEST_WORDS, hash_of
from geo.tables import Category
from geo.terms import IssueAct, IssueState, Relation

TELL: Final = (
    "issue_id", "code", "category", "state", "reported_at", "closed_at", "deadline_at", "reopens",
    "satisfied", "on_the_spot", "duplicate_of",
)  # fmt: skip
NEAR_M: Final = 150


def follow(session: Session, code: str, secret: str) -> dict[str, Any]:
    """Return what a reporter may know of the own report.

    Raises
    ------
    NotFoundError
        If code and secret do not belong together.
    """
    row = _followed(session, code, secret)
    words = session.execute(
        select(Category.name, Category.name_en).where(
            Category.city_id == row.city_id, Category.category == row.category
        )
    ).one()
    events = session.execute(
        text("SELECT at, act, state FROM followed_events(:code, :secret)"),
        {"code": code, "secret": hash_of(secret)},
    )
    return {
        **{name: getattr(row, name) for name in TELL},
        "category_name": words.name,
        "category_name_en": words.name_en,
        "may": [
            what.value
            for what in (IssueAct.ANSWER, IssueAct.REOPEN)
            if row.state == IssueState.CLOSED.value
        ],
        "events": [dict(event._mapping) for event in events],
    }


def _followed(session: Session, code: str, secret: str) -> Any:
    row = session.execute(
        text("SELECT * FROM followed_issue(:code, :secret)"),
        {"code": code, "secret": hash_of(secret)},
    ).first()
    if row is None:
        raise NotFoundError("This code and this link do not belong together.")
    return row


def answer(
    session: Session, code: str, secret: str, satisfied: bool, words: str | None = None
) -> str:
    """Say whether one is satisfied with how a closed issue was solved; return its state.

    Raises
    ------
    NotFoundError
        If code and secret do not belong together.
    IssueActError
        If it is not closed.
    """
    return _said(session, code, secret, IssueAct.ANSWER, satisfied, words)


def reopen(session: Session, code: str, secret: str, words: str) -> str:
    """Open a closed issue again, saying why; return its state.

    Raises
    ------
    NotFoundError
        If code and secret do not belong together.
    IssueActError
        If it is not closed, or no reason is given.
    """
    return _said(session, code, secret, IssueAct.REOPEN, False, words)


def _said(
    session: Session, code: str, secret: str, what: IssueAct, satisfied: bool, words: str | None
) -> str:
    row = _followed(session, code, secret)
    kept = (words or "").strip()[:LONGEST_WORDS].replace("\x00", "") or None
    transition(what, IssueState(row.state), {Relation.REPORTER}, kept)
    state: str | None = session.scalar(
        select(func.answer_followed(code, hash_of(secret), what.value, satisfied, kept))
    )
    if state is None:  # somebody was quicker
        raise IssueActError(
            "It is not closed any more.", act=what.value, state=row.state, reason="state"
        )
    sending.tell(session, row.city_id, row.issue_id, what, IssueState(state))
    audit.append(session, row.city_id, f"issue.{what.value}", f"issue/{row.issue_id}",
                 {"state": state, "satisfied": satisfied})  # fmt: skip
    return state


def near(session: Session, lon: float, lat: float, radius_m: int = NEAR_M) -> list[dict[str, Any]]:
    """Return open, checked issues beside a place that may be shown exactly, the nearest first."""
    rows = session.execute(
        text("SELECT * FROM issues_shown_near(:lon, :lat, :radius)"),
        {"lon": lon, "lat": lat, "radius": radius_m},
    )
    return [dict(row._mapping) for row in rows if row.away_m <= radius_m]
