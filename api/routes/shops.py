"""Shops and inspections of places for programs: fixed lists, answers, appeals, expiry."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, Text, TurnDep
from api.deps import BboxDep, KeepersDep, SessionDep, StaffDep, ViewerDep
from api.errors import responses_for
from api.formats import LISTED, Format, listing
from api.routes.office import PROTECTED, Line, Number, Wish
from api.schemas import AsOf, Form
from geo import service
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    NetNotFoundError,
    NotFoundError,
    OutsideCityError,
    StaleEditError,
)
from geo.terms import InspectionKind, InspectionResult, RatingAct, ShopKind

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["shops"], dependencies=[KNOWN_FIELDS])

ShopPath = Annotated[int, Path(ge=1, le=MOST_ID)]
ShopCode = Annotated[str, Path(min_length=9, max_length=9, pattern=r"^[0-9A-Za-z]+$")]
OPEN = (CityNotFoundError, NetNotFoundError)


class ShopItem(Form):
    """A shop as a place, with the last inspection that one may see."""

    shop: int
    code: str
    name: str
    kind: ShopKind
    address: str | None
    grid: int
    grid_name: str | None
    last_kind: InspectionKind | None
    last_on: date | None
    last_result: InspectionResult | None
    next_on: date | None
    appeals: int
    mine: bool
    lon: float
    lat: float


class ShopWish(Wish):
    """A shop: the name on its sign, its kind, where; nothing about who keeps it."""

    name: Line
    kind: ShopKind
    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    address: Line | None = None


class ShopChange(Wish):
    """What is said of a shop, and the version that was read."""

    name: Line
    kind: ShopKind
    address: Line | None = None
    version: Annotated[int, Field(ge=0)]


class ShopVersion(Form):
    """The version after a change."""

    version: int


class MadeShop(Form):
    """The shop's number and the code of its card."""

    shop: int
    code: str


class InspectionItem(Form):
    """An inspection; `mine` says whether it is of one's own areas."""

    inspection: int
    shop: int | None
    shop_name: str | None
    compound: int | None
    compound_name: str | None
    kind: InspectionKind
    held_on: date
    result: InspectionResult
    firm: int | None
    next_on: date | None
    expires_on: date
    appeal_until: date
    answer: str | None
    appealed_on: date | None
    appeal: str | None
    decided_on: date | None
    decision: str | None
    withdrawn: bool
    mine: bool
    acts: list[RatingAct]


class Inspections(Form):
    """Inspections, the latest first."""

    items: list[InspectionItem]
    as_of: AsOf


class ShopCard(Form):
    """What everybody may know of a shop: the last inspection of each kind."""

    shop: int
    code: str
    name: str
    kind: ShopKind
    address: str | None
    lon: float
    lat: float
    version: int
    mine: bool
    inspections: list[InspectionItem]
    as_of: AsOf


class InspectionWish(Wish):
    """What was found, in a shop or in a compound."""

    kind: InspectionKind
    held_on: date
    result: InspectionResult
    next_on: date | None = None
    shop: Number | None = None
    compound: Number | None = None


class MadeInspection(Form):
    """The inspection's number."""

    inspection: int


class InspectionAct(Wish):
    """An answer, an appeal, a decision (`allowed`: the appeal was right) or a withdrawal."""

    act: RatingAct
    words: Annotated[str, Field(min_length=1, max_length=500)]
    allowed: bool = False


@router.get("/shops", response_model=None, responses={**responses_for(*OPEN), **LISTED})
def list_shops(
    request: Request,
    session: SessionDep,
    viewer: ViewerDep,
    asked: AskedDep,
    turn: TurnDep,
    bbox: BboxDep,
    kind: ShopKind | None = None,
    result: InspectionResult | None = None,
    due: Annotated[bool, Query(description="Next inspection has come, or an appeal is open.")] = (
        False
    ),
    mine: Annotated[bool, Query(description="Of one's own areas.")] = False,
    q: Annotated[Text | None, Query(description="Part of a name or an address, or a code.")] = None,
    f: Format = "json",
) -> Response:
    """List the open shops with the last inspection that one may see."""
    at = asked.moment(session)
    page = service.shops.listed(
        session, viewer, at, q=q, kind=kind.value if kind else None,
        result=result.value if result else None, due=due, mine=mine, bbox=bbox, limit=turn.limit,
        after=turn.after,
    )  # fmt: skip
    return listing(request, ShopItem, page.items, page.next, AsOf.of(at), key="shop", f=f)


