"""Vector tiles of the ground and of a net's names."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.asking import KNOWN_FIELDS, AskedDep, SeqPath
from api.deps import SessionDep
from api.errors import responses_for
from api.formats import MVT, SHORT, kept
from geo import service
from geo.errors import CityNotFoundError, NetNotFoundError

router = APIRouter(
    prefix="/api/v1/cities/{city}/nets/{seq}/tiles", tags=["tiles"], dependencies=[KNOWN_FIELDS]
)
MOST_ZOOM = 22
Place = Annotated[int, Path(ge=0, lt=2**MOST_ZOOM)]


@router.get(
    "/{z}/{x}/{y}.mvt",
    responses={
        **responses_for(CityNotFoundError, NetNotFoundError),
        200: {"content": {MVT: {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "The browser has these very bytes."},
    },
)
def show_tile(
    request: Request,
    session: SessionDep,
    asked: AskedDep,
    seq: SeqPath,
    z: Annotated[int, Path(ge=0, le=MOST_ZOOM)],
    x: Place,
    y: Place,
    v: Annotated[
        str | None, Query(max_length=64, description="Version, so that addresses differ.")
    ] = None,
) -> Response:
    """Show a Mapbox Vector Tile; 200 without content where nothing is.

    Layers: water, railway, wall, street, compound, compound_label, density, building, place.

    Raises
    ------
    NetNotFoundError
        If there is no such net: 404.
    """
    content = service.vector_tile(session, asked, seq, z, x, y)
    return kept(request, content, media_type=MVT, cache=SHORT)
