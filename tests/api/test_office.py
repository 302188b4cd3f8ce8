"""The office: who may change what, phones by a code, dated posts, the roster as a workbook."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text, true
from sqlalchemy.exc import DBAPIError

from api.app import create_app
from geo import service, sheets
from geo.db import Viewer, owner_transaction
from geo.settings import Settings
from geo.store import rights
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, World, login_of, serving
from tests.cities import HOSTILE, tiny_dataset
from tests.conftest import MigratedDatabase

BASE = f"/api/v1/cities/{HOME}"
CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
BEGIN = "2026-06-01T08:00:00+08:00"


@pytest.fixture(scope="module")
def office(
    cities_template: str, new_database: Callable[[str], MigratedDatabase]
) -> Iterator[World]:
    """The two cities, for the changes of this module alone."""
    migrated = new_database(cities_template)
    database, settings = migrated.application(), Settings(project_dir="/nowhere")
    app = create_app(settings, database)
    with serving(app) as url:
        world = World(migrated, database, settings, app, url)
        yield world
        world.close()
    database.close()


def of(office: World, role: Role, city: str = HOME) -> httpx.Client:
    return office.signed(login_of(role, city))


def owner(office: World, question: str, **values: Any) -> list[Any]:
    with owner_transaction(office.migrated.engine) as session:
        return list(session.execute(text(question), values).all())


def logged(office: World, action: str) -> int:
    return int(owner(office, "SELECT count(*) FROM audit WHERE action = :a", a=action)[0][0])


# ---- who may change what -------------------------------------------------------------------------

ORDERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "account": ("POST", "/accounts", {"login": "x.{n}", "role": "leader"}),
    "worker": ("POST", "/workers", {"name": "新来"}),
    "own post": ("POST", "/posts", {"grid": 111, "role": "assistant"}),
    "sibling post": ("POST", "/posts", {"grid": 121, "role": "assistant"}),
    "own notice": (
        "POST", "/notices", {"grid": 111, "kind": "water", "title": "停水", "begins_at": BEGIN},
    ),
    "sibling notice": (
        "POST", "/notices", {"grid": 121, "kind": "water", "title": "停水", "begins_at": BEGIN},
    ),
    "level": (
        "PATCH", "/levels/1", {"name": "街道", "name_en": "Street", "zoom_min": 0, "zoom_max": 9},
    ),
    "station kind": (
        "PATCH", "/station-kinds/k{n}",
        {"name": "站", "name_en": "Post", "serves": "grid", "new": True},
    ),
}  # fmt: skip
ALLOWED = {
    Role.ADMINISTRATOR: set(ORDERS),
    Role.PLANNER: {"worker", "own post", "sibling post"},
    Role.COMMUNITY: {"own post", "own notice"},
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("role", list(Role))
def test_who_may_change_what(office: World, role: Role, order: str) -> None:
    method, path, body = ORDERS[order]
    number = f"{role}{len(order)}".replace("_", "")
    sent = {
        key: value.format(n=number) if isinstance(value, str) else value
        for key, value in body.items()
    }
    client = office.client() if role is Role.PUBLIC else of(office, role)
    answer = client.request(method, BASE + path.format(n=number), json=sent)
    if order in ALLOWED.get(role, ()):
        assert answer.is_success, answer.text
    elif role is Role.COMMUNITY and order.startswith("sibling"):
        assert answer.status_code == 422 and answer.json()["reason"] == "no_grid"
    else:
        assert answer.status_code == (401 if role is Role.PUBLIC else 403)


@pytest.mark.parametrize("order", ORDERS)
def test_nobody_changes_another_city(office: World, order: str) -> None:
    method, path, body = ORDERS[order]
    client = of(office, Role.ADMINISTRATOR, AWAY)
    assert client.request(method, BASE + path.format(n=1), json=body).status_code == 403


def test_the_database_refuses_what_the_service_would_let_pass(
    office: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "in_reach", lambda table, viewer: true())
    community = of(office, Role.COMMUNITY)
    count = "SELECT count(*) FROM post WHERE city_id = 1 AND grid_id = 121"
    before = owner(office, count)[0][0]
    answer = community.post(f"{BASE}/posts", json={"grid": 121, "role": "assistant"})
    assert answer.status_code == 500
    post = owner(office, "SELECT min(post_id) FROM post WHERE city_id = 1 AND grid_id = 121")[0][0]
    answer = community.patch(f"{BASE}/posts/{post}", json={"part_time": True})
    assert answer.status_code == 404
    assert owner(office, count)[0][0] == before


# ---- accounts ------------------------------------------------------------------------------------


def test_an_account_is_made_reset_and_shut(office: World) -> None:
    admin = of(office, Role.ADMINISTRATOR)
    made = admin.post(f"{BASE}/accounts", json={"login": "New.One", "role": "leader"}).json()
    assert made["login"] == "new.one" and len(made["password"]) == 19
    member = office.sign_in("new.one", made["password"])
    assert (
        admin.post(f"{BASE}/accounts", json={"login": "new.one", "role": "leader"}).status_code
        == 409
    )
    taken = {"login": login_of(Role.LEADER, AWAY), "role": "leader"}
    assert admin.post(f"{BASE}/accounts", json=taken).status_code == 409
    path = f"{BASE}/accounts/{made['user']}"
    fresh = admin.patch(path, json={"reset_password": True}).json()["password"]
    assert member.get("/api/v1/session").json()["signed_in"] is False
    member = office.sign_in("new.one", fresh)
    assert admin.patch(path, json={"disabled": True}).is_success
    assert member.get("/api/v1/session").json()["signed_in"] is False
    own = next(
        one for one in admin.get(f"{BASE}/accounts").json()["items"]
        if one["login"] == login_of(Role.ADMINISTRATOR, HOME)
    )  # fmt: skip
    assert admin.patch(f"{BASE}/accounts/{own['user']}", json={"disabled": True}).status_code == 409
    assert logged(office, "accounts.read") > 0 and logged(office, "account.disabled") == 1


def test_the_areas_of_an_account_are_changed_and_count_at_once(office: World) -> None:
    admin = of(office, Role.ADMINISTRATOR)
    wish = {"login": "moved.one", "role": "community", "grids": [111]}
    made = admin.post(f"{BASE}/accounts", json=wish).json()
    member = office.sign_in("moved.one", made["password"])
    path = f"{BASE}/accounts/{made['user']}"
    posted = {"grid": 121, "role": "assistant"}
    assert member.post(f"{BASE}/posts", json=posted).json()["reason"] == "no_grid"
    assert admin.patch(path, json={"grids": [121]}).is_success
    assert member.get("/api/v1/session").json()["areas"] == [121]
    assert member.post(f"{BASE}/posts", json=posted).is_success
    lost = {"grid": 111, "role": "assistant"}
    assert member.post(f"{BASE}/posts", json=lost).json()["reason"] == "no_grid"
    said = owner(office, "SELECT payload FROM audit WHERE action = 'account.areas_changed'")
    assert [row[0] for row in said] == [{"grids": [121], "before": [111]}]


def test_areas_are_changed_within_reach_alone(office: World) -> None:
    admin = of(office, Role.ADMINISTRATOR)
    listed = {one["login"]: one for one in admin.get(f"{BASE}/accounts").json()["items"]}
    community = listed[login_of(Role.COMMUNITY, HOME)]
    leader = listed[login_of(Role.LEADER, HOME)]
    path = f"{BASE}/accounts/{community['user']}"
    assert community["area_codes"]
    assert admin.patch(path, json={"grids": []}).status_code == 422
    assert admin.patch(path, json={"grids": [10**12]}).status_code == 422
    answer = admin.patch(f"{BASE}/accounts/{leader['user']}", json={"grids": [111]})
    assert (answer.status_code, answer.json()["reason"]) == (409, "no_areas")
    for role in (Role.PLANNER, Role.COMMUNITY, Role.LEADER):
        answer = of(office, role).patch(path, json={"grids": [121]})
        assert answer.status_code == 403, role
    away = of(office, Role.ADMINISTRATOR, AWAY)
    assert away.patch(path, json={"grids": [121]}).status_code == 403
    again = {one["login"]: one for one in admin.get(f"{BASE}/accounts").json()["items"]}
    assert again[community["login"]]["areas"] == community["areas"]


def test_the_log_is_told_in_words(office: World) -> None:
    admin = of(office, Role.ADMINISTRATOR)
    assert admin.get(f"{BASE}/accounts").is_success
    chinese = admin.get("/admin?tab=log&lang=zh").text
    assert "查看账号" in chinese and ">accounts.read<" not in chinese
    english = admin.get("/admin?tab=log&lang=en").text
    assert ">Accounts read<" in english and ">Signed in<" in english


def test_the_application_cannot_read_a_password(office: World) -> None:
    viewer = Viewer(Role.ADMINISTRATOR, 1, 1)
    with pytest.raises(DBAPIError), office.database.transaction(viewer) as session:
        session.execute(text("SELECT password_hash FROM user_account"))


# ---- phones --------------------------------------------------------------------------------------


def phone_account(office: World, login: str) -> int:
    """Return an account of a worker who holds a post in grid 111."""
    admin = of(office, Role.ADMINISTRATOR)
    worker = admin.post(f"{BASE}/workers", json={"name": f"手机 {login}"}).json()["worker"]
    post = {"grid": 111, "role": "worker", "worker": worker, "valid_from": "2026-01-01"}
    assert admin.post(f"{BASE}/posts", json=post).status_code == 201
    sent = {"login": login, "role": "worker", "worker": worker}
    return int(admin.post(f"{BASE}/accounts", json=sent).json()["user"])


def test_a_phone_signs_in_once_and_is_remembered_until_it_is_ended(office: World) -> None:
    user = phone_account(office, "phone.one")
    secretary = of(office, Role.COMMUNITY)
    link = secretary.post(f"{BASE}/accounts/{user}/phone-link").json()
    path = link["url"].removeprefix(office.url)
    preview = office.client()
    for _ in range(3):
        assert preview.get(path).status_code == 200
    phone = office.client(**{"User-Agent": "Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile"})
    taken = phone.post(path)
    assert taken.status_code == 303 and "Max-Age=7776000" in taken.headers["set-cookie"]
    who = phone.get("/api/v1/session").json()
    assert (who["login"], who["areas"]) == ("phone.one", [111])
    assert office.client().post(path).status_code == 410
    assert office.client().get(path).status_code == 410
    found = secretary.get(f"{BASE}/sessions", params={"user": user}).json()["items"]
    assert [(one["remembered"], one["device"]) for one in found] == [(True, "Android Chrome")]
    assert secretary.delete(f"{BASE}/sessions/{found[0]['session']}").status_code == 204
    assert phone.get("/api/v1/session").json()["signed_in"] is False
    assert logged(office, "phone_link.created") > 0 and logged(office, "session.revoked") > 0


def test_the_areas_of_a_phone_follow_the_posts(office: World) -> None:
    user = phone_account(office, "phone.two")
    admin = of(office, Role.ADMINISTRATOR)
    path = admin.post(f"{BASE}/accounts/{user}/phone-link").json()["url"]
    phone = office.client()
    assert phone.post(path.removeprefix(office.url)).status_code == 303
    worker = owner(office, "SELECT worker_id FROM user_account WHERE user_id = :u", u=user)[0][0]
    post = owner(office, "SELECT post_id FROM post WHERE worker_id = :w", w=worker)[0][0]
    ended = admin.patch(f"{BASE}/posts/{post}", json={"last_day": "2026-01-31"})
    assert ended.is_success, ended.text
    assert phone.get("/api/v1/session").json()["areas"] == []
    assert owner(office, "SELECT areas FROM worker WHERE city_id = 1 AND worker_id = :w", w=worker)
    refused = of(office, Role.COMMUNITY).post(f"{BASE}/accounts/{user}/phone-link")
    assert refused.status_code == 404


def test_an_old_link_and_one_of_a_shut_account_are_over(office: World) -> None:
    user = phone_account(office, "phone.three")
    admin = of(office, Role.ADMINISTRATOR)
    make = f"{BASE}/accounts/{user}/phone-link"
    old, shut = (admin.post(make).json()["url"].removeprefix(office.url) for _ in range(2))
    owner(
        office,
        "UPDATE sign_in_link SET expires_at = now() - interval '1 s' WHERE token_hash ="
        " sha256(convert_to(:t, 'UTF8')) RETURNING 1",
        t=old.rpartition("/")[2],
    )
    assert office.client().post(old).status_code == 410
    admin.patch(f"{BASE}/accounts/{user}", json={"disabled": True})
    assert office.client().post(shut).status_code == 410
    leader = owner(office, "SELECT user_id FROM user_account WHERE login = 'leader.home'")[0][0]
    assert admin.post(f"{BASE}/accounts/{leader}/phone-link").status_code == 409


# ---- posts ---------------------------------------------------------------------------------------


def test_a_post_is_given_on_and_nothing_is_deleted(office: World) -> None:
    planner = of(office, Role.PLANNER)
    first, second = (
        planner.post(f"{BASE}/workers", json={"name": f"轮换 {n}"}).json()["worker"] for n in (1, 2)
    )
    new = {"grid": 212, "role": "head", "worker": first, "valid_from": "2026-02-01"}
    post = planner.post(f"{BASE}/posts", json=new).json()["post"]
    assert planner.post(f"{BASE}/posts", json=new).status_code == 409
    given = planner.patch(
        f"{BASE}/posts/{post}", json={"worker": second, "since": "2026-03-01"}
    ).json()["post"]
    rows = owner(
        office,
        "SELECT post_id, worker_id, valid_from::text, valid_to::text FROM post"
        " WHERE city_id = 1 AND post_id = ANY (:ids) ORDER BY post_id",
        ids=[post, given],
    )
    assert [tuple(row) for row in rows] == [
        (post, first, "2026-02-01", "2026-03-01"),
        (given, second, "2026-03-01", None),
    ]
    stand_in = {
        "grid": 212, "role": "head", "worker": first, "stand_in_for": given,
        "valid_from": "2026-04-01", "last_day": "2026-04-10",
    }  # fmt: skip
    answer = planner.post(f"{BASE}/posts", json=stand_in)
    assert answer.status_code == 201, answer.text
    early = planner.patch(f"{BASE}/posts/{given}", json={"last_day": "2026-01-01"})
    assert early.status_code == 422 and early.json()["reason"] == "dates"
    areas = owner(
        office, "SELECT areas FROM worker WHERE city_id = 1 AND worker_id = :w", w=second
    )[0][0]
    assert set(areas) == {2, 21, 212}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"grid": 9999, "role": "worker"}, "no_grid"),
        ({"grid": 111, "role": "king"}, "no_role"),
        ({"grid": 111, "role": "worker", "worker": 987_654}, "no_worker"),
        ({"grid": 111, "role": "worker", "valid_from": "1700-01-01"}, "no_date"),
        (
            {"grid": 111, "role": "worker", "valid_from": "2026-05-02", "last_day": "2026-05-01"},
            "dates",
        ),
    ],
)
def test_wrong_posts_are_refused(office: World, body: dict[str, Any], reason: str) -> None:
    answer = of(office, Role.PLANNER).post(f"{BASE}/posts", json=body)
    assert answer.status_code == 422 and answer.json()["reason"] == reason


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/accounts", {"login": "f.1", "role": "worker"}, "grids"),
        ("POST", "/accounts", {"login": "f.2", "role": "worker", "grids": [9999]}, "grids"),
        ("POST", "/accounts", {"login": "f.3", "role": "department"}, "organisation"),
        (
            "POST", "/accounts", {"login": "f.4", "role": "department", "organisation": 9999},
            "organisation",
        ),
        (
            "POST", "/posts",
            {"grid": 111, "role": "head", "valid_from": "2026-05-02", "last_day": "2026-05-01"},
            "last_day",
        ),
        ("POST", "/posts", {"grid": 111, "role": "head", "last_day": "3500-01-01"}, "last_day"),
        ("PATCH", "/posts/1", {"last_day": "0001-01-01"}, "last_day"),
    ],
)  # fmt: skip
def test_an_error_names_the_field_as_it_was_sent(
    office: World, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    answer = of(office, Role.ADMINISTRATOR).request(method, BASE + path, json=body)
    assert answer.status_code == 422 and answer.json()["field"] == field


# ---- the roster ----------------------------------------------------------------------------------


def send(client: httpx.Client, content: bytes, *, write: bool) -> httpx.Response:
    return client.post(
        f"{BASE}/posts/import", params={"write": write}, files={"file": ("r.xlsx", content)}
    )


def code_of(office: World, grid: int) -> str:
    found = owner(office, "SELECT code FROM net_grid WHERE city_id = 1 AND grid_id = :g", g=grid)
    return str(found[0][0])


def test_the_roster_goes_out_and_in_unchanged(office: World) -> None:
    planner = of(office, Role.PLANNER)
    out = planner.get(f"{BASE}/posts.xlsx")
    assert out.headers["content-type"] == sheets.MEDIA_TYPE
    report = send(planner, out.content, write=True).json()
    assert report["rejected"] == [] and report["taken"] is True
    assert report["unchanged"] == report["rows"] > 5
    mine = sheets.read(of(office, Role.COMMUNITY).get(f"{BASE}/posts.xlsx").content)
    assert 1 < len(mine) < report["rows"] + 1


def test_a_roster_with_one_wrong_row_changes_nothing(office: World) -> None:
    planner = of(office, Role.PLANNER)
    header = ["网格编码", "岗位", "姓名", "起", "身份证号"]
    good, far = code_of(office, 211), code_of(office, 213)
    rows: list[list[Any]] = [
        [good, "网格员", "表格甲", "2026-07-01", "x"],
        [far, "网格助理员", None, None, None],
        ["12", "网格员", "表格乙", "七月", None],
        [good, "国王", None, None, None],
    ]
    content = sheets.write([sheets.Sheet("名册", header, rows)])
    before = owner(office, "SELECT count(*) FROM post")[0][0]
    report = send(planner, content, write=True).json()
    assert [(one["row"], one["column"], one["reason"]) for one in report["rejected"]] == [
        (4, "grid", "no_grid"),
        (5, "role", "no_role"),
    ]
    assert report["taken"] is False and report["left_out"] == ["身份证号"]
    assert owner(office, "SELECT count(*) FROM post")[0][0] == before
    assert not owner(office, "SELECT 1 FROM worker WHERE name = '表格甲'")
    content = sheets.write([sheets.Sheet("名册", header, rows[:2])])
    looked = send(planner, content, write=False).json()
    assert (looked["opened"], looked["new_workers"], looked["taken"]) == (2, 1, False)
    assert send(planner, content, write=True).json()["taken"] is True
    assert owner(office, "SELECT count(*) FROM post")[0][0] == before + 2
    assert logged(office, "posts.imported") >= 1


def test_a_community_brings_no_foreign_rows_in(office: World) -> None:
    rows: list[list[Any]] = [
        [code_of(office, 121), "网格员", None],
        [code_of(office, 111), "网格员", "没有此人"],
    ]
    content = sheets.write([sheets.Sheet("名册", ["网格编码", "岗位", "姓名"], rows)])
    report = send(of(office, Role.COMMUNITY), content, write=True).json()
    assert [one["reason"] for one in report["rejected"]] == ["no_grid", "no_worker"]


def test_hostile_texts_go_out_as_texts(office: World) -> None:
    planner = of(office, Role.PLANNER)
    for name in HOSTILE:
        worker = planner.post(f"{BASE}/workers", json={"name": name}).json()["worker"]
        body = {"grid": 213, "role": "assistant", "worker": worker, "duty_number": name[:40]}
        assert planner.post(f"{BASE}/posts", json=body).status_code == 201
    content = planner.get(f"{BASE}/posts.xlsx").content
    page = zipfile.ZipFile(io.BytesIO(content)).read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in page and 't="str"' not in page
    names = {row[5] for row in sheets.read(content)}
    assert set(HOSTILE) <= names
    shown = planner.get(
        "/staff", params={"q": "专属", "city": HOME}, headers={"Accept": "text/html"}
    )
    assert "<script>alert" not in shown.text and "<img src=x" not in shown.text


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 40_000_000)
    return out.getvalue()


def entities() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "xl/workbook.xml", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
        )
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a workbook", "no_workbook"),
        (b"PK\x03\x04", "no_workbook"),
        (bomb(), "too_large"),
        (entities(), "no_workbook"),
        (sheets.write([sheets.Sheet("x", ["a"], [["b"]])]), "missing_columns"),
    ],
)
def test_files_that_are_no_roster_are_refused(office: World, content: bytes, reason: str) -> None:
    answer = send(of(office, Role.PLANNER), content, write=True)
    assert answer.status_code == 422 and answer.json()["reason"] == reason


# ---- pages ---------------------------------------------------------------------------------------


def test_a_wrong_form_is_told_in_place_and_a_right_one_goes_on(office: World) -> None:
    community = of(office, Role.COMMUNITY)
    page = community.get("/staff", headers={"Accept": "text/html"}).text
    form = {"csrf_token": CSRF.findall(page)[0], "do": "post.create", "role": "worker"}
    wrong = community.post(
        "/staff", data={**form, "code": "nowhere"}, headers={"Accept": "text/html"}
    )
    assert wrong.status_code == 422
    assert "本辖区目前没有网格“nowhere”" in wrong.text and 'value="nowhere"' in wrong.text
    right = community.post("/staff", data={**form, "code": code_of(office, 112)})
    assert right.status_code == 303 and right.headers["location"].startswith("/staff?")
    without = community.post("/staff", data={"do": "post.create"}, headers={"X-CSRF-Token": "x"})
    assert without.status_code == 403


def test_names_that_are_listed_are_noted(office: World) -> None:
    before = logged(office, "workers.read")
    of(office, Role.COMMUNITY).get(f"{BASE}/workers")
    of(office, Role.COMMUNITY).get("/staff?tab=workers")
    of(office, Role.COMMUNITY).get("/staff/workers", params={"worker": "手"})
    assert logged(office, "workers.read") == before + 3


# ---- the guide -----------------------------------------------------------------------------------

CITY = {
    "do": "found", "name": "新城", "slug": "xincheng", "county_code": "370681", "profile": "cn",
    "lon": "120.5", "lat": "37.6", "login": "first", "password": "eine neue Losung 9",
}  # fmt: skip


def test_a_city_begins_with_the_code_of_the_terminal_alone(own_world: World) -> None:
    world = own_world
    with owner_transaction(world.migrated.engine) as session:
        assert service.founding.setup_code(session) is None
        session.execute(text("UPDATE user_account SET demo = true"))
        code = service.founding.setup_code(session)
    assert code is not None
    stranger = world.client(Accept="text/html")
    for guess in ("", "AAAA-AAAA-AAAA"):
        refused = stranger.post("/start", data={**CITY, "code": guess})
        assert refused.status_code == 403 and "安装代码不符" in refused.text
    proposed = stranger.post("/start", data={**CITY, "do": "propose"})
    assert "EPSG:4549" in proposed.text
    wrong = stranger.post("/start", data={**CITY, "code": code, "slug": "Ä"})
    assert wrong.status_code == 422 and "简称由" in wrong.text
    begun = stranger.post("/start", data={**CITY, "code": code.lower().replace("-", " ")})
    assert begun.status_code == 303, begun.text
    assert "wangge import city xincheng.toml" in stranger.get("/start?city=xincheng").text
    assert stranger.get("/api/v1/session").json()["role"] == "administrator"
    for path in ("/staff", "/admin", "/api/v1/cities", "/api/v1/cities/xincheng"):
        assert stranger.get(path).status_code == 200
    assert "本市还没有网格" in stranger.get("/net?city=xincheng").text
    again = world.client().post("/start", data={**CITY, "slug": "zwei", "code": code})
    assert again.status_code == 403


def test_an_own_administrator_begins_another_city_and_a_demo_one_does_not(own_world: World) -> None:
    page = {"Accept": "text/html"}
    admin = own_world.sign_in(login_of(Role.ADMINISTRATOR, HOME))
    assert admin.post("/start", data=CITY, headers=page).status_code == 303
    with owner_transaction(own_world.migrated.engine) as session:
        session.execute(text("UPDATE user_account SET demo = true"))
    assert admin.post("/start", data={**CITY, "slug": "b"}, headers=page).status_code == 403


def test_a_begun_city_is_filled_by_its_first_file_and_keeps_its_accounts(own_world: World) -> None:
    admin = own_world.sign_in(login_of(Role.ADMINISTRATOR, HOME))
    admin.post("/start", data=CITY)
    with owner_transaction(own_world.migrated.engine) as session:
        assert service.import_city(session, tiny_dataset("xincheng"), digest="a")
        assert service.check_city(session, "xincheng")["ok"]
    first = own_world.sign_in("first", CITY["password"])
    assert first.get("/api/v1/cities/xincheng/accounts").json()["items"][0]["login"] == "first"


def test_only_a_demo_city_is_dropped_here(own_world: World) -> None:
    admin = own_world.sign_in(login_of(Role.ADMINISTRATOR, HOME))
    page = admin.get("/admin?tab=cities", headers={"Accept": "text/html"}).text
    form = {"csrf_token": CSRF.findall(page)[0], "do": "demo.drop", "slug": AWAY}
    assert admin.post("/admin?tab=cities", data=form).status_code == 422
    with owner_transaction(own_world.migrated.engine) as session:
        session.execute(text("UPDATE city SET demo = true WHERE slug = 'away'"))
    assert admin.post("/admin?tab=cities", data=form).status_code == 303
    assert [one["slug"] for one in admin.get("/api/v1/cities").json()["items"]] == [HOME]
    left = owner(own_world, "SELECT count(*) FROM audit WHERE city_id = 2")
    assert left[0][0] > 0
