"""Fill what lists and maps need at once: sums of each grid, squares of density; the owner's work.

All of it follows from cells, runs, cell values and buildings. It is made again when a city is
loaded, a net is published, or buildings or cell values change; nothing else writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from geo.density import LEAST_HOUSEHOLDS, SQUARE_SIDES_M
from geo.publishing import Difference
from geo.store import estates, limits, packing
from geo.tables import Base, DensitySquare, HouseholdPlace, IssueSquare, NetCount, NetValue

SQUARE_SIZES_M: Final = (125, 250, 500, 1000, 2000)
"""Sides of the squares of density."""
MADE: Final = (
    "net_count", "net_value", "net_limit", "net_compound", "density_square", "household_place",
    "issue_month", "issue_square", "issue_stale", "issue_year",
)  # fmt: skip
"""Tables that are made here."""

_COUNTED = """
    SELECT f.city_id, f.seq, a.grid_id, sum(f.cells)::integer AS cells,
           sum(f.buildings)::integer AS buildings
    FROM (
        SELECT c.city_id, n.seq, c.grid_id, count(*) AS cells,
               sum(coalesce(b.buildings, 0)) AS buildings
        FROM net AS n
        JOIN net_cell AS c
          ON c.city_id = n.city_id AND c.from_seq <= n.seq AND c.to_seq > n.seq
        LEFT JOIN (
            SELECT city_id, cell_id, count(*) AS buildings
            FROM building WHERE city_id = :city GROUP BY city_id, cell_id
        ) AS b ON b.city_id = c.city_id AND b.cell_id = c.cell_id
        WHERE n.city_id = :city AND (CAST(:seq AS integer) IS NULL OR n.seq = :seq)
        GROUP BY c.city_id, n.seq, c.grid_id
    ) AS f
    JOIN net_grid AS g
      ON g.city_id = f.city_id AND g.grid_id = f.grid_id AND g.from_seq <= f.seq
     AND g.to_seq > f.seq
    CROSS JOIN LATERAL unnest(
        ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]) AS a (grid_id)
    WHERE a.grid_id IS NOT NULL
    GROUP BY f.city_id, f.seq, a.grid_id
"""

_SUMS = """
        SELECT f.city_id, f.seq, f.vintage, f.measure, a.grid_id,
               round(sum(f.value)::numeric, 1)::float8 AS value
        FROM (
            SELECT n.city_id, n.seq, v.vintage, v.measure, c.grid_id, sum(v.value) AS value
            FROM net AS n
            JOIN net_cell AS c
              ON c.city_id = n.city_id AND c.from_seq <= n.seq AND c.to_seq > n.seq
            JOIN cell_value AS v ON v.city_id = c.city_id AND v.cell_id = c.cell_id
            WHERE n.city_id = :city AND (CAST(:seq AS integer) IS NULL OR n.seq = :seq)
            GROUP BY n.city_id, n.seq, v.vintage, v.measure, c.grid_id
        ) AS f
        JOIN net_grid AS g
          ON g.city_id = f.city_id AND g.grid_id = f.grid_id AND g.from_seq <= f.seq
         AND g.to_seq > f.seq
        CROSS JOIN LATERAL unnest(
            ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]) AS a (grid_id)
        WHERE a.grid_id IS NOT NULL
        GROUP BY f.city_id, f.seq, f.vintage, f.measure, a.grid_id
"""
_TOLD = """
    ), placed AS (
        SELECT s.*, coalesce(g.parent_id, 0) AS parent_id,
               ARRAY[0, g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6] AS line
        FROM summed AS s
        JOIN net_grid AS g
          ON g.city_id = s.city_id AND g.grid_id = s.grid_id AND g.from_seq <= s.seq
         AND g.to_seq > s.seq
    ), few AS (
        SELECT DISTINCT seq, vintage, parent_id FROM placed
        WHERE measure = 'households' AND value > 0 AND value < :least
    ), hidden AS (
        SELECT DISTINCT p.seq, p.vintage, p.grid_id
        FROM placed AS p
        CROSS JOIN LATERAL unnest(p.line) AS u (grid_id)
        JOIN few AS f
          ON f.seq = p.seq AND f.vintage = p.vintage AND f.parent_id = u.grid_id
        WHERE p.measure = 'households' AND u.grid_id <> p.grid_id
    )
    SELECT p.city_id, p.seq, p.vintage, p.measure, p.grid_id, p.value, h.grid_id IS NULL AS told
    FROM placed AS p
    LEFT JOIN hidden AS h
      ON p.measure = 'households' AND h.seq = p.seq AND h.vintage = p.vintage
     AND h.grid_id = p.grid_id
