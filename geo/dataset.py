"""A whole city as plain frames: what the demo and every import hand to the loader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as having
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from geo.errors import DatasetError
from geo.frame_shapes import Column, FrameShape
from geo.frames import FRAMES, OPTIONAL, dtype_of, empty_frame, shaped
from geo.frames_office import OFFICE
from geo.issues import about_persons
from geo.terms import MAX_LEVELS

__all__ = [
    "COLOURS",
    "FRAMES",
    "HOUSEHOLDS",
    "LOAD_ORDER",
    "CityDataset",
    "Column",
    "FrameShape",
    "dtype_of",
    "empty_frame",
    "shaped",
]

VINTAGE_PATTERN: Final = re.compile(r"^\d{4}(-S)?$")
HOUSEHOLDS: Final = "households"
COLOURS: Final = 7
#: How many examples of one defect a message shows.
EXAMPLES: Final = 5


@dataclass(frozen=True)
class CityDataset:
    """A city to be loaded: identity, then frames as listed in `FRAMES`, in one metre CRS.

    Frames with geometry are GeoDataFrames in EPSG `metre_srid` (projected, metres); all have a
    plain RangeIndex; ids are positive and unique within their frame.

    The frames of `OPTIONAL` may be left out. Without `levels` a city has the first levels of its
    profile, as many as its grids are deep. `source_nets` and `source_grids` keep delivered
    outlines beside the net: geometry, code, name, and how far the grid matched by code departs;
    `report` is JSON.
    """

    slug: str
    name: str
    name_en: str
    profile: str
    timezone: str
    metre_srid: int
    county_code: str
    effective_from: date
    grids: pd.DataFrame
    cells: gpd.GeoDataFrame
    cell_values: pd.DataFrame
    vintages: pd.DataFrame
    buildings: gpd.GeoDataFrame
    compounds: gpd.GeoDataFrame
    streets: gpd.GeoDataFrame
    barriers: gpd.GeoDataFrame
    organisations: pd.DataFrame
    workers: pd.DataFrame
    posts: pd.DataFrame
    station_kinds: pd.DataFrame
    stations: gpd.GeoDataFrame
    categories: pd.DataFrame
    issues: gpd.GeoDataFrame
    levels: pd.DataFrame = having(default_factory=pd.DataFrame)
    source_nets: pd.DataFrame = having(default_factory=pd.DataFrame)
    source_grids: gpd.GeoDataFrame = having(default_factory=gpd.GeoDataFrame)
    compound_bodies: pd.DataFrame = having(default_factory=pd.DataFrame)
    addresses: gpd.GeoDataFrame = having(default_factory=gpd.GeoDataFrame)
    issue_lives: pd.DataFrame = having(default_factory=pd.DataFrame)
    issue_events: pd.DataFrame = having(default_factory=pd.DataFrame)
    category_leads: pd.DataFrame = having(default_factory=pd.DataFrame)
    accounts: pd.DataFrame = having(default_factory=pd.DataFrame)
    issue_words: pd.DataFrame = having(default_factory=pd.DataFrame)
    issue_helpers: pd.DataFrame = having(default_factory=pd.DataFrame)
    photos: pd.DataFrame = having(default_factory=pd.DataFrame)
    devices: gpd.GeoDataFrame = having(default_factory=gpd.GeoDataFrame)
    device_alarms: pd.DataFrame = having(default_factory=pd.DataFrame)
    meetings: pd.DataFrame = having(default_factory=pd.DataFrame)
    meeting_topics: pd.DataFrame = having(default_factory=pd.DataFrame)
    campaigns: pd.DataFrame = having(default_factory=pd.DataFrame)
    campaign_items: pd.DataFrame = having(default_factory=pd.DataFrame)
    small_projects: gpd.GeoDataFrame = having(default_factory=gpd.GeoDataFrame)
    project_steps: pd.DataFrame = having(default_factory=pd.DataFrame)
    shops: gpd.GeoDataFrame = having(default_factory=gpd.GeoDataFrame)
    inspections: pd.DataFrame = having(default_factory=pd.DataFrame)
    rating_rules: pd.DataFrame = having(default_factory=pd.DataFrame)
    rating_rounds: pd.DataFrame = having(default_factory=pd.DataFrame)
    rating_replies: pd.DataFrame = having(default_factory=pd.DataFrame)
    service_points: gpd.GeoDataFrame = having(default_factory=gpd.GeoDataFrame)
    service_months: pd.DataFrame = having(default_factory=pd.DataFrame)
    answer_texts: pd.DataFrame = having(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        """Give the frames that were left out their columns."""
        for name in OPTIONAL:
            if not len(getattr(self, name).columns):
                object.__setattr__(self, name, empty_frame(name, self.metre_srid))

    def frames(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield (name, frame) in an order in which every reference points back or to itself."""
        for name in LOAD_ORDER:
            yield name, getattr(self, name)

    @property
    def base_vintage(self) -> str:
        """The latest vintage that is not seasonal: the one buildings' households agree with.

        Raises
        ------
        DatasetError
            If there is no such vintage.
        """
        steady = self.vintages.loc[~self.vintages["seasonal"].astype(bool)]
        if steady.empty:
            raise DatasetError(["vintages: none that is not seasonal"])
        return str(steady.sort_values("taken_on")["vintage"].iloc[-1])

    def check_identity(self) -> None:
        """Look at names, numbers and the CRS alone, before the frames are made.

        Raises
        ------
        DatasetError
            With one line per defect.
        """
        if defects := list(_identity_defects(self)):
            raise DatasetError(defects)

    def check(self, *, geometry: bool = True) -> None:
        """Look for every defect that would break the load, and list them all.

        Parameters
        ----------
        geometry : bool, default True
            Also check what costs time: validity, the coverage of the cells, nodes of streets,
            points inside their cells.

        Raises
        ------
        DatasetError
            With one line per defect, at most `EXAMPLES` ids each.
        """
        defects = list(_identity_defects(self))
        for name, shape in FRAMES.items():
            defects += _frame_defects(name, getattr(self, name), shape, self.metre_srid)
        if not defects:
            defects += _reference_defects(self)
        if not defects:
            defects += _hierarchy_defects(self)
            defects += _household_defects(self)
            if geometry:
                defects += _geometry_defects(self)
        if defects:
            raise DatasetError(defects)


