"""Tables, CSV and XLSX: places are in columns of longitude and latitude, or in a column of WKT."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import shapely
from openpyxl import load_workbook

from geo import sheets
from geo.errors import FileRefusedError, InvalidInputError
from geo.files.encoding import of_text
from geo.files.facts import EncodingFact, FileFormat
from geo.files.limits import MIB, Limits
from geo.files.sources import Batch, RawLayer, Shapes, flat
from geo.saying import at, phrase

MOST_COLUMNS: Final = 500
LONGEST_TEXT: Final = 100_000
MOST_COLLECTIONS: Final = 20
"""Of collections in one shape; a reader of shapes that hold each other without end breaks down."""
HEAD_LINES: Final = 20
DELIMITERS: Final = ",;\t|"
#: Headings of coordinate columns, without blanks, marks and units.
LON: Final = (
    "lon",
    "lng",
    "long",
    "longitude",
    "经度",
    "东经",
    "lonwgs84",
    "lngwgs84",
    "wgs84lon",
    "wgs84lng",
    "gcjlon",
    "gcjlng",
    "gcj02lng",
    "gcj02lon",
    "bdlng",
    "bdlon",
    "bd09lng",
    "bd09lon",
    "百度经度",
    "高德经度",
    "火星经度",
    "gps经度",
    "x",
    "xcoord",
    "xcoordinate",
    "pointx",
    "x坐标",
    "横坐标",
    "easting",
    "东坐标",
)
LAT: Final = (
    "lat",
    "latitude",
    "纬度",
    "北纬",
    "latwgs84",
    "wgs84lat",
    "gcjlat",
    "gcj02lat",
    "bdlat",
    "bd09lat",
    "百度纬度",
    "高德纬度",
    "火星纬度",
    "gps纬度",
    "y",
    "ycoord",
    "ycoordinate",
    "pointy",
    "y坐标",
    "纵坐标",
    "northing",
    "北坐标",
)
WKT: Final = ("wkt", "geom", "geometry", "thegeom", "wktgeom", "shape", "几何", "图形")
BOTH: Final = ("坐标", "经纬度", "location", "coordinates", "lonlat", "lnglat")
#: What stands beside "longitude" in headings to say the datum; `reference.DATUM_WORDS` reads it.
_OF_A_DATUM: Final = re.compile(
    r"wgs\s?84|wgs|gcj-?02|gcj|bd-?09|(?<![a-z])bd|cgcs\s?2000|baidu|amap|gaode|tencent|gps"
    r"|百度|高德|腾讯|火星|国家2000"
)
_PAIR: Final = re.compile(
    r"\s*[(\[]?\s*(-?\d+(?:\.\d+)?)\s*[,， ;；]\s*(-?\d+(?:\.\d+)?)\s*[)\]]?\s*"
)
_WKT: Final = re.compile(
    r"\s*(?:SRID=\d+;)?\s*((?:MULTI)?(?:POINT|LINESTRING|POLYGON)|GEOMETRYCOLLECTION)\b",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
#: A decimal comma; with three digits behind it, it could part thousands.
_COMMA: Final = re.compile(r"-?\d{1,3},(?:\d{1,2}|\d{4,})")
#: "121°28′30″E": some offices write degrees, minutes and seconds.
_SEXAGESIMAL: Final = re.compile(
    r"\s*(-?\d{1,3})\s*[°度]\s*(\d{1,2})\s*[′'分]\s*(\d{1,2}(?:\.\d+)?)\s*(?:[″\"秒])?\s*([NSEW东西南北]?)\s*",
    re.IGNORECASE,
)

Rows = Iterator[Sequence[Any]]


def layers(path: Path, known: FileFormat, limits: Limits) -> list[RawLayer]:
    """Return the layers of a table: one of a CSV, one for each sheet of a workbook with rows.

    Raises
    ------
    FileRefusedError
    """
    if known is FileFormat.CSV:
        encoding = of_text(path)
        rows = _csv_rows(path, encoding.used)
        read = [_layer(path, known, path.stem, "", rows, encoding, limits)]
    else:
        _demand_harmless(path, limits)
        with _workbook(path) as book:
            read = [
                _layer(path, known, sheet.title, sheet.title, _sheet_rows(sheet), None, limits)
                for sheet in book.worksheets
            ]
    found = [layer for layer in read if layer is not None]
    if not found:
        said = phrase(
            "%(file)s: no table is in it; the first row has to hold the headings", file=path.name
        )
        raise FileRefusedError("empty", [said])
    return found


def _layer(
    path: Path,
    known: FileFormat,
    name: str,
    inner: str,
    rows: Rows,
    encoding: EncodingFact | None,
    limits: Limits,
) -> RawLayer | None:
    """Return a table as a layer; None for one without headings."""
    skipped, headings = _headings(rows)
    if not headings:
        return None
    if len(headings) > MOST_COLUMNS:
        said = phrase(
            "%(file)s: it has %(n)s columns, more than %(most)s",
            file=path.name,
            n=f"{len(headings):,}",
            most=MOST_COLUMNS,
        )
        raise FileRefusedError("too_large", [said])
    first = list(itertools.islice(rows, HEAD_LINES))
    count = len(first)
    for _ in rows:
        count += 1
        if count > limits.features:
            said = phrase(
                "%(file)s: it has more than %(most)s rows",
                file=path.name,
                most=f"{limits.features:,}",
            )
            raise FileRefusedError("too_large", [said])
    places = coordinate_columns(headings, first)
    return RawLayer(
        name=name,
        format=known,
        path=path,
        inner=f"{skipped}:{inner}",
        kind=None if places else "table",
        features=count,
        crs=None,
        columns=headings,
        encoding=encoding or EncodingFact("UTF-8"),
        places=places,
    )


def _headings(rows: Rows) -> tuple[int, tuple[str, ...]]:
    """Return how many rows stand above the headings (a title), and the headings, each once."""
    for number, row in enumerate(itertools.islice(rows, HEAD_LINES)):
        texts = [str(value).strip() if value is not None else "" for value in row]
        while texts and not texts[-1]:
            texts.pop()
        if len(texts) > 1 and sum(bool(text) for text in texts) > len(texts) / 2:
            return number, _each_once(texts)
    return 0, ()


def _each_once(texts: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for number, text in enumerate(texts, 1):
        name = text or f"column {number}"
        again = sum(other == name or other.startswith(f"{name} (") for other in found)
        found.append(f"{name} ({again + 1})" if again else name)
    return tuple(found)


def coordinate_columns(
    headings: Sequence[str], rows: Sequence[Sequence[Any]] = ()
) -> tuple[str, ...]:
    """Return the columns that hold places: (longitude, latitude), or one of WKT or of pairs.

    Examples
    --------
    >>> coordinate_columns(["名称", "经度(°)", "纬度(°)"])
    ('经度(°)', '纬度(°)')
    >>> coordinate_columns(["名称", "经度_wgs84", "高德纬度"])
    ('经度_wgs84', '高德纬度')
    >>> coordinate_columns(["name", "households"])
    ()
    """
    plain = {_plain(heading): heading for heading in reversed(headings)}
    plain |= {
        short: heading
        for name, heading in plain.items()
        if (short := _OF_A_DATUM.sub("", name)) and short not in plain
    }
    lons, lats = ([plain[word] for word in words if word in plain] for words in (LON, LAT))
    if lons and lats:
        return lons[0], lats[0]
    for heading in (plain[word] for word in (*WKT, *BOTH) if word in plain):
        at = headings.index(heading)
        values = [str(row[at]) for row in rows if at < len(row) and row[at]]
        places = sum(bool(_WKT.match(text) or _PAIR.fullmatch(text)) for text in values)
        if values and 2 * places >= len(values):
            return (heading,)
    return ()


def _plain(heading: str) -> str:
    without_units = re.sub(r"[(（\[][^)）\]]*[)）\]]", "", heading)
    return re.sub(r"[\s_\-.:：]+", "", without_units).casefold()


def shapes_of(values: Sequence[Sequence[Any]]) -> Shapes:
    """Return shapes from columns of longitude and latitude, or from one of WKT or pairs."""
    if len(values) == 2:
        places = np.array(
            [(number(x), number(y)) for x, y in zip(*values, strict=True)], dtype=np.float64
        ).reshape(-1, 2)
        shapes = np.asarray(shapely.points(places), dtype=object)
        shapes[~np.isfinite(places).all(axis=1)] = None
        return shapes
    return flat(np.array([_shape(text) for text in values[0]], dtype=object))


def _shape(value: Any) -> Any:
    text = str(value).strip() if value is not None else ""
    pair = _PAIR.fullmatch(text)
    if pair:
        return shapely.Point(float(pair.group(1)), float(pair.group(2)))
    if not _WKT.match(text) or text.upper().count("COLLECTION") > MOST_COLLECTIONS:
        return None
    return shapely.from_wkt(re.sub(r"^\s*SRID=\d+;", "", text), on_invalid="ignore")


def number(value: Any) -> float:
    """Return a cell's number, also of degrees, minutes and seconds; not a number where it is none.

    Examples
    --------
    >>> number("121.5"), round(number(" 31°14′24″N "), 9), number("—"), number(None)
    (121.5, 31.24, nan, nan)
    >>> number("120,4731"), number("500,218")
    (120.4731, nan)
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = str(value or "").strip().rstrip("°").replace("，", ".")
    if _NUMBER.fullmatch(text):
        return float(text)
    if _COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    parts = _SEXAGESIMAL.fullmatch(text)
    if parts is None:
        return math.nan
    degrees, minutes, seconds, side = parts.groups()
    size = abs(float(degrees)) + float(minutes) / 60 + float(seconds) / 3600
    return -size if degrees.startswith("-") or side.upper() in ("S", "W", "南", "西") else size


