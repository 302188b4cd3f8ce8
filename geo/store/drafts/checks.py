"""Rules checked where an edit has changed a plan: on the grids that it holds, and around them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import Transformer
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.errors import CodeFormatError, InvalidInputError
from geo.profiles import load_profile
from geo.redraw import rules
from geo.redraw.rules import Fault, Limits
from geo.redraw.scene import Change, Scene, changed
from geo.saying import phrase
from geo.store.drafts import rows
from geo.store.drafts.rows import Draft
from geo.tables import SRID, City, Level
from geo.terms import GridKind
from geo.topology import adjacency

NEAR_M: Final = 60.0
"""How far around an edit barriers and streets are looked at, in metres."""
NEAR_DEGREES: Final = 0.002

_HELD = text("""
    SELECT g.grid_id, g.kind,
        EXISTS (SELECT FROM plan_grid AS c WHERE c.city_id = g.city_id AND c.plan_id = g.plan_id
            AND c.parent_id = g.grid_id AND NOT c.ended) AS divided,
        EXISTS (SELECT FROM plan_cell AS d WHERE d.city_id = g.city_id AND d.plan_id = g.plan_id
            AND d.grid_id = g.grid_id)
        OR EXISTS (SELECT FROM net_cell AS n WHERE n.city_id = g.city_id AND n.grid_id = g.grid_id
            AND n.from_seq <= :base AND :base < n.to_seq AND NOT EXISTS (
                SELECT FROM plan_cell AS d WHERE d.city_id = g.city_id AND d.plan_id = g.plan_id
                    AND d.cell_id = n.cell_id)) AS filled,
        g.parts
    FROM plan_grid AS g
    WHERE g.city_id = :city AND g.plan_id = :plan AND g.grid_id = ANY (:grids) AND NOT g.ended
    ORDER BY g.grid_id
""")
_SHAPES = text("""
    SELECT c.cell_id, ST_AsBinary(c.geom), c.area_m2 FROM cell AS c
    WHERE c.city_id = :city AND c.cell_id = ANY (:cells) ORDER BY c.cell_id
""")
_RING = text("""
    SELECT c.cell_id, coalesce(d.grid_id, n.grid_id, 0), ST_AsBinary(c.geom)
    FROM (SELECT DISTINCT k.cell_id FROM cell AS x
        JOIN cell AS k ON k.city_id = x.city_id AND k.geom && ST_Expand(x.geom, 0.0000001)
        WHERE x.city_id = :city AND x.cell_id = ANY (:cells) AND k.retired_by_cut IS NULL
            AND k.cell_id <> ALL (:cells)) AS r
    JOIN cell AS c ON c.city_id = :city AND c.cell_id = r.cell_id
    LEFT JOIN plan_cell AS d ON d.city_id = :city AND d.plan_id = :plan AND d.cell_id = r.cell_id
    LEFT JOIN net_cell AS n ON n.city_id = :city AND n.cell_id = r.cell_id
        AND n.from_seq <= :base AND :base < n.to_seq
    ORDER BY c.cell_id
""")
_UP = text("""
    WITH RECURSIVE up AS (
        SELECT g.grid_id AS leaf, g.grid_id, g.parent_id, g.parts FROM plan_grid AS g
        WHERE g.city_id = :city AND g.plan_id = :plan AND g.grid_id = ANY (:leaves)
        UNION ALL
        SELECT u.leaf, g.grid_id, g.parent_id, u.parts FROM up AS u, LATERAL (
            SELECT x.grid_id, x.parent_id FROM plan_grid AS x WHERE x.city_id = :city
                AND x.plan_id = :plan AND x.grid_id = u.parent_id OFFSET 0) AS g
    )
    SELECT leaf, grid_id, parts FROM up
""")
_LEAVES = text("""
    WITH RECURSIVE below AS (
        SELECT CAST(:grid AS bigint) AS grid_id
        UNION
        SELECT g.grid_id FROM below AS b, LATERAL (
            SELECT x.grid_id FROM plan_grid AS x WHERE x.city_id = :city AND x.plan_id = :plan
                AND x.parent_id = b.grid_id AND NOT x.ended OFFSET 0) AS g
    )
    SELECT grid_id FROM below
""")
_LINES: Final = {
    "barrier": text("""
        SELECT ST_AsBinary(geom) FROM barrier WHERE city_id = :city
            AND (CAST(:kinds AS text[]) IS NULL OR kind = ANY (:kinds))
            AND geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
    """),
    "street": text("""
        SELECT ST_AsBinary(geom) FROM street WHERE city_id = :city
            AND geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
    """),
}
_COMPOUNDS = text("""
    SELECT DISTINCT p.compound_id, ST_AsBinary(p.geom) FROM compound AS p
    JOIN cell AS c ON c.city_id = p.city_id AND c.cell_id = ANY (:cells) AND c.geom && p.geom
    WHERE p.city_id = :city ORDER BY p.compound_id
