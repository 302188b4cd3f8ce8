"""Divide ground into contiguous parts near a wished weight, inside borders that hold."""

from __future__ import annotations

from geo.partition.dividing import (
    QUICK,
    THOROUGH,
    Division,
    Effort,
    balanced_parts,
    divide,
    measured,
)
from geo.partition.graph import CellGraph, cell_graph
from geo.partition.objective import Score, Wishes, score

__all__ = [
    "QUICK",
    "THOROUGH",
    "CellGraph",
    "Division",
    "Effort",
    "Score",
    "Wishes",
    "balanced_parts",
    "cell_graph",
    "divide",
    "measured",
    "score",
]
