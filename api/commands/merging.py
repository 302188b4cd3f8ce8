"""`wangge merge-nets`: the nets of several departments become one, each old grid traceable."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import typer
from shapely import box

from api.commands.areas_out import (
    MIXED,
    all_or_none,
    put_areas,
    put_places,
    put_table,
    refuse_target,
)
from api.commands.files import CHINA, warn_without_walls
from api.commands.layers import Layer, cpu_s, layer_of, peak_mb
from api.commands.terminal import Json, Step, answer, progress
from geo.crs import WGS84_SRID, metre_srid
from geo.errors import DeliveryError, InvalidInputError
from geo.files.facts import DATUMS, Datum
from geo.nets import COLUMNS, CROSSWALK, Merged, Net, differences, fitted, merge_nets, pairs
from geo.repair import carried_back, each_once

AREAL: Final = ("areas", "mixed")
LINEAR: Final = ("lines", "areas", "mixed")
SHOWN: Final = 8
TOLERANCE_M: Final = 5.0
NEAREST_DEG: Final = 1e-10
"""A hundredth of a millimetre."""
FAR_DEG: Final = 0.5
"""Nets of one city are not so far from each other."""
OWN_COLUMNS: Final = frozenset({*COLUMNS, "fid"})


def merge(
    nets: Annotated[
        list[str], typer.Argument(metavar="NET[:LAYER] NET[:LAYER] ...", help="Files with areas.")
    ],
    out: Annotated[Path, typer.Option(help="Where the units go: .gpkg, .geojson, .shp ...")],
    crosswalk: Annotated[Path, typer.Option(help="Where each old grid went: .csv.")],
    tolerance_m: Annotated[
        float, typer.Option(min=0, max=1000, help="Borders nearer than this are one.")
    ] = TOLERANCE_M,
    outline: Annotated[
        str | None, typer.Option(metavar="FILE[:LAYER]", help="What is to be covered, exactly.")
    ] = None,
    streets: Annotated[
        str | None, typer.Option(metavar="FILE[:LAYER]", help="Lines that borders lie on.")
    ] = None,
    barriers: Annotated[
        str | None, typer.Option(metavar="FILE[:LAYER]", help="Railways, banks, walls: the same.")
    ] = None,
    cells: Annotated[
        str | None, typer.Option(metavar="FILE[:LAYER]", help="Ground that is not to be cut.")
    ] = None,
    weight: Annotated[
        str | None, typer.Option(help="Column with a count; the first net that has it says it.")
    ] = None,
    vote: Annotated[
        list[str] | None, typer.Option(metavar="NAME=WEIGHT", help="How much a net counts; else 1.")
    ] = None,
    crs: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]EPSG", help="Where a file is silent.")
    ] = None,
    datum: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]DATUM", help="wgs84, gcj02, bd09 or cgcs2000; the same."),
    ] = None,
    least_m2: Annotated[float, typer.Option(min=0, help="Smaller units are given away.")] = 1.0,
    least_weight: Annotated[float, typer.Option(min=0, help="The same by the count.")] = 0.0,
    report: Annotated[
        Path | None,
        typer.Option(help="Where nets overlap, leave gaps, differ: .gpkg, .geojson, .parquet."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    as_json: Json = False,
) -> None:
    """Make one net of several that were drawn apart, and say where each old grid went.

    Slivers between borders that mean the same line go where most departments agree; nothing is
    moved, the outline stays as it came. Nothing is stored and no database is needed.
    """
    warn_without_walls()
    files = {"outline": outline, "streets": streets, "barriers": barriers, "cells": cells}
    asked = _Asked(
        nets, {name: file for name, file in files.items() if file is not None},
        _Said.of(crs or [], datum or []), vote or [], weight, tolerance_m, least_m2, least_weight,
        _Targets(out, crosswalk, report), overwrite,
    )  # fmt: skip
    with progress() as step:
        data = _done(asked, step)
    answer(as_json, data, _told(data))


@dataclass(frozen=True)
class _Asked:
    """What was asked for; `more` are the files beside the nets, by what they are."""

    nets: list[str]
    more: dict[str, str]
    said: _Said
    votes: list[str]
    weight: str | None
    tolerance_m: float
    least_m2: float
    least_weight: float
    targets: _Targets
    overwrite: bool


def _done(asked: _Asked, step: Step) -> dict[str, Any]:
    """Read, merge and write; return what is to be said."""
    began, tolerance_m, targets = cpu_s(), asked.tolerance_m, asked.targets
    step("look at the files", 0.0)
    layers = [asked.said.layer(file, AREAL) for file in asked.nets]
    more = {
        name: asked.said.layer(file, LINEAR if name in ("streets", "barriers") else AREAL, name)
        for name, file in asked.more.items()
    }
    every = [*layers, *more.values()]
    asked.said.refuse_unused()
    targets.refuse([layer.path for layer in every], asked.overwrite)
    read, source = _nets(layers, asked.weight, asked.votes, step)
    _refuse_strangers([net.name for net in read], source)
    degrees = {name: _shapes(layer, step) for name, layer in more.items()}
    metres = {name: shapes.to_crs(read[0].areas.crs) for name, shapes in degrees.items()}
    found = merge_nets(
        read,
        tolerance_m=tolerance_m,
        outline=metres.get("outline"),
        lines=_lines(metres),
        cells=metres.get("cells"),
        least_m2=asked.least_m2,
        least_value=asked.least_weight,
        progress=step,
    )
    step("compare and write them", 0.0)
    beside = pairs(read, found.laid, tolerance_m=tolerance_m) if len(read) > 1 else None
    wanted = targets.report is not None
    places = differences(read, found.laid, tolerance_m=tolerance_m) if wanted else None
    notes = _write(found, [*source, *degrees.values()], places, targets, asked.weight)
    data = _data(read, layers, found, beside, asked.weight)
    data |= {"tolerance_m": tolerance_m, **targets.told()}
    data["warnings"] = [*_assumed(every), *_apart(data), *notes]
    data |= {"cpu_s": round(cpu_s() - began, 3), "peak_mb": round(peak_mb(1), 1)}
    return data


class _Said:
    """What the caller said of files that are silent: for all of them, or by a layer's name."""

    def __init__(self, crs: dict[str, int], datum: dict[str, Datum]) -> None:
        self.crs, self.datum = crs, datum
        self.asked = {"crs": set(crs) - {""}, "datum": set(datum) - {""}}
        self.names: list[str] = []

    @classmethod
    def of(cls, crs: Sequence[str], datum: Sequence[str]) -> _Said:
        """Read `NAME=VALUE`, or a value for all.

        Raises
        ------
        InvalidInputError
        """
        systems: dict[str, int] = {}
        for name, value in map(_parted, crs):
            if not value.isdigit():
                raise InvalidInputError(f"'{value}' is no EPSG number.", field="crs")
            systems[name] = int(value)
        datums: dict[str, Datum] = {}
        for name, value in map(_parted, datum):
            if value not in DATUMS:
                raise InvalidInputError(f"A datum is one of {', '.join(DATUMS)}.", field="datum")
            datums[name] = value
        return cls(systems, datums)

    def layer(self, file: str, kinds: tuple[str, ...], role: str = "") -> Layer:
        """Return a layer, read as it was said of its role, else of its name, else of all."""
        plain = layer_of(file, kinds)
        names = (role or plain.facts.name, "")
        self.names.append(names[0])
        crs = next((self.crs[name] for name in names if name in self.crs), None)
        datum = next((self.datum[name] for name in names if name in self.datum), None)
        return plain if crs is None and datum is None else layer_of(file, kinds, crs, datum)

    def refuse_unused(self) -> None:
        """Refuse names that no layer has.

        Raises
        ------
        InvalidInputError
        """
        for field, names in self.asked.items():
            if odd := sorted(names - set(self.names)):
                message = f"'{odd[0]}' is no layer; there are {', '.join(self.names)}."
                raise InvalidInputError(message, field=field)


