"""Rows of a plan: read sparsely over its base net, locked in order, written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import any_, func, select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, PlanNotFoundError, PlanStateError
from geo.redraw.edits import Named
from geo.redraw.scene import Change, GridFacts, Scene
from geo.saying import phrase
from geo.store.drafts import states
from geo.tables import Level, Plan
from geo.terms import GridKind, PlanState

NUMBERS_LOCK: Final = 7202
"""First half of the advisory lock on the numbers of new grids; the second is the city."""

_NAMED = text("""
    WITH RECURSIVE asked AS (
        SELECT unnest(CAST(:grids AS bigint[])) AS grid_id
    ), below AS (
        SELECT a.grid_id, 0 AS depth FROM asked AS a
        UNION
        SELECT g.grid_id, b.depth + 1 FROM below AS b, LATERAL (
            SELECT x.grid_id FROM plan_grid AS x WHERE x.city_id = :city AND x.plan_id = :plan
                AND x.parent_id = b.grid_id AND NOT x.ended OFFSET 0) AS g
        WHERE CAST(:deep AS boolean) OR b.depth = 0
    ), above AS (
        SELECT grid_id FROM asked
        UNION
        SELECT unnest(CAST(:holders AS bigint[]))
        UNION
        SELECT g.parent_id FROM above AS a, LATERAL (
            SELECT x.parent_id FROM plan_grid AS x WHERE x.city_id = :city AND x.plan_id = :plan
                AND x.grid_id = a.grid_id AND x.parent_id IS NOT NULL OFFSET 0) AS g
    )
    SELECT g.* FROM (SELECT grid_id FROM below UNION SELECT grid_id FROM above) AS known,
        LATERAL (
            SELECT x.grid_id, x.level, x.parent_id, x.name, x.kind, x.ended, x.parts,
                x.parts_reason, x.code_range
            FROM plan_grid AS x WHERE x.city_id = :city AND x.plan_id = :plan
                AND x.grid_id = known.grid_id OFFSET 0) AS g
""")
"""Row after row by its key (`OFFSET 0` keeps it so): without figures of a plan just opened, the
planner takes it for one row and would read it whole for each."""

_OWNERS = text("""
    SELECT c.cell_id, coalesce(d.grid_id, n.grid_id, :reserve) AS grid_id
    FROM cell AS c
    LEFT JOIN plan_cell AS d ON d.city_id = c.city_id AND d.plan_id = :plan
        AND d.cell_id = c.cell_id
    LEFT JOIN net_cell AS n ON n.city_id = c.city_id AND n.cell_id = c.cell_id
        AND n.from_seq <= :base AND :base < n.to_seq
    WHERE c.city_id = :city AND c.cell_id = ANY (:cells) AND c.retired_by_cut IS NULL
        AND coalesce(d.grid_id, n.grid_id, :reserve) IS NOT NULL
""")
CELLS_OF: Final = """
    SELECT n.cell_id, n.grid_id FROM net_cell AS n
    WHERE n.city_id = :city AND n.grid_id = ANY (:grids)
        AND n.from_seq <= :base AND :base < n.to_seq
        AND NOT EXISTS (SELECT FROM plan_cell AS d WHERE d.city_id = n.city_id
            AND d.plan_id = :plan AND d.cell_id = n.cell_id)
    UNION ALL
    SELECT d.cell_id, d.grid_id FROM plan_cell AS d
    WHERE d.city_id = :city AND d.plan_id = :plan AND d.grid_id = ANY (:grids)
"""
_CELLS_OF = text(CELLS_OF)
_RESERVE = text("""
    SELECT grid_id FROM plan_grid WHERE city_id = :city AND plan_id = :plan
        AND kind = 'reserve' AND parent_id IS NULL AND NOT ended ORDER BY grid_id LIMIT 1
""")
_WEIGHT = text("""
    SELECT v.cell_id, v.value FROM cell_value AS v
    WHERE v.city_id = :city AND v.cell_id = ANY (:cells) AND v.measure = 'households'
        AND v.vintage = (SELECT x.vintage FROM vintage AS x WHERE x.city_id = :city
            AND NOT x.seasonal ORDER BY x.taken_on DESC, x.vintage LIMIT 1)
