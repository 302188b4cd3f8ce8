"""A later delivery laid against what stands: what is the same, changed, new and gone.

The code is the identity. What has no common code is paired by the ground it shares, by its place
and by its name, always one to one and best first; such pairs are proposals for a person. Nothing
is decided by the order of rows: the same two frames give the same answer in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.crs import local_origin, require_metres
from geo.errors import TopologyError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Shapes = NDArray[np.object_]
Kind = Literal["areas", "lines", "points"]

SHARED: Final = 0.8
"""Share of the households of both grids that makes a proposal."""
OVERLAP: Final = 0.5
"""Share of the ground of the larger of two buildings that makes a proposal."""
REACH_M: Final = 30.0
"""How far a station or a street may have moved when its name is the same."""
SAME_M: Final = 0.02
"""Vertices that moved by less did not move: 7 digits of a degree round by half a centimetre."""
PAIRS: Final = (
    "standing",
    "delivered",
    "verdict",
    "how",
    "certainty",
    "share_standing",
    "share_delivered",
    "fields",
    "moved",
)
FIELDS: Final = ("standing", "delivered", "field", "before", "after")
VERDICTS: Final = ("same", "changed", "new", "gone")


@dataclass(frozen=True)
class Difference:
    """A delivery against what stands.

    Attributes
    ----------
    pairs : DataFrame
        One row for each thing on either side, in the order of `standing`, then of what is new.
        `standing`, `delivered`: labels of the two frames, None where there is none. `verdict`:
        `same`, `changed`, `new`, `gone`. `how`: `code`, or what the proposal rests on:
        `households`, `ground`, `place`, `name and place`; empty for new and gone. `certainty`: 1
        for a code, else the smaller of the two shares. `share_standing`, `share_delivered`: how
        much of each side the two have in common. `fields`: names of columns that differ.
        `moved`: m2 that one side has and the other has not (areas), metres (lines, points).
    fields : DataFrame
        One row for each value that differs: `standing`, `delivered`, `field`, `before`, `after`.
    doubtful : DataFrame
        Codes that occur more than once on a side, and so identify nothing: `code`, `standing`,
        `delivered` (counts).
    """

    pairs: pd.DataFrame
    fields: pd.DataFrame
    doubtful: pd.DataFrame

    def counts(self) -> dict[str, int]:
        """Return how many are same, changed, new and gone, and how many pairs are proposals."""
        verdicts = self.pairs["verdict"].value_counts()
        counts = {name: int(verdicts.get(name, 0)) for name in VERDICTS}
        proposed = (self.pairs["how"] != "code") & (self.pairs["how"] != "")
        return counts | {"proposed": int(proposed.sum())}

    @property
    def nothing_changed(self) -> bool:
        """Whether the delivery says what stands."""
        return bool((self.pairs["verdict"] == "same").all())


@dataclass(frozen=True)
class _Pairing:
    """Positions of both sides that belong together, and why."""

    left: Ints
    right: Ints
    how: list[str]
    share_left: Floats
    share_right: Floats


def match_grids(
    standing: gpd.GeoDataFrame,
    delivered: gpd.GeoDataFrame,
    households: gpd.GeoDataFrame,
    *,
    code: str = "code",
    value: str = "households",
    fields: Sequence[str] = ("name",),
    shared: float = SHARED,
) -> Difference:
    """Match grids of one level: by code, else by the households that two of them share.

    Parameters
    ----------
    standing, delivered : GeoDataFrame
        Polygons, one row per grid, one projected CRS in metres.
    households : GeoDataFrame
        Points or cells of the same CRS with the count `value`: a cell counts where a point inside
        it lies. Where two grids have no households at all, their ground is compared.
    code : str, default "code"
        Column of both; null where there is none.
    value : str, default "households"
    fields : sequence of str, default ("name",)
        Columns of both to compare, apart from geometry.
    shared : float, default 0.8
        Both grids must share so much of their households.

    Returns
    -------
    Difference

    Raises
    ------
    TopologyError
        If a CRS is missing, differs or is not in metres, or a column is missing.

    Examples
    --------
    >>> from shapely import Point, box
    >>> east = {"code": ["1"], "name": ["East"]}
    >>> old = gpd.GeoDataFrame(east, geometry=[box(0, 0, 9, 9)], crs=4549)
    >>> new = gpd.GeoDataFrame(east | {"code": ["7"]}, geometry=[box(0, 0, 9, 8)], crs=4549)
    >>> homes = gpd.GeoDataFrame({"households": [5]}, geometry=[Point(4, 4)], crs=4549)
    >>> match_grids(old, new, homes).pairs[["verdict", "how", "moved"]].to_numpy().tolist()
    [['changed', 'households', 9.0]]
    """
    _refuse(standing, delivered, (code, *fields))
    if require_metres(households.crs) != require_metres(standing.crs) or value not in households:
        raise TopologyError(f"The households need the grids' CRS and a column '{value}'.")
    one, two, by_code, doubtful = _begun(standing, delivered, code)
    points = shapely.point_on_surface(_near(households, _origin(standing, delivered)))
    counts = households[value].to_numpy(dtype=float)
    pairing = _by_households(one, two, by_code, points, counts, shared)
    return _difference(standing, delivered, (one, two), pairing, tuple(fields), "areas", doubtful)


def _by_households(
    one: Shapes, two: Shapes, by_code: _Pairing, points: Shapes, counts: Floats, shared: float
) -> _Pairing:
    """Pair what has no common code by households, and by ground where there are none."""
    rest = _open(len(one), len(two), by_code)
    shares = _shares_of_households(one, two, points, counts)
    found = _best(_among(shares, rest), shared, "households")
    rest = _open(len(one), len(two), by_code, found)
    empty = _without_households(len(one), len(two), shares)
    ground = _among(_shares_of_ground(one, two), (rest[0] & empty[0], rest[1] & empty[1]))
    return _with_shares(_joined(by_code, found, _best(ground, shared, "ground")), shares)


def match_features(
    standing: gpd.GeoDataFrame,
    delivered: gpd.GeoDataFrame,
    kind: Kind,
    *,
    code: str | None = "code",
    name: str | None = "name",
    fields: Sequence[str] = ("name",),
    reach_m: float = REACH_M,
    overlap: float = OVERLAP,
    same_place: bool = True,
) -> Difference:
    """Match buildings, stations or streets: by code, else by overlap, or by nearness and name.

    Areas without a common code are paired when they share at least `overlap` of the larger one;
    points and lines when they lie within `reach_m` of each other and have the same name, or at the
    same place (2 cm).

    Parameters
    ----------
    standing, delivered : GeoDataFrame
        One projected CRS in metres.
    kind : {"areas", "lines", "points"}
    code : str or None, default "code"
        Column of both, null where there is none; None: there are no codes.
    name : str or None, default "name"
        Column of both that pairs points and lines; None: only the same place does.
    fields : sequence of str, default ("name",)
        Columns of both to compare, apart from geometry.
    reach_m, overlap : float
    same_place : bool, default True
        Whether points and lines at one place are one thing, whatever they are called.

    Returns
    -------
    Difference

    Raises
    ------
    TopologyError
        If a CRS is missing, differs or is not in metres, or a column is missing.
    """
    named = [column for column in (code, name if kind != "areas" else None) if column is not None]
    _refuse(standing, delivered, (*named, *fields))
    one, two, by_code, doubtful = _begun(standing, delivered, code)
    rest = _open(len(one), len(two), by_code)
    if kind == "areas":
        found = _best(_among(_shares_of_ground(one, two), rest), overlap, "ground")
        pairing = _joined(by_code, found)
    else:
        names = _names(standing, delivered, name)
        pairing = _by_place(one, two, by_code, names, reach_m, same_place=same_place)
    return _difference(standing, delivered, (one, two), pairing, tuple(fields), kind, doubtful)


def _by_place(
    one: Shapes,
    two: Shapes,
    by_code: _Pairing,
    names: tuple[NDArray[Any], NDArray[Any]] | None,
    reach_m: float,
    *,
    same_place: bool,
) -> _Pairing:
    """Pair what stands at the same place, then what has the same name and is near."""
    rest = _open(len(one), len(two), by_code)
    same = _pairs(_NONE, _NONE, "place")
    if same_place:
        same = _best(_of_rest(one, two, SAME_M, None, rest), 0.0, "place")
        rest = _open(len(one), len(two), by_code, same)
    near = _of_rest(one, two, reach_m, names, rest) if names is not None else _NO_SHARES
    return _joined(by_code, same, _best(near, 0.0, "name and place"))


def _of_rest(
    one: Shapes,
    two: Shapes,
    reach_m: float,
    names: tuple[NDArray[Any], NDArray[Any]] | None,
    rest: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> _Shares:
    """Return what is near among the rows that are not paired yet."""
    left, right = (np.flatnonzero(side) for side in rest)
    few = names and (names[0][left], names[1][right])
    found = _nearness(one[left], two[right], reach_m, few)
    return _Shares(left[found.left], right[found.right], found.of_left, found.of_right)


@dataclass(frozen=True)
class _Shares:
    """Pairs that have something in common, and how much of each side it is."""

    left: Ints
    right: Ints
    of_left: Floats
    of_right: Floats


_NONE: Final = np.empty(0, dtype=np.int64)
_NO_SHARES: Final = _Shares(_NONE, _NONE, np.empty(0), np.empty(0))


def _refuse(
    standing: gpd.GeoDataFrame, delivered: gpd.GeoDataFrame, columns: Sequence[str]
) -> None:
    if require_metres(standing.crs) != require_metres(delivered.crs):
        raise TopologyError("The two sides are in two reference systems; transform one.")
    for side, frame in (("standing", standing), ("delivered", delivered)):
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            message = f"What is {side} has no column {', '.join(missing)}."
            raise TopologyError(message, columns=missing)
        if not frame.index.is_unique:
            raise TopologyError(f"Labels of what is {side} occur twice.", side=side)


def _origin(*frames: gpd.GeoDataFrame) -> Floats:
    boxes = [frame.total_bounds for frame in frames if len(frame)]
    low = np.min([box[:2] for box in boxes], axis=0) if boxes else np.zeros(2)
    high = np.max([box[2:] for box in boxes], axis=0) if boxes else np.zeros(2)
    return np.array(local_origin(np.concatenate([low, high])), dtype=float)


def _near(frame: gpd.GeoDataFrame, origin: Floats) -> Shapes:
    shapes = shapely.force_2d(frame.geometry.to_numpy())
    return np.asarray(shapely.transform(shapes, lambda places: places - origin), dtype=object)


def _begun(
    standing: gpd.GeoDataFrame, delivered: gpd.GeoDataFrame, code: str | None
) -> tuple[Shapes, Shapes, _Pairing, pd.DataFrame]:
    """Return the shapes of both sides, the pairs by code, and the codes that identify nothing."""
    origin = _origin(standing, delivered)
    one, two = _near(standing, origin), _near(delivered, origin)
    one, two = (
        np.where(shapely.is_valid(side), side, shapely.make_valid(side)) for side in (one, two)
    )
    if code is None:
        empty = pd.DataFrame([], columns=["code", "standing", "delivered"])
        return one, two, _pairs(_NONE, _NONE, "code"), empty
    left, right = _texts(standing[code]), _texts(delivered[code])
    counts = pd.DataFrame({"standing": left.value_counts(), "delivered": right.value_counts()})
    counts = counts.fillna(0).astype(np.int64).sort_index()
    several = counts[(counts > 1).any(axis=1)].rename_axis("code").reset_index()
    sure = counts.index[(counts == 1).all(axis=1)]
    at = pd.Series(np.arange(len(left)), index=left.to_numpy())
    to = pd.Series(np.arange(len(right)), index=right.to_numpy())
    rows = at.loc[at.index.isin(sure)]
    pairs = _pairs(rows.to_numpy(np.int64), to.loc[rows.index].to_numpy(np.int64), "code")
    return one, two, pairs, several


def _texts(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return codes as texts; a number read as 12.0 is 12, blanks are none."""
    text = column.astype("string").str.strip().str.replace(r"\.0$", "", regex=True)
    return text.mask(text == "").astype(object).where(text.notna() & (text != ""), None)


