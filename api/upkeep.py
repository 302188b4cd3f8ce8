"""What the server makes ready by itself: borders of new nets, before anybody waits for them.

A net comes from any process: a command that loads a city, a job that publishes, a restored backup.
So the server looks for nets that it does not know yet, at its start and then now and again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from geo import service
from geo.db import Database, Viewer
from geo.errors import WanggeError

EVERY_S = 30.0
_log = logging.getLogger(__name__)


class Upkeep:
    """Keeps the borders of nets ready.

    Parameters
    ----------
    database : Database
        The application's door; what is read is open to everybody.
    kept : service.Kept
        Where the server looks for borders.
    """

    def __init__(self, database: Database, kept: service.Kept) -> None:
        self._database = database
        self._kept = kept
        self._known: set[tuple[str, int, str]] = set()

    def look(self) -> int:
        """Encode what is new; return how many nets were.

        Raises
        ------
        DatabaseAwayError
            If the database cannot be reached.
        """
        new = 0
        with self._database.transaction(Viewer()) as session:
            cities = [city["slug"] for city in service.list_cities(session)]
        for slug in cities:
            with self._database.transaction(Viewer()) as session:
                city = service.city_id_of(session, slug)
                self._database.enter(session, Viewer.public(city))
                for seq, version in service.prepared.coming_nets(session, city):
                    if (slug, seq, version) not in self._known:
                        service.prepared.prepare_topologies(session, city, seq, self._kept)
                        self._known.add((slug, seq, version))
                        new += 1
        return new

    def run(self, ended: Event) -> None:
        """Look now and again until it is over; a database that is away is asked again later."""
        while not ended.is_set():
            try:
                self.look()
            except WanggeError as error:
                _log.info("Borders of nets are not ready: %s", error)
            except Exception:
                _log.exception("Borders of nets could not be made ready.")
            ended.wait(EVERY_S)


@contextmanager
def beside(database: Database, kept: service.Kept) -> Iterator[None]:
    """Keep borders ready in a thread as long as the block lasts."""
    ended = Event()
    upkeep = Thread(target=Upkeep(database, kept).run, args=[ended], name="upkeep", daemon=True)
    upkeep.start()
    try:
        yield
    finally:
        ended.set()
