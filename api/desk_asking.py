"""How a desk of issues is narrowed: the same questions for lists, exports and printed sheets."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import Depends, Query

from api.asking import MOST_ID, GridQuery, Text, Word
from api.deps import BboxDep
from geo import service
from geo.errors import InvalidInputError
from geo.terms import IssueState

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)
Box = Literal[
    "all", "new", "due_today", "overdue", "to_check", "supervised", "parked", "suspended", "closed"
]
Held = Annotated[
    int | None,
    Query(ge=0, le=6, description="At whose desk: of a level, or 0 for a department."),
]


def check_days(*days: date | None) -> None:
    """Refuse days that no calendar of ours has.

    Raises
    ------
    InvalidInputError
        If one lies before 1900 or after 2999.
    """
    for day in days:
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise InvalidInputError("A date lies between 1900 and 2999.", field="from")


async def get_desk_filter(
    bbox: BboxDep,
    box: Box = "all",
    since: Annotated[date | None, Query(alias="from")] = None,
    until: Annotated[date | None, Query(alias="to")] = None,
    category: Word | None = None,
    grid: GridQuery | None = None,
    state: IssueState | None = None,
    organisation: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    channel: Word | None = None,
    held: Held = None,
    q: Text | None = None,
) -> service.cases.DeskFilter:
    """Return what a desk is narrowed by."""
    check_days(since, until)
    return service.cases.DeskFilter(
        box=box, since=since, until=until, category=category, grid=grid, state=state,
        organisation=organisation, channel=channel, held=held, q=q, bbox=bbox,
    )  # fmt: skip


DeskDep = Annotated[service.cases.DeskFilter, Depends(get_desk_filter)]
