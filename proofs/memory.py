"""A city in memory, redrawn by the edits, cuts and rules of the product, without a database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo import cutline
from geo.errors import PlanRuleError
from geo.redraw import lines, rules
from geo.redraw.edits import SHAPED, exact, named, redraw
from geo.redraw.scene import Change, GridFacts, Scene, changed, inverse, touched
from geo.topology import adjacency

NO_LINES: list[Any] = []


@dataclass
class Step:
    """An edit that was done, with what takes it back."""

    change: Change
    back: Change
    olds: dict[int, Any] = field(default_factory=dict)
    pieces: dict[int, int] = field(default_factory=dict)


class MemoryCity:
    """Cells, who owns them and what is said of grids.

    Parameters
    ----------
    cells : GeoSeries of Polygon
        A valid coverage, metre CRS, indexed by cell id.
    owners : Series of int
        Leaf of each cell.
    grids : dict of int to GridFacts
    """

    def __init__(
        self, cells: gpd.GeoSeries, owners: pd.Series[int], grids: dict[int, GridFacts]
    ) -> None:
        self.crs = cells.crs
        self.cells: dict[int, Any] = dict(zip(cells.index.tolist(), cells.array, strict=True))
        self.owners: dict[int, int] = {int(c): int(g) for c, g in owners.items()}
        self.grids = dict(grids)
        self.levels = max(facts.level for facts in grids.values())
        self.steps: list[Step] = []
        self.next_cell = max(self.cells) + 1
        self.next_grid = max(self.grids) + 1

    # ---- what an edit sees ----------------------------------------------------------------------

    def scene(self, op: str, args: dict[str, Any]) -> Scene:
        """Return the whole city as an edit sees it."""
        grids = set(named(op, args).grids)
        ground = None
        if op in SHAPED:
            ground = self.series(c for c, g in self.owners.items() if g in grids)
        reserve = next(
            (g for g, f in self.grids.items() if f.kind == "reserve" and not f.ended), None
        )
        return Scene(dict(self.grids), dict(self.owners), self.levels, {}, reserve, ground)

    def series(self, cells: Iterable[int]) -> gpd.GeoSeries:
        """Return the shapes of cells, by number."""
        listed = sorted(cells)
        shapes = np.array([self.cells[cell] for cell in listed], dtype=object)
        return gpd.GeoSeries(shapes, index=listed, crs=self.crs)

    def beside(self, cells: Collection[int]) -> gpd.GeoSeries:
        """Return the shapes of cells and of all that touch them."""
        names = np.array(list(self.cells))
        shapes = np.array(list(self.cells.values()), dtype=object)
        hit = shapely.STRtree(shapes).query(
            [self.cells[cell] for cell in cells], predicate="intersects"
        )[1]
        return self.series(names[np.unique(hit)].tolist())

    # ---- edits ----------------------------------------------------------------------------------

    def edit(self, op: str, args: dict[str, Any]) -> Step:
        """Do an edit, or leave everything as it was.

        Raises
        ------
        WanggeError
            If it cannot be done, or breaks a rule that no plan can switch off.
        """
        kept = (dict(self.cells), dict(self.owners), dict(self.grids))
        try:
            olds: dict[int, Any] = {}
            pieces: dict[int, int] = {}
            if op in SHAPED and exact(args):
                olds, pieces = self._cut(op, args)
            scene = self.scene(op, args)
            change = self._numbered(redraw(op, args, scene))
            step = Step(change, inverse(scene, change), olds, pieces)
            self._write(change)
            self._demand(scene, change)
        except Exception:
            self.cells, self.owners, self.grids = kept
            raise
        self.steps.append(step)
        return step

    def _cut(self, op: str, args: dict[str, Any]) -> tuple[dict[int, Any], dict[int, int]]:
        wanted = set(named(op, args).grids)
        ground = self.series(c for c, g in self.owners.items() if g in wanted)
        way = lines.reaching(ground, lines.line_of(args.get("line"), self.crs))
        near = ground.index[shapely.dwithin(ground.to_numpy(), way, cutline.DELTA_M)].tolist()
        if not near:
            return {}, {}
        found = cutline.cut(self.beside(near), way, near)
        olds = {int(cell): self.cells[int(cell)] for cell in found.pieces["cell_id"].unique()}
        pieces: dict[int, int] = {}
        for cell, shape in zip(found.pieces["cell_id"], found.pieces.geometry, strict=True):
            pieces[self.next_cell] = int(cell)
            self.cells[self.next_cell] = shape
            self.owners[self.next_cell] = self.owners[int(cell)]
            self.next_cell += 1
        for cell in olds:
            del self.cells[cell], self.owners[cell]
        if pieces:
            self.cells.update(found.beside)
        return olds, pieces

    def undo(self) -> Step | None:
        """Take the last edit back, its cut too: the old cells keep the vertices that came since."""
        if not self.steps:
            return None
        step = self.steps.pop()
        self._write(step.back)
        for cell in step.olds:
            own = [piece for piece, old in step.pieces.items() if old == cell]
            self.cells[cell] = shapely.coverage_union_all([self.cells[piece] for piece in own])
            self.owners[cell] = self.owners[own[0]]
            for piece in own:
                del self.cells[piece], self.owners[piece]
        return step

    def _numbered(self, change: Change) -> Change:
        new = sorted((grid for grid in change.grids if grid < 0), reverse=True)
        numbers = {grid: self.next_grid + place for place, grid in enumerate(new)}
        self.next_grid += len(new)
        return change.numbered(numbers)

    def _write(self, change: Change) -> None:
        self.owners.update(change.cells)
        self.grids.update(change.grids)

    def _demand(self, scene: Scene, change: Change) -> None:
        """Refuse what tears, empties or mixes a grid."""
        after = changed(scene, change)
        asked = touched(scene, change)
        above = {one for grid in asked for one in (*scene.path(grid), *after.path(grid))}
        held = pd.Series(self.owners).groupby(pd.Series(self.owners)).groups
        divided = {facts.parent for facts in self.grids.values() if not facts.ended}
        faults = []
        for grid in sorted(above):
            facts = self.grids[grid]
            if facts.ended or facts.kind == "reserve":
                continue
            if (grid in divided) == (grid in held):
                faults.append(grid)
        leaves = {g: self.grids[g].parts for g in asked if g in held and not self._free(g)}
        torn = {g: n for g, n in leaves.items() if self.parts(held[g].tolist()) > n}
        if torn and not faults:
            own = [cell for grid in torn for cell in held[grid]]
            shapes = self.series({*own, *change.cells})
            now = pd.Series([self.owners[cell] for cell in shapes.index], index=shapes.index)
            then = pd.Series([scene.owners[cell] for cell in shapes.index], index=shapes.index)
            none = gpd.GeoSeries(NO_LINES, crs=self.crs)
            faults += rules.torn_leaves(shapes, now, then, torn, none, none)
        for grid in sorted(above & {one for one in divided if one}):
            below, before = (self._ground(one, grid) for one in (after, scene))
            allowed = self.grids[grid].parts
            if faults or below == before or self._free(grid) or self.parts(below) <= allowed:
                continue
            faults += rules.torn_whole(self.series(below), self.series(before), grid, allowed)
        if faults:
            raise PlanRuleError(f"{len(faults)} faults", faults=[str(one) for one in faults])

    def parts(self, cells: Collection[int]) -> int:
        """Return in how many parts cells lie, joined by borders of 0.1 m and more."""
        near = adjacency(self.series(cells))
        pairs = (near.left, near.right)
        graph = coo_array((np.ones(len(near.left), dtype=bool), pairs), shape=(near.size,) * 2)
        return int(connected_components(graph, directed=False)[0])

    def _free(self, grid: int) -> bool:
        facts = self.grids[grid]
        return facts.ended or facts.kind == "reserve"

    def _ground(self, scene: Scene, grid: int) -> list[int]:
        below = {g for g in scene.grids if grid in scene.path(g)}
        return [cell for cell, owner in scene.owners.items() if owner in below]

    # ---- what holds at every moment -------------------------------------------------------------

    def faults(self, cells: Collection[int] | None = None) -> list[str]:
        """Return what is wrong with the ground: of all cells, or of some and their neighbours."""
        found = []
        shapes = self.series(self.cells) if cells is None else self.beside(cells)
        array = shapes.to_numpy()
        if not shapely.is_valid(array).all() or not shapely.coverage_is_valid(array):
            found.append("the cells are no coverage")
        if set(self.cells) != set(self.owners):
            found.append("a cell has no owner")
        if cells is None:
            leaf = pd.Series([self.owners[cell] for cell in shapes.index])
            unions = [
                shapely.coverage_union_all(array[rows])
                for rows in leaf.groupby(leaf).indices.values()
            ]
            if not shapely.coverage_is_valid(unions):
                found.append("the grids are no coverage")
        return found

    def vertices(self) -> set[tuple[float, float]]:
        """Return all places that a cell has a vertex at."""
        return set(map(tuple, shapely.get_coordinates(list(self.cells.values())).tolist()))

    def area(self) -> Fraction:
        """Return the exact area of all cells together, square metres."""
        return sum(map(exact_area, self.cells.values()), Fraction(0))


def exact_area(polygon: Any) -> Fraction:
    """Return the area of a polygon in rational numbers: no digit is lost."""
    total = Fraction(0)
    for ring in shapely.get_rings(polygon):
        xy = [(Fraction(x), Fraction(y)) for x, y in shapely.get_coordinates(ring).tolist()]
        x0, y0 = xy[0]
        double = sum(
            ((a - x0) * (d - y0) - (c - x0) * (b - y0) for (a, b), (c, d) in pairwise(xy)),
            Fraction(0),
        )
        total += abs(double) / 2 if total == 0 else -abs(double) / 2
    return total
