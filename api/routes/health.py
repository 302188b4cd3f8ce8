"""Whether the server lives and reaches its database; for whoever keeps it running."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from api.deps import SessionDep
from api.errors import responses_for
from geo import service

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """The server lives and the database answers."""

    status: str


@router.get("/healthz", responses=responses_for())
def health(session: SessionDep) -> Health:
    """Answer when the database does.

    Raises
    ------
    DatabaseAwayError
        If it does not: 503.
    """
    service.ping(session)
    return Health(status="ok")
