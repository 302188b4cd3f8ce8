"""Boundaries: into a city without ground they make its first net, else a draft plan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import Transformer
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from geo.dataset import FRAMES, HOUSEHOLDS, CityDataset, empty_frame, shaped
from geo.findings import Findings
from geo.importing.areas import Areas, FirstNet, areas_of, demand_decided, demand_level, first_net
from geo.importing.differences import Difference
from geo.store import loading
from geo.store.importing import drafts
from geo.store.importing.plans import MOST_ROWS, Plan, Task
from geo.tables import SRID, Category, City, Level, StationKind

MOST_DRAWN: Final = 300
"""Most findings whose shapes are kept for the page."""
MOST_QUESTIONS: Final = 200
SOURCE_NET: Final = 1


def plan(task: Task) -> Plan:
    """Return what a delivery of areas would do.

    Into a city with a net they come as a draft plan.

    Raises
    ------
    DeliveryError
        If areas have neither code nor name, or codes repeat.
    """
    session, city = task.session, task.city
    if not loading.is_empty(session, city.city_id):
        return _with_questions(drafts.plan(task), city.metre_srid)
    found = Findings(city.metre_srid)
    levels = _levels(session, city)
    level = demand_level(task.wish.level, len(levels))
    wish = replace(task.wish, level=level)
    task.progress("mend borders", 0.0)
    areas = areas_of(task.delivered, wish, city.metre_srid, found)
    task.progress("mend borders", 1.0)
    rows = areas.frame.assign(label=areas.frame["name"].fillna("").astype(str))
    states = pd.DataFrame(
        {"state": "new", "object_id": pd.array([pd.NA] * len(rows), dtype="Int64")},
        index=rows.index,
    )
    mended = areas.repair
    return Plan(
        rows=rows,
        difference=Difference(states, np.empty(0, dtype=np.int64)),
        findings=found,
        figures={
            "level": level,
            "levels": [one["code"] for one in levels[:level]],
            "questions": _questions(areas, city.metre_srid),
            "undecided": mended.torn["said"].tolist()[:MOST_QUESTIONS],
        },
        changes=[
            {"row": int(row.row), "state": "new", "object": None, "label": str(row.label)}
            for row in rows.head(MOST_ROWS).itertuples()
        ],
        content=(areas, level),
        drawn=_drawn(areas, city.metre_srid, len(found.entries)),
    )


def _with_questions(made: Plan, srid: int) -> Plan:
    """Return a draft's plan with what somebody has to decide, and the shapes of what was mended."""
    areas: Areas = made.content.areas
    mended = sum(one.kind not in drafts.TOLD_LAST for one in made.findings.entries)
    asked = {
        "questions": _questions(areas, srid),
        "undecided": areas.repair.torn["said"].tolist()[:MOST_QUESTIONS],
    }
    return replace(made, figures={**made.figures, **asked}, drawn=_drawn(areas, srid, mended))


def _levels(session: Session, city: City) -> list[dict[str, Any]]:
    rows = session.scalars(
        select(Level).where(Level.city_id == city.city_id).order_by(Level.level)
    ).all()
    names = ("level", "code", "name", "name_en", "zoom_min", "zoom_max")
    return [{name: getattr(row, name) for name in names} for row in rows]


def _questions(areas: Areas, srid: int) -> list[dict[str, Any]]:
    """Return what somebody has to decide about the ground, with its place and shape."""
    turn = Transformer.from_crs(srid, SRID, always_xy=True)
    names = dict(zip(areas.called, areas.frame["name"].fillna("").astype(str), strict=True))
    told = []
    row: Any
    for row in areas.repair.questions.head(MOST_QUESTIONS).itertuples():
        lon, lat = turn.transform(row.x, row.y)
        told.append(
            {
                "key": row.key, "kind": row.kind, "options": [str(one) for one in row.options],
                "names": [names.get(str(one), "") for one in row.options],
                "proposed": str(row.proposed), "size_m2": float(row.size_m2),
                "lon": round(lon, 7), "lat": round(lat, 7),
                "shape": _geojson(row.geometry, srid),
            }
        )  # fmt: skip
    return told


def _geojson(shape: Any, srid: int) -> dict[str, Any] | None:
    if shape is None or shape.is_empty:
        return None
    turned = loading.lonlat(srid)([shape])[0]
    rounded = shapely.set_precision(turned, 1e-7, mode="pointwise")
    found: dict[str, Any] = shapely.geometry.mapping(rounded)
    return found


def _drawn(areas: Areas, srid: int, findings: int) -> list[dict[str, Any]]:
    """Return the shapes of the findings that mending made: they stand last."""
    mended = areas.repair
    made = len(mended.defects) + len(mended.changes)
    drawn: list[dict[str, Any]] = [{} for _ in range(findings - made)]
    for shape in mended.defects.geometry[:MOST_DRAWN]:
        drawn.append({"shape": _geojson(shape, srid)})
    drawn += [{} for _ in range(len(mended.defects) - min(len(mended.defects), MOST_DRAWN))]
    for label in mended.changes.index[:MOST_DRAWN]:
        if label in mended.areas.index:
            before, after = mended.delivered.loc[label], mended.areas.loc[label]
            drawn.append({"before": _geojson(before, srid), "after": _geojson(after, srid)})
        else:
            drawn.append({})
    return drawn


