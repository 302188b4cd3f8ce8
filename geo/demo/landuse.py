"""What stands where in the made-up city: the character of a quarter and the use of a block."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator


class Character(StrEnum):
    """What a quarter of the city is like."""

    CORE = "core"
    ESTATE = "estate"
    TOWERS = "towers"
    VILLAGE = "village"
    INDUSTRY = "industry"
    CAMPUS = "campus"
    PARK = "park"
    FIELD = "field"
    WATER = "water"


class Use(StrEnum):
    """What fills a block."""

    SLABS = "slabs"
    OLD_SLABS = "old_slabs"
    TOWERS = "towers"
    HOUSES = "houses"
    SHOPS = "shops"
    OFFICES = "offices"
    FACTORY = "factory"
    SCHOOL = "school"
    HOSPITAL = "hospital"
    PARK = "park"
    FIELD = "field"
    WATER = "water"


#: Shares of the ground, in the order in which they are taken from the middle outwards.
SHARES: Final[dict[Character, float]] = {
    Character.CORE: 0.10,
    Character.ESTATE: 0.27,
    Character.TOWERS: 0.09,
    Character.VILLAGE: 0.285,
    Character.INDUSTRY: 0.12,
    Character.CAMPUS: 0.035,
    Character.PARK: 0.035,
    Character.FIELD: 0.065,
}

#: The same for a city so small that it is one neighbourhood.
SHARES_SMALL: Final[dict[Character, float]] = {
    Character.CORE: 0.12,
    Character.ESTATE: 0.37,
    Character.TOWERS: 0.11,
    Character.VILLAGE: 0.31,
    Character.INDUSTRY: 0.0,
    Character.CAMPUS: 0.03,
    Character.PARK: 0.04,
    Character.FIELD: 0.02,
}
SMALL_M: Final = 1_200.0

#: Uses of the blocks of a quarter and how often they occur.
USES: Final[dict[Character, tuple[tuple[Use, float], ...]]] = {
    Character.CORE: (
        (Use.OLD_SLABS, 0.52),
        (Use.HOUSES, 0.20),
        (Use.SHOPS, 0.13),
        (Use.OFFICES, 0.07),
        (Use.TOWERS, 0.03),
        (Use.SCHOOL, 0.03),
        (Use.PARK, 0.02),
    ),
    Character.ESTATE: (
        (Use.SLABS, 0.79),
        (Use.TOWERS, 0.05),
        (Use.HOUSES, 0.04),
        (Use.SCHOOL, 0.06),
        (Use.SHOPS, 0.04),
        (Use.PARK, 0.02),
    ),
    Character.TOWERS: (
        (Use.TOWERS, 0.62),
        (Use.SLABS, 0.16),
        (Use.SHOPS, 0.08),
        (Use.OFFICES, 0.06),
        (Use.SCHOOL, 0.05),
        (Use.PARK, 0.03),
    ),
    Character.VILLAGE: ((Use.HOUSES, 0.93), (Use.SLABS, 0.02), (Use.FIELD, 0.05)),
    Character.INDUSTRY: ((Use.FACTORY, 0.93), (Use.SLABS, 0.04), (Use.OFFICES, 0.03)),
    Character.CAMPUS: ((Use.SCHOOL, 0.55), (Use.HOSPITAL, 0.20), (Use.OFFICES, 0.25)),
    Character.PARK: ((Use.PARK, 1.0),),
    Character.FIELD: ((Use.FIELD, 1.0),),
    Character.WATER: ((Use.WATER, 1.0),),
}

#: Buildings that fit on a hectare, measured on filled cities.
BUILDINGS_PER_HA: Final = {
    Use.HOUSES: 33.4,
    Use.OLD_SLABS: 5.4,
    Use.SLABS: 3.9,
    Use.TOWERS: 3.0,
    Use.SHOPS: 2.2,
    Use.OFFICES: 1.8,
    Use.HOSPITAL: 1.6,
    Use.SCHOOL: 1.4,
    Use.FACTORY: 1.3,
}
COMPOUND_USES: Final = frozenset({Use.SLABS, Use.OLD_SLABS, Use.TOWERS})


def wanted_block_m2(character: Character, rng: Rng) -> list[tuple[str, float]]:
    """Return the cuts that turn a quarter into blocks: (kind of line, ground wanted in m2)."""
    several = {
        Character.CORE: [("local", 21_000.0)],
        Character.ESTATE: [("local", float(rng.choice([30_000.0, 42_000.0, 60_000.0])))],
        Character.TOWERS: [("local", float(rng.choice([38_000.0, 52_000.0])))],
        Character.VILLAGE: [("local", 48_000.0), ("path", 13_500.0)],
        Character.INDUSTRY: [("local", 80_000.0)],
        Character.CAMPUS: [("local", 75_000.0)],
        Character.PARK: [("path", 90_000.0)],
        Character.FIELD: [("path", 100_000.0)],
        Character.WATER: [],
    }[character]
    if character is Character.ESTATE and rng.random() < 0.5:
        several.append(("wall", 19_000.0))
    if character is Character.CORE and rng.random() < 0.4:
        several.append(("wall", 11_000.0))
    return several


def characters_of(
    quarters: NDArray[Any], radius_m: float, rivers: Any, rng: Rng
) -> list[Character]:
    """Give each quarter a character so that the shares of the ground come out as `SHARES`.

    The middle is old and dense, estates and towers stand around it, villages, factories and fields
    outside; a few villages stayed inside the city; parks like the river.

    Parameters
    ----------
    quarters : ndarray of Polygon, shape (n,)
        In metres on the board.
    radius_m : float
        Radius of the city.
    rivers : Geometry
        All water, in metres on the board.
    rng : numpy.random.Generator
        Source of all chance.

    Returns
    -------
    list of Character, length n
    """
    middle = shapely.get_coordinates(shapely.centroid(quarters))
    area = shapely.area(quarters)
    out = _remoteness(middle, radius_m, rng)
    tall = _smooth(middle, 1700.0, rng)
    rough = _smooth(middle, 1300.0, rng)
    to_river = shapely.distance(shapely.centroid(quarters), rivers) / 900.0
    taste: dict[Character, Floats] = {
        Character.PARK: to_river + 0.5 * rng.random(len(area)) + np.where(out < 0.25, 0.7, 0.0),
        Character.CORE: out + 0.10 * rng.random(len(area)),
        Character.CAMPUS: np.abs(out - 0.5) + 0.9 * rng.random(len(area)),
        Character.TOWERS: np.abs(out - 0.45) - 0.22 * tall,
        Character.ESTATE: out + 0.10 * rough,
        Character.FIELD: -out + 0.25 * rng.random(len(area)),
        Character.INDUSTRY: -0.8 * out - 0.45 * rough - 0.35 * middle[:, 0] / radius_m,
        Character.VILLAGE: np.zeros(len(area)),
    }
    shares = SHARES_SMALL if radius_m < SMALL_M else SHARES
    inner_villages = (rng.random(len(area)) < 0.10) & (out > 0.3)
    given = np.full(len(area), "", dtype=object)
    given[inner_villages] = Character.VILLAGE
    for character, wish in taste.items():
        wanted = shares[character] * area.sum()
        taken = area[given == character].sum()
        for quarter in np.argsort(wish, kind="stable"):
            if given[quarter] != "":
                continue
            if character is not Character.VILLAGE and taken + area[quarter] / 2 > wanted:
                break
            given[quarter] = character
            taken += area[quarter]
    return list(given)


def stretch(uses: NDArray[Any], area_m2: Floats, buildings: float) -> float:
    """Return by how much to stretch the ground so that about `buildings` fit on it.

    Parameters
    ----------
    uses : ndarray of Use, shape (n,)
    area_m2 : ndarray, shape (n,)
    buildings : float

    Returns
    -------
    float
        Factor of lengths, 0.92 to 1.09.
    """
    per_m2 = np.array([BUILDINGS_PER_HA.get(use, 0.1) for use in uses]) / 10_000.0
    return float(np.clip(np.sqrt(buildings / float((per_m2 * area_m2).sum())), 0.92, 1.09))


def _remoteness(places: Floats, radius_m: float, rng: Rng) -> Floats:
    """0 in the middle of the city (or of one of its towns), about 1 at the rim."""
    centres = np.array([[0.0, 0.0]])
    reach = radius_m
    if radius_m > 5000.0:
        angle = rng.uniform(0, 2 * np.pi) + np.arange(5) * 2 * np.pi / 5
        ring = 0.6 * radius_m * np.column_stack([np.cos(angle), np.sin(angle)])
        centres = np.vstack([centres, ring])
        reach = radius_m * 0.45
    away = np.hypot(*(places[:, None, :] - centres[None, :, :]).transpose(2, 0, 1)).min(axis=1)
    result: Floats = away / reach
    return result


def _smooth(places: Floats, length_m: float, rng: Rng) -> Floats:
    """Smooth noise, about -1 to 1, with bumps of `length_m`."""
    value = np.zeros(len(places))
    for _ in range(6):
        towards = rng.uniform(0, 2 * np.pi)
        along = places[:, 0] * np.cos(towards) + places[:, 1] * np.sin(towards)
        length = length_m * rng.uniform(0.8, 1.6)
        value += np.sin(2 * np.pi * along / length + rng.uniform(0, 2 * np.pi)) / 3.0
    return value


def uses_of(
    characters: NDArray[Any], area_m2: Floats, thin: NDArray[np.bool_], rng: Rng
) -> NDArray[Any]:
    """Give each block a use from its quarter's character.

    Parameters
    ----------
    characters : ndarray of Character, shape (n,)
    area_m2 : ndarray, shape (n,)
        Ground of the blocks.
    thin : ndarray of bool, shape (n,)
        Blocks too narrow for rows of buildings; they stay green.
    rng : numpy.random.Generator
        Source of all chance.

    Returns
    -------
    ndarray of Use, shape (n,)
    """
    uses = np.empty(len(characters), dtype=object)
    draw = rng.random(len(characters))
    for block, character in enumerate(characters):
        choice = np.cumsum([share for _, share in USES[character]])
        last = len(choice) - 1
        uses[block] = USES[character][min(int(np.searchsorted(choice, draw[block])), last)][0]
        if uses[block] in (Use.SCHOOL, Use.TOWERS) and area_m2[block] < 9_000.0:
            uses[block] = Use.OLD_SLABS if character is Character.CORE else Use.SLABS
        if thin[block] and character is not Character.WATER:
            uses[block] = Use.PARK
    return uses
