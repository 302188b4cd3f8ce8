"""The office's book: workers, dated posts and stand-ins; each change is a row of the log.

A post that ends is closed, never deleted. Whoever takes a post over on a day closes the row before
and opens a new one; on the first day of a row, the row itself is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, insert, or_, select, text, update
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, InvalidInputError, NotFoundError
from geo.profiles import load_profile
from geo.store import audit, rights
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.tables import NetGrid, Post, Worker

NUMBERING: Final = 7_229_101
"""First half of the advisory lock under which numbers of a city's workers and posts are given."""
LONGEST_NAME: Final = 100
LONGEST_NUMBER: Final = 40
UNCHANGED: Final = object()
BATCH: Final = "wangge.batch"
"""Set in a session's `info` while a batch runs: then the log gets one row, not one for each."""


@dataclass(frozen=True)
class NewPost:
    """What a post begins with."""

    grid: int
    role: str
    worker: int | None = None
    duty_number: str | None = None
    part_time: bool = False
    valid_from: date | None = None
    valid_to: date | None = None


# ---- what everything needs -----------------------------------------------------------------------


def clean(text: str | None, field: str, longest: int = LONGEST_NAME) -> str:
    """Return a text without blanks around it.

    Raises
    ------
    InvalidInputError
        If nothing is left, it is too long or has control characters.
    """
    kept = (text or "").strip()
    if not kept:
        raise InvalidInputError(f"The field {field} is empty.", field=field, reason="empty")
    if len(kept) > longest or not kept.isprintable():
        raise InvalidInputError(
            f"The field {field} takes at most {longest} characters in one line.",
            field=field,
            reason="too_long",
            most=longest,
        )
    return kept


def optional(text: str | None, field: str, longest: int = LONGEST_NUMBER) -> str | None:
    """Return a text without blanks around it, None for an empty one."""
    return clean(text, field, longest) if (text or "").strip() else None


def day_after(last_day: date | None) -> date | None:
    """Return the first day on which something does not last any more."""
    return last_day + timedelta(days=1) if last_day and last_day < date.max else last_day


def numbers(session: Session, city_id: int, column: Any, count: int = 1) -> range:
    """Return the next free numbers of a table of the city; others wait until this one ends."""
    lock = text("SELECT pg_advisory_xact_lock(:lock, :city)")
    session.execute(lock, {"lock": NUMBERING, "city": city_id})
    last = session.scalar(select(func.max(column)).where(column.class_.city_id == city_id))
    return range((last or 0) + 1, (last or 0) + 1 + count)


def roles(at: Moment) -> dict[str, tuple[str, str]]:
    """Return the roles of posts with their Chinese and English names."""
    return {one.code: (one.name.zh, one.name.en) for one in load_profile(at.profile).roles}


def grid_within_reach(session: Session, viewer: Viewer, at: Moment, grid: int) -> Any:
    """Return a grid of the day's net that the viewer may act in.

    Raises
    ------
    InvalidInputError
        If the net has no such grid, or it lies elsewhere.
    """
    found = session.execute(
        select(NetGrid.grid_id, NetGrid.name, NetGrid.code, NetGrid.level).where(
            of_net(NetGrid, at), NetGrid.grid_id == grid, rights.in_reach(NetGrid, viewer)
        )
    ).one_or_none()
    if found is None:
        raise _no_grid(grid)
    return found


def grid_of_code(session: Session, viewer: Viewer, at: Moment, code: str) -> Any:
    """Return a grid by its code, or by its name where one grid alone has it.

    Raises
    ------
    InvalidInputError
        If there is none that the viewer may act in, or several have this name.
    """
    wanted = clean(code, "grid")
    found = session.execute(
        select(NetGrid.grid_id, NetGrid.name, NetGrid.code, NetGrid.level)
        .where(
            of_net(NetGrid, at),
            or_(NetGrid.code == wanted, NetGrid.name == wanted),
            rights.in_reach(NetGrid, viewer),
        )
        .limit(2)
    ).all()
    if not found:
        raise _no_grid(wanted)
    if len(found) > 1:
        raise InvalidInputError(
            f"Several grids are named '{wanted}'; give the code.",
            field="grid",
            reason="several_grids",
            value=wanted,
        )
    return found[0]


