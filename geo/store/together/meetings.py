"""Meetings of residents and the office: place, time, topics that become issues, what came of them.

Nobody who came is named: a topic is what was spoken of, and its words are looked through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select, true, update
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
)
from geo.store import audit, rights
from geo.store.cases import reporting
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.store.together import places, words
from geo.store.together.rows import Made, demand_version, enter, locked
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


def create(
    session: Session, viewer: Viewer, at: Moment, plan: Plan, client_id: UUID | None = None
) -> Made:
    """Enter a meeting of a grid, once under an id.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    InvalidInputError
        If the grid lies elsewhere, or a value cannot be used; `field` names it.
    ConflictError
        If something else came in under the id.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = {
        "city_id": city_id, **_said(vars(plan)), **places.of_grid(session, viewer, at, plan.grid),
        "state": MeetingState.PLANNED.value, "created_by": viewer.user_id,
    }  # fmt: skip
    made = enter(session, Meeting.meeting_id, client_id, values)
    if made.created:
        what = {"kind": plan.kind.value, "grid": plan.grid}
        audit.append(session, city_id, "meeting.created", f"meeting/{made.number}", what)
    return made


def change(
    session: Session,
    viewer: Viewer,
    at: Moment,
    meeting: int,
    version: int,
    said: Mapping[str, Any],
) -> int:
    """Change what is planned, or say that it was held and what came of it; return the version.

    Parameters
    ----------
    said : mapping
        Any of `kind`, `title`, `place`, `held_at`, `state`, `outcome`; the others stay. The grid
        stays: a meeting elsewhere is another one.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer may see no such meeting.
    StaleEditError
        If it was changed since.
    InvalidInputError
        If a value cannot be used, or it is held before its day.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    row = locked(session, viewer, Meeting.meeting_id, meeting, version)
    values = _said(said)
    if "outcome" in said:
        values["outcome"] = words.perhaps(said["outcome"], "outcome")
    if "state" in said:
        values["state"] = MeetingState(said["state"]).value
    day = values.get("held_at", row.held_at).astimezone(ZoneInfo(at.timezone)).date()
    if values.get("state", row.state) == MeetingState.HELD.value and day > at.day:
        told = "It cannot have been held before its day."
        raise InvalidInputError(told, field="state", reason="to_come")
    own = (Meeting.city_id == city_id, Meeting.meeting_id == meeting)
    session.execute(update(Meeting).where(*own).values(**values, version=version + 1))
    what = {"fields": sorted(values), **({"state": values["state"]} if "state" in values else {})}
    audit.append(session, city_id, "meeting.changed", f"meeting/{meeting}", what)
    return version + 1


def add_topic(
    session: Session, viewer: Viewer, meeting: int, said: str, client_id: UUID | None = None
) -> Made:
    """Write down what was spoken of, once under an id; its number is the topic's.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer may see no such meeting.
    InvalidInputError
        If the words cannot be kept, the meeting is off, or has its topics.
    ConflictError
        If something else came in under the id.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    held = locked(session, viewer, Meeting.meeting_id, meeting)
    if held.state == MeetingState.CANCELLED.value:
        raise InvalidInputError("The meeting is off.", field="words", reason="is_off")
    topic = MeetingTopic
    own = (topic.city_id == city_id, topic.meeting_id == meeting)
    n = int(session.scalar(select(func.coalesce(func.max(topic.n), 0)).where(*own)) or 0) + 1
    values = {
        "city_id": city_id, "meeting_id": meeting, "n": n, "words": words.plain(said, "words"),
    }  # fmt: skip
    made = enter(session, topic.n, client_id, values)
    if made.number > MOST_TOPICS:
        told = f"A meeting has at most {MOST_TOPICS} topics."
        raise InvalidInputError(told, field="words", reason="full")
    if made.created:
        what = {"topic": made.number}
        audit.append(session, city_id, "meeting.topic", f"meeting/{meeting}", what)
    return made


