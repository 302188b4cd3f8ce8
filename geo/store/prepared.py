"""Borders of a city's nets encoded before anybody waits for them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from geo.store import nets
from geo.store.kept import Kept
from geo.store.reading import Asked, net_topology


def coming_nets(session: Session, city: int) -> list[tuple[int, str]]:
    """Return number and version of the net in force and of those that follow it."""
    found = [net for net in nets.nets(session, city) if net.cancelled_at is None]
    live = max((net.seq for net in found if net.live), default=0)
    return [(net.seq, net.version) for net in found if net.seq >= live]


def prepare_topologies(session: Session, city: int, seq: int, kept: Kept) -> int:
    """Encode the borders of all levels of a net, as maps ask for them; return how many there are.

    What is kept already is not made again: its key holds the net's content.

    Parameters
    ----------
    session : Session
    city, seq : int
    kept : Kept
        Where the server looks for them.

    Raises
    ------
    NetNotFoundError
        If there is no such net.
    """
    levels = [level.level for level in nets.levels(session, city, seq)]
    wanted: list[int | None] = [*levels[:-1], None] if len(levels) > 1 else [*levels]
    for level in wanted:
        for overview in (True, False):  # the whole city is what most people see first
            net_topology(session, Asked(city), seq, level, kept, overview=overview)
    return len(wanted)
