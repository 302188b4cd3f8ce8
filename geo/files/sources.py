"""A layer as its format gives it, before anything is worked out: the same for every format."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geo.errors import FileRefusedError
from geo.files import archives, shapefiles
from geo.files.encoding import in_utf8
from geo.files.facts import EncodingFact, FileFormat, Kind, Placed
from geo.files.formats import format_of
from geo.files.limits import MIB, Limits
from geo.findings import Finding
from geo.saying import phrase

Shapes = NDArray[np.object_]
ROWS_AT_ONCE: Final = 20_000

#: Formats whose texts are UTF-8 by their standard.
IN_UTF8: Final = (FileFormat.GEOJSON, FileFormat.KML)
OF_THE_FORMAT: Final = EncodingFact("UTF-8")


@dataclass(frozen=True)
class RawLayer:
    """One layer that can be read.

    Attributes
    ----------
    name : str
    format : FileFormat
        Of the file that it is in, never an archive.
    path, inner : Path and str
        Where to open it, and under which name.
    kind : {"areas", "lines", "points", "mixed", "table"} or None
        None: its rows tell.
    features : int
        As the file says.
    crs : str or None
        As the file says.
    columns : tuple of str
        In the file's order.
    encoding : EncodingFact
    bounds : tuple of float or None
        In the file's numbers, where the file says so.
    places : tuple of str
        Columns that hold longitude and latitude, or WKT.
    member : str or None
        The file inside an archive.
    findings : tuple of Finding
    """

    name: str
    format: FileFormat
    path: Path
    inner: str
    kind: Kind | None
    features: int
    crs: str | None
    columns: tuple[str, ...]
    encoding: EncodingFact = OF_THE_FORMAT
    bounds: Placed | None = None
    places: tuple[str, ...] = ()
    member: str | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Some rows: columns of equal length, and their shapes; None for a table."""

    columns: dict[str, pa.Array]
    shapes: Shapes | None
    rows: int


@dataclass(frozen=True)
class Opened:
    """A file whose outside was looked at: what it is and the layers in it."""

    label: str
    format: FileFormat
    layers: tuple[RawLayer, ...]
    findings: tuple[Finding, ...] = ()

    def layer(self, name: str | None) -> RawLayer:
        """Return the layer of this name; None: the only one.

        Raises
        ------
        FileRefusedError
            `no_layer`, `several_layers`; what there is instead is said.
        """
        names = [layer.name for layer in self.layers]
        if name is None and len(names) == 1:
            return self.layers[0]
        listed = ", ".join(dict.fromkeys(names))
        if name is None:
            said = phrase(
                "%(file)s: it has %(n)s layers, name one of %(listed)s",
                file=self.label,
                n=len(names),
                listed=listed,
            )
            raise FileRefusedError("several_layers", [said])
        if names.count(name) > 1:
            said = phrase(
                "%(file)s: %(n)s layers are called '%(name)s'; rename one",
                file=self.label,
                n=names.count(name),
                name=name,
            )
            raise FileRefusedError("several_layers", [said])
        if name not in names:
            said = phrase(
                "%(file)s: no layer is called '%(name)s'; it has %(listed)s",
                file=self.label,
                name=name,
                listed=listed,
            )
            raise FileRefusedError("no_layer", [said])
        return self.layers[names.index(name)]


#: The room of each format; loaded when needed, since what it loads depends on what is allowed.
ROOMS: Final[dict[FileFormat, str]] = {
    FileFormat.SHAPEFILE: "geo.files.vector",
    FileFormat.GEOPACKAGE: "geo.files.vector",
    FileFormat.GEOJSON: "geo.files.vector",
    FileFormat.FLATGEOBUF: "geo.files.vector",
    FileFormat.KML: "geo.files.vector",
    FileFormat.DXF: "geo.files.drawings",
    FileFormat.GEOPARQUET: "geo.files.parquet",
    FileFormat.OSM_PBF: "geo.files.osm",
    FileFormat.CSV: "geo.files.tables",
    FileFormat.XLSX: "geo.files.tables",
}


def room_of(known: FileFormat) -> ModuleType:
    """Return the room that reads a format: `layers(path, format, limits)` and `batches(...)`."""
    return importlib.import_module(ROOMS[known])


