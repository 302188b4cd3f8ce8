"""New issues of a large desk are found without walking over all that is in hand."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NEW = (
    "state IN ('reported', 'accepted', 'verified', 'registered', 'returned') AND set_aside IS NULL"
)
DESKS = (("city", ""), ("area_1", "area_1, "), ("organisation", "organisation_id, "))


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for name, columns in DESKS:
        op.execute(
            f"CREATE INDEX ix_issue_new_{name} ON issue (city_id, {columns}due_at, issue_id)"
            f" WHERE {NEW}"
        )


def downgrade() -> None:
    for name, _ in DESKS:
        op.execute(f"DROP INDEX ix_issue_new_{name}")
