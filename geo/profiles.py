"""Country profiles: what differs by country is data; the folders are read and checked here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, time
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from geo.codes import STRICT, CodeScheme, Name
from geo.crs import MetreFamily
from geo.deadlines import Calendar, Limit
from geo.errors import NotFoundError, ProfileError
from geo.issues import about_persons
from geo.rates import Rate
from geo.rates import defects as rate_defects
from geo.terms import MAX_LEVELS, LimitUnit, Shown

__all__ = [
    "Category",
    "Escalation",
    "Level",
    "Name",
    "PostRole",
    "Profile",
    "StationKind",
    "StepLimit",
    "Working",
    "load_profile",
    "profile_from_tables",
    "profile_names",
]

MIN_LEVELS = 2
MAX_ZOOM = 22
FOLDER = "profile_data"

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


@dataclass(config=STRICT, frozen=True)
class Level:
    """One level of the hierarchy; `number` 1 is the top below the city.

    `zoom_min` to `zoom_max` are the map zooms at which the level is drawn, `line_px` the weight of
    its border in CSS pixels.
    """

    number: Annotated[int, Field(ge=1, le=MAX_LEVELS)]
    code: Identifier
    name: Name
    zoom_min: Annotated[int, Field(ge=0, le=MAX_ZOOM)]
    zoom_max: Annotated[int, Field(ge=0, le=MAX_ZOOM)]
    line_px: Annotated[float, Field(gt=0, le=6)]


@dataclass(config=STRICT, frozen=True)
class Category:
    """A class of issues; `parent` is None for the classes directly below the root."""

    code: Annotated[str, Field(pattern=r"^[A-Z][0-9]+$")]
    root: Literal["component", "event"]
    name: Name
    parent: str | None = None


@dataclass(config=STRICT, frozen=True)
class PostRole:
    """A role that a worker has in a grid; `levels` are the codes of the levels it occurs at."""

    code: Identifier
    name: Name
    levels: tuple[str, ...]


@dataclass(config=STRICT, frozen=True)
class StationKind:
    """A kind of service station; `serves` says for whom, for filters and legends."""

    code: Identifier
    name: Name
    serves: Identifier


@dataclass(config=STRICT, frozen=True)
class StepLimit:
    """How long a step may take for a category and all below it; "" is every category."""

    category: Annotated[str, Field(pattern=r"^([A-Z][0-9]*)?$")]
    step: Identifier
    amount: Annotated[float, Field(gt=0)]
    unit: LimitUnit


@dataclass(config=STRICT, frozen=True)
class Working:
    """When offices work: the country's calendar, and the hours of a day as ``HH:MM-HH:MM``."""

    calendar: Literal["cn", "week"] = "week"
    hours: tuple[Annotated[str, Field(pattern=r"^[0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d$")], ...] = (
        "09:00-17:00",
    )


@dataclass(config=STRICT, frozen=True)
class Escalation:
    """How long after the warning of the desk an issue goes one rung up by itself."""

    after_working_hours: Annotated[float, Field(gt=0)] = 8.0


