"""Shares of compounds and grids are for the city's staff; how they lie is for everybody."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STAFF_OF_THE_CITY = (
    "city_id = (SELECT viewer_city('city')) OR (city_id = (SELECT viewer_city('area'))"
    " AND (SELECT viewer_role()) <> 'public')"
)
RELATION = """
CREATE VIEW net_relation AS
SELECT city_id, seq, compound_id,
       CASE WHEN max(share_of_compound) >= 0.95
            THEN CASE WHEN (array_agg(share_of_grid
                                      ORDER BY share_of_compound DESC, grid_id))[1] >= 0.95
                      THEN 'equal' ELSE 'smaller' END
            WHEN sum(share_of_compound) FILTER (WHERE share_of_grid >= 0.95) >= 0.95
            THEN 'larger' ELSE 'crossing' END AS relation,
       count(*) AS grids,
       (array_agg(grid_id ORDER BY share_of_compound DESC, grid_id))[1] AS grid_id
FROM net_compound GROUP BY city_id, seq, compound_id
"""


def upgrade() -> None:
    op.execute("ALTER TABLE net_compound ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE net_compound FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON net_compound TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(
        "CREATE POLICY staff ON net_compound FOR SELECT TO wangge_area, wangge_city"
        f" USING ({STAFF_OF_THE_CITY})"
    )
    op.execute(RELATION)
    op.execute("GRANT SELECT ON net_relation TO wangge_area, wangge_city")


def downgrade() -> None:
    op.execute("DROP VIEW net_relation")
    for name in ("staff", "owner"):
        op.execute(f"DROP POLICY {name} ON net_compound")
    op.execute("ALTER TABLE net_compound NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE net_compound DISABLE ROW LEVEL SECURITY")
