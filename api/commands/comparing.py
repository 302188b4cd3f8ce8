"""`wangge compare`: two sets of areas laid on each other, files in, a crosswalk out."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import typer

from api.commands import areas_out
from api.commands.areas_out import all_or_none
from api.commands.cells import rows_of
from api.commands.files import CHINA, parted, warn_without_walls
from api.commands.terminal import Json, Step, answer, progress
from api.formats import cell
from geo import compare as comparing
from geo.compare import CROSSWALK, SAME_M, SHARED, TOLERANCE, Comparison
from geo.crs import WGS84_SRID, metre_srid
from geo.errors import DeliveryError, InvalidInputError
from geo.files.facts import LayerFacts, Wish

if TYPE_CHECKING:
    from geo.dossier.content import Lang
    from geo.service import Moment

SHOWN: Final = 8
DEGREE_DIGITS: Final = 7
LARGEST_OVERLAP: Final = 1e-5
"""Share of its ground that a side may claim twice; more has to be mended first."""

By = Literal["ground", "code"]


@dataclass(frozen=True)
class Side:
    """One of the two files.

    Attributes
    ----------
    name : str
        As it was named.
    areas : GeoSeries
        Valid polygons by label, metres; no two claim the same ground.
    weight : Series of float or None
        By label; None where the file has no such column.
    overlap_m2 : float
        Ground that two of its areas claimed, left to the first.
    left_out : int
        Rows without a shape.
    blank : int
        Rows without a weight, which count as 0.
    """

    name: str
    areas: gpd.GeoSeries
    weight: pd.Series[float] | None
    overlap_m2: float
    left_out: int
    blank: int


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD[:LAYER]", help="Areas as they were.")],
    new: Annotated[str, typer.Argument(metavar="NEW[:LAYER]", help="Areas as they are.")],
    weight: Annotated[
        str | None, typer.Option(help="Column of OLD with a count (households); NEW may have it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the crosswalk here: .csv.")] = None,
    code: Annotated[
        str | None, typer.Option(help="Column that names the areas; default: what looks like it.")
    ] = None,
    by: Annotated[
        str, typer.Option(help="What makes two areas one: ground, or code (the same name).")
    ] = "ground",
    target: Annotated[
        float | None, typer.Option(min=0, help="What an area should have; default: the mean.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="How far it may lie from that, as a share.")
    ] = TOLERANCE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Compare two sets of areas: what moves, a crosswalk by ground and weight, balance, shape.

    Nothing is stored and no database is needed. The rows of the crosswalk add up to each area of
    OLD, with what lies outside NEW. A weight is shared out by ground and is an estimate then.
    """
    if by not in ("ground", "code"):
        raise InvalidInputError("What makes two areas one is ground or code.", field="by")
    refuse_target([parted(old)[0], parted(new)[0]], out, overwrite)
    warn_without_walls()
    with progress() as step:
        one, two = _read(old, new, weight, code, step)
        step("lay them on each other", 0.0)
        found, residual_m2 = _compared(one, two, by == "code")
        step("lay them on each other", 1.0)
    if out is not None:
        write_rows(_plain(found.crosswalk), out)
    data = _figures(one, two, found, weight, target, tolerance)
    data |= {"residual_m2": residual_m2, "out": None if out is None else str(out)}
    answer(as_json, data, _told(data))


def refuse_target(sources: list[Path], out: Path | None, overwrite: bool) -> None:
    """Refuse a file for the crosswalk that cannot be written, before any work is done for it.

    Raises
    ------
    InvalidInputError
        If it is no CSV file, is read itself, exists already, or has no folder.
    """
    if out is not None:
        areas_out.refuse_target(sources, out, (".csv",), overwrite=overwrite)


