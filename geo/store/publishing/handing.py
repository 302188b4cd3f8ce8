"""A net begins: what is open changes hands at 00:00 of the city's zone; closed rows follow.

Each step can be repeated: what is done already finds nothing to do. The worker looks every few
seconds; the command line does it on demand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.grids import AREA_COLUMNS
from geo.store import audit
from geo.store.holding import hold_cells
from geo.store.loading import refresh_worker_areas
from geo.store.publishing.writing import hold_nets

BATCH: Final = 5_000
"""Closed rows that follow in one transaction."""
_SET_AREAS: Final = ", ".join(f"{name} = g.{name}" for name in AREA_COLUMNS)
_OTHERWISE: Final = " OR ".join(f"x.{name} IS DISTINCT FROM g.{name}" for name in AREA_COLUMNS)

_DUE: Final = text("""
    SELECT n.seq, n.effective_from, (
        SELECT max(b.seq) FROM net AS b
        WHERE b.city_id = n.city_id AND b.seq < n.seq AND b.cancelled_at IS NULL) AS before
    FROM net AS n JOIN city AS c ON c.city_id = n.city_id
    WHERE n.city_id = :city AND n.plan_id IS NOT NULL AND n.cancelled_at IS NULL
        AND n.activated_at IS NULL
        AND n.effective_from <= (statement_timestamp() AT TIME ZONE c.timezone)::date
    ORDER BY n.seq
""")
_WAITING: Final = text("""
    SELECT DISTINCT n.city_id FROM net AS n JOIN city AS c ON c.city_id = n.city_id
    WHERE n.plan_id IS NOT NULL AND n.cancelled_at IS NULL
        AND (n.activated_at IS NULL OR n.settled_at IS NULL)
        AND n.effective_from <= (statement_timestamp() AT TIME ZONE c.timezone)::date
    ORDER BY n.city_id
""")
_LATE_POSTS: Final = text("""
    INSERT INTO handover (city_id, seq, kind, object_id, from_grid, to_grid, reason)
    SELECT x.city_id, h.seq, 'post', x.post_id, x.grid_id, h.to_grid, 'late'
    FROM post AS x
    JOIN handover AS h ON h.city_id = x.city_id AND h.seq = :seq AND h.kind = 'grid'
        AND h.object_id = x.grid_id
    WHERE x.city_id = :city AND (x.valid_to IS NULL OR x.valid_to > :day)
    ON CONFLICT DO NOTHING
""")
_OWN_POSTS: Final = """
    FROM handover AS h
    WHERE x.city_id = :city AND h.city_id = x.city_id AND h.seq = :seq AND h.kind = 'post'
        AND h.object_id = x.post_id AND h.applied_at IS NULL AND x.grid_id = h.from_grid
"""
_POSTS: Final = (
    text("""
        WITH moving AS (
            SELECT x.*, h.to_grid, row_number() OVER (ORDER BY x.post_id)
                + (SELECT max(post_id) FROM post WHERE city_id = :city) AS number
            FROM post AS x
            JOIN handover AS h ON h.city_id = x.city_id AND h.seq = :seq AND h.kind = 'post'
                AND h.object_id = x.post_id AND h.applied_at IS NULL AND h.to_grid IS NOT NULL
            WHERE x.city_id = :city AND x.grid_id = h.from_grid AND x.valid_from < :day
                AND (x.valid_to IS NULL OR x.valid_to > :day)
        )
        INSERT INTO post (city_id, post_id, worker_id, duty_number, grid_id, role, valid_from,
            valid_to, part_time, stand_in_for)
        SELECT m.city_id, m.number, m.worker_id, m.duty_number, m.to_grid, m.role, :day,
            m.valid_to, m.part_time,
            coalesce((SELECT o.number FROM moving AS o WHERE o.post_id = m.stand_in_for),
                     m.stand_in_for)
        FROM moving AS m ORDER BY m.number
    """),
    text(
        "UPDATE post AS x SET valid_to = :day"  # noqa: S608 (constants)
        + _OWN_POSTS
        + " AND x.valid_from < :day AND (x.valid_to IS NULL OR x.valid_to > :day)"
    ),
    text(
        "UPDATE post AS x SET grid_id = h.to_grid"  # noqa: S608 (constants)
        + _OWN_POSTS
        + " AND x.valid_from >= :day AND h.to_grid IS NOT NULL"
    ),
    text(
        "UPDATE post AS x SET valid_to = x.valid_from + 1"  # noqa: S608 (constants)
        + _OWN_POSTS
        + " AND x.valid_from >= :day AND h.to_grid IS NULL"
    ),
)
"""Posts go over on the day: an own row for what they are now; those still to come go as they are,
or for a single day where they become vacant."""
_FOLLOW_GRID: Final = (
    ("notice", "notice_id", "(x.ends_at IS NULL OR x.ends_at > statement_timestamp())"),
    ("organisation", "organisation_id", "true"),
)
_GRANTS: Final = text("""
    SELECT DISTINCT a.user_id FROM area_grant AS a
    JOIN handover AS h ON h.city_id = a.city_id AND h.seq = :seq AND h.kind = 'grid'
        AND h.object_id = a.grid_id
    WHERE a.city_id = :city ORDER BY a.user_id
