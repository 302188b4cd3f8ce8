"""GeoParquet through pyarrow: its `geo` metadata says which column is the shape, and its system."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from geo.errors import FileRefusedError
from geo.files.facts import FileFormat
from geo.files.limits import MIB, Limits
from geo.files.sources import Batch, RawLayer, flat, sound
from geo.files.tables import coordinate_columns, shapes_of
from geo.saying import phrase

#: What GeoParquet means where it says nothing.
DEFAULT_CRS: Final = "OGC:CRS84"
#: Columns that pandas writes beside a table.
INDEX: Final = "__index_level_"


def layers(path: Path, known: FileFormat, limits: Limits) -> list[RawLayer]:
    """Return the one layer of a file.

    Raises
    ------
    FileRefusedError
        `damaged`, `too_large`, or `unknown_format` for shapes that are not WKB.
    """
    with _told(path), pq.ParquetFile(path) as file:
        about, schema = file.metadata, file.schema_arrow
        size = sum(about.row_group(n).total_byte_size for n in range(about.num_row_groups))
        if size > limits.unpacked_mib * MIB:
            said = phrase(
                "%(file)s: unpacked it has %(n)s MiB, more than %(most)s MiB",
                file=path.name,
                n=f"{size / MIB:,.0f}",
                most=f"{limits.unpacked_mib:,}",
            )
            raise FileRefusedError("too_large", [said])
        shape, crs, bounds = _shape_of(path, schema.metadata or {})
        names = tuple(name for name in schema.names if name != shape and not name.startswith(INDEX))
        places = () if shape else coordinate_columns(names)
        rows = about.num_rows
    return [
        RawLayer(
            name=path.stem,
            format=known,
            path=path,
            inner=shape or "",
            kind=None if shape or places else "table",
            features=rows,
            crs=crs,
            columns=names,
            bounds=bounds,
            places=places,
        )
    ]


def _shape_of(path: Path, metadata: dict[bytes, bytes]) -> tuple[str | None, str | None, Any]:
    """Return the column with shapes, its system, and its bounds; None for a table without."""
    if b"geo" not in metadata:
        return None, None, None
    try:
        said = json.loads(metadata[b"geo"])
        name = str(said["primary_column"])
        column = said["columns"][name]
        if column["encoding"] != "WKB":
            fault = phrase(
                "%(file)s: its shapes are %(what)s; write them as WKB",
                file=path.name,
                what=column["encoding"],
            )
            raise FileRefusedError("unknown_format", [fault])
        crs = _crs(column["crs"]) if "crs" in column else DEFAULT_CRS
        bounds = column.get("bbox")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, phrase("its metadata cannot be read")) from error
    if not isinstance(bounds, list) or len(bounds) not in (4, 6):
        return name, crs, None
    half = len(bounds) // 2
    return name, crs, tuple(float(bounds[n]) for n in (0, 1, half, half + 1))


def _crs(said: Any) -> str | None:
    if said is None:
        return None
    try:
        return str(CRS.from_json_dict(said).to_wkt())
    except (CRSError, TypeError, AttributeError):
        return None


def batches(layer: RawLayer, columns: Sequence[str], encoding: str, rows: int) -> Iterator[Batch]:
    """Yield rows with these columns alone."""
    wanted = list(dict.fromkeys([*columns, *layer.places, *([layer.inner] if layer.inner else [])]))
    with _told(layer.path), pq.ParquetFile(layer.path, memory_map=True) as file:
        for batch in file.iter_batches(batch_size=rows, columns=wanted, use_threads=False):
            shapes = None
            if layer.inner:
                binary = batch.column(layer.inner).to_numpy(zero_copy_only=False)
                shapes = flat(shapely.from_wkb(binary, on_invalid="fix"))
            elif layer.places:
                shapes = shapes_of([batch.column(name).to_pylist() for name in layer.places])
            yield Batch(
                {name: sound(batch.column(name)) for name in columns}, shapes, batch.num_rows
            )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, shapely.GEOSException) as error:
        raise _damaged(path, str(error).splitlines()[0][:200]) from error


def _damaged(path: Path, what: str) -> FileRefusedError:
    said = phrase(
        "%(file)s: it is damaged or cut off (%(what)s); hand it over again",
        file=path.name,
        what=what,
    )
    return FileRefusedError("damaged", [said])
