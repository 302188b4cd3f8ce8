"""Every two kinds of edit are forced to meet at one grid: one counts, and the net stays whole.

What the first one does stands and is not committed; the second begins and must wait; then the
first is committed. Cutting edits are the owner's and have a city of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, InvalidInputError, StaleEditError
from geo.redraw.edits import EDITS
from geo.store import drafts
from geo.store.drafts.dividing import DIVIDE
from geo.store.drafts.editing import RETURN, UNDO
from tests.geo.test_drafts import Room, at, city, room
from tests.geo.test_drafts_cutting import Workshop, ground, line, shop
from tests.geo.test_drafts_together import LONGEST_S, Second

__all__ = ["city", "room", "shop"]

ACROSS = line((6, -0.1), (6, 2.1))
BETWEEN = line((5, 1.2), (6.4, 1.3), (6.5, 2.8), (8, 2.9))
KINDS: Mapping[str, Mapping[str, Any]] = {
    "move": {"cells": at((5, 1)), "into": 212},
    "merge": {"grids": [211, 212], "into": 211},
    "split": {"grid": 211, "parts": [at((5, 0), (5, 1))]},
    "split_by_line": {"grid": 211, "line": ACROSS},
    "drag": {"grids": [211, 212], "line": BETWEEN},
    "draw": {"cells": at((7, 0), (7, 1)), "parent": 21, "name": "新"},
    "reparent": {"grid": 211, "parent": 12},
    "rename": {"grid": 211, "name": "改"},
    "set_kind": {"grid": 211, "kind": "dedicated"},
    "recode": {"grid": 211, "code_range": "default", "name": "村改居"},
    "end": {"grid": 211, "into": 212},
    "release": {"cells": at((6, 0))},
    "mark": {"grid": 211, "parts": 2, "reason": "飞地"},
    DIVIDE: {"grid": 211, "n": 2},
    UNDO: {},
    RETURN: {},
}
CUTTING: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "split exactly": (
        "split_by_line",
        {"grid": 211, "line": line((6.5, -0.1), (6.6, 2.1)), "exact": True},
    ),
    "drag exactly": (
        "drag",
        {"grids": [211, 212], "line": line((5, 1.4), (8, 1.5)), "exact": True},
    ),
}
PAIRS = [
    pair if number % 2 else pair[::-1]
    for number, pair in enumerate(combinations_with_replacement(KINDS, 2))
]
CUT_PAIRS = [
    *combinations_with_replacement(CUTTING, 2),
    *((cut, kind) for number, cut in enumerate(CUTTING) for kind in list(KINDS)[number::2]),
    *((kind, cut) for number, cut in enumerate(CUTTING) for kind in list(KINDS)[1 - number :: 2]),
]


def do(session: Session, viewer: Viewer, plan: int, kind: str, known: Mapping[int, int]) -> Any:
    """Redraw a plan that has one edit."""
    if kind == UNDO:
        return drafts.undo(session, viewer, plan)
    if kind == RETURN:
        return drafts.return_to(session, viewer, plan, 0, 1)
    if kind == DIVIDE:
        return drafts.divide(session, viewer, plan, KINDS[kind], known)
    op, args = CUTTING.get(kind) or (kind, KINDS[kind])
    return drafts.apply(session, viewer, plan, op, args, known)


class Other(Second):
    """The second edit, of any kind, by any member."""

    def __init__(self, room: Room, viewer: Viewer, kind: str, known: Mapping[int, int]) -> None:
        super().__init__(room, (kind, {}), known)
        self.viewer = viewer

    def redraw(self, session: Session) -> Any:
        """Do what was wished for."""
        return do(session, self.viewer, self._room.plan, self._wish[0], self._versions)


def meet(room: Room, first: str, second: str) -> None:
    """Let two edits of grid 211 meet; the second one is told, and has changed nothing."""
    undoer = room.administrator if second == UNDO != first else room.planner
    with room.at_work() as session:
        drafts.set_members(
            session, room.planner, room.plan, {room.administrator.user_id or 0: ["draw"]}
        )
    room.edit("rename", undoer, grid=211, name="先")
    known = room.versions()
    with room.at_work() as session:
        do(session, room.planner, room.plan, first, known)
        other = Other(room, undoer, second, known)
        other.start()
        assert other.waits(room)
    other.join(LONGEST_S)
    assert not other.is_alive()
    assert isinstance(other.outcome, StaleEditError | ConflictError | InvalidInputError), (
        other.outcome
    )
    with room.at_work() as session:
        assert drafts.check(session, room.planner, room.plan)["faults"] == []
        edits = text("SELECT count(*) FROM plan_edit WHERE plan_id = :plan")
        assert session.scalar(edits, {"plan": room.plan}) == 2


def test_each_kind_of_edit_is_among_them() -> None:
    assert set(KINDS) == {*EDITS, DIVIDE, UNDO, RETURN}


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_whoever_comes_second_to_a_grid_is_told(room: Room, first: str, second: str) -> None:
    meet(room, first, second)


@pytest.mark.parametrize(("first", "second"), CUT_PAIRS)
def test_whoever_meets_a_cut_is_told(shop: Workshop, first: str, second: str) -> None:
    stood = ground(shop)
    meet(shop, first, second)
    assert (ground(shop) != stood) == (first in CUTTING), "a cut that is refused has cut nothing"
