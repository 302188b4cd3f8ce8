"""Read a stored city back and say whatever contradicts its own geometry, runs or permissions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import Transformer
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.grids import AREA_COLUMNS
from geo.seal import net_hash
from geo.store import derived
from geo.tables import SRID, Barrier, Cell, City, Net, NetCell, NetException, NetGrid, Street
from geo.topology import areas_m2
from geo.validation import AREA_TOLERANCE_M2, Fault, NetFrames, cell_faults, net_faults

SHOWN = 20
"""How many faults of one kind are listed; all are counted."""

RUNS: dict[str, str] = {
    "cell_run": """
        SELECT c.cell_id, 0 AS runs FROM cell AS c
        WHERE c.city_id = :city AND c.retired_by_cut IS NULL AND NOT EXISTS (
            SELECT FROM net_cell AS n WHERE n.city_id = c.city_id AND n.cell_id = c.cell_id
                AND n.from_seq <= :seq AND :seq < n.to_seq)
        UNION ALL
        SELECT n.cell_id, count(*) FROM net_cell AS n
        WHERE n.city_id = :city AND n.from_seq <= :seq AND :seq < n.to_seq
        GROUP BY n.cell_id HAVING count(*) > 1
        ORDER BY cell_id
    """,
    "leaf_missing": """
        SELECT DISTINCT n.grid_id FROM net_cell AS n
        WHERE n.city_id = :city AND n.from_seq <= :seq AND :seq < n.to_seq AND NOT EXISTS (
            SELECT FROM net_grid AS g WHERE g.city_id = n.city_id AND g.grid_id = n.grid_id
                AND g.from_seq <= :seq AND :seq < g.to_seq)
    """,
    "code_other_grid": """
        SELECT g.grid_id, g.code FROM net_grid AS g JOIN city AS c ON c.city_id = g.city_id
        WHERE g.city_id = :city AND g.from_seq <= :seq AND :seq < g.to_seq AND g.code IS NOT NULL
            AND NOT EXISTS (SELECT FROM grid_code AS k WHERE k.city_id = g.city_id
                AND k.scheme = c.code_scheme AND k.code = g.code AND k.grid_id = g.grid_id
                AND k.from_seq <= :seq)
    """,
    "code_twice": """
        SELECT code, count(*) AS grids FROM net_grid
        WHERE city_id = :city AND from_seq <= :seq AND :seq < to_seq AND code IS NOT NULL
        GROUP BY code HAVING count(*) > 1
    """,
}
"""What must find nothing in each net: (name, statement)."""

AREAS_DIFFER = " OR ".join(f"x.{column} IS DISTINCT FROM g.{column}" for column in AREA_COLUMNS)
ROWS: dict[str, str] = {
    "net_order": """
        SELECT a.seq FROM net AS a JOIN net AS b ON b.city_id = a.city_id AND b.seq < a.seq
            AND b.effective_from >= a.effective_from AND b.cancelled_at IS NULL
        WHERE a.city_id = :city AND a.cancelled_at IS NULL
    """,
    "building_outside": """
        SELECT b.building_id FROM building AS b
        JOIN cell AS c ON c.city_id = b.city_id AND c.cell_id = b.cell_id
        WHERE b.city_id = :city AND NOT ST_Intersects(c.geom, b.footprint)
    """,
    "station_outside": """
        SELECT s.station_id FROM station AS s
        JOIN cell AS c ON c.city_id = s.city_id AND c.cell_id = s.cell_id
        WHERE s.city_id = :city AND NOT ST_DWithin(c.geom, s.geom, 0.0000001)
    """,
    "issue_outside": """
        SELECT i.issue_id FROM issue AS i
        JOIN cell AS c ON c.city_id = i.city_id AND c.cell_id = i.cell_id
        WHERE i.city_id = :city AND NOT ST_DWithin(c.geom, i.geom, 0.0000001)
    """,
    "retired_cell": """
        SELECT l.kind, l.id, l.cell_id FROM (
            SELECT 'building' AS kind, building_id AS id, cell_id FROM building
                WHERE city_id = :city
            UNION ALL SELECT 'station', station_id, cell_id FROM station WHERE city_id = :city
            UNION ALL SELECT 'issue', issue_id, cell_id FROM issue WHERE city_id = :city
            UNION ALL SELECT 'address', address_id, cell_id FROM address WHERE city_id = :city
        ) AS l JOIN cell AS c ON c.city_id = :city AND c.cell_id = l.cell_id
        WHERE c.retired_by_cut IS NOT NULL ORDER BY l.kind, l.id
    """,
    "households_differ": """
        SELECT c.cell_id FROM cell AS c
        JOIN LATERAL (SELECT vintage FROM vintage AS v WHERE v.city_id = c.city_id
            AND NOT v.seasonal ORDER BY v.taken_on DESC LIMIT 1) AS v ON true
        LEFT JOIN (SELECT cell_id, sum(households) AS counted FROM building
            WHERE city_id = :city GROUP BY cell_id) AS b ON b.cell_id = c.cell_id
        LEFT JOIN cell_value AS x ON x.city_id = c.city_id AND x.cell_id = c.cell_id
            AND x.vintage = v.vintage AND x.measure = 'households'
        WHERE c.city_id = :city AND b.counted IS NOT NULL AND b.counted <> coalesce(x.value, 0)
    """,
    "worker_areas": """
        SELECT w.worker_id FROM worker AS w WHERE w.city_id = :city AND NOT (
            SELECT coalesce(array_agg(DISTINCT a.id), '{}') FROM post AS p,
                unnest(ARRAY[p.area_1, p.area_2, p.area_3, p.area_4, p.area_5, p.area_6])
                    AS a (id)
            WHERE p.city_id = w.city_id AND p.worker_id = w.worker_id AND a.id IS NOT NULL
                AND (p.valid_to IS NULL OR p.valid_to > current_date)) <@ w.areas
    """,
    "audit_chain": "SELECT n FROM audit_faults(CAST(:city AS smallint)) AS x (n)",
}
"""What must find nothing in the city, whatever the net."""

LIVE: dict[str, str] = {
    "post_areas": f"""
        SELECT x.post_id FROM post AS x
        JOIN city AS c ON c.city_id = x.city_id
        LEFT JOIN net_grid AS g ON g.city_id = x.city_id AND g.grid_id = x.grid_id
            AND g.from_seq <= :seq AND :seq < g.to_seq
        WHERE x.city_id = :city AND ({AREAS_DIFFER}) AND (g.grid_id IS NOT NULL
            OR x.valid_to IS NULL
            OR x.valid_to > (statement_timestamp() AT TIME ZONE c.timezone)::date)
    """,  # noqa: S608 (a constant)
    "issue_areas": f"""
        SELECT x.issue_id FROM issue AS x
        JOIN net AS n ON n.city_id = x.city_id AND n.seq = :seq
        LEFT JOIN net_cell AS c ON c.city_id = x.city_id AND c.cell_id = x.cell_id
            AND c.from_seq <= :seq AND :seq < c.to_seq AND x.state IN ('closed', 'void')
        LEFT JOIN net_grid AS o ON o.city_id = x.city_id AND o.grid_id = x.owner_grid
            AND o.from_seq <= :seq AND :seq < o.to_seq
        LEFT JOIN net_grid AS g ON g.city_id = x.city_id
            AND g.grid_id = coalesce(o.grid_id, c.grid_id)
            AND g.from_seq <= :seq AND :seq < g.to_seq
        WHERE x.city_id = :city AND ({AREAS_DIFFER}) AND (n.plan_id IS NULL
            OR n.settled_at IS NOT NULL OR x.state NOT IN ('closed', 'void'))
    """,  # noqa: S608 (a constant)
}
"""What must find nothing in the live net: permission columns are the path of their grid.

