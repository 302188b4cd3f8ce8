"""What is done about issues without anybody asking: nets followed, deadlines, erasure, messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from geo.db import owner_transaction
from geo.errors import NetNotFoundError
from geo.store import nets
from geo.store.cases.handing import follow_closed, hand_over
from geo.store.cases.lapsing import warn_and_escalate
from geo.store.cases.retaining import Keep, retain
from geo.store.cases.sending import Sender, Way, send
from geo.store.together.following import follow
from geo.store.together.forgetting import forget
from geo.tables import City
from geo.terms import MessageKind

FOLLOWING: Final = timedelta(days=2)
"""For so long after a net began closed issues are brought after it."""


def do_chores(
    engine: Engine,
    folder: Path,
    keep: Keep | None = None,
    ways: Mapping[str, Way] | None = None,
    senders: Mapping[MessageKind, Sender] | None = None,
) -> dict[str, int]:
    """Do what is due in all cities; return how much was done. Each city is a transaction.

    A demo city's year is over: its deadlines stand as they are, and nothing in it is erased.
    """
    with owner_transaction(engine) as session:
        cities = session.execute(select(City.city_id, City.demo)).all()
    done: dict[str, int] = {}
    for city_id, demo in cities:
        with owner_transaction(engine) as session:
            told = _of_city(session, city_id, keep, demo=demo)
        for name, number in told.items():
            done[name] = done.get(name, 0) + number
    with owner_transaction(engine) as session:
        return done | send(session, folder, ways, senders)


def _of_city(session: Session, city_id: int, keep: Keep | None, *, demo: bool) -> dict[str, int]:
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    try:
        at = nets.moment(session, city_id)
    except NetNotFoundError:
        return {}
    done = hand_over(session, city_id, at.seq)
    done["followed_beside"] = follow(session, city_id, at.seq)
    began = datetime.combine(at.effective_from, datetime.min.time(), ZoneInfo(at.timezone))
    if now - began < FOLLOWING:
        done["followed"] = follow_closed(session, city_id, at.seq)
    if not demo:
        done |= warn_and_escalate(session, city_id, now)
        done |= retain(session, city_id, now, keep, dry_run=False)
        done["forgotten_beside"] = forget(session, city_id)
    return done
