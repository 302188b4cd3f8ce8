"""Files of the pages, under an address that changes with their content and so may be kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

MOUNT = "/static"
FOLDER = Path(__file__).resolve().parent / "static"
KEPT = "public, max-age=31536000, immutable"
ASKED_AGAIN = "no-cache"


class Assets(StaticFiles):
    """The static folder, at ``/static/...`` and, kept for ever, at ``/static/{version}/...``.

    The version stands in the path and not behind a question mark, so that a module's relative
    imports lead to files of the same version.

    Parameters
    ----------
    folder : Path
        What is served.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(directory=folder)
        self.version = version_of(folder)

    @property
    def base(self) -> str:
        """The address below which files may be kept for ever."""
        return f"{MOUNT}/{self.version}"

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, or 304 when the reader has it."""
        first, _, rest = path.partition(os.sep)
        current = first == self.version
        response = await super().get_response(rest if current else path, scope)
        response.headers["Cache-Control"] = KEPT if current else ASKED_AGAIN
        return response


def version_of(folder: Path) -> str:
    """Return a short hash over names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return "v" + digest.hexdigest()[:12]