def _parted(said: str) -> tuple[str, str]:
    name, _, value = said.rpartition("=")
    return name, value


@dataclass(frozen=True)
class _Targets:
    """The files to write: all of them or none."""

    units: Path
    crosswalk: Path
    report: Path | None

    def told(self) -> dict[str, str | None]:
        """Return the names as the answer has them."""
        report = None if self.report is None else str(self.report)
        return {"out": str(self.units), "crosswalk": str(self.crosswalk), "report": report}

    def refuse(self, sources: list[Path], overwrite: bool) -> None:
        """Refuse what cannot be written, before any work is done for it.

        Raises
        ------
        InvalidInputError
        """
        refuse_target(sources, self.units, overwrite=overwrite)
        taken = [*sources, self.units]
        refuse_target(taken, self.crosswalk, (".csv",), overwrite=overwrite, field="crosswalk")
        if self.report is not None:
            taken.append(self.crosswalk)
            refuse_target(taken, self.report, MIXED, overwrite=overwrite, field="report")


def _refuse_strangers(names: Sequence[str], areas: Sequence[gpd.GeoSeries]) -> None:
    """Refuse nets that lie in another part of the world than the others.

    Raises
    ------
    DeliveryError
    """
    boxes = [box(*each.total_bounds) for each in areas]
    for number, (name, own) in enumerate(zip(names, boxes, strict=True)):
        others = boxes[:number] + boxes[number + 1 :]
        if others and min(shapely.distance(own, np.array(others))) > FAR_DEG:
            west, south, east, north = areas[number].total_bounds
            said = (
                f"{name} lies far from the other nets, around {(west + east) / 2:.2f}, "
                f"{(south + north) / 2:.2f}: another place, or a wrong reference system or datum "
                "(wangge check FILE)"
            )
            raise DeliveryError([said])


