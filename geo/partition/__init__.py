"""Divide ground into contiguous parts near a wished weight, inside borders that hold."""

from __future__ import annotations

from geo.partition.changing import changed, joined
from geo.partition.dividing import (
    QUICK,
    THOROUGH,
    Division,
    Effort,
    balanced_parts,
    divide,
    measured,
)
from geo.partition.explaining import Held, explained, refuse_parts, refuse_target
from geo.partition.graph import CellGraph, cell_graph
from geo.partition.objective import Score, Wishes, score
from geo.partition.reshaping import melted, opened

__all__ = [
    "QUICK",
    "THOROUGH",
    "CellGraph",
    "Division",
    "Effort",
    "Held",
    "Score",
    "Wishes",
    "balanced_parts",
    "cell_graph",
    "changed",
    "divide",
    "explained",
    "joined",
    "measured",
    "melted",
    "opened",
    "refuse_parts",
    "refuse_target",
    "score",
]
