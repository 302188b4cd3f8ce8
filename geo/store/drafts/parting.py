"""Grids of a plan divided anew, or made better by little change: computed, not done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.errors import InvalidInputError
from geo.redraw.edits import Named
from geo.redraw.proposed import Part, Proposal, known_again
from geo.redraw.scene import Scene
from geo.saying import Said, phrase
from geo.store.drafts import checks, rows
from geo.store.drafts.dividing import Progress
from geo.store.drafts.rows import Draft
from geo.tables import City
from geo.terms import GridKind

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HOUSEHOLDS: Final = "households"
SEASON: Final = "households_in_season"
ISSUES: Final = "issues_per_month"
MEASURES: Final = (HOUSEHOLDS, SEASON, ISSUES)
NEW: Final = "new"
LITTLE: Final = "least_change"
MERGE: Final = "merge_small"
MODES: Final = (NEW, LITTLE, MERGE)
MOST_CELLS: Final = 200_000
"""Cells that one proposal may be about: so many can be adopted as one edit."""
MOST_UNITS: Final = 5_000
MONTHS: Final = 12

_VERSIONS = text("""
    SELECT grid_id, version FROM plan_grid WHERE city_id = :city AND plan_id = :plan
        AND NOT ended AND (grid_id = ANY (:grids) OR parent_id = ANY (:grids))
""")
_SEASON = text("""
    SELECT v.cell_id, v.value FROM cell_value AS v
    WHERE v.city_id = :city AND v.cell_id = ANY (:cells) AND v.measure = 'households'
        AND v.vintage = (SELECT x.vintage FROM vintage AS x WHERE x.city_id = :city
            AND x.seasonal ORDER BY x.taken_on DESC, x.vintage LIMIT 1)
""")
_ISSUES = text("""
    SELECT i.cell_id, count(*)::float8 / :months FROM issue AS i
    JOIN (SELECT max(reported_at) AS last FROM issue WHERE city_id = :city) AS x
        ON i.reported_at > x.last - make_interval(months => :months)
    WHERE i.city_id = :city AND i.cell_id = ANY (:cells) AND i.set_aside IS NULL
    GROUP BY i.cell_id
""")
_WHOLE = text("""
    SELECT DISTINCT ON (c.cell_id) c.cell_id, p.compound_id FROM compound AS p
    JOIN cell AS c ON c.city_id = p.city_id AND c.geom && p.geom AND c.cell_id = ANY (:cells)
        AND ST_Intersects(p.geom, ST_PointOnSurface(c.geom))
    WHERE p.city_id = :city ORDER BY c.cell_id, p.compound_id
""")


@dataclass(frozen=True)
class Measure:
    """What is shared out evenly: its name, the wish for a part, how far off a part may be."""

    measure: str
    target: float | None
    tolerance: float


@dataclass(frozen=True)
class Wish:
    """What is asked of a division.

    Attributes
    ----------
    grids : tuple of int
        The parents that are divided: leaves, or grids right above leaves.
    mode : str
        `new`, `least_change` or `merge_small`.
    measures : tuple of Measure
        The first one counts for what stands alone; the others are met beside it.
    parts : int, optional
        Number of parts over all parents, for `new` alone.
    max_change : float
        Share of the first measure that may change its grid, for `least_change`.
    least : float
        Grids below it are merged, for `merge_small`.
    fixed : tuple of int
        Grids that stay as they are, beside the dedicated ones.
    keep_compounds, thorough : bool
    seed : int
    """

    grids: tuple[int, ...]
    mode: str
    measures: tuple[Measure, ...]
    parts: int | None = None
    max_change: float = 0.05
    least: float = 0.0
    fixed: tuple[int, ...] = ()
    keep_compounds: bool = True
    thorough: bool = False
    seed: int = 0

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Wish:
        """Return the wish that arguments say.

        Raises
        ------
        InvalidInputError
            If it contradicts itself; `field` names the value.
        """
        measures = tuple(Measure(**one) for one in args["measures"])
        rest: dict[str, Any] = {
            key: value for key, value in args.items() if key not in ("grids", "measures", "fixed")
        }
        grids, fixed = tuple(args["grids"]), tuple(args.get("fixed", ()))
        wish = cls(grids=grids, measures=measures, fixed=fixed, **rest)
        _demand(wish)
        return wish


def _demand(wish: Wish) -> None:
    if wish.mode not in MODES or any(one.measure not in MEASURES for one in wish.measures):
        message = phrase("There is no such way of dividing, or no such measure.")
        raise InvalidInputError(message, field="mode")
    if len({one.measure for one in wish.measures}) != len(wish.measures):
        raise InvalidInputError(phrase("A measure is named twice."), field="measures")
    if set(wish.grids) & set(wish.fixed) or len(set(wish.grids)) != len(wish.grids):
        raise InvalidInputError(phrase("A grid is named twice."), field="grids")
    first = wish.measures[0].target
    if wish.mode == NEW and (first is None) is (wish.parts is None):
        message = phrase("Say the target of the first measure, or the number of parts.")
        raise InvalidInputError(message, field="parts")
    if wish.mode != NEW and (first is None or wish.parts is not None):
        message = phrase("This way needs the target of the first measure, no number of parts.")
        raise InvalidInputError(message, field="parts")
    if wish.mode == MERGE and wish.least <= 0:
        message = phrase("Say how large the smallest grid is that stays.")
        raise InvalidInputError(message, field="least")


@dataclass(frozen=True)
class Land:
    """The ground that is divided.

    Attributes
    ----------
    parents : tuple of int
    of_cell : Series of int
        Position of the parent, by cell.
    today : dict of int to int
        Present grid below the parent, by cell; none where the parent itself holds it.
    still : frozenset of int
        Grids that stay as they are.
    """

    draft: Draft
    srid: int
    scene: Scene
    parents: tuple[int, ...]
    of_cell: pd.Series[int]
    today: dict[int, int]
    still: frozenset[int]
    versions: dict[int, int]
    ground: checks.Ground


@dataclass(frozen=True)
class Made:
    """A proposal with what is told of it, and its shapes in the city's metres."""

    proposal: Proposal
    figures: dict[str, Any]
    parts: list[dict[str, Any]]
    warnings: list[str]
    shapes: gpd.GeoSeries


