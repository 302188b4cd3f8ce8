"""Who may see what: every route x role x territory, and each of the two walls alone.

The list of routes comes from the application; what is expected of each: tests/api/expected.
A route without a row fails, and so does a row without a route.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text, true
from sqlalchemy.orm import Session

from api.app import create_app, routers
from geo import service
from geo.db import Database, Viewer
from geo.settings import Settings
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, PLAIN, World, login_of, serving
from tests.api.expected import ADMINISTRATOR, PUBLIC, TABLE, TERRITORIES, sensitive
from tests.api.matrix import Case, Facts, learn, truth

SENSITIVE = [entry for entry in TABLE if sensitive(entry)]
SAYS_WHO_ASKS = {
    path
    for path in (Case(entry, PUBLIC, "own").path for entry in TABLE)
    if not path.startswith("/api/") or path == "/api/v1/session"
}
"""Pages and the session: there the reader's own name stands, with the own city in it."""


@dataclass(frozen=True)
class Asking:
    """A served application, a reader for every role, and what is true."""

    facts: Mapping[str, Facts]
    readers: Mapping[Role, httpx.Client]

    def __call__(self, case: Case, **changed: Any) -> httpx.Response:
        method, path, more = case.request(self.facts[case.city], **changed)
        return self.readers[case.role].request(method, path, **more)

    def faults(self, case: Case) -> list[str]:
        """Return how an answer differs from what is expected."""
        answer, facts = self(case), self.facts[case.city]
        wanted = int(case.outcome) if case.outcome.isdecimal() else 200
        if answer.status_code != wanted:
            return [f"{case}: {answer.status_code} instead of {wanted}: {answer.text[:200]}"]
        told = []
        other = HOME if case.city == AWAY else AWAY
        if f"({other})" in answer.text and case.path not in SAYS_WHO_ASKS:
            told.append(f"{case}: names of the other city")
        if case.outcome == "open":
            stranger = self(Case(case.entry, PUBLIC, case.territory), grid=case.grid)
            if stranger.content != answer.content:
                told.append(f"{case}: not what a stranger is told")
        elif not case.outcome.isdecimal():
            listed, rows = told_by(case, answer, self)
            right = truth(case, facts, listed)
            if rows != right:
                told.append(f"{case}: too much {rows - right}, too little {right - rows}")
        return told


def told_by(
    case: Case, answer: httpx.Response, ask: Asking
) -> tuple[frozenset[Any], frozenset[Any]]:
    """Return the open rows of an answer, and what it tells of them to few."""
    if case.path == "/print/net":
        names = {person.name for facts in ask.facts.values() for person in facts.workers.values()}
        card = ask(Case("GET /api/v1/cities/{city}/grids/{grid}", case.role, case.territory)).json()
        posts = frozenset(post["post"] for post in card["posts"])
        return posts, frozenset(name for name in names if name in answer.text)
    subject = case.path.rpartition("{city}/")[2]
    if case.form == "csv":
        items: list[dict[str, Any]] = [
            {key: int(value) if value.isdecimal() else value or None for key, value in row.items()}
            for row in csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff")))
        ]
    elif case.form == "geojson":
        items = [feature["properties"] for feature in answer.json()["features"]]
    else:
        body = answer.json()
        items = body.get("items") or body.get("posts") or body.get("responsible") or []
    if subject == "issues/{issue}":
        return frozenset(), frozenset({answer.json()["issue"]})
    if subject == "issues":
        return frozenset(), frozenset(item["issue"] for item in items)
    if subject == "workers":
        return frozenset(), frozenset((item["worker"], item["name"]) for item in items)
    if subject == "audit":
        known = ask.facts[case.city].audit
        looked = max(known)  # reading names writes further rows
        return frozenset(), frozenset(item["n"] for item in items if item["n"] <= looked)
    if subject == "plans":
        return frozenset(), frozenset(item["plan"] for item in items)
    if subject == "buildings":
        told = frozenset(item["building"] for item in items if item["households"] is not None)
        return frozenset(item["building"] for item in items), told
    named = frozenset(item["name"] for item in items if item["name"] is not None)
    return frozenset(item["post"] for item in items), named


def cases(entry: str) -> Iterator[Case]:
    """Yield a row of the table for all roles and territories."""
    for role in Role:
        for territory in TERRITORIES:
            yield Case(entry, role, territory)


# ---- the readers ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sessions(world: World) -> Mapping[Role, Mapping[str, str]]:
    """The cookies of a reader of each role of the home city."""
    return {
        role: {} if role is PUBLIC else dict(world.signed(login_of(role, HOME)).cookies)
        for role in Role
    }


@pytest.fixture(scope="module")
def asking(world: World, sessions: Mapping[Role, Mapping[str, str]]) -> Iterator[Asking]:
    """The application as it is."""
    yield from _asking(world, world.url, sessions)


def _asking(world: World, url: str, sessions: Mapping[Role, Mapping[str, str]]) -> Iterator[Asking]:
    facts = {slug: learn(world.migrated.engine, slug) for slug in (HOME, AWAY)}
    readers = {
        role: httpx.Client(base_url=url, cookies=dict(kept), timeout=30, verify=PLAIN)
        for role, kept in sessions.items()
    }
    yield Asking(facts, readers)
    for reader in readers.values():
        reader.close()


