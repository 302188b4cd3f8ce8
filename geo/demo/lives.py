"""The lives of made-up issues: when each step was taken, limits, returns, histories of some."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from geo.dataset import shaped
from geo.deadlines import deadlines, nearest
from geo.demo import names
from geo.demo.days import Days
from geo.demo.ground import METRE_SRID
from geo.demo.requests import UTC_OFFSET, Array, Floats, Rng
from geo.profiles import Profile
from geo.terms import IssueState, LimitUnit

S = IssueState
FAR_S: Final = 32_503_593_600.0
"""2999-12-31 UTC in seconds: due at no time."""
HISTORY_DAYS: Final = 30
"""Issues of the last days of the year have their whole history, and all that are open."""
_DISPATCHED: Final = ("dispatched", "handled", "checked", "closed", "returned", "reworked",
                      "postponed", "suspended", "parked")  # fmt: skip
_REGISTERED: Final = ("registered", *_DISPATCHED)
_HANDLED: Final = ("handled", "checked", "closed")
STEPS: Final = (
    ("report", "reported", "reported_at", "public"),
    ("accept", "accepted", "accepted_at", "community"),
    ("register", "registered", "registered_at", "community"),
    ("dispatch", "dispatched", "dispatched_at", "community"),
    ("handle", "handled", "handled_at", "department"),
    ("close", "closed", "closed_at", "community"),
)
"""Act, state after it, column of its moment, role of who did it."""


def frames(
    issues: pd.DataFrame,
    duplicate_of: pd.DataFrame,
    categories: pd.DataFrame,
    departments: list[int],
    profile: Profile,
    days: Days,
    rng: Rng,
) -> dict[str, pd.DataFrame]:
    """Return the frames `issue_lives`, `issue_events` and `category_leads` of a dataset."""
    lives = lives_frame(issues, duplicate_of, profile, days, rng)
    return {
        "issue_lives": lives,
        "issue_events": events_frame(issues, lives, days),
        "category_leads": leads_frame(categories, departments),
    }


def lives_frame(
    issues: pd.DataFrame, duplicate_of: pd.DataFrame, profile: Profile, days: Days, rng: Rng
) -> pd.DataFrame:
    """Give each issue its steps, so that they fit its state and its closing.

    Parameters
    ----------
    issues : DataFrame
        Issues of the dataset.
    duplicate_of : DataFrame
        issue_id, original_id.
    profile : Profile
        Its limits and its calendar.
    days : Days
        Whose year of requests is over.
    rng : numpy.random.Generator

    Returns
    -------
    DataFrame
        The frame `issue_lives`.
    """
    count = len(issues)
    state = issues["state"].to_numpy().astype(str)
    reported, closed = _seconds(issues["reported_at"]), _seconds(issues["closed_at"])
    end = float((days.last.astype("datetime64[s]") - UTC_OFFSET).astype(np.int64))
    accepted, registered, dispatched, handled, spot = _steps(issues, state, end, rng)
    limits = _limits(issues["category"], profile)
    register_by = _until(reported, *limits["register"], profile)
    deadline = _until(dispatched, *limits["handle"], profile)
    late = rng.random(count)
    later = np.isin(state, ("postponed", "parked")) | (~np.isnan(dispatched) & (late < 0.03))
    deadline = np.where(later, deadline + 3 * 86_400.0, deadline)
    soon = end + rng.uniform(-1.0, 9.0, count) * 86_400.0
    deadline = np.where(state == "postponed", np.maximum(deadline, soon), deadline)
    review = days.last + rng.integers(4, 110, count).astype("timedelta64[D]")
    held = np.isin(state, ("suspended", "parked"))
    drawn = rng.random((count, 4))
    many = ~np.isnan(dispatched)
    amount, unit = limits["handle"]
    twins = pd.Series(
        duplicate_of["original_id"].to_numpy(), index=duplicate_of["issue_id"].to_numpy()
    ).reindex(issues["issue_id"])
    return shaped(
        "issue_lives",
        {
            "issue_id": issues["issue_id"],
            "accepted_at": _moments(accepted),
            "register_by": _moments(register_by),
            "registered_at": _moments(registered),
            "dispatched_at": _moments(dispatched),
            "deadline_at": _moments(deadline),
            "suspended_at": _moments(np.where(held, dispatched + 1_800.0, np.nan)),
            "handled_at": _moments(handled),
            "due_at": _moments(_due(state, register_by, deadline, handled, review, end)),
            "review_on": pd.Series(
                np.where(state == "parked", review, np.datetime64("NaT")).astype("datetime64[s]")
            ),
            "limit_amount": np.where(many, amount, np.nan),
            "limit_unit": pd.Series(unit, dtype="str").where(many),
            "remaining_s": np.where(held, 7_200.0, np.nan),
            "returns": ((state == "returned") | (many & (drawn[:, 0] < 0.06))).astype(np.int64),
            "reworks": ((state == "reworked") | (~np.isnan(handled) & ~spot & (drawn[:, 1] < 0.05))
                        ).astype(np.int64),
            "postpones": later.astype(np.int64),
            "reopens": (~np.isnan(closed) & (drawn[:, 2] < 0.015)).astype(np.int64),
            "desk_level": np.where(many & (drawn[:, 3] < 0.2), 2, 3),
            "on_the_spot": spot,
            "satisfied": _satisfied(state, closed > deadline, rng),
            "duplicate_of": twins.astype("Int64"),
        },
        METRE_SRID,
    )  # fmt: skip


def _steps(
    issues: pd.DataFrame, state: Array, end: float, rng: Rng
) -> tuple[Floats, Floats, Floats, Floats, Array]:
    """Return when each step was taken, NaN for none, and what was solved on the spot."""
    reported, closed = _seconds(issues["reported_at"]), _seconds(issues["closed_at"])
    lasts = np.where(np.isnan(closed), np.minimum(end - reported, 6 * 86_400.0), closed - reported)
    steps = np.sort(rng.random((len(state), 4)), axis=1) * [0.2, 0.35, 0.5, 0.98]
    accepted, registered, dispatched, handled = reported + steps.T * lasts
    spot = (
        (state == "closed")
        & (issues["channel"].to_numpy() == "worker")
        & issues["organisation_id"].isna().to_numpy()
        & (rng.random(len(state)) < 0.5)
    )
    accepted = np.where(state == "reported", np.nan, accepted)
    registered = np.where(np.isin(state, _REGISTERED) & ~spot, registered, np.nan)
    dispatched = np.where(np.isin(state, _DISPATCHED) & ~spot, dispatched, np.nan)
    handled = np.where(np.isin(state, _HANDLED), handled, np.nan)
    handled[spot] = closed[spot]
    return accepted, registered, dispatched, handled, spot


def _seconds(moments: pd.Series[Any]) -> Floats:
    """Return moments as seconds since 1970, NaN for none."""
    plain = moments.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    seconds: Floats = plain.astype(np.int64).astype(np.float64)
    return np.where(np.isnat(plain), np.nan, seconds)


def _moments(seconds: Floats) -> pd.Series[Any]:
    """Return seconds since 1970 as moments, NaN as none."""
    none = np.isnan(seconds)
    plain = np.where(none, 0, seconds).astype(np.int64).astype("datetime64[s]")
    plain[none] = np.datetime64("NaT")
    return pd.Series(plain).dt.tz_localize("UTC")


def _limits(category: pd.Series[Any], profile: Profile) -> dict[str, tuple[Floats, Array]]:
    """Return amount and unit of each issue's limits, by step."""
    rules = profile.limit_rules()
    codes, index = np.unique(category.to_numpy().astype(str), return_inverse=True)
    found = {}
    for step in ("register", "handle"):
        own = []
        for code in codes:
            line = tuple(code[:length] for length in range(len(code), 0, -1))
            own.append(nearest(rules, line, step))
        amounts = np.array([limit.amount if limit else np.nan for limit in own])
        units = np.array([limit.unit.value if limit else None for limit in own], dtype=object)
        found[step] = (amounts[index], units[index])
    return found