"""
"""A count of few households is told to nobody else than staff, and neither are those of the grids
beside it and below them, since it could be found as a difference; the parent's sum is told."""

_SUMMED = "WITH summed AS (" + _SUMS + _TOLD

_KEPT = """
    SELECT k.city_id, CAST(:seq AS integer) AS seq, {columns} FROM {table} AS k
    WHERE k.city_id = :city AND k.seq = :like AND k.grid_id <> ALL (:redrawn) AND EXISTS (
        SELECT FROM net_grid AS g WHERE g.city_id = k.city_id AND g.grid_id = k.grid_id
            AND g.from_seq <= :seq AND :seq < g.to_seq)
"""
"""Rows of the net before, of grids that are the same ground on both."""
_COUNTED_AFTER = (
    _KEPT.format(table="net_count", columns="k.grid_id, k.cells, k.buildings")  # noqa: S608 (constants)
    + """
    UNION ALL
    SELECT CAST(:city AS smallint), CAST(:seq AS integer), a.grid_id, sum(f.cells)::integer,
           sum(f.buildings)::integer
    FROM (
        SELECT c.grid_id, count(DISTINCT c.cell_id) AS cells, count(b.building_id) AS buildings
        FROM net_cell AS c
        LEFT JOIN building AS b ON b.city_id = c.city_id AND b.cell_id = c.cell_id
        WHERE c.city_id = :city AND c.grid_id = ANY (:leaves) AND c.from_seq <= :seq
          AND c.to_seq > :seq
        GROUP BY c.grid_id
    ) AS f
    JOIN net_grid AS g ON g.city_id = :city AND g.grid_id = f.grid_id AND g.from_seq <= :seq
     AND g.to_seq > :seq
    CROSS JOIN LATERAL unnest(
        ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]) AS a (grid_id)
    WHERE a.grid_id = ANY (:redrawn)
    GROUP BY a.grid_id
"""
)
_SUMMED_AFTER = (
    "WITH summed AS ("  # noqa: S608 (constants)
    + _KEPT.format(table="net_value", columns="k.vintage, k.measure, k.grid_id, k.value")
    + """
        UNION ALL
        SELECT CAST(:city AS smallint), CAST(:seq AS integer), f.vintage, f.measure, a.grid_id,
               round(sum(f.value)::numeric, 1)::float8
        FROM (
            SELECT v.vintage, v.measure, c.grid_id, sum(v.value) AS value
            FROM net_cell AS c
            JOIN cell_value AS v ON v.city_id = c.city_id AND v.cell_id = c.cell_id
            WHERE c.city_id = :city AND c.grid_id = ANY (:leaves) AND c.from_seq <= :seq
              AND c.to_seq > :seq
            GROUP BY v.vintage, v.measure, c.grid_id
        ) AS f
        JOIN net_grid AS g ON g.city_id = :city AND g.grid_id = f.grid_id AND g.from_seq <= :seq
         AND g.to_seq > :seq
        CROSS JOIN LATERAL unnest(
            ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]) AS a (grid_id)
        WHERE a.grid_id = ANY (:redrawn)
        GROUP BY f.vintage, f.measure, a.grid_id
"""
    + _TOLD
)

