"""Plans are redrawn together: comments of members, and notices of what has happened.

A notice tells where to look and nothing else: whoever is woken by it reads in an own transaction,
with the own rights. All writers send them, whatever door they came through.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
VIEWER = "(SELECT viewer_user())"
OWN_CITY = "(city_id = (SELECT viewer_city('area')) OR city_id = (SELECT viewer_city('city')))"
MEMBER = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_plans())::bigint[])"
DISCUSSED = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_discussed())::bigint[])"

FUNCTIONS = """
CREATE FUNCTION viewer_discussed() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(p.plan_id), '{}')
    FROM viewer_context() AS c
    JOIN plan AS p ON p.city_id = (c ->> 'city')::smallint
    WHERE (c ->> 'user')::bigint = ANY (p.members)
      AND p.state IN ('draft', 'submitted', 'approved')
$$;

CREATE FUNCTION plan_people(city smallint, plan bigint)
RETURNS TABLE (user_id bigint, display_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.user_id, a.display_name
    FROM plan AS p
    JOIN user_account AS a ON a.city_id = p.city_id
    WHERE p.city_id = city AND p.plan_id = plan
      AND (a.user_id = ANY (p.members)
           OR a.user_id IN (SELECT m.author_id FROM plan_comment AS m
                            WHERE m.city_id = city AND m.plan_id = plan)
           OR a.user_id IN (SELECT e.actor_id FROM plan_edit AS e
                            WHERE e.city_id = city AND e.plan_id = plan))
      AND (viewer_context() IS NULL AND session_user = (
               SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'plan'::regclass)
           OR city = coalesce(viewer_city('city'), viewer_city('area'))
              AND viewer_user() = ANY (p.members))
$$;

CREATE FUNCTION tell_of_plan() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
    PERFORM pg_notify('wangge_events', json_build_object(
        'kind', TG_ARGV[0], 'city', row -> 'city_id', 'plan', row -> 'plan_id')::text);
    RETURN NULL;
END $$;

CREATE FUNCTION tell_of_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('wangge_events', json_build_object(
        'kind', 'account', 'city', NEW.city_id, 'user', NEW.user_id)::text);
    RETURN NULL;
END $$;
"""
TOLD = (
    ("plan_edit", "plan", "AFTER INSERT", ""),
    ("plan_comment", "plan", "AFTER INSERT OR UPDATE", ""),
    ("plan_grid", "plan", "AFTER UPDATE OF locked_by",
     "WHEN (OLD.locked_by IS DISTINCT FROM NEW.locked_by)"),
    ("plan", "plan", ("AFTER INSERT OR DELETE OR UPDATE OF name, state, rules, members, drawers,"
     " cutters, publishers"), ""),
    ("net", "net", "AFTER INSERT OR UPDATE OF cancelled_at", ""),
)  # fmt: skip
"""Table, kind of notice, when, on which condition."""
ENDED = (
    ("user_account", "AFTER UPDATE OF disabled_at, role"),
    ("user_session", "AFTER UPDATE OF revoked_at"),
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "plan_comment",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("comment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("answers", sa.BigInteger(), nullable=True),
        sa.Column("grid_id", sa.BigInteger(), nullable=True),
        sa.Column("place", Geometry("POINT", srid=4326, spatial_index=False), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.Column("resolved_by", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("city_id", "plan_id", "comment_id", name=op.f("pk_plan_comment")),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id"],
            ["plan.city_id", "plan.plan_id"],
            name=op.f("fk_plan_comment_city_id_plan_id_plan"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id", "answers"],
            ["plan_comment.city_id", "plan_comment.plan_id", "plan_comment.comment_id"],
            name=op.f("fk_plan_comment_city_id_plan_id_answers_plan_comment"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id", "grid_id"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
            name=op.f("fk_plan_comment_city_id_plan_id_grid_id_plan_grid"),
            ondelete="CASCADE",
        ),
        *(
            sa.ForeignKeyConstraint(
                ["city_id", column],
                ["user_account.city_id", "user_account.user_id"],
                name=op.f(f"fk_plan_comment_city_id_{column}_user_account"),
            )
            for column in ("author_id", "resolved_by")
        ),
        sa.CheckConstraint("comment_id >= 1", name=op.f("ck_plan_comment_number")),
        sa.CheckConstraint("answers < comment_id", name=op.f("ck_plan_comment_answers")),
        sa.CheckConstraint(
            "char_length(text) BETWEEN 1 AND 2000", name=op.f("ck_plan_comment_text")
        ),
        sa.CheckConstraint(
            "(resolved_by IS NULL) = (resolved_at IS NULL)", name=op.f("ck_plan_comment_resolved")
        ),
    )
    op.execute(FUNCTIONS)
    op.execute("ALTER TABLE plan_comment ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE plan_comment FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON plan_comment TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY own_plans ON plan_comment FOR SELECT TO {BOTH} USING ({MEMBER})")
    op.execute(
        f"CREATE POLICY members_add ON plan_comment FOR INSERT TO {BOTH}"
        f" WITH CHECK ({DISCUSSED} AND author_id = {VIEWER} AND resolved_by IS NULL)"
    )
    op.execute(
        f"CREATE POLICY members_resolve ON plan_comment FOR UPDATE TO {BOTH}"
        f" USING ({DISCUSSED})"
        f" WITH CHECK ({DISCUSSED} AND coalesce(resolved_by, {VIEWER}) = {VIEWER})"
    )
    op.execute(f"GRANT SELECT, INSERT ON plan_comment TO {BOTH}")
    op.execute(f"GRANT UPDATE (resolved_by, resolved_at) ON plan_comment TO {BOTH}")
    for table, kind, when, condition in TOLD:
        op.execute(
            f"CREATE TRIGGER tell {when} ON {table} FOR EACH ROW {condition}"
            f" EXECUTE FUNCTION tell_of_plan('{kind}')"
        )
    for table, when in ENDED:
        op.execute(
            f"CREATE TRIGGER tell {when} ON {table} FOR EACH ROW EXECUTE FUNCTION tell_of_account()"
        )


def downgrade() -> None:
    for table in (*(one[0] for one in TOLD), *(one[0] for one in ENDED)):
        op.execute(f"DROP TRIGGER tell ON {table}")
    op.drop_table("plan_comment")
    for function in ("tell_of_account", "tell_of_plan", "plan_people", "viewer_discussed"):
        op.execute(f"DROP FUNCTION {function}")
