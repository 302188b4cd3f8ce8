"""Cells kept as they are while somebody works on them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

CELLS_LOCK: Final = 7201
"""First half of the advisory lock on the cells of a city; the second is the city."""


def hold_cells(session: Session, city_id: int, *, exclusive: bool = False) -> None:
    """Keep the cells of a city as they are until the transaction ends.

    Any number of edits hold them shared; a cut holds them alone and waits for the edits.
    """
    lock = func.pg_advisory_xact_lock if exclusive else func.pg_advisory_xact_lock_shared
    session.execute(select(lock(CELLS_LOCK, city_id)))
