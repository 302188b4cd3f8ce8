"""What a file is, told by its first bytes and never by its name; what is not read is named."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Final

from geo.errors import FileRefusedError
from geo.files.facts import FileFormat
from geo.saying import phrase

HEAD_BYTES: Final = 4096
BLANK: Final = b" \t\r\n"
UTF8_MARK: Final = b"\xef\xbb\xbf"
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")

READ: Final = (
    "Shapefile (.shp or zipped), GeoPackage, GeoJSON, GeoParquet, FlatGeobuf, KML/KMZ, DXF, "
    "OSM .pbf, CSV, XLSX"
)

#: First bytes -> what the file is.
SIGNATURES: Final[dict[bytes, FileFormat]] = {
    b"SQLite format 3\0": FileFormat.GEOPACKAGE,
    b"\x00\x00\x27\x0a": FileFormat.SHAPEFILE,
    b"fgb\x03": FileFormat.FLATGEOBUF,
    b"PAR1": FileFormat.GEOPARQUET,
}

#: First bytes -> what to do instead; such files are common in offices and not read.
OTHERS: Final[dict[bytes, str]] = {
    b"\xd0\xcf\x11\xe0": phrase(
        "it is an old Excel or Word file; open it and save it as .xlsx or .csv"
    ),
    b"Rar!": phrase("it is a RAR archive; unpack it and hand over its files, or a .zip of them"),
    b"7z\xbc\xaf": phrase(
        "it is a 7z archive; unpack it and hand over its files, or a .zip of them"
    ),
    b"\x1f\x8b": phrase("it is a gzip archive; unpack it first"),
    b"AC10": phrase("it is an AutoCAD drawing (.dwg); save it as DXF"),
    b"AutoCAD Binary DXF": phrase("it is a binary DXF; save it as an ASCII DXF"),
    b"%PDF": phrase("it is a PDF; ask for the data that it was printed from"),
    b"\x00\x01\x00\x00Standard": phrase(
        "it is an Access database; export its layers as GeoPackage"
    ),
    b"\x89PNG": phrase("it is a picture"),
    b"\xff\xd8\xff": phrase("it is a picture"),
    b"II*\0": phrase("it is a picture"),
}

PARTS: Final = (".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix")
PART: Final = phrase(
    "it is one part of a Shapefile alone; hand over the .shp with all its parts, or all of them "
    "zipped"
)

_DXF = re.compile(rb"\s*(999\r?\n[^\r\n]*\r?\n\s*)*0\s*\r?\n\s*SECTION")
_XML_ROOT = re.compile(rb"<(?![?!])([A-Za-z_][\w:.-]*)")
_DELIMITER = re.compile("[,;\t|]")


def format_of(path: Path) -> FileFormat:
    """Return what a file is by what is in it.

    Parameters
    ----------
    path : Path
        Only its first bytes are read, of an archive the list of its parts.

    Returns
    -------
    FileFormat
        `GEOPACKAGE` for any SQLite database; whether it is one is seen when it is checked.

    Raises
    ------
    FileRefusedError
        With `reason` `empty` or `unknown_format`, and what to do.
    """
    known = outer_format(path)
    return _format_of_archive(path) if known is FileFormat.ZIP else known


def outer_format(path: Path) -> FileFormat:
    """Return what a file is by its first bytes alone; any archive and workbook is a `ZIP`.

    Raises
    ------
    FileRefusedError
        As `format_of`.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.strip(b"\0 \t\r\n"):
        raise FileRefusedError(
            "empty", [phrase("%(file)s: the file is empty; save it again", file=path.name)]
        )
    alone = path.suffix.lower() in PARTS
    for signature, known in SIGNATURES.items():
        if head.startswith(signature) and not (alone and known is FileFormat.SHAPEFILE):
            return known
    if head[4:].startswith(b"\x0a\x09OSMHeader"):
        return FileFormat.OSM_PBF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return FileFormat.ZIP
    for signature, advice in OTHERS.items():
        if head.startswith(signature):
            raise _unknown(path, advice)
    if alone:
        raise _unknown(path, PART)
    return _format_of_text(path, head)


def _format_of_archive(path: Path) -> FileFormat:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        message = phrase(
            "%(file)s: the archive is damaged or cut off; hand it over again (%(error)s)",
            file=path.name,
            error=error,
        )
        raise FileRefusedError("damaged", [message]) from error
    if "xl/workbook.xml" in names:
        return FileFormat.XLSX
    if "content.xml" in names and "mimetype" in names:
        raise _unknown(path, phrase("it is an OpenDocument file; save it as .xlsx or .csv"))
    if "word/document.xml" in names:
        raise _unknown(path, phrase("it is a Word document; put its table into an .xlsx"))
    return FileFormat.ZIP


def _format_of_text(path: Path, head: bytes) -> FileFormat:
    text = head.removeprefix(UTF8_MARK).lstrip(BLANK)
    if text.startswith(b"{"):
        return FileFormat.GEOJSON
    if text.startswith(b"["):
        raise _unknown(path, phrase("it is JSON, but not a GeoJSON FeatureCollection"))
    if text.startswith(b"<"):
        return _format_of_markup(path, text)
    if _DXF.match(text):
        return FileFormat.DXF
    wide = head.startswith(UTF16_MARKS)
    if not wide and b"\0" in head:
        raise _unknown(path, phrase("it is none of the formats that are read"))
    first = head.decode("utf-16" if wide else "latin-1", "replace").splitlines()[0]
    if not wide and any(ord(letter) < 9 for letter in first):
        raise _unknown(path, phrase("it is none of the formats that are read"))
    if not _DELIMITER.search(first):
        raise _unknown(path, phrase("it is text without columns"))
    return FileFormat.CSV


def _format_of_markup(path: Path, text: bytes) -> FileFormat:
    root = _XML_ROOT.search(text)
    name = root.group(1).decode("ascii", "replace") if root else ""
    if name.split(":")[-1].casefold() == "kml":
        return FileFormat.KML
    known = {
        "osm": phrase("it is OSM in XML; hand it over as .osm.pbf"),
        "gpx": phrase("it is a GPX track, which is not a layer of a city"),
        "html": phrase("it is a web page; the download went wrong"),
        "ogrvrtdatasource": phrase("it only points to other files; hand those over"),
    }
    other = phrase("it is XML (%(root)s), but not KML", root=name or "-")
    said = known.get(name.casefold(), other)
    raise _unknown(path, said)


def _unknown(path: Path, said: str) -> FileRefusedError:
    return FileRefusedError(
        "unknown_format",
        [
            phrase(
                "%(file)s: %(said)s. What is read: %(formats)s",
                file=path.name,
                said=said,
                formats=READ,
            )
        ],
    )
