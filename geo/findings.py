"""What was found in delivered files and what was done about it, each with its place and size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pyproj import Transformer

from geo.crs import WGS84_SRID
from geo.saying import Said, phrase

DEGREE_DIGITS = 7


def the_row(number: object) -> Said:
    """Return a row of a file as the subject of a finding."""
    return phrase("row %(n)s", n=number)


def the_rows(listed: str) -> Said:
    """Return rows of a file, listed by their numbers, as the subject of a finding."""
    return phrase("rows %(rows)s", rows=listed)


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    source : str
        File and layer, as in `report.gpkg:blocks`.
    kind : str
        What it is: `invalid_ring`, `overlap`, `gap`, `residual` ...
    subject : str
        The code, name or row that it concerns.
    done : str
        What was done about it, in a plain sentence: one of the catalogue (`geo.saying`) where
        people read it on a page.
    size, unit : float and str, optional
        How large it is: m2, m, persons ...
    x, y : float, optional
        Where, in the city's metre CRS.
    """

    source: str
    kind: str
    subject: str
    done: str
    size: float | None = None
    unit: str | None = None
    x: float | None = None
    y: float | None = None

    def line(self) -> str:
        """Return the finding as one line for people."""
        size = "" if self.size is None else f" {self.size:,.2f} {self.unit}"
        return f"{self.source}: {self.kind.replace('_', ' ')} {self.subject}:{size} {self.done}"


@dataclass
class Findings:
    """The findings of one import, in the order in which they were made, and its figures."""

    metre_srid: int
    entries: list[Finding] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, findings: Iterable[Finding]) -> None:
        """Append findings."""
        self.entries.extend(findings)

    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each kind, the most frequent first."""
        return dict(Counter(entry.kind for entry in self.entries).most_common())

    def as_data(self) -> dict[str, Any]:
        """Return figures, counts and findings as plain data, places in degrees (WGS 84)."""
        turn = Transformer.from_crs(self.metre_srid, WGS84_SRID, always_xy=True)
        return {
            "figures": self.figures,
            "counts": self.counts(),
            "findings": [_entry(entry, turn) for entry in self.entries],
        }


def _entry(entry: Finding, turn: Transformer) -> dict[str, Any]:
    data: dict[str, Any] = {
        "source": entry.source,
        "kind": entry.kind,
        "subject": entry.subject,
        "done": entry.done,
    }
    if entry.size is not None:
        data |= {"size": round(entry.size, 6), "unit": entry.unit}
    if entry.x is not None and entry.y is not None:
        lon, lat = turn.transform(entry.x, entry.y)
        data |= {
            "lon": round(lon, DEGREE_DIGITS),
            "lat": round(lat, DEGREE_DIGITS),
        }
    return data
