"""Files of the pages, under an address that changes with their content and so may be kept."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import os
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

MOUNT = "/static"
FOLDER = Path(__file__).resolve().parent / "static"
KEPT = "public, max-age=31536000, immutable"
ASKED_AGAIN = "no-cache"
ZIP_LEVEL = 9
ZIPPED = frozenset({".js", ".css", ".svg"})
"""Files that get smaller by compression; each is compressed once and stays in memory."""
PACKS = "vendor/packed"
"""Below the static folder: scripts and styles of pages, one file each, by setup/pack-pages.mjs."""
PACKED_FOLDERS = ("css", "js")


class Assets(StaticFiles):
    """The static folder, at ``/static/...`` and, kept for ever, at ``/static/{version}/...``.

    The version stands in the path and not behind a question mark, so that a module's relative
    imports lead to files of the same version.

    Parameters
    ----------
    folder : Path
        What is served.

    Attributes
    ----------
    packed : bool
        Whether pages may load their packs; else they load their modules one by one.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(directory=folder)
        self.version = version_of(folder)
        self.packed = is_packed(folder)
        self._zipped: dict[str, Response] = {}

    @property
    def base(self) -> str:
        """The address below which files may be kept for ever."""
        return f"{MOUNT}/{self.version}"

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, or 304 when the reader has it."""
        first, _, rest = path.partition(os.sep)
        current = first == self.version
        if current and scope["method"] == "GET":
            known = self._compressed(rest, Headers(scope=scope))
            if known is not None:
                return known
        response = await super().get_response(rest if current else path, scope)
        response.headers["Cache-Control"] = KEPT if current else ASKED_AGAIN
        return response

    def _compressed(self, path: str, headers: Headers) -> Response | None:
        """Return a file of this version as kept in memory; None when it is not to be zipped."""
        suffix = Path(path).suffix
        if suffix not in ZIPPED or "gzip" not in headers.get("accept-encoding", ""):
            return None
        if path not in self._zipped:
            full_path, found = self.lookup_path(path)
            if found is None:
                return None
            kind = mimetypes.guess_type(path)[0] or "text/plain"
            self._zipped[path] = Response(
                gzip.compress(Path(full_path).read_bytes(), ZIP_LEVEL, mtime=0),
                media_type=kind,
                headers={
                    "Content-Encoding": "gzip",
                    "Cache-Control": KEPT,
                    "ETag": f'"{self.version}-gzip"',
                    "Vary": "Accept-Encoding",
                },
            )
        kept = self._zipped[path]
        known = {one.strip() for one in headers.get("if-none-match", "").split(",")}
        if kept.headers["etag"] in known:
            return Response(status_code=304, headers=dict(kept.headers))
        return Response(kept.body, headers=dict(kept.headers))


def version_of(folder: Path) -> str:
    """Return a short hash over names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return "v" + digest.hexdigest()[:12]


def is_packed(folder: Path) -> bool:
    """Return whether the packs are made of the very scripts and styles that lie there."""
    try:
        stamp = (folder / PACKS / "stamp").read_text("ascii").strip()
    except OSError:
        return False
    return stamp == stamp_of(folder)


def stamp_of(folder: Path) -> str:
    """Return a short hash over the scripts and styles that packs are made of."""
    files = [path for name in PACKED_FOLDERS for path in (folder / name).rglob("*")]
    named = {str(path.relative_to(folder).as_posix()): path for path in files if path.is_file()}
    digest = hashlib.sha256()
    for name in sorted(named):
        digest.update(name.encode() + b"\0")
        digest.update(named[name].read_bytes())
    return digest.hexdigest()[:24]