""")
_ISSUES: Final = text("""
    WITH moving AS (
        SELECT i.issue_id, i.owner_grid AS source,
            coalesce((ARRAY[t.area_1, t.area_2, t.area_3, t.area_4, t.area_5, t.area_6])[
                CASE WHEN b.grid_id = i.owner_grid THEN NULL ELSE o.level END], t.grid_id) AS target
        FROM issue AS i
        JOIN net_cell AS b ON b.city_id = i.city_id AND b.cell_id = i.cell_id
            AND b.from_seq <= :before AND :before < b.to_seq
        JOIN net_cell AS c ON c.city_id = i.city_id AND c.cell_id = i.cell_id
            AND c.from_seq <= :seq AND :seq < c.to_seq
        JOIN net_grid AS t ON t.city_id = i.city_id AND t.grid_id = c.grid_id
            AND t.from_seq <= :seq AND :seq < t.to_seq
        JOIN net_grid AS o ON o.city_id = i.city_id AND o.grid_id = i.owner_grid
            AND o.from_seq <= :before AND :before < o.to_seq
        WHERE i.city_id = :city AND i.state NOT IN ('closed', 'void')
    ), moved AS (
        UPDATE issue AS i SET owner_grid = m.target FROM moving AS m
        WHERE i.city_id = :city AND i.issue_id = m.issue_id AND m.source <> m.target
        RETURNING i.issue_id, m.source, m.target
    )
    INSERT INTO handover (city_id, seq, kind, object_id, from_grid, to_grid, reason, applied_at)
    SELECT :city, :seq, 'issue', issue_id, source, target, 'territory', statement_timestamp()
    FROM moved
    ON CONFLICT DO NOTHING
""")
_AREAS: Final = tuple(
    text(
        f"UPDATE {table} AS x SET {_SET_AREAS} FROM net_grid AS g"  # noqa: S608 (constants)
        f" WHERE x.city_id = :city AND g.city_id = x.city_id AND g.grid_id = x.{column}"
        f" AND g.from_seq <= :seq AND :seq < g.to_seq AND {condition} AND ({_OTHERWISE})"
    )
    for table, column, condition in (
        ("post", "grid_id", "true"),
        ("notice", "grid_id", "true"),
        ("issue", "owner_grid", "x.state NOT IN ('closed', 'void')"),
    )
)
_SETTLE: Final = text(
    "WITH wanted AS ("  # noqa: S608 (constants)
    " SELECT x.issue_id, g.* FROM issue AS x"
    " JOIN net_cell AS c ON c.city_id = x.city_id AND c.cell_id = x.cell_id"
    " AND c.from_seq <= :seq AND :seq < c.to_seq"
    " LEFT JOIN net_grid AS o ON o.city_id = x.city_id AND o.grid_id = x.owner_grid"
    " AND o.from_seq <= :seq AND :seq < o.to_seq"
    " JOIN net_grid AS g ON g.city_id = x.city_id"
    " AND g.grid_id = coalesce(o.grid_id, c.grid_id)"
    " AND g.from_seq <= :seq AND :seq < g.to_seq"
    f" WHERE x.city_id = :city AND x.state IN ('closed', 'void') AND ({_OTHERWISE})"
    " LIMIT :batch)"
    f" UPDATE issue AS x SET {_SET_AREAS} FROM wanted AS g"
    " WHERE x.city_id = :city AND x.issue_id = g.issue_id"
)
"""Closed issues keep their owner, who did the work; who may read them follows the ground."""
_APPLIED: Final = text("""
    UPDATE handover SET applied_at = statement_timestamp()
    WHERE city_id = :city AND seq = :seq AND applied_at IS NULL
""")
_ACTIVATED: Final = text("""
    UPDATE net SET activated_at = statement_timestamp() WHERE city_id = :city AND seq = :seq
