"""Small projects for programs: proposed at a place, agreed and approved by others."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep
from api.deps import KeepersDep, SessionDep, StaffDep
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
from geo.terms import ProjectAct, ProjectState

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

ProjectPath = Annotated[int, Path(ge=1, le=MOST_ID)]
Words = Annotated[str, Field(max_length=1000)]
Money = Annotated[Decimal, Field(ge=0, le=Decimal("9999999999.99"), decimal_places=2)]
READING = responses_for(*PROTECTED, NetNotFoundError, NotFoundError)
WRITES = (*PROTECTED, NetNotFoundError, NotFoundError, StaleEditError, ConflictError)


class ProjectItem(Form):
    """A small project at its place, degrees, with sums in the city's currency; what one may do."""

    project: int
    campaign: int | None
    campaign_name: str | None
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
    acts: list[ProjectAct]


class Projects(Form):
    """Small projects, the latest first."""

    items: list[ProjectItem]


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
    """A project with its steps, and whether one may change what is proposed."""

    steps: list[ProjectStepItem]
    may_revise: bool


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
    client_id: ClientId = None


class ProjectChange(Wish):
    """What is to be another in a proposal to which nobody agreed yet."""

    version: Version
    name: Line = ""
    words: Words = ""
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    budget: Money | None = None
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


@router.post("/projects", status_code=201, responses=responses_for(*WRITES, OutsideCityError))
def propose_project(
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    wish: NewProject,
    response: Response,
) -> MadeProject:
    """Propose a small project; 200 when it came in under this id before.

    Raises
    ------
    OutsideCityError
        If its place lies outside the city: 404.
    InvalidInputError
        If it lies elsewhere or a value cannot be used: 422.
    ConflictError
        If something else came in under this id: 409.
    """
    plan = service.projects.Plan(**wish.model_dump(exclude={"client_id"}))
    at = asked.moment(session)
    made = service.projects.propose(session, viewer, at, plan, wish.client_id)
    return MadeProject(project=number_of(made, response))


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


@router.patch("/projects/{project}", responses=responses_for(*WRITES, OutsideCityError))
def change_project(
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    project: ProjectPath,
    wish: ProjectChange,
) -> Changed:
    """Change what is proposed before anybody agrees to it.

    Raises
    ------
    ConflictError
        If it is agreed to already: 409.
    StaleEditError
        If it was changed since: 412.
    OutsideCityError
        If its place lies outside the city: 404.
    """
    at = asked.moment(session)
    made = service.projects.revise(session, viewer, at, project, wish.version, said_of(wish))
    return Changed(version=made)


@router.post("/projects/{project}/acts", responses=responses_for(*WRITES))
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
