"""The account of a repair: each defect with its place, and each square metre that changed hands."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import fsum
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

Shapes = NDArray[np.object_]

NOISE_M2: Final = 1e-6
"""Pieces smaller than this are not listed one by one: it is the noise of the arithmetic."""

DEFECTS: Final = ("kind", "subject", "size_m2", "x", "y", "done", "key", "sliver", "geometry")
LEDGER: Final = ("subject", "kind", "key", "gained_m2", "ceded_m2", "x", "y")
CHANGES: Final = ("before_m2", "after_m2", "gained_m2", "ceded_m2", "x", "y")
NOWHERE: Final = shapely.Point()


@dataclass
class Account:
    """What is found and done while areas are mended; coordinates from a local origin.

    Attributes
    ----------
    labels : ndarray, shape (n,)
        Names of the areas.
    origin : ndarray of float, shape (2,)
    crs : CRS
        In metres.
    """

    labels: NDArray[Any]
    origin: NDArray[np.float64]
    crs: Any
    _defects: list[tuple[Any, ...]] = field(default_factory=list)
    _entries: list[tuple[int, str, str, float, float, float, float]] = field(default_factory=list)

    def name(self, row: int) -> str:
        """Return the label of an area as text."""
        return str(self.labels[row])

    def defect(
        self,
        kind: str,
        subject: str,
        size_m2: float,
        done: str,
        shape: Any,
        *,
        key: str = "",
        sliver: bool = False,
    ) -> None:
        """Note a defect; `shape` is where it is, at the local origin."""
        shape = NOWHERE if shape is None else shapely.transform(shape, lambda c: c + self.origin)
        x, y = spot(shape)
        self._defects.append((kind, subject, float(size_m2), x, y, done, key, sliver, shape))

    def entry(
        self, row: int, kind: str, key: str, gained_m2: float, ceded_m2: float, shape: Any
    ) -> None:
        """Note that an area gained or ceded ground."""
        x, y = spot(shape) if shape is not None else (np.nan, np.nan)
        at = (x + float(self.origin[0]), y + float(self.origin[1]))
        self._entries.append((row, kind, key, float(gained_m2), float(ceded_m2), *at))

    def close(self, delivered_m2: NDArray[Any], after_m2: NDArray[Any]) -> float:
        """Enter what rounding leaves over, so that each area adds up; return the largest of it."""
        sums: dict[int, list[float]] = {}
        for row, _, _, gained, ceded, _, _ in self._entries:
            sums.setdefault(row, []).extend((gained, -ceded))
        largest = 0.0
        for row, (before, after) in enumerate(zip(delivered_m2, after_m2, strict=True)):
            if row not in sums and before == after:
                continue
            left = fsum([after, -before, *(-part for part in sums.get(row, []))])
            largest = max(largest, abs(left))
            if left:
                gained, ceded = max(left, 0.0), max(-left, 0.0)
                self._entries.append((row, "rounding", "", gained, ceded, np.nan, np.nan))
        return largest

    def defects(self) -> gpd.GeoDataFrame:
        """Return the defects in the order in which they were found."""
        frame = pd.DataFrame(self._defects, columns=list(DEFECTS))
        shapes = frame.pop("geometry").to_numpy(dtype=object)
        for place, name in enumerate(DEFECTS):  # as texts alone they would lose their patterns
            if name in ("subject", "done"):
                own = [defect[place] for defect in self._defects]
                frame[name] = pd.Series(own, index=frame.index, dtype=object)
        return gpd.GeoDataFrame(frame, geometry=shapes, crs=self.crs)

    def ledger(self) -> pd.DataFrame:
        """Return the entries, by area in the order of the areas."""
        entries = sorted(self._entries, key=lambda entry: entry[0])
        frame = pd.DataFrame(entries, columns=["row", *LEDGER[1:]])
        frame.insert(0, "subject", self.labels[frame.pop("row").to_numpy(dtype=np.intp)])
        return frame.astype({"gained_m2": float, "ceded_m2": float, "x": float, "y": float})

    def changes(self, sound_m2: NDArray[Any], after_m2: NDArray[Any]) -> pd.DataFrame:
        """Return what each area gained and ceded beside the mending of its own rings."""
        rows: dict[int, list[tuple[float, float, float, float]]] = {}
        for row, kind, _, gained, ceded, x, y in self._entries:
            if kind not in ("invalid_ring", "rounding"):
                rows.setdefault(row, []).append((gained, ceded, x, y))
        table = []
        for row in sorted(rows):
            parts = rows[row]
            place = max(parts, key=lambda part: part[0] + part[1])[2:]
            sums = fsum(part[0] for part in parts), fsum(part[1] for part in parts)
            if sum(sums) > NOISE_M2:
                table.append((row, float(sound_m2[row]), float(after_m2[row]), *sums, *place))
        frame = pd.DataFrame(table, columns=["row", *CHANGES])
        frame.index = pd.Index(self.labels[frame.pop("row").to_numpy(dtype=np.intp)])
        return frame.astype(float)


def each_once(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels that occur once; the second of two gets a number behind it."""
    nth = pd.Series(labels).groupby(labels).cumcount().to_numpy()
    if not nth.any():
        return labels
    pairs = zip(labels, nth, strict=True)
    names = [f"{label} ({number + 1})" if number else str(label) for label, number in pairs]
    return np.array(names, dtype=object)


def representable(shapes: Any, origin: NDArray[np.float64]) -> Any:
    """Return shapes with each vertex where the metre CRS has a number for it.

    New vertices, computed at the local origin, have more digits than there is room for far from
    the CRS's own origin; rounding them at the end could undo what was made valid before.
    """
    return shapely.transform(shapes, lambda places: (places + origin) - origin)


def spot(shape: Any) -> tuple[float, float]:
    """Return a place on the shape, on its largest part; not a number where there is none."""
    if shape is None or shapely.is_empty(shape):
        return float("nan"), float("nan")
    parts = shapely.get_parts(shape)
    size = shapely.area(parts) + shapely.length(parts)
    point = shapely.point_on_surface(parts[int(np.argmax(size))])
    return float(point.x), float(point.y)
