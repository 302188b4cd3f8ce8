"""Posts, workers, issues and plans: what each role is told, beside the dataset."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pandas as pd
import pytest
import shapely

from geo.terms import Role
from tests.api.conftest import AWAY, HOME, World, login_of, two_cities
from tests.api.test_reading_grids import lonlat
from tests.cities import GRIDS
from tests.reckoning import Reckoned

BASE = f"/api/v1/cities/{HOME}"
DAY = date(2026, 5, 1)
ZONE = ZoneInfo("Asia/Shanghai")
STAFF = tuple(role for role in Role if role is not Role.PUBLIC)
AREA = {Role.WORKER: 111, Role.COMMUNITY: 11}


@pytest.fixture(scope="module")
def reckoned() -> Reckoned:
    return Reckoned(two_cities()[0], DAY)


def today() -> pd.Timestamp:
    return pd.Timestamp(datetime.now(ZONE).date())


def rows(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    asked = {"limit": 1000, "as_of": DAY.isoformat(), **query}
    answer = client.get(f"{BASE}/{path}", params=asked)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def area_of(reckoned: Reckoned, role: Role) -> set[int]:
    """Return the grids whose staff somebody may name."""
    if role in (Role.PLANNER, Role.LEADER, Role.ADMINISTRATOR):
        return set(GRIDS)
    return reckoned.within(AREA[role]) if role in AREA else set()


# ---- posts and workers ------------------------------------------------------------------------


def test_posts_of_the_day(reader: httpx.Client, reckoned: Reckoned) -> None:
    given = reckoned.city.posts.set_index("post_id")
    duty = reckoned.city.workers.set_index("worker_id")["duty_number"]
    found = rows(reader, "posts")
    assert {row["post"] for row in found} == set(reckoned.posts["post_id"])
    for row in found:
        post = given.loc[row["post"]]
        assert (row["grid"], row["role"]) == (post["grid_id"], post["role"])
        assert row["part_time"] == post["part_time"]
        assert row["vacant"] == pd.isna(post["worker_id"])
        assert row["duty_number"] == (None if row["vacant"] else duty[post["worker_id"]])
        assert row["role_name"] in ("网格员", "网格长", "微网格长", "联系领导")
    for grid in GRIDS:
        own = reckoned.posts[reckoned.posts["grid_id"].isin(reckoned.within(grid))]
        assert {row["post"] for row in rows(reader, "posts", grid=grid)} == set(own["post_id"])
    assert {row["post"] for row in rows(reader, "posts", vacant="true")} == {5, 11}
    assert {row["post"] for row in rows(reader, "posts", role="head")} == {3, 8}


@pytest.mark.parametrize("day", ["2026-01-01", "2026-03-01", "2026-06-01", "2027-01-01"])
def test_posts_follow_the_day(reader: httpx.Client, day: str) -> None:
    expected = Reckoned(two_cities()[0], date.fromisoformat(day)).posts
    assert {row["post"] for row in rows(reader, "posts", as_of=day)} == set(expected["post_id"])


@pytest.mark.parametrize("role", [None, *STAFF])
def test_a_name_is_shown_with_consent_or_to_staff_of_the_area(
    world: World, reader: httpx.Client, reckoned: Reckoned, role: Role | None
) -> None:
    client = reader if role is None else world.signed(login_of(role, HOME))
    area = area_of(reckoned, role) if role else set()
    workers = reckoned.city.workers.set_index("worker_id")
    posts = reckoned.city.posts
    worker_of = posts.set_index("post_id")["worker_id"]
    lasting = posts[posts["valid_to"].isna() | (posts["valid_to"] > today())]
    for row in rows(client, "posts"):
        if row["vacant"]:
            assert row["name"] is None
            continue
        worker = worker_of[row["post"]]
        grids = {
            above
            for grid in lasting.loc[lasting["worker_id"] == worker, "grid_id"]
            for above in reckoned.line(grid)
        }
        roots = {AREA[role]} if role in AREA else area
        may = bool(workers.loc[worker, "name_consent"]) or bool(grids & roots)
        assert row["name"] == (workers.loc[worker, "name"] if may else None), row["post"]


def test_somebody_of_another_city_is_a_stranger(world: World, reader: httpx.Client) -> None:
    away = world.signed(login_of(Role.ADMINISTRATOR, AWAY))
    assert rows(away, "posts") == rows(reader, "posts")
    for path in ("workers", "issues", "issues/1"):
        answer = away.get(f"{BASE}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("role", STAFF)
def test_workers_of_ones_own_area(world: World, reckoned: Reckoned, role: Role) -> None:
    found = rows(world.signed(login_of(role, HOME)), "workers")
    posts = reckoned.city.posts
    lasting = posts[posts["valid_to"].isna() | (posts["valid_to"] > today())]
    if role in AREA:
        in_area = lasting["grid_id"].isin(reckoned.within(AREA[role]))
        expected = set(lasting.loc[in_area, "worker_id"].dropna())
    else:
        expected = set() if role is Role.DEPARTMENT else set(reckoned.city.workers["worker_id"])
    assert {row["worker"] for row in found} == expected
    for row in found:
        own = reckoned.posts[reckoned.posts["worker_id"] == row["worker"]]
        assert [post["post"] for post in row["posts"]] == sorted(own["post_id"])


def test_workers_and_issues_are_closed_to_strangers(reader: httpx.Client) -> None:
    for path in ("workers", "issues", "issues/1", "issues/999"):
        answer = reader.get(f"{BASE}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), path


# ---- issues -----------------------------------------------------------------------------------


def seen_by(reckoned: Reckoned, role: Role) -> pd.DataFrame:
    issues = reckoned.located("issues")
    own = issues["leaf"].isin(area_of(reckoned, role))
    return pd.DataFrame(issues[issues["organisation_id"] == 5 if role is Role.DEPARTMENT else own])


@pytest.mark.parametrize("role", STAFF)
def test_issues_are_those_of_ones_own_area_or_department(
    world: World, reckoned: Reckoned, role: Role
) -> None:
    client = world.signed(login_of(role, HOME))
    expected = seen_by(reckoned, role).set_index("issue_id")
    found = rows(client, "issues")
    newest = expected.sort_values("reported_at", ascending=False)
    assert [row["issue"] for row in found] == list(newest.index)
    for row in found:
        given = expected.loc[row["issue"]]
        assert (row["category"], row["state"]) == (given["category"], given["state"])
        assert row["grid"] == given["leaf"]
        assert row["channel"] == HOME, "never one of the other city"
        assert pd.Timestamp(row["reported_at"]) == given["reported_at"]
        assert row["set_aside"] == (None if pd.isna(given["set_aside"]) else given["set_aside"])
        assert (row["lon"], row["lat"]) == pytest.approx((given["geometry"].x, given["geometry"].y))
    for issue in reckoned.city.issues["issue_id"]:
        answer = client.get(f"{BASE}/issues/{issue}")
        assert answer.status_code == (200 if issue in expected.index else 404)
    card = client.get(f"{BASE}/issues/{found[0]['issue']}").json()
    assert [step["grid"] for step in card["path"]] == reckoned.line(found[0]["grid"])


@pytest.mark.parametrize("role", STAFF)
def test_paging_visits_every_issue_once(world: World, reckoned: Reckoned, role: Role) -> None:
    client = world.signed(login_of(role, HOME))
    found, after = [], None
    while True:
        query = {"limit": 5, **({"after": after} if after else {})}
        page = client.get(f"{BASE}/issues", params=query).json()
        found += [row["issue"] for row in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(found) == sorted(seen_by(reckoned, role)["issue_id"])


def test_filters_of_issues(world: World, reckoned: Reckoned) -> None:
    client = world.signed(login_of(Role.LEADER, HOME))
    issues = reckoned.located("issues")

    def found(**query: Any) -> set[int]:
        return {row["issue"] for row in rows(client, "issues", **query)}

    def wanted(mask: Any) -> set[int]:
        return set(issues.loc[mask, "issue_id"])

    assert found(category="C0101") == wanted(issues["category"] == "C0101")
    assert found(category="C01") == wanted(issues["category"].isin(["C01", "C0101", "C0102"]))
    assert found(category="Z9") == set()
    for state in ("reported", "closed", "parked"):
        assert found(state=state) == wanted(issues["state"] == state)
    assert found(set_aside="duplicate") == {9, 27}
    assert found(set_aside="none") == wanted(issues["set_aside"].isna())
    for grid in GRIDS:
        assert found(grid=grid) == wanted(issues["leaf"].isin(reckoned.within(grid)))
    (west, south), (east, north) = lonlat(1.1, 1.1), lonlat(5.1, 3.1)
    inside = issues.intersects(shapely.box(west, south, east, north))
    assert found(bbox=f"{west},{south},{east},{north}") == wanted(inside)
    both = (issues["state"] == "closed") & issues["leaf"].isin(reckoned.within(1))
    assert found(state="closed", grid=1) == wanted(both)


def test_a_period_counts_days_of_the_citys_zone(world: World, reckoned: Reckoned) -> None:
    client = world.signed(login_of(Role.LEADER, HOME))
    issues = reckoned.city.issues
    local = issues["reported_at"].dt.tz_convert(ZONE).dt.date
    assert (local != issues["reported_at"].dt.date).any(), "some fall on another day in UTC"
    for first, last in ((local.min(), local.min()), (date(2026, 2, 1), date(2026, 3, 31))):
        asked = {"from": first.isoformat(), "to": last.isoformat()}
        answer = client.get(f"{BASE}/issues", params={"limit": 1000, **asked}).json()
        expected = issues[(local >= first) & (local <= last)]
        assert {row["issue"] for row in answer["items"]} == set(expected["issue_id"])
        assert answer["as_of"]["period"] == [first.isoformat(), last.isoformat()]
        for row in answer["items"]:
            moment = datetime.fromisoformat(row["reported_at"]).astimezone(ZONE)
            assert first <= moment.date() < last + timedelta(days=1)


def test_issues_as_a_table_and_on_the_map_say_the_same(world: World) -> None:
    client = world.signed(login_of(Role.COMMUNITY, HOME))
    listed = rows(client, "issues")
    table = client.get(f"{BASE}/issues", params={"f": "csv", "limit": 1000})
    read = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert [int(row["issue"]) for row in read] == [row["issue"] for row in listed]
    places = client.get(f"{BASE}/issues", params={"f": "geojson", "limit": 1000}).json()
    assert [f["id"] for f in places["features"]] == [row["issue"] for row in listed]
    assert all(f["geometry"]["type"] == "Point" for f in places["features"])


# ---- plans ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [None, *STAFF])
def test_there_are_no_plans_for_who_is_no_member(
    world: World, reader: httpx.Client, role: Role | None
) -> None:
    client = reader if role is None else world.signed(login_of(role, HOME))
    answer = client.get(f"{BASE}/plans")
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None})
