"""What has happened to plans and nets since somebody last looked: read after each notice."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.store.drafts import locks, rows

MOST_AT_ONCE: Final = 100
"""Edits that are told in one turn; who is further behind is told the next ones at once."""
MOST_PLANS: Final = 200

_CARD = text("""
    SELECT p.name, p.state, p.rules, p.members,
        (SELECT coalesce(max(e.n), 0) FROM plan_edit AS e
         WHERE e.city_id = p.city_id AND e.plan_id = p.plan_id) AS last_edit,
        (SELECT count(*) FROM plan_comment AS m
         WHERE m.city_id = p.city_id AND m.plan_id = p.plan_id) AS comments,
        (SELECT count(*) FROM plan_comment AS m WHERE m.city_id = p.city_id
            AND m.plan_id = p.plan_id AND m.resolved_by IS NOT NULL) AS resolved
    FROM plan AS p WHERE p.city_id = :city AND p.plan_id = :plan
""")
_EDITS = text("""
    SELECT e.n, e.actor_id AS actor, e.op, e.touched, e.undoes, e.at
    FROM plan_edit AS e WHERE e.city_id = :city AND e.plan_id = :plan AND e.n > :after
    ORDER BY e.n LIMIT :most
""")
_VERSIONS = text("""
    SELECT grid_id, version FROM plan_grid
    WHERE city_id = :city AND plan_id = :plan AND grid_id = ANY (:grids)
""")
_PLANS = text("""
    SELECT p.plan_id AS plan, p.name, p.state,
        (SELECT coalesce(max(e.n), 0) FROM plan_edit AS e
         WHERE e.city_id = p.city_id AND e.plan_id = p.plan_id) AS last_edit,
        (SELECT coalesce(max(m.comment_id), 0) FROM plan_comment AS m
         WHERE m.city_id = p.city_id AND m.plan_id = p.plan_id) AS comments
    FROM plan AS p WHERE p.city_id = :city AND :user = ANY (p.members)
    ORDER BY p.plan_id DESC LIMIT :most
""")
_NETS = text("""
    SELECT n.seq, n.effective_from, n.cancelled_at IS NOT NULL AS cancelled
    FROM net AS n WHERE n.city_id = :city ORDER BY n.seq DESC LIMIT 5
""")


def of_plan(session: Session, viewer: Viewer, plan_id: int, after: int | None) -> dict[str, Any]:
    """Return how a plan stands, and its edits after one.

    Parameters
    ----------
    after : int, optional
        Number of the last edit that is known; None tells no edits.

    Returns
    -------
    dict
        plan: name, state, rules, members, last_edit; comments: how many, how many of them resolved;
        locks: see `geo.store.drafts.locks`; edits: n, actor, op, undoes, at, and the versions of
        now of the grids that each touched.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan, or no longer.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    card = dict(session.execute(_CARD, draft.known()).one()._mapping)
    kept = locks.listing(session, viewer, plan_id)
    comments = {"count": card.pop("comments"), "resolved": card.pop("resolved")}
    found: list[dict[str, Any]] = []
    if after is not None:
        asked = draft.known(after=after, most=MOST_AT_ONCE)
        found = [dict(row._mapping) for row in session.execute(_EDITS, asked)]
    grids = sorted({grid for one in found for grid in one["touched"]})
    versions = {
        int(row[0]): int(row[1]) for row in session.execute(_VERSIONS, draft.known(grids=grids))
    }
    for one in found:
        one["touched"] = {grid: versions[grid] for grid in one["touched"] if grid in versions}
    return {"plan": {"plan": plan_id, **card}, "comments": comments, "locks": kept, "edits": found}


def of_city(session: Session, viewer: Viewer) -> dict[str, Any]:
    """Return how the viewer's plans stand, the newest first, and the last nets of the city."""
    asked = {"city": viewer.city_id, "user": viewer.user_id, "most": MOST_PLANS}
    return {
        "plans": [dict(row._mapping) for row in session.execute(_PLANS, asked)],
        "nets": [dict(row._mapping) for row in session.execute(_NETS, asked)],
    }
