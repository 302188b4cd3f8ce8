"""Pages: both languages, what they bring, where they lead, and names that stay text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import text

from api import rendering
from api.app import create_app
from api.routes import pages
from geo import service, signin
from geo.db import owner_transaction
from geo.settings import Settings
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, PASSWORD, World, login_of, serving
from tests.cities import HOSTILE, tiny_dataset
from tests.conftest import MigratedDatabase

PAGES = ("/net", "/net/table", "/maps/net", "/print/net?grid=111", "/signin")
PAGE = {"Accept": "text/html"}
OUTSIDE = re.compile(r"https?://|(?<![\w:])//[a-z]")


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the texts of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def get(client: httpx.Client, path: str, status: int = 200) -> httpx.Response:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == status, (path, answer.status_code, answer.text[:500])
    return answer


# ---- what they are -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("lang", "html"), [("zh", "zh-CN"), ("en", "en")])
def test_pages_speak_both_languages(world: World, path: str, lang: str, html: str) -> None:
    answer = get(world.client(**{"Accept-Language": lang}), path)
    assert f'<html lang="{html}">' in answer.text
    assert answer.headers["content-language"] == html
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_nothing_without_the_nonce(reader: httpx.Client, path: str) -> None:
    answer = get(reader, path)
    nonce = re.search(r"'nonce-([^']+)'", answer.headers["content-security-policy"])
    assert nonce is not None
    page = Elements(answer.text)
    for script in page.of("script"):
        assert script.get("nonce") == nonce[1] or script.get("type") == "application/json"
    assert page.of("style") == []
    for tag, attributes in page.found:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag


@pytest.mark.parametrize("path", PAGES)
def test_pages_ask_this_host_alone_and_what_they_ask_is_there(
    world: World, reader: httpx.Client, path: str
) -> None:
    page = Elements(get(reader, path).text)
    links = [one.get("href") for one in page.of("link")] + [
        one.get("src") for one in page.of("script")
    ]
    files = [link for link in links if link and not link.startswith("data:")]
    assert len(files) >= 2
    for link in files:
        answer = reader.get(link)
        assert answer.status_code == 200, link
        own = link.startswith(world.app.state.assets.base)
        assert own or "immutable" in answer.headers["cache-control"], f"{link} is not kept for ever"
    for _, attributes in page.found:
        for name in ("src", "href", "action"):
            assert not OUTSIDE.search(attributes.get(name) or "")


def test_the_first_page_leads_to_the_net(reader: httpx.Client) -> None:
    answer = reader.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/net")


# ---- which city, which date ----------------------------------------------------------------------


def shown_city(answer: httpx.Response) -> str:
    found = re.search(r"/api/v1/cities/(\w+)", answer.text)
    assert found is not None
    return found[1]


def test_the_city_is_the_one_asked_for_then_the_own_then_the_first(world: World) -> None:
    stranger, member = world.client(), world.signed(login_of(Role.LEADER, HOME))
    assert shown_city(get(stranger, "/net")) == AWAY, "the first by short name"
    assert shown_city(get(member, "/net")) == HOME
    assert shown_city(get(member, f"/net?city={AWAY}")) == AWAY
    with serving(create_app(Settings(default_city=HOME), world.database)) as url:
        assert shown_city(httpx.get(f"{url}/net")) == HOME
    with serving(create_app(Settings(default_city="nowhere"), world.database)) as url:
        assert shown_city(httpx.get(f"{url}/net")) == AWAY


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/net?city=nowhere", 404, "There is no such city"),
        ("/net?as_of=1999-12-31", 404, "There is no net on this date"),
        ("/net?as_of=0001-01-01", 422, "A value cannot be used"),
        ("/net?as_of=tomorrow", 422, "A value cannot be used"),
        ("/net?level=9", 422, "A value cannot be used"),
        ("/net/table?sort=password", 422, "A value cannot be used"),
        ("/net/table?after=AAAA", 422, "A value cannot be used"),
        ("/print/net", 422, "A value cannot be used"),
        ("/print/net?grid=999", 404, "The net of this date has no such grid"),
        ("/maps/net?only=everything", 422, "A value cannot be used"),
    ],
)
def test_wrong_questions_get_a_page_that_says_so(
    world: World, path: str, status: int, words: str
) -> None:
    answer = get(world.client(**{"Accept-Language": "en"}), path, status)
    assert words in answer.text and "<h1>" in answer.text


@pytest.mark.parametrize(
    ("path", "zh", "en"),
    [
        ("/net?as_of=2024-13-45", "日期：", "Date: write a day"),
        ("/net?as_of=0001-01-01", "日期：", "Date: write a day"),
        ("/net?level=99", "网格层级：", "Level of grids: choose one"),
        ("/net/table?sort=xx", "排序：", "Order: choose it by"),
        ("/net/table?after=AAAA", "列表页：", "Page of the list: begin"),
    ],
)
def test_a_wrong_question_is_told_which_value_and_what_to_do(
    world: World, path: str, zh: str, en: str
) -> None:
    for language, words in (("zh", zh), ("en", en)):
        answer = get(world.client(**{"Accept-Language": language}), path, 422)
        assert words in answer.text, answer.text[-600:]


def test_a_day_before_the_first_net_leads_to_that_net(world: World) -> None:
    path = f"/net?city={HOME}&as_of=1999-12-31"
    for language, words in (
        ("zh", "最早的自 2026-01-01 起"),
        ("en", "the first one is from 2026-01-01"),
    ):
        answer = get(world.client(**{"Accept-Language": language}), path, 404)
        assert words in answer.text and "1999-12-31" in answer.text
        links = [str(one.get("href")) for one in Elements(answer.text).of("a")]
        onward = f"/net?city={HOME}&as_of=2026-01-01"
        assert onward in links
        get(world.client(), onward)


def test_signing_in_leads_back_to_the_view(world: World) -> None:
    page = Elements(get(world.client(), f"/net?city={HOME}&level=2").text)
    links = [one["href"] for one in page.of("a") if one.get("id") == "sign-in"]
    assert links == [f"/signin?next=%2Fnet%3Fcity%3D{HOME}%26level%3D2"]


def test_the_field_for_a_date_holds_the_day_that_is_shown(world: World) -> None:
    for query, day in (("&as_of=2026-02-03", "2026-02-03"), ("", "")):
        page = Elements(get(world.client(), f"/net?city={HOME}{query}").text)
        (field,) = (one for one in page.of("input") if one.get("type") == "date")
        value = str(field["value"])
        assert value == day if day else re.fullmatch(r"20\d\d-\d\d-\d\d", value)


def test_people_of_an_area_see_it_outlined_and_first(world: World) -> None:
    def options(client: httpx.Client) -> str:
        return html.unescape(get(client, f"/net?city={HOME}").text)

    stranger = options(world.client())
    assert '"own":[]' in stranger
    for role, own in ((Role.WORKER, '{"id":111,"level":3}'), (Role.COMMUNITY, '{"id":11,')):
        seen = options(world.signed(login_of(role, HOME)))
        assert f'"own":[{own}' in seen
        bounds = re.compile(r'"bounds":(\[[^\]]+\])')
        assert bounds.findall(seen)[0] != bounds.findall(stranger)[0]


@pytest.fixture(scope="module")
def bare(template: str, new_database: Callable[[str], MigratedDatabase]) -> Iterator[str]:
    """The application on a city without buildings and figures, and a demo city after it."""
    migrated = new_database(template)
    city = tiny_dataset("bare")
    at_none = city.organisations["building_id"].isna()
    empty = replace(
        city,
        buildings=city.buildings.iloc[:0],
        addresses=city.addresses.iloc[:0],
        organisations=city.organisations[at_none].reset_index(drop=True),
        cell_values=city.cell_values.iloc[:0],
    )
    with owner_transaction(migrated.engine) as session:
        service.load_dataset(session, empty)
        service.load_dataset(session, tiny_dataset("shown"))
        session.execute(text("UPDATE city SET demo = slug = 'shown'"))
        session.execute(text("UPDATE vintage SET estimated = true"))
    database = migrated.application()
    with serving(create_app(Settings(), database)) as url:
        yield url
    database.close()


def test_the_unknown_is_no_zero(bare: str) -> None:
    base = f"{bare}/api/v1/cities/bare"
    for item in httpx.get(f"{base}/grids").json()["items"]:
        assert (item["households"], item["buildings"]) == (None, None)
    card = httpx.get(f"{base}/grids/1").json()
    assert (card["households"], card["buildings"]) == (None, None)
    assert card["children"]["items"][0]["households"] is None
    values = httpx.get(f"{base}/nets/1/levels/leaf/values").json()["values"]
    assert {tuple(row[:2]) for row in values.values()} == {(None, None)}
    assert "building" not in httpx.get(base).json()["layers"]
    for path in ("/print/net?grid=111&city=bare", "/net/table?city=bare"):
        answer = httpx.get(f"{bare}{path}", headers=PAGE)
        assert answer.status_code == 200 and ">–" in answer.text, path


def test_an_estimate_is_called_one(bare: str) -> None:
    assert httpx.get(f"{bare}/api/v1/cities/shown/grids").json()["as_of"]["estimated"] is True
    sheet = httpx.get(f"{bare}/print/net?grid=111&city=shown&lang=zh", headers=PAGE)
    assert "估算" in sheet.text


def test_strangers_see_the_demo_city_first(bare: str) -> None:
    assert shown_city(httpx.get(f"{bare}/net", headers=PAGE)) == "shown"


def test_fields_that_a_form_left_empty_say_nothing(reader: httpx.Client) -> None:
    get(reader, "/net?city=&as_of=&level=&grid=&lang=&table=")
    get(reader, "/net/table?city=&as_of=&level=&q=&sort=&after=&parent=")


def test_the_table_filters_sorts_and_pages(
    reader: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = get(reader, f"/net/table?city={HOME}").text
    assert whole.count('<th scope="row">') == 15
    assert get(reader, f"/net/table?city={HOME}&level=2").text.count('<th scope="row">') == 3
    assert get(reader, f"/net/table?city={HOME}&q=松岭").text.count('<th scope="row">') == 1
    assert "No grid" in get(reader, f"/net/table?city={HOME}&q=xyz&lang=en").text
    monkeypatch.setattr(pages, "ROWS", 10)
    first = get(reader, f"/net/table?city={HOME}&sort=-households").text
    assert first.count('<th scope="row">') == 10
    onward = [one for one in Elements(first).of("a") if one.get("rel") == "next"]
    assert len(onward) == 1 and onward[0]["href"] is not None
    rest = get(reader, f"/net/table{onward[0]['href']}").text
    assert rest.count('<th scope="row">') == 5
    grids = re.findall(r"grid=(\d+)", first + rest)
    assert len(set(grids)) == 15


def test_no_city_at_all_is_said(
    template: str, new_database: Callable[[str], MigratedDatabase]
) -> None:
    empty = new_database(template)
    database = empty.application()
    with serving(create_app(Settings(), database)) as url:
        answer = httpx.get(f"{url}/net?lang=en", headers=PAGE)
        assert answer.status_code == 404
        assert "There is no city yet" in answer.text and "wangge demo" in answer.text
    database.close()


# ---- signing in ----------------------------------------------------------------------------------


def test_signing_in_by_form_and_out_again(world: World) -> None:
    client = world.client(**{"Accept-Language": "en"})
    form = Elements(get(client, "/signin?next=/net/table%3Flevel%3D2").text)
    fields = {str(one["name"]): one.get("value") for one in form.of("input") if one.get("name")}
    assert fields["next"] == "/net/table?level=2"
    data = {**fields, "login": login_of(Role.PLANNER, HOME), "password": PASSWORD}
    answer = client.post("/signin", data={key: value or "" for key, value in data.items()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/net/table?level=2")
    page = get(client, "/net")
    assert "planner (home)" in page.text and "Planner" in page.text
    assert get(client, "/signin", 303).headers["location"] == "/", "the own first page"
    token = next(one for one in Elements(page.text).of("input") if one.get("name") == "csrf_token")
    answer = client.post("/signout", data={"csrf_token": token["value"] or ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/net")
    assert "planner (home)" not in get(client, "/net").text


def test_a_failed_sign_in_says_so_on_the_form(world: World) -> None:
    client = world.client(**{"Accept-Language": "en"})
    wrong = {"login": "<b>nobody</b>", "password": "wrong", "next": "/net"}
    answer = client.post("/signin", data=wrong)
    assert answer.status_code == 401
    assert "Account and password do not match" in answer.text
    assert "<b>nobody" not in answer.text and "wrong" not in answer.text
    with owner_transaction(world.migrated.engine) as session:
        session.execute(
            text("UPDATE sign_in_attempt SET failures = 12 WHERE key_hash = :key"),
            {"key": signin.account_key(wrong["login"])},
        )
    held = client.post("/signin", data=wrong)
    assert held.status_code == 429 and int(held.headers["retry-after"]) >= 1
    assert "Too many attempts" in held.text


@pytest.mark.parametrize(
    "wish",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/net\r\nSet-Cookie: x=y",
        "javascript:alert(1)",
        "net",
        "",
    ],
)
def test_signing_in_leads_nowhere_else(world: World, wish: str) -> None:
    assert rendering.own_path(wish) == "/"
    data = {"login": login_of(Role.PLANNER, HOME), "password": PASSWORD, "next": wish}
    assert world.client().post("/signin", data=data).headers["location"] == "/"


def test_the_strangers_first_page_leads_by_sign_in_to_the_own_one(reader: httpx.Client) -> None:
    for path, next_ in (
        ("/net", None),
        ("/net?grid=111", "/net?grid=111"),
        ("/net/table", "/net/table"),
    ):
        (link,) = [
            one for one in Elements(get(reader, path).text).of("a") if one.get("id") == "sign-in"
        ]
        asked = parse_qs(urlsplit(str(link["href"])).query).get("next", [None])
        assert asked == [next_]


def test_the_accounts_of_a_demo_are_offered_on_a_demo_alone(world: World) -> None:
    assert "wangge-demo" not in get(world.client(), "/signin").text
    account = {"login": "leader", "role": "leader", "password": "wangge-demo"}
    offered = [
        {**account, "city": "示范市", "city_en": "Demo City"},
        {**account, "login": "leader.two", "city": "小区", "city_en": "Demo Two"},
    ]
    app = create_app(Settings(), world.database, demo_accounts=offered)
    with serving(app) as url:
        page = httpx.get(f"{url}/signin?lang=en", headers=PAGE).text
    assert "wangge-demo" in page and "Leader" in page
    one, two = page.index("<caption>Demo City"), page.index("<caption>Demo Two")
    assert one < two < page.index("leader.two") or two < page.index("leader.two") < one


# ---- names that are markup elsewhere -------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(template: str, new_database: Callable[[str], MigratedDatabase]) -> Iterator[str]:
    """The application on a city whose every name is an injection."""
    migrated = new_database(template)
    with owner_transaction(migrated.engine) as session:
        service.load_dataset(session, tiny_dataset("hostile", hostile=True))
    database = migrated.application()
    with serving(create_app(Settings(), database)) as url:
        yield url
    database.close()


@pytest.mark.parametrize("path", ["/net", "/net/table", "/maps/net", "/print/net?grid=111"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_hostile_names_stay_text(hostile: str, path: str, lang: str) -> None:
    mark = "&" if "?" in path else "?"
    answer = httpx.get(f"{hostile}{path}{mark}lang={lang}", headers=PAGE)
    assert answer.status_code == 200
    assert "1337" not in answer.text, "nothing is worked out"
    page = Elements(answer.text)
    assert [one for one in page.of("img") if "onerror" in one] == []
    assert "alert(1)" not in "".join(re.findall(r"<script[^>]*>([^<]*)</script>", answer.text))
    assert "</script><script>" not in answer.text


def test_hostile_names_come_back_as_they_are(hostile: str) -> None:
    page = httpx.get(f"{hostile}/net/table", headers=PAGE).text
    whole = html.unescape(page)
    for name in HOSTILE:
        assert name in whole