@router.get("/shops/{shop_code}", responses=responses_for(*OPEN, NotFoundError))
def show_shop(
    session: SessionDep, viewer: ViewerDep, asked: AskedDep, shop_code: ShopCode
) -> ShopCard:
    """Show a shop by the code on its door.

    Raises
    ------
    NotFoundError
        If there is no open shop of this code: 404.
    """
    at = asked.moment(session)
    found = service.shops.card(session, viewer, at, shop_code)
    return ShopCard.model_validate({**found, "as_of": AsOf.of(at)})


@router.post(
    "/shops",
    status_code=201,
    responses=responses_for(*PROTECTED, NetNotFoundError, OutsideCityError, ConflictError),
)
def open_shop(session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: ShopWish) -> MadeShop:
    """Enter a shop.

    Raises
    ------
    OutsideCityError
        If the place lies outside the city: 404.
    ConflictError
        If an open shop of this name stands there already: 409.
    """
    place = service.shops.Place(wish.name, wish.kind.value, wish.lon, wish.lat, wish.address)
    shop, code = service.shops.open_shop(session, viewer, asked.moment(session), place)
    return MadeShop(shop=shop, code=code)


@router.put(
    "/shops/{shop}",
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, StaleEditError),
)
def change_shop(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, shop: ShopPath, wish: ShopChange
) -> ShopVersion:
    """Change what is said of a shop; its place and its code stay.

    Raises
    ------
    NotFoundError
        If the own areas have no such open shop: 404.
    StaleEditError
        If it was changed since: 412.
    """
    place = service.shops.Place(wish.name, wish.kind.value, 0.0, 0.0, wish.address)
    at = asked.moment(session)
    changed = service.shops.change_shop(session, viewer, at, shop, wish.version, place)
    return ShopVersion(version=changed)


@router.delete(
    "/shops/{shop}",
    status_code=204,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
)
def close_shop(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, shop: ShopPath
) -> Response:
    """Say that a shop is no more; what was found stays in the book.

    Raises
    ------
    NotFoundError
        If the own areas have no such open shop: 404.
    """
    service.shops.close_shop(session, viewer, asked.moment(session), shop)
    return Response(status_code=204)


@router.get("/inspections", responses=responses_for(*OPEN))
def list_inspections(
    session: SessionDep,
    viewer: ViewerDep,
    asked: AskedDep,
    shop: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    compound: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
) -> Inspections:
    """List the latest inspections: those of one's areas, and those that everybody may see."""
    at = asked.moment(session)
    found = service.shops.inspections(session, viewer, at, shop=shop, compound=compound)
    return Inspections(
        items=[InspectionItem.model_validate(one) for one in found], as_of=AsOf.of(at)
    )


@router.post(
    "/inspections",
    status_code=201,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, ConflictError),
)
def enter_inspection(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: InspectionWish
) -> MadeInspection:
    """Enter what an inspection of a shop or a compound found.

    Raises
    ------
    NotFoundError
        If the own areas have no such open shop: 404.
    ConflictError
        If the same kind with the same result of that day is entered already: 409.
    """
    found = service.shops.Found(
        wish.kind.value, wish.held_on, wish.result.value, wish.next_on, wish.shop, wish.compound
    )
    at = asked.moment(session)
    return MadeInspection(inspection=service.shops.enter(session, viewer, at, found))


@router.post(
    "/inspections/{inspection}/acts",
    status_code=204,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, ConflictError),
)
def act_on_inspection(
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    inspection: ShopPath,
    wish: InspectionAct,
) -> Response:
    """Write down an answer or an appeal, decide on it, or withdraw the inspection.

    Raises
    ------
    NotFoundError
        If the own areas have no such inspection: 404.
    ConflictError
        If its time is over, no appeal is open, or who entered it would decide: 409.
    """
    at = asked.moment(session)
    service.shops.do(session, viewer, at, inspection, wish.act, wish.words, allowed=wish.allowed)
    return Response(status_code=204)
