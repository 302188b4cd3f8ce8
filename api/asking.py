"""How questions on a city are put: dates, cursors, texts and numbers, all bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request
from fastapi.dependencies.models import Dependant

from api.deps import AsOfDep, CityDep, Limit
from geo import service
from geo.errors import InvalidInputError

MOST_ID = 2**63 - 1
MOST_SEQ = 2**31 - 2
PLAIN_TEXT = r"^\P{Cc}+$"
"""No control characters: PostgreSQL has no text with a null in it."""

ALWAYS_KNOWN = frozenset({"lang"})


async def only_known_fields(request: Request) -> None:
    """Refuse a question with a field that its address does not know, since it would say nothing.

    Raises
    ------
    InvalidInputError
        Naming the fields.
    """
    route = request.scope["route"]
    known = _fields(route.dependant)
    unknown = sorted(set(request.query_params) - known - ALWAYS_KNOWN)
    if unknown:
        listed = ", ".join(repr(name) for name in unknown[:5])
        raise InvalidInputError(
            f"This address knows no {listed}; it knows {', '.join(sorted(known))}.",
            field=unknown[0],
        )


def _fields(dependant: Dependant) -> set[str]:
    """Return the query fields of a route and of all that it depends on."""
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_fields(one) for one in dependant.dependencies))


Text = Annotated[str, Query(min_length=1, max_length=100, pattern=PLAIN_TEXT)]
Word = Annotated[str, Query(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]
GridQuery = Annotated[int, Query(ge=1, le=MOST_ID, description="A grid, with all below it.")]
GridPath = Annotated[int, Path(ge=1, le=MOST_ID)]
SeqPath = Annotated[int, Path(ge=1, le=MOST_SEQ, description="Number of a net.")]
LevelPath = Annotated[
    Literal["leaf", "1", "2", "3", "4", "5", "6"],
    Path(description="A level, 1 being the top; `leaf` for all grids that hold cells."),
]
After = Annotated[
    str | None, Query(max_length=8000, description="`next` of the page before.", min_length=1)
]


async def get_asked(
    city_id: CityDep,
    day: AsOfDep,
    vintage: Annotated[
        str | None,
        Query(
            max_length=16,
            pattern=r"^[\w-]+$",
            description="Count of households that is meant; default: the latest full one.",
        ),
    ] = None,
) -> service.Asked:
    """Return the city, the day and the vintage that are asked about."""
    return service.Asked(city_id, day, vintage)


async def get_asked_of_net(
    asked: Annotated[service.Asked, Depends(get_asked)],
    net: Annotated[
        int | None,
        Query(ge=1, le=MOST_SEQ, description="Number of a net; default: the one of the day."),
    ] = None,
) -> service.Asked:
    """Return the question, put to a net that is named rather than to that of the day."""
    return replace(asked, net=net)


async def get_turn(after: After = None, limit: Limit = 100) -> service.Turn:
    """Return which page of a list is asked for."""
    return service.Turn(limit, after)


def level_number(level: str) -> int | None:
    """Return the level as a number, None for the leaf grids."""
    return None if level == "leaf" else int(level)


AskedDep = Annotated[service.Asked, Depends(get_asked)]
NetAskedDep = Annotated[service.Asked, Depends(get_asked_of_net)]
TurnDep = Annotated[service.Turn, Depends(get_turn)]
KNOWN_FIELDS = Depends(only_known_fields)
