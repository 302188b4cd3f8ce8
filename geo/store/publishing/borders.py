"""Borders of a net to be: unions of cells where ground changed, as published where it did not."""

from __future__ import annotations

from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from geoalchemy2 import WKBElement
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.grids import AREA_COLUMNS
from geo.publishing import Difference
from geo.store.drafts import checks
from geo.tables import SRID, City
from geo.topology import COLOURS, areas_m2, boundaries, label_points

_STORED: Final = text("""
    SELECT grid_id, colour, area_m2, ST_AsBinary(boundary), ST_AsBinary(label_point) FROM net_grid
    WHERE city_id = :city AND from_seq <= :seq AND :seq < to_seq AND grid_id = ANY (:grids)
    ORDER BY grid_id
""")
_CELLS: Final = text("""
    SELECT n.grid_id, ST_AsBinary(c.geom) FROM net_cell AS n
    JOIN cell AS c ON c.city_id = n.city_id AND c.cell_id = n.cell_id
    WHERE n.city_id = :city AND n.grid_id = ANY (:leaves) AND n.from_seq <= :seq AND :seq < n.to_seq
    ORDER BY n.cell_id
""")
_COLOURS: Final = text("""
    SELECT g.grid_id, g.colour, ST_AsBinary(ST_Envelope(g.boundary)) FROM net_grid AS g
    WHERE g.city_id = :city AND g.from_seq <= :seq AND :seq < g.to_seq AND g.level = :level
        AND g.grid_id <> ALL (:grids)
        AND g.boundary && ST_SetSRID(ST_GeomFromWKB(:box), 4326)
    ORDER BY g.grid_id
""")
COLUMNS: Final = ("colour", "area_m2", "boundary", "label_point")


def redrawn(
    session: Session,
    city: City,
    seq: int,
    change: Difference,
    new: pd.DataFrame,
    newest: int,
) -> gpd.GeoDataFrame:
    """Return what is drawn of the grids that a net writes, and of the grids above them.

    The runs of its cells are written already. A grid whose ground changed is their union, rebuilt
    in the metre CRS; each vertex of it is then the very vertex that is stored of its cells. All
    others stay as they were published.

    Returns
    -------
    GeoDataFrame
        By grid_id: colour, area_m2, boundary and label_point as they are stored, geometry in the
        city's metre CRS.
    """
    made = _united(session, city, seq, change)
    written = change.paths.loc[change.written, list(AREA_COLUMNS)].to_numpy().ravel()
    above = {int(grid) for grid in written[~pd.isna(written)]} - set(made.index)
    kept = _stored(session, city, newest, sorted(above))
    level = new.set_index("grid_id")["level"]
    made["colour"] = _coloured(session, city, newest, made, level)
    return gpd.GeoDataFrame(pd.concat([made, kept]), geometry="geometry", crs=city.metre_srid)


def _stored(session: Session, city: City, seq: int, grids: list[int]) -> gpd.GeoDataFrame:
    asked = {"city": city.city_id, "seq": seq, "grids": grids}
    found = session.execute(_STORED, asked).all()
    plain = shapely.from_wkb(np.array([bytes(row[3]) for row in found], dtype=object))
    return gpd.GeoDataFrame(
        {
            "colour": [int(row[1]) for row in found],
            "area_m2": [float(row[2]) for row in found],
            "boundary": [WKBElement(bytes(row[3]), SRID) for row in found],
            "label_point": [WKBElement(bytes(row[4]), SRID) for row in found],
        },
        index=pd.Index([int(row[0]) for row in found], dtype="int64", name="grid_id"),
        geometry=list(checks.turned(plain, city.metre_srid)) if found else [],
        crs=city.metre_srid,
    )  # fmt: skip


def _united(session: Session, city: City, seq: int, change: Difference) -> gpd.GeoDataFrame:
    """Return the grids whose ground changed, made from their cells."""
    wanted = set(change.redrawn)
    paths = change.paths[list(AREA_COLUMNS)]
    within = paths.isin(wanted).any(axis=1).to_numpy()
    leaves = [int(grid) for grid in paths.index[within]]
    asked = {"city": city.city_id, "seq": seq, "leaves": leaves}
    found = session.execute(_CELLS, asked).all()
    shapes = shapely.from_wkb(np.array([bytes(row[1]) for row in found], dtype=object))
    metres = gpd.GeoSeries(checks.turned(shapes, city.metre_srid), crs=city.metre_srid)
    leaf = pd.Series([int(row[0]) for row in found], dtype="int64")
    unions = _by_level(metres, leaf, paths, wanted)
    stored = _exactly(unions.to_numpy(), metres.to_numpy(), shapes)
    labels = _in_degrees(city.metre_srid, label_points(unions))
    return gpd.GeoDataFrame(
        {
            "area_m2": areas_m2(unions).to_numpy(),
            "boundary": [WKBElement(shapely.to_wkb(shape), SRID) for shape in stored],
            "label_point": [WKBElement(shapely.to_wkb(point), SRID) for point in labels],
        },
        index=unions.index.rename("grid_id"), geometry=unions.to_numpy(), crs=city.metre_srid,
    )  # fmt: skip


