"""Campaigns, their bulletins and small projects for programs; what an issue came of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request, Response, UploadFile
from pydantic import Field

from api import i18n, office_words
from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep
from api.deps import KeepersDep, SessionDep, StaffDep, check_day
from api.entering import Changed, ClientId, Version, number_of, said_of
from api.errors import responses_for
from api.formats import csv_file, plain_sheet
from api.routes.office import PROTECTED, XLSX, Line, Number, Wish
from api.routes.projects import ProjectItem
from api.schemas import Form
from geo import service
from geo.errors import (
    ConflictError,
    NetNotFoundError,
    NotFoundError,
    StaleEditError,
)
from geo.terms import (
    CampaignState,
    IssueState,
    ItemList,
    ItemState,
    Period,
)

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

IssuePath = Annotated[int, Path(ge=1, le=MOST_ID)]
CampaignPath = Annotated[int, Path(ge=1, le=MOST_ID)]
LinePath = Annotated[int, Path(ge=1, le=9_999, description="Number of a line.")]
Words = Annotated[str, Field(max_length=1000)]
READING = responses_for(*PROTECTED, NetNotFoundError, NotFoundError)
WRITES = (*PROTECTED, NetNotFoundError, NotFoundError, StaleEditError, ConflictError)
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
    grid_code: str | None
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
    client_id: ClientId = None


class CampaignChange(Wish):
    """What is to be another; whether a campaign runs or is closed."""

    version: Version
    name: Line = ""
    goal: Words = ""
    starts_on: date | None = None
    ends_on: date | None = None
    organisation: Number | None = None
    state: CampaignState = CampaignState.OPEN


class NewLine(Wish):
    """A problem, or a measure against the problem `of`."""

    list: ItemList
    words: Annotated[str, Field(max_length=300)]
    organisation: Number | None = None
    grid: Number | None = None
    due_on: date | None = None
    of: Annotated[int, Field(ge=1, le=9_999)] | None = None
    issue: Number | None = None
    client_id: ClientId = None


class LineChange(Wish):
    """Ticked off, dropped with a reason, or open again; put off with a reason; corrected."""

    version: Version
    state: ItemState = ItemState.OPEN
    note: Annotated[str, Field(max_length=300)] | None = None
    words: Annotated[str, Field(max_length=300)] = ""
    organisation: Number | None = None
    due_on: date | None = None
    issue: Number | None = None


class MadeCampaign(Form):
    """Number of a new campaign."""

    campaign: int


class MadeLine(Form):
    """Number of a new line."""

    n: int


class Figures(Form):
    """Lines found and done in the period, and in all at its end."""

    found: int
    done: int
    all: int
    done_all: int
    left: int
    overdue: int


class NamedFigures(Figures):
    """Figures of an owner or a grid, with its number, and a grid's code; null has none."""

    id: int | None
    name: str | None
    code: str | None


class BulletinLine(LineItem):
    """A line with the days, in the city's zone, on which it was found and done."""

    found_on: date
    done_on: date | None


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


class RejectedRow(Form):
    """A row that cannot be taken: its number in the file, the column, why in words."""

    row: int
    column: str
    reason: str
    value: str
    message: str


class ListReport(Form):
    """What was understood of a file; nothing is written unless `taken`."""

    rows: int
    added: int
    changed: int
    unchanged: int
    left_out: list[str]
    rejected: list[RejectedRow]
    taken: bool


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
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    wish: NewCampaign,
    response: Response,
) -> MadeCampaign:
    """Begin a campaign; 200 when it came in under this id before.

    Raises
    ------
    InvalidInputError
        If its grid lies elsewhere or a value cannot be used: 422.
    ConflictError
        If something else came in under this id: 409.
    """
    check_day(wish.starts_on)
    check_day(wish.ends_on)
    plan = service.campaigns.Plan(**wish.model_dump(exclude={"client_id"}))
    at = asked.moment(session)
    made = service.campaigns.create(session, viewer, at, plan, wish.client_id)
    return MadeCampaign(campaign=number_of(made, response))


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
    """Change a campaign, close it, or open it again.

    Raises
    ------
    StaleEditError
        If it was changed since: 412.
    InvalidInputError
        If a value cannot be used: 422.
    """
    check_day(wish.starts_on)
    check_day(wish.ends_on)
    made = service.campaigns.change(session, viewer, campaign, wish.version, said_of(wish))
    return Changed(version=made)