""")
_LOCK = text("""
    SELECT grid_id, version, name, ended, locked_by FROM plan_grid
    WHERE city_id = :city AND plan_id = :plan AND grid_id = ANY (:grids)
    ORDER BY grid_id FOR NO KEY UPDATE
""")
_TO_BASE = text("""
    DELETE FROM plan_cell AS d
    USING unnest(CAST(:cells AS bigint[]), CAST(:owners AS bigint[])) AS c (cell_id, grid_id)
    LEFT JOIN net_cell AS n ON n.city_id = :city AND n.cell_id = c.cell_id
        AND n.from_seq <= :base AND :base < n.to_seq
    WHERE d.city_id = :city AND d.plan_id = :plan AND d.cell_id = c.cell_id
        AND c.grid_id = coalesce(n.grid_id, :reserve)
""")
_TO_OTHERS = text("""
    INSERT INTO plan_cell (city_id, plan_id, cell_id, grid_id)
    SELECT :city, :plan, c.cell_id, c.grid_id
    FROM unnest(CAST(:cells AS bigint[]), CAST(:owners AS bigint[])) AS c (cell_id, grid_id)
    LEFT JOIN net_cell AS n ON n.city_id = :city AND n.cell_id = c.cell_id
        AND n.from_seq <= :base AND :base < n.to_seq
    WHERE c.grid_id IS DISTINCT FROM coalesce(n.grid_id, :reserve)
    ORDER BY c.cell_id
    ON CONFLICT (city_id, plan_id, cell_id) DO UPDATE SET grid_id = excluded.grid_id
""")
_READ = text("""
    SELECT grid_id, version, name, ended, locked_by FROM plan_grid
    WHERE city_id = :city AND plan_id = :plan AND grid_id = ANY (:grids)
""")
_NUMBERED = text("""
    INSERT INTO grid (city_id, grid_id, level)
    SELECT :city, g.grid_id, g.level
    FROM unnest(CAST(:grids AS bigint[]), CAST(:levels AS smallint[])) AS g (grid_id, level)
""")
_PUT_GRID = text("""
    INSERT INTO plan_grid (city_id, plan_id, grid_id, level, parent_id, name, kind, ended, parts,
        parts_reason, code_range)
    VALUES (:city, :plan, :grid, :level, :parent, :name, :kind, :ended, :parts, :reason, :range)
    ON CONFLICT (city_id, plan_id, grid_id) DO UPDATE SET parent_id = excluded.parent_id,
        name = excluded.name, kind = excluded.kind, ended = excluded.ended,
        parts = excluded.parts, parts_reason = excluded.parts_reason,
        code_range = excluded.code_range
""")
_AGED = text("""
    UPDATE plan_grid SET version = version + 1,
        boundary = CASE WHEN grid_id = ANY (:redrawn) THEN NULL ELSE boundary END,
        boundary_from = CASE WHEN grid_id = ANY (:redrawn) THEN NULL ELSE boundary_from END
    WHERE city_id = :city AND plan_id = :plan AND grid_id = ANY (:grids)
    RETURNING grid_id, version
""")
_PIECES = text("""
    WITH RECURSIVE piece AS (
        SELECT c.cell_id AS asked, c.cell_id FROM unnest(CAST(:cells AS bigint[])) AS c (cell_id)
        UNION
        SELECT p.asked, l.piece_id FROM piece AS p
        JOIN cell_lineage AS l ON l.city_id = :city AND l.cell_id = p.cell_id
    )
    SELECT p.asked, p.cell_id FROM piece AS p
    JOIN cell AS c ON c.city_id = :city AND c.cell_id = p.cell_id AND c.retired_by_cut IS NULL
