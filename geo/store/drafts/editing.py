"""The protocol of an edit: hold, look, lock, look again, compare, write, check, note."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import (
    ConflictError,
    PlanRuleError,
    StaleEditError,
    VersionMissingError,
)
from geo.redraw import rules
from geo.redraw.edits import SHAPED, Named, exact, named, redraw
from geo.redraw.scene import (
    Change,
    Scene,
    as_rows,
    inverse,
    of_rows,
    one_after_other,
    only_real,
    to_lock,
    touched,
)
from geo.saying import both, phrase
from geo.store import audit
from geo.store.drafts import checks, lining, locks, rows
from geo.store.drafts.rows import Draft, Held
from geo.store.holding import hold_cells
from geo.tables import City, PlanEdit

LOG_LOCK: Final = 7203
"""First half of the advisory lock on the log of a plan; the second is the plan."""
ATTEMPTS: Final = 4
"""How often an edit looks again after others moved what it was about to lock."""
UNDO: Final = "undo"
RETURN: Final = "return"

_BY_KEY = text("""
    SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
""")
"""An edit reads a few rows of tables of a whole city: by their keys, whatever a planner that
knows nothing of neighbours in space expects."""

Make = Callable[[Scene], Change]
Versions = Mapping[int, int]


@dataclass(frozen=True)
class Applied:
    """What an edit did.

    Attributes
    ----------
    n : int
        Its number in the plan.
    touched : dict of int to int
        The new versions of all grids whose facts or ground changed, those above included.
    new : list of int
        The grids that it made.
    cells : int
        How many cells changed hands.
    warnings : list of dict
        Rules that the author of the plan wishes for and that are not kept now.
    cut : int
        Number of the cut that it made or took back; 0 when no cell was cut.
    """

    n: int
    touched: dict[int, int]
    new: list[int]
    cells: int
    warnings: list[dict[str, Any]]
    cut: int = 0


@dataclass(frozen=True)
class _Wish:
    """An edit on its way: what it names, how it changes what it finds, how it is noted."""

    op: str
    args: Mapping[str, Any]
    named: Named
    make: Make
    versions: Versions | None
    undoes: int | None = None
    last: int | None = None
    within: frozenset[int] | None = None
    cut: int = 0


def apply(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    op: str,
    args: Mapping[str, Any],
    versions: Versions,
) -> Applied:
    """Redraw a plan by one edit.

    Parameters
    ----------
    viewer : Viewer
        A member of the plan who may draw.
    op, args
        See `geo.redraw.edits`. With `exact` the cells are cut along the line first: the owner's
        work, see `geo.store.drafts.lining`.
    versions : mapping of int to int
        The version of each grid that the edit touches, as its author saw it; none is needed for
        the reserve and for grids above.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError
        If the viewer is no member, may not draw, or the plan is no draft.
    InvalidInputError
        If there is no such edit or it cannot be done.
    VersionMissingError
        If a version is missing.
    StaleEditError
        If a grid is newer than its author knew.
    PlanRuleError
        If the plan would break a rule; `faults` says where.
    """
    wanted = named(op, args)

    def make(scene: Scene) -> Change:
        return redraw(op, args, scene)

    number = 0
    if op in SHAPED and exact(args):
        number = lining.cut_along(session, viewer, plan_id, op, args)
    wish = _Wish(op, args, wanted, make, versions, cut=number)
    return _carry_out(session, viewer, plan_id, wish)


def take_over(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    op: str,
    args: Mapping[str, Any],
    wanted: Named,
    make: Make,
    versions: Versions,
) -> Applied:
    """Redraw a plan by a change that was worked out before, as one edit.

    Parameters
    ----------
    op, args
        What the log says of it.
    wanted : Named
        What the change is made from.
    make : callable
        Scene -> Change.

    Raises
    ------
    PlanNotFoundError, ForbiddenError, PlanStateError, PlanRuleError
        As for `apply`.
    VersionMissingError, StaleEditError, GridLockedError, ConflictError
        As for `apply`.
    """
    return _carry_out(session, viewer, plan_id, _Wish(op, args, wanted, make, versions))


def demand_unchanged(session: Session, draft: Draft, versions: Versions) -> None:
    """Refuse to go on where grids have changed since somebody read them.

    Raises
    ------
    StaleEditError
        With the newer ones.
    """
    held = rows.read(session, draft, versions)
    newer = {
        str(grid): {
            "version": held[grid].version, "name": held[grid].name, "ended": held[grid].ended,
        }
        for grid, known in sorted(versions.items())
        if grid in held and held[grid].version != known
    }  # fmt: skip
    if newer:
        listed = ", ".join(list(newer)[:10])
        raise StaleEditError(
            phrase("Changed meanwhile: grid %(listed)s.", listed=listed),
            newer=newer,
            plan=draft.plan_id,
        )


def undo(session: Session, viewer: Viewer, plan_id: int) -> Applied:
    """Take back the viewer's own last edit, if nothing that it touched has changed since.

    Raises
    ------
    ConflictError
        If there is nothing to take back, or others have built upon it; `by` is their edit.
    PlanNotFoundError, ForbiddenError, PlanStateError, PlanRuleError
        As for `apply`.
    """
    number = undoes_a_cut(session, viewer, plan_id)
    if number:
        lining.demand_owner(session)
    hold_cells(session, viewer.city_id or 0, exclusive=number > 0)
    draft = rows.drawn_on(session, viewer, plan_id)
    last = session.execute(_LAST_OWN, draft.known(user=viewer.user_id)).first()
    if last is None:
        raise ConflictError(
            phrase("There is no edit of yours to take back."), reason="nothing_to_undo"
        )
    if last.inverse.get("cut", 0) != number:
        raise StaleEditError(
            phrase("You edited this plan elsewhere; look again."), newer={}, last=last.n
        )
    change = _standing(session, draft, of_rows(last.inverse))
    within = frozenset(last.touched)
    wish = _Wish(
        UNDO, {"n": last.n}, _named(change), lambda scene: only_real(scene, change), None,
        undoes=last.n, within=within,
    )  # fmt: skip
    done = _carry_out(session, viewer, plan_id, wish)
    if number and lining.uncut(session, draft, number, last.n):
        return replace(done, cut=number)
    return done


def undoes_a_cut(session: Session, viewer: Viewer, plan_id: int) -> int:
    """Return which cut the viewer's own last edit made; 0 when it made none.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    """
    draft = rows.draft_of(rows.find(session, viewer, plan_id))
    last = session.execute(_LAST_OWN, draft.known(user=viewer.user_id)).first()
    return int(last.inverse.get("cut", 0)) if last is not None else 0


