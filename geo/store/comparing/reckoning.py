"""What a comparison says: grids, crosswalk, households, posts, open issues, reach of stations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo import compare as comparing
from geo.compare import Comparison
from geo.coverage import BANDS_M, bands, distance_to_nearest
from geo.db import Viewer
from geo.errors import InvalidInputError
from geo.store import issues, nets, rights
from geo.store.comparing import sides
from geo.store.comparing.sides import Ids, Side, net_side, plan_side
from geo.store.nets import HOUSEHOLDS, Moment
from geo.store.standing import whole
from geo.tables import Issue
from geo.terms import GridKind

Row = dict[str, Any]
Floats = NDArray[np.float64]

_GROUND = text("""
    SELECT string_agg(int8send(c.cell_id), ''::bytea), string_agg(float8send(c.area_m2), ''::bytea),
        string_agg(float8send(coalesce(v.value, 0)), ''::bytea)
    FROM cell AS c
    LEFT JOIN cell_value AS v ON v.city_id = c.city_id AND v.cell_id = c.cell_id
        AND v.vintage = :vintage AND v.measure = :measure
    WHERE c.city_id = :city AND c.retired_by_cut IS NULL
""")
_HOMES = text("""
    SELECT string_agg(int8send(p.cell_id), ''::bytea), string_agg(float8send(p.x), ''::bytea),
        string_agg(float8send(p.y), ''::bytea)
    FROM household_place AS p WHERE p.city_id = :city
""")
_STATIONS = text("""
    SELECT s.cell_id, ST_X(p.place), ST_Y(p.place)
    FROM station AS s
    CROSS JOIN LATERAL (SELECT ST_Transform(s.geom, CAST(:srid AS integer)) AS place) AS p
    WHERE s.city_id = :city AND s.stage = 'open'
""")
_POSTS = text("""
    SELECT p.post_id AS post, p.grid_id AS grid, p.role, p.part_time,
        p.worker_id IS NULL AS vacant
    FROM post AS p
    WHERE p.city_id = :city AND p.valid_from <= :day AND (p.valid_to IS NULL OR p.valid_to > :day)
        AND p.stand_in_for IS NULL
    ORDER BY p.post_id
""")
POST_STATES: Final = ("ended", "changed")
"""The post's grid ends and needs a successor; or it has other ground than before."""


@dataclass(frozen=True)
class Laid:
    """Two sides with what they have in common, cell by cell.

    Attributes
    ----------
    old, new : Side
    level : int or None
        None: leaf grids.
    cells : ndarray of int, shape (n,)
        All cells of the city.
    area_m2, households : ndarray of float, shape (n,)
    before, after : ndarray of int, shape (n,)
        Grid of the level in each; 0 in none.
    found : Comparison
    vintage : str or None
    """

    old: Side
    new: Side
    level: int | None
    cells: Ids
    area_m2: Floats
    households: Floats
    before: Ids
    after: Ids
    found: Comparison
    vintage: str | None
    estimated: bool


def lay(session: Session, old: Side, new: Side, at: Moment, level: int | None) -> Laid:
    """Lay one side on the other; households are of the vintage of `at`.

    Raises
    ------
    InvalidInputError
        If there is no such level.
    """
    known = [row.level for row in nets.levels(session, at.city_id, at.seq)]
    if level is not None and level not in known:
        raise InvalidInputError(f"The city '{at.slug}' has levels {known}.", field="level")
    asked = {"city": at.city_id, "vintage": at.vintage, "measure": HOUSEHOLDS}
    ids, area, value = session.execute(_GROUND, asked).one()
    cells = np.frombuffer(ids or b"", ">i8").astype(np.int64)
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    area_m2, households = (
        np.frombuffer(one or b"", ">f8").astype(float)[order] for one in (area, value)
    )
    before, after = (_looked_up(side, cells, side.at_level(level)) for side in (old, new))
    pieces = pd.DataFrame(
        {
            "old": _labels(before),
            "new": _labels(after),
            "area_m2": area_m2,
            "weight": households,
        }
    )
    found = comparing.compare(pieces)
    return Laid(
        old, new, level, cells, area_m2, households, before, after, found, at.vintage, at.estimated
    )


