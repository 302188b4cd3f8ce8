"""What an import would do, as it is told before anything is saved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy.orm import Session

from geo.files.reading import Delivered
from geo.findings import Findings
from geo.importing.differences import Difference
from geo.importing.wishes import Choice, ImportWish
from geo.store import loading
from geo.tables import City

Progress = Callable[[str, float], None]
"""Takes what is being done, as a stable word, and the share of it that is done."""

MOST_SHAPES: Final = 4_000
MOST_CORNERS: Final = 200_000
MOST_ROWS: Final = 1_000
SHAPE_DIGITS: Final = 6
COARSE_M: Final = 1.0
"""How far shapes on the preview's map may be simplified, metres."""


@dataclass(frozen=True)
class Task:
    """One delivery in hand.

    Attributes
    ----------
    session : Session
        Of the owner, in one transaction.
    city : City
    delivery_id : int
    wish : ImportWish
    delivered : Delivered
        As read, EPSG:4326.
    actor_id, actor_role : optional
        The account on whose behalf it is done.
    progress : callable
    """

    session: Session
    city: City
    delivery_id: int
    wish: ImportWish
    delivered: Delivered
    actor_id: int | None = None
    actor_role: str | None = None
    progress: Progress = lambda what, share: None


@dataclass(frozen=True)
class Plan:
    """What would be done.

    Attributes
    ----------
    rows : GeoDataFrame
        What was understood, in metres, indexed by row; one column `label`, what it is called.
    difference : Difference
    findings : Findings
    unknown : mapping
        Column -> text without a word -> how many rows.
    figures : mapping
        What else is told.
    changes : list of mapping
        One for each new or changed row, at most `MOST_ROWS` of each state: `row`, `state`,
        `label`, `object`, and for changed ones `before` and `after`.
    content : object
        What the kind needs to write it.
    """

    rows: gpd.GeoDataFrame
    difference: Difference
    findings: Findings
    unknown: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    content: Any = None
    drawn: list[dict[str, Any]] = field(default_factory=list)

    def defects(self, most: int) -> list[dict[str, Any]]:
        """Return the first findings as plain data, with their shapes where there are any."""
        told: list[dict[str, Any]] = self.findings.as_data()["findings"][:most]
        for entry, shapes in zip(told, self.drawn, strict=False):
            entry.update(shapes)
        return told

    @property
    def digest(self) -> str:
        """Return what two equal plans have in common."""
        total = hashlib.sha256()
        rows = self.difference.rows
        for column in (rows.index, rows["state"], rows["object_id"].astype("string")):
            total.update(pd.util.hash_array(np.asarray(column, dtype=object)).tobytes())
        total.update(np.sort(self.difference.gone).tobytes())
        shapes = self.rows.geometry.to_numpy() if len(self.rows) else np.empty(0, dtype=object)
        for start in range(0, len(shapes), MOST_SHAPES):
            part = shapes[start : start + MOST_SHAPES]
            total.update(b"".join(shapely.to_wkb(part[~shapely.is_missing(part)])))
        return total.hexdigest()

    def report(self) -> dict[str, Any]:
        """Return what is told of the plan beside its large parts."""
        return {
            "rows": len(self.rows),
            "difference": self.difference.counts(),
            "counts": self.findings.counts(),
            "unknown": {name: dict(texts) for name, texts in self.unknown.items()},
            "figures": {**self.findings.figures, **self.figures},
            "bbox": _bbox(self.rows),
            "digest": self.digest,
        }

    def shapes(self) -> dict[str, Any]:
        """Return the shapes for a map, at most `MOST_SHAPES`: those that change come first."""
        state = self.difference.rows["state"].reindex(self.rows.index).fillna("new")
        order = np.argsort((state == "same").to_numpy(), kind="stable")[:MOST_SHAPES]
        chosen = self.rows.iloc[order]
        shapes = chosen.geometry.to_numpy()
        tolerance = COARSE_M
        while len(shapes) and shapely.get_num_coordinates(shapes).sum() > MOST_CORNERS:
            shapes = shapely.simplify(shapes, tolerance)
            tolerance *= 4
        degrees = loading.lonlat(_srid(self.rows))(shapes) if len(shapes) else shapes
        rounded = shapely.set_precision(degrees, 10.0**-SHAPE_DIGITS, mode="pointwise")
        features = [
            {
                "type": "Feature",
                "id": int(row),
                "properties": {"label": label, "state": word},
                "geometry": shapely.geometry.mapping(shape),
            }
            for row, label, word, shape in zip(
                chosen.index, chosen["label"], state.iloc[order], rounded, strict=True
            )
            if shape is not None and not shape.is_empty
        ]
        return {
            "type": "FeatureCollection",
            "features": features,
            "shown": len(features),
            "of": len(self.rows),
        }


def _srid(rows: gpd.GeoDataFrame) -> int:
    return int(rows.crs.to_epsg())


def _bbox(rows: gpd.GeoDataFrame) -> list[float] | None:
    if not rows.geometry.notna().any() or rows.geometry.is_empty.all():
        return None
    box = shapely.box(*rows.total_bounds)
    west, south, east, north = shapely.bounds(loading.lonlat(_srid(rows))([box])[0])
    return [round(float(value), SHAPE_DIGITS) for value in (west, south, east, north)]


def chosen(plan: Plan, choice: tuple[Choice, ...], state: Choice) -> pd.Index[Any]:
    """Return the rows of a state that are applied; none when it was not chosen."""
    rows = plan.difference.rows
    return rows.index[(rows["state"] == state).to_numpy() & (state in choice)]
