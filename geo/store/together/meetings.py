"""Meetings of residents and the office: place, time, topics that become issues, what came of them.

Nobody who came is named: a topic is what was spoken of, and its words are looked through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import and_, func, insert, select, true, update
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    StaleEditError,
)
from geo.store import audit, rights
from geo.store.cases import reporting
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.store.together import places, words
from geo.tables import Issue, Meeting, MeetingTopic, NetGrid
from geo.terms import MeetingKind, MeetingState

MOST_TOPICS: Final = 200
LATEST: Final = 300
"""Meetings of a list; earlier ones are asked for by date."""


@dataclass(frozen=True)
class Plan:
    """Where and when people come together, about what."""

    kind: MeetingKind
    title: str
    place: str
    held_at: datetime
    grid: int


def create(session: Session, viewer: Viewer, at: Moment, plan: Plan) -> int:
    """Enter a meeting of a grid; return its number.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    InvalidInputError
        If the grid lies elsewhere, or a value cannot be used; `field` names it.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = {
        "city_id": city_id, **_said(plan), **places.of_grid(session, viewer, at, plan.grid),
        "state": MeetingState.PLANNED.value, "created_by": viewer.user_id,
    }  # fmt: skip
    made = session.scalar(insert(Meeting).values(**values).returning(Meeting.meeting_id))
    what = {"kind": plan.kind.value, "grid": plan.grid}
    audit.append(session, city_id, "meeting.created", f"meeting/{made}", what)
    return int(made or 0)


def change(
    session: Session,
    viewer: Viewer,
    meeting: int,
    version: int,
    *,
    plan: Plan | None = None,
    state: MeetingState | None = None,
    outcome: str | None = None,
) -> int:
    """Change what is planned, or say that it was held and what came of it; return the version.

    Its grid stays: a meeting elsewhere is another one.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer may see no such meeting.
    StaleEditError
        If it was changed since.
    InvalidInputError
        If a value cannot be used.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    row = _own(session, viewer, meeting)
    if row.version != version:
        raise StaleEditError("The meeting was changed since.", version=row.version)
    values: dict[str, Any] = _said(plan) if plan else {}
    if state is not None:
        values["state"] = state.value
    if outcome is not None:
        values["outcome"] = words.perhaps(outcome, "outcome")
    own = (Meeting.city_id == city_id, Meeting.meeting_id == meeting)
    session.execute(update(Meeting).where(*own).values(**values, version=version + 1))
    what = {"fields": sorted(values), **({"state": state.value} if state else {})}
    audit.append(session, city_id, "meeting.changed", f"meeting/{meeting}", what)
    return version + 1


def add_topic(session: Session, viewer: Viewer, meeting: int, said: str) -> int:
    """Write down what was spoken of; return the topic's number.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer may see no such meeting.
    InvalidInputError
        If the words cannot be kept, or the meeting has its topics.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    _own(session, viewer, meeting)
    topic = MeetingTopic
    own = (topic.city_id == city_id, topic.meeting_id == meeting)
    n = int(session.scalar(select(func.coalesce(func.max(topic.n), 0)).where(*own)) or 0) + 1
    if n > MOST_TOPICS:
        told = f"A meeting has at most {MOST_TOPICS} topics."
        raise InvalidInputError(told, field="words", reason="full")
    kept = words.plain(said, "words")
    session.execute(insert(topic).values(city_id=city_id, meeting_id=meeting, n=n, words=kept))
    audit.append(session, city_id, "meeting.topic", f"meeting/{meeting}", {"topic": n})
    return n


def settle(session: Session, viewer: Viewer, meeting: int, n: int, outcome: str) -> None:
    """Say what came of a topic beside issues: an answer that was given at once.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer may see no such topic.
    InvalidInputError
        If the words cannot be kept.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    _topic(session, viewer, meeting, n)
    topic = MeetingTopic
    session.execute(
        update(topic)
        .where(topic.city_id == city_id, topic.meeting_id == meeting, topic.n == n)
        .values(outcome=words.perhaps(outcome, "outcome"))
    )
    audit.append(session, city_id, "meeting.settled", f"meeting/{meeting}", {"topic": n})


def raise_issue(
    session: Session,
    viewer: Viewer,
    at: Moment,
    meeting: int,
    n: int,
    *,
    category: str,
    lon: float | None = None,
    lat: float | None = None,
    address: str | None = None,
) -> int:
    """Make an issue of a topic, once, at a place (degrees) or in the middle of the grid.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer may see no such topic.
    ConflictError
        If it is an issue already.
    OutsideCityError
        If the place lies outside the city.
    InvalidInputError
        If there is no such category, or a value cannot be used.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    held = _own(session, viewer, meeting)
    row = _topic(session, viewer, meeting, n)
    if row.issue_id is not None:
        told = "The topic is an issue already."
        raise ConflictError(told, issue=row.issue_id, reason="issue_already")
    if lon is None or lat is None:
        lon, lat = places.middle_of(session, at, held.grid_id)
    else:
        places.of_point(session, viewer, at, lon, lat)
    made = reporting.report(
        session, viewer, at,
        reporting.Report(
            category, lon, lat, row.words, words.perhaps(address, "address", 200),
            channel="meeting",
        ),
    )  # fmt: skip
    topic = MeetingTopic
    session.execute(
        update(topic)
        .where(topic.city_id == city_id, topic.meeting_id == meeting, topic.n == n)
        .values(issue_id=made.issue)
    )
    what = {"topic": n, "issue": made.issue}
    audit.append(session, city_id, "meeting.issue", f"meeting/{meeting}", what)
    return made.issue


