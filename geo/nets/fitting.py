"""Units brought to another system: straight lines bend a little there, and needles may cross."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.errors import TopologyError
from geo.repair.ground import built, concerned, cut, hand_over_fragments, settle
from geo.repair.rings import made_valid

Shapes = NDArray[np.object_]

ROUNDS: Final = 4


def fitted(shapes: Shapes, narrow: float) -> Shapes:
    """Return units as a coverage again, after their vertices went to another system.

    A border that runs along another one within what the projection bends may cross it there.
    Units that still match are returned as they are; of the others the borders are cut at their
    crossings, and ground of two or none goes to the neighbour with the longest border.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
        Any units.
    narrow : float
        Gaps narrower than this are closed, in the units of the shapes.

    Returns
    -------
    ndarray of Polygon or MultiPolygon, shape (n,)

    Raises
    ------
    TopologyError
        If they cannot be made a coverage.
    """
    origin = np.zeros(2)
    for _ in range(ROUNDS):
        if shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes):
            return shapes
        whole = made_valid(shapes, origin)
        chosen = concerned(whole, origin)
        if len(chosen):
            ground = cut(whole, chosen, narrow, origin)
            result = settle(ground, shapely.area(whole), {})
            parts = np.asarray(shapely.get_num_geometries(shapes), dtype=np.int64)
            hand_over_fragments(ground, result, parts, narrow)
            whole = built(whole, ground, result, chosen)
        shapes = whole
    if shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes):
        return shapes
    raise TopologyError("The units cannot be made a coverage in this system.")
