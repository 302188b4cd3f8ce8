"""Buildings of a block and the cells of ground around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import geopandas as gpd
import momepy
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.demo.landuse import COMPOUND_USES, Use

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]
Rng = np.random.Generator

#: Distance from the middle of a line to the fronts of buildings, in metres.
SETBACK_M: Final = {
    "arterial": 17.0,
    "collector": 11.5,
    "local": 7.5,
    "path": 4.2,
    "promenade": 15.0,
    "railway": 20.0,
    "outline": 7.0,
    "wall": 3.2,
}
#: Villages stand nearer to their streets.
VILLAGE_SETBACK: Final = 0.72
#: Depth of a row of shops in front of an estate, and the yard behind it.
SHOP_M: Final = 9.0
SHOP_YARD_M: Final = 6.5
SHOP_FRONT_M: Final = 12.5
SHRINK_M: Final = 0.4
#: Distance between blocks that are tessellated together.
APART_M: Final = 6_000.0


@dataclass(frozen=True)
class Block:
    """A block to be filled: its ground, the lines around it with their kinds, and its use."""

    number: int
    ground: Any
    lines: Array
    kinds: tuple[str, ...]
    use: Use


@dataclass
class Filled:
    """Cells and buildings of some blocks; `building_cell` indexes `cells`."""

    cells: Array
    cell_block: Ints
    buildings: Array
    building_cell: Ints
    use: Array
    floors: Ints
    entrances: Ints
    dwellings: Ints


@dataclass(frozen=True)
class _Rows:
    """Rectangles in the block's own axes: corner, size, and what each one is."""

    x: Floats
    y: Floats
    width: Floats
    depth: Floats
    use: Array
    floors: Ints
    entrances: Ints
    dwellings: Ints


@dataclass(frozen=True)
class _Built:
    """Buildings that stand on a block."""

    block: Block
    shapes: Array
    use: Array
    floors: Ints
    entrances: Ints
    dwellings: Ints
    segment_m: float


def fill_blocks(blocks: list[Block], seed: int) -> Filled:
    """Fill blocks with buildings and give each building its cell.

    Each block draws from its own stream of chance, so that the result does not depend on how
    many processes share the lists of blocks.

    Parameters
    ----------
    blocks : list of Block
        Ground in metres near the origin.
    seed : int
        Seed of the city.

    Returns
    -------
    Filled
        Cells cover the blocks; they share borders but not yet all vertices (see
        `geo.demo.cells`).
    """
    built = [_build(block, np.random.default_rng([seed, 2, block.number])) for block in blocks]
    cells: dict[int, Array] = {}
    for segment_m in sorted({each.segment_m for each in built}):
        several = [b for b in built if b.segment_m == segment_m and len(b.shapes) > 1]
        for each, own in zip(several, _tessellate(several, segment_m), strict=True):
            cells[each.block.number] = own
    return joined([_filled(each, cells.get(each.block.number)) for each in built])


def _filled(built: _Built, cells: Array | None) -> Filled:
    """Put buildings and cells of a block together; without a tessellation it is one cell."""
    if cells is None:
        cells = np.array([built.block.ground], dtype=object)
    return Filled(
        cells=cells,
        cell_block=np.full(len(cells), built.block.number, dtype=np.int64),
        buildings=built.shapes,
        building_cell=np.arange(len(built.shapes), dtype=np.int64),
        use=built.use,
        floors=built.floors,
        entrances=built.entrances,
        dwellings=built.dwellings,
    )


def joined(parts: list[Filled]) -> Filled:
    """Put the results of several calls behind each other."""
    shift = np.cumsum([0, *(len(part.cells) for part in parts[:-1])])
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Filled)
    }
    columns["building_cell"] = np.concatenate(
        [part.building_cell + first for part, first in zip(parts, shift, strict=True)]
    )
    return Filled(**columns)


