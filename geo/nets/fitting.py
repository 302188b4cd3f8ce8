"""Units brought to another system: straight lines bend a little there, and needles may cross."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.errors import TopologyError
from geo.topology import shared_edges

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
    found = _without_crumbs(np.asarray(cleaned, dtype=object), shapely.get_num_geometries(shapes))
    if len(found) == len(shapes) and not shapely.is_empty(found).any() and _matches(found):
        return found
    raise TopologyError("The units cannot be made a coverage in this system.")


def _without_crumbs(shapes: Shapes, allowed: NDArray[np.int32]) -> Shapes:
    """Give parts that a unit did not have before to the neighbour with the longest border."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    order = np.lexsort((-shapely.area(parts), owner))
    rank = np.empty(len(parts), dtype=np.int64)
    rank[order] = np.arange(len(parts)) - np.searchsorted(owner[order], owner[order])
    crumbs = np.flatnonzero(rank >= allowed[owner])
    if len(crumbs) == 0:
        return shapes
    edges = shared_edges(parts)
    one = np.concatenate([edges.owner[edges.left], edges.owner[edges.right]])
    two = np.concatenate([edges.owner[edges.right], edges.owner[edges.left]])
    length = np.hypot(*(edges.xy[edges.tail[edges.left]] - edges.xy[edges.head[edges.left]]).T)
    length = np.concatenate([length, length])
    fresh = owner.copy()
    for crumb in crumbs.tolist():
        beside = (one == crumb) & ~np.isin(two, crumbs)
        if beside.any():
            borders = np.bincount(owner[two[beside]], weights=length[beside])
            fresh[crumb] = int(np.argmax(borders))
    found = shapes.copy()
    for row in np.union1d(owner[crumbs], fresh[crumbs]).tolist():
        found[row] = shapely.coverage_union_all(parts[fresh == row])
    return found


def _matches(shapes: Shapes) -> bool:
    return bool(shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes))
