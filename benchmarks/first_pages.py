"""First pages of a running server by role, cold: bytes, requests, time until they answer.

`python -m benchmarks.first_pages http://127.0.0.1:8000` asks a server with the demo city; it is no
benchmark beside peers, so nothing of it goes into the table.
"""

from __future__ import annotations

import json
import statistics
import urllib.request
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from playwright.sync_api import Browser
from rich.console import Console
from rich.table import Table

from benchmarks import browser
from geo.service import DEMO_PASSWORD

PAGES = (
    ("/net", ""),
    ("/", "leader"),
    ("/heat", "leader"),
    ("/stations", "leader"),
    ("/", "planner"),
    ("/staff", "planner"),
    ("/", "community"),
    ("/", "department"),
    ("/patrol", "worker"),
    ("/admin", "administrator"),
)
"""Addresses, and the demo account that asks for each; a stranger without a name."""
MOST_BYTES = 400_000
MOST_S = 2.0

# The mark of a page with scripts; one without them answers once its document is here.
INTERACTIVE = """() => {
  const [mark] = performance.getEntriesByName("interactive");
  const [document] = performance.getEntriesByType("navigation");
  return mark ? mark.startTime : document.domContentLoadedEventEnd;
}"""
REQUESTS = "() => performance.getEntriesByType('resource').length + 1"


@dataclass(frozen=True)
class First:
    """What one loading of a page took."""

    wire_bytes: int
    requests: int
    interactive_s: float
    errors: list[str]


def session_cookie(address: str, login: str) -> dict[str, str]:
    """Sign in to a demo account and return the cookie of its session."""
    body = json.dumps({"login": login, "password": DEMO_PASSWORD}).encode()
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"{address}/api/v1/session", body, headers)
    with urllib.request.urlopen(asked) as answer:
        name, value = answer.headers["Set-Cookie"].split(";")[0].split("=", 1)
    return {"name": name, "value": value, "url": address}


class _With:
    """A browser whose contexts carry a cookie."""

    def __init__(self, chromium: Browser, cookie: dict[str, str] | None) -> None:
        self._chromium = chromium
        self._cookie = cookie

    def new_context(self, **options: Any) -> Any:
        context = self._chromium.new_context(**options)
        if self._cookie:
            context.add_cookies([self._cookie])  # type: ignore[list-item]
        return context


def measure(chromium: Browser, address: str, cookie: dict[str, str] | None) -> First:
    """Load a page with an empty cache."""
    question = f"() => [({REQUESTS})(), ({INTERACTIVE})()]"
    seen = browser.load(_With(chromium, cookie), address, question=question)  # type: ignore[arg-type]
    requests, interactive_ms = seen.found
    return First(seen.wire_bytes, requests, interactive_ms / 1000.0, seen.errors + seen.foreign)


def main(
    address: Annotated[str, typer.Argument(help="Where the server answers.")],
    rounds: Annotated[int, typer.Option(min=1, help="Cold loads of each page.")] = 5,
) -> None:
    """Load the first page of each role, cold; medians."""
    address = address.rstrip("/")
    told = Table("page", "account", "kB", "requests", "interactive", "quickest", "")
    with browser.chromium() as chromium:
        for path, login in PAGES:
            cookie = session_cookie(address, login) if login else None
            runs = [measure(chromium, address + path, cookie) for _ in range(rounds)]
            bytes_, times = runs[-1].wire_bytes, sorted(one.interactive_s for one in runs)
            usual = statistics.median(times)
            fits = bytes_ <= MOST_BYTES and usual <= MOST_S and not runs[-1].errors
            told.add_row(
                path,
                login or "–",
                f"{bytes_ / 1000:.0f}",
                str(runs[-1].requests),
                f"{usual:.2f} s",
                f"{times[0]:.2f} s",
                "" if fits else "over " + "; ".join(runs[-1].errors)[:60],
            )
    Console(width=100).print(told)


if __name__ == "__main__":
    typer.run(main)