def return_to(session: Session, viewer: Viewer, plan_id: int, n: int, last: int | None) -> Applied:
    """Bring a plan back to what it was after edit `n`, as a new edit; 0 is how it was opened.

    Parameters
    ----------
    last : int
        The number of the last edit that the viewer knows.

    Raises
    ------
    VersionMissingError
        If `last` is missing.
    StaleEditError
        If there are later edits.
    ConflictError
        If the plan stands there already, was put on a later net since, or pieces of cells that it
        had then were put together again.
    PlanNotFoundError, ForbiddenError, PlanStateError, PlanRuleError
        As for `apply`.
    """
    hold_cells(session, viewer.city_id or 0)
    draft = rows.drawn_on(session, viewer, plan_id)
    if last is None:
        raise VersionMissingError(
            phrase("Say which edit is the last one that you know."), missing={}
        )
    _demand_last(session, draft, last)
    rebased = session.scalar(_REBASED, draft.known(n=n))
    if rebased is not None:
        message = phrase(
            "The plan was put on a later net by edit %(rebased)s: it cannot go back behind it.",
            rebased=rebased,
        )
        raise ConflictError(message, reason="rebased", by=rebased)
    found = session.scalars(_INVERSES, draft.known(n=n)).all()
    change = one_after_other([of_rows(one) for one in found])
    lining.demand_pieces(session, draft, change.cells, n)
    change = _standing(session, draft, change)
    wish = _Wish(
        RETURN, {"n": n}, _named(change), lambda scene: only_real(scene, change), None, last=last
    )
    return _carry_out(session, viewer, plan_id, wish)


_LAST_OWN = text("""
    SELECT e.n, e.inverse, e.touched FROM plan_edit AS e
    WHERE e.city_id = :city AND e.plan_id = :plan AND e.actor_id = :user AND e.undoes IS NULL
        AND e.op <> 'rebase'
        AND NOT EXISTS (SELECT FROM plan_edit AS u WHERE u.city_id = e.city_id
            AND u.plan_id = e.plan_id AND u.undoes = e.n)
    ORDER BY e.n DESC LIMIT 1
""")
_INVERSES = text("""
    SELECT inverse FROM plan_edit WHERE city_id = :city AND plan_id = :plan AND n > :n
    ORDER BY n DESC
""")
_REBASED = text("""
    SELECT max(n) FROM plan_edit WHERE city_id = :city AND plan_id = :plan AND n > :n
        AND op = 'rebase'
""")
_BUILT_UPON = text("""
    SELECT e.n FROM plan_edit AS e
    WHERE e.city_id = :city AND e.plan_id = :plan AND e.n > :n AND e.undoes IS NULL
        AND e.touched && CAST(:grids AS bigint[]) AND NOT EXISTS (
            SELECT FROM plan_edit AS u WHERE u.city_id = e.city_id AND u.plan_id = e.plan_id
                AND u.undoes = e.n)
    ORDER BY e.n LIMIT 1
""")
_UNDONE = text("""
    SELECT n FROM plan_edit WHERE city_id = :city AND plan_id = :plan AND undoes = :n
""")
_NEXT = text("""
    SELECT coalesce(max(n), 0) FROM plan_edit WHERE city_id = :city AND plan_id = :plan
""")


