"""Service stations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api import i18n
from api.asking import KNOWN_FIELDS, AskedDep, GridQuery, Text, TurnDep, Word
from api.deps import BboxDep, SessionDep
from api.errors import responses_for
from api.formats import LISTED, Format, listing
from api.schemas import AsOf, Listing, StationItem
from geo import service
from geo.errors import CityNotFoundError, NetNotFoundError
from geo.terms import StationStage

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["stations"], dependencies=[KNOWN_FIELDS])

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get(
    "/stations.xlsx",
    response_class=Response,
    responses={
        **responses_for(CityNotFoundError, NetNotFoundError),
        200: {"content": {XLSX: {}}},
    },
)
def export_stations(request: Request, session: SessionDep, asked: AskedDep) -> Response:
    """Return all service stations as a workbook; `wangge import stations` understands it.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    at, content = service.stations_sheet(session, asked, i18n.get_language(request))
    disposition = f'attachment; filename="{at.slug}-stations-{at.day}.xlsx"'
    return Response(content, media_type=XLSX, headers={"Content-Disposition": disposition})


@router.get(
    "/stations",
    response_model=Listing[StationItem],
    responses={**responses_for(CityNotFoundError, NetNotFoundError), **LISTED},
)
def list_stations(
    request: Request,
    session: SessionDep,
    asked: AskedDep,
    turn: TurnDep,
    bbox: BboxDep,
    kind: Word | None = None,
    stage: StationStage | None = None,
    q: Annotated[Text | None, Query(description="Part of a name or an address.")] = None,
    grid: GridQuery | None = None,
    f: Format = "json",
) -> Response:
    """List service stations with the leaf grid that each stands in.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    narrow = service.PlaceFilter(bbox=bbox, q=q, grid=grid, kind=kind, stage=stage)
    at, page = service.list_stations(session, asked, narrow, turn)
    return listing(request, StationItem, page.items, page.next, AsOf.of(at), key="station", f=f)
