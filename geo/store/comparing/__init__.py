"""Nets and plans laid on each other by their cells; issues of any period on any net."""

from geo.store.comparing.reckoning import compare, impact
from geo.store.comparing.sides import side_of
from geo.store.restating import Period, restate

__all__ = ["Period", "compare", "impact", "restate", "side_of"]