_SQUARED = """
    SELECT s.city_id, s.size_m, s.x, s.y, s.buildings,
           ST_Transform(ST_MakeEnvelope(s.x * s.size_m, s.y * s.size_m,
                                        (s.x + 1) * s.size_m, (s.y + 1) * s.size_m,
                                        CAST(:srid AS integer)), 4326)
    FROM (
        SELECT b.city_id, z.size_m, floor(ST_X(b.place) / z.size_m)::integer AS x,
               floor(ST_Y(b.place) / z.size_m)::integer AS y, count(*) AS buildings
        FROM (
            SELECT city_id,
                   ST_Transform(ST_PointOnSurface(footprint), CAST(:srid AS integer)) AS place
            FROM building WHERE city_id = :city
        ) AS b
        CROSS JOIN unnest(CAST(:sizes AS integer[])) AS z (size_m)
        GROUP BY 1, 2, 3, 4
    ) AS s
"""

_PLACED = """
    INSERT INTO household_place (city_id, cell_id, x, y)
    SELECT c.city_id, c.cell_id, ST_X(p.place), ST_Y(p.place)
    FROM cell AS c
    LEFT JOIN (
        SELECT city_id, cell_id,
               sum(ST_X(ST_Centroid(footprint)) * households) / sum(households) AS lon,
               sum(ST_Y(ST_Centroid(footprint)) * households) / sum(households) AS lat
        FROM building WHERE city_id = :city AND households > 0
        GROUP BY city_id, cell_id
    ) AS b ON b.city_id = c.city_id AND b.cell_id = c.cell_id
    CROSS JOIN LATERAL (
        SELECT ST_Transform(coalesce(ST_SetSRID(ST_MakePoint(b.lon, b.lat), 4326),
                                     ST_PointOnSurface(c.geom)),
                            CAST(:srid AS integer)) AS place
    ) AS p
    WHERE c.city_id = :city AND c.retired_by_cut IS NULL AND EXISTS (
        SELECT FROM cell_value AS v WHERE v.city_id = c.city_id AND v.cell_id = c.cell_id
            AND v.measure = 'households' AND v.value > 0)
        AND (CAST(:cells AS bigint[]) IS NULL OR c.cell_id = ANY (:cells))
"""

_GATHERED = """
    INSERT INTO issue_square (city_id, month, category, set_aside, x, y, issues)
    SELECT i.city_id, date_trunc('month', i.reported_at AT TIME ZONE t.timezone)::date,
           coalesce(k.parent, k.category), coalesce(i.set_aside, ''),
           floor(ST_X(p.place) / :side)::integer, floor(ST_Y(p.place) / :side)::integer, count(*)
    FROM issue AS i
    JOIN city AS t ON t.city_id = i.city_id
    JOIN category AS k ON k.city_id = i.city_id AND k.category = i.category
    CROSS JOIN LATERAL (SELECT ST_Transform(i.geom, CAST(:srid AS integer)) AS place) AS p
    WHERE i.city_id = :city
    GROUP BY 1, 2, 3, 4, 5, 6
"""

_INSERT_COUNTS = text("INSERT INTO net_count (city_id, seq, grid_id, cells, buildings)" + _COUNTED)
_INSERT_VALUES = text(
    "INSERT INTO net_value (city_id, seq, vintage, measure, grid_id, value, told)" + _SUMMED
)
_INSERT_AFTER = (
    text("INSERT INTO net_count (city_id, seq, grid_id, cells, buildings)" + _COUNTED_AFTER),
    text(
        "INSERT INTO net_value (city_id, seq, vintage, measure, grid_id, value, told)"
        + _SUMMED_AFTER
    ),
)
_INSERT_SQUARES = text(
    "INSERT INTO density_square (city_id, size_m, x, y, buildings, geom)" + _SQUARED
)


def refresh(session: Session, city: int, metre_srid: int) -> None:
    """Make all of it again for a city; EPSG `metre_srid` is its metre CRS."""
    refresh_squares(session, city, metre_srid)
    refresh_places(session, city, metre_srid)
    refresh_net(session, city, metre_srid)
    refresh_issue_squares(session, city, metre_srid)
    packing.pack(session, city)
    session.execute(text(f"ANALYZE {', '.join(MADE)}"))


