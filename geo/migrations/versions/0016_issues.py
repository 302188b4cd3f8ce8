"""The life of issues: columns, history, rules, contacts, what leaves the house.

Staff read and change issues by plain columns of the row. A resident has no right to any row: a
report is written without being read, and a code with its secret opens one issue through functions
of the owner, which say no more than the reporter may know.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
AREA_CITY = "city_id = (SELECT viewer_city('area'))"
WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"
OWN_CITY = f"({AREA_CITY} OR {WHOLE_CITY})"
ROLE = "(SELECT viewer_role())"
ORGANISATIONS = "(SELECT viewer_organisations())::bigint[]"
IN_OWN_AREA = " OR ".join(
    f"area_{n} = ANY ((SELECT viewer_areas())::bigint[])" for n in range(1, 7)
)
OWN_CASE = f"organisation_id = ANY ({ORGANISATIONS})"
ASSISTED = f"(assisting IS NOT NULL AND assisting && {ORGANISATIONS})"
BY_ADMINISTRATOR = f"{WHOLE_CITY} AND {ROLE} = 'administrator'"
OWN_ISSUES = f"{AREA_CITY} AND ({IN_OWN_AREA} OR {OWN_CASE} OR {ASSISTED})"
OLD_OWN_ISSUES = f"{AREA_CITY} AND ({IN_OWN_AREA} OR {OWN_CASE})"
OF_SEEN_ISSUE = (
    "EXISTS (SELECT FROM issue AS i WHERE i.city_id = issue_event.city_id"
    " AND i.issue_id = issue_event.issue_id)"
)
STAFF = f"{OWN_CITY} AND {ROLE} <> 'public'"
DESK = f"{AREA_CITY} AND {ROLE} = 'community' AND ({IN_OWN_AREA})"
OPEN = "state NOT IN ('closed', 'void') AND set_aside IS NULL"
FAR = "'2999-12-31 00:00:00+00'::timestamptz"

COLUMNS = (
    "code text", "secret_hash bytea", "client_key bytea", "content_hash bytea", "external text",
    "words text", "address text", "reporter_id bigint", "desk_level smallint NOT NULL DEFAULT 3",
    "assisting bigint[]", "accepted_at timestamptz", "register_by timestamptz",
    "registered_at timestamptz", "dispatched_at timestamptz", "deadline_at timestamptz",
    "deadlines jsonb", "limit_amount double precision", "limit_unit text",
    "suspended_at timestamptz", "remaining_s double precision", "handled_at timestamptz",
    f"due_at timestamptz NOT NULL DEFAULT {FAR}", "review_on date",
    "returns smallint NOT NULL DEFAULT 0", "reworks smallint NOT NULL DEFAULT 0",
    "postpones smallint NOT NULL DEFAULT 0", "reopens smallint NOT NULL DEFAULT 0",
    "on_the_spot boolean NOT NULL DEFAULT false", "supervisor_id bigint",
    "supervised_until date", "warned_at timestamptz", "duplicate_of bigint", "split_from bigint",
    "satisfied boolean", "erased_at timestamptz", "version integer NOT NULL DEFAULT 0",
)  # fmt: skip
CATEGORY_COLUMNS = ("lead_id bigint", "assisting bigint[]", "legal_basis text", "shown text")
DESKS = (
    ("city", ""), ("area_1", "area_1, "), ("area_2", "area_2, "), ("area_3", "area_3, "),
    ("organisation", "organisation_id, "),
)  # fmt: skip
UNIQUE = (("code", "code"), ("client", "client_key"), ("external", "external"))
ASIDE = ("default_geocode", "duplicate", "impossible_time")
ACTS = (
    "report", "accept", "verify", "register", "dispatch", "joint_dispatch", "handle", "check",
    "close", "return", "rework", "postpone", "suspend", "resume", "park", "take_up", "void",
    "solve_on_the_spot", "reopen", "escalate", "supervise", "end_supervision", "note",
    "reclassify", "merge", "split", "set_aside", "put_back", "answer", "warn", "hand_over",
)  # fmt: skip
UNITS = "('clock_hours', 'working_hours', 'working_days')"
TABLES = (
    "limit_rule", "working_calendar", "routing_rule", "issue_contact", "issue_event", "outbox",
    "tombstone",
)  # fmt: skip
RULES = ("limit_rule", "working_calendar", "routing_rule")
NEW_ISSUE = (
    "city_id, issue_id, cell_id, owner_grid, category, channel, state, reported_at, set_aside,"
    " organisation_id, geom, area_1, area_2, area_3, area_4, area_5, area_6, code, secret_hash,"
    " client_key, content_hash, external, words, address, reporter_id, desk_level, register_by,"
    " due_at, split_from"
)
CHANGED = (
    "state, closed_at, set_aside, organisation_id, external, category, desk_level, assisting,"
    " accepted_at, register_by, registered_at, dispatched_at, deadline_at, deadlines,"
    " limit_amount, limit_unit, suspended_at, remaining_s, handled_at, due_at, review_on, returns,"
    " reworks, postpones, reopens, on_the_spot, supervisor_id, supervised_until, warned_at,"
    " duplicate_of, satisfied, version"
)

POLICIES = (
    ("issue", "own_area", "SELECT", "wangge_area", f"USING ({OWN_ISSUES})"),
    ("issue", "all_report", "INSERT", BOTH, f"WITH CHECK ({OWN_CITY} AND state = 'reported')"),
    ("issue", "own_area_acts", "UPDATE", "wangge_area",
     (f"USING ({OWN_ISSUES} AND {ROLE} <> 'public')"
      f" WITH CHECK ({AREA_CITY} AND {ROLE} <> 'public')")),
    ("issue", "whole_city_acts", "UPDATE", "wangge_city",
     f"USING ({WHOLE_CITY} AND {ROLE} IN ('administrator', 'leader'))"),
    ("issue_event", "with_its_issue", "SELECT", BOTH, f"USING ({OWN_CITY} AND {OF_SEEN_ISSUE})"),
    ("issue_event", "all_note", "INSERT", BOTH,
     (f"WITH CHECK ({OWN_CITY} AND actor_role = {ROLE}"
      " AND actor_id IS NOT DISTINCT FROM (SELECT viewer_user()))")),
    ("issue_contact", "desk", "SELECT", "wangge_area", f"USING ({DESK})"),
    ("issue_contact", "all_leave", "INSERT", BOTH, f"WITH CHECK ({OWN_CITY})"),
    ("outbox", "all_write", "INSERT", BOTH, f"WITH CHECK ({OWN_CITY} AND state = 'waiting')"),
    *((table, "everybody", "SELECT", BOTH, "USING (true)") for table in RULES),
    *((table, "administrator_adds", "INSERT", "wangge_city", f"WITH CHECK ({BY_ADMINISTRATOR})")
      for table in RULES),
    *((table, "administrator_changes", "UPDATE", "wangge_city", f"USING ({BY_ADMINISTRATOR})")
      for table in RULES),
    *((table, "administrator_drops", "DELETE", "wangge_city", f"USING ({BY_ADMINISTRATOR})")
      for table in RULES),
)  # fmt: skip
GRANTS = (
    (f"INSERT ({NEW_ISSUE})", "issue", BOTH),
    (f"UPDATE ({CHANGED})", "issue", BOTH),
    ("SELECT, INSERT (city_id, issue_id, at, act, state, actor_id, actor_role, reason, details)",
     "issue_event", BOTH),
    ("INSERT", "issue_contact", BOTH),
    ("SELECT", "issue_contact", "wangge_area"),
    ("INSERT (city_id, issue_id, kind, target, subject, body)", "outbox", BOTH),
    ("UPDATE (lead_id, assisting, legal_basis, shown)", "category", "wangge_city"),
    *(("SELECT", table, BOTH) for table in RULES),
    *(("INSERT, UPDATE, DELETE", table, "wangge_city") for table in RULES),
)  # fmt: skip

NUMBER = """
CREATE FUNCTION next_issue_id(city smallint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7203, city);
    RETURN coalesce((SELECT max(i.issue_id) FROM issue AS i WHERE i.city_id = city), 0) + 1;