def change_topic(
    session: Session, viewer: Viewer, meeting: int, n: int, version: int, said: Mapping[str, Any]
) -> int:
    """Say what came of a topic beside issues, or correct its words; return its version.

    Parameters
    ----------
    said : mapping
        `outcome`, an answer that was given at once; `words`, until it is an issue.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer may see no such topic.
    StaleEditError
        If it was changed since.
    ConflictError
        If its words are those of an issue.
    InvalidInputError
        If the words cannot be kept.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    locked(session, viewer, Meeting.meeting_id, meeting)
    row = _topic(session, viewer, meeting, n)
    demand_version(row, version)
    values: dict[str, Any] = {}
    if "outcome" in said:
        values["outcome"] = words.perhaps(said["outcome"], "outcome")
    if "words" in said:
        if row.issue_id is not None:
            raise _issue_already(row.issue_id)
        values["words"] = words.plain(said["words"], "words")
    topic = MeetingTopic
    own = (topic.city_id == city_id, topic.meeting_id == meeting, topic.n == n)
    session.execute(update(topic).where(*own).values(**values, version=version + 1))
    what = {"topic": n, "fields": sorted(values)}
    audit.append(session, city_id, "meeting.settled", f"meeting/{meeting}", what)
    return version + 1


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
    held = locked(session, viewer, Meeting.meeting_id, meeting)
    row = _topic(session, viewer, meeting, n)
    if row.issue_id is not None:
        raise _issue_already(row.issue_id)
    if lon is None and lat is None:
        lon, lat = places.middle_of(session, at, held.grid_id)
    elif lon is None or lat is None:
        raise InvalidInputError("A place is lon, lat.", field="lon", reason="no_place")
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
        .values(issue_id=made.issue, version=topic.version + 1)
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
    state: MeetingState | None = None,
    grid: int | None = None,
) -> list[dict[str, Any]]:
    """Return the meetings of the viewer's areas, the latest first, with counts of their topics.

    `unsettled` counts topics that are no issue and have no outcome; `past` says that a planned one
    was to be before now.

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
               func.count().filter(closed).label("closed"),
               func.count().filter(topic.issue_id.is_(None), topic.outcome.is_(None))
               .label("unsettled"))
        .outerjoin(Issue, and_(Issue.city_id == topic.city_id, Issue.issue_id == topic.issue_id))
        .where(topic.city_id == Meeting.city_id, topic.meeting_id == Meeting.meeting_id)
        .lateral()
    )  # fmt: skip
    asked = _cards(at, viewer).add_columns(*counts.c)
    asked = asked.join(counts, true()).order_by(Meeting.held_at.desc(), Meeting.meeting_id)
    local = func.date(func.timezone(at.timezone, Meeting.held_at))
    if since is not None:
        asked = asked.where(local >= since)
    if until is not None:
        asked = asked.where(local <= until)
    if kind is not None:
        asked = asked.where(Meeting.kind == kind.value)
    if state is not None:
        asked = asked.where(Meeting.state == state.value)
    if grid is not None:
        asked = asked.where(Meeting.grid_id == grid)
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
        select(topic.n, topic.words, topic.outcome, topic.version,
               topic.issue_id.label("issue"), Issue.state.label("issue_state"),
               func.ST_X(Issue.geom).label("lon"), func.ST_Y(Issue.geom).label("lat"))
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


def _said(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a meeting's plan, looked through; what is not said stays away."""
    values: dict[str, Any] = {}
    if "held_at" in said:
        held = said["held_at"]
        if held is None or held.tzinfo is None or not 1900 < held.year < 2999:
            raise InvalidInputError("A moment has a zone.", field="held_at", reason="no_date")
        values["held_at"] = held
    if "kind" in said:
        values["kind"] = MeetingKind(said["kind"]).value
    return values | {
        name: words.title(said[name], name) for name in ("title", "place") if name in said
    }


def _cards(at: Moment, viewer: Viewer) -> Any:
    grid = and_(of_net(NetGrid, at), NetGrid.grid_id == Meeting.grid_id)
    return (
        select(
            Meeting.meeting_id.label("meeting"), Meeting.kind, Meeting.title, Meeting.place,
            Meeting.held_at, Meeting.state, Meeting.outcome, Meeting.version,
            and_(Meeting.state == MeetingState.PLANNED.value,
                 Meeting.held_at < func.statement_timestamp()).label("past"),
            func.ST_X(NetGrid.label_point).label("lon"),
            func.ST_Y(NetGrid.label_point).label("lat"),
            Meeting.grid_id.label("grid"), NetGrid.name.label("grid_name"),
        )
        .outerjoin(NetGrid, grid)
        .where(places.seen(Meeting, viewer))
    )  # fmt: skip


def _issue_already(issue: int) -> ConflictError:
    return ConflictError("The topic is an issue already.", issue=issue, reason="issue_already")


def _topic(session: Session, viewer: Viewer, meeting: int, n: int) -> Any:
    topic = MeetingTopic
    row = session.execute(
        select(topic.words, topic.issue_id, topic.version).where(
            topic.city_id == viewer.city_id, topic.meeting_id == meeting, topic.n == n
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"The meeting has no topic {n}.", topic=n)
    return row