def _read(
    old: str, new: str, weight: str | None, code: str | None, step: Step
) -> tuple[Side, Side]:
    """Return both sides in the metre CRS of the place where the old one lies.

    Raises
    ------
    DeliveryError
        If a side cannot be compared; all reasons in one list.
    """
    sides = []
    srid: int | None = None
    for number, (file, needed) in enumerate(((old, True), (new, False))):
        step("read the files", number / 2)
        frame, left_out = rows_of(file, ("areas", "mixed"), _wishing(weight, code, needed))
        if frame.empty:
            raise DeliveryError([f"{Path(file).name}: no row has a shape"])
        if srid is None:
            west, south, east, north = frame.total_bounds.tolist()
            lon, lat = (west + east) / 2, (south + north) / 2
            in_china = CHINA[0] <= lon <= CHINA[2] and CHINA[1] <= lat <= CHINA[3]
            srid = metre_srid(lon, lat, "cgcs2000" if in_china else "utm")
        sides.append(_side(Path(file).name, frame, srid, left_out))
    step("read the files", 1.0)
    return sides[0], sides[1]


def _wishing(weight: str | None, code: str | None, needed: bool) -> Callable[[LayerFacts], Wish]:
    """Return what says which columns are read: the areas' names, the weight where there is one."""

    def wish(facts: LayerFacts) -> Wish:
        return _wish(facts, weight, code, needed)

    return wish


def _wish(facts: LayerFacts, weight: str | None, code: str | None, needed: bool) -> Wish:
    names = [column.name for column in facts.columns]
    columns = {}
    label = code or facts.proposal.mappings.get("boundaries", {}).get("code")
    if code is not None and code not in names:
        raise InvalidInputError(f"There is no column '{code}'; it has {names}.", field="code")
    if label is not None:
        columns["code"] = label
    if weight is not None and weight in names:
        columns["weight"] = weight
    elif weight is not None and needed:
        raise InvalidInputError(f"There is no column '{weight}'; it has {names}.", field="weight")
    return Wish(columns=columns, kind="areas")


def _side(name: str, frame: gpd.GeoDataFrame, srid: int, left_out: int) -> Side:
    frame = frame.set_axis(_labels(frame), axis=0)
    shapes = frame.geometry
    faults = [
        f"{name}: {label}: {shapely.is_valid_reason(shape)}"
        for label, shape in shapes[~shapes.is_valid].items()
    ]
    weight, blank = _weight(name, frame, faults) if "weight" in frame else (None, 0)
    if faults:
        raise DeliveryError([*faults, _cure(name)])
    areas = shapes.to_crs(srid)
    claimed = comparing.overlaps(areas)
    overlap_m2, ground_m2 = math.fsum(claimed["area_m2"]), math.fsum(areas.area)
    if overlap_m2 > LARGEST_OVERLAP * ground_m2:
        raise DeliveryError([*_doubled(name, claimed, srid), _cure(name)])
    if len(claimed):
        areas = comparing.without_overlaps(areas, claimed)
    return Side(name, areas, weight, overlap_m2, left_out, blank)


def _cure(name: str) -> str:
    return f"{name}: mend it first: wangge repair {name} --out mended.gpkg"


def _labels(frame: gpd.GeoDataFrame) -> pd.Index[Any]:
    """Return what names the areas: their codes where each has its own, else the row's number."""
    numbers: pd.Index[Any] = pd.Index(frame.index.astype(str), dtype=object)
    if "code" not in frame:
        return numbers
    codes = frame["code"].astype("string").str.strip().str.replace(r"\.0$", "", regex=True)
    if codes.isna().any() or (codes == "").any() or codes.duplicated().any():
        return numbers
    named: pd.Index[Any] = pd.Index(codes.astype(object), dtype=object)
    return named


def _weight(
    name: str, frame: gpd.GeoDataFrame, faults: list[str]
) -> tuple[pd.Series[float] | None, int]:
    """Return the counts and how many are blank; what is no count is a fault."""
    said = frame["weight"]
    numbers = pd.to_numeric(said, errors="coerce")
    blank = said.isna() | (said.astype("string").str.strip() == "")
    wrong = ~blank & ~(np.isfinite(numbers.astype(float)) & (numbers >= 0))
    listed = [f"{label} says '{value}'" for label, value in said[wrong].head(3).items()]
    if listed:
        faults.append(f"{name}: {int(wrong.sum())} row(s) have no count: {', '.join(listed)}")
    return numbers.where(~blank, 0.0).astype(float), int(blank.sum())


