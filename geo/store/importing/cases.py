"""Delivered cases: only new ones come in, each with its grid, its desk and its clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo.findings import Finding, Findings, the_rows
from geo.grids import AREA_COLUMNS
from geo.importing.columns import some
from geo.importing.differences import Difference
from geo.saying import phrase
from geo.store.cases.routing import route
from geo.store.cases.rules import rules_of
from geo.store.importing.plans import Task
from geo.tables import Issue, Net, NetCell, NetGrid, Organisation
from geo.tables.issue import FAR
from geo.terms import IssueState, SetAside

AROUND: Final = timedelta(seconds=1)
"""Moments of files are whole seconds."""
ASKED_AT_ONCE: Final = 20_000
"""Numbers of another platform that are looked up in one question."""


def near_in_time(rows: gpd.GeoDataFrame) -> tuple[Any, ...]:
    """Return the conditions of the issues that delivered ones could be: those of their period."""
    if not len(rows):
        return (Issue.issue_id < 0,)
    first, last = rows["reported_at"].min() - AROUND, rows["reported_at"].max() + AROUND
    return (Issue.reported_at.between(first.to_pydatetime(), last.to_pydatetime()),)


def only_new(
    task: Task, rows: gpd.GeoDataFrame, there: gpd.GeoDataFrame, found: Difference, told: Findings
) -> Difference:
    """Return which cases are new; one that stands is never changed by a file.

    A case is known by its number on the other platform, else by kind, moment and place. What
    happened to it here since is its history, which a file does not write.
    """
    state, ids = found.rows["state"].copy(), found.rows["object_id"].copy()
    state[state == "changed"] = "same"
    if "external" in rows:
        said = rows["external"].notna()
        known = _known(task.session, task.city.city_id, rows.loc[said, "external"].tolist())
        number = rows["external"].map(known).astype("Int64")
        # Two numbers are two cases, whatever else is alike.
        standing = there["external"].reindex(ids.dropna().astype(int))
        other = pd.Series(standing.notna().to_numpy(), index=ids.dropna().index)
        apart = said & number.isna() & other.reindex(rows.index, fill_value=False)
        state[apart], ids[apart] = "new", pd.NA
        state[number.notna()] = "same"
        ids = number.where(number.notna(), ids)
    if "department" in rows:
        _tell_departments(task, rows, told)
    table = pd.DataFrame({"state": state, "object_id": ids.astype("Int64")}, index=rows.index)
    return Difference(table, np.empty(0, dtype=np.int64))


def _known(session: Session, city_id: int, numbers: list[str]) -> dict[str, int]:
    """Return the issues that have these numbers of another platform."""
    found: dict[str, int] = {}
    for start in range(0, len(numbers), ASKED_AT_ONCE):
        asked = numbers[start : start + ASKED_AT_ONCE]
        rows = session.execute(
            select(Issue.external, Issue.issue_id).where(
                Issue.city_id == city_id, Issue.external.in_(asked)
            )
        )
        found |= {str(row.external): row.issue_id for row in rows}
    return found


def _tell_departments(task: Task, rows: gpd.GeoDataFrame, told: Findings) -> None:
    known = _departments(task.session, task.city.city_id)
    lost = rows["department"].notna() & ~rows["department"].isin(list(known))
    if lost.any():
        done = phrase("not known here, so no department has these: %(names)s",
                      names=some(sorted(set(rows.loc[lost, "department"]))))  # fmt: skip
        numbers = the_rows(some(rows.loc[lost, "row"]))
        told.add([Finding(task.delivered.label, "no_department", numbers, done)])


def _departments(session: Session, city_id: int) -> dict[str, int]:
    rows = session.execute(
        select(Organisation.name, Organisation.organisation_id).where(
            Organisation.city_id == city_id, Organisation.kind == "department"
        )
    )
    return {row.name: row.organisation_id for row in rows}


def as_issues(task: Task, rows: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return new cases as rows of the table `issue`, each with its grid, its desk and its clock.

    Parameters
    ----------
    task : Task
    rows : GeoDataFrame
        As `geo.importing.rows` made them, with `issue_id`, `cell_id` and `row`.
    """
    if not len(rows):
        return rows.drop(columns=["row", "repeats", "department"], errors="ignore")
    session, city_id = task.session, task.city.city_id
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    rows = _owned(session, city_id, rows)
    begun = rows["state"].isin([IssueState.DISPATCHED.value, IssueState.CLOSED.value])
    closed = rows["state"] == IssueState.CLOSED.value
    since = rows["reported_at"].where(begun)
    rows = rows.assign(
        accepted_at=since, registered_at=since, dispatched_at=since,
        handled_at=rows["closed_at"].where(closed),
        duplicate_of=_origins(rows),
    )  # fmt: skip
    if "department" in rows:
        bodies = _departments(session, city_id)
        rows["organisation_id"] = rows["department"].map(bodies).where(begun).astype("Int64")
    rows = _on_desks(session, city_id, rows, now)
    return rows.drop(columns=["row", "repeats", "department"], errors="ignore")


