"""Pictures of the guides, taken from the demo city while it is served: `make pictures`.

Each picture is one page as somebody sees it, in Chinese and in English. What it shows is looked at
by whoever takes it, before it is kept.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Error, FilePayload, Page, sync_playwright

from geo.datums import shapes_from_wgs84
from geo.service import DEMO_PASSWORD

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP = {"width": 1280, "height": 720}
PHONE = {"width": 390, "height": 780}
PALETTES = (
    (256, Image.Quantize.MAXCOVERAGE),
    (96, Image.Quantize.MAXCOVERAGE),
    (48, Image.Quantize.FASTOCTREE),
)
"""Numbers of colours, and ways to choose them, that are tried until a picture is small enough.

Rare colours are kept, since the few pixels of a legend tell states apart.
"""
MOST_BYTES = 150_000
MARGIN = 24
READY = "body[data-ready=true]"
SETTLED_MS = 1_500
"""After a page is ready, its tiles and names are still being drawn."""

SIGN_OUT = """async () => {
    const session = await (await fetch("/api/v1/session")).json();
    if (session.signed_in) {
        const headers = { "X-CSRF-Token": session.csrf_token };
        await fetch("/api/v1/session", { method: "DELETE", headers });
    }
}"""
"""So that the lists of sign-ins do not grow from picture to picture."""

SOLVE = """async ([city, code, password]) => {
    const api = `/api/v1/cities/${city}`;
    const send = (path, token, body) => fetch(path, { method: "POST", body: JSON.stringify(body),
        headers: { "Content-Type": "application/json", "X-CSRF-Token": token || "" } });
    const session = await (await send("/api/v1/session", "", { login: "administrator", password }))
        .json();
    const { items } = await (await fetch(`${api}/desk?q=${code}`)).json();
    const done = await send(`${api}/issues/${items[0].issue}/acts`, session.csrf_token,
        { act: "solve_on_the_spot", reason: "已更换灯泡" });
    return done.ok ? "" : await done.text();
}"""
"""The desk solves on the spot what has this code."""

Step = Callable[[Page], None]


def first_view(page: Page) -> None:
    """Leave the page as it is found."""


@dataclass(frozen=True)
class Picture:
    """One picture: who looks at which page, on which screen, and what is done there first."""

    name: str
    who: str | None
    path: str
    phone: bool = False
    ready: bool = False
    step: Step = first_view


def own_grid(page: Page) -> dict[str, str]:
    """Return the first grid that the account acts in, as the map's answer tells it."""
    found: dict[str, str] = page.evaluate(
        "fetch('/api/v1/session').then(r => r.json())"
        ".then(s => fetch(`/api/v1/cities/${s.city}/grids/${s.areas[0]}`)).then(r => r.json())",
    )
    return found


def own_city(page: Page) -> str:
    """Return the short name of the city that the account belongs to."""
    found: str = page.evaluate("fetch('/api/v1/session').then(r => r.json()).then(s => s.city)")
    return found


def show_door(page: Page) -> None:
    """Go on to the card at the door of the own grid."""
    code = own_grid(page)["code"]
    page.goto(f"/door/{code}?city={own_city(page)}")


