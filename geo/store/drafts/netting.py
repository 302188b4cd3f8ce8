"""Delivered nets of departments merged onto the cells of a plan: computed, not done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo.errors import InvalidInputError, NotFoundError
from geo.redraw.edits import Named
from geo.redraw.proposed import Part, Proposal, known_again
from geo.saying import phrase
from geo.store.drafts import checks, parting, rows, telling
from geo.store.drafts.dividing import Progress
from geo.store.drafts.parting import Land, Made
from geo.store.drafts.rows import Draft
from geo.tables import City, SourceGrid, SourceNet
from geo.terms import GridKind

Ints = NDArray[np.int64]

MOST_CELLS: Final = 100_000
MOST_NETS: Final = 20
PLAN: Final = "\x00plan"
"""Name of the net of the plan's own parents among the delivered ones."""


@dataclass(frozen=True)
class Wish:
    """Which nets are merged, and where.

    Attributes
    ----------
    nets : tuple of int
        Delivered nets; the order decides between equal votes.
    weights : tuple of float
        How much each net counts; all the same when empty.
    grids : tuple of int
        Parents whose ground is divided; none: all ground of an empty plan, at the top level.
    tolerance_m : float
        Borders nearer to each other than this are one.
    least_m2 : float
        Smaller units are given to their neighbours.
    keep_barriers : bool
        Whether streets and barriers outweigh the nets where borders run along them.
    """

    nets: tuple[int, ...]
    weights: tuple[float, ...] = ()
    grids: tuple[int, ...] = ()
    tolerance_m: float = 5.0
    least_m2: float = 1.0
    keep_barriers: bool = True

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Wish:
        """Return the wish that arguments say.

        Raises
        ------
        InvalidInputError
            If it contradicts itself; `field` names the value.
        """
        listed: dict[str, Any] = {
            name: tuple(args[name]) for name in ("nets", "weights", "grids") if args.get(name)
        }
        plain = ("tolerance_m", "least_m2", "keep_barriers")
        rest: dict[str, Any] = {name: args[name] for name in plain if name in args}
        wish = cls(**listed, **rest)
        if len(set(wish.nets)) != len(wish.nets) or len(set(wish.grids)) != len(wish.grids):
            raise InvalidInputError(phrase("A net or a grid is named twice."), field="nets")
        if wish.weights and len(wish.weights) != len(wish.nets):
            message = phrase("Each net has one weight, or none has.")
            raise InvalidInputError(message, field="weights")
        return wish


def demand(session: Session, draft: Draft, wish: Wish) -> None:
    """Refuse a wish that the city or the plan has no nets or no ground for.

    Raises
    ------
    NotFoundError
        If the city has no such net.
    InvalidInputError
        If the plan is not empty and no grid is named.
    """
    known = set(session.scalars(
        select(SourceNet.source_net_id).where(SourceNet.city_id == draft.city_id)))  # fmt: skip
    if strange := [one for one in wish.nets if one not in known]:
        message = phrase("No net %(net)s was delivered.", net=strange[0])
        raise NotFoundError(message, net=strange[0])
    if not wish.grids and draft.base_seq is not None:
        message = phrase(
            "Name the grids whose ground is divided; only an empty plan is filled as a whole."
        )
        raise InvalidInputError(message, field="grids")


def delivered(session: Session, city_id: int) -> list[dict[str, Any]]:
    """Return the nets that were delivered to a city: net, name, level, grids, at."""
    grids = (
        select(func.count())
        .where(
            SourceGrid.city_id == SourceNet.city_id,
            SourceGrid.source_net_id == SourceNet.source_net_id,
        )
        .scalar_subquery()
    )
    found = session.execute(
        select(
            SourceNet.source_net_id.label("net"), SourceNet.name, SourceNet.level,
            grids.label("grids"), SourceNet.created_at.label("at"),
        )
        .where(SourceNet.city_id == city_id)
        .order_by(SourceNet.source_net_id)
    )  # fmt: skip
    return [dict(row._mapping) for row in found]


