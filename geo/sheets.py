"""Spreadsheets (XLSX) in and out: written so that no cell is a formula, read so that none can harm.

Pure: bytes in, bytes out. A file from outside is looked at before it is opened: its list of parts,
their sizes, and that no part declares entities.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any, Final

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from geo.errors import InvalidInputError

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_PARTS: Final = 200
MOST_BYTES: Final = 32 * 2**20
"""Of all parts together, unpacked."""
MOST_RATIO: Final = 200
MOST_ROWS: Final = 10_000
MOST_COLUMNS: Final = 60
MOST_CHARACTERS: Final = 500
MOST_SHEETS: Final = 10
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_DECLARES = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True)
class Sheet:
    """One table of a workbook.

    Parameters
    ----------
    title : str
        Name of the sheet.
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence
        str, int, float, bool, date or None.
    """

    title: str
    header: Sequence[str]
    rows: Iterable[Sequence[Any]]


def write(sheets: Sequence[Sheet]) -> bytes:
    """Return a workbook; a text stays a text, whatever it begins with.

    A text that a spreadsheet could take for a formula is stored as text and carries the mark of a
    quoted cell, so that it stays one when somebody edits it.
    """
    book = Workbook(write_only=True)
    for sheet in sheets:
        page = book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", sheet.title)[:31])
        page.freeze_panes = "A2"
        for number, name in enumerate(sheet.header, 1):
            width = 2 * sum(1 + (ord(letter) > 0x2E80) for letter in name)
            page.column_dimensions[get_column_letter(number)].width = min(40, max(10, width))
        page.append([_cell(page, name, bold=True) for name in sheet.header])
        for row in sheet.rows:
            page.append([_cell(page, value) for value in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(page: Any, value: Any, *, bold: bool = False) -> Any:
    if not isinstance(value, str):
        return value
    text = _UNWRITABLE.sub("", value)
    cell = WriteOnlyCell(page, text)
    cell.data_type = "s"
    if text.startswith(FORMULA_STARTS):
        cell.quotePrefix = True
    if bold:
        cell.font = Font(bold=True)
    return cell


def read(content: bytes) -> list[list[Any]]:
    """Return the rows of a workbook's first sheet, without those that are empty at the end.

    Texts are stripped, an apostrophe before what looks like a formula is taken away; dates are
    dates; a formula is its last value.

    Raises
    ------
    InvalidInputError
        If it is no workbook, has macros, declares entities, or is larger than it may be; `reason`
        says which.
    """
    return next(iter(read_all(content, most=1).values()), [])


def read_all(content: bytes, *, most: int = MOST_SHEETS) -> dict[str, list[list[Any]]]:
    """Return the rows of a workbook's first sheets by title, as `read` does.

    Raises
    ------
    InvalidInputError
        As `read`.
    """
    demand_harmless(io.BytesIO(content))
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        return {page.title: _rows(page) for page in book.worksheets[:most]}
    except InvalidInputError:
        raise
    except Exception as error:
        raise _refused("no_workbook", "The file is no readable workbook (XLSX).") from error


def _rows(page: Any) -> list[list[Any]]:
    page.reset_dimensions()
    rows: list[list[Any]] = []
    for row in page.iter_rows(max_col=MOST_COLUMNS, values_only=True):
        if len(rows) > MOST_ROWS:
            raise _refused("too_many_rows", f"At most {MOST_ROWS} rows are taken.")
        rows.append([_value(value) for value in row])
    while rows and not any(value not in (None, "") for value in rows[-1]):
        rows.pop()
    return rows


def columns(
    header: Sequence[Any], known: Mapping[str, tuple[str, str]], needed: Sequence[str]
) -> tuple[dict[str, int], list[str]]:
    """Return the place of each known column in a header, and the names of those that are left out.

    Parameters
    ----------
    header : sequence
    known : mapping
        Code of a column: its Chinese and its English name; any of the three may stand there.
    needed : sequence of str
        Codes without which the table says nothing.

    Raises
    ------
    InvalidInputError
        If a needed one is not there; `reason` is "missing_columns", `value` names them.

    Examples
    --------
    >>> columns(["事项", "序号"], {"words": ("事项", "item")}, ["words"])
    ({'words': 0}, ['序号'])
    """
    codes = {name.casefold(): code for code, names in known.items() for name in (*names, code)}
    places: dict[str, int] = {}
    left_out: list[str] = []
    for place, name in enumerate(header):
        word = str(name if name is not None else "").strip()
        code = codes.get(word.casefold())
        if code is not None and code not in places:
            places[code] = place
        elif word:
            left_out.append(word[:40])
    missing = [code for code in needed if code not in places]
    if missing:
        raise InvalidInputError(
            f"The table lacks the columns {missing}.",
            field="file",
            reason="missing_columns",
            value="、".join(known[code][0] for code in missing),
        )
    return places, left_out


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.date() if value.time() == datetime.min.time() else value
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def plain(text: str) -> str:
    """Return a cell's text without blanks around it and the mark before what looks like a formula.

    Examples
    --------
    >>> plain(" '=SUM(A1) "), plain("'s-Hertogenbosch")
    ('=SUM(A1)', "'s-Hertogenbosch")
    """
    text = text.strip()[:MOST_CHARACTERS]
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_STARTS) else text


def demand_harmless(file: IO[bytes], *, most_bytes: int = MOST_BYTES) -> None:
    """Look at a workbook's parts before anything is opened.

    Parameters
    ----------
    file : binary file
        It can be read from any place.
    most_bytes : int
        Of all parts together, unpacked.

    Raises
    ------
    InvalidInputError
        As `read`.
    """
    packed = file.seek(0, io.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts}
            if len(parts) > MOST_PARTS or "xl/workbook.xml" not in names:
                raise _refused("no_workbook", "The file is no readable workbook (XLSX).")
            if any(name.endswith(("vbaProject.bin", ".exe", ".dll")) for name in names):
                raise _refused("has_macros", "Workbooks with macros are not taken.")
            unpacked = sum(part.file_size for part in parts)
            if unpacked > most_bytes or unpacked > MOST_RATIO * max(packed, 1):
                raise _refused("too_large", "The workbook is too large once unpacked.")
            for part in parts:
                if part.filename.endswith((".xml", ".rels", ".vml")):
                    _demand_plain(archive, part)
    except zipfile.BadZipFile as error:
        raise _refused("no_workbook", "The file is no readable workbook (XLSX).") from error
    except (RuntimeError, NotImplementedError, OSError) as error:
        raise _refused("no_workbook", "The file is locked or damaged.") from error


def _demand_plain(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse a part that is larger than it says, or declares what an XML reader would follow."""
    with archive.open(part) as stream:
        text = stream.read(part.file_size + 1)
    if len(text) > part.file_size:
        raise _refused("too_large", "A part of the workbook is larger than it says.")
    if _DECLARES.search(text) or text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _refused("no_workbook", "The workbook declares entities, which none needs.")