def _no_grid(value: object) -> InvalidInputError:
    return InvalidInputError(
        f"There is no grid {value} in your area today.",
        field="grid",
        reason="no_grid",
        value=str(value),
    )


# ---- workers -------------------------------------------------------------------------------------


def create_worker(
    session: Session, viewer: Viewer, name: str | None, *, name_consent: bool = False
) -> int:
    """Enter a worker; return the number.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no workers.
    InvalidInputError
        If the name is empty or too long.
    """
    city_id = rights.demand(viewer, rights.OFFICE)
    values = {"name": clean(name, "name"), "name_consent": name_consent}
    worker = numbers(session, city_id, Worker.worker_id)[0]
    session.execute(insert(Worker).values(city_id=city_id, worker_id=worker, **values))
    if not session.info.get(BATCH):
        what = {"consent": name_consent}
        audit.append(session, city_id, "worker.created", f"worker/{worker}", what)
    return worker


def change_worker(
    session: Session,
    viewer: Viewer,
    worker: int,
    *,
    name: str | None = None,
    name_consent: bool | None = None,
) -> None:
    """Correct a worker's name or consent; what is None stays.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no workers.
    NotFoundError
        If the city has no such worker.
    InvalidInputError
        If the name is empty or too long.
    """
    city_id = rights.demand(viewer, rights.OFFICE)
    values: dict[str, Any] = {} if name is None else {"name": clean(name, "name")}
    if name_consent is not None:
        values["name_consent"] = name_consent
    if not values:
        return
    changed = session.execute(
        update(Worker)
        .where(Worker.city_id == city_id, Worker.worker_id == worker)
        .values(**values)
        .returning(Worker.worker_id)
    ).all()
    if not changed:
        raise NotFoundError(f"There is no worker {worker}.", worker=worker)
    what = {"fields": sorted(values)} | (
        {"consent": name_consent} if name_consent is not None else {}
    )
    audit.append(session, city_id, "worker.changed", f"worker/{worker}", what)


def worker_of(session: Session, viewer: Viewer, seen: ColumnElement[bool], wish: str | None) -> int:
    """Return the worker whose number, with or without the name behind it, or whose name this is.

    Raises
    ------
    InvalidInputError
        If the viewer sees nobody or several of this name.
    """
    wanted = clean(wish, "worker")
    number = wanted.partition(" ")[0].removeprefix("#")
    named = Worker.worker_id == int(number) if _is_number(number) else Worker.name == wanted
    found = session.scalars(
        select(Worker.worker_id).where(Worker.city_id == viewer.city_id, named, seen).limit(2)
    ).all()
    if len(found) == 1:
        return found[0]
    reason = "several_workers" if found else "no_worker"
    raise InvalidInputError(
        f"'{wanted}' names {'several workers' if found else 'no worker of your area'}.",
        field="worker",
        reason=reason,
        value=wanted,
    )


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= 18


def find_workers(
    session: Session, viewer: Viewer, seen: ColumnElement[bool], wish: str, *, limit: int = 20
) -> list[dict[str, Any]]:
    """Return workers whose name or number begins like this, for the choice in a form.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no posts.
    """
    city_id = rights.demand(viewer, rights.POSTING)
    wanted = wish.strip()
    if not wanted or not wanted.isprintable():
        return []
    named = Worker.name.contains(wanted, autoescape=True)
    if _is_number(wanted):
        named = or_(named, Worker.worker_id == int(wanted))
    rows = session.execute(
        select(Worker.worker_id.label("worker"), Worker.name)
        .where(Worker.city_id == city_id, seen, named)
        .order_by(Worker.name, Worker.worker_id)
        .limit(limit)
    )
    found = [dict(row._mapping) for row in rows]
    audit.append(session, city_id, "workers.read", "workers", {"rows": len(found), "by": "search"})
    return found