Closed issues follow after a net has begun, in batches; those of a grid that is no more follow the
ground, so that whoever has it now can read them.
"""


def check(session: Session, city: City, live_seq: int | None) -> dict[str, Any]:
    """Return the validator's report on `city`: figures, faults and inherited exceptions."""
    transformer = Transformer.from_crs(SRID, city.metre_srid, always_xy=True)
    faults: list[Fault] = []
    exceptions: list[dict[str, Any]] = []
    figures: dict[str, Any] = {}
    nets = session.scalars(
        select(Net).where(Net.city_id == city.city_id, Net.cancelled_at.is_(None)).order_by(Net.seq)
    ).all()
    cells = _cells(session, city, transformer)
    barriers, streets = (
        series(session, city, table.geom, transformer) for table in (Barrier, Street)
    )
    faults += _size_faults(cells)
    outline = session.execute(
        select(func.ST_AsBinary(City.outline)).where(City.city_id == city.city_id)
    ).scalar_one()
    uncovered: list[Fault] = []
    if outline is not None:
        uncovered = cell_faults(cells, _shapes([bytes(outline)], transformer)[0])
    faults += uncovered
    for net in nets:
        faults += _query_faults(session, RUNS, f"net {net.seq}", city=city.city_id, seq=net.seq)
        frames = _frames(session, city, net.seq, cells, transformer)
        frames = replace(frames, barriers=barriers, streets=streets)
        if not uncovered:
            found, listed = net_faults(frames)
            faults += [fault.of(f"net {net.seq}") for fault in found]
            exceptions += [{"seq": net.seq, **row} for row in listed]
        if net_hash(frames.owners, pd.DataFrame(frames.grids)) != net.hash:
            faults.append(Fault("net_hash", f"net {net.seq}: differs from what was published"))
        figures[f"net_{net.seq}"] = {"grids": len(frames.grids), "cells": len(frames.owners)}
    faults += _query_faults(session, ROWS, "city", city=city.city_id)
    faults += [
        Fault("figure_stale", f"net {seq}: {what} of grid {grid} does not follow from its cells")
        for what, seq, grid in derived.stale(session, city.city_id)
    ]
    if live_seq is not None:
        faults += _query_faults(session, LIVE, "city", city=city.city_id, seq=live_seq)
    figures["cells"] = len(cells)
    figures["area_m2"] = float(shapely.area(cells.geometry.to_numpy()).sum())
    return _report(city, faults, exceptions, figures)


