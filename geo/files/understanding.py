"""A layer understood from its first rows: columns, encoding, reference system, datum, proposal."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import shapely

from geo.files import guard
from geo.files.facts import (
    ColumnFacts,
    EncodingFact,
    FileFormat,
    Kind,
    LayerFacts,
    Placed,
    Understood,
    Wish,
)
from geo.files.proposing import propose
from geo.files.reference import crs_of, datum_of, reference, to_degrees
from geo.files.sources import Batch, Opened, RawLayer, batches, kind_of
from geo.findings import Finding
from geo.saying import phrase

ROWS_LOOKED_AT: Final = 20_000
MOST_EXAMPLES: Final = 3
LONGEST_EXAMPLE: Final = 60
_DEGREES: Final = re.compile("lon|lng|lat|经|纬", re.IGNORECASE)


def understand_opened(opened: Opened, wish: Wish, only: str | None = None) -> Understood:
    """Return what is known of a file and its layers.

    Parameters
    ----------
    opened : Opened
    wish : Wish
        What somebody already knows; `columns` is not looked at.
    only : str, optional
        The one layer to look at, which saves time where there are many; all where it is not there.
    """
    layers, findings = [], list(opened.findings)
    named = [raw for raw in opened.layers if raw.name == only]
    for raw in named or opened.layers:
        facts, remarks = facts_of(raw, wish)
        layers.append(facts)
        findings += remarks
    return Understood(opened.label, opened.format, tuple(layers), tuple(findings))


def facts_of(raw: RawLayer, wish: Wish) -> tuple[LayerFacts, list[Finding]]:
    """Return what is known of one layer, and what is worth saying about it."""
    encoding = _encoding(raw, wish)
    batch = next(batches(raw, raw.columns, encoding.used, ROWS_LOOKED_AT), None)
    shapes = batch.shapes if batch is not None else None
    kind = raw.kind or (kind_of(shapes) if shapes is not None else None) or "table"
    if raw.kind in ("areas", "lines", "points") and shapes is not None:
        kind = kind_of(shapes) or kind
    bounds = _bounds(raw, shapes)
    crs, swapped = reference(
        f"EPSG:{wish.crs}" if wish.crs else raw.crs,
        bounds,
        near=wish.near,
        degrees_named=_are_degrees(raw.places),
    )
    if wish.swap_axes is not None:
        swapped = wish.swap_axes
    placed = _placed(bounds, swapped)
    bbox = _bbox(crs_of(crs), placed)
    datum = datum_of(crs, bbox, raw.places, of_osm=raw.format is FileFormat.OSM_PBF)
    columns = tuple(_column(name, batch, raw.places) for name in raw.columns)
    features = max(raw.features, batch.rows if batch is not None else 0)
    facts = LayerFacts(
        name=raw.name,
        kind=kind,
        features=features,
        looked_at=batch.rows if batch is not None else 0,
        encoding=encoding,
        crs=crs,
        datum=datum,
        axes_swapped=swapped,
        bbox=bbox,
        columns=columns,
        proposal=propose(f"{raw.path.stem} {raw.name}", kind, columns),
        member=raw.member,
    )
    return facts, [*raw.findings, *_remarks(raw, facts, shapes)]


def _are_degrees(headings: Sequence[str]) -> bool:
    """Say whether coordinate columns are called longitude and latitude, or hold WKT."""
    return len(headings) == 1 or any(_DEGREES.search(heading) for heading in headings)


def _encoding(raw: RawLayer, wish: Wish) -> EncodingFact:
    if wish.encoding is None or raw.format not in (FileFormat.SHAPEFILE, FileFormat.CSV):
        return raw.encoding
    return EncodingFact(
        wish.encoding, raw.encoding.declared, True, "wished", phrase("Somebody said so.")
    )


def _bounds(raw: RawLayer, shapes: Any) -> Placed | None:
    if raw.bounds is not None:
        return raw.bounds
    if shapes is None:
        return None
    found = shapely.total_bounds(shapes)
    if not np.isfinite(found).all():
        return None
    return float(found[0]), float(found[1]), float(found[2]), float(found[3])


def _placed(bounds: Placed | None, swapped: bool) -> Placed | None:
    if bounds is None or not swapped:
        return bounds
    return bounds[1], bounds[0], bounds[3], bounds[2]


def _bbox(crs: Any, bounds: Placed | None) -> Placed | None:
    if crs is None or bounds is None:
        return None
    corners = np.array(list(itertools.product(bounds[::2], bounds[1::2])))
    places = to_degrees(crs, corners)
    if not np.isfinite(places).all():
        return None
    (west, south), (east, north) = places.min(axis=0), places.max(axis=0)
    return float(west), float(south), float(east), float(north)


def _column(name: str, batch: Batch | None, places: Sequence[str]) -> ColumnFacts:
    if batch is None:
        return ColumnFacts(name, "other", 0, 0, (), guard.by_heading(name))
    values = batch.columns[name]
    kind = _kind(values.type)
    filled = [value for value in values.to_pylist() if value not in (None, "")]
    about = guard.by_heading(name)
    if about is None and kind in ("text", "number") and name not in places:
        about = guard.by_column(values)
    distinct = list(dict.fromkeys(filled if kind != "other" else map(str, filled)))
    examples: Sequence[object] = ()
    if about is None and kind != "other":
        examples = guard.shown(distinct[: 4 * MOST_EXAMPLES])[:MOST_EXAMPLES]
    return ColumnFacts(
        name=name,
        kind=kind,
        filled=len(filled),
        distinct=len(distinct),
        examples=tuple(str(value)[:LONGEST_EXAMPLE] for value in examples),
        about_person=about,
    )


def _kind(of: pa.DataType) -> str:
    if pa.types.is_string(of) or pa.types.is_large_string(of):
        return "text"
    if pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of):
        return "number"
    if pa.types.is_temporal(of):
        return "date"
    return "truth" if pa.types.is_boolean(of) else "other"


def _remarks(raw: RawLayer, facts: LayerFacts, shapes: Any) -> list[Finding]:
    label = f"{raw.path.name}:{facts.name}"
    found = []
    if facts.encoding.reason == "declared_lies":
        found.append(Finding(label, "encoding", str(facts.encoding.declared), facts.encoding.why))
    if facts.axes_swapped:
        done = phrase("the first number of each pair is the latitude or northing; they were turned")
        found.append(Finding(label, "axes_swapped", facts.crs.name or "numbers", done))
    if facts.crs.reason in ("numbers_contradict", "unknown"):
        found.append(Finding(label, "reference_system", str(facts.crs.declared), facts.crs.why))
    if facts.crs.srid == 3857:
        done = phrase(
            "web mercator is no measure: its squares grow with the latitude; measured in metres"
        )
        found.append(Finding(label, "web_mercator", "EPSG:3857", done))
    for column in facts.columns:
        if column.about_person:
            done = phrase("is about persons: never stored")
            found.append(Finding(label, "about_person", column.name, done))
    if facts.features == 0:
        found.append(Finding(label, "empty", facts.name, phrase("the layer has no rows")))
    if shapes is not None and len(shapes):
        bare = int((shapely.is_missing(shapes) | shapely.is_empty(shapes)).sum())
        if bare:
            found.append(
                Finding(label, "no_shape", phrase("%(n)s rows", n=bare), phrase("have no shape"))
            )
    return found


def worth_asking(facts: LayerFacts, kind: Kind | None = None) -> list[str]:
    """Return what has to be asked before a layer can be read; empty where the file tells."""
    asked: list[str] = []
    if facts.kind == "table" or (facts.bbox is None and facts.crs.reason == "no_shapes"):
        return asked
    if not facts.crs.sure:
        asked.append("crs")
    if facts.crs.sure and not facts.datum.sure:
        asked.append("datum")
    return asked
