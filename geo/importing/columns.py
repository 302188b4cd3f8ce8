"""What the columns of delivered layers hold: texts, numbers, and rows as people are told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd

EXAMPLES: Final = 5


def texts(values: Iterable[Any]) -> pd.Series[Any]:
    """Return values as trimmed texts on 0 .. n-1, None where empty; 12.0 is written 12.

    Examples
    --------
    >>> texts([" a ", 12.0, 1.5, None, float("nan"), ""]).tolist()
    ['a', '12', '1.5', None, None, None]
    """
    return pd.Series([_text(value) for value in values], dtype=object)


def _text(value: Any) -> str | None:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (float, np.floating)):
        if np.isnan(value):
            return None
        if float(value).is_integer():
            value = int(value)
    return str(value).strip() or None


def column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Return a column as texts, all empty where the frame does not have it."""
    return texts(frame[name] if name in frame else [None] * len(frame))


def numbers(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return a column as numbers, NaN where it is none or the frame does not have it."""
    values = frame[name] if name in frame else [np.nan] * len(frame)
    read: pd.Series[float] = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
    return read.astype(float).reset_index(drop=True)


def rows(frame: pd.DataFrame, chosen: Any) -> str:
    """Name the first rows of a mask by the frame's index: their numbers in the file."""
    return some(frame.index[np.asarray(chosen)])


def some(values: Iterable[Any]) -> str:
    """Show the first few of `values` and how many there are.

    Examples
    --------
    >>> some("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    items = [str(value) for value in values]
    more = f" and {len(items) - EXAMPLES} more" if len(items) > EXAMPLES else ""
    return ", ".join(items[:EXAMPLES]) + more