def _until(begins: Floats, amounts: Floats, units: Array, profile: Profile) -> Floats:
    """Return when limits run out, NaN where none began."""
    calendar = profile.calendar(profile.timezone)
    ends = np.full(len(begins), np.nan)
    for unit in LimitUnit:
        some = (units == unit.value) & ~np.isnan(begins)
        ends[some] = deadlines(begins[some], amounts[some], unit, calendar)
    return ends


def _due(
    state: Array,
    register_by: Floats,
    deadline: Floats,
    handled: Floats,
    review: Array,
    end: float,
) -> Floats:
    """Return what each desk waits for next."""
    due = np.full(len(state), FAR_S)
    waiting = np.isin(state, ("reported", "accepted", "verified", "registered"))
    due[waiting] = register_by[waiting]
    running = np.isin(state, ("dispatched", "reworked", "postponed"))
    due[running] = deadline[running]
    done = np.isin(state, ("handled", "checked"))
    due[done] = handled[done]
    due[state == "returned"] = end
    parked = state == "parked"
    due[parked] = (review[parked].astype("datetime64[s]") - UTC_OFFSET).astype(np.float64)
    return due


def _satisfied(state: Array, late: Array, rng: Rng) -> Any:
    """Three of ten say something after closing; those that waited long are less content."""
    draw = rng.random((len(state), 2))
    said = (state == "closed") & (draw[:, 0] < 0.3)
    content = pd.array(draw[:, 1] < np.where(late, 0.75, 0.93), dtype="boolean")
    content[~said] = pd.NA
    return content


