"""Edits that the worker does: cells are cut, cuts are taken back, grids are divided evenly.

The application never writes a cell of the city. A member who draws on a draft asks; the worker, who
is the owner, looks at the rights again and does the edit in that account's name.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
VIEWER = "(SELECT viewer_user())"
OWN_CITY = "(city_id = (SELECT viewer_city('area')) OR city_id = (SELECT viewer_city('city')))"
MEMBER = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_plans())::bigint[])"
DRAFTED = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_drafts())::bigint[])"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    moment, number = sa.DateTime(timezone=True), sa.BigInteger()
    json = postgresql.JSONB()
    op.create_table(
        "plan_task",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", number, sa.Identity(always=True), nullable=False),
        sa.Column("plan_id", number, nullable=False),
        sa.Column("asked_by", number, nullable=False),
        sa.Column(
            "asked_at", moment, server_default=sa.text("statement_timestamp()"), nullable=False
        ),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("args", json, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("versions", json, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("answer", json, nullable=True),
        sa.Column("error", json, nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.CheckConstraint("state IN ('queued', 'done', 'failed')", name="ck_plan_task_state"),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id"], ["plan.city_id", "plan.plan_id"],
            name="fk_plan_task_city_id_plan_id_plan", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "asked_by"], ["user_account.city_id", "user_account.user_id"],
            name="fk_plan_task_city_id_asked_by_user_account",
        ),
        sa.PrimaryKeyConstraint("city_id", "task_id", name="pk_plan_task"),
    )  # fmt: skip
    op.create_index("ix_plan_task_plan", "plan_task", ["city_id", "plan_id", "task_id"])
    op.create_index(
        "ix_plan_task_queued", "plan_task", ["task_id"],
        postgresql_where=sa.text("state = 'queued'"),
    )  # fmt: skip
    op.execute("ALTER TABLE plan_task ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE plan_task FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON plan_task TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(
        "CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON plan_task"
        " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
        " EXECUTE FUNCTION note_change()"
    )
    op.execute(
        "CREATE TRIGGER call_workers AFTER INSERT ON plan_task"
        " FOR EACH STATEMENT EXECUTE FUNCTION call_workers()"
    )
    op.execute(f"CREATE POLICY own_plans ON plan_task FOR SELECT TO {BOTH} USING ({MEMBER})")
    op.execute(
        f"CREATE POLICY drawers_ask ON plan_task FOR INSERT TO {BOTH}"
        f" WITH CHECK ({DRAFTED} AND asked_by = {VIEWER})"
    )
    columns = "city_id, plan_id, asked_by, op, args, versions"
    op.execute(f"GRANT SELECT, INSERT ({columns}) ON plan_task TO {BOTH}")


def downgrade() -> None:
    op.drop_table("plan_task")
