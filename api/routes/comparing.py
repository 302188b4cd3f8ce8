"""Nets and plans compared: what moves between two of them, what a plan changes."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, NetAskedDep, Word
from api.deps import CityDep, CityWideDep, SessionDep, StaffDep, ViewerDep, check_day
from api.errors import responses_for
from api.figure_schemas import Figures, GridFigures
from api.formats import PRIVATE, csv_file, json_answer, sheet
from api.routes.plans import PlanPath
from api.schemas import AsOf, Figure, Form
from geo import service
from geo.errors import (
    CityNotFoundError,
    ForbiddenError,
    NetNotFoundError,
    NotSignedInError,
    PlanNotFoundError,
)
from geo.terms import MAX_LEVELS

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["compare"], dependencies=[KNOWN_FIELDS])

STAFF = (
    CityNotFoundError, NetNotFoundError, PlanNotFoundError, NotSignedInError, ForbiddenError,
)  # fmt: skip
ZIP = "application/zip"
SideQuery = Annotated[
    str,
    Query(
        pattern=r"^(net:|plan:)?[0-9-]{1,10}$",
        description="net:3, plan:7, or a date for the net in force on it.",
    ),
]
Vintage = Annotated[
    str | None,
    Query(max_length=16, pattern=r"^[\w-]+$", description="Households of both sides."),
]


class SideCard(Form):
    """One side: a net, or a plan with the number of its last edit and its base net."""

    name: str
    plan: int | None
    version: int | None
    seq: int | None
    effective_from: date | None


class Balance(Form):
    """How evenly households lie on basic grids; deviations are shares of the target."""

    units: int
    total: Figure
    target: float | None
    tolerance: float
    least: float | None
    most: float | None
    mean_deviation: float | None
    largest_deviation: float | None
    within: int | None
    within_share: float | None


class ReachCard(Form):
    """Households near an open station in the whole city, and how stations lie in grids."""

    limits_m: list[int]
    households: Figure
    within: list[Figure]
    stations: int
    stations_moved: int
    grids_without_station_old: int
    grids_without_station_new: int


class GridState(Form):
    """A grid on one side."""

    name: str | None
    code: str | None
    level: int | None
    parent: int | None
    kind: str | None
    verdict: str
    area_m2: float
    households: Figure
    polsby_popper: float | None
    open_issues: int
    within_500_m: Figure
    within_1000_m: Figure


class GridChange(Form):
    """A grid that is not the same on both sides; null where it is not."""

    grid: int
    old: GridState | None
    new: GridState | None


class PostChange(Form):
    """A post whose grid ends, and needs a successor, or has other ground."""

    post: int
    grid: int
    grid_name: str | None
    role: str
    part_time: bool
    vacant: bool
    state: Literal["ended", "changed"]


class PostChanges(Form):
    """The posts of a day that are affected."""

    day: date
    ended: int
    changed: int
    items: list[PostChange]


class OpenIssues(Form):
    """Open issues that the reader may see, and those that lie in another grid than before."""

    total: int
    moved: int


class CrosswalkRow(Form):
    """What two grids have in common; null where one side has no grid there."""

    old: int | None
    old_name: str | None
    old_code: str | None
    new: int | None
    new_name: str | None
    new_code: str | None
    households: Figure
    area_m2: float
    area_share_old: float | None
    area_share_new: float | None
    households_share_old: float | None
    households_share_new: float | None


class ComparisonCard(Form):
    """Two nets or plans compared by their cells."""

    as_of: AsOf
    old: SideCard
    new: SideCard
    level: int | None = Field(description="Null: the leaf grids.")
    units_old: int
    units_new: int
    same: int
    verdicts: dict[str, dict[str, int]]
    cells_moved: int
    area_old_m2: float
    area_new_m2: float
    moved_area_m2: float
    moved_households: Figure
    households: Figure
    balance_old: Balance
    balance_new: Balance
    polsby_popper_old: float | None = Field(description="Mean of the grids.")
    polsby_popper_new: float | None
    reach: ReachCard
    open_issues: OpenIssues
    posts: PostChanges
    grids: list[GridChange]
    crosswalk: list[CrosswalkRow]

    @classmethod
    def told(cls, at: service.Moment, found: dict[str, Any]) -> ComparisonCard:
        """Return a comparison with its dates."""
        return cls.model_validate({**found, "as_of": AsOf.of(at)})


@router.get(
    "/compare",
    response_model=ComparisonCard,
    responses={**responses_for(*STAFF), 200: {"content": {"text/csv": {}}}},
)
def compare(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    city_id: CityDep,
    old: SideQuery,
    new: SideQuery,
    level: Annotated[
        int | None, Query(ge=1, le=MAX_LEVELS, description="Default: the leaf grids.")
    ] = None,
    vintage: Vintage = None,
    f: Annotated[Literal["json", "csv"], Query(description="csv: the crosswalk alone.")] = "json",
) -> Response:
    """Compare two nets or plans: what moves, a crosswalk, balance, posts, issues, stations.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account does not belong to the city: 403.
    NetNotFoundError, PlanNotFoundError
        If there is no such net, or one is a member of no such plan: 404.
    """
    at, found = service.comparing.compare(session, viewer, old, new, level=level, vintage=vintage)
    card = ComparisonCard.told(at, found)
    if f == "json":
        return json_answer(card)
    columns = list(CrosswalkRow.model_fields)
    rows = ([getattr(row, name) for name in columns] for row in card.crosswalk)
    name = f"{request.path_params['city']}-crosswalk-{old}-{new}".replace(":", "")
    return csv_file(sheet(columns, rows, card.as_of), name)


@router.get(
    "/plans/{plan}/impact",
    responses=responses_for(CityNotFoundError, NetNotFoundError, PlanNotFoundError),
)
def show_impact(
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    vintage: Vintage = None,
) -> ComparisonCard:
    """Report what a plan changes: households, posts, balance, compactness, stations, issues.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    at, found = service.comparing.impact(session, viewer, plan, vintage=vintage)
    return ComparisonCard.told(at, found)


