"""References between plans, nets and grids; nets in order; household counts behind the wall."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REFERENCES = (
    ("net", "plan_id", "plan", "plan_id"),
    ("plan", "base_seq", "net", "seq"),
    ("plan", "author_id", "user_account", "user_id"),
    ("plan_edit", "actor_id", "user_account", "user_id"),
    ("handover", "from_grid", "grid", "grid_id"),
    ("handover", "to_grid", "grid", "grid_id"),
    ("source_grid", "grid_id", "grid", "grid_id"),
)

NETS_IN_ORDER = """
CREATE FUNCTION net_follows() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM net AS n WHERE n.city_id = new.city_id AND n.cancelled_at IS NULL
               AND (n.seq >= new.seq OR n.effective_from >= new.effective_from)) THEN
        RAISE EXCEPTION 'Net % of city % does not follow the nets before it.', new.seq, new.city_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tr_net_follows';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER net_follows BEFORE INSERT ON net FOR EACH ROW EXECUTE FUNCTION net_follows();
"""

STAFF_OF_THE_CITY = (
    "city_id = (SELECT viewer_city('city')) OR (city_id = (SELECT viewer_city('area'))"
    " AND (SELECT viewer_role()) <> 'public')"
)
COUNTED = ("cell_value", "household_place")
TOLD_OF_A_BUILDING = "city_id, building_id, cell_id, code, name, use, floors, entrances, footprint"
HOUSEHOLDS = f"""
CREATE VIEW building_household WITH (security_barrier) AS
SELECT city_id, building_id, households FROM building WHERE {STAFF_OF_THE_CITY}
"""


def upgrade() -> None:
    for table, column, target, key in REFERENCES:
        name = f"fk_{table}_city_id_{column}_{target}"
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (city_id, {column})"
            f" REFERENCES {target} (city_id, {key}) NOT VALID"
        )
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    op.create_index("ix_issue_area_3", "issue", ["city_id", "area_3", "reported_at"])
    op.create_index("ix_issue_area_4", "issue", ["city_id", "area_4", "reported_at"])
    op.execute(NETS_IN_ORDER)
    for table in COUNTED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY staff ON {table} FOR SELECT TO wangge_area, wangge_city"
            f" USING ({STAFF_OF_THE_CITY})"
        )
    op.execute("REVOKE SELECT ON building FROM wangge_area, wangge_city")
    op.execute(f"GRANT SELECT ({TOLD_OF_A_BUILDING}) ON building TO wangge_area, wangge_city")
    op.execute(HOUSEHOLDS)
    op.execute("GRANT SELECT ON building_household TO wangge_area, wangge_city")


def downgrade() -> None:
    op.execute("DROP VIEW building_household")
    op.execute("GRANT SELECT ON building TO wangge_area, wangge_city")
    for table in COUNTED:
        op.execute(f"DROP POLICY staff ON {table}")
        op.execute(f"DROP POLICY owner ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("DROP TRIGGER net_follows ON net")
    op.execute("DROP FUNCTION net_follows")
    op.drop_index("ix_issue_area_4", table_name="issue")
    op.drop_index("ix_issue_area_3", table_name="issue")
    for table, column, target, _ in reversed(REFERENCES):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT fk_{table}_city_id_{column}_{target}")
