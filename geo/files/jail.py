"""One process for each file, behind walls: no network, one file, read-only, limits, a clock.

The walls are bubblewrap's. Where it cannot start, files from the web are not opened at all; the
operator's own are, with the limits alone and a warning. The answer is JSON and Arrow, never code.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyogrio

import geo
from geo.errors import DeliveryError, FileRefusedError, SandboxError
from geo.files.facts import FileFormat
from geo.files.formats import outer_format
from geo.files.limits import MIB, Limits
from geo.files.shapefiles import beside
from geo.saying import Said, phrase, unpacked

PROGRAM: Final = "bwrap"
MODULE: Final = "geo.files.inside"
ANSWER: Final = "answer.json"
ROWS: Final = "rows.arrow"
MOST_ANSWER_BYTES: Final = 16 * MIB
MOST_DEFECTS: Final = 100
LONGEST_DEFECT: Final = 2000
LONGEST_REASON: Final = 40
LOOK_EVERY_S: Final = 0.2
PROBE_S: Final = 10
INSIDE_IN: Final = Path("/in")
INSIDE_OUT: Final = Path("/out")
PATH: Final = "/usr/bin:/bin"
SYSTEM: Final = ("/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
WORDS_OF_MEMORY: Final = ("MemoryError", "bad_alloc", "Cannot allocate memory", "out of memory")

Watch = Callable[[], None]


@functools.cache
def missing() -> str | None:
    """Say why the walls cannot be set up on this machine; None where they can."""
    program = shutil.which(PROGRAM)
    if program is None:
        return phrase("bubblewrap is not installed (Debian, Ubuntu: apt-get install bubblewrap)")
    try:
        tried = subprocess.run(
            [program, *_walls(), sys.executable, "-c", ""],
            capture_output=True,
            timeout=PROBE_S,
            check=False,
            env={"PATH": PATH},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return phrase("bubblewrap cannot start: %(error)s", error=error)
    if tried.returncode != 0:
        said = tried.stderr.decode("utf-8", "replace").strip()[:200]
        return phrase("bubblewrap cannot start: %(error)s", error=said or tried.returncode)
    return None


def demand_walls() -> None:
    """Refuse to open a file where the walls cannot be set up.

    Raises
    ------
    SandboxError
    """
    if (why := missing()) is not None:
        message = phrase("Uploaded files are not opened on this machine: %(why)s.", why=why)
        raise SandboxError(message, why=why)


@contextmanager
def run(
    task: Mapping[str, Any],
    path: Path,
    limits: Limits,
    seconds: int,
    *,
    trusted: bool = False,
    watch: Watch | None = None,
) -> Iterator[tuple[dict[str, Any], Path]]:
    """Do a task on one file behind the walls; yield its answer and the folder with its rows.

    Parameters
    ----------
    task : mapping
        Plain data for the process inside.
    path : Path
        The file; of a Shapefile what lies beside it is let in as well.
    limits : Limits
    seconds : int
        After them the process is ended.
    trusted : bool, default False
        The operator's own file: read without walls where there are none.
    watch : callable, optional
        Called several times a second; what it raises ends the process.

    Raises
    ------
    SandboxError
        If the walls cannot be set up and the file is not `trusted`.
    FileRefusedError, DeliveryError
        As the process inside says, or `too_long`, `too_much_memory`, `reader_failed`.
    """
    walled = missing() is None
    if not walled and not trusted:
        demand_walls()
    with tempfile.TemporaryDirectory(prefix="wangge-file-", ignore_cleanup_errors=True) as folder:
        out = Path(folder)
        (out / "open").mkdir()
        parts = _parts(path)
        within = INSIDE_OUT if walled else out
        told = {
            **task,
            "label": path.name,
            "parts": {
                name: str(INSIDE_IN / str(number)) if walled else str(part)
                for number, (name, part) in enumerate(parts.items())
            },
            "limits": vars(limits),
            "seconds": seconds,
            "folder": str(within),
        }
        (out / "task.json").write_text(json.dumps(told), encoding="utf-8")
        command = [sys.executable, "-I", "-c", _start(walled), str(within / "task.json")]
        if walled:
            command = [str(shutil.which(PROGRAM)), *_walls(), *_let_in(parts, out), *command]
        ended = _wait(command, environment(within), out, seconds, watch, path.name)
        yield _answer(out, ended, path.name, limits), out


def _start(walled: bool) -> str:
    """Return the first line of the process inside; without site packages of the user."""
    home = str(INSIDE_OUT.parent / "code") if walled else str(Path(geo.__file__).parents[1])
    return f"import sys; sys.path.insert(0, {home!r}); from {MODULE} import main; main(sys.argv[1])"


def _walls() -> list[str]:
    """Return what is the same for every file: own namespaces, the program itself, read-only."""
    walls = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    walls += ["--dev", "/dev", "--ro-bind", "/usr", "/usr"]
    ours = {
        sys.prefix,
        sys.base_prefix,
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    }
    for place in (*SYSTEM, *sorted(ours)):
        if Path(place).exists() and not Path(place).is_relative_to("/usr"):
            walls += ["--ro-bind", place, place]
    return [*walls, "--ro-bind", str(Path(geo.__file__).parent), "/code/geo", "--chdir", "/"]


def _let_in(parts: Mapping[str, Path], out: Path) -> list[str]:
    """Return the walls' doors: the file and what belongs to it for reading, one folder to write."""
    doors: list[str] = []
    for number, part in enumerate(parts.values()):
        doors += ["--ro-bind", str(part.resolve()), str(INSIDE_IN / str(number))]
    return [*doors, "--bind", str(out), str(INSIDE_OUT), "--remount-ro", "/"]


