"""The leader's map of requests beside folium's HeatMapWithTime of the same requests, cold."""

from __future__ import annotations

import ast
import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import folium
from folium.plugins import HeatMapWithTime
from playwright.sync_api import Browser, BrowserContext
from sqlalchemy import Engine, text

from benchmarks import browser, cities, stands
from benchmarks.harness import CPU, Case, DisagreementError, Measure, Outcome
from geo import service
from geo.db import owner_transaction
from geo.demo import generate
from geo.errors import ConflictError
from geo.terms import Role

LOGIN = "benchmark.leader"
PASSWORD = "a long word for benchmarks"
BYTES_GOAL = 10.0
RENDERED_GOAL = 2.0
PLAIN, ROUNDED = "HeatMapWithTime", "HeatMapWithTime(rounded)"
ROUNDED_GOAL = 5.0
DIGITS = 6
"""Of a degree: a tenth of a metre. Who rounds before handing points to folium halves its page."""

_POINTS = text(
    """
    SELECT to_char(i.reported_at AT TIME ZONE c.timezone, 'YYYY-MM') AS month,
           ST_Y(i.geom) AS lat, ST_X(i.geom) AS lon
    FROM issue AS i JOIN city AS c USING (city_id)
    WHERE c.slug = :slug AND i.set_aside IS NULL
    ORDER BY i.reported_at
    """
)


class SignedIn:
    """A browser whose contexts carry a session's cookie."""

    def __init__(self, chromium: Browser, address: str) -> None:
        self._chromium = chromium
        self._address = address
        body = json.dumps({"login": LOGIN, "password": PASSWORD}).encode()
        asked = urllib.request.Request(
            f"{address}/api/v1/session", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked) as answer:
            self._cookie = answer.headers["Set-Cookie"].split(";")[0].split("=", 1)

    def new_context(self, **options: Any) -> BrowserContext:
        """Return a context of an empty cache that is signed in."""
        context = self._chromium.new_context(**options)
        name, value = self._cookie
        context.add_cookies([{"name": name, "value": value, "url": self._address}])
        return context


_NAMES = re.compile(r"TimeDimensionCustom\((\[.*?\])")


def cases() -> Iterator[Case]:
    """Yield the case of the demo city's requests of twelve months."""
    with ExitStack() as open_now:
        stand = open_now.enter_context(
            stands.stand("requests", cities.MADE_FROM, lambda: iter([generate()]))
        )
        _admit(stand.engine, cities.DEMO)
        address = open_now.enter_context(stands.pages(stand.database))
        chromium = open_now.enter_context(browser.chromium())
        signed: Any = SignedIn(chromium, address)
        months = _months(stand.engine, cities.DEMO)
        plain = open_now.enter_context(
            stands.peer_pages({"plain": _heat(months), "rounded": _heat(_rounded(months))})
        )
        number = sum(map(len, months.values()))
        yield Case(
            name="requests",
            title=f"{number:,} requests of {len(months)} months on a map",
            ours=lambda: _ours(signed, f"{address}/heat?city={cities.DEMO}"),
            peers={
                PLAIN: lambda: _theirs(chromium, f"{plain}/plain.html"),
                ROUNDED: lambda: _theirs(chromium, f"{plain}/rounded.html"),
            },
            measures=[
                Measure("bytes", "B", BYTES_GOAL, (PLAIN,)),
                Measure("bytes", "B", ROUNDED_GOAL, (ROUNDED,), row="bytes_beside_rounded"),
                Measure("rendered", "s", RENDERED_GOAL),
                Measure(CPU, "s", 1.0),
            ],
            agree=_same_months,
            servers=stand.servers,
            note="ours is the whole page with panel, legend and slider; default coordinates and "
            "duplicates are left out on both sides; answers: requests by month",
        )


def _admit(engine: Engine, slug: str) -> None:
    """Give the city an account that reads all of it, once."""
    with owner_transaction(engine) as session:
        city_id = service.city_id_of(session, slug)
        try:
            with session.begin_nested():
                service.create_account(
                    session,
                    city_id,
                    login=LOGIN,
                    password=PASSWORD,
                    role=Role.LEADER,
                    display_name=LOGIN,
                )
        except ConflictError:
            return


def _months(engine: Engine, slug: str) -> dict[str, list[list[float]]]:
    """Return the places of the requests that count, latitude before longitude, by month."""
    found: dict[str, list[list[float]]] = {}
    with engine.connect() as connection:
        for month, lat, lon in connection.execute(_POINTS, {"slug": slug}):
            found.setdefault(month, []).append([lat, lon])
    return found


def _rounded(months: dict[str, list[list[float]]]) -> dict[str, list[list[float]]]:
    return {
        month: [[round(lat, DIGITS), round(lon, DIGITS)] for lat, lon in points]
        for month, points in months.items()
    }


def _heat(months: dict[str, list[list[float]]]) -> str:
    """Return folium's page: every request a point, every month a frame."""
    first = next(iter(months.values()))[0]
    page = folium.Map(location=first, zoom_start=13, tiles=None)
    HeatMapWithTime(list(months.values()), index=list(months)).add_to(page)  # type: ignore[no-untyped-call]
    rendered: str = page.get_root().render()
    return rendered


def _ours(chromium: Any, address: str) -> Outcome:
    seen = browser.load(chromium, address, keep=lambda url: "/figures/requests" in url)
    if seen.foreign or seen.errors:
        raise DisagreementError(f"{address}: asked {seen.foreign}, errors {seen.errors}")
    (document,) = seen.answers.values()
    answer = json.loads(document)
    drawn = len(answer["squares"]["column"])
    if drawn == 0 or seen.fills == 0:
        raise DisagreementError(f"{drawn} squares came, {seen.fills} shapes were filled")
    sums = dict(zip(answer["months"], map(sum, answer["cases"]), strict=True))
    return Outcome(sums, {"bytes": seen.wire_bytes, "rendered": seen.rendered_s})


def _theirs(chromium: Browser, address: str) -> Outcome:
    """Load folium's page; the fonts of its buttons, which it asks elsewhere, are left out."""
    seen = browser.load(chromium, address, keep=lambda url: url.endswith(".html"))
    return Outcome(
        _embedded(seen.answers[address].decode()),
        {"bytes": seen.wire_bytes, "rendered": seen.rendered_s},
    )


def _embedded(page: str) -> dict[str, int]:
    """Return the number of points of each frame that a folium page holds, by the frame's name."""
    decoder = json.JSONDecoder()
    frames, _ = decoder.raw_decode(page, page.index("[[["))
    listed = _NAMES.search(page)
    names = ast.literal_eval(listed.group(1)) if listed else []
    return {name: len(points) for name, points in zip(names, frames, strict=True)}


def _same_months(ours: dict[str, int], theirs: dict[str, int]) -> None:
    if ours != theirs:
        raise DisagreementError(f"ours {ours}, theirs {theirs}")
