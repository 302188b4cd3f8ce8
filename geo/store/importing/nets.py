"""Nets of departments: kept as they came, beside the city's own net, to be merged in a plan."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import func, insert, select, text

from geo.errors import DeliveryError
from geo.findings import Finding, Findings, the_rows
from geo.importing.columns import column, some
from geo.importing.differences import Difference
from geo.saying import phrase
from geo.store import loading
from geo.store.importing.plans import MOST_ROWS, Plan, Task, chosen
from geo.tables import SourceNet

_PUT = text("""
    INSERT INTO source_grid (city_id, source_net_id, code, name, geom)
    VALUES (:city, :net, :code, :name, ST_Multi(ST_GeomFromWKB(:shape, 4326)))
""")


def plan(task: Task) -> Plan:
    """Return which areas a delivered net has; nothing of the city's own net changes.

    Raises
    ------
    DeliveryError
        If no row has an area.
    """
    found = Findings(task.city.metre_srid)
    found.add(task.delivered.findings)
    frame = task.delivered.frame
    frame = frame.drop(index=[row for row in task.wish.left_out if row in frame.index])
    frame, label = frame.to_crs(task.city.metre_srid), task.delivered.label
    shapes, invalid = _areas(frame.geometry.to_numpy())
    bare = shapely.is_empty(shapes)
    if bare.all():
        raise DeliveryError([phrase("%(file)s: no row has an area", file=label)])
    if bare.any():
        done = phrase("%(n)s rows left out", n=int(bare.sum()))
        found.add([Finding(label, "no_shape", the_rows(some(frame.index[bare])), done)])
    if invalid.any():
        done = phrase("%(n)s areas mended where they cross themselves", n=int(invalid.sum()))
        found.add([Finding(label, "invalid_ring", the_rows(some(frame.index[invalid])), done)])
    codes, names = column(frame, "code"), column(frame, "name")
    called = _once(
        [str(code if pd.notna(code) else name if pd.notna(name) else row)
         for row, code, name in zip(frame.index, codes, names, strict=True)]
    )  # fmt: skip
    table = {
        "row": frame.index.to_numpy(), "code": called,
        "label": [str(name) if pd.notna(name) else code
                  for name, code in zip(names, called, strict=True)],
    }  # fmt: skip
    rows = gpd.GeoDataFrame(table, geometry=shapes, crs=frame.crs).loc[~bare]
    rows = rows.reset_index(drop=True)
    states = pd.DataFrame(
        {"state": "new", "object_id": pd.array([pd.NA] * len(rows), dtype="Int64")}
    )
    return Plan(
        rows=rows,
        difference=Difference(states, np.empty(0, dtype=np.int64)),
        findings=found,
        changes=[
            {"row": int(row.row), "state": "new", "object": None, "label": str(row.label)}
            for row in rows.head(MOST_ROWS).itertuples()
        ],
    )


def _areas(shapes: Any) -> tuple[Any, Any]:
    """Return the areas of shapes, empty where there is none, and which were invalid."""
    flat = shapely.force_2d(shapes)
    flat[shapely.is_missing(flat)] = shapely.Polygon()
    invalid = ~shapely.is_valid(flat)
    flat[invalid] = shapely.make_valid(flat[invalid], method="structure", keep_collapsed=False)
    flat[~np.isin(shapely.get_type_id(flat), (3, 6))] = shapely.Polygon()
    return flat, invalid & ~shapely.is_empty(flat)


def _once(codes: list[str]) -> list[str]:
    """Return codes of which none stands twice; parts of one grid get a number behind them."""
    seen: dict[str, int] = {}
    told = []
    for code in codes:
        seen[code] = seen.get(code, 0) + 1
        told.append(code if seen[code] == 1 else f"{code} ({seen[code]})")
    return told


def write(task: Task, made: Plan) -> dict[str, int]:
    """Keep a delivered net: shape, code and name of its areas."""
    rows = made.rows.loc[chosen(made, task.wish.choice, "new")]
    if not len(rows):
        return {"new": 0}
    session, city_id = task.session, task.city.city_id
    number = 1 + int(session.scalar(select(func.max(SourceNet.source_net_id)).where(
        SourceNet.city_id == city_id)) or 0)  # fmt: skip
    report = {"delivery": task.delivery_id, "areas": len(rows)}
    session.execute(
        insert(SourceNet).values(
            city_id=city_id, source_net_id=number, name=task.delivered.label,
            level=task.wish.level, report=report,
        )
    )  # fmt: skip
    degrees = loading.lonlat(task.city.metre_srid)(rows.geometry.to_numpy())
    listed = [
        {"city": city_id, "net": number, "code": row.code, "name": row.label,
         "shape": shapely.to_wkb(shape)}
        for row, shape in zip(rows.itertuples(), degrees, strict=True)
    ]  # fmt: skip
    session.execute(_PUT, listed)
    return {"new": len(rows)}
