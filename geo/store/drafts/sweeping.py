"""Edits by area: a polygon or a brush is resolved to the cells that it takes, then done as such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import geopandas as gpd
import shapely
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import InvalidInputError
from geo.redraw import sweep
from geo.redraw.edits import MOST_CELLS, MOST_GRIDS, numbers
from geo.saying import phrase
from geo.store.drafts import checks, dividing, editing, rows
from geo.store.drafts.editing import Applied, Versions
from geo.store.drafts.rows import Draft
from geo.store.holding import hold_cells
from geo.tables import SRID, City

BY_AREA: Final = frozenset({"move", "release", "draw"})
"""Edits whose cells may be said by an area."""
NEAR: Final = 0.001
"""Degrees around an area: its straight sides are bent a little in degrees."""

_NEAR = text("""
    SELECT c.cell_id, coalesce(d.grid_id, n.grid_id, :reserve), ST_AsBinary(c.geom)
    FROM cell AS c
    LEFT JOIN plan_cell AS d ON d.city_id = c.city_id AND d.plan_id = :plan
        AND d.cell_id = c.cell_id
    LEFT JOIN net_cell AS n ON n.city_id = c.city_id AND n.cell_id = c.cell_id
        AND n.from_seq <= :base AND :base < n.to_seq
    WHERE c.city_id = :city AND c.retired_by_cut IS NULL
        AND c.geom && ST_GeomFromWKB(:area, 4326)
        AND (CAST(:grids AS bigint[]) IS NULL
             OR coalesce(d.grid_id, n.grid_id, :reserve) = ANY (:grids))
    ORDER BY c.cell_id LIMIT :most
""")
_RESERVE = text("""
    SELECT grid_id FROM plan_grid WHERE city_id = :city AND plan_id = :plan
        AND kind = 'reserve' AND parent_id IS NULL AND NOT ended ORDER BY grid_id LIMIT 1
""")
_VERSIONS = text("""
    SELECT grid_id, version FROM plan_grid
    WHERE city_id = :city AND plan_id = :plan AND grid_id = ANY (:grids)
""")


def redraw(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    op: str,
    args: Mapping[str, Any],
    versions: Versions,
) -> Applied:
    """Redraw a plan by one edit that may say its cells by an area; see `apply`.

    Parameters
    ----------
    args : mapping
        As for `apply`; instead of `cells` either `within`, a polygon, or `along` and `radius_m`, a
        line and half the width of a brush: GeoJSON in degrees and metres. `by` is point or larger
        (see `geo.redraw.sweep`), `of` lists the grids that alone give cells. The log keeps the
        cells.

    Raises
    ------
    InvalidInputError
        If an area cannot be used, is not meant for this edit or takes no cell; `field` names it.
    PlanNotFoundError, ForbiddenError, PlanStateError, PlanRuleError, GridLockedError
        As for `apply`.
    VersionMissingError, StaleEditError
        As for `apply`.
    """
    asked = {name: args[name] for name in sweep.FIELDS if name in args}
    if op == dividing.DIVIDE:
        return dividing.divide(session, viewer, plan_id, args, versions)
    if not asked:
        return editing.apply(session, viewer, plan_id, op, args, versions)
    if op not in BY_AREA or "cells" in args:
        field = min(asked)
        message = phrase(
            "'%(field)s' stands in place of 'cells' in %(listed)s.",
            field=field,
            listed=", ".join(sorted(BY_AREA)),
        )
        raise InvalidInputError(message, field=field)
    hold_cells(session, viewer.city_id or 0)
    draft = rows.drawn_on(session, viewer, plan_id)
    into = args.get("into")
    taken = {cell for cell, grid in _taken(session, draft, asked).items() if grid != into}
    if not taken:
        raise InvalidInputError(phrase("The area takes no cell."), field=min(asked))
    rest = {name: value for name, value in args.items() if name not in sweep.FIELDS}
    return editing.apply(session, viewer, plan_id, op, {**rest, "cells": sorted(taken)}, versions)


def pick(session: Session, viewer: Viewer, plan_id: int, area: Mapping[str, Any]) -> dict[str, Any]:
    """Return which cells an area takes, by grid, with the versions of these grids.

    Parameters
    ----------
    area : mapping
        `within`, or `along` and `radius_m`; `by`, `of`: see `redraw`.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    InvalidInputError
        If the area cannot be used.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    taken = _taken(session, draft, area)
    by_grid: dict[int, list[int]] = {}
    for cell, grid in sorted(taken.items()):
        by_grid.setdefault(grid, []).append(cell)
    found = session.execute(_VERSIONS, draft.known(grids=sorted(by_grid)))
    return {"grids": by_grid, "versions": {int(row[0]): int(row[1]) for row in found}}


def _taken(session: Session, draft: Draft, asked: Mapping[str, Any]) -> dict[int, int]:
    """Return the cells that an area takes, with their grids."""
    rule = asked.get("by", sweep.POINT)
    if rule not in sweep.RULES:
        raise InvalidInputError(phrase("'by' is point or larger."), field="by")
    srid = session.scalar(select(City.metre_srid).where(City.city_id == draft.city_id)) or 0
    area = _area(asked, srid)
    degrees = shapely.transform(area, checks.turner(srid, SRID).transform, interleaved=False)
    west, south, east, north = degrees.bounds
    box = shapely.box(west - NEAR, south - NEAR, east + NEAR, north + NEAR)
    grids = list(numbers(asked, "of", MOST_GRIDS)) if "of" in asked else None
    reserve = session.scalar(_RESERVE, draft.known()) if draft.base_seq is None else None
    told = draft.known(
        area=shapely.to_wkb(box), grids=grids, reserve=reserve,
        most=MOST_CELLS + 1,
    )  # fmt: skip
    found = session.execute(_NEAR, told).all()
    if len(found) > MOST_CELLS:
        message = phrase("The area spans more than %(most)s cells.", most=MOST_CELLS)
        raise InvalidInputError(message, field=min(asked))
    shapes = checks.turned(shapely.from_wkb([bytes(row[2]) for row in found]), srid)
    inside = sweep.swept(gpd.GeoSeries(shapes, crs=srid), area, rule)
    listed = (row for row, taken in zip(found, inside, strict=True) if taken)
    return {int(row[0]): int(row[1]) for row in listed if row[1] is not None}


def _area(asked: Mapping[str, Any], srid: int) -> Any:
    """Return the area that is asked about, in the city's metres."""
    turn = checks.turner(SRID, srid).transform
    if ("within" in asked) is ("along" in asked) or ("along" in asked) is not ("radius_m" in asked):
        message = phrase("Say an area by 'within', or by 'along' and 'radius_m'.")
        raise InvalidInputError(message, field="within")
    field = "within" if "within" in asked else "along"
    shape = shapely.transform(sweep.drawn(asked[field], field), turn, interleaved=False)
    if not all(map(_finite, shape.bounds)) or not shape.is_valid:
        raise InvalidInputError(
            phrase("'%(field)s' lies away from the city.", field=field), field=field
        )
    return shape if field == "within" else sweep.brush(shape, asked["radius_m"])


def _finite(value: float) -> bool:
    return abs(value) < 1e9
