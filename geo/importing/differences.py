"""A delivery beside what stands: which rows are new, changed or the same, and what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.matching import REACH_M, Kind, match_features

KEY: Final = "key of the row"


@dataclass(frozen=True)
class Identity:
    """What makes a delivered row and an object that stands one thing.

    Attributes
    ----------
    kind : {"areas", "lines", "points"}
        Areas without a common code are one when they share their ground, the others when they lie
        at one place, or near each other under one name.
    code : tuple of str
        Columns that together identify; none: nothing does.
    name : str, optional
        Column of the name; `KEY`: the code, so that what occurs several times is told apart by
        nearness.
    reach_m : float
    same_place : bool
        Whether what lies at one place is one thing.
    """

    kind: Kind
    code: tuple[str, ...] = ()
    name: str | None = None
    reach_m: float = REACH_M
    same_place: bool = True


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


def beside(
    rows: gpd.GeoDataFrame,
    standing: gpd.GeoDataFrame,
    columns: Sequence[str],
    same: Identity,
) -> Difference:
    """Tell which delivered rows stand already and which of them changed.

    Parameters
    ----------
    rows : GeoDataFrame, shape (n,)
        The delivery, projected CRS in metres, on 0 .. n-1.
    standing : GeoDataFrame, shape (m,)
        What stands, same CRS, indexed by id.
    columns : sequence of str
        What is compared besides the shape; a column that was not delivered is not.
    same : Identity
        What makes a row and an object one thing; see `geo.matching.match_features`.

    Returns
    -------
    Difference
    """
    if not len(standing):  # a first delivery may be a million rows
        table = pd.DataFrame({"state": "new"}, index=rows.index)
        table["object_id"] = pd.array([pd.NA] * len(rows), dtype="Int64")
        return Difference(table, np.empty(0, dtype=np.int64))
    compared = [name for name in columns if name in rows]
    code = KEY if same.code and set(same.code) <= set(rows.columns) else None
    name = same.name if same.name in rows or (same.name == KEY and code) else None
    found = match_features(
        _keyed(standing, same.code, code),
        _keyed(rows, same.code, code),
        same.kind,
        code=code,
        name=name,
        fields=compared,
        reach_m=same.reach_m,
        same_place=same.same_place,
    ).pairs
    new = found["delivered"].notna()
    table = found[new].set_index(found.loc[new, "delivered"].astype("int64")).sort_index()
    ids = table["standing"].astype("Int64").array
    states = pd.DataFrame({"state": table["verdict"], "object_id": ids}, index=rows.index)
    gone = found.loc[found["verdict"] == "gone", "standing"]
    return Difference(states, np.sort(gone.to_numpy(dtype=np.int64)))


def _keyed(frame: gpd.GeoDataFrame, columns: tuple[str, ...], code: str | None) -> gpd.GeoDataFrame:
    """Return a frame with what identifies its rows in one column."""
    if code is None:
        return frame
    texts = frame[columns[0]].astype("string")
    for name in columns[1:]:
        texts = texts + "\t" + frame[name].astype("string")
    return frame.assign(**{code: texts.astype(object).where(texts.notna(), None)})
