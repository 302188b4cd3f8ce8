"""What the leader's maps need at once: where households stand, issues by square and month."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"


def upgrade() -> None:
    op.create_table(
        "household_place",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("cell_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "cell_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_household_place_city_id_cell_id_cell"),
        ),
        sa.PrimaryKeyConstraint("city_id", "cell_id", name=op.f("pk_household_place")),
    )
    op.create_table(
        "issue_square",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("set_aside", sa.Text(), nullable=False),
        sa.Column("x", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("y", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("issues", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_issue_square_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "city_id", "month", "category", "set_aside", "x", "y", name=op.f("pk_issue_square")
        ),
    )
    op.execute("GRANT SELECT ON household_place, issue_square TO wangge_area, wangge_city")
    op.execute("ALTER TABLE issue_square ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE issue_square FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON issue_square TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(
        f"CREATE POLICY whole_city ON issue_square FOR SELECT TO wangge_city USING ({WHOLE_CITY})"
    )


def downgrade() -> None:
    op.drop_table("issue_square")
    op.drop_table("household_place")
