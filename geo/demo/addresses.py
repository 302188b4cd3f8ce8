"""Addresses of the demo city: street and number, and in compounds the building behind the gate."""

from __future__ import annotations

from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID

OWN_NUMBER: Final = r"\d+号$"
"""A house has a number of its own; what is called otherwise shares one with its neighbours."""


def addresses_frame(buildings: gpd.GeoDataFrame, streets: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Give each building an address: odd numbers on the left of its street, even ones on the right.

    Parameters
    ----------
    buildings : GeoDataFrame
        Columns `building_id`, `cell_id`, `name` ("松庭花园3号楼", "槐荫12号"); metres.
    streets : GeoDataFrame
        Edges with `name`, same CRS.

    Returns
    -------
    GeoDataFrame
        The frame `addresses` of a dataset; no address repeats.
    """
    place = shapely.point_on_surface(buildings.geometry.to_numpy())
    name = buildings["name"].astype(str)
    house = name.str.fullmatch(r"\D+" + OWN_NUMBER).to_numpy()
    group = np.where(house, name, name.str.replace(r"\d+号楼?$", "", regex=True))
    premise, _ = pd.factorize(group)
    frame = pd.DataFrame({"premise": premise, "x": shapely.get_x(place), "y": shapely.get_y(place)})
    middle = frame.groupby("premise")[["x", "y"]].mean().to_numpy()
    street, number = _numbered(middle, streets)
    own = street[premise].astype(object) + number[premise].astype(str).astype(object) + "号"
    text = np.where(house, own, own + name.to_numpy(dtype=object))
    return shaped(
        "addresses",
        {
            "address_id": np.arange(1, len(buildings) + 1),
            "text": text.tolist(),
            "building_id": buildings["building_id"].to_numpy(),
            "cell_id": buildings["cell_id"].to_numpy(),
            "geometry": shapely.points(np.round(shapely.get_coordinates(place), 3)),
        },
        METRE_SRID,
    )


def _numbered(middle: Any, streets: gpd.GeoDataFrame) -> tuple[Any, Any]:
    """Return the street of each premise, the nearest one, and its number along that street."""
    lines = streets.geometry.to_numpy()
    points = shapely.points(middle)
    found = shapely.STRtree(lines).query_nearest(points, all_matches=False)
    edge = np.empty(len(points), dtype=np.int64)
    edge[found[0]] = found[1]
    names = streets["name"].astype(str).to_numpy(dtype=object)[edge]
    foot = shapely.get_coordinates(
        shapely.line_interpolate_point(lines[edge], shapely.line_locate_point(lines[edge], points))
    )
    frame = pd.DataFrame({"street": names, "x": foot[:, 0], "y": foot[:, 1]})
    of_street = frame.groupby("street")[["x", "y"]]
    span = of_street.transform("max") - of_street.transform("min")
    wide = (span["x"] >= span["y"]).to_numpy()
    frame["along"] = np.where(wide, frame["x"], frame["y"])
    off = middle - foot
    frame["right"] = np.where(wide, off[:, 1] < 0, off[:, 0] > 0)
    frame = frame.sort_values(["street", "right", "along", "x", "y"])
    rank = frame.groupby(["street", "right"]).cumcount()
    number = (2 * rank + 1 + frame["right"].astype(int)).sort_index().to_numpy()
    return names, number
