"""The office: what administrators, planners and communities may write, notices, phones' links.

The application reads columns with rights column by column where a row holds a secret. Every right
to write stands behind a policy on the signed context; the areas of posts and notices are written
by a trigger from the net, so that a policy on them cannot be deceived by the writer.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

AREA_COLUMNS = tuple(f"area_{n}" for n in range(1, 7))

IN_OWN_AREA = " OR ".join(
    f"{name} = ANY ((SELECT viewer_areas())::bigint[])" for name in AREA_COLUMNS
)
AREA_CITY = "city_id = (SELECT viewer_city('area'))"
WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"
OWN_CITY = f"({AREA_CITY} OR {WHOLE_CITY})"
ROLE = "(SELECT viewer_role())"
BY_ADMINISTRATOR = f"{WHOLE_CITY} AND {ROLE} = 'administrator'"
BY_OFFICE = f"{WHOLE_CITY} AND {ROLE} IN ('administrator', 'planner')"
BY_COMMUNITY = f"{AREA_CITY} AND {ROLE} = 'community' AND ({IN_OWN_AREA})"
OWN_PHONES = "user_id = ANY ((SELECT viewer_phones())::bigint[])"
PHONES_OF_COMMUNITY = f"{AREA_CITY} AND {ROLE} = 'community' AND {OWN_PHONES}"
LASTING = "withdrawn_at IS NULL AND (ends_at IS NULL OR ends_at > statement_timestamp())"

BOTH = "wangge_area, wangge_city"
GUARDED = ("post", "notice", "level", "station_kind", "category", "sign_in_link")
"""Tables that row-level security is switched on for here; all but the last two lines' are read
by everybody."""

POLICIES = (
    ("post", "everybody", "SELECT", BOTH, "true"),
    ("post", "office_adds", "INSERT", "wangge_city", BY_OFFICE),
    ("post", "office_changes", "UPDATE", "wangge_city", BY_OFFICE),
    ("post", "community_adds", "INSERT", "wangge_area", BY_COMMUNITY),
    ("post", "community_changes", "UPDATE", "wangge_area", BY_COMMUNITY),
    ("level", "everybody", "SELECT", BOTH, "true"),
    ("level", "administrator", "UPDATE", "wangge_city", BY_ADMINISTRATOR),
    ("station_kind", "everybody", "SELECT", BOTH, "true"),
    ("station_kind", "administrator_adds", "INSERT", "wangge_city", BY_ADMINISTRATOR),
    ("station_kind", "administrator_changes", "UPDATE", "wangge_city", BY_ADMINISTRATOR),
    ("category", "everybody", "SELECT", BOTH, "true"),
    ("category", "administrator_adds", "INSERT", "wangge_city", BY_ADMINISTRATOR),
    ("category", "administrator_changes", "UPDATE", "wangge_city", BY_ADMINISTRATOR),
    ("worker", "office_adds", "INSERT", "wangge_city", BY_OFFICE),
    ("worker", "office_changes", "UPDATE", "wangge_city", BY_OFFICE),
    ("user_account", "administrator_adds", "INSERT", "wangge_city", BY_ADMINISTRATOR),
    ("user_account", "administrator_changes", "UPDATE", "wangge_city", BY_ADMINISTRATOR),
    ("user_account", "phones", "SELECT", "wangge_area", PHONES_OF_COMMUNITY),
    ("area_grant", "administrator_adds", "INSERT", "wangge_city", BY_ADMINISTRATOR),
    ("area_grant", "administrator_takes", "DELETE", "wangge_city", BY_ADMINISTRATOR),
    ("user_session", "administrator", "SELECT", "wangge_city", BY_ADMINISTRATOR),
    ("user_session", "administrator_ends", "UPDATE", "wangge_city", BY_ADMINISTRATOR),
    ("user_session", "phones", "SELECT", "wangge_area", PHONES_OF_COMMUNITY),
    ("user_session", "phones_ended", "UPDATE", "wangge_area", PHONES_OF_COMMUNITY),
    ("sign_in_link", "administrator", "INSERT", "wangge_city",
     f"{BY_ADMINISTRATOR} AND {OWN_PHONES}"),
    ("sign_in_link", "community", "INSERT", "wangge_area", PHONES_OF_COMMUNITY),
    ("notice", "everybody", "SELECT", BOTH, LASTING),
    ("notice", "whole_city", "SELECT", "wangge_city", WHOLE_CITY),
    ("notice", "own_area", "SELECT", "wangge_area", f"{AREA_CITY} AND ({IN_OWN_AREA})"),
    ("notice", "administrator_adds", "INSERT", "wangge_city", BY_ADMINISTRATOR),
    ("notice", "administrator_changes", "UPDATE", "wangge_city", BY_ADMINISTRATOR),
    ("notice", "community_adds", "INSERT", "wangge_area", BY_COMMUNITY),
    ("notice", "community_changes", "UPDATE", "wangge_area", BY_COMMUNITY),
)  # fmt: skip

WORKER_COLUMNS = "name, name_consent"
POST_COLUMNS = "worker_id, duty_number, role, valid_from, valid_to, part_time"
POST_IDENTITY = ", ".join(("city_id, post_id, grid_id, stand_in_for", *AREA_COLUMNS))
NOTICE_COLUMNS = "kind, title, body, begins_at, ends_at, withdrawn_at"
NOTICE_IDENTITY = ", ".join(("city_id, grid_id, author", *AREA_COLUMNS))
ACCOUNT_READ = (
    "city_id, user_id, login, display_name, role, worker_id, organisation_id, demo, created_at,"
    " disabled_at"
)
SESSION_READ = (
    "session_id, city_id, user_id, created_at, expires_at, revoked_at, remembered, device"
)

GRANTS = (
    (f"INSERT ({POST_COLUMNS}, {POST_IDENTITY})", "post", BOTH),
    (f"UPDATE ({POST_COLUMNS})", "post", BOTH),
    ("UPDATE (name, name_en, zoom_min, zoom_max)", "level", "wangge_city"),
    ("INSERT", "station_kind", "wangge_city"),
    ("UPDATE (name, name_en, serves)", "station_kind", "wangge_city"),
    ("INSERT", "category", "wangge_city"),
    ("UPDATE (name, name_en)", "category", "wangge_city"),
    (f"INSERT (city_id, worker_id, {WORKER_COLUMNS})", "worker", "wangge_city"),
    (f"UPDATE ({WORKER_COLUMNS})", "worker", "wangge_city"),
    (f"SELECT ({ACCOUNT_READ})", "user_account", BOTH),
    ("INSERT (city_id, login, display_name, role, password_hash, worker_id, organisation_id, demo)",
     "user_account", "wangge_city"),
    ("UPDATE (display_name, password_hash, demo, disabled_at)", "user_account", "wangge_city"),
    ("INSERT, DELETE", "area_grant", "wangge_city"),
    (f"SELECT ({SESSION_READ}), UPDATE (revoked_at)", "user_session", BOTH),
    ("INSERT (token_hash, city_id, user_id, created_by, expires_at)", "sign_in_link", BOTH),
    ("SELECT", "notice", BOTH),
    (f"INSERT ({NOTICE_COLUMNS}, {NOTICE_IDENTITY})", "notice", BOTH),
    (f"UPDATE ({NOTICE_COLUMNS})", "notice", BOTH),
)  # fmt: skip

PHONES = """
CREATE FUNCTION viewer_phones() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(a.user_id), '{}')
    FROM viewer_context() AS c
    JOIN user_account AS a ON a.city_id = (c ->> 'city')::smallint
    LEFT JOIN worker AS w ON w.city_id = a.city_id AND w.worker_id = a.worker_id
    WHERE a.role = 'worker'
      AND (c ->> 'role' = 'administrator' OR w.areas && viewer_areas())