# ---- posts ---------------------------------------------------------------------------------------


def _post(session: Session, viewer: Viewer, post: int) -> Any:
    """Return a post that the viewer keeps, locked.

    Raises
    ------
    NotFoundError
        If there is none, or it lies elsewhere.
    """
    city_id = rights.demand(viewer, rights.POSTING)
    found = session.scalars(
        select(Post)
        .where(Post.city_id == city_id, Post.post_id == post, rights.in_reach(Post, viewer))
        .with_for_update()
    ).one_or_none()
    if found is None:
        raise NotFoundError(f"There is no post {post} in your area.", post=post)
    return found


def create_post(
    session: Session, viewer: Viewer, at: Moment, new: NewPost, *, stand_in_for: int | None = None
) -> int:
    """Open a post from a day on, vacant or held; return its number.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no posts.
    InvalidInputError
        If grid, role or dates cannot be used; `field` names it.
    ConflictError
        If the worker holds this very post already.
    """
    city_id = rights.demand(viewer, rights.POSTING)
    grid_within_reach(session, viewer, at, new.grid)
    if new.role not in roles(at):
        raise InvalidInputError(
            f"There is no role '{new.role}'.", field="role", reason="no_role", value=new.role
        )
    begins = new.valid_from or at.day
    _demand_order(begins, new.valid_to)
    if new.worker is not None:
        _demand_free(session, city_id, new, begins)
    post = numbers(session, city_id, Post.post_id)[0]
    values = {
        "grid_id": new.grid,
        "role": new.role,
        "worker_id": new.worker,
        "duty_number": optional(new.duty_number, "duty_number"),
        "part_time": new.part_time,
        "valid_from": begins,
        "valid_to": new.valid_to,
        "stand_in_for": stand_in_for,
    }
    session.execute(insert(Post).values(city_id=city_id, post_id=post, **values))
    _note(session, city_id, "post.created", post, values)
    return post


def _demand_order(begins: date, ends: date | None) -> None:
    for day, field in ((begins, "valid_from"), (ends, "last_day")):
        if day is not None and not 1900 <= day.year <= 2999:
            raise InvalidInputError(
                "A date lies between 1900 and 2999.", field=field, reason="no_date"
            )
    if ends is not None and ends <= begins:
        raise InvalidInputError(
            "The last day comes before the first.", field="last_day", reason="dates"
        )


def _demand_free(session: Session, city_id: int, new: NewPost, begins: date) -> None:
    lasts = or_(Post.valid_to.is_(None), Post.valid_to > begins)
    begun = Post.valid_from < new.valid_to if new.valid_to else Post.valid_from.is_not(None)
    held = session.scalar(
        select(Post.post_id).where(
            Post.city_id == city_id, Post.worker_id == new.worker, Post.grid_id == new.grid,
            Post.role == new.role, lasts, begun,
        ).limit(1)
    )  # fmt: skip
    if held is not None:
        raise ConflictError(
            f"Worker {new.worker} holds this post already (post {held}).",
            field="worker",
            reason="held_already",
            value=str(held),
        )


