"""The layers that a recipe names, in metres: opened by `geo.files`, held against the recipe here.

Only the columns that the recipe names are read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geo.crs import WGS84_SRID, require_metres
from geo.errors import DeliveryError
from geo.files import guard
from geo.files.reading import Raw, read_raw
from geo.findings import Finding
from geo.recipes import BarrierPart, LevelPart, Recipe, Source
from geo.terms import BarrierKind

AREAL: Final = ("Polygon", "MultiPolygon")
LINEAR: Final = ("LineString", "MultiLineString")
POINTS: Final = ("Point",)
WATERY: Final = (BarrierKind.RIVER, BarrierKind.WATER)

#: Slack around a reference system's area of use, in degrees.
AREA_SLACK_DEG: Final = 0.5
EXAMPLES: Final = 5


Reader = Callable[[Path, str | None, Mapping[str, str], str | None], Raw]
"""Reads a layer as it is; see `geo.files.reading.read_raw`."""
READER: Reader = read_raw
"""Behind walls; tests of what is read put one without them in its place."""


@dataclass(frozen=True)
class Delivered:
    """A layer as read: columns under the program's names, indexed by row number in the file."""

    label: str
    frame: gpd.GeoDataFrame
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """All layers of a recipe, in its order."""

    levels: tuple[Delivered, ...]
    values: tuple[Delivered, ...] = ()
    barriers: tuple[Delivered, ...] = ()
    streets: Delivered | None = None
    stations: Delivered | None = None

    def layers(self) -> Iterator[Delivered]:
        """Yield every layer."""
        yield from self.levels
        yield from self.values
        yield from self.barriers
        yield from (layer for layer in (self.streets, self.stations) if layer)


@dataclass
class _Reader:
    folder: Path
    metre_srid: int
    step: Callable[[str], None]
    defects: list[str] = field(default_factory=list)

    def read(
        self, source: Source, columns: dict[str, str], geometry: Sequence[str]
    ) -> Delivered | None:
        """Read a layer; what keeps it from being read joins the list of defects."""
        self.step(source.label)
        try:
            read = read_layer(self.folder, source, columns, geometry)
            return in_metres(read, self.metre_srid, strays=geometry == POINTS)
        except DeliveryError as error:
            self.defects += error.data["defects"]
            return None


def read_delivery(
    recipe: Recipe, folder: Path, step: Callable[[str], None] = lambda label: None
) -> Delivery:
    """Read every layer that a recipe names.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        Where the files lie; nothing outside it is opened.
    step : callable, optional
        Called with the name of each layer before it is read.

    Returns
    -------
    Delivery

    Raises
    ------
    DeliveryError
        With every reason of every layer in one list.
    """
    reader = _Reader(folder, recipe.city.metre_crs, step)
    weights = {f"weight_{n}": part.weight for n, part in enumerate(recipe.values) if part.weight}
    levels = [
        reader.read(part, _level_columns(part, recipe, weights), AREAL) for part in recipe.levels
    ]
    values = [reader.read(part, part.columns, AREAL) for part in recipe.values]
    barriers = [
        reader.read(part, _barrier_columns(part), AREAL if part.kind in WATERY else LINEAR)
        for part in recipe.barriers
    ]
    streets = stations = None
    if recipe.streets:
        streets = reader.read(recipe.streets, recipe.streets.columns, LINEAR)
    if recipe.stations:
        stations = reader.read(recipe.stations, recipe.stations.columns, POINTS)
    if reader.defects:
        raise DeliveryError(list(dict.fromkeys(reader.defects)))
    return Delivery(
        tuple(layer for layer in levels if layer),
        tuple(layer for layer in values if layer),
        tuple(layer for layer in barriers if layer),
        streets,
        stations,
    )


def _level_columns(part: LevelPart, recipe: Recipe, weights: dict[str, str]) -> dict[str, str]:
    return {**part.columns, **weights} if part is recipe.levels[-1] else part.columns


def _barrier_columns(part: BarrierPart) -> dict[str, str]:
    return {**part.columns, **{f"where_{name}": name for name in part.where}}