def batches(layer: RawLayer, columns: Sequence[str], encoding: str, rows: int) -> Iterator[Batch]:
    """Yield rows with these columns alone."""
    skipped, _, inner = layer.inner.partition(":")
    with _rows_of(layer, encoding, inner) as all_rows:
        body = itertools.islice(all_rows, int(skipped) + 1, None)
        places = {heading: place for place, heading in enumerate(layer.columns)}
        wanted = dict.fromkeys([*columns, *layer.places])
        while part := list(itertools.islice(body, rows)):
            read = {name: [_cell(row, places[name]) for row in part] for name in wanted}
            found = {name: _column([_cut(value) for value in read[name]]) for name in columns}
            shapes = shapes_of([read[name] for name in layer.places]) if layer.places else None
            yield Batch(found, shapes, len(part))


def _cell(row: Sequence[Any], place: int) -> Any:
    value = row[place] if place < len(row) else None
    if isinstance(value, str):
        text = value.strip()
        if text[:1] == "'" and text[1:].startswith(sheets.FORMULA_STARTS):
            text = text[1:]
        return text or None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else value


def _cut(value: Any) -> Any:
    """Return a value as a column holds it; shapes are longer than any text."""
    return value[:LONGEST_TEXT] if isinstance(value, str) else value


def _column(values: list[Any]) -> pa.Array:
    """Return a column as texts: a code keeps its zeros, and every batch has the same type."""
    return pa.array([None if value is None else str(value) for value in values], pa.string())


