"""Who may write what in the office: the first wall; the database's policies are the second."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ARRAY, BigInteger, ColumnElement, and_, false, literal, or_, true

from geo.db import Viewer
from geo.errors import ForbiddenError
from geo.tables import Issue
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


def issues_seen(viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition of issues that a viewer may see: of the areas, of the organisation."""
    if viewer.city_id is None:
        return false()
    return and_(Issue.city_id == viewer.city_id, or_(in_reach(Issue, viewer), own_cases(viewer)))


def own_cases(viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition of issues that the viewer's organisation leads or assists in."""
    if not viewer.organisations:
        return false()
    own = literal(list(viewer.organisations), ARRAY(BigInteger))
    assists = and_(Issue.assisting.is_not(None), Issue.assisting.op("&&")(own))
    return or_(Issue.organisation_id.in_(viewer.organisations), assists)