def _assumed(layers: Sequence[Layer]) -> list[str]:
    """Return what the files did not tell and was taken for granted."""
    return [
        f"{layer.label} does not tell its datum: read as {layer.facts.datum.used} (--datum)"
        for layer in layers
        if not layer.facts.datum.sure
    ]


def _apart(data: dict[str, Any]) -> list[str]:
    """Return which nets have no ground in common with any other."""
    shared: Counter[str] = Counter()
    for pair in data["pairs"]:
        shared[pair["first"]] += pair["common_m2"] > 0
        shared[pair["second"]] += pair["common_m2"] > 0
    return [
        f"{name} has no ground in common with another net" for name, n in shared.items() if not n
    ]


def _nets(
    layers: Sequence[Layer], weight: str | None, votes: Sequence[str], step: Step
) -> tuple[list[Net], list[gpd.GeoSeries]]:
    """Return the nets in metres, and their areas in degrees as delivered."""
    names = _names(layers, weight)
    count_as = _votes(votes, names)
    frames: list[gpd.GeoDataFrame] = []
    for number, layer in enumerate(layers):
        step("read the nets", number / len(layers))
        have = [column.name for column in layer.facts.columns]
        code = layer.facts.proposal.mappings.get("boundaries", {}).get("code")
        wanted = [column for column in (code, weight) if column is not None and column in have]
        frame = layer.rows("areas", columns=list(dict.fromkeys(wanted)))
        there = ~(frame.geometry.is_empty | frame.geometry.isna())
        labels = frame[code].astype(str) if code in wanted else frame.index.astype(str)
        frame.index = pd.Index(each_once(np.asarray(labels, dtype=object)))
        frames.append(frame[there.to_numpy()])
    if weight is not None and not any(weight in frame.columns for frame in frames):
        raise InvalidInputError(f"No net has a column '{weight}'.", field="weight")
    bounds = np.array([frame.total_bounds for frame in frames])
    lon, lat = (np.nanmin(bounds[:, :2], axis=0) + np.nanmax(bounds[:, 2:], axis=0)) / 2
    in_china = CHINA[0] <= lon <= CHINA[2] and CHINA[1] <= lat <= CHINA[3]
    srid = metre_srid(float(lon), float(lat), "cgcs2000" if in_china else "utm")
    nets = [
        Net(name, frame.geometry.to_crs(srid), count_as.get(name, 1.0), _counts(frame, weight))
        for name, frame in zip(names, frames, strict=True)
    ]
    return nets, [frame.geometry for frame in frames]


