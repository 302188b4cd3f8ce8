"""Plans are redrawn: who may draw, cut and publish; marks, locks and the borders of their grids.

Members see a plan; among them some draw, some cut, some publish. The policies ask for the signed
context and for the state of the plan, never for a territory. To lock the row of a plan one needs
the right to change it: the policy lets members lock and its author alone write.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMNS = (
    ("plan", "drawers bigint[] NOT NULL DEFAULT '{}'"),
    ("plan", "cutters bigint[] NOT NULL DEFAULT '{}'"),
    ("plan", "publishers bigint[] NOT NULL DEFAULT '{}'"),
    ("plan_grid", "parts integer NOT NULL DEFAULT 1"),
    ("plan_grid", "parts_reason text"),
    ("plan_grid", "boundary_from integer"),
    ("plan_grid", "locked_by bigint"),
    ("plan_edit", "touched bigint[] NOT NULL DEFAULT '{}'"),
    ("plan_edit", "undoes integer"),
)
"""`boundary_from`: the net whose published border a grid still has."""
CHECKS = (
    ("plan_grid", "parts", "parts >= 1"),
    ("plan_edit", "undoes", "undoes < n"),
)
LOCKER = (
    "ALTER TABLE plan_grid ADD CONSTRAINT fk_plan_grid_city_id_user_account"
    " FOREIGN KEY (city_id, locked_by) REFERENCES user_account (city_id, user_id)"
)

DRAWN = """
CREATE FUNCTION viewer_drafts() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(p.plan_id), '{}')
    FROM viewer_context() AS c
    JOIN plan AS p ON p.city_id = (c ->> 'city')::smallint
    WHERE (c ->> 'user')::bigint = ANY (p.members)
      AND (c ->> 'user')::bigint = ANY (p.drawers) AND p.state = 'draft'
