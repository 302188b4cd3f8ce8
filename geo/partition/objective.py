"""What a good division is: one formula for ours and for everybody we are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.errors import InvalidInputError
from geo.partition.graph import CellGraph, components

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SLACK: Final = 1e-12
CUT_PRICE: Final = 0.05
BEYOND: Final = 1.0
SLOPE: Final = 1.0


@dataclass(frozen=True)
class Wishes:
    """What is wished of the parts.

    A part of weights `w` (one for each measure `j`) costs

        sum_j share_j * (x_j ** 2 + (beyond + slope * (x_j - tolerance_j) if x_j > tolerance_j))

    with `x_j = |w_j / target_j - 1|`; a single cell above the first measure's target costs nothing,
    as nobody can do better. A division costs what its parts cost, and
    `cut_price * cut_m / side_m`, where `cut_m` is the length of the borders between parts of one
    parent and `side_m` the side of an average part, read off the graph alone:
    `sum of all borders / (2 * sqrt(cells * total weight / target))`.

    Attributes
    ----------
    target : tuple of float
        Wished weight of a part, by measure, above 0.
    tolerance : tuple of float
        Share of the target that a part may be off.
    share : tuple of float
        How much each measure counts.
    cut_price, beyond, slope : float
        As in the formula, without unit.
    """

    target: tuple[float, ...]
    tolerance: tuple[float, ...]
    share: tuple[float, ...] = ()
    cut_price: float = CUT_PRICE
    beyond: float = BEYOND
    slope: float = SLOPE

    def __post_init__(self) -> None:
        """Refuse what cannot be wished.

        Raises
        ------
        InvalidInputError
        """
        count = len(self.target)
        if not self.share:
            object.__setattr__(self, "share", (1.0,) * count)
        if not count or len(self.tolerance) != count or len(self.share) != count:
            raise InvalidInputError(
                "Each measure has one target and one tolerance.", field="target"
            )
        for name, values, least in (
            ("target", self.target, np.nextafter(0.0, 1.0)),
            ("tolerance", self.tolerance, 0.0),
            ("share", self.share, 0.0),
            ("cut_price", (self.cut_price,), 0.0),
        ):
            if not all(np.isfinite(value) and value >= least for value in values):
                message = (
                    f"'{name}' has to be a number {'above' if name == 'target' else 'from'} 0."
                )
                raise InvalidInputError(message, field=name)

    def side_m(self, graph: CellGraph) -> float:
        """Return the side of an average part, metres; 1 where the graph has no borders."""
        parts = max(float(graph.weight[:, 0].sum()) / self.target[0], 1.0)
        total = float(graph.length_m.sum())
        return total / (2.0 * np.sqrt(graph.size * parts)) if total > 0 else 1.0

    def prices(self, graph: CellGraph) -> Floats:
        """Return what cutting each border costs, shape (m,)."""
        return np.asarray(self.cut_price * graph.length_m / self.side_m(graph), dtype=np.float64)


@dataclass(frozen=True)
class Score:
    """How good a division is.

    Attributes
    ----------
    units : DataFrame
        By part: `weight` (first measure), `cells`, `deviation` (share of the target, signed; the
        worst measure), `within` (all measures within tolerance), `alone` (one cell above the
        target), `pieces` (connected pieces).
    cut_m : float
        Length of borders between parts of one parent, metres.
    objective : float
        See `Wishes`; less is better.
    """

    units: pd.DataFrame
    cut_m: float
    objective: float

    @property
    def good(self) -> float:
        """Share of the parts that are within tolerance, or one cell that is heavy by itself."""
        return float((self.units["within"] | self.units["alone"]).mean())


def score(graph: CellGraph, labels: Ints, wishes: Wishes) -> Score:
    """Measure a division, whoever made it.

    Parameters
    ----------
    graph : CellGraph
    labels : ndarray of int, shape (n,)
        Part of each cell; a number that stands in two parents is two parts.
    wishes : Wishes

    Returns
    -------
    Score
        Units are indexed by a number of their own, parents in order; see `Score`.
    """
    _, part = np.unique(graph.parent * (labels.max(initial=0) + 1) + labels, return_inverse=True)
    count = int(part.max(initial=-1)) + 1
    cells = np.bincount(part, minlength=count)
    load = np.stack(
        [np.bincount(part, weights=graph.weight[:, j], minlength=count)
         for j in range(graph.weight.shape[1])], axis=1,
    )  # fmt: skip
    off = load / np.array(wishes.target) - 1.0
    x, tolerance = np.abs(off), np.array(wishes.tolerance)
    over = x > tolerance + SLACK
    alone = (cells == 1) & (load[:, 0] > wishes.target[0])
    cost = x**2 + np.where(over, wishes.beyond + wishes.slope * (x - tolerance), 0.0)
    crossing = part[graph.left] != part[graph.right]
    cut_m = float(graph.length_m[crossing].sum())
    piece = components(len(part), graph.left[~crossing], graph.right[~crossing])
    pieces = np.bincount(part[np.unique(piece, return_index=True)[1]], minlength=count)
    worst = np.argmax(x, axis=1)
    units = pd.DataFrame(
        {
            "parent": graph.parent[np.unique(part, return_index=True)[1]],
            "weight": load[:, 0],
            "cells": cells,
            "deviation": off[np.arange(count), worst],
            "within": ~over.any(axis=1),
            "alone": alone,
            "pieces": pieces,
        }
    )
    total = float((cost @ np.array(wishes.share))[~alone].sum())
    return Score(units, cut_m, total + wishes.cut_price * cut_m / wishes.side_m(graph))


def described(value: Any) -> str:
    """Return a weight as people write it: `1,204` or `98.5`."""
    return f"{float(value):,.1f}".removesuffix(".0")
