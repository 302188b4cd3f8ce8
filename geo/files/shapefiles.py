"""What a Shapefile is made of: the files beside it, whether they agree, and its encoding."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from geo.errors import FileRefusedError
from geo.files.encoding import of_dbf
from geo.files.facts import EncodingFact
from geo.findings import Finding
from geo.saying import phrase

HEAD_BYTES: Final = 100
INDEX_BYTES: Final = 8
BESIDE: Final = (".dbf", ".shx", ".prj", ".cpg")


def beside(path: Path) -> dict[str, Path]:
    """Return the files that belong to a .shp, by their ending in small letters."""
    return {
        other.suffix.casefold(): other
        for other in sorted(path.parent.iterdir())
        if other.stem == path.stem and other.suffix.casefold() in BESIDE
    }


def look_at(path: Path, most: int) -> tuple[EncodingFact, list[Finding]]:
    """Return a Shapefile's encoding and what is missing beside it.

    Parameters
    ----------
    path : Path
    most : int
        Rows that it may have.

    Raises
    ------
    FileRefusedError
        `damaged`: the files are cut off or do not belong together, each said; `too_large`.
    """
    parts = beside(path)
    findings: list[Finding] = []
    wrong: list[str] = []
    length = struct.unpack(">i", _head(path)[24:28])[0] * 2
    if length > path.stat().st_size:
        wrong.append(
            phrase(
                "%(file)s: it is cut off: %(size)s of %(length)s bytes are there; "
                "hand it over again",
                file=path.name,
                size=f"{path.stat().st_size:,}",
                length=f"{length:,}",
            )
        )
    shapes = _shapes(parts[".shx"]) if ".shx" in parts else None
    rows = None
    if ".dbf" in parts:
        rows, problem = _rows(parts[".dbf"])
        wrong += [problem] if problem else []
    else:
        findings.append(_missing(path, ".dbf", phrase("there are shapes but no columns")))
    if ".shx" not in parts:
        findings.append(_missing(path, ".shx", phrase("the index was made anew")))
    if ".prj" not in parts:
        findings.append(
            _missing(path, ".prj", phrase("the file does not say its reference system"))
        )
    if not wrong and None not in (shapes, rows) and shapes != rows:
        wrong.append(
            phrase(
                "%(file)s: %(shapes)s shapes and %(rows)s rows of %(name)s: the files do "
                "not belong together; hand over all parts of one delivery",
                file=path.name,
                shapes=f"{shapes:,}",
                rows=f"{rows:,}",
                name=parts[".dbf"].name,
            )
        )
    if wrong:
        raise FileRefusedError("damaged", wrong)
    if max(shapes or 0, rows or 0) > most:
        said = phrase(
            "%(file)s: it has %(n)s rows, more than %(most)s",
            file=path.name,
            n=f"{max(shapes or 0, rows or 0):,}",
            most=f"{most:,}",
        )
        raise FileRefusedError("too_large", [said])
    if ".dbf" not in parts:
        return EncodingFact("UTF-8", None, True, "plain", phrase("There are no texts.")), findings
    declared = None
    if ".cpg" in parts:
        declared = parts[".cpg"].read_bytes()[:64].decode("ascii", "replace").strip() or None
    return of_dbf(parts[".dbf"], declared), findings


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        raise FileRefusedError(
            "damaged", [phrase("%(file)s: it is cut off; hand it over again", file=path.name)]
        )
    return head


def _shapes(path: Path) -> int:
    return max(0, path.stat().st_size - HEAD_BYTES) // INDEX_BYTES


def _rows(path: Path) -> tuple[int, str | None]:
    """Return how many rows a .dbf says it has, and why that cannot be."""
    with path.open("rb") as file:
        head = file.read(32)
    if len(head) < 32:
        return 0, phrase("%(file)s: it is cut off; hand it over again", file=path.name)
    rows, start, width = struct.unpack("<IHH", head[4:12])
    there = path.stat().st_size - start
    if width == 0 or rows * width > there:
        held = max(0, there) // width if width else 0
        return rows, (
            phrase(
                "%(file)s: it says %(rows)s rows and holds %(held)s; it is cut off or "
                "damaged, hand it over again",
                file=path.name,
                rows=f"{rows:,}",
                held=f"{held:,}",
            )
        )
    return int(rows), None


def _missing(path: Path, ending: str, done: str) -> Finding:
    return Finding(path.name, "missing_part", ending, done)
