"""Two people at one draft are forced to meet, and the net stays whole.

The first edit is done and not committed; the second one begins and must wait for it or not touch
it; then the first is committed, and what the second one says is looked at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.errors import PlanRuleError
from geo.store import drafts
from tests.geo.test_drafts import Room, at, city, room

__all__ = ["city", "room"]

Wish = tuple[str, dict[str, Any]]
LONGEST_S = 60.0


class Second(threading.Thread):
    """The second edit, in a transaction of its own."""

    def __init__(self, room: Room, wish: Wish, versions: Mapping[int, int]) -> None:
        super().__init__(daemon=True)
        self._room, self._wish, self._versions = room, wish, versions
        self.pid = 0
        self.outcome: Any = None

    def run(self) -> None:
        """Apply the edit; keep what it says."""
        try:
            with self._room.at_work() as session:
                self.pid = int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
                self.outcome = self.redraw(session)
        except Exception as error:
            self.outcome = error

    def redraw(self, session: Session) -> Any:
        """Do what was wished for."""
        room = self._room
        return drafts.apply(session, room.planner, room.plan, *self._wish, self._versions)

    def waits(self, room: Room) -> bool:
        """Return whether the edit waits for another transaction; False once it is over."""
        until = time.monotonic() + LONGEST_S
        with room.migrated.engine.connect() as connection:
            while self.is_alive() and time.monotonic() < until:
                asked = text("SELECT count(*) > 0 FROM pg_locks WHERE pid = :pid AND NOT granted")
                if self.pid and connection.execute(asked, {"pid": self.pid}).scalar():
                    return True
                connection.rollback()
                time.sleep(0.02)
        return False


def meet(
    room: Room, first: Wish, second: Wish, versions: Mapping[int, int] | None = None
) -> tuple[bool, Any]:
    """Let two edits meet; return whether the second one waited, and what came of it."""
    known = room.versions()
    with room.at_work() as session:
        drafts.apply(session, room.planner, room.plan, *first, known)
        other = Second(room, second, {**known, **(versions or {})})
        other.start()
        waited = other.waits(room)
    other.join(LONGEST_S)
    assert not other.is_alive()
    with room.at_work() as session:
        assert drafts.check(session, room.planner, room.plan)["faults"] == []
    return waited, other.outcome


def test_edits_of_other_grids_do_not_wait(room: Room) -> None:
    waited, outcome = meet(
        room, ("rename", {"grid": 211, "name": "改"}), ("rename", {"grid": 212, "name": "改"})
    )
    assert not waited or outcome.n == 2, "only the logs are written one after the other"
    assert outcome.n == 2


def test_two_edits_with_no_grid_in_common_cannot_tear_their_parent(room: Room) -> None:
    """Each alone leaves community 21 whole; after both its south would hang in the air."""
    for grid in (1111, 111, 11, 1):
        room.edit("mark", grid=grid, parts=3, reason="飞地")
    south = ("move", {"cells": at((5, 1), (6, 1)), "into": 121})
    north = ("move", {"cells": at((7, 2)), "into": 1111})
    for one in (south, north):
        assert room.edit(one[0], **one[1]).n
        room.undo()
    waited, outcome = meet(room, south, north)
    assert waited
    assert isinstance(outcome, PlanRuleError), outcome
    assert 21 in {fault["grid"] for fault in outcome.data["faults"]}


def test_the_last_two_cells_of_a_grid_do_not_both_go(room: Room) -> None:
    room.edit("move", cells=at((7, 4)), into=212)
    known = room.versions()
    later = {213: known[213] + 1, 212: known[212] + 1}
    waited, outcome = meet(
        room,
        ("move", {"cells": at((5, 4)), "into": 212}),
        ("move", {"cells": at((6, 4)), "into": 212}),
        later,
    )
    assert waited
    assert isinstance(outcome, PlanRuleError), outcome
    assert outcome.data["faults"][0]["rule"] == "empty"
