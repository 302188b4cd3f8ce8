"""The rooms of the program: which pages there are, what each is for, and who finds it in the menu.

The menu of every page and the end of the first page are made of this one table, so that each role
finds each of its rooms from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from api.i18n import marked
from geo.db import Viewer
from geo.terms import CITY_WIDE, STAFF, Role


class Group(StrEnum):
    """What somebody comes for."""

    TODAY = "today"
    MAPS = "maps"
    LISTS = "lists"
    OFFICE = "office"


WORDS: Final[Mapping[Group, str]] = {
    Group.TODAY: marked("To be done"),
    Group.MAPS: marked("Maps"),
    Group.LISTS: marked("Lists and figures"),
    Group.OFFICE: marked("Office"),
}
"""What the groups are called, in the order in which they stand."""
EVERYBODY: Final = frozenset(Role)
KEEPERS: Final = frozenset({Role.ADMINISTRATOR, Role.PLANNER, Role.COMMUNITY})
LOADERS: Final = frozenset({Role.ADMINISTRATOR, Role.PLANNER})


@dataclass(frozen=True)
class Room:
    """One page of the menu.

    Parameters
    ----------
    path : str
        Its address, without a query.
    word, purpose : str
        Its name and one sentence on what it is for: messages of the catalogue.
    group : Group
        Under which heading it stands.
    who : frozenset of Role
        Roles that may open it.
    own_areas : bool
        Whether it shows the grids that somebody acts in, and so needs some.
    """

    path: str
    word: str
    purpose: str
    group: Group
    who: frozenset[Role] = STAFF
    own_areas: bool = False


ROOMS: Final = (
    Room(
        "/",
        marked("Overview"),
        marked("What needs a hand today, and the own area in figures."),
        Group.TODAY,
        STAFF - {Role.WORKER},
    ),
    Room(
        "/patrol",
        marked("Own zone"),
        marked("The own grids on the map: who is posted, what is open, which stations are near."),
        Group.TODAY,
        own_areas=True,
    ),
    Room(
        "/issues",
        marked("Issues"),
        marked("What lies on the desk, on list and map, with the acts that are due."),
        Group.TODAY,
    ),
    Room(
        "/report",
        marked("Report something"),
        marked("A thing that is wrong: where, what, a photo. No account is needed."),
        Group.TODAY,
        EVERYBODY,
    ),
    Room(
        "/meetings",
        marked("Meetings"),
        marked("What residents spoke of, and the issues that came of it."),
        Group.TODAY,
    ),
    Room(
        "/campaigns",
        marked("Campaigns"),
        marked("Problems and measures with owner and date, ticked off; bulletins."),
        Group.TODAY,
    ),
    Room(
        "/projects",
        marked("Small projects"),
        marked("Small works with a budget, agreed to and approved step by step."),
        Group.TODAY,
    ),
    Room(
        "/net",
        marked("Net of grids"),
        marked("Which grid a place belongs to, and who is responsible there."),
        Group.MAPS,
        EVERYBODY,
    ),
    Room(
        "/heat",
        marked("Requests"),
        marked("Where and when requests come, for each 1,000 households."),
        Group.MAPS,
        CITY_WIDE,
    ),
    Room(
        "/stations",
        marked("Coverage of stations"),
        marked("Who lives within 500 m and 1 km of an open station."),
        Group.MAPS,
    ),
    Room(
        "/stations/density",
        marked("Density of stations"),
        marked("Stations for each 10,000 households, by area."),
        Group.MAPS,
    ),
    Room(
        "/staff/map",
        marked("Patrol areas"),
        marked("Which grids are staffed, partly staffed or vacant."),
        Group.MAPS,
    ),
    Room(
        "/compounds",
        marked("Compounds and grids"),
        marked("Compounds larger than, equal to or smaller than their grid."),
        Group.LISTS,
        EVERYBODY,
    ),
    Room(
        "/net/table",
        marked("Table of grids"),
        marked("All grids as text, to read without a map."),
        Group.LISTS,
        EVERYBODY,
    ),
    Room(
        "/rates",
        marked("Rates of issues"),
        marked("How many issues were handled and closed, and on time."),
        Group.LISTS,
    ),
    Room(
        "/firms",
        marked("Property firms"),
        marked("The rules firms are rated by, and ratings with evidence and answer."),
        Group.LISTS,
        EVERYBODY,
    ),
    Room(
        "/shops",
        marked("Shops"),
        marked("The last inspection of each shop, with its answer."),
        Group.LISTS,
        EVERYBODY,
    ),
    Room(
        "/inspections",
        marked("Inspections"),
        marked("What was looked at in each compound, what is due, answers and appeals."),
        Group.LISTS,
    ),
    Room(
        "/points",
        marked("Service points"),
        marked("Where volunteers help, with what, and when."),
        Group.LISTS,
        EVERYBODY,
    ),
    Room(
        "/staff",
        marked("People and posts"),
        marked("Who is posted where; phones of workers; notices at the doors."),
        Group.OFFICE,
        KEEPERS,
    ),
    Room(
        "/addresses",
        marked("Addresses"),
        marked("Texts of addresses get their grid."),
        Group.OFFICE,
    ),
    Room(
        "/issues/rules",
        marked("Rules of issues"),
        marked("Kinds, limits, working days, and to whom what goes."),
        Group.OFFICE,
    ),
    Room(
        "/issues/devices",
        marked("Devices"),
        marked("Things that report their own alarms."),
        Group.OFFICE,
    ),
    Room(
        "/import",
        marked("Files in"),
        marked("Files are checked, looked at, and taken over or not."),
        Group.OFFICE,
        LOADERS,
    ),
    Room(
        "/admin",
        marked("Administration"),
        marked("Accounts, levels, codes, kinds, and the log."),
        Group.OFFICE,
        frozenset({Role.ADMINISTRATOR}),
    ),
)
"""In the order in which they stand below their headings."""


@dataclass(frozen=True)
class Ways:
    """One heading of the menu with the rooms below it."""

    group: Group
    word: str
    rooms: tuple[Room, ...]


def ways_of(viewer: Viewer) -> list[Ways]:
    """Return the rooms that somebody may open, by heading; headings without any are left out.

    Examples
    --------
    >>> [room.path for way in ways_of(Viewer.public(1)) for room in way.rooms]
    ['/report', '/net', '/compounds', '/net/table', '/firms', '/shops', '/points']
    """
    role = viewer.role if viewer.staff else Role.PUBLIC
    open_to = [room for room in ROOMS if role in room.who and (viewer.areas or not room.own_areas)]
    found = (
        Ways(group, word, tuple(room for room in open_to if room.group is group))
        for group, word in WORDS.items()
    )
    return [way for way in found if way.rooms]
