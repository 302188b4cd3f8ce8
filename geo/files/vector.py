"""Files that GDAL reads, each looked at before GDAL sees it; only its own driver is allowed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from geo.errors import FileRefusedError
from geo.files import harmless, shapefiles
from geo.files.facts import EncodingFact, FileFormat, Kind, Placed
from geo.files.limits import Limits
from geo.files.sources import Batch, RawLayer, flat, sound
from geo.findings import Finding
from geo.saying import phrase

DRIVERS: Final[dict[FileFormat, str]] = {
    FileFormat.SHAPEFILE: "ESRI Shapefile",
    FileFormat.GEOPACKAGE: "GPKG",
    FileFormat.GEOJSON: "GeoJSON",
    FileFormat.FLATGEOBUF: "FlatGeobuf",
    FileFormat.KML: "LIBKML",
    FileFormat.DXF: "DXF",
}
ALLOWED: Final = frozenset(DRIVERS.values())
KINDS: Final[dict[str, Kind]] = {
    "Point": "points",
    "MultiPoint": "points",
    "LineString": "lines",
    "MultiLineString": "lines",
    "Polygon": "areas",
    "MultiPolygon": "areas",
}
#: Columns that drivers make up and files do not have.
MADE_UP: Final[dict[FileFormat, frozenset[str]]] = {
    FileFormat.KML: frozenset(
        {
            "timestamp",
            "begin",
            "end",
            "altitudeMode",
            "tessellate",
            "extrude",
            "visibility",
            "drawOrder",
            "icon",
            "snippet",
        }
    )
}


def layers(path: Path, known: FileFormat, limits: Limits) -> list[RawLayer]:
    """Return the layers of a file.

    Raises
    ------
    FileRefusedError
    """
    check = harmless.CHECKS.get(known)
    if check is not None:
        check(path, limits)
    findings: list[Finding] = []
    encoding = EncodingFact("UTF-8")
    if known is FileFormat.SHAPEFILE:
        encoding, findings = shapefiles.look_at(path, limits.features)
        made_anew = ".shx" not in shapefiles.beside(path)
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": made_anew})
    with told(path.name):
        found = [str(name) for name, _ in pyogrio.list_layers(path)]
        if not found:
            raise FileRefusedError(
                "no_layers",
                [phrase("%(file)s: there is no layer in it; hand it over again", file=path.name)],
            )
        return [_layer(path, known, name, encoding, findings) for name in found]


def _layer(
    path: Path, known: FileFormat, name: str, encoding: EncodingFact, findings: list[Finding]
) -> RawLayer:
    own = encoding.used if known is FileFormat.SHAPEFILE else None
    about = pyogrio.read_info(
        path, layer=name, encoding=own, force_feature_count=True, force_total_bounds=True
    )
    if about["driver"] != DRIVERS[known]:
        said = phrase(
            "%(file)s: looks like %(what)s and is read as %(other)s",
            file=path.name,
            what=DRIVERS[known],
            other=about["driver"],
        )
        raise FileRefusedError("hostile", [said])
    declared = str(about["geometry_type"]) if about["geometry_type"] else None
    if declared is not None and any(word in declared for word in ("Curve", "Surface", "TIN")):
        said = phrase(
            "%(file)s:%(name)s: its shapes are curves; save them with straight lines",
            file=path.name,
            name=name,
        )
        raise FileRefusedError("curves", [said])
    kind: Kind | None = "table"
    if declared is not None:
        kind = KINDS.get(declared.removeprefix("2.5D ").removesuffix(" Z").split(" ")[0])
    made_up = MADE_UP.get(known, frozenset())
    return RawLayer(
        name=name,
        format=known,
        path=path,
        inner=name,
        kind=kind,
        features=max(0, int(about["features"])),
        crs=about["crs"],
        columns=tuple(str(column) for column in about["fields"] if column not in made_up),
        encoding=encoding,
        bounds=_bounds(about["total_bounds"]),
        findings=tuple(findings),
    )


def _bounds(values: Any) -> Placed | None:
    if values is None or not np.isfinite(values).all():
        return None
    return float(values[0]), float(values[1]), float(values[2]), float(values[3])


def batches(layer: RawLayer, columns: Sequence[str], encoding: str, rows: int) -> Iterator[Batch]:
    """Yield rows with these columns alone."""
    own = encoding if layer.format is FileFormat.SHAPEFILE else None
    with (
        told(f"{layer.path.name}:{layer.name}"),
        pyogrio.open_arrow(
            layer.path,
            layer=layer.inner,
            columns=list(dict.fromkeys(columns)),
            encoding=own,
            read_geometry=layer.kind != "table",
            batch_size=rows,
            use_pyarrow=True,
            datetime_as_string=True,
        ) as (about, stream),
    ):
        place = about["geometry_name"] or "wkb_geometry"
        for batch in stream:
            shapes = None
            if place in batch.schema.names:
                binary = batch.column(place).to_numpy(zero_copy_only=False)
                shapes = flat(shapely.from_wkb(binary, on_invalid="fix"))
            found = {column: sound(batch.column(column)) for column in columns}
            yield Batch(found, shapes, batch.num_rows)


@contextmanager
def told(label: str) -> Iterator[None]:
    """Turn GDAL's errors into ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DataSourceError, DataLayerError, RuntimeError, ValueError, OSError) as error:
        if isinstance(error, FileRefusedError):
            raise
        message = str(error).strip().replace("\n", " ")
        said = phrase(
            "%(file)s: it is damaged or cut off: %(what)s; hand it over again",
            file=label,
            what=message[:300],
        )
        raise FileRefusedError("damaged", [said]) from error
