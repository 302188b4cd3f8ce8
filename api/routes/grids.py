"""Grids of a net: lists with figures, cards, and who is responsible at a place."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, GridPath, Text, TurnDep
from api.deps import BboxDep, SessionDep, ViewerDep
from api.errors import responses_for
from api.formats import LISTED, Format, json_answer, listing
from api.schemas import AsOf, GridCard, GridItem, Listing, Where
from geo import service
from geo.errors import (
    CityNotFoundError,
    GridNotFoundError,
    NetNotFoundError,
    OutsideCityError,
)
from geo.terms import MAX_LEVELS, GridKind

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["grids"], dependencies=[KNOWN_FIELDS])

Sort = Literal[
    "code", "-code", "name", "-name", "area_m2", "-area_m2", "households", "-households",
    "buildings", "-buildings", "cells", "-cells", "posts", "-posts", "vacant_posts",
    "-vacant_posts", "stations", "-stations",
]  # fmt: skip


@router.get(
    "/grids",
    response_model=Listing[GridItem],
    responses={**responses_for(CityNotFoundError, NetNotFoundError), **LISTED},
)
def list_grids(
    request: Request,
    session: SessionDep,
    asked: AskedDep,
    turn: TurnDep,
    bbox: BboxDep,
    level: Annotated[int | None, Query(ge=1, le=MAX_LEVELS)] = None,
    parent: Annotated[
        int | None, Query(ge=1, le=MOST_ID, description="Any grid above those listed.")
    ] = None,
    q: Annotated[
        Text | None, Query(description="Part of a name, or the beginning of a code.")
    ] = None,
    kind: GridKind | None = None,
    sort: Annotated[Sort, Query(description="With a minus, from the greatest down.")] = "code",
    f: Format = "json",
) -> Response:
    """List the grids of a day's net with path and figures.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    narrow = service.GridFilter(level=level, parent=parent, q=q, kind=kind, bbox=bbox)
    at, page = service.list_grids(session, asked, narrow, turn, sort=sort, geometry=f == "geojson")
    return listing(request, GridItem, page.items, page.next, AsOf.of(at), key="grid", f=f)


@router.get(
    "/grids/{grid}",
    response_model=GridCard,
    responses=responses_for(CityNotFoundError, NetNotFoundError, GridNotFoundError),
)
def show_grid(
    session: SessionDep,
    viewer: ViewerDep,
    asked: AskedDep,
    grid: GridPath,
    geometry: Annotated[bool, Query(description="Add the border as GeoJSON.")] = False,
) -> Response:
    """Show one grid: figures, children, posts in it, open stations in it and near it.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    GridNotFoundError
        If that net has no such grid: 404.
    """
    at, card = service.show_grid(session, viewer, asked, grid, geometry=geometry)
    return json_answer(GridCard.model_validate({**card, "as_of": AsOf.of(at)}))


@router.get(
    "/where",
    response_model=Where,
    responses=responses_for(CityNotFoundError, NetNotFoundError, OutsideCityError),
)
def who_is_responsible(
    session: SessionDep,
    viewer: ViewerDep,
    asked: AskedDep,
    lon: Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False)],
    lat: Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False)],
) -> Response:
    """Say who is responsible at a place on the day, from the leaf grid upward.

    The place is taken as WGS 84 and is not stored.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    OutsideCityError
        If no cell of the city lies there: 404.
    """
    at, answer = service.who_is_responsible(session, viewer, asked, lon, lat)
    return json_answer(Where.model_validate({**answer, "as_of": AsOf.of(at)}))
