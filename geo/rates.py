"""Rates as data: each is one count over another; the counts are defined here, once.

A period holds the issues that were reported in it and are not set aside. Counts look at them as
they stand at one moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from geo.codes import STRICT, Name

__all__ = ["COUNTS", "LEAST_WORKERS", "Rate", "Reckoned", "defects", "reckon", "withheld"]

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


def withheld(
    parents: Mapping[int, int],
    workers: Mapping[int, Collection[int]],
    outer: Collection[int] = (),
    begin: Collection[int] = (),
) -> set[int]:
    """Return the groups of one level whose rates are told to nobody outside.

    A rate of few is about persons, and it must not be the difference of what is told either: what
    is withheld below one parent rests on enough workers in all, or nothing below it is told.

    Parameters
    ----------
    parents : mapping of int to int
        The group above each group.
    workers : mapping of int to collection of int
        Who works in each group; one that is missing has nobody.
    outer : collection of int
        Groups above that are withheld: their sum is not to be found from below.
    begin : collection of int
        Groups that are withheld in any case.

    Examples
    --------
    >>> crowd = {1: range(2), 2: range(2, 9), 3: range(9, 30)}
    >>> sorted(withheld(dict.fromkeys(crowd, 0), crowd))
    [1, 2]
    """
    few = {one for one in parents if len(set(workers.get(one, ()))) < LEAST_WORKERS}
    found = few | (set(begin) & set(parents))
    below: dict[int, set[int]] = {}
    for one, parent in parents.items():
        below.setdefault(parent, set()).add(one)
    for parent, own in below.items():
        hidden = found & own
        if not hidden and parent not in outer:
            continue
        rest = sorted(own - hidden, key=lambda one: (len(set(workers.get(one, ()))), one))
        behind = {who for one in hidden for who in workers.get(one, ())}
        while rest and len(behind) < LEAST_WORKERS:
            next_one = rest.pop(0)
            hidden.add(next_one)
            behind.update(workers.get(next_one, ()))
        found |= hidden
    return found


def defects(formulas: Iterable[Rate]) -> list[str]:
    """Return one line for each count that a formula names and nobody counts."""
    return [
        f"rate '{one.code}': there is no count '{name}'"
        for one in formulas
        for name in (one.over, one.of)
        if name not in COUNTS
    ]
