"""Behind a proxy of this machine: who calls is told apart, demo accounts stay out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI, Request

from api import serving
from geo.errors import SetupError


@contextmanager
def echo(*, behind_proxy: bool) -> Iterator[str]:
    app = FastAPI()

    @app.get("/")
    def who(request: Request) -> dict[str, str]:
        assert request.client is not None
        return {"address": request.client.host, "scheme": request.url.scheme}

    listening = serving.bind("127.0.0.1", 0)
    ready = threading.Event()
    server = serving.make_server(app, behind_proxy=behind_proxy, ready=ready.set)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        assert ready.wait(20)
        yield serving.address_of(listening, "127.0.0.1", None)
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


@pytest.mark.parametrize(
    ("behind_proxy", "told"),
    [
        (True, {"address": "203.0.113.7", "scheme": "https"}),
        (False, {"address": "127.0.0.1", "scheme": "http"}),
    ],
)
def test_the_callers_address_is_the_proxys_word_when_there_is_one(
    behind_proxy: bool, told: dict[str, str]
) -> None:
    headers = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
    with echo(behind_proxy=behind_proxy) as address:
        assert httpx.get(address, headers=headers, trust_env=False).json() == told


def test_what_a_caller_says_of_himself_before_the_proxy_does_not_count() -> None:
    """A proxy that appends instead of overwriting: the last foreign address is the caller's."""
    headers = {"x-forwarded-for": "192.0.2.1, 203.0.113.7", "x-forwarded-proto": "https"}
    with echo(behind_proxy=True) as address:
        found = httpx.get(address, headers=headers, trust_env=False).json()
    assert found["address"] == "203.0.113.7"


def test_demo_accounts_are_refused_behind_a_proxy_on_the_loopback_address_too() -> None:
    serving.refuse_demo_accounts("127.0.0.1", [], behind_proxy=True)
    with pytest.raises(SetupError, match="The proxy can be reached"):
        serving.refuse_demo_accounts("127.0.0.1", ["planner"], behind_proxy=True)
