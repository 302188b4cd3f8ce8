"""Layers of the operator's files, for commands that need no database: which one, and its rows."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely

from api.commands.files import parted
from geo.crs import WGS84_SRID
from geo.errors import DeliveryError, InvalidInputError, TopologyError
from geo.files.facts import Kind, LayerFacts, Understood, Wish
from geo.files.reading import read, understand

WRITERS: Final = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON"}
ALL_DIGITS: Final = {"COORDINATE_PRECISION": 17}
"""GeoJSON is written with all digits: 7 would move vertices by a centimetre."""


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
        datum: str | None = None,
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
            datum=datum or self.facts.datum.used,  # type: ignore[arg-type]
            swap_axes=self.facts.axes_swapped,
            kind=kind,
            as_delivered=as_delivered,
        )
        frame = read(self.path, self.facts.name, wish, trusted=True).frame
        crs: Any = (self.facts.crs.srid or self.facts.crs.wkt) if as_delivered else WGS84_SRID
        shapes = shapely.force_2d(frame.geometry.to_numpy())
        plain = pd.DataFrame(frame.drop(columns="geometry"))
        return gpd.GeoDataFrame(plain, geometry=shapes, crs=crs)


def layer_of(file: str, kinds: tuple[str, ...], *, datum: str | None = None) -> Layer:
    """Return the layer that `FILE[:LAYER]` names, or the only one of a kind.

    Raises
    ------
    DeliveryError
        If it is not clear which one is meant.
    InvalidInputError, FileRefusedError
        If there is no such file, or it cannot be read.
    """
    path, layer = parted(file)
    understood = _understood(path, datum)
    fitting = [
        facts
        for facts in understood.layers
        if (facts.name == layer if layer is not None else facts.kind in kinds)
    ]
    if len(fitting) != 1:
        listed = ", ".join(f"{facts.name} ({facts.kind})" for facts in understood.layers)
        said = f"no layer is called '{layer}'" if layer is not None else "name a layer"
        raise DeliveryError([f"{path.name}: {said}; it has {listed}"])
    facts = fitting[0]
    if datum is not None:
        facts = replace(facts, datum=replace(facts.datum, used=datum))  # type: ignore[arg-type]
    return Layer(path, facts)


@lru_cache(maxsize=8)
def _understood(path: Path, datum: str | None) -> Understood:
    """Look at a file once, however many of its layers are named."""
    return understand(path, Wish(datum=datum), trusted=True)  # type: ignore[arg-type]


def refuse_target(
    sources: Sequence[Path],
    target: Path,
    endings: Sequence[str],
    *,
    overwrite: bool,
    field: str = "out",
) -> None:
    """Refuse a file to write to that has another ending, is read, exists, or has no folder.

    Raises
    ------
    InvalidInputError
    """
    if target.suffix.lower() not in endings:
        message = f"{target} has to end in one of {', '.join(endings)}."
        raise InvalidInputError(message, field=field)
    if target.resolve() in [path.resolve() for path in sources]:
        raise InvalidInputError(f"{target} is a file that is read.", field=field)
    if target.exists() and not overwrite:
        message = f"{target} exists; choose another name or say --overwrite."
        raise InvalidInputError(message, field=field)
    if not target.parent.is_dir():
        raise InvalidInputError(f"There is no folder {target.parent}.", field=field)


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Yield a place to write to; what is there at the end becomes the target, all or nothing."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wangge-") as folder:
        place = Path(folder) / target.name
        yield place
        place.replace(target)


def write_coverage(frame: gpd.GeoDataFrame, target: Path, layer: str) -> None:
    """Write areas to a GeoPackage or GeoJSON, all or nothing.

    Raises
    ------
    TopologyError
        If what was written is no coverage.
    """
    driver = WRITERS[target.suffix.lower()]
    options = ALL_DIGITS if driver == "GeoJSON" else {}
    with draft(target) as place:
        pyogrio.write_dataframe(frame, place, layer=layer, driver=driver, **options)
        written = pyogrio.read_dataframe(place, columns=[]).geometry.to_numpy()
        if not (shapely.is_valid(written).all() and shapely.coverage_is_valid(written)):
            raise TopologyError(f"What would be written to {target.name} is no coverage.")


def cpu_s() -> float:
    """Return the seconds of CPU so far, of this process and of those that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mb(processes: int | None = None) -> float:
    """Return the most memory that all processes can have had at once, in MB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + (processes or os.cpu_count() or 1) * child) / 1024