""")
_UNSETTLED: Final = text("""
    SELECT n.seq FROM net AS n JOIN city AS c ON c.city_id = n.city_id
    WHERE n.city_id = :city AND n.plan_id IS NOT NULL AND n.cancelled_at IS NULL
        AND n.activated_at IS NOT NULL AND n.settled_at IS NULL
        AND n.effective_from <= (statement_timestamp() AT TIME ZONE c.timezone)::date
    ORDER BY n.seq DESC LIMIT 1
""")
_SETTLED: Final = text("""
    UPDATE net SET settled_at = statement_timestamp()
    WHERE city_id = :city AND seq <= :seq AND activated_at IS NOT NULL AND settled_at IS NULL
""")


@dataclass(frozen=True)
class Begun:
    """A net that has begun.

    Attributes
    ----------
    seq : int
    handed : dict of str to int
        How many things of each kind changed hands.
    grants : list of int
        Accounts that have a grid which is no more among their areas: an administrator looks.
    """

    seq: int
    handed: dict[str, int] = field(default_factory=dict)
    grants: list[int] = field(default_factory=list)


def waiting(session: Session) -> list[int]:
    """Return the cities in which a net has begun and not everything has followed; for the owner."""
    return [int(city) for city in session.scalars(_WAITING)]


def activate(session: Session, city_id: int) -> list[Begun]:
    """Hand over what is open in a city whose nets have begun; for the owner, one transaction.

    Done once for each net, in the order of their numbers, however late.
    """
    hold_nets(session, city_id)
    hold_cells(session, city_id)  # an issue whose cell is being cut would be passed over
    return [_begin(session, city_id, net) for net in session.execute(_DUE, {"city": city_id}).all()]


def _begin(session: Session, city_id: int, net: Any) -> Begun:
    known = {
        "city": city_id, "seq": net.seq, "before": net.before, "day": net.effective_from,
    }  # fmt: skip
    session.execute(_LATE_POSTS, known)
    for statement in _POSTS:
        session.execute(statement, known)
    for table, key, condition in _FOLLOW_GRID:
        for statement in _followed(table, key, condition):
            session.execute(statement, known)
    session.execute(_ISSUES, known)
    for statement in _AREAS:
        session.execute(statement, known)
    refresh_worker_areas(session, city_id)
    session.execute(_APPLIED, known)
    session.execute(_ACTIVATED, known)
    handed = {str(kind): int(number) for kind, number in session.execute(_COUNTED, known)}
    grants = [int(user) for user in session.scalars(_GRANTS, known)]
    told = {"handed": handed, "accounts_without_area": grants}
    audit.append(session, city_id, "net.activate", f"net/{net.seq}", told)
    return Begun(int(net.seq), handed, grants)


_COUNTED: Final = text("""
    SELECT kind, count(*) FROM handover WHERE city_id = :city AND seq = :seq
    GROUP BY kind ORDER BY kind
""")


def _followed(table: str, key: str, condition: str) -> tuple[Any, Any]:
    """Return what notes and moves things of an ended grid to the grid that follows it."""
    of_grid = (
        " JOIN handover AS h ON h.city_id = x.city_id AND h.seq = :seq AND h.kind = 'grid'"
        f" AND h.object_id = x.grid_id AND h.to_grid IS NOT NULL WHERE x.city_id = :city"
        f" AND {condition}"
    )
    note = text(
        "INSERT INTO handover (city_id, seq, kind, object_id, from_grid, to_grid, reason)"  # noqa: S608
        f" SELECT x.city_id, h.seq, '{table}', x.{key}, x.grid_id, h.to_grid, 'follows'"
        f" FROM {table} AS x{of_grid} ON CONFLICT DO NOTHING"
    )
    move = text(
        f"UPDATE {table} AS x SET grid_id = h.to_grid FROM handover AS h"  # noqa: S608
        f" WHERE x.city_id = :city AND h.city_id = x.city_id AND h.seq = :seq"
        f" AND h.kind = '{table}' AND h.object_id = x.{key} AND h.applied_at IS NULL"
    )
    return note, move


def settle(session: Session, city_id: int, batch: int = BATCH) -> int:
    """Let up to `batch` closed issues follow the net that is live; return how many did.

    Zero says that all have: the net is settled then. For the owner.
    """
    hold_nets(session, city_id)
    hold_cells(session, city_id)  # an issue whose cell is being cut would be passed over
    seq = session.scalar(_UNSETTLED, {"city": city_id})
    if seq is None:
        return 0
    known = {"city": city_id, "seq": seq, "batch": batch}
    done = int(getattr(session.execute(_SETTLE, known), "rowcount", 0))
    if not done:
        session.execute(_SETTLED, known)
    return done