def _looked_up(side: Side, cells: Ids, owners: Ids) -> Ids:
    """Return the grid of each cell; 0 where the side has none."""
    if not len(side.cells):
        return np.zeros(len(cells), dtype=np.int64)
    at = np.minimum(np.searchsorted(side.cells, cells), len(side.cells) - 1)
    return np.where(side.cells[at] == cells, owners[at], 0)


def _labels(grids: Ids) -> pd.Series[Any]:
    return pd.Series(grids).astype("Int64").mask(grids == 0)


def compare(
    session: Session,
    viewer: Viewer,
    old: str,
    new: str,
    *,
    level: int | None = None,
    vintage: str | None = None,
) -> tuple[Moment, Row]:
    """Compare two nets or plans of a city: grids, cells, households, posts, open issues, reach.

    Parameters
    ----------
    old, new : str
        `net:SEQ`, `plan:N`, or a date for the net in force on it.
    level : int, optional
        Default: the leaf grids.
    vintage : str, optional
        Households of both sides are of this one; default: that of `new`.

    Raises
    ------
    InvalidInputError
        If a side is named wrongly, or there is no such level or vintage.
    NetNotFoundError, PlanNotFoundError
        If there is no such net, or the viewer is a member of no such plan.
    """
    one = sides.side_of(session, viewer, old, vintage)
    two = sides.side_of(session, viewer, new, vintage)
    return two.at, told(session, viewer, lay(session, one, two, two.at, level))


def impact(
    session: Session, viewer: Viewer, plan_id: int, *, vintage: str | None = None
) -> tuple[Moment, Row]:
    """Report what a plan changes against its base net, for its members.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    InvalidInputError
        If there is no such vintage.
    """
    plan = plan_side(session, viewer, plan_id, vintage)
    base = net_side(session, plan.at)
    rules = plan.draft.rules if plan.draft else {}
    return plan.at, told(session, viewer, lay(session, base, plan, plan.at, None), rules)


def told(
    session: Session, viewer: Viewer, laid: Laid, rules: Mapping[str, Any] | None = None
) -> Row:
    """Return a comparison as plain values; balance by the rules of a plan, else by the mean."""
    found = laid.found
    moved = laid.before != laid.after
    shapes = {"old": _shapes(session, laid, "old"), "new": _shapes(session, laid, "new")}
    compact = {side: comparing.polsby_popper(shapes[side]) for side in shapes}
    reach = _reach(session, laid)
    waiting = _open_issues(session, viewer, laid)
    grids = _grids(laid, compact, reach, waiting)
    return {
        "old": laid.old.told(),
        "new": laid.new.told(),
        "vintage": laid.vintage,
        "estimated": laid.estimated,
        "level": laid.level,
        "units_old": len(found.old),
        "units_new": len(found.new),
        "same": found.same,
        "verdicts": found.verdicts(),
        "cells_moved": found.moved_pieces,
        "area_old_m2": math.fsum(found.old["area_m2"]),
        "area_new_m2": math.fsum(found.new["area_m2"]),
        "moved_area_m2": found.moved_area_m2,
        "moved_households": whole(found.moved_weight),
        "households": whole(float(laid.households.sum())),
        "balance_old": _balance(laid.old, found.old, rules or {}),
        "balance_new": _balance(laid.new, found.new, rules or {}),
        "polsby_popper_old": _mean(compact["old"]),
        "polsby_popper_new": _mean(compact["new"]),
        "reach": reach.told(),
        "open_issues": {"total": int(waiting.sum()), "moved": int(waiting[moved].sum())},
        "posts": _posts(session, laid),
        "grids": grids,
        "crosswalk": _crosswalk(laid),
    }


def _shapes(session: Session, laid: Laid, which: str) -> gpd.GeoSeries:
    """Return the ground of all grids of a side."""
    side, table = (laid.old, laid.found.old) if which == "old" else (laid.new, laid.found.new)
    return sides.shapes(session, side, side.at_level(laid.level), [int(one) for one in table.index])


def _mean(values: pd.Series[float]) -> float | None:
    return float(values.mean()) if values.notna().any() else None


def _balance(side: Side, table: pd.DataFrame, rules: Mapping[str, Any]) -> Row:
    """Return the balance of the basic grids: dedicated ones and the reserve have no share in it."""
    basic = side.grids.index[side.grids["kind"] == GridKind.BASIC.value]
    return comparing.balance(
        table.loc[table.index.isin(basic), "weight"],
        target=rules.get("households_target"),
        tolerance=float(rules.get("households_tolerance", comparing.TOLERANCE)),
    )


