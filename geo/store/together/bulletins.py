"""Bulletins of a campaign: what was found, done and overdue in a week, a month or a quarter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
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
    comes first); days are those of the city's zone. Lines dropped by then count nowhere.

    Returns
    -------
    dict
        `campaign`; `period`, `first`, `last`, `until`; `figures` by list: `found` (in the period),
        `done` (in the period), `all`, `done_all`, `left`, `overdue`; `owners` and `grids` with the
        same figures of both lists together; `lines` that count at the end of the period, of them
        `found`, `done` (in the period) and `overdue`; `projects` with `budget` and `spent` in all.

    Raises
    ------
    NotFoundError
        If the city has no such campaign.
    """
    card = campaigns.show(session, viewer, at, campaign)
    first, last = period_of(period, day)
    until = min(last, at.day)
    over = min(last + timedelta(days=1), at.day)
    zone = ZoneInfo(at.timezone)
    dated = [_dated(row, zone) for row in card.pop("lines")]
    known = [row for row in dated if row["found_on"] <= until]
    rows = [_at(row, until, over) for row in known if not _dropped(row, until)]
    works = projects.listed(session, viewer, at, campaign=campaign)
    approved = [row for row in works if ProjectState(row["state"]) in SPENDING]
    return {
        "campaign": card,
        "period": period.value, "first": first, "last": last, "until": until,
        "figures": {
            one.value: figures([row for row in rows if row["list"] == one.value], first)
            for one in ItemList
        },
        "owners": _grouped(rows, "organisation", first),
        "grids": _grouped(rows, "grid", first),
        "found": [row for row in rows if row["found_on"] >= first],
        "lines": rows,
        "done": [row for row in rows if row["is_done"] and row["done_on"] >= first],
        "overdue": [row for row in rows if row["is_overdue"]],
        "projects": works,
        "budget": sum((row["budget"] for row in approved), start=Decimal(0)),
        "spent": sum((row["spent"] or Decimal(0) for row in approved), start=Decimal(0)),
    }  # fmt: skip


def figures(rows: Sequence[Row], first: date) -> dict[str, int]:
    """Return the figures of lines: `found`, `done`, `all`, `done_all`, `left`, `overdue`."""
    done = [row for row in rows if row["is_done"]]
    return {
        "found": sum(row["found_on"] >= first for row in rows),
        "done": sum(row["done_on"] >= first for row in done),
        "all": len(rows),
        "done_all": len(done),
        "left": len(rows) - len(done),
        "overdue": sum(row["is_overdue"] for row in rows),
    }


def _grouped(rows: Sequence[Row], by: str, first: date) -> list[dict[str, Any]]:
    """Return figures for each owner or grid, those with most left first; None has neither."""
    groups: dict[int | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[by], []).append(row)
    found = [
        {
            "id": one,
            "name": own[0][f"{by}_name"],
            "code": own[0].get(f"{by}_code"),
            **figures(own, first),
        }
        for one, own in groups.items()
    ]
    return sorted(found, key=lambda row: (-row["left"], row["name"] or "", row["id"] or 0))


def _dated(row: Row, zone: ZoneInfo) -> dict[str, Any]:
    ended = row["done_at"]
    return {
        **row,
        "found_on": row["created_at"].astimezone(zone).date(),
        "done_on": ended.astimezone(zone).date() if ended else None,
    }


def _at(row: Row, until: date, over: date) -> dict[str, Any]:
    """Add how a line stands at the end of the period; days before `over` are over by then."""
    done = row["state"] == ItemState.DONE.value and row["done_on"] <= until
    late = not done and row["due_on"] is not None and row["due_on"] < over
    return {**row, "is_done": done, "is_overdue": late}


def _dropped(row: Row, until: date) -> bool:
    return bool(row["state"] == ItemState.DROPPED.value and row["done_on"] <= until)
