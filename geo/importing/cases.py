"""A list of cases of another system: understood as issues, doubtful ones recognised, none lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.errors import DeliveryError
from geo.terms import SetAside

__all__ = ["CaseColumns", "Doubts", "Understood", "doubts", "moments", "understand"]

DEFAULT_SHARE: Final = 0.01
"""A place that holds more than this share of all cases ..."""
DEFAULT_KINDS: Final = 0.25
"""... and this share of all kinds is where cases without a place were put."""
LEAST_DEFAULT: Final = 50
REPEAT_HOURS: Final = 24.0
AHEAD: Final = timedelta(days=1)
"""A case may be reported so long after now: clocks differ, and zones are mistaken."""
_ZONED: Final = r":\d\d(?:\.\d+)?\s*(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$"
_SERIAL: Final = r"[2-7]\d{4}(?:\.\d+)?"
"""A day of the years 1954 to 2118 as a spreadsheet counts it in a cell that is none of dates."""
_SERIAL_ORIGIN: Final = "1899-12-30"
_CHINESE: Final = (
    (r"\s*[年月]\s*", "-"), (r"\s*日\s*", " "), (r"\s*[时点分]\s*", ":"), (r"\s*秒", ""),
    (r"[:\s]+$", ""),
)  # fmt: skip
"""2026年5月1日 8时30分 as it is written elsewhere."""


@dataclass(frozen=True)
class CaseColumns:
    """Which column of a list says what; the first five are needed.

    `closed_states` are the words of `state` that mean closed; without `state`, a closing time does.
    """

    external: str
    kind: str
    opened: str
    lon: str
    lat: str
    target: str | None = None
    closed: str | None = None
    state: str | None = None
    closed_states: tuple[str, ...] = ("Closed", "closed", "已结案", "结案")
    department: str | None = None
    channel: str | None = None


@dataclass(frozen=True)
class Understood:
    """Cases as rows, and what was found.

    Attributes
    ----------
    rows : DataFrame
        external, kind, department, channel, lon, lat (degrees), reported_at, deadline_at,
        closed_at (UTC), closed (bool), set_aside, repeats (row of the earlier case, -1 for none).
    report : dict
        `cases`, `default_point` with its place, `repeats`, `impossible_times`, `left_out` by
        reason, `first`, `last`.
    """

    rows: pd.DataFrame
    report: dict[str, Any]


def understand(frame: pd.DataFrame, columns: CaseColumns, zone: str) -> Understood:
    """Read a list of cases; times without a zone are of `zone`.

    A case is set aside, never dropped, when it stands on the default place, repeats kind and place
    within a day, or closes before it opens. Left out is what cannot be an issue: no time, no place,
    a number that stood above.

    Raises
    ------
    DeliveryError
        If a column is missing; all are listed.
    """
    wanted = [name for name in vars(columns).values() if isinstance(name, str)]
    missing = sorted(set(wanted) - set(frame.columns))
    if missing:
        raise DeliveryError([f"there is no column '{name}'" for name in missing])
    rows = pd.DataFrame({
        "external": frame[columns.external].astype(str),
        "kind": frame[columns.kind].astype(str).str.strip(),
        "department": _words(frame, columns.department),
        "channel": _words(frame, columns.channel),
        "lon": pd.to_numeric(frame[columns.lon], errors="coerce"),
        "lat": pd.to_numeric(frame[columns.lat], errors="coerce"),
        "reported_at": moments(frame[columns.opened], zone),
        "deadline_at": _times(frame, columns.target, zone),
        "closed_at": _times(frame, columns.closed, zone),
    })  # fmt: skip
    rows["closed"] = _closed(frame, columns, rows["closed_at"])
    rows, left_out = _usable(rows)
    rows = rows.sort_values(["reported_at", "external"], kind="stable", ignore_index=True)
    found = doubts(rows)
    rows = rows.assign(set_aside=found.set_aside, repeats=found.repeats)
    report = {
        "cases": len(rows),
        "default_points": found.points,
        "default_geocodes": int(found.default.sum()),
        "repeats": int((found.repeats >= 0).sum()),
        "impossible_times": int(found.impossible.sum()),
        "set_aside": int(pd.notna(found.set_aside).sum()),
        "left_out": left_out,
        "first": rows["reported_at"].min().isoformat() if len(rows) else None,
        "last": rows["reported_at"].max().isoformat() if len(rows) else None,
    }
    return Understood(rows, report)


@dataclass(frozen=True)
class Doubts:
    """What is doubtful among n cases, row by row.

    Attributes
    ----------
    default : array of bool, shape (n,)
        It stands where cases of all kinds pile up: where those without a place were put.
    repeats : array of int, shape (n,)
        Row of the case before it of the same kind and place within a day; -1 for none.
    impossible : array of bool, shape (n,)
        It closes before it opens, or opens in the future.
    points : list of dict
        The default places: `lon`, `lat` (as in the rows) and `cases`, the worst first.
    """

    default: NDArray[np.bool_]
    repeats: NDArray[np.int64]
    impossible: NDArray[np.bool_]
    points: list[dict[str, Any]]

    @property
    def set_aside(self) -> NDArray[np.object_]:
        """Why a row is set aside, a word of `SetAside`; None where it is not."""
        aside = np.full(len(self.default), None, dtype=object)
        aside[self.repeats >= 0] = SetAside.DUPLICATE.value
        aside[self.default] = SetAside.DEFAULT_GEOCODE.value
        aside[self.impossible] = SetAside.IMPOSSIBLE_TIME.value
        return aside


def doubts(rows: pd.DataFrame, now: datetime | None = None) -> Doubts:
    """Recognise what is doubtful among cases: default places, repeats, impossible times.

    Parameters
    ----------
    rows : DataFrame, shape (n,)
        kind, lon, lat (of any one CRS), reported_at, closed_at (aware), on 0 .. n-1.
    now : datetime, optional
        Aware; what opens more than a day later is impossible. Without it nothing is.
    """
    default, points = _default_points(rows)
    impossible = (rows["closed_at"] < rows["reported_at"]).to_numpy()
    if now is not None:
        impossible = impossible | (rows["reported_at"] > now + AHEAD).to_numpy()
    return Doubts(default, _repeats(rows, ~default), impossible, points)


def _words(frame: pd.DataFrame, column: str | None) -> Any:
    if column is None:
        return None
    return frame[column].where(frame[column].notna(), None)


def _times(frame: pd.DataFrame, column: str | None, zone: str) -> Any:
    return pd.NaT if column is None else moments(frame[column], zone)


def moments(values: pd.Series[Any], zone: str) -> pd.Series[Any]:
    """Return moments in UTC, NaT where nothing is understood; those without a zone are of `zone`.

    Texts may have a zone each or none, be written in Chinese, or be the days that a spreadsheet
    counts. An hour that a change of clocks doubles is its first one.

    Examples
    --------
    >>> said = ["2026-05-01 08:30", "2026年5月1日 8时30分", "2026-05-01T00:30Z", "46143.354167"]
    >>> moments(pd.Series(said), "Asia/Shanghai").dt.strftime("%m-%d %H:%M").tolist()
    ['05-01 00:30', '05-01 00:30', '05-01 00:30', '05-01 00:30']
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return _localised(pd.to_datetime(values), zone)
    texts = values.astype("string").str.strip()
    if texts.str.contains("[年月日时]", na=False).any():
        for pattern, plain in _CHINESE:
            texts = texts.str.replace(pattern, plain, regex=True)
    zoned = texts.str.contains(_ZONED, na=False)
    serial = texts.str.fullmatch(_SERIAL, na=False)
    plain_texts = texts.mask(zoned | serial).astype(object)
    found = _localised(pd.to_datetime(plain_texts, errors="coerce", format="mixed"), zone)
    if zoned.any():
        read = pd.to_datetime(
            texts[zoned].astype(object), errors="coerce", format="mixed", utc=True
        )
        found[zoned] = read.dt.as_unit("s")
    if serial.any():
        days = texts[serial].astype(float)
        read = pd.to_datetime(days, unit="D", origin=_SERIAL_ORIGIN).dt.round("s")
        found[serial] = _localised(read, zone)
    return found


