"""Errors: one table, one form, nothing told that was not meant; a failed commit is a failure."""

from __future__ import annotations

import inspect
import logging
import re
import time
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import psycopg
import pytest
from fastapi import Depends, FastAPI, Query
from fastapi.routing import APIRoute
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from api import deps
from api.app import create_app, routers
from api.errors import KINDS, MEDIA_TYPE, UnexpectedError, kind_of, responses_for
from geo import errors
from geo.db import Database, Viewer, owner_transaction
from geo.settings import Settings
from tests.api.conftest import World, serving
from tests.databases import Server

CANARY = "canary-7f3a"
ONLY_ON_THE_COMMAND_LINE = {"SetupError", "KeepingError"}


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == MEDIA_TYPE, answer.text
    told: dict[str, Any] = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"] == f"urn:wangge:problem:{told['code']}"
    assert told["title"]
    return told


def every_error() -> list[type[errors.WanggeError]]:
    return [
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.WanggeError) and found is not errors.WanggeError
    ]


# ---- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_named_error_has_its_place(error: type[errors.WanggeError]) -> None:
    """Save those that only the command line can meet."""
    kind = kind_of(error)
    if error.__name__ in ONLY_ON_THE_COMMAND_LINE:
        assert kind is KINDS[UnexpectedError]
    else:
        assert kind is not KINDS[UnexpectedError]
        assert 400 <= kind.status < 600


def test_codes_are_not_shared() -> None:
    codes = [error.code for error in every_error()]
    assert len(codes) == len(set(codes))


def test_the_nearest_base_class_counts() -> None:
    class FartherError(errors.GridNotFoundError):
        code = "farther"

    assert kind_of(FartherError) is KINDS[errors.GridNotFoundError]


def test_a_declaration_names_all_codes_of_a_status() -> None:
    declared = responses_for(errors.CityNotFoundError, errors.NetNotFoundError)
    assert declared[404]["description"] == "`city_not_found` or `net_not_found`"
    assert set(declared) == {404, 422, 500, 503}


def test_every_route_declares_its_errors(world: World) -> None:
    for path, operations in world.app.openapi()["paths"].items():
        for method, operation in operations.items():
            for status in ("422", "500", "503"):
                content = operation["responses"][status]["content"]
                assert set(content) == {MEDIA_TYPE}, (method, path, status)
            if "{city}" in path:
                assert "city_not_found" in operation["responses"]["404"]["description"], path


def test_what_a_route_raises_it_declares() -> None:
    """The errors in a route's docstring stand in its declaration, with the same status."""
    looked_at = 0
    for route in (route for router in routers() for route in router.routes):
        assert isinstance(route, APIRoute)
        told = inspect.getdoc(route.endpoint) or ""
        for error in every_error():
            if route.include_in_schema and f"\n{error.__name__}\n" in told:
                declared = route.responses.get(kind_of(error).status, {})
                assert f"`{error.code}`" in declared.get("description", ""), (route.path, error)
                looked_at += 1
    assert looked_at > 10


# ---- the form ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken(world: World) -> Iterator[str]:
    """The application with routes that fail, served."""
    app = create_app(Settings(project_dir="/nowhere"), world.database)
    _add_failing_routes(app)
    with serving(app) as url:
        yield url


def _add_failing_routes(app: FastAPI) -> None:
    @app.get("/api/v1/fails/{name}")
    def fails(name: str) -> None:
        found = {error.code: error for error in every_error()}
        if name not in found:
            raise RuntimeError(f"{CANARY} postgresql://wangge_owner:secret@db/x")
        error = found[name]
        if issubclass(error, errors.FileRefusedError):
            raise error("hostile", ["first defect", "second defect"])
        if issubclass(error, errors.PhotoRefusedError):
            raise error("What happened.", "broken")
        if issubclass(error, errors.DatasetError):
            raise error(["first defect", "second defect"])
        raise error("What happened.", place=7, status=299, retry_after_s=9)

    @app.get("/fails")
    def fails_as_a_page() -> None:
        raise RuntimeError(CANARY)

    @app.get("/api/v1/counts")
    def counts(n: Annotated[int, Query(ge=1)], password: Annotated[int, Query()] = 1) -> int:
        return n + password


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_named_errors_are_problems(broken: str, error: type[errors.WanggeError]) -> None:
    english = {"Accept-Language": "en"}
    answer = httpx.get(f"{broken}/api/v1/fails/{error.code}", headers=english)
    told = problem(answer)
    assert answer.status_code == kind_of(error).status
    if error.__name__ in ONLY_ON_THE_COMMAND_LINE:
        assert told["code"] == "unexpected"
        return
    assert told["code"] == error.code
    if issubclass(error, errors.PhotoRefusedError):
        assert (told["detail"], told["reason"]) == ("What happened.", "broken")
    elif not issubclass(error, errors.DatasetError):
        assert (told["detail"], told["place"]) == ("What happened.", 7)
    else:
        assert told["defects"] == ["first defect", "second defect"]
    if answer.status_code in (429, 503):
        assert answer.headers["retry-after"] == "9"


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_what_happened_is_told_in_the_readers_language(
    broken: str, error: type[errors.WanggeError]
) -> None:
    chinese = {"Accept-Language": "zh"}
    told = problem(httpx.get(f"{broken}/api/v1/fails/{error.code}", headers=chinese))
    assert not re.search("[A-Za-z]{3}", told["title"])
    assert re.search("[一-鿿]", told["detail"])
    assert "What happened" not in told["detail"]


