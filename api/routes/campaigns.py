"""Campaigns, their bulletins and small projects for programs; what an issue came of."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep
from api.deps import KeepersDep, SessionDep, StaffDep, check_day
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
from geo.terms import (
    CampaignState,
    IssueState,
    ItemList,
    ItemState,
    Period,
    ProjectAct,
    ProjectState,
)

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

IssuePath = Annotated[int, Path(ge=1, le=MOST_ID)]
CampaignPath = Annotated[int, Path(ge=1, le=MOST_ID)]
ProjectPath = Annotated[int, Path(ge=1, le=MOST_ID)]
LinePath = Annotated[int, Path(ge=1, le=9_999, description="Number of a line.")]
Words = Annotated[str, Field(max_length=1000)]
Version = Annotated[int, Field(ge=0, description="The one that was read.")]
Money = Annotated[Decimal, Field(ge=0, le=Decimal("9999999999.99"), decimal_places=2)]
READING = responses_for(*PROTECTED, NetNotFoundError, NotFoundError)
WRITES = (*PROTECTED, NetNotFoundError, NotFoundError, StaleEditError)
WRITING = responses_for(*WRITES)


class CampaignItem(Form):
    """A campaign with counts of the lines that one may see."""

    campaign: int
    name: str
    goal: str
    starts_on: date
    ends_on: date | None
    state: CampaignState
    version: int
    grid: int | None
    grid_name: str | None
    organisation: int | None
    organisation_name: str | None
    problems: int
    problems_done: int
    measures: int
    measures_done: int
    overdue: int


class Campaigns(Form):
    """Campaigns, those that run first."""

    items: list[CampaignItem]


class LineItem(Form):
    """A line of a list; `of` is the problem that a measure is against."""

    n: int
    list: ItemList
    words: str
    of: int | None
    organisation: int | None
    organisation_name: str | None
    grid: int | None
    grid_name: str | None
    issue: int | None
    issue_state: IssueState | None
    due_on: date | None
    state: ItemState
    note: str | None
    created_at: datetime
    done_at: datetime | None
    version: int
    may_tick: bool


class CampaignHead(Form):
    """What a campaign is about."""

    campaign: int
    name: str
    goal: str
    starts_on: date
    ends_on: date | None
    state: CampaignState
    version: int
    grid: int | None
    grid_name: str | None
    organisation: int | None
    organisation_name: str | None
    may_keep: bool


class CampaignCard(CampaignHead):
    """A campaign with the lines of both lists that one may see."""

    lines: list[LineItem]


class NewCampaign(Wish):
    """What a campaign is about; without a grid it is of the whole city."""

    name: Line
    goal: Words
    starts_on: date
    ends_on: date | None = None
    grid: Number | None = None
    organisation: Number | None = None


class CampaignChange(Wish):
    """Whether a campaign runs or is closed."""

    version: Version
    state: CampaignState


class NewLine(Wish):
    """A problem, or a measure against the problem `of`."""

    list: ItemList
    words: Annotated[str, Field(max_length=300)]
    organisation: Number | None = None
    grid: Number | None = None
    due_on: date | None = None
    of: Annotated[int, Field(ge=1, le=9_999)] | None = None
    issue: Number | None = None


class LineChange(Wish):
    """Ticked off, dropped with a reason, or open again."""

    version: Version
    state: ItemState
    note: Annotated[str, Field(max_length=300)] | None = None


class MadeCampaign(Form):
    """Number of a new campaign."""

    campaign: int


class MadeLine(Form):
    """Number of a new line."""

    n: int


class Changed(Form):
    """The version after a change."""

    version: int


class Figures(Form):
    """Lines found and done in the period, and in all at its end."""

    found: int
    done: int
    all: int
    done_all: int
    left: int
    overdue: int


class NamedFigures(Figures):
    """Figures of an owner or a grid; null has none."""

    name: str | None


class BulletinLine(LineItem):
    """A line with the days, in the city's zone, on which it was found and done."""

    found_on: date
    done_on: date | None


class ProjectItem(Form):
    """A small project at its place, degrees; sums in the city's currency."""

    project: int
    campaign: int | None
    name: str
    words: str
    grid: int
    grid_name: str | None
    organisation: int | None
    organisation_name: str | None
    lon: float
    lat: float
    budget: Decimal
    funding: str | None
    spent: Decimal | None
    state: ProjectState
    created_at: datetime
    version: int


