"""Nets of several departments become one: laid over each other, compared, conflated, traced."""

from __future__ import annotations

from geo.nets.differences import differences
from geo.nets.fitting import fitted
from geo.nets.merging import COLUMNS, CROSSWALK, Merged, merge_nets
from geo.nets.overlay import Net, Overlay, overlay
from geo.nets.pairs import pairs

__all__ = [
    "COLUMNS",
    "CROSSWALK",
    "Merged",
    "Net",
    "Overlay",
    "differences",
    "fitted",
    "merge_nets",
    "overlay",
    "pairs",
]
