"""Server-sent events: one connection of the process listens for notices and wakes the streams.

A notice says where to look. Each stream that it concerns then reads in a transaction of its own, as
its own viewer: whoever was shut out, signed out or taken from the members gets nothing more and is
hung up on. While the database does not answer, streams stay open and are woken every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from anyio import to_thread
from fastapi import Request, Response
from fastapi.encoders import jsonable_encoder
from sqlalchemy.orm import Session
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from api import auth, errors
from api.deps import open_access
from geo import service
from geo.db import Database, Viewer
from geo.errors import DatabaseAwayError, NotFoundError, NotSignedInError, TooManyStreamsError

HEARTBEAT_S: Final = 15
"""A line without meaning keeps the connection open through proxies, and finds who is gone."""
LOOK_AGAIN_S: Final = 10.0
"""How often a stream looks again although nothing was told: a session may have ended by time."""
RETRY_S: Final = 1.0
MOST_OF_ACCOUNT: Final = 8
MOST_OF_PROCESS: Final = 500
DESK_PAUSE_S: Final = 2.0
"""A desk is not told more often, however many issues come in."""
DESK_AGAIN_S: Final = 60.0
"""How often a desk is counted although nothing was told: deadlines pass."""
READERS: Final = 2
"""Streams that read at once: a storm of notices leaves the pool to the requests."""
SEND_TIMEOUT_S: Final = 20.0
"""A reader that takes nothing for so long is hung up on."""

News = Callable[[Session, Viewer], tuple[list[dict[str, Any]], bool]]
"""Reads what is new: events to be sent, and whether there is more to be read at once."""


@dataclass(eq=False)
class Listener:
    """A stream: whose it is, what it is about, and whether it has something to read.

    Parameters
    ----------
    city_id, user_id : int
    plan : int, optional
        None for what concerns the whole city.
    desk : bool
        About issues instead.
    """

    city_id: int
    user_id: int
    plan: int | None
    desk: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """The streams of this process, and the one connection that hears of changes.

    It listens while there are streams. All of it runs in the loop that serves.

    Parameters
    ----------
    database : Database
        The application's door.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._readers = anyio.CapacityLimiter(READERS)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def join(self, listener: Listener) -> None:
        """Take a stream in.

        Raises
        ------
        TooManyStreamsError
            If its account or the process has as many as it may.
        """
        of_accounts = Counter((one.city_id, one.user_id) for one in self._listeners)
        own = of_accounts[listener.city_id, listener.user_id]
        if own >= MOST_OF_ACCOUNT or len(self._listeners) >= MOST_OF_PROCESS:
            message = f"At most {MOST_OF_ACCOUNT} streams of one account are open at a time."
            raise TooManyStreamsError(message, most=MOST_OF_ACCOUNT)
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen())

    def leave(self, listener: Listener) -> None:
        """Let a stream go; the last one takes the connection with it."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def read(self, token: str, city_id: int, news: News) -> tuple[list[dict[str, Any]], bool]:
        """Read news in a transaction of the session's own account.

        Raises
        ------
        NotSignedInError
            If the session is over.
        WanggeError
            What `news` raises.
        """

        def reading() -> tuple[list[dict[str, Any]], bool]:
            with open_access(self._database, token, lambda session, account: city_id) as access:
                if not access.viewer.staff:
                    raise NotSignedInError("The session is over.")
                return news(access.session, access.viewer)

        return await to_thread.run_sync(reading, limiter=self._readers)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(DatabaseAwayError):
                async for notice in self._database.notices():
                    self._wake(json.loads(notice) if notice else None)
            self._wake(None)
            await asyncio.sleep(RETRY_S)

    def _wake(self, notice: dict[str, Any] | None) -> None:
        """Wake the streams that a notice concerns; all of them when something may be missed."""
        for one in self._listeners:
            if notice is None or _concerns(notice, one):
                one.woken.set()


def _concerns(notice: dict[str, Any], listener: Listener) -> bool:
    if notice["kind"] == "issue":
        return listener.desk and notice["city"] in (None, listener.city_id)
    if notice["city"] != listener.city_id:
        return False
    if notice["kind"] == "account":
        return bool(notice["user"] == listener.user_id)
    if listener.desk:
        return False
    if notice["kind"] == "plan":
        return listener.plan in (None, notice["plan"])
    return listener.plan is None


class Stream(EventSourceResponse):
    """The answer that goes on: what is new now, and whatever comes.

    Parameters
    ----------
    request : Request
        Of a signed-in account.
    listener : Listener
    news : callable
        Reads what is new since it was last called.
    follow : bool
        Whether to wait for more; otherwise the stream ends with what is new now.
    """

    def __init__(
        self, request: Request, listener: Listener, news: News, *, follow: bool = True
    ) -> None:
        self._request, self._listener, self._news = request, listener, news
        self._follow = follow
        self._hub: Hub = request.app.state.streams
        super().__init__(self._events(), ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S, sep="\n")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the reader leaves or may not read any more."""
        if scope.get("state", {}).get("headers_only"):
            await Response(media_type=self.media_type)(scope, receive, send)
            return
        try:
            self._hub.join(self._listener)
        except TooManyStreamsError as error:
            await errors.answer(self._request, error)(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._listener)

    async def _events(self) -> AsyncIterator[ServerSentEvent]:
        token = auth.session_token(self._request) or ""
        more = True
        while True:
            if not more:
                with contextlib.suppress(TimeoutError):
                    again = DESK_AGAIN_S if self._listener.desk else LOOK_AGAIN_S
                    await asyncio.wait_for(self._listener.woken.wait(), again)
            self._listener.woken.clear()
            try:
                found, more = await self._hub.read(token, self._listener.city_id, self._news)
            except DatabaseAwayError:
                more = False
                continue
            except (NotSignedInError, NotFoundError):
                yield ServerSentEvent(event="over", data="{}")
                return
            for one in found:
                yield _event(one)
            if not (more or self._follow):
                return
            if self._listener.desk:
                await asyncio.sleep(DESK_PAUSE_S)