def refresh_net(session: Session, city: int, metre_srid: int, seq: int | None = None) -> None:
    """Make again what is kept of a net, or of all nets: sums, limits in words, compounds."""
    refresh_figures(session, city, seq)
    limits.refresh(session, city, metre_srid, seq)
    estates.refresh(session, city, metre_srid, seq)


def follow_net(
    session: Session, city: int, metre_srid: int, seq: int, like: int, change: Difference
) -> None:
    """Make what is kept of a new net: taken over from the net before where nothing changed.

    Parameters
    ----------
    like : int
        The net before, of which all of it is kept.
    change : Difference
        What the new net is otherwise.
    """
    known: dict[str, object] = {
        "city": city, "seq": seq, "like": like, "redrawn": change.redrawn,
        "least": LEAST_HOUSEHOLDS,
    }  # fmt: skip
    within = change.paths.isin(set(change.redrawn)).any(axis=1)
    known["leaves"] = [int(grid) for grid in change.paths.index[within]]
    for statement in _INSERT_AFTER:
        session.execute(statement, known)
    limits.follow(session, city, metre_srid, seq, like, change.written)
    estates.follow(session, city, metre_srid, seq, like, change.redrawn)


def clear(session: Session, city: int) -> None:
    """Delete all of it for a city whose nets or cells are about to go; `refresh` makes it again."""
    for name in MADE:
        table = Base.metadata.tables[name]
        session.execute(delete(table).where(table.c.city_id == city))


def refresh_figures(session: Session, city: int, seq: int | None = None) -> None:
    """Sum over the grids of a net, or of all nets of a city, again."""
    for table, fill in ((NetCount, _INSERT_COUNTS), (NetValue, _INSERT_VALUES)):
        own = delete(table).where(table.city_id == city)
        session.execute(own if seq is None else own.where(table.seq == seq))
        session.execute(fill, {"city": city, "seq": seq, "least": LEAST_HOUSEHOLDS})


def refresh_squares(session: Session, city: int, metre_srid: int) -> None:
    """Count the buildings in all squares of a city again, in the metre CRS of EPSG `metre_srid`."""
    session.execute(delete(DensitySquare).where(DensitySquare.city_id == city))
    asked = {"city": city, "srid": metre_srid, "sizes": list(SQUARE_SIZES_M)}
    session.execute(_INSERT_SQUARES, asked)


def refresh_places(
    session: Session, city: int, metre_srid: int, cells: Sequence[int] | None = None
) -> None:
    """Say again where the households of each cell stand: at their buildings, else in the cell.

    Of all cells, or of some of them.
    """
    own = delete(HouseholdPlace).where(HouseholdPlace.city_id == city)
    session.execute(own if cells is None else own.where(HouseholdPlace.cell_id.in_(cells)))
    asked = {"city": city, "srid": metre_srid, "cells": None if cells is None else list(cells)}
    session.execute(text(_PLACED), asked)


def refresh_issue_squares(session: Session, city: int, metre_srid: int) -> None:
    """Count the issues of each month, main category and smallest square again."""
    session.execute(delete(IssueSquare).where(IssueSquare.city_id == city))
    asked = {"city": city, "srid": metre_srid, "side": SQUARE_SIDES_M[0]}
    session.execute(text(_GATHERED), asked)


def stale(session: Session, city: int) -> list[tuple[str, int, int]]:
    """Return (table, seq, grid) of figures that no longer follow from the cells; empty is right."""
    asked = {"city": city, "seq": None, "least": LEAST_HOUSEHOLDS}
    found: set[tuple[str, int, int]] = set()
    for table, reckon in ((NetCount, _COUNTED), (NetValue, _SUMMED)):
        stored = session.execute(select(table.__table__).where(table.city_id == city))
        reckoned = session.execute(text(reckon), asked)
        differ = {tuple(row) for row in stored} ^ {tuple(row) for row in reckoned}
        place = list(table.__table__.columns.keys()).index("grid_id")
        found |= {(table.__tablename__, row[1], row[place]) for row in differ}
    return sorted(found)
