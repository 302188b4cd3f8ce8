"""Delivered counts shared out over the cells: estimates, and marked so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from geo.apportion import apportion
from geo.boundaries import Delivered
from geo.dataset import empty_frame, shaped
from geo.errors import DeliveryError
from geo.findings import Finding, Findings
from geo.importing.columns import column, numbers, rows
from geo.importing.hierarchy import Ground
from geo.recipes import Recipe, ValuePart


def values(
    recipe: Recipe, layers: Sequence[Delivered], on: Ground, found: Findings
) -> dict[str, pd.DataFrame]:
    """Return the frames `cell_values` and `vintages`; what could not be placed is a finding.

    Raises
    ------
    DeliveryError
        If a row has no count, or a negative one.
    """
    tables: list[pd.DataFrame] = []
    vintages: dict[str, tuple[Any, ...]] = {}
    for number, (part, layer) in enumerate(zip(_parts(recipe), layers, strict=True)):
        shared = _shared(number, part, layer, on, found)
        vintages[part.vintage] = (part.taken_on, part.vintage.endswith("-S"), True, part.name)
        columns = {
            "cell_id": np.arange(1, len(on.cells) + 1),
            "vintage": part.vintage,
            "measure": part.measure,
            "value": shared.to_numpy(),
        }
        tables.append(pd.DataFrame(columns))
    if not tables:
        return {name: empty_frame(name, found.metre_srid) for name in ("cell_values", "vintages")}
    table = pd.concat(tables, ignore_index=True)
    listed = [(vintage, *row) for vintage, row in vintages.items()]
    names = ("vintage", "taken_on", "seasonal", "estimated", "name")
    named = dict(zip(names, zip(*listed, strict=True), strict=True))
    return {
        "cell_values": shaped(
            "cell_values", {str(name): table[name] for name in table.columns}, found.metre_srid
        ),
        "vintages": shaped("vintages", named, found.metre_srid),
    }


def _parts(recipe: Recipe) -> tuple[ValuePart, ...]:
    return recipe.values  # noqa: PD011 - not a frame


def _shared(
    number: int, part: ValuePart, layer: Delivered, on: Ground, found: Findings
) -> pd.Series[float]:
    stated = numbers(layer.frame, "value")
    bad = stated.isna() | (stated < 0)
    if bad.any():
        raise DeliveryError([f"{layer.label}: value: no count in rows {rows(layer.frame, bad)}"])
    counted = stated if part.times == 1 else (stated * part.times).round()
    sources = layer.frame[["geometry"]].assign(value=counted.to_numpy())
    sources.index = column(layer.frame, "code").fillna("row without a code").to_numpy()
    shares = apportion(sources, on.shapes, value="value", weight=_weight(number, part, on))
    placed = shares.values  # noqa: PD011 - not a frame
    found.add(
        Finding(layer.label, "unplaced", str(code), "left out: no ground there", n, part.measure)
        for code, n in shares.unplaced.items()
    )
    found.figures.setdefault("values", {})[f"{part.measure} {part.vintage}"] = {
        "delivered": float(stated.sum()),
        "counted": float(counted.sum()),
        "placed": float(placed.sum()),
        "unplaced": float(shares.unplaced.sum()),
        "sources": len(sources),
        "estimated": True,
    }
    return placed


def _weight(number: int, part: ValuePart, on: Ground) -> pd.Series[float] | None:
    """Return what each cell weighs: its leaf's weight, by area among the leaf's cells."""
    if part.weight is None:
        return None
    of_leaf = numbers(on.cells, f"weight_{number}").fillna(0.0)
    area = on.cells.area
    share = area / area.groupby(level=0).transform("sum")
    weight: pd.Series[float] = of_leaf * share.reset_index(drop=True)
    return weight
