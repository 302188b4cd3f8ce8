"""Strangers hand in so many reports an hour from one network; this machine is not counted."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from api.app import create_app
from api.strangers import Strangers, network_of
from geo.errors import TooManyReportsError
from geo.settings import Settings
from tests.api.conftest import HOME, World
from tests.api.test_photos import tell

REPORTS = f"/api/v1/cities/{HOME}/reports"


@pytest.fixture(scope="module")
def world(module_world: World) -> World:
    return module_world


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:1:2::3", "2001:db8:0:1::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("", "unknown"),
        ("no address", "no address"),
    ],
)
def test_a_network_is_what_one_household_has(address: str, network: str | None) -> None:
    assert network_of(address) == network


def test_so_many_an_hour_and_no_more() -> None:
    gate = Strangers(3)
    for _ in range(3):
        gate.admit("reports", "203.0.113.7")
    with pytest.raises(TooManyReportsError) as caught:
        gate.admit("reports", "203.0.113.7")
    assert 3_500 < caught.value.data["retry_after_s"] <= 3_600
    gate.admit("reports", "203.0.113.8")
    for _ in range(12):
        gate.admit("photos", "203.0.113.7")
    with pytest.raises(TooManyReportsError):
        gate.admit("photos", "203.0.113.7")
    for _ in range(50):
        gate.admit("reports", "127.0.0.1")
        Strangers(0).admit("reports", "203.0.113.7")


def test_the_door_says_when_to_come_again(world: World) -> None:
    lon, lat = tell(world).place
    settings = Settings(project_dir="/nowhere", database_url=None, reports_per_hour=2)
    app = create_app(settings, world.database)

    async def ask() -> list[httpx.Response]:
        door = httpx.ASGITransport(app=app, client=("203.0.113.9", 4711))
        async with httpx.AsyncClient(transport=door, base_url="http://localhost") as client:
            wish = {"category": "C0101", "lon": lon, "lat": lat}
            return [await client.post(REPORTS, json=wish) for _ in range(3)]

    answers = asyncio.run(ask())
    assert [one.status_code for one in answers] == [201, 201, 429]
    assert answers[2].json()["code"] == "too_many_reports"
    assert int(answers[2].headers["Retry-After"]) > 3_000
