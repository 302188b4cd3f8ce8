"""Households estimated from buildings: footprint, floors and use; always marked as estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.errors import InvalidInputError

Floats = NDArray[np.float64]

MIXED: Final = "mixed"
UNKNOWN: Final = ("", "yes", "other", "unknown", "building")
RESIDENTIAL: Final = (
    "residential",
    "apartments",
    "house",
    "detached",
    "semidetached_house",
    "terrace",
    "bungalow",
    "farm",
    "dormitory",
    "cabin",
    "住宅",
    "居住",
    "民房",
    "宿舍",
)
SINGLE: Final = ("house", "detached", "bungalow", "farm", "cabin", "民房")
"""Uses of which a building is one household unless its floor area says two at least."""


@dataclass(frozen=True)
class HouseholdConstants:
    """What a household takes up, by country profile.

    Attributes
    ----------
    gross_m2 : float
        Floor area of one household with its share of walls, stairs and lifts.
    floors : tuple of (float, int)
        Where the floors are not known: footprints up to so many m2 have so many floors; the last
        holds for all larger ones.
    least_m2 : float
        Smaller footprints are sheds and garages.
    mixed_share, unknown_share : float
        Share of the floor area that is lived in where the use is mixed (shops below dwellings),
        and where it is not known.
    """

    gross_m2: float
    floors: tuple[tuple[float, int], ...]
    least_m2: float
    mixed_share: float
    unknown_share: float


CONSTANTS: Final = {
    "cn": HouseholdConstants(110.0, ((150.0, 2), (400.0, 4), (np.inf, 6)), 30.0, 0.7, 0.5),
    "intl": HouseholdConstants(120.0, ((250.0, 2), (600.0, 3), (np.inf, 4)), 30.0, 0.6, 0.4),
}


def household_estimates(
    buildings: pd.DataFrame,
    *,
    profile: str,
    totals: pd.Series[Any] | None = None,
    area: str = "area",
) -> pd.Series[Any]:
    """Estimate the households of buildings.

    Floor area = footprint x floors x share that is lived in; households = floor area / `gross_m2`
    of the profile, rounded. Buildings of no residential use and sheds have none; of other lived-in
    buildings a house has one at least. Where the households of an area are known, they are given to
    its buildings in proportion to these estimates before rounding, by largest remainder: they add
    up to the last household. Whoever stores the values marks their vintage as estimated.

    Parameters
    ----------
    buildings : DataFrame, shape (n,)
        Columns `footprint_m2`, `use` (of `RESIDENTIAL`, `mixed`, unknown or anything else; null is
        unknown), and optionally `floors` (null where not known); with `totals` the column `area`.
    profile : {"cn", "intl"}
        Whose `CONSTANTS` hold.
    totals : Series of int, optional
        Known households by area; areas without a total keep the plain estimates.
    area : str, default "area"
        Column of `buildings` that names the area.

    Returns
    -------
    Series of int64, shape (n,)
        Households, indexed like `buildings`. A total of an area without any building to live in is
        placed nowhere.

    Raises
    ------
    InvalidInputError
        If the profile is not known, or footprints, floors or totals are negative or no numbers.

    Examples
    --------
    >>> slabs = pd.DataFrame({"footprint_m2": [700, 90, 500], "floors": [6, 2, 1],
    ...                       "use": ["residential", "house", "industrial"]})
    >>> household_estimates(slabs, profile="cn").tolist()
    [38, 2, 0]
    """
    if profile not in CONSTANTS:
        known = ", ".join(CONSTANTS)
        raise InvalidInputError(
            f"No constants for '{profile}'; there are {known}.", field="profile"
        )
    exact = _expected(buildings, CONSTANTS[profile])
    households = np.floor(exact + 0.5).astype(np.int64)
    if totals is not None:
        households = _to_totals(exact, households, buildings[area], totals)
    return pd.Series(households, index=buildings.index, name="households")


def _expected(buildings: pd.DataFrame, constants: HouseholdConstants) -> Floats:
    """Return the households before rounding."""
    footprint = _numbers(buildings["footprint_m2"], "footprint_m2")
    if np.isnan(footprint).any():
        raise InvalidInputError("Every building needs a footprint.", field="footprint_m2")
    use = buildings["use"].astype("object").fillna("").astype(str).str.strip().str.lower()
    limits = np.array([limit for limit, _ in constants.floors])
    typical = np.array([floors for _, floors in constants.floors], dtype=float)
    floors = typical[np.minimum(np.searchsorted(limits, footprint), len(limits) - 1)]
    single = use.isin(SINGLE).to_numpy()
    floors = np.where(single, np.minimum(floors, 2.0), floors)
    if "floors" in buildings:
        said = _numbers(buildings["floors"], "floors")
        floors = np.where(said > 0, said, floors)
    share = np.select(
        [use.isin(RESIDENTIAL), use == MIXED, use.isin(UNKNOWN)],
        [1.0, constants.mixed_share, constants.unknown_share],
        default=0.0,
    )
    share = np.where(footprint < constants.least_m2, 0.0, share)
    exact = footprint * floors * share / constants.gross_m2
    return np.asarray(np.where(single & (share > 0), np.maximum(exact, 1.0), exact))


def _numbers(values: pd.Series[Any], field: str) -> Floats:
    try:
        numbers = pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"The {field} of a building is no number.", field=field) from error
    if (numbers < 0).any() or np.isinf(numbers).any():
        raise InvalidInputError(f"The {field} of a building is negative or endless.", field=field)
    return np.asarray(numbers, dtype=np.float64)


def _to_totals(
    exact: Floats, households: NDArray[np.int64], area: pd.Series[Any], totals: pd.Series[Any]
) -> NDArray[np.int64]:
    """Give the known total of each area to its buildings, by largest remainder."""
    known = _numbers(totals, "totals")
    if (known != np.round(known)).any():
        raise InvalidInputError("Totals of households must be whole numbers.", field="totals")
    number = totals.index.get_indexer(pd.Index(area))
    chosen = np.flatnonzero((number >= 0) & (exact > 0))
    number, weight = number[chosen], exact[chosen]
    sums = np.bincount(number, weights=weight, minlength=len(totals))
    part = weight * known[number] / sums[number]
    whole = np.floor(part + 1e-9)
    missing = known - np.bincount(number, weights=whole, minlength=len(totals))
    order = np.lexsort((np.arange(len(part)), whole - part, number))
    begins = np.searchsorted(number[order], np.arange(len(totals)))
    rank = np.empty(len(part), dtype=np.int64)
    rank[order] = np.arange(len(part)) - begins[number[order]]
    made = households.copy()
    made[totals.index.get_indexer(pd.Index(area)) >= 0] = 0
    made[chosen] = (whole + (rank < np.round(missing)[number])).astype(np.int64)
    return made
