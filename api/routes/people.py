"""Posts, open to everybody, and workers, for staff of their areas."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.asking import KNOWN_FIELDS, AskedDep, GridQuery, TurnDep, Word
from api.deps import SessionDep, StaffDep, ViewerDep
from api.errors import responses_for
from api.formats import listing
from api.schemas import AsOf, Listing, PostItem, WorkerItem
from geo import service
from geo.errors import CityNotFoundError, ForbiddenError, NetNotFoundError, NotSignedInError

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["people"], dependencies=[KNOWN_FIELDS])


@router.get(
    "/posts",
    response_model=Listing[PostItem],
    responses=responses_for(CityNotFoundError, NetNotFoundError),
)
def list_posts(
    request: Request,
    session: SessionDep,
    viewer: ViewerDep,
    asked: AskedDep,
    turn: TurnDep,
    grid: GridQuery | None = None,
    role: Word | None = None,
    vacant: bool | None = None,
) -> Response:
    """List the posts of the day: role and duty number; a name with consent or for staff alone.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    narrow = service.PostFilter(grid=grid, role=role, vacant=vacant)
    at, page = service.list_posts(session, viewer, asked, narrow, turn)
    return listing(request, PostItem, page.items, page.next, AsOf.of(at), key="post")


@router.get(
    "/workers",
    response_model=Listing[WorkerItem],
    responses=responses_for(CityNotFoundError, NetNotFoundError, NotSignedInError, ForbiddenError),
)
def list_workers(
    request: Request, session: SessionDep, viewer: StaffDep, asked: AskedDep, turn: TurnDep
) -> Response:
    """List the workers of one's own areas with their posts of the day.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account does not belong to the city: 403.
    """
    at, page = service.list_workers(session, viewer, asked, turn)
    return listing(request, WorkerItem, page.items, page.next, AsOf.of(at), key="worker")
