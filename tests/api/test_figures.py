"""The figures: one number in map, table and file; kept bytes; what is refused; hostile names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.app import create_app
from geo import service
from geo.db import owner_engine, owner_transaction
from geo.settings import Settings
from geo.terms import Role
from tests.api.conftest import HOME, PASSWORD, World, login_of, serving
from tests.cities import HOSTILE, tiny_dataset
from tests.conftest import MigratedDatabase

FIGURES = f"/api/v1/cities/{HOME}/figures"
DAY = {"as_of": "2026-06-15"}
TABLES = {
    "coverage": {"level": "2"},
    "patrol": {"level": "3"},
    "stations": {"level": "2"},
}


@pytest.fixture
def leader(world: World) -> httpx.Client:
    return world.signed(login_of(Role.LEADER, HOME))


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))


def as_text(value: Any) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize("subject", TABLES)
def test_a_file_says_what_the_answer_says(leader: httpx.Client, subject: str) -> None:
    asked = {**DAY, **TABLES[subject]}
    answer = leader.get(f"{FIGURES}/{subject}", params=asked).json()
    rows = table(leader.get(f"{FIGURES}/{subject}", params={**asked, "f": "csv"}))
    wanted = [*answer["items"], answer["total"]]
    assert len(rows) == len(wanted) > 1
    for row, item in zip(rows, wanted, strict=True):
        for name, value in item.items():
            if name != "roles":
                assert row[name].removeprefix("'") == as_text(value), name
        assert row["as_of"] == "2026-06-15"
        assert (row["net"], row["vintage"]) == ("1", "2026")
    assert answer["total"]["level"] == 0


def test_rates_stand_beside_numerator_and_denominator(leader: httpx.Client) -> None:
    items = leader.get(f"{FIGURES}/coverage", params={**DAY, "level": "2"}).json()["items"]
    for item in items:
        if item["households"]:
            share = item["within_500_m"] / item["households"]
            assert item["share_500_m"] == pytest.approx(share, abs=6e-5)
    dense = leader.get(f"{FIGURES}/stations", params={**DAY, "level": "1"}).json()
    for item in [*dense["items"], dense["total"]]:
        rate = item["stations"] / item["households"] * 10_000
        assert item["per_10000_households"] == pytest.approx(rate, abs=0.006)


def test_requests_are_the_same_in_map_and_file(leader: httpx.Client) -> None:
    asked = {**DAY, "side": "250", "from": "2026-01", "to": "2026-06"}
    answer = leader.get(f"{FIGURES}/requests", params=asked).json()
    rows = table(leader.get(f"{FIGURES}/requests", params={**asked, "f": "csv"}))
    assert answer["months"] == ["2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06"]
    assert answer["as_of"]["period"] == ["2026-01-01", "2026-06-30"]
    squares = answer["squares"]
    assert len(rows) == len(squares["column"]) > 0
    for i, row in enumerate(rows):
        assert (int(row["column"]), int(row["row"])) == (squares["column"][i], squares["row"][i])
        assert float(row["households"]) == answer["households"][i]
        months = [month[i] for month in answer["cases"]]
        assert int(row["cases"]) == sum(months)
        assert [int(row[f"cases_2026_{n:02}"]) for n in range(1, 7)] == months
        assert (row["from"], row["to"]) == ("2026-01", "2026-06")
        few = int(row["cases"]) < answer["least_cases"]
        few = few or float(row["households"]) < answer["least_households"]
        assert (row["per_1000_households"] == "") == few


def test_counts_need_no_households_in_the_file(leader: httpx.Client) -> None:
    asked = {**DAY, "side": "1000", "f": "csv", "measure": "count"}
    rows = table(leader.get(f"{FIGURES}/requests", params=asked))
    for row in rows:
        if int(row["cases"]) >= 5:
            assert row["shown"] == "rate"


def test_squares_are_kept_by_the_browser_and_nobody_else(leader: httpx.Client) -> None:
    for path in ("requests", "coverage/squares"):
        first = leader.get(f"{FIGURES}/{path}", params=DAY)
        assert first.headers["cache-control"] == "private, no-cache"
        again = leader.get(
            f"{FIGURES}/{path}", params=DAY, headers={"If-None-Match": first.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("coverage", {"level": "6"}, "level"),
        ("coverage", {"kind": "nothing"}, "kind"),
        ("coverage", {"vintage": "1999"}, "vintage"),
        ("stations", {"kind": "nothing"}, "kind"),
        ("requests", {"category": "nothing"}, "category"),
        ("requests", {"category": "C0101"}, "category"),
        ("requests", {"from": "2026-03", "to": "2026-01"}, "to"),
        ("requests", {"from": "1901-01", "to": "2026-01"}, "from"),
        ("requests", {"side": "300"}, "side"),
        ("requests", {"from": "2026-13"}, "from"),
        ("requests", {"unknown": "1"}, "unknown"),
        ("patrol", {"role": "a b"}, "role"),
    ],
)
def test_what_cannot_be_asked(
    leader: httpx.Client, path: str, query: dict[str, str], field: str
) -> None:
    answer = leader.get(f"{FIGURES}/{path}", params={**DAY, **query})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in answer.text


def test_two_kinds_reach_at_least_as_many_as_one(leader: httpx.Client) -> None:
    def within(*kinds: str) -> float:
        answer = leader.get(f"{FIGURES}/coverage", params={**DAY, "kind": [*kinds]}).json()
        return float(answer["total"]["within_500_m"])

    assert within("canteen") <= within("canteen", "grid_station") <= within()


def test_the_season_has_its_own_denominator(leader: httpx.Client) -> None:
    answers = [
        leader.get(f"{FIGURES}/coverage", params={**DAY, "vintage": vintage}).json()
        for vintage in ("2026", "2026-S")
    ]
    assert [one["as_of"]["vintage"] for one in answers] == ["2026", "2026-S"]
    assert answers[0]["total"]["households"] != answers[1]["total"]["households"]


# ---- first pages ---------------------------------------------------------------------------------


def test_everybody_is_led_to_the_own_first_page(world: World) -> None:
    stranger = world.client().get("/")
    assert (stranger.status_code, stranger.headers["location"]) == (307, "/net")
    worker = world.signed(login_of(Role.WORKER, HOME)).get("/")
    assert (worker.status_code, worker.headers["location"]) == (307, "/patrol")
    for role in (Role.LEADER, Role.PLANNER, Role.ADMINISTRATOR, Role.COMMUNITY, Role.DEPARTMENT):
        page = world.signed(login_of(role, HOME)).get("/")
        assert page.status_code == 200, role
        assert ("/heat?" in page.text) == (role in (Role.LEADER, Role.PLANNER, Role.ADMINISTRATOR))
        assert len(page.content) < 60_000


def test_the_own_zone_is_for_those_who_have_one(world: World) -> None:
    worker = world.signed(login_of(Role.WORKER, HOME)).get("/patrol")
    assert worker.status_code == 200 and "第一网格" in worker.text
    leader = world.signed(login_of(Role.LEADER, HOME)).get("/patrol")
    assert (leader.status_code, leader.headers["location"]) == (307, "/staff/map")


def test_open_issues_are_those_neither_closed_nor_void(leader: httpx.Client) -> None:
    issues = f"/api/v1/cities/{HOME}/issues"
    still = leader.get(issues, params={"open": "true", "limit": 1000}).json()["items"]
    done = leader.get(issues, params={"open": "false", "limit": 1000}).json()["items"]
    assert len(still) + len(done) == 36
    assert all(one["closed_at"] is None and one["state"] != "void" for one in still)
    assert all(one["closed_at"] is not None or one["state"] == "void" for one in done)


# ---- hostile names -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(fresh_hostile: MigratedDatabase) -> Iterator[httpx.Client]:
    database = fresh_hostile.application()
    app = create_app(Settings(project_dir="/nowhere", database_url=None), database)
    with serving(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        body = {"login": "leader.hostile", "password": PASSWORD}
        assert client.post("/api/v1/session", json=body).status_code == 201
        yield client
    database.close()


@pytest.fixture(scope="module")
def fresh_hostile(template: str, new_database: Any) -> MigratedDatabase:
    made: MigratedDatabase = new_database(template)
    engine = owner_engine(made.owner_url)
    with owner_transaction(engine) as session:
        city_id = service.load_dataset(session, tiny_dataset("hostile", hostile=True))
        for role, grids in ((Role.LEADER, ()), (Role.WORKER, (111,)), (Role.COMMUNITY, (11,))):
            service.create_account(
                session, city_id, login=f"{role}.hostile", password=PASSWORD, role=role,
                display_name="{{7*191}}", grid_ids=grids,
            )  # fmt: skip
    engine.dispose()
    return made


@pytest.mark.parametrize("path", ["/", "/heat", "/stations", "/stations/density", "/staff/map"])
def test_names_stay_text_on_pages(hostile: httpx.Client, path: str) -> None:
    page = hostile.get(path)
    assert page.status_code == 200
    assert "1337" not in page.text
    assert "<img src=x" not in page.text
    assert "<script>alert" not in page.text


def test_formulas_stay_text_in_files(hostile: httpx.Client) -> None:
    figures = "/api/v1/cities/hostile/figures"
    for path in ("coverage?level=3", "patrol?level=3", "stations?level=3", "requests?side=125"):
        answer = hostile.get(f"{figures}/{path}&f=csv")
        for row in table(answer):
            for value in row.values():
                assert not value.startswith(("=", "+", "-", "@")), value
    names = {row["name"] for row in table(hostile.get(f"{figures}/patrol?level=4&f=csv"))}
    assert names & {*HOSTILE, *(f"'{text}" for text in HOSTILE)}