@dataclass(config=STRICT, frozen=True)
class Profile:
    """Everything that a country settles before a city exists.

    `words` holds the subject's terms in both languages by their code.
    """

    code: Identifier
    name: Name
    metre_family: MetreFamily
    timezone: str
    default_scheme: str
    levels: tuple[Level, ...]
    schemes: tuple[CodeScheme, ...]
    categories: tuple[Category, ...]
    roles: tuple[PostRole, ...]
    station_kinds: tuple[StationKind, ...]
    words: dict[Identifier, Name]
    rates: tuple[Rate, ...] = ()
    working: Working = Working()
    escalation: Escalation = Escalation()
    limits: tuple[StepLimit, ...] = ()
    shown: dict[str, Shown] = Field(default_factory=dict)

    def shown_at(self, category: str) -> Shown:
        """Return where an issue of a category may be shown; what is not said is never shown."""
        fits = [code for code in self.shown if category.startswith(code)]
        return self.shown[max(fits, key=len)] if fits else Shown.NEVER

    def calendar(self, zone: str, exceptions: Iterable[tuple[date, bool]] = ()) -> Calendar:
        """Return the working calendar of the country in a zone, with a city's exceptions."""
        parts = (one.partition("-") for one in self.working.hours)
        spans = tuple((time.fromisoformat(a), time.fromisoformat(b)) for a, _, b in parts)
        return Calendar(zone, self.working.calendar, spans, tuple(sorted(exceptions)))

    def limit_rules(self) -> dict[tuple[str, str], Limit]:
        """Return the limits by category and step; category "" is every category."""
        return {(one.category, one.step): Limit(one.amount, one.unit) for one in self.limits}

    @property
    def level_codes(self) -> tuple[str, ...]:
        """Codes of the levels, from the top."""
        return tuple(level.code for level in self.levels)

    def scheme(self, code: str | None = None) -> CodeScheme:
        """Return the code scheme of this name, or the profile's default.

        Raises
        ------
        NotFoundError
            If the profile has no such scheme.
        """
        wanted = self.default_scheme if code is None else code
        for scheme in self.schemes:
            if scheme.code == wanted:
                return scheme
        known = [scheme.code for scheme in self.schemes]
        message = f"Profile '{self.code}' has no code scheme '{wanted}'; it has {known}."
        raise NotFoundError(message, profile=self.code, scheme=wanted)

    def take_levels(self, codes: Sequence[str]) -> tuple[Level, ...]:
        """Return some of the profile's levels for a city of fewer, numbered from 1 again.

        The deepest taken level is drawn up to the greatest zoom, and no zoom is left bare.

        Raises
        ------
        ProfileError
            If a level is unknown, out of order, or fewer than two are taken.
        """
        known = {level.code: level for level in self.levels}
        taken = [known[code] for code in codes if code in known]
        defects = [f"level '{code}' is not in '{self.code}'" for code in codes if code not in known]
        if [level.number for level in taken] != sorted({level.number for level in taken}):
            defects.append(f"levels {list(codes)} are not in order from the top")
        if len(codes) < MIN_LEVELS:
            defects.append(f"a city has {MIN_LEVELS} to {MAX_LEVELS} levels, not {len(codes)}")
        if defects:
            raise ProfileError(defects)
        begins = [0, *(level.zoom_min for level in taken[1:])]
        ends = [*(zoom - 1 for zoom in begins[1:]), MAX_ZOOM]
        return tuple(
            replace(level, number=number, zoom_min=begin, zoom_max=end)
            for number, (level, begin, end) in enumerate(
                zip(taken, begins, ends, strict=True), start=1
            )
        )


