"""Limits in clock hours, working hours or working days, and the calendar that they run by.

Moments are numbers of seconds since 1970 (UTC) in arrays, aware datetimes alone. A working day is
as long as the hours of one: two of them end two working days later at the same time of day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import chinese_calendar
import numpy as np
from numpy.typing import NDArray

from geo.terms import LimitUnit

__all__ = ["Calendar", "Limit", "Span", "deadline", "deadlines", "going_on", "left", "nearest"]

Floats = NDArray[np.float64]
Span = tuple[time, time]
HOUR_S: Final = 3600.0
SATURDAY: Final = 5
_YEARS_AHEAD: Final = 2


@dataclass(frozen=True)
class Limit:
    """How long something may take."""

    amount: float
    unit: LimitUnit


@dataclass(frozen=True)
class Calendar:
    """When a city works.

    Parameters
    ----------
    zone : str
        IANA name.
    country : {"cn", "week"}
        "cn" knows China's holidays and make-up days (调休) of the years that are published; in
        other years, and for "week", Monday to Friday are worked.
    spans : tuple of (time, time)
        The hours of a working day, in order, none over midnight.
    exceptions : tuple of (date, bool)
        Days of the city's own: whether they are worked.
    """

    zone: str
    country: Literal["cn", "week"] = "week"
    spans: tuple[Span, ...] = ((time(9), time(17)),)
    exceptions: tuple[tuple[date, bool], ...] = ()

    @property
    def day_s(self) -> float:
        """Length of a working day in seconds."""
        return sum(_seconds(end) - _seconds(begin) for begin, end in self.spans)

    def works(self, day: date) -> bool:
        """Return whether a day is a working day.

        Examples
        --------
        >>> Calendar("Asia/Shanghai", "cn").works(date(2026, 2, 14))  # a Saturday made up for
        True
        >>> Calendar("Asia/Shanghai", "week").works(date(2026, 2, 14))
        False
        """
        own = dict(self.exceptions).get(day)
        if own is not None:
            return own
        if self.country == "cn":
            try:
                return bool(chinese_calendar.is_workday(day))
            except NotImplementedError:  # a year whose holidays are not published
                pass
        return day.weekday() < SATURDAY


def _seconds(at: time) -> float:
    return at.hour * 3600.0 + at.minute * 60.0 + at.second


@lru_cache(maxsize=32)
def _clock(calendar: Calendar, first_year: int, last_year: int) -> tuple[Floats, Floats]:
    """Return begin and end of each working span of some years, seconds since 1970."""
    zone = ZoneInfo(calendar.zone)
    begins, ends = [], []
    day, after = date(first_year, 1, 1), date(last_year + 1, 1, 1)
    while day < after:
        if calendar.works(day):
            for begin, end in calendar.spans:
                begins.append(datetime.combine(day, begin, zone).timestamp())
                ends.append(datetime.combine(day, end, zone).timestamp())
        day += timedelta(days=1)
    return np.array(begins), np.array(ends)


def _years(moments: Floats, ahead: int) -> tuple[int, int]:
    first = datetime.fromtimestamp(float(np.min(moments)), UTC).year
    last = datetime.fromtimestamp(float(np.max(moments)), UTC).year
    return first - 1, last + ahead


def _worked(calendar: Calendar, moments: Floats, years: tuple[int, int]) -> Floats:
    """Return the seconds worked from the first year's beginning until each moment."""
    begins, ends = _clock(calendar, *years)
    total = np.concatenate([[0.0], np.cumsum(ends - begins)])
    span = np.searchsorted(begins, moments, side="right")
    inside = np.maximum(0.0, ends[span - 1] - moments)
    worked: Floats = total[span] - inside
    return worked


def deadlines(moments: Floats, amounts: Floats, unit: LimitUnit, calendar: Calendar) -> Floats:
    """Return when limits that begin at some moments run out.

    Parameters
    ----------
    moments : ndarray, shape (n,)
        Seconds since 1970.
    amounts : ndarray, shape (n,)
        Of `unit`.
    unit : LimitUnit
    calendar : Calendar

    Returns
    -------
    ndarray, shape (n,)
        Seconds since 1970; a limit that is used up at the end of working hours ends there.
    """
    if len(moments) == 0:
        return np.zeros(0)
    if unit is LimitUnit.CLOCK_HOURS:
        return moments + amounts * HOUR_S
    each_s = HOUR_S if unit is LimitUnit.WORKING_HOURS else calendar.day_s
    return _after(moments, amounts * each_s, calendar)


def _after(moments: Floats, seconds: Floats, calendar: Calendar) -> Floats:
    ahead = _YEARS_AHEAD
    while True:
        years = _years(moments, ahead)
        begins, ends = _clock(calendar, *years)
        total = np.cumsum(ends - begins)
        wanted = _worked(calendar, moments, years) + seconds
        if not len(total) or wanted.max() > total[-1]:
            ahead *= 4
            continue
        span = np.searchsorted(total, wanted, side="left")
        found: Floats = ends[span] - (total[span] - wanted)
        return found


def deadline(begins: datetime, limit: Limit, calendar: Calendar) -> datetime:
    """Return when a limit runs out that begins at a moment.

    Examples
    --------
    >>> morning, afternoon = (time(8, 30), time(12)), (time(13, 30), time(17, 30))
    >>> office = Calendar("Asia/Shanghai", "cn", (morning, afternoon))
    >>> friday = datetime(2026, 2, 13, 16, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    >>> deadline(friday, Limit(4, LimitUnit.WORKING_HOURS), office).isoformat()
    '2026-02-14T11:30:00+08:00'
    """
    at = np.array([begins.timestamp()])
    found = deadlines(at, np.array([limit.amount]), limit.unit, calendar)
    return datetime.fromtimestamp(float(found[0]), ZoneInfo(calendar.zone))


def left(at: datetime, ends: datetime, unit: LimitUnit, calendar: Calendar) -> float:
    """Return the seconds of a limit's clock from a moment to its end; negative when it is past."""
    moments = np.array([at.timestamp(), ends.timestamp()])
    if unit is LimitUnit.CLOCK_HOURS:
        return float(moments[1] - moments[0])
    worked = _worked(calendar, moments, _years(moments, _YEARS_AHEAD))
    return float(worked[1] - worked[0])


def going_on(at: datetime, seconds: float, unit: LimitUnit, calendar: Calendar) -> datetime:
    """Return the end of a limit of which so many seconds were left when its clock was stopped.

    What was past already is past at once.
    """
    if seconds <= 0:
        return at
    if unit is LimitUnit.CLOCK_HOURS:
        return at + timedelta(seconds=seconds)
    found = _after(np.array([at.timestamp()]), np.array([seconds]), calendar)
    return datetime.fromtimestamp(float(found[0]), ZoneInfo(calendar.zone))


def nearest(
    rules: Mapping[tuple[str, str], Limit], line: tuple[str, ...], step: str
) -> Limit | None:
    """Return the limit of a step that stands nearest to a category.

    Parameters
    ----------
    rules : mapping
        Limits by category and step; category "" is for all.
    line : tuple of str
        The category and those above it, the nearest first.
    step : str
    """
    for category in (*line, ""):
        if (category, step) in rules:
            return rules[category, step]
    return None
