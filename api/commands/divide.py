"""`wangge divide`: cells of a file become contiguous units near a wished weight."""

from __future__ import annotations

import resource
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Annotated, Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
import typer
from numpy.typing import NDArray

from api.commands.files import CHINA, parted, warn_without_walls
from api.commands.terminal import Json, answer, progress
from geo.crs import WGS84_SRID, metre_srid
from geo.errors import DeliveryError, InvalidInputError, TopologyError
from geo.files.facts import LayerFacts, Wish
from geo.files.reading import read, understand
from geo.partition import (
    QUICK,
    THOROUGH,
    Division,
    Wishes,
    changed,
    explained,
    refuse_parts,
)
from geo.partition import (
    divide as divided,
)
from geo.partition.ground import Ground, areas_of, ground_of
from geo.partition.units import measures, unions
from geo.repair import carried_back
from geo.repair import repair as repaired

SHOWN: Final = 8
WRITERS: Final = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON"}
ALL_DIGITS: Final = {"COORDINATE_PRECISION": 17}
LISTED: Final = 1000
"""So many explanations stand in the answer; the file has all."""

Ints = NDArray[np.int64]
Layer = Annotated[str | None, typer.Option(metavar="FILE[:LAYER]")]
OWN_COLUMNS: Final = frozenset(
    {"unit", "within", "cells", "deviation", "rule", "why", "polsby_popper", "geometry", "fid"}
)
"""Columns of units besides the summed weights."""


@dataclass(frozen=True)
class Cells:
    """Cells as read: in degrees as delivered, in metres, with their columns."""

    degrees: gpd.GeoSeries
    metres: gpd.GeoSeries
    columns: pd.DataFrame
    mended: bool
    bare: int
    warnings: tuple[str, ...]

    @property
    def srid(self) -> int:
        """The metre CRS that decides."""
        return int(self.metres.crs.to_epsg())


@dataclass(frozen=True)
class Asked:
    """What was asked for."""

    cells: str
    weights: list[str]
    targets: list[float]
    tolerance: float
    parts: int | None
    within: str | None
    barriers: str | None
    streets: str | None
    whole: str | None
    start: str | None
    keep: list[str]
    max_change: float
    thorough: bool
    seed: int


