"""Streets, buildings, compounds, and bodies attached to grids."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, GridQuery, Text, TurnDep, Word
from api.deps import BboxDep, SessionDep, ViewerDep
from api.errors import responses_for
from api.formats import LISTED, MAPPED, Format, MapFormat, json_answer, listing
from api.schemas import (
    AsOf,
    BuildingItem,
    CompoundCard,
    CompoundItem,
    Listing,
    OrganisationItem,
    StreetItem,
)
from geo import service
from geo.errors import CityNotFoundError, NetNotFoundError, NotFoundError
from geo.terms import StreetKind

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["places"], dependencies=[KNOWN_FIELDS])
MISSING = responses_for(CityNotFoundError, NetNotFoundError)
Relation = Literal["larger", "equal", "smaller", "crossing"]
PartOfName = Annotated[Text | None, Query(description="Part of a name.")]


@router.get("/streets", response_model=Listing[StreetItem], responses={**MISSING, **MAPPED})
def list_streets(
    request: Request,
    session: SessionDep,
    asked: AskedDep,
    turn: TurnDep,
    bbox: BboxDep,
    q: PartOfName = None,
    kind: StreetKind | None = None,
    f: MapFormat = "json",
) -> Response:
    """List the edges of the street network.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    narrow = service.PlaceFilter(bbox=bbox, q=q, kind=kind)
    at, page = service.list_streets(session, asked, narrow, turn, geometry=f == "geojson")
    return listing(request, StreetItem, page.items, page.next, AsOf.of(at), key="street", f=f)


@router.get("/buildings", response_model=Listing[BuildingItem], responses={**MISSING, **LISTED})
def list_buildings(
    request: Request,
    session: SessionDep,
    viewer: ViewerDep,
    asked: AskedDep,
    turn: TurnDep,
    bbox: BboxDep,
    q: Annotated[
        Text | None, Query(description="Part of a name, or the beginning of a code.")
    ] = None,
    grid: GridQuery | None = None,
    f: Format = "json",
) -> Response:
    """List buildings; their households are told to staff of the area alone.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    narrow = service.PlaceFilter(bbox=bbox, q=q, grid=grid)
    at, page = service.list_buildings(session, viewer, asked, narrow, turn, geometry=f == "geojson")
    return listing(request, BuildingItem, page.items, page.next, AsOf.of(at), key="building", f=f)


@router.get("/compounds", response_model=Listing[CompoundItem], responses={**MISSING, **LISTED})
def list_compounds(
    request: Request,
    session: SessionDep,
    asked: AskedDep,
    turn: TurnDep,
    bbox: BboxDep,
    q: PartOfName = None,
    relation: Relation | None = None,
    type_: Annotated[Word | None, Query(alias="type", description="Community type.")] = None,
    firm: Annotated[bool | None, Query(description="With a property firm, or without.")] = None,
    committee: Annotated[bool | None, Query(description="With an owners' committee.")] = None,
    grid: GridQuery | None = None,
    f: Format = "json",
) -> Response:
    """List residential compounds: firm and committee on the day, how they lie to the grids.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    narrow = service.estates.CompoundFilter(bbox, q, relation, type_, firm, committee, grid)
    at, page = service.list_compounds(session, asked, narrow, turn, geometry=f == "geojson")
    return listing(request, CompoundItem, page.items, page.next, AsOf.of(at), key="compound", f=f)


@router.get(
    "/compounds/{compound}",
    response_model=CompoundCard,
    responses=responses_for(CityNotFoundError, NetNotFoundError, NotFoundError),
)
def show_compound(
    session: SessionDep,
    asked: AskedDep,
    compound: Annotated[int, Path(ge=1, le=MOST_ID)],
) -> Response:
    """Show a compound: who manages it on the day, and which grids hold how much of it.

    Raises
    ------
    NotFoundError
        If there is no such compound: 404.
    """
    at = asked.moment(session)
    card = service.estates.card(session, at, compound)
    return json_answer(CompoundCard.model_validate({**card, "as_of": AsOf.of(at)}))


@router.get("/organisations", response_model=Listing[OrganisationItem], responses=MISSING)
def list_organisations(
    request: Request,
    session: SessionDep,
    asked: AskedDep,
    turn: TurnDep,
    q: PartOfName = None,
    kind: Word | None = None,
    grid: GridQuery | None = None,
) -> Response:
    """List organisations; of a grid those at home in it, in a grid below it or in a place there.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    narrow = service.PlaceFilter(q=q, kind=kind, grid=grid)
    at, page = service.list_organisations(session, asked, narrow, turn)
    form = OrganisationItem
    return listing(request, form, page.items, page.next, AsOf.of(at), key="organisation")