def land(session: Session, draft: Draft, wish: Wish) -> Land:
    """Read the ground of some parents; versions first, so that a later edit is seen.

    Raises
    ------
    InvalidInputError
        If a grid cannot be divided, or these are too many cells.
    """
    known = session.execute(_VERSIONS, draft.known(grids=list(wish.grids)))
    versions = {int(grid): int(number) for grid, number in known}
    scene = rows.scene(session, draft, Named(wish.grids, filled=True, deep=True))
    of_cell: dict[int, int] = {}
    today: dict[int, int] = {}
    still = set(wish.fixed)
    for place, parent in enumerate(wish.grids):
        for child in _children(scene, parent, wish):
            if scene.grids[child].kind == GridKind.DEDICATED:
                still.add(child)
            own = scene.cells_of(child)
            of_cell |= dict.fromkeys(own, place)
            today |= dict.fromkeys(own, child)
        of_cell |= dict.fromkeys(scene.cells_of(parent), place)
    if strange := sorted(still - set(today.values())):
        message = phrase("The grid %(grid)s lies directly below none of these.", grid=strange[0])
        raise InvalidInputError(message, field="fixed", grid=strange[0])
    if not 2 <= len(of_cell) <= MOST_CELLS:
        message = phrase(
            "These grids have %(n)s cells: 2 to %(most)s can be divided.",
            n=len(of_cell),
            most=MOST_CELLS,
        )
        raise InvalidInputError(message, field="grids", cells=len(of_cell))
    srid = session.scalar(select(City.metre_srid).where(City.city_id == draft.city_id)) or 0
    ground = checks.ground_of(session, draft, of_cell, srid)
    series = pd.Series(of_cell, dtype="int64").reindex(ground.shapes.index)
    return Land(
        draft, srid, scene, wish.grids, series, today, frozenset(still), versions, ground
    )  # fmt: skip


def _children(scene: Scene, parent: int, wish: Wish) -> list[int]:
    facts = scene.live(parent)
    children = scene.children(parent)
    if facts.kind == GridKind.RESERVE:
        message = phrase("The reserve is no grid of its own.")
        raise InvalidInputError(message, field="grids", grid=parent)
    if any(scene.children(child) or child in wish.grids for child in children):
        message = phrase(
            "The grid %(grid)s is divided further: name the grids right above the lowest ones.",
            grid=parent,
        )
        raise InvalidInputError(message, field="grids", grid=parent)
    if not children and (wish.mode != NEW or facts.level >= scene.levels):
        message = phrase(
            "Nothing can lie below the grid %(grid)s, or nothing lies there yet.", grid=parent
        )
        raise InvalidInputError(message, field="grids", grid=parent)
    return children