def merged(
    session: Session, draft: Draft, wish: Wish, note: Progress
) -> tuple[Made, list[dict[str, Any]]]:
    """Compute one net out of several; nothing is written.

    Returns
    -------
    Made, list of dict
        The crosswalk as `geo.nets.Merged.crosswalk`, `value` being households shared by ground.

    Raises
    ------
    InvalidInputError, TopologyError
        If there is no ground, or no net lies on it.
    """
    from geo.nets import merge_nets

    place = _land(session, draft, wish)
    free = [int(cell) for cell in place.ground.shapes.index
            if place.today.get(int(cell)) not in place.still]  # fmt: skip
    if len(free) < 2:
        raise InvalidInputError(phrase("Nothing is left to be divided."), field="grids")
    shapes = place.ground.shapes.loc[free]
    nets, names = _nets(session, draft, wish, place.srid)
    of_parent: Ints = np.asarray(place.of_cell.loc[free], dtype=np.int64)
    given = _with_parents(nets, shapes, of_parent)
    lines = None
    if wish.keep_barriers:
        found = [checks.near(session, draft, place.ground, kind, place.srid)
                 for kind in ("barrier", "street")]  # fmt: skip
        lines = gpd.GeoSeries(pd.concat(found, ignore_index=True), crs=place.srid)
    outline = gpd.GeoSeries([shapely.coverage_union_all(shapes.to_numpy())], crs=place.srid)
    made = merge_nets(
        given, tolerance_m=wish.tolerance_m, outline=outline, lines=lines,
        cells=shapes.reset_index(drop=True), least_m2=wish.least_m2,
        progress=lambda step, share: note(phrase("merge the nets"), 0.05 + 0.75 * share),
    )  # fmt: skip
    note(phrase("draw the parts"), 0.85)
    unit = _unit_of_cells(made, len(free))
    weight = rows.households(session, draft, free)
    _, labels = np.unique(np.stack([of_parent, unit], axis=1), axis=0, return_inverse=True)
    return _told(place, wish, made, names, free, labels.ravel(), unit, weight)


def _land(session: Session, draft: Draft, wish: Wish) -> Land:
    """Return the ground of the parents, or all of an empty plan."""
    if wish.grids:
        measures = (parting.Measure(parting.HOUSEHOLDS, 1.0, 0.0),)
        place = parting.land(session, draft, parting.Wish(wish.grids, parting.NEW, measures))
    else:
        place = _reserve(session, draft)
    if len(place.of_cell) > MOST_CELLS:
        message = phrase(
            "These grids have %(n)s cells: 2 to %(most)s can be divided.",
            n=len(place.of_cell),
            most=MOST_CELLS,
        )
        raise InvalidInputError(message, field="grids", cells=len(place.of_cell))
    return place


def _reserve(session: Session, draft: Draft) -> Land:
    scene = rows.scene(session, draft, Named(()))
    reserve = scene.reserve
    owners = telling.whole(session, draft)
    cells = owners.loc[owners["grid_id"] == reserve, "cell_id"].tolist()
    if reserve is None or len(cells) < 2:
        message = phrase("Nothing is left in the reserve of this plan.")
        raise InvalidInputError(message, field="grids")
    held = rows.read(session, draft, [reserve])
    srid = session.scalar(select(City.metre_srid).where(City.city_id == draft.city_id)) or 0
    ground = checks.ground_of(session, draft, cells, srid)
    of_cell = pd.Series(0, index=ground.shapes.index, dtype="int64")
    versions = {grid: row.version for grid, row in held.items()}
    scene = replace(
        scene, grids={**scene.grids, **rows.scene(session, draft, Named((reserve,))).grids}
    )
    return Land(draft, srid, scene, (reserve,), of_cell, {}, frozenset(), versions, ground)


