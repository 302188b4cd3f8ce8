"""Reports of ten minutes with a peak of 51 a second, 30 % of whose answers never arrive.

Phones report through a proxy on this machine that drops the connection in place of so many answers,
after the server has done its work. A phone that hears nothing sends the same report again, with the
same number of its own, until it has an answer. In the end every report is one issue, none is
missing and none is there twice. Load goes to this machine alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from geo import service
from geo.db import migrate, owner_engine, owner_transaction
from proofs.claims import Claim, Say
from proofs.served import served
from tests import databases
from tests.cities import CORNER, METRE_SRID, SIDE_M, tiny_dataset

REPORTS: Final = 7_651
SECONDS: Final = 600.0
PEAK: Final = 51
LOST: Final = 0.3
LIMIT_MS: Final = 500.0
PATIENCE_S: Final = 8.0
"""How long a phone waits for an answer before it asks again."""
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Between two attempts; the last one for all further ones."""
PLACES: Final = text("""
    SELECT ST_X(p.place), ST_Y(p.place) FROM (
        SELECT ST_Transform(ST_SetSRID(ST_MakePoint(x, y), CAST(:srid AS integer)), 4326) AS place
        FROM unnest(CAST(:east AS float8[]), CAST(:north AS float8[])) AS at (x, y)) AS p
""")


@dataclass
class Tally:
    """What phones saw.

    Attributes
    ----------
    answers_ms : list of float
        Of each answer that arrived.
    issues : dict of str to int
        Words of a report -> number of the issue that its phone was told.
    """

    answers_ms: list[float] = field(default_factory=list)
    status: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    silent: int = 0
    issues: dict[str, int] = field(default_factory=dict)


def per_second(reports: int, seconds: int, peak: int) -> NDArray[np.int64]:
    """Return how many reports each second brings: a bell with its peak in the middle.

    Examples
    --------
    >>> made = per_second(7651, 600, 51)
    >>> len(made), int(made.sum()), int(made.max())
    (600, 7651, 51)
    """
    away = np.delete((np.arange(seconds) - seconds // 2) / seconds, seconds // 2)
    narrow, wide = 1e-3, 1e3
    for _ in range(200):
        width = (narrow * wide) ** 0.5
        wished = peak * np.exp(-((away / width) ** 2))
        narrow, wide = (width, wide) if wished.sum() < reports - peak else (narrow, width)
    made = np.floor(wished).astype(np.int64)
    order = np.argsort(made - wished, kind="stable")
    made[order[made[order] < peak][: reports - peak - int(made.sum())]] += 1
    return np.insert(made, seconds // 2, peak)


class Faults:
    """A proxy that hands each request on and drops the connection in place of some answers."""

    def __init__(self, port: int, share: float, rng: np.random.Generator) -> None:
        self._port, self._share, self._rng = port, share, rng
        self.dropped = 0
        self.open: set[asyncio.Task[None]] = set()

    def __call__(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Carry what comes over one connection."""
        task = asyncio.create_task(self._carry(near, back))
        self.open.add(task)
        task.add_done_callback(self.open.discard)

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Carry one request; the server's work is done before anything is dropped."""
        far, there = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                there.write(await _message(near))
                answer = await _message(far)
                if self._rng.random() < self._share:
                    self.dropped += 1
                    back.transport.abort()
                else:
                    back.write(answer)
                    await back.drain()
        finally:
            for one in (back, there):
                one.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return a whole HTTP message with the body that its head announces."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    size = next((int(one[15:]) for one in lines if one.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(size)


async def _report(port: int, path: str, body: dict[str, Any], tally: Tally) -> None:
    """Send one report again and again until an answer arrives."""
    sent = json.dumps(body).encode()
    request = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(sent)}\r\n\r\n"
    ).encode() + sent
    for attempt in range(100):
        if attempt:
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S)) - 1])
        began = time.perf_counter()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                answer = await asyncio.wait_for(_message(reader), PATIENCE_S)
            finally:
                writer.close()
        except TimeoutError:
            tally.silent += 1
            continue
        except (OSError, asyncio.IncompleteReadError):
            tally.lost += 1
            continue
        tally.answers_ms.append((time.perf_counter() - began) * 1e3)
        status = int(answer.split(b" ", 2)[1])
        tally.status[status] += 1
        if status in (200, 201):
            tally.issues[body["words"]] = json.loads(answer.partition(b"\r\n\r\n")[2])["issue"]
            return
        if status < 500 and status != 429:
            return