def divide(
    cells: Annotated[str, typer.Argument(metavar="CELLS[:LAYER]", help="A coverage of cells.")],
    weight: Annotated[list[str], typer.Option(help="Column to share out evenly; may repeat.")],
    out: Annotated[Path, typer.Option(help="Where the units go: .gpkg or .geojson.")],
    target: Annotated[
        list[float] | None, typer.Option(min=0, help="Wished weight of a unit, one a column.")
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="Share a unit may be off.")] = 0.2,
    parts: Annotated[int | None, typer.Option(min=1, help="Number of units.")] = None,
    within: Annotated[
        str | None, typer.Option(help="Column, or FILE[:LAYER] of areas: borders that hold.")
    ] = None,
    barriers: Annotated[
        str | None, typer.Option(metavar="FILE[:LAYER]", help="Railways, walls, rivers.")
    ] = None,
    streets: Annotated[
        str | None, typer.Option(metavar="FILE[:LAYER]", help="Open barriers where they cross.")
    ] = None,
    whole: Annotated[
        str | None, typer.Option(help="Column or FILE[:LAYER]: compounds that stay whole.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="FILE[:LAYER]", help="The present net: change little.")
    ] = None,
    max_change: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the weight that may change its unit.")
    ] = 0.05,
    keep: Annotated[
        list[str] | None, typer.Option(help="A unit of the present net that stays as it is.")
    ] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Look five times longer.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another number, another division.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Divide cells into contiguous units near a target, inside borders that hold.

    Nothing is stored and no database is needed. The same file, options and seed give the same
    units. A wish that cannot be met is refused with the reason; each unit says which rule binds it.
    """
    asked = Asked(
        cells, weight, target or [], tolerance, parts, within, barriers, streets, whole, start,
        keep or [], max_change, thorough, seed,
    )  # fmt: skip
    _refuse_odd(asked)
    named = [name for name in (within, whole) if name is not None and _is_file(name)]
    files = [parted(file)[0] for file in (cells, barriers, streets, start, *named) if file]
    _refuse_target(files, out, overwrite)
    warn_without_walls()
    with progress() as step:
        step("read the files", 0.0)
        data = _done(asked, out, step)
    answer(as_json, data, _told(data))


def _done(asked: Asked, out: Path, step: Any) -> dict[str, Any]:
    """Read, divide and write; return what is to be said."""
    began = _cpu_s()
    cells = _cells(asked)
    parents, names = _parents(cells, asked)
    ground = _ground(cells, parents.to_numpy(), asked)
    wishes = _wishes(ground, asked)
    took = process_time()
    effort = THOROUGH if asked.thorough else QUICK
    change: dict[str, Any] = {}
    if asked.start is None:
        graph = ground.graph
        found = divided(
            graph, wishes, parts=asked.parts, seed=asked.seed, effort=effort, progress=step
        )
    else:
        found, change = _changed(cells, ground, wishes, asked, asked.start, step)
    took = process_time() - took
    step("write the units", 0.0)
    why = explained(ground.graph, found.labels, found.score, wishes)
    labels = ground.labels(found.labels)
    units, measured = _units(cells, labels, found, why, parents, names, asked)
    if was := change.pop("was", None):
        units.insert(1, "was", pd.Series(was).reindex(units.index).fillna(""))
    _write(units, out)
    data = _figures(ground, found, wishes, units, asked)
    data |= {key: value for key, value in measured.items() if key != "polsby_popper_each"}
    data |= change
    data |= {
        "metre_srid": cells.srid, "cells_mended": cells.mended, "cells_without_shape": cells.bare,
        "warnings": [*cells.warnings, *_warnings(ground, found, names, asked)],
        "divide_cpu_s": round(took, 3), "cpu_s": round(_cpu_s() - began, 3),
        "peak_mb": round(_peak_mb(), 1), "seed": asked.seed, "out": str(out),
    }  # fmt: skip
    return data


def _refuse_odd(asked: Asked) -> None:
    if not asked.targets and asked.parts is None:
        message = "Say --target, the wished weight of a unit, or --parts, their number."
        raise InvalidInputError(message, field="target")
    if asked.targets and len(asked.targets) != len(asked.weights):
        message = f"{len(asked.weights)} columns have {len(asked.targets)} targets: one each."
        raise InvalidInputError(message, field="target")
    if any(target <= 0 for target in asked.targets):
        raise InvalidInputError("A target is above 0.", field="target")
    if asked.start is not None and asked.parts is not None:
        message = "--start keeps the number of units of the present net; leave --parts out."
        raise InvalidInputError(message, field="parts")
    if asked.start is not None and not asked.targets:
        raise InvalidInputError("--start needs --target.", field="target")


def _refuse_target(sources: list[Path], out: Path, overwrite: bool) -> None:
    if out.suffix.lower() not in WRITERS:
        message = f"{out} has to end in one of {', '.join(WRITERS)}."
        raise InvalidInputError(message, field="out")
    if out.resolve() in [path.resolve() for path in sources]:
        raise InvalidInputError(f"{out} is a file that is read.", field="out")
    if out.exists() and not overwrite:
        message = f"{out} exists; choose another name or say --overwrite."
        raise InvalidInputError(message, field="out")
    if not out.parent.is_dir():
        raise InvalidInputError(f"There is no folder {out.parent}.", field="out")


def _layer(file: str, kinds: tuple[str, ...], columns: list[str]) -> tuple[gpd.GeoDataFrame, int]:
    """Return the rows of a layer that have a shape, in degrees, and how many have none."""
    path, layer = parted(file)
    understood = understand(path, Wish(), trusted=True)
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
    frame = read(path, facts.name, _wish(facts, columns), trusted=True).frame
    shapes = frame.geometry.to_numpy()
    kept = frame[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    if kept.empty:
        raise DeliveryError([f"{path.name}: no row has a shape"])
    flat = gpd.GeoSeries(kept.geometry.force_2d(), crs=WGS84_SRID)
    return kept.set_geometry(flat), len(frame) - len(kept)


def _wish(facts: LayerFacts, columns: list[str]) -> Wish:
    known = [column.name for column in facts.columns]
    for column in columns:
        if column not in known:
            message = f"There is no column '{column}'; it has {', '.join(known)}."
            raise InvalidInputError(message, field="weight", column=column)
    return replace(
        Wish(columns={column: column for column in columns}),
        encoding=facts.encoding.used,
        crs=facts.crs.srid,
        datum=facts.datum.used,
        swap_axes=facts.axes_swapped,
    )


def _is_file(name: str) -> bool:
    return Path(name).is_file() or Path(name.rpartition(":")[0] or "/").is_file()


def _cells(asked: Asked) -> Cells:
    """Read the cells; what is no coverage is mended, or refused where that takes decisions.

    Raises
    ------
    DeliveryError
        If the cells contradict each other; `wangge repair` takes the decisions.
    """
    named = [name for name in (asked.within, asked.whole) if name and not _is_file(name)]
    columns = list(dict.fromkeys([*asked.weights, *named]))
    frame, bare = _layer(asked.cells, ("areas", "mixed"), columns)
    frame = frame.reset_index(drop=True)
    warnings = [f"{bare:,} rows have no shape: left out"] if bare else []
    for column in asked.weights:
        counts = pd.to_numeric(frame[column], errors="coerce")
        if empty := int(counts.isna().sum()):
            warnings.append(f"'{column}' is no number in {empty:,} cells: counted as 0")
        frame[column] = counts.fillna(0.0)
        if (frame[column] < 0).any():
            row = int(np.flatnonzero(frame[column] < 0)[0]) + 1
            raise InvalidInputError(f"'{column}' is below 0 in row {row}.", field="weight", row=row)
    west, south, east, north = frame.total_bounds.tolist()
    lon, lat = (west + east) / 2, (south + north) / 2
    in_china = CHINA[0] <= lon <= CHINA[2] and CHINA[1] <= lat <= CHINA[3]
    metres = frame.geometry.to_crs(metre_srid(lon, lat, "cgcs2000" if in_china else "utm"))
    degrees, mended = frame.geometry, False
    shapes = metres.to_numpy()
    if not (shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes)):
        found = repaired(metres)
        degrees = carried_back(found.areas, metres, frame.geometry).reindex(frame.index)
        metres, mended = found.areas.reindex(frame.index), True
        here = ~(metres.isna() | metres.is_empty)
        frame, metres, degrees = frame[here], metres[here], degrees[here]
        said = "the cells were no coverage: overlaps and narrow gaps are mended"
        warnings.append(f"{said} (wangge repair lists each)")
    table = pd.DataFrame(frame.drop(columns="geometry")).reset_index(drop=True)
    return Cells(
        degrees.reset_index(drop=True), metres.reset_index(drop=True), table, mended, bare,
        tuple(warnings),
    )  # fmt: skip


def _grouped(cells: Cells, name: str) -> tuple[pd.Series[Any], int]:
    """Return the group of each cell by a column or by areas of a file, and how many lie across."""
    if not _is_file(name):
        return cells.columns[name].astype("object"), 0
    areas, _ = _layer(name, ("areas", "mixed"), [])
    valid = areas.geometry.make_valid().to_crs(cells.srid)
    found, across = areas_of(cells.metres, valid)
    group = pd.Series(found + 1, dtype="object")
    return group.where(found >= 0, None), int(across.sum())


def _parents(cells: Cells, asked: Asked) -> tuple[pd.Series[Any], list[str]]:
    """Return the number of each cell's parent, and the parents' names."""
    if asked.within is None:
        return pd.Series(np.zeros(len(cells.metres), dtype=np.int64)), [""]
    group, _ = _grouped(cells, asked.within)
    codes, names = pd.factorize(group.fillna("").astype(str), sort=False)
    return pd.Series(codes.astype(np.int64)), [str(name) for name in names]


def _ground(cells: Cells, parents: Ints, asked: Asked) -> Ground:
    def lines(file: str | None, kinds: tuple[str, ...]) -> gpd.GeoSeries | None:
        if file is None:
            return None
        shapes = _layer(file, kinds, [])[0].geometry
        shapes = shapes[shapes.geom_type.str.contains("Line|Polygon")]
        return shapes.make_valid().to_crs(cells.srid).reset_index(drop=True)

    whole = None
    if asked.whole is not None:
        group, _ = _grouped(cells, asked.whole)
        named = group.notna() & (group.astype(str) != "")
        codes, _ = pd.factorize(group.astype(str))
        whole = np.where(named, codes, -1).astype(np.int64)
    return ground_of(
        cells.metres,
        cells.columns[asked.weights].to_numpy(dtype=np.float64),
        parents,
        barriers=lines(asked.barriers, ("lines", "areas", "mixed")),
        streets=lines(asked.streets, ("lines", "mixed")),
        whole=whole,
    )


def _wishes(ground: Ground, asked: Asked) -> Wishes:
    """Return the wishes, or refuse what cannot be met."""
    if asked.parts is not None:
        target = asked.targets[0] if asked.targets else None
        refuse_parts(ground.graph, asked.parts, asked.tolerance, target)
    sums = ground.graph.weight.sum(axis=0)
    targets = asked.targets or [
        float(total) / (asked.parts or 1) if total > 0 else 1.0 for total in sums
    ]
    return Wishes(tuple(targets), (asked.tolerance,) * len(targets))


def _changed(
    cells: Cells, ground: Ground, wishes: Wishes, asked: Asked, start: str, step: Any
) -> tuple[Division, dict[str, Any]]:
    """Improve the present net by little change; say what changed."""
    path, layer = parted(start)
    known = understand(path, Wish(), trusted=True)
    named = [
        column.name
        for facts in known.layers
        if layer in (None, facts.name)
        for column in facts.columns
        if column.name == "unit"
    ]
    net, _ = _layer(start, ("areas", "mixed"), named)
    names = (net["unit"] if named else pd.Series(np.arange(1, len(net) + 1))).astype(str).tolist()
    area, _ = areas_of(cells.metres, net.geometry.make_valid().to_crs(cells.srid))
    today = np.full(ground.graph.size, -1, dtype=np.int64)
    dry = ground.node >= 0
    today[ground.node[dry]] = area[dry]
    if strange := [name for name in asked.keep if name not in names]:
        raise InvalidInputError(f"The present net has no unit {strange[0]}.", field="keep")
    fixed = np.isin(today, [names.index(name) for name in asked.keep])
    return changed(
        ground.graph, today, wishes, max_change=asked.max_change, fixed=fixed, seed=asked.seed,
        names=names, progress=step,
    )  # fmt: skip


def _units(
    cells: Cells, labels: Ints, found: Division, why: pd.DataFrame, parents: pd.Series[Any],
    names: list[str], asked: Asked,
) -> tuple[gpd.GeoDataFrame, dict[str, Any]]:  # fmt: skip
    """Return the units in degrees and what is measured of them in metres."""
    count = int(labels.max()) + 1
    first = np.unique(labels, return_index=True)[1]
    measured = measures(unions(cells.metres, labels), cells.metres)
    table = pd.DataFrame({"unit": np.arange(1, count + 1)})
    if asked.within is not None:
        table["within"] = [names[int(parents.iloc[cell])] for cell in first]
    for column in asked.weights:
        sums = np.bincount(labels, weights=cells.columns[column], minlength=count)
        table[_summed_as(column)] = sums
    table["cells"] = np.bincount(labels, minlength=count)
    for name, default, values in (
        ("deviation", -1.0, found.score.units["deviation"].round(6)),
        ("rule", "no_weight", why["rule"]),
        ("why", "water without land in its parent", why["said"]),
    ):
        table[name] = values.reindex(table.index).fillna(default)
    table["polsby_popper"] = measured["polsby_popper_each"]
    shapes = unions(cells.degrees, labels).to_numpy()
    return gpd.GeoDataFrame(table, geometry=shapes, crs=WGS84_SRID), measured


def _summed_as(column: str) -> str:
    """Return what the sum of a weight is called where units have a column of this name already."""
    return f"{column}_sum" if column.lower() in OWN_COLUMNS else column


def _figures(
    ground: Ground, found: Division, wishes: Wishes, units: gpd.GeoDataFrame, asked: Asked
) -> dict[str, Any]:
    told = found.score.units
    apart = told["pieces"] > 1
    listed = units[["unit", "rule", "why"]].to_dict("records")
    off = told["deviation"].abs()
    return {
        "cells": len(ground.node),
        "units": len(units),
        "parents": int(ground.parent.max()) + 1,
        "weight": asked.weights[0],
        "total": ground.graph.total,
        "target": wishes.target[0],
        "targets": dict(zip(asked.weights, wishes.target, strict=True)),
        "tolerance": asked.tolerance,
        "within_tolerance": found.score.good,
        "within_tolerance_strict": float(told["within"].mean()),
        "single_heavy_cells": int((told["alone"] & ~told["within"]).sum()),
        "max_deviation": float(off.max()),
        "max_deviation_without_single_cells": float(off.where(~told["alone"], 0.0).max()),
        "mean_deviation": float(off.mean()),
        "contiguity_violations": int(apart.sum()),
        "cut_km": found.score.cut_m / 1000,
        "objective": found.score.objective,
        "rules": units["rule"].value_counts().to_dict(),
        "explanations": listed[:LISTED],
    }  # fmt: skip


def _warnings(ground: Ground, found: Division, names: list[str], asked: Asked) -> list[str]:
    """Return what somebody should know before using the units."""
    said = []
    graph, told = ground.graph, found.score.units
    if asked.within is not None and "" in names:
        outside = int((ground.parent == names.index("")).sum())
        said.append(f"{outside:,} cells lie in none of the parents: they are one of their own")
    if graph.total <= 0:
        said.append(f"no cell has any '{asked.weights[0]}': each piece of ground is one unit")
    split = ground.graph.parent[_pieces_first(ground)]
    several = np.flatnonzero(np.bincount(split, minlength=1) > 1)
    if len(several):
        said.append(
            f"{len(several):,} parents lie in pieces that do not touch or that barriers part: "
            "units stay inside one piece"
        )
    if heavy := int((told["alone"] & ~told["within"]).sum()):
        said.append(f"{heavy:,} units are one cell that is heavier than the target by itself")
    if ground.torn:
        said.append(f"{ground.torn:,} compounds lie in pieces that do not touch: whole by piece")
    off = told[~told["within"] & ~told["alone"]]
    if len(off):
        said.append(f"{len(off):,} units are beyond the tolerance; 'why' says what binds each")
    return said


def _pieces_first(ground: Ground) -> Ints:
    from geo.partition.graph import components

    graph = ground.graph
    piece = components(graph.size, graph.left, graph.right)
    return np.unique(piece, return_index=True)[1].astype(np.int64)


def _write(frame: gpd.GeoDataFrame, out: Path) -> None:
    """Write the units, all or nothing.

    Raises
    ------
    TopologyError
        If what was written is no coverage.
    """
    driver = WRITERS[out.suffix.lower()]
    options = ALL_DIGITS if driver == "GeoJSON" else {}
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".wangge-divide-") as folder:
        draft = Path(folder) / out.name
        pyogrio.write_dataframe(frame, draft, layer="units", driver=driver, **options)
        written = pyogrio.read_dataframe(draft, columns=[]).geometry.to_numpy()
        if not (shapely.is_valid(written).all() and shapely.coverage_is_valid(written)):
            raise TopologyError(f"What would be written to {out.name} is no coverage in degrees.")
        draft.replace(out)


def _cpu_s() -> float:
    spent = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        spent += usage.ru_utime + usage.ru_stime
    return spent


def _peak_mb() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + child) / 1024


def _told(data: dict[str, Any]) -> str:
    lines = [
        f"{data['units']:,} units of {data['cells']:,} cells in {data['parents']:,} parents",
        (
            f"  {data['within_tolerance']:.1%} are within {data['tolerance']:.0%} of "
            f"{data['target']:,.0f} {data['weight']} or one heavy cell; the farthest is "
            f"{data['max_deviation']:.0%} off"
        ),
        (
            f"  {data['cut_km']:,.1f} km of borders between them; "
            f"{data['contiguity_violations']} in pieces; "
            f"a {'clean' if data['coverage_valid'] else 'faulty'} coverage"
        ),
    ]
    if "changed_share" in data:
        lines.append(
            f"  {data['changed_share']:.1%} of the weight changed its unit; "
            f"{data['within_before']:.1%} were within tolerance before"
        )
    lines += [f"  {rule.replace('_', ' ')}: {count:,}" for rule, count in data["rules"].items()]
    lines += [f"  note: {said}" for said in data["warnings"][:SHOWN]]
    lines.append(f"  {data['cpu_s']:.1f} s of CPU, {data['peak_mb']:,.0f} MB at most")
    return "\n".join([*lines, f"Written to {data['out']}"])
