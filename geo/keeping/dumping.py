"""Running `pg_dump` and `pg_restore`: all rows in spite of row-level security."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection

from geo import programs
from geo.errors import KeepingError, SetupError

LOCK_WAIT_MS: Final = 30_000
WORDS_KEPT: Final = 6
NOT_OURS: Final = re.compile(
    r" (?:COMMENT - )?EXTENSION (?:- )?|TABLE DATA public spatial_ref_sys "
)
"""Entries of a dump that belong to whoever set the server up: extensions and what is in them."""

GUARDS: Final = re.compile(r"^\d+; \d+ \d+ (?:POLICY|ROW SECURITY) ")


def clients(connection: Connection) -> Path:
    """Return the folder of the programs that fit the connection's server.

    Raises
    ------
    SetupError
        When this machine has none; `command` installs them.
    """
    info = connection.dialect.server_version_info
    version = int(info[0]) if info else 0
    found = programs.find_clients(version)
    if found is None:
        raise SetupError(
            f"The database is PostgreSQL {version}, and this machine has no pg_dump of version "
            f"{version} or newer.",
            command=f"sudo apt-get install -y postgresql-client-{version}",
        )
    return found


@contextlib.contextmanager
def dumping(
    bin_dir: Path,
    url: URL,
    dump: Path,
    *,
    snapshot: str,
    left_out: Sequence[str],
    told: Callable[[], None],
) -> Iterator[Callable[[], None]]:
    """Dump a database in the background while the block runs; yield the function that waits for it.

    By default pg_dump switches row-level security off and then fails on the tables that force it
    upon their owner. Here it stays on, and the owner's policies let the owner see every row:
    `geo.keeping.facts.demand_full_view` makes sure of that.

    Parameters
    ----------
    snapshot : str
        Exported snapshot that is dumped.
    left_out : sequence of str
        Tables of which only the definition is dumped.
    told : callable
        Called at the beginning of each table.

    Raises
    ------
    KeepingError
        From the yielded function, if pg_dump fails.
    """
    command = [
        *(str(bin_dir / "pg_dump"), "--format=custom", "--enable-row-security"),
        *("--no-password", "--verbose", f"--lock-wait-timeout={LOCK_WAIT_MS}"),
        *(f"--snapshot={snapshot}", f"--file={dump}"),
        *(f"--exclude-table-data=public.{table}" for table in left_out),
        f"--dbname={_without_password(url)}",
    ]
    with _started(
        command, url, lambda line: told() if "contents of table" in line else None
    ) as end:
        yield lambda: end("The database could not be dumped")


def restore(bin_dir: Path, url: URL, dump: Path, *, jobs: int, told: Callable[[], None]) -> None:
    """Restore a dump into an empty database that has the extensions.

    Parameters
    ----------
    told : callable
        Called at the beginning of each table's rows.

    Raises
    ------
    KeepingError
        If anything in it is refused.
    """
    program = str(bin_dir / "pg_restore")
    listed = subprocess.run(
        [program, "--list", str(dump)], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        raise KeepingError(f"The dump cannot be read: {listed.stderr.strip()}")
    lines = [line for line in listed.stdout.splitlines() if not NOT_OURS.search(line)]
    wanted = dump.with_name("wanted.list")
    for chosen in turns(lines):
        wanted.write_text("\n".join(chosen) + "\n", encoding="utf-8")
        command = [
            *(program, "--enable-row-security", "--no-owner", "--exit-on-error"),
            *("--no-password", "--verbose"),
            *(f"--jobs={jobs}", f"--use-list={wanted}", f"--dbname={_without_password(url)}"),
            str(dump),
        ]
        with _started(command, url, lambda line: _tell(told, line)) as end:
            end("The dump could not be restored")


def turns(lines: Sequence[str]) -> list[list[str]]:
    """Return the entries of a dump in the turns in which they are restored.

    Policies come last: several entries are restored at once, and a reference that is checked while
    row-level security stands on a table and its policies do not yet finds no row there.

    Parameters
    ----------
    lines : sequence of str
        As `pg_restore --list` says them.
    """
    last = [line for line in lines if GUARDS.search(line)]
    first = [line for line in lines if not GUARDS.search(line)]
    return [first, last] if last else [first]


def _tell(told: Callable[[], None], line: str) -> None:
    if "data for table" in line:
        told()


@contextlib.contextmanager
def _started(
    command: list[str], url: URL, hear: Callable[[str], None]
) -> Iterator[Callable[[str], None]]:
    """Run a program and hear what it says; it ends with the block, whatever happens there."""
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    if url.password is not None:
        env["PGPASSWORD"] = str(url.password)
    said: list[str] = []
    running = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=env,
        umask=0o077,
    )

    heard = running.stderr or io.StringIO()

    def listen() -> None:
        for line in heard:
            if re.search(r"error|fatal|detail|hint", line, re.IGNORECASE):
                said.append(line.strip())
            hear(line)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()

    def end(failure: str) -> None:
        code = running.wait()
        listener.join()
        if code != 0:
            words = "\n".join(said[:WORDS_KEPT]) or f"exit code {code}"
            raise KeepingError(f"{failure}.\n{words}")

    try:
        yield end
    finally:
        if running.poll() is None:
            running.terminate()
        running.wait()
        listener.join()
        heard.close()


def _without_password(url: URL) -> str:
    """Return the address as PostgreSQL's programs take it; the password goes another way."""
    plain = URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, url.query
    )
    return plain.render_as_string(hide_password=False)