def _nets(
    session: Session, draft: Draft, wish: Wish, srid: int
) -> tuple[list[Any], dict[str, dict[str, str]]]:
    """Return the delivered nets in metres, and the names of their grids by code."""
    from geo.nets import Net

    weights = wish.weights or (1.0,) * len(wish.nets)
    nets, names = [], {}
    for number, weight in zip(wish.nets, weights, strict=True):
        name = session.scalar(
            select(SourceNet.name).where(
                SourceNet.city_id == draft.city_id, SourceNet.source_net_id == number
            )
        )
        found = session.execute(
            select(SourceGrid.code, SourceGrid.name, func.ST_AsBinary(SourceGrid.geom))
            .where(SourceGrid.city_id == draft.city_id, SourceGrid.source_net_id == number)
            .order_by(SourceGrid.code)
        ).all()
        if not found:
            message = phrase("No net %(net)s was delivered.", net=number)
            raise NotFoundError(message, net=number)
        called = str(name) if str(name) not in names else f"{name} ({number})"
        areas = checks.turned(shapely.from_wkb([bytes(row[2]) for row in found]), srid)
        index = [str(row[0]) for row in found]
        nets.append(Net(called, gpd.GeoSeries(areas, index=index, crs=srid), weight=weight))
        names[called] = {str(row[0]): str(row[1] or row[0]) for row in found}
    return nets, names


def _with_parents(nets: Sequence[Any], shapes: gpd.GeoSeries, of_parent: Ints) -> list[Any]:
    """Return the nets with the parents as one more, which outweighs all of them together."""
    from geo.nets import Net
    from geo.partition.units import unions

    if len(np.unique(of_parent)) < 2:
        return list(nets)
    _, labels = np.unique(of_parent, return_inverse=True)
    heavy = 1.0 + sum(net.weight for net in nets)
    return [*nets, Net(PLAN, unions(shapes, labels.astype(np.int64)), weight=heavy)]


def _unit_of_cells(made: Any, size: int) -> Ints:
    """Return the unit of each cell: that of its largest face."""
    inside = np.flatnonzero((made.laid.block >= 0) & (made.unit_of >= 0))
    order = inside[np.argsort(made.laid.area_m2[inside], kind="stable")]
    unit = np.full(size, -1, dtype=np.int64)
    unit[made.laid.block[order]] = made.unit_of[order]
    return unit


def _told(
    place: Land, wish: Wish, made: Any, names: Mapping[str, Mapping[str, str]],
    cells: Sequence[int], labels: Ints, unit: Ints, weight: Mapping[int, float],
) -> tuple[Made, list[dict[str, Any]]]:  # fmt: skip
    from geo.partition.units import measures, unions

    table = pd.Series(list(cells)).groupby(labels).agg(list)
    parts = [list(map(int, one)) for one in table]
    moving = {cell: grid for cell, grid in place.today.items() if grid not in place.still}
    grids = known_again(parts, moving, weight)
    first = np.unique(labels, return_index=True)[1]
    labelled = _labels(made, names, unit[first])
    listed = _named(place, parts, grids, labelled)
    stays = {grid for grid in grids if grid is not None} | place.still
    ended = tuple(sorted(set(place.today.values()) - stays))
    ground = place.ground.shapes.loc[list(cells)]
    shapes = unions(ground, labels.astype(np.int64))
    told = [
        {
            "unit": number + 1, "grid": part.grid, "parent": part.parent, "name": part.name,
            "cells": len(part.cells),
            "weights": {parting.HOUSEHOLDS: round(sum(weight.get(c, 0.0) for c in part.cells), 3)},
            "of": {net: code for net, code in labelled[number].items() if code is not None},
        }
        for number, part in enumerate(listed)
    ]  # fmt: skip
    crosswalk = _crosswalk(made, cells, labels, unit, weight, names)
    figures = {
        "nets": len(names), "units": len(listed), "cells": len(cells), "ended": len(ended),
        "kept": sum(one is not None for one in grids), "new": sum(one is None for one in grids),
        "cells_moved": sum(
            place.today.get(cell) != part.grid for part in listed for cell in part.cells
        ),
        "contiguity_violations": int((shapely.get_num_geometries(shapes.to_numpy()) > 1).sum()),
        **{key: value for key, value in measures(shapes, ground).items()
           if key != "polsby_popper_each"},
        **{key: value for key, value in made.figures().items()
           if key in ("crosswalk_residual_m2", "untraceable", "overlap_m2", "outside_m2")},
        "tolerance_m": wish.tolerance_m,
    }  # fmt: skip
    warnings: list[str] = []
    if figures["untraceable"]:
        told_of = phrase(
            "%(n)s delivered grids lie outside this ground altogether.", n=figures["untraceable"]
        )
        warnings.append(told_of)
    proposal = Proposal(tuple(listed), ended, place.versions)
    return Made(proposal, figures, told, warnings, shapes), crosswalk


