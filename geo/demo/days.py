"""The days of a made-up city: all follow from the one on which its year of requests is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

UNTIL: Final = date(2026, 10, 1)
"""The day of the tests, the benchmarks and the boundary files."""
DAYS_OF_REQUESTS: Final = 365


@dataclass(frozen=True)
class Days:
    """When what is in a made-up city happened.

    Parameters
    ----------
    until : date
        First day after the year of requests, in the city's zone.

    Examples
    --------
    >>> Days(date(2026, 10, 1)).year, Days(date(2027, 3, 1)).year
    (2026, 2026)
    >>> Days(date(2027, 3, 1)).on(date(2020, 1, 1))
    datetime.date(2020, 1, 1)
    """

    until: date = UNTIL

    @property
    def first(self) -> np.datetime64:
        """Return the first day of the year of requests."""
        return self.last - DAYS_OF_REQUESTS * np.timedelta64(1, "D")

    @property
    def last(self) -> np.datetime64:
        """Return `until` as a number of days."""
        return np.datetime64(self.until, "D")

    @property
    def year(self) -> int:
        """Return the year of the net and the figures: they are 9 to 21 months old at the end."""
        begun = (self.until.month, self.until.day) >= (UNTIL.month, UNTIL.day)
        return self.until.year if begun else self.until.year - 1

    def on(self, day: date) -> date:
        """Return what a day of the city that ends on `UNTIL` is here: whole years away."""
        return day.replace(year=day.year + self.year - UNTIL.year)