@cache
def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles that are shipped, sorted."""
    folders = files("geo").joinpath(FOLDER).iterdir()
    return tuple(sorted(folder.name for folder in folders if _is_profile(folder)))


def _is_profile(folder: Traversable) -> bool:
    return folder.is_dir() and folder.joinpath("profile.toml").is_file()


def load_profile(name: str) -> Profile:
    """Read and check a shipped profile.

    Parameters
    ----------
    name : str
        Folder below `profile_data`, such as "cn" or "intl".

    Returns
    -------
    Profile

    Raises
    ------
    NotFoundError
        If no profile has this name.
    ProfileError
        If the profile has defects; all of them are listed.
    """
    if name not in profile_names():
        message = f"There is no profile '{name}'; shipped are {', '.join(profile_names())}."
        raise NotFoundError(message, profile=name)
    return _read_profile(name)


@cache
def _read_profile(name: str) -> Profile:
    """Read a shipped profile once; it does not change while the program runs."""
    tables: dict[str, Any] = {}
    defects = []
    for file in sorted(files("geo").joinpath(FOLDER, name).iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".toml"):
            continue
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            defects.append(f"{file.name}: {error}")
            continue
        twice = sorted(tables.keys() & content.keys())
        defects += [f"{file.name}: '{key}' stands in another file as well" for key in twice]
        tables |= content
    if defects:
        raise ProfileError(defects)
    return profile_from_tables(tables)


def profile_from_tables(tables: Mapping[str, Any]) -> Profile:
    """Check the tables of a profile and freeze them.

    Parameters
    ----------
    tables : mapping
        The content of all files of a profile folder together, as TOML gives it.

    Returns
    -------
    Profile

    Raises
    ------
    ProfileError
        If anything is missing, unknown or contradicts itself; all defects are listed.
    """
    try:
        profile = TypeAdapter(Profile).validate_python(tables)
    except ValidationError as error:
        places = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        raise ProfileError([f"{place}: {text}" for place, text in places]) from error
    defects = [
        *_level_defects(profile.levels),
        *(defect for scheme in profile.schemes for defect in scheme.defects()),
        *_scheme_defects(profile),
        *_category_defects(profile.categories),
        *_code_defects(profile),
        *rate_defects(profile.rates),
    ]
    if defects:
        raise ProfileError(defects)
    return profile


def _level_defects(levels: tuple[Level, ...]) -> list[str]:
    found = []
    if not MIN_LEVELS <= len(levels) <= MAX_LEVELS:
        found.append(f"levels: {MIN_LEVELS} to {MAX_LEVELS} are needed, not {len(levels)}")
    if [level.number for level in levels] != list(range(1, len(levels) + 1)):
        found.append("levels: numbers must be 1, 2, 3 ... from the top")
    for level in levels:
        if level.zoom_min > level.zoom_max:
            found.append(f"levels: '{level.code}' begins at a greater zoom than it ends")
    for upper, lower in pairwise(levels):
        if lower.zoom_min != upper.zoom_max + 1:
            found.append(f"levels: '{lower.code}' must begin one zoom after '{upper.code}' ends")
        if lower.line_px >= upper.line_px:
            found.append(f"levels: '{lower.code}' must have a thinner line than '{upper.code}'")
    if levels and (levels[0].zoom_min, levels[-1].zoom_max) != (0, MAX_ZOOM):
        found.append(f"levels: zooms 0 to {MAX_ZOOM} must all be covered")
    return found


def _scheme_defects(profile: Profile) -> list[str]:
    found = []
    for scheme in profile.schemes:
        known = [code for code in profile.level_codes if code in scheme.levels]
        if list(scheme.levels) != known:
            found.append(f"scheme '{scheme.code}' numbers {scheme.levels}, which are not levels")
    default = [scheme for scheme in profile.schemes if scheme.code == profile.default_scheme]
    if not default:
        found.append(f"default_scheme: there is no scheme '{profile.default_scheme}'")
    elif default[0].levels != profile.level_codes:
        found.append(f"default_scheme: '{default[0].code}' does not number every level")
    return found


def _category_defects(categories: tuple[Category, ...]) -> list[str]:
    by_code = {category.code: category for category in categories}
    found = []
    for category in categories:
        if about_persons(category.name.zh) or about_persons(category.name.en):
            found.append(f"category '{category.code}' is about persons")
        if category.parent is None:
            continue
        parent = by_code.get(category.parent)
        if parent is None:
            found.append(f"category '{category.code}': there is no '{category.parent}' above it")
        elif parent.root != category.root or parent.parent is not None:
            found.append(f"category '{category.code}' cannot stand below '{parent.code}'")
        elif not category.code.startswith(parent.code):
            found.append(f"category '{category.code}' must begin with '{parent.code}'")
    return found


def _code_defects(profile: Profile) -> list[str]:
    """Return codes that stand twice, and roles at levels that the profile does not have."""
    lists: dict[str, list[str]] = {
        "levels": list(profile.level_codes),
        "schemes": [scheme.code for scheme in profile.schemes],
        "categories": [category.code for category in profile.categories],
        "roles": [role.code for role in profile.roles],
        "station_kinds": [kind.code for kind in profile.station_kinds],
    }
    found = [
        f"{name}: '{code}' stands twice"
        for name, codes in lists.items()
        for code in sorted({code for code in codes if codes.count(code) > 1})
    ]
    for role in profile.roles:
        unknown = sorted(set(role.levels) - set(profile.level_codes))
        found += [f"role '{role.code}': there is no level '{level}'" for level in unknown]
        if not role.levels:
            found.append(f"role '{role.code}' occurs at no level")
    return found
