"""Parts that grids inherit when finer cells show a barrier that ran through a cell before."""

from __future__ import annotations

from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from sqlalchemy import and_, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from geo.barriers import parts_of, ways
from geo.tables import SRID, Audit, Barrier, Cell, City, Net, NetCell, NetException, Street
from geo.terms import FOREVER

NEAR_DEGREES: Final = 0.002
"""How far around cells barriers and streets are looked at."""


def parts_of_owners(
    session: Session, city: City, cells: NDArray[np.int64]
) -> dict[int, pd.Series[int]]:
    """Count the parts, as one can walk, of the leaf grids that own some cells, by net."""
    transformer = Transformer.from_crs(SRID, city.metre_srid, always_xy=True)
    asked = literal(cells.tolist(), ARRAY(BigInteger))
    counted = {}
    for seq in session.scalars(select(Net.seq).where(Net.city_id == city.city_id)):
        here = (NetCell.city_id == city.city_id, NetCell.from_seq <= seq, seq < NetCell.to_seq)
        owners = select(NetCell.grid_id).where(*here, NetCell.cell_id == func.any(asked))
        rows = session.execute(
            select(NetCell.grid_id, func.ST_AsBinary(Cell.geom))
            .join(Cell, and_(Cell.city_id == NetCell.city_id, Cell.cell_id == NetCell.cell_id))
            .where(*here, NetCell.grid_id.in_(owners))
        ).all()
        shapes = shapely.from_wkb([bytes(row[1]) for row in rows])
        plain = shapely.transform(shapes, transformer.transform, interleaved=False)
        box = shapely.total_bounds(shapes)
        lines = [_near(session, city, table, box, transformer) for table in (Barrier, Street)]
        found = ways(gpd.GeoSeries(plain, crs=city.metre_srid), *lines)
        counted[seq] = parts_of(pd.Series([row[0] for row in rows], dtype="int64"), found)
    return counted


def _near(
    session: Session, city: City, table: Any, box: NDArray[np.float64], transformer: Transformer
) -> gpd.GeoSeries:
    """Return the lines of a table around a box in degrees, in metres."""
    west, south, east, north = (float(side) for side in box)
    envelope = func.ST_MakeEnvelope(
        west - NEAR_DEGREES, south - NEAR_DEGREES, east + NEAR_DEGREES, north + NEAR_DEGREES, SRID
    )
    stored = session.scalars(
        select(func.ST_AsBinary(table.geom)).where(
            table.city_id == city.city_id, table.geom.op("&&")(envelope)
        )
    ).all()
    shapes = shapely.from_wkb([bytes(one) for one in stored])
    plain = shapely.transform(
        np.asarray(shapes, dtype=object), transformer.transform, interleaved=False
    )
    return gpd.GeoSeries(plain, crs=city.metre_srid)


def inherit(
    session: Session,
    city_id: int,
    before: dict[int, pd.Series[int]],
    after: dict[int, pd.Series[int]],
) -> list[list[int]]:
    """Allow grids the parts that finer cells show; return grid, first net and what was allowed.

    Nobody redrew such a grid: the barrier ran through a cell before. A grid that had more parts
    than it may before the cut is left for the validator.
    """
    raised: list[list[int]] = []
    for seq in sorted(after):
        runs = session.scalars(
            select(NetException)
            .where(NetException.city_id == city_id, seq < NetException.to_seq)
            .order_by(NetException.from_seq.desc())
        ).all()
        standing = {run.grid_id: run for run in runs if run.from_seq <= seq}
        coming = {run.grid_id: run.from_seq for run in runs if run.from_seq > seq}
        for grid, parts in zip(after[seq].index.tolist(), after[seq].tolist(), strict=True):
            run = standing.get(grid)
            allowed = run.parts if run else 1
            if parts <= allowed or before[seq].get(grid, 0) > allowed:
                continue
            if run is not None:
                raised.append([grid, run.from_seq, allowed])
                run.parts = parts
                continue
            raised.append([grid, seq, 0])
            end = coming.get(grid, FOREVER)
            told = {"from_seq": seq, "to_seq": end, "parts": parts, "reason": "finer cells"}
            session.add(NetException(city_id=city_id, grid_id=grid, **told))
        session.flush()
    return raised


def take_back(session: Session, city_id: int, number: int) -> None:
    """Allow grids again what they were allowed before a cut."""
    told = session.scalar(
        select(Audit.payload)
        .where(Audit.city_id == city_id, Audit.action == "cells.cut")
        .where(Audit.payload["cut"].as_integer() == number)
    )
    for grid, seq, allowed in reversed((told or {}).get("exceptions", [])):
        run = (
            NetException.city_id == city_id,
            NetException.grid_id == grid,
            NetException.from_seq == seq,
        )
        if allowed:
            session.execute(update(NetException).where(*run).values(parts=allowed))
        else:
            session.execute(delete(NetException).where(*run))