def weights(session: Session, draft: Draft, cells: list[int], wish: Wish) -> Floats:
    """Return the measures of cells, shape (n, measures).

    Raises
    ------
    InvalidInputError
        If there is nothing of a measure.
    """
    asked = draft.known(cells=cells, months=MONTHS)
    found = []
    for one in wish.measures:
        if one.measure == HOUSEHOLDS:
            values = rows.households(session, draft, cells)
        else:
            listed = session.execute(_SEASON if one.measure == SEASON else _ISSUES, asked)
            values = {int(cell): float(value) for cell, value in listed}
        if not any(values.values()):
            message = phrase("Nothing of this measure is counted in these grids.")
            raise InvalidInputError(message, field="measures", measure=one.measure)
        found.append([values.get(cell, 0.0) for cell in cells])
    return np.array(found, dtype=np.float64).T


def _compounds(session: Session, place: Land, cells: list[int], *, as_today: bool) -> Ints | None:
    """Return the compound of each cell, -1 for none; those in several grids today stay so."""
    listed = session.execute(_WHOLE, place.draft.known(cells=cells))
    of = {int(cell): int(compound) for cell, compound in listed}
    if not of:
        return None
    keys = [(of[cell], place.today.get(cell) if as_today else None) if cell in of else None
            for cell in cells]  # fmt: skip
    numbers = {key: number for number, key in enumerate(dict.fromkeys(filter(None, keys)))}
    return np.array([numbers[key] if key else -1 for key in keys], dtype=np.int64)


def divided(session: Session, place: Land, wish: Wish, note: Progress) -> Made:
    """Compute a division; nothing is written.

    Raises
    ------
    InvalidInputError, DivisionError
        If what is wished cannot be met; the reason is said.
    """
    # compiled code, loaded by whoever divides alone
    from geo import partition
    from geo.partition.ground import ground_of

    free = [
        int(cell) for cell in place.ground.shapes.index
        if wish.mode != NEW or place.today.get(int(cell)) not in place.still
    ]  # fmt: skip
    if len(free) < 2:
        raise InvalidInputError(phrase("Nothing is left to be divided."), field="grids")
    shapes = place.ground.shapes.loc[free]
    loads = weights(session, place.draft, free, wish)
    lines = {
        f"{kind}s": checks.near(session, place.draft, place.ground, kind, place.srid)
        for kind in ("barrier", "street")
    }
    keep = (
        _compounds(session, place, free, as_today=wish.mode != NEW)
        if wish.keep_compounds else None
    )  # fmt: skip
    of_parent: Ints = np.asarray(place.of_cell.loc[free], dtype=np.int64)
    found = ground_of(shapes, loads, of_parent, whole=keep, **lines)
    wishes = _wishes(found.graph, wish)
    tell = _telling(note)
    change: dict[str, Any] = {}
    was: list[int] | None = None
    if wish.mode == NEW:
        effort = partition.THOROUGH if wish.thorough else partition.QUICK
        division = partition.divide(
            found.graph, wishes, parts=wish.parts, seed=wish.seed, effort=effort, progress=tell
        )
        labels = found.labels(division.labels)
    else:
        division, change, was = _changed(place, found, wishes, wish, free, tell)
        labels = _as_today(place, found, division, was, free)
    if int(labels.max()) >= MOST_UNITS:
        message = phrase(
            "These would be more than %(most)s grids: wish for larger ones.", most=MOST_UNITS
        )
        raise InvalidInputError(message, field="measures", units=int(labels.max()) + 1)
    note(phrase("draw the parts"), 0.85)
    return _made(place, wish, wishes, found, division, labels, was, change, free, loads)


def _telling(note: Progress) -> Progress:
    return lambda step, share: note(phrase("divide the grids"), 0.1 + 0.75 * share)


def _wishes(graph: Any, wish: Wish) -> Any:
    from geo.partition import Wishes, refuse_parts

    first = wish.measures[0]
    if wish.parts is not None:
        refuse_parts(graph, wish.parts, first.tolerance, first.target)
    sums = graph.weight.sum(axis=0)
    units = wish.parts or float(sums[0]) / (first.target or 1.0)
    targets = tuple(
        one.target if one.target is not None else float(total) / max(units, 1e-9)
        for one, total in zip(wish.measures, sums, strict=True)
    )
    return Wishes(targets, tuple(one.tolerance for one in wish.measures))


