"""Drawings (DXF): each of the drawing's own layers is a layer; closed lines are areas.

A drawing says neither its reference system nor its unit; its numbers have to tell, or somebody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyogrio
import shapely

from geo.errors import FileRefusedError
from geo.files import vector
from geo.files.encoding import of_text
from geo.files.facts import FileFormat, Kind, Placed
from geo.files.limits import Limits
from geo.files.sources import Batch, RawLayer, Shapes, flat, kind_of
from geo.findings import Finding
from geo.saying import phrase

ENTITIES: Final = "entities"
LAYER: Final = "Layer"
COLUMNS: Final = ("Text", "Linetype", "EntityHandle")
#: From this share of closed lines on, a layer holds areas.
CLOSED_SHARE: Final = 0.9
ROWS: Final = 20_000


def layers(path: Path, known: FileFormat, limits: Limits) -> list[RawLayer]:
    """Return the drawing's layers that hold shapes.

    Raises
    ------
    FileRefusedError
    """
    encoding = of_text(path)
    pyogrio.set_gdal_config_options({"DXF_ENCODING": encoding.used.removesuffix("-sig")})
    counted: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    kinds: dict[str, set[Kind]] = {}
    bounds: dict[str, Any] = {}
    whole = _entities(path)
    for batch in vector.batches(whole, [LAYER], encoding.used, ROWS):
        if batch.shapes is None:
            continue
        names = np.array(batch.columns[LAYER].to_pylist(), dtype=object)
        is_closed, is_line = _closed(batch.shapes), _lines(batch.shapes)
        for name in dict.fromkeys(names):
            own = names == name
            counted[name] += int(own.sum())
            closed[name] += int(is_closed[own].sum())
            lines[name] += int(is_line[own].sum())
            kind = kind_of(batch.shapes[own])
            kinds.setdefault(name, set()).update({kind} if kind else set())
            bounds.setdefault(name, []).append(shapely.total_bounds(batch.shapes[own]))
        if sum(counted.values()) > limits.features:
            said = phrase(
                "%(file)s: it has more than %(most)s entities",
                file=path.name,
                most=f"{limits.features:,}",
            )
            raise FileRefusedError("too_large", [said])
    if not counted:
        raise FileRefusedError(
            "empty", [phrase("%(file)s: nothing is drawn in it", file=path.name)]
        )
    found = []
    for name, count in sorted(counted.items(), key=lambda item: (-item[1], str(item[0]))):
        as_areas = lines[name] > 0 and closed[name] >= CLOSED_SHARE * lines[name]
        kind = _kind(kinds[name], as_areas=as_areas)
        findings = []
        if as_areas:
            done = phrase("%(n)s closed lines are taken as areas", n=f"{closed[name]:,}")
            findings.append(Finding(path.name, "closed_lines", str(name), done))
        found.append(
            RawLayer(
                name=str(name),
                format=known,
                path=path,
                inner=f"{'areas' if as_areas else 'as drawn'}:{name}",
                kind=kind,
                features=count,
                crs=None,
                columns=COLUMNS,
                encoding=encoding,
                bounds=_total(bounds[name]),
                findings=tuple(findings),
            )
        )
    return found


def _entities(path: Path) -> RawLayer:
    return RawLayer(ENTITIES, FileFormat.DXF, path, ENTITIES, None, 0, None, COLUMNS)


def _kind(kinds: set[Kind], *, as_areas: bool) -> Kind | None:
    found = {("areas" if kind == "lines" and as_areas else kind) for kind in kinds}
    if len(found) > 1:
        return "mixed"
    return next(iter(found)) if found else None


def _total(parts: list[Any]) -> Placed | None:
    found = np.array(parts, dtype=np.float64).reshape(-1, 4)
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return None
    low, high = found[:, :2].min(axis=0), found[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _lines(shapes: Shapes) -> Any:
    return shapely.get_type_id(shapes) == 1


def _closed(shapes: Shapes) -> Any:
    return _lines(shapes) & shapely.is_closed(shapes) & (shapely.get_num_coordinates(shapes) > 3)


def batches(layer: RawLayer, columns: Sequence[str], encoding: str, rows: int) -> Iterator[Batch]:
    """Yield the rows of one of the drawing's layers."""
    how, _, name = layer.inner.partition(":")
    whole = _entities(layer.path)
    for batch in vector.batches(whole, [*columns, LAYER], encoding, rows):
        own = np.array([value == name for value in batch.columns[LAYER].to_pylist()], dtype=bool)
        if batch.shapes is None or not own.any():
            continue
        shapes = batch.shapes[own]
        if how == "areas":
            for place in np.flatnonzero(_closed(shapes)):
                shapes[place] = shapely.polygons(shapely.get_coordinates(shapes[place]))
        found = {column: batch.columns[column].filter(own) for column in columns}
        yield Batch(found, flat(shapes), int(own.sum()))
