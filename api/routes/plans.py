"""Plans, for their members: opened, redrawn, undone, read back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import i18n
from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, TurnDep
from api.deps import CityDep, OfficeDep, SessionDep, StaffDep, ViewerDep
from api.errors import responses_for, told_later
from api.formats import json_answer
from api.routes.office import PROTECTED, Line, Number, Wish
from api.schemas import Form, Plans
from geo import service
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    GridLockedError,
    GridNotFoundError,
    NetNotFoundError,
    NotFoundError,
    PlanNotFoundError,
    PlanRuleError,
    PlanStateError,
    StaleEditError,
    VersionMissingError,
)

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["plans"], dependencies=[KNOWN_FIELDS])

PlanPath = Annotated[int, Path(ge=1, le=MOST_ID, description="Number of a plan.")]
SEEN = (CityNotFoundError, PlanNotFoundError)
OWN = (*PROTECTED, PlanNotFoundError, PlanStateError)
EDITED = (
    *OWN, ConflictError, GridLockedError, StaleEditError, VersionMissingError, PlanRuleError,
)  # fmt: skip
Op = Literal[
    "move",
    "merge",
    "split",
    "split_by_line",
    "drag",
    "divide",
    "draw",
    "reparent",
    "rename",
    "set_kind",
    "end",
    "release",
    "mark",
    "recode",
]


class NewPlan(Wish):
    """A plan to be opened: of the net of today, of another plan, or empty."""

    name: Line
    copy_of: Number | None = None
    empty: bool = False
    rules: Annotated[dict[str, Any], Field(default_factory=dict)]


class MadePlan(Form):
    """The plan's number."""

    plan: int


class Member(Form):
    """An account that sees a plan, and what it may do with it."""

    user: int
    rights: list[Literal["draw", "cut", "publish"]]


class PlanCard(Form):
    """A plan."""

    plan: int
    name: str
    state: str
    base_seq: int | None
    rules: dict[str, Any]
    author: int
    created_at: datetime
    members: list[Member]
    last_edit: int
    cells_changed: int
    grids: int


class PlanGridItem(Form):
    """A grid of a plan; its version goes back with the next edit of it."""

    grid: int
    level: int
    parent: int | None
    name: str
    kind: str
    ended: bool
    version: int
    leaf: bool
    parts: int
    parts_reason: str | None
    locked_by: int | None
    households: float
    redrawn: bool
    geometry: dict[str, Any] | None = None


class PlanGrids(Form):
    """The grids of a plan, the upper ones first."""

    items: list[PlanGridItem]


class PlanCells(Form):
    """Cells by grid: those of one grid, or all that differ from the base net."""

    grids: dict[int, list[int]]


class GridInParts(Form):
    """A grid that lies in several parts, and in how many it may."""

    grid: int
    parts: int
    allowed: int


class PlanCheck(Form):
    """What the full validator finds: faults in words, and the grids in several parts."""

    plan: int
    ok: bool
    faults: list[str]
    exceptions: list[GridInParts]
    grids: int
    cells: int
    area_m2: float


class PlanChange(Wish):
    """What its author changes of a plan."""

    name: Line | None = None
    rules: dict[str, Any] | None = None
    members: Annotated[list[Member], Field(max_length=200)] | None = None


class Edit(Wish):
    """An edit, with the version of each grid that it touches."""

    op: Op
    args: dict[str, Any]
    versions: Annotated[dict[int, int], Field(max_length=2_000, default_factory=dict)]


class Return(Wish):
    """Where to go back to: after edit `to`; `last` is the last edit that one knows."""

    to: Annotated[int, Field(ge=0, le=2**31 - 1)]
    last: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class Applied(Form):
    """What an edit did: its number, the new versions, the new grids, what the rules warn of."""

    n: int
    touched: dict[int, int]
    new: list[int]
    cells: int
    warnings: list[dict[str, Any]]
    cut: int = 0

    @classmethod
    def of(cls, done: service.drafts.Applied, request: Request) -> Applied:
        """Return what the service says, warnings in the reader's language."""
        return cls(
            n=done.n,
            touched=done.touched,
            new=done.new,
            cells=done.cells,
            warnings=i18n.told(done.warnings, i18n.get_language(request)),
            cut=done.cut,
        )


