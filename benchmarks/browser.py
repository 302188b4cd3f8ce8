"""A page loaded cold in a real browser: bytes on the wire, time until nothing more is drawn."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.harness import CannotRunError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VIEWPORT = {"width": 1440, "height": 900}
QUIET_MS = 500
POLL_MS = 250
PROMPT_S = 0.2
CALM_POLLS = 3
LONGEST_S = 600

# Notes when anything last happened: a long task ended, a resource came, the document changed or
# something was drawn on a canvas; and how many shapes were filled.
WATCH = """
(() => {
  const watch = (window.__watch = { last: 0, fills: 0 });
  const note = (time) => { if (time > watch.last) watch.last = time; };
  const observe = (type, end) =>
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => note(end(entry))))
      .observe({ type, buffered: true });
  observe("longtask", (entry) => entry.startTime + entry.duration);
  observe("resource", (entry) => entry.responseEnd);
  new MutationObserver(() => note(performance.now())).observe(document, {
    subtree: true, childList: true, attributes: true, characterData: true,
  });
  const canvas = CanvasRenderingContext2D.prototype;
  for (const name of ["fill", "stroke", "drawImage", "fillText", "clearRect"]) {
    const draw = canvas[name];
    canvas[name] = function (...given) {
      if (name === "fill") watch.fills += 1;
      note(performance.now());
      return draw.apply(this, given);
    };
  }
})();
"""
STATE = """() => ({
  now: performance.now(), last: window.__watch.last, fills: window.__watch.fills,
  complete: document.readyState === "complete",
})"""


@dataclass
class Load:
    """What loading a page took.

    Attributes
    ----------
    wire_bytes : int
        Bytes of all answers as they came, headers included.
    rendered_s : float
        From the start of the navigation to the last thing that happened, quiet afterwards.
    fills : int
        Shapes filled on canvases.
    foreign : list of str
        Addresses asked of other hosts.
    errors : list of str
        Errors in the page or on its console.
    answers : dict of str to bytes
        Bodies, decompressed, by address.
    found : any
        What the caller's question to the page gave.
    """

    wire_bytes: int = 0
    rendered_s: float = 0.0
    fills: int = 0
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    found: Any = None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a Chromium of this machine.

    Raises
    ------
    CannotRunError
        If there is none.
    """
    names = (os.environ.get("CHROMIUM"), *PROGRAMS)
    program = next((found for name in names if name and (found := shutil.which(name))), None)
    if program is None:
        raise CannotRunError("there is no Chromium on this machine; `make browser` installs it.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=list(ARGUMENTS), headless=True
        )
        try:
            yield browser
        finally:
            browser.close()


def load(
    browser: Browser,
    address: str,
    *,
    keep: Callable[[str], bool] = lambda address: False,
    question: str | None = None,
) -> Load:
    """Load a page with an empty cache and wait until it is quiet.

    Parameters
    ----------
    browser : Browser
    address : str
    keep : callable
        Which addresses' bodies are wanted.
    question : str, optional
        JavaScript function asked of the page at the end.

    Raises
    ------
    RuntimeError
        If the page is not quiet within `LONGEST_S`.
    """
    seen = Load()
    context = browser.new_context(viewport=VIEWPORT, locale="zh-CN")  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.set_default_timeout(LONGEST_S * 1000)
        wire = _Wire(context.new_cdp_session(page), seen)
        _listen(page, seen, urlsplit(address).netloc, keep)
        page.add_init_script(WATCH)
        page.goto(address, wait_until="commit")
        state = _quiet(page, wire)
        seen.rendered_s, seen.fills = state["last"] / 1000.0, state["fills"]
        if question:
            seen.found = page.evaluate(question)
    finally:
        context.close()
    return seen


class _Wire:
    """Counts bytes and requests under way, as the browser's network room tells them."""

    def __init__(self, session: CDPSession, seen: Load) -> None:
        self.under_way: set[str] = set()
        self._seen = seen
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.loadingFailed", self._failed)
        session.send("Network.enable")

    def _sent(self, event: dict[str, Any]) -> None:
        if not event["request"]["url"].startswith("data:"):
            self.under_way.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        self.under_way.discard(event["requestId"])
        self._seen.wire_bytes += int(event["encodedDataLength"])

    def _failed(self, event: dict[str, Any]) -> None:
        self.under_way.discard(event["requestId"])


def _listen(page: Page, seen: Load, own: str, keep: Callable[[str], bool]) -> None:
    def requested(request: Any) -> None:
        place = urlsplit(request.url)
        if place.scheme not in ("data", "blob") and place.netloc != own:
            seen.foreign.append(request.url)

    def finished(request: Any) -> None:
        if keep(request.url):
            seen.answers[request.url] = request.response().body()

    page.on("request", requested)
    page.on("requestfinished", finished)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)


def _quiet(page: Page, wire: _Wire) -> dict[str, Any]:
    """Wait until nothing happened for a while, and the page answers at once, several times over.

    A long task is told only after its end, so one calm answer proves nothing.
    """
    calm, before = 0, -1.0
    for _ in range(LONGEST_S * 1000 // POLL_MS):
        page.wait_for_timeout(POLL_MS)
        asked = time.perf_counter()
        state: dict[str, Any] = page.evaluate(STATE)
        prompt = time.perf_counter() - asked < PROMPT_S
        done = state["complete"] and not wire.under_way and state["now"] - state["last"] > QUIET_MS
        calm = calm + 1 if done and prompt and state["last"] == before else 0
        before = state["last"]
        if calm == CALM_POLLS:
            return state
    raise RuntimeError(f"{page.url} is not quiet after {LONGEST_S} s.")
