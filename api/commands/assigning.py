"""`wangge assign`: points of one file get the polygon of another that has them, row by row."""

from __future__ import annotations

from math import fsum
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import shapely
import typer
from numpy.typing import NDArray

from api.commands.areas_out import all_or_none, refuse_target
from api.commands.files import warn_without_walls
from api.commands.layers import Layer, cpu_s, layer_of, peak_mb
from api.commands.terminal import Json, Step, answer, progress
from geo.assignment import Located, coverage_index
from geo.errors import InvalidInputError
from geo.files.facts import DATUMS, Datum

TABLES: Final = (".csv", ".parquet")
AREAL: Final = (3, 6)
PUNCTUAL: Final = (0, 4)


def assign(
    points: Annotated[str, typer.Argument(metavar="POINTS[:LAYER]", help="A file with points.")],
    polygons: Annotated[
        str, typer.Argument(metavar="POLYGONS[:LAYER]", help="Areas: a net, a coverage.")
    ],
    out: Annotated[Path, typer.Option(help="Where the rows go: .csv or .parquet.")],
    points_datum: Annotated[
        str | None, typer.Option(help="wgs84, gcj02, bd09 or cgcs2000, where the file is silent.")
    ] = None,
    polygons_datum: Annotated[str | None, typer.Option(help="The same for the areas.")] = None,
    points_crs: Annotated[
        int | None, typer.Option(help="EPSG number of the points, where the file is silent.")
    ] = None,
    polygons_crs: Annotated[int | None, typer.Option(help="The same for the areas.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Write for each point the row of the polygon that has it; rows count from 0, -1 is outside.

    A point on a border goes to the polygon that stands first in the file, and so does one that
    several overlapping polygons have. Nothing is stored and no database is needed.
    """
    of_points = _datum(points_datum, "points_datum")
    of_areas = _datum(polygons_datum, "polygons_datum")
    warn_without_walls()
    began = cpu_s()
    with progress() as step:
        step("look at the files", 0.0)
        there = layer_of(points, ("points",), points_crs, of_points)
        areas = layer_of(polygons, ("areas", "mixed"), polygons_crs, of_areas)
        refuse_target([there.path, areas.path], out, TABLES, overwrite=overwrite)
        places, shapes, data = _read(there, areas, step)
        step("assign", 0.0)
        asked = cpu_s()
        index = coverage_index(shapes)
        built = cpu_s()
        found = index.locate(places)
        data |= {"index_s": round(built - asked, 3), "assign_s": round(cpu_s() - built, 3)}
        step("write", 0.0)
        _write(found, out)
        step("check the polygons", 0.0)
        data |= _counts(places, found) | _coverage(shapes)
    data |= {"cpu_s": round(cpu_s() - began, 3), "peak_mb": round(peak_mb(1), 1), "out": str(out)}
    data["warnings"] = _warnings(there, areas, data)
    answer(as_json, data, _told(data))


def _datum(said: str | None, field: str) -> Datum | None:
    if said is not None and said not in DATUMS:
        raise InvalidInputError(f"A datum is one of {', '.join(DATUMS)}.", field=field)
    return said


def _warnings(points: Layer, polygons: Layer, data: dict[str, Any]) -> list[str]:
    """Return what was taken for granted, and that nothing lies in anything."""
    said = [
        f"{layer.label} does not tell its datum: read as {layer.facts.datum.used} ({option})"
        for layer, option in ((points, "--points-datum"), (polygons, "--polygons-datum"))
        if not layer.facts.datum.sure
    ]
    if data["assigned"] == 0 and data["points"] > data["without_place"]:
        said.append(
            "no point lies in any polygon: another place, or one of the files has a wrong "
            "reference system or datum (wangge check FILE)"
        )
    return said


def _read(
    points: Layer, polygons: Layer, step: Step
) -> tuple[NDArray[np.float64], NDArray[np.object_], dict[str, Any]]:
    """Return places and valid polygons in one system: their own if it is the same, else degrees."""
    same = points.same_system(polygons)
    step("read the points", 0.0)
    places = _places(points, points.rows(as_delivered=same).geometry.to_numpy())
    step("read the polygons", 0.0)
    frame = polygons.rows("areas", as_delivered=same)
    shapes = frame.geometry.to_numpy()
    wrong = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    shapes[wrong] = shapely.make_valid(shapes[wrong], method="structure", keep_collapsed=False)
    shapes[~np.isin(shapely.get_type_id(shapes), AREAL)] = None
    data = {
        "points_file": points.label,
        "polygons_file": polygons.label,
        "crs": frame.crs.to_string() if same else "EPSG:4326",
        "as_delivered": same,
        "polygons": len(shapes),
        "polygons_mended": int(wrong.sum()),
    }
    return places, shapes, data


def _places(points: Layer, rows: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return x and y of each row, no numbers for one without a place.

    Raises
    ------
    InvalidInputError
        If a row holds a line, an area or several points.
    """
    bare = shapely.is_missing(rows) | shapely.is_empty(rows)
    odd = np.flatnonzero(~bare & ~np.isin(shapely.get_type_id(rows), PUNCTUAL))
    if len(odd):
        message = f"{points.label}: row {odd[0] + 1} is a {rows[odd[0]].geom_type}, no point."
        raise InvalidInputError(message, field="points")
    several = int((shapely.get_num_geometries(rows[~bare]) > 1).sum())
    if several:
        message = f"{several} rows of {points.label} hold several points; give each its row."
        raise InvalidInputError(message, field="points")
    places = np.full((len(rows), 2), np.nan)
    places[~bare] = shapely.get_coordinates(rows[~bare])
    return places


def _counts(places: NDArray[np.float64], found: Located) -> dict[str, Any]:
    bare = int(np.isnan(places).any(axis=1).sum())
    inside = int((found.rows >= 0).sum())
    return {
        "points": len(places),
        "assigned": inside,
        "outside": len(places) - inside - bare,
        "without_place": bare,
        "on_border": int(found.on_border.sum()),
        "in_several": int(found.in_several.sum()),
        "polygons_with_points": len(np.unique(found.rows[found.rows >= 0])),
        "rule": "the first polygon, in the order of the rows, whose closed ground has the point",
    }


def _coverage(shapes: NDArray[np.object_]) -> dict[str, Any]:
    """Return whether polygons are a coverage, and how many pairs of them overlap."""
    there = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    if shapely.coverage_is_valid(there):
        return {"coverage_valid": True, "overlaps": 0, "overlapping": []}
    rows = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    one, two = shapely.STRtree(there).query(there, predicate="intersects")
    one, two = one[one < two], two[one < two]
    shared = shapely.area(shapely.intersection(there[one], there[two]))
    over = np.flatnonzero(shared > 0)
    largest = over[np.argsort(-shared[over], kind="stable")][:100]
    listed = [[int(rows[one[k]]), int(rows[two[k]])] for k in largest]
    share = fsum(shared[over]) / max(fsum(shapely.area(there)), np.finfo(float).tiny)
    return {
        "coverage_valid": False,
        "overlaps": len(over),
        "overlap_share": share,
        "overlapping": listed,
    }


def _write(found: Located, out: Path) -> None:
    table = pa.table(
        {"point": np.arange(len(found.rows), dtype=np.int64), "polygon": found.rows.astype("int64")}
    )
    with all_or_none(out) as (place,):
        if out.suffix.lower() == ".csv":
            pyarrow.csv.write_csv(table, place)
        else:
            pyarrow.parquet.write_table(table, place)


def _told(data: dict[str, Any]) -> str:
    lines = [
        f"{data['points']:,} points, {data['polygons']:,} polygons, in {data['crs']}",
        (
            f"  {data['assigned']:,} have a polygon, {data['outside']:,} lie outside, "
            f"{data['without_place']:,} have no place"
        ),
        f"  {data['on_border']:,} on a border: the polygon that stands first has them",
    ]
    if data["overlaps"]:
        lines.append(
            f"  {data['overlaps']:,} pairs of polygons overlap; {data['in_several']:,} points lie "
            "in several: the polygon that stands first has them"
        )
    elif not data["coverage_valid"]:
        lines.append("  the polygons' borders do not match everywhere; none overlap")
    if data["polygons_mended"]:
        lines.append(f"  {data['polygons_mended']:,} invalid polygons were mended before")
    lines += [f"  note: {said}" for said in data["warnings"]]
    lines.append(f"  {data['cpu_s']:.1f} s of CPU, {data['peak_mb']:,.0f} MB at most")
    return "\n".join([*lines, f"Written to {data['out']}"])
