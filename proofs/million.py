"""A million buildings into a database by the operator's command: memory of all processes, CPU.

Needs the shared real data. Copies of a Finnish town lie side by side; the city has 16 areas for
each of them. Counted are the command, the process that reads the file and every process of the
database, shared memory once.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.cluster import Cluster
from proofs.claims import Claim, Say

BUILDINGS: Final = 1_000_000
ACROSS: Final = 22
AREAS_ACROSS: Final = 4
SIDE_M: Final = 2_400.0
SRID: Final = 3067
MOST_MB: Final = 3_000
LOOK_S: Final = 0.5
CITY: Final = "million"
BESIDE: Final = Path(__file__).resolve().parents[2] / "shared"
HOUSE: Final = Path(__file__).resolve().parents[1]
WANGGE: Final = (sys.executable, "-c", "from api.cli import main; main()")


def prove(effort: float = 1.0, say: Say = lambda words: None) -> list[Claim]:
    """Import a million buildings, or a share of them, and look how much memory that takes."""
    town = Path(os.environ.get("WANGGE_SHARED", BESIDE)) / "data/osm_small/fi_small_town.gpkg"
    if not town.is_file():
        return [Claim("The real data is there", f"nothing at {town}", held=False)]
    with tempfile.TemporaryDirectory(prefix="wangge-million-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        say("making the files")
        expected = make_files(town, folder, max(1, round(BUILDINGS * effort)))
        return _imported(folder, expected, say)


def make_files(town: Path, folder: Path, least: int) -> int:
    """Write areas and buildings; return how many buildings there are."""
    one = gpd.read_file(town, layer="buildings").to_crs(SRID)
    copies = -(-least // len(one))
    number = np.arange(copies)
    steps = np.column_stack([number % ACROSS, number // ACROSS]) * SIDE_M
    west, south = np.floor(one.total_bounds[:2]) - 50.0
    rng = np.random.default_rng(1)
    count = copies * len(one)
    shapes = [shapely.transform(one.geometry.to_numpy(), lambda xy, by=by: xy + by) for by in steps]
    buildings = gpd.GeoDataFrame(
        {
            "code": [f"B{n:07d}" for n in range(count)],
            "name": np.tile(one["name"].to_numpy(), copies),
            "floors": rng.integers(1, 7, count),
            "households": rng.integers(0, 40, count),
        },
        geometry=np.concatenate(shapes),
        crs=SRID,
    )
    buildings.to_crs(4326).to_parquet(folder / "buildings.parquet")
    side = SIDE_M / AREAS_ACROSS
    place = np.arange(copies * AREAS_ACROSS**2)
    part = place % AREAS_ACROSS**2
    corner = steps[place // AREAS_ACROSS**2] + [west, south]
    corner = corner + np.column_stack([part % AREAS_ACROSS, part // AREAS_ACROSS]) * side
    boxes = shapely.box(*corner.T, *(corner + side).T)
    codes = [f"{n + 1:012d}" for n in place]
    areas = gpd.GeoDataFrame({"code": codes, "name": codes}, geometry=boxes, crs=SRID)
    areas.to_file(folder / "areas.gpkg", driver="GPKG")
    return count


def _imported(folder: Path, expected: int, say: Say) -> list[Claim]:
    _run(folder, "db", "up")
    try:
        say("making the city")
        place = ["--county-code", "000286", "--lon", "27", "--lat", "60.6"]
        made = ["--name", CITY, *place, "--metre-srid", str(SRID), "--profile", "intl"]
        _run(folder, "city", "new", CITY, *made)
        into = ["--city", CITY, "--yes", "--json"]
        _run(folder, "import", "boundaries", "areas.gpkg", *into)
        say(f"importing {expected:,} buildings")
        with watched(_server(folder)) as seen:
            began, before = time.monotonic(), _waited_s()
            said = json.loads(_run(folder, "import", "buildings", "buildings.parquet", *into))
            wall_s, cpu_s = time.monotonic() - began, _waited_s() - before
        say("the same file once more")
        again = json.loads(_run(folder, "import", "buildings", "buildings.parquet", *into))
    finally:
        _run(folder, "db", "down")
    figure = (
        f"{seen.peak_mb:,.0f} MB at most ({seen.parts()}); CPU {cpu_s:.0f} s in the command and "
        f"{seen.server_cpu_s:.0f} s in the database; {wall_s:.0f} s"
    )
    new, twice = said["applied"]["new"], again["applied"]
    return [
        Claim("Every building stands in the database", f"{new:,}", held=new == expected),
        Claim(f"All processes stay below {MOST_MB:,} MB", figure, held=seen.peak_mb < MOST_MB),
        Claim("The same file changes nothing", str(twice), held=not any(twice.values())),
    ]


def _run(folder: Path, *call: str) -> str:
    """Run a command of the program; return what it says."""
    known = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    setting = known | {"WANGGE_PROJECT_DIR": str(folder), "PYTHONPATH": str(HOUSE)}
    done = subprocess.run(
        [*WANGGE, *call], cwd=folder, env=setting, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"wangge {' '.join(call)}: {said}")
    return done.stdout


def _waited_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _server(folder: Path) -> int:
    """Return the process that all others of the database are children of."""
    stamp = Cluster(folder).data_dir / "postmaster.pid"
    return int(stamp.read_text(encoding="ascii").split()[0])


# ---- memory and CPU of all processes ------------------------------------------------------------


@dataclass
class Seen:
    """What was seen of all processes while something ran."""

    peak_mb: float = 0.0
    at_peak: dict[str, float] = field(default_factory=dict)
    server: dict[int, float] = field(default_factory=dict)
    begun: dict[int, float] = field(default_factory=dict)

    @property
    def server_cpu_s(self) -> float:
        """CPU of the database's processes since the watch began, seconds."""
        spent = sum(self.server[pid] - self.begun.get(pid, 0.0) for pid in self.server)
        return spent / os.sysconf("SC_CLK_TCK")

    def parts(self) -> str:
        """Return how the peak is made up."""
        return ", ".join(f"{name} {mb:,.0f}" for name, mb in sorted(self.at_peak.items()))


