"""Random redrawing in memory: moves, splits, cuts, polylines, drags, undo; the net stays whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from geo.errors import WanggeError
from geo.redraw.scene import GridFacts
from geo.topology import adjacency, contiguous_parts
from proofs.claims import Claim, Say
from proofs.memory import MemoryCity, Step, exact_area
from tests.coverages import METRE_SRID, lattice, nearest_labels, voronoi

SEEDS: Final = 5
OPERATIONS: Final = 10_000
A_CITY: Final = 400
"""Operations before the next city is begun."""
MOST_CELLS: Final = 700
WHOLE_EVERY: Final = 50
DRIFT: Final = 1e-12
PIECES_M2: Final = 1e-6

Rng = np.random.Generator
Floats = NDArray[np.float64]
BACK = Transformer.from_crs(METRE_SRID, 4326, always_xy=True)


class BrokenError(AssertionError):
    """The net is not whole any more."""


def prove(effort: float = 1.0, say: Say = lambda words: None) -> list[Claim]:
    """Redraw at random: 10,000 operations on each of 5 seeds at full effort."""
    count = max(1, round(OPERATIONS * effort))
    seeds = range(SEEDS if effort >= 1 else 2)
    told: Counter[str] = Counter()
    broken: list[str] = []
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(redrawn, seed, count): seed for seed in seeds}
        for number, done in enumerate(as_completed(waiting), start=1):
            say(f"{number} of {len(waiting)} seeds")
            counted, faults = done.result()
            told += counted
            broken += faults
    return claims(told, broken, f"{count} x {len(seeds)} seeds")


def claims(told: Counter[str], broken: list[str], size: str) -> list[Claim]:
    """Say what was found."""
    kinds = {name: n for name, n in sorted(told.items()) if not name.startswith(("_", "refused"))}
    refused = sum(n for name, n in told.items() if name.startswith("refused"))
    listed = ", ".join(f"{name} {n:,}" for name, n in kinds.items())
    return [
        Claim(
            f"{size}: any sequence of edits leaves a whole net",
            f"{len(broken)} invalid of {sum(kinds.values()):,} ({listed}; {refused:,} refused);"
            f" {told['_whole']:,} looks at whole cities"
            + "".join(f"; {one}" for one in broken[:5]),
            not broken,
        ),
    ]


def redrawn(
    seed: int, count: int, progress: Callable[[int], None] = lambda done: None
) -> tuple[Counter[str], list[str]]:
    """Do `count` random operations; return how many of each kind, and every fault found."""
    rng = np.random.default_rng(seed)
    told: Counter[str] = Counter()
    faults: list[str] = []
    done = 0
    while done < count:
        try:
            for name in _life(rng, min(A_CITY, count - done), told):
                told[name] += 1
                done += not name.startswith(("refused", "_"))
                progress(done)
        except BrokenError as error:
            faults.append(f"seed {seed}, operation {done}: {error}")
            done += 1
    return told, faults


def made_up(rng: Rng) -> MemoryCity:
    """Return a city of random cells with about 14 grids in 3 communities."""
    kind = rng.integers(3)
    seed = int(rng.integers(2**31))
    if kind == 0:
        cells = lattice(int(rng.integers(8, 16)), int(rng.integers(8, 16)), side_m=80.0)
    else:
        cells = voronoi(int(rng.integers(80, 220)), seed=seed, bends=int(rng.integers(0, 3)))
    cells.index = pd.Index(range(1, len(cells) + 1))
    labels = nearest_labels(cells, int(rng.integers(6, 16)), seed=seed)
    near = adjacency(cells)
    owners = labels + 10
    parts = contiguous_parts(owners, near).counts
    middles = shapely.get_coordinates(shapely.centroid(cells.to_numpy()))
    easting = pd.Series(middles[:, 0]).groupby(owners.to_numpy()).mean()
    west = np.argsort(easting[parts.index].to_numpy())
    parent = {
        int(parts.index[row]): 1 + int(rank * 3 // len(west)) for rank, row in enumerate(west)
    }
    above = contiguous_parts(owners.map(parent), near).counts
    grids = {
        int(one): GridFacts(1, None, f"社区{one}", "basic", parts=int(n))
        for one, n in above.items()
    } | {
        int(leaf): GridFacts(2, parent[int(leaf)], f"网格{leaf}", "basic", parts=int(n))
        for leaf, n in parts.items()
    }
    return MemoryCity(cells, owners, grids)


def _life(rng: Rng, count: int, told: Counter[str]) -> Iterator[str]:
    """Yield the operations done on one city, looking after each of them."""
    city = made_up(rng)
    first, area = city.vertices(), city.area()
    done = 0
    for attempt in range(count * 20):
        name, faults = _operation(rng, city)
        if name.startswith("refused"):
            yield name
            continue
        done += 1
        told["_near"] += 1
        if not faults and done % WHOLE_EVERY == 0:
            faults = _whole(city, first, area)
            told["_whole"] += 1
        if faults:
            raise BrokenError(f"{name}: {'; '.join(faults)}")
        yield name
        if done >= count or len(city.cells) > MOST_CELLS or attempt > count * 15:
            break
    faults = _whole(city, first, area)
    told["_whole"] += 1
    if faults:
        raise BrokenError("; ".join(faults))


def _whole(city: MemoryCity, first: set[tuple[float, float]], area: Any) -> list[str]:
    """Return what is wrong with a city, recomputed from all its cells."""
    found = city.faults()
    if not first <= city.vertices():
        found.append("an old vertex has moved")
    drift = abs(city.area() - area) / area
    if drift > DRIFT:
        found.append(f"the area drifted by {float(drift):.1e} of it")
    shapes = city.series(city.cells)
    near = adjacency(shapes)
    owners = pd.Series([city.owners[cell] for cell in shapes.index], index=shapes.index)
    top = owners.map(lambda leaf: city.grids[leaf].parent or leaf)
    for labels in (owners, top):
        for grid, parts in contiguous_parts(labels, near).counts.items():
            facts = city.grids[int(str(grid))]
            if facts.ended or (facts.kind != "reserve" and parts > facts.parts):
                found.append(f"grid {grid} has {parts} parts, {facts.parts} allowed")
    live = {grid for grid, facts in city.grids.items() if not facts.ended and facts.level == 2}
    if live - set(owners.unique().tolist()):
        found.append("a grid is empty")
    return found


def _operation(rng: Rng, city: MemoryCity) -> tuple[str, list[str]]:
    """Try one random operation; return its name and what it broke nearby."""
    name, wish = _wish(rng, city)
    stood = (dict(city.cells), dict(city.owners), dict(city.grids))
    if name == "undo":
        undone = city.undo()
        if undone is None:
            return "refused undo", []
        return ("undo of a cut" if undone.olds else "undo"), _undone(city, undone)
    try:
        step = city.edit(*wish)
    except WanggeError as error:
        if (city.cells, city.owners, city.grids) != stood:
            return name, ["a refused edit has left something"]
        return f"refused {error.code}", []
    named = "cut" if step.olds and name.endswith("exactly") else name
    return f"{named} ({wish[0]})" if named == "cut" else named, _near(city, step)


def _near(city: MemoryCity, step: Step) -> list[str]:
    """Return what an edit broke around it; the pieces of each cell are measured exactly."""
    if not step.olds:
        return []
    found = city.faults(list(step.pieces))
    for cell, shape in step.olds.items():
        own = [piece for piece, old in step.pieces.items() if old == cell]
        off = abs(sum(exact_area(city.cells[piece]) for piece in own) - exact_area(shape))
        if off > PIECES_M2:
            found.append(f"the pieces of a cell are {float(off):.1e} m2 off")
    return found


def _undone(city: MemoryCity, step: Step) -> list[str]:
    if not step.olds:
        return []
    found = city.faults(list(step.olds))
    for cell, shape in step.olds.items():
        old, now = (set(map(tuple, shapely.get_coordinates(one).tolist()))
                    for one in (shape, city.cells[cell]))  # fmt: skip
        if not old <= now or abs(exact_area(shape) - exact_area(city.cells[cell])) > PIECES_M2:
            found.append("a cell did not come back as it was")
    return found


# ---- what is wished at random --------------------------------------------------------------------

WEIGHTS: Final = {
    "move": 20, "split along": 8, "split exactly": 14, "drag along": 8, "drag exactly": 14,
    "merge": 9, "split": 5, "draw": 4, "release": 2, "end": 2, "reparent": 3, "rename": 1,
    "undo": 14,
}  # fmt: skip


def _wish(rng: Rng, city: MemoryCity) -> tuple[str, tuple[str, dict[str, Any]]]:
    names = list(WEIGHTS)
    share = np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values())
    name = str(rng.choice(names, p=share))
    cell = int(rng.choice(list(city.owners)))
    grid = city.owners[cell]
    other_cell, other = _neighbour(rng, city, cell, grid)
    patch = _patch(rng, city, cell, grid)
    match name.split()[0]:
        case "move":
            return name, ("move", {"cells": patch, "into": other})
        case "merge":
            return name, ("merge", {"grids": sorted({grid, other}), "into": other})
        case "draw":
            parent = city.grids[grid].parent
            return name, ("draw", {"cells": patch, "name": "新", "parent": parent})
        case "release":
            return name, ("release", {"cells": patch})
        case "end":
            return name, ("end", {"grid": grid, "into": other})
        case "reparent":
            return name, ("reparent", {"grid": grid, "parent": int(rng.integers(1, 4))})
        case "rename":
            return name, ("rename", {"grid": grid, "name": f"名{rng.integers(1000)}"})
    exactly = {"exact": True} if name.endswith("exactly") else {}
    if name == "split":
        return name, ("split", {"grid": grid, "parts": [patch]})
    if name.startswith("split"):
        line = _line(rng, city, [grid], cell)
        return name, ("split_by_line", {"grid": grid, "line": line, **exactly})
    if name.startswith("drag"):
        line = _line(rng, city, [grid, other], other_cell)
        return name, ("drag", {"grids": sorted({grid, other}), "line": line, **exactly})
    return name, ("undo", {})


def _neighbour(rng: Rng, city: MemoryCity, cell: int, grid: int) -> tuple[int, int]:
    """Return a cell of another grid beside a cell's grid, and that grid."""
    own = [one for one, owner in city.owners.items() if owner == grid]
    around = [one for one in city.beside(own).index if city.owners[one] != grid]
    if not around:
        return cell, grid
    other = int(rng.choice(around))
    return other, city.owners[other]


