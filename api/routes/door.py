"""The card behind the code at a door, and the sheet that hangs there; open to everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import i18n, rendering
from api.deps import get_database, open_access
from api.routes.staff import KINDS
from geo import service
from geo.signin import Account

router = APIRouter(include_in_schema=False)

Code = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]
City = Annotated[str, Query(max_length=63, pattern=r"^[a-z0-9-]*$")]


@dataclass(frozen=True)
class Door:
    """What stands at a door today."""

    request: Request
    card: dict[str, Any]
    city: dict[str, Any]
    moment: service.Moment

    def page(self, template: str) -> Response:
        """Return the card as a page, without anything of who asks."""
        word = i18n.translations(i18n.get_language(self.request)).gettext
        query = f"?city={quote(self.city['slug'])}"
        address = f"{rendering.own_address(self.request)}/door/{quote(self.card['code'])}{query}"
        return rendering.page(
            self.request,
            template,
            card=self.card,
            city=self.city,
            at=self.moment,
            kinds={code: word(name) for code, name in KINDS.items()},
            address=address,
            picture=rendering.qr_code(address),
        )


def get_door(request: Request, code: Code, city: City = "") -> Iterator[Door]:
    """Open the request's transaction as a stranger in the city that gave the code.

    Raises
    ------
    GridNotFoundError
        If no city gave it, or the grid has ended.
    """
    found: list[int] = []

    def choose(session: Any, account: Account | None) -> int:
        city_id, grid = service.doors.find(session, code, city or None)
        found.append(grid)
        return city_id

    with open_access(get_database(request), None, choose) as access:
        city_id = int(access.city_id or 0)
        at, card = service.show_door(access.session, access.viewer, city_id, found[0])
        _, shown = service.show_city(access.session, service.Asked(city_id))
        zone = ZoneInfo(at.timezone)
        card["notices"] = [
            {
                **one,
                "local_begins": one["begins_at"].astimezone(zone),
                "local_ends": one["ends_at"].astimezone(zone) if one["ends_at"] else None,
            }
            for one in card["notices"]
        ]
        yield Door(request, {**card, "code": card["code"] or code}, shown, at)


DoorDep = Annotated[Door, Depends(get_door, scope="function")]


@router.get("/door/{code}")
def show_door(door: DoorDep) -> Response:
    """Show who is responsible at a door, what is announced there and where help is near."""
    return door.page("door.html")


@router.get("/door/{code}/sheet")
def show_door_sheet(door: DoorDep) -> Response:
    """Show the sheet of paper for the door, with the code that leads to the card."""
    return door.page("door_sheet.html")