def _labels(made: Any, names: Mapping[str, Any], units: Ints) -> list[dict[str, str | None]]:
    """Return the grid of each net that has most of each part."""
    table = made.units.set_index("unit")
    return [{net: (None if one < 0 else table[net].loc[one]) for net in names} for one in units]


def _named(
    place: Land, parts: Sequence[Sequence[int]], grids: Sequence[int | None],
    labelled: Sequence[Mapping[str, str | None]],
) -> list[Part]:  # fmt: skip
    """Return the parts with the names of the delivered grids that they mostly are."""
    above = place.scene.grids
    top = any(above[parent].kind == GridKind.RESERVE for parent in place.parents)
    plain = parting.named(place, parts, grids)
    taken = {facts.name for facts in above.values() if not facts.ended}
    listed = []
    for part, called in zip(plain, labelled, strict=True):
        wanted = next((name for name in called.values() if name), None)
        name = part.name
        if part.grid is None and wanted and wanted[:100] not in taken:
            name = wanted[:100]
            taken.add(name)
        level, parent = (1, None) if top else (part.level, part.parent)
        listed.append(replace(part, name=name, level=level, parent=parent))
    return listed


def _crosswalk(
    made: Any, cells: Sequence[int], labels: Ints, unit: Ints, weight: Mapping[int, float],
    names: Mapping[str, Any],
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the crosswalk with the numbers of the parts, and households shared by ground."""
    laid = made.laid
    block = laid.block
    known = np.array([weight.get(cell, 0.0) for cell in cells])
    there = block >= 0
    ground = np.bincount(block[there], weights=laid.area_m2[there], minlength=len(cells))
    worth = np.zeros(len(block))
    at = block[there]
    worth[there] = known[at] * laid.area_m2[there] / np.maximum(ground[at], 1e-12)
    part_of = dict(zip(unit.tolist(), (labels + 1).tolist(), strict=True))
    sums: dict[tuple[str, int, int], float] = {}
    listed = [name for name in made.crosswalk["net"].drop_duplicates() if name in names]
    for number, net in enumerate(listed):
        owner = laid.owner[number]
        held = owner >= 0
        frame = pd.DataFrame({"row": owner[held], "unit": made.unit_of[held], "v": worth[held]})
        for at_row in frame.groupby(["row", "unit"], as_index=False)["v"].sum().to_numpy():
            sums[net, int(at_row[0]), int(at_row[1])] = float(at_row[2])
    told = made.crosswalk[made.crosswalk["net"].isin(list(names))]
    found = []
    row: Any
    for row in told.itertuples():
        own = row.kind == "unit"
        found.append(
            {
                "net": row.net, "grid": row.grid, "name": names[row.net].get(row.grid, row.grid),
                "kind": row.kind, "unit": part_of.get(int(row.unit)) if own else None,
                "area_m2": round(float(row.area_m2), 3), "share": round(float(row.share), 6),
                "households": round(sums.get((row.net, int(row.row), int(row.unit)), 0.0), 3)
                if own else 0.0,
            }
        )  # fmt: skip
    return found
