"""What `wangge divide` reads: cells with weights, borders that hold, the present net."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from api.commands.files import CHINA, parted
from geo.crs import WGS84_SRID, metre_srid
from geo.errors import DeliveryError, InvalidInputError
from geo.files.facts import LayerFacts, Wish
from geo.files.reading import read, understand
from geo.partition.ground import Ground, areas_of, borders_along, ground_of
from geo.repair import carried_back
from geo.repair import repair as repaired

SHOWN: Final = 3
LISTED: Final = 100
UNIT: Final = "unit"
"""Column of the present net that names its units, unless another one is said."""
AREAS: Final = ("areas", "mixed")
LINES: Final = ("lines", "areas", "mixed")

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Asked:
    """What was asked for; names are those of the options."""

    cells: str
    weights: list[str]
    targets: list[float]
    tolerances: list[float]
    parts: int | None
    within: str | None
    barriers: str | None
    streets: str | None
    whole: str | None
    start: str | None
    code: str | None
    keep: list[str]
    fixed_borders: str | None
    split_above: float | None
    merge_below: float | None
    max_change: float | None
    empty_is_zero: bool
    thorough: bool
    seed: int


@dataclass(frozen=True)
class Cells:
    """Cells as read: in degrees as delivered, in metres, with their columns and row numbers.

    `warnings` is added to as further files are laid on the cells.
    """

    degrees: gpd.GeoSeries
    metres: gpd.GeoSeries
    columns: pd.DataFrame
    rows: Ints
    mended: bool
    bare: int
    warnings: list[str]

    @property
    def srid(self) -> int:
        """The metre CRS that decides."""
        return int(self.metres.crs.to_epsg())

    def named(self, cells: Ints) -> list[str]:
        """Return what cells are called in messages: `row 12`."""
        return [f"row {row}" for row in self.rows[cells].tolist()]


@dataclass(frozen=True)
class Present:
    """The present net: the unit of each node, -1 where it has none, and the units' names."""

    today: Ints
    names: list[str]


def is_file(name: str) -> bool:
    """Say whether a text names a file that is there, or a layer of one."""
    return Path(name).is_file() or Path(name.rpartition(":")[0] or "/").is_file()


