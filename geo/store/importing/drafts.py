"""Boundaries into a city with a net: a draft plan in which cells follow the delivered areas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from geo.errors import ConflictError
from geo.findings import Finding, Findings
from geo.grids import AREA_COLUMNS
from geo.importing.areas import Areas, areas_of, demand_decided, demand_level
from geo.importing.columns import column
from geo.importing.differences import Difference
from geo.matching import match_grids
from geo.saying import phrase
from geo.store.importing import households, standing
from geo.store.importing.plans import MOST_ROWS, Plan, Task
from geo.store.nets import HOUSEHOLDS
from geo.tables import (
    Cell,
    CellValue,
    City,
    Grid,
    Net,
    NetCell,
    NetGrid,
    PlanCell,
    PlanEdit,
    PlanGrid,
)
from geo.tables import Plan as PlanRow
from geo.terms import GridKind

BATCH = 20_000
TOLD_LAST = ("matched", "other_code")
"""Findings that come after those of mending."""


@dataclass(frozen=True)
class _Draft:
    """What a draft is made of: areas, their level, the net they are drawn on, and its cells.

    Of the areas in `recoded` nothing but the code is another one; a draft has no codes.
    """

    areas: Areas
    level: int
    seq: int
    grids: pd.DataFrame
    cells: gpd.GeoDataFrame
    recoded: frozenset[int]


def plan(task: Task) -> Plan:
    """Return which grids of the last net the delivered areas are, which are new and which gone.

    Grids are known again by their code, else by 80 % of their households both ways.

    Raises
    ------
    DeliveryError
        If areas have neither code nor name, or codes repeat.
    """
    session, city = task.session, task.city
    found = Findings(city.metre_srid)
    seq = int(session.scalar(select(func.max(Net.seq)).where(
        Net.city_id == city.city_id, Net.cancelled_at.is_(None))) or 0)  # fmt: skip
    grids = _grids(session, city, seq)
    wished = task.wish.level or _level_of_codes(task.delivered.frame, grids)
    level = demand_level(wished, int(grids["level"].max()))
    task.progress("mend borders", 0.0)
    wish = replace(task.wish, level=level)
    areas = areas_of(task.delivered, wish, city.metre_srid, found)
    task.progress("compare", 0.2)
    cells = _cells(session, city, seq)
    own = grids.loc[grids["level"] == level]
    there = gpd.GeoDataFrame(
        own[["code", "name"]], geometry=_boundaries(session, city, seq, own.index), crs=cells.crs
    )
    came = gpd.GeoDataFrame(
        {"code": areas.frame["code"], "name": areas.frame["name"]},
        geometry=areas.frame.geometry.to_numpy(),
        crs=cells.crs,
    )
    matched = match_grids(there, came, cells, fields=("name", "code"))
    task.progress("compare", 1.0)
    pairs, recoded = _told_codes(matched.pairs, came["code"])
    _tell_known(pairs, there, came, areas.called, task.delivered.label, found)
    states = pd.DataFrame(
        {"state": "new", "object_id": pd.array([pd.NA] * len(came), dtype="Int64")},
        index=came.index,
    )
    known = pairs.loc[pairs["delivered"].notna() & pairs["standing"].notna()]
    at = known["delivered"].astype(int).to_numpy()
    states.loc[at, "state"] = known["verdict"].to_numpy()
    states.loc[at, "object_id"] = known["standing"].astype(int).to_numpy()
    gone = pairs.loc[pairs["verdict"] == "gone", "standing"].astype(int)
    rows = areas.frame.assign(label=areas.frame["name"].fillna("").astype(str))
    return Plan(
        rows=rows,
        difference=Difference(states, np.asarray(gone, dtype=np.int64)),
        findings=found,
        figures={"level": level, "net": seq, "draft": True},
        changes=_changes(rows, pairs, there, gone.tolist()),
        content=_Draft(areas, level, seq, grids, cells, recoded),
    )


def _level_of_codes(frame: pd.DataFrame, grids: pd.DataFrame) -> int | None:
    """Return the level whose grids have most of the delivered codes; None where none is known."""
    codes = column(frame, "code").dropna()
    known = grids.loc[grids["code"].isin(codes), "level"].value_counts()
    return int(known.index[0]) if len(known) else None


def _tell_known(
    pairs: pd.DataFrame,
    there: gpd.GeoDataFrame,
    came: gpd.GeoDataFrame,
    called: list[str],
    label: str,
    found: Findings,
) -> None:
    """Say which grids were known again by what they have in common, and which codes differ."""
    row: Any
    for row in pairs.loc[pairs["how"].isin(["households", "ground"])].itertuples():
        subject = f"{called[int(row.delivered)]} = {there['name'].loc[row.standing]}"
        share = f"{row.certainty:.0%}"
        done = phrase("taken for the same grid: they share %(share)s of their ground", share=share)
        if row.how == "households":
            done = phrase(
                "taken for the same grid: they share %(share)s of their households", share=share
            )
        found.add([Finding(label, "matched", subject, done)])
        if "code" in row.fields:
            codes = [there["code"].loc[row.standing], came["code"].loc[int(row.delivered)]]
            done = phrase(
                "code %(before)s here, %(after)s in the file: a grid keeps its code until a plan "
                "gives it another",
                before=codes[0],
                after=codes[1],
            )
            found.add([Finding(label, "other_code", subject, done)])


def _told_codes(pairs: pd.DataFrame, codes: pd.Series[Any]) -> tuple[pd.DataFrame, frozenset[int]]:
    """Leave out codes that a file does not say; return the areas with another code and no more."""
    pairs = pairs.copy()
    unsaid = pairs["delivered"].isin(codes.index[codes.isna()])
    pairs["fields"] = [
        tuple(name for name in names if name != "code" or not skipped)
        for names, skipped in zip(pairs["fields"], unsaid, strict=True)
    ]
    still = pairs["fields"].map(len).eq(0) & pairs["moved"].eq(0)
    pairs.loc[unsaid & still & (pairs["verdict"] == "changed"), "verdict"] = "same"
    recoded = pairs["fields"].map(lambda names: names == ("code",)) & pairs["moved"].eq(0)
    return pairs, frozenset(pairs.loc[recoded, "delivered"].astype(int).tolist())


def _changes(
    rows: gpd.GeoDataFrame, pairs: pd.DataFrame, there: gpd.GeoDataFrame, gone: list[int]
) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    row: Any
    for row in pairs.loc[pairs["verdict"].isin(["new", "changed"])].head(MOST_ROWS).itertuples():
        number = int(row.delivered)
        entry = {
            "row": int(rows["row"].loc[number]), "state": row.verdict,
            "label": rows["label"].loc[number],
            "object": None if row.standing is None else int(row.standing),
        }  # fmt: skip
        if row.verdict == "changed":
            entry |= {
                "before": {name: str(there[name].loc[int(row.standing)]) for name in row.fields},
                "after": {name: str(rows[name].loc[number]) for name in row.fields},
                "moved": row.moved > 0,
            }
        told.append(entry)
    told += [
        {"row": None, "state": "gone", "object": one, "label": str(there["name"].loc[one])}
        for one in gone[:MOST_ROWS]
    ]
    return told


def _grids(session: Session, city: City, seq: int) -> pd.DataFrame:
    names = ("grid_id", "level", "parent_id", "name", "kind", "code", *AREA_COLUMNS)
    rows = session.execute(
        select(*(getattr(NetGrid, name) for name in names))
        .where(NetGrid.city_id == city.city_id, NetGrid.from_seq <= seq, NetGrid.to_seq > seq)
        .order_by(NetGrid.grid_id)
    ).all()
    table = pd.DataFrame([tuple(row) for row in rows], columns=list(names))
    for name in ("parent_id", *AREA_COLUMNS):
        table[name] = table[name].astype("Int64")
    return table.set_index("grid_id")


def _boundaries(session: Session, city: City, seq: int, which: Any) -> Any:
    rows = session.execute(
        select(func.ST_AsBinary(NetGrid.boundary))
        .where(
            NetGrid.city_id == city.city_id,
            NetGrid.from_seq <= seq,
            NetGrid.to_seq > seq,
            NetGrid.grid_id.in_([int(one) for one in which]),
        )
        .order_by(NetGrid.grid_id)
    )
    return standing.in_metres([bytes(row[0]) for row in rows], city.metre_srid)


def _cells(session: Session, city: City, seq: int) -> gpd.GeoDataFrame:
    """Return the cells as points with their grid in a net and their households."""
    vintage = households.base_vintage(session, city.city_id)
    rows = session.execute(
        select(
            Cell.cell_id,
            NetCell.grid_id,
            func.coalesce(CellValue.value, 0.0),
            func.ST_AsBinary(func.ST_PointOnSurface(Cell.geom)),
        )
        .join(NetCell, (NetCell.city_id == Cell.city_id) & (NetCell.cell_id == Cell.cell_id))
        .outerjoin(
            CellValue,
            (CellValue.city_id == Cell.city_id)
            & (CellValue.cell_id == Cell.cell_id)
            & (CellValue.vintage == vintage)
            & (CellValue.measure == HOUSEHOLDS),
        )
        .where(
            Cell.city_id == city.city_id,
            Cell.retired_by_cut.is_(None),
            NetCell.from_seq <= seq,
            NetCell.to_seq > seq,
        )
        .order_by(Cell.cell_id)
    ).all()
    return gpd.GeoDataFrame(
        {
            "cell_id": [row[0] for row in rows],
            "grid_id": [row[1] for row in rows],
            "households": [float(row[2]) for row in rows],
        },
        geometry=standing.in_metres([bytes(row[3]) for row in rows], city.metre_srid),
        crs=city.metre_srid,
    )


# ---- writing -------------------------------------------------------------------------------------


def write(task: Task, made: Plan) -> dict[str, int]:
    """Write a draft plan on the last net; return its number and what is new, changed and gone.

    What changes nothing makes no plan.

    Raises
    ------
    ConflictError
        If nobody is there to be its author: a plan belongs to an account.
    DeliveryError
        If areas contradict each other and nobody has decided.
    """
    draft: _Draft = made.content
    demand_decided(draft.areas.repair)
    states = made.difference.rows["state"].drop(index=list(draft.recoded))
    if (states == "same").all() and not len(made.difference.gone):
        return {"new": 0, "changed": 0, "gone": 0}
    session, city_id = task.session, task.city.city_id
    if task.actor_id is None:
        raise ConflictError(
            phrase(
                "A later delivery of boundaries becomes a draft plan, which belongs to "
                "an account: import it on the page /import, or say whose it is with --as "
                "LOGIN."
            ),
            reason="no_author",
        )
    number = int(session.scalar(select(func.max(PlanRow.plan_id)).where(
        PlanRow.city_id == city_id)) or 0) + 1  # fmt: skip
    session.execute(
        insert(PlanRow).values(
            city_id=city_id, plan_id=number, name=task.delivered.label, base_seq=draft.seq,
            author_id=task.actor_id, members=[task.actor_id],
        )
    )  # fmt: skip
    grids, target = _targets(session, city_id, draft, made.difference.rows)
    moved, grids = _follow(draft, grids, target)
    left = grids.index.isin(made.difference.gone) & ~grids.index.isin(
        moved.reindex(draft.cells.index).fillna(draft.cells["grid_id"]).astype(int)
    )
    grids.loc[left & ~grids.index.isin(grids["parent_id"].dropna().astype(int)), "ended"] = True
    _put(session, city_id, number, grids, draft, moved)
    told = {"delivery": task.delivery_id, "level": draft.level}
    session.execute(
        insert(PlanEdit).values(
            city_id=city_id, plan_id=number, n=1, actor_id=task.actor_id, op="import",
            args=told, inverse={},
        )
    )  # fmt: skip
    counts = made.difference.counts()
    return {
        "plan": number, "new": counts["new"], "changed": counts["changed"],
        "gone": int(grids["ended"].sum()), "cells": len(moved),
    }  # fmt: skip


def _targets(
    session: Session, city_id: int, draft: _Draft, states: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series[int]]:
    """Return the grids of the draft, new ones included, and the grid of each delivered area."""
    grids = draft.grids[["level", "parent_id", "name", "kind"]].assign(ended=False, version=0)
    first = int(session.scalar(select(func.max(Grid.grid_id)).where(
        Grid.city_id == city_id)) or 0) + 1  # fmt: skip
    target = states["object_id"].copy()
    fresh = np.flatnonzero(target.isna())
    target.iloc[fresh] = np.arange(first, first + len(fresh))
    if len(fresh):
        session.execute(
            insert(Grid),
            [{"city_id": city_id, "grid_id": first + n, "level": draft.level}
             for n in range(len(fresh))],
        )  # fmt: skip
    names = draft.areas.frame["name"].astype(str)
    for number, one in target.items():
        if one in grids.index:
            grids.loc[one, "name"] = names.loc[number]
        else:
            grids.loc[one] = {
                "level": draft.level, "parent_id": pd.NA, "name": names.loc[number],
                "kind": GridKind.BASIC.value, "ended": False, "version": 0,
            }  # fmt: skip
    return grids, target.astype("int64")


def _follow(
    draft: _Draft, grids: pd.DataFrame, target: pd.Series[int]
) -> tuple[pd.Series[int], pd.DataFrame]:
    """Give cells, or whole grids below, to the areas they lie in; return the cells that move."""
    from geo.assignment import assign  # compiled code, loaded by whoever places many

    places = shapely.get_coordinates(draft.cells.geometry.to_numpy())
    area = assign(places, draft.areas.frame.geometry.to_numpy())
    held_by = np.flatnonzero(area >= 0)
    wanted = pd.Series(target.to_numpy()[area[held_by]], index=draft.cells.index[held_by])
    held = draft.cells["grid_id"].loc[wanted.index]
    level = held.map(draft.grids["level"])
    above = held.map(draft.grids[f"area_{draft.level - 1}"]) if draft.level > 1 else held * 0
    at_leaf = level <= draft.level
    moved = wanted[at_leaf & (wanted != held)]
    if draft.level > 1:
        place = pd.DataFrame({"grid": wanted, "parent": above.fillna(held)}).dropna()
        usual = place.groupby("grid")["parent"].agg(lambda group: group.mode().iloc[0])
        grid: Any
        for grid, parent in usual.items():
            if pd.isna(grids.loc[grid, "parent_id"]):
                grids.loc[grid, "parent_id"] = int(parent)
    deeper = ~at_leaf
    if deeper.any():
        child = held[deeper].map(draft.grids[f"area_{draft.level + 1}"]).astype(int)
        votes = pd.DataFrame({"child": child, "grid": wanted[deeper]})
        chosen: Any = votes.groupby("child")["grid"].agg(lambda group: group.mode().iloc[0])
        for one, of in chosen.items():
            grids.loc[one, "parent_id"] = int(of)
    return moved, grids


def _put(
    session: Session,
    city_id: int,
    number: int,
    grids: pd.DataFrame,
    draft: _Draft,
    moved: pd.Series[int],
) -> None:
    """Write the rows of a draft: parents first, borders are drawn when they are asked for."""
    keys = {"city_id": city_id, "plan_id": number}
    listed: Any = grids.rename(columns={"name": "name_"}).itertuples(index=True)
    rows = [
        {
            **keys, "grid_id": int(row.Index), "level": int(row.level),
            "parent_id": None if pd.isna(row.parent_id) else int(row.parent_id),
            "name": row.name_, "kind": row.kind, "ended": bool(row.ended), "version": 0,
        }
        for row in listed
    ]  # fmt: skip
    for start in range(0, len(rows), BATCH):
        session.execute(insert(PlanGrid), rows[start : start + BATCH])
    ids = draft.cells["cell_id"].loc[moved.index]
    given = [
        {**keys, "cell_id": int(cell), "grid_id": int(grid)}
        for cell, grid in zip(ids, moved, strict=True)
    ]
    for start in range(0, len(given), BATCH):
        session.execute(insert(PlanCell), given[start : start + BATCH])
