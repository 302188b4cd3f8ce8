"""Addresses: texts that name a building or a place, entered once each."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import select

from geo import addresses as texts
from geo.errors import DeliveryError
from geo.findings import Finding, Findings, the_rows
from geo.importing.columns import column, some
from geo.importing.differences import Difference
from geo.saying import phrase
from geo.store import addresses
from geo.store.importing import standing
from geo.store.importing.plans import MOST_ROWS, Plan, Task, chosen
from geo.store.importing.standing import BOOKS
from geo.tables import Address
from geo.terms import DeliveryKind


def plan(task: Task) -> Plan:
    """Return which addresses are new: at their building, else at their place.

    Raises
    ------
    DeliveryError
        If no row has an address at a place of the city.
    """
    session, city, label = task.session, task.city, task.delivered.label
    found = Findings(city.metre_srid)
    found.add(task.delivered.findings)
    rows = _rows(task, found)
    rows = _placed(task, rows, found)
    if not len(rows):
        raise DeliveryError(
            [
                phrase(
                    "%(file)s: no address has a building's code or a place in the city", file=label
                )
            ]
        )
    within = addresses.area_names(session, city.city_id)
    read = [texts.read(one, within=within) for one in rows["text"]]
    known = np.array([one.known for one in read], dtype=bool)
    if (~known).any():
        said = some(rows["row"].to_numpy()[~known])
        done = phrase(
            "%(n)s rows left out: nothing of a place is understood", n=int((~known).sum())
        )
        found.add([Finding(label, "no_address", the_rows(said), done)])
    rows = rows.loc[known].assign(key=[one.key for one in read if one.known]).reset_index(drop=True)
    there = {
        (row.key, row.building_id)
        for row in session.execute(
            select(Address.key, Address.building_id).where(Address.city_id == city.city_id)
        )
    }
    pairs = [
        (key, None if pd.isna(one) else int(one))
        for key, one in zip(rows["key"], rows["building_id"], strict=True)
    ]
    seen: set[Any] = set(there)
    states = []
    for pair in pairs:
        states.append("same" if pair in seen else "new")
        seen.add(pair)
    table = pd.DataFrame(
        {"state": states, "object_id": pd.array([pd.NA] * len(rows), dtype="Int64")}
    )
    rows["label"] = rows["text"]
    return Plan(
        rows=rows,
        difference=Difference(table, np.empty(0, dtype=np.int64)),
        findings=found,
        changes=[
            {"row": int(rows["row"].iloc[n]), "state": "new", "object": None,
             "label": rows["label"].iloc[n]}
            for n in np.flatnonzero(np.array(states) == "new")[:MOST_ROWS]
        ],
    )  # fmt: skip


def _rows(task: Task, found: Findings) -> gpd.GeoDataFrame:
    """Return one row for each text: the address, and its alias."""
    frame = task.delivered.frame
    frame = frame.drop(index=[row for row in task.wish.left_out if row in frame.index])
    frame = frame.to_crs(task.city.metre_srid)
    parts = []
    for name in ("address", "alias"):
        if name not in frame:
            continue
        part = gpd.GeoDataFrame(
            {
                "row": frame.index.to_numpy(),
                "text": column(frame, name).to_numpy(),
                "code": column(frame, "building_code").to_numpy(),
            },
            geometry=frame.geometry.to_numpy(),
            crs=frame.crs,
        )
        parts.append(part.loc[part["text"].notna()])
    rows = pd.concat(parts, ignore_index=True)
    return gpd.GeoDataFrame(rows, geometry="geometry", crs=frame.crs)


def _placed(task: Task, rows: gpd.GeoDataFrame, found: Findings) -> gpd.GeoDataFrame:
    """Return the rows with a building or a place in the city, and their cells."""
    session, city, label = task.session, task.city, task.delivered.label
    there = standing.frame(session, city, BOOKS[DeliveryKind.BUILDINGS])
    coded = there.loc[there["code"].notna()].reset_index().drop_duplicates("code")
    by_code = coded.set_index("code")["building_id"]
    building = rows["code"].map(by_code).astype("Int64")
    lost = rows["code"].notna() & building.isna()
    if lost.any():
        done = phrase("%(n)s rows name a building that is not there", n=int(lost.sum()))
        found.add(
            [
                Finding(
                    label,
                    "no_building",
                    the_rows(some(rows["row"][lost])),
                    done,
                )
            ]
        )
    shapes = rows.geometry.to_numpy().copy()
    at_home = building.notna().to_numpy()
    homes = there.loc[building[at_home].astype(int)]
    shapes[at_home] = shapely.point_on_surface(homes.geometry.to_numpy())
    cells = np.full(len(rows), -1, dtype=np.int64)
    cells[at_home] = homes["cell_id"].to_numpy()
    bare = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    free = ~at_home & ~bare
    if free.any():
        located = standing.locate(session, city, shapes[free])
        cells[free], shapes[free] = located.cell, located.shapes
    away = cells < 0
    if away.any():
        done = phrase(
            "%(n)s rows left out: neither a building nor a place in the city", n=int(away.sum())
        )
        found.add([Finding(label, "unplaced", the_rows(some(rows["row"][away])), done)])
    rows = rows.set_geometry(gpd.GeoSeries(shapes, index=rows.index, crs=rows.crs))
    rows = rows.assign(building_id=building, cell_id=cells).loc[~away]
    return rows.drop(columns="code").reset_index(drop=True)


def write(task: Task, made: Plan) -> dict[str, int]:
    """Write the addresses that are new."""
    which = chosen(made, task.wish.choice, "new")
    rows = made.rows.loc[which, ["text", "building_id", "cell_id", "geometry"]]
    frame = gpd.GeoDataFrame(rows.reset_index(drop=True), crs=made.rows.crs)
    if not len(frame):
        return {"new": 0}
    return {"new": addresses.add(task.session, task.city.city_id, frame)}
