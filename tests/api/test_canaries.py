"""What few may read stands in no other answer of any route, list or export; erased, in none."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from geo import service
from geo.db import owner_transaction
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, World, login_of
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


def readable(answer: httpx.Response) -> str:
    """Return what somebody reads in an answer, also in a workbook, which is packed."""
    content = answer.content
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            return "".join(packed.read(name).decode(errors="replace") for name in packed.namelist())
    return answer.text


def answers(world: World, issue: int, readers: Sequence[Role]) -> Iterator[tuple[str, Role, str]]:
    """Yield what each reader is told by each route, asked about the own ground."""
    facts = learn(world.migrated.engine, HOME)
    for role in readers:
        reader = world.client() if role is PUBLIC else world.signed(login_of(role, HOME))
        for entry in ENTRIES:
            case = Case(entry, role, "own")
            method, path, more = case.request(facts, issue=issue)
            yield entry, role, readable(reader.request(method, path, **more))


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


ROOM = "KANARIE-RAUM-5507"
AREAS = "grid_id, area_1, area_2, area_3"
THERE = "121, 1, 12, 121"
POINT = "(SELECT label_point FROM net_grid WHERE grid_id = 121 LIMIT 1)"
ROOMS = {
    "meeting": (
        f"INSERT INTO meeting (city_id, kind, title, place, held_at, state, outcome, {AREAS})"
        f" VALUES (:city, 'talk', :mark, :mark, now(), 'held', :mark, {THERE}) RETURNING meeting_id"
    ),
    "topic": (
        "INSERT INTO meeting_topic (city_id, meeting_id, n, words, outcome)"
        " VALUES (:city, :meeting, 1, :mark, :mark) RETURNING n"
    ),
    "device": (
        f"INSERT INTO device (city_id, code, name, kind, category, geom, enabled, {AREAS})"
        f" VALUES (:city, 'ROOM', :mark, 'lamp', 'C0101', {POINT}, true, {THERE})"
        " RETURNING device_id"
    ),
    "alarm": (
        "INSERT INTO device_alarm (city_id, device_id, alarm, at, digest, words)"
        " VALUES (:city, :device, 'a', now(), '', :mark) RETURNING 1"
    ),
    "campaign": (
        f"INSERT INTO campaign (city_id, name, goal, starts_on, state, {AREAS})"
        f" VALUES (:city, 'x', 'x', current_date, 'open', {THERE}) RETURNING campaign_id"
    ),
    "line": (
        f"INSERT INTO campaign_item (city_id, campaign_id, n, list, words, note, state, {AREAS})"
        f" VALUES (:city, :campaign, 1, 'problem', :mark, :mark, 'open', {THERE}) RETURNING n"
    ),
    "project": (
        "INSERT INTO small_project (city_id, campaign_id, name, words, geom, budget, state,"
        f" {AREAS}) VALUES (:city, :campaign, :mark, :mark, {POINT}, 1, 'proposed', {THERE})"
        " RETURNING project_id"
    ),
    "issue": (
        "INSERT INTO issue (city_id, issue_id, cell_id, owner_grid, category, channel, state,"
        " reported_at, geom, words, address, area_1, area_2, area_3) SELECT :city, 70000,"
        f" min(cell_id), 121, 'C0101', 'report', 'accepted', now(), {POINT}, :mark, :mark, 1, 12,"
        " 121 FROM net_cell WHERE city_id = :city RETURNING issue_id"
    ),
    "line of history": (
        "INSERT INTO issue_event (city_id, issue_id, act, state, reason)"
        " VALUES (:city, :issue, 'note', 'accepted', :mark) RETURNING event_id"
    ),
    "contact": (
        "INSERT INTO issue_contact (city_id, issue_id, name, area_1, area_2, area_3)"
        " VALUES (:city, :issue, :mark, 1, 12, 121) RETURNING 1"
    ),
    "shop": (
        f"INSERT INTO shop (city_id, code, name, kind, geom, {AREAS})"
        f" VALUES (:city, 'ABCDEFGHJ', 'x', 'food', {POINT}, {THERE}) RETURNING shop_id"
    ),
    "inspection": (
        "INSERT INTO inspection (city_id, shop_id, kind, held_on, result, expires_on, appealed_on,"
        f" appeal, {AREAS}) VALUES (:city, :shop, 'food', current_date - 1, 'to_mend',"
        f" current_date + 90, current_date, :mark, {THERE}) RETURNING inspection_id"
    ),
}
"""Rows of every room beside the reader's own area; where a public name is, it has no mark."""
OF_ROOMS = re.compile("meeting|campaign|project|device|shop|inspection|issue|desk|export|print|/$")


def test_rooms_of_another_area_are_told_to_nobody_there(module_world: World) -> None:
    world = module_world
    made: dict[str, int] = {}
    with owner_transaction(world.migrated.engine) as session:
        known: dict[str, object] = {"city": service.city_id_of(session, HOME), "mark": ROOM}
        for name, statement in ROOMS.items():
            used = {key: value for key, value in (known | made).items() if f":{key}" in statement}
            made[name] = int(session.execute(text(statement), used).scalar_one())
    facts = learn(world.migrated.engine, HOME)
    asked = [entry for entry in ENTRIES if OF_ROOMS.search(entry)]
    assert len(asked) > 40
    readers = {
        f"{role} of {slug}": world.client() if role is PUBLIC else
        world.signed(login_of(role, slug))
        for role, slug in (
            (Role.PUBLIC, HOME), (Role.WORKER, HOME), (Role.COMMUNITY, HOME),
            (Role.DEPARTMENT, HOME), (Role.LEADER, AWAY), (Role.LEADER, HOME),
        )
    }  # fmt: skip
    told: dict[str, set[str]] = {}
    for reader, client in readers.items():
        for entry in asked:
            method, path, more = Case(entry, Role.WORKER, "own").request(facts, **made)
            if ROOM in readable(client.request(method, path, **more)):
                told.setdefault(reader, set()).add(entry)
    whole = told.pop(f"{Role.LEADER} of {HOME}")
    assert told == {}
    for word in ("meeting", "campaign", "project", "device", "issues/{issue}", "desk", "xlsx"):
        assert any(word in entry for entry in whole), f"{word}: else this proves nothing"
    assert not any("contact" in entry for entry in whole)
