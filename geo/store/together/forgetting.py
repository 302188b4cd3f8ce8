"""What was erased of an issue is erased where it came from as well."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

_TOPICS: Final = text("""
    UPDATE meeting_topic AS t SET words = '', outcome = NULL, content_hash = NULL
    FROM issue AS i
    WHERE t.city_id = :city AND i.city_id = t.city_id AND i.issue_id = t.issue_id
      AND i.erased_at IS NOT NULL AND t.words <> ''
""")
_ALARMS: Final = text("""
    UPDATE device_alarm AS a SET words = NULL FROM issue AS i
    WHERE a.city_id = :city AND i.city_id = a.city_id AND i.issue_id = a.issue_id
      AND i.erased_at IS NOT NULL AND a.words IS NOT NULL
""")


def forget(session: Session, city_id: int) -> int:
    """Erase words of topics and alarms whose issue lost its own; return how many; for the owner.

    It may be called again, and has to be after a backup was restored.
    """
    asked = {"city": city_id}
    return sum(getattr(session.execute(one, asked), "rowcount", 0) for one in (_TOPICS, _ALARMS))
