"""What stands beside issues follows a net that has begun, so that rights hold on.

Things, projects, shops and service points go with their place, ratings and inspections with their
compound or shop, meetings and campaigns with their grid.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.grids import AREA_COLUMNS

_SET: Final = ", ".join(f"{name} = g.{name}" for name in AREA_COLUMNS)
_NEW: Final = ", ".join(f"g.{name}" for name in AREA_COLUMNS)
_OLD: Final = ", ".join(f"o.{name}" for name in AREA_COLUMNS)
_LIVE: Final = "g.city_id = :city AND g.from_seq <= :seq AND :seq < g.to_seq"
_BY_PLACE: Final = """
    WITH found AS (
        SELECT o.{key} AS id, n.grid_id FROM {table} AS o
        JOIN LATERAL (
            SELECT c.cell_id FROM cell AS c
            WHERE c.city_id = o.city_id AND c.retired_by_cut IS NULL
              AND c.geom && o.geom AND ST_Intersects(c.geom, o.geom)
            ORDER BY c.cell_id LIMIT 1) AS c ON true
        JOIN net_cell AS n ON n.city_id = o.city_id AND n.cell_id = c.cell_id
            AND n.from_seq <= :seq AND :seq < n.to_seq
        WHERE o.city_id = :city)
    UPDATE {table} AS o SET grid_id = g.grid_id, {set}
    FROM found AS f JOIN net_grid AS g ON {live} AND g.grid_id = f.grid_id
    WHERE o.city_id = :city AND o.{key} = f.id
      AND (o.grid_id, {old}) IS DISTINCT FROM (g.grid_id, {new})
"""
_BY_COMPOUND: Final = """
    WITH found AS (
        SELECT DISTINCT ON (m.compound_id) m.compound_id AS id, m.grid_id FROM net_compound AS m
        WHERE m.city_id = :city AND m.seq = :seq
        ORDER BY m.compound_id, m.share_of_compound DESC, m.grid_id)
    UPDATE {table} AS o SET grid_id = g.grid_id, {set}
    FROM found AS f JOIN net_grid AS g ON {live} AND g.grid_id = f.grid_id
    WHERE o.city_id = :city AND o.compound_id = f.id
      AND (o.grid_id, {old}) IS DISTINCT FROM (g.grid_id, {new})
"""
_BY_SHOP: Final = """
    UPDATE {table} AS o SET grid_id = g.grid_id, {set} FROM shop AS g
    WHERE o.city_id = :city AND g.city_id = o.city_id AND g.shop_id = o.shop_id
      AND (o.grid_id, {old}) IS DISTINCT FROM (g.grid_id, {new})
"""
_BY_GRID: Final = """
    UPDATE {table} AS o SET {set} FROM net_grid AS g
    WHERE o.city_id = :city AND {live} AND g.grid_id = o.grid_id
      AND ({old}) IS DISTINCT FROM ({new})
"""
TABLES: Final = (
    (_BY_PLACE, "device", "device_id"),
    (_BY_PLACE, "small_project", "project_id"),
    (_BY_PLACE, "shop", "shop_id"),
    (_BY_PLACE, "service_point", "point_id"),
    (_BY_SHOP, "inspection", ""),
    (_BY_COMPOUND, "inspection", ""),
    (_BY_COMPOUND, "firm_rating", ""),
    (_BY_GRID, "meeting", ""),
    (_BY_GRID, "campaign", ""),
    (_BY_GRID, "campaign_item", ""),
)
_FOLLOW: Final = tuple(
    text(form.format(table=table, key=key, set=_SET, new=_NEW, old=_OLD, live=_LIVE))
    for form, table, key in TABLES
)


def follow(session: Session, city_id: int, seq: int) -> int:
    """Let rows follow a net; return how many did; for the owner. It may be called again.

    What has a place goes to the grid that holds it, what is of a compound to the grid that has most
    of it; what is of a grid gets its new ancestors, and what is of a grid that ended keeps those it
    had.
    """
    asked = {"city": city_id, "seq": seq}
    return sum(getattr(session.execute(one, asked), "rowcount", 0) for one in _FOLLOW)
