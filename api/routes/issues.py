"""Issues, for staff of the areas and departments they belong to."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, GridQuery, TurnDep, Word
from api.deps import BboxDep, SessionDep, StaffDep
from api.errors import responses_for
from api.formats import LISTED, Format, json_answer, listing
from api.schemas import AsOf, IssueCard, IssueItem, Listing
from geo import service
from geo.errors import (
    CityNotFoundError,
    ForbiddenError,
    InvalidInputError,
    NetNotFoundError,
    NotFoundError,
    NotSignedInError,
)
from geo.terms import IssueState

router = APIRouter(
    prefix="/api/v1/cities/{city}/issues", tags=["issues"], dependencies=[KNOWN_FIELDS]
)
REFUSALS = (CityNotFoundError, NetNotFoundError, NotSignedInError, ForbiddenError)
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)


@router.get(
    "",
    response_model=Listing[IssueItem],
    responses={**responses_for(*REFUSALS), **LISTED},
)
def list_issues(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    turn: TurnDep,
    bbox: BboxDep,
    since: Annotated[
        date | None, Query(alias="from", description="First day of reporting, city's zone.")
    ] = None,
    until: Annotated[date | None, Query(alias="to", description="Last day of reporting.")] = None,
    category: Annotated[Word | None, Query(description="A category with all below it.")] = None,
    grid: GridQuery | None = None,
    state: IssueState | None = None,
    set_aside: Annotated[
        Literal["none", "default_geocode", "duplicate", "impossible_time"] | None,
        Query(description="Why it was set aside; `none` for those that were not."),
    ] = None,
    is_open: Annotated[
        bool | None, Query(alias="open", description="Neither closed nor void.")
    ] = None,
    f: Format = "json",
) -> Response:
    """List the issues that one may see, the newest first.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account does not belong to the city: 403.
    """
    for name, day in (("from", since), ("to", until)):
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise InvalidInputError("A date lies between 1900 and 2999.", field=name)
    narrow = service.IssueFilter(since, until, category, grid, state, set_aside, bbox, is_open)
    at, page = service.list_issues(session, viewer, asked, narrow, turn)
    period = (since, until) if since or until else None
    dates = AsOf.of(at, period)
    return listing(request, IssueItem, page.items, page.next, dates, key="issue", f=f)


@router.get(
    "/{issue}",
    response_model=IssueCard,
    responses=responses_for(*REFUSALS, NotFoundError),
)
def show_issue(
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    issue: Annotated[int, Path(ge=1, le=MOST_ID)],
) -> Response:
    """Show one issue that one may see.

    Raises
    ------
    NotFoundError
        If there is none, or it belongs to others: 404.
    """
    at, found = service.show_issue(session, viewer, asked, issue)
    return json_answer(IssueCard.model_validate({**found, "as_of": AsOf.of(at)}))