@router.get(
    "/plans/{plan}/dossier",
    response_class=Response,
    responses={
        **responses_for(CityNotFoundError, NetNotFoundError, PlanNotFoundError),
        200: {"content": {ZIP: {}}},
    },
)
def show_dossier(
    request: Request,
    session: SessionDep,
    viewer: ViewerDep,
    city_id: CityDep,
    plan: PlanPath,
    vintage: Vintage = None,
    lang: Annotated[Literal["zh", "en"], Query(description="Of the pages.")] = "zh",
) -> Response:
    """Hand out the dossier of a plan: manifest, pages, maps, tables; the same bytes again.

    Raises
    ------
    PlanNotFoundError
        If one is a member of no such plan: 404.
    """
    made = service.comparing.archive(session, viewer, plan, lang=lang, vintage=vintage)
    name = f"{request.path_params['city']}-plan-{plan}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": PRIVATE}
    return Response(made, media_type=ZIP, headers=headers)


class RestatedItem(GridFigures):
    """Issues of the period that lie in a grid of the net, whatever net was in force then."""

    cases: int
    households: Figure
    per_1000_households: float | None = Field(description="Null below 50 households.")


class Restated(Figures[RestatedItem]):
    """Issues of any period on any net; those set aside are counted apart."""

    left_out: dict[str, int]


@router.get(
    "/figures/restated",
    response_model=Restated,
    responses={
        **responses_for(CityNotFoundError, NetNotFoundError, NotSignedInError, ForbiddenError),
        200: {"content": {"text/csv": {}}},
    },
)
def show_restated(
    request: Request,
    session: SessionDep,
    viewer: CityWideDep,
    asked: NetAskedDep,
    level: Annotated[int, Query(ge=1, le=MAX_LEVELS, description="1 is the top.")] = 1,
    since: Annotated[date | None, Query(alias="from", description="First day.")] = None,
    until: Annotated[date | None, Query(alias="to", description="Last day.")] = None,
    category: Annotated[Word | None, Query(description="With all below it.")] = None,
    f: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Response:
    """Show the issues of any period on the grids of any net, with the households of any vintage.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account may not read the whole city: 403.
    NetNotFoundError
        If there is no such net: 404.
    """
    period = service.comparing.Period(check_day(since), check_day(until))
    at, days, found = service.comparing.restate(session, viewer, asked, level, period, category)
    answer = Restated.model_validate({**found, "as_of": AsOf.of(at, days)})
    if f == "json":
        return json_answer(answer)
    first, last = days or (None, None)
    columns = [*RestatedItem.model_fields, "from", "to"]
    rows = (
        [*row.model_dump(mode="json").values(), str(first or ""), str(last or "")]
        for row in (*answer.items, answer.total)
    )
    name = f"{request.path_params['city']}-restated-{first}-{last}-net{at.seq}"
    return csv_file(sheet(columns, rows, answer.as_of), name)