def _build(block: Block, rng: Rng) -> _Built:
    """Place the buildings of one block."""
    shops = _street_shops(block, rng)
    free = buildable(block, extra_m=SHOP_YARD_M if len(shops) else 0.0)
    rows = (None if free is None else _place(block, free, rng)) or _no_rows()
    shapes = _rectangles(rows, _angle(block.ground), rng)
    inside = shapely.covers(free, shapes)
    n = len(shops)
    return _Built(
        block=block,
        shapes=np.concatenate([shapes[inside], shops]),
        use=np.concatenate([rows.use[inside], np.full(n, "commercial", dtype=object)]),
        floors=np.concatenate([rows.floors[inside], np.full(n, 2, dtype=np.int64)]),
        entrances=np.concatenate([rows.entrances[inside], np.ones(n, dtype=np.int64)]),
        dwellings=np.concatenate([rows.dwellings[inside], np.zeros(n, dtype=np.int64)]),
        segment_m=2.0 if block.use is Use.HOUSES or block.use is Use.OLD_SLABS else 3.0,
    )


def buildable(block: Block, *, spare_m: float = 0.0, extra_m: float = 0.0) -> Any | None:
    """Ground of a block behind the building lines of its streets; None if there is none.

    Parameters
    ----------
    block : Block
    spare_m : float
        Taken off every distance to a street.
    extra_m : float
        Where positive, arterial streets are kept free for shops and this much of a yard.
    """
    factor = VILLAGE_SETBACK if block.use is Use.HOUSES else 1.0
    distance = [max(0.05, factor * SETBACK_M[kind] - spare_m) for kind in block.kinds]
    if extra_m > 0:
        behind = SHOP_FRONT_M + SHOP_M + extra_m
        distance = [
            behind if kind == "arterial" else d
            for kind, d in zip(block.kinds, distance, strict=True)
        ]
    strips = shapely.buffer(block.lines, distance, quad_segs=2)
    left = shapely.difference(block.ground, shapely.union_all(strips))
    parts = shapely.get_parts(left)
    if len(parts) == 0:
        return None
    largest = parts[int(np.argmax(shapely.area(parts)))]
    return largest if largest.geom_type == "Polygon" and largest.area > 150.0 else None


def _street_shops(block: Block, rng: Rng) -> Array:
    """Low shops along the arterial streets of half the estates."""
    none = np.empty(0, dtype=object)
    wanted = block.use in COMPOUND_USES and "arterial" in block.kinds and rng.random() < 0.55
    if not wanted or block.ground.area < 14_000.0:
        return none
    distance = [SHOP_FRONT_M - 0.5 if k == "arterial" else SETBACK_M[k] for k in block.kinds]
    strips = shapely.buffer(block.lines, distance, quad_segs=2)
    free = shapely.difference(block.ground, shapely.union_all(strips))
    shapes: list[Any] = []
    for line, kind in zip(block.lines, block.kinds, strict=True):
        if kind == "arterial":
            shapes += _along(line, block.ground, rng)
    found = np.array(shapes, dtype=object)
    kept: list[Any] = []
    for shape in found[shapely.covers(free, found)] if len(found) else []:
        if not kept or shapely.distance(np.array(kept), shape).min() > 3.0:
            kept.append(shape)
    return np.array(kept, dtype=object) if kept else none


def _along(line: Any, ground: Any, rng: Rng) -> list[Any]:
    """Boxes beside a street, on the side of `ground`."""
    length, at = shapely.length(line), rng.uniform(14.0, 24.0)
    shapes = []
    while at + 16.0 < length:
        wide = rng.uniform(16.0, 38.0)
        if at + wide > length:
            break
        a, b = shapely.get_coordinates(shapely.line_interpolate_point(line, [at, at + wide]))
        along = (b - a) / np.hypot(*(b - a))
        normal = np.array([-along[1], along[0]])
        probe = (a + b) / 2 + 15.0 * normal
        side = 1.0 if shapely.contains_xy(ground, *probe) else -1.0
        near, far = side * SHOP_FRONT_M * normal, side * (SHOP_FRONT_M + SHOP_M) * normal
        ring = np.round(np.array([a + near, b + near, b + far, a + far]), 3)
        shapes.append(shapely.polygons(ring))
        at += wide + rng.uniform(4.0, 9.0)
    return shapes