def test_wrong_values_are_told_in_the_readers_language(broken: str) -> None:
    asked = f"{broken}/api/v1/counts?n=0&password=x"
    said = {
        language: problem(httpx.get(asked, headers={"Accept-Language": language}))
        for language in ("zh", "en")
    }
    assert [one["message"] for one in said["zh"]["errors"]] == ["不得小于 1。", "请填写整数。"]
    assert said["zh"]["detail"] == "n：不得小于 1。password：请填写整数。"
    assert [one["message"] for one in said["en"]["errors"]] == [
        "it has to be at least 1.", "write a whole number.",
    ]  # fmt: skip
    assert said["en"]["code"] == said["zh"]["code"] == "invalid_input"


def test_the_unexpected_gives_an_id_and_nothing_else(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="wangge"):
        answer = httpx.get(f"{broken}/api/v1/fails/x")
    told = problem(answer)
    assert answer.status_code == 500
    assert set(told) == {"type", "title", "status", "code", "detail", "instance", "id"}
    assert CANARY not in answer.text and "secret" not in answer.text
    assert told["instance"] == f"urn:uuid:{told['id']}"
    assert told["id"] in caplog.text and CANARY in caplog.text
    assert answer.headers["content-security-policy"], "guards stand around failures too"


def test_a_page_that_fails_is_a_page(broken: str) -> None:
    answer = httpx.get(f"{broken}/fails", headers={"Accept": "text/html", "Accept-Language": "en"})
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "Something went wrong" in answer.text and CANARY not in answer.text


