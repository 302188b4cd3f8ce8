"""Who may write what: every route that changes something x role x territory, with a valid token.

The table of `tests/api/expected` asks these routes without the token of a page, which everybody is
refused. Here each reader has one, so that the right alone decides. A writing route without a row
fails; plans are left out, since members alone know of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from geo.db import owner_transaction
from geo.settings import Settings
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, PASSWORD, World, login_of, serving
from tests.api.expected import NO_TOKEN, TABLE
from tests.conftest import MigratedDatabase

API: Final = "/api/v1/cities/{city}"
STRANGE: Final = 121
"""A grid outside the area of the community."""
NEVER: Final = frozenset({401, 403})

STAFF: Final = frozenset(Role) - {Role.PUBLIC}
ADMINISTRATORS: Final = frozenset({Role.ADMINISTRATOR})
OFFICE: Final = ADMINISTRATORS | {Role.PLANNER}
TELLING: Final = ADMINISTRATORS | {Role.COMMUNITY}
POSTING: Final = OFFICE | {Role.COMMUNITY}
NOTICE: Final = {"kind": "water", "title": "停水", "begins_at": "2026-06-15T08:00:00+08:00"}
MEETING: Final = {
    "kind": "talk", "title": "路灯", "place": "会议室", "held_at": "2026-06-15T08:00:00+08:00",
}  # fmt: skip
CAMPAIGN: Final = {"name": "飞线整治", "goal": "安全", "starts_on": "2026-06-15"}


RULE: Final = {
    "criteria": [{"code": "late", "title": "超期", "source": "issue", "points": 2, "most": 9}],
    "grades": [["绿", 80], ["红", 0]], "answer_days": 7, "appeal_days": 15, "valid_days": 90,
}  # fmt: skip
PERIOD: Final = {"rule": 9, "compound": 1, "since": "2026-01-01", "until": "2026-03-31"}
SHOP: Final = {"name": "小店", "kind": "food", "lon": 0, "lat": 0}
POINT: Final = {"name": "便民点", "offers": ["water"], "lon": 0, "lat": 0}


@dataclass(frozen=True)
class Right:
    """Roles that may; what is sent; whether something of another area is named, in which member."""

    roles: frozenset[Role]
    sent: Mapping[str, Any]
    area: str = ""


def _json(**body: Any) -> Mapping[str, Any]:
    return {"json": body}


RIGHTS: Final[Mapping[str, Right]] = {
    f"POST {API}/imports": Right(OFFICE, {"params": {"name": ""}, "content": b""}),
    f"POST {API}/imports/{{delivery}}/parts": Right(OFFICE, {"params": {"name": "a.csv"}}),
    f"PUT {API}/imports/{{delivery}}/wish": Right(OFFICE, _json()),
    f"POST {API}/imports/{{delivery}}/confirm": Right(OFFICE, {}),
    f"POST {API}/imports/{{delivery}}/cancel": Right(OFFICE, {}),
    f"POST {API}/imports/{{delivery}}/undo": Right(OFFICE, {}),
    f"DELETE {API}/imports/{{delivery}}": Right(OFFICE, {}),
    f"POST {API}/accounts": Right(ADMINISTRATORS, _json(login="-", role="leader")),
    f"PATCH {API}/accounts/{{user}}": Right(ADMINISTRATORS, _json(grids=[111])),
    f"POST {API}/accounts/{{user}}/phone-link": Right(TELLING, {}, "path"),
    f"DELETE {API}/sessions/{{number}}": Right(TELLING, {}, "path"),
    f"POST {API}/workers": Right(OFFICE, _json(name="新来")),
    f"PATCH {API}/workers/{{worker}}": Right(OFFICE, _json(name_consent=False)),
    f"POST {API}/posts": Right(POSTING, _json(grid=STRANGE, role="assistant"), "body"),
    f"PATCH {API}/posts/{{post}}": Right(POSTING, _json(part_time=True), "path"),
    f"POST {API}/posts/import": Right(POSTING, {"files": {"file": ("a.xlsx", b"no file")}}),
    f"PATCH {API}/levels/{{level}}": Right(
        ADMINISTRATORS, _json(name="街道", name_en="Street", zoom_min=0, zoom_max=9)
    ),
    f"PATCH {API}/station-kinds/{{kind}}": Right(
        ADMINISTRATORS, _json(name="站", name_en="Post", serves="grid", new=True)
    ),
    f"PATCH {API}/categories/{{category}}": Right(
        ADMINISTRATORS, _json(name="垃圾", name_en="Rubbish")
    ),
    f"POST {API}/answer-texts": Right(ADMINISTRATORS, _json(title="答复", body="{category}")),
    f"PUT {API}/answer-texts/{{text}}": Right(ADMINISTRATORS, _json(title="答复", body="已处置")),
    f"DELETE {API}/answer-texts/{{text}}": Right(ADMINISTRATORS, {}),
    f"PUT {API}/exports/{{name}}": Right(
        ADMINISTRATORS, _json(title="平台", columns=[{"title": "编号", "field": "external"}])
    ),
    f"DELETE {API}/exports/{{name}}": Right(ADMINISTRATORS, {}),
    f"POST {API}/rating-rules": Right(
        ADMINISTRATORS, _json(title="规则", begins_on="2998-01-01", content=RULE)
    ),
    f"POST {API}/rating-rules/tried": Right(
        ADMINISTRATORS, _json(content=RULE, since="2026-01-01", until="2026-01-31")
    ),
    f"PATCH {API}/rating-rules/{{rule}}": Right(ADMINISTRATORS, _json(ends_on="2998-01-01")),
    f"POST {API}/firm-ratings": Right(TELLING, _json(**PERIOD)),
    f"POST {API}/firm-ratings/reckoned": Right(TELLING, _json(**PERIOD)),
    f"POST {API}/firm-ratings/{{rating}}/acts": Right(STAFF, _json(act="answer", words="答")),
    f"POST {API}/shops": Right(TELLING, _json(**SHOP)),
    f"PUT {API}/shops/{{shop}}": Right(TELLING, _json(name="店", kind="food", version=0), "path"),
    f"DELETE {API}/shops/{{shop}}": Right(TELLING, {}, "path"),
    f"POST {API}/inspections": Right(
        TELLING, _json(kind="fire", held_on="2026-05-01", result="passed", shop=999)
    ),
    f"POST {API}/inspections/{{inspection}}/acts": Right(STAFF, _json(act="answer", words="答")),
    f"POST {API}/service-points": Right(TELLING, _json(**POINT)),
    f"PUT {API}/service-points/{{point}}": Right(TELLING, _json(**POINT), "path"),
    f"DELETE {API}/service-points/{{point}}": Right(TELLING, {}, "path"),
    f"PUT {API}/service-points/{{point}}/months/{{month}}": Right(
        TELLING, _json(helped=1, helpers=1, hours=1), "path"
    ),
    f"POST {API}/notices": Right(TELLING, _json(grid=STRANGE, **NOTICE), "body"),
    f"PATCH {API}/notices/{{notice}}": Right(TELLING, _json(**NOTICE), "path"),
    f"DELETE {API}/notices/{{notice}}": Right(TELLING, {}, "path"),
    f"POST {API}/assign": Right(STAFF, _json(points=[[120.0, 37.0]])),
    f"POST {API}/addresses/match": Right(STAFF, _json(lines=["第一小区1号楼"])),
    f"POST {API}/addresses": Right(OFFICE, _json(text="第一小区1号楼", building=999_999)),
    f"DELETE {API}/addresses/{{address}}": Right(OFFICE, {}),
    f"POST {API}/issues/{{issue}}/acts": Right(STAFF, _json(act="note", reason="-"), "path"),
    f"POST {API}/issues/acts": Right(STAFF, _json(act="note", reason="-", issues=[999_999])),
    f"POST {API}/issues/foreseen": Right(STAFF, _json(act="note", reason="-", issues=[999_999])),
    f"POST {API}/issues/{{issue}}/photos": Right(
        STAFF, {"params": {"name": "m1"}, "content": b"no photo"}, "path"
    ),
    f"PATCH {API}/issues/{{issue}}/photos/{{photo}}": Right(TELLING, _json(released=True), "path"),
    f"POST {API}/nets/{{seq}}/errata": Right(
        OFFICE, _json(grid=111, field="name", correct="第一网格（正）", reason="错字")
    ),
    f"PUT {API}/rules/limits/{{category}}/{{step}}": Right(
        ADMINISTRATORS, _json(amount=3, unit="working_days")
    ),
    f"DELETE {API}/rules/limits/{{category}}/{{step}}": Right(ADMINISTRATORS, {}),
    f"PUT {API}/rules/days/{{day}}": Right(ADMINISTRATORS, _json(working=True, note="补班")),
    f"DELETE {API}/rules/days/{{day}}": Right(ADMINISTRATORS, {}),
    f"PUT {API}/rules/routing/{{n}}": Right(ADMINISTRATORS, _json(name="夜间")),
    f"DELETE {API}/rules/routing/{{n}}": Right(ADMINISTRATORS, {}),
    f"PUT {API}/rules/categories/{{category}}": Right(ADMINISTRATORS, _json(legal_basis="条例")),
    f"POST {API}/devices": Right(
        ADMINISTRATORS, _json(name="井盖", kind="manhole", category="C0102", lon=0, lat=0)
    ),
    f"PATCH {API}/devices/{{device}}": Right(ADMINISTRATORS, _json(enabled=False)),
    "POST /issues/devices": Right(
        ADMINISTRATORS, {"params": {"city": HOME}, "data": {"do": "nothing"}}
    ),
    f"POST {API}/meetings": Right(TELLING, _json(grid=STRANGE, **MEETING), "body"),
    f"PATCH {API}/meetings/{{meeting}}": Right(TELLING, _json(version=0), "path"),
    f"POST {API}/meetings/{{meeting}}/topics": Right(TELLING, _json(words="井盖"), "path"),
    f"PATCH {API}/meetings/{{meeting}}/topics/{{n}}": Right(
        TELLING, _json(version=0, outcome="已答复"), "path"
    ),
    f"POST {API}/meetings/{{meeting}}/topics/{{n}}/issue": Right(
        TELLING, _json(category="C0102"), "path"
    ),
    f"POST {API}/campaigns": Right(TELLING, _json(grid=STRANGE, **CAMPAIGN), "body"),
    f"PATCH {API}/campaigns/{{campaign}}": Right(TELLING, _json(version=0, state="open"), "path"),
    f"POST {API}/campaigns/{{campaign}}/lines": Right(
        TELLING, _json(list="problem", words="飞线", grid=STRANGE), "body"
    ),
    f"PATCH {API}/campaigns/{{campaign}}/lines/{{n}}": Right(
        TELLING | {Role.DEPARTMENT}, _json(version=0, state="done")
    ),
    f"POST {API}/campaigns/{{campaign}}/lists": Right(
        TELLING, {"files": {"file": ("a.csv", "清单,内容\n问题清单,飞线".encode())}}
    ),
    f"POST {API}/projects": Right(
        TELLING, _json(name="充电棚", words="东侧", lon=0, lat=0, budget="100")
    ),
    f"PATCH {API}/projects/{{project}}": Right(TELLING, _json(version=0, name="车棚"), "path"),
    f"POST {API}/projects/{{project}}/acts": Right(STAFF, _json(version=0, act="agree"), "path"),
    "POST /meetings": Right(TELLING, {"params": {"city": HOME}, "data": {"do": "nothing"}}),
    "POST /campaigns": Right(
        TELLING | {Role.DEPARTMENT}, {"params": {"city": HOME}, "data": {"do": "nothing"}}
    ),
    "POST /projects": Right(STAFF, {"params": {"city": HOME}, "data": {"do": "nothing"}}),
    "POST /issues/rules": Right(
        ADMINISTRATORS, {"params": {"city": HOME}, "data": {"do": "nothing"}}
    ),
    **{
        f"POST /{room}": Right(STAFF, {"params": {"city": HOME}, "data": {"do": "nothing"}})
        for room in ("firms", "shops", "inspections", "points")
    },
    "POST /firms/tried": Right(ADMINISTRATORS, {"params": {"city": HOME}, "data": {}}),
    "POST /staff": Right(POSTING, {"params": {"city": HOME}, "data": {"do": "nothing"}}),
    "POST /admin": Right(ADMINISTRATORS, {"params": {"city": HOME}, "data": {"do": "nothing"}}),
}
"""Each writing route of a city; what is sent changes as little as can be."""


@dataclass(frozen=True)
class Room:
    """The two cities with objects outside the community's area."""

    world: World
    gaps: Mapping[str, Any]

    def ask(self, entry: str, role: Role, city: str = HOME) -> httpx.Response:
        """Ask a route of the home city as an account of a role of a city."""
        stranger = role is Role.PUBLIC
        reader = self.world.client() if stranger else self.world.signed(login_of(role, city))
        method, _, path = entry.partition(" ")
        more = dict(RIGHTS[entry].sent)
        if "data" in more and not stranger:
            more["data"] = {**more["data"], "csrf_token": reader.headers["X-CSRF-Token"]}
        return reader.request(method, path.format(**self.gaps), **more)

    def rows(self) -> int:
        """Return how many rows the logs have of changes: each but signing in adds one."""
        changes = text("SELECT count(*) FROM audit WHERE action <> 'session.opened'")
        with owner_transaction(self.world.migrated.engine) as session:
            return int(session.scalar(changes) or 0)


