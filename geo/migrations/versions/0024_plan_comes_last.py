"""Indexes of a plan's rows name the plan last: beside the key they were a coin's toss for each row.

Two indexes that begin with city and plan cost the same where the database has no figures of a plan
that was just opened, and the wrong one reads the whole plan for each row that is checked.
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_plan_grid_parent", "plan_grid", "parent_id"),
    ("ix_plan_cell_grid", "plan_cell", "grid_id"),
)


def upgrade() -> None:
    for name, table, column in INDEXES:
        op.drop_index(name, table)
        op.create_index(name, table, ["city_id", column, "plan_id"])


def downgrade() -> None:
    for name, table, column in INDEXES:
        op.drop_index(name, table)
        op.create_index(name, table, ["city_id", "plan_id", column])