""")


@dataclass(frozen=True)
class Draft:
    """A plan as an edit finds it."""

    city_id: int
    plan_id: int
    base_seq: int | None
    state: str
    rules: dict[str, Any]
    author_id: int

    def known(self, **more: Any) -> dict[str, Any]:
        """Return the values that every statement on the plan takes, and more."""
        return {"city": self.city_id, "plan": self.plan_id, "base": self.base_seq, **more}


def find(session: Session, viewer: Viewer, plan_id: int, *, share: bool = False) -> Plan:
    """Return a plan that the viewer is a member of; with `share`, it stays as it is.

    Raises
    ------
    PlanNotFoundError
        If there is none.
    """
    wanted = select(Plan).where(
        Plan.city_id == viewer.city_id,
        Plan.plan_id == plan_id,
        any_(Plan.members) == viewer.user_id,
    )
    if share:
        wanted = wanted.with_for_update(read=True).execution_options(populate_existing=True)
    found = session.scalar(wanted) if viewer.city_id and viewer.user_id else None
    if found is None:
        raise PlanNotFoundError(phrase("There is no plan %(plan)s.", plan=plan_id), plan=plan_id)
    return found


def drawn_on(session: Session, viewer: Viewer, plan_id: int) -> Draft:
    """Return a draft that the viewer may draw on; it stays one until the transaction ends.

    A plan that waits for approval, or has it, becomes a draft again: the approval lapses.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    ForbiddenError
        If the viewer may look on only.
    PlanStateError
        If the plan was published or withdrawn.
    """
    if viewer.user_id not in find(session, viewer, plan_id).drawers:
        raise ForbiddenError(phrase("You are a member of this plan without the right to draw."))
    while True:
        point = session.begin_nested()
        plan = find(session, viewer, plan_id, share=True)
        if plan.state not in states.WAITING:
            point.commit()
            break
        before = plan.state
        point.rollback()  # the shared lock goes too: two editors would wait for each other
        states.lapse(session, viewer, plan_id, before)
    if plan.state != PlanState.DRAFT:
        message = phrase(
            "The plan %(plan)s is %(state)s: only drafts are redrawn.",
            plan=plan_id,
            state=states.IN_WORDS[plan.state],
        )
        raise PlanStateError(message, plan=plan_id, state=plan.state)
    return draft_of(plan)


def draft_of(plan: Plan) -> Draft:
    """Return a plan as its own edits find it."""
    return Draft(plan.city_id, plan.plan_id, plan.base_seq, plan.state, plan.rules, plan.author_id)


def scene(session: Session, draft: Draft, named: Named) -> Scene:
    """Return the part of a plan that an edit sees."""
    reserve = session.scalar(_RESERVE, draft.known())
    owners = owners_of(session, draft, named.cells, reserve)
    holders = sorted({*owners.values(), *([reserve] if reserve is not None else [])})
    asked = draft.known(grids=list(named.grids), holders=holders, deep=named.deep)
    rows = session.execute(_NAMED, asked).all()
    grids = {row[0]: GridFacts(*row[1:]) for row in rows}
    if named.filled:
        filled = set(named.grids) if not named.deep else below(grids, named.grids)
        owners |= cells_of(session, draft, filled)
    levels = session.scalar(select(func.max(Level.level)).where(Level.city_id == draft.city_id))
    return Scene(grids, owners, levels or 1, {}, reserve)


def below(grids: Mapping[int, GridFacts], roots: Iterable[int]) -> set[int]:
    """Return grids and all below them."""
    found = set(roots)
    for grid, _ in sorted(grids.items(), key=lambda one: one[1].level):
        if grids[grid].parent in found:
            found.add(grid)
    return found


def owners_of(
    session: Session, draft: Draft, cells: Iterable[int], reserve: int | None
) -> dict[int, int]:
    """Return the leaf grid of each cell that stands."""
    listed = list(cells)
    if not listed:
        return {}
    given = reserve if draft.base_seq is None else None
    rows = session.execute(_OWNERS, draft.known(cells=listed, reserve=given))
    return {int(cell): int(grid) for cell, grid in rows}


def cells_of(session: Session, draft: Draft, grids: Iterable[int]) -> dict[int, int]:
    """Return the cells that lie in grids themselves, with their grid; of the reserve in part.

    Without a base net the reserve holds whatever no row gives to another grid; that is not listed.
    """
    rows = session.execute(_CELLS_OF, draft.known(grids=sorted(grids)))
    return {int(cell): int(grid) for cell, grid in rows}


def households(session: Session, draft: Draft, cells: Iterable[int]) -> dict[int, float]:
    """Return the households of cells, of the latest full count."""
    rows = session.execute(_WEIGHT, draft.known(cells=list(cells)))
    return {int(cell): float(value) for cell, value in rows}


@dataclass(frozen=True)
class Held:
    """A row of a grid that this transaction holds."""

    version: int
    name: str
    ended: bool
    locked_by: int | None


def hold(session: Session, draft: Draft, grids: Iterable[int]) -> dict[int, Held]:
    """Lock rows of grids in the order of their numbers."""
    rows = session.execute(_LOCK, draft.known(grids=sorted(grids)))
    return {row[0]: Held(*row[1:]) for row in rows}


def read(session: Session, draft: Draft, grids: Iterable[int]) -> dict[int, Held]:
    """Return rows of grids as they are, without holding them."""
    rows = session.execute(_READ, draft.known(grids=sorted(grids)))
    return {row[0]: Held(*row[1:]) for row in rows}


def number(session: Session, draft: Draft, change: Change) -> Change:
    """Give the new grids of a change their numbers, for ever."""
    new = sorted((grid for grid in change.grids if grid < 0), reverse=True)
    if not new:
        return change
    first = next_number(session, draft.city_id, "grid")
    numbers = {grid: first + place for place, grid in enumerate(new)}
    levels = [change.grids[grid].level for grid in new]
    session.execute(_NUMBERED, draft.known(grids=list(numbers.values()), levels=levels))
    return change.numbered(numbers)


_NEXT: Final = {
    "grid": text("SELECT coalesce(max(grid_id), 0) + 1 FROM grid WHERE city_id = :city"),
    "plan": text("SELECT nextval('plan_number')"),
}


def next_number(session: Session, city_id: int, table: str) -> int:
    """Return the next number of a grid or a plan; for grids, whoever asks later waits."""
    if table == "grid":
        session.execute(select(func.pg_advisory_xact_lock(NUMBERS_LOCK, city_id)))
    return int(session.execute(_NEXT[table], {"city": city_id}).scalar_one())


def write(session: Session, draft: Draft, change: Change, reserve: int | None) -> None:
    """Write what a numbered change says of grids and cells."""
    for grid, facts in sorted(change.grids.items(), key=lambda one: (one[1].level, one[0])):
        told = {
            "grid": grid, "level": facts.level, "parent": facts.parent, "name": facts.name,
            "kind": facts.kind, "ended": facts.ended, "parts": facts.parts, "reason": facts.reason,
            "range": facts.code_range,
        }  # fmt: skip
        session.execute(_PUT_GRID, draft.known(**told))
    if not change.cells:
        return
    given = draft.known(
        cells=list(change.cells),
        owners=list(change.cells.values()),
        reserve=reserve if draft.base_seq is None else None,
    )
    session.execute(_TO_BASE, given)
    session.execute(_TO_OTHERS, given)


def age(
    session: Session, draft: Draft, grids: Iterable[int], redrawn: Iterable[int]
) -> dict[int, int]:
    """Give grids their next version, and drop the borders of those whose ground changed."""
    asked = draft.known(grids=sorted(grids), redrawn=sorted(redrawn))
    return {int(grid): int(version) for grid, version in session.execute(_AGED, asked)}


def standing(session: Session, draft: Draft, cells: Mapping[int, int]) -> dict[int, int]:
    """Return cells with what goes with each, pieces in place of those that were cut since."""
    rows = session.execute(_PIECES, draft.known(cells=list(cells)))
    return {int(piece): cells[int(asked)] for asked, piece in rows}


def is_reserve(facts: GridFacts) -> bool:
    """Say whether a grid holds what no other has."""
    return facts.kind == GridKind.RESERVE.value
