"""Addresses: lists, the match of texts with them, and what the desk decides."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, GridQuery, Text, TurnDep
from api.deps import OfficeDep, SessionDep, StaffDep
from api.errors import responses_for
from api.formats import LISTED, Format, listing
from api.schemas import AsOf, Form, Listing
from geo import service
from geo.errors import (
    CityNotFoundError,
    ForbiddenError,
    InvalidInputError,
    NetNotFoundError,
    NotFoundError,
    NotSignedInError,
    OutsideCityError,
)

router = APIRouter(
    prefix="/api/v1/cities/{city}/addresses", tags=["addresses"], dependencies=[KNOWN_FIELDS]
)

PROTECTED = (CityNotFoundError, NetNotFoundError, NotSignedInError, ForbiddenError)
Said = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Field(ge=1, le=MOST_ID)]


class AddressItem(Form):
    """An address with its building and leaf grid; nothing in it names a household."""

    address: int
    text: str
    alias: bool = Field(description="Whether somebody decided it at the desk.")
    building: int | None
    building_name: str | None
    building_code: str | None
    grid: int | None
    grid_name: str | None
    grid_code: str | None
    lon: float
    lat: float


class AddressCandidate(AddressItem):
    """An address that a text may mean; `score` is 0 to 100."""

    score: float


class MatchedLine(Form):
    """What a line means: `matched` beyond doubt, `several` to be decided, or `none`."""

    text: str = Field(description="What may be kept of the line.")
    cut: bool = Field(description="Whether something was cut off, such as a flat or a name.")
    state: str
    candidates: list[AddressCandidate]


class MatchedLines(Form):
    """What the lines mean, in their order, and how many of each state."""

    items: list[MatchedLine]
    counts: dict[str, int]
    as_of: AsOf


class Lines(BaseModel):
    """Texts to be matched, one address each."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[list[Said], Field(min_length=1, max_length=500)]


class Decision(BaseModel):
    """What a text means: a building, the place of another address, or a place in degrees."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[Said, Field(min_length=1)]
    building: Number | None = None
    address: Number | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Decision:
        """Demand exactly one place, and of a place both degrees."""
        chosen = [self.building, self.address, self.lon]
        if (self.lon is None) != (self.lat is None) or sum(one is not None for one in chosen) != 1:
            raise ValueError("name one building, one address, or lon and lat")
        return self


@router.get(
    "",
    response_model=Listing[AddressItem],
    responses={**responses_for(*PROTECTED, InvalidInputError), **LISTED},
)
def list_addresses(
    request: Request,
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    turn: TurnDep,
    q: Annotated[Text | None, Query(description="Part of the text.")] = None,
    grid: GridQuery | None = None,
    decided: Annotated[bool | None, Query(description="Those decided at the desk.")] = None,
    f: Format = "json",
) -> Response:
    """List addresses; for staff of the city.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    at = asked.moment(session)
    narrow = service.addresses.AddressFilter(q, grid, decided)
    page = service.addresses.listing(
        session, viewer, at, narrow, limit=turn.limit, after=turn.after
    )
    return listing(request, AddressItem, page.items, page.next, AsOf.of(at), key="address", f=f)


@router.post("/match", responses=responses_for(*PROTECTED, InvalidInputError))
def match_lines(
    session: SessionDep, viewer: StaffDep, asked: AskedDep, wish: Lines
) -> MatchedLines:
    """Say what texts mean: candidates with score and place; nothing is kept.

    Raises
    ------
    ForbiddenError
        If the account is no staff of the city: 403.
    """
    at = asked.moment(session)
    found = service.addresses.match(session, viewer, at, wish.lines)
    counts = dict.fromkeys(("matched", "several", "none"), 0)
    for one in found:
        counts[one["state"]] += 1
    items = [MatchedLine.model_validate(one) for one in found]
    return MatchedLines(items=items, counts=counts, as_of=AsOf.of(at))


@router.post(
    "",
    status_code=201,
    responses=responses_for(*PROTECTED, InvalidInputError, NotFoundError, OutsideCityError),
)
def decide_address(
    session: SessionDep, viewer: OfficeDep, asked: AskedDep, wish: Decision
) -> AddressItem:
    """Keep what a text means; a decision replaces the one before.

    Raises
    ------
    InvalidInputError
        If nothing was understood of the text: 422.
    NotFoundError
        If there is no such building or address: 404.
    OutsideCityError
        If the place lies outside the city: 404.
    """
    place = None if wish.lon is None or wish.lat is None else (wish.lon, wish.lat)
    made = service.addresses.decide(
        session,
        viewer,
        asked.moment(session),
        wish.text,
        building=wish.building,
        address=wish.address,
        place=place,
    )
    return AddressItem.model_validate(made)


@router.delete("/{address}", status_code=204, responses=responses_for(*PROTECTED, NotFoundError))
def forget_address(
    session: SessionDep,
    viewer: OfficeDep,
    address: Annotated[int, Path(ge=1, le=MOST_ID)],
) -> Response:
    """Take back what the desk decided.

    Raises
    ------
    NotFoundError
        If there is no such decision: 404.
    """
    service.addresses.forget(session, viewer, address)
    return Response(status_code=204)
