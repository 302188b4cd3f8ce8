"""Posts and who holds them: a file's rows go into the roster, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from sqlalchemy import and_, or_, select, text, true

from geo import saying, sheets
from geo.db import Viewer
from geo.errors import DeliveryError
from geo.findings import Finding, Findings
from geo.importing.columns import column
from geo.importing.differences import Difference
from geo.saying import phrase
from geo.store import nets, office, roster
from geo.store.grids import of_net
from geo.store.importing.plans import Plan, Task
from geo.tables import NetGrid, Post, Worker
from geo.terms import Role

NAMED: Final[Mapping[str, str]] = {"worker_name": "name", "valid_to": "last_day"}
"""Column of a delivery -> column of the roster, where they differ."""

_PLACED: Final = text(
    """
    UPDATE post AS p
    SET area_1 = g.area_1, area_2 = g.area_2, area_3 = g.area_3, area_4 = g.area_4,
        area_5 = g.area_5, area_6 = g.area_6
    FROM net_grid AS g
    WHERE p.city_id = :city AND p.area_1 IS NULL AND g.city_id = p.city_id
      AND g.grid_id = p.grid_id AND g.from_seq <= :seq AND g.to_seq > :seq
    """
)
WHY: Final = {
    "empty": phrase("nothing stands there"),
    "no_grid": phrase("no such grid today"),
    "several_grids": phrase("several grids are called so"),
    "no_worker": phrase("no such worker"),
    "several_workers": phrase("several workers are called so"),
    "no_role": phrase("no such role"),
    "no_date": phrase("no date"),
    "no_truth": phrase("neither yes nor no"),
    "no_post": phrase("no such post"),
    "twice": phrase("it stands in two rows"),
    "other_grid": phrase("the post lies in another grid"),
    "other_role": phrase("the post has another role"),
    "other_name": phrase("the number belongs to somebody else"),
    "dates": phrase("the end comes before the beginning"),
    "held_already": phrase("this worker holds the post already"),
}
"""Why a row of posts cannot be taken."""
CALLED: Final = {
    "grid": phrase("Grid code"),
    "role": phrase("Role"),
    "post": phrase("Post number"),
    "worker": phrase("Worker's name"),
    "name": phrase("Worker's name"),
    "duty_number": phrase("Duty number"),
    "part_time": phrase("Part-time"),
    "valid_from": phrase("From"),
    "last_day": phrase("Until"),
}
"""What the columns of a roster are called."""
OTHERWISE: Final = phrase("it does not fit")
_FOLLOWED: Final = text(
    """
    UPDATE worker AS w SET areas = a.areas
    FROM (
        SELECT x.worker_id, coalesce(array_agg(DISTINCT y.id) FILTER (WHERE y.id IS NOT NULL),
                                     '{}') AS areas
        FROM worker AS x
        LEFT JOIN post AS p ON p.city_id = x.city_id AND p.worker_id = x.worker_id
            AND (p.valid_to IS NULL OR p.valid_to > current_date)
        LEFT JOIN LATERAL unnest(ARRAY[p.area_1, p.area_2, p.area_3, p.area_4, p.area_5, p.area_6])
            AS y (id) ON true
        WHERE x.city_id = :city GROUP BY x.worker_id
    ) AS a
    WHERE w.city_id = :city AND w.worker_id = a.worker_id
      AND NOT (w.areas @> a.areas AND w.areas <@ a.areas)
    """
)


def plan(task: Task) -> Plan:
    """Return what a file of posts would do: rows that cannot be taken keep the whole file out."""
    found = Findings(task.city.metre_srid)
    found.add(task.delivered.findings)
    task.progress("compare", 0.1)
    content = _workbook(task)
    report = _taken(task, content, write=False)
    for row in report.rejected:
        subject = phrase(
            "row %(n)s, %(column)s", n=row.row - 1, column=CALLED.get(row.column, row.column)
        )
        done = phrase(
            "cannot be taken (%(reason)s): '%(value)s'",
            reason=WHY.get(row.reason, OTHERWISE),
            value=row.value,
        )
        found.add([Finding(task.delivered.label, "rejected", subject, done)])
    changed = report.assigned + report.changed + report.ended
    counts = {"new": report.opened, "changed": changed, "same": report.unchanged}
    states = [state for state, number in counts.items() for _ in range(number)]
    table = pd.DataFrame(
        {"state": states, "object_id": pd.array([pd.NA] * len(states), dtype="Int64")}
    )
    rows = gpd.GeoDataFrame(
        {"label": [""] * len(states)}, geometry=[None] * len(states), crs=task.city.metre_srid
    )
    told = {name: value for name, value in asdict(report).items() if name not in ("rejected",)}
    return Plan(
        rows=rows,
        difference=Difference(table, np.empty(0, dtype=np.int64)),
        findings=found,
        figures={"roster": told, "rejected": len(report.rejected)},
        content=content,
    )


def _viewer(task: Task) -> Viewer:
    return Viewer(Role.ADMINISTRATOR, task.city.city_id, task.actor_id)


def _taken(task: Task, content: bytes, *, write: bool) -> roster.Report:
    at = nets.moment(task.session, task.city.city_id)
    return roster.take(task.session, _viewer(task), at, true(), content, write=write)


def _workbook(task: Task) -> bytes:
    """Return the rows as a roster, the posts that stand already named by their numbers."""
    frame = task.delivered.frame
    frame = frame.drop(index=[row for row in task.wish.left_out if row in frame.index])
    frame = frame.drop(columns=frame.geometry.name).rename(columns=dict(NAMED))
    for name, value in task.wish.fixed.items():
        frame[NAMED.get(name, name)] = value
    columns = [str(name) for name in frame.columns if name in roster.COLUMNS]
    table = {name: column(frame, name).tolist() for name in columns}
    spoken = {text.casefold(): word for text, word in task.wish.words.get("role", {}).items()}
    table["role"] = [spoken.get(str(one).casefold(), one) for one in table.get("role", ())]
    if "post" not in table:
        table["post"] = _standing(task, table)
    names = list(table)
    rows: Sequence[Sequence[Any]] = [list(one) for one in zip(*table.values(), strict=True)]
    header = [roster.COLUMNS[name][0] for name in names]
    return sheets.write([sheets.Sheet("岗位", header, rows)])


def _standing(task: Task, table: Mapping[str, list[Any]]) -> list[int | None]:
    """Return the number of the post that each row is already: its grid, role and holder."""
    session, at = task.session, nets.moment(task.session, task.city.city_id)
    words: dict[str, str] = {code: code for code in office.roles(at)}
    for code, names in office.roles(at).items():
        words |= {names[0]: code, names[1].casefold(): code}
    rows = session.execute(
        select(Post.post_id, NetGrid.code, Post.role, Worker.name)
        .join(NetGrid, and_(NetGrid.city_id == Post.city_id, NetGrid.grid_id == Post.grid_id))
        .outerjoin(Worker, and_(Worker.city_id == Post.city_id, Worker.worker_id == Post.worker_id))
        .where(
            Post.city_id == at.city_id,
            or_(Post.valid_to.is_(None), Post.valid_to > at.day),
            Post.stand_in_for.is_(None),
            of_net(NetGrid, at),
        )
        .order_by(Post.post_id)
    )
    known: dict[tuple[Any, ...], list[int]] = {}
    for post, grid_code, held, holder in rows:
        known.setdefault((grid_code, held, holder), []).append(post)
    holders = table.get("name") or [None] * len(table["grid"])
    found: list[int | None] = []
    for grid, role, name in zip(table["grid"], table["role"], holders, strict=True):
        meant = words.get(str(role)) or words.get(str(role).casefold())
        same = known.get((grid, meant, name))
        found.append(same.pop(0) if same else None)
    return found


def write(task: Task, made: Plan) -> dict[str, int]:
    """Write the roster.

    Raises
    ------
    DeliveryError
        If a row cannot be taken.
    """
    if made.figures["rejected"]:
        raise DeliveryError(
            [saying.at(entry.subject, entry.done) for entry in made.findings.entries]
        )
    report = _taken(task, made.content, write=True)
    session, at = task.session, nets.moment(task.session, task.city.city_id)
    session.flush()
    session.execute(_PLACED, {"city": at.city_id, "seq": at.seq})
    session.execute(_FOLLOWED, {"city": at.city_id})
    session.expire_all()
    changed = report.assigned + report.changed + report.ended
    return {"new": report.opened, "changed": changed, "workers": report.new_workers}
