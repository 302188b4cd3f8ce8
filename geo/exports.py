"""Issues in the columns of another platform: a mapping as data, checked, then applied row by row.

A mapping is a list of columns. Each has a `title`, as the other platform writes it, and either a
`field` of ours or a constant `text`; `words` translates values, `time` formats moments.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from importlib import resources
from typing import Any, Final

from geo.errors import InvalidInputError

__all__ = ["FIELDS", "Column", "columns_of", "preset", "presets", "rows_of"]

FIELDS: Final = frozenset({
    "issue", "code", "external", "category", "category_name", "category_name_en", "parent_name",
    "root", "channel", "state", "words", "address", "area_1", "area_2", "area_3", "area_4",
    "grid_code", "lon", "lat", "lon_gcj02", "lat_gcj02", "reported_at", "accepted_at",
    "registered_at", "dispatched_at", "deadline_at", "handled_at", "closed_at",
    "organisation_name", "returns", "reworks", "postpones", "reopens", "on_the_spot",
    "satisfied", "set_aside", "result",
})  # fmt: skip
"""What a column may be filled with: facts of the issue and its place, never a contact."""
MOST_COLUMNS: Final = 60
MOST_WORDS: Final = 100
LONGEST: Final = 100
TIME: Final = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Column:
    """A column of another platform.

    Parameters
    ----------
    title : str
    source : str, optional
        One of `FIELDS`; None for a constant.
    text : str, optional
        The constant.
    words : mapping of str to str
        What a value is called there; a value that is not named stays as it is.
    time : str
        How moments are written, as `strftime` takes it.
    """

    title: str
    source: str | None = None
    text: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    time: str = TIME


def columns_of(told: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Return the columns of a mapping.

    Parameters
    ----------
    told : sequence of mapping
        As it was handed in.

    Raises
    ------
    InvalidInputError
        If a column cannot be used; `column` is its number from 1.

    Examples
    --------
    >>> columns_of([{"title": "案卷编号", "field": "external"}])[0].source
    'external'
    """
    if not 1 <= len(told) <= MOST_COLUMNS:
        raise InvalidInputError(
            f"1 to {MOST_COLUMNS} columns.", field="columns", reason="columns", most=MOST_COLUMNS
        )
    found = tuple(_column(number, one) for number, one in enumerate(told, start=1))
    titles = [one.title for one in found]
    if len(set(titles)) < len(titles):
        raise InvalidInputError(
            "Two columns have one title.", field="columns", reason="titles_twice"
        )
    return found


def _column(number: int, told: Mapping[str, Any]) -> Column:
    title, source, text = told.get("title"), told.get("field"), told.get("text")
    words, time = told.get("words") or {}, told.get("time") or TIME
    faults = {
        "unknown": set(told) - {"title", "field", "text", "words", "time"},
        "title": not _line(title) or not str(title).strip(),
        "field": (source is None) == (text is None)
        or (text is not None and not _line(text))
        or (source is not None and source not in FIELDS),
        "words": not isinstance(words, Mapping)
        or len(words) > MOST_WORDS
        or not all(_line(key) and _line(value) for key, value in words.items()),
        "time": not _line(time) or "%" not in time,
    }
    wrong = next((name for name, holds in faults.items() if holds), None)
    if wrong is not None:
        raise InvalidInputError(
            f"Column {number} cannot be used: {wrong}.", field="columns", reason=wrong,
            column=number,
        )  # fmt: skip
    return Column(str(title).strip(), source, text, dict(words), str(time))


def _line(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST and value.isprintable()


def rows_of(
    columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], zone: tzinfo
) -> list[list[str | int | float | None]]:
    """Return the cells of a sheet, moments in the city's zone.

    Parameters
    ----------
    columns : sequence of Column
    rows : iterable of mapping
        With the fields that the columns name.
    zone : tzinfo
    """
    return [[_cell(one, row, zone) for one in columns] for row in rows]


def _cell(column: Column, row: Mapping[str, Any], zone: tzinfo) -> str | int | float | None:
    if column.source is None:
        return column.text
    value = row[column.source]
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime(column.time)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if value is None:
        return column.words.get("", None)
    named = column.words.get(str(value))
    return value if named is None else named


def presets() -> list[str]:
    """Return the names of the mappings that are shipped."""
    folder = resources.files("geo") / "profile_data" / "exports"
    return sorted(one.name.removesuffix(".toml") for one in folder.iterdir()
                  if one.name.endswith(".toml"))  # fmt: skip


def preset(name: str) -> dict[str, Any]:
    """Return a mapping that is shipped: `title` and `columns`.

    Raises
    ------
    KeyError
        If there is none of this name.
    """
    if name not in presets():
        raise KeyError(name)
    path = resources.files("geo") / "profile_data" / "exports" / f"{name}.toml"
    return tomllib.loads(path.read_text("utf-8"))
