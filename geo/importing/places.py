"""Delivered barriers, streets and stations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.boundaries import Delivered
from geo.dataset import empty_frame, shaped
from geo.errors import DeliveryError
from geo.findings import Finding, Findings
from geo.importing.columns import column, numbers, some, texts
from geo.importing.hierarchy import Ground
from geo.profiles import Profile
from geo.recipes import Recipe, StationPart
from geo.streets import Network, network
from geo.terms import StationStage

INSIDE_M: Final = 0.01
"""How far inside its cell a point is put that lay just outside."""


def barriers(recipe: Recipe, layers: Sequence[Delivered], found: Findings) -> pd.DataFrame:
    """Return the frame `barriers`: parts that touch and bear one name are one.

    Raises
    ------
    DeliveryError
        If no row of a layer is what the recipe wants.
    """
    kinds: list[str] = []
    names: list[str | None] = []
    shapes: list[Any] = []
    for part, layer in zip(recipe.barriers, layers, strict=True):
        wanted = np.ones(len(layer.frame), dtype=bool)
        for name, text in part.where.items():
            wanted &= (texts(layer.frame[f"where_{name}"]) == text).to_numpy()
        if not wanted.any():
            raise DeliveryError([f"{layer.label}: no row has {part.where}"])
        kept = layer.frame.loc[wanted]
        whole = shapely.make_valid(kept.geometry.to_numpy(), method="structure")
        groups = pd.Series(whole, index=column(kept, "name").fillna("")).groupby(level=0)
        for label, group in groups:
            pieces = _merged(shapely.get_parts(group.to_numpy()))
            kinds += [part.kind.value] * len(pieces)
            names += [str(label) or None] * len(pieces)
            shapes += pieces.tolist()
    if layers:
        found.figures["barriers"] = len(shapes)
    columns = {
        "barrier_id": np.arange(1, len(shapes) + 1),
        "kind": kinds,
        "name": names,
        "geometry": shapes,
    }
    return shaped("barriers", columns, recipe.city.metre_crs)


def _merged(parts: Any) -> Any:
    """Return polygons united where they touch, lines joined where they end at one place."""
    if shapely.get_dimensions(parts).max() == 1:
        return shapely.get_parts(shapely.line_merge(shapely.multilinestrings(parts)))
    return shapely.get_parts(shapely.union_all(parts))


def streets(recipe: Recipe, layer: Delivered | None, found: Findings) -> pd.DataFrame:
    """Return the frame `streets`, lines of several parts split, nodes numbered from the ends."""
    part = recipe.streets
    if part is None or layer is None:
        return empty_frame("streets", recipe.city.metre_crs)
    whole = layer.frame.set_geometry(shapely.line_merge(layer.frame.geometry.to_numpy()))
    lines = whole.set_crs(layer.frame.crs, allow_override=True).explode(index_parts=False)
    if len(lines) > len(whole):
        more = f"{len(lines) - len(whole)} more lines made of parts"
        found.add([Finding(layer.label, "parts", "streets", more)])
    lines.index = pd.RangeIndex(1, len(lines) + 1)
    joined = network(lines.geometry, join_m=part.join_m)
    names = column(lines, "name")
    kinds = [part.kinds.get(text, part.other_kind).value for text in column(lines, "kind")]
    called = [f"{n} ({name or 'no name'})" for n, name in zip(lines.index, names, strict=True)]
    found.add(_street_findings(layer.label, joined, called))
    found.figures["streets"] = _street_figures(lines, joined)
    columns = {
        "street_id": lines.index,
        "name": names,
        "kind": kinds,
        "from_node": joined.streets["from_node"],
        "to_node": joined.streets["to_node"],
        "geometry": joined.streets.geometry.to_numpy(),
    }
    return shaped("streets", columns, recipe.city.metre_crs)


def _street_findings(label: str, joined: Network, called: list[str]) -> Iterable[Finding]:
    row: Any
    for row in joined.moved.itertuples():
        subject, done = called[row.street - 1], "its end was joined to the node of the others"
        yield Finding(label, "end_moved", subject, done, row.moved_m, "m", row.x, row.y)
    for row in joined.crossings.itertuples():
        kind = "street_overlap" if row.length_m else "crossing"
        subject = f"{called[row.street - 1]} and {called[row.other - 1]}"
        done = "left as it is: they meet where neither ends (a bridge?)"
        size = row.length_m or None
        yield Finding(label, kind, subject, done, size, size and "m", row.x, row.y)


def _street_figures(lines: gpd.GeoDataFrame, joined: Network) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "streets": len(lines),
        "nodes": int(joined.streets[["from_node", "to_node"]].max().max()),
        "length_m": float(lines.length.sum()),
    }
    if {"from_node", "to_node"} <= set(lines.columns):
        figures["nodes_unlike_the_file"] = _unlike(lines, joined.streets)
    return figures


def _unlike(lines: gpd.GeoDataFrame, drawn: gpd.GeoDataFrame) -> int:
    """Count the lines whose nodes in the file are not where the lines end, either way round."""
    said = np.concatenate([lines["from_node"], lines["to_node"]])
    nodes = np.concatenate([drawn["from_node"], drawn["to_node"]])
    usual = pd.Series(nodes).groupby(said).agg(lambda group: group.mode().iloc[0])
    expected = usual.reindex(said).to_numpy().reshape(2, -1)
    ends = nodes.reshape(2, -1)
    fits = (expected == ends).all(axis=0) | (expected == ends[::-1]).all(axis=0)
    return int((~fits).sum())


def stations(
    recipe: Recipe, profile: Profile, layer: Delivered | None, on: Ground, found: Findings
) -> dict[str, pd.DataFrame]:
    """Return the frames `stations` and `station_kinds`; what lies in no cell is a finding.

    Raises
    ------
    DeliveryError
        If a station is of a kind that the recipe does not name.
    """
    part, srid = recipe.stations, recipe.city.metre_crs
    if part is None or layer is None:
        return {name: empty_frame(name, srid) for name in ("stations", "station_kinds")}
    said = column(layer.frame, "kind")
    kinds = said.map({kind.value: kind.kind for kind in part.kinds})
    if kinds.isna().any():
        unknown = some(sorted({str(text) for text in said[kinds.isna()]}))
        raise DeliveryError([f"{layer.label}: kinds that the recipe does not name: {unknown}"])
    names = column(layer.frame, "name").fillna(kinds)
    called = [f"row {row} ({name})" for row, name in zip(layer.frame.index, names, strict=True)]
    cell, points = _placed(layer, called, part.reach_m, on, found)
    here = cell >= 0
    found.add(_repeated(layer, kinds, called))
    found.figures["stations"] = {
        "delivered": len(here),
        "stations": int(here.sum()),
        "left_out": int((~here).sum()),
        "kinds": int(kinds[here].nunique()),
    }
    kept = layer.frame.loc[here].reset_index(drop=True)
    columns = {
        "station_id": np.arange(1, len(kept) + 1),
        "kind": kinds[here],
        "name": names[here],
        "address": column(kept, "address"),
        "opening_hours": column(kept, "opening_hours"),
        "floor_area_m2": numbers(kept, "floor_area_m2"),
        "capacity": numbers(kept, "capacity").round().astype("Int64"),
        "stage": [StationStage.OPEN.value] * len(kept),
        "cell_id": cell[here] + 1,
        "organisation_id": [pd.NA] * len(kept),
        "geometry": points[here],
    }
    return {
        "stations": shaped("stations", columns, srid),
        "station_kinds": _kinds(part, profile, srid),
    }


def _placed(
    layer: Delivered, called: list[str], reach_m: float, on: Ground, found: Findings
) -> tuple[Any, Any]:
    """Return cell (-1: left out) and place of each point; those just outside are moved in."""
    pieces = on.cells.geometry.to_numpy()
    points = layer.frame.geometry.to_numpy().copy()
    tree = shapely.STRtree(pieces)
    row, hit = tree.query(points, predicate="intersects")
    cell = np.full(len(points), len(pieces), dtype=np.int64)
    np.minimum.at(cell, row, hit)  # a place on a border belongs to the first of its cells
    cell[cell == len(pieces)] = -1
    for number in np.flatnonzero(cell < 0):
        point, subject = points[number], called[number]
        near = int(tree.nearest(point))
        away_m = float(shapely.distance(point, pieces[near]))
        kind, done = "outside", "left out: it lies in no cell"
        if away_m <= reach_m:
            kind, done = "moved_in", "moved to the edge of the nearest cell"
            cell[number], points[number] = near, _inside(pieces[near], point)
        found.add([Finding(layer.label, kind, subject, done, away_m, "m", point.x, point.y)])
    return cell, points


def _inside(cell: Any, point: Any) -> Any:
    """Return the place of `cell` nearest to `point`, a little inside its border."""
    inner = shapely.buffer(cell, -INSIDE_M)
    if shapely.is_empty(inner):
        return shapely.point_on_surface(cell)
    return shapely.get_point(shapely.shortest_line(inner, point), 0)


def _repeated(layer: Delivered, kinds: pd.Series[Any], called: list[str]) -> Iterable[Finding]:
    same = pd.DataFrame(
        {"kind": kinds, **{n: column(layer.frame, n) for n in ("name", "address")}}
    ).duplicated()
    for row in np.flatnonzero(same):
        done = "kept: kind, name and address stand there before"
        yield Finding(layer.label, "same_record", called[row], done)


def _kinds(part: StationPart, profile: Profile, metre_srid: int) -> pd.DataFrame:
    known = {kind.code: kind for kind in profile.station_kinds}
    listed: dict[str, tuple[str, str, str, str]] = {}
    for kind in part.kinds:
        name = kind.name or known[kind.kind].name
        serves = kind.serves or known[kind.kind].serves
        listed.setdefault(kind.kind, (kind.kind, name.zh, name.en, serves))
    names = ("kind", "name", "name_en", "serves")
    named = dict(zip(names, zip(*listed.values(), strict=True), strict=True))
    return shaped("station_kinds", named, metre_srid)