def _refused(reason: str, message: str) -> InvalidInputError:
    return InvalidInputError(message, field="file", reason=reason)


def day(value: Any) -> date | None:
    """Return a cell's date, None for an empty one.

    Raises
    ------
    ValueError
        If it is no date between 1900 and 2999.

    Examples
    --------
    >>> day("2026-03-01"), day("2026/3/1"), day("2026年3月1日"), day("")
    (datetime.date(2026, 3, 1), datetime.date(2026, 3, 1), datetime.date(2026, 3, 1), None)
    """
    if value in (None, ""):
        return None
    if isinstance(value, datetime):
        found = value.date()
    elif isinstance(value, date):
        found = value
    else:
        parts = re.fullmatch(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?", str(value))
        if parts is None:
            raise ValueError(value)
        found = date(*(int(part) for part in parts.groups()))
    if not 1900 <= found.year <= 2999:
        raise ValueError(value)
    return found


YES: Final = frozenset({"是", "y", "yes", "true", "1", "兼职", "✓", "√"})
NO: Final = frozenset({"", "否", "n", "no", "false", "0", "专职", "none"})


def truth(value: Any) -> bool:
    """Return a cell's yes or no; an empty one is no.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> truth("是"), truth("no"), truth(None), truth(True)
    (True, False, False, True)
    """
    word = str(value if value is not None else "").strip().casefold()
    if word in YES:
        return True
    if word in NO:
        return False
    raise ValueError(value)
