"""Grids from delivered areas: codes, names, parents matched by code, and their ground."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.boundaries import Delivered
from geo.dataset import shaped
from geo.errors import DeliveryError
from geo.findings import Finding, Findings
from geo.importing.columns import rows, some, texts
from geo.profiles import Profile
from geo.recipes import LevelPart, Recipe, rewritten
from geo.repair import Repair, repair
from geo.terms import GridKind
from geo.topology import adjacency, boundaries, colours


@dataclass(frozen=True)
class Tier:
    """One level of grids.

    Attributes
    ----------
    label : str
        File and layer.
    areas : GeoDataFrame
        Columns `name`, `parent` (code; below the top), geometry as delivered; indexed by code,
        sorted.
    ids : Series of int
        Grid id by code, of the grids that are in the net: those with children, and all leaves.
    """

    label: str
    areas: gpd.GeoDataFrame
    ids: pd.Series[int]


@dataclass(frozen=True)
class Ground:
    """The cells: one for each part of each area of the lowest level.

    Attributes
    ----------
    cells : GeoDataFrame
        Polygons that are a coverage, indexed by the code of their leaf; `weight_n` columns.
    paths : DataFrame
        One column for each level (1 = top): the code of the grid that the cell lies in.
    grid_ids : Series of int
        Leaf grid of each cell.
    """

    cells: gpd.GeoDataFrame
    paths: pd.DataFrame
    grid_ids: pd.Series[int]

    @property
    def shapes(self) -> gpd.GeoSeries:
        """The cells on 0 .. n-1."""
        return gpd.GeoSeries(self.cells.geometry.to_numpy(), crs=self.cells.crs)


def tiers(recipe: Recipe, layers: Sequence[Delivered]) -> list[Tier]:
    """Read codes, names and parents of all levels.

    Raises
    ------
    DeliveryError
        If a code is missing, repeats or fits no rule, or a parent is not in the level above.
    """
    defects: list[str] = []
    read: list[gpd.GeoDataFrame] = []
    for number, (part, layer) in enumerate(zip(recipe.levels, layers, strict=True)):
        areas, wrong = _coded(part, layer)
        if number and not wrong:
            wrong = _orphans(layer.label, areas, layers[number - 1].label, read[-1])
        defects += wrong
        read.append(areas)
    if defects:
        raise DeliveryError(defects)
    kept = [areas.index for areas in read]
    for number in reversed(range(len(read) - 1)):
        parents = set(read[number + 1].loc[kept[number + 1], "parent"])
        kept[number] = read[number].index[read[number].index.isin(parents)]
    found, first = [], 1
    for layer, areas, codes in zip(layers, read, kept, strict=True):
        ids = pd.Series(np.arange(first, first + len(codes)), index=codes)
        found.append(Tier(layer.label, areas, ids))
        first += len(codes)
    return found


def _coded(part: LevelPart, layer: Delivered) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the areas by code, sorted, and what is wrong with their codes, names and parents."""
    read = {name: texts(layer.frame[name]) for name in part.columns}
    read.setdefault("name", read["code"])
    written, defects = {}, []
    for name, values in read.items():
        rules = part.rewrite.get(name, ())
        out = [None if text is None else rewritten(text, rules) for text in values]
        bad = np.array([text is None for text in out])
        if name == "name" and not rules:
            out = [text or code for text, code in zip(out, read["code"], strict=True)]
        elif bad.any():
            said = some(f"'{text}'" if text else "nothing" for text in values[bad])
            why = "fits no rule of rewrite" if rules else "is missing"
            defects.append(f"{layer.label}: {name}: {said} {why} (rows {rows(layer.frame, bad)})")
        written[name] = out
    codes = pd.Series(written["code"])
    for code in codes[codes.duplicated() & codes.notna()].unique():
        defects.append(
            f"{layer.label}: code '{code}' stands in rows {rows(layer.frame, codes == code)}"
        )
    weights = {c: layer.frame[c].to_numpy() for c in layer.frame if str(c).startswith("weight_")}
    areas = gpd.GeoDataFrame(
        {**written, **weights}, geometry=layer.frame.geometry.to_numpy(), crs=layer.frame.crs
    )
    return areas.set_index("code").sort_index(), defects


def _orphans(
    label: str, areas: gpd.GeoDataFrame, above_label: str, above: gpd.GeoDataFrame
) -> list[str]:
    lost = areas.loc[~areas["parent"].isin(above.index)]
    if lost.empty:
        return []
    pairs = some(f"'{code}' (parent '{parent}')" for code, parent in lost["parent"].items())
    return [f"{label}: {len(lost)} codes have no parent in {above_label}: {pairs}"]


