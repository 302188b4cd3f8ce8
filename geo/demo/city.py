"""The demo city: one seed, one city, down to the last row."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.dataset import HOUSEHOLDS, CityDataset, shaped
from geo.demo import lives, office, people, places, requests, stations
from geo.demo.addresses import addresses_frame
from geo.demo.cells import as_coverage, borders_of
from geo.demo.days import UNTIL, Days
from geo.demo.division import Pieces, divide, totals
from geo.demo.fill import Block, Filled, fill_blocks, joined
from geo.demo.ground import METRE_SRID, Ground, bend, stretched
from geo.demo.hierarchy import Counts, Net, build_net
from geo.demo.landuse import Use, stretch, uses_of
from geo.demo.layout import draw_board, draw_waves
from geo.demo.requests import Truth
from geo.profiles import Profile, load_profile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]
Progress = Callable[[str, float], None]

COUNTY_CODE: Final = "990101"
EFFECTIVE_FROM: Final = date(2026, 1, 1)
COUNTED_ON: Final = (date(2026, 1, 1), date(2026, 7, 20))
SUBDISTRICTS_PER_GRID: Final = 5 / 454
COMMUNITIES_PER_GRID: Final = 39 / 454
HOUSEHOLDS_PER_GRID: Final = 230_000 / 454
BUILDINGS_PER_GRID: Final = 48_000 / 454
RIM_BUILDINGS: Final = 70
"""What a small city needs on top, as the blocks that its outline cuts hold less."""
#: Communities with units, for each community.
UNITS_PER_COMMUNITY: Final = 2 / 39
OUT_OF_SEASON: Final = 0.5
#: Blocks narrower than this (4 pi area / border^2) hold no buildings.
THIN: Final = 0.22
CHUNK: Final = 24
SPAWN_FROM: Final = 200
"""Blocks from which several processes are worth their start."""


@dataclass(frozen=True)
class Size:
    """How large a demo city is."""

    slug: str
    name: str
    name_en: str
    grids: int
    issues: int


SIZES: Final = {
    "full": Size("demo", "示范市", "Demo City", 454, 118_000),
    "small": Size("demo-small", "示范社区", "Demo Neighbourhood", 12, 3_500),
}


def generate(
    seed: int = 1,
    size: Literal["full", "small"] = "full",
    *,
    grids: int | None = None,
    issues: int | None = None,
    until: date = UNTIL,
    progress: Progress | None = None,
    processes: int | None = None,
) -> CityDataset:
    """Make the demo city.

    Parameters
    ----------
    seed : int, default 1
        Same seed and counts, same rows, whatever the number of processes.
    size : {"full", "small"}
        A city of 5 sub-districts, 39 communities and 454 grids with 118,000 issues, or one
        community of 12 grids with 3,500.
    grids, issues : int, optional
        Other counts; at least 12 grids.
    until : date, default `geo.demo.days.UNTIL`
        First day after the year of requests: all other days follow from it.
    progress : callable, optional
        Takes the name of a step and the share of it that is done, 0 to 1.
    processes : int, optional
        Default: as many as there are processors, at most 4.

    Returns
    -------
    CityDataset
        In EPSG:4549, on open sea near 120.2 E, 38.6 N, county code 990101 (not assigned).
    """
    return generate_with_truth(
        seed, size, grids=grids, issues=issues, until=until, progress=progress, processes=processes
    )[0]


def generate_with_truth(
    seed: int = 1,
    size: Literal["full", "small"] = "full",
    *,
    grids: int | None = None,
    issues: int | None = None,
    until: date = UNTIL,
    progress: Progress | None = None,
    processes: int | None = None,
) -> tuple[CityDataset, Truth]:
    """Make the demo city as `generate` does, and say what was planted in it."""
    tell = progress or (lambda step, share: None)
    wanted = _size(size, grids, issues)
    tell("ground", 0.0)
    land = _draw_land(wanted, seed)
    tell("ground", 1.0)
    with _pool(processes, len(land.blocks)) as pool:
        city = _grow(seed, wanted, land, Days(until), pool, tell)
    return city.dataset()


def _grow(
    seed: int, size: Size, land: _Land, days: Days, pool: Executor | None, tell: Progress
) -> _City:
    """Build on the land, make cells of its ground, and divide them into the net."""
    filled = _fill(land, seed, pool, tell)
    tell("cells", 0.0)
    cells = as_coverage(filled.cells, filled.cell_block, land.ground)
    tell("cells", 0.8)
    filled.cells = cells
    borders = borders_of(cells, filled.cell_block, land.ground)
    homes = _occupied(filled, land.seaside, round(size.grids * HOUSEHOLDS_PER_GRID))
    in_cell = totals(filled.building_cell, homes.astype(np.float64), len(cells))
    tell("cells", 1.0)
    tell("net", 0.0)
    spans = iter(((0.1, 0.6), (0.7, 0.2)))
    net = build_net(
        cells,
        filled.cell_block,
        in_cell,
        borders,
        land.ground,
        land.uses,
        _counts(size.grids),
        lambda jobs: _divide_all(jobs, pool, tell, *next(spans)),
    )
    tell("net", 1.0)
    return _City(seed, size, land, days, filled, homes, in_cell, net, tell)


def _size(size: str, grids: int | None, issues: int | None) -> Size:
    base = SIZES[size]
    if grids is None and issues is None:
        return base
    count = base.grids if grids is None else grids
    if count < 12:
        raise ValueError("a demo city has at least 12 grids")
    slug = base.slug if grids is None else f"demo-{count}"
    return Size(slug, base.name, base.name_en, count, base.issues if issues is None else issues)


def _counts(grids: int) -> Counts:
    communities = max(1, round(grids * COMMUNITIES_PER_GRID))
    return Counts(
        subdistricts=max(1, round(grids * SUBDISTRICTS_PER_GRID)),
        communities=communities,
        grids=grids,
        with_units=min(communities, max(1, round(communities * UNITS_PER_COMMUNITY))),
    )


@dataclass(frozen=True)
class _Land:
    """Ground, use of each block, blocks to be filled, and where holiday flats stand."""

    ground: Ground
    uses: Array
    blocks: list[Block]
    seaside: Array


def _draw_land(size: Size, seed: int) -> _Land:
    rng = np.random.default_rng([seed, 1])
    board = draw_board(size.grids, rng)
    ground = bend(board, draw_waves(rng))
    area = shapely.area(ground.blocks)
    thin = 4 * np.pi * area / shapely.length(ground.blocks) ** 2 < THIN
    uses = uses_of(ground.character, area, thin, rng)
    ground = stretched(ground, stretch(uses, area, size.grids * BUILDINGS_PER_GRID + RIM_BUILDINGS))
    around: list[list[int]] = [[] for _ in ground.blocks]
    for edge, sides in enumerate(zip(ground.left, ground.right, strict=True)):
        for side in sides:
            if side >= 0:
                around[side].append(edge)
    blocks = [
        Block(n, ground.blocks[n], ground.edges[lines], tuple(ground.kind[lines]), uses[n])
        for n, lines in enumerate(around)
    ]
    return _Land(ground, uses, blocks, _seaside(ground, uses))


def _seaside(ground: Ground, uses: Array) -> Array:
    """Return the blocks with holiday flats: a tenth of the flats, furthest along one side."""
    place = shapely.get_coordinates(shapely.centroid(ground.blocks))
    east = place @ np.array([0.85, 0.52])
    flats = np.isin(uses, [Use.SLABS, Use.TOWERS])
    if not flats.any():
        return flats
    return np.asarray(flats & (east > np.quantile(east[flats], 0.9)))


@contextmanager
def _pool(processes: int | None, blocks: int) -> Iterator[Executor | None]:
    """Open processes for the heavy steps; None where one process is as quick."""
    count = min(4, os.cpu_count() or 1) if processes is None else processes
    if count <= 1 or (processes is None and blocks < SPAWN_FROM):
        yield None
        return
    pool = ProcessPoolExecutor(count, get_context("spawn"), _leave_stopping_to_the_parent)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_stopping_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _fill(land: _Land, seed: int, pool: Executor | None, tell: Progress) -> Filled:
    chunks = [land.blocks[i : i + CHUNK] for i in range(0, len(land.blocks), CHUNK)]
    seeds = [seed] * len(chunks)
    results = (
        map(fill_blocks, chunks, seeds) if pool is None else pool.map(fill_blocks, chunks, seeds)
    )
    parts = []
    for number, part in enumerate(results, start=1):
        parts.append(part)
        tell("buildings", number / len(chunks))
    return joined(parts)


def _divide_one(job: tuple[Pieces, int]) -> Ints:
    return divide(*job)


def _divide_all(
    jobs: list[tuple[Pieces, int]],
    pool: Executor | None,
    tell: Progress,
    done_share: float,
    span: float,
) -> list[Ints]:
    """Divide many areas; they are the part of the step from `done_share` on, `span` long."""
    results = map(_divide_one, jobs) if pool is None else pool.map(_divide_one, jobs, chunksize=4)
    done = []
    for number, part in enumerate(results, start=1):
        done.append(part)
        tell("net", done_share + span * number / len(jobs))
    return done


def _occupied(filled: Filled, seaside: Array, total: int) -> Ints:
    """Return the households of each building: dwellings that are lived in, `total` in all.

    Half the holiday flats are empty out of season. Largest remainders, so that the sum is exact
    and no chance is needed.
    """
    by_sea = seaside[filled.cell_block[filled.building_cell]]
    weight = filled.dwellings * np.where(by_sea, OUT_OF_SEASON, 1.0)
    wish = weight * (total / weight.sum())
    lived = np.floor(wish).astype(np.int64)
    short = total - int(lived.sum())
    lived[np.argsort(lived - wish, kind="stable")[:short]] += 1
    return np.asarray(lived, dtype=np.int64)


@dataclass
class _City:
    """The parts of the city, put together as a dataset."""

    seed: int
    size: Size
    land: _Land
    days: Days
    filled: Filled
    homes: Ints
    in_cell: Floats
    net: Net
    tell: Progress

    def dataset(self) -> tuple[CityDataset, Truth]:
        """Name everything, staff it, draw the requests, and let its office work."""
        plain, truth = self._plain()
        whole = office.furnish(plain, self.seed, self.days.last)
        self.tell("rows", 1.0)
        return whole, truth

    def _plain(self) -> tuple[CityDataset, Truth]:
        tell, net, ground = self.tell, self.net, self.land.ground
        tell("rows", 0.0)
        rng = np.random.default_rng([self.seed, 3])
        profile = load_profile("cn")
        labels = places.name_places(
            net, ground, self.land.uses, self.filled.cell_block, self.in_cell, rng
        )
        compounds = places.draw_compounds(self.land.blocks, self.filled, self.land.seaside, rng)
        streets = places.streets_frame(ground, labels, self.land.uses, rng)
        buildings = places.buildings_frame(self.filled, self.homes, labels, compounds, COUNTY_CODE)
        tell("rows", 0.3)
        compound_row = self._row_of_compounds(compounds)
        made = people.found_organisations(self.size.name, net, labels, compounds, compound_row, rng)
        firms = people.firms_of(made, compounds, rng)
        workers, posts = people.staff_the_net(net, self.days, rng)
        cells = self._cell_frame()
        categories = requests.categories_frame(profile)
        tell("rows", 0.6)
        issues, truth = requests.issues_frame(
            self.size.issues,
            cells,
            self.in_cell,
            buildings,
            net,
            categories,
            made.departments,
            self.days,
            np.random.default_rng([self.seed, 4]),
        )
        identity = self._identity(profile)
        chance = np.random.default_rng([self.seed, 6])
        life: dict[str, Any] = lives.frames(
            issues, truth.duplicate_of, categories, made.departments, profile, self.days, chance
        )  # fmt: skip
        dataset = CityDataset(
            **identity,
            **life,
            grids=self._grid_frame(labels),
            cells=cells,
            cell_values=self._cell_values(rng),
            vintages=_vintages(self.days),
            buildings=buildings,
            addresses=addresses_frame(buildings, streets),
            compounds=self._compound_frame(compounds),
            compound_bodies=people.bodies_frame(
                made, firms, self.days, np.random.default_rng([self.seed, 5])
            ),
            streets=streets,
            barriers=places.barriers_frame(ground, self.land.uses, compounds.walls, rng),
            organisations=made.frame(),
            workers=workers,
            posts=posts,
            station_kinds=stations.kinds_frame(profile),
            stations=stations.stations_frame(net, labels, buildings, streets, made, rng),
            categories=categories,
            issues=issues,
        )
        return dataset, truth

    def _identity(self, profile: Profile) -> dict[str, Any]:
        return {
            "slug": self.size.slug,
            "name": self.size.name,
            "name_en": self.size.name_en,
            "profile": "cn",
            "timezone": profile.timezone,
            "metre_srid": METRE_SRID,
            "county_code": COUNTY_CODE,
            "effective_from": self.days.on(EFFECTIVE_FROM),
        }

    def _cell_frame(self) -> Any:
        return shaped(
            "cells",
            {
                "cell_id": np.arange(1, len(self.filled.cells) + 1),
                "grid_id": self.net.cell_leaf + 1,
                "geometry": places.moved(self.filled.cells),
            },
            METRE_SRID,
        )

    def _grid_frame(self, labels: places.Labels) -> pd.DataFrame:
        net = self.net
        count = len(net.level)
        parent = pd.array(net.parent + 1, dtype="Int64")
        parent[net.parent < 0] = pd.NA
        return shaped(
            "grids",
            {
                "grid_id": np.arange(1, count + 1),
                "level": net.level,
                "parent_id": parent,
                "name": labels.grid,
                "kind": net.kind,
                "code": [None] * count,
                "colour": net.colour,
            },
            METRE_SRID,
        )

    def _cell_values(self, rng: np.random.Generator) -> pd.DataFrame:
        """Households of every cell in both vintages; in the season holiday flats fill up."""
        count = len(self.filled.cells)
        dwellings = totals(
            self.filled.building_cell, self.filled.dwellings.astype(np.float64), count
        )
        by_sea = self.land.seaside[self.filled.cell_block]
        full = np.round(dwellings * rng.uniform(0.88, 1.0, count))
        away = np.round(self.in_cell * rng.uniform(0.95, 1.01, count))
        cell = np.arange(1, count + 1)
        return shaped(
            "cell_values",
            {
                "cell_id": np.concatenate([cell, cell]),
                "vintage": [str(self.days.year)] * count + [f"{self.days.year}-S"] * count,
                "measure": [HOUSEHOLDS] * (2 * count),
                "value": np.concatenate([self.in_cell, np.where(by_sea, full, away)]),
            },
            METRE_SRID,
        )

    def _row_of_compounds(self, compounds: places.Compounds) -> Ints:
        """Grid (level 3) that has most households of each compound's block."""
        net = self.net
        grid = np.where(net.level[net.cell_leaf] == 4, net.parent[net.cell_leaf], net.cell_leaf)
        table = pd.DataFrame({"block": self.filled.cell_block, "grid": grid, "homes": self.in_cell})
        most = table.groupby(["block", "grid"], sort=True)["homes"].sum().reset_index()
        most = most.sort_values(["block", "homes", "grid"], ascending=[True, False, True])
        first = most.drop_duplicates("block").set_index("block")["grid"]
        return np.asarray(first.reindex(compounds.block).to_numpy(), dtype=np.int64)

    def _compound_frame(self, compounds: places.Compounds) -> Any:
        count = len(compounds.name)
        return shaped(
            "compounds",
            {
                "compound_id": np.arange(1, count + 1),
                "name": compounds.name,
                "community_type": compounds.type,
                "geometry": places.moved(compounds.shape),
            },
            METRE_SRID,
        )


def _vintages(days: Days) -> pd.DataFrame:
    year = days.year
    return shaped(
        "vintages",
        {
            "vintage": [str(year), f"{year}-S"],
            "taken_on": pd.to_datetime([days.on(day) for day in COUNTED_ON]),
            "seasonal": [False, True],
            "estimated": [False, True],
            "name": [f"{year} 年常住", f"{year} 年旅游旺季"],
        },
        METRE_SRID,
    )