@pytest.fixture(scope="module")
def room(cities_template: str, new_database: Callable[[str], MigratedDatabase]) -> Iterator[Room]:
    """The application, served, on cities of this module alone."""
    migrated = new_database(cities_template)
    database, settings = migrated.application(), Settings(project_dir="/nowhere")
    app = create_app(settings, database)
    with serving(app) as url:
        world = World(migrated, database, settings, app, url)
        yield Room(world, _strange(world))
        world.close()
    database.close()


def _strange(world: World) -> dict[str, Any]:
    """Make objects of another community; return them as gaps of addresses."""
    base = API.format(city=HOME)
    keeper = world.signed(login_of(Role.ADMINISTRATOR, HOME))
    account = {"login": "strange", "role": "worker", "password": PASSWORD, "grids": [STRANGE]}
    user = keeper.post(f"{base}/accounts", json=account).json()["user"]
    world.sign_in("strange")
    sessions = keeper.get(f"{base}/sessions", params={"user": user}).json()["items"]
    notice = keeper.post(f"{base}/notices", json={"grid": STRANGE, **NOTICE}).json()["notice"]
    post = keeper.post(f"{base}/posts", json={"grid": STRANGE, "role": "assistant"}).json()["post"]
    seen = keeper.get(f"{base}/issues", params={"grid": STRANGE, "limit": 1}).json()["items"]
    campaign = keeper.post(f"{base}/campaigns", json=CAMPAIGN).json()["campaign"]
    return {
        "issue": seen[0]["issue"], "photo": 999, "city": HOME, "user": user,
        "number": sessions[0]["session"], "notice": notice,
        "post": post, "worker": 1, "level": 1, "kind": "kx", "category": "A0101",
        "delivery": 999, "address": 999_999, "seq": 1, "step": "handle", "day": "2026-03-01",
        "n": 7, "text": 1, "name": "platform", "rule": 999, "rating": 999, "shop": 999,
        "inspection": 999, "point": 999, "month": "2026-05", "device": 999, "meeting": 999,
        "campaign": campaign, "project": 999,
    }  # fmt: skip


