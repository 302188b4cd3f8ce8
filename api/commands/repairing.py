"""`wangge repair`: areas of a file become a coverage in another file; the account is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import geopandas as gpd
import numpy as np
import shapely
import typer

from api.commands.areas_out import refuse_target, write_areas, write_report
from api.commands.files import CHINA, parted, warn_without_walls
from api.commands.terminal import Json, answer, progress
from geo.crs import WGS84_SRID, metre_srid
from geo.errors import DeliveryError, InvalidInputError
from geo.files.facts import DATUMS, LayerFacts, Wish
from geo.files.reading import Delivered, read, understand
from geo.repair import GAP_M, LARGEST_CHANGE, SNAP_M, Repair, carried_back, each_once, examine

SHOWN: Final = 8
DEGREE_DIGITS: Final = 7
REPORTS: Final = (".geojson", ".json", ".csv")
REPORT_COLUMNS: Final = ("kind", "subject", "size_m2", "lon", "lat", "sliver", "key", "done")
"""GeoJSON is written with all digits: 7 would move vertices by a centimetre."""


def repair(
    file: Annotated[str, typer.Argument(metavar="FILE[:LAYER]", help="A file with areas.")],
    out: Annotated[Path, typer.Option(help="Where the areas go: .gpkg, .geojson, .shp ...")],
    report: Annotated[
        Path | None, typer.Option(help="Write every defect here: .geojson or .csv.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="JSON: key of a question -> who takes this ground.")
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="Column that names the areas; default: the row's number.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Column with a count (residents) to account for.")
    ] = None,
    snap_m: Annotated[float, typer.Option(min=0, max=1, help="Nearer vertices are one.")] = SNAP_M,
    gap_m: Annotated[float, typer.Option(min=0, max=100, help="Narrower gaps close.")] = GAP_M,
    largest_change: Annotated[
        float, typer.Option(min=0, max=1, help="Share of an area that may change unasked.")
    ] = LARGEST_CHANGE,
    crs: Annotated[int | None, typer.Option(help="EPSG number, if the file is silent.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the texts.")] = None,
    datum: Annotated[str | None, typer.Option(help="wgs84, gcj02, bd09 or cgcs2000.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    as_json: Json = False,
) -> None:
    """Make the areas of a file a coverage: no overlap, no narrow gap, borders that match.

    Nothing is stored and no database is needed. Areas that would change by more than
    --largest-change are not mended on their own: they are listed with the questions to decide, and
    --decisions FILE takes the answers. Columns about persons are left out.
    """
    if datum is not None and datum not in DATUMS:
        raise InvalidInputError(f"A datum is one of {', '.join(DATUMS)}.", field="datum")
    path, layer = parted(file)
    refuse_target([path], out, overwrite=overwrite)
    if report is not None:
        refuse_target([path, out], report, REPORTS, overwrite=overwrite, field="report")
    answers = _decisions(decisions)
    warn_without_walls()
    wish = Wish(encoding=encoding, crs=crs, datum=datum, kind="areas")
    limits = {"snap_m": snap_m, "gap_m": gap_m, "largest_change": largest_change}
    with progress() as step:
        step(f"Reading {path.name}", 0.0)
        facts, delivered = _delivered(path, layer, wish)
        areas, bare = _areas(delivered, code)
        metres = areas.to_crs(_metres(areas))
        step("Mending", 0.0)
        counts = None if weights is None else _counts(areas, weights)
        found = examine(metres.geometry, **limits, decisions=answers, weights=counts)
        data = _data(path, facts, found, bare)
        data["datum"] = datum or (facts.datum.used if facts.datum.sure else "unknown")
        if report is not None:
            _write_report(found, report)
        if len(found.torn):
            raise UndecidedError(data, found)
        step("Writing", 0.0)
        mended = carried_back(found.areas, metres.geometry, areas.geometry)
        result = areas.loc[mended.index].set_geometry(mended)
        cut_off = write_areas(result, out, facts.name)
        data |= {"out": str(out), "coverage_valid": True, "warnings": cut_off}
    answer(as_json, data, _told(data))


class UndecidedError(DeliveryError):
    """Areas contradict each other; `questions` has what somebody has to decide."""

    subject = "The areas have"

    def __init__(self, data: dict[str, Any], found: Repair) -> None:
        super().__init__(found.torn["said"].tolist())
        self.message += (
            "\nWrite the answers into a file {key: who takes this ground} and name it with "
            "--decisions, or allow more with --largest-change."
        )
        self.data |= {"questions": data["questions"]}


def _decisions(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"The decisions {path} cannot be read: {error}."
        raise InvalidInputError(message, field="decisions") from None
    if not isinstance(said, dict):
        message = f"{path} is no list of key and answer: {{key: who takes this ground}}."
        raise InvalidInputError(message, field="decisions")
    return said


def _delivered(path: Path, layer: str | None, wish: Wish) -> tuple[LayerFacts, Delivered]:
    """Read the layer of areas with all columns that are not about persons."""
    understood = understand(path, wish, layer=layer, trusted=True)
    areal = [
        facts
        for facts in understood.layers
        if (facts.name == layer if layer is not None else facts.kind in ("areas", "mixed"))
    ]
    if len(areal) != 1:
        listed = ", ".join(f"{facts.name} ({facts.kind})" for facts in understood.layers)
        said = f"no layer is called '{layer}'" if layer is not None else "name a layer of areas"
        raise DeliveryError([f"{path.name}: {said}; it has {listed}"])
    facts = areal[0]
    columns = {one.name: one.name for one in facts.columns if one.about_person is None}
    known = Wish(
        columns=columns,
        encoding=wish.encoding,
        crs=wish.crs or facts.crs.srid,
        datum=wish.datum or facts.datum.used,
        swap_axes=facts.axes_swapped,
        kind="areas",
    )
    return facts, read(path, facts.name, known, trusted=True)


def _areas(delivered: Delivered, code: str | None) -> tuple[gpd.GeoDataFrame, list[int]]:
    """Return the rows with a shape, indexed by what names them, and the rows without."""
    frame = delivered.frame
    shapes = frame.geometry.to_numpy()
    bare = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if bare.all():
        raise DeliveryError([f"{delivered.label}: no row has a shape"])
    rows = [int(row) for row in frame.index[bare]]
    areas = frame[~bare]
    areas = areas.set_geometry(gpd.GeoSeries(areas.geometry.force_2d(), crs=WGS84_SRID))
    if code is None:
        return areas, rows
    if code not in areas.columns:
        message = f"{delivered.label}: no column '{code}'; it has {list(areas.columns)}"
        raise InvalidInputError(message, field="code")
    return areas.set_index(each_once(areas[code].astype(str).to_numpy())), rows


def _metres(areas: gpd.GeoDataFrame) -> int:
    west, south, east, north = areas.total_bounds.tolist()
    lon, lat = (west + east) / 2, (south + north) / 2
    in_china = CHINA[0] <= lon <= CHINA[2] and CHINA[1] <= lat <= CHINA[3]
    return metre_srid(lon, lat, "cgcs2000" if in_china else "utm")


def _counts(areas: gpd.GeoDataFrame, column: str) -> Any:
    if column not in areas.columns:
        raise InvalidInputError(f"There is no column '{column}'.", field="weights")
    counts = gpd.pd.to_numeric(areas[column], errors="coerce")
    if counts.isna().any():
        raise InvalidInputError(f"'{column}' is not a number in every row.", field="weights")
    return counts


def _data(path: Path, facts: LayerFacts, found: Repair, bare: list[int]) -> dict[str, Any]:
    person = [column.name for column in facts.columns if column.about_person is not None]
    questions = found.questions.drop(columns=["geometry", "x", "y"])
    return {
        "file": path.name,
        "layer": facts.name,
        "features": len(found.sizes),
        "rows_without_shape": bare,
        "columns_left_out": person,
        "encoding": facts.encoding.used,
        "metre_srid": found.areas.crs.to_epsg(),
        **found.figures(),
        "counts": found.defects["kind"].value_counts().to_dict(),
        "defects": _listed(found),
        "changes": found.changes.rename_axis("subject").reset_index().to_dict("records"),
        "questions": questions.to_dict("records"),
    }


def _in_degrees(found: Repair) -> gpd.GeoDataFrame:
    places = gpd.GeoSeries(
        gpd.points_from_xy(found.defects["x"], found.defects["y"]), crs=found.areas.crs
    ).to_crs(WGS84_SRID)
    frame = found.defects.to_crs(WGS84_SRID)
    frame["lon"], frame["lat"] = places.x.round(DEGREE_DIGITS), places.y.round(DEGREE_DIGITS)
    return frame[[*REPORT_COLUMNS, "geometry"]]


def _listed(found: Repair) -> list[dict[str, Any]]:
    rows = _in_degrees(found).drop(columns="geometry")
    listed: list[dict[str, Any]] = rows.to_dict("records")
    return [
        {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in row.items()
        }
        for row in listed
    ]


def _write_report(found: Repair, report: Path) -> None:
    frame = _in_degrees(found)
    if report.suffix.lower() == ".csv":
        rows = gpd.pd.DataFrame(frame.drop(columns="geometry"))
        write_report(report, rows.to_csv(index=False), encoding="utf-8-sig")
        return
    write_report(report, frame.to_json(drop_id=True, ensure_ascii=False))


def _told(data: dict[str, Any]) -> str:
    kinds = ", ".join(
        f"{count:,} {kind.replace('_', ' ')}" for kind, count in data["counts"].items()
    )
    account = (
        f"  {data['delivered_m2']:,.2f} m² delivered + {data['gained_m2']:,.2f} gained "
        f"- {data['ceded_m2']:,.2f} ceded = {data['area_m2']:,.2f} m²"
    )
    lines = [
        f"{data['file']}: {data['features']:,} areas, {data['changed']:,} changed",
        account,
        f"  sum of areas minus area of their union: {data['area_difference_m2']:.2g} m²",
        f"Found: {kinds}" if kinds else "Nothing had to be mended.",
    ]
    largest = sorted(data["defects"], key=lambda defect: -defect["size_m2"])
    lines += [
        f"  {defect['kind'].replace('_', ' ')} {defect['subject']}: {defect['size_m2']:,.2f} m² "
        f"at {defect['lon']}, {defect['lat']}: {defect['done']}"
        for defect in largest[:SHOWN]
    ]
    if len(largest) > SHOWN:
        lines.append(f"  and {len(largest) - SHOWN:,} more; --report FILE has all of them")
    for title, key in (
        ("Columns about persons left out", "columns_left_out"),
        ("Rows without a shape left out", "rows_without_shape"),
    ):
        if data[key]:
            lines.append(f"{title}: {', '.join(map(str, data[key][:SHOWN]))}")
    lines += [f"  note: {said}" for said in data["warnings"]]
    return "\n".join([*lines, f"Written to {data['out']}: a clean coverage."])
