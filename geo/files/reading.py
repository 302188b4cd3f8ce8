"""The two doors to files: understand what one is, and read a layer of it; both behind walls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import shapely

from geo.crs import WGS84_SRID
from geo.errors import FileRefusedError
from geo.files import jail
from geo.files.facts import LayerFacts, Understood, Wish, finding_from_data, understood_from_data
from geo.files.limits import OPERATOR, Limits
from geo.findings import Finding
from geo.saying import phrase, unpacked


@dataclass(frozen=True)
class Delivered:
    """A layer as read.

    Attributes
    ----------
    label : str
        File and layer, as in messages.
    frame : GeoDataFrame
        Columns under the program's names, EPSG:4326 on WGS 84, indexed by the row's number in the
        file (1 is the first). Rows without a shape have None; in a table all have.
    findings : tuple of Finding
    facts : LayerFacts or None
    spent : mapping of str to float
        `cpu_s` and `peak_mib` of the process that read.
    """

    label: str
    frame: gpd.GeoDataFrame
    findings: tuple[Finding, ...] = ()
    facts: LayerFacts | None = None
    spent: Mapping[str, float] = field(default_factory=dict)


def understand(
    path: Path,
    wish: Wish | None = None,
    *,
    layer: str | None = None,
    limits: Limits = OPERATOR,
    trusted: bool = False,
    watch: jail.Watch | None = None,
) -> Understood:
    """Return what a file is and what is in it.

    Parameters
    ----------
    path : Path
    wish : Wish, optional
        What somebody already knows: encoding, reference system, axes, where the city is.
    layer : str, optional
        Look at this one alone, if there is one of this name.
    limits : Limits
    trusted : bool, default False
        The operator's own file, on the command line.
    watch : callable, optional
        Called several times a second; what it raises ends the reading.

    Raises
    ------
    FileRefusedError
        What it is, where and what to do, with a stable `reason`.
    SandboxError
        If the walls cannot be set up and the file is not `trusted`.
    """
    task = {"do": "understand", "wish": asdict(wish or Wish()), "layer": layer}
    with jail.run(task, path, limits, limits.understand_s, trusted=trusted, watch=watch) as (
        answer,
        _,
    ):
        try:
            return understood_from_data(unpacked(answer["understood"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _unclear(path) from error


def read(
    path: Path,
    layer: str | None = None,
    wish: Wish | None = None,
    *,
    limits: Limits = OPERATOR,
    trusted: bool = False,
    watch: jail.Watch | None = None,
) -> Delivered:
    """Return a layer's rows with the mapped columns alone.

    Parameters
    ----------
    path : Path
    layer : str, optional
        None: the only one.
    wish : Wish, optional
        Mapping, and what the file does not say of itself.
    limits : Limits
    trusted : bool, default False
    watch : callable, optional

    Returns
    -------
    Delivered

    Raises
    ------
    DeliveryError
        If the file does not say what it has to and the wish does not either, a column is missing
        or is about persons, or rows have other shapes; all reasons in one list.
    FileRefusedError, SandboxError
        As `understand`.
    """
    with stream(path, layer, wish, limits=limits, trusted=trusted, watch=watch) as streamed:
        frames = list(streamed.frames)
        frame = gpd.pd.concat(frames) if len(frames) > 1 else frames[0]
    return Delivered(streamed.label, frame, streamed.findings, streamed.facts, streamed.spent)


@dataclass(frozen=True)
class Streamed:
    """A layer in parts, for files that are larger than memory."""

    label: str
    frames: Iterator[gpd.GeoDataFrame]
    rows: int
    findings: tuple[Finding, ...]
    facts: LayerFacts
    spent: Mapping[str, float]


@contextmanager
def stream(
    path: Path,
    layer: str | None = None,
    wish: Wish | None = None,
    *,
    limits: Limits = OPERATOR,
    trusted: bool = False,
    watch: jail.Watch | None = None,
) -> Iterator[Streamed]:
    """Yield a layer in parts of some ten thousand rows; parameters and errors as `read`."""
    task = {"do": "read", "layer": layer, "wish": _plain(wish or Wish())}
    with jail.run(task, path, limits, limits.read_s, trusted=trusted, watch=watch) as (
        answer,
        folder,
    ):
        try:
            facts = understood_from_data(
                {
                    "path": path.name,
                    "format": "zip",
                    "layers": [unpacked(answer["layer"])],
                    "findings": [],
                }
            ).layers[0]
            findings = tuple(finding_from_data(finding) for finding in unpacked(answer["findings"]))
            label, rows = str(answer["label"]), int(answer["rows"])
            spent = {str(name): float(value) for name, value in answer["spent"].items()}
        except (KeyError, TypeError, ValueError) as error:
            raise _unclear(path) from error
        yield Streamed(label, _frames(folder / jail.ROWS, path), rows, findings, facts, spent)


@dataclass(frozen=True)
class Raw:
    """A layer as its file has it.

    Attributes
    ----------
    layers : list of str
        All layers of the file.
    columns : list of str
        Of the layer; empty where there is none of this name.
    crs : str or None
        As the file says.
    frame : GeoDataFrame or None
        The mapped columns, in the numbers of the file, without a CRS, indexed by row number; None
        where the layer or a column is not there.
    findings : tuple of Finding
    """

    layers: list[str]
    columns: list[str]
    crs: str | None
    frame: gpd.GeoDataFrame | None
    findings: tuple[Finding, ...] = ()


def read_raw(
    path: Path, layer: str | None, columns: Mapping[str, str], encoding: str | None = None
) -> Raw:
    """Return a layer of the operator's own file as it is, read behind the walls.

    Parameters
    ----------
    path : Path
    layer : str, optional
        None: the only one.
    columns : mapping of str to str
        The program's name -> column of the file.
    encoding : str, optional
        In place of what is found out.

    Raises
    ------
    DeliveryError, FileRefusedError
        If it cannot be read, or has several layers and none is named.
    """
    wish = Wish(columns=dict(columns), encoding=encoding)
    task = {"do": "raw", "layer": layer, "wish": _plain(wish)}
    with jail.run(task, path, OPERATOR, OPERATOR.read_s, trusted=True) as (answer, folder):
        return raw_of(unpacked(answer), folder / jail.ROWS, path)


def raw_of(answer: Mapping[str, Any], rows: Path, path: Path) -> Raw:
    """Return what `geo.files.deliver.deliver_raw` answered and wrote."""
    try:
        names = [str(name) for name in answer["layers"]]
        columns = [str(name) for name in answer.get("columns", [])]
        crs = answer.get("crs")
        found = tuple(finding_from_data(one) for one in answer.get("findings", []))
        count = answer["rows"]
    except (KeyError, TypeError, ValueError) as error:
        raise _unclear(path) from error
    frame = None
    if count is not None:
        parts = list(_frames(rows, path)) if count else []
        frame = gpd.pd.concat(parts) if parts else gpd.GeoDataFrame(geometry=[])
        frame = frame.set_crs(None, allow_override=True)
    return Raw(names, columns, None if crs is None else str(crs), frame, found)


def _plain(wish: Wish) -> dict[str, Any]:
    return {**asdict(wish), "columns": dict(wish.columns)}


def _frames(path: Path, source: Path) -> Iterator[gpd.GeoDataFrame]:
    """Yield the rows that the process inside wrote, looked at before they are believed."""
    if path.is_symlink() or not path.is_file():
        raise _unclear(source)
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as batches:
            for batch in batches:
                batch.validate(full=True)
                yield frame_of(batch)
    except (pa.ArrowException, shapely.GEOSException, KeyError) as error:
        raise _unclear(source) from error


def frame_of(batch: Any) -> gpd.GeoDataFrame:
    """Return a batch of rows as a frame, indexed by row number."""
    numbers = batch.column("row").to_numpy(zero_copy_only=False)
    names = [name for name in batch.schema.names if name not in ("row", "geometry")]
    table = batch.select(names).to_pandas()
    shapes: Any = [None] * batch.num_rows
    if "geometry" in batch.schema.names:
        shapes = shapely.from_wkb(batch.column("geometry").to_numpy(zero_copy_only=False))
    frame = gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(shapes), crs=WGS84_SRID)
    return frame.set_axis(numbers, axis=0)


def _unclear(path: Path) -> FileRefusedError:
    return FileRefusedError(
        "reader_failed", [phrase("%(file)s: the reader gave no clear answer", file=path.name)]
    )
