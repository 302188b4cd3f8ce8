"""A plan published: one transaction that leaves the old net or the new one; the owner's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from geo import publishing
from geo.db import Viewer
from geo.errors import (
    HierarchyError,
    InvalidInputError,
    PlanRuleError,
    PlanStateError,
    RebaseNeededError,
)
from geo.grids import AREA_COLUMNS
from geo.profiles import load_profile
from geo.saying import phrase
from geo.seal import SEALED, net_hash
from geo.store import audit, checking, derived
from geo.store.drafts import rows
from geo.store.drafts.rows import Draft
from geo.store.publishing import borders, settling, turning
from geo.store.publishing.content import checked_of, content_of
from geo.tables import City, GridCode, Handover, Level, Net, NetGrid, Plan
from geo.terms import FOREVER, GridKind, PlanState

NETS_LOCK: Final = 7204
"""First half of the advisory lock on the nets of a city; the second is the city."""
OF_GRID: Final = "grid"
OF_POST: Final = "post"

_NETS: Final = text("""
    SELECT max(n.seq) AS newest, max(n.seq) FILTER (WHERE n.cancelled_at IS NULL) AS last,
        max(n.effective_from) FILTER (WHERE n.cancelled_at IS NULL) AS since,
        max((statement_timestamp() AT TIME ZONE c.timezone)::date) AS today
    FROM city AS c LEFT JOIN net AS n ON n.city_id = c.city_id WHERE c.city_id = :city
""")
_MOVED: Final = text("""
    SELECT m.cell_id, x.grid_id AS source, coalesce(d.grid_id, b.grid_id) AS target
    FROM (
        SELECT cell_id FROM plan_cell WHERE city_id = :city AND plan_id = :plan
        UNION
        SELECT cell_id FROM net_cell
        WHERE city_id = :city AND :newest > :base AND from_seq > :base
    ) AS m
    CROSS JOIN LATERAL (
        SELECT n.grid_id FROM net_cell AS n WHERE n.city_id = :city AND n.cell_id = m.cell_id
            AND n.from_seq <= :newest AND :newest < n.to_seq OFFSET 0) AS x
    CROSS JOIN LATERAL (
        SELECT n.grid_id FROM net_cell AS n WHERE n.city_id = :city AND n.cell_id = m.cell_id
            AND n.from_seq <= :base AND :base < n.to_seq OFFSET 0) AS b
    LEFT JOIN LATERAL (
        SELECT p.grid_id FROM plan_cell AS p WHERE p.city_id = :city AND p.plan_id = :plan
            AND p.cell_id = m.cell_id OFFSET 0) AS d ON true
    WHERE x.grid_id <> coalesce(d.grid_id, b.grid_id)
    ORDER BY m.cell_id
""")
"""Looked up cell by cell (`OFFSET 0` keeps it so), whatever the database knows of a new plan."""
_GRIDS_OF_PLAN: Final = text("""
    SELECT g.grid_id, g.level, g.parent_id, g.name, g.kind, g.parts, g.parts_reason,
        g.code_range
    FROM plan_grid AS g
    WHERE g.city_id = :city AND g.plan_id = :plan AND NOT g.ended AND (
        g.kind <> 'reserve'
        OR EXISTS (SELECT FROM plan_cell AS d WHERE d.city_id = g.city_id
            AND d.plan_id = g.plan_id AND d.grid_id = g.grid_id)
        OR EXISTS (SELECT FROM net_cell AS n WHERE n.city_id = g.city_id AND n.grid_id = g.grid_id
            AND n.from_seq <= :base AND :base < n.to_seq AND NOT EXISTS (
                SELECT FROM plan_cell AS d WHERE d.city_id = g.city_id
                    AND d.plan_id = g.plan_id AND d.cell_id = n.cell_id)))
    ORDER BY g.grid_id
""")
_CLOSE_CELLS: Final = text("""
    UPDATE net_cell SET to_seq = :seq
    WHERE city_id = :city AND cell_id = ANY (:cells) AND to_seq = :forever
""")
_OPEN_CELLS: Final = text("""
    INSERT INTO net_cell (city_id, cell_id, from_seq, to_seq, grid_id)
    SELECT :city, c.cell_id, :seq, :forever, c.grid_id
    FROM unnest(CAST(:cells AS bigint[]), CAST(:grids AS bigint[])) AS c (cell_id, grid_id)
