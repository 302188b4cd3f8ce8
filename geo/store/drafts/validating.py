"""The validator of a plan: everything is recomputed from cells, nothing that edits noted counts."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from geo.barriers import net_parts
from geo.db import Viewer
from geo.errors import HierarchyError
from geo.grids import hierarchy
from geo.saying import phrase
from geo.store import checking
from geo.store.drafts import checks, rows
from geo.store.drafts.rows import Draft
from geo.store.drafts.telling import whole
from geo.tables import SRID, Barrier, City, PlanGrid, Street
from geo.terms import GridKind
from geo.topology import coverage_faults


def check(session: Session, viewer: Viewer, plan_id: int) -> dict[str, Any]:
    """Recompute a plan from its cells; return faults, inherited or marked parts, and figures.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    city = session.get_one(City, draft.city_id)
    owners, grids = whole(session, draft), live_grids(session, draft)
    faults = _tree_faults(owners, grids)
    ground = checks.ground_of(session, draft, owners["cell_id"].tolist(), city.metre_srid)
    cells = ground.shapes.loc[owners["cell_id"].to_numpy()]
    faults += [
        phrase("the city's cells: %(said)s", said=said)
        for said in coverage_faults(cells).sentences()
    ]
    listed: list[dict[str, Any]] = []
    if not faults:
        faults, listed = _part_faults(session, city, owners, grids, cells)
    return {
        "plan": plan_id,
        "ok": not faults,
        "faults": faults,
        "exceptions": listed,
        "grids": len(grids),
        "cells": len(owners),
        "area_m2": float(ground.area_m2.sum()),
    }


def live_grids(session: Session, draft: Draft) -> pd.DataFrame:
    """Return the grids that a plan has: grid_id, level, parent_id, name, kind, parts."""
    names = ["grid_id", "level", "parent_id", "name", "kind", "parts"]
    found = session.execute(
        select(*(getattr(PlanGrid, name) for name in names))
        .where(
            PlanGrid.city_id == draft.city_id,
            PlanGrid.plan_id == draft.plan_id,
            PlanGrid.ended.is_(False),
        )
        .order_by(PlanGrid.grid_id)
    ).all()
    frame = pd.DataFrame([tuple(row) for row in found], columns=names)
    return frame.astype({"parent_id": "Int64"})


def _tree_faults(owners: pd.DataFrame, grids: pd.DataFrame) -> list[str]:
    try:
        hierarchy(grids)
    except HierarchyError as error:
        return list(error.data["defects"])
    divided = set(grids["parent_id"].dropna().astype("int64"))
    holding = set(owners["grid_id"])
    reserve = set(grids.loc[grids["kind"] == GridKind.RESERVE.value, "grid_id"])
    known = set(grids["grid_id"])
    faults: list[str] = [
        phrase("grid %(grid)s holds cells and is not in the plan", grid=one)
        for one in sorted(holding - known)
    ]
    faults += [
        phrase("grid %(grid)s holds cells and is divided", grid=one)
        for one in sorted(holding & divided)
    ]
    empty = known - holding - divided - reserve
    return faults + [phrase("grid %(grid)s is empty", grid=one) for one in sorted(empty)]


def broken(session: Session, draft: Draft, owners: pd.DataFrame, grids: pd.DataFrame) -> set[int]:
    """Return the grids of a plan that are empty, divided and filled, or in too many parts.

    Parameters
    ----------
    owners : DataFrame
        cell_id, grid_id: all cells of the plan, their grids in `grids`.
    grids : DataFrame
        As `live_grids`; their tree holds together.
    """
    divided = set(grids["parent_id"].dropna().astype("int64"))
    holding = set(owners["grid_id"])
    reserve = set(grids.loc[grids["kind"] == GridKind.RESERVE.value, "grid_id"])
    found = (holding & divided) | (set(grids["grid_id"]) - holding - divided - reserve)
    if found:
        return {int(grid) for grid in found}
    city = session.get_one(City, draft.city_id)
    ground = checks.ground_of(session, draft, owners["cell_id"].tolist(), city.metre_srid)
    cells = ground.shapes.loc[owners["cell_id"].to_numpy()]
    counted = _several(session, city, owners, grids, cells)
    return {grid for grid, (parts, allowed) in counted.items() if parts > allowed}


def _part_faults(
    session: Session,
    city: City,
    owners: pd.DataFrame,
    grids: pd.DataFrame,
    cells: gpd.GeoSeries,
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return which grids lie in more parts than they may, and which lie in several."""
    faults: list[str] = []
    listed: list[dict[str, Any]] = []
    for number, (parts, allowed) in _several(session, city, owners, grids, cells).items():
        if parts > allowed:
            faults.append(
                phrase("grid %(grid)s lies in %(parts)s parts, %(allowed)s allowed",
                       grid=number, parts=parts, allowed=allowed)
            )  # fmt: skip
        else:
            listed.append({"grid": number, "parts": parts, "allowed": allowed})
    return faults, listed


def _several(
    session: Session,
    city: City,
    owners: pd.DataFrame,
    grids: pd.DataFrame,
    cells: gpd.GeoSeries,
) -> dict[int, tuple[int, int]]:
    """Return in how many parts each grid lies that is in several, and in how many it may."""
    path = hierarchy(grids).set_index(grids["grid_id"])
    paths = path.loc[owners["grid_id"].to_numpy()].set_index(cells.index)
    turn = checks.turner(SRID, city.metre_srid)
    barriers, streets = (
        checking.series(session, city, table.geom, turn) for table in (Barrier, Street)
    )
    counts = net_parts(cells, paths, barriers, streets)
    rule = dict(zip(grids["grid_id"], zip(grids["kind"], grids["parts"], strict=True), strict=True))
    return {
        int(str(grid)): (int(parts), int(rule[grid][1]))
        for grid, parts in counts[counts > 1].items()
        if rule[grid][0] != GridKind.RESERVE.value
    }
