"""What the answers about a dataset must be, reckoned with pandas and geopandas alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from geo.dataset import CityDataset


@dataclass(frozen=True)
class Reckoned:
    """Answers about a dataset on a day, without any database.

    Parameters
    ----------
    city : CityDataset
    day : date
        Posts are those held on it.
    """

    city: CityDataset
    day: date

    @cached_property
    def parents(self) -> dict[int, int | None]:
        """Parent of each grid."""
        frame = self.city.grids
        return {
            int(grid): None if pd.isna(parent) else int(parent)
            for grid, parent in zip(frame["grid_id"], frame["parent_id"], strict=True)
        }

    def line(self, grid: int) -> list[int]:
        """Return the grid and its ancestors, from the top."""
        parent = self.parents[grid]
        return [*(self.line(parent) if parent is not None else []), grid]

    def within(self, grid: int) -> set[int]:
        """Return the grid and all below it."""
        return {one for one in self.parents if grid in self.line(one)}

    @cached_property
    def leaf_of_cell(self) -> pd.Series[Any]:
        """Leaf grid by cell."""
        leaves: pd.Series[Any] = self.city.cells.set_index("cell_id")["grid_id"]
        return leaves

    def cells(self, grid: int) -> set[int]:
        """Return the cells of a grid and of all below it."""
        below = self.within(grid)
        return set(self.leaf_of_cell.index[self.leaf_of_cell.isin(below)].astype(int))

    @cached_property
    def posts(self) -> pd.DataFrame:
        """Posts on the day."""
        posts, day = self.city.posts, pd.Timestamp(self.day)
        lasts = posts["valid_to"].isna() | (posts["valid_to"] > day)
        return posts[(posts["valid_from"] <= day) & lasts]

    def figures(self, grid: int, vintage: str = "2026") -> dict[str, float]:
        """Return the figures of a grid as the API names them."""
        cells = self.cells(grid)
        values = self.city.cell_values
        chosen = (values["vintage"] == vintage) & (values["measure"] == "households")
        posts = self.posts[self.posts["grid_id"].isin(self.within(grid))]
        stations = self.city.stations
        is_open = stations["stage"] == "open"
        return {
            "cells": len(cells),
            "buildings": int(self.city.buildings["cell_id"].isin(cells).sum()),
            "households": float(values[chosen & values["cell_id"].isin(cells)]["value"].sum()),
            "posts": len(posts),
            "vacant_posts": int(posts["worker_id"].isna().sum()),
            "stations": int((is_open & stations["cell_id"].isin(cells)).sum()),
        }

    @cached_property
    def shapes(self) -> gpd.GeoSeries:
        """Border of each grid in degrees."""
        cells = self.city.cells
        united = {
            grid: shapely.union_all(
                cells.geometry[cells["cell_id"].isin(self.cells(grid))].to_numpy()
            )
            for grid in self.parents
        }
        return gpd.GeoSeries(united, crs=self.city.metre_srid).to_crs(4326)

    @cached_property
    def metre_shapes(self) -> gpd.GeoSeries:
        """Border of each grid in the metre CRS."""
        return self.shapes.to_crs(self.city.metre_srid)

    def located(self, name: str) -> gpd.GeoDataFrame:
        """Return a frame with geometry in degrees and the leaf grid of its cell, if it has one."""
        frame = getattr(self.city, name).to_crs(4326)
        if "cell_id" in frame.columns:
            frame["leaf"] = frame["cell_id"].map(self.leaf_of_cell)
        return frame