@contextmanager
def watched(server: int) -> Iterator[Seen]:
    """Look at the memory of our children and of the database until the block ends."""
    seen, over = Seen(), threading.Event()

    def look() -> None:
        while not over.wait(LOOK_S):
            _look(seen, server)

    _look(seen, server)
    seen.begun = dict(seen.server)
    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield seen
    finally:
        over.set()
        watch.join()


def _look(seen: Seen, server: int) -> None:
    parents = _parents()
    database = _below(server, parents) | {server}
    ours = _below(os.getpid(), parents) - database
    for pid in database:
        seen.server[pid] = max(seen.server.get(pid, 0.0), _ticks(pid))
    now = {
        "database": sum(map(_mb, database)),
        "command and reader": sum(map(_mb, ours)),
    }
    if sum(now.values()) > seen.peak_mb:
        seen.peak_mb, seen.at_peak = sum(now.values()), now


def _parents() -> pd.Series[int]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = int(_fields(path)[1])
        except OSError:
            continue
    return pd.Series(found, dtype="int64")


def _fields(path: Path) -> list[str]:
    """Return the fields of a stat file behind the program's name: state, parent, ..."""
    return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _below(root: int, parents: pd.Series[int]) -> set[int]:
    found: set[int] = set()
    new = {root}
    while new:
        new = {int(pid) for pid in parents.index[parents.isin(list(new))]} - found
        found |= new
    return found


def _ticks(pid: int) -> float:
    try:
        fields: Any = _fields(Path(f"/proc/{pid}/stat"))
    except OSError:
        return 0.0
    return float(int(fields[11]) + int(fields[12]))


def _mb(pid: int) -> float:
    """Return a process's own memory and its part of what it shares, megabytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
