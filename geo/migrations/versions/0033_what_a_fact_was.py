"""The evidence of a rating says what it was; a shop is changed by one at a time."""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("ALTER TABLE rating_evidence ADD COLUMN what TEXT DEFAULT '' NOT NULL")
    op.execute(
        "UPDATE rating_evidence AS e SET what = p.kind || ' ' || p.result FROM inspection AS p"
        " WHERE p.city_id = e.city_id AND p.inspection_id = e.inspection_id"
    )
    op.execute(
        "UPDATE rating_evidence AS e SET what = i.category FROM issue AS i"
        " WHERE i.city_id = e.city_id AND i.issue_id = e.issue_id"
    )
    op.execute("ALTER TABLE shop ADD COLUMN version INTEGER DEFAULT 0 NOT NULL")
    op.execute(f"GRANT UPDATE (version) ON shop TO {BOTH}")


def downgrade() -> None:
    op.execute("ALTER TABLE shop DROP COLUMN version")
    op.execute("ALTER TABLE rating_evidence DROP COLUMN what")
