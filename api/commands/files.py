"""`wangge check`: what a file is and what is wrong with it, or what is wrong with a stored city."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import geopandas as gpd
import shapely
import typer

from api.commands.terminal import Json, Step, answer, progress, say
from geo.crs import metre_srid
from geo.errors import DeliveryError, InvalidInputError, TopologyError
from geo.files import jail
from geo.files.facts import DATUMS, LayerFacts, Placed, Wish
from geo.files.reading import read, understand
from geo.findings import Finding
from geo.repair import examine
from geo.settings import Settings

SHOWN: Final = 8
"""How many defects of a layer are listed on the terminal; --json has all."""
CHINA: Final[Placed] = (73.0, 3.0, 136.0, 54.0)
DEGREE_DIGITS: Final = 7

File = Annotated[
    str | None, typer.Argument(metavar="[FILE[:LAYER]]", help="A file, and which layer of it.")
]


def check(
    file: File = None,
    city: Annotated[str | None, typer.Option(help="Short name of a stored city instead.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the texts.")] = None,
    crs: Annotated[int | None, typer.Option(help="EPSG number, if the file is silent.")] = None,
    datum: Annotated[str | None, typer.Option(help="wgs84, gcj02, bd09 or cgcs2000.")] = None,
    swap_axes: Annotated[
        bool | None, typer.Option("--swap-axes/--no-swap-axes", help="Latitude stands first.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a file is and what is wrong with it; or recompute a city from its geometry.

    Of a file nothing is stored and no database is needed. With --city the exit code is 1 when
    anything contradicts the stored city.
    """
    if (file is None) == (city is None):
        message = "Name a file, or a city with --city: one of the two."
        raise InvalidInputError(message, field="file")
    if city is not None:
        from api.commands import city as cities  # its own commands read files, by this module

        cities.check(city, as_json)
        return
    if datum is not None and datum not in DATUMS:
        message = f"A datum is one of {', '.join(DATUMS)}."
        raise InvalidInputError(message, field="datum")
    path, layer = parted(str(file))
    wish = Wish(encoding=encoding, crs=crs, datum=datum, swap_axes=swap_axes)
    warn_without_walls()
    with progress() as step:
        found = examined(path, layer, wish, step)
    answer(as_json, found, _told(found))


def parted(file: str) -> tuple[Path, str | None]:
    """Return path and layer of `FILE[:LAYER]`.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    """
    path, layer = Path(file), None
    if not path.is_file() and ":" in file:
        name, _, layer = file.rpartition(":")
        path = Path(name)
    if not path.is_file():
        message = f"There is no file {path}."
        raise InvalidInputError(message, field="file")
    return path, layer


def warn_without_walls() -> None:
    """Say once that files are read without walls on this machine, and what to do."""
    why = jail.missing()
    if why is not None:
        say(f"Files are read without walls: {why}. Open only files that you trust.")


def examined(path: Path, layer: str | None, wish: Wish, step: Step) -> dict[str, Any]:
    """Return what a file is and what is wrong with each of its layers, as plain data.

    Raises
    ------
    FileRefusedError, DeliveryError
        If it cannot be read.
    """
    step(f"Looking at {path.name}", 0.0)
    understood = understand(
        path, wish, layer=layer, limits=Settings().operator_limits, trusted=True
    )
    try:
        chosen = (understood.layer(layer),) if layer is not None else understood.layers
    except LookupError:
        listed = ", ".join(facts.name for facts in understood.layers)
        said = f"{path.name}: no layer is called '{layer}', or several are; it has {listed}"
        raise DeliveryError([said]) from None
    step(f"Looking at {path.name}", 1.0)
    layers = []
    for number, facts in enumerate(chosen):
        step("Measuring", number / len(chosen))
        layers.append(_layer(path, facts, wish))
    step("Measuring", 1.0)
    names = {facts.name for facts in chosen}
    heard = [asdict(found) for found in understood.findings if _is_about(found, names, layer)]
    return {
        "file": path.name,
        "format": str(understood.format),
        **_sums(layers),
        "findings": heard,
        "layers": layers,
    }


def _is_about(finding: Finding, names: set[str], layer: str | None) -> bool:
    of = finding.source.rpartition(":")[2]
    return layer is None or of in names or ":" not in finding.source