""")
_IN_COMPOUNDS = text("""
    SELECT p.compound_id, c.cell_id, coalesce(d.grid_id, n.grid_id, 0)
    FROM compound AS p
    JOIN cell AS c ON c.city_id = p.city_id AND c.geom && p.geom AND c.retired_by_cut IS NULL
        AND ST_Intersects(p.geom, ST_PointOnSurface(c.geom))
    LEFT JOIN plan_cell AS d ON d.city_id = c.city_id AND d.plan_id = :plan
        AND d.cell_id = c.cell_id
    LEFT JOIN net_cell AS n ON n.city_id = c.city_id AND n.cell_id = c.cell_id
        AND n.from_seq <= :base AND :base < n.to_seq
    WHERE p.city_id = :city AND p.compound_id = ANY (:compounds)
""")


@dataclass(frozen=True)
class Ground:
    """Cells with their shapes.

    Attributes
    ----------
    shapes : GeoSeries of Polygon
        Metre CRS, by cell.
    degrees : tuple of float
        West, south, east, north of them.
    area_m2 : Series of float
    """

    shapes: gpd.GeoSeries
    degrees: tuple[float, float, float, float]
    area_m2: pd.Series[float]


@lru_cache(maxsize=16)
def turner(source: int, target: int) -> Transformer:
    """Return what turns places of one system into those of another, vertex by vertex."""
    return Transformer.from_crs(source, target, always_xy=True)


def turned(shapes: Any, srid: int) -> Any:
    """Return stored shapes in a metre CRS."""
    change = turner(SRID, srid).transform
    return shapely.transform(np.asarray(shapes, dtype=object), change, interleaved=False)


def geojson(shape: Any, srid: int) -> dict[str, Any] | None:
    """Return a shape of a metre CRS as GeoJSON in degrees."""
    if shape is None or shape.is_empty:
        return None
    change = turner(srid, SRID).transform
    there = shapely.transform(shape, change, interleaved=False)
    told: dict[str, Any] = shapely.geometry.mapping(
        shapely.set_precision(there, 1e-7, mode="pointwise")
    )
    return told


def ground_of(session: Session, draft: Draft, cells: Iterable[int], srid: int) -> Ground:
    """Return the shapes of cells, those that were cut included."""
    found = session.execute(_SHAPES, draft.known(cells=sorted(cells))).all()
    shapes = shapely.from_wkb([bytes(row[1]) for row in found])
    index = pd.Index([int(row[0]) for row in found], dtype="int64")
    bounds = tuple(shapely.total_bounds(shapes)) if len(found) else (0.0, 0.0, 0.0, 0.0)
    return Ground(
        gpd.GeoSeries(turned(shapes, srid), index=index, crs=srid),
        (float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3])),
        pd.Series([float(row[2]) for row in found], index=index, dtype="float64"),
    )


def faults(
    session: Session,
    draft: Draft,
    srid: int,
    scene: Scene,
    change: Change,
    held: Collection[int],
) -> list[Fault]:
    """Return the rules that a change breaks which has just been written.

    Parameters
    ----------
    draft : Draft
    srid : int
        Metre CRS of the city.
    scene : Scene
        As it was before.
    change : Change
        With numbers.
    held : collection of int
        The grids whose rows this transaction holds, new ones included.

    Returns
    -------
    list of Fault
    """
    after = changed(scene, change)
    standing = session.execute(_HELD, draft.known(grids=sorted(held))).all()
    found = [fault for row in standing for fault in _structure(row)]
    if found:
        return found
    limits = Limits.of(draft.rules)
    hands = {scene.owners[cell] for cell in change.cells} | set(change.cells.values())
    leaves = {
        row.grid_id: row.parts
        for row in standing
        if row.grid_id in hands and not row.divided and row.kind != "reserve"
    }
    above = {row.grid_id: row.parts for row in standing if row.divided}
    if change.cells:
        found += _cell_faults(session, draft, srid, scene, change, leaves, above, limits)
    elif _moves(scene, change):
        for grid, parts in above.items():
            found += _whole(session, draft, srid, scene, after, grid, parts)
    return found


def _structure(row: Any) -> list[Fault]:
    if row.kind == "reserve":
        return []
    if row.divided and row.filled:
        message = phrase(
            "The grid %(grid)s would hold cells itself and be divided too.", grid=row.grid_id
        )
        return [Fault(rules.MIXED, row.grid_id, message)]
    if not row.divided and not row.filled:
        message = phrase(
            "Nothing would be left of the grid %(grid)s: merge it or end it.", grid=row.grid_id
        )
        return [Fault(rules.EMPTY, row.grid_id, message)]
    return []


def _moves(scene: Scene, change: Change) -> bool:
    """Say whether whole grids get another place in the tree."""
    return any(
        grid not in scene.grids or scene.grids[grid].parent != facts.parent
        for grid, facts in change.grids.items()
    )


def _cell_faults(
    session: Session,
    draft: Draft,
    srid: int,
    scene: Scene,
    change: Change,
    leaves: dict[int, int],
    above: dict[int, int],
    limits: Limits,
) -> list[Fault]:
    """Return what is wrong with grids whose cells changed hands, and with those above them."""
    own = rows.cells_of(session, draft, leaves)
    ground = ground_of(session, draft, set(own) | set(change.cells), srid)
    now = pd.Series(ground.shapes.index.map({**change.cells, **own}), index=ground.shapes.index)
    then = now.copy()
    before = {cell: scene.owners[cell] for cell in change.cells}
    hit = now.index.isin(list(before))
    then[hit] = now.index[hit].map(before)
    lines = [near(session, draft, ground, kind, srid) for kind in ("barrier", "street")]
    found = rules.torn_leaves(ground.shapes, now, then, leaves, *lines)
    if not found and above:
        found += _above(session, draft, srid, scene, change, ground, now, above)
    if limits.keep_barriers and not found:
        walls = near(session, draft, ground, "barrier", srid, sorted(limits.keep_barriers))
        found += rules.crossing_leaves(ground.shapes, now, then, leaves, walls)
    facts = changed(scene, change).grids
    basic = [one for one in leaves if one in facts and facts[one].kind == GridKind.BASIC]
    found += _sizes(session, draft, ground, now, basic, limits)
    if limits.keep_compounds:
        found += _compounds(session, draft, srid, before, set(change.cells))
    return found


def near(
    session: Session,
    draft: Draft,
    ground: Ground,
    kind: str,
    srid: int,
    kinds: Collection[str] | None = None,
) -> gpd.GeoSeries:
    """Return the barriers, of some kinds or all, or streets around cells, cut off further away."""
    west, south, east, north = ground.degrees
    box = {
        "west": west - NEAR_DEGREES, "south": south - NEAR_DEGREES,
        "east": east + NEAR_DEGREES, "north": north + NEAR_DEGREES,
    }  # fmt: skip
    asked = {"city": draft.city_id, "kinds": kinds, **box}
    stored = session.scalars(_LINES[kind], asked).all()
    shapes = turned(shapely.from_wkb([bytes(one) for one in stored]), srid)
    if len(shapes):
        low_x, low_y, high_x, high_y = ground.shapes.total_bounds
        kept = shapely.clip_by_rect(
            shapes, low_x - NEAR_M, low_y - NEAR_M, high_x + NEAR_M, high_y + NEAR_M
        )
        same = shapely.get_dimensions(kept) == shapely.get_dimensions(shapes)
        shapes = kept[same & ~shapely.is_empty(kept)]
    return gpd.GeoSeries(shapes, crs=srid)


def _above(
    session: Session,
    draft: Draft,
    srid: int,
    scene: Scene,
    change: Change,
    ground: Ground,
    now: pd.Series[int],
    above: dict[int, int],
) -> list[Fault]:
    """Return which grids above the leaves a change has torn; looked at nearby first."""
    after = changed(scene, change)
    ring = session.execute(_RING, draft.known(cells=ground.shapes.index.tolist())).all()
    around = turned(shapely.from_wkb([bytes(row[2]) for row in ring]), srid)
    cells = np.concatenate([ground.shapes.index, [int(row[0]) for row in ring]]).astype(np.int64)
    leaf = np.concatenate([now.to_numpy(), [int(row[1]) for row in ring]]).astype(np.int64)
    shapes = gpd.GeoSeries(np.concatenate([ground.shapes.to_numpy(), around]), crs=srid)
    neighbours = adjacency(shapes)
    up = session.execute(_UP, draft.known(leaves=np.unique(leaf).tolist())).all()
    inside_of: dict[int, set[int]] = {}
    for one, grid, _ in up:
        inside_of.setdefault(grid, set()).add(one)
    solid = {row[0] for row in up if row[2] == 1} - set(now.unique().tolist())
    group = np.where(np.isin(leaf, list(solid)), -leaf, np.arange(len(leaf)) + 1)
    group = np.unique(group, return_inverse=True)[1]
    of_before = {cell: set(scene.path(scene.owners[cell])) for cell in change.cells}
    of_after = {cell: set(after.path(grid)) for cell, grid in change.cells.items()}
    found = []
    for grid, allowed in above.items():
        left = {c for c in change.cells if grid in of_before[c] and grid not in of_after[c]}
        gained = {c for c in change.cells if grid not in of_before[c] and grid in of_after[c]}
        if not left and not gained:
            continue
        inside = np.isin(leaf, list(inside_of.get(grid, ())))
        if rules.may_be_torn(
            neighbours, inside, np.isin(cells, list(left)), np.isin(cells, list(gained)), group
        ):
            found += _whole(session, draft, srid, scene, after, grid, allowed)
    return found


def _whole(
    session: Session,
    draft: Draft,
    srid: int,
    scene: Scene,
    after: Scene,
    grid: int,
    allowed: int,
) -> list[Fault]:
    """Return whether a whole grid lies in more parts than it may."""
    leaves = session.scalars(_LEAVES, draft.known(grid=grid)).all()
    own = set(rows.cells_of(session, draft, leaves))
    gone = {cell for cell, owner in scene.owners.items() if grid in scene.path(owner)} - own
    come = {
        cell for cell in own if cell in scene.owners and grid not in scene.path(scene.owners[cell])
    }
    with_grids = _carried(session, draft, scene, after, grid)
    come, gone = come | with_grids[0], gone | with_grids[1]
    ground = ground_of(session, draft, own | gone, srid)
    inside = ground.shapes.index.isin(list(own))
    was = (inside & ~ground.shapes.index.isin(list(come))) | ground.shapes.index.isin(list(gone))
    return rules.torn_whole(ground.shapes[inside], ground.shapes[was], grid, allowed)


def _carried(
    session: Session, draft: Draft, scene: Scene, after: Scene, grid: int
) -> tuple[set[int], set[int]]:
    """Return the cells that came to a grid, and left it, with whole grids that change parents."""
    come: set[int] = set()
    gone: set[int] = set()
    for one, facts in after.grids.items():
        if one not in scene.grids or scene.grids[one].parent == facts.parent:
            continue
        before, now = grid in scene.path(one), grid in after.path(one)
        if before != now:
            leaves = session.scalars(_LEAVES, draft.known(grid=one)).all()
            cells = set(rows.cells_of(session, draft, leaves)) - set(scene.owners)
            (come if now else gone).update(cells)
    return come, gone


def _sizes(
    session: Session,
    draft: Draft,
    ground: Ground,
    now: pd.Series[int],
    leaves: Collection[int],
    limits: Limits,
) -> list[Fault]:
    wished = (
        limits.households_target, limits.households_min, limits.households_max, limits.area_max_m2
    )  # fmt: skip
    if all(one is None for one in wished):
        return []
    own = now[now.isin(list(leaves))]
    weight = rows.households(session, draft, own.index.tolist())
    homes = pd.Series(own.index.map(weight), index=own.index).fillna(0.0).groupby(own).sum()
    area = ground.area_m2[own.index].groupby(own).sum()
    return rules.sizes(
        {int(str(k)): float(v) for k, v in homes.items()},
        {int(str(k)): float(v) for k, v in area.items()},
        limits,
    )


def _compounds(
    session: Session, draft: Draft, srid: int, before: dict[int, int], moved: set[int]
) -> list[Fault]:
    near = session.execute(_COMPOUNDS, draft.known(cells=sorted(moved))).all()
    if not near:
        return []
    outlines = dict(
        zip(
            (int(row[0]) for row in near),
            turned(shapely.from_wkb([bytes(row[1]) for row in near]), srid),
            strict=True,
        )
    )
    listed = session.execute(_IN_COMPOUNDS, draft.known(compounds=list(outlines))).all()
    members = pd.DataFrame([tuple(row) for row in listed], columns=["compound", "cell", "after"])
    members["before"] = [
        before.get(cell, owner)
        for cell, owner in zip(members["cell"], members["after"], strict=True)
    ]
    return rules.divided_compounds(members, outlines, moved)


def demand_range(session: Session, draft: Draft, level: int, name: str) -> None:
    """Refuse a range of codes that the city's scheme does not keep for a level.

    A city whose profile has no such scheme gives no codes: any range will do.

    Raises
    ------
    InvalidInputError
        `ranges` lists those that there are.
    """
    city = session.get_one(City, draft.city_id)
    schemes = load_profile(city.profile).schemes
    scheme = next((one for one in schemes if one.code == city.code_scheme), None)
    if scheme is None:
        return
    coded = session.scalar(
        select(Level.code).where(Level.city_id == city.city_id, Level.level == level)
    )
    try:
        segment = scheme.place(str(coded))[2]
    except CodeFormatError as error:
        message = phrase("Grids of this level are not numbered: they have no range of codes.")
        raise InvalidInputError(message, field="code_range", ranges=[]) from error
    try:
        segment.span(name)
    except CodeFormatError as error:
        known = [one.name for one in segment.ranges] or ["default"]
        message = phrase(
            "There is no range of codes '%(name)s', but there are: %(known)s.",
            name=name, known=", ".join(known),
        )  # fmt: skip
        raise InvalidInputError(message, field="code_range", ranges=known) from error
