"""Plans are submitted, approved by a second person, published on a date; posts and errata with it.

The application never writes a net: it asks for a publication, and the worker, who is the owner,
does it. The state of a plan is turned by a function that demands the right for each turn, so that
nobody approves an own plan through whatever door.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
VIEWER = "(SELECT viewer_user())"
WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"
OWN_CITY = f"(city_id = (SELECT viewer_city('area')) OR {WHOLE_CITY})"
BY_OFFICE = f"{WHOLE_CITY} AND (SELECT viewer_role()) IN ('administrator', 'planner')"
MEMBER = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_plans())::bigint[])"
DRAFTED = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_drafts())::bigint[])"
PUBLISHED = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_publishable())::bigint[])"
AUTHOR = f"{OWN_CITY} AND author_id = {VIEWER} AND {VIEWER} = ANY (members)"
UNPUBLISHED = "state IN ('draft', 'submitted', 'withdrawn')"

NEW = ("plan_post", "publication", "erratum")
POLICIES = (
    ("plan_post", "own_plans", "SELECT", BOTH, f"USING ({MEMBER})"),
    ("plan_post", "drawers_add", "INSERT", BOTH, f"WITH CHECK ({DRAFTED})"),
    ("plan_post", "drawers_change", "UPDATE", BOTH, f"USING ({DRAFTED}) WITH CHECK ({DRAFTED})"),
    ("plan_post", "drawers_drop", "DELETE", BOTH, f"USING ({DRAFTED})"),
    ("publication", "own_plans", "SELECT", BOTH, f"USING ({MEMBER})"),
    ("publication", "publishers_add", "INSERT", BOTH,
     f"WITH CHECK ({PUBLISHED} AND asked_by = {VIEWER})"),
    ("erratum", "everybody", "SELECT", BOTH, "USING (true)"),
    ("erratum", "office_adds", "INSERT", "wangge_city",
     f"WITH CHECK ({BY_OFFICE} AND author_id = {VIEWER})"),
)  # fmt: skip
GRANTS = (
    ("SELECT, INSERT, DELETE, UPDATE (to_grid)", "plan_post"),
    ("SELECT, INSERT (city_id, plan_id, asked_by, effective_from, content)", "publication"),
    ("SELECT", "erratum"),
    ("INSERT (city_id, seq, grid_id, field, stated, correct, reason, author_id)", "erratum"),
)
COLUMNS = (
    ("plan", "submitted_by bigint"),
    ("plan", "approved_by bigint"),
    ("plan", "approved_at timestamptz"),
    ("plan", "checked bytea"),
    ("net", "activated_at timestamptz"),
    ("net", "settled_at timestamptz"),
)
PERSONS = ("submitted_by", "approved_by")

FUNCTIONS = """
CREATE FUNCTION viewer_publishable() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(p.plan_id), '{}')
    FROM viewer_context() AS c
    JOIN plan AS p ON p.city_id = (c ->> 'city')::smallint
    WHERE (c ->> 'user')::bigint = ANY (p.members)
      AND (c ->> 'user')::bigint = ANY (p.publishers) AND p.state = 'approved'
$$;

