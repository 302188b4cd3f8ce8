"""A net named by its number: borders and figures of a level, for maps."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.asking import KNOWN_FIELDS, AskedDep, LevelPath, SeqPath, level_number
from api.deps import SessionDep
from api.errors import responses_for
from api.formats import ASK_AGAIN, IMMUTABLE, SHORT, kept
from api.kept import ImmutableRoute
from api.schemas import AsOf, LevelValues
from geo import service
from geo.errors import CityNotFoundError, NetNotFoundError

router = APIRouter(
    prefix="/api/v1/cities/{city}/nets/{seq}",
    tags=["nets"],
    dependencies=[KNOWN_FIELDS],
    route_class=ImmutableRoute,
)
JSON = "application/json"


async def get_kept(request: Request) -> service.Kept:
    """Return where bytes that never change are kept: beside the program's own data."""
    state = request.app.state
    if not hasattr(state, "kept"):
        state.kept = service.Kept(state.settings.project_dir / ".wangge" / "kept")
    found: service.Kept = state.kept
    return found


@router.get(
    "/levels/{level}.topojson",
    responses={
        **responses_for(CityNotFoundError, NetNotFoundError),
        200: {"content": {JSON: {"schema": {"type": "object"}}}},
        304: {"description": "The browser has these very bytes."},
    },
)
def show_topology(
    request: Request,
    session: SessionDep,
    asked: AskedDep,
    seq: SeqPath,
    level: LevelPath,
    kept_bytes: Annotated[service.Kept, Depends(get_kept)],
    v: Annotated[
        str | None,
        Query(
            max_length=64,
            description="The net's `version`; with it the answer is kept for a year.",
        ),
    ] = None,
    overview: Annotated[
        bool, Query(description="Simplified by 30 m, for a whole city on one screen.")
    ] = False,
) -> Response:
    """Show the borders of a level as quantised TopoJSON.

    Properties: g (grid), n (name), c (colour), p (parent). The bytes of a version never change.

    Raises
    ------
    NetNotFoundError
        If there is no such net: 404.
    """
    at, key, zipped = service.net_topology(
        session, asked, seq, level_number(level), kept_bytes, overview=overview
    )
    cache = IMMUTABLE if v == at.version else SHORT
    return kept(request, zipped, media_type=JSON, cache=cache, tag=key, zipped=True)


@router.get(
    "/levels/{level}/values",
    response_model=LevelValues,
    responses={
        **responses_for(CityNotFoundError, NetNotFoundError),
        304: {"description": "The browser has these very bytes."},
    },
)
def show_values(
    request: Request, session: SessionDep, asked: AskedDep, seq: SeqPath, level: LevelPath
) -> Response:
    """Show the figures of all grids of a level, one row of numbers for each.

    Raises
    ------
    NetNotFoundError
        If there is no such net: 404.
    """
    at, values = service.net_values(session, asked, seq, level_number(level))
    answer = LevelValues(columns=[*service.VALUE_COLUMNS], values=values, as_of=AsOf.of(at))
    content = answer.model_dump_json().encode()
    return kept(request, content, media_type=JSON, cache=ASK_AGAIN)
