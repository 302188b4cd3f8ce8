"""Rows that say where they are by an address alone: placed where the city knows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import func, select

from geo.addresses import Match
from geo.files.reading import Delivered
from geo.findings import Finding, Findings
from geo.saying import phrase
from geo.store import addresses
from geo.store.importing.plans import Task
from geo.tables import SRID, Address, Building

MOST_OPEN = 1_000
"""Most rows that are handed over to be decided."""


def placed(task: Task, found: Findings) -> tuple[Delivered, list[dict[str, Any]]]:
    """Return the delivery with a point for each row whose address is beyond doubt, and the others.

    Rows that have a shape keep it. A row that somebody decided for a building stands there.

    Returns
    -------
    Delivered
    list of dict
        Rows to be decided: `row`, `said` (nothing of a household), `state`, `candidates`
        (`building`, `score`, `label`).
    """
    frame = task.delivered.frame
    shapes = frame.geometry.to_numpy().copy()
    absent = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if "address" not in frame or not absent.any():
        return task.delivered, []
    said = frame["address"].astype("string").fillna("")
    wanted = {row: said.loc[row] for row in frame.index[absent] if said.loc[row].strip()}
    city = task.city.city_id
    sure, open_ = addresses.places_of(task.session, city, wanted)
    where = {row: (lon, lat) for row, (lon, lat, _) in sure.items()}
    where |= _decided(task, set(wanted))
    rows = frame.index.get_indexer(pd.Index(list(where)))
    shapes[rows] = shapely.points(np.array(list(where.values()), dtype=float).reshape(-1, 2))
    if where:
        done = phrase("placed by their address")
        found.add(
            [Finding(task.delivered.label, "by_address", phrase("%(n)s rows", n=len(where)), done)]
        )
    made = gpd.GeoDataFrame(frame.copy(), geometry=shapes, crs=frame.crs or SRID)
    left = {row: match for row, match in open_.items() if row not in where}
    return replace(task.delivered, frame=made), _open(task, left)


def _decided(task: Task, wanted: set[Any]) -> dict[Any, tuple[float, float]]:
    """Return where the buildings stand that somebody decided for."""
    chosen = {int(row): one for row, one in task.wish.decided.items() if int(row) in wanted}
    point = func.ST_PointOnSurface(Building.footprint)
    rows = task.session.execute(
        select(Building.building_id, func.ST_X(point), func.ST_Y(point)).where(
            Building.city_id == task.city.city_id, Building.building_id.in_(set(chosen.values()))
        )
    )
    places = {row[0]: (row[1], row[2]) for row in rows}
    return {row: places[one] for row, one in chosen.items() if one in places}


def _open(task: Task, left: dict[Any, Match]) -> list[dict[str, Any]]:
    few = dict(list(left.items())[:MOST_OPEN])
    labels = {one.label for match in few.values() for one in match.candidates}
    rows = task.session.execute(
        select(Address.address_id, Address.building_id, Address.text).where(
            Address.city_id == task.city.city_id, Address.address_id.in_(labels)
        )
    )
    known = {row.address_id: row for row in rows}
    return [
        {
            "row": int(row),
            "said": match.address.text,
            "state": match.state,
            "households": None,
            "candidates": [
                {
                    "building": known[one.label].building_id,
                    "score": one.score,
                    "label": known[one.label].text,
                }
                for one in match.candidates
                if known[one.label].building_id is not None
            ],
        }
        for row, match in few.items()
    ]