def read_layer(
    folder: Path,
    source: Source,
    columns: dict[str, str],
    geometry: Sequence[str],
    reader: Reader | None = None,
) -> Delivered:
    """Read one layer of one file.

    Parameters
    ----------
    folder : Path
    source : Source
        File below `folder`, layer, and what the file does not say of itself.
    columns : dict of str to str
        Name in the answer -> column of the file; others are not read.
    geometry : sequence of str
        Types that are accepted.
    reader : callable, optional
        In place of the one behind walls.

    Returns
    -------
    Delivered
        In the layer's own CRS, indexed by the number of the row in the file (1 = first), without
        height and measure; rows without a shape are left out and listed.

    Raises
    ------
    DeliveryError
        If there is no such file, layer or column, the format is not known, the CRS is missing or
        contradicts the recipe's, or rows have another geometry; with all reasons at once.
    """
    path = _path(folder, source)
    read = (reader or READER)(path, source.layer, columns, source.encoding)
    if source.layer is not None and source.layer not in read.layers:
        nearest = _nearest(source.layer, read.layers)
        message = f"{source.label}: no such layer{nearest}; it has {read.layers}"
        raise DeliveryError([message])
    crs, defects = _crs(read.crs, source)
    defects += [
        f"{source.label}: no column '{name}'{_nearest(name, read.columns)}; it has {read.columns}"
        for name in dict.fromkeys(columns.values())
        if name not in read.columns
    ]
    if defects:
        raise DeliveryError(defects)
    if read.frame is None or read.frame.empty:
        raise DeliveryError([f"{source.label}: the layer is empty"])
    frame = read.frame.set_crs(crs)
    _refuse_persons(frame, source, columns)
    remarks = [replace(found, source=source.label) for found in read.findings]
    return _with_shapes(frame, source, geometry, remarks)


def _refuse_persons(frame: gpd.GeoDataFrame, source: Source, columns: dict[str, str]) -> None:
    """Refuse columns about persons that a recipe names."""
    found = {
        column: guard.refusal(name, column, about)
        for name, column in columns.items()
        if (about := guard.about_person(column, frame[name]))
    }
    if why := [f"{source.label}: {said}" for said in found.values() if said]:
        raise DeliveryError(why)


def in_metres(delivered: Delivered, metre_srid: int, *, strays: bool = False) -> Delivered:
    """Return a layer in the city's metre CRS, vertex by vertex; refuse what lies elsewhere.

    Parameters
    ----------
    delivered : Delivered
    metre_srid : int
        EPSG number of a projected CRS in metres.
    strays : bool, default False
        Leave single rows out that lie elsewhere, such as addresses that nobody could place, as
        long as they are fewer than half; each is a finding.

    Returns
    -------
    Delivered

    Raises
    ------
    DeliveryError
        If shapes lie outside the area that the metre CRS is made for: the file's CRS is not what
        it says, or its axes are swapped.
    TopologyError
        If `metre_srid` is not in metres.
    """
    target = require_metres(metre_srid)
    frame, findings = delivered.frame, delivered.findings
    away = _away(frame, target)
    if away.any():
        if not strays or 2 * away.sum() >= len(frame):
            raise DeliveryError([_elsewhere(delivered, away, target)])
        findings += tuple(
            Finding(delivered.label, "elsewhere", f"row {row}", f"left out: it lies at {place}")
            for row, place in frame.geometry[away].to_wkt().items()
        )
        frame = frame.loc[~away]
    return Delivered(delivered.label, frame.to_crs(metre_srid), findings)


def _path(folder: Path, source: Source) -> Path:
    root = folder.resolve()
    path = (root / source.file).resolve()
    if not path.is_relative_to(root):
        raise DeliveryError([f"{source.file}: lies outside the folder {folder}"])
    if not path.is_file():
        there = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        listed = f"; there are {', '.join(there[:20])}" if there else ""
        nearest = _nearest(path.name, there)
        raise DeliveryError([f"{source.file}: no such file in {folder}{nearest}{listed}"])
    return path


def _crs(said: str | None, source: Source) -> tuple[CRS | None, list[str]]:
    try:
        own = CRS.from_user_input(said) if said else None
        named = CRS.from_epsg(source.crs) if source.crs else None
    except CRSError as error:
        return None, [f"{source.label}: the reference system is not known: {error}"]
    if own is None and named is None:
        missing = (
            f"{source.label}: the file does not say its reference system (a Shapefile needs its "
            ".prj beside it); ask who made it, then write crs = <EPSG number> in the recipe"
        )
        return None, [missing]
    if own is not None and named is not None and not own.equals(named, ignore_axis_order=True):
        return None, [
            f"{source.label}: the file says {own.name}, the recipe says {named.name}; one is wrong"
        ]
    return own or named, []


