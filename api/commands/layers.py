"""Layers of the operator's files, for commands that need no database: which one, and its rows."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from api.commands.files import parted
from geo.crs import WGS84_SRID
from geo.errors import DeliveryError, InvalidInputError
from geo.files.facts import Datum, Kind, LayerFacts, Understood, Wish
from geo.files.reading import read, understand


@dataclass(frozen=True)
class Layer:
    """A layer of a file that was looked at and not yet read."""

    path: Path
    facts: LayerFacts

    @property
    def label(self) -> str:
        """File and layer, as in messages."""
        return f"{self.path.name}:{self.facts.name}"

    def same_system(self, other: Layer) -> bool:
        """Say whether the numbers of two layers mean the same places."""
        one, two = self.facts, other.facts
        known = one.crs.srid is not None or one.crs.wkt is not None
        same_crs = (one.crs.srid, one.crs.wkt) == (two.crs.srid, two.crs.wkt)
        return known and same_crs and one.datum.used == two.datum.used

    def rows(
        self,
        kind: Kind | None = None,
        *,
        columns: Sequence[str] = (),
        as_delivered: bool = False,
    ) -> gpd.GeoDataFrame:
        """Return all rows, those without a shape too, numbered from 1 as in the file.

        In degrees on WGS 84, unless they are wanted as they were delivered.

        Raises
        ------
        InvalidInputError
            If a column is not there.
        DeliveryError, FileRefusedError
            If the layer cannot be read.
        """
        names = [column.name for column in self.facts.columns]
        for column in columns:
            if column not in names:
                message = f"There is no column '{column}' in {self.label}; it has {names}."
                raise InvalidInputError(message, field="column")
        wish = Wish(
            columns={column: column for column in columns},
            encoding=self.facts.encoding.used,
            crs=self.facts.crs.srid,
            datum=self.facts.datum.used,
            swap_axes=self.facts.axes_swapped,
            kind=kind,
            as_delivered=as_delivered,
        )
        frame = read(self.path, self.facts.name, wish, trusted=True).frame
        crs: Any = (self.facts.crs.srid or self.facts.crs.wkt) if as_delivered else WGS84_SRID
        shapes = shapely.force_2d(frame.geometry.to_numpy())
        plain = pd.DataFrame(frame.drop(columns="geometry"))
        return gpd.GeoDataFrame(plain, geometry=shapes, crs=crs)


def layer_of(
    file: str, kinds: tuple[str, ...], crs: int | None = None, datum: Datum | None = None
) -> Layer:
    """Return the layer that `FILE[:LAYER]` names, or the only one of a kind.

    Parameters
    ----------
    file : str
    kinds : tuple of str
        What the layer may hold where none is named.
    crs, datum : int, str, optional
        What somebody says of a file that is silent.

    Raises
    ------
    DeliveryError
        If it is not clear which one is meant.
    InvalidInputError, FileRefusedError
        If there is no such file, or it cannot be read.
    """
    path, layer = parted(file)
    understood = _understood(path, path.stat().st_mtime_ns, crs, datum)
    fitting = [
        facts
        for facts in understood.layers
        if (facts.name == layer if layer is not None else facts.kind in kinds)
    ]
    if len(fitting) == 1:
        facts = fitting[0]
        if datum is not None:
            facts = replace(facts, datum=replace(facts.datum, used=datum, sure=True))
        return Layer(path, facts)
    listed = ", ".join(
        f"{facts.name} ({facts.kind if facts.features else 'empty'})" for facts in understood.layers
    )
    if layer is not None:
        said = f"no layer is called '{layer}'; it has {listed}"
    elif fitting:
        said = f"name a layer; it has {listed}"
    else:
        said = f"there is no layer of {kinds[0]}; it has {listed}"
    raise DeliveryError([f"{path.name}: {said}"])


@lru_cache(maxsize=16)
def _understood(path: Path, _changed_ns: int, crs: int | None, datum: Datum | None) -> Understood:
    """Look at a file once, however many of its layers are named."""
    return understand(path, Wish(crs=crs, datum=datum), trusted=True)


def cpu_s() -> float:
    """Return the seconds of CPU so far, of this process and of those that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mb(processes: int | None = None) -> float:
    """Return the most memory that all processes can have had at once, in MB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + (processes or os.cpu_count() or 1) * child) / 1024
