"""Stations, streets, buildings, compounds, organisations and search, beside the dataset."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

import geopandas as gpd
import httpx
import pandas as pd
import pytest
import shapely

from geo.terms import Role
from tests.api.conftest import HOME, World, login_of, two_cities
from tests.api.test_reading_grids import lonlat
from tests.cities import GRIDS
from tests.reckoning import Reckoned

BASE = f"/api/v1/cities/{HOME}"
LISTS = {
    "stations": "station",
    "streets": "street",
    "buildings": "building",
    "compounds": "compound",
    "organisations": "organisation",
}


@pytest.fixture(scope="module")
def reckoned() -> Reckoned:
    return Reckoned(two_cities()[0], date(2026, 5, 1))


def rows(reader: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = reader.get(f"{BASE}/{path}", params={"limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def ids(reader: httpx.Client, path: str, **query: Any) -> set[int]:
    return {row[LISTS[path]] for row in rows(reader, path, **query)}


def same(value: Any, expected: Any) -> bool:
    return value is None if pd.isna(expected) else bool(value == expected)


BOXES = ((0.4, 0.4, 2.6, 1.6), (4.9, 2.4, 6.3, 4.6), (0, 0, 8, 5))


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [2, 5])
def test_paging_visits_every_row_once(reader: httpx.Client, name: str, limit: int) -> None:
    found, after = [], None
    while True:
        query = {"limit": limit, **({"after": after} if after else {})}
        page = reader.get(f"{BASE}/{name}", params=query).json()
        found += [row[LISTS[name]] for row in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == sorted(ids(reader, name))
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", ["stations", "streets", "buildings", "compounds"])
@pytest.mark.parametrize("box", BOXES)
def test_a_box_holds_what_meets_it(
    reader: httpx.Client, reckoned: Reckoned, name: str, box: tuple[float, ...]
) -> None:
    (west, south), (east, north) = lonlat(*box[:2]), lonlat(*box[2:])
    frame = reckoned.located(name)
    meets = frame.intersects(shapely.box(west, south, east, north))
    expected = set(frame.loc[meets, f"{LISTS[name]}_id"])
    assert ids(reader, name, bbox=f"{west},{south},{east},{north}") == expected


def test_stations_are_as_they_were_given(reader: httpx.Client, reckoned: Reckoned) -> None:
    expected = reckoned.located("stations").set_index("station_id")
    found = rows(reader, "stations")
    assert len(found) == len(expected)
    for row in found:
        given = expected.loc[row["station"]]
        for ours, theirs in (
            ("kind", "kind"),
            ("name", "name"),
            ("address", "address"),
            ("open_hours", "opening_hours"),
            ("floor_area_m2", "floor_area_m2"),
            ("capacity", "capacity"),
            ("stage", "stage"),
            ("grid", "leaf"),
            ("organisation", "organisation_id"),
        ):
            assert same(row[ours], given[theirs]), (row["station"], ours)
        assert (row["lon"], row["lat"]) == pytest.approx((given.geometry.x, given.geometry.y))
    for stage in ("planned", "building", "open", "closed"):
        wanted = set(expected.index[expected["stage"] == stage])
        assert ids(reader, "stations", stage=stage) == wanted
    for kind in ("canteen", "grid_station", "library"):
        assert ids(reader, "stations", kind=kind) == set(expected.index[expected["kind"] == kind])
    for grid in GRIDS:
        wanted = set(expected.index[expected["leaf"].isin(reckoned.within(grid))])
        assert ids(reader, "stations", grid=grid) == wanted
    assert ids(reader, "stations", q="网格站") == {1, 2, 4}
    assert ids(reader, "stations", q="大道3") == {3}, "an address is found too"


def test_stations_as_geojson_are_read_by_geopandas(
    reader: httpx.Client, reckoned: Reckoned
) -> None:
    collection = reader.get(f"{BASE}/stations", params={"f": "geojson"}).json()
    frame = gpd.GeoDataFrame.from_features(collection["features"], crs=4326)
    expected = reckoned.located("stations")
    distances = frame.to_crs(4549).distance(expected.to_crs(4549))
    assert (distances < 0.02).all()
    assert all("bbox" not in feature for feature in collection["features"])


def test_streets_keep_their_direction_and_length(reader: httpx.Client, reckoned: Reckoned) -> None:
    collection = reader.get(f"{BASE}/streets", params={"f": "geojson"}).json()
    given = reckoned.city.streets.set_index("street_id")
    lines = reckoned.located("streets").set_index("street_id")
    for feature in collection["features"]:
        row = given.loc[feature["id"]]
        line = shapely.geometry.shape(feature["geometry"])
        assert line.equals_exact(lines.geometry[feature["id"]], 1e-6), "from node to node"
        assert feature["properties"]["length_m"] == pytest.approx(row.geometry.length)
        assert same(feature["properties"]["name"], row["name"])
    assert ids(reader, "streets", q="环海") == {1, 2, 3}
    assert ids(reader, "streets", kind="path") == {6}


def test_buildings_and_who_is_told_their_households(
    world: World, reader: httpx.Client, reckoned: Reckoned
) -> None:
    given = reckoned.located("buildings").set_index("building_id")
    own = {
        None: set(),
        Role.LEADER: set(GRIDS),
        Role.PLANNER: set(GRIDS),
        Role.ADMINISTRATOR: set(GRIDS),
        Role.WORKER: reckoned.within(111),
        Role.COMMUNITY: reckoned.within(11),
        Role.DEPARTMENT: set(),
    }
    for role, areas in own.items():
        client = reader if role is None else world.signed(login_of(role, HOME))
        found = rows(client, "buildings")
        assert len(found) == len(given)
        for row in found:
            expected = given.loc[row["building"]]
            told = expected["leaf"] in areas
            assert row["households"] == (expected["households"] if told else None), role
            for name in ("code", "name", "use", "floors", "entrances"):
                assert same(row[name], expected[name]), name
            assert row["grid"] == expected["leaf"]
            assert expected.geometry.covers(shapely.Point(row["lon"], row["lat"]))
    away = world.signed(login_of(Role.LEADER, "away"))
    assert {row["households"] for row in rows(away, "buildings")} == {None}
    table = reader.get(f"{BASE}/buildings", params={"f": "csv", "limit": 1000})
    listed = csv.DictReader(io.StringIO(table.content.decode("utf-8-sig")))
    assert {row["households"] for row in listed} == {""}
    assert ids(reader, "buildings", q="B000") == set(range(1, 10))
    assert ids(reader, "buildings", q="7号") == {7, 17, 37, 47}
    for grid in (1, 11, 111, 213):
        wanted = set(given.index[given["leaf"].isin(reckoned.within(grid))])
        assert ids(reader, "buildings", grid=grid) == wanted


def test_compounds_and_organisations(reader: httpx.Client, reckoned: Reckoned) -> None:
    firms = reckoned.city.organisations.set_index("organisation_id")["name"]
    for row in rows(reader, "compounds"):
        given = reckoned.city.compounds.set_index("compound_id").loc[row["compound"]]
        assert row["firm_name"] == (None if row["firm"] is None else firms[row["firm"]])
        assert same(row["community_type"], given["community_type"])
    assert ids(reader, "compounds", q="花园") == {1}
    bodies = reckoned.city.organisations
    elsewhere = {4: (1, 11, 111, 1111), 7: (2, 21, 212), 8: (2, 21, 212)}
    for grid in GRIDS:
        wanted = set(bodies.loc[bodies["grid_id"].isin(reckoned.within(grid)), "organisation_id"])
        wanted |= {body for body, grids in elsewhere.items() if grid in grids}
        assert ids(reader, "organisations", grid=grid) == wanted
    assert ids(reader, "organisations", kind="department") == {5}
    at_home = {row["organisation"]: row for row in rows(reader, "organisations")}
    assert [
        at_home[n][place] for n, place in ((4, "compound"), (7, "building"), (8, "station"))
    ] == [1, 30, 5]


@pytest.mark.parametrize(
    ("day", "firms"),
    [
        ("2026-02-28", {1: 6, 2: None, 3: 3}),
        ("2026-03-01", {1: 3, 2: None, 3: 3}),
        ("2026-12-31", {1: 3, 2: None, 3: 3}),
        ("2027-01-01", {1: 3, 2: 6, 3: 3}),
    ],
)
def test_firms_of_compounds_are_those_of_the_day(
    reader: httpx.Client, day: str, firms: dict[int, int | None]
) -> None:
    found = {row["compound"]: row for row in rows(reader, "compounds", as_of=day)}
    assert {compound: row["firm"] for compound, row in found.items()} == firms
    assert {compound: row["committee"] for compound, row in found.items()} == {
        1: 4, 2: None, 3: None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ("松岭社区", ("grid", 11)),
        ("环海大道", ("street", 1)),
        ("松岭花园", ("compound", 1)),
        ("望潮食堂", ("station", 5)),
        ("1号楼", ("building", 1)),
        ("B0007", ("building", 7)),
        ("990101001", ("grid", 1)),
        ("望潮", ("grid", 21)),
    ],
)
def test_search_gives_the_best_first(
    reader: httpx.Client, reckoned: Reckoned, wanted: str, first: tuple[str, int]
) -> None:
    items = reader.get(f"{BASE}/search", params={"q": wanted}).json()["items"]
    assert (items[0]["type"], items[0]["id"]) == first
    bounds = reckoned.shapes.total_bounds
    for item in items:
        west, south, east, north = item["bbox"]
        assert west <= item["lon"] <= east
        assert south <= item["lat"] <= north
        assert bounds[0] <= west
        assert east <= bounds[2]


def test_search_finds_every_kind_and_each_street_once(reader: httpx.Client) -> None:
    def found(wanted: str, limit: int = 50) -> list[tuple[str, int]]:
        answer = reader.get(f"{BASE}/search", params={"q": wanted, "limit": limit}).json()
        return [(item["type"], item["id"]) for item in answer["items"]]

    assert found("环海大道").count(("street", 1)) == 1
    assert ("street", 2) not in found("环海大道")
    kinds = {kind for kind, _ in found("松")}
    assert kinds == {"grid", "street", "compound", "station"}
    assert len(found("号楼", 7)) == 7
    assert found("没有这样的地方") == []
    item = reader.get(f"{BASE}/search", params={"q": "第1微网格"}).json()["items"][0]
    assert item["detail"] == "东岚街道 / 松岭社区 / 第一网格"
