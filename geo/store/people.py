"""Posts on a day and the workers who hold them; names only where the viewer may see the worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, and_, literal, or_, select
from sqlalchemy.orm import Session

from geo.store.grids import of_net, within
from geo.store.nets import Moment
from geo.store.paging import Key, Order, Page, Statement
from geo.tables import NetGrid, Post, Worker


@dataclass(frozen=True)
class PostFilter:
    """What a list of posts is narrowed by: a grid with all below it, a role, vacancies alone."""

    grid: int | None = None
    role: str | None = None
    vacant: bool | None = None


def on_day(at: Moment) -> ColumnElement[bool]:
    """Return the condition of posts that exist on the day; their last day is excluded."""
    own_city: ColumnElement[bool] = Post.city_id == at.city_id
    lasts = or_(Post.valid_to.is_(None), Post.valid_to > at.day)
    return and_(own_city, Post.valid_from <= at.day, lasts)


def _posts(at: Moment, seen: ColumnElement[bool]) -> Statement:
    """Return the statement of posts on the day; `seen` decides whose name is shown."""
    statement: Statement = (
        select(
            Post.post_id.label("post"),
            Post.grid_id.label("grid"),
            NetGrid.name.label("grid_name"),
            NetGrid.code.label("grid_code"),
            NetGrid.level,
            Post.role,
            Post.duty_number,
            Worker.name,
            Post.part_time,
            Post.worker_id.is_(None).label("vacant"),
            Post.valid_from,
            Post.valid_to,
            Post.stand_in_for,
        )
        .join(NetGrid, and_(NetGrid.city_id == Post.city_id, NetGrid.grid_id == Post.grid_id))
        .outerjoin(
            Worker,
            and_(Worker.city_id == Post.city_id, Worker.worker_id == Post.worker_id, seen),
        )
        .where(on_day(at), of_net(NetGrid, at))
    )
    return statement


def posts(
    session: Session,
    at: Moment,
    narrow: PostFilter,
    seen: ColumnElement[bool],
    *,
    limit: int = 100,
    after: str | None = None,
) -> Page[dict[str, Any]]:
    """Return a page of the posts on the day, in the order of their grids.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    statement = _posts(at, seen)
    if narrow.grid is not None:
        statement = statement.where(within(narrow.grid))
    if narrow.role is not None:
        statement = statement.where(Post.role == narrow.role)
    if narrow.vacant is not None:
        held = Post.worker_id.is_not(None)
        statement = statement.where(Post.worker_id.is_(None) if narrow.vacant else held)
    question = {"list": "posts", "narrow": vars(narrow), "day": at.day, "seq": at.seq}
    order = Order((Key(Post.grid_id, int), Key(Post.post_id, int)), question)
    return order.fetch(session, statement, limit=limit, after=after)


def posts_of(
    session: Session, at: Moment, grids: Sequence[int], seen: ColumnElement[bool]
) -> list[dict[str, Any]]:
    """Return the posts on the day in these very grids, in the order of `grids`, heads first."""
    rows = session.execute(
        _posts(at, seen).where(Post.grid_id.in_(list(grids))).order_by(Post.part_time, Post.post_id)
    )
    found = [dict(row) for row in rows.mappings()]
    return sorted(found, key=lambda post: grids.index(post["grid"]))


def workers(
    session: Session,
    at: Moment,
    seen: ColumnElement[bool],
    areas: Sequence[int] | None,
    *,
    q: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> Page[dict[str, Any]]:
    """Return a page of workers with their posts on the day, in two statements.

    Parameters
    ----------
    session : Session
    at : Moment
    seen : ColumnElement
        Which workers the viewer may see.
    areas : sequence of int, optional
        Only workers of these grids and of those below them.
    q : str, optional
        Part of the name, or the worker's number.
    limit : int
    after : str, optional
        Cursor of the page before.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    statement = select(Worker.worker_id.label("worker"), Worker.name, Worker.name_consent).where(
        Worker.city_id == at.city_id, seen
    )
    if areas is not None:
        held = literal(list(areas), ARRAY(BigInteger))
        statement = statement.where(Worker.areas.op("&&")(held))
    if q:
        named = Worker.name.contains(q, autoescape=True)
        numbered = q.isascii() and q.isdecimal() and len(q) <= 18
        statement = statement.where(or_(named, Worker.worker_id == int(q)) if numbered else named)
    order = Order((Key(Worker.worker_id, int),), {"list": "workers", "areas": areas, "q": q})
    page = order.fetch(session, statement, limit=limit, after=after)
    held_by = _held_by(session, at, [row["worker"] for row in page.items])
    return Page([{**row, "posts": held_by.get(row["worker"], [])} for row in page.items], page.next)


def _held_by(
    session: Session, at: Moment, workers: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    rows = session.execute(
        select(
            Post.worker_id,
            Post.post_id.label("post"),
            Post.grid_id.label("grid"),
            NetGrid.name.label("grid_name"),
            Post.role,
            Post.duty_number,
            Post.part_time,
        )
        .outerjoin(
            NetGrid,
            and_(
                NetGrid.city_id == Post.city_id,
                NetGrid.grid_id == Post.grid_id,
                of_net(NetGrid, at),
            ),
        )
        .where(on_day(at), Post.worker_id.in_(list(workers)))
        .order_by(Post.post_id)
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        post = dict(row._mapping)
        found.setdefault(post.pop("worker_id"), []).append(post)
    return found