class Task(Form):
    """The number of an edit that the worker was asked for."""

    task: int


class TaskCard(Form):
    """What came of an edit that the worker was asked for: an answer, or what was wrong."""

    task: int
    op: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    share: float
    words: str
    cancel_asked: bool
    answer: Applied | None
    error: dict[str, Any] | None
    asked_by: int
    asked_at: datetime
    ended_at: datetime | None


BY_WORKER: dict[int | str, dict[str, Any]] = {
    202: {"model": Task, "description": "The worker does it: see `tasks`."}
}


class EditItem(Form):
    """An edit in the log of a plan."""

    n: int
    actor: int
    op: str
    args: dict[str, Any]
    touched: list[int]
    undoes: int | None
    at: datetime


class Edits(Form):
    """Edits, the oldest first."""

    items: list[EditItem]


@router.get("/plans", response_model=Plans, responses=responses_for(CityNotFoundError))
def list_plans(session: SessionDep, viewer: ViewerDep, city_id: CityDep, turn: TurnDep) -> Response:
    """List the plans that one is a member of, the newest first; none for anybody else.

    Raises
    ------
    CityNotFoundError
        If no city has this short name: 404.
    """
    page = service.list_plans(session, viewer, city_id, turn)
    return json_answer(Plans.model_validate({"items": page.items, "next": page.next}))


@router.post("/plans", status_code=201, responses=responses_for(*OWN, NetNotFoundError))
def open_plan(session: SessionDep, viewer: OfficeDep, asked: AskedDep, wish: NewPlan) -> MadePlan:
    """Open a plan; one is its author and draws on it.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    made = service.drafts.open_plan(
        session,
        viewer,
        asked.moment(session),
        wish.name,
        copy_of=wish.copy_of,
        empty=wish.empty,
        rules=wish.rules,
    )
    return MadePlan(plan=made)


@router.get("/plans/{plan}", responses=responses_for(*SEEN))
def show_plan(session: SessionDep, viewer: ViewerDep, city_id: CityDep, plan: PlanPath) -> PlanCard:
    """Return a plan that one is a member of.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    return PlanCard.model_validate(service.drafts.show(session, viewer, plan))


@router.patch("/plans/{plan}", status_code=204, responses=responses_for(*OWN))
def change_plan(
    session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: PlanChange
) -> Response:
    """Give an own plan another name, other rules or other members."""
    if wish.name is not None or wish.rules is not None:
        service.drafts.set_rules(session, viewer, plan, name=wish.name, rules=wish.rules)
    if wish.members is not None:
        listed = {one.user: one.rights for one in wish.members}
        service.drafts.set_members(session, viewer, plan, listed)
    return Response(status_code=204)


@router.delete("/plans/{plan}", status_code=204, responses=responses_for(*OWN))
def delete_plan(session: SessionDep, viewer: StaffDep, plan: PlanPath) -> Response:
    """Delete an own plan that was never published."""
    service.drafts.delete(session, viewer, plan)
    return Response(status_code=204)


@router.get("/plans/{plan}/grids", responses=responses_for(*SEEN, GridNotFoundError))
def list_plan_grids(
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    grid: Annotated[
        list[Annotated[int, Query(ge=1, le=MOST_ID)]] | None,
        Query(max_length=50, description="These grids alone, with their borders."),
    ] = None,
) -> PlanGrids:
    """List the grids of a plan with their versions.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    GridNotFoundError
        If the plan has no such grid: 404.
    """
    items = service.drafts.grids(session, viewer, plan)
    if grid:
        shapes = service.drafts.outlines(session, viewer, plan, grid)
        items = [{**one, "geometry": shapes[one["grid"]]} for one in items if one["grid"] in shapes]
    return PlanGrids.model_validate({"items": items})