def layer_of(
    file: str, kinds: tuple[str, ...], columns: list[str], field: str = "weight"
) -> tuple[gpd.GeoDataFrame, int]:
    """Return the rows of a layer that have a shape, in degrees, and how many have none.

    Raises
    ------
    InvalidInputError
        If a column or layer is not there, it is not clear which is meant, or it has no shapes.
    FileRefusedError
        If the file cannot be read.
    """
    path, layer = parted(file)
    facts = _chosen(path, layer, kinds)
    known = [column.name for column in facts.columns]
    for column in columns:
        if column not in known:
            message = f"There is no column '{column}' in {path.name}; it has {', '.join(known)}."
            raise InvalidInputError(message, field=field, column=column)
    wish = replace(
        Wish(columns={column: column for column in columns}),
        encoding=facts.encoding.used,
        crs=facts.crs.srid,
        datum=facts.datum.used,
        swap_axes=facts.axes_swapped,
    )
    frame = read(path, facts.name, wish, trusted=True).frame
    shapes = frame.geometry.to_numpy()
    kept = frame[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    if kept.empty:
        raise InvalidInputError(f"{path.name}: no row of '{facts.name}' has a shape.", field="file")
    flat = gpd.GeoSeries(kept.geometry.force_2d(), crs=WGS84_SRID)
    return kept.set_geometry(flat), len(frame) - len(kept)


def _chosen(path: Path, layer: str | None, kinds: tuple[str, ...]) -> LayerFacts:
    """Return the layer that is meant, or say why none is."""
    found = understand(path, Wish(), trusted=True).layers
    listed = ", ".join(f"{facts.name} ({facts.kind})" for facts in found)
    named = [facts for facts in found if layer in (None, facts.name)]
    if not named:
        message = f"{path.name}: no layer is called '{layer}'; it has {listed}."
        raise InvalidInputError(message, field="file", layer=layer)
    fitting = [facts for facts in named if facts.kind in kinds]
    if len(fitting) > 1:
        message = f"{path.name} has several layers: name one as {path.name}:LAYER; it has {listed}."
        raise InvalidInputError(message, field="file")
    if fitting:
        return fitting[0]
    if len(named) == 1 and not named[0].features:
        raise InvalidInputError(f"{path.name}: '{named[0].name}' has no rows.", field="file")
    if len(named) == 1 and named[0].kind == "table":
        message = f"{path.name}: no row of '{named[0].name}' has a shape."
        raise InvalidInputError(message, field="file")
    message = f"{path.name} has no layer of {' or '.join(kinds[:-1])}; it has {listed}."
    raise InvalidInputError(message, field="file")


def cells_of(asked: Asked) -> Cells:
    """Read the cells; what is no coverage is mended, or refused where that takes decisions.

    Raises
    ------
    InvalidInputError
        If rows have no weight, or a column is not there.
    DeliveryError
        If the cells contradict each other; `wangge repair` takes the decisions.
    """
    frame, bare = layer_of(asked.cells, AREAS, list(dict.fromkeys(_columns(asked))))
    warnings = [f"{bare:,} rows have no shape: left out"] if bare else []
    name = parted(asked.cells)[0].name
    for column in asked.weights:
        frame[column], empty = counted(name, frame[column], empty_is_zero=asked.empty_is_zero)
        if empty:
            warnings.append(f"'{column}' is empty in {empty:,} cells: counted as 0")
    west, south, east, north = frame.total_bounds.tolist()
    lon, lat = (west + east) / 2, (south + north) / 2
    in_china = CHINA[0] <= lon <= CHINA[2] and CHINA[1] <= lat <= CHINA[3]
    metres = frame.geometry.to_crs(metre_srid(lon, lat, "cgcs2000" if in_china else "utm"))
    degrees, mended = frame.geometry, False
    shapes = metres.to_numpy()
    if not (shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes)):
        found = _mended(asked.cells, metres)
        degrees = carried_back(found.areas, metres, frame.geometry).reindex(frame.index)
        metres, mended = found.areas.reindex(frame.index), True
        here = ~(metres.isna() | metres.is_empty)
        frame, metres, degrees = frame[here], metres[here], degrees[here]
        said = "the cells were no coverage: overlaps and narrow gaps are mended"
        warnings.append(f"{said} (wangge repair lists each)")
    table = pd.DataFrame(frame.drop(columns="geometry")).reset_index(drop=True)
    return Cells(
        degrees.reset_index(drop=True), metres.reset_index(drop=True), table,
        frame.index.to_numpy(dtype=np.int64), mended, bare, warnings,
    )  # fmt: skip


def _columns(asked: Asked) -> list[str]:
    """Return the columns of the cells that are read; what is neither column nor file is refused."""
    columns = list(asked.weights)
    for field, name in (("within", asked.within), ("whole", asked.whole)):
        if name is None or is_file(name):
            continue
        path, layer = parted(asked.cells)
        known = [column.name for column in _chosen(path, layer, AREAS).columns]
        if name not in known:
            message = f"--{field} {name}: there is no such file, and {path.name} has no such "
            message += f"column; it has {', '.join(known)}."
            raise InvalidInputError(message, field=field)
        columns.append(name)
    return columns


def counted(
    name: str, said: pd.Series[Any], *, empty_is_zero: bool
) -> tuple[pd.Series[float], int]:
    """Return a column as counts, and how many rows were empty; what is no count is refused.

    Raises
    ------
    InvalidInputError
        If a row has a text, a number below 0 or without end, or nothing.
    """
    numbers = pd.to_numeric(said, errors="coerce").astype(float)
    empty = said.isna() | (said.astype("string").str.strip() == "").fillna(value=True)
    wrong = ~(np.isfinite(numbers) & (numbers >= 0)) & ~(empty & empty_is_zero)
    if wrong.any():
        rows = said.index[wrong].tolist()
        listed = [
            f"row {row} is empty" if empty[row] else f"row {row} says '{said[row]}'"
            for row in rows[:SHOWN]
        ]
        message = f"{name}: {len(rows)} row(s) have no count in '{said.name}': {', '.join(listed)}"
        message += f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else ""
        if empty[wrong].all():
            message += "; --empty-is-zero counts them as 0"
        raise InvalidInputError(f"{message}.", field="weight", rows=rows[:LISTED])
    return numbers.where(~empty, 0.0), int(empty.sum())


