"""On which side of a line a place lies: compiled, and exact for all finite numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

ROUNDING: Final = 3.3306690738754716e-16
"""(3 + 16 u) u with u = 2**-53: Shewchuk 1997, the bound of the plain determinant's error."""
SMALLEST: Final = 1e-280
"""Determinants nearer to 0 may have lost digits below the least number there is."""
EASY: Final = (1e-100, 1e100)
"""Numbers other than 0 whose products neither vanish nor overflow."""
SPLITTER: Final = 134217729.0


def compiled(function: Function) -> Function:
    """Compile a function of numbers and arrays; the machine code is kept beside the source."""
    made: Any = numba.njit(cache=True)(function)
    return cast(Function, made)


@compiled
def turn(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> int:
    """Return 1 where c lies to the left of the line from a to b, -1 to the right, 0 on it.

    A determinant in floating point decides where its error cannot change the sign, which is
    nearly always; else exact arithmetic does (Shewchuk, Adaptive precision floating-point
    arithmetic and fast robust geometric predicates, 1997).
    """
    one, two = (ax - cx) * (by - cy), (ay - cy) * (bx - cx)
    determinant = one - two
    bound = ROUNDING * (abs(one) + abs(two)) + SMALLEST
    if determinant > bound:
        return 1
    if -determinant > bound:
        return -1
    return exact_turn(ax, ay, bx, by, cx, cy)


@compiled
def exact_turn(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> int:
    """Return what `turn` does, by exact sums of exact products."""
    if not (_easy(ax) and _easy(ay) and _easy(bx) and _easy(by) and _easy(cx) and _easy(cy)):
        with numba.objmode(found="int64"):
            found = _rational_turn(ax, ay, bx, by, cx, cy)
        return int(found)
    parts = np.zeros(12)
    _product(ax, by, parts, 0)
    _product(-ax, cy, parts, 2)
    _product(-cx, by, parts, 4)
    _product(-ay, bx, parts, 6)
    _product(ay, cx, parts, 8)
    _product(cy, bx, parts, 10)
    total = np.zeros(12)
    for count in range(12):
        carried = parts[count]
        for at in range(count):
            whole = carried + total[at]
            virtual = whole - carried
            total[at] = (carried - (whole - virtual)) + (total[at] - virtual)
            carried = whole
        total[count] = carried
    for at in range(11, -1, -1):
        if total[at] != 0.0:
            return 1 if total[at] > 0.0 else -1
    return 0


@compiled
def _easy(number: float) -> bool:
    size = abs(number)
    return size == 0.0 or EASY[0] < size < EASY[1]


@compiled
def _product(one: float, two: float, parts: Any, at: int) -> None:
    """Put the rounding error of a product and the product into two places of `parts`."""
    product = one * two
    high = SPLITTER * one
    one_high = high - (high - one)
    one_low = one - one_high
    high = SPLITTER * two
    two_high = high - (high - two)
    two_low = two - two_high
    error = product - one_high * two_high - one_low * two_high - one_high * two_low
    parts[at], parts[at + 1] = one_low * two_low - error, product


def _rational_turn(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> int:
    """Return what `turn` does, in rational numbers: for numbers next to 0 or beyond all places."""
    a, b, c, d, e, f = (Fraction(float(number)) for number in (ax, ay, bx, by, cx, cy))
    determinant = (a - e) * (d - f) - (b - f) * (c - e)
    return (determinant > 0) - (determinant < 0)