def _report(
    city: City,
    faults: list[Fault],
    exceptions: list[dict[str, Any]],
    figures: dict[str, Any],
) -> dict[str, Any]:
    to_lonlat = Transformer.from_crs(city.metre_srid, SRID, always_xy=True)
    counted = Counter(fault.check for fault in faults)
    listed: list[dict[str, Any]] = []
    for name in sorted(counted):
        for fault in [f for f in faults if f.check == name][:SHOWN]:
            place = None
            if fault.place is not None:
                place = [round(v, 7) for v in to_lonlat.transform(*fault.place)]
            listed.append({"check": name, "message": fault.message, "place": place})
    return {
        "city": city.slug,
        "ok": not faults,
        "figures": figures,
        "counts": dict(sorted(counted.items())),
        "faults": listed,
        "exceptions": exceptions,
    }


def _query_faults(
    session: Session, statements: dict[str, str], subject: str, **values: int
) -> list[Fault]:
    faults: list[Fault] = []
    for name, statement in statements.items():
        for row in session.execute(text(statement), values).mappings():
            said = ", ".join(f"{key} {value}" for key, value in row.items())
            faults.append(Fault(name, f"{subject}: {said}"))
    return faults


def _shapes(binary: list[bytes], transformer: Transformer) -> Any:
    shapes = shapely.from_wkb(np.asarray(binary, dtype=object))
    return shapely.transform(shapes, transformer.transform, interleaved=False)


def _size_faults(cells: gpd.GeoDataFrame) -> list[Fault]:
    """Say which cells have another area than what is stored of them."""
    differ = np.abs(areas_m2(cells.geometry).to_numpy() - cells["area_m2"].to_numpy())
    wrong = cells[differ > AREA_TOLERANCE_M2]
    spots = wrong.geometry.representative_point()
    return [
        Fault("cell_area", f"cell {cell}: {size:.4f} m2 more or less than stored", (spot.x, spot.y))
        for cell, size, spot in zip(
            wrong["cell_id"], differ[differ > AREA_TOLERANCE_M2], spots, strict=True
        )
    ]


def _cells(session: Session, city: City, transformer: Transformer) -> gpd.GeoDataFrame:
    rows = session.execute(
        select(Cell.cell_id, Cell.area_m2, func.ST_AsBinary(Cell.geom))
        .where(Cell.city_id == city.city_id, Cell.retired_by_cut.is_(None))
        .order_by(Cell.cell_id)
    ).all()
    return gpd.GeoDataFrame(
        {
            "cell_id": np.array([row[0] for row in rows], dtype=np.int64),
            "area_m2": np.array([row[1] for row in rows], dtype=np.float64),
        },
        geometry=_shapes([row[2] for row in rows], transformer),
        crs=city.metre_srid,
    )


def series(session: Session, city: City, column: Any, transformer: Transformer) -> gpd.GeoSeries:
    """Return the shapes of a table of the city in its metre CRS."""
    found = session.scalars(
        select(func.ST_AsBinary(column)).where(column.class_.city_id == city.city_id)
    ).all()
    return gpd.GeoSeries(_shapes([bytes(row) for row in found], transformer), crs=city.metre_srid)


def _frames(
    session: Session,
    city: City,
    seq: int,
    cells: gpd.GeoDataFrame,
    transformer: Transformer,
) -> NetFrames:
    owners = session.execute(
        select(NetCell.cell_id, NetCell.grid_id)
        .where(NetCell.city_id == city.city_id, NetCell.from_seq <= seq, seq < NetCell.to_seq)
        .order_by(NetCell.cell_id)
    ).all()
    names = ["grid_id", "level", "parent_id", "name", "kind", "code", "area_m2", *AREA_COLUMNS]
    rows = session.execute(
        select(*(getattr(NetGrid, name) for name in names), func.ST_AsBinary(NetGrid.boundary))
        .where(NetGrid.city_id == city.city_id, NetGrid.from_seq <= seq, seq < NetGrid.to_seq)
        .order_by(NetGrid.grid_id)
    ).all()
    table = pd.DataFrame([tuple(row)[:-1] for row in rows], columns=names)
    for column in ("parent_id", *AREA_COLUMNS):
        table[column] = table[column].astype("Int64")
    exceptions = session.execute(
        select(NetException.grid_id, NetException.parts).where(
            NetException.city_id == city.city_id,
            NetException.from_seq <= seq,
            seq < NetException.to_seq,
        )
    ).all()
    return NetFrames(
        cells=cells,
        owners=pd.DataFrame(
            np.array([tuple(row) for row in owners], dtype=np.int64).reshape(-1, 2),
            columns=["cell_id", "grid_id"],
        ),
        grids=gpd.GeoDataFrame(
            table, geometry=_shapes([row[-1] for row in rows], transformer), crs=city.metre_srid
        ),
        exceptions={int(grid): int(parts) for grid, parts in exceptions},
    )