def _doubled(name: str, claimed: pd.DataFrame, srid: int) -> list[str]:
    places = gpd.GeoSeries.from_xy(claimed["x"], claimed["y"], crs=srid).to_crs(WGS84_SRID)
    listed = [
        f"{name}: {row.first} and {row.second} both claim {row.area_m2:,.2f} m² at "
        f"{place.x:.{DEGREE_DIGITS}f}, {place.y:.{DEGREE_DIGITS}f}"
        for row, place in zip(claimed.head(SHOWN).itertuples(), places, strict=False)
    ]
    rest = len(claimed) - len(listed)
    return [*listed, f"{name}: and {rest:,} more overlaps"] if rest else listed


def _compared(one: Side, two: Side, by_label: bool) -> tuple[Comparison, float]:
    pieces, residual_m2 = comparing.overlay(one.areas, two.areas, one.weight)
    if not (pieces["old"].notna() & pieces["new"].notna()).any():
        said = f"nothing of {two.name} lies on {one.name}: another place, or one of the files has"
        raise DeliveryError([f"{said} a wrong reference system or datum (wangge check FILE)"])
    slack = SAME_M * one.areas.length
    return comparing.compare(pieces, by_label=by_label, slack_m2=slack), residual_m2


def write_rows(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write the rows of a crosswalk for spreadsheets: no text is taken for a formula.

    What stood there stays until the new file is whole.

    Raises
    ------
    InvalidInputError
        If it cannot be written.
    """
    names = list(rows[0]) if rows else list(CROSSWALK)
    with all_or_none(out) as (draft,), draft.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow([cell(row[name]) for name in names])


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain values; what is not a number is None."""
    columns = {name: table[name].tolist() for name in table.columns}
    return [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in zip(columns, row, strict=True)
        }
        for row in zip(*columns.values(), strict=True)
    ]


def _figures(
    one: Side,
    two: Side,
    found: Comparison,
    weight: str | None,
    target: float | None,
    tolerance: float,
) -> dict[str, Any]:
    weighed = one.weight is not None
    declared = two.weight if weighed else None
    shared_out = found.new["weight"]
    loads = {
        "old": one.weight if one.weight is not None else one.areas.area,
        "new": declared if declared is not None else shared_out if weighed else two.areas.area,
    }
    shapes = {side: comparing.polsby_popper(at.areas) for side, at in (("old", one), ("new", two))}
    table = found.crosswalk
    outside = {
        side: math.fsum(table.loc[table[other].isna(), "area_m2"])
        for side, other in (("old", "new"), ("new", "old"))
    }
    divided = table[table["old"].notna() & (table["weight"] > 0)]["old"].duplicated().any()
    return {
        "units_old": len(one.areas),
        "units_new": len(two.areas),
        "same": found.same,
        "verdicts": found.verdicts(),
        "area_old_m2": math.fsum(found.old["area_m2"]),
        "area_new_m2": math.fsum(found.new["area_m2"]),
        "outside_old_m2": outside["old"],
        "outside_new_m2": outside["new"],
        "overlap_old_m2": one.overlap_m2,
        "overlap_new_m2": two.overlap_m2,
        "moved_area_m2": found.moved_area_m2,
        "moved_weight": found.moved_weight if weighed else None,
        **_weights(found, weight, weighed, declared, bool(divided)),
        "balance_of": weight if weighed else "area_m2",
        "balance_old": comparing.balance(loads["old"], target=target, tolerance=tolerance),
        "balance_new": comparing.balance(loads["new"], target=target, tolerance=tolerance),
        "balance_new_estimated": weighed and declared is None and bool(divided),
        "polsby_popper_old": float(shapes["old"].mean()),
        "polsby_popper_new": float(shapes["new"].mean()),
        "slivers": _slivers(one, two, table),
        "shared": SHARED,
        "metre_srid": one.areas.crs.to_epsg(),
        "rows_without_shape": {"old": one.left_out, "new": two.left_out},
        "rows_without_weight": {"old": one.blank, "new": two.blank},
        "old": _listed(found.old, shapes["old"], None),
        "new": _listed(found.new, shapes["new"], declared),
        "crosswalk": _plain(table),
    }


