"""Teams: grids with all who hold posts in them, vacancies first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import NotFoundError
from geo.store import rights
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.store.office import grid_within_reach, roles
from geo.tables import NetGrid, Post, Worker


@dataclass(frozen=True)
class TeamFilter:
    """What the list of teams is narrowed by."""

    q: str | None = None
    role: str | None = None
    vacant: bool = False


def teams(
    session: Session,
    viewer: Viewer,
    at: Moment,
    seen: ColumnElement[bool],
    narrow: TeamFilter,
    *,
    limit: int = 40,
    offset: int = 0,
) -> tuple[list[dict[str, Any]], int]:
    """Return grids with the posts in them, those with vacant ones first, and how many there are.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no posts.
    """
    rights.demand(viewer, rights.POSTING)
    statement = (
        select(
            NetGrid.grid_id.label("grid"),
            NetGrid.name,
            NetGrid.code,
            NetGrid.level,
            *(getattr(NetGrid, f"area_{level}") for level in range(1, 7)),
            func.count().over().label("all"),
        )
        .join(Post, and_(Post.city_id == NetGrid.city_id, Post.grid_id == NetGrid.grid_id))
        .where(of_net(NetGrid, at), rights.in_reach(NetGrid, viewer), _open_on(at))
        .group_by(NetGrid.city_id, NetGrid.grid_id, NetGrid.from_seq)
        .order_by(_vacant().desc(), NetGrid.code, NetGrid.grid_id)
        .limit(limit)
        .offset(offset)
    )
    if narrow.q:
        named = NetGrid.name.contains(narrow.q, autoescape=True)
        statement = statement.where(or_(named, NetGrid.code.startswith(narrow.q, autoescape=True)))
    if narrow.role:
        statement = statement.where(Post.role == narrow.role)
    if narrow.vacant:
        statement = statement.having(_vacant() > 0)
    rows = session.execute(statement).all()
    found = [dict(row._mapping) for row in rows]
    held = posts_in(session, at, seen, [row["grid"] for row in found])
    names = _names(session, at, rows)
    for row in found:
        line = [row.pop(f"area_{level}") for level in range(1, 7)]
        row["path"] = [names[one] for one in line if one and one != row["grid"] and one in names]
        row["posts"] = held.get(row["grid"], [])
        row["vacant"] = sum(post["vacant"] for post in row["posts"])
    return found, rows[0].all if rows else 0


def _vacant() -> ColumnElement[int]:
    return func.count().filter(Post.worker_id.is_(None))


def _open_on(at: Moment) -> ColumnElement[bool]:
    """Return the condition of posts that are not over on the day; those to come belong to it."""
    own_city: ColumnElement[bool] = Post.city_id == at.city_id
    return and_(own_city, or_(Post.valid_to.is_(None), Post.valid_to > at.day))


def _names(session: Session, at: Moment, rows: Sequence[Any]) -> dict[int, str]:
    ids = {getattr(row, f"area_{level}") for row in rows for level in range(1, 7)} - {None}
    found = session.execute(
        select(NetGrid.grid_id, NetGrid.name).where(of_net(NetGrid, at), NetGrid.grid_id.in_(ids))
    )
    return {row.grid_id: row.name for row in found}


def posts_in(
    session: Session, at: Moment, seen: ColumnElement[bool], grids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    """Return the posts of grids that are not over, heads and full-time ones first."""
    rows = session.execute(
        select(
            Post.post_id.label("post"),
            Post.grid_id,
            Post.role,
            Post.worker_id.label("worker"),
            Worker.name,
            Post.duty_number,
            Post.part_time,
            Post.valid_from,
            Post.valid_to,
            Post.stand_in_for,
            Post.worker_id.is_(None).label("vacant"),
        )
        .outerjoin(
            Worker, and_(Worker.city_id == Post.city_id, Worker.worker_id == Post.worker_id, seen)
        )
        .where(_open_on(at), Post.grid_id.in_(list(grids)))
        .order_by(
            Post.grid_id, Post.post_id
        )
    )  # fmt: skip
    found: dict[int, list[dict[str, Any]]] = {}
    order = list(roles(at))
    for row in rows:
        post = dict(row._mapping)
        post["last_day"] = post["valid_to"] - timedelta(days=1) if post["valid_to"] else None
        post["to_come"] = post["valid_from"] > at.day
        found.setdefault(post.pop("grid_id"), []).append(post)
    for team in found.values():
        rank = {post["post"]: post["vacant"] for post in team}
        team.sort(
            key=lambda post: (
                not rank.get(post["stand_in_for"] or post["post"], False),
                order.index(post["role"]) if post["role"] in order else len(order),
                post["part_time"] and post["stand_in_for"] is None,
                post["stand_in_for"] or post["post"],
                post["stand_in_for"] is not None,
            )
        )
    return found


def one_team(
    session: Session, viewer: Viewer, at: Moment, seen: ColumnElement[bool], grid: int
) -> dict[str, Any]:
    """Return one grid in the viewer's reach with the posts in it.

    Raises
    ------
    InvalidInputError
        If the day's net has no such grid in the viewer's area.
    """
    row = grid_within_reach(session, viewer, at, grid)
    held = posts_in(session, at, seen, [grid]).get(grid, [])
    return {"grid": row.grid_id, "name": row.name, "code": row.code, "posts": held}


def grid_of_post(session: Session, viewer: Viewer, post: int) -> int:
    """Return the grid of a post that the viewer keeps.

    Raises
    ------
    NotFoundError
        If the viewer's area has no such post.
    """
    city_id = rights.demand(viewer, rights.POSTING)
    found = session.scalar(
        select(Post.grid_id).where(
            Post.city_id == city_id, Post.post_id == post, rights.in_reach(Post, viewer)
        )
    )
    if found is None:
        raise NotFoundError(f"There is no post {post} in your area.", post=post)
    return found