def assign(session: Session, viewer: Viewer, post: int, worker: int | None, day: date) -> int:
    """Give a post to a worker, or make it vacant, from a day on; return the post's number then.

    Raises
    ------
    NotFoundError
        If there is no such post in the viewer's area.
    InvalidInputError
        If the post does not exist on that day.
    ConflictError
        If the worker holds it already.
    """
    row = _post(session, viewer, post)
    _demand_lasting(row, day)
    if row.worker_id == worker:
        return post
    new = NewPost(row.grid_id, row.role, worker, row.duty_number, row.part_time, day, row.valid_to)
    if worker is not None:
        _demand_free(session, row.city_id, new, day)
    if day == row.valid_from:
        row.worker_id = worker
        session.flush()
        what = {"worker_id": worker, "valid_from": day}
        _note(session, row.city_id, "post.assigned", post, what)
        return post
    row.valid_to = day
    session.flush()
    following = numbers(session, row.city_id, Post.post_id)[0]
    values = {
        "grid_id": row.grid_id, "role": row.role, "worker_id": worker,
        "duty_number": row.duty_number, "part_time": row.part_time, "valid_from": day,
        "valid_to": new.valid_to, "stand_in_for": None,
    }  # fmt: skip
    session.execute(insert(Post).values(city_id=row.city_id, post_id=following, **values))
    _note(session, row.city_id, "post.assigned", following, values | {"follows": post})
    return following


def _demand_lasting(row: Any, day: date) -> None:
    _demand_order(day, None)
    if day < row.valid_from or (row.valid_to is not None and day >= row.valid_to):
        raise InvalidInputError(
            f"Post {row.post_id} does not exist on {day}.",
            field="day",
            reason="not_on_day",
            value=day.isoformat(),
        )


def end_post(session: Session, viewer: Viewer, post: int, last_day: date) -> None:
    """Close a post after its last day; its row stays.

    Raises
    ------
    NotFoundError
        If there is no such post in the viewer's area.
    InvalidInputError
        If the last day comes before its first.
    """
    row = _post(session, viewer, post)
    _demand_order(row.valid_from, day_after(last_day))
    row.valid_to = day_after(last_day)
    session.flush()
    _note(session, row.city_id, "post.ended", post, {"valid_to": row.valid_to})


def change_post(
    session: Session,
    viewer: Viewer,
    post: int,
    *,
    duty_number: Any = UNCHANGED,
    part_time: bool | None = None,
) -> None:
    """Correct what a post says of itself: its duty number, whether it is part-time.

    Raises
    ------
    NotFoundError
        If there is no such post in the viewer's area.
    InvalidInputError
        If the duty number is too long.
    """
    row = _post(session, viewer, post)
    changed: dict[str, Any] = {}
    if duty_number is not UNCHANGED:
        row.duty_number = changed["duty_number"] = optional(duty_number, "duty_number")
    if part_time is not None:
        row.part_time = changed["part_time"] = part_time
    session.flush()
    _note(session, row.city_id, "post.changed", post, changed)


def stand_in(
    session: Session,
    viewer: Viewer,
    at: Moment,
    post: int,
    worker: int,
    begins: date,
    last_day: date,
    *,
    duty_number: str | None = None,
) -> int:
    """Let a worker stand in for a post, first and last day included; return the new post.

    Raises
    ------
    NotFoundError
        If there is no such post in the viewer's area.
    InvalidInputError
        If the days contradict each other or the post.
    ConflictError
        If the worker holds a post of this role in this grid already.
    """
    row = _post(session, viewer, post)
    if row.stand_in_for is not None:
        raise InvalidInputError(
            "A stand-in has no stand-in.", field="post", reason="stands_in_already"
        )
    _demand_lasting(row, begins)
    if row.worker_id == worker:
        raise ConflictError(
            "The holder cannot stand in.", field="worker", reason="held_already", value=str(post)
        )
    ends = day_after(last_day)
    new = NewPost(row.grid_id, row.role, worker, duty_number or row.duty_number, True, begins, ends)
    return create_post(session, viewer, at, new, stand_in_for=post)


def _note(session: Session, city_id: int, action: str, post: int, what: dict[str, Any]) -> None:
    if session.info.get(BATCH):
        return
    payload = {
        key: value.isoformat() if isinstance(value, date) else value for key, value in what.items()
    }
    audit.append(session, city_id, action, f"post/{post}", payload)
