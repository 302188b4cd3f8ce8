"""Cells kept as they are while somebody works on them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo.errors import TooBusyError

CELLS_LOCK: Final = 7201
"""First half of the advisory lock on the cells of a city; the second is the city."""


CUTTING_S: Final = 5
"""After which it is worth asking again whether a cut is over."""


def hold_cells(session: Session, city_id: int, *, exclusive: bool = False) -> None:
    """Keep the cells of a city as they are until the transaction ends.

    Any number of edits hold them shared; a cut holds them alone and waits for the edits.
    """
    lock = func.pg_advisory_xact_lock if exclusive else func.pg_advisory_xact_lock_shared
    session.execute(select(lock(CELLS_LOCK, city_id)))


def hold_cells_now(session: Session, city_id: int) -> None:
    """Hold the cells shared as `hold_cells` does, but wait for nobody.

    A large delivery may cut for minutes; callers who wait would keep all connections meanwhile.

    Raises
    ------
    TooBusyError
        If cells are being cut at this moment; `retry_after_s` says when to come again.
    """
    if not session.scalar(select(func.pg_try_advisory_xact_lock_shared(CELLS_LOCK, city_id))):
        raise TooBusyError("Cells are being cut at this moment.", retry_after_s=CUTTING_S)
