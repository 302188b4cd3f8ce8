"""The place of an issue as a small drawing for paper: grid, compounds, buildings, streets, water.

PostGIS writes the paths in metres around the place, x to the east and y to the south, so that a
page needs no map, no script and nobody else's tiles.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.store.nets import Moment

HALF_WIDTH_M: Final = 186
HALF_HEIGHT_M: Final = 80
"""What is drawn around the place: at 1:2,000 it is as wide as the text of a sheet of A4."""
MOST_SHAPES: Final = 1_500
NAMES: Final = {"building": 14, "street": 6, "compound": 4, "grid": 4}
"""How many names of each kind are written, the nearest first."""
LAYERS: Final = ("compound", "water", "street", "railway", "wall", "building", "grid")
"""What is drawn, the lowest first."""
_DRAWN: Final = text(
    """
    WITH here AS (
        SELECT ST_Transform(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), CAST(:srid AS int)) AS p
    ), frame AS MATERIALIZED (
        SELECT p, ST_Expand(p, :half_width, :half_height) AS metres,
               ST_Transform(ST_Expand(p, :half_width, :half_height), 4326) AS degrees
        FROM here
    ), found AS (
        SELECT 'building' AS layer, b.use AS kind, b.name, b.footprint AS geom
        FROM frame AS f, building AS b
        WHERE b.city_id = :city AND b.footprint && f.degrees
        UNION ALL
        SELECT 'street', s.kind, s.name, s.geom FROM frame AS f, street AS s
        WHERE s.city_id = :city AND s.geom && f.degrees
        UNION ALL
        SELECT CASE WHEN b.kind IN ('river', 'water') THEN 'water' ELSE b.kind END, b.kind, NULL,
               b.geom
        FROM frame AS f, barrier AS b
        WHERE b.city_id = :city AND b.geom && f.degrees
        UNION ALL
        SELECT 'compound', NULL, c.name, c.geom FROM frame AS f, compound AS c
        WHERE c.city_id = :city AND c.geom && f.degrees
        UNION ALL
        SELECT 'grid', CASE WHEN g.grid_id = :grid THEN 'own' ELSE 'other' END, g.name, g.boundary
        FROM frame AS f, net_grid AS g
        WHERE g.city_id = :city AND g.from_seq <= :seq AND g.to_seq > :seq
          AND g.level = (SELECT level FROM net_grid AS o
                         WHERE o.city_id = :city AND o.grid_id = :grid
                           AND o.from_seq <= :seq AND o.to_seq > :seq)
          AND g.boundary && f.degrees
    ), cut AS (
        SELECT layer, kind, name, p,
               ST_Intersection(ST_MakeValid(ST_Transform(geom, CAST(:srid AS int))), metres) AS geom
        FROM found, frame
    )
    SELECT layer, kind, name,
           ST_AsSVG(ST_Translate(geom, -ST_X(p), -ST_Y(p)), 0, 1) AS path,
           ST_X(ST_PointOnSurface(geom)) - ST_X(p) AS x,
           ST_Y(p) - ST_Y(ST_PointOnSurface(geom)) AS y
    FROM cut WHERE NOT ST_IsEmpty(geom) AND ST_Dimension(geom) > 0
    ORDER BY ST_Distance(geom, p), layer LIMIT :most
    """
)


def drawing(session: Session, at: Moment, lon: float, lat: float, grid: int) -> dict[str, Any]:
    """Return what stands around a place, to be drawn as SVG in metres.

    Parameters
    ----------
    session : Session
    at : Moment
    lon, lat : float
        Degrees; the place is the origin of the drawing.
    grid : int
        The one that owns the place: its border is `own`, those of its neighbours `other`.

    Returns
    -------
    dict
        `half_width`, `half_height` (metres), `shapes` (`layer`, `kind`, `path`) the lowest first,
        `names` (`layer`, `name`, `x`, `y`).
    """
    rows = session.execute(
        _DRAWN,
        {
            "lon": lon, "lat": lat, "srid": at.metre_srid, "city": at.city_id, "seq": at.seq,
            "grid": grid, "half_width": HALF_WIDTH_M, "half_height": HALF_HEIGHT_M,
            "most": MOST_SHAPES,
        },
    ).mappings()  # fmt: skip
    found = [dict(row) for row in rows]
    return {
        "half_width": HALF_WIDTH_M,
        "half_height": HALF_HEIGHT_M,
        "shapes": sorted(found, key=lambda row: (LAYERS.index(row["layer"]), row["kind"] == "own")),
        "names": _names(found),
    }


def _names(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the names to be written: each once, none in another's way, the nearest first."""
    told: list[dict[str, Any]] = []
    left = dict(NAMES)
    for row in found:
        name = row["name"]
        if not name or not left.get(row["layer"]) or name in {one["name"] for one in told}:
            continue
        half = 2.6 * len(name)
        x = min(max(row["x"], half - HALF_WIDTH_M), HALF_WIDTH_M - half)
        y = min(max(row["y"], 8 - HALF_HEIGHT_M), HALF_HEIGHT_M - 8)
        one = {"layer": row["layer"], "name": name, "x": round(x, 1), "y": round(y, 1)}
        if (abs(x) < half + 5 and abs(y) < 10) or any(_clash(one, other) for other in told):
            continue
        told.append(one)
        left[row["layer"]] -= 1
    return told


def _clash(one: dict[str, Any], other: dict[str, Any]) -> bool:
    wide = 2.6 * (len(one["name"]) + len(other["name"]))
    return bool(abs(one["y"] - other["y"]) < 8 and abs(one["x"] - other["x"]) < wide)