$$;
"""

AREAS = """
CREATE FUNCTION set_areas() RETURNS trigger
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

CREATE TRIGGER set_areas BEFORE INSERT ON post FOR EACH ROW
WHEN (current_user IN ('wangge_area', 'wangge_city')) EXECUTE FUNCTION set_areas();

CREATE TRIGGER set_areas BEFORE INSERT ON notice FOR EACH ROW
WHEN (current_user IN ('wangge_area', 'wangge_city')) EXECUTE FUNCTION set_areas();

CREATE FUNCTION follow_posts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    concerned bigint[] := ARRAY[NEW.worker_id];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        concerned := concerned || OLD.worker_id;
    END IF;
    UPDATE worker AS w SET areas = coalesce((
        SELECT array_agg(DISTINCT a.id)
        FROM post AS p,
             unnest(ARRAY[p.area_1, p.area_2, p.area_3, p.area_4, p.area_5, p.area_6]) AS a (id)
        WHERE p.city_id = w.city_id AND p.worker_id = w.worker_id AND a.id IS NOT NULL
          AND (p.valid_to IS NULL OR p.valid_to > current_date)), '{}')
    WHERE w.city_id = NEW.city_id AND w.worker_id = ANY (concerned);
    RETURN NULL;
END $$;

CREATE TRIGGER follow_posts AFTER INSERT OR UPDATE ON post FOR EACH ROW
WHEN (current_user IN ('wangge_area', 'wangge_city')) EXECUTE FUNCTION follow_posts();
"""

LINKS = """
CREATE FUNCTION look_at_sign_in_link(link bytea)
RETURNS TABLE (city text, city_name text, city_name_en text, display_name text,
               expires_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    RETURN QUERY
    SELECT c.slug, c.name, c.name_en, a.display_name, l.expires_at
    FROM sign_in_link AS l
    JOIN user_account AS a ON a.city_id = l.city_id AND a.user_id = l.user_id
    JOIN city AS c ON c.city_id = l.city_id
    WHERE l.token_hash = link AND l.used_at IS NULL AND l.expires_at > statement_timestamp()
      AND a.disabled_at IS NULL;
END $$;

CREATE FUNCTION use_sign_in_link(link bytea, token bytea, life interval, on_device text)
RETURNS TABLE (city_id smallint, user_id bigint, role text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found sign_in_link;
    its_role text;
BEGIN
    PERFORM demand_sign_in();
    UPDATE sign_in_link AS l SET used_at = statement_timestamp()
    WHERE l.token_hash = link AND l.used_at IS NULL AND l.expires_at > statement_timestamp()
    RETURNING l.* INTO found;
    IF found.token_hash IS NULL THEN
        RETURN;
    END IF;
    SELECT a.role INTO its_role FROM user_account AS a
    WHERE a.city_id = found.city_id AND a.user_id = found.user_id AND a.disabled_at IS NULL;
    IF its_role IS NULL THEN
        RETURN;
    END IF;
    DELETE FROM sign_in_link AS l
    WHERE l.city_id = found.city_id AND l.user_id = found.user_id
      AND l.expires_at < statement_timestamp() - interval '30 days';
    INSERT INTO user_session (token_hash, city_id, user_id, expires_at, remembered, device)
    VALUES (token, found.city_id, found.user_id, statement_timestamp() + life, true, on_device);
    RETURN QUERY SELECT found.city_id, found.user_id, its_role;
END $$;
"""

AREAS_OF_ACCOUNT = """
CREATE OR REPLACE FUNCTION account_of_session(token bytea)
RETURNS TABLE (city_id smallint, city text, user_id bigint, role text, login text,
               display_name text, worker_id bigint, areas bigint[], organisations bigint[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    RETURN QUERY
    SELECT a.city_id, c.slug, a.user_id, a.role, a.login, a.display_name, a.worker_id,
           coalesce({areas}, '{{}}'),
           CASE WHEN a.organisation_id IS NULL THEN '{{}}'::bigint[]
                ELSE ARRAY[a.organisation_id] END
    FROM user_session AS s
    JOIN user_account AS a ON a.city_id = s.city_id AND a.user_id = s.user_id
    JOIN city AS c ON c.city_id = a.city_id
    WHERE s.token_hash = token AND s.revoked_at IS NULL
      AND s.expires_at > statement_timestamp() AND a.disabled_at IS NULL;
END $$;
"""
GRANTED = """(SELECT array_agg(g.grid_id) FROM area_grant AS g
                     WHERE g.city_id = a.city_id AND g.user_id = a.user_id)"""
HELD = f"""CASE WHEN a.role = 'worker' AND a.worker_id IS NOT NULL THEN
               (SELECT array_agg(DISTINCT p.grid_id) FROM post AS p
                WHERE p.city_id = a.city_id AND p.worker_id = a.worker_id
                  AND p.valid_from <= (statement_timestamp() AT TIME ZONE c.timezone)::date
                  AND (p.valid_to IS NULL
                       OR p.valid_to > (statement_timestamp() AT TIME ZONE c.timezone)::date))
               ELSE {GRANTED} END"""

FOUNDING = """
CREATE FUNCTION may_found(setup_code text, token bytea) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    RETURN EXISTS (
        SELECT FROM app_secret AS s
        WHERE s.name = 'setup_code' AND setup_code <> ''
          AND s.value = sha256(convert_to(setup_code, 'UTF8')))
    OR EXISTS (
        SELECT FROM user_session AS s
        JOIN user_account AS a ON a.city_id = s.city_id AND a.user_id = s.user_id
        WHERE s.token_hash = token AND s.revoked_at IS NULL
          AND s.expires_at > statement_timestamp()
          AND a.role = 'administrator' AND NOT a.demo AND a.disabled_at IS NULL);
END $$;

CREATE FUNCTION found_city(setup_code text, token bytea, founded jsonb, its_levels jsonb,
                           kinds jsonb, categories jsonb, administrator jsonb)
RETURNS smallint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    made smallint;
    account bigint;
BEGIN
    IF NOT may_found(setup_code, token) THEN
        RAISE EXCEPTION 'Only an administrator or the setup code may begin a city.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO city (slug, name, name_en, profile, timezone, metre_srid, origin_x, origin_y,
                      county_code, code_scheme, outline)
    SELECT f.slug, f.name, f.name_en, f.profile, f.timezone, f.metre_srid, f.origin_x, f.origin_y,
           f.county_code, f.code_scheme, NULL
    FROM jsonb_populate_record(NULL::city, founded) AS f
    RETURNING city_id INTO made;
    INSERT INTO level (city_id, level, code, name, name_en, zoom_min, zoom_max)
    SELECT made, l.level, l.code, l.name, l.name_en, l.zoom_min, l.zoom_max
    FROM jsonb_populate_recordset(NULL::level, its_levels) AS l;
    INSERT INTO station_kind (city_id, kind, name, name_en, serves)
    SELECT made, k.kind, k.name, k.name_en, k.serves
    FROM jsonb_populate_recordset(NULL::station_kind, kinds) AS k;
    INSERT INTO category (city_id, category, parent, name, name_en, root)
    SELECT made, k.category, k.parent, k.name, k.name_en, k.root
    FROM jsonb_populate_recordset(NULL::category, categories) AS k;
    INSERT INTO user_account (city_id, login, display_name, role, password_hash)
    SELECT made, a.login, a.display_name, 'administrator', a.password_hash
    FROM jsonb_populate_record(NULL::user_account, administrator) AS a
    RETURNING user_id INTO account;
    DELETE FROM app_secret WHERE name = 'setup_code';
    PERFORM append_audit(made, account, 'administrator', 'city.create',
                         'city/' || (founded ->> 'slug'),
                         jsonb_build_object('metre_srid', founded -> 'metre_srid'));
    RETURN made;
END $$;

CREATE FUNCTION drop_demo_city(wanted text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    dropped smallint;
    pending oid[];
    ready oid[];
    gone oid[];
    ring boolean;
    one oid;
BEGIN
    IF viewer_role() IS DISTINCT FROM 'administrator' THEN
        RAISE EXCEPTION 'Only an administrator may drop the demo city.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT city_id INTO dropped FROM city WHERE slug = wanted AND demo;
    IF dropped IS NULL THEN
        RETURN false;
    END IF;
    SELECT array_agg(c.oid) INTO pending
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'city_id' AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT c.relispartition AND c.relname NOT IN ('audit', 'audit_head');
    WHILE cardinality(pending) > 0 LOOP
        SELECT array_agg(t) INTO ready FROM unnest(pending) AS t
        WHERE NOT EXISTS (
            SELECT FROM pg_constraint AS k
            WHERE k.contype = 'f' AND k.confrelid = t AND k.conrelid <> t
              AND k.conrelid = ANY (pending));
        ring := ready IS NULL;
        IF ring THEN
            ready := pending;
        END IF;
        gone := '{}';
        FOREACH one IN ARRAY ready LOOP
            BEGIN
                EXECUTE format('DELETE FROM %s WHERE city_id = $1', one::regclass) USING dropped;
                gone := gone || one;
            EXCEPTION WHEN foreign_key_violation THEN
                IF NOT ring THEN
                    RAISE;
                END IF;
            END;
        END LOOP;
        IF gone = '{}' THEN
            RAISE EXCEPTION 'Rows of these tables refer to each other: %.', pending::regclass[];
        END IF;
        ready := gone;
        SELECT coalesce(array_agg(t), '{}') INTO pending
        FROM unnest(pending) AS t WHERE t <> ALL (ready);
    END LOOP;
    RETURN true;
END $$;
"""


def upgrade() -> None:
    _tables()
    for statements in (PHONES, AREAS, LINKS, FOUNDING, AREAS_OF_ACCOUNT.format(areas=HELD)):
        op.execute(statements)
    op.execute(f"REVOKE SELECT ON user_account FROM {BOTH}")
    for right, table, roles in GRANTS:
        op.execute(f"GRANT {right} ON {table} TO {roles}")
    for table in GUARDED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
    for table, name, order, roles, condition in POLICIES:
        clauses = {
            "SELECT": f"USING ({condition})",
            "DELETE": f"USING ({condition})",
            "INSERT": f"WITH CHECK ({condition})",
            "UPDATE": f"USING ({condition}) WITH CHECK ({condition})",
        }
        op.execute(f"CREATE POLICY {name} ON {table} FOR {order} TO {roles} {clauses[order]}")


def _tables() -> None:
    op.create_index("ix_cell_value_cell", "cell_value", ["city_id", "cell_id"])
    op.create_index("ix_issue_organisation", "issue", ["city_id", "organisation_id"])
    op.add_column("post", sa.Column("stand_in_for", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_post_city_id_stand_in_for_post"),
        "post",
        "post",
        ["city_id", "stand_in_for"],
        ["city_id", "post_id"],
    )
    op.execute(
        "ALTER TABLE user_session"
        " ADD COLUMN session_id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,"
        " ADD COLUMN remembered boolean DEFAULT false NOT NULL,"
        " ADD COLUMN device text,"
        " ADD CONSTRAINT uq_user_session_session_id UNIQUE (session_id)"
    )
    owner = sa.ForeignKeyConstraint(
        ["city_id", "user_id"],
        ["user_account.city_id", "user_account.user_id"],
        name=op.f("fk_sign_in_link_city_id_user_id_user_account"),
        ondelete="CASCADE",
    )
    now = sa.text("statement_timestamp()")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "sign_in_link",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("city_id", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("created_at", moment, server_default=now, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=True),
        owner,
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in_link")),
    )
    op.create_index("ix_sign_in_link_user", "sign_in_link", ["city_id", "user_id"])
    op.create_table(
        "notice",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("notice_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("grid_id", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "title", "body")),
        sa.Column("begins_at", moment, nullable=False),
        sa.Column("ends_at", moment, nullable=True),
        sa.Column("author", sa.BigInteger(), nullable=False),
        sa.Column("created_at", moment, server_default=now, nullable=False),
        sa.Column("withdrawn_at", moment, nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in AREA_COLUMNS),
        sa.CheckConstraint(
            "kind IN ('water', 'power', 'heating', 'works', 'other')", name=op.f("ck_notice_kind")
        ),
        sa.CheckConstraint("ends_at IS NULL OR begins_at < ends_at", name=op.f("ck_notice_dates")),
        sa.ForeignKeyConstraint(
            ["city_id"], ["city.city_id"], name=op.f("fk_notice_city_id_city"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_notice_city_id_grid_id_grid"),
        ),
        sa.PrimaryKeyConstraint("city_id", "notice_id", name=op.f("pk_notice")),
    )
    op.create_index("ix_notice_grid", "notice", ["city_id", "grid_id"])


def downgrade() -> None:
    for table, name, _, _, _ in POLICIES:
        op.execute(f"DROP POLICY {name} ON {table}")
    for right, table, roles in GRANTS:
        op.execute(f"REVOKE {right} ON {table} FROM {roles}")
    op.execute(f"GRANT SELECT ON user_account TO {BOTH}")
    for table in GUARDED:
        op.execute(f"DROP POLICY owner ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute(AREAS_OF_ACCOUNT.format(areas=GRANTED))
    for trigger, table in (
        ("follow_posts", "post"),
        ("set_areas", "post"),
        ("set_areas", "notice"),
    ):
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for function in (
        "drop_demo_city", "found_city", "may_found", "use_sign_in_link", "look_at_sign_in_link",
        "follow_posts", "set_areas", "viewer_phones",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DELETE FROM app_secret WHERE name = 'setup_code'")
    op.drop_index("ix_issue_organisation", "issue")
    op.drop_index("ix_cell_value_cell", "cell_value")
    op.drop_table("notice")
    op.drop_table("sign_in_link")
    op.drop_constraint("uq_user_session_session_id", "user_session")
    for column in ("device", "remembered", "session_id"):
        op.drop_column("user_session", column)
    op.drop_constraint(op.f("fk_post_city_id_stand_in_for_post"), "post")
    op.execute("DELETE FROM post WHERE stand_in_for IS NOT NULL")
    op.drop_column("post", "stand_in_for")