""")
_CLOSE_GRIDS: Final = text("""
    UPDATE net_grid SET to_seq = :seq
    WHERE city_id = :city AND grid_id = ANY (:grids) AND to_seq = :forever
""")
_ALL_CELLS: Final = text("""
    SELECT string_agg(int8send(cell_id) || int8send(grid_id), ''::bytea) FROM net_cell
    WHERE city_id = :city AND from_seq <= :seq AND :seq < to_seq
""")
_EXCEPTIONS: Final = text("""
    SELECT grid_id, parts, reason FROM net_exception
    WHERE city_id = :city AND to_seq = :forever
""")
_CLOSE_EXCEPTIONS: Final = text("""
    UPDATE net_exception SET to_seq = :seq
    WHERE city_id = :city AND grid_id = ANY (:grids) AND to_seq = :forever
""")
_OPEN_EXCEPTION: Final = text("""
    INSERT INTO net_exception (city_id, grid_id, from_seq, to_seq, parts, reason)
    VALUES (:city, :grid, :seq, :forever, :parts, :reason)
""")
_POSTS: Final = text("""
    INSERT INTO handover (city_id, seq, kind, object_id, from_grid, to_grid, reason)
    SELECT x.city_id, :seq, 'post', x.post_id, p.grid_id, x.to_grid,
        CASE WHEN x.to_grid IS NULL THEN 'vacant' ELSE 'successor' END
    FROM plan_post AS x
    JOIN post AS p ON p.city_id = x.city_id AND p.post_id = x.post_id
    JOIN plan_grid AS g ON g.city_id = x.city_id AND g.plan_id = x.plan_id
        AND g.grid_id = p.grid_id AND g.ended
    WHERE x.city_id = :city AND x.plan_id = :plan