def _origins(rows: gpd.GeoDataFrame) -> pd.Series[Any]:
    """Return for each repeat the issue that the earlier case becomes, where it comes in as well."""
    numbers = pd.Series(rows["issue_id"].to_numpy(), index=rows["row"].to_numpy())
    earlier = numbers.reindex(rows["repeats"].to_numpy())
    made = pd.Series(earlier.to_numpy(), index=rows.index).astype("Int64")
    return made.where(rows["set_aside"] == SetAside.DUPLICATE.value)


def _on_desks(
    session: Session, city_id: int, rows: gpd.GeoDataFrame, now: datetime
) -> gpd.GeoDataFrame:
    """Give cases their desk, and new ones the time in which they are to be registered, from now.

    What another platform has sent already keeps the deadline that it has there.
    """
    rules = rules_of(session, city_id)
    far = pd.Timestamp(datetime.fromisoformat(FAR)).as_unit("s")
    levels: dict[tuple[str, tuple[int, ...]], int] = {}
    register_by: dict[str, datetime | None] = {}
    lines = [tuple(int(one) for one in line if not pd.isna(one))
             for line in rows[list(AREA_COLUMNS)].itertuples(index=False)]  # fmt: skip
    desks = []
    for kind, line in zip(rows["category"], lines, strict=True):
        if (kind, line) not in levels:
            levels[kind, line] = route(rules, kind, line, now).desk_level
            register_by.setdefault(kind, rules.by(kind, "register", now))
        desks.append(levels[kind, line])
    new = rows["state"] == IssueState.REPORTED.value
    sent = rows["state"] == IssueState.DISPATCHED.value
    said = rows["category"].map(register_by).astype(object)
    until: pd.Series[Any] = pd.Series(pd.to_datetime(said, utc=True)).dt.as_unit("s")
    due = until.where(new, rows["deadline_at"].where(sent)).fillna(far)
    return rows.assign(desk_level=desks, register_by=until.where(new), due_at=due)


def _owned(session: Session, city_id: int, rows: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Give issues the grid that their cell belongs to in the last net, with its ancestors."""
    if not len(rows):
        return rows
    last = session.scalar(
        select(func.max(Net.seq)).where(
            Net.city_id == city_id,
            Net.cancelled_at.is_(None),
            Net.effective_from <= func.current_date(),
        )
    ) or session.scalar(select(func.min(Net.seq)).where(Net.city_id == city_id))
    areas = [getattr(NetGrid, name) for name in AREA_COLUMNS]
    found: Mapping[int, Any] = {
        row.cell_id: row
        for row in session.execute(
            select(NetCell.cell_id, NetCell.grid_id.label("owner_grid"), *areas)
            .join(
                NetGrid,
                (NetGrid.city_id == NetCell.city_id) & (NetGrid.grid_id == NetCell.grid_id),
            )
            .where(
                NetCell.city_id == city_id,
                NetCell.cell_id.in_([int(one) for one in rows["cell_id"].unique()]),
                NetCell.from_seq <= last,
                NetCell.to_seq > last,
                NetGrid.from_seq <= last,
                NetGrid.to_seq > last,
            )
        )
    }
    owners = [found[int(cell)] for cell in rows["cell_id"]]
    columns = {
        name: pd.array([getattr(owner, name) for owner in owners], dtype="Int64")
        for name in ("owner_grid", *AREA_COLUMNS)
    }
    return rows.assign(**columns)
