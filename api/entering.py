"""What is entered once and changed in part: how such wishes are read, and how they are answered."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from api.schemas import Form
from geo import service

ClientId = Annotated[
    UUID | None,
    Field(description="A random id of your own: what is sent again under it comes in once."),
]
Version = Annotated[int, Field(ge=0, description="The one that was read.")]


class Changed(Form):
    """The version after a change."""

    version: int


def number_of(made: service.Made, response: Response) -> int:
    """Return the number of what was entered: 201 if it came in just now, 200 if it was there."""
    response.status_code = 201 if made.created else 200
    return made.number


def said_of(wish: BaseModel, *left_out: str) -> dict[str, Any]:
    """Return what a wish says, without what it leaves as it is and which version was read."""
    return wish.model_dump(exclude_unset=True, exclude={"version", *left_out})
