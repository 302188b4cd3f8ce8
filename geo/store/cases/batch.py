"""Cases of another system, taken in as one batch: one row of the log over all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from geo.errors import ConflictError
from geo.grids import AREA_COLUMNS
from geo.importing.cases import Understood
from geo.issues import about_persons
from geo.store import audit, derived, loading
from geo.store.cases.reporting import hold_numbers
from geo.store.nets import Moment
from geo.tables import Category, Cell, Issue, NetCell, NetGrid, Organisation
from geo.tables.issue import FAR
from geo.terms import IssueState

Progress = Callable[[str, float], None]
NEAR_DEG: Final = 0.003
"""Cases that lie outside by less than this (about 300 m) belong to the nearest cell."""
OTHER: Final = "E06"
"""Class below which kinds that the city has no category for are put."""
CHANNEL: Final = "import"


@dataclass(frozen=True)
class Ground:
    """Cells with the grid that holds each and its ancestors."""

    cells: NDArray[np.int64]
    shapes: NDArray[np.object_]
    owners: pd.DataFrame


def take_in(
    session: Session,
    at: Moment,
    understood: Understood,
    progress: Progress = lambda step, share: None,
) -> dict[str, Any]:
    """Write understood cases as issues of a city; for the owner.

    Cases whose number is known already are left out. Kinds that are no category become ones below
    "other"; a kind that is about persons falls to that class itself and its name is not kept.

    Returns
    -------
    dict
        The report of what was understood, and `written`, `known`, `outside`, `new_categories`.

    Raises
    ------
    ConflictError
        If the city has no category to put new kinds under.
    """
    city_id, rows = at.city_id, understood.rows
    hold_numbers(session, city_id)
    progress("places", 0.0)
    known = set(
        session.scalars(
            select(Issue.external).where(Issue.city_id == city_id, Issue.external.is_not(None))
        )
    )
    fresh = ~rows["external"].isin(known).to_numpy()
    ground = _ground(session, at)
    place = assign(rows["lon"].to_numpy(), rows["lat"].to_numpy(), ground)
    inside = place >= 0
    keep = fresh & inside
    progress("places", 1.0)
    categories, made = _categories(session, city_id, rows.loc[keep, "kind"])
    bodies = _departments(session, city_id, rows.loc[keep, "department"])
    first = int(
        session.scalar(select(func.max(Issue.issue_id)).where(Issue.city_id == city_id)) or 0
    )
    number = np.where(keep, first + np.cumsum(keep), 0)
    table = _table(rows[keep], number, keep, place[keep], ground, categories, bodies)
    progress("write", 0.0)
    loading.copy_frame(session, city_id, "issue", table, _as_it_is)
    session.execute(text("ANALYZE issue"))
    progress("write", 0.8)
    derived.refresh_issue_squares(session, city_id, at.metre_srid)
    progress("write", 1.0)
    report = {
        **understood.report,
        "written": int(keep.sum()),
        "known": int((~fresh).sum()),
        "outside": int((fresh & ~inside).sum()),
        "new_categories": made,
    }
    hashed = pd.util.hash_pandas_object(rows[keep].astype(str), index=False).to_numpy()
    content = hashlib.sha256(hashed.tobytes()).hexdigest()
    told = {key: value for key, value in report.items() if key != "default_points"}
    audit.append(session, city_id, "issue.import", "issues", {**told, "sha256": content})
    return report


def _as_it_is(shapes: Any) -> Any:
    """Return geometries that are in degrees already."""
    return shapes


def _ground(session: Session, at: Moment) -> Ground:
    now = (NetCell.city_id == at.city_id, NetCell.from_seq <= at.seq, NetCell.to_seq > at.seq)
    areas = [getattr(NetGrid, name) for name in AREA_COLUMNS]
    found = session.execute(
        select(Cell.cell_id, func.ST_AsBinary(Cell.geom), NetCell.grid_id, *areas)
        .join(NetCell, (NetCell.city_id == Cell.city_id) & (NetCell.cell_id == Cell.cell_id))
        .join(NetGrid, (NetGrid.city_id == Cell.city_id) & (NetGrid.grid_id == NetCell.grid_id))
        .where(*now, NetGrid.from_seq <= at.seq, NetGrid.to_seq > at.seq)
        .order_by(Cell.cell_id)
    ).all()
    owners = pd.DataFrame([tuple(row)[2:] for row in found], columns=["owner_grid", *AREA_COLUMNS])
    return Ground(
        np.array([row[0] for row in found], dtype=np.int64),
        shapely.from_wkb([bytes(row[1]) for row in found]),
        owners.astype("Int64"),
    )


def assign(lon: Any, lat: Any, ground: Ground) -> NDArray[np.int64]:
    """Return the row of the cell that holds each place, the smaller number on a border.

    A place that lies outside by less than `NEAR_DEG` belongs to the nearest cell; -1 farther off.
    """
    from geo.assignment import coverage_index  # compiled code, loaded by whoever places many

    places = np.column_stack([lon, lat])
    found = coverage_index(ground.shapes).assign(places).astype(np.int64)
    lost, back = np.unique(places[found < 0], axis=0, return_inverse=True)
    if len(lost):
        near = np.full(len(lost), -1, dtype=np.int64)
        own, other = shapely.STRtree(ground.shapes).query_nearest(
            shapely.points(lost), max_distance=NEAR_DEG, all_matches=False, return_distance=False
        )
        near[own] = other
        found[found < 0] = near[back.reshape(-1)]
    return found


def _categories(
    session: Session, city_id: int, kinds: pd.Series[Any]
) -> tuple[dict[str, str], list[str]]:
    """Return the category of each kind, made where the city has none; and the new ones."""
    rows = session.execute(
        select(Category.category, Category.name, Category.name_en).where(
            Category.city_id == city_id
        )
    ).all()
    found = {name: row.category for row in rows for name in (row.category, row.name, row.name_en)}
    codes = {row.category for row in rows}
    new = [kind for kind in sorted(set(kinds)) if kind not in found]
    if new and OTHER not in codes:
        raise ConflictError(f"The city has no category '{OTHER}' to put new kinds under.")
    n, made = 0, []
    for kind in new:
        if about_persons(kind):
            found[kind] = OTHER
            continue
        while f"{OTHER}{n:03d}" in codes:
            n += 1
        code = f"{OTHER}{n:03d}"
        codes.add(code)
        found[kind] = code
        made.append({
            "city_id": city_id, "category": code, "parent": OTHER, "name": kind, "name_en": kind,
            "root": "event", "shown": "never",
        })  # fmt: skip
    if made:
        session.execute(insert(Category), made)
    return found, [str(one["category"]) for one in made]


def _departments(session: Session, city_id: int, names: pd.Series[Any]) -> dict[str, int]:
    """Return the department of each name, made where the city has none."""
    known = {
        row.name: row.organisation_id
        for row in session.execute(
            select(Organisation.organisation_id, Organisation.name).where(
                Organisation.city_id == city_id, Organisation.kind == "department"
            )
        )
    }
    new = sorted(set(names.dropna()) - set(known))
    if new:
        first = int(
            session.scalar(
                select(func.max(Organisation.organisation_id)).where(
                    Organisation.city_id == city_id
                )
            )
            or 0
        )
        made = [
            {"city_id": city_id, "organisation_id": first + n, "name": name, "kind": "department"}
            for n, name in enumerate(new, start=1)
        ]
        session.execute(insert(Organisation), made)
        known |= {one["name"]: one["organisation_id"] for one in made}
    return known


def _table(
    rows: pd.DataFrame,
    number: NDArray[np.int64],
    keep: NDArray[np.bool_],
    place: NDArray[np.int64],
    ground: Ground,
    categories: dict[str, str],
    bodies: dict[str, int],
) -> pd.DataFrame:
    """Return the rows of the table `issue`."""
    owners = ground.owners.iloc[place].reset_index(drop=True)
    rows = rows.reset_index(drop=True)
    closed = rows["closed"].to_numpy()
    earlier = rows["repeats"].to_numpy()
    first = np.where(earlier >= 0, number[earlier], 0)
    repeated = (first > 0) & (rows["set_aside"] == "duplicate").to_numpy()
    origin = pd.Series(first, dtype="Int64").where(repeated)
    far = pd.Timestamp(datetime.fromisoformat(FAR)).as_unit("s")
    due = rows["deadline_at"].where(~closed, far).fillna(far)
    state = np.where(closed, IssueState.CLOSED.value, IssueState.DISPATCHED.value)
    ended = rows["closed_at"].where(closed)
    made: pd.DataFrame = gpd.GeoDataFrame(
        {
            "issue_id": number[keep],
            "external": rows["external"],
            "cell_id": ground.cells[place],
            **{name: owners[name] for name in owners.columns},
            "category": rows["kind"].map(categories),
            "channel": rows["channel"].fillna(CHANNEL),
            "state": state,
            "reported_at": rows["reported_at"],
            "accepted_at": rows["reported_at"],
            "registered_at": rows["reported_at"],
            "dispatched_at": rows["reported_at"],
            "deadline_at": rows["deadline_at"],
            "handled_at": ended,
            "closed_at": ended,
            "due_at": due,
            "set_aside": pd.Series(rows["set_aside"], dtype="str"),
            "duplicate_of": origin,
            "organisation_id": rows["department"].map(bodies).astype("Int64"),
            "desk_level": (owners[list(AREA_COLUMNS)].notna().sum(axis=1)).clip(upper=3),
        },
        geometry=shapely.points(rows["lon"], rows["lat"]),
        crs=4326,
    )
    return made
