"""A recipe: which files a city is made of, and what their columns mean. Written once as TOML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pyproj.exceptions import CRSError

from geo.codes import Name
from geo.crs import require_metres
from geo.errors import RecipeError, TopologyError
from geo.profiles import Profile
from geo.terms import MAX_LEVELS, BarrierKind, StreetKind

STRICT: Final = ConfigDict(extra="forbid")
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]
Rules = tuple[tuple[str, str], ...]
"""Pairs of a regular expression and what is written instead; the first that fits the whole text."""

Columns = dict[str, Text]
"""What the program needs -> the column of the file. What is not named here is not read."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Source:
    """A layer of a file.

    Attributes
    ----------
    file : str
        Path inside the folder that the files lie in.
    layer : str, optional
        Needed where a file has several.
    crs : int, optional
        EPSG number, for a file that does not say its own.
    encoding : str, optional
        Encoding of the texts, for a Shapefile that does not say its own.
    """

    file: Text
    layer: Text | None = None
    crs: int | None = None
    encoding: Text | None = None

    @property
    def label(self) -> str:
        """What the layer is called in messages."""
        return f"{self.file}:{self.layer}" if self.layer else self.file


@dataclass(config=STRICT, frozen=True, kw_only=True)
class CityPart:
    """Who the city is; `metre_crs` is the EPSG number of the projected CRS in metres."""

    slug: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    name: Text
    name_en: Text
    profile: Text
    timezone: Text
    metre_crs: int
    county_code: Text
    effective_from: date


@dataclass(config=STRICT, frozen=True, kw_only=True)
class LevelPart(Source):
    """One level of grids, from the top; the last one is delivered as areas.

    Attributes
    ----------
    like : str
        Level of the profile that it is drawn and staffed like.
    title : Name
        What the level is called in this city.
    columns : dict
        `code`; `name` where it does not follow from the code; `parent` below the top.
    rewrite : dict of str to rules
        How the texts of `name`, `parent` or `code` are turned into what they mean.
    zoom_from : int, optional
        Map zoom from which the level is drawn; default the profile's.
    """

    like: Identifier
    title: Name
    columns: Columns
    rewrite: dict[str, Rules] = Field(default_factory=dict)
    zoom_from: Annotated[int, Field(ge=0, le=22)] | None = None


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ValuePart(Source):
    """A count that was delivered for other areas and is shared out over the cells.

    Attributes
    ----------
    columns : dict
        `value`, and `code` to name an area in messages.
    weight : str, optional
        Column of the lowest level that says how much of a cell can hold anybody (land area).
    times : float
        Every count is multiplied by this and rounded: households from residents.
    """

    measure: Identifier
    vintage: Annotated[str, Field(pattern=r"^\d{4}(-S)?$")]
    taken_on: date
    name: Text
    columns: Columns
    weight: Text | None = None
    times: Annotated[float, Field(gt=0)] = 1.0


@dataclass(config=STRICT, frozen=True, kw_only=True)
class BarrierPart(Source):
    """Water and rivers (areas), railways and walls (lines).

    `where` keeps the rows whose columns hold these texts.
    """

    kind: BarrierKind
    columns: Columns = Field(default_factory=dict)
    where: dict[Text, str] = Field(default_factory=dict)


@dataclass(config=STRICT, frozen=True, kw_only=True)
class StreetPart(Source):
    """Street lines; `kinds` turns what the file says into arterial, collector, local or path.

    Ends nearer than `join_m` are one node.
    """

    columns: Columns = Field(default_factory=dict)
    kinds: dict[str, StreetKind] = Field(default_factory=dict)
    other_kind: StreetKind = StreetKind.LOCAL
    join_m: Annotated[float, Field(ge=0.001, le=20)] = 0.05


@dataclass(config=STRICT, frozen=True, kw_only=True)
class KindPart:
    """A kind of station: what the file says, and what it is called; by default the profile's."""

    value: Text
    kind: Identifier
    name: Name | None = None
    serves: Identifier | None = None


@dataclass(config=STRICT, frozen=True, kw_only=True)
class StationPart(Source):
    """Service points; those within `reach_m` of the city are moved to its edge, others left out."""

    columns: Columns
    kinds: tuple[KindPart, ...]
    reach_m: Annotated[float, Field(ge=0, le=1000)] = 20.0


@dataclass(config=STRICT, frozen=True, kw_only=True)
class RepairPart:
    """How far borders may be mended: see `geo.repair.repair`."""

    snap_m: Annotated[float, Field(ge=0, le=1)] = 0.01
    gap_m: Annotated[float, Field(ge=0, le=100)] = 1.0
    largest_change: Annotated[float, Field(gt=0, le=1)] = 0.05


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Recipe:
    """A whole city out of files."""

    city: CityPart
    levels: Annotated[tuple[LevelPart, ...], Field(min_length=2, max_length=MAX_LEVELS)]
    values: tuple[ValuePart, ...] = ()
    barriers: tuple[BarrierPart, ...] = ()
    streets: StreetPart | None = None
    stations: StationPart | None = None
    repair: RepairPart = Field(default_factory=RepairPart)

    @property
    def layer_count(self) -> int:
        """How many layers are read."""
        places = [part for part in (self.streets, self.stations) if part]
        return len(self.levels) + len(self.values) + len(self.barriers) + len(places)


COLUMNS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "levels": (frozenset({"code"}), frozenset({"name", "parent"})),
    "values": (frozenset({"value"}), frozenset({"code"})),
    "barriers": (frozenset(), frozenset({"name"})),
    "streets": (frozenset(), frozenset({"name", "kind", "from_node", "to_node"})),
    "stations": (
        frozenset({"kind", "name"}),
        frozenset({"address", "opening_hours", "floor_area_m2", "capacity"}),
    ),
}
"""Columns that a part must name, and those that it may name."""

