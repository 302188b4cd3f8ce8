"""A whole city out of one OpenStreetMap extract: ground, cells, estimated households, a first net.

Nobody has counted and nobody has drawn borders here: households are estimates and marked so, and
the net is a beginning for those who divide the city.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.cells import Cells, building_cells
from geo.dataset import FRAMES, HOUSEHOLDS, CityDataset, empty_frame, shaped
from geo.errors import DeliveryError
from geo.estimates import RESIDENTIAL, UNKNOWN, household_estimates
from geo.findings import Finding, Findings
from geo.importing.city import categories
from geo.importing.columns import column, numbers, some
from geo.importing.drawn import drawn
from geo.importing.first_net import Sizes, first_net
from geo.importing.rows import STREETS
from geo.profiles import Profile
from geo.streets import MILLIMETRE, network
from geo.terms import BarrierKind, StationStage, StreetKind

AROUND_M: Final = 50.0
"""How far the ground reaches beyond the outermost buildings."""
LEAST_M2: Final = 1.0
MOST_FLOORS: Final = 200
AREAL: Final = (3, 6)
LINEAR: Final = (1, 5)
LEVELS: Final = 3
NOT_ON_THE_GROUND: Final = ("no", "")
RAILS: Final = ("rail", "light_rail", "narrow_gauge", "monorail")
PATHS: Final = ("footway", "cycleway", "path", "steps", "pedestrian", "bridleway", "corridor")

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "buildings": {
        "code": "osm_id",
        "name": "name",
        "use": "building",
        "floors": "levels",
        "households": "flats",
    },
    "streets": {"name": "name", "kind": "highway", "tunnel": "tunnel"},
    "water": {"name": "name", "kind": "water"},
    "railways": {"name": "name", "kind": "railway", "tunnel": "tunnel"},
    "stations": {
        "name": "name",
        "kind": "amenity",
        "opening_hours": "opening_hours",
        "street": "street",
        "number": "housenumber",
    },
    "places": {"name": "name", "kind": "place"},
    "areas": {"name": "name"},
}
"""Layers of an extract that are read, and their columns under our names."""

USES: Final[Mapping[str, str]] = {
    **dict.fromkeys((*RESIDENTIAL, *UNKNOWN, "residential"), "residential"),
    **dict.fromkeys(("commercial", "retail", "supermarket", "kiosk", "hotel"), "commercial"),
    **dict.fromkeys(("office", "government"), "office"),
    **dict.fromkeys(
        ("public", "civic", "school", "kindergarten", "university", "college", "hospital"), "public"
    ),
    **dict.fromkeys(("church", "chapel", "mosque", "temple", "train_station"), "public"),
    **dict.fromkeys(("industrial", "warehouse", "factory"), "industrial"),
}
SERVICES: Final[Mapping[str, tuple[str, ...]]] = {
    "community_centre": ("community_centre", "service_centre"),
    "social_centre": ("community_centre", "service_centre"),
    "townhall": ("public_building", "service_centre"),
    "courthouse": ("public_building",),
    "library": ("library",),
    "arts_centre": ("recreation",),
    "clinic": ("clinic",),
    "doctors": ("clinic",),
    "hospital": ("clinic",),
    "school": ("school",),
    "kindergarten": ("school", "children_station"),
    "childcare": ("school", "children_station"),
    "police": ("police_station",),
    "fire_station": ("fire_station",),
    "post_office": ("post_office",),
    "nursing_home": ("older_people_centre", "day_care"),
    "canteen": ("canteen",),
}
"""Amenity -> kinds of station, the first that the profile has."""

Progress = Callable[[str, float], None]
Layers = Mapping[str, gpd.GeoDataFrame]


@dataclass(frozen=True)
class ExtractWish:
    """What is wanted of an extract.

    Attributes
    ----------
    area : str, optional
        Name of an administrative area of the extract: the city's ground. Default: the hull around
        its buildings.
    sizes : Sizes
    processes : int, optional
    """

    area: str | None = None
    sizes: Sizes = field(default_factory=Sizes)
    processes: int | None = None


def city_without_ground(identity: Mapping[str, Any], metre_srid: int) -> CityDataset:
    """Return a dataset of empty frames with these names, checked.

    Raises
    ------
    DatasetError
        If a name, a code or the time zone cannot be used; all are listed.
    """
    frames: dict[str, Any] = {name: empty_frame(name, metre_srid) for name in FRAMES}
    city = CityDataset(**identity, metre_srid=metre_srid, **frames)
    city.check_identity()
    return city


def city_of_extract(
    city: CityDataset,
    profile: Profile,
    layers: Layers,
    label: str,
    wish: ExtractWish | None = None,
    progress: Progress = lambda what, share: None,
) -> tuple[CityDataset, Findings]:
    """Make a city out of the layers of an extract.

    Streets and railways cut the ground into blocks, blocks are cut into cells around buildings,
    households are estimated from footprints, floors and uses, and cells are joined to a first net.

    Parameters
    ----------
    city : CityDataset
        Without ground, of `city_without_ground`.
    profile : Profile
        The one that the city names.
    layers : mapping of str to GeoDataFrame
        Layers as in `COLUMNS`, each with these columns, EPSG:4326, indexed by row number; those
        that the extract does not have may be missing.
    label : str
        The file's name, for messages.
    wish : ExtractWish, optional
    progress : callable

    Returns
    -------
    tuple of CityDataset and Findings

    Raises
    ------
    DeliveryError
        If there are no buildings or no streets, or no area of the name that is wanted.
    """
    wanted = wish or ExtractWish()
    found, srid = Findings(city.metre_srid), city.metre_srid
    metres = {name: _metres(frame, srid) for name, frame in layers.items()}
    _refuse_bare(metres, label)
    buildings = _buildings(metres["buildings"], label, found)
    ground = _ground(buildings, metres.get("areas"), wanted.area, label)
    streets = _streets(metres["streets"], ground, label, found)
    barriers = _barriers(metres, ground, srid)
    cutting = streets[streets["cuts"]]
    cells = _cut(buildings, ground, cutting, barriers, wanted, progress)
    buildings = _housed(buildings, cells, profile, label, found)
    counted = buildings.groupby("cell")["households"].sum()
    households = counted.reindex(cells.cells.index).fillna(0)
    progress("make a net", 0.0)
    net = first_net(
        cells.cells.geometry, households.to_numpy(), cutting, barriers.geometry, wanted.sizes
    )
    frames: dict[str, Any] = drawn(net, cells.cells.geometry, city, profile, _called(metres))
    progress("make a net", 1.0)
    frames |= _values(households, city)
    frames["buildings"] = _building_frame(buildings, srid)
    frames["streets"] = _street_frame(streets, srid)
    frames["barriers"] = barriers
    frames["categories"] = categories(profile, srid)
    frames |= _stations(metres.get("stations"), cells, profile, srid, found)
    _tell(found, frames, cells)
    return replace(city, **frames), found


def _metres(frame: gpd.GeoDataFrame, srid: int) -> gpd.GeoDataFrame:
    shapes = frame.geometry.to_numpy()
    there = frame[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    flat = there.set_geometry(there.geometry.force_2d())
    return flat.to_crs(srid)


def _refuse_bare(metres: Layers, label: str) -> None:
    missing = [
        f"{label}: there are no {name} in it; {why}"
        for name, why in (
            ("buildings", "cells and households are made of them"),
            ("streets", "blocks are made of them"),
        )
        if name not in metres or metres[name].empty
    ]
    if missing:
        raise DeliveryError(missing)


def _buildings(frame: gpd.GeoDataFrame, label: str, found: Findings) -> gpd.GeoDataFrame:
    """Return footprints with ground under them, mended where their rings cross."""
    shapes = frame.geometry.to_numpy().copy()
    wrong = ~shapely.is_valid(shapes)
    shapes[wrong] = shapely.make_valid(shapes[wrong], method="structure", keep_collapsed=False)
    fit = np.isin(shapely.get_type_id(shapes), AREAL) & (shapely.area(shapes) >= LEAST_M2)
    codes = column(frame, "code").to_numpy()
    for done, rows in (("made valid", wrong & fit), ("left out: it has no ground", ~fit)):
        found.add(Finding(label, "invalid_ring", f"building {code}", done) for code in codes[rows])
    kept = frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))[fit]
    if kept.empty:
        raise DeliveryError([f"{label}: no building of it has any ground"])
    return kept.reset_index(drop=True)


def _ground(
    buildings: gpd.GeoDataFrame, areas: gpd.GeoDataFrame | None, name: str | None, label: str
) -> Any:
    if name is None:
        hull = shapely.convex_hull(shapely.union_all(shapely.centroid(buildings.geometry)))
        reach = shapely.union_all(shapely.envelope(buildings.geometry.to_numpy()))
        return shapely.buffer(shapely.convex_hull(shapely.union(hull, reach)), AROUND_M)
    named = column(areas, "name") if areas is not None else pd.Series([], dtype=object)
    rows = np.flatnonzero(named == name)
    if areas is None or not len(rows):
        listed = some(sorted({str(one) for one in named.dropna()})) or "none"
        raise DeliveryError(
            [f"{label}: no administrative area is called '{name}'; there are {listed}"]
        )
    whole = shapely.union_all(shapely.make_valid(areas.geometry.to_numpy()[rows]))
    return max(shapely.get_parts(whole), key=shapely.area)


def _streets(frame: gpd.GeoDataFrame, ground: Any, label: str, found: Findings) -> gpd.GeoDataFrame:
    """Return the streets on the ground with nodes at their ends, and which of them cut blocks."""
    said = column(frame, "kind").fillna("").str.removesuffix("_link")
    known = [StreetKind(STREETS.get(text, StreetKind.LOCAL)) for text in said]
    in_tunnel = ~column(frame, "tunnel").fillna("").isin(NOT_ON_THE_GROUND)
    kinds = np.array([kind.value for kind in known])
    kinds[said.isin(PATHS).to_numpy()] = StreetKind.PATH.value
    lines = frame.geometry.to_numpy()
    here = shapely.intersects(lines, ground)
    short = here & (shapely.length(lines) <= 2 * MILLIMETRE)
    if short.any():
        done = "left out: shorter than 2 mm"
        found.add([Finding(label, "too_short", f"{int(short.sum())} pieces of streets", done)])
    kept = here & ~short & (shapely.get_type_id(lines) == LINEAR[0])
    if not kept.any():
        raise DeliveryError([f"{label}: no street lies where its buildings are"])
    index = pd.RangeIndex(1, int(kept.sum()) + 1)
    joined = network(gpd.GeoSeries(lines[kept], index=index, crs=frame.crs), join_m=MILLIMETRE)
    cuts = (kinds != StreetKind.PATH) & (said != "service").to_numpy() & ~in_tunnel.to_numpy()
    return joined.streets.assign(
        name=column(frame, "name").to_numpy()[kept], kind=kinds[kept], cuts=cuts[kept]
    )


def _barriers(metres: Layers, ground: Any, srid: int) -> gpd.GeoDataFrame:
    """Return the frame `barriers`: water and rivers on the ground, railways above it."""
    kinds: list[str] = []
    names: list[str | None] = []
    shapes: list[Any] = []
    for layer, types in (("water", AREAL), ("railways", LINEAR)):
        frame = metres.get(layer)
        if frame is None or frame.empty:
            continue
        said = column(frame, "kind").fillna("")
        if layer == "railways":
            below = ~column(frame, "tunnel").fillna("").isin(NOT_ON_THE_GROUND)
            frame = frame[(said.isin(RAILS) & ~below).to_numpy()]
        whole = shapely.make_valid(frame.geometry.to_numpy(), method="structure")
        here = shapely.intersection(whole, ground)
        for shape, name, text in zip(here, column(frame, "name"), said, strict=False):
            for piece in shapely.get_parts(shape):
                if shapely.get_type_id(piece) in types:
                    flows = layer == "water" and text in ("river", "canal", "stream")
                    usual = BarrierKind.WATER if layer == "water" else BarrierKind.RAILWAY
                    kinds.append((BarrierKind.RIVER if flows else usual).value)
                    names.append(name)
                    shapes.append(piece)
    columns = {
        "barrier_id": np.arange(1, len(shapes) + 1),
        "kind": kinds,
        "name": names,
        "geometry": shapes,
    }
    return cast("gpd.GeoDataFrame", shaped("barriers", columns, srid))


def _cut(
    buildings: gpd.GeoDataFrame,
    ground: Any,
    cutting: gpd.GeoDataFrame,
    barriers: gpd.GeoDataFrame,
    wish: ExtractWish,
    progress: Progress,
) -> Cells:
    return building_cells(
        buildings.geometry,
        gpd.GeoSeries([ground], crs=buildings.crs),
        streets=cutting.geometry,
        barriers=barriers,
        processes=wish.processes,
        progress=progress,
    )


def _housed(
    buildings: gpd.GeoDataFrame, cells: Cells, profile: Profile, label: str, found: Findings
) -> gpd.GeoDataFrame:
    """Return the buildings that have a cell, with use, floors and estimated households."""
    out = cells.cell_of.isna().to_numpy()
    found.add(
        Finding(label, "left_out", f"building {code}", "less than half of it lies in the city")
        for code in column(buildings, "code")[out]
    )
    kept = buildings[~out].reset_index(drop=True)
    said = column(kept, "use").fillna("").str.lower()
    floors = numbers(kept, "floors").round()
    floors = floors.where((floors >= 1) & (floors <= MOST_FLOORS))
    facts = pd.DataFrame({"footprint_m2": kept.area, "use": said, "floors": floors})
    estimated = household_estimates(facts, profile=profile.code)
    flats = numbers(kept, "households").round()
    households = estimated.where(~(flats >= 0), flats.fillna(0)).astype("int64")
    return kept.assign(
        cell=cells.cell_of[~out].astype("int64").to_numpy(),
        use=said.map(USES).fillna("other"),
        floors=floors.astype("Int64"),
        households=households,
    )


def _called(metres: Layers) -> gpd.GeoDataFrame | None:
    """Return the named places of the extract that are parts of towns, or None."""
    frame = metres.get("places")
    if frame is None:
        return None
    return frame[column(frame, "name").notna().to_numpy()]


def _values(households: pd.Series[Any], city: CityDataset) -> dict[str, Any]:
    vintage = str(city.effective_from.year)
    values = {
        "cell_id": households.index.to_numpy() + 1,
        "vintage": [vintage] * len(households),
        "measure": [HOUSEHOLDS] * len(households),
        "value": households.to_numpy(dtype=float),
    }
    counted = {
        "vintage": [vintage],
        "taken_on": [city.effective_from],
        "seasonal": [False],
        "estimated": [True],
        "name": ["按建筑估算"],
    }
    return {
        "cell_values": shaped("cell_values", values, city.metre_srid),
        "vintages": shaped("vintages", counted, city.metre_srid),
    }


def _building_frame(buildings: gpd.GeoDataFrame, srid: int) -> pd.DataFrame:
    columns = {
        "building_id": np.arange(1, len(buildings) + 1),
        "cell_id": buildings["cell"] + 1,
        "code": column(buildings, "code"),
        "name": column(buildings, "name"),
        "use": buildings["use"],
        "floors": buildings["floors"],
        "entrances": [pd.NA] * len(buildings),
        "households": buildings["households"],
        "geometry": buildings.geometry.to_numpy(),
    }
    return shaped("buildings", columns, srid)


def _street_frame(streets: gpd.GeoDataFrame, srid: int) -> pd.DataFrame:
    columns = {
        "street_id": streets.index,
        "name": streets["name"],
        "kind": streets["kind"].to_numpy(),
        "from_node": streets["from_node"],
        "to_node": streets["to_node"],
        "geometry": streets.geometry.to_numpy(),
    }
    return shaped("streets", columns, srid)


def _stations(
    frame: gpd.GeoDataFrame | None, cells: Cells, profile: Profile, srid: int, found: Findings
) -> dict[str, Any]:
    """Return `stations` and the profile's `station_kinds`; services that it lacks are left out."""
    known = {kind.code: kind for kind in profile.station_kinds}
    listed = {
        "kind": list(known),
        "name": [kind.name.zh for kind in known.values()],
        "name_en": [kind.name.en for kind in known.values()],
        "serves": [kind.serves for kind in known.values()],
    }
    frames = {"station_kinds": shaped("station_kinds", listed, srid)}
    if frame is None or frame.empty:
        return frames
    said = column(frame, "kind").fillna("")
    kinds = np.array(
        [next((one for one in SERVICES.get(text, ()) if one in known), "") for text in said]
    )
    points = frame.geometry.to_numpy()
    pieces = cells.cells.geometry.to_numpy()
    cell = np.full(len(points), len(pieces), dtype=np.int64)
    row, hit = shapely.STRtree(pieces).query(points, "intersects")
    np.minimum.at(cell, row, hit)  # a place on a border belongs to the first of its cells
    cell[cell == len(pieces)] = -1
    kept = (cell >= 0) & (kinds != "")
    found.figures["services_left_out"] = int((~kept).sum())
    at = frame[kept]
    place = column(at, "street").fillna("") + " " + column(at, "number").fillna("")
    usual = [known[kind].name.zh for kind in kinds[kept]]
    columns = {
        "station_id": np.arange(1, len(at) + 1),
        "kind": kinds[kept],
        "name": [name or other for name, other in zip(column(at, "name"), usual, strict=True)],
        "address": place.str.strip().replace("", None),
        "opening_hours": column(at, "opening_hours"),
        "floor_area_m2": [np.nan] * len(at),
        "capacity": [pd.NA] * len(at),
        "stage": [StationStage.OPEN.value] * len(at),
        "cell_id": cell[kept] + 1,
        "organisation_id": [pd.NA] * len(at),
        "geometry": points[kept],
    }
    return frames | {"stations": shaped("stations", columns, srid)}


def _tell(found: Findings, frames: Mapping[str, Any], cells: Cells) -> None:
    """Write down what was made."""
    found.figures |= {
        name: len(frames[name]) for name in ("buildings", "streets", "barriers", "cells")
    }
    found.figures["stations"] = len(frames.get("stations", ()))
    found.figures["households"] = int(frames["buildings"]["households"].sum())
    found.figures["area_m2"] = float(cells.cells.area.sum())
    found.figures["cut"] = dict(cells.figures)
