"""Files looked at for what a reader would follow or run: addresses, entities, views, triggers."""

from __future__ import annotations

import json
import mmap
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from geo.errors import FileRefusedError
from geo.files.facts import FileFormat
from geo.files.limits import MIB, Limits
from geo.saying import at, phrase

#: A member called "crs", however its letters are written.
_CRS_MEMBER: Final = re.compile(
    rb'"(?:c|\\u00[46]3)(?:r|\\u00[57]2)(?:s|\\u00[57]3)"\s*:\s*', re.IGNORECASE
)
_LONGEST_CRS: Final = 20_000
_COLLECTION: Final = re.compile(rb'"type"\s*:\s*"(?:FeatureCollection|Feature)"')
_PIPELINE: Final = re.compile(rb'"gdal_streamed_alg"|"gdalVersion"\s*:|"command_line"\s*:')
_CRS_NAME: Final = re.compile(
    r"(?:urn:(?:x-)?ogc:def:crs:(?:OGC|EPSG):[\w.]{0,10}:\w{1,10}|EPSG:{1,2}\d{4,6}|"
    r"https?://www\.opengis\.net/def/crs/(?:OGC|EPSG)/[\w.]{1,10}/\w{1,10})",
    re.IGNORECASE,
)
_DECLARES: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_RTREE: Final = re.compile(r"\s*CREATE\s+VIRTUAL\s+TABLE\s+\S+\s+USING\s+rtree\s*\(", re.IGNORECASE)
#: Triggers that keep a GeoPackage's index and counts; they are part of the format.
_TRIGGER: Final = re.compile(
    r"(?:rtree_.+_(?:insert|update\d?|delete)|trigger_(?:insert|delete)_feature_count_.+|"
    r"gpkg_.+|.+_(?:zoom(?:_level)?|tile_column|tile_row|matrix_\w+|reference_scope|column_name|"
    r"row_id_value|timestamp)_(?:insert|update))",
    re.IGNORECASE,
)
_VIEWS: Final = frozenset({"st_spatial_ref_sys", "st_geometry_columns"})


def geojson(path: Path, limits: Limits) -> None:
    """Refuse JSON that is no GeoJSON, and a `crs` member that is more than a known name."""
    with path.open("rb") as file, closing(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)) as m:
        if not _COLLECTION.search(m) or _PIPELINE.search(m[:4096]):
            said = phrase(
                "%(file)s: it is JSON, but not a GeoJSON FeatureCollection", file=path.name
            )
            raise FileRefusedError("unknown_format", [said])
        for found in _CRS_MEMBER.finditer(m):
            fault = _crs_fault(m[found.end() : found.end() + _LONGEST_CRS])
            if fault:
                raise FileRefusedError("hostile", [at(path.name, fault)])


def _crs_fault(member: bytes) -> str | None:
    """Say what is wrong with a `crs` member; a text called "crs" among properties is fine."""
    advice = phrase("write a name such as urn:ogc:def:crs:EPSG::4547, or leave it out")
    try:
        value, _ = json.JSONDecoder().raw_decode(member.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return phrase("its 'crs' member cannot be read; %(advice)s", advice=advice)
    if not isinstance(value, dict):
        return None
    properties = value.get("properties")
    name = properties.get("name") if isinstance(properties, dict) else None
    if value.get("type") != "name" or not isinstance(name, str):
        return phrase(
            "its 'crs' member points somewhere instead of naming a system; %(advice)s",
            advice=advice,
        )
    if not _CRS_NAME.fullmatch(name):
        return phrase(
            "its 'crs' member is not a known name (%(what)s); %(advice)s",
            what=repr(name[:60]),
            advice=advice,
        )
    return None


def kml(path: Path, limits: Limits) -> None:
    """Refuse XML that declares what a reader would expand or fetch."""
    with path.open("rb") as file, closing(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)) as m:
        if m[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in m[:64]:
            raise FileRefusedError(
                "unknown_format", [phrase("%(file)s: save the KML as UTF-8", file=path.name)]
            )
        if _DECLARES.search(m):
            said = phrase("%(file)s: it declares entities, which no KML needs", file=path.name)
            raise FileRefusedError("hostile", [said])


def geopackage(path: Path, limits: Limits) -> None:
    """Refuse what is a program inside a database: views, triggers and virtual tables."""
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            parts = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        said = phrase(
            "%(file)s: it is damaged or cut off (%(what)s); hand it over again",
            file=path.name,
            what=error,
        )
        raise FileRefusedError("damaged", [said]) from error
    names = {str(name).casefold() for kind, name, _ in parts if kind == "table"}
    if "gpkg_contents" not in names:
        said = phrase("%(file)s: it is an SQLite database, but not a GeoPackage", file=path.name)
        raise FileRefusedError("unknown_format", [said])
    wrong = [
        phrase(
            "%(file)s: it has %(what)s '%(name)s', which a reader would run; save "
            "the layer as a table",
            file=path.name,
            what=what,
            name=name,
        )
        for kind, name, sql in parts
        if (what := _program(str(kind), str(name), sql)) is not None
    ]
    if wrong:
        raise FileRefusedError("hostile", wrong)


def _program(kind: str, name: str, sql: str | None) -> str | None:
    if kind == "view" and name.casefold() not in _VIEWS:
        return phrase("a view")
    if kind == "trigger" and not _TRIGGER.fullmatch(name):
        return phrase("a trigger")
    text = str(sql or "")
    if kind == "table" and "virtual" in text[:40].casefold() and not _RTREE.match(text):
        return phrase("a virtual table")
    return None


#: No block of an extract is larger, unpacked or packed; the format says so.
_MOST_BLOCK_BYTES: Final = 32 * MIB
_MOST_HEADER_BYTES: Final = 64 * 1024


def osm_pbf(path: Path, limits: Limits) -> None:
    """Refuse an extract whose blocks do not add up, or that grows too large when unpacked."""
    size, unpacked, blocks = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while file.tell() < size:
            length = int.from_bytes(file.read(4), "big")
            header = file.read(length) if length <= _MOST_HEADER_BYTES else b""
            packed = dict(_numbers(header)).get(3, _MOST_BLOCK_BYTES + 1)
            start = file.tell()
            if not header or packed > _MOST_BLOCK_BYTES or start + packed > size:
                said = phrase(
                    "%(file)s: block %(n)s is cut off or damaged; hand it over again",
                    file=path.name,
                    n=blocks + 1,
                )
                raise FileRefusedError("damaged", [said])
            unpacked += max(packed, dict(_numbers(file.read(min(packed, 32)))).get(2, 0))
            if unpacked > limits.unpacked_mib * MIB:
                said = phrase(
                    "%(file)s: unpacked it has more than %(most)s MiB",
                    file=path.name,
                    most=f"{limits.unpacked_mib:,}",
                )
                raise FileRefusedError("too_large", [said])
            file.seek(start + packed)
            blocks += 1


def _numbers(message: bytes) -> Iterator[tuple[int, int]]:
    """Yield the whole numbers of a protocol buffer message: number of the field and value."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == 0:
            yield key >> 3, value
        elif key & 7 == 2:
            at += value
        else:
            return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return value, at


CHECKS: Final[dict[FileFormat, Callable[[Path, Limits], None]]] = {
    FileFormat.GEOJSON: geojson,
    FileFormat.KML: kml,
    FileFormat.GEOPACKAGE: geopackage,
}
