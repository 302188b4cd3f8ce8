"""The roster as a table: posts and who holds them, out to a workbook and in again, whole or not.

A row with a number of a post changes that post; one without opens a post, or fills a vacant one of
this role in this grid. A single row that cannot be taken keeps the whole file out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from geo import sheets
from geo.db import Viewer
from geo.errors import WanggeError
from geo.store import audit, office, rights
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.tables import NetGrid, Post, Worker

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "post": ("岗位号", "post"),
    "grid": ("网格编码", "grid code"),
    "grid_name": ("网格", "grid"),
    "role": ("岗位", "role"),
    "worker": ("人员号", "worker number"),
    "name": ("姓名", "name"),
    "duty_number": ("值班电话", "duty number"),
    "part_time": ("兼职", "part-time"),
    "valid_from": ("起", "from"),
    "last_day": ("止", "until"),
    "stand_in_for": ("代岗于", "stands in for"),
}
"""Columns of the table: their Chinese and English names."""
NEEDED: Final = ("grid", "role")
ONLY_TOLD: Final = ("grid_name", "stand_in_for")
MOST_TOLD: Final = 200
"""Most rejected rows that are listed one by one."""


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be taken: its number in the file, the column, why, what stands there."""

    row: int
    column: str
    reason: str
    value: str


@dataclass
class Report:
    """What was understood of a file."""

    rows: int = 0
    opened: int = 0
    assigned: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0
    new_workers: int = 0
    left_out: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    taken: bool = False


class _RefusedError(Exception):
    """A row cannot be taken."""

    def __init__(self, column: str, reason: str, value: object = "") -> None:
        self.rejected = (column, reason, str(value if value is not None else ""))


def export(
    session: Session, viewer: Viewer, at: Moment, seen: ColumnElement[bool], lang: str
) -> bytes:
    """Return all posts in the viewer's reach as a workbook; the names' reading is logged.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no posts.
    """
    city_id = rights.demand(viewer, rights.POSTING)
    words = office.roles(at)
    column = 0 if lang == "zh" else 1
    statement = (
        select(Post, NetGrid.code, NetGrid.name.label("grid_name"), Worker.name)
        .join(NetGrid, and_(NetGrid.city_id == Post.city_id, NetGrid.grid_id == Post.grid_id))
        .outerjoin(
            Worker, and_(Worker.city_id == Post.city_id, Worker.worker_id == Post.worker_id, seen)
        )
        .where(
            Post.city_id == city_id,
            or_(Post.valid_to.is_(None), Post.valid_to > at.day),
            of_net(NetGrid, at),
            rights.in_reach(Post, viewer),
        )
        .order_by(NetGrid.code, Post.grid_id, Post.post_id)
    )
    rows = []
    for post, code, grid_name, name in session.execute(statement):
        role = words.get(post.role, (post.role, post.role))[column]
        yes = ("是", "yes")[column] if post.part_time else ("否", "no")[column]
        last = post.valid_to - timedelta(days=1) if post.valid_to else None
        rows.append(
            (post.post_id, code, grid_name, role, post.worker_id, name, post.duty_number, yes,
             post.valid_from, last, post.stand_in_for)
        )  # fmt: skip
    audit.append(session, city_id, "workers.read", "workers", {"rows": len(rows), "by": "xlsx"})
    header = [names[column] for names in COLUMNS.values()]
    return sheets.write([sheets.Sheet(("岗位", "Posts")[column], header, rows)])


@dataclass(frozen=True)
class _Known:
    """What rows are compared with."""

    grids: Mapping[str, int]
    roles: Mapping[str, str]
    posts: Mapping[int, Any]
    workers: Mapping[int, str]
    named: Mapping[str, list[int]]
    vacant: Mapping[tuple[int, str], list[Any]]