@router.post("/campaigns/{campaign}/lines", status_code=201, responses=WRITING)
def add_line(
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    campaign: CampaignPath,
    wish: NewLine,
    response: Response,
) -> MadeLine:
    """Put a line on a list; 200 when it came in under this id before.

    Raises
    ------
    InvalidInputError
        If it lies elsewhere, is about persons, or the campaign is closed: 422.
    ConflictError
        If something else came in under this id: 409.
    """
    check_day(wish.due_on)
    line = service.campaigns.Line(**wish.model_dump(exclude={"client_id"}))
    at = asked.moment(session)
    made = service.campaigns.add_line(session, viewer, at, campaign, line, wish.client_id)
    return MadeLine(n=number_of(made, response))


@router.patch("/campaigns/{campaign}/lines/{n}", responses=WRITING)
def change_line(
    session: SessionDep, viewer: StaffDep, campaign: CampaignPath, n: LinePath, wish: LineChange
) -> Changed:
    """Tick a line off, drop it, open it again, put it off, or correct it.

    Raises
    ------
    ForbiddenError
        If it is neither one's own nor of one's own territory: 403.
    StaleEditError
        If it was changed since: 412.
    InvalidInputError
        If the campaign is closed, or a reason is missing: 422.
    """
    check_day(wish.due_on)
    said = said_of(wish)
    made = service.campaigns.change_line(session, viewer, campaign, n, wish.version, said)
    return Changed(version=made)


@router.get(
    "/campaigns/{campaign}/lists",
    response_class=Response,
    responses={
        **responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
        200: {"content": {XLSX: {}, "text/csv": {}}},
    },
)
def export_lists(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    campaign: CampaignPath,
    f: Annotated[Literal["csv", "xlsx"], Query(description="Format of the file.")] = "xlsx",
) -> Response:
    """Return both lists as far as one sees them, as a workbook or CSV; a row of the log.

    Raises
    ------
    NotFoundError
        If the city has no such campaign: 404.
    """
    at, lang = asked.moment(session), i18n.get_language(request)
    tables = service.lists.export(session, viewer, at, campaign, lang)
    name = f"{at.slug}-campaign-{campaign}-{at.day}"
    if f == "csv":
        return csv_file(plain_sheet(*service.lists.in_one(tables, lang)), name)
    return _workbook(tables, name)


@router.post("/campaigns/{campaign}/lists", responses=WRITING)
def import_lists(
    request: Request,
    session: SessionDep,
    viewer: KeepersDep,
    asked: AskedDep,
    campaign: CampaignPath,
    file: UploadFile,
    write: bool = False,
) -> ListReport:
    """Read lists (XLSX or CSV); with `write` take them over if every row can be taken.

    Raises
    ------
    NotFoundError
        If the city has no such campaign: 404.
    InvalidInputError
        If the file is no table or lacks a column: 422.
    """
    at, content = asked.moment(session), file.file.read()
    report = service.lists.take(session, viewer, at, campaign, content, write=write)
    word = i18n.translations(i18n.get_language(request)).gettext
    rejected = [
        {**vars(row), "message": office_words.sentence(word, row.reason, row.value)}
        for row in report.rejected[: service.lists.MOST_TOLD]
    ]
    return ListReport.model_validate({**vars(report), "rejected": rejected})


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


@router.get(
    "/campaigns/{campaign}/bulletin.xlsx",
    response_class=Response,
    responses={
        **responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
        200: {"content": {XLSX: {}}},
    },
)
def export_bulletin(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    campaign: CampaignPath,
    period: Period = Period.MONTH,
    day: Annotated[date | None, Query(description="A day of the period; default: today.")] = None,
) -> Response:
    """Return a bulletin as a workbook: its figures, and the lines that they count.

    Raises
    ------
    NotFoundError
        If the city has no such campaign: 404.
    """
    check_day(day)
    at = asked.moment(session)
    told = service.bulletins.bulletin(session, viewer, at, campaign, period, day or at.day)
    zone, lang = ZoneInfo(at.timezone), i18n.get_language(request)
    name = f"{at.slug}-campaign-{campaign}-{period.value}-{told['first']}"
    return _workbook(service.lists.of_bulletin(told, zone, lang), name)


def _workbook(tables: Sequence[Any], name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.xlsx"'}
    return Response(service.lists.workbook(tables), media_type=XLSX, headers=headers)