def _parts(path: Path) -> dict[str, Path]:
    """Return the files to open, by the names that they are opened under."""
    stem = "".join(letter for letter in path.stem if letter.isprintable() and letter not in "/\\:")
    stem = stem.strip(". ").removesuffix(".osm")[:80] or "file"
    known = outer_format(path)
    parts = {stem + ENDINGS[known]: path}
    if known is FileFormat.SHAPEFILE:
        parts |= {stem + ending: part for ending, part in beside(path).items()}
    return parts


#: All that GDAL may open; other formats have libraries of their own.
DRIVERS: Final = frozenset({"ESRI Shapefile", "GPKG", "GeoJSON", "FlatGeobuf", "LIBKML", "DXF"})

#: The ending under which a file is opened, whatever its own name says.
ENDINGS: Final[dict[FileFormat, str]] = {
    FileFormat.SHAPEFILE: ".shp",
    FileFormat.GEOPACKAGE: ".gpkg",
    FileFormat.GEOJSON: ".geojson",
    FileFormat.FLATGEOBUF: ".fgb",
    FileFormat.GEOPARQUET: ".parquet",
    FileFormat.KML: ".kml",
    FileFormat.DXF: ".dxf",
    FileFormat.OSM_PBF: ".osm.pbf",
    FileFormat.CSV: ".csv",
    FileFormat.XLSX: ".xlsx",
    FileFormat.ZIP: ".zip",
}


def environment(folder: Path) -> dict[str, str]:
    """Return all that the process inside finds in its environment; GDAL has our drivers alone."""
    skipped = [name for name in pyogrio.list_drivers() if name not in DRIVERS]
    return {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GDAL_SKIP": ",".join(skipped),
        "GDAL_HTTP_PROXY": "127.0.0.1:9",
        "GDAL_NUM_THREADS": "1",
        "GDAL_PAM_ENABLED": "NO",
        "PROJ_NETWORK": "OFF",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _wait(
    command: list[str],
    environment: dict[str, str],
    out: Path,
    seconds: int,
    watch: Watch | None,
    label: str,
) -> tuple[int, str]:
    """Run a process to its end and return its code and last words; end it when time is up."""
    with (out / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment,
            start_new_session=True,
        )
        end = time.monotonic() + seconds
        try:
            while True:
                try:
                    process.wait(min(LOOK_EVERY_S, max(0.01, end - time.monotonic())))
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() >= end:
                        raise _too_long(label, seconds) from None
                    if watch is not None:
                        watch()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    with (out / "said.txt").open("rb") as words:
        return process.returncode, words.read(20_000).decode("utf-8", "replace")


def _too_long(label: str, seconds: int) -> FileRefusedError:
    said = phrase(
        "%(file)s: reading it took longer than %(seconds)s s and was ended; hand "
        "over a smaller part",
        file=label,
        seconds=seconds,
    )
    return FileRefusedError("too_long", [said])


def _answer(out: Path, ended: tuple[int, str], label: str, limits: Limits) -> dict[str, Any]:
    """Return what the process inside answered; what it refused is raised here."""
    code, words = ended
    path = out / ANSWER
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        raise FileRefusedError(
            "too_long", [phrase("%(file)s: reading it took too long and was ended", file=label)]
        )
    if not path.is_file() or path.is_symlink() or path.stat().st_size > MOST_ANSWER_BYTES:
        if code in (-signal.SIGKILL, 128 + signal.SIGKILL) or _is_of_memory(words):
            raise _too_much_memory(label, limits)
        said = phrase(
            "%(file)s: the reader failed on it (%(code)s); the file is damaged or made to harm",
            file=label,
            code=code,
        )
        raise FileRefusedError("reader_failed", [said])
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise FileRefusedError(
            "reader_failed", [phrase("%(file)s: the reader gave no clear answer", file=label)]
        )
    refused = answer.get("refused")
    if refused is None:
        return answer
    if not isinstance(refused, dict) or not isinstance(refused.get("defects"), list):
        raise FileRefusedError(
            "reader_failed", [phrase("%(file)s: the reader gave no clear answer", file=label)]
        )
    if refused.get("reason") == "too_much_memory":
        raise _too_much_memory(label, limits)
    defects = [_sentence(defect) for defect in refused["defects"][:MOST_DEFECTS]]
    if refused.get("reason"):
        raise FileRefusedError(str(refused["reason"])[:LONGEST_REASON], defects)
    raise DeliveryError(defects)


def _sentence(defect: Any) -> str:
    """Return what the process inside said; a long one is cut, and is no pattern any more."""
    read = unpacked(defect)
    return (
        read
        if isinstance(read, Said) and len(read) <= LONGEST_DEFECT
        else str(read)[:LONGEST_DEFECT]
    )


def _is_of_memory(words: str) -> bool:
    return any(word in words for word in WORDS_OF_MEMORY)


def _too_much_memory(label: str, limits: Limits) -> FileRefusedError:
    said = phrase(
        "%(file)s: reading it takes more than %(most)s MiB of memory; hand over a smaller part",
        file=label,
        most=f"{limits.memory_mib:,}",
    )
    return FileRefusedError("too_much_memory", [said])
