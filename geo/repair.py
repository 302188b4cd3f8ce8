"""Delivered areas made into a coverage: rings, overlaps and gaps mended, every change stated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.crs import local_origin, require_metres
from geo.errors import DeliveryError
from geo.topology import CoverageFaults, coverage_faults

Shapes = NDArray[np.object_]

SNAP_M: Final = 0.01
GAP_M: Final = 1.0
LARGEST_CHANGE: Final = 0.05
CHANGED_M2: Final = 1e-6
"""Areas that change by less are not listed: it is the noise of the arithmetic."""

DEFECTS: Final = ("kind", "subject", "size_m2", "x", "y", "done")
CHANGES: Final = ("before_m2", "after_m2", "gained_m2", "ceded_m2", "x", "y")


@dataclass(frozen=True)
class Repair:
    """Areas that are a coverage, and what it took.

    Attributes
    ----------
    areas : GeoSeries, shape (n,)
        Polygons and multipolygons, indexed like the input.
    defects : DataFrame
        Columns `kind` (`invalid_ring`, `overlap`, `gap`), `subject`, `size_m2`, `x`, `y`, `done`.
    changes : DataFrame
        One row for each area that changed, indexed by its label: `before_m2`, `after_m2`,
        `gained_m2`, `ceded_m2`, and a place in the largest changed piece. `before_m2` of an
        invalid ring is the area of the valid shape made of it.
    """

    areas: gpd.GeoSeries
    defects: pd.DataFrame
    changes: pd.DataFrame


def repair(
    areas: gpd.GeoSeries,
    *,
    snap_m: float = SNAP_M,
    gap_m: float = GAP_M,
    largest_change: float = LARGEST_CHANGE,
) -> Repair:
    """Return delivered areas as a coverage: no overlap, borders that match, narrow gaps closed.

    What is clean already is returned as it came, bit by bit. An overlap goes to the neighbour with
    the longer border, a gap narrower than `gap_m` as well; wider gaps stay (a lake, a park that
    belongs to nobody) and are listed.

    Parameters
    ----------
    areas : GeoSeries, shape (n,)
        Polygons, projected CRS in metres; the index names them in the answer.
    snap_m : float, default 0.01
        Vertices nearer than this become one. 0 moves none.
    gap_m : float, default 1.0
        Gaps narrower than this are closed.
    largest_change : float, default 0.05
        Largest share of an area that may change. Beyond it the areas contradict each other and
        somebody has to decide.

    Returns
    -------
    Repair

    Raises
    ------
    DeliveryError
        If an area has no ground, vanishes, or would change by more than `largest_change`; all
        such areas are listed with their sizes and places.
    TopologyError
        If `areas` has no CRS or one that is not in metres.
    """
    require_metres(areas.crs)
    labels = areas.index.to_numpy()
    origin = local_origin(tuple(areas.total_bounds)) if len(areas) else (0, 0)
    delivered = _moved(areas.to_numpy(), origin, -1)
    empty = shapely.is_missing(delivered) | shapely.is_empty(delivered)
    if empty.any():
        raise DeliveryError([f"{label} has no ground" for label in labels[empty]])
    sound, defects = _valid(delivered, labels, origin)
    before = gpd.GeoSeries(_moved(sound, origin, 1), index=areas.index, crs=areas.crs)
    faults = coverage_faults(before)
    if faults.clean and not defects:
        return Repair(areas, _table(defects), _changes(sound, sound, labels, origin))
    mended = sound
    if len(faults.edges) or len(faults.overlaps) or len(faults.gaps):
        mended = _polygonal(
            shapely.coverage_clean(sound, snapping_distance=snap_m, gap_width=gap_m)
        )
    changes = _changes(sound, mended, labels, origin)
    _refuse_contradictions(changes, faults, mended, labels, largest_change)
    defects += _fault_rows(faults, _moved(mended, origin, 1))
    after = gpd.GeoSeries(_moved(mended, origin, 1), index=areas.index, crs=areas.crs)
    return Repair(after, _table(defects), changes)


def _moved(shapes: Shapes, origin: tuple[int, int], sign: int) -> Shapes:
    step = sign * np.asarray(origin, dtype=float)
    return np.asarray(shapely.transform(shapes, lambda places: places + step), dtype=object)


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(DEFECTS))


def _valid(
    shapes: Shapes, labels: NDArray[Any], origin: tuple[int, int]
) -> tuple[Shapes, list[tuple[Any, ...]]]:
    """Return valid areal shapes and one row for each that was not valid."""
    sound = _polygonal(shapes)
    rows: list[tuple[Any, ...]] = []
    for row in np.flatnonzero(~shapely.is_valid(shapes)):
        mended = _polygonal(shapely.make_valid(shapes[[row]], method="structure"))[0]
        place = shapely.point_on_surface(mended)
        change = abs(shapely.area(mended) - shapely.area(shapes[row]))
        reason = shapely.is_valid_reason(shapes[row]).split("[")[0].lower()
        done = f"made valid ({reason}), {shapely.area(mended):.2f} m2 now"
        x, y = place.x + origin[0], place.y + origin[1]
        rows.append(("invalid_ring", str(labels[row]), float(change), x, y, done))
        sound[row] = mended
    return sound, rows


def _polygonal(shapes: Shapes) -> Shapes:
    """Return the shapes with their polygons alone: lines and points left by mending are dropped."""
    kept = np.array(shapes, dtype=object)
    for row in np.flatnonzero(shapely.get_type_id(kept) == 7):
        parts = shapely.get_parts(shapely.get_parts(kept[row]))
        kept[row] = shapely.union_all(parts[shapely.get_type_id(parts) == 3])
    return kept


def _changes(
    before: Shapes, after: Shapes, labels: NDArray[Any], origin: tuple[int, int]
) -> pd.DataFrame:
    touched = np.flatnonzero(~shapely.equals_identical(before, after))
    gained = shapely.difference(after[touched], before[touched])
    ceded = shapely.difference(before[touched], after[touched])
    table = pd.DataFrame(
        {
            "before_m2": shapely.area(before[touched]),
            "after_m2": shapely.area(after[touched]),
            "gained_m2": shapely.area(gained),
            "ceded_m2": shapely.area(ceded),
        },
        index=labels[touched],
    )
    places = [_largest_place(*pair) for pair in zip(gained, ceded, strict=True)]
    table["x"] = [place[0] + origin[0] for place in places]
    table["y"] = [place[1] + origin[1] for place in places]
    kept: pd.DataFrame = table[table["gained_m2"] + table["ceded_m2"] > CHANGED_M2]
    return kept[list(CHANGES)]


def _largest_place(*shapes: Any) -> tuple[float, float]:
    parts = shapely.get_parts(np.asarray(shapes, dtype=object))
    parts = parts[shapely.area(parts) > 0]
    if len(parts) == 0:
        return float("nan"), float("nan")
    point = shapely.point_on_surface(parts[int(np.argmax(shapely.area(parts)))])
    return float(point.x), float(point.y)


def _refuse_contradictions(
    changes: pd.DataFrame,
    faults: CoverageFaults,
    mended: Shapes,
    labels: NDArray[Any],
    largest_change: float,
) -> None:
    gone = labels[shapely.is_empty(mended)]
    share = (changes["gained_m2"] + changes["ceded_m2"]) / changes["before_m2"]
    torn = changes.index[(share > largest_change) & ~changes.index.isin(gone)]
    defects = [f"{label} lies wholly on others{_partners(faults, label)}" for label in gone]
    defects += [
        f"{label} would change by {share[label]:.1%} of its {changes.loc[label, 'before_m2']:.0f} "
        f"m2 near ({changes.loc[label, 'x']:.1f}, {changes.loc[label, 'y']:.1f}), more than "
        f"{largest_change:.0%}: mend the source{_partners(faults, label)}"
        for label in torn
    ]
    if defects:
        raise DeliveryError(defects)


def _partners(faults: CoverageFaults, label: Any) -> str:
    pairs = faults.overlaps
    others = [
        *pairs.loc[pairs["cell"] == label, "other"],
        *pairs.loc[pairs["other"] == label, "cell"],
    ]
    return f"; it overlaps {', '.join(map(str, others[:5]))}" if others else ""


def _fault_rows(faults: CoverageFaults, mended: Shapes) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [
        (
            "overlap",
            f"{pair.cell} and {pair.other}",
            float(pair.area_m2),
            pair.x,
            pair.y,
            "given to the neighbour with the longer border",
        )
        for pair in faults.overlaps.itertuples()
    ]
    if len(faults.gaps):
        points = shapely.points(faults.gaps["x"], faults.gaps["y"])
        closed = np.isin(
            np.arange(len(points)),
            shapely.STRtree(mended).query(points, predicate="intersects")[0],
        )
        for gap, is_closed in zip(faults.gaps.itertuples(), closed, strict=True):
            done = "closed" if is_closed else "wider than the limit: left as it is, in no area"
            rows.append(("gap", "between areas", float(gap.area_m2), gap.x, gap.y, done))
    return rows