def show_card(page: Page) -> None:
    """Choose the grid in the middle of the map."""
    page.keyboard.press("3")
    page.wait_for_timeout(SETTLED_MS)
    box = page.locator("#net-map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.55)
    page.locator("#panel .card-code").wait_for()
    page.locator("#panel").get_by_role("button", name=re.compile("^(放大|Zoom to)$")).click()
    page.wait_for_timeout(SETTLED_MS)
    page.locator(".leaflet-control-zoom-out").click()
    page.mouse.move(0, 0)


def show_code(page: Page) -> None:
    """Let the office show the code by which a worker's phone signs in."""
    page.locator("form:has([value='phone.link']) button").first.click()
    page.locator("#phone-code svg").wait_for()


def open_link(page: Page) -> None:
    """Open what the code holds, as a phone does."""
    show_code(page)
    link = page.locator("#phone-code .code-line").text_content() or ""
    page.context.clear_cookies(name="wangge_session")
    page.goto(link)


def open_team(page: Page) -> None:
    """Open the first post of the list."""
    page.locator(".team .rows a.button").first.click()
    page.locator(".office-side form").first.wait_for()


def fill_notice(page: Page) -> None:
    """Write a notice for the own grid; it is not put up."""
    page.fill(".office-side [name=code]", own_grid(page)["code"])
    page.fill(".office-side [name=title]", "明天 8:00–12:00 停水")
    page.fill(".office-side [name=body]", "更换阀门。请提前储水。")


def drop_buildings(page: Page) -> None:
    """Drop buildings as a web map has them, and look at what would come of it."""
    found = page.evaluate(
        "(city) => fetch(`/api/v1/cities/${city}/buildings?f=geojson&limit=400`)"
        ".then(r => r.json())",
        own_city(page),
    )
    shapes = [shapely.geometry.shape(one["geometry"]) for one in found["features"]]
    moved = shapes_from_wgs84(np.array(shapes, dtype=object), "gcj02")
    rows = [
        {
            "type": "Feature",
            "properties": {"楼栋编码": f"A{number:04d}", "户主姓名": "张伟"},
            "geometry": shapely.geometry.mapping(shape),
        }
        for number, shape in enumerate(moved, 1)
    ]
    content = json.dumps({"type": "FeatureCollection", "features": rows}).encode()
    file = FilePayload(name="楼栋.geojson", mimeType="application/geo+json", buffer=content)
    page.set_input_files("#file", file)
    page.locator("#card .card-actions .is-main").click()
    page.locator("#card .pictures").wait_for()
    page.locator("#card .pictures").scroll_into_view_if_needed()


def write_report(page: Page) -> None:
    """Put the pin on a place and fill in a report; it is not sent."""
    for _ in range(3):
        page.locator(".leaflet-control-zoom-in").click()
        page.wait_for_timeout(SETTLED_MS)
    box = page.locator("#pin").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 16, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 35, steps=3)
    page.mouse.up()
    page.select_option("#category", "C0101")
    page.fill("#words", "路灯三天没亮了")
    page.locator("#words").blur()
    page.locator("#panel-body").evaluate("(panel) => panel.scrollTo(0, 0)")


def send_report(page: Page) -> None:
    """Send a report, let it be solved, and open what follows it."""
    write_report(page)
    page.click("#send")
    link = page.locator(".report-done a.is-main").get_attribute("href") or ""
    code = link.split("/report/")[1].split("?")[0].split("#")[0]
    city = json.loads(page.locator("body").get_attribute("data-page") or "{}")["city"]
    refused = page.evaluate(SOLVE, [city, code, DEMO_PASSWORD])
    if refused:
        raise SystemExit(refused)
    page.evaluate(SIGN_OUT)
    page.locator(".report-done a.is-main").click()
    page.wait_for_selector(READY)


def open_issue(page: Page) -> None:
    """Open the first issue of the desk."""
    page.locator(".issue-row").first.click()
    page.locator("#panel-body h2").wait_for()


def opens(link: str, shown: str) -> Step:
    """Return the step that follows the first link of a list and waits for what it shows."""

    def step(page: Page) -> None:
        page.locator(link).first.click()
        page.locator(shown).first.wait_for()

    return step


def open_bulletin(page: Page) -> None:
    """Open the bulletin of the month of the first campaign."""
    open_campaign(page)
    page.locator("a[href*='period=month']").first.click()
    page.locator(".bulletin-figures").first.wait_for()


open_meeting = opens("a.team.is-link", ".office-side .topic")
open_campaign = opens("a.team.is-link", ".campaign-head")
open_project = opens("table.works tbody a", ".project-steps")
open_place = opens(".places li:has(.place-state .chip) a", ".office-side h2")


