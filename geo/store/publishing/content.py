"""What is approved: one hash over all that a plan says, one over the ground that it stands on."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.store.drafts.rows import Draft

_GRIDS: Final = text("""
    SELECT grid_id, level, parent_id, name, kind, ended, parts, parts_reason, code_range
    FROM plan_grid
    WHERE city_id = :city AND plan_id = :plan ORDER BY grid_id
""")
_CELLS: Final = text("""
    SELECT string_agg(int8send(cell_id) || int8send(grid_id), ''::bytea ORDER BY cell_id)
    FROM plan_cell WHERE city_id = :city AND plan_id = :plan
""")
_POSTS: Final = text("""
    SELECT post_id, to_grid FROM plan_post WHERE city_id = :city AND plan_id = :plan
    ORDER BY post_id
""")
_GROUND: Final = text("""
    SELECT
        (SELECT concat_ws(' ', count(*), max(cell_id), max(retired_by_cut),
                          sum(hashtextextended(geom::text, 0)))
         FROM cell WHERE city_id = :city),
        (SELECT concat_ws(' ', count(*), sum(hashtextextended(geom::text, 0)))
         FROM barrier WHERE city_id = :city),
        (SELECT concat_ws(' ', count(*), sum(hashtextextended(geom::text, 0)))
         FROM street WHERE city_id = :city)
""")


def content_of(session: Session, draft: Draft) -> bytes:
    """Return the SHA-256 of all that a plan says: base, grids, cells, where posts go.

    What is not part of it: name, members, versions, comments, who keeps which grid.
    """
    digest = hashlib.sha256()
    rows = [draft.base_seq, *(_plain(session, one, draft) for one in (_GRIDS, _POSTS))]
    digest.update(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode())
    digest.update(bytes(session.scalar(_CELLS, draft.known()) or b""))
    return digest.digest()


def _plain(session: Session, statement: Any, draft: Draft) -> list[list[Any]]:
    return [list(row) for row in session.execute(statement, draft.known())]


def checked_of(session: Session, draft: Draft, content: bytes) -> bytes:
    """Return the SHA-256 of a plan's content and of the ground: cells, barriers, streets.

    What the full validator said holds as long as this stays.
    """
    ground = session.execute(_GROUND, draft.known()).one()
    return hashlib.sha256(content + json.dumps(list(ground)).encode()).digest()
