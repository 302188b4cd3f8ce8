"""Proposals for a plan: asked for, worked out by the worker, looked at, adopted as one edit.

A proposal changes nothing. It knows the versions of the grids that it was made on, and whoever
adopts it does the one edit that takes it over, in the own name and with all rules of an edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Text, cast, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PlanRuleError,
    PlanStateError,
)
from geo.redraw.proposed import Proposal
from geo.saying import phrase, unpacked
from geo.store import jobs, rights
from geo.store.drafts import checks, editing, netting, parting, rows, states
from geo.store.drafts.dividing import Progress
from geo.store.drafts.editing import Applied
from geo.store.drafts.rows import Draft
from geo.tables import PlanProposal, PlanTask
from geo.terms import PlanState

DIVISION: Final = "propose_division"
NET: Final = "propose_net"
OPS: Final = (DIVISION, NET)
ADOPT: Final = "adopt"
MOST_AT_ONE_TIME: Final = 3
"""Proposals that one account may have in work, over all plans."""
MOST_KEPT: Final = 20
"""Proposals that are kept for a plan; older ones are forgotten."""
MOST_AT_ONCE: Final = 5_000
"""Cells that may change hands while somebody waits for the answer; more is the worker's."""

_OLD = text("""
    DELETE FROM plan_proposal WHERE city_id = :city AND plan_id = :plan AND task_id NOT IN (
        SELECT task_id FROM plan_proposal WHERE city_id = :city AND plan_id = :plan
        ORDER BY task_id DESC LIMIT :most)
""")
_LISTED = text("""
    SELECT t.task_id AS proposal, t.op, t.args AS wish, t.state, t.share, t.words, t.cancel_asked,
        t.answer, t.error, t.asked_by, t.asked_at, t.ended_at, p.made_at IS NOT NULL AS kept,
        p.crosswalk IS NOT NULL AND p.crosswalk <> 'null' AS crosswalk,
        (SELECT max(e.n) FROM plan_edit AS e WHERE e.city_id = t.city_id
            AND e.plan_id = t.plan_id AND e.op = 'adopt'
            AND (e.args ->> 'proposal')::bigint = t.task_id
            AND NOT EXISTS (SELECT FROM plan_edit AS u WHERE u.city_id = e.city_id
                AND u.plan_id = e.plan_id AND u.undoes = e.n)) AS adopted_by
    FROM plan_task AS t
    LEFT JOIN plan_proposal AS p ON p.city_id = t.city_id AND p.task_id = t.task_id
    WHERE t.city_id = :city AND t.plan_id = :plan AND t.op = ANY (:ops)
        AND (CAST(:task AS bigint) IS NULL OR t.task_id = :task)
    ORDER BY t.task_id DESC LIMIT 100
""")
_PIECES = text("""
    WITH RECURSIVE piece AS (
        SELECT l.cell_id AS asked, l.piece_id AS cell_id FROM cell_lineage AS l
        WHERE l.city_id = :city AND l.cell_id = ANY (:cells)
        UNION
        SELECT p.asked, l.piece_id FROM piece AS p
        JOIN cell_lineage AS l ON l.city_id = :city AND l.cell_id = p.cell_id
    )
    SELECT p.asked, array_agg(p.cell_id ORDER BY p.cell_id) FROM piece AS p
    JOIN cell AS c ON c.city_id = :city AND c.cell_id = p.cell_id AND c.retired_by_cut IS NULL
    GROUP BY p.asked
""")


# ---- asked for -----------------------------------------------------------------------------------


def demand(op: str, args: Mapping[str, Any]) -> parting.Wish | netting.Wish:
    """Return what is wished.

    Raises
    ------
    InvalidInputError
        If it contradicts itself; `field` names the value.
    """
    return parting.Wish.of(args) if op == DIVISION else netting.Wish.of(args)


def ask(session: Session, viewer: Viewer, plan_id: int, op: str, args: Mapping[str, Any]) -> int:
    """Ask the worker for a proposal; return its number.

    Parameters
    ----------
    op : str
        `propose_division`, see `geo.store.drafts.parting.Wish`, or `propose_net`, see
        `geo.store.drafts.netting.Wish`.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError
        If the viewer is no member, may not draw, or the plan is no draft; or asks for a measure
        whose rows the account may not read.
    InvalidInputError
        If the wish cannot be meant.
    ConflictError
        If a proposal for this plan is in work, or the account has too many in work.
    """
    draft = _draft(session, viewer, plan_id)
    wish = demand(op, args)
    if isinstance(wish, parting.Wish):
        if any(one.measure == parting.ISSUES for one in wish.measures) and not viewer.city_wide:
            message = phrase("Issues are counted for roles that read the whole city.")
            raise ForbiddenError(message, measure=parting.ISSUES)
    else:
        netting.demand(session, draft, wish)
    _demand_room(session, viewer)
    values = {
        "city_id": draft.city_id, "plan_id": plan_id, "asked_by": viewer.user_id, "op": op,
        "args": dict(args), "versions": {},
    }  # fmt: skip
    try:
        with session.begin_nested():
            made = session.execute(insert(PlanTask).values(**values).returning(PlanTask.task_id))
            number = int(made.scalar_one())
    except IntegrityError as error:
        message = phrase("A proposal for this plan is in work; wait for it or cancel it.")
        raise ConflictError(message, reason="under_way") from error
    states.note(session, viewer, plan_id, "plan.propose", {"proposal": number, "op": op})
    return number