def _named(change: Change) -> Named:
    parents = {facts.parent for facts in change.grids.values() if facts.parent is not None}
    return Named(tuple({*change.grids, *change.cells.values(), *parents}), tuple(change.cells))


def _standing(session: Session, draft: Draft, change: Change) -> Change:
    """Return a change with pieces in place of the cells that were cut since."""
    if not change.cells:
        return change
    return replace(change, cells=rows.standing(session, draft, change.cells))


def _demand_last(session: Session, draft: Draft, last: int) -> None:
    newest = session.execute(_NEXT, draft.known()).scalar_one()
    if newest != last:
        message = phrase(
            "The last edit of the plan is %(newest)s, not %(last)s.", newest=newest, last=last
        )
        raise StaleEditError(message, newer={}, last=newest)


# ---- the protocol --------------------------------------------------------------------------------


def _carry_out(session: Session, viewer: Viewer, plan_id: int, wish: _Wish) -> Applied:
    hold_cells(session, viewer.city_id or 0)
    session.execute(_BY_KEY)
    draft = rows.drawn_on(session, viewer, plan_id)
    scene, change, held = _locked(session, draft, wish)
    if change.empty:
        raise ConflictError(phrase("The plan stands like this already."), reason="nothing_changes")
    if wish.op == "recode":
        for facts in change.grids.values():
            checks.demand_range(session, draft, facts.level, facts.code_range or "default")
    own = touched(scene, change)
    _demand_versions(draft, scene, wish, own, held)
    locks.demand_free(session, draft, viewer, {one: held[one] for one in own if one in held})
    if wish.undoes is not None:
        _demand_untouched(session, draft, scene, change, wish)
    numbered = rows.number(session, draft, change)
    new = sorted(set(numbered.grids) - set(scene.grids))
    reserve = scene.reserve or next(
        (grid for grid in new if rows.is_reserve(numbered.grids[grid])), None
    )
    rows.write(session, draft, numbered, reserve)
    srid = session.scalar(select(City.metre_srid).where(City.city_id == draft.city_id)) or 0
    warnings = _demand_rules(session, draft, srid, scene, numbered, {*held, *new})
    redrawn = _redrawn(scene, numbered, {*held, *new})
    versions = rows.age(session, draft, {*touched(scene, numbered), *redrawn}, redrawn)
    n = _note(session, viewer, draft, wish, scene, numbered)
    return Applied(n, versions, new, len(numbered.cells), warnings, wish.cut)


def _locked(session: Session, draft: Draft, wish: _Wish) -> tuple[Scene, Change, dict[int, Held]]:
    """Lock what an edit needs, and return what stands once it is locked."""
    for _ in range(ATTEMPTS):
        point = session.begin_nested()
        scene = _scene(session, draft, wish)
        change = wish.make(scene)
        held = rows.hold(session, draft, to_lock(scene, change))
        _demand_newest(draft, scene, wish, touched(scene, change), held)
        scene = _scene(session, draft, wish)
        change = wish.make(scene)
        if to_lock(scene, change) <= set(held):
            point.commit()
            return scene, change, held
        point.rollback()
    raise StaleEditError(phrase("Others are redrawing the same grids; look again."), newer={})


def _scene(session: Session, draft: Draft, wish: _Wish) -> Scene:
    scene = rows.scene(session, draft, wish.named)
    if wish.op in SHAPED:
        srid = session.scalar(select(City.metre_srid).where(City.city_id == draft.city_id)) or 0
        scene = replace(scene, ground=checks.ground_of(session, draft, scene.owners, srid).shapes)
    if wish.op in ("split", "split_by_line") and wish.args.get("keep") is None:
        return replace(scene, weight=rows.households(session, draft, scene.owners))
    return scene