class Projects(Form):
    """Small projects, the latest first."""

    items: list[ProjectItem]


class BulletinOf(Form):
    """What was found, done and overdue in a week, month or quarter, of what one may see."""

    campaign: CampaignHead
    period: Period
    first: date
    last: date
    until: date
    figures: dict[ItemList, Figures]
    owners: list[NamedFigures]
    grids: list[NamedFigures]
    found: list[BulletinLine]
    done: list[BulletinLine]
    overdue: list[BulletinLine]
    projects: list[ProjectItem]
    budget: Decimal
    spent: Decimal


class ProjectStepItem(Form):
    """A step of a project, with the sum at that time."""

    at: datetime
    act: ProjectAct
    state: ProjectState
    actor: str | None
    actor_role: str
    reason: str | None
    budget: Decimal


class ProjectCard(ProjectItem):
    """A project with its steps, and what one may do now."""

    steps: list[ProjectStepItem]
    acts: list[ProjectAct]


class NewProject(Wish):
    """What is to be done where, degrees, for how much."""

    name: Line
    words: Words
    lon: Annotated[float, Field(ge=-180, le=180)]
    lat: Annotated[float, Field(ge=-90, le=90)]
    budget: Money
    funding: Line | None = None
    organisation: Number | None = None
    campaign: Number | None = None


class ProjectWish(Wish):
    """A step; `amount` is what is approved, or what was spent when it is finished."""

    version: Version
    act: ProjectAct
    reason: Annotated[str, Field(max_length=300)] | None = None
    amount: Money | None = None


class MadeProject(Form):
    """Number of a new project."""

    project: int


class ProjectDone(Form):
    """What a project has become."""

    state: ProjectState
    version: int


class DeviceLink(Form):
    """A thing whose alarms an issue came of."""

    device: int
    name: str
    alarms: int


class MeetingLink(Form):
    """A meeting whose topic an issue was."""

    meeting: int
    title: str
    held_at: datetime
    n: int


class CampaignLink(Form):
    """A campaign on whose list an issue stands."""

    campaign: int
    name: str
    n: int
    state: ItemState


class Links(Form):
    """What an issue came of, and on whose lists it stands."""

    devices: list[DeviceLink]
    meetings: list[MeetingLink]
    campaigns: list[CampaignLink]


@router.get("/issues/{issue}/links", responses=responses_for(*PROTECTED, NotFoundError))
def show_links(session: SessionDep, viewer: StaffDep, issue: IssuePath) -> Links:
    """Tell what an issue came of, and on whose lists it stands.

    Raises
    ------
    NotFoundError
        If one may see no such issue: 404.
    """
    return Links.model_validate(service.links.of_issue(session, viewer, issue))


@router.get("/campaigns", responses=responses_for(*PROTECTED, NetNotFoundError))
def list_campaigns(session: SessionDep, viewer: StaffDep, asked: AskedDep) -> Campaigns:
    """List the city's campaigns, those that run first.

    Raises
    ------
    ForbiddenError
        If the account does not belong to the city: 403.
    """
    found = service.campaigns.listed(session, viewer, asked.moment(session))
    return Campaigns(items=[CampaignItem.model_validate(row) for row in found])


@router.post("/campaigns", status_code=201, responses=WRITING)
def create_campaign(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: NewCampaign
) -> MadeCampaign:
    """Begin a campaign.

    Raises
    ------
    InvalidInputError
        If its grid lies elsewhere or a value cannot be used: 422.
    """
    check_day(wish.starts_on)
    check_day(wish.ends_on)
    plan = service.campaigns.Plan(**wish.model_dump())
    made = service.campaigns.create(session, viewer, asked.moment(session), plan)
    return MadeCampaign(campaign=made)


@router.get("/campaigns/{campaign}", responses=READING)
def show_campaign(
    session: SessionDep, viewer: StaffDep, asked: AskedDep, campaign: CampaignPath
) -> CampaignCard:
    """Tell a campaign with both lists.

    Raises
    ------
    NotFoundError
        If the city has no such campaign: 404.
    """
    found = service.campaigns.show(session, viewer, asked.moment(session), campaign)
    return CampaignCard.model_validate(found)


