"""Names of grids and blocks; streets, barriers, compounds and buildings as frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely.ops import substring

from geo.dataset import shaped
from geo.demo import names
from geo.demo.fill import Block, Filled, buildable
from geo.demo.ground import METRE_SRID, STREETS, Ground
from geo.demo.hierarchy import Net
from geo.demo.landuse import COMPOUND_USES, Use

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]
Rng = np.random.Generator

#: Where the middle of the city lies in EPSG:4549: open sea at 120.2 E, 38.6 N.
ORIGIN: Final = (517_400.0, 4_273_600.0)
DEDICATED_NAMES: Final = {"park": "公园", "school": "学校", "hospital": "医院", "works": "工业园"}
COMMUNITY_TYPES: Final = ("commodity", "old", "resettled", "seasonal")
GATE_M: Final = 8.0
WALL_BACK_M: Final = 2.6


def moved(shapes: Array) -> Array:
    """Move geometries from the city's own origin to EPSG:4549; exact, as coordinates are in mm."""
    return np.asarray(
        shapely.transform(shapes, lambda points: np.round(points + np.array(ORIGIN), 3)),
        dtype=object,
    )


@dataclass(frozen=True)
class Labels:
    """Names: of the rows of the net, of blocks, and what each block's community is called."""

    grid: list[str]
    block: list[str]
    block_community: list[str]
    community_row: Ints


def name_places(
    net: Net, ground: Ground, uses: Array, cell_block: Ints, homes: Floats, rng: Rng
) -> Labels:
    """Name sub-districts, communities, grids, units, and what stands on each block.

    Parameters
    ----------
    net : Net
    ground : Ground
    uses : ndarray of Use, shape (blocks,)
    cell_block : ndarray of int, shape (cells,)
    homes : ndarray, shape (cells,)
        Households of each cell.
    rng : numpy.random.Generator
    """
    row = net.cell_leaf.copy()
    for _ in range(2):
        row = np.where(net.level[row] > 2, net.parent[row], row)
    count = len(net.level)
    total = np.bincount(row, weights=homes, minlength=count)
    in_houses = np.where(uses[cell_block] == Use.HOUSES, homes, 0.0)
    rural = np.bincount(row, weights=in_houses, minlength=count) > 0.6 * total
    streets = names.unique(rng, names.FIRST, names.SECOND, names.SUBDISTRICTS)
    towns = names.unique(rng, names.FIRST, names.SECOND, tuple(names.COMMUNITIES))
    themes = names.unique(rng, names.FIRST, names.SECOND, ())
    grid: list[str] = []
    for level, number, theme, village in zip(net.level, net.number, net.theme, rural, strict=True):
        if level == 1:
            grid.append(next(streets) + "街道")
        elif level == 2:
            grid.append(next(towns) + ("村" if village else "社区"))
        elif level == 3:
            dedicated = f"{next(themes)}{DEDICATED_NAMES[theme]}网格" if theme else ""
            grid.append(dedicated or f"第{number}网格")
        else:
            grid.append(f"{number:02d}微网格")
    community = np.zeros(len(ground.blocks), dtype=np.int64)
    community[cell_block] = row
    base = [grid[c].removesuffix("社区").removesuffix("村") for c in community]
    return Labels(grid, _name_blocks(uses, base, rng), base, community)


def _name_blocks(uses: Array, base: list[str], rng: Rng) -> list[str]:
    """Say what each block is called; residential compounds get their name with the compound."""
    fresh = names.unique(rng, names.FIRST, names.SECOND, ())
    given = []
    for use, community in zip(uses, base, strict=True):
        kind = {
            Use.SHOPS: str(rng.choice(["商场", "市场", "广场", "商业街"])),
            Use.OFFICES: str(rng.choice(["大厦", "中心", "办公楼"])),
            Use.FACTORY: str(rng.choice(names.WORKS)),
            Use.SCHOOL: str(rng.choice(["小学", "中学", "幼儿园", "职业学院"])),
            Use.HOSPITAL: "医院",
            Use.PARK: "公园",
            Use.FIELD: "农场",
        }.get(use)
        given.append(f"{next(fresh)}{kind}" if kind else community)
    return given


