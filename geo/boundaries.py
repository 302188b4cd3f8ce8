"""Boundary files in: the one room that opens files, and believes nothing about them unseen.

What a file is, is told by its first bytes and never by its name; GDAL is asked for that format
alone. Only the columns that are asked for are read.
"""

from __future__ import annotations

import difflib
import json
import mmap
import re
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geo.crs import WGS84_SRID, require_metres
from geo.errors import DeliveryError
from geo.findings import Finding
from geo.recipes import BarrierPart, LevelPart, Recipe, Source
from geo.terms import BarrierKind

AREAL: Final = ("Polygon", "MultiPolygon")
LINEAR: Final = ("LineString", "MultiLineString")
POINTS: Final = ("Point",)
WATERY: Final = (BarrierKind.RIVER, BarrierKind.WATER)

#: First bytes -> the driver that reads such a file.
SIGNATURES: Final[dict[bytes, str]] = {
    b"SQLite format 3\0": "GPKG",
    b"\x00\x00\x27\x0a": "ESRI Shapefile",
    b"fgb\x03": "FlatGeobuf",
    b"{": "GeoJSON",
}
FORMATS: Final = "GeoPackage, Shapefile (.shp), GeoJSON, FlatGeobuf"
BLANK: Final = b"\xef\xbb\xbf \t\r\n"
DEAD_PROXY: Final = "127.0.0.1:9"
CRS_MEMBER: Final = re.compile(rb'"crs"\s*:\s*')
LONGEST_CRS: Final = 20_000
PLAIN_GEOJSON: Final = re.compile(rb'"type"\s*:\s*"FeatureCollection"')
PIPELINE: Final = re.compile(rb'"gdal_streamed_alg"')
#: Slack around a reference system's area of use, in degrees.
AREA_SLACK_DEG: Final = 0.5
EXAMPLES: Final = 5


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
    folder: Path, source: Source, columns: dict[str, str], geometry: Sequence[str]
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
    driver = _driver(path, source)
    with _guarded(source) as said:
        layer = _layer(path, driver, source)
        about = pyogrio.read_info(path, layer=layer, encoding=source.encoding)
        _refuse_driver(about["driver"], driver, source)
        crs, defects = _crs(about["crs"], source)
        present = list(about["fields"])
        defects += [
            f"{source.label}: no column '{name}'{_nearest(name, present)}; it has {present}"
            for name in dict.fromkeys(columns.values())
            if name not in present
        ]
        if defects:
            raise DeliveryError(defects)
        read = pyogrio.read_dataframe(
            path,
            layer=layer,
            columns=sorted(set(columns.values())),
            encoding=source.encoding,
            force_2d=True,
            on_invalid="ignore",
        )
    frame = gpd.GeoDataFrame(
        {name: read[column] for name, column in columns.items()},
        geometry=np.asarray(read.geometry, dtype=object),
        crs=crs,
    )
    frame.index += 1
    heard = dict.fromkeys(str(warning.message) for warning in said)
    remarks = [Finding(source.label, "remark", "the reader", message) for message in heard]
    return _with_shapes(frame, source, geometry, remarks)


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


def _driver(path: Path, source: Source) -> str:
    with path.open("rb") as file:
        head = file.read(64)
    head = head.lstrip(BLANK) if head.lstrip(BLANK)[:1] == b"{" else head
    for signature, driver in SIGNATURES.items():
        if head.startswith(signature):
            if driver == "GeoJSON":
                _refuse_other_json(path, source)
            return driver
    what = "is empty" if not head else "is none of the formats that are read"
    raise DeliveryError([f"{source.file}: {what} ({FORMATS})"])


def _refuse_other_json(path: Path, source: Source) -> None:
    """Refuse JSON that is no GeoJSON, and a `crs` member that names an address to fetch."""
    with (
        path.open("rb") as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as m,
    ):
        if not PLAIN_GEOJSON.search(m) or PIPELINE.search(m):
            raise DeliveryError([f"{source.file}: is JSON, but not a GeoJSON FeatureCollection"])
        if any(
            _is_address(m[found.end() : found.end() + LONGEST_CRS])
            for found in CRS_MEMBER.finditer(m)
        ):
            raise DeliveryError([f"{source.file}: its 'crs' member is not a plain name"])


def _is_address(member: bytes) -> bool:
    """Say whether a `crs` member is anything but a name: it could be fetched."""
    try:
        value, _ = json.JSONDecoder().raw_decode(member.decode("utf-8", "replace"))
    except ValueError:
        return True
    return isinstance(value, dict) and value.get("type") != "name"


def _refuse_driver(found: str, expected: str, source: Source) -> None:
    if found != expected:
        raise DeliveryError([f"{source.file}: looks like {expected} and is read as {found}"])


def _layer(path: Path, driver: str, source: Source) -> str:
    names = [str(name) for name, _ in pyogrio.list_layers(path)]
    if driver == "GPKG" and names:
        _refuse_views(path, names, source)
    if source.layer is None:
        if len(names) == 1:
            return names[0]
        raise DeliveryError([f"{source.file}: it has {len(names)} layers, name one of {names}"])
    if names.count(source.layer) > 1:
        raise DeliveryError([f"{source.label}: {names.count(source.layer)} layers of this name"])
    if source.layer not in names:
        nearest = _nearest(source.layer, names)
        raise DeliveryError([f"{source.label}: no such layer{nearest}; it has {names}"])
    return source.layer


def _refuse_views(path: Path, names: list[str], source: Source) -> None:
    """Refuse layers that are views: a view is a program that the reader would run."""
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as database:
        views = {
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='view'")
        }
    if hit := sorted(views & set(names)):
        raise DeliveryError([f"{source.file}: layers that are views are not read: {hit}"])


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


@contextmanager
def _guarded(source: Source) -> Iterator[list[warnings.WarningMessage]]:
    """Keep the reader from the network, turn its errors into ours, and collect what it remarks."""
    before = pyogrio.get_gdal_config_option("GDAL_HTTP_PROXY")
    pyogrio.set_gdal_config_options({"GDAL_HTTP_PROXY": DEAD_PROXY})
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield said
    except (RuntimeError, ValueError, LookupError, OSError, sqlite3.Error) as error:
        message = str(error).strip().replace("\n", " ")
        raise DeliveryError([f"{source.label}: cannot be read: {message}"]) from error
    finally:
        pyogrio.set_gdal_config_options({"GDAL_HTTP_PROXY": before})
