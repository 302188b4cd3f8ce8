"""Plans that a viewer is a member of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from geo.store.paging import Key, Order, Page
from geo.tables import Plan


def listing(
    session: Session,
    city: int,
    seen: ColumnElement[bool],
    *,
    limit: int = 100,
    after: str | None = None,
) -> Page[dict[str, Any]]:
    """Return a page of the plans that the viewer may see, the newest first.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    statement = select(
        Plan.plan_id.label("plan"),
        Plan.name,
        Plan.state,
        Plan.base_seq,
        Plan.version,
        Plan.created_at,
    ).where(Plan.city_id == city, seen)
    order = Order((Key(Plan.plan_id, int, descending=True),), {"list": "plans", "city": city})
    return order.fetch(session, statement, limit=limit, after=after)
