"""What runs behind the walls: limits first, then one task on one file, then the answer.

Nothing here is imported by the program itself; `geo.files.jail` starts it as a process.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, Final

MIB: Final = 2**20
#: Virtual memory that libraries reserve and never touch, in MiB.
RESERVED_MIB: Final = 1024
#: What GDAL's binding would load for frames, which are only made outside.
NOT_NEEDED: Final = ("geopandas", "pandas")


def main(path: str) -> None:
    """Do the task that a file describes; every refusal is an answer, anything else a failure."""
    task: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    folder = Path(task["folder"])
    _limit(task)
    tempfile.tempdir = task["folder"]
    if task["wish"]["datum"] not in ("gcj02", "bd09"):
        sys.meta_path.insert(0, _WithoutFrames())
    answer = folder / "answer.json"
    try:
        told = _do(task, folder)
    except MemoryError:
        told = {"refused": {"reason": "too_much_memory", "defects": []}}
    told["spent"] = _spent()
    from geo.saying import packed

    answer.write_text(json.dumps(packed(told), default=str), encoding="utf-8")


def _spent() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}


class _WithoutFrames(MetaPathFinder):
    """Keeps libraries from loading what they can do without: a second of every start."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        """Say that a module is not there."""
        if fullname in NOT_NEEDED:
            raise ModuleNotFoundError(fullname, name=fullname)


def _limit(task: dict[str, Any]) -> None:
    """Bound this process before anything of the file is looked at."""
    limits, seconds = task["limits"], int(task["seconds"])
    memory = (limits["memory_mib"] + RESERVED_MIB) * MIB
    written = (limits["unpacked_mib"] * 2 + 64) * MIB
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_CPU, seconds + 5),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))


def _do(task: dict[str, Any], folder: Path) -> dict[str, Any]:
    from geo.errors import DeliveryError, FileRefusedError
    from geo.files.deliver import deliver, deliver_raw
    from geo.files.facts import Wish
    from geo.files.limits import Limits
    from geo.files.sources import open_file
    from geo.files.understanding import understand_opened

    limits, wish = Limits(**task["limits"]), _wish(Wish, task["wish"])
    for name, part in task["parts"].items():
        (folder / "open" / name).symlink_to(part)
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    try:
        first = folder / "open" / next(iter(task["parts"]))
        opened = open_file(first, unpacked, limits, task["label"])
        if task["do"] == "understand":
            return {"understood": understand_opened(opened, wish, task["layer"]).as_data()}
        rows = folder / "rows.arrow"
        if task["do"] == "raw":
            return deliver_raw(opened, task["layer"], wish.columns, wish.encoding, rows, limits)
        return deliver(opened, task["layer"], wish, rows, limits)
    except DeliveryError as error:
        reason = error.data["reason"] if isinstance(error, FileRefusedError) else ""
        said = [_said(task["label"], defect) for defect in error.data["defects"]]
        return {"refused": {"reason": reason, "defects": said}}


def _said(label: str, defect: str) -> str:
    """Name the file itself where a part of an archive is named."""
    from geo.saying import at

    return defect if label in defect else at(label, defect)


def _wish(of: Any, data: dict[str, Any]) -> Any:
    near = data["near"]
    return of(**{**data, "near": None if near is None else (float(near[0]), float(near[1]))})


if __name__ == "__main__":
    main(sys.argv[1])
