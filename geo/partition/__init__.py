"""Divide ground into contiguous parts near a wished weight, inside borders that hold."""

from __future__ import annotations

from geo.partition.changing import changed, melted
from geo.partition.dividing import (
    QUICK,
    THOROUGH,
    Division,
    Effort,
    balanced_parts,
    divide,
    measured,
)
from geo.partition.explaining import explained, refuse_parts
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
    "changed",
    "divide",
    "explained",
    "measured",
    "melted",
    "refuse_parts",
    "score",
]
