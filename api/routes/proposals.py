"""Proposals for a plan: grids divided anew, made better by little, merged of delivered nets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from api import i18n
from api.asking import KNOWN_FIELDS, MOST_ID
from api.deps import CityDep, SessionDep, StaffDep, ViewerDep
from api.errors import responses_for, told_later
from api.formats import GEOJSON, PRIVATE, csv_file, plain_sheet
from api.routes.office import PROTECTED, Number, Wish
from api.routes.plans import BY_WORKER, EDITED, OWN, SEEN, Applied, PlanPath, Task
from api.schemas import Form
from geo import service
from geo.errors import CityNotFoundError, ConflictError, NotFoundError

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["plans"], dependencies=[KNOWN_FIELDS])

ProposalPath = Annotated[int, Path(ge=1, le=MOST_ID, description="Number of a proposal.")]
TaskPath = Annotated[int, Path(ge=1, le=MOST_ID, description="Number of a task or a proposal.")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
ASKED = (*OWN, ConflictError, NotFoundError)
MAPPED: dict[int | str, dict[str, Any]] = {200: {"content": {GEOJSON: {}}}}
SHEET: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}
CROSSWALK = ("net", "grid", "name", "kind", "unit", "area_m2", "share", "households")


class Evenly(Form):
    """A measure that is shared out: the wish for a part, and the share of it a part may be off."""

    measure: Literal["households", "households_in_season", "issues_per_month"] = "households"
    target: Amount | None = None
    tolerance: Share = 0.2


class DivisionWish(Wish):
    """Grids of the plan that are divided: leaves, or grids right above leaves."""

    grids: Annotated[list[Number], Field(min_length=1, max_length=500)]
    mode: Literal["new", "least_change", "merge_small"] = "new"
    measures: Annotated[list[Evenly], Field(min_length=1, max_length=3)]
    parts: Annotated[int, Field(ge=1, le=5_000)] | None = None
    max_change: Share = 0.05
    least: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0.0
    fixed: Annotated[list[Number], Field(max_length=500, default_factory=list)]
    keep_compounds: bool = True
    thorough: bool = False
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class NetWish(Wish):
    """Delivered nets that are merged: on the ground of some grids, or on that of an empty plan."""

    nets: Annotated[list[Number], Field(min_length=1, max_length=20)]
    weights: Annotated[list[Amount], Field(max_length=20, default_factory=list)]
    grids: Annotated[list[Number], Field(max_length=500, default_factory=list)]
    tolerance_m: Annotated[float, Field(ge=0, le=500, allow_inf_nan=False)] = 5.0
    least_m2: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 1.0
    keep_barriers: bool = True


class MadeProposal(Form):
    """The number of a proposal that the worker was asked for."""

    proposal: int


class ProposalItem(Form):
    """A proposal: how far it is, or its figures; `adopted_by` is the edit that took it over."""

    proposal: int
    op: Literal["propose_division", "propose_net"]
    wish: dict[str, Any]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    share: float
    words: str
    cancel_asked: bool
    figures: dict[str, Any] | None
    error: dict[str, Any] | None
    kept: bool
    crosswalk: bool | None
    adoptable: bool
    adopted_by: int | None
    asked_by: int
    asked_at: datetime
    ended_at: datetime | None


class Proposals(Form):
    """Proposals, the newest first."""

    items: list[ProposalItem]


class ProposalCard(ProposalItem):
    """A proposal with its parts, each with the rule that binds it, and what stands against it."""

    parts: list[dict[str, Any]]
    ended: list[int]
    warnings: list[str]
    faults: list[dict[str, Any]]
    rules: list[dict[str, Any]]


class DeliveredNet(Form):
    """A net that was delivered: its polygons are kept as they came."""

    net: int
    name: str
    level: int | None
    grids: int
    at: datetime


class DeliveredNets(Form):
    """Nets that were delivered, the oldest first."""

    items: list[DeliveredNet]


@router.get("/delivered-nets", responses=responses_for(*PROTECTED))
def list_delivered_nets(session: SessionDep, viewer: StaffDep, city_id: CityDep) -> DeliveredNets:
    """List the nets that departments delivered, by the import desk."""
    found = service.drafts.proposing.delivered(session, viewer)
    return DeliveredNets.model_validate({"items": found})


@router.get("/plans/{plan}/proposals", responses=responses_for(*SEEN))
def list_proposals(
    request: Request, session: SessionDep, viewer: ViewerDep, city_id: CityDep, plan: PlanPath
) -> Proposals:
    """List the last 100 proposals for a plan with their figures.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    found = service.drafts.proposing.listing(session, viewer, plan)
    return Proposals.model_validate({"items": [_told(request, one) for one in found]})


