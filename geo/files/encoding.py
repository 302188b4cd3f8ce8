"""Which encoding texts are in: what a file declares is believed when its bytes agree.

Chinese offices write GBK or GB18030 and declare nothing, or declare UTF-8 all the same. GB18030
holds all of GBK, so it is the one that is read; GBK would corrupt rare characters silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import numpy as np

from geo.files.facts import EncodingFact
from geo.saying import both, phrase

GB18030: Final = "GB18030"
UTF8: Final = "UTF-8"
WESTERN: Final = "ISO-8859-1"

#: Most texts that a decision rests on; there are never fewer where the file has fewer.
MOST_TEXTS: Final = 20_000
ROWS_AT_ONCE: Final = 20_000
CUT_OFF: Final = ("unexpected end of data", "incomplete multibyte sequence")
"""What Python's decoders say of a text that ends inside a letter."""

#: What a .cpg file says -> the encoding; others are taken by their own name.
_CODE_PAGES: Final[dict[str, str]] = {
    "65001": UTF8,
    "UTF8": UTF8,
    "936": GB18030,
    "CP936": GB18030,
    "MS936": GB18030,
    "GBK": GB18030,
    "GB2312": GB18030,
    "EUCCN": GB18030,
    "54936": GB18030,
    "GB18030": GB18030,
    "950": "BIG5",
    "CP950": "BIG5",
    "BIG5": "BIG5",
    "1252": "CP1252",
    "CP1252": "CP1252",
    "88591": WESTERN,
    "ISO88591": WESTERN,
    "LATIN1": WESTERN,
}

#: Byte 29 of a .dbf -> what it declares; 0x57 is "whatever the system had" and declares nothing.
_LANGUAGES: Final[dict[int, str]] = {0x03: "1252", 0x4D: "936", 0x4F: "950", 0x58: "1252"}

_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_UTF8_CHINESE: Final = re.compile(rb"[\xe3-\xe9\xef][\x80-\xbf]{2}|\xf0[\x80-\xbf]{3}")


def known(declared: str | None) -> str | None:
    """Return the encoding that a declaration means; None where it means none that is known.

    Examples
    --------
    >>> known("ANSI 936"), known("utf-8"), known("gbk"), known("nonsense"), known(None)
    ('GB18030', 'UTF-8', 'GB18030', None, None)
    """
    if not declared:
        return None
    plain = re.sub(r"[^A-Z0-9]", "", declared.upper())
    for prefix in ("ANSI", "OEM", "WINDOWS"):
        plain = plain.removeprefix(prefix)
    if plain in _CODE_PAGES:
        return _CODE_PAGES[plain]
    try:
        "".encode(declared.strip())
    except (LookupError, UnicodeError):
        return None
    return declared.strip()


def decide(texts: Sequence[bytes], declared: str | None) -> EncodingFact:
    """Return the encoding of texts that nobody can ask.

    Parameters
    ----------
    texts : sequence of bytes
        Names of columns and values, as many as there are or a sample.
    declared : str, optional
        What the file says of itself.

    Returns
    -------
    EncodingFact
        `reason` is `declared`, `plain` (no letter beyond ASCII), `declared_lies`, `utf8_by_bytes`,
        `undeclared` (GB18030), or `guessed` (not sure).
    """
    strange = [text for text in texts if not text.isascii()]
    own = known(declared)
    if not strange:
        return EncodingFact(
            own or GB18030, declared, True, "plain", phrase("All texts are plain ASCII.")
        )
    in_utf8 = _is_utf8(strange)
    if own and _fits(own, strange, in_utf8):
        return EncodingFact(
            own, declared, True, "declared", phrase("The texts are what the file says.")
        )
    reason = "declared_lies" if declared else ""
    if in_utf8:
        why = phrase("Every text is valid UTF-8.")
        return EncodingFact(UTF8, declared, True, reason or "utf8_by_bytes", _unlike(declared, why))
    if _decodes(strange, GB18030) and _in_pairs(strange):
        why = phrase("Nothing else is said and every text is valid GB18030.")
        return EncodingFact(GB18030, declared, True, reason or "undeclared", _unlike(declared, why))
    guess = WESTERN if not _in_pairs(strange) else GB18030
    why = phrase(
        "The texts look like %(guess)s; look at the names before anything is stored.",
        guess=guess,
    )
    return EncodingFact(guess, declared, False, reason or "guessed", _unlike(declared, why))


def _unlike(declared: str | None, why: str) -> str:
    """Return why an encoding was taken, after what the file says wrongly."""
    if not declared:
        return why
    return both(phrase("The file says %(name)s, but its texts are not.", name=declared), why)


def _fits(encoding: str, texts: Sequence[bytes], in_utf8: bool) -> bool:
    """Say whether texts agree with a declaration; one that fits anything has to look right too."""
    if encoding == UTF8:
        return in_utf8 or _decodes(texts, UTF8)
    if in_utf8:
        return False
    one_byte = encoding.upper().startswith(("CP125", "ISO-8859", "ISO8859", "WINDOWS-125"))
    return not _in_pairs(texts) if one_byte else _decodes(texts, encoding)


