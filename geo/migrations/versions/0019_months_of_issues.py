"""Issues of each month counted by cell, so that any net's figures follow without reading them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"
TABLES = ("issue_month", "issue_stale")
NOTE = """
CREATE FUNCTION note_issue_months() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO issue_stale (city_id, month)
        SELECT DISTINCT a.city_id, date_trunc('month', a.reported_at AT TIME ZONE c.timezone)::date
        FROM added AS a JOIN city AS c ON c.city_id = a.city_id;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO issue_stale (city_id, month)
        SELECT DISTINCT g.city_id, date_trunc('month', g.reported_at AT TIME ZONE c.timezone)::date
        FROM gone AS g JOIN city AS c ON c.city_id = g.city_id;
    ELSE
        INSERT INTO issue_stale (city_id, month)
        SELECT DISTINCT a.city_id, date_trunc('month', t.moment AT TIME ZONE c.timezone)::date
        FROM added AS a
        JOIN gone AS g ON g.city_id = a.city_id AND g.issue_id = a.issue_id
        JOIN city AS c ON c.city_id = a.city_id
        CROSS JOIN LATERAL (VALUES (a.reported_at), (g.reported_at)) AS t (moment)
        WHERE (a.cell_id, a.category, a.reported_at, a.set_aside)
            IS DISTINCT FROM (g.cell_id, g.category, g.reported_at, g.set_aside);
    END IF;
    RETURN NULL;
END
$$;
"""
TRIGGERS = {
    "INSERT": "NEW TABLE AS added",
    "UPDATE": "OLD TABLE AS gone NEW TABLE AS added",
    "DELETE": "OLD TABLE AS gone",
}
BEFORE = """
INSERT INTO issue_stale (city_id, month)
SELECT DISTINCT i.city_id, date_trunc('month', i.reported_at AT TIME ZONE c.timezone)::date
FROM issue AS i JOIN city AS c ON c.city_id = i.city_id
"""


def upgrade() -> None:
    _of_city(
        "issue_month",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("set_aside", sa.Text(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.Column("issues", sa.LargeBinary(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        key=("city_id", "month", "category", "set_aside"),
    )
    _of_city(
        "issue_stale",
        sa.Column("mark", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        key=("city_id", "mark"),
    )
    for table in TABLES:
        op.execute(f"GRANT SELECT ON {table} TO wangge_area, wangge_city")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY whole_city ON {table} FOR SELECT TO wangge_city USING ({WHOLE_CITY})"
        )
    op.execute(NOTE)
    for order, tables in TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER note_months_{order.lower()} AFTER {order} ON issue"
            f" REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION note_issue_months()"
        )
    op.execute(BEFORE)


def _of_city(name: str, *columns: sa.Column[object], key: tuple[str, ...]) -> None:
    op.create_table(
        name,
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f(f"fk_{name}_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
    )


def downgrade() -> None:
    for order in TRIGGERS:
        op.execute(f"DROP TRIGGER note_months_{order.lower()} ON issue")
    op.execute("DROP FUNCTION note_issue_months()")
    for table in TABLES:
        op.drop_table(table)
