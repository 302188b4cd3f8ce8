"""Nets and plans laid on each other by their cells; a plan's dossier; any period on any net."""

from geo.store.comparing.dossier import archive, dossier
from geo.store.comparing.reckoning import compare, impact
from geo.store.comparing.sides import side_of
from geo.store.restating import Period, restate

__all__ = ["Period", "archive", "compare", "dossier", "impact", "restate", "side_of"]
