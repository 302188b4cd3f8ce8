"""Grids that a member keeps for a while: nobody else redraws them until they are given back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, GridLockedError, GridNotFoundError, InvalidInputError
from geo.saying import phrase
from geo.store import audit
from geo.store.drafts import rows
from geo.store.drafts.rows import Draft, Held

MOST_AT_ONCE: Final = 500
MOST_KEPT: Final = 500
"""Grids that one member may keep in one plan."""

_SET = text("""
    UPDATE plan_grid SET locked_by = :user
    WHERE city_id = :city AND plan_id = :plan AND grid_id = ANY (:grids)
        AND locked_by IS DISTINCT FROM :user
    RETURNING grid_id
""")
_KEPT = text("""
    SELECT count(*) FROM plan_grid
    WHERE city_id = :city AND plan_id = :plan AND locked_by = :user
""")
_LISTED = text("""
    SELECT g.grid_id AS grid, g.name, g.locked_by AS user, a.display_name AS user_name
    FROM plan_grid AS g
    LEFT JOIN plan_people(CAST(:city AS smallint), :plan) AS a ON a.user_id = g.locked_by
    WHERE g.city_id = :city AND g.plan_id = :plan AND g.locked_by IS NOT NULL AND NOT g.ended
    ORDER BY g.grid_id
""")
_DRAWS = text("""
    SELECT :holder = ANY (drawers) FROM plan WHERE city_id = :city AND plan_id = :plan
""")


def listing(session: Session, viewer: Viewer, plan_id: int) -> list[dict[str, Any]]:
    """Return the grids that somebody keeps, and who does: grid, name, user, user_name.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    return [dict(row._mapping) for row in session.execute(_LISTED, draft.known())]


def keep(session: Session, viewer: Viewer, plan_id: int, grids: Collection[int]) -> list[int]:
    """Keep grids for oneself, all of them or none; return those that were not kept before.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError
        If the viewer is no member, may not draw, or the plan is no draft.
    GridNotFoundError
        If the plan has no such grid.
    GridLockedError
        If another member keeps one of them; `locked_by` says who.
    InvalidInputError
        If these are too many.
    """
    draft, held = _held(session, viewer, plan_id, grids)
    demand_free(session, draft, viewer, held)
    new = sorted(session.scalars(_SET, draft.known(grids=sorted(held), user=viewer.user_id)))
    if int(session.execute(_KEPT, draft.known(user=viewer.user_id)).scalar_one()) > MOST_KEPT:
        raise InvalidInputError(
            phrase("A member keeps at most %(most)s grids.", most=MOST_KEPT),
            field="grids",
        )
    if new:
        _noted(session, viewer, draft, "plan.lock", {"grids": new})
    return new


def give_back(session: Session, viewer: Viewer, plan_id: int, grids: Collection[int]) -> list[int]:
    """Let others redraw grids again; return those that were kept.

    Members give back what they keep; the author of the plan gives back what anybody does.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError, GridNotFoundError
        As for `keep`; also if another member keeps one of them.
    """
    draft, held = _held(session, viewer, plan_id, grids)
    if viewer.user_id != draft.author_id:
        others = {one.locked_by for one in held.values()} - {None, viewer.user_id}
        if others:
            message = phrase(
                "Another member keeps this grid; that member or the author gives it back."
            )
            raise ForbiddenError(message, locked_by=min(one for one in others if one))
    kept = {grid: one.locked_by for grid, one in held.items() if one.locked_by is not None}
    freed = sorted(session.scalars(_SET, draft.known(grids=sorted(kept), user=None)))
    if freed:
        of = sorted({user for user in kept.values() if user})
        _noted(session, viewer, draft, "plan.unlock", {"grids": freed, "of": of})
    return freed


def demand_free(session: Session, draft: Draft, viewer: Viewer, held: dict[int, Held]) -> None:
    """Refuse to touch grids that another member keeps who may still draw.

    Parameters
    ----------
    held : dict of int to Held
        Rows of grids that this transaction holds.

    Raises
    ------
    GridLockedError
        With the grid and who keeps it.
    """
    for grid, row in sorted(held.items()):
        holder = row.locked_by
        if holder is None or holder == viewer.user_id:
            continue
        if session.scalar(_DRAWS, draft.known(holder=holder)):
            raise GridLockedError(
                phrase("Another member keeps the grid %(grid)s for now.", grid=grid),
                grid=grid,
                locked_by=holder,
            )


def _held(
    session: Session, viewer: Viewer, plan_id: int, grids: Collection[int]
) -> tuple[Draft, dict[int, Held]]:
    draft = rows.drawn_on(session, viewer, plan_id)
    if not 1 <= len(grids) <= MOST_AT_ONCE:
        raise InvalidInputError(
            phrase("Name 1 to %(most)s grids.", most=MOST_AT_ONCE), field="grids"
        )
    held = rows.hold(session, draft, set(grids))
    missing = sorted(grid for grid in set(grids) if grid not in held or held[grid].ended)
    if missing:
        raise GridNotFoundError(
            phrase("The plan has no grid %(grid)s.", grid=missing[0]), grid=missing[0]
        )
    return draft, held


def _noted(
    session: Session, viewer: Viewer, draft: Draft, action: str, told: dict[str, Any]
) -> None:
    audit.append(
        session, draft.city_id, action, f"plan/{draft.plan_id}", told,
        actor_id=viewer.user_id, actor_role=str(viewer.role),
    )  # fmt: skip
