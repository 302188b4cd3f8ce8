"""Desks share answer texts and the columns of other platforms, and hear of each other's acts.

Whatever enters the history of an issue is told to the open desks of its city: that something has
changed, never what.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
OWN_CITY = "(city_id = (SELECT viewer_city('area')) OR city_id = (SELECT viewer_city('city')))"
ROLE = "(SELECT viewer_role())"
STAFF = f"{OWN_CITY} AND {ROLE} <> 'public'"
BY_ADMINISTRATOR = f"city_id = (SELECT viewer_city('city')) AND {ROLE} = 'administrator'"
TABLES = ("answer_text", "export_sheet")
ACTS = (
    "report", "accept", "verify", "register", "dispatch", "joint_dispatch", "handle", "check",
    "close", "return", "rework", "postpone", "suspend", "resume", "park", "take_up", "void",
    "solve_on_the_spot", "reopen", "escalate", "supervise", "end_supervision", "note",
    "reclassify", "merge", "split", "set_aside", "put_back", "answer", "warn", "hand_over",
)  # fmt: skip
TELL = """
CREATE FUNCTION tell_of_issues() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('wangge_events', json_build_object(
        'kind', 'issue', 'city', coalesce(viewer_city('city'), viewer_city('area')))::text);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_issues AFTER INSERT ON issue_event
FOR EACH STATEMENT EXECUTE FUNCTION tell_of_issues();
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    _tables()
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
            " EXECUTE FUNCTION note_change()"
        )
        op.execute(f"CREATE POLICY staff ON {table} FOR SELECT TO {BOTH} USING ({STAFF})")
        op.execute(
            f"CREATE POLICY administrator_adds ON {table} FOR INSERT TO wangge_city"
            f" WITH CHECK ({BY_ADMINISTRATOR})"
        )
        for name, command in (("changes", "UPDATE"), ("drops", "DELETE")):
            op.execute(
                f"CREATE POLICY administrator_{name} ON {table} FOR {command} TO wangge_city"
                f" USING ({BY_ADMINISTRATOR})"
            )
        op.execute(f"GRANT SELECT ON {table} TO {BOTH}")
        op.execute(f"GRANT DELETE ON {table} TO wangge_city")
    texts, sheets = "category, act, title, body, changed_at", "title, columns, changed_at"
    op.execute(f"GRANT INSERT (city_id, {texts}), UPDATE ({texts}) ON answer_text TO wangge_city")
    op.execute(
        f"GRANT INSERT (city_id, name, {sheets}), UPDATE ({sheets}) ON export_sheet TO wangge_city"
    )
    op.execute(TELL)
    op.create_index(
        "ix_issue_split", "issue", ["city_id", "split_from"],
        postgresql_where=sa.text("split_from IS NOT NULL"),
    )  # fmt: skip


def _city() -> sa.Column:
    return sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False)


def _changed() -> sa.Column:
    now = sa.text("statement_timestamp()")
    moment = sa.DateTime(timezone=True)
    return sa.Column("changed_at", moment, server_default=now, nullable=False)


def _tables() -> None:
    listed = ", ".join(f"'{one}'" for one in ACTS)
    op.create_table(
        "answer_text",
        _city(),
        sa.Column("text_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("category", sa.Text()),
        sa.Column("act", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _changed(),
        sa.CheckConstraint(f"act IN ({listed})", name=op.f("ck_answer_text_act")),
        sa.ForeignKeyConstraint(
            ["city_id"], ["city.city_id"], name="fk_answer_text_city_id_city", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "category"],
            ["category.city_id", "category.category"],
            name="fk_answer_text_city_id_category_category",
        ),
        sa.PrimaryKeyConstraint("city_id", "text_id", name="pk_answer_text"),
    )
    op.create_table(
        "export_sheet",
        _city(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("columns", postgresql.JSONB(), nullable=False),
        _changed(),
        sa.ForeignKeyConstraint(
            ["city_id"], ["city.city_id"], name="fk_export_sheet_city_id_city", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("city_id", "name", name="pk_export_sheet"),
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER tell_of_issues ON issue_event")
    op.execute("DROP FUNCTION tell_of_issues")
    op.drop_index("ix_issue_split", "issue")
    for table in TABLES:
        op.drop_table(table)