class PlanNews:
    """What is new of a plan: edits with their numbers, and whatever differs from what was told.

    Parameters
    ----------
    plan : int
    after : int, optional
        The last edit that is known; None begins with the newest.
    """

    def __init__(self, plan: int, after: int | None) -> None:
        self._plan, self._after = plan, after
        self._told: dict[str, Any] = {}

    def __call__(self, session: Session, viewer: Viewer) -> tuple[list[dict[str, Any]], bool]:
        """Return the events to be sent."""
        found = service.drafts.news.of_plan(session, viewer, self._plan, self._after)
        edits = found.pop("edits")
        last = found["plan"].pop("last_edit")
        if self._after is None:
            self._after = last
        if edits:
            self._after = edits[-1]["n"]
        told = _differing(self._told, found)
        for one in told:
            if one["event"] == "plan":
                one["data"] = {**one["data"], "last_edit": last}
        self._told = found
        told += [{"event": "edit", "id": str(one["n"]), "data": one} for one in edits]
        return told, len(edits) == service.drafts.news.MOST_AT_ONCE


class CityNews:
    """What is new of the plans that one is a member of, and of the nets of the city."""

    def __init__(self) -> None:
        self._told: dict[str, Any] = {}

    def __call__(self, session: Session, viewer: Viewer) -> tuple[list[dict[str, Any]], bool]:
        """Return the events to be sent."""
        found = service.drafts.news.of_city(session, viewer)
        told = _differing(self._told, found)
        self._told = found
        return told, False


class DeskNews:
    """What is new on a desk: its counts, and a stamp that differs when any issue on it does.

    Parameters
    ----------
    asked : service.Asked
        The city.
    """

    def __init__(self, asked: service.Asked) -> None:
        self._asked = asked
        self._told: dict[str, Any] = {}

    def __call__(self, session: Session, viewer: Viewer) -> tuple[list[dict[str, Any]], bool]:
        """Return the events to be sent."""
        counts = service.cases.desk_counts(session, viewer, self._asked.moment(session))
        told = _differing(self._told, {"desk": counts})
        self._told = {"desk": counts}
        return told, False


def _differing(told: dict[str, Any], now: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"event": name, "data": value}
        for name, value in now.items()
        if name not in told or told[name] != value
    ]


def _event(told: dict[str, Any]) -> ServerSentEvent:
    data = json.dumps(jsonable_encoder(told["data"]), ensure_ascii=False, separators=(",", ":"))
    return ServerSentEvent(event=told["event"], id=told.get("id"), data=data)
