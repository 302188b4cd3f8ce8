"""Posts of grids that a plan ends: each goes to another grid, or is said to be vacant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import InvalidInputError, PostsUnsettledError
from geo.saying import phrase
from geo.store.drafts import rows, states
from geo.store.drafts.rows import Draft, draft_of

MOST_POSTS: Final = 2_000

# A grid that the base net itself has ended is none that the plan ends: that net says where its
# posts go, and until its day they still stand there.

_CONCERNED: Final = text("""
    SELECT p.post_id AS post, p.grid_id AS grid, g.name AS grid_name, p.role, p.worker_id AS worker,
        p.part_time, x.post_id IS NOT NULL AS settled, t.grid_id AS to_grid
    FROM plan_grid AS g
    JOIN post AS p ON p.city_id = g.city_id AND p.grid_id = g.grid_id
    JOIN city AS c ON c.city_id = p.city_id
    LEFT JOIN plan_post AS x ON x.city_id = g.city_id AND x.plan_id = g.plan_id
        AND x.post_id = p.post_id
    LEFT JOIN plan_grid AS t ON t.city_id = x.city_id AND t.plan_id = x.plan_id
        AND t.grid_id = x.to_grid
    JOIN net_grid AS b ON b.city_id = g.city_id AND b.grid_id = g.grid_id
        AND b.from_seq <= :base AND :base < b.to_seq
    WHERE g.city_id = :city AND g.plan_id = :plan AND g.ended
        AND (p.valid_to IS NULL
             OR p.valid_to > (statement_timestamp() AT TIME ZONE c.timezone)::date)
        AND (x.post_id IS NULL OR x.to_grid IS NULL OR NOT t.ended OR CAST(:all AS boolean))
    ORDER BY p.grid_id, p.post_id
""")
_UNSETTLED: Final = text("""
    SELECT p.post_id FROM plan_grid AS g
    JOIN post AS p ON p.city_id = g.city_id AND p.grid_id = g.grid_id
    JOIN city AS c ON c.city_id = p.city_id
    JOIN net_grid AS b ON b.city_id = g.city_id AND b.grid_id = g.grid_id
        AND b.from_seq <= :base AND :base < b.to_seq
    WHERE g.city_id = :city AND g.plan_id = :plan AND g.ended
        AND (p.valid_to IS NULL
             OR p.valid_to > (statement_timestamp() AT TIME ZONE c.timezone)::date)
        AND NOT EXISTS (
            SELECT FROM plan_post AS x
            LEFT JOIN plan_grid AS t ON t.city_id = x.city_id AND t.plan_id = x.plan_id
                AND t.grid_id = x.to_grid
            WHERE x.city_id = g.city_id AND x.plan_id = g.plan_id AND x.post_id = p.post_id
                AND (x.to_grid IS NULL OR NOT t.ended))
    ORDER BY p.post_id
""")
_PROPOSED: Final = text("""
    WITH RECURSIVE gone AS (
        SELECT g.grid_id AS top, g.grid_id, g.level FROM plan_grid AS g
        WHERE g.city_id = :city AND g.plan_id = :plan AND g.ended
        UNION
        SELECT o.top, g.grid_id, o.level FROM gone AS o
        JOIN net_grid AS g ON g.city_id = :city AND g.parent_id = o.grid_id
            AND g.from_seq <= :base AND :base < g.to_seq
    ), went AS (
        SELECT o.top, o.level, coalesce(d.grid_id, n.grid_id) AS grid_id,
            sum(coalesce(v.value, 0)) AS households, count(*) AS cells
        FROM gone AS o
        CROSS JOIN LATERAL (
            SELECT x.cell_id, x.grid_id FROM net_cell AS x WHERE x.city_id = :city
                AND x.grid_id = o.grid_id AND x.from_seq <= :base AND :base < x.to_seq
            OFFSET 0) AS n
        LEFT JOIN LATERAL (
            SELECT x.grid_id FROM plan_cell AS x WHERE x.city_id = :city AND x.plan_id = :plan
                AND x.cell_id = n.cell_id OFFSET 0) AS d ON true
        LEFT JOIN LATERAL (
            SELECT x.value FROM cell_value AS x WHERE x.city_id = :city AND x.cell_id = n.cell_id
                AND x.measure = 'households' AND x.vintage = (
                    SELECT y.vintage FROM vintage AS y WHERE y.city_id = :city AND NOT y.seasonal
                    ORDER BY y.taken_on DESC, y.vintage LIMIT 1)
            OFFSET 0) AS v ON true
        GROUP BY o.top, o.level, coalesce(d.grid_id, n.grid_id)
    ), up AS (
        SELECT w.top, w.level, w.households, w.cells, g.grid_id, g.level AS at, g.parent_id
        FROM went AS w JOIN plan_grid AS g ON g.city_id = :city AND g.plan_id = :plan
            AND g.grid_id = w.grid_id AND NOT g.ended AND g.kind <> 'reserve'
        UNION ALL
        SELECT u.top, u.level, u.households, u.cells, g.grid_id, g.level, g.parent_id
        FROM up AS u JOIN plan_grid AS g ON g.city_id = :city AND g.plan_id = :plan
            AND g.grid_id = u.parent_id
        WHERE u.at > u.level
    )
    SELECT DISTINCT ON (top) top, grid_id FROM up WHERE at <= level
    GROUP BY top, grid_id
    ORDER BY top, sum(households) DESC, sum(cells) DESC, grid_id
