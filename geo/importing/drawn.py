"""A net by cells written as the grids and cells of a city: names, parents, colours, levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.codes import numbering_order
from geo.dataset import CityDataset, shaped
from geo.importing.columns import column
from geo.profiles import Level, Profile
from geo.terms import GridKind
from geo.topology import adjacency, boundaries, colours

Ints = NDArray[np.int64]

CHINESE: Final = ("第{0}片区", "第{0}社区", "第{0}网格")
ELSEWHERE: Final = "{1} {0}"
"""How grids are called that nobody has named: {0} is their number, {1} the word for the level."""


def drawn(
    net: pd.DataFrame,
    cells: gpd.GeoSeries,
    city: CityDataset,
    profile: Profile,
    places: gpd.GeoDataFrame | None = None,
) -> dict[str, Any]:
    """Return the frames `levels`, `grids` and `cells` of a net.

    Parameters
    ----------
    net : DataFrame of int, shape (n, k)
        Grid of each cell by level, from the top, numbered from 0; each lies in one of the level
        above.
    cells : GeoSeries, shape (n,)
        A valid coverage in the city's metre CRS.
    city : CityDataset
        Gives its name to a top of one grid.
    profile : Profile
        Its first `k` levels are the city's.
    places : GeoDataFrame, optional
        Points with a `name`: a grid of the last level but one bears the name of the first in it.

    Returns
    -------
    dict of str to DataFrame
        Grids are numbered as they stand on the map: rows from the north, west to east.
    """
    taken = profile.take_levels(profile.level_codes[: net.shape[1]])
    labels = net.to_numpy(dtype=np.int64).T
    tables: list[pd.DataFrame] = []
    for place, level in enumerate(taken):
        shapes = boundaries(cells, pd.Series(labels[place]))
        parents = None
        if place:
            first = np.unique(labels[place], return_index=True)[1]
            parents = tables[-1]["grid_id"].to_numpy()[labels[place - 1][first]]
        begin = sum(len(table) for table in tables) + 1
        table = _tier(shapes, level, parents, begin)
        called = places if place == len(taken) - 2 else None
        table["name"] = _names(table, shapes, level, profile, called)
        if place == 0 and len(table) == 1:
            table["name"] = city.name
        tables.append(table)
    leaf = tables[-1]["grid_id"].to_numpy()[labels[-1]]
    grids = pd.concat(tables, ignore_index=True).sort_values("grid_id", ignore_index=True)
    srid = city.metre_srid
    ground = {
        "cell_id": np.arange(1, len(cells) + 1),
        "grid_id": leaf,
        "geometry": cells.to_numpy(),
    }
    return {
        "levels": _levels(taken, srid),
        "grids": shaped("grids", {str(name): grids[name] for name in grids.columns}, srid),
        "cells": shaped("cells", ground, srid),
    }


def _tier(shapes: gpd.GeoSeries, level: Level, parents: Ints | None, begin: int) -> pd.DataFrame:
    """Return the grids of one level in the order of their shapes, numbered from `begin`."""
    order = numbering_order(shapes, range(len(shapes)))
    if parents is not None:
        order = order[np.argsort(parents[order], kind="stable")]
    ids = np.empty(len(order), dtype=np.int64)
    ids[order] = np.arange(begin, begin + len(order))
    above = [pd.NA] * len(ids) if parents is None else parents
    return pd.DataFrame(
        {
            "grid_id": ids,
            "level": level.number,
            "parent_id": pd.array(above, dtype="Int64"),
            "kind": GridKind.BASIC.value,
            "code": None,
            "colour": colours(adjacency(shapes)),
        }
    )


def _names(
    table: pd.DataFrame,
    shapes: gpd.GeoSeries,
    level: Level,
    profile: Profile,
    places: gpd.GeoDataFrame | None,
) -> list[str]:
    """Return the name of a place in each grid, or its number in the grid above."""
    within = table.groupby(table["parent_id"].fillna(0))["grid_id"].rank().astype(int)
    form = CHINESE[level.number - 1] if profile.code == "cn" else ELSEWHERE
    names = [form.format(number, level.name.en) for number in within]
    if places is None:
        return names
    points, said = places.geometry.to_numpy(), column(places, "name").to_numpy()
    grid, point = shapely.STRtree(points).query(shapes.to_numpy(), predicate="intersects")
    taken: set[str] = set()
    for at, which in sorted(zip(grid.tolist(), point.tolist(), strict=True), reverse=True):
        if str(said[which]) not in taken | set(names):
            taken.add(str(said[which]))
            names[at] = str(said[which])
    return names


def _levels(taken: Sequence[Level], metre_srid: int) -> pd.DataFrame:
    columns = {
        "level": [level.number for level in taken],
        "code": [level.code for level in taken],
        "name": [level.name.zh for level in taken],
        "name_en": [level.name.en for level in taken],
        "zoom_min": [level.zoom_min for level in taken],
        "zoom_max": [level.zoom_max for level in taken],
    }
    return shaped("levels", columns, metre_srid)
