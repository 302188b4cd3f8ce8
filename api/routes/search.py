"""One search over the names and codes of a city."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.asking import KNOWN_FIELDS, AskedDep, Text
from api.deps import SessionDep
from api.errors import responses_for
from api.formats import json_answer
from api.schemas import AsOf, FoundItems
from geo import service
from geo.errors import CityNotFoundError, NetNotFoundError

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["search"], dependencies=[KNOWN_FIELDS])


@router.get(
    "/search",
    response_model=FoundItems,
    responses=responses_for(CityNotFoundError, NetNotFoundError),
)
def search_city(
    session: SessionDep,
    asked: AskedDep,
    q: Text,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> Response:
    """Find grids, compounds, streets, stations and buildings by name or code, best first.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    at, items = service.search_city(session, asked, q, limit=limit)
    return json_answer(FoundItems.model_validate({"items": items, "as_of": AsOf.of(at)}))