def _learn(
    session: Session, viewer: Viewer, at: Moment, seen: ColumnElement[bool], city_id: int
) -> _Known:
    grids = session.execute(
        select(NetGrid.code, NetGrid.grid_id).where(
            of_net(NetGrid, at), NetGrid.code.is_not(None), rights.in_reach(NetGrid, viewer)
        )
    )
    posts = session.scalars(
        select(Post).where(
            Post.city_id == city_id,
            or_(Post.valid_to.is_(None), Post.valid_to > at.day),
            rights.in_reach(Post, viewer),
        )
    )
    workers = session.execute(
        select(Worker.worker_id, Worker.name).where(Worker.city_id == city_id, seen)
    )
    found = {row.worker_id: row.name for row in workers}
    named: dict[str, list[int]] = {}
    for worker, name in found.items():
        named.setdefault(name, []).append(worker)
    words = {code: code for code in office.roles(at)}
    for code, names in office.roles(at).items():
        words |= {names[0]: code, names[1].casefold(): code}
    by_number = {post.post_id: post for post in posts}
    vacant: dict[tuple[int, str], list[Any]] = {}
    for post in by_number.values():
        if post.worker_id is None and post.stand_in_for is None:
            vacant.setdefault((post.grid_id, post.role), []).append(post)
    return _Known(
        {str(row.code): row.grid_id for row in grids},
        words,
        by_number,
        found,
        named,
        vacant,
    )


def take(
    session: Session,
    viewer: Viewer,
    at: Moment,
    seen: ColumnElement[bool],
    content: bytes,
    *,
    write: bool,
) -> Report:
    """Read a roster and, if every row can be taken and it is wanted, write it; say what came of it.

    Everything is written within the running transaction's savepoint: whole, or not at all.

    Raises
    ------
    ForbiddenError
        If the viewer keeps no posts.
    InvalidInputError
        If the file is no workbook or lacks a column.
    """
    city_id = rights.demand(viewer, rights.POSTING)
    rows = sheets.read(content)
    places, left_out = sheets.columns(rows[0] if rows else [], COLUMNS, NEEDED)
    report = Report(left_out=left_out)
    known = _learn(session, viewer, at, seen, city_id)
    attempt = session.begin_nested()
    taking = _Taking(session, viewer, at, known, report)
    session.info[office.BATCH] = True
    for number, row in enumerate(rows[1:], 2):
        values = {name: row[place] for name, place in places.items()}
        if all(value in (None, "") for value in values.values()):
            continue
        report.rows += 1
        try:
            with session.begin_nested():
                taking.row(values)
        except _RefusedError as refused:
            report.rejected.append(Rejected(number, *refused.rejected))
        except WanggeError as error:
            column = str(error.data.get("field", ""))
            reason = str(error.data.get("reason", "refused"))
            value = str(error.data.get("value", ""))
            report.rejected.append(Rejected(number, column, reason, value))
    session.info.pop(office.BATCH)
    report.taken = write and not report.rejected and report.rows > 0
    if report.taken:
        attempt.commit()
        what = {
            "sha256": hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest(),
            "rows": report.rows, "opened": report.opened, "assigned": report.assigned,
            "changed": report.changed, "ended": report.ended, "new_workers": report.new_workers,
        }  # fmt: skip
        audit.append(session, city_id, "posts.imported", "posts", what)
    else:
        attempt.rollback()
        session.expire_all()
    return report


