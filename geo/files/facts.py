"""What is known of a file before anything of it is stored: plain data, told to people and programs.

Whatever is worked out says how: `reason` is a stable word for programs, `why` a plain sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from geo.findings import Finding
from geo.saying import phrase

Kind = Literal["areas", "lines", "points", "mixed", "table"]
Datum = Literal["wgs84", "gcj02", "bd09", "cgcs2000"]
DATUMS: tuple[Datum, ...] = ("wgs84", "gcj02", "bd09", "cgcs2000")
Placed = tuple[float, float, float, float]


class FileFormat(StrEnum):
    """What a file is."""

    SHAPEFILE = "shapefile"
    GEOPACKAGE = "geopackage"
    GEOJSON = "geojson"
    FLATGEOBUF = "flatgeobuf"
    GEOPARQUET = "geoparquet"
    KML = "kml"
    DXF = "dxf"
    OSM_PBF = "osm_pbf"
    CSV = "csv"
    XLSX = "xlsx"
    ZIP = "zip"


@dataclass(frozen=True)
class EncodingFact:
    """Which encoding the texts are read with; `declared` is what the file says of itself."""

    used: str
    declared: str | None = None
    sure: bool = True
    reason: str = "of_the_format"
    why: str = phrase("The format has one encoding.")


@dataclass(frozen=True)
class CrsFact:
    """Which reference system the numbers are in; `srid` is None while nobody knows.

    `choices` are the systems that the numbers allow, the likeliest first.
    """

    srid: int | None
    declared: str | None
    sure: bool
    reason: str
    why: str
    name: str = ""
    wkt: str | None = None
    choices: tuple[int, ...] = ()


@dataclass(frozen=True)
class DatumFact:
    """Which datum longitude and latitude are on; not `sure`: somebody has to look at the map."""

    used: Datum
    sure: bool
    reason: str
    why: str
    choices: tuple[Datum, ...] = ()


@dataclass(frozen=True)
class ColumnFacts:
    """One column; of one that is about persons nothing is told but that it is.

    Attributes
    ----------
    name : str
    kind : str
        `text`, `number`, `date`, `truth`, `other`.
    filled, distinct : int
        Among the rows that were looked at.
    examples : tuple of str, at most 3
    about_person : str or None
        `identity`, `phone`, `name`, `email`, `person`; such a column is never stored.
    """

    name: str
    kind: str
    filled: int
    distinct: int
    examples: tuple[str, ...] = ()
    about_person: str | None = None


@dataclass(frozen=True)
class Proposal:
    """What a layer may be, the likeliest first, and which column may be what.

    `mappings` has for each of `subjects` the program's column -> the file's.
    """

    subjects: tuple[str, ...] = ()
    mappings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerFacts:
    """What is known of one layer.

    Attributes
    ----------
    name : str
    kind : {"areas", "lines", "points", "mixed", "table"}
    features : int
        Rows, with or without a shape.
    looked_at : int
        How many of them the columns' facts rest on.
    encoding, crs, datum : facts
    axes_swapped : bool
        The first number of each pair is the latitude, or the northing.
    bbox : tuple of float or None
        West, south, east, north in degrees, as read with these facts.
    columns : tuple of ColumnFacts
    proposal : Proposal
    member : str or None
        The file inside an archive that the layer is in.
    """

    name: str
    kind: Kind
    features: int
    looked_at: int
    encoding: EncodingFact
    crs: CrsFact
    datum: DatumFact
    axes_swapped: bool
    bbox: Placed | None
    columns: tuple[ColumnFacts, ...]
    proposal: Proposal = field(default_factory=Proposal)
    member: str | None = None


@dataclass(frozen=True)
class Understood:
    """What a file is and what is in it."""

    path: str
    format: FileFormat
    layers: tuple[LayerFacts, ...]
    findings: tuple[Finding, ...] = ()

    def layer(self, name: str | None) -> LayerFacts:
        """Return the layer of this name; None: the only one.

        Raises
        ------
        LookupError
            If there is none, or several.
        """
        found = [layer for layer in self.layers if name is None or layer.name == name]
        if len(found) != 1:
            raise LookupError(name)
        return found[0]

    def as_data(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Wish:
    """How somebody wants a layer read; None: as the file says, refused where it does not.

    Attributes
    ----------
    columns : mapping of str to str
        The program's name -> column of the file; others are never read.
    encoding : str, optional
    crs : int, optional
        EPSG number.
    datum : {"wgs84", "gcj02", "bd09", "cgcs2000"}, optional
    swap_axes : bool, optional
    kind : {"areas", "lines", "points"}, optional
        Rows with other shapes are refused.
    near : tuple of float, optional
        Longitude and latitude of the city: it decides between zones that the numbers allow.
    as_delivered : bool, default False
        Leave the numbers in the file's own system, whatever the frame says; axes are still turned.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    crs: int | None = None
    datum: Datum | None = None
    swap_axes: bool | None = None
    kind: Kind | None = None
    near: tuple[float, float] | None = None
    as_delivered: bool = False


def understood_from_data(data: Mapping[str, Any]) -> Understood:
    """Return what `Understood.as_data` was made from; every value is checked for its type.

    Raises
    ------
    KeyError, TypeError, ValueError
        If `data` is anything else.
    """
    return Understood(
        path=str(data["path"]),
        format=FileFormat(data["format"]),
        layers=tuple(_layer(layer) for layer in data["layers"]),
        findings=tuple(finding_from_data(finding) for finding in data["findings"]),
    )


def finding_from_data(data: Mapping[str, Any]) -> Finding:
    """Return a finding from its fields."""
    return Finding(
        source=str(data["source"]),
        kind=str(data["kind"]),
        subject=str(data["subject"]),
        done=str(data["done"]),
        size=None if data.get("size") is None else float(data["size"]),
        unit=None if data.get("unit") is None else str(data["unit"]),
        x=None if data.get("x") is None else float(data["x"]),
        y=None if data.get("y") is None else float(data["y"]),
    )


def _layer(data: Mapping[str, Any]) -> LayerFacts:
    crs, datum, proposal = data["crs"], data["datum"], data["proposal"]
    return LayerFacts(
        name=str(data["name"]),
        kind=data["kind"],
        features=int(data["features"]),
        looked_at=int(data["looked_at"]),
        encoding=EncodingFact(**data["encoding"]),
        crs=CrsFact(**{**crs, "choices": tuple(int(srid) for srid in crs["choices"])}),
        datum=DatumFact(**{**datum, "choices": tuple(datum["choices"])}),
        axes_swapped=bool(data["axes_swapped"]),
        bbox=None if data["bbox"] is None else _placed(data["bbox"]),
        columns=tuple(
            ColumnFacts(**{**column, "examples": tuple(map(str, column["examples"]))})
            for column in data["columns"]
        ),
        proposal=Proposal(
            tuple(map(str, proposal["subjects"])),
            {str(name): dict(columns) for name, columns in proposal["mappings"].items()},
        ),
        member=None if data["member"] is None else str(data["member"]),
    )


def _placed(values: Any) -> Placed:
    west, south, east, north = (float(value) for value in values)
    return west, south, east, north