$$;
"""
USERS = """
CREATE FUNCTION known_users(city smallint, users bigint[]) RETURNS TABLE (user_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.user_id FROM user_account AS a
    WHERE a.city_id = city AND a.user_id = ANY (users) AND a.disabled_at IS NULL
      AND (viewer_context() IS NULL AND session_user = (
               SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'plan'::regclass)
           OR city = coalesce(viewer_city('city'), viewer_city('area'))
              AND viewer_role() <> 'public')
$$;
"""
BOTH = "wangge_area, wangge_city"
VIEWER = "(SELECT viewer_user())"
WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"
OWN_CITY = f"(city_id = (SELECT viewer_city('area')) OR {WHOLE_CITY})"
BY_OFFICE = f"{WHOLE_CITY} AND (SELECT viewer_role()) IN ('administrator', 'planner')"
AUTHOR = f"{OWN_CITY} AND author_id = {VIEWER} AND {VIEWER} = ANY (members)"
DRAFTED = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_drafts())::bigint[])"
DRAWS = f"{OWN_CITY} AND cardinality((SELECT viewer_drafts())::bigint[]) > 0"
UNPUBLISHED = "state IN ('draft', 'submitted', 'withdrawn')"

POLICIES = (
    ("plan", "office_opens", "INSERT", "wangge_city",
     (f"WITH CHECK ({BY_OFFICE} AND author_id = {VIEWER} AND {VIEWER} = ANY (members)"
     " AND state = 'draft')")),
    ("plan", "members_lock", "UPDATE", BOTH,
     f"USING ({OWN_CITY} AND {VIEWER} = ANY (members)) WITH CHECK ({AUTHOR} AND {UNPUBLISHED})"),
    ("plan", "author_deletes", "DELETE", BOTH, f"USING ({AUTHOR} AND {UNPUBLISHED})"),
    ("plan_grid", "drawers_add", "INSERT", BOTH, f"WITH CHECK ({DRAFTED})"),
    ("plan_grid", "drawers_change", "UPDATE", BOTH,
     f"USING ({DRAFTED}) WITH CHECK ({DRAFTED})"),
    ("plan_cell", "drawers_add", "INSERT", BOTH, f"WITH CHECK ({DRAFTED})"),
    ("plan_cell", "drawers_change", "UPDATE", BOTH,
     f"USING ({DRAFTED}) WITH CHECK ({DRAFTED})"),
    ("plan_cell", "drawers_drop", "DELETE", BOTH, f"USING ({DRAFTED})"),
    ("plan_edit", "drawers_add", "INSERT", BOTH,
     f"WITH CHECK ({DRAFTED} AND actor_id = {VIEWER})"),
    ("grid", "everybody", "SELECT", BOTH, "USING (true)"),
    ("grid", "drawers_add", "INSERT", BOTH, f"WITH CHECK ({DRAWS})"),
)  # fmt: skip
GRANTS = (
    ("INSERT, DELETE", "plan"),
    ("UPDATE (name, rules, members, drawers, cutters, publishers)", "plan"),
    ("INSERT", "plan_grid"),
    (("UPDATE (parent_id, name, kind, ended, version, boundary, boundary_from, parts,"
     " parts_reason, locked_by)"), "plan_grid"),
    ("INSERT, DELETE, UPDATE (grid_id)", "plan_cell"),
    ("INSERT", "plan_edit"),
    ("INSERT", "grid"),
)  # fmt: skip
OF_PLAN = ("plan_grid", "plan_edit")
"""Tables whose rows go with their plan; those of cells go with their grids."""
OF_GRID = "fk_plan_cell_city_id_plan_id_grid_id_plan_grid"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for table, column in COLUMNS:
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    for table, name, condition in CHECKS:
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({condition})")
    op.execute(LOCKER)
    op.execute("CREATE INDEX ix_plan_grid_parent ON plan_grid (city_id, plan_id, parent_id)")
    op.execute("UPDATE plan SET drawers = ARRAY[author_id] WHERE author_id = ANY (members)")
    _goes_with("CASCADE")
    op.execute("CREATE SEQUENCE plan_number")
    op.execute(
        "SELECT setval('plan_number', (SELECT coalesce(max(plan_id), 0) + 1 FROM plan), false)"
    )
    op.execute(f"GRANT USAGE ON SEQUENCE plan_number TO {BOTH}")
    op.execute(DRAWN)
    op.execute(USERS)
    op.execute("ALTER TABLE grid ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE grid FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON grid TO CURRENT_USER USING (true) WITH CHECK (true)")
    for table, name, command, roles, condition in POLICIES:
        op.execute(f"CREATE POLICY {name} ON {table} FOR {command} TO {roles} {condition}")
    for rights, table in GRANTS:
        op.execute(f"GRANT {rights} ON {table} TO {BOTH}")


def _goes_with(action: str) -> None:
    """Let the rows of a plan be deleted with it, or not."""
    for table in OF_PLAN:
        name = f"fk_{table}_city_id_plan_id_plan"
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (city_id, plan_id)"
            f" REFERENCES plan (city_id, plan_id) ON DELETE {action}"
        )
    op.execute(f"ALTER TABLE plan_cell DROP CONSTRAINT {OF_GRID}")
    op.execute(
        f"ALTER TABLE plan_cell ADD CONSTRAINT {OF_GRID} FOREIGN KEY (city_id, plan_id, grid_id)"
        f" REFERENCES plan_grid (city_id, plan_id, grid_id) ON DELETE {action}"
    )


def downgrade() -> None:
    for table, name, _, _, _ in POLICIES:
        op.execute(f"DROP POLICY {name} ON {table}")
    op.execute("DROP POLICY owner ON grid")
    op.execute("ALTER TABLE grid NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE grid DISABLE ROW LEVEL SECURITY")
    op.execute("DROP FUNCTION viewer_drafts")
    op.execute("DROP FUNCTION known_users")
    op.execute("DROP SEQUENCE plan_number")
    for rights, table in GRANTS:
        op.execute(f"REVOKE {rights} ON {table} FROM {BOTH}")
    op.execute("DROP INDEX ix_plan_grid_parent")
    _goes_with("NO ACTION")
    for table, column in reversed(COLUMNS):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column.partition(' ')[0]}")
