"""Issues by API: reports once and for all, the way to close, desks, rates, links of residents."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from geo.db import owner_transaction
from geo.store.loading import lonlat
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.cities import point, tiny_dataset

API = f"/api/v1/cities/{HOME}"


@pytest.fixture(scope="module")
def place() -> dict[str, float]:
    """A place in grid 111, where worker and community act."""
    turned = lonlat(tiny_dataset().metre_srid)([point(0.5, 0.5)])[0]
    return {"lon": float(turned.x), "lat": float(turned.y)}


@pytest.fixture
def stranger(world: World) -> httpx.Client:
    return world.client()


def signed(world: World, role: Role) -> httpx.Client:
    return world.signed(login_of(role, HOME))


def reported(client: httpx.Client, place: dict[str, float], **more: object) -> httpx.Response:
    told = {"category": "E0101", **place, "words": "垃圾满溢", "client_id": str(uuid4())} | more
    return client.post(f"{API}/reports", json=told)


def test_201_then_200_then_409(stranger: httpx.Client, place: dict[str, float]) -> None:
    client_id = str(uuid4())
    first = reported(stranger, place, client_id=client_id)
    again = reported(stranger, place, client_id=client_id)
    other = reported(stranger, place, client_id=client_id, words="something else")
    assert [one.status_code for one in (first, again, other)] == [201, 200, 409]
    assert other.json()["code"] == "report_twice"
    assert {**first.json(), "created": False} == again.json()


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"category": "X1"}, 422), ({"lon": 0.0, "lat": 0.0}, 404), ({"lon": 999}, 422),
        ({"words": "x" * 2001}, 422), ({"channel": "hotline"}, 403), ({"unknown": 1}, 422),
        ({"client_id": "x"}, 422), ({"reported_at": "2026-01-01T00:00:00Z"}, 403),
    ],
)  # fmt: skip
def test_what_is_refused(
    stranger: httpx.Client, place: dict[str, float], more: dict[str, object], status: int
) -> None:
    assert reported(stranger, place, **more).status_code == status


def test_from_report_to_close_by_four_roles_and_opened_again(
    world: World, stranger: httpx.Client, place: dict[str, float]
) -> None:
    made = reported(stranger, place, contact={"phone": "13800000000"}).json()
    issue, secret = made["issue"], {"Wangge-Secret": made["secret"]}
    link = f"{API}/reports/{made['code']}"
    for role, act in (
        (Role.COMMUNITY, "accept"), (Role.WORKER, "verify"), (Role.COMMUNITY, "register"),
        (Role.COMMUNITY, "dispatch"), (Role.COMMUNITY, "handle"), (Role.WORKER, "check"),
        (Role.COMMUNITY, "close"),
    ):  # fmt: skip
        client = signed(world, role)
        card = client.get(f"{API}/issues/{issue}/case").json()
        assert act in card["acts"], (role, act, card["acts"])
        told = {"act": act, "version": card["version"]}
        answer = client.post(f"{API}/issues/{issue}/acts", json=told)
        assert answer.status_code == 200, answer.text
    followed = stranger.get(link, headers=secret).json()
    assert followed["state"] == "closed"
    assert [line["act"] for line in followed["events"]][-1] == "close"
    said = stranger.post(link, headers=secret, json={"act": "answer", "satisfied": True})
    assert said.status_code == 200
    assert stranger.post(link, headers=secret, json={"act": "reopen"}).status_code == 409
    opened = stranger.post(link, headers=secret, json={"act": "reopen", "words": "又满了"})
    assert opened.json() == {"state": "accepted"}
    history = signed(world, Role.ADMINISTRATOR).get(f"{API}/issues/{issue}/history").json()
    assert [line["act"] for line in history["items"]] == [
        "report", "accept", "verify", "register", "dispatch", "handle", "check", "close",
        "answer", "reopen",
    ]  # fmt: skip
    contact = signed(world, Role.COMMUNITY).get(f"{API}/issues/{issue}/contact").json()
    assert contact == {"name": None, "phone": "13800000000", "email": None}


def test_a_link_opens_its_own_report_alone(stranger: httpx.Client, place: dict[str, float]) -> None:
    one, two = reported(stranger, place).json(), reported(stranger, place).json()
    mixed = stranger.get(f"{API}/reports/{one['code']}", headers={"Wangge-Secret": two["secret"]})
    assert mixed.status_code == 404
    assert stranger.get(f"{API}/reports/{one['code']}").status_code == 422
    away = f"/api/v1/cities/away/reports/{one['code']}"
    assert stranger.get(away, headers={"Wangge-Secret": one["secret"]}).status_code == 404


def test_refusals_of_acts(world: World, stranger: httpx.Client, place: dict[str, float]) -> None:
    issue = reported(stranger, place).json()["issue"]
    community, worker = signed(world, Role.COMMUNITY), signed(world, Role.WORKER)
    path = f"{API}/issues/{issue}/acts"
    for client, told, status, reason in (
        (community, {"act": "close"}, 409, "state"),
        (signed(world, Role.LEADER), {"act": "accept"}, 409, "who"),
        (community, {"act": "void"}, 409, "why"),
        (worker, {"act": "fly"}, 422, None),
        (worker, {"act": "note", "reason": "x", "version": 9}, 412, None),
        (signed(world, Role.DEPARTMENT), {"act": "note", "reason": "x"}, 404, None),
    ):
        answer = client.post(path, json=told)
        assert answer.status_code == status, answer.text
        if reason:
            assert answer.json()["reason"] == reason
    assert stranger.post(path, json={"act": "note"}).status_code == 401


def test_many_at_once(world: World, stranger: httpx.Client, place: dict[str, float]) -> None:
    issues = [reported(stranger, place).json()["issue"] for _ in range(3)]
    community = signed(world, Role.COMMUNITY)
    told = {"act": "accept", "issues": [*issues, 999_999]}
    done = community.post(f"{API}/issues/acts", json=told).json()["items"]
    assert [one["ok"] for one in done] == [True, True, True, False]
    again = community.post(f"{API}/issues/acts", json=told).json()["items"]
    assert {one["code"] for one in again} == {"issue_act", "not_found"}
    many = {"act": "accept", "issues": list(range(1, 502))}
    assert community.post(f"{API}/issues/acts", json=many).status_code == 422


def test_the_desk_in_all_formats(
    world: World, stranger: httpx.Client, place: dict[str, float]
) -> None:
    made = reported(stranger, place, words="=1+1").json()
    community = signed(world, Role.COMMUNITY)
    counts = community.get(f"{API}/desk/counts").json()
    listed = community.get(f"{API}/desk", params={"limit": 1000}).json()["items"]
    assert counts["all"] == len(listed) > 0
    assert listed == sorted(listed, key=lambda one: (one["due_at"], one["issue"]))
    found = community.get(f"{API}/desk", params={"q": made["code"]}).json()["items"]
    assert [one["issue"] for one in found] == [made["issue"]]
    sheet = community.get(f"{API}/desk", params={"q": made["code"], "f": "csv"}).text
    assert "'=1+1" in sheet
    shapes = community.get(f"{API}/desk", params={"q": made["code"], "f": "geojson"}).json()
    assert shapes["features"][0]["id"] == made["issue"]
    assert community.get(f"{API}/desk", params={"box": "attic"}).status_code == 422
    page = community.get(f"{API}/desk", params={"limit": 1})
    assert 'rel="next"' in page.headers["Link"]


def test_routing_explains_itself(world: World, place: dict[str, float]) -> None:
    leader = signed(world, Role.LEADER)
    asked = {"category": "C0101", **place}
    told = leader.get(f"{API}/routing", params=asked, headers={"Accept-Language": "en"}).json()
    assert told["rule"] == "territory"
    assert leader.get(f"{API}/routing", params=asked).json()["rule"] == "属地"
    assert told["steps"][-1]["holds"]
    assert leader.get(f"{API}/routing", params={"category": "X", **place}).status_code == 422


def test_rates_by_api(world: World) -> None:
    leader = signed(world, Role.LEADER)
    asked = {"by": "area", "level": 3, "from": "2026-01-01", "to": "2026-12-31"}
    told = leader.get(f"{API}/rates", params=asked).json()
    assert told["rows"]
    assert all(row["rates"] is None for row in told["rows"] if row["workers"] < 5)
    assert leader.get(f"{API}/rates", params={"by": "worker"}).status_code == 422
    whole = leader.get(f"{API}/rates", params={"from": "2026-01-01"}).json()
    assert {one["by"] for one in (whole,)} == {"none"}


@pytest.fixture(autouse=True, scope="module")
def clean(world: World) -> Iterator[None]:
    """Take what these tests reported out of the city that others share."""
    with owner_transaction(world.migrated.engine) as session:
        most = session.scalar(text("SELECT max(issue_id) FROM issue"))
    yield
    with owner_transaction(world.migrated.engine) as session:
        for table in ("outbox", "issue_event", "issue_contact", "issue"):
            session.execute(text(f"DELETE FROM {table} WHERE issue_id > :most"), {"most": most})
