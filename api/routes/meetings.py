"""Meetings of residents and the office for programs; topics become issues."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep
from api.deps import KeepersDep, SessionDep, StaffDep, check_day
from api.entering import Changed, ClientId, Version, number_of, said_of
from api.errors import responses_for
from api.routes.office import PROTECTED, Line, Number, Wish
from api.schemas import Form
from geo import service
from geo.errors import (
    ConflictError,
    NetNotFoundError,
    NotFoundError,
    OutsideCityError,
    StaleEditError,
)
from geo.terms import IssueState, MeetingKind, MeetingState

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

MeetingPath = Annotated[int, Path(ge=1, le=MOST_ID)]
TopicPath = Annotated[int, Path(ge=1, le=999, description="Number of a topic.")]
Words = Annotated[str, Field(max_length=1000)]


class MeetingItem(Form):
    """A meeting of one's own areas; `past` of one to come whose time is over."""

    meeting: int
    kind: MeetingKind
    title: str
    place: str
    held_at: datetime
    state: MeetingState
    grid: int
    grid_name: str | None
    topics: int
    issues: int
    closed: int
    unsettled: int
    past: bool


class Meetings(Form):
    """Meetings, the latest first."""

    items: list[MeetingItem]


class TopicItem(Form):
    """What was spoken of, and how far its issue is."""

    n: int
    words: str
    outcome: str | None
    issue: int | None
    issue_state: IssueState | None
    version: int


class MeetingCard(Form):
    """A meeting with its topics."""

    meeting: int
    kind: MeetingKind
    title: str
    place: str
    held_at: datetime
    state: MeetingState
    outcome: str | None
    grid: int
    grid_name: str | None
    version: int
    topics: list[TopicItem]


class NewMeeting(Wish):
    """Where and when people come together, about what; an id of your own makes it come in once."""

    kind: MeetingKind
    title: Line
    place: Line
    held_at: datetime
    grid: Number
    client_id: ClientId = None


class MeetingChange(Wish):
    """What is to be another, or what was decided; `version` is the one that was read."""

    version: Version
    kind: MeetingKind = MeetingKind.TALK
    title: Line = ""
    place: Line = ""
    held_at: datetime | None = None
    state: MeetingState = MeetingState.PLANNED
    outcome: Words | None = None


class NewTopic(Wish):
    """What was spoken of; nobody is named. An id of your own makes it come in once."""

    words: Words
    client_id: ClientId = None


class TopicChange(Wish):
    """What came of a topic at once, or other words while it is no issue."""

    version: Version
    outcome: Words | None = None
    words: Words = ""


class TopicIssue(Wish):
    """Kind and place (degrees) of the issue; without a place the middle of the grid."""

    category: Line
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    address: Line | None = None


class MadeMeeting(Form):
    """Number of a new meeting."""

    meeting: int


class MadeTopic(Form):
    """Number of a new topic."""

    n: int


class MadeIssue(Form):
    """Number of the issue that a topic became."""

    issue: int


WRITES = (*PROTECTED, NetNotFoundError, NotFoundError, StaleEditError, ConflictError)
WRITING = responses_for(*WRITES)


@router.get("/meetings", responses=responses_for(*PROTECTED, NetNotFoundError))
def list_meetings(
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    since: Annotated[date | None, Query(alias="from")] = None,
    until: Annotated[date | None, Query(alias="to")] = None,
    kind: MeetingKind | None = None,
    state: MeetingState | None = None,
) -> Meetings:
    """List the meetings of one's own areas, the latest first.

    Raises
    ------
    ForbiddenError
        If the account does not belong to the city: 403.
    """
    check_day(since)
    check_day(until)
    at = asked.moment(session)
    found = service.meetings.listed(
        session, viewer, at, since=since, until=until, kind=kind, state=state
    )
    return Meetings(items=[MeetingItem.model_validate(row) for row in found])


@router.post("/meetings", status_code=201, responses=WRITING)
def create_meeting(
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    wish: NewMeeting,
    response: Response,
) -> MadeMeeting:
    """Enter a meeting; 200 when it came in under this id before.

    Raises
    ------
    InvalidInputError
        If its grid lies elsewhere or a value cannot be used: 422.
    ConflictError
        If something else came in under this id: 409.
    """
    plan = service.meetings.Plan(**wish.model_dump(exclude={"client_id"}))
    at = asked.moment(session)
    made = service.meetings.create(session, viewer, at, plan, wish.client_id)
    return MadeMeeting(meeting=number_of(made, response))


@router.get("/meetings/{meeting}", responses=responses_for(*PROTECTED, NotFoundError))
def show_meeting(
    session: SessionDep, viewer: StaffDep, asked: AskedDep, meeting: MeetingPath
) -> MeetingCard:
    """Tell a meeting with its topics.

    Raises
    ------
    NotFoundError
        If one may see no such meeting: 404.
    """
    found = service.meetings.show(session, viewer, asked.moment(session), meeting)
    return MeetingCard.model_validate(found)


@router.patch("/meetings/{meeting}", responses=WRITING)
def change_meeting(
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    meeting: MeetingPath,
    wish: MeetingChange,
) -> Changed:
    """Change a meeting; say that it was held or is off, and what came of it.

    Raises
    ------
    StaleEditError
        If it was changed since: 412.
    InvalidInputError
        If it is held before its day, or a value cannot be used: 422.
    """
    at = asked.moment(session)
    made = service.meetings.change(session, viewer, at, meeting, wish.version, said_of(wish))
    return Changed(version=made)


@router.post("/meetings/{meeting}/topics", status_code=201, responses=WRITING)
def add_topic(
    session: SessionDep,
    viewer: KeepersDep,
    meeting: MeetingPath,
    wish: NewTopic,
    response: Response,
) -> MadeTopic:
    """Write down a topic; 200 when it came in under this id before.

    Raises
    ------
    InvalidInputError
        If its words hold a telephone number, a mail address or an identity number: 422.
    ConflictError
        If something else came in under this id: 409.
    """
    made = service.meetings.add_topic(session, viewer, meeting, wish.words, wish.client_id)
    return MadeTopic(n=number_of(made, response))


@router.patch("/meetings/{meeting}/topics/{n}", responses=WRITING)
def change_topic(
    session: SessionDep,
    viewer: KeepersDep,
    meeting: MeetingPath,
    n: TopicPath,
    wish: TopicChange,
) -> Changed:
    """Say what came of a topic at once, or correct its words.

    Raises
    ------
    NotFoundError
        If there is no such topic: 404.
    StaleEditError
        If it was changed since: 412.
    ConflictError
        If its words are those of an issue: 409.
    """
    made = service.meetings.change_topic(session, viewer, meeting, n, wish.version, said_of(wish))
    return Changed(version=made)


@router.post(
    "/meetings/{meeting}/topics/{n}/issue",
    status_code=201,
    responses=responses_for(*WRITES, OutsideCityError),
)
def raise_issue(
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    meeting: MeetingPath,
    n: TopicPath,
    wish: TopicIssue,
) -> MadeIssue:
    """Make an issue of a topic.

    Raises
    ------
    ConflictError
        If it is one already: 409.
    OutsideCityError
        If its place lies outside the city: 404.
    """
    at = asked.moment(session)
    made = service.meetings.raise_issue(session, viewer, at, meeting, n, **wish.model_dump())
    return MadeIssue(issue=made)
