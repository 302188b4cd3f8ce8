"""Many places at once: the grid of each, on the net of any date."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, NetAskedDep, level_number
from api.deps import CityDep, SessionDep, StaffDep
from api.errors import responses_for
from api.formats import json_answer
from api.routes.office import PROTECTED, Wish
from api.schemas import AsOf, Form
from geo import service
from geo.errors import NetNotFoundError

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["grids"], dependencies=[KNOWN_FIELDS])

Lon = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]


class Places(Wish):
    """Places in degrees, lon and lat; nothing of them is stored."""

    points: Annotated[list[tuple[Lon, Lat]], Field(min_length=1, max_length=100_000)]


class GridOfPlaces(Form):
    """A grid that has some of the places."""

    name: str
    code: str | None
    level: int


class Assigned(Form):
    """The grid of each place, null outside the net; positions of those exactly on a border."""

    grids: list[int | None]
    on_border: list[int]
    told: dict[int, GridOfPlaces]
    as_of: AsOf


@router.post(
    "/assign", response_model=Assigned, responses=responses_for(*PROTECTED, NetNotFoundError)
)
def assign_points(
    session: SessionDep,
    viewer: StaffDep,
    city_id: CityDep,
    asked: NetAskedDep,
    wish: Places,
    level: Annotated[
        Literal["leaf", "1", "2", "3", "4", "5", "6"],
        Query(description="A level, 1 being the top; `leaf` for the grids that hold cells."),
    ] = "leaf",
) -> Response:
    """Say in which grid each place lies; exactly on a border, in that of the first cell there.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day, or no net of this number: 404.
    """
    at, found = service.locating.assign(session, asked, wish.points, level_number(level))
    told = {
        "grids": found.grids, "on_border": found.on_border, "told": found.told,
        "as_of": AsOf.of(at),
    }  # fmt: skip
    return json_answer(Assigned.model_validate(told))
