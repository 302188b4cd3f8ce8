"""What commands write into files: areas and reports, each all or nothing."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import pyogrio
import shapely

from geo.errors import InvalidInputError, TopologyError

ALL_DIGITS: Final = {"COORDINATE_PRECISION": 17}
"""Coordinates of GeoJSON with fewer digits would tear borders apart."""
WRITERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    ".gpkg": ("GPKG", {}),
    ".geojson": ("GeoJSON", ALL_DIGITS),
    ".json": ("GeoJSON", ALL_DIGITS),
    ".shp": ("ESRI Shapefile", {"ENCODING": "UTF-8"}),
    ".fgb": ("FlatGeobuf", {"SPATIAL_INDEX": "NO"}),
    ".parquet": ("GeoParquet", {}),
}
"""Ending -> driver and its options; an index of FlatGeobuf would put the rows in another order."""


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
    if target.resolve() in [path.resolve() for path in sources]:
        raise InvalidInputError(f"{target} is a file that is read or written already.", field=field)
    if not target.parent.is_dir():
        raise InvalidInputError(f"There is no folder {target.parent}.", field=field)
    if target.is_dir() or (target.exists() and target.stat().st_size and not overwrite):
        message = f"{target} exists; choose another name or say --overwrite."
        raise InvalidInputError(message, field=field)


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
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".wangge-report-") as folder:
            draft = Path(folder) / path.name
            draft.write_bytes(content)
            draft.replace(path)
    except OSError as error:
        raise _unwritten(path, error.strerror or str(error)) from None


def _unwritten(path: Path, why: str) -> InvalidInputError:
    return InvalidInputError(f"The report {path} cannot be written: {why}.", field="report")


def write_areas(frame: gpd.GeoDataFrame, out: Path, layer: str) -> None:
    """Write areas, all or nothing.

    Raises
    ------
    TopologyError
        If what was written is no coverage.
    """
    driver, options = WRITERS[out.suffix.lower()]
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".wangge-areas-") as folder:
        draft = Path(folder) / out.name
        if driver == "GeoParquet":
            frame.to_parquet(draft, index=False)
            written = gpd.read_parquet(draft).geometry.to_numpy()
        else:
            named = {} if driver == "ESRI Shapefile" else {"layer": layer}
            with warnings.catch_warnings():  # a Shapefile's column names have ten letters
                warnings.filterwarnings("ignore", category=RuntimeWarning)
                pyogrio.write_dataframe(frame, draft, driver=driver, **named, **options)
            written = pyogrio.read_dataframe(draft, columns=[]).geometry.to_numpy()
        if not (shapely.is_valid(written).all() and shapely.coverage_is_valid(written)):
            raise TopologyError(f"What would be written to {out.name} is no coverage in degrees.")
        for part in sorted(Path(folder).iterdir()):
            part.replace(out.with_name(part.name))
