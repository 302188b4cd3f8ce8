"""All long work is told alike: progress, cancelling and lost workers also of tasks of plans.

A task may also make a proposal for its plan: parts with their cells, shapes to be looked at, and
the crosswalk of merged nets. The application asks, and may ask to leave off; the worker writes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
OWN_CITY = "(city_id = (SELECT viewer_city('area')) OR city_id = (SELECT viewer_city('city')))"
MEMBER = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_plans())::bigint[])"
DRAFTED = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_drafts())::bigint[])"

QUEUES = ("plan_task", "publication")
COLUMNS = (
    "share double precision NOT NULL DEFAULT 0",
    "words text NOT NULL DEFAULT ''",
    "cancel_asked boolean NOT NULL DEFAULT false",
    "worker text",
    "lease_until timestamptz",
    "started_at timestamptz",
)
STATES = "'queued', 'running', 'done', 'failed', 'cancelled'"
BEFORE = "'queued', 'done', 'failed'"
LIVE = "state IN ('queued', 'running')"
PROPOSING = f"{LIVE} AND op IN ('propose_division', 'propose_net')"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for table in QUEUES:
        for column in COLUMNS:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column.format(table=table)}")
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_share CHECK (share BETWEEN 0 AND 1)"
        )
        _states(table, STATES)
    op.drop_index("ix_plan_task_queued", "plan_task")
    live = sa.text(LIVE)
    op.create_index("ix_plan_task_live", "plan_task", ["task_id"], postgresql_where=live)
    op.create_index(
        "uq_plan_task_proposal", "plan_task", ["city_id", "plan_id"], unique=True,
        postgresql_where=sa.text(PROPOSING),
    )  # fmt: skip
    op.drop_index("uq_publication_queued", "publication")
    op.create_index(
        "uq_publication_live", "publication", ["city_id", "plan_id"], unique=True,
        postgresql_where=live,
    )  # fmt: skip
    op.execute(
        f"CREATE POLICY drawers_cancel ON plan_task FOR UPDATE TO {BOTH}"
        f" USING ({DRAFTED}) WITH CHECK ({DRAFTED})"
    )
    op.execute(f"GRANT UPDATE (cancel_asked) ON plan_task TO {BOTH}")
    _proposals()


def _states(table: str, states: str) -> None:
    # The naming convention had said its prefix a second time.
    for name in (f"ck_{table}_state", f"ck_{table}_ck_{table}_state"):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_state CHECK (state IN ({states}))")


def _proposals() -> None:
    json = postgresql.JSONB()
    op.create_table(
        "plan_proposal",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"), nullable=False,
        ),
        sa.Column("parts", json, nullable=False),
        sa.Column("shapes", json, nullable=False),
        sa.Column("crosswalk", json, nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "task_id"], ["plan_task.city_id", "plan_task.task_id"],
            name="fk_plan_proposal_city_id_task_id_plan_task", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id"], ["plan.city_id", "plan.plan_id"],
            name="fk_plan_proposal_city_id_plan_id_plan", ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "task_id", name="pk_plan_proposal"),
    )  # fmt: skip
    op.create_index("ix_plan_proposal_plan", "plan_proposal", ["city_id", "plan_id"])
    op.execute("ALTER TABLE plan_proposal ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE plan_proposal FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY owner ON plan_proposal TO CURRENT_USER USING (true) WITH CHECK (true)"
    )
    op.execute(
        "CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON plan_proposal"
        " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
        " EXECUTE FUNCTION note_change()"
    )
    op.execute(f"CREATE POLICY own_plans ON plan_proposal FOR SELECT TO {BOTH} USING ({MEMBER})")
    op.execute(f"GRANT SELECT ON plan_proposal TO {BOTH}")


def downgrade() -> None:
    op.drop_table("plan_proposal")
    op.execute(f"REVOKE UPDATE (cancel_asked) ON plan_task FROM {BOTH}")
    op.execute("DROP POLICY drawers_cancel ON plan_task")
    op.drop_index("uq_publication_live", "publication")
    op.drop_index("uq_plan_task_proposal", "plan_task")
    op.drop_index("ix_plan_task_live", "plan_task")
    for table in QUEUES:
        op.execute(f"UPDATE {table} SET state = 'failed' WHERE state IN ('running', 'cancelled')")
        _states(table, BEFORE)
        for column in reversed(COLUMNS):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column.partition(' ')[0]}")
    queued = sa.text("state = 'queued'")
    op.create_index("ix_plan_task_queued", "plan_task", ["task_id"], postgresql_where=queued)
    op.create_index(
        "uq_publication_queued", "publication", ["city_id", "plan_id"], unique=True,
        postgresql_where=queued,
    )  # fmt: skip
