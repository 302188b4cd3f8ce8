"""Plans redrawn together: comments, grids that a member keeps, edits by area, events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID
from api.deps import CityDep, SessionDep, StaffDep, ViewerDep
from api.errors import responses_for
from api.routes.office import PROTECTED, Number, Wish
from api.routes.plans import OWN, SEEN, PlanPath
from api.schemas import Form
from api.streams import CityNews, Listener, PlanNews, Stream
from geo import service
from geo.errors import (
    CityNotFoundError,
    GridLockedError,
    GridNotFoundError,
    NotFoundError,
    NotSignedInError,
    TooManyStreamsError,
)

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["plans"], dependencies=[KNOWN_FIELDS])

LAST = 2**31 - 1
CommentPath = Annotated[int, Path(ge=1, le=MOST_ID, description="Number of a comment.")]
Grids = Annotated[list[Number], Field(min_length=1, max_length=500)]
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
Follow = Annotated[bool, Query(description="Wait for more; without, the stream ends soon.")]
Degrees = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class Point(Form):
    """A place as GeoJSON, lon and lat in degrees."""

    type: Literal["Point"]
    coordinates: Annotated[list[Degrees], Field(min_length=2, max_length=2)]


class NewComment(Wish):
    """What is said: of the plan, of a grid or a place; or as an answer to a comment."""

    text: Annotated[str, Field(min_length=1, max_length=2000)]
    grid: Number | None = None
    place: Point | None = None
    answers: Number | None = None


class MadeComment(Form):
    """The comment's number."""

    comment: int


class CommentChange(Wish):
    """Whether a comment is done with."""

    resolved: bool


class CommentItem(Form):
    """A comment or an answer."""

    comment: int
    answers: int | None
    author: int
    author_name: str | None
    grid: int | None
    place: Point | None
    text: str
    at: datetime
    resolved_by: int | None
    resolved_name: str | None
    resolved_at: datetime | None


class Comments(Form):
    """Comments and answers, the oldest first."""

    items: list[CommentItem]


class LockWish(Wish):
    """Grids to be kept or given back."""

    grids: Grids


class LockItem(Form):
    """A grid that somebody keeps."""

    grid: int
    name: str
    user: int
    user_name: str | None


class Locks(Form):
    """Grids that somebody keeps."""

    items: list[LockItem]


class Changed(Form):
    """The grids with which something was done."""

    grids: list[int]


class Area(Wish):
    """A polygon, or the way of a brush and half its width; how it takes cells, and whose."""

    within: dict[str, Any] | None = None
    along: dict[str, Any] | None = None
    radius_m: float | None = None
    by: Literal["point", "larger"] = "point"
    of: Annotated[list[Number], Field(min_length=1, max_length=500)] | None = None


class Picked(Form):
    """The cells that an area takes, by grid, and the versions of these grids."""

    grids: dict[int, list[int]]
    versions: dict[int, int]


@router.get("/plans/{plan}/comments", responses=responses_for(*SEEN))
def list_comments(
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    since: Annotated[int, Query(ge=0, le=LAST, description="Number of a comment.")] = 0,
) -> Comments:
    """List up to 500 comments and answers of a plan after one, the oldest first.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    found = service.drafts.comments.listing(session, viewer, plan, after=since)
    return Comments.model_validate({"items": found})


@router.post(
    "/plans/{plan}/comments",
    status_code=201,
    responses=responses_for(*OWN, GridNotFoundError, NotFoundError),
)
def add_comment(
    session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: NewComment
) -> MadeComment:
    """Say something of a plan that one is a member of.

    Raises
    ------
    GridNotFoundError, NotFoundError
        If the plan has no such grid, or no such comment to be answered: 404.
    """
    place = (wish.place.coordinates[0], wish.place.coordinates[1]) if wish.place else None
    made = service.drafts.comments.add(
        session, viewer, plan, wish.text, grid=wish.grid, place=place, answers=wish.answers
    )
    return MadeComment(comment=made)


@router.patch(
    "/plans/{plan}/comments/{comment}",
    status_code=204,
    responses=responses_for(*OWN, NotFoundError),
)
def resolve_comment(
    session: SessionDep,
    viewer: StaffDep,
    plan: PlanPath,
    comment: CommentPath,
    wish: CommentChange,
) -> Response:
    """Mark a comment as done with, or open it again."""
    service.drafts.comments.resolve(session, viewer, plan, comment, resolved=wish.resolved)
    return Response(status_code=204)


@router.get("/plans/{plan}/locks", responses=responses_for(*SEEN))
def list_locks(session: SessionDep, viewer: ViewerDep, city_id: CityDep, plan: PlanPath) -> Locks:
    """List the grids of a plan that somebody keeps, and who does.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    return Locks.model_validate({"items": service.drafts.locks.listing(session, viewer, plan)})


@router.post(
    "/plans/{plan}/locks", responses=responses_for(*OWN, GridNotFoundError, GridLockedError)
)
def lock_grids(session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: LockWish) -> Changed:
    """Keep grids for oneself, all of them or none: nobody else redraws them meanwhile.

    Raises
    ------
    GridLockedError
        If another member keeps one of them: 423, with the grid and who does.
    """
    return Changed(grids=service.drafts.locks.keep(session, viewer, plan, wish.grids))


@router.post("/plans/{plan}/unlock", responses=responses_for(*OWN, GridNotFoundError))
def unlock_grids(session: SessionDep, viewer: StaffDep, plan: PlanPath, wish: LockWish) -> Changed:
    """Give grids back: what one keeps, or, as the author of the plan, what anybody does."""
    return Changed(grids=service.drafts.locks.give_back(session, viewer, plan, wish.grids))


@router.post("/plans/{plan}/pick", responses=responses_for(*PROTECTED, *SEEN))
def pick_cells(session: SessionDep, viewer: StaffDep, plan: PlanPath, area: Area) -> Picked:
    """Say which cells a polygon or a brush takes; nothing is changed.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    asked = area.model_dump(exclude_none=True)
    return Picked.model_validate(service.drafts.pick(session, viewer, plan, asked))


@router.get(
    "/plans/{plan}/events",
    response_model=None,
    responses=STREAM | responses_for(*SEEN, NotSignedInError, TooManyStreamsError),
)
def follow_plan(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    city_id: CityDep,
    plan: PlanPath,
    since: Annotated[int | None, Query(ge=0, le=LAST, description="Last edit one knows.")] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
    follow: Follow = True,
) -> Stream:
    """Follow a plan by server-sent events: `plan`, `comments`, `locks`, `edit` with its number.

    Edits after `Last-Event-ID` or `since` are told first; `over` ends the stream for good.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    TooManyStreamsError
        If the account has too many streams open: 429.
    """
    service.drafts.show(session, viewer, plan)
    known = last_event_id or ""
    after = int(known) if known.isascii() and known.isdecimal() else since
    listener = Listener(city_id, viewer.user_id or 0, plan)
    return Stream(request, listener, PlanNews(plan, after), follow=follow)


@router.get(
    "/events",
    response_model=None,
    responses=STREAM | responses_for(CityNotFoundError, NotSignedInError, TooManyStreamsError),
)
def follow_city(
    request: Request, viewer: StaffDep, city_id: CityDep, follow: Follow = True
) -> Stream:
    """Follow the plans that one is a member of, and the nets of the city: `plans`, `nets`.

    Raises
    ------
    TooManyStreamsError
        If the account has too many streams open: 429.
    """
    listener = Listener(city_id, viewer.user_id or 0, None)
    return Stream(request, listener, CityNews(), follow=follow)
