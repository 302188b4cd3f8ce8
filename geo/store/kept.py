"""Bytes that never change once made, kept on disk under the name of all they depend on."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

MOST_BYTES = 64 * 1024 * 1024
"""Most compressed bytes in memory."""
MOST_FILES = 500
ZIP_LEVEL = 9


class Kept:
    """Compressed bytes by key: in memory, and in a folder so that they survive a restart.

    Parameters
    ----------
    folder : Path, optional
        Made when needed, not its parents; where nothing can be written, memory alone serves.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def zipped(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return what `key` stands for, compressed with gzip; `make` is called when nobody kept it.

        Parameters
        ----------
        key : str
            Letters and digits: the hash of everything that the bytes depend on.
        make : callable
            Returns the bytes, not compressed.
        """
        with self._lock:
            known = self._memory.get(key)
            if known is not None:
                self._memory.move_to_end(key)
                return known
        content = self._read(key)
        if content is None:
            content = gzip.compress(make(), ZIP_LEVEL, mtime=0)
            self._write(key, content)
        with self._lock:
            if key not in self._memory:
                self._memory[key] = content
                self._bytes += len(content)
            while self._bytes > MOST_BYTES and len(self._memory) > 1:
                self._bytes -= len(self._memory.popitem(last=False)[1])
        return content

    def _read(self, key: str) -> bytes | None:
        if self._folder is None:
            return None
        try:
            content = (self._folder / f"{key}.gz").read_bytes()
            whole = len(gzip.decompress(content)) > 0
        except (OSError, EOFError, zlib.error):
            return None
        return content if whole else None

    def _write(self, key: str, content: bytes) -> None:
        if self._folder is None:
            return
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(self._folder / f"{key}.gz")
            files = sorted(self._folder.iterdir(), key=lambda file: file.stat().st_mtime)
            for old in files[:-MOST_FILES]:
                old.unlink(missing_ok=True)
