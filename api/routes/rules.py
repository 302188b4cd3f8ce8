"""The rules of a city's issues for programs: limits, working days, who takes what."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from api import i18n
from api.asking import KNOWN_FIELDS, AskedDep
from api.deps import AdministratorDep, SessionDep, StaffDep, check_day
from api.errors import responses_for
from api.routes.office import PROTECTED, CodePath, Line, Number, Wish
from api.schemas import Form
from geo import service
from geo.errors import NetNotFoundError, NotFoundError
from geo.terms import LimitUnit, Shown

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

Bodies = Annotated[list[Number], Field(max_length=20)]
DayPath = Annotated[date, Path(description="YYYY-MM-DD")]
StepPath = Annotated[str, Path(max_length=32, pattern=r"^[a-z_]+$")]
NPath = Annotated[int, Path(ge=1, le=999, description="Rules are looked at in this order.")]


class LimitItem(Form):
    """How long a step may take; `of` is the category that says it, empty for all."""

    step: str
    amount: float
    unit: LimitUnit
    of: str
    own: bool


class KindItem(Form):
    """A category with what it inherits."""

    category: str
    parent: str | None
    root: str
    name: str
    name_en: str
    lead: int | None
    lead_name: str | None
    own_lead: bool
    assisting: list[int]
    assisting_names: list[str]
    legal_basis: str | None
    shown: Shown
    limits: list[LimitItem]


class RoutingItem(Form):
    """An ordered rule; a condition that is null holds always."""

    n: int
    name: str
    grid: int | None
    grid_name: str | None
    grid_code: str | None
    category: str | None
    category_name: str | None
    weekdays: list[int] | None
    from_time: time | None
    to_time: time | None
    organisation: int | None
    organisation_name: str | None
    assisting: list[int]
    assisting_names: list[str]
    desk_level: int | None


class DayItem(Form):
    """A day on which the city works, or does not, whatever its country does."""

    day: date
    working: bool
    note: str


class OtherDay(Form):
    """A day of the next months on which the city works at a weekend or rests in the week."""

    day: date
    working: bool


class Rulebook(Form):
    """All rules of a city's issues."""

    steps: list[str]
    categories: list[KindItem]
    routing: list[RoutingItem]
    days: list[DayItem]
    other_days: list[OtherDay]


class LimitWish(Wish):
    """How long a step may take."""

    amount: Annotated[float, Field(gt=0, le=10_000)]
    unit: LimitUnit


class DayWish(Wish):
    """Whether the city works on a day, and why."""

    working: bool
    note: Line


class KindWish(Wish):
    """Who leads and assists, by which law, where issues may be shown; null is inherited."""

    lead: Number | None = None
    assisting: Bodies = Field(default_factory=list)
    legal_basis: Line | None = None
    shown: Shown | None = None


class RoutingWish(Wish):
    """Who takes what fits all the conditions that are named; without an organisation the desk."""

    name: Line
    grid: Number | None = None
    category: Line | None = None
    weekdays: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(max_length=7)] | None = None
    from_time: time | None = None
    to_time: time | None = None
    organisation: Number | None = None
    assisting: Bodies = Field(default_factory=list)
    desk_level: Annotated[int, Field(ge=1, le=6)] | None = None


@router.get("/rules", responses=responses_for(*PROTECTED, NetNotFoundError))
def show_rules(
    request: Request, session: SessionDep, viewer: StaffDep, asked: AskedDep
) -> Rulebook:
    """Tell the rules of the city's issues with what is inherited from the country.

    Raises
    ------
    ForbiddenError
        If the account does not belong to the city: 403.
    """
    found = service.rulebook.book(session, viewer, asked.moment(session))
    return Rulebook.model_validate(i18n.told(found, i18n.get_language(request)))


CHANGING = responses_for(*PROTECTED, NotFoundError)


@router.put("/rules/limits/{category}/{step}", status_code=204, responses=CHANGING)
def put_limit(
    session: SessionDep,
    viewer: AdministratorDep,
    category: CodePath,
    step: StepPath,
    wish: LimitWish,
) -> Response:
    """Say how long a step may take for a category and all below; what is open keeps its deadline.

    Raises
    ------
    InvalidInputError
        If there is no such category or step: 422.
    """
    service.rulebook.put_limit(session, viewer, category, step, wish.amount, wish.unit)
    return Response(status_code=204)


@router.delete("/rules/limits/{category}/{step}", status_code=204, responses=CHANGING)
def drop_limit(
    session: SessionDep, viewer: AdministratorDep, category: CodePath, step: StepPath
) -> Response:
    """Take a limit of the city's own back.

    Raises
    ------
    NotFoundError
        If there is none: 404.
    """
    service.rulebook.drop_limit(session, viewer, category, step)
    return Response(status_code=204)


@router.put("/rules/days/{day}", status_code=204, responses=CHANGING)
def put_day(session: SessionDep, viewer: AdministratorDep, day: DayPath, wish: DayWish) -> Response:
    """Say that the city works on a day, or does not.

    Raises
    ------
    InvalidInputError
        If the note is empty or the day lies in no calendar in use: 422.
    """
    check_day(day)
    service.rulebook.put_day(session, viewer, day, wish.note, working=wish.working)
    return Response(status_code=204)


@router.delete("/rules/days/{day}", status_code=204, responses=CHANGING)
def drop_day(session: SessionDep, viewer: AdministratorDep, day: DayPath) -> Response:
    """Take a day of the city's own back.

    Raises
    ------
    NotFoundError
        If there is none: 404.
    """
    service.rulebook.drop_day(session, viewer, day)
    return Response(status_code=204)


@router.put("/rules/routing/{n}", status_code=204, responses=CHANGING)
def put_routing(
    session: SessionDep, viewer: AdministratorDep, asked: AskedDep, n: NPath, wish: RoutingWish
) -> Response:
    """Write the rule that is looked at as the n-th; the first that holds decides.

    Raises
    ------
    InvalidInputError
        If it names something that the city does not have: 422.
    """
    told = service.rulebook.Routing(
        wish.name, wish.grid, wish.category,
        None if wish.weekdays is None else tuple(wish.weekdays),
        wish.from_time, wish.to_time, wish.organisation, tuple(wish.assisting), wish.desk_level,
    )  # fmt: skip
    service.rulebook.put_route(session, viewer, asked.moment(session), n, told)
    return Response(status_code=204)


@router.delete("/rules/routing/{n}", status_code=204, responses=CHANGING)
def drop_routing(session: SessionDep, viewer: AdministratorDep, n: NPath) -> Response:
    """Take a rule back.

    Raises
    ------
    NotFoundError
        If there is none: 404.
    """
    service.rulebook.drop_route(session, viewer, n)
    return Response(status_code=204)


@router.put("/rules/categories/{category}", status_code=204, responses=CHANGING)
def put_kind(
    session: SessionDep, viewer: AdministratorDep, category: CodePath, wish: KindWish
) -> Response:
    """Say who leads a category, by which law, and where it may be shown.

    Raises
    ------
    NotFoundError
        If there is no such category: 404.
    InvalidInputError
        If there is no such organisation: 422.
    """
    service.rulebook.put_kind(
        session, viewer, category, lead=wish.lead, assisting=tuple(wish.assisting),
        legal_basis=wish.legal_basis, shown=wish.shown,
    )  # fmt: skip
    return Response(status_code=204)