@router.patch("/campaigns/{campaign}", responses=WRITING)
def change_campaign(
    session: SessionDep, viewer: KeepersDep, campaign: CampaignPath, wish: CampaignChange
) -> Changed:
    """Close a campaign, or open it again.

    Raises
    ------
    StaleEditError
        If it was changed since: 412.
    """
    made = service.campaigns.change(session, viewer, campaign, wish.version, state=wish.state)
    return Changed(version=made)


@router.post("/campaigns/{campaign}/lines", status_code=201, responses=WRITING)
def add_line(
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    campaign: CampaignPath,
    wish: NewLine,
) -> MadeLine:
    """Put a line on a list.

    Raises
    ------
    InvalidInputError
        If it lies elsewhere, is about persons, or the campaign is closed: 422.
    """
    check_day(wish.due_on)
    line = service.campaigns.Line(**wish.model_dump())
    made = service.campaigns.add_line(session, viewer, asked.moment(session), campaign, line)
    return MadeLine(n=made)


@router.patch("/campaigns/{campaign}/lines/{n}", responses=WRITING)
def tick_line(
    session: SessionDep, viewer: StaffDep, campaign: CampaignPath, n: LinePath, wish: LineChange
) -> Changed:
    """Tick a line off, drop it, or open it again.

    Raises
    ------
    ForbiddenError
        If it is neither one's own nor of one's own territory: 403.
    StaleEditError
        If it was changed since: 412.
    """
    made = service.campaigns.tick(
        session, viewer, campaign, n, wish.version, state=wish.state, note=wish.note
    )
    return Changed(version=made)


@router.get("/campaigns/{campaign}/bulletin", responses=READING)
def show_bulletin(
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    campaign: CampaignPath,
    period: Period = Period.MONTH,
    day: Annotated[date | None, Query(description="A day of the period; default: today.")] = None,
) -> BulletinOf:
    """Tell what was found, done and overdue in a week, a month or a quarter.

    Raises
    ------
    NotFoundError
        If the city has no such campaign: 404.
    """
    check_day(day)
    at = asked.moment(session)
    found = service.bulletins.bulletin(session, viewer, at, campaign, period, day or at.day)
    return BulletinOf.model_validate(found)


@router.get("/projects", responses=responses_for(*PROTECTED, NetNotFoundError))
def list_projects(
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    campaign: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    state: ProjectState | None = None,
) -> Projects:
    """List small projects of one's own areas and work, the latest first.

    Raises
    ------
    ForbiddenError
        If the account does not belong to the city: 403.
    """
    at = asked.moment(session)
    found = service.projects.listed(session, viewer, at, campaign=campaign, state=state)
    return Projects(items=[ProjectItem.model_validate(row) for row in found])


@router.post(
    "/projects",
    status_code=201,
    responses=responses_for(*WRITES, OutsideCityError),
)
def propose_project(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: NewProject
) -> MadeProject:
    """Propose a small project.

    Raises
    ------
    OutsideCityError
        If its place lies outside the city: 404.
    InvalidInputError
        If it lies elsewhere or a value cannot be used: 422.
    """
    plan = service.projects.Plan(**wish.model_dump())
    made = service.projects.propose(session, viewer, asked.moment(session), plan)
    return MadeProject(project=made)


@router.get("/projects/{project}", responses=READING)
def show_project(
    session: SessionDep, viewer: StaffDep, asked: AskedDep, project: ProjectPath
) -> ProjectCard:
    """Tell a project with its steps.

    Raises
    ------
    NotFoundError
        If one may see no such project: 404.
    """
    found = service.projects.show(session, viewer, asked.moment(session), project)
    return ProjectCard.model_validate(found)


@router.post("/projects/{project}/acts", responses=responses_for(*WRITES, ConflictError))
def act_on_project(
    session: SessionDep, viewer: StaffDep, project: ProjectPath, wish: ProjectWish
) -> ProjectDone:
    """Agree to a project, approve it, send it back, reject, begin or finish it.

    Raises
    ------
    ForbiddenError
        If the role does no such step, or somebody else has to: 403.
    ConflictError
        If its state allows no such step: 409.
    StaleEditError
        If it was changed since: 412.
    """
    state, version = service.projects.act(
        session, viewer, project, wish.version, wish.act, reason=wish.reason, amount=wish.amount
    )
    return ProjectDone(state=state, version=version)
