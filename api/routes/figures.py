"""Figures of the four maps: coverage, patrol areas, density of stations, requests by square."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from api.asking import KNOWN_FIELDS, NetAskedDep, Word
from api.deps import CityWideDep, SessionDep, StaffDep
from api.errors import responses_for
from api.figure_schemas import (
    Coverage,
    CoverageSquares,
    Figures,
    Patrol,
    PatrolItem,
    RequestSquares,
    StationsItem,
)
from api.formats import PRIVATE, csv_file, json_answer, kept, sheet, table
from api.kept import stamped
from api.schemas import AsOf
from geo import service
from geo.errors import (
    CityNotFoundError,
    ForbiddenError,
    InvalidInputError,
    NetNotFoundError,
    NotSignedInError,
)
from geo.terms import MAX_LEVELS

router = APIRouter(
    prefix="/api/v1/cities/{city}/figures", tags=["figures"], dependencies=[KNOWN_FIELDS]
)

JSON = "application/json"
FileFormat = Literal["json", "csv"]
TABLED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}
OPEN_ERRORS = (CityNotFoundError, NetNotFoundError)
STAFF_ERRORS = (*OPEN_ERRORS, NotSignedInError, ForbiddenError)
MONTH = r"^(19|2\d)\d\d-(0[1-9]|1[0-2])$"

Level = Annotated[int, Query(ge=1, le=MAX_LEVELS, description="Grids of this level; 1 is the top.")]
Side = Annotated[
    Literal["125", "250", "500", "1000"],
    Query(description="Side of the squares in metres; each is four of the size before."),
]
Kinds = Annotated[
    list[Word], Query(alias="kind", max_length=40, description="Kinds of stations; none for all.")
]
Month = Annotated[str | None, Query(pattern=MONTH, description="YYYY-MM")]


def _file(request: Request, subject: str, items: list[BaseModel], as_of: AsOf) -> Response:
    """Return rows as a CSV file; the last one is the city's."""
    columns = list(type(items[0]).model_fields)
    return csv_file(table(items, columns, as_of), _name(request, subject, as_of))


def _name(request: Request, subject: str, as_of: AsOf) -> str:
    return f"{request.path_params['city']}-{subject}-{as_of.day}-net{as_of.net.seq}"


@router.get(
    "/coverage",
    response_model=Coverage,
    responses={
        **responses_for(*STAFF_ERRORS),
        **TABLED,
        304: {"description": "The browser has these very bytes."},
    },
)
def show_coverage(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    asked: NetAskedDep,
    level: Level = 1,
    kind: Kinds = [],  # noqa: B006 (FastAPI copies it)
    f: FileFormat = "json",
) -> Response:
    """Show how many households of each grid live near an open station, as the crow flies.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account does not belong to the city: 403.
    """

    def answer() -> Coverage:
        at, found = service.coverage(session, asked, level, kind)
        return Coverage.model_validate({**found, "as_of": AsOf.of(at)})

    if f == "csv":
        form = answer()
        return _file(request, "coverage", [*form.items, form.total], form.as_of)
    return _kept(request, session, asked, lambda: answer().model_dump_json().encode())


@router.get(
    "/coverage/squares",
    response_model=CoverageSquares,
    responses={
        **responses_for(*STAFF_ERRORS),
        304: {"description": "The browser has these very bytes."},
    },
)
def show_coverage_squares(
    request: Request,
    session: SessionDep,
    viewer: CityWideDep,
    asked: NetAskedDep,
    side: Side = "125",
    kind: Kinds = [],  # noqa: B006 (FastAPI copies it)
) -> Response:
    """Show the households of fixed squares by their distance to the nearest open station.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account may not read the whole city: 403.
    """

    def make() -> bytes:
        at, found = service.coverage_squares(session, asked, int(side), kind)
        form = CoverageSquares.model_validate({**found, "as_of": AsOf.of(at)}, from_attributes=True)
        return form.model_dump_json().encode()

    return _kept(request, session, asked, make)


