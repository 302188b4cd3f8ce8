"""Fill what maps need at once: households of each grid, squares of density; the owner's work.

Both follow from cells, runs and buildings. They are made again when a city is loaded, a net is
published, or buildings or cell values change; nothing else writes them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from geo.tables import DensitySquare, NetFigure

SQUARE_SIZES_M: Final = (125, 250, 500, 1000, 2000)
"""Sides of the squares; each divides the next that is twice as long."""

_FIGURES = text(
    """
    INSERT INTO net_figure (city_id, seq, vintage, grid_id, households)
    SELECT f.city_id, f.seq, f.vintage, a.grid_id, round(sum(f.households)::numeric, 1)::float8
    FROM (
        SELECT n.city_id, n.seq, v.vintage, c.grid_id, sum(v.value) AS households
        FROM net AS n
        JOIN net_cell AS c
          ON c.city_id = n.city_id AND c.from_seq <= n.seq AND c.to_seq > n.seq
        JOIN cell_value AS v ON v.city_id = c.city_id AND v.cell_id = c.cell_id
        WHERE n.city_id = :city AND v.measure = 'households'
          AND (CAST(:seq AS integer) IS NULL OR n.seq = :seq)
        GROUP BY n.city_id, n.seq, v.vintage, c.grid_id
    ) AS f
    JOIN net_grid AS g
      ON g.city_id = f.city_id AND g.grid_id = f.grid_id AND g.from_seq <= f.seq
     AND g.to_seq > f.seq
    CROSS JOIN LATERAL unnest(
        ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]) AS a (grid_id)
    WHERE a.grid_id IS NOT NULL
    GROUP BY f.city_id, f.seq, f.vintage, a.grid_id
    """
)

_SQUARES = text(
    """
    INSERT INTO density_square (city_id, size_m, x, y, buildings, geom)
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
)


def refresh(session: Session, city: int, metre_srid: int) -> None:
    """Make all of it again for a city; EPSG `metre_srid` is its metre CRS."""
    refresh_figures(session, city)
    refresh_squares(session, city, metre_srid)
    session.execute(text("ANALYZE net_figure, density_square"))


def refresh_figures(session: Session, city: int, seq: int | None = None) -> None:
    """Reckon the households of all grids of a net, or of all nets of a city, again."""
    own = delete(NetFigure).where(NetFigure.city_id == city)
    session.execute(own if seq is None else own.where(NetFigure.seq == seq))
    session.execute(_FIGURES, {"city": city, "seq": seq})


def refresh_squares(session: Session, city: int, metre_srid: int) -> None:
    """Count the buildings in all squares of a city again, in the metre CRS of EPSG `metre_srid`."""
    session.execute(delete(DensitySquare).where(DensitySquare.city_id == city))
    asked = {"city": city, "srid": metre_srid, "sizes": list(SQUARE_SIZES_M)}
    session.execute(_SQUARES, asked)
