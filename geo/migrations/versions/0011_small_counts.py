"""Counts of few households, and what they could be found by, are told to the staff alone."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STAFF_OF_THE_CITY = (
    "city_id = (SELECT viewer_city('city')) OR (city_id = (SELECT viewer_city('area'))"
    " AND (SELECT viewer_role()) <> 'public')"
)
POLICIES = (
    ("owner", "", "CURRENT_USER", "USING (true) WITH CHECK (true)"),
    ("everybody", "FOR SELECT", "wangge_area, wangge_city", "USING (told)"),
    ("staff", "FOR SELECT", "wangge_area, wangge_city", f"USING ({STAFF_OF_THE_CITY})"),
)

FEW = """
WITH few AS (
    SELECT DISTINCT v.city_id, v.seq, v.vintage, coalesce(g.parent_id, 0) AS parent_id
    FROM net_value AS v
    JOIN net_grid AS g ON g.city_id = v.city_id AND g.grid_id = v.grid_id
        AND g.from_seq <= v.seq AND v.seq < g.to_seq
    WHERE v.measure = 'households' AND v.value > 0 AND v.value < 50
)
UPDATE net_value AS v SET told = false
FROM net_grid AS g
WHERE v.measure = 'households' AND g.city_id = v.city_id AND g.grid_id = v.grid_id
    AND g.from_seq <= v.seq AND v.seq < g.to_seq
    AND EXISTS (SELECT FROM few AS f
        WHERE f.city_id = v.city_id AND f.seq = v.seq AND f.vintage = v.vintage
            AND f.parent_id <> v.grid_id AND f.parent_id IN (
                0, g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6))
"""
SILENT = """
CREATE VIEW net_silent AS
SELECT city_id, seq, vintage, measure, grid_id FROM net_value WHERE NOT told
"""


def upgrade() -> None:
    op.execute("ALTER TABLE net_value ADD COLUMN told boolean NOT NULL DEFAULT true")
    op.execute(FEW)
    op.execute(SILENT)
    op.execute("GRANT SELECT ON net_silent TO wangge_area, wangge_city")
    op.execute("ALTER TABLE net_value ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE net_value FORCE ROW LEVEL SECURITY")
    for name, command, roles, condition in POLICIES:
        op.execute(f"CREATE POLICY {name} ON net_value {command} TO {roles} {condition}")


def downgrade() -> None:
    for name, *_ in POLICIES:
        op.execute(f"DROP POLICY {name} ON net_value")
    op.execute("ALTER TABLE net_value NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE net_value DISABLE ROW LEVEL SECURITY")
    op.execute("DROP VIEW net_silent")
    op.execute("ALTER TABLE net_value DROP COLUMN told")
