"""What was erased of an issue is erased where it came from as well."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

_ERASED: Final = """
    FROM issue AS i WHERE o.city_id = :city AND i.city_id = o.city_id
      AND i.issue_id = o.issue_id AND i.erased_at IS NOT NULL
"""
_FORGET: Final = (
    text(
        "UPDATE meeting_topic AS o SET words = '', outcome = NULL" + _ERASED + "AND o.words <> ''"
    ),
    text("UPDATE device_alarm AS o SET words = NULL" + _ERASED + "AND o.words IS NOT NULL"),
)


def forget(session: Session, city_id: int) -> int:
    """Erase words of topics and alarms whose issue lost its own; return how many; for the owner.

    It may be called again, and has to be after a backup was restored.
    """
    asked = {"city": city_id}
    return sum(getattr(session.execute(one, asked), "rowcount", 0) for one in _FORGET)
