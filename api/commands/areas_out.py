"""What commands write into files: areas, tables and reports, each all or nothing."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray

from geo.errors import InvalidInputError, TopologyError
from geo.sheets import FORMULA_STARTS

ALL_DIGITS: Final = {"COORDINATE_PRECISION": 17}
"""Coordinates of GeoJSON with fewer digits would tear borders apart."""
WRITERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    ".gpkg": ("GPKG", {}),
    ".geojson": ("GeoJSON", ALL_DIGITS),
    ".json": ("GeoJSON", ALL_DIGITS),
    ".shp": ("ESRI Shapefile", {"ENCODING": "UTF-8"}),
    ".fgb": ("FlatGeobuf", {"SPATIAL_INDEX": "NO"}),
    ".parquet": ("GeoParquet", {}),
    ".csv": ("CSV", {}),
}
"""Ending -> driver and its options; an index of FlatGeobuf would put the rows in another order."""
MIXED: Final = (".gpkg", ".geojson", ".json", ".parquet")
"""Endings of files that hold areas and lines in one layer."""
PARTS: Final = (".shp", ".dbf", ".shx", ".prj", ".cpg")
"""Files that make up a Shapefile."""
INDEXES: Final = (".qix", ".sbn", ".sbx", ".fix")
"""Files beside a Shapefile that would belong to the one that it replaces."""
WKT: Final = "geometry"
"""Column of a CSV that holds the shapes."""
POLYGON: Final = 3
SHAPEFILE_TEXT: Final = 254
"""Bytes of a text in a Shapefile."""


def refuse_target(
    sources: Sequence[Path],
    target: Path,
    endings: Sequence[str] = tuple(WRITERS),
    *,
    overwrite: bool,
    field: str = "out",
) -> None:
    """Refuse a file to write to that has another ending, is read, exists, or has no folder.

    Raises
    ------
    InvalidInputError
    """
    if target.suffix.lower() not in endings:
        message = f"{target} has to end in one of {', '.join(endings)}."
        raise InvalidInputError(message, field=field)
    files = _files_of(target)
    if {path.resolve() for path in files} & {path.resolve() for path in sources}:
        raise InvalidInputError(f"{target} is a file that is read or written already.", field=field)
    if not target.parent.is_dir():
        raise InvalidInputError(f"There is no folder {target.parent}.", field=field)
    for path in files:
        if path.is_dir() or (path.exists() and path.stat().st_size and not overwrite):
            message = f"{path} exists; choose another name or say --overwrite."
            raise InvalidInputError(message, field=field)


def _files_of(target: Path) -> list[Path]:
    if target.suffix.lower() != ".shp":
        return [target]
    return [target, *(target.with_suffix(ending) for ending in PARTS[1:])]


@contextmanager
def all_or_none(*targets: Path) -> Iterator[tuple[Path, ...]]:
    """Yield a place to write to for each target; at the end all take their names, or none does.

    What stood there before stays until everything is whole, and comes back if a name cannot be
    taken. Whoever is killed leaves a folder `.wangge-*` behind and the files as they were.

    Raises
    ------
    InvalidInputError
        If a file cannot be written: a full disk, no permission.
    """
    try:
        with _beside(*targets) as places:
            yield places
    except (OSError, RuntimeError) as error:  # pyogrio's own are RuntimeErrors
        names = " and ".join(str(one) for one in targets)
        why = getattr(error, "strerror", None) or str(error)
        raise InvalidInputError(f"{names} cannot be written: {why}.", field="out") from error


@contextmanager
def _beside(*targets: Path) -> Iterator[tuple[Path, ...]]:
    """Do what `all_or_none` does; an error stays as it is."""
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(TemporaryDirectory(dir=one.parent, prefix=".wangge-")))
            for one in targets
        ]
        both = list(zip(folders, targets, strict=True))
        yield tuple(folder / one.name for folder, one in both)
        written = [(part, one) for folder, one in both for part in sorted(folder.iterdir())]
        _take_names([(part, one.with_name(part.name)) for part, one in written])


def refuse_report(path: Path | None) -> None:
    """Refuse a report for which there is no place, before any work is done for it.

    Raises
    ------
    InvalidInputError
    """
    if path is None:
        return
    if path.is_dir():
        raise _unwritten(path, "it is a folder")
    if not path.parent.is_dir():
        raise _unwritten(path, f"there is no folder {path.parent}")


def write_report(path: Path, text: str, *, encoding: str = "utf-8") -> None:
    """Write a report, all or nothing: what stood there stays until the new one is whole.

    Raises
    ------
    InvalidInputError
        If it cannot be written.
    """
    content = text.encode(encoding)
    try:
        if path.exists() and not path.is_file():  # a pipe or a terminal: nothing can stand beside
            path.write_bytes(content)
            return
        with _beside(path) as (place,):
            place.write_bytes(content)
    except OSError as error:
        raise _unwritten(path, error.strerror or str(error)) from None


def _unwritten(path: Path, why: str) -> InvalidInputError:
    return InvalidInputError(f"The report {path} cannot be written: {why}.", field="report")


def _take_names(moves: Sequence[tuple[Path, Path]]) -> None:
    """Give files their names; where one cannot have it, put back what stood there before."""
    taken: list[tuple[Path, Path]] = []
    try:
        for part, goal in moves:
            before = part.with_name(f"{part.name}.before")
            if goal.exists() and len(moves) > 1:
                shutil.copy2(goal, before)
            part.replace(goal)
            taken.append((goal, before))
    except OSError:
        for goal, before in reversed(taken):
            if before.exists():
                before.replace(goal)
            else:
                goal.unlink()
        raise
    for _, goal in moves:
        if goal.suffix.lower() == ".shp":
            for ending in INDEXES:
                goal.with_suffix(ending).unlink(missing_ok=True)


def write_areas(frame: gpd.GeoDataFrame, out: Path, layer: str) -> list[str]:
    """Write areas that are a coverage, all or nothing.

    Returns
    -------
    list of str
        As `put_areas`.

    Raises
    ------
    InvalidInputError, TopologyError
        As `all_or_none` and `put_areas`.
    """
    with all_or_none(out) as (place,):
        return put_areas(frame, place, layer)


def put_areas(frame: gpd.GeoDataFrame, place: Path, layer: str) -> list[str]:
    """Write areas to a place of `all_or_none`, and read them again.

    Returns
    -------
    list of str
        What the format could not hold as it was: long names of columns, long texts.

    Raises
    ------
    TopologyError
        If what was written is not what was meant, or no coverage.
    """
    driver, options = WRITERS[place.suffix.lower()]
    if driver == "GeoParquet":
        frame.to_parquet(place, index=False)
        written = gpd.read_parquet(place).geometry.to_numpy()
    elif driver == "CSV":
        written = _put_wkt(frame, place)
    else:
        named = {} if driver == "ESRI Shapefile" else {"layer": layer}
        with warnings.catch_warnings():  # what a Shapefile cuts off is told by `_cut_off`
            warnings.filterwarnings("ignore", category=RuntimeWarning)
            pyogrio.write_dataframe(frame, place, driver=driver, **named, **options)
        written = pyogrio.read_dataframe(place, columns=[]).geometry.to_numpy()
    if not _alike(written, frame.geometry.to_numpy()):
        raise TopologyError(f"What was written to {place.name} is not what was meant.")
    if not (shapely.is_valid(written).all() and shapely.coverage_is_valid(written)):
        raise TopologyError(f"What would be written to {place.name} is no coverage in degrees.")
    return _cut_off(frame, place) if driver == "ESRI Shapefile" else []


def put_places(frame: gpd.GeoDataFrame, place: Path, layer: str) -> None:
    """Write shapes of any kind to a place of `all_or_none`, of an ending among `MIXED`."""
    driver, options = WRITERS[place.suffix.lower()]
    if driver == "GeoParquet":
        frame.to_parquet(place, index=False)
        return
    kind = {"geometry_type": "Unknown"} if driver == "GPKG" else {}
    pyogrio.write_dataframe(frame, place, driver=driver, layer=layer, **kind, **options)


def _put_wkt(frame: gpd.GeoDataFrame, place: Path) -> NDArray[np.object_]:
    shapes = shapely.to_wkt(frame.geometry.to_numpy(), rounding_precision=-1)
    put_table(pd.DataFrame(frame.drop(columns=frame.geometry.name)).assign(**{WKT: shapes}), place)
    read = pd.read_csv(place, usecols=[WKT], encoding="utf-8-sig")[WKT]
    return np.asarray(shapely.from_wkt(read.to_numpy(dtype=object)), dtype=object)


def put_table(table: pd.DataFrame, place: Path) -> None:
    """Write a table to a place of `all_or_none`, for spreadsheets: no text is taken for a formula.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    plain = table.copy()
    for name in plain.columns:
        if not pd.api.types.is_numeric_dtype(plain[name]):
            plain[name] = plain[name].map(_text, na_action="ignore")
    plain.columns = [_text(str(name)) for name in plain.columns]
    plain.to_csv(place, index=False, encoding="utf-8-sig")


