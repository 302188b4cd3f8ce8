"""What few may read stands in no other answer of any route, list or export; erased, in none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest

from geo import service
from geo.db import owner_transaction
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.api.expected import PUBLIC, TABLE
from tests.api.matrix import Case, learn
from tests.geo.test_erasures import PHONE, WORDS, picture

READERS = (Role.COMMUNITY, Role.LEADER, Role.PUBLIC)
"""The territory, the whole city, everybody; what the others may see is less than one of these."""
ENTRIES = [entry for entry in TABLE if entry.startswith("GET ") and not entry.endswith("/events")]
"""Every route that is read, in each of its forms: one that is added needs a row in the matrix."""
PLACES = ("/issues/{issue}/", "/desk", "/print/", "/exports/")
"""Where staff read the words of an issue."""
CONTACT = "GET /api/v1/cities/{city}/issues/{issue}/contact"


@pytest.fixture(scope="module")
def reported(module_world: World) -> tuple[World, int]:
    """A report with words, a contact and a photo in the area that all of the territory read."""
    world, stranger = module_world, module_world.client()
    lon, lat = learn(world.migrated.engine, HOME).points[111]
    told = {
        "category": "E0101", "lon": lon, "lat": lat, "words": WORDS, "address": WORDS,
        "client_id": str(uuid4()), "contact": {"name": PHONE, "phone": PHONE},
    }  # fmt: skip
    answer = stranger.post(f"/api/v1/cities/{HOME}/reports", json=told)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    done = stranger.post(
        f"/api/v1/cities/{HOME}/reports/{made['code']}/photos",
        headers={"Wangge-Secret": made["secret"], "Content-Type": "application/octet-stream"},
        params={"name": "one"}, content=picture(),
    )  # fmt: skip
    assert done.status_code in (200, 201), done.text
    desk = world.sign_in(login_of(Role.COMMUNITY, HOME))
    issue = desk.get(f"/api/v1/cities/{HOME}/desk", params={"q": made["code"]}).json()["items"][0]
    wish = {"act": "note", "reason": f"asked {WORDS}"}
    done = desk.post(f"/api/v1/cities/{HOME}/issues/{issue['issue']}/acts", json=wish)
    assert done.status_code == 200, done.text
    return world, int(issue["issue"])


def answers(world: World, issue: int, readers: Sequence[Role]) -> Iterator[tuple[str, Role, str]]:
    """Yield what each reader is told by each route, asked about the own ground."""
    facts = learn(world.migrated.engine, HOME)
    for role in readers:
        reader = world.client() if role is PUBLIC else world.signed(login_of(role, HOME))
        for entry in ENTRIES:
            case = Case(entry, role, "own")
            method, path, more = case.request(facts, issue=issue)
            yield entry, role, reader.request(method, path, **more).text


def test_contacts_and_words_stand_where_they_may_and_nowhere_once_erased(
    reported: tuple[World, int],
) -> None:
    world, issue = reported
    assert len(ENTRIES) > 100
    seen: dict[str, set[tuple[str, Role]]] = {PHONE: set(), WORDS: set()}
    for entry, role, told in answers(world, issue, READERS):
        for mark, where in seen.items():
            if mark in told:
                where.add((entry, role))
    assert seen[PHONE] == {(CONTACT, Role.COMMUNITY)}
    assert seen[WORDS], "else this test would prove nothing"
    assert {role for _, role in seen[WORDS]} == {Role.COMMUNITY, Role.LEADER}
    for entry, _ in seen[WORDS]:
        assert any(place in entry for place in PLACES), entry
    with owner_transaction(world.migrated.engine) as session:
        city = service.city_id_of(session, HOME)
        assert service.cases.erase(session, city, issue)["contacts"] == 1
    left = [
        (entry, role)
        for entry, role, told in answers(world, issue, [Role.COMMUNITY])
        if WORDS in told or PHONE in told
    ]
    assert left == []
