"""Delivered layers made into a city, row by row the same from the same layers."""

from __future__ import annotations

from geo.importing.city import assemble, digest

__all__ = ["assemble", "digest"]
