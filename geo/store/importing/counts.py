"""Counts of households by building: joined by code, name or address, the doubtful ones decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
from sqlalchemy import bindparam, update

from geo import joins
from geo.findings import Finding, Findings
from geo.importing.differences import Difference
from geo.saying import phrase
from geo.store import addresses
from geo.store.importing import households, standing
from geo.store.importing.plans import MOST_ROWS, Plan, Task, chosen
from geo.store.importing.standing import BOOKS
from geo.tables import Building
from geo.terms import DeliveryKind

MOST_OPEN: Final = 1_000
"""Most rows that are handed over to be decided."""


def plan(task: Task) -> Plan:
    """Return which buildings a file of counts speaks of, and which rows somebody has to decide.

    Raises
    ------
    DeliveryError
        If no column says which building is meant.
    """
    session, city = task.session, task.city
    found = Findings(city.metre_srid)
    found.add(task.delivered.findings)
    there = standing.frame(session, city, BOOKS[DeliveryKind.BUILDINGS])
    buildings = there.reset_index()[["building_id", "code", "name"]]
    rows = task.delivered.frame
    rows = rows.drop(index=[row for row in task.wish.left_out if row in rows.index])
    task.progress("compare", 0.2)
    proposal = joins.propose(
        pd.DataFrame(rows.drop(columns=rows.geometry.name)),
        buildings,
        addresses.known(session, city.city_id),
        decided={int(row): one for row, one in task.wish.decided.items()},
        within=addresses.area_names(session, city.city_id),
    )
    task.progress("compare", 1.0)
    counted = proposal.counts()
    told = there.loc[counted.index]
    before = told["households"].astype("Int64")
    if task.wish.season is not None:
        before = before.mask(
            np.ones(len(before), dtype=bool)
        )  # what a season says stands beside the count of the year
    same = (before == counted.astype("Int64")).fillna(False).to_numpy(dtype=bool)
    states = pd.DataFrame(
        {
            "state": np.where(same, "same", "changed"),
            "object_id": pd.array(counted.index.to_numpy(), dtype="Int64"),
        },
        index=counted.index,
    )
    totals = proposal.totals()
    _say(task, totals, found)
    return Plan(
        rows=gpd.GeoDataFrame(
            {"label": _labels(told), "households": counted.to_numpy()},
            geometry=told.geometry.to_numpy(),
            index=counted.index,
            crs=city.metre_srid,
        ),
        difference=Difference(states, np.empty(0, dtype=np.int64)),
        findings=found,
        figures={"match": totals, "shared": proposal.shared, "open": _open(proposal, there)},
        changes=_changes(told, counted, same),
        content=there,
    )


def _labels(buildings: pd.DataFrame) -> list[str]:
    return buildings["name"].fillna(buildings["code"]).fillna("").astype(str).tolist()


def _say(task: Task, totals: dict[str, dict[str, int]], found: Findings) -> None:
    said = {
        "several": phrase("may be several buildings: decide, or they are left out"),
        "none": phrase("are no building that stands here: decide, or they are left out"),
        "invalid": phrase("left out: no count of households"),
    }
    for state, done in said.items():
        if totals[state]["rows"]:
            subject = phrase("%(n)s rows", n=totals[state]["rows"])
            size = float(totals[state]["households"])
            found.add(
                [Finding(task.delivered.label, f"match_{state}", subject, done, size, "households")]
            )


def _open(proposal: joins.Proposal, there: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Return the rows that somebody has to decide, with the buildings that they may be."""
    labels = dict(zip(there.index, _labels(there), strict=True))
    told = []
    row: Any
    for row in proposal.open_rows().head(MOST_OPEN).itertuples():
        households_of = None if pd.isna(row.households) else int(row.households)
        told.append(
            {
                "row": int(row.Index), "said": row.said, "state": row.state,
                "households": households_of,
                "candidates": [
                    {"building": int(one), "score": float(score), "label": labels.get(one, "")}
                    for one, score in row.candidates
                ],
            }
        )  # fmt: skip
    return told


def _changes(told: pd.DataFrame, counted: pd.Series[int], same: Any) -> list[dict[str, Any]]:
    labels = _labels(told)
    listed = []
    for number in np.flatnonzero(~same)[:MOST_ROWS]:
        was = told["households"].iloc[number]
        listed.append(
            {
                "row": None, "state": "changed", "object": int(counted.index[number]),
                "label": labels[number],
                "before": {"households": None if pd.isna(was) else int(was)},
                "after": {"households": int(counted.iloc[number])},
            }
        )  # fmt: skip
    return listed


def write(task: Task, made: Plan) -> dict[str, int]:
    """Write the counts of the matched buildings, and make those of cells follow."""
    session, city = task.session, task.city
    which = chosen(made, task.wish.choice, "changed")
    there: gpd.GeoDataFrame = made.content
    if not len(which):
        return {"changed": 0}
    if task.wish.season is not None:
        return _season(task, made, which)
    values = [
        {"one": int(one), "count": int(count)}
        for one, count in made.rows.loc[which, "households"].items()
    ]
    session.connection().execute(
        update(Building)
        .where(Building.city_id == city.city_id, Building.building_id == bindparam("one"))
        .values(households=bindparam("count")),
        values,
    )
    session.expire_all()
    year = datetime.now(ZoneInfo(city.timezone)).year
    vintage = households.demand_vintage(session, city.city_id, task.wish.vintage, year)
    cells = there.loc[which, "cell_id"].astype(int).tolist()
    households.settle(session, city.city_id, vintage, cells)
    return {"changed": len(which)}


def _season(task: Task, made: Plan, which: Any) -> dict[str, int]:
    """Write a count of a season: of cells, beside that of the year; no building changes."""
    session, city_id = task.session, task.city.city_id
    there: gpd.GeoDataFrame = made.content
    assert task.wish.season is not None  # noqa: S101 - asked before
    vintage = households.begin_season(session, city_id, task.wish.season)
    of_year = there.loc[which, "households"].fillna(0).astype(int)
    counted = made.rows.loc[which, "households"].astype(int)
    cells = there.loc[which, "cell_id"].astype(int)
    households.count_season(session, city_id, vintage, zip(cells, counted, of_year, strict=True))
    return {"changed": len(which)}
