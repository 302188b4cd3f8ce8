"""The application in a process of its own, as an office runs it, for proofs that ask it."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from api import serving
from api.app import create_app
from geo.db import Database, context_key, owner_engine
from geo.settings import Settings


@contextmanager
def served(owner_url: str, app_url: str) -> Iterator[int]:
    """Yield the port of this machine on which a process serves the database until the end."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve, args=(app_url, owner_url, far), daemon=True)
    process.start()
    far.close()
    try:
        yield int(near.recv())
    finally:
        near.close()
        process.join(20)
        process.kill()


def _serve(app_url: str, owner_url: str, told: Connection) -> None:
    """Serve the database in this process, until the other end is closed."""
    engine = owner_engine(owner_url)
    database = Database(app_url, context_key(engine))
    engine.dispose()
    listening = serving.bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = serving.make_server(
        create_app(Settings(database_url=None), database), ready=lambda: told.send(port)
    )

    def wait() -> None:
        with contextlib.suppress(EOFError):
            told.recv()
        server.should_exit = True

    threading.Thread(target=wait, daemon=True).start()
    server.run([listening])
    database.close()
