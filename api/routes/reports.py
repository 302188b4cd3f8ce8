"""Reports of residents and staff: taken in once, followed by code and link, answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, AskedDep
from api.deps import CityDep, SessionDep, ViewerDep
from api.errors import responses_for
from api.routes.office import Line, Wish
from api.schemas import Form
from api.strangers import count_report
from geo import service
from geo.errors import (
    CityNotFoundError,
    ForbiddenError,
    InvalidInputError,
    IssueActError,
    NetNotFoundError,
    NotFoundError,
    OutsideCityError,
    ReportTwiceError,
    TooManyReportsError,
)
from geo.terms import IssueAct, IssueState

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["reports"], dependencies=[KNOWN_FIELDS])

Code = Annotated[str, Path(min_length=8, max_length=8, pattern=r"^[2-9A-HJKMNP-Z]+$")]
Secret = Annotated[
    str,
    Header(alias="Wangge-Secret", min_length=16, max_length=64, description="Of the link."),
]
Words = Annotated[str, Field(max_length=2000)]
REPORTING = (
    CityNotFoundError, NetNotFoundError, ForbiddenError, OutsideCityError, ReportTwiceError,
    TooManyReportsError,
)  # fmt: skip


class ContactWish(Wish):
    """How somebody wants to be reached; seen by the desk of the territory alone."""

    name: Line | None = None
    phone: Line | None = None
    email: Line | None = None


class NewReport(Wish):
    """What is wrong, and where; places are degrees (lon, lat), EPSG:4326."""

    category: Annotated[str, Field(max_length=64, pattern=r"^[\w.-]+$")]
    lon: Annotated[float, Field(ge=-180, le=180)]
    lat: Annotated[float, Field(ge=-90, le=90)]
    words: Words | None = None
    address: Line | None = None
    channel: Line = "report"
    client_id: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="A random UUID of the device: the same again is answered by 200."
    )
    contact: ContactWish | None = None
    external: Line | None = Field(None, description="Number on another platform; of staff.")
    reported_at: datetime | None = Field(None, description="An earlier moment; of staff.")


class ReportedIssue(Form):
    """The number of the issue, and what opens it: the code together with the secret."""

    issue: int
    code: str
    secret: str
    created: bool


@router.post(
    "/reports",
    status_code=201,
    dependencies=[Depends(count_report)],
    responses=responses_for(*REPORTING),
)
def create_report(
    response: Response, session: SessionDep, viewer: ViewerDep, asked: AskedDep, wish: NewReport
) -> ReportedIssue:
    """Report an issue, with or without an account: 201, or 200 for the same one again.

    Raises
    ------
    ReportTwiceError
        If the client's id was used for another content: 409.
    OutsideCityError
        If the place lies outside the city: 404.
    ForbiddenError
        If a stranger uses what is for staff: 403.
    """
    told = wish.model_dump()
    contact = service.cases.Contact(**told.pop("contact")) if wish.contact else None
    told.pop("contact", None)
    report = service.cases.Report(**told, contact=contact)
    made = service.cases.report(session, viewer, asked.moment(session), report)
    response.status_code = 201 if made.created else 200
    return ReportedIssue(issue=made.issue, code=made.code, secret=made.secret, created=made.created)


class FollowedLine(Form):
    """A step of the own report."""

    at: datetime
    act: IssueAct
    state: IssueState


class FollowedIssue(Form):
    """What a reporter may know; `may` is what can be said now."""

    issue_id: int
    code: str
    category: str
    category_name: str
    category_name_en: str
    state: IssueState
    reported_at: datetime
    deadline_at: datetime | None
    closed_at: datetime | None
    on_the_spot: bool
    reopens: int
    satisfied: bool | None
    duplicate_of: int | None
    may: list[IssueAct]
    events: list[FollowedLine]


class ReporterWord(Wish):
    """What a reporter says of a closed issue: satisfied or not, or that it is to be reopened."""

    act: Literal["answer", "reopen"]
    satisfied: bool | None = None
    words: Words | None = None


class StateNow(Form):
    """Where the issue stands."""

    state: IssueState


@router.get("/reports/{code}", responses=responses_for(CityNotFoundError, NotFoundError))
def show_report(session: SessionDep, city: CityDep, code: Code, secret: Secret) -> FollowedIssue:
    """Show the own report by its code and the secret of its link.

    Raises
    ------
    NotFoundError
        If they do not belong together: 404.
    """
    return FollowedIssue.model_validate(service.cases.follow(session, code, secret))


@router.post(
    "/reports/{code}", responses=responses_for(CityNotFoundError, NotFoundError, IssueActError)
)
def answer_report(
    session: SessionDep, city: CityDep, code: Code, secret: Secret, wish: ReporterWord
) -> StateNow:
    """Say satisfied or not of the own closed report, or open it again with a reason.

    Raises
    ------
    NotFoundError
        If code and secret do not belong together: 404.
    IssueActError
        If it is not closed: 409.
    """
    if wish.act == "reopen":
        state = service.cases.reopen(session, code, secret, wish.words or "")
    elif wish.satisfied is None:
        raise InvalidInputError("Say satisfied or not.", field="satisfied")
    else:
        state = service.cases.answer(session, code, secret, wish.satisfied, wish.words)
    return StateNow(state=IssueState(state))
