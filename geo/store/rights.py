"""Who may write what in the office: the first wall; the database's policies are the second."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, false, or_, true

from geo.db import Viewer
from geo.errors import ForbiddenError
from geo.tables.base import Areas
from geo.terms import Role

ADMINISTRATORS: Final = frozenset({Role.ADMINISTRATOR})
OFFICE: Final = frozenset({Role.ADMINISTRATOR, Role.PLANNER})
"""They keep workers and posts of the whole city."""
POSTING: Final = OFFICE | {Role.COMMUNITY}
"""They keep posts; a community those of its own areas."""
TELLING: Final = frozenset({Role.ADMINISTRATOR, Role.COMMUNITY})
"""They keep notices and sign phones in; a community in its own areas."""


def demand(viewer: Viewer, roles: frozenset[Role]) -> int:
    """Return the city in which the viewer may act in this way.

    Raises
    ------
    ForbiddenError
        If the viewer has none of these roles, in no city.
    """
    if viewer.role not in roles or viewer.city_id is None:
        raise ForbiddenError("This account may not change that.")
    return viewer.city_id


def in_reach(table: type[Areas], viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition of rows in the viewer's areas; of all rows for city-wide roles."""
    if viewer.city_wide:
        return true()
    if not viewer.areas:
        return false()
    columns = (getattr(table, f"area_{level}") for level in range(1, 7))
    return or_(*(column.in_(viewer.areas) for column in columns))
