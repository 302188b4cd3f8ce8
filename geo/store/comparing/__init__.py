"""Nets and plans laid on each other by their cells: comparison, and what a plan changes."""

from geo.store.comparing.reckoning import compare, impact
from geo.store.comparing.sides import side_of

__all__ = ["compare", "impact", "side_of"]
