"""Rows that are entered once, whatever became of the answer, and changed by who read them last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from geo.db import Viewer
from geo.errors import ConflictError, NotFoundError, StaleEditError
from geo.store.together import places


@dataclass(frozen=True)
class Made:
    """Number of what was entered, and whether it came in just now or was there before."""

    number: int
    created: bool


def enter(
    session: Session,
    number: InstrumentedAttribute[int],
    client_id: UUID | None,
    values: Mapping[str, Any],
) -> Made:
    """Enter a row, or return the one that came in under the same id before.

    Parameters
    ----------
    session : Session
    number : column
        What the row is called by: drawn by the database, or given in `values`; of a table with
        `geo.tables.campaign.Once`.
    client_id : UUID, optional
        A random id of whoever sends it; without one each call enters a row.
    values : mapping
        The row, `city_id` among it.

    Raises
    ------
    ConflictError
        If the id was used for another content; `reason` is "sent_already".
    """
    table = number.class_
    content = {name: value for name, value in values.items() if name != number.key}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
    known = _known(session, number, client_id, values["city_id"], digest)
    if known is not None:
        return known
    own = {"client_id": client_id, "content_hash": digest} if client_id else {}
    try:
        with session.begin_nested():
            made = session.scalar(insert(table).values(**values, **own).returning(number))
    except IntegrityError:
        if client_id is None:
            raise
        known = _known(session, number, client_id, values["city_id"], digest)
        if known is None:  # somebody else's, who may not be told of
            raise _sent_already() from None
        return known
    return Made(int(made or 0), created=True)


def locked(
    session: Session,
    viewer: Viewer,
    number: InstrumentedAttribute[int],
    wanted: int,
    version: int | None = None,
    *,
    own_work: bool = False,
) -> Any:
    """Return a row of the viewer's territory, or work, which nobody else changes meanwhile.

    Raises
    ------
    NotFoundError
        If the viewer may see no such row.
    StaleEditError
        If it is no longer of the version that was read.
    """
    table = number.class_
    called = table.__tablename__.rpartition("_")[2]
    row = session.scalars(
        select(table)
        .where(number == wanted, places.seen(table, viewer, own_work=own_work))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no {called} {wanted} of yours.", **{called: wanted})
    if version is not None:
        demand_version(row, version)
    return row


def demand_version(row: Any, version: int) -> None:
    """Refuse a change of what is no longer as it was read.

    Raises
    ------
    StaleEditError
        `version` is the one that stands.
    """
    if row.version != version:
        raise StaleEditError("It was changed since.", version=row.version)


def _known(
    session: Session,
    number: InstrumentedAttribute[int],
    client_id: UUID | None,
    city_id: int,
    digest: bytes,
) -> Made | None:
    if client_id is None:
        return None
    table = number.class_
    row = session.execute(
        select(number, table.content_hash).where(
            table.city_id == city_id, table.client_id == client_id
        )
    ).one_or_none()
    if row is None:
        return None
    if row.content_hash != digest:
        raise _sent_already()
    return Made(int(row[0]), created=False)


def _sent_already() -> ConflictError:
    told = "Something else was sent under this id before."
    return ConflictError(told, field="client_id", reason="sent_already")
