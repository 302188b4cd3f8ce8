"""What a plan is now: its card, its grids with their figures, its cells, its edits."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import GridNotFoundError
from geo.saying import phrase
from geo.store.drafts import checks, rows
from geo.store.drafts.rows import Draft
from geo.tables import City, Plan, PlanEdit
from geo.topology import boundaries

_COUNTS = text("""
    SELECT (SELECT coalesce(max(n), 0) FROM plan_edit AS e
            WHERE e.city_id = :city AND e.plan_id = :plan) AS last_edit,
        (SELECT count(*) FROM plan_cell AS d
         WHERE d.city_id = :city AND d.plan_id = :plan) AS cells,
        (SELECT count(*) FROM plan_grid AS g
         WHERE g.city_id = :city AND g.plan_id = :plan AND NOT g.ended) AS grids
""")
_GRIDS = text("""
    SELECT g.grid_id AS grid, g.level, g.parent_id AS parent, g.name, g.kind, g.ended, g.version,
        g.parts, g.parts_reason, g.locked_by, coalesce(v.value, 0) AS households,
        g.boundary_from IS NULL AS redrawn
    FROM plan_grid AS g
    LEFT JOIN net_value AS v ON v.city_id = g.city_id AND v.seq = :base AND v.grid_id = g.grid_id
        AND v.measure = 'households' AND v.vintage = (
            SELECT x.vintage FROM vintage AS x WHERE x.city_id = :city AND NOT x.seasonal
            ORDER BY x.taken_on DESC, x.vintage LIMIT 1)
    WHERE g.city_id = :city AND g.plan_id = :plan AND (NOT g.ended OR g.version > 0)
    ORDER BY g.level, g.grid_id
""")
_DIFFERENCES = text("""
    WITH latest AS (
        SELECT x.vintage FROM vintage AS x WHERE x.city_id = :city AND NOT x.seasonal
        ORDER BY x.taken_on DESC, x.vintage LIMIT 1
    )
    SELECT n.grid_id AS source, d.grid_id AS target, count(*) AS cells,
        coalesce(sum(v.value), 0) AS households
    FROM plan_cell AS d
    LEFT JOIN net_cell AS n ON n.city_id = d.city_id AND n.cell_id = d.cell_id
        AND n.from_seq <= :base AND :base < n.to_seq
    LEFT JOIN cell_value AS v ON v.city_id = d.city_id AND v.cell_id = d.cell_id
        AND v.measure = 'households' AND v.vintage = (SELECT vintage FROM latest)
    WHERE d.city_id = :city AND d.plan_id = :plan
    GROUP BY n.grid_id, d.grid_id
""")
_CHANGED = text("""
    SELECT cell_id, grid_id FROM plan_cell WHERE city_id = :city AND plan_id = :plan
    ORDER BY grid_id, cell_id
""")
_ALL = text("""
    SELECT c.cell_id, coalesce(d.grid_id, n.grid_id, :reserve) AS grid_id
    FROM cell AS c
    LEFT JOIN plan_cell AS d ON d.city_id = c.city_id AND d.plan_id = :plan
        AND d.cell_id = c.cell_id
    LEFT JOIN net_cell AS n ON n.city_id = c.city_id AND n.cell_id = c.cell_id
        AND n.from_seq <= :base AND :base < n.to_seq
    WHERE c.city_id = :city AND c.retired_by_cut IS NULL ORDER BY c.cell_id
""")
_BELOW = text("""
    WITH RECURSIVE below AS (
        SELECT g.grid_id AS asked, g.grid_id FROM plan_grid AS g
        WHERE g.city_id = :city AND g.plan_id = :plan AND g.grid_id = ANY (:grids) AND NOT g.ended
        UNION ALL
        SELECT b.asked, g.grid_id FROM below AS b
        JOIN plan_grid AS g ON g.city_id = :city AND g.plan_id = :plan
            AND g.parent_id = b.grid_id AND NOT g.ended
    )
    SELECT asked, grid_id FROM below
""")
_RESERVE = text("""
    SELECT grid_id FROM plan_grid WHERE city_id = :city AND plan_id = :plan
        AND kind = 'reserve' AND parent_id IS NULL AND NOT ended ORDER BY grid_id LIMIT 1
""")


def show(session: Session, viewer: Viewer, plan_id: int) -> dict[str, Any]:
    """Return the card of a plan.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    plan = rows.find(session, viewer, plan_id)
    counts = session.execute(_COUNTS, {"city": plan.city_id, "plan": plan_id}).one()
    return {
        "plan": plan.plan_id, "name": plan.name, "state": plan.state, "base_seq": plan.base_seq,
        "rules": plan.rules, "author": plan.author_id, "created_at": plan.created_at,
        "members": [
            {"user": user, "rights": [right for right, listed in _rights(plan) if user in listed]}
            for user in plan.members
        ],
        "last_edit": counts.last_edit, "cells_changed": counts.cells, "grids": counts.grids,
    }  # fmt: skip


