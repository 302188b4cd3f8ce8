"""Use cases: load, call the geometry, save. The one door to the database for pages, API and jobs.

Every function takes the running transaction's session first. Those that read protected rows take
the viewer as well and narrow their statement by `visible`; row-level security in the database is
the second wall behind it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, any_, false, or_, true
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.types import BigInteger

from geo.db import Viewer
from geo.tables import Audit, Issue, Plan, UserAccount, Worker
from geo.terms import Role


def visible(table: type[Any], viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition under which `viewer` may see a row of `table`.

    This is the one place that decides; a table that is not named here is open to everybody.
    """
    if table not in (Issue, Worker, Plan, UserAccount, Audit):
        return true()
    if viewer.city_id is None:
        return false()
    own_city = table.city_id == viewer.city_id
    areas = array(list(viewer.areas), type_=BigInteger)
    if table is Plan:
        return and_(own_city, any_(Plan.members) == viewer.user_id) if viewer.user_id else false()
    if table is Audit:
        return own_city if viewer.role is Role.ADMINISTRATOR else false()
    if table is UserAccount:
        own_row = UserAccount.user_id == viewer.user_id
        return and_(own_city, true() if viewer.role is Role.ADMINISTRATOR else own_row)
    if viewer.city_wide:
        return own_city
    if table is Worker:
        return and_(own_city, or_(Worker.name_consent, Worker.areas.op("&&")(areas)))
    columns = (getattr(Issue, f"area_{level}") for level in range(1, 7))
    own_area = or_(*(column.in_(viewer.areas) for column in columns)) if viewer.areas else false()
    own_case = (
        Issue.organisation_id.in_(viewer.organisations) if viewer.organisations else false()
    )
    return and_(own_city, or_(own_area, own_case))
