"""Where nets differ: ground that one has twice or not at all, slivers and borders of each pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.nets.overlay import Net, Overlay, Shapes
from geo.nets.pairs import borders_of, pieces

COLUMNS: Final = ("kind", "first", "first_grid", "second", "second_grid", "area_m2", "length_m")
"""Besides the geometry."""


def differences(nets: Sequence[Net], laid: Overlay, *, tolerance_m: float) -> gpd.GeoDataFrame:
    """Return each place where a net contradicts itself or two nets differ.

    Parameters
    ----------
    nets : sequence of Net
    laid : Overlay
        Of these nets.
    tolerance_m : float

    Returns
    -------
    GeoDataFrame
        In the nets' CRS. `kind` is `overlap` (ground that two grids of one net have), `gap` (ground
        inside that a net leaves open), `sliver` (a piece between the borders of two nets, thinner
        than the tolerance), `near_border` (a line of the first net within the tolerance of one of
        the second and not on it) or `other_border` (beyond it); `first`, `first_grid`, `second`,
        `second_grid` say whose, None where nobody's; `area_m2` of areas, `length_m` of lines.
    """
    rows = [*_own(nets, laid), *_between(nets, laid, tolerance_m)]
    frame = pd.DataFrame([row[:-1] for row in rows], columns=list(COLUMNS))
    shapes = np.array([row[-1] for row in rows], dtype=object)
    moved = shapely.transform(shapes, lambda places: places + laid.origin)
    return gpd.GeoDataFrame(frame, geometry=moved, crs=nets[0].areas.crs)


def _own(nets: Sequence[Net], laid: Overlay) -> Iterator[tuple[Any, ...]]:
    """Yield where a net has ground twice, and where it has none."""
    for number, net in enumerate(nets):
        names = [*(str(name) for name in net.areas.index), None]
        twice = laid.doubled[laid.doubled[:, 0] == number]
        both = np.column_stack([laid.owner[number, twice[:, 2]], twice[:, 1]])
        for (one, two), at in _groups(both):
            for part in _joined(laid, twice[at, 2]):
                yield "overlap", net.name, names[one], net.name, names[two], part.area, None, part
        open_ground = np.flatnonzero(laid.inside & (laid.owner[number] < 0))
        for part in _joined(laid, open_ground):
            yield "gap", net.name, None, None, None, part.area, None, part


def _between(nets: Sequence[Net], laid: Overlay, tolerance_m: float) -> Iterator[tuple[Any, ...]]:
    """Yield the slivers between the borders of two nets, and the borders that do not match."""
    borders = borders_of(laid, tolerance_m)
    for one, two in combinations(range(len(nets)), 2):
        told = nets[one].name, nets[two].name
        names = [[*map(str, nets[k].areas.index), None] for k in (one, two)]
        piece, width, there = pieces(laid, laid.owner[one], laid.owner[two])
        thin = there & (width < tolerance_m)
        for (number,), at in _groups(piece[:, None]):
            if thin[number]:
                first, second = (names[k][laid.owner[(one, two)[k], at[0]]] for k in (0, 1))
                part = shapely.coverage_union_all(laid.faces[at])
                yield "sliver", told[0], first, told[1], second, part.area, None, part
        line, other = borders[one].line, borders[two]
        near = shapely.difference(shapely.intersection(line, other.near), other.on)
        beyond = shapely.difference(line, other.near)
        for kind, line in (("near_border", near), ("other_border", beyond)):
            for part in shapely.get_parts(shapely.line_merge(line)):
                if part.length > 0:
                    yield kind, told[0], None, told[1], None, None, part.length, part


def _groups(keys: NDArray[Any]) -> Iterator[tuple[tuple[int, ...], NDArray[np.int64]]]:
    """Yield each row of keys that occurs, and where it does."""
    if len(keys) == 0:
        return
    there, group = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(group.reshape(-1), minlength=len(there)))
    for key, at in zip(there.tolist(), np.split(order, ends[:-1]), strict=True):
        yield tuple(key), at


def _joined(laid: Overlay, faces: NDArray[np.int64]) -> Shapes:
    """Return faces as connected ground."""
    if len(faces) == 0:
        return np.empty(0, dtype=object)
    return np.asarray(shapely.get_parts(shapely.coverage_union_all(laid.faces[faces])))
