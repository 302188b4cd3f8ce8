"""The limits of each grid in words (四至): what it reaches to in the east, south, west and north.

A border is read in short straight pieces. Each piece looks outward in one of four directions, and
is called by the named street, water or railway that runs along it; where none does, by the grid on
the other side; where there is none, by the limits of the city. The first one or two of each side,
by length, are named.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.crs import local_origin, require_metres
from geo.errors import TopologyError

SIDES: Final = (("东", "east"), ("南", "south"), ("西", "west"), ("北", "north"))
"""In the order in which they are told."""
ALONG_M: Final = 15.0
"""A line runs along a piece of border when it is no further off than this ..."""
ALONG_DEGREES: Final = 30.0
"""... and turned against it by no more than this."""
PIECE_M: Final = 20.0
SMOOTH_M: Final = 2.0
LOOK_OUT_M: Final = (4.0, 10.0)
"""How far outside a border one looks for the neighbour; further when that is still inside."""
SAME_PLACE_M: Final = 3.0
"""Of lines that are equally far off within this, the more lasting one is named."""
LASTING: Final = ("river", "water", "railway", "arterial", "collector", "local", "path")
FEATURE_SHARE: Final = 1 / 3
"""A named line goes before a neighbour from this share of a side on."""
SECOND_SHARE: Final = 1 / 4
"""A second name is told from this share of a side on."""
EXTREME_SHARE: Final = 0.1
"""No piece looks there: those count that lie within this share of the grid's extent."""
NEEDED: Final = ("grid_id", "level", "parent_id", "name")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Pieces:
    """Straight pieces of outer borders, counter-clockwise.

    `owner` is the row of the grid; `middle` and `outward` (length 1) are shaped (p, 2), metres;
    `side` is a place in `SIDES`.
    """

    owner: Ints
    middle: Floats
    outward: Floats
    length_m: Floats
    side: Ints


def limits(
    grids: gpd.GeoDataFrame,
    lines: gpd.GeoDataFrame,
    *,
    city: str = "",
    of: Collection[Any] | None = None,
) -> pd.DataFrame:
    """Return the limits of grids in Chinese and in English.

    Parameters
    ----------
    grids : GeoDataFrame, shape (n,)
        Columns `grid_id`, `level` (1 = top), `parent_id` (missing at the top), `name`; polygons in
        a projected CRS in metres, those of a level side by side.
    lines : GeoDataFrame, shape (m,)
        Columns `name`, `kind` (of `LASTING`; others are left out), same CRS: streets and railways
        as lines, rivers and water as polygons or lines. Those without a name are left out.
    city : str, optional
        Name of the city: its last character says what its limits are called (市界, 县界, 区界).
    of : collection, optional
        Labels of the grids whose limits are wanted; the others are looked at as neighbours and
        need no lines. All by default.

    Returns
    -------
    DataFrame, shape (n,) or as many as `of`
        Columns `zh`, `en`, indexed like `grids`. The same input gives the same words.

    Raises
    ------
    TopologyError
        If a column is missing, the CRS is not in metres, or the two differ.
    """
    crs = require_metres(grids.crs)
    missing = [name for name in NEEDED if name not in grids.columns]
    if missing or (len(lines) and lines.crs != crs):
        message = f"limits: columns missing {missing}, or grids and lines differ in their CRS."
        raise TopologyError(message, missing=missing)
    if grids.empty:
        return pd.DataFrame({"zh": [], "en": []}, index=grids.index, dtype="str")
    origin = np.array(local_origin(tuple(shapely.total_bounds(grids.geometry))), dtype=float)
    shapes = shapely.transform(grids.geometry.to_numpy(), lambda xy: xy - origin)
    wanted = np.ones(len(grids), dtype=bool) if of is None else grids.index.isin(list(of))
    pieces = _pieces(shapes, np.flatnonzero(wanted))
    along = _along(pieces, _named(lines, origin))
    beyond = _beyond(pieces, shapes, grids)
    told = _told(pieces, along, beyond, grids, city)
    sides = told.groupby(["row", "side"], sort=True)[["zh", "en"]].agg(list)
    return _sentences(sides, grids.index)[wanted]