CREATE FUNCTION demand_actor(city smallint, actor bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    viewer jsonb := viewer_context();
BEGIN
    IF viewer IS NULL AND session_user = (
        SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'plan'::regclass) THEN
        RETURN actor;
    END IF;
    IF viewer ->> 'scope' IN ('city', 'area') AND (viewer ->> 'city')::smallint = city THEN
        RETURN (viewer ->> 'user')::bigint;
    END IF;
    RAISE EXCEPTION 'Only a known viewer may do that.' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION turn_plan(
    city smallint, number bigint, actor bigint, target text, content bytea, seen bytea,
    base integer
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    who bigint := demand_actor(city, actor);
    found plan;
    allowed boolean;
BEGIN
    SELECT * INTO found FROM plan AS p WHERE p.city_id = city AND p.plan_id = number FOR UPDATE;
    allowed := who = ANY (found.members) AND CASE target
        WHEN 'submitted' THEN found.state = 'draft' AND who = ANY (found.drawers)
        WHEN 'approved' THEN found.state = 'submitted' AND who = ANY (found.publishers)
            AND who <> found.author_id AND who IS DISTINCT FROM found.submitted_by
        WHEN 'draft' THEN found.state IN ('draft', 'submitted', 'approved')
            AND (who = ANY (found.drawers) OR who = ANY (found.publishers))
            AND (base IS NULL OR who = ANY (found.drawers))
        WHEN 'withdrawn' THEN found.state IN ('draft', 'submitted', 'approved')
            AND who = found.author_id
        ELSE false END;
    IF allowed IS NOT TRUE THEN
        RAISE EXCEPTION 'This account may not make the plan %.', target
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE plan AS p SET state = target,
        base_seq = coalesce(base, p.base_seq),
        submitted_by = CASE WHEN target = 'submitted' THEN who
                            WHEN target = 'approved' THEN p.submitted_by END,
        approved_by = CASE WHEN target = 'approved' THEN who END,
        approved_at = CASE WHEN target = 'approved' THEN statement_timestamp() END,
        approved_hash = CASE WHEN target = 'approved' THEN content END,
        checked = CASE WHEN target = 'approved' THEN seen END
    WHERE p.city_id = city AND p.plan_id = number;
END $$;

CREATE FUNCTION cancel_net(city smallint, number integer, actor bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    who bigint := demand_actor(city, actor);
    of_plan bigint;
BEGIN
    UPDATE net AS n SET cancelled_at = statement_timestamp()
    FROM plan AS p, city AS c
    WHERE n.city_id = city AND n.seq = number AND n.cancelled_at IS NULL
      AND p.city_id = city AND p.plan_id = n.plan_id AND c.city_id = city
      AND who = ANY (p.members) AND who = ANY (p.publishers)
      AND n.effective_from > (statement_timestamp() AT TIME ZONE c.timezone)::date
      AND NOT EXISTS (SELECT FROM net AS x WHERE x.city_id = city AND x.seq > number)
    RETURNING n.plan_id INTO of_plan;
    IF of_plan IS NULL THEN
        RAISE EXCEPTION 'Net % cannot be cancelled by this account.', number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE plan AS p SET state = 'draft', submitted_by = NULL, approved_by = NULL,
        approved_at = NULL, approved_hash = NULL, checked = NULL
    WHERE p.city_id = city AND p.plan_id = of_plan;
    RETURN of_plan;
END $$;

CREATE TRIGGER call_workers AFTER INSERT ON publication
FOR EACH STATEMENT EXECUTE FUNCTION call_workers();

CREATE OR REPLACE FUNCTION set_areas() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    SELECT g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6
    INTO NEW.area_1, NEW.area_2, NEW.area_3, NEW.area_4, NEW.area_5, NEW.area_6
    FROM net_grid AS g
    CROSS JOIN (
        SELECT max(n.seq) AS seq FROM net AS n JOIN city AS c ON c.city_id = n.city_id
        WHERE n.city_id = NEW.city_id AND n.cancelled_at IS NULL
          AND n.effective_from <= (statement_timestamp() AT TIME ZONE c.timezone)::date) AS live
    WHERE g.city_id = NEW.city_id AND g.grid_id = NEW.grid_id
    ORDER BY (g.from_seq <= live.seq AND live.seq < g.to_seq) DESC NULLS LAST, g.from_seq DESC
    LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'No net has the grid %.', NEW.grid_id
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END $$;
"""
AREAS_BEFORE = """
CREATE OR REPLACE FUNCTION set_areas() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    SELECT g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6
    INTO NEW.area_1, NEW.area_2, NEW.area_3, NEW.area_4, NEW.area_5, NEW.area_6
    FROM net_grid AS g
    WHERE g.city_id = NEW.city_id AND g.grid_id = NEW.grid_id
    ORDER BY g.from_seq DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'No net has the grid %.', NEW.grid_id
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END $$;
"""
LOCKED_BY_MEMBERS = (
    f"CREATE POLICY members_lock ON plan FOR UPDATE TO {BOTH}"
    f" USING ({OWN_CITY} AND {VIEWER} = ANY (members)) WITH CHECK ({AUTHOR}"
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for table, column in COLUMNS:
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    for column in PERSONS:
        op.execute(
            f"ALTER TABLE plan ADD CONSTRAINT fk_plan_city_id_{column}_user_account"
            f" FOREIGN KEY (city_id, {column}) REFERENCES user_account (city_id, user_id)"
        )
    _tables()
    op.execute(FUNCTIONS)
    for table in NEW:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
            " EXECUTE FUNCTION note_change()"
        )
    for table, name, command, roles, condition in POLICIES:
        op.execute(f"CREATE POLICY {name} ON {table} FOR {command} TO {roles} {condition}")
    for rights, table in GRANTS:
        op.execute(f"GRANT {rights} ON {table} TO {BOTH}")
    op.execute("DROP POLICY members_lock ON plan")
    op.execute(f"{LOCKED_BY_MEMBERS})")


def _column(name: str, kind: sa.types.TypeEngine, *, key: bool = False, null: bool = False):
    return sa.Column(name, kind, autoincrement=False if key else "auto", nullable=null)


def _now(name: str) -> sa.Column:
    moment = sa.DateTime(timezone=True)
    return sa.Column(name, moment, server_default=sa.text("statement_timestamp()"), nullable=False)


def _key(table: str, columns: list[str], target: str, remote: list[str], on: str | None = None):
    return sa.ForeignKeyConstraint(
        ["city_id", *columns],
        [f"{target}.city_id", *(f"{target}.{name}" for name in remote)],
        name=f"fk_{table}_{'_'.join(['city_id', *columns])}_{target}",
        ondelete=on,
    )


def _tables() -> None:
    number, small = sa.BigInteger(), sa.SmallInteger()
    op.create_table(
        "plan_post",
        _column("city_id", small, key=True),
        _column("plan_id", number, key=True),
        _column("post_id", number, key=True),
        _column("to_grid", number, null=True),
        _key("plan_post", ["plan_id"], "plan", ["plan_id"], "CASCADE"),
        _key("plan_post", ["post_id"], "post", ["post_id"]),
        _key("plan_post", ["plan_id", "to_grid"], "plan_grid", ["plan_id", "grid_id"]),
        sa.PrimaryKeyConstraint("city_id", "plan_id", "post_id", name="pk_plan_post"),
    )
    op.create_table(
        "publication",
        _column("city_id", small, key=True),
        sa.Column("publication_id", number, sa.Identity(always=True), nullable=False),
        _column("plan_id", number),
        _column("asked_by", number),
        _now("asked_at"),
        _column("effective_from", sa.Date()),
        _column("content", sa.LargeBinary()),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempts", small, server_default="0", nullable=False),
        _column("seq", sa.Integer(), null=True),
        _column("error", postgresql.JSONB(), null=True),
        _column("ended_at", sa.DateTime(timezone=True), null=True),
        sa.CheckConstraint("state IN ('queued', 'done', 'failed')", name="ck_publication_state"),
        _key("publication", ["plan_id"], "plan", ["plan_id"], "CASCADE"),
        _key("publication", ["asked_by"], "user_account", ["user_id"]),
        _key("publication", ["seq"], "net", ["seq"]),
        sa.PrimaryKeyConstraint("city_id", "publication_id", name="pk_publication"),
    )
    op.create_index(
        "uq_publication_queued", "publication", ["city_id", "plan_id"], unique=True,
        postgresql_where=sa.text("state = 'queued'"),
    )  # fmt: skip
    op.create_table(
        "erratum",
        _column("city_id", small, key=True),
        sa.Column("erratum_id", number, sa.Identity(always=True), nullable=False),
        _column("seq", sa.Integer()),
        _column("grid_id", number),
        _column("field", sa.Text()),
        _column("stated", sa.Text()),
        _column("correct", sa.Text()),
        _column("reason", sa.Text()),
        _column("author_id", number),
        _now("at"),
        sa.CheckConstraint("field IN ('name', 'code')", name="ck_erratum_field"),
        _key("erratum", ["seq"], "net", ["seq"]),
        _key("erratum", ["grid_id"], "grid", ["grid_id"]),
        _key("erratum", ["author_id"], "user_account", ["user_id"]),
        sa.PrimaryKeyConstraint("city_id", "erratum_id", name="pk_erratum"),
    )
    op.create_index("ix_erratum_grid", "erratum", ["city_id", "grid_id"])


def downgrade() -> None:
    op.execute("DROP POLICY members_lock ON plan")
    op.execute(f"{LOCKED_BY_MEMBERS} AND {UNPUBLISHED})")
    for table in reversed(NEW):
        op.drop_table(table)
    op.execute(AREAS_BEFORE)
    for function in ("cancel_net", "turn_plan", "demand_actor", "viewer_publishable"):
        op.execute(f"DROP FUNCTION {function}")
    for table, column in reversed(COLUMNS):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column.partition(' ')[0]}")
