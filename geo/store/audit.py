"""The append-only log: writing a link, reading it, finding broken links."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, select, text, true
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from geo.tables import Audit, UserAccount

INSTALLATION = 0
"""City of rows that belong to no city."""


def append(
    session: Session,
    city_id: int,
    action: str,
    subject: str,
    payload: Mapping[str, Any],
    *,
    actor_id: int | None = None,
    actor_role: str | None = None,
) -> int:
    """Append a row; return its number. Inside a viewer's transaction the actor is the viewer."""
    found = session.execute(
        text(
            "SELECT append_audit(CAST(:city AS smallint), CAST(:actor AS bigint), :role, :action,"
            " :subject, CAST(:payload AS jsonb))"
        ),
        {
            "city": city_id,
            "actor": actor_id,
            "role": actor_role,
            "action": action,
            "subject": subject,
            "payload": json.dumps(dict(payload), ensure_ascii=False),
        },
    )
    return int(found.scalar_one())


def latest(session: Session, city_id: int, action: str) -> dict[str, Any] | None:
    """Return the payload of an action's newest row, None where there is none; for the owner."""
    return session.scalar(
        select(Audit.payload)
        .where(Audit.city_id == city_id, Audit.action == action)
        .order_by(Audit.n.desc())
        .limit(1)
    )


def rows(
    session: Session, visible: ColumnElement[bool], city_id: int, before: int | None, limit: int
) -> Sequence[Row[Any]]:
    """Return the newest rows of a city's log, those numbered below `before` first."""
    statement = (
        select(
            Audit.n,
            Audit.at,
            Audit.actor_id,
            Audit.actor_role,
            UserAccount.login.label("actor"),
            Audit.action,
            Audit.object,
            Audit.payload,
            func.encode(Audit.hash, "hex").label("hash"),
        )
        .outerjoin(
            UserAccount,
            and_(UserAccount.city_id == Audit.city_id, UserAccount.user_id == Audit.actor_id),
        )
        .where(visible, Audit.city_id == city_id, true() if before is None else Audit.n < before)
        .order_by(Audit.n.desc())
        .limit(limit)
    )
    return session.execute(statement).all()


def faults(session: Session, city_id: int) -> list[int]:
    """Return the numbers of rows whose link does not hold; for the owner."""
    statement = text("SELECT n FROM audit_faults(CAST(:city AS smallint)) ORDER BY n")
    return list(session.scalars(statement, {"city": city_id}))