@router.get("/patrol", response_model=Patrol, responses={**responses_for(*OPEN_ERRORS), **TABLED})
def show_patrol(
    request: Request,
    session: SessionDep,
    asked: NetAskedDep,
    level: Level = 1,
    role: Annotated[Word | None, Query(description="Posts of this role alone.")] = None,
    f: FileFormat = "json",
) -> Response:
    """Show the posts of each grid on the day: filled, vacant, full and part time.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    at, found = service.patrol_areas(session, asked, level, role)
    answer = Patrol.model_validate({**found, "as_of": AsOf.of(at)})
    if f == "json":
        return json_answer(answer)
    columns = [name for name in PatrolItem.model_fields if name != "roles"]
    content = table([*answer.items, answer.total], columns, answer.as_of)
    return csv_file(content, _name(request, "patrol", answer.as_of))


@router.get(
    "/stations",
    response_model=Figures[StationsItem],
    responses={**responses_for(*OPEN_ERRORS), **TABLED},
)
def show_station_density(
    request: Request,
    session: SessionDep,
    asked: NetAskedDep,
    level: Level = 1,
    kind: Kinds = [],  # noqa: B006 (FastAPI copies it)
    f: FileFormat = "json",
) -> Response:
    """Show the open stations of each grid, per 10,000 households and per km2.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    at, found = service.station_density(session, asked, level, kind)
    answer = Figures[StationsItem].model_validate({**found, "as_of": AsOf.of(at)})
    if f == "csv":
        return _file(request, "station-density", [*answer.items, answer.total], answer.as_of)
    return json_answer(answer)


@router.get(
    "/requests",
    response_model=RequestSquares,
    responses={
        **responses_for(*STAFF_ERRORS),
        **TABLED,
        304: {"description": "The browser has these very bytes."},
    },
)
def show_requests(
    request: Request,
    session: SessionDep,
    viewer: CityWideDep,
    asked: NetAskedDep,
    side: Side = "250",
    since: Annotated[Month, Query(alias="from", description="First month, YYYY-MM.")] = None,
    until: Annotated[Month, Query(alias="to", description="Last month, YYYY-MM.")] = None,
    category: Annotated[Word | None, Query(description="A main category.")] = None,
    measure: Annotated[
        Literal["rate", "count"],
        Query(description="In files: per 1,000 households, or counts that need no households."),
    ] = "rate",
    f: FileFormat = "json",
) -> Response:
    """Show requests on fixed squares by month; default geocodes and duplicates are set aside.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account may not read the whole city: 403.
    """
    first, last = (None if month is None else _first(month) for month in (since, until))
    if first is not None and last is not None and last < first:
        raise InvalidInputError("The last month lies before the first.", field="to")
    narrow = service.RequestFilter(int(side), first, last, category, measure == "rate")
    if f == "csv":
        at, found = service.map_requests(session, viewer, asked, narrow)
        as_of = AsOf.of(at, _period(found))
        return csv_file(sheet(*_rows(found), as_of), _name(request, "requests", as_of))

    def make() -> bytes:
        at, found = service.map_requests(session, viewer, asked, narrow)
        return RequestSquares.of(found, AsOf.of(at, _period(found))).model_dump_json().encode()

    return _kept(request, session, asked, make)


def _kept(
    request: Request, session: SessionDep, asked: service.Asked, make: Callable[[], bytes]
) -> Response:
    """Return the answer to this very question, made once as long as the figures stay the same.

    It is the same for all who may ask: the caller has let nobody else pass.
    """
    question = f"{request.url.path} {sorted(request.query_params.multi_items())}"
    tag, zipped = stamped(request, session, asked, question, make)
    return kept(request, zipped, media_type=JSON, cache=PRIVATE, tag=tag, zipped=True)


def _period(found: service.Requests) -> tuple[date, date]:
    """Return the first and the last day of the months of a map."""
    end = found.months[-1]
    return found.months[0], end.replace(day=monthrange(end.year, end.month)[1])


def _first(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def _rows(found: service.Requests) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the columns of the file and one row for each square: its sums, then its months."""
    head = [
        "column", "row", "side_m", "lon", "lat", "area", "households", "cases",
        "per_1000_households", "shown",
    ]  # fmt: skip
    months = [f"cases_{month:%Y_%m}" for month in found.months]
    period = [f"{found.months[0]:%Y-%m}", f"{found.months[-1]:%Y-%m}"]
    rows = (
        [*(row[name] for name in head), *(month[index] for month in found.cases), *period]
        for index, row in enumerate(found.rows())
    )
    return [*head, *months, "from", "to"], rows
