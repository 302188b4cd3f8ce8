"""Bulletins of a campaign: what was found, done and overdue in a week, a month or a quarter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from geo.campaigns import period_of
from geo.db import Viewer
from geo.store.nets import Moment
from geo.store.together import campaigns, projects
from geo.terms import ItemList, ItemState, Period, ProjectState

SPENDING: Final = (ProjectState.APPROVED, ProjectState.UNDER_WAY, ProjectState.FINISHED)
"""States in which a budget is one."""
Row = Mapping[str, Any]


def bulletin(
    session: Session, viewer: Viewer, at: Moment, campaign: int, period: Period, day: date
) -> dict[str, Any]:
    """Return the bulletin of a campaign for the period that holds a day.

    Figures are of the lines that the viewer may see, at the end of the period (or today, if that
    comes first); days are those of the city's zone.

    Returns
    -------
    dict
        `campaign`; `period`, `first`, `last`, `until`; `figures` by list: `found` (in the period),
        `done` (in the period), `all`, `done_all`, `left`, `overdue`; `owners` and `grids` with the
        same figures of both lists together; `found`, `done`, `overdue`: lines; `projects` with
        `budget` and `spent` in all.

    Raises
    ------
    NotFoundError
        If the city has no such campaign.
    """
    card = campaigns.show(session, viewer, at, campaign)
    first, last = period_of(period, day)
    until = min(last, at.day)
    zone = ZoneInfo(at.timezone)
    rows = [_dated(row, zone) for row in card.pop("lines")]
    rows = [row for row in rows if row["found_on"] <= until]
    works = projects.listed(session, viewer, at, campaign=campaign)
    approved = [row for row in works if ProjectState(row["state"]) in SPENDING]
    return {
        "campaign": card,
        "period": period.value, "first": first, "last": last, "until": until,
        "figures": {
            one.value: figures([row for row in rows if row["list"] == one.value], first, until)
            for one in ItemList
        },
        "owners": _grouped(rows, "organisation_name", first, until),
        "grids": _grouped(rows, "grid_name", first, until),
        "found": [row for row in rows if row["found_on"] >= first],
        "done": [row for row in rows if _done(row, until) and row["done_on"] >= first],
        "overdue": [row for row in rows if _overdue(row, until)],
        "projects": works,
        "budget": sum((row["budget"] for row in approved), start=Decimal(0)),
        "spent": sum((row["spent"] or Decimal(0) for row in approved), start=Decimal(0)),
    }  # fmt: skip


def figures(rows: Sequence[Row], first: date, until: date) -> dict[str, int]:
    """Return the figures of lines: `found`, `done`, `all`, `done_all`, `left`, `overdue`."""
    counted = [row for row in rows if not _dropped(row, until)]
    done = [row for row in counted if _done(row, until)]
    return {
        "found": sum(row["found_on"] >= first for row in counted),
        "done": sum(row["done_on"] >= first for row in done),
        "all": len(counted),
        "done_all": len(done),
        "left": len(counted) - len(done),
        "overdue": sum(_overdue(row, until) for row in counted),
    }


def _grouped(rows: Sequence[Row], by: str, first: date, until: date) -> list[dict[str, Any]]:
    """Return figures for each owner or grid, those with most left first; None has neither."""
    groups: dict[str | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[by], []).append(row)
    found = [{"name": name, **figures(own, first, until)} for name, own in groups.items()]
    return sorted(found, key=lambda row: (-row["left"], row["name"] or ""))


def _dated(row: Row, zone: ZoneInfo) -> dict[str, Any]:
    ended = row["done_at"]
    return {
        **row,
        "found_on": row["created_at"].astimezone(zone).date(),
        "done_on": ended.astimezone(zone).date() if ended else None,
    }


def _done(row: Row, until: date) -> bool:
    return bool(row["state"] == ItemState.DONE.value and row["done_on"] <= until)


def _dropped(row: Row, until: date) -> bool:
    return bool(row["state"] == ItemState.DROPPED.value and row["done_on"] <= until)


def _overdue(row: Row, until: date) -> bool:
    if row["due_on"] is None or row["due_on"] >= until or _dropped(row, until):
        return False
    return not _done(row, until)
