"""The made-up city's net: which cell belongs to which unit, grid, community and sub-district."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.codes import numbering_order
from geo.demo.cells import Borders
from geo.demo.division import (
    Pieces,
    components,
    divide,
    shared_out,
    smoothed,
    totals,
)
from geo.demo.ground import METRE_SRID, Ground
from geo.demo.landuse import Use
from geo.topology import Adjacency, colours

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]

#: What a metre of border costs where the net is cut: least along water, most through a block.
CUT_COST: Final = {
    "promenade": 0.12,
    "railway": 0.15,
    "arterial": 0.40,
    "collector": 0.60,
    "local": 0.80,
    "path": 0.95,
    "wall": 0.90,
    "ground": 1.7,
}
#: Weight of open ground in households, so that a grid of fields does not become boundless.
HOUSEHOLDS_PER_M2: Final = 4.0 / 10_000.0
UNIT_HOUSEHOLDS: Final = 100.0
UNIT_LEVEL: Final = 4
DEDICATED_M2: Final = 60_000.0
DEDICATED_SHARE: Final = 0.03
DEDICATED_USES: Final = {
    Use.PARK: "park",
    Use.SCHOOL: "school",
    Use.HOSPITAL: "hospital",
    Use.FACTORY: "works",
}


@dataclass(frozen=True)
class Counts:
    """How many of each level, and of how many communities the grids have units."""

    subdistricts: int
    communities: int
    grids: int
    with_units: int


@dataclass(frozen=True)
class Net:
    """Groups of each level, numbered 0 .. n-1 over the city in their parents' order.

    `cell_leaf` numbers leaves over all levels as rows of `level`, `parent`, `kind`, `colour` and
    `number`; row order is level by level. `number` counts among the siblings, from 1, as codes do.
    `theme` says what a dedicated grid is for ("" otherwise).
    """

    cell_leaf: Ints
    level: Ints
    parent: Ints
    kind: Array
    theme: Array
    number: Ints
    colour: Ints
    shape: Array


def build_net(
    cells: Array,
    cell_block: Ints,
    households: Floats,
    borders: Borders,
    ground: Ground,
    uses: Array,
    counts: Counts,
    run: Callable[[list[tuple[Pieces, int]]], list[Ints]],
) -> Net:
    """Divide the city into its levels.

    Parameters
    ----------
    cells : ndarray of Polygon, shape (n,)
        A valid coverage in the city's metre CRS.
    cell_block : ndarray of int, shape (n,)
    households : ndarray, shape (n,)
        Households of each cell.
    borders : Borders
    ground : Ground
    uses : ndarray of Use, shape (blocks,)
    counts : Counts
    run : callable
        Does `divide` for many areas, possibly in several processes.

    Returns
    -------
    Net
    """
    pieces = _cell_pieces(cells, cell_block, households, borders, ground)
    blocks = _block_pieces(pieces, cell_block, ground)
    block_sub = smoothed(blocks, divide(blocks, counts.subdistricts))
    block_com = _communities(blocks, block_sub, counts)
    community = block_com[cell_block]
    special, theme_of = _dedicated(blocks, block_com, uses, counts, households, cell_block)
    grid, dedicated = _grids(pieces, community, special[cell_block], counts, run)
    unit = _units(pieces, grid, community, dedicated, uses[cell_block], counts, run)
    themes = {int(grid[np.flatnonzero(special[cell_block] == s)[0]]): t for s, t in theme_of}
    return _assemble(cells, borders, [block_sub[cell_block], community, grid, unit], themes)


def _cell_pieces(
    cells: Array, cell_block: Ints, households: Floats, borders: Borders, ground: Ground
) -> Pieces:
    area = shapely.area(cells)
    block_place = shapely.get_coordinates(shapely.centroid(ground.blocks))
    return Pieces(
        place=shapely.get_coordinates(shapely.centroid(cells)),
        group_place=block_place[cell_block],
        weight=households + HOUSEHOLDS_PER_M2 * area,
        area_m2=area,
        a=borders.a,
        b=borders.b,
        cost_m=borders.length_m * np.array([CUT_COST[kind] for kind in borders.kind]),
    )


def _block_pieces(cells: Pieces, cell_block: Ints, ground: Ground) -> Pieces:
    """Blocks as pieces: sums of their cells, and borders between different blocks."""
    count = len(ground.blocks)
    a, b = cell_block[cells.a], cell_block[cells.b]
    across = a != b
    key = np.minimum(a, b)[across] * count + np.maximum(a, b)[across]
    pair, inverse = np.unique(key, return_inverse=True)
    place = shapely.get_coordinates(shapely.centroid(ground.blocks))
    return Pieces(
        place=place,
        group_place=place,
        weight=totals(cell_block, cells.weight, count),
        area_m2=np.asarray(shapely.area(ground.blocks), dtype=np.float64),
        a=pair // count,
        b=pair % count,
        cost_m=totals(inverse, cells.cost_m[across]),
    )


def _communities(blocks: Pieces, block_sub: Ints, counts: Counts) -> Ints:
    weight = totals(block_sub, blocks.weight, counts.subdistricts)
    shares = shared_out(weight, counts.communities)
    community = np.empty(len(block_sub), dtype=np.int64)
    first = 0
    for sub, share in enumerate(shares):
        chosen = np.flatnonzero(block_sub == sub)
        own = blocks.take(chosen)
        community[chosen] = first + smoothed(own, divide(own, int(share)))
        first += int(share)
    return community


def _dedicated(
    blocks: Pieces,
    block_com: Ints,
    uses: Array,
    counts: Counts,
    households: Floats,
    cell_block: Ints,
) -> tuple[Ints, list[tuple[int, str]]]:
    """Choose large parks, schools, hospitals and works without households as grids of their own.

    Returns
    -------
    special : ndarray of int, shape (blocks,)
        Number of the dedicated grid of a block, -1 for the others.
    themes : list of (number, theme)
    """
    special = np.full(len(uses), -1, dtype=np.int64)
    wanted = round(counts.grids * DEDICATED_SHARE)
    lived_in = np.bincount(cell_block, weights=households, minlength=len(uses)) > 0
    themes: list[tuple[int, str]] = []
    number = np.array([list(DEDICATED_USES).index(u) if u in DEDICATED_USES else -1 for u in uses])
    number[lived_in] = -1
    alike = (
        (number[blocks.a] == number[blocks.b])
        & (number[blocks.a] >= 0)
        & (block_com[blocks.a] == block_com[blocks.b])
    )
    cluster = components(len(uses), blocks.a[alike], blocks.b[alike])
    area = np.bincount(cluster, weights=blocks.area_m2)
    order = [c for c in np.argsort(-area, kind="stable") if area[c] >= DEDICATED_M2]
    busy: set[int] = set()
    per_theme = dict.fromkeys(DEDICATED_USES.values(), 0)
    for c in order:
        members = np.flatnonzero(cluster == c)
        if len(themes) == wanted or number[members[0]] < 0:
            continue
        theme = list(DEDICATED_USES.values())[int(number[members[0]])]
        community = int(block_com[members[0]])
        if community in busy or per_theme[theme] >= max(1, -(-wanted // 3)):
            continue
        rest = np.flatnonzero((block_com == community) & (cluster != c))
        if len(rest) == 0 or not _whole(blocks.take(rest)):
            continue
        special[members] = len(themes)
        themes.append((len(themes), theme))
        per_theme[theme] += 1
        busy.add(community)
    return special, themes


def _whole(pieces: Pieces) -> bool:
    return bool(components(len(pieces.weight), pieces.a, pieces.b).max() == 0)


def _grids(
    pieces: Pieces,
    community: Ints,
    special: Ints,
    counts: Counts,
    run: Callable[[list[tuple[Pieces, int]]], list[Ints]],
) -> tuple[Ints, Array]:
    """Grid of each cell, and which grids are dedicated."""
    plain = special < 0
    extra = len(np.unique(special[~plain]))
    weight = totals(community[plain], pieces.weight[plain], counts.communities)
    shares = shared_out(weight, counts.grids - extra, 2)
    members = [np.flatnonzero(plain & (community == c)) for c in range(counts.communities)]
    done = run([(pieces.take(m), int(k)) for m, k in zip(members, shares, strict=True)])
    grid = np.full(len(community), -1, dtype=np.int64)
    first = 0
    for chosen, part, share in zip(members, done, shares, strict=True):
        grid[chosen] = first + part
        first += int(share)
    grid[~plain] = first + special[~plain]
    dedicated = np.zeros(first + extra, dtype=np.bool_)
    dedicated[first:] = True
    return grid, dedicated


def _units(
    pieces: Pieces,
    grid: Ints,
    community: Ints,
    dedicated: Array,
    cell_use: Array,
    counts: Counts,
    run: Callable[[list[tuple[Pieces, int]]], list[Ints]],
) -> Ints:
    """Return the unit of each cell in the communities that have units, -1 elsewhere."""
    unit = np.full(len(grid), -1, dtype=np.int64)
    homes = pieces.weight - HOUSEHOLDS_PER_M2 * pieces.area_m2
    chosen = _with_units(pieces, homes, grid, community, dedicated, cell_use, counts)
    grids = np.unique(grid[np.isin(community, chosen)])
    members = [np.flatnonzero(grid == g) for g in grids]
    wanted = [
        int(np.clip(round(float(homes[m].sum()) / UNIT_HOUSEHOLDS), 1, len(m))) for m in members
    ]
    done = run([(pieces.take(m), k) for m, k in zip(members, wanted, strict=True)])
    first = 0
    for m, part in zip(members, done, strict=True):
        unit[m] = first + part
        first += int(part.max()) + 1
    return unit


def _with_units(
    pieces: Pieces,
    homes: Floats,
    grid: Ints,
    community: Ints,
    dedicated: Array,
    cell_use: Array,
    counts: Counts,
) -> Ints:
    """Communities that are divided further: lived in everywhere, some old and some of villages."""
    n = counts.communities
    lived = np.bincount(community, weights=homes, minlength=n)
    open_ground = np.bincount(
        community, weights=np.where(homes > 0, 0.0, pieces.area_m2), minlength=n
    )
    houses = np.bincount(
        community, weights=np.where(cell_use == Use.HOUSES, homes, 0.0), minlength=n
    )
    slabs = np.bincount(community, weights=np.where(cell_use == Use.SLABS, homes, 0.0), minlength=n)
    bare = open_ground / np.bincount(community, weights=pieces.area_m2, minlength=n)
    bare = bare + np.isin(np.arange(n), community[dedicated[grid]])
    village = houses / np.maximum(lived, 1.0)
    dense = np.argsort(bare - slabs / np.maximum(lived, 1.0), kind="stable")
    rural = np.argsort(bare + np.abs(village - 0.6), kind="stable")
    picked: list[int] = []
    for turn in range(counts.with_units):
        order = dense if turn % 2 == 0 else rural
        picked.append(next(int(c) for c in order if c not in picked))
    return np.array(picked, dtype=np.int64)


def _assemble(cells: Array, borders: Borders, levels: list[Ints], themes: dict[int, str]) -> Net:
    """Give all groups numbers from the top, siblings from the north-west, and colour them."""
    rows: dict[str, list[Any]] = {"level": [], "parent": [], "number": [], "shape": []}
    theme: list[str] = []
    above = np.full(len(cells), -1, dtype=np.int64)
    leaf = above.copy()
    for depth, of_cell in enumerate(levels, start=1):
        inside = of_cell >= 0
        groups, index = np.unique(of_cell[inside], return_inverse=True)
        cell_number = np.flatnonzero(inside)
        members = np.split(
            cell_number[np.argsort(index, kind="stable")], np.cumsum(np.bincount(index))[:-1]
        )
        shapes = np.array([shapely.coverage_union_all(cells[m]) for m in members])
        parent = above[cell_number[np.unique(index, return_index=True)[1]]]
        order, number = _numbered(shapes, parent)
        row = np.empty(len(groups), dtype=np.int64)
        row[order] = len(rows["level"]) + np.arange(len(groups))
        rows["level"] += [depth] * len(groups)
        rows["parent"] += parent[order].tolist()
        rows["number"] += number.tolist()
        rows["shape"] += list(shapes[order])
        theme += [themes.get(int(g), "") if depth == 3 else "" for g in groups[order]]
        above = above.copy()
        above[cell_number] = row[index]
        leaf[cell_number] = row[index]
    level = np.array(rows["level"], dtype=np.int64)
    parents = np.array(rows["parent"], dtype=np.int64)
    names = np.array(theme, dtype=object)
    return Net(
        cell_leaf=leaf,
        level=level,
        parent=parents,
        kind=np.where(names == "", "basic", "dedicated").astype(object),
        theme=names,
        number=np.array(rows["number"], dtype=np.int64),
        colour=_colours(leaf, level, parents, borders),
        shape=np.array(rows["shape"], dtype=object),
    )


def _numbered(shapes: Array, parent: Ints) -> tuple[Ints, Ints]:
    """Order groups by parent and then as codes are numbered; return order and number from 1."""
    order: list[int] = []
    number: list[int] = []
    for above in np.unique(parent):
        mine = np.flatnonzero(parent == above)
        turn = numbering_order(gpd.GeoSeries(shapes[mine], crs=METRE_SRID), mine.tolist())
        order += mine[turn].tolist()
        number += list(range(1, len(mine) + 1))
    return np.array(order, dtype=np.int64), np.array(number, dtype=np.int64)


def _colours(leaf: Ints, level: Ints, parent: Ints, borders: Borders) -> Ints:
    """Colour each level so that neighbours differ; units differ from neighbouring leaves too."""
    deepest = int(level.max())
    rows = [leaf]
    for depth in range(deepest, 1, -1):
        row = rows[0]
        rows.insert(0, np.where(level[row] == depth, parent[row], row))
    colour = np.zeros(len(level), dtype=np.int64)
    for depth in range(1, deepest + 1):
        mine, seen = level == depth, [rows[depth - 1]]
        if deepest > UNIT_LEVEL - 1 and depth == UNIT_LEVEL - 1:
            mine, seen = mine | (level == UNIT_LEVEL), [*seen, leaf]
        elif depth == UNIT_LEVEL:
            continue
        colour[mine] = colours(_neighbours(seen, mine, borders))
    return colour


def _neighbours(rows: list[Ints], mine: NDArray[np.bool_], borders: Borders) -> Adjacency:
    """Return which of the rows of the net that are `mine` border each other in any of `rows`."""
    index = np.cumsum(mine) - 1
    a = np.concatenate([row[borders.a] for row in rows])
    b = np.concatenate([row[borders.b] for row in rows])
    kept = (a != b) & mine[a] & mine[b]
    a, b = index[a[kept]], index[b[kept]]
    length = np.tile(borders.length_m, len(rows))[kept]
    count = int(mine.sum())
    pair, inverse = np.unique(np.minimum(a, b) * count + np.maximum(a, b), return_inverse=True)
    return Adjacency(count, pair // count, pair % count, totals(inverse, length))
