"""Plans on their way to a net, for their members: approved, rebased, published; errata for all."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import i18n
from api.asking import KNOWN_FIELDS, MOST_ID
from api.deps import CityDep, OfficeDep, SessionDep, StaffDep, ViewerDep
from api.errors import responses_for, told_later
from api.routes.office import Line, Number, Wish
from api.routes.plans import EDITED, OWN, SEEN, PlanPath
from api.schemas import ErratumItem, Form
from geo import service
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    GridNotFoundError,
    NetNotFoundError,
    PlanRuleError,
    PostsUnsettledError,
    RebaseConflictError,
    RebaseNeededError,
    StaleEditError,
)

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["plans"], dependencies=[KNOWN_FIELDS])

MOST_SEQ = 2**31 - 2
SeqPath = Annotated[int, Path(ge=1, le=MOST_SEQ, description="Number of a net.")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="`content` of the plan.")]


class PublicationItem(Form):
    """A publication that was asked for, and what came of it."""

    publication: int
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    effective_from: date
    seq: int | None
    error: dict[str, Any] | None
    asked_by: int
    asked_at: datetime
    ended_at: datetime | None


class PlanStanding(Form):
    """Where a plan stands on its way to a net; `content` is the hash of what it says."""

    plan: int
    state: str
    base_seq: int | None
    last_seq: int | None
    content: str
    approved: str | None
    submitted_by: int | None
    approved_by: int | None
    approved_at: datetime | None
    unsettled_posts: int
    publication: PublicationItem | None


class Turned(Form):
    """The state of a plan, and the hash of what it says."""

    state: str
    content: str | None = None


class Approval(Wish):
    """What the second person looked at."""

    content: Hash


class PublishWish(Wish):
    """The first day of the net, and what was approved."""

    effective_from: date
    content: Hash


class Asked(Form):
    """The number of a publication that was asked for."""

    publication: int


class RebaseWish(Wish):
    """How conflicts are decided: `mine` or `theirs` for each key; `*` for all others."""

    choices: Annotated[
        dict[str, Literal["mine", "theirs"]], Field(max_length=5_000, default_factory=dict)
    ]


class RebaseDone(Form):
    """The net on which the plan stands now, how many cells differ from it, what is otherwise."""

    base_seq: int
    cells: int
    grids: list[int]


class EndedPost(Form):
    """A post of a grid that the plan ends, and where it goes: without a grid it is vacant."""

    post: int
    grid: int
    grid_name: str
    role: str
    worker: int | None
    part_time: bool
    settled: bool
    to_grid: int | None
    proposed: int | None


class EndedPosts(Form):
    """Posts of grids that the plan ends."""

    items: list[EndedPost]


class PostWish(Wish):
    """Where a post goes; null says that it becomes vacant."""

    post: Number
    to_grid: Number | None


class PostWishes(Wish):
    """Where posts go."""

    posts: Annotated[list[PostWish], Field(min_length=1, max_length=2_000)]


class ErratumWish(Wish):
    """What a grid's name or code should have been on a net, and why."""

    grid: Number
    field: Literal["name", "code"]
    correct: Line
    reason: Line


class ErratumMade(Form):
    """The erratum's number."""

    erratum: int


class Errata(Form):
    """What is said beside a net, in the order in which it was."""

    items: list[ErratumItem]


class Cancelled(Form):
    """The number of the net that was cancelled; it is not given again."""

    seq: int


