"""Buildings, stations, streets, barriers and issues: compared with what stands, and written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import psycopg
import shapely
from numpy.typing import NDArray
from psycopg import sql
from scipy.spatial import cKDTree
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from geo.estimates import household_estimates
from geo.findings import Finding, Findings, the_row
from geo.importing.differences import Difference, beside
from geo.importing.rows import JOIN_M, rows_of
from geo.saying import phrase
from geo.store import derived, loading
from geo.store.cases.reporting import hold_numbers
from geo.store.importing import by_address, cases, ground, households, standing
from geo.store.importing.plans import MOST_ROWS, Plan, Task, chosen
from geo.store.importing.standing import BOOKS, Book
from geo.tables import SRID, Base, Station
from geo.terms import DeliveryKind, StationStage

LEFT_OUT_TOLD: Final = 500
"""Most rows outside the city that are listed one by one."""
ROWS_WRITTEN: Final = 50_000
"""Rows that are turned and copied at once: a million would take another gigabyte."""
NEVER_GONE: Final = frozenset({DeliveryKind.ISSUES})
"""What a file does not have is kept: a file of issues is an extract."""


def plan(task: Task) -> Plan:
    """Return what a delivery of things would do.

    Raises
    ------
    DeliveryError
        If no row can be taken.
    """
    book, session = BOOKS[task.wish.kind], task.session
    found = Findings(task.city.metre_srid)
    task.progress("read rows", 0.0)
    delivered, undecided = task.delivered, list[dict[str, Any]]()
    if task.wish.kind in (DeliveryKind.STATIONS, DeliveryKind.ISSUES):
        delivered, undecided = by_address.placed(task, found)
    read = rows_of(delivered, task.wish, standing.facts(session, task.city), found)
    rows = read.frame.assign(row=read.frame.index).reset_index(drop=True)
    task.progress("compare", 0.2)
    if book.located:
        rows = _located(task, rows, found)
    if task.wish.kind is DeliveryKind.ISSUES:
        there = standing.frame(session, task.city, book, *cases.near_in_time(rows))
        difference = cases.only_new(task, rows, there, beside(rows, there, (), book.same), found)
    else:
        there = standing.frame(session, task.city, book)
        difference = beside(rows, there, book.columns, book.same)
    if task.wish.estimate:
        rows = _estimated(task, rows, difference, found)
    gone = np.empty(0, dtype=np.int64)
    if task.wish.kind not in NEVER_GONE:
        gone = _free(task, book, there, difference.gone, found)
    difference = Difference(difference.rows, gone)
    task.progress("compare", 1.0)
    rows["label"] = _labels(rows, task.wish.kind)
    return Plan(
        rows=rows,
        difference=difference,
        findings=found,
        unknown=read.unknown,
        figures=_figures(rows, there, difference) | ({"open": undecided} if undecided else {}),
        changes=_changes(rows, there, difference, book),
        content=there,
    )


def _estimated(
    task: Task, rows: gpd.GeoDataFrame, difference: Difference, found: Findings
) -> gpd.GeoDataFrame:
    """Return the rows with `estimated`: households of new buildings that the file does not say."""
    said = rows["households"] if "households" in rows else pd.Series(pd.NA, index=rows.index)
    new = (difference.rows["state"] == "new").to_numpy() & said.isna().to_numpy()
    table = pd.DataFrame({"footprint_m2": rows.geometry.area, "use": rows["use"]})
    if "floors" in rows:
        table["floors"] = rows["floors"].astype("Float64")
    made = household_estimates(table[new], profile=task.city.profile)
    subject = phrase("%(n)s buildings", n=len(made))
    done = phrase("their households are estimated from footprint, floors and use, and marked so")
    size = float(made.sum())
    found.add([Finding(task.delivered.label, "estimated", subject, done, size, "households")])
    return rows.assign(estimated=made.reindex(rows.index).astype("Int64"))


def _free(
    task: Task, book: Book, there: gpd.GeoDataFrame, gone: Any, found: Findings
) -> NDArray[np.int64]:
    """Return what is gone and nothing else rests on; the others are told and kept."""
    kept: set[int] = set()
    if task.wish.kind is not DeliveryKind.STATIONS and len(gone):
        for column in _resting(book):
            own = select(column).where(column.table.c.city_id == task.city.city_id).distinct()
            kept |= {int(one) for one in task.session.scalars(own) if one is not None}
    used = np.isin(gone, sorted(kept))
    for one in gone[used]:
        place = shapely.centroid(there.geometry.loc[one])
        done = phrase("kept although the file does not have it: something stored rests on it")
        subject = f"{book.name} {one}"
        found.add([Finding(task.delivered.label, "kept", subject, done, x=place.x, y=place.y)])
    return np.asarray(gone[~used], dtype=np.int64)


def _resting(book: Book, *, released: bool = False) -> list[Any]:
    """Return the columns of other tables that name a thing of this book and keep it there.

    With `released`, those that let it go and name nothing then.
    """
    return [
        table.c[key.parent.name]
        for table in Base.metadata.tables.values()
        for constraint in table.foreign_key_constraints
        if bool(constraint.ondelete) is released and table.name not in derived.MADE
        for key in constraint.elements
        if key.column.table.name == book.name and key.column.name == book.key
    ]


def _located(task: Task, rows: gpd.GeoDataFrame, found: Findings) -> gpd.GeoDataFrame:
    """Return the rows that stand in the city, with their cells."""
    at = standing.locate(task.session, task.city, rows.geometry.to_numpy())
    rows = rows.set_geometry(gpd.GeoSeries(at.shapes, index=rows.index, crs=rows.crs))
    rows["cell_id"] = at.cell
    label = task.delivered.label
    outside = at.cell < 0
    for number in np.flatnonzero(outside)[:LEFT_OUT_TOLD]:
        place = shapely.centroid(at.shapes[number])
        subject, away = (
            the_row(rows["row"].iloc[number]),
            float(at.moved_m[number]),
        )
        done = phrase("left out: it stands in no cell of the city")
        found.add([Finding(label, "outside", subject, done, away, "m", place.x, place.y)])
    for number in np.flatnonzero(~outside & (at.moved_m > 0)):
        place, away = at.shapes[number], float(at.moved_m[number])
        subject, done = (
            the_row(rows["row"].iloc[number]),
            phrase("moved to the edge of the nearest cell"),
        )
        found.add([Finding(label, "moved_in", subject, done, away, "m", place.x, place.y)])
    found.figures["outside"] = int(outside.sum())
    return rows.loc[~outside].reset_index(drop=True)


def _labels(rows: gpd.GeoDataFrame, kind: DeliveryKind) -> list[str]:
    """Return what each row is called."""
    names: pd.Series[Any] = pd.Series([None] * len(rows), index=rows.index, dtype=object)
    for column in ("name", "code", "external", "category"):
        if column in rows:
            names = names.fillna(rows[column])
    return names.fillna("").astype(str).tolist()


def _figures(
    rows: gpd.GeoDataFrame, there: gpd.GeoDataFrame, difference: Difference
) -> dict[str, Any]:
    told: dict[str, Any] = {"standing": len(there), "delivered": len(rows)}
    if "households" in rows:
        known = difference.rows["object_id"].dropna().astype(int)
        before = there["households"].reindex(known)
        told["households"] = {
            "delivered": int(rows["households"].sum()),
            "matched_before": int(before.sum()),
            "standing": int(there["households"].sum()),
            "gone": int(there["households"].reindex(difference.gone).sum()),
        }
    return told


def _changes(
    rows: gpd.GeoDataFrame, there: gpd.GeoDataFrame, difference: Difference, book: Book
) -> list[dict[str, Any]]:
    """Return new, changed and gone things, at most `MOST_ROWS` of each."""
    told: list[dict[str, Any]] = []
    table = difference.rows
    delivered = [name for name in book.columns if name in rows]
    for number in np.flatnonzero(table["state"] == "new")[:MOST_ROWS]:
        told.append(_told(rows, number, "new", None))
    for number in np.flatnonzero(table["state"] == "changed")[:MOST_ROWS]:
        one = int(table["object_id"].iloc[number])
        before = {name: _plain(there.loc[one, name]) for name in delivered}
        after = {name: _plain(rows[name].iloc[number]) for name in delivered}
        differ = [name for name in delivered if before[name] != after[name]]
        told.append(
            _told(rows, number, "changed", one)
            | {
                "before": {name: before[name] for name in differ},
                "after": {name: after[name] for name in differ},
                "moved": not differ,
            }
        )
    for one in difference.gone[:MOST_ROWS]:
        names = [there.loc[one, name] for name in ("name", "code") if name in there]
        label = next((str(name) for name in names if not pd.isna(name)), "")
        told.append({"row": None, "state": "gone", "object": int(one), "label": label})
    return told


def _told(rows: gpd.GeoDataFrame, number: int, state: str, one: int | None) -> dict[str, Any]:
    row, label = int(rows["row"].iloc[number]), rows["label"].iloc[number]
    return {"row": row, "state": state, "object": one, "label": label}


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


# ---- writing -------------------------------------------------------------------------------------


def write(task: Task, made: Plan) -> dict[str, int]:
    """Write what was chosen of a plan; return how many things are new, changed and gone."""
    book, session, city = BOOKS[task.wish.kind], task.session, task.city
    new = made.rows.loc[chosen(made, task.wish.choice, "new")]
    changed = made.rows.loc[chosen(made, task.wish.choice, "changed")]
    ids = made.difference.rows["object_id"].reindex(changed.index).astype("int64").to_numpy()
    gone = made.difference.gone if "gone" in task.wish.choice else np.empty(0, dtype=np.int64)
    there: gpd.GeoDataFrame = made.content
    if task.wish.kind is DeliveryKind.STREETS:
        new, changed = _noded(session, city.city_id, new), _noded(session, city.city_id, changed)
    if task.wish.kind is DeliveryKind.ISSUES:
        hold_numbers(session, city.city_id)
    if task.wish.cut_cells and task.wish.kind is DeliveryKind.BUILDINGS:
        new = ground.cut_for(task, new, there, made.findings)
    estimates = "estimated" in new and new["estimated"].notna().any()
    if "estimated" in new:
        said = new["households"] if "households" in new else new["estimated"]
        new = new.assign(households=said.fillna(new["estimated"])).drop(columns="estimated")
        changed = changed.drop(columns="estimated")
    task.progress("write", 0.1)
    first = int(session.scalar(select(func.max(getattr(book.table, book.key))).where(
        book.table.city_id == city.city_id)) or 0) + 1  # fmt: skip
    fresh = new.drop(columns=["row", "label"]).assign(
        **{book.key: np.arange(first, first + len(new))}
    )
    if task.wish.kind is DeliveryKind.ISSUES:
        fresh = cases.as_issues(task, fresh.assign(row=new["row"]))
    turn = _sound(loading.lonlat(city.metre_srid))
    for start in range(0, len(fresh), ROWS_WRITTEN):
        part = fresh.iloc[start : start + ROWS_WRITTEN]
        loading.copy_frame(session, city.city_id, book.name, part, turn)
        task.progress("write", 0.1 + 0.5 * (start + len(part)) / len(fresh))
    _update(session, city.city_id, book, changed, ids, turn)
    task.progress("write", 0.8)
    _remove(session, city.city_id, book, gone, task.wish.kind)
    if task.wish.kind is DeliveryKind.BUILDINGS and "households" in new:
        _settle(task, new, changed, there, ids, gone, estimates=estimates)
    task.progress("write", 1.0)
    return {"new": len(new), "changed": len(changed), "gone": len(gone)}


def _sound(turn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what turns shapes into degrees and mends those that are no longer valid there.

    What was mended in metres touches itself within rounding, and rounds otherwise in degrees.
    """

    def turned(shapes: Any) -> Any:
        made = np.array(turn(shapes), dtype=object)
        wrong = ~shapely.is_valid(made) & ~shapely.is_missing(made)
        if wrong.any():
            made[wrong] = shapely.make_valid(made[wrong], method="structure")
        return made

    return turned


