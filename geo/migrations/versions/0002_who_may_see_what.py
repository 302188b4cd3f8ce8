"""Roles, row-level security, sign-in functions and the append-only log.

A policy compares plain columns with values of the signed context, each fetched once for a statement
by a scalar sub-select; it never calls a function for a row.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROLES = """
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['wangge_area', 'wangge_city'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
        IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', wanted, current_user);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE NOTICE 'The login % cannot take the role %.', current_user, wanted;
            END;
        END IF;
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'The login % may not create the roles wangge_area and wangge_city. Ask the '
        'database''s administrator to run: CREATE ROLE wangge_area NOLOGIN; CREATE ROLE '
        'wangge_city NOLOGIN; GRANT wangge_area, wangge_city TO %;', current_user, current_user;
END $$;
"""

CONTEXT = """
INSERT INTO app_secret (name, value) VALUES ('context', gen_random_bytes(32));

CREATE FUNCTION viewer_context() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    raw text := current_setting('wangge.context', true);
    payload text;
    content jsonb;
BEGIN
    IF raw IS NULL OR length(raw) < 66 THEN
        RETURN NULL;
    END IF;
    payload := substr(raw, 65);
    IF left(raw, 64) <> encode(
        hmac(convert_to(payload, 'UTF8'), (SELECT value FROM app_secret WHERE name = 'context'),
             'sha256'), 'hex') THEN
        RETURN NULL;
    END IF;
    content := payload::jsonb;
    IF (content ->> 'until')::bigint < extract(epoch FROM statement_timestamp()) THEN
        RETURN NULL;
    END IF;
    RETURN content;
END $$;

CREATE FUNCTION viewer_city(wanted text) RETURNS smallint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (c ->> 'city')::smallint FROM viewer_context() AS c WHERE c ->> 'scope' = wanted
$$;

CREATE FUNCTION viewer_areas() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(value::bigint), '{}')
    FROM viewer_context() AS c, jsonb_array_elements_text(c -> 'areas') AS value
$$;

CREATE FUNCTION viewer_organisations() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(value::bigint), '{}')
    FROM viewer_context() AS c, jsonb_array_elements_text(c -> 'organisations') AS value
$$;

CREATE FUNCTION viewer_user() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (c ->> 'user')::bigint FROM viewer_context() AS c
$$;

CREATE FUNCTION viewer_role() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c ->> 'role' FROM viewer_context() AS c
$$;

CREATE FUNCTION viewer_plans() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(p.plan_id), '{}')
    FROM viewer_context() AS c
    JOIN plan AS p ON p.city_id = (c ->> 'city')::smallint
    WHERE (c ->> 'user')::bigint = ANY (p.members)
$$;
"""

SIGN_IN = """
CREATE FUNCTION demand_sign_in() RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF coalesce(viewer_context() ->> 'scope', '') <> 'sign_in' THEN
        RAISE EXCEPTION 'This is for signing in only.' USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

