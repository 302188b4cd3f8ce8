"""A delivery beside what stands: which rows are new, changed or the same, and what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

SAME_PLACE_M: Final = 0.005
"""Vertices nearer than this are the same: degrees and back move them by less than a millimetre."""
SAME_GROUND: Final = 0.5
"""Share of their common ground at which two footprints are one building."""


@dataclass(frozen=True)
class Difference:
    """What a delivery would change.

    Attributes
    ----------
    rows : DataFrame
        Indexed like the delivery: `state` (`new`, `changed`, `same`) and `object_id` of what it
        is, NA for new ones.
    gone : array of int
        Objects that stand and are not in the delivery.
    """

    rows: pd.DataFrame
    gone: NDArray[np.int64]

    def counts(self) -> dict[str, int]:
        """Return how many are new, changed, the same, and gone."""
        states = self.rows["state"]
        found = {state: int((states == state).sum()) for state in ("new", "changed", "same")}
        return found | {"gone": len(self.gone)}

    @property
    def empty(self) -> bool:
        """Whether nothing is new, changed or gone."""
        return bool((self.rows["state"] == "same").all()) and not len(self.gone)


def compare(
    rows: gpd.GeoDataFrame,
    standing: gpd.GeoDataFrame,
    keys: Sequence[tuple[str, ...]],
    columns: Sequence[str],
    *,
    overlapping: bool = False,
) -> Difference:
    """Tell which delivered rows stand already and which of them changed.

    Parameters
    ----------
    rows : GeoDataFrame, shape (n,)
        The delivery, projected CRS in metres, indexed by row number.
    standing : GeoDataFrame, shape (m,)
        What stands, same CRS, indexed by id.
    keys : sequence of tuples of columns
        Tried one after the other: rows that are equal in all of them are the same object. Among
        several, the nearest. An empty tuple: those at the same place.
    columns : sequence of str
        What is compared besides the shape; a column that was not delivered is not.
    overlapping : bool
        Rows left over at the end are what they share `SAME_GROUND` of their ground with.

    Returns
    -------
    Difference
    """
    found = np.full(len(rows), -1, dtype=np.int64)
    taken = np.zeros(len(standing), dtype=bool)
    for key in keys:
        pairs = _by_place(rows, standing) if not key else _by_key(rows, standing, key)
        _take(pairs, found, taken)
    if overlapping:
        _take(_by_ground(rows, standing), found, taken)
    known = found >= 0
    changed = np.zeros(len(rows), dtype=bool)
    if known.any():
        changed[known] = _changed(
            rows.loc[known], standing.iloc[found[known]], [c for c in columns if c in rows]
        )
    ids = pd.array([pd.NA] * len(rows), dtype="Int64")
    ids[known] = standing.index.to_numpy()[found[known]]
    state = np.where(~known, "new", np.where(changed, "changed", "same"))
    table = pd.DataFrame({"state": state, "object_id": ids}, index=rows.index)
    return Difference(table, standing.index.to_numpy()[~taken].astype(np.int64))


def _take(pairs: pd.DataFrame, found: NDArray[np.int64], taken: NDArray[np.bool_]) -> None:
    """Match each row and each object once, the nearest pairs first."""
    for row, one in pairs.sort_values("far", kind="stable")[["row", "one"]].to_numpy():
        if found[row] < 0 and not taken[one]:
            found[row] = one
            taken[one] = True


def _by_key(
    rows: gpd.GeoDataFrame, standing: gpd.GeoDataFrame, key: tuple[str, ...]
) -> pd.DataFrame:
    if not set(key) <= set(rows.columns):
        return _pairs([], [], [])
    left = pd.DataFrame(rows[list(key)]).assign(row=np.arange(len(rows))).dropna()
    right = pd.DataFrame(standing[list(key)]).assign(one=np.arange(len(standing))).dropna()
    both = left.merge(right, on=list(key))
    a = rows.geometry.to_numpy()[both["row"]]
    b = standing.geometry.to_numpy()[both["one"]]
    far = shapely.distance(shapely.centroid(a), shapely.centroid(b))
    return _pairs(both["row"], both["one"], np.nan_to_num(far))


def _by_place(rows: gpd.GeoDataFrame, standing: gpd.GeoDataFrame) -> pd.DataFrame:
    if not len(rows) or not len(standing):
        return _pairs([], [], [])
    a, b = _normal(rows), _normal(standing)
    tree = shapely.STRtree(b)
    row, one = tree.query(a, predicate="dwithin", distance=SAME_PLACE_M)
    same = shapely.equals_exact(a[row], b[one], SAME_PLACE_M)
    return _pairs(row[same], one[same], np.zeros(int(same.sum())))


def _by_ground(rows: gpd.GeoDataFrame, standing: gpd.GeoDataFrame) -> pd.DataFrame:
    if not len(rows) or not len(standing):
        return _pairs([], [], [])
    a, b = rows.geometry.to_numpy(), standing.geometry.to_numpy()
    row, one = shapely.STRtree(b).query(a, predicate="intersects")
    common = shapely.area(shapely.intersection(a[row], b[one]))
    share = common / (shapely.area(a[row]) + shapely.area(b[one]) - common)
    near = share >= SAME_GROUND
    return _pairs(row[near], one[near], 1.0 - share[near])


def _pairs(row: Any, one: Any, far: Any) -> pd.DataFrame:
    table = {"row": np.asarray(row, dtype=np.int64), "one": np.asarray(one, dtype=np.int64)}
    return pd.DataFrame({**table, "far": np.asarray(far, dtype=float)})


def _normal(frame: gpd.GeoDataFrame) -> NDArray[np.object_]:
    return np.asarray(shapely.normalize(_flat(frame.geometry.to_numpy())), dtype=object)


def _flat(shapes: Any) -> Any:
    """Return multi-shapes of one part as that part."""
    shapes = np.asarray(shapes, dtype=object)
    single = (shapely.get_num_geometries(shapes) == 1) & (shapely.get_type_id(shapes) > 3)
    shapes = shapes.copy()
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    return shapes


def _changed(
    rows: gpd.GeoDataFrame, standing: gpd.GeoDataFrame, columns: Sequence[str]
) -> NDArray[np.bool_]:
    a, b = _normal(rows), _normal(standing)
    changed = ~np.asarray(shapely.equals_exact(a, b, SAME_PLACE_M), dtype=bool)
    for name in columns:
        before = pd.Series(standing[name].to_numpy(), dtype=object)
        after = pd.Series(rows[name].to_numpy(), dtype=object)
        both_absent = before.isna() & after.isna()
        changed |= ~(both_absent | (before == after)).fillna(False).to_numpy(dtype=bool)
    return changed