def _changed(
    place: Land, found: Any, wishes: Any, wish: Wish, cells: list[int], tell: Progress
) -> tuple[Any, dict[str, Any], list[int]]:
    """Make the present grids better; return the division, what changed, and each part's grid."""
    from geo import partition

    grids = sorted(set(place.today.values()))
    position = {grid: number for number, grid in enumerate(grids)}
    present = np.array([position[place.today[cell]] for cell in cells], dtype=np.int64)
    dry = found.node >= 0
    today = np.full(found.graph.size, -1, dtype=np.int64)
    today[found.node[dry]] = present[dry]
    if wish.mode == LITTLE:
        fixed = np.isin(today, [position[grid] for grid in place.still])
        division, told = partition.changed(
            found.graph, today, wishes, max_change=wish.max_change, fixed=fixed, seed=wish.seed,
            names=[str(grid) for grid in grids], progress=tell,
        )  # fmt: skip
        kept = ("within_before", "objective_before", "changed_share", "cells_moved")
        return division, {key: told[key] for key in kept}, [int(one) for one in told["was"]]
    before = partition.measured(found.graph, today, wishes).score
    labels = partition.melted(found.graph, today, wishes, least=wish.least)
    division = partition.measured(found.graph, labels, wishes)
    first = np.unique(division.labels, return_index=True)[1]
    change = {"within_before": before.good, "objective_before": before.objective}
    return division, change, [grids[int(labels[cell])] for cell in first]


def _as_today(place: Land, found: Any, division: Any, was: Sequence[int], cells: list[int]) -> Ints:
    """Return the part of each cell; water stays with its grid while that grid stays."""
    labels: Ints = found.labels(division.labels)
    part = {grid: number for number, grid in enumerate(was)}
    for at in np.flatnonzero(found.node < 0):
        labels[at] = part.get(place.today[cells[at]], labels[at])
    return labels


def _made(
    place: Land, wish: Wish, wishes: Any, found: Any, division: Any, labels: Ints,
    was: Sequence[int] | None, change: dict[str, Any], cells: list[int], loads: Floats,
) -> Made:  # fmt: skip
    from geo.partition import explained
    from geo.partition.units import measures, unions

    table = pd.Series(cells).groupby(labels).agg(list)
    parts = [list(map(int, one)) for one in table]
    weight = dict(zip(cells, loads[:, 0].tolist(), strict=True))
    grids: list[int | None]
    if was is None:
        moving = {cell: grid for cell, grid in place.today.items() if grid not in place.still}
        grids = known_again(parts, moving, weight)
    else:
        grids = [was[n] if n < len(was) else None for n in range(len(parts))]
    listed = named(place, parts, grids)
    stays = {grid for grid in grids if grid is not None} | place.still
    ended = tuple(sorted(set(place.today.values()) - stays))
    shapes = unions(place.ground.shapes.loc[cells], labels)
    measured = measures(shapes, place.ground.shapes.loc[cells])
    why = explained(found.graph, division.labels, division.score, wishes)
    told = _told(wish, wishes, listed, division, why, labels, loads)
    moved = [cell for part in listed for cell in part.cells if place.today.get(cell) != part.grid]
    total = float(loads[:, 0].sum())
    figures = _figures(wish, wishes, division, told)
    figures |= {key: value for key, value in measured.items() if key != "polsby_popper_each"}
    figures |= change | {
        "cells": len(cells),
        "cells_moved": len(moved),
        "changed_share": sum(weight[cell] for cell in moved) / total if total > 0 else 0.0,
        "kept": sum(grid is not None for grid in grids),
        "new": sum(grid is None for grid in grids),
        "ended": len(ended),
        "torn_compounds": int(found.torn),
    }
    proposal = Proposal(tuple(listed), ended, place.versions)
    return Made(proposal, figures, told, _warnings(place, figures, found, parts), shapes)


def named(place: Land, parts: Sequence[Sequence[int]], grids: Sequence[int | None]) -> list[Part]:
    """Return the parts with names: a standing grid's own, else its parent's with a number."""
    taken = {facts.name for facts in place.scene.grids.values() if not facts.ended}
    listed = []
    for cells, grid in zip(parts, grids, strict=True):
        parent = place.parents[int(place.of_cell.loc[cells[0]])]
        above = place.scene.grids[parent]
        if grid is not None:
            name = place.scene.grids[grid].name
        else:
            tries = (f"{above.name[:90]} {number}" for number in count(1))
            name = next(one for one in tries if one not in taken)
            taken.add(name)
        listed.append(Part(tuple(cells), grid, above.level + 1, parent, name))
    return listed


