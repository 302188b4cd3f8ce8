"""Beginnings by METIS, where it is installed: the better the more parts a piece has."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geo.partition.state import Net

Ints = NDArray[np.int64]

STEPS_OF_WEIGHT: Final = 1_000_000
"""METIS takes whole numbers: weights and prices are told in so many steps."""
LARGEST_SEED: Final = 2**31 - 1


LOOSE: Final = (60, 100, 150)
"""Thousandths that parts of a layer may be off: layers that differ have borders to choose from."""


def bisected(net: Net, parts: int, seed: int) -> Ints | None:
    """Return a division by METIS' recursive bisection, or None where it is not installed.

    Parameters
    ----------
    net : Net
        Connected.
    parts : int
        From 1 to the number of cells.
    seed : int

    Returns
    -------
    ndarray of int, shape (n,), or None
        Parts 0 .. parts - 1; some may be of several pieces, or empty.
    """
    return _multilevel(net, parts, seed, recursive=True)


def loose(net: Net, parts: int, seed: int, number: int) -> Ints | None:
    """Return one of several divisions by METIS that differ in method and evenness, or None.

    Parameters and result as of `bisected`; `number` counts the divisions from 0.
    """
    slack = LOOSE[number % len(LOOSE)]
    return _multilevel(net, parts, seed, recursive=number % 2 == 0, ufactor=slack)


def _multilevel(net: Net, parts: int, seed: int, *, recursive: bool, **options: int) -> Ints | None:
    metis = _metis()
    if metis is None:
        return None
    if parts <= 1:
        return np.zeros(len(net.begin) - 1, dtype=np.int64)
    weight = net.weight[:, 0]
    _, found = metis.part_graph(
        parts,
        adjacency=metis.CSRAdjacency(net.begin, net.near),
        vweights=_whole(weight, float(weight.sum())),
        eweights=_whole(net.price, float(net.price.max(initial=0.0)) * 100.0),
        recursive=recursive,
        options=metis.Options(seed=seed % LARGEST_SEED, **options),
    )
    return np.asarray(found, dtype=np.int64)


def _whole(values: NDArray[np.float64], top: float) -> Ints:
    return np.maximum(np.rint(values * (STEPS_OF_WEIGHT / max(top, 1e-300))), 1).astype(np.int64)


def _metis() -> ModuleType | None:
    try:
        return import_module("pymetis")
    except ImportError:
        return None