def _decodes(texts: Sequence[bytes], encoding: str) -> bool:
    return sum(not _decodable(text, encoding) for text in texts) <= len(texts) // 1000


def _decodable(text: bytes, encoding: str) -> bool:
    """Say whether a text decodes; one that was cut off inside its last letter counts."""
    try:
        text.decode(encoding)
    except UnicodeDecodeError as error:
        return error.reason in CUT_OFF
    return True


def _is_utf8(texts: Sequence[bytes]) -> bool:
    """Say whether texts are UTF-8: they decode, and more than by chance."""
    if not _decodes(texts, UTF8):
        return False
    joined = b"\n".join(texts)
    high = sum(len(run) for run in _HIGH.findall(joined))
    chinese = sum(len(run) for run in _UTF8_CHINESE.findall(joined))
    return chinese > high / 2 or not _in_pairs(texts) or len(texts) > 8


def _in_pairs(texts: Sequence[bytes]) -> bool:
    """Say whether letters beyond ASCII stand in pairs of bytes, as Chinese does, not alone."""
    runs = [len(run) for text in texts for run in _HIGH.findall(text)]
    return sum(length for length in runs if length > 1) > sum(runs) / 2


def of_dbf(path: Path, declared: str | None) -> EncodingFact:
    """Return the encoding of a .dbf from the names of its columns and its texts.

    Parameters
    ----------
    path : Path
    declared : str, optional
        What the .cpg beside it says; without one the .dbf's own mark counts.
    """
    texts: list[bytes] = []
    with path.open("rb") as file:
        head = file.read(32)
        start, width = int.from_bytes(head[8:10], "little"), int.from_bytes(head[10:12], "little")
        declared = declared or _LANGUAGES.get(head[29])
        columns, at = [], 1
        for field in _fields(file.read(max(0, start - 32))):
            texts.append(field[:11].split(b"\0")[0])
            length = field[16] + (field[17] << 8 if field[11:12] == b"C" else 0)
            if field[11:12] == b"C":
                columns.append(slice(at, at + length))
            at += length
        file.seek(start)
        while width and columns and len(texts) < MOST_TEXTS:
            block = file.read(width * ROWS_AT_ONCE)
            rows = np.frombuffer(block, np.uint8, len(block) // width * width).reshape(-1, width)
            if not len(rows):
                break
            for row in np.flatnonzero((rows >= 0x80).any(axis=1))[:MOST_TEXTS]:
                record = rows[row].tobytes()
                texts += [record[column].strip(b" \0") for column in columns]
    return decide(texts, declared)


def _fields(block: bytes) -> list[bytes]:
    """Return the descriptions of a .dbf's columns: 32 bytes each, ended by 0x0D."""
    found = []
    for at in range(0, len(block) - 31, 32):
        if block[at] == 0x0D:
            break
        found.append(block[at : at + 32])
    return found


_XML_ENCODING: Final = re.compile(r"""(<\?xml[^>]{0,100}?encoding\s*=\s*)["'][^"']{0,40}["']""")
CHARACTERS_AT_ONCE: Final = 2**20


def in_utf8(path: Path, folder: Path) -> tuple[Path, EncodingFact]:
    """Return a text file in UTF-8: itself, or what was written of it below `folder`.

    GeoJSON and KML are UTF-8 by their standards, and some offices write them in GBK all the same:
    what is valid UTF-8 is read as such, were it a single letter.
    """
    fact = of_text(path, UTF8)
    if fact.reason == "declared_lies":  # nobody declared it: the standard did
        fact = of_text(path)
    if fact.used in (UTF8, "utf-8-sig") or fact.reason == "plain":
        return path, EncodingFact(UTF8)
    target = Path(mkdtemp(dir=folder)) / path.name
    with (
        path.open(encoding=fact.used, errors="replace", newline="") as old,
        target.open("w", encoding="utf-8", newline="") as new,
    ):
        first = old.read(CHARACTERS_AT_ONCE)
        new.write(_XML_ENCODING.sub(r'\1"UTF-8"', first, count=1))
        while part := old.read(CHARACTERS_AT_ONCE):
            new.write(part)
    return target, fact


def of_text(path: Path, declared: str | None = None) -> EncodingFact:
    """Return the encoding of a text file by its mark or by all of its bytes."""
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"\xef\xbb\xbf"):
        return EncodingFact(
            "utf-8-sig", UTF8, True, "declared", phrase("The file begins with its mark.")
        )
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return EncodingFact(
            "utf-16", "UTF-16", True, "declared", phrase("The file begins with its mark.")
        )
    texts: list[bytes] = []
    with path.open("rb") as file:
        for line in file:
            if not line.isascii():
                texts.append(line.strip())
                if len(texts) >= MOST_TEXTS:
                    break
    return decide(texts, declared)