def listed(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    since: date | None = None,
    until: date | None = None,
    kind: MeetingKind | None = None,
) -> list[dict[str, Any]]:
    """Return the meetings of the viewer's areas, the latest first, with counts of their topics.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    """
    if not viewer.staff:
        raise ForbiddenError("Meetings are listed for the staff of the city.")
    topic, closed = MeetingTopic, Issue.state == "closed"
    counts = (
        select(func.count().label("topics"), func.count(topic.issue_id).label("issues"),
               func.count().filter(closed).label("closed"))
        .outerjoin(Issue, and_(Issue.city_id == topic.city_id, Issue.issue_id == topic.issue_id))
        .where(topic.city_id == Meeting.city_id, topic.meeting_id == Meeting.meeting_id)
        .lateral()
    )  # fmt: skip
    asked = _cards(at, viewer).add_columns(counts.c.topics, counts.c.issues, counts.c.closed)
    asked = asked.join(counts, true()).order_by(Meeting.held_at.desc(), Meeting.meeting_id)
    local = func.date(func.timezone(at.timezone, Meeting.held_at))
    if since is not None:
        asked = asked.where(local >= since)
    if until is not None:
        asked = asked.where(local <= until)
    if kind is not None:
        asked = asked.where(Meeting.kind == kind.value)
    return [dict(row._mapping) for row in session.execute(asked.limit(LATEST))]


def show(session: Session, viewer: Viewer, at: Moment, meeting: int) -> dict[str, Any]:
    """Return a meeting with its topics, and how far the issues are that came of them.

    Raises
    ------
    NotFoundError
        If the viewer may see no such meeting.
    """
    row = session.execute(_cards(at, viewer).where(Meeting.meeting_id == meeting)).one_or_none()
    if not viewer.staff or row is None:
        raise NotFoundError(f"There is no meeting {meeting}.", meeting=meeting)
    topic = MeetingTopic
    rows = session.execute(
        select(topic.n, topic.words, topic.outcome, topic.issue_id.label("issue"),
               Issue.state.label("issue_state"))
        .outerjoin(Issue, and_(Issue.city_id == topic.city_id, Issue.issue_id == topic.issue_id))
        .where(topic.city_id == viewer.city_id, topic.meeting_id == meeting)
        .order_by(topic.n)
    )  # fmt: skip
    return {**row._mapping, "topics": [dict(one._mapping) for one in rows]}


def of_issue(session: Session, viewer: Viewer, issue: int) -> list[dict[str, Any]]:
    """Return the meetings that an issue came of."""
    topic = MeetingTopic
    rows = session.execute(
        select(Meeting.meeting_id.label("meeting"), Meeting.title, Meeting.held_at, topic.n)
        .join(topic, and_(topic.city_id == Meeting.city_id,
                          topic.meeting_id == Meeting.meeting_id))
        .where(places.seen(Meeting, viewer), topic.issue_id == issue)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def _said(plan: Plan) -> dict[str, Any]:
    if plan.held_at.tzinfo is None or not 1900 < plan.held_at.year < 2999:
        raise InvalidInputError("A moment has a zone.", field="held_at", reason="no_date")
    return {
        "kind": plan.kind.value,
        "title": words.title(plan.title, "title"),
        "place": words.title(plan.place, "place"),
        "held_at": plan.held_at,
    }


def _cards(at: Moment, viewer: Viewer) -> Any:
    grid = and_(of_net(NetGrid, at), NetGrid.grid_id == Meeting.grid_id)
    return (
        select(
            Meeting.meeting_id.label("meeting"), Meeting.kind, Meeting.title, Meeting.place,
            Meeting.held_at, Meeting.state, Meeting.outcome, Meeting.version,
            Meeting.grid_id.label("grid"), NetGrid.name.label("grid_name"),
        )
        .outerjoin(NetGrid, grid)
        .where(places.seen(Meeting, viewer))
    )  # fmt: skip


def _own(session: Session, viewer: Viewer, meeting: int) -> Any:
    row = session.scalars(
        select(Meeting)
        .where(Meeting.meeting_id == meeting, places.seen(Meeting, viewer))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no meeting {meeting} in your area.", meeting=meeting)
    return row


def _topic(session: Session, viewer: Viewer, meeting: int, n: int) -> Any:
    _own(session, viewer, meeting)
    topic = MeetingTopic
    row = session.execute(
        select(topic.words, topic.issue_id).where(
            topic.city_id == viewer.city_id, topic.meeting_id == meeting, topic.n == n
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"The meeting has no topic {n}.", topic=n)
    return row
