"""The dossier of a plan: maps before and after, tables, limits, comments; the same bytes again.

The same content gives the same files, byte by byte: no clock, no machine and no order of reading is
in them, so that a manifest proves what was approved.
"""

from geo.dossier.content import Content, Side, sections
from geo.dossier.parts import bundle, canonical, parts

__all__ = ["Content", "Side", "bundle", "canonical", "parts", "sections"]
