"""The frame with one layer beside `GeoDataFrame.explore()` of the same layer, in a cold browser."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import shapely
from playwright.sync_api import Browser

from benchmarks import browser, cities, stands
from benchmarks.coverages import METRE_SRID
from benchmarks.harness import CPU, Case, DisagreementError, Measure, Outcome
from benchmarks.tiles import Place, building_ids, buildings_in_squares, inside, place_at
from benchmarks.topology import areas_by_name

PAGE_LIMIT_B = 700_000
GROUND_SLACK = 0.03
"""Outlines simplified for the screen may differ from the exact ones by this share of the ground."""
TILE = re.compile(r"/tiles/(\d+)/(\d+)/(\d+)\.mvt")
FOOTPRINT_ZOOM = 15
LEAST_FOOTPRINT_M2 = 20.0
"""Smaller ones are less than two pixels wide at that zoom."""


@dataclass(frozen=True)
class Goal:
    """How many times fewer bytes, and how many times sooner rendered, than the plain way."""

    wire: float
    rendered: float


GRIDS: Mapping[str, Goal] = {
    "grids-2229": Goal(8, 2),
    "grids-6562": Goal(10, 2),
    cities.DEMO: Goal(4, 1.5),
}
"""Cities whose leaf grids are drawn."""
BUILDINGS_GOAL = Goal(10, 20)
CANVAS_GOAL = 5.0
COLOURED_GOAL = 20.0

# What a folium page drew: the name of each shape, and the area of each in square degrees.
DRAWN = """() => {
  const map = Object.values(window).find((value) => value instanceof L.Map);
  const area = (ring) => Math.abs(ring.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0));
  const found = [];
  map.eachLayer(({ feature }) => {
    if (!feature) return;
    const { type, coordinates } = feature.geometry;
    const polygons = type === "Polygon" ? [coordinates] : coordinates;
    const ground = polygons.map(([outer, ...holes]) =>
      holes.reduce((left, hole) => left - area(hole), area(outer)));
    found.push([feature.properties.n, ground.reduce((sum, one) => sum + one, 0)]);
  });
  return found;
}"""


def cases() -> Iterator[Case]:
    """Yield the cases; the cities are kept in a database between runs."""
    with ExitStack() as open_now:
        stand = open_now.enter_context(cities.stand())
        address = open_now.enter_context(stands.pages(stand.database))
        shop = _Shop(open_now.enter_context(browser.chromium()), address, stand.servers)
        for slug, goal in GRIDS.items():
            yield from shop.grids(slug, cities.outlines(stand.engine, slug), goal)
        yield from shop.buildings(cities.DEMO, cities.footprints(stand.engine, cities.DEMO))
        yield shop.whole_page(cities.DEMO)


@dataclass(frozen=True)
class _Shop:
    """One browser, and the address of our pages."""

    chromium: Browser
    address: str
    servers: Callable[[], tuple[int, ...]]

    def grids(self, slug: str, layer: gpd.GeoDataFrame, goal: Goal) -> Iterator[Case]:
        """Yield the case of all leaf grids of a city."""
        truth = _ground(layer)
        ours = f"{self.address}/maps/net?city={slug}&only=grids"

        def agree(ours: dict[str, float], theirs: dict[str, float]) -> None:
            _same_ground(ours, truth)
            _same_ground(theirs, truth)

        pages = {slug: _explored(layer, column="c", categorical=True, legend=False)}
        with stands.peer_pages(pages) as plain:
            yield Case(
                name=f"grids_{len(layer)}",
                title=f"{len(layer):,} grids on a map",
                ours=lambda: self._our_grids(ours),
                peers={"explore()": lambda: self._explore(f"{plain}/{slug}.html")},
                measures=_measures(goal),
                agree=agree,
                servers=self.servers,
                note=f"{len(layer):,} grids of {_vertices(layer):.0f} vertices; answers: names and "
                f"areas of all, within {GROUND_SLACK:.0%} of the ground; both coloured alike",
            )

    def buildings(self, slug: str, layer: gpd.GeoDataFrame) -> Iterator[Case]:
        """Yield the case of all buildings of a city."""
        pages = {
            "plain": _explored(layer),
            "canvas": _explored(layer, prefer_canvas=True),
            "coloured": _explored(layer, column="u", legend=False),
        }
        ours = f"{self.address}/maps/net?city={slug}&only=buildings"
        with stands.peer_pages(pages) as plain:
            yield Case(
                name="buildings",
                title=f"{len(layer):,} buildings on a map",
                ours=lambda: self._our_buildings(ours, layer),
                peers={
                    "explore()": lambda: self._counted(f"{plain}/plain.html"),
                    "explore(canvas)": lambda: self._counted(f"{plain}/canvas.html"),
                    "explore(coloured)": lambda: self._counted(f"{plain}/coloured.html"),
                },
                measures=[
                    *_measures(BUILDINGS_GOAL, ("explore()",)),
                    _rendered_beside("explore(canvas)", CANVAS_GOAL, "beside_canvas"),
                    _rendered_beside("explore(coloured)", COLOURED_GOAL, "beside_coloured"),
                ],
                agree=_same_number,
                servers=self.servers,
                note=f"{len(layer):,} buildings; ours draws squares with their number at the first "
                "view and footprints from zoom 13; answers: the number of buildings, and every "
                f"footprint in the middle tile of zoom {FOOTPRINT_ZOOM}; coloured: by use",
            )

    def whole_page(self, slug: str) -> Case:
        """Return the case of the whole page of the net."""
        return Case(
            name="net_page",
            title="The whole page of the net",
            ours=lambda: _outcome(None, self._ours(f"{self.address}/net?city={slug}")),
            peers={},
            measures=[Measure("bytes", "B", 1.0, limit=PAGE_LIMIT_B)],
            agree=_same_number,
            servers=self.servers,
            note="all layers of the first view, scripts, styles and libraries",
        )

    def _our_grids(self, address: str) -> Outcome:
        seen = self._ours(address, lambda url: ".topojson" in url)
        (document,) = seen.answers.values()
        topology = json.loads(document)
        shapes = len(topology["objects"]["grids"]["geometries"])
        if seen.fills < shapes:
            raise DisagreementError(f"{shapes} grids came, {seen.fills} shapes were filled")
        return _outcome(areas_by_name(topology), seen)

    def _our_buildings(self, address: str, layer: gpd.GeoDataFrame) -> Outcome:
        seen = self._ours(address, lambda url: ".mvt" in url)
        west, south, east, north = layer.total_bounds
        place = place_at((west + east) / 2, (south + north) / 2, FOOTPRINT_ZOOM)
        _check_footprints(self._tile(next(iter(seen.answers)), place), place, layer)
        squares = {_place(address): tile for address, tile in seen.answers.items()}
        return _outcome(buildings_in_squares(squares, METRE_SRID), seen)

    def _tile(self, like: str, place: Place) -> bytes:
        """Fetch a tile beside one whose address is known."""
        address = TILE.sub(f"/tiles/{place.z}/{place.x}/{place.y}.mvt", like)
        context = self.chromium.new_context()
        try:
            return context.request.get(address).body()
        finally:
            context.close()

    def _ours(self, address: str, keep: Callable[[str], bool] = lambda url: False) -> browser.Load:
        seen = browser.load(self.chromium, address, keep=keep)
        if seen.foreign or seen.errors:
            raise DisagreementError(f"{address}: asked {seen.foreign}, errors {seen.errors}")
        return seen

    def _explore(self, address: str) -> Outcome:
        seen = browser.load(self.chromium, address, question=DRAWN)
        found: dict[str, float] = defaultdict(float)
        for name, ground in seen.found:
            found[name] += ground
        return _outcome(found, seen)

    def _counted(self, address: str) -> Outcome:
        seen = browser.load(self.chromium, address, question=DRAWN)
        return _outcome(len(seen.found), seen)


def _measures(goal: Goal, peers: tuple[str, ...] = ()) -> list[Measure]:
    return [
        Measure("bytes", "B", goal.wire, peers),
        Measure("rendered", "s", goal.rendered, peers),
        Measure(CPU, "s", 1.0, peers),
    ]


def _rendered_beside(peer: str, goal: float, row: str) -> Measure:
    return Measure("rendered", "s", goal, (peer,), row=row)


def _outcome(answer: Any, seen: browser.Load) -> Outcome:
    return Outcome(answer, {"bytes": seen.wire_bytes, "rendered": seen.rendered_s})


def _explored(layer: gpd.GeoDataFrame, **options: Any) -> str:
    page: str = layer.explore(tiles=None, **options).get_root().render()
    return page


def _vertices(layer: gpd.GeoDataFrame) -> float:
    return float(shapely.get_num_coordinates(layer.geometry.to_numpy()).mean()) - 1


def _ground(layer: gpd.GeoDataFrame) -> dict[str, float]:
    """Return the area by name, square degrees; grids of one name under several parents add up."""
    found: dict[str, float] = defaultdict(float)
    for name, area in zip(layer["n"], shapely.area(layer.geometry.to_numpy()), strict=True):
        found[name] += area
    return found


def _same_ground(found: Mapping[str, float], truth: Mapping[str, float]) -> None:
    if found.keys() != truth.keys():
        raise DisagreementError(f"{len(found)} names instead of {len(truth)}, or other names")
    differ = sum(abs(found[name] - truth[name]) for name in truth) / sum(truth.values())
    if differ > GROUND_SLACK:
        raise DisagreementError(f"{differ:.1%} of the ground differs")


def _same_number(ours: int, theirs: int) -> None:
    if ours != theirs:
        raise DisagreementError(f"{ours:,} and {theirs:,} buildings")


def _place(address: str) -> Place:
    found = TILE.search(address)
    if found is None:
        raise ValueError(f"{address} is no tile's address.")
    return Place(*(int(number) for number in found.groups()))


def _check_footprints(tile: bytes, place: Place, layer: gpd.GeoDataFrame) -> None:
    """Refuse a tile that lacks a building whose middle lies in it, or has one that is unknown."""
    drawn = building_ids(tile)
    flat = layer.to_crs(METRE_SRID)
    rows = layer[(flat.area > LEAST_FOOTPRINT_M2).to_numpy()].to_crs(3857)
    middles = shapely.get_coordinates(rows.representative_point().to_numpy())
    expected = set(rows["b"][inside(place, middles)])
    if not expected or not expected <= drawn or not drawn <= set(layer["b"]):
        missing = len(expected - drawn)
        raise DisagreementError(f"of {len(expected)} buildings in {place}, {missing} are missing")