def _angle(ground: Any) -> float:
    """Direction of the block's rows, radians, between -45 and 45 degrees from the east."""
    corner = shapely.get_coordinates(shapely.oriented_envelope(ground))
    edge = corner[1] - corner[0]
    angle = float(np.arctan2(edge[1], edge[0]))
    return (angle + np.pi / 4) % (np.pi / 2) - np.pi / 4


def _turned(points: Floats, angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    turned: Floats = points @ np.array([[c, s], [-s, c]])
    return turned


def _rectangles(rows: _Rows, angle: float, rng: Rng) -> Array:
    """Rectangles as polygons on the ground; small houses stand a little askew."""
    x0, y0, x1, y1 = rows.x, rows.y, rows.x + rows.width, rows.y + rows.depth
    corners = np.stack(
        [np.column_stack(p) for p in ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))], axis=1
    )
    middle = corners[:, :4].mean(axis=1, keepdims=True)
    askew = np.where(rows.width < 15.0, rng.normal(0.0, 0.022, len(rows.x)), 0.0)
    c, s = np.cos(askew)[:, None], np.sin(askew)[:, None]
    d = corners - middle
    tilted = middle + np.stack(
        [d[..., 0] * c - d[..., 1] * s, d[..., 0] * s + d[..., 1] * c], axis=-1
    )
    placed = np.round(_turned(tilted.reshape(-1, 2), angle), 3).reshape(-1, 5, 2)
    return np.asarray(shapely.polygons(placed), dtype=object)


def _intervals(free: Any, y: Floats, depth: Floats) -> list[tuple[int, float, float]]:
    """Where a row of `depth` that begins at `y` fits: (row, from x, to x)."""
    west, _, east, _ = shapely.bounds(free)
    levels = np.concatenate([y, y + depth / 2, y + depth])
    ends = np.stack(
        [
            np.column_stack([np.full(len(levels), west - 1), levels]),
            np.column_stack([np.full(len(levels), east + 1), levels]),
        ],
        axis=1,
    )
    cut, index = shapely.get_parts(
        shapely.intersection(shapely.linestrings(ends), free), return_index=True
    )
    spans = shapely.bounds(cut)[:, [0, 2]]
    by_level: list[list[tuple[float, float]]] = [[] for _ in levels]
    for line, span in zip(index, spans, strict=True):
        by_level[int(line)].append((float(span[0]), float(span[1])))
    found = []
    for row in range(len(y)):
        common = by_level[row]
        for other in (by_level[row + len(y)], by_level[row + 2 * len(y)]):
            common = [
                (max(a, c), min(b, d)) for a, b in common for c, d in other if min(b, d) > max(a, c)
            ]
        found += [(row, a + 0.05, b - 0.05) for a, b in sorted(common)]
    return found


def _place(block: Block, free: Any, rng: Rng) -> _Rows | None:
    """Choose rows of buildings for the use of the block."""
    angle = _angle(block.ground)
    axis = shapely.transform(free, lambda points: _turned(points, -angle))
    planner = _PLANNERS.get(block.use)
    return None if planner is None else planner(axis, rng)


