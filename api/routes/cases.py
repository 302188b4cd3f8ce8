"""The work on issues: desks, acts, histories, who would take one, rates."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import i18n
from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, GridQuery, TurnDep, Word
from api.deps import SessionDep, StaffDep
from api.desk_asking import DeskDep, check_days
from api.errors import responses_for, told_later
from api.formats import LISTED, Format, json_answer, listing
from api.routes.office import PROTECTED, Line, Number, Wish
from api.schemas import AsOf, Form, GridStep
from geo import service
from geo.errors import (
    IssueActError,
    NetNotFoundError,
    NotFoundError,
    OutsideCityError,
    StaleEditError,
)
from geo.terms import IssueAct, IssueState, SetAside

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

IssuePath = Annotated[int, Path(ge=1, le=MOST_ID)]
Words = Annotated[str, Field(max_length=2000)]
ACTING = (*PROTECTED, NotFoundError, IssueActError, StaleEditError)


# ---- desks ---------------------------------------------------------------------------------------


class DeskItem(Form):
    """An issue on one's desk; `due_at` in 2999 waits for nothing."""

    issue: int
    code: str | None
    external: str | None
    category: str
    category_name: str
    category_name_en: str
    channel: str
    state: IssueState
    reported_at: datetime
    due_at: datetime
    deadline_at: datetime | None
    handled_at: datetime | None
    closed_at: datetime | None
    words: str | None
    address: str | None
    organisation: int | None
    organisation_name: str | None
    assisting: list[int] | None
    desk_level: int
    desk_name: str | None
    grid: int
    grid_name: str | None
    returns: int
    reworks: int
    reopens: int
    supervised_until: date | None
    warned_at: datetime | None
    version: int
    lon: float
    lat: float


class DeskCounts(Form):
    """How many issues lie in each box of the desk; `stamp` differs when any of them changes."""

    all: int
    new: int
    due_today: int
    overdue: int
    to_check: int
    supervised: int
    parked: int
    suspended: int
    stamp: int


@router.get(
    "/desk",
    response_model=None,
    responses={**responses_for(*PROTECTED, NetNotFoundError), **LISTED},
)
def show_desk(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    turn: TurnDep,
    narrow: DeskDep,
    f: Format = "json",
) -> Response:
    """List the open issues on one's desk, what falls due first first; a file is a row of the log.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account does not belong to the city: 403.
    """
    at = asked.moment(session)
    page = service.cases.desk(session, viewer, at, narrow, limit=turn.limit, after=turn.after)
    if f != "json":
        service.cases.note_file(session, at, f, len(page.items), narrow)
    period = (narrow.since, narrow.until) if narrow.since or narrow.until else None
    dates = AsOf.of(at, period)
    return listing(request, DeskItem, page.items, page.next, dates, key="issue", f=f)


@router.get("/desk/counts", responses=responses_for(*PROTECTED, NetNotFoundError))
def count_desk(
    session: SessionDep, viewer: StaffDep, asked: AskedDep, narrow: DeskDep
) -> DeskCounts:
    """Count the issues in each box of one's desk, narrowed as its list is; `box` does not count."""
    found = service.cases.desk_counts(session, viewer, asked.moment(session), narrow)
    return DeskCounts.model_validate(found)


# ---- one issue -----------------------------------------------------------------------------------


class Foreseen(Form):
    """What an act would make of an issue: who gets it, until when (null: no limit runs)."""

    state: IssueState
    due_at: datetime | None
    organisation: int | None
    organisation_name: str | None
    assisting: list[int] | None
    desk: str | None = Field(description="Name of the grid whose desk gets it.")
    rule: str | None = Field(description="By which rule it would be routed.")
    through: list[IssueAct] = Field(description="Steps that are done before it.")


class CaseCard(Form):
    """All that staff may know of an issue; `acts` is what one may do to it now.

    `ways` are acts that can be done with the steps before them (`through`); `foreseen` says of acts
    that need nothing else what they would make of it.
    """

    issue: int
    code: str | None
    external: str | None
    category: str
    channel: str
    state: IssueState
    words: str | None
    address: str | None
    lon: float
    lat: float
    reported_at: datetime
    accepted_at: datetime | None
    register_by: datetime | None
    registered_at: datetime | None
    dispatched_at: datetime | None
    deadline_at: datetime | None
    deadlines: dict[str, datetime] | None
    suspended_at: datetime | None
    handled_at: datetime | None
    closed_at: datetime | None
    due_at: datetime
    review_on: date | None
    desk_level: int
    organisation_id: int | None
    assisting: list[int] | None
    returns: int
    reworks: int
    postpones: int
    reopens: int
    on_the_spot: bool
    set_aside: SetAside | None
    duplicate_of: int | None
    split_from: int | None
    supervisor_id: int | None
    supervised_until: date | None
    warned_at: datetime | None
    satisfied: bool | None
    erased_at: datetime | None
    version: int
    path: list[GridStep]
    relations: list[str]
    acts: list[IssueAct]
    ways: dict[IssueAct, list[IssueAct]]
    foreseen: dict[IssueAct, Foreseen]
    as_of: AsOf