@contextmanager
def _rows_of(layer: RawLayer, encoding: str, inner: str) -> Iterator[Rows]:
    if layer.format is FileFormat.CSV:
        yield _csv_rows(layer.path, encoding)
        return
    with _workbook(layer.path) as book:
        yield _sheet_rows(book[inner])


def _csv_rows(path: Path, encoding: str) -> Rows:
    """Yield the rows of a CSV; its delimiter is the one that splits its first lines alike."""
    csv.field_size_limit(LONGEST_TEXT * 100)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        head = "".join(itertools.islice(file, HEAD_LINES))
        file.seek(0)
        try:
            for row in csv.reader(file, delimiter=_delimiter(head)):
                if any(row):
                    yield row
        except csv.Error as error:
            said = phrase(
                "%(file)s: it is no table of columns: %(error)s; save it as CSV again",
                file=path.name,
                error=error,
            )
            raise FileRefusedError("damaged", [said]) from error


def _delimiter(head: str) -> str:
    def columns(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row]
        most = max(widths, default=1)
        return sum(width == most for width in widths if most > 1), most

    return max(DELIMITERS, key=columns)


def _demand_harmless(path: Path, limits: Limits) -> None:
    try:
        with path.open("rb") as file:
            sheets.demand_harmless(file, most_bytes=limits.unpacked_mib * MIB)
    except InvalidInputError as error:
        reason = str(error.data.get("reason", "damaged"))
        said = at(path.name, error.message)
        raise FileRefusedError("hostile" if reason == "has_macros" else reason, [said]) from error


@contextmanager
def _workbook(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        try:
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        except Exception as error:  # the library raises whatever its parsers do
            said = phrase(
                "%(file)s: it is no readable workbook; save it as .xlsx again", file=path.name
            )
            raise FileRefusedError("damaged", [said]) from error
        try:
            yield book
        finally:
            book.close()


def _sheet_rows(sheet: Any) -> Rows:
    sheet.reset_dimensions()
    for row in sheet.iter_rows(max_col=MOST_COLUMNS + 1, values_only=True):
        if any(value not in (None, "") for value in row):
            yield row
