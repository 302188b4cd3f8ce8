"""`wangge divide`: cells of a file become contiguous units near a wished weight."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Annotated, Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from api.commands.areas_out import refuse_target, write_areas
from api.commands.divide_files import (
    Asked,
    Cells,
    cells_of,
    ground_under,
    held_along,
    is_file,
    parents_of,
    present_net,
)
from api.commands.files import parted, warn_without_walls
from api.commands.terminal import Json, answer, progress
from geo.crs import WGS84_SRID
from geo.errors import DatasetError, InvalidInputError
from geo.partition import (
    QUICK,
    THOROUGH,
    Division,
    Held,
    Wishes,
    changed,
    explained,
    joined,
    melted,
    opened,
    refuse_parts,
)
from geo.partition import (
    divide as divided,
)
from geo.partition import (
    refuse_target as refuse_wish,
)
from geo.partition.graph import components
from geo.partition.ground import Ground
from geo.partition.units import alike, measures, unions

SHOWN: Final = 8
TOLERANCE: Final = 0.2
LISTED: Final = 1000
"""So many explanations stand in the answer; the file has all."""

Ints = NDArray[np.int64]
OWN_COLUMNS: Final = frozenset(
    {"unit", "within", "cells", "deviation", "rule", "why", "polsby_popper", "geometry", "fid"}
)
"""Columns of units besides the summed weights."""


MAX_CHANGE: Final = 0.05
"""Share that may change with --start, where neither large nor small units are to be reshaped."""


Start = Annotated[
    str | None, typer.Option(metavar="FILE[:LAYER]", help="The present net: change little.")
]
Code = Annotated[str | None, typer.Option(help="Column of the present net that names its units.")]
MaxChange = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Share of the weight that may change its unit (0.05)."),
]
Keep = Annotated[
    list[str] | None, typer.Option(help="A unit of the present net that stays as it is.")
]
FixedBorders = Annotated[
    str | None,
    typer.Option(metavar="FILE[:LAYER]", help="Borders of the present net that stay."),
]
SplitAbove = Annotated[
    float | None, typer.Option(min=0, help="Divide units of the present net above this.")
]
MergeBelow = Annotated[
    float | None, typer.Option(min=0, help="Merge units of the present net below this.")
]


@dataclass(frozen=True)
class Made:
    """A division, and what a present net had to do with it."""

    division: Division
    held: Held | None
    was: list[str]
    figures: dict[str, Any]
    warnings: list[str]


def divide(
    cells: Annotated[str, typer.Argument(metavar="CELLS[:LAYER]", help="A coverage of cells.")],
    weight: Annotated[list[str], typer.Option(help="Column to share out evenly; may repeat.")],
    out: Annotated[Path, typer.Option(help="Where the units go: .gpkg, .geojson, .shp ...")],
    target: Annotated[
        list[float] | None, typer.Option(min=0, help="Wished weight of a unit, one a column.")
    ] = None,
    tolerance: Annotated[
        list[float] | None,
        typer.Option(min=0, max=1, help="Share a unit may be off (0.2); one, or one a column."),
    ] = None,
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
    start: Start = None,
    code: Code = None,
    max_change: MaxChange = None,
    keep: Keep = None,
    fixed_borders: FixedBorders = None,
    split_above: SplitAbove = None,
    merge_below: MergeBelow = None,
    empty_is_zero: Annotated[
        bool, typer.Option("--empty-is-zero", help="Cells without a weight count as 0.")
    ] = False,
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
        cells, weight, target or [], tolerance or [TOLERANCE], parts, within, barriers, streets,
        whole, start, code, keep or [], fixed_borders, split_above, merge_below, max_change,
        empty_is_zero, thorough, seed,
    )  # fmt: skip
    _refuse_odd(asked)
    named = [name for name in (within, whole) if name is not None and is_file(name)]
    read = (cells, barriers, streets, start, fixed_borders, *named)
    refuse_target([parted(file)[0] for file in read if file], out, overwrite=overwrite)
    warn_without_walls()
    with progress() as step:
        step("read the files", 0.0)
        try:
            data = _done(asked, out, step)
        except DatasetError as error:
            raise _in_one_line(error) from None
    answer(as_json, data, _told(data))


def _in_one_line(error: DatasetError) -> DatasetError:
    """Return the error with its first reason as its message; `--json` lists all."""
    first, *more = error.data["defects"]
    rest = f" (and {len(more):,} more; --json lists them)" if more else ""
    error.message = f"{first}{rest}"
    return error


def _done(asked: Asked, out: Path, step: Any) -> dict[str, Any]:
    """Read, divide and write; return what is to be said."""
    began = _cpu_s()
    cells = cells_of(asked)
    parents, names = parents_of(cells, asked)
    ground = ground_under(cells, parents.to_numpy(), asked)
    wishes = _wishes(cells, ground, asked)
    took = process_time()
    made = _made(cells, ground, wishes, asked, step)
    took = process_time() - took
    step("write the units", 0.0)
    found = made.division
    why = explained(
        ground.graph, found.labels, found.score, wishes, held=made.held, names=asked.weights
    )
    labels = ground.labels(found.labels)
    units, measured = _units(cells, labels, found, why, parents, names, asked)
    if made.was:
        units.insert(1, "was", pd.Series(made.was).reindex(units.index).fillna(""))
    cut_off = write_areas(units, out, "units")
    data = _figures(ground, found, wishes, units, asked)
    data |= {key: value for key, value in measured.items() if key != "polsby_popper_each"}
    data |= made.figures
    said = [*cells.warnings, *made.warnings, *_warnings(cells, ground, found, names, asked)]
    data |= {
        "metre_srid": cells.srid, "cells_mended": cells.mended, "cells_without_shape": cells.bare,
        "warnings": [*said, *cut_off],
        "divide_cpu_s": round(took, 3), "cpu_s": round(_cpu_s() - began, 3),
        "peak_mb": round(_peak_mb(), 1), "seed": asked.seed, "out": str(out),
    }  # fmt: skip
    return data


def _refuse_odd(asked: Asked) -> None:
    """Refuse options that contradict each other.

    Raises
    ------
    InvalidInputError
    """
    if not asked.targets and asked.parts is None:
        message = "Say --target, the wished weight of a unit, or --parts, their number."
        raise InvalidInputError(message, field="target")
    if asked.targets and len(asked.targets) != len(asked.weights):
        message = f"{len(asked.weights)} columns have {len(asked.targets)} targets: one each."
        raise InvalidInputError(message, field="target")
    if len(asked.tolerances) not in (1, len(asked.weights)):
        message = f"{len(asked.weights)} columns have {len(asked.tolerances)} tolerances: one for "
        raise InvalidInputError(f"{message}all, or one each.", field="tolerance")
    if any(target <= 0 for target in asked.targets):
        raise InvalidInputError("A target is above 0.", field="target")
    if asked.start is not None and asked.parts is not None:
        message = "--start keeps the number of units of the present net; leave --parts out."
        raise InvalidInputError(message, field="parts")
    if asked.start is not None and not asked.targets:
        raise InvalidInputError("--start needs --target.", field="target")
    needing = {
        "code": asked.code, "keep": asked.keep or None, "fixed_borders": asked.fixed_borders,
        "split_above": asked.split_above, "merge_below": asked.merge_below,
        "max_change": asked.max_change,
    }  # fmt: skip
    for field, value in needing.items():
        if value is not None and asked.start is None:
            message = f"--{field.replace('_', '-')} is about a present net: name it with --start."
            raise InvalidInputError(message, field=field)
    above, below = asked.split_above, asked.merge_below
    if above is not None and below is not None and above <= below:
        message = "--split-above has to be more than --merge-below."
        raise InvalidInputError(message, field="split_above")


def _wishes(cells: Cells, ground: Ground, asked: Asked) -> Wishes:
    """Return the wishes, or refuse what cannot be met."""
    tolerance = asked.tolerances[0]
    if asked.parts is not None:
        target = asked.targets[0] if asked.targets else None
        first = np.full(ground.graph.size, len(cells.rows), dtype=np.int64)
        dry = np.flatnonzero(ground.node >= 0)
        np.minimum.at(first, ground.node[dry], dry)
        refuse_parts(ground.graph, asked.parts, tolerance, target, cells.named(first))
    else:
        refuse_wish(ground.graph, asked.targets[0], tolerance)
    sums = ground.graph.weight.sum(axis=0)
    targets = asked.targets or [
        float(total) / (asked.parts or 1) if total > 0 else 1.0 for total in sums
    ]
    each = asked.tolerances * (len(targets) if len(asked.tolerances) == 1 else 1)
    return Wishes(tuple(targets), tuple(each))


def _made(cells: Cells, ground: Ground, wishes: Wishes, asked: Asked, step: Any) -> Made:
    """Divide anew, or change the present net."""
    effort = THOROUGH if asked.thorough else QUICK
    if asked.start is not None:
        return _changed(cells, ground, wishes, asked, asked.start, step)
    found = divided(
        ground.graph, wishes, parts=asked.parts, seed=asked.seed, effort=effort, progress=step
    )
    return Made(found, None, [], {}, [])


def _changed(
    cells: Cells, ground: Ground, wishes: Wishes, asked: Asked, start: str, step: Any
) -> Made:
    """Improve the present net by little change; say what changed."""
    net = present_net(cells, ground, asked, start)
    if strange := [name for name in asked.keep if name not in net.names]:
        raise InvalidInputError(f"The present net has no unit {strange[0]}.", field="keep")
    graph, today = ground.graph, joined(ground.graph, net.today)
    kept = [net.names.index(name) for name in asked.keep]
    labels, names, figures = _reshaped(ground, today, net.names, wishes, asked, kept, step)
    fixed = np.isin(labels, kept)
    if asked.fixed_borders is not None:
        beside = held_along(cells, ground, labels, asked.fixed_borders)
        figures["cells_held"] = int(beside.sum())
        fixed |= beside
    reshaping = asked.split_above is not None or asked.merge_below is not None
    allowed = asked.max_change
    if allowed is None:
        allowed = 0.0 if reshaping else MAX_CHANGE
    found, change = changed(
        graph, labels, wishes, max_change=allowed, fixed=fixed, seed=asked.seed, names=names,
        progress=step,
    )  # fmt: skip
    was = change.pop("was")
    change["cells_without_part"] = int((net.today < 0).sum())
    torn = _torn(ground, today, net.names)
    said = []
    if torn:
        said.append(
            f"{len(torn):,} units of the present net lie in pieces that do not touch, or that "
            f"barriers part: {_some(torn)}; each piece stays with its unit unless it is moved"
        )
    figures |= {**change, "torn_units": torn, "max_change": allowed}
    return Made(found, Held(fixed), was, figures, said)


def _reshaped(
    ground: Ground, today: Ints, names: list[str], wishes: Wishes, asked: Asked,
    kept: list[int], step: Any,
) -> tuple[Ints, list[str], dict[str, Any]]:  # fmt: skip
    """Merge small units and divide large ones; return parts, their names and what was done."""
    graph, labels, figures = ground.graph, today, dict[str, Any]()
    named = list(names)
    if asked.merge_below is not None:
        labels = melted(graph, labels, wishes, least=asked.merge_below, kept=kept)
        gone = np.setdiff1d(today, labels)
        for part in gone.tolist():
            into = int(labels[today == part][0])
            named[into] = f"{named[into]} + {names[part]}"
        figures["merged_units"] = [names[part] for part in gone.tolist()]
    if asked.split_above is not None:
        effort = THOROUGH if asked.thorough else QUICK
        before = labels
        labels, origin = opened(
            graph, labels, wishes, most=asked.split_above, kept=kept, seed=asked.seed,
            effort=effort, progress=step,
        )  # fmt: skip
        named += [""] * (int(labels.max()) + 1 - len(named))
        for part, came_of in origin.items():
            named[part] = named[came_of]
        figures["split_units"] = [names[part] for part in sorted(set(origin.values()))]
        figures["units_before"] = len(np.unique(before))
    if figures:
        share = float(graph.weight[labels != today, 0].sum()) / max(graph.total, 1e-300)
        figures["reshaped_share"] = share
    return labels, named, figures


def _torn(ground: Ground, today: Ints, names: list[str]) -> list[str]:
    """Return the names of units that lie in several pieces of the graph."""
    graph = ground.graph
    same = today[graph.left] == today[graph.right]
    piece = components(graph.size, graph.left[same], graph.right[same])
    unit = today[np.unique(piece, return_index=True)[1]]
    return [names[k] for k in np.flatnonzero(np.bincount(unit) > 1)]


def _some(names: list[str]) -> str:
    """Return the first of some names as text."""
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


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
    shapes = alike(unions(cells.degrees, labels).to_numpy())
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
        "tolerance": asked.tolerances[0],
        "measures": _by_measure(units, wishes, asked),
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


def _by_measure(units: gpd.GeoDataFrame, wishes: Wishes, asked: Asked) -> list[dict[str, Any]]:
    """Return how each measure came out."""
    said = []
    for column, target, tolerance in zip(
        asked.weights, wishes.target, wishes.tolerance, strict=True
    ):
        off = (units[_summed_as(column)] / target - 1.0).abs()
        said.append(
            {
                "weight": column, "target": target, "tolerance": tolerance,
                "within": float((off <= tolerance + 1e-12).mean()),
                "max_deviation": float(off.max()), "mean_deviation": float(off.mean()),
            }
        )  # fmt: skip
    return said


def _warnings(
    cells: Cells, ground: Ground, found: Division, names: list[str], asked: Asked
) -> list[str]:
    """Return what somebody should know before using the units."""
    said = []
    graph, told = ground.graph, found.score.units
    if asked.within is not None and "" in names:
        outside = int((ground.parent == names.index("")).sum())
        said.append(f"{outside:,} cells lie in none of the parents: they are one of their own")
    total = np.bincount(graph.parent, weights=graph.weight[:, 0], minlength=len(names))
    if graph.total <= 0:
        said.append(f"no cell has any '{asked.weights[0]}': each piece of ground is one unit")
    elif empty := [names[k] or "outside all" for k in np.flatnonzero(total <= 0).tolist()]:
        said.append(
            f"{len(empty):,} parents have no '{asked.weights[0]}' at all, and are one unit for "
            f"each piece of ground: {_some(empty)}"
        )
    piece = components(graph.size, graph.left, graph.right)
    split = graph.parent[np.unique(piece, return_index=True)[1]]
    several = np.flatnonzero(np.bincount(split, minlength=1) > 1)
    if len(several):
        which = f" ({_some([names[k] for k in several.tolist()])})" if len(names) > 1 else ""
        said.append(
            f"{len(several):,} parents{which} lie in pieces that do not touch or that barriers "
            "part: units stay inside one piece"
        )
    if heavy := int((told["alone"] & ~told["within"]).sum()):
        node = int(np.argmax(graph.weight[:, 0]))
        row = cells.named(np.flatnonzero(ground.node == node)[:1])[0]
        said.append(
            f"{heavy:,} units are one cell that is heavier than the target by itself; the heaviest "
            f"is {row} with {graph.weight[node, 0]:,.0f}"
        )
    if ground.torn:
        said.append(f"{ground.torn:,} compounds lie in pieces that do not touch: whole by piece")
    off = told[~told["within"] & ~told["alone"]]
    if len(off):
        said.append(f"{len(off):,} units are beyond the tolerance; 'why' says what binds each")
    return said


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
    if "merged_units" in data:
        lines.append(f"  merged: {_some(data['merged_units']) or 'none'}")
    if "split_units" in data:
        lines.append(f"  divided: {_some(data['split_units']) or 'none'}")
    lines += [f"  {rule.replace('_', ' ')}: {count:,}" for rule, count in data["rules"].items()]
    lines += [f"  note: {said}" for said in data["warnings"][:SHOWN]]
    lines.append(f"  {data['cpu_s']:.1f} s of CPU, {data['peak_mb']:,.0f} MB at most")
    return "\n".join([*lines, f"Written to {data['out']}"])
