"""What the rates are made of, counted by pandas alone: the second opinion of the tests."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

OVER = {
    "handling": ("handled", "should_handle"),
    "on_time_handling": ("handled_on_time", "should_handle"),
    "closure": ("closed", "should_close"),
    "on_time_closure": ("closed_on_time", "should_close"),
    "rework": ("reworked", "should_close"),
    "overdue": ("overdue", "should_handle"),
    "postponement": ("postponed", "should_handle"),
    "on_time_registration": ("registered_on_time", "registered"),
    "accurate_dispatch": ("dispatched_accurately", "should_dispatch"),
    "valid_report": ("valid", "reported"),
    "response": ("answered", "valid"),
    "solution": ("solved", "valid"),
    "satisfaction": ("satisfied", "asked"),
}


def counted(rows: pd.DataFrame, now: datetime) -> dict[str, int]:
    """Count what the rates are made of, by pandas alone."""
    closed = rows["state"] == "closed"
    void = rows["state"] == "void"
    done_at = rows["handled_at"].fillna(rows["closed_at"])
    done = done_at <= now
    in_time = rows["deadline_at"].isna() | (done_at <= rows["deadline_at"])
    running = ~rows["state"].isin(["suspended", "parked"])
    past = rows["deadline_at"] < now
    handle = rows["dispatched_at"].notna() & ~void & (done | (running & past))
    close = handle | closed
    registered = rows["registered_at"].notna()
    by = rows["register_by"].isna() | (rows["registered_at"] <= rows["register_by"])
    said = rows["satisfied"].notna() & closed
    found = {
        "reported": len(rows),
        "valid": (~void).sum(),
        "answered": (~void & (rows["accepted_at"].notna() | closed)).sum(),
        "registered": registered.sum(),
        "registered_on_time": (registered & by).sum(),
        "should_dispatch": registered.sum(),
        "dispatched_accurately": (
            registered & rows["dispatched_at"].notna() & (rows["returns"] == 0)
        ).sum(),
        "should_handle": handle.sum(),
        "handled": (handle & done).sum(),
        "handled_on_time": (handle & done & in_time).sum(),
        "overdue": (handle & ~done).sum(),
        "postponed": (handle & (rows["postpones"] > 0)).sum(),
        "should_close": close.sum(),
        "closed": closed.sum(),
        "closed_on_time": (closed & (rows["on_the_spot"] | in_time)).sum(),
        "reworked": (close & (rows["reworks"] > 0)).sum(),
        "asked": said.sum(),
        "satisfied": (said & rows["satisfied"].eq(True).fillna(False).astype(bool)).sum(),
        "solved": closed.sum(),
    }
    return {name: int(value) for name, value in found.items()}
