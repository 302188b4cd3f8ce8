"""A plan put on the last net: what both sides changed is decided by somebody, never by chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import geopandas as gpd
import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo import publishing
from geo.db import Viewer
from geo.errors import HierarchyError, PlanStateError, RebaseConflictError
from geo.grids import hierarchy
from geo.publishing import Conflict, Rebased
from geo.redraw.scene import Change, GridFacts
from geo.saying import phrase
from geo.store.drafts import checks, rows, states, validating
from geo.store.drafts.editing import LOG_LOCK
from geo.store.drafts.rows import Draft
from geo.store.drafts.telling import whole
from geo.store.publishing import turning
from geo.tables import City, Plan, PlanEdit
from geo.terms import GridKind, PlanState
from geo.topology import boundaries

MOST_ROUNDS: Final = 6
"""How often grids that a merge tears may be taken whole before it is left to the planner."""
REBASE: Final = "rebase"

_CELLS: Final = text("""
    SELECT c.cell_id, coalesce(b.grid_id, :reserve) AS base,
        coalesce(d.grid_id, b.grid_id, :reserve) AS mine, t.grid_id AS theirs
    FROM (
        SELECT cell_id FROM plan_cell WHERE city_id = :city AND plan_id = :plan
        UNION
        SELECT cell_id FROM net_cell
        WHERE city_id = :city AND from_seq <= :last
            AND from_seq > coalesce(CAST(:base AS integer), 0)
    ) AS c
    JOIN cell AS k ON k.city_id = :city AND k.cell_id = c.cell_id AND k.retired_by_cut IS NULL
    JOIN net_cell AS t ON t.city_id = :city AND t.cell_id = c.cell_id
        AND t.from_seq <= :last AND :last < t.to_seq
    LEFT JOIN net_cell AS b ON b.city_id = :city AND b.cell_id = c.cell_id
        AND b.from_seq <= :base AND :base < b.to_seq
    LEFT JOIN plan_cell AS d ON d.city_id = :city AND d.plan_id = :plan AND d.cell_id = c.cell_id
    ORDER BY c.cell_id
""")
_OF_NET: Final = text("""
    SELECT g.grid_id, g.level, g.parent_id, g.name, g.kind, false, coalesce(x.parts, 1), x.reason
    FROM net_grid AS g
    LEFT JOIN net_exception AS x ON x.city_id = g.city_id AND x.grid_id = g.grid_id
        AND x.from_seq <= :seq AND :seq < x.to_seq
    WHERE g.city_id = :city AND g.from_seq <= :seq AND :seq < g.to_seq
""")
_OF_PLAN: Final = text("""
    SELECT grid_id, level, parent_id, name, kind, ended, parts, parts_reason, code_range
    FROM plan_grid WHERE city_id = :city AND plan_id = :plan
""")
_LAST: Final = text("SELECT max(seq) FROM net WHERE city_id = :city AND cancelled_at IS NULL")
_LAST_EDIT: Final = text(
    "SELECT coalesce(max(n), 0) FROM plan_edit WHERE city_id = :city AND plan_id = :plan"
)
_PUT_CELLS: Final = text("""
    INSERT INTO plan_cell (city_id, plan_id, cell_id, grid_id)
    SELECT :city, :plan, c.cell_id, c.grid_id
    FROM unnest(CAST(:cells AS bigint[]), CAST(:grids AS bigint[])) AS c (cell_id, grid_id)
""")
_DROP_CELLS: Final = text("DELETE FROM plan_cell WHERE city_id = :city AND plan_id = :plan")
_FRESH: Final = text("""
    UPDATE plan_grid SET boundary_from = :last
    WHERE city_id = :city AND plan_id = :plan AND grid_id = ANY (:grids)