def levels(recipe: Recipe, profile: Profile) -> pd.DataFrame:
    """Return the city's levels: titles of the recipe, zooms of the profile unless said."""
    taken = profile.take_levels([part.like for part in recipe.levels])
    starts = [
        level.zoom_min if part.zoom_from is None or level.number == 1 else part.zoom_from
        for part, level in zip(recipe.levels, taken, strict=True)
    ]
    return shaped(
        "levels",
        {
            "level": [level.number for level in taken],
            "code": [level.code for level in taken],
            "name": [part.title.zh for part in recipe.levels],
            "name_en": [part.title.en for part in recipe.levels],
            "zoom_min": starts,
            "zoom_max": [*(start - 1 for start in starts[1:]), taken[-1].zoom_max],
        },
        recipe.city.metre_crs,
    )


def ground(recipe: Recipe, found_tiers: Sequence[Tier], found: Findings) -> Ground:
    """Mend the areas of the lowest level and make them cells, with the codes of their ancestors.

    Raises
    ------
    DeliveryError
        If areas contradict each other by more than the recipe allows.
    """
    leaf, rules = found_tiers[-1], recipe.repair
    try:
        mended = repair(
            leaf.areas.geometry,
            snap_m=rules.snap_m,
            gap_m=rules.gap_m,
            largest_change=rules.largest_change,
        )
    except DeliveryError as error:
        listed = [f"{leaf.label}: {defect}" for defect in error.data["defects"]]
        raise DeliveryError(listed) from None
    found.add(_repair_findings(leaf.label, mended))
    pieces = leaf.areas.set_geometry(mended.areas).explode(index_parts=False)
    several = pieces.index.value_counts(sort=False).loc[lambda counts: counts > 1]
    found.add(
        Finding(leaf.label, "parts", str(code), f"{count} cells made of one area")
        for code, count in several.items()
    )
    paths = pd.DataFrame({len(found_tiers): pieces.index})
    for number in reversed(range(1, len(found_tiers))):
        paths[number] = found_tiers[number].areas["parent"].loc[paths[number + 1]].to_numpy()
    found.figures["ground"] = _ground_figures(pieces, mended)
    return Ground(pieces, paths, leaf.ids.loc[pieces.index])


def _ground_figures(pieces: gpd.GeoDataFrame, mended: Repair) -> dict[str, Any]:
    united = float(shapely.area(shapely.coverage_union_all(pieces.geometry.to_numpy())))
    total = float(pieces.area.sum())
    return {
        "cells": len(pieces),
        "area_m2": total,
        "union_m2": united,
        "relative_difference": abs(total - united) / united,
        "mended_areas": len(mended.changes),
        "gained_m2": float(mended.changes["gained_m2"].sum()),
        "ceded_m2": float(mended.changes["ceded_m2"].sum()),
    }


def _repair_findings(label: str, mended: Repair) -> Iterable[Finding]:
    row: Any
    for row in mended.defects.itertuples():
        yield Finding(label, row.kind, row.subject, row.done, row.size_m2, "m2", row.x, row.y)
    for row in mended.changes.itertuples():
        done = (
            f"{row.before_m2:.3f} m2 before, {row.after_m2:.3f} after: "
            f"{row.gained_m2:.6f} gained, {row.ceded_m2:.6f} ceded"
        )
        size = row.gained_m2 + row.ceded_m2
        yield Finding(label, "area_changed", str(row.Index), done, size, "m2", row.x, row.y)


def grids(found_tiers: Sequence[Tier], on: Ground, metre_srid: int) -> pd.DataFrame:
    """Return the grids of all levels from the top; neighbours of one level differ in colour."""
    tables, shapes = [], on.shapes
    for number, tier in enumerate(found_tiers, start=1):
        areas = tier.areas.loc[tier.ids.index]
        united = boundaries(shapes, on.paths[number])
        colour = pd.Series(colours(adjacency(united)), index=united.index)
        parents: Any = [pd.NA] * len(areas)
        if number > 1:
            parents = found_tiers[number - 2].ids.loc[areas["parent"]].to_numpy()
        columns = {
            "grid_id": tier.ids.to_numpy(),
            "level": number,
            "parent_id": pd.array(parents, dtype="Int64"),
            "name": areas["name"].to_numpy(),
            "kind": GridKind.BASIC.value,
            "code": areas.index.to_numpy(),
            "colour": colour.loc[areas.index].to_numpy(),
        }
        tables.append(pd.DataFrame(columns))
    table = pd.concat(tables, ignore_index=True)
    return shaped("grids", {str(name): table[name] for name in table.columns}, metre_srid)


def cells(on: Ground, metre_srid: int) -> pd.DataFrame:
    """Return the cells, numbered from 1 in the order of their leaves' codes."""
    columns = {
        "cell_id": np.arange(1, len(on.cells) + 1),
        "grid_id": on.grid_ids.to_numpy(),
        "geometry": on.cells.geometry.to_numpy(),
    }
    return shaped("cells", columns, metre_srid)
