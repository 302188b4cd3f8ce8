"""Geometry and text as they stand in statements: boxes, GeoJSON, parts of names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, func

from geo.tables import SRID

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

DIGITS = 7
"""Digits of degrees in answers: about a centimetre."""


def intersects(shape: Any, box: Box) -> ColumnElement[bool]:
    """Return the condition that a shape meets a box."""
    found: ColumnElement[bool] = func.ST_Intersects(shape, func.ST_MakeEnvelope(*box, SRID))
    return found


def geojson(shape: Any, *, areal: bool = True) -> ColumnElement[str]:
    """Return a shape as GeoJSON text; outer rings counter-clockwise as RFC 7946 wants.

    Lines go in as they are (`areal` false): turning rings would turn them as well.
    """
    turned = func.ST_ForcePolygonCCW(shape) if areal else shape
    text: ColumnElement[str] = func.ST_AsGeoJSON(turned, DIGITS)
    return text


def quoted(wanted: str) -> str:
    """Return a text as a pattern of LIKE that means it literally; the escape is a backslash."""
    return wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def has_case(wanted: str) -> bool:
    """Say whether a text has a letter that can be written large or small."""
    return wanted.lower() != wanted or wanted.upper() != wanted


def contains_text(column: Any, wanted: str) -> ColumnElement[bool]:
    """Return the condition that a text holds `wanted` literally, whatever the case.

    Written so that a trigram index on the column serves it.
    """
    pattern = f"%{quoted(wanted)}%"
    like = column.ilike if has_case(wanted) else column.like
    found: ColumnElement[bool] = like(pattern, escape="\\")
    return found


def braced(ids: Iterable[int]) -> str:
    """Return ids as PostgreSQL writes an array: one text is bound much faster than many numbers."""
    return "{" + ",".join(str(int(number)) for number in ids) + "}"