_LOCATED: Final = tuple(name for name, shape in OFFICE.items() if shape.geometry)
LOAD_ORDER: Final = (
    "levels",
    "vintages",
    "grids",
    "source_nets",
    "source_grids",
    "cells",
    "cell_values",
    "buildings",
    "addresses",
    "compounds",
    "organisations",
    "compound_bodies",
    "streets",
    "barriers",
    "workers",
    "posts",
    "station_kinds",
    "stations",
    "categories",
    "category_leads",
    "issues",
    "issue_lives",
    "issue_events",
    *OFFICE,
)


def _some(values: object) -> str:
    """Show the first few of `values` and how many there are."""
    items = [str(value) for value in np.asarray(values).tolist()]
    more = f" and {len(items) - EXAMPLES} more" if len(items) > EXAMPLES else ""
    return ", ".join(items[:EXAMPLES]) + more


def _identity_defects(city: CityDataset) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", city.slug):
        yield f"slug: {city.slug!r} is not lower-case letters, digits and hyphens"
    for label in ("name", "name_en", "county_code"):
        if not getattr(city, label).strip():
            yield f"{label}: empty"
    if city.profile not in ("cn", "intl"):
        yield f"profile: {city.profile!r} is neither cn nor intl"
    if city.profile == "cn" and not re.fullmatch(r"\d{6}", city.county_code):
        yield f"county_code: {city.county_code!r} is not six digits"
    try:
        ZoneInfo(city.timezone)
    except (KeyError, ValueError):
        yield f"timezone: {city.timezone!r} is unknown"
    crs = CRS.from_epsg(city.metre_srid)
    if not crs.is_projected or {axis.unit_name for axis in crs.axis_info} != {"metre"}:
        yield f"metre_srid: EPSG:{city.metre_srid} is not projected in metres"