def test_wrong_values_are_listed_and_not_repeated(broken: str) -> None:
    told = problem(httpx.get(f"{broken}/api/v1/counts?n=0&password={CANARY}"))
    assert (told["status"], told["code"]) == (422, "invalid_input")
    assert [one["field"] for one in told["errors"]] == ["n", "password"]
    assert CANARY not in str(told)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("PUT", "/api/v1/session", 405, "method_not_allowed"),
        ("GET", "/static/nothing.js", 404, "not_found"),
        ("GET", "/static/../app.py", 404, "not_found"),
        ("GET", "/static/%2e%2e/app.py", 404, "not_found"),
        ("GET", "/static/css", 404, "not_found"),
        ("POST", "/api/v1/session", 422, "invalid_input"),
    ],
)
def test_the_frameworks_own_errors_have_the_form(
    reader: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    told = problem(reader.request(method, path))
    assert (told["status"], told["code"]) == (status, code)


def test_titles_follow_the_reader(reader: httpx.Client) -> None:
    path = "/api/v1/nothing"
    english = problem(reader.get(path, headers={"Accept-Language": "en"}))
    chinese = problem(reader.get(path))
    assert english["title"] == "Nothing is there"
    assert chinese["title"] != english["title"]
    assert english["code"] == chinese["code"]


def test_a_missing_page_is_a_page_in_both_languages(reader: httpx.Client) -> None:
    page = reader.get("/nothing", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-language"]) == (404, "zh-CN")
    page = reader.get("/nothing?lang=en", headers={"Accept": "text/html"})
    assert '<html lang="en">' in page.text and "Nothing is there" in page.text


# ---- the database --------------------------------------------------------------------------------


def late_session(database: deps.DatabaseDep) -> Iterator[Session]:
    with deps.open_access(database, None, lambda session, account: None) as access:
        yield access.session


def test_a_failed_commit_is_a_failed_answer(own_world: World) -> None:
    """With the scope of `SessionDep`; FastAPI's default scope says 201 although nothing is kept."""
    with owner_transaction(own_world.migrated.engine) as session:
        session.execute(text("CREATE TABLE twice (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        session.execute(text("GRANT INSERT, SELECT ON twice TO wangge_area"))
    app = create_app(own_world.settings, own_world.database)

    @app.post("/api/v1/kept", status_code=201)
    def kept(session: deps.SessionDep, times: int) -> str:
        session.execute(
            text("INSERT INTO twice SELECT 1 FROM generate_series(1, :n)"), {"n": times}
        )
        return "kept"

    @app.post("/api/v1/lost", status_code=201)
    def lost(session: Annotated[Session, Depends(late_session)], times: int) -> str:
        return kept(session, times)

    with serving(app) as url:
        answer = httpx.post(f"{url}/api/v1/kept?times=2")
        assert (answer.status_code, problem(answer)["code"]) == (500, "unexpected")
        assert httpx.post(f"{url}/api/v1/lost?times=2").status_code == 201, "the trap is real"
        assert httpx.post(f"{url}/api/v1/kept?times=1").status_code == 201
    with own_world.migrated.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM twice")) == 1


def test_a_database_that_is_away_is_said_so_and_comes_back(
    own_world: World, server: Server
) -> None:
    name = own_world.migrated.name
    client = own_world.client()
    assert client.get("/healthz").status_code == 200
    _allow_connections(server, name, False)
    own_world.database.engine.dispose()
    for path in ("/healthz", "/api/v1/session", "/api/v1/cities/home/audit"):
        start = time.perf_counter()
        answer = client.get(path, headers={"Cookie": f"wangge_session={'A' * 43}"})
        assert time.perf_counter() - start < 2
        assert problem(answer)["code"] == "database_away"
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    page = client.get("/signin", headers={"Accept": "text/html"})
    assert page.status_code == 503 and page.headers["content-type"].startswith("text/html")
    _allow_connections(server, name, True)
    assert client.get("/healthz").status_code == 200


def test_no_database_at_all_is_said_within_two_seconds(world: World) -> None:
    away = Database("postgresql+psycopg://nobody@/none?host=/nonexistent", b"x" * 32)
    with serving(create_app(world.settings, away)) as url:
        start = time.perf_counter()
        assert httpx.get(f"{url}/healthz").status_code == 503
        assert time.perf_counter() - start < 2
    away.close()


def test_what_takes_too_long_is_stopped_and_said(world: World) -> None:
    hasty = Database(world.migrated.app_url, world.migrated.key, statement_s=0.2)
    app = create_app(world.settings, hasty)

    @app.get("/api/v1/slow")
    def slow(session: deps.SessionDep, seconds: float) -> dict[str, bool]:
        session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
        return {"slept": True}

    with serving(app) as url:
        answer = httpx.get(f"{url}/api/v1/slow?seconds=5", timeout=3)
        assert (answer.status_code, problem(answer)["code"]) == (503, "took_too_long")
        assert int(answer.headers["retry-after"]) >= 1
        assert httpx.get(f"{url}/api/v1/slow?seconds=0").json() == {"slept": True}
    hasty.close()


def test_the_owner_has_no_such_end(world: World) -> None:
    with owner_transaction(world.migrated.engine) as session:
        assert session.scalar(text("SHOW statement_timeout")) == "0"
    with world.database.transaction(Viewer.public()) as session:
        assert session.scalar(text("SHOW statement_timeout")) == "30s"


def test_a_full_pool_is_said_within_a_moment(world: World) -> None:
    narrow = Database(world.migrated.app_url, world.migrated.key, pool_size=1)
    held = [narrow.engine.connect() for _ in range(1 + 4)]
    try:
        with serving(create_app(world.settings, narrow)) as url:
            answer = httpx.get(f"{url}/healthz", timeout=10)
            assert problem(answer)["code"] == "database_away"
    finally:
        for connection in held:
            connection.close()
        narrow.close()


def _allow_connections(server: Server, name: str, allowed: bool) -> None:
    word = sql.SQL("true" if allowed else "false")
    statement = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
    with psycopg.connect(server._maintenance(), autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), word))