""")
"""Households are looked up cell by cell (`OFFSET 0` keeps it so): few cells change hands."""
_PUT: Final = text("""
    INSERT INTO plan_post (city_id, plan_id, post_id, to_grid)
    VALUES (:city, :plan, :post, :to)
    ON CONFLICT (city_id, plan_id, post_id) DO UPDATE SET to_grid = excluded.to_grid
""")
_STANDS: Final = text("""
    SELECT grid_id FROM plan_grid
    WHERE city_id = :city AND plan_id = :plan AND NOT ended AND kind <> 'reserve'
        AND grid_id = ANY (:grids)
""")


def successors(session: Session, draft: Draft) -> dict[int, int]:
    """Return for each grid that a plan ends the one to which most of its households go.

    Of its own level, or the leaf above it where there is none.
    """
    return {int(gone): int(grid) for gone, grid in session.execute(_PROPOSED, draft.known())}


def posts(session: Session, viewer: Viewer, plan_id: int) -> list[dict[str, Any]]:
    """Return the posts of grids that a plan ends, with what is said of each and proposed for it.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    draft = draft_of(rows.find(session, viewer, plan_id))
    proposed = successors(session, draft)
    open_ = set(unsettled(session, draft))
    return [
        {
            **dict(row), "settled": row["post"] not in open_, "proposed": proposed.get(row["grid"]),
        }
        for row in session.execute(_CONCERNED, draft.known(all=True)).mappings()
    ]  # fmt: skip


def settle(
    session: Session, viewer: Viewer, plan_id: int, wishes: Mapping[int, int | None]
) -> None:
    """Say where posts go; the plan is a draft again, since this is part of what is approved.

    Parameters
    ----------
    wishes : mapping of int to int or None
        Post -> grid of the plan; None says that it becomes vacant.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError
        If the viewer is no member, may not draw, or the plan is no draft.
    InvalidInputError
        If the plan does not end the post's grid, or has no such grid to go to.
    """
    draft = rows.drawn_on(session, viewer, plan_id)
    if len(wishes) > MOST_POSTS:
        raise InvalidInputError(
            phrase("At most %(most)s posts at once.", most=MOST_POSTS), field="posts"
        )
    known = {row.post for row in session.execute(_CONCERNED, draft.known(all=True))}
    strangers = sorted(set(wishes) - known)
    if strangers:
        message = phrase("The plan does not end the grid of post %(post)s.", post=strangers[0])
        raise InvalidInputError(message, field="posts", posts=strangers[:100])
    wanted = sorted({grid for grid in wishes.values() if grid is not None})
    missing = set(wanted) - set(session.scalars(_STANDS, draft.known(grids=wanted)))
    if missing:
        message = phrase("The plan has no grid %(grid)s to go to.", grid=min(missing))
        raise InvalidInputError(message, field="posts", grids=sorted(missing)[:100])
    for post, grid in sorted(wishes.items()):
        session.execute(_PUT, draft.known(post=post, to=grid))
    told = {str(post): grid for post, grid in sorted(wishes.items())}
    states.note(session, viewer, plan_id, "plan.posts", told)


def unsettled(session: Session, draft: Draft) -> list[int]:
    """Return the posts of ended grids of which nobody has said where they go."""
    return [int(post) for post in session.scalars(_UNSETTLED, draft.known())]


def demand_settled(session: Session, draft: Draft) -> None:
    """Refuse a plan that ends grids whose posts have neither a successor nor are vacant.

    Raises
    ------
    PostsUnsettledError
        `posts` names them.
    """
    open_ = unsettled(session, draft)
    if open_:
        message = phrase(
            "%(n)s post(s) of grids that this plan ends have no successor: say where they go, or"
            " that they become vacant.",
            n=len(open_),
        )
        raise PostsUnsettledError(message, posts=open_[:100], plan=draft.plan_id)
