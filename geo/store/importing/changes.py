"""What an import changed, row by row, and the way back.

While a transaction names a delivery, triggers note every changed row as the database writes it.
The way back runs the notes in reverse, each only if the row is still what the import left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, cast

import psycopg
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from geo.errors import ConflictError
from geo.saying import phrase
from geo.tables import Base, Delivery, DeliveryChange

_NAME: Final = text("SELECT set_config('wangge.delivery', :delivery, true)")
_NOTED: Final = sql.SQL(
    "SELECT n, row_before, row_after FROM delivery_change"
    " WHERE city_id = %(city)s AND delivery_id = %(delivery)s AND relation = %(relation)s"
    " AND n BETWEEN %(first)s AND %(last)s"
)
_TAKE_OUT: Final = sql.SQL(
    "WITH noted AS ({noted}), known AS (SELECT CAST(row_after AS {table}) AS r, row_after"
    " FROM noted) DELETE FROM {table} AS x USING known AS k WHERE {same} AND x::text = k.row_after"
)
_PUT_BACK: Final = sql.SQL(
    "WITH noted AS ({noted}) INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
    " SELECT {values} FROM (SELECT CAST(row_before AS {table}) AS r FROM noted) AS k"
)
_SET_BACK: Final = sql.SQL(
    "WITH noted AS ({noted}), known AS (SELECT CAST(row_before AS {table}) AS r,"
    " CAST(row_after AS {table}) AS a, row_after FROM noted)"
    " UPDATE {table} AS x SET {sets} FROM known AS k WHERE {same_after}"
    " AND x::text = k.row_after"
)


@contextmanager
def noted(session: Session, delivery_id: int) -> Iterator[None]:
    """Note every row that the transaction changes from here on."""
    session.execute(_NAME, {"delivery": str(delivery_id)})
    yield
    session.execute(_NAME, {"delivery": ""})


def revision(session: Session) -> str:
    """Return the schema that rows are written in now."""
    context = MigrationContext.configure(session.connection())
    return str(context.get_current_revision())


@dataclass(frozen=True)
class _Run:
    """Changes of one kind to one table, one after the other."""

    relation: str
    op: str
    first: int
    last: int
    rows: int


def counts(session: Session, city_id: int, delivery_id: int) -> dict[str, int]:
    """Return how many rows of each table an import changed."""
    rows = session.execute(
        select(DeliveryChange.relation, func.count())
        .where(DeliveryChange.city_id == city_id, DeliveryChange.delivery_id == delivery_id)
        .group_by(DeliveryChange.relation)
        .order_by(DeliveryChange.relation)
    )
    return {row[0]: row[1] for row in rows}


def _runs(session: Session, city_id: int, delivery_id: int) -> list[_Run]:
    """Return the changes, the last first, joined where they are of one kind."""
    op = text(
        "CASE WHEN row_before IS NULL THEN 'insert' WHEN row_after IS NULL THEN 'delete'"
        " ELSE 'update' END"
    )
    rows = session.execute(
        select(DeliveryChange.n, DeliveryChange.relation, op)
        .where(DeliveryChange.city_id == city_id, DeliveryChange.delivery_id == delivery_id)
        .order_by(DeliveryChange.n.desc())
    ).all()
    found = []
    for (relation, kind), group in groupby(rows, key=lambda row: (row[1], row[2])):
        numbers = [row[0] for row in group]
        found.append(_Run(relation, kind, numbers[-1], numbers[0], len(numbers)))
    return found


def take_back(session: Session, city_id: int, delivery_id: int) -> None:
    """Bring every row back to what it was before an import.

    Raises
    ------
    ConflictError
        If something builds on what the import made, or the schema is another one since; nothing
        is changed then.
    """
    row = session.get_one(Delivery, (city_id, delivery_id))
    if row.revision != revision(session):
        raise ConflictError(
            phrase("The program was upgraded since this import; it cannot be undone any more."),
            reason="other_schema",
        )
    driver = cast("psycopg.Connection[Any]", session.connection().connection.dbapi_connection)
    try:
        with driver.cursor() as cursor:
            for run in _runs(session, city_id, delivery_id):
                asked = {
                    "city": city_id, "delivery": delivery_id, "relation": run.relation,
                    "first": run.first, "last": run.last,
                }  # fmt: skip
                cursor.execute(_statement(run), asked)
                if cursor.rowcount != run.rows:
                    raise _built_on(session, city_id, delivery_id, run, cursor.rowcount)
    except psycopg.errors.IntegrityError as error:
        table = error.diag.table_name or ""
        raise ConflictError(
            phrase(
                "Rows of %(table)s rest on what this import made; take them back first.",
                table=table,
            ),
            reason="built_on",
            table=table,
        ) from error
    session.expire_all()


def _statement(run: _Run) -> sql.Composed:
    table = Base.metadata.tables[run.relation]
    keys = [column.name for column in table.primary_key.columns]
    columns = [column.name for column in table.columns if column.identity is None]
    every = [column.name for column in table.columns]
    named = {
        "noted": _NOTED,
        "table": sql.Identifier(run.relation),
        "same": _equal(keys, "r"),
        "same_after": _equal(keys, "a"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, every)),
        "values": sql.SQL(", ").join(
            sql.SQL("(k.r).{}").format(sql.Identifier(name)) for name in every
        ),
        "sets": sql.SQL(", ").join(
            sql.SQL("{0} = (k.r).{0}").format(sql.Identifier(name)) for name in columns
        ),
    }
    return {"insert": _TAKE_OUT, "delete": _PUT_BACK, "update": _SET_BACK}[run.op].format(**named)


def _equal(keys: list[str], side: str) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("x.{0} = (k.{1}).{0}").format(sql.Identifier(name), sql.Identifier(side))
        for name in keys
    )


def _built_on(
    session: Session, city_id: int, delivery_id: int, run: _Run, left: int
) -> ConflictError:
    later = session.scalar(
        select(Delivery.delivery_id)
        .join(
            DeliveryChange,
            (DeliveryChange.city_id == Delivery.city_id)
            & (DeliveryChange.delivery_id == Delivery.delivery_id),
        )
        .where(
            Delivery.city_id == city_id,
            Delivery.delivery_id > delivery_id,
            Delivery.undone_at.is_(None),
            Delivery.imported_at.is_not(None),
            DeliveryChange.relation == run.relation,
        )
        .order_by(Delivery.delivery_id.desc())
        .limit(1)
    )
    changed = run.rows - left
    hint = (
        phrase("undo import %(later)s first", later=later)
        if later
        else phrase("somebody changed them by hand")
    )
    return ConflictError(
        phrase(
            "%(changed)s rows of %(relation)s are not what this import left: %(hint)s.",
            changed=changed,
            relation=run.relation,
            hint=hint,
        ),
        reason="built_on",
        table=run.relation,
        rows=changed,
        **({"later": later} if later else {}),
    )


def forget(session: Session, city_id: int, delivery_id: int) -> None:
    """Delete what undoes an import: it cannot be undone any more."""
    session.execute(
        delete(DeliveryChange).where(
            DeliveryChange.city_id == city_id, DeliveryChange.delivery_id == delivery_id
        )
    )
