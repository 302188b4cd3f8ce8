"""Rates as data: each is one count over another; the counts are defined here, once.

A period holds the issues that were reported in it and are not set aside. Counts look at them as
they stand at one moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from geo.codes import STRICT, Name

__all__ = ["COUNTS", "LEAST_WORKERS", "Rate", "Reckoned", "defects", "reckon"]

COUNTS: Final = {
    "reported": "reported, and not set aside",
    "valid": "reported, and not void",
    "answered": "accepted by somebody, or closed",
    "registered": "registered",
    "registered_on_time": "registered within the limit of that step",
    "should_dispatch": "registered",
    "dispatched_accurately": "dispatched and never returned",
    "should_handle": (
        "dispatched, neither suspended nor parked, and handled or with the deadline past"
    ),
    "handled": "handled, of those that should be",
    "handled_on_time": "handled by the deadline, of those that should be",
    "overdue": "deadline past and not handled, of those that should be",
    "postponed": "postponed at least once, of those that should be handled",
    "should_close": "should be handled, or closed without dispatch",
    "closed": "closed, of those that should be",
    "closed_on_time": "closed and handled by the deadline, or closed on the spot",
    "reworked": "sent back after handling at least once, of those that should be closed",
    "asked": "closed, and the reporter said satisfied or not",
    "satisfied": "closed, and the reporter said satisfied",
    "solved": "closed and not open again, of the valid ones",
}
"""What can be counted, in words; `geo.store.cases.rates` counts it."""
LEAST_WORKERS: Final = 5
"""A rate that rests on fewer workers is told to the worker and the own lead alone."""


@checked(config=STRICT, frozen=True)
class Rate:
    """A rate of a country profile: one count over another, both named in `COUNTS`."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    name: Name
    over: str
    of: str


@dataclass(frozen=True)
class Reckoned:
    """A rate with its numerator and denominator; `share` is None where nothing could happen."""

    code: str
    name: str
    name_en: str
    over: int
    of: int

    @property
    def share(self) -> float | None:
        """Return the numerator over the denominator, 0 to 1."""
        return self.over / self.of if self.of else None

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return {
            "rate": self.code, "name": self.name, "name_en": self.name_en,
            "over": self.over, "of": self.of, "share": self.share,
        }  # fmt: skip


def reckon(formulas: Iterable[Rate], counts: Mapping[str, int]) -> list[Reckoned]:
    """Return the rates of some counts.

    Examples
    --------
    >>> closure = Rate("closure", Name(zh="结案率", en="Closure"), "closed", "should_close")
    >>> found = reckon([closure], {"closed": 911, "should_close": 972})[0]
    >>> f"{found.share:.2%}"
    '93.72%'
    """
    return [
        Reckoned(one.code, one.name.zh, one.name.en, int(counts[one.over]), int(counts[one.of]))
        for one in formulas
    ]


def defects(formulas: Iterable[Rate]) -> list[str]:
    """Return one line for each count that a formula names and nobody counts."""
    return [
        f"rate '{one.code}': there is no count '{name}'"
        for one in formulas
        for name in (one.over, one.of)
        if name not in COUNTS
    ]