_RECIPE: Final = TypeAdapter(Recipe)


def recipe_from_tables(tables: Mapping[str, Any]) -> Recipe:
    """Check a recipe as read from TOML.

    Parameters
    ----------
    tables : mapping
        What `tomllib` returns.

    Returns
    -------
    Recipe

    Raises
    ------
    RecipeError
        With one line for each place that is wrong.
    """
    try:
        recipe = _RECIPE.validate_python(tables)
    except ValidationError as error:
        raise RecipeError([_sentence(dict(found)) for found in error.errors()]) from None
    defects = [
        *_metre_defects(recipe),
        *_column_defects(recipe),
        *_rule_defects(recipe),
        *_kind_defects(recipe),
        *_vintage_defects(recipe),
    ]
    if defects:
        raise RecipeError(defects)
    return recipe


def rewritten(text: str, rules: Rules) -> str | None:
    r"""Return `text` as the first rule that fits the whole of it writes it; None if none fits.

    Without rules the text stays as it is.

    Examples
    --------
    >>> rewritten("25017352101", ((r"\d{5}(\d{4})00", r"Tract \1"), (r"\d{5}(.*)", r"Tract \1")))
    'Tract 352101'
    """
    if not rules:
        return text
    for pattern, written in rules:
        found = re.fullmatch(pattern, text)
        if found:
            return found.expand(written)
    return None


def profile_defects(recipe: Recipe, profile: Profile) -> list[str]:
    """Return one sentence for each thing that the recipe names and the profile does not have."""
    known = [level.code for level in profile.levels]
    places = [
        (number, part.like) for number, part in enumerate(recipe.levels, 1) if part.like in known
    ]
    found = [
        f"levels[{number}].like: profile '{profile.code}' has no level '{part.like}', but {known}"
        for number, part in enumerate(recipe.levels, start=1)
        if part.like not in known
    ]
    order = [known.index(like) for _, like in places]
    if order != sorted(set(order)):
        found.append(
            f"levels: {[part.like for part in recipe.levels]} are not in order from the top"
        )
    kinds = {kind.code for kind in profile.station_kinds}
    found += [
        f"stations.kinds: '{part.kind}' is not a kind of profile '{profile.code}': give it a name "
        "in both languages and say whom it serves"
        for part in (recipe.stations.kinds if recipe.stations else ())
        if part.kind not in kinds and (part.name is None or part.serves is None)
    ]
    return found


def _sentence(found: dict[str, Any]) -> str:
    path = ""
    for step in found["loc"]:
        path += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return f"{path or 'recipe'}: {found['msg'].lower()}"


def _parts(recipe: Recipe) -> list[tuple[str, str, Any]]:
    """Return (kind, place in the recipe, part) of every part that reads a layer."""
    parts: list[tuple[str, str, Any]] = []
    for kind in ("levels", "values", "barriers"):
        for number, part in enumerate(getattr(recipe, kind), start=1):
            parts.append((kind, f"{kind}[{number}]", part))
    for kind in ("streets", "stations"):
        if getattr(recipe, kind) is not None:
            parts.append((kind, kind, getattr(recipe, kind)))
    return parts


def _metre_defects(recipe: Recipe) -> list[str]:
    try:
        require_metres(recipe.city.metre_crs)
    except (TopologyError, CRSError) as error:
        return [f"city.metre_crs: {recipe.city.metre_crs}: {error}"]
    return []


def _column_defects(recipe: Recipe) -> list[str]:
    found = []
    for kind, place, part in _parts(recipe):
        needed, allowed = COLUMNS[kind]
        if kind == "levels" and place != "levels[1]":
            needed = needed | {"parent"}
        found += [
            f"{place}.columns: '{name}' is missing" for name in sorted(needed - set(part.columns))
        ]
        unknown = sorted(set(part.columns) - needed - allowed)
        found += [f"{place}.columns: '{name}' is not known" for name in unknown]
    if "parent" in recipe.levels[0].columns:
        found.append("levels[1].columns: the top level has no parent")
    return found


def _rule_defects(recipe: Recipe) -> list[str]:
    found = []
    for number, level in enumerate(recipe.levels, start=1):
        for column, rules in level.rewrite.items():
            place = f"levels[{number}].rewrite.{column}"
            if column not in level.columns:
                found.append(f"{place}: there is no such entry in columns")
            for pattern, written in rules:
                try:
                    re.compile(pattern)
                    re.sub(f"(?:{pattern})?", written, "")
                except (re.error, IndexError) as error:
                    found.append(f"{place}: '{pattern}' -> '{written}': {error}")
    return found


def _kind_defects(recipe: Recipe) -> list[str]:
    if recipe.stations is None:
        return []
    values = [part.value for part in recipe.stations.kinds]
    twice = sorted({value for value in values if values.count(value) > 1})
    return [f"stations.kinds: '{value}' stands twice" for value in twice]


def _vintage_defects(recipe: Recipe) -> list[str]:
    parts = recipe.values
    about = {(part.vintage, part.taken_on, part.name) for part in parts}
    named = [vintage for vintage, *_ in about]
    keys = [(part.vintage, part.measure) for part in parts]
    found = [
        f"values: vintage '{vintage}' has two dates or names"
        for vintage in sorted({vintage for vintage in named if named.count(vintage) > 1})
    ]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    return found + [
        f"values: '{measure}' of '{vintage}' stands twice" for vintage, measure in twice
    ]