class _Taking:
    """One file on its way into the book."""

    def __init__(
        self, session: Session, viewer: Viewer, at: Moment, known: _Known, report: Report
    ) -> None:
        self.session = session
        self.viewer = viewer
        self.at = at
        self.known = known
        self.report = report
        self.made: dict[str, int] = {}
        self.touched: set[int] = set()

    def row(self, values: Mapping[str, Any]) -> None:
        """Take one row, or say why not."""
        grid = self._grid(values)
        role = self._role(values)
        begins, last = self._day(values, "valid_from"), self._day(values, "last_day")
        part_time = self._truth(values)
        duty = office.optional(_text(values.get("duty_number")), "duty_number")
        number = values.get("post")
        if number in (None, ""):
            worker = self._worker(values)
            vacant = self._vacant(grid, role) if worker else None
            if vacant is not None:
                self._keep(vacant, grid, role, worker, duty, part_time, last, begins)
                return
            ends = office.day_after(last)
            new = office.NewPost(grid, role, worker, duty, part_time, begins, ends)
            self.touched.add(office.create_post(self.session, self.viewer, self.at, new))
            self.report.opened += 1
            return
        post = self.known.posts.get(number) if isinstance(number, int) else None
        if post is None:
            raise _RefusedError("post", "no_post", number)
        if post.post_id in self.touched:
            raise _RefusedError("post", "twice", number)
        worker = self._worker(values)
        self._keep(post, grid, role, worker, duty, part_time, last, begins)

    def _keep(
        self, post: Any, grid: int, role: str, worker: int | None, duty: str | None,
        part_time: bool, last: date | None, begins: date | None,
    ) -> None:  # fmt: skip
        """Bring a post that is there to what the row says."""
        if post.grid_id != grid:
            raise _RefusedError("grid", "other_grid", post.post_id)
        if post.role != role:
            raise _RefusedError("role", "other_role", post.post_id)
        self.touched.add(post.post_id)
        number, counted = post.post_id, False
        held = post.worker_id
        if (post.duty_number or None) != duty or post.part_time != part_time:
            office.change_post(
                self.session, self.viewer, number, duty_number=duty, part_time=part_time
            )
            self.report.changed += 1
            counted = True
        if held != worker:
            since = max(self.at.day, begins or self.at.day, post.valid_from)
            number = office.assign(self.session, self.viewer, number, worker, since)
            self.touched.add(number)
            self.report.assigned += 1
            counted = True
        if last is not None and post.valid_to != office.day_after(last):
            office.end_post(self.session, self.viewer, number, last)
            self.report.ended += 1
            counted = True
        self.report.unchanged += not counted

    def _grid(self, values: Mapping[str, Any]) -> int:
        code = _text(values.get("grid"))
        if not code:
            raise _RefusedError("grid", "empty")
        grid = self.known.grids.get(code)
        if grid is None:
            raise _RefusedError("grid", "no_grid", code)
        return grid

    def _role(self, values: Mapping[str, Any]) -> str:
        word = _text(values.get("role"))
        role = self.known.roles.get(word) or self.known.roles.get(word.casefold())
        if role is None:
            raise _RefusedError("role", "no_role" if word else "empty", word)
        return role

    def _day(self, values: Mapping[str, Any], column: str) -> date | None:
        try:
            return sheets.day(values.get(column))
        except ValueError:
            raise _RefusedError(column, "no_date", values.get(column)) from None

    def _truth(self, values: Mapping[str, Any]) -> bool:
        try:
            return sheets.truth(values.get("part_time"))
        except ValueError:
            raise _RefusedError("part_time", "no_truth", values.get("part_time")) from None

    def _worker(self, values: Mapping[str, Any]) -> int | None:
        number, name = values.get("worker"), _text(values.get("name"))
        if number not in (None, ""):
            if not isinstance(number, int) or number not in self.known.workers:
                raise _RefusedError("worker", "no_worker", number)
            if name and self.known.workers[number] != name:
                raise _RefusedError("name", "other_name", name)
            return number
        if not name:
            return None
        found = self.known.named.get(name, [])
        if len(found) > 1:
            raise _RefusedError("name", "several_workers", name)
        if found:
            return found[0]
        if name not in self.made:
            if self.viewer.role not in rights.OFFICE:
                raise _RefusedError("name", "no_worker", name)
            self.made[name] = office.create_worker(self.session, self.viewer, name)
            self.report.new_workers += 1
        return self.made[name]

    def _vacant(self, grid: int, role: str) -> Any | None:
        free = self.known.vacant.get((grid, role), [])
        return next((post for post in free if post.post_id not in self.touched), None)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