def _update(
    session: Session,
    city_id: int,
    book: Book,
    rows: gpd.GeoDataFrame,
    ids: Any,
    turn: Any,
) -> None:
    """Bring things that stand to what was delivered of them."""
    if not len(rows):
        return
    columns = [str(c) for c in rows.columns if c in book.table.__table__.columns]
    pieces = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns]
    pieces.append(sql.SQL("{} = ST_GeomFromEWKB(%s)").format(sql.Identifier(book.shape)))
    statement = sql.SQL("UPDATE {} SET {} WHERE city_id = %s AND {} = %s").format(
        sql.Identifier(book.name), sql.SQL(", ").join(pieces), sql.Identifier(book.key)
    )
    shapes = shapely.to_wkb(
        shapely.set_srid(turn(rows.geometry.to_numpy()), SRID), include_srid=True
    )
    values = [[_driven(value) for value in rows[name]] for name in columns]
    driver = cast("psycopg.Connection[Any]", session.connection().connection.dbapi_connection)
    with driver.cursor() as cursor:
        cursor.executemany(
            statement,
            [
                (*(column[n] for column in values), bytes(shapes[n]), city_id, int(ids[n]))
                for n in range(len(rows))
            ],
        )
    session.expire_all()


def _driven(value: Any) -> Any:
    """Return a value as the driver takes it."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if isinstance(value, np.generic) else value


def _remove(session: Session, city_id: int, book: Book, gone: Any, kind: DeliveryKind) -> None:
    """Take away what is gone; a station is closed, since what was done there stays."""
    if not len(gone):
        return
    key = getattr(book.table, book.key)
    wanted = (book.table.city_id == city_id, key.in_([int(one) for one in gone]))
    if kind is DeliveryKind.STATIONS:
        session.execute(update(Station).where(*wanted).values(stage=StationStage.CLOSED.value))
        return
    # The database itself would let go after the deletion is noted, and the way back would fail.
    for column in _resting(book, released=True):
        named = (column.table.c.city_id == city_id, column.in_([int(one) for one in gone]))
        session.execute(update(column.table).where(*named).values({column.name: None}))
    session.execute(delete(book.table).where(*wanted))


def _settle(
    task: Task,
    new: gpd.GeoDataFrame,
    changed: gpd.GeoDataFrame,
    there: gpd.GeoDataFrame,
    ids: Any,
    gone: Any,
    *,
    estimates: bool,
) -> None:
    """Make cells' households follow from their buildings'."""
    session, city_id = task.session, task.city.city_id
    today = datetime.now(ZoneInfo(task.city.timezone)).date()
    if estimates:
        vintage = households.begin_estimate(session, city_id, today)
    else:
        vintage = households.demand_vintage(session, city_id, task.wish.vintage, today.year)
    left = there.loc[[*ids, *gone]]
    counted = left.loc[left["households"].notna(), "cell_id"].astype(int).tolist()
    cells = [*new["cell_id"].astype(int), *changed["cell_id"].astype(int), *counted]
    households.settle(session, city_id, vintage, cells, counted)


def _noded(session: Session, city_id: int, rows: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Give the ends of streets the nodes of those that stand there, and new ones elsewhere."""
    if not len(rows):
        return rows
    book = BOOKS[DeliveryKind.STREETS]
    table = book.table
    known = session.execute(
        select(table.from_node, table.to_node, func.ST_AsBinary(table.geom)).where(
            table.city_id == city_id
        )
    ).all()
    nodes: dict[int, tuple[float, float]] = {}
    if known:
        lines = standing.in_metres([bytes(row[2]) for row in known], int(rows.crs.to_epsg()))
        for (begin, end, _), line in zip(known, lines, strict=True):
            nodes[begin], nodes[end] = line.coords[0], line.coords[-1]
    numbers = np.array(list(nodes), dtype=np.int64)
    tree = cKDTree(np.array(list(nodes.values()))) if nodes else None
    last = int(numbers.max()) if nodes else 0
    rows = rows.copy()
    fresh: dict[int, int] = {}
    for name, place in (("from_node", 0), ("to_node", -1)):
        ends = shapely.get_coordinates(shapely.get_point(rows.geometry.to_numpy(), place))
        near = np.zeros(len(ends), dtype=bool)
        own = rows[name].to_numpy(dtype=np.int64).copy()
        if tree is not None:
            far, which = tree.query(ends, distance_upper_bound=JOIN_M)
            near = np.isfinite(far)
            own[near] = numbers[which[near]]
        for number in np.flatnonzero(~near):
            own[number] = fresh.setdefault(int(own[number]), last + 1 + len(fresh))
        rows[name] = own
    return rows