def _pieces(shapes: NDArray[np.object_], rows: Ints) -> _Pieces:
    """Cut the outer rings of some grids into short straight pieces."""
    oriented = shapely.orient_polygons(shapes[rows])
    parts, place = shapely.get_parts(oriented, return_index=True)
    owner = rows[place]
    rings = shapely.get_exterior_ring(parts)
    plain = shapely.simplify(rings, SMOOTH_M, preserve_topology=True)
    points, ring = shapely.get_coordinates(shapely.segmentize(plain, PIECE_M), return_index=True)
    here = np.flatnonzero(ring[:-1] == ring[1:])
    run = points[here + 1] - points[here]
    length = np.hypot(*run.T)
    real = length > 0
    here, run, length = here[real], run[real], length[real]
    outward = np.column_stack([run[:, 1], -run[:, 0]]) / length[:, None]
    east, north = np.round(outward, 6).T
    side = np.where(
        np.abs(east) >= np.abs(north), np.where(east > 0, 0, 2), np.where(north > 0, 3, 1)
    )
    middle = (points[here] + points[here + 1]) / 2
    return _Pieces(owner[ring[here]].astype(np.int64), middle, outward, length, side)


def _named(lines: gpd.GeoDataFrame, origin: Floats) -> pd.DataFrame:
    """Return the lines that can be named: columns name, rank, shape; at the local origin."""
    if not len(lines):
        return pd.DataFrame({"name": [], "rank": [], "shape": []})
    rank = lines["kind"].map({kind: place for place, kind in enumerate(LASTING)})
    blank = lines["name"].fillna("").astype(str).str.strip() == ""
    kept = lines[rank.notna() & ~blank]
    shapes = shapely.transform(kept.geometry.to_numpy(), lambda xy: xy - origin)
    return pd.DataFrame(
        {"name": kept["name"].astype(str).str.strip(), "rank": rank[kept.index], "shape": shapes}
    )


def _along(pieces: _Pieces, named: pd.DataFrame) -> NDArray[np.object_]:
    """Return the name of the line that runs along each piece; None where there is none."""
    found = np.full(len(pieces.owner), None, dtype=object)
    if named.empty:
        return found
    shapes = named["shape"].to_numpy()
    lined, of_line = shapely.get_parts(_as_lines(shapes), return_index=True)
    points, line = shapely.get_coordinates(lined, return_index=True)
    here = np.flatnonzero(line[:-1] == line[1:])
    ends, row = np.stack([points[here], points[here + 1]], axis=1), of_line[line[here]]
    middle = shapely.points(pieces.middle)
    piece, segment = shapely.STRtree(shapely.linestrings(ends)).query(
        middle, predicate="dwithin", distance=ALONG_M
    )
    run = ends[segment, 1] - ends[segment, 0]
    size = np.hypot(*run.T)
    across = np.abs((run * pieces.outward[piece]).sum(axis=1)) / np.where(size > 0, size, 1.0)
    parallel = (size > 0) & (across <= np.sin(np.radians(ALONG_DEGREES)))
    piece, segment = piece[parallel], segment[parallel]
    off = shapely.distance(middle[piece], shapely.linestrings(ends[segment]))
    inside_piece, inside_row = _within_water(middle, shapes)
    table = pd.DataFrame(
        {
            "piece": np.concatenate([piece, inside_piece]),
            "row": np.concatenate([row[segment], inside_row]),
            "off": np.concatenate([off, np.zeros(len(inside_piece))]) // SAME_PLACE_M,
        }
    )
    table["rank"] = named["rank"].to_numpy()[table["row"]]
    table["name"] = named["name"].to_numpy()[table["row"]]
    best = table.sort_values(["piece", "off", "rank", "name"]).drop_duplicates("piece")
    found[best["piece"].to_numpy()] = best["name"].to_numpy()
    return found