def wall_of_the_service_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service narrow nothing, so that the policies of the database stand alone."""
    monkeypatch.setattr(service, "visible", lambda table, viewer: true())


@pytest.fixture(scope="module")
def without_policies(world: World, sessions: Mapping[Role, Mapping[str, str]]) -> Iterator[Asking]:
    """The application on a login that every policy lets pass, so that the service stands alone."""
    with world.migrated.engine.connect() as connection:
        owner = str(connection.execute(text("SELECT current_user")).scalar_one())
    door = Unwalled(world.migrated.owner_url, world.migrated.key, owner)
    with serving(create_app(Settings(project_dir="/nowhere"), door)) as url:
        yield from _asking(world, url, sessions)
    door.close()


@dataclass(frozen=True)
class Lifted(Viewer):
    """A viewer whom every policy lets pass."""

    owner: str = ""

    @property
    def database_role(self) -> str:
        return self.owner


class Unwalled(Database):
    """A door whose viewers are all the tables' owner for the database, and themselves otherwise."""

    def __init__(self, url: str, key: bytes, owner: str) -> None:
        super().__init__(url, key)
        self._owner = owner

    def _lifted(self, viewer: Viewer) -> Lifted:
        return Lifted(**vars(viewer), owner=self._owner)

    @contextmanager
    def _transaction(self, viewer: Viewer, scope: str) -> Iterator[Session]:
        with super()._transaction(self._lifted(viewer), scope) as session:
            yield session

    def enter(self, session: Session, viewer: Viewer) -> None:
        super().enter(session, self._lifted(viewer))


# ---- the matrix ----------------------------------------------------------------------------------


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    known = {
        f"{method} {route.path}"
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert len(known) > 25
    assert {Case(entry, PUBLIC, "own").route for entry in TABLE} == known


def test_every_form_of_an_answer_has_a_row(world: World) -> None:
    """A route with a parameter `f` has a row for each of its values but the first."""
    for path, operations in world.app.openapi()["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] != "f":
                    continue
                for form in parameter["schema"]["enum"]:
                    entry = f"{method.upper()} {path}" + ("" if form == "json" else f" ?f={form}")
                    assert entry in TABLE


def test_every_role_and_territory_is_said() -> None:
    for entry, expected in TABLE.items():
        assert set(expected) == set(Role), entry
        assert all(len(line.split()) == len(TERRITORIES) for line in expected.values()), entry


@pytest.mark.parametrize("entry", TABLE)
def test_what_each_may_see(asking: Asking, entry: str) -> None:
    assert [fault for case in cases(entry) for fault in asking.faults(case)] == []


@pytest.mark.parametrize("entry", SENSITIVE)
def test_the_database_holds_without_the_service(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    wall_of_the_service_down(monkeypatch)
    assert [fault for case in cases(entry) for fault in asking.faults(case)] == []


@pytest.mark.parametrize("entry", SENSITIVE)
def test_the_service_holds_without_policies(without_policies: Asking, entry: str) -> None:
    assert [fault for case in cases(entry) for fault in without_policies.faults(case)] == []


@pytest.mark.parametrize(
    "entry",
    [
        "GET /api/v1/cities/{city}/issues",
        "GET /api/v1/cities/{city}/issues/{issue}",
        "GET /api/v1/cities/{city}/issues ?f=csv",
        "GET /api/v1/cities/{city}/posts",
        "GET /api/v1/cities/{city}/where",
        "GET /print/net",
    ],
)
def test_without_both_walls_everything_leaks(
    without_policies: Asking, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    """So it is the walls that hold, and the matrix would see it if they did not."""
    wall_of_the_service_down(monkeypatch)
    assert [fault for case in cases(entry) for fault in without_policies.faults(case)] != []


# ---- foreign ids look missing --------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("territory", ["sibling", "parent", "other"])
def test_an_issue_of_others_looks_missing(asking: Asking, role: Role, territory: str) -> None:
    case = Case("GET /api/v1/cities/{city}/issues/{issue}", role, territory)
    foreign = asking(case)
    if foreign.status_code == 200:
        assert role in (Role.PLANNER, Role.LEADER, ADMINISTRATOR)
        return
    number = case.issue(asking.facts[case.city])
    missing = asking(case, issue=987_654)
    assert missing.status_code == foreign.status_code
    told = {
        key: re.sub(rf"\b{number}\b", "987654", str(value)) for key, value in foreign.json().items()
    }
    assert told == {key: str(value) for key, value in missing.json().items()}


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.replace(f"/{AWAY}/", "/nowhere/"),
        lambda path: path.replace(f"/{AWAY}/", "/%2e%2e/"),
        lambda path: path.replace(f"/{AWAY}/", f"/{AWAY.upper()}/"),
    ],
)
def test_a_city_that_is_missing_is_missing_for_all(
    asking: Asking, change: Callable[[str], str]
) -> None:
    for role in Role:
        method, path, more = Case("GET /api/v1/cities/{city}/issues", role, "other").request(
            asking.facts[AWAY]
        )
        assert asking.readers[role].request(method, change(path), **more).status_code == 404