# ---- writing -------------------------------------------------------------------------------------


def write(task: Task, made: Plan) -> dict[str, int]:
    """Write the first net of a city; return how many grids and cells it has.

    Raises
    ------
    DeliveryError
        If areas contradict each other and nobody has decided.
    """
    if made.figures.get("draft"):
        return drafts.write(task, made)
    areas, level = made.content
    demand_decided(areas.repair)
    session, city = task.session, task.city
    net = first_net(areas, level, city.name, Findings(city.metre_srid), task.delivered.label)
    dataset = _dataset(task, areas, net, level)
    deeper = _levels(session, city)[level:]
    loading.load(session, dataset, fill=True, demo=city.demo, progress=task.progress)
    if deeper:
        session.execute(insert(Level), [{"city_id": city.city_id, **one} for one in deeper])
    session.refresh(city)
    return {"new": len(areas.frame), "grids": len(net.grids), "cells": len(net.cells)}


def _dataset(task: Task, areas: Areas, net: FirstNet, level: int) -> CityDataset:
    session, city, srid = task.session, task.city, task.city.metre_srid
    today = datetime.now(ZoneInfo(city.timezone)).date()
    begins = task.wish.effective_from or today
    frames: dict[str, Any] = {name: empty_frame(name, srid) for name in FRAMES}
    levels = _levels(session, city)[:level]
    frames["levels"] = shaped(
        "levels", {name: [one[name] for one in levels] for name in levels[0]}, srid
    )
    frames["grids"], frames["cells"] = net.grids, net.cells
    frames |= _counts(task, net, today)
    frames["station_kinds"] = _kept(session, city, StationKind, "station_kinds")
    frames["categories"] = _kept(session, city, Category, "categories")
    frames["source_nets"] = shaped(
        "source_nets",
        {
            "source_net_id": [SOURCE_NET],
            "name": [task.delivered.label],
            "level": [level],
            "report": [json.dumps(areas.repair.figures())],
        },
        srid,
    )
    frames["source_grids"] = _outlines(areas, net, srid)
    return CityDataset(
        slug=city.slug,
        name=city.name,
        name_en=city.name_en,
        profile=city.profile,
        timezone=city.timezone,
        metre_srid=srid,
        county_code=city.county_code,
        effective_from=begins,
        **frames,
    )


def _kept(session: Session, city: City, table: Any, frame: str) -> pd.DataFrame:
    """Return what the city has of a kind already."""
    names = list(FRAMES[frame].columns)
    rows = session.execute(
        select(*(getattr(table, name) for name in names)).where(table.city_id == city.city_id)
    ).all()
    columns = {name: [row[n] for row in rows] for n, name in enumerate(names)}
    return shaped(frame, columns, city.metre_srid)


def _counts(task: Task, net: FirstNet, today: date) -> dict[str, Any]:
    """Return the vintage and the households of cells, where any were delivered."""
    known = net.households.notna().to_numpy()
    if not known.any():
        return {}
    srid = task.city.metre_srid
    name = task.wish.vintage or str(today.year)
    columns = {
        "vintage": [name], "taken_on": [pd.Timestamp(int(name[:4]), 1, 1)], "seasonal": [False],
        "estimated": [False], "name": [name],
    }  # fmt: skip
    cells = net.cells["cell_id"].to_numpy()[known]
    values = {
        "cell_id": cells, "vintage": [name] * len(cells), "measure": [HOUSEHOLDS] * len(cells),
        "value": net.households.to_numpy()[known],
    }  # fmt: skip
    return {
        "vintages": shaped("vintages", columns, srid),
        "cell_values": shaped("cell_values", values, srid),
    }


def _outlines(areas: Areas, net: FirstNet, srid: int) -> gpd.GeoDataFrame:
    """Return the areas as they came, beside the grids: shape, code and name only."""
    came = areas.delivered.to_numpy()
    sound = np.where(shapely.is_valid(came), came, shapely.make_valid(came, method="structure"))
    away = shapely.area(shapely.symmetric_difference(sound, areas.frame.geometry.to_numpy()))
    areal = shapely.get_dimensions(sound) == 2
    columns = {
        "source_net_id": np.full(int(areal.sum()), SOURCE_NET),
        "code": np.array(areas.called, dtype=object)[areal],
        "name": areas.frame["name"].to_numpy()[areal],
        "grid_id": net.leaf_ids[areal],
        "residual_m2": away[areal],
        "residual_households": np.full(int(areal.sum()), np.nan),
        "geometry": sound[areal],
    }
    made = shaped("source_grids", columns, srid)
    assert isinstance(made, gpd.GeoDataFrame)  # noqa: S101 - it has a geometry
    return made
