"""Borders, figures and tiles of a net: what maps fetch, decoded and compared with the dataset."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from datetime import date
from typing import Any

import geopandas as gpd
import httpx
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
import shapely.affinity

from tests.api.conftest import HOME, World, two_cities
from tests.cities import GRIDS, LEAVES
from tests.reckoning import Reckoned

BASE = f"/api/v1/cities/{HOME}/nets/1"
DAY = date(2026, 5, 1)
EXTENT = 4096
LEVELS = {"1": 1, "2": 2, "3": 3, "4": 4, "leaf": None}


@pytest.fixture(scope="module")
def reckoned() -> Reckoned:
    return Reckoned(two_cities()[0], DAY)


def grids_of(level: int | None) -> set[int]:
    return set(LEAVES) if level is None else {g for g, row in GRIDS.items() if row[0] == level}


# ---- borders -------------------------------------------------------------------------------------


def decoded(topology: dict[str, Any]) -> dict[int, Any]:
    """Return the shapes of a TopoJSON document by their property g, in degrees."""
    scale, origin = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = [np.cumsum(arc, axis=0) * scale + origin for arc in topology["arcs"]]

    def ring(numbers: list[int]) -> Any:
        pieces = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers]
        return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])

    shapes = {}
    for geometry in topology["objects"]["grids"]["geometries"]:
        polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
        parts = [shapely.Polygon(ring(p[0]), [ring(hole) for hole in p[1:]]) for p in polygons]
        shapes[geometry["properties"]["g"]] = shapely.MultiPolygon(parts)
    return shapes


@pytest.mark.parametrize("level", LEVELS)
def test_borders_of_a_level_are_its_grids(
    reader: httpx.Client, reckoned: Reckoned, level: str
) -> None:
    answer = reader.get(f"{BASE}/levels/{level}.topojson")
    assert answer.headers["content-type"] == "application/json"
    topology = answer.json()
    shapes = decoded(topology)
    assert set(shapes) == grids_of(LEVELS[level])
    assert shapely.coverage_is_valid(list(shapes.values()))
    for grid, shape in shapes.items():
        metres = gpd.GeoSeries([shape], crs=4326).to_crs(reckoned.city.metre_srid)[0]
        assert metres.hausdorff_distance(reckoned.metre_shapes[grid]) < 2.0
    for geometry in topology["objects"]["grids"]["geometries"]:
        grid = geometry["properties"]["g"]
        _, parent, name, _, colour = GRIDS[grid]
        assert geometry["properties"] == {"g": grid, "n": name, "c": colour, "p": parent}


def test_an_overview_shows_the_same_grids_with_fewer_vertices(reader: httpx.Client) -> None:
    whole = reader.get(f"{BASE}/levels/leaf.topojson")
    rough = reader.get(f"{BASE}/levels/leaf.topojson?overview=true")
    assert rough.headers["etag"] != whole.headers["etag"]
    assert len(rough.content) < len(whole.content)
    shapes = decoded(rough.json())
    assert set(shapes) == set(decoded(whole.json()))
    assert shapely.coverage_is_valid(list(shapes.values()))


def test_borders_never_change_and_are_kept_by_browsers(reader: httpx.Client) -> None:
    version = reader.get("/api/v1/cities/home").json()["net"]["version"]
    first = reader.get(f"{BASE}/levels/3.topojson?v={version}")
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    for other in ("", "?v=0123456789abcdef"):
        unversioned = reader.get(f"{BASE}/levels/3.topojson{other}")
        assert unversioned.headers["cache-control"].startswith("public, max-age=60,"), other
        assert unversioned.headers["etag"] == first.headers["etag"]
    assert first.headers["vary"] == "Accept-Encoding"
    tag = first.headers["etag"]
    assert tag.startswith('"'), "a strong tag"
    again = reader.get(f"{BASE}/levels/3.topojson", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = reader.get(f"{BASE}/levels/3.topojson", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200
    assert other.content == first.content
    assert reader.get(f"{BASE}/levels/2.topojson").headers["etag"] != tag


def test_what_never_changes_is_told_without_the_database(
    world: World, reader: httpx.Client
) -> None:
    version = reader.get(BASE.rpartition("/nets/")[0]).json()["net"]["version"]
    path = f"{BASE}/levels/2.topojson"
    first = reader.get(path, params={"v": version})
    reader.get(path, params={"v": "other"})
    assert "immutable" in first.headers["cache-control"]
    database, world.app.state.database = world.app.state.database, None
    try:
        again = reader.get(path, params={"v": version})
        plain = reader.get(path, params={"v": version}, headers={"Accept-Encoding": "identity"})
        known = reader.get(
            path, params={"v": version}, headers={"If-None-Match": first.headers["etag"]}
        )
        others = [
            reader.get(path, params=asked).status_code
            for asked in ({"v": "other"}, {}, {"v": version, "field": "strange"})
        ]
    finally:
        world.app.state.database = database
    assert (again.status_code, again.content) == (200, first.content)
    for name in ("etag", "cache-control", "content-type", "vary", "content-security-policy"):
        assert again.headers[name] == first.headers[name]
    assert plain.content == first.content
    assert known.status_code == 304
    assert min(others) >= 400, "only what never changes is told from memory"


def test_each_encoding_has_its_own_tag(reader: httpx.Client) -> None:
    path = f"{BASE}/levels/leaf.topojson"
    packed = reader.get(path)
    plain = reader.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert packed.headers["etag"] != plain.headers["etag"]
    with reader.stream("GET", path) as raw:
        assert gzip.decompress(b"".join(raw.iter_raw())) == plain.content


@pytest.mark.parametrize("level", LEVELS)
def test_values_are_those_of_the_list(reader: httpx.Client, reckoned: Reckoned, level: str) -> None:
    answer = reader.get(f"{BASE}/levels/{level}/values", params={"as_of": DAY.isoformat()}).json()
    assert answer["columns"] == ["households", "buildings", "posts", "vacant", "stations"]
    assert {int(grid) for grid in answer["values"]} == grids_of(LEVELS[level])
    for grid, row in answer["values"].items():
        expected = reckoned.figures(int(grid))
        named = ("households", "buildings", "posts", "vacant_posts", "stations")
        assert row == [expected[name] for name in named]


def test_values_are_asked_again_but_sent_once(reader: httpx.Client) -> None:
    path = f"{BASE}/levels/3/values"
    first = reader.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = reader.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    earlier = reader.get(f"{path}?as_of=2026-02-01")
    assert earlier.headers["etag"] != first.headers["etag"], "another day, other posts"


# ---- tiles ---------------------------------------------------------------------------------------


def tile_of(lon: float, lat: float, z: int) -> tuple[int, int]:
    across = 1 << z
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * across), int(y * across)


def tiles_over(reckoned: Reckoned, z: int) -> Iterator[tuple[int, int]]:
    west, south, east, north = reckoned.shapes.total_bounds
    (x_0, y_1), (x_1, y_0) = tile_of(west, south, z), tile_of(east, north, z)
    for x in range(x_0, x_1 + 1):
        for y in range(y_0, y_1 + 1):
            yield x, y


def layers(reader: httpx.Client, z: int, x: int, y: int) -> dict[str, Any]:
    answer = reader.get(f"{BASE}/tiles/{z}/{x}/{y}.mvt")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    found: dict[str, Any] = mapbox_vector_tile.decode(
        answer.content, default_options={"y_coord_down": True}
    )
    for layer in found.values():
        assert layer["extent"] == EXTENT
    return found


def on_tile(shapes: gpd.GeoSeries, z: int, x: int, y: int) -> gpd.GeoSeries:
    """Return shapes in the units of a tile, y down."""
    side = 2 * math.pi * 6_378_137 / (1 << z)
    west, north = x * side - math.pi * 6_378_137, math.pi * 6_378_137 - y * side
    unit = EXTENT / side
    matrix = [unit, 0, 0, -unit, -west * unit, north * unit]
    mercator = shapes.to_crs(3857)
    return gpd.GeoSeries([shapely.affinity.affine_transform(s, matrix) for s in mercator])


@pytest.mark.parametrize("z", [15, 16, 17])
def test_buildings_of_a_tile_are_the_footprints(
    reader: httpx.Client, reckoned: Reckoned, z: int
) -> None:
    buildings = reckoned.located("buildings")
    seen: set[int] = set()
    wanted: set[int] = set()
    for x, y in tiles_over(reckoned, z):
        drawn = layers(reader, z, x, y).get("building", {"features": []})["features"]
        expected = on_tile(buildings.geometry, z, x, y)
        expected.index = buildings["building_id"]
        frame = shapely.box(-64, -64, EXTENT + 64, EXTENT + 64)
        least = 4 * (EXTENT / 512) ** 2
        wanted |= set(expected.index[(expected.area > least) & expected.intersects(frame)])
        for feature in drawn:
            shape = shapely.geometry.shape(feature["geometry"])
            whole = expected.loc[feature["id"]].intersection(frame)
            assert shape.hausdorff_distance(whole) < 2.0, "units of the tile"
            use = buildings.set_index("building_id").loc[feature["id"], "use"]
            assert feature["properties"] == {"use": use}, "no households of a single building"
            seen.add(feature["id"])
    assert seen == wanted


def test_small_buildings_are_left_out_from_afar(reader: httpx.Client, reckoned: Reckoned) -> None:
    counts = {}
    for z in (13, 14, 15):
        found = [layers(reader, z, x, y).get("building") for x, y in tiles_over(reckoned, z)]
        counts[z] = len({f["id"] for layer in found if layer for f in layer["features"]})
    assert "building" not in layers(reader, 12, *tile_of(120.4576, 37.6185, 12))
    assert 0 < counts[13] <= counts[14] <= counts[15] < 48, "2 m huts are never drawn at 15"


@pytest.mark.parametrize("z", [8, 9, 10, 11, 12, 13])
def test_squares_of_density_count_every_building_once(
    reader: httpx.Client, reckoned: Reckoned, z: int
) -> None:
    side = {8: 2000, 9: 2000, 10: 1000, 11: 500, 12: 250, 13: 125}[z]
    squares: dict[tuple[int, int], int] = {}
    for x, y in tiles_over(reckoned, z):
        for feature in layers(reader, z, x, y)["density"]["features"]:
            assert feature["properties"]["size"] == side
            middle = shapely.geometry.shape(feature["geometry"]).centroid
            if 0 <= middle.x < EXTENT and 0 <= middle.y < EXTENT:
                place = (round((x * EXTENT + middle.x) / 16), round((y * EXTENT + middle.y) / 16))
                squares[place] = feature["properties"]["n"]
    places = shapely.point_on_surface(reckoned.city.buildings.geometry.to_numpy())
    corners = np.floor(shapely.get_coordinates(places) / side).astype(int)
    _, expected = np.unique(corners, axis=0, return_counts=True)
    if z < 13:
        assert sorted(squares.values()) == sorted(expected.tolist())
    assert sum(squares.values()) == len(reckoned.city.buildings)
    assert "density" not in layers(reader, 14, *tile_of(120.4576, 37.6185, 14))


def test_places_carry_names_levels_and_households(reader: httpx.Client, reckoned: Reckoned) -> None:
    for z, levels in ((8, {1}), (10, {1, 2}), (11, {1, 2, 3}), (14, {1, 2, 3, 4})):
        found: dict[int, Any] = {}
        for x, y in tiles_over(reckoned, z):
            for feature in layers(reader, z, x, y).get("place", {"features": []})["features"]:
                assert feature["id"] not in found, "each name in one tile alone"
                found[feature["id"]] = feature["properties"]
        assert set(found) == {grid for grid, row in GRIDS.items() if row[0] in levels}
        for grid, properties in found.items():
            assert properties["name"] == GRIDS[grid][2]
            assert properties["level"] == GRIDS[grid][0]
            assert properties.get("n", 0) == reckoned.figures(grid)["households"]
            assert properties["leaf"] == (grid in LEAVES)


def test_streets_water_walls_and_compounds_come_with_their_zoom(
    reader: httpx.Client, reckoned: Reckoned
) -> None:
    middle = tile_of(120.4576, 37.6185, 14)
    near = layers(reader, 14, *middle)
    names = {f["properties"].get("name") for f in near["street"]["features"]}
    assert names == {"环海大道", "松林路", None}
    kinds = {f["properties"]["kind"] for f in near["street"]["features"]}
    assert kinds == {"arterial", "collector", "path"}
    arterial = next(f for f in near["street"]["features"] if f["properties"]["kind"] == "arterial")
    assert arterial["geometry"]["type"] == "LineString", "edges of one street are one line"
    assert {f["properties"]["name"] for f in near["water"]["features"]} == {"岚河", "望潮湖"}
    assert len(near["railway"]["features"]) == 1
    assert len(near["wall"]["features"]) == 1
    assert {f["properties"]["name"] for f in near["compound"]["features"]} == {
        "松岭花园", "海棠小区", "望潮家园"
    }  # fmt: skip
    assert {f["geometry"]["type"] for f in near["compound_label"]["features"]} == {"Point"}
    far = layers(reader, 11, *tile_of(120.4576, 37.6185, 11))
    assert {f["properties"]["kind"] for f in far["street"]["features"]} == {"arterial"}
    assert "wall" not in far
    assert "compound" not in far


def test_a_tile_where_nothing_is_has_no_bytes(reader: httpx.Client) -> None:
    for z, x, y in ((14, 0, 0), (0, 0, 0), (22, 1, 1)):
        answer = reader.get(f"{BASE}/tiles/{z}/{x}/{y}.mvt")
        assert answer.status_code == 200
        if z:
            assert answer.content == b""


def test_tiles_are_kept_for_a_while(reader: httpx.Client) -> None:
    path = f"{BASE}/tiles/14/{'/'.join(map(str, tile_of(120.4576, 37.6185, 14)))}.mvt"
    first = reader.get(path)
    assert "max-age=60" in first.headers["cache-control"]
    again = reader.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert reader.get(f"{path}?v=2").status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "tiles/23/0/0.mvt",
        "tiles/-1/0/0.mvt",
        "tiles/3/8/0.mvt",
        "tiles/3/0/8.mvt",
        "tiles/3/99999999999999999999/0.mvt",
        "tiles/a/0/0.mvt",
        "levels/7.topojson",
        "levels/0.topojson",
        "levels/leaves.topojson",
        "levels/6/values",
    ],
)
def test_addresses_of_nothing_are_refused(reader: httpx.Client, address: str) -> None:
    answer = reader.get(f"{BASE}/{address}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


def test_a_net_that_does_not_exist_is_missing(reader: httpx.Client) -> None:
    for rest in ("levels/3.topojson", "levels/3/values", "tiles/3/1/1.mvt"):
        answer = reader.get(f"/api/v1/cities/{HOME}/nets/2/{rest}")
        assert (answer.status_code, answer.json()["code"]) == (404, "net_not_found")


def test_no_answer_of_a_map_depends_on_who_asks(world: World, reader: httpx.Client) -> None:
    leader = world.signed("leader.home")
    x, y = tile_of(120.4576, 37.6185, 14)
    for rest in ("levels/leaf.topojson", "levels/leaf/values", f"tiles/14/{x}/{y}.mvt"):
        assert leader.get(f"{BASE}/{rest}").content == reader.get(f"{BASE}/{rest}").content


def test_topojson_is_valid_json_without_spare_members(reader: httpx.Client) -> None:
    topology = json.loads(reader.get(f"{BASE}/levels/1.topojson").content)
    assert set(topology) == {"type", "objects", "arcs", "bbox", "transform"}
