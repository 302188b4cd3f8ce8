"""What members say of a plan: of all of it, of a grid or a place, with answers, until resolved."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from geoalchemy2 import WKTElement
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import (
    ForbiddenError,
    GridNotFoundError,
    InvalidInputError,
    NotFoundError,
    PlanStateError,
)
from geo.saying import phrase
from geo.store import audit
from geo.store.drafts import rows, states
from geo.tables import SRID, Plan, PlanComment, PlanGrid
from geo.terms import PlanState

OPEN: Final = (PlanState.DRAFT, PlanState.SUBMITTED, PlanState.APPROVED)
"""States in which a plan is talked about; afterwards what was said stays as it is."""
MOST_LETTERS: Final = 2000
MOST_COMMENTS: Final = 5000
"""Comments and answers of one plan."""
NUMBERS_LOCK: Final = 7204
"""First half of the advisory lock on the numbers of comments; the second is the plan."""
UNSOUND: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_LISTED = text("""
    SELECT m.comment_id AS comment, m.answers, m.author_id AS author, a.display_name AS author_name,
        m.grid_id AS grid, ST_X(m.place) AS lon, ST_Y(m.place) AS lat, m.text, m.at,
        m.resolved_by, r.display_name AS resolved_name, m.resolved_at
    FROM plan_comment AS m
    LEFT JOIN plan_people(CAST(:city AS smallint), :plan) AS a ON a.user_id = m.author_id
    LEFT JOIN plan_people(CAST(:city AS smallint), :plan) AS r ON r.user_id = m.resolved_by
    WHERE m.city_id = :city AND m.plan_id = :plan AND m.comment_id > :after
    ORDER BY m.comment_id LIMIT :most
""")
_LAST = text("""
    SELECT coalesce(max(comment_id), 0) FROM plan_comment WHERE city_id = :city AND plan_id = :plan
""")


def listing(
    session: Session, viewer: Viewer, plan_id: int, *, after: int = 0, limit: int = 500
) -> list[dict[str, Any]]:
    """Return comments and answers of a plan, those numbered after `after`, the oldest first.

    Each names its author and, once resolved, who resolved it; `place` is a point in degrees.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    plan = rows.find(session, viewer, plan_id)
    asked = {"city": plan.city_id, "plan": plan_id, "after": after, "most": limit}
    return [_told(dict(row._mapping)) for row in session.execute(_LISTED, asked)]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    lon, lat = row.pop("lon"), row.pop("lat")
    place = None if lon is None else {"type": "Point", "coordinates": [lon, lat]}
    return {**row, "place": place}


def add(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    words: str,
    *,
    grid: int | None = None,
    place: tuple[float, float] | None = None,
    answers: int | None = None,
) -> int:
    """Say something of a plan; return the number of the comment.

    Parameters
    ----------
    words : str
        1 to 2,000 letters, line breaks allowed.
    grid : int, optional
        The grid of the plan that is meant.
    place : (float, float), optional
        Lon and lat, degrees.
    answers : int, optional
        The comment that is answered; an answer to an answer belongs to the same comment.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    PlanStateError
        If the plan is published or withdrawn.
    InvalidInputError
        If text or place cannot be used, or the plan has all the comments it can hold.
    GridNotFoundError, NotFoundError
        If the plan has no such grid, or no such comment to be answered.
    """
    plan = _talked_about(session, viewer, plan_id)
    said = _sound(words)
    if place is not None and not _on_globe(*place):
        raise InvalidInputError(phrase("A place is lon and lat in degrees."), field="place")
    if grid is not None and session.get(PlanGrid, (plan.city_id, plan_id, grid)) is None:
        raise GridNotFoundError(phrase("The plan has no grid %(grid)s.", grid=grid), grid=grid)
    root = _root(session, plan, answers)
    session.execute(select(func.pg_advisory_xact_lock(NUMBERS_LOCK, plan_id)))
    known = {"city": plan.city_id, "plan": plan_id}
    number = int(session.execute(_LAST, known).scalar_one()) + 1
    if number > MOST_COMMENTS:
        raise InvalidInputError(
            phrase("A plan holds %(most)s comments.", most=MOST_COMMENTS),
            field="text",
        )
    point = None if place is None else WKTElement(f"POINT({place[0]!r} {place[1]!r})", srid=SRID)
    session.add(
        PlanComment(
            city_id=plan.city_id, plan_id=plan_id, comment_id=number, author_id=viewer.user_id,
            answers=root, grid_id=grid, place=point, text=said,
        )
    )  # fmt: skip
    session.flush()
    _noted(session, viewer, plan_id, "plan.comment", {"comment": number, "answers": root})
    return number


def resolve(
    session: Session, viewer: Viewer, plan_id: int, comment: int, *, resolved: bool = True
) -> None:
    """Mark a comment as done with, or open it again; twice is once.

    Raises
    ------
    PlanNotFoundError, PlanStateError
        As for `add`.
    NotFoundError
        If the plan has no such comment, or it is an answer.
    ForbiddenError
        If the viewer neither wrote it nor draws on the plan.
    """
    plan = _talked_about(session, viewer, plan_id)
    found = session.get(PlanComment, (plan.city_id, plan_id, comment), with_for_update=True)
    if found is None or found.answers is not None:
        raise NotFoundError(
            phrase("The plan has no comment %(comment)s.", comment=comment), comment=comment
        )
    if viewer.user_id != found.author_id and viewer.user_id not in plan.drawers:
        raise ForbiddenError(phrase("Who wrote a comment or draws on the plan resolves it."))
    if (found.resolved_by is not None) is resolved:
        return
    found.resolved_by, found.resolved_at = None, None
    if resolved:
        now = session.scalar(select(func.statement_timestamp()))
        found.resolved_by, found.resolved_at = viewer.user_id, now
    session.flush()
    _noted(session, viewer, plan_id, "plan.resolve", {"comment": comment, "resolved": resolved})


def _talked_about(session: Session, viewer: Viewer, plan_id: int) -> Plan:
    """Return a plan of the viewer's that is still talked about; it stays so until the end."""
    plan = rows.find(session, viewer, plan_id, share=True)
    if plan.state not in OPEN:
        message = phrase(
            "The plan is %(state)s: what was said of it stays as it is.",
            state=states.IN_WORDS[plan.state],
        )
        raise PlanStateError(message, plan=plan_id, state=plan.state)
    return plan


def _sound(words: str) -> str:
    said = words.replace("\r\n", "\n").strip()
    if not 1 <= len(said) <= MOST_LETTERS or UNSOUND.search(said):
        message = phrase("A comment is a text of 1 to %(most)s letters.", most=MOST_LETTERS)
        raise InvalidInputError(message, field="text")
    return said


def _on_globe(lon: float, lat: float) -> bool:
    return math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90


def _root(session: Session, plan: Plan, answers: int | None) -> int | None:
    if answers is None:
        return None
    found = session.get(PlanComment, (plan.city_id, plan.plan_id, answers))
    if found is None:
        raise NotFoundError(
            phrase("The plan has no comment %(comment)s.", comment=answers), comment=answers
        )
    return found.answers or answers


def _noted(
    session: Session, viewer: Viewer, plan_id: int, action: str, told: dict[str, Any]
) -> None:
    audit.append(
        session, viewer.city_id or 0, action, f"plan/{plan_id}", told,
        actor_id=viewer.user_id, actor_role=str(viewer.role),
    )  # fmt: skip
