"""How Alembic runs here: on a connection that the caller hands over, in one transaction."""

from __future__ import annotations

from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import text

from geo.tables import Base

OURS = set(Base.metadata.tables)


def _ours(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    if kind == "table" and reflected and compare_to is None:
        return name in OURS
    kept = alembic_helpers.include_object(  # type: ignore[no-untyped-call]
        thing, name, kind, reflected, compare_to
    )
    return bool(kept)


connection = context.config.attributes["connection"]
connection.execute(text("SET lock_timeout = '5s'"))
connection.execute(text("SET statement_timeout = '15min'"))
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    include_object=_ours,
    process_revision_directives=alembic_helpers.writer,
    render_item=alembic_helpers.render_item,
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