def _rights(plan: Plan) -> list[tuple[str, list[int]]]:
    return [("draw", plan.drawers), ("cut", plan.cutters), ("publish", plan.publishers)]


def grids(session: Session, viewer: Viewer, plan_id: int) -> list[dict[str, Any]]:
    """Return the grids of a plan with version and households, the upper ones first.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    found = [dict(row._mapping) for row in session.execute(_GRIDS, draft.known())]
    divided = {one["parent"] for one in found if not one["ended"]}
    own = {one["grid"]: float(one["households"]) for one in found if one["grid"] not in divided}
    for row in session.execute(_DIFFERENCES, draft.known()):
        for grid, sign in ((row.source, -1.0), (row.target, 1.0)):
            if grid is not None:
                own[grid] = own.get(grid, 0.0) + sign * float(row.households)
    total: dict[int, float] = {}
    for one in sorted(found, key=lambda row: -row["level"]):
        grid, parent = one["grid"], one["parent"]
        value = total.get(grid, 0.0) if grid in divided else own.get(grid, 0.0)
        one["households"] = 0.0 if one["ended"] else value
        one["leaf"] = grid not in divided
        if parent is not None and not one["ended"]:
            total[parent] = total.get(parent, 0.0) + value
    return found


def cells(
    session: Session, viewer: Viewer, plan_id: int, grid: int | None = None
) -> dict[int, list[int]]:
    """Return the cells of a grid, or all that differ from the base net, by grid.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    if grid is None:
        listed = {int(row[0]): int(row[1]) for row in session.execute(_CHANGED, draft.known())}
    else:
        listed = rows.cells_of(session, draft, [grid])
    by_grid: dict[int, list[int]] = {}
    for cell, owner in sorted(listed.items()):
        by_grid.setdefault(owner, []).append(cell)
    return by_grid


def state(session: Session, viewer: Viewer, plan_id: int) -> pd.DataFrame:
    """Return all cells of a plan with their leaf grids: cell_id, grid_id.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    return whole(session, rows.draft_of(rows.find(session, viewer, plan_id)))


def whole(session: Session, draft: Draft) -> pd.DataFrame:
    """Return all cells of a plan with their leaf grids: cell_id, grid_id."""
    reserve = session.scalar(_RESERVE, draft.known()) if draft.base_seq is None else None
    found = session.execute(_ALL, draft.known(reserve=reserve)).all()
    columns = ["cell_id", "grid_id"]
    return pd.DataFrame([tuple(row) for row in found], columns=columns, dtype="int64")


def outlines(
    session: Session, viewer: Viewer, plan_id: int, asked: Collection[int]
) -> dict[int, dict[str, Any] | None]:
    """Return the borders of some grids as GeoJSON, made from their cells.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    GridNotFoundError
        If the plan has no such grid.
    """
    plan = rows.find(session, viewer, plan_id)
    draft = rows.draft_of(plan)
    found = session.execute(_BELOW, draft.known(grids=sorted(asked))).all()
    top = {int(row[1]): int(row[0]) for row in found}
    missing = sorted(set(asked) - set(top.values()))
    if missing:
        raise GridNotFoundError(
            phrase("The plan has no grid %(grid)s.", grid=missing[0]), grid=missing[0]
        )
    srid = session.scalar(select(City.metre_srid).where(City.city_id == draft.city_id)) or 0
    told: dict[int, dict[str, Any] | None] = dict.fromkeys(asked)
    for grid in sorted(asked):
        below = [int(row[1]) for row in found if row[0] == grid]
        own = rows.cells_of(session, draft, below)
        if own:
            shapes = checks.ground_of(session, draft, own, srid).shapes
            united = boundaries(shapes, pd.Series(grid, index=shapes.index, dtype="int64"))
            told[grid] = checks.geojson(united.iloc[0], srid)
    return told


def edits(
    session: Session, viewer: Viewer, plan_id: int, *, after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Return edits of a plan, those numbered after `after`.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    plan = rows.find(session, viewer, plan_id)
    found = session.execute(
        select(
            PlanEdit.n, PlanEdit.actor_id.label("actor"), PlanEdit.op, PlanEdit.args,
            PlanEdit.touched, PlanEdit.undoes, PlanEdit.at,
        )
        .where(PlanEdit.city_id == plan.city_id, PlanEdit.plan_id == plan_id, PlanEdit.n > after)
        .order_by(PlanEdit.n)
        .limit(limit)
    )  # fmt: skip
    return [dict(row._mapping) for row in found]
