"""Two nets laid on each other: what moves, what became of each grid, balance and compactness.

Both nets are known as pieces of ground that lie in one grid of each: cells, where there are any,
else the pieces of an overlay. Everything else is sums over them, and the sums are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum, pi
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.apportion import shared_exactly
from geo.crs import local_origin, require_metres
from geo.errors import TopologyError
from geo.outlines import shared_areas

PIECES: Final = ("old", "new", "area_m2", "weight")
"""Columns of pieces; null in `old` or `new` where the net has no grid there."""
CROSSWALK: Final = (
    *PIECES,
    "area_share_old",
    "area_share_new",
    "weight_share_old",
    "weight_share_new",
)
SHARED: Final = 0.8
"""Share of both grids that makes them one, and of a part that makes it a part."""
TOLERANCE: Final = 0.2
"""How far a grid may lie from the target, as a share of it."""
NOISE_M2: Final = 1e-6
"""Pieces smaller than this are the noise of the arithmetic."""
SAME_M: Final = 1e-3
"""Borders that lie this near to each other are the same."""

Floats = NDArray[np.float64]
Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class Comparison:
    """Two nets compared.

    Attributes
    ----------
    crosswalk : DataFrame
        Columns `CROSSWALK`, one row for each pair of grids with ground in common, and for the
        ground of either that lies in no grid of the other; sorted by `old`, then `new`.
    old, new : DataFrame
        Indexed by label: `area_m2`, `weight`, `verdict`, `partner` (the grid of the other net that
        it is, None where it is none), `same` (the very same ground). Verdicts of old grids: `kept`,
        `split`, `merged`, `ended`; of new ones: `kept`, `split` (a part of one), `merged` (made of
        several), `new`.
    moved_area_m2, moved_weight : float
        What lies in another grid than before: pieces whose old and new grid are not partners,
        counted where both nets have a grid.
    moved_pieces : int
        How many pieces that is.
    """

    crosswalk: pd.DataFrame
    old: pd.DataFrame
    new: pd.DataFrame
    moved_area_m2: float
    moved_weight: float
    moved_pieces: int

    @property
    def same(self) -> int:
        """How many grids have the very same ground in both nets."""
        return int(self.old["same"].sum())

    def verdicts(self) -> dict[str, dict[str, int]]:
        """Return how many grids of each net have each verdict."""
        kinds = {"old": ("kept", "split", "merged", "ended")}
        kinds["new"] = ("kept", "split", "merged", "new")
        sides = {"old": self.old, "new": self.new}
        return {
            side: {kind: int((sides[side]["verdict"] == kind).sum()) for kind in names}
            for side, names in kinds.items()
        }


def compare(
    pieces: pd.DataFrame,
    *,
    by_label: bool = True,
    shared: float = SHARED,
    slack_m2: pd.Series[float] | None = None,
) -> Comparison:
    """Compare two nets piece by piece.

    Parameters
    ----------
    pieces : DataFrame, shape (n, 4)
        Columns `PIECES`: the grid of each net that a piece of ground lies in (null: in none), its
        area in m2 and its weight (households; not negative). Labels of a net are of one type.
    by_label : bool, default True
        Grids of the same label are the same grid. Else those that hold most of each other are.
    shared : float, default 0.8
        Without labels, a pair is `kept` when it shares so much of both; a grid is a part of
        another when so much of it lies there. Shares are of weight where a grid has any.
    slack_m2 : Series of float, optional
        By old grid: ground that may differ while it is still the same; default 1e-6.

    Returns
    -------
    Comparison

    Raises
    ------
    TopologyError
        If a column is missing, or an area or a weight is negative or not a number.

    Examples
    --------
    >>> rows = [("A", "A", 4.0, 10), ("A", "B", 1.0, 2), ("B", "B", 5.0, 9)]
    >>> found = compare(pd.DataFrame(rows, columns=["old", "new", "area_m2", "weight"]))
    >>> found.moved_weight, found.moved_area_m2, found.same
    (2.0, 1.0, 0)
    >>> found.crosswalk["weight_share_new"].round(3).tolist()
    [1.0, 0.182, 0.818]
    """
    _refuse(pieces)
    table = crosswalk(pieces)
    old, new = (_units(table, side) for side in ("old", "new"))
    both = table[table["old"].notna() & table["new"].notna()]
    partners = _by_label(old, new) if by_label else _mutual(both, old, new)
    back = {right: left for left, right in partners.items()}
    old["partner"] = pd.Series(
        [partners.get(label) for label in old.index], old.index, dtype=object
    )
    new["partner"] = pd.Series([back.get(label) for label in new.index], new.index, dtype=object)
    old["verdict"], new["verdict"] = _verdicts(both, old, new, by_label, shared)
    _mark_same(both, old, new, slack_m2)
    inside = pieces[pieces["old"].notna() & pieces["new"].notna()]
    labels = inside["old"].astype(object).map(partners).astype(object)
    expected = labels.where(labels.notna(), None).to_numpy(dtype=object)
    moved = inside[expected != inside["new"].astype(object).to_numpy(dtype=object)]
    return Comparison(
        crosswalk=table,
        old=old,
        new=new,
        moved_area_m2=fsum(moved["area_m2"]),
        moved_weight=fsum(moved["weight"]),
        moved_pieces=len(moved),
    )


def _refuse(pieces: pd.DataFrame) -> None:
    missing = [name for name in PIECES if name not in pieces.columns]
    if missing:
        raise TopologyError(f"Pieces have no column {', '.join(missing)}.", columns=missing)
    for name in ("area_m2", "weight"):
        values = pieces[name].to_numpy(dtype=float)
        if not (values >= 0).all():
            raise TopologyError(f"The {name} of a piece is negative or not a number.", column=name)


def crosswalk(pieces: pd.DataFrame) -> pd.DataFrame:
    """Return what each grid of one net has in common with each grid of the other.

    Parameters
    ----------
    pieces : DataFrame
        Columns `PIECES`.

    Returns
    -------
    DataFrame
        Columns `CROSSWALK`. Sums are exact to the last digit, whatever the order of the pieces;
        shares are of the whole grid, NaN where it has nothing of the kind.
    """
    codes, labels = {}, {}
    for side in ("old", "new"):
        codes[side], labels[side] = pd.factorize(pieces[side], sort=True)
    width = len(labels["new"]) + 1
    nowhere = len(labels["old"])
    left = np.where(codes["old"] < 0, nowhere, codes["old"]).astype(np.int64)
    right = np.where(codes["new"] < 0, width - 1, codes["new"]).astype(np.int64)
    key = left * width + right
    order = np.argsort(key, kind="stable")
    found, begins = np.unique(key[order], return_index=True)
    bounds = np.append(begins, len(order))
    left, right = np.divmod(found, width)
    sums = {
        name: _exact(pieces[name].to_numpy(dtype=float)[order], bounds)
        for name in ("area_m2", "weight")
    }
    names = {
        side: np.append(np.asarray(labels[side], dtype=object), [None])[at]
        for side, at in (("old", left), ("new", right))
    }
    table = pd.DataFrame({name: pd.Series(names[name], dtype=object) for name in names} | sums)
    for name in ("area_m2", "weight"):
        for side, at in (("old", left), ("new", right)):
            outside = nowhere if side == "old" else width - 1
            share = _shares(sums[name], at)
            share[at == outside] = np.nan
            table[f"{name.removesuffix('_m2')}_share_{side}"] = share
    return table[list(CROSSWALK)]


def _exact(values: Floats, bounds: NDArray[np.intp]) -> Floats:
    """Return the exactly rounded sum of each run of values."""
    listed = values.tolist()
    return np.array([fsum(listed[a:b]) for a, b in pairwise(bounds.tolist())], dtype=float)


def _shares(values: Floats, groups: NDArray[np.int64]) -> Floats:
    total = np.bincount(groups, weights=values)[groups] if len(groups) else values
    share = np.full(len(values), np.nan)
    np.divide(values, total, out=share, where=total > 0)
    return share


def _units(table: pd.DataFrame, side: str) -> pd.DataFrame:
    """Return the grids of a net with their area and weight, in the order of their labels."""
    own = table[table[side].notna()]
    at, labels = pd.factorize(own[side], sort=True)
    order = np.argsort(at, kind="stable")
    bounds = np.searchsorted(at[order], np.arange(len(labels) + 1))
    sums = {
        name: _exact(own[name].to_numpy(dtype=float)[order], bounds)
        for name in ("area_m2", "weight")
    }
    return pd.DataFrame(sums, index=pd.Index(labels, name=side, dtype=object))


def _by_label(old: pd.DataFrame, new: pd.DataFrame) -> dict[Any, Any]:
    return {label: label for label in old.index.intersection(new.index)}


def _measured(both: pd.DataFrame, units: pd.DataFrame, side: str) -> pd.Series[float]:
    """Return the share of its own grid that each pair holds: of weight, else of ground."""
    weighs = both[side].map(units["weight"]).to_numpy(dtype=float) > 0
    by_weight, by_area = (both[f"{name}_share_{side}"] for name in ("weight", "area"))
    return by_weight.where(weighs, by_area).fillna(0.0)


def _mutual(both: pd.DataFrame, old: pd.DataFrame, new: pd.DataFrame) -> dict[Any, Any]:
    """Pair the grids that hold most of each other; of several alike the first by label."""
    best = {}
    for side, units in (("old", old), ("new", new)):
        share = _measured(both, units, side)
        ranked = both.assign(share=share).sort_values(
            ["share", "area_m2"], ascending=False, kind="stable"
        )
        ranked = ranked[(ranked["share"] > 0) | (ranked["area_m2"] > 0)].drop_duplicates(side)
        other = "new" if side == "old" else "old"
        best[side] = dict(zip(ranked[side], ranked[other], strict=True))
    return {left: right for left, right in best["old"].items() if best["new"].get(right) == left}


def _verdicts(
    both: pd.DataFrame, old: pd.DataFrame, new: pd.DataFrame, by_label: bool, shared: float
) -> tuple[pd.Series[str], pd.Series[str]]:
    """Say what became of each old grid and what each new one is."""
    of_old, of_new = _measured(both, old, "old"), _measured(both, new, "new")
    paired = both["old"].map(old["partner"]).to_numpy(dtype=object) == both["new"].to_numpy(object)
    if by_label:
        lasting = set(old.index.intersection(new.index))
        kept_old = kept_new = lasting
    else:
        sure = both[paired & (of_old >= shared) & (of_new >= shared)]
        kept_old, kept_new = set(sure["old"]), set(sure["new"])
    swallowed = set(both.loc[of_old >= shared, "old"]) - kept_old
    hosts = both[(of_old >= shared) & both["old"].isin(swallowed)]
    parts = (of_new >= shared) & ~both["new"].isin(kept_new)
    in_parts = of_old.where(parts, 0.0).groupby(both["old"]).sum()
    parts_of = both[parts].groupby("old")["new"].nunique()
    enough = {label for label, share in in_parts.items() if share >= shared}
    divided = {label for label, count in parts_of.items() if count >= 2 and label in enough}
    first = ["kept" if label in kept_old else "split" if label in divided
             else "merged" if label in swallowed else "ended" for label in old.index]  # fmt: skip
    several = hosts.groupby("new")["old"].nunique()
    joined = {label for label, count in several.items() if count >= 2}
    piece = set(both.loc[parts, "new"])
    second = ["kept" if label in kept_new else "merged" if label in joined
              else "split" if label in piece else "new" for label in new.index]  # fmt: skip
    return (
        pd.Series(first, index=old.index, dtype=object),
        pd.Series(second, index=new.index, dtype=object),
    )


def _mark_same(
    both: pd.DataFrame, old: pd.DataFrame, new: pd.DataFrame, slack_m2: pd.Series[float] | None
) -> None:
    """Mark grids whose ground is the same, whatever their labels."""
    old["same"], new["same"] = False, False
    left = both["old"].map(old["area_m2"]).to_numpy(dtype=float) - both["area_m2"]
    right = both["new"].map(new["area_m2"]).to_numpy(dtype=float) - both["area_m2"]
    slack = pd.Series(NOISE_M2, index=both.index)
    if slack_m2 is not None:
        slack = both["old"].map(slack_m2).astype(float).fillna(NOISE_M2)
    pairs = both[left + right <= slack + 1e-12 * both["area_m2"]]
    old.loc[old.index.isin(pairs["old"]), "same"] = True
    new.loc[new.index.isin(pairs["new"]), "same"] = True


def overlay(
    old: gpd.GeoSeries, new: gpd.GeoSeries, weight: pd.Series[float] | None = None
) -> tuple[pd.DataFrame, float]:
    """Cut two sets of polygons against each other.

    Parameters
    ----------
    old, new : GeoSeries
        Valid polygons by label, those of a side without overlaps, one projected CRS in metres.
    weight : Series of float, optional
        Count of each old polygon, in the order of `old`: shared out over its pieces by their
        ground, whole counts in whole numbers, so that the pieces add up to it. Default zero.

    Returns
    -------
    tuple of DataFrame and float
        Pieces with the columns `PIECES`, those outside the other side with null; and how far the
        ground outside, measured on its own by the unions of both sides, departs from what the
        pieces leave over, in m2.

    Raises
    ------
    TopologyError
        If a CRS is missing, differs or is not in metres, or labels occur twice.
    """
    if require_metres(old.crs) != require_metres(new.crs):
        raise TopologyError("The two nets are in two reference systems; transform one.")
    for side, shapes in (("old", old), ("new", new)):
        if not shapes.index.is_unique:
            raise TopologyError(f"Labels of the {side} net occur twice.", side=side)
    one, two = _shifted(old, new)
    at, to, shared = shared_areas(one, two)
    kept = shared >= NOISE_M2
    at, to, shared = at[kept], to[kept], shared[kept]
    left, right = (
        _left_over(shapely.area(shapes), position, shared)
        for shapes, position in ((one, at), (two, to))
    )
    rows_old, rows_new = np.flatnonzero(left), np.flatnonzero(right)
    pieces = pd.DataFrame(
        {
            "old": _labels(old, at, rows_old, len(rows_new), first=True),
            "new": _labels(new, to, rows_new, len(rows_old), first=False),
            "area_m2": np.concatenate([shared, left[rows_old], right[rows_new]]),
            "weight": 0.0,
        }
    )
    if weight is not None and len(old):
        group = np.concatenate([at, rows_old])
        values: Floats = weight.fillna(0).to_numpy().astype(np.float64)
        ground: Floats = np.concatenate([shared, left[rows_old]]).astype(np.float64)
        parts = shared_exactly(values, group, ground)
        pieces.loc[: len(group) - 1, "weight"] = parts
    return pieces, _residual_m2(one, two, fsum(left), fsum(right))


def _shifted(old: gpd.GeoSeries, new: gpd.GeoSeries) -> tuple[Shapes, Shapes]:
    """Return the shapes of both sides near a common origin, where areas keep their last digits."""
    boxes = np.array([side.total_bounds for side in (old, new) if len(side)]).reshape(-1, 4)
    whole = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)) if len(boxes) else (0.0,) * 4
    origin = np.asarray(local_origin(np.asarray(whole, dtype=float)), dtype=float)
    one, two = (
        np.asarray(shapely.transform(side.to_numpy(), lambda places: places - origin))
        for side in (old, new)
    )
    return one, two


def _left_over(area: Floats, position: NDArray[np.intp], shared: Floats) -> Floats:
    """Return the ground of each polygon that no piece holds; noise is none."""
    order = np.argsort(position, kind="stable")
    bounds = np.searchsorted(position[order], np.arange(len(area) + 1))
    inside = _exact(shared[order], bounds)
    left = area - inside
    left[left < np.maximum(NOISE_M2, 1e-9 * area)] = 0.0
    return left


def _labels(
    side: gpd.GeoSeries, at: NDArray[np.intp], rows: NDArray[np.intp], others: int, *, first: bool
) -> pd.Series[Any]:
    names = np.append(side.index.to_numpy(dtype=object), [None])
    nowhere = np.full(others, len(side), dtype=np.intp)
    order = (at, rows, nowhere) if first else (at, nowhere, rows)
    return pd.Series(names[np.concatenate(order)], dtype=object)


def _residual_m2(one: Shapes, two: Shapes, left: float, right: float) -> float:
    """Return how far the ground outside, measured by the unions, departs from what is left over."""
    if not len(one) or not len(two):
        return 0.0
    old, new = shapely.union_all(one), shapely.union_all(two)
    outside = shapely.area(shapely.difference(old, new)), shapely.area(shapely.difference(new, old))
    return float(abs(outside[0] - left) + abs(outside[1] - right))


def balance(
    weights: Sequence[float] | Floats | pd.Series[float],
    *,
    target: float | None = None,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Return how evenly the weight lies on the grids.

    Parameters
    ----------
    weights : sequence of float
        Of each grid.
    target : float, optional
        What a grid should have; default the mean.
    tolerance : float, default 0.2
        How far a grid may lie from the target, as a share of it.

    Returns
    -------
    dict
        `units`, `total`, `target`, `tolerance`, `least`, `most`, `mean_deviation` and
        `largest_deviation` (shares of the target), `within` and `within_share`. Figures that need
        a grid or a target are None without one.

    Examples
    --------
    >>> found = balance([90, 110, 160], target=100)
    >>> found["within"], found["largest_deviation"]
    (2, 0.6)
    """
    values = np.asarray(weights, dtype=float)
    total = fsum(values)
    aim = target if target is not None else total / len(values) if len(values) else None
    answer: dict[str, Any] = {
        "units": len(values),
        "total": total,
        "target": aim,
        "tolerance": tolerance,
        "least": float(values.min()) if len(values) else None,
        "most": float(values.max()) if len(values) else None,
    }
    if not len(values) or not aim:
        nothing = dict.fromkeys(("mean_deviation", "largest_deviation", "within", "within_share"))
        return answer | nothing
    off = np.abs(values - aim) / aim
    within = int((off <= tolerance + 1e-12).sum())
    return answer | {
        "mean_deviation": float(off.mean()),
        "largest_deviation": float(off.max()),
        "within": within,
        "within_share": within / len(values),
    }