def events_frame(issues: pd.DataFrame, lives: pd.DataFrame, days: Days) -> pd.DataFrame:
    """Return the histories of issues that are open, or of the last `HISTORY_DAYS` days."""
    together = issues.drop(columns="geometry").merge(lives, on="issue_id")
    begin = pd.Timestamp(days.last - np.timedelta64(HISTORY_DAYS, "D"), tz="UTC")
    over = together["state"].isin(["closed", "void"])
    told = together[~over | (together["reported_at"] >= begin)]
    parts = []
    for act, state, column, role in STEPS:
        some = told[told[column].notna()]
        if act in ("handle", "close"):
            some = some[~some["on_the_spot"]]
        parts.append(pd.DataFrame({
            "issue_id": some["issue_id"], "at": some[column], "act": act, "state": state,
            "actor_role": role,
        }))  # fmt: skip
    spot = told[told["on_the_spot"]]
    parts.append(pd.DataFrame({
        "issue_id": spot["issue_id"], "at": spot["closed_at"], "act": "solve_on_the_spot",
        "state": "closed", "actor_role": "worker",
    }))  # fmt: skip
    for state, act, role in (
        ("returned", "return", "department"), ("reworked", "rework", "community"),
        ("postponed", "postpone", "community"), ("suspended", "suspend", "community"),
        ("parked", "park", "community"),
    ):  # fmt: skip
        some = told[told["state"] == state]
        parts.append(pd.DataFrame({
            "issue_id": some["issue_id"],
            "at": some["dispatched_at"] + pd.Timedelta(1_800, "s"),
            "act": act, "state": state, "actor_role": role,
        }))  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.sort_values(["issue_id", "at"], kind="stable", ignore_index=True)
    columns = {name: rows[name] for name in rows.columns}
    return shaped("issue_events", {**columns, "details": ["{}"] * len(rows)}, METRE_SRID)


def leads_frame(categories: pd.DataFrame, departments: list[int]) -> pd.DataFrame:
    """Return the department that takes each category: the longest of its codes that fits."""
    fits = {
        prefix: department
        for department, (_, prefixes) in zip(departments, names.DEPARTMENTS, strict=True)
        for prefix in prefixes.split()
    }
    rows = []
    for code in categories["category"]:
        able = [prefix for prefix in fits if code.startswith(prefix)]
        if able:
            rows.append((code, fits[max(able, key=len)], None))
    frame = pd.DataFrame(rows, columns=["category", "lead_id", "legal_basis"])
    return shaped("category_leads", {name: frame[name] for name in frame.columns}, METRE_SRID)
