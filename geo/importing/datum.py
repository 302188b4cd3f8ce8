"""Which datum a file is on that does not say it: ranked on the streets, and drawn for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.datums import lies_best, shapes_to_wgs84
from geo.errors import DatumError
from geo.files.facts import Datum

ASKED: Final[tuple[Datum, ...]] = ("wgs84", "gcj02", "bd09")
SURE: Final = 0.9
"""Certainty from which the best datum is proposed."""
DRAWN: Final = 40
"""Shapes of a picture."""
SPAN_DEG: Final = 0.004
"""Height of a picture, degrees of latitude."""
MOST_STREETS: Final = 400
FINE_DEG: Final = 2e-6


@dataclass(frozen=True)
class DatumGuess:
    """What the streets say of a file's datum.

    Attributes
    ----------
    proposed : str
        The best one where it is beyond doubt, else `wgs84`.
    sure : bool
        Whether the streets decide; somebody looks at the pictures all the same.
    ranking : list of dict
        `datum`, `misfit` and `certainty` (0 to 1), the best first; empty where nothing tells.
    pictures : list of dict
        `datum`, `shapes` and `streets` (lists of lines of (lon, lat)), `at` (the middle).
    """

    proposed: Datum
    sure: bool
    ranking: list[dict[str, Any]]
    pictures: list[dict[str, Any]]

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dict(vars(self))


def guess(shapes: Any, streets: Any) -> DatumGuess:
    """Rank the datums that shapes may be on, and draw them on the streets.

    Parameters
    ----------
    shapes : array of geometries, shape (n,)
        As delivered, degrees, read as if they were on WGS 84; missing ones are passed over.
    streets : array of lines
        Known to be on WGS 84, degrees; may be empty.
    """
    given = np.asarray(shapes, dtype=object)
    given = given[~(shapely.is_missing(given) | shapely.is_empty(given))]
    known = np.asarray(streets, dtype=object)
    try:
        ranked = lies_best(given, known).reset_index()
    except DatumError:
        ranking: list[dict[str, Any]] = []
    else:
        ranking = [
            {
                "datum": str(one["datum"]),
                "misfit": round(float(one["misfit"]), 3),
                "certainty": round(float(one["certainty"]), 3),
            }
            for one in ranked.to_dict("records")
        ]
    sure = bool(ranking) and ranking[0]["certainty"] >= SURE
    proposed = next(one for one in ASKED if not sure or one == ranking[0]["datum"])
    return DatumGuess(proposed, sure, ranking, _pictures(given, known))


def _pictures(given: NDArray[np.object_], known: NDArray[np.object_]) -> list[dict[str, Any]]:
    if not len(given):
        return []
    few = _middle(given)
    tree = shapely.STRtree(known)
    drawn = []
    for datum in ASKED:
        turned = shapes_to_wgs84(few, datum)
        at = shapely.point_on_surface(turned[0])
        window = shapely.buffer(at, SPAN_DEG, quad_segs=1)
        near = known[np.sort(tree.query(window, predicate="intersects"))][:MOST_STREETS]
        drawn.append(
            {
                "datum": datum,
                "at": _rounded([(at.x, at.y)])[0],
                "shapes": _lines(turned),
                "streets": _lines(shapely.intersection(near, window)),
            }
        )
    return drawn


def _middle(given: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the shapes nearest to the middle one, so that a picture has a scale to see at."""
    places = shapely.get_coordinates(shapely.centroid(shapely.envelope(given)))
    middle = places[len(places) // 2]
    order = np.argsort(np.hypot(*(places - middle).T), kind="stable")
    return given[order[:DRAWN]]


def _lines(shapes: Any) -> list[list[list[float]]]:
    """Return outlines as lists of places, coarse enough for a picture."""
    parts = shapely.get_parts(shapely.simplify(np.asarray(shapes, dtype=object), FINE_DEG))
    rings = [part.exterior if part.geom_type == "Polygon" else part for part in parts]
    return [_rounded(ring.coords) for ring in rings if not ring.is_empty]


def _rounded(places: Sequence[Any] | Any) -> list[list[float]]:
    return [[round(float(place[0]), 6), round(float(place[1]), 6)] for place in places]
