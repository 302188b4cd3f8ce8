"""How compounds and grids lie to each other on a net: reckoned from cells, kept by net."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from geo.tables import NetCompound

NEARLY: Final = 0.95
"""From this share of the households on, one lies in the other."""
RELATIONS: Final = ("larger", "equal", "smaller", "crossing")
"""The compound is larger than the grids in it, is a grid, is a part of one, or crosses borders."""

_SHARED: Final = text(
    """
    WITH counted AS (
        SELECT vintage FROM vintage WHERE city_id = :city AND NOT seasonal
        ORDER BY taken_on DESC, vintage DESC LIMIT 1
    ), grid_level AS (
        SELECT coalesce(min(level) FILTER (WHERE code = 'grid'), max(level)) AS level
        FROM level WHERE city_id = :city
    ), inside AS MATERIALIZED (
        SELECT m.compound_id, c.cell_id, coalesce(v.value, 0) AS households
        FROM compound AS m
        CROSS JOIN LATERAL (
            SELECT x.cell_id, x.geom FROM cell AS x
            WHERE x.city_id = m.city_id AND x.retired_by_cut IS NULL AND x.geom && m.geom
        ) AS c
        LEFT JOIN household_place AS p ON p.city_id = m.city_id AND p.cell_id = c.cell_id
        LEFT JOIN cell_value AS v ON v.city_id = m.city_id AND v.cell_id = c.cell_id
          AND v.measure = 'households' AND v.vintage = (SELECT vintage FROM counted)
        WHERE m.city_id = :city AND ST_Intersects(m.geom, coalesce(
            ST_Transform(ST_SetSRID(ST_MakePoint(p.x, p.y), CAST(:srid AS integer)), 4326),
            ST_PointOnSurface(c.geom)))
    ), part AS (
        SELECT n.seq, i.compound_id, a.grid_id, count(*)::integer AS cells,
               sum(i.households) AS households
        FROM inside AS i
        CROSS JOIN net AS n
        JOIN net_cell AS c ON c.city_id = n.city_id AND c.cell_id = i.cell_id
          AND c.from_seq <= n.seq AND c.to_seq > n.seq
        JOIN net_grid AS g ON g.city_id = n.city_id AND g.grid_id = c.grid_id
          AND g.from_seq <= n.seq AND g.to_seq > n.seq
        CROSS JOIN LATERAL (
            SELECT coalesce((ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6])[
                (SELECT level FROM grid_level)], c.grid_id) AS grid_id
        ) AS a
        WHERE n.city_id = :city AND (CAST(:seq AS integer) IS NULL OR n.seq = :seq)
        GROUP BY n.seq, i.compound_id, a.grid_id
    ), whole AS (
        SELECT seq, compound_id, sum(cells) AS cells, sum(households) AS households
        FROM part GROUP BY seq, compound_id
    )
    INSERT INTO net_compound (city_id, seq, compound_id, grid_id, cells, households,
                              share_of_compound, share_of_grid)
    SELECT :city, p.seq, p.compound_id, p.grid_id, p.cells, p.households,
           CASE WHEN w.households > 0 THEN p.households / w.households
                ELSE p.cells / w.cells::float8 END,
           CASE WHEN w.households > 0 THEN p.households / nullif(v.value, 0)
                ELSE p.cells / k.cells::float8 END
    FROM part AS p
    JOIN whole AS w ON w.seq = p.seq AND w.compound_id = p.compound_id
    JOIN net_count AS k ON k.city_id = :city AND k.seq = p.seq AND k.grid_id = p.grid_id
    LEFT JOIN net_value AS v ON v.city_id = :city AND v.seq = p.seq AND v.grid_id = p.grid_id
      AND v.measure = 'households' AND v.vintage = (SELECT vintage FROM counted)
    WHERE w.households = 0 OR p.households > 0
    """
)

RELATION_SQL: Final = """
    SELECT s.compound_id,
           CASE WHEN max(s.share_of_compound) >= :nearly
                THEN CASE WHEN (array_agg(s.share_of_grid ORDER BY s.share_of_compound DESC,
                                          s.grid_id))[1] >= :nearly
                          THEN 'equal' ELSE 'smaller' END
                WHEN sum(s.share_of_compound) FILTER (WHERE s.share_of_grid >= :nearly) >= :nearly
                THEN 'larger' ELSE 'crossing' END AS relation,
           count(*) AS grids, sum(s.households) AS households,
           (array_agg(s.grid_id ORDER BY s.share_of_compound DESC, s.grid_id))[1] AS grid
    FROM net_compound AS s
    WHERE s.city_id = :city AND s.seq = :seq
    GROUP BY s.compound_id
"""
"""One row for each compound of a net: relation, number of grids, households, the main grid."""


def refresh(session: Session, city: int, metre_srid: int, seq: int | None = None) -> None:
    """Reckon again what compounds and grids have in common, on a net or on all of a city's.

    A cell belongs to a compound when its households stand in it: those of a cell stand at its
    buildings. It rests on the sums of the net's grids, and on where households stand.
    """
    own = delete(NetCompound).where(NetCompound.city_id == city)
    session.execute(own if seq is None else own.where(NetCompound.seq == seq))
    asked: dict[str, Any] = {"city": city, "srid": metre_srid, "seq": seq}
    session.execute(_SHARED, asked)
