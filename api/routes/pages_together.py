"""What the pages of meetings, campaigns and small projects share: orders, the map, who owns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import Depends, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from api.office_desk import MOST_ID, REFUSALS, Desk, Failed, Sent, desk_for
from api.routes.pages import Blank, Sight
from geo import service
from geo.errors import ForbiddenError, InvalidInputError, OutsideCityError, StaleEditError
from geo.terms import STAFF, Role
from maps.views import net_frame

KEEPERS: Final = frozenset({Role.ADMINISTRATOR, Role.COMMUNITY})
TICKING: Final = KEEPERS | {Role.DEPARTMENT}
MOST_BODIES: Final = 1_000
Number = Annotated[str, Query(max_length=18, pattern=r"^(\d*|new)$")]
Words = Annotated[str, Query(max_length=100)]
RowNumber = Annotated[Annotated[int, Field(ge=1, le=MOST_ID)] | None, Blank, Query()]
"""What a list is narrowed to: the number of a grid, a body, a campaign; empty for none."""
DeskDep = Annotated[Desk, Depends(desk_for(*sorted(STAFF)), scope="function")]
KeeperDep = Annotated[Desk, Depends(desk_for(*sorted(KEEPERS)), scope="function")]
TickerDep = Annotated[Desk, Depends(desk_for(*sorted(TICKING)), scope="function")]
Orders = Mapping[str, Callable[[Desk, Sent], int]]
"""What a form may order by its field `do`; each returns the number of what it was about."""


def carry_out(
    desk: Desk, sent: Sent, orders: Orders, thing: str, again: Callable[[str, Failed], Response]
) -> Response:
    """Carry a form's order out and show what came of it; the form again when that fails.

    Parameters
    ----------
    desk : Desk
    sent : Sent
    orders : mapping
    thing : str
        What the page calls the one that is shown, in its address and in the form.
    again : callable
        Makes the page of a number with what went wrong.
    """
    do, number = sent.text("do"), sent.text(thing)
    try:
        if do not in orders:
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            number = str(orders[do](desk, sent))
    except (*REFUSALS, OutsideCityError, StaleEditError, ForbiddenError) as error:
        desk.access.session.expire_all()
        return again(number, desk.failed(sent, error))
    query = dict(desk.request.query_params) | {"city": desk.city["slug"], thing: number, "done": do}
    part = f"#{do.partition('.')[0]}-{sent.text('key')}" if sent.text("key") else ""
    return RedirectResponse(f"{desk.request.url.path}?{urlencode(query)}{part}", 303)


def card_of(number: str, show: Callable[[int], dict[str, Any]]) -> dict[str, Any] | None:
    """Return the card of what an address names, None where it names none.

    Raises
    ------
    NotFoundError
        If the reader may see nothing of this number.
    """
    return show(int(number)) if number.isdecimal() and int(number) > 0 else None


def address(desk: Desk, **more: str | int | None) -> str:
    """Return the address of the page with its filters, changed as said; None leaves one out."""
    kept = {name: value for name, value in desk.request.query_params.items() if value}
    query = kept | {"city": desk.city["slug"], "done": None} | more
    return "?" + urlencode({name: value for name, value in query.items() if value is not None})


def sight_of(desk: Desk) -> Sight:
    """Return what a map needs to know of the desk's city."""
    settings = desk.request.app.state.settings
    return Sight(desk.request, settings, desk.access, None, desk.city, desk.cities, desk.at.day)


def mapped(desk: Desk) -> Any:
    """Return the map of the desk's city, borders alone."""
    sight = sight_of(desk)
    return sight.frame(net_frame, sight.options(plain=True))


def mark(row: Mapping[str, Any], href: str, *, tone: str = "", **more: Any) -> dict[str, Any]:
    """Return a point of the map: where it lies (degrees), what it is called, where it leads."""
    return {"lon": row["lon"], "lat": row["lat"], "href": href, "tone": tone, **more}


def fresh_id() -> str:
    """Return an id under which a form comes in once, however often it is sent."""
    return str(uuid4())


def client_id(sent: Sent) -> UUID | None:
    """Return the id of a form.

    Raises
    ------
    InvalidInputError
        If it is none.
    """
    said = sent.text("client_id")
    try:
        return UUID(said) if said else None
    except ValueError:
        raise InvalidInputError("That is no id.", field="client_id") from None


def bodies(desk: Desk) -> list[str]:
    """Return names of bodies that may own a line or carry out a project, departments first."""
    asked, turn = service.Asked(int(desk.access.city_id or 0)), service.Turn(MOST_BODIES, None)
    found: dict[str, None] = {}
    for narrow in (service.PlaceFilter(kind="department"), service.PlaceFilter()):
        _, rows = service.list_organisations(desk.access.session, asked, narrow, turn)
        found |= dict.fromkeys(row["name"] for row in rows.items)
    return list(found)


def body_of(desk: Desk, sent: Sent) -> int | None:
    """Return the body that a form names, None for none.

    Raises
    ------
    InvalidInputError
        If none is called so, or several are.
    """
    city_id = int(desk.access.city_id or 0)
    return service.body_named(desk.access.session, city_id, sent.text("organisation"))


def optional_number(sent: Sent, name: str) -> int | None:
    """Return a field as a whole number, None for an empty one.

    Raises
    ------
    InvalidInputError
        If it is neither.
    """
    return sent.number(name) if sent.text(name) else None


def optional_grid(desk: Desk, sent: Sent) -> int | None:
    """Return the grid that a form names by code or name, None for none.

    Raises
    ------
    InvalidInputError
        If the reader acts in none of this name.
    """
    if not sent.text("grid"):
        return None
    session, viewer = desk.access.session, desk.access.viewer
    found = service.office.grid_of_code(session, viewer, desk.at, sent.text("grid"))
    return int(found.grid_id)


def place_of(sent: Sent) -> dict[str, float]:
    """Return the place that a form names, in degrees; nothing for none.

    Raises
    ------
    InvalidInputError
        If one of the two is missing or no number.
    """
    if not (sent.text("lon") or sent.text("lat")):
        return {}
    return {"lon": sent.real("lon"), "lat": sent.real("lat")}
