"""Errata: a wrong name or code of a net is said beside it; the net itself is never edited."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, GridNotFoundError, InvalidInputError, NetNotFoundError
from geo.redraw.edits import text_of
from geo.saying import phrase
from geo.store import audit, rights

FIELDS: Final = ("name", "code")
_GRID: Final = text("""
    SELECT n.seq, g.name, g.code FROM net AS n
    LEFT JOIN net_grid AS g ON g.city_id = n.city_id AND g.grid_id = :grid
        AND g.from_seq <= n.seq AND n.seq < g.to_seq
    WHERE n.city_id = :city AND n.seq = :seq
""")
_NET: Final = text("SELECT seq FROM net WHERE city_id = :city AND seq = :seq")
_PUT: Final = text("""
    INSERT INTO erratum (city_id, seq, grid_id, field, stated, correct, reason, author_id)
    VALUES (:city, :seq, :grid, :field, :stated, :correct, :reason, :author)
    RETURNING erratum_id
""")
_LISTED: Final = text("""
    SELECT e.erratum_id AS erratum, e.seq, e.grid_id AS grid, e.field, e.stated, e.correct,
        e.reason, e.at
    FROM erratum AS e
    JOIN net_grid AS g ON g.city_id = e.city_id AND g.grid_id = e.grid_id
        AND g.from_seq <= e.seq AND e.seq < g.to_seq
    WHERE e.city_id = :city AND g.from_seq <= :seq AND :seq < g.to_seq
        AND (CAST(:grid AS bigint) IS NULL OR e.grid_id = :grid)
    ORDER BY e.erratum_id
""")


def put(
    session: Session, viewer: Viewer, seq: int, grid: int, field: str, correct: str, reason: str
) -> int:
    """Say beside a net what a grid's name or code should have been; return the erratum's number.

    Raises
    ------
    ForbiddenError
        If the viewer is no planner or administrator of the city.
    NetNotFoundError, GridNotFoundError
        If there is no such net, or it has no such grid.
    InvalidInputError
        If the field is neither name nor code, or a text cannot be used.
    ConflictError
        If the net says just that.
    """
    city_id = rights.demand(viewer, rights.OFFICE)
    if field not in FIELDS:
        raise InvalidInputError(phrase("An erratum is about a name or a code."), field="field")
    told = text_of({"correct": correct}, "correct")
    why = text_of({"reason": reason}, "reason")
    found = session.execute(_GRID, {"city": city_id, "seq": seq, "grid": grid}).one_or_none()
    if found is None:
        raise NetNotFoundError(phrase("The city has no net %(seq)s.", seq=seq), seq=seq)
    if found.name is None:
        raise GridNotFoundError(
            phrase("Net %(seq)s has no grid %(grid)s.", seq=seq, grid=grid), grid=grid, seq=seq
        )
    stated = (found.name if field == "name" else found.code) or ""
    if stated == told:
        raise ConflictError(
            phrase("Net %(seq)s says '%(correct)s' already.", seq=seq, correct=told),
            reason="nothing_changes",
        )
    made = session.execute(
        _PUT,
        {
            "city": city_id, "seq": seq, "grid": grid, "field": field, "stated": stated,
            "correct": told, "reason": why, "author": viewer.user_id,
        },
    )  # fmt: skip
    number = int(made.scalar_one())
    audit.append(
        session, city_id, "net.erratum", f"net/{seq}",
        {"erratum": number, "grid": grid, "field": field, "stated": stated, "correct": told},
        actor_id=viewer.user_id, actor_role=str(viewer.role),
    )  # fmt: skip
    return number


def listing(
    session: Session, city_id: int, seq: int, grid: int | None = None
) -> list[dict[str, Any]]:
    """Return what is said beside a net, of all grids or of one; a run has its errata on each net.

    Open to everybody.

    Raises
    ------
    NetNotFoundError
        If there is no such net.
    """
    asked = {"city": city_id, "seq": seq, "grid": grid}
    if session.scalar(_NET, asked) is None:
        raise NetNotFoundError(phrase("The city has no net %(seq)s.", seq=seq), seq=seq)
    return [dict(row) for row in session.execute(_LISTED, asked).mappings()]