def _told(
    wish: Wish, wishes: Any, listed: Sequence[Part], division: Any, why: pd.DataFrame,
    labels: Ints, loads: Floats,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what is told of each part: sums, how far off, which rule binds it."""
    units = division.score.units
    sums = np.stack(
        [np.bincount(labels, weights=column, minlength=len(listed)) for column in loads.T], axis=1
    )
    told = []
    for number, part in enumerate(listed):
        known = number in units.index
        rule = str(why["rule"].loc[number]) if known else "no_weight"
        told.append(
            {
                "unit": number + 1, "grid": part.grid, "parent": part.parent, "name": part.name,
                "cells": len(part.cells),
                "weights": {
                    one.measure: round(float(value), 3)
                    for one, value in zip(wish.measures, sums[number], strict=True)
                },
                "deviation": round(float(units["deviation"].loc[number]), 6) if known else -1.0,
                "pieces": int(units["pieces"].loc[number]) if known else 1,
                "within": bool(units["within"].loc[number]) if known else False,
                "rule": rule,
                "said": said(rule, float(sums[number][0]), wishes.target[0], wishes.tolerance[0]),
            }
        )  # fmt: skip
    return told


def said(rule: str, weight: float, target: float, tolerance: float) -> Said:
    """Return why a part is as it is, as a sentence of the catalogue."""
    from geo.partition.objective import described

    values = {
        "weight": described(weight), "target": described(target), "share": f"{tolerance:.0%}",
    }  # fmt: skip
    sentences = {
        "within": phrase("%(weight)s: within %(share)s of %(target)s.", **values),
        "alone": phrase(
            "One building or compound of %(weight)s, more than %(target)s by itself.", **values
        ),
        "no_weight": phrase(
            "Nobody is counted here: in its parent, or in what barriers leave of it."
        ),
        "piece_small": phrase(
            "%(weight)s is all that its parent has, or what barriers leave of it.", **values
        ),
        "piece_total": phrase(
            "%(weight)s: no number of parts shares its parent out within %(share)s of %(target)s.",
            **values,
        ),
        "heavy_cell": phrase(
            "%(weight)s: a building or compound in it or beside it is too large to be moved.",
            **values,
        ),
        "hemmed_in": phrase("%(weight)s: all around it stand single large buildings.", **values),
        "best_found": phrase(
            "%(weight)s: the best that was found; no rule forbids a better one.", **values
        ),
    }
    return sentences.get(rule, phrase("%(weight)s: rule %(rule)s.", rule=rule, **values))


def _figures(
    wish: Wish, wishes: Any, division: Any, told: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    units = division.score.units
    off = units["deviation"].abs()
    return {
        "mode": wish.mode,
        "seed": wish.seed,
        "units": len(told),
        "targets": {
            one.measure: round(target, 3)
            for one, target in zip(wish.measures, wishes.target, strict=True)
        },
        "within_tolerance": division.score.good,
        "within_tolerance_strict": float(units["within"].mean()),
        "single_heavy_cells": int((units["alone"] & ~units["within"]).sum()),
        "max_deviation": float(off.max()),
        "max_deviation_without_single_cells": float(off.where(~units["alone"], 0.0).max()),
        "mean_deviation": float(off.mean()),
        "contiguity_violations": int((units["pieces"] > 1).sum()),
        "cut_km": division.score.cut_m / 1000,
        "objective": division.score.objective,
        "rules": pd.Series([one["rule"] for one in told]).value_counts().to_dict(),
    }


def _warnings(
    place: Land, figures: Mapping[str, Any], found: Any, parts: Sequence[Sequence[int]]
) -> list[str]:
    from geo.partition.graph import components

    told: list[str] = []
    graph = found.graph
    piece = components(graph.size, graph.left, graph.right)
    first = np.unique(piece, return_index=True)[1]
    several = int((np.bincount(graph.parent[first]) > 1).sum())
    if several:
        told.append(
            phrase(
                "%(n)s grids lie in pieces that do not touch or that barriers part: parts stay "
                "inside one piece.",
                n=several,
            )
        )
    if figures["single_heavy_cells"]:
        told.append(
            phrase(
                "%(n)s parts are one building or compound that is larger than the target.",
                n=figures["single_heavy_cells"],
            )
        )
    if found.torn:
        told.append(phrase("%(n)s compounds lie in pieces that do not touch.", n=int(found.torn)))
    away = figures["units"] - round(figures["within_tolerance"] * figures["units"])
    if away > 0:
        told.append(
            phrase("%(n)s parts are beyond the tolerance; each says what binds it.", n=away)
        )
    return told
