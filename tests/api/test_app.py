"""What stands around every answer: headers, host, size, compression, the files of the pages."""

from __future__ import annotations

import gzip
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.routing import APIRoute

from api import guards, statics
from api.app import create_app, routers
from geo.settings import Settings
from tests.api.conftest import World, serving

PATHS = (
    "/healthz",
    "/signin",
    "/api/v1/session",
    "/api/v1/openapi.json",
    "/api/v1/nothing",
    "/nothing",
    "/static/css/tokens.css",
    "/static/nothing",
)


# ---- making it -----------------------------------------------------------------------------------


def test_nothing_happens_at_import() -> None:
    """Importing the application reads no setting and opens no connection."""
    code = (
        "import os, socket\n"
        "os.environ['DATABASE_URL'] = 'no address at all'\n"
        "def refuse(*args, **kwargs): raise AssertionError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "import api.app\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_two_applications_do_not_share_anything(world: World) -> None:
    first = create_app(Settings(session_hours=1), world.database)
    second = create_app(Settings(session_hours=2), world.database)
    assert first.state.settings.session_hours == 1
    assert second.state.settings.session_hours == 2


def test_all_routers_on_disk_are_included() -> None:
    module = import_module("api.routes.health")
    assert module.router in routers()


STREAMS = {"deliver_part"}
"""Endpoints that take a body piece by piece, which only a coroutine can."""


def test_endpoints_are_plain_functions() -> None:
    for router in routers():
        for route in router.routes:
            assert isinstance(route, APIRoute)
            if route.endpoint.__name__ in STREAMS:
                continue
            assert not inspect.iscoroutinefunction(route.endpoint), route.path


def test_names_of_operations_are_unique(world: World) -> None:
    names = [
        operation["operationId"]
        for operations in world.app.openapi()["paths"].values()
        for operation in operations.values()
    ]
    assert len(names) == len(set(names))


# ---- headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_every_answer_is_guarded(reader: httpx.Client, path: str, accept: str) -> None:
    answer = reader.get(path, headers={"Accept": accept})
    sent = answer.headers
    assert "unsafe-inline" not in sent["content-security-policy"]
    assert "unsafe-eval" not in sent["content-security-policy"]
    assert "frame-ancestors" in sent["content-security-policy"]
    assert sent["x-content-type-options"] == "nosniff"
    assert sent["referrer-policy"] == "same-origin"
    assert "geolocation=(self)" in sent["permissions-policy"]
    assert sent["cache-control"]
    assert "server" not in sent
    assert "strict-transport-security" not in sent


@pytest.mark.parametrize("path", ["/signin", "/healthz", "/api/v1/cities"])
def test_the_head_of_an_answer_is_told_alone(reader: httpx.Client, path: str) -> None:
    whole, head = reader.get(path), reader.head(path)
    assert head.status_code == whole.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.headers["x-content-type-options"] == "nosniff"


def test_a_nonce_is_of_one_answer_alone(reader: httpx.Client) -> None:
    policies = {reader.get("/signin").headers["content-security-policy"] for _ in range(5)}
    assert len(policies) == 5
    assert "frame-ancestors 'self'" in policies.pop()


def test_over_tls_browsers_are_told_to_stay_there(world: World) -> None:
    with serving(create_app(Settings(secure_cookies=True), world.database)) as url:
        answer = httpx.get(f"{url}/signin?lang=en")
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
        assert "Secure" in answer.headers["set-cookie"]


def test_tiles_from_elsewhere_are_let_in_as_images_alone() -> None:
    hosts = guards.tile_hosts("https://{s}.tiles.example:8443/{z}/{x}/{y}.png?k=1")
    assert hosts == ["https://*.tiles.example:8443"]
    parts = guards.content_policy("n", hosts).split("; ")
    naming = [part.split()[0] for part in parts if "tiles.example" in part]
    assert naming == ["img-src"]
    assert guards.tile_hosts("/tiles/{z}/{x}/{y}.png") == guards.tile_hosts(None) == []


# ---- host and size -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "welcome"),
    [
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("192.0.2.7:8000", True),
        ("GRID.example", True),
        ("grid.example.:443", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("grid.example.evil.example", False),
        ("grid.example@evil.example", False),
        ("", False),
        ("2130706433", False),
    ],
)
def test_which_names_are_ours(host: str, welcome: bool) -> None:
    known = Settings(hosts=" grid.example, www.grid.example").host_names
    assert guards.is_own_host(host, known) is welcome


def test_a_foreign_name_is_refused(reader: httpx.Client) -> None:
    answer = reader.get("/healthz", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")


def test_what_is_too_large_is_refused(world: World) -> None:
    settings = Settings(max_body_kib=2)
    app = create_app(settings, world.database)
    with serving(app) as url:
        said = httpx.post(f"{url}/api/v1/session", content=b"x" * 2049)
        assert (said.status_code, said.json()["code"]) == (413, "too_large")

        def pieces() -> Iterator[bytes]:
            for _ in range(30):
                yield b"x" * 100

        unsaid = httpx.post(f"{url}/api/v1/session", content=pieces())
        assert (unsaid.status_code, unsaid.json()["code"]) == (413, "too_large")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        unsaid = httpx.post(f"{url}/signin", content=pieces(), headers=form)
        assert unsaid.status_code == 413


# ---- compression and files -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def echoing(world: World) -> Iterator[str]:
    """The application with a route that answers a number of bytes."""
    app = create_app(Settings(), world.database)
    _add_echo(app)
    with serving(app) as url:
        yield url


def _add_echo(app: FastAPI) -> None:
    @app.get("/api/v1/bytes")
    def answer_bytes(n: int, kind: str) -> Response:
        return Response(b"a" * n, media_type=kind)


@pytest.mark.parametrize(
    ("n", "kind", "zipped"),
    [
        (499, "application/json", False),
        (500, "application/json", True),
        (5000, "application/vnd.mapbox-vector-tile", True),
        (5000, "image/png", False),
        (5000, "application/pdf", False),
    ],
)
def test_what_is_worth_it_is_compressed(echoing: str, n: int, kind: str, zipped: bool) -> None:
    address = f"{echoing}/api/v1/bytes?n={n}&kind={kind}"
    with httpx.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
        assert (answer.headers.get("content-encoding") == "gzip") is zipped
    assert (gzip.decompress(raw) if zipped else raw) == b"a" * n
    plain = httpx.get(address, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and len(plain.content) == n


def test_files_are_kept_by_content_and_asked_for_again_otherwise(
    world: World, reader: httpx.Client
) -> None:
    base = world.app.state.assets.base
    kept = reader.get(f"{base}/css/tokens.css")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = reader.get("/static/css/tokens.css")
    assert plain.content == kept.content and plain.headers["cache-control"] == "no-cache"
    again = reader.get("/static/css/tokens.css", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


def test_the_version_follows_the_content(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("static")
    (folder / "a.js").write_text("1")
    first = statics.version_of(folder)
    assert statics.version_of(folder) == first
    (folder / "a.js").write_text("2")
    assert statics.version_of(folder) != first
    (folder / "a.js").write_text("1")
    (folder / "a.js").rename(folder / "b.js")
    assert statics.version_of(folder) != first


def test_the_description_is_offline(reader: httpx.Client) -> None:
    told = reader.get("/api/v1/openapi.json").json()
    assert told["info"]["title"] == "Wangge"
    assert "Problem" in told["components"]["schemas"]
    assert "HTTPValidationError" not in told["components"]["schemas"]
    for path in ("/docs", "/redoc"):
        assert reader.get(path).status_code == 404
