"""What somebody wants done with a delivered file: its kind, columns, words, date and choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any, Final, Literal

from geo.errors import InvalidInputError
from geo.files.facts import DATUMS, Datum, Kind
from geo.saying import phrase
from geo.terms import MAX_LEVELS, DeliveryKind

Choice = Literal["new", "changed", "gone"]
CHOICES: Final[tuple[Choice, ...]] = ("new", "changed", "gone")
USUAL_CHOICE: Final[tuple[Choice, ...]] = ("new", "changed")
MOST_WORDS: Final = 2_000
LONGEST: Final = 200
VINTAGE: Final = re.compile(r"\d{4}")
ESTIMATE: Final = "E"
SEASON: Final = "S"
"""What an estimate and a count of a season have behind their year: 2026-E, 2026-S."""

COLUMNS: Final[Mapping[DeliveryKind, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    DeliveryKind.BOUNDARIES: (
        (),
        ("code", "name", "parent", "households", *(f"level_{n}" for n in range(1, MAX_LEVELS))),
    ),
    DeliveryKind.BUILDINGS: ((), ("code", "name", "use", "floors", "entrances", "households")),
    DeliveryKind.STREETS: ((), ("name", "kind")),
    DeliveryKind.BARRIERS: (("kind",), ("name",)),
    DeliveryKind.STATIONS: (
        ("name", "kind"),
        ("address", "opening_hours", "floor_area_m2", "capacity", "stage", "lon", "lat"),
    ),
    DeliveryKind.POSTS: (
        ("grid", "role"),
        ("post", "worker_name", "duty_number", "part_time", "valid_from", "valid_to"),
    ),
    DeliveryKind.HOUSEHOLDS: (
        ("households",),
        ("building_code", "building_name", "compound", "address"),
    ),
    DeliveryKind.ADDRESSES: (("address",), ("alias", "building_code", "lon", "lat")),
    DeliveryKind.ISSUES: (
        ("category", "reported_at"),
        (
            "external",
            "closed_at",
            "deadline_at",
            "state",
            "department",
            "address",
            "words",
            "channel",
            "set_aside",
            "lon",
            "lat",
        ),
    ),
    DeliveryKind.NETS: ((), ("code", "name")),
}
"""Columns that a kind must have mapped, and those that it may have."""

WORDED: Final[Mapping[DeliveryKind, tuple[str, ...]]] = {
    DeliveryKind.BUILDINGS: ("use",),
    DeliveryKind.STREETS: ("kind",),
    DeliveryKind.BARRIERS: ("kind",),
    DeliveryKind.STATIONS: ("kind", "stage"),
    DeliveryKind.POSTS: ("role",),
    DeliveryKind.ISSUES: ("category", "channel", "state", "set_aside"),
}
"""Columns whose texts stand for words of the program or of the city."""

SHAPES: Final[Mapping[DeliveryKind, Kind | None]] = {
    DeliveryKind.BOUNDARIES: "areas",
    DeliveryKind.BUILDINGS: "areas",
    DeliveryKind.STREETS: "lines",
    DeliveryKind.BARRIERS: None,
    DeliveryKind.STATIONS: None,
    DeliveryKind.ISSUES: None,
    DeliveryKind.NETS: "areas",
}
"""Shapes that a kind is made of; None: several, or none at all."""

TABLES: Final = frozenset({DeliveryKind.POSTS, DeliveryKind.HOUSEHOLDS, DeliveryKind.ADDRESSES})
"""Kinds that are rows without a place of their own."""


@dataclass(frozen=True, kw_only=True)
class ImportWish:
    """How a layer is to be read, what its rows are and what is to be done with them.

    Attributes
    ----------
    kind : DeliveryKind
    layer : str, optional
        Where the file has several.
    columns : mapping of str to str
        The program's name -> column of the file; the others are never read.
    fixed : mapping of str to str
        The program's name -> a value for all rows.
    words : mapping of str to mapping
        The program's name -> text of the file -> word of the program or code of the city.
    encoding, crs, datum, swap_axes : optional
        As the file does not say.
    level : int, optional
        Of boundaries: which level the areas are, 1 being the top.
    effective_from : date, optional
        First day of the net that boundaries make.
    vintage : str, optional
        Year of the count that households are.
    season : date, optional
        Of households: the day of a count of a season, such as the holidays; it stands beside the
        count of the year and changes no building.
    estimate : bool
        Of buildings: households that the file does not say are estimated from footprint, floors
        and use, as a count of its own that is marked as estimated.
    choice : tuple of {"new", "changed", "gone"}
        What of the difference to what stands is applied.
    left_out : tuple of int
        Rows of the file that are not taken.
    decided : mapping of str to int
        Row of the file -> building that it is, where the match was not clear.
    decisions : mapping of str to str
        Of boundaries: key of a question about their ground -> who takes it.
    cut_cells : bool
        Of buildings: cut the cells that new ones stand on, so that each has its own.
    """

    kind: DeliveryKind
    layer: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    encoding: str | None = None
    crs: int | None = None
    datum: Datum | None = None
    swap_axes: bool | None = None
    level: int | None = None
    effective_from: date | None = None
    vintage: str | None = None
    season: date | None = None
    estimate: bool = False
    choice: tuple[Choice, ...] = USUAL_CHOICE
    left_out: tuple[int, ...] = ()
    decided: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, str] = field(default_factory=dict)
    cut_cells: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        needed, allowed = COLUMNS[self.kind]
        named = {**self.columns, **self.fixed}
        unknown = sorted(set(named) - set(needed) - set(allowed))
        if unknown:
            known = ", ".join((*needed, *allowed))
            raise _refused(
                "columns",
                phrase(
                    "%(kind)s have no %(what)s, but: %(known)s.",
                    kind=self.kind,
                    what=unknown[0],
                    known=known,
                ),
                unknown,
            )
        missing = sorted(set(needed) - set(named))
        if missing:
            raise _refused(
                "columns",
                phrase("%(kind)s need a column for %(what)s.", kind=self.kind, what=missing[0]),
                missing,
            )
        if self.datum is not None and self.datum not in DATUMS:
            raise _refused("datum", phrase("A datum is one of %(names)s.", names=", ".join(DATUMS)))
        if self.level is not None and not 1 <= self.level <= MAX_LEVELS:
            raise _refused(
                "level",
                phrase("A level is a number from 1 to %(most)s.", most=MAX_LEVELS),
            )
        if self.vintage is not None and not VINTAGE.fullmatch(self.vintage):
            raise _refused("vintage", phrase("A count is named by its year, such as 2026."))
        if self.season is not None and self.kind is not DeliveryKind.HOUSEHOLDS:
            raise _refused("season", phrase("Only counts of households are of a season."))
        if self.estimate and self.kind is not DeliveryKind.BUILDINGS:
            raise _refused("estimate", phrase("Households are estimated from buildings alone."))
        if not set(self.choice) <= set(CHOICES):
            raise _refused(
                "choice",
                phrase("Of a difference %(names)s can be applied.", names=", ".join(CHOICES)),
            )
        if sum(len(words) for words in self.words.values()) > MOST_WORDS:
            raise _refused(
                "words", phrase("At most %(most)s texts can be given a word.", most=MOST_WORDS)
            )

    def as_data(self) -> dict[str, Any]:
        """Return the wish as plain data; `wish_from_data` takes it back."""
        data = {one.name: getattr(self, one.name) for one in fields(self)}
        data["kind"] = self.kind.value
        data["words"] = {name: dict(words) for name, words in self.words.items()}
        for name in ("columns", "fixed", "decided", "decisions"):
            data[name] = dict(data[name])
        for name in ("choice", "left_out"):
            data[name] = list(data[name])
        for name in ("effective_from", "season"):
            if data[name] is not None:
                data[name] = data[name].isoformat()
        return data


def wish_from_data(data: Mapping[str, Any]) -> ImportWish:
    """Return a wish from plain data, as from a request.

    Raises
    ------
    InvalidInputError
        Naming the field that cannot be used.
    """
    known = {one.name for one in fields(ImportWish)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise _refused(unknown[0], phrase("There is no field %(what)s.", what=unknown[0]))
    values = {name: value for name, value in data.items() if value is not None}
    kinds = [kind.value for kind in DeliveryKind]
    if values.get("kind") not in kinds:
        raise _refused("kind", phrase("A delivery is one of %(names)s.", names=", ".join(kinds)))
    values["kind"] = DeliveryKind(values["kind"])
    for name in ("columns", "fixed", "decisions"):
        values[name] = _texts(name, values.get(name, {}))
    words = values.get("words", {})
    if not isinstance(words, Mapping):
        raise _refused("words", phrase("%(name)s is a table of texts.", name="words"))
    values["words"] = {str(name): _texts("words", table) for name, table in words.items()}
    decided = values.get("decided", {})
    if not isinstance(decided, Mapping):
        raise _refused("decided", phrase("%(name)s is a table of texts.", name="decided"))
    try:
        values["decided"] = {str(int(row)): int(which) for row, which in decided.items()}
        values["left_out"] = tuple(int(row) for row in values.get("left_out", ()))
        for name in ("crs", "level"):
            if name in values:
                values[name] = int(values[name])
        for name in ("effective_from", "season"):
            if isinstance(values.get(name), str):
                values[name] = date.fromisoformat(values[name])
    except (TypeError, ValueError) as error:
        raise _refused(
            "wish", phrase("A number or a date is none: %(error)s.", error=error)
        ) from None
    values["choice"] = tuple(values.get("choice", USUAL_CHOICE))
    for name in ("cut_cells", "estimate"):
        if not isinstance(values.get(name, False), bool):
            raise _refused(name, phrase("%(name)s is true or false.", name=name))
    return ImportWish(**values)


def _texts(name: str, table: Any) -> dict[str, str]:
    if not isinstance(table, Mapping) or len(table) > MOST_WORDS:
        raise _refused(name, phrase("%(name)s is a table of texts.", name=name))
    read = {str(key): str(value) for key, value in table.items()}
    if any(len(text) > LONGEST for pair in read.items() for text in pair):
        raise _refused(
            name,
            phrase("A text of %(name)s has at most %(most)s characters.", name=name, most=LONGEST),
        )
    return read


def _refused(field_name: str, message: str, about: Any = None) -> InvalidInputError:
    data = {"field": field_name, "reason": f"wish_{field_name}"}
    return InvalidInputError(message, **data, **({"about": about} if about else {}))
