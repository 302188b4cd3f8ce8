"""The part of a plan that an edit sees, what it changes in it, and what takes that back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import geopandas as gpd

from geo.errors import InvalidInputError
from geo.saying import phrase
from geo.terms import GridKind


@dataclass(frozen=True)
class GridFacts:
    """What a plan says of a grid.

    Attributes
    ----------
    level : int
        1 is the top.
    parent : int, optional
        None at the top.
    name, kind : str
    ended : bool
        Whether the plan ends it.
    parts : int
        How many parts it may lie in.
    reason : str, optional
        Why it may lie in several, where somebody marked it.
    code_range : str, optional
        Range of the code scheme from which its next code is to come.
    """

    level: int
    parent: int | None
    name: str
    kind: str
    ended: bool = False
    parts: int = 1
    reason: str | None = None
    code_range: str | None = None


@dataclass(frozen=True)
class Scene:
    """The part of a plan that an edit sees.

    Attributes
    ----------
    grids : mapping of int to GridFacts
        The grids that the edit names, those that hold its cells, the ancestors of both, and those
        directly below the ones that it names.
    owners : mapping of int to int
        The leaf grid of each cell that the edit names; where it needs them, of the cells that lie
        in the grids it names.
    levels : int
        How many levels the city has.
    weight : mapping of int to float
        Households by cell; cells that are missing have none.
    reserve : int, optional
        The grid that holds what no other has.
    ground : GeoSeries, optional
        Shapes by cell, metre CRS, for edits along a line.
    """

    grids: Mapping[int, GridFacts]
    owners: Mapping[int, int]
    levels: int
    weight: Mapping[int, float] = field(default_factory=dict)
    reserve: int | None = None
    ground: gpd.GeoSeries | None = None

    def live(self, grid: int) -> GridFacts:
        """Return a grid that the plan has.

        Raises
        ------
        InvalidInputError
            If it has none of this number, or has ended it.
        """
        facts = self.grids.get(grid)
        if facts is None or facts.ended:
            raise InvalidInputError(
                phrase("The plan has no grid %(grid)s.", grid=grid), field="grid", grid=grid
            )
        return facts

    def children(self, grid: int) -> list[int]:
        """Return the grids directly below one, by number."""
        return sorted(
            one for one, facts in self.grids.items() if facts.parent == grid and not facts.ended
        )

    def cells_of(self, grid: int) -> list[int]:
        """Return the cells of a leaf, by number."""
        return sorted(cell for cell, owner in self.owners.items() if owner == grid)

    def leaf(self, grid: int) -> GridFacts:
        """Return a grid that holds cells itself.

        Raises
        ------
        InvalidInputError
            If the plan has no such grid, or it is divided further.
        """
        facts = self.live(grid)
        if self.children(grid):
            raise InvalidInputError(
                phrase(
                    "The grid %(grid)s is divided further: name one of the grids below it.",
                    grid=grid,
                ),
                field="grid",
                grid=grid,
            )
        return facts

    def shapes_of(self, grids: Iterable[int]) -> gpd.GeoSeries:
        """Return the shapes of the cells of some leaves, by number, metre CRS."""
        if self.ground is None:
            raise ValueError("The scene was read without its ground.")
        return self.ground.loc[[cell for grid in grids for cell in self.cells_of(grid)]]

    def households(self, cells: Iterable[int]) -> float:
        """Return the households of some cells."""
        return sum(self.weight.get(cell, 0.0) for cell in cells)

    def below(self, grid: int) -> list[int]:
        """Return a grid and all grids below it, the upper ones first."""
        found = [grid]
        for one in found:
            found.extend(self.children(one))
        return found

    def path(self, grid: int | None) -> list[int]:
        """Return a grid and its ancestors, upwards; nothing for None."""
        found: list[int] = []
        while grid is not None and grid in self.grids:
            found.append(grid)
            grid = self.grids[grid].parent
        return found


@dataclass(frozen=True)
class Change:
    """What an edit does.

    Attributes
    ----------
    cells : mapping of int to int
        The new leaf of each cell that changes hands.
    grids : mapping of int to GridFacts
        What is to be said of each grid that changes or is new; new ones have negative numbers
        until the plan gives them one.
    """

    cells: Mapping[int, int] = field(default_factory=dict)
    grids: Mapping[int, GridFacts] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not self.cells and not self.grids

    def numbered(self, numbers: Mapping[int, int]) -> Change:
        """Return this change with numbers in place of the provisional ones."""

        def number(one: int | None) -> Any:
            return one if one is None else numbers.get(one, one)

        grids = {
            number(grid): replace(facts, parent=number(facts.parent))
            for grid, facts in self.grids.items()
        }
        return Change({cell: number(grid) for cell, grid in self.cells.items()}, grids)


def changed(scene: Scene, change: Change) -> Scene:
    """Return the scene after a change."""
    return Scene(
        {**scene.grids, **change.grids},
        {**scene.owners, **change.cells},
        scene.levels,
        scene.weight,
        scene.reserve,
        scene.ground,
    )


def only_real(scene: Scene, change: Change) -> Change:
    """Return a change without what stands already."""
    return Change(
        {cell: grid for cell, grid in change.cells.items() if scene.owners.get(cell) != grid},
        {grid: facts for grid, facts in change.grids.items() if scene.grids.get(grid) != facts},
    )


def inverse(scene: Scene, change: Change) -> Change:
    """Return the change that takes one back; a grid that it made is ended.

    Parameters
    ----------
    scene : Scene
        As it was before.
    change : Change
        With numbers.
    """
    grids = {}
    for grid, facts in change.grids.items():
        before = scene.grids.get(grid)
        grids[grid] = before or replace(facts, ended=True)
    return Change({cell: scene.owners[cell] for cell in change.cells}, grids)


def touched(scene: Scene, change: Change) -> frozenset[int]:
    """Return the grids whose own cells or facts a change alters, new ones included."""
    owners = {scene.owners[cell] for cell in change.cells}
    return frozenset(owners | set(change.cells.values()) | set(change.grids))


def to_lock(scene: Scene, change: Change) -> frozenset[int]:
    """Return the standing grids whose rows an edit locks.

    Those that it touches, the parents that get or lose a grid, and of all ancestors those below
    the first one that is common to all, before and after: only their ground changes.
    """
    after = changed(scene, change)
    hands = {scene.owners[cell] for cell in change.cells} | set(change.cells.values())
    parents: set[int] = set()
    for grid, facts in change.grids.items():
        before = scene.grids.get(grid)
        moved = before is None or before.parent != facts.parent or before.ended != facts.ended
        if moved:
            parents |= {one for one in (before and before.parent, facts.parent) if one}
            hands |= {grid}
    paths = [scene.path(grid) for grid in hands if grid in scene.grids]
    paths += [after.path(grid) for grid in hands if not after.grids[grid].ended]
    common = set.intersection(*(set(path) for path in paths)) if paths else set()
    above = {one for path in paths for one in path} - common
    named = above | parents | set(touched(scene, change))
    return frozenset(one for one in named if one in scene.grids)


def as_rows(change: Change) -> dict[str, Any]:
    """Return a change as plain values for the log."""
    by_grid: dict[str, list[int]] = {}
    for cell, grid in sorted(change.cells.items()):
        by_grid.setdefault(str(grid), []).append(cell)
    grids = {
        str(grid): [
            facts.level, facts.parent, facts.name, facts.kind, facts.ended, facts.parts,
            facts.reason, facts.code_range,
        ]
        for grid, facts in sorted(change.grids.items())
    }  # fmt: skip
    return {"cells": by_grid, "grids": grids}


def of_rows(rows: Mapping[str, Any]) -> Change:
    """Return a change from the log."""
    cells = {cell: int(grid) for grid, listed in rows["cells"].items() for cell in listed}
    return Change(cells, {int(grid): GridFacts(*facts) for grid, facts in rows["grids"].items()})


def one_after_other(changes: Collection[Change]) -> Change:
    """Return several changes as one: what a later one says counts."""
    cells: dict[int, int] = {}
    grids: dict[int, GridFacts] = {}
    for one in changes:
        cells.update(one.cells)
        grids.update(one.grids)
    return Change(cells, grids)


def reserve_facts(name: str) -> GridFacts:
    """Return what is said of a new reserve."""
    return GridFacts(1, None, name, GridKind.RESERVE.value)