def _with_shapes(
    frame: gpd.GeoDataFrame, source: Source, geometry: Sequence[str], remarks: list[Finding]
) -> Delivered:
    if len(frame) == 0:
        raise DeliveryError([f"{source.label}: the layer is empty"])
    shapes = frame.geometry.to_numpy()
    bare = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    odd = ~bare & ~frame.geometry.geom_type.isin(geometry).to_numpy()
    if odd.any():
        types = sorted(set(frame.geometry.geom_type[odd]))
        said = f"{source.label}: {int(odd.sum())} of {len(frame)} rows are {', '.join(types)}"
        raise DeliveryError([f"{said}, not {' or '.join(geometry)}: {_rows(odd)}"])
    if bare.all():
        raise DeliveryError([f"{source.label}: no row has a shape"])
    remarks += [
        Finding(source.label, "no_shape", f"row {row}", "left out") for row in frame.index[bare]
    ]
    return Delivered(source.label, frame.loc[~bare], tuple(remarks))


def _away(frame: gpd.GeoDataFrame, target: CRS) -> Any:
    """Say of each row whether it reaches beyond the target's area of use."""
    low, high = _usable(target)
    inside = np.ones(len(frame), dtype=bool)
    bounds = shapely.bounds(frame.geometry.to_numpy())
    for corner in (bounds[:, :2], bounds[:, 2:]):
        lon, lat = _degrees(corner, frame.crs)
        inside &= (lon >= low[0]) & (lon <= high[0]) & (lat >= low[1]) & (lat <= high[1])
    return ~inside


def _degrees(places: Any, crs: CRS) -> tuple[Any, Any]:
    """Return places in degrees WGS 84; infinite where that is undefined."""
    x, y = places[:, 0], places[:, 1]
    if crs.is_geographic:
        impossible = (np.abs(x) > 360) | (np.abs(y) > 90)
        x, y = np.where(impossible, np.inf, x), np.where(impossible, np.inf, y)
    lon, lat = Transformer.from_crs(crs, WGS84_SRID, always_xy=True).transform(x, y)
    return np.asarray(lon), np.asarray(lat)


def _usable(target: CRS) -> tuple[tuple[float, float], tuple[float, float]]:
    area = target.area_of_use
    if area is None:
        return (-180.0, -90.0), (180.0, 90.0)
    slack = AREA_SLACK_DEG
    return (area.west - slack, area.south - slack), (area.east + slack, area.north + slack)


def _elsewhere(delivered: Delivered, away: Any, target: CRS) -> str:
    frame = delivered.frame
    first = frame.geometry.to_numpy()[np.flatnonzero(away)[0]]
    x, y = shapely.get_coordinates(first)[0]
    lon, lat = (float(degrees[0]) for degrees in _degrees(np.array([[x, y]]), frame.crs))
    said = f"{int(away.sum())} of {len(frame)} rows lie outside {target.name}, the city's metres"
    where = f"the first has the numbers ({x:.6g}, {y:.6g})"
    if np.isfinite(lon):
        where += f", in {frame.crs.name} the place {lon:.4f}, {lat:.4f}"
    turned = frame.set_geometry(shapely.transform(frame.geometry.to_numpy(), lambda c: c[:, ::-1]))
    turned = turned.set_crs(frame.crs, allow_override=True)
    degrees = frame.set_crs(WGS84_SRID, allow_override=True)
    hint = "the file's reference system or the recipe's metre_crs is wrong"
    if not _away(turned, target).any():
        hint = "longitude and latitude are swapped in the file"
    elif not frame.crs.is_geographic and not _away(degrees, target).any():
        hint = "the numbers are degrees: the file's reference system is wrong, it is EPSG:4326"
    return f"{delivered.label}: {said}: {where}; {hint}"


def _nearest(name: str, names: Sequence[str]) -> str:
    plain = {other.casefold(): other for other in names}
    near = difflib.get_close_matches(name.casefold(), list(plain), n=1)
    return f" (is it '{plain[near[0]]}'?)" if near else ""


def _rows(chosen: Any) -> str:
    rows = (np.flatnonzero(chosen) + 1).tolist()
    more = f" and {len(rows) - EXAMPLES} more" if len(rows) > EXAMPLES else ""
    return f"rows {', '.join(map(str, rows[:EXAMPLES]))}{more}"
