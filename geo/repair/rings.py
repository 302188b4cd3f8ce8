"""Rings: crossings of a ring with itself mended, needles taken off, lines beside areas left out."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.repair.account import Account, Shapes, representable
from geo.saying import phrase

AREAL: Final = (3, 6)
ROUNDS: Final = 3
COLLECTION: Final = 7
POLYGON: Final = 3
NEEDLE_SINE: Final = 0.02
"""A corner sharper than this (1.1 degrees) may be the tip of a needle."""
PLACE: Final = re.compile(r"\[(\S+) (\S+)\]")


def areal(shapes: Shapes, account: Account) -> Shapes:
    """Return shapes with the polygons of collections alone."""
    plain = shapes.copy()
    for row in np.flatnonzero(shapely.get_type_id(plain) == COLLECTION).tolist():
        whole, plain[row] = plain[row], polygonal(plain[row])
        done = phrase("a mixed shape: its areas kept, lines and points left out")
        account.defect("mixed", account.name(row), 0.0, done, shapely.centroid(whole))
    return plain


def polygonal(shape: Any) -> Any:
    """Return the polygons of a shape as one; lines and points left by mending are dropped."""
    if shapely.get_type_id(shape) in AREAL:
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all(parts[shapely.get_type_id(parts) == POLYGON])


def made_valid(shapes: Shapes, origin: NDArray[np.float64]) -> Shapes:
    """Return shapes with the invalid ones mended: what a ring goes around is inside, holes are not.

    Where a ring crosses itself, all it goes around belongs to the area; ground that it goes around
    twice counts once; lines that it runs to and fro vanish.
    """
    fresh = shapes.copy()
    for _ in range(ROUNDS):
        wrong = np.flatnonzero(~shapely.is_valid(fresh))
        for row in wrong:
            mended = shapely.make_valid(fresh[row], method="structure", keep_collapsed=False)
            fresh[row] = representable(polygonal(mended), origin)
        if len(wrong) == 0:
            break
    return fresh


def sound(shapes: Shapes, account: Account) -> Shapes:
    """Return valid shapes; each that was not is a defect and an entry of the account."""
    fresh = made_valid(shapes, account.origin)
    for row in np.flatnonzero(~shapely.is_valid(shapes)).tolist():
        reason = str(shapely.is_valid_reason(shapes[row]))
        before, after = float(shapely.area(shapes[row])), float(shapely.area(fresh[row]))
        found = PLACE.search(reason)
        place = shapely.Point(*map(float, found.groups())) if found else None
        said = reason.split("[")[0].strip().lower()
        done = phrase(
            "made valid (%(said)s): %(before)s m2 by the file's corners, %(after)s m2 now",
            said=said,
            before=f"{before:.2f}",
            after=f"{after:.2f}",
        )
        account.defect("invalid_ring", account.name(row), abs(after - before), done, place)
        account.entry(
            row, "invalid_ring", "", max(after - before, 0), max(before - after, 0), place
        )
    return fresh


def without_needles(
    shapes: Shapes, chosen: NDArray[np.int64], width_m: float, origin: NDArray[np.float64]
) -> tuple[Shapes, Shapes]:
    """Take needles off: corners below 1.1 degrees that are thinner than a width all along.

    Parameters
    ----------
    shapes : ndarray of Polygon or MultiPolygon, shape (n,)
    chosen : ndarray of int
        Which of them are looked at: areas whose borders do not match their neighbours.
    width_m : float
    origin : ndarray of float, shape (2,)

    Returns
    -------
    tuple of ndarray
        The shapes, and for each the multipoint of its needles' tips, or None.
    """
    fresh, tips = shapes.copy(), np.full(len(shapes), None, dtype=object)
    for row in chosen.tolist():
        found: list[Any] = []
        parts = [_blunt(part, width_m, found) for part in shapely.get_parts(shapes[row])]
        if found:
            merged = parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
            fresh[row] = made_valid(np.array([merged], dtype=object), origin)[0]
            tips[row] = shapely.multipoints(found)
    return fresh, tips


def _blunt(polygon: Any, width_m: float, found: list[Any]) -> Any:
    before = len(found)
    rings = [_blunt_ring(ring, width_m, found) for ring in shapely.get_rings(polygon)]
    return polygon if len(found) == before else shapely.Polygon(rings[0], rings[1:])


def _blunt_ring(ring: Any, width_m: float, found: list[Any]) -> Any:
    places = shapely.get_coordinates(ring)[:-1]
    back, ahead = np.roll(places, 1, axis=0) - places, np.roll(places, -1, axis=0) - places
    cross = np.abs(back[:, 0] * ahead[:, 1] - back[:, 1] * ahead[:, 0])
    long = np.maximum(np.hypot(*back.T), np.hypot(*ahead.T))
    short = np.minimum(np.hypot(*back.T), np.hypot(*ahead.T))
    turns_back = (back * ahead).sum(axis=1) > 0
    sharp = turns_back & (cross < NEEDLE_SINE * long * short) & (cross < width_m * long)
    if not sharp.any() or (~sharp).sum() < POLYGON:
        return ring
    found.extend(places[sharp].tolist())
    return shapely.LinearRing(places[~sharp])