def _localised(found: pd.Series[Any], zone: str) -> pd.Series[Any]:
    if found.dt.tz is None:
        first = np.ones(len(found), dtype=bool)
        found = found.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    made: pd.Series[Any] = found.dt.tz_convert("UTC").dt.as_unit("s")
    return made


def _closed(frame: pd.DataFrame, columns: CaseColumns, closed_at: pd.Series[Any]) -> Any:
    if columns.state is None:
        return closed_at.notna()
    return frame[columns.state].astype(str).isin(columns.closed_states)


def _usable(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows that can be issues, and how many cannot, by reason."""
    timeless = rows["reported_at"].isna()
    placeless = ~(rows["lon"].between(-180, 180) & rows["lat"].between(-90, 90))
    again = rows["external"].duplicated()
    kindless = rows["kind"].isin(["", "nan", "None"])
    reasons = {"no_time": timeless, "no_place": placeless, "no_kind": kindless, "number": again}
    told: dict[str, int] = {}
    bad = np.zeros(len(rows), dtype=bool)
    for name, mask in reasons.items():
        own = mask.to_numpy() & ~bad
        if own.any():
            told[name] = int(own.sum())
        bad |= own
    return rows[~bad].reset_index(drop=True), told


def _default_points(
    rows: pd.DataFrame,
) -> tuple[NDArray[np.bool_], list[dict[str, Any]]]:
    """Find places where cases of all kinds pile up: where those without a place were put."""
    by_place = rows.groupby(["lon", "lat"])["kind"].agg(["size", "nunique"])
    many = by_place["size"] > max(LEAST_DEFAULT, DEFAULT_SHARE * len(rows))
    mixed = by_place["nunique"] >= DEFAULT_KINDS * max(rows["kind"].nunique(), 4)
    found = by_place[many & mixed]
    standing = pd.MultiIndex.from_frame(rows[["lon", "lat"]]).isin(found.index)
    worst = found.sort_values("size", ascending=False).reset_index()
    points = [
        {"lon": float(lon), "lat": float(lat), "cases": int(size)}
        for lon, lat, size in zip(worst["lon"], worst["lat"], worst["size"], strict=True)
    ]
    return np.asarray(standing, dtype=bool), points


def _repeats(rows: pd.DataFrame, located: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each case the one before it of the same kind and place within a day, else -1."""
    order = (
        rows[located]
        .sort_values(["kind", "lon", "lat", "reported_at"], kind="stable")
        .index.to_numpy()
    )
    ordered = rows.loc[order]
    same = (ordered[["kind", "lon", "lat"]] == ordered[["kind", "lon", "lat"]].shift()).all(axis=1)
    after = ordered["reported_at"].diff().dt.total_seconds() <= REPEAT_HOURS * 3600
    found = np.full(len(rows), -1, dtype=np.int64)
    hit = (same & after).to_numpy()
    found[order[hit]] = order[np.flatnonzero(hit) - 1]
    return found
