"""Cities and their nets."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.asking import KNOWN_FIELDS, AskedDep
from api.deps import CityDep, SessionDep
from api.errors import responses_for
from api.formats import json_answer
from api.schemas import AsOf, Cities, CityCard, Nets
from geo import service
from geo.errors import CityNotFoundError

router = APIRouter(prefix="/api/v1/cities", tags=["cities"], dependencies=[KNOWN_FIELDS])


@router.get("", response_model=Cities, responses=responses_for())
def list_cities(session: SessionDep) -> Response:
    """List all cities."""
    return json_answer(Cities.model_validate({"items": service.list_cities(session)}))


@router.get("/{city}", response_model=CityCard, responses=responses_for(CityNotFoundError))
def show_city(session: SessionDep, asked: AskedDep) -> Response:
    """Show a city with its levels, nets, vintages, measures and kinds; `net` is that of the day.

    Raises
    ------
    CityNotFoundError
        If no city has this short name: 404.
    """
    at, card = service.show_city(session, asked)
    return json_answer(CityCard.model_validate({**card, "as_of": at and AsOf.of(at)}))


@router.get("/{city}/nets", response_model=Nets, responses=responses_for(CityNotFoundError))
def list_nets(session: SessionDep, city_id: CityDep) -> Response:
    """List the nets of a city, the newest first; `live` marks the one in force today.

    Raises
    ------
    CityNotFoundError
        If no city has this short name: 404.
    """
    return json_answer(Nets.model_validate({"items": service.list_nets(session, city_id)}))
