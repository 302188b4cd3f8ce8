"""Plans, for their members."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.asking import KNOWN_FIELDS, TurnDep
from api.deps import CityDep, SessionDep, ViewerDep
from api.errors import responses_for
from api.formats import json_answer
from api.schemas import Plans
from geo import service
from geo.errors import CityNotFoundError

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["plans"], dependencies=[KNOWN_FIELDS])


@router.get("/plans", response_model=Plans, responses=responses_for(CityNotFoundError))
def list_plans(session: SessionDep, viewer: ViewerDep, city_id: CityDep, turn: TurnDep) -> Response:
    """List the plans that one is a member of, the newest first; none for anybody else.

    Raises
    ------
    CityNotFoundError
        If no city has this short name: 404.
    """
    page = service.list_plans(session, viewer, city_id, turn)
    return json_answer(Plans.model_validate({"items": page.items, "next": page.next}))
