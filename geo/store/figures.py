"""Figures by grids: reach of stations, patrol areas by post, density of stations.

What a map, its table and its file show comes from one function here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.coverage import BANDS_M, bands, distance_to_nearest, shares
from geo.density import squares
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.store.standing import (
    AREA_OF_LEVEL,
    Homes,
    Row,
    asked_at,
    homes,
    households_of,
    listed,
    rate,
    square_columns,
    total_row,
    whole,
)
from geo.tables import NetGrid
from geo.terms import GridKind

# ---- coverage ------------------------------------------------------------------------------------

_STATIONS: Final = text(
    """
    SELECT ST_X(p.place), ST_Y(p.place)
    FROM station AS s
    CROSS JOIN LATERAL (SELECT ST_Transform(s.geom, CAST(:srid AS integer)) AS place) AS p
    WHERE s.city_id = :city AND s.stage = 'open'
      AND (CAST(:kinds AS text[]) IS NULL OR s.kind = ANY (CAST(:kinds AS text[])))
    """
)


@dataclass(frozen=True)
class Reach:
    """How far the households are from the nearest open station, as the crow flies."""

    homes: Homes
    distance_m: pd.Series[float]
    band: NDArray[np.int64]
    stations: int


def reach(session: Session, at: Moment, level: int, kinds: Sequence[str]) -> Reach:
    """Return the distance of all households to the nearest open station of some kinds, or of all.

    Distances are rounded to centimetres, so that a place exactly at a limit lies within it.
    """
    asked = {"city": at.city_id, "srid": at.metre_srid, "kinds": list(kinds) or None}
    places = session.execute(_STATIONS, asked).all()
    east, north = zip(*places, strict=True) if places else ((), ())
    found = homes(session, at, level)
    distance = distance_to_nearest(
        gpd.GeoSeries.from_xy(found.x, found.y, crs=at.metre_srid),
        gpd.GeoSeries.from_xy(east, north, crs=at.metre_srid),
    ).round(2)
    return Reach(found, distance, bands(distance), len(places))


def coverage(session: Session, at: Moment, level: int, kinds: Sequence[str], city: str) -> Row:
    """Return how many households of each grid of a level live near an open station.

    Parameters
    ----------
    session : Session
    at : Moment
    level : int
    kinds : sequence of str
        Kinds of stations that count; none for all.
    city : str
        Name of the city, for the row of the total.

    Returns
    -------
    dict
        `items` (one row for each grid), `total`, `stations` and `limits_m`.
    """
    found = reach(session, at, level, kinds)
    weights = pd.Series(found.homes.households)
    by_grid = shares(weights, found.band, pd.Series(found.homes.grid))
    sums: dict[Any, Any] = by_grid.to_dict("index")
    far = weights * found.distance_m
    walked = far.groupby(found.homes.grid).sum()
    items = [
        row | _reached(sums.get(row["grid"]), float(walked.get(row["grid"], 0.0)))
        for row in listed(session, at, level)
    ]
    total = by_grid.sum().to_dict() if len(by_grid) else None
    return {
        "items": items,
        "total": total_row(city) | _reached(total, float(walked.sum())),
        "stations": found.stations,
        "limits_m": list(BANDS_M),
    }


def _reached(sums: Mapping[Any, Any] | None, walked: float) -> Row:
    households = float(sums["total"]) if sums is not None else 0.0
    near = {limit: float(sums[f"within_{limit}_m"]) if sums is not None else 0.0
            for limit in BANDS_M}  # fmt: skip
    mean = walked / households if households > 0 and np.isfinite(walked) else None
    return {
        "households": whole(households),
        "within_500_m": whole(near[500]),
        "within_1000_m": whole(near[1000]),
        "share_500_m": rate(near[500], households),
        "share_1000_m": rate(near[1000], households),
        "mean_distance_m": None if mean is None else round(mean),
    }


def coverage_squares(session: Session, at: Moment, side_m: int, kinds: Sequence[str]) -> Row:
    """Return the households of fixed squares by their distance to the nearest open station.

    Returns
    -------
    dict
        `squares` (SquareColumns), `households` (one list for each band, nearest first), `band`
        (the band of most households of a square; of two alike the farther one), `stations`.
    """
    found = reach(session, at, 1, kinds)
    place = squares(np.column_stack([found.homes.x, found.homes.y]), side_m)
    frame = pd.DataFrame({"column": place.column, "row": place.row})
    names = []
    for band in range(len(BANDS_M) + 1):
        names.append(f"band_{band}")
        frame[names[-1]] = np.where(found.band == band, found.homes.households, 0.0)
    frame = frame.groupby(["row", "column"], sort=True, as_index=False).sum()
    counted = frame[names].to_numpy()
    farthest_first = counted[:, ::-1]
    most = counted.shape[1] - 1 - farthest_first.argmax(axis=1) if len(frame) else np.array([])
    return {
        "squares": square_columns(at, frame, side_m),
        "households": [[whole(value) for value in frame[name]] for name in names],
        "band": most.astype(int).tolist(),
        "limits_m": list(BANDS_M),
        "stations": found.stations,
    }


# ---- patrol areas --------------------------------------------------------------------------------

_POSTS: Final = text(
    "SELECT " + AREA_OF_LEVEL + " AS grid, p.role, p.part_time, p.worker_id"  # noqa: S608 (a constant)
    """
    FROM post AS p
    JOIN net_grid AS g ON g.city_id = p.city_id AND g.grid_id = p.grid_id
     AND g.from_seq <= :seq AND g.to_seq > :seq
    WHERE p.city_id = :city AND p.valid_from <= :day AND (p.valid_to IS NULL OR p.valid_to > :day)
      AND (CAST(:role AS text) IS NULL OR p.role = :role) AND p.stand_in_for IS NULL
    """
)


def patrol(session: Session, at: Moment, level: int, role: str | None, city: str) -> Row:
    """Return the posts of each grid of a level and of the grids below it, on the day.

    Returns
    -------
    dict
        `items` (posts, filled, vacant, full_time, part_time, workers, roles, state), `total` and
        `states` (how many grids are in each state).
    """
    rows = session.execute(_POSTS, {**asked_at(at, level), "role": role}).all()
    by_grid: dict[int, list[Any]] = {}
    for row in rows:
        by_grid.setdefault(row.grid, []).append(row)
    items = [row | _staffed(by_grid.get(row["grid"], ())) for row in listed(session, at, level)]
    states = Counter(item["state"] for item in items)
    return {
        "items": items,
        "total": total_row(city) | _staffed(rows),
        "states": {state: states[state] for state in PATROL_STATES},
        "role_codes": sorted({row.role for row in rows}),
    }


PATROL_STATES: Final = ("staffed", "part", "vacant", "none")
"""All posts filled; some vacant; all vacant; no post at all."""


def _staffed(posts: Sequence[Any]) -> Row:
    count, filled = len(posts), sum(post.worker_id is not None for post in posts)
    state = "staffed" if filled == count else "part" if filled else "vacant"
    by_role: dict[str, list[bool]] = {}
    for post in posts:
        by_role.setdefault(post.role, []).append(post.worker_id is None)
    part_time = sum(post.part_time and post.worker_id is not None for post in posts)
    return {
        "posts": count,
        "filled": filled,
        "vacant": count - filled,
        "full_time": filled - part_time,
        "part_time": part_time,
        "workers": len({post.worker_id for post in posts} - {None}),
        "roles": [
            {"role": role, "posts": len(empty), "vacant": sum(empty)}
            for role, empty in sorted(by_role.items())
        ],
        "state": state if count else "none",
    }


# ---- density of stations -------------------------------------------------------------------------

_STATIONS_OF: Final = text(
    "SELECT " + AREA_OF_LEVEL + " AS grid, count(*)"  # noqa: S608 (a constant)
    """
    FROM station AS s
    JOIN net_cell AS c ON c.city_id = s.city_id AND c.cell_id = s.cell_id
     AND c.from_seq <= :seq AND c.to_seq > :seq
    JOIN net_grid AS g ON g.city_id = c.city_id AND g.grid_id = c.grid_id
     AND g.from_seq <= :seq AND g.to_seq > :seq
    WHERE s.city_id = :city AND s.stage = 'open'
      AND (CAST(:kinds AS text[]) IS NULL OR s.kind = ANY (CAST(:kinds AS text[])))
    GROUP BY 1
    """
)


def station_density(
    session: Session, at: Moment, level: int, kinds: Sequence[str], city: str
) -> Row:
    """Return the open stations of each grid of a level, per 10,000 households and per km2.

    Returns
    -------
    dict
        `items` (stations, households, area_km2 and the two rates) and `total`.
    """
    asked = {**asked_at(at, level), "kinds": list(kinds) or None}
    counted = {row[0]: row[1] for row in session.execute(_STATIONS_OF, asked)}
    people = households_of(session, at, level)
    items = []
    for row in listed(session, at, level):
        grid = row["grid"]
        items.append(row | _dense(counted.get(grid, 0), people.get(grid, 0.0), row["area_m2"]))
    top = households_of(session, at, 1)
    ground = session.scalar(
        select(func.sum(NetGrid.area_m2)).where(of_net(NetGrid, at), NetGrid.level == 1)
    )
    total = _dense(sum(counted.values()), sum(top.values()), ground or 0.0)
    return {"items": items, "total": total_row(city) | total}


def _dense(stations: int, households: float, area_m2: float) -> Row:
    return {
        "stations": stations,
        "households": whole(households),
        "area_km2": round(area_m2 / 1e6, 3),
        "per_10000_households": rate(stations, households, 1e4, 2),
        "per_km2": rate(stations, area_m2, 1e6, 2),
    }


# ---- sizes ---------------------------------------------------------------------------------------

SIZE_TOLERANCE: Final = 0.5
"""How far a grid's households may lie from the median, as a share of it."""


def sizes(session: Session, at: Moment, level: int) -> Row:
    """Return the basic grids of a level whose households lie far from the median.

    A city that has no rule of its own is measured by itself: the median of its basic grids of the
    level, give or take `SIZE_TOLERANCE` of it.

    Returns
    -------
    dict
        `items` (the grids out of range, the largest first), `count` of basic grids, `median`,
        `least`, `most`, `too_large`, `too_small`.
    """
    people = households_of(session, at, level)
    basic = [row for row in listed(session, at, level) if row["kind"] == GridKind.BASIC]
    counted = [row | {"households": whole(people.get(row["grid"], 0.0))} for row in basic]
    median = float(np.median([row["households"] for row in counted])) if counted else 0.0
    least, most = (median * (1 + sign * SIZE_TOLERANCE) for sign in (-1, 1))
    outside = [row for row in counted if not least <= row["households"] <= most]
    return {
        "items": sorted(outside, key=lambda row: -row["households"]),
        "count": len(counted),
        "median": whole(median),
        "least": math.ceil(least),
        "most": math.floor(most),
        "too_large": sum(row["households"] > most for row in outside),
        "too_small": sum(row["households"] < least for row in outside),
    }
