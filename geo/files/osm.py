"""OpenStreetMap extracts (.pbf) as the layers a city needs; streets are split at shared nodes.

OpenStreetMap's ways are not layers: what a thing is, its tags say. The tags that are taken are in
`TAKEN`; others, among them those about who mapped and whom to call, are never read out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import osmium
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geo.errors import FileRefusedError
from geo.files import harmless
from geo.files.facts import EncodingFact, FileFormat, Kind
from geo.files.limits import Limits
from geo.files.sources import Batch, RawLayer
from geo.saying import phrase

ADDRESS: Final = {"street": "addr:street", "housenumber": "addr:housenumber"}

#: Layer -> column -> tag.
TAKEN: Final[Mapping[str, Mapping[str, str]]] = {
    "buildings": {
        "name": "name",
        "building": "building",
        "levels": "building:levels",
        "height": "height",
        "flats": "building:flats",
        **ADDRESS,
    },
    "streets": {
        "name": "name",
        "highway": "highway",
        "oneway": "oneway",
        "bridge": "bridge",
        "tunnel": "tunnel",
        "level": "layer",
    },
    "water": {"name": "name", "natural": "natural", "water": "water", "waterway": "waterway"},
    "waterways": {"name": "name", "waterway": "waterway", "tunnel": "tunnel"},
    "railways": {"name": "name", "railway": "railway", "tunnel": "tunnel", "bridge": "bridge"},
    "walls": {"name": "name", "barrier": "barrier", "height": "height"},
    "places": {"name": "name", "place": "place", "population": "population"},
    "stations": {
        "name": "name",
        "amenity": "amenity",
        "shop": "shop",
        "social_facility": "social_facility",
        "opening_hours": "opening_hours",
        "capacity": "capacity",
        **ADDRESS,
    },
    "areas": {
        "name": "name",
        "admin_level": "admin_level",
        "code": "ref",
        "population": "population",
    },
    "landuse": {"name": "name", "landuse": "landuse", "leisure": "leisure"},
}
KINDS: Final[Mapping[str, Kind]] = {
    "buildings": "areas",
    "streets": "lines",
    "water": "areas",
    "waterways": "lines",
    "railways": "lines",
    "walls": "lines",
    "places": "points",
    "stations": "points",
    "areas": "areas",
    "landuse": "areas",
}
ENDS: Final = ("from_node", "to_node")

WALKED_BY_NOBODY: Final = frozenset(
    {
        "proposed",
        "construction",
        "abandoned",
        "razed",
        "platform",
        "elevator",
        "rest_area",
        "services",
        "raceway",
        "bus_stop",
        "no",
    }
)
RAILWAYS: Final = frozenset(
    {"rail", "light_rail", "subway", "tram", "monorail", "narrow_gauge", "preserved"}
)
WATERWAYS: Final = frozenset({"river", "canal", "stream", "drain", "ditch", "tidal_channel"})
WALLS: Final = frozenset({"wall", "city_wall", "fence", "retaining_wall", "hedge"})
#: Services for people near home; parking, benches and the like are no stations.
SERVICES: Final = frozenset(
    {
        "community_centre",
        "social_centre",
        "social_facility",
        "townhall",
        "library",
        "clinic",
        "doctors",
        "hospital",
        "pharmacy",
        "police",
        "fire_station",
        "post_office",
        "kindergarten",
        "school",
        "childcare",
        "toilets",
        "shelter",
        "marketplace",
        "nursing_home",
        "public_bath",
        "courthouse",
        "arts_centre",
        "recycling",
        "drinking_water",
        "canteen",
        "charging_station",
    }
)
AREA_KEYS: Final = (
    "building",
    "natural",
    "water",
    "waterway",
    "boundary",
    "amenity",
    "landuse",
    "leisure",
)
KEYS: Final = (*AREA_KEYS, "highway", "railway", "barrier", "place")

Tags = Any
Floats = NDArray[np.float64]


@dataclass
class _Layer:
    """Rows of one layer while a file is read."""

    name: str
    ids: list[str] = field(default_factory=list)
    tags: list[tuple[str | None, ...]] = field(default_factory=list)
    shapes: list[Any] = field(default_factory=list)
    ends: list[tuple[int, int]] = field(default_factory=list)

    def add(self, identity: str, tags: Tags, shape: Any) -> None:
        """Append a row."""
        self.ids.append(identity)
        self.tags.append(tuple(tags.get(tag) for tag in TAKEN[self.name].values()))
        self.shapes.append(shape)


@dataclass
class _Harvest:
    """Sorts what a file holds into layers."""

    path: Path
    most: int
    shared: NDArray[np.int64]
    layers: dict[str, _Layer] = field(
        default_factory=lambda: {name: _Layer(name) for name in TAKEN}
    )
    torn: int = 0
    factory: Any = field(default_factory=osmium.geom.WKBFactory)

    def take(self, thing: Any) -> None:
        """Put a node, a way or an area where it belongs."""
        if thing.is_area():
            self._area(thing)
        elif thing.is_way():
            self._way(thing)
        elif thing.is_node():
            self._node(thing)
        if sum(len(layer.ids) for layer in self.layers.values()) > self.most:
            said = phrase(
                "%(file)s: it has more than %(most)s things; cut out one city",
                file=self.path.name,
                most=f"{self.most:,}",
            )
            raise FileRefusedError("too_large", [said])

    def _node(self, node: Any) -> None:
        tags, identity = node.tags, f"n{node.id}"
        point = (node.lon, node.lat)
        if "place" in tags:
            self.layers["places"].add(identity, tags, point)
        if tags.get("amenity") in SERVICES:
            self.layers["stations"].add(identity, tags, point)

    def _way(self, way: Any) -> None:
        tags, identity = way.tags, f"w{way.id}"
        highway = tags.get("highway")
        is_street = highway is not None and highway not in WALKED_BY_NOBODY
        names = [
            name
            for name, fits in (
                ("waterways", tags.get("waterway") in WATERWAYS),
                ("railways", tags.get("railway") in RAILWAYS),
                ("walls", tags.get("barrier") in WALLS),
            )
            if fits
        ]
        if not names and not is_street:
            return
        refs, places = _line(way)
        if len(places) < 2:
            self.torn += 1
            return
        for name in names:
            self.layers[name].add(identity, tags, places)
        if is_street and tags.get("area") != "yes":
            self._street(identity, tags, refs, places)

    def _street(self, identity: str, tags: Tags, refs: NDArray[np.int64], places: Floats) -> None:
        """Cut a street where others meet it, so that its pieces meet end to end."""
        layer = self.layers["streets"]
        at = np.searchsorted(self.shared, refs[1:-1])
        at = np.minimum(at, max(len(self.shared) - 1, 0))
        met = self.shared[at] == refs[1:-1] if len(self.shared) else np.zeros(len(at), dtype=bool)
        cuts = [0, *(np.flatnonzero(met) + 1).tolist(), len(refs) - 1]
        for first, last in itertools.pairwise(cuts):
            layer.add(identity, tags, places[first : last + 1])
            layer.ends.append((int(refs[first]), int(refs[last])))

    def _area(self, area: Any) -> None:
        tags = area.tags
        names = [
            name
            for name, fits in (
                ("buildings", tags.get("building", "no") != "no"),
                ("water", _is_water(tags)),
                ("stations", tags.get("amenity") in SERVICES),
                ("areas", tags.get("boundary") == "administrative"),
                ("landuse", "landuse" in tags or tags.get("leisure") == "park"),
            )
            if fits
        ]
        if not names:
            return
        identity = f"{'w' if area.from_way() else 'r'}{area.orig_id()}"
        try:
            shape = shapely.from_wkb(self.factory.create_multipolygon(area))
        except (RuntimeError, shapely.GEOSException):
            self.torn += 1
            return
        if len(shape.geoms) == 1:
            shape = shape.geoms[0]
        for name in names:
            own = shape
            if name == "stations":
                point = shape.representative_point()
                own = (point.x, point.y)
            self.layers[name].add(identity, tags, own)


def _is_water(tags: Tags) -> bool:
    return (
        tags.get("natural") == "water"
        or tags.get("waterway") in ("riverbank", "dock")
        or (tags.get("landuse") in ("reservoir", "basin"))
    )


def _line(way: Any) -> tuple[NDArray[np.int64], Floats]:
    """Return the nodes of a way that are in the file, one after another, none twice running."""
    nodes = [(node.ref, node.lon, node.lat) for node in way.nodes if node.location.valid()]
    refs = np.array([node[0] for node in nodes], dtype=np.int64)
    places = np.array([node[1:] for node in nodes], dtype=np.float64).reshape(-1, 2)
    if len(places) > 1:
        kept = np.r_[True, (np.diff(places, axis=0) != 0).any(axis=1)]
        refs, places = refs[kept], places[kept]
    return refs, places


def layers(path: Path, known: FileFormat, limits: Limits) -> list[RawLayer]:
    """Return the layers that have anything in them.

    Raises
    ------
    FileRefusedError
        `damaged`, `hostile`, `too_large`, or `empty` for an extract with nothing of a city.
    """
    harmless.osm_pbf(path, limits)
    harvest = _harvest(path, limits.features)
    found = [
        RawLayer(
            name=name,
            format=known,
            path=path,
            inner=name,
            kind=KINDS[name],
            features=len(layer.ids),
            crs="EPSG:4326",
            columns=_columns(name),
            encoding=EncodingFact("UTF-8"),
        )
        for name, layer in harvest.layers.items()
        if layer.ids
    ]
    if not found:
        said = phrase(
            "%(file)s: there is no building, street or place in it; cut out another part",
            file=path.name,
        )
        raise FileRefusedError("empty", [said])
    return found


def _columns(name: str) -> tuple[str, ...]:
    return ("osm_id", *TAKEN[name], *(ENDS if name == "streets" else ()))


def batches(layer: RawLayer, columns: Sequence[str], encoding: str, rows: int) -> Iterator[Batch]:
    """Yield rows with these columns alone."""
    found = _harvest(layer.path, None).layers[layer.inner]
    places = {name: place for place, name in enumerate(TAKEN[layer.inner])}
    for first in range(0, len(found.ids), rows):
        part = slice(first, first + rows)
        read: dict[str, pa.Array] = {}
        for name in columns:
            if name == "osm_id":
                read[name] = pa.array(found.ids[part], pa.string())
            elif name in ENDS:
                ends = [end[ENDS.index(name)] for end in found.ends[part]]
                read[name] = pa.array(ends, pa.int64())
            else:
                values = [tags[places[name]] for tags in found.tags[part]]
                read[name] = pa.array(values, pa.string())
        shapes = _shapes(KINDS[layer.inner], found.shapes[part])
        yield Batch(read, shapes, len(shapes))


def _shapes(kind: Kind, raw: list[Any]) -> Any:
    make: dict[str, Callable[[list[Any]], Any]] = {
        "points": lambda places: shapely.points(np.array(places, dtype=np.float64)),
        "lines": lambda lines: [shapely.linestrings(places) for places in lines],
        "areas": lambda areas: areas,
    }
    shapes = np.empty(len(raw), dtype=object)
    shapes[:] = make[kind](raw)
    return shapes


_KEPT: dict[tuple[Path, int, int], _Harvest] = {}


def _harvest(path: Path, most: int | None) -> _Harvest:
    """Read a file once; its layers are asked for one by one."""
    about = path.stat()
    key = (path, about.st_mtime_ns, about.st_size)
    if key not in _KEPT:
        _KEPT.clear()
        with _told(path):
            harvest = _Harvest(path, most or Limits().features, _shared_nodes(path))
            things = (
                osmium.FileProcessor(path)
                .with_locations()
                .with_areas(osmium.filter.KeyFilter(*AREA_KEYS))
                .with_filter(osmium.filter.KeyFilter(*KEYS))
            )
            for thing in things:
                harvest.take(thing)
        _KEPT[key] = harvest
    return _KEPT[key]


def _shared_nodes(path: Path) -> NDArray[np.int64]:
    """Return the nodes, in order, that streets use more than once or end at."""
    used: list[NDArray[np.int64]] = []
    streets: Any = osmium.FileProcessor(path, osmium.osm.WAY).with_filter(
        osmium.filter.KeyFilter("highway")
    )
    for way in streets:
        if way.tags.get("highway") not in WALKED_BY_NOBODY and way.tags.get("area") != "yes":
            refs = np.array([node.ref for node in way.nodes], dtype=np.int64)
            used += [refs, refs[:1], refs[-1:]]
    if not used:
        return np.empty(0, dtype=np.int64)
    nodes, times = np.unique(np.concatenate(used), return_counts=True)
    shared: NDArray[np.int64] = nodes[times > 1]
    return shared


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, osmium.InvalidLocationError, ValueError) as error:
        if isinstance(error, FileRefusedError):
            raise
        what = str(error).strip().splitlines()[0][:200] if str(error) else type(error).__name__
        if "out of order" in what:
            unsorted = phrase(
                "%(file)s: its objects do not stand in the order of their numbers (%(what)s); "
                "sort it first, as osmium sort does",
                file=path.name,
                what=what,
            )
            raise FileRefusedError("unsorted", [unsorted]) from error
        said = phrase(
            "%(file)s: it is damaged or cut off (%(what)s); hand it over again",
            file=path.name,
            what=what,
        )
        raise FileRefusedError("damaged", [said]) from error