class HistoryLine(Form):
    """A line of the history of an issue."""

    at: datetime
    act: IssueAct
    state: IssueState
    actor: int | None
    actor_role: str | None
    reason: str | None
    details: dict[str, Any]


class History(Form):
    """The history of an issue, the oldest line first."""

    items: list[HistoryLine]


class ContactCard(Form):
    """How the reporter is reached."""

    name: str | None
    phone: str | None
    email: str | None


@router.get(
    "/issues/{issue}/case",
    response_model=CaseCard,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
)
def show_case(
    request: Request, session: SessionDep, viewer: StaffDep, asked: AskedDep, issue: IssuePath
) -> Response:
    """Show all of an issue that one may see, and what one may do to it now.

    Raises
    ------
    NotFoundError
        If there is none, or it belongs to others: 404.
    """
    at = asked.moment(session)
    found = i18n.told(service.cases.show(session, viewer, at, issue), i18n.get_language(request))
    return json_answer(CaseCard.model_validate({**found, "as_of": AsOf.of(at)}))


@router.get("/issues/{issue}/history", responses=responses_for(*PROTECTED, NotFoundError))
def show_history(
    request: Request, session: SessionDep, viewer: StaffDep, issue: IssuePath
) -> History:
    """Show the history of an issue.

    Raises
    ------
    NotFoundError
        If there is none, or it belongs to others: 404.
    """
    word = i18n.translations(i18n.get_language(request)).gettext
    rows = service.cases.history(session, viewer, issue)
    for row in rows:
        if row["details"].get("rule") in service.cases.NOT_OWN_RULES:
            row["details"] = {**row["details"], "rule": word(row["details"]["rule"])}
    return History(items=[HistoryLine.model_validate(row) for row in rows])


@router.get("/issues/{issue}/contact", responses=responses_for(*PROTECTED, NotFoundError))
def show_contact(session: SessionDep, viewer: StaffDep, issue: IssuePath) -> ContactCard:
    """Show how a reporter is reached, to the desk of the territory; a row of the log.

    Raises
    ------
    ForbiddenError
        If one is not that desk: 403.
    NotFoundError
        If nothing is kept: 404.
    """
    return ContactCard.model_validate(service.cases.contact(session, viewer, issue))


class Part(Wish):
    """An issue that is split off."""

    category: Line | None = None
    words: Words | None = None


class ActOn(Wish):
    """What is done, and what it needs to know; the fields of other acts are left out."""

    act: IssueAct
    reason: Annotated[str, Field(max_length=1000)] | None = None
    organisation: Number | None = None
    itself: bool = Field(False, description="Dispatch: the grid deals with it itself.")
    assisting: Annotated[list[Number], Field(default_factory=list, max_length=50)]
    deadline: datetime | None = None
    until: date | None = None
    owner: Number | None = None
    category: Line | None = None
    into: Number | None = None
    parts: Annotated[list[Part], Field(default_factory=list, max_length=20)]
    aside: SetAside | None = None
    through: bool = Field(
        False, description="Do the steps before it as well: accept, register; check."
    )
    version: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="Of the issue that was looked at: a newer one answers 412."
    )

    def wish(self) -> service.cases.ActWish:
        """Return it as the service takes it."""
        told = self.model_dump(exclude={"act", "parts", "assisting", "issues"})
        parts = tuple(one.model_dump() for one in self.parts)
        return service.cases.ActWish(**told, parts=parts, assisting=tuple(self.assisting))


class ActOnMany(ActOn):
    """The same done to many issues."""

    issues: Annotated[list[Number], Field(min_length=1, max_length=500)]
    versions: Annotated[
        dict[Number, Annotated[int, Field(ge=0, le=2**31 - 1)]],
        Field(max_length=500, description="Of those looked at: newer ones are left as they are."),
    ] = Field(default_factory=dict)


class Acted(Form):
    """Where the issue stands; `new` are issues that were split off."""

    issue: int
    state: IssueState
    version: int
    new: list[int]


class DoneOfMany(Form):
    """What became of one of many."""

    issue: int
    ok: bool
    state: IssueState | None = None
    code: str | None = None
    reason: str | None = None
    message: str | None = None


Outcome = TypeVar("Outcome", bound=DoneOfMany)


class DoneToMany(Form):
    """What became of each."""

    items: list[DoneOfMany]