@router.post("/plans/{plan}/proposals/division", status_code=202, responses=responses_for(*ASKED))
def propose_division(
    session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: DivisionWish
) -> MadeProposal:
    """Ask how grids could be divided evenly; the worker works it out and the plan stays as it is.

    Raises
    ------
    ConflictError
        If a proposal for this plan is in work, or one has too many in work: 409.
    """
    proposing = service.drafts.proposing
    made = proposing.ask(session, viewer, plan, proposing.DIVISION, wish.model_dump())
    return MadeProposal(proposal=made)


@router.post("/plans/{plan}/proposals/net", status_code=202, responses=responses_for(*ASKED))
def propose_net(
    session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: NetWish
) -> MadeProposal:
    """Ask for one net out of several delivered ones; the plan stays as it is.

    Raises
    ------
    ConflictError
        If a proposal for this plan is in work, or one has too many in work: 409.
    NotFoundError
        If no such net was delivered: 404.
    """
    proposing = service.drafts.proposing
    made = proposing.ask(session, viewer, plan, proposing.NET, wish.model_dump())
    return MadeProposal(proposal=made)


@router.get("/plans/{plan}/proposals/{proposal}", responses=responses_for(*SEEN, NotFoundError))
def show_proposal(
    request: Request,
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    proposal: ProposalPath,
) -> ProposalCard:
    """Return how far a proposal is, or what it says: figures, parts, rules that it would break.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        If one is a member of no such plan, or it has no such proposal: 404.
    """
    found = service.drafts.proposing.show(session, viewer, plan, proposal)
    return ProposalCard.model_validate(_told(request, found))


def _told(request: Request, card: dict[str, Any]) -> dict[str, Any]:
    language = i18n.get_language(request)
    error = told_later(card["error"], language)
    told: dict[str, Any] = i18n.told({**card, "error": error}, language)
    return told


@router.get(
    "/plans/{plan}/proposals/{proposal}/shapes",
    response_model=None,
    responses=MAPPED | responses_for(*SEEN, NotFoundError),
)
def show_proposal_shapes(
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    proposal: ProposalPath,
) -> Response:
    """Return the parts of a proposal as GeoJSON, to be looked at.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        If one is a member of no such plan, or it keeps no such proposal: 404.
    """
    found = service.drafts.proposing.shapes(session, viewer, plan, proposal)
    return Response(found, media_type=GEOJSON, headers={"Cache-Control": PRIVATE})


@router.get(
    "/plans/{plan}/proposals/{proposal}/crosswalk",
    response_model=None,
    responses=SHEET | responses_for(*SEEN, NotFoundError),
)
def show_proposal_crosswalk(
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    proposal: ProposalPath,
) -> Response:
    """Return as CSV which parts each delivered grid went into, by ground and households.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        If one is a member of no such plan, or it keeps no such crosswalk: 404.
    """
    found = service.drafts.proposing.crosswalk(session, viewer, plan, proposal)
    content = plain_sheet(CROSSWALK, ([one[name] for name in CROSSWALK] for one in found))
    return csv_file(content, f"plan-{plan}-proposal-{proposal}-crosswalk")


@router.post(
    "/plans/{plan}/proposals/{proposal}/adopt",
    status_code=201,
    responses=responses_for(*EDITED, NotFoundError) | BY_WORKER,
)
def adopt_proposal(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    response: Response,
    plan: PlanPath,
    proposal: ProposalPath,
) -> Applied | Task:
    """Take a proposal over into its plan as one edit; where much changes, the worker does: 202.

    Raises
    ------
    StaleEditError
        If a grid that it was made on has changed since: 412, with the newer ones.
    PlanRuleError
        If a rule would be broken: 422, with each place as GeoJSON.
    NotFoundError
        If the plan keeps no such proposal: 404.
    """
    proposing = service.drafts.proposing
    if proposing.for_worker(session, viewer, plan, proposal):
        response.status_code = 202
        return Task(task=proposing.ask_to_adopt(session, viewer, plan, proposal))
    return Applied.of(proposing.adopt(session, viewer, plan, proposal), request)


@router.post(
    "/plans/{plan}/tasks/{task}/cancel",
    status_code=204,
    responses=responses_for(*OWN, CityNotFoundError, NotFoundError, ConflictError),
)
def cancel_plan_task(
    session: SessionDep, viewer: StaffDep, plan: PlanPath, task: TaskPath
) -> Response:
    """Ask the worker to leave a task or a proposal off; the plan stays as it is.

    Raises
    ------
    NotFoundError
        If the plan has no such task: 404.
    ConflictError
        If it has ended: 409.
    """
    service.drafts.asking.cancel(session, viewer, plan, task)
    return Response(status_code=204)
