"""Whether messages leave the house: settings, lines, and what was given up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.errors import InvalidInputError
from geo.keeping.checks import Check, Installation, State
from geo.settings import Settings
from geo.store.cases.posting import Mail, post_of, reach_webhook
from geo.terms import MessageKind

LATE_H: Final = 1
_COUNTS: Final = text("""
    SELECT count(*) FILTER (WHERE state = 'failed') AS failed,
           count(*) FILTER (WHERE state = 'waiting'
               AND created_at < clock_timestamp() - make_interval(hours => :late)) AS late,
           (array_agg(error ORDER BY message_id DESC) FILTER (WHERE error IS NOT NULL))[1] AS error
    FROM outbox WHERE state <> 'sent'
""")


def leaving(place: Installation, session: Session) -> Iterator[Check]:
    """Look at the ways of messages and at those that did not go."""
    settings = place.settings or Settings()
    try:
        post = post_of(settings)
    except InvalidInputError as error:
        yield Check("ways of messages", State.BAD, str(error), "Until then every message waits.")
    else:
        for way in post.ways.values():
            sender, name = post.senders[way.kind], f"messages by {way.kind.value}"
            try:
                if isinstance(sender, Mail):
                    sender.reach()
                elif way.kind is MessageKind.WEBHOOK:
                    reach_webhook(way.address)
            except OSError as error:
                yield Check(name, State.BAD, type(error).__name__, "Is the address right, and up?")
            else:
                yield Check(name, State.GOOD, "can be reached")
        if not post.ways:
            told = "into a file: neither mail nor webhook is set"
            yield Check("ways of messages", State.GOOD, told)
    row = session.execute(_COUNTS, {"late": LATE_H}).one()
    found = f"{row.failed} were given up, {row.late} wait for more than an hour"
    state = State.BAD if row.failed else State.WATCH if row.late else State.GOOD
    yield Check(
        "messages",
        state,
        f"{found} ({row.error})" if row.error else found,
        "" if state is State.GOOD else "Mend the way or start the worker; see outbox.error.",
    )