def _demand_room(session: Session, viewer: Viewer) -> None:
    found = session.scalar(
        select(func.count()).where(
            PlanTask.city_id == viewer.city_id,
            PlanTask.asked_by == viewer.user_id,
            PlanTask.op.in_(OPS),
            PlanTask.state.in_(jobs.LIVE),
        )
    )
    if (found or 0) >= MOST_AT_ONE_TIME:
        message = phrase("You have %(n)s proposals in work; wait for one of them.", n=found)
        raise ConflictError(message, reason="too_many")


# ---- worked out ----------------------------------------------------------------------------------


def perform(
    session: Session, viewer: Viewer, task: int, plan_id: int, op: str, args: Mapping[str, Any],
    note: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Work a proposal out and keep it; return what is told of it. The owner's work.

    Raises
    ------
    PlanNotFoundError, PlanStateError, ForbiddenError
        If the account may not draw on the plan any more.
    InvalidInputError, DivisionError, TopologyError
        If what is wished cannot be done.
    """
    draft = _draft(session, viewer, plan_id)
    note(phrase("read the ground"), 0.02)
    crosswalk: list[dict[str, Any]] | None = None
    if op == DIVISION:
        wish = parting.Wish.of(args)
        made = parting.divided(session, parting.land(session, draft, wish), wish, note)
    else:
        made, crosswalk = netting.merged(session, draft, netting.Wish.of(args), note)
    note(phrase("try it on the plan"), 0.9)
    faults, warned = _tried(session, viewer, plan_id, made.proposal)
    srid = int(made.shapes.crs.to_epsg())
    session.execute(
        insert(PlanProposal).values(
            city_id=draft.city_id, task_id=task, plan_id=plan_id,
            parts=made.proposal.as_data(), shapes=_collection(made, srid),
            crosswalk=jobs.plain(crosswalk),
        )
    )  # fmt: skip
    session.execute(_OLD, draft.known(most=MOST_KEPT))
    note(phrase("try it on the plan"), 1.0)
    return {
        "figures": made.figures,
        "parts": made.parts,
        "ended": list(made.proposal.ended),
        "warnings": made.warnings,
        "faults": faults,
        "rules": warned,
    }


def _draft(session: Session, viewer: Viewer, plan_id: int) -> Draft:
    """Return a draft that the account draws on; nobody is held up, and no approval lapses."""
    plan = rows.find(session, viewer, plan_id)
    if viewer.user_id not in plan.drawers:
        message = phrase("You are a member of this plan without the right to draw.")
        raise ForbiddenError(message)
    if plan.state != PlanState.DRAFT:
        message = phrase("Proposals are made for drafts, and this plan is none any more.")
        raise PlanStateError(message, plan=plan_id, state=plan.state)
    return rows.draft_of(plan)


def _tried(
    session: Session, viewer: Viewer, plan_id: int, proposal: Proposal
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Adopt a proposal and take that back: return the rules it would break, and be warned of."""
    point = session.begin_nested()
    try:
        done = _adopted(session, viewer, plan_id, 0, proposal)
    except PlanRuleError as error:
        return error.data["faults"], []
    except ConflictError:
        return [], []  # nothing would change
    else:
        return [], done.warnings
    finally:
        if point.is_active:
            point.rollback()


def _collection(made: parting.Made, srid: int) -> dict[str, Any]:
    told = zip(made.parts, made.shapes, strict=True)
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature", "id": one["unit"], "geometry": checks.geojson(shape, srid),
                "properties": {
                    key: one[key]
                    for key in ("unit", "grid", "parent", "name", "cells", "weights", "deviation",
                                "within", "rule")
                    if key in one
                },
            }
            for one, shape in told
        ],
    }  # fmt: skip


# ---- looked at -----------------------------------------------------------------------------------


def listing(session: Session, viewer: Viewer, plan_id: int) -> list[dict[str, Any]]:
    """Return the last 100 proposals of a plan with their figures, the newest first.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    found = session.execute(_LISTED, draft.known(task=None, ops=list(OPS)))
    return [_card(row) for row in found]


def show(session: Session, viewer: Viewer, plan_id: int, proposal: int) -> dict[str, Any]:
    """Return how far a proposal is, or what it says: figures, parts, what could not be adopted.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        If the viewer is a member of no such plan, or it has no such proposal.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    found = session.execute(_LISTED, draft.known(task=proposal, ops=list(OPS))).one_or_none()
    if found is None:
        message = phrase("The plan has no proposal %(n)s.", n=proposal)
        raise NotFoundError(message, proposal=proposal)
    answer = unpacked(found.answer) or {}
    names = ("parts", "ended", "warnings", "faults", "rules")
    return _card(found) | {name: answer.get(name, []) for name in names}