def _as_lines(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return each shape as lines: areas by their border."""
    areal = shapely.get_dimensions(shapes) == 2
    lined = shapes.copy()
    lined[areal] = shapely.boundary(shapes[areal])
    return lined


def _within_water(middle: NDArray[np.object_], shapes: NDArray[np.object_]) -> tuple[Ints, Ints]:
    areal = np.flatnonzero(shapely.get_dimensions(shapes) == 2)
    area, piece = shapely.STRtree(middle).query(shapes[areal], predicate="contains")
    return piece.astype(np.int64), areal[area].astype(np.int64)


def _beyond(pieces: _Pieces, shapes: NDArray[np.object_], grids: gpd.GeoDataFrame) -> Ints:
    """Return the row of the grid on the other side of each piece; -1 outside, -2 when inside.

    It is the one of the same level, else the lowest one above.
    """
    level = grids["level"].to_numpy()
    own = level[pieces.owner]
    beyond = np.full(len(own), -2, dtype=np.int64)
    for far in LOOK_OUT_M:
        open_ = np.flatnonzero(beyond == -2)
        places = shapely.points(pieces.middle[open_] + far * pieces.outward[open_])
        beyond[open_] = -1
        for step in sorted(set(level.tolist())):
            rows = np.flatnonzero(level == step)
            row, place = shapely.STRtree(places).query(shapes[rows], predicate="contains")
            fits = step <= own[open_[place]]
            beyond[open_[place[fits]]] = rows[row[fits]]
        beyond[open_[beyond[open_] == pieces.owner[open_]]] = -2
    return beyond


def _told(
    pieces: _Pieces,
    along: NDArray[np.object_],
    beyond: Ints,
    grids: gpd.GeoDataFrame,
    city: str,
) -> pd.DataFrame:
    """Return what is named on each side, in order: columns row, side, zh, en."""
    is_line = along != None  # noqa: E711 - element by element
    zh, en = _neighbours(pieces.owner, beyond, grids, city)
    table = pd.DataFrame(
        {
            "row": pieces.owner,
            "side": pieces.side,
            "length": pieces.length_m,
            "line": is_line,
            "zh": np.where(is_line, along, zh),
            "en": np.where(is_line, along, en),
        }
    )
    table = table[is_line | (beyond != -2)]
    table = pd.concat([table, _blind_sides(table, pieces)], ignore_index=True)
    summed = table.groupby(["row", "side", "line", "zh", "en"], sort=True)["length"].sum()
    things = summed.reset_index()
    whole = things.groupby(["row", "side"])["length"].transform("sum")
    things["share"] = things["length"] / whole
    things["later"] = ~(things["line"] & (things["share"] >= FEATURE_SHARE))
    things["length"] = -things["length"].round(3)
    things = things.sort_values(["row", "side", "later", "length", "zh"])
    place = things.groupby(["row", "side"]).cumcount()
    kept: pd.DataFrame = things[(place == 0) | ((place == 1) & (things["share"] >= SECOND_SHARE))]
    return kept


def _neighbours(
    owner: Ints, beyond: Ints, grids: gpd.GeoDataFrame, city: str
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Call the grid beyond each piece by name, with its parent where that is another one."""
    names = grids["name"].astype(str).to_numpy(dtype=object)
    row_of = {int(grid): row for row, grid in enumerate(grids["grid_id"])}
    parent = np.array([row_of.get(p, -1) if pd.notna(p) else -1 for p in grids["parent_id"]])
    line: list[set[int]] = []
    for row in range(len(names)):
        above, at = set(), int(parent[row])
        while at >= 0 and at not in above:
            above.add(at)
            at = int(parent[at])
        line.append(above)
    limit = next((f"{end}界" for end in ("市", "县", "区", "旗") if city.endswith(end)), "辖区边界")
    pairs = pd.MultiIndex.from_arrays([owner, beyond])
    codes, distinct = pd.factorize(pairs)
    zh, en = [], []
    for mine, other in distinct:
        upper = int(parent[other]) if other >= 0 else -1
        if other < 0:
            zh.append(limit)
            en.append("the city limits")
        elif upper < 0 or upper in line[mine]:
            zh.append(names[other])
            en.append(names[other])
        else:
            apart = " " if names[upper].isascii() and names[other].isascii() else ""
            zh.append(f"{names[upper]}{apart}{names[other]}")
            en.append(f"{names[other]} of {names[upper]}")
    return np.array(zh, dtype=object)[codes], np.array(en, dtype=object)[codes]


def _blind_sides(table: pd.DataFrame, pieces: _Pieces) -> pd.DataFrame:
    """Return rows for sides to which no piece looks: the pieces that lie furthest that way."""
    rows = table["row"].unique()
    wanted = pd.MultiIndex.from_product([rows, range(len(SIDES))])
    seen = pd.MultiIndex.from_frame(table[["row", "side"]].drop_duplicates())
    lacking = wanted.difference(seen)
    if not len(lacking):
        none: pd.DataFrame = table.iloc[:0]
        return none
    ways = np.array([(1, 0), (0, -1), (-1, 0), (0, 1)], dtype=float)
    parts = []
    for row, side in lacking:
        own = table[table["row"] == row]
        reach = pieces.middle[own.index.to_numpy()] @ ways[side]
        edge = reach.max() - EXTREME_SHARE * np.ptp(reach)
        parts.append(own[reach >= edge].assign(side=side))
    filled: pd.DataFrame = pd.concat(parts)
    return filled


def _sentences(told: pd.DataFrame, index: pd.Index[Any]) -> pd.DataFrame:
    """Put the names of the four sides of each grid into sentences."""
    zh: list[list[str]] = [[] for _ in index]
    en: list[list[str]] = [[] for _ in index]
    for (row, side), words in zip(told.index, told.to_dict("records"), strict=True):
        zh[row].append(f"{SIDES[side][0]}至{'、'.join(words['zh'])}")
        en[row].append(f"{SIDES[side][1]} to {' and '.join(words['en'])}")
    return pd.DataFrame(
        {
            "zh": ["，".join(one) for one in zh],
            "en": ["; ".join(one)[:1].upper() + "; ".join(one)[1:] for one in en],
        },
        index=index,
        dtype="str",
    )
