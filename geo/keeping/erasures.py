"""The list of what was erased, kept outside the database: older backups must not bring it back.

Each line says city, table, number, moment and reason, never what was erased.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine

from geo.db import owner_engine, owner_transaction
from geo.errors import KeepingError
from geo.store.cases.stones import Stone, stones

FILE: Final = "erasures.jsonl"
"""Name of the list, beside the backups."""


def read(path: Path) -> list[Stone]:
    """Return the stones of a list; none where there is no such file.

    Raises
    ------
    KeepingError
        If a line is none of ours: a list that is not read whole would bring things back.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            said = json.loads(line)
            moment = datetime.fromisoformat(said["erased_at"])
            if moment.tzinfo is None:
                raise ValueError("no zone")
            found.append(
                Stone(said["city"], said["relation"], int(said["object_id"]), moment,
                      said["reason"])
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise KeepingError(f"{path}, line {number} is no erasure: {error}.") from None
    return found


def write(path: Path, found: Iterable[Stone]) -> int:
    """Add stones to a list; return how many it has now. The file is whole at every moment."""
    latest: dict[tuple[str, str, int], Stone] = {}
    for one in (*read(path), *found):
        key = (one.city, one.relation, one.object_id)
        if key not in latest or latest[key].erased_at < one.erased_at:
            latest[key] = one
    lines = [
        json.dumps({**asdict(one), "erased_at": one.erased_at.isoformat()}, ensure_ascii=False)
        for one in sorted(latest.values())
    ]
    handle, name = tempfile.mkstemp(prefix=f".{FILE}", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as made:
            made.write("".join(f"{line}\n" for line in lines))
            made.flush()
            os.fsync(made.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return len(lines)


def keep(engine: Engine, folder: Path) -> int:
    """Bring the list of a folder up to date with a database; return how many lines it has."""
    with owner_transaction(engine) as session:
        found = stones(session)
    path = folder / FILE
    return write(path, found) if found or path.exists() else 0


def of_database(url: URL) -> list[Stone]:
    """Return the stones of a database of ours, whatever its version; none of another one."""
    engine = owner_engine(url.render_as_string(hide_password=False))
    try:
        with owner_transaction(engine) as session:
            return stones(session)
    finally:
        engine.dispose()
