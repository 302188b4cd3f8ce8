"""A village becomes a community: a plan says from which range the number of a grid comes."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("ALTER TABLE plan_grid ADD COLUMN code_range text")
    op.execute(f"GRANT UPDATE (code_range) ON plan_grid TO {BOTH}")


def downgrade() -> None:
    op.execute("ALTER TABLE plan_grid DROP COLUMN code_range")