def _levels(free: Any, depth: float, pitch: float) -> Floats:
    """Spread rows of `depth` evenly over the height of the ground, about `pitch` apart."""
    _, south, _, north = shapely.bounds(free)
    room = north - south - depth - 0.4
    if room < 0:
        return np.empty(0)
    count = int(room // pitch) + 1
    step = min(room / (count - 1), pitch * 1.22) if count > 1 else 0.0
    first = south + 0.2 + (room - step * (count - 1)) / 2
    return np.asarray(first + step * np.arange(count), dtype=np.float64)


def _collect(parts: Sequence[tuple[float, ...]], use: str) -> _Rows | None:
    """Rows from tuples (x, y, width, depth, floors, entrances, dwellings)."""
    if not parts:
        return None
    table = np.array(parts, dtype=np.float64)
    whole = table[:, 4:].astype(np.int64)
    return _Rows(
        x=table[:, 0],
        y=table[:, 1],
        width=table[:, 2],
        depth=table[:, 3],
        use=np.full(len(table), use, dtype=object),
        floors=whole[:, 0],
        entrances=whole[:, 1],
        dwellings=whole[:, 2],
    )


def _no_rows() -> _Rows:
    none, whole = np.empty(0), np.empty(0, dtype=np.int64)
    return _Rows(none, none, none, none, np.empty(0, dtype=object), whole, whole, whole)


def _slabs(free: Any, rng: Rng, *, old: bool = False) -> _Rows | None:
    """Rows of long apartment houses facing south, 24 to 72 dwellings each."""
    depth = rng.uniform(10.5, 12.0) if old else rng.uniform(11.5, 13.5)
    floors = int(rng.choice([4, 5, 5, 6, 6])) if old else int(rng.choice([5, 6, 6, 6, 7]))
    pitch = depth + (rng.uniform(11.5, 15.0) if old else rng.uniform(17.0, 21.0))
    bay = rng.uniform(13.5, 16.0)
    wanted = int(rng.integers(2, 5)) if old else int(rng.integers(3, 6))
    gap = rng.uniform(6.5, 9.0) if old else rng.uniform(9.0, 13.0)
    least = 1 if old else 2
    y = _levels(free, depth, pitch)
    parts = []
    for row, west, east in _intervals(free, y, np.full(len(y), depth)):
        room = east - west
        count = max(1, round((room + gap) / (wanted * bay + gap)))
        bays = int((room - (count - 1) * gap) / count // bay)
        if bays < least and count > 1:
            count -= 1
            bays = int((room - (count - 1) * gap) / count // bay)
        if bays < least:
            continue
        bays = min(bays, 6)
        spare = (room - count * bays * bay) / max(count - 1, 1)
        start = west if count > 1 else west + rng.uniform(0, room - bays * bay)
        for i in range(count):
            if rng.random() < 0.03:
                continue
            x = start + i * (bays * bay + spare)
            dwellings = bays * floors * (3 if old and rng.random() < 0.2 else 2)
            parts.append((x, y[row], bays * bay, depth, floors, bays, dwellings))
    return _collect(parts, "residential")


def _old_slabs(free: Any, rng: Rng) -> _Rows | None:
    return _slabs(free, rng, old=True)


def _towers(free: Any, rng: Rng) -> _Rows | None:
    """Point towers, 60 to 200 dwellings each, staggered from row to row."""
    depth, width = rng.uniform(17.0, 21.0), rng.uniform(24.0, 33.0)
    per_floor = 4 if width < 29.5 else 6
    high = int(rng.integers(18, 34)) if per_floor == 4 else int(rng.integers(18, 31))
    pitch, gap = depth + rng.uniform(30.0, 38.0), rng.uniform(20.0, 28.0)
    y = _levels(free, depth, pitch)
    parts = []
    for row, west, east in _intervals(free, y, np.full(len(y), depth)):
        room = east - west
        count = int((room + gap) // (width + gap))
        if count == 0:
            continue
        spare = room - count * width - (count - 1) * gap
        stretch = spare / count if spare > 0.6 * width else 0.0
        start = west + (spare if row % 2 and stretch == 0.0 else 0.0)
        for i in range(count):
            floors = max(16, high - int(rng.integers(0, 5)))
            x = start + i * (width + gap) + stretch * (i + 0.5)
            parts.append((x, y[row], width, depth, floors, 1, floors * per_floor))
    return _collect(parts, "residential")


def _houses(free: Any, rng: Rng) -> _Rows | None:
    """Small houses back to back in pairs of rows, one household each, sometimes two."""
    depth = rng.uniform(8.2, 9.6)
    _, south, _, north = shapely.bounds(free)
    yard, lane = rng.uniform(2.4, 3.2), rng.uniform(4.6, 6.0)
    y_list, y, second = [], south + 0.3, False
    while y + depth < north:
        y_list.append(y)
        y += depth + (lane if second else yard)
        second = not second
    ys = np.array(y_list)
    parts = []
    for row, west, east in _intervals(free, ys, np.full(len(ys), depth)):
        x = west
        while True:
            width = rng.uniform(9.2, 13.0)
            if x + width > east:
                break
            if rng.random() > 0.07:
                deep = depth - rng.uniform(0.0, 1.6)
                up = 0.0 if row % 2 == 0 else depth - deep
                floors = int(rng.choice([1, 2, 2, 3]))
                homes = 2 if rng.random() < 0.05 else 1
                parts.append((x, ys[row] + up, width, deep, floors, 1, homes))
            x += width + rng.uniform(2.2, 4.0)
    return _collect(parts, "residential")


def _boxes(
    free: Any,
    rng: Rng,
    use: str,
    width: tuple[float, float],
    depth: tuple[float, float],
    gap: tuple[float, float],
    floors: tuple[int, int],
    skip: float = 0.0,
) -> _Rows | None:
    """Rows of larger boxes of uneven size."""
    deep = rng.uniform(*depth)
    y = _levels(free, deep, deep + rng.uniform(*gap))
    parts = []
    for row, west, east in _intervals(free, y, np.full(len(y), deep)):
        x = west
        while east - x > width[0] * 0.7:
            wide = min(rng.uniform(*width), east - x)
            if rng.random() >= skip:
                own = deep * rng.uniform(0.75, 1.0)
                up = rng.uniform(0.0, deep - own)
                high = int(rng.integers(floors[0], floors[1] + 1))
                parts.append((x, y[row] + up, wide, own, high, 1, 0))
            x += wide + rng.uniform(*gap)
    return _collect(parts, use)


def _shops(free: Any, rng: Rng) -> _Rows | None:
    return _boxes(free, rng, "commercial", (26.0, 70.0), (22.0, 38.0), (9.0, 18.0), (2, 5))


def _offices(free: Any, rng: Rng) -> _Rows | None:
    return _boxes(free, rng, "office", (28.0, 52.0), (16.0, 26.0), (18.0, 34.0), (5, 20), 0.15)


def _factory(free: Any, rng: Rng) -> _Rows | None:
    return _boxes(free, rng, "industrial", (42.0, 96.0), (26.0, 44.0), (12.0, 22.0), (1, 2), 0.12)


def _upper(free: Any, share: float) -> Any:
    """Return the northern `share` of the ground: the rest is a sports field or a yard."""
    west, south, east, north = shapely.bounds(free)
    half = shapely.intersection(
        free, shapely.box(west, north - share * (north - south), east, north)
    )
    parts = shapely.get_parts(half)
    return parts[int(np.argmax(shapely.area(parts)))]


def _school(free: Any, rng: Rng) -> _Rows | None:
    north = _upper(free, rng.uniform(0.5, 0.62))
    return _boxes(north, rng, "education", (40.0, 66.0), (13.0, 17.0), (16.0, 24.0), (3, 5), 0.1)


def _hospital(free: Any, rng: Rng) -> _Rows | None:
    north = _upper(free, 0.75)
    return _boxes(north, rng, "medical", (38.0, 70.0), (18.0, 26.0), (16.0, 26.0), (4, 15), 0.15)


def _park(free: Any, rng: Rng) -> _Rows | None:
    """Mostly nothing, sometimes a pavilion."""
    if free.area < 8_000.0 or rng.random() < 0.4:
        return None
    place = shapely.point_on_surface(free)
    size = rng.uniform(8.0, 16.0)
    return _collect([(place.x - size / 2, place.y - size / 2, size, size * 0.8, 1, 1, 0)], "public")


def _field(free: Any, rng: Rng) -> _Rows | None:
    """Open ground; one in three has a few sheds."""
    if rng.random() < 0.66:
        return None
    return _boxes(free, rng, "industrial", (22.0, 46.0), (9.0, 12.0), (60.0, 140.0), (1, 1), 0.5)


_PLANNERS: Final = {
    Use.SLABS: _slabs,
    Use.OLD_SLABS: _old_slabs,
    Use.TOWERS: _towers,
    Use.HOUSES: _houses,
    Use.SHOPS: _shops,
    Use.OFFICES: _offices,
    Use.FACTORY: _factory,
    Use.SCHOOL: _school,
    Use.HOSPITAL: _hospital,
    Use.PARK: _park,
    Use.FIELD: _field,
}


def _tessellate(built: list[_Built], segment_m: float) -> list[Array]:
    """Tessellate blocks around their buildings.

    Morphological tessellation (Fleischmann et al. 2020) as in momepy. The blocks are moved far
    apart first, so that one call serves many and none feels its neighbours' buildings; scraps
    that clipping tore off a cell go to the neighbour with the longest border.
    """
    if not built:
        return []
    far = [APART_M * number - shapely.bounds(b.block.ground)[0] for number, b in enumerate(built)]
    count = np.array([len(b.shapes) for b in built])
    shift = np.repeat(far, count)
    buildings = _shifted(np.concatenate([b.shapes for b in built]), shift)
    grounds = _shifted(np.array([b.block.ground for b in built], dtype=object), np.array(far))
    tessellation = momepy.morphological_tessellation(
        gpd.GeoSeries(buildings),
        clip=shapely.multipolygons(grounds),
        shrink=SHRINK_M,
        segment=segment_m,
    ).geometry
    if len(tessellation) != len(buildings):
        raise AssertionError("a building has no cell: buildings overlap")
    cells = np.split(_shifted(tessellation.sort_index().to_numpy(), -shift), np.cumsum(count)[:-1])
    return [
        own if (shapely.get_type_id(own) == 3).all() else _mended(own, b.shapes)
        for own, b in zip(cells, built, strict=True)
    ]


def _shifted(shapes: Array, east_m: Floats) -> Array:
    """Move each shape east by its own distance."""
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    points[:, 0] += np.asarray(east_m)[owner]
    return np.asarray(shapely.set_coordinates(shapes.copy(), points), dtype=object)


def _mended(cells: Array, buildings: Array) -> Array:
    """Make each cell one polygon: the part on which its building stands."""
    parts, owner = shapely.get_parts(cells, return_index=True)
    polygonal = shapely.get_type_id(parts) == 3
    parts, owner = parts[polygonal], owner[polygonal]
    built = shapely.area(shapely.intersection(parts, buildings[owner]))
    main = np.zeros(len(parts), dtype=bool)
    for cell in range(len(cells)):
        of_cell = np.flatnonzero(owner == cell)
        main[of_cell[int(np.argmax(built[of_cell]))]] = True
    whole, scraps = parts[main].copy(), list(parts[~main])
    while scraps:  # the one with the longest border first: some lie behind other scraps
        reach = shapely.buffer(np.array(scraps, dtype=object), 0.05)
        border = shapely.area(shapely.intersection(reach[:, None], whole[None, :]))
        first, keeper = np.unravel_index(int(np.argmax(border)), border.shape)
        scrap = shapely.buffer(scraps.pop(int(first)), 0.002, join_style="mitre")
        whole[keeper] = shapely.union(scrap, whole[keeper])
    return np.asarray(whole, dtype=object)
