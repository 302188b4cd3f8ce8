"""Counts on fixed squares of the metre CRS: too few, none and uninhabited told apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.errors import InvalidInputError

SQUARE_SIDES_M = (125, 250, 500, 1000)
"""Sides of the squares; each square of a larger side is exactly four of the side before."""
LEAST_CASES = 5
LEAST_HOUSEHOLDS = 50


class Shown(StrEnum):
    """What a map says of a square."""

    RATE = "rate"
    TOO_FEW = "too_few"
    ZERO = "zero"
    UNINHABITED = "uninhabited"


@dataclass(frozen=True)
class Squares:
    """The square of each point.

    Attributes
    ----------
    column, row : ndarray of int, shape (n,)
        Whole sides east and north of the CRS's own origin: the same for every net, period and
        city extent.
    side_m : int
    """

    column: NDArray[np.int64]
    row: NDArray[np.int64]
    side_m: int


def squares(xy: NDArray[np.float64], side_m: int) -> Squares:
    """Return the square that each point lies in.

    A point on a border belongs to the square east and north of it.

    Parameters
    ----------
    xy : ndarray of float, shape (n, 2)
        Metres, the city's metre CRS.
    side_m : int
        One of `SQUARE_SIDES_M`.

    Returns
    -------
    Squares

    Raises
    ------
    InvalidInputError
        If the side is none of the fixed ones.

    Examples
    --------
    >>> found = squares(np.array([[499.9, 500.0]]), 500)
    >>> found.column.tolist(), found.row.tolist()
    ([0], [1])
    """
    if side_m not in SQUARE_SIDES_M:
        listed = ", ".join(map(str, SQUARE_SIDES_M))
        raise InvalidInputError(f"Squares have a side of {listed} m.", field="side_m")
    place = np.floor(np.asarray(xy, dtype=float) / side_m).astype(np.int64).reshape(-1, 2)
    return Squares(place[:, 0], place[:, 1], side_m)


def shown(
    cases: NDArray[np.int64],
    households: NDArray[np.float64],
    *,
    least_cases: int = LEAST_CASES,
    least_households: float = LEAST_HOUSEHOLDS,
) -> NDArray[np.object_]:
    """Say what may be shown of each square.

    Parameters
    ----------
    cases : ndarray of int, shape (n,)
    households : ndarray of float, shape (n,)
        Of the vintage in force.
    least_cases, least_households
        Below these a rate would be noise, and could single somebody out.

    Returns
    -------
    ndarray of Shown, shape (n,)
        Uninhabited where nobody lives and nothing was reported, zero where people live and nothing
        was reported, too few below either minimum, else a rate.

    Examples
    --------
    >>> shown(np.array([0, 0, 3, 9]), np.array([0.0, 80.0, 80.0, 80.0])).tolist()
    ['uninhabited', 'zero', 'too_few', 'rate']
    """
    few = (cases < least_cases) | (households < least_households)
    found = np.select(
        [(cases == 0) & (households <= 0), cases == 0, few],
        [Shown.UNINHABITED, Shown.ZERO, Shown.TOO_FEW],
        Shown.RATE,
    )
    return found.astype(object)


def per_thousand(cases: pd.Series[float], households: pd.Series[float]) -> pd.Series[float]:
    """Return cases per 1,000 households; NA where nobody lives.

    Parameters
    ----------
    cases, households : Series of float, shape (n,)
        On one index.

    Returns
    -------
    Series of float, shape (n,)
    """
    return (cases / households.where(households > 0)) * 1000.0