def _demand_newest(
    draft: Draft, scene: Scene, wish: _Wish, own: Collection[int], held: Mapping[int, Held]
) -> None:
    """Refuse an edit that was made on older versions of the grids that it touches."""
    known = wish.versions or {}
    newer = {
        str(grid): {
            "version": held[grid].version,
            "name": held[grid].name,
            "ended": held[grid].ended,
        }
        for grid in sorted(set(own) & set(held) - {scene.reserve})
        if known.get(grid, held[grid].version) != held[grid].version
    }
    if newer:
        listed = ", ".join(newer)
        raise StaleEditError(
            phrase("Changed meanwhile: grid %(listed)s.", listed=listed),
            newer=newer,
            plan=draft.plan_id,
        )


def _demand_versions(
    draft: Draft, scene: Scene, wish: _Wish, own: Collection[int], held: Mapping[int, Held]
) -> None:
    """Refuse an edit that does not say on which versions it was made, or on older ones."""
    if wish.versions is None:
        return
    _demand_newest(draft, scene, wish, own, held)
    missing = {
        str(grid): {"version": held[grid].version, "name": held[grid].name}
        for grid in sorted(set(own) & set(held) - {scene.reserve})
        if grid not in wish.versions
    }
    if missing:
        message = phrase(
            "The edit touches the grids %(listed)s: send their versions.", listed=", ".join(missing)
        )
        raise VersionMissingError(message, missing=missing, plan=draft.plan_id)


def _demand_untouched(
    session: Session, draft: Draft, scene: Scene, change: Change, wish: _Wish
) -> None:
    """Refuse to take an edit back that others have built upon, or that was taken back already."""
    within = wish.within or frozenset()
    own = sorted(within - {scene.reserve})
    by = session.scalar(_BUILT_UPON, draft.known(n=wish.undoes, grids=own))
    if by is None and not {scene.owners[cell] for cell in change.cells} <= within:
        by = 0
    if by is not None:
        message = phrase(
            "What edit %(undoes)s touched has been redrawn since, by edit %(by)s.",
            undoes=wish.undoes,
            by=by,
        )
        raise ConflictError(message, reason="built_upon", by=by, n=wish.undoes)
    if session.scalar(_UNDONE, draft.known(n=wish.undoes)) is not None:
        raise ConflictError(
            phrase("Edit %(undoes)s was taken back already.", undoes=wish.undoes), reason="undone"
        )


def _demand_rules(
    session: Session,
    draft: Draft,
    srid: int,
    scene: Scene,
    change: Change,
    held: Collection[int],
) -> list[dict[str, Any]]:
    """Refuse a plan that breaks its rules; return what the planner is warned of."""
    found = checks.faults(session, draft, srid, scene, change, held)
    refuse = rules.ALWAYS | rules.Limits.of(draft.rules).refuse
    told = [
        {
            "rule": fault.rule, "grid": fault.grid, "message": fault.message,
            "place": checks.geojson(fault.place, srid), **(fault.data or {}),
        }
        for fault in found
    ]  # fmt: skip
    broken = [one for one in told if one["rule"] in refuse]
    if broken:
        message = reduce(both, [one["message"] for one in broken[:3]])
        raise PlanRuleError(message, faults=broken, plan=draft.plan_id)
    return told


def _redrawn(scene: Scene, change: Change, held: Collection[int]) -> set[int]:
    """Return the grids whose ground changed: all that are held, when any ground moves."""
    moves = bool(change.cells) or any(
        grid not in scene.grids
        or (scene.grids[grid].parent, scene.grids[grid].ended) != (facts.parent, facts.ended)
        for grid, facts in change.grids.items()
    )
    return set(held) if moves else set()


def _note(
    session: Session, viewer: Viewer, draft: Draft, wish: _Wish, scene: Scene, change: Change
) -> int:
    """Write the edit and what takes it back to the log of the plan and to that of the city."""
    session.execute(select(func.pg_advisory_xact_lock(LOG_LOCK, draft.plan_id)))
    if wish.last is not None:
        _demand_last(session, draft, wish.last)
    n = int(session.execute(_NEXT, draft.known()).scalar_one()) + 1
    own = sorted(touched(scene, change))
    back = as_rows(inverse(scene, change)) | ({"cut": wish.cut} if wish.cut else {})
    session.add(
        PlanEdit(
            city_id=draft.city_id, plan_id=draft.plan_id, n=n, actor_id=viewer.user_id,
            op=wish.op, args=json.loads(json.dumps(dict(wish.args))),
            inverse=back, touched=own, undoes=wish.undoes,
        )
    )  # fmt: skip
    session.flush()
    audit.append(
        session,
        draft.city_id,
        "plan.edit",
        f"plan/{draft.plan_id}",
        {"n": n, "op": wish.op, "cells": len(change.cells), "grids": own[:100]},
        actor_id=viewer.user_id,
        actor_role=str(viewer.role),
    )
    return n
