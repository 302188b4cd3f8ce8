"""A proposal for a plan: parts of ground with the grids that they become, applied as one edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geo.redraw.edits import Named
from geo.redraw.scene import Change, GridFacts, Scene, only_real
from geo.terms import GridKind


@dataclass(frozen=True)
class Part:
    """One part of a proposal.

    Attributes
    ----------
    cells : tuple of int
    grid : int, optional
        The grid that it stays; None for a new one.
    level : int
    parent : int, optional
        None at the top.
    name : str
        Of a new grid; a standing one keeps its own.
    """

    cells: tuple[int, ...]
    grid: int | None
    level: int
    parent: int | None
    name: str


@dataclass(frozen=True)
class Proposal:
    """Parts of ground, the grids that end, and the versions it was made on.

    Attributes
    ----------
    parts : tuple of Part
    ended : tuple of int
        Grids that nothing is left of.
    versions : dict of int to int
        Of all grids that it looked at.
    """

    parts: tuple[Part, ...]
    ended: tuple[int, ...]
    versions: Mapping[int, int]

    def named(self) -> Named:
        """Return what has to be read before it can be applied."""
        grids = {part.grid for part in self.parts} | {part.parent for part in self.parts}
        cells = tuple(cell for part in self.parts for cell in part.cells)
        return Named(tuple(sorted({*self.ended, *(one for one in grids if one)})), cells)

    def change(self, scene: Scene) -> Change:
        """Return what it changes of a scene that holds all that it names.

        Raises
        ------
        InvalidInputError
            If a grid of it stands no more.
        """
        cells: dict[int, int] = {}
        grids: dict[int, GridFacts] = {}
        for place, part in enumerate(self.parts):
            number = part.grid if part.grid is not None else -2 - place
            if part.grid is not None:
                scene.live(part.grid)
            else:
                grids[number] = GridFacts(part.level, part.parent, part.name, GridKind.BASIC.value)
            cells |= dict.fromkeys((one for one in part.cells if one in scene.owners), number)
        grids |= {grid: replace(scene.live(grid), ended=True) for grid in self.ended}
        return only_real(scene, Change(cells, grids))

    def as_data(self) -> dict[str, Any]:
        """Return plain values for the table."""
        return {
            "parts": [
                {
                    "grid": part.grid, "level": part.level, "parent": part.parent,
                    "name": part.name, "cells": list(part.cells),
                }
                for part in self.parts
            ],
            "ended": list(self.ended),
            "versions": {str(grid): number for grid, number in self.versions.items()},
        }  # fmt: skip

    @classmethod
    def of_data(cls, data: Mapping[str, Any], standing: Mapping[int, Sequence[int]]) -> Proposal:
        """Return a proposal from the table.

        Parameters
        ----------
        standing : mapping of int to sequence of int
            Pieces of the cells that were cut since.
        """
        parts = tuple(
            Part(
                tuple(piece for cell in one["cells"] for piece in standing.get(cell, (cell,))),
                one["grid"], one["level"], one["parent"], one["name"],
            )
            for one in data["parts"]
        )  # fmt: skip
        versions = {int(grid): int(number) for grid, number in data["versions"].items()}
        return cls(parts, tuple(data["ended"]), versions)


def known_again(
    parts: Sequence[Iterable[int]], today: Mapping[int, int], weight: Mapping[int, float]
) -> list[int | None]:
    """Return which standing grid each part stays: the one with which it shares most households.

    Parameters
    ----------
    parts : sequence of iterables of int
        Cells of each part.
    today : mapping of int to int
        Present grid of cells; a cell may have none.
    weight : mapping of int to float
        Households of cells; where nobody lives, the cells themselves count.

    Returns
    -------
    list of int or None
        None for a part that is a new grid. No grid stands twice.

    Examples
    --------
    >>> known_again([[1, 2], [3], [4]], {1: 8, 2: 8, 3: 8, 4: 9}, {3: 50.0})
    [None, 8, 9]
    """
    shared: dict[tuple[int, int], list[float]] = {}
    for place, cells in enumerate(parts):
        for cell in cells:
            if cell in today:
                have = shared.setdefault((place, today[cell]), [0.0, 0.0])
                have[0] += weight.get(cell, 0.0)
                have[1] += 1.0
    found: list[int | None] = [None] * len(parts)
    given: set[int] = set()
    order = sorted(shared, key=lambda key: (*(-one for one in shared[key]), key))
    for place, grid in order:
        if found[place] is None and grid not in given:
            found[place] = grid
            given.add(grid)
    return found