def _names(layers: Sequence[Layer], weight: str | None) -> list[str]:
    """Return a name for each net: its layer's, with its file's in front where two are alike.

    Each is the name of a column, and files do not tell small letters from capitals there.
    """
    alike = Counter(layer.facts.name for layer in layers)
    names = [
        layer.facts.name
        if alike[layer.facts.name] == 1
        else f"{layer.path.stem} {layer.facts.name}"
        for layer in layers
    ]
    taken = {*OWN_COLUMNS, _summed_as(weight).lower()}
    found: list[str] = []
    for name in names:
        own, number = name, 2
        while own.lower() in taken:
            own, number = f"{name} ({number})", number + 1
        taken.add(own.lower())
        found.append(own)
    return found


def _summed_as(weight: str | None) -> str:
    """Return what the count of a unit is called: as it was asked for, unless that is taken."""
    name = weight or "value"
    return f"{name}_sum" if name.lower() in OWN_COLUMNS | set(CROSSWALK) else name


def _votes(votes: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for said in votes:
        name, _, number = said.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1.0
        if name not in names or not 0.0 <= found[name] < np.inf:
            message = f"'{said}' is no NAME=WEIGHT; the nets are {', '.join(names)}."
            raise InvalidInputError(message, field="vote")
    return found


def _counts(frame: gpd.GeoDataFrame, weight: str | None) -> pd.Series[float] | None:
    if weight is None or weight not in frame.columns:
        return None
    counts: pd.Series[float] = pd.to_numeric(frame[weight], errors="coerce")
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise InvalidInputError(f"'{weight}' is not a count in every row.", field="weight")
    return counts


def _shapes(layer: Layer, step: Step) -> gpd.GeoSeries:
    step(f"read {layer.label}", 0.0)
    shapes = layer.rows().geometry
    shapes = shapes[~(shapes.is_empty | shapes.isna())]
    if shapes.empty:
        raise DeliveryError([f"{layer.label}: no row has a shape"])
    return shapes


def _lines(metres: dict[str, gpd.GeoSeries]) -> gpd.GeoSeries | None:
    """Return streets and barriers as lines: of areas, their banks."""
    found = [metres[name] for name in ("streets", "barriers") if name in metres]
    if not found:
        return None
    shapes = shapely.make_valid(np.concatenate([each.to_numpy() for each in found]))
    areal = np.isin(shapely.get_type_id(shapes), (3, 6))
    shapes[areal] = shapely.boundary(shapes[areal])
    linear = np.isin(shapely.get_type_id(shapes), (1, 2, 5))
    return gpd.GeoSeries(shapes[linear], crs=found[0].crs)


def _write(
    found: Merged,
    source: list[gpd.GeoSeries],
    places: gpd.GeoDataFrame | None,
    targets: _Targets,
    weight: str | None,
) -> list[str]:
    """Write the units in degrees, old vertices as they came, crosswalk and report: all or none."""
    degrees = gpd.GeoSeries(pd.concat(source, ignore_index=True), crs=source[0].crs)
    metres = degrees.to_crs(found.units.crs)
    back = carried_back(found.units.geometry, metres, degrees)
    shapes = gpd.GeoSeries(fitted(back.to_numpy(), NEAREST_DEG), index=back.index, crs=back.crs)
    units = _weighed(found.units, weight).set_geometry(shapes)
    table = _weighed(found.crosswalk, weight)
    table["unit"] = table["unit"].where(table["unit"] >= 0).astype("Int64")
    files = [targets.units, targets.crosswalk, *([targets.report] if targets.report else [])]
    with all_or_none(*files) as made:
        notes = put_areas(units, made[0], "units")
        put_table(table, made[1])
        if places is not None:
            put_places(places.to_crs(WGS84_SRID), made[2], "differences")
    return notes


def _weighed(frame: Any, weight: str | None) -> Any:
    """Call the count as it was asked for; without one there is none."""
    if weight is None:
        return frame.drop(columns="value")
    return frame.rename(columns={"value": _summed_as(weight)})


def _data(
    nets: Sequence[Net],
    layers: Sequence[Layer],
    found: Merged,
    beside: pd.DataFrame | None,
    weight: str | None,
) -> dict[str, Any]:
    grids = found.grids
    listed = [
        {
            "name": net.name,
            "source": layer.label,
            "grids": len(net.areas),
            "vote": net.weight,
            "invalid": found.laid.invalid[number],
            "overlap_m2": float(grids.loc[grids["net"] == net.name, "overlap_m2"].sum()),
            "outside_m2": float(grids.loc[grids["net"] == net.name, "outside_m2"].sum()),
            "left_open_m2": float(
                found.laid.area_m2[found.laid.inside & (found.laid.owner[number] < 0)].sum()
            ),
        }
        for number, (net, layer) in enumerate(zip(nets, layers, strict=True))
    ]
    data = {
        **found.figures(),
        "metre_srid": found.units.crs.to_epsg(),
        "nets": listed,
        "pairs": [] if beside is None else json.loads(beside.to_json(orient="records")),
        "grids": json.loads(grids.to_json(orient="records")),
        "too_small": found.below.tolist(),
    }
    if weight is not None:
        name, total = next(
            (net.name, float(net.counts.sum())) for net in nets if net.counts is not None
        )
        data |= {
            "weight": weight,
            "weight_of": name,
            "weight_total": total,
            "weight_in_units": float(found.units["value"].sum()),
        }
        data["weight_outside"] = data["weight_total"] - data["weight_in_units"]
    return data


def _told(data: dict[str, Any]) -> str:
    lines = [
        (
            f"{data['units']:,} units of {len(data['nets'])} nets; laid over each other as they "
            f"came they were {data['faces']:,} pieces, {data['faces_under_1_m2']:,} under 1 m²"
        ),
        (
            f"  {'a clean coverage' if data['coverage_valid'] else 'NO coverage'}, "
            f"{data['outline_difference_m2']:.1g} m² off the outline; "
            f"{data['contiguity_violations']} units torn, the narrowest {data['narrowest_m']:.1f} m"
        ),
        (
            f"  old grids: {data['outside_m2']:,.0f} m² outside, {data['overlap_m2']:,.0f} m² "
            f"doubled in their own net, account off by {data['crosswalk_residual_m2']:.1g} m²"
        ),
    ]
    lines += [
        f"  {net['name']}: {net['grids']:,} grids, {net['overlap_m2']:,.0f} m² doubled, "
        f"{net['left_open_m2']:,.0f} m² left open, {net['invalid']} invalid"
        for net in data["nets"]
    ]
    worst = sorted(data["pairs"], key=lambda pair: -pair["slivers"])
    lines += [
        f"  {pair['first']} and {pair['second']}: {pair['slivers']:,} slivers, "
        f"{pair['near_border_km']:.1f} km of borders nearly the same, "
        f"{pair['same_border_km']:.1f} km the same"
        for pair in worst[:SHOWN]
    ]
    lines += [f"  note: {said}" for said in data["warnings"]]
    if data["too_small"]:
        lines.append(f"  {len(data['too_small'])} units are too small and have no neighbour")
    lines.append(f"  {data['cpu_s']:.1f} s of CPU, {data['peak_mb']:,.0f} MB at most")
    files = [data[name] for name in ("out", "crosswalk", "report") if data[name]]
    return "\n".join([*lines, f"Written to {' and '.join(files)}"])
