"""Tombstones beyond one database: what was erased stays erased when an older backup comes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.store import audit
from geo.store.together.forgetting import forget

BESIDE: Final = "beside"
ERASED_AGAIN: Final = "issue.erased_again"
"""Action of the log's row of a city in which a restoring erased something again."""


@dataclass(frozen=True, order=True)
class Stone:
    """Something that was erased: of which row, when and why; never what it was.

    Parameters
    ----------
    city : str
        Short name.
    relation : str
        Table: "issue_contact", "issue" (its words) or "photo".
    object_id : int
    erased_at : datetime
    reason : str
        "age" or "wish".
    """

    city: str
    relation: str
    object_id: int
    erased_at: datetime
    reason: str


_ALL = text("""
    SELECT c.slug, t.relation, t.object_id, t.erased_at, t.reason
    FROM tombstone AS t JOIN city AS c ON c.city_id = t.city_id
    ORDER BY c.slug, t.relation, t.object_id
""")
_LAID = text("""
    CREATE TEMPORARY TABLE erasing ON COMMIT DROP AS
    SELECT c.city_id, s.relation, s.object_id, s.erased_at, s.reason
    FROM unnest(CAST(:cities AS text[]), CAST(:relations AS text[]), CAST(:objects AS bigint[]),
                CAST(:moments AS timestamptz[]), CAST(:reasons AS text[]))
         AS s (slug, relation, object_id, erased_at, reason)
    JOIN city AS c ON c.slug = s.slug
""")
_STEPS: Final = {
    "contacts": """
        DELETE FROM issue_contact AS k USING erasing AS e
        WHERE e.relation = 'issue_contact' AND k.city_id = e.city_id AND k.issue_id = e.object_id
          AND k.created_at <= e.erased_at
        RETURNING k.city_id""",
    "photos": """
        DELETE FROM photo AS p USING erasing AS e
        WHERE e.relation = 'photo' AND p.city_id = e.city_id AND p.photo_id = e.object_id
          AND p.added_at <= e.erased_at
        RETURNING p.city_id""",
    # A number may be given anew after a restoring: what began later is another issue.
    "words": """
        WITH gone AS (
            UPDATE issue AS i SET words = NULL, address = NULL, reporter_id = NULL,
                erased_at = e.erased_at
            FROM erasing AS e
            WHERE e.relation = 'issue' AND i.city_id = e.city_id AND i.issue_id = e.object_id
              AND (i.erased_at IS NULL OR i.erased_at < e.erased_at)
              AND coalesce((SELECT min(v.at) FROM issue_event AS v
                            WHERE v.city_id = i.city_id AND v.issue_id = i.issue_id),
                           i.reported_at) <= e.erased_at
            RETURNING i.city_id, i.issue_id
        ), reasons AS (
            UPDATE issue_event AS v SET reason = NULL FROM gone AS g
            WHERE v.city_id = g.city_id AND v.issue_id = g.issue_id AND v.reason IS NOT NULL
        )
        SELECT city_id FROM gone""",
    "seconds": """
        DELETE FROM issue_second AS s USING erasing AS e
        WHERE e.relation = 'issue' AND s.city_id = e.city_id AND s.issue_id = e.object_id
          AND s.at <= e.erased_at
        RETURNING s.city_id""",
    "messages": """
        DELETE FROM outbox AS o USING erasing AS e
        WHERE e.relation = 'issue' AND o.city_id = e.city_id AND o.issue_id = e.object_id
          AND o.created_at <= e.erased_at
        RETURNING o.city_id""",
}
_KEPT = text("""
    INSERT INTO tombstone (city_id, relation, object_id, erased_at, reason)
    SELECT city_id, relation, object_id, max(erased_at), min(reason) FROM erasing
    GROUP BY city_id, relation, object_id
    ON CONFLICT (city_id, relation, object_id) DO UPDATE
    SET erased_at = greatest(tombstone.erased_at, excluded.erased_at)
""")


def stones(session: Session) -> list[Stone]:
    """Return everything that was erased, of all cities; for the owner.

    A database of a schema before issues has none.
    """
    if session.scalar(text("SELECT to_regclass('public.tombstone')")) is None:
        return []
    return [Stone(*row) for row in session.execute(_ALL)]


def erase_again(session: Session, found: Iterable[Stone]) -> dict[str, int]:
    """Erase what was erased before, where an older state brought it back; for the owner.

    The stones are kept even of rows that are not here: a third backup may bring them. Rows that
    began after a stone have the number of another issue and are left alone.

    Returns
    -------
    dict
        How many contacts, photos, issues' words, notes of who saw the same and messages went, and
        `beside` them words of topics and alarms.
    """
    listed = sorted(set(found))
    done = dict.fromkeys((*_STEPS, BESIDE), 0)
    if not listed:
        return done
    session.execute(
        _LAID,
        {
            "cities": [one.city for one in listed],
            "relations": [one.relation for one in listed],
            "objects": [one.object_id for one in listed],
            "moments": [one.erased_at for one in listed],
            "reasons": [one.reason for one in listed],
        },
    )
    of_city: dict[int, dict[str, int]] = {}
    session.execute(text("SELECT set_config('wangge.erasing', 'on', true)"))
    for name, statement in _STEPS.items():
        for city_id in session.scalars(text(statement)):
            own = of_city.setdefault(city_id, {})
            own[name] = own.get(name, 0) + 1
            done[name] += 1
    session.execute(text("SELECT set_config('wangge.erasing', '', true)"))
    session.execute(_KEPT)
    session.execute(text("DROP TABLE erasing"))
    for city_id, counts in sorted(of_city.items()):
        counts[BESIDE] = forget(session, city_id)
        done[BESIDE] += counts[BESIDE]
        audit.append(session, city_id, ERASED_AGAIN, "issues", counts)
    return done
