"""`wangge cells`: the ground of areas cut into cells around buildings, files in and a file out."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import typer

from api.commands.areas_out import refuse_target, write_areas
from api.commands.files import CHINA, parted, warn_without_walls
from api.commands.terminal import Json, answer, progress
from geo.cells import Cells, building_cells
from geo.crs import WGS84_SRID, metre_srid
from geo.errors import DeliveryError, InvalidInputError
from geo.files.facts import LayerFacts, Wish
from geo.files.reading import read, understand
from geo.repair import carried_back, each_once
from geo.repair import repair as repaired

SHOWN: Final = 6
AREAL: Final = (3, 6)
WALLS: Final = ("wall", "fence", "围墙", "墙")
DEGREE_DIGITS: Final = 7


def cells(
    buildings: Annotated[str, typer.Argument(metavar="BUILDINGS[:LAYER]", help="Footprints.")],
    within: Annotated[
        str, typer.Option(metavar="FILE[:LAYER]", help="Areas to be cut: grids, blocks, a city.")
    ],
    out: Annotated[Path, typer.Option(help="Where the cells go: .gpkg, .geojson, .shp ...")],
    streets: Annotated[
        str | None, typer.Option(metavar="FILE[:LAYER]", help="Centre lines that cut.")
    ] = None,
    barriers: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[:LAYER]",
            help="Rivers and water as areas, railways and walls as lines.",
        ),
    ] = None,
    walls: Annotated[
        str | None,
        typer.Option(metavar="FILE[:LAYER]", help="Walls around compounds, as areas or lines."),
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="Column that names the areas; default: the row's number.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: one for each core.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Cut areas into cells: the ground around each building inside streets, walls and water.

    Nothing is stored and no database is needed. The cells are a valid coverage and together exactly
    the areas; areas that overlap are mended first. Where there is no building a block is one cell.
    """
    paths = [
        parted(file) for file in (buildings, within, streets, barriers, walls) if file is not None
    ]
    refuse_target([path for path, _ in paths], out, overwrite=overwrite)
    warn_without_walls()
    began = _cpu_s()
    with progress() as step:
        step("read the files", 0.0)
        source, mended = _areas(within, code)
        srid = mended.crs.to_epsg()
        footprints, repaired_rows, dropped = _footprints(buildings, srid)
        found = building_cells(
            footprints,
            mended,
            streets=_lines(streets, srid),
            barriers=_barriers(barriers, srid),
            walls=_lines(walls, srid),
            processes=processes,
            progress=step,
        )
        _refuse_strangers(found)
        step("write the cells", 0.0)
        cut_off = write_areas(_as_delivered(found, source, mended), out, "cells")
    read = {"areas": len(mended), "buildings_mended": repaired_rows}
    read |= {"buildings_without_shape": dropped, "metre_srid": srid}
    took = {"cpu_s": round(_cpu_s() - began, 3), "peak_mb": round(_peak_mb(processes), 1)}
    made = {"out": str(out), "findings": _listed(found, srid), "warnings": cut_off}
    data = {**found.figures, **read, **took, **made}
    answer(as_json, data, _told(data))


def _refuse_strangers(found: Cells) -> None:
    """Refuse buildings of which none stands in the areas.

    Raises
    ------
    DeliveryError
        With the likely reason.
    """
    count = found.figures["buildings"]
    if count and found.figures["buildings_left_out"] == count:
        said = f"none of {count} buildings stands in the areas: another place, or one of the files"
        raise DeliveryError([f"{said} has a wrong reference system or datum (wangge check FILE)"])