def _frame_defects(
    name: str, frame: pd.DataFrame, shape: FrameShape, metre_srid: int
) -> Iterator[str]:
    missing = [column for column in shape.columns if column not in frame.columns]
    unknown = [column for column in frame.columns if column not in shape.columns]
    if missing or unknown:
        yield f"{name}: columns missing [{', '.join(missing)}], unknown [{', '.join(unknown)}]"
        return
    if not frame.index.equals(pd.RangeIndex(len(frame))):
        yield f"{name}: the index is not 0 .. n-1"
    for column, field in shape.columns.items():
        yield from _column_defects(f"{name}.{column}", frame[column], field)
    for key in (shape.key, *shape.unique):
        twice = frame.duplicated(list(key), keep="first").to_numpy()
        if twice.any():
            yield f"{name}: {'+'.join(key)} repeats: {_some(frame.loc[twice, key[0]])}"
    if shape.geometry:
        if not isinstance(frame, gpd.GeoDataFrame) or frame.crs is None:
            yield f"{name}: no geometry column with a CRS"
        elif frame.crs.to_epsg() != metre_srid:
            yield f"{name}: CRS is {frame.crs.to_string()}, expected EPSG:{metre_srid}"
        else:
            odd = ~frame.geometry.geom_type.isin(shape.geometry).to_numpy()
            if odd.any():
                types = " or ".join(shape.geometry)
                yield f"{name}: not {types}: rows {_some(np.flatnonzero(odd))}"


def _column_defects(label: str, values: pd.Series[Any], field: Column) -> Iterator[str]:
    if str(values.dtype) != dtype_of(field):
        yield f"{label}: dtype {values.dtype}, expected {dtype_of(field)}"
        return
    if field.kind == "geometry":
        empty = shapely.is_missing(values.to_numpy()) | shapely.is_empty(values.to_numpy())
        if empty.any():
            yield f"{label}: empty in rows {_some(np.flatnonzero(empty))}"
        return
    absent = values.isna().to_numpy()
    if absent.any() and not field.nullable:
        yield f"{label}: empty in rows {_some(np.flatnonzero(absent))}"
    present = values[~absent]
    if field.kind == "text" and (present.str.strip() == "").any():
        yield f"{label}: blank in rows {_some(present.index[present.str.strip() == ''])}"
    if field.allowed is not None and not present.isin(field.allowed).all():
        odd = present[~present.isin(field.allowed)].unique()
        yield f"{label}: {_some(odd)} not among {', '.join(field.allowed)}"
    if field.minimum is not None and (present < field.minimum).any():
        yield f"{label}: below {field.minimum:g}: {_some(present[present < field.minimum])}"


def _reference_defects(city: CityDataset) -> Iterator[str]:
    for name, shape in FRAMES.items():
        frame = getattr(city, name)
        for column, field in shape.columns.items():
            if field.refers_to is None:
                continue
            known = getattr(city, field.refers_to)[FRAMES[field.refers_to].key[0]]
            values = frame[column].dropna()
            lost = values[~values.isin(known)]
            if not lost.empty:
                yield f"{name}.{column}: not in {field.refers_to}: {_some(lost.unique())}"
    odd = [v for v in city.vintages["vintage"] if not VINTAGE_PATTERN.match(v)]
    if odd:
        yield f"vintages.vintage: not YYYY or YYYY-S: {_some(odd)}"
    late = city.posts["valid_to"] < city.posts["valid_from"]
    if late.any():
        yield f"posts: end before they begin: {_some(city.posts.loc[late, 'post_id'])}"
    yield from _body_defects(city)
    names = [*city.categories["name"], *city.categories["name_en"]]
    persons = [name for name in names if about_persons(name)]
    if persons:
        yield f"categories: about persons, not things or places: {_some(persons)}"
    early = city.issues["closed_at"] < city.issues["reported_at"]
    if early.any():
        yield f"issues: closed before reported: {_some(city.issues.loc[early, 'issue_id'])}"


def _body_defects(city: CityDataset) -> Iterator[str]:
    """Yield bodies at two places, and firms or committees of a compound at one time."""
    places = ["grid_id", "compound_id", "building_id", "station_id"]
    twice = city.organisations[places].notna().sum(axis=1) > 1
    if twice.any():
        listed = city.organisations.loc[twice, "organisation_id"]
        yield f"organisations: at more than one place: {_some(listed)}"
    bodies = city.compound_bodies.sort_values(["compound_id", "role", "valid_from"])
    late = bodies["valid_to"] <= bodies["valid_from"]
    before = bodies.groupby(["compound_id", "role"])["valid_to"].shift()
    follows = bodies.duplicated(["compound_id", "role"])
    clash = follows & (before.isna() | (before > bodies["valid_from"]))
    for rule, broken in (("end before they begin", late), ("two at one time", clash)):
        if broken.any():
            yield f"compound_bodies: {rule}: {_some(bodies.loc[broken, 'compound_id'])}"


