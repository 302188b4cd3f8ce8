"""Counts of households: those of cells follow from their buildings'."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from geo.importing.wishes import ESTIMATE, SEASON
from geo.store.nets import HOUSEHOLDS
from geo.tables import Vintage

_FOLLOW: Final = text(
    """
    INSERT INTO cell_value AS v (city_id, vintage, measure, cell_id, value)
    SELECT b.city_id, :vintage, :measure, b.cell_id, sum(b.households)
    FROM building AS b
    WHERE b.city_id = :city AND b.cell_id = ANY (:cells) AND b.households IS NOT NULL
    GROUP BY b.city_id, b.cell_id
    ON CONFLICT (city_id, vintage, measure, cell_id) DO UPDATE SET value = excluded.value
    WHERE v.value <> excluded.value
    """
)
_EMPTIED: Final = text(
    """
    UPDATE cell_value AS v SET value = 0
    WHERE v.city_id = :city AND v.vintage = :vintage AND v.measure = :measure
      AND v.cell_id = ANY (:cells) AND v.value <> 0 AND NOT EXISTS (
        SELECT FROM building AS b WHERE b.city_id = v.city_id AND b.cell_id = v.cell_id
            AND b.households IS NOT NULL)
    """
)
_SEASON: Final = text(
    """
    INSERT INTO cell_value AS v (city_id, vintage, measure, cell_id, value)
    SELECT :city, :vintage, :measure, c.cell_id, greatest(coalesce(b.value, 0) + c.more, 0)
    FROM unnest(CAST(:cells AS bigint[]), CAST(:more AS bigint[])) AS c (cell_id, more)
    LEFT JOIN cell_value AS b ON b.city_id = :city AND b.vintage = :base AND b.measure = :measure
        AND b.cell_id = c.cell_id
    ON CONFLICT (city_id, vintage, measure, cell_id) DO UPDATE SET value = excluded.value
    WHERE v.value <> excluded.value
    """
)
_CARRIED: Final = text(
    """
    INSERT INTO cell_value (city_id, vintage, measure, cell_id, value)
    SELECT city_id, :to, measure, cell_id, value FROM cell_value
    WHERE city_id = :city AND vintage = :vintage AND measure = :measure
    """
)


def base_vintage(session: Session, city_id: int) -> str | None:
    """Return the latest vintage that is not seasonal: the one that buildings agree with."""
    return session.scalar(
        select(Vintage.vintage)
        .where(Vintage.city_id == city_id, ~Vintage.seasonal)
        .order_by(Vintage.taken_on.desc())
        .limit(1)
    )


def demand_vintage(session: Session, city_id: int, wanted: str | None, year: int) -> str:
    """Return the count that buildings' households are of; a later one is begun when asked for.

    What the last count says of cells is carried over into a new one.
    """
    base = base_vintage(session, city_id)
    name = wanted or base or str(year)
    if base is not None and name <= base:
        return base
    session.execute(
        insert(Vintage).values(
            city_id=city_id,
            vintage=name,
            taken_on=text("make_date(CAST(:year AS integer), 1, 1)").bindparams(year=int(name[:4])),
            seasonal=False,
            estimated=False,
            name=name,
        )
    )
    if base is not None:
        asked = {"city": city_id, "vintage": base, "to": name, "measure": HOUSEHOLDS}
        session.execute(_CARRIED, asked)
    return name


def begin_season(session: Session, city_id: int, day: date) -> str:
    """Return the count of a season taken on a day; a new one begins as the count of the year."""
    name = f"{day.year}-{SEASON}"
    known = session.get(Vintage, (city_id, name))
    if known is None:
        _begin(session, city_id, name, day, seasonal=True)
    elif known.taken_on != day:
        known.taken_on = day
        session.flush()
    return name


def begin_estimate(session: Session, city_id: int, today: date) -> str:
    """Return the latest count where it is an estimate, else a new one that is marked as such.

    Estimates never go into a count: the new one has its figures and the estimates beside them.
    """
    base = base_vintage(session, city_id)
    if base is not None and session.get_one(Vintage, (city_id, base)).estimated:
        return base
    name = f"{today.year}-{ESTIMATE}" if base else str(today.year)
    _begin(session, city_id, name, today if base else date(today.year, 1, 1), estimated=True)
    return name


def _begin(
    session: Session,
    city_id: int,
    name: str,
    day: date,
    *,
    seasonal: bool = False,
    estimated: bool = False,
) -> None:
    base = base_vintage(session, city_id)
    session.add(
        Vintage(
            city_id=city_id, vintage=name, taken_on=day, seasonal=seasonal, estimated=estimated,
            name=name,
        )
    )  # fmt: skip
    session.flush()
    if base is not None:
        asked = {"city": city_id, "vintage": base, "to": name, "measure": HOUSEHOLDS}
        session.execute(_CARRIED, asked)


def count_season(
    session: Session, city_id: int, vintage: str, counts: Iterable[tuple[int, int, int]]
) -> None:
    """Write what a count of a season says of buildings; the other buildings keep their households.

    Parameters
    ----------
    counts : iterable of (int, int, int)
        Cell, households of a building as counted, and as they stand.
    """
    changed: dict[int, int] = {}
    for cell, counted, stands in counts:
        changed[cell] = changed.get(cell, 0) + counted - stands
    base = base_vintage(session, city_id)
    asked = {
        "city": city_id, "vintage": vintage, "base": base, "measure": HOUSEHOLDS,
        "cells": list(changed), "more": list(changed.values()),
    }  # fmt: skip
    session.execute(_SEASON, asked)


def settle(
    session: Session,
    city_id: int,
    vintage: str,
    cells: Iterable[int],
    emptied: Iterable[int] = (),
) -> None:
    """Make the counts of cells the sums of their buildings'.

    Parameters
    ----------
    cells : iterable of int
        Cells in which buildings came, went or changed.
    emptied : iterable of int
        Cells among them in which counted buildings stood before: without any now, they have none.
    """
    asked = {"city": city_id, "vintage": vintage, "measure": HOUSEHOLDS}
    session.execute(_FOLLOW, {**asked, "cells": sorted(set(cells))})
    gone = sorted(set(emptied))
    if gone:
        session.execute(_EMPTIED, {**asked, "cells": gone})
