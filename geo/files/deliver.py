"""A layer's rows delivered: mapped columns alone, shapes in degrees on WGS 84, persons kept out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS, Transformer

from geo.crs import WGS84_SRID
from geo.errors import DeliveryError, FileRefusedError
from geo.files import guard
from geo.files.facts import Datum, FileFormat, Kind, LayerFacts, Wish
from geo.files.limits import Limits
from geo.files.reference import crs_of
from geo.files.sources import Batch, Opened, RawLayer, Shapes, batches
from geo.files.understanding import facts_of, worth_asking
from geo.findings import Finding, the_row
from geo.saying import at, both, phrase

SHAPE: Final = "geometry"
ROW: Final = "row"
EXAMPLES: Final = 5
TABLES: Final = (FileFormat.CSV, FileFormat.XLSX, FileFormat.GEOPARQUET)
TYPES: Final[dict[Kind, tuple[int, ...]]] = {
    "areas": (3, 6),
    "lines": (1, 5),
    "points": (0,),
}


def deliver(
    opened: Opened, name: str | None, wish: Wish, target: Path, limits: Limits
) -> dict[str, Any]:
    """Write a layer's rows as an Arrow stream and return what is to be said about them.

    Parameters
    ----------
    opened : Opened
    name : str, optional
        Layer; None: the only one.
    wish : Wish
    target : Path
        Columns `row` (1 is the first row of the file), `geometry` (WKB, degrees on WGS 84) and the
        program's names.
    limits : Limits

    Raises
    ------
    DeliveryError
        If the wish cannot be fulfilled: all reasons in one list.
    """
    raw = _placed_as_wished(opened.layer(name), wish)
    facts, findings = facts_of(raw, wish)
    label = f"{opened.label}:{raw.name}" if len(opened.layers) > 1 else opened.label
    _demand(label, raw, facts, wish)
    writer = _Writer(label, raw, facts, wish, limits)
    with pa.OSFile(str(target), "wb") as sink:
        writer.write(sink)
    mapped = set(wish.columns.values())  # what is taken all the same, such as a worker's name
    said = [
        finding
        for finding in findings
        if finding.kind != "no_shape"
        and not (finding.kind == "about_person" and finding.subject in mapped)
    ]
    return {
        "label": label,
        "layer": asdict(facts),
        "rows": writer.rows,
        "findings": [asdict(finding) for finding in (*said, *writer.findings())],
    }


def deliver_raw(
    opened: Opened,
    name: str | None,
    columns: Mapping[str, str],
    encoding: str | None,
    target: Path,
    limits: Limits,
) -> dict[str, Any]:
    """Write a layer's rows as they are, in the numbers of the file, and return what it says.

    Nothing is worked out: whoever asks knows what the file has to say, as a recipe does.

    Parameters
    ----------
    opened : Opened
    name : str, optional
        Layer; None: the only one.
    columns : mapping of str to str
        The program's name -> column of the file; where one is missing, no rows are written.
    encoding : str, optional
        In place of what was found out.
    target : Path
        Columns `row`, `geometry` (WKB) and the program's names.
    limits : Limits

    Raises
    ------
    FileRefusedError
        If there are several layers and none is named, or too many rows.
    """
    names = [layer.name for layer in opened.layers]
    if name is not None and name not in names:
        return {"layers": names, "rows": None}
    raw = opened.layer(name)
    told = {
        "layers": names,
        "columns": list(raw.columns),
        "crs": raw.crs,
        "findings": [asdict(finding) for finding in raw.findings],
    }
    if not set(columns.values()) <= set(raw.columns):
        return {**told, "rows": None}
    rows = 0
    stream: Any = None
    schema: Any = None
    with pa.OSFile(str(target), "wb") as sink:
        wanted = sorted(set(columns.values()))
        for batch in batches(raw, wanted, encoding or raw.encoding.used):
            numbers = np.arange(rows + 1, rows + batch.rows + 1, dtype=np.int64)
            found = {ROW: pa.array(numbers)}
            found |= {ours: _plain(batch.columns[column]) for ours, column in columns.items()}
            shapes = batch.shapes
            empty = pa.nulls(batch.rows, pa.binary())
            found[SHAPE] = (
                empty if shapes is None else pa.array(shapely.to_wkb(shapes), pa.binary())
            )
            table = pa.table(found)
            if stream is None:
                schema = table.schema
                stream = pa.ipc.new_stream(sink, schema)
            stream.write_table(table.cast(schema))
            rows += batch.rows
            if rows > limits.features:
                said = phrase(
                    "%(file)s: it has more than %(most)s rows",
                    file=opened.label,
                    most=f"{limits.features:,}",
                )
                raise FileRefusedError("too_large", [said])
        if stream is not None:
            stream.close()
    return {**told, "rows": rows}


def _placed_as_wished(raw: RawLayer, wish: Wish) -> RawLayer:
    """Return a table whose places are in the columns that somebody named."""
    named = tuple(wish.columns[name] for name in ("lon", "lat") if name in wish.columns)
    if len(named) != 2 or raw.format not in TABLES or not set(named) <= set(raw.columns):
        return raw
    return replace(raw, places=named, kind=None)


def _demand(label: str, raw: RawLayer, facts: LayerFacts, wish: Wish) -> None:
    """Refuse a wish that cannot be fulfilled."""
    wrong = [
        phrase(
            "%(file)s: no column '%(column)s'; it has %(names)s",
            file=label,
            column=column,
            names=", ".join(raw.columns) or "-",
        )
        for column in dict.fromkeys(wish.columns.values())
        if column not in raw.columns
    ]
    about = {column.name: column.about_person for column in facts.columns}
    for program, column in wish.columns.items():
        if (what := about.get(column)) and (why := guard.refusal(program, column, what)):
            wrong.append(at(label, why))
    asked = worth_asking(facts)
    if "crs" in asked:
        wrong.append(at(label, both(facts.crs.why, _choices(facts))))
    if "datum" in asked and wish.datum is None:
        wrong.append(at(label, both(facts.datum.why, phrase("Say which: wgs84, gcj02 or bd09."))))
    if facts.features == 0:
        wrong.append(phrase("%(file)s: the layer is empty; hand over one with rows", file=label))
    if wrong:
        raise DeliveryError(wrong)


def _choices(facts: LayerFacts) -> str:
    listed = ", ".join(str(srid) for srid in facts.crs.choices)
    if not listed:
        return phrase("Ask who made the file, then say its EPSG number.")
    return phrase(
        "Ask who made the file, then say its EPSG number (likely: %(listed)s).", listed=listed
    )


class _Writer:
    """Writes batches one by one and remembers what is to be said."""

    def __init__(
        self, label: str, raw: RawLayer, facts: LayerFacts, wish: Wish, limits: Limits
    ) -> None:
        self.label, self.raw, self.facts, self.wish, self.limits = label, raw, facts, wish, limits
        self.rows = 0
        self.bare: list[int] = []
        self.odd: list[tuple[int, str]] = []
        self.lost: list[int] = []
        self._place = _placing(facts, wish)

    def write(self, sink: Any) -> None:
        """Write all rows."""
        columns = list(dict.fromkeys(self.wish.columns.values()))
        stream: Any = None
        schema: Any = None
        try:
            for batch in batches(self.raw, columns, self.facts.encoding.used):
                table = self._table(batch)
                if stream is None:
                    schema = table.schema
                    stream = pa.ipc.new_stream(sink, schema)
                for part in table.cast(schema).to_batches():
                    stream.write_batch(part)
                if self.rows > self.limits.features:
                    said = phrase(
                        "%(file)s: it has more than %(most)s rows",
                        file=self.label,
                        most=f"{self.limits.features:,}",
                    )
                    raise FileRefusedError("too_large", [said])
        finally:
            if stream is not None:
                stream.close()
        self._refuse_odd()

    def _table(self, batch: Batch) -> pa.Table:
        numbers = np.arange(self.rows + 1, self.rows + batch.rows + 1, dtype=np.int64)
        self.rows += batch.rows
        found = {ROW: pa.array(numbers)}
        for program, column in self.wish.columns.items():
            values = batch.columns[column]
            about = guard.by_column(values) if _is_worth_a_look(values.type) else None
            if about and (why := guard.refusal(program, column, about)):
                raise DeliveryError([at(self.label, why)])
            found[program] = _plain(values)
        if batch.shapes is not None:
            found[SHAPE] = pa.array(self._shapes(batch.shapes, numbers), pa.binary())
        return pa.table(found)

    def _shapes(self, shapes: Shapes, numbers: Any) -> Any:
        """Return shapes as WKB in degrees; those that are none are noted and left out."""
        bare = shapely.is_missing(shapes) | shapely.is_empty(shapes)
        self.bare += numbers[bare].tolist()
        if self.wish.kind in TYPES:
            fits = np.isin(shapely.get_type_id(shapes), TYPES[self.wish.kind])
            for place in np.flatnonzero(~bare & ~fits)[:EXAMPLES]:
                self.odd.append((int(numbers[place]), shapes[place].geom_type))
        placed = self._place(shapes)
        lost = ~bare & ~np.isfinite(shapely.bounds(placed)).all(axis=1)
        self.lost += numbers[lost].tolist()
        placed[bare | lost] = None
        return shapely.to_wkb(placed)

    def _refuse_odd(self) -> None:
        if self.odd:
            listed = ", ".join(f"{row} ({kind})" for row, kind in self.odd[:EXAMPLES])
            raise DeliveryError([at(self.label, _unfit(str(self.wish.kind), listed))])
        if self.raw.kind != "table" and self.facts.kind != "table" and self.rows == len(self.bare):
            raise DeliveryError(
                [phrase("%(file)s: no row has a shape; hand over one with shapes", file=self.label)]
            )

    def findings(self) -> Iterator[Finding]:
        """Yield what was left out."""
        for row in self.bare:
            yield Finding(self.label, "no_shape", the_row(row), phrase("has no shape"))
        for row in self.lost:
            yield Finding(
                self.label,
                "elsewhere",
                the_row(row),
                phrase("lies nowhere in this system"),
            )


def _unfit(wanted: str, rows: str) -> str:
    return {
        "areas": phrase("areas are wanted, not rows %(rows)s; take another layer", rows=rows),
        "lines": phrase("lines are wanted, not rows %(rows)s; take another layer", rows=rows),
        "points": phrase("points are wanted, not rows %(rows)s; take another layer", rows=rows),
    }[wanted]


def _is_worth_a_look(of: pa.DataType) -> bool:
    return not pa.types.is_boolean(of) and not pa.types.is_temporal(of)


def _plain(values: Any) -> Any:
    """Return values of a type that every batch has; texts are texts, lists and such are text."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind = values.type
    if pa.types.is_dictionary(kind):
        return values.cast(kind.value_type)
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        return pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())
    return values


def _placing(facts: LayerFacts, wish: Wish) -> Any:
    """Return what turns shapes in the file's numbers into degrees on WGS 84."""
    own = crs_of(facts.crs)
    datum: Datum = wish.datum or facts.datum.used
    if wish.as_delivered:
        own, datum = None, "wgs84"
    shift = None
    if datum in ("gcj02", "bd09"):
        from geo.datums import to_wgs84  # loads frames, which few files need

        shift = to_wgs84
    turn = None
    if own is not None and not own.equals(CRS.from_epsg(WGS84_SRID), ignore_axis_order=True):
        turn = Transformer.from_crs(own, WGS84_SRID, always_xy=True)

    def place(shapes: Shapes) -> Shapes:
        def moved(places: Any) -> Any:
            found = places[:, ::-1] if facts.axes_swapped else places
            if turn is not None:
                found = np.column_stack(turn.transform(found[:, 0], found[:, 1]))
            return found if shift is None else shift(found, datum)

        return np.asarray(shapely.transform(shapes, moved), dtype=object)

    return place