def streets_frame(ground: Ground, labels: Labels, uses: Array, rng: Rng) -> gpd.GeoDataFrame:
    """Return the noded street network."""
    built = np.flatnonzero(np.isin(ground.kind, STREETS))
    name_of = _street_names(ground, built, labels, uses, rng)
    named = np.array([name_of.get(int(s), "") for s in ground.street], dtype=object)
    kind = np.where(ground.kind[built] == "promenade", "path", ground.kind[built])
    ends = np.concatenate([ground.from_node[built], ground.to_node[built]])
    _, node = np.unique(ends, return_inverse=True)
    return shaped(
        "streets",
        {
            "street_id": np.arange(1, len(built) + 1),
            "name": named[built],
            "kind": kind,
            "from_node": node[: len(built)] + 1,
            "to_node": node[len(built) :] + 1,
            "geometry": moved(ground.edges[built]),
        },
        METRE_SRID,
    )


def _street_names(
    ground: Ground, built: Ints, labels: Labels, uses: Array, rng: Rng
) -> dict[int, str]:
    """Name each street: avenues, roads and lanes; lanes of a village are numbered."""
    fresh = names.unique(rng, names.FIRST, names.SECOND, ())
    order = built[np.lexsort((-ground.length_m[built], ground.street[built]))]
    _, first = np.unique(ground.street[order], return_index=True)
    lanes: dict[str, int] = {}
    given: dict[int, str] = {}
    for edge in order[first]:
        street, kind = int(ground.street[edge]), str(ground.kind[edge])
        ends = shapely.get_coordinates(ground.edges[edge])[[0, -1]]
        across = abs(ends[1, 0] - ends[0, 0]) > abs(ends[1, 1] - ends[0, 1])
        block = int(ground.left[edge] if ground.left[edge] >= 0 else ground.right[edge])
        if kind == "promenade":
            given[street] = f"{river_name(street)}步道"
        elif kind == "arterial":
            given[street] = next(fresh) + ("大街" if across else "大道")
        elif kind == "collector":
            given[street] = next(fresh) + ("街" if across else "路")
        elif kind == "path" and uses[block] == Use.HOUSES:
            town = labels.block_community[block]
            lanes[town] = lanes.get(town, 0) + 1
            number = names.chinese_number(lanes[town]) if lanes[town] < 100 else lanes[town]
            given[street] = f"{town}{number}巷"
        else:
            given[street] = next(fresh) + ("巷" if kind == "path" else "街" if across else "路")
    return given


def river_name(river: int) -> str:
    """Return the name of a river by its number, the main one first."""
    known = ("龙溪河", "柳溪", "鹭江", "竹溪", "云川")
    return known[river] if river < len(known) else f"{river}号渠"


