"""What must be true again after a restoring: rows, logs, checked cities."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Boolean, Text, column, func, select, table, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from geo import service
from geo.errors import KeepingError, WanggeError
from geo.tables import City

LEFT_OUT: Final = (
    "app_secret", "device_key", "user_session", "sign_in_attempt", "sign_in_link",
)  # fmt: skip
"""Tables whose rows stay out of backups.

The key that signs contexts is made anew when a backup is restored; devices get new keys from their
administrator, so that a backup that was lost forges no alarm. A sign-in that was ended after
the backup must not come back, so everybody signs in again.
"""

_TABLES = text("""
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype = 'e')
    ORDER BY c.relname
""")

_HALF_SEEN = text("""
    SELECT c.relname FROM pg_class AS c, pg_roles AS me
    WHERE me.rolname = current_user AND NOT me.rolsuper AND NOT me.rolbypassrls
      AND c.relnamespace = 'public'::regnamespace AND c.relrowsecurity
      AND (c.relforcerowsecurity OR c.relowner <> me.oid)
      AND (NOT EXISTS (
              SELECT FROM pg_policy AS p
              WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r')
                AND (me.oid = ANY (p.polroles) OR p.polroles = '{0}')
                AND pg_get_expr(p.polqual, p.polrelid) = 'true')
           OR EXISTS (
              SELECT FROM pg_policy AS p
              WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polcmd IN ('*', 'r')
                AND (me.oid = ANY (p.polroles) OR p.polroles = '{0}')))
    ORDER BY c.relname
""")


def demand_full_view(session: Session) -> None:
    """Make sure that row-level security hides no row from this login.

    Raises
    ------
    KeepingError
        If it could: a backup would then lack rows without anybody noticing.
    """
    found = list(session.scalars(_HALF_SEEN))
    if found:
        raise KeepingError(
            "Row-level security may hide rows of these tables from the owner's login, so a backup "
            f"would not be whole: {', '.join(found)}. Each needs its policy `owner`."
        )


def tables(session: Session) -> list[str]:
    """Return the names of all tables of the schema, those of extensions left out."""
    return list(session.scalars(_TABLES))


def rows(session: Session, left_out: tuple[str, ...] = LEFT_OUT) -> dict[str, int]:
    """Count the rows of each table, save those that are left out."""
    return {
        name: session.execute(select(func.count()).select_from(table(name))).scalar_one()
        for name in tables(session)
        if name not in left_out
    }


def logs(session: Session) -> dict[str, list[Any]]:
    """Return number and hash of the last row of each city's log; 0 is the installation's."""
    heads = session.execute(text("SELECT city_id, n, hash FROM audit_head ORDER BY city_id"))
    return {str(row.city_id): [row.n, bytes(row.hash).hex()] for row in heads}


def slugs(session: Session) -> list[str]:
    """Return the short names of all cities; works on any revision of the schema."""
    slug = column("slug", Text)
    return list(session.scalars(select(slug).select_from(table("city")).order_by(slug)))


def own_slugs(session: Session) -> list[str]:
    """Return the short names of the cities that are not made up; works on any revision."""
    slug, demo = column("slug", Text), column("demo", Boolean)
    return list(session.scalars(select(slug).select_from(table("city")).where(~demo)))


def checked_cities(
    session: Session,
    days: dict[str, str] | None = None,
    told: Callable[[str], None] = lambda slug: None,
) -> dict[str, dict[str, Any]]:
    """Let the validator look at each city; return a short form of what it says.

    A city that it cannot finish with is told of as one with faults: that must not stop a backup.

    Parameters
    ----------
    days : dict of str to str, optional
        The day (ISO) on which each city is looked at; default: today in its zone.
    told : callable
        Called with the name of the city that comes next.
    """
    found: dict[str, dict[str, Any]] = {}
    for city in session.scalars(select(City).order_by(City.slug)).all():
        told(city.slug)
        day = date.fromisoformat(days[city.slug]) if days and city.slug in days else None
        day = day or datetime.now(ZoneInfo(city.timezone)).date()
        found[city.slug] = _checked(session, city.slug, day)
    return found


def _checked(session: Session, slug: str, day: date) -> dict[str, Any]:
    """Return a short form of the validator's report, or why it could not finish."""
    try:
        with session.begin_nested():
            report = service.check_city(session, slug, day=day)
    except (SQLAlchemyError, WanggeError) as error:
        words = str(error).partition("\n")[0]
        return {"ok": False, "day": day.isoformat(), "counts": {"unchecked": 1}, "failed": words}
    return {
        "ok": report["ok"],
        "day": day.isoformat(),
        "figures": report["figures"],
        "counts": report["counts"],
        "exceptions": len(report["exceptions"]),
    }


def differences(expected: dict[str, Any], found: dict[str, Any], where: str = "") -> list[str]:
    """Return one line for each value of `expected` that is another one in `found`.

    Values that `found` has beyond that do not count: a later version may look at more.

    Examples
    --------
    >>> differences({"cells": 3, "net_1": {"grids": 2}}, {"cells": 3, "net_1": {"grids": 1}})
    ['net_1 grids: 2 in the backup, 1 now']
    """
    lines: list[str] = []
    for name, value in expected.items():
        place = f"{where} {name}".strip()
        now = found.get(name)
        if isinstance(value, dict) and isinstance(now, dict):
            lines += differences(value, now, place)
        elif not _alike(value, now):
            lines.append(f"{place}: {value} in the backup, {now} now")
    return lines


def _alike(value: Any, other: Any) -> bool:
    if isinstance(value, float) and isinstance(other, (int, float)):
        return math.isclose(value, other, rel_tol=1e-9)
    return bool(value == other)
