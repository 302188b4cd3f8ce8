"""PostgreSQL's programs with PostGIS: found on this machine, or installed from its packages."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from geo.errors import SetupError

Say = Callable[[str], None]

EXTENSIONS = ("postgis", "btree_gist", "pgcrypto", "pg_trgm")
POSTGIS_MIN = (3, 3)
POSTGRESQL_MIN = 15


@dataclass(frozen=True)
class Binaries:
    """PostgreSQL's programs of one major version, with PostGIS beside them."""

    bin_dir: Path
    version: int


def find_binaries(version: int | None = None) -> Binaries | None:
    """Return the newest PostgreSQL of this machine that has PostGIS and the other extensions.

    Parameters
    ----------
    version : int, optional
        Major version that an existing cluster asks for.

    Returns
    -------
    Binaries or None
        None when nothing on this machine fits.
    """
    places = [Path(found) for found in Path("/usr/lib/postgresql").glob("*/bin")]
    for program in ("pg_config", "initdb"):
        on_path = shutil.which(program)
        if on_path:
            places.append(Path(on_path).resolve().parent)
    fitting = [
        Binaries(place, major)
        for place in dict.fromkeys(places)
        if all((place / name).is_file() for name in ("initdb", "pg_ctl", "postgres", "psql"))
        and (major := _major_version(place)) >= POSTGRESQL_MIN
        and version in (None, major)
        and _has_extensions(place, major)
    ]
    return max(fitting, key=lambda found: found.version, default=None)


def find_clients(server_version: int) -> Path | None:
    """Return the folder of `pg_dump` and `pg_restore` that fit a server, the nearest version first.

    Parameters
    ----------
    server_version : int
        Major version of the server; older programs cannot dump it.
    """
    places = [Path(found) for found in Path("/usr/lib/postgresql").glob("*/bin")]
    on_path = shutil.which("pg_dump")
    if on_path:
        places.append(Path(on_path).parent)
    fitting = [
        (major, place)
        for place in dict.fromkeys(places)
        if all((place / name).is_file() for name in ("pg_dump", "pg_restore"))
        and (major := _client_version(place)) >= server_version
    ]
    return min(fitting)[1] if fitting else None


def install(project_dir: Path, say: Say) -> None:
    """Install PostgreSQL with PostGIS from the system's packages.

    Raises
    ------
    SetupError
        When that takes rights which the user lacks; `command` is the one line to type.
    """
    script = project_dir / "setup" / "postgis.sh"
    line = "sudo apt-get install -y postgresql postgis 'postgresql-[0-9]+-postgis-3$'"
    if not script.is_file() or not shutil.which("apt-get"):
        raise SetupError(
            "PostgreSQL with PostGIS 3.3 or newer was not found on this machine. "
            "Install it, or set DATABASE_URL to a database that has it.",
            command=line,
        )
    say("PostgreSQL with PostGIS is missing: installing it from the system's packages.")
    running = subprocess.Popen(
        ["/bin/sh", str(script)], cwd=project_dir, stdin=subprocess.DEVNULL, stdout=2
    )
    try:
        failed = running.wait() != 0
    except KeyboardInterrupt:
        running.terminate()  # not killed: it takes back what it wrote for the time of installing
        running.wait()
        raise
    if failed:
        raise SetupError(
            "PostgreSQL with PostGIS could not be installed; the line above says what to type. "
            "Or set DATABASE_URL to a database that has PostGIS.",
            command=line,
        )


def _major_version(bin_dir: Path) -> int:
    if bin_dir.parent.name.isdigit() and bin_dir.parent.parent.name == "postgresql":
        return int(bin_dir.parent.name)
    return _spoken_version(bin_dir / "postgres")


def _client_version(bin_dir: Path) -> int:
    if bin_dir.parent.name.isdigit() and bin_dir.parent.parent.name == "postgresql":
        return int(bin_dir.parent.name)
    return _spoken_version(bin_dir / "pg_dump")


def _spoken_version(program: Path) -> int:
    found = re.search(r"\b(\d+)(?:\.|\w|$)", _ask(program, "--version"))
    return int(found.group(1)) if found else 0


def _has_extensions(bin_dir: Path, major: int) -> bool:
    share = Path("/usr/share/postgresql") / str(major)
    if not share.is_dir() or bin_dir != Path("/usr/lib/postgresql") / str(major) / "bin":
        share = Path(_ask(bin_dir / "pg_config", "--sharedir") or "/nonexistent")
    controls = {name: share / "extension" / f"{name}.control" for name in EXTENSIONS}
    if not all(path.is_file() for path in controls.values()):
        return False
    text = controls["postgis"].read_text(encoding="utf-8", errors="replace")
    found = re.search(r"default_version\s*=\s*'(\d+)\.(\d+)", text)
    return found is not None and (int(found[1]), int(found[2])) >= POSTGIS_MIN


def _ask(program: Path, option: str) -> str:
    try:
        done = subprocess.run([str(program), option], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
