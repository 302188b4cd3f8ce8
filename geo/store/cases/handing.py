"""Issues follow the net: what is open goes to the grid that its cell belongs to now."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.store import audit

BATCH = 50_000

_NOW = """
    SELECT i.issue_id, i.owner_grid AS from_grid, c.grid_id AS to_grid, i.state,
           g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6, g.level
    FROM issue AS i
    JOIN net_cell AS c ON c.city_id = i.city_id AND c.cell_id = i.cell_id
        AND c.from_seq <= :seq AND :seq < c.to_seq
    JOIN net_grid AS g ON g.city_id = c.city_id AND g.grid_id = c.grid_id
        AND g.from_seq <= :seq AND :seq < g.to_seq
    WHERE i.city_id = :city AND (i.state NOT IN ('closed', 'void')) = :open
      AND (i.owner_grid, i.area_1, i.area_2, i.area_3, i.area_4, i.area_5, i.area_6)
          IS DISTINCT FROM
          (c.grid_id, g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6)
    ORDER BY i.issue_id LIMIT :most
"""
_MOVE = """
    UPDATE issue AS i SET owner_grid = n.to_grid, area_1 = n.area_1, area_2 = n.area_2,
        area_3 = n.area_3, area_4 = n.area_4, area_5 = n.area_5, area_6 = n.area_6,
        desk_level = least(i.desk_level, n.level), version = i.version + 1
    FROM now AS n WHERE i.city_id = :city AND i.issue_id = n.issue_id
    RETURNING i.issue_id, n.from_grid, n.to_grid, i.state
"""
_OPEN = text(f"""
    WITH now AS ({_NOW}), moved AS ({_MOVE}), told AS (
        INSERT INTO handover (city_id, seq, kind, object_id, from_grid, to_grid, reason, applied_at)
        SELECT :city, :seq, 'issue', issue_id, from_grid, to_grid, :reason, clock_timestamp()
        FROM moved WHERE from_grid <> to_grid
        ON CONFLICT (city_id, seq, kind, object_id) DO UPDATE SET applied_at = clock_timestamp()
    ), noted AS (
        INSERT INTO issue_event (city_id, issue_id, at, act, state, actor_role, reason, details)
        SELECT :city, issue_id, clock_timestamp(), 'hand_over', state, 'system', :reason,
               jsonb_build_object('from', from_grid, 'to', to_grid, 'seq', :seq)
        FROM moved WHERE from_grid <> to_grid
    )
    SELECT count(*), count(*) FILTER (WHERE from_grid <> to_grid) FROM moved
""")  # noqa: S608
_NOTED = text("""
    INSERT INTO issue_event (city_id, issue_id, at, act, state, actor_role, reason, details)
    SELECT h.city_id, h.object_id, h.applied_at, 'hand_over', i.state, 'system', h.reason,
           jsonb_build_object('from', h.from_grid, 'to', h.to_grid, 'seq', h.seq)
    FROM handover AS h
    JOIN issue AS i ON i.city_id = h.city_id AND i.issue_id = h.object_id
    WHERE h.city_id = :city AND h.seq = :seq AND h.kind = 'issue' AND h.applied_at IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM issue_event AS e
          WHERE e.city_id = h.city_id AND e.issue_id = h.object_id AND e.act = 'hand_over'
            AND e.details ->> 'seq' = CAST(h.seq AS text))
""")
"""The publication of a net moves issues as well: each gets its line of history here."""
_CONTACTS = text("""
    UPDATE issue_contact AS k SET area_1 = i.area_1, area_2 = i.area_2, area_3 = i.area_3,
        area_4 = i.area_4, area_5 = i.area_5, area_6 = i.area_6
    FROM issue AS i
    WHERE k.city_id = :city AND i.city_id = k.city_id AND i.issue_id = k.issue_id
      AND (k.area_1, k.area_2, k.area_3, k.area_4, k.area_5, k.area_6) IS DISTINCT FROM
          (i.area_1, i.area_2, i.area_3, i.area_4, i.area_5, i.area_6)
""")
_CLOSED = text(f"WITH now AS ({_NOW}), moved AS ({_MOVE}) SELECT count(*) FROM moved")  # noqa: S608


def hand_over(
    session: Session, city_id: int, seq: int, reason: str | None = None
) -> dict[str, int]:
    """Let open issues follow a net that has begun; for the owner.

    Each that changes hands gets a line in its history and a row of the hand-over. Those whose grid
    only moved below another parent get the new ancestors. It may be called again.

    Returns
    -------
    dict
        `handed`: issues of another grid now; `moved`: rows changed in all.
    """
    asked: dict[str, Any] = {
        "city": city_id, "seq": seq, "open": True, "most": BATCH,
        "reason": reason or f"net {seq} has begun",
    }  # fmt: skip
    done = {"handed": 0, "moved": 0}
    while True:
        moved, handed = session.execute(_OPEN, asked).one()
        done["handed"] += handed
        done["moved"] += moved
        if moved < BATCH:
            break
    session.execute(_NOTED, {"city": city_id, "seq": seq})
    session.execute(_CONTACTS, {"city": city_id})
    if done["moved"]:
        audit.append(session, city_id, "issue.hand_over", f"net/{seq}", done)
    return done


def follow_closed(session: Session, city_id: int, seq: int) -> int:
    """Let one batch of closed issues follow a net, for rights and lists; return how many did.

    Called again until it returns 0. Figures of past nets need it not: they go by cells.
    """
    asked = {"city": city_id, "seq": seq, "open": False, "most": BATCH}
    return int(session.execute(_CLOSED, asked).scalar_one())
