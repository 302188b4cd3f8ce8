"""The city's log, for its administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.deps import AdministratorDep, CityDep, Limit, SessionDep
from api.errors import responses_for
from geo import service
from geo.errors import CityNotFoundError, ForbiddenError, NotSignedInError

router = APIRouter(prefix="/api/v1/cities/{city}/audit", tags=["audit"])


class AuditRow(BaseModel):
    """One link of the log; `hash` covers the row and the link before it."""

    n: int
    at: datetime
    actor: str | None
    actor_id: int | None
    actor_role: str | None
    action: str
    object: str
    payload: dict[str, Any]
    hash: str


class AuditPage(BaseModel):
    """Some rows of the log, the newest first; `next` is the value of `after` for the next page."""

    items: list[AuditRow]
    next: int | None


@router.get("", responses=responses_for(CityNotFoundError, NotSignedInError, ForbiddenError))
def list_audit(
    session: SessionDep,
    viewer: AdministratorDep,
    city_id: CityDep,
    after: Annotated[int | None, Query(ge=1, le=2**62, description="From the page before.")] = None,
    limit: Limit = 100,
) -> AuditPage:
    """List the log of the city, the newest rows first.

    Raises
    ------
    NotSignedInError
        If nobody is signed in: 401.
    ForbiddenError
        If the account does not administer this city: 403.
    """
    rows = service.audit_rows(session, viewer, before=after, limit=limit + 1)
    more = len(rows) > limit
    items = [AuditRow.model_validate(row) for row in rows[:limit]]
    return AuditPage(items=items, next=items[-1].n if more else None)