@router.post("/issues/{issue}/acts", responses=responses_for(*ACTING))
def act_on_issue(session: SessionDep, viewer: StaffDep, issue: IssuePath, wish: ActOn) -> Acted:
    """Do something to an issue: accept, dispatch, handle, check, close, return ...

    Raises
    ------
    IssueActError
        If it cannot be done in its state, by this account, or without a reason: 409.
    StaleEditError
        If somebody changed it since the version that was looked at: 412.
    NotFoundError
        If there is none, or it belongs to others: 404.
    """
    done = service.cases.act(session, viewer, issue, wish.act, wish.wish())
    return Acted(
        issue=done.issue, state=IssueState(done.state), version=done.version, new=list(done.new)
    )


@router.post("/issues/acts", responses=responses_for(*PROTECTED))
def act_on_issues(
    request: Request, session: SessionDep, viewer: StaffDep, wish: ActOnMany
) -> DoneToMany:
    """Do the same to up to 500 issues; each succeeds or fails by itself."""
    done = service.cases.bulk(session, viewer, wish.issues, wish.act, wish.wish())
    return DoneToMany(items=[_one_of_many(request, DoneOfMany, one) for one in done])


class ForeseenOfMany(DoneOfMany):
    """What would become of one of many."""

    due_at: datetime | None = None
    organisation: int | None = None
    organisation_name: str | None = None
    desk: str | None = None
    rule: str | None = None
    through: Annotated[list[IssueAct], Field(default_factory=list)]


class ForeseenMany(Form):
    """What would become of each, in the order asked for."""

    items: list[ForeseenOfMany]


@router.post("/issues/foreseen", responses=responses_for(*PROTECTED, NetNotFoundError))
def foresee_act(
    request: Request, session: SessionDep, viewer: StaffDep, asked: AskedDep, wish: ActOnMany
) -> ForeseenMany:
    """Say who would get each of up to 500 issues by an act, until when; nothing is changed."""
    at = asked.moment(session)
    done = service.cases.foresee(session, viewer, at, wish.issues, wish.act, wish.wish())
    return ForeseenMany(items=[_one_of_many(request, ForeseenOfMany, one) for one in done])


def _one_of_many(request: Request, form: type[Outcome], one: dict[str, Any]) -> Outcome:
    """Return what became of one of many in the reader's language."""
    language = i18n.get_language(request)
    said = i18n.told(one, language) if one["ok"] else told_later(one, language) or {}
    return form.model_validate({key: said[key] for key in form.model_fields if key in said})


# ---- rules and rates -----------------------------------------------------------------------------


class RouteStep(Form):
    """A rule that was looked at."""

    name: str
    holds: bool
    why: str


class RouteCard(Form):
    """Who would take an issue, and by which rule."""

    organisation: int | None
    assisting: list[int]
    desk_level: int
    rule: str
    steps: list[RouteStep]


@router.get(
    "/routing",
    responses=responses_for(*PROTECTED, NetNotFoundError, OutsideCityError),
)
def explain_routing(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    category: Word,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
) -> RouteCard:
    """Say who would take an issue of a category at a place now, and why.

    Raises
    ------
    OutsideCityError
        If the place lies outside the city: 404.
    """
    route = service.cases.explain_at(session, asked.moment(session), category, lon, lat)
    return RouteCard.model_validate(i18n.told(route.row(), i18n.get_language(request)))


class RateItem(Form):
    """A rate with its numerator and denominator; `share` is null over nothing."""

    rate: str
    name: str
    name_en: str
    over: int
    of: int
    share: float | None


class RateRow(Form):
    """The rates of a group; null where they would be about persons."""

    group: str | int | None
    name: str | None
    name_en: str | None
    workers: int
    withheld: bool
    rates: list[RateItem] | None


class Rates(Form):
    """Rates of a period; `set_aside` do not count."""

    by: str
    since: date
    until: date
    set_aside: int
    rows: list[RateRow]
    as_of: AsOf


@router.get("/rates", responses=responses_for(*PROTECTED, NetNotFoundError))
def show_rates(
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    by: Literal["none", "area", "department", "category", "month"] = "none",
    level: Annotated[int, Query(ge=1, le=6)] = 1,
    since: Annotated[date | None, Query(alias="from")] = None,
    until: Annotated[date | None, Query(alias="to")] = None,
    grid: GridQuery | None = None,
    category: Word | None = None,
    organisation: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    export: bool = False,
) -> Rates:
    """Show rates by area, department, category or month, on the net of `as_of`.

    A rate that rests on fewer than five workers is told to the worker and the own lead alone, and
    never with `export`.
    """
    check_days(since, until)
    at = asked.moment(session)
    narrow = service.cases.RateFilter(
        since=since, until=until, by=by, level=level, grid=grid, category=category,
        organisation=organisation, export=export,
    )  # fmt: skip
    found = service.cases.rates(session, viewer, at, narrow)
    dates = AsOf.of(at, (found["since"], found["until"]))
    return Rates.model_validate({**found, "as_of": dates})