@dataclass(frozen=True)
class Reach:
    """Households near an open station, by grid of either side.

    Attributes
    ----------
    near : dict of str to dict
        Side -> grid -> households within each of `BANDS_M`, of the whole ground.
    households, within : total and by limit
    stations, moved : how many stand open, and how many of them lie in another grid than before
    """

    near: dict[str, pd.DataFrame]
    households: float
    within: tuple[float, ...]
    stations: int
    moved: int
    without: dict[str, int]

    def told(self) -> Row:
        """Return the figures of the whole city and of its grids, as plain values."""
        return {
            "limits_m": list(BANDS_M),
            "households": whole(self.households),
            "within": [whole(value) for value in self.within],
            "stations": self.stations,
            "stations_moved": self.moved,
            "grids_without_station_old": self.without["old"],
            "grids_without_station_new": self.without["new"],
        }


def _reach(session: Session, laid: Laid) -> Reach:
    """Reckon the distance of each home once, and sum it up over the grids of both sides."""
    city, srid = laid.old.at.city_id, laid.old.at.metre_srid
    stations = session.execute(_STATIONS, {"city": city, "srid": srid}).all()
    found = session.execute(_HOMES, {"city": city}).one()
    ids = np.frombuffer(found[0] or b"", ">i8").astype(np.int64)
    x, y = (np.frombuffer(one or b"", ">f8").astype(float) for one in found[1:])
    row = pd.Index(laid.cells).get_indexer(pd.Index(ids))
    ids, x, y, row = (one[row >= 0] for one in (ids, x, y, row))
    places = gpd.GeoSeries.from_xy([at[1] for at in stations], [at[2] for at in stations], crs=srid)
    band = bands(distance_to_nearest(gpd.GeoSeries.from_xy(x, y, crs=srid), places).round(2))
    homes = laid.households[row]
    frame = pd.DataFrame({"old": laid.before[row], "new": laid.after[row]})
    names = []
    for number, limit in enumerate(BANDS_M):
        names.append(f"within_{limit}_m")
        frame[names[-1]] = np.where(band <= number, homes, 0.0)
    near = {side: frame.groupby(side)[names].sum() for side in ("old", "new")}
    at = pd.Index(laid.cells).get_indexer(pd.Index([one[0] for one in stations], dtype="int64"))
    here, there = laid.before[at[at >= 0]], laid.after[at[at >= 0]]
    without = {
        side: int((~table.index.isin(holding)).sum())
        for side, table, holding in (
            ("old", laid.found.old, here), ("new", laid.found.new, there)
        )
    }  # fmt: skip
    within = tuple(float(frame[name].sum()) for name in names)
    moved = int((here != there).sum())
    return Reach(near, float(homes.sum()), within, len(stations), moved, without)


def _open_issues(session: Session, viewer: Viewer, laid: Laid) -> NDArray[np.int64]:
    """Return how many open issues of each cell the viewer may see, those set aside left out."""
    statement = (
        select(Issue.cell_id, func.count())
        .where(
            Issue.city_id == laid.old.at.city_id,
            rights.issues_seen(viewer),
            issues.still_open(),
            Issue.set_aside.is_(None),
        )
        .group_by(Issue.cell_id)
    )
    counted = {int(cell): int(number) for cell, number in session.execute(statement)}
    waiting = np.zeros(len(laid.cells), dtype=np.int64)
    at = pd.Index(laid.cells).get_indexer(pd.Index(list(counted), dtype="int64"))
    numbers = np.array(list(counted.values()), dtype=np.int64)
    waiting[at[at >= 0]] = numbers[at >= 0]
    return waiting