def _by_level(
    cells: gpd.GeoSeries, leaf: pd.Series[int], paths: pd.DataFrame, wanted: set[int]
) -> gpd.GeoSeries:
    """Return the union of each wanted grid: leaves from cells, all above from their leaves."""
    if cells.empty:
        return gpd.GeoSeries([], index=pd.Index([], dtype="int64"), crs=cells.crs)
    leaves = boundaries(cells, leaf)
    found = [leaves[leaves.index.isin(wanted)]]
    for column in AREA_COLUMNS:
        label = paths.loc[leaves.index, column]
        here = (label.isin(wanted) & ~label.isin(leaves.index)).to_numpy(dtype=bool)
        if here.any():
            group = label[here].astype("int64").reset_index(drop=True)
            found.append(boundaries(leaves[here].reset_index(drop=True), group))
    united = pd.concat(found)
    return gpd.GeoSeries(united[~united.index.duplicated()].sort_index(), crs=cells.crs)


def _exactly(
    unions: NDArray[Any], metres: NDArray[Any], stored: NDArray[Any]
) -> NDArray[np.object_]:
    """Return unions with the stored vertices of the cells that they were made of, as multipolygons.

    A union computes no coordinate, so that each of its vertices is one of a cell; that one's own
    stored numbers are taken instead of turning the metres back.
    """
    if not len(unions):
        return np.empty(0, dtype=object)
    known, first = np.unique(_keys(shapely.get_coordinates(metres)), return_index=True)
    degrees = shapely.get_coordinates(stored)

    def back(places: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = degrees[first[np.searchsorted(known, _keys(places))]]
        return found

    turned = shapely.transform(unions, back)
    return np.array([_multi(shape) for shape in turned], dtype=object)


def _keys(places: NDArray[np.float64]) -> NDArray[Any]:
    """Return places as comparable values, bit by bit."""
    keys: NDArray[Any] = np.ascontiguousarray(places).view(np.complex128).ravel()
    return keys


def _multi(shape: Any) -> Any:
    return shape if shape.geom_type == "MultiPolygon" else shapely.MultiPolygon([shape])


def _in_degrees(srid: int, points: Any) -> NDArray[Any]:
    """Return points of the metre CRS in degrees."""
    back = checks.turner(srid, SRID).transform
    turned: NDArray[Any] = shapely.transform(
        np.asarray(points, dtype=object), back, interleaved=False
    )
    return turned


def _coloured(
    session: Session, city: City, seq: int, made: gpd.GeoDataFrame, level: pd.Series[int]
) -> list[int]:
    """Return a colour for each redrawn grid that no grid beside it has, its own where it can."""
    before = {int(row[0]): int(row[1]) for row in session.execute(
        _STORED, {"city": city.city_id, "seq": seq, "grids": made.index.tolist()})}  # fmt: skip
    chosen: dict[int, int] = {}
    for step in sorted(set(level.reindex(made.index).tolist())):
        own = [int(grid) for grid in made.index if level[grid] == step]
        shapes = shapely.from_wkb([bytes(made.loc[grid, "boundary"].data) for grid in own])
        box = shapely.to_wkb(shapely.box(*shapely.total_bounds(shapes)))
        asked = {"city": city.city_id, "seq": seq, "level": int(step), "grids": own, "box": box}
        beside = session.execute(_COLOURS, asked).all()
        others = shapely.from_wkb(np.array([bytes(row[2]) for row in beside], dtype=object))
        colour = np.array([row[1] for row in beside] + [-1] * len(own), dtype=np.int64)
        tree = shapely.STRtree(np.concatenate([others, shapely.envelope(shapes)]))
        for place, grid in enumerate(own):
            near = set(colour[tree.query(shapes[place], predicate="intersects")].tolist())
            mine = before.get(grid, -1)
            if mine < 0 or mine in near:
                free = [one for one in range(COLOURS) if one not in near]
                used = np.bincount(colour[colour >= 0], minlength=COLOURS)
                mine = min(free or range(COLOURS), key=lambda one: (used[one], one))
            colour[len(beside) + place] = mine
            chosen[grid] = mine
    return [chosen[int(grid)] for grid in made.index]
