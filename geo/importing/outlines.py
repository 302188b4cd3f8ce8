"""The delivered outlines of parents, kept beside the net with the residual of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.dataset import HOUSEHOLDS, shaped
from geo.findings import Finding, Findings
from geo.importing.hierarchy import Ground, Tier
from geo.outlines import residuals
from geo.recipes import Recipe


def kept(
    recipe: Recipe,
    found_tiers: Sequence[Tier],
    on: Ground,
    values: pd.DataFrame,
    found: Findings,
) -> dict[str, pd.DataFrame]:
    """Return the frames `source_nets` and `source_grids`: one net for each level above the leaves.

    The residual is told in m2 and in the city's first measure (households, if they are known).
    """
    measure = _measure(recipe)
    pieces = gpd.GeoDataFrame(geometry=on.shapes)
    pieces["value"] = _of_cells(values, measure, len(pieces))
    nets: list[tuple[Any, ...]] = []
    tables: list[pd.DataFrame] = []
    for number, tier in enumerate(found_tiers[:-1], start=1):
        pieces["parent"] = on.paths[number].to_numpy()
        given = _valid(tier, found)
        table = residuals(pieces, given, parent="parent", value="value" if measure else None)
        found.add(_findings(tier, table, given, measure))
        figures = _figures(table, measure)
        found.figures.setdefault("residuals", {})[tier.label] = figures
        nets.append((number, tier.label, number, json.dumps(figures, ensure_ascii=False)))
        households = table["residual_value"].to_numpy() if measure == HOUSEHOLDS else np.nan
        columns = {
            "source_net_id": number,
            "code": given.index.to_numpy(),
            "name": tier.areas.loc[given.index, "name"].to_numpy(),
            "grid_id": pd.array(tier.ids.reindex(given.index).to_numpy(), dtype="Int64"),
            "residual_m2": table["residual_m2"].to_numpy(),
            "residual_households": households,
            "geometry": given.to_numpy(),
        }
        tables.append(pd.DataFrame(columns))
    together = pd.concat(tables, ignore_index=True)
    named = zip(("source_net_id", "name", "level", "report"), zip(*nets, strict=True), strict=True)
    return {
        "source_nets": shaped("source_nets", dict(named), found.metre_srid),
        "source_grids": shaped(
            "source_grids", {str(n): together[n] for n in together.columns}, found.metre_srid
        ),
    }


def _measure(recipe: Recipe) -> str | None:
    """Return the measure that residuals are told in: households, else the first."""
    named = [part.measure for part in recipe.values]  # noqa: PD011 - not a frame
    return HOUSEHOLDS if HOUSEHOLDS in named else next(iter(named), None)


def _of_cells(values: pd.DataFrame, measure: str | None, count: int) -> Any:
    """Return the latest values of a measure, 0 where a cell has none."""
    chosen = values.loc[values["measure"] == measure]
    latest = chosen.loc[chosen["vintage"] == chosen["vintage"].max()]
    by_cell = latest.set_index("cell_id")["value"]
    return by_cell.reindex(np.arange(1, count + 1)).fillna(0.0).to_numpy()


def _valid(tier: Tier, found: Findings) -> gpd.GeoSeries:
    shapes = tier.areas.geometry.copy()
    for code in shapes.index[~shapes.is_valid]:
        shapes[code] = shapely.make_valid(shapes[code], method="structure", keep_collapsed=False)
        found.add([Finding(tier.label, "invalid_ring", str(code), "the outline was made valid")])
    return shapes


def _figures(table: pd.DataFrame, measure: str | None) -> dict[str, Any]:
    columns = ["added_m2", "lost_m2", "outside_m2", "residual_m2"]
    if measure:
        columns += ["added_value", "lost_value", "residual_value"]
    figures: dict[str, Any] = {name: round(float(table[name].sum()), 3) for name in columns}
    return figures | ({"measure": measure} if measure else {})


def _findings(
    tier: Tier, table: pd.DataFrame, given: gpd.GeoSeries, measure: str | None
) -> Iterable[Finding]:
    row: Any
    points = given.representative_point()
    for row in table.itertuples():
        x, y = points[row.Index].x, points[row.Index].y
        code = str(row.Index)
        if row.Index not in tier.ids.index:
            done = "no area below names it as parent: kept as an outline, not in the net"
            yield Finding(tier.label, "no_children", code, done, row.outline_m2, "m2", x, y)
        elif row.residual_m2 > 0:
            done = (
                f"the grid is the union of its children: {row.added_m2:.1f} m2 more and "
                f"{row.lost_m2:.1f} m2 less than the outline ({row.outside_m2:.1f} in no cell)"
            )
            if measure:
                done += f"; {measure} {row.added_value:.1f} more and {row.lost_value:.1f} less"
            yield Finding(tier.label, "residual", code, done, row.residual_m2, "m2", x, y)