""")


@dataclass(frozen=True)
class Rebasing:
    """What a rebase did.

    Attributes
    ----------
    base_seq : int
        Net on which the plan stands now.
    cells : int
        Cells that the plan gives to other grids than this net.
    grids : list of int
        Grids of the plan that are otherwise than before.
    """

    base_seq: int
    cells: int
    grids: list[int]


def rebase(session: Session, viewer: Viewer, plan_id: int, choices: Mapping[str, str]) -> Rebasing:
    """Put a plan on the last net of its city; it is a draft then, and an approval lapses.

    Parameters
    ----------
    choices : mapping of str to str
        Conflict -> `mine` or `theirs`; `*` for all that are not named.

    Raises
    ------
    PlanNotFoundError, ForbiddenError
        If the viewer is no member, or may not draw.
    PlanStateError
        If the plan was published or withdrawn, or stands on the last net already.
    InvalidInputError
        If a choice is neither mine nor theirs.
    RebaseConflictError
        If both sides changed the same, or their changes tear a grid together; `conflicts` says
        what and where. Nothing is changed then.
    """
    publishing.check_choices(choices)
    plan = turning.held(session, viewer, plan_id)
    turning.demand_right(viewer, plan, "draw")
    turning.demand_state(plan, PlanState.DRAFT, PlanState.SUBMITTED, PlanState.APPROVED)
    draft = rows.draft_of(plan)
    last = int(session.scalar(_LAST, draft.known()) or 0)
    if plan.base_seq == last:
        message = phrase(
            "The plan %(plan)s stands on the last net, %(last)s, already.", plan=plan_id, last=last
        )
        raise PlanStateError(message, plan=plan_id, state=plan.state, reason="newest")
    before = plan.state
    states.turn(session, viewer, plan_id, PlanState.DRAFT, base=last)
    point = session.begin_nested()
    merge = _Merge(session, plan, draft, last)
    result = merge.run(choices)
    if result.conflicts:
        told = [merge.told(one) for one in result.conflicts]
        point.rollback()
        raise RebaseConflictError(
            phrase("%(n)s conflict(s) with net %(last)s: decide each one.", n=len(told), last=last),
            conflicts=told, plan=plan_id, last_seq=last,
        )  # fmt: skip
    point.commit()
    grids = sorted(result.taken)
    rows.age(session, merge.draft, grids, grids)
    _note_edit(session, viewer, merge.draft, draft.base_seq, last, grids, choices)
    if before in states.WAITING:
        states.note(session, viewer, plan_id, "plan.lapse", {"from": before})
    noted = {"base": draft.base_seq, "onto": last, "choices": dict(list(choices.items())[:200])}
    states.note(session, viewer, plan_id, "plan.rebase", noted)
    return Rebasing(last, merge.differing, grids)


def _note_edit(
    session: Session,
    viewer: Viewer,
    draft: Draft,
    base: int | None,
    last: int,
    grids: list[int],
    choices: Mapping[str, str],
) -> None:
    """Note the rebase among the edits: what was drawn before on these grids is built upon."""
    session.execute(text("SELECT pg_advisory_xact_lock(:lock, :plan)"),
                    {"lock": LOG_LOCK, "plan": draft.plan_id})  # fmt: skip
    n = int(session.execute(_LAST_EDIT, draft.known()).scalar_one()) + 1
    args = {"base": base, "onto": last, "choices": dict(choices)}
    session.add(
        PlanEdit(
            city_id=draft.city_id, plan_id=draft.plan_id, n=n, actor_id=viewer.user_id,
            op=REBASE, args=args, inverse={"cells": {}, "grids": {}}, touched=grids,
        )
    )  # fmt: skip
    session.flush()


class _Merge:
    """Three sides of one plan, merged, written and looked at, until nothing is torn."""

    def __init__(self, session: Session, plan: Plan, draft: Draft, last: int) -> None:
        self.session = session
        self.srid = session.get_one(City, draft.city_id).metre_srid
        self.old, self.last = draft, last
        self.draft = Draft(
            draft.city_id, draft.plan_id, last, PlanState.DRAFT, draft.rules, draft.author_id
        )
        self.base = self._net(draft.base_seq)
        self.mine = self._facts(_OF_PLAN, draft.known())
        self.theirs = self._net(last)
        reserve = _reserve(self.mine)
        found = session.execute(_CELLS, draft.known(last=last, reserve=reserve)).all()
        names = ["cell_id", "base", "mine", "theirs"]
        frame = pd.DataFrame([tuple(row) for row in found], columns=names, dtype="int64")
        self.cells = frame.set_index("cell_id")
        self.written = dict(self.mine)
        if draft.base_seq is None:
            self._replace_all()
        self._share_reserve(reserve)
        self.differing = 0

    def _net(self, seq: int | None) -> dict[int, GridFacts]:
        known = {"city": self.old.city_id, "seq": seq}
        return self._facts(_OF_NET, known) if seq is not None else {}

    def _facts(self, statement: Any, known: Mapping[str, Any]) -> dict[int, GridFacts]:
        return {row[0]: GridFacts(*row[1:]) for row in self.session.execute(statement, known)}

    def _replace_all(self) -> None:
        """Let a plan that began empty stand against the net: it ends what it does not have."""
        self.base = self.theirs
        self.cells["base"] = self.cells["theirs"]
        for grid, facts in self.theirs.items():
            self.mine.setdefault(grid, replace(facts, ended=True))

    def _share_reserve(self, own: int | None) -> None:
        """Let cells of an own reserve go to the one that the later net has: there is one."""
        there = _reserve(self.theirs)
        if own is None or there is None or own == there or own in self.base:
            return
        self.cells = self.cells.replace({"base": {own: there}, "mine": {own: there}})
        self.mine[there] = self.theirs[there]
        gone = self.mine[own]
        self.mine[own] = GridFacts(gone.level, None, gone.name, gone.kind, ended=True)

    def run(self, choices: Mapping[str, str]) -> Rebased:
        """Merge until no grid is torn by it, or somebody has to decide."""
        broken: set[int] = set()
        for _ in range(MOST_ROUNDS):
            sides = (self.cells, self.base, self.mine, self.theirs)
            result = publishing.rebase(*sides, choices, sorted(broken))
            if result.conflicts:
                return result
            self._write(result)
            torn = self._torn(result) - broken
            if not torn:
                return result
            broken |= torn
        every = (f"The grid {grid} would be torn either way." for grid in sorted(broken))
        listed = [
            Conflict(f"whole:{grid}", grid, "mine", "theirs", said)
            for grid, said in zip(sorted(broken), every, strict=True)
        ]
        return Rebased(result.owners, result.grids, listed)

    def _write(self, result: Rebased) -> None:
        """Write a merge as what the plan is otherwise than the later net."""
        session, known = self.session, self.draft.known()
        session.execute(_DROP_CELLS, known)
        told = {grid: of for grid, of in result.grids.items() if self.written.get(grid) != of}
        rows.write(session, self.draft, Change({}, told), None)
        self.written |= told
        other = result.owners[result.owners != self.cells["theirs"]]
        cells, grids = other.index.tolist(), other.tolist()
        session.execute(_PUT_CELLS, {**known, "cells": cells, "grids": grids})
        same = [grid for grid, facts in result.grids.items() if self.theirs.get(grid) == facts]
        session.execute(_FRESH, {**known, "last": self.last, "grids": same})
        self.differing = len(other)

    def _torn(self, result: Rebased) -> set[int]:
        """Return the grids that are torn, empty, divided and filled, or hang in the air."""
        standing = {grid: facts for grid, facts in result.grids.items() if not facts.ended}
        lost = {
            facts.parent for facts in standing.values()
            if facts.parent is not None and facts.parent not in standing
        }  # fmt: skip
        owners = whole(self.session, self.draft)
        lost |= set(owners["grid_id"]) - set(standing)
        grids = validating.live_grids(self.session, self.draft)
        if lost:
            return lost
        try:
            hierarchy(grids)
        except HierarchyError:
            return {grid for grid, facts in standing.items() if facts != self.theirs.get(grid)}
        return validating.broken(self.session, self.draft, owners, grids)

    def told(self, conflict: Conflict) -> dict[str, Any]:
        """Return a conflict with its place as GeoJSON: the cells, else the grid as it stands."""
        cells: list[int] = list(conflict.cells)
        if not cells:
            here = self.theirs if conflict.grid in self.theirs else self.base
            cells = self._cells_of(conflict.grid, here)
        place = None
        if cells:
            shapes = checks.ground_of(self.session, self.draft, cells, self.srid).shapes
            united = boundaries(
                gpd.GeoSeries(shapes), pd.Series(1, index=shapes.index, dtype="int64")
            )
            place = checks.geojson(united.iloc[0], self.srid)
        return {
            "key": conflict.key, "grid": conflict.grid, "mine": conflict.mine,
            "theirs": conflict.theirs, "cells": cells[:1000] if conflict.cells else [],
            "message": conflict.message, "place": place,
        }  # fmt: skip

    def _cells_of(self, grid: int, facts: Mapping[int, GridFacts]) -> list[int]:
        below = rows.below(facts, [grid])
        seq = self.last if facts is self.theirs else self.old.base_seq
        known = {"city": self.old.city_id, "seq": seq, "grids": sorted(below)}
        return [int(cell) for cell in self.session.scalars(_CELLS_OF_NET, known)]


_CELLS_OF_NET: Final = text("""
    SELECT cell_id FROM net_cell WHERE city_id = :city AND grid_id = ANY (:grids)
        AND from_seq <= :seq AND :seq < to_seq ORDER BY cell_id
""")


def _reserve(facts: Mapping[int, GridFacts]) -> int | None:
    found = [
        grid for grid, of in sorted(facts.items())
        if of.kind == GridKind.RESERVE.value and of.parent is None and not of.ended
    ]  # fmt: skip
    return found[0] if found else None