def _slivers(one: Side, two: Side, table: pd.DataFrame) -> int:
    """Count the rows that are no wider than what makes borders the same."""
    around = [
        table[side].map(at.areas.length).astype(float) for side, at in (("old", one), ("new", two))
    ]
    shorter = pd.concat(around, axis=1).min(axis=1)
    return int((table["area_m2"] <= SAME_M * shorter).sum())


def _weights(
    found: Comparison,
    weight: str | None,
    weighed: bool,
    declared: pd.Series[float] | None,
    divided: bool,
) -> dict[str, Any]:
    """Return the sums of the weight, and what the two files say of the same ground."""
    if not weighed:
        return {"weight": None, "weight_estimated": False, "weight_residual": None}
    total = math.fsum(found.old["weight"])
    data: dict[str, Any] = {
        "weight": weight,
        "weight_old": total,
        "weight_new": None,
        "weight_estimated": divided,
        "weight_outside": math.fsum(found.crosswalk.loc[found.crosswalk["new"].isna(), "weight"]),
        "weight_residual": None,
        "weight_residual_largest": None,
    }
    if declared is not None:
        said = math.fsum(declared)
        apart = (declared - found.new["weight"].reindex(declared.index).fillna(0.0)).abs()
        data |= {
            "weight_new": said,
            "weight_residual": said - total,
            "weight_residual_largest": float(apart.max()),
        }
    return data


def _listed(
    units: pd.DataFrame, shapes: pd.Series[float], declared: pd.Series[float] | None
) -> list[dict[str, Any]]:
    table = units.assign(polsby_popper=shapes.reindex(units.index))
    if declared is not None:
        table["weight_declared"] = declared.reindex(units.index)
    return _plain(table.rename_axis("unit").reset_index())


def _told(data: dict[str, Any]) -> str:
    words = data["verdicts"]
    lines = [
        (
            f"{data['units_old']:,} areas before, {data['units_new']:,} after; "
            f"{data['same']:,} have the very same ground"
        ),
        "  before: " + ", ".join(f"{count:,} {word}" for word, count in words["old"].items()),
        "  after:  " + ", ".join(f"{count:,} {word}" for word, count in words["new"].items()),
        (
            f"  {data['moved_area_m2']:,.1f} m² lie in another area than before; "
            f"{data['outside_old_m2']:,.1f} m² are left, {data['outside_new_m2']:,.1f} m² came in"
        ),
    ]
    if data["moved_weight"] is not None:
        sure = "an estimate by ground" if data["weight_estimated"] else "whole areas alone"
        lines.append(
            f"  {data['moved_weight']:,.0f} of {data['weight_old']:,.0f} {data['weight']} lie in "
            f"another area ({sure})"
        )
        if data["weight_residual"] is not None:
            lines.append(
                f"  NEW says {data['weight_new']:,.0f}: {data['weight_residual']:+,.0f}, and up "
                f"to {data['weight_residual_largest']:,.0f} in one area"
            )
    lines += _evenness(data, "areas", data["balance_of"])
    if data["overlap_old_m2"] or data["overlap_new_m2"]:
        lines.append(
            f"  claimed twice and left to the first: {data['overlap_old_m2']:,.2f} m² before, "
            f"{data['overlap_new_m2']:,.2f} m² after"
        )
    lines.append(f"  {data['residual_m2']:.1g} m² do not add up")
    return "\n".join([*lines, *([f"Written to {data['out']}"] if data["out"] else [])])


