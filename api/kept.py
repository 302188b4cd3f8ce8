"""Answers told again from memory for as long as all they depend on stays the same."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from threading import Lock
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session

from api.formats import IMMUTABLE, kept
from geo import service

MOST_BYTES = 32 * 1024 * 1024
"""Most compressed bytes of immutable answers in memory."""


class Immutables:
    """Compressed answers of addresses whose bytes never change, those asked for last."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, str, bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def find(self, address: str) -> tuple[str, str, bytes] | None:
        """Return media type, tag and compressed bytes; None when they are not kept."""
        with self._lock:
            found = self._known.get(address)
            if found is not None:
                self._known.move_to_end(address)
            return found

    def keep(self, address: str, response: Response) -> None:
        """Keep an answer that everybody may have for ever, as its headers say, and no other."""
        headers = response.headers
        for_ever = response.status_code == 200 and headers.get("cache-control") == IMMUTABLE
        if not for_ever or headers.get("content-encoding") != "gzip":
            return
        tag = headers["etag"].strip('"').removesuffix("-gzip")
        with self._lock:
            if address in self._known:
                return
            body = bytes(response.body)
            self._known[address] = headers["content-type"], tag, body
            self._bytes += len(body)
            while self._bytes > MOST_BYTES and len(self._known) > 1:
                _, (_, _, oldest) = self._known.popitem(last=False)
                self._bytes -= len(oldest)


class ImmutableRoute(APIRoute):
    """A route whose immutable answers are told again by their address alone.

    They are public and the address holds the version of their content: who asks and what the
    database says today make no difference, so that neither is looked at.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def answer_or_tell(request: Request) -> Response:
            state = request.app.state
            if not hasattr(state, "immutables"):
                state.immutables = Immutables()
            known: Immutables = state.immutables
            address = f"{request.url.path}?{request.url.query}"
            found = known.find(address)
            if found is None:
                response = await answer(request)
                known.keep(address, response)
                return response
            media_type, tag, body = found
            return kept(request, body, media_type=media_type, cache=IMMUTABLE, tag=tag, zipped=True)

        return answer_or_tell


def stamped(
    request: Request,
    session: Session,
    asked: service.Asked,
    question: str,
    make: Callable[[], bytes],
) -> tuple[str, bytes]:
    """Return the tag and the compressed bytes of an answer, made once for each stamp.

    Parameters
    ----------
    request : Request
    session : Session
        Of somebody who may have the answer: it is the same for all who may.
    asked : service.Asked
    question : str
        All that the answer depends on besides the stamp of the figures.
    make : callable
        Returns the bytes.
    """
    state = request.app.state
    if not hasattr(state, "kept_figures"):
        state.kept_figures = service.Kept()
    told = f"{service.figures_stamp(session, asked)} {question}"
    tag = hashlib.sha256(told.encode()).hexdigest()[:24]
    zipped: bytes = state.kept_figures.zipped(tag, make)
    return tag, zipped


def reckoned(
    request: Request,
    session: Session,
    asked: service.Asked,
    question: str,
    make: Callable[[], Any],
) -> Any:
    """Return plain values, as JSON holds them, reckoned once for each stamp; see `stamped`."""
    _, zipped = stamped(request, session, asked, question, lambda: json.dumps(make()).encode())
    return json.loads(gzip.decompress(zipped))
