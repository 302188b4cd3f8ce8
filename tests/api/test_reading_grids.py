"""Grids, cards and responsibility: answers beside what pandas reckons from the dataset."""

from __future__ import annotations

import csv
import io
from datetime import date
from itertools import product
from typing import Any

import geopandas as gpd
import httpx
import pytest
import shapely

from tests.api.conftest import HOME, World, two_cities
from tests.cities import GRIDS, METRE_SRID, ancestors, cell_at, leaf_at, point
from tests.reckoning import Reckoned

BASE = f"/api/v1/cities/{HOME}"
DAY = date(2026, 5, 1)
FIGURES = ("cells", "buildings", "households", "posts", "vacant_posts", "stations")
SORTS = ("code", "name", "area_m2", *FIGURES)


@pytest.fixture(scope="module")
def reckoned() -> Reckoned:
    return Reckoned(two_cities()[0], DAY)


def ask(reader: httpx.Client, path: str, **query: Any) -> Any:
    answer = reader.get(f"{BASE}{path}", params={"as_of": DAY.isoformat(), **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(reader: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """Return all rows of a list, page after page."""
    items, after, seen = [], None, set()
    while True:
        page = ask(reader, path, **query, **({"after": after} if after else {}))
        assert len(page["items"]) <= query.get("limit", 100)
        items += page["items"]
        after = page["next"]
        if after is None:
            return items
        assert page["items"], "an empty page promises another one"
        assert after not in seen, "paging runs in a circle"
        seen.add(after)


def lonlat(column: float, row: float) -> tuple[float, float]:
    place = gpd.GeoSeries([point(column, row)], crs=METRE_SRID).to_crs(4326)[0]
    return place.x, place.y


def test_every_answer_names_its_dates(reader: httpx.Client) -> None:
    expected = {
        "period": None,
        "day": "2026-05-01",
        "net": {"seq": 1, "effective_from": "2026-01-01"},
        "vintage": "2026",
        "estimated": False,
    }
    lon, lat = lonlat(0.5, 0.5)
    for path, query in (
        ("", {}),
        ("/grids", {}),
        ("/grids/111", {}),
        ("/where", {"lon": lon, "lat": lat}),
        ("/nets/1/levels/3/values", {}),
        ("/stations", {}),
        ("/streets", {}),
        ("/buildings", {}),
        ("/compounds", {}),
        ("/organisations", {}),
        ("/posts", {}),
        ("/search", {"q": "网"}),
    ):
        assert ask(reader, path, **query)["as_of"] == expected, path


def test_grids_have_the_figures_of_their_cells(reader: httpx.Client, reckoned: Reckoned) -> None:
    items = {item["grid"]: item for item in ask(reader, "/grids")["items"]}
    assert set(items) == set(GRIDS)
    for grid, (level, parent, name, kind, colour) in GRIDS.items():
        item = items[grid]
        assert {key: item[key] for key in FIGURES} == reckoned.figures(grid), grid
        stated = (level, parent, name, kind, colour)
        assert (
            item["level"], item["parent"], item["name"], item["kind"], item["colour"]
        ) == stated  # fmt: skip
        assert [step["grid"] for step in item["path"]] == list(ancestors(grid))
        assert [step["name"] for step in item["path"]] == [GRIDS[g][2] for g in ancestors(grid)]
        shape = reckoned.shapes[grid]
        assert item["bbox"] == pytest.approx(shape.bounds, abs=1e-9)
        assert shape.covers(shapely.Point(item["label_point"]))
        assert item["area_m2"] == pytest.approx(reckoned.metre_shapes[grid].area, abs=0.1)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_a_level_is_all_its_grids_in_the_order_of_codes(reader: httpx.Client, level: int) -> None:
    items = ask(reader, "/grids", level=level)["items"]
    assert {item["grid"] for item in items} == {g for g, row in GRIDS.items() if row[0] == level}
    assert [item["code"] for item in items] == sorted(item["code"] for item in items)


def test_filters_leave_what_they_say(reader: httpx.Client, reckoned: Reckoned) -> None:
    def found(**query: Any) -> set[int]:
        return {item["grid"] for item in ask(reader, "/grids", **query)["items"]}

    for grid in GRIDS:
        assert found(parent=grid) == reckoned.within(grid) - {grid}
    assert found(parent=11, level=4) == {1111, 1112, 1121, 1122}
    assert found(parent=987_654) == set()
    assert found(kind="dedicated") == {213}
    assert found(kind="reserve") == set()
    assert found(q="第二网") == {112, 212}
    assert found(q="望潮") == {21, 213}
    code = next(i["code"] for i in ask(reader, "/grids", level=2)["items"] if i["grid"] == 11)
    assert found(q=code) == reckoned.within(11)
    assert found(q=code[1:]) == set(), "a code is found by its beginning"
    west, south = lonlat(0.4, 0.4)
    east, north = lonlat(0.6, 0.6)
    inside = shapely.box(west, south, east, north)
    box = f"{west},{south},{east},{north}"
    assert found(bbox=box) == {g for g, s in reckoned.shapes.items() if s.intersects(inside)}
    assert found(bbox="0,0,1,1") == set()
    assert found(bbox="-180,-90,180,90") == set(GRIDS)


@pytest.mark.parametrize("limit", [1, 4, 7])
@pytest.mark.parametrize("sort", SORTS)
def test_paging_visits_every_grid_once_in_every_order(
    reader: httpx.Client, sort: str, limit: int
) -> None:
    for direction in ("", "-"):
        items = pages(reader, "/grids", sort=direction + sort, limit=limit)
        assert sorted(item["grid"] for item in items) == sorted(GRIDS)
        keys = [item[sort] for item in items]
        assert keys == sorted(keys, reverse=direction == "-")


def test_a_cursor_serves_its_own_question_alone(reader: httpx.Client) -> None:
    after = ask(reader, "/grids", limit=2)["next"]
    for query in (
        {"limit": 2, "sort": "name"},
        {"limit": 2, "level": 3},
        {"limit": 2, "parent": 1},
        {"limit": 2, "q": "网"},
        {"limit": 2, "vintage": "2026-S"},
    ):
        asked = {"as_of": DAY.isoformat(), "after": after, **query}
        answer = reader.get(f"{BASE}/grids", params=asked)
        assert (answer.status_code, answer.json()["field"]) == (422, "after"), query


def test_figures_follow_the_vintage_that_is_asked_for(
    reader: httpx.Client, reckoned: Reckoned
) -> None:
    for vintage in ("2024", "2026", "2026-S"):
        page = ask(reader, "/grids", vintage=vintage)
        assert page["as_of"]["vintage"] == vintage
        for item in page["items"]:
            expected = reckoned.figures(item["grid"], vintage)["households"]
            assert item["households"] == expected


@pytest.mark.parametrize(
    ("day", "vintage"), [("2026-01-01", "2026"), ("2026-12-31", "2026"), ("2030-01-01", "2026")]
)
def test_the_default_vintage_is_the_latest_full_count(
    reader: httpx.Client, day: str, vintage: str
) -> None:
    assert ask(reader, "/grids", as_of=day, limit=1)["as_of"]["vintage"] == vintage


def test_no_net_yet_is_said_with_its_first_day(reader: httpx.Client) -> None:
    for path in ("/grids", "/grids/111", "/where?lon=120&lat=37", "/stations", "/search?q=x"):
        joint = "&" if "?" in path else "?"
        answer = reader.get(f"{BASE}{path}{joint}as_of=2025-12-31")
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (404, "net_not_found"), path
        assert problem["first"] == "2026-01-01"
    card = reader.get(f"{BASE}?as_of=2025-12-31").json()
    assert (card["net"], card["as_of"]) == (None, None)
    assert [net["seq"] for net in card["nets"]] == [1]


def test_csv_says_the_same_and_carries_its_dates(reader: httpx.Client) -> None:
    answer = reader.get(f"{BASE}/grids", params={"as_of": DAY.isoformat(), "f": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="home-grid-2026-05-01-net1.csv"'
    )
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    items = ask(reader, "/grids")["items"]
    assert len(rows) == len(items)
    for row, item in zip(rows, items, strict=True):
        for key in ("grid", "code", "name", "level", *FIGURES):
            assert row[key] == str(item[key])
        assert (row["as_of"], row["net"], row["vintage"]) == ("2026-05-01", "1", "2026")
        assert row["path"] == " / ".join(step["name"] for step in item["path"])


def test_geojson_holds_the_borders(reader: httpx.Client, reckoned: Reckoned) -> None:
    answer = reader.get(
        f"{BASE}/grids", params={"as_of": DAY.isoformat(), "f": "geojson", "limit": 9}
    )
    assert answer.headers["content-type"] == "application/geo+json"
    collection = answer.json()
    assert collection["type"] == "FeatureCollection"
    assert collection["next"] is not None
    assert f"after={collection['next']}" in answer.headers["link"]
    assert answer.headers["link"].endswith('; rel="next"')
    assert "crs" not in collection
    for feature in collection["features"]:
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.symmetric_difference(reckoned.shapes[feature["id"]]).area < 2e-9
        assert all(part.exterior.is_ccw for part in shape.geoms)
        assert feature["properties"]["grid"] == feature["id"]


def test_a_card_shows_children_posts_stations_and_vintages(
    reader: httpx.Client, reckoned: Reckoned
) -> None:
    for grid in GRIDS:
        card = ask(reader, f"/grids/{grid}", geometry="true")
        expected = reckoned.figures(grid)
        assert card["households"] == expected["households"]
        assert (card["post_count"], card["station_count"]) == (
            expected["posts"],
            expected["stations"],
        )
        children = {child for child, row in GRIDS.items() if row[1] == grid}
        assert {child["grid"] for child in card["children"]["items"]} == children
        assert card["children"]["count"] == len(children)
        for child in card["children"]["items"]:
            assert child["households"] == reckoned.figures(child["grid"])["households"]
        own = reckoned.posts[reckoned.posts["grid_id"] == grid]
        assert sorted(p["post"] for p in card["posts"]) == sorted(own["post_id"])
        assert {v["vintage"]: v["households"] for v in card["households_by_vintage"]} == {
            vintage: reckoned.figures(grid, vintage)["households"]
            for vintage in ("2024", "2026", "2026-S")
            if reckoned.figures(grid, vintage)["households"]
        }
        assert card["names"] == [{"from_seq": 1, "name": GRIDS[grid][2], "code": card["code"]}]
        shape = shapely.geometry.shape(card["geometry"])
        assert shape.symmetric_difference(reckoned.shapes[grid]).area < 2e-9
        assert ask(reader, f"/grids/{grid}")["geometry"] is None


def test_the_stations_of_a_card_stand_by_distance_those_inside_first(
    reader: httpx.Client, reckoned: Reckoned
) -> None:
    stations = reckoned.city.stations.set_index("station_id")
    for grid in GRIDS:
        card = ask(reader, f"/grids/{grid}")
        cells = reckoned.cells(grid)
        place = gpd.GeoSeries([shapely.Point(card["label_point"])], crs=4326).to_crs(METRE_SRID)[0]
        assert {s["station"] for s in card["stations"]} == {1, 2, 3, 5}, "open ones alone"
        for found in card["stations"]:
            row = stations.loc[found["station"]]
            assert found["inside"] == (row["cell_id"] in cells)
            assert found["distance_m"] == pytest.approx(row.geometry.distance(place), abs=1.5)
        order = [(not s["inside"], s["distance_m"]) for s in card["stations"]]
        assert order == sorted(order)


def test_who_is_responsible_at_the_middle_of_every_cell(
    reader: httpx.Client, reckoned: Reckoned
) -> None:
    for column, row in product(range(8), range(5)):
        lon, lat = lonlat(column + 0.5, row + 0.5)
        answer = ask(reader, "/where", lon=lon, lat=lat)
        line = list(ancestors(leaf_at(column, row)))
        assert answer["cell"] == cell_at(column, row)
        assert [step["grid"] for step in answer["path"]] == line
        assert answer["grid"]["grid"] == line[-1]
        posts = answer["responsible"]
        held = reckoned.posts[reckoned.posts["grid_id"].isin(line)]
        assert sorted(post["post"] for post in posts) == sorted(held["post_id"])
        upward = [line[::-1].index(post["grid"]) for post in posts]
        assert upward == sorted(upward), "from the leaf upward"
        distances = [station["distance_m"] for station in answer["nearest_stations"]]
        assert distances == sorted(distances)


def test_responsible_is_who_holds_the_post_on_that_day(reader: httpx.Client) -> None:
    lon, lat = lonlat(6.5, 0.5)

    def workers(day: str) -> list[str]:
        found = ask(reader, "/where", lon=lon, lat=lat, as_of=day)["responsible"]
        return [post["duty_number"] for post in found if post["role"] == "worker"]

    assert workers("2026-02-28") == ["W004"]
    assert workers("2026-03-01") == ["W005"]


def test_a_place_on_a_border_belongs_to_one_grid_and_outside_to_none(reader: httpx.Client) -> None:
    lon, lat = lonlat(3.0, 0.5)
    answer = ask(reader, "/where", lon=lon, lat=lat)
    assert answer["cell"] in (cell_at(2, 0), cell_at(3, 0))
    for column, row in ((-0.01, 0.5), (8.01, 0.5), (4, 5.01)):
        lon, lat = lonlat(column, row)
        answer = reader.get(f"{BASE}/where", params={"lon": lon, "lat": lat})
        assert (answer.status_code, answer.json()["code"]) == (404, "outside_city")


def test_a_city_says_what_maps_and_filters_need(reader: httpx.Client, reckoned: Reckoned) -> None:
    card = ask(reader, "")
    counts = {level["level"]: level["count"] for level in card["levels"]}
    assert counts == {1: 2, 2: 3, 3: 6, 4: 4}
    divided = {level["level"]: (level["above"], level["divided"]) for level in card["levels"]}
    assert divided == {1: (None, 0), 2: (2, 2), 3: (3, 3), 4: (6, 2)}
    assert set(card["layers"]) >= {"building", "street", "stations"}
    assert card["measures"] == ["households", "parking"]
    assert [v["vintage"] for v in card["vintages"]] == ["2026-S", "2026", "2024"]
    assert {kind["kind"] for kind in card["station_kinds"]} == {
        "grid_station", "pioneer_station", "canteen"
    }  # fmt: skip
    bounds = reckoned.city.cells.to_crs(4326).total_bounds
    assert card["bbox"] == pytest.approx(tuple(bounds), abs=1e-9)
    assert card["net"]["live"] is True
    listed = reader.get("/api/v1/cities").json()["items"]
    assert [city["slug"] for city in listed] == ["away", "home"]


def test_two_cities_with_the_same_ids_stay_apart(world: World, reader: httpx.Client) -> None:
    home = ask(reader, "/grids")["items"]
    away = reader.get("/api/v1/cities/away/grids", params={"as_of": DAY.isoformat()}).json()
    assert home == away["items"], "two equal cities, each counted by itself"
