"""How many requests are let in at once, and what others are told."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from api.crowd import WAIT_S, Crowd
from geo.settings import Settings


def _room(most: int, gate: asyncio.Event) -> Any:
    async def slow(request: Request) -> Response:
        await gate.wait()
        return PlainTextResponse("done")

    async def events(request: Request) -> Response:
        async def lines() -> Any:
            yield b": open\n\n"
            await gate.wait()

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def broken(request: Request) -> Response:
        raise RuntimeError("broken")

    routes = [
        Route("/slow", slow), Route("/events", events), Route("/broken", broken),
        Route("/static/a.js", slow),
    ]  # fmt: skip
    app = Starlette(routes=routes, middleware=[Middleware(Crowd, most=most)])
    app.state.settings = Settings(database_url=None)
    return app


def _client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def _asked(most: int, first: list[str], then: str) -> tuple[httpx.Response, Any]:
    gate = asyncio.Event()
    app = _room(most, gate)
    async with _client(app) as client:
        waiting = [asyncio.create_task(client.get(path)) for path in first]
        await asyncio.sleep(0.05)
        late = asyncio.create_task(client.get(then, headers={"Accept": "application/json"}))
        await asyncio.sleep(0.05)
        gate.set()
        answer = await late
        await asyncio.gather(*waiting)
        again = await client.get("/slow")
    assert again.status_code == 200
    return answer, app


def _run(asked: Any) -> Any:
    """Run it in a thread of its own: a browser of another test may have a loop in this one."""
    with ThreadPoolExecutor(1) as own:
        return own.submit(asyncio.run, asked).result()


def test_who_comes_on_top_is_asked_to_come_again() -> None:
    answer, _ = _run(_asked(2, ["/slow", "/slow"], "/slow"))
    assert answer.status_code == 503
    assert answer.json()["code"] == "too_busy"
    assert answer.headers["Retry-After"] == str(WAIT_S)


def test_files_streams_and_what_failed_take_no_place() -> None:
    for first in (["/events", "/events", "/static/a.js"], ["/broken", "/broken"], ["/slow"]):
        answer, _ = _run(_asked(2, first, "/slow"))
        assert answer.status_code == 200