@router.get("/plans/{plan}/standing", responses=responses_for(*SEEN))
def show_standing(
    request: Request, session: SessionDep, viewer: ViewerDep, city_id: CityDep, plan: PlanPath
) -> PlanStanding:
    """Return where a plan stands: state, hash of its content, last net, asked publication.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    card = service.publishing.card(session, viewer, plan)
    if card["publication"]:
        language = i18n.get_language(request)
        card["publication"]["error"] = told_later(card["publication"]["error"], language)
    return PlanStanding.model_validate(card)


@router.post("/plans/{plan}/submit", responses=responses_for(*OWN))
def submit_plan(session: SessionDep, viewer: StaffDep, plan: PlanPath) -> Turned:
    """Hand a draft in for approval; an edit makes it a draft again.

    Raises
    ------
    PlanStateError
        If it is no draft: 409.
    """
    return Turned.model_validate(service.publishing.submit(session, viewer, plan))


@router.post(
    "/plans/{plan}/approve",
    responses=responses_for(*OWN, StaleEditError, PlanRuleError, PostsUnsettledError),
)
def approve_plan(session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: Approval) -> Turned:
    """Approve what a plan says, as a second person with the right to publish.

    Raises
    ------
    ForbiddenError
        If one has opened or submitted it oneself: 403.
    StaleEditError
        If it says something else than `content`: 412.
    PlanRuleError
        If the full validator finds a fault: 422.
    """
    return Turned.model_validate(service.publishing.approve(session, viewer, plan, wish.content))


@router.post("/plans/{plan}/withdraw", responses=responses_for(*OWN))
def withdraw_plan(session: SessionDep, viewer: StaffDep, plan: PlanPath) -> Turned:
    """Take an own plan back for good; it can still be copied.

    Raises
    ------
    PlanStateError
        If it was published or withdrawn: 409.
    """
    return Turned.model_validate(service.publishing.withdraw(session, viewer, plan))


@router.post("/plans/{plan}/rebase", responses=responses_for(*EDITED, RebaseConflictError))
def rebase_plan(
    session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: RebaseWish
) -> RebaseDone:
    """Put a plan on the last net; its approval lapses.

    Raises
    ------
    RebaseConflictError
        If both sides changed the same: 409, each with its place as GeoJSON.
    """
    done = service.publishing.rebase(session, viewer, plan, wish.choices)
    return RebaseDone(base_seq=done.base_seq, cells=done.cells, grids=done.grids)


@router.get("/plans/{plan}/posts", responses=responses_for(*SEEN))
def list_ended_posts(
    session: SessionDep, viewer: ViewerDep, city_id: CityDep, plan: PlanPath
) -> EndedPosts:
    """List the posts of grids that a plan ends, with what is proposed for each.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    return EndedPosts.model_validate({"items": service.publishing.posts(session, viewer, plan)})


@router.put("/plans/{plan}/posts", status_code=204, responses=responses_for(*OWN))
def settle_posts(
    session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: PostWishes
) -> Response:
    """Say where posts of ended grids go, or that they become vacant."""
    wishes = {one.post: one.to_grid for one in wish.posts}
    service.publishing.settle_posts(session, viewer, plan, wishes)
    return Response(status_code=204)


@router.post(
    "/plans/{plan}/publish",
    status_code=202,
    responses=responses_for(
        *OWN, StaleEditError, RebaseNeededError, PostsUnsettledError, ConflictError
    ),
)
def publish_plan(session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: PublishWish) -> Asked:
    """Ask for the publication of an approved plan; `standing` says what came of it.

    Raises
    ------
    RebaseNeededError
        If a later net was published since the plan was opened: 409.
    PostsUnsettledError
        If a post of an ended grid has no successor and is not said to be vacant: 409.
    StaleEditError
        If the plan says something else than `content`: 412.
    """
    made = service.publishing.ask(session, viewer, plan, wish.effective_from, wish.content)
    return Asked(publication=made)


@router.post("/plans/{plan}/cancel", responses=responses_for(*OWN, ConflictError))
def cancel_net(session: SessionDep, viewer: StaffDep, plan: PlanPath) -> Cancelled:
    """Cancel the net that a plan became, before its date; the plan is a draft again.

    Raises
    ------
    ConflictError
        If it has begun, or is not the last one: 409.
    """
    return Cancelled(seq=service.publishing.cancel(session, viewer, plan))


@router.get("/nets/{seq}/errata", responses=responses_for(CityNotFoundError, NetNotFoundError))
def list_errata(
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    seq: SeqPath,
    grid: Annotated[int, Query(ge=1, le=MOST_ID)] | None = None,
) -> Errata:
    """List what is said beside a net about names and codes that it states wrongly.

    Raises
    ------
    CityNotFoundError
        If no city has this short name: 404.
    NetNotFoundError
        If there is no such net: 404.
    """
    return Errata.model_validate({"items": service.publishing.errata(session, city_id, seq, grid)})


@router.post(
    "/nets/{seq}/errata",
    status_code=201,
    responses=responses_for(*OWN, NetNotFoundError, GridNotFoundError, ConflictError),
)
def put_erratum(
    session: SessionDep, viewer: OfficeDep, seq: SeqPath, wish: ErratumWish
) -> ErratumMade:
    """Say beside a net what a name or code should have been; the net is never edited.

    Raises
    ------
    NetNotFoundError
        If there is no such net: 404.
    GridNotFoundError
        If it has no such grid: 404.
    """
    made = service.publishing.put_erratum(
        session, viewer, seq, wish.grid, wish.field, wish.correct, wish.reason
    )
    return ErratumMade(erratum=made)