PICTURES = (
    Picture("net", None, "/net", ready=True, step=show_card),
    Picture("net-phone", None, "/net", phone=True, ready=True),
    Picture("door", "worker", "/patrol", phone=True, ready=True, step=show_door),
    Picture("worker-link", "community", "/staff?tab=phones", phone=True, step=open_link),
    Picture("worker-zone", "worker", "/patrol", phone=True, ready=True),
    Picture("report-phone", None, "/report", phone=True, ready=True, step=write_report),
    Picture("report-follow", None, "/report", phone=True, ready=True, step=send_report),
    Picture("office-issues", "community", "/issues?box=new", ready=True, step=open_issue),
    Picture("department-issues", "department", "/issues", ready=True, step=open_issue),
    Picture("shop-phone", None, "/shops", phone=True, step=open_place),
    Picture("office-meeting", "community", "/meetings", step=open_meeting),
    Picture("office-campaign", "community", "/campaigns", step=open_campaign),
    Picture("office-bulletin", "community", "/campaigns", step=open_bulletin),
    Picture("office-project", "community", "/projects", step=open_project),
    Picture("office-firm", "community", "/firms", step=open_place),
    Picture("office-shop", "community", "/shops", step=open_place),
    Picture("department-campaign", "department", "/campaigns", step=open_campaign),
    Picture("office-home", "community", "/"),
    Picture("office-posts", "community", "/staff?tab=posts", step=open_team),
    Picture("office-code", "community", "/staff?tab=phones", step=show_code),
    Picture("office-notices", "community", "/staff?tab=notices", step=fill_notice),
    Picture("department-home", "department", "/"),
    Picture("planner-home", "planner", "/"),
    Picture("planner-roster", "planner", "/staff?tab=roster"),
    Picture("planner-import", "planner", "/import", ready=True, step=drop_buildings),
    Picture("leader-home", "leader", "/"),
    Picture("leader-requests", "leader", "/heat", ready=True),
    Picture("leader-coverage", "leader", "/stations", ready=True),
    Picture("leader-density", "leader", "/stations/density", ready=True),
    Picture("leader-posts", "leader", "/staff/map", ready=True),
    Picture("leader-table", "leader", "/stations?table=1", ready=True),
    Picture("guide", "administrator", "/start"),
    Picture("admin-accounts", "administrator", "/admin?tab=accounts"),
    Picture("admin-log", "administrator", "/admin?tab=log"),
)


@contextmanager
def opened(browser: Browser, address: str, picture: Picture, lang: str) -> Iterator[Page]:
    """Yield a page of the picture's screen, signed in as the one who looks."""
    context = browser.new_context(
        base_url=address,
        viewport=PHONE if picture.phone else DESKTOP,
        has_touch=picture.phone,
        is_mobile=picture.phone,
        locale="en" if lang == "en" else "zh-CN",
        reduced_motion="reduce",
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    if picture.who:
        page.goto("/signin")
        page.fill("[name=login]", picture.who)
        page.fill("[name=password]", DEMO_PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_url(lambda url: "/signin" not in url)
    yield page
    page.evaluate(SIGN_OUT)
    context.close()


def take(page: Page, picture: Picture) -> bytes:
    """Return the picture as PNG, with few colours."""
    page.goto(picture.path)
    if picture.ready:
        page.wait_for_selector(READY)
    picture.step(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(SETTLED_MS)
    shot = trimmed(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    made = as_png(shot)
    for number, way in PALETTES:
        if len(made) > MOST_BYTES:
            made = as_png(shot.quantize(number, method=way, kmeans=2))  # means keep tints true
    return made


def trimmed(shot: Image.Image) -> Image.Image:
    """Return a picture without the empty ground at its lower end."""
    ground = Image.new("RGB", shot.size, shot.getpixel((shot.width // 2, shot.height - 1)))
    box = ImageChops.difference(shot, ground).getbbox()
    lower = shot.height if box is None else min(shot.height, box[3] + MARGIN)
    return shot.crop((0, 0, shot.width, lower))


def as_png(shot: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    made = io.BytesIO()
    shot.save(made, "PNG", optimize=True)
    return made.getvalue()


def main() -> int:
    """Take the pictures; return 1 when one is too large."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--address", default="http://127.0.0.1:8000", help="where it is served")
    asked.add_argument("--into", type=Path, default=FOLDER)
    asked.add_argument("--lang", choices=("zh", "en"), action="append")
    asked.add_argument("names", nargs="*", help="pictures; default: all")
    given = asked.parse_args()
    given.into.mkdir(exist_ok=True)
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    too_large = 0
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--hide-scrollbars"]
        )
        for picture in PICTURES:
            if given.names and picture.name not in given.names:
                continue
            for lang in given.lang or ("zh", "en"):
                with opened(browser, given.address, picture, lang) as page:
                    made = take(page, picture)
                (given.into / f"{picture.name}.{lang}.png").write_bytes(made)
                sys.stdout.write(f"{picture.name}.{lang}.png  {len(made) / 1000:,.0f} kB\n")
                too_large += len(made) > MOST_BYTES
        browser.close()
    return 1 if too_large else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Error as error:
        sys.exit(f"{error.message}\nIs `make run` serving the demo city at --address?")
