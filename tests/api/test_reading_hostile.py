"""Hostile questions get a 422 with the reason; hostile names come back as the data they are."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import mapbox_vector_tile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.formats import FORMULA_STARTS
from geo import service
from geo.db import owner_transaction
from geo.settings import Settings
from geo.terms import Role
from tests.api.conftest import HOME, PASSWORD, World, login_of, serving
from tests.api.test_reading_maps import tile_of
from tests.cities import HOSTILE, tiny_dataset
from tests.conftest import MigratedDatabase

BASE = f"/api/v1/cities/{HOME}"
LISTS = ("grids", "stations", "streets", "buildings", "compounds", "organisations", "posts")
SQL = (
    "' OR 1=1 --",
    "'; DROP TABLE cell; --",
    '"; SELECT pg_sleep(9); --',
    "$$; SELECT 1; $$",
    "%' AND 1=(SELECT count(*) FROM app_secret) --",
    "\\'; --",
    ":city",
    "%(city)s",
    "{0}",
)


@pytest.mark.parametrize(
    "wanted", [*SQL, *HOSTILE, "%", "_", "\\", "网%格", "a_b", "'", "\U0001f409"]
)
def test_a_search_text_is_only_a_text(reader: httpx.Client, wanted: str) -> None:
    for path in ("grids", "stations", "streets", "buildings", "compounds", "organisations"):
        answer = reader.get(f"{BASE}/{path}", params={"q": wanted})
        assert answer.status_code == 200
        assert answer.json()["items"] == [], (path, "no name of this city holds that")
    found = reader.get(f"{BASE}/search", params={"q": wanted})
    assert (found.status_code, found.json()["items"]) == (200, [])


BAD: tuple[tuple[str, dict[str, Any]], ...] = (
    *((path, {"q": "\x00"}) for path in LISTS[:6]),
    *((path, {"q": "a" * 101}) for path in LISTS[:6]),
    *((path, {"q": ""}) for path in LISTS[:6]),
    *((path, {"limit": limit}) for path in LISTS for limit in (0, -1, 1001, "x", 2**70)),
    *((path, {"after": after}) for path in LISTS for after in ("x", "W10", "e30", "é", "A" * 9000)),
    *((path, {"wrong": 1}) for path in LISTS),
    *((path, {"as_of": day}) for path in LISTS for day in ("x", "2026-13-01", "0001-01-01", "1e9")),
    *(
        (path, {"bbox": box})
        for path in ("grids", "stations", "streets", "buildings", "compounds")
        for box in (
            "1,2,3", "nan,nan,nan,nan", "inf,0,1,1", "-1e308,-1e308,1e308,1e308", "2,2,1,1",
            "0,0,0,0", "-181,0,1,1", "0,-91,1,1", "a,b,c,d", "1,2,3,4,5", "1;2;3;4",
        )
    ),
    *(("grids", {"level": level}) for level in (0, 7, "leaf", "1 OR 1=1", 1.5)),
    *(("grids", {"sort": sort}) for sort in ("colour", "code;", "--code", "", "code,name")),
    *(("grids", {name: 2**63}) for name in ("parent",)),
    *(("grids", {"kind": kind}) for kind in ("x", "basic'")),
    *(("grids", {"f": f}) for f in ("xml", "kml", "")),
    *(("grids", {"vintage": v}) for v in ("1999", "2026'", "x" * 40)),
    *(("stations", {"kind": kind}) for kind in ("a b", "x;y", "é" * 65)),
    ("stations", {"stage": "ruined"}),
    *((path, {"grid": grid}) for path in ("stations", "posts") for grid in (0, -5, 2**63, "1 2")),
    ("streets", {"kind": "motorway"}),
    ("streets", {"f": "csv"}),
    ("posts", {"vacant": "perhaps"}),
    ("posts", {"role": "head'--"}),
    *(("where", {"lon": lon, "lat": 37}) for lon in ("nan", "inf", 181, "x", "")),
    *(("where", {"lon": 120, "lat": lat}) for lat in ("nan", "-inf", 91, "0x1")),
    ("where", {"lon": 120}),
    ("where", {}),
    ("search", {}),
    ("search", {"q": "x", "limit": 51}),
    ("grids/0", {}),
    ("grids/9223372036854775808", {}),
    ("grids/x", {}),
    ("grids/111", {"geometry": "maybe"}),
    ("nets/0/levels/1/values", {}),
    ("nets/2147483648/levels/1/values", {}),
)  # fmt: skip


@pytest.mark.parametrize(("path", "query"), BAD, ids=lambda value: repr(value)[:60])
def test_a_value_out_of_bounds_is_refused_with_its_name(
    reader: httpx.Client, path: str, query: dict[str, Any]
) -> None:
    answer = reader.get(f"{BASE}/{path}", params=query)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_input"), problem
    assert answer.headers["content-type"] == "application/problem+json"
    for word in ("sql", "psycopg", "traceback", "select"):
        assert word not in answer.text.lower()


@pytest.mark.parametrize(
    "query",
    [
        {"from": "x"}, {"to": "9999-12-31"}, {"from": "0001-01-01"}, {"state": "lost"},
        {"set_aside": "maybe"}, {"category": "C'"}, {"grid": 0}, {"bbox": "nan,0,1,1"},
        {"since": "2026-01-01"},
    ],
)  # fmt: skip
def test_questions_on_issues_are_bounded_too(world: World, query: dict[str, Any]) -> None:
    answer = world.signed(login_of(Role.LEADER, HOME)).get(f"{BASE}/issues", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from([*LISTS, "where", "search"]),
    query=st.dictionaries(
        st.sampled_from(
            ["q", "bbox", "level", "parent", "kind", "sort", "limit", "after", "f", "as_of",
             "vintage", "grid", "stage", "lon", "lat", "x"]
        ),
        st.one_of(st.text(max_size=40), st.integers(), st.floats()),
        max_size=4,
    ),
)  # fmt: skip
def test_no_question_breaks_the_server(
    reader: httpx.Client, path: str, query: dict[str, Any]
) -> None:
    pairs = "&".join(
        f"{name}={quote(str(value).encode('utf-8', 'surrogatepass'))}"
        for name, value in query.items()
    )
    answer = reader.get(f"{BASE}/{path}?{pairs}")
    assert answer.status_code in (200, 404, 422), (answer.status_code, path, query)


# ---- a city whose every name is an attack -----------------------------------------------------


@pytest.fixture(scope="module")
def hostile(
    template: str, new_database: Callable[[str], MigratedDatabase]
) -> Iterator[httpx.Client]:
    """A signed-in reader of a city all of whose texts are hostile."""
    migrated = new_database(template)
    with owner_transaction(migrated.engine) as session:
        city_id = service.load_dataset(session, tiny_dataset(HOME, hostile=True))
        service.create_account(
            session,
            city_id,
            login=login_of(Role.LEADER, HOME),
            password=PASSWORD,
            role=Role.LEADER,
            display_name="leader",
        )
    database = migrated.application()
    configured = Settings(project_dir="/nowhere", database_url=None)
    app = create_app(configured, database)
    with serving(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        credentials = {"login": login_of(Role.LEADER, HOME), "password": PASSWORD}
        assert client.post("/api/v1/session", json=credentials).status_code == 201
        yield client
    database.close()


def texts(frame: Any, column: str, key: str) -> dict[int, Any]:
    return dict(zip(frame[key], frame[column], strict=True))


def test_hostile_names_come_back_letter_by_letter(hostile: httpx.Client) -> None:
    city = tiny_dataset(HOME, hostile=True)
    for path, key, frame, column, shown in (
        ("grids", "grid", city.grids, "name", "name"),
        ("stations", "station", city.stations, "name", "name"),
        ("stations", "station", city.stations, "address", "address"),
        ("stations", "station", city.stations, "opening_hours", "open_hours"),
        ("streets", "street", city.streets, "name", "name"),
        ("buildings", "building", city.buildings, "name", "name"),
        ("compounds", "compound", city.compounds, "name", "name"),
        ("organisations", "organisation", city.organisations, "name", "name"),
        ("workers", "worker", city.workers, "name", "name"),
    ):
        items = hostile.get(f"{BASE}/{path}", params={"limit": 1000}).json()["items"]
        found = {item[key]: item[shown] for item in items}
        assert found == texts(frame, column, f"{key}_id"), path
    card = hostile.get(BASE).json()
    assert (card["name"], card["name_en"]) == (city.name, city.name_en)
    topology = hostile.get(f"{BASE}/nets/1/levels/3.topojson").json()
    grids = texts(city.grids, "name", "grid_id")
    for geometry in topology["objects"]["grids"]["geometries"]:
        assert geometry["properties"]["n"] == grids[geometry["properties"]["g"]]


@pytest.mark.parametrize("wanted", HOSTILE)
def test_hostile_names_are_found_by_themselves(hostile: httpx.Client, wanted: str) -> None:
    city = tiny_dataset(HOME, hostile=True)
    items = hostile.get(f"{BASE}/search", params={"q": wanted, "limit": 50}).json()["items"]
    found = {item["id"] for item in items if item["type"] == "grid"}
    holding = city.grids["name"].str.contains(wanted, regex=False, case=False)
    assert found == set(city.grids.loc[holding, "grid_id"])
    listed = hostile.get(f"{BASE}/grids", params={"q": wanted}).json()["items"]
    assert {item["grid"] for item in listed} == found


def test_no_cell_of_a_table_is_a_formula(hostile: httpx.Client) -> None:
    city = tiny_dataset(HOME, hostile=True)
    for path, frame, key in (
        ("grids", city.grids, "grid"),
        ("stations", city.stations, "station"),
        ("buildings", city.buildings, "building"),
        ("compounds", city.compounds, "compound"),
    ):
        answer = hostile.get(f"{BASE}/{path}", params={"f": "csv", "limit": 1000})
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
        names = texts(frame, "name", f"{key}_id")
        assert len(rows) == len(frame)
        for row in rows:
            name = names[int(row[key])]
            assert row["name"] == (f"'{name}" if name.startswith(FORMULA_STARTS) else name)
            for column, value in row.items():
                is_number = column in ("lon", "lat", "bbox", "label_point")
                assert is_number or not value.startswith(FORMULA_STARTS), (path, column, value)


def test_hostile_names_are_plain_values_in_tiles(hostile: httpx.Client) -> None:
    city = tiny_dataset(HOME, hostile=True)
    x, y = tile_of(120.4576, 37.6185, 14)
    content = hostile.get(f"{BASE}/nets/1/tiles/14/{x}/{y}.mvt").content
    tile = mapbox_vector_tile.decode(content)
    grids = texts(city.grids, "name", "grid_id")
    for feature in tile["place"]["features"]:
        assert feature["properties"]["name"] == grids[feature["id"]]
    streets = {f["properties"].get("name") for f in tile["street"]["features"]}
    assert streets <= set(city.streets["name"])


def test_nothing_was_dropped(hostile: httpx.Client) -> None:
    assert len(hostile.get(f"{BASE}/grids").json()["items"]) == 15