END $$;
"""
OF_CLIENT = """
CREATE FUNCTION issue_of_client(wanted bytea)
RETURNS TABLE (issue_id bigint, code text, content_hash bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.issue_id, i.code, i.content_hash FROM issue AS i
    WHERE i.city_id = coalesce(viewer_city('city'), viewer_city('area')) AND i.client_key = wanted
$$;
"""
FOLLOWED = """
CREATE FUNCTION followed_issue(wanted text, secret bytea) RETURNS SETOF issue
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.* FROM issue AS i
    WHERE i.city_id = coalesce(viewer_city('city'), viewer_city('area'))
      AND i.code = wanted AND i.secret_hash = secret
$$;

CREATE FUNCTION followed_events(wanted text, secret bytea)
RETURNS TABLE (at timestamptz, act text, state text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.at, e.act, e.state FROM followed_issue(wanted, secret) AS i
    JOIN issue_event AS e ON e.city_id = i.city_id AND e.issue_id = i.issue_id
    WHERE e.act NOT IN ('note', 'warn', 'supervise', 'end_supervision', 'set_aside', 'put_back')
    ORDER BY e.at, e.event_id
$$;

CREATE FUNCTION answer_followed(wanted text, secret bytea, said text, content boolean, why text)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    own issue;
    moment timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO own FROM issue AS i
    WHERE i.city_id = coalesce(viewer_city('city'), viewer_city('area'))
      AND i.code = wanted AND i.secret_hash = secret FOR UPDATE;
    IF NOT FOUND OR own.state <> 'closed' OR said NOT IN ('answer', 'reopen') THEN
        RETURN NULL;
    END IF;
    UPDATE issue AS i SET
        satisfied = content,
        state = CASE WHEN said = 'reopen' THEN 'accepted' ELSE i.state END,
        reopens = i.reopens + (said = 'reopen')::integer,
        closed_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.closed_at END,
        handled_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.handled_at END,
        dispatched_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.dispatched_at END,
        deadline_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.deadline_at END,
        on_the_spot = i.on_the_spot AND said <> 'reopen',
        due_at = CASE WHEN said = 'reopen' THEN moment ELSE i.due_at END,
        version = i.version + 1
    WHERE i.city_id = own.city_id AND i.issue_id = own.issue_id;
    INSERT INTO issue_event (city_id, issue_id, at, act, state, actor_role, reason, details)
    VALUES (own.city_id, own.issue_id, moment, said,
            CASE WHEN said = 'reopen' THEN 'accepted' ELSE own.state END, 'public', why,
            jsonb_build_object('satisfied', content));
    RETURN CASE WHEN said = 'reopen' THEN 'accepted' ELSE own.state END;
END $$;
"""
NEAR = """
CREATE FUNCTION issues_shown_near(lon double precision, lat double precision, radius_m integer)
RETURNS TABLE (code text, category text, state text, reported_at timestamptz,
               away_m double precision, at_lon double precision, at_lat double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.code, i.category, i.state, i.reported_at,
           ST_Distance(i.geom::geography, ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography),
           ST_X(i.geom), ST_Y(i.geom)
    FROM issue AS i
    JOIN category AS k ON k.city_id = i.city_id AND k.category = i.category
    LEFT JOIN category AS p ON p.city_id = k.city_id AND p.category = k.parent
    WHERE i.city_id = coalesce(viewer_city('city'), viewer_city('area'))
      AND i.geom && ST_Expand(ST_SetSRID(ST_MakePoint(lon, lat), 4326),
                              least(radius_m, 500) / (111000.0 * greatest(cos(radians(lat)), 0.1)))
      AND i.state NOT IN ('reported', 'closed', 'void') AND i.set_aside IS NULL
      AND coalesce(k.shown, p.shown, 'never') = 'exact'
    ORDER BY 5 LIMIT 50
$$;
"""
FUNCTIONS = (
    "next_issue_id(smallint)", "issue_of_client(bytea)", "followed_issue(text, bytea)",
    "followed_events(text, bytea)", "answer_followed(text, bytea, text, boolean, text)",
    "issues_shown_near(double precision, double precision, integer)",
)  # fmt: skip
FINAL = """
CREATE FUNCTION history_is_final() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('wangge.erasing', true) = 'on' THEN
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    RAISE EXCEPTION 'The history is append-only.' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER history_is_final BEFORE UPDATE ON issue_event
FOR EACH ROW EXECUTE FUNCTION history_is_final();
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for column in COLUMNS:
        op.execute(f"ALTER TABLE issue ADD COLUMN {column}")
    for column in CATEGORY_COLUMNS:
        op.execute(f"ALTER TABLE category ADD COLUMN {column}")
    _constraints()
    for name, columns in DESKS:
        op.execute(
            f"CREATE INDEX ix_issue_open_{name} ON issue (city_id, {columns}due_at, issue_id)"
            f" WHERE {OPEN}"
        )
    for name, column in UNIQUE:
        op.execute(
            f"CREATE UNIQUE INDEX uq_issue_{name} ON issue (city_id, {column})"
            f" WHERE {column} IS NOT NULL"
        )
    op.execute(
        "CREATE INDEX ix_issue_assisting ON issue USING gin (assisting) WHERE assisting IS NOT NULL"
    )
    _rules()
    _records()
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
            " EXECUTE FUNCTION note_change()"
        )
    op.execute("DROP POLICY own_area ON issue")
    for table, name, command, roles, condition in POLICIES:
        op.execute(f"CREATE POLICY {name} ON {table} FOR {command} TO {roles} {condition}")
    for rights, table, roles in GRANTS:
        op.execute(f"GRANT {rights} ON {table} TO {roles}")
    for statement in (NUMBER, OF_CLIENT, FOLLOWED, NEAR, FINAL):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM public")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {BOTH}")


def _constraints() -> None:
    aside = ", ".join(f"'{word}'" for word in ASIDE)
    op.execute("ALTER TABLE issue DROP CONSTRAINT ck_issue_set_aside")
    op.execute(
        f"ALTER TABLE issue ADD CONSTRAINT ck_issue_set_aside CHECK (set_aside IN ({aside}))"
    )
    op.execute(
        f"ALTER TABLE issue ADD CONSTRAINT ck_issue_limit_unit CHECK (limit_unit IN {UNITS})"
    )
    op.execute(
        "ALTER TABLE category ADD CONSTRAINT ck_category_shown"
        " CHECK (shown IN ('exact', 'compound', 'never'))"
    )
    op.execute(
        "ALTER TABLE category ADD CONSTRAINT fk_category_city_id_lead_id_organisation"
        " FOREIGN KEY (city_id, lead_id) REFERENCES organisation (city_id, organisation_id)"
    )


def _city() -> sa.Column:
    return sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False)