async def _storm(port: int, path: str, wishes: list[dict[str, Any]], at_s: Any, say: Say) -> Tally:
    """Send all reports at their moments; return what came back."""
    tally = Tally()
    faults = Faults(port, LOST, np.random.default_rng(3))
    proxy = await asyncio.start_server(faults, "127.0.0.1", 0)
    between = proxy.sockets[0].getsockname()[1]
    began, tasks = time.monotonic(), []
    async with proxy:
        for wish, moment in zip(wishes, at_s, strict=True):
            await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
            tasks.append(asyncio.create_task(_report(between, path, wish, tally)))
            if len(tasks) % 50 == 0:
                say(f"{moment:.0f} s, {len(tally.issues):,} of {len(wishes):,} answered")
        await asyncio.gather(*tasks)
        await asyncio.gather(*faults.open, return_exceptions=True)
    return tally


def prove(effort: float = 1.0, say: Say = lambda words: None) -> list[Claim]:
    """Let it storm for ten minutes at full effort."""
    with databases.server() as server:
        name = f"wangge_test_storm_{threading.get_native_id()}"
        server.create(name)
        try:
            return storm(server.owner_url(name), server.app_url(name), effort, say)
        finally:
            server.drop(name)


def storm(owner_url: str, app_url: str, effort: float, say: Say) -> list[Claim]:
    """Storm an empty database with the tiny city; say what came of it."""
    engine = owner_engine(owner_url)
    migrate(engine)
    with owner_transaction(engine) as session:
        service.load_dataset(session, tiny_dataset(), demo=True)
    before = _stored(engine)
    seconds = max(round(SECONDS * effort), 3)
    each = per_second(max(round(REPORTS * effort), PEAK), seconds, PEAK)
    wishes = _wishes(engine, int(each.sum()))
    rng = np.random.default_rng(2)
    at_s = np.sort(np.repeat(np.arange(seconds), each) + rng.random(len(wishes)))
    with served(owner_url, app_url) as port:
        began = time.monotonic()
        with ThreadPoolExecutor(1) as own:  # whoever asks may run a loop already
            path = "/api/v1/cities/tiny/reports"
            tally = own.submit(lambda: asyncio.run(_storm(port, path, wishes, at_s, say))).result()
        took = time.monotonic() - began
    after = _stored(engine)
    engine.dispose()
    new = {words: issues for words, issues in after.items() if words not in before}
    return _claims(tally, wishes, new, took, int(each.max()))


def _wishes(engine: Engine, number: int) -> list[dict[str, Any]]:
    """Return reports at random places of the city."""
    rng = np.random.default_rng(1)
    places = CORNER + SIDE_M * rng.uniform((0.1, 0.1), (3.9, 1.9), (number, 2))
    asked = {"srid": METRE_SRID, "east": places[:, 0].tolist(), "north": places[:, 1].tolist()}
    with engine.connect() as connection:
        found = connection.execute(PLACES, asked).all()
    return [
        {
            "category": "E0101", "lon": float(lon), "lat": float(lat), "words": f"第{place}件",
            "client_id": str(UUID(bytes=rng.bytes(16), version=4)),
        }
        for place, (lon, lat) in enumerate(found)
    ]  # fmt: skip


def _stored(engine: Engine) -> dict[str, list[int]]:
    """Return the issues by their words: each report of the storm has its own."""
    found: dict[str, list[int]] = {}
    with engine.connect() as connection:
        for words, issue in connection.execute(text("SELECT words, issue_id FROM issue")):
            found.setdefault(words or "", []).append(issue)
    return found


def _claims(
    tally: Tally,
    wishes: list[dict[str, Any]],
    stored: dict[str, list[int]],
    took: float,
    peak: int,
) -> list[Claim]:
    own = {wish["words"] for wish in wishes}
    missing = own - set(stored)
    double = [words for words, issues in stored.items() if len(issues) > 1]
    wrong = [words for words, issue in tally.issues.items() if stored.get(words) != [issue]]
    late = float(np.quantile(tally.answers_ms, 0.95)) if tally.answers_ms else np.inf
    attempts = len(tally.answers_ms) + tally.lost + tally.silent
    listed = ", ".join(f"{status}: {n:,}" for status, n in sorted(tally.status.items()))
    strange = {status for status in tally.status if status not in (200, 201)}
    return [
        Claim("no report is lost", f"{len(missing)} of {len(own):,}", not missing),
        Claim("none is there twice", f"{len(double)}, {len(set(stored) - own)} of nobody",
              not double and set(stored) == own),
        Claim("every phone was told the number of its own issue",
              f"{len(tally.issues):,} were, {len(wrong)} another one",
              len(tally.issues) == len(own) and not wrong),
        Claim("no other answer than 201 and 200", listed, not strange and not tally.silent),
        Claim(f"about {LOST:.0%} of the answers did not arrive",
              f"{tally.lost:,} of {attempts:,}", tally.lost > 0.2 * attempts),
        Claim(f"95 % of the answers within {LIMIT_MS:g} ms, {peak} reports in the worst second",
              f"{late:.0f} ms, half of them {np.median(tally.answers_ms or [np.inf]):.0f} ms, "
              f"{len(own):,} reports in {took:.0f} s", late <= LIMIT_MS),
    ]  # fmt: skip