def _card(row: Any) -> dict[str, Any]:
    known = dict(row._mapping)
    answer = known.pop("answer") or {}
    return known | {
        "figures": answer.get("figures"),
        "words": phrase(row.words) if row.words else "",
        "error": unpacked(row.error),
        "adoptable": bool(row.kept and answer and not answer["faults"]),
    }


def delivered(session: Session, viewer: Viewer) -> list[dict[str, Any]]:
    """Return the nets that were delivered to the viewer's city: net, name, level, grids, at.

    Raises
    ------
    ForbiddenError
        If the viewer is no planner or administrator of the city.
    """
    return netting.delivered(session, rights.demand(viewer, rights.OFFICE))


def shapes(session: Session, viewer: Viewer, plan_id: int, proposal: int) -> str:
    """Return the parts of a proposal as a FeatureCollection in degrees, JSON.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        As for `show`; also if it is not worked out yet, or was forgotten.
    """
    return str(_kept(session, viewer, plan_id, proposal, cast(PlanProposal.shapes, Text)))


def crosswalk(
    session: Session, viewer: Viewer, plan_id: int, proposal: int
) -> list[dict[str, Any]]:
    """Return where each grid of merged nets went: rows as `geo.nets.Merged.crosswalk` has them.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        As for `shapes`; also if it merges no nets.
    """
    found = _kept(session, viewer, plan_id, proposal, PlanProposal.crosswalk)
    if found is None:
        message = phrase("The proposal %(n)s merges no nets.", n=proposal)
        raise NotFoundError(message, proposal=proposal)
    return list(found)


def _kept(session: Session, viewer: Viewer, plan_id: int, proposal: int, what: Any) -> Any:
    plan = rows.find(session, viewer, plan_id)
    found = session.execute(
        select(what).where(
            PlanProposal.city_id == plan.city_id,
            PlanProposal.plan_id == plan_id,
            PlanProposal.task_id == proposal,
        )
    ).one_or_none()
    if found is None:
        message = phrase(
            "The plan keeps no proposal %(n)s: there is none, it is not worked out yet, or it was "
            "forgotten.",
            n=proposal,
        )
        raise NotFoundError(message, proposal=proposal)
    return found[0]


# ---- adopted -------------------------------------------------------------------------------------


def for_worker(session: Session, viewer: Viewer, plan_id: int, proposal: int) -> bool:
    """Say whether adopting a proposal takes so long that the worker does it.

    Raises
    ------
    PlanNotFoundError, NotFoundError
        As for `show`.
    """
    figures = show(session, viewer, plan_id, proposal)["figures"] or {}
    return int(figures.get("cells_moved", 0)) > MOST_AT_ONCE


def ask_to_adopt(session: Session, viewer: Viewer, plan_id: int, proposal: int) -> int:
    """Ask the worker to adopt a proposal; return the task's number.

    What can be known at once is said at once; the worker looks again.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError, NotFoundError, StaleEditError
        As for `adopt`.
    """
    draft = rows.drawn_on(session, viewer, plan_id)
    data = _kept(session, viewer, plan_id, proposal, PlanProposal.parts)
    versions = {int(grid): int(number) for grid, number in data["versions"].items()}
    editing.demand_unchanged(session, draft, versions)
    made = session.execute(
        insert(PlanTask)
        .values(
            city_id=draft.city_id, plan_id=plan_id, asked_by=viewer.user_id, op=ADOPT,
            args={"proposal": proposal}, versions=data["versions"],
        )
        .returning(PlanTask.task_id)
    )  # fmt: skip
    return int(made.scalar_one())


def adopt(session: Session, viewer: Viewer, plan_id: int, proposal: int) -> Applied:
    """Take a proposal over into its plan: one edit, which can be taken back.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError
        If the viewer is no member, may not draw, or the plan is no draft.
    NotFoundError
        If the plan keeps no such proposal.
    StaleEditError
        If a grid that it was made on has changed since; ask for a new one.
    PlanRuleError, GridLockedError, ConflictError
        As for `apply`.
    """
    plan = rows.find(session, viewer, plan_id)
    data = _kept(session, viewer, plan_id, proposal, PlanProposal.parts)
    cells = [cell for part in data["parts"] for cell in part["cells"]]
    listed = session.execute(_PIECES, {"city": plan.city_id, "cells": cells})
    pieces = {int(cell): [int(one) for one in found] for cell, found in listed}
    draft = rows.drawn_on(session, viewer, plan_id)
    told = Proposal.of_data(data, pieces)
    editing.demand_unchanged(session, draft, told.versions)
    return _adopted(session, viewer, plan_id, proposal, told)


def _adopted(
    session: Session, viewer: Viewer, plan_id: int, number: int, proposal: Proposal
) -> Applied:
    args = {"proposal": number}
    return editing.take_over(
        session, viewer, plan_id, ADOPT, args, proposal.named(), proposal.change, proposal.versions
    )