def _pairs(left: Ints, right: Ints, how: str) -> _Pairing:
    ones = np.full(len(left), np.nan)
    return _Pairing(left, right, [how] * len(left), ones, ones)


def _open(lefts: int, rights: int, *done: _Pairing) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which rows of each side are not paired yet."""
    left, right = np.ones(lefts, dtype=bool), np.ones(rights, dtype=bool)
    for pairing in done:
        left[pairing.left] = right[pairing.right] = False
    return left, right


def _among(shares: _Shares, rest: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> _Shares:
    kept = rest[0][shares.left] & rest[1][shares.right]
    return _Shares(
        shares.left[kept], shares.right[kept], shares.of_left[kept], shares.of_right[kept]
    )


def _shares_of_households(one: Shapes, two: Shapes, points: Shapes, counts: Floats) -> _Shares:
    at, to = (_containing(side, points) for side in (one, two))
    lefts = np.bincount(at[at >= 0], weights=counts[at >= 0], minlength=len(one))
    rights = np.bincount(to[to >= 0], weights=counts[to >= 0], minlength=len(two))
    both = (at >= 0) & (to >= 0) & (counts > 0)
    key, where = np.unique(at[both] * np.int64(max(len(two), 1)) + to[both], return_inverse=True)
    common = np.bincount(where, weights=counts[both], minlength=len(key))
    left, right = np.divmod(key, max(len(two), 1))
    return _Shares(left, right, common / lefts[left], common / rights[right])


def _containing(shapes: Shapes, points: Shapes) -> Ints:
    """Return for each point the first shape that it lies in, or -1."""
    point, shape = shapely.STRtree(shapes).query(points, predicate="intersects")
    first = np.full(len(points), len(shapes), dtype=np.int64)
    np.minimum.at(first, point, shape)
    first[first == len(shapes)] = -1
    return first


def _without_households(
    lefts: int, rights: int, shares: _Shares
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    left, right = np.ones(lefts, dtype=bool), np.ones(rights, dtype=bool)
    left[shares.left] = right[shares.right] = False
    return left, right


def _shares_of_ground(one: Shapes, two: Shapes) -> _Shares:
    left, right = shapely.STRtree(two).query(one, predicate="intersects")
    common = np.zeros(len(left))
    same = shapely.equals_identical(one[left], two[right])
    common[same] = shapely.area(one[left[same]])
    common[~same] = shapely.area(shapely.intersection(one[left[~same]], two[right[~same]]))
    kept = common > 0
    left, right, common = left[kept], right[kept], common[kept]
    return _Shares(left, right, common / shapely.area(one[left]), common / shapely.area(two[right]))


def _nearness(
    one: Shapes, two: Shapes, reach_m: float, names: tuple[NDArray[Any], NDArray[Any]] | None
) -> _Shares:
    """Return pairs within reach; the share falls from 1 at the same place to 0 at the limit."""
    left, right = shapely.STRtree(two).query(one, predicate="dwithin", distance=reach_m)
    if names is not None:
        alike = (names[0][left] == names[1][right]) & (names[0][left] != "")
        left, right = left[alike], right[alike]
    away = np.array(shapely.hausdorff_distance(one[left], two[right]))
    kept = away <= reach_m
    share = np.ones(int(kept.sum())) if names is None else 1.0 - away[kept] / reach_m
    return _Shares(left[kept], right[kept], share, share)


def _names(
    standing: gpd.GeoDataFrame, delivered: gpd.GeoDataFrame, name: str | None
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    if name is None:
        return None
    one, two = (
        frame[name].astype("string").fillna("").str.strip().str.casefold().to_numpy(dtype=object)
        for frame in (standing, delivered)
    )
    return one, two


def _best(shares: _Shares, least: float, how: str) -> _Pairing:
    """Pair one to one, the pair with the largest common share first."""
    both = np.minimum(shares.of_left, shares.of_right)
    rows = np.flatnonzero(both >= least)
    rows = rows[np.lexsort((shares.right[rows], shares.left[rows], -both[rows]))]
    taken: tuple[set[int], set[int]] = set(), set()
    kept = []
    for row in rows.tolist():
        left, right = int(shares.left[row]), int(shares.right[row])
        if left not in taken[0] and right not in taken[1]:
            taken[0].add(left)
            taken[1].add(right)
            kept.append(row)
    at = np.array(kept, dtype=np.int64)
    return _Pairing(
        shares.left[at], shares.right[at], [how] * len(at), shares.of_left[at], shares.of_right[at]
    )


def _joined(*pairings: _Pairing) -> _Pairing:
    return _Pairing(
        np.concatenate([one.left for one in pairings]).astype(np.int64),
        np.concatenate([one.right for one in pairings]).astype(np.int64),
        [how for one in pairings for how in one.how],
        np.concatenate([one.share_left for one in pairings]),
        np.concatenate([one.share_right for one in pairings]),
    )


def _with_shares(pairing: _Pairing, shares: _Shares) -> _Pairing:
    """Say of pairs by code, too, how many households they share."""
    known = {
        pair: row
        for row, pair in enumerate(zip(shares.left.tolist(), shares.right.tolist(), strict=True))
    }
    left, right = pairing.share_left.copy(), pairing.share_right.copy()
    pairs = zip(pairing.left.tolist(), pairing.right.tolist(), strict=True)
    for row, pair in enumerate(pairs):
        if np.isnan(left[row]) and pair in known:
            left[row], right[row] = shares.of_left[known[pair]], shares.of_right[known[pair]]
    return _Pairing(pairing.left, pairing.right, pairing.how, left, right)


def _difference(
    standing: gpd.GeoDataFrame,
    delivered: gpd.GeoDataFrame,
    shapes: tuple[Shapes, Shapes],
    pairing: _Pairing,
    fields: tuple[str, ...],
    kind: Kind,
    doubtful: pd.DataFrame,
) -> Difference:
    left, right = pairing.left, pairing.right
    moved = _MOVED[kind](shapes[0][left], shapes[1][right])
    lines: list[tuple[Any, ...]] = []
    differing: list[list[str]] = [[] for _ in range(len(left))]
    for field in fields:
        before, after = standing[field].to_numpy(object), delivered[field].to_numpy(object)
        for row in np.flatnonzero(_unlike(before[left], after[right])).tolist():
            differing[row].append(field)
            pair = (standing.index[left[row]], delivered.index[right[row]])
            lines.append((row, *pair, field, before[left[row]], after[right[row]]))
    changed = (moved > 0) | np.array([bool(names) for names in differing], dtype=bool)
    frame = pd.DataFrame(
        {
            "standing": standing.index.to_numpy(object)[left],
            "delivered": delivered.index.to_numpy(object)[right],
            "verdict": np.where(changed, "changed", "same"),
            "how": pairing.how,
            "share_standing": pairing.share_left,
            "share_delivered": pairing.share_right,
            "moved": moved,
        }
    )
    least = np.minimum(pairing.share_left, pairing.share_right)
    frame["certainty"] = np.where(frame["how"] == "code", 1.0, least)
    frame["fields"] = [tuple(names) for names in differing]
    rest = _open(len(standing), len(delivered), pairing)
    table = pd.concat([frame, _lone(standing, rest[0], "gone"), _lone(delivered, rest[1], "new")])
    places = np.concatenate([left, *map(np.flatnonzero, rest)])
    new = (table["verdict"] == "new").to_numpy()
    order = np.lexsort((places, new))
    lines.sort(key=lambda line: (int(left[line[0]]), fields.index(line[3])))
    return Difference(
        table.iloc[order].reset_index(drop=True)[list(PAIRS)],
        pd.DataFrame([line[1:] for line in lines], columns=list(FIELDS)),
        doubtful,
    )


def _lone(side: gpd.GeoDataFrame, rest: NDArray[np.bool_], verdict: str) -> pd.DataFrame:
    labels, other = side.index.to_numpy(object)[rest], np.full(int(rest.sum()), None, dtype=object)
    pair = (other, labels) if verdict == "new" else (labels, other)
    return pd.DataFrame(
        {
            "standing": pair[0],
            "delivered": pair[1],
            "verdict": verdict,
            "how": "",
            "certainty": np.nan,
            "share_standing": np.nan,
            "share_delivered": np.nan,
            "fields": [()] * len(labels),
            "moved": np.nan,
        }
    )


def _unlike(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.bool_]:
    """Say where two values differ; nothing is like nothing, 3 is like 3.0, blanks do not count."""
    one, two = (_comparable(values) for values in (before, after))
    unlike: NDArray[np.bool_] = one != two
    return unlike


def _comparable(values: NDArray[Any]) -> NDArray[Any]:
    return np.array([_plain(value) for value in values], dtype=object)


def _plain(value: Any) -> Any:
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float) and np.isnan(value))
    ):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, float, np.integer, np.floating)):
        return f"{float(value):.12g}"
    return str(value).strip()


def _still(one: Shapes, two: Shapes) -> NDArray[np.bool_]:
    """Say which shapes have the same vertices, wherever their rings begin."""
    still = np.array(shapely.equals_exact(one, two, SAME_M))
    rest = np.flatnonzero(~still)
    still[rest] = shapely.equals_exact(
        shapely.normalize(one[rest]), shapely.normalize(two[rest]), SAME_M
    )
    return still


def _moved_areas(one: Shapes, two: Shapes) -> Floats:
    moved = np.zeros(len(one))
    rest = np.flatnonzero(~_still(one, two))
    moved[rest] = shapely.area(shapely.symmetric_difference(one[rest], two[rest]))
    slack = SAME_M * np.maximum(shapely.length(one[rest]), shapely.length(two[rest]))
    little = rest[moved[rest] <= slack]
    moved[little[_along(one[little], two[little])]] = 0.0
    return moved


def _along(one: Shapes, two: Shapes) -> NDArray[np.bool_]:
    """Say which areas have the same rim: each corner of either lies on the rim of the other."""
    along = np.ones(len(one), dtype=np.bool_)
    for corners, rims in ((one, shapely.boundary(two)), (two, shapely.boundary(one))):
        shapely.prepare(rims)
        places, of = shapely.get_coordinates(corners, return_index=True)
        away = ~shapely.dwithin(rims[of], shapely.points(places), SAME_M)
        along[of[away]] = False
    return along


def _moved_lines(one: Shapes, two: Shapes) -> Floats:
    moved = np.zeros(len(one))
    rest = np.flatnonzero(~_still(one, two))
    moved[rest] = shapely.hausdorff_distance(one[rest], two[rest])
    moved[moved <= SAME_M] = 0.0
    return moved


_MOVED: Final[dict[Kind, Callable[[Shapes, Shapes], Floats]]] = {
    "areas": _moved_areas,
    "lines": _moved_lines,
    "points": _moved_lines,
}