def _mended(file: str, metres: gpd.GeoSeries) -> Any:
    try:
        return repaired(metres)
    except DeliveryError as error:
        said = f"{file}: cells, called by their rows, contradict each other (wangge repair {file} "
        first, *more = error.data["defects"]
        raise DeliveryError([f"{said}--out mended.gpkg takes decisions): {first}", *more]) from None


def grouped(cells: Cells, name: str) -> pd.Series[Any]:
    """Return the group of each cell by a column, or by areas of a file; None for no group."""
    if not is_file(name):
        return cells.columns[name].astype("object")
    areas, _ = layer_of(name, AREAS, [])
    found = _area_of(cells, areas, name)
    return pd.Series(found + 1, dtype="object").where(found >= 0, None)


def _area_of(cells: Cells, areas: gpd.GeoDataFrame, name: str) -> Ints:
    """Return the area that each cell lies in, -1 for none; cells that lie across are noted."""
    found, across = areas_of(cells.metres, areas.geometry.make_valid().to_crs(cells.srid))
    if across.any():
        row = cells.named(np.flatnonzero(across)[:1])[0]
        cells.warnings.append(
            f"{int(across.sum()):,} cells lie across borders of {Path(name).name} ({row} ...): "
            "each is in the area of a point inside it"
        )
    return found


def parents_of(cells: Cells, asked: Asked) -> tuple[pd.Series[Any], list[str]]:
    """Return the number of each cell's parent, and the parents' names."""
    if asked.within is None:
        return pd.Series(np.zeros(len(cells.metres), dtype=np.int64)), [""]
    group = grouped(cells, asked.within)
    codes, names = pd.factorize(group.fillna("").astype(str), sort=False)
    return pd.Series(codes.astype(np.int64)), [str(name) for name in names]


def _shapes(file: str, kinds: tuple[str, ...], srid: int) -> gpd.GeoSeries:
    shapes = layer_of(file, kinds, [])[0].geometry
    shapes = shapes[shapes.geom_type.str.contains("Line|Polygon")]
    return shapes.make_valid().to_crs(srid).reset_index(drop=True)


def ground_under(cells: Cells, parents: Ints, asked: Asked) -> Ground:
    """Return the cells as a graph: parents, barriers and compounds hold."""
    whole = None
    if asked.whole is not None:
        group = grouped(cells, asked.whole)
        named = group.notna() & (group.astype(str) != "")
        codes, _ = pd.factorize(group.astype(str))
        whole = np.where(named, codes, -1).astype(np.int64)
    return ground_of(
        cells.metres,
        cells.columns[asked.weights].to_numpy(dtype=np.float64),
        parents,
        barriers=asked.barriers and _shapes(asked.barriers, LINES, cells.srid),
        streets=asked.streets and _shapes(asked.streets, ("lines", "mixed"), cells.srid),
        whole=whole,
    )


def present_net(cells: Cells, ground: Ground, asked: Asked, start: str) -> Present:
    """Return the unit of the present net that each node lies in.

    Raises
    ------
    InvalidInputError
        If the column that names the units is not there.
    """
    path, layer = parted(start)
    facts = _chosen(path, layer, AREAS)
    code = asked.code
    if code is None and UNIT in [column.name for column in facts.columns]:
        code = UNIT
    net, _ = layer_of(start, AREAS, [] if code is None else [code], "code")
    said = net.index.to_series() if code is None else net[code]
    unit, names = pd.factorize(said.astype(str))
    area = _area_of(cells, net, start)
    of_cell = np.where(area >= 0, unit[np.maximum(area, 0)], -1)
    today = np.full(ground.graph.size, -1, dtype=np.int64)
    dry = ground.node >= 0
    today[ground.node[dry]] = of_cell[dry]
    return Present(today, [str(name) for name in names])


def held_along(cells: Cells, ground: Ground, today: Ints, file: str) -> Flags:
    """Return the nodes beside borders of the present net that run along lines of a file.

    Raises
    ------
    InvalidInputError
        If none does.
    """
    lines = _shapes(file, LINES, cells.srid)
    along = borders_along(cells.metres, lines)
    pairs = ground.node[along]
    pairs = pairs[(pairs >= 0).all(axis=1)]
    pairs = pairs[today[pairs[:, 0]] != today[pairs[:, 1]]]
    if not len(pairs):
        message = f"No border of the present net runs along {file}."
        raise InvalidInputError(message, field="fixed_borders")
    held = np.zeros(ground.graph.size, dtype=np.bool_)
    held[pairs.ravel()] = True
    return held
