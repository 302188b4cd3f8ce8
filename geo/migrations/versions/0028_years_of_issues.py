"""Issues of each year counted by cell, all categories together: the question that is asked most."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"
AGAIN = """
INSERT INTO issue_stale (city_id, month)
SELECT DISTINCT city_id, month FROM issue_month
"""
"""Months packed before have no year; packing them again makes it."""


def upgrade() -> None:
    op.create_table(
        "issue_year",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("year", sa.SmallInteger(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.Column("issues", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_issue_year_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "year", name=op.f("pk_issue_year")),
    )
    op.execute("GRANT SELECT ON issue_year TO wangge_area, wangge_city")
    op.execute("ALTER TABLE issue_year ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE issue_year FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON issue_year TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(
        f"CREATE POLICY whole_city ON issue_year FOR SELECT TO wangge_city USING ({WHOLE_CITY})"
    )
    op.execute(AGAIN)


def downgrade() -> None:
    op.drop_table("issue_year")
