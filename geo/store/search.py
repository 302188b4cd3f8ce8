"""One search over names and codes: grids, compounds, streets, stations, buildings."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.store.nets import Moment
from geo.store.shapes import has_case, quoted

_STATEMENT: Final = """
    WITH grid_found AS (
        SELECT 'grid' AS type, 0 AS place, g.grid_id AS id, g.name, g.code,
               (SELECT string_agg(a.name, ' / ' ORDER BY a.level)
                FROM net_grid AS a
                WHERE a.city_id = g.city_id AND a.from_seq <= :seq AND a.to_seq > :seq
                  AND a.grid_id <> g.grid_id
                  AND a.grid_id IN (g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6)
               ) AS detail,
               CASE WHEN g.name ILIKE :whole OR g.code = :q THEN 0
                    WHEN g.name ILIKE :begins OR g.code LIKE :begins THEN 1 ELSE 2 END AS fit,
               g.level AS weight, g.label_point AS point, g.boundary::box2d AS extent
        FROM net_grid AS g
        WHERE g.city_id = :city AND g.from_seq <= :seq AND g.to_seq > :seq
          AND (g.name ILIKE :contains OR g.code LIKE :begins)
        ORDER BY fit, weight, length(g.name), id LIMIT :limit
    ), compound_found AS (
        SELECT 'compound', 1, c.compound_id, c.name, NULL, NULL,
               CASE WHEN c.name ILIKE :whole THEN 0
                    WHEN c.name ILIKE :begins THEN 1 ELSE 2 END AS fit,
               0, ST_PointOnSurface(c.geom), c.geom::box2d
        FROM compound AS c
        WHERE c.city_id = :city AND c.name ILIKE :contains
        ORDER BY fit, length(c.name), c.compound_id LIMIT :limit
    ), street_found AS (
        SELECT 'street', 2, min(s.street_id), s.name, NULL, NULL,
               CASE WHEN s.name ILIKE :whole THEN 0
                    WHEN s.name ILIKE :begins THEN 1 ELSE 2 END AS fit,
               0, ST_LineInterpolatePoint((array_agg(s.geom ORDER BY s.length_m DESC))[1], 0.5),
               ST_Extent(s.geom)
        FROM street AS s
        WHERE s.city_id = :city AND s.name ILIKE :contains
        GROUP BY s.name ORDER BY fit, length(s.name), s.name LIMIT :limit
    ), station_found AS (
        SELECT 'station', 3, s.station_id, s.name, NULL, s.address,
               CASE WHEN s.name ILIKE :whole THEN 0
                    WHEN s.name ILIKE :begins THEN 1 ELSE 2 END AS fit,
               0, s.geom, s.geom::box2d
        FROM station AS s
        WHERE s.city_id = :city AND (s.name ILIKE :contains OR s.address ILIKE :contains)
        ORDER BY fit, length(s.name), s.station_id LIMIT :limit
    ), building_found AS (
        SELECT 'building', 4, b.building_id, coalesce(b.name, b.code), b.code, g.name, b.fit,
               0, ST_PointOnSurface(b.footprint), b.footprint::box2d
        FROM (
            SELECT building_id, cell_id, name, code, footprint,
                   CASE WHEN name ILIKE :whole OR code = :q THEN 0
                        WHEN name ILIKE :begins OR code LIKE :begins THEN 1 ELSE 2 END AS fit
            FROM building
            WHERE city_id = :city AND (name ILIKE :contains OR code LIKE :begins)
            ORDER BY fit, length(coalesce(name, code)), building_id LIMIT :limit
        ) AS b
        LEFT JOIN net_cell AS c ON c.city_id = :city AND c.cell_id = b.cell_id
          AND c.from_seq <= :seq AND c.to_seq > :seq
        LEFT JOIN net_grid AS g ON g.city_id = :city AND g.grid_id = c.grid_id
          AND g.from_seq <= :seq AND g.to_seq > :seq
    ), found AS (
        SELECT * FROM grid_found UNION ALL SELECT * FROM compound_found
        UNION ALL SELECT * FROM street_found UNION ALL SELECT * FROM station_found
        UNION ALL SELECT * FROM building_found
    )
    SELECT type, id, name, code, detail, ST_X(point) AS lon, ST_Y(point) AS lat,
           ARRAY[ST_XMin(extent), ST_YMin(extent), ST_XMax(extent), ST_YMax(extent)] AS bbox
    FROM found
    ORDER BY fit, place, weight, length(name), id
    LIMIT :limit
"""
_WHATEVER_CASE = text(_STATEMENT)
_LITERALLY = text(_STATEMENT.replace("ILIKE", "LIKE"))
"""The same for texts without any letter that has a case, Chinese ones above all: much faster."""


def search(session: Session, at: Moment, wanted: str, *, limit: int = 20) -> list[dict[str, Any]]:
    """Return what is named like `wanted`: whole names first, then beginnings, then parts.

    Parameters
    ----------
    session : Session
    at : Moment
    wanted : str
        Taken literally, whatever the case; of codes the beginning.
    limit : int

    Returns
    -------
    list of dict
        type, id, name, code, detail (where it is), lon, lat, bbox in degrees. Edges of a street
        that share a name are one result.
    """
    literal = quoted(wanted)
    asked = {
        "city": at.city_id, "seq": at.seq, "q": wanted, "whole": literal, "begins": f"{literal}%",
        "contains": f"%{literal}%", "limit": limit,
    }  # fmt: skip
    statement = _WHATEVER_CASE if has_case(wanted) else _LITERALLY
    return [dict(row) for row in session.execute(statement, asked).mappings()]
