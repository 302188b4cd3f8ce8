"""The limits of grids in words, kept by net: made again with the other figures of a net."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import Transformer
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Text,
    any_,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session

from geo.limits_text import LOOK_OUT_M, limits
from geo.store.nets import Moment
from geo.store.shapes import Box, braced, intersects
from geo.tables import SRID, Barrier, City, Net, NetGrid, NetLimit, Street

NEAR_M: Final = 100.0
"""How far around grids lines are read: a line is named from much nearer, see `ALONG_M`."""


def refresh(session: Session, city: int, metre_srid: int, seq: int | None = None) -> None:
    """Write the limits of a net's grids again, or of all nets of a city."""
    wanted = select(Net.seq).where(Net.city_id == city).order_by(Net.seq)
    own = delete(NetLimit).where(NetLimit.city_id == city)
    if seq is not None:
        wanted, own = wanted.where(Net.seq == seq), own.where(NetLimit.seq == seq)
    session.execute(own)
    numbers = session.scalars(wanted).all()
    if not numbers:
        return
    lines = lines_of(session, city, metre_srid)
    name = session.scalar(select(City.name).where(City.city_id == city)) or ""
    for number in numbers:
        grids = _grids(session, city, metre_srid, number)
        told = limits(grids, lines, city=name)
        rows = [
            {"city_id": city, "seq": number, "grid_id": int(grid), "zh": zh, "en": en}
            for grid, zh, en in zip(grids["grid_id"], told["zh"], told["en"], strict=True)
        ]
        if rows:
            session.execute(insert(NetLimit), rows)


_KEPT = text("""
    INSERT INTO net_limit (city_id, seq, grid_id, zh, en)
    SELECT k.city_id, :seq, k.grid_id, k.zh, k.en FROM net_limit AS k
    WHERE k.city_id = :city AND k.seq = :like AND k.grid_id <> ALL (:grids) AND EXISTS (
        SELECT FROM net_grid AS g WHERE g.city_id = k.city_id AND g.grid_id = k.grid_id
            AND g.from_seq <= :seq AND :seq < g.to_seq)
""")


def follow(
    session: Session, city: int, metre_srid: int, seq: int, like: int, written: Collection[int]
) -> None:
    """Write the limits of a new net: anew for grids that it wrote and those beside them.

    Parameters
    ----------
    like : int
        The net before, from which all other limits are taken over.
    written : collection of int
        Grids of which anything is otherwise than on the net before.
    """
    grids = _grids(session, city, metre_srid, seq)
    shapes = grids.geometry.to_numpy()
    tree = shapely.STRtree(shapes)
    near = np.flatnonzero(grids["grid_id"].isin(list(written)))
    again = _beside(tree, shapes, near)
    around = _beside(tree, shapes, again)
    ids = grids["grid_id"].to_numpy()
    session.execute(_KEPT, {"city": city, "seq": seq, "like": like, "grids": ids[again].tolist()})
    if not len(again):
        return
    name = session.scalar(select(City.name).where(City.city_id == city)) or ""
    west, south, east, north = grids.iloc[again].total_bounds
    near = shapely.box(west - NEAR_M, south - NEAR_M, east + NEAR_M, north + NEAR_M)
    lines = lines_of(session, city, metre_srid, near)
    told = limits(grids.iloc[around], lines, city=name, of=again)
    rows = [
        {"city_id": city, "seq": seq, "grid_id": int(ids[row]), "zh": zh, "en": en}
        for row, zh, en in zip(again, told["zh"].loc[again], told["en"].loc[again], strict=True)
    ]
    session.execute(insert(NetLimit), rows)


def _beside(tree: shapely.STRtree, shapes: Any, rows: Any) -> Any:
    """Return rows and all others that lie as near to them as a limit looks."""
    reach = max(LOOK_OUT_M) + 1.0
    found = tree.query(shapes[rows], predicate="dwithin", distance=reach)[1] if len(rows) else rows
    return np.union1d(rows, found)


def _grids(session: Session, city: int, metre_srid: int, seq: int) -> gpd.GeoDataFrame:
    rows = session.execute(
        select(
            NetGrid.grid_id, NetGrid.level, NetGrid.parent_id, NetGrid.name,
            func.ST_AsBinary(NetGrid.boundary),
        )
        .where(NetGrid.city_id == city, NetGrid.from_seq <= seq, NetGrid.to_seq > seq)
        .order_by(NetGrid.grid_id)
    ).all()  # fmt: skip
    frame = pd.DataFrame(
        [row[:4] for row in rows], columns=["grid_id", "level", "parent_id", "name"]
    )
    return _located(frame, [row[4] for row in rows], metre_srid)


def lines_of(
    session: Session, city: int, metre_srid: int, near: shapely.Polygon | None = None
) -> gpd.GeoDataFrame:
    """Return named streets, waters and railways of a city: name, kind, metres.

    Those that reach into the area `near`, in metres, are enough; all of the city by default.
    """
    rows = [
        tuple(row)
        for table, shape in ((Street, Street.geom), (Barrier, Barrier.geom))
        for row in session.execute(
            select(table.name, table.kind, func.ST_AsBinary(shape)).where(
                table.city_id == city,
                table.name.is_not(None),
                true() if near is None else intersects(shape, _degrees(near, metre_srid)),
            )
        )
    ]
    frame = pd.DataFrame([row[:2] for row in rows], columns=["name", "kind"])
    return _located(frame, [row[2] for row in rows], metre_srid)


@lru_cache(maxsize=16)
def _turner(source: int, target: int) -> Transformer:
    """Return what turns places of one CRS into those of another; made once, it takes a while."""
    return Transformer.from_crs(source, target, always_xy=True)


def _degrees(area: shapely.Polygon, metre_srid: int) -> Box:
    """Return west, south, east and north of an area that is given in metres."""
    west, south, east, north = _turner(metre_srid, SRID).transform_bounds(*area.bounds)
    return (west, south, east, north)


def _located(frame: pd.DataFrame, shapes: list[bytes], metre_srid: int) -> gpd.GeoDataFrame:
    """Return rows with their shapes in the metre CRS, vertex by vertex."""
    turn = _turner(SRID, metre_srid).transform
    read = shapely.from_wkb(np.array([bytes(shape) for shape in shapes], dtype=object))
    turned = shapely.transform(read, turn, interleaved=False) if len(shapes) else []
    return gpd.GeoDataFrame(frame, geometry=list(turned), crs=metre_srid)


def of_grids(session: Session, at: Moment, grids: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return the limits of some grids of a net, by their ids: `zh` and `en`."""
    rows = session.execute(
        select(NetLimit.grid_id, NetLimit.zh, NetLimit.en).where(
            NetLimit.city_id == at.city_id,
            NetLimit.seq == at.seq,
            NetLimit.grid_id == any_(cast(literal(braced(grids), Text), ARRAY(BigInteger))),
        )
    )
    return {row.grid_id: {"zh": row.zh, "en": row.en} for row in rows}