def dated(at: Moment, found: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison of nets or plans with the dates of its answer."""
    net = {"seq": at.seq, "effective_from": at.effective_from}
    dates = {"period": None, "day": at.day, "net": net, "vintage": at.vintage}
    return {**found, "as_of": dates}


def told_of_sides(found: dict[str, Any]) -> str:
    """Return a comparison of nets or plans in a few lines."""
    words, posts, reach = found["verdicts"], found["posts"], found["reach"]
    lines = [
        (
            f"{found['old']['name']} has {found['units_old']:,} grids, {found['new']['name']} "
            f"{found['units_new']:,}; {found['same']:,} have the very same cells"
        ),
        "  before: " + ", ".join(f"{count:,} {word}" for word, count in words["old"].items()),
        "  after:  " + ", ".join(f"{count:,} {word}" for word, count in words["new"].items()),
        (
            f"  {found['cells_moved']:,} cells with {found['moved_households']:,} of "
            f"{found['households']:,} households and {found['moved_area_m2']:,.0f} m² "
            "lie in another grid"
        ),
        (
            f"  posts: {posts['ended']} need a successor, {posts['changed']} have other ground; "
            f"{found['open_issues']['moved']} of {found['open_issues']['total']} open issues and "
            f"{reach['stations_moved']} of {reach['stations']} stations change hands"
        ),
    ]
    return "\n".join([*lines, *_evenness(found, "basic grids", "households")])


def _evenness(found: Mapping[str, Any], units: str, measure: str) -> list[str]:
    """Return how even and how compact both sides are, a line each."""
    lines = []
    for side, word in (("old", "before:"), ("new", "after: ")):
        even, compact = found[f"balance_{side}"], found[f"polsby_popper_{side}"]
        aim = f"within {even['tolerance']:.0%} of {even['target'] or 0:,.0f} {measure}"
        told = f"{even['units']} {units}, no {measure} to share"
        if even["within"] is not None:
            told = f"{even['within']} of {even['units']} {units} {aim}"
        shape = "" if compact is None else f", compactness {compact:.3f}"
        lines.append(f"  {word} {told}{shape}")
    return lines


def language(lang: str) -> Lang:
    """Return a language that pages are written in.

    Raises
    ------
    InvalidInputError
        If it is another one.
    """
    if lang == "zh":
        return "zh"
    if lang == "en":
        return "en"
    raise InvalidInputError("A dossier is written in zh or en.", field="lang")


def refuse_place(out: Path, overwrite: bool) -> None:
    """Refuse a place for a dossier that is taken, or lies in no folder.

    Raises
    ------
    InvalidInputError
        With what to do.
    """
    if not out.parent.is_dir():
        raise InvalidInputError(f"There is no folder {out.parent}.", field="out")
    taken = out.is_file() or (out.is_dir() and any(out.iterdir()))
    if out.suffix.lower() == ".zip" and out.is_dir():
        raise InvalidInputError(f"{out} is a folder.", field="out")
    if taken and not overwrite:
        message = f"{out} is not empty; choose another place or say --overwrite."
        raise InvalidInputError(message, field="out")


def write_dossier(files: Mapping[str, bytes], out: Path) -> list[dict[str, Any]]:
    """Write a dossier into a folder or a ZIP file, all or nothing; return its files with hashes.

    Raises
    ------
    InvalidInputError
        If it cannot be written.
    """
    from geo.dossier import bundle  # loads what draws and prints

    if out.suffix.lower() == ".zip":
        with all_or_none(out) as (draft,):
            draft.write_bytes(bundle(files))
    else:
        out.mkdir(exist_ok=True)
        with all_or_none(*(out / name for name in files)) as drafts:
            for draft, content in zip(drafts, files.values(), strict=True):
                draft.write_bytes(content)
    return [
        {"name": name, "bytes": len(files[name]), "sha256": sha256(files[name]).hexdigest()}
        for name in sorted(files)
    ]