""")


@dataclass(frozen=True)
class Published:
    """What a publication wrote.

    Attributes
    ----------
    seq : int
        Number of the net.
    effective_from : date
    cells : int
        Cells that changed hands.
    grids : list of int
        Grids that got a new run.
    ended : list of int
    codes : dict of int to str
        Codes that were given, by grid.
    hash : str
        Seal of the net, in hexadecimal.
    """

    seq: int
    effective_from: date
    cells: int
    grids: list[int]
    ended: list[int]
    codes: dict[int, str]
    hash: str


def hold_nets(session: Session, city_id: int) -> None:
    """Keep the nets of a city as they are until the transaction ends: one publication at a time."""
    session.execute(select(func.pg_advisory_xact_lock(NETS_LOCK, city_id)))


def publish(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    effective_from: date,
    content: bytes | None = None,
) -> Published:
    """Publish an approved plan as the next net of its city; for the owner.

    Parameters
    ----------
    viewer : Viewer
        A member with the right to publish, in whose name it is done.
    effective_from : date
        First day of the net, in the city's zone: today or later, and later than that of every net.
    content : bytes, optional
        Hash of the content that was looked at; default: whatever was approved.

    Raises
    ------
    PlanNotFoundError, ForbiddenError
        If the viewer is no member, or may not publish.
    PlanStateError
        If the plan is not approved, or says something else than what was approved.
    RebaseNeededError
        If a later net was published since the plan was opened.
    PostsUnsettledError
        If a post of a grid that ends has no successor and is not said to be vacant.
    PlanRuleError
        If the full validator finds a fault.
    CodeOverflowError
        If a segment of the code scheme has no number left.
    InvalidInputError
        If the date cannot be taken.
    """
    hold_nets(session, viewer.city_id or 0)
    plan = turning.held(session, viewer, plan_id)
    turning.demand_right(viewer, plan, "publish")
    turning.demand_state(plan, PlanState.APPROVED)
    draft = rows.draft_of(plan)
    _demand_approved(session, plan, draft, content)
    seq, newest = demand_next(session, plan, effective_from)
    settling.demand_settled(session, draft)
    if checked_of(session, draft, plan.approved_hash or b"") != plan.checked:
        turning.demand_sound(session, viewer, plan_id)
    done = _write(session, plan, draft, seq, newest, effective_from)
    audit.append(
        session, plan.city_id, "net.publish", f"net/{seq}",
        {
            "plan": plan_id, "effective_from": effective_from.isoformat(), "hash": done.hash,
            "content": (plan.approved_hash or b"").hex(), "approved_by": plan.approved_by,
            "cells": done.cells, "grids": done.grids[:200], "ended": done.ended[:200],
            "codes": {str(grid): code for grid, code in list(done.codes.items())[:200]},
        },
        actor_id=viewer.user_id, actor_role=str(viewer.role),
    )  # fmt: skip
    return done


def _demand_approved(session: Session, plan: Plan, draft: Draft, content: bytes | None) -> None:
    now = content_of(session, draft)
    if now != plan.approved_hash or (content is not None and content != now):
        message = phrase(
            "The plan %(plan)s says something else than what was approved.", plan=plan.plan_id
        )
        raise PlanStateError(message, plan=plan.plan_id, state=plan.state, reason="lapsed")


def demand_next(session: Session, plan: Plan, effective_from: date) -> tuple[int, int]:
    """Refuse what would not follow the nets before it; return the next number and the newest one.

    Raises
    ------
    RebaseNeededError
        If the plan does not stand on the last net.
    InvalidInputError
        If the date is past, or not later than that of the last net; `earliest` is one that can be.
    """
    at = session.execute(_NETS, {"city": plan.city_id}).one()
    if plan.base_seq != at.last or at.last is None:
        message = phrase(
            "Net %(last)s was published since plan %(plan)s began: rebase it first.",
            last=at.last,
            plan=plan.plan_id,
        )
        raise RebaseNeededError(message, plan=plan.plan_id, base=plan.base_seq, last_seq=at.last)
    earliest = max(at.today, date.fromordinal(at.since.toordinal() + 1))
    if effective_from < earliest or effective_from.year > 2999:
        message = phrase(
            "The net can begin on %(earliest)s or later.", earliest=earliest.isoformat()
        )
        raise InvalidInputError(message, field="effective_from", earliest=earliest.isoformat())
    return at.newest + 1, at.newest


def _write(
    session: Session, plan: Plan, draft: Draft, seq: int, newest: int, effective_from: date
) -> Published:
    """Write the net and all that follows from it."""
    city = session.get_one(City, plan.city_id)
    known = draft.known(seq=seq, newest=newest, forever=FOREVER)
    moved = pd.DataFrame(
        [tuple(row) for row in session.execute(_MOVED, known)],
        columns=["cell_id", "source", "target"], dtype="int64",
    )  # fmt: skip
    old, new = _grids_of_net(session, city, newest), _grids_of_plan(session, draft)
    try:
        change = publishing.difference(old, new, moved)
    except HierarchyError as error:
        faults = [{"rule": "hierarchy", "message": said} for said in error.data["defects"]]
        raise PlanRuleError(error.message, faults=faults, plan=plan.plan_id) from error
    recoded = set(new.loc[new["code_range"].notna(), "grid_id"].tolist())
    stated = _stated(session, city, plan, old, newest)
    recoded |= _otherwise_coded(stated, old) & set(new["grid_id"])
    change = replace(change, written=sorted({*change.written, *recoded}))
    session.add(
        Net(
            city_id=city.city_id, seq=seq, plan_id=plan.plan_id, effective_from=effective_from,
            hash=b"",
        )
    )  # fmt: skip
    session.flush()
    _put_cells(session, known, moved)
    net = borders.redrawn(session, city, seq, change, new, newest)
    new["code"] = _codes(session, city, new, stated, net)
    coded = old.set_index("grid_id")["code"].reindex(new["grid_id"]).to_numpy()
    other = new["code"].notna().to_numpy() & (new["code"].to_numpy() != coded)
    written = sorted({*change.written, *new.loc[other, "grid_id"].tolist()})
    _put_grids(session, city, seq, known, change.ended, written, new, net, change.paths)
    given = new.loc[other].set_index("grid_id")["code"].to_dict()
    _put_codes(session, city, seq, given)
    _put_exceptions(session, known, new)
    _put_handover(session, known, draft, change.ended)
    plan.state = PlanState.PUBLISHED.value
    seal = _seal(session, city, seq, new)
    session.get_one(Net, (city.city_id, seq)).hash = seal
    session.flush()
    derived.follow_net(session, city.city_id, city.metre_srid, seq, newest, change)
    _demand_whole(session, city, seq)
    return Published(
        seq, effective_from, len(moved), written, change.ended,
        {int(grid): str(code) for grid, code in given.items()}, seal.hex(),
    )  # fmt: skip


_OF_NET: Final = ("grid_id", "level", "parent_id", "name", "kind", "code", "colour")


def _grids_of_net(session: Session, city: City, seq: int) -> pd.DataFrame:
    found = session.execute(
        select(*(getattr(NetGrid, name) for name in _OF_NET))
        .where(NetGrid.city_id == city.city_id, NetGrid.from_seq <= seq, seq < NetGrid.to_seq)
        .order_by(NetGrid.grid_id)
    ).all()
    frame = pd.DataFrame([tuple(row) for row in found], columns=list(_OF_NET))
    return frame.astype({"parent_id": "Int64", "code": "object"})


def _stated(
    session: Session, city: City, plan: Plan, old: pd.DataFrame, newest: int
) -> pd.DataFrame:
    """Return the grids whose codes and parents a plan knows: of its base before a cancelled net."""
    if plan.base_seq is None or plan.base_seq == newest:
        return old
    base = _grids_of_net(session, city, plan.base_seq)
    later = old[~old["grid_id"].isin(base["grid_id"])]
    return pd.concat([base, later], ignore_index=True) if len(later) else base


def _otherwise_coded(stated: pd.DataFrame, old: pd.DataFrame) -> set[int]:
    """Return the grids whose code is another one in the net before."""
    codes = stated.merge(old, on="grid_id", suffixes=("", "_old"))[["grid_id", "code", "code_old"]]
    same = (codes["code"] == codes["code_old"]) | (codes["code"].isna() & codes["code_old"].isna())
    return {int(grid) for grid in codes.loc[~same, "grid_id"]}


def _grids_of_plan(session: Session, draft: Draft) -> pd.DataFrame:
    """Return the grids of the net to be: those of the plan, a reserve only if it holds anything."""
    names = ["grid_id", "level", "parent_id", "name", "kind", "parts", "reason", "code_range"]
    found = session.execute(_GRIDS_OF_PLAN, draft.known()).all()
    frame = pd.DataFrame([tuple(row) for row in found], columns=names)
    return frame.astype({"parent_id": "Int64"})


def _codes(
    session: Session, city: City, new: pd.DataFrame, old: pd.DataFrame, net: gpd.GeoDataFrame
) -> pd.Series[Any]:
    """Return the code of each grid of the new net, in its order."""
    before = old.set_index("grid_id")
    known = before["code"].reindex(new["grid_id"]).to_numpy(dtype=object)
    parents = before["parent_id"].reindex(new["grid_id"]).fillna(0).to_numpy(dtype=np.int64)
    moved = new.loc[new["parent_id"].fillna(0).to_numpy(dtype=np.int64) != parents, "grid_id"]
    ever = session.execute(
        select(GridCode.code, GridCode.grid_id).where(
            GridCode.city_id == city.city_id, GridCode.scheme == city.code_scheme
        )
    ).all()
    levels = session.scalars(
        select(Level.code).where(Level.city_id == city.city_id).order_by(Level.level)
    ).all()
    profile = load_profile(city.profile)
    scheme = next((one for one in profile.schemes if one.code == city.code_scheme), None)
    if scheme is None:
        return pd.Series(known, index=new.index, dtype="object")
    drawn = new["grid_id"].isin(net.index)
    own = new.loc[drawn, ["grid_id", "level", "parent_id", "kind", "code_range"]]
    table = gpd.GeoDataFrame(
        own.assign(code=known[drawn.to_numpy()]),
        geometry=net.geometry.loc[own["grid_id"]].to_numpy(), crs=city.metre_srid,
    )  # fmt: skip
    made = publishing.codes(
        table, scheme, list(levels), given={"county": city.county_code},
        ever={code: int(grid) for code, grid in ever}, moved=set(moved.tolist()),
    )  # fmt: skip
    codes = pd.Series(known, index=new.index, dtype="object")
    codes[drawn] = made.astype("object").where(made.notna(), None)
    return codes


def _put_cells(session: Session, known: Mapping[str, Any], moved: pd.DataFrame) -> None:
    if moved.empty:
        return
    cells, grids = moved["cell_id"].tolist(), moved["target"].tolist()
    session.execute(_CLOSE_CELLS, {**known, "cells": cells})
    session.execute(_OPEN_CELLS, {**known, "cells": cells, "grids": grids})


def _put_grids(
    session: Session,
    city: City,
    seq: int,
    known: Mapping[str, Any],
    ended: list[int],
    written: list[int],
    new: pd.DataFrame,
    net: gpd.GeoDataFrame,
    paths: pd.DataFrame,
) -> None:
    """Close the runs of grids that end or change, and open those of the ones that stand."""
    session.execute(_CLOSE_GRIDS, {**known, "grids": [*ended, *written]})
    if not written:
        return
    facts = new.set_index("grid_id").loc[written]
    plain = [facts["level"], facts["parent_id"], facts["name"], facts["kind"], facts["code"]]
    areas = [paths.loc[written, column] for column in AREA_COLUMNS]
    shaped = [net.loc[written, name] for name in ("colour", "area_m2", "boundary", "label_point")]
    names = ["level", "parent_id", "name", "kind", "code", *AREA_COLUMNS, "colour", "area_m2",
             "boundary", "label_point"]  # fmt: skip
    table = []
    for grid, *values in zip(written, *plain, *areas, *shaped, strict=True):
        told = dict(zip(names, (_python(value) for value in values), strict=True))
        table.append({"city_id": city.city_id, "grid_id": grid, "from_seq": seq, **told})
    session.execute(insert(NetGrid), table)


def _python(value: Any) -> Any:
    """Return a value of a frame as the driver takes it: nothing for what is missing."""
    if isinstance(value, str) or value is None:
        return value
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _put_codes(session: Session, city: City, seq: int, given: Mapping[int, str]) -> None:
    """Note codes that were given, each to one grid for ever."""
    ever = set(
        session.scalars(
            select(GridCode.code).where(
                GridCode.city_id == city.city_id, GridCode.scheme == city.code_scheme
            )
        )
    )
    table = [
        {
            "city_id": city.city_id, "scheme": city.code_scheme, "code": code, "grid_id": int(grid),
            "from_seq": seq,
        }
        for grid, code in given.items()
        if code not in ever
    ]  # fmt: skip
    if table:
        session.execute(insert(GridCode), table)


def _put_exceptions(session: Session, known: Mapping[str, Any], new: pd.DataFrame) -> None:
    """Let the runs of grids that may lie in several parts follow the plan."""
    torn = new[(new["parts"] > 1) & (new["kind"] != GridKind.RESERVE.value)]
    columns = (torn[name].tolist() for name in ("grid_id", "parts", "reason"))
    wanted = {
        grid: (parts, reason or "inherited") for grid, parts, reason in zip(*columns, strict=True)
    }
    stored = {
        int(row.grid_id): (row.parts, row.reason) for row in session.execute(_EXCEPTIONS, known)
    }
    gone = [grid for grid, told in stored.items() if wanted.get(grid) != told]
    session.execute(_CLOSE_EXCEPTIONS, {**known, "grids": gone})
    for grid, (parts, reason) in sorted(wanted.items()):
        if stored.get(grid) != (parts, reason):
            told = {**known, "grid": grid, "parts": parts, "reason": reason}
            session.execute(_OPEN_EXCEPTION, told)


def _put_handover(
    session: Session, known: Mapping[str, Any], draft: Draft, ended: list[int]
) -> None:
    """Note who follows each grid that ends, and where its posts go; done when the net begins."""
    follow = settling.successors(session, draft)
    table = [
        {
            "city_id": draft.city_id, "seq": known["seq"], "kind": OF_GRID, "object_id": grid,
            "from_grid": grid, "to_grid": follow.get(grid), "reason": "ended",
        }
        for grid in ended
    ]  # fmt: skip
    if table:
        session.execute(insert(Handover), table)
    session.execute(_POSTS, known)


def _seal(session: Session, city: City, seq: int, new: pd.DataFrame) -> bytes:
    packed = session.scalar(_ALL_CELLS, {"city": city.city_id, "seq": seq}) or b""
    pairs = np.frombuffer(bytes(packed), ">i8").reshape(-1, 2).astype(np.int64)
    cells = pd.DataFrame(pairs, columns=["cell_id", "grid_id"])
    return net_hash(cells, new[list(SEALED)])


def _demand_whole(session: Session, city: City, seq: int) -> None:
    """Look at the runs as they were written; a fault undoes the publication."""
    for name, statement in checking.RUNS.items():
        found = session.execute(text(statement), {"city": city.city_id, "seq": seq}).first()
        if found is not None:
            said = ", ".join(f"{key} {value}" for key, value in found._mapping.items())
            raise PlanRuleError(
                phrase("The net would not be whole (%(name)s: %(said)s).", name=name, said=said),
                faults=[{"rule": name, "message": said}],
            )