def _hierarchy_defects(city: CityDataset) -> Iterator[str]:
    grids = city.grids
    if grids.empty:
        yield "grids: none"
        return
    if not city.levels.empty and sorted(city.levels["level"]) != list(
        range(1, int(grids["level"].max()) + 1)
    ):
        listed = sorted(city.levels["level"])
        yield f"levels: {listed}, but the grids go from 1 to {grids['level'].max()}"
    level = grids.set_index("grid_id")["level"]
    parent_level = grids["parent_id"].map(level)
    top = grids["level"] == 1
    has_child = grids["grid_id"].isin(grids["parent_id"].dropna())
    has_cell = grids["grid_id"].isin(city.cells["grid_id"])
    rules = {
        "level 1 with a parent": top & grids["parent_id"].notna(),
        "parent is not of the level above": ~top
        & (parent_level != grids["level"] - 1).fillna(True).astype(bool),
        f"level above {MAX_LEVELS}": grids["level"] > MAX_LEVELS,
        f"colour above {COLOURS - 1}": grids["colour"] >= COLOURS,
        "same name under one parent": grids.duplicated(["parent_id", "name"]),
        "have both cells and children": has_child & has_cell,
        "have neither cells nor children": ~has_child & ~has_cell,
    }
    for rule, broken in rules.items():
        if broken.any():
            yield f"grids: {rule}: {_some(grids.loc[broken, 'grid_id'])}"


def _household_defects(city: CityDataset) -> Iterator[str]:
    if city.cell_values.empty:
        return
    if not np.isfinite(city.cell_values["value"]).all():
        yield "cell_values.value: not finite"
    if city.buildings.empty:
        return
    chosen = (city.cell_values["vintage"] == city.base_vintage) & (
        city.cell_values["measure"] == HOUSEHOLDS
    )
    stated = city.cell_values[chosen].set_index("cell_id")["value"]
    counted = city.buildings.groupby("cell_id")["households"].sum()
    differ = counted.sub(stated, fill_value=0.0).abs() > 1e-6
    if differ.any():
        yield (
            f"cell_values: households of {city.base_vintage} differ from the buildings' sum in "
            f"cells {_some(differ.index[differ])}"
        )


def _geometry_defects(city: CityDataset) -> Iterator[str]:
    for name, shape in FRAMES.items():
        if not shape.geometry or shape.geometry == ("Point",):
            continue
        frame = getattr(city, name)
        bad = ~shapely.is_valid(frame.geometry.to_numpy())
        if bad.any():
            yield f"{name}: invalid geometry: {_some(frame.loc[bad, shape.key[0]])}"
    cells = city.cells.geometry.to_numpy()
    if len(cells) and not shapely.coverage_is_valid(cells):
        edges = shapely.coverage_invalid_edges(cells)
        broken = ~shapely.is_empty(edges)
        yield f"cells: not a coverage, edges of {_some(city.cells.loc[broken, 'cell_id'])}"
    yield from _node_defects(city.streets)
    by_id = pd.Series(cells, index=city.cells["cell_id"])
    for name in ("addresses", "stations", "issues", *_LOCATED):
        frame = getattr(city, name)
        points = frame.geometry.to_numpy()
        away = ~shapely.intersects(by_id.reindex(frame["cell_id"]).to_numpy(), points)
        if away.any():
            yield f"{name}: outside their cell: {_some(frame.loc[away, FRAMES[name].key[0]])}"


def _node_defects(streets: gpd.GeoDataFrame) -> Iterator[str]:
    """Yield nodes at two places and places with two nodes (to the millimetre)."""
    if streets.empty:
        return
    lines = streets.geometry.to_numpy()
    ends = np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)])
    place = pd.DataFrame(np.round(shapely.get_coordinates(ends), 3), columns=["x", "y"])
    place["node"] = np.concatenate([streets["from_node"], streets["to_node"]])
    place = place.drop_duplicates()
    for key in (["node"], ["x", "y"]):
        twice = place.duplicated(key, keep=False)
        if twice.any():
            nodes = _some(place.loc[twice, "node"].unique())
            yield f"streets: nodes and places differ: nodes {nodes}"
