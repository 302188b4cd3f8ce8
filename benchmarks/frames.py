"""The frame with one layer beside `GeoDataFrame.explore()` of the same layer, in a cold browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import shapely
from playwright.sync_api import Browser

from benchmarks import browser, coverages, stands
from benchmarks.coverages import Size
from benchmarks.harness import CPU, Case, DisagreementError, Measure, Outcome
from benchmarks.tiles import Place, building_ids, buildings_in_squares, inside, place_at
from benchmarks.topology import areas_by_name
from geo.dataset import CityDataset

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


GRIDS: Mapping[str, tuple[Size, Goal]] = {
    "grids_2229": (Size((5, 39, 2_229), 66_870, whole=True), Goal(8, 2)),
    "grids_6562": (Size((16, 387, 6_562), 196_860, whole=True), Goal(10, 2)),
}
BUILDINGS = Size((5, 39, 454), 48_000, grid_side_m=620.0, stations=170)
BUILDINGS_GOAL = Goal(10, 20)
CANVAS_GOAL = 5.0

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
        stand = open_now.enter_context(stands.stand("frames", _cities))
        address = open_now.enter_context(stands.pages(stand.database))
        chromium = open_now.enter_context(browser.chromium())
        shop = _Shop(chromium, address, stand.servers)
        for name, (size, goal) in GRIDS.items():
            yield from shop.grids(name, coverages.city(_slug(name), size), goal)
        yield from shop.buildings(coverages.city(_slug("buildings"), BUILDINGS))


def _cities() -> Iterator[CityDataset]:
    for name, (size, _) in GRIDS.items():
        yield coverages.city(_slug(name), size)
    yield coverages.city(_slug("buildings"), BUILDINGS)


def _slug(name: str) -> str:
    return name.replace("_", "-")


@dataclass(frozen=True)
class _Shop:
    """One browser, and the address of our pages."""

    chromium: Browser
    address: str
    servers: Callable[[], tuple[int, ...]]

    def grids(self, name: str, city: CityDataset, goal: Goal) -> Iterator[Case]:
        """Yield the case of all leaf grids of a city."""
        leaf = city.grids[city.grids["level"] == city.grids["level"].max()]
        outlines = gpd.GeoDataFrame(
            {"g": city.cells["grid_id"]}, geometry=city.cells.geometry
        ).dissolve("g", method="coverage")
        layer = gpd.GeoDataFrame(
            {"g": leaf["grid_id"].to_numpy(), "n": leaf["name"].to_numpy()},
            geometry=outlines.geometry.loc[leaf["grid_id"]].to_crs(4326).to_numpy(),
            crs=4326,
        ).assign(c=leaf["colour"].to_numpy())
        truth = dict(zip(layer["n"], shapely.area(layer.geometry.to_numpy()), strict=True))

        def agree(ours: dict[str, float], theirs: dict[str, float]) -> None:
            _same_ground(ours, truth)
            _same_ground(theirs, truth)

        with stands.peer_pages({name: _explored(layer)}) as plain:
            yield Case(
                name=name,
                title=f"{len(layer):,} grids on a map",
                ours=lambda: self._our_grids(
                    f"{self.address}/maps/net?city={city.slug}&only=grids"
                ),
                peers={"explore()": lambda: self._explore(f"{plain}/{name}.html")},
                measures=_measures(goal),
                agree=agree,
                servers=self.servers,
                note=f"{len(layer):,} grids of {_vertices(layer):.0f} vertices; answers: names and "
                f"areas of all, ours within {GROUND_SLACK:.0%} of the ground",
            )

    def buildings(self, city: CityDataset) -> Iterator[Case]:
        """Yield the case of all buildings of a city, then the one of the whole page of the net."""
        rows = city.buildings
        layer = gpd.GeoDataFrame({"n": rows["name"]}, geometry=rows.geometry).to_crs(4326)
        pages = {
            "plain": _explored(layer),
            "canvas": _explored(layer, prefer_canvas=True),
        }
        ours = f"{self.address}/maps/net?city={city.slug}&only=buildings"
        with stands.peer_pages(pages) as plain:
            yield Case(
                name=f"buildings_{len(layer)}",
                title=f"{len(layer):,} buildings on a map",
                ours=lambda: self._our_buildings(ours, city),
                peers={
                    "explore()": lambda: self._counted(f"{plain}/plain.html"),
                    "explore(canvas)": lambda: self._counted(f"{plain}/canvas.html"),
                },
                measures=[
                    *_measures(BUILDINGS_GOAL, ("explore()",)),
                    Measure(
                        "rendered", "s", CANVAS_GOAL, ("explore(canvas)",), row="rendered_canvas"
                    ),
                ],
                agree=_same_number,
                servers=self.servers,
                note=f"{len(layer):,} buildings; ours draws squares with their number at the first "
                "view and footprints from zoom 13; answers: the number of buildings, and every "
                f"footprint in the middle tile of zoom {FOOTPRINT_ZOOM}",
            )
        yield Case(
            name="net_page",
            title="The whole page of the net",
            ours=lambda: self._net_page(f"{self.address}/net?city={city.slug}"),
            peers={},
            measures=[Measure("bytes", "B", 1.0, limit=PAGE_LIMIT_B)],
            agree=_same_number,
            note="all layers of the first view, scripts, styles and libraries",
        )

    def _our_grids(self, address: str) -> Outcome:
        seen = self._ours(address, lambda url: ".topojson" in url)
        (document,) = seen.answers.values()
        found = areas_by_name(json.loads(document))
        if seen.fills < len(found):
            raise DisagreementError(f"{len(found)} grids came, {seen.fills} shapes were filled")
        return _outcome(found, seen)

    def _our_buildings(self, address: str, city: CityDataset) -> Outcome:
        seen = self._ours(address, lambda url: ".mvt" in url)
        place = place_at(*coverages.centre_lonlat(), FOOTPRINT_ZOOM)
        _check_footprints(self._tile(next(iter(seen.answers)), place), place, city)
        squares = {_place(address): tile for address, tile in seen.answers.items()}
        return _outcome(buildings_in_squares(squares, city.metre_srid), seen)

    def _tile(self, like: str, place: Place) -> bytes:
        """Fetch a tile beside one whose address is known."""
        address = TILE.sub(f"/tiles/{place.z}/{place.x}/{place.y}.mvt", like)
        context = self.chromium.new_context()
        try:
            return context.request.get(address).body()
        finally:
            context.close()

    def _net_page(self, address: str) -> Outcome:
        seen = self._ours(address)
        return _outcome(None, seen)

    def _ours(self, address: str, keep: Callable[[str], bool] = lambda url: False) -> browser.Load:
        seen = browser.load(self.chromium, address, keep=keep)
        if seen.foreign or seen.errors:
            raise DisagreementError(f"{address}: asked {seen.foreign}, errors {seen.errors}")
        return seen

    def _explore(self, address: str) -> Outcome:
        seen = browser.load(self.chromium, address, question=DRAWN)
        return _outcome(dict(seen.found), seen)

    def _counted(self, address: str) -> Outcome:
        seen = browser.load(self.chromium, address, question=DRAWN)
        return _outcome(len(seen.found), seen)


def _measures(goal: Goal, peers: tuple[str, ...] = ()) -> list[Measure]:
    return [
        Measure("bytes", "B", goal.wire, peers),
        Measure("rendered", "s", goal.rendered, peers),
        Measure(CPU, "s", 1.0, peers),
    ]


def _outcome(answer: Any, seen: browser.Load) -> Outcome:
    return Outcome(answer, {"bytes": seen.wire_bytes, "rendered": seen.rendered_s})


def _explored(layer: gpd.GeoDataFrame, **options: Any) -> str:
    page: str = layer.explore(tiles=None, **options).get_root().render()
    return page


def _vertices(layer: gpd.GeoDataFrame) -> float:
    return float(shapely.get_num_coordinates(layer.geometry.to_numpy()).mean()) - 1


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


def _check_footprints(tile: bytes, place: Place, city: CityDataset) -> None:
    """Refuse a tile that lacks a building whose middle lies in it, or has one that is unknown."""
    drawn = building_ids(tile)
    rows = city.buildings[city.buildings.area > LEAST_FOOTPRINT_M2]
    middles = shapely.get_coordinates(rows.to_crs(3857).representative_point().to_numpy())
    expected = set(rows["building_id"][inside(place, middles)])
    if not expected or not expected <= drawn or not drawn <= set(city.buildings["building_id"]):
        missing = len(expected - drawn)
        raise DisagreementError(f"of {len(expected)} buildings in {place}, {missing} are missing")
