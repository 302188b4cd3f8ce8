"""Delivered bytes in the state folder: random folders, plain names, one hash over all parts."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Final

LONGEST_NAME: Final = 60
MOST_PARTS: Final = 10
BLOCK: Final = 1 << 20
SHAPE_PARTS: Final = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix")


def new_folder(root: Path) -> Path:
    """Make a folder with a random name that nobody else can read."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    root.chmod(0o700)
    folder = root / secrets.token_hex(16)
    folder.mkdir(mode=0o700)
    return folder


def plain_name(name: str) -> str:
    """Return a sender's name for a file as one that is safe on a disk.

    Examples
    --------
    >>> plain_name("../../etc/社区 边界.SHP"), plain_name("...")
    ('社区_边界.shp', 'file')
    """
    last = re.split(r"[/\\\\]", name)[-1]
    kept = re.sub(r"[^\w.-]+", "_", last).strip("._")
    stem, dot, suffix = kept.rpartition(".")
    if not dot:
        stem, suffix = kept, ""
    stem = stem[-LONGEST_NAME:].strip("._") or "file"
    return f"{stem}.{suffix[:12].lower()}" if suffix else stem


def parts_of(path: Path) -> list[Path]:
    """Return a file with what belongs to it: the parts of a Shapefile, else itself."""
    if path.suffix.lower() != ".shp":
        return [path]
    beside = sorted(path.parent.glob("*"))
    return [
        one
        for one in beside
        if one.is_file() and one.stem == path.stem and one.suffix.lower() in SHAPE_PARTS
    ]


def digest(path: Path) -> tuple[bytes, int]:
    """Return the SHA-256 over a file and its parts, and their size in bytes."""
    parts = parts_of(path)
    total, size = hashlib.sha256(), 0
    for part in parts:
        if len(parts) > 1:
            total.update(part.suffix.lower().encode() + b"\0")
        with part.open("rb") as file:
            while block := file.read(BLOCK):
                total.update(block)
                size += len(block)
    return total.digest(), size
