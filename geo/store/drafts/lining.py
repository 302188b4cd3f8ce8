"""Edits along a line that cut cells: the right to it, the cells of the city held alone, the cut.

The worker does them, for a cut changes every net and every draft of the city. The line is first
prolonged to the outline of the grids, their cells near it are cut, and the edit goes on with the
pieces in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import geopandas as gpd
import shapely
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo import cutline
from geo.db import Viewer
from geo.errors import ConflictError, CutRefusedError, ForbiddenError, InvalidInputError
from geo.redraw import lines
from geo.redraw.edits import named
from geo.saying import phrase
from geo.store import cutting
from geo.store.drafts import checks, rows
from geo.store.drafts.rows import Draft
from geo.store.holding import hold_cells
from geo.tables import City


def demand_owner(session: Session) -> None:
    """Refuse to cut where the application is at work: it may not write the cells of a city.

    Raises
    ------
    ConflictError
        With `reason` `for_worker`.
    """
    if not session.scalar(_MAY_CUT):
        message = phrase("Cells are cut and put together again by the worker: ask for it.")
        raise ConflictError(message, reason="for_worker")


def cut_along(
    session: Session, viewer: Viewer, plan_id: int, op: str, args: Mapping[str, Any]
) -> int:
    """Cut the cells of some grids of a plan along a line; return the number of the cut, or 0.

    Nothing is cut where the line runs along borders alone.

    Raises
    ------
    ForbiddenError
        If the viewer may not cut in this plan.
    InvalidInputError
        If the line cannot be used, or a piece would be too small; `place` is GeoJSON.
    PlanNotFoundError, PlanStateError, ConflictError
        As for `drafts.apply` and `cutting.cut`.
    """
    demand_owner(session)
    city_id = viewer.city_id or 0
    hold_cells(session, city_id, exclusive=True)
    draft = rows.drawn_on(session, viewer, plan_id)
    if viewer.user_id not in rows.find(session, viewer, plan_id).cutters:
        raise ForbiddenError(
            phrase("You are a member of this plan without the right to cut cells.")
        )
    wanted = named(op, args)
    scene = rows.scene(session, draft, wanted)
    held = [cell for grid in wanted.grids for cell in scene.cells_of(grid)]
    if not held:
        return 0  # the edit itself says what is wrong
    srid = session.scalar(select(City.metre_srid).where(City.city_id == city_id)) or 0
    ground = checks.ground_of(session, draft, held, srid).shapes
    way = lines.reaching(ground, lines.line_of(args.get("line"), ground.crs))
    near = ground.index[shapely.dwithin(ground.to_numpy(), way, cutline.DELTA_M)]
    if near.empty:
        return 0
    stored = cutting.around(session, city_id, near.to_numpy())
    shapes = checks.turned(stored.to_numpy(), srid)
    try:
        found = cutline.cut(gpd.GeoSeries(shapes, index=stored.index, crs=srid), way, near)
    except CutRefusedError as error:
        places = shapely.multipoints(error.data["places"]) if error.data["places"] else None
        place = checks.geojson(places, srid)
        raise InvalidInputError(error.message, field="line", place=place) from error
    if found.pieces.empty:
        return 0
    return cutting.cut(session, city_id, found.pieces).number


_MAY_CUT = text("SELECT has_table_privilege('cell', 'INSERT')")
_MENTIONED = text("""
    SELECT e.plan_id, e.n FROM plan_edit AS e
    CROSS JOIN LATERAL jsonb_each(e.inverse -> 'cells') AS c
    CROSS JOIN LATERAL jsonb_array_elements(c.value) AS x
    WHERE e.city_id = :city AND (e.plan_id, e.n) <> (:plan, :n) AND e.undoes IS NULL
        AND e.at >= (SELECT at FROM plan_edit
            WHERE city_id = :city AND plan_id = :plan AND n = :n)
        AND NOT EXISTS (SELECT FROM plan_edit AS u WHERE u.city_id = e.city_id
            AND u.plan_id = e.plan_id AND u.undoes = e.n)
        AND x.value::bigint IN (SELECT l.piece_id FROM cell_lineage AS l
            JOIN cell AS o ON o.city_id = l.city_id AND o.cell_id = l.cell_id
            WHERE l.city_id = :city AND o.retired_by_cut = :cut)
    LIMIT 1
""")


_PUT_TOGETHER = text("""
    SELECT e.n FROM plan_edit AS e
    CROSS JOIN LATERAL jsonb_each(e.inverse -> 'cells') AS c
    CROSS JOIN LATERAL jsonb_array_elements(c.value) AS x
    WHERE e.city_id = :city AND e.plan_id = :plan AND e.n <= :n
        AND x.value::bigint = ANY (:cells)
        AND NOT EXISTS (SELECT FROM cell AS o WHERE o.city_id = :city
            AND o.cell_id = x.value::bigint)
    ORDER BY e.n LIMIT 1
""")


def demand_pieces(session: Session, draft: Draft, cells: Collection[int], n: int) -> None:
    """Refuse to go back to where a plan had pieces of cells that were put together again since.

    Raises
    ------
    ConflictError
        With `reason` `cut_undone`; `by` is the first edit that says where such pieces lie.
    """
    by = session.scalar(_PUT_TOGETHER, draft.known(n=n, cells=list(cells)))
    if by is not None:
        message = phrase(
            "Edit %(by)s lies along a line on which cells were cut, and they were put together"
            " again: draw that line again.", by=by,
        )  # fmt: skip
        raise ConflictError(message, reason="cut_undone", by=by)


def uncut(session: Session, draft: Draft, number: int, n: int) -> bool:
    """Put the pieces of a cut together again if nothing was built on them; say whether it was.

    Besides what `cutting.uncut` looks at, no edit of any draft that stands may have moved a piece:
    it could not be taken back once its pieces are gone. `n` is the edit that made the cut.
    """
    if session.execute(_MENTIONED, draft.known(cut=number, n=n)).first() is not None:
        return False
    try:
        with session.begin_nested():
            cutting.uncut(session, draft.city_id, number)
    except ConflictError:
        return False
    return True