def _sums(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of all layers together; a fact is that of all, or None."""
    sums: dict[str, Any] = {
        name: _sum([layer[name] for layer in layers])
        for name in ("features", "invalid", "overlaps", "gaps", "slivers")
    }
    for name in ("encoding", "datum", "crs"):
        said = {layer[name] for layer in layers}
        sums[name] = said.pop() if len(said) == 1 else None
    valid = [layer["coverage_valid"] for layer in layers if layer["coverage_valid"] is not None]
    sums["coverage_valid"] = all(valid) if valid else None
    return sums


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _layer(path: Path, facts: LayerFacts, wish: Wish) -> dict[str, Any]:
    data: dict[str, Any] = {
        "layer": facts.name,
        "kind": facts.kind,
        "features": facts.features,
        "encoding": facts.encoding.used,
        "encoding_declared": facts.encoding.declared,
        "crs": f"EPSG:{facts.crs.srid}" if facts.crs.srid else facts.crs.name or None,
        "crs_sure": facts.crs.sure,
        "datum": wish.datum or (facts.datum.used if facts.datum.sure else "unknown"),
        "axes_swapped": facts.axes_swapped,
        "bbox": facts.bbox,
        "invalid": None,
        "overlaps": None,
        "gaps": None,
        "slivers": None,
        "coverage_valid": None,
        "said": [facts.encoding.why, facts.crs.why, facts.datum.why],
        "columns": [asdict(column) for column in facts.columns],
        "may_be": list(facts.proposal.subjects),
        "defects": [],
    }
    if facts.kind == "table" or facts.bbox is None or not facts.features:
        return data
    known = Wish(
        encoding=wish.encoding,
        crs=wish.crs or facts.crs.srid,
        datum=wish.datum or facts.datum.used,
        swap_axes=facts.axes_swapped,
    )
    limits = Settings().operator_limits
    delivered = read(path, facts.name, known, limits=limits, trusted=True)
    shapes = delivered.frame.geometry
    shapes = shapes[~(shapes.isna() | shapes.is_empty)]
    data["invalid"] = int((~shapes.is_valid).sum())
    if facts.kind == "areas" and len(shapes):
        data |= _measured(shapes, facts.bbox)
    return data


def _measured(shapes: gpd.GeoSeries, bbox: Placed) -> dict[str, Any]:
    """Return the faults of areas, measured in metres where they lie."""
    lon, lat = (bbox[0] + bbox[2]) / 2, (bbox[1] + bbox[3]) / 2
    in_china = CHINA[0] <= lon <= CHINA[2] and CHINA[1] <= lat <= CHINA[3]
    try:
        metres = shapes.to_crs(metre_srid(lon, lat, "cgcs2000" if in_china else "utm"))
    except TopologyError as error:
        return {"said": [error.message]}
    found = examine(metres)
    defects = found.defects
    places = gpd.GeoSeries(gpd.points_from_xy(defects["x"], defects["y"]), crs=metres.crs)
    degrees = places.to_crs(4326)
    listed = [
        {
            "kind": kind,
            "subject": subject,
            "size_m2": float(size),
            "lon": round(place.x, DEGREE_DIGITS),
            "lat": round(place.y, DEGREE_DIGITS),
            "sliver": bool(sliver),
        }
        for kind, subject, size, sliver, place in zip(
            defects["kind"],
            defects["subject"].astype(str),
            defects["size_m2"],
            defects["sliver"],
            degrees,
            strict=True,
        )
    ]
    kinds = defects["kind"]
    valid = bool(shapes.is_valid.all()) and bool(shapely.coverage_is_valid(metres.to_numpy()))
    return {
        "metre_srid": metres.crs.to_epsg(),
        "overlaps": int((kinds == "overlap").sum()),
        "gaps": int((kinds == "gap").sum()),
        "slivers": int(defects["sliver"].sum()),
        "coverage_valid": valid,
        "defects": listed,
    }


def _told(found: dict[str, Any]) -> str:
    lines = [f"{found['file']}: {found['format'].replace('_', ' ')}"]
    for layer in found["layers"]:
        lines.append(
            f"  {layer['layer']}: {layer['features']:,} {layer['kind']}, {layer['encoding']}, "
            f"{layer['crs'] or 'no reference system'}, datum {layer['datum']}"
        )
        if layer["coverage_valid"] is not None:
            lines.append(
                f"    {layer['invalid']:,} invalid, {layer['overlaps']:,} overlaps, "
                f"{layer['gaps']:,} gaps, {layer['slivers']:,} slivers: "
                + ("a clean coverage" if layer["coverage_valid"] else "not a coverage")
            )
        elif layer["invalid"]:
            lines.append(f"    {layer['invalid']:,} invalid")
        largest = sorted(layer["defects"], key=lambda defect: -defect["size_m2"])
        lines += [
            f"    {defect['kind'].replace('_', ' ')} {defect['subject']}: "
            f"{defect['size_m2']:,.2f} m² at {defect['lon']}, {defect['lat']}"
            for defect in largest[:SHOWN]
        ]
        if len(largest) > SHOWN:
            lines.append(f"    and {len(largest) - SHOWN:,} more; --json has all of them")
    lines += [Finding(**finding).line() for finding in found["findings"]]
    return "\n".join(lines)