def _grids(
    laid: Laid, compact: Mapping[str, pd.Series[float]], reach: Reach, waiting: NDArray[np.int64]
) -> list[Row]:
    """Return the grids that are not the same in both, in the order of their numbers."""
    found = laid.found
    touched = sorted(
        {*found.old.index[~found.old["same"]], *found.new.index[~found.new["same"]]}
        | _renamed(laid)
    )
    counted = pd.Series(waiting)
    of_side = {
        "old": (found.old, laid.old, counted.groupby(laid.before).sum()),
        "new": (found.new, laid.new, counted.groupby(laid.after).sum()),
    }
    rows: list[Row] = [{"grid": int(grid), "old": None, "new": None} for grid in touched]
    for name, (table, side, issues_of) in of_side.items():
        facts, known = _Facts.of(side.grids), table.to_dict("index")
        near: Mapping[Any, Any] = reach.near[name].to_dict("index")
        waits, shape = issues_of.to_dict(), compact[name].to_dict()
        for row in rows:
            grid = row["grid"]
            if (unit := known.get(grid)) is None:
                continue
            reached = near.get(grid, dict.fromkeys(reach.near[name].columns, 0.0))
            row[name] = {
                **facts.one(grid),
                "verdict": str(unit["verdict"]),
                "area_m2": float(unit["area_m2"]),
                "households": whole(unit["weight"]),
                "polsby_popper": _number(shape.get(grid)),
                "open_issues": int(waits.get(grid, 0)),
                **{str(limit): whole(value) for limit, value in reached.items()},
            }
    return rows


def _renamed(laid: Laid) -> set[int]:
    """Return the grids of both sides whose name, parent or kind differs."""
    both = laid.found.old.index.intersection(laid.found.new.index)
    names = ["level", "parent", "name", "kind"]
    one, two = (side.grids.reindex(both)[names] for side in (laid.old, laid.new))
    return {int(grid) for grid in both[(one.to_numpy() != two.to_numpy()).any(axis=1)]}


@dataclass(frozen=True)
class _Facts:
    """Names and codes of a side's grids."""

    rows: Mapping[Any, Any]

    @classmethod
    def of(cls, grids: pd.DataFrame) -> _Facts:
        return cls(grids.to_dict("index"))

    def one(self, grid: int | None) -> Row:
        row = self.rows.get(grid)
        if row is None:
            return {"name": None, "code": None, "level": None, "parent": None, "kind": None}
        return {
            "name": row["name"],
            "code": None if pd.isna(row["code"]) else row["code"],
            "level": int(row["level"]),
            "parent": int(row["parent"]) or None,
            "kind": row["kind"],
        }


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _posts(session: Session, laid: Laid) -> Row:
    """Return the posts, on the day of the old side, whose grids end or have other ground."""
    changed = _changed_grids(laid)
    lasting = set(laid.new.grids.index.tolist())
    asked = {"city": laid.old.at.city_id, "day": laid.old.at.day}
    rows, facts = [], _Facts.of(laid.old.grids)
    for row in session.execute(_POSTS, asked).mappings():
        state = "ended" if row["grid"] not in lasting else "changed"
        if state == "ended" or row["grid"] in changed:
            name = facts.one(row["grid"])["name"]
            rows.append({**row, "grid_name": name, "state": state})
    counts = {state: sum(row["state"] == state for row in rows) for state in POST_STATES}
    return {"day": laid.old.at.day, **counts, "items": rows}


def _changed_grids(laid: Laid) -> set[int]:
    """Return the grids of any level that lose or gain a cell."""
    changed: set[int] = set()
    for level in sorted({*laid.old.grids["level"], *laid.new.grids["level"]}):
        one, two = (
            _looked_up(side, laid.cells, side.at_level(int(level))) for side in (laid.old, laid.new)
        )
        differ = one != two
        changed |= set(one[differ].tolist()) | set(two[differ].tolist())
    return changed - {0}


def _crosswalk(laid: Laid) -> list[Row]:
    """Return the rows of the crosswalk with the names of the grids."""
    table = laid.found.crosswalk
    facts = {"old": _Facts.of(laid.old.grids), "new": _Facts.of(laid.new.grids)}
    rows = []
    for row in table.to_dict("records"):
        line: Row = {}
        for side, known in facts.items():
            grid = None if pd.isna(row[side]) else int(row[side])
            named = known.one(grid)
            line |= {side: grid, f"{side}_name": named["name"], f"{side}_code": named["code"]}
        line |= {"households": whole(row["weight"]), "area_m2": row["area_m2"]}
        for name in ("area_share_old", "area_share_new", "weight_share_old", "weight_share_new"):
            line[name.replace("weight", "households")] = _number(row[name])
        rows.append(line)
    return rows