def _key(table: str, column: str, target: str, remote: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["city_id", column],
        [f"{target}.city_id", f"{target}.{remote}"],
        name=f"fk_{table}_city_id_{column}_{target}",
    )


def _of_city(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["city_id"], ["city.city_id"], name=f"fk_{table}_city_id_city", ondelete="CASCADE"
    )


def _moment(name: str, *, now: bool = False) -> sa.Column:
    default = sa.text("statement_timestamp()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not now)


def _rules() -> None:
    numbers = postgresql.ARRAY(sa.BigInteger())
    op.create_table(
        "limit_rule",
        _city(),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_limit_rule_amount")),
        sa.CheckConstraint(f"unit IN {UNITS}", name=op.f("ck_limit_rule_unit")),
        _key("limit_rule", "category", "category", "category"),
        sa.PrimaryKeyConstraint("city_id", "category", "step", name="pk_limit_rule"),
    )
    op.create_table(
        "working_calendar",
        _city(),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("working", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        _of_city("working_calendar"),
        sa.PrimaryKeyConstraint("city_id", "day", name="pk_working_calendar"),
    )
    op.create_table(
        "routing_rule",
        _city(),
        sa.Column("n", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("grid_id", sa.BigInteger()),
        sa.Column("category", sa.Text()),
        sa.Column("weekdays", postgresql.ARRAY(sa.SmallInteger())),
        sa.Column("from_time", sa.Time()),
        sa.Column("to_time", sa.Time()),
        sa.Column("organisation_id", sa.BigInteger()),
        sa.Column("assisting", numbers),
        sa.Column("desk_level", sa.SmallInteger()),
        sa.CheckConstraint(
            "num_nonnulls(from_time, to_time) IN (0, 2)", name=op.f("ck_routing_rule_times")
        ),
        _of_city("routing_rule"),
        _key("routing_rule", "grid_id", "grid", "grid_id"),
        _key("routing_rule", "category", "category", "category"),
        _key("routing_rule", "organisation_id", "organisation", "organisation_id"),
        sa.PrimaryKeyConstraint("city_id", "n", name="pk_routing_rule"),
    )


def _issue(nullable: bool = False) -> sa.Column:
    return sa.Column("issue_id", sa.BigInteger(), autoincrement=False, nullable=nullable)


def _records() -> None:
    json = sa.Column(
        "details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
    )
    acts = ", ".join(f"'{act}'" for act in ACTS)
    op.create_table(
        "issue_contact",
        _city(),
        _issue(),
        *(sa.Column(name, sa.Text()) for name in ("name", "phone", "email")),
        _moment("created_at", now=True),
        *(sa.Column(f"area_{n}", sa.BigInteger()) for n in range(1, 7)),
        _key("issue_contact", "issue_id", "issue", "issue_id"),
        sa.PrimaryKeyConstraint("city_id", "issue_id", name="pk_issue_contact"),
    )
    op.create_table(
        "issue_event",
        _city(),
        _issue(),
        _moment("at", now=True),
        sa.Column("event_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.BigInteger()),
        sa.Column("actor_role", sa.Text()),
        sa.Column("reason", sa.Text()),
        json,
        sa.CheckConstraint(f"act IN ({acts})", name=op.f("ck_issue_event_act")),
        _key("issue_event", "issue_id", "issue", "issue_id"),
        sa.PrimaryKeyConstraint("city_id", "issue_id", "at", "event_id", name="pk_issue_event"),
    )
    op.create_table(
        "outbox",
        _city(),
        sa.Column("message_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _issue(),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "target", "subject")),
        sa.Column(
            "body", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        _moment("created_at", now=True),
        _moment("sent_at"),
        sa.Column("error", sa.Text()),
        sa.CheckConstraint("kind IN ('email', 'webhook', 'file')", name=op.f("ck_outbox_kind")),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed')", name=op.f("ck_outbox_state")),
        _key("outbox", "issue_id", "issue", "issue_id"),
        sa.PrimaryKeyConstraint("city_id", "message_id", name="pk_outbox"),
    )
    op.execute("CREATE INDEX ix_outbox_waiting ON outbox (message_id) WHERE state = 'waiting'")
    op.create_index("ix_outbox_issue", "outbox", ["city_id", "issue_id"])
    op.create_table(
        "tombstone",
        _city(),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _moment("erased_at", now=True),
        sa.Column("reason", sa.Text(), nullable=False),
        _of_city("tombstone"),
        sa.PrimaryKeyConstraint("city_id", "relation", "object_id", name="pk_tombstone"),
    )


def downgrade() -> None:
    for function in FUNCTIONS:
        if not function.startswith("followed_issue"):
            op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP FUNCTION followed_issue(text, bytea)")
    for table, name, _, _, _ in POLICIES:
        op.execute(f"DROP POLICY {name} ON {table}")
    op.execute(
        f"CREATE POLICY own_area ON issue FOR SELECT TO wangge_area USING ({OLD_OWN_ISSUES})"
    )
    op.execute(f"REVOKE INSERT ({NEW_ISSUE}), UPDATE ({CHANGED}) ON issue FROM {BOTH}")
    op.execute(
        "REVOKE UPDATE (lead_id, assisting, legal_basis, shown) ON category FROM wangge_city"
    )
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION history_is_final")
    for name in ("assisting", *(f"open_{name}" for name, _ in DESKS)):
        op.execute(f"DROP INDEX ix_issue_{name}")
    for name, _ in UNIQUE:
        op.execute(f"DROP INDEX uq_issue_{name}")
    op.execute("UPDATE issue SET set_aside = 'duplicate' WHERE set_aside = 'impossible_time'")
    op.execute("ALTER TABLE issue DROP CONSTRAINT ck_issue_set_aside")
    op.execute(
        "ALTER TABLE issue ADD CONSTRAINT ck_issue_set_aside"
        " CHECK (set_aside IN ('default_geocode', 'duplicate'))"
    )
    for table, columns in (("issue", COLUMNS), ("category", CATEGORY_COLUMNS)):
        for column in reversed(columns):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column.partition(' ')[0]}")
