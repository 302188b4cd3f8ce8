"""Units brought to another system: straight lines bend a little there, and needles may cross."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.errors import TopologyError

Shapes = NDArray[np.object_]

GAP: Final = 1000.0
"""Gaps narrower than so many times `nearest` are closed."""


def fitted(shapes: Shapes, nearest: float) -> Shapes:
    """Return units as a coverage again, after their vertices went to another system.

    A border that runs along another one within what the projection bends may cross it there.
    Units that still match are returned as they are; of the others the borders are cut at their
    crossings, and ground of two or none goes to the neighbour with the longest border.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
        Any units.
    nearest : float
        Vertices nearer to each other than this become one, in the units of the shapes.

    Returns
    -------
    ndarray of Polygon or MultiPolygon, shape (n,)

    Raises
    ------
    TopologyError
        If they cannot be made a coverage.
    """
    if _matches(shapes):
        return shapes
    cleaned = shapely.coverage_clean(shapes, snapping_distance=nearest, gap_width=GAP * nearest)
    found = np.asarray(cleaned, dtype=object)
    if len(found) == len(shapes) and not shapely.is_empty(found).any() and _matches(found):
        return found
    raise TopologyError("The units cannot be made a coverage in this system.")


def _matches(shapes: Shapes) -> bool:
    return bool(shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes))