def rows_of(
    file: str, kinds: tuple[str, ...], wish: Callable[[LayerFacts], Wish]
) -> tuple[gpd.GeoDataFrame, int]:
    """Return the rows of a layer that have a shape, in degrees, and how many have none.

    Raises
    ------
    DeliveryError
        If it is not clear which layer is meant, or it cannot be read.
    """
    path, layer = parted(file)
    understood = understand(path, Wish(), layer=layer, trusted=True)
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
    known = replace(
        wish(facts),
        encoding=facts.encoding.used,
        crs=facts.crs.srid,
        datum=facts.datum.used,
        swap_axes=facts.axes_swapped,
    )
    frame = read(path, facts.name, known, trusted=True).frame
    shapes = frame.geometry.to_numpy()
    kept = frame[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    bare = len(frame) - len(kept)
    return kept.set_geometry(gpd.GeoSeries(kept.geometry.force_2d(), crs=WGS84_SRID)), bare


def _areas(file: str, code: str | None) -> tuple[gpd.GeoSeries, gpd.GeoSeries]:
    """Return the areas in degrees as delivered, and mended in metres, under one index.

    Raises
    ------
    DeliveryError
        If they contradict each other; `wangge repair` takes decisions.
    """

    def wish(facts: LayerFacts) -> Wish:
        if code is not None and code not in [column.name for column in facts.columns]:
            names = [column.name for column in facts.columns]
            raise InvalidInputError(f"There is no column '{code}'; it has {names}.", field="code")
        return Wish(columns={} if code is None else {"code": code}, kind="areas")

    frame, _ = rows_of(file, ("areas", "mixed"), wish)
    if frame.empty:
        raise DeliveryError([f"{Path(file).name}: no row has a shape"])
    if code is not None:
        frame = frame.set_index(each_once(frame["code"].astype(str).to_numpy()))
    west, south, east, north = frame.total_bounds.tolist()
    lon, lat = (west + east) / 2, (south + north) / 2
    in_china = CHINA[0] <= lon <= CHINA[2] and CHINA[1] <= lat <= CHINA[3]
    metres = frame.geometry.to_crs(metre_srid(lon, lat, "cgcs2000" if in_china else "utm"))
    return frame.geometry, repaired(metres).areas


def _footprints(file: str, srid: int) -> tuple[gpd.GeoSeries, int, int]:
    """Return valid footprints in metres, how many were mended, and how many have no ground."""
    frame, bare = rows_of(file, ("areas", "mixed"), lambda facts: Wish(kind="areas"))
    metres = frame.geometry.to_crs(srid)
    wrong = ~metres.is_valid
    metres[wrong] = metres[wrong].make_valid(method="structure", keep_collapsed=False)
    areal = np.isin(shapely.get_type_id(metres.to_numpy()), AREAL) & (metres.area > 0)
    return metres[areal], int(wrong.sum()), bare + int((~areal).sum())


def _lines(file: str | None, srid: int) -> gpd.GeoSeries | None:
    if file is None:
        return None
    frame, _ = rows_of(file, ("lines", "areas", "mixed"), lambda facts: Wish())
    shapes = frame.geometry
    return shapes[shapes.geom_type.str.contains("Line|Polygon")].make_valid().to_crs(srid)


def _barriers(file: str | None, srid: int) -> gpd.GeoDataFrame | None:
    """Return barriers with their kinds: areas are water where nobody calls them walls."""
    if file is None:
        return None

    def wish(facts: LayerFacts) -> Wish:
        column = facts.proposal.mappings.get("barriers", {}).get("kind")
        return Wish(columns={} if column is None else {"kind": column})

    frame, _ = rows_of(file, ("lines", "areas", "mixed"), wish)
    frame = frame[frame.geom_type.str.contains("Line|Polygon")]
    frame = frame.set_geometry(frame.geometry.make_valid()).to_crs(srid)
    said = frame["kind"] if "kind" in frame else pd.Series("", index=frame.index)
    walled = said.astype("object").fillna("").astype(str).str.lower().isin(WALLS)
    areal = frame.geom_type.str.contains("Polygon")
    kinds = np.where(walled, "wall", np.where(areal, "water", "railway"))
    return gpd.GeoDataFrame({"kind": kinds}, geometry=frame.geometry.to_numpy(), crs=srid)


def _as_delivered(found: Cells, source: gpd.GeoSeries, metres: gpd.GeoSeries) -> gpd.GeoDataFrame:
    """Return the cells in degrees, the vertices of the areas as they came."""
    counts = found.cell_of.value_counts().reindex(found.cells.index).fillna(0).astype("int64")
    plain = source.to_crs(metres.crs)
    untouched = bool(shapely.equals_identical(metres.to_numpy(), plain.to_numpy()).all())
    shapes = (
        carried_back(found.cells.geometry, metres, source)
        if untouched
        else found.cells.geometry.to_crs(WGS84_SRID)
    )
    return gpd.GeoDataFrame(
        {
            "cell": np.arange(1, len(counts) + 1),
            "area": found.cells["area"].astype(str).to_numpy(),
            "kind": found.cells["kind"].to_numpy(),
            "buildings": counts.to_numpy(),
        },
        geometry=shapes.to_numpy(),
        crs=WGS84_SRID,
    )


def _listed(found: Cells, srid: int) -> list[dict[str, Any]]:
    rows = found.findings
    places = gpd.GeoSeries(gpd.points_from_xy(rows["x"], rows["y"]), crs=srid).to_crs(WGS84_SRID)
    table = rows[["building", "what", "size_m2", "done"]].assign(
        lon=places.x.round(DEGREE_DIGITS), lat=places.y.round(DEGREE_DIGITS)
    )
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _cpu_s() -> float:
    spent = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        spent += usage.ru_utime + usage.ru_stime
    return spent


def _peak_mb(processes: int | None) -> float:
    """Return the most memory that all processes can have had at once."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + (processes or os.cpu_count() or 1) * child) / 1024


def _told(data: dict[str, Any]) -> str:
    lines = [
        (
            f"{data['cells']:,} cells in {data['areas']:,} areas: {data['building_cells']:,} "
            f"around buildings, {data['blocks']:,} blocks without one, {data['water']:,} of water"
        ),
        (
            f"  {data['buildings']:,} buildings; {data['shared_cells']:,} cells are shared; "
            f"{data['buildings_outside']:,} buildings reach out of their cells by more than 1 % "
            f"({data['buildings_outside_m2']:,.1f} m² of all)"
        ),
        (
            f"  a {'clean' if data['coverage_valid'] else 'faulty'} coverage, "
            f"{data['residual_m2']:.1g} m² off the areas"
        ),
        f"  {data['cpu_s']:.1f} s of CPU, {data['peak_mb']:,.0f} MB at most",
    ]
    lines += [
        f"  {row['what'].replace('_', ' ')}: building {row['building']} at {row['lon']}, "
        f"{row['lat']}: {row['done']}"
        for row in data["findings"][:SHOWN]
    ]
    if len(data["findings"]) > SHOWN:
        lines.append(f"  and {len(data['findings']) - SHOWN:,} more; --json has all of them")
    lines += [f"  note: {said}" for said in data["warnings"]]
    return "\n".join([*lines, f"Written to {data['out']}"])
