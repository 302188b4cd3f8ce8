"""Pages of the net: on the map, as a table, on paper, and the map alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BeforeValidator, Field

from api import i18n, rendering
from api.deps import Access, SettingsDep, check_day, open_page
from api.errors import NoNetError
from api.i18n import marked
from api.rooms import ways_of
from geo import service
from geo.errors import GridNotFoundError, InvalidInputError, NetNotFoundError
from geo.settings import Settings
from maps.kept import kept_frame
from maps.page import Frame
from maps.views import RasterTiles, ViewOptions, net_frame, net_page

router = APIRouter(include_in_schema=False)

ROWS = 200
"""Rows of one page of the table."""

Blank = BeforeValidator(lambda value: None if value == "" else value)
"""A field that a form left empty says nothing."""
Day = Annotated[date | None, Blank, Query()]
Word = Annotated[Annotated[str, Field(max_length=200)] | None, Blank, Query()]
Number = Annotated[Annotated[int, Field(ge=0, le=2**63 - 1)] | None, Blank, Query()]
LevelNumber = Annotated[Annotated[int, Field(ge=0, le=6)] | None, Blank, Query()]
Cursor = Annotated[Annotated[str, Field(max_length=8_000)] | None, Blank, Query()]
Only = Annotated[Literal["grids", "stations", "buildings", "streets"] | None, Blank, Query()]


@dataclass(frozen=True)
class Sight:
    """What all pages of the net show: a city on a day, for somebody."""

    request: Request
    settings: Settings
    access: Access
    day: date | None
    city: dict[str, Any]
    cities: list[dict[str, Any]]
    today: date
    """The day that is shown: the one asked for, else today in the city's zone."""

    @property
    def net(self) -> dict[str, Any]:
        """The net in force on the day."""
        net: dict[str, Any] = self.city["net"]
        return net

    @property
    def asked(self) -> service.Asked:
        """The day and the city, as the service takes them."""
        return service.Asked(int(self.access.city_id or 0), self.day)

    def options(self, **more: Any) -> ViewOptions:
        """Return how the map is asked for, with the reader's language and the page's nonce."""
        language = i18n.get_language(self.request)
        word = i18n.translations(language).gettext
        words = {
            "households": word(marked("households")),
            "zoom_in": word(marked("Zoom in")),
            "zoom_out": word(marked("Zoom out")),
        }
        return ViewOptions(
            lang=language,
            nonce=self.request.state.nonce,
            as_of=self.day.isoformat() if self.day else None,
            raster=_raster(self.settings),
            words=words,
            static=self.request.app.state.assets.base,
            **more,
        )

    def frame(self, make: Callable[..., Frame], options: ViewOptions, **more: Any) -> Frame:
        """Return the map of the city and its net as `make` gives it, rendered once."""
        return kept_frame(make, self.city, self.net, options, **more)

    @property
    def packed(self) -> bool:
        """Whether the page may load the pack of its scripts and styles."""
        packed: bool = self.request.app.state.assets.packed
        return packed

    def page(self, template: str, **values: Any) -> Response:
        """Return a page with what all of them show."""
        return rendering.page(
            self.request,
            template,
            city=self.city,
            cities=self.cities,
            net=self.net,
            as_of=self.day.isoformat() if self.day else None,
            shown_day=self.today.isoformat(),
            viewer=rendering.shown_viewer(self.request, self.access.account),
            ways=ways_of(self.access.viewer),
            **values,
        )


def _raster(settings: Settings) -> RasterTiles | None:
    if settings.tile_url is None:
        return None
    return RasterTiles(settings.tile_url, settings.tile_datum, settings.tile_attribution)


def get_sight(
    request: Request,
    settings: SettingsDep,
    city: Word = None,
    as_of: Day = None,
) -> Iterator[Sight]:
    """Open the request's transaction in the city asked for, or else the reader's or the first one.

    Raises
    ------
    CityNotFoundError
        If no city has this short name, or there is none at all.
    NetNotFoundError
        If the city has no net on this day.
    """
    check_day(as_of)
    with open_page(request, city) as (access, cities):
        asked = service.Asked(int(access.city_id or 0), as_of)
        at, card = service.show_city(access.session, asked)
        if at is None or card["net"] is None:
            days = [net["effective_from"] for net in card["nets"] if not net["cancelled_at"]]
            if not days:
                raise NoNetError("The city has no net.", city=card["slug"])
            first = str(min(days))
            message = "The city has no net on this day."
            raise NetNotFoundError(message, city=card["slug"], as_of=str(as_of), first=first)
        yield Sight(request, settings, access, as_of, card, cities, at.day)


SightDep = Annotated[Sight, Depends(get_sight, scope="function")]


@router.get("/net")
def show_net(sight: SightDep, level: LevelNumber = None) -> Response:
    """Show the net on the map."""
    options = sight.options(level=level or 0, packed=sight.packed, **_own_areas(sight))
    return sight.page(
        "net.html",
        frame=sight.frame(net_frame, options),
        page=net_page(sight.city, sight.net, options),
    )


def _own_areas(sight: Sight) -> dict[str, Any]:
    """Return the grids that the reader acts in, which the map outlines and frames at first."""
    viewer = sight.access.viewer
    if not viewer.staff or not viewer.areas:
        return {}
    own, boxes = [], []
    for grid in viewer.areas:
        try:
            _, card = service.show_grid(sight.access.session, viewer, sight.asked, grid)
        except GridNotFoundError:  # the net of this day does not have it
            continue
        own.append((grid, card["level"]))
        boxes.append(card["bbox"])
    if not own:
        return {}
    west, south, east, north = zip(*boxes, strict=True)
    return {"own": own, "first_view": (min(west), min(south), max(east), max(north))}


@router.get("/net/table")
def show_table(
    sight: SightDep,
    level: LevelNumber = None,
    q: Word = None,
    sort: Word = None,
    parent: Number = None,
    after: Cursor = None,
) -> Response:
    """Show the net as a table, without a map."""
    if sort and sort.removeprefix("-") not in service.GRID_SORTS:
        raise InvalidInputError("The table cannot be ordered by this.", field="sort")
    narrow = service.GridFilter(level=level or None, q=q, parent=parent)
    turn = service.Turn(ROWS, after)
    _, found = service.list_grids(
        sight.access.session, sight.asked, narrow, turn, sort=sort or "code"
    )
    return sight.page(
        "net_table.html",
        rows=found.items,
        next=found.next,
        level=level or 0,
        q=q,
        sort=sort or "code",
    )


@router.get("/print/net")
def show_sheet(sight: SightDep, grid: Annotated[int, Query(ge=1, le=2**63 - 1)]) -> Response:
    """Show one grid on a sheet of paper."""
    at, card = service.show_grid(sight.access.session, sight.access.viewer, sight.asked, grid)
    options = sight.options(grid=grid, grid_level=card["level"], bounds=card["bbox"])
    return sight.page(
        "print_net.html",
        card=card,
        estimated=at.estimated,
        roles=net_page(sight.city, sight.net, options)["roles"],
        frame=sight.frame(net_frame, options),
    )


@router.get("/maps/net")
def show_frame(sight: SightDep, only: Only = None, level: LevelNumber = None) -> Response:
    """Show the map alone, for embedding in our own pages."""
    options = sight.options(only=only, level=level or 0, packed=sight.packed)
    return sight.page("frame.html", frame=sight.frame(net_frame, options))