def members_of(path: Path, folder: Path, limits: Limits) -> tuple[FileFormat, list[Path]]:
    """Return what a file is, and the files with layers: itself, or an archive's unpacked parts.

    Parameters
    ----------
    path : Path
    folder : Path
        Empty, ours; an archive is unpacked into it.
    limits : Limits

    Raises
    ------
    FileRefusedError
    """
    if path.stat().st_size > limits.file_mib * MIB:
        said = phrase(
            "%(file)s: it has %(n)s MiB, more than %(most)s MiB",
            file=path.name,
            n=f"{path.stat().st_size / MIB:,.0f}",
            most=f"{limits.file_mib:,}",
        )
        raise FileRefusedError("too_large", [said])
    known = format_of(path)
    if known is FileFormat.ZIP:
        return known, archives.unpack(path, folder, limits)
    if known is FileFormat.SHAPEFILE and ".shx" not in shapefiles.beside(path):
        return known, [_linked(path, folder)]
    return known, [path]


def _linked(path: Path, folder: Path) -> Path:
    """Return a Shapefile among links of ours: its index is made anew beside them, not beside it."""
    ours = Path(mkdtemp(dir=folder))
    for ending, part in {**shapefiles.beside(path), ".shp": path}.items():
        (ours / f"{path.stem}{ending}").symlink_to(part.resolve())
    return ours / f"{path.stem}.shp"


def open_file(path: Path, folder: Path, limits: Limits, label: str | None = None) -> Opened:
    """Look at a file's outside and return its layers; nothing in it is followed anywhere.

    Parameters
    ----------
    path : Path
    folder : Path
        Empty, ours.
    limits : Limits
    label : str, optional
        What the file is called in messages.

    Raises
    ------
    FileRefusedError
        With every reason in one list.
    """
    known, members = members_of(path, folder, limits)
    archived = known is FileFormat.ZIP
    layers: list[RawLayer] = []
    for member in members:
        inside = format_of(member) if archived else known
        found = _layers(member, inside, folder, limits)
        layers += [
            _named(layer, member, folder, len(found)) if archived else layer for layer in found
        ]
    if sum(layer.features for layer in layers) > limits.features:
        total = sum(layer.features for layer in layers)
        said = phrase(
            "%(file)s: it has %(n)s rows, more than %(most)s",
            file=label or path.name,
            n=f"{total:,}",
            most=f"{limits.features:,}",
        )
        raise FileRefusedError("too_large", [said])
    return Opened(label or path.name, known, tuple(layers))


def _layers(member: Path, known: FileFormat, folder: Path, limits: Limits) -> list[RawLayer]:
    if known not in IN_UTF8:
        return list(room_of(known).layers(member, known, limits))
    path, fact = in_utf8(member, folder)
    found = room_of(known).layers(path, known, limits)
    return [replace(layer, encoding=fact) for layer in found]


def _named(layer: RawLayer, member: Path, folder: Path, siblings: int) -> RawLayer:
    inside = member.relative_to(folder).as_posix()
    name = layer.name if siblings == 1 else f"{member.stem}/{layer.name}"
    return replace(layer, name=name, member=inside)


def batches(
    layer: RawLayer, columns: Sequence[str], encoding: str, rows: int = ROWS_AT_ONCE
) -> Iterator[Batch]:
    """Yield a layer's rows with these columns alone."""
    yield from room_of(layer.format).batches(layer, columns, encoding, rows)


def flat(shapes: Any) -> Shapes:
    """Return shapes without height and measure."""
    return np.asarray(shapely.force_2d(np.asarray(shapes, dtype=object)), dtype=object)


def sound(values: Any) -> Any:
    """Return a column with its texts in UTF-8; what is none is read as GB18030."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        raw = values.cast(pa.large_binary()).to_pylist()
        return pa.array([None if text is None else _decoded(text) for text in raw], values.type)
    return values


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("gb18030", "replace")


def kind_of(shapes: Shapes) -> Kind | None:
    """Return what shapes are; None where there is none."""
    kinds: dict[int, Kind] = {0: "points", 4: "points", 1: "lines", 5: "lines", 2: "lines"}
    kinds |= {3: "areas", 6: "areas", 7: "mixed"}
    found = {kinds[int(number)] for number in np.unique(shapely.get_type_id(shapes)) if number >= 0}
    if len(found) > 1:
        return "mixed"
    return found.pop() if found else None