def _text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _alike(written: NDArray[np.object_], meant: NDArray[np.object_]) -> bool:
    """Say whether shapes are the same to the last digit; a ring may begin elsewhere.

    A layer holds shapes of one type: beside areas of several parts, others are areas of one part.
    """
    if len(written) != len(meant):
        return False
    one, two = _in_parts(written), _in_parts(meant)
    return bool(shapely.equals_exact(one, two, normalize=True).all())


def _in_parts(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    made = np.array(shapes, dtype=object)
    single = np.flatnonzero(shapely.get_type_id(made) == POLYGON)
    made[single] = shapely.multipolygons(made[single][:, None])
    return made


def _cut_off(frame: gpd.GeoDataFrame, place: Path) -> list[str]:
    """Say which columns and texts a Shapefile could not hold as they are."""
    plain = frame.drop(columns=frame.geometry.name)
    kept = pyogrio.read_info(place)["fields"]
    renamed = [
        f"'{one}' is '{other}'"
        for one, other in zip(plain.columns, kept, strict=True)
        if one != other
    ]
    said = []
    if renamed:
        said.append(f"a Shapefile's columns have ten bytes: {', '.join(renamed)}")
    texts = [name for name in plain if not pd.api.types.is_numeric_dtype(plain[name])]
    cut = [
        str(name)
        for name in texts
        if plain[name].dropna().astype(str).str.encode("utf-8").str.len().gt(SHAPEFILE_TEXT).any()
    ]
    if cut:
        said.append(f"a Shapefile's texts have {SHAPEFILE_TEXT} bytes: cut in {', '.join(cut)}")
    return said
