"""Deliveries, jobs, and the changes of an import as what undoes it.

The application asks for work and reads what came of it; the worker, who is the owner, does it. A
change is noted while an import is under way alone: its transaction names the delivery.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"
BY_OFFICE = f"{WHOLE_CITY} AND (SELECT viewer_role()) IN ('administrator', 'planner')"
BY_AUTHOR = f"{BY_OFFICE} AND author_id = (SELECT viewer_user())"

GUARDED = ("delivery", "delivery_part", "delivery_change", "job")
POLICIES = (
    ("delivery", "office", "SELECT", f"USING ({BY_OFFICE})"),
    ("delivery", "office_adds", "INSERT", f"WITH CHECK ({BY_AUTHOR})"),
    ("delivery_part", "office", "SELECT", f"USING ({BY_OFFICE})"),
    ("job", "office", "SELECT", f"USING ({BY_OFFICE})"),
    ("job", "office_adds", "INSERT", f"WITH CHECK ({BY_AUTHOR})"),
    ("job", "office_cancels", "UPDATE", f"USING ({BY_OFFICE}) WITH CHECK ({BY_OFFICE})"),
)
GRANTS = (
    ("SELECT, INSERT (city_id, name, folder, sha256, bytes, author_id)", "delivery"),
    ("SELECT", "delivery_part"),
    ("SELECT, INSERT (city_id, delivery_id, step, args, author_id), UPDATE (cancel_asked)", "job"),
)

NOTED = (
    "barrier", "building", "category", "cell", "cell_lineage", "cell_value", "city", "compound",
    "grid", "grid_code", "issue", "level", "net", "net_cell", "net_exception", "net_grid",
    "organisation", "plan", "plan_cell", "plan_edit", "plan_grid", "post", "source_grid",
    "source_net", "station", "station_kind", "street", "vintage", "worker",
)  # fmt: skip
"""Tables whose rows an import may change."""

CHANGES = """
CREATE FUNCTION note_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO delivery_change (city_id, delivery_id, relation, row_before, row_after)
    VALUES (coalesce(NEW.city_id, OLD.city_id), current_setting('wangge.delivery')::bigint,
            TG_TABLE_NAME, OLD::text, NEW::text);
    RETURN NULL;
END $$;
"""
CALLS = """
CREATE FUNCTION call_workers() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('wangge_job', '');
    RETURN NULL;
END $$;

CREATE TRIGGER call_workers AFTER INSERT ON job
FOR EACH STATEMENT EXECUTE FUNCTION call_workers();
"""


def upgrade() -> None:
    _tables()
    op.execute(CALLS)
    op.execute(CHANGES)
    for table in NOTED:
        op.execute(
            f"CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
            " EXECUTE FUNCTION note_change()"
        )
    for table in GUARDED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
    for table, name, command, condition in POLICIES:
        op.execute(f"CREATE POLICY {name} ON {table} FOR {command} TO wangge_city {condition}")
    for rights, table in GRANTS:
        op.execute(f"GRANT {rights} ON {table} TO wangge_city")


def _of_delivery(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["city_id", "delivery_id"],
        ["delivery.city_id", "delivery.delivery_id"],
        name=f"fk_{table}_city_id_delivery",
        ondelete="CASCADE",
    )


def _moment(name: str, *, now: bool = False) -> sa.Column:
    default = sa.text("statement_timestamp()") if now else None
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=default, nullable=default is None
    )


def _tables() -> None:
    json = postgresql.JSONB()
    op.create_table(
        "delivery",
        sa.Column("city_id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("delivery_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="received", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text()),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger()),
        _moment("received_at", now=True),
        sa.Column("kind", sa.Text()),
        sa.Column("understood", json),
        sa.Column("wish", json),
        sa.Column("report", json),
        _moment("imported_at"),
        _moment("undone_at"),
        sa.Column("revision", sa.Text()),
        sa.CheckConstraint(
            "state IN ('received', 'understood', 'prepared', 'imported', 'undone', 'refused',"
            " 'dropped')",
            name="ck_delivery_state",
        ),
        sa.ForeignKeyConstraint(
            ["city_id"], ["city.city_id"], name="fk_delivery_city_id_city", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "author_id"],
            ["user_account.city_id", "user_account.user_id"],
            name="fk_delivery_city_id_user_account",
        ),
        sa.PrimaryKeyConstraint("city_id", "delivery_id", name="pk_delivery"),
        sa.UniqueConstraint("delivery_id", name="uq_delivery_delivery_id"),
    )
    op.create_index("ix_delivery_received", "delivery", ["city_id", "received_at"])
    op.create_table(
        "delivery_part",
        sa.Column("city_id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("content", json, nullable=False),
        _of_delivery("delivery_part"),
        sa.PrimaryKeyConstraint("city_id", "delivery_id", "part", name="pk_delivery_part"),
    )
    op.create_table(
        "delivery_change",
        sa.Column("city_id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("row_before", sa.Text()),
        sa.Column("row_after", sa.Text()),
        _of_delivery("delivery_change"),
        sa.PrimaryKeyConstraint("city_id", "delivery_id", "n", name="pk_delivery_change"),
    )
    op.create_table(
        "job",
        sa.Column("city_id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("job_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("args", json, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("share", sa.Float(), server_default="0", nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("cancel_asked", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("worker", sa.Text()),
        _moment("lease_until"),
        sa.Column("error", json),
        sa.Column("author_id", sa.BigInteger()),
        _moment("created_at", now=True),
        _moment("started_at"),
        _moment("ended_at"),
        sa.CheckConstraint(
            "step IN ('look', 'prepare', 'import', 'undo', 'drop')", name="ck_job_step"
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="ck_job_state"
        ),
        sa.CheckConstraint("share BETWEEN 0 AND 1", name="ck_job_share"),
        _of_delivery("job"),
        sa.PrimaryKeyConstraint("city_id", "job_id", name="pk_job"),
        sa.UniqueConstraint("job_id", name="uq_job_job_id"),
    )
    live = sa.text("state IN ('queued', 'running')")
    op.create_index(
        "uq_job_live", "job", ["city_id", "delivery_id"], unique=True, postgresql_where=live
    )
    op.create_index("ix_job_live", "job", ["job_id"], postgresql_where=live)
    op.create_index("ix_job_delivery", "job", ["city_id", "delivery_id", "job_id"])


def downgrade() -> None:
    for table in NOTED:
        op.execute(f"DROP TRIGGER note_change ON {table}")
    op.execute("DROP FUNCTION note_change")
    op.drop_table("job")
    op.execute("DROP FUNCTION call_workers")
    for table in ("delivery_change", "delivery_part", "delivery"):
        op.drop_table(table)
