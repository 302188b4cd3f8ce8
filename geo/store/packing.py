"""Issues of each month and of each year counted by cell, packed into few rows; the owner's work.

A trigger marks a month whose issues change. Whoever reads counts marked months row by row, so that
packing them again is never urgent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from geo.db import owner_transaction
from geo.tables import IssueYear

_COUNTED: Final = """
    SELECT i.city_id, date_trunc('month', i.reported_at AT TIME ZONE c.timezone)::date AS month,
        i.category, coalesce(i.set_aside, '') AS set_aside, i.cell_id, count(*)::integer AS issues
    FROM issue AS i JOIN city AS c ON c.city_id = i.city_id
    WHERE i.city_id = :city AND (CAST(:months AS date[]) IS NULL OR
        date_trunc('month', i.reported_at AT TIME ZONE c.timezone)::date = ANY (:months))
    GROUP BY 1, 2, 3, 4, 5
"""
_MARKS = text("""
    DELETE FROM issue_stale WHERE city_id = :city RETURNING month
""")
_MARKS_OF = text("DELETE FROM issue_stale WHERE city_id = :city AND month = ANY (:months)")
_UNPACK = text("""
    DELETE FROM issue_month
    WHERE city_id = :city AND (CAST(:months AS date[]) IS NULL OR month = ANY (:months))
""")
_CITIES = text("SELECT DISTINCT city_id FROM issue_stale ORDER BY 1")
_PACK = text(
    """
    INSERT INTO issue_month (city_id, month, category, set_aside, cells, issues, total)
    SELECT n.city_id, n.month, n.category, n.set_aside,
        string_agg(int8send(n.cell_id), ''::bytea ORDER BY n.cell_id),
        string_agg(int4send(n.issues), ''::bytea ORDER BY n.cell_id), sum(n.issues)::integer
    FROM ("""  # noqa: S608 (a constant)
    + _COUNTED
    + ") AS n GROUP BY 1, 2, 3, 4"
)


_FORGET = text("""
    DELETE FROM issue_year WHERE city_id = :city
        AND (CAST(:years AS smallint[]) IS NULL OR year = ANY (:years))
""")
_MONTHS = text("""
    SELECT extract(year FROM month)::integer AS year, cells, issues FROM issue_month
    WHERE city_id = :city AND set_aside = '' AND (CAST(:years AS smallint[]) IS NULL
        OR extract(year FROM month)::integer = ANY (:years))
""")


def pack(session: Session, city: int, months: Collection[date] | None = None) -> None:
    """Count the issues of months by cell again, of all months by default; for the owner."""
    session.execute(_MARKS if months is None else _MARKS_OF, _asked(city, months))
    _packed(session, city, months)


def pack_stale(session: Session, city: int) -> list[date]:
    """Count the months again whose issues changed; return them. For the owner.

    What a transaction still running has changed is not seen, and neither is its mark: it stays.
    """
    months = sorted({row[0] for row in session.execute(_MARKS, {"city": city})})
    if months:
        _packed(session, city, months)
    return months


def _packed(session: Session, city: int, months: Collection[date] | None) -> None:
    """Count months again, and then the years that they belong to."""
    session.execute(_UNPACK, _asked(city, months))
    session.execute(_PACK, _asked(city, months))
    years = None if months is None else sorted({month.year for month in months})
    asked = {"city": city, "years": years}
    session.execute(_FORGET, asked)
    parts: dict[int, list[tuple[bytes, bytes]]] = {}
    for year, cells, issues in session.execute(_MONTHS, asked):
        parts.setdefault(year, []).append((bytes(cells), bytes(issues)))
    for year, found in sorted(parts.items()):
        cells, place = np.unique(numbers(one for one, _ in found), return_inverse=True)
        issues = np.bincount(place, weights=counts(one for _, one in found))
        session.add(
            IssueYear(
                city_id=city, year=year, cells=cells.astype(">i8").tobytes(),
                issues=np.rint(issues).astype(">i4").tobytes(),
            )
        )  # fmt: skip
    session.flush()


def numbers(packed: Iterable[bytes]) -> NDArray[np.int64]:
    """Return the cells of packed rows, one after the other."""
    return np.frombuffer(b"".join(packed), ">i8").astype(np.int64)


def counts(packed: Iterable[bytes]) -> NDArray[np.int64]:
    """Return how many issues packed rows have in each of their cells."""
    return np.frombuffer(b"".join(packed), ">i4").astype(np.int64)


def pack_all(engine: Engine) -> dict[int, list[date]]:
    """Count the marked months of all cities again, each city in a transaction of its own."""
    with owner_transaction(engine) as session:
        cities = session.scalars(_CITIES).all()
    packed = {}
    for city in cities:
        with owner_transaction(engine) as session:
            packed[int(city)] = pack_stale(session, city)
    return packed


def _asked(city: int, months: Collection[date] | None) -> dict[str, Any]:
    return {"city": city, "months": None if months is None else list(months)}
