"""Archives unpacked with care: every part is looked at before a byte of it is written."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

from geo.errors import FileRefusedError
from geo.files.limits import MIB, Limits
from geo.saying import phrase

MOST_PARTS: Final = 2000
MOST_RATIO: Final = 200
RATIO_FROM_BYTES: Final = 8 * MIB
"""Smaller parts may shrink as they like: a table of zeros does."""
BLOCK: Final = 2**20

#: Endings of parts that are unpacked; others (a readme, an index) stay in the archive.
LAYERS: Final = (
    ".shp",
    ".gpkg",
    ".geojson",
    ".json",
    ".fgb",
    ".parquet",
    ".kml",
    ".dxf",
    ".pbf",
    ".csv",
    ".xlsx",
)
BESIDE: Final = (".dbf", ".shx", ".prj", ".cpg")
ARCHIVES: Final = (".zip", ".kmz", ".rar", ".7z", ".gz", ".tar")


def unpack(path: Path, folder: Path, limits: Limits) -> list[Path]:
    """Unpack an archive's layers and what belongs to them.

    Parameters
    ----------
    path : Path
        A ZIP or KMZ file.
    folder : Path
        Empty; the parts are written below it under their own names.
    limits : Limits

    Returns
    -------
    list of Path
        The files that hold layers, by name.

    Raises
    ------
    FileRefusedError
        `hostile` for parts that lead out of the archive, links and archives in the archive;
        `too_large` for more or larger parts than allowed; `damaged`; `locked`; `no_layers`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [part for part in archive.infolist() if not part.is_dir()]
            chosen = _chosen(path, parts, limits)
            spent = 0
            for part, inside in chosen:
                target = folder.joinpath(*inside.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                spent += _write(archive, part, target, limits.unpacked_mib * MIB - spent, path)
    except (zipfile.BadZipFile, EOFError) as error:
        said = phrase(
            "%(file)s: the archive is damaged or cut off; hand it over again (%(error)s)",
            file=path.name,
            error=error,
        )
        raise FileRefusedError("damaged", [said]) from error
    except (NotImplementedError, RuntimeError) as error:
        said = phrase(
            "%(file)s: a part cannot be unpacked: %(error)s; make a plain .zip",
            file=path.name,
            error=error,
        )
        raise FileRefusedError("locked", [said]) from error
    found = [
        folder.joinpath(*inside.parts) for _, inside in chosen if inside.suffix.casefold() in LAYERS
    ]
    if not found:
        said = phrase(
            "%(file)s: no layer is in this archive; it has %(some)s",
            file=path.name,
            some=_some(parts),
        )
        raise FileRefusedError("no_layers", [said])
    return sorted(found)


def _chosen(
    path: Path, parts: list[zipfile.ZipInfo], limits: Limits
) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Return the parts to unpack with their places; all that is wrong is refused in one list."""
    wrong: list[str] = []
    if len(parts) > MOST_PARTS:
        said = phrase(
            "%(file)s: it has %(n)s parts, more than %(most)s",
            file=path.name,
            n=f"{len(parts):,}",
            most=f"{MOST_PARTS:,}",
        )
        raise FileRefusedError("too_large", [said])
    chosen: dict[str, tuple[zipfile.ZipInfo, PurePosixPath]] = {}
    for part in parts:
        name = name_of(part)
        inside = PurePosixPath(name)
        ending = inside.suffix.casefold()
        if _leads_out(name, inside):
            wrong.append(
                phrase(
                    "%(file)s: the part '%(name)s' leads out of the archive",
                    file=path.name,
                    name=name,
                )
            )
        elif stat.S_ISLNK(part.external_attr >> 16):
            wrong.append(
                phrase(
                    "%(file)s: the part '%(name)s' is a link to another file",
                    file=path.name,
                    name=name,
                )
            )
        elif ending in ARCHIVES:
            wrong.append(
                phrase(
                    "%(file)s: the part '%(name)s' is an archive in the archive; unpack it",
                    file=path.name,
                    name=name,
                )
            )
        elif ending in LAYERS + BESIDE and not _hidden(inside):
            if str(inside).casefold() in chosen:
                wrong.append(
                    phrase("%(file)s: two parts are called '%(name)s'", file=path.name, name=name)
                )
            chosen[str(inside).casefold()] = (part, inside)
    if wrong:
        raise FileRefusedError("hostile", wrong)
    _demand_room(path, list(chosen.values()), limits)
    return list(chosen.values())


def _demand_room(
    path: Path, chosen: list[tuple[zipfile.ZipInfo, PurePosixPath]], limits: Limits
) -> None:
    """Refuse parts that are too large, or grow as no real layer does."""
    total = sum(part.file_size for part, _ in chosen)
    if total > limits.unpacked_mib * MIB:
        said = phrase(
            "%(file)s: unpacked it has %(n)s MiB, more than %(most)s MiB",
            file=path.name,
            n=f"{total / MIB:,.0f}",
            most=f"{limits.unpacked_mib:,}",
        )
        raise FileRefusedError("too_large", [said])
    for part, inside in chosen:
        padded = inside.suffix.casefold() == ".dbf"  # wide columns of blanks, which are common
        if not padded and part.file_size > max(
            RATIO_FROM_BYTES, MOST_RATIO * max(part.compress_size, 1)
        ):
            said = phrase(
                "%(file)s: '%(inside)s' grows %(n)s-fold when unpacked; no real layer does",
                file=path.name,
                inside=inside,
                n=f"{part.file_size / part.compress_size:,.0f}",
            )
            raise FileRefusedError("hostile", [said])


def name_of(part: zipfile.ZipInfo) -> str:
    """Return a part's name; without the mark for UTF-8 it is GB18030 where that can be.

    Examples
    --------
    >>> part = zipfile.ZipInfo("网格.shp".encode("gbk").decode("cp437"))
    >>> name_of(part)
    '网格.shp'
    """
    return _decoded(part).replace("\\", "/")


def _decoded(part: zipfile.ZipInfo) -> str:
    if part.flag_bits & 0x800:
        return part.filename
    try:
        raw = part.filename.encode("cp437")
    except UnicodeEncodeError:
        return part.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return part.filename


def _leads_out(name: str, inside: PurePosixPath) -> bool:
    return (
        inside.is_absolute()
        or ".." in inside.parts
        or ":" in name
        or any(ord(letter) < 32 for letter in name)
        or len(name.encode()) > 240
    )


def _hidden(inside: PurePosixPath) -> bool:
    return inside.name.startswith(".") or "__MACOSX" in inside.parts


def _write(
    archive: zipfile.ZipFile, part: zipfile.ZipInfo, target: Path, room: int, path: Path
) -> int:
    """Write one part and return its size; one that is larger than it says is refused."""
    written = 0
    with archive.open(part) as stream, target.open("xb") as file:
        while block := stream.read(BLOCK):
            written += len(block)
            if written > min(part.file_size, room):
                said = phrase(
                    "%(file)s: '%(name)s' is larger than the archive says",
                    file=path.name,
                    name=target.name,
                )
                raise FileRefusedError("hostile", [said])
            file.write(block)
    return written


def _some(parts: list[zipfile.ZipInfo]) -> str:
    names = [name_of(part) for part in parts[:5]]
    if not names:
        return phrase("nothing")
    named = ", ".join(names)
    if len(parts) == len(names):
        return named
    return phrase("%(names)s and %(n)s more", names=named, n=len(parts) - len(names))
