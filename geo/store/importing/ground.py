"""Ground cut for buildings that come in: each gets its own cell inside the one it stands on."""

from __future__ import annotations

from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import func, select

from geo.cells import building_cells
from geo.errors import TopologyError
from geo.findings import Finding, Findings
from geo.renewal import cells_for_new_buildings
from geo.saying import phrase
from geo.store import cutting
from geo.store.importing import standing
from geo.store.importing.plans import Task
from geo.store.importing.standing import BOOKS
from geo.tables import Cell
from geo.terms import DeliveryKind

WHY: Final = phrase("its pieces would not match what lies beside them; its buildings share it")


def cut_for(
    task: Task, new: gpd.GeoDataFrame, there: gpd.GeoDataFrame, found: Findings
) -> gpd.GeoDataFrame:
    """Cut the cells that new buildings stand on; return the buildings with their cells.

    A cell without buildings is divided inside its streets, railways and waters; one with
    buildings gives the new ones their share, and no border of it moves.

    Parameters
    ----------
    new : GeoDataFrame
        Buildings that come in; column `cell_id`, metres.
    there : GeoDataFrame
        Buildings that stand, indexed by number; column `cell_id`.
    found : Findings
        Takes the cells that cannot be cut: they stay whole, their buildings share them.

    Raises
    ------
    TopologyError
        If the ground cannot be cut and it cannot be said which cells are in the way.
    """
    if not len(new):
        return new
    task.progress("cut cells", 0.0)
    touched = np.unique(new["cell_id"].to_numpy(dtype=np.int64))
    cells = _cells(task, touched)
    built = np.isin(touched, there["cell_id"].to_numpy(dtype=np.int64))
    fresh = _empty_ground(task, new, cells.loc[touched[~built]])
    shared = _built_ground(new, there, cells.loc[touched[built]])
    pieces = pd.concat([fresh[0], shared[0]], ignore_index=True)
    if not len(pieces):
        return new
    frame = gpd.GeoDataFrame(pieces, geometry="geometry", crs=new.crs)
    task.progress("cut cells", 0.6)
    cell_of = _cut(task, frame, cells, found)
    piece = pd.concat([fresh[1], shared[1] + len(fresh[0])])
    own = cell_of.iloc[piece.to_numpy(dtype=np.int64)].to_numpy()
    cell_id = new["cell_id"].astype("int64").copy()
    cell_id.loc[piece.index] = own
    left = new.index.difference(piece.index)  # of no piece: their old cell may have been cut
    if len(left):
        found_at = standing.locate(task.session, task.city, new.geometry.loc[left].to_numpy())
        cell_id.loc[left] = np.where(found_at.cell >= 0, found_at.cell, cell_id.loc[left])
    task.progress("cut cells", 1.0)
    return new.assign(cell_id=cell_id)


def _cut(
    task: Task, pieces: gpd.GeoDataFrame, cells: gpd.GeoSeries, found: Findings
) -> pd.Series[int]:
    """Cut what can be cut; return the cell that each piece is now.

    Pieces that would not match what lies beside them leave their cell whole. What is in the way
    is taken out and the rest tried again, which ends since each round takes out a cell.
    """
    owner = pieces["cell_id"].astype("int64")
    whole: set[int] = set()
    while True:
        kept = pieces[~owner.isin(whole)]
        try:
            done = cutting.cut(task.session, task.city.city_id, kept)
        except TopologyError as error:
            more = set(error.data.get("cells", ())) - whole
            if not more:
                raise
            whole |= more
            continue
        for cell in sorted(whole):
            spot = shapely.point_on_surface(cells.loc[cell])
            subject, why = phrase("cell %(n)s", n=cell), phrase("left whole: %(why)s", why=WHY)
            size = float(shapely.area(cells.loc[cell]))
            found.add(
                [Finding(task.delivered.label, "uncut", subject, why, size, "m2", spot.x, spot.y)]
            )
        return done.cell_of.reindex(pieces.index).fillna(owner).astype("int64")


def _cells(task: Task, which: Any) -> gpd.GeoSeries:
    rows = task.session.execute(
        select(Cell.cell_id, func.ST_AsBinary(Cell.geom))
        .where(Cell.city_id == task.city.city_id, Cell.cell_id.in_([int(one) for one in which]))
        .order_by(Cell.cell_id)
    ).all()
    srid = task.city.metre_srid
    shapes = standing.in_metres([bytes(row[1]) for row in rows], srid)
    return gpd.GeoSeries(shapes, index=[row[0] for row in rows], crs=srid)


_Pieces = tuple[pd.DataFrame, "pd.Series[Any]"]
"""Pieces with the cell that each was cut from, and which piece a building has."""


def _nothing() -> _Pieces:
    return (
        pd.DataFrame({"cell_id": np.empty(0, dtype=np.int64), "geometry": []}),
        pd.Series(np.empty(0, dtype=np.int64), dtype="int64"),
    )


def _empty_ground(task: Task, new: gpd.GeoDataFrame, cells: gpd.GeoSeries) -> _Pieces:
    if not len(cells):
        return _nothing()
    session, city = task.session, task.city
    streets = standing.frame(session, city, BOOKS[DeliveryKind.STREETS])
    barriers = standing.frame(session, city, BOOKS[DeliveryKind.BARRIERS])
    here = new.loc[new["cell_id"].isin(cells.index)]
    made = building_cells(
        here.geometry,
        cells,
        streets=streets.geometry if len(streets) else None,
        barriers=barriers[["kind", "geometry"]] if len(barriers) else None,
        progress=lambda what, share: task.progress("cut cells", share * 0.6),
    )
    pieces = pd.DataFrame(
        {
            "cell_id": made.cells["area"].to_numpy(dtype=np.int64),
            "geometry": made.cells.geometry.to_numpy(),
        }
    )
    own = made.cell_of.dropna().astype("int64")
    cells_of = made.cells.geometry.loc[own].to_numpy()
    # Of buildings that share a cell across a border, some do not reach it.
    reached = shapely.intersects(cells_of, here.geometry.loc[own.index].to_numpy())
    return pieces, own[reached]


def _built_ground(new: gpd.GeoDataFrame, there: gpd.GeoDataFrame, cells: gpd.GeoSeries) -> _Pieces:
    if not len(cells):
        return _nothing()
    here = new.loc[new["cell_id"].isin(cells.index)]
    old = there.loc[there["cell_id"].isin(cells.index)]
    labels = [f"new {row}" for row in here.index]
    made = cells_for_new_buildings(
        cells,
        old.geometry.rename(lambda one: f"old {one}"),
        pd.Series(old["cell_id"].to_numpy(), index=[f"old {one}" for one in old.index]),
        gpd.GeoSeries(here.geometry.to_numpy(), index=labels, crs=new.crs),
    )
    pieces = pd.DataFrame(
        {
            "cell_id": made.pieces["cell"].to_numpy(dtype=np.int64),
            "geometry": made.pieces.geometry.to_numpy(),
        }
    )
    back = dict(zip(labels, here.index, strict=True))
    own = made.piece_of.loc[[label for label in made.piece_of.index if label in back]]
    return pieces, pd.Series(
        own.to_numpy(dtype=np.int64), index=[back[label] for label in own.index]
    )
