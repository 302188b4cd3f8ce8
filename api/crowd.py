"""How many requests are answered at once: who comes on top of them is asked to come again.

Without a bound a rush that is a little too large waits in one long line; callers give up and ask
again, the line grows by what nobody waits for any more, and no answer is in time although the
server never rests. With it, whoever is let in has an answer soon.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors, statics
from geo.errors import TooBusyError

WAIT_S = 3


class Crowd:
    """A layer that lets so many requests in at once; files and streams of events do not count.

    Parameters
    ----------
    app : ASGIApp
        What answers.
    most : int
        Requests that are worked on or wait for it.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self._most = most
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or ask its caller to come again."""
        if scope["type"] != "http" or scope["path"].startswith(statics.MOUNT + "/"):
            await self.app(scope, receive, send)
            return
        if self._inside >= self._most:
            error = TooBusyError("Too many requests at once.", retry_after_s=WAIT_S)
            await errors.answer(Request(scope, receive), error)(scope, receive, send)
            return
        self._inside += 1
        counted = True

        def leave() -> None:
            nonlocal counted
            self._inside -= counted
            counted = False

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_stream(message):
                leave()
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        finally:
            leave()


def _is_stream(message: Message) -> bool:
    """Say whether an answer stays open for events that are still to come."""
    found = dict(message.get("headers", ()))
    return bytes(found.get(b"content-type", b"")).startswith(b"text/event-stream")