@router.get("/plans/{plan}/cells", responses=responses_for(*SEEN))
def list_plan_cells(
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    grid: Annotated[int, Query(ge=1, le=MOST_ID)] | None = None,
) -> PlanCells:
    """List the cells of a grid, or all that differ from the base net, by grid.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    return PlanCells(grids=service.drafts.cells(session, viewer, plan, grid))


@router.get("/plans/{plan}/check", responses=responses_for(*SEEN))
def check_plan(
    request: Request, session: SessionDep, viewer: ViewerDep, city_id: CityDep, plan: PlanPath
) -> PlanCheck:
    """Recompute a plan from its cells, as an approval does; nothing that edits noted counts.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    report = service.drafts.check(session, viewer, plan)
    return PlanCheck.model_validate(i18n.told(report, i18n.get_language(request)))


@router.get("/plans/{plan}/edits", responses=responses_for(*SEEN))
def list_plan_edits(
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    since: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Edits:
    """List up to 100 edits of a plan after one.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    return Edits.model_validate({"items": service.drafts.edits(session, viewer, plan, after=since)})


@router.post("/plans/{plan}/edits", status_code=201, responses=responses_for(*EDITED) | BY_WORKER)
def edit_plan(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    response: Response,
    plan: PlanPath,
    edit: Edit,
) -> Applied | Task:
    """Redraw a plan by one edit; what cuts cells or divides a grid is the worker's: 202.

    Raises
    ------
    StaleEditError
        If a grid is newer than its version says: 412, with the newer ones.
    GridLockedError
        If another member keeps one of them: 423, with who does.
    VersionMissingError
        If the version of a grid that the edit touches is missing: 428.
    PlanRuleError
        If a rule would be broken: 422, with each place as GeoJSON.
    """
    if service.drafts.asking.for_worker(edit.op, edit.args):
        response.status_code = 202
        asked = service.drafts.asking.ask(session, viewer, plan, edit.op, edit.args, edit.versions)
        return Task(task=asked)
    return Applied.of(
        service.drafts.redraw(session, viewer, plan, edit.op, edit.args, edit.versions), request
    )


@router.get("/plans/{plan}/tasks/{task}", responses=responses_for(*SEEN, NotFoundError))
def show_plan_task(
    request: Request,
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    task: Annotated[int, Path(ge=1, le=MOST_ID, description="Number of a task.")],
) -> TaskCard:
    """Return what came of an edit that the worker was asked for.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        If one is a member of no such plan, or it has no such task: 404.
    """
    card = service.drafts.asking.told(session, viewer, plan, task)
    language = i18n.get_language(request)
    error = told_later(card["error"], language)
    return TaskCard.model_validate(i18n.told({**card, "error": error}, language))


@router.post("/plans/{plan}/undo", status_code=201, responses=responses_for(*EDITED) | BY_WORKER)
def undo_edit(
    request: Request, session: SessionDep, viewer: StaffDep, response: Response, plan: PlanPath
) -> Applied | Task:
    """Take the own last edit back, if nothing that it touched has changed since.

    Where that edit cut cells the worker puts them together again: 202.

    Raises
    ------
    ConflictError
        If there is none, or others have built upon it: 409.
    """
    if service.drafts.undoes_a_cut(session, viewer, plan):
        response.status_code = 202
        return Task(task=service.drafts.asking.ask(session, viewer, plan, "undo", {}, {}))
    return Applied.of(service.drafts.undo(session, viewer, plan), request)


@router.post("/plans/{plan}/return", status_code=201, responses=responses_for(*EDITED))
def return_to_edit(
    request: Request, session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: Return
) -> Applied:
    """Bring a plan back to what it was after an edit, as a new edit; 0 is how it was opened.

    Raises
    ------
    VersionMissingError
        If `last` is missing: 428.
    StaleEditError
        If there are edits after `last`: 412.
    """
    done = service.drafts.return_to(session, viewer, plan, wish.to, wish.last)
    return Applied.of(done, request)