def polsby_popper(shapes: gpd.GeoSeries) -> pd.Series[float]:
    """Return how compact each polygon is: 4 pi area / perimeter^2, 1 for a circle.

    Source: Polsby and Popper, The Third Criterion, Yale Law & Policy Review 9 (1991).

    Parameters
    ----------
    shapes : GeoSeries, shape (n,)
        Polygons or multipolygons, projected CRS in metres; the borders of holes count.

    Returns
    -------
    Series of float, shape (n,)
        Indexed like `shapes`; NaN for one without a border.

    Raises
    ------
    TopologyError
        If there is no CRS in metres.
    """
    require_metres(shapes.crs)
    if not len(shapes):
        return pd.Series(index=shapes.index, dtype=float, name="polsby_popper")
    near, _ = _shifted(shapes, shapes)
    length = shapely.length(near)
    ratio = np.full(len(near), np.nan)
    np.divide(4 * pi * shapely.area(near), length**2, out=ratio, where=length > 0)
    return pd.Series(ratio, index=shapes.index, name="polsby_popper")


def overlaps(shapes: gpd.GeoSeries) -> pd.DataFrame:
    """Return the ground that two polygons of one side both claim.

    Parameters
    ----------
    shapes : GeoSeries, shape (n,)
        Valid polygons by label, projected CRS in metres.

    Returns
    -------
    DataFrame
        `first`, `second` (labels), `area_m2` and a place (`x`, `y`), the largest first; pieces
        under 1e-6 m2 are noise.

    Raises
    ------
    TopologyError
        If there is no CRS in metres.
    """
    require_metres(shapes.crs)
    ground = shapes.to_numpy()
    one, two = shapely.STRtree(ground).query(ground, predicate="intersects")
    one, two = one[one < two], two[one < two]
    common = shapely.intersection(ground[one], ground[two])
    area = shapely.area(common)
    order = np.flatnonzero(area >= NOISE_M2)
    order = order[np.argsort(-area[order], kind="stable")]
    spots = shapely.point_on_surface(common[order])
    return pd.DataFrame(
        {
            "first": shapes.index.to_numpy()[one[order]],
            "second": shapes.index.to_numpy()[two[order]],
            "area_m2": area[order],
            "x": shapely.get_x(spots),
            "y": shapely.get_y(spots),
        }
    )


def without_overlaps(shapes: gpd.GeoSeries, found: pd.DataFrame) -> gpd.GeoSeries:
    """Return the polygons with ground that two claim left to the first of them.

    Parameters
    ----------
    shapes : GeoSeries
        Valid polygons by label.
    found : DataFrame
        Their `overlaps`.

    Returns
    -------
    GeoSeries
        Indexed like `shapes`; one that others cover wholly is empty.
    """
    mended = shapes.copy()
    for second, pairs in found.groupby("second", sort=False):
        taken = shapely.union_all(shapes.loc[list(pairs["first"])].to_numpy())
        cut = shapely.difference(mended.loc[second], taken)
        parts = shapely.get_parts(cut)
        parts = parts[shapely.area(parts) > 0]
        mended.loc[second] = shapely.union_all(parts)
    return mended
