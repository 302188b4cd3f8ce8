"""Answers in their formats: JSON, GeoJSON, CSV, and bytes that browsers keep."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel

from api.schemas import AsOf, Feature, FeatureCollection, Listing

Item = TypeVar("Item", bound=BaseModel)
Format = Literal["json", "csv", "geojson"]
MapFormat = Literal["json", "geojson"]

GEOJSON = "application/geo+json"
CSV = "text/csv; charset=utf-8"
MVT = "application/vnd.mapbox-vector-tile"
IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = "public, max-age=60, stale-while-revalidate=86400"
ASK_AGAIN = "no-cache"
PRIVATE = "private, no-cache"
ZIP_LEVEL = 6
SMALLEST_ZIPPED_BYTES = 500
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
BYTE_ORDER_MARK = "\ufeff"
LANGUAGES = ("zh", "en")
BOTH = ("limits",)
"""Columns that hold a text in both languages."""

LISTED: dict[int | str, dict[str, Any]] = {200: {"content": {GEOJSON: {}, "text/csv": {}}}}
MAPPED: dict[int | str, dict[str, Any]] = {200: {"content": {GEOJSON: {}}}}
"""For ``responses=``: formats beside JSON."""


def json_answer(model: BaseModel, media_type: str = "application/json") -> Response:
    """Return a validated answer as JSON."""
    return Response(model.model_dump_json(), media_type=media_type)


def listing(
    request: Request,
    form: type[Item],
    rows: Sequence[Mapping[str, Any]],
    next_cursor: str | None,
    as_of: AsOf,
    *,
    key: str,
    f: Format = "json",
) -> Response:
    """Return a page of a list in the format asked for.

    Parameters
    ----------
    request : Request
        Its address with the next cursor becomes the `Link` of the answer.
    form : type of BaseModel
        What a row is validated by.
    rows : sequence of mapping
        `geometry`, or else lon and lat, become the GeoJSON geometry.
    next_cursor : str or None
        Behind the last row, when there are more.
    as_of : AsOf
    key : str
        Column of the id; in the plural it names a downloaded file.
    f : {"json", "csv", "geojson"}
    """
    items = [form.model_validate(row) for row in rows]
    if f == "csv":
        name = f"{request.path_params['city']}-{key}-{as_of.day}-net{as_of.net.seq}"
        response = csv_file(table(items, list(form.model_fields), as_of), name)
    elif f == "geojson":
        features = [
            Feature[Any](
                id=row[key],
                bbox=row.get("bbox"),
                geometry=row.get("geometry") or _point(row),
                properties=item,
            )
            for row, item in zip(rows, items, strict=True)
        ]
        collection = FeatureCollection[Any](features=features, next=next_cursor, as_of=as_of)
        response = json_answer(collection, GEOJSON)
    else:
        response = json_answer(Listing[Any](items=items, next=next_cursor, as_of=as_of))
    if next_cursor is not None:
        address = request.url.include_query_params(after=next_cursor)
        response.headers["Link"] = f'<{address.path}?{address.query}>; rel="next"'
    return response


def _point(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [round(row["lon"], 7), round(row["lat"], 7)]}


def table(items: Iterable[BaseModel], columns: Sequence[str], as_of: AsOf) -> str:
    """Return rows as CSV with the dates of the answer behind each, for spreadsheets.

    A text that a spreadsheet would take for a formula begins with an apostrophe; a text in both
    languages has a column for each.
    """
    wide = [(name, lang) for name in columns for lang in (LANGUAGES if name in BOTH else ("",))]
    dumped = (item.model_dump(mode="json") for item in items)
    rows = (
        [(values[name] or {}).get(lang) if lang else values[name] for name, lang in wide]
        for values in dumped
    )
    return sheet(["_".join(filter(None, one)) for one in wide], rows, as_of)


def sheet(columns: Sequence[str], rows: Iterable[Sequence[Any]], as_of: AsOf) -> str:
    """Return plain rows as CSV with the dates of the answer behind each; see `table`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*columns, "as_of", "net", "vintage"])
    dates = [as_of.day.isoformat(), as_of.net.seq, as_of.vintage]
    for row in rows:
        writer.writerow([cell(value) for value in (*row, *dates)])
    return BYTE_ORDER_MARK + out.getvalue()


def plain_sheet(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV in somebody else's columns, without ours behind them; see `table`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(value) for value in row] for row in rows)
    return BYTE_ORDER_MARK + out.getvalue()


def csv_file(content: str, name: str) -> Response:
    """Return CSV as a file to keep."""
    disposition = f'attachment; filename="{name}.csv"'
    return Response(content, media_type=CSV, headers={"Content-Disposition": disposition})


def cell(value: Any) -> Any:
    """Return a value as it stands in a table; a path as its names.

    Examples
    --------
    >>> cell("=1+1"), cell(-1.5), cell([1.0, 2.0]), cell(None)
    ("'=1+1", -1.5, '1.0 2.0', '')
    """
    if value is None:
        return ""
    if isinstance(value, list):
        steps = [step["name"] if isinstance(step, dict) else step for step in value]
        joined = " / " if any(isinstance(step, str) for step in steps) else " "
        return cell(joined.join(str(step) for step in steps))
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def kept(
    request: Request,
    content: bytes,
    *,
    media_type: str,
    cache: str,
    tag: str | None = None,
    zipped: bool = False,
) -> Response:
    """Return bytes with a strong ETag, or 304 when the browser has them already.

    Each encoding has a tag of its own, since a strong tag stands for the very bytes.

    Parameters
    ----------
    request : Request
    content : bytes
    media_type : str
    cache : str
        Value of Cache-Control.
    tag : str, optional
        What the bytes depend on; default: their hash.
    zipped : bool
        `content` is compressed already.
    """
    tag = tag or hashlib.sha256(content).hexdigest()[:24]
    plain, packed = f'"{tag}"', f'"{tag}-gzip"'
    takes_zip = "gzip" in request.headers.get("accept-encoding", "")
    small = not zipped and len(content) < SMALLEST_ZIPPED_BYTES
    own = packed if takes_zip and not small else plain
    headers = {"ETag": own, "Cache-Control": cache, "Vary": "Accept-Encoding"}
    known = {one.strip() for one in request.headers.get("if-none-match", "").split(",")}
    if known & {own, f"W/{own}", "*"}:
        return Response(status_code=304, headers=headers)
    if own == packed:
        headers["Content-Encoding"] = "gzip"
        if not zipped:
            content = gzip.compress(content, ZIP_LEVEL, mtime=0)
    elif zipped:
        content = gzip.decompress(content)
    return Response(content, media_type=media_type, headers=headers)