def test_every_writing_route_has_a_row() -> None:
    writing = {entry for entry, expected in TABLE.items() if expected == NO_TOKEN}
    assert set(RIGHTS) == {entry for entry in writing if f"{API}/plans" not in entry}


@pytest.mark.parametrize("entry", RIGHTS)
def test_who_has_no_right_changes_nothing(room: Room, entry: str) -> None:
    before = room.rows()
    answers = {role: room.ask(entry, role) for role in frozenset(Role) - RIGHTS[entry].roles}
    told = {role: answer.status_code for role, answer in answers.items()}
    assert told == {role: 401 if role is Role.PUBLIC else 403 for role in told}
    codes = {answer.json()["code"] for answer in answers.values()}
    assert codes <= {"forbidden", "not_signed_in"}
    assert room.rows() == before


@pytest.mark.parametrize("entry", RIGHTS)
def test_nobody_writes_in_another_city(room: Room, entry: str) -> None:
    before = room.rows()
    told = {room.ask(entry, role, AWAY).status_code for role in RIGHTS[entry].roles}
    assert told == {403}
    assert room.rows() == before


@pytest.mark.parametrize("entry", [entry for entry, right in RIGHTS.items() if right.area])
def test_a_community_writes_nothing_elsewhere(room: Room, entry: str) -> None:
    before = room.rows()
    answer = room.ask(entry, Role.COMMUNITY)
    assert answer.status_code == (404 if RIGHTS[entry].area == "path" else 422), answer.text
    assert room.rows() == before


@pytest.mark.parametrize("entry", list(reversed(RIGHTS)))
def test_who_has_the_right_is_let_in(room: Room, entry: str) -> None:
    for role in sorted(RIGHTS[entry].roles):
        answer = room.ask(entry, role)
        assert answer.status_code not in NEVER, answer.text
        assert answer.status_code < 500, answer.text