CREATE FUNCTION account_of_login(wanted text)
RETURNS TABLE (city_id smallint, user_id bigint, role text, password_hash text, disabled boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    RETURN QUERY
    SELECT a.city_id, a.user_id, a.role, a.password_hash, a.disabled_at IS NOT NULL
    FROM user_account AS a WHERE lower(a.login) = lower(wanted);
END $$;

CREATE FUNCTION open_session(token bytea, city smallint, account bigint, life interval)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    DELETE FROM user_session AS s
    WHERE s.city_id = city AND s.user_id = account
      AND (s.expires_at < statement_timestamp() OR s.revoked_at IS NOT NULL);
    INSERT INTO user_session (token_hash, city_id, user_id, expires_at)
    VALUES (token, city, account, statement_timestamp() + life);
END $$;

CREATE FUNCTION close_session(token bytea)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    UPDATE user_session AS s SET revoked_at = statement_timestamp()
    WHERE s.token_hash = token AND s.revoked_at IS NULL;
END $$;

CREATE FUNCTION account_of_session(token bytea)
RETURNS TABLE (city_id smallint, city text, user_id bigint, role text, login text,
               display_name text, worker_id bigint, areas bigint[], organisations bigint[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    RETURN QUERY
    SELECT a.city_id, c.slug, a.user_id, a.role, a.login, a.display_name, a.worker_id,
           coalesce((SELECT array_agg(g.grid_id) FROM area_grant AS g
                     WHERE g.city_id = a.city_id AND g.user_id = a.user_id), '{}'),
           CASE WHEN a.organisation_id IS NULL THEN '{}'::bigint[]
                ELSE ARRAY[a.organisation_id] END
    FROM user_session AS s
    JOIN user_account AS a ON a.city_id = s.city_id AND a.user_id = s.user_id
    JOIN city AS c ON c.city_id = a.city_id
    WHERE s.token_hash = token AND s.revoked_at IS NULL
      AND s.expires_at > statement_timestamp() AND a.disabled_at IS NULL;
END $$;

CREATE FUNCTION sign_in_failures(keys bytea[])
RETURNS TABLE (failures integer, last_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    RETURN QUERY SELECT t.failures, t.last_at FROM sign_in_attempt AS t
    WHERE t.key_hash = ANY (keys);
END $$;

CREATE FUNCTION note_sign_in(keys bytea[], succeeded boolean)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM demand_sign_in();
    IF succeeded THEN
        DELETE FROM sign_in_attempt AS t WHERE t.key_hash = ANY (keys);
        RETURN;
    END IF;
    DELETE FROM sign_in_attempt AS t WHERE t.last_at < statement_timestamp() - interval '1 day';
    INSERT INTO sign_in_attempt AS t (key_hash, failures, last_at)
    SELECT k, 1, statement_timestamp() FROM unnest(keys) AS k ORDER BY k
    ON CONFLICT (key_hash) DO UPDATE
        SET failures = t.failures + 1, last_at = excluded.last_at;
END $$;
"""

AUDIT = """
CREATE FUNCTION audit_link(previous bytea, city smallint, n bigint, at timestamptz, actor bigint,
                           actor_role text, action text, object text, payload jsonb)
RETURNS bytea LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT sha256(previous || convert_to(jsonb_build_array(
        city, n, (extract(epoch FROM at) * 1000000)::bigint, actor, actor_role, action, object,
        payload)::text, 'UTF8'))
$$;

CREATE FUNCTION append_audit(city smallint, actor bigint, actor_role text, action text,
                             object text, payload jsonb)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head audit_head;
    moment timestamptz := date_trunc('microseconds', clock_timestamp());
    viewer jsonb := viewer_context();
    link bytea;
BEGIN
    IF viewer IS NULL AND session_user <> (
        SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'audit'::regclass) THEN
        RAISE EXCEPTION 'Only a known viewer may write to the log.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF viewer ->> 'scope' IN ('city', 'area') THEN
        city := (viewer ->> 'city')::smallint;
        actor := (viewer ->> 'user')::bigint;
        actor_role := viewer ->> 'role';
    END IF;
    INSERT INTO audit_head (city_id, n, hash) VALUES (city, 0, sha256('wangge'::bytea))
    ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM audit_head AS h WHERE h.city_id = city FOR UPDATE;
    link := audit_link(head.hash, city, head.n + 1, moment, actor, actor_role, action, object,
                       payload);
    INSERT INTO audit (city_id, n, at, actor_id, actor_role, action, object, payload, prev_hash,
                       hash)
    VALUES (city, head.n + 1, moment, actor, actor_role, action, object, payload, head.hash, link);
    UPDATE audit_head AS h SET n = head.n + 1, hash = link WHERE h.city_id = city;
    RETURN head.n + 1;
END $$;

CREATE FUNCTION audit_is_final() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'The log is append-only.' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_is_final BEFORE UPDATE OR DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION audit_is_final();

CREATE FUNCTION audit_faults(city smallint) RETURNS TABLE (n bigint)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT a.n
    FROM (SELECT x.*, lag(x.hash, 1, sha256('wangge'::bytea)) OVER (ORDER BY x.n) AS before,
                 row_number() OVER (ORDER BY x.n) AS place
          FROM audit AS x WHERE x.city_id = city) AS a
    WHERE a.n <> a.place OR a.prev_hash <> a.before
       OR a.hash <> audit_link(a.prev_hash, a.city_id, a.n, a.at, a.actor_id, a.actor_role,
                               a.action, a.object, a.payload)
    UNION ALL
    SELECT h.n FROM audit_head AS h
    WHERE h.city_id = city AND NOT EXISTS (
        SELECT FROM audit AS x WHERE x.city_id = city AND x.n = h.n AND x.hash = h.hash)
$$;
"""

OPEN_TABLES = (
    "city", "level", "vintage", "cell", "cell_lineage", "cell_value", "grid", "grid_code", "net",
    "net_cell", "net_grid", "net_exception", "handover", "source_net", "source_grid", "building",
    "compound", "street", "barrier", "organisation", "post", "station_kind", "station", "category",
)  # fmt: skip
GUARDED_TABLES = (
    "issue", "worker", "plan", "plan_grid", "plan_cell", "plan_edit", "user_account", "area_grant",
    "user_session", "sign_in_attempt", "audit", "audit_head", "app_secret",
)  # fmt: skip
READ_BY_POLICY = (
    "issue", "worker", "plan", "plan_grid", "plan_cell", "plan_edit", "user_account", "area_grant",
    "audit",
)  # fmt: skip

IN_OWN_AREA = " OR ".join(
    f"area_{n} = ANY ((SELECT viewer_areas())::bigint[])" for n in range(1, 7)
)
AREA_CITY = "city_id = (SELECT viewer_city('area'))"
WHOLE_CITY = "city_id = (SELECT viewer_city('city'))"
OWN_CASE = "organisation_id = ANY ((SELECT viewer_organisations())::bigint[])"
OWN_CITY = f"({AREA_CITY} OR {WHOLE_CITY})"
OWN_ROW = f"{OWN_CITY} AND user_id = (SELECT viewer_user())"
BY_ADMINISTRATOR = f"{WHOLE_CITY} AND (SELECT viewer_role()) = 'administrator'"
OWN_PLAN = f"{OWN_CITY} AND plan_id = ANY ((SELECT viewer_plans())::bigint[])"

POLICIES = (
    ("issue", "whole_city", "wangge_city", WHOLE_CITY),
    ("issue", "own_area", "wangge_area",
     f"{AREA_CITY} AND ({IN_OWN_AREA} OR {OWN_CASE})"),
    ("worker", "whole_city", "wangge_city", WHOLE_CITY),
    ("worker", "own_area", "wangge_area",
     f"{AREA_CITY} AND (name_consent OR areas && (SELECT viewer_areas())::bigint[])"),
    ("plan", "own_plans", "wangge_area, wangge_city",
     f"{OWN_CITY} AND (SELECT viewer_user()) = ANY (members)"),
    ("plan_grid", "own_plans", "wangge_area, wangge_city", OWN_PLAN),
    ("plan_cell", "own_plans", "wangge_area, wangge_city", OWN_PLAN),
    ("plan_edit", "own_plans", "wangge_area, wangge_city", OWN_PLAN),
    ("user_account", "own_row", "wangge_area, wangge_city", OWN_ROW),
    ("user_account", "administrator", "wangge_city", BY_ADMINISTRATOR),
    ("area_grant", "own_row", "wangge_area, wangge_city", OWN_ROW),
    ("area_grant", "administrator", "wangge_city", BY_ADMINISTRATOR),
    ("audit", "administrator", "wangge_city", BY_ADMINISTRATOR),
)  # fmt: skip


def upgrade() -> None:
    op.execute(ROLES)
    op.execute(CONTEXT)
    op.execute(SIGN_IN)
    op.execute(AUDIT)
    op.execute("GRANT USAGE ON SCHEMA public TO wangge_area, wangge_city")
    for table in (*OPEN_TABLES, *READ_BY_POLICY):
        op.execute(f"GRANT SELECT ON {table} TO wangge_area, wangge_city")
    for table in GUARDED_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
    for table, name, roles, condition in POLICIES:
        op.execute(f"CREATE POLICY {name} ON {table} FOR SELECT TO {roles} USING ({condition})")
    op.execute("REVOKE EXECUTE ON FUNCTION audit_faults(smallint) FROM PUBLIC")


def downgrade() -> None:
    for table, name, _, _ in POLICIES:
        op.execute(f"DROP POLICY {name} ON {table}")
    for table in GUARDED_TABLES:
        op.execute(f"DROP POLICY owner ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for table in (*OPEN_TABLES, *READ_BY_POLICY):
        op.execute(f"REVOKE SELECT ON {table} FROM wangge_area, wangge_city")
    op.execute("DROP TRIGGER audit_is_final ON audit")
    for function in (
        "audit_faults", "audit_is_final", "append_audit", "audit_link", "note_sign_in",
        "sign_in_failures", "account_of_session", "close_session", "open_session",
        "account_of_login", "demand_sign_in", "viewer_plans", "viewer_role", "viewer_user",
        "viewer_organisations", "viewer_areas", "viewer_city", "viewer_context",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DELETE FROM app_secret WHERE name = 'context'")
