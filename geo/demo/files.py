"""The demo city's boundaries as GeoJSON files, for people and programs that want to look first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from geo.codes import allocate_codes
from geo.dataset import HOUSEHOLDS, CityDataset
from geo.grids import net_boundaries
from geo.profiles import load_profile

Array = NDArray[Any]

WGS84: Final = 4326
DECIMALS: Final = 7
LEVEL_FILES: Final = ("subdistricts", "communities", "grids", "units")
FILES: Final = (
    "outline",
    *LEVEL_FILES,
    "streets",
    "water",
    "railway",
    "compounds",
    "stations",
)


def write_boundaries(dataset: CityDataset, folder: Path) -> list[Path]:
    """Write `FILES` of a city as RFC 7946 GeoJSON: EPSG:4326, 7 decimals, UTF-8.

    One feature a line, so that a change of the generator shows in a comparison of versions.

    Parameters
    ----------
    dataset : CityDataset
    folder : Path
        Made if it does not exist; files of these names are overwritten.

    Returns
    -------
    list of Path
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, layer in layers(dataset):
        path = folder / f"{name}.geojson"
        path.write_text(geojson(layer), encoding="utf-8")
        written.append(path)
    return written


def layers(dataset: CityDataset) -> Iterator[tuple[str, gpd.GeoDataFrame]]:
    """Yield (name of the file, frame in the city's metre CRS) for each of `FILES`."""
    net = net_frame(dataset)
    outline = shapely.coverage_union_all(net.loc[net["level"] == 1].geometry.to_numpy())
    crs = dataset.metre_srid
    yield (
        "outline",
        gpd.GeoDataFrame(
            {"name": [dataset.name], "name_en": [dataset.name_en]}, geometry=[outline], crs=crs
        ),
    )
    for level, name in enumerate(LEVEL_FILES, start=1):
        chosen = net.loc[net["level"] == level]
        yield name, chosen.drop(columns="level").rename(columns={"grid_id": "id"})
    yield "streets", dataset.streets.rename(columns={"street_id": "id"})
    barriers = dataset.barriers.rename(columns={"barrier_id": "id"})
    yield "water", barriers.loc[barriers["kind"].isin(["river", "water"])]
    yield "railway", barriers.loc[barriers["kind"] == "railway"]
    yield (
        "compounds",
        dataset.compounds.rename(columns={"compound_id": "id"}),
    )
    yield (
        "stations",
        dataset.stations.drop(columns=["cell_id", "organisation_id"]).rename(
            columns={"station_id": "id"}
        ),
    )


def net_frame(dataset: CityDataset) -> gpd.GeoDataFrame:
    """Return all grids with code, households of the base vintage, and boundary in metres."""
    profile = load_profile(dataset.profile)
    grids = dataset.grids
    shapes = net_boundaries(dataset.cells.geometry, dataset.cells["grid_id"], grids)
    net = gpd.GeoDataFrame(grids, geometry=shapes.to_numpy(), crs=dataset.metre_srid)
    depth = int(grids["level"].max())
    net["code"] = allocate_codes(
        net,
        profile.scheme(),
        profile.level_codes[:depth],
        given={"county": dataset.county_code},
    )
    net["households"] = _households(dataset).reindex(grids["grid_id"]).to_numpy().astype(np.int64)
    columns = ["grid_id", "level", "code", "name", "parent_id", "kind", "colour", "households"]
    return net[[*columns, "geometry"]]


def _households(dataset: CityDataset) -> pd.Series[Any]:
    """Households of each grid in the base vintage, leaves added up to the top."""
    values = dataset.cell_values
    base = values.loc[
        (values["vintage"] == dataset.base_vintage) & (values["measure"] == HOUSEHOLDS)
    ]
    grid = dataset.cells.set_index("cell_id")["grid_id"].reindex(base["cell_id"])
    total = base.groupby(grid.to_numpy())["value"].sum()
    table = dataset.grids.set_index("grid_id")
    total = total.reindex(table.index, fill_value=0.0)
    for level in range(int(table["level"].max()), 1, -1):
        children = table.index[table["level"] == level]
        above = table.loc[children, "parent_id"].to_numpy().astype(np.int64)
        total = total.add(total.loc[children].groupby(above).sum(), fill_value=0.0)
    return total


def geojson(layer: gpd.GeoDataFrame) -> str:
    """Write a layer as a FeatureCollection in EPSG:4326; `id` becomes the feature's id.

    Vertices are turned one by one and rounded alike, so that a coverage stays one; outer rings
    run counter-clockwise.
    """
    turn = Transformer.from_crs(layer.crs, WGS84, always_xy=True)
    shapes = shapely.transform(
        layer.geometry.to_numpy(),
        lambda points: np.round(np.column_stack(turn.transform(*points.T)), DECIMALS),
    )
    shapes = shapely.orient_polygons(shapes)
    rows = pd.DataFrame(layer.drop(columns="geometry")).to_dict("records")
    features = [
        json.dumps(_feature(row, shape), ensure_ascii=False, separators=(",", ":"))
        for row, shape in zip(rows, shapes, strict=True)
    ]
    return '{"type":"FeatureCollection","features":[\n' + ",\n".join(features) + "\n]}\n"


def _feature(row: dict[Any, Any], shape: Any) -> dict[str, Any]:
    feature: dict[str, Any] = {"type": "Feature"}
    if "id" in row:
        feature["id"] = int(row.pop("id"))
    feature["properties"] = {str(key): _plain(value) for key, value in row.items()}
    feature["geometry"] = shapely.geometry.mapping(shape)
    return feature


def _plain(value: Any) -> Any:
    """Return `value` as JSON knows it: numbers as int or float, what is missing as null."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