def barriers_frame(
    ground: Ground, uses: Array, walls: list[tuple[str, Any]], rng: Rng
) -> gpd.GeoDataFrame:
    """Rivers as polygons, ponds in parks, railway and walls as lines."""
    rows: list[tuple[str, str | None, Any]] = []
    for river in range(int(ground.river.max()) + 1):
        reach = shapely.coverage_union_all(ground.blocks[ground.river == river])
        rows += [("river", river_name(river), part) for part in shapely.get_parts(reach)]
    parks = np.flatnonzero(uses == Use.PARK)
    size = shapely.area(ground.blocks[parks])
    for block in parks[np.argsort(-size, kind="stable")][: max(1, len(uses) // 280)]:
        ends = shapely.get_coordinates(shapely.maximum_inscribed_circle(ground.blocks[block], 5.0))
        radius = 0.55 * float(np.hypot(*(ends[1] - ends[0])))
        rows.append(("water", None, _pond(ends[0], radius, rng)))
    rail = shapely.line_merge(shapely.multilinestrings(ground.edges[ground.kind == "railway"]))
    rows += [("railway", "云海铁路", part) for part in shapely.get_parts(rail)]
    rows += [("wall", name, line) for name, line in walls]
    return shaped(
        "barriers",
        {
            "barrier_id": np.arange(1, len(rows) + 1),
            "kind": [row[0] for row in rows],
            "name": [row[1] for row in rows],
            "geometry": moved(np.array([row[2] for row in rows], dtype=object)),
        },
        METRE_SRID,
    )


def _pond(centre: Floats, radius_m: float, rng: Rng) -> Any:
    angle = np.linspace(0.0, 2 * np.pi, 28, endpoint=False)
    r = radius_m * (
        0.8
        + 0.12 * np.cos(2 * angle + rng.uniform(0, 6))
        + 0.08 * np.cos(3 * angle + rng.uniform(0, 6))
    )
    return shapely.polygons(
        np.round(centre + r[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), 3)
    )


@dataclass(frozen=True)
class Compounds:
    """Compounds before they have firms: block, name, type, ground, and the walls around them."""

    block: Ints
    name: list[str]
    type: list[str]
    shape: Array
    walls: list[tuple[str, Any]]


def draw_compounds(blocks: list[Block], filled: Filled, seaside: Array, rng: Rng) -> Compounds:
    """Draw a compound on each block of apartments; most new ones have a wall with one gate.

    Parameters
    ----------
    blocks : list of Block
    filled : Filled
    seaside : ndarray of bool, shape (blocks,)
        Blocks where holiday flats stand.
    rng : numpy.random.Generator
    """
    homes = np.bincount(
        filled.cell_block[filled.building_cell], weights=filled.dwellings, minlength=len(blocks)
    )
    fresh = {
        "commodity": _compound_names(rng, names.COMPOUND_NEW),
        "old": _compound_names(rng, names.COMPOUND_OLD),
        "resettled": _compound_names(rng, ("安置小区", "新苑", "回迁小区", "社区苑")),
        "seasonal": _compound_names(rng, names.COMPOUND_HOLIDAY),
    }
    number, name, kind, shape = [], [], [], []
    walls: list[tuple[str, Any]] = []
    for block in blocks:
        if block.use not in COMPOUND_USES or homes[block.number] == 0:
            continue
        area = buildable(block, spare_m=WALL_BACK_M)
        if area is None:
            continue
        community_type = _type_of(block, bool(seaside[block.number]), rng)
        number.append(block.number)
        kind.append(community_type)
        name.append(next(fresh[community_type]))
        shape.append(shapely.transform(area, lambda points: np.round(points, 3)))
        if rng.random() < (0.45 if community_type == "old" else 0.85):
            walls.append((f"{name[-1]}围墙", _wall(shape[-1], rng)))
    return Compounds(
        np.array(number, dtype=np.int64), name, kind, np.array(shape, dtype=object), walls
    )


def _compound_names(rng: Rng, endings: tuple[str, ...]) -> Iterator[str]:
    return names.unique(rng, names.COMPOUND_FIRST, list(endings), ())


def _type_of(block: Block, seaside: bool, rng: Rng) -> str:
    if seaside and block.use is not Use.OLD_SLABS:
        return "seasonal"
    if block.use is Use.OLD_SLABS:
        return "old" if rng.random() < 0.92 else "resettled"
    return "resettled" if rng.random() < 0.16 else "commodity"


def _wall(shape: Any, rng: Rng) -> Any:
    """Return the ring of a compound, open at a gate on its longest side."""
    points = shapely.get_coordinates(shape.exterior)
    side = int(np.argmax(np.hypot(*np.diff(points, axis=0).T)))
    turned = np.vstack([points[side:-1], points[: side + 1]])
    gate = float(np.hypot(*(turned[1] - turned[0]))) * rng.uniform(0.35, 0.65)
    ring = shapely.linestrings(np.vstack([turned, turned[1:2]]))
    length = shapely.length(shape.exterior)
    open_ring = substring(ring, gate + GATE_M / 2, gate + length - GATE_M / 2)
    return shapely.transform(open_ring, lambda points: np.round(points, 3))


def buildings_frame(
    filled: Filled, homes: Ints, labels: Labels, compounds: Compounds, county_code: str
) -> gpd.GeoDataFrame:
    """Return the buildings with code and name; households as in the base vintage."""
    called = list(labels.block)
    for block, name in zip(compounds.block, compounds.name, strict=True):
        called[int(block)] = name
    of_block = filled.cell_block[filled.building_cell]
    n = len(of_block)
    group = pd.Series(np.array(called, dtype=object)[of_block])
    place = group.groupby(group).cumcount() + 1
    house = (filled.use == "residential") & ~np.isin(of_block, compounds.block)
    ending = np.where(house, "号", "号楼")
    return shaped(
        "buildings",
        {
            "building_id": np.arange(1, n + 1),
            "cell_id": filled.building_cell + 1,
            "code": [f"{county_code}{i:07d}" for i in range(1, n + 1)],
            "name": [f"{g}{p}{e}" for g, p, e in zip(group, place, ending, strict=True)],
            "use": filled.use,
            "floors": filled.floors,
            "entrances": filled.entrances,
            "households": homes,
            "geometry": moved(filled.buildings),
        },
        METRE_SRID,
    )
