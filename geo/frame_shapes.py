"""What a column of a city's frames may be: its kind and dtype, its references, what it allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["id", "integer", "number", "text", "flag", "day", "instant", "geometry"]

#: Pandas dtypes by kind of column: (never null, nullable). Days are naive midnights.
DTYPES: Final[dict[str, tuple[str, str]]] = {
    "id": ("int64", "Int64"),
    "integer": ("int64", "Int64"),
    "number": ("float64", "float64"),
    "text": ("str", "str"),
    "flag": ("bool", "boolean"),
    "day": ("datetime64[s]", "datetime64[s]"),
    "instant": ("datetime64[s, UTC]", "datetime64[s, UTC]"),
    "geometry": ("geometry", "geometry"),
}


@dataclass(frozen=True)
class Column:
    """One column of a frame: its kind, whether it may be empty, what it refers to or allows."""

    kind: Kind
    nullable: bool = False
    refers_to: str | None = None
    allowed: tuple[str, ...] | None = None
    minimum: float | None = None


@dataclass(frozen=True)
class FrameShape:
    """Columns of a frame, its key, and the geometry types it may hold."""

    key: tuple[str, ...]
    columns: dict[str, Column]
    geometry: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()


def an_id(refers_to: str | None = None, *, nullable: bool = False) -> Column:
    """Return a column of ids, of the frame's own or of those of another one."""
    return Column("id", nullable=nullable, refers_to=refers_to, minimum=1)


def a_text(
    *, nullable: bool = False, refers_to: str | None = None, allowed: tuple[str, ...] | None = None
) -> Column:
    """Return a column of texts."""
    return Column("text", nullable=nullable, refers_to=refers_to, allowed=allowed)


GEOMETRY: Final = Column("geometry")
AREAL: Final = ("Polygon", "MultiPolygon")
MOMENT: Final = Column("instant", nullable=True)