def _patch(rng: Rng, city: MemoryCity, cell: int, grid: int) -> list[int]:
    near = [int(one) for one in city.beside([cell]).index if city.owners[one] == grid]
    rng.shuffle(near)
    return sorted({cell, *near[: int(rng.integers(0, 4))]})


def _line(rng: Rng, city: MemoryCity, grids: list[int], cell: int) -> dict[str, Any]:
    """Return a line across grids: at random, through vertices, along edges, a polyline."""
    own = [one for one, owner in city.owners.items() if owner in grids]
    ground = shapely.coverage_union_all([city.cells[one] for one in own])
    west, south, east, north = ground.bounds
    reach = np.hypot(east - west, north - south)
    middle = shapely.get_coordinates(shapely.point_on_surface(city.cells[cell]))[0]
    angle = rng.uniform(0, np.pi)
    ahead = np.array([np.cos(angle), np.sin(angle)])
    corners = shapely.get_coordinates(city.cells[cell])
    match int(rng.integers(5)):
        case 0:
            places = [middle - reach * ahead, middle + reach * ahead]
        case 1:
            one, two = corners[rng.choice(len(corners), 2)] + rng.normal(0, 0.4, (2, 2))
            way = (two - one) / max(float(np.hypot(*(two - one))), 1e-9)
            places = [one - reach * way, two + reach * way]
        case 2:
            at = int(rng.integers(len(corners) - 1))
            one, two = corners[at], corners[at + 1]
            way = (two - one) / max(float(np.hypot(*(two - one))), 1e-9)
            aside = np.array([-way[1], way[0]]) * rng.uniform(-1.2, 1.2)
            places = [one - reach * way, one + aside, two + aside, two + reach * way]
        case 3:
            bends = middle + rng.normal(0, 40, (int(rng.integers(1, 6)), 2))
            bends = bends[np.argsort(bends @ ahead)]
            places = [middle - reach * ahead, *bends, middle + reach * ahead]
        case _:
            bends = corners[rng.choice(len(corners), 2)] + rng.normal(0, 0.3, (2, 2))
            bends = bends[np.argsort(bends @ ahead)]
            places = [middle - reach * ahead, *bends, middle + reach * ahead]
    degrees = np.column_stack(BACK.transform(*np.array(places).T))
    return {"type": "LineString", "coordinates": degrees.tolist()}
